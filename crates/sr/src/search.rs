//! Islands of formulas under variation and selection.
//!
//! A generation of an island makes as many children as it has members. A child is brought into its
//! normal form and thrown away if its shape was met lately; the others are scored in one batch;
//! their open forms go through a few Levenberg-Marquardt steps in a second batch; and whichever of
//! the two versions of a child pays for its nodes joins the contest. Survivors are the first
//! fronts of (log error, size).
//!
//! Candidates are judged on a sample of rows where the table is long. The archive, shared by all
//! islands, is judged on all training rows, constants refitted.
//!
//! # Invariants
//! - What an island does in a generation depends on its members, its numbers (seed, island,
//!   generation, child) and the rows: never on a thread or on time, unless time is over.
//! - Between exchanges islands share nothing; exchanges happen between fixed generations.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use opcodon_evo::nsga2::Ranking;
use opcodon_evo::{Archive, Migration, Rng, island::Topology, tournament};
use opcodon_expr::{Expr, Op};
use opcodon_gp::{Constants, Limits, PrimitiveSet, Rates, Variation, Workspace, init};
use rayon::prelude::*;

use crate::clock::Clock;
use crate::config::Config;
use crate::constants::Effort;
use crate::error::SrError;
use crate::evaluate::{Evaluator, Score};
use crate::normal_form::{NormalForm, Normaliser, Slots};
use crate::problem::Problem;
use crate::report::StopReason;

/// A formula with the linear scaling that goes with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    /// In closed normal form.
    pub(crate) expr: Expr,
    pub(crate) score: Score,
    pub(crate) shape: u64,
}

/// A hash that is already a hash.
#[derive(Debug, Default, Clone)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

pub(crate) type ByShape<T> = HashMap<u64, T, BuildHasherDefault<Identity>>;

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
/// Differences of the log error below this are no difference.
const LOG_EPSILON: f64 = 1e-4;
/// Errors below this are rounding.
pub(crate) const ERROR_FLOOR: f64 = 1e-14;

/// What an exchange and the caller see of a search.
pub(crate) struct Search<'a> {
    config: &'a Config,
    seed: u64,
    islands: Vec<Island>,
    /// Judged on all training rows.
    pub(crate) archive: Archive<Candidate>,
    pub(crate) generation: u64,
    pub(crate) evaluations: u64,
    pool: &'a rayon::ThreadPool,
    judges: Vec<Evaluator>,
}

struct Island {
    index: u32,
    size: usize,
    members: Vec<Candidate>,
    visits: ByShape<Visit>,
    variation: Variation,
    scorer: Evaluator,
    tuner: Evaluator,
    normaliser: Normaliser,
    space: Workspace,
    tournament_size: usize,
    constant_iterations: usize,
    evaluations: u64,
    /// Members that entered the island's own archive since the last exchange.
    archive: Archive<Candidate>,
    fresh: Vec<Candidate>,
}

impl<'a> Search<'a> {
    /// Islands whose first members are the seeds and random trees.
    pub(crate) fn new(
        problem: &Problem,
        config: &'a Config,
        seed: u64,
        pool: &'a rayon::ThreadPool,
        seeds: &[Candidate],
        clock: &Clock,
    ) -> Result<Self, SrError> {
        let n_rows = problem.train.n_rows();
        let mut order: Vec<usize> = (0..n_rows).collect();
        if n_rows > config.search_rows.min(TUNING_ROWS) {
            Rng::new(seed, SAMPLE_STREAM).shuffle(&mut order);
        }
        let search_rows = problem.train.pick(&order[..n_rows.min(config.search_rows)]);
        let tuning_rows = problem.train.pick(&order[..n_rows.min(TUNING_ROWS)]);
        let max_size = config.max_size;
        let island_size = config.population_size / config.islands;
        let variation = variation(problem, config)?;
        let scorer = Evaluator::new(search_rows)?;
        let tuner = Evaluator::new(tuning_rows)?;
        let judge = Evaluator::new(problem.train.clone())?;
        let islands: Vec<Island> = (0..config.islands)
            .map(|index| {
                Ok(Island {
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                    size: island_size,
                    members: Vec::new(),
                    visits: ByShape::default(),
                    variation: variation.clone(),
                    scorer: scorer.sibling()?,
                    tuner: tuner.sibling()?,
                    normaliser: Normaliser::default(),
                    space: Workspace::new(),
                    tournament_size: config.tournament_size,
                    constant_iterations: config.constant_iterations,
                    evaluations: 0,
                    archive: Archive::new(max_size),
                    fresh: Vec::new(),
                })
            })
            .collect::<Result<_, SrError>>()?;
        let judges = (0..config.islands).map(|_| judge.sibling()).collect::<Result<_, _>>()?;
        let mut search = Self {
            config,
            seed,
            islands,
            archive: Archive::new(max_size),
            generation: 0,
            evaluations: 0,
            pool,
            judges,
        };
        for candidate in seeds {
            search.archive.insert_with(
                candidate.score.error.max(ERROR_FLOOR),
                candidate.expr.len(),
                || candidate.clone(),
            );
        }
        search.each_island(|island| island.populate(seed, seeds, clock))?;
        search.judge(clock)?;
        Ok(search)
    }

