//! What a formula may be: how long, how deep, of which operators, under which constraints.
//!
//! Numbers are free. They scale and shift whatever there is, whether or not sums and products were
//! asked for, and make no formula deeper. Sums and products of many count as one level, for how they
//! are bracketed is nobody's choice.

use opcodon_expr::{Expr, Node, Op};

use crate::config::Config;
use crate::constraints::Constraints;

/// What every formula of a search keeps to.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    max_size: usize,
    max_levels: usize,
    constraints: Constraints,
    /// Whether an operator may stand in a formula, by its index.
    known: Vec<bool>,
}

impl Rules {
    /// Those of the configuration; what guesses and definitions are made of is known, too.
    pub(crate) fn new(config: &Config, guesses: &[Expr]) -> Self {
        let guessed = |op: Op| guesses.iter().any(|g| g.nodes().contains(&Node::Op(op)));
        let operators = &config.operators;
        let known = |&op: &Op| operators.write(op) || operators.shows(op) || guessed(op);
        Self {
            max_size: config.max_size,
            max_levels: config.max_depth,
            constraints: config.constraints.clone(),
            known: Op::ALL.iter().map(known).collect(),
        }
    }

    /// Whether a formula keeps to them.
    pub(crate) fn allow(&self, expr: &Expr) -> bool {
        expr.len() <= self.max_size
            && self.levels(expr).is_some_and(|n| n <= self.max_levels)
            && self.constraints.allow(expr)
    }

    /// The levels of a formula; `None` if an operator in it is not known or a number is none.
    fn levels(&self, expr: &Expr) -> Option<usize> {
        let mut stack: Vec<Part> = Vec::with_capacity(16);
        for node in expr.nodes() {
            let part = match *node {
                // Scales of extreme columns may multiply to more than there is.
                Node::Const(value) if !value.is_finite() => return None,
                Node::Const(_) => Part {
                    kind: Kind::Number,
                    levels: 0,
                },
                Node::Var(_) => Part {
                    kind: Kind::Other,
                    levels: 1,
                },
                Node::Op(op) => {
                    let operands = stack.split_off(stack.len() - op.arity());
                    self.applied(op, &operands)?
                }
            };
            stack.push(part);
        }
        stack.pop().map(|part| part.levels)
    }

    fn applied(&self, op: Op, operands: &[Part]) -> Option<Part> {
        let of_numbers = |part: &Part| part.kind == Kind::Number;
        let kind = match op {
            Op::Neg => return operands.first().copied(),
            Op::Add | Op::Sub => Kind::Sum,
            Op::Mul | Op::Div => Kind::Product,
            _ => Kind::Other,
        };
        let numbered = match operands {
            [part, number] if of_numbers(number) => Some(*part),
            // A number over a formula is no scale: it takes a reciprocal.
            [number, part] if of_numbers(number) && op != Op::Div => Some(*part),
            _ => None,
        };
        if let Some(part) = numbered.filter(|_| kind != Kind::Other) {
            // What is shifted is no factor among others any more.
            let shifted = kind == Kind::Sum && part.kind == Kind::Product;
            let kind = if shifted { Kind::Other } else { part.kind };
            return Some(Part { kind, ..part });
        }
        let reciprocal = op == Op::Div && operands.first().is_some_and(of_numbers);
        let op = if reciprocal { Op::Inv } else { op };
        let level =
            |part: &Part| part.levels + usize::from(kind == Kind::Other || part.kind != kind);
        self.known[op as usize].then(|| Part {
            kind,
            levels: operands.iter().map(level).max().unwrap_or(0),
        })
    }
}

/// A part of a formula.
#[derive(Debug, Clone, Copy)]
struct Part {
    kind: Kind,
    levels: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Sum,
    Product,
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(settings: &[(&str, &str)], guesses: &[&str], formula: &str) -> bool {
        let names = ["x", "z"];
        let parsed = |text: &str| opcodon_expr::parse(text, Some(&names)).expect(text).expr;
        let mut config = Config::default();
        for (name, value) in settings {
            config.set(name, value).expect(name);
        }
        let guesses: Vec<Expr> = guesses.iter().map(|text| parsed(text)).collect();
        Rules::new(&config, &guesses).allow(&parsed(formula))
    }

    #[test]
    fn formulas_are_made_of_what_was_asked_for_and_of_numbers() {
        for (operators, formula, allowed) in [
            ("sin", "3*sin(2*x + 1) - 5", true),
            ("sin", "-sin(x)/4", true),
            ("sin", "sin(x) + x", false),
            ("sin", "x*x", false),
            ("sin", "2/x", false),
            ("add", "3*x - z + 1", true),
            ("add", "x*z", false),
            ("sub", "x + z", true),
            ("add,mul", "x*square(z) + cube(x)", true),
            ("add,mul", "x/z", false),
            ("div", "2/x", true),
            ("div", "x*z", true),
            ("mul,inv", "x/z", true),
            ("add,gauss(x) = exp(-x^2)", "x + exp(-z^2)", true),
            ("add", "exp(x)", false),
        ] {
            let settings = [("operators", operators)];
            assert_eq!(
                allow(&settings, &[], formula),
                allowed,
                "{operators}: {formula}"
            );
        }
        assert!(allow(&[("operators", "add")], &["erf(x)"], "erf(z) + x"));
    }

    #[test]
    fn numbers_and_brackets_make_no_levels() {
        for (formula, levels) in [
            ("x", 1),
            ("3*x + 1", 1),
            ("x + z", 2),
            ("x + (z + (x + 2*z)) - x", 2),
            ("x*z*x*z/x", 2),
            ("2*(x + z) + 1", 2),
            ("sin(x + z)", 3),
            ("(x*z + 1)*x", 3),
            ("x*z + 1 + x", 3),
            ("x*(x + z*(x + z))", 5),
        ] {
            let with = |max: usize| allow(&[("max_depth", &max.to_string())], &[], formula);
            assert!(with(levels), "{formula}");
            assert!(levels == 1 || !with(levels - 1), "{formula}");
        }
        assert!(!allow(&[("max_size", "4")], &[], "x + z + x"));
        assert!(!allow(&[("constraints", "sin <= 0")], &[], "sin(x)"));
    }
}
