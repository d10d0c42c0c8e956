//! Integer, branch and stack instructions: what a loop and a calling convention need.
//!
//! Operands are 64-bit registers unless the name ends in `_32` or `32`; a 32-bit result clears the
//! upper half of its register. These run a few times a kernel, so one general path builds each from
//! its opcode, and there is no table.
//!
//! Source: Intel SDM volume 2, opcodes in the comments.

use crate::buffer::Assembler;
use crate::error::AsmError;
use crate::operand::{Cond, Mem, Rm};
use crate::reg::Gpr;

/// Arithmetic of two operands, by its number in the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Alu {
    /// Sum.
    Add = 0,
    /// Bitwise or.
    Or = 1,
    /// Sum with carry.
    Adc = 2,
    /// Difference with borrow.
    Sbb = 3,
    /// Bitwise and.
    And = 4,
    /// Difference.
    Sub = 5,
    /// Bitwise exclusive or.
    Xor = 6,
    /// Difference that sets only the flags.
    Cmp = 7,
}

/// Shifts and rotations, by number in the encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Shift {
    /// Rotate left.
    Rol = 0,
    /// Rotate right.
    Ror = 1,
    /// Shift left.
    Shl = 4,
    /// Shift right, zeros enter.
    Shr = 5,
    /// Shift right, copies of the sign enter.
    Sar = 7,
}

/// How wide an operation is: the REX.W bit, and byte registers that need a REX prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    /// 32 bits.
    D,
    /// 64 bits.
    Q,
    /// 32 bits, with an 8-bit register as ModRM.reg.
    RegByte,
    /// 32 bits, with an 8-bit register as ModRM.rm.
    RmByte,
}

/// An opcode: optional mandatory prefix, then one to three bytes.
#[derive(Clone, Copy)]
struct Opcode {
    prefix: u8,
    bytes: u128,
    len: u32,
}

const fn op(byte: u8) -> Opcode {
    Opcode {
        prefix: 0,
        bytes: byte as u128,
        len: 1,
    }
}

/// An opcode after the escape byte `0F`.
const fn op_0f(byte: u8) -> Opcode {
    Opcode {
        prefix: 0,
        bytes: 0x0f | (byte as u128) << 8,
        len: 2,
    }
}

const fn prefixed(prefix: u8, opcode: Opcode) -> Opcode {
    Opcode { prefix, ..opcode }
}

/// An immediate of `len` bytes.
#[derive(Clone, Copy)]
struct Imm {
    value: u64,
    len: u32,
}

impl Imm {
    const NONE: Imm = Imm { value: 0, len: 0 };

    fn byte(value: u8) -> Imm {
        Imm {
            value: value.into(),
            len: 1,
        }
    }

    fn dword(value: i32) -> Imm {
        Imm {
            value: value.cast_unsigned().into(),
            len: 4,
        }
    }
}

impl Assembler {
    /// `mov dst, src`
    pub fn mov_rr(&mut self, dst: Gpr, src: Gpr) {
        self.modrm("mov", Size::Q, op(0x89), src.number(), dst, Imm::NONE);
    }

    /// `mov dst, src`, 32 bits.
    pub fn mov_rr_32(&mut self, dst: Gpr, src: Gpr) {
        self.modrm("mov", Size::D, op(0x89), src.number(), dst, Imm::NONE);
    }

    /// `mov dst, value` in the shortest form: 5 bytes (zero-extended), 7 (sign-extended) or 10.
    /// The flags stay.
    pub fn mov_ri(&mut self, dst: Gpr, value: i64) {
        if let Ok(value) = u32::try_from(value) {
            // B8+r id
            let opcode = 0xb8 | u128::from(dst.number() & 7) | u128::from(value) << 8;
            self.put_rex(0x40 | dst.number() >> 3, opcode, 5);
        } else if let Ok(value) = i32::try_from(value) {
            self.modrm("mov", Size::Q, op(0xc7), 0, dst, Imm::dword(value));
        } else {
            // REX.W B8+r io
            let value = u128::from(value.cast_unsigned());
            let opcode = 0xb8 | u128::from(dst.number() & 7) | value << 8;
            self.put_rex(0x48 | dst.number() >> 3, opcode, 9);
        }
    }

