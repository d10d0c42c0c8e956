//! Formulas that a user expects, for the search to start from.
//!
//! A guess need not have the right constants, scale or offset: these are fitted to it as to every
//! seed. Guesses are texts in the names of the table, and become formulas when there is a table.

use std::fmt;

use opcodon_expr::{Expr, Node, Op, parse};
use serde::{Deserialize, Serialize};

use crate::error::SrError;

/// Formulas to start from, in the names of the table's columns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Guesses(Vec<String>);

impl Guesses {
    /// These formulas.
    #[must_use]
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        Self(texts.into_iter().collect())
    }

    /// Formulas separated by semicolons.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let texts = text.split(';').map(str::trim);
        Self::new(texts.filter(|t| !t.is_empty()).map(str::to_owned))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The formulas in variables of the search; `inner` says what each column is there.
    pub(crate) fn read(
        &self,
        names: &[String],
        inner: impl Fn(usize) -> Column,
    ) -> Result<Vec<Expr>, SrError> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let read = |text: &String| {
            let refused = |reason: String| SrError::Guess {
                text: text.clone(),
                reason,
            };
            let parsed = parse(text, Some(&names)).map_err(|error| refused(error.to_string()))?;
            let mut nodes = Vec::with_capacity(parsed.expr.len());
            for &node in parsed.expr.nodes() {
                match node {
                    Node::Var(index) => match inner(index as usize) {
                        Column::Constant(value) => nodes.push(Node::Const(value)),
                        // 1 is the mark of an untouched column.
                        Column::Input(index, 1.0) => nodes.push(Node::Var(index)),
                        Column::Input(index, scale) => nodes.extend([
                            Node::Var(index),
                            Node::Const(1.0 / scale),
                            Node::Op(Op::Mul),
                        ]),
                    },
                    other => nodes.push(other),
                }
            }
            Expr::from_postfix(nodes).map_err(|error| refused(error.to_string()))
        };
        self.0.iter().map(read).collect()
    }
}

/// What a column of the table is in the search.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column {
    /// A variable by its number, and its scale there.
    Input(u32, f64),
    /// The same in all rows.
    Constant(f64),
}

impl fmt::Display for Guesses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}
