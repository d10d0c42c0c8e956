//! How sure a fit is: of its constants, and of what it predicts.
//!
//! The standard error of a constant is that of nonlinear least squares, `√(s² (JᵀJ)⁻¹ᵢᵢ)` with `s²`
//! the residual variance on the degrees of freedom that are left (Seber & Wild, *Nonlinear
//! Regression*, 1989, section 2.1). It takes the shape of the formula for granted.
//!
//! How far predictions may be off is read from rows that were left out: of `n` absolute errors the
//! `⌈(n + 1) · level⌉`-th smallest covers a new row with about that probability, whatever the
//! errors' distribution (cross-conformal prediction: Vovk 2015; Barber, Candès, Ramdas & Tibshirani
//! 2021).

use serde::{Deserialize, Serialize};

use crate::evaluate::Adjusted;

/// Shares of new rows for which margins are told.
pub(crate) const LEVELS: [f64; 6] = [0.5, 0.68, 0.8, 0.9, 0.95, 0.99];

/// How far predictions may be off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Margin {
    /// The share of new rows that is expected to be no further off.
    pub level: f64,
    /// The distance, in units of the target.
    pub distance: f64,
}

/// The standard error of each constant of a formula; `None` for one that was not fitted, or that
/// the rows do not determine.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(crate) fn standard_errors(
    adjusted: &Adjusted,
    free: &[bool],
    n_rows: usize,
) -> Vec<Option<f64>> {
    let fitted = free.iter().filter(|f| **f).count();
    let n = n_rows as f64;
    let left = n - fitted as f64;
    let variance = adjusted.dispersion * n / left;
    let told = adjusted.variances.iter().zip(free).map(|(unit, free)| {
        let deviation = (variance * unit).sqrt();
        (*free && left > 0.0 && deviation.is_finite()).then_some(deviation)
    });
    told.collect()
}

/// The distances within which the errors of rows left out lie; levels for which there are too few
/// rows are left out.
pub(crate) fn margins(mut distances: Vec<f64>) -> Vec<Margin> {
    // What has no value was infinitely far off.
    for distance in &mut distances {
        if distance.is_nan() {
            *distance = f64::INFINITY;
        }
    }
    distances.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    let rank = |level: f64| ((distances.len() + 1) as f64 * level).ceil() as usize;
    let told = LEVELS.into_iter().filter_map(|level| {
        let distance = *distances.get(rank(level).checked_sub(1)?)?;
        distance.is_finite().then_some(Margin { level, distance })
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_cover_the_share_that_they_promise() {
        let distances = |n: usize| (1..=n).rev().map(|i| i as f64).collect::<Vec<_>>();
        let told = |n| -> Vec<(f64, f64)> {
            let margins = margins(distances(n)).into_iter();
            margins.map(|m| (m.level, m.distance)).collect()
        };
        // Of 99 rows the 50th is the median, the 99th leaves one new row in a hundred outside.
        assert_eq!(
            told(99),
            [
                (0.5, 50.0),
                (0.68, 68.0),
                (0.8, 80.0),
                (0.9, 90.0),
                (0.95, 95.0),
                (0.99, 99.0)
            ]
        );
        // Nine rows cannot promise 95 of 100.
        assert_eq!(told(9), [(0.5, 5.0), (0.68, 7.0), (0.8, 8.0), (0.9, 9.0)]);
        assert!(told(0).is_empty());
        assert!(margins(vec![f64::NAN; 30]).is_empty());
    }
}
