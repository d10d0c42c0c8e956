//! What holds for every operator and every initialiser: limits, determinism, no dependence on
//! buffers, trees of any depth.

#![expect(clippy::unwrap_used, reason = "the helpers are tests too")]

use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node, Op};
use opcodon_gp::{
    Constants, Crossover, Init, Limits, Mutation, PrimitiveSet, Rates, Variation, VariationError,
    Workspace,
};

fn sets() -> Vec<PrimitiveSet> {
    let rows: &[&[Op]] = &[
        &[Op::Add, Op::Sub, Op::Mul, Op::Div],
        &[Op::Sin],
        &[Op::If],
        &[Op::Add, Op::Fma],
        &[Op::Exp, Op::Mul, Op::If],
        Op::ALL,
    ];
    let mut sets = Vec::new();
    for ops in rows {
        let builder = PrimitiveSet::builder().operators(ops);
        let normal = Constants::Normal {
            mean: 0.0,
            std_dev: 1.0,
        };
        sets.push(builder.clone().variables(3).build().unwrap());
        sets.push(
            builder
                .clone()
                .variables(1)
                .constants(normal.clone(), 0.5)
                .build()
                .unwrap(),
        );
        sets.push(builder.constants(normal, 1.0).build().unwrap());
    }
    sets
}

/// A tree of random shape, which may well be beyond the limits of the operators under test.
fn random_tree(rng: &mut Rng, space: &mut Workspace, set: &PrimitiveSet) -> Expr {
    let limits = Limits::new(60, rng.range(1, 40));
    let init = match rng.below(4) {
        0 => Init::Ptc2 {
            min_size: 1,
            max_size: 60,
        },
        1 => Init::Balanced {
            min_size: 1,
            max_size: 60,
            irregularity: rng.f64(),
        },
        2 => Init::Ramped {
            min_depth: 1,
            max_depth: 6,
        },
        _ => Init::Grow {
            min_depth: 1,
            max_depth: 12,
        },
    };
    init.create(rng, space, set, limits)
}

#[test]
fn no_operator_returns_a_tree_beyond_its_limits() {
    for (index, set) in sets().into_iter().enumerate() {
        for case in 0..150 {
            let mut rng = Rng::new(index as u64, case);
            let mut space = Workspace::new();
            let limits = Limits::new(rng.range(1, 40), rng.range(1, 12));
            let rates = Rates {
                internal: rng.f64(),
                points: 3.0,
                ..Rates::default()
            };
            let variation = Variation::new(set.clone(), limits, rates).unwrap();
            let mother = random_tree(&mut rng, &mut space, &set);
            let father = random_tree(&mut rng, &mut space, &set);
            let check = |child: Option<Expr>, what: &str| {
                if let Some(child) = child {
                    assert!(
                        child.len() <= limits.max_size && child.depth() <= limits.max_depth,
                        "{what}: {child} of {mother} and {father} with {limits:?}"
                    );
                    assert!(
                        child.n_variables()
                            <= mother
                                .n_variables()
                                .max(father.n_variables())
                                .max(set.n_variables() as usize)
                    );
                }
            };
            for operator in Crossover::ALL {
                let child =
                    variation.apply_crossover(operator, &mut rng, &mut space, &mother, &father);
                check(child, operator.name());
            }
            for operator in Mutation::ALL {
                let child = variation.apply_mutation(operator, &mut rng, &mut space, &mother);
                check(child, operator.name());
            }
            check(
                Some(variation.vary(&mut rng, &mut space, &mother, &father).expr),
                "vary",
            );
            check(
                Some(variation.mutate(&mut rng, &mut space, &mother).expr),
                "mutate",
            );
            let init = Init::Ramped {
                min_depth: rng.below(5),
                max_depth: rng.below(9),
            };
            check(
                Some(init.create(&mut rng, &mut space, &set, limits)),
                "ramped",
            );
        }
    }
}

#[test]
fn a_child_of_parents_within_the_limits_is_always_found_by_crossover() {
    for (index, set) in sets().into_iter().enumerate() {
        for case in 0..100 {
            let mut rng = Rng::new(100 + index as u64, case);
            let mut space = Workspace::new();
            let limits = Limits::new(rng.range(1, 40), rng.range(1, 12));
            let variation = Variation::new(set.clone(), limits, Rates::default()).unwrap();
            let init = Init::Ptc2 {
                min_size: 1,
                max_size: 40,
            };
            let mother = init.create(&mut rng, &mut space, &set, limits);
            let father = init.create(&mut rng, &mut space, &set, limits);
            for operator in [Crossover::Subtree, Crossover::SizeFair] {
                let child =
                    variation.apply_crossover(operator, &mut rng, &mut space, &mother, &father);
                assert!(
                    child.is_some(),
                    "{operator:?} of {mother} and {father} with {limits:?}"
                );
            }
        }
    }
}

#[test]
fn children_depend_on_the_generator_alone() {
    let set = sets().pop().unwrap();
    let variation = Variation::new(set.clone(), Limits::new(40, 10), Rates::default()).unwrap();
    let mut used = Workspace::new();
    for stream in 0..500 {
        let make = |space: &mut Workspace| {
            let mut rng = Rng::new(9, stream);
            let mother = random_tree(&mut rng, space, &set);
            let father = random_tree(&mut rng, space, &set);
            variation.vary(&mut rng, space, &mother, &father)
        };
        assert_eq!(make(&mut Workspace::new()), make(&mut used));
    }
}

