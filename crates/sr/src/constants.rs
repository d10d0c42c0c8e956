//! Fitting the constants of a formula: Levenberg-Marquardt on the normal equations.
//!
//! The Jacobian of a formula with few constants and many rows is never stored. Whoever evaluates
//! the formula hands over `JᵀJ`, `Jᵀr` and `rᵀr` in one pass ([`Normal`]), and a trial step costs
//! exactly one such pass, because the pass that judges a step already holds the equations of the
//! next one.
//!
//! Formulas that come out of a search are often over-parametrised, so `JᵀJ` is singular as a rule,
//! not as an exception: damping is relative to its diagonal (Marquardt), constants without any
//! influence stay where they are, and a factorisation that fails raises the damping.
//!
//! # Invariant
//! The sum of squares of the result is never above that of the start.

use nalgebra::{DMatrix, DVector};

/// `JᵀJ`, `Jᵀr`, `rᵀr` for residuals `r = target - prediction` and `J = ∂prediction/∂constants`.
#[derive(Debug, Clone)]
pub(crate) struct Normal {
    pub(crate) jtj: DMatrix<f64>,
    pub(crate) jtr: DVector<f64>,
    pub(crate) rss: f64,
}

impl Normal {
    fn is_finite(&self) -> bool {
        self.rss.is_finite()
            && self.jtr.iter().all(|v| v.is_finite())
            && self.jtj.iter().all(|v| v.is_finite())
    }
}

/// What a fit came to.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub(crate) constants: Vec<f64>,
    /// The equations at these constants; their `rss` is what was reached.
    pub(crate) normal: Normal,
}

impl Normal {
    /// The diagonal of `(JᵀJ)⁻¹`: variances of the constants for residuals of unit variance.
    /// Infinite for a constant that the data do not determine.
    pub(crate) fn variances(&self) -> Vec<f64> {
        let n = self.jtr.len();
        let scale: Vec<f64> = (0..n).map(|i| self.jtj[(i, i)].sqrt()).collect();
        if n == 0 {
            return Vec::new();
        }
        let scaled = DMatrix::from_fn(n, n, |i, j| {
            let s = scale[i] * scale[j];
            if s > 0.0 { self.jtj[(i, j)] / s } else { 0.0 }
        });
        let eigen = scaled.symmetric_eigen();
        let largest = eigen.eigenvalues.max();
        (0..n)
            .map(|i| {
                let sum: f64 = (0..n)
                    .map(|k| {
                        let share = eigen.eigenvectors[(i, k)].powi(2);
                        // Directions without information count only for constants along them.
                        let value = eigen.eigenvalues[k].max(1e-15 * largest);
                        share / value
                    })
                    .sum();
                if scale[i] > 0.0 {
                    sum / (scale[i] * scale[i])
                } else {
                    f64::INFINITY
                }
            })
            .collect()
    }

    /// Nats that say these constants as exactly as residuals of this variance determine them
    /// together: `½ ln det(1 + Θ JᵀJ Θ / variance)` with `Θ` the constants on a diagonal, the
    /// information gained on a prior as wide as the constants are large. Two large constants whose
    /// difference matters cost the digits of that difference, however little each of them alone
    /// is determined.
    pub(crate) fn nats(&self, constants: &[f64], variance: f64) -> f64 {
        let n = constants.len();
        let gained = DMatrix::from_fn(n, n, |i, j| {
            constants[i] * self.jtj[(i, j)] * constants[j] / variance
        });
        if n == 0 {
            return 0.0;
        }
        let eigen = gained.symmetric_eigenvalues();
        0.5 * eigen.iter().map(|e| e.max(0.0).ln_1p()).sum::<f64>()
    }

    /// The equations in these constants alone, the others held.
    pub(crate) fn only(&self, free: &[usize]) -> Self {
        Self {
            jtj: DMatrix::from_fn(free.len(), free.len(), |i, j| self.jtj[(free[i], free[j])]),
            jtr: DVector::from_fn(free.len(), |i, _| self.jtr[free[i]]),
            rss: self.rss,
        }
    }
}

/// Where to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Most passes over the rows, the first included.
    pub(crate) passes: usize,
    /// Stop when a step lowers the sum of squares by less than this share.
    pub(crate) tolerance: f64,
    /// Stop when the sum of squares is this low.
    pub(crate) rss: f64,
}

const DAMPING_START: f64 = 1e-3;
const DAMPING_MIN: f64 = 1e-12;
const DAMPING_MAX: f64 = 1e8;

/// Lowers the sum of squares from `start` on. `None`: the start itself cannot be evaluated.
pub(crate) fn levenberg_marquardt(
    start: &[f64],
    effort: Effort,
    mut normal: impl FnMut(&[f64]) -> Option<Normal>,
) -> Option<Fit> {
    let mut constants = start.to_vec();
    let mut here = normal(&constants).filter(Normal::is_finite)?;
    let mut passes = 1;
    let mut damping = DAMPING_START;
    while passes < effort.passes && here.rss > effort.rss && damping < DAMPING_MAX {
        let Some(step) = damped_step(&here, damping) else {
            damping *= 10.0;
            continue;
        };
        let trial: Vec<f64> = constants
            .iter()
            .zip(step.iter())
            .map(|(c, d)| c + d)
            .collect();
        let there = normal(&trial).filter(Normal::is_finite);
        passes += 1;
        match there {
            Some(there) if there.rss < here.rss => {
                let gain = (here.rss - there.rss) / here.rss;
                constants = trial;
                here = there;
                damping = (damping * 0.1).max(DAMPING_MIN);
                if gain < effort.tolerance {
                    break;
                }
            }
            // A step that makes nothing better although it is tiny means that we have arrived.
            Some(there) if there.rss - here.rss <= 1e-14 * here.rss => break,
            _ => damping = (damping * 8.0).max(1e-6),
        }
    }
    Some(Fit {
        constants,
        normal: here,
    })
}

