//! The remainder with the sign of the divisor, exactly as `fmod` with one correction.
//!
//! A remainder is exact: `r − q·b` for the integer q nearest to r/b is a number again, since it is
//! a multiple of the smaller unit of r and b and at most about |b|/2 in size. If r/b has more than
//! 53 bits, the rounded quotient still takes 52 of them away without error, so the step repeats
//! until the rest is less than b: once for all ordinary arguments, at most some forty times. Where
//! even r/b overflows, a multiple of b by a power of two is taken first.
//!
//! Then as numpy does: `fmod` has the sign of the dividend; where that is not the divisor's, b is
//! added, which may round (numpy `npy_divmod`).

use super::selection::nearest;
use crate::vmath::lanes::Value;
use crate::vmath::program::Elem;

/// 2⁵¹².
const HUGE: f64 = 1.340_780_792_994_259_7e154;

pub(crate) fn modulo<'l>(a: Value<'l>, b: Value<'l>) -> Value<'l> {
    match a.elem() {
        Elem::F64 => modulo_double(a, b),
        Elem::F32 => a.widened_with(b, modulo_double),
    }
}

/// `c − q·d` where that is exact; for a long `q` without fused operations, its upper half only.
fn rest<'l>(q: Value<'l>, d: Value<'l>, c: Value<'l>) -> Value<'l> {
    if c.lanes().is_fused() {
        return q.neg_mul_add(d, c);
    }
    // 26 bits of q times 26 and 27 bits of d: both products are exact.
    let q = q.high_half();
    let (high, low) = d.split();
    (c - q * high) - q * low
}

fn modulo_double<'l>(a: Value<'l>, b: Value<'l>) -> Value<'l> {
    let divisor = b.abs();
    let infinity = a.constant(f64::INFINITY);
    let [remainder] = a.lanes().repeat([a], |[r]| {
        let too_large = divisor.less(f64::MIN_POSITIVE) | (r / divisor).abs().equal(infinity);
        let d = (too_large & r.abs().greater_equal(divisor * HUGE)).select(divisor * HUGE, divisor);
        let next = rest(nearest(r / d), d, r);
        // Infinite dividends and zero divisors have no remainder, and must not repeat.
        let again = divisor.less_equal(r.abs()) & r.abs().less(infinity) & divisor.greater(0.0);
        (again, [next])
    });
    // Nearest quotients leave remainders of either sign; fmod has the dividend's.
    let turned = (remainder.bit_xor(a)).sign().bit_or(1.0).less(0.0) & remainder.differs(0.0);
    let shifted = remainder + divisor.bit_or(a.sign());
    let fmod = turned.select(shifted, remainder);
    // And the result has the divisor's.
    let against = (fmod.bit_xor(b)).sign().bit_or(1.0).less(0.0);
    let zero = fmod.equal(0.0).select(b.sign(), fmod);
    let result = (against & fmod.differs(0.0)).select(fmod + b, zero);
    // NaN for NaN arguments, an infinite dividend and a divisor of zero.
    let none = a.abs().equal(infinity) | b.equal(0.0) | b.is_nan();
    none.select(a.constant(f64::NAN), result)
}
