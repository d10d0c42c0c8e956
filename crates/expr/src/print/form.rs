//! How one operator is written in one language.

use super::level;
use crate::symbol::Symbol;

/// The shape of an application of an operator.
///
/// In templates `$a`, `$b` and `$c` stand for the operands. A digit after the letter is the level
/// the operand must have to go without parentheses (0, if absent); a question mark instead asks
/// for the operand as a truth value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// A function of this name, called.
    Call(&'static str),
    /// A template and the level of the text that it makes.
    Text(u8, &'static str),
    /// A template that makes a truth value, which is not a number in most languages.
    Relation(&'static str),
    /// The operator's own symbol, between or before the operands.
    Infix(Symbol),
    /// A function that the language lacks: its name, and its body in terms of a, b and c.
    Helper(&'static str, &'static str),
}

pub(crate) const fn call(name: &'static str) -> Form {
    Form::Call(name)
}

pub(crate) const fn text(level: u8, template: &'static str) -> Form {
    assert!(level <= level::ATOM);
    Form::Text(level, template)
}

pub(crate) const fn relation(template: &'static str) -> Form {
    Form::Relation(template)
}

pub(crate) const fn helper(name: &'static str, body: &'static str) -> Form {
    Form::Helper(name, body)
}
