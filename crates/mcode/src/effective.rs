//! Effective code: which genes of a linear genome have any influence on its result.
//!
//! Most instructions of an evolved linear genome write registers that nobody reads. Such introns
//! protect the others from variation and cost time if they are run. One pass backwards, which
//! keeps the set of registers that are still to be read, finds them; there are no branches in the
//! code, so it is exact but for algebra.
//!
//! Source: Brameier, Banzhaf, "A comparison of linear genetic programming and neural networks in
//! medical data mining", IEEE Transactions on Evolutionary Computation 5(1), 2001.

use std::ops::Range;

use crate::code::Code;

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
    let mut slots = vec![false; code.slots().len()];
    let inputs = walk(code, |gene, is_effective| slots[gene].fill(is_effective));
    Effective { slots, inputs }
}

/// Says of each gene, last gene first, whether it is effective; returns the registers that are
/// read before they are written. Whether a gene is effective cannot be predicted, so nothing here
/// branches on it.
#[inline]
pub(crate) fn walk(code: &Code, mut found: impl FnMut(Range<usize>, bool)) -> u32 {
    let dialect = code.dialect();
    let mut live = 1_u32;
    let mut end = code.slots.len();
    while end > 0 {
        let flow = dialect.last(&code.slots[..end]);
        let (start, dst) = (flow.start, flow.dst);
        let is_effective = live >> dst & 1;
        live = live & !(is_effective << dst) | (flow.registers() * is_effective);
        found(start..end, is_effective != 0);
        end = start;
    }
    live
}
