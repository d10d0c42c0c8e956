//! Genes: what one instruction of a genome says, apart from how it is encoded.
//!
//! The table below is the repertoire: every operation that a genome can perform, and the operator
//! of `opcodon-expr` that it means, to the bit; operations on bits and on integers mean
//! none, and what they compute is said here. Most are one instruction, thus one slot. Three are
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
    Iadd "iadd"  1 2 None,           "Sum of integers.";
    Isub "isub"  1 2 None,           "Difference of integers.";
    Imul "imul"  1 2 None,           "Lower half of the product of integers.";
    Imin "imin"  1 2 None,           "Smaller integer, by sign.";
    Imax "imax"  1 2 None,           "Larger integer, by sign.";
    Shl  "shl"   1 2 None,           "Bits shifted to the left; none are left if by 64 or more, or by less than 0.";
    Shr  "shr"   1 2 None,           "Bits shifted to the right, zeros following; likewise.";
    Sar  "sar"   1 2 None,           "Bits shifted to the right, copies of the sign following; likewise.";
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

    /// What the registers hold that it works on; nothing of [`Opcode::Load`], which moves anything.
    #[must_use]
    pub fn domain(self) -> Option<Domain> {
        match self {
            Opcode::Load => None,
            Opcode::And | Opcode::Or | Opcode::Xor | Opcode::Less | Opcode::If => {
                Some(Domain::Bits)
            }
            Opcode::Iadd
            | Opcode::Isub
            | Opcode::Imul
            | Opcode::Imin
            | Opcode::Imax
            | Opcode::Shl
            | Opcode::Shr
            | Opcode::Sar => Some(Domain::Integers),
            _ => Some(Domain::Numbers),
        }
    }

    /// Whether it works on words: 64 cases a lane, or integers.
    #[must_use]
    pub fn is_on_words(self) -> bool {
        self.domain().is_some_and(Domain::is_words)
    }

    /// What it means on words: the operands before the last as far as there are, and the last.
    pub(crate) fn on_words(self, [condition, first]: [Option<&u64>; 2], b: u64) -> Option<u64> {
        let a = *first?;
        let shift = u32::try_from(b).ok();
        let by_sign = |a: u64, b: u64| a.cast_signed() < b.cast_signed();
        Some(match self {
            Opcode::And => a & b,
            Opcode::Or => a | b,
            Opcode::Xor => a ^ b,
            Opcode::Less => !a & b,
            Opcode::If => condition? & a | !condition? & b,
            Opcode::Iadd => a.wrapping_add(b),
            Opcode::Isub => a.wrapping_sub(b),
            Opcode::Imul => a.wrapping_mul(b),
            Opcode::Imin if by_sign(a, b) => a,
            Opcode::Imax if by_sign(b, a) => a,
            Opcode::Imin | Opcode::Imax => b,
            Opcode::Shl => shift.and_then(|by| a.checked_shl(by)).unwrap_or(0),
            Opcode::Shr => shift.and_then(|by| a.checked_shr(by)).unwrap_or(0),
            Opcode::Sar => (a.cast_signed() >> b.min(63)).cast_unsigned(),
            _ => return None,
        })
    }

    /// How an operation on words is written: between its operands, or, if a word, before them.
    pub(crate) fn symbol(self) -> Option<&'static str> {
        match self {
            Opcode::And => Some("&"),
            Opcode::Or => Some("|"),
            Opcode::Xor => Some("^"),
            Opcode::Less => Some("<"),
            Opcode::If => Some("?"),
            Opcode::Iadd => Some("+"),
            Opcode::Isub => Some("-"),
            Opcode::Imul => Some("*"),
            Opcode::Imin => Some("min"),
            Opcode::Imax => Some("max"),
            Opcode::Shl => Some("<<"),
            Opcode::Shr => Some(">>>"),
            Opcode::Sar => Some(">>"),
            _ => None,
        }
    }

    /// Whether the tier has it. AVX2 has no instruction that chooses among bits, and of those on
    /// integers of 64 bits neither multiplication nor comparisons nor shifts of signed ones.
    #[must_use]
    pub fn is_of(self, tier: Tier) -> bool {
        let wide = [
            Opcode::If,
            Opcode::Imul,
            Opcode::Imin,
            Opcode::Imax,
            Opcode::Sar,
        ];
        tier == Tier::Avx512 || !wide.contains(&self)
    }

    /// Whether the last operand may be a register.
    pub(crate) fn takes_register(self) -> bool {
        self != Opcode::Load
    }

    /// Whether the last operand may be a column or a constant. In AVX2 the instruction of a shift
    /// is a byte too long for it.
    pub(crate) fn takes_memory(self, tier: Tier) -> bool {
        let is_long = matches!(self, Opcode::Shl | Opcode::Shr | Opcode::Sar);
        self.n_slots() == 1 && self != Opcode::If && (tier == Tier::Avx512 || !is_long)
    }
}

/// What registers hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Numbers with a fraction.
    Numbers,
    /// Bits, 64 cases a lane.
    Bits,
    /// Integers of 64 bits, whose sums and products wrap around.
    Integers,
}

impl Domain {
    /// Whether lanes are words and no numbers.
    #[must_use]
    pub fn is_words(self) -> bool {
        self != Domain::Numbers
    }

    /// Whether the operation has a meaning here: integers are made of bits.
    #[must_use]
    pub fn has(self, opcode: Opcode) -> bool {
        let of = opcode.domain();
        of.is_none_or(|of| of == self || self == Domain::Integers && of == Domain::Bits)
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
