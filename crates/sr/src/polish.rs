//! From the archive of a search to a front worth reading.
//!
//! Every formula is brought into the units of the table, its constants are fitted to convergence
//! on all training rows, and then each constant is asked whether a simple number would do: zero
//! (its term goes), one (the multiplication goes), an integer, a fraction, a multiple of π. The
//! answer is the description length: misfit, nodes and constants in nats (Rissanen; for formulas
//! Bartlett, Desmond & Ferreira 2023). Which number to try is read off the curvature of the misfit
//! (Wald's statistic), so that only promising ones cost a refit.
//!
//! # Invariant
//! Each step lowers the description length, and none of them worsens the fit by more than chance does.

use std::sync::Arc;

use opcodon_expr::{Expr, Node};
use rayon::prelude::*;

use crate::candidate::{Candidate, PERFECT, refit};
use crate::certainty::standard_errors;
use crate::clock::Clock;
use crate::config::Config;
use crate::constants::{self, Effort};
use crate::error::SrError;
use crate::evaluate::{Adjusted, Evaluator};
use crate::fronts::Fronts;
use crate::loss::Measure;
use crate::nice;
use crate::normal_form::{Normaliser, Slots};
use crate::present::present;
use crate::problem::{Problem, Rows};
use crate::reach::Reach;

/// A formula in the units of the table, variables by inner number.
#[derive(Debug, Clone)]
pub(crate) struct Polished {
    pub(crate) expr: Expr,
    /// For each constant whether it was fitted; the others are simple numbers.
    pub(crate) free: Vec<bool>,
    /// `1 - R²` on the training rows.
    pub(crate) error: f64,
    /// Description length in nats.
    pub(crate) length: f64,
    /// Nodes of its core, as the search counts them.
    pub(crate) core_size: usize,
    /// Whether it surely has a value everywhere in the box of the inputs.
    pub(crate) tame: bool,
    /// For each constant, if it was fitted.
    pub(crate) standard_errors: Vec<Option<f64>>,
}

/// Nats for a number to all its digits.
const ANY_NUMBER: f64 = 36.0;

/// What a description length is counted with.
#[derive(Debug, Clone)]
pub(crate) struct Coding {
    n_rows: f64,
    /// Dispersions below this are rounding.
    rounding: f64,
    /// Nats a node.
    node: f64,
    measure: Measure,
    /// The loss of the best constant.
    of_constant: f64,
}

impl Coding {
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    fn new(rows: &Rows, problem: &Problem, config: &Config) -> Self {
        let symbols = config.operators.as_slice().len() + problem.inputs.len() + 1;
        Self {
            n_rows: rows.n_rows() as f64,
            rounding: PERFECT * rows.variance(),
            node: (symbols as f64).ln(),
            measure: rows.measure.clone(),
            of_constant: rows.best_constant().1,
        }
    }

    /// The standard error of a constant.
    fn deviation(&self, dispersion: f64, variance: f64) -> f64 {
        (dispersion.max(self.rounding) * variance).sqrt()
    }

    /// Nats for a fitted constant: as many digits as the data determine.
    fn fitted(value: f64, deviation: f64) -> f64 {
        1.0 + (value.abs() / deviation.max(f64::MIN_POSITIVE))
            .max(1.0)
            .ln()
    }

    /// Nats for all constants of a formula, those that were fitted and simple numbers.
    fn constants(&self, adjusted: &Adjusted, free: &[bool]) -> f64 {
        let constants = adjusted.expr.constants();
        let (fitted, held): (Vec<_>, Vec<_>) = constants.iter().zip(free).partition(|(_, f)| **f);
        let values: Vec<f64> = fitted.iter().map(|(value, _)| **value).collect();
        let dispersion = adjusted.dispersion.max(self.rounding);
        let named = held.iter().map(|(value, _)| nice::cost_of(**value));
        #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
        let n_fitted = values.len() as f64;
        n_fitted
            + constants::nats(&adjusted.normal, &values, dispersion)
            + named.map(|cost| cost.unwrap_or(ANY_NUMBER)).sum::<f64>()
    }

