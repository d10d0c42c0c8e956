//! The one model of the front to predict with.

use opcodon_data::split::k_fold;
use opcodon_expr::{Expr, Node};

use crate::clock::Clock;
use crate::config::{Config, Loss, Selection};
use crate::constants::Effort;
use crate::error::SrError;
use crate::evaluate::{Evaluator, Score};
use crate::normal_form::{Normaliser, Slots};
use crate::present::present;
use crate::problem::{Problem, Rows};
use crate::report::Judged;
use crate::search::Candidate;

/// Rows up to which `auto` cross-validates.
const CV_ROWS: usize = 2000;
/// Errors below this share of the variance are rounding, and all the same.
const PERFECT: f64 = 1e-12;

/// Judges the front, and says which model to take and why.
pub(crate) fn choose(
    front: Vec<Candidate>,
    problem: &Problem,
    config: &Config,
    seed: u64,
    judge: &mut Evaluator,
    clock: &Clock,
) -> Result<(Vec<Judged>, usize, String), SrError> {
    let rows = &problem.train;
    let variance = rows.variance();
    let mut front = with_mean(front);
    let few = rows.n_rows() <= CV_ROWS;
    let perfect = front.iter().any(|c| c.score.error <= PERFECT);
    let wanted = match config.model_selection {
        Selection::Auto if few && !perfect => Selection::Cv,
        Selection::Auto => Selection::Mdl,
        other => other,
    };
    let errors = if wanted == Selection::Cv {
        Some(cross_validate(&front, rows, seed, clock)?)
    } else {
        None
    };
    let mut models: Vec<Judged> = Vec::with_capacity(front.len());
    for (index, candidate) in front.iter_mut().enumerate() {
        let Score { scale, offset, error } = candidate.score;
        let expr =
            present(&problem.outer(&candidate.expr, scale, offset), &config.operators);
        let residuals = residuals(candidate, rows);
        let loss = match config.loss {
            Loss::Mse => {
                weighted_mean(residuals.iter().map(|r| r * r), rows)
                    * problem.target_scale
                    * problem.target_scale
            }
            Loss::Mae => weighted_mean(residuals.iter().map(|r| r.abs()), rows) * problem.target_scale,
        };
        let (mdl, bic) = lengths(&expr, error, rows.n_rows(), problem, config);
        let r2_on = |rows: &Option<Rows>| {
            rows.as_ref().map(|rows| {
                let squares = self::residuals(candidate, rows);
                1.0 - weighted_mean(squares.iter().map(|r| r * r), rows) / rows.variance().max(f64::MIN_POSITIVE)
            })
        };
        models.push(Judged {
            expr,
            loss,
            r2: 1.0 - error,
            mdl,
            bic,
            cv_r2: errors.as_ref().map(|e| 1.0 - mean(&e[index]) / variance),
            validation_r2: r2_on(&problem.validation),
            test_r2: r2_on(&problem.test),
        });
    }
    let _ = judge;
    let (chosen, choice) = if problem.validation.is_some() {
        let best = position_of_least(&models, |m| -m.validation_r2.unwrap_or(f64::NEG_INFINITY));
        (best, "chosen by the validation rows".to_owned())
    } else {
        match (wanted, &errors) {
            (Selection::Cv, Some(errors)) => {
                (one_standard_error(errors), "chosen by cross-validation".to_owned())
            }
            (Selection::Bic, _) => {
                (position_of_least(&models, |m| m.bic), "chosen by BIC".to_owned())
            }
            (Selection::Error, _) => {
                (position_of_least(&models, |m| m.loss), "chosen by training error".to_owned())
            }
            (Selection::Score, _) => (by_score(&models), "chosen by score".to_owned()),
            _ => (
                position_of_least(&models, |m| m.mdl),
                "chosen by description length".to_owned(),
            ),
        }
    };
    Ok((models, chosen, choice))
}

/// The front with the mean before all others: the model of size 1 that is always there.
fn with_mean(front: Vec<Candidate>) -> Vec<Candidate> {
    let mean = Candidate {
        expr: Expr::constant(0.0),
        score: Score { error: 1.0, scale: 0.0, offset: 0.0 },
        shape: 0,
    };
    std::iter::once(mean).chain(front.into_iter().filter(|c| c.score.error < 1.0)).collect()
}

fn is_mean(candidate: &Candidate) -> bool {
    candidate.shape == 0
}

fn residuals(candidate: &Candidate, rows: &Rows) -> Vec<f64> {
    let Score { scale, offset, .. } = candidate.score;
    if is_mean(candidate) {
        return rows.target.iter().map(|y| y - offset).collect();
    }
    let values = candidate.expr.eval_columns(&rows.column_refs());
    rows.target.iter().zip(values).map(|(y, v)| y - scale.mul_add(v, offset)).collect()
}

fn weighted_mean(values: impl Iterator<Item = f64>, rows: &Rows) -> f64 {
    let values: Vec<f64> = values.collect();
    crate::linear::mean(&values, rows.weights.as_deref())
}

fn mean(values: &[f64]) -> f64 {
    crate::linear::mean(values, None)
}

fn position_of_least(models: &[Judged], key: impl Fn(&Judged) -> f64) -> usize {
    (0..models.len()).min_by(|&a, &b| key(&models[a]).total_cmp(&key(&models[b]))).unwrap_or(0)
}

