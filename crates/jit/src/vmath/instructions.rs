//! Instructions: how one operation on registers is spelled on each instruction set.
//!
//! Legacy SSE overwrites its first operand, VEX and EVEX name a third register, EVEX broadcasts
//! constants from memory. Above this file, operations have a destination and sources everywhere.

use opcodon_asm::{Alu, Assembler, Evex, Inst, Mask, Mem, NONE, Reg, Rm, Scale, Vreg, Width};
use opcodon_asm::{gpr, inst};

use super::Isa;
use super::program::{Elem, Opcode, Predicate};

/// An assembler for one instruction set and width.
pub(super) struct Target {
    pub(super) asm: Assembler,
    pub(super) isa: Isa,
    pub(super) width: Width,
}

/// Vector register `number`.
pub(super) fn v(number: u8) -> Vreg {
    Vreg::new(number)
}

/// Mask register `number`.
pub(super) fn k(number: u8) -> Mask {
    Mask::from_number(number).unwrap_or_else(|| unreachable!("there is no k{number}"))
}

/// The row for lanes of type `elem`.
fn pick(elem: Elem, double: &'static Inst, single: &'static Inst) -> &'static Inst {
    match elem {
        Elem::F64 => double,
        Elem::F32 => single,
    }
}

/// The instruction of an operation with two operands.
pub(super) fn binary_row(op: Opcode, elem: Elem) -> Option<&'static Inst> {
    Some(match op {
        Opcode::Add => pick(elem, &inst::ADDPD, &inst::ADDPS),
        Opcode::Sub => pick(elem, &inst::SUBPD, &inst::SUBPS),
        Opcode::Mul => pick(elem, &inst::MULPD, &inst::MULPS),
        Opcode::Div => pick(elem, &inst::DIVPD, &inst::DIVPS),
        Opcode::Min => pick(elem, &inst::MINPD, &inst::MINPS),
        Opcode::Max => pick(elem, &inst::MAXPD, &inst::MAXPS),
        Opcode::And => pick(elem, &inst::ANDPD, &inst::ANDPS),
        Opcode::Or => pick(elem, &inst::ORPD, &inst::ORPS),
        Opcode::Xor => pick(elem, &inst::XORPD, &inst::XORPS),
        Opcode::AndNot => pick(elem, &inst::ANDNPD, &inst::ANDNPS),
        Opcode::IntAdd => pick(elem, &inst::PADDQ, &inst::PADDD),
        Opcode::IntSub => pick(elem, &inst::PSUBQ, &inst::PSUBD),
        Opcode::Scale => pick(elem, &inst::VSCALEFPD, &inst::VSCALEFPS),
        _ => return None,
    })
}

/// The entries of a table in the order of memory.
fn bytes_of(table: &[u64], elem: Elem) -> Vec<u8> {
    let n_bytes = if elem == Elem::F64 { 8 } else { 4 };
    let entries = table.iter().map(|entry| entry.to_le_bytes());
    entries
        .flat_map(|bytes| bytes.into_iter().take(n_bytes))
        .collect()
}

/// Whether operands may be exchanged.
pub(super) fn is_commutative(op: Opcode) -> bool {
    use Opcode::{Add, And, IntAdd, MaskAnd, MaskOr, Mul, Or, Xor};
    matches!(op, Add | Mul | And | Or | Xor | IntAdd | MaskAnd | MaskOr)
}

/// The three orders of operands of a fused multiply-add: with `dst` the first, `v` the second and
/// `rm` the third operand, 132 is `dst·rm ± v`, 213 `v·dst ± rm`, 231 `v·rm ± dst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    O132,
    O213,
    O231,
}

/// The instruction of a fused multiply-add.
pub(super) fn fused_row(op: Opcode, order: Order, elem: Elem) -> &'static Inst {
    use Order::{O132, O213, O231};
    match (op, order) {
        (Opcode::MulAdd, O132) => pick(elem, &inst::VFMADD132PD, &inst::VFMADD132PS),
        (Opcode::MulAdd, O213) => pick(elem, &inst::VFMADD213PD, &inst::VFMADD213PS),
        (Opcode::MulAdd, O231) => pick(elem, &inst::VFMADD231PD, &inst::VFMADD231PS),
        (Opcode::MulSub, O132) => pick(elem, &inst::VFMSUB132PD, &inst::VFMSUB132PS),
        (Opcode::MulSub, O213) => pick(elem, &inst::VFMSUB213PD, &inst::VFMSUB213PS),
        (Opcode::MulSub, O231) => pick(elem, &inst::VFMSUB231PD, &inst::VFMSUB231PS),
        (_, O132) => pick(elem, &inst::VFNMADD132PD, &inst::VFNMADD132PS),
        (_, O213) => pick(elem, &inst::VFNMADD213PD, &inst::VFNMADD213PS),
        (_, O231) => pick(elem, &inst::VFNMADD231PD, &inst::VFNMADD231PS),
    }
}

