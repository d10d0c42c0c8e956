//! Integers of 64 bits: arithmetic that leaves where Python's integers would need more.
//!
//! Where the types say that a result fits, nothing is looked at. Elsewhere the cheapest test is taken:
//! comparing the result with an operand of known sign is one instruction, the overflow flag takes two
//! more. To leave early is always right, so a factor that is written in the program is tested such
//! that the product has a bit to spare, and what is added to it then needs no test.

use cranelift_codegen::ir::{InstBuilder, InstructionData, Opcode, Value, condcodes::IntCC, types};

use super::{Emitter, Val};
use crate::program::Bin;
use crate::rules;
use crate::types::{INT, Tags};

const WHY: &str = "an integer of more than 64 bits";

/// A mask of 32 bits.
const LOW_HALF: i64 = 0xffff_ffff;

/// Bits of numbers that are divided fast.
const WORD_BITS: i64 = 32;

impl Emitter<'_, '_> {
    /// `a op b` on integers; `None` if there is no such operation.
    pub(super) fn bin_ints(&mut self, op: Bin, a: &Val, b: &Val) -> Option<Value> {
        let (x, y) = (self.word(a), self.word(b));
        Some(match op {
            Bin::Add | Bin::Sub | Bin::Mul => self.checked(op, a, b),
            Bin::FloorDiv | Bin::Mod => self.divided(op == Bin::Mod, a, b),
            Bin::Pow => match b.constant {
                Some(0) => self.int(1),
                Some(1) => x,
                Some(n @ 2..=4) => {
                    let mut power = x;
                    for _ in 1..n {
                        let (value, overflow) = self.b.ins().smul_overflow(power, x);
                        self.exit_if_beyond(overflow);
                        power = value;
                    }
                    power
                }
                _ => {
                    let out = self.scratch(1);
                    let fits = self.call_word(self.rt.int_pow, &[x, y, out]);
                    self.exit_unless(fits, "a power beyond 64 bits or a negative exponent");
                    let out = self.scratch(1);
                    self.load(types::I64, out, 0)
                }
            },
            Bin::LShift => {
                self.check_shift(b, y);
                let value = self.b.ins().ishl(x, y);
                if self.is_masked || rules::room(op, &a.ty, &b.ty, b.constant) > 0 {
                    return Some(value);
                }
                let back = self.b.ins().sshr(value, y);
                let lost = self.b.ins().icmp(IntCC::NotEqual, back, x);
                self.exit_if_beyond(lost);
                value
            }
            Bin::RShift => {
                self.check_shift(b, y);
                self.b.ins().sshr(x, y)
            }
            Bin::And if [a.constant, b.constant].contains(&Some(LOW_HALF)) => {
                let half = self.lower_half(if b.constant.is_some() { x } else { y });
                self.b.ins().uextend(types::I64, half)
            }
            Bin::And => self.b.ins().band(x, y),
            Bin::Or => self.b.ins().bor(x, y),
            Bin::Xor => self.b.ins().bxor(x, y),
            Bin::TrueDiv | Bin::MatMul => return None,
        })
    }

    /// The lower half of a register costs nothing, if it comes of an operation on halves: the code generator
    /// knows that of sums and products, but not of shifts.
    fn lower_half(&mut self, word: Value) -> Value {
        let dfg = &self.b.func.dfg;
        let made_by = |value: Value| dfg.value_def(value).inst().map(|inst| dfg.insts[inst]);
        if let Some(InstructionData::Binary {
            opcode: Opcode::Ishl,
            args: [shifted, by],
        }) = made_by(word)
            && let Some(InstructionData::UnaryImm { imm, .. }) = made_by(by)
            && (0..WORD_BITS).contains(&imm.bits())
        {
            let low = self.b.ins().ireduce(types::I32, shifted);
            return self.b.ins().ishl_imm_u(low, imm.bits());
        }
        self.b.ins().ireduce(types::I32, word)
    }

    /// Leaves where a result would have more than 64 bits.
    pub(super) fn exit_if_beyond(&mut self, condition: Value) {
        self.exit_if(condition, WHY);
    }

