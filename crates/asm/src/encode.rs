//! Vector instructions: operands or-ed into the row's word.
//!
//! A [`Form`] holds the instruction with empty fields. Encoding one is: shift each register number
//! to its place and flip it in (the prefix stores some fields inverted, and the template has ones
//! there), then append what follows ModRM – SIB byte, displacement, immediate, together at most
//! seven bytes, the `tail` – and store two words. Whether everything was legal is gathered in one
//! value and tested once; only when it was not does [`Assembler::reject`] look for the reason.
//!
//! Everything is inlined: with a constant row and constant registers most of it folds away, and
//! with rows chosen at run time it is a few dozen simple operations.
//!
//! Source: Intel SDM volume 2, chapter 2 ("Instruction format"): 2.1.5 ModRM and SIB, 2.2.1 REX,
//! 2.3.5 VEX, 2.7 EVEX with 2.7.5 compressed displacement.

use crate::buffer::Assembler;
use crate::error::AsmError;
use crate::form::{Encoding, Form, Imm, Inst};
use crate::operand::{Evex, Mem, Rm, Width};
use crate::reg::Reg;

/// What follows ModRM, and how many bytes of it.
#[derive(Clone, Copy)]
pub(crate) struct Tail {
    pub(crate) bytes: u64,
    pub(crate) len: u32,
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
    #[inline]
    pub fn sse(&mut self, inst: &Inst, reg: impl Into<Reg>, rm: impl Into<Rm>) {
        self.encode_sse(inst, reg.into(), rm.into(), Trailer::NONE);
    }

    /// [`sse`](Assembler::sse) with an immediate.
    #[inline]
    pub fn sse_i(&mut self, inst: &Inst, reg: impl Into<Reg>, rm: impl Into<Rm>, imm: u8) {
        self.encode_sse(inst, reg.into(), rm.into(), Trailer::byte(imm));
    }

