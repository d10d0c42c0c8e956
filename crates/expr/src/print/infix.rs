//! This crate's own notation: infix and prefix.

use std::fmt;

use super::form::Form;
use super::write::{Language, write};
use super::{level, number};
use crate::op::Op;
use crate::tree::Expr;

/// Infix notation with the fewest parentheses: `2*x0^2 - sin(x1)`. [`parse()`](crate::parse()) with the same
/// names gives the same expression, constants to the bit.
///
/// Names that are not identifiers, or that mean something else, are put between backticks.
#[must_use]
pub fn infix<S: AsRef<str>>(expr: &Expr, names: &[S]) -> String {
    write(expr, &OwnNotation::new(names, true)).0
}

/// Every operator as a function call, as DEAP and gplearn print: `sub(mul(2, pow(x0, 2)), sin(x1))`.
/// [`parse()`](crate::parse()) with the same names gives the same expression, constants to the bit.
#[must_use]
pub fn prefix<S: AsRef<str>>(expr: &Expr, names: &[S]) -> String {
    write(expr, &OwnNotation::new(names, false)).0
}

struct OwnNotation<'a, S> {
    names: &'a [S],
    symbols: bool,
    /// Whether variables have taken the names of these numbers.
    nan_is_taken: bool,
    infinity_is_taken: bool,
}

impl<'a, S: AsRef<str>> OwnNotation<'a, S> {
    fn new(names: &'a [S], symbols: bool) -> Self {
        let is_taken = |number: &str| names.iter().any(|name| name.as_ref() == number);
        OwnNotation {
            names,
            symbols,
            nan_is_taken: is_taken("nan"),
            infinity_is_taken: is_taken("inf"),
        }
    }
}

impl<S: AsRef<str>> Language for OwnNotation<'_, S> {
    fn form(&self, op: Op) -> Form {
        match op.symbol() {
            Some(symbol) if self.symbols => Form::Infix(symbol),
            _ => Form::Call(op.name()),
        }
    }

    fn number(&self, out: &mut String, value: f64) -> u8 {
        if value.is_nan() && self.nan_is_taken {
            number::write_nan_with_payload(out, value);
        } else if value.is_infinite() && self.infinity_is_taken {
            // Overflows when it is read.
            out.push_str(if value > 0.0 { "1e999" } else { "-1e999" });
        } else {
            number::write_infix(out, value);
        }
        number::level_of(value)
    }

    fn variable(&self, out: &mut String, index: u32) -> u8 {
        match self.names.get(index as usize) {
            Some(name) => write_name(out, name.as_ref()),
            None => out.push_str(&format!("x{index}")),
        }
        level::ATOM
    }
}

fn write_name(out: &mut String, name: &str) {
    if is_identifier(name) && !crate::parse::is_reserved(name) {
        out.push_str(name);
    } else {
        out.push('`');
        out.push_str(&name.replace('`', "``"));
        out.push('`');
    }
}

pub(crate) fn is_identifier_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

pub(crate) fn is_identifier_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(crate) fn is_identifier(name: &str) -> bool {
    name.starts_with(is_identifier_start) && name.chars().all(is_identifier_char)
}

/// Infix notation with the variables x0, x1, …
impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&infix::<&str>(self, &[]))
    }
}
