//! From the caller's arrays to the panels that kernels read, in the kernels' element type.
use numpy::ndarray::{ArrayView2, s};
use opcodon_jit::{Float, JitError, Panel};

use crate::array::MatrixView;

/// A panel of the columns of `matrix`, followed by `extra` columns of as many rows, packed by up to so
/// many threads.
///
/// # Errors
/// If an extra column has another number of rows.
pub(crate) fn panel<T: Float>(
    matrix: MatrixView<'_>,
    extra: &[&[f64]],
    n_threads: usize,
) -> Result<Panel<T>, JitError> {
    let (n_rows, n_inputs) = (matrix.n_rows(), matrix.n_columns());
    if let Some((column, found)) = extra
        .iter()
        .map(|column| column.len())
        .enumerate()
        .find(|&(_, len)| len != n_rows)
    {
        let what = format!("column {}", n_inputs + column);
        return Err(JitError::RowCount {
            what,
            found,
            expected: n_rows,
        });
    }
    let n_columns = n_inputs + extra.len();
    Ok(match matrix {
        MatrixView::F64(array) => {
            Panel::from_parts_on(n_threads, n_columns, n_rows, |column, first, cells| {
                fill(array, extra, column, first, cells, T::from_f64);
            })
        }
        MatrixView::F32(array) => {
            Panel::from_parts_on(n_threads, n_columns, n_rows, |column, first, cells| {
                fill(array, extra, column, first, cells, |value: f32| {
                    T::from_f64(value.into())
                });
            })
        }
    })
}

/// Writes rows of a column of the matrix, or of one beyond; where a column lies in one piece, several
/// at a time.
#[inline]
fn fill<T: Float, E: Copy>(
    matrix: ArrayView2<'_, E>,
    extra: &[&[f64]],
    column: usize,
    first: usize,
    cells: &mut [T],
    convert: impl Fn(E) -> T,
) {
    let rows = first..first + cells.len();
    let Some(beyond) = column.checked_sub(matrix.ncols()) else {
        let part = matrix.slice(s![rows, column]);
        match part.as_slice() {
            Some(part) => write(cells, part, convert),
            None => write(cells, part, convert),
        }
        return;
    };
    write(cells, &extra[beyond][rows], T::from_f64);
}

fn write<'a, T, E: Copy + 'a>(
    cells: &mut [T],
    values: impl IntoIterator<Item = &'a E>,
    convert: impl Fn(E) -> T,
) {
    for (cell, &value) in cells.iter_mut().zip(values) {
        *cell = convert(value);
    }
}
