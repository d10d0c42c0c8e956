//! Shorter expressions with the same meaning.
//!
//! There are two ideas of sameness. [`Expr::simplify`] keeps the value to the bit, for every row,
//! so a search may apply it at any time. [`Expr::simplify_algebraic`] keeps the value in the sense
//! of a mathematician: it is for showing a result to a person.
//!
//! The expression becomes a graph in which equal subtrees are one term, so that `x - x` is seen by
//! comparing two numbers. Terms are built from the leaves up; building applies the rules in
//! [`exact`] and [`algebraic`], which see operands that are simplified already. What no rule of one or two
//! operators shortens may be shorter as a fraction of polynomials ([`rational`]).
//!
//! # Invariants
//! No rule uses an operand twice, and nothing makes an expression longer. Rules may use operators
//! that the expression did not have (`x*x` becomes `square(x)`).

mod algebraic;
mod exact;
mod graph;
mod rational;

use crate::op::Op;
use crate::tree::{Expr, Node};
use graph::{Graph, Id};

/// Rewriting may make rewriting possible elsewhere; more rounds than this bring nothing.
const ROUNDS: usize = 8;

/// Which rules may be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// Those that keep every value to the bit.
    Exact,
    /// Those of real numbers as well.
    Algebraic,
}

impl Expr {
    /// An expression that is not longer and whose value in f64 is the same to the bit on every
    /// row, NaN apart.
    ///
    /// Constants are folded by [`Op::reference`]. Identities are used only where IEEE 754 grants
    /// them: `x*1` is `x`, but `x + 0` is not (for x = -0), nor is `x - x` zero (for x infinite).
    /// In f32 folding may differ in the last place, since it is done in f64.
    #[must_use]
    pub fn simplify(&self) -> Expr {
        self.simplify_by(Rules::Exact)
    }

    /// An expression that is not longer and equal by the algebra of real numbers.
    ///
    /// Values may differ by rounding, and where the original is NaN or infinite: `x/x` becomes 1
    /// also for x = 0, `exp(log(x))` becomes `x` also for negative x.
    #[must_use]
    pub fn simplify_algebraic(&self) -> Expr {
        self.simplify_by(Rules::Algebraic)
    }

    fn simplify_by(&self, rules: Rules) -> Expr {
        let mut best = self.simplify_once(rules);
        for _ in 1..ROUNDS {
            let next = best.simplify_once(rules);
            if next == best {
                break;
            }
            best = next;
        }
        let collected = match rules {
            Rules::Exact => None,
            Rules::Algebraic => rational::collected(&best),
        };
        // It is shorter, so this comes to an end.
        collected.map_or(best, |shorter| shorter.simplify_by(rules))
    }

    fn simplify_once(&self, rules: Rules) -> Expr {
        let mut simplifier = Simplifier {
            graph: Graph::with_capacity(self.len()),
            rules,
        };
        let mut stack: Vec<Id> = Vec::new();
        for node in self.nodes() {
            let id = match *node {
                Node::Op(op) => {
                    let operands = stack.len() - op.arity();
                    let id = simplifier.apply(op, &stack[operands..]);
                    stack.truncate(operands);
                    id
                }
                Node::Const(_) | Node::Var(_) => simplifier.graph.leaf(*node),
            };
            stack.push(id);
        }
        simplifier.graph.expr(stack[0])
    }
}

struct Simplifier {
    graph: Graph,
    rules: Rules,
}

impl Simplifier {
    /// The term `op(operands)`, simplified.
    ///
    /// Rules call this for the terms that they make. That recursion is shallow: what a rule makes
    /// has operands that are simplified already, so it takes a few rules until none applies.
    fn apply(&mut self, op: Op, operands: &[Id]) -> Id {
        if let Some(value) = self.fold(op, operands) {
            return self.constant(value);
        }
        if let Some(id) = self.exact(op, operands) {
            return id;
        }
        if self.rules == Rules::Algebraic
            && let Some(id) = self.algebraic(op, operands)
        {
            return id;
        }
        let may_swap = match op {
            // Which of two zeros they return depends on the order.
            Op::Min | Op::Max => self.rules == Rules::Algebraic,
            _ => op.is_commutative(),
        };
        self.graph.term(op, operands, may_swap)
    }

    /// The value of an application to numbers.
    fn fold(&self, op: Op, operands: &[Id]) -> Option<f64> {
        let mut values = [0.0; crate::op::MAX_ARITY];
        for (value, &operand) in values.iter_mut().zip(operands) {
            *value = self.graph.value(operand)?;
        }
        Some(op.reference(&values[..operands.len()]))
    }

    fn constant(&mut self, value: f64) -> Id {
        self.graph.leaf(Node::Const(value))
    }

    fn neg(&mut self, a: Id) -> Id {
        self.apply(Op::Neg, &[a])
    }

    /// x, if the term is `op(x)`.
    fn operand_of(&self, op: Op, id: Id) -> Option<Id> {
        match self.graph.application(id) {
            Some((found, [x])) if found == op => Some(*x),
            _ => None,
        }
    }

    /// x and y, if the term is `op(x, y)`.
    fn operands_of(&self, op: Op, id: Id) -> Option<(Id, Id)> {
        match self.graph.application(id) {
            Some((found, [x, y])) if found == op => Some((*x, *y)),
            _ => None,
        }
    }
}
