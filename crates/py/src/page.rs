//! Pages of fits, and pieces of HTML for the `_repr_html_` of Python classes.
use std::borrow::Cow;

use opcodon_page::{CodeLine, Fit, Rows};
use pyo3::prelude::*;

use crate::array::{Matrix, Vector};

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

/// The page of a fit, with pictures of what its formulas say of inputs and a target, if both are
/// given.
pub(crate) fn page<F: Fit + Sync>(
    py: Python<'_>,
    fit: &F,
    names: &[String],
    table: [Option<&Bound<'_, PyAny>>; 2],
    error: impl Fn(&F::Error) -> PyErr,
) -> PyResult<String>
where
    F::Error: Send,
{
    let [Some(inputs), Some(target)] = table else {
        let page = py.detach(|| opcodon_page::page(fit, None));
        return page.map_err(|refused| error(&refused));
    };
    let matrix = Matrix::extract("X", inputs, names)?;
    let view = matrix.view();
    let target = Vector::extract("y", target, view.n_rows())?.to_vec();
    let page = py.detach(|| {
        let columns: Vec<Vec<f64>> = (0..view.n_columns()).map(|c| view.column(c)).collect();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let rows = Rows {
            columns: &columns,
            target: &target,
        };
        opcodon_page::page(fit, Some(rows))
    });
    page.map_err(|refused| error(&refused))
}

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
