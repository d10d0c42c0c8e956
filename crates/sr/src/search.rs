//! Islands side by side: exchanges, and what is known of all rows.
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
//! # Invariant
//! Between exchanges islands share nothing; exchanges happen between fixed generations.

mod state;

use std::sync::Arc;

use opcodon_data::split::k_fold;
use opcodon_evo::{Migration, Rng, island::Topology, tournament};
use rayon::prelude::*;

use crate::candidate::{Candidate, JUDGING, PERFECT, refit};
use crate::clock::Clock;
use crate::config::{Config, Selection};
use crate::error::SrError;
use crate::evaluate::Evaluator;
use crate::fronts::Fronts;
use crate::island::{Foretold, Island, variation};
use crate::problem::{Problem, Rows};
use crate::reach::Reach;
use crate::rungs::Rungs;
use crate::seeds::Scope;
use crate::stop::StopReason;
use crate::visited::Visited;

pub(crate) use state::State;

/// Rows up to which the search is cross-validated, and from which on there are enough to.
const APART_ROWS: std::ops::RangeInclusive<usize> = 8..=2000;
/// Share of the budget for which islands stay apart.
const APART_SHARE: f64 = 0.5;

/// Share of the variance that is too little to be apart for.
const NEARLY: f64 = 0.02;
/// Nats that a formula saves on all rows for each of its nodes, if it does not fit by chance.
const NATS_PER_NODE: f64 = 20.0;

/// What islands that learned without a fold each say about that fold.
#[derive(Debug, Clone)]
pub(crate) struct Apart {
    /// For each size (of the core, from 0), for each training row the square of the error that the
    /// best formula up to that size makes, learned without the row. In units of the search.
    pub(crate) losses: Vec<Vec<f64>>,
    /// The same where formulas may have poles within reach.
    pub(crate) wild_losses: Vec<Vec<f64>>,
    /// The rows that each island did without.
    pub(crate) folds: Vec<Vec<usize>>,
    /// The tame front of each island, by size.
    pub(crate) formulas: Vec<Vec<Candidate>>,
}

/// How islands learned, and so what can be known of how their formulas do on other rows.
pub(crate) enum Learned {
    /// Each without some rows, on which its formulas were then judged.
    Apart(Apart),
    /// All on all rows, nearly all of which a seed explains.
    Settled,
    /// All on all rows.
    Together,
}

/// Which rows the islands learn from, and why.
enum Stage {
    /// All but those of a fold each.
    Apart(Vec<Vec<usize>>),
    /// All, since being apart is over; this is what it has told.
    United(Apart),
    /// All: they need not be apart, since a seed all but explains the target.
    Settled,
    /// All from the beginning.
    Together,
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
    stage: Stage,
    pool: &'a rayon::ThreadPool,
    judges: Vec<Evaluator>,
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

/// Whether a seed leaves so little to explain that being apart could hardly save any of it: the
/// worst of choices would lose no more than this share, and a law is found sooner on all rows.
fn settles(seed: &Candidate, n_rows: usize) -> bool {
    let error = seed.score.error.max(PERFECT);
    #[expect(clippy::cast_precision_loss, reason = "rows and sizes are small")]
    let (saved, nodes) = (-0.5 * n_rows as f64 * error.ln(), seed.expr.len() as f64);
    let nearly = error <= NEARLY && saved >= NATS_PER_NODE * nodes;
    nearly || seed.is_law(n_rows)
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
        let all_seeds = pool.install(|| seeds(train, Scope::Whole))?;
        let settled = all_seeds.iter().any(|seed| settles(seed, train.n_rows()));
        let stage = match folds(train.n_rows(), config, seed) {
            _ if settled => Stage::Settled,
            Some(folds) => Stage::Apart(folds),
            None => Stage::Together,
        };
        let mut search = Self::empty(problem, config, seed, pool, stage)?;
        for candidate in &all_seeds {
            search.fronts.insert(candidate);
        }
        let (stage, islands) = (&search.stage, &mut search.islands);
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let n_islands = islands.len() as f64;
        pool.install(|| {
            islands.par_iter_mut().try_for_each(|island| match stage {
                Stage::Apart(folds) => {
                    let rows = train.pick(&without(train.n_rows(), &folds[island.index as usize]));
                    let part = f64::from(island.index + 1) / n_islands;
                    island.populate(seed, &seeds(&rows, Scope::Fold(part))?, clock)
                }
                _ => island.populate(seed, &all_seeds, clock),
            })
        })?;
        search.count();
        search.judge(clock)?;
        Ok(search)
    }