#[test]
fn trees_of_depth_100_000_are_varied() {
    let mut nodes = vec![Node::Var(0)];
    for level in 0..100_000 {
        if level % 3 == 0 {
            nodes.extend([Node::Const(2.0), Node::Op(Op::Sub)]);
        } else {
            nodes.push(Node::Op(if level % 3 == 1 { Op::Sin } else { Op::Neg }));
        }
    }
    let tree = Expr::from_postfix(nodes).unwrap();
    let set = PrimitiveSet::builder()
        .operators(Op::ALL)
        .variables(2)
        .build()
        .unwrap();
    let limits = Limits::new(300_000, 200_000);
    let variation = Variation::new(set.clone(), limits, Rates::default()).unwrap();
    let mut space = Workspace::new();
    let mut rng = Rng::new(1, 1);
    for operator in Crossover::ALL {
        for _ in 0..3 {
            let child = variation.apply_crossover(operator, &mut rng, &mut space, &tree, &tree);
            assert!(child.is_some_and(|c| limits.allow(&c)), "{operator:?}");
        }
    }
    for operator in Mutation::ALL {
        for _ in 0..3 {
            if let Some(child) = variation.apply_mutation(operator, &mut rng, &mut space, &tree) {
                assert!(limits.allow(&child), "{operator:?}");
            }
        }
    }
    // And grown: 50,000 nested sines.
    let unary = PrimitiveSet::builder()
        .operators(&[Op::Sin])
        .variables(1)
        .build()
        .unwrap();
    for init in [
        Init::Ptc2 {
            min_size: 50_000,
            max_size: 50_000,
        },
        Init::Balanced {
            min_size: 50_000,
            max_size: 50_000,
            irregularity: 0.5,
        },
        Init::Full {
            min_depth: 50_000,
            max_depth: 50_000,
        },
    ] {
        let grown = init.create(&mut rng, &mut space, &unary, limits);
        assert_eq!((grown.len(), grown.depth()), (50_000, 50_000), "{init:?}");
    }
}

#[test]
fn every_operator_is_drawn_and_reported() {
    let set = PrimitiveSet::builder()
        .operators(&[Op::Add, Op::Sub, Op::Mul, Op::Sin])
        .variables(3)
        .constants(Constants::Integers { low: -5, high: 5 }, 1.0)
        .build()
        .unwrap();
    let rates = Rates {
        crossover: 0.5,
        mutation: 0.5,
        ..Rates::default()
    };
    let variation = Variation::new(set.clone(), Limits::new(50, 20), rates).unwrap();
    let mut space = Workspace::new();
    let (mut crossovers, mut mutations) = (
        std::collections::BTreeSet::new(),
        std::collections::BTreeSet::new(),
    );
    let mut rng = Rng::new(2, 2);
    let mut both = 0;
    for _ in 0..5000 {
        let mother = random_tree(&mut rng, &mut space, &set);
        let father = random_tree(&mut rng, &mut space, &set);
        let child = variation.vary(&mut rng, &mut space, &mother, &father);
        assert!(
            child.crossover.is_some()
                || child.mutation.is_some()
                || mother.len() == 1
                || mother.len() > 50
                || mother.depth() > 20,
            "nothing was applied to {mother}"
        );
        both += u32::from(child.crossover.is_some() && child.mutation.is_some());
        crossovers.extend(child.crossover);
        mutations.extend(child.mutation);
    }
    assert!(crossovers.into_iter().eq(Crossover::ALL));
    assert_eq!(mutations.len(), Mutation::ALL.len(), "{mutations:?}");
    assert!(both.abs_diff(1250) < 200, "both in {both} of 5000");
}

#[test]
fn bad_rates_are_refused() {
    let set = PrimitiveSet::builder()
        .operators(&[Op::Add])
        .variables(1)
        .build()
        .unwrap();
    let limits = Limits::new(10, 5);
    let good = Rates::default();
    let rows = [
        (
            Rates {
                crossover: 1.5,
                ..good.clone()
            },
            "the probability of crossover is 1.5; it must lie between 0 and 1",
        ),
        (
            Rates {
                mutation: f64::NAN,
                ..good.clone()
            },
            "the probability of mutation is NaN; it must lie between 0 and 1",
        ),
        (
            Rates {
                internal: -0.1,
                ..good.clone()
            },
            "the probability of internal nodes is -0.1; it must lie between 0 and 1",
        ),
        (
            Rates {
                sigma: 0.0,
                ..good.clone()
            },
            "sigma is 0; it must be a positive number",
        ),
        (
            Rates {
                points: f64::INFINITY,
                ..good.clone()
            },
            "points is inf; it must be a positive number",
        ),
        (
            Rates {
                mutations: vec![],
                ..good.clone()
            },
            "the weights of mutation operators must be 0 or positive, and at least one positive",
        ),
        (
            Rates {
                crossovers: vec![(Crossover::Subtree, -1.0)],
                ..good.clone()
            },
            "the weights of crossover operators must be 0 or positive, and at least one positive",
        ),
    ];
    for (rates, message) in rows {
        assert_eq!(
            Variation::new(set.clone(), limits, rates)
                .unwrap_err()
                .to_string(),
            message
        );
    }
    let no_crossover = Rates {
        crossover: 0.0,
        crossovers: vec![],
        ..good.clone()
    };
    assert!(Variation::new(set.clone(), limits, no_crossover).is_ok());
    for limits in [Limits::new(0, 5), Limits::new(5, 0)] {
        let error = Variation::new(set.clone(), limits, good.clone()).unwrap_err();
        assert!(matches!(error, VariationError::Limits { .. }));
    }
}
