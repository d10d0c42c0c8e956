//! What each operator can make of small parents: the complete set of outcomes.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too")]

use std::collections::BTreeSet;

use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node, Op, parse};
use opcodon_gp::{
    Constants, Crossover, Limits, Mutation, PrimitiveSet, Rates, Variation, Workspace,
};

const WIDE: Limits = Limits {
    max_size: 100,
    max_depth: 100,
};

fn expr(text: &str) -> Expr {
    parse(text, Some(&["x0", "x1", "x2", "x3"])).unwrap().expr
}

fn variation(ops: &[Op], n_variables: u32, limits: Limits) -> Variation {
    let set = PrimitiveSet::builder()
        .operators(ops)
        .variables(n_variables)
        .build()
        .unwrap();
    let rates = Rates {
        internal: 0.5,
        ..Rates::default()
    };
    Variation::new(set, limits, rates).unwrap()
}

/// All that comes out over many streams; "-" stands for "does not apply".
fn outcomes(apply: impl Fn(&mut Rng, &mut Workspace) -> Option<Expr>) -> BTreeSet<String> {
    let mut space = Workspace::new();
    (0..2000)
        .map(|stream| apply(&mut Rng::new(1, stream), &mut space))
        .map(|child| child.map_or_else(|| "-".to_owned(), |expr| expr.to_string()))
        .collect()
}

fn expected(outcomes: &[&str]) -> BTreeSet<String> {
    let text = |o: &&str| {
        if *o == "-" {
            "-".to_owned()
        } else {
            expr(o).to_string()
        }
    };
    outcomes.iter().map(text).collect()
}

#[test]
fn mutations() {
    use Mutation::*;
    use Op::*;
    type Row<'a> = (Mutation, &'a [Op], u32, Limits, &'a str, &'a [&'a str]);
    let small = |max_size, max_depth| Limits {
        max_size,
        max_depth,
    };
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        // operator, operators of the set, variables, limits, parent, all outcomes
        (Point, &[Sin, Cos, Add], 2, WIDE, "sin(x0)", &["cos(x0)", "sin(x1)"]),
        (Point, &[Sin, Add], 1, WIDE, "sin(x0)", &["-"]),
        (Point, &[Sin, Add, If, Fma], 1, WIDE, "if(x0, x0, x0)", &["fma(x0, x0, x0)", "-"]),
        (MultiPoint, &[Sin, Cos], 2, WIDE, "sin(x0)", &["cos(x0)", "sin(x1)", "cos(x1)", "-"]),
        (Subtree, &[Sin], 1, small(3, 9), "sin(sin(x0))", &["x0", "sin(x0)", "sin(sin(x0))"]),
        (Subtree, &[Add], 1, WIDE, "x0", &["x0"]),
        (Insert, &[Sin, Add], 1, WIDE, "x0", &["sin(x0)", "x0 + x0"]),
        (Insert, &[Sub], 2, WIDE, "x0", &["x0 - x0", "x0 - x1", "x1 - x0"]),
        (Insert, &[Sin, Add], 1, small(3, 9), "sin(x0)", &["sin(sin(x0))"]),
        (Insert, &[Add], 1, small(2, 9), "x0", &["-"]),
        (Insert, &[Sin], 1, small(9, 2), "sin(x0)", &["-"]),
        (Insert, &[Sub], 1, small(9, 2), "x0 - x0", &["-"]),
        (Insert, &[Sub], 1, small(9, 3), "x0 - x0",
            &["x0 - (x0 - x0)", "x0 - x0 - x0"]),
        (Shrink, &[Add], 1, WIDE, "sin(x0) + x1", &["sin(x0)", "x1", "x0 + x1"]),
        (Shrink, &[Add], 1, WIDE, "if(x0, x1, x2)", &["x0", "x1", "x2"]),
        (Shrink, &[Add], 1, WIDE, "x0", &["-"]),
        (Prune, &[Add], 2, WIDE, "sin(x0) + x1", &["x0", "x1", "x0 + x1", "x1 + x1"]),
        (Prune, &[Add], 2, WIDE, "x0", &["-"]),
        (Hoist, &[Add], 1, WIDE, "sin(x0) + x1", &["x0", "sin(x0)", "x1", "x0 + x1"]),
        (Hoist, &[Add], 1, WIDE, "x0", &["-"]),
        (Swap, &[Add], 1, WIDE, "x0 - x1*x2", &["x1*x2 - x0"]),
        (Swap, &[Add], 1, WIDE, "x0 + x1", &["-"]),
        (Swap, &[Add], 1, WIDE, "x0 - x0", &["-"]),
        (Swap, &[Add], 1, WIDE, "if(x0, sin(x1), x2)",
            &["if(sin(x1), x0, x2)", "if(x2, sin(x1), x0)", "if(x0, x2, sin(x1))"]),
        (Rotate, &[Add], 1, WIDE, "x0 + x1*x2", &["(x0 + x1)*x2", "x1*(x0 + x2)"]),
        (Rotate, &[Add], 1, WIDE, "x1*x2 - x0", &["(x1 - x0)*x2", "x1*(x2 - x0)"]),
        (Rotate, &[Add], 1, WIDE, "sin(cos(x0))", &["cos(sin(x0))"]),
        (Rotate, &[Add], 1, WIDE, "sin(x0)", &["-"]),
        (Rotate, &[Add], 1, WIDE, "x0", &["-"]),
        (Rotate, &[Add], 1, WIDE, "sin(x0) - sin(x1)", &["sin(x0 - sin(x1))", "sin(sin(x0) - x1)"]),
        // The other operand would go too deep.
        (Rotate, &[Add], 1, small(9, 3), "sin(x0) - sin(x1)", &["-"]),
        (Constant, &[Add], 1, WIDE, "x0 + x1", &["-"]),
        (Constants, &[Add], 1, WIDE, "x0 + x1", &["-"]),
        (Variable, &[Add], 3, WIDE, "x0 + x0",
            &["x1 + x0", "x2 + x0", "x0 + x1", "x0 + x2"]),
        (Variable, &[Add], 1, WIDE, "x0 + x0", &["-"]),
        (Variable, &[Add], 3, WIDE, "1 + 2", &["-"]),
    ];
    for &(operator, ops, n_variables, limits, parent, all) in rows {
        let variation = variation(ops, n_variables, limits);
        let parent = expr(parent);
        let found = outcomes(|rng, space| variation.apply_mutation(operator, rng, space, &parent));
        let all = expected(all);
        assert_eq!(found, all, "{operator:?} of {parent} with {ops:?}");
    }
}

