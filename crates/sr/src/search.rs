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
//! Where rows are few, the search itself is cross-validated: until half of the budget is spent each
//! island learns without a fold of its own and exchanges nothing. What its formulas say about the
//! rows it has never seen tells honestly which size pays ([`Apart`]): a cross-validation that only
//! refits constants cannot, because the shapes were selected on all rows. Then all islands get all
//! rows.
//!
//! # Invariants
//! - What an island does in a generation depends on its members, its numbers (seed, island,
//!   generation, child) and the rows: never on a thread or on time, unless time is over.
//! - Between exchanges islands share nothing; exchanges happen between fixed generations.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use opcodon_data::split::k_fold;
use opcodon_evo::nsga2::Ranking;
use opcodon_evo::{Archive, Migration, Rng, island::Topology, tournament};
use opcodon_expr::{Expr, Op};
use opcodon_gp::{Constants, Limits, PrimitiveSet, Rates, Variation, Workspace, init};
use rayon::prelude::*;

use crate::clock::Clock;
use crate::config::{Config, Selection};
use crate::constants::Effort;
use crate::error::SrError;
use crate::evaluate::{Evaluator, Refined, Score};
use crate::fronts::{self, Fronts};
use crate::linear;
use crate::normal_form::{NormalForm, Normaliser, Slots};
use crate::polish::PERFECT;
use crate::problem::{Problem, Rows};
use crate::report::StopReason;
use crate::seeds::Scope;

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
/// One in so many new formulas has its constants fitted, those that come nearest to the best of
/// their size as they are: of what enters the archive, nine in ten are among the better half.
const HOPEFUL: usize = 2;
/// One in so many of these has its constants fitted to the end.
const PROMISING: usize = 3;
/// Differences of the log error below this are no difference.
const LOG_EPSILON: f64 = 1e-4;
/// Errors below this are rounding.
pub(crate) const ERROR_FLOOR: f64 = 1e-14;

/// Rows up to which the search is cross-validated, and from which on there are enough to.
const APART_ROWS: std::ops::RangeInclusive<usize> = 8..=2000;
/// Share of the budget for which islands stay apart.
const APART_SHARE: f64 = 0.5;

/// What islands that learned without a fold each say about that fold.
#[derive(Debug, Clone)]
pub(crate) struct Apart {
    /// For each size (of the core, from 0), for each training row the square of the error that the
    /// best formula up to that size makes, learned without the row. In units of the search.
    pub(crate) squares: Vec<Vec<f64>>,
    /// The same where formulas may have poles within reach.
    pub(crate) wild_squares: Vec<Vec<f64>>,
    /// The rows that each island did without.
    pub(crate) folds: Vec<Vec<usize>>,
}

/// What an exchange and the caller see of a search.
pub(crate) struct Search<'a> {
    config: &'a Config,
    seed: u64,
    train: &'a Rows,
    islands: Vec<Island>,
    /// Judged on all training rows.
    pub(crate) fronts: Fronts,
    pub(crate) generation: u64,
    pub(crate) evaluations: u64,
    /// While islands are apart, the rows that each does without.
    folds: Option<Vec<Vec<usize>>>,
    /// What being apart has told, once it is over.
    pub(crate) apart: Option<Apart>,
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
    /// Judged on the island's rows.
    fronts: Fronts,
    /// Whether members must have a value everywhere in the box of the inputs.
    tame_only: bool,
    /// Members that entered a front since they were last judged on all rows.
    fresh: Vec<Candidate>,
}

/// Evaluators on a sample of these rows: one to score with, one to tune constants with.
fn evaluators(rows: &Rows, config: &Config, seed: u64) -> Result<(Evaluator, Evaluator), SrError> {
    let n_rows = rows.n_rows();
    let mut order: Vec<usize> = (0..n_rows).collect();
    if n_rows > config.search_rows.min(TUNING_ROWS) {
        Rng::new(seed, SAMPLE_STREAM).shuffle(&mut order);
    }
    let scorer = Evaluator::new(rows.pick(&order[..n_rows.min(config.search_rows)]))?;
    let tuner = Evaluator::new(rows.pick(&order[..n_rows.min(TUNING_ROWS)]))?;
    Ok((scorer, tuner))
}

/// Random folds, one an island, where rows are few and the choice is by cross-validation.
fn folds(n_rows: usize, config: &Config, seed: u64) -> Option<Vec<Vec<usize>>> {
    let chooses = matches!(config.model_selection, Selection::Auto | Selection::Cv)
        && config.validation_fraction == 0.0;
    if config.islands < 2 || !APART_ROWS.contains(&n_rows) || !chooses {
        return None;
    }
    let splits = k_fold(n_rows, config.islands.min(n_rows / 2), seed).ok()?;
    let mut folds: Vec<Vec<usize>> = splits.into_iter().map(|split| split.test).collect();
    let n_folds = folds.len();
    // More islands than folds: the others repeat them.
    for island in n_folds..config.islands {
        folds.push(folds[island % n_folds].clone());
    }
    Some(folds)
}

