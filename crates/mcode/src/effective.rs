//! Effective code: which genes of a linear genome have any influence on its result.
//!
//! Most instructions of an evolved linear genome write registers that nobody reads. Such introns
//! protect the others from variation and cost time if they are run. One pass backwards, which
//! keeps the set of registers that are still to be read, finds them; there are no branches in the
//! code, so it is exact but for algebra.
//!
//! Source: Brameier, Banzhaf, "A comparison of linear genetic programming and neural networks in
//! medical data mining", IEEE Transactions on Evolutionary Computation 5(1), 2001.

use crate::code::Code;
use crate::slot::Kind;

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
    let inputs = walk(code, |range| slots[range].fill(true));
    Effective { slots, inputs }
}

/// Calls `found` for the slots of each effective gene, last gene first; returns the registers that
/// are read before they are written.
#[inline]
pub(crate) fn walk(code: &Code, mut found: impl FnMut(std::ops::Range<usize>)) -> u32 {
    let dialect = code.dialect();
    let mut live = 1_u32;
    let mut end = code.slots.len();
    while end > 0 {
        let (start, dst, row, values) = dialect.last(&code.slots[..end]);
        if live >> dst & 1 != 0 {
            live &= !(1 << dst);
            if row.opcode.arity() == 2 {
                live |= 1 << values.a;
            }
            if row.kind == Kind::Register {
                live |= 1 << values.b;
            }
            found(start..end);
        }
        end = start;
    }
    live
}
