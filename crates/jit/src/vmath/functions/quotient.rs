//! Division beside the divider.
//!
//! A processor has one divider, which takes 16 cycles for eight doubles while its multipliers wait.
//! So kernels let a part of a tree's quotients be computed by multiplications: a reciprocal of 14
//! bits, made longer by a step of third order (for doubles another of second order), then the
//! quotient and its remainder, which is exact, and the remainder's share. The result is the
//! divider's, to the bit.
//!
//! # Why it is correctly rounded
//! Let `p` be the precision, and scale both operands so that `1 ≤ a, b < 2`. The reciprocal `r` is
//! within `b 2^(−p−1) + δ` of `1/b`, relatively: the first term is its last rounding, `δ` what the
//! steps leave, 2⁻⁸³ for doubles and 2⁻³⁷ for singles. The product `q` of `a` and `r` is within one
//! unit of the last place of `a/b` if `a ≥ b`, else within `½ + a/2`, so if `a/b` lies next to the
//! midpoint of two numbers, `q` is one of the two. Then `(a − q b) r`, which should be half a unit,
//! errs by half of what `r` does: `b 2^(−p−2)` units. But `a/b` is never a midpoint, and as a multiple
//! of `1/b`, scaled, it stays `2^(−p) / b` units away from it. So the sum is rounded to the right
//! side if `b² < 4`, with room for `δ` if `b < 2 − 2⁻²⁰`, for singles `2 − 2⁻¹¹`. (P. Markstein,
//! “Computation of elementary functions on the IBM RISC System/6000 processor”, IBM J. Res. Dev.
//! 34(1), 1990, has it for a reciprocal that is correctly rounded.)
//!
//! The divider gets the rest: zeros, infinities, and whatever is so large or small that the quotient
//! or the remainder might be subnormal or overflow. Of NaN all that is computed here is NaN.

use crate::vmath::lanes::Value;
use crate::vmath::program::Elem;

/// `a / b`.
pub(crate) fn quotient<'l>(a: Value<'l>, b: Value<'l>) -> Value<'l> {
    if !a.lanes().is_avx512() {
        return a / b;
    }
    let (limit, nearly_two) = match a.elem() {
        Elem::F64 => (500.0, 2.0 - 1.0 / 1_048_576.0),
        Elem::F32 => (60.0, 2.0 - 1.0 / 2048.0),
    };
    let size = a
        .exponent_instruction()
        .larger_instruction(b.exponent_instruction());
    let is_hard = size.greater(limit) | b.significand_instruction().greater_equal(nearly_two);

    let r = b.reciprocal_instruction();
    let error = b.neg_mul_add(r, 1.0);
    let r = r.mul_add(error.mul_add(error, error), r);
    let r = match a.elem() {
        Elem::F64 => r.mul_add(b.neg_mul_add(r, 1.0), r),
        Elem::F32 => r,
    };
    let q = a * r;
    let q = b.neg_mul_add(q, a).mul_add(r, q);
    let [q] = is_hard.replace([q], || [a / b]);
    q
}
