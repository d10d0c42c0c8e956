//! Every tier against the reference interpreter: one suite, all operators, all kinds of kernels.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "tests of small numbers"
)]

mod common;

use common::{Random, columns, tiers, tree};
use opcodon_expr::{Expr, Node, Op};
use opcodon_jit::{Batch, CompiledExpr, Float, Goal, JitError, Panel, Tier};
use opcodon_testkit::ulp_distance;

/// Operators whose code is bit-equal to the reference.
const EXACT: [Op; 8] = [
    Op::Add,
    Op::Sub,
    Op::Mul,
    Op::Div,
    Op::Neg,
    Op::Abs,
    Op::Sqrt,
    Op::Square,
];

fn panel<T: Float>(columns: &[Vec<f64>]) -> Panel<T> {
    Panel::from_fn(columns.len(), columns[0].len(), |c, r| {
        T::from_f64(columns[c][r])
    })
}

fn row(columns: &[Vec<f64>], r: usize) -> Vec<f64> {
    columns.iter().map(|column| column[r]).collect()
}

/// Bit-equal, but any NaN equals any other.
fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[test]
fn exact_trees_are_bit_equal_to_the_reference_at_every_length() {
    for tier in tiers() {
        let mut random = Random(1);
        let mut batch = Batch::<f64>::new(tier).unwrap();
        for n_rows in [
            1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 100, 1023, 1024, 1025, 2051,
        ] {
            let data = columns(&mut random, 4, n_rows);
            let panel = panel::<f64>(&data);
            let trees: Vec<Expr> = (0..40)
                .map(|k| tree(&mut random, &EXACT, 1 + k * 2, 4))
                .collect();
            batch.compile(&trees, 4, Goal::Predict).unwrap();
            let mut out = vec![0.0; n_rows];
            for (i, tree) in trees.iter().enumerate() {
                batch.predict(i, &panel, &mut out).unwrap();
                for (r, &value) in out.iter().enumerate() {
                    let expected = tree.eval(&row(&data, r));
                    assert!(
                        same(value, expected),
                        "{tier} row {r} of {n_rows}: {value:e}, not {expected:e}, in {tree:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn exact_trees_are_bit_equal_in_single_precision() {
    for tier in tiers() {
        let mut random = Random(2);
        let mut batch = Batch::<f32>::new(tier).unwrap();
        for n_rows in [1, 3, 4, 8, 15, 16, 17, 31, 1024, 1030] {
            let data = columns(&mut random, 3, n_rows);
            let panel = panel::<f32>(&data);
            let trees: Vec<Expr> = (0..30)
                .map(|k| tree(&mut random, &EXACT, 1 + k * 2, 3))
                .collect();
            batch.compile(&trees, 3, Goal::Predict).unwrap();
            let mut out = vec![0.0; n_rows];
            for (i, tree) in trees.iter().enumerate() {
                batch.predict(i, &panel, &mut out).unwrap();
                for (r, &value) in out.iter().enumerate() {
                    let row: Vec<f32> = data.iter().map(|column| column[r] as f32).collect();
                    let expected = tree.eval_f32(&row);
                    assert!(
                        value.to_bits() == expected.to_bits()
                            || value.is_nan() && expected.is_nan(),
                        "{tier} row {r} of {n_rows}: {value:e}, not {expected:e}, in {tree:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn several_vectors_at_a_time_compute_what_one_does() {
    const OPS: [Op; 7] = [
        Op::Add,
        Op::Mul,
        Op::Sub,
        Op::Sin,
        Op::Exp,
        Op::Tanh,
        Op::Pow,
    ];
    fn check<T: Float>(tier: Tier, trees: &[Expr], data: &[Vec<f64>]) {
        let panel = panel::<T>(data);
        let goals = [
            Goal::Predict,
            Goal::Mse {
                target: 2,
                weight: Some(1),
            },
            Goal::Moments {
                target: 2,
                weight: None,
            },
        ];
        for goal in goals {
            let results = [1, 100, usize::MAX].map(|n_rows| {
                let mut batch = Batch::<T>::new(tier).unwrap();
                batch.expect_rows(n_rows);
                batch.compile(trees, 2, goal).unwrap();
                let mut results = Vec::new();
                for index in 0..trees.len() {
                    match goal {
                        Goal::Predict => {
                            let mut out = vec![T::default(); data[0].len()];
                            batch.predict(index, &panel, &mut out).unwrap();
                            results.extend(out.iter().map(|value| value.to_f64().to_bits()));
                        }
                        Goal::Mse { .. } => {
                            results.push(batch.loss(index, &panel).unwrap().to_bits());
                        }
                        _ => {
                            let moments = batch.moments(index, &panel).unwrap();
                            let moments = [moments.p, moments.pp, moments.py];
                            results.extend(moments.map(f64::to_bits));
                        }
                    }
                }
                results
            });
            assert_eq!(results[0], results[1], "{tier} {goal:?}");
            assert_eq!(results[0], results[2], "{tier} {goal:?}");
        }
    }
    let mut random = Random(17);
    let trees: Vec<Expr> = (0..40).map(|k| tree(&mut random, &OPS, 4 + k, 2)).collect();
    for tier in tiers() {
        for n_rows in [
            1, 7, 8, 16, 17, 23, 24, 25, 47, 48, 49, 500, 1023, 1024, 1025, 2100,
        ] {
            let column =
                |random: &mut Random| (0..n_rows).map(|_| random.uniform(-2.0, 2.0)).collect();
            let data: Vec<Vec<f64>> = (0..3).map(|_| column(&mut random)).collect();
            check::<f64>(tier, &trees, &data);
            check::<f32>(tier, &trees, &data);
        }
    }
}

#[test]
fn trees_of_any_length_over_any_column_are_bit_equal_to_the_reference() {
    const N_COLUMNS: usize = 600;
    for tier in tiers() {
        let mut random = Random(11);
        let data = columns(&mut random, N_COLUMNS, 37);
        let panel = panel::<f64>(&data);
        let mut trees: Vec<Expr> = [
            1, 2, 31, 60, 100, 200, 240, 246, 247, 248, 249, 250, 255, 256, 300, 2000,
        ]
        .iter()
        .flat_map(|&size| [size; 4])
        .map(|size| tree(&mut random, &EXACT, size, N_COLUMNS as u32))
        .collect();
        for column in [0, 1, 127, 128, 254, 255, 256, 257, 511, 512, 599] {
            trees.push(Expr::var(column));
            trees.push(Expr::apply(
                Op::Sub,
                &[Expr::constant(0.5), Expr::var(column)],
            ));
        }
        // Constants alone, and more of them than one byte of displacement reaches.
        let leaves = (0..120).map(|k| Node::Const(f64::from(k) / 7.0));
        let sums = [Node::Op(Op::Add); 119];
        trees.push(Expr::from_postfix(leaves.chain(sums).collect()).unwrap());
        let mut batch = Batch::<f64>::new(tier).unwrap();
        batch.compile(&trees, N_COLUMNS, Goal::Predict).unwrap();
        let mut out = vec![0.0; 37];
        for (i, tree) in trees.iter().enumerate() {
            batch.predict(i, &panel, &mut out).unwrap();
            for (r, &value) in out.iter().enumerate() {
                let expected = tree.eval(&row(&data, r));
                assert!(
                    same(value, expected),
                    "{tier} row {r}: {value:e}, not {expected:e}, in {tree:?}"
                );
            }
        }
    }
}

/// One operator on columns, with as many arguments as it has.
fn applied(op: Op) -> Expr {
    let vars: Vec<Expr> = (0..op.arity()).map(|k| Expr::var(k as u32)).collect();
    Expr::apply(op, &vars)
}

#[test]
fn every_operator_is_within_its_bound_on_every_tier() {
    let mut random = Random(3);
    let data = columns(&mut random, 3, 3000);
    let panel = panel::<f64>(&data);
    for tier in tiers() {
        let mut batch = Batch::<f64>::new(tier).unwrap();
        for &op in Op::ALL {
            let expr = applied(op);
            batch.compile([&expr], 3, Goal::Predict).unwrap();
            let mut out = vec![0.0; 3000];
            batch.predict(0, &panel, &mut out).unwrap();
            for (r, &value) in out.iter().enumerate() {
                let row = row(&data, r);
                let expected = expr.eval(&row);
                // The reference itself is not correctly rounded where the bound is not 0.
                let bound = u64::from(op.max_ulp()) + u64::from(op.max_ulp() > 0);
                assert!(
                    ulp_distance(value, expected) <= bound,
                    "{tier} {}({row:?}) = {value:e}, not {expected:e}",
                    op.spelling()
                );
            }
        }
    }
}

#[test]
fn every_operator_compiles_in_single_precision() {
    let mut random = Random(4);
    let data: Vec<Vec<f64>> = (0..3)
        .map(|_| {
            (0..1000)
                .map(|_| f64::from(random.uniform(-4.0, 4.0) as f32))
                .collect()
        })
        .collect();
    let panel = panel::<f32>(&data);
    for tier in tiers() {
        let mut batch = Batch::<f32>::new(tier).unwrap();
        for &op in Op::ALL {
            let expr = applied(op);
            batch.compile([&expr], 3, Goal::Predict).unwrap();
            let mut out = vec![0.0; 1000];
            batch.predict(0, &panel, &mut out).unwrap();
            for (r, &value) in out.iter().enumerate() {
                let row: Vec<f32> = data.iter().map(|column| column[r] as f32).collect();
                let expected = expr.eval_f32(&row);
                let close = opcodon_testkit::ulp_distance(value, expected) <= 5;
                assert!(
                    close,
                    "{tier} {}({row:?}) = {value:e}, not {expected:e}",
                    op.spelling()
                );
            }
        }
    }
}

#[test]
fn losses_and_moments_are_those_of_the_predictions() {
    for tier in tiers() {
        let mut random = Random(5);
        for n_rows in [1, 5, 8, 1000, 1024, 2500] {
            let data: Vec<Vec<f64>> = (0..5)
                .map(|_| (0..n_rows).map(|_| random.uniform(0.1, 3.0)).collect())
                .collect();
            let panel = panel::<f64>(&data);
            let ops = [Op::Add, Op::Sub, Op::Mul, Op::Sin, Op::Tanh];
            let trees: Vec<Expr> = (0..20).map(|k| tree(&mut random, &ops, 1 + k, 3)).collect();
            let mut batch = Batch::<f64>::new(tier).unwrap();
            let predictions: Vec<Vec<f64>> = {
                batch.compile(&trees, 3, Goal::Predict).unwrap();
                (0..trees.len())
                    .map(|i| {
                        let mut out = vec![0.0; n_rows];
                        batch.predict(i, &panel, &mut out).unwrap();
                        out
                    })
                    .collect()
            };
            let mut all = vec![0.0; 18 * n_rows];
            batch.predictions(2, &panel, &mut all).unwrap();
            assert_eq!(all, predictions[2..].concat(), "{tier}: all at once");
            for weight in [None, Some(4)] {
                let w = |r: usize| weight.map_or(1.0, |c: u32| data[c as usize][r]);
                let total: f64 = (0..n_rows).map(w).sum();
                let check = |what: &str, found: f64, expected: f64, scale: f64| {
                    assert!(
                        (found - expected).abs() <= 1e-12 * (scale + 1e-300),
                        "{tier} {what} of {n_rows} rows, weight {weight:?}: {found} not {expected}"
                    );
                };
                batch
                    .compile(&trees, 3, Goal::Mse { target: 3, weight })
                    .unwrap();
                for (i, p) in predictions.iter().enumerate() {
                    let mse: f64 = (0..n_rows)
                        .map(|r| w(r) * (p[r] - data[3][r]).powi(2))
                        .sum::<f64>()
                        / total;
                    check("mse", batch.loss(i, &panel).unwrap(), mse, mse);
                }
                let mut all = [0.0; 18];
                batch.losses(2, &panel, &mut all).unwrap();
                for (i, loss) in (2..).zip(all) {
                    assert!(
                        same(loss, batch.loss(i, &panel).unwrap()),
                        "{tier}: all at once"
                    );
                }
                batch
                    .compile(&trees, 3, Goal::Mae { target: 3, weight })
                    .unwrap();
                for (i, p) in predictions.iter().enumerate() {
                    let mae: f64 = (0..n_rows)
                        .map(|r| w(r) * (p[r] - data[3][r]).abs())
                        .sum::<f64>()
                        / total;
                    check("mae", batch.loss(i, &panel).unwrap(), mae, mae);
                }
                batch
                    .compile(&trees, 3, Goal::Moments { target: 3, weight })
                    .unwrap();
                for (i, p) in predictions.iter().enumerate() {
                    let sum = |f: &dyn Fn(usize) -> f64| (0..n_rows).map(|r| w(r) * f(r)).sum();
                    let moments = batch.moments(i, &panel).unwrap();
                    let size: f64 = sum(&|r| p[r].abs());
                    let square: f64 = sum(&|r| p[r] * p[r]);
                    check("p", moments.p, sum(&|r| p[r]), size);
                    check("pp", moments.pp, square, square);
                    check("py", moments.py, sum(&|r| p[r] * data[3][r]), 3.0 * size);
                }
            }
        }
    }
}

#[test]
fn normal_equations_agree_with_differences() {
    // Every differentiable operator around constants, at points where it is smooth.
    let texts = [
        "0.7*x0 + 1.3",
        "x0/(x1 + 2.5)",
        "2.5/(x0 + 0.5) - 0.25*x1",
        "sin(1.7*x0 + 0.3)",
        "cos(0.7*x1)*exp(0.2*x0)",
        "log(x0 + 1.5)",
        "sqrt(x0 + 0.5)",
        "tanh(0.5*x0 - x1)",
        "(x0 + 1.2)^1.7",
        "square(x0 - 0.5) + cube(x1 + 0.1)",
        "inv(x0 + 1.1)",
        "cbrt(x0 + 2)",
        "expm1(0.3*x0) + log1p(0.4*x1)",
        "log2(x0 + 1.5)*log10(x1 + 2.5)",
        "tan(0.3*x0)",
        "asin(0.2*x0) + acos(0.1*x1) + atan(1.5*x0)",
        "atan2(x0 + 0.5, x1 + 1.5)",
        "sinh(0.4*x0) + cosh(0.3*x1)",
        "sigmoid(0.6*x0) + erf(0.7*x1)",
        "abs(x0 - 9.5)",
        "min(x0 + 0.5, 9.0) + max(0.2*x1, x0*0.001)",
        "fma(x0, 0.3, 0.9)",
        "aq(1.5*x0, 0.5*x1)",
        "pdiv(x0 + 0.5, x1 + 0.7) + plog(x0*1.5) + psqrt(x1*0.5)",
        "-(x0*0.3)",
        "x1 - 0.4",
        "if(x0 > 1, 0.5*x0, 0.25*x1)",
        "mod(x0 + 10.03, 100.0)",
        "3.5",
        "x0",
        "0.1 + 0.2*x0 + 0.3*x1 + 0.4*x0*x1 + 0.5*square(x0) + 0.6*square(x1) + 0.7*cube(x0)",
    ];
    let mut random = Random(6);
    let data: Vec<Vec<f64>> = (0..4)
        .map(|_| (0..1500).map(|_| random.uniform(0.2, 2.0)).collect())
        .collect();
    let panel = panel::<f64>(&data);
    for tier in tiers() {
        let mut batch = Batch::<f64>::new(tier).unwrap();
        for weight in [None, Some(3)] {
            for text in texts {
                let expr = opcodon_expr::parse(text, Some(&["x0", "x1"])).unwrap().expr;
                let constants = expr.constants();
                batch
                    .compile([&expr], 2, Goal::NormalEquations { target: 2, weight })
                    .unwrap();
                let found = batch.normal_equations(0, &panel).unwrap();
                let k = constants.len();
                assert_eq!(found.n, k);
                let (mut jtj, mut jtr, mut rss) = (vec![0.0; k * k], vec![0.0; k], 0.0);
                for r in 0..1500 {
                    let row = row(&data[..2], r);
                    let w = weight.map_or(1.0, |c: u32| data[c as usize][r]);
                    let residual = expr.eval(&row) - data[2][r];
                    let slopes: Vec<f64> = (0..k)
                        .map(|c| {
                            let h = 1e-6;
                            let at = |delta: f64| {
                                let mut moved = constants.clone();
                                moved[c] += delta;
                                let mut tree = expr.clone();
                                tree.set_constants(&moved).unwrap();
                                tree.eval(&row)
                            };
                            (at(h) - at(-h)) / (2.0 * h)
                        })
                        .collect();
                    rss += w * residual * residual;
                    for a in 0..k {
                        jtr[a] += w * slopes[a] * residual;
                        for b in 0..k {
                            jtj[a * k + b] += w * slopes[a] * slopes[b];
                        }
                    }
                }
                let scale = rss.abs() + jtj.iter().fold(1.0f64, |m, v| m.max(v.abs()));
                let close = |a: f64, b: f64| (a - b).abs() <= 2e-6 * scale;
                assert!(
                    close(found.rss, rss),
                    "{tier} {text}: rss {} not {rss}",
                    found.rss
                );
                for a in 0..k {
                    assert!(
                        close(found.jtr[a], jtr[a]),
                        "{tier} {text}: jtr {found:?} {jtr:?}"
                    );
                    for b in 0..k {
                        let cell = (found.jtj[a * k + b], jtj[a * k + b]);
                        assert!(
                            close(cell.0, cell.1),
                            "{tier} {text}: jtj[{a},{b}] {cell:?}"
                        );
                    }
                }
            }
        }
    }
}

/// Over many rows, a part of the quotients is computed beside the divider.
#[test]
fn normal_equations_are_bit_equal_whoever_divides() {
    let mut random = Random(31);
    let ops = [Op::Add, Op::Mul, Op::Div, Op::Div];
    let data = columns(&mut random, 4, 300);
    let panel = Panel::<f64>::from_fn(4, 300, |c, r| data[c][r]);
    let goal = Goal::NormalEquations {
        target: 3,
        weight: None,
    };
    for tier in tiers() {
        let [mut few, mut many] = [10, 10_000].map(|n_rows| {
            let mut batch = Batch::<f64>::new(tier).unwrap();
            batch.expect_rows(n_rows);
            batch
        });
        let mut n_other = 0;
        for k in 0..60 {
            let tree = tree(&mut random, &ops, 3 + k % 30, 3);
            let [few, many] = [&mut few, &mut many].map(|batch| {
                batch.compile([&tree], 3, goal).unwrap();
                let found = batch.normal_equations(0, &panel).unwrap();
                let numbers = [found.jtj, found.jtr, vec![found.rss]].concat();
                // All NaN are one.
                let bits = |x: f64| {
                    if x.is_nan() {
                        f64::NAN.to_bits()
                    } else {
                        x.to_bits()
                    }
                };
                let bits: Vec<u64> = numbers.into_iter().map(bits).collect();
                (bits, batch.code(0).unwrap().to_vec())
            });
            assert_eq!(few.0, many.0, "{tier} {tree:?}");
            n_other += usize::from(few.1 != many.1);
        }
        assert_eq!(n_other > 0, tier == Tier::Avx512, "{tier} {n_other}");
    }
}

#[test]
fn normal_equations_of_long_trees_are_those_of_the_derivatives() {
    // More values are alive at a time than there are registers, and more sums than that.
    const SMOOTH: [Op; 5] = [Op::Add, Op::Sub, Op::Mul, Op::Sin, Op::Tanh];
    let mut random = Random(17);
    let data: Vec<Vec<f64>> = (0..3)
        .map(|_| (0..300).map(|_| random.uniform(0.2, 2.0)).collect())
        .collect();
    let panel = panel::<f64>(&data);
    let columns: Vec<&[f64]> = data[..2].iter().map(Vec::as_slice).collect();
    let trees: Vec<Expr> = (0..40)
        .map(|k| tree(&mut random, &SMOOTH, 20 + 4 * k, 2))
        .collect();
    let wanted: Vec<Vec<Vec<f64>>> = trees
        .iter()
        .map(|expr| {
            let slope = |k| expr.diff_const(k).unwrap().eval_columns(&columns);
            let values = expr.eval_columns(&columns);
            let residuals = values.iter().zip(&data[2]).map(|(p, y)| p - y).collect();
            let mut vectors: Vec<Vec<f64>> = (0..expr.n_constants()).map(slope).collect();
            vectors.push(residuals);
            vectors
        })
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for tier in tiers() {
        let mut batch = Batch::<f64>::new(tier).unwrap();
        let goal = Goal::NormalEquations {
            target: 2,
            weight: None,
        };
        batch.compile(&trees, 2, goal).unwrap();
        for (index, vectors) in wanted.iter().enumerate() {
            let found = batch.normal_equations(index, &panel).unwrap();
            let k = found.n;
            let norms: Vec<f64> = vectors.iter().map(|v| dot(v, v).sqrt()).collect();
            let close = |cell: f64, a: usize, b: usize| {
                (cell - dot(&vectors[a], &vectors[b])).abs() <= 1e-9 * norms[a] * norms[b]
            };
            assert!(close(found.rss, k, k), "{tier} {index}: {}", trees[index]);
            for a in 0..k {
                assert!(
                    close(found.jtr[a], a, k),
                    "{tier} {index} {a}: {}",
                    trees[index]
                );
                for b in 0..k {
                    let cell = found.jtj[a * k + b];
                    assert!(
                        close(cell, a, b),
                        "{tier} {index} {a} {b}: {}",
                        trees[index]
                    );
                }
            }
        }
    }
}

#[test]
fn constants_are_data() {
    let expr = opcodon_expr::parse("x*2 + sin(3*x) - 4", None)
        .unwrap()
        .expr;
    let panel = Panel::<f64>::from_fn(1, 100, |_, r| r as f64 * 0.1);
    for tier in tiers() {
        let mut batch = Batch::<f64>::new(tier).unwrap();
        batch.compile([&expr, &expr], 1, Goal::Predict).unwrap();
        let code = batch.code(1).unwrap().to_vec();
        let mut moved = expr.clone();
        moved.set_constants(&[-1.5, 0.25, 1e300]).unwrap();
        batch.set_constants(1, &[-1.5, 0.25, 1e300]).unwrap();
        assert_eq!(batch.code(1).unwrap(), code);
        let (mut first, mut second, mut fresh) = (vec![0.0; 100], vec![0.0; 100], vec![0.0; 100]);
        batch.predict(0, &panel, &mut first).unwrap();
        batch.predict(1, &panel, &mut second).unwrap();
        batch.compile([&expr, &moved], 1, Goal::Predict).unwrap();
        batch.predict(1, &panel, &mut fresh).unwrap();
        assert_eq!(second, fresh);
        batch.predict(0, &panel, &mut fresh).unwrap();
        assert_eq!(first, fresh);
    }
}

/// A full binary tree: needs one more register for each level.
fn full(depth: u32, op: Op) -> Expr {
    let mut nodes = Vec::new();
    fn grow(nodes: &mut Vec<Node>, depth: u32, op: Op, next: &mut u32) {
        if depth == 0 {
            nodes.push(Node::Var(*next % 3));
            *next += 1;
        } else {
            grow(nodes, depth - 1, op, next);
            grow(nodes, depth - 1, op, next);
            nodes.push(Node::Op(op));
        }
    }
    grow(&mut nodes, depth, op, &mut 0);
    Expr::from_postfix(nodes).unwrap()
}

#[test]
fn trees_that_need_more_registers_than_there_are_spill() {
    let mut random = Random(7);
    let data: Vec<Vec<f64>> = (0..3)
        .map(|_| (0..50).map(|_| random.uniform(0.5, 1.5)).collect())
        .collect();
    let panel = panel::<f64>(&data);
    for tier in tiers() {
        let mut batch = Batch::<f64>::new(tier).unwrap();
        for (depth, op) in [(4, Op::Atan2), (9, Op::Atan2), (9, Op::Sub), (15, Op::Sub)] {
            let expr = full(depth, op);
            batch.compile([&expr], 3, Goal::Predict).unwrap();
            let mut out = vec![0.0; 50];
            batch.predict(0, &panel, &mut out).unwrap();
            for (r, &value) in out.iter().enumerate() {
                let expected = expr.eval(&row(&data, r));
                assert!(
                    (value - expected).abs() < 1e-11,
                    "{tier} depth {depth}: {value} {expected}"
                );
            }
            let scalar = CompiledExpr::with(&expr, 3, opcodon_codemem::Abi::host(), tier).unwrap();
            let expected = expr.eval(&row(&data, 0));
            assert!((scalar.call(&row(&data, 0)).unwrap() - expected).abs() < 1e-11);
        }
    }
}

#[test]
fn a_chain_of_a_hundred_thousand_operators_compiles_and_runs() {
    let mut nodes = vec![Node::Var(0)];
    for _ in 0..100_000 {
        nodes.push(Node::Const(1.0));
        nodes.push(Node::Op(Op::Add));
    }
    let left = Expr::from_postfix(nodes).unwrap();
    let mut nodes = vec![Node::Const(1.0); 100_000];
    nodes.push(Node::Var(0));
    nodes.extend(vec![Node::Op(Op::Add); 100_000]);
    let right = Expr::from_postfix(nodes).unwrap();
    let panel = Panel::<f64>::from_columns(&[&[0.0, 1.0, 2.0]]).unwrap();
    for tier in tiers() {
        let mut batch = Batch::<f64>::new(tier).unwrap();
        batch.compile([&left, &right], 1, Goal::Predict).unwrap();
        let mut out = [0.0; 3];
        for i in 0..2 {
            batch.predict(i, &panel, &mut out).unwrap();
            assert_eq!(out, [100_000.0, 100_001.0, 100_002.0]);
        }
        for expr in [&left, &right] {
            let f = CompiledExpr::with(expr, 1, opcodon_codemem::Abi::host(), tier).unwrap();
            assert_eq!(f.call(&[2.0]).unwrap(), 100_002.0);
        }
    }
}

#[test]
fn exact_scalar_functions_are_bit_equal_to_the_reference_in_both_conventions() {
    check_scalar_functions(&EXACT, true);
}

#[test]
fn scalar_functions_of_all_operators_are_bit_equal_to_kernels_in_both_conventions() {
    check_scalar_functions(Op::ALL, false);
}

fn check_scalar_functions(ops: &[Op], exact: bool) {
    use opcodon_codemem::Abi;
    for tier in tiers() {
        for abi in [Abi::SysV, Abi::Win64] {
            let mut random = Random(8);
            for n_args in [1usize, 2, 3, 4, 5, 8, 9, 12] {
                for k in 0..60 {
                    let expr = tree(&mut random, ops, 1 + k, n_args as u32);
                    let f = CompiledExpr::with(&expr, n_args, abi, tier).unwrap();
                    let mut batch = Batch::<f64>::new(tier).unwrap();
                    // Few and many rows are compiled for in ways of their own.
                    batch.expect_rows([20, 1000][k % 3 / 2]);
                    batch.compile([&expr], n_args, Goal::Predict).unwrap();
                    // Every number of rows, since kernels treat the last ones in a way of their own.
                    let rows: Vec<Vec<f64>> = (0..=k % 40)
                        .map(|_| (0..n_args).map(|_| random.uniform(-3.0, 3.0)).collect())
                        .collect();
                    let panel = Panel::from_fn(n_args, rows.len(), |c, r| rows[r][c]);
                    let mut out = vec![0.0; rows.len()];
                    batch.predict(0, &panel, &mut out).unwrap();
                    for (args, &out) in rows.iter().zip(&out) {
                        // Scalar and batch agree to the bit, also where neither is exact.
                        let value = f.call(args).unwrap();
                        assert!(
                            same(value, out),
                            "{tier} {abi:?} {value:e} {out:e} {expr:?}"
                        );
                        if exact {
                            let expected = expr.eval(args);
                            assert!(same(value, expected), "{tier} {abi:?} {expr:?} at {args:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn mistakes_are_named() {
    let tier = Tier::best().unwrap();
    let expr = opcodon_expr::parse("x0 + x4", Some(&["x0", "x1", "x2", "x3", "x4"]))
        .unwrap()
        .expr;
    let mut batch = Batch::<f64>::new(tier).unwrap();
    let error = batch.compile([&expr], 2, Goal::Predict).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expression 0 reads input 4, but the data have 2 inputs"
    );
    assert!(batch.is_empty());
    for input in [600, u32::MAX - 1, u32::MAX] {
        let error = batch.compile([&Expr::var(input)], 2, Goal::Predict);
        assert_eq!(
            error.unwrap_err().to_string(),
            format!("expression 0 reads input {input}, but the data have 2 inputs")
        );
    }
    batch.compile([&expr], 5, Goal::Predict).unwrap();
    let panel = Panel::<f64>::from_fn(2, 3, |_, _| 1.0);
    let error = batch.predict(0, &panel, &mut [0.0; 3]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the kernels read 5 columns, but the data have 2"
    );
    let panel = Panel::<f64>::from_fn(5, 3, |_, _| 1.0);
    let error = batch.predict(0, &panel, &mut [0.0; 2]).unwrap_err();
    assert_eq!(error.to_string(), "the output has 2 rows, but 3 are needed");
    assert!(matches!(
        batch.predict(1, &panel, &mut [0.0; 3]),
        Err(JitError::Index { .. })
    ));
    assert!(matches!(batch.loss(0, &panel), Err(JitError::Goal { .. })));
    for n_cells in [2, 4, 6] {
        let error = batch.predictions(0, &panel, &mut vec![0.0; n_cells]);
        let what = if n_cells == 6 {
            "expression 1 asked for, but the batch holds 1"
        } else {
            "the output has"
        };
        assert!(
            error.unwrap_err().to_string().contains(what),
            "{n_cells} cells"
        );
    }
    assert!(matches!(
        batch.set_constants(0, &[1.0]),
        Err(JitError::Count { .. })
    ));
    assert_eq!(
        "avx1024".parse::<Tier>().unwrap_err().to_string(),
        "unknown tier \"avx1024\"; use one of sse2, avx2, avx512"
    );
}

/// Formulas of the prediction `p` and the target `y`, whether their bounds can have an effect, and
/// the same in Rust.
type LossFormula = (&'static str, bool, fn(f64, f64) -> f64);

const FORMULAS: [LossFormula; 8] = [
    ("abs(p - y)/(1 + y^2)", true, |p, y| {
        (p - y).abs() / (1.0 + y * y)
    }),
    ("abs(p - y)/abs(y)", false, |p, y| (p - y).abs() / y.abs()),
    ("(p - y)^2", true, |p, y| (p - y) * (p - y)),
    ("abs(p - y)", true, |p, y| (p - y).abs()),
    ("p", false, |p, _| p),
    ("y", false, |_, y| y),
    ("max(0.3*(y - p), (0.3 - 1)*(y - p))", false, |p, y| {
        (0.3 * (y - p)).max((0.3 - 1.0) * (y - p))
    }),
    (
        "if(abs(p - y) < 0.5, 0.5*(p - y)^2, 0.5*(abs(p - y) - 0.25))",
        false,
        |p, y| {
            let d = (p - y).abs();
            if d < 0.5 {
                0.5 * d * d
            } else {
                0.5 * (d - 0.25)
            }
        },
    ),
];

fn formula(text: &str) -> Expr {
    opcodon_expr::parse(text, Some(&["p", "y"])).unwrap().expr
}

#[test]
fn losses_that_are_formulas_are_means_of_their_rows() {
    for tier in tiers() {
        let mut random = Random(11);
        for n_rows in [1, 7, 8, 17, 1024, 1500] {
            let mut data = columns(&mut random, 5, n_rows);
            for weight in &mut data[4] {
                *weight = weight.abs();
            }
            let panel = panel::<f64>(&data);
            let trees: Vec<Expr> = (0..30)
                .map(|k| tree(&mut random, &EXACT, 1 + k * 2, 3))
                .collect();
            let mut batch = Batch::<f64>::new(tier).unwrap();
            for (text, _, loss) in FORMULAS {
                for weight in [None, Some(4)] {
                    batch
                        .compile_loss(&trees, 3, &formula(text), 3, weight)
                        .unwrap();
                    let mut losses = vec![0.0; trees.len()];
                    batch.losses(0, &panel, &mut losses).unwrap();
                    for (tree, &found) in trees.iter().zip(&losses) {
                        let (mut sum, mut size, mut total) = (0.0, 0.0, 0.0);
                        for r in 0..n_rows {
                            let w = weight.map_or(1.0, |_| data[4][r]);
                            let value = w * loss(tree.eval(&row(&data, r)), data[3][r]);
                            sum += value;
                            size += value.abs();
                            total += w;
                        }
                        let expected = sum / total;
                        let close = (found - expected).abs() <= 1e-12 * size / total;
                        assert!(
                            close || same(found, expected) || !size.is_finite(),
                            "{tier}, {n_rows} rows, {text}: {found:e}, not {expected:e}, {tree:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn bounds_never_change_a_loss_within_them() {
    let tier = Tier::best().unwrap();
    let mut random = Random(12);
    let mut column = || (0..5000).map(|_| random.uniform(-2.0, 2.0)).collect();
    let data: Vec<Vec<f64>> = (0..4).map(|_| column()).collect();
    let panel = panel::<f64>(&data);
    let trees: Vec<Expr> = (0..60)
        .map(|k| tree(&mut random, &EXACT, 1 + k, 3))
        .collect();
    let mut batch = Batch::<f64>::new(tier).unwrap();
    for (text, is_bounded, _) in FORMULAS {
        batch
            .compile_loss(&trees, 3, &formula(text), 3, None)
            .unwrap();
        let mut exact = vec![0.0; trees.len()];
        batch.losses(0, &panel, &mut exact).unwrap();
        let mut n_left = 0;
        for share in [0.1, 0.999, 1.0, 1.001] {
            let bounds: Vec<f64> = exact.iter().map(|loss| loss * share).collect();
            let mut found = vec![0.0; trees.len()];
            batch
                .losses_within(0, &panel, Some(&bounds), &mut found)
                .unwrap();
            for k in 0..trees.len() {
                if exact[k].is_nan() || exact[k] <= bounds[k] {
                    assert!(
                        same(found[k], exact[k]),
                        "{text}: {} {}",
                        found[k],
                        exact[k]
                    );
                } else if !same(found[k], exact[k]) {
                    assert!(
                        is_bounded && bounds[k] < found[k] && found[k] <= exact[k],
                        "{text}"
                    );
                    n_left += 1;
                }
            }
        }
        assert_eq!(n_left > 0, is_bounded, "{text}");
    }
    assert!(matches!(
        batch.losses_within(0, &panel, Some(&[1.0]), &mut [0.0; 2]),
        Err(JitError::Count {
            what: "bounds",
            found: 1,
            expected: 2
        })
    ));
}

#[test]
fn a_formula_computes_the_prediction_and_what_it_repeats_once() {
    let tier = Tier::best().unwrap();
    let mut batch = Batch::<f64>::new(tier).unwrap();
    let tree = [formula("sin(p)*cos(y)")];
    let mut size = |text: &str| {
        batch
            .compile_loss(&tree, 2, &formula(text), 2, None)
            .unwrap();
        batch.code(0).unwrap().len()
    };
    // One more addition and one more constant at most, not another prediction.
    assert!(size("(p - y)^2 + abs(p - y)") < size("(p - y)^2") + 64);
}
