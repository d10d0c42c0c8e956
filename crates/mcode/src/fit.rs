//! From a table to a front of genomes: the fit that the faces offer.
//!
//! The search judges a genome by the best straight line from its values to the target (unless
//! told otherwise). At the end that line becomes part of each genome of the front, introns are
//! left out, constants are refitted once more, and the error is computed from the genome as it
//! then is, in the units of the table.
//!
//! # Invariant
//! A report is a function of data, settings and seed, unless the time or an interrupt ended the
//! search.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use opcodon_evo::{Archive, Rng, Stop};
use opcodon_expr::Expr;
use serde::{Deserialize, Serialize};

use crate::ancestors::ancestors;
use crate::batch::Batch;
use crate::blocks::Blocks;
use crate::config::{Config, Kind};
use crate::evolve::constants::descend;
use crate::evolve::{self, Born, Islands, Settings, State, Variation};
use crate::genome::Genome;
use crate::individual::Individual;
use crate::kernel::Fold;
use crate::linear::LinearCode;
use crate::repertoire::Repertoire;
use crate::report::{self, Model, Outcome, Report};
use crate::tree::TreeCode;
use crate::{McodeError, Tier};

/// A table: inputs and a target.
#[derive(Clone, Debug)]
pub struct Observations<'a> {
    /// Names of the inputs.
    pub names: Vec<String>,
    /// The inputs.
    pub columns: Vec<Cow<'a, [f64]>>,
    /// Name of the target.
    pub target_name: String,
    /// The target.
    pub target: Cow<'a, [f64]>,
    /// By how much the error of each row counts; the same for all without. Rows of weight 0 are
    /// left out.
    pub weights: Option<Cow<'a, [f64]>>,
}

/// How far a fit is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Steps of every island.
    pub step: u64,
    /// Genomes run.
    pub evaluations: u64,
    /// Time since the start.
    pub elapsed: Duration,
    /// How much of the run is over, from 0 to 1.
    pub fraction: f64,
    /// The best so far.
    pub best: Option<Model>,
}

/// Takes the state of a search as text.
pub type Save<'a> = &'a mut dyn FnMut(&str);

/// What the caller of a fit wants to hear and to say.
#[derive(Default)]
pub struct Hooks<'a> {
    /// Called a few times a second.
    pub progress: Option<&'a mut dyn FnMut(&Progress)>,
    /// Set by somebody else (Ctrl-C) to ask for the best so far.
    pub interrupt: Option<Arc<AtomicBool>>,
    /// Given the whole state of the search as text: at its beginning, so that whoever cannot keep it
    /// may break off at once, every so often, and at its end.
    pub checkpoint: Option<(Duration, Save<'a>)>,
    /// A text that `checkpoint` was given, to go on from there. The table must be the same;
    /// settings are those of the text, but for limits and threads. The time starts anew.
    pub resume: Option<&'a str>,
}

/// Time between two calls of the progress hook.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// Evolves machine code that predicts the target.
///
/// ```
/// use opcodon_mcode::{Config, fit::{Hooks, Observations, fit}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if opcodon_mcode::Tier::best().is_err() { return Ok(()) }
/// let x: Vec<f64> = (-20..=20).map(f64::from).collect();
/// let y: Vec<f64> = x.iter().map(|x| 2.5 * x * x - 7.0).collect();
/// let data = Observations {
///     names: vec!["x".into()],
///     columns: vec![(&x).into()],
///     target_name: "y".into(),
///     target: (&y).into(),
///     weights: None,
/// };
/// let mut config = Config::default();
/// config.set("max_evaluations", "100000")?;
/// config.set("random_state", "1")?;
/// let report = fit(&data, &config, Hooks::default())?;
/// assert!(report.best().r2 > 0.999_999);
/// # Ok(()) }
/// ```
///
/// # Errors
/// If the table or a setting is unusable, the processor lacks vector instructions, or a state to
/// go on from is damaged or belongs to another table.
pub fn fit(
    data: &Observations<'_>,
    config: &Config,
    hooks: Hooks<'_>,
) -> Result<Report, McodeError> {
    let kind = match hooks.resume {
        Some(text) => report::read::<Header>(text, WHAT, VERSION)?.kind,
        None => config.genome,
    };
    match kind {
        Kind::Linear => search::<LinearCode>(data, config, hooks),
        Kind::Tree => search::<TreeCode>(data, config, hooks),
    }
}

