//! sinh, cosh, tanh.
//!
//! # Method
//! |x| = n·ln 2 + r as for exp, and cosh x = a·cosh r + b·sinh r, sinh x = b·cosh r + a·sinh r with
//! a, b = (2ⁿ ± 2⁻ⁿ)/2: no division, and no cancellation, since for n = 0 b vanishes. Minimax
//! polynomials cosh r = 1 + z·C(z), sinh r = r + r·z·S(z), z = r² ≤ 0.12, of degrees 4, 4 (f64;
//! errors 2⁻⁵⁸, 2⁻⁶¹·⁷) and 2, 2 (f32). The largest term, b·r + a or a·r + b, is kept with its
//! rounding error.
//!
//! tanh x = m/(m + 2) with m = e^2|x| − 1 as an unevaluated sum; the quotient is corrected by its
//! exact residual. On AVX-512, double precision takes e^−2|x| from the table of exp, and single
//! precision has a polynomial for each of 29 pieces, four an octave, and neither exp nor division.

use super::exponential::{Reduced, TABLED_M_64, Tabled, expm1_tail, reduce, reduce_by_table};
use super::tables::{EXP2, EXP2_LOW, TANH_CENTRE, TANH_COEFFICIENTS, TANH_VALUE};
use crate::vmath::lanes::{Both, Value};
use crate::vmath::program::Elem;

/// (sinh r − r)/r³ and (cosh r − 1)/r² in z = r².
const SINH_64: [f64; 5] = [
    0.166_666_666_666_666_77,
    0.008_333_333_333_321_459,
    0.000_198_412_698_864_953_91,
    2.755_724_388_491_978_4e-6,
    2.510_913_738_754_184_7e-8,
];
const COSH_64: [f64; 5] = [
    0.500_000_000_000_001_3,
    0.041_666_666_666_511_656,
    0.001_388_888_894_783_235_8,
    2.480_148_921_492_514e-5,
    2.763_150_922_913_597_6e-7,
];
const SINH_32: [f64; 3] = [
    0.166_666_671_633_720_4,
    0.008_333_191_275_596_619,
    0.000_199_593_268_916_942_18,
];
const COSH_32: [f64; 3] = [0.5, 0.041_666_455_566_883_09, 0.001_393_575_919_792_056];

/// |x| as n·ln 2 + r.
struct Parts<'l> {
    /// (2ⁿ + 2⁻ⁿ)/4 and (2ⁿ − 2⁻ⁿ)/4: halved once more, since the result may be just too large.
    a: Value<'l>,
    b: Value<'l>,
    /// What rounding a and b lost.
    a_low: Value<'l>,
    b_low: Value<'l>,
    r: Value<'l>,
    /// cosh r − 1.
    cosh_rest: Value<'l>,
    /// sinh r − r, with what rounding r lost.
    sinh_rest: Value<'l>,
}

fn parts<'l>(x: Value<'l>) -> Parts<'l> {
    let magnitude = x.constant(Both(710.6, 89.6)).min(x.abs());
    let Reduced { n, r, low } = reduce(magnitude);
    let power = n.power(0.25);
    // 2⁻ⁿ/4; its exponent may run out of the field, into the sign.
    let inverse = x
        .constant(0.5)
        .int_sub(n.power(0.5))
        .int_add(x.constant(0.25))
        .max(0.0);
    let z = r * r;
    let (a, a_low) = power.fast_two_sum(inverse);
    let (b, b_low) = power.fast_two_sum(-inverse);
    Parts {
        a,
        b,
        a_low,
        b_low,
        r,
        cosh_rest: z * z.polynomial(&COSH_64, &COSH_32),
        sinh_rest: (r * z).mul_add(z.polynomial(&SINH_64, &SINH_32), low),
    }
}

/// 2·(a + low + b·r + a·cosh_rest + b·sinh_rest).
fn combine<'l>(a: Value<'l>, low: Value<'l>, b: Value<'l>, parts: &Parts<'l>) -> Value<'l> {
    let sum = b.mul_add(parts.r, a);
    let lost = b.mul_add(parts.r, a - sum) + low;
    let rest = a.mul_add(parts.cosh_rest, b.mul_add(parts.sinh_rest, lost));
    let half = sum + rest;
    half + half
}

