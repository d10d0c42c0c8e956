//! Entering a genome.
//!
//! What makes it sound is the type of what is run: kernels are put together by `kernel` around
//! [`Code`](crate::Code), whose slots the verifier has proven, or variation has copied from proven
//! ones. Such slots read the declared columns and constants and write registers; the code around
//! them writes the output. The function below checks at run time that columns, constants and
//! output are as large as the kernel takes for granted, and that the processor has the tier was
//! checked when the batch was made.
#![allow(
    unsafe_code,
    reason = "generated code can only be entered through a raw pointer"
)]

use opcodon_codemem::Entry;

use crate::blocks::{Blocks, Line};
use crate::kernel::{Fold, N_MOMENTS};

/// What a kernel reads, as verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    pub(crate) n_columns: usize,
    /// As they are packed for the tier.
    pub(crate) constant_lines: usize,
}

/// Runs a kernel over one tile.
///
/// # Panics
/// If data, constants or output are not what the kernel was made for.
#[inline]
pub(crate) fn run(
    entry: Entry<'_>,
    footprint: Footprint,
    fold: Fold,
    blocks: &Blocks,
    tile: usize,
    constants: &[Line],
    out: &mut [Line],
) {
    let (cells, n_rows) = (blocks.tile(tile), blocks.tile_rows(tile));
    assert!(
        blocks.n_columns() == footprint.n_columns && n_rows > 0,
        "a kernel's columns are the data's"
    );
    assert!(
        constants.len() >= footprint.constant_lines,
        "a kernel's constants exist"
    );
    let written = match fold {
        Fold::Predict => n_rows.div_ceil(8),
        Fold::Squares | Fold::Bits => 1,
        Fold::Moments => N_MOMENTS,
    };
    assert!(out.len() >= written, "a kernel's output has room");
    // SAFETY: the entry was put together by `kernel::Shell::wrap`, which follows the kernel ABI;
    // it borrows the arena, so the code stays mapped.
    let kernel = unsafe { entry.kernel() };
    // SAFETY: the kernel reads whole blocks of the tile, which are there, and constants, and
    // writes whole vectors; all were compared above; `out` is borrowed mutably.
    unsafe {
        kernel(
            cells.as_ptr().cast(),
            constants.as_ptr().cast(),
            out.as_mut_ptr().cast(),
            n_rows,
        );
    };
}
