//! The operators that formulas are made of, and functions that users define.
//!
//! A definition is a formula of its parameters. The search puts subtrees to them and works with
//! what comes out, so that everything it knows about operators (normal forms, derivatives,
//! intervals, machine code) holds for definitions as it is; formulas show them written out.

use std::fmt;

use opcodon_expr::{Expr, Node, Op, parse, print};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{SrError, nearest};

/// The operators formulas are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Operators {
    operators: Vec<Op>,
    definitions: Vec<Definition>,
}

/// A function that a user defined: `gauss(x) = exp(-x^2)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    name: String,
    parameters: Vec<String>,
    body: Expr,
}

/// Most parameters of a definition.
const PARAMETERS_MAX: usize = 3;

impl Operators {
    /// These operators, in this order, each once.
    #[must_use]
    pub fn new(operators: impl IntoIterator<Item = Op>) -> Self {
        let mut list = Vec::new();
        for op in operators {
            if !list.contains(&op) {
                list.push(op);
            }
        }
        Self {
            operators: list,
            definitions: Vec::new(),
        }
    }

    /// Reads names or spellings (`add`, `+`, `sin`, …) and definitions.
    ///
    /// # Errors
    /// [`SrError::UnknownOperator`] with the closest known name; [`SrError::Definition`].
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, SrError> {
        let mut operators = Vec::new();
        let mut definitions: Vec<Definition> = Vec::new();
        for name in names {
            if name.contains('=') {
                let definition = Definition::from_text(name)?;
                if definitions
                    .iter()
                    .any(|other| other.name == definition.name)
                {
                    return Err(definition.refused("it is defined twice"));
                }
                definitions.push(definition);
            } else {
                operators.push(operator(name)?);
            }
        }
        Ok(Self {
            definitions,
            ..Self::new(operators)
        })
    }

    /// Reads a list whose elements are separated by commas.
    ///
    /// # Errors
    /// As [`Operators::from_names`].
    pub fn from_text(text: &str) -> Result<Self, SrError> {
        // Commas between the parameters of a definition separate nothing.
        let mut depth = 0usize;
        let elements = text.split(|c| {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && depth == 0
        });
        let elements = elements.map(str::trim).filter(|name| !name.is_empty());
        Self::from_names(elements)
    }

    /// The operators, without definitions.
    #[must_use]
    pub fn as_slice(&self) -> &[Op] {
        &self.operators
    }

    /// Whether `op` is one of them.
    #[must_use]
    pub fn contains(&self, op: Op) -> bool {
        self.operators.contains(&op)
    }

    /// Whether formulas may contain `op`: it was asked for, or it is written with what was asked for.
    pub(crate) fn write(&self, op: Op) -> bool {
        let has = |op| self.contains(op);
        match op {
            // Coefficients may be negative.
            Op::Add | Op::Sub => has(Op::Add) || has(Op::Sub),
            Op::Neg => true,
            Op::Mul => has(Op::Mul) || has(Op::Div),
            Op::Div => has(Op::Div) || has(Op::Inv) && has(Op::Mul),
            Op::Inv => has(Op::Inv) || has(Op::Div),
            Op::Square | Op::Cube => has(op) || self.write(Op::Mul),
            _ => has(op),
        }
    }

    /// Whether formulas show `op`: definitions are written out.
    pub(crate) fn shows(&self, op: Op) -> bool {
        let inside = |definition: &Definition| definition.body.nodes().contains(&Node::Op(op));
        self.contains(op) || self.definitions.iter().any(inside)
    }

    pub(crate) fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    fn texts(&self) -> impl Iterator<Item = String> {
        let operators = self.operators.iter().map(|op| op.name().to_owned());
        operators.chain(self.definitions.iter().map(Definition::to_string))
    }
}

/// An operator by its name or spelling.
pub(crate) fn operator(name: &str) -> Result<Op, SrError> {
    let name = name.trim();
    Op::from_spelling(name).ok_or_else(|| SrError::UnknownOperator {
        name: name.to_owned(),
        nearest: nearest(name, Op::ALL.iter().map(|op| op.name())),
    })
}