impl Target {
    fn is_evex(&self) -> bool {
        self.isa == Isa::Avx512
    }

    fn evex(&mut self, row: &Inst, reg: impl Into<Reg>, vvvv: impl Into<Reg>, rm: impl Into<Rm>) {
        self.asm.evex(row, self.width, Evex::NONE, reg, vvvv, rm);
    }

    /// A constant in the pool: one element for broadcasting, or a whole vector.
    pub(super) fn constant(&mut self, bits: u64, elem: Elem) -> Rm {
        let bytes = bits.to_le_bytes();
        let element = if elem == Elem::F64 {
            &bytes[..]
        } else {
            &bytes[..4]
        };
        if self.is_evex() {
            Mem::rip(self.asm.constant(element)).bcast()
        } else {
            let vector = element.repeat(self.width.bytes() / element.len());
            Mem::rip(self.asm.constant(&vector)).into()
        }
    }

    /// `dst = src`, where constants have lanes of type `elem`.
    pub(super) fn copy(&mut self, elem: Elem, dst: u8, src: Rm) {
        let is_register = matches!(src, Rm::Reg(_));
        match (src, self.isa) {
            (Rm::Reg(src), _) if src == Reg::from(v(dst)) => {}
            (Rm::Bcast(element), _) => {
                let row = pick(elem, &inst::VPBROADCASTQ, &inst::VPBROADCASTD);
                self.evex(row, v(dst), NONE, element);
            }
            _ => {
                let row = if is_register {
                    &inst::MOVAPS
                } else {
                    &inst::MOVUPS
                };
                self.unary(row, dst, src);
            }
        }
    }

    /// `place = src`.
    pub(super) fn store(&mut self, place: Mem, src: u8) {
        self.unary(&inst::MOVUPS_ST, src, place.into());
    }

    /// `dst = f(src)`.
    pub(super) fn unary(&mut self, row: &Inst, dst: u8, src: Rm) {
        match self.isa {
            Isa::Sse2 => self.asm.sse(row, v(dst), src),
            Isa::Avx2 => self.asm.vex(row, self.width, v(dst), NONE, src),
            Isa::Avx512 => self.evex(row, v(dst), NONE, src),
        }
    }

    /// `dst = f(a, b)`. On SSE2, `dst` is `a` or neither register.
    pub(super) fn binary(&mut self, row: &Inst, dst: u8, a: u8, b: Rm) {
        match self.isa {
            Isa::Sse2 => {
                debug_assert!(dst == a || b != v(dst).into());
                self.copy(Elem::F64, dst, v(a).into());
                self.asm.sse(row, v(dst), b);
            }
            Isa::Avx2 => self.asm.vex(row, self.width, v(dst), v(a), b),
            Isa::Avx512 => self.evex(row, v(dst), v(a), b),
        }
    }

    pub(super) fn sqrt(&mut self, elem: Elem, dst: u8, src: Rm) {
        self.unary(pick(elem, &inst::SQRTPD, &inst::SQRTPS), dst, src);
    }

    /// A bitwise operation.
    pub(super) fn bits(&mut self, op: Opcode, elem: Elem, dst: u8, a: u8, b: Rm) {
        if let Some(row) = binary_row(op, elem) {
            self.binary(row, dst, a, b);
        }
    }

    /// `dst = ±a·b ± c` with `dst` as one of the three.
    pub(super) fn fused(&mut self, row: &Inst, dst: u8, second: u8, third: Rm) {
        match self.isa {
            Isa::Avx512 => self.evex(row, v(dst), v(second), third),
            _ => self.asm.vex(row, self.width, v(dst), v(second), third),
        }
    }

