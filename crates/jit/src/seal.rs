//! The only unsafe code of this crate: entering code that this crate has generated.
//!
//! What makes it sound is that kernels and scalar functions are emitted here, in `kernel` and
//! `scalar`, and come from nowhere else: no byte that was read from outside is ever entered. The
//! functions below check at run time what the generated code takes for granted.
#![allow(
    unsafe_code,
    reason = "generated code can only be entered through a raw pointer"
)]

use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

use opcodon_codemem::{Entry, Function};

use crate::panel::{GRAIN, stride};
use crate::{Float, Panel};

/// What a kernel reads and writes, as its compiler knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    /// Columns that it may read.
    pub(crate) n_columns: usize,
    /// Bytes of constants that it may read.
    pub(crate) constant_bytes: usize,
    /// Bytes that it writes whatever the number of rows.
    pub(crate) fixed_bytes: usize,
    /// Bytes that it writes for each row.
    pub(crate) row_bytes: usize,
}

/// Runs a kernel over some rows of one tile of a panel.
///
/// # Panics
/// If the rows do not begin with a cache line or do not exist, or if the panel, the constants or the
/// output are smaller than the kernel's footprint.
pub(crate) fn run<T: Float>(
    entry: Entry<'_>,
    footprint: Footprint,
    panel: &Panel<T>,
    tile: usize,
    rows: Range<usize>,
    constants: &[u8],
    out: &mut [u8],
) {
    let (start, n_rows) = (rows.start * T::SIZE, rows.len());
    assert!(
        start.is_multiple_of(64) && n_rows > 0 && rows.end <= panel.tile_rows(tile),
        "a kernel's rows exist"
    );
    assert!(
        panel.n_columns() >= footprint.n_columns,
        "a kernel's columns exist"
    );
    let cells = &panel.tile_bytes(tile)[start..];
    assert!(
        constants.len() >= footprint.constant_bytes,
        "a kernel's constants exist"
    );
    let written = footprint.fixed_bytes + n_rows * footprint.row_bytes;
    assert!(out.len() >= written, "a kernel's output has room");
    // SAFETY: the entry was emitted by `kernel::emit`, which follows the kernel ABI; it borrows
    // the arena, so the code stays mapped.
    let kernel = unsafe { entry.kernel() };
    // SAFETY: the kernel stays within its footprint, which was compared with all three buffers
    // above; tiles are padded to whole vectors; `out` is borrowed mutably.
    unsafe { kernel(cells.as_ptr(), constants.as_ptr(), out.as_mut_ptr(), n_rows) };
}

/// Some rows of all columns of a tile, and nobody else's, so that several threads fill one tile.
#[derive(Debug)]
pub(crate) struct TileRows<'p, T> {
    /// Where the tile begins.
    cells: NonNull<u8>,
    n_columns: usize,
    /// In bytes of a column.
    range: Range<usize>,
    panel: PhantomData<&'p mut Panel<T>>,
}

// SAFETY: these rows are reached by nobody else as long as this exists.
unsafe impl<T: Float> Send for TileRows<'_, T> {}

