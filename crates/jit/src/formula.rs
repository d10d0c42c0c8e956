//! Losses that are formulas: of the prediction and the target, computed in the kernel of each tree.
//!
//! The formula's steps are appended to the tree's, with the tree's value in the place of the
//! prediction, so the loss is compiled like any other expression and no column of predictions or of
//! losses is ever written. Where the formula says a thing twice, such as `p - y`, it is computed
//! once: steps of the same operator and operands are one.

use opcodon_expr::{Expr, Node, Op};

use crate::tape::{Arg, Tape, index};

/// Whether it can be read off a formula that no rounding makes it negative.
pub(crate) fn is_never_negative(formula: &Expr) -> bool {
    let mut stack: Vec<bool> = Vec::new();
    let mut last = None;
    for node in formula.nodes() {
        let is_so = match *node {
            Node::Var(_) => false,
            Node::Const(number) => number >= 0.0,
            Node::Op(op) => {
                let operands = stack.split_off(stack.len() - op.arity());
                match op {
                    Op::Abs | Op::Square | Op::Sqrt | Op::Psqrt | Op::Exp => true,
                    Op::Add | Op::Mul | Op::Min => operands[0] && operands[1],
                    Op::Max => operands[0] || operands[1],
                    Op::If => operands[1] && operands[2],
                    Op::Pow => {
                        operands[0] || matches!(last, Some(Node::Const(n)) if n % 2.0 == 0.0)
                    }
                    _ => false,
                }
            }
        };
        stack.push(is_so);
        last = Some(*node);
    }
    stack.pop().unwrap_or(false)
}

/// Replaces a tree's value by the formula's, whose variable 0 is that value and variable 1 a column.
pub(crate) fn follow(tape: &mut Tape, formula: &Expr, target: u32) {
    let value = tape.outputs[0];
    let (first_step, first_constant) = (tape.steps.len(), tape.constants.len());
    let mut stack: Vec<Arg> = Vec::new();
    for node in formula.nodes() {
        match *node {
            Node::Var(0) => stack.push(value),
            Node::Var(_) => stack.push(Arg::Column(target)),
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
