//! Node·rows a second of Opcodon's population evaluator and of `dynamic_expressions`, in one run.
//!
//! The same 1000 random trees of 5–50 nodes over five inputs go to both; a node counts whether it
//! is an operator or a leaf. For both, everything from the tree to the result is timed: here
//! compiling and running, there planning and interpreting, with the finite checks that its search
//! uses. The two take turns, and the fastest of several passes counts, since other work on the
//! machine only ever slows a pass down. Of gradients, the peer makes the Jacobian matrix in the
//! constants; Opcodon makes of it what a least-squares fit needs, Jᵀr and JᵀJ, which is more.
//!
//! Run with `RUSTFLAGS="-C target-cpu=native" cargo run --release`; Opcodon needs no such flag.

#[path = "../../../crates/jit/tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::Instant;

use common::{Random, tree};
// The set's macro takes operators by their bare names.
use dynamic_expressions::operator_enum::builtin::{
    Add, Cos, Div, Exp, Log, Mul, Sin, Sqrt, Sub, Tanh,
};
use dynamic_expressions::{
    EvalContext, EvalOptions, GradContext, HasOp, OpId, PNode, PostfixExpr, eval_grad_tree_array,
    eval_tree_array_into, opset,
};
use ndarray::Array2;
use opcodon_expr::{Expr, Node, Op};
use opcodon_jit::{Batch, Float, Generation, Goal, NormalEquations, Panel, Scratch, Tier};

opset! { pub Ops32 for f32 { Add, Sub, Mul, Div, Sin, Cos, Exp, Log, Sqrt, Tanh } }
opset! { pub Ops64 for f64 { Add, Sub, Mul, Div, Sin, Cos, Exp, Log, Sqrt, Tanh } }

const N_INPUTS: usize = 5;

macro_rules! peer {
    ($programs:ident, $values:ident, $gradients:ident, $t:ty, $ops:ty) => {
        /// The peer's own trees.
        fn $programs(trees: &[Expr]) -> Vec<PostfixExpr<$t, $ops, 2>> {
            fn id(op: Op) -> OpId {
                match op {
                    Op::Add => <$ops as HasOp<Add>>::op_id(),
                    Op::Sub => <$ops as HasOp<Sub>>::op_id(),
                    Op::Mul => <$ops as HasOp<Mul>>::op_id(),
                    Op::Div => <$ops as HasOp<Div>>::op_id(),
                    Op::Sin => <$ops as HasOp<Sin>>::op_id(),
                    Op::Cos => <$ops as HasOp<Cos>>::op_id(),
                    Op::Exp => <$ops as HasOp<Exp>>::op_id(),
                    Op::Log => <$ops as HasOp<Log>>::op_id(),
                    Op::Sqrt => <$ops as HasOp<Sqrt>>::op_id(),
                    _ => <$ops as HasOp<Tanh>>::op_id(),
                }
            }
            trees
                .iter()
                .map(|tree| {
                    let mut constants = Vec::new();
                    let nodes = tree.nodes().iter().map(|node| match *node {
                        Node::Var(column) => PNode::Var {
                            feature: column as u16,
                        },
                        Node::Const(value) => {
                            constants.push(value as $t);
                            PNode::Const {
                                idx: constants.len() as u16 - 1,
                            }
                        }
                        Node::Op(op) => PNode::Op {
                            arity: id(op).arity,
                            op: id(op).id,
                        },
                    });
                    let nodes = nodes.collect();
                    PostfixExpr::new(nodes, constants, Default::default())
                })
                .collect()
        }

        /// The peer's seconds for one pass over all trees.
        fn $values(
            trees: &[Expr],
            n_rows: usize,
            value: &dyn Fn(usize, usize) -> f64,
        ) -> impl FnMut() -> f64 {
            let trees = $programs(trees);
            let x = Array2::from_shape_fn((N_INPUTS, n_rows), |(c, r)| value(c, r) as $t);
            let mut out = vec![0.0 as $t; n_rows];
            let mut context = EvalContext::<$t, 2>::new(n_rows);
            let options = EvalOptions {
                check_finite: true,
                early_exit: true,
            };
            move || {
                let start = Instant::now();
                for tree in &trees {
                    black_box(eval_tree_array_into::<$t, $ops, 2>(
                        &mut out,
                        tree,
                        x.view(),
                        &mut context,
                        &options,
                    ));
                }
                start.elapsed().as_secs_f64()
            }
        }

        /// The same with the derivatives by all constants.
        fn $gradients(
            trees: &[Expr],
            n_rows: usize,
            value: &dyn Fn(usize, usize) -> f64,
        ) -> impl FnMut() -> f64 {
            let trees = $programs(trees);
            let x = Array2::from_shape_fn((N_INPUTS, n_rows), |(c, r)| value(c, r) as $t);
            let mut context = GradContext::<$t, 2>::new(n_rows);
            let options = EvalOptions {
                check_finite: true,
                early_exit: true,
            };
            move || {
                let start = Instant::now();
                for tree in &trees {
                    black_box(eval_grad_tree_array::<$t, $ops, 2>(
                        tree,
                        x.view(),
                        false,
                        &mut context,
                        &options,
                    ));
                }
                start.elapsed().as_secs_f64()
            }
        }
    };
}

