//! Fitting the constants of a formula: Levenberg-Marquardt on the normal equations.
//!
//! The Jacobian of a formula with few constants and many rows is never stored. Whoever evaluates
//! the formula hands over `JᵀJ`, `Jᵀr` and `rᵀr` in one pass ([`NormalEquations`]), and a trial step
//! costs exactly one such pass, because the pass that judges a step already holds the equations of the
//! next one.
//!
//! Formulas that come out of a search are often over-parametrised, so `JᵀJ` is singular as a rule,
//! not as an exception: damping is relative to its diagonal (Marquardt), constants without any
//! influence stay where they are, and a factorisation that fails raises the damping.
//!
//! # Invariant
//! The sum of squares of the result is never above that of the start.

use nalgebra::DMatrix;
use opcodon_jit::NormalEquations;

/// What a fit came to.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub(crate) constants: Vec<f64>,
    /// The equations at these constants; their `rss` is what was reached.
    pub(crate) normal: NormalEquations,
}

fn is_finite(normal: &NormalEquations) -> bool {
    normal.rss.is_finite()
        && normal.jtr.iter().all(|v| v.is_finite())
        && normal.jtj.iter().all(|v| v.is_finite())
}

/// Nats that say these constants as exactly as residuals of this variance determine them together:
/// `½ ln det(1 + Θ JᵀJ Θ / variance)` with `Θ` the constants on a diagonal, the information gained
/// on a prior as wide as the constants are large. Two large constants whose difference matters cost
/// the digits of that difference, however little each of them alone is determined.
pub(crate) fn nats(normal: &NormalEquations, constants: &[f64], variance: f64) -> f64 {
    let n = constants.len();
    if n == 0 {
        return 0.0;
    }
    let gained = DMatrix::from_fn(n, n, |i, j| {
        constants[i] * normal.jtj[i * normal.n + j] * constants[j] / variance
    });
    let eigen = gained.symmetric_eigenvalues();
    0.5 * eigen.iter().map(|e| e.max(0.0).ln_1p()).sum::<f64>()
}

