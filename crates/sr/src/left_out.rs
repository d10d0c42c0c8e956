//! What formulas say about rows that their constants were not fitted to.
//!
//! Repeated k-fold cross-validation of the front and of the shrunken linear models it has to beat
//! ([`crate::floor`]). Shapes were selected on all rows, constants are fitted anew without a fold:
//! all of them, since the simple number that a constant was replaced by was read off all rows, too.
//!
//! # Invariant
//! [`LeftOut`] has a vector for each model of the front it was made for, in that order.

use std::cmp::Ordering;

use opcodon_data::split::k_fold;
use opcodon_expr::{Expr, Node, Op};
use rayon::prelude::*;

use crate::blend::blend;
use crate::clock::Clock;
use crate::config::Config;
use crate::constants::Effort;
use crate::error::SrError;
use crate::evaluate::Evaluator;
use crate::floor::{self, Floor};
use crate::linear;
use crate::polish::{Polished, all_free};
use crate::predict::predict;
use crate::present::present;
use crate::problem::{Problem, Rows};
use crate::search::{Apart, without};

const FOLDS: usize = 5;
const REPETITIONS: u64 = 3;
/// Standard errors of the difference within which a smaller model is preferred. A whole one, as
/// the rule of thumb has it, takes the mean where a few odd rows dominate the error.
pub(crate) const INDIFFERENCE: f64 = 0.15;

/// How good a choice promises to be, where the search itself was cross-validated.
#[derive(Clone, Copy)]
pub(crate) struct Honest<'a> {
    /// Nodes of the core that the islands found enough.
    pub(crate) size: usize,
    pub(crate) folds: &'a [Vec<usize>],
    /// For each row, of islands that had not seen it.
    pub(crate) losses: &'a [f64],
}

/// Of one model, for each row what it says when the row is left out, averaged over repetitions.
#[derive(Debug, Clone)]
struct Judgement {
    losses: Vec<f64>,
    /// Distances from the target.
    distances: Vec<f64>,
}

/// Judgements of a front.
pub(crate) struct LeftOut {
    pub(crate) losses: Vec<Vec<f64>>,
    pub(crate) distances: Vec<Vec<f64>>,
    /// Of the floor models that fit into the size limit.
    floors: Vec<(Floor, Judgement)>,
}

impl LeftOut {
    /// Judges the front and the floor models.
    pub(crate) fn new(
        front: &[Polished],
        rows: &Rows,
        config: &Config,
        seed: u64,
        clock: &Clock,
    ) -> Result<Self, SrError> {
        let n_rows = rows.n_rows();
        let mut splits = Vec::new();
        for repetition in 0..REPETITIONS {
            let split = k_fold(n_rows, FOLDS.min(n_rows), seed.wrapping_add(repetition));
            splits.extend(split.map_err(|error| SrError::Compile(Box::new(error)))?);
        }
        let floors: Vec<Floor> = Floor::BOTH
            .into_iter()
            .filter(|f| f.fit(rows, config.max_size).is_some())
            .collect();
        let effort = Effort {
            passes: 10,
            tolerance: 1e-6,
            rss: 0.0,
        };
        // What each model says about the rows of each fold.
        let by_split: Vec<Vec<Vec<f64>>> = splits
            .par_iter()
            .map(|split| {
                let test = rows.pick(&split.test);
                let train = rows.pick(&split.train);
                let linear: Vec<Vec<f64>> = floors
                    .iter()
                    .map(|f| match f.fit(&train, config.max_size) {
                        Some(model) => floor::values(&model, &test),
                        None => vec![f64::NAN; test.n_rows()],
                    })
                    .collect();
                let mut evaluator = Evaluator::new(train)?;
                let refitted = refitted(front, &mut evaluator, effort, clock)?;
                let fitted = refitted.iter().map(|expr| values_on(&test, expr));
                Ok(fitted.chain(linear).collect())
            })
            .collect::<Result<_, SrError>>()?;
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let share = 1.0 / REPETITIONS as f64;
        // A formula without a value on a row left out is worse than any with one.
        let ceiling = 1e6 * rows.best_constant().1;
        let nothing = Judgement {
            losses: vec![0.0; n_rows],
            distances: vec![0.0; n_rows],
        };
        let mut judged = vec![nothing; front.len() + floors.len()];
        for (split, predictions) in splits.iter().zip(by_split) {
            let test = rows.pick(&split.test);
            for (judgement, values) in judged.iter_mut().zip(predictions) {
                let losses = test.losses(&values);
                for (fold_row, &row) in split.test.iter().enumerate() {
                    let loss = losses[fold_row];
                    judgement.losses[row] += share * if loss < ceiling { loss } else { ceiling };
                    judgement.distances[row] +=
                        share * (test.target[fold_row] - values[fold_row]).abs();
                }
            }
        }
        let of_floors = judged.split_off(front.len());
        let (losses, distances) = judged.into_iter().map(|j| (j.losses, j.distances)).unzip();
        Ok(Self {
            losses,
            distances,
            floors: floors.into_iter().zip(of_floors).collect(),
        })
    }

