//! Rules that formulas have to keep: how often an operator may occur, and what its arguments hold.
//!
//! A rule is an inequality: `sin <= 2` for at most two sines in a formula, `exp in sin <= 0` for no
//! exponential anywhere inside a sine, `pow[2] <= 1` for a second argument of one node. The search
//! throws away what breaks a rule as soon as it is made; as simplifying and fitting may still
//! bring an operator in, formulas are looked at once more before they are reported.

use std::fmt;
use std::str::FromStr;

use opcodon_expr::{Expr, Node, Op};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::SrError;
use crate::operators::operator;

/// Rules that every formula of a front keeps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Constraints(Vec<Rule>);

/// At most `limit` of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rule {
    of: Counted,
    limit: usize,
}

/// What a rule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// Occurrences of an operator in the formula.
    Operator(Op),
    /// Occurrences of an operator inside the arguments of another, or of the same.
    Inside { inner: Op, outer: Op },
    /// Nodes of an operator's argument, counted from 0.
    Argument { op: Op, index: usize },
}

impl Constraints {
    /// Reads rules such as `sin <= 2`, `exp in sin <= 0` or `pow[2] <= 1`, separated by semicolons.
    ///
    /// # Errors
    /// [`SrError::Constraint`] for what is no rule, [`SrError::UnknownOperator`].
    pub fn from_text(text: &str) -> Result<Self, SrError> {
        let rules = text.split(';').map(str::trim).filter(|r| !r.is_empty());
        rules.map(str::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a formula keeps all rules.
    #[must_use]
    pub fn allow(&self, expr: &Expr) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let nodes = expr.nodes();
        let sizes = expr.subtree_sizes();
        self.0.iter().all(|rule| rule.kept(nodes, &sizes))
    }
}

impl Rule {
    fn kept(self, nodes: &[Node], sizes: &[u32]) -> bool {
        let count = |op: Op, nodes: &[Node]| nodes.iter().filter(|n| **n == Node::Op(op)).count();
        let places = |op: Op| (0..nodes.len()).filter(move |&i| nodes[i] == Node::Op(op));
        match self.of {
            Counted::Operator(op) => count(op, nodes) <= self.limit,
            Counted::Inside { inner, outer } => places(outer).all(|root| {
                let start = root + 1 - sizes[root] as usize;
                count(inner, &nodes[start..root]) <= self.limit
            }),
            Counted::Argument { op, index } => places(op).all(|root| {
                // The last argument ends just before the operator.
                let mut end = root - 1;
                for _ in index + 1..op.arity() {
                    end -= sizes[end] as usize;
                }
                sizes[end] as usize <= self.limit
            }),
        }
    }
}

impl FromStr for Rule {
    type Err = SrError;

    fn from_str(text: &str) -> Result<Self, SrError> {
        let refused = |reason: &str| SrError::Constraint {
            text: text.trim().to_owned(),
            reason: reason.to_owned(),
        };
        let (left, right) = text
            .split_once("<=")
            .ok_or_else(|| refused("there is no <= in it"))?;
        let limit = right.trim().parse();
        let limit = limit.map_err(|_| refused("what follows <= is no whole number"))?;
        let left = left.trim();
        let of = if let Some((inner, outer)) = left.split_once(" in ") {
            Counted::Inside {
                inner: operator(inner)?,
                outer: operator(outer)?,
            }
        } else if let Some((op, index)) = left.strip_suffix(']').and_then(|l| l.split_once('[')) {
            let op = operator(op)?;
            let index = index.trim().parse::<usize>().ok();
            let index = index.filter(|i| (1..=op.arity()).contains(i));
            Counted::Argument {
                op,
                index: index.ok_or_else(|| refused("there is no such argument"))? - 1,
            }
        } else {
            Counted::Operator(operator(left)?)
        };
        Ok(Self { of, limit })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Counted::Operator(op) => write!(f, "{}", op.name())?,
            Counted::Inside { inner, outer } => {
                write!(f, "{} in {}", inner.name(), outer.name())?;
            }
            Counted::Argument { op, index } => write!(f, "{}[{}]", op.name(), index + 1)?,
        }
        write!(f, " <= {}", self.limit)
    }
}

impl fmt::Display for Constraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<String> = self.0.iter().map(Rule::to_string).collect();
        f.write_str(&rules.join("; "))
    }
}

impl Serialize for Constraints {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Constraints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opcodon_expr::parse;

    #[test]
    fn rules_count_operators_nests_and_arguments() {
        for (rules, formula, allowed) in [
            ("", "sin(sin(x))", true),
            ("sin <= 1", "sin(x) + cos(x)", true),
            ("sin <= 1", "sin(x) + sin(2*x)", false),
            ("sin in sin <= 0", "sin(x) + sin(2*x)", true),
            ("sin in sin <= 0", "sin(1 + sin(x))", false),
            ("exp in sin <= 1", "sin(exp(x) + exp(2*x))", false),
            ("exp in sin <= 1", "sin(exp(x)) + exp(x)", true),
            ("div[2] <= 1", "(x + 1)/x", true),
            ("div[2] <= 1", "x/(x + 1)", false),
            ("div[1] <= 1", "x/(x + 1)", true),
            ("if[2] <= 1; sin <= 0", "if(x > 1, x + 1, 2)", false),
            ("if[3] <= 1; + <= 1", "if(x > 1, x + 1, 2)", true),
        ] {
            let expr = parse(formula, Some(&["x"])).expect(formula).expr;
            let constraints = Constraints::from_text(rules).expect(rules);
            assert_eq!(constraints.allow(&expr), allowed, "{rules}: {formula}");
            let again = Constraints::from_text(&constraints.to_string());
            assert_eq!(again.expect(rules), constraints);
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_its_reason() {
        for (text, reason) in [
            ("sin", "no <="),
            ("sin <= many", "no whole number"),
            ("sin <= -1", "no whole number"),
            ("sin[2] <= 1", "no such argument"),
            ("div[0] <= 1", "no such argument"),
            ("sine <= 1", "sine"),
            ("sin in coz <= 1", "coz"),
        ] {
            let error = Constraints::from_text(text).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
