//! Vector instructions: operands or-ed into the row's word.
//!
//! A [`Form`] holds the instruction with empty fields. Encoding one is: flip in the bits of each
//! register (from a table by number; the prefix stores some fields inverted, and the template has
//! ones there), then append what follows ModRM – SIB byte, displacement, immediate, together at
//! most seven bytes, the `tail` – and store two words. Whether everything was legal is gathered in
//! one value and tested once; only when it was not does [`Assembler::reject`] look for the reason.
//!
//! Everything is inlined: with a constant row and constant registers most of it folds away, and
//! with rows chosen at run time it is a few dozen simple operations. What changes from one
//! instruction to the next – the size of a displacement, whether the short VEX prefix will do – is
//! computed without branches, since a mispredicted one costs more than the whole instruction.
//!
//! Source: Intel SDM volume 2, chapter 2 ("Instruction format"): 2.1.5 ModRM and SIB, 2.2.1 REX,
//! 2.3.5 VEX, 2.7 EVEX with 2.7.5 compressed displacement.

use std::hint::select_unpredictable;

use crate::buffer::Assembler;
use crate::error::AsmError;
use crate::form::{Encoding, Form, Imm, Inst, accept};
use crate::operand::{Evex, Mem, Rm, Width};
use crate::reg::Reg;

/// What follows ModRM, and how many bytes of it.
#[derive(Clone, Copy)]
pub(crate) struct Tail {
    pub(crate) bytes: u64,
    pub(crate) len: u32,
}

impl Tail {
    const EMPTY: Tail = Tail { bytes: 0, len: 0 };
}

/// The trailing byte that was passed.
#[derive(Clone, Copy)]
struct Trailer {
    kind: Imm,
    byte: u8,
}

impl Trailer {
    const NONE: Trailer = Trailer {
        kind: Imm::None,
        byte: 0,
    };

    #[inline(always)]
    fn byte(byte: u8) -> Trailer {
        Trailer {
            kind: Imm::Byte,
            byte,
        }
    }
}

impl Assembler {
    /// Legacy SSE encoding: `reg` is destination and first source, unless the row says otherwise.
    #[inline(always)]
    pub fn sse(&mut self, inst: &Inst, reg: impl Into<Reg>, rm: impl Into<Rm>) {
        self.encode_sse(inst, reg.into(), rm.into(), Trailer::NONE);
    }

    /// [`sse`](Assembler::sse) with an immediate.
    #[inline]
    pub fn sse_i(&mut self, inst: &Inst, reg: impl Into<Reg>, rm: impl Into<Rm>, imm: u8) {
        self.encode_sse(inst, reg.into(), rm.into(), Trailer::byte(imm));
    }

    /// VEX encoding, in its two-byte form when possible.
    #[inline(always)]
    pub fn vex(
        &mut self,
        inst: &Inst,
        width: Width,
        reg: impl Into<Reg>,
        v: impl Into<Reg>,
        rm: impl Into<Rm>,
    ) {
        self.encode_vex(inst, width, reg.into(), v.into(), rm.into(), Trailer::NONE);
    }

    /// [`vex`](Assembler::vex) with an immediate.
    #[inline]
    pub fn vex_i(
        &mut self,
        inst: &Inst,
        width: Width,
        reg: impl Into<Reg>,
        v: impl Into<Reg>,
        rm: impl Into<Rm>,
        imm: u8,
    ) {
        self.encode_vex(
            inst,
            width,
            reg.into(),
            v.into(),
            rm.into(),
            Trailer::byte(imm),
        );
    }

    /// [`vex`](Assembler::vex) with a fourth register: the mask of `vblendv…`.
    #[inline]
    pub fn vex4(
        &mut self,
        inst: &Inst,
        width: Width,
        reg: impl Into<Reg>,
        v: impl Into<Reg>,
        rm: impl Into<Rm>,
        fourth: impl Into<Reg>,
    ) {
        let fourth = fourth.into().id();
        if fourth >= 16 {
            return self.fail(AsmError::Operand {
                instruction: inst.name(),
                encoding: Encoding::Vex,
                field: "fourth",
            });
        }
        let trailer = Trailer {
            kind: Imm::Register,
            byte: fourth << 4,
        };
        self.encode_vex(inst, width, reg.into(), v.into(), rm.into(), trailer);
    }

