//! One population: parents, children, and which of them live on.
//!
//! A generation of an island makes as many children as it has members. A child is brought into its
//! normal form and thrown away if its shape was met lately; the others are scored in one batch;
//! those that come near the best of their size have the constants of their open forms fitted in a
//! few Levenberg-Marquardt steps in a second batch; and whichever of the two versions of a child
//! pays for its nodes joins the contest. Survivors are the first fronts of (log error, size).
//!
//! # Invariant
//! What an island does in a generation depends on its members, its numbers (seed, island,
//! generation, child) and the rows: never on a thread or on time, unless time is over.

use std::sync::Arc;

use opcodon_evo::nsga2::Ranking;
use opcodon_evo::{Archive, Rng, tournament};
use opcodon_expr::{Expr, Interval, Op};
use opcodon_gp::{Constants, Limits, PrimitiveSet, Rates, Variation, Workspace, init};

use crate::candidate::{ByShape, Candidate, ERROR_FLOOR, JUDGING, refit};
use crate::clock::Clock;
use crate::config::Config;
use crate::constants::Effort;
use crate::error::SrError;
use crate::evaluate::{Evaluator, Refined, Score};
use crate::fronts::{self, Fronts};
use crate::normal_form::{NormalForm, Normaliser, Slots};
use crate::problem::{Problem, Rows};

/// When a shape was met last, and how often since it was last forgotten.
#[derive(Debug, Clone, Copy)]
struct Visit {
    generation: u64,
    count: u32,
}

/// A shape may be tried this often: its constants start elsewhere each time.
const VISITS_MAX: u32 = 3;
/// Generations after which a shape is forgotten: what did not help then may help now.
const MEMORY: u64 = 60;
/// Draws of a child before a duplicate is given up on.
const DRAWS_MAX: usize = 5;
/// Rows that constants are fitted on during the search; more make a step dearer, not better.
const TUNING_ROWS: usize = 400;
/// One in so many new formulas has its constants fitted, those that come nearest to the best of
/// their size as they are: of what enters the archive, nine in ten are among the better half.
const HOPEFUL: usize = 2;
/// One in so many of these has its constants fitted to the end.
const PROMISING: usize = 3;
/// Differences of the log error below this are no difference.
const LOG_EPSILON: f64 = 1e-4;

/// A population and what it works with.
pub(crate) struct Island {
    pub(crate) index: u32,
    pub(crate) size: usize,
    pub(crate) members: Vec<Candidate>,
    visits: ByShape<Visit>,
    variation: Variation,
    pub(crate) scorer: Evaluator,
    pub(crate) tuner: Evaluator,
    normaliser: Normaliser,
    space: Workspace,
    tournament_size: usize,
    constant_iterations: usize,
    pub(crate) evaluations: u64,
    /// Judged on the island's rows.
    pub(crate) fronts: Fronts,
    /// Whether members must have a value everywhere in the box of the inputs.
    tame_only: bool,
    /// Members that entered a front since they were last judged on all rows.
    pub(crate) fresh: Vec<Candidate>,
}

/// Evaluators on a sample of these rows: one to score with, one to tune constants with.
pub(crate) fn evaluators(
    rows: &Rows,
    config: &Config,
    seed: u64,
) -> Result<(Evaluator, Evaluator), SrError> {
    let n_rows = rows.n_rows();
    let mut order: Vec<usize> = (0..n_rows).collect();
    if n_rows > config.search_rows.min(TUNING_ROWS) {
        Rng::new(seed, SAMPLE_STREAM).shuffle(&mut order);
    }
    let scorer = Evaluator::new(rows.pick(&order[..n_rows.min(config.search_rows)]))?;
    let tuner = Evaluator::new(rows.pick(&order[..n_rows.min(TUNING_ROWS)]))?;
    Ok((scorer, tuner))
}

const SAMPLE_STREAM: u64 = u64::MAX - 1;

/// What trees are made of and how they vary.
pub(crate) fn variation(problem: &Problem, config: &Config) -> Result<Variation, SrError> {
    #[expect(clippy::cast_precision_loss, reason = "column counts are small")]
    let n_variables = problem.inputs.len() as f64;
    let mut builder = PrimitiveSet::builder();
    for &op in config.operators.as_slice() {
        // The four that build structure weigh as much as all functions together.
        let weight = match op {
            Op::Add | Op::Sub | Op::Mul | Op::Div => 2.0,
            Op::Square | Op::Sqrt | Op::Exp | Op::Log | Op::Sin | Op::Cos => 1.0,
            _ => 0.25,
        };
        builder = builder.operator(op, weight);
    }
    let set = builder
        .variables(u32::try_from(problem.inputs.len()).unwrap_or(u32::MAX))
        .constants(
            Constants::Normal {
                mean: 0.0,
                std_dev: 2.0,
            },
            0.15 * n_variables,
        )
        .build()
        .map_err(|error| SrError::Compile(Box::new(error)))?;
    let rates = Rates {
        crossover: config.crossover_probability,
        mutation: config.mutation_probability,
        ..Rates::default()
    };
    let limits = Limits::new(config.max_size, config.max_depth);
    Variation::new(set, limits, rates).map_err(|error| SrError::Compile(Box::new(error)))
}