    /// `dst = src` shifted by a number of bits.
    pub(super) fn shift(&mut self, op: Opcode, elem: Elem, dst: u8, src: u8) {
        let (row, count) = match op {
            Opcode::ShiftLeft(count) => (pick(elem, &inst::PSLLQ_I, &inst::PSLLD_I), count),
            Opcode::ShiftRight(count) => (pick(elem, &inst::PSRLQ_I, &inst::PSRLD_I), count),
            Opcode::ShiftRightHalves(count) => (&inst::PSRAD_I, count),
            _ => unreachable!("{op:?} is no shift"),
        };
        match self.isa {
            Isa::Sse2 => {
                self.copy(elem, dst, v(src).into());
                self.asm.sse_i(row, NONE, v(dst), count);
            }
            Isa::Avx2 => self.asm.vex_i(row, self.width, NONE, v(dst), v(src), count),
            Isa::Avx512 => {
                self.asm
                    .evex_i(row, self.width, Evex::NONE, NONE, v(dst), v(src), count);
            }
        }
    }

    /// `dst = src` rounded to an integer towards zero (AVX2 and AVX-512).
    pub(super) fn truncate(&mut self, elem: Elem, dst: u8, src: Rm) {
        // SDM, ROUNDPD: bits 1–0 the direction, bit 3 no exception for inexact results.
        let imm = 0b1011;
        if self.is_evex() {
            let row = pick(elem, &inst::VRNDSCALEPD, &inst::VRNDSCALEPS);
            self.asm
                .evex_i(row, self.width, Evex::NONE, v(dst), NONE, src, imm);
        } else {
            let row = pick(elem, &inst::ROUNDPD, &inst::ROUNDPS);
            self.asm.vex_i(row, self.width, v(dst), NONE, src, imm);
        }
    }

    /// `dst` = the smaller magnitude of `a` and `b` with the sign of `a`, or the larger (AVX-512).
    pub(super) fn range(&mut self, op: Opcode, elem: Elem, dst: u8, a: u8, b: Rm) {
        // SDM, VRANGEPD: bits 1–0 which magnitude, bits 3–2 the first operand's sign or none.
        let imm = match op {
            Opcode::Limit => 0b00_10,
            _ => 0b10_11,
        };
        let row = pick(elem, &inst::VRANGEPD, &inst::VRANGEPS);
        self.asm
            .evex_i(row, self.width, Evex::NONE, v(dst), v(a), b, imm);
    }

    /// `dst = 1 / src` to 14 bits (AVX-512).
    pub(super) fn reciprocal(&mut self, elem: Elem, dst: u8, src: Rm) {
        self.unary(pick(elem, &inst::VRCP14PD, &inst::VRCP14PS), dst, src);
    }

    /// `dst = src` less the nearest integer (AVX-512).
    pub(super) fn fraction(&mut self, elem: Elem, dst: u8, src: Rm) {
        // SDM, VREDUCEPD: bits 7–4 how many fraction bits count as whole, bit 3 no exception for
        // inexact results, bits 1–0 to nearest.
        let row = pick(elem, &inst::VREDUCEPD, &inst::VREDUCEPS);
        self.asm
            .evex_i(row, self.width, Evex::NONE, v(dst), NONE, src, 0b1000);
    }

    /// `dst = ⌊log₂|src|⌋` (AVX-512).
    pub(super) fn exponent(&mut self, elem: Elem, dst: u8, src: Rm) {
        self.unary(pick(elem, &inst::VGETEXPPD, &inst::VGETEXPPS), dst, src);
    }

    /// `dst` = significand of `src` (AVX-512).
    pub(super) fn significand(&mut self, op: Opcode, elem: Elem, dst: u8, src: Rm) {
        // SDM, VGETMANTPD: bits 1–0 the interval, [1, 2) or [¾, 3/2), bits 3–2 a positive sign.
        let interval = match op {
            Opcode::CentredSignificand => 0b01_11,
            _ => 0b01_00,
        };
        let row = pick(elem, &inst::VGETMANTPD, &inst::VGETMANTPS);
        self.asm
            .evex_i(row, self.width, Evex::NONE, v(dst), NONE, src, interval);
    }