    /// EVEX encoding; a displacement is compressed to one byte when possible.
    #[inline(always)]
    pub fn evex(
        &mut self,
        inst: &Inst,
        width: Width,
        context: Evex,
        reg: impl Into<Reg>,
        v: impl Into<Reg>,
        rm: impl Into<Rm>,
    ) {
        self.encode_evex(
            inst,
            width,
            context,
            reg.into(),
            v.into(),
            rm.into(),
            Trailer::NONE,
        );
    }

    /// [`evex`](Assembler::evex) with an immediate.
    #[inline]
    #[expect(
        clippy::too_many_arguments,
        reason = "an instruction has as many operands"
    )]
    pub fn evex_i(
        &mut self,
        inst: &Inst,
        width: Width,
        context: Evex,
        reg: impl Into<Reg>,
        v: impl Into<Reg>,
        rm: impl Into<Rm>,
        imm: u8,
    ) {
        let trailer = Trailer::byte(imm);
        self.encode_evex(
            inst,
            width,
            context,
            reg.into(),
            v.into(),
            rm.into(),
            trailer,
        );
    }

    #[inline(always)]
    #[expect(
        clippy::too_many_arguments,
        reason = "an instruction has as many operands"
    )]
    fn encode_evex(
        &mut self,
        inst: &Inst,
        width: Width,
        context: Evex,
        reg: Reg,
        v: Reg,
        rm: Rm,
        trailer: Trailer,
    ) {
        let form = &inst.evex;
        let wants = wants(width, context, rm, trailer);
        let mut illegal = wants & !form.accepts | wrong_class(form, reg, v, rm, 0xe0);
        let mut word = form.template ^ fields(reg, v) | u64::from(context.0 & Evex::PREFIX);
        if context.0 & Evex::B == 0 {
            word |= (width as u64) << 29;
        }
        let mem = match rm {
            Rm::Reg(rm) => {
                if illegal != 0 {
                    return self.reject(inst, Encoding::Evex, width, context, reg, v, rm.into());
                }
                word ^= RM[usize::from(rm.number())];
                return self.put_tail(word, 6, Tail::EMPTY, trailer);
            }
            Rm::Mem(mem) => mem,
            Rm::Bcast(mem) => {
                word |= u64::from(Evex::B);
                mem
            }
        };
        if mem.is_vector() {
            let overlap = reg.number() == mem.index_number();
            illegal |= u32::from(overlap) * (form.accepts & accept::GATHERS);
        }
        if illegal != 0 {
            return self.reject(inst, Encoding::Evex, width, context, reg, v, rm);
        }
        let shift = match rm {
            Rm::Bcast(_) => form.disp_shift[3],
            _ => form.disp_shift[width as usize],
        };
        let (modrm, tail) = address(mem, u32::from(shift));
        word = word ^ address_fields(mem) | modrm << 40;
        self.relocate(mem, 6, tail, trailer);
        self.put_tail(word, 6, tail, trailer);
    }

    #[inline(always)]
    fn encode_vex(
        &mut self,
        inst: &Inst,
        width: Width,
        reg: Reg,
        v: Reg,
        rm: Rm,
        trailer: Trailer,
    ) {
        let form = &inst.vex;
        let wants = wants(width, Evex::NONE, rm, trailer);
        let mut illegal = wants & !form.accepts | wrong_class(form, reg, v, rm, 0xf0);
        let mut word = form.template ^ fields(reg, v) | (width as u64 & 1) << 18;
        let mut tail = Tail::EMPTY;
        match rm {
            Rm::Reg(rm) => word ^= RM[usize::from(rm.number())],
            Rm::Mem(mem) => {
                let index = mem.index_number();
                illegal |= u32::from(index & 16);
                if mem.is_vector() {
                    let (reg, v) = (reg.number(), v.number());
                    illegal |= u32::from((reg == v) | (reg == index) | (v == index));
                }
                let modrm;
                (modrm, tail) = address(mem, 0);
                word = word ^ address_fields(mem) | modrm << 40;
            }
            Rm::Bcast(_) => illegal = accept::NEVER,
        }
        if illegal != 0 {
            return self.reject(inst, Encoding::Vex, width, Evex::NONE, reg, v, rm);
        }
        // Two-byte form: X, B and W clear, map 0F. `C5 [~R ~vvvv L pp] opcode ModRM`
        let is_short = word & 0x80_7f00 == 0x6100;
        let short = 0xc5 | (word >> 8 & 0x7f00) | (word & 0x8000) | (word >> 32) << 16;
        let long = word & 0xff_ffff | word >> 32 << 24;
        let word = select_unpredictable(is_short, short, long);
        let len = 5 - u32::from(is_short);
        if let Rm::Mem(mem) = rm {
            self.relocate(mem, len, tail, trailer);
        }
        self.put_tail(word, len, tail, trailer);
    }

    #[inline(always)]
    fn encode_sse(&mut self, inst: &Inst, reg: Reg, rm: Rm, trailer: Trailer) {
        let form = &inst.sse;
        let wants = wants(Width::X, Evex::NONE, rm, trailer);
        let mut illegal = wants & !form.accepts | wrong_class(form, reg, crate::NONE, rm, 0xf0);
        let prefix = form.template >> 48 & 0xff;
        let mut len = (form.template >> 56) as u32;
        let modrm_at = 8 * (len - 1);
        let r = u64::from(reg.number());
        let mut word = form.template & 0xffff_ffff_ffff | (r & 7) << (modrm_at + 3) | (r & 8) >> 1;
        let mut tail = Tail::EMPTY;
        match rm {
            Rm::Reg(rm) => {
                let m = u64::from(rm.number());
                word |= (0xc0 | m & 7) << modrm_at | (m & 8) >> 3;
            }
            Rm::Mem(mem) => {
                let (base, index) = (u64::from(mem.base_number()), u64::from(mem.index_number()));
                word |= (base & 8) >> 3 | (index & 8) >> 2;
                let modrm;
                (modrm, tail) = address(mem, 0);
                word |= modrm << modrm_at;
            }
            Rm::Bcast(_) => illegal = accept::NEVER,
        }
        if illegal != 0 {
            return self.reject(
                inst,
                Encoding::Sse,
                Width::X,
                Evex::NONE,
                reg,
                crate::NONE,
                rm,
            );
        }
        // A REX prefix without bits is left out; the mandatory prefix goes before it.
        let needless = u32::from(word & 0xff == 0x40);
        word >>= 8 * needless;
        len -= needless;
        if prefix != 0 {
            word = word << 8 | prefix;
            len += 1;
        }
        if let Rm::Mem(mem) = rm {
            self.relocate(mem, len, tail, trailer);
        }
        self.put_tail(word, len, tail, trailer);
    }

    /// Notes the label of an address relative to `rip`, `len` bytes into the instruction.
    #[inline(always)]
    fn relocate(&mut self, mem: Mem, len: u32, tail: Tail, trailer: Trailer) {
        if mem.base_number() == Mem::RIP {
            let end = len + tail.len + u32::from(trailer.kind != Imm::None);
            self.relative(self.at() + len, self.at() + end, mem.label);
        }
    }

    /// `len` (1 to 8) bytes of `head`, then the tail, then the trailer.
    #[inline(always)]
    fn put_tail(&mut self, head: u64, len: u32, tail: Tail, trailer: Trailer) {
        let mut bytes = tail.bytes;
        let mut tail_len = tail.len;
        if trailer.kind != Imm::None {
            bytes |= u64::from(trailer.byte) << (8 * tail_len);
            tail_len += 1;
        }
        let low = head | bytes << (8 * len);
        let high = bytes >> (64 - 8 * len);
        self.put(low, high, len + tail_len);
    }

    /// Finds out what is wrong with an instruction that was refused.
    #[cold]
    #[inline(never)]
    #[expect(
        clippy::too_many_arguments,
        reason = "an instruction has as many operands"
    )]
    fn reject(
        &mut self,
        inst: &Inst,
        encoding: Encoding,
        width: Width,
        context: Evex,
        reg: Reg,
        v: Reg,
        rm: Rm,
    ) {
        let form = inst.form(encoding);
        let instruction = inst.name();
        let operand = |field| AsmError::Operand {
            instruction,
            encoding,
            field,
        };
        let wrong = wrong_class(form, reg, v, rm, 0xe0);
        let unwanted = wants(width, context, rm, Trailer::NONE) & !form.accepts;
        let no_evex = encoding != Encoding::Evex;
        let error = if form.accepts & accept::WIDTHS == 0 {
            AsmError::Encoding {
                instruction,
                encoding,
            }
        } else if unwanted & accept::WIDTHS != 0 {
            AsmError::Width {
                instruction,
                encoding,
                width,
            }
        } else if wrong & 0xff != 0 {
            operand("reg")
        } else if wrong & 0xff00 != 0 {
            operand("v")
        } else if wrong != 0
            || unwanted & (accept::REGISTER | accept::MEM | accept::BCAST) != 0
            || no_evex && matches!(rm, Rm::Bcast(_))
        {
            operand("rm")
        } else if no_evex && wrong_class(form, reg, v, rm, 0xf0) != 0 {
            AsmError::HighRegister {
                instruction,
                encoding,
            }
        } else {
            match rm {
                Rm::Mem(mem) | Rm::Bcast(mem)
                    if unwanted & accept::VSIB != 0 || !mem.is_plain() && !mem.is_vector() =>
                {
                    AsmError::Address { instruction }
                }
                Rm::Mem(mem) if no_evex && mem.index_number() & 16 != 0 => AsmError::HighRegister {
                    instruction,
                    encoding,
                },
                _ if unwanted & (accept::MASKED | accept::UNMASKED | accept::ZEROS) != 0
                    || context.0 & Evex::MASK == 0 && context.0 & Evex::ZERO != 0 =>
                {
                    AsmError::Masking { instruction }
                }
                _ if context.0 & Evex::B != 0
                    && (unwanted & accept::ROUNDINGS != 0 || !matches!(rm, Rm::Reg(_))) =>
                {
                    AsmError::Rounding { instruction }
                }
                Rm::Mem(mem)
                    if mem.is_vector()
                        && (reg.number() == mem.index_number()
                            || no_evex && v.number() == mem.index_number()
                            || no_evex && v.number() == reg.number()) =>
                {
                    AsmError::GatherOverlap { instruction }
                }
                _ => AsmError::Immediate {
                    instruction,
                    encoding,
                },
            }
        };
        self.fail(error);
    }
}

