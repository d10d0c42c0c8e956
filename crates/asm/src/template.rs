//! Instructions that are filled in without a branch.
//!
//! An [`Assembler`] method looks at its operands and decides: register or memory, which prefix,
//! how long a displacement. A compiler of random trees asks it a different thing each time, and a
//! mispredicted branch costs more than the instruction. So here everything that needs a decision is
//! taken beforehand: a [`Template`] is a row in one encoding and width, an [`Operand`] is ModRM.rm
//! with all that follows it, and putting them together is three exclusive ors and two stores –
//! also when the instruction is not wanted after all, since then the position does not move.

use crate::buffer::Assembler;
use crate::encode::{RM, address, address_fields, fields};
use crate::error::AsmError;
use crate::form::{Encoding, Inst};
use crate::operand::{Evex, Mem, Rm, Width};
use crate::reg::{NONE, Vreg};

/// A vector instruction in the VEX or EVEX encoding, without mask or immediate; its operands are
/// still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Template(u64);

/// A register or an address as the last operand of a [`Template`].
///
/// Bits 0–47 flip those of the instruction. Above them, where no instruction has any, is what a
/// compiler asks about an operand: see the constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    word: u64,
    disp: u32,
}

const INSTRUCTION: u64 = (1 << 48) - 1;
/// Number of the register, five bits.
const REGISTER: u32 = 48;
/// Lies in memory.
const MEMORY: u32 = 53;
/// Is one element in memory for all lanes.
const BROADCAST: u32 = 54;
/// Bytes of displacement, three bits.
const DISP_LEN: u32 = 56;

impl Template {
    /// The row as a template.
    ///
    /// # Errors
    /// If the row has no such encoding or width, or more operands than registers and ModRM.rm.
    pub fn new(inst: &Inst, encoding: Encoding, width: Width) -> Result<Template, AsmError> {
        let mut asm = Assembler::new();
        let form = inst.form(encoding);
        let [reg, v, rm] = [0, 8, 16].map(|field| form.classes >> field & 0xff);
        let zero = Vreg::new(0);
        let v = if v == reg { zero.into() } else { NONE };
        let word = match encoding {
            Encoding::Evex if rm == reg => {
                asm.evex(inst, width, Evex::NONE, zero, v, zero);
                form.template | (width as u64) << 29
            }
            Encoding::Vex if rm == reg => {
                asm.vex(inst, width, zero, v, zero);
                form.template | (width as u64 & 1) << 18
            }
            _ => {
                let instruction = inst.name();
                return Err(AsmError::Encoding {
                    instruction,
                    encoding,
                });
            }
        };
        asm.finish()?;
        Ok(Template(word))
    }

    /// The same instruction for operands that are made as broadcasts, but without the bit that
    /// says so: `vbroadcast` reads one element by itself.
    #[must_use]
    pub fn without_broadcast(self) -> Template {
        Template(self.0 ^ u64::from(Evex::B))
    }
}

impl Operand {
    /// Vector register `n`, below 32.
    #[must_use]
    pub const fn register(n: u8) -> Operand {
        Operand {
            word: RM[n as usize & 31] | (n as u64 & 31) << REGISTER,
            disp: 0,
        }
    }