/// The solution of `(JᵀJ + damping · diag(JᵀJ)) step = Jᵀr`.
fn damped_step(normal: &Normal, damping: f64) -> Option<DVector<f64>> {
    let n = normal.jtr.len();
    // Scaling by the diagonal first makes the damping relative and the factorisation accurate.
    let scale: Vec<f64> = (0..n)
        .map(|i| {
            let d = normal.jtj[(i, i)];
            if d > 0.0 { d.sqrt().recip() } else { 0.0 }
        })
        .collect();
    let matrix = DMatrix::from_fn(n, n, |i, j| {
        if i == j {
            if scale[i] > 0.0 { 1.0 + damping } else { 1.0 }
        } else {
            normal.jtj[(i, j)] * scale[i] * scale[j]
        }
    });
    let right = DVector::from_fn(n, |i, _| normal.jtr[i] * scale[i]);
    let mut step = matrix.cholesky()?.solve(&right);
    for (value, scale) in step.iter_mut().zip(&scale) {
        *value *= scale;
    }
    step.iter().all(|v| v.is_finite()).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_that_cancel_cost_the_digits_of_their_difference() {
        let normal = |rows: &[[f64; 2]]| {
            let j = DMatrix::from_fn(rows.len(), 2, |i, k| rows[i][k]);
            Normal {
                jtj: j.transpose() * &j,
                jtr: DVector::zeros(2),
                rss: 0.0,
            }
        };
        // Two constants of their own: the sum of what each costs.
        let apart = normal(&[[1.0, 0.0], [0.0, 1.0]]);
        let alone = |size: f64, deviation: f64| 0.5 * (size / deviation).powi(2).ln_1p();
        let both = apart.nats(&[3.0, 50.0], 0.01);
        assert!((both - alone(3.0, 0.1) - alone(50.0, 0.1)).abs() < 1e-9);
        // Only their sum is determined: nearly as if it were of the size of its parts.
        let together = normal(&[[1.0, 1.0], [1.0, 1.0]]);
        let sum = together.nats(&[1e6, -1e6], 0.02);
        assert!((sum - (1e6f64 / 0.1).ln()).abs() < 1.0, "{sum}");
    }

    /// Normal equations of `f` at `theta` with a Jacobian by central differences.
    fn normal_of(
        rows: &[(f64, f64)],
        theta: &[f64],
        f: impl Fn(&[f64], f64) -> f64,
    ) -> Option<Normal> {
        let p = theta.len();
        let jacobian = DMatrix::from_fn(rows.len(), p, |row, j| {
            let h = 1e-6 * theta[j].abs().max(1e-3);
            let mut up = theta.to_vec();
            up[j] += h;
            let mut down = theta.to_vec();
            down[j] -= h;
            (f(&up, rows[row].0) - f(&down, rows[row].0)) / (2.0 * h)
        });
        let residual = DVector::from_fn(rows.len(), |row, _| rows[row].1 - f(theta, rows[row].0));
        Some(Normal {
            jtj: jacobian.transpose() * &jacobian,
            jtr: jacobian.transpose() * &residual,
            rss: residual.norm_squared(),
        })
    }

    fn check(start: &[f64], truth: &[f64], f: impl Fn(&[f64], f64) -> f64 + Copy) {
        let rows: Vec<(f64, f64)> = (0..50)
            .map(|i| f64::from(i) * 0.1 + 0.1)
            .map(|x| (x, f(truth, x)))
            .collect();
        let effort = Effort {
            passes: 200,
            tolerance: 0.0,
            rss: 1e-22,
        };
        let fit =
            levenberg_marquardt(start, effort, |theta| normal_of(&rows, theta, f)).expect("fit");
        assert!(fit.normal.rss < 1e-16, "{fit:?}");
    }

    #[test]
    fn finds_the_constants() {
        check(&[1.0, 1.0], &[3.0, -2.0], |t, x| t[0] * x + t[1]);
        check(&[1.0, -1.0], &[2.5, -0.7], |t, x| t[0] * (t[1] * x).exp());
        check(&[1.0, 1.0, 0.0], &[2.0, 1.5, 0.3], |t, x| {
            t[0] * (t[1] * x + t[2]).sin()
        });
        // Over-parametrised: only the product matters, and the last constant does not matter at all.
        check(&[1.0, 1.0, 5.0], &[3.0, 2.0, 5.0], |t, x| {
            t[0] * t[1] * x + 0.0 * t[2]
        });
    }

    #[test]
    fn never_gets_worse_and_refuses_a_start_that_is_not_finite() {
        let rows: Vec<(f64, f64)> = (1..20).map(|i| (f64::from(i), 1.0)).collect();
        let f = |t: &[f64], x: f64| (t[0] * x).ln();
        let effort = Effort {
            passes: 30,
            tolerance: 1e-12,
            rss: 0.0,
        };
        let start = normal_of(&rows, &[0.5], f).expect("start").rss;
        let fit =
            levenberg_marquardt(&[0.5], effort, |theta| normal_of(&rows, theta, f)).expect("fit");
        assert!(fit.normal.rss <= start && fit.constants[0] > 0.0);
        let refused = levenberg_marquardt(&[-0.5], effort, |theta| normal_of(&rows, theta, f));
        assert!(refused.is_none());
    }
}
