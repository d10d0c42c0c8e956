//! Numbers that people write into formulas: integers, simple fractions, multiples of π and roots.
//!
//! A fitted 0.49998 ± 0.0003 is a half, and saying so makes a formula shorter to describe, because
//! a half takes fewer bits to name than four digits do. The cost of a number here is the log of
//! how many numbers are as simple as it: in nats, comparable with the other parts of a
//! description length.

use std::f64::consts::{PI, SQRT_2};

/// A number and what it costs to name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Nice {
    pub(crate) value: f64,
    pub(crate) cost: f64,
}

/// What fractions are multiplied with, and the cost of saying which.
const FACTORS: [(f64, f64); 8] = [
    (1.0, 0.0),
    (PI, 2.0),
    (1.0 / PI, 2.0),
    (SQRT_2, 3.0),
    (1.732_050_807_568_877_2, 3.0),
    // 1/√(2π) and √π: normal distributions.
    (0.398_942_280_401_432_7, 3.5),
    (1.772_453_850_905_516, 3.5),
    (PI * PI, 3.5),
];

/// Denominators of simple fractions; 10, 20 and 100 are how decimals are written.
const DENOMINATORS: [u32; 12] = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 100];

/// Numerators beyond this are not simple.
const NUMERATOR_MAX: f64 = 2000.0;

/// Nats to name `numerator / denominator`, sign included.
fn cost(numerator: f64, denominator: f64) -> f64 {
    // One for the kind, then the two numbers, each as likely as the inverse of its size.
    1.0 + (numerator.abs() + 1.0).ln() + denominator.ln()
}

/// The cost of a number, if it is one of these to the last bit or two.
pub(crate) fn cost_of(value: f64) -> Option<f64> {
    near(value, 4.0 * f64::EPSILON * value.abs()).map(|nice| nice.cost)
}

/// The cheapest such number within `tolerance` of `value`.
pub(crate) fn near(value: f64, tolerance: f64) -> Option<Nice> {
    if !value.is_finite() || !tolerance.is_finite() {
        return None;
    }
    if value.abs() <= tolerance {
        return Some(Nice {
            value: 0.0,
            cost: 0.5,
        });
    }
    let mut best: Option<Nice> = None;
    for (factor, extra) in FACTORS {
        for denominator in DENOMINATORS {
            let denominator = f64::from(denominator);
            let numerator = (value / factor * denominator).round();
            if numerator == 0.0 || numerator.abs() > NUMERATOR_MAX {
                continue;
            }
            let candidate = numerator / denominator * factor;
            let cost = cost(numerator, denominator) + extra;
            if (candidate - value).abs() <= tolerance && best.is_none_or(|b| cost < b.cost) {
                best = Some(Nice {
                    value: candidate,
                    cost,
                });
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::approx_constant, reason = "to be recognised is what is tested")]
    fn the_simplest_number_in_reach() {
        for (value, tolerance, expected) in [
            (0.49998, 1e-3, 0.5),
            (2.0000001, 1e-6, 2.0),
            (-0.99, 0.02, -1.0),
            (0.333_333_4, 1e-6, 1.0 / 3.0),
            (0.079_577_47, 1e-8, 0.25 / PI),
            (6.283_2, 1e-4, 2.0 * PI),
            (0.7, 1e-9, 0.7),
            (1.4143, 1e-3, SQRT_2),
            (0.3989423, 1e-7, 0.398_942_280_401_432_7),
            (1e-9, 1e-6, 0.0),
            (1990.0, 0.01, 1990.0),
        ] {
            let nice = near(value, tolerance).expect("a number");
            assert!(
                (nice.value - expected).abs() < 1e-15 * expected.abs().max(1.0),
                "{value}: {nice:?}"
            );
        }
        assert_eq!(near(0.123_456_789, 1e-9), None);
        assert_eq!(near(f64::NAN, 1.0), None);
        assert!(cost_of(2.0) < cost_of(0.7) && cost_of(0.25) < cost_of(0.25 / PI));
        assert_eq!(cost_of(0.123_456_789), None);
    }
}
