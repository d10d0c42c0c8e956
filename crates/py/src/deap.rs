//! The native half of `opcodon.deap`: DEAP's genetic programming at the speed of machine code.
//!
//! DEAP keeps trees as lists of Python objects, turns each into source text and has Python compile
//! it. Here a tree becomes machine code without text, a population at once if wanted; and the
//! objects of a run (tree, fitness, operators) exist as native ones that DEAP's algorithms take for
//! their own.
//!
//! ```text
//! grammar     symbols, genes, subtrees                ┐
//! variation   making trees, mating and mutating them  ├ no Python in these
//! lower       prefix genes to the engine's postfix    ┘
//! vocabulary  a primitive set read once: grammar, Python objects, meanings of functions
//! text        trees and expressions as text
//! tree  fitness  operators   what a toolbox registers
//! function  evaluator  kernels        what runs
//! ```
//!
//! What a Python function computes is decided in `python/opcodon/deap.py`, by identity, by
//! registration, or by its code and its values.

mod evaluator;
mod fitness;
mod function;
mod grammar;
mod kernels;
mod lower;
mod operators;
mod text;
mod tree;
mod variation;
mod vocabulary;

use std::sync::OnceLock;

use opcodon_jit::{JitError, Tier};
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

create_exception!(
    opcodon.deap,
    UnknownPrimitiveError,
    PyValueError,
    "A tree holds a function of which it is not known what it computes; ``name`` says which."
);

/// Fills the submodule `_core.deap`.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add(
        "UnknownPrimitiveError",
        module.py().get_type::<UnknownPrimitiveError>(),
    )?;
    module.add_class::<evaluator::Evaluator>()?;
    module.add_class::<fitness::Fitness>()?;
    module.add_class::<function::Function>()?;
    module.add_class::<operators::Limit>()?;
    module.add_class::<operators::LimitedOperator>()?;
    module.add_class::<tree::Tree>()?;
    module.add_class::<vocabulary::Vocabulary>()?;
    module.add_function(wrap_pyfunction!(function::compile, module)?)?;
    module.add_function(wrap_pyfunction!(operators::better, module)?)?;
    module.add_function(wrap_pyfunction!(operators::clone, module)?)?;
    module.add_function(wrap_pyfunction!(operators::cx_one_point, module)?)?;
    module.add_function(wrap_pyfunction!(
        operators::cx_one_point_leaf_biased,
        module
    )?)?;
    module.add_function(wrap_pyfunction!(operators::gen_full, module)?)?;
    module.add_function(wrap_pyfunction!(operators::gen_grow, module)?)?;
    module.add_function(wrap_pyfunction!(operators::gen_half_and_half, module)?)?;
    module.add_function(wrap_pyfunction!(operators::mut_ephemeral, module)?)?;
    module.add_function(wrap_pyfunction!(operators::mut_insert, module)?)?;
    module.add_function(wrap_pyfunction!(operators::mut_node_replacement, module)?)?;
    module.add_function(wrap_pyfunction!(operators::mut_shrink, module)?)?;
    module.add_function(wrap_pyfunction!(operators::mut_uniform, module)?)?;
    module.add_function(wrap_pyfunction!(operators::seed, module)?)?;
    module.add_function(wrap_pyfunction!(operators::sel_tournament, module)?)?;
    module.add_function(wrap_pyfunction!(operators::static_limit, module)?)?;
    module.add_function(wrap_pyfunction!(vocabulary::forget, module)?)
}

/// The tier of instructions, asked for once a process.
fn tier() -> Result<Tier, JitError> {
    static TIER: OnceLock<Tier> = OnceLock::new();
    if let Some(tier) = TIER.get() {
        return Ok(*tier);
    }
    let tier = Tier::best()?;
    Ok(*TIER.get_or_init(|| tier))
}