    /// The whole length of a formula whose constants cost this much.
    fn whole(&self, expr: &Expr, error: f64, constants: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
        let nodes = expr.len() as f64;
        self.misfit(error) + nodes * self.node + constants
    }

    /// Nats for what a formula leaves unexplained.
    fn misfit(&self, error: f64) -> f64 {
        let error = error.max(PERFECT);
        self.measure.misfit(self.n_rows, error, self.of_constant)
    }

    fn length(&self, adjusted: &Adjusted, free: &[bool]) -> f64 {
        let constants = self.constants(adjusted, free);
        self.whole(&adjusted.expr, adjusted.error, constants)
    }
}

/// The front of `found`, polished.
pub(crate) fn polish(
    found: Vec<Candidate>,
    problem: &Problem,
    config: &Config,
    pool: &rayon::ThreadPool,
    judge: &mut Evaluator,
    clock: &Clock,
) -> Result<Vec<Polished>, SrError> {
    let front = refitted(found, problem, config, judge, clock)?;
    let rows = problem.unscaled_rows(&problem.train);
    let coding = Coding::new(&rows, problem, config);
    let reach = Reach::new(&rows);
    let evaluator = Evaluator::new(rows)?;
    let polished: Vec<Option<Polished>> = pool.install(|| {
        front
            .par_iter()
            .map(|candidate| {
                let mut evaluator = evaluator.sibling()?;
                let score = candidate.score;
                let outer = problem.unscaled(&candidate.expr, score.scale, score.offset);
                let start = present(&outer, &config.operators);
                let mut polisher = Polisher {
                    coding: &coding,
                    config,
                    evaluator: &mut evaluator,
                    clock,
                    reach: &reach,
                };
                let model = polisher.run(start, score.error)?;
                model.map_or(Ok(None), |model| polisher.collected(model).map(Some))
            })
            .collect::<Result<_, SrError>>()
    })?;
    let kept = polished.into_iter().flatten();
    Ok(fronts_of(
        kept.filter(|m| problem.rules.allow(&m.expr)).collect(),
    ))
}

/// All constants as fitted ones, but for ones: `1/u` is written so, or a held scale has become that.
pub(crate) fn all_free(expr: &Expr) -> Vec<bool> {
    #[expect(clippy::float_cmp, reason = "exactly one is what is meant")]
    let is_free = |c: &f64| c.abs() != 1.0;
    expr.constants().iter().map(is_free).collect()
}

/// Nodes of a formula without its outer scale and offset.
fn core_size(expr: &Expr) -> usize {
    let form = Normaliser::default().normal_form(expr, Slots::Closed);
    form.map_or(0, |form| form.expr.len())
}

/// The front of all models and that of the tame ones, together, by size.
fn fronts_of(mut models: Vec<Polished>) -> Vec<Polished> {
    let by_error = |a: &Polished, b: &Polished| {
        let key = |m: &Polished| (m.expr.len(), m.error.max(PERFECT));
        let ((a_size, a_error), (b_size, b_error)) = (key(a), key(b));
        a_size
            .cmp(&b_size)
            .then(a_error.total_cmp(&b_error))
            .then(a.length.total_cmp(&b.length))
    };
    models.sort_by(by_error);
    let (mut lowest, mut lowest_tame) = (f64::INFINITY, f64::INFINITY);
    models.retain(|model| {
        let error = model.error.max(PERFECT);
        let keep = error < lowest || (model.tame && error < lowest_tame);
        lowest = lowest.min(error);
        if model.tame {
            lowest_tame = lowest_tame.min(error);
        }
        keep
    });
    models
}

/// Constants fitted to convergence on all training rows, still in the units of the search.
fn refitted(
    found: Vec<Candidate>,
    problem: &Problem,
    config: &Config,
    judge: &mut Evaluator,
    clock: &Clock,
) -> Result<Vec<Candidate>, SrError> {
    let effort = Effort {
        passes: 40,
        tolerance: 1e-10,
        rss: 1e-22,
    };
    let mut fronts = Fronts::new(config.max_size + 4, Arc::new(Reach::new(&problem.train)));
    for candidate in &found {
        fronts.insert(candidate);
    }
    for candidate in refit(judge, found, effort, clock)? {
        fronts.insert(&candidate);
    }
    Ok(fronts.candidates())
}