    /// `mov dst, [src]`
    pub fn load(&mut self, dst: Gpr, src: Mem) {
        self.modrm("mov", Size::Q, op(0x8b), dst.number(), src, Imm::NONE);
    }

    /// `mov [dst], src`
    pub fn store(&mut self, dst: Mem, src: Gpr) {
        self.modrm("mov", Size::Q, op(0x89), src.number(), dst, Imm::NONE);
    }

    /// `mov dst, dword [src]`: zero-extends.
    pub fn load32(&mut self, dst: Gpr, src: Mem) {
        self.modrm("mov", Size::D, op(0x8b), dst.number(), src, Imm::NONE);
    }

    /// `mov dword [dst], src`
    pub fn store32(&mut self, dst: Mem, src: Gpr) {
        self.modrm("mov", Size::D, op(0x89), src.number(), dst, Imm::NONE);
    }

    /// `mov word [dst], src`
    pub fn store16(&mut self, dst: Mem, src: Gpr) {
        self.modrm(
            "mov",
            Size::D,
            prefixed(0x66, op(0x89)),
            src.number(),
            dst,
            Imm::NONE,
        );
    }

    /// `mov byte [dst], src`
    pub fn store8(&mut self, dst: Mem, src: Gpr) {
        self.modrm("mov", Size::RegByte, op(0x88), src.number(), dst, Imm::NONE);
    }

    /// `mov qword [dst], value`, sign-extended.
    pub fn store_i(&mut self, dst: Mem, value: i32) {
        self.modrm("mov", Size::Q, op(0xc7), 0, dst, Imm::dword(value));
    }

    /// `movzx dst, byte src`: a byte, zero-extended to 64 bits.
    pub fn movzx8(&mut self, dst: Gpr, src: impl Into<Rm>) {
        self.modrm(
            "movzx",
            Size::RmByte,
            op_0f(0xb6),
            dst.number(),
            src,
            Imm::NONE,
        );
    }

    /// `movzx dst, word src`: 16 bits, zero-extended to 64.
    pub fn movzx16(&mut self, dst: Gpr, src: impl Into<Rm>) {
        self.modrm("movzx", Size::D, op_0f(0xb7), dst.number(), src, Imm::NONE);
    }

    /// `movsx dst, byte src`: a byte, sign-extended to 64 bits.
    pub fn movsx8(&mut self, dst: Gpr, src: impl Into<Rm>) {
        self.modrm("movsx", Size::Q, op_0f(0xbe), dst.number(), src, Imm::NONE);
    }

    /// `movsx dst, word src`: 16 bits, sign-extended to 64.
    pub fn movsx16(&mut self, dst: Gpr, src: impl Into<Rm>) {
        self.modrm("movsx", Size::Q, op_0f(0xbf), dst.number(), src, Imm::NONE);
    }

    /// `movsxd dst, dword src`: 32 bits, sign-extended to 64.
    pub fn movsxd(&mut self, dst: Gpr, src: impl Into<Rm>) {
        self.modrm("movsxd", Size::Q, op(0x63), dst.number(), src, Imm::NONE);
    }

    /// `lea dst, [address]`
    pub fn lea(&mut self, dst: Gpr, address: Mem) {
        self.modrm("lea", Size::Q, op(0x8d), dst.number(), address, Imm::NONE);
    }

    /// `op dst, src`
    pub fn alu_rr(&mut self, alu: Alu, dst: Gpr, src: Gpr) {
        let opcode = op((alu as u8) << 3 | 1);
        self.modrm("arithmetic", Size::Q, opcode, src.number(), dst, Imm::NONE);
    }

    /// `op dst, src`, 32 bits.
    pub fn alu_rr_32(&mut self, alu: Alu, dst: Gpr, src: Gpr) {
        let opcode = op((alu as u8) << 3 | 1);
        self.modrm("arithmetic", Size::D, opcode, src.number(), dst, Imm::NONE);
    }

