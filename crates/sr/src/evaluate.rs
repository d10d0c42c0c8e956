//! Formulas to scores: the one place where the search meets an evaluator.
//!
//! A formula `f` is judged by the best `offset + scale·f`, which has a closed form in the sums
//! Σf, Σf², Σfy; compiled kernels deliver these, a whole population at a time, without writing a
//! column. Constants are fitted on JᵀJ and Jᵀr from compiled kernels too. Where there is no
//! machine code for a processor or an operator, the reference evaluator takes over, and the
//! report says so.
//!
//! The error is the share of the target's variance that is left, `1 - R²`; other losses than
//! squares are brought to the same scale and to least squares by [`crate::loss`], at the cost of
//! several passes that write predictions.
//!
//! # Invariants
//! - A formula that yields NaN or an infinity at any row has error +∞.
//! - The same formula on the same rows gives the same bits, in whatever batch it comes.
//! - When the clock is over, what is left counts as worst. It is looked at every so many rows.

mod reference;

use std::sync::Arc;

use opcodon_expr::{Expr, Node, Op};
use opcodon_jit::{Batch, Goal, NormalEquations, Panel, Scratch};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::constants::{Effort, Fit, LevenbergMarquardt, variances};
use crate::error::SrError;
use crate::fitted::{Fitted, Task};
use crate::linear;
use crate::predict::{Coverage, Predictor, compile_error};
use crate::problem::Rows;
use crate::reweighted::Reweighted;

/// How well `offset + scale · formula` fits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Score {
    /// `1 - R²`; +∞ for what cannot be evaluated.
    pub(crate) error: f64,
    pub(crate) scale: f64,
    pub(crate) offset: f64,
}

impl Score {
    pub(crate) const WORST: Self = Self {
        error: f64::INFINITY,
        scale: 0.0,
        offset: 0.0,
    };
}

/// A formula whose constants were fitted together with scale and offset.
#[derive(Debug, Clone)]
pub(crate) struct Refined {
    pub(crate) expr: Expr,
    pub(crate) score: Score,
}

/// A formula whose free constants were fitted as they stand, without further scaling.
#[derive(Debug, Clone)]
pub(crate) struct Adjusted {
    pub(crate) expr: Expr,
    /// `1 - R²`.
    pub(crate) error: f64,
    /// For each constant the variance that residuals of unit variance give it; 0 where it was held.
    pub(crate) variances: Vec<f64>,
    /// The equations in the free constants.
    pub(crate) normal: NormalEquations,
    /// The variance of residuals.
    pub(crate) dispersion: f64,
}

/// How many times larger than the rounding of its sums an error must be to be read off them.
const DIGITS: f64 = 1e3;

/// A fit that goes on for some formulas when all have had their first steps.
pub(crate) struct GoOn<'a> {
    pub(crate) effort: Effort,
    /// Which, by what was left to all of them: +∞ where a fit was impossible.
    pub(crate) which: &'a mut dyn FnMut(&[f64]) -> Vec<usize>,
}

/// Constants beyond which no normal equations are formed; two go to scale and offset.
const CONSTANTS_MAX: usize = 60;

/// Rows of formulas between two looks at the clock: to look takes as long as a hundred of them.
const UNHURRIED_ROWS: usize = 1 << 14;

/// Rows as kernels read them, and the sums of the target.
#[derive(Debug)]
struct Shared {
    rows: Rows,
    /// Inputs, then the target, then the weights if there are any.
    panel: Option<Panel<f64>>,
    /// Number of rows as a number: the sum of the weights.
    n: f64,
    target_mean: f64,
    target_variance: f64,
}

/// An evaluator on certain rows; one for each thread.
#[derive(Debug)]
pub(crate) struct Evaluator {
    shared: Arc<Shared>,
    coverage: Option<Coverage>,
    batch: Option<Batch<f64>>,
    /// For losses other than squares.
    reweighted: Option<Reweighted>,
    steps: LevenbergMarquardt,
    scratch: Scratch,
}