    /// One task an island, shared out among the threads.
    fn each_island(
        &mut self,
        task: impl Fn(&mut Island) -> Result<(), SrError> + Sync + Send,
    ) -> Result<(), SrError> {
        let islands = &mut self.islands;
        self.pool.install(|| islands.par_iter_mut().try_for_each(task))?;
        self.evaluations = self.islands.iter().map(|island| island.evaluations).sum();
        Ok(())
    }

    /// Runs until the next exchange; says why if that was the end.
    /// The second clock is that of the whole fit: what was found is judged beyond the search's end.
    pub(crate) fn epoch(
        &mut self,
        clock: &Clock,
        whole: &Clock,
    ) -> Result<Option<StopReason>, SrError> {
        let interval = self.config.migration_interval;
        let limit = self.config.max_generations.unwrap_or(u64::MAX);
        let evaluations_max = self.config.max_evaluations.unwrap_or(u64::MAX);
        // An evaluation limit is looked at after each generation, a barrier that time does not need.
        let steps = if self.config.max_evaluations.is_some() {
            1
        } else {
            interval - self.generation % interval
        };
        let steps = steps.min(limit.saturating_sub(self.generation));
        if self.evaluations >= evaluations_max {
            return Ok(Some(StopReason::Evaluations));
        }
        if steps == 0 {
            return Ok(Some(StopReason::Generations));
        }
        let (first, seed) = (self.generation + 1, self.seed);
        self.each_island(|island| {
            for generation in first..first + steps {
                if clock.is_over() {
                    break;
                }
                island.generation(seed, generation, clock)?;
            }
            Ok(())
        })?;
        self.generation += steps;
        self.judge(whole)?;
        if let Some(reason) = clock.urgent() {
            return Ok(Some(reason));
        }
        self.migrate();
        Ok(None)
    }

    /// Sends members round the ring.
    fn migrate(&mut self) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of an island's size"
        )]
        let n_migrants = (self.islands[0].size as f64 * self.config.migration_fraction) as usize;
        let migration = Migration {
            every: self.config.migration_interval,
            n_migrants,
            topology: Topology::Ring,
        };
        let plan = migration.plan(self.islands.len(), self.generation, self.seed);
        let parcels: Vec<(usize, Vec<Candidate>)> = plan
            .iter()
            .map(|way| {
                let members = &self.islands[way.from].members;
                let stream = MIGRATION_STREAM ^ (self.generation << 16) ^ way.from as u64;
                let mut rng = Rng::new(self.seed, stream);
                let parcel = (0..way.count)
                    .map(|_| {
                        let winner = tournament::select(&mut rng, members.len(), 3, |a, b| a.cmp(&b));
                        members[winner].clone()
                    })
                    .collect();
                (way.to, parcel)
            })
            .collect();
        for (to, parcel) in parcels {
            self.islands[to].members.extend(parcel);
        }
    }

    /// Brings what islands found anew before all training rows.
    fn judge(&mut self, clock: &Clock) -> Result<(), SrError> {
        let fresh: Vec<Vec<Candidate>> = self
            .islands
            .iter_mut()
            .map(|island| {
                let archive = &island.archive;
                // What was overtaken within the epoch need not be judged.
                island
                    .fresh
                    .drain(..)
                    .filter(|c| {
                        archive
                            .best_within(c.expr.len())
                            .is_none_or(|best| best.genome.expr == c.expr)
                    })
                    .collect()
            })
            .collect();
        if clock.is_over() {
            // No time to refit: as the search rows judged them.
            for candidate in fresh.into_iter().flatten() {
                let error = candidate.score.error.max(ERROR_FLOOR);
                self.archive.insert(error, candidate.expr.len(), candidate);
            }
            return Ok(());
        }
        let judges = &mut self.judges;
        let judged: Vec<Vec<Candidate>> = self.pool.install(|| {
            judges
                .par_iter_mut()
                .zip(fresh)
                .map(|(judge, fresh)| refit(judge, fresh, JUDGING, clock))
                .collect::<Result<_, SrError>>()
        })?;
        for candidate in judged.into_iter().flatten() {
            let error = candidate.score.error.max(ERROR_FLOOR);
            self.archive.insert(error, candidate.expr.len(), candidate);
        }
        Ok(())
    }
}