    /// Puts the best floor model into the front and picks it, if it beats the pick.
    pub(crate) fn take_floor(
        &mut self,
        pick: usize,
        honest: Option<Honest<'_>>,
        front: &mut Vec<Polished>,
        rows: &Rows,
        (problem, config): (&Problem, &Config),
    ) -> usize {
        let mean = |errors: &[f64]| linear::mean(errors, None);
        // Where the search itself was cross-validated, both sides are judged on its folds.
        let rival = honest.map_or(&self.losses[pick][..], |honest| honest.losses);
        let judged = self.floors.iter().map(|(floor, judgement)| {
            let losses = match honest {
                Some(Honest { folds, .. }) => floor_losses(*floor, folds, rows, config.max_size),
                None => judgement.losses.clone(),
            };
            (*floor, losses, judgement)
        });
        let Some((floor, of_floor, judgement)) =
            judged.min_by(|a, b| mean(&a.1).total_cmp(&mean(&b.1)))
        else {
            return pick;
        };
        // The formula is what was asked for: as good is good enough. A constant was taken because
        // nothing is better for sure, which holds for planes, too.
        let margin = if front[pick].core_size == 0 {
            1.0
        } else {
            INDIFFERENCE
        };
        let (gain, deviation) = advantage(&of_floor, rival);
        if gain.partial_cmp(&(margin * deviation)) != Some(Ordering::Greater) {
            return pick;
        }
        let Some(model) = floor.fit(rows, config.max_size) else {
            return pick;
        };
        let expr = present(&floor::formula(&model), &config.operators);
        if !problem.rules.allow(&expr) {
            return pick;
        }
        let position = front.partition_point(|m| m.expr.len() < expr.len());
        let free = vec![true; expr.n_constants()];
        let (_, of_constant) = rows.best_constant();
        let losses = rows.losses(&floor::values(&model, rows));
        let loss = linear::mean(&losses, rows.weights.as_deref());
        let error = rows.measure.error(loss, of_constant);
        let length = front[pick].length;
        let core_size = expr.len();
        // Shrunken constants are not where the misfit is least.
        let standard_errors = vec![None; expr.n_constants()];
        let model = Polished {
            expr,
            free,
            error,
            length,
            core_size,
            tame: true,
            standard_errors,
        };
        front.insert(position, model);
        self.losses.insert(position, judgement.losses.clone());
        self.distances.insert(position, judgement.distances.clone());
        position
    }

    /// Puts a mean of formulas ([`crate::blend`]) into the front and picks it, if it pays; what is
    /// promised of it is what islands did at its members' size. Also says of how many it is.
    pub(crate) fn take_blend(
        &mut self,
        pick: usize,
        size: usize,
        apart: &Apart,
        front: &mut Vec<Polished>,
        (rows, problem, config): (&Rows, &Problem, &Config),
    ) -> Result<(usize, usize), SrError> {
        let losses = &self.losses[pick];
        let blend = blend(&front[pick], losses, size, apart, rows, problem, config)?;
        let Some((model, n_members)) = blend else {
            return Ok((pick, 1));
        };
        let position = front.partition_point(|m| m.expr.len() < model.expr.len());
        front.insert(position, model);
        let losses = apart.losses[size].clone();
        self.distances
            .insert(position, losses.iter().map(|loss| loss.sqrt()).collect());
        self.losses.insert(position, losses);
        Ok((position, n_members))
    }
}

