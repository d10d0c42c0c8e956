//! The verifier: which words are a straight run of allowed instructions.
//!
//! Bytes from a file or a user are executed only if each slot is, bit by bit, an instruction that
//! the repertoire has, with operands within the limits. First all slots are looked at without a
//! branch; phrases, and the reason of a refusal, are for a second look.

use crate::Tier;
use crate::dialect::Dialect;
use crate::error::VerifyError;
use crate::gene::MAX_INDEX;
use crate::slot::{Kind, Role};

/// Most slots of a genome.
pub const MAX_SLOTS: usize = 1 << 16;

/// Proves that these slots are a genome that reads at most so many columns and constants.
///
/// # Errors
/// The first reason why they are not.
pub(crate) fn check(
    tier: Tier,
    n_columns: usize,
    slots: &[u64],
    n_constants: usize,
) -> Result<(), VerifyError> {
    if n_columns == 0 || n_columns > MAX_INDEX {
        return Err(VerifyError::ColumnCount { found: n_columns });
    }
    if slots.is_empty() {
        return Err(VerifyError::Empty);
    }
    if slots.len() > MAX_SLOTS {
        return Err(VerifyError::TooLong {
            found: slots.len(),
            limit: MAX_SLOTS,
        });
    }
    if is_plain(tier, n_columns, slots, n_constants) {
        return Ok(());
    }
    examine(tier, n_columns, slots, n_constants)
}

/// Whether all slots are whole instructions within the limits. Phrases, and what is wrong with a
/// slot, are for [`examine`].
fn is_plain(tier: Tier, n_columns: usize, slots: &[u64], n_constants: usize) -> bool {
    let found = Dialect::of(tier).count_whole(n_columns, slots);
    found == Some(n_constants)
}

/// The verifier, slot by slot, with the reason why a slot is refused.
fn examine(
    tier: Tier,
    n_columns: usize,
    slots: &[u64],
    n_constants: usize,
) -> Result<(), VerifyError> {
    let dialect = Dialect::of(tier);
    let mut next_constant = 0;
    let mut at = 0;
    while at < slots.len() {
        let slot = slots[at];
        let refused = || VerifyError::Instruction {
            slot: at,
            word: slot,
        };
        let (row, values, rest) = dialect.read(slot);
        if rest != 0 || row.role == Role::Inner {
            return Err(refused());
        }
        let index = usize::from(values.index);
        match row.kind {
            Kind::Column if index >= n_columns => {
                return Err(VerifyError::Column {
                    slot: at,
                    column: index,
                    n_columns,
                });
            }
            Kind::Constant if index != next_constant => {
                return Err(VerifyError::ConstantOrder {
                    slot: at,
                    found: index,
                    expected: next_constant,
                });
            }
            Kind::Constant => next_constant += 1,
            Kind::Register | Kind::Column => {}
        }
        at += dialect.decode(&slots[at..]).ok_or_else(refused)?.1;
    }
    if next_constant == n_constants {
        Ok(())
    } else {
        Err(VerifyError::ConstantCount {
            found: n_constants,
            expected: next_constant,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LinearCode, Repertoire};
    use opcodon_evo::Rng;

    #[test]
    fn genomes_without_phrases_are_verified_without_a_branch() {
        for tier in Tier::ALL {
            let repertoire = Repertoire::new(tier, 3).unwrap();
            let genome = LinearCode::random(&mut Rng::new(1, 1), &repertoire, 100);
            let code = genome.code();
            assert!(is_plain(tier, 3, code.slots(), code.constants().len()));
            assert!(!is_plain(tier, 3, code.slots(), code.constants().len() + 1));
        }
    }
}
