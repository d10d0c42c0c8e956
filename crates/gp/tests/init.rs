//! Initialisers: sizes and depths against an exhaustive table of what is possible, and primitive
//! sets against their weights.

use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node, Op};
use opcodon_gp::{Constants, Init, Limits, PrimitiveError, PrimitiveSet, Workspace, init};

/// `possible[depth][size]`: whether some tree of these arities has that size and at most that
/// depth, by trying all ways to share the size among the operands.
fn possible(arities: &[usize], max_size: usize, max_depth: usize) -> Vec<Vec<bool>> {
    let mut table = vec![vec![false; max_size + 1]; max_depth + 1];
    for depth in 1..=max_depth {
        table[depth][1] = true;
        for &arity in arities {
            // sums[k][s]: k operands of the depth below with s nodes in all.
            let mut sums = vec![vec![false; max_size + 1]; arity + 1];
            sums[0][0] = true;
            for k in 1..=arity {
                for s in 1..=max_size {
                    sums[k][s] = (1..=s).any(|t| table[depth - 1][t] && sums[k - 1][s - t]);
                }
            }
            for size in 2..=max_size {
                table[depth][size] |= sums[arity][size - 1];
            }
        }
    }
    table
}

#[test]
fn sized_trees_have_the_largest_possible_size() {
    let rows: &[(&[Op], &[usize])] = &[
        (&[Op::Sin], &[1]),
        (&[Op::Add], &[2]),
        (&[Op::If], &[3]),
        (&[Op::Sin, Op::Add], &[1, 2]),
        (&[Op::Sin, Op::If], &[1, 3]),
        (&[Op::Add, Op::Fma], &[2, 3]),
        (&[Op::Sin, Op::Mul, Op::If], &[1, 2, 3]),
    ];
    const MAX_SIZE: usize = 26;
    let mut space = Workspace::new();
    for (ops, arities) in rows {
        let set = PrimitiveSet::builder()
            .operators(ops)
            .variables(2)
            .build()
            .unwrap();
        for max_depth in 1..=7 {
            let table = &possible(arities, MAX_SIZE, max_depth)[max_depth];
            for target in 1..=MAX_SIZE {
                let expected = (1..=target).rev().find(|&s| table[s]).unwrap();
                let limits = Limits::new(100, max_depth);
                let tight = Limits::new(target, max_depth);
                for stream in 0..30 {
                    let mut rng = Rng::new(target as u64, stream);
                    let what = format!("{ops:?}, size {target}, depth {max_depth}");
                    for irregularity in [0.0, 0.5, 1.0] {
                        let tree = init::balanced(
                            &mut rng,
                            &mut space,
                            &set,
                            limits,
                            target,
                            irregularity,
                        );
                        assert_eq!(
                            tree.len(),
                            expected,
                            "balanced {irregularity}: {what}: {tree}"
                        );
                        assert!(tree.depth() <= max_depth);
                    }
                    let tree = init::ptc2(&mut rng, &mut space, &set, limits, target);
                    assert_eq!(tree.len(), expected, "ptc2: {what}: {tree}");
                    let tree = init::ptc2(&mut rng, &mut space, &set, tight, 1000);
                    assert_eq!(
                        tree.len(),
                        expected,
                        "ptc2 by the size limit: {what}: {tree}"
                    );
                }
            }
        }
    }
}

fn leaf_depths(tree: &Expr) -> Vec<usize> {
    // Depth of each node, from the root down.
    let sizes = tree.subtree_sizes();
    let mut depths = vec![1; tree.len()];
    for i in (0..tree.len()).rev() {
        let mut end = i;
        for _ in 0..tree.nodes()[i].arity() {
            depths[end - 1] = depths[i] + 1;
            end -= sizes[end - 1] as usize;
        }
    }
    (0..tree.len())
        .filter(|&i| tree.nodes()[i].arity() == 0)
        .map(|i| depths[i])
        .collect()
}

