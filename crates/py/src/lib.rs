//! Python types to Rust types and back: the native module `opcodon._core`.
//!
//! The engine knows nothing of Python, and this crate knows nothing of the engine's work: it takes
//! arguments apart, calls one function of the crates below with the interpreter lock released,
//! and wraps what comes back. Every decision is taken below, every convenience above, in the
//! Python package.
//!
//! # Invariant
//! No panic crosses into Python on any argument, and no lock is held while generated code runs
//! over columns.
use pyo3::prelude::*;

mod array;
mod assembly;
mod callback;
mod columns;
mod compiled;
mod convert;
mod deap;
mod error;
mod expression;
mod genome;
mod jit;
mod kernels;
mod library;
mod machine;
mod page;
mod population;
mod report;
mod seal;
mod search;

#[pymodule]
mod _core {
    use opcodon_cli::JitFlags;
    use pyo3::exceptions::PyValueError;
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::{
        assembly::{assemble, disassemble, effects},
        callback::PyCallback,
        compiled::CompiledExpression,
        error::{LibraryError, MachineFault, ParseError},
        expression::{Expression, operators},
        genome::{
            Evaluator, Genome, GenomeReport, PyLinearCode, PyTreeCode, Repertoire, crossover_html,
            crossover_svg, evolve, evolve_parameters,
        },
        library::LoadedLibrary,
        machine::MachineFunction,
        page::{code_html, fragment, r2_text},
        population::Population,
        report::{Report, fit, parameters},
    };

    /// The command line; returns the exit code.
    #[pyfunction]
    fn command_line(py: Python<'_>, arguments: Vec<std::ffi::OsString>) -> u8 {
        let python = |flags: &JitFlags, json: bool| {
            let options = (flags.report, flags.listing, flags.time, json);
            Python::attach(|py| {
                let done = py
                    .import("opcodon._jit.command")
                    .and_then(|command| command.getattr("run"))
                    .and_then(|run| run.call1((&flags.function, &flags.args, options)))
                    .and_then(|code| code.extract());
                done.unwrap_or_else(|error| {
                    error.print(py);
                    1
                })
            })
        };
        py.detach(|| opcodon_cli::run(arguments, Some(&python)))
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        opcodon_observe::from_environment()
            .map_err(|error| PyValueError::new_err(crate::error::message(&error)))?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        super::add_submodule(module, "jit", super::jit::register)?;
        super::add_submodule(module, "deap", super::deap::register)
    }
}

/// Adds the submodule `name` to the native module and has `register` fill it.
fn add_submodule(
    parent: &Bound<'_, PyModule>,
    name: &str,
    register: fn(&Bound<'_, PyModule>) -> PyResult<()>,
) -> PyResult<()> {
    let module = PyModule::new(parent.py(), name)?;
    register(&module)?;
    parent.add_submodule(&module)
}
