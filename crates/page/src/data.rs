//! The rows that a page's pictures are drawn of, as data for its script.
//!
//! Rows are spread evenly over the table, the same ones at every call. What is stored of a formula
//! are its residuals, with few digits: a prediction with few digits would drown small residuals.

use opcodon_expr::print;
use serde_json::{Value, json};

use crate::fit::{Facts, Fit};

/// The most rows that a page shows.
pub const MAX_ROWS: usize = 2000;

/// A table to compare formulas with.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// The columns, in the order of the report's names.
    pub columns: &'a [&'a [f64]],
    /// The target.
    pub target: &'a [f64],
}

/// Rows, and what each formula of the front leaves unexplained of them.
///
/// # Errors
/// The columns are not those of the report, or are not as long as the target.
pub(crate) fn data<F: Fit>(
    fit: &F,
    facts: &Facts<'_>,
    rows: Option<Rows<'_>>,
) -> Result<Value, F::Error> {
    let mut data = json!({
        "target": facts.target,
        "names": facts.names,
        "shown": facts.chosen,
    });
    let Some(Rows { columns, target }) = rows else {
        return Ok(data);
    };
    let n_rows = target.len();
    if let Some((column, name)) = columns
        .iter()
        .zip(facts.names)
        .find(|(column, _)| column.len() != n_rows)
    {
        return Err(F::wrong_rows(name, column.len(), n_rows));
    }
    let n_shown = n_rows.min(MAX_ROWS);
    let sample = |column: &[f64]| -> Vec<f64> {
        (0..n_shown).map(|k| column[k * n_rows / n_shown]).collect()
    };
    let columns: Vec<Vec<f64>> = columns.iter().map(|column| sample(column)).collect();
    let views: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let target = sample(target);
    let mut residuals = Vec::with_capacity(facts.front.len());
    for index in 0..facts.front.len() {
        let predicted = fit.predict(index, &views)?;
        let left = target.iter().zip(predicted).map(|(y, p)| y - p);
        residuals.push(left.map(|value| number(value, 4)).collect::<Vec<_>>());
    }
    let short = |column: &[f64]| column.iter().map(|&v| number(v, 6)).collect::<Vec<_>>();
    data["rows"] = json!({
        "total": n_rows,
        "y": short(&target),
        "x": columns.iter().map(|column| short(column)).collect::<Vec<_>>(),
        "residuals": residuals,
    });
    Ok(data)
}

/// A number with few digits; nothing in place of what is none.
fn number(value: f64, digits: usize) -> Option<f64> {
    value.is_finite().then(|| print::rounded(value, digits))
}

/// A number with so many significant digits at most.
pub(crate) fn short(value: f64, digits: usize) -> String {
    print::number(print::rounded(value, digits))
}

/// JSON that may stand in a script element: nothing in it ends that element.
pub(crate) fn in_script(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c")
}
