//! Operands beyond plain registers: width, memory, broadcast, masking and rounding.
//!
//! Each type is laid out the way the encoder wants it: [`Evex`] holds its bits at their place in
//! the instruction word, [`Mem`] holds register numbers. Building one costs no branches, and with
//! constant operands it folds away.

use crate::reg::{Gpr, Mask, Reg, Vreg};

/// Vector length. Scalar instructions and those on mask registers take [`Width::X`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Width {
    /// 128 bits, xmm registers.
    X = 0,
    /// 256 bits, ymm registers.
    Y = 1,
    /// 512 bits, zmm registers; EVEX encodings only.
    Z = 2,
}

impl Width {
    /// The vector's size in bytes: 16, 32 or 64.
    #[inline]
    pub const fn bytes(self) -> usize {
        16 << self as usize
    }
}

/// What an index register is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Scale {
    /// × 1
    S1 = 0,
    /// × 2
    S2 = 1,
    /// × 4
    S4 = 2,
    /// × 8
    S8 = 3,
}

/// A place in the code that is bound to a position once, before or after its uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(pub(crate) u32);

/// A memory operand: `base + index × scale + displacement`, or a label relative to `rip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mem {
    /// Base, index and scale, a byte each: as one word they are written and read at once, where
    /// single bytes would stall the load that follows.
    registers: u32,
    pub(crate) disp: i32,
    /// Label number, for [`Mem::RIP`].
    pub(crate) label: u32,
}

impl Mem {
    // Both sentinels have zero in the bits that reach the instruction (0–4).
    pub(crate) const NO_BASE: u8 = 0x20;
    pub(crate) const RIP: u8 = 0x40;
    pub(crate) const NO_INDEX: u8 = 0x20;
    const VECTOR_INDEX: u8 = 0x10;

    #[inline(always)]
    const fn new(base: u8, disp: i32, label: u32) -> Mem {
        Mem {
            registers: base as u32 | (Mem::NO_INDEX as u32) << 8,
            disp,
            label,
        }
    }

    #[inline(always)]
    const fn with_index(self, index: u8, scale: u8) -> Mem {
        let registers = self.registers & 0xff | (index as u32) << 8 | (scale as u32) << 16;
        Mem { registers, ..self }
    }

    /// Register number, [`Mem::NO_BASE`] or [`Mem::RIP`].
    #[inline(always)]
    pub(crate) const fn base_number(self) -> u8 {
        self.registers.to_le_bytes()[0]
    }

    /// Register number or [`Mem::NO_INDEX`].
    #[inline(always)]
    pub(crate) const fn index_number(self) -> u8 {
        self.registers.to_le_bytes()[1]
    }

    /// Scale in the lower two bits, [`Mem::VECTOR_INDEX`].
    #[inline(always)]
    pub(crate) const fn scale(self) -> u8 {
        self.registers.to_le_bytes()[2]
    }

    /// `[base]`
    #[inline]
    pub const fn base(base: Gpr) -> Mem {
        Mem::new(base.number(), 0, 0)
    }

    /// `[disp]`: an address in the lowest or highest 2 GiB, or the displacement to add an
    /// [`index`](Mem::index) to.
    #[inline]
    pub const fn absolute(disp: i32) -> Mem {
        Mem::new(Mem::NO_BASE, disp, 0)
    }

    /// `[rip + label]`; a displacement counts from the label.
    #[inline]
    pub const fn rip(label: Label) -> Mem {
        Mem::new(Mem::RIP, 0, label.0)
    }

    /// With this displacement in bytes.
    #[inline]
    #[must_use]
    pub const fn disp(mut self, disp: i32) -> Mem {
        self.disp = disp;
        self
    }

    /// With an index register. `rsp` cannot be an index, and a label takes none: both are reported
    /// by [`Assembler::finish`](crate::Assembler::finish).
    #[inline]
    #[must_use]
    pub const fn index(self, index: Gpr, scale: Scale) -> Mem {
        self.with_index(index.number(), scale as u8)
    }

    /// With a vector of indices, for gathers and scatters.
    #[inline]
    #[must_use]
    pub const fn vector_index(self, index: Vreg, scale: Scale) -> Mem {
        self.with_index(index.number(), scale as u8 | Mem::VECTOR_INDEX)
    }

    /// Whether this can be encoded and has no vector of indices.
    #[inline(always)]
    pub(crate) const fn is_plain(self) -> bool {
        (self.scale() & Mem::VECTOR_INDEX == 0)
            & (self.index_number() != 4)
            & ((self.base_number() != Mem::RIP) | (self.index_number() == Mem::NO_INDEX))
    }

    /// Whether this can be encoded and has a vector of indices.
    #[inline(always)]
    pub(crate) const fn is_vector(self) -> bool {
        (self.scale() & Mem::VECTOR_INDEX != 0)
            & (self.index_number() < 32)
            & (self.base_number() != Mem::RIP)
    }

