//! What a step of a least-squares fit costs: loss, Jᵀr and JᵀJ of a tree in its constants.
//!
//! Trees are random, with as many constants as a line says, those of linear scaling included.
//! The measure is the cost of the values alone (`Goal::Moments`) of the same trees. Floor: walking
//! back over the tree costs about twice what walking up it does, and for k constants an iteration
//! adds (k + 1)(k + 2)/2 products to accumulators, one a cycle.
//!
//! Run with `cargo bench -p opcodon-jit --bench gradient [-- word …]`: the words, as `avx512
//! functions 5`, say which lines are wanted.
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
use opcodon_expr::{Expr, Node, Op};
use opcodon_jit::{Batch, Goal, NormalEquations, Panel, Scratch, Tier};
use opcodon_testkit::{best, is_wanted};

const ARITHMETIC: [Op; 4] = [Op::Add, Op::Sub, Op::Mul, Op::Div];
const FUNCTIONS: [Op; 8] = [
    Op::Add,
    Op::Sub,
    Op::Mul,
    Op::Div,
    Op::Sin,
    Op::Exp,
    Op::Log,
    Op::Sqrt,
];

/// `scale · tree + offset` with `n_constants` constants.
fn open_tree(random: &mut Random, ops: &[Op], n_constants: usize) -> Expr {
    loop {
        let core = tree(random, ops, 4 * n_constants + 1, 5);
        if core.n_constants() + 2 == n_constants {
            let ends = [
                Node::Const(0.7),
                Node::Op(Op::Mul),
                Node::Const(0.3),
                Node::Op(Op::Add),
            ];
            return Expr::from_postfix([core.nodes(), &ends].concat()).unwrap();
        }
    }
}

fn measure(tier: Tier, name: &str, ops: &[Op], n_constants: usize, n_rows: usize) {
    let words = format!("{tier} {name} {n_constants} {n_rows}");
    if !is_wanted(&words) {
        return;
    }
    let mut random = Random(9);
    let panel = Panel::<f64>::from_fn(6, n_rows, |_, _| random.uniform(0.1, 3.0));
    let trees: Vec<Expr> = (0..200)
        .map(|_| open_tree(&mut random, ops, n_constants))
        .collect();
    let (target, weight) = (5, None);
    let each = 1e9 / trees.len() as f64;
    let mut batch = Batch::<f64>::new(tier).unwrap();
    batch.expect_rows(n_rows);
    let goal = Goal::Moments { target, weight };
    batch.compile(&trees, 5, goal).unwrap();
    let values = best(|| {
        for k in 0..trees.len() {
            black_box(batch.moments(k, black_box(&panel)).unwrap());
        }
    });
    let goal = Goal::NormalEquations { target, weight };
    let compile = best(|| batch.compile(&trees, 5, goal).unwrap());
    let (mut scratch, mut equations) = (Scratch::default(), NormalEquations::default());
    let run = best(|| {
        for k in 0..trees.len() {
            let panel = black_box(&panel);
            batch
                .normal_equations_into(k, panel, &mut scratch, &mut equations)
                .unwrap();
            black_box(&mut equations);
        }
    });
    let nodes: usize = trees.iter().map(Expr::len).sum();
    println!(
        "{tier:7} {name:10} {:5.1} nodes {n_constants:2} constants {n_rows:5} rows  compile {:6.0} ns  \
         values {:6.0} ns  normal equations {:6.0} ns, {:4.2} times the values",
        nodes as f64 / trees.len() as f64,
        compile * each,
        values * each,
        run * each,
        run / values,
    );
}

fn main() {
    for tier in Tier::available() {
        for (name, ops) in [("arithmetic", &ARITHMETIC[..]), ("functions", &FUNCTIONS)] {
            for n_constants in [3, 5, 8, 15] {
                for n_rows in [100, 400, 10_000] {
                    measure(tier, name, ops, n_constants, n_rows);
                }
            }
        }
    }
}
