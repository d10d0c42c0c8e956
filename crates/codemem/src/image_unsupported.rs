//! Stands in for images on processors and operating systems for which there are none.
//!
//! # Invariant
//! `Draft` and `Image` have no values, so whatever is done with them needs no code.

use std::ops::Range;

use crate::CodeError;
use crate::pages::unsupported;

/// What may be done with a part of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
    /// Reading and executing.
    Execute,
}

/// A part of an image: a range of offsets and what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Offsets from the start of the image; both ends are multiples of the page size.
    pub range: Range<usize>,
    /// What may be done.
    pub access: Access,
}

/// Where an image may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At any address.
    Anywhere,
    /// Below 2 GiB, for code that has addresses in 32 bits.
    Low,
}

/// An image that is being written, of which there is none.
#[derive(Debug)]
pub enum Draft {}

/// An image that can be executed, of which there is none.
#[derive(Debug)]
pub enum Image {}

#[expect(
    clippy::missing_errors_doc,
    reason = "there are no values to call them on"
)]
#[expect(missing_docs, reason = "as on Linux")]
impl Draft {
    pub fn new(_len: usize, _place: Place) -> Result<Self, CodeError> {
        Err(unsupported())
    }

    #[must_use]
    pub fn address(&self) -> usize {
        match *self {}
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match *self {}
    }

    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match *self {}
    }

    pub fn seal(self, _parts: &[Part]) -> Result<Image, CodeError> {
        match self {}
    }
}

#[expect(
    clippy::missing_errors_doc,
    reason = "there are no values to call them on"
)]
#[expect(missing_docs, reason = "as on Linux")]
impl Image {
    #[must_use]
    pub fn address(&self) -> usize {
        match *self {}
    }

    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an image has at least a page")]
    pub fn len(&self) -> usize {
        match *self {}
    }

    #[must_use]
    pub fn access(&self, _offset: usize) -> Option<Access> {
        match *self {}
    }

    #[must_use]
    pub fn constant_from(&self, _offset: usize) -> Option<&[u8]> {
        match *self {}
    }

    #[must_use]
    pub fn constant(&self, _range: Range<usize>) -> Option<&[u8]> {
        match *self {}
    }

    pub fn write(&mut self, _offset: usize, _word: u64) -> Result<(), CodeError> {
        match *self {}
    }

    pub fn freeze(&mut self, _range: Range<usize>) -> Result<(), CodeError> {
        match *self {}
    }
}