impl Evaluator {
    pub(crate) fn new(rows: Rows) -> Result<Self, SrError> {
        #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
        let n = rows.n_rows() as f64;
        let weights = rows.weights.as_deref();
        let target_mean = linear::mean(&rows.target, weights);
        let target_variance = linear::spread(&rows.target, target_mean, weights);
        let coverage = Coverage::get();
        let panel = match coverage {
            Some(_) => {
                let mut columns = rows.column_refs();
                columns.push(&rows.target);
                columns.extend(weights);
                // More columns than a kernel reaches: the reference reads any number.
                Panel::from_columns(&columns).ok()
            }
            None => None,
        };
        let shared = Arc::new(Shared {
            rows,
            panel,
            n,
            target_mean,
            target_variance,
        });
        Self::on(shared, coverage)
    }

    fn on(shared: Arc<Shared>, coverage: Option<Coverage>) -> Result<Self, SrError> {
        let batch = match (coverage, &shared.panel) {
            (Some(coverage), Some(_)) => Some(Batch::new(coverage.tier).map_err(compile_error)?),
            _ => None,
        };
        let compiled = coverage.filter(|_| shared.panel.is_some());
        let reweighted = Reweighted::new(&shared.rows, shared.target_mean, compiled)?;
        Ok(Self {
            shared,
            coverage,
            batch,
            reweighted,
            steps: LevenbergMarquardt::default(),
            scratch: Scratch::default(),
        })
    }

    /// Another evaluator on the same rows, for another thread.
    pub(crate) fn sibling(&self) -> Result<Self, SrError> {
        Self::on(Arc::clone(&self.shared), self.coverage)
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.shared.rows
    }

    /// Splits formulas into those that have machine code and those that have not.
    fn compiled(&self, expr: &Expr) -> bool {
        self.batch.is_some() && self.coverage.is_some_and(|coverage| coverage.covers(expr))
    }

    /// Formulas that are evaluated between two looks at the clock.
    fn n_unhurried(&self) -> usize {
        (UNHURRIED_ROWS / self.shared.rows.n_rows().max(1)).max(1)
    }

    fn columns_of_target(&self) -> (u32, Option<u32>, usize) {
        let n_inputs = self.shared.rows.columns.len();
        let target = u32::try_from(n_inputs).unwrap_or(u32::MAX);
        (
            target,
            self.shared.rows.weights.as_ref().map(|_| target + 1),
            n_inputs,
        )
    }

    /// Scores, one for each formula.
    pub(crate) fn scores(&mut self, exprs: &[&Expr], clock: &Clock) -> Result<Vec<Score>, SrError> {
        if self.reweighted.is_some() {
            return self.reweighted_scores(exprs, clock);
        }
        let (target, weight, n_inputs) = self.columns_of_target();
        let n_unhurried = self.n_unhurried();
        let mut scores = vec![Score::WORST; exprs.len()];
        let which: Vec<usize> = (0..exprs.len())
            .filter(|&i| self.compiled(exprs[i]))
            .collect();
        if let (Some(batch), Some(panel)) = (&mut self.batch, &self.shared.panel) {
            let goal = Goal::Moments { target, weight };
            batch.expect_rows(panel.n_rows());
            batch
                .compile(which.iter().map(|&i| exprs[i]), n_inputs, goal)
                .map_err(compile_error)?;
            for (k, &i) in which.iter().enumerate() {
                if k.is_multiple_of(n_unhurried) && clock.is_over() {
                    return Ok(scores);
                }
                let sums = batch.moments(k, panel).map_err(compile_error)?;
                let score = self.shared.score(sums.p, sums.pp, sums.py);
                scores[i] = score.unwrap_or_else(|| self.shared.reference_score(exprs[i]));
            }
        }
        for (i, expr) in exprs.iter().enumerate() {
            if !self.compiled(expr) && !clock.is_over() {
                scores[i] = self.shared.reference_score(expr);
            }
        }
        Ok(scores)
    }