    /// `dst = dst op (second & third)` (AVX-512).
    pub(super) fn ternary(&mut self, op: Opcode, elem: Elem, dst: u8, second: u8, third: Rm) {
        // The truth table, by the bits of dst (0xf0), second (0xcc) and third (0xaa).
        let imm = match op {
            Opcode::OrAnd => 0xf0 | (0xcc & 0xaa),
            _ => 0xf0 ^ (0xcc & 0xaa),
        };
        let row = pick(elem, &inst::VPTERNLOGQ, &inst::VPTERNLOGD);
        self.asm
            .evex_i(row, self.width, Evex::NONE, v(dst), v(second), third, imm);
    }

    /// `dst`, replaced where `x` is special as the table says (AVX-512).
    pub(super) fn fixup(&mut self, elem: Elem, dst: u8, x: u8, table: Rm) {
        let row = pick(elem, &inst::VFIXUPIMMPD, &inst::VFIXUPIMMPS);
        self.asm
            .evex_i(row, self.width, Evex::NONE, v(dst), v(x), table, 0);
    }

    /// A comparison into mask register `dst` (AVX-512).
    pub(super) fn compare_mask(&mut self, imm: u8, elem: Elem, dst: u8, a: u8, b: Rm) {
        let row = pick(elem, &inst::CMPPD, &inst::CMPPS);
        self.asm
            .evex_i(row, self.width, Evex::NONE, k(dst), v(a), b, imm);
    }

    /// A comparison into vector register `dst` (SSE2 and AVX2).
    pub(super) fn compare(&mut self, imm: u8, elem: Elem, dst: u8, a: u8, b: Rm) {
        let row = pick(elem, &inst::CMPPD, &inst::CMPPS);
        if self.isa == Isa::Sse2 {
            self.copy(elem, dst, v(a).into());
            self.asm.sse_i(row, v(dst), b, imm);
        } else {
            self.asm.vex_i(row, self.width, v(dst), v(a), b, imm);
        }
    }

    /// Mask register `dst` = lanes of `a` that have a bit in common with `b` (AVX-512).
    pub(super) fn test_mask(&mut self, elem: Elem, dst: u8, a: u8, b: Rm) {
        let row = pick(elem, &inst::VPTESTMQ, &inst::VPTESTMD);
        self.evex(row, k(dst), v(a), b);
    }

    /// `dst` = the highest bit of each lane of `src` in all bits of the lane (SSE2).
    pub(super) fn spread_highest_bit(&mut self, elem: Elem, dst: u8, src: u8) {
        match elem {
            // The upper half of each lane, twice.
            Elem::F64 => self.asm.sse_i(&inst::PSHUFD, v(dst), v(src), 0b11_11_01_01),
            Elem::F32 => self.copy(elem, dst, v(src).into()),
        }
        self.asm.sse_i(&inst::PSRAD_I, NONE, v(dst), 31);
    }

    /// An operation on mask registers (AVX-512).
    pub(super) fn combine_masks(&mut self, op: Opcode, dst: u8, a: u8, b: u8) {
        let row = match op {
            Opcode::MaskAnd => &inst::KANDW,
            Opcode::MaskOr => &inst::KORW,
            _ => &inst::KANDNW,
        };
        self.asm.vex(row, Width::X, k(dst), k(a), k(b));
    }

    /// Mask register `dst` from and to memory (AVX-512).
    pub(super) fn load_mask(&mut self, dst: u8, place: Mem) {
        self.asm.vex(&inst::KMOVQ, Width::X, k(dst), NONE, place);
    }

    pub(super) fn store_mask(&mut self, place: Mem, src: u8) {
        self.asm.vex(&inst::KMOVQ_ST, Width::X, k(src), NONE, place);
    }

    /// `dst = mask ? yes : no` by mask register (AVX-512).
    pub(super) fn blend(&mut self, elem: Elem, dst: u8, mask: u8, no: u8, yes: Rm) {
        let row = pick(elem, &inst::VBLENDMPD, &inst::VBLENDMPS);
        self.asm
            .evex(row, self.width, Evex::mask(k(mask)), v(dst), v(no), yes);
    }

    /// `dst = mask ? yes : dst` by mask register (AVX-512).
    pub(super) fn merge(&mut self, elem: Elem, dst: u8, mask: u8, yes: Rm) {
        let context = Evex::mask(k(mask));
        self.masked_move(elem, context, dst, yes);
    }

