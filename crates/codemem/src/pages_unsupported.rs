//! Stands in for code memory on processors and operating systems for which there is none.
//!
//! # Invariant
//! `Pages` has no values, so nothing that holds pages can exist, and whatever is done with them
//! needs no code.

use std::ptr::NonNull;

use crate::CodeError;

/// Size of a page, and the largest alignment of code.
pub const PAGE: usize = 4096;

/// How code memory is written and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Two views of one file in memory: one to write, one to run.
    Dual,
    /// One view, whose protection changes between writing and running.
    Flip,
}

/// Which mapping this process is allowed; for diagnostics.
///
/// # Errors
/// [`CodeError::Unsupported`], on this processor or operating system.
pub fn probe() -> Result<Mapping, CodeError> {
    Err(unsupported())
}

pub(crate) fn unsupported() -> CodeError {
    CodeError::Unsupported {
        arch: std::env::consts::ARCH,
        os: std::env::consts::OS,
    }
}

/// Publishes nothing.
pub(crate) fn publish() {}

/// A region of code memory, of which there is none.
#[derive(Debug)]
pub(crate) enum Pages {}

impl Pages {
    pub(crate) fn new(_capacity: usize) -> Result<Self, CodeError> {
        Err(unsupported())
    }

    pub(crate) fn with_mapping(_capacity: usize, _mapping: Mapping) -> Result<Self, CodeError> {
        Err(unsupported())
    }

    pub(crate) fn mapping(&self) -> Mapping {
        match *self {}
    }

    pub(crate) fn capacity(&self) -> usize {
        match *self {}
    }

    pub(crate) fn is_private(&self) -> bool {
        match *self {}
    }

    pub(crate) fn commit(&mut self, _len: usize) -> Result<(), CodeError> {
        match *self {}
    }

    pub(crate) fn write(&mut self, _offset: usize, _code: &[u8]) {
        match *self {}
    }

    pub(crate) fn fill(&mut self, _start: usize, _end: usize) {
        match *self {}
    }

    pub(crate) fn bytes(&self, _offset: usize, _len: usize) -> &[u8] {
        match *self {}
    }

    pub(crate) fn address(&self, _offset: usize) -> NonNull<u8> {
        match *self {}
    }

    pub(crate) fn make_executable(&mut self) -> Result<(), CodeError> {
        match *self {}
    }

    pub(crate) fn make_writable(&mut self) -> Result<(), CodeError> {
        match *self {}
    }
}
