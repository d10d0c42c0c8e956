//! The divider, and what is computed beside it.
//!
//! Quotients wait for each other in the one divider of a core, while the multipliers have time. A quotient
//! that a routine computes from an approximate reciprocal, correctly rounded, takes some of that time.

use crate::Float;

/// How many of a tree's quotients to take from the divider, so that it and the multipliers end at the
/// same time. In half cycles: a division of 512 bits keeps the divider busy and nothing else, an
/// instruction or a routine the multipliers; a quotient counts for three times its instructions, which
/// wait for each other and keep the next rows' from starting (measured on Sapphire Rapids).
pub(crate) fn n_quotients<T: Float>(
    n_divisions: usize,
    n_calls: usize,
    n_operators: usize,
) -> usize {
    const INSTRUCTION: usize = 1;
    const ROUTINE: usize = 20;
    let (division, quotient) = if T::SIZE == 8 { (32, 60) } else { (20, 50) };
    let others = (n_operators - n_divisions) * INSTRUCTION + n_calls * ROUTINE;
    let spare = (division * n_divisions).saturating_sub(others);
    let n = (spare + (division + quotient) / 2) / (division + quotient);
    n.min(n_divisions)
}
