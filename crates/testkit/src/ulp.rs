//! ULP distance: how many representable numbers lie between two results.
//!
//! Read as sign and magnitude, the bits of IEEE 754 numbers are ordered like the numbers. Mapping
//! them to two's complement makes the distance a subtraction, across zero, through the
//! subnormals and up to infinity, which counts as the number after the largest finite one.

/// How `+0.0` and `-0.0` compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zeros {
    /// The two zeros are one number: distance 0.
    Equal,
    /// The two zeros are neighbours: distance 1, and numbers of opposite sign are one further
    /// apart.
    Distinct,
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// Floating-point types whose distance can be measured: `f32` and `f64`.
pub trait Ulp: Copy + sealed::Sealed {
    /// Position on the number line, or `None` for NaN. With [`Zeros::Equal`] both zeros are 0.
    fn position(self, zeros: Zeros) -> Option<i128>;
}

/// Position of sign-and-magnitude bits on the number line.
fn position(magnitude: u64, negative: bool, zeros: Zeros) -> i128 {
    let magnitude = i128::from(magnitude);
    match (negative, zeros) {
        (false, _) => magnitude,
        (true, Zeros::Equal) => -magnitude,
        (true, Zeros::Distinct) => -magnitude - 1,
    }
}

impl Ulp for f64 {
    fn position(self, zeros: Zeros) -> Option<i128> {
        (!self.is_nan()).then(|| position(self.abs().to_bits(), self.is_sign_negative(), zeros))
    }
}

impl Ulp for f32 {
    fn position(self, zeros: Zeros) -> Option<i128> {
        (!self.is_nan()).then(|| {
            position(
                u64::from(self.abs().to_bits()),
                self.is_sign_negative(),
                zeros,
            )
        })
    }
}

/// Distance in representable numbers; the two zeros are one number.
///
/// Any NaN equals any NaN (distance 0) and is `u64::MAX` away from every number. Infinity is one
/// step beyond the largest finite number.
///
/// ```
/// use opcodon_testkit::ulp_distance;
/// assert_eq!(ulp_distance(1.0, 1.0 + f64::EPSILON), 1);
/// assert_eq!(ulp_distance(f64::NAN, f64::NAN), 0);
/// assert_eq!(ulp_distance(0.0, -0.0), 0);
/// ```
#[must_use]
pub fn ulp_distance<T: Ulp>(a: T, b: T) -> u64 {
    ulp_distance_with(a, b, Zeros::Equal)
}

/// Distance in representable numbers, with the choice of how the two zeros compare.
#[must_use]
pub fn ulp_distance_with<T: Ulp>(a: T, b: T, zeros: Zeros) -> u64 {
    match (a.position(zeros), b.position(zeros)) {
        (Some(a), Some(b)) => u64::try_from((a - b).abs()).unwrap_or(u64::MAX),
        (None, None) => 0,
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let table: &[(f64, f64, u64)] = &[
            (1.0, 1.0, 0),
            (1.0, 1.0_f64.next_up(), 1),
            (1.0, 1.0_f64.next_down(), 1),
            (0.0, -0.0, 0),
            (0.0, 5e-324, 1),
            (-5e-324, 5e-324, 2),
            (f64::MAX, f64::INFINITY, 1),
            (
                f64::NEG_INFINITY,
                f64::INFINITY,
                2 * f64::INFINITY.to_bits(),
            ),
            (f64::NAN, -f64::NAN, 0),
            (f64::NAN, 1.0, u64::MAX),
            (f64::INFINITY, f64::NAN, u64::MAX),
            (1.0, 2.0, 1 << 52),
        ];
        for &(a, b, expected) in table {
            assert_eq!(ulp_distance(a, b), expected, "{a:e} {b:e}");
            assert_eq!(ulp_distance(b, a), expected, "{b:e} {a:e}");
            assert_eq!(ulp_distance(-a, -b), expected, "-{a:e} -{b:e}");
        }
    }

    #[test]
    fn distances_f32() {
        let table: &[(f32, f32, u64)] = &[
            (1.0, 1.0_f32.next_up(), 1),
            (0.0, -0.0, 0),
            (-1e-45, 1e-45, 2),
            (f32::MAX, f32::INFINITY, 1),
            (f32::NAN, f32::NAN, 0),
            (f32::NAN, 0.0, u64::MAX),
            (1.0, 2.0, 1 << 23),
        ];
        for &(a, b, expected) in table {
            assert_eq!(ulp_distance(a, b), expected, "{a:e} {b:e}");
        }
    }

    #[test]
    fn zeros_can_be_told_apart() {
        assert_eq!(ulp_distance_with(0.0, -0.0, Zeros::Distinct), 1);
        assert_eq!(ulp_distance_with(0.0_f32, -0.0, Zeros::Distinct), 1);
        assert_eq!(ulp_distance_with(-0.0, -0.0, Zeros::Distinct), 0);
        assert_eq!(ulp_distance_with(-5e-324, 5e-324, Zeros::Distinct), 3);
    }

    /// Walking up one number at a time moves the distance by one each step.
    #[test]
    fn every_step_counts_one() {
        for start in crate::nasty_f64().filter(|x| x.is_finite()) {
            let mut x = start;
            for steps in 1..=4 {
                x = x.next_up();
                // The walk over zero passes both zeros as one number.
                assert_eq!(ulp_distance(start, x), steps, "{start:e} to {x:e}");
                if x == f64::INFINITY {
                    break;
                }
            }
        }
    }
}
