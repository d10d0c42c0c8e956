//! Genomes compute what their expressions mean, to the bit, on every tier.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{columns, numbers, same, tiers};
use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node, Op, parse};
use opcodon_mcode::{
    Batch, Blocks, Code, Fold, LinearCode, McodeError, Opcode, Tier, TreeCode, effective,
};

const N_ROWS: [usize; 8] = [1, 3, 4, 8, 9, 20, 1024, 1500];

/// Runs genomes over hard data and compares each value with the expression's.
fn check(tier: Tier, n_columns: usize, genomes: &[(Code, Expr)], n_rows: usize) {
    let columns = columns(n_rows as u64, n_columns, n_rows);
    let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let blocks = Blocks::new(tier, &slices, None).unwrap();
    let mut batch = Batch::new(tier, n_columns, Fold::Predict).unwrap();
    batch.load(genomes.iter().map(|(code, _)| code)).unwrap();
    let mut out = vec![0.0; n_rows];
    for (index, (_, expr)) in genomes.iter().enumerate() {
        batch.predict(index, &blocks, &mut out).unwrap();
        let expected = expr.eval_columns(&slices);
        for row in 0..n_rows {
            assert!(
                same(out[row], expected[row]),
                "{tier} {expr} row {row}: {:e}, not {:e}",
                out[row],
                expected[row]
            );
        }
    }
}

#[test]
fn every_operation_is_bit_equal_on_hard_numbers() {
    for tier in tiers("every_operation_is_bit_equal_on_hard_numbers") {
        let mut genomes = Vec::new();
        for op in Opcode::ALL.iter().filter_map(|opcode| opcode.op()) {
            for leaves in [
                [Node::Var(0), Node::Var(1)],
                [Node::Var(1), Node::Const(-0.0)],
            ] {
                let mut nodes = leaves[..op.arity()].to_vec();
                nodes.push(Node::Op(op));
                let expr = Expr::from_postfix(nodes).unwrap();
                let tree = TreeCode::from_expression(&expr, tier, 2).unwrap();
                genomes.push((tree.code().clone(), expr));
            }
        }
        for n_rows in N_ROWS {
            check(tier, 2, &genomes, n_rows);
        }
    }
}

#[test]
fn random_genomes_are_bit_equal_to_their_expressions() {
    for tier in tiers("random_genomes_are_bit_equal_to_their_expressions") {
        for n_columns in [1, 3, 200, 256] {
            let repertoire = numbers(tier, n_columns);
            let mut rng = Rng::new(n_columns as u64, 1);
            let mut genomes = Vec::new();
            for _ in 0..300 {
                let n_slots = rng.range(1, 60);
                let linear = LinearCode::random(&mut rng, &repertoire, n_slots);
                if let Ok(expr) = linear.to_expression(2000) {
                    genomes.push((linear.code().clone(), expr.clone()));
                    genomes.push((linear.strip().code().clone(), expr));
                }
                let tree = TreeCode::random(&mut rng, &repertoire, 7);
                let expr = tree.to_expression().unwrap();
                assert_eq!(tree.code().to_expression(u64::MAX).unwrap(), expr);
                genomes.push((tree.code().clone(), expr));
            }
            assert!(genomes.len() > 600, "most genomes have small formulas");
            for n_rows in [1, 20, 1100] {
                check(tier, n_columns, &genomes, n_rows);
            }
        }
    }
}

