//! What one pass over an expression costs, in nanoseconds a node; evaluation of columns in
//! node·rows a second.
//!
//! The expression is a bushy one of 29 nodes, as a search sees many. Floor: a copy is one `memcpy`
//! and an allocation (about 20 ns, 0.7 a node), a hash one multiplication a node (about 1 ns).
//!
//! Run with `cargo bench -p opcodon-expr --bench passes`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark"
)]

use std::hint::black_box;
use std::time::Instant;

use opcodon_expr::{Expr, Interval, parse, print};

/// Seconds that one call takes, in the fastest of several runs.
fn seconds<R>(calls: u32, mut f: impl FnMut() -> R) -> f64 {
    let run = |_| {
        let start = Instant::now();
        for _ in 0..calls {
            black_box(f());
        }
        start.elapsed().as_secs_f64() / f64::from(calls)
    };
    (0..7).map(run).fold(f64::INFINITY, f64::min)
}

fn main() {
    let text = "(x0*1.5 + x1)*(x2 - x0/2.25) + (x1*x1 - 0.5*x2)/(x0 + 3) - x3*(x1 + x2*x0*x3)";
    let names = ["x0", "x1", "x2", "x3"];
    let expr = parse(text, Some(&names)).unwrap().expr;
    let nodes = expr.len() as f64;
    println!("{nodes} nodes");
    let report =
        |what: &str, seconds: f64| println!("{what:>20} {:7.2} ns a node", seconds / nodes * 1e9);

    let mut sizes = Vec::new();
    report("clone", seconds(20_000, || expr.clone()));
    report(
        "structural hash",
        seconds(20_000, || black_box(&expr).structural_hash()),
    );
    report(
        "shape hash",
        seconds(20_000, || black_box(&expr).shape_hash()),
    );
    report(
        "subtree sizes",
        seconds(20_000, || black_box(&expr).subtree_sizes_into(&mut sizes)),
    );
    report("depth", seconds(20_000, || black_box(&expr).depth()));
    report(
        "validate",
        seconds(20_000, || Expr::from_postfix(expr.nodes().to_vec())),
    );
    report(
        "eval",
        seconds(20_000, || black_box(&expr).eval(&[1.0, 2.0, 3.0, 4.0])),
    );
    report(
        "bounds",
        seconds(5_000, || {
            black_box(&expr).bounds(&[Interval::new(1.0, 2.0); 4])
        }),
    );
    report(
        "parse",
        seconds(2_000, || parse(black_box(text), Some(&names))),
    );
    report(
        "infix",
        seconds(2_000, || print::infix(black_box(&expr), &names)),
    );
    report("simplify", seconds(2_000, || black_box(&expr).simplify()));
    report("diff", seconds(2_000, || black_box(&expr).diff(0)));

    let n_rows = 10_000;
    let columns: Vec<Vec<f64>> = (0..4)
        .map(|j| (0..n_rows).map(|i| f64::from(i * 4 + j) / 1e3).collect())
        .collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let mut out = vec![0.0; columns[0].len()];
    let columns_seconds = seconds(50, || expr.eval_columns_into(&columns, &mut out));
    let rate = nodes * f64::from(n_rows) / columns_seconds / 1e9;
    println!("{:>20} {rate:7.2} G node·rows/s", "eval columns");
}