#[test]
fn crossovers() {
    use Crossover::*;
    let small = |max_size, max_depth| Limits {
        max_size,
        max_depth,
    };
    type Row<'a> = (Crossover, Limits, &'a str, &'a str, &'a [&'a str]);
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (Subtree, WIDE, "sin(x0)", "cos(x1)", &["x1", "cos(x1)", "sin(x1)", "sin(cos(x1))"]),
        (Subtree, small(2, 9), "sin(x0)", "cos(x1)", &["x1", "cos(x1)", "sin(x1)"]),
        (Subtree, small(9, 2), "sin(x0)", "cos(x1)", &["x1", "cos(x1)", "sin(x1)"]),
        (Subtree, WIDE, "x0", "x1", &["x1"]),
        (Subtree, small(3, 9), "x0 + x1", "x2*(x3*x2)",
            &["x2", "x3", "x3*x2", "x2 + x1", "x3 + x1", "x0 + x2", "x0 + x3"]),
        (SizeFair, WIDE, "sin(x0)", "cos(x1)", &["cos(x1)", "sin(x1)", "x1"]),
        (SizeFair, small(1, 1), "x0", "x1 + x2", &["x1", "x2"]),
        (OnePoint, WIDE, "x0 + sin(x1)", "x2*x3", &["x2 + sin(x1)", "x0 + x3"]),
        (OnePoint, WIDE, "x0 + sin(x1)", "x2*cos(x3)",
            &["x2 + sin(x1)", "x0 + cos(x3)", "x0 + sin(x3)"]),
        (OnePoint, WIDE, "x0 + x1", "sin(x2)", &["-"]),
        (OnePoint, WIDE, "x0", "x1", &["-"]),
        (OnePoint, small(3, 9), "x0 + x1", "x2*sin(x3)", &["x2 + x1"]),
        (OnePoint, WIDE, "if(x0, x1, x2)", "fma(x3, x3, sin(x3))",
            &["if(x3, x1, x2)", "if(x0, x3, x2)", "if(x0, x1, sin(x3))"]),
    ];
    for &(operator, limits, mother, father, all) in rows {
        let variation = variation(&[Op::Add], 4, limits);
        let (mother, father) = (expr(mother), expr(father));
        let found = outcomes(|rng, space| {
            variation.apply_crossover(operator, rng, space, &mother, &father)
        });
        let mut all = expected(all);
        if operator == SizeFair && mother == expr("sin(x0)") {
            // A gap of 2 has an equal donor, cos(x1), and a smaller one, but no larger one.
            all.remove(&expr("x1").to_string());
        }
        assert_eq!(found, all, "{operator:?} of {mother} and {father}");
    }
}

