//! `numpy.uint64`: words without a sign. What numpy warns of, an overflow or a division by zero, leaves.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};

use super::scalar::float_cc;
use super::{Emitter, Val};
use crate::program::{Bin, Cmp};
use crate::types::{Class, Dtype, INT, NP_U64, Ty};
use crate::unsigned;

impl Emitter<'_, '_> {
    /// `a op b`, if one is such a number and that is done natively.
    pub(super) fn bin_unsigned(&mut self, op: Bin, a: &Val, b: &Val) -> Option<Val> {
        let ty = unsigned::bin(op, &a.ty, &b.ty)?;
        if !unsigned::is_unsigned(&ty) {
            let [x, y] = [a, b].map(|operand| self.double_of(operand));
            if op == Bin::TrueDiv {
                self.check_divisor(b, y);
            }
            let flt = match op {
                Bin::Add => self.b.ins().fadd(x, y),
                Bin::Sub => self.b.ins().fsub(x, y),
                Bin::Mul => self.b.ins().fmul(x, y),
                _ => self.b.ins().fdiv(x, y),
            };
            return Some(Self::from_flt(ty, flt));
        }
        let [x, y] = [a, b].map(|operand| self.unsigned_word(operand));
        let wraps = self.info.program.wraps;
        let word = match op {
            Bin::Add => {
                let sum = self.b.ins().iadd(x, y);
                if !wraps {
                    let over = self.b.ins().icmp(IntCC::UnsignedLessThan, sum, x);
                    self.exit_if_beyond(over);
                }
                sum
            }
            Bin::Sub => {
                if !wraps {
                    let over = self.b.ins().icmp(IntCC::UnsignedLessThan, x, y);
                    self.exit_if_beyond(over);
                }
                self.b.ins().isub(x, y)
            }
            Bin::Mul if wraps => self.b.ins().imul(x, y),
            Bin::Mul => {
                let (product, over) = self.b.ins().umul_overflow(x, y);
                self.exit_if_beyond(over);
                product
            }
            Bin::FloorDiv | Bin::Mod => {
                if b.constant.is_none_or(|divisor| divisor == 0) {
                    let zero = self.b.ins().icmp_imm_s(IntCC::Equal, y, 0);
                    self.exit_if(zero, "division by zero");
                }
                if op == Bin::Mod {
                    self.b.ins().urem(x, y)
                } else {
                    self.b.ins().udiv(x, y)
                }
            }
            Bin::LShift | Bin::RShift => {
                self.check_shift(b, y);
                if op == Bin::LShift {
                    self.b.ins().ishl(x, y)
                } else {
                    self.b.ins().ushr(x, y)
                }
            }
            Bin::And => self.b.ins().band(x, y),
            Bin::Or => self.b.ins().bor(x, y),
            Bin::Xor => self.b.ins().bxor(x, y),
            _ => return None,
        };
        Some(Self::from_word(ty, word))
    }

    /// `a op b`, a comparison, on the same terms.
    pub(super) fn cmp_unsigned(&mut self, op: Cmp, a: &Val, b: &Val) -> Option<Val> {
        let ty = unsigned::cmp(op, &a.ty, &b.ty)?;
        let is_float = |value: &Val| Self::class_of(value) == Some(Class::Float);
        let truth = if is_float(a) || is_float(b) {
            let [x, y] = [a, b].map(|operand| self.double_of(operand));
            self.b.ins().fcmp(float_cc(op)?, x, y)
        } else {
            let cc = match op {
                Cmp::Lt => IntCC::UnsignedLessThan,
                Cmp::Le => IntCC::UnsignedLessThanOrEqual,
                Cmp::Gt => IntCC::UnsignedGreaterThan,
                Cmp::Ge => IntCC::UnsignedGreaterThanOrEqual,
                Cmp::Eq => IntCC::Equal,
                _ => IntCC::NotEqual,
            };
            let [x, y] = [a, b].map(|operand| self.unsigned_word(operand));
            self.b.ins().icmp(cc, x, y)
        };
        let word = self.b.ins().uextend(types::I64, truth);
        Some(Self::from_word(ty, word))
    }

    /// `~a`.
    pub(super) fn flipped_unsigned(&mut self, a: &Val) -> Val {
        let word = self.word(a);
        let word = self.b.ins().bnot(word);
        Self::from_word(Ty::of(NP_U64), word)
    }

    /// An integer as such a number; leaves if one is negative.
    pub(super) fn unsigned_word(&mut self, value: &Val) -> Value {
        let word = self.word(value);
        let is_natural = value.ty.natural || value.constant.is_some_and(|constant| constant >= 0);
        if !unsigned::is_unsigned(&value.ty) && !is_natural {
            self.check_range(Dtype::UInt64, word);
        }
        word
    }

    /// Such a number as an integer of Python's; leaves if it has more than 63 bits.
    pub(super) fn signed_of_unsigned(&mut self, value: &Val) -> Val {
        let word = self.word(value);
        let beyond = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, word, 0);
        self.exit_if_beyond(beyond);
        let natural = Ty {
            natural: true,
            ..Ty::of(INT)
        };
        Self::from_word(natural, word)
    }
}