/// Description length and BIC in nats.
fn lengths(expr: &Expr, error: f64, n_rows: usize, problem: &Problem, config: &Config) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let (n, size) = (n_rows as f64, expr.len() as f64);
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let symbols = (config.operators.as_slice().len() + problem.inputs.len() + 1) as f64;
    let misfit = 0.5 * n * error.max(PERFECT).ln();
    let mut constants = 0.0;
    let mut free = 0.0;
    for node in expr.nodes() {
        if let Node::Const(value) = *node {
            // A small integer is spelled out; any other number is known to 1/√n.
            if value.fract() == 0.0 && value.abs() < 1000.0 {
                constants += (value.abs() + 1.0).ln();
            } else {
                constants += 0.5 * n.ln() + 1.0;
                free += 1.0;
            }
        }
    }
    (misfit + size * symbols.ln() + constants, 2.0 * misfit + free * n.ln())
}

/// Squared errors of rows left out, averaged over repetitions; one vector for each model.
fn cross_validate(
    front: &[Candidate],
    rows: &Rows,
    seed: u64,
    clock: &Clock,
) -> Result<Vec<Vec<f64>>, SrError> {
    const FOLDS: usize = 5;
    const REPETITIONS: u64 = 3;
    let n_rows = rows.n_rows();
    let folds = FOLDS.min(n_rows);
    let mut normaliser = Normaliser::default();
    let open: Vec<Option<Expr>> = front
        .iter()
        .map(|c| if is_mean(c) { None } else { normaliser.normal_form(&c.expr, Slots::Open).map(|f| f.expr) })
        .collect();
    let mut sums = vec![vec![0.0; n_rows]; front.len()];
    let mut done = 0.0;
    for repetition in 0..REPETITIONS {
        let splits = k_fold(n_rows, folds, seed.wrapping_add(repetition))
            .map_err(|error| SrError::Compile(Box::new(error)))?;
        let mut errors = vec![vec![0.0; n_rows]; front.len()];
        for split in splits {
            let train = rows.pick(&split.train);
            let test = rows.pick(&split.test);
            let mut evaluator = Evaluator::new(train)?;
            let exprs: Vec<&Expr> = open.iter().flatten().collect();
            let scores = evaluator.scores(&exprs, clock)?;
            let starts: Vec<(&Expr, Score)> = exprs.iter().copied().zip(scores.iter().copied()).collect();
            let effort = Effort { passes: 12, tolerance: 1e-6, rss: 0.0 };
            let mut refined = evaluator.refine(&starts, effort, clock)?.into_iter();
            let mut plain = exprs.into_iter().zip(scores);
            let train_mean = mean(&evaluator.rows().target);
            for (index, form) in open.iter().enumerate() {
                let fitted = form.as_ref().and_then(|_| {
                    let (expr, score) = plain.next()?;
                    let refined = refined.next()?;
                    Some(refined.map_or_else(|| (expr.clone(), score), |r| (r.expr, r.score)))
                });
                let values = fitted.map(|(expr, score)| {
                    let values = expr.eval_columns(&test.column_refs());
                    values.into_iter().map(|v| score.scale.mul_add(v, score.offset)).collect::<Vec<_>>()
                });
                for (position, &row) in split.test.iter().enumerate() {
                    let predicted = match &values {
                        Some(values) => values[position],
                        None => train_mean,
                    };
                    let error = (test.target[position] - predicted).powi(2);
                    errors[index][row] = if error.is_finite() { error } else { 1e12 };
                }
            }
        }
        if clock.is_over() && done > 0.0 {
            break;
        }
        for (sum, error) in sums.iter_mut().zip(errors) {
            for (sum, error) in sum.iter_mut().zip(error) {
                *sum += error;
            }
        }
        done += 1.0;
    }
    for sum in &mut sums {
        for value in sum {
            *value /= done;
        }
    }
    Ok(sums)
}

/// The smallest model that is not worse than the best by more than one standard error of the
/// difference.
fn one_standard_error(errors: &[Vec<f64>]) -> usize {
    let means: Vec<f64> = errors.iter().map(|e| mean(e)).collect();
    let best = (0..means.len()).min_by(|&a, &b| means[a].total_cmp(&means[b])).unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    let n = errors[best].len() as f64;
    (0..best)
        .find(|&index| {
            let differences: Vec<f64> =
                errors[index].iter().zip(&errors[best]).map(|(a, b)| a - b).collect();
            let centre = mean(&differences);
            let spread = crate::linear::spread(&differences, centre, None).sqrt();
            centre <= 0.5 * spread / n.sqrt()
        })
        .unwrap_or(best)
}

/// The steepest fall of log loss per node among models within 1.5 of the lowest loss.
fn by_score(models: &[Judged]) -> usize {
    let lowest = models.iter().map(|m| m.loss).fold(f64::INFINITY, f64::min);
    let mut best = (f64::NEG_INFINITY, models.len() - 1);
    for index in 1..models.len() {
        let (a, b) = (&models[index - 1], &models[index]);
        #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
        let nodes = b.expr.len().saturating_sub(a.expr.len()).max(1) as f64;
        let score = (a.loss.max(f64::MIN_POSITIVE) / b.loss.max(f64::MIN_POSITIVE)).ln() / nodes;
        if b.loss <= 1.5 * lowest && score > best.0 {
            best = (score, index);
        }
    }
    best.1
}
