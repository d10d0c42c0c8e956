//! Losses that are formulas: of the prediction and the target, computed in the kernel of each tree.
//!
//! The formula's steps are appended to the tree's, with the tree's value in the place of the
//! prediction, so the loss is compiled like any other expression and no column of predictions or of
//! losses is ever written. Where the formula says a thing twice, such as `p - y`, it is computed
//! once: steps of the same operator and operands are one.

use opcodon_expr::{Expr, Node, Op};

use crate::tape::{Arg, Tape, index};

/// What can be read off a formula about its sign, whatever is rounded.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Sign {
    Any,
    NotNegative,
    Positive,
}

/// Whether it can be read off a formula that no rounding makes it negative.
pub(crate) fn is_never_negative(formula: &Expr) -> bool {
    let mut stack: Vec<Sign> = Vec::new();
    let mut last = None;
    for node in formula.nodes() {
        let sign = match *node {
            Node::Const(number) if number > 0.0 => Sign::Positive,
            Node::Const(0.0) => Sign::NotNegative,
            Node::Var(_) | Node::Const(_) => Sign::Any,
            Node::Op(op) => {
                let operands = stack.split_off(stack.len() - op.arity());
                let all = operands.iter().all(|&sign| sign >= Sign::NotNegative);
                let any_positive = operands.contains(&Sign::Positive);
                match op {
                    Op::Abs | Op::Square | Op::Sqrt | Op::Psqrt | Op::Exp => Sign::NotNegative,
                    Op::Pow if matches!(last, Some(Node::Const(n)) if n % 2.0 == 0.0) => {
                        Sign::NotNegative
                    }
                    Op::Add if all && any_positive => Sign::Positive,
                    Op::Max if any_positive => Sign::Positive,
                    Op::Add | Op::Mul | Op::Min if all => Sign::NotNegative,
                    Op::Max if operands.contains(&Sign::NotNegative) => Sign::NotNegative,
                    // A zero in the denominator may be a negative one.
                    Op::Div if all && operands[1] == Sign::Positive => Sign::NotNegative,
                    Op::If if !operands[1..].contains(&Sign::Any) => Sign::NotNegative,
                    _ => Sign::Any,
                }
            }
        };
        stack.push(sign);
        last = Some(*node);
    }
    stack.pop().is_some_and(|sign| sign >= Sign::NotNegative)
}

/// Columns that a panel must have for a formula whose variable 1 is the column of the targets.
pub(crate) fn n_columns(formula: &Expr, target: u32) -> usize {
    let columns = formula.nodes().iter().map(|node| match *node {
        Node::Var(variable) => target + variable.max(1),
        Node::Const(_) | Node::Op(_) => 0,
    });
    columns.max().map_or(0, |n_columns| n_columns as usize)
}

/// Replaces a tree's value by the formula's, whose variable 0 is that value, variable 1 a column, and
/// others the columns behind it.
pub(crate) fn follow(tape: &mut Tape, formula: &Expr, target: u32) {
    let value = tape.outputs[0];
    let (first_step, first_constant) = (tape.steps.len(), tape.constants.len());
    let mut stack: Vec<Arg> = Vec::new();
    for node in formula.nodes() {
        match *node {
            Node::Var(0) => stack.push(value),
            Node::Var(variable) => stack.push(Arg::Column(target + variable - 1)),
            Node::Const(number) => {
                let known = &tape.constants[first_constant..];
                let same = |other: &f64| other.to_bits() == number.to_bits();
                let k = known.iter().position(same).unwrap_or_else(|| {
                    tape.constants.push(number);
                    tape.constants.len() - 1 - first_constant
                });
                stack.push(Arg::Const(index(first_constant + k)));
            }
            Node::Op(op) => {
                let base = stack.len() - op.arity();
                let args = &stack[base..];
                let known = tape.steps[first_step..].iter();
                let result = match known
                    .clone()
                    .position(|step| step.op == op && step.operands() == args)
                {
                    Some(k) => Arg::Value(index(first_step + k)),
                    None => tape.push(op, args, 0),
                };
                stack.truncate(base);
                stack.push(result);
            }
        }
    }
    tape.outputs.clear();
    tape.outputs.extend(stack.pop());
    tape.finish();
}
