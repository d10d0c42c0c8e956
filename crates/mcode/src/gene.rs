//! Genes: what one instruction of a genome says, apart from how it is encoded.
//!
//! The table below is the repertoire: every operation that a genome can perform, and the operator
//! of `opcodon-expr` that it means, to the bit; operations on bits, for Boolean problems, mean
//! none. Most are one instruction, thus one slot. Three are
//! *phrases* of three slots, because no instruction means them: an operation into a scratch
//! register, a test into a mask, and a blend of the two into the destination.

use opcodon_expr::Op;

use crate::Tier;

/// Most columns and most constants that a genome can address: an index is one byte.
pub const MAX_INDEX: usize = 256;

macro_rules! opcodes {
    ($($name:ident $word:literal $slots:literal $arity:literal $op:expr, $doc:literal;)*) => {
        /// An operation of the repertoire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Opcode { $(#[doc = $doc] $name),* }

        impl Opcode {
            /// Every operation.
            pub const ALL: &'static [Opcode] = &[$(Opcode::$name),*];

            /// The word that stands for it in settings.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Opcode::$name => $word),* }
            }

            /// The operator that it means; none for [`Opcode::Load`] and for bits.
            #[must_use]
            pub fn op(self) -> Option<Op> {
                match self { $(Opcode::$name => $op),* }
            }

            /// Slots of 8 bytes that it takes.
            #[must_use]
            pub fn n_slots(self) -> usize {
                match self { $(Opcode::$name => $slots),* }
            }

            /// Number of operands: 0 for [`Opcode::Load`], which has a leaf.
            #[must_use]
            pub fn arity(self) -> usize {
                match self { $(Opcode::$name => $arity),* }
            }
        }
    };
}

opcodes! {
    Load "load"  1 0 None,           "A column or a constant to a register.";
    Add  "add"   1 2 Some(Op::Add),  "Sum.";
    Sub  "sub"   1 2 Some(Op::Sub),  "Difference.";
    Mul  "mul"   1 2 Some(Op::Mul),  "Product.";
    Div  "div"   1 2 Some(Op::Div),  "Quotient of IEEE 754.";
    Sqrt "sqrt"  1 1 Some(Op::Sqrt), "Square root.";
    Neg  "neg"   1 1 Some(Op::Neg),  "Negation.";
    Abs  "abs"   1 1 Some(Op::Abs),  "Absolute value.";
    Pdiv "pdiv"  3 2 Some(Op::Pdiv), "Protected quotient: 1 where the divisor is zero.";
    Min  "min"   3 2 Some(Op::Min),  "Smaller operand; NaN if either is.";
    Max  "max"   3 2 Some(Op::Max),  "Larger operand; NaN if either is.";
    And  "and"   1 2 None,           "Both bits.";
    Or   "or"    1 2 None,           "Either bit, or both.";
    Xor  "xor"   1 2 None,           "Either bit, not both.";
    Less "less"  1 2 None,           "The second bit without the first: not a, and b.";
    If   "if"    1 3 None,           "The first operand's bit where the destination's is set, else the last's.";
}

impl Opcode {
    /// The operation that means this operator, if there is one.
    #[must_use]
    pub fn of(op: Op) -> Option<Opcode> {
        let means = |opcode: &&Opcode| opcode.op() == Some(op);
        Opcode::ALL.iter().find(means).copied()
    }

    /// The operation of this name; [`Opcode::Load`], which is no operation, has none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Opcode> {
        let is_named = |opcode: &&Opcode| opcode.name() == name && **opcode != Opcode::Load;
        Opcode::ALL.iter().find(is_named).copied()
    }

    /// Whether it works on bits, 64 cases a lane.
    #[must_use]
    pub fn is_bitwise(self) -> bool {
        self.symbol().is_some()
    }

    /// How an operation on bits is written.
    pub(crate) fn symbol(self) -> Option<&'static str> {
        match self {
            Opcode::And => Some("&"),
            Opcode::Or => Some("|"),
            Opcode::Xor => Some("^"),
            Opcode::Less => Some("<"),
            Opcode::If => Some("?"),
            _ => None,
        }
    }

    /// Whether the tier has it. Choosing among bits takes `vpternlog`, which AVX2 lacks.
    #[must_use]
    pub fn is_of(self, tier: Tier) -> bool {
        self != Opcode::If || tier == Tier::Avx512
    }

    /// Whether the last operand may be a register.
    pub(crate) fn takes_register(self) -> bool {
        self != Opcode::Load
    }

    /// Whether the last operand may be a column or a constant.
    pub(crate) fn takes_memory(self) -> bool {
        self.n_slots() == 1 && self != Opcode::If
    }
}

/// The last operand of a gene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A register.
    Register(u8),
    /// An input column.
    Column(u8),
    /// A constant of the genome.
    Constant(u8),
}

impl Operand {
    /// Register number or index.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Operand::Register(number) | Operand::Column(number) | Operand::Constant(number) => {
                number
            }
        }
    }
}

/// One operation with its operands: `dst = a op b`, or `dst = op b`, or `dst = dst ? a : b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gene {
    /// What is done.
    pub opcode: Opcode,
    /// Register of the result.
    pub dst: u8,
    /// Register of the first operand of two; 0 if there is only one.
    pub a: u8,
    /// The last, or only, operand.
    pub b: Operand,
}
