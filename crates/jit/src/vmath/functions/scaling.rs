//! Powers of two: rounding to the nearest integer, scaling, taking exponents apart.
//!
//! Adding a *magic number*, 1.5·2⁵² or 1.5·2²³, rounds a small number to an integer n and leaves n
//! in the low bits of the sum, where shifts reach it: half the cost of a rounding instruction and
//! a conversion, and SSE2 has it too.

use crate::vmath::lanes::{Both, Operand, Value, encode};
use crate::vmath::program::Elem;

pub(super) const MAGIC: Both = Both(6_755_399_441_055_744.0, 12_582_912.0);

/// Rounds to a sixteenth or thirty-second, which leaves the index of a table in the low bits.
pub(super) const FRACTION_MAGIC: Both = Both(422_212_465_065_984.0, 393_216.0);

/// An integer as a number, and in the low bits of a word.
#[derive(Clone, Copy)]
pub(super) struct Integer<'l> {
    pub(super) number: Value<'l>,
    pub(super) bits: Value<'l>,
}

impl<'l> Integer<'l> {
    /// The integer nearest to `x`, of magnitude below 2⁵¹ or 2²².
    pub(super) fn nearest(x: Value<'l>) -> Integer<'l> {
        let bits = x + MAGIC;
        Integer {
            number: bits - MAGIC,
            bits,
        }
    }

    /// The integer nearest to `x · factor`.
    pub(super) fn nearest_product(x: Value<'l>, factor: impl Operand<'l>) -> Integer<'l> {
        let bits = x.mul_add(factor, MAGIC);
        Integer {
            number: bits - MAGIC,
            bits,
        }
    }

    /// 2ⁿ · `factor`, where both the product and the factor, a power of two, are normal.
    pub(super) fn power(self, factor: f64) -> Value<'l> {
        let fraction_bits = fraction_bits(self.bits);
        self.bits
            .shift_left(fraction_bits)
            .int_add(self.bits.constant(factor))
    }

    /// `x` · 2ⁿ with `x` near 1 and any result, rounded once.
    pub(super) fn scale(self, x: Value<'l>) -> Value<'l> {
        if x.lanes().is_avx512() {
            return x.scale_instruction(self.number);
        }
        let (first, second) = self.two_powers();
        x * first * second
    }

    /// Factors of 2ⁿ: multiplying by the first of them is exact.
    fn two_powers(self) -> (Value<'l>, Value<'l>) {
        let half = self.bits.shift_right_halves(1);
        let rest = self.bits.int_sub(half);
        let power = |bits| Integer { bits, ..self }.power(1.0);
        (power(half), power(rest))
    }

    /// Both parts of a sum, scaled by 2ⁿ.
    pub(super) fn scale_pair(self, high: Value<'l>, low: Value<'l>) -> (Value<'l>, Value<'l>) {
        if high.lanes().is_avx512() {
            return (self.scale(high), self.scale(low));
        }
        let (first, second) = self.two_powers();
        (high * first * second, low * first * second)
    }
}

/// `x · 2^⌊n⌋` for x from ¼ to 2, one rounding (AVX-512 only). The instruction takes some two hundred
/// cycles for results that are subnormal or zero; these are left to a multiplication.
pub(super) fn scale_by<'l>(x: Value<'l>, n: Value<'l>) -> Value<'l> {
    let least = n.constant(Both(-1020.0, -124.0));
    let scaled = x.scale_instruction(least.max(n));
    let [scaled] = n.less(least).replace([scaled], || {
        let rest = n.constant(Both(-200.0, -100.0)).max(n - least);
        [scaled * n.constant(1.0).scale_instruction(rest)]
    });
    scaled
}

/// Number of bits of the fraction field.
pub(super) fn fraction_bits(x: Value) -> u8 {
    match x.elem() {
        Elem::F64 => 52,
        Elem::F32 => 23,
    }
}

/// A positive number as 2ᵏ·m with m in [¾, 3/2).
pub(super) struct Decomposed<'l> {
    /// k; anything for zero, infinity and NaN.
    pub(super) exponent: Value<'l>,
    pub(super) significand: Value<'l>,
    /// 2⁻ᵏ for normal numbers, zero where k exceeds the largest exponent.
    pub(super) reciprocal_power: Value<'l>,
}

/// Takes `x` apart; subnormal numbers too.
pub(super) fn decompose<'l>(x: Value<'l>) -> Decomposed<'l> {
    if x.lanes().is_avx512() {
        let significand = x.centred_significand_instruction();
        let exponent = x.exponent_instruction() - significand.exponent_instruction();
        let reciprocal_power = x.constant(1.0).scale_instruction(-exponent);
        return Decomposed {
            exponent,
            significand,
            reciprocal_power,
        };
    }
    // 2⁵⁴ or 2²⁵ makes a subnormal number normal.
    let is_subnormal = x.less(Both(f64::MIN_POSITIVE, f64::from(f32::MIN_POSITIVE)));
    let x = is_subnormal.select(x * Both(18_014_398_509_481_984.0, 33_554_432.0), x);
    // A biased exponent, placed in the low bits of 2⁵² or 2²³, becomes a number.
    let shift = Both(4_503_599_627_370_496.0, 8_388_608.0);
    let bias = x.constant(Both(4_503_599_627_371_519.0, 8_388_735.0));
    let bias = is_subnormal.select(bias + Both(54.0, 25.0), bias);
    let bits = |number| encode(number, x.elem());
    // Counted from ¾ on, the fraction overflows into the exponent at 3/2.
    let counted = x.int_add(x.bits(bits(1.0) - bits(0.75)));
    let biased = counted.shift_right(fraction_bits(x)).bit_or(shift);
    let power = counted.bit_and(f64::INFINITY);
    let significand = counted.int_sub(power).int_add(x.constant(0.75));
    let reciprocal_power = x.bits(2 * bits(1.0)).int_sub(power).max(0.0);
    Decomposed {
        exponent: biased - bias,
        significand,
        reciprocal_power,
    }
}