/// The diagonal of `(JᵀJ)⁻¹`: variances of the constants for residuals of unit variance. Infinite
/// for a constant that the data do not determine.
pub(crate) fn variances(normal: &NormalEquations) -> Vec<f64> {
    let n = normal.n;
    let cell = |i: usize, j: usize| normal.jtj[i * n + j];
    let scale: Vec<f64> = (0..n).map(|i| cell(i, i).sqrt()).collect();
    if n == 0 {
        return Vec::new();
    }
    let scaled = DMatrix::from_fn(n, n, |i, j| {
        let s = scale[i] * scale[j];
        if s > 0.0 { cell(i, j) / s } else { 0.0 }
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

/// Keeps the equations in these constants alone, in rising order, the others held.
pub(crate) fn keep_only(normal: &mut NormalEquations, free: &[usize]) {
    let n = normal.n;
    for (i, &row) in free.iter().enumerate() {
        for (j, &column) in free.iter().enumerate() {
            normal.jtj[i * free.len() + j] = normal.jtj[row * n + column];
        }
        normal.jtr[i] = normal.jtr[row];
    }
    normal.n = free.len();
    normal.jtj.truncate(free.len() * free.len());
    normal.jtr.truncate(free.len());
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

/// Memory that is reused from one fit to the next.
#[derive(Debug, Default)]
pub(crate) struct LevenbergMarquardt {
    trial: Vec<f64>,
    there: NormalEquations,
    scale: Vec<f64>,
    /// The damped matrix, then its lower factor, row by row.
    matrix: Vec<f64>,
    step: Vec<f64>,
}

impl LevenbergMarquardt {
    /// Lowers the sum of squares from `start` on. `normal` writes the equations at given constants
    /// and says whether it could. `None`: the start itself cannot be evaluated.
    pub(crate) fn fit(
        &mut self,
        start: Vec<f64>,
        effort: Effort,
        mut normal: impl FnMut(&[f64], &mut NormalEquations) -> bool,
    ) -> Option<Fit> {
        let mut fit = Fit {
            constants: start,
            normal: NormalEquations::default(),
        };
        if !normal(&fit.constants, &mut fit.normal) || !is_finite(&fit.normal) {
            return None;
        }
        self.go_on(&mut fit, effort, normal);
        Some(fit)
    }

    /// Lowers the sum of squares further. The pass that the equations of `fit` took counts.
    pub(crate) fn go_on(
        &mut self,
        fit: &mut Fit,
        effort: Effort,
        mut normal: impl FnMut(&[f64], &mut NormalEquations) -> bool,
    ) {
        if fit.constants.is_empty() {
            return;
        }
        let mut passes = 1;
        let mut damping = DAMPING_START;
        while passes < effort.passes && fit.normal.rss > effort.rss && damping < DAMPING_MAX {
            if !self.damped_step(&fit.normal, damping) {
                damping *= 10.0;
                continue;
            }
            self.trial.clear();
            let steps = fit.constants.iter().zip(&self.step);
            self.trial.extend(steps.map(|(c, d)| c + d));
            let told = normal(&self.trial, &mut self.there) && is_finite(&self.there);
            passes += 1;
            let (here, there) = (fit.normal.rss, self.there.rss);
            if told && there < here {
                std::mem::swap(&mut fit.constants, &mut self.trial);
                std::mem::swap(&mut fit.normal, &mut self.there);
                damping = (damping * 0.1).max(DAMPING_MIN);
                if (here - there) / here < effort.tolerance {
                    break;
                }
            } else if told && there - here <= 1e-14 * here {
                // A step that makes nothing better although it is tiny means that we have arrived.
                break;
            } else {
                damping = (damping * 8.0).max(1e-6);
            }
        }
    }

    /// Writes the solution of `(JᵀJ + damping · diag(JᵀJ)) step = -Jᵀr`, if there is one.
    fn damped_step(&mut self, normal: &NormalEquations, damping: f64) -> bool {
        let n = normal.n;
        let Self {
            scale,
            matrix,
            step,
            ..
        } = self;
        // Scaling by the diagonal first makes the damping relative and the factorisation accurate.
        scale.clear();
        scale.extend((0..n).map(|i| {
            let d = normal.jtj[i * n + i];
            if d > 0.0 { d.sqrt().recip() } else { 0.0 }
        }));
        matrix.clear();
        for i in 0..n {
            let row = normal.jtj[i * n..].iter().zip(&*scale);
            matrix.extend(row.map(|(cell, s)| cell * scale[i] * s));
            matrix[i * n + i] = if scale[i] > 0.0 { 1.0 + damping } else { 1.0 };
        }
        step.clear();
        step.extend(normal.jtr.iter().zip(&*scale).map(|(r, s)| -r * s));
        if !solve(matrix, step) {
            return false;
        }
        for (value, scale) in step.iter_mut().zip(scale) {
            *value *= *scale;
        }
        step.iter().all(|v| v.is_finite())
    }
}

/// Solves a symmetric positive definite system in place by Cholesky's factorisation; `matrix` is
/// read row by row and holds the factor afterwards. `false` if it is not positive definite.
fn solve(matrix: &mut [f64], right: &mut [f64]) -> bool {
    let n = right.len();
    for i in 0..n {
        let (above, row) = matrix.split_at_mut(i * n);
        for (k, other) in above.chunks_exact(n).enumerate() {
            let mut cell = row[k];
            for (a, b) in other[..k].iter().zip(&row[..k]) {
                cell -= a * b;
            }
            row[k] = cell / other[k];
        }
        let mut pivot = row[i];
        for a in &row[..i] {
            pivot -= a * a;
        }
        if pivot <= 0.0 || pivot.is_nan() {
            return false;
        }
        row[i] = pivot.sqrt();
    }
    for (i, row) in matrix.chunks_exact(n).enumerate() {
        let (known, rest) = right.split_at_mut(i);
        for (a, b) in row.iter().zip(known) {
            rest[0] -= a * *b;
        }
        rest[0] /= row[i];
    }
    for i in (0..n).rev() {
        let (rest, known) = right.split_at_mut(i + 1);
        let rows = matrix.chunks_exact(n).skip(i + 1);
        let sum: f64 = rows.zip(known).map(|(row, b)| row[i] * *b).sum();
        rest[i] = (rest[i] - sum) / matrix[i * n + i];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::DVector;

    #[test]
    fn constants_that_cancel_cost_the_digits_of_their_difference() {
        let normal = |jtj: [f64; 4]| NormalEquations {
            n: 2,
            jtj: jtj.to_vec(),
            jtr: vec![0.0; 2],
            rss: 0.0,
        };
        // Two constants of their own: the sum of what each costs.
        let alone = |size: f64, deviation: f64| 0.5 * (size / deviation).powi(2).ln_1p();
        let both = nats(&normal([1.0, 0.0, 0.0, 1.0]), &[3.0, 50.0], 0.01);
        assert!((both - alone(3.0, 0.1) - alone(50.0, 0.1)).abs() < 1e-9);
        // Only their sum is determined: nearly as if it were of the size of its parts.
        let sum = nats(&normal([2.0; 4]), &[1e6, -1e6], 0.02);
        assert!((sum - (1e6f64 / 0.1).ln()).abs() < 1.0, "{sum}");
    }

    /// Normal equations of `f` at `theta` with a Jacobian by central differences.
    fn normal_of(
        rows: &[(f64, f64)],
        theta: &[f64],
        f: impl Fn(&[f64], f64) -> f64,
    ) -> NormalEquations {
        let p = theta.len();
        let jacobian = DMatrix::from_fn(rows.len(), p, |row, j| {
            let h = 1e-6 * theta[j].abs().max(1e-3);
            let mut up = theta.to_vec();
            up[j] += h;
            let mut down = theta.to_vec();
            down[j] -= h;
            (f(&up, rows[row].0) - f(&down, rows[row].0)) / (2.0 * h)
        });
        let residual = DVector::from_fn(rows.len(), |row, _| f(theta, rows[row].0) - rows[row].1);
        NormalEquations {
            n: p,
            jtj: (jacobian.transpose() * &jacobian).as_slice().to_vec(),
            jtr: (jacobian.transpose() * &residual).as_slice().to_vec(),
            rss: residual.norm_squared(),
        }
    }

    fn fit(
        rows: &[(f64, f64)],
        start: &[f64],
        effort: Effort,
        f: impl Fn(&[f64], f64) -> f64 + Copy,
    ) -> Option<Fit> {
        LevenbergMarquardt::default().fit(start.to_vec(), effort, |theta, normal| {
            *normal = normal_of(rows, theta, f);
            true
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
        let fit = fit(&rows, start, effort, f).expect("fit");
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
        // Nothing to find.
        check(&[], &[], |_, x| x);
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
        let start = normal_of(&rows, &[0.5], f).rss;
        let fitted = fit(&rows, &[0.5], effort, f).expect("fit");
        assert!(fitted.normal.rss <= start && fitted.constants[0] > 0.0);
        assert!(fit(&rows, &[-0.5], effort, f).is_none());
    }
}