peer!(programs64, values64, gradients64, f64, Ops64);
peer!(programs32, values32, gradients32, f32, Ops32);

/// Values that are written at a time: as many as a cache holds.
const N_VALUES: usize = 1_000_000;

/// Opcodon's seconds for one pass: compile all trees, predict all rows of each.
fn ours<T: Float>(
    trees: &[Expr],
    n_rows: usize,
    value: &dyn Fn(usize, usize) -> f64,
) -> impl FnMut() -> f64 {
    let panel = Panel::<T>::from_fn(N_INPUTS, n_rows, |c, r| T::from_f64(value(c, r)));
    let mut generation = Generation::<T>::new(Tier::best().expect("a tier")).expect("a generation");
    let n_together = (N_VALUES / n_rows).min(trees.len());
    let mut out = vec![T::default(); n_together * n_rows];
    move || {
        let start = Instant::now();
        for trees in trees.chunks(n_together) {
            generation
                .compile(trees, N_INPUTS, Goal::Predict)
                .expect("trees compile");
            let out = black_box(&mut out[..trees.len() * n_rows]);
            generation.predictions(&panel, out).expect("kernels run");
        }
        start.elapsed().as_secs_f64()
    }
}

/// The same with Jᵀr and JᵀJ in all constants; the target is the first input.
fn our_gradients<T: Float>(
    trees: &[Expr],
    n_rows: usize,
    value: &dyn Fn(usize, usize) -> f64,
) -> impl FnMut() -> f64 {
    let panel = Panel::<T>::from_fn(N_INPUTS, n_rows, |c, r| T::from_f64(value(c, r)));
    let mut batch = Batch::<T>::new(Tier::best().expect("a tier")).expect("a batch");
    let (mut scratch, mut equations) = (Scratch::default(), NormalEquations::default());
    move || {
        let start = Instant::now();
        batch.expect_rows(n_rows);
        let goal = Goal::NormalEquations {
            target: 0,
            weight: None,
        };
        batch.compile(trees, N_INPUTS, goal).expect("trees compile");
        for k in 0..trees.len() {
            let equations = black_box(&mut equations);
            batch
                .normal_equations_into(k, &panel, &mut scratch, equations)
                .expect("kernels run");
        }
        start.elapsed().as_secs_f64()
    }
}

fn compare(
    what: &str,
    nodes: usize,
    n_rows: usize,
    mut ours: impl FnMut() -> f64,
    mut peer: impl FnMut() -> f64,
) {
    let (mut a, mut b) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..9 {
        a = a.min(ours());
        b = b.min(peer());
    }
    let rate = |seconds: f64| (nodes * n_rows) as f64 / seconds * 1e-9;
    println!(
        "{what:28} {n_rows:6} rows   opcodon {:6.2}   dynamic_expressions {:6.2} G node·rows/s   \
         ratio {:5.2}",
        rate(a),
        rate(b),
        b / a
    );
}

fn main() {
    use Op::{Add, Cos, Div, Exp, Log, Mul, Sin, Sqrt, Sub, Tanh};
    println!("tier {}", Tier::best().expect("a tier"));
    let mut random = Random(2026);
    let sets: [(&str, &[Op]); 2] = [
        ("arithmetic", &[Add, Sub, Mul, Div]),
        (
            "functions",
            &[Add, Sub, Mul, Div, Sin, Cos, Exp, Log, Sqrt, Tanh],
        ),
    ];
    for (name, ops) in sets {
        let trees: Vec<Expr> = (0..1000)
            .map(|k| tree(&mut random, ops, 5 + k % 46, N_INPUTS as u32))
            .collect();
        for n_rows in [100, 1000, 10_000] {
            let columns: Vec<Vec<f64>> = (0..N_INPUTS)
                .map(|_| (0..n_rows).map(|_| random.uniform(0.1, 3.0)).collect())
                .collect();
            let value = |c: usize, r: usize| columns[c][r];
            let trees = if n_rows > 1000 {
                &trees[..200]
            } else {
                &trees[..]
            };
            let nodes = trees.iter().map(Expr::len).sum();
            let (a, b) = (
                ours::<f64>(trees, n_rows, &value),
                values64(trees, n_rows, &value),
            );
            compare(&format!("{name} float64"), nodes, n_rows, a, b);
            let (a, b) = (
                ours::<f32>(trees, n_rows, &value),
                values32(trees, n_rows, &value),
            );
            compare(&format!("{name} float32"), nodes, n_rows, a, b);
            let fitted: Vec<Expr> = trees
                .iter()
                .filter(|tree| (3..=8).contains(&tree.n_constants()))
                .cloned()
                .collect();
            let nodes = fitted.iter().map(Expr::len).sum();
            let ours = our_gradients::<f64>(&fitted, n_rows, &value);
            let peer = gradients64(&fitted, n_rows, &value);
            compare(
                &format!("{name} gradient float64"),
                nodes,
                n_rows,
                ours,
                peer,
            );
            let ours = our_gradients::<f32>(&fitted, n_rows, &value);
            let peer = gradients32(&fitted, n_rows, &value);
            compare(
                &format!("{name} gradient float32"),
                nodes,
                n_rows,
                ours,
                peer,
            );
        }
    }
}
