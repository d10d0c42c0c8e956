//! log, log2, log10, log1p, and the protected logarithm.
//!
//! # Method
//! x = 2ᵏ·(1 + f) with 1 + f in [¾, 3/2). With s = f/(2 + f) and z = s²,
//! log(1 + f) = f − (f²/2 − s·(f²/2 + z·P(z))), P a minimax polynomial of degree 7 (f64) or 3 (f32),
//! error 2⁻⁶²·⁷ and 2⁻³⁵·¹ (after fdlibm's `e_log.c`, Sun Microsystems 1993, on a slightly wider
//! interval). k·ln 2 is added in two parts, the first with so few bits that it is exact, and the
//! rounding error of k·ln 2 + f is kept.
//!
//! log2 and log10 multiply log(1 + f), as a sum of two, by log₂e or log₁₀e, as a sum of two, of
//! which the high parts have half as many bits and an exact product (fdlibm's `e_log10.c`).
//! log1p works on 1 + x as an exact sum u + c: log(u + c) = log u + c/u.

use super::exponential::{LN_2_HIGH, LN_2_LOW};
use super::scaling::{Decomposed, decompose};
use crate::vmath::lanes::{Both, Value};

/// 26 or 12 bits, and the rest.
const LOG2_E_HIGH: Both = Both(1.442_695_051_431_655_9, 1.442_871_093_75);
const LOG2_E_LOW: Both = Both(-1.054_269_247_642_913_8e-8, -0.000_176_052_853_930_741_55);
const LOG10_E_HIGH: Both = Both(0.434_294_484_555_721_3, 0.434_326_171_875);
const LOG10_E_LOW: Both = Both(-2.652_469_455_307_855_3e-9, -3.168_997_136_526_741e-5);
/// 41 or 15 bits, and the rest.
const LOG10_2_HIGH: Both = Both(0.301_029_995_664_066_5, 0.301_025_390_625);
const LOG10_2_LOW: Both = Both(-8.532_344_317_057_107e-14, 4.605_039_066_518_657e-6);

/// (log(1 + f) − 2s)/s³ in z = s².
const P_64: [f64; 8] = [
    0.666_666_666_666_666,
    0.400_000_000_000_564_07,
    0.285_714_285_559_253,
    0.222_222_242_834_225_79,
    0.181_816_667_359_914_59,
    0.153_910_821_118_085_1,
    0.131_741_216_734_258_23,
    0.138_393_989_808_106_22,
];
const P_32: [f64; 4] = [
    0.666_666_626_930_236_8,
    0.400_009_125_471_115_1,
    0.285_051_167_011_261,
    0.241_228_938_102_722_17,
];

/// log(1 + f) = f − (half_square − correction).
struct Core<'l> {
    half_square: Value<'l>,
    correction: Value<'l>,
    s: Value<'l>,
}

fn core<'l>(f: Value<'l>) -> Core<'l> {
    let s = f / (2.0 + f);
    let z = s * s;
    let half_square = f * 0.5 * f;
    let correction = s * z.mul_add(z.polynomial(&P_64, &P_32), half_square);
    Core {
        half_square,
        correction,
        s,
    }
}

/// What is special about logarithms, put into `result`, the logarithm of a positive finite `x`.
fn with_specials<'l>(x: Value<'l>, result: Value<'l>) -> Value<'l> {
    if x.lanes().is_avx512() {
        // NaN stays, zero to −∞, −∞ and negative numbers to NaN, +∞ stays.
        return result.fixup_instruction(x, 0x0353_0422);
    }
    let result = x.not_less(f64::INFINITY).select(x, result);
    let of_zero = x.constant(f64::NEG_INFINITY);
    let special = x.equal(0.0).select(of_zero, f64::NAN);
    x.not_greater(0.0).select(special, result)
}

/// log x.
pub(crate) fn log(x: Value) -> Value {
    with_specials(x, log_of_positive(x))
}

fn log_of_positive(x: Value) -> Value {
    let Decomposed {
        exponent: k,
        significand,
        ..
    } = decompose(x);
    let f = significand - 1.0;
    let Core {
        half_square,
        correction,
        ..
    } = core(f);
    let (high, low) = (k * LN_2_HIGH).fast_two_sum(f);
    high + (low - (half_square - k.mul_add(LN_2_LOW, correction)))
}

/// log |x|, and 0 where x is zero.
pub(crate) fn protected_log(x: Value) -> Value {
    let magnitude = x.abs();
    let result = log_of_positive(magnitude);
    if x.lanes().is_avx512() {
        // NaN and +∞ stay, zero to zero.
        return result.fixup_instruction(magnitude, 0x0050_0822);
    }
    let result = magnitude.not_less(f64::INFINITY).select(magnitude, result);
    magnitude.equal(0.0).select(x.constant(0.0), result)
}

/// log(1 + f) as a sum of two, the first of half as many bits.
fn short_sum<'l>(f: Value<'l>) -> (Value<'l>, Value<'l>) {
    let Core {
        half_square,
        correction,
        ..
    } = core(f);
    let high = (f - half_square).high_half();
    (high, ((f - high) - half_square) + correction)
}

/// log₂ x.
pub(crate) fn log2(x: Value) -> Value {
    let Decomposed {
        exponent: k,
        significand,
        ..
    } = decompose(x);
    let (high, low) = short_sum(significand - 1.0);
    let rest = low.mul_add(LOG2_E_HIGH, (low + high) * LOG2_E_LOW);
    let (sum, lost) = k.fast_two_sum(high * LOG2_E_HIGH);
    with_specials(x, sum + (lost + rest))
}

/// log₁₀ x.
pub(crate) fn log10(x: Value) -> Value {
    let Decomposed {
        exponent: k,
        significand,
        ..
    } = decompose(x);
    let (high, low) = short_sum(significand - 1.0);
    let rest = low.mul_add(LOG10_E_HIGH, (low + high) * LOG10_E_LOW);
    let rest = k.mul_add(LOG10_2_LOW, rest);
    let (sum, lost) = (k * LOG10_2_HIGH).fast_two_sum(high * LOG10_E_HIGH);
    with_specials(x, sum + (lost + rest))
}

/// log(1 + x).
pub(crate) fn log1p(x: Value) -> Value {
    let (u, c) = x.constant(1.0).two_sum(x);
    let Decomposed {
        exponent: k,
        significand,
        reciprocal_power,
    } = decompose(u);
    let f = significand - 1.0;
    let Core {
        half_square,
        correction,
        s,
    } = core(f);
    // c/u to a few bits: 1/(1 + f) = (1 − s)/(1 + s).
    let reciprocal = s.mul_add(s.mul_add(2.0, -2.0), 1.0);
    let c = c * reciprocal_power * reciprocal;
    let (high, low) = (k * LN_2_HIGH).fast_two_sum(f);
    let result = high + ((low + c) - (half_square - k.mul_add(LN_2_LOW, correction)));
    with_specials(u, result).or_sign_of(x)
}