#[test]
fn depth_methods_reach_their_depths() {
    let set = PrimitiveSet::builder()
        .operators(&[Op::Add, Op::Mul, Op::Sin])
        .variables(3)
        .build()
        .unwrap();
    let limits = Limits::new(1000, 100);
    let mut space = Workspace::new();
    let mut shapes = std::collections::BTreeMap::new();
    for stream in 0..3000 {
        let mut rng = Rng::new(1, stream);
        let depth = rng.range(1, 7);
        let tree = init::full(&mut rng, &mut space, &set, limits, depth);
        assert!(
            leaf_depths(&tree).iter().all(|&d| d == depth),
            "full {depth}: {tree}"
        );
        let tree = init::grow(&mut rng, &mut space, &set, limits, depth.min(3), depth);
        assert!(
            leaf_depths(&tree)
                .iter()
                .all(|d| (depth.min(3)..=depth).contains(d)),
            "{tree}"
        );
        let tree = init::ramped(&mut rng, &mut space, &set, limits, 2, 6);
        let leaves = leaf_depths(&tree);
        assert!(leaves.iter().all(|d| (2..=6).contains(d)));
        *shapes
            .entry((tree.depth(), leaves.iter().all(|&d| d == leaves[0])))
            .or_insert(0u32) += 1;
    }
    // Five depths, 300 full trees each and some grown ones that happen to be full.
    for depth in 2..=6 {
        assert!(shapes[&(depth, true)] > 250, "{shapes:?}");
    }
    assert!(
        shapes
            .iter()
            .filter(|((_, full), _)| !full)
            .map(|(_, n)| n)
            .sum::<u32>()
            > 400
    );
}

#[test]
fn full_trees_stop_at_the_size_limit() {
    let set = PrimitiveSet::builder()
        .operators(&[Op::Add])
        .variables(1)
        .build()
        .unwrap();
    let mut space = Workspace::new();
    let mut rng = Rng::new(1, 1);
    let tree = init::full(&mut rng, &mut space, &set, Limits::new(50, 30), 30);
    assert_eq!(tree.len(), 49);
}

#[test]
fn balanced_trees_are_flat() {
    let set = PrimitiveSet::builder()
        .operators(&[Op::Add])
        .variables(1)
        .build()
        .unwrap();
    let (limits, mut space) = (Limits::new(200, 200), Workspace::new());
    for (size, depth) in [(1, 1), (3, 2), (7, 3), (15, 4), (31, 5), (127, 7)] {
        let mut rng = Rng::new(1, 1);
        let tree = init::balanced(&mut rng, &mut space, &set, limits, size, 0.0);
        assert_eq!((tree.len(), tree.depth()), (size, depth));
    }
}

#[test]
fn init_draws_sizes_from_its_whole_range() {
    let set = PrimitiveSet::builder()
        .operators(&[Op::Add, Op::Sin])
        .variables(1)
        .build()
        .unwrap();
    let mut space = Workspace::new();
    for init in [
        Init::Ptc2 {
            min_size: 3,
            max_size: 12,
        },
        Init::Balanced {
            min_size: 3,
            max_size: 12,
            irregularity: 0.2,
        },
    ] {
        let mut counts = [0u32; 13];
        for stream in 0..5000 {
            let mut rng = Rng::new(6, stream);
            counts[init
                .create(&mut rng, &mut space, &set, Limits::new(50, 50))
                .len()] += 1;
        }
        assert!(counts[..3].iter().all(|&c| c == 0));
        assert!(
            counts[3..].iter().all(|c| c.abs_diff(500) < 110),
            "{init:?}: {counts:?}"
        );
    }
}

#[test]
fn primitives_follow_their_weights() {
    let set = PrimitiveSet::builder()
        .operator(Op::Add, 3.0)
        .operator(Op::Sin, 1.0)
        .operator(Op::Cos, 0.0)
        .operator(Op::If, 4.0)
        .variable_weights(&[1.0, 0.0, 2.0])
        .constants(Constants::OneOf(vec![0.5, 1.5]), 1.0)
        .build()
        .unwrap();
    assert_eq!(set.operators(), [Op::Add, Op::Sin, Op::If]);
    let mut rng = Rng::new(1, 1);
    let share = |hits: usize| hits as f64 / 40_000.0;
    let ops: Vec<Op> = (0..40_000).map(|_| set.operator(&mut rng)).collect();
    for (op, p) in [
        (Op::Add, 0.375),
        (Op::Sin, 0.125),
        (Op::If, 0.5),
        (Op::Cos, 0.0),
    ] {
        assert!(
            (share(ops.iter().filter(|&&o| o == op).count()) - p).abs() < 0.012,
            "{op:?}"
        );
    }
    let leaves: Vec<Node> = (0..40_000).map(|_| set.terminal(&mut rng)).collect();
    for (leaf, p) in [
        (Node::Var(0), 0.25),
        (Node::Var(1), 0.0),
        (Node::Var(2), 0.5),
        (Node::Const(0.5), 0.125),
        (Node::Const(1.5), 0.125),
    ] {
        assert!(
            (share(leaves.iter().filter(|&&l| l == leaf).count()) - p).abs() < 0.012,
            "{leaf:?}"
        );
    }
    assert!((0..1000).all(|_| set.variable(&mut rng) != Some(1)));
    assert_eq!(set.operator_of_arity(&mut rng, 1), Some(Op::Sin));
    assert_eq!(set.operator_of_arity(&mut rng, 7), None);
}

