//! Linear models: the floor that no returned formula may fall below, and terms for seeds.
//!
//! Two ways to a model that is linear in given columns. [`ridge`] keeps all columns and shrinks;
//! the shrinkage is chosen by the leave-one-out error, which for a linear smoother needs no
//! refits: `r / (1 - h)` with `h` the row's leverage (Allen's PRESS). [`forward`] adds one column
//! at a time, the one that explains most of what is left after orthogonalisation (orthogonal
//! least squares; Chen, Billings & Luo 1989), and reports the error after each.
//!
//! Columns are centred and scaled inside; coefficients come back in the units of the columns.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use opcodon_expr::{Expr, Node, Op};

/// `intercept + Σ coefficient · column`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Linear {
    pub(crate) intercept: f64,
    /// Column index and coefficient.
    pub(crate) terms: Vec<(usize, f64)>,
    /// Weighted mean of squared training residuals.
    pub(crate) mse: f64,
    /// The same for residuals of rows left out.
    pub(crate) press: f64,
}

/// Row weights that sum to the number of rows; `None` is one each.
pub(crate) type Weights<'a> = Option<&'a [f64]>;

fn weight(weights: Weights<'_>, row: usize) -> f64 {
    weights.map_or(1.0, |w| w[row])
}

#[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
fn as_f64(n: usize) -> f64 {
    n as f64
}

/// Weighted mean; the weights sum to the number of rows.
pub(crate) fn mean(values: &[f64], weights: Weights<'_>) -> f64 {
    let sum: f64 = values
        .iter()
        .enumerate()
        .map(|(row, v)| v * weight(weights, row))
        .sum();
    sum / as_f64(values.len())
}

/// Weighted mean of squared deviations from `centre`.
pub(crate) fn spread(values: &[f64], centre: f64, weights: Weights<'_>) -> f64 {
    let sum: f64 = values
        .iter()
        .enumerate()
        .map(|(row, v)| (v - centre) * (v - centre) * weight(weights, row))
        .sum();
    sum / as_f64(values.len())
}

/// A column, centred, scaled to unit variance and multiplied by the root of the row's weight.
struct Standard {
    values: Vec<f64>,
    mean: f64,
    scale: f64,
}

/// `None` for a column without variance, or with values that are not finite.
fn standard(column: &[f64], weights: Weights<'_>) -> Option<Standard> {
    let mean = mean(column, weights);
    let scale = spread(column, mean, weights).sqrt();
    if !(scale.is_finite() && scale > 1e-12 * mean.abs() && scale > 0.0) {
        return None;
    }
    let values = column
        .iter()
        .enumerate()
        .map(|(row, v)| (v - mean) / scale * weight(weights, row).sqrt())
        .collect();
    Some(Standard {
        values,
        mean,
        scale,
    })
}

/// The target, centred and multiplied by the root of the row's weight, and its mean.
fn centred(target: &[f64], weights: Weights<'_>) -> (DVector<f64>, f64) {
    let mean = mean(target, weights);
    let values = DVector::from_fn(target.len(), |row, _| {
        (target[row] - mean) * weight(weights, row).sqrt()
    });
    (values, mean)
}

/// The constant model: the mean.
pub(crate) fn constant(target: &[f64], weights: Weights<'_>) -> Linear {
    let intercept = mean(target, weights);
    let mse = spread(target, intercept, weights);
    let n = as_f64(target.len());
    let press = if n > 1.0 {
        mse * (n / (n - 1.0)).powi(2)
    } else {
        mse
    };
    Linear {
        intercept,
        terms: Vec::new(),
        mse,
        press,
    }
}

