//! Constant expressions: numbers, names and `$` with C's operators, kept in postfix order.
//!
//! They are parsed when they are read and computed when the places of the labels are known, which
//! can be often while branches find their lengths. Values are 128 bits wide, so that all 64-bit
//! numbers, signed and unsigned, are different. Both directions are loops, not recursions: a text
//! may nest parentheses as deeply as it likes.

use std::ops::Range;

use super::error::{AssembleErrorKind as Kind, Fault, fault};
use super::token::Token;

/// One step of the computation.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Number(i128),
    /// A name, by its place in the table of the program's names.
    Name(usize),
    /// The address of the statement.
    Here,
    /// The address of the first byte.
    Start,
    Negate,
    Not,
    Binary(Binary),
}

/// Operators of two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Or,
    Xor,
    And,
    Shl,
    Shr,
    Add,
    Sub,
    Mul,
    Div,
    Rem,
}

impl Binary {
    /// Operator, spelling, and how strongly it binds.
    const TABLE: [(Self, &'static str, u8); 10] = [
        (Self::Or, "|", 1),
        (Self::Xor, "^", 2),
        (Self::And, "&", 3),
        (Self::Shl, "<<", 4),
        (Self::Shr, ">>", 4),
        (Self::Add, "+", 5),
        (Self::Sub, "-", 5),
        (Self::Mul, "*", 6),
        (Self::Div, "/", 6),
        (Self::Rem, "%", 6),
    ];

    pub(super) fn of(token: &Token) -> Option<(Self, u8)> {
        let Token::Mark(mark) = token else {
            return None;
        };
        let row = Self::TABLE.iter().find(|row| row.1 == *mark)?;
        Some((row.0, row.2))
    }

    fn apply(self, a: i128, b: i128) -> Result<i128, &'static str> {
        let shift = u32::try_from(b).ok().filter(|&n| n < 64);
        match self {
            Self::Or => Some(a | b),
            Self::Xor => Some(a ^ b),
            Self::And => Some(a & b),
            Self::Shl => shift.and_then(|n| a.checked_mul(1 << n)),
            Self::Shr => shift.map(|n| a >> n),
            Self::Add => a.checked_add(b),
            Self::Sub => a.checked_sub(b),
            Self::Mul => a.checked_mul(b),
            Self::Div | Self::Rem if b == 0 => return Err("divides by zero"),
            Self::Div => a.checked_div(b),
            Self::Rem => a.checked_rem(b),
        }
        .ok_or("is beyond all bounds")
    }
}

/// A parsed expression.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) steps: Vec<Step>,
    pub(super) span: Range<usize>,
}

/// What names and `$` stand for.
pub(super) trait Scope {
    /// The value of a name.
    fn name(&self, index: usize) -> Result<i128, Fault>;
    /// The address of the statement, and that of the first byte.
    fn here(&self) -> (i128, i128);
}

impl Expr {
    /// A number.
    pub(super) fn number(value: i128, span: Range<usize>) -> Self {
        Self {
            steps: vec![Step::Number(value)],
            span,
        }
    }

    /// This one plus or minus another.
    pub(super) fn join(mut self, other: Self, minus: bool) -> Self {
        self.span.end = other.span.end.max(self.span.end);
        self.steps.extend(other.steps);
        let binary = if minus { Binary::Sub } else { Binary::Add };
        self.steps.push(Step::Binary(binary));
        self
    }

    /// Its negative.
    pub(super) fn negated(mut self) -> Self {
        self.steps.push(Step::Negate);
        self
    }

    /// Whether it is made of numbers only, so that its value is the same everywhere.
    pub(super) fn is_constant(&self, is_constant: impl Fn(usize) -> bool) -> bool {
        self.steps.iter().all(|step| match step {
            Step::Name(index) => is_constant(*index),
            Step::Here | Step::Start => false,
            _ => true,
        })
    }

    /// How many addresses it adds up: 1 for a label, 0 for a number or a difference of labels.
    pub(super) fn n_addresses(&self, of: impl Fn(usize) -> i64) -> i64 {
        let mut stack: Vec<i64> = Vec::new();
        for step in &self.steps {
            let count = match step {
                Step::Number(_) => 0,
                Step::Name(index) => of(*index),
                Step::Here | Step::Start => 1,
                Step::Negate => -stack.pop().unwrap_or_default(),
                Step::Not => stack.pop().map_or(0, |_| 0),
                Step::Binary(binary) => {
                    let b = stack.pop().unwrap_or_default();
                    let a = stack.pop().unwrap_or_default();
                    match binary {
                        Binary::Add => a.saturating_add(b),
                        Binary::Sub => a.saturating_sub(b),
                        _ => 0,
                    }
                }
            };
            stack.push(count);
        }
        stack.pop().unwrap_or_default()
    }

    /// Its value.
    pub(super) fn value(&self, scope: &impl Scope) -> Result<i128, Fault> {
        let no_value = |reason| fault(Kind::NoValue { reason }, &self.span);
        let mut stack: Vec<i128> = Vec::new();
        for step in &self.steps {
            let mut pop = || stack.pop().unwrap_or_default();
            let value = match step {
                Step::Number(value) => *value,
                Step::Name(index) => scope.name(*index)?,
                Step::Here => scope.here().0,
                Step::Start => scope.here().1,
                Step::Negate => pop()
                    .checked_neg()
                    .ok_or_else(|| no_value("is beyond all bounds"))?,
                Step::Not => !pop(),
                Step::Binary(binary) => {
                    let b = pop();
                    binary.apply(pop(), b).map_err(no_value)?
                }
            };
            stack.push(value);
        }
        Ok(stack.pop().unwrap_or_default())
    }
}