    /// One element, repeated to the width of the vector (EVEX).
    #[inline]
    pub const fn bcast(self) -> Rm {
        Rm::Bcast(self)
    }
}

/// The operand that may be a register or memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rm {
    /// A register.
    Reg(Reg),
    /// Memory.
    Mem(Mem),
    /// One element of memory, repeated to the width of the vector (EVEX).
    Bcast(Mem),
}

impl From<Mem> for Rm {
    #[inline]
    fn from(mem: Mem) -> Rm {
        Rm::Mem(mem)
    }
}

impl From<Reg> for Rm {
    #[inline]
    fn from(r: Reg) -> Rm {
        Rm::Reg(r)
    }
}

impl From<Vreg> for Rm {
    #[inline]
    fn from(r: Vreg) -> Rm {
        Rm::Reg(r.into())
    }
}

impl From<Gpr> for Rm {
    #[inline]
    fn from(r: Gpr) -> Rm {
        Rm::Reg(r.into())
    }
}

impl From<Mask> for Rm {
    #[inline]
    fn from(r: Mask) -> Rm {
        Rm::Reg(r.into())
    }
}

/// Rounding written into the instruction instead of taken from MXCSR; suppresses exceptions too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Rounding {
    /// To nearest, ties to even: `{rn-sae}`.
    Nearest = 0,
    /// Towards minus infinity: `{rd-sae}`.
    Down = 1,
    /// Towards plus infinity: `{ru-sae}`.
    Up = 2,
    /// Towards zero: `{rz-sae}`.
    Zero = 3,
}

/// What an EVEX prefix says beside the operands: write mask, zeroing, rounding.
///
/// Rounding and `sae` need register operands and, for packed instructions, 512 bits.
///
/// The bits stand at their place in the 32-bit prefix; bits 0 and 1, where the prefix has the
/// constant `0x62`, say whether rounding or `sae` was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evex(pub(crate) u32);

impl Evex {
    pub(crate) const ROUNDING: u32 = 1;
    pub(crate) const SAE: u32 = 2;
    pub(crate) const MASK: u32 = 7 << 24;
    pub(crate) const B: u32 = 1 << 28;
    pub(crate) const LL: u32 = 3 << 29;
    pub(crate) const ZERO: u32 = 1 << 31;
    /// What goes into the instruction.
    pub(crate) const PREFIX: u32 = !(Evex::ROUNDING | Evex::SAE);

    /// No mask, no rounding.
    pub const NONE: Evex = Evex(0);

    /// Write only the lanes of `mask`, keep the others; `K0` means all lanes.
    #[inline]
    pub const fn mask(mask: Mask) -> Evex {
        Evex((mask.number() as u32) << 24)
    }

    /// Set the lanes outside the mask to zero instead of keeping them.
    #[inline]
    #[must_use]
    pub const fn zeroing(self) -> Evex {
        Evex(self.0 | Evex::ZERO)
    }

    /// Round this way whatever MXCSR says.
    #[inline]
    #[must_use]
    pub const fn rounding(self, rounding: Rounding) -> Evex {
        let clear = self.0 & !(Evex::LL | Evex::SAE);
        Evex(clear | Evex::ROUNDING | Evex::B | (rounding as u32) << 29)
    }

    /// Suppress all exceptions.
    #[inline]
    #[must_use]
    pub const fn sae(self) -> Evex {
        Evex(self.0 & !(Evex::LL | Evex::ROUNDING) | Evex::SAE | Evex::B)
    }
}

/// A condition of `jcc`, `setcc`, `cmovcc`, by its code in the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cond {
    /// Overflow.
    O = 0,
    /// No overflow.
    NO = 1,
    /// Below (unsigned); carry.
    B = 2,
    /// Above or equal (unsigned); no carry.
    AE = 3,
    /// Equal; zero.
    E = 4,
    /// Not equal; not zero.
    NE = 5,
    /// Below or equal (unsigned).
    BE = 6,
    /// Above (unsigned).
    A = 7,
    /// Negative.
    S = 8,
    /// Not negative.
    NS = 9,
    /// Parity even; unordered, after a floating-point comparison.
    P = 10,
    /// Parity odd; ordered, after a floating-point comparison.
    NP = 11,
    /// Less (signed).
    L = 12,
    /// Greater or equal (signed).
    GE = 13,
    /// Less or equal (signed).
    LE = 14,
    /// Greater (signed).
    G = 15,
}

impl Cond {
    /// Every condition, in the order of the codes.
    pub const ALL: [Cond; 16] = [
        Cond::O,
        Cond::NO,
        Cond::B,
        Cond::AE,
        Cond::E,
        Cond::NE,
        Cond::BE,
        Cond::A,
        Cond::S,
        Cond::NS,
        Cond::P,
        Cond::NP,
        Cond::L,
        Cond::GE,
        Cond::LE,
        Cond::G,
    ];

    /// The condition that holds exactly where this one does not.
    #[inline]
    #[must_use]
    pub const fn negate(self) -> Cond {
        Cond::ALL[(self as usize) ^ 1]
    }
}