    /// Scores by a loss other than squares: from predictions, row by row.
    fn reweighted_scores(&mut self, exprs: &[&Expr], clock: &Clock) -> Result<Vec<Score>, SrError> {
        let mut scores = vec![Score::WORST; exprs.len()];
        let covered: Vec<bool> = exprs.iter().map(|expr| self.compiled(expr)).collect();
        let Some(reweighted) = &mut self.reweighted else {
            return Ok(scores);
        };
        let rows = &self.shared.rows;
        if let Some((panel, batch)) = &mut reweighted.compiled {
            let which = exprs.iter().zip(&covered).filter(|(_, covered)| **covered);
            batch.expect_rows(panel.n_rows());
            batch
                .compile(
                    which.map(|(expr, _)| *expr),
                    rows.columns.len(),
                    Goal::Predict,
                )
                .map_err(compile_error)?;
        }
        let mut k = 0;
        let mut values = std::mem::take(&mut reweighted.values);
        for ((score, expr), covered) in scores.iter_mut().zip(exprs).zip(covered) {
            if clock.is_over() {
                break;
            }
            match &reweighted.compiled {
                Some((panel, batch)) if covered => {
                    batch
                        .predict(k, panel, &mut values)
                        .map_err(compile_error)?;
                    k += 1;
                }
                _ => expr.eval_columns_into(&rows.column_refs(), &mut values),
            }
            let squares = self.shared.score_of(&values);
            let of_squares = (squares.offset, squares.scale);
            if squares.error.is_finite()
                && let Some((error, (offset, scale))) = reweighted.scaled(&values, of_squares)
            {
                *score = Score {
                    error,
                    scale,
                    offset,
                };
            }
        }
        reweighted.values = values;
        Ok(scores)
    }

    /// Fits the constants of open forms, each together with its scale and offset. `None` where
    /// that is impossible from this start.
    pub(crate) fn refine(
        &mut self,
        starts: &[(&Expr, Score)],
        effort: Effort,
        clock: &Clock,
    ) -> Result<Vec<Option<Refined>>, SrError> {
        self.refine_some_more(starts, effort, None, clock)
    }

    /// The same; then further those that `more` picks by the errors of all.
    pub(crate) fn refine_some_more(
        &mut self,
        starts: &[(&Expr, Score)],
        effort: Effort,
        more: Option<GoOn<'_>>,
        clock: &Clock,
    ) -> Result<Vec<Option<Refined>>, SrError> {
        let total = self.shared.total();
        let of_total = |effort: Effort| Effort {
            rss: effort.rss * total,
            ..effort
        };
        let scaled: Vec<Option<Expr>> = starts
            .iter()
            .map(|&(expr, score)| {
                (score.error.is_finite() && expr.n_constants() <= CONSTANTS_MAX)
                    .then(|| with_scale(expr, score))
                    .flatten()
            })
            .collect();
        let all: Vec<Option<Task<'_>>> = scaled
            .iter()
            .map(|expr| expr.as_ref().map(|expr| (expr, None)))
            .collect();
        let fits = match more {
            None => self.fits(&all, of_total(effort), None, clock)?,
            Some(GoOn {
                effort: more,
                which,
            }) => {
                let go_on = GoOn {
                    effort: of_total(more),
                    which: &mut |left: &[f64]| {
                        let errors: Vec<f64> = left.iter().map(|rss| rss / total).collect();
                        which(&errors)
                    },
                };
                self.fits(&all, of_total(effort), Some(go_on), clock)?
            }
        };
        let refined = starts.iter().zip(fits).map(|(&(expr, _), fit)| {
            let fit = fit?;
            let (inner, outer) = fit.constants.split_at(fit.constants.len() - 2);
            let mut expr = expr.clone();
            expr.set_constants(inner).ok()?;
            let error = fit.normal.rss / total;
            Some(Refined {
                expr,
                score: Score {
                    error,
                    scale: outer[0],
                    offset: outer[1],
                },
            })
        });
        Ok(refined.collect())
    }

