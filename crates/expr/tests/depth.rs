//! No depth is too much: nothing recurses over a tree.
//!
//! Tests run on threads with stacks of 2 MiB, which recursion over 100,000 levels overflows.

use opcodon_expr::{Expr, ExprError, Interval, MAX_DERIVATIVE_LEN, Op, parse, print};

const DEPTH: usize = 100_000;

/// `leaf op (leaf op (…))`, the nested operand being the k-th.
fn chain(op: Op, k: usize, levels: usize) -> Expr {
    let mut operands = vec![Expr::var(1); op.arity()];
    let mut nodes = Vec::new();
    for _ in 0..levels {
        for operand in &operands[..k] {
            nodes.extend_from_slice(operand.nodes());
        }
    }
    nodes.extend_from_slice(Expr::var(0).nodes());
    operands.drain(..=k);
    for _ in 0..levels {
        for operand in &operands {
            nodes.extend_from_slice(operand.nodes());
        }
        nodes.push(opcodon_expr::Node::Op(op));
    }
    Expr::from_postfix(nodes).unwrap()
}

#[test]
fn every_operator_nests_deeply() {
    for &op in Op::ALL {
        for k in 0..op.arity() {
            let expr = chain(op, k, DEPTH);
            assert_eq!(expr.depth(), DEPTH + 1);
            let names = ["x0", "x1"];
            for text in [print::infix(&expr, &names), print::prefix(&expr, &names)] {
                assert!(
                    parse(&text, Some(&names)).unwrap().expr == expr,
                    "{op:?} reads differently"
                );
            }
            let mut total = 0;
            total += print::latex(&expr, &names).len();
            total += print::sympy(&expr, &names).len();
            total += print::numpy(&expr, &names).len();
            total += print::c(&expr, &names).len();
            total += print::rust(&expr, &names).len();
            assert!(
                total < 5 * 150 * DEPTH,
                "texts of {op:?} have {total} bytes"
            );

            let value = expr.eval(&[0.5, 0.25]);
            let columns = expr.eval_columns(&[&[0.5; 3], &[0.25; 3]]);
            assert!(
                columns
                    .iter()
                    .all(|v| v.to_bits() == value.to_bits() || v.is_nan())
            );
            let simple = expr.simplify().eval(&[0.5, 0.25]);
            assert!(
                simple.to_bits() == value.to_bits() || value.is_nan(),
                "{op:?}"
            );
            assert!(expr.simplify_algebraic().len() <= expr.len());
            let bounds = expr.bounds(&[Interval::new(0.0, 1.0), Interval::new(0.0, 1.0)]);
            assert!(
                value.is_nan() || bounds.interval.contains(value),
                "{op:?}: {bounds:?}"
            );

            let copy = expr.clone();
            assert_eq!(copy.structural_hash(), expr.structural_hash());
            assert_eq!(copy.shape_hash(), expr.shape_hash());
            match expr.diff(0) {
                Ok(slope) => assert!(slope.len() <= MAX_DERIVATIVE_LEN + DEPTH * 3),
                Err(error) => assert_eq!(
                    error,
                    ExprError::TooLong {
                        limit: MAX_DERIVATIVE_LEN
                    }
                ),
            }
            let data = serde_json::to_string(&expr).unwrap();
            assert!(serde_json::from_str::<Expr>(&data).unwrap() == expr);
        }
    }
}

#[test]
fn parentheses_nest_deeply() {
    for (open, close, expected) in [
        ("(", ")", "x"),
        ("-(", ")", ""),
        ("sin((", "))", ""),
        ("2^", "", ""),
    ] {
        let text = open.repeat(DEPTH) + "x" + &close.repeat(DEPTH);
        let expr = parse(&text, None).unwrap().expr;
        let again = print::infix(&expr, &["x"]);
        if !expected.is_empty() {
            assert_eq!(again, expected);
        }
        assert!(parse(&again, None).unwrap().expr == expr);
        let unclosed = open.repeat(DEPTH) + "x";
        assert_eq!(parse(&unclosed, None).is_err(), !close.is_empty());
    }
}