    /// VEX encoding, in its two-byte form when possible.
    #[inline]
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
    #[inline]
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
        let r = u64::from(reg.number());
        let n = u64::from(v.number());
        // ~R bit 15, ~R' bit 12, ModRM.reg; ~vvvv bits 19–22, ~V' bit 27.
        let mut word = form.template
            ^ ((r & 8) << 12 | (r & 16) << 8 | (r & 7) << 43)
            ^ ((n & 15) << 19 | (n & 16) << 23)
            | u64::from(context.0 & !(Evex::ROUNDING | Evex::SAE));
        let rounds = context.0 & Evex::B != 0;
        if !rounds {
            word |= (width as u64) << 29;
        }
        let unmasked = context.0 & Evex::MASK == 0;
        let mut bad = mismatch(form, width, reg, v, trailer)
            | (rounds & (width as u8 != form.rounding_width))
            | (unmasked & (form.needs_mask | (context.0 & Evex::ZERO != 0)));
        let (mem, shift) = match rm {
            Rm::Reg(rm) => {
                let m = u64::from(rm.number());
                word ^= (m & 24) << 10 | (0xc0 | m & 7) << 40;
                bad |= !takes(form, rm) | (context.0 & !form.context_reg != 0);
                if bad {
                    return self.reject(inst, Encoding::Evex, width, context, reg, v, rm.into());
                }
                return self.put_tail(word, 6, Tail { bytes: 0, len: 0 }, trailer);
            }
            Rm::Mem(mem) => {
                bad |= form.rm & Form::MEM == 0;
                (mem, form.disp_shift[width as usize])
            }
            Rm::Bcast(mem) => {
                bad |= form.rm & Form::BCAST == 0;
                word |= u64::from(Evex::B);
                (mem, form.disp_shift[3])
            }
        };
        bad |= (context.0 & !form.context_mem != 0)
            | bad_address(form, mem)
            | (form.gathers & (reg.number() == mem.index));
        if bad {
            return self.reject(inst, Encoding::Evex, width, context, reg, v, rm);
        }
        // ~B bit 13, ~X bit 14; the fifth bit of a vector index is ~V'.
        let (base, index) = (u64::from(mem.base), u64::from(mem.index));
        word ^= (base & 8) << 10 | (index & 8) << 11 | (index & 16) << 23;
        let (modrm, tail) = address(mem, u32::from(shift));
        word |= modrm << 40;
        if mem.base == Mem::RIP {
            let end = self.at() + 6 + tail.len + u32::from(trailer.kind != Imm::None);
            self.relative(self.at() + 6, end, mem.label);
        }
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
        let r = u64::from(reg.number());
        let n = u64::from(v.number());
        let mut word = form.template ^ ((r & 8) << 12 | (r & 7) << 35) ^ (n & 15) << 19
            | (width as u64 & 1) << 18;
        let mut bad = mismatch(form, width, reg, v, trailer) | ((r | n) & 16 != 0);
        let tail = match rm {
            Rm::Reg(rm) => {
                let m = u64::from(rm.number());
                word ^= (m & 8) << 10 | (0xc0 | m & 7) << 32;
                bad |= !takes(form, rm) | (m & 16 != 0);
                Tail { bytes: 0, len: 0 }
            }
            Rm::Mem(mem) => {
                bad |= (form.rm & Form::MEM == 0) | bad_address(form, mem) | (mem.index & 16 != 0);
                if form.gathers {
                    let (reg, v) = (reg.number(), v.number());
                    bad |= (reg == v) | (reg == mem.index) | (v == mem.index);
                }
                word ^= (u64::from(mem.base) & 8) << 10 | (u64::from(mem.index) & 8) << 11;
                let (modrm, tail) = address(mem, 0);
                word |= modrm << 32;
                tail
            }
            Rm::Bcast(_) => {
                bad = true;
                Tail { bytes: 0, len: 0 }
            }
        };
        if bad {
            return self.reject(inst, Encoding::Vex, width, Evex::NONE, reg, v, rm);
        }
        // Two-byte form: X, B and W clear, map 0F. `C5 [~R ~vvvv L pp] opcode ModRM`
        let short = word & 0x80_7f00 == 0x6100;
        let two_byte = 0xc5 | (word >> 8 & 0x7f00) | (word & 0x8000) | (word >> 24) << 16;
        let (word, len) = if short { (two_byte, 4) } else { (word, 5) };
        if let Rm::Mem(mem) = rm
            && mem.base == Mem::RIP
        {
            let end = self.at() + len + tail.len + u32::from(trailer.kind != Imm::None);
            self.relative(self.at() + len, end, mem.label);
        }
        self.put_tail(word, len, tail, trailer);
    }

    #[inline(always)]
    fn encode_sse(&mut self, inst: &Inst, reg: Reg, rm: Rm, trailer: Trailer) {
        let form = &inst.sse;
        let prefix = form.template >> 48 & 0xff;
        let mut len = (form.template >> 56) as u32;
        let modrm_at = 8 * (len - 1);
        let r = u64::from(reg.number());
        let mut word = form.template & 0xffff_ffff_ffff | (r & 7) << (modrm_at + 3) | (r & 8) >> 1;
        let mut bad = mismatch(form, Width::X, reg, crate::NONE, trailer) | (r & 16 != 0);
        let tail = match rm {
            Rm::Reg(rm) => {
                let m = u64::from(rm.number());
                word |= (0xc0 | m & 7) << modrm_at | (m & 8) >> 3;
                bad |= !takes(form, rm) | (m & 16 != 0);
                Tail { bytes: 0, len: 0 }
            }
            Rm::Mem(mem) => {
                bad |= (form.rm & Form::MEM == 0) | bad_address(form, mem);
                word |= (u64::from(mem.base) & 8) >> 3 | (u64::from(mem.index) & 8) >> 2;
                let (modrm, tail) = address(mem, 0);
                word |= modrm << modrm_at;
                tail
            }
            Rm::Bcast(_) => {
                bad = true;
                Tail { bytes: 0, len: 0 }
            }
        };
        if bad {
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
        if word & 0xff == 0x40 {
            word >>= 8;
            len -= 1;
        }
        if prefix != 0 {
            word = word << 8 | prefix;
            len += 1;
        }
        if let Rm::Mem(mem) = rm
            && mem.base == Mem::RIP
        {
            let end = self.at() + len + tail.len + u32::from(trailer.kind != Imm::None);
            self.relative(self.at() + len, end, mem.label);
        }
        self.put_tail(word, len, tail, trailer);
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
        let is_high = |r: Reg| encoding != Encoding::Evex && (16..32).contains(&r.id());
        let error = if form.widths == 0 {
            AsmError::Encoding {
                instruction,
                encoding,
            }
        } else if form.widths >> width as u8 & 1 == 0 {
            AsmError::Width {
                instruction,
                encoding,
                width,
            }
        } else if reg.id() & 0xe0 != form.reg {
            operand("reg")
        } else if v.id() & 0xe0 != form.vvvv {
            operand("v")
        } else if is_high(reg) || is_high(v) || matches!(rm, Rm::Reg(rm) if is_high(rm)) {
            AsmError::HighRegister {
                instruction,
                encoding,
            }
        } else {
            let legal = match rm {
                Rm::Reg(_) => form.context_reg,
                _ => form.context_mem,
            };
            let rounding = Evex::ROUNDING | Evex::SAE | Evex::B | Evex::LL;
            let rounds = context.0 & Evex::B != 0;
            let masking = Evex::MASK | Evex::ZERO;
            let unmasked = context.0 & Evex::MASK == 0;
            match rm {
                Rm::Reg(rm) if !takes(form, rm) => operand("rm"),
                Rm::Mem(_) if form.rm & Form::MEM == 0 => operand("rm"),
                Rm::Bcast(_) if form.rm & Form::BCAST == 0 || encoding != Encoding::Evex => {
                    operand("rm")
                }
                Rm::Mem(mem) | Rm::Bcast(mem) if bad_address(form, mem) => {
                    AsmError::Address { instruction }
                }
                Rm::Mem(mem) if encoding != Encoding::Evex && mem.index & 16 != 0 => {
                    AsmError::HighRegister {
                        instruction,
                        encoding,
                    }
                }
                _ if context.0 & masking & !legal != 0
                    || unmasked && (form.needs_mask || context.0 & Evex::ZERO != 0) =>
                {
                    AsmError::Masking { instruction }
                }
                _ if context.0 & rounding & !legal != 0
                    || rounds && width as u8 != form.rounding_width =>
                {
                    AsmError::Rounding { instruction }
                }
                _ if form.gathers => AsmError::GatherOverlap { instruction },
                _ => AsmError::Immediate {
                    instruction,
                    encoding,
                },
            }
        };
        self.fail(error);
    }
}