    /// A sum, difference or product; leaves if it has more than 64 bits.
    fn checked(&mut self, op: Bin, a: &Val, b: &Val) -> Value {
        if b.constant.is_none() && a.constant.is_some() && op != Bin::Sub {
            return self.checked(op, b, a);
        }
        let (x, y) = (self.word(a), self.word(b));
        if self.is_masked || rules::fits(op, &a.ty, &b.ty, b.constant) {
            return match op {
                Bin::Add => self.b.ins().iadd(x, y),
                Bin::Sub => self.b.ins().isub(x, y),
                _ => match b.constant {
                    Some(constant) => self.times(x, constant),
                    None => self.b.ins().imul(x, y),
                },
            };
        }
        let constant = b.constant.filter(|&constant| constant != i64::MIN);
        match (op, constant) {
            (Bin::Add | Bin::Sub, Some(constant)) => {
                let step = if op == Bin::Add { constant } else { -constant };
                let value = self.b.ins().iadd_imm_s(x, step);
                if step > 0 {
                    let over = self.b.ins().icmp(IntCC::SignedLessThan, value, x);
                    self.exit_if_beyond(over);
                } else if step < 0 && !a.ty.natural {
                    let over = self.b.ins().icmp(IntCC::SignedGreaterThan, value, x);
                    self.exit_if_beyond(over);
                }
                value
            }
            (Bin::Add, None) if a.ty.natural || b.ty.natural => {
                let value = self.b.ins().iadd(x, y);
                // A sum with what is not negative is not less than the other.
                let other = if b.ty.natural { x } else { y };
                let least = if a.ty.natural && b.ty.natural {
                    self.int(0)
                } else {
                    other
                };
                let over = self.b.ins().icmp(IntCC::SignedLessThan, value, least);
                self.exit_if_beyond(over);
                value
            }
            (Bin::Sub, None) if b.ty.natural => {
                let value = self.b.ins().isub(x, y);
                if !a.ty.natural {
                    let over = self.b.ins().icmp(IntCC::SignedGreaterThan, value, x);
                    self.exit_if_beyond(over);
                }
                value
            }
            (Bin::Mul, Some(constant)) if rules::spares_a_bit(constant) => {
                // Beyond 2^63 as an unsigned number it is negative.
                let most = (1 << 62) / constant;
                let (moved, limit) = if a.ty.natural {
                    (x, most)
                } else {
                    (self.b.ins().iadd_imm_s(x, most), 2 * most)
                };
                let limit = self.int(limit);
                let over = self
                    .b
                    .ins()
                    .icmp(IntCC::UnsignedGreaterThanOrEqual, moved, limit);
                // Also on the side of a branch that is not taken: numbers of 60 bits are hardly ever
                // there, and looking at the side costs more than it saves.
                let side = self.side.take();
                self.exit_if_beyond(over);
                self.side = side;
                self.times(x, constant)
            }
            _ => {
                let (value, over) = match op {
                    Bin::Add => self.b.ins().sadd_overflow(x, y),
                    Bin::Sub => self.b.ins().ssub_overflow(x, y),
                    _ => self.b.ins().smul_overflow(x, y),
                };
                self.exit_if_beyond(over);
                value
            }
        }
    }

    /// A product modulo 2⁶⁴; an address is computed in one cycle, a product in three.
    fn times(&mut self, x: Value, constant: i64) -> Value {
        let shift = match constant {
            3 => 1,
            5 => 2,
            9 => 3,
            _ => return self.b.ins().imul_imm_s(x, constant),
        };
        let scaled = self.b.ins().ishl_imm_u(x, shift);
        self.b.ins().iadd(x, scaled)
    }

