//! Models that need no evolution: they start the search, and nothing returned may be worse.
//!
//! Whatever a search finds on a small, noisy table, a straight line is hard to beat there; and
//! whatever a law looks like, its best plane, quadric and power law are good parents. So before
//! anything evolves, the archive holds the mean, forward-selected linear and quadratic models, and
//! products of powers (a plane in logarithms).

use opcodon_expr::{Expr, Node, Op};

use crate::linear::{self, Linear};
use crate::problem::Rows;

/// Inputs from which products are formed; beyond, those most correlated with the target.
const QUADRATIC_INPUTS: usize = 40;
/// Rows that selection looks at; more only take time.
const SELECTION_ROWS: usize = 4000;

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

fn variable(index: usize) -> Expr {
    Expr::var(u32::try_from(index).unwrap_or(u32::MAX))
}

/// Linear, quadratic and power-law models of all sizes up to `max_size`.
pub(crate) fn models(rows: &Rows, max_size: usize) -> Vec<Expr> {
    let rows = &sampled(rows);
    let terms_max = max_size.div_ceil(4).max(1);
    let mut out: Vec<Expr> = (0..rows.columns.len()).map(variable).collect();
    out.extend(linear_models(rows, terms_max));
    out.extend(quadratic_models(rows, terms_max));
    out.extend(power_laws(rows));
    out
}

/// Evenly spread rows: selection of terms does not need all of a long table.
fn sampled(rows: &Rows) -> Rows {
    let n_rows = rows.n_rows();
    let step = n_rows.div_ceil(SELECTION_ROWS);
    rows.pick(&(0..n_rows).step_by(step.max(1)).collect::<Vec<_>>())
}

fn linear_models(rows: &Rows, terms_max: usize) -> Vec<Expr> {
    let path =
        linear::forward(&rows.column_refs(), &rows.target, rows.weights.as_deref(), terms_max);
    path.iter().filter_map(|model| expression(model, &variable)).collect()
}

fn expression(model: &Linear, term: &dyn Fn(usize) -> Expr) -> Option<Expr> {
    let terms: Vec<(Expr, f64)> = model.terms.iter().map(|&(j, c)| (term(j), c)).collect();
    if terms.is_empty() { None } else { combination(&terms) }
}

fn quadratic_models(rows: &Rows, terms_max: usize) -> Vec<Expr> {
    let inputs = screened(rows, QUADRATIC_INPUTS);
    let mut terms: Vec<Expr> = inputs.iter().map(|&j| variable(j)).collect();
    let mut columns: Vec<Vec<f64>> = inputs.iter().map(|&j| rows.columns[j].clone()).collect();
    for (position, &i) in inputs.iter().enumerate() {
        for &j in &inputs[position..] {
            let (a, b) = (&rows.columns[i], &rows.columns[j]);
            columns.push(a.iter().zip(b).map(|(a, b)| a * b).collect());
            terms.push(if i == j {
                Expr::apply(Op::Square, &[variable(i)])
            } else {
                Expr::apply(Op::Mul, &[variable(i), variable(j)])
            });
        }
    }
    let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let path = linear::forward(&refs, &rows.target, rows.weights.as_deref(), terms_max);
    path.iter().filter_map(|model| expression(model, &|j| terms[j].clone())).collect()
}

/// The inputs that are most correlated with the target, in the order of the table.
fn screened(rows: &Rows, most: usize) -> Vec<usize> {
    let weights = rows.weights.as_deref();
    let y_mean = linear::mean(&rows.target, weights);
    let mut ranked: Vec<(f64, usize)> = rows
        .columns
        .iter()
        .enumerate()
        .map(|(j, column)| {
            let mean = linear::mean(column, weights);
            let spread = linear::spread(column, mean, weights);
            let product: Vec<f64> =
                column.iter().zip(&rows.target).map(|(x, y)| (x - mean) * (y - y_mean)).collect();
            (linear::mean(&product, weights).powi(2) / spread.max(f64::MIN_POSITIVE), j)
        })
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut chosen: Vec<usize> = ranked.into_iter().take(most).map(|(_, j)| j).collect();
    chosen.sort_unstable();
    chosen
}

/// Exponents that laws have: multiples of a half.
fn law_exponent(exponent: f64) -> f64 {
    (exponent * 2.0).round() / 2.0
}

/// `Π xᵢ^pᵢ` with the exponents of the best plane in logarithms, rounded to halves, over the
/// inputs that are positive throughout. The target's sign does not matter if it is one sign.
fn power_laws(rows: &Rows) -> Vec<Expr> {
    let weights = rows.weights.as_deref();
    let positive: Vec<usize> = (0..rows.columns.len())
        .filter(|&j| rows.columns[j].iter().all(|&x| x > 0.0))
        .collect();
    if positive.is_empty() {
        return Vec::new();
    }
    let zero = rows.zero;
    let sign = if rows.target[0] > zero { 1.0 } else { -1.0 };
    let magnitudes: Vec<f64> = rows.target.iter().map(|y| sign * (y - zero)).collect();
    if magnitudes.iter().any(|&m| m <= 0.0) {
        return Vec::new();
    }
    let logs: Vec<Vec<f64>> = positive
        .iter()
        .map(|&j| rows.columns[j].iter().map(|x| x.ln()).collect())
        .collect();
    let refs: Vec<&[f64]> = logs.iter().map(Vec::as_slice).collect();
    let log_target: Vec<f64> = magnitudes.iter().map(|m| m.ln()).collect();
    let path = linear::forward(&refs, &log_target, weights, positive.len().min(8));
    path.iter()
        .filter_map(|model| {
            let factors: Vec<(usize, f64)> = model
                .terms
                .iter()
                .map(|&(k, p)| (positive[k], law_exponent(p)))
                .filter(|&(_, p)| p != 0.0 && p.abs() <= 6.0)
                .collect();
            power_product(&factors)
        })
        .collect()
}

/// `Π xᵢ^pᵢ` from squares, roots and products; the exponents are multiples of a half.
fn power_product(factors: &[(usize, f64)]) -> Option<Expr> {
    let side = |wanted: f64| -> Option<Expr> {
        let parts: Vec<Expr> = factors
            .iter()
            .filter(|(_, p)| p * wanted > 0.0)
            .flat_map(|&(j, p)| powers_of(&variable(j), p.abs()))
            .collect();
        parts.into_iter().reduce(|a, b| Expr::apply(Op::Mul, &[a, b]))
    };
    match (side(1.0), side(-1.0)) {
        (Some(above), Some(below)) => Some(Expr::apply(Op::Div, &[above, below])),
        (Some(above), None) => Some(above),
        (None, Some(below)) => Some(Expr::apply(Op::Inv, &[below])),
        (None, None) => None,
    }
}

/// Factors that multiply to `base^exponent`.
fn powers_of(base: &Expr, exponent: f64) -> Vec<Expr> {
    let mut out = Vec::new();
    let mut left = exponent;
    while left >= 2.0 {
        out.push(Expr::apply(Op::Square, std::slice::from_ref(base)));
        left -= 2.0;
    }
    if left >= 1.0 {
        out.push(base.clone());
        left -= 1.0;
    }
    if left >= 0.5 {
        out.push(Expr::apply(Op::Sqrt, std::slice::from_ref(base)));
    }
    out
}