/// What the operands want of the form: bits of [`accept`].
#[inline(always)]
fn wants(width: Width, context: Evex, rm: Rm, trailer: Trailer) -> u32 {
    let mut wants = accept::WIDTH << width as u32 | accept::IMM << trailer.kind as u32;
    let masked = context.0 & Evex::MASK != 0;
    wants |= if masked {
        accept::MASKED
    } else {
        accept::UNMASKED
    };
    wants |= match rm {
        Rm::Reg(_) => accept::REGISTER,
        Rm::Mem(mem) if mem.is_plain() => accept::MEM,
        Rm::Mem(mem) if mem.is_vector() => accept::VSIB,
        Rm::Bcast(mem) if mem.is_plain() => accept::BCAST,
        Rm::Mem(_) | Rm::Bcast(_) => accept::NEVER,
    };
    if context.0 & Evex::ZERO != 0 {
        wants |= match rm {
            Rm::Reg(_) if masked => accept::ZERO_REGISTER,
            _ if masked => accept::ZERO_MEM,
            _ => accept::NEVER,
        };
    }
    if context.0 & Evex::B != 0 {
        wants |= accept::ROUNDING_WIDTH << width as u32;
        wants |= match rm {
            Rm::Reg(_) if context.0 & Evex::ROUNDING != 0 => accept::ROUNDING,
            Rm::Reg(_) => accept::SAE,
            _ => accept::NEVER,
        };
    }
    wants
}