#[test]
fn constants_are_drawn_from_their_distribution() {
    let mut rng = Rng::new(1, 2);
    let mut draw = |c: &Constants| (0..2000).map(|_| c.sample(&mut rng)).collect::<Vec<f64>>();
    assert!(
        draw(&Constants::Uniform {
            low: 2.0,
            high: 3.0
        })
        .iter()
        .all(|c| (2.0..=3.0).contains(c))
    );
    let mut whole = draw(&Constants::Integers { low: -1, high: 1 });
    whole.sort_by(f64::total_cmp);
    whole.dedup();
    assert_eq!(whole, [-1.0, 0.0, 1.0]);
    let all = draw(&Constants::Integers {
        low: i32::MIN,
        high: i32::MAX,
    });
    assert!(all.iter().all(|c| c.fract() == 0.0) && all.iter().any(|c| *c < -1e9));
    let normal = draw(&Constants::Normal {
        mean: 10.0,
        std_dev: 2.0,
    });
    assert!((normal.iter().sum::<f64>() / 2000.0 - 10.0).abs() < 0.2);
}

#[test]
fn sets_that_make_no_trees_are_refused() {
    let b = PrimitiveSet::builder;
    let normal = |std_dev| Constants::Normal { mean: 0.0, std_dev };
    let rows = [
        (
            b(),
            "there is no terminal; add variables or constants with a weight above 0",
        ),
        (
            b().operators(&[Op::Add]),
            "there is no terminal; add variables or constants with a weight above 0",
        ),
        (
            b().operators(&[Op::Add])
                .variable_weights(&[0.0])
                .constants(normal(1.0), 0.0),
            "there is no terminal; add variables or constants with a weight above 0",
        ),
        (
            b().variables(2),
            "there is no operator; add one with a weight above 0",
        ),
        (
            b().variables(2).operator(Op::Add, 0.0),
            "there is no operator; add one with a weight above 0",
        ),
        (
            b().variables(2).operator(Op::Add, -1.0),
            "the weight of operator Add is -1; it must be 0 or a positive number",
        ),
        (
            b().operators(&[Op::Add]).variable_weights(&[1.0, f64::NAN]),
            "the weight of variable number 1 is NaN; it must be 0 or a positive number",
        ),
        (
            b().operators(&[Op::Add])
                .variables(1)
                .constants(normal(1.0), f64::INFINITY),
            "the weight of constants is inf; it must be 0 or a positive number",
        ),
        (
            b().operators(&[Op::Add, Op::Add]).variables(1),
            "operator Add is given twice; give it once with the sum of the weights",
        ),
    ];
    for (builder, message) in rows {
        assert_eq!(builder.build().unwrap_err().to_string(), message);
    }
    let bad = [
        normal(-1.0),
        normal(f64::NAN),
        normal(f64::MAX),
        Constants::Uniform {
            low: 1.0,
            high: 0.0,
        },
        Constants::Uniform {
            low: 0.0,
            high: f64::INFINITY,
        },
        Constants::Integers { low: 3, high: 2 },
        Constants::OneOf(vec![]),
        Constants::OneOf(vec![f64::NAN]),
    ];
    for constants in bad {
        let error = b()
            .operators(&[Op::Add])
            .constants(constants, 1.0)
            .build()
            .unwrap_err();
        assert!(matches!(error, PrimitiveError::Constants { .. }), "{error}");
    }
}