/// What a candidate for the archive may cost.
const JUDGING: Effort = Effort { passes: 8, tolerance: 1e-6, rss: ERROR_FLOOR * 1e-3 };

const SAMPLE_STREAM: u64 = u64::MAX - 1;
const MIGRATION_STREAM: u64 = 0xfffe << 48;

/// Refits the constants of closed forms on a judge's rows; a fit that fails leaves the candidate
/// with the constants it has.
pub(crate) fn refit(
    judge: &mut Evaluator,
    candidates: Vec<Candidate>,
    effort: Effort,
    clock: &Clock,
) -> Result<Vec<Candidate>, SrError> {
    let exprs: Vec<&Expr> = candidates.iter().map(|c| &c.expr).collect();
    let before = judge.scores(&exprs, clock)?;
    let starts: Vec<(&Expr, Score)> = exprs.into_iter().zip(before.iter().copied()).collect();
    let refined = judge.refine(&starts, effort, clock)?;
    let mut normaliser = Normaliser::default();
    let mut out = Vec::with_capacity(candidates.len());
    let mut again = Vec::new();
    for ((candidate, score), refined) in candidates.into_iter().zip(before).zip(refined) {
        if let Some(refined) = refined.filter(|r| r.score.error < score.error)
            && let Some(form) = normaliser.normal_form(&refined.expr, Slots::Closed)
        {
            again.push(Candidate { expr: form.expr, score: Score::WORST, shape: form.shape });
        }
        out.push(Candidate { score, ..candidate });
    }
    let exprs: Vec<&Expr> = again.iter().map(|c| &c.expr).collect();
    let scores = judge.scores(&exprs, clock)?;
    out.extend(again.into_iter().zip(scores).map(|(c, score)| Candidate { score, ..c }));
    out.retain(|c| c.score.error.is_finite());
    Ok(out)
}

/// What trees are made of and how they vary.
fn variation(problem: &Problem, config: &Config) -> Result<Variation, SrError> {
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
        .constants(Constants::Normal { mean: 0.0, std_dev: 2.0 }, 0.15 * n_variables)
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
    /// The first members: seeds, and random trees of small to middling size.
    fn populate(&mut self, seed: u64, seeds: &[Candidate], clock: &Clock) -> Result<(), SrError> {
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
        self.members =
            seeds.iter().zip(scores).map(|(c, score)| Candidate { score, ..c.clone() }).collect();
        self.contest(forms, clock)
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
        let visit = self.visits.entry(form.shape).or_insert(Visit { generation, count: 0 });
        if visit.count >= VISITS_MAX {
            return None;
        }
        visit.count += 1;
        visit.generation = generation;
        Some(form)
    }

    fn generation(&mut self, seed: u64, generation: u64, clock: &Clock) -> Result<(), SrError> {
        if generation.is_multiple_of(8) {
            self.visits.retain(|_, visit| visit.generation + MEMORY > generation);
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
            let plain = Candidate { expr: form.expr, score, shape: form.shape };
            let winner = match tuned {
                Some(tuned) if pays(&tuned, &plain, n_rows) => tuned,
                _ => plain,
            };
            if !winner.score.error.is_finite() {
                continue;
            }
            let error = winner.score.error.max(ERROR_FLOOR);
            if self.archive.insert_with(error, winner.expr.len(), || winner.clone()) {
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
        let mut which = Vec::new();
        let mut open = Vec::new();
        for (index, (form, score)) in forms.iter().zip(scores).enumerate() {
            if score.error.is_finite()
                && let Some(opened) = self.normaliser.normal_form(&form.expr, Slots::Open)
                && opened.expr.n_constants() > 0
            {
                which.push(index);
                open.push(opened.expr);
            }
        }
        let starts = self.tuner.scores(&open.iter().collect::<Vec<_>>(), clock)?;
        let starts: Vec<(&Expr, Score)> = open.iter().zip(starts).collect();
        let effort =
            Effort { passes: self.constant_iterations + 1, tolerance: 1e-4, rss: ERROR_FLOOR };
        let refined = self.tuner.refine(&starts, effort, clock)?;
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
            tuned[index] = Some(Candidate { expr: form.expr, score, shape: form.shape });
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
    members.iter().map(|c| [c.score.error.max(ERROR_FLOOR).ln(), c.expr.len() as f64]).collect()
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
    chosen.into_iter().filter_map(|index| slots[index].take()).collect()
}
