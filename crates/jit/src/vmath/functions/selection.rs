//! What chooses rather than computes: comparisons, `if`, sign, minimum and maximum, rounding to
//! integers, and the quotients and roots that are defined everywhere. All are exact, operation for
//! operation those of the reference.

use crate::vmath::lanes::{Mask, Value};
use crate::vmath::program::Elem;

/// 1 in the lanes of the mask, 0 in the others.
pub(crate) fn truth<'l>(mask: Mask<'l>, like: Value<'l>) -> Value<'l> {
    mask.select(like.constant(1.0), 0.0)
}

/// `a` where `c` is not 0 (NaN is not), else `b`.
pub(crate) fn choose<'l>(c: Value<'l>, a: Value<'l>, b: Value<'l>) -> Value<'l> {
    c.differs(0.0).select(a, b)
}

/// −1, 0, 1, or NaN for NaN.
pub(crate) fn sign(x: Value) -> Value {
    let unit = x.sign().bit_or(1.0);
    (x.less(0.0) | x.greater(0.0)).select(unit, x + 0.0)
}

/// `a` if it is smaller or NaN, else `b`.
pub(crate) fn minimum<'l>(a: Value<'l>, b: Value<'l>) -> Value<'l> {
    a.is_nan().select(a, a.min(b))
}

/// `a` if it is larger or NaN, else `b`.
pub(crate) fn maximum<'l>(a: Value<'l>, b: Value<'l>) -> Value<'l> {
    a.is_nan().select(a, a.max(b))
}

/// The nearest integer, halves to even, with the argument's sign. Adding and subtracting the
/// number from which on all are integers rounds a smaller one.
pub(crate) fn nearest(x: Value) -> Value {
    let integers = match x.elem() {
        Elem::F64 => 4_503_599_627_370_496.0,
        Elem::F32 => 8_388_608.0,
    };
    let size = x.abs();
    let rounded = ((size + integers) - integers).or_sign_of(x);
    size.less(integers).select(rounded, x)
}

/// The largest integer that is not above.
pub(crate) fn floor(x: Value) -> Value {
    let near = nearest(x);
    near.greater(x).select(near - 1.0, near)
}

/// The smallest integer that is not below.
pub(crate) fn ceil(x: Value) -> Value {
    let near = nearest(x);
    near.less(x).select((near + 1.0).or_sign_of(x), near)
}

/// `a / √(1 + b²)`.
pub(crate) fn analytic_quotient<'l>(a: Value<'l>, b: Value<'l>) -> Value<'l> {
    a / (b * b + 1.0).sqrt()
}

/// `a / b`, 1 where `b` is 0.
pub(crate) fn protected_quotient<'l>(a: Value<'l>, b: Value<'l>) -> Value<'l> {
    b.equal(0.0).select(a.constant(1.0), a / b)
}

/// `√|x|`.
pub(crate) fn protected_root(x: Value) -> Value {
    x.abs().sqrt()
}