/// All columns, shrunk as much as the leave-one-out error asks for.
pub(crate) fn ridge(columns: &[&[f64]], target: &[f64], weights: Weights<'_>) -> Linear {
    let n = target.len();
    let kept: Vec<(usize, Standard)> = columns
        .iter()
        .enumerate()
        .filter_map(|(index, column)| Some((index, standard(column, weights)?)))
        .collect();
    if kept.is_empty() || n < 3 {
        return constant(target, weights);
    }
    let p = kept.len();
    let z = DMatrix::from_fn(n, p, |row, j| kept[j].1.values[row]);
    let (y, y_mean) = centred(target, weights);
    let eigen = SymmetricEigen::new(z.transpose() * &z);
    let rotated = &z * &eigen.eigenvectors;
    let projected = rotated.transpose() * &y;
    let largest = eigen.eigenvalues.max();
    let mut best = constant(target, weights);
    let mut best_beta = None;
    for step in 0..=44 {
        let lambda = largest * 10f64.powf(f64::from(step) * 0.25 - 9.0);
        let gain: Vec<f64> = eigen
            .eigenvalues
            .iter()
            .map(|d| 1.0 / (d.max(0.0) + lambda))
            .collect();
        let (mut mse, mut press) = (0.0, 0.0);
        for row in 0..n {
            let (mut fitted, mut leverage) = (0.0, weight(weights, row) / as_f64(n));
            for k in 0..p {
                let u = rotated[(row, k)];
                fitted += u * gain[k] * projected[k];
                leverage += u * u * gain[k];
            }
            let residual = y[row] - fitted;
            mse += residual * residual;
            press += (residual / (1.0 - leverage).max(1e-6)).powi(2);
        }
        if press / as_f64(n) < best.press {
            best.press = press / as_f64(n);
            best.mse = mse / as_f64(n);
            best_beta =
                Some(&eigen.eigenvectors * DVector::from_fn(p, |k, _| gain[k] * projected[k]));
        }
    }
    if let Some(beta) = best_beta {
        finish(&mut best, &kept, beta.as_slice(), y_mean);
    }
    best
}

/// Writes coefficients of standardised columns in the units of the columns.
fn finish(model: &mut Linear, kept: &[(usize, Standard)], beta: &[f64], y_mean: f64) {
    model.terms = kept
        .iter()
        .zip(beta)
        .map(|((index, column), b)| (*index, b / column.scale))
        .collect();
    let shift: f64 = kept
        .iter()
        .zip(beta)
        .map(|((_, c), b)| b * c.mean / c.scale)
        .sum();
    model.intercept = y_mean - shift;
}