/// One formula on its way to a shorter description.
struct Polisher<'a> {
    coding: &'a Coding,
    config: &'a Config,
    evaluator: &'a mut Evaluator,
    clock: &'a Clock,
    reach: &'a Reach,
}

/// A number that could stand for a constant.
#[derive(Debug, Clone, Copy)]
struct Snap {
    position: usize,
    value: f64,
    /// Nats that are expected to be saved.
    gain: f64,
}

/// Nats that so many true constants take off the misfit where they are fitted all the same: half a
/// nat each, and with all but one chance in twenty no more than this. A few rows leave so much room
/// that a formula's length would pay for a worse fit than that.
#[expect(clippy::cast_precision_loss, reason = "a handful")]
fn tolerable_misfit(n_snapped: usize) -> f64 {
    n_snapped as f64 + 1.0
}

fn count_free(free: &[bool]) -> usize {
    free.iter().filter(|free| **free).count()
}

/// Refits that may fail before a formula is left as it is.
const REFUSALS_MAX: usize = 8;
/// Share of a number that is no difference: seven digits.
const SEVEN_DIGITS: f64 = 1e-7;
/// Nats added to what is certain, so that it is tried first.
const CERTAIN: f64 = 30.0;

impl Polisher<'_> {
    fn run(&mut self, start: Expr, error: f64) -> Result<Option<Polished>, SrError> {
        let free = all_free(&start);
        let Some(mut here) = self.adjust(&start, &free, 30)? else {
            // Not evaluable in these units, or out of time: as the search left it.
            #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
            let constants = ANY_NUMBER * free.len() as f64;
            return Ok(Some(Polished {
                tame: self.reach.is_tame(&start, 1.0, 0.0),
                core_size: core_size(&start),
                length: self.coding.whole(&start, error, constants),
                expr: start,
                standard_errors: vec![None; free.len()],
                free,
                error,
            }));
        };
        let mut free = free;
        let mut length = self.coding.length(&here, &free);
        let (n_free, best_fit) = (count_free(&free), self.coding.misfit(here.error));
        let mut refused: Vec<(u64, u64)> = Vec::new();
        while self.config.snap_constants && refused.len() < REFUSALS_MAX && !self.clock.is_over() {
            let Some(snap) = self.best_snap(&here, &free, &refused) else {
                break;
            };
            let before = here.expr.constants()[snap.position];
            let (expr, snapped_free) = self.snapped(&here.expr, &free, snap);
            let n_snapped = n_free.saturating_sub(count_free(&snapped_free));
            let tolerable = best_fit + tolerable_misfit(n_snapped);
            let there = self.adjust(&expr, &snapped_free, 8)?;
            let there = there.filter(|there| self.coding.misfit(there.error) <= tolerable);
            match there.map(|there| (self.coding.length(&there, &snapped_free), there)) {
                Some((shorter, there)) if shorter < length => {
                    (here, free, length) = (there, snapped_free, shorter);
                }
                _ => refused.push((before.to_bits(), snap.value.to_bits())),
            }
        }
        Ok(Some(Polished {
            tame: self.reach.is_tame(&here.expr, 1.0, 0.0),
            core_size: core_size(&here.expr),
            standard_errors: standard_errors(&here, &free, self.evaluator.rows().n_rows()),
            error: here.error,
            expr: here.expr,
            free,
            length,
        }))
    }

    /// The model, or what it becomes where terms meet over a common denominator: simple numbers make
    /// them cancel.
    fn collected(&mut self, model: Polished) -> Result<Polished, SrError> {
        let operators = &self.config.operators;
        let shorter = present(&model.expr.simplify_algebraic(), operators);
        let known = |node: &Node| match node {
            Node::Op(op) => operators.write(*op) || model.expr.nodes().contains(node),
            _ => true,
        };
        if shorter.len() >= model.expr.len() || !shorter.nodes().iter().all(known) {
            return Ok(model);
        }
        let written = self.run(shorter, model.error)?;
        Ok(written
            .filter(|written| written.length < model.length)
            .unwrap_or(model))
    }

    fn adjust(
        &mut self,
        expr: &Expr,
        free: &[bool],
        passes: usize,
    ) -> Result<Option<Adjusted>, SrError> {
        let effort = Effort {
            passes,
            tolerance: 1e-10,
            rss: 1e-24,
        };
        Ok(self
            .evaluator
            .adjust(&[(expr, free)], effort, self.clock)?
            .pop()
            .flatten())
    }

    /// The snap that promises most.
    fn best_snap(&self, here: &Adjusted, free: &[bool], refused: &[(u64, u64)]) -> Option<Snap> {
        let constants = here.expr.constants();
        let mut best: Option<Snap> = None;
        for (position, &value) in constants.iter().enumerate() {
            if !free[position] {
                continue;
            }
            let deviation = self
                .coding
                .deviation(here.dispersion, here.variances[position]);
            let fitted = Coding::fitted(value, deviation);
            // Beyond five standard errors nothing is saved; below, rounding of the fit itself.
            let tolerance = (5.0 * deviation).max(1e-9 * value.abs());
            let mut offers = vec![];
            offers.extend(nice::near(value, tolerance));
            offers.extend(nice::near(value, 2.0 * deviation + 1e-10 * value.abs()));
            offers.extend(nice::near(value, 1e-8 * value.abs()));
            if value.abs() <= tolerance {
                offers.push(nice::Nice {
                    value: 0.0,
                    cost: -3.0 * self.coding.node,
                });
            }
            if (value.abs() - 1.0).abs() <= tolerance {
                offers.push(nice::Nice {
                    value: value.signum(),
                    cost: -2.0 * self.coding.node,
                });
            }
            for offer in offers {
                if refused.contains(&(value.to_bits(), offer.value.to_bits())) {
                    continue;
                }
                let apart = (offer.value - value).abs();
                let distance = apart / deviation.max(1e-10 * value.abs());
                let mut gain = fitted - offer.cost - 0.5 * distance * distance;
                // Constants that others can make up for look undetermined; if such a one stands at
                // a simple number to seven digits, it is that number.
                if apart <= SEVEN_DIGITS * value.abs() && offer.value != 0.0 {
                    gain += CERTAIN;
                }
                if gain > 0.0 && best.is_none_or(|b| gain > b.gain) {
                    best = Some(Snap {
                        position,
                        value: offer.value,
                        gain,
                    });
                }
            }
        }
        best
    }

    /// The formula with the constant replaced, and with it those that are the same number: each of
    /// them alone is known better than both. It is written anew; which constants remain free.
    fn snapped(&self, expr: &Expr, free: &[bool], snap: Snap) -> (Expr, Vec<bool>) {
        let mut constants = expr.constants();
        let before = constants[snap.position];
        let mut held = Vec::new();
        for (constant, &free) in constants.iter_mut().zip(free) {
            if free && (*constant - before).abs() <= SEVEN_DIGITS * before.abs() {
                *constant = snap.value;
            }
            // Writing anew may merge constants; those that were simple are known by their bits.
            if !free || *constant == snap.value {
                held.push(constant.abs().to_bits());
            }
        }
        let mut replaced = expr.clone();
        if replaced.set_constants(&constants).is_err() {
            return (expr.clone(), free.to_vec());
        }
        let written = present(&replaced, &self.config.operators);
        let free = written
            .nodes()
            .iter()
            .filter_map(|node| match node {
                #[expect(clippy::float_cmp, reason = "exactly one is what is meant")]
                Node::Const(value) => {
                    Some(value.abs() != 1.0 && !held.contains(&value.abs().to_bits()))
                }
                _ => None,
            })
            .collect();
        (written, free)
    }
}