#[test]
fn constants_move_a_little_and_stay_finite() {
    let set = PrimitiveSet::builder()
        .operators(&[Op::Add])
        .constants(
            Constants::Uniform {
                low: -1.0,
                high: 1.0,
            },
            1.0,
        )
        .build()
        .unwrap();
    let rates = Rates {
        sigma: 0.1,
        ..Rates::default()
    };
    let variation = Variation::new(set, WIDE, rates).unwrap();
    let mut space = Workspace::new();
    for (text, operator) in [
        ("x0 + 2", Mutation::Constant),
        ("3*x0 + 2", Mutation::Constants),
    ] {
        let parent = expr(text);
        for stream in 0..500 {
            let mut rng = Rng::new(3, stream);
            let child = variation
                .apply_mutation(operator, &mut rng, &mut space, &parent)
                .unwrap();
            for (old, new) in parent.constants().into_iter().zip(child.constants()) {
                assert!(
                    new != old && (new.abs() - old).abs() < 0.6 * old.abs(),
                    "{child}"
                );
            }
        }
    }
    for (value, changes) in [
        (0.0, true),
        (f64::MAX, true),
        (f64::NAN, false),
        (f64::INFINITY, false),
    ] {
        let parent = Expr::constant(value);
        let found: Vec<f64> = (0..200)
            .filter_map(|stream| {
                let mut rng = Rng::new(4, stream);
                variation.apply_mutation(Mutation::Constant, &mut rng, &mut space, &parent)
            })
            .map(|child| child.constants()[0])
            .collect();
        assert!(found.iter().all(|v| v.is_finite()), "{value}: {found:?}");
        assert_eq!(!found.is_empty(), changes, "{value}");
    }
}

#[test]
fn size_fair_crossover_keeps_the_size_on_average_and_bounds_what_comes() {
    let variation = variation(&[Op::Add], 1, WIDE);
    let chain = |size: usize| {
        let nodes =
            std::iter::once(Node::Var(0)).chain(std::iter::repeat_n(Node::Op(Op::Sin), size - 1));
        Expr::from_postfix(nodes.collect()).unwrap()
    };
    // The father has donors of every size up to twice the mother's.
    let (mother, father) = (chain(10), chain(30));
    let mut space = Workspace::new();
    let changes: Vec<f64> = (0..20_000)
        .map(|stream| {
            let mut rng = Rng::new(5, stream);
            let child = variation
                .apply_crossover(Crossover::SizeFair, &mut rng, &mut space, &mother, &father)
                .unwrap();
            assert!(child.len() <= 2 * mother.len() + 1);
            child.len() as f64 - mother.len() as f64
        })
        .collect();
    let n = changes.len() as f64;
    let mean = changes.iter().sum::<f64>() / n;
    let variance = changes.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / n;
    assert!(variance > 1.0, "children differ from the mother");
    assert!(
        mean.abs() < 4.5 * (variance / n).sqrt(),
        "mean change of size {mean}"
    );
}

#[test]
fn donors_are_drawn_uniformly_among_those_that_fit() {
    // Internal donors of at most three nodes: x0*x1, x1*x2, x2*x0; the rest is too large.
    let father = expr("sin((x0*x1 + x1*x2) + x2*x0)");
    let mother = expr("x3");
    let limits = Limits::new(3, 9);
    let set = PrimitiveSet::builder()
        .operators(&[Op::Add])
        .variables(4)
        .build()
        .unwrap();
    let rates = Rates {
        internal: 1.0,
        ..Rates::default()
    };
    let variation = Variation::new(set, limits, rates).unwrap();
    let mut space = Workspace::new();
    let mut counts = std::collections::BTreeMap::new();
    for stream in 0..9000 {
        let mut rng = Rng::new(7, stream);
        let child = variation
            .apply_crossover(Crossover::Subtree, &mut rng, &mut space, &mother, &father)
            .unwrap();
        *counts.entry(child.to_string()).or_insert(0u32) += 1;
    }
    assert_eq!(counts.len(), 3, "{counts:?}");
    assert!(
        counts.values().all(|c| c.abs_diff(3000) < 220),
        "{counts:?}"
    );
}
