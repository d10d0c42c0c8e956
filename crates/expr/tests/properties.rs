//! What must hold for every expression.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::collections::HashMap;

use arbitrary::{Arbitrary, Result, Unstructured};
use arbtest::arbtest;
use opcodon_expr::generate::{GENERATED_VARIABLES, with_ops};
use opcodon_expr::{Expr, Interval, Node, Op, parse, print};

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// A row of values of every kind.
fn nasty_row(u: &mut Unstructured<'_>) -> Result<Vec<f64>> {
    (0..GENERATED_VARIABLES)
        .map(|_| {
            Ok(match u.int_in_range(0..=2)? {
                0 => *u.choose(&[
                    0.0,
                    -0.0,
                    1.0,
                    -1.0,
                    f64::INFINITY,
                    -f64::INFINITY,
                    f64::NAN,
                ])?,
                1 => f64::from(u.arbitrary::<i16>()?) / 4096.0,
                _ => f64::from_bits(u.arbitrary()?),
            })
        })
        .collect()
}

fn tame_row(u: &mut Unstructured<'_>) -> Result<Vec<f64>> {
    (0..GENERATED_VARIABLES)
        .map(|_| Ok(f64::from(u.arbitrary::<i16>()?) / 8192.0))
        .collect()
}

#[test]
fn both_notations_read_back_to_the_bit() {
    arbtest(|u| {
        let expr = Expr::arbitrary(u)?;
        let names = u.choose(&[
            ["x0", "x1", "x2", "x3"],
            ["a", "e", "pi", "inf"],
            ["sin", "x", "mod", "nan"],
            ["sepal length (cm)", "a`b", "", "für"],
        ])?;
        for text in [print::infix(&expr, names), print::prefix(&expr, names)] {
            let parsed =
                parse(&text, Some(names)).unwrap_or_else(|error| panic!("{}", error.render()));
            assert_eq!(parsed.expr, expr, "{text}");
        }
        Ok(())
    });
}

