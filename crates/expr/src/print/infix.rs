//! This crate's own notation: infix and prefix.

use super::form::Form;
use super::write::{Language, write};
use super::{level, number};
use crate::op::{Grouping, Op};
use crate::tree::Expr;

/// Infix notation with the fewest parentheses: `2*x0^2 - sin(x1)`. [`crate::parse`] with the same
/// names gives the same expression, constants to the bit.
///
/// Names that are not identifiers, or that mean something else, are put between backticks.
#[must_use]
pub fn infix<S: AsRef<str>>(expr: &Expr, names: &[S]) -> String {
    write(
        expr,
        &OwnNotation {
            names,
            symbols: true,
        },
    )
    .0
}

/// Every operator as a function call, as DEAP and gplearn print: `sub(mul(2, pow(x0, 2)), sin(x1))`.
/// [`crate::parse`] with the same names gives the same expression, constants to the bit.
#[must_use]
pub fn prefix<S: AsRef<str>>(expr: &Expr, names: &[S]) -> String {
    write(
        expr,
        &OwnNotation {
            names,
            symbols: false,
        },
    )
    .0
}

struct OwnNotation<'a, S> {
    names: &'a [S],
    symbols: bool,
}

impl<S: AsRef<str>> Language for OwnNotation<'_, S> {
    fn form(&self, op: Op) -> Form {
        match op.symbol() {
            Some(symbol) if self.symbols => Form::Infix(symbol),
            _ => Form::Call(op.name()),
        }
    }

    fn number(&self, out: &mut String, value: f64) -> u8 {
        number::write_infix(out, value);
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

/// What the operands of an infix operator must be to go without parentheses, and what stands
/// between them.
pub(crate) fn infix_places(symbol: crate::op::Symbol) -> (u8, u8) {
    match symbol.grouping {
        Grouping::Left => (symbol.level, symbol.level + 1),
        // An exponent may have a sign: `2^-x`.
        Grouping::Right => (symbol.level + 1, level::NEGATION),
        Grouping::None => (symbol.level + 1, symbol.level + 1),
        Grouping::Prefix => (level::ANY, symbol.level),
    }
}