/// Not zero if a register is of another class than the form has there; a byte per field. `mask`
/// are the bits to compare: with `0xf0`, registers 16–31 are wrong, too.
#[inline(always)]
fn wrong_class(form: &Form, reg: Reg, v: Reg, rm: Rm, mask: u32) -> u32 {
    let reg_and_v = u32::from(reg.id()) | u32::from(v.id()) << 8;
    match rm {
        Rm::Reg(rm) => {
            let mask = mask << 16 | mask << 8 | mask;
            ((reg_and_v | u32::from(rm.id()) << 16) ^ form.classes) & mask
        }
        _ => (reg_and_v ^ form.classes) & (mask << 8 | mask),
    }
}

/// The fields that a register number takes, inverted where the prefix inverts them.
const fn field_table(as_reg: bool, as_v: bool, as_rm: bool) -> [u64; 32] {
    let mut table = [0; 32];
    let mut i = 0;
    while i < 32 {
        let n = i as u64;
        // ~R, ~R' (bits 15, 12) and ModRM.reg.
        if as_reg {
            table[i] |= (n & 8) << 12 | (n & 16) << 8 | (n & 7) << 43;
        }
        // ~vvvv, ~V' (bits 19–22, 27).
        if as_v {
            table[i] |= (n & 15) << 19 | (n & 16) << 23;
        }
        // ~B, ~X (bits 13, 14), ModRM.mod = 3 and ModRM.rm.
        if as_rm {
            table[i] |= (n & 24) << 10 | (0xc0 | n & 7) << 40;
        }
        i += 1;
    }
    table
}