    /// The quotient rounded down, or what is left of it; leaves where Python raises.
    fn divided(&mut self, is_mod: bool, a: &Val, b: &Val) -> Value {
        let (x, y) = (self.word(a), self.word(b));
        let divisor = b.constant.filter(|&divisor| divisor > 0);
        match divisor {
            Some(divisor) if divisor.count_ones() == 1 => {
                return if is_mod {
                    self.b.ins().band_imm_s(x, divisor - 1)
                } else {
                    let shift = i64::from(divisor.trailing_zeros());
                    self.b.ins().sshr_imm_u(x, shift)
                };
            }
            Some(_) => {}
            None => {
                let zero = self.b.ins().icmp_imm_s(IntCC::Equal, y, 0);
                self.exit_if(zero, "division by zero");
            }
        }
        if divisor.is_some() {
            return self.divided_slowly(is_mod, a, b);
        }
        let room = u8::try_from(64 - WORD_BITS - 1).unwrap_or(0);
        let is_short = |value: &Val| value.ty.natural && value.ty.room >= room;
        if is_short(a) && is_short(b) {
            return self.divided_short(is_mod, x, y);
        }
        // Most numbers have few bits, and of those a quotient is found twice as fast.
        let both = self.b.ins().bor(x, y);
        let high = self.b.ins().ushr_imm_u(both, WORD_BITS);
        let (long, short, done) = (self.cold_block(), self.block_beside(), self.block_beside());
        let result = self.b.append_block_param(done, types::I64);
        self.b.ins().brif(high, long, &[], short, &[]);
        self.start(short);
        let value = self.divided_short(is_mod, x, y);
        self.jump(done, &[value]);
        self.start(long);
        let value = self.divided_slowly(is_mod, a, b);
        self.jump(done, &[value]);
        self.start(done);
        result
    }

    /// The same of numbers of 32 bits that are not negative.
    fn divided_short(&mut self, is_mod: bool, x: Value, y: Value) -> Value {
        let [x, y] = [x, y].map(|word| self.b.ins().ireduce(types::I32, word));
        let value = if is_mod {
            self.b.ins().urem(x, y)
        } else {
            self.b.ins().udiv(x, y)
        };
        self.b.ins().uextend(types::I64, value)
    }

    /// The same of any numbers; the divisor is not zero.
    fn divided_slowly(&mut self, is_mod: bool, a: &Val, b: &Val) -> Value {
        let (x, y) = (self.word(a), self.word(b));
        if a.ty.natural && b.ty.natural {
            let quotient = self.b.ins().udiv(x, y);
            return if is_mod {
                let back = self.b.ins().imul(quotient, y);
                self.b.ins().isub(x, back)
            } else {
                quotient
            };
        }
        if b.constant.is_none_or(|divisor| divisor == -1) && !b.ty.natural {
            let minus_one = self.b.ins().icmp_imm_s(IntCC::Equal, y, -1);
            self.exit_if(minus_one, "division by -1");
        }
        let quotient = self.b.ins().sdiv(x, y);
        let back = self.b.ins().imul(quotient, y);
        let rest = self.b.ins().isub(x, back);
        if b.ty.natural {
            // All ones if what is left is negative.
            let sign = self.b.ins().sshr_imm_u(rest, 63);
            return if is_mod {
                let more = self.b.ins().band(sign, y);
                self.b.ins().iadd(rest, more)
            } else {
                self.b.ins().iadd(quotient, sign)
            };
        }
        let nonzero = self.b.ins().icmp_imm_s(IntCC::NotEqual, rest, 0);
        let signs = self.b.ins().bxor(rest, y);
        let differ = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, signs, 0);
        let adjust = self.b.ins().band(nonzero, differ);
        if is_mod {
            let moved = self.b.ins().iadd(rest, y);
            self.b.ins().select(adjust, moved, rest)
        } else {
            let adjust = self.b.ins().uextend(types::I64, adjust);
            self.b.ins().isub(quotient, adjust)
        }
    }

    /// Whether only the low bits of what a statement computes count, or it is known to fit.
    pub(super) fn is_masked_at(&self, statement: usize) -> bool {
        if self.info.program.wraps {
            return true;
        }
        let is_int = |&local: &usize| {
            let ty = &self.types[local];
            ty.tags == Tags::of(INT) && ty.narrow.is_none()
        };
        let locals = self.info.masked[statement].as_ref();
        locals.is_some_and(|locals| locals.iter().all(is_int))
            || self.info.steps.is_done_at(statement, &self.types)
    }

    pub(super) fn check_shift(&mut self, count: &Val, word: Value) {
        if count.constant.is_some_and(|count| (0..64).contains(&count)) {
            return;
        }
        let wide = self
            .b
            .ins()
            .icmp_imm_s(IntCC::UnsignedGreaterThan, word, 63);
        self.exit_if(wide, "a shift by more than 63 bits");
    }
}