impl Definition {
    fn from_text(text: &str) -> Result<Self, SrError> {
        let refused = |reason: String| SrError::Definition {
            text: text.trim().to_owned(),
            reason,
        };
        let form = || refused("a definition looks like gauss(x) = exp(-x^2)".to_owned());
        let (head, body) = text.split_once('=').ok_or_else(form)?;
        let (name, parameters) = head
            .trim()
            .strip_suffix(')')
            .and_then(|h| h.split_once('('))
            .ok_or_else(form)?;
        let parameters: Vec<String> = parameters.split(',').map(|p| p.trim().to_owned()).collect();
        let is_name = |name: &str| {
            let mut letters = name.chars();
            letters
                .next()
                .is_some_and(|c| c.is_alphabetic() || c == '_')
                && letters.all(|c| c.is_alphanumeric() || c == '_')
        };
        let name = name.trim();
        if !is_name(name) || !parameters.iter().all(|p| is_name(p)) {
            return Err(form());
        }
        if Op::from_spelling(name).is_some() {
            return Err(refused(format!(
                "there is an operator '{name}' already: choose another name"
            )));
        }
        if parameters.len() > PARAMETERS_MAX {
            return Err(refused(format!(
                "it has more than {PARAMETERS_MAX} parameters"
            )));
        }
        let names: Vec<&str> = parameters.iter().map(String::as_str).collect();
        let parsed =
            parse(body.trim(), Some(&names)).map_err(|error| refused(error.to_string()))?;
        let body = parsed.expr;
        let unused = (0..)
            .zip(&parameters)
            .find(|&(index, _)| !body.nodes().contains(&Node::Var(index)));
        if let Some((_, unused)) = unused {
            return Err(refused(format!("the parameter {unused} is not used")));
        }
        Ok(Self {
            name: name.to_owned(),
            parameters,
            body,
        })
    }

    fn refused(&self, reason: &str) -> SrError {
        SrError::Definition {
            text: self.to_string(),
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn arity(&self) -> usize {
        self.parameters.len()
    }

    /// The formula with arguments put to its parameters, in postfix order.
    pub(crate) fn apply(&self, arguments: &[&[Node]]) -> Vec<Node> {
        let mut nodes = Vec::new();
        for &node in self.body.nodes() {
            match node {
                Node::Var(index) => nodes.extend_from_slice(arguments[index as usize]),
                other => nodes.push(other),
            }
        }
        nodes
    }
}

impl fmt::Display for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = print::infix(&self.body, &self.parameters);
        write!(f, "{}({}) = {body}", self.name, self.parameters.join(", "))
    }
}

impl fmt::Display for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().collect::<Vec<_>>().join(","))
    }
}

impl Default for Operators {
    /// The rational functions, because laws and smooth surfaces are mostly made of them; the
    /// elementary functions of physics; `square`, because a power that has to be assembled from
    /// `x*x` doubles the subtree. `tanh` and `asin` are seldom the answer, so the search draws
    /// them seldom.
    fn default() -> Self {
        Self::new([
            Op::Add,
            Op::Sub,
            Op::Mul,
            Op::Div,
            Op::Square,
            Op::Sqrt,
            Op::Exp,
            Op::Log,
            Op::Sin,
            Op::Cos,
            Op::Tanh,
            Op::Asin,
        ])
    }
}

impl Serialize for Operators {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.texts())
    }
}

impl<'de> Deserialize<'de> for Operators {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Self::from_names(names.iter().map(String::as_str)).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_back_as_they_were_written() {
        let text = "add,mul,gauss(x) = exp(-x^2),hill(x, k) = x/(k + x)";
        let operators = Operators::from_text(text).expect("operators");
        assert_eq!(operators.to_string(), text);
        assert_eq!(operators.as_slice(), [Op::Add, Op::Mul]);
        assert!(operators.shows(Op::Exp) && !operators.contains(Op::Exp));
        let json = serde_json::to_string(&operators).expect("json");
        assert_eq!(
            serde_json::from_str::<Operators>(&json).expect("back"),
            operators
        );
    }

    #[test]
    fn arguments_are_put_to_parameters() {
        let operators = Operators::from_text("hill(x, k) = x/(k + x)").expect("operators");
        let x = [Node::Var(7)];
        let k = [Node::Const(2.0), Node::Var(1), Node::Op(Op::Mul)];
        let nodes = operators.definitions()[0].apply(&[&x, &k]);
        let written = print::infix::<&str>(&Expr::from_postfix(nodes).expect("tree"), &[]);
        assert_eq!(written, "x7/(2*x1 + x7)");
    }

    #[test]
    fn bad_definitions_are_refused_with_a_reason() {
        for (text, part) in [
            ("gauss(x) =", "empty"),
            ("gauss = exp(x)", "looks like"),
            ("(x) = x", "looks like"),
            ("sin(x) = x", "operator 'sin' already"),
            ("f(a, b, c, d) = a + b + c + d", "more than 3"),
            ("f(x, y) = x", "y is not used"),
            ("f(x) = x + z", "unknown variable"),
            ("f(x) = x,f(y) = y^2", "defined twice"),
            ("ad", "no operator 'ad'"),
        ] {
            let error = Operators::from_text(text).expect_err(text).to_string();
            assert!(error.contains(part), "{error:?} lacks {part:?}");
        }
    }
}