/// Whether the row lacks this width or trailer, or wants registers of another class.
#[inline(always)]
fn mismatch(form: &Form, width: Width, reg: Reg, v: Reg, trailer: Trailer) -> bool {
    (form.widths >> width as u8 & 1 == 0)
        | (((reg.id() ^ form.reg) | (v.id() ^ form.vvvv)) & 0xe0 != 0)
        | (trailer.kind as u8 != form.imm as u8)
}

/// Whether ModRM.rm may be a register of this class.
#[inline(always)]
fn takes(form: &Form, rm: Reg) -> bool {
    (form.rm & Form::REGISTERS) >> (rm.id() >> 5) & 1 != 0
}

/// Whether the address cannot be encoded, or has a vector index where there must be none.
#[inline(always)]
fn bad_address(form: &Form, mem: Mem) -> bool {
    if form.rm & Form::VSIB == 0 {
        !mem.is_plain()
    } else {
        !mem.is_vector()
    }
}

/// ModRM.mod and ModRM.rm; SIB and displacement. The displacement takes one byte if it is a
/// multiple of `1 << shift` that fits.
#[inline(always)]
pub(crate) fn address(mem: Mem, shift: u32) -> (u64, Tail) {
    let disp = u64::from(mem.disp.cast_unsigned());
    if mem.base == Mem::RIP {
        return (
            0b101,
            Tail {
                bytes: disp,
                len: 4,
            },
        );
    }
    let scaled = mem.disp >> shift;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "compared with the original"
    )]
    let fits = scaled << shift == mem.disp && i32::from(scaled as i8) == scaled;
    let base = u64::from(mem.base & 7);
    let (mode, disp, len) = if mem.base == Mem::NO_BASE {
        (0, disp, 4)
    } else if mem.disp == 0 && base != 5 {
        (0, 0, 0)
    } else if fits {
        (1, u64::from(scaled.cast_unsigned() & 0xff), 1)
    } else {
        (2, disp, 4)
    };
    if mem.index == Mem::NO_INDEX && base != 4 && mem.base != Mem::NO_BASE {
        return (mode << 6 | base, Tail { bytes: disp, len });
    }
    let index = if mem.index == Mem::NO_INDEX {
        4
    } else {
        u64::from(mem.index & 7)
    };
    let base = if mem.base == Mem::NO_BASE { 5 } else { base };
    let sib = u64::from(mem.scale & 3) << 6 | index << 3 | base;
    (
        mode << 6 | 4,
        Tail {
            bytes: sib | disp << 8,
            len: len + 1,
        },
    )
}
