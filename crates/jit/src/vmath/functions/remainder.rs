//! mod: the remainder with the sign of the divisor, exactly, for all arguments.
//!
//! # Method
//! The remainder of magnitudes is a − q·b with q the truncated quotient, exact as long as q has few
//! enough bits; if rounding the quotient reached the next integer, the remainder is negative and b
//! comes back. Larger quotients are taken off from the top, 2⁵⁰ (without fused operations 2²⁴)
//! at a time, in a loop in a rare region. Then as numpy does: where the signs of remainder and
//! divisor differ, b is added, which may round (`npy_divmod`).

use super::scaling::{Integer, decompose};
use super::selection::nearest;
use crate::vmath::lanes::{Lanes, Value};
use crate::vmath::program::Elem;

/// x ≥ 0 towards zero.
fn truncate(x: Value) -> Value {
    if x.lanes().is_fused() {
        return x.truncate_instruction();
    }
    let rounded = nearest(x);
    rounded.greater(x).select(rounded - 1.0, rounded)
}

/// a − q·b, exact where the result is representable and q has at most 25 bits (50 if fused).
fn subtract_multiple<'l>(a: Value<'l>, q: Value<'l>, b: Value<'l>) -> Value<'l> {
    if a.lanes().is_fused() {
        return q.neg_mul_add(b, a);
    }
    let (high, low) = b.split();
    let (difference, lost) = a.two_sum(-(q * high));
    (difference - q * low) + lost
}

/// a modulo b for magnitudes whose quotient has few bits.
fn small_remainder<'l>(a: Value<'l>, quotient: Value<'l>, b: Value<'l>) -> Value<'l> {
    let rest = subtract_multiple(a, truncate(quotient), b);
    rest.less(0.0).select(rest + b, rest)
}

/// ⌊a/b⌋ has this many bits at most.
fn quotient_bits(lanes: &Lanes) -> f64 {
    if lanes.is_fused() { 50.0 } else { 24.0 }
}

/// The remainder of magnitudes, in double precision.
fn remainder<'l>(a: Value<'l>, b: Value<'l>) -> Value<'l> {
    let infinity = f64::INFINITY;
    let bits = quotient_bits(a.lanes());
    let most = bits.exp2();
    let quotient = a / b;
    let rest = small_remainder(a, quotient, b);
    // No quotient there: b is infinite, or a is, or b is zero, or one is NaN.
    let is_rare = quotient.not_less(most) | b.equal(infinity);
    let [rest] = is_rare.replace([rest], || {
        let is_regular = a.less(infinity) & b.greater(0.0) & b.less(infinity);
        let b_exponent = exponent(b);
        let [reduced] = a.lanes().repeat([a], |[rest]| {
            // b·2ᵏ, so that the quotient has few enough bits.
            let excess = (exponent(rest) - b_exponent - (bits - 2.0)).max(0.0);
            let third = Integer::nearest(excess * (1.0 / 3.0));
            let last = Integer::nearest(excess - (third.number + third.number));
            let power = third.power(1.0);
            let multiple = b * power * power * last.power(1.0);
            let next = small_remainder(rest, rest / multiple, multiple);
            (rest.greater_equal(b) & is_regular, [next])
        });
        let special = b.equal(infinity) & a.less(infinity);
        let special = special.select(a, f64::NAN);
        [is_regular.select(reduced, special)]
    });
    rest
}

/// ⌊log₂ x⌋ or one more, for positive finite x.
fn exponent<'l>(x: Value<'l>) -> Value<'l> {
    decompose(x).exponent
}

/// a modulo b with the sign of b.
fn floor_mod<'l>(a: Value<'l>, b: Value<'l>) -> Value<'l> {
    let rest = remainder(a.abs(), b.abs()).xor_sign_of(a);
    let is_opposite = a.bit_xor(b).is_sign_set();
    let is_zero = rest.equal(0.0);
    let result = is_opposite.select(rest + b, rest);
    is_zero.select(b.sign(), result)
}

/// a modulo b with the sign of b.
pub(crate) fn modulo<'l>(a: Value<'l>, b: Value<'l>) -> Value<'l> {
    match a.elem() {
        Elem::F64 => floor_mod(a, b),
        Elem::F32 => a.widened_with(b, floor_mod),
    }
}
