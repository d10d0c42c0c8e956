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
use crate::dialect::Step;

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
    let inputs = walk(code, |slot, is_effective| slots[slot] = is_effective);
    Effective { slots, inputs }
}

/// Says of each slot, last slot first, whether it is effective; returns the registers that are
/// read before they are written. Whether a slot is effective cannot be predicted, so nothing here
/// branches on it.
#[inline]
pub(crate) fn walk(code: &Code, mut found: impl FnMut(usize, bool)) -> u32 {
    let dialect = code.dialect();
    let mut live = 1_u32;
    let mut end = code.slots.len();
    let mut steps = [Step::default(); 64];
    while end > 0 {
        let start = end.saturating_sub(steps.len());
        dialect.steps(&code.slots[start..end], &mut steps);
        for (slot, step) in (start..end).zip(&steps).rev() {
            let dst = step.dst();
            let is_effective = live >> dst & 1 != 0;
            let [a, b, c] = step.operands();
            let before = live & !(1 << dst) | 1 << a | 1 << b | 1 << c;
            live = select_unpredictable(is_effective, before, live);
            found(slot, is_effective);
        }
        end = start;
    }
    live & 0xffff
}
