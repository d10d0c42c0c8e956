//! Machine code as text, and text as machine code.
use opcodon_listing::{Dialect, Listing, Syntax};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{parse_error, pointing};

/// Text as machine code.
#[pyfunction]
#[pyo3(signature = (text, origin=0, syntax="intel"))]
pub(crate) fn assemble<'py>(
    py: Python<'py>,
    text: &str,
    origin: u64,
    syntax: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let dialect = Dialect::from_name(syntax).ok_or_else(|| {
        let known: Vec<&str> = Dialect::ALL.iter().map(|dialect| dialect.name()).collect();
        PyValueError::new_err(format!(
            "syntax must be one of {}, not {syntax:?}",
            known.join(", ")
        ))
    })?;
    match py.detach(|| opcodon_listing::assemble(text, origin, dialect)) {
        Ok(code) => Ok(PyBytes::new(py, &code)),
        Err(error) => {
            let message = pointing(&error, &error.render());
            Err(parse_error(py, &message, text, &error.span))
        }
    }
}

/// Machine code as text, a `opcodon.Disassembly`.
#[pyfunction]
#[pyo3(signature = (code, style="intel"))]
pub(crate) fn disassemble<'py>(
    py: Python<'py>,
    code: &[u8],
    style: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let syntax = syntax(style)?;
    disassembly(py, &py.detach(|| Listing::new(code, syntax)))
}

/// What the instruction that the bytes begin with reads, writes and needs.
#[pyfunction]
pub(crate) fn effects(code: &[u8]) -> (Vec<String>, Vec<String>, Vec<String>) {
    let effects = opcodon_listing::Effects::of(code);
    (effects.reads, effects.writes, effects.features)
}

/// The syntax that a word stands for.
pub(crate) fn syntax(style: &str) -> PyResult<Syntax> {
    Syntax::from_name(style).ok_or_else(|| {
        let known: Vec<&str> = Syntax::ALL.iter().map(|syntax| syntax.name()).collect();
        PyValueError::new_err(format!(
            "style must be one of {}, not {style:?}",
            known.join(", ")
        ))
    })
}

/// A listing as the Python package shows it: text that also has its lines as data.
pub(crate) fn disassembly<'py>(py: Python<'py>, listing: &Listing) -> PyResult<Bound<'py, PyAny>> {
    let rows = listing.lines().iter().map(|line| {
        let bytes = PyBytes::new(py, listing.bytes(line));
        let label = line.label.map(|number| format!("L{number}"));
        (
            line.span.start,
            bytes,
            &line.mnemonic,
            &line.operands,
            &line.note,
            label,
            line.target,
        )
    });
    py.import(intern!(py, "opcodon.machine"))?
        .getattr(intern!(py, "Disassembly"))?
        .call1((listing.to_string(), rows.collect::<Vec<_>>()))
}