#[test]
fn parentheses_are_needed() {
    // Without any one pair of parentheses that groups, the text is another expression or none.
    arbtest(|u| {
        let expr = Expr::arbitrary(u)?;
        let text = print::infix::<&str>(&expr, &[]);
        let names: Vec<String> = (0..GENERATED_VARIABLES).map(|i| format!("x{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut open = Vec::new();
        for (at, c) in text.char_indices() {
            match c {
                '(' => open.push(at),
                ')' => {
                    let start = open.pop().unwrap();
                    let calls = text[..start].ends_with(|c: char| c.is_alphanumeric());
                    if calls {
                        continue;
                    }
                    let without = format!(
                        "{} {} {}",
                        &text[..start],
                        &text[start + 1..at],
                        &text[at + 1..]
                    );
                    let read = parse(&without, Some(&names)).map(|parsed| parsed.expr);
                    assert_ne!(read.as_ref(), Ok(&expr), "{text} and {without}");
                }
                _ => {}
            }
        }
        Ok(())
    });
}

#[test]
fn any_text_parses_or_is_refused() {
    arbtest(|u| {
        let text = if u.arbitrary()? {
            String::arbitrary(u)?
        } else {
            const WORDS: [&str; 28] = [
                "x", "y1", "2", ".5", "1e", "1e9", "(", ")", "((", "))", ",", "+", "-", "*", "**",
                "^", "/", "%", "<", "==", "=", "`", "sin", "max(", "nan(0x", "e", "\n", " ",
            ];
            let n = u.int_in_range(0..=20)?;
            (0..n)
                .map(|_| u.choose(&WORDS).copied())
                .collect::<Result<String>>()?
        };
        for names in [None, Some(&["x", "`"][..])] {
            match parse(&text, names) {
                Ok(parsed) => {
                    let again = print::infix(&parsed.expr, &parsed.variables);
                    let names: Vec<&str> = parsed.variables.iter().map(String::as_str).collect();
                    assert_eq!(parse(&again, Some(&names)).unwrap().expr, parsed.expr);
                }
                Err(error) => {
                    assert!(
                        text.get(error.span.clone()).is_some(),
                        "{error:?} of {text:?}"
                    );
                    assert_eq!(error.render().lines().count(), 3, "{}", error.render());
                }
            }
        }
        Ok(())
    });
}

#[test]
fn columns_agree_with_rows() {
    arbtest(|u| {
        let expr = Expr::arbitrary(u)?;
        let rows: Vec<Vec<f64>> = (0..3).map(|_| nasty_row(u)).collect::<Result<_>>()?;
        // More than one block, the last one partial.
        let n_rows = 600;
        let columns: Vec<Vec<f64>> = (0..GENERATED_VARIABLES as usize)
            .map(|j| (0..n_rows).map(|i| rows[i % 3][j]).collect())
            .collect();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let values = expr.eval_columns(&columns);
        let expected: Vec<f64> = rows.iter().map(|row| expr.eval(row)).collect();
        for (i, value) in values.iter().enumerate() {
            assert!(same(*value, expected[i % 3]), "row {i} of {expr}");
        }
        for (root, values) in expr.eval_subtrees(&columns).iter().enumerate() {
            let nodes = expr.nodes()[expr.subtree(root)].to_vec();
            let subtree = Expr::from_postfix(nodes).expect("a subtree is a tree");
            for (i, value) in values.iter().enumerate() {
                let expected = subtree.eval(&rows[i % 3]);
                assert!(same(*value, expected), "row {i} of {subtree} in {expr}");
            }
        }

        #[expect(clippy::cast_possible_truncation, reason = "any f32 will do")]
        let rows: Vec<Vec<f32>> = rows
            .iter()
            .map(|row| row.iter().map(|x| *x as f32).collect())
            .collect();
        let columns: Vec<Vec<f32>> = (0..GENERATED_VARIABLES as usize)
            .map(|j| (0..n_rows).map(|i| rows[i % 3][j]).collect())
            .collect();
        let columns: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
        let mut values = vec![0.0; n_rows];
        expr.eval_columns_f32_into(&columns, &mut values);
        for (i, value) in values.iter().enumerate() {
            let expected = expr.eval_f32(&rows[i % 3]);
            assert!(
                same(f64::from(*value), f64::from(expected)),
                "row {i} of {expr} in f32"
            );
        }
        Ok(())
    });
}

#[test]
fn sizes_and_depths_are_those_of_the_subtrees() {
    arbtest(|u| {
        let expr = Expr::arbitrary(u)?;
        let sizes = expr.subtree_sizes();
        let mut depths = Vec::new();
        expr.subtree_depths_into(&sizes, &mut depths);
        for end in 0..expr.len() {
            let range = expr.subtree(end);
            let subtree = Expr::from_postfix(expr.nodes()[range.clone()].to_vec()).unwrap();
            assert_eq!(sizes[end] as usize, range.len());
            assert_eq!(depths[end] as usize, subtree.depth());
        }
        Ok(())
    });
}

#[test]
fn constants_can_be_replaced() {
    arbtest(|u| {
        let mut expr = Expr::arbitrary(u)?;
        let shape = expr.shape_hash();
        let constants: Vec<f64> = (0..expr.n_constants()).map(|k| k as f64).collect();
        expr.set_constants(&constants).unwrap();
        assert_eq!(expr.constants(), constants);
        assert_eq!(expr.shape_hash(), shape);
        assert!(expr.set_constants(&vec![0.0; constants.len() + 1]).is_err());
        Ok(())
    });
}

#[test]
fn simplification_keeps_every_bit() {
    let shorter = Cell::new(0);
    arbtest(|u| {
        let expr = Expr::arbitrary(u)?;
        let simple = expr.simplify();
        assert!(simple.len() <= expr.len(), "{expr} becomes {simple}");
        assert_eq!(simple.simplify(), simple, "{expr} becomes {simple}");
        shorter.set(shorter.get() + usize::from(simple.len() < expr.len()));
        for _ in 0..8 {
            let row = nasty_row(u)?;
            let (a, b) = (expr.eval(&row), simple.eval(&row));
            assert!(same(a, b), "{expr} is {a:?}, {simple} is {b:?} at {row:?}");
        }
        Ok(())
    })
    .budget_ms(1000);
    assert!(
        shorter.get() > 20,
        "{} expressions were simplified",
        shorter.get()
    );
}

/// The largest and the smallest magnitude of what an evaluation meets.
fn magnitudes(expr: &Expr, row: &[f64]) -> (f64, f64) {
    let magnitudes = (0..expr.len()).map(|end| {
        let subtree = Expr::from_postfix(expr.nodes()[expr.subtree(end)].to_vec()).unwrap();
        subtree.eval(row).abs()
    });
    // `f64::max` would forget a NaN.
    let larger = |a: f64, b: f64| if a.is_nan() || a > b { a } else { b };
    magnitudes.fold((0.0, f64::INFINITY), |(most, least), m| {
        (larger(most, m), least.min(m))
    })
}

#[test]
fn algebra_keeps_the_value_nearly() {
    const OPS: [Op; 18] = [
        Op::Add,
        Op::Sub,
        Op::Mul,
        Op::Div,
        Op::Neg,
        Op::Inv,
        Op::Square,
        Op::Cube,
        Op::Sqrt,
        Op::Cbrt,
        Op::Pow,
        Op::Exp,
        Op::Log,
        Op::Sin,
        Op::Cos,
        Op::Abs,
        Op::Min,
        Op::If,
    ];
    let compared = Cell::new(0);
    arbtest(|u| {
        let expr = with_ops(u, &OPS)?;
        let simple = expr.simplify_algebraic();
        assert!(simple.len() <= expr.len(), "{expr} becomes {simple}");
        for _ in 0..4 {
            let row = tame_row(u)?;
            let (most, least) = magnitudes(&expr, &row);
            if !(most < 1e4 && least > 1e-3) {
                continue;
            }
            compared.set(compared.get() + 1);
            let (a, b) = (expr.eval(&row), simple.eval(&row));
            assert!(
                (a - b).abs() <= 1e-6,
                "{expr} is {a:?}, {simple} is {b:?} at {row:?}"
            );
        }
        Ok(())
    })
    .budget_ms(1000);
    assert!(
        compared.get() > 20,
        "{} values were compared",
        compared.get()
    );
}

/// The derivative by central differences, if two step widths agree on it.
fn numerical_derivative(f: impl Fn(f64) -> f64, at: f64) -> Option<f64> {
    let slope = |h: f64| (f(at + h) - f(at - h)) / (2.0 * h);
    let (coarse, fine) = (slope(2e-4), slope(1e-4));
    let agree = (coarse - fine).abs() <= 1e-5 * (1.0 + fine.abs());
    // One-sided slopes differ at kinks, whose central differences agree all the same.
    let one_sided = |h: f64| (f(at + h) - f(at)) / h;
    let smooth = (one_sided(1e-5) - one_sided(-1e-5)).abs() <= 1e-3 * (1.0 + fine.abs());
    (agree && smooth).then_some(fine)
}

fn check_slope(expr: &Expr, row: &[f64], symbolic: f64, numerical: f64) {
    let error = (symbolic - numerical).abs();
    assert!(
        error <= 1e-3 * (1.0 + numerical.abs()),
        "the slope of {expr} at {row:?} is {symbolic}, numerically {numerical}"
    );
}

#[test]
fn the_derivative_of_every_operator_agrees_with_differences() {
    const POINTS: [f64; 8] = [-2.3, -0.75, -0.4, 0.3, 0.6, 0.85, 1.7, 3.1];
    for &op in Op::ALL {
        let operands = [Expr::var(0), Expr::var(1), Expr::var(2)];
        let expr = Expr::apply(op, &operands[..op.arity()]);
        for (k, variable) in (0..op.arity()).zip(0..) {
            let slope = expr.diff(variable).unwrap();
            let mut compared = 0;
            for i in 0..POINTS.len().pow(3) {
                let row = [POINTS[i % 8], POINTS[i / 8 % 8], POINTS[i / 64]];
                let f = |x: f64| {
                    let mut moved = row;
                    moved[k] = x;
                    expr.eval(&moved)
                };
                let Some(numerical) = numerical_derivative(f, row[k]) else {
                    continue;
                };
                let symbolic = slope.eval(&row);
                // The exponent of a negative base, which is differentiable nowhere.
                if op == Op::Pow && k == 1 && row[0] < 0.0 {
                    continue;
                }
                check_slope(&expr, &row, symbolic, numerical);
                compared += 1;
            }
            assert!(
                compared > 100,
                "operand {k} of {op:?}: {compared} comparisons"
            );
        }
    }
}

#[test]
fn derivatives_agree_with_differences() {
    use Op::{
        Add, Aq, Atan, Cos, Div, Erf, Exp, Fma, If, Max, Mul, Neg, Pow, Sigmoid, Sin, Sub, Tanh,
    };
    const OPS: [Op; 17] = [
        Add, Aq, Atan, Cos, Div, Erf, Exp, Fma, If, Max, Mul, Neg, Pow, Sigmoid, Sin, Sub, Tanh,
    ];
    let compared = Cell::new(0);
    arbtest(|u| {
        let expr = with_ops(u, &OPS)?;
        let row = tame_row(u)?;
        let constants = expr.constants();
        let k = u.choose_index(constants.len().max(1))?;
        let wrt_constant = !constants.is_empty() && u.arbitrary()?;
        let (slope, at) = if wrt_constant {
            (expr.diff_const(k).unwrap(), constants[k])
        } else {
            (expr.diff(0).unwrap(), row[0])
        };
        let f = |x: f64| {
            let (mut moved, mut row, mut constants) =
                (expr.clone(), row.clone(), constants.clone());
            if wrt_constant {
                constants[k] = x;
                moved.set_constants(&constants).unwrap();
            } else {
                row[0] = x;
            }
            moved.eval(&row)
        };
        let (most, least) = magnitudes(&expr, &row);
        if let Some(numerical) = numerical_derivative(f, at)
            && most < 1e3
            && least > 1e-2
        {
            compared.set(compared.get() + 1);
            let symbolic = slope.eval(&row);
            let has_power = expr.nodes().contains(&Node::Op(Op::Pow));
            if !(symbolic.is_nan() && has_power) {
                check_slope(&expr, &row, symbolic, numerical);
            }
        }
        Ok(())
    })
    .budget_ms(1000);
    assert!(
        compared.get() > 20,
        "{} derivatives were compared",
        compared.get()
    );
}

#[test]
fn bounds_contain_every_value() {
    let (bounded, defined) = (Cell::new(0), Cell::new(0));
    arbtest(|u| {
        let expr = Expr::arbitrary(u)?;
        let corners = [
            tame_row(u)?,
            if u.ratio(1, 4)? {
                nasty_row(u)?
            } else {
                tame_row(u)?
            },
        ];
        let inputs: Vec<Interval> = corners[0]
            .iter()
            .zip(&corners[1])
            .map(|(&a, &b)| Interval::new(a, b))
            .collect();
        let bounds = expr.bounds(&inputs);
        bounded.set(bounded.get() + usize::from(bounds.is_finite()));
        defined.set(defined.get() + usize::from(!bounds.may_be_undefined));
        for _ in 0..16 {
            let mut row = Vec::new();
            for input in &inputs {
                let inside = (input.lo() / 2.0 + input.hi() / 2.0).clamp(input.lo(), input.hi());
                let zero = if input.contains(0.0) {
                    -0.0
                } else {
                    input.lo()
                };
                let share = f64::from(u.arbitrary::<u8>()?) / 255.0;
                let between = input.lo() * share + input.hi() * (1.0 - share);
                let between = if input.contains(between) {
                    between
                } else {
                    input.hi()
                };
                let inside = if inside.is_nan() { 1.0 } else { inside };
                row.push(*u.choose(&[input.lo(), input.hi(), inside, zero, between])?);
            }
            let value = expr.eval(&row);
            let expected = if value.is_nan() {
                bounds.may_be_undefined
            } else {
                bounds.interval.contains(value)
            };
            assert!(expected, "{expr} is {value:?} at {row:?}, but {bounds:?}");
        }
        Ok(())
    })
    .budget_ms(1000);
    assert!(
        bounded.get() > 20,
        "{} expressions have finite bounds",
        bounded.get()
    );
    assert!(
        defined.get() > bounded.get(),
        "{} expressions are defined",
        defined.get()
    );
}

#[test]
fn data_reads_back_to_the_bit() {
    arbtest(|u| {
        let expr = Expr::arbitrary(u)?;
        let json = serde_json::to_string(&expr).unwrap();
        assert_eq!(serde_json::from_str::<Expr>(&json).unwrap(), expr, "{json}");
        Ok(())
    });
}

#[test]
fn every_printer_copes() {
    arbtest(|u| {
        let expr = Expr::arbitrary(u)?;
        let names = ["a b", "1", "lambda", "min"];
        for text in [
            print::latex(&expr, &names),
            print::sympy(&expr, &names),
            print::numpy(&expr, &names),
            print::c(&expr, &names),
            print::rust(&expr, &names),
        ] {
            assert!(!text.contains('$'), "a template is not filled in: {text}");
            let count = |c: char| text.matches(c).count();
            assert_eq!(count('('), count(')'), "{text}");
            assert_eq!(count('{'), count('}'), "{text}");
        }
        // Cases stand behind a brace that nothing closes; elements are what is balanced here.
        let text = print::mathml(&expr, &names, Some(3));
        assert!(!text.contains('$'), "a template is not filled in: {text}");
        assert_eq!(
            text.matches("<m").count(),
            text.matches("</m").count(),
            "{text}"
        );
        assert_eq!(
            text.matches('(').count(),
            text.matches(')').count(),
            "{text}"
        );
        Ok(())
    });
}

#[test]
fn hashes_tell_expressions_apart() {
    let mut by_structure: HashMap<u64, Expr> = HashMap::new();
    let mut by_shape: HashMap<u64, Expr> = HashMap::new();
    /// Constants all alike, operands that may be exchanged in one order.
    fn shape(expr: &Expr) -> Expr {
        let mut parts: Vec<Expr> = Vec::new();
        for node in expr.nodes() {
            let operands = parts.split_off(parts.len() - node.arity());
            parts.push(match *node {
                Node::Const(_) => Expr::constant(0.0),
                Node::Var(index) => Expr::var(index),
                Node::Op(op) => {
                    let mut operands = operands;
                    if op.is_commutative() {
                        operands[..2].sort_by_key(Expr::to_string);
                    }
                    Expr::apply(op, &operands)
                }
            });
        }
        parts.remove(0)
    }
    arbtest(|u| {
        let expr = Expr::arbitrary(u)?;
        let known = by_structure
            .entry(expr.structural_hash())
            .or_insert_with(|| expr.clone());
        assert_eq!(*known, expr, "equal structural hashes");
        let shape = shape(&expr);
        assert_eq!(shape.shape_hash(), expr.shape_hash(), "{shape} and {expr}");
        let known = by_shape
            .entry(shape.shape_hash())
            .or_insert_with(|| shape.clone());
        assert_eq!(*known, shape, "equal shape hashes");
        Ok(())
    });
}
