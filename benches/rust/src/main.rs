//! Node·rows a second of Opcodon's population evaluator and of `dynamic_expressions`, in one run.
//!
//! The same 1000 random trees of 5–50 nodes over five inputs go to both, grown as those that
//! `benches/trees.py` grows; a node counts whether it is an operator or a leaf. For both, everything from the tree to the result is timed: here
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

use common::Random;
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

const ARITHMETIC: [Op; 4] = [Op::Add, Op::Sub, Op::Mul, Op::Div];
const FUNCTIONS: [Op; 6] = [Op::Sin, Op::Cos, Op::Exp, Op::Log, Op::Sqrt, Op::Tanh];

/// Appends a random tree of `size` nodes, in postfix order.
fn grow(random: &mut Random, functions: &[Op], size: usize, out: &mut Vec<Node>) {
    if size == 1 {
        out.push(if random.below(10) < 7 {
            Node::Var(random.below(N_INPUTS) as u32)
        } else {
            Node::Const(random.uniform(0.1, 5.0))
        });
    } else if !functions.is_empty() && (size == 2 || random.below(10) < 3) {
        grow(random, functions, size - 1, out);
        out.push(Node::Op(functions[random.below(functions.len())]));
    } else {
        let left = match functions {
            // Of binary operators alone, all trees have an odd number of nodes.
            [] => 1 + 2 * random.below((size - 1) / 2),
            _ => 1 + random.below(size - 2),
        };
        grow(random, functions, left, out);
        grow(random, functions, size - 1 - left, out);
        out.push(Node::Op(ARITHMETIC[random.below(ARITHMETIC.len())]));
    }
}

/// Random trees of 5–50 nodes that are finite on a probe, since the peer leaves others early.
fn random_trees(random: &mut Random, functions: &[Op], n: usize) -> Vec<Expr> {
    let mut trees = Vec::new();
    while trees.len() < n {
        let size = 5 + random.below(46);
        let size = if functions.is_empty() { size | 1 } else { size };
        let mut nodes = Vec::new();
        grow(random, functions, size, &mut nodes);
        let tree = Expr::from_postfix(nodes).expect("a tree");
        let is_finite = (0..64).all(|_| {
            let row = [(); N_INPUTS].map(|()| random.uniform(0.1, 3.0));
            tree.eval(&row).is_finite()
        });
        if is_finite {
            trees.push(tree);
        }
    }
    trees
}

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
    generation.expect_rows(n_rows);
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
    println!("tier {}", Tier::best().expect("a tier"));
    let mut random = Random(2026);
    let sets: [(&str, &[Op]); 2] = [("arithmetic", &[]), ("functions", &FUNCTIONS)];
    for (name, functions) in sets {
        let trees = random_trees(&mut random, functions, 1000);
        for n_rows in [20, 100, 1000, 10_000, 100_000] {
            let columns: Vec<Vec<f64>> = (0..N_INPUTS)
                .map(|_| (0..n_rows).map(|_| random.uniform(0.1, 3.0)).collect())
                .collect();
            let value = |c: usize, r: usize| columns[c][r];
            let trees = match n_rows {
                ..=1000 => &trees[..],
                1001..=10_000 => &trees[..200],
                _ => &trees[..40],
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