    /// Islands without members, on the rows of this stage.
    fn empty(
        problem: &'a Problem,
        config: &'a Config,
        seed: u64,
        pool: &'a rayon::ThreadPool,
        stage: Stage,
    ) -> Result<Self, SrError> {
        let train = &problem.train;
        let reach = Arc::new(Reach::new(train));
        let variation = variation(problem, config)?;
        let shared = Rungs::new(train, config, seed)?;
        let judge = Evaluator::new(train.clone())?;
        let islands = (0..config.islands).map(|index| {
            let rungs = match &stage {
                Stage::Apart(folds) => {
                    let rows = train.pick(&without(train.n_rows(), &folds[index]));
                    Rungs::new(&rows, config, seed)?
                }
                _ => shared.sibling()?,
            };
            let in_folds = matches!(stage, Stage::Apart(_) | Stage::United(_));
            Ok(Island::new(
                index,
                problem,
                config,
                variation.clone(),
                rungs,
                Arc::clone(&reach),
                in_folds && index % 2 == 1,
            ))
        });
        let islands = islands.collect::<Result<_, SrError>>()?;
        let judges = (0..config.islands).map(|_| judge.sibling());
        Ok(Self {
            config,
            seed,
            train,
            islands,
            fronts: Fronts::new(config.max_size, reach),
            generation: 0,
            evaluations: 0,
            judges: judges.collect::<Result<_, _>>()?,
            stage,
            pool,
        })
    }

    /// The best of what the islands have visited, judged on the rows of the search.
    pub(crate) fn visited(&self) -> Visited {
        let mut all = Visited::new(self.config.archive_size, self.config.max_size);
        for candidate in self.islands.iter().flat_map(|island| island.visited.iter()) {
            all.insert(candidate);
        }
        all
    }

    /// How the islands learned, once the search is over.
    pub(crate) fn learned(mut self, clock: &Clock) -> Result<Learned, SrError> {
        Ok(match self.stage {
            Stage::United(apart) => Learned::Apart(apart),
            Stage::Apart(ref mut folds) => {
                let folds = std::mem::take(folds);
                Learned::Apart(self.told_apart(folds, clock)?)
            }
            Stage::Settled => Learned::Settled,
            Stage::Together => Learned::Together,
        })
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
        let Stage::Apart(folds) = &mut self.stage else {
            return Ok(());
        };
        let folds = std::mem::take(folds);
        self.stage = Stage::United(self.told_apart(folds, whole)?);
        let rungs = Rungs::new(self.train, self.config, self.seed)?;
        let known = self.fronts.candidates();
        for island in &mut self.islands {
            island.rungs = rungs.sibling()?;
        }
        self.each_island(|island| island.rejudge(&known, whole))?;
        self.judge(whole)
    }

    /// What each island's formulas say about the rows it has not seen.
    fn told_apart(&mut self, folds: Vec<Vec<usize>>, clock: &Clock) -> Result<Apart, SrError> {
        let (train, max_size) = (self.train, self.config.max_size);
        let told: Vec<Foretold> = self.pool.install(|| {
            self.islands
                .par_iter_mut()
                .zip(&folds)
                .map(|(island, fold)| island.foretell(&train.pick(fold), max_size, clock))
                .collect::<Result<_, SrError>>()
        })?;
        let gathered = |of: fn(&Foretold) -> &Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            let mut losses = vec![vec![0.0; train.n_rows()]; max_size + 1];
            let mut counts = vec![0.0; train.n_rows()];
            for (fold, told) in folds.iter().zip(&told) {
                for (position, &row) in fold.iter().enumerate() {
                    counts[row] += 1.0;
                    for (losses, told) in losses.iter_mut().zip(of(told)) {
                        losses[row] += told[position];
                    }
                }
            }
            for losses in &mut losses {
                for (loss, count) in losses.iter_mut().zip(&counts) {
                    *loss /= f64::max(*count, 1.0);
                }
            }
            losses
        };
        Ok(Apart {
            losses: gathered(|told| &told.losses),
            wild_losses: gathered(|told| &told.wild_losses),
            folds,
            formulas: told.into_iter().map(|told| told.formulas).collect(),
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
        self.count();
        Ok(())
    }

    fn count(&mut self) {
        self.evaluations = self.islands.iter().map(|island| island.evaluations).sum();
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
        // Where generations take long, islands are apart for less than an epoch.
        let pausing = match self.stage {
            Stage::Apart(_) => clock.until_share(APART_SHARE),
            _ => clock.clone(),
        };
        self.each_island(|island| {
            for generation in first..first + steps {
                if pausing.is_over() {
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
        if matches!(self.stage, Stage::Apart(_)) {
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

const MIGRATION_STREAM: u64 = 0xfffe << 48;