impl Island {
    /// Without members yet; it learns from the rows of its evaluators (see [`evaluators`]).
    pub(crate) fn new(
        index: usize,
        config: &Config,
        variation: Variation,
        (scorer, tuner): (Evaluator, Evaluator),
        reach: Arc<[Interval]>,
        tame_only: bool,
    ) -> Self {
        Self {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            size: config.population_size / config.islands,
            members: Vec::new(),
            visits: ByShape::default(),
            variation,
            scorer,
            tuner,
            normaliser: Normaliser::default(),
            space: Workspace::new(),
            tournament_size: config.tournament_size,
            constant_iterations: config.constant_iterations,
            evaluations: 0,
            fronts: Fronts::new(config.max_size, reach),
            tame_only,
            fresh: Vec::new(),
        }
    }

    /// The first members: seeds, and random trees of small to middling size.
    pub(crate) fn populate(
        &mut self,
        seed: u64,
        seeds: &[Candidate],
        clock: &Clock,
    ) -> Result<(), SrError> {
        let limits = self.variation.limits();
        let largest = limits.max_size.min(15);
        let mut forms = Vec::with_capacity(self.size);
        for child in 0..u32::try_from(self.size).unwrap_or(u32::MAX) {
            let mut rng = self.rng(seed, 0, child);
            for _ in 0..DRAWS_MAX {
                let size = rng.range(1, largest);
                let set = self.variation.set().clone();
                let tree = init::ptc2(&mut rng, &mut self.space, &set, limits, size);
                if let Some(form) = self.admit(&tree, 0) {
                    forms.push(form);
                    break;
                }
            }
        }
        let exprs: Vec<&Expr> = seeds.iter().map(|c| &c.expr).collect();
        let scores = self.scorer.scores(&exprs, clock)?;
        self.members = seeds
            .iter()
            .zip(scores)
            .map(|(c, score)| Candidate { score, ..c.clone() })
            .collect();
        self.contest(forms, clock)
    }

    /// New rows: members are scored anew, and what others found joins them.
    pub(crate) fn rejudge(&mut self, known: &[Candidate], clock: &Clock) -> Result<(), SrError> {
        let mut members = std::mem::take(&mut self.members);
        members.extend_from_slice(known);
        let exprs: Vec<&Expr> = members.iter().map(|c| &c.expr).collect();
        let scores = self.scorer.scores(&exprs, clock)?;
        for (member, score) in members.iter_mut().zip(scores) {
            member.score = score;
        }
        members.retain(|member| member.score.error.is_finite());
        self.visits.clear();
        self.fronts.clear();
        for member in &members {
            self.fronts.insert(member);
        }
        self.members = survivors(members, self.size);
        Ok(())
    }

