//! Steady-state evolution, as in AIMGP: winners of tournaments breed, losers make room.
//!
//! There are no generations in which everything is replaced. Each step breeds a handful of
//! children from the population as it stands, copies them into executable memory at once, runs
//! them, and puts each in the place of the worst of some individuals drawn at random. A child that
//! computes the same as a parent, as far as its error tells, takes that parent's place instead, if
//! it is not longer: so neutral variation may drift, but copies do not fill the population. The
//! best is never lost unless something at least as good takes its place.
//!
//! Constants are data, so refitting them needs no new code: the best child of each step, which is
//! in executable memory anyway, is run with changed constants. One constant at a time moves to the
//! lowest point of the parabola through three losses, which is exact where the formula is linear
//! in it; what is better goes back into the genome.
//!
//! # Invariant
//! Child k of step s draws from the stream (s, k), so a run is a function of data, settings and
//! seed, unless the time ends it.

use std::ops::ControlFlow;

use opcodon_evo::{Reason, Rng, Stop, order, tournament};

use crate::McodeError;
use crate::batch::Batch;
use crate::blocks::Blocks;
use crate::code::Code;
use crate::genome::Genome;
use crate::kernel::Fold;
use crate::repertoire::Repertoire;

/// How children are made, and their limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Variation {
    /// Most slots of a genome; linear genomes have 256 at most.
    pub max_slots: usize,
    /// Most nodes of a genome's formula as a tree; a larger one counts as a failure.
    pub max_nodes: u64,
    /// Most slots of a genome of the first population.
    pub initial_slots: usize,
    /// Probability that a child has two parents.
    pub crossover: f64,
    /// Share of homologous crossover among crossovers of linear genomes.
    pub homologous: f64,
    /// Probability that a child of two parents is mutated too.
    pub mutation: f64,
}

