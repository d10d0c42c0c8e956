//! Variables that only scale the target, read off the rows.
//!
//! In `q/(e·√(r² + d² - 2·r·d·cos a))` the variables q and e do nothing but multiply. Wherever the
//! target is `Π xⱼ^pⱼ` times something without these xⱼ, the slope of its logarithm against log xⱼ
//! is pⱼ, the same at all rows, whatever the rest is like. So slopes are taken from quadratic fits
//! to the neighbours of a few dozen rows, and a variable whose slopes are all one multiple of a half
//! is divided out; one whose slopes are all zero has no part in the law. What is left has fewer
//! variables, and of these all formulas of a size can be written down that is out of reach for all
//! variables together. (Udrescu & Tegmark, Science Advances 6 (2020), eaay2631, take a neural
//! network as the smooth function whose separability is tested.)
//!
//! # Invariant
//! As in [`crate::pairs`], nothing here is believed: what is returned are starts.

use nalgebra::{DMatrix, DVector};
use opcodon_expr::{Expr, Node, Op};

use crate::linear;
use crate::problem::Rows;
use crate::seeds::{law_exponent, power_product};

/// Rows among which neighbours are sought.
const ROWS: usize = 10_000;
/// So many variables: of one there is nothing to separate, among more neighbours are too far away.
const VARIABLES: std::ops::RangeInclusive<usize> = 2..=9;
/// Rows at which slopes are taken.
const CENTRES: usize = 48;
/// Neighbours for each coefficient of a quadratic fit.
const NEIGHBOURS: usize = 3;
/// What quadratic fits may leave of the target, as a share of it: more is noise, or no law.
const LEFT: f64 = 0.05;
/// How far the middle of a variable's slopes may be from the exponent, and they from their middle.
const OFF: f64 = 0.04;
const APART: f64 = 0.06;

/// A product of powers, and the variables of the rest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Separation {
    factors: Vec<(usize, f64)>,
    pub(crate) rest: Vec<usize>,
    product: Expr,
}

impl Separation {
    /// What can be told of a target: `None` if no variable can be divided out or left out, or none
    /// is left.
    pub(crate) fn of(rows: &Rows, target: &[f64]) -> Option<Self> {
        let slopes = slopes(rows, target)?;
        let mut factors = Vec::new();
        let mut rest = Vec::new();
        for (variable, slopes) in slopes.into_iter().enumerate() {
            let middle = median(slopes.clone());
            let apart = median(slopes.iter().map(|slope| (slope - middle).abs()).collect());
            let exponent = law_exponent(middle);
            let is_power = (middle - exponent).abs() <= OFF && apart <= APART;
            match (is_power, exponent) {
                (true, 0.0) => {}
                (true, _) if rows.columns[variable].iter().all(|&x| x > 0.0) => {
                    factors.push((variable, exponent));
                }
                _ => rest.push(variable),
            }
        }
        let fewer = rest.len() < rows.columns.len() && !rest.is_empty();
        let product = power_product(&factors).unwrap_or_else(|| Expr::constant(1.0));
        fewer.then_some(Self {
            factors,
            rest,
            product,
        })
    }

    /// The target divided by the product.
    pub(crate) fn divided(&self, columns: &[&[f64]], target: &[f64]) -> Vec<f64> {
        let product = self.product.eval_columns(columns);
        target.iter().zip(&product).map(|(y, m)| y / m).collect()
    }

    /// Nodes that the product takes.
    pub(crate) fn size(&self) -> usize {
        self.product.len() + 1
    }

    /// The product times a formula of the rest.
    pub(crate) fn times(&self, rest: &Expr) -> Option<Expr> {
        let mut nodes: Vec<Node> = rest.nodes().to_vec();
        for node in &mut nodes {
            if let Node::Var(index) = node {
                *index = u32::try_from(self.rest[*index as usize]).unwrap_or(u32::MAX);
            }
        }
        if !self.factors.is_empty() {
            nodes.extend_from_slice(self.product.nodes());
            nodes.push(Node::Op(Op::Mul));
        }
        Expr::from_postfix(nodes).ok()
    }
}