/// The format of a written state; since 2 it has births, and how the errors fell.
const VERSION: u32 = 2;
/// How errors name it.
const WHAT: &str = "checkpoint";

/// The part of a written state by which the rest is read.
#[derive(Deserialize)]
struct Header {
    kind: Kind,
}

/// A search written down.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "G: Genome")]
struct Checkpoint<G> {
    version: u32,
    kind: Kind,
    /// Of the table, to tell it from others.
    fingerprint: String,
    seed: u64,
    config: Config,
    state: State<G>,
}

fn search<G: Genome>(
    data: &Observations<'_>,
    config: &Config,
    mut hooks: Hooks<'_>,
) -> Result<Report, McodeError>
where
    Individual: From<G>,
{
    let started = Instant::now();
    check(data)?;
    let fingerprint = fingerprint(data);
    let resumed: Option<Checkpoint<G>> = match hooks.resume {
        Some(text) => Some(report::read(text, WHAT, VERSION)?),
        None => None,
    };
    let mut config = config.clone();
    let mut seed = config
        .random_state
        .unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let state = match resumed {
        Some(stored) if stored.fingerprint != fingerprint => {
            return Err(McodeError::Damaged {
                what: WHAT,
                problem: "it belongs to another table".into(),
            });
        }
        Some(stored) => {
            config = Config {
                time_limit: config.time_limit,
                max_steps: config.max_steps,
                max_evaluations: config.max_evaluations,
                target_error: config.target_error,
                n_jobs: config.n_jobs,
                ..stored.config
            };
            seed = stored.seed;
            Some(stored.state)
        }
        None => None,
    };
    config.validate()?;
    let workshop = Workshop::new(data, &config)?;
    let settings = settings(&config, seed, &workshop, hooks.interrupt.take())?;
    let mut islands = match state {
        Some(state) => Islands::resume(&workshop.centred, settings, state)?,
        None => Islands::<G>::new(&workshop.centred, settings)?,
    };
    let written = |islands: &Islands<G>| {
        let checkpoint = Checkpoint {
            version: VERSION,
            kind: config.genome,
            fingerprint: fingerprint.clone(),
            seed,
            config: config.clone(),
            state: islands.state(),
        };
        serde_json::to_string(&checkpoint).unwrap_or_default()
    };
    let is_due =
        |last: Option<Instant>, every| last.is_none_or(|last: Instant| last.elapsed() >= every);
    let (mut told, mut saved) = (None, None);
    let stop = islands.run(
        &workshop.centred,
        n_threads(config.n_jobs),
        |now, islands| {
            if let Some(progress) = &mut hooks.progress
                && is_due(told, PROGRESS_INTERVAL)
            {
                told = Some(Instant::now());
                progress(&Progress {
                    step: now.step,
                    evaluations: now.evaluations,
                    elapsed: now.elapsed,
                    fraction: now.fraction,
                    best: workshop.models(now.best, 0).unwrap_or_default().pop(),
                });
            }
            if let Some((every, save)) = &mut hooks.checkpoint
                && is_due(saved, *every)
            {
                save(&written(islands));
                saved = Some(Instant::now());
            }
            ControlFlow::Continue(())
        },
    )?;
    if let Some((_, save)) = &mut hooks.checkpoint {
        save(&written(&islands));
    }
    let found = islands.front();
    let front = workshop.front(&found)?;
    let outcome = Outcome {
        names: data.names.clone(),
        target: data.target_name.clone(),
        n_rows: data.target.len(),
        variance: workshop.raw.target_moments().1,
        steps: islands.steps(),
        evaluations: islands.evaluations(),
        curve: islands.curve(),
        ancestors: ancestors(&islands, &found, &data.names),
        elapsed_s: started.elapsed().as_secs_f64(),
        stop,
        seed,
        tier: workshop.tier,
        config,
    };
    Ok(Report::new(front, outcome))
}

/// Threads for a number of jobs.
fn n_threads(n_jobs: i64) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    usize::try_from(n_jobs).unwrap_or_else(|_| all())
}

