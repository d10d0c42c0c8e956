//! Pictures of crossovers, for the Python class of that name.
use opcodon_mcode::Splice;
use opcodon_page::{Crossover, SHORT_LINE, crossover_picture, fragment, genomes};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::Genome;

/// First slot, and one more than the last.
type Slots = Option<(usize, usize)>;

/// Slots in a line: those asked for, or as many as usual.
pub(super) fn line(width: Option<usize>, usual: usize) -> PyResult<usize> {
    match width {
        Some(0) => Err(PyValueError::new_err(
            "width must be at least one slot, not 0",
        )),
        width => Ok(width.unwrap_or(usual)),
    }
}

/// Parents and child side by side as SVG.
#[pyfunction]
#[pyo3(signature = (first, second, child, cut, donor, width=None))]
pub(crate) fn crossover_svg(
    first: &Bound<'_, Genome>,
    second: &Bound<'_, Genome>,
    child: &Bound<'_, Genome>,
    cut: Slots,
    donor: Slots,
    width: Option<usize>,
) -> PyResult<String> {
    let splice = cut.zip(donor).map(|(cut, donor)| Splice {
        cut: cut.0..cut.1,
        donor: donor.0..donor.1,
    });
    let crossover = Crossover {
        first: &first.get().genome,
        second: &second.get().genome,
        child: &child.get().genome,
        splice: splice.as_ref(),
    };
    let width = line(width, SHORT_LINE)?;
    Ok(crossover_picture(&crossover, &first.get().names, width))
}

/// The formulas of parents and child above their picture.
#[pyfunction]
pub(crate) fn crossover_html(
    first: &Bound<'_, Genome>,
    second: &Bound<'_, Genome>,
    child: &Bound<'_, Genome>,
    cut: Slots,
    donor: Slots,
) -> PyResult<String> {
    let svg = crossover_svg(first, second, child, cut, donor, None)?;
    let named = [
        ("first parent", &first.get().genome),
        ("second parent", &second.get().genome),
        ("child", &child.get().genome),
    ];
    Ok(fragment(&genomes(&named, &first.get().names, &svg)))
}
