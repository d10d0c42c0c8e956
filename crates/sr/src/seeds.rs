//! Models that need no evolution: they start the search, and nothing returned may be worse.
//!
//! Whatever a search finds on a small, noisy table, a straight line is hard to beat there; and
//! whatever a law looks like, its best plane, quadric and power law are good parents. So before
//! anything evolves, the archive holds the mean, forward-selected linear and quadratic models,
//! products of powers (a plane in logarithms), and the best pairs of a dictionary of small
//! formulas, plain, in transformed targets, and one after the other on what the first leaves over.

use opcodon_expr::{Expr, Op};
use rayon::prelude::*;

use crate::clock::Clock;
use crate::dictionary::{self, Caps, Dictionary};
use crate::linear::{self, Linear};
use crate::operators::Operators;
use crate::pairs::{self, Found, Link};
use crate::peels;
use crate::problem::Rows;

/// Inputs from which products are formed; beyond, those most correlated with the target.
const QUADRATIC_INPUTS: usize = 40;
/// Rows that selection looks at; more only take time.
const SELECTION_ROWS: usize = 4000;

fn variable(index: usize) -> Expr {
    Expr::var(u32::try_from(index).unwrap_or(u32::MAX))
}

/// Linear, quadratic and power-law models of all sizes up to `max_size`.
pub(crate) fn models(rows: &Rows, max_size: usize) -> Vec<Expr> {
    // Selection of terms does not need all of a long table.
    let rows = &rows.spread_out(SELECTION_ROWS);
    let terms_max = max_size.div_ceil(4).max(1);
    let mut out: Vec<Expr> = (0..rows.columns.len()).map(variable).collect();
    out.extend(linear_models(rows, terms_max));
    out.extend(quadratic_models(rows, terms_max));
    out.extend(power_laws(rows));
    out
}

fn linear_models(rows: &Rows, terms_max: usize) -> Vec<Expr> {
    let path = linear::forward(
        &rows.column_refs(),
        &rows.target,
        rows.weights.as_deref(),
        terms_max,
    );
    path.iter()
        .filter_map(|model| expression(model, &variable))
        .collect()
}

fn expression(model: &Linear, term: &dyn Fn(usize) -> Expr) -> Option<Expr> {
    let terms: Vec<(Expr, f64)> = model.terms.iter().map(|&(j, c)| (term(j), c)).collect();
    if terms.is_empty() {
        None
    } else {
        linear::combination(&terms)
    }
}

fn quadratic_models(rows: &Rows, terms_max: usize) -> Vec<Expr> {
    let inputs = rows.most_correlated(QUADRATIC_INPUTS);
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
    path.iter()
        .filter_map(|model| expression(model, &|j| terms[j].clone()))
        .collect()
}

/// Exponents that laws have: multiples of a half.
pub(crate) fn law_exponent(exponent: f64) -> f64 {
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
pub(crate) fn power_product(factors: &[(usize, f64)]) -> Option<Expr> {
    let side = |wanted: f64| -> Option<Expr> {
        let parts: Vec<Expr> = factors
            .iter()
            .filter(|(_, p)| p * wanted > 0.0)
            .flat_map(|&(j, p)| powers_of(&variable(j), p.abs()))
            .collect();
        parts
            .into_iter()
            .reduce(|a, b| Expr::apply(Op::Mul, &[a, b]))
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

/// Which rows seeds are made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scope {
    /// All: nothing is left out.
    Whole,
    /// All, of a law in fewer variables. Errors are small there, so the rows that are looked at may
    /// be those where they are small beside the target itself, whatever is done to it.
    Fewer,
    /// Those without a fold, to be repeated for each fold: what takes long is left out. Of the time
    /// for all folds this part may be over when this one is done.
    Fold(f64),
}

/// Rows that pairs are judged on.
const PROBE_ROWS: usize = 160;
/// Terms of a sum that is built one by one.
const GREEDY_TERMS: usize = 4;
/// Errors below this say that the law is found.
const SOLVED: f64 = 1e-12;

/// The best pairs of small formulas, and sums of them, for the target and for what the target is a
/// function of. In parallel on the current thread pool.
pub(crate) fn pairs(
    rows: &Rows,
    scope: Scope,
    operators: &Operators,
    max_size: usize,
    most_atoms: usize,
    clock: &Clock,
) -> Vec<Expr> {
    let from = match scope {
        Scope::Fewer => clearest(rows),
        _ => (0..rows.n_rows()).collect(),
    };
    let step = from.len().div_ceil(PROBE_ROWS).max(1);
    let probe = rows.pick(&from.into_iter().step_by(step).collect::<Vec<_>>());
    let columns = probe.column_refs();
    let y: Vec<f64> = probe.target.iter().map(|v| v - rows.zero).collect();
    let inputs = rows.most_correlated(dictionary::INPUTS);
    let pairs = Pairs {
        columns: &columns,
        inputs: &inputs,
        operators,
        max_size,
        most_atoms,
        clock,
    };
    let found = pairs.of(&y, scope).into_iter();
    found
        .filter_map(|(link, f)| link.formula(f.core, f.scale, f.offset))
        .collect()
}

/// The half of the rows where an error is least beside the target, in their order.
fn clearest(rows: &Rows) -> Vec<usize> {
    let weight = |row: usize| rows.weights.as_ref().map_or(1.0, |weights| weights[row]);
    let clear = |row: usize| weight(row).sqrt() * (rows.target[row] - rows.zero).abs();
    let mut order: Vec<usize> = (0..rows.n_rows()).collect();
    order.sort_by(|&a, &b| clear(b).total_cmp(&clear(a)));
    order.truncate(rows.n_rows().div_ceil(2));
    order.sort_unstable();
    order
}

/// What pairs are made of.
struct Pairs<'a> {
    columns: &'a [&'a [f64]],
    /// The columns that small formulas are made of.
    inputs: &'a [usize],
    operators: &'a Operators,
    max_size: usize,
    most_atoms: usize,
    clock: &'a Clock,
}

