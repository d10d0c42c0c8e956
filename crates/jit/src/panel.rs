//! Tiled columns: the one layout in which kernels read data.
//!
//! Users' arrays come row-major, strided, unaligned, in another type. A kernel wants each column
//! at a fixed distance from one base register (so that any column is one memory operand),
//! aligned to the vector, and readable past its last row. So data are packed once into tiles of
//! [`TILE_ROWS`] rows: inside a tile, column `j` starts `j * STRIDE` bytes from the tile's start,
//! and a last, partial vector is filled by repeating the last row, so that padding never
//! produces a value (a NaN, a trap) which the data would not.
//!
//! The stride is two cache lines more than the rows take: so far may a kernel read that computes
//! three vectors at a time, and columns of a tile do not fall into the same sets of the first-level
//! cache.

use std::marker::PhantomData;

use crate::crew::share_out;
use crate::{Float, JitError};

/// Rows of one tile, in either element type: a column of `f64` takes a sixth of a 48 KiB cache.
pub const TILE_ROWS: usize = 1024;

/// Fewest tiles that a thread packs.
const MIN_TILES: usize = 4;

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// Bytes of the last three vectors, which kernels may compute at a time: who computes rows up to a multiple
/// of that reads nothing behind them.
pub(crate) const GRAIN: usize = 3 * LINE;

/// One cache line, so that a vector of lines is aligned to the widest vector.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line([u64; 8]);

impl Line {
    pub(crate) const ZERO: Line = Line([0; 8]);
}

/// Distance in bytes from one column of a tile to the next.
pub(crate) const fn stride<T: Float>() -> usize {
    TILE_ROWS * T::SIZE + 2 * LINE
}

/// Columns of equal length, in tiles, ready for kernels.
///
/// ```
/// use opcodon_jit::Panel;
/// let panel = Panel::<f64>::from_columns(&[&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]])?;
/// assert_eq!((panel.n_columns(), panel.n_rows()), (2, 3));
/// assert_eq!(panel.get(1, 2), 6.0);
/// # Ok::<(), opcodon_jit::JitError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Panel<T> {
    lines: Vec<Line>,
    n_columns: usize,
    n_rows: usize,
    element: PhantomData<T>,
}

impl<T: Float> Panel<T> {
    /// Packs columns that are slices.
    ///
    /// # Errors
    /// If the columns differ in length.
    pub fn from_columns(columns: &[&[T]]) -> Result<Panel<T>, JitError> {
        let n_rows = columns.first().map_or(0, |column| column.len());
        for (index, column) in columns.iter().enumerate() {
            if column.len() != n_rows {
                return Err(JitError::RowCount {
                    what: format!("column {index}"),
                    found: column.len(),
                    expected: n_rows,
                });
            }
        }
        let mut panel = Panel::zeroed(columns.len(), n_rows);
        for (index, column) in columns.iter().enumerate() {
            for (tile, rows) in column.chunks(TILE_ROWS).enumerate() {
                panel.column_mut(tile, index)[..rows.len()].copy_from_slice(rows);
            }
        }
        panel.pad();
        Ok(panel)
    }

    /// Packs whatever `value(column, row)` says, column by column.
    pub fn from_fn(
        n_columns: usize,
        n_rows: usize,
        mut value: impl FnMut(usize, usize) -> T,
    ) -> Panel<T> {
        Panel::from_parts(n_columns, n_rows, |column, first, cells| {
            for (cell, row) in cells.iter_mut().zip(first..) {
                *cell = value(column, row);
            }
        })
    }

    /// Packs what `fill(column, first_row, cells)` writes: some rows of a column, from the first on.
    pub fn from_parts(
        n_columns: usize,
        n_rows: usize,
        mut fill: impl FnMut(usize, usize, &mut [T]),
    ) -> Panel<T> {
        let mut panel = Panel::zeroed(n_columns, n_rows);
        for (tile, mut cells) in panel.tiles_mut() {
            cells.fill(tile, &mut fill);
        }
        panel
    }

    /// The same on up to so many threads.
    pub fn from_parts_on(
        n_threads: usize,
        n_columns: usize,
        n_rows: usize,
        fill: impl Fn(usize, usize, &mut [T]) + Sync,
    ) -> Panel<T> {
        let mut panel = Panel::zeroed(n_columns, n_rows);
        // Waking a thread takes longer than packing some tiles.
        let n_threads = n_threads.min(panel.n_tiles() / MIN_TILES);
        let tiles = panel.tiles_mut().collect();
        share_out(n_threads, tiles, |(tile, mut cells)| {
            cells.fill(tile, &fill)
        });
        panel
    }

    pub(crate) fn zeroed(n_columns: usize, n_rows: usize) -> Panel<T> {
        let n_lines = n_rows.div_ceil(TILE_ROWS) * n_columns * (stride::<T>() / LINE);
        Panel {
            lines: vec![Line::ZERO; n_lines],
            n_columns,
            n_rows,
            element: PhantomData,
        }
    }

    /// Repeats the last row of each tile to the end of the last three vectors, which kernels may
    /// compute at a time, in every column.
    pub(crate) fn pad(&mut self) {
        for (_, mut cells) in self.tiles_mut() {
            cells.pad();
        }
    }

    fn tiles_mut(&mut self) -> impl Iterator<Item = (usize, TileMut<'_, T>)> {
        let (n_columns, n_rows) = (self.n_columns, self.n_rows);
        let cells: &mut [T] = bytemuck::cast_slice_mut(&mut self.lines);
        let n_cells = (n_columns * stride::<T>() / T::SIZE).max(1);
        let tile = move |(tile, cells): (usize, _)| {
            let n_rows = (n_rows - tile * TILE_ROWS).min(TILE_ROWS);
            (tile, TileMut { cells, n_rows })
        };
        cells.chunks_mut(n_cells).enumerate().map(tile)
    }