    /// `dst = mask ? yes : 0` by mask register (AVX-512).
    pub(super) fn keep(&mut self, elem: Elem, dst: u8, mask: u8, yes: Rm) {
        let context = Evex::mask(k(mask)).zeroing();
        self.masked_move(elem, context, dst, yes);
    }

    fn masked_move(&mut self, elem: Elem, context: Evex, dst: u8, src: Rm) {
        let (row, src) = match src {
            Rm::Bcast(element) => (
                pick(elem, &inst::VPBROADCASTQ, &inst::VPBROADCASTD),
                Rm::Mem(element),
            ),
            Rm::Reg(_) => (pick(elem, &inst::MOVAPD, &inst::MOVAPS), src),
            Rm::Mem(_) => (pick(elem, &inst::MOVUPD, &inst::MOVUPS), src),
        };
        self.asm.evex(row, self.width, context, v(dst), NONE, src);
    }

    /// `dst = mask ? yes : no` by the highest bits of a vector register (AVX2).
    pub(super) fn blend_by_vector(&mut self, elem: Elem, dst: u8, mask: u8, no: u8, yes: Rm) {
        let row = pick(elem, &inst::VBLENDVPD, &inst::VBLENDVPS);
        self.asm.vex4(row, self.width, v(dst), v(no), yes, v(mask));
    }

    /// Clears the zero flag if any lane of a mask is set.
    pub(super) fn test_any(&mut self, elem: Elem, mask: u8) {
        if self.is_evex() {
            self.asm
                .vex(&inst::KORTESTW, Width::X, k(mask), NONE, k(mask));
            return;
        }
        let row = pick(elem, &inst::MOVMSKPD, &inst::MOVMSKPS);
        if self.isa == Isa::Sse2 {
            self.asm.sse(row, gpr::RAX, v(mask));
        } else {
            self.asm.vex(row, self.width, gpr::RAX, NONE, v(mask));
        }
        self.asm.test_rr_32(gpr::RAX, gpr::RAX);
    }

    /// `dst` = the lower or upper half of the `f32` lanes of `src`, as `f64`.
    pub(super) fn widen(&mut self, is_high: bool, dst: u8, src: u8) {
        if !is_high {
            return self.unary(&inst::CVTPS2PD, dst, v(src).into());
        }
        match (self.isa, self.width) {
            (Isa::Sse2, _) => {
                self.copy(Elem::F32, dst, v(src).into());
                self.asm.sse(&inst::MOVHLPS, v(dst), v(src));
            }
            (Isa::Avx2, Width::X) => {
                self.asm
                    .vex(&inst::MOVHLPS, Width::X, v(dst), v(src), v(src));
            }
            (Isa::Avx2, _) => {
                self.asm
                    .vex_i(&inst::VEXTRACTF128, Width::Y, v(src), NONE, v(dst), 1);
            }
            (Isa::Avx512, Width::X) => {
                self.asm
                    .evex(&inst::MOVHLPS, Width::X, Evex::NONE, v(dst), v(src), v(src));
            }
            (Isa::Avx512, _) => {
                let row = if self.width == Width::Y {
                    &inst::VEXTRACTF32X4
                } else {
                    &inst::VEXTRACTF64X4
                };
                self.asm
                    .evex_i(row, self.width, Evex::NONE, v(src), NONE, v(dst), 1);
            }
        }
        self.unary(&inst::CVTPS2PD, dst, v(dst).into());
    }

    /// `dst` = both vectors of `f64`, rounded to `f32`; `high` is overwritten, `dst` is not `high`.
    pub(super) fn narrow(&mut self, dst: u8, low: u8, high: u8) {
        self.unary(&inst::CVTPD2PS, dst, v(low).into());
        self.unary(&inst::CVTPD2PS, high, v(high).into());
        match (self.isa, self.width) {
            (_, Width::X) => self.binary(&inst::MOVLHPS, dst, dst, v(high).into()),
            (Isa::Avx512, _) => {
                let row = if self.width == Width::Y {
                    &inst::VINSERTF32X4
                } else {
                    &inst::VINSERTF64X4
                };
                self.asm
                    .evex_i(row, self.width, Evex::NONE, v(dst), v(dst), v(high), 1);
            }
            _ => self
                .asm
                .vex_i(&inst::VINSERTF128, Width::Y, v(dst), v(dst), v(high), 1),
        }
    }

