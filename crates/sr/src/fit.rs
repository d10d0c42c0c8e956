//! A fit from beginning to end: problem, seeds, search, polish, choice, report.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use opcodon_expr::{Expr, print};
use serde::{Deserialize, Serialize, Serializer};

use crate::candidate::Candidate;
use crate::checkpoint::{Checkpoint, Save, Writer};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::SrError;
use crate::evaluate::Evaluator;
use crate::present::present;
use crate::problem::{Observations, Problem, Rows};
use crate::report::{Judged, Outcome, Report};
use crate::search::Search;
use crate::starts::Starts;
use crate::stop::StopReason;
use crate::{choose, polish};

/// What is known of a search under way.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// Generations done.
    pub generation: u64,
    /// Formulas evaluated.
    pub evaluations: u64,
    /// Wall-clock time since the start; in JSON, seconds.
    #[serde(serialize_with = "seconds")]
    pub elapsed: Duration,
    /// How much of the budget is spent, from 0 to 1.
    pub fraction: f64,
    /// The front so far, from small to large, judged on the training rows.
    pub front: Vec<FrontEntry>,
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

impl Progress {
    /// One line of JSON, for logs.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Numbers and texts under texts: nothing that JSON has no word for but NaN, which is null.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A formula of the front so far, or one that was visited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FrontEntry {
    /// The formula as text, in the units and names of the table.
    pub formula: String,
    /// Its nodes.
    pub size: usize,
    /// Coefficient of determination on the training rows; of a formula that was visited, on the
    /// rows of the search.
    pub r2: f64,
}

impl FrontEntry {
    fn new(candidate: &Candidate, problem: &Problem, config: &Config) -> Self {
        let Candidate { expr, score, .. } = candidate;
        let outer = problem.unscaled(expr, score.scale, score.offset);
        let outer = present(&outer, &config.operators);
        Self {
            formula: print::infix(&problem.in_table(&outer), &problem.names),
            size: outer.len(),
            r2: 1.0 - score.error,
        }
    }
}

/// A function that is told how a search is going.
pub type Observer<'a> = dyn FnMut(&Progress) + Send + 'a;

/// What a caller can attach to a fit.
#[derive(Default)]
pub struct Hooks<'a> {
    /// Called between generations, a few times a second, on the calling thread.
    pub progress: Option<&'a mut Observer<'a>>,
    /// Set it to get the best so far.
    pub interrupt: Option<Arc<AtomicBool>>,
    /// Given the whole state of the search as text: at its beginning, every so often, and at its
    /// end.
    pub checkpoint: Option<(Duration, Save<'a>)>,
    /// A text that `checkpoint` was given, to go on from there. The table must be the same;
    /// hyper-parameters are those of the text, but for limits and threads. The time starts anew.
    pub resume: Option<&'a str>,
}

/// Finds formulas for the target.
///
/// # Errors
/// Anything wrong with the table or the configuration, located; or the operating system refusing
/// threads or memory for code.
pub fn fit(data: &Observations<'_>, config: &Config) -> Result<Report, SrError> {
    fit_with(data, config, Hooks::default())
}

/// As [`fit`], with a progress callback and a way to stop.
///
/// # Errors
/// As [`fit`].
pub fn fit_with(
    data: &Observations<'_>,
    config: &Config,
    mut hooks: Hooks<'_>,
) -> Result<Report, SrError> {
    let resumed = match hooks.resume {
        Some(text) => Some(Checkpoint::read(text, data, config)?),
        None => None,
    };
    let (kept, begun) = match resumed {
        Some(resumed) => {
            let kept = (resumed.config, resumed.seed);
            (Some(kept), Some((resumed.state, resumed.patience)))
        }
        None => (None, None),
    };
    let config = kept.as_ref().map_or(config, |(config, _)| config);
    config.validate()?;
    let clock = Clock::start(config, hooks.interrupt.take());
    let seed = kept.as_ref().map(|&(_, seed)| seed);
    let seed = seed.or(config.random_state).unwrap_or_else(drawn_seed);
    let problem = Problem::new(data, config, seed)?;
    if problem.is_trivial() {
        return Ok(trivial(&problem, config, seed, &clock));
    }
    let (_, of_constant) = problem.train.best_constant();
    if !of_constant.is_finite() {
        return Err(SrError::Loss {
            text: config.loss.to_string(),
            reason: format!(
                "it is no number for any constant prediction of the target '{}'",
                problem.target_name
            ),
        });
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(config.n_threads())
        .build()
        .map_err(|source| SrError::Threads {
            n_threads: config.n_threads(),
            source,
        })?;
    let searching = clock.for_search();
    let starts = Starts {
        problem: &problem,
        config,
        seed,
        pool: &pool,
        clock: &searching,
    };
    let (mut search, mut patience) = match begun {
        Some((state, patience)) => {
            let search = Search::resume(&problem, config, seed, &pool, state)?;
            (search, patience)
        }
        None => {
            let search = {
                let seeds = |rows: &Rows, scope| starts.of(rows, scope);
                Search::new(&problem, config, seed, &pool, seeds, &searching)?
            };
            (search, Patience::default())
        }
    };
    let mut writer = hooks
        .checkpoint
        .take()
        .map(|to| Writer::new(to, data, config, seed));
    let stop = loop {
        if let Some(writer) = writer.as_mut().filter(|_| !searching.is_over()) {
            writer.take_down(&search, &patience);
        }
        if let Some(reason) = search.epoch(&searching, &clock)? {
            break reason;
        }
        if let Some(observer) = hooks.progress.as_mut() {
            observer(&progress(&search, &problem, config, &clock));
        }
        if patience.is_over(&search, config) {
            break StopReason::TargetError;
        }
    };
    if let Some(mut writer) = writer {
        writer.write();
    }
    let (generations, evaluations) = (search.generation, search.evaluations);
    let found = search.fronts.candidates();
    let visited = search.visited();
    let visited = visited
        .iter()
        .map(|candidate| FrontEntry::new(candidate, &problem, config))
        .collect();
    let learned = search.learned(&clock)?;
    let mut judge = Evaluator::new(problem.train.clone())?;
    let polished = polish::polish(found, &problem, config, &pool, &mut judge, &clock)?;
    let (models, chosen, choice) =
        choose::choose(polished, learned, &problem, config, seed, &pool, &clock)?;
    let outcome = Outcome {
        chosen,
        choice,
        generations,
        evaluations,
        elapsed_s: clock.elapsed().as_secs_f64(),
        stop,
        visited,
    };
    Ok(Report::new(&problem, config, seed, models, outcome))
}

/// A seed for those who gave none; the report tells it.
fn drawn_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library keys its hashers from the operating system's random numbers. Kept below
    // 2^53 so that it survives any reader of JSON.
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
        >> 11
}

