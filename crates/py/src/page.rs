//! Pieces of HTML for the `_repr_html_` of Python classes.
use std::borrow::Cow;

use opcodon_page::CodeLine;
use pyo3::prelude::*;

/// A line of a disassembly, as Python has it.
type Row = (
    usize,
    Vec<u8>,
    String,
    String,
    String,
    Option<String>,
    Option<usize>,
);

/// A piece of HTML as a notebook's output.
#[pyfunction]
pub(crate) fn fragment(body: &str) -> String {
    opcodon_page::fragment(body)
}

/// Instructions as aligned lines in colours.
#[pyfunction]
pub(crate) fn code_html(rows: Vec<Row>) -> String {
    let line = |(offset, bytes, mnemonic, operands, note, label, target): Row| CodeLine {
        is_branch: target.is_some() || mnemonic.starts_with('j') || mnemonic.contains("call"),
        offset,
        bytes: Cow::Owned(bytes),
        mnemonic: mnemonic.into(),
        operands: operands.into(),
        note: note.into(),
        label,
    };
    let lines: Vec<CodeLine<'_>> = rows.into_iter().map(line).collect();
    opcodon_page::code(&lines)
}

/// R² with as many nines as there are.
#[pyfunction]
pub(crate) fn r2_text(r2: f64) -> String {
    opcodon_sr::r2_text(r2)
}
