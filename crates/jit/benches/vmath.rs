//! What a vector-math routine costs and how far it is from the reference: nanoseconds an element
//! and representable numbers, by operator, tier and element type.
//!
//! Each operator is compiled as an expression of its own and run over one tile of 1024 rows, so a
//! figure holds the call, two moves and the loop besides. Arguments are uniform in the range that
//! the table names. The distance is from the operator's reference, which is itself up to two numbers
//! away from the truth; the tests compare with correctly rounded results.
//!
//! Floor, AVX-512 f64 on two 512-bit units: exp has 24 operations, so 12 cycles for 8 elements,
//! 0.5 ns at 3 GHz.
//!
//! Run with `cargo bench -p opcodon-jit --bench vmath [-- operator …]`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use common::Random;
use opcodon_expr::{Expr, Op};
use opcodon_jit::{Batch, Float, Goal, Panel, TILE_ROWS, Tier};
use opcodon_testkit::{Ulp, ulp_distance};

/// Operators and the ranges of their arguments.
const CASES: [(Op, [(f64, f64); 2]); 32] = {
    const UNIT: (f64, f64) = (0.0, 1.0);
    const TEN: (f64, f64) = (-10.0, 10.0);
    [
        (Op::Exp, [(-80.0, 80.0), UNIT]),
        (Op::Expm1, [(-5.0, 5.0), UNIT]),
        (Op::Log, [(0.0, 100.0), UNIT]),
        (Op::Log2, [(0.0, 100.0), UNIT]),
        (Op::Log10, [(0.0, 100.0), UNIT]),
        (Op::Log1p, [(0.0, 10.0), UNIT]),
        (Op::Sin, [TEN, UNIT]),
        (Op::Sin, [(-1e5, 1e5), UNIT]),
        (Op::Sin, [(1e12, 1e15), UNIT]),
        (Op::Cos, [TEN, UNIT]),
        (Op::Tan, [TEN, UNIT]),
        (Op::Asin, [(-1.0, 1.0), UNIT]),
        (Op::Acos, [(-1.0, 1.0), UNIT]),
        (Op::Atan, [TEN, UNIT]),
        (Op::Atan2, [TEN, TEN]),
        (Op::Sinh, [(-5.0, 5.0), UNIT]),
        (Op::Cosh, [(-5.0, 5.0), UNIT]),
        (Op::Tanh, [(-5.0, 5.0), UNIT]),
        (Op::Sigmoid, [(-5.0, 5.0), UNIT]),
        (Op::Erf, [(-3.0, 3.0), UNIT]),
        (Op::Cbrt, [TEN, UNIT]),
        (Op::Pow, [(0.0, 10.0), TEN]),
        (Op::Pow, [TEN, (2.0, 2.0)]),
        (Op::Mod, [(-100.0, 100.0), (-3.0, 3.0)]),
        (Op::Plog, [TEN, UNIT]),
        (Op::Psqrt, [TEN, UNIT]),
        (Op::Aq, [TEN, TEN]),
        (Op::Pdiv, [TEN, TEN]),
        (Op::Min, [TEN, TEN]),
        (Op::Sign, [TEN, UNIT]),
        (Op::Lt, [TEN, TEN]),
        (Op::If, [TEN, TEN]),
    ]
};

/// The best of so many timings of so many runs each.
const REPEATS: u32 = 50;
const RUNS: u32 = 10;

/// An element type with the reference in it.
trait Element: Float + Ulp {
    fn reference(op: Op, arguments: &[Self]) -> Self;
}

impl Element for f64 {
    fn reference(op: Op, arguments: &[f64]) -> f64 {
        op.reference(arguments)
    }
}

impl Element for f32 {
    fn reference(op: Op, arguments: &[f32]) -> f32 {
        op.reference_f32(arguments)
    }
}

/// Nanoseconds an element, and the largest distance from the reference.
fn measure<T: Element>(op: Op, ranges: [(f64, f64); 2], tier: Tier) -> (f64, u64) {
    let mut random = Random(1);
    let panel = Panel::<T>::from_fn(3, TILE_ROWS, |column, _| {
        let (low, high) = ranges[column.min(1)];
        T::from_f64(random.uniform(low, high))
    });
    let variables: Vec<Expr> = (0..3).take(op.arity()).map(Expr::var).collect();
    let tree = Expr::apply(op, &variables);
    let mut batch = Batch::<T>::new(tier).unwrap();
    batch.compile([&tree], 3, Goal::Predict).unwrap();
    let mut out = vec![T::default(); TILE_ROWS];
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let start = Instant::now();
        for _ in 0..RUNS {
            batch.predict(0, &panel, &mut out).unwrap();
        }
        best = best.min(start.elapsed().as_secs_f64() / f64::from(RUNS));
    }
    let distance = (0..TILE_ROWS).map(|row| {
        let arguments: Vec<T> = (0..op.arity())
            .map(|column| panel.get(column, row))
            .collect();
        ulp_distance(out[row], T::reference(op, &arguments))
    });
    (best * 1e9 / TILE_ROWS as f64, distance.max().unwrap())
}

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let tiers = Tier::available();
    print!("{:8} {:>22}", "", "arguments");
    for name in ["f64", "f32"] {
        for tier in &tiers {
            print!(" {:>14}", format!("{name} {tier}"));
        }
    }
    println!("\n{:31} ns an element, max distance from the reference", "");
    for (op, ranges) in CASES {
        if !wanted.is_empty() && !wanted.iter().any(|word| word == op.spelling()) {
            continue;
        }
        let spans: Vec<_> = (ranges.iter().take(op.arity()))
            .map(|(low, high)| format!("[{low}, {high}]"))
            .collect();
        print!("{:8} {:>22}", op.spelling(), spans.join(" "));
        let double = tiers.iter().map(|&tier| measure::<f64>(op, ranges, tier));
        let single = tiers.iter().map(|&tier| measure::<f32>(op, ranges, tier));
        for (time, distance) in double.chain(single) {
            print!(" {:>14}", format!("{time:.2} {distance:>2}"));
        }
        println!();
    }
}
