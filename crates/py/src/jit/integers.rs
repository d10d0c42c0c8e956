//! Functions of integers that fit 64 bits, as generated code calls them.
//!
//! Each has three operands, used or not. Where Python would raise, or the result would not fit, it
//! gives nothing and Python is asked.

use std::collections::HashMap;

type OfInts = unsafe extern "C" fn(i64, i64, i64, *mut i64) -> u64;

/// All of them, by name.
pub(super) fn functions() -> HashMap<&'static str, usize> {
    let all: [(&'static str, OfInts); 4] = [
        ("gcd", of_ints::<Gcd>),
        ("isqrt", of_ints::<Isqrt>),
        ("factorial", of_ints::<Factorial>),
        ("pow", of_ints::<PowMod>),
    ];
    all.map(|(name, function)| (name, function as usize)).into()
}

/// What one of them computes.
trait Compute {
    fn compute(a: i64, b: i64, c: i64) -> Option<i64>;
}

unsafe extern "C" fn of_ints<F: Compute>(a: i64, b: i64, c: i64, out: *mut i64) -> u64 {
    match F::compute(a, b, c) {
        Some(result) => {
            unsafe { *out = result };
            1
        }
        None => 0,
    }
}

struct Gcd;
impl Compute for Gcd {
    fn compute(a: i64, b: i64, _: i64) -> Option<i64> {
        let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
        if a == 0 || b == 0 {
            return i64::try_from(a | b).ok();
        }
        let shared = (a | b).trailing_zeros();
        a >>= a.trailing_zeros();
        while b != 0 {
            b >>= b.trailing_zeros();
            (a, b) = (a.min(b), a.abs_diff(b));
        }
        i64::try_from(a << shared).ok()
    }
}

struct Isqrt;
impl Compute for Isqrt {
    fn compute(a: i64, _: i64, _: i64) -> Option<i64> {
        a.checked_isqrt()
    }
}

struct Factorial;
impl Compute for Factorial {
    fn compute(a: i64, _: i64, _: i64) -> Option<i64> {
        (0..=20).contains(&a).then(|| (1..=a).product())
    }
}

/// `pow(base, exponent, modulus)`.
struct PowMod;
impl Compute for PowMod {
    fn compute(base: i64, exponent: i64, modulus: i64) -> Option<i64> {
        if exponent < 0 || modulus == 0 {
            return None;
        }
        let n = i128::from(modulus.unsigned_abs());
        let narrow = |x: i128| i64::try_from(x).ok().filter(|&x| x < 1 << 31);
        // Most are small, and a division of 128 bits takes long.
        let times = |a: i128, b: i128| match (narrow(a), narrow(b), narrow(n)) {
            (Some(a), Some(b), Some(n)) => i128::from(a * b % n),
            _ => a * b % n,
        };
        let (mut power, mut result) = (i128::from(base).rem_euclid(n), 1 % n);
        let mut rest = exponent;
        while rest > 0 {
            if rest & 1 == 1 {
                result = times(result, power);
            }
            power = times(power, power);
            rest >>= 1;
        }
        // The result has the sign of the modulus.
        if modulus < 0 && result != 0 {
            result -= n;
        }
        i64::try_from(result).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_integers() {
        assert_eq!(Gcd::compute(12, -18, 0), Some(6));
        assert_eq!(Gcd::compute(0, -5, 0), Some(5));
        assert_eq!(Gcd::compute(i64::MIN, 0, 0), None);
        assert_eq!(Gcd::compute(i64::MIN, 6, 0), Some(2));
        assert_eq!(Gcd::compute(0, 0, 0), Some(0));
        assert_eq!(Isqrt::compute(-1, 0, 0), None);
        assert_eq!(Isqrt::compute(i64::MAX, 0, 0), Some(3_037_000_499));
        assert_eq!(
            Factorial::compute(20, 0, 0),
            Some(2_432_902_008_176_640_000)
        );
        assert_eq!(Factorial::compute(21, 0, 0), None);
        assert_eq!(
            PowMod::compute(3, 200, 1_000_007),
            Some(pow(3, 200, 1_000_007))
        );
        assert_eq!(PowMod::compute(-2, 3, 5), Some(2));
        assert_eq!(PowMod::compute(2, 3, -5), Some(-2));
        assert_eq!(PowMod::compute(5, 0, 1), Some(0));
        assert_eq!(PowMod::compute(5, 0, -1), Some(0));
        assert_eq!(PowMod::compute(i64::MIN, 3, i64::MAX), Some(i64::MAX - 1));
        assert_eq!(PowMod::compute(2, -1, 5), None);
    }

    fn pow(base: i64, exponent: i64, n: i64) -> i64 {
        (0..exponent).fold(1, |power, _| power * base % n)
    }
}
