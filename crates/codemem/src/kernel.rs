//! The kernel ABI: the one calling convention of everything that works on columns.
//!
//! Expression kernels, machine-code genomes, functions of loaded libraries and vectorised Python
//! functions all take columns and a row count and write one column or a few accumulators. With
//! one convention the evaluator, the viewer and the benchmarks treat them all alike.
//!
//! The convention is System V's on every operating system, because under Microsoft's the callee
//! must preserve `xmm6`–`xmm15`, which would cost every kernel ten spills.
//!
//! | argument | register | meaning |
//! |---|---|---|
//! | `tile` | `rdi` | the first input column of one tile; where the others lie is agreed between the compiler of the kernel and the owner of the data |
//! | `constants` | `rsi` | the constant vector of the program; may be dangling if the program reads none |
//! | `out` | `rdx` | where results go: one value a row, or accumulators |
//! | `n_rows` | `rcx` | number of rows of the tile that count |
//!
//! # What a kernel promises
//! * It is a leaf: it neither pushes nor moves `rsp`, so that one unwind entry describes a whole
//!   arena, and it uses at most the 128 bytes of the red zone.
//! * It preserves `rbx`, `rbp`, `r12`–`r15`, the control bits of `mxcsr`, and leaves the direction
//!   flag clear. It may change all other registers and flags.
//! * If it touched an upper half of a vector register, it executes `vzeroupper` before `ret`.
//! * It is position independent: it refers to nothing outside of its arena except through its
//!   arguments.
//! * It reads and writes nothing but what the owner of the data and the compiler agreed on.
//!   Reading whole vectors past `n_rows`, up to the end of the tile's padding, is allowed.

/// A compiled kernel: `kernel(tile, constants, out, n_rows)`.
///
/// # Safety
/// The caller passes a tile, constants and an output of the shapes the kernel was compiled for,
/// aligned as agreed, and `n_rows` not above the rows of the tile. The code stays mapped and
/// unchanged for the duration of the call. The processor has the features of the kernel's tier.
#[cfg(target_arch = "x86_64")]
pub type Kernel = unsafe extern "sysv64" fn(*const u8, *const u8, *mut u8, usize);

/// A compiled kernel. On this processor none can exist; the type keeps its users compiling.
#[cfg(not(target_arch = "x86_64"))]
pub type Kernel = unsafe extern "C" fn(*const u8, *const u8, *mut u8, usize);
