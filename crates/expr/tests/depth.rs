//! No depth is too much: nothing recurses over a tree.
//!
//! A few chains are 100,000 levels deep. Those of every operator are shorter, but run on a thread
//! whose stack is so small that recursion over them overflows it too.

#![expect(clippy::unwrap_used, reason = "a test")]

use opcodon_expr::{Expr, ExprError, Interval, MAX_DERIVATIVE_LEN, Node, Op, parse, print};

const DEPTH: usize = 100_000;
/// Levels on a stack of [`SMALL_STACK_BYTES`]: 25 bytes a level, and no call takes so few.
const SMALL_DEPTH: usize = 5_000;
const SMALL_STACK_BYTES: usize = 128 * 1024;

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
        nodes.push(Node::Op(op));
    }
    Expr::from_postfix(nodes).unwrap()
}

fn check(op: Op, k: usize, levels: usize) {
    let expr = chain(op, k, levels);
    assert_eq!(expr.depth(), levels + 1);
    let names = ["x0", "x1"];
    for text in [print::infix(&expr, &names), print::prefix(&expr, &names)] {
        assert!(
            parse(&text, Some(&names)).unwrap().expr == expr,
            "{op:?} reads differently"
        );
    }
    let mut total = 0;
    total += print::latex(&expr, &names).len();
    total += print::mathml(&expr, &names, None).len();
    total += print::sympy(&expr, &names).len();
    total += print::numpy(&expr, &names).len();
    total += print::c(&expr, &names).len();
    total += print::rust(&expr, &names).len();
    assert!(
        total < 5 * 150 * levels,
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
        Ok(slope) => assert!(slope.len() <= MAX_DERIVATIVE_LEN + 3 * levels),
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

#[test]
fn some_operators_nest_very_deeply() {
    for (op, k) in [
        (Op::Sub, 0),
        (Op::Sub, 1),
        (Op::Neg, 0),
        (Op::Cbrt, 0),
        (Op::If, 2),
    ] {
        check(op, k, DEPTH);
    }
}

/// A deep tree of operators and leaves in an irregular order.
fn tangle(seed: u64, levels: usize) -> Expr {
    let mut state = seed;
    let mut below = |n: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    // Mostly what rules of simplification are about.
    const COMMON: [Op; 6] = [Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Neg, Op::Inv];
    let mut nodes = vec![Node::Var(0)];
    for _ in 0..levels {
        let op = if below(4) > 0 {
            COMMON[below(COMMON.len())]
        } else {
            Op::ALL[below(Op::ALL.len())]
        };
        let mut before = Vec::new();
        for _ in 1..op.arity() {
            let leaf = if below(2) > 0 {
                Node::Var(1)
            } else {
                Node::Const(below(8) as f64 - 3.5)
            };
            if below(2) > 0 {
                nodes.push(leaf)
            } else {
                before.push(leaf)
            }
        }
        nodes.splice(0..0, before);
        nodes.push(Node::Op(op));
    }
    Expr::from_postfix(nodes).unwrap()
}

#[test]
fn simplification_of_any_chain_is_shallow() {
    let check_all = || {
        for seed in 0..20 {
            let expr = tangle(seed, SMALL_DEPTH);
            assert!(expr.simplify().len() <= expr.len());
            assert!(expr.simplify_algebraic().len() <= expr.len());
        }
    };
    let thread = std::thread::Builder::new().stack_size(SMALL_STACK_BYTES);
    thread.spawn(check_all).unwrap().join().unwrap();
}

#[test]
fn every_operator_nests_deeply() {
    let check_all = || {
        for &op in Op::ALL {
            for k in 0..op.arity() {
                check(op, k, SMALL_DEPTH);
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(SMALL_STACK_BYTES);
    thread.spawn(check_all).unwrap().join().unwrap();
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
