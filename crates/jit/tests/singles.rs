//! Single precision over its whole range: every function of one argument at every single number,
//! against the same function in double precision, which is nine digits better.
//!
//! `cargo test` takes a sample; `cargo test --release -p opcodon-jit --test singles -- --ignored
//! --nocapture` takes all 2³² and prints the largest error of each function, which is a matter of hours.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test suite"
)]

mod common;

use common::tiers;
use opcodon_expr::{Expr, Op};
use opcodon_jit::{Batch, Float, Goal, Panel, TILE_ROWS, Tier};

/// Predictions of one function over one tile.
struct Function<T> {
    batch: Batch<T>,
    out: Vec<T>,
}

impl<T: Float> Function<T> {
    fn new(op: Op, tier: Tier) -> Function<T> {
        let mut batch = Batch::<T>::new(tier).unwrap();
        let tree = Expr::apply(op, &[Expr::var(0)]);
        batch.compile([&tree], 1, Goal::Predict).unwrap();
        Function {
            batch,
            out: vec![T::default(); TILE_ROWS],
        }
    }

    fn of(&mut self, arguments: &[f32]) -> &[T] {
        let panel = Panel::<T>::from_fn(1, arguments.len(), |_, row| {
            T::from_f64(f64::from(arguments[row]))
        });
        let out = &mut self.out[..arguments.len()];
        self.batch.predict(0, &panel, out).unwrap();
        out
    }
}

/// Distance from `exact`, in units of the last place that a single of its size has.
fn error(result: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if rounded.is_nan() || rounded.is_infinite() || rounded == 0.0 {
        let same = rounded.to_bits() == result.to_bits() || rounded.is_nan() && result.is_nan();
        // Next to the border, the result may lie on the other side.
        let near = result.is_sign_negative() == rounded.is_sign_negative()
            && (result.abs() == f32::MAX || result.to_bits() << 1 == 2);
        return if same {
            0.0
        } else if near {
            1.0
        } else {
            f64::INFINITY
        };
    }
    let size = f64::from(rounded.abs().max(f32::MIN_POSITIVE));
    let unit = f64::from_bits(size.to_bits() & !((1 << 52) - 1)) * 2f64.powi(-23);
    (f64::from(result) - exact).abs() / unit
}

/// The largest error over every `step`th single number, and where it is.
fn worst(op: Op, tier: Tier, step: usize) -> (f64, f32) {
    let (mut single, mut double) = (
        Function::<f32>::new(op, tier),
        Function::<f64>::new(op, Tier::best().unwrap()),
    );
    let mut worst = (0.0, 0.0);
    let mut arguments = Vec::with_capacity(TILE_ROWS);
    let mut all = (0..=u32::MAX).step_by(step);
    loop {
        arguments.clear();
        arguments.extend(all.by_ref().take(TILE_ROWS).map(f32::from_bits));
        if arguments.is_empty() {
            return worst;
        }
        let results = single.of(&arguments).iter().zip(double.of(&arguments));
        for ((&result, &exact), &argument) in results.zip(&arguments) {
            let error = error(result, exact);
            if error > worst.0 {
                worst = (error, argument);
            }
        }
    }
}

fn check(step: usize) {
    // The others are exact, or exact operations in a row, and tested as such.
    let functions = (Op::ALL.iter()).filter(|op| op.arity() == 1 && op.max_ulp() > 0);
    for &op in functions {
        for tier in tiers() {
            let (error, argument) = worst(op, tier, step);
            println!("{:8} {tier:7} {error:5.2} at {argument:e}", op.spelling());
            let bound = f64::from(op.max_ulp());
            assert!(error <= bound, "{op:?} on {tier}: {error} at {argument:e}");
        }
    }
}

#[test]
fn a_sample_of_all_singles_is_within_the_bounds() {
    check(10_007);
}

#[test]
#[ignore = "hours"]
fn all_singles_are_within_the_bounds() {
    check(1);
}