#[test]
fn losses_are_means_of_squared_differences_and_constants_are_data() {
    for tier in tiers("losses_are_means_of_squared_differences_and_constants_are_data") {
        let repertoire = numbers(tier, 2).constants(0.5, 1.0, 2.0);
        for n_rows in N_ROWS {
            let mut rng = Rng::new(5, n_rows as u64);
            let [x, y, target]: [Vec<f64>; 3] =
                std::array::from_fn(|_| (0..n_rows).map(|_| rng.uniform(0.5, 2.0)).collect());
            let columns: [&[f64]; 2] = [&x, &y];
            let blocks = Blocks::new(tier, &columns, Some(&target)).unwrap();
            let mut batch = Batch::new(tier, 2, Fold::Squares).unwrap();
            let mut trees: Vec<_> = (0..40)
                .map(|_| TreeCode::random(&mut rng, &repertoire, 5))
                .collect();
            batch.load(trees.iter().map(TreeCode::code)).unwrap();
            let mut losses = vec![f64::NAN; trees.len()];
            batch.losses(&blocks, &mut losses).unwrap();
            for (index, tree) in trees.iter_mut().enumerate() {
                let check = |found: f64, tree: &TreeCode| {
                    let values = tree.to_expression().unwrap().eval_columns(&columns);
                    let squares = values.iter().zip(&target).map(|(p, y)| (p - y) * (p - y));
                    let expected = squares.sum::<f64>() / n_rows as f64;
                    let near = (found - expected).abs() <= 1e-9 * expected;
                    assert!(
                        near || !found.is_finite() && !expected.is_finite(),
                        "{tier} {found} not {expected}"
                    );
                };
                check(losses[index], tree);
                assert!(same(batch.loss(index, &blocks).unwrap(), losses[index]));
                tree.constants_mut()
                    .iter_mut()
                    .for_each(|constant| *constant += 0.5);
                let refitted = batch
                    .loss_with(index, &blocks, tree.code().constants())
                    .unwrap();
                check(refitted, tree);
            }
        }
    }
}

#[test]
fn introns_are_marked_and_stripped() {
    let expr = parse("(x0 + x1) * 2", None).unwrap().expr;
    let tree = TreeCode::from_expression(&expr, Tier::Avx512, 2).unwrap();
    let mark = effective::mark(tree.code());
    assert_eq!((mark.slots, mark.inputs), (vec![true; 5], 0));
    // The same code without its last slot but one's meaning: r1 is dead once r0 is not read.
    let code = tree.code();
    let dead = Code::verify(
        Tier::Avx512,
        2,
        code.slots()[..4].to_vec(),
        code.constants().to_vec(),
    );
    let linear = LinearCode::try_from(dead.unwrap()).unwrap();
    assert_eq!(linear.effective().slots, [true, true, true, false]);
    let stripped = linear.strip();
    assert_eq!(stripped.code().slots(), &code.slots()[..3]);
    assert_eq!(stripped.code().constants(), [0.0; 0]);
    assert_eq!(stripped.to_expression(10).unwrap().to_string(), "x0 + x1");
}

#[test]
fn a_formula_that_doubles_at_each_gene_is_refused_before_it_is_built() {
    let square = "vmulpd zmm0, zmm0, zmm0 is the tree code of x*x without its second load";
    let expr = parse("x0 * x0", None).unwrap().expr;
    let tree = TreeCode::from_expression(&expr, Tier::Avx512, 1).unwrap();
    // ModRM.rm from register 1 to 0.
    let slot = tree.code().slots()[2] & !(1 << 56);
    let linear = LinearCode::from_slots(Tier::Avx512, 1, vec![slot; 200], vec![]).expect(square);
    let error = linear.to_expression(1_000_000).unwrap_err();
    assert!(matches!(
        error,
        McodeError::TooLong {
            nodes: u64::MAX,
            limit: 1_000_000
        }
    ));
    assert_eq!(linear.code().check(), Ok(()));
}

#[test]
fn expressions_come_back_from_their_bytes() {
    for tier in Tier::ALL {
        let repertoire = numbers(tier, 5);
        let mut rng = Rng::new(11, 3);
        for _ in 0..2000 {
            let expr = TreeCode::random(&mut rng, &repertoire, 8)
                .to_expression()
                .unwrap();
            let tree = TreeCode::from_expression(&expr, tier, 5).unwrap();
            assert_eq!(tree.to_expression().unwrap(), expr);
            assert_eq!(tree.check(), Ok(()));
            assert_eq!(tree.marks().len(), expr.len());
            let linear = LinearCode::from_expression(&expr, tier, 5).unwrap();
            assert_eq!(linear.to_expression(10_000).unwrap(), expr);
            assert_eq!(linear.code().check(), Ok(()));
            assert!(linear.code().slots().len() <= tree.code().slots().len());
        }
    }
}

