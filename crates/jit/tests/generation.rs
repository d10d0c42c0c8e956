//! What trees share is computed once, and changes no bit.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "tests of small numbers"
)]

mod common;

use common::{Random, columns, tiers, tree};
use opcodon_expr::{Expr, Node, Op};
use opcodon_jit::{Batch, Float, Generation, Goal, JitError, Panel, Tier};

/// Operators among which functions of leaves are frequent.
const OPS: [Op; 14] = [
    Op::Add,
    Op::Sub,
    Op::Mul,
    Op::Div,
    Op::Neg,
    Op::Pow,
    Op::Inv,
    Op::Sqrt,
    Op::Exp,
    Op::Log,
    Op::Sin,
    Op::Cos,
    Op::Tanh,
    Op::Sigmoid,
];

fn trees(random: &mut Random, n: usize, n_vars: u32) -> Vec<Expr> {
    (0..n)
        .map(|k| tree(random, &OPS, 1 + k % 40, n_vars))
        .collect()
}

/// Trees that come from each other: subtrees of one take the place of leaves of another, so that some
/// are in many trees, inside each other, or several times in one.
fn related(random: &mut Random, n: usize, n_vars: u32) -> Vec<Expr> {
    let mut trees = trees(random, n.div_ceil(4), n_vars);
    while trees.len() < n {
        let [mother, father] = [(); 2].map(|()| random.below(trees.len()));
        let (mother, father) = (&trees[mother], &trees[father]);
        let graft = &father.nodes()[father.subtree(random.below(father.len()))];
        let is_taken = random.below(3);
        let mut child = Vec::new();
        for node in mother.nodes() {
            let is_leaf = matches!(node, Node::Var(_) | Node::Const(_));
            if is_leaf && random.below(3) < is_taken && child.len() < 200 {
                child.extend_from_slice(graft);
            } else {
                child.push(*node);
            }
        }
        trees.push(Expr::from_postfix(child).unwrap());
    }
    trees
}