    /// Number of columns.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of tiles; all but the last hold [`TILE_ROWS`] rows.
    pub fn n_tiles(&self) -> usize {
        self.n_rows.div_ceil(TILE_ROWS)
    }

    /// Rows of one tile.
    pub fn tile_rows(&self, tile: usize) -> usize {
        (self.n_rows - tile * TILE_ROWS).min(TILE_ROWS)
    }

    /// One value.
    ///
    /// # Panics
    /// If the column or the row lies outside the panel.
    pub fn get(&self, column: usize, row: usize) -> T {
        assert!(
            column < self.n_columns && row < self.n_rows,
            "cell outside the panel"
        );
        self.column(row / TILE_ROWS, column)[row % TILE_ROWS]
    }

    /// Overwrites one column; its padding follows.
    ///
    /// # Errors
    /// If `values` has another number of rows.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn set_column(&mut self, column: usize, values: &[T]) -> Result<(), JitError> {
        assert!(column < self.n_columns, "column outside the panel");
        if values.len() != self.n_rows {
            return Err(JitError::RowCount {
                what: format!("column {column}"),
                found: values.len(),
                expected: self.n_rows,
            });
        }
        for (tile, rows) in values.chunks(TILE_ROWS).enumerate() {
            self.column_mut(tile, column)[..rows.len()].copy_from_slice(rows);
        }
        self.pad();
        Ok(())
    }

    /// The rows of a column inside one tile.
    pub fn column(&self, tile: usize, column: usize) -> &[T] {
        let start = self.column_start(tile, column);
        &bytemuck::cast_slice(&self.lines)[start..start + self.tile_rows(tile)]
    }

    pub(crate) fn column_mut(&mut self, tile: usize, column: usize) -> &mut [T] {
        let start = self.column_start(tile, column);
        &mut bytemuck::cast_slice_mut(&mut self.lines)[start..start + TILE_ROWS]
    }

    /// Index of a column's first element in the panel as one slice of elements.
    fn column_start(&self, tile: usize, column: usize) -> usize {
        (tile * self.n_columns + column) * (stride::<T>() / T::SIZE)
    }

    /// Rows of one tile with those of the padding that kernels may compute.
    pub(crate) fn padded_rows(&self, tile: usize) -> usize {
        padded_rows::<T>(self.tile_rows(tile))
    }

    /// The same rows of a column.
    pub(crate) fn padded_column(&self, tile: usize, column: usize) -> &[T] {
        let start = self.column_start(tile, column);
        &bytemuck::cast_slice(&self.lines)[start..start + self.padded_rows(tile)]
    }

    /// The first tile as bytes, for writing.
    pub(crate) fn first_tile_mut(&mut self) -> &mut [u8] {
        let bytes = self.n_columns * stride::<T>();
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..bytes]
    }

    /// One tile as bytes: what a kernel's first argument points to.
    pub(crate) fn tile_bytes(&self, tile: usize) -> &[u8] {
        let bytes = self.n_columns * stride::<T>();
        &bytemuck::cast_slice(&self.lines)[tile * bytes..(tile + 1) * bytes]
    }
}

fn padded_rows<T: Float>(n_rows: usize) -> usize {
    let rows = n_rows.next_multiple_of(GRAIN / T::SIZE);
    rows.min(stride::<T>() / T::SIZE)
}

/// The cells of one tile, column after column.
struct TileMut<'p, T> {
    cells: &'p mut [T],
    n_rows: usize,
}

impl<T: Float> TileMut<'_, T> {
    fn columns_mut(&mut self) -> impl Iterator<Item = &mut [T]> {
        self.cells.chunks_mut(stride::<T>() / T::SIZE)
    }

    /// Writes the rows of all columns, and the padding.
    fn fill(&mut self, tile: usize, mut fill: impl FnMut(usize, usize, &mut [T])) {
        let n_rows = self.n_rows;
        for (column, cells) in self.columns_mut().enumerate() {
            fill(column, tile * TILE_ROWS, &mut cells[..n_rows]);
        }
        self.pad();
    }

    fn pad(&mut self) {
        let (n_rows, padded) = (self.n_rows, padded_rows::<T>(self.n_rows));
        for cells in self.columns_mut() {
            let last = cells[n_rows - 1];
            cells[n_rows..padded].fill(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_survive_packing_and_padding_repeats_the_last_row() {
        for n_rows in [1, 7, 8, 9, 1023, 1024, 1025, 3000] {
            let panel =
                Panel::<f32>::from_fn(3, n_rows, |column, row| (column * 10_000 + row) as f32);
            for column in 0..3 {
                for row in 0..n_rows {
                    assert_eq!(panel.get(column, row), (column * 10_000 + row) as f32);
                }
            }
            let tile = panel.n_tiles() - 1;
            let bytes = panel.tile_bytes(tile);
            let cells: &[f32] = bytemuck::cast_slice(bytes);
            let rows = panel.tile_rows(tile);
            for pad in rows..rows.next_multiple_of(32) {
                assert_eq!(cells[pad], cells[rows - 1]);
            }
            assert_eq!(bytes.as_ptr() as usize % 64, 0);
        }
    }

    #[test]
    fn columns_of_unequal_length_are_refused_by_name() {
        let error = Panel::<f64>::from_columns(&[&[1.0, 2.0], &[1.0]]).unwrap_err();
        assert_eq!(error.to_string(), "column 1 has 1 rows, but 2 are needed");
    }

    #[test]
    fn no_rows_make_no_tiles() {
        let panel = Panel::<f64>::from_columns(&[&[], &[]]).unwrap();
        assert_eq!((panel.n_tiles(), panel.n_rows()), (0, 0));
    }
}