/// Models of one, two, … columns, each column chosen to explain most of what the others left.
///
/// The path ends at `terms_max`, when rows run out, or when nothing is left to explain.
/// Columns that are not finite, constant, or nearly in the span of those chosen are passed over.
pub(crate) fn forward(
    columns: &[&[f64]],
    target: &[f64],
    weights: Weights<'_>,
    terms_max: usize,
) -> Vec<Linear> {
    let n = target.len();
    let mut pool: Vec<(usize, Standard)> = columns
        .iter()
        .enumerate()
        .filter_map(|(index, column)| Some((index, standard(column, weights)?)))
        .collect();
    // Kept apart from the orthogonalised ones: what coefficients are solved for at the end.
    let original: Vec<DVector<f64>> = pool
        .iter()
        .map(|(_, c)| DVector::from_column_slice(&c.values))
        .collect();
    let (y, y_mean) = centred(target, weights);
    let total = y.norm_squared();
    let mut residual = y.clone();
    let mut leverage: Vec<f64> = (0..n).map(|row| weight(weights, row) / as_f64(n)).collect();
    let mut chosen: Vec<usize> = Vec::new();
    let mut path = Vec::new();
    let mut alive = vec![true; pool.len()];
    while chosen.len() < terms_max && chosen.len() + 2 < n {
        let mut best: Option<(f64, usize, f64)> = None;
        for (j, (_, column)) in pool.iter().enumerate() {
            if !alive[j] {
                continue;
            }
            let (mut dot, mut norm) = (0.0, 0.0);
            for (q, r) in column.values.iter().zip(residual.iter()) {
                dot += q * r;
                norm += q * q;
            }
            if norm < 1e-7 * as_f64(n) {
                alive[j] = false;
                continue;
            }
            let gain = dot * dot / norm;
            if best.is_none_or(|(most, _, _)| gain > most) {
                best = Some((gain, j, norm));
            }
        }
        let Some((gain, j, norm)) = best else { break };
        if gain.partial_cmp(&(1e-15 * total)) != Some(std::cmp::Ordering::Greater) {
            break;
        }
        alive[j] = false;
        chosen.push(j);
        let inverse = norm.sqrt().recip();
        let q: Vec<f64> = pool[j].1.values.iter().map(|v| v * inverse).collect();
        let dot: f64 = q.iter().zip(residual.iter()).map(|(q, r)| q * r).sum();
        for (row, q) in q.iter().enumerate() {
            residual[row] -= dot * q;
            leverage[row] += q * q;
        }
        for (other, (_, column)) in pool.iter_mut().enumerate() {
            if alive[other] {
                let dot: f64 = q.iter().zip(&column.values).map(|(q, v)| q * v).sum();
                for (v, q) in column.values.iter_mut().zip(&q) {
                    *v -= dot * q;
                }
            }
        }
        let press: f64 = residual
            .iter()
            .zip(&leverage)
            .map(|(r, h)| (r / (1.0 - h).max(1e-6)).powi(2))
            .sum();
        let Some(beta) = solve(&chosen, &original, &y) else {
            break;
        };
        let mut model = Linear {
            intercept: 0.0,
            terms: Vec::new(),
            mse: residual.norm_squared() / as_f64(n),
            press: press / as_f64(n),
        };
        let shift: f64 = chosen
            .iter()
            .zip(&beta)
            .map(|(&j, b)| b * pool[j].1.mean / pool[j].1.scale)
            .sum();
        model.intercept = y_mean - shift;
        model.terms = chosen
            .iter()
            .zip(&beta)
            .map(|(&j, b)| (pool[j].0, b / pool[j].1.scale))
            .collect();
        path.push(model);
        if residual.norm_squared() <= 1e-26 * total {
            break;
        }
    }
    path
}

/// Least squares on the chosen standardised columns.
fn solve(chosen: &[usize], columns: &[DVector<f64>], y: &DVector<f64>) -> Option<Vec<f64>> {
    let k = chosen.len();
    let gram = DMatrix::from_fn(k, k, |i, j| columns[chosen[i]].dot(&columns[chosen[j]]));
    let right = DVector::from_fn(k, |i, _| columns[chosen[i]].dot(y));
    let factor = gram.cholesky()?;
    let beta = factor.solve(&right);
    beta.iter()
        .all(|b| b.is_finite())
        .then(|| beta.as_slice().to_vec())
}