/// The report where there is nothing to search for: the mean.
fn trivial(problem: &Problem, config: &Config, seed: u64, clock: &Clock) -> Report {
    let (constant, loss) = problem.unscaled_rows(&problem.train).best_constant();
    let expr = Expr::constant(constant);
    let variance = problem.train.variance();
    let r2 = if variance > 0.0 { 0.0 } else { 1.0 };
    let model = Judged {
        expr,
        loss,
        r2,
        mdl: 0.0,
        bic: 0.0,
        cv_r2: None,
        validation_r2: None,
        test_r2: None,
        standard_errors: vec![None],
        margins: Vec::new(),
    };
    let outcome = Outcome {
        chosen: 0,
        choice: "a constant is the only model".to_owned(),
        generations: 0,
        evaluations: 1,
        elapsed_s: clock.elapsed().as_secs_f64(),
        stop: StopReason::Trivial,
        visited: Vec::new(),
    };
    Report::new(problem, config, seed, vec![model], outcome)
}

/// Generations that the search goes on for each node of a formula that is good enough.
const PATIENCE_PER_NODE: u64 = 3;

/// When enough is enough: the target error was reached, and no shorter formula turned up since.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Patience {
    reached: Option<(u64, usize)>,
}

impl Patience {
    fn is_over(&mut self, search: &Search<'_>, config: &Config) -> bool {
        let Some(target) = config.target_error else {
            return false;
        };
        let good = search.fronts.all.iter().find(|entry| entry.error <= target);
        let Some(size) = good.map(|entry| entry.size) else {
            return false;
        };
        match self.reached {
            Some((since, smallest)) if smallest <= size => {
                // As long again as it took, within reason; a long formula is less likely to be the
                // law itself than something near it.
                let wait = (since / 2).max(PATIENCE_PER_NODE * size as u64);
                search.generation >= since + wait.clamp(10, 200)
            }
            _ => {
                self.reached = Some((search.generation, size));
                false
            }
        }
    }
}

fn progress(search: &Search<'_>, problem: &Problem, config: &Config, clock: &Clock) -> Progress {
    #[expect(clippy::cast_precision_loss, reason = "a share for display")]
    let share = |done: u64, limit: Option<u64>| {
        limit.map_or(0.0, |limit| done as f64 / limit.max(1) as f64)
    };
    let fraction = clock
        .share()
        .max(share(search.generation, config.max_generations))
        .max(share(search.evaluations, config.max_evaluations))
        .min(1.0);
    let entries = search.fronts.all.iter();
    let entries = entries.map(|entry| FrontEntry::new(&entry.genome, problem, config));
    let mut front: Vec<FrontEntry> = entries
        .filter(|entry| entry.size <= config.max_size)
        .collect();
    // Scale and offset lengthen some formulas more than others.
    front.sort_by(|a, b| a.size.cmp(&b.size).then(b.r2.total_cmp(&a.r2)));
    let mut highest = f64::NEG_INFINITY;
    front.retain(|entry| {
        let better = entry.r2 > highest;
        highest = highest.max(entry.r2);
        better
    });
    Progress {
        generation: search.generation,
        evaluations: search.evaluations,
        elapsed: clock.elapsed(),
        fraction,
        front,
    }
}