/// Whether a formula is exact, and too short to be so by chance.
fn is_law(candidate: &Candidate, n_rows: usize) -> bool {
    candidate.score.error <= PERFECT && 2 * candidate.expr.len() <= n_rows
}

/// The rows that are not in a fold.
pub(crate) fn without(n_rows: usize, fold: &[usize]) -> Vec<usize> {
    let mut kept = vec![true; n_rows];
    for &row in fold {
        kept[row] = false;
    }
    (0..n_rows).filter(|&row| kept[row]).collect()
}

impl<'a> Search<'a> {
    /// Islands whose first members are seeds, made for an island's rows, and random trees.
    pub(crate) fn new(
        problem: &'a Problem,
        config: &'a Config,
        seed: u64,
        pool: &'a rayon::ThreadPool,
        seeds: impl Fn(&Rows, Scope) -> Result<Vec<Candidate>, SrError> + Sync,
        clock: &Clock,
    ) -> Result<Self, SrError> {
        let train = &problem.train;
        let reach = fronts::reach(train);
        let variation = variation(problem, config)?;
        let all_seeds = pool.install(|| seeds(train, Scope::Whole))?;
        // A law that is known already needs no cross-validation.
        let folds = if all_seeds.iter().any(|seed| is_law(seed, train.n_rows())) {
            None
        } else {
            folds(train.n_rows(), config, seed)
        };
        let shared = evaluators(train, config, seed)?;
        let judge = Evaluator::new(train.clone())?;
        let made: Vec<(Island, Vec<Candidate>)> = pool.install(|| {
            (0..config.islands)
                .into_par_iter()
                .map(|index| {
                    let (scorer, tuner, seeds) = match &folds {
                        Some(folds) => {
                            let rows = train.pick(&without(train.n_rows(), &folds[index]));
                            let (scorer, tuner) = evaluators(&rows, config, seed)?;
                            (scorer, tuner, seeds(&rows, Scope::Fold)?)
                        }
                        None => (shared.0.sibling()?, shared.1.sibling()?, all_seeds.clone()),
                    };
                    let island = Island {
                        index: u32::try_from(index).unwrap_or(u32::MAX),
                        size: config.population_size / config.islands,
                        members: Vec::new(),
                        visits: ByShape::default(),
                        variation: variation.clone(),
                        scorer,
                        tuner,
                        normaliser: Normaliser::default(),
                        space: Workspace::new(),
                        tournament_size: config.tournament_size,
                        constant_iterations: config.constant_iterations,
                        evaluations: 0,
                        fronts: Fronts::new(config.max_size, Arc::clone(&reach)),
                        tame_only: folds.is_some() && index % 2 == 1,
                        fresh: Vec::new(),
                    };
                    Ok((island, seeds))
                })
                .collect::<Result<_, SrError>>()
        })?;
        let (islands, island_seeds): (Vec<Island>, Vec<Vec<Candidate>>) = made.into_iter().unzip();
        let judges = (0..config.islands)
            .map(|_| judge.sibling())
            .collect::<Result<_, _>>()?;
        let mut search = Self {
            config,
            seed,
            train,
            islands,
            fronts: Fronts::new(config.max_size, Arc::clone(&reach)),
            generation: 0,
            evaluations: 0,
            folds,
            apart: None,
            pool,
            judges,
        };
        for candidate in all_seeds {
            search.fronts.insert(&candidate);
        }
        search.each_island(|island| {
            island.populate(seed, &island_seeds[island.index as usize], clock)
        })?;
        search.judge(clock)?;
        Ok(search)
    }

    /// Ends the islands' separation once its share of the budget is spent.
    fn unite(&mut self, whole: &Clock) -> Result<(), SrError> {
        #[expect(clippy::cast_precision_loss, reason = "a share of a limit")]
        let share = |done: u64, limit: Option<u64>| {
            limit.map_or(0.0, |limit| done as f64 / limit.max(1) as f64)
        };
        let spent = whole
            .share()
            .max(share(self.generation, self.config.max_generations))
            .max(share(self.evaluations, self.config.max_evaluations));
        if spent < APART_SHARE {
            return Ok(());
        }
        let Some(folds) = self.folds.take() else {
            return Ok(());
        };
        self.apart = Some(self.told_apart(folds, whole)?);
        let (scorer, tuner) = evaluators(self.train, self.config, self.seed)?;
        let known = self.fronts.candidates();
        for island in &mut self.islands {
            island.scorer = scorer.sibling()?;
            island.tuner = tuner.sibling()?;
        }
        self.each_island(|island| island.rejudge(&known, whole))?;
        self.judge(whole)
    }

