//! Products of three and more: a factor is taken out of the target before pairs are sought.
//!
//! `y = m·(a + b·f·g)` is a pair of small formulas in the target `y/m`. Which m it is nobody knows,
//! but the simplest candidates are few (variables, sums and differences of two, their reciprocals
//! and squares), and two of the three matrix products that judge all pairs do not depend on the
//! target, so each further m costs a third of a search.
//!
//! # Invariant
//! As in [`crate::pairs`], nothing here is believed: what is returned are starts.

use opcodon_expr::{Expr, Node, Op};
use rayon::prelude::*;

use crate::clock::Clock;
use crate::dictionary::Dictionary;
use crate::operators::Operators;
use crate::pairs::{self, Found};

/// Factors that are tried.
const FACTORS: usize = 32;
/// Probe rows that pairs are judged on; a law shows on fewer than a tendency.
const ROWS: usize = 64;
/// A factor that comes this close to zero, as a share of its root mean square, is not divided by.
const NEAR_ZERO: f64 = 1e-3;

/// A factor and its values.
struct Factor {
    expr: Expr,
    values: Vec<f64>,
}

/// `m·(a + b·f·g)` for the best f and g of the dictionary and each m, as cores to be scaled.
pub(crate) fn products(
    dictionary: &Dictionary,
    columns: &[&[f64]],
    target: &[f64],
    operators: &Operators,
    max_size: usize,
    clock: &Clock,
) -> Vec<Found> {
    let step = target.len().div_ceil(ROWS).max(1);
    let thinned = |column: &[f64]| -> Vec<f64> { column.iter().copied().step_by(step).collect() };
    let few: Vec<Vec<f64>> = columns.iter().map(|column| thinned(column)).collect();
    let refs: Vec<&[f64]> = few.iter().map(Vec::as_slice).collect();
    let y = thinned(target);
    let factors = factors(&refs, operators);
    let targets: Vec<Vec<f64>> = factors
        .iter()
        .map(|m| y.iter().zip(&m.values).map(|(y, m)| y / m).collect())
        .collect();
    let room = max_size.saturating_sub(9);
    let found = pairs::products(&dictionary.thinned(step), &refs, &targets, room, clock);
    factors
        .par_iter()
        .zip(found)
        .flat_map_iter(|(factor, found)| {
            found
                .into_iter()
                .filter_map(|pair| pairs::found(times(&factor.expr, &pair)?, columns, target))
        })
        .collect()
}

/// `factor · (offset + scale·core)`.
fn times(factor: &Expr, pair: &Found) -> Option<Expr> {
    let mut nodes = pair.core.nodes().to_vec();
    nodes.extend([
        Node::Const(pair.scale),
        Node::Op(Op::Mul),
        Node::Const(pair.offset),
        Node::Op(Op::Add),
    ]);
    nodes.extend_from_slice(factor.nodes());
    nodes.push(Node::Op(Op::Mul));
    Expr::from_postfix(nodes).ok()
}

/// What is taken out, the simplest first.
fn factors(columns: &[&[f64]], operators: &Operators) -> Vec<Factor> {
    let variable = |i: usize| Expr::var(u32::try_from(i).unwrap_or(u32::MAX));
    // More variables leave no room for sums of them.
    let n = columns.len().min(FACTORS);
    let mut plain: Vec<Expr> = (0..n).map(variable).collect();
    let mut sums = Vec::new();
    for i in 0..n {
        for j in i + 1..n {
            for op in [Op::Add, Op::Sub] {
                if operators.write(op) {
                    sums.push(Expr::apply(op, &[variable(i), variable(j)]));
                }
            }
        }
    }
    let squares: Vec<Expr> = plain
        .iter()
        .filter(|_| operators.write(Op::Square))
        .map(|v| Expr::apply(Op::Square, std::slice::from_ref(v)))
        .collect();
    plain.extend(sums);
    plain.extend(squares);
    let mut out = Vec::new();
    for expr in plain {
        let values = expr.eval_columns(columns);
        let above = Factor {
            expr: expr.clone(),
            values,
        };
        if is_near_zero(&above.values) {
            continue;
        }
        if operators.write(Op::Inv) {
            let values = above.values.iter().map(|v| v.recip()).collect();
            let expr = Expr::apply(Op::Inv, &[expr]);
            out.push(Factor { expr, values });
        }
        if operators.write(Op::Mul) {
            out.push(above);
        }
    }
    out.truncate(FACTORS);
    out
}

#[expect(clippy::cast_precision_loss, reason = "row counts are small")]
fn is_near_zero(values: &[f64]) -> bool {
    let rms = (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt();
    // Written so that NaN counts as near.
    !values.iter().all(|v| v.abs() > NEAR_ZERO * rms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::dictionary;
    use opcodon_evo::Rng;

    /// The least error of what is found for a law, on 160 rows.
    fn error_for(law: &str) -> f64 {
        let mut rng = Rng::new(7, 0);
        let columns: Vec<Vec<f64>> = (0..4)
            .map(|_| (0..160).map(|_| rng.uniform(1.0, 3.0)).collect())
            .collect();
        let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let names = ["a", "b", "c", "d"];
        let y = opcodon_expr::parse(law, Some(&names))
            .expect(law)
            .expr
            .eval_columns(&refs);
        let operators = Operators::default();
        let dictionary =
            dictionary::build(&refs, &[0, 1, 2, 3], &operators, dictionary::Caps::MANY);
        let clock = Clock::start(&Config::default(), None);
        products(&dictionary, &refs, &y, &operators, 50, &clock)
            .iter()
            .map(|found| found.error)
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn finds_products_that_no_pair_makes() {
        for law in [
            "a*log(1 + b*c)/(b + d)",
            "(a + d)*sin(b)*exp(-c)",
            "sqrt(1 + a*b)*(1 + cos(c))*d",
        ] {
            assert!(error_for(law) < 1e-9, "{law}");
        }
        assert!(error_for("tanh(a*b)*log(c + d)*cos(a - d) + c/b") > 1e-3);
    }
}
