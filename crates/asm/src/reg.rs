//! Registers: a number and a class, in one byte.
//!
//! An instruction row says which class each operand has; an operand that arrives with another
//! class is refused. Class and number share a byte (`class << 5 | number`), so the check is one
//! comparison and the number is one mask. A vector register that does not exist has a class of its
//! own, so it is refused in the same way and the encoder needs no further check.

use std::fmt;

/// Class of a register, in the upper three bits of [`Reg`].
pub(crate) mod class {
    pub(crate) const VECTOR: u8 = 0;
    pub(crate) const GENERAL: u8 = 1;
    pub(crate) const MASK: u8 = 2;
    pub(crate) const NONE: u8 = 3;
    pub(crate) const NO_SUCH: u8 = 4;
}

/// Any register, or [`NONE`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reg(u8);

/// The operand that an instruction does not have: `vex(&inst::SQRTPD, Width::Y, dst, NONE, src)`.
pub const NONE: Reg = Reg(class::NONE << 5);

impl Reg {
    /// The register's number, 0–31.
    #[inline]
    pub const fn number(self) -> u8 {
        self.0 & 31
    }

    #[inline]
    pub(crate) const fn id(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        match self.0 >> 5 {
            class::VECTOR => write!(f, "v{number}"),
            class::GENERAL => f.write_str(Gpr(number).name()),
            class::MASK => write!(f, "k{number}"),
            class::NONE => f.write_str("none"),
            _ => write!(f, "invalid register {:#x}", self.0),
        }
    }
}

/// A general-purpose register of 64 bits (or its lower half, where the instruction says so).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gpr(u8);

/// A vector register: the instruction's [`Width`](crate::Width) makes it xmm, ymm or zmm.
///
/// Registers 16–31 exist in EVEX encodings only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vreg(u8);

/// A mask register of AVX-512. As a write mask, `K0` means "no mask".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mask(u8);

impl Gpr {
    const NAMES: [&str; 16] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15",
    ];

    /// General-purpose register by its number in the encoding (0 = rax, 1 = rcx, … 15 = r15), or
    /// `None` beyond 15.
    #[inline]
    pub const fn from_number(number: u8) -> Option<Gpr> {
        if number < 16 { Some(Gpr(number)) } else { None }
    }

    /// The register's number, 0–15.
    #[inline]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The name of the 64-bit register.
    pub const fn name(self) -> &'static str {
        Gpr::NAMES[(self.0 & 15) as usize]
    }
}

impl Vreg {
    /// Vector register by number. One beyond 31 does not exist: the first instruction that uses it
    /// is reported by [`Assembler::finish`](crate::Assembler::finish).
    #[inline]
    pub const fn new(number: u8) -> Vreg {
        // What is out of range gets a class that no instruction takes.
        Vreg(if number < 32 {
            number
        } else {
            class::NO_SUCH << 5
        })
    }

    /// The register's number, 0–31.
    #[inline]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Mask {
    /// Mask register by number (0 = k0), or `None` beyond 7.
    #[inline]
    pub const fn from_number(number: u8) -> Option<Mask> {
        if number < 8 { Some(Mask(number)) } else { None }
    }

    /// The register's number, 0–7.
    #[inline]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Gpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Vreg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "k{}", self.0)
    }
}

impl From<Vreg> for Reg {
    #[inline]
    fn from(r: Vreg) -> Reg {
        Reg(r.0)
    }
}

impl From<Gpr> for Reg {
    #[inline]
    fn from(r: Gpr) -> Reg {
        Reg(class::GENERAL << 5 | r.0)
    }
}

impl From<Mask> for Reg {
    #[inline]
    fn from(r: Mask) -> Reg {
        Reg(class::MASK << 5 | r.0)
    }
}

macro_rules! general {
    ($($name:ident = $number:literal),*) => {
        $(
            #[doc = concat!("General-purpose register ", $number, ".")]
            pub const $name: Gpr = Gpr($number);
        )*
    };
}

/// The general-purpose registers by name.
pub mod gpr {
    use super::Gpr;

    general!(
        RAX = 0,
        RCX = 1,
        RDX = 2,
        RBX = 3,
        RSP = 4,
        RBP = 5,
        RSI = 6,
        RDI = 7,
        R8 = 8,
        R9 = 9,
        R10 = 10,
        R11 = 11,
        R12 = 12,
        R13 = 13,
        R14 = 14,
        R15 = 15
    );
}

macro_rules! masks {
    ($($name:ident = $number:literal),*) => {
        $(
            #[doc = concat!("Mask register ", $number, ".")]
            pub const $name: Mask = Mask($number);
        )*
    };
}

/// The mask registers by name.
pub mod mask {
    use super::Mask;

    masks!(
        K0 = 0,
        K1 = 1,
        K2 = 2,
        K3 = 3,
        K4 = 4,
        K5 = 5,
        K6 = 6,
        K7 = 7
    );
}