fn check(data: &Observations<'_>) -> Result<(), McodeError> {
    let (names, columns) = (data.names.len(), data.columns.len());
    if names != columns {
        return Err(McodeError::Names { names, columns });
    }
    let named = data.names.iter().zip(&data.columns);
    for (name, column) in named.chain([(&data.target_name, &data.target)]) {
        if let Some(row) = column.iter().position(|value| !value.is_finite()) {
            return Err(McodeError::NotFinite {
                column: name.clone(),
                row,
                value: column[row],
            });
        }
    }
    if let Some(weights) = &data.weights {
        let bad = |weight: &f64| !(weight.is_finite() && *weight >= 0.0);
        if let Some(row) = weights.iter().position(bad) {
            let value = weights[row];
            return Err(McodeError::Weight { row, value });
        }
        if weights.iter().all(|&weight| weight == 0.0) {
            return Err(McodeError::NoWeight);
        }
    }
    Ok(())
}

/// What tells one table from another.
fn fingerprint(data: &Observations<'_>) -> String {
    opcodon_data::fingerprint(&data.columns, &data.target, data.weights.as_deref())
}

fn settings(
    config: &Config,
    seed: u64,
    workshop: &Workshop<'_>,
    interrupt: Option<Arc<AtomicBool>>,
) -> Result<Settings, McodeError> {
    let mut repertoire = Repertoire::new(workshop.tier, workshop.centred.n_columns())?
        .opcodes(&config.operators.0)
        .constants(
            config.constant_share,
            -config.constant_range,
            config.constant_range,
        );
    if let Some(registers) = config.registers {
        // Narrow tiers have fewer.
        let most = workshop.tier.n_registers();
        repertoire = repertoire.registers(u8::try_from(registers).unwrap_or(most).min(most))?;
    }
    let variance = workshop.centred.target_moments().1;
    Ok(Settings {
        variation: Variation {
            max_slots: config.max_slots,
            max_nodes: config.max_size,
            initial_slots: config.max_slots.min(Variation::default().initial_slots),
            crossover: config.crossover_probability,
            homologous: config.homologous_probability,
            mutation: config.mutation_probability,
        },
        selection: config.selection,
        scaling: config.scaling,
        demes: config.islands,
        epoch: config.migration_interval,
        migrants: config.migrants,
        population: config.population_size,
        tournament: config.tournament_size,
        children: config.children,
        refits: config.constant_iterations,
        record_lineage: config.record_lineage,
        seed,
        stop: Stop {
            time: config
                .time_limit
                .and_then(|s| Duration::try_from_secs_f64(s).ok()),
            generations: config.max_steps,
            evaluations: config.max_evaluations,
            target_error: config.target_error.map(|share| share * variance),
            interrupt,
            ..Stop::default()
        },
        ..evolve::Settings::new(repertoire)
    })
}

/// The table packed for genomes, and what makes models of genomes.
struct Workshop<'a> {
    names: &'a [String],
    tier: Tier,
    /// With the target as it is.
    raw: Blocks,
    /// What the search sees: with the target's mean taken away if errors are scaled, so that sums
    /// cancel less.
    centred: Blocks,
    /// The mean that was taken away.
    mean: f64,
    /// How the search judges.
    fold: Fold,
    /// Whether births are recorded.
    is_recorded: bool,
}

