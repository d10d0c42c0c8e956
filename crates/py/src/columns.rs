//! From the caller's arrays to the panels that kernels read, in the kernels' element type.
use opcodon_jit::{Float, JitError, Panel};

use crate::array::MatrixView;

/// A panel of the columns of `matrix`, followed by `extra` columns of as many rows.
///
/// # Errors
/// If an extra column has another number of rows.
pub(crate) fn panel<T: Float>(
    matrix: MatrixView<'_>,
    extra: &[&[f64]],
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
    let beyond = |column: usize, row: usize| T::from_f64(extra[column - n_inputs][row]);
    Ok(match matrix {
        MatrixView::F64(array) => Panel::from_fn(n_inputs + extra.len(), n_rows, |column, row| {
            if column < n_inputs {
                T::from_f64(array[[row, column]])
            } else {
                beyond(column, row)
            }
        }),
        MatrixView::F32(array) => Panel::from_fn(n_inputs + extra.len(), n_rows, |column, row| {
            if column < n_inputs {
                T::from_f64(array[[row, column]].into())
            } else {
                beyond(column, row)
            }
        }),
    })
}
