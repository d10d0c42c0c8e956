//! The mean of formulas that have learned from different rows.
//!
//! On a small, noisy table several formulas are about as good, and where they differ, they differ
//! by chance. The squared error of their mean is the mean of their squared errors less the mean
//! square of their distances from it (Krogh & Vedelsby, "Neural network ensembles, cross
//! validation, and active learning", 1995). The distances need no target: what they save is known as
//! well on the rows learned from as on others. The members are the pick, and what islands found that
//! each did without a fold ([`Apart`]), the most different first, as long as the mean is within the
//! size limit. These may be worse than the pick. Its error is taken to be in the middle between what
//! rows left out say of it, which did see its shape, and what the islands did without them.
//!
//! # Invariant
//! A law stays a law: nothing is averaged where little is left to explain, nor where the pick, found
//! on all rows, is better than what islands had found without some by more than averaging saves.

use std::cmp::Ordering;

use opcodon_expr::Expr;

use crate::config::Config;
use crate::error::SrError;
use crate::linear;
use crate::polish::Polished;
use crate::predict::Predictor;
use crate::present::present;
use crate::problem::{Problem, Rows};
use crate::reach::Reach;
use crate::search::Apart;

/// Share of the target's variance that must be noise.
const NOISY: f64 = 0.05;
/// Share of the error that averaging must save.
const WORTH: f64 = 0.02;

/// A formula and what it says about the rows.
struct Member {
    expr: Expr,
    values: Vec<f64>,
}

/// The mean of the pick and of what islands found up to a size, if that promises to pay, and how
/// many formulas it is the mean of. `losses` are those of the pick on rows left out.
pub(crate) fn blend(
    pick: &Polished,
    losses: &[f64],
    size: usize,
    apart: &Apart,
    rows: &Rows,
    problem: &Problem,
    config: &Config,
) -> Result<Option<(Polished, usize)>, SrError> {
    let promised = linear::mean(&apart.losses[size], None);
    let (_, of_constant) = rows.best_constant();
    if promised < NOISY * of_constant || !config.blend || !config.loss.is_squares() || !pick.tame {
        return Ok(None);
    }
    let columns = rows.column_refs();
    let mut predictor = Predictor::new(&columns, rows.n_rows())?;
    let mut member = |expr: Expr| -> Result<Member, SrError> {
        let values = predictor.predict(&expr)?;
        Ok(Member { expr, values })
    };
    let first = member(pick.expr.clone())?;
    let mut others = Vec::new();
    for formulas in &apart.formulas {
        // By size.
        let Some(found) = formulas.iter().rfind(|c| c.expr.len() <= size) else {
            continue;
        };
        let outer = problem.unscaled(&found.expr, found.score.scale, found.score.offset);
        let other = member(present(&outer, &config.operators))?;
        let off = distance(&first.values, &other.values, rows);
        if off.is_finite() && off > 0.0 {
            others.push((off, other));
        }
    }
    others.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut members = vec![first];
    let mut mean = pick.expr.clone();
    for (_, other) in others {
        members.push(other);
        match mean_of(&members, problem, config) {
            Some(longer) => mean = longer,
            None => {
                members.pop();
            }
        }
    }
    let values = member(mean.clone())?.values;
    let distances = members.iter().map(|m| distance(&values, &m.values, rows));
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let n = members.len() as f64;
    let saved = distances.sum::<f64>() / n;
    let of_pick = f64::midpoint(linear::mean(losses, None), promised).min(promised);
    let lost = (promised - of_pick) * (n - 1.0) / n;
    // Also not where an error is NaN.
    if (saved - lost).partial_cmp(&(WORTH * promised)) != Some(Ordering::Greater) {
        return Ok(None);
    }
    let weights = rows.weights.as_deref();
    let loss = linear::mean(&rows.losses(&values), weights);
    let free = vec![true; mean.n_constants()];
    let model = Polished {
        tame: Reach::new(rows).is_tame(&mean, 1.0, 0.0),
        error: rows.measure.error(loss, of_constant),
        length: pick.length,
        core_size: size,
        standard_errors: vec![None; free.len()],
        free,
        expr: mean,
    };
    Ok(Some((model, members.len())))
}

/// The mean square of differences.
fn distance(a: &[f64], b: &[f64], rows: &Rows) -> f64 {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    linear::spread(&differences, 0.0, rows.weights.as_deref())
}

/// The mean as a formula, if it is allowed.
fn mean_of(members: &[Member], problem: &Problem, config: &Config) -> Option<Expr> {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let share = 1.0 / members.len() as f64;
    let terms: Vec<(Expr, f64)> = members.iter().map(|m| (m.expr.clone(), share)).collect();
    let mean = present(&linear::combination(&terms)?, &config.operators);
    problem.rules.allow(&mean).then_some(mean)
}