static REG: [u64; 32] = field_table(true, false, false);
static V: [u64; 32] = field_table(false, true, false);
pub(crate) const RM: [u64; 32] = field_table(false, false, true);

#[inline(always)]
pub(crate) fn fields(reg: Reg, v: Reg) -> u64 {
    REG[usize::from(reg.number())] ^ V[usize::from(v.number())]
}

/// ~B, ~X of an address; the fifth bit of a vector index is ~V'.
#[inline(always)]
pub(crate) fn address_fields(mem: Mem) -> u64 {
    let (base, index) = (u64::from(mem.base_number()), u64::from(mem.index_number()));
    (base & 8) << 10 | (index & 8) << 11 | (index & 16) << 23
}

/// ModRM.mod and ModRM.rm; SIB and displacement. The displacement takes one byte if it is a
/// multiple of `1 << shift` that fits.
///
/// The size of the displacement changes from column to column, so it is chosen without a branch;
/// what the operand is made of hardly does, and is a constant mostly.
#[inline(always)]
pub(crate) fn address(mem: Mem, shift: u32) -> (u64, Tail) {
    let disp = u64::from(mem.disp.cast_unsigned());
    if mem.base_number() == Mem::RIP {
        return (
            0b101,
            Tail {
                bytes: disp,
                len: 4,
            },
        );
    }
    let has_index = mem.index_number() != Mem::NO_INDEX;
    let index = if has_index {
        u64::from(mem.index_number() & 7)
    } else {
        4
    };
    let sib = u64::from(mem.scale() & 3) << 6 | index << 3;
    if mem.base_number() == Mem::NO_BASE {
        return (
            4,
            Tail {
                bytes: sib | 5 | disp << 8,
                len: 5,
            },
        );
    }

    let base = u64::from(mem.base_number() & 7);
    let scaled = mem.disp >> shift;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "compared with the original"
    )]
    let fits = (scaled << shift == mem.disp) & (i32::from(scaled as i8) == scaled);
    let short = u64::from(scaled.cast_unsigned() & 0xff);
    let bytes = select_unpredictable(fits, short, disp);
    // mod 0: no displacement, 1: one byte, 2: four bytes. Base 5 with mod 0 means something else.
    let none = u32::from((mem.disp == 0) & (base != 5));
    let mode = 2 - u64::from(fits) - u64::from(none);
    let len = 4 - 3 * u32::from(fits) - none;
    if has_index || base == 4 {
        (
            mode << 6 | 4,
            Tail {
                bytes: sib | base | bytes << 8,
                len: len + 1,
            },
        )
    } else {
        (mode << 6 | base, Tail { bytes, len })
    }
}