impl<'p, T: Float> TileRows<'p, T> {
    /// The rows of the first tile of a panel, padding included, in up to so many parts.
    pub(crate) fn split(panel: &'p mut Panel<T>, n_parts: usize) -> Vec<TileRows<'p, T>> {
        let (n_columns, n_bytes) = (panel.n_columns(), panel.padded_rows(0) * T::SIZE);
        let cells = NonNull::from(panel.first_tile_mut()).cast();
        let step = n_bytes.div_ceil(n_parts).next_multiple_of(GRAIN);
        let parts = (0..n_bytes).step_by(step);
        let part = |start: usize| TileRows {
            cells,
            n_columns,
            range: start..n_bytes.min(start + step),
            panel: PhantomData,
        };
        parts.map(part).collect()
    }

    /// Which rows these are.
    pub(crate) fn rows(&self) -> Range<usize> {
        self.range.start / T::SIZE..self.range.end / T::SIZE
    }

    /// These rows of one column.
    ///
    /// # Panics
    /// If there is no such column.
    pub(crate) fn column_mut(&mut self, column: usize) -> &mut [T] {
        let start = self.place(column);
        // SAFETY: the column exists, the range lies in it, and these rows are nobody else's; elements are
        // aligned and any bits are one.
        unsafe { std::slice::from_raw_parts_mut(start.cast().as_ptr(), self.rows().len()) }
    }

    /// Where these rows of a column begin.
    fn place(&self, column: usize) -> NonNull<u8> {
        assert!(column < self.n_columns, "a tile's column exists");
        let offset = column * stride::<T>() + self.range.start;
        // SAFETY: the column exists, and the range lies in every column.
        unsafe { self.cells.add(offset) }
    }
}

/// Runs a kernel that predicts over some rows of a tile; what it predicts becomes a column behind those
/// that it reads.
///
/// # Panics
/// If there is no such column, it is not behind those that are read, or the constants are fewer than the
/// kernel's.
pub(crate) fn define<T: Float>(
    entry: Entry<'_>,
    footprint: Footprint,
    rows: &mut TileRows<'_, T>,
    constants: &[u8],
    column: usize,
) {
    assert!(
        footprint.n_columns <= column && column < rows.n_columns,
        "a definition's columns exist"
    );
    assert!(
        footprint.fixed_bytes == 0 && footprint.row_bytes == T::SIZE,
        "a definition predicts"
    );
    assert!(
        constants.len() >= footprint.constant_bytes,
        "a kernel's constants exist"
    );
    let (cells, out, n_rows) = (rows.place(0), rows.place(column), rows.rows().len());
    // SAFETY: the entry was emitted by `kernel::emit`, which follows the kernel ABI; it borrows
    // the arena, so the code stays mapped.
    let kernel = unsafe { entry.kernel() };
    // SAFETY: the kernel reads its columns, which exist, and constants, of which there are enough, and
    // writes as many rows as there are of another column. It reads no rows but these: they begin with a
    // cache line and end with a multiple of what it computes at a time, or with the tile's padding.
    unsafe { kernel(cells.as_ptr(), constants.as_ptr(), out.as_ptr(), n_rows) };
}

/// Calls a scalar function.
///
/// # Panics
/// If there are not as many arguments as the function has.
#[inline]
pub(crate) fn call(function: &Function, args: &[f64]) -> f64 {
    assert_eq!(
        args.len(),
        function.signature().params().len(),
        "a function's arguments"
    );
    // SAFETY: the function was emitted by `scalar` for its signature, which is all f64, and for
    // its convention; the number of arguments was checked above.
    unsafe { function.call_f64(args) }
}

/// The address of a function that computes `a · b + c`, rounded once, lane by lane, for
/// processors without such an instruction. It takes a pointer to
/// three vectors of 128 bits under System V; the first receives the result.
pub(crate) fn fused<T: Float>() -> usize {
    /// # Safety
    /// `vectors` points to `a`, `b` and `c`, two lanes each, aligned, and nobody else's.
    unsafe extern "sysv64" fn double(vectors: *mut [[f64; 2]; 3]) {
        // SAFETY: the caller, generated code, passes the part of its stack frame made for this.
        let [a, b, c] = unsafe { &mut *vectors };
        for lane in 0..2 {
            a[lane] = a[lane].mul_add(b[lane], c[lane]);
        }
    }
    /// # Safety
    /// `vectors` points to `a`, `b` and `c`, four lanes each, aligned, and nobody else's.
    unsafe extern "sysv64" fn single(vectors: *mut [[f32; 4]; 3]) {
        // SAFETY: the caller, generated code, passes the part of its stack frame made for this.
        let [a, b, c] = unsafe { &mut *vectors };
        for lane in 0..4 {
            a[lane] = a[lane].mul_add(b[lane], c[lane]);
        }
    }
    if T::SIZE == 8 {
        double as *const () as usize
    } else {
        single as *const () as usize
    }
}
