//! Evolution of genomes: steady state, as in AIMGP, or NSGA-II; one deme or many.
//!
//! There are no generations in which everything is replaced. Each step breeds a handful of
//! children from a population as it stands, copies them into executable memory at once, runs
//! them, and finds places for them (`deme`). Demes exchange their best now and then (`islands`).
//! The best is never lost unless something at least as good takes its place, and the best formula
//! of each size is kept apart.

pub(crate) mod constants;
mod deme;
mod islands;
mod lineage;

use std::ops::ControlFlow;
use std::time::Duration;

use opcodon_evo::{Reason, Stop};

use crate::McodeError;
use crate::blocks::Blocks;
use crate::genome::Genome;
use crate::repertoire::Repertoire;

pub use crate::variation::Variation;
pub use deme::Born;
use deme::{CHILD_BITS, MAX_DEMES};
pub use islands::{Islands, Milestone, State};
pub use lineage::{Birth, Operator};

/// Who breeds, and who makes room for children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Winners of tournaments breed, losers make room: by error, then by size.
    Tournament,
    /// By error and size of the formula, neither before the other.
    Nsga2,
}

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What genes are made of.
    pub repertoire: Repertoire,
    /// How children are made.
    pub variation: Variation,
    /// Who breeds, and who makes room.
    pub selection: Selection,
    /// Whether a genome is judged by the best straight line from its values to the target, so that
    /// it need not find scale and offset itself.
    pub scaling: bool,
    /// Populations that evolve side by side.
    pub demes: usize,
    /// Steps from one exchange among demes, and one call of `progress`, to the next.
    pub epoch: u64,
    /// Individuals that each deme sends to another one at an exchange.
    pub migrants: usize,
    /// Individuals of a deme.
    pub population: usize,
    /// Individuals drawn for a parent, and for a place of a child.
    pub tournament: usize,
    /// Children of one step.
    pub children: usize,
    /// Constants of the best child of a step that are refitted, at three runs each.
    pub refits: usize,
    /// Whether the ancestors of all that lives are remembered.
    pub record_lineage: bool,
    /// Seed of all random numbers.
    pub seed: u64,
    /// When to stop; a generation is one step.
    pub stop: Stop,
}

impl Settings {
    /// Reasonable settings, without a limit but an error of zero: set [`Settings::stop`].
    #[must_use]
    pub fn new(repertoire: Repertoire) -> Settings {
        Settings {
            repertoire,
            variation: Variation::default(),
            selection: Selection::Tournament,
            scaling: false,
            demes: 1,
            epoch: 1,
            migrants: 10,
            population: 1000,
            tournament: 4,
            children: 100,
            refits: 6,
            record_lineage: false,
            seed: 0,
            stop: Stop {
                target_error: Some(0.0),
                ..Stop::default()
            },
        }
    }

    fn check(&self, data: &Blocks) -> Result<(), McodeError> {
        // A child's number is part of its random stream.
        let high = (1 << CHILD_BITS) - 1;
        let epoch = usize::try_from(self.epoch).unwrap_or(usize::MAX);
        for (what, found, low, high) in [
            ("the population", self.population, 2, high),
            ("the tournament", self.tournament, 1, high),
            ("the number of children of a step", self.children, 1, high),
            ("the number of slots", self.variation.max_slots, 1, high),
            ("the number of demes", self.demes, 1, MAX_DEMES),
            ("the number of steps between exchanges", epoch, 1, high),
        ] {
            if !(low..=high).contains(&found) {
                return Err(McodeError::Range {
                    what,
                    found,
                    low,
                    high,
                });
            }
        }
        let bits = data.is_words();
        if bits != self.repertoire.domain().is_words() {
            return Err(McodeError::Domain { bits });
        }
        Ok(())
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a, G> {
    /// Steps done by every deme.
    pub step: u64,
    /// Genomes run so far, trials of constants included.
    pub evaluations: u64,
    /// The best genome.
    pub best: &'a G,
    /// Its mean squared error, or share of wrong cases.
    pub loss: f64,
    /// Time since the start.
    pub elapsed: Duration,
    /// How much of the run is over, from 0 to 1, by the limit that is closest.
    pub fraction: f64,
}

/// What a run has found.
#[derive(Clone, Debug)]
pub struct Outcome<G> {
    /// The best genome.
    pub best: G,
    /// Its mean squared error, or share of wrong cases; NaN if no genome has a number.
    pub loss: f64,
    /// Steps done.
    pub steps: u64,
    /// Genomes run, trials of constants included.
    pub evaluations: u64,
    /// Why the run ended.
    pub reason: Reason,
}

/// Evolves genomes that predict the target of the data, on one thread. `progress` is called after
/// each step (each exchange, if there are demes) and may break off the run.
///
/// ```
/// use opcodon_evo::Stop;
/// use opcodon_mcode::{Blocks, LinearCode, Repertoire, Tier};
/// use opcodon_mcode::{evolve::{Settings, run}, Genome};
/// use std::ops::ControlFlow;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if Tier::best().is_err() { return Ok(()) }
/// let x: Vec<f64> = (-10..=10).map(|i| f64::from(i) / 10.0).collect();
/// let y: Vec<f64> = x.iter().map(|x| x * x + x).collect();
/// let tier = Tier::best()?;
/// let data = Blocks::new(tier, &[&x], Some(&y))?;
/// let mut settings = Settings::new(Repertoire::new(tier, 1)?);
/// settings.stop = Stop { target_error: Some(1e-20), evaluations: Some(1_000_000), ..Stop::default() };
/// let found = run::<LinearCode>(&data, &settings, |_| ControlFlow::Continue(()))?;
/// assert!(found.loss <= 1e-20);
/// println!("{}", found.best.formula(1000)?);
/// # Ok(()) }
/// ```
///
/// # Errors
/// If settings are out of range, or data and repertoire do not fit each other, or the processor
/// lacks the tier.
pub fn run<G: Genome>(
    blocks: &Blocks,
    settings: &Settings,
    mut progress: impl FnMut(Progress<'_, G>) -> ControlFlow<()>,
) -> Result<Outcome<G>, McodeError> {
    let mut islands = Islands::new(blocks, settings.clone())?;
    let reason = islands.run(blocks, 1, |state, _| progress(state))?;
    let (best, loss) = islands.best();
    Ok(Outcome {
        best: best.genome.clone(),
        loss,
        steps: islands.steps(),
        evaluations: islands.evaluations(),
        reason,
    })
}
