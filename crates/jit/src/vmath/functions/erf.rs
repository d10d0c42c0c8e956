//! The error function.
//!
//! Below 1 in size, `x·2/√π + x³·P(x²)` with P of degree 11. Beyond, `1 − exp(−t²)·Q(u)` with
//! t = min(|x|, 6), past which the result is 1, and Q of degree 13 the scaled complementary error
//! function in u = (t − 3)/(t + 3) (after Cody, “Rational Chebyshev approximations for the error
//! function”, Math. Comp. 23, 1969, with polynomials in place of quotients). What exp loses by the
//! rounding of t² is a share of erfc, which is at most a sixth of the result there. P and Q are
//! minimax for the relative error of the result: 2^-62.7 and 2^-65.5.

use super::exponential;
use crate::vmath::lanes::Value;
use crate::vmath::program::Elem;

/// 2/√π, and the rest of it.
const SLOPE: f64 = std::f64::consts::FRAC_2_SQRT_PI;
const SLOPE_LOW: f64 = 1.533_545_961_316_588e-17;

#[expect(clippy::excessive_precision, reason = "printed by the fit, to the bit")]
const P: [f64; 12] = [
    -0.3761263890318375,
    0.11283791670954908,
    -0.026866170645080154,
    0.005223977624838887,
    -0.0008548326981603359,
    0.00012055331128993661,
    -1.4925595498590423e-05,
    1.6461001987399109e-06,
    -1.6350310666971456e-07,
    1.4659667196775617e-08,
    -1.1372141773353533e-09,
    5.955587370088408e-11,
];

#[expect(clippy::excessive_precision, reason = "printed by the fit, to the bit")]
const Q: [f64; 14] = [
    0.17900115118138982,
    -0.3262335600430401,
    0.24560380171249244,
    -0.15011593649527136,
    0.07166583725546347,
    -0.02439249928952042,
    0.00426913140309528,
    0.0007076912998133323,
    -0.0005973881662018894,
    4.401737059378939e-05,
    6.088134915420254e-05,
    -1.8392549909493476e-05,
    -1.4317068463175301e-05,
    -2.21886048020776e-06,
];

pub(crate) fn erf(x: Value) -> Value {
    match x.elem() {
        Elem::F64 => erf_double(x),
        Elem::F32 => x.widened(erf_double),
    }
}

fn erf_double(x: Value) -> Value {
    let z = x * x;
    let inner = x.mul_add(SLOPE, x * (z.mul_add(z.estrin(&P), SLOPE_LOW)));
    let size = x.abs();
    // NaN stays: the second operand is returned where either is NaN.
    let t = x.constant(6.0).min(size);
    let u = (t - 3.0) / (t + 3.0);
    let outer = x.constant(1.0) - exponential::exp(-(t * t)) * u.estrin(&Q);
    size.less(1.0).select(inner, outer.bit_or(x.sign()))
}