impl Pairs<'_> {
    /// The best for a target through each link.
    fn of(&self, y: &[f64], scope: Scope) -> Vec<(Link, Found)> {
        let &Self {
            columns,
            inputs,
            operators,
            max_size,
            most_atoms,
            clock,
        } = self;
        let dictionary =
            dictionary::build(columns, inputs, operators, Caps::MANY.within(most_atoms));
        let (links, targets): (Vec<Link>, Vec<Vec<f64>>) = Link::ALL
            .iter()
            .filter_map(|&link| Some((link, link.target(y, operators)?)))
            .unzip();
        if targets.is_empty() {
            return Vec::new();
        }
        let room = max_size.saturating_sub(5);
        let mut found = pairs::products(&dictionary, columns, &targets, room, clock);
        let sums = pairs::sums(&dictionary, columns, &targets, room, clock);
        found
            .par_iter_mut()
            .zip(sums)
            .zip(&targets)
            .for_each(|((found, sums), target)| {
                found.extend(sums);
                let sums =
                    pairs::sums_with(&pareto(found.clone()), &dictionary, columns, target, room);
                found.extend(sums);
                found.extend(greedy_atoms(&dictionary, columns, target, room));
            });
        let few = dictionary.shortened();
        let mut greedy: Vec<Option<Found>> = found
            .iter()
            .map(|found| cheapest(found, y.len()).cloned())
            .collect();
        for _ in 1..GREEDY_TERMS {
            let residuals: Vec<Vec<f64>> = greedy
                .iter()
                .zip(&targets)
                .map(|(sum, target)| residual(sum.as_ref(), columns, target))
                .collect();
            let terms = pairs::products(&few, columns, &residuals, room, clock);
            for (k, terms) in terms.into_iter().enumerate() {
                let Some(sum) = greedy[k].take().filter(|sum| sum.error > 1e-12) else {
                    continue;
                };
                let next = extended(&sum, terms, columns, &targets[k], room);
                greedy[k] = cheapest(&next, y.len()).cloned();
                found[k].extend(next);
            }
        }
        let is_solved = |found: &[Vec<Found>]| found.iter().flatten().any(|f| f.error <= SOLVED);
        if !matches!(scope, Scope::Fold(_)) && !is_solved(&found) {
            let peeled = peels::products(&dictionary, columns, y, operators, max_size, clock);
            // The first link is the identity.
            found[0].extend(peeled);
        }
        let best = links.into_iter().zip(found).flat_map(|(link, found)| {
            let few = pareto(found).into_iter();
            few.map(move |found| (link, found))
        });
        best.collect()
    }
}

/// What a sum leaves of the target; zero without a sum.
fn residual(sum: Option<&Found>, columns: &[&[f64]], target: &[f64]) -> Vec<f64> {
    let Some(sum) = sum else {
        return vec![0.0; target.len()];
    };
    let values = sum.core.eval_columns(columns);
    target
        .iter()
        .zip(&values)
        .map(|(y, v)| y - sum.scale.mul_add(*v, sum.offset))
        .collect()
}

/// The sum with each of these terms, coefficients fitted.
fn extended(
    sum: &Found,
    terms: Vec<Found>,
    columns: &[&[f64]],
    target: &[f64],
    max_size: usize,
) -> Vec<Found> {
    let first = sum.core.eval_columns(columns);
    terms
        .into_iter()
        .filter(|term| term.core.len() + sum.core.len() + 5 <= max_size)
        .filter_map(|term| {
            let second = term.core.eval_columns(columns);
            let both = [(&sum.core, &first[..], 1.0), (&term.core, &second[..], 1.0)];
            pairs::sum_of_two(both, columns, target)
        })
        .collect()
}

/// Forward selection among the atoms themselves.
fn greedy_atoms(
    dictionary: &Dictionary,
    columns: &[&[f64]],
    target: &[f64],
    max_size: usize,
) -> Vec<Found> {
    let atoms: Vec<&dictionary::Atom> = dictionary.atoms.iter().take(2500).collect();
    let values: Vec<&[f64]> = atoms.iter().map(|a| &a.values[..]).collect();
    linear::forward(&values, target, None, 6)
        .iter()
        .filter_map(|model| pairs::sum_of(model, &atoms))
        .take_while(|core| core.len() <= max_size)
        .filter_map(|core| pairs::found(core, columns, target))
        .collect()
}

/// The least by BIC, each node counted as half a constant.
fn cheapest(found: &[Found], n_rows: usize) -> Option<&Found> {
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let cost = |f: &Found| {
        let n = n_rows as f64;
        n * f.error.max(1e-13).ln() + 0.5 * n.ln() * f.core.len() as f64
    };
    found.iter().min_by(|a, b| cost(a).total_cmp(&cost(b)))
}

/// Those that no much smaller one matches, by size.
fn pareto(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by(|a, b| {
        a.core
            .len()
            .cmp(&b.core.len())
            .then(a.error.total_cmp(&b.error))
    });
    let mut lowest = f64::INFINITY;
    found.retain(|f| {
        let keep = f.error < 1.1 * lowest;
        lowest = lowest.min(f.error);
        keep
    });
    found
}