    /// Fits the constants marked as free, the others held, without linear scaling. `None` where
    /// the start cannot be evaluated.
    pub(crate) fn adjust(
        &mut self,
        models: &[(&Expr, &[bool])],
        effort: Effort,
        clock: &Clock,
    ) -> Result<Vec<Option<Adjusted>>, SrError> {
        let total = self.shared.total();
        let effort = Effort {
            rss: effort.rss * total,
            ..effort
        };
        let tasks: Vec<Option<Task<'_>>> = models
            .iter()
            .map(|&(expr, free)| {
                let free = free
                    .iter()
                    .enumerate()
                    .filter(|(_, f)| **f)
                    .map(|(i, _)| i)
                    .collect();
                (expr.n_constants() <= CONSTANTS_MAX).then_some((expr, Some(free)))
            })
            .collect();
        let fits = self.fits(&tasks, effort, None, clock)?;
        let adjusted = models
            .iter()
            .zip(&tasks)
            .zip(fits)
            .map(|((&(expr, free), task), fit)| {
                let (fit, (_, positions)) = (fit?, task.as_ref()?);
                let mut constants = expr.constants();
                let mut of_constants = vec![0.0; free.len()];
                for ((&position, &value), variance) in positions
                    .iter()
                    .flatten()
                    .zip(&fit.constants)
                    .zip(variances(&fit.normal))
                {
                    constants[position] = value;
                    of_constants[position] = variance;
                }
                let mut expr = expr.clone();
                expr.set_constants(&constants).ok()?;
                let error = fit.normal.rss / total;
                Some(Adjusted {
                    expr,
                    error,
                    variances: of_constants,
                    normal: fit.normal,
                    dispersion: error * self.shared.target_variance,
                })
            });
        let mut adjusted: Vec<Option<Adjusted>> = adjusted.collect();
        if let Some(reweighted) = &mut self.reweighted {
            let columns = self.shared.rows.column_refs();
            let mut predictor = Predictor::new(&columns, self.shared.rows.n_rows())?;
            for adjusted in adjusted.iter_mut().flatten() {
                let values = predictor.predict(&adjusted.expr)?;
                reweighted.judge.judge(&values);
                adjusted.dispersion = reweighted.judge.dispersion(&values);
            }
        }
        Ok(adjusted)
    }

    /// Levenberg-Marquardt on formulas in the constants at these positions.
    fn fits(
        &mut self,
        tasks: &[Option<Task<'_>>],
        effort: Effort,
        go_on: Option<GoOn<'_>>,
        clock: &Clock,
    ) -> Result<Vec<Option<Fit>>, SrError> {
        let mut fits: Vec<Option<Fit>> = vec![None; tasks.len()];
        let (target, weight, n_inputs) = self.columns_of_target();
        let is_compiled = |i: &usize| {
            tasks[*i]
                .as_ref()
                .is_some_and(|(expr, _)| self.compiled(expr))
        };
        let which: Vec<usize> = (0..tasks.len()).filter(is_compiled).collect();
        // The number that a formula has in the batch.
        let mut numbers: Vec<Option<usize>> = vec![None; tasks.len()];
        for (k, &i) in which.iter().enumerate() {
            numbers[i] = Some(k);
        }
        let exprs = || {
            which
                .iter()
                .filter_map(|&i| tasks[i].as_ref().map(|(expr, _)| *expr))
        };
        if let Some(batch) = &mut self.batch {
            // Losses other than squares have a weight for every row.
            let weight = match self.reweighted {
                Some(_) => Some(target + 1),
                None => weight,
            };
            let goal = Goal::NormalEquations { target, weight };
            batch
                .compile(exprs(), n_inputs, goal)
                .map_err(compile_error)?;
        }
        if let Some(reweighted) = &mut self.reweighted
            && let Some((_, predicting)) = &mut reweighted.compiled
        {
            predicting
                .compile(exprs(), n_inputs, Goal::Predict)
                .map_err(compile_error)?;
        }
        let n_unhurried = self.n_unhurried();
        for (i, task) in tasks.iter().enumerate() {
            if i.is_multiple_of(n_unhurried) && clock.is_over() {
                break;
            }
            if let Some(task) = task {
                fits[i] = self.fit(task, numbers[i], None, effort, clock);
            }
        }
        if let Some(GoOn { effort, which }) = go_on {
            let left: Vec<f64> = fits
                .iter()
                .map(|fit| fit.as_ref().map_or(f64::INFINITY, |fit| fit.normal.rss))
                .collect();
            for i in which(&left) {
                if let (Some(task), Some(begun)) = (&tasks[i], fits[i].take()) {
                    fits[i] = self.fit(task, numbers[i], Some(begun), effort, clock);
                }
            }
        }
        Ok(fits)
    }

    /// One of them, from its constants or from where a fit has got to; `number` is that of its code.
    fn fit(
        &mut self,
        task: &Task<'_>,
        number: Option<usize>,
        begun: Option<Fit>,
        effort: Effort,
        clock: &Clock,
    ) -> Option<Fit> {
        let Self {
            shared,
            batch,
            reweighted,
            steps,
            scratch,
            ..
        } = self;
        let fitted = Fitted {
            task,
            begun,
            effort,
        };
        let (Some(k), Some(batch)) = (number, batch) else {
            return shared.reference_fit(fitted, steps, reweighted.as_mut());
        };
        let total = shared.total();
        // On a million rows one pass takes a while, and a fit takes many.
        let looks = shared.rows.n_rows() >= UNHURRIED_ROWS;
        fitted.run(steps, |theta, normal| {
            if looks && clock.is_over() {
                return None;
            }
            match reweighted {
                Some(reweighted) => reweighted.normal(batch, k, theta, total, scratch, normal),
                None => {
                    batch.set_constants(k, theta).ok()?;
                    let panel = shared.panel.as_ref()?;
                    batch.normal_equations_into(k, panel, scratch, normal).ok()
                }
            }
        })
    }
}

impl Shared {
    /// Linear scaling from the sums Σwf, Σwf², Σwfy. `None` where the values vary so little beside
    /// their mean that the error would be rounding of the sums: where they all but cancel, a
    /// formula that explains nothing more than a line would seem exact.
    fn score(&self, p: f64, pp: f64, py: f64) -> Option<Score> {
        let mean = p / self.n;
        let variance = pp / self.n - mean * mean;
        let covariance = py / self.n - mean * self.target_mean;
        let score = self.scaled(mean, variance, covariance);
        let rounding = f64::EPSILON * mean * mean / variance;
        let told = score.error >= DIGITS * rounding || !score.error.is_finite();
        told.then_some(score)
    }