fn panel<T: Float>(columns: &[Vec<f64>]) -> Panel<T> {
    Panel::from_fn(columns.len(), columns[0].len(), |c, r| {
        T::from_f64(columns[c][r])
    })
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Values and losses of a generation and of a batch, over tables of several lengths.
fn check<T: Float>(tier: Tier, n_expected: usize, n_threads: usize) {
    let mut random = Random(21);
    let mut generation = Generation::<T>::new(tier).unwrap();
    generation.use_threads(n_threads);
    let mut batch = Batch::<T>::new(tier).unwrap();
    let shapes = [
        (1, 40),
        (20, 400),
        (1024, 60),
        (2500, 40),
        (33, 15),
        (7, 1),
        (4500, 3),
    ];
    for (n_rows, n_trees) in shapes {
        let mut data = columns(&mut random, 6, n_rows);
        for weight in &mut data[5] {
            *weight = weight.abs();
        }
        let panel = panel::<T>(&data);
        // Trees that have more in common than functions of leaves, and such that have not.
        let make = if n_expected == 300 { trees } else { related };
        let trees = make(&mut random, n_trees, 4);
        batch.compile(&trees, 4, Goal::Predict).unwrap();
        // Of how many rows are expected depends how deeply trees are looked at, not what comes out.
        generation.expect_rows(n_expected);
        generation.compile(&trees, 4, Goal::Predict).unwrap();
        assert_eq!(generation.len(), n_trees);
        let mut expected = vec![T::from_f64(0.0); n_trees * n_rows];
        let mut found = expected.clone();
        batch.predictions(0, &panel, &mut expected).unwrap();
        for _ in 0..2 {
            generation.predictions(&panel, &mut found).unwrap();
            for (at, (a, b)) in found.iter().zip(&expected).enumerate() {
                let tree = &trees[at / n_rows];
                assert!(same(a.to_f64(), b.to_f64()), "{tier} {tree:?}");
            }
        }
        for weight in [None, Some(5)] {
            let goal = Goal::Mse { target: 4, weight };
            batch.compile(&trees, 4, goal).unwrap();
            generation.compile(&trees, 4, goal).unwrap();
            let (mut expected, mut found) = (vec![0.0; n_trees], vec![0.0; n_trees]);
            batch.losses(0, &panel, &mut expected).unwrap();
            generation.losses(&panel, None, &mut found).unwrap();
            let formula = opcodon_expr::parse("abs(p - y)", Some(&["p", "y"]));
            let formula = formula.unwrap().expr;
            assert!(found.iter().zip(&expected).all(|(&a, &b)| same(a, b)));
            batch.compile_loss(&trees, 4, &formula, 4, weight).unwrap();
            generation
                .compile_loss(&trees, 4, &formula, 4, weight)
                .unwrap();
            batch.losses(0, &panel, &mut expected).unwrap();
            // What is beyond its bound is left where the batch leaves it.
            for factor in [f64::INFINITY, 1.0, 0.3] {
                let bounds = expected.iter().map(|loss| loss * factor);
                let bounds = bounds.map(|bound| bound.max(0.0)).collect::<Vec<_>>();
                (batch.losses_within(0, &panel, Some(&bounds), &mut expected)).unwrap();
                (generation.losses(&panel, Some(&bounds), &mut found)).unwrap();
                assert!(found.iter().zip(&expected).all(|(&a, &b)| same(a, b)));
            }
        }
    }
}

#[test]
fn sharing_changes_no_bit() {
    for tier in tiers() {
        for n_expected in [300, 1000, usize::MAX] {
            check::<f64>(tier, n_expected, 1);
            check::<f32>(tier, n_expected, 1);
        }
    }
}

#[test]
fn code_gets_shorter_where_trees_share() {
    let tier = Tier::best().unwrap();
    let formula = |text: &str| opcodon_expr::parse(text, Some(&["x"])).unwrap().expr;
    let (mut generation, mut batch) = (
        Generation::<f64>::new(tier).unwrap(),
        Batch::<f64>::new(tier).unwrap(),
    );
    let shared = [
        "sin(x)*exp(x) + log(2.5)",
        "sin(x*x + 0.5) * exp(tanh(x*x - 1)) / x",
        "sin(cos(x + 1)) + cos(x + 1) * tanh(cos(x + 1))",
        "(x*x - 1)/(x + 3) + ((x*x - 1)/(x + 3))^2.5",
    ];
    for text in shared {
        let trees = vec![formula(text); 32];
        batch.compile(&trees, 1, Goal::Predict).unwrap();
        generation.compile(&trees, 1, Goal::Predict).unwrap();
        let whole = batch.code(0).unwrap().len();
        let length = generation.code(0).unwrap().len();
        assert!(length < whole * 2 / 3, "{text}: {length} of {whole}");
    }
    // Nothing is in two trees.
    let trees: Vec<Expr> = (0..32)
        .map(|k| formula(&format!("sin(x + {k}) / (x - {k})")))
        .collect();
    batch.compile(&trees, 1, Goal::Predict).unwrap();
    generation.compile(&trees, 1, Goal::Predict).unwrap();
    let whole = batch.code(3).unwrap().len();
    assert_eq!(generation.code(3).unwrap().len(), whole);
}

/// Quotients are shared, by constants, of values and of values by columns, too.
fn check_quotients<T: Float>(tier: Tier) {
    let mut random = Random(23);
    for n_inputs in [2, 33, 240] {
        let data = columns(&mut random, n_inputs, 1500);
        let panel = panel::<T>(&data);
        let (a, b) = (0, u32::try_from(n_inputs).unwrap() - 1);
        let [a, b, c] = [Node::Var(a), Node::Var(b), Node::Const(3.5)];
        let [div, mul] = [Op::Div, Op::Mul].map(Node::Op);
        let shapes = [
            vec![a, b, div],
            vec![b, a, div, a, b, div, mul],
            vec![c, a, b, div, div],
            vec![a, b, mul, a, div],
            vec![a, c, div, b, c, div, div, b, mul],
            vec![c, b, div],
            vec![a, a, div, a, b, div, div],
        ];
        let trees: Vec<Expr> = (0..35)
            .map(|k| Expr::from_postfix(shapes[k % shapes.len()].clone()).unwrap())
            .collect();
        let mut batch = Batch::<T>::new(tier).unwrap();
        batch.compile(&trees, n_inputs, Goal::Predict).unwrap();
        let mut generation = Generation::<T>::new(tier).unwrap();
        generation.compile(&trees, n_inputs, Goal::Predict).unwrap();
        let mut expected = vec![T::from_f64(0.0); trees.len() * 1500];
        let mut found = expected.clone();
        batch.predictions(0, &panel, &mut expected).unwrap();
        generation.predictions(&panel, &mut found).unwrap();
        for (at, (a, b)) in found.iter().zip(&expected).enumerate() {
            let tree = &trees[at / 1500];
            assert!(same(a.to_f64(), b.to_f64()), "{tier} {tree:?}");
        }
        let lengths = [batch.code(1), generation.code(1)].map(|code| code.unwrap().len());
        let has_room = n_inputs < 240;
        assert_eq!(lengths[1] < lengths[0], has_room, "{tier} {lengths:?}");
    }
}

#[test]
fn threads_change_no_bit() {
    let tier = Tier::best().unwrap();
    for n_threads in [2, 3, 8] {
        for n_expected in [20, 1000, usize::MAX] {
            check::<f64>(tier, n_expected, n_threads);
            check::<f32>(tier, n_expected, n_threads);
        }
    }
}

#[test]
fn quotients_of_columns_are_shared() {
    for tier in tiers() {
        check_quotients::<f64>(tier);
        check_quotients::<f32>(tier);
    }
}

#[test]
fn more_columns_than_can_be_shared_are_left_in_their_trees() {
    let (tier, mut random) = (Tier::best().unwrap(), Random(22));
    for n_columns in [60, 239, 300] {
        let data = columns(&mut random, n_columns, 40);
        let panel = panel::<f64>(&data);
        let tree = |k: usize| {
            let column = Node::Var(u32::try_from(k % n_columns).unwrap());
            let ops = [Op::Sin, Op::Exp].map(Node::Op);
            Expr::from_postfix(vec![column, ops[0], column, ops[1], Node::Op(Op::Mul)]).unwrap()
        };
        let trees: Vec<Expr> = (0..2 * n_columns).map(tree).collect();
        let mut generation = Generation::<f64>::new(tier).unwrap();
        generation
            .compile(&trees, n_columns, Goal::Predict)
            .unwrap();
        let mut found = vec![0.0; trees.len() * 40];
        generation.predictions(&panel, &mut found).unwrap();
        let mut batch = Batch::<f64>::new(tier).unwrap();
        batch.compile(&trees, n_columns, Goal::Predict).unwrap();
        let mut expected = found.clone();
        batch.predictions(0, &panel, &mut expected).unwrap();
        assert!(found.iter().zip(&expected).all(|(&a, &b)| same(a, b)));
    }
}

#[test]
fn mistakes_are_those_of_a_batch() {
    let tier = Tier::best().unwrap();
    let mut trees = vec![opcodon_expr::parse("sin(x)", None).unwrap().expr; 40];
    trees.push(opcodon_expr::parse("a + b", None).unwrap().expr);
    let mut generation = Generation::<f64>::new(tier).unwrap();
    for n_threads in [2, 1] {
        generation.use_threads(n_threads);
        assert!(matches!(
            generation.compile(&trees, 1, Goal::Predict),
            Err(JitError::MissingInput {
                index: 40,
                input: 1,
                n_inputs: 1
            })
        ));
    }
    trees.pop();
    generation.compile(&trees, 1, Goal::Predict).unwrap();
    let none = Panel::<f64>::from_columns(&[]).unwrap();
    let one = Panel::<f64>::from_columns(&[&[1.0, 2.0]]).unwrap();
    assert!(generation.predictions(&none, &mut [0.0; 40]).is_err());
    assert!(generation.predictions(&one, &mut [0.0; 81]).is_err());
    assert!(generation.losses(&one, None, &mut [0.0; 40]).is_err());
    assert!(generation.predictions(&one, &mut [0.0; 80]).is_ok());
    let goal = Goal::Mse {
        target: 1,
        weight: Some(2),
    };
    generation.compile(&trees, 1, goal).unwrap();
    assert!(matches!(
        generation.losses(&one, None, &mut [0.0; 40]),
        Err(JitError::ColumnCount { expected: 3, .. })
    ));
}
