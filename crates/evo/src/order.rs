//! The order of errors: smaller is better, and NaN is worse than anything.
//!
//! `f64::partial_cmp` has no answer for NaN and `f64::total_cmp` puts a negative NaN first, so a
//! candidate that computed `0/0` could win a tournament. All selection goes through [`compare`].

use std::cmp::Ordering;

/// Compares two errors; `Less` means that `a` is the better one. NaNs are equal to each other and
/// worse than every number, `+∞` included; `-0.0` equals `0.0`. This is a total order.
///
/// ```
/// use opcodon_evo::order::compare;
/// let mut errors = [f64::NAN, 2.0, f64::INFINITY, 1.0];
/// errors.sort_by(|a, b| compare(*a, *b));
/// assert_eq!(errors[..3], [1.0, 2.0, f64::INFINITY]);
/// assert!(errors[3].is_nan());
/// ```
#[must_use]
pub fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Index of the smallest error, the first one of equals; `None` if `errors` is empty.
#[must_use]
pub fn best(errors: &[f64]) -> Option<usize> {
    (0..errors.len()).min_by(|&a, &b| compare(errors[a], errors[b]))
}

/// An error usable in a sum or a median: NaN becomes `+∞`, everything else stays.
pub(crate) fn nan_to_infinity(error: f64) -> f64 {
    if error.is_nan() { f64::INFINITY } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_last_and_the_order_is_total() {
        let values = [
            f64::NEG_INFINITY,
            -1.0,
            -0.0,
            0.0,
            1e-300,
            1.0,
            f64::INFINITY,
            f64::NAN,
            -f64::NAN,
        ];
        for (i, &a) in values.iter().enumerate() {
            for (j, &b) in values.iter().enumerate() {
                let equal = a == b || (a.is_nan() && b.is_nan());
                let expected = if equal { Ordering::Equal } else { i.cmp(&j) };
                assert_eq!(compare(a, b), expected, "{a} against {b}");
            }
        }
    }

    #[test]
    fn best_is_the_first_of_the_smallest() {
        assert_eq!(best(&[]), None);
        assert_eq!(best(&[f64::NAN]), Some(0));
        assert_eq!(best(&[f64::NAN, 3.0, 1.0, 1.0]), Some(2));
    }
}