    /// `dst = table[index]` by the low bits of the index, of a table as large as two 512-bit
    /// registers (AVX-512). `dst`, `index` and `spare`, a free vector register, differ; `mask` is a
    /// free mask register.
    pub(super) fn lookup(
        &mut self,
        (table, elem): (&[u64], Elem),
        dst: u8,
        index: u8,
        (spare, mask): (u8, u8),
    ) {
        let bytes = bytes_of(table, elem);
        if self.width == Width::Z {
            let (low, high) = bytes.split_at(64);
            let (low, high) = (self.asm.constant(low), self.asm.constant(high));
            self.evex(&inst::MOVUPD, v(dst), NONE, Mem::rip(low));
            let row = pick(elem, &inst::VPERMT2PD, &inst::VPERMT2PS);
            self.evex(row, v(dst), v(index), Mem::rip(high));
            return;
        }
        let start = self.asm.constant(&bytes);
        self.asm.lea(gpr::RAX, Mem::rip(start));
        let last = self.constant(table.len() as u64 - 1, elem);
        self.evex(
            pick(elem, &inst::ANDPD, &inst::ANDPS),
            v(spare),
            v(index),
            last,
        );
        let scale = if elem == Elem::F64 {
            Scale::S8
        } else {
            Scale::S4
        };
        let row = pick(elem, &inst::VGATHERQPD, &inst::VGATHERDPS);
        self.gather_masked(
            row,
            dst,
            Mem::base(gpr::RAX).vector_index(v(spare), scale),
            mask,
        );
    }

    /// A gathering instruction for all lanes (AVX-512); changes `mask`.
    fn gather_masked(&mut self, row: &Inst, dst: u8, element: Mem, mask: u8) {
        self.asm
            .vex(&inst::KXNORW, Width::X, k(mask), k(mask), k(mask));
        // Breaks the dependence on the old value.
        self.evex(&inst::XORPD, v(dst), v(dst), v(dst));
        let context = Evex::mask(k(mask));
        self.asm
            .evex(row, self.width, context, v(dst), NONE, element);
    }

    /// `dst = table[index]` on 64-bit lanes. `dst`, `index` and `spare` differ; `spare` is a free
    /// mask register under AVX-512, else a free vector register.
    pub(super) fn gather(&mut self, table: &[u64], dst: u8, index: u8, spare: u8) {
        let bytes = bytes_of(table, Elem::F64);
        let start = self.asm.constant(&bytes);
        self.asm.lea(gpr::RAX, Mem::rip(start));
        let element = Mem::base(gpr::RAX).vector_index(v(index), Scale::S8);
        match self.isa {
            Isa::Avx512 => self.gather_masked(&inst::VGATHERQPD, dst, element, spare),
            Isa::Avx2 => {
                let width = self.width;
                self.asm
                    .vex(&inst::PCMPEQD, width, v(spare), v(spare), v(spare));
                self.asm.vex(&inst::XORPD, width, v(dst), v(dst), v(dst));
                self.asm
                    .vex(&inst::VGATHERQPD, width, v(dst), v(spare), element);
            }
            Isa::Sse2 => {
                let element = Mem::base(gpr::RAX).index(gpr::R10, Scale::S8);
                self.asm.sse(&inst::MOVQ_ST, v(index), gpr::R10);
                self.asm.sse(&inst::MOVSD, v(dst), element);
                self.asm
                    .sse_i(&inst::PSHUFD, v(spare), v(index), 0b11_10_11_10);
                self.asm.sse(&inst::MOVQ_ST, v(spare), gpr::R10);
                self.asm.sse(&inst::MOVHPD, v(dst), element);
            }
        }
    }

    /// Moves the stack pointer.
    pub(super) fn move_stack(&mut self, direction: Alu, bytes: usize) {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        self.asm.alu_ri(direction, gpr::RSP, bytes);
    }
}

/// The immediate for a predicate with its operands exchanged (VEX and EVEX).
pub(super) fn exchanged(predicate: Predicate) -> u8 {
    match predicate {
        // SDM, VCMPPD: greater than, greater or equal; quiet.
        Predicate::Less => 0x1e,
        Predicate::LessEqual => 0x1d,
        // Not greater than, quiet.
        Predicate::NotLess => 0x1a,
        symmetric => symmetric.immediate(),
    }
}