    /// What each island's formulas say about the rows it has not seen.
    fn told_apart(&mut self, folds: Vec<Vec<usize>>, clock: &Clock) -> Result<Apart, SrError> {
        let (train, max_size) = (self.train, self.config.max_size);
        let told: Vec<[Vec<Vec<f64>>; 2]> = self.pool.install(|| {
            self.islands
                .par_iter_mut()
                .zip(&folds)
                .map(|(island, fold)| island.foretell(&train.pick(fold), max_size, clock))
                .collect::<Result<_, SrError>>()
        })?;
        let gathered = |kind: usize| -> Vec<Vec<f64>> {
            let mut squares = vec![vec![0.0; train.n_rows()]; max_size + 1];
            let mut counts = vec![0.0; train.n_rows()];
            for (fold, told) in folds.iter().zip(&told) {
                for (position, &row) in fold.iter().enumerate() {
                    counts[row] += 1.0;
                    for (squares, told) in squares.iter_mut().zip(&told[kind]) {
                        squares[row] += told[position];
                    }
                }
            }
            for squares in &mut squares {
                for (square, count) in squares.iter_mut().zip(&counts) {
                    *square /= f64::max(*count, 1.0);
                }
            }
            squares
        };
        Ok(Apart {
            squares: gathered(0),
            wild_squares: gathered(1),
            folds,
        })
    }

    /// One task an island, shared out among the threads.
    fn each_island(
        &mut self,
        task: impl Fn(&mut Island) -> Result<(), SrError> + Sync + Send,
    ) -> Result<(), SrError> {
        let islands = &mut self.islands;
        self.pool
            .install(|| islands.par_iter_mut().try_for_each(task))?;
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
        if self.folds.is_some() {
            self.unite(whole)?;
        } else {
            self.migrate();
        }
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
                        let winner =
                            tournament::select(&mut rng, members.len(), 3, |a, b| a.cmp(&b));
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
                let fronts = &island.fronts;
                // What was overtaken within the epoch need not be judged.
                island
                    .fresh
                    .drain(..)
                    .filter(|c| fronts.holds(&c.expr))
                    .collect()
            })
            .collect();
        if clock.is_over() {
            // No time to refit: as the search rows judged them.
            for candidate in fresh.into_iter().flatten() {
                self.fronts.insert(&candidate);
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
            self.fronts.insert(&candidate);
        }
        Ok(())
    }
}

/// What a candidate for the archive may cost.
const JUDGING: Effort = Effort {
    passes: 8,
    tolerance: 1e-6,
    rss: ERROR_FLOOR * 1e-3,
};

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
            again.push(Candidate {
                expr: form.expr,
                score: Score::WORST,
                shape: form.shape,
            });
        }
        out.push(Candidate { score, ..candidate });
    }
    let exprs: Vec<&Expr> = again.iter().map(|c| &c.expr).collect();
    let scores = judge.scores(&exprs, clock)?;
    out.extend(
        again
            .into_iter()
            .zip(scores)
            .map(|(c, score)| Candidate { score, ..c }),
    );
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
        self.members = seeds
            .iter()
            .zip(scores)
            .map(|(c, score)| Candidate { score, ..c.clone() })
            .collect();
        self.contest(forms, clock)
    }

    /// New rows: members are scored anew, and what others found joins them.
    fn rejudge(&mut self, known: &[Candidate], clock: &Clock) -> Result<(), SrError> {
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

    /// For each size the squared errors, at rows not learned from, of the best formula up to that
    /// size by the rows learned from: of the tame ones, and of all.
    fn foretell(
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
        let weights = self.scorer.rows().weights.clone();
        let mean = linear::mean(&self.scorer.rows().target, weights.as_deref());
        let columns = unseen.column_refs();
        // No formula has a value so wrong that it could outweigh all other rows.
        let ceiling = 1e4 * self.scorer.rows().variance();
        let squares = |predicted: &dyn Fn(usize) -> f64| -> Vec<f64> {
            (0..unseen.n_rows())
                .map(|row| (unseen.target[row] - predicted(row)).powi(2))
                .map(|square| if square < ceiling { square } else { ceiling })
                .collect()
        };
        let by_size = |learned: &Archive<Candidate>| {
            let mut by_size = vec![squares(&|_| mean)];
            for size in 1..=max_size {
                let entry = learned.best_within(size).filter(|e| e.size == size);
                let next = match entry {
                    Some(entry) => {
                        let Score { scale, offset, .. } = entry.genome.score;
                        let values = entry.genome.expr.eval_columns(&columns);
                        squares(&|row| scale.mul_add(values[row], offset))
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

    fn generation(&mut self, seed: u64, generation: u64, clock: &Clock) -> Result<(), SrError> {
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
