//! Stands in for the interfaces of debuggers where there is no code to debug.

use std::fs::File;
use std::io;

/// A symbol file, for nobody.
#[derive(Debug)]
pub struct SymbolFile;

impl SymbolFile {
    /// Does nothing.
    #[must_use]
    pub fn announce(_file: Vec<u8>) -> Self {
        Self
    }
}

/// Unwind tables, for nobody.
#[derive(Debug)]
pub struct UnwindTable;

impl UnwindTable {
    /// Does nothing.
    #[must_use]
    pub fn register(_section: Vec<u8>) -> Option<Self> {
        None
    }
}

/// Does nothing.
///
/// # Errors
/// Never.
pub fn mark_for_perf(_file: &File) -> io::Result<()> {
    Ok(())
}

/// 0.
#[must_use]
pub fn monotonic_ns() -> u64 {
    0
}

/// 0.
#[must_use]
pub fn thread_id() -> u32 {
    0
}