    /// `op dst, value`, sign-extended.
    pub fn alu_ri(&mut self, alu: Alu, dst: Gpr, value: i32) {
        self.alu_immediate(Size::Q, alu, dst.into(), value);
    }

    /// `op dst, value`, 32 bits.
    pub fn alu_ri_32(&mut self, alu: Alu, dst: Gpr, value: i32) {
        self.alu_immediate(Size::D, alu, dst.into(), value);
    }

    /// `op qword [dst], value`, sign-extended.
    pub fn alu_mi(&mut self, alu: Alu, dst: Mem, value: i32) {
        self.alu_immediate(Size::Q, alu, dst.into(), value);
    }

    /// `op dst, [src]`
    pub fn alu_rm(&mut self, alu: Alu, dst: Gpr, src: Mem) {
        let opcode = op((alu as u8) << 3 | 3);
        self.modrm("arithmetic", Size::Q, opcode, dst.number(), src, Imm::NONE);
    }

    /// `op dst, dword [src]`, 32 bits.
    pub fn alu_rm_32(&mut self, alu: Alu, dst: Gpr, src: Mem) {
        let opcode = op((alu as u8) << 3 | 3);
        self.modrm("arithmetic", Size::D, opcode, dst.number(), src, Imm::NONE);
    }

    fn alu_immediate(&mut self, size: Size, alu: Alu, dst: Rm, value: i32) {
        let digit = alu as u8;
        match i8::try_from(value) {
            Ok(byte) => {
                let imm = Imm::byte(byte.cast_unsigned());
                self.modrm("arithmetic", size, op(0x83), digit, dst, imm);
            }
            Err(_) => self.modrm("arithmetic", size, op(0x81), digit, dst, Imm::dword(value)),
        }
    }

    /// `test a, b`: the flags of `a & b`.
    pub fn test_rr(&mut self, a: Gpr, b: Gpr) {
        self.modrm("test", Size::Q, op(0x85), b.number(), a, Imm::NONE);
    }

    /// `test a, b`, 32 bits.
    pub fn test_rr_32(&mut self, a: Gpr, b: Gpr) {
        self.modrm("test", Size::D, op(0x85), b.number(), a, Imm::NONE);
    }

    /// `test a, value`, sign-extended.
    pub fn test_ri(&mut self, a: Gpr, value: i32) {
        self.modrm("test", Size::Q, op(0xf7), 0, a, Imm::dword(value));
    }

    /// `imul dst, src`
    pub fn imul_rr(&mut self, dst: Gpr, src: Gpr) {
        self.modrm("imul", Size::Q, op_0f(0xaf), dst.number(), src, Imm::NONE);
    }

    /// `imul dst, [src]`
    pub fn imul_rm(&mut self, dst: Gpr, src: Mem) {
        self.modrm("imul", Size::Q, op_0f(0xaf), dst.number(), src, Imm::NONE);
    }

    /// `imul dst, src, value`
    pub fn imul_rri(&mut self, dst: Gpr, src: Gpr, value: i32) {
        self.modrm(
            "imul",
            Size::Q,
            op(0x69),
            dst.number(),
            src,
            Imm::dword(value),
        );
    }

    /// `mul src`: rdx:rax = rax × src, unsigned.
    pub fn mul(&mut self, src: Gpr) {
        self.modrm("mul", Size::Q, op(0xf7), 4, src, Imm::NONE);
    }

    /// `div src`: rax, rdx = quotient, remainder of rdx:rax, unsigned.
    pub fn div(&mut self, src: Gpr) {
        self.modrm("div", Size::Q, op(0xf7), 6, src, Imm::NONE);
    }

    /// `idiv src`: rax, rdx = quotient, remainder of rdx:rax, signed.
    pub fn idiv(&mut self, src: Gpr) {
        self.modrm("idiv", Size::Q, op(0xf7), 7, src, Imm::NONE);
    }

