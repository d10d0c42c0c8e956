//! Where an instruction stands, what numbers mean there, and why something does not fit.

use std::ops::Range;

use iced_x86::{Instruction, OpKind};

use super::error::Fault;
use super::expr::{Expr, Scope};
use super::symbols::Symbols;

/// Why an instruction and a code do not fit, from the farthest off to the nearest miss.
#[derive(Debug)]
pub(super) enum Misfit {
    /// Other kinds of operands.
    Kinds,
    /// The memory operand is accessed with this size instead.
    Size(usize),
    /// A decoration or a prefix that this code does not take.
    NotAllowed(String),
    /// The encoder's own reason.
    Refused(String),
    /// A number is too large for its place.
    OutOfRange(i128, &'static str, Range<usize>),
    /// A branch cannot reach its target.
    TooFar(u64, Range<usize>),
    /// An expression has no value.
    Fault(Fault),
}

impl Misfit {
    /// How near a miss it is.
    pub(super) fn nearness(&self) -> u8 {
        match self {
            Self::Kinds => 0,
            Self::Refused(_) => 1,
            Self::Size(_) => 2,
            Self::NotAllowed(_) => 3,
            Self::OutOfRange(..) | Self::TooFar(..) => 4,
            Self::Fault(_) => 5,
        }
    }
}

/// What the place of an instruction says about it.
pub(super) struct Place<'a, S> {
    pub(super) scope: &'a S,
    pub(super) symbols: &'a Symbols,
    /// The address of the instruction.
    pub(super) address: u64,
    /// Whether the addresses are not known yet, so that everything is near.
    pub(super) is_guess: bool,
}

impl<S: Scope> Place<'_, S> {
    /// The value of an expression; a guess where addresses are not known yet.
    pub(super) fn value(&self, expr: &Expr) -> Result<i128, Misfit> {
        match expr.value(self.scope) {
            Err(_) if self.is_guess && !self.is_constant(expr) => Ok(0),
            value => value.map_err(Misfit::Fault),
        }
    }

    pub(super) fn is_constant(&self, expr: &Expr) -> bool {
        expr.is_constant(|name| self.symbols.is_constant(name))
    }

    /// A value as an address.
    pub(super) fn address_of(&self, expr: &Expr) -> Result<u64, Misfit> {
        let value = self.value(expr)?;
        if self.is_guess {
            return Ok(self.address);
        }
        in_64_bits(value, &expr.span)
    }
}

/// The low 64 bits of a number that has no more.
pub(super) fn in_64_bits(value: i128, span: &Range<usize>) -> Result<u64, Misfit> {
    let fits = i64::try_from(value).map(i64::cast_unsigned);
    fits.or_else(|_| u64::try_from(value))
        .map_err(|_| Misfit::OutOfRange(value, "64 bits", span.clone()))
}

/// Says what kind an operand is.
pub(super) fn set_kind(
    instruction: &mut Instruction,
    operand: u32,
    kind: OpKind,
) -> Result<(), Misfit> {
    // A fifth operand is an immediate or nothing; what else is written there does not fit.
    let set = instruction.try_set_op_kind(operand, kind);
    set.map_err(|_| Misfit::Kinds)
}