    /// Linear scaling of values with these moments.
    fn scaled(&self, mean: f64, variance: f64, covariance: f64) -> Score {
        // Below this, little but rounding of the values themselves is left.
        if !(variance > 1e-13 * mean * mean && variance < 1e280 && covariance.is_finite()) {
            return Score::WORST;
        }
        let scale = covariance / variance;
        let explained = scale * covariance;
        let error = (1.0 - explained / self.target_variance).max(0.0);
        if !(error.is_finite() && scale.is_finite()) {
            return Score::WORST;
        }
        Score {
            error,
            scale,
            offset: self.target_mean - scale * mean,
        }
    }

    fn weight(&self, row: usize) -> f64 {
        self.rows.weights.as_ref().map_or(1.0, |w| w[row])
    }

    /// The sum of squares whose error is 1.
    fn total(&self) -> f64 {
        self.n * self.target_variance
    }

    /// Linear scaling of a formula with these values, from their deviations.
    fn score_of(&self, values: &[f64]) -> Score {
        let weights = self.rows.weights.as_deref();
        let mean = linear::mean(values, weights);
        let (mut variance, mut covariance) = (0.0, 0.0);
        for (row, value) in values.iter().enumerate() {
            let deviation = self.weight(row) * (value - mean);
            variance += deviation * (value - mean);
            covariance += deviation * (self.rows.target[row] - self.target_mean);
        }
        self.scaled(mean, variance / self.n, covariance / self.n)
    }
}

/// `expr · scale + offset`, the two being its last constants.
fn with_scale(expr: &Expr, score: Score) -> Option<Expr> {
    let mut nodes = Vec::with_capacity(expr.len() + 4);
    nodes.extend_from_slice(expr.nodes());
    nodes.extend([
        Node::Const(score.scale),
        Node::Op(Op::Mul),
        Node::Const(score.offset),
        Node::Op(Op::Add),
    ]);
    Expr::from_postfix(nodes).ok()
}
