//! How operators with a symbol are written between or before their operands.

use crate::print::level;

/// How an operator is written in infix notation, for those that have a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The symbol, as printed.
    pub text: &'static str,
    /// Binding strength; see [`crate::print::level`].
    pub level: u8,
    /// How operators of the same strength group.
    pub grouping: Grouping,
}

/// How a run of operators of one binding strength is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// `a - b - c` is `(a - b) - c`.
    Left,
    /// `a ^ b ^ c` is `a ^ (b ^ c)`.
    Right,
    /// `a < b < c` is refused.
    None,
    /// `-a`: one operand, which follows.
    Prefix,
}

impl Symbol {
    /// What the operands of an infix operator must be to go without parentheses, and what stands
    /// between them.
    pub(crate) fn places(self) -> (u8, u8) {
        match self.grouping {
            Grouping::Left => (self.level, self.level + 1),
            // An exponent may have a sign: `2^-x`.
            Grouping::Right => (self.level + 1, level::NEGATION),
            Grouping::None => (self.level + 1, self.level + 1),
            Grouping::Prefix => (level::ANY, self.level),
        }
    }
}