/// The formulas with constants fitted to other rows.
fn refitted(
    front: &[Polished],
    evaluator: &mut Evaluator,
    effort: Effort,
    clock: &Clock,
) -> Result<Vec<Expr>, SrError> {
    let starts: Vec<(Expr, Vec<bool>)> = front.iter().map(|m| unsnapped(&m.expr)).collect();
    let models = starts.iter();
    let models: Vec<(&Expr, &[bool])> = models.map(|(expr, free)| (expr, &free[..])).collect();
    let first = evaluator.adjust(&models, effort, clock)?;
    // `x^2` has no derivative by its exponent where `x` is negative: what was held is held.
    let stuck = (0..front.len()).filter(|&index| first[index].is_none());
    let stuck: Vec<(&Expr, &[bool])> = stuck
        .map(|index| (&front[index].expr, &front[index].free[..]))
        .collect();
    let mut second = evaluator.adjust(&stuck, effort, clock)?.into_iter();
    let adjusted = first
        .into_iter()
        .map(|first| first.or_else(|| second.next().flatten()));
    Ok(front
        .iter()
        .zip(adjusted)
        .map(|(model, adjusted)| adjusted.map_or_else(|| model.expr.clone(), |a| a.expr))
        .collect())
}

/// A formula and which of its constants are to be fitted. One that has none left was fitted, too: it
/// gets back a scale and an offset.
fn unsnapped(expr: &Expr) -> (Expr, Vec<bool>) {
    let free = all_free(expr);
    if free.contains(&true) {
        return (expr.clone(), free);
    }
    let mut nodes = expr.nodes().to_vec();
    nodes.extend([Node::Const(1.0), Node::Op(Op::Mul)]);
    nodes.extend([Node::Const(0.0), Node::Op(Op::Add)]);
    let fitted = free.into_iter().chain([true, true]).collect();
    match Expr::from_postfix(nodes) {
        Ok(scaled) => (scaled, fitted),
        Err(_) => (expr.clone(), all_free(expr)),
    }
}

/// How much less the mean of `losses` is than that of `rival`, row by row, and its standard error.
pub(crate) fn advantage(losses: &[f64], rival: &[f64]) -> (f64, f64) {
    let differences: Vec<f64> = rival.iter().zip(losses).map(|(a, b)| a - b).collect();
    let centre = linear::mean(&differences, None);
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    let n = losses.len() as f64;
    let spread = linear::spread(&differences, centre, None).sqrt();
    (centre, spread / n.sqrt())
}

/// Losses of a floor model on folds it does without, averaged where rows are in several.
fn floor_losses(floor: Floor, folds: &[Vec<usize>], rows: &Rows, max_size: usize) -> Vec<f64> {
    let mut sums = vec![0.0; rows.n_rows()];
    let mut counts = vec![0.0; rows.n_rows()];
    for fold in folds {
        let train = rows.pick(&without(rows.n_rows(), fold));
        let test = rows.pick(fold);
        let Some(model) = floor.fit(&train, max_size) else {
            return vec![f64::INFINITY; rows.n_rows()];
        };
        let losses = test.losses(&floor::values(&model, &test));
        for (&row, loss) in fold.iter().zip(losses) {
            sums[row] += loss;
            counts[row] += 1.0;
        }
    }
    let means = sums.iter().zip(&counts).map(|(s, c)| s / f64::max(*c, 1.0));
    means.collect()
}

/// What a formula says for rows; NaN where that cannot be known.
fn values_on(rows: &Rows, expr: &Expr) -> Vec<f64> {
    predict(expr, &rows.column_refs(), rows.n_rows())
        .unwrap_or_else(|_| vec![f64::NAN; rows.n_rows()])
}