impl Default for Variation {
    fn default() -> Variation {
        Variation {
            max_slots: 64,
            max_nodes: 1000,
            initial_slots: 24,
            crossover: 0.6,
            homologous: 0.5,
            mutation: 0.5,
        }
    }
}

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What genes are made of.
    pub repertoire: Repertoire,
    /// How children are made.
    pub variation: Variation,
    /// Individuals.
    pub population: usize,
    /// Individuals drawn for a parent, and for a place of a child.
    pub tournament: usize,
    /// Children of one step.
    pub children: usize,
    /// Constants of the best child of a step that are refitted, at three runs each.
    pub refits: usize,
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
            population: 1000,
            tournament: 4,
            children: 100,
            refits: 6,
            seed: 0,
            stop: Stop {
                target_error: Some(0.0),
                ..Stop::default()
            },
        }
    }

    fn check(&self) -> Result<(), McodeError> {
        let least = [
            ("the population", self.population, 2),
            ("the tournament", self.tournament, 1),
            ("the number of children of a step", self.children, 1),
            ("the number of slots", self.variation.max_slots, 1),
        ];
        for (what, found, low) in least {
            // A child's number is part of its random stream.
            let high = (1 << STREAM_BITS) - 1;
            if !(low..=high).contains(&found) {
                return Err(McodeError::Range {
                    what,
                    found,
                    low,
                    high,
                });
            }
        }
        Ok(())
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a, G> {
    /// Steps done.
    pub step: u64,
    /// Genomes run so far, trials of constants included.
    pub evaluations: u64,
    /// The best genome.
    pub best: &'a G,
    /// Its mean squared error, or share of wrong cases.
    pub loss: f64,
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

/// A population with its errors.
struct Population<G> {
    genomes: Vec<G>,
    losses: Vec<f64>,
    sizes: Vec<usize>,
}

impl<G: Genome> Population<G> {
    /// The better is less: by error, then by effective size.
    fn compare(&self, a: usize, b: usize) -> std::cmp::Ordering {
        order::compare(self.losses[a], self.losses[b]).then(self.sizes[a].cmp(&self.sizes[b]))
    }

    fn best(&self) -> usize {
        let better = |a: &usize, b: &usize| self.compare(*a, *b);
        (0..self.genomes.len()).min_by(better).unwrap_or(0)
    }

    /// Takes a child in, or lets it die.
    fn place(
        &mut self,
        child: &mut G,
        loss: f64,
        n_effective: usize,
        parents: [usize; 2],
        mut rng: Rng,
        tournament: usize,
    ) {
        let equal = |a: f64, b: f64| order::compare(a, b).is_eq();
        let place = match parents.into_iter().find(|&p| equal(self.losses[p], loss)) {
            Some(parent) if n_effective > self.sizes[parent] => return,
            Some(parent) => parent,
            None => {
                let loser = |a, b| self.compare(b, a);
                let place = tournament::select(&mut rng, self.genomes.len(), tournament, loser);
                if order::compare(loss, self.losses[place]).is_gt() && place == self.best() {
                    return;
                }
                place
            }
        };
        self.sizes[place] = n_effective;
        self.losses[place] = loss;
        std::mem::swap(&mut self.genomes[place], child);
    }
}

/// Evolves genomes that predict the target of the data. `progress` is called after each step and
/// may break off the run.
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
    settings.check()?;
    let Settings {
        repertoire,
        variation,
        ..
    } = settings;
    let bits = blocks.is_boolean();
    if bits != repertoire.is_boolean() {
        return Err(McodeError::Domain { bits });
    }
    let fold = if bits { Fold::Bits } else { Fold::Squares };
    let mut batch = Batch::new(repertoire.tier(), repertoire.n_columns(), fold)?;
    let mut watch = settings.stop.start();
    let size = settings.tournament;

    let first = |k| {
        let mut rng = stream(settings.seed, 0, k);
        G::random(&mut rng, repertoire, variation)
    };
    let genomes: Vec<G> = (0..settings.population).map(first).collect();
    let mut losses = vec![0.0; genomes.len()];
    evaluate(&mut batch, &genomes, blocks, variation, &mut losses)?;
    let mut population = Population {
        sizes: (0..genomes.len()).map(|k| batch.n_effective(k)).collect(),
        genomes,
        losses,
    };

    let mut children: Vec<G> = population
        .genomes
        .iter()
        .cloned()
        .cycle()
        .take(settings.children)
        .collect();
    let mut child_losses = vec![0.0; children.len()];
    let mut evaluations = population.genomes.len() as u64;
    let mut step = 0_u64;
    loop {
        let best = population.best();
        let loss = population.losses[best];
        let report = Progress {
            step,
            evaluations,
            best: &population.genomes[best],
            loss,
        };
        let broken = progress(report).is_break().then_some(Reason::Interrupted);
        if let Some(reason) = broken.or_else(|| watch.check(step, evaluations, loss)) {
            return Ok(Outcome {
                best: population.genomes.swap_remove(best),
                loss,
                steps: step,
                evaluations,
                reason,
            });
        }
        step += 1;
        let n = population.genomes.len();
        let mut births = Vec::with_capacity(children.len());
        for (k, child) in children.iter_mut().enumerate() {
            let mut rng = stream(settings.seed, step, k);
            let mut winner =
                || tournament::select(&mut rng, n, size, |a, b| population.compare(a, b));
            let parents = [winner(), winner()];
            let [mother, father] = parents.map(|parent| &population.genomes[parent]);
            child.breed(&mut rng, mother, father, repertoire, variation);
            births.push((rng, parents));
        }
        evaluate(&mut batch, &children, blocks, variation, &mut child_losses)?;
        evaluations += children.len() as u64;
        evaluations += refit(
            &batch,
            blocks,
            settings,
            step,
            &mut children,
            &mut child_losses,
        )?;
        for (k, (rng, parents)) in births.into_iter().enumerate() {
            let (loss, n_effective) = (child_losses[k], batch.n_effective(k));
            population.place(&mut children[k], loss, n_effective, parents, rng, size);
        }
    }
}

/// Bits of a stream's number that count children.
const STREAM_BITS: u32 = 24;

/// The stream of child `k` of a step.
fn stream(seed: u64, step: u64, k: usize) -> Rng {
    Rng::new(seed, step << STREAM_BITS | k as u64)
}

fn evaluate<G: Genome>(
    batch: &mut Batch,
    genomes: &[G],
    blocks: &Blocks,
    variation: &Variation,
    losses: &mut [f64],
) -> Result<(), McodeError> {
    batch.load(genomes.iter().map(Genome::code))?;
    batch.losses(blocks, losses)?;
    for (genome, loss) in genomes.iter().zip(losses) {
        if genome.code().n_nodes() > variation.max_nodes {
            *loss = f64::NAN;
        }
    }
    Ok(())
}

/// Refits the constants of the best of the loaded children; returns the number of trials.
fn refit<G: Genome>(
    batch: &Batch,
    blocks: &Blocks,
    settings: &Settings,
    step: u64,
    children: &mut [G],
    losses: &mut [f64],
) -> Result<u64, McodeError> {
    let better = |a: &usize, b: &usize| order::compare(losses[*a], losses[*b]);
    let Some(best) = (0..children.len()).min_by(better) else {
        return Ok(0);
    };
    let mut constants = Code::constants(children[best].code()).to_vec();
    if constants.is_empty() || blocks.is_boolean() || !losses[best].is_finite() {
        return Ok(0);
    }
    let mut rng = stream(settings.seed, step, settings.children);
    for _ in 0..settings.refits {
        let k = rng.below(constants.len());
        let (middle, width) = (constants[k], 1e-2 * (constants[k].abs() + 0.1));
        let mut lowest = (losses[best], middle);
        let mut trial = |value: f64| -> Result<f64, McodeError> {
            constants[k] = value;
            let loss = batch.loss_with(best, blocks, &constants)?;
            if loss < lowest.0 {
                lowest = (loss, value);
            }
            Ok(loss)
        };
        let [left, right] = [trial(middle - width)?, trial(middle + width)?];
        let curvature = left - 2.0 * losses[best] + right;
        trial(middle + 0.5 * width * (left - right) / curvature)?;
        (losses[best], constants[k]) = lowest;
    }
    children[best].constants_mut().copy_from_slice(&constants);
    Ok(3 * settings.refits as u64)
}