    /// `cqo`: rdx = sign of rax.
    pub fn cqo(&mut self) {
        self.put_word(0x99_48, 2);
    }

    /// `neg dst`
    pub fn neg(&mut self, dst: Gpr) {
        self.modrm("neg", Size::Q, op(0xf7), 3, dst, Imm::NONE);
    }

    /// `not dst`
    pub fn not(&mut self, dst: Gpr) {
        self.modrm("not", Size::Q, op(0xf7), 2, dst, Imm::NONE);
    }

    /// `inc dst`: the carry flag stays.
    pub fn inc(&mut self, dst: Gpr) {
        self.modrm("inc", Size::Q, op(0xff), 0, dst, Imm::NONE);
    }

    /// `dec dst`: the carry flag stays.
    pub fn dec(&mut self, dst: Gpr) {
        self.modrm("dec", Size::Q, op(0xff), 1, dst, Imm::NONE);
    }

    /// `shift dst, count`
    pub fn shift_ri(&mut self, shift: Shift, dst: Gpr, count: u8) {
        self.modrm(
            "shift",
            Size::Q,
            op(0xc1),
            shift as u8,
            dst,
            Imm::byte(count),
        );
    }

    /// `shift dst, count`, 32 bits.
    pub fn shift_ri_32(&mut self, shift: Shift, dst: Gpr, count: u8) {
        self.modrm(
            "shift",
            Size::D,
            op(0xc1),
            shift as u8,
            dst,
            Imm::byte(count),
        );
    }

    /// `shift dst, cl`
    pub fn shift_cl(&mut self, shift: Shift, dst: Gpr) {
        self.modrm("shift", Size::Q, op(0xd3), shift as u8, dst, Imm::NONE);
    }

    /// `shift dst, cl`, 32 bits.
    pub fn shift_cl_32(&mut self, shift: Shift, dst: Gpr) {
        self.modrm("shift", Size::D, op(0xd3), shift as u8, dst, Imm::NONE);
    }

    /// `popcnt dst, src`: number of ones. Needs POPCNT.
    pub fn popcnt(&mut self, dst: Gpr, src: Gpr) {
        self.modrm(
            "popcnt",
            Size::Q,
            prefixed(0xf3, op_0f(0xb8)),
            dst.number(),
            src,
            Imm::NONE,
        );
    }

    /// `tzcnt dst, src`: number of zeros below the lowest one. Needs BMI1.
    pub fn tzcnt(&mut self, dst: Gpr, src: Gpr) {
        self.modrm(
            "tzcnt",
            Size::Q,
            prefixed(0xf3, op_0f(0xbc)),
            dst.number(),
            src,
            Imm::NONE,
        );
    }

    /// `lzcnt dst, src`: number of zeros above the highest one. Needs LZCNT.
    pub fn lzcnt(&mut self, dst: Gpr, src: Gpr) {
        self.modrm(
            "lzcnt",
            Size::Q,
            prefixed(0xf3, op_0f(0xbd)),
            dst.number(),
            src,
            Imm::NONE,
        );
    }

    /// `setcc dst`: the lowest byte becomes 0 or 1, the other bits stay.
    pub fn setcc(&mut self, cond: Cond, dst: Gpr) {
        self.modrm(
            "setcc",
            Size::RmByte,
            op_0f(0x90 | cond as u8),
            0,
            dst,
            Imm::NONE,
        );
    }

    /// `cmovcc dst, src`: moves if the condition holds.
    pub fn cmovcc(&mut self, cond: Cond, dst: Gpr, src: Gpr) {
        self.modrm(
            "cmovcc",
            Size::Q,
            op_0f(0x40 | cond as u8),
            dst.number(),
            src,
            Imm::NONE,
        );
    }

    /// `jmp target`, a register.
    pub fn jmp_r(&mut self, target: Gpr) {
        self.modrm("jmp", Size::D, op(0xff), 4, target, Imm::NONE);
    }

    /// `jmp [target]`
    pub fn jmp_m(&mut self, target: Mem) {
        self.modrm("jmp", Size::D, op(0xff), 4, target, Imm::NONE);
    }