    /// For each size the losses, at rows not learned from, of the best formula up to that
    /// size by the rows learned from: of the tame ones, and of all.
    pub(crate) fn foretell(
        &mut self,
        unseen: &Rows,
        max_size: usize,
        clock: &Clock,
    ) -> Result<[Vec<Vec<f64>>; 2], SrError> {
        let found = self.fronts.candidates();
        let mut learned = Fronts::new(max_size, Arc::clone(&self.fronts.reach));
        for candidate in refit(&mut self.scorer, found, JUDGING, clock)? {
            learned.insert(&candidate);
        }
        let (constant, of_constant) = self.scorer.rows().best_constant();
        let columns = unseen.column_refs();
        // No formula has a value so wrong that it could outweigh all other rows.
        let ceiling = 1e4 * of_constant;
        let losses = |predicted: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let predictions: Vec<f64> = (0..unseen.n_rows()).map(predicted).collect();
            let losses = unseen.losses(&predictions).into_iter();
            losses
                .map(|loss| if loss < ceiling { loss } else { ceiling })
                .collect()
        };
        let by_size = |learned: &Archive<Candidate>| {
            let mut by_size = vec![losses(&|_| constant)];
            for size in 1..=max_size {
                let entry = learned.best_within(size).filter(|e| e.size == size);
                let next = match entry {
                    Some(entry) => {
                        let Score { scale, offset, .. } = entry.genome.score;
                        let values = entry.genome.expr.eval_columns(&columns);
                        losses(&|row| scale.mul_add(values[row], offset))
                    }
                    None => by_size[size - 1].clone(),
                };
                by_size.push(next);
            }
            by_size
        };
        Ok([by_size(&learned.tame), by_size(&learned.all)])
    }

    /// The random numbers of one child.
    fn rng(&self, seed: u64, generation: u64, child: u32) -> Rng {
        // Islands are told apart by the seed's key, generations and children by the stream.
        let key = seed ^ u64::from(self.index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Rng::for_individual(key, u32::try_from(generation).unwrap_or(u32::MAX), child)
    }

    /// The normal form of a tree, if it is small enough and its shape was not met too often.
    fn admit(&mut self, tree: &Expr, generation: u64) -> Option<NormalForm> {
        let form = self.normaliser.normal_form(tree, Slots::Closed)?;
        let limits = self.variation.limits();
        if form.expr.len() > limits.max_size || form.expr.depth() > limits.max_depth + 2 {
            return None;
        }
        if self.tame_only && !fronts::is_tame(&form.expr, &self.fronts.reach) {
            return None;
        }
        let visit = self.visits.entry(form.shape).or_insert(Visit {
            generation,
            count: 0,
        });
        if visit.count >= VISITS_MAX {
            return None;
        }
        visit.count += 1;
        visit.generation = generation;
        Some(form)
    }

    pub(crate) fn generation(
        &mut self,
        seed: u64,
        generation: u64,
        clock: &Clock,
    ) -> Result<(), SrError> {
        if generation.is_multiple_of(8) {
            self.visits
                .retain(|_, visit| visit.generation + MEMORY > generation);
        }
        let objectives = objectives(&self.members);
        let ranking = Ranking::new(&objectives, [LOG_EPSILON, 0.0]);
        let n = self.members.len();
        let mut forms = Vec::with_capacity(self.size);
        for child in 0..u32::try_from(self.size).unwrap_or(u32::MAX) {
            let mut rng = self.rng(seed, generation, child);
            for _ in 0..DRAWS_MAX {
                let parent = |rng: &mut Rng| {
                    tournament::select(rng, n, self.tournament_size, |a, b| ranking.compare(a, b))
                };
                let (mother, father) = (parent(&mut rng), parent(&mut rng));
                let tree = self
                    .variation
                    .vary(
                        &mut rng,
                        &mut self.space,
                        &self.members[mother].expr,
                        &self.members[father].expr,
                    )
                    .expr;
                if let Some(form) = self.admit(&tree, generation) {
                    forms.push(form);
                    break;
                }
            }
        }
        self.contest(forms, clock)
    }

    /// Scores and tunes new forms, and selects the next members from them and the old ones.
    fn contest(&mut self, forms: Vec<NormalForm>, clock: &Clock) -> Result<(), SrError> {
        let exprs: Vec<&Expr> = forms.iter().map(|f| &f.expr).collect();
        let closed = self.scorer.scores(&exprs, clock)?;
        self.evaluations += forms.len() as u64;
        let tuned = if self.constant_iterations > 0 {
            self.tune(&forms, &closed, clock)?
        } else {
            vec![None; forms.len()]
        };
        #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
        let n_rows = self.scorer.rows().n_rows() as f64;
        for ((form, score), tuned) in forms.into_iter().zip(closed).zip(tuned) {
            let plain = Candidate {
                expr: form.expr,
                score,
                shape: form.shape,
            };
            let winner = match tuned {
                Some(tuned) if pays(&tuned, &plain, n_rows) => tuned,
                _ => plain,
            };
            if !winner.score.error.is_finite()
                || (self.tame_only && !fronts::is_tame(&winner.expr, &self.fronts.reach))
            {
                continue;
            }
            if self.fronts.insert(&winner) {
                self.fresh.push(winner.clone());
            }
            self.members.push(winner);
        }
        self.members = survivors(std::mem::take(&mut self.members), self.size);
        Ok(())
    }

    /// Fits the constants of the open forms and closes them again.
    fn tune(
        &mut self,
        forms: &[NormalForm],
        scores: &[Score],
        clock: &Clock,
    ) -> Result<Vec<Option<Candidate>>, SrError> {
        // How a form compares with the best of its size: below 1 it is a new best.
        let promise = |error: f64, expr: &Expr| {
            let rival = self.fronts.all.best_within(expr.len());
            error / rival.map_or(1.0, |rival| rival.error)
        };
        let mut hopeful: Vec<(f64, usize)> = forms
            .iter()
            .zip(scores)
            .enumerate()
            .filter(|(_, (_, score))| score.error.is_finite())
            .map(|(index, (form, score))| (promise(score.error, &form.expr), index))
            .collect();
        hopeful.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        hopeful.truncate(hopeful.len().div_ceil(HOPEFUL));
        let mut which = Vec::new();
        let mut open = Vec::new();
        for (_, index) in hopeful {
            if let Some(opened) = self
                .normaliser
                .normal_form(&forms[index].expr, Slots::Open)
                .filter(|opened| opened.expr.n_constants() > 0)
            {
                // What the normal form took out of the formula goes to its scaling.
                let Score {
                    scale,
                    offset,
                    error,
                } = scores[index];
                let start = Score {
                    scale: scale * opened.scale,
                    offset: scale.mul_add(opened.offset, offset),
                    error,
                };
                which.push(index);
                open.push((opened.expr, start));
            }
        }
        let starts: Vec<(&Expr, Score)> = open.iter().map(|(expr, start)| (expr, *start)).collect();
        // Two steps show which constants are worth fitting to the end.
        let first = Effort {
            passes: 3.min(self.constant_iterations + 1),
            tolerance: 1e-4,
            rss: ERROR_FLOOR,
        };
        let mut refined = self.tuner.refine(&starts, first, clock)?;
        if self.constant_iterations > 2 {
            let mut ranked: Vec<(f64, usize)> = refined
                .iter()
                .enumerate()
                .filter_map(|(k, refined)| {
                    let refined = refined.as_ref()?;
                    Some((promise(refined.score.error, &refined.expr), k))
                })
                .collect();
            ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            ranked.truncate(ranked.len().div_ceil(PROMISING));
            let best: Vec<Refined> = ranked
                .iter()
                .filter_map(|&(_, k)| refined[k].clone())
                .collect();
            let again: Vec<(&Expr, Score)> = best.iter().map(|r| (&r.expr, r.score)).collect();
            let effort = Effort {
                passes: self.constant_iterations - 1,
                ..first
            };
            let more = self.tuner.refine(&again, effort, clock)?;
            for (&(_, k), more) in ranked.iter().zip(more) {
                if more.is_some() {
                    refined[k] = more;
                }
            }
        }
        let limits = self.variation.limits();
        let mut tuned: Vec<Option<Candidate>> = vec![None; forms.len()];
        let mut again = Vec::new();
        for (index, refined) in which.into_iter().zip(refined) {
            if let Some(refined) = refined
                && let Some(form) = self.normaliser.normal_form(&refined.expr, Slots::Closed)
                && form.expr.len() <= limits.max_size
            {
                again.push((index, form));
            }
        }
        let exprs: Vec<&Expr> = again.iter().map(|(_, form)| &form.expr).collect();
        let scores = self.scorer.scores(&exprs, clock)?;
        self.evaluations += exprs.len() as u64;
        for ((index, form), score) in again.into_iter().zip(scores) {
            tuned[index] = Some(Candidate {
                expr: form.expr,
                score,
                shape: form.shape,
            });
        }
        Ok(tuned)
    }
}

