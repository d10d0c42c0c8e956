//! Several vectors of rows in one call of a routine are computed as one by itself, to the bit, wherever
//! the rare arguments are.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test of small numbers"
)]

mod common;

use common::{Random, tiers};
use opcodon_expr::{Expr, Op};
use opcodon_jit::{Batch, Float, Goal, Panel, Tier};

/// Arguments that take routines off their common path, and ordinary ones between.
fn arguments(random: &mut Random, n_rows: usize) -> Vec<f64> {
    const RARE: [f64; 14] = [
        0.0,
        -0.0,
        1e-310,
        1e-40,
        -1e-40,
        1e9,
        -1e15,
        1e30,
        1e300,
        f64::MAX,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        -800.0,
    ];
    let mut all = Vec::new();
    while all.len() < n_rows {
        // Runs, so that some vectors have rare arguments and others next to them have none.
        let (is_rare, length) = (random.below(4) == 0, 1 + random.below(40));
        all.extend((0..length).map(|_| match is_rare {
            true => RARE[random.below(RARE.len())],
            false => random.uniform(-3.0, 3.0),
        }));
    }
    all.truncate(n_rows);
    all
}

/// The bits of a function of each number, when so many rows are expected: of one vector at a time, two
/// or three.
fn values<T: Float>(op: Op, tier: Tier, column: &[f64], n_expected: usize) -> Vec<u64> {
    let tree = Expr::apply(op, &[Expr::var(0)]);
    let panel = Panel::<T>::from_fn(1, column.len(), |_, row| T::from_f64(column[row]));
    let mut batch = Batch::<T>::new(tier).unwrap();
    batch.expect_rows(n_expected);
    batch.compile([&tree], 1, Goal::Predict).unwrap();
    let mut out = vec![T::default(); column.len()];
    batch.predict(0, &panel, &mut out).unwrap();
    let bits = out.iter().map(|value| match value.to_f64() {
        value if value.is_nan() => u64::MAX,
        value => value.to_bits(),
    });
    bits.collect()
}

fn check<T: Float>(tier: Tier) {
    let mut random = Random(31);
    for &op in Op::ALL.iter().filter(|op| op.arity() == 1) {
        for n_rows in [1, 15, 17, 47, 49, 1000] {
            let column = arguments(&mut random, n_rows);
            let one = values::<T>(op, tier, &column, 1);
            for n_expected in [300, usize::MAX] {
                let several = values::<T>(op, tier, &column, n_expected);
                assert_eq!(several, one, "{op:?} {tier}");
            }
        }
    }
}

#[test]
fn vectors_side_by_side_are_computed_as_one_by_itself() {
    for tier in tiers() {
        check::<f64>(tier);
        check::<f32>(tier);
    }
}