/// `Σ coefficient · term`, without the intercept: linear scaling finds that again.
pub(crate) fn combination(terms: &[(Expr, f64)]) -> Option<Expr> {
    let mut nodes = Vec::new();
    for (index, (expr, coefficient)) in terms.iter().enumerate() {
        nodes.extend_from_slice(expr.nodes());
        nodes.extend([Node::Const(*coefficient), Node::Op(Op::Mul)]);
        if index > 0 {
            nodes.push(Node::Op(Op::Add));
        }
    }
    Expr::from_postfix(nodes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opcodon_evo::Rng;

    fn columns(n: usize, p: usize) -> Vec<Vec<f64>> {
        let mut rng = Rng::new(1, 0);
        (0..p)
            .map(|j| {
                (0..n)
                    .map(|_| rng.normal() * [1e-2, 1e-1, 1.0, 1e1, 1e2][j % 5] + 3.0)
                    .collect()
            })
            .collect()
    }

    fn refs(columns: &[Vec<f64>]) -> Vec<&[f64]> {
        columns.iter().map(Vec::as_slice).collect()
    }

    fn predict(model: &Linear, columns: &[Vec<f64>], row: usize) -> f64 {
        model.intercept
            + model
                .terms
                .iter()
                .map(|&(j, c)| c * columns[j][row])
                .sum::<f64>()
    }

    #[test]
    fn ridge_recovers_a_plane_and_its_press_is_that_of_refits() {
        let x = columns(40, 3);
        let mut rng = Rng::new(2, 0);
        let y: Vec<f64> = (0..40)
            .map(|i| 1.0 + 2.0 * x[0][i] - 0.5 * x[2][i] + 0.1 * rng.normal())
            .collect();
        let model = ridge(&refs(&x), &y, None);
        assert!(
            (model.terms[0].1 - 2.0).abs() < 0.02 || model.mse < 0.02,
            "{model:?}"
        );
        // Leave one out by hand, on unpenalised least squares (the chosen penalty is negligible).
        let mut press = 0.0;
        for out in 0..40 {
            let xs: Vec<Vec<f64>> = x
                .iter()
                .map(|c| {
                    c.iter()
                        .enumerate()
                        .filter(|(i, _)| *i != out)
                        .map(|(_, v)| *v)
                        .collect()
                })
                .collect();
            let ys: Vec<f64> = y
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != out)
                .map(|(_, v)| *v)
                .collect();
            let m = forward(&refs(&xs), &ys, None, 3).pop().expect("model");
            press += (y[out] - predict(&m, &x, out)).powi(2);
        }
        let full = forward(&refs(&x), &y, None, 3).pop().expect("model");
        assert!(
            (full.press - press / 40.0).abs() < 1e-9,
            "{} {}",
            full.press,
            press / 40.0
        );
        assert!(model.press <= full.press * 1.001);
    }

    #[test]
    fn forward_takes_the_columns_that_matter_in_order() {
        let x = columns(100, 12);
        let y: Vec<f64> = (0..100)
            .map(|i| 5.0 + 300.0 * x[5][i] + 2.0 * x[7][i])
            .collect();
        let path = forward(&refs(&x), &y, None, 5);
        let mut picked: Vec<usize> = path[1].terms.iter().map(|t| t.0).collect();
        picked.sort_unstable();
        assert_eq!(picked, [5, 7]);
        assert!(path.last().expect("path").mse < 1e-18);
        assert!(
            path.len() <= 3,
            "stops when nothing is left: {}",
            path.len()
        );
    }

    #[test]
    fn degenerate_columns_are_passed_over() {
        let mut x = columns(10, 2);
        x.push(vec![7.0; 10]);
        x.push(vec![f64::NAN; 10]);
        x.push(x[0].clone());
        let y: Vec<f64> = (0..10).map(|i| x[0][i]).collect();
        for model in [
            ridge(&refs(&x), &y, None),
            forward(&refs(&x), &y, None, 5).pop().expect("m"),
        ] {
            assert!(
                model.terms.iter().all(|&(j, _)| j != 2 && j != 3),
                "{model:?}"
            );
            assert!(
                model.mse < 1e-6 * spread(&y, mean(&y, None), None),
                "{model:?}"
            );
        }
        assert_eq!(ridge(&refs(&x[2..3]), &y, None), constant(&y, None));
    }

    #[test]
    fn weights_count_rows() {
        let x = columns(12, 2);
        let y: Vec<f64> = (0..12)
            .map(|i| x[0][i] + 0.3 * (x[1][i] * 0.1).sin())
            .collect();
        // Weight 0 for the last 4 rows and 1.5 for the others is a fit to the first 8.
        let w: Vec<f64> = (0..12).map(|i| if i < 8 { 1.5 } else { 0.0 }).collect();
        let head: Vec<Vec<f64>> = x.iter().map(|c| c[..8].to_vec()).collect();
        let a = forward(&refs(&x), &y, Some(&w), 2).pop().expect("a");
        let b = forward(&refs(&head), &y[..8], None, 2).pop().expect("b");
        assert!(
            (a.intercept - b.intercept).abs() < 1e-9 && (a.terms[0].1 - b.terms[0].1).abs() < 1e-9
        );
    }
}
