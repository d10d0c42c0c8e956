//! What the tests share: repertoires, random genomes, nasty data.
#![allow(clippy::unwrap_used, dead_code, reason = "a test; each uses a part")]

use opcodon_evo::Rng;
use opcodon_mcode::{Opcode, Repertoire, Tier};

/// All operations on numbers.
pub(crate) fn numbers(tier: Tier, n_columns: usize) -> Repertoire {
    let all = Opcode::ALL.iter().copied();
    let numbers: Vec<_> = all.filter(|opcode| !opcode.is_on_words()).collect();
    everything(tier, n_columns).opcodes(&numbers)
}

/// Everything that can be encoded.
pub(crate) fn everything(tier: Tier, n_columns: usize) -> Repertoire {
    Repertoire::new(tier, n_columns)
        .unwrap()
        .opcodes(Opcode::ALL)
}

/// The tiers that this processor has; the others are reported as skipped.
pub(crate) fn tiers(test: &str) -> Vec<Tier> {
    let mut tiers = Vec::new();
    if opcodon_testkit::require_avx2(test) {
        tiers.push(Tier::Avx2);
    }
    if opcodon_testkit::require_avx512(test) {
        tiers.push(Tier::Avx512);
    }
    tiers
}

/// Columns of ordinary numbers with hard ones between them.
pub(crate) fn columns(seed: u64, n_columns: usize, n_rows: usize) -> Vec<Vec<f64>> {
    let hard: Vec<f64> = opcodon_testkit::nasty_f64().collect();
    let mut rng = Rng::new(seed, 0);
    let mut value = || match rng.below(3) {
        0 => hard[rng.below(hard.len())],
        1 => [0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, -1.0][rng.below(6)],
        _ => rng.normal(),
    };
    (0..n_columns)
        .map(|_| (0..n_rows).map(|_| value()).collect())
        .collect()
}

/// Whether two numbers are the same bits, or both NaN.
pub(crate) fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}
