//! The only unsafe code of this crate: entering code that this crate has generated.
#![allow(
    unsafe_code,
    reason = "generated code can only be entered through a raw function pointer"
)]

use opcodon_codemem::kernel::Kernel;

/// Runs a kernel over one tile.
///
/// # Safety
/// `entry` is the start of a kernel that this crate emitted, in memory that stays executable
/// during the call; its code reads `tile` and `constants` and writes `out` only where the caller
/// has checked them to be long enough for `n_rows` rows, and `n_rows` is at least 1.
pub(crate) unsafe fn run(
    entry: *const u8,
    tile: &[u8],
    constants: &[u8],
    out: &mut [u8],
    n_rows: usize,
) {
    // SAFETY: the caller vouches that `entry` is a kernel, which has this type.
    let kernel: Kernel = unsafe { std::mem::transmute::<*const u8, Kernel>(entry) };
    // SAFETY: the caller vouches for the lengths; `out` is borrowed mutably.
    unsafe { kernel(tile.as_ptr(), constants.as_ptr(), out.as_mut_ptr(), n_rows) };
}