/// cosh x.
pub(crate) fn cosh(x: Value) -> Value {
    let parts = parts(x);
    combine(parts.a, parts.a_low, parts.b, &parts)
}

/// sinh x.
pub(crate) fn sinh(x: Value) -> Value {
    let parts = parts(x);
    let result = combine(parts.b, parts.b_low, parts.a, &parts);
    // Halving a subnormal number loses a bit.
    let result = x.abs().less(Both(1e-300, 1e-30)).select(x, result);
    result.or_sign_of(x)
}

/// tanh x.
pub(crate) fn tanh(x: Value) -> Value {
    if x.lanes().is_avx512() {
        return match x.elem() {
            Elem::F64 => tanh_by_quotient(x),
            Elem::F32 => tanh_by_pieces(x),
        };
    }
    // Beyond, the result rounds to 1.
    let magnitude = x.constant(Both(22.0, 10.0)).min(x.abs());
    let Reduced { n, r, low } = reduce(magnitude + magnitude);
    // m = 2ⁿ(1 + r + rest) − 1, n ≥ 0.
    let power = n.power(1.0);
    let (sum, lost) = (power - 1.0).fast_two_sum(power * r);
    let (m, m_low) = sum.fast_two_sum(power.mul_add(expm1_tail(r, low), lost));
    let (denominator, lost) = m.constant(2.0).max(m).fast_two_sum(m.min(2.0));
    let denominator_low = lost + m_low;
    let reciprocal = 1.0 / denominator;
    let quotient = m * reciprocal;
    let residual = quotient.residual(denominator, m) + quotient.neg_mul_add(denominator_low, m_low);
    residual.mul_add(reciprocal, quotient).or_sign_of(x)
}

/// tanh |x| = (1 − e)/(1 + e) with e = e^−2|x| as a sum of three; double precision, AVX-512 only.
fn tanh_by_quotient(x: Value) -> Value {
    // Beyond, the result rounds to 1.
    let magnitude = x.constant(22.0).min(x.abs());
    let Tabled { index, n, r } = reduce_by_table(magnitude * -2.0);
    let power = index.lookup(&EXP2).scale_instruction(n);
    let power_low = index.lookup(&EXP2_LOW).scale_instruction(n);
    // e − 1 = (power − 1) + power·(r + r²·tail) + power_low.
    let (rest, lost) = r.fast_two_sum((r * r) * r.estrin(&TABLED_M_64));
    let start = power - 1.0;
    let start_low = power - (start + 1.0);
    let low = power.mul_add(lost, power_low + start_low);
    let negated = power.mul_add(rest, start);
    let negated_low = power.mul_add(rest, start - negated) + low;
    let denominator = negated + 2.0;
    let denominator_low = (negated - (denominator - 2.0)) + negated_low;
    let reciprocal = 1.0 / denominator;
    let quotient = negated * reciprocal;
    let residual = quotient.residual(denominator, negated)
        + quotient.neg_mul_add(denominator_low, negated_low);
    // The quotient is negative or zero.
    residual.mul_add(reciprocal, quotient).abs().or_sign_of(x)
}

/// tanh |x| = tanh c + d·P(d) for the piece around c in which |x| = c + d lies; single precision,
/// AVX-512 only.
fn tanh_by_pieces(x: Value) -> Value {
    // The first piece reaches down to zero; in the last the result rounds to 1.
    let magnitude = x.constant(9.99).min(x.abs());
    let index = magnitude.max(0.0625).shift_right(21);
    let d = magnitude - index.lookup(&TANH_CENTRE);
    let [p0, p1, p2, p3, p4] = TANH_COEFFICIENTS
        .each_ref()
        .map(|table| index.lookup(table));
    let slope = p4
        .mul_add(d, p3)
        .mul_add(d, p2)
        .mul_add(d, p1)
        .mul_add(d, p0);
    slope.mul_add(d, index.lookup(&TANH_VALUE)).or_sign_of(x)
}
