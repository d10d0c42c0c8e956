//! What a text says, before it has addresses: statements, operands, decorations.

use std::ops::Range;

use iced_x86::{Register, RoundingControl};

use super::expr::Expr;
use super::names::Mnemonic;

/// A parsed text.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) statements: Vec<Statement>,
}

/// One statement, and how often it stands there.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) body: Body,
    pub(super) times: Option<Expr>,
    pub(super) span: Range<usize>,
}

/// What a statement puts into the code.
#[derive(Debug)]
pub(super) enum Body {
    Instruction(Box<Written>),
    /// Numbers of so many bytes each.
    Numbers(usize, Vec<Expr>),
    Bytes(Vec<u8>),
    /// Up to the next multiple of a number, with a byte or with instructions that do nothing.
    Align(Expr, Option<Expr>),
    /// So many values of so many bytes each.
    Fill {
        count: Expr,
        width: usize,
        value: Option<Expr>,
    },
}

/// An instruction as it is written.
#[derive(Debug)]
pub(super) struct Written {
    /// Its name, in lower case.
    pub(super) name: String,
    pub(super) mnemonic: Mnemonic,
    pub(super) operands: Vec<Operand>,
    pub(super) prefixes: Prefixes,
    pub(super) decorations: Decorations,
    pub(super) span: Range<usize>,
}

/// Prefixes before an instruction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prefixes {
    pub(super) lock: bool,
    pub(super) rep: bool,
    pub(super) repne: bool,
    pub(super) xacquire: bool,
    pub(super) xrelease: bool,
    pub(super) bnd: bool,
    pub(super) notrack: bool,
    pub(super) data16: bool,
    pub(super) data64: bool,
    pub(super) addr32: bool,
    pub(super) segment: Option<Register>,
}

/// What stands in braces, wherever it stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decorations {
    pub(super) mask: Option<Register>,
    pub(super) zeroing: bool,
    pub(super) rounding: Option<RoundingControl>,
    pub(super) sae: bool,
    pub(super) vex: bool,
    pub(super) evex: bool,
}

/// An operand and where it stands.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) value: Value,
    pub(super) span: Range<usize>,
}

/// What an operand is.
#[derive(Debug)]
pub(super) enum Value {
    Register(Register),
    Immediate(Immediate),
    Memory(Memory),
}

/// A number, or the target of a branch.
#[derive(Debug)]
pub(super) struct Immediate {
    pub(super) expr: Expr,
    /// The size that was written before it, in bytes.
    pub(super) size: Option<usize>,
    /// Whether the text says that an address is meant as a number.
    pub(super) is_offset: bool,
    /// The length of the branch: short or near, if the text says so.
    pub(super) short: Option<bool>,
}

/// A place in memory.
#[derive(Debug)]
pub(super) struct Memory {
    /// The size of what is accessed, in bytes; of one element where it is broadcast.
    pub(super) size: Option<usize>,
    /// To how many elements it is broadcast.
    pub(super) broadcast: Option<usize>,
    pub(super) segment: Option<Register>,
    pub(super) base: Register,
    pub(super) index: Register,
    pub(super) scale: u32,
    pub(super) displacement: Option<Expr>,
    /// Whether the displacement is the address itself, to be reached from the instruction.
    pub(super) relative: bool,
    /// Whether the memory holds the target of a jump into another segment.
    pub(super) far: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            size: None,
            broadcast: None,
            segment: None,
            base: Register::None,
            index: Register::None,
            scale: 1,
            displacement: None,
            relative: false,
            far: false,
        }
    }
}
