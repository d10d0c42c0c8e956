//! Effective code: which genes of a linear genome have any influence on its result.
//!
//! Most instructions of an evolved linear genome write registers that nobody reads. Such introns
//! protect the others from variation and cost time if they are run. One pass backwards, which
//! keeps the set of registers that are still to be read, finds them; there are no branches in the
//! code, so it is exact but for algebra.
//!
//! Source: Brameier, Banzhaf, "A comparison of linear genetic programming and neural networks in
//! medical data mining", IEEE Transactions on Evolutionary Computation 5(1), 2001.

use std::hint::select_unpredictable;

use crate::code::Code;
use crate::dialect::{MANY, Step};

/// The effective part of a genome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effective {
    /// For each slot, whether its gene is effective.
    pub slots: Vec<bool>,
    /// Registers that are read before they are written, one bit each.
    pub inputs: u32,
}

/// Marks the effective slots of a genome whose result is register 0.
#[must_use]
pub fn mark(code: &Code) -> Effective {
    let mut bits = Vec::new();
    let inputs = bits_of(code, &mut bits);
    let slots = 0..code.slots().len();
    Effective {
        slots: slots
            .map(|k| bits[k / MANY] >> (k % MANY) & 1 != 0)
            .collect(),
        inputs,
    }
}

/// How many slots are effective.
pub(crate) fn count(code: &Code) -> usize {
    let mut n = 0;
    walk(code, |_, bits| n += bits.count_ones() as usize);
    n
}

/// Becomes a bit for each slot, set if it is effective, 64 of them a word; returns the registers
/// that are read before they are written.
#[inline]
pub(crate) fn bits_of(code: &Code, bits: &mut Vec<u64>) -> u32 {
    bits.clear();
    bits.resize(code.slots.len().div_ceil(MANY), 0);
    walk(code, |word, found| bits[word] = found)
}

/// Says which slots are effective, the last ones first, as [`bits_of`]. Whether a slot is effective
/// cannot be predicted, so nothing here branches on it; and each slot waits for the one behind it,
/// so what it writes and reads is found out before.
#[inline]
fn walk(code: &Code, mut found: impl FnMut(usize, u64)) -> u32 {
    let dialect = code.dialect();
    let mut live = 1_u32;
    let mut footprints = [0; MANY];
    for (word, slots) in code.slots.chunks(MANY).enumerate().rev() {
        dialect.each_step(slots, &mut footprints, Step::footprint);
        let mut effective = 0_u64;
        for footprint in footprints[..slots.len()].iter().rev() {
            #[expect(clippy::cast_possible_truncation, reason = "two halves")]
            let (written, read) = (*footprint as u32, (*footprint >> 32) as u32);
            let is_effective = live & written != 0;
            live = live & !written | select_unpredictable(is_effective, read, 0);
            effective = effective << 1 | u64::from(is_effective);
        }
        found(word, effective);
    }
    live & 0xffff
}