#[test]
fn genes_are_told_in_words() {
    let expr = parse("min(mass, 2) / -(speed + 0.5)", None).unwrap();
    let names = expr.variables.clone();
    let linear = LinearCode::from_expression(&expr.expr, Tier::Avx2, 2).unwrap();
    let notes: Vec<String> = linear
        .code()
        .notes(&names)
        .into_iter()
        .map(|(slot, note)| format!("{slot} {note}"))
        .collect();
    let expected = "0 r1 = 2│1 r0 = mass│2 r0 = min(r0, r1)│5 r1 = speed│6 r1 = r1 + 0.5│\
                    7 r1 = -r1│8 r0 = r0/r1";
    assert_eq!(notes.join("│"), expected);
}

#[test]
fn what_has_no_genome_is_refused_with_the_reason() {
    let message = |text: &str, tier, n_columns| {
        let expr = parse(text, None).unwrap().expr;
        TreeCode::from_expression(&expr, tier, n_columns)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        message("sin(x0)", Tier::Avx2, 1),
        "no instruction of genomes means the operator sin; they know + - * / sqrt neg abs pdiv \
         min max"
    );
    assert_eq!(
        TreeCode::from_expression(&Expr::var(7), Tier::Avx2, 2)
            .unwrap_err()
            .to_string(),
        "the number of columns that the expression reads is 8, but must lie in 0..=2"
    );
    let deep = |n: usize| {
        let mut nodes = vec![Node::Var(0); n];
        nodes.extend(vec![Node::Op(Op::Sub); n - 1]);
        Expr::from_postfix(nodes).unwrap()
    };
    assert!(TreeCode::from_expression(&deep(16), Tier::Avx512, 1).is_ok());
    for n in [9, 100_000] {
        let error = TreeCode::from_expression(&deep(n), Tier::Avx2, 1).unwrap_err();
        assert!(matches!(error, McodeError::TooDeep { depth, .. } if depth == n));
    }
    let tier = Tier::Avx512;
    assert_eq!(
        Blocks::new(tier, &[&[1.0], &[]], None)
            .unwrap_err()
            .to_string(),
        "column 1 has 0 rows, but 1 are needed"
    );
    assert!(Blocks::new(tier, &[], None).is_err() && Blocks::new(tier, &[&[]], None).is_err());
}

#[test]
fn a_weight_counts_as_so_many_rows() {
    for tier in common::tiers("a_weight_counts_as_so_many_rows") {
        let repertoire = common::numbers(tier, 2);
        let mut rng = Rng::new(9, 9);
        for n_rows in [1, 3, 8, 37, 1500] {
            let mut column = || (0..n_rows).map(|_| rng.normal()).collect::<Vec<f64>>();
            let columns = [column(), column(), column()];
            let counts: Vec<usize> = (0..n_rows).map(|row| row % 4 + 1).collect();
            let weights: Vec<f64> = counts.iter().map(|&n| n as f64).collect();
            let repeated = columns.each_ref().map(|column| {
                let rows = column.iter().zip(&counts);
                let rows = rows.flat_map(|(&value, &n)| std::iter::repeat_n(value, n));
                rows.collect::<Vec<f64>>()
            });
            let [x, y, target] = columns.each_ref().map(Vec::as_slice);
            let weighted = Blocks::weighted(tier, &[x, y], Some(target), Some(&weights)).unwrap();
            let [x, y, target] = repeated.each_ref().map(Vec::as_slice);
            let repeated = Blocks::new(tier, &[x, y], Some(target)).unwrap();
            for fold in [Fold::Squares, Fold::Moments] {
                let mut batch = Batch::new(tier, 2, fold).unwrap();
                for _ in 0..50 {
                    let tree = TreeCode::random(&mut rng, &repertoire, 4);
                    batch.load([&tree]).unwrap();
                    let (a, b) = (
                        batch.loss(0, &weighted).unwrap(),
                        batch.loss(0, &repeated).unwrap(),
                    );
                    let close = (a - b).abs() <= 1e-6 * (a.abs() + b.abs());
                    assert!(close || !a.is_finite() && !b.is_finite(), "{a} {b}");
                }
            }
        }
    }
}
