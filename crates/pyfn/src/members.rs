//! Attributes and methods at the places that use them.
//!
//! A place mostly sees objects of one class, and as long as that is what it was, so is what it has under
//! a name: a place keeps the class it saw last, and what it found there.

use std::cell::Cell;

/// What a place knows of a class; the runtime's alone.
#[derive(Debug, Default)]
pub struct MemberSite {
    /// The class of the object that was seen last, or 0.
    pub class: Cell<usize>,
    /// The number of its version, or 0 if it is the same for ever.
    pub version: Cell<u32>,
    /// What was found; 0 if that is nothing to go by.
    pub kind: Cell<u32>,
    /// Where it is.
    pub place: Cell<usize>,
    /// Where the number of names is that its instances share, and that number.
    pub names: Cell<(usize, u64)>,
    /// How often there was another class than before.
    pub n_misses: Cell<u32>,
}