impl<'a> Workshop<'a> {
    fn new(data: &'a Observations<'_>, config: &Config) -> Result<Workshop<'a>, McodeError> {
        let tier = Tier::best()?;
        let weights = data.weights.as_deref();
        // What does not count may be where a formula has no value.
        let counts = |row: usize| weights.is_none_or(|weights| weights.get(row) != Some(&0.0));
        let kept = |column: &[f64]| -> Vec<f64> {
            let rows = column.iter().enumerate();
            rows.filter(|(row, _)| counts(*row))
                .map(|(_, &value)| value)
                .collect()
        };
        let columns: Vec<Vec<f64>> = data.columns.iter().map(|column| kept(column)).collect();
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let (target, weights) = (kept(&data.target), weights.map(kept));
        let weights = weights.as_deref();
        let raw = Blocks::weighted(tier, &columns, Some(&target), weights)?;
        let fold = if config.scaling {
            Fold::Moments
        } else {
            Fold::Squares
        };
        let mean = if config.scaling {
            raw.target_moments().0
        } else {
            0.0
        };
        let centred: Vec<f64> = target.iter().map(|y| y - mean).collect();
        Ok(Workshop {
            names: &data.names,
            tier,
            centred: Blocks::weighted(tier, &columns, Some(&centred), weights)?,
            raw,
            mean,
            fold,
            is_recorded: config.record_lineage,
        })
    }

    /// The models that a genome is in the table's units, its constants moved as often as said: on
    /// the best line through the origin, and on the best line, if it has values.
    fn models<G: Genome>(&self, genome: &G, refits: usize) -> Result<Vec<Model>, McodeError>
    where
        Individual: From<G>,
    {
        let n_columns = self.raw.n_columns();
        let mut genome = genome.clone();
        let mut batch = Batch::new(self.tier, n_columns, self.fold)?;
        batch.load([genome.code()])?;
        let loss = batch.loss(0, &self.centred)?;
        let mut constants = genome.code().constants().to_vec();
        let (mut rng, times) = (Rng::new(0, 0), refits * constants.len());
        descend(
            &batch,
            0,
            &self.centred,
            &mut constants,
            loss,
            times,
            &mut rng,
        )?;
        genome.constants_mut().copy_from_slice(&constants);
        let lines = match self.fold {
            Fold::Moments => {
                let line = batch.line(0, &self.centred, &constants)?;
                let origin = batch.line(0, &self.raw, &constants)?.through_origin;
                vec![(origin, 0.0), (line.slope, line.intercept + self.mean)]
            }
            _ => vec![(1.0, 0.0)],
        };
        let mut batch = Batch::new(self.tier, n_columns, Fold::Squares)?;
        let mut loss_of = |genome: &G| {
            batch.load([genome.code()])?;
            batch.loss(0, &self.raw)
        };
        let mut models = Vec::new();
        for (slope, intercept) in lines {
            let Some(mut exact) = genome.finished(slope, intercept) else {
                continue;
            };
            let mut loss = loss_of(&exact)?;
            // Constants of a few digits, if they do as well.
            if refits > 0
                && let Some(round) = rounded(&genome, slope, intercept)
            {
                let rounding = 1e-20 * self.raw.target_moments().1;
                let found = loss_of(&round)?;
                if found <= loss * (1.0 + 1e-9) + rounding {
                    (exact, loss) = (round, found);
                }
            }
            if !loss.is_nan() {
                models.extend(Model::new(exact.into(), self.names, loss));
            }
        }
        Ok(models)
    }

    /// The models of a search, from small to large, each better than all before it. The first is
    /// the target's mean.
    fn front<G: Genome>(&self, found: &Archive<Born<G>>) -> Result<Vec<Model>, McodeError>
    where
        Individual: From<G>,
    {
        const REFITS: usize = 20;
        let mut front = Archive::new(usize::MAX);
        let mean = Expr::constant(self.raw.target_moments().0);
        let mean = G::from_expression(&mean, self.tier, self.raw.n_columns())?;
        let variance = self.raw.target_moments().1;
        let mean = Model::new(mean.into(), self.names, variance);
        let mut models: Vec<Model> = mean.into_iter().collect();
        for entry in found.iter() {
            let born = &entry.genome;
            let birth = self.is_recorded.then_some(born.birth);
            let made = self.models(&born.genome, REFITS)?.into_iter();
            models.extend(made.map(|model| Model { birth, ..model }));
        }
        for model in models {
            front.insert(model.loss, model.size, model);
        }
        let entries = front.into_entries().into_iter();
        Ok(entries.map(|entry| entry.genome).collect())
    }
}

/// A finished genome whose constants are rounded to ten digits.
fn rounded<G: Genome>(genome: &G, slope: f64, intercept: f64) -> Option<G> {
    let round = |value| opcodon_expr::print::rounded(value, 10);
    // An offset that is rounding beside the scale is none.
    let intercept = if intercept.abs() < 1e-13 * slope.abs() {
        0.0
    } else {
        intercept
    };
    let mut genome = genome.finished(round(slope), round(intercept))?;
    for constant in genome.constants_mut() {
        *constant = round(*constant);
    }
    Some(genome)
}