/// Whether `tuned` is enough better than `plain` for its additional nodes (BIC: a constant costs
/// half a log of the rows, and takes two nodes with its operator).
fn pays(tuned: &Candidate, plain: &Candidate, n_rows: f64) -> bool {
    if !tuned.score.error.is_finite() {
        return false;
    }
    let gain =
        (plain.score.error.max(ERROR_FLOOR) / tuned.score.error.max(ERROR_FLOOR)).ln() * n_rows;
    #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
    let nodes = tuned.expr.len() as f64 - plain.expr.len() as f64;
    gain > 0.5 * nodes.max(0.0) * n_rows.ln()
}

fn objectives(members: &[Candidate]) -> Vec<[f64; 2]> {
    #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
    members
        .iter()
        .map(|c| [c.score.error.max(ERROR_FLOOR).ln(), c.expr.len() as f64])
        .collect()
}

/// The best fronts, of each shape and of each error only the smallest.
fn survivors(mut members: Vec<Candidate>, n: usize) -> Vec<Candidate> {
    members.sort_by(|a, b| {
        (a.score.error, a.expr.len())
            .partial_cmp(&(b.score.error, b.expr.len()))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let mut shapes: ByShape<()> = ByShape::default();
    members.retain(|c| shapes.insert(c.shape, ()).is_none());
    // Neighbours in the order of errors: formulas that differ in spelling only.
    let mut kept: Vec<Candidate> = Vec::with_capacity(members.len());
    for candidate in members {
        match kept.last_mut() {
            Some(last)
                if candidate.score.error - last.score.error <= 1e-9 * last.score.error
                    && last.score.error > ERROR_FLOOR =>
            {
                if candidate.expr.len() < last.expr.len() {
                    *last = candidate;
                }
            }
            _ => kept.push(candidate),
        }
    }
    if kept.len() <= n {
        return kept;
    }
    let chosen = Ranking::new(&objectives(&kept), [LOG_EPSILON, 0.0]).survivors(n);
    let mut slots: Vec<Option<Candidate>> = kept.into_iter().map(Some).collect();
    chosen
        .into_iter()
        .filter_map(|index| slots[index].take())
        .collect()
}
