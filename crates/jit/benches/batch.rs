//! What a population costs: nanoseconds to compile a tree, and node·rows a second to run it, each
//! tree by itself (`Batch`) and with what trees have in common shared (`Generation`), on one and on two
//! threads.
//!
//! Trees are random, of 5–50 nodes over five inputs, arithmetic or with functions. A node counts
//! as such whether it is an operator or a leaf. Floor, AVX-512 f64: a tree of 29 nodes is about
//! 15 instructions of 6–10 bytes and a loop; a template assembler emits them in 0.16 µs, and two
//! vector units of eight lanes compute 16 operations a cycle.
//!
//! Run with `cargo bench -p opcodon-jit --bench batch [-- word …]`: the words, as `avx512 functions
//! 1000`, say which lines are wanted.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use common::{Random, tree};
use opcodon_expr::{Expr, Op};
use opcodon_jit::{Batch, Float, Generation, Goal, Panel, Tier};
use opcodon_testkit::{best, is_wanted};

const ARITHMETIC: [Op; 4] = [Op::Add, Op::Sub, Op::Mul, Op::Div];
const FUNCTIONS: [Op; 10] = [
    Op::Add,
    Op::Sub,
    Op::Mul,
    Op::Div,
    Op::Sin,
    Op::Cos,
    Op::Exp,
    Op::Log,
    Op::Sqrt,
    Op::Tanh,
];

fn measure<T: Float>(tier: Tier, name: &str, trees: &[Expr], n_rows: usize) {
    if !is_wanted(&format!("{tier} {} {name} {n_rows}", T::NAME)) {
        return;
    }
    let mut random = Random(9);
    let panel = Panel::<T>::from_fn(6, n_rows, |_, _| T::from_f64(random.uniform(0.1, 3.0)));
    let nodes: usize = trees.iter().map(Expr::len).sum();
    let mut batch = Batch::<T>::new(tier).unwrap();
    batch.expect_rows(n_rows);
    let goal = Goal::Mse {
        target: 5,
        weight: None,
    };
    let compile = best(|| batch.compile(trees, 5, goal).unwrap());
    let mut losses = vec![0.0; trees.len()];
    let run = best(|| batch.losses(0, black_box(&panel), &mut losses).unwrap());
    let both = best(|| {
        batch.compile(trees, 5, goal).unwrap();
        batch.losses(0, black_box(&panel), &mut losses).unwrap();
    });
    let mut generation = Generation::<T>::new(tier).unwrap();
    generation.expect_rows(n_rows);
    let shared = best(|| generation.compile(trees, 5, goal).unwrap());
    let run_shared = best(|| {
        (generation.losses(black_box(&panel), None, &mut losses)).unwrap();
    });
    generation.use_threads(2);
    let two = best(|| generation.compile(trees, 5, goal).unwrap());
    let run_two = best(|| {
        (generation.losses(black_box(&panel), None, &mut losses)).unwrap();
    });
    let rate = |seconds: f64| (nodes * n_rows) as f64 / seconds * 1e-9;
    println!(
        "{tier:7} {:8} {name:10} {n_rows:6} rows  compile {:6.0} ns/tree {:5.1} ns/node  run {:6.2} \
         G node·rows/s, compile included {:6.2}; what is common shared: compile {:6.0} ns/tree, run {:6.2}; \
         by two threads {:4.2} and {:4.2} times as fast",
        T::NAME,
        compile / trees.len() as f64 * 1e9,
        compile / nodes as f64 * 1e9,
        rate(run),
        rate(both),
        shared / trees.len() as f64 * 1e9,
        rate(run_shared),
        shared / two,
        run_shared / run_two,
    );
}

fn main() {
    let mut random = Random(2026);
    let mut trees = |ops: &[Op]| -> Vec<Expr> {
        (0..1000)
            .map(|k| tree(&mut random, ops, 5 + k % 46, 5))
            .collect()
    };
    for (name, trees) in [
        ("arithmetic", trees(&ARITHMETIC)),
        ("functions", trees(&FUNCTIONS)),
    ] {
        for tier in Tier::available() {
            for n_rows in [20, 100, 1000, 10_000] {
                measure::<f64>(tier, name, &trees, n_rows);
                measure::<f32>(tier, name, &trees, n_rows);
            }
        }
    }
}
