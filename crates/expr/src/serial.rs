//! Expressions as data: `Serialize` and `Deserialize`.
//!
//! The form is a flat list of postfix tokens, each a text: `["x0", "2.5", "mul"]`. It has no
//! nesting that could exhaust a reader's stack, it is the same in every format, numbers keep their
//! bits, NaN and infinities included (which JSON's own numbers do not have), and names of operators
//! do not depend on their order in the table. What is read is validated: data makes an expression
//! or an error, nothing else.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::op::Op;
use crate::parse;
use crate::print;
use crate::tree::{Expr, Node};

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tokens = serializer.serialize_seq(Some(self.len()))?;
        for node in self.nodes() {
            match *node {
                Node::Const(value) => tokens.serialize_element(&print::number(value))?,
                Node::Var(index) => tokens.serialize_element(&format!("x{index}"))?,
                Node::Op(op) => tokens.serialize_element(op.name())?,
            }
        }
        tokens.end()
    }
}

impl<'de> Deserialize<'de> for Expr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Expr, D::Error> {
        deserializer.deserialize_seq(Tokens)
    }
}

struct Tokens;

impl<'de> Visitor<'de> for Tokens {
    type Value = Expr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"an expression as postfix tokens, such as ["x0", "2.5", "mul"]"#)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tokens: A) -> Result<Expr, A::Error> {
        let mut nodes = Vec::new();
        while let Some(token) = tokens.next_element::<String>()? {
            let node = node(&token).ok_or_else(|| {
                let at = nodes.len();
                A::Error::custom(format!(
                    "token {at} is {token:?}, which is no number, variable (x0, x1, …) or operator"
                ))
            })?;
            nodes.push(node);
        }
        Expr::from_postfix(nodes).map_err(A::Error::custom)
    }
}

fn node(token: &str) -> Option<Node> {
    if let Some(op) = Op::ALL.iter().copied().find(|op| op.name() == token) {
        return Some(Node::Op(op));
    }
    if let Some(digits) = token.strip_prefix('x')
        && digits.starts_with(|c: char| c.is_ascii_digit())
    {
        return digits.parse().ok().map(Node::Var);
    }
    // The parser knows how numbers are written, and that there are no names.
    match parse(token, Some(&[])).ok()?.expr.nodes() {
        [number @ Node::Const(_)] => Some(*number),
        _ => None,
    }
}