    /// An operand for the templates of whole vectors, or of single elements if it is a broadcast.
    ///
    /// # Errors
    /// If the address has an index, or another base than a register that needs no SIB byte.
    pub fn new(
        inst: &Inst,
        encoding: Encoding,
        width: Width,
        rm: impl Into<Rm>,
    ) -> Result<Operand, AsmError> {
        let form = inst.form(encoding);
        let (mem, facts, shift) = match rm.into() {
            Rm::Reg(register) => return Ok(Operand::register(register.number())),
            Rm::Mem(mem) => (mem, 1 << MEMORY, form.disp_shift[width as usize]),
            Rm::Bcast(mem) => {
                let facts = 1 << MEMORY | 1 << BROADCAST | u64::from(Evex::B);
                (mem, facts, form.disp_shift[3])
            }
        };
        let base = mem.base_number();
        if mem.index_number() != Mem::NO_INDEX || base > 15 || base & 7 == 4 {
            let instruction = inst.name();
            return Err(AsmError::Address { instruction });
        }
        let shift = if encoding == Encoding::Evex { shift } else { 0 };
        let (modrm, tail) = address(mem, u32::from(shift));
        #[expect(clippy::cast_possible_truncation, reason = "at most four bytes")]
        Ok(Operand {
            word: address_fields(mem) ^ modrm << 40 ^ facts ^ u64::from(tail.len) << DISP_LEN,
            disp: tail.bytes as u32,
        })
    }

    /// The register, or 0 for memory.
    #[inline(always)]
    #[must_use]
    pub fn number(self) -> u8 {
        (self.word >> REGISTER & 31) as u8
    }

    /// Whether it lies in memory.
    #[inline(always)]
    #[must_use]
    pub fn is_memory(self) -> bool {
        self.word >> MEMORY & 1 != 0
    }

    /// Whether it is one element in memory for all lanes.
    #[inline(always)]
    #[must_use]
    pub fn is_broadcast(self) -> bool {
        self.word >> BROADCAST & 1 != 0
    }
}

/// Room at the end of the code, to be filled in.
#[derive(Debug)]
pub struct Cursor<'a> {
    code: &'a mut [u8],
    /// Where the room begins.
    base: usize,
    at: usize,
}

impl Cursor<'_> {
    /// Number of bytes so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Appends a template with its operands, if `wanted`. `encoding` is the template's.
    ///
    /// # Panics
    /// If there is no room.
    #[inline(always)]
    pub fn fill(
        &mut self,
        encoding: Encoding,
        template: Template,
        reg: u8,
        v: u8,
        rm: Operand,
        wanted: bool,
    ) {
        let word = template.0 ^ rm.word & INSTRUCTION;
        let word = word ^ fields(Vreg::new(reg & 31).into(), Vreg::new(v & 31).into());
        let (head, len) = match encoding {
            Encoding::Vex => (word & 0xff_ffff | word >> 32 << 24, 5),
            Encoding::Evex | Encoding::Sse => (word, 6),
        };
        let disp = u64::from(rm.disp);
        let total = (len + (rm.word >> DISP_LEN) as u8) * u8::from(wanted);
        self.put(head | disp << (8 * len), disp >> (64 - 8 * len), total);
    }

    /// Appends a call of what stands at a position of the code before this.
    ///
    /// # Panics
    /// If there is no room.
    #[inline(always)]
    pub fn fill_call(&mut self, target: u32) {
        // E8 rel32, relative to the end of the call.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "code is shorter than 2 GiB, distances wrap"
        )]
        let next = (self.base + self.at + 5) as u32;
        let distance = target.wrapping_sub(next);
        self.put(0xe8 | u64::from(distance) << 8, 0, 5);
    }

    #[inline(always)]
    fn put(&mut self, low: u64, high: u64, len: u8) {
        let window = &mut self.code[self.at..self.at + 16];
        window[..8].copy_from_slice(&low.to_le_bytes());
        window[8..].copy_from_slice(&high.to_le_bytes());
        self.at += usize::from(len);
    }
}

impl Assembler {
    /// Lets `fill` append up to `room` bytes, of which each instruction takes 16 while it is being
    /// written. `None` if the code would become too long, which is kept as an error.
    pub fn append_with<R>(
        &mut self,
        room: usize,
        fill: impl FnOnce(&mut Cursor<'_>) -> R,
    ) -> Option<R> {
        let base = self.position();
        let mut cursor = Cursor {
            code: self.room(room)?,
            base,
            at: 0,
        };
        let result = fill(&mut cursor);
        let len = cursor.at;
        self.advance(len);
        Some(result)
    }
}
