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
//! tree  fitness               what an individual is          ┐ what a toolbox
//! operators  limit  selection  what is done to it, by `random`  ┘ registers
//! function  evaluator         what runs; what was made of `recent` trees is not made again
//! ```
//!
//! What a Python function computes is decided in `python/opcodon/deap.py`, by identity, by
//! registration, or by its code and its values.

mod evaluator;
mod fitness;
mod function;
mod grammar;
mod limit;
mod lower;
mod measure;
mod objects;
mod operators;
pub(crate) mod random;
mod reader;
mod recent;
mod selection;
mod text;
mod tree;
mod variation;
mod vocabulary;

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
    module.add_class::<limit::Limit>()?;
    module.add_class::<limit::LimitedOperator>()?;
    module.add_class::<tree::Tree>()?;
    module.add_class::<vocabulary::Vocabulary>()?;
    let functions = [
        wrap_pyfunction!(function::compile, module)?,
        wrap_pyfunction!(selection::better, module)?,
        wrap_pyfunction!(operators::clone, module)?,
        wrap_pyfunction!(operators::cx_one_point, module)?,
        wrap_pyfunction!(operators::cx_one_point_leaf_biased, module)?,
        wrap_pyfunction!(operators::gen_full, module)?,
        wrap_pyfunction!(operators::gen_grow, module)?,
        wrap_pyfunction!(operators::gen_half_and_half, module)?,
        wrap_pyfunction!(operators::mut_ephemeral, module)?,
        wrap_pyfunction!(operators::mut_insert, module)?,
        wrap_pyfunction!(operators::mut_node_replacement, module)?,
        wrap_pyfunction!(operators::mut_shrink, module)?,
        wrap_pyfunction!(operators::mut_uniform, module)?,
        wrap_pyfunction!(random::seed, module)?,
        wrap_pyfunction!(selection::observe, module)?,
        wrap_pyfunction!(selection::sel_tournament, module)?,
        wrap_pyfunction!(limit::static_limit, module)?,
        wrap_pyfunction!(vocabulary::forget, module)?,
    ];
    for function in functions {
        // Where pickles look for it.
        function.setattr("__module__", "opcodon.deap")?;
        module.add_function(function)?;
    }
    Ok(())
}
