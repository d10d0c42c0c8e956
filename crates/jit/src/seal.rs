//! The only unsafe code of this crate: entering code that this crate has generated.
//!
//! What makes it sound is that kernels and scalar functions are emitted here, in `kernel` and
//! `scalar`, and come from nowhere else: no byte that was read from outside is ever entered. The
//! functions below check at run time what the generated code takes for granted.
#![allow(
    unsafe_code,
    reason = "generated code can only be entered through a raw pointer"
)]

use std::ops::Range;

use opcodon_codemem::{Entry, Function};

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