/// For each variable the slopes of the target's logarithm, at some rows each: against the
/// variable's logarithm if it is positive, else in its standard deviations. `None` where the target
/// is not smooth.
fn slopes(rows: &Rows, target: &[f64]) -> Option<Vec<Vec<f64>>> {
    let n_variables = rows.columns.len();
    let n_terms = 1 + n_variables + n_variables * (n_variables + 1) / 2;
    let n_neighbours = NEIGHBOURS * n_terms;
    let step = rows.n_rows().div_ceil(ROWS).max(1);
    let some: Vec<usize> = (0..rows.n_rows()).step_by(step).collect();
    if !VARIABLES.contains(&n_variables) || some.len() < 4 * n_neighbours {
        return None;
    }
    let logs: Vec<f64> = some.iter().map(|&row| target[row].abs().ln()).collect();
    if !logs.iter().all(|log| log.is_finite()) {
        return None;
    }
    // Coordinates, and how much of each makes a standard deviation.
    let (points, scales): (Vec<Vec<f64>>, Vec<f64>) = rows
        .columns
        .iter()
        .map(|column| {
            let positive = column.iter().all(|&x| x > 0.0);
            let coordinate = |&row: &usize| match positive {
                true => column[row].ln(),
                false => column[row],
            };
            let values: Vec<f64> = some.iter().map(coordinate).collect();
            let scale = linear::spread(&values, linear::mean(&values, None), None).sqrt();
            let values: Vec<f64> = values.iter().map(|v| v / scale).collect();
            (values, if positive { scale } else { 1.0 })
        })
        .unzip();
    let large = largest(&logs);
    let mut slopes = vec![Vec::new(); n_variables];
    let mut left = Vec::new();
    for &centre in large.iter().step_by((large.len() / CENTRES).max(1)) {
        let distance = |row: usize| -> f64 {
            let squares = points.iter().map(|c| (c[row] - c[centre]).powi(2));
            squares.sum()
        };
        let mut order: Vec<(f64, usize)> =
            (0..some.len()).map(|row| (distance(row), row)).collect();
        order.select_nth_unstable_by(n_neighbours, |a, b| a.0.total_cmp(&b.0));
        let radius = order[n_neighbours].0.sqrt();
        let near = &order[..n_neighbours];
        let offset = |k: usize, j: usize| (points[j][near[k].1] - points[j][centre]) / radius;
        let mut design = DMatrix::from_element(n_neighbours, n_terms, 1.0);
        for k in 0..n_neighbours {
            let mut term = 1 + n_variables;
            for i in 0..n_variables {
                design[(k, 1 + i)] = offset(k, i);
                for j in i..n_variables {
                    design[(k, term)] = offset(k, i) * offset(k, j);
                    term += 1;
                }
            }
        }
        let values = DVector::from_fn(n_neighbours, |k, _| logs[near[k].1]);
        let gram = design.tr_mul(&design);
        let Some(factor) = gram.cholesky() else {
            continue;
        };
        let fitted = factor.solve(&design.tr_mul(&values));
        let residuals = values - &design * &fitted;
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let freedom = (n_neighbours - n_terms) as f64;
        left.push((residuals.norm_squared() / freedom).sqrt());
        for j in 0..n_variables {
            slopes[j].push(fitted[1 + j] / (radius * scales[j]));
        }
    }
    // Written so that NaN is not smooth.
    (left.len() >= CENTRES / 2 && median(left) <= LEFT).then_some(slopes)
}

/// The quarter of rows where a value is largest, in their order: where a target is small, noise
/// rules what it is a function of.
fn largest(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(values.len().div_ceil(4));
    order.sort_unstable();
    order
}

/// The value in the middle; NaN of none.
fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return f64::NAN;
    }
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{Loss, Measure};
    use opcodon_evo::Rng;

    /// What is separated of a law on 3000 rows.
    fn check(law: &str, noise: f64, factors: &[(usize, f64)], rest: &[usize]) {
        let mut rng = Rng::new(7, 0);
        let columns: Vec<Vec<f64>> = (0..4)
            .map(|_| (0..3000).map(|_| rng.uniform(1.0, 3.0)).collect())
            .collect();
        let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let names = ["a", "b", "c", "d"];
        let exact = opcodon_expr::parse(law, Some(&names)).expect(law).expr;
        let target = exact.eval_columns(&refs);
        let noisy = target.iter().map(|y| y * (1.0 + noise * rng.normal()));
        let target: Vec<f64> = noisy.collect();
        let measure = Measure::of_table(Loss::Mse);
        let rows = Rows {
            columns,
            target: target.clone(),
            weights: None,
            zero: 0.0,
            measure,
        };
        let found = Separation::of(&rows, &target);
        let found = found.map_or((vec![], vec![]), |s| (s.factors, s.rest));
        assert_eq!(found, (factors.to_vec(), rest.to_vec()), "{law}");
    }

    #[test]
    fn what_only_scales_is_told_from_what_shapes() {
        check(
            "a/(b*sqrt(c^2 + d^2 - 2*c*d*cos(c)))",
            0.0,
            &[(0, 1.0), (1, -1.0)],
            &[2, 3],
        );
        check("sqrt(a)*(1 + sin(b*c/3)) + 0*d", 0.0, &[(0, 0.5)], &[1, 2]);
        check("a^2*(1 + b*c/d)", 0.01, &[(0, 2.0)], &[1, 2, 3]);
        check("a^0.7*exp(b - c)", 0.0, &[], &[0, 1, 2]);
        check("a*b + c*d", 0.0, &[], &[]);
        check("a*b*c/d", 0.0, &[], &[]);
        check("a*exp(b*c)", 0.5, &[], &[]);
    }
}