    /// `call target`, a register.
    pub fn call_r(&mut self, target: Gpr) {
        self.modrm("call", Size::D, op(0xff), 2, target, Imm::NONE);
    }

    /// `call [target]`
    pub fn call_m(&mut self, target: Mem) {
        self.modrm("call", Size::D, op(0xff), 2, target, Imm::NONE);
    }

    /// `ret`
    pub fn ret(&mut self) {
        self.put_word(0xc3, 1);
    }

    /// `push src`
    pub fn push(&mut self, src: Gpr) {
        self.put_rex(
            0x40 | src.number() >> 3,
            0x50 | u128::from(src.number() & 7),
            1,
        );
    }

    /// `pop dst`
    pub fn pop(&mut self, dst: Gpr) {
        self.put_rex(
            0x40 | dst.number() >> 3,
            0x58 | u128::from(dst.number() & 7),
            1,
        );
    }

    /// `vzeroupper`: clears the upper parts of vector registers 0–15.
    pub fn vzeroupper(&mut self) {
        self.put_word(0x77_f8_c5, 3);
    }

    /// `sfence`: orders non-temporal stores before what follows.
    pub fn sfence(&mut self) {
        self.put_word(0xf8_ae_0f, 3);
    }

    /// `int3`: a breakpoint.
    pub fn int3(&mut self) {
        self.put_word(0xcc, 1);
    }

    /// `ud2`: traps.
    pub fn ud2(&mut self) {
        self.put_word(0x0b_0f, 2);
    }

    /// `endbr64`: a legal target of indirect branches.
    pub fn endbr64(&mut self) {
        self.put_word(0xfa_1e_0f_f3, 4);
    }

    /// A REX prefix, unless it says nothing, and an opcode of `len` bytes.
    fn put_rex(&mut self, rex: u8, opcode: u128, len: u32) {
        if rex == 0x40 {
            self.put_word(opcode, len);
        } else {
            self.put_word(u128::from(rex) | opcode << 8, len + 1);
        }
    }

    /// Prefix, REX, opcode, ModRM, address, immediate.
    fn modrm(
        &mut self,
        instruction: &'static str,
        size: Size,
        opcode: Opcode,
        reg: u8,
        rm: impl Into<Rm>,
        imm: Imm,
    ) {
        let mut rex = 0x40 | reg >> 3 << 2;
        if size == Size::Q {
            rex |= 8;
        }
        let mut needs_rex = size == Size::RegByte && reg >= 4;
        let (modrm, bytes, tail_len, label) = match rm.into() {
            Rm::Reg(rm) if (0x20..0x30).contains(&rm.id()) => {
                let rm = rm.number();
                rex |= rm >> 3;
                needs_rex |= size == Size::RmByte && rm >= 4;
                (0xc0 | u64::from(rm & 7), 0, 0, None)
            }
            Rm::Mem(mem) if mem.is_plain() => {
                rex |= mem.base_number() >> 3 & 1 | mem.index_number() >> 2 & 2;
                let (modrm, tail) = crate::encode::address(mem, 0);
                let label = (mem.base_number() == Mem::RIP).then_some(mem.label);
                (modrm, tail.bytes, tail.len, label)
            }
            _ => return self.fail(AsmError::Address { instruction }),
        };
        let mut word = opcode.bytes;
        let mut len = opcode.len;
        if rex != 0x40 || needs_rex {
            word = word << 8 | u128::from(rex);
            len += 1;
        }
        if opcode.prefix != 0 {
            word = word << 8 | u128::from(opcode.prefix);
            len += 1;
        }
        word |= u128::from(modrm | u64::from(reg & 7) << 3) << (8 * len);
        len += 1;
        let tail = u128::from(bytes) | u128::from(imm.value) << (8 * tail_len);
        let end = len + tail_len + imm.len;
        if let Some(label) = label {
            self.relative(self.at() + len, self.at() + end, label);
        }
        self.put_word(word | tail << (8 * len), end);
    }
}
