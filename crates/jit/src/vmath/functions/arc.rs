//! asin, acos, atan, atan2.
//!
//! One odd polynomial each, `t + t³·P(t²)`, on a reduced argument. For the arc tangent t is
//! min(|x|, 1/|x|), in [0, 1], and the rest of π/2 is taken beyond 1. For the arc sine and cosine
//! t is |x| up to ½, and beyond it √((1 − |x|)/2), by `asin x = π/2 − 2 asin √((1 − x)/2)`
//! (Abramowitz & Stegun 4.4.32; Cody & Waite 1980, ch. 9 and 10). π/2 and π are sums of two
//! numbers; where a large part of them is left, the leading difference is formed exactly.
//!
//! P is the minimax polynomial in t² for the relative error of the whole function: degree 19 and
//! 2^-57.6 for the arc tangent, degree 12 and 2^-59.9 for the arc sine. Errors stay below 1.6 ULP.

use crate::vmath::lanes::Value;
use crate::vmath::program::Elem;

const PI_2: f64 = std::f64::consts::FRAC_PI_2;
/// π/2 less its nearest number.
const PI_2_LOW: f64 = 6.123_233_995_736_766e-17;
const PI: f64 = std::f64::consts::PI;
/// π less its nearest number.
const PI_LOW: f64 = 1.224_646_799_147_353_2e-16;

#[expect(clippy::excessive_precision, reason = "printed by the fit, to the bit")]
const ATAN: [f64; 20] = [
    -0.3333333333333307,
    0.1999999999995146,
    -0.14285714282575018,
    0.11111111007024423,
    -0.09090907002975829,
    0.07692279839258669,
    -0.06666404058305994,
    0.058805278240650426,
    -0.052535186146761406,
    0.04722322485069411,
    -0.04219179792950624,
    0.03664193037026232,
    -0.02990389270090579,
    0.021984899087264965,
    -0.013900606351779006,
    0.00719653801071152,
    -0.002884937362539948,
    0.000831328843594138,
    -0.00015216244418885544,
    1.3225239505673865e-05,
];

#[expect(clippy::excessive_precision, reason = "printed by the fit, to the bit")]
const ASIN: [f64; 13] = [
    0.1666666666666676,
    0.07499999999970801,
    0.04464285717461028,
    0.03038194270786724,
    0.022372214985144852,
    0.01735161206061083,
    0.013980819966519937,
    0.011398917063832312,
    0.010780225499339687,
    0.003706511701230045,
    0.021707197580028162,
    -0.020998711106204597,
    0.032628405034749085,
];

/// `t³·P(t²)`.
fn odd_rest<'l>(t: Value<'l>, coefficients: &[f64]) -> Value<'l> {
    let z = t * t;
    z.estrin(coefficients) * z * t
}

pub(crate) fn atan(x: Value) -> Value {
    match x.elem() {
        Elem::F64 => atan_double(x),
        Elem::F32 => x.widened(atan_double),
    }
}

fn atan_double(x: Value) -> Value {
    let size = x.abs();
    let beyond = size.greater(1.0);
    let t = beyond.select(x.constant(1.0) / size, size);
    let rest = odd_rest(t, &ATAN);
    let above = x.constant(PI_2) - (t + (rest - PI_2_LOW));
    beyond.select(above, t + rest).bit_or(x.sign())
}

pub(crate) fn atan2<'l>(y: Value<'l>, x: Value<'l>) -> Value<'l> {
    match x.elem() {
        Elem::F64 => atan2_double(y, x),
        Elem::F32 => y.widened_with(x, atan2_double),
    }
}

fn atan2_double<'l>(y: Value<'l>, x: Value<'l>) -> Value<'l> {
    let (height, width) = (y.abs(), x.abs());
    let steep = height.greater(width);
    let (small, large) = (height.min(width), height.max(width));
    // 0/0 counts as 0, ∞/∞ as 1: C's annex F.
    let quotient = small.equal(large).select(x.constant(1.0), small / large);
    let t = large.equal(0.0).select(x.constant(0.0), quotient);
    let rest = odd_rest(t, &ATAN);
    let above = x.constant(PI_2) - (t + (rest - PI_2_LOW));
    let first = steep.select(above, t + rest);
    let second = x.constant(PI) - (first - PI_LOW);
    // The sign bit of x counts, also that of −0: compared as 1 with its sign.
    let left = x.sign().bit_or(1.0).less(0.0);
    let angle = left.select(second, first).bit_or(y.sign());
    (y.is_nan() | x.is_nan()).select(y + x, angle)
}

pub(crate) fn asin(x: Value) -> Value {
    match x.elem() {
        Elem::F64 => asin_double(x),
        Elem::F32 => x.widened(asin_double),
    }
}

/// |x| beyond ½ or not, t, and `t³·P(t²)`.
fn reduced<'l>(x: Value<'l>) -> (crate::vmath::lanes::Mask<'l>, Value<'l>, Value<'l>) {
    let size = x.abs();
    let beyond = size.greater(0.5);
    // 1 − |x| is exact beyond ½; negative, and its root NaN, beyond 1.
    let t = beyond.select(((x.constant(1.0) - size) * 0.5).sqrt(), size);
    (beyond, t, odd_rest(t, &ASIN))
}

fn asin_double(x: Value) -> Value {
    let (beyond, t, rest) = reduced(x);
    let (high, low) = x.constant(PI_2).fast_two_sum(-(t + t));
    let above = high + (low - ((rest + rest) - PI_2_LOW));
    beyond.select(above, t + rest).bit_or(x.sign())
}

pub(crate) fn acos(x: Value) -> Value {
    match x.elem() {
        Elem::F64 => acos_double(x),
        Elem::F32 => x.widened(acos_double),
    }
}

fn acos_double(x: Value) -> Value {
    let (beyond, t, rest) = reduced(x);
    let negative = x.less(0.0);
    let (twice, twice_rest) = (t + t, rest + rest);
    let (high, low) = x.constant(PI).fast_two_sum(-twice);
    let near_pi = high + (low - (twice_rest - PI_LOW));
    let ends = negative.select(near_pi, twice + twice_rest);
    let signed = x.sign();
    let (high, low) = x.constant(PI_2).fast_two_sum(-x);
    let middle = high + (low - (rest.bit_xor(signed) - PI_2_LOW));
    beyond.select(ends, middle)
}
