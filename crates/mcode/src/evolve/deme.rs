//! A deme: one population, bred a step at a time.
//!
//! Children are copied into executable memory at once, run, and take places in the population. In
//! the steady state a child takes the place of the worst of some individuals drawn at random; a
//! child that computes the same as a parent, as far as its error tells, takes that parent's place
//! instead, if it is not longer: so neutral variation may drift, but copies do not fill the
//! population. With NSGA-II the best of parents and children by error and size survive.
//!
//! Constants are data, so refitting them needs no new code: the best child of each step, which is
//! in executable memory anyway, is run with changed constants.
//!
//! # Invariant
//! Child k of step s of deme d draws from the stream (d, s, k), so what a deme becomes is a
//! function of data, settings, seed and immigrants.

use opcodon_evo::nsga2::Ranking;
use opcodon_evo::{Archive, Rng, order, tournament};
use serde::{Deserialize, Serialize};

use super::constants::descend;
use super::lineage::{Birth, Operator};
use super::{Selection, Settings};
use crate::McodeError;
use crate::batch::Batch;
use crate::blocks::Blocks;
use crate::code::Code;
use crate::genome::Genome;
use crate::kernel::Fold;

/// Scaled errors below this share of the target's variance may be rounding, and it is looked
/// closer.
const EXACT_BELOW: f64 = 1e-8;
/// Errors of less than so many times their rounding are computed anew from the scaled genome.
const ROUGH: f64 = 1e3;

/// What running a genome has told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fitness {
    /// Mean squared error, or share of wrong cases; NaN for a failure.
    pub(crate) loss: f64,
    /// Slots that have an influence.
    pub(crate) n_effective: usize,
    /// Nodes of the formula, saturated.
    pub(crate) n_nodes: usize,
}

impl Fitness {
    /// The error, if it is a number.
    fn error(&self) -> Option<f64> {
        self.loss.is_finite().then_some(self.loss)
    }
}

/// A genome, and by which birth it came to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "G: Genome")]
pub struct Born<G> {
    /// The number of the birth: its random stream.
    pub birth: u64,
    /// What was born.
    pub genome: G,
}

/// One population.
pub(crate) struct Deme<G> {
    number: u64,
    pub(crate) genomes: Vec<Born<G>>,
    fitness: Vec<Fitness>,
    /// The best individual.
    best: usize,
    /// The best of each number of nodes.
    pub(crate) archive: Archive<Born<G>>,
    /// Births that were not collected yet, if they are recorded.
    pub(crate) births: Vec<Birth<G>>,
    pub(crate) step: u64,
    pub(crate) evaluations: u64,
    machine: Machine,
    children: Vec<Born<G>>,
    /// What breeding needs between two changes of a child.
    scratch: G,
}

/// Executable memory, and what judges the genomes in it.
struct Machine {
    batch: Batch,
    /// For scaled errors that are too small for sums.
    exact: Option<Batch>,
    losses: Vec<f64>,
}

impl<G: Genome> Deme<G> {
    /// A deme of random genomes.
    pub(crate) fn random(
        number: usize,
        data: &Blocks,
        settings: &Settings,
    ) -> Result<Deme<G>, McodeError> {
        let random = |k| {
            let birth = birth(number as u64, 0, k);
            let mut rng = Rng::new(settings.seed, birth);
            let genome = G::random(&mut rng, &settings.repertoire, &settings.variation);
            Born { birth, genome }
        };
        let genomes: Vec<Born<G>> = (0..settings.population).map(random).collect();
        let mut deme = Deme::of(number, data, settings, genomes, Vec::new())?;
        deme.evaluations = deme.genomes.len() as u64;
        if settings.record_lineage {
            let born = deme.genomes.iter().zip(&deme.fitness);
            let births = born.map(|(born, fitness)| Birth {
                id: born.birth,
                deme: deme.number,
                step: 0,
                operator: Operator::Random,
                mother: None,
                father: None,
                genome: born.genome.clone(),
                loss: fitness.error(),
            });
            deme.births = births.collect();
        }
        Ok(deme)
    }

    /// A deme of these genomes, and of these that are kept for their size.
    pub(crate) fn of(
        number: usize,
        data: &Blocks,
        settings: &Settings,
        genomes: Vec<Born<G>>,
        kept: Vec<Born<G>>,
    ) -> Result<Deme<G>, McodeError> {
        let fold = match (data.is_words(), settings.scaling) {
            (true, _) => Fold::Bits,
            (false, true) => Fold::Moments,
            (false, false) => Fold::Squares,
        };
        let (tier, n_columns) = (settings.repertoire.tier(), settings.repertoire.n_columns());
        let mut machine = Machine {
            batch: Batch::new(tier, n_columns, fold)?,
            exact: None,
            losses: Vec::new(),
        };
        let max_nodes = usize::try_from(settings.variation.max_nodes).unwrap_or(usize::MAX);
        let mut archive = Archive::new(max_nodes);
        let fitness = machine.judge(&kept, data, settings)?;
        enter(&mut archive, &kept, &fitness);
        let fitness = machine.judge(&genomes, data, settings)?;
        enter(&mut archive, &genomes, &fitness);
        let children = genomes.iter().cycle().take(settings.children).cloned();
        let mut deme = Deme {
            number: number as u64,
            children: children.collect(),
            scratch: genomes[0].genome.clone(),
            genomes,
            fitness,
            best: 0,
            archive,
            births: Vec::new(),
            step: 0,
            evaluations: 0,
            machine,
        };
        deme.find_best();
        Ok(deme)
    }

    /// The better is less: by error, then by effective size.
    fn compare(&self, a: usize, b: usize) -> std::cmp::Ordering {
        let [a, b] = [a, b].map(|k| self.fitness[k]);
        order::compare(a.loss, b.loss).then(a.n_effective.cmp(&b.n_effective))
    }

    /// The best individual, and its error.
    pub(crate) fn best(&self) -> (&Born<G>, f64) {
        (&self.genomes[self.best], self.fitness[self.best].loss)
    }

    fn find_best(&mut self) {
        let better = |a: &usize, b: &usize| self.compare(*a, *b);
        self.best = (0..self.genomes.len()).min_by(better).unwrap_or(0);
    }

    /// Breeds, runs and places the children of one step.
    pub(crate) fn advance(&mut self, data: &Blocks, settings: &Settings) -> Result<(), McodeError> {
        self.step += 1;
        let n = self.genomes.len();
        let ranking = (settings.selection == Selection::Nsga2).then(|| self.ranking());
        let mut births = Vec::with_capacity(self.children.len());
        let mut children = std::mem::take(&mut self.children);
        for (k, child) in children.iter_mut().enumerate() {
            child.birth = birth(self.number, self.step, k);
            let mut rng = Rng::new(settings.seed, child.birth);
            let mut winner = || {
                tournament::select(&mut rng, n, settings.tournament, |a, b| match &ranking {
                    Some(ranking) => ranking.compare(a, b),
                    None => self.compare(a, b),
                })
            };
            let parents = [winner(), winner()];
            let [mother, father] = parents.map(|parent| &self.genomes[parent].genome);
            let (repertoire, variation) = (&settings.repertoire, &settings.variation);
            let (scratch, child) = (&mut self.scratch, &mut child.genome);
            let operator = child.breed(scratch, &mut rng, mother, father, repertoire, variation);
            births.push((rng, parents, operator));
        }
        let mut fitness = self.machine.judge(&children, data, settings)?;
        self.evaluations += children.len() as u64;
        let of_refit = birth(self.number, self.step, settings.children);
        let rng = Rng::new(settings.seed, of_refit);
        self.evaluations += self
            .machine
            .refit(data, settings, rng, &mut children, &mut fitness)?;
        enter(&mut self.archive, &children, &fitness);
        if settings.record_lineage {
            for ((child, fitness), (_, [mother, father], operator)) in
                children.iter().zip(&fitness).zip(&births)
            {
                let [mother, father] = [mother, father].map(|&parent| self.genomes[parent].birth);
                self.births.push(Birth {
                    id: child.birth,
                    deme: self.number,
                    step: self.step,
                    operator: *operator,
                    mother: Some(mother),
                    father: operator.has_father().then_some(father),
                    genome: child.genome.clone(),
                    loss: fitness.error(),
                });
            }
        }
        if ranking.is_some() {
            self.survive(&mut children, &fitness);
        } else {
            for ((child, fitness), (rng, parents, _)) in
                children.iter_mut().zip(fitness).zip(births)
            {
                self.place(child, fitness, parents, rng, settings.tournament);
            }
        }
        self.children = children;
        Ok(())
    }

    /// Takes a child in, or lets it die.
    fn place(
        &mut self,
        child: &mut Born<G>,
        fitness: Fitness,
        parents: [usize; 2],
        mut rng: Rng,
        tournament: usize,
    ) {
        let equal = |p: &usize| order::compare(self.fitness[*p].loss, fitness.loss).is_eq();
        let place = match parents.into_iter().find(equal) {
            Some(parent) if fitness.n_effective > self.fitness[parent].n_effective => return,
            Some(parent) => parent,
            None => {
                let loser = |a, b| self.compare(b, a);
                let place = tournament::select(&mut rng, self.genomes.len(), tournament, loser);
                let worse = order::compare(fitness.loss, self.fitness[place].loss).is_gt();
                if worse && place == self.best {
                    return;
                }
                place
            }
        };
        self.fitness[place] = fitness;
        std::mem::swap(&mut self.genomes[place], child);
        // The best loses its place only to something as good. Of equals the first is the best.
        if self
            .compare(place, self.best)
            .then(place.cmp(&self.best))
            .is_lt()
        {
            self.best = place;
        }
    }

    fn ranking(&self) -> Ranking {
        rank(&self.fitness)
    }

    /// Keeps the best of the population and its children by error and size.
    fn survive(&mut self, children: &mut [Born<G>], fitness: &[Fitness]) {
        let n = self.genomes.len();
        self.fitness.extend_from_slice(fitness);
        let mut kept = vec![false; self.fitness.len()];
        for survivor in rank(&self.fitness).survivors(n) {
            kept[survivor] = true;
        }
        // Children that live take the places of those that die.
        let mut places = (0..n).filter(|&place| !kept[place]);
        for (k, child) in children.iter_mut().enumerate() {
            if kept[n + k]
                && let Some(place) = places.next()
            {
                self.fitness[place] = fitness[k];
                std::mem::swap(&mut self.genomes[place], child);
            }
        }
        self.fitness.truncate(n);
        self.find_best();
    }

    /// The best, to be sent away.
    pub(crate) fn emigrants(&self, n: usize) -> Vec<(Born<G>, Fitness)> {
        let mut ranked: Vec<usize> = (0..self.genomes.len()).collect();
        ranked.sort_by(|&a, &b| self.compare(a, b).then(a.cmp(&b)));
        let sent = ranked.into_iter().take(n);
        sent.map(|k| (self.genomes[k].clone(), self.fitness[k]))
            .collect()
    }

    /// Immigrants take the places of the worst.
    pub(crate) fn immigrate(&mut self, immigrants: Vec<(Born<G>, Fitness)>) {
        let mut ranked: Vec<usize> = (0..self.genomes.len()).collect();
        ranked.sort_by(|&a, &b| self.compare(b, a).then(a.cmp(&b)));
        // One stays at least: the best.
        ranked.pop();
        for (place, (genome, fitness)) in ranked.into_iter().zip(immigrants) {
            let Fitness { loss, n_nodes, .. } = fitness;
            self.archive.insert_with(loss, n_nodes, || genome.clone());
            self.genomes[place] = genome;
            self.fitness[place] = fitness;
        }
        self.find_best();
    }
}

/// Fronts by error and size of formulas.
fn rank(fitness: &[Fitness]) -> Ranking {
    let objectives: Vec<[f64; 2]> = fitness
        .iter()
        .map(|fitness| [fitness.loss, fitness.n_nodes as f64])
        .collect();
    Ranking::new(&objectives, [0.0; 2])
}

fn enter<G: Genome>(archive: &mut Archive<Born<G>>, genomes: &[Born<G>], fitness: &[Fitness]) {
    for (genome, fitness) in genomes.iter().zip(fitness) {
        archive.insert_with(fitness.loss, fitness.n_nodes, || genome.clone());
    }
}

impl Machine {
    /// Runs genomes, which stay in executable memory.
    fn judge<G: Genome>(
        &mut self,
        genomes: &[Born<G>],
        data: &Blocks,
        settings: &Settings,
    ) -> Result<Vec<Fitness>, McodeError> {
        let programs = genomes.iter().map(|born| born.genome.program());
        self.batch.load(programs)?;
        self.losses.resize(genomes.len(), 0.0);
        self.batch.losses(data, &mut self.losses)?;
        let mut fitness = Vec::with_capacity(genomes.len());
        for (k, born) in genomes.iter().enumerate() {
            let n_nodes = born.genome.n_nodes();
            let failed = n_nodes > settings.variation.max_nodes;
            fitness.push(Fitness {
                loss: if failed { f64::NAN } else { self.losses[k] },
                n_effective: self.batch.n_effective(k),
                n_nodes: usize::try_from(n_nodes).unwrap_or(usize::MAX),
            });
        }
        for (k, fitness) in fitness.iter_mut().enumerate() {
            fitness.loss = self.refined(fitness.loss, k, &genomes[k].genome, data)?;
        }
        Ok(fitness)
    }

    /// The error of a loaded genome, from its values themselves if sums are not exact enough.
    fn refined<G: Genome>(
        &mut self,
        loss: f64,
        k: usize,
        genome: &G,
        data: &Blocks,
    ) -> Result<f64, McodeError> {
        let is_scaled = self.batch.fold() == Fold::Moments;
        if !is_scaled || loss.is_nan() || loss > EXACT_BELOW * data.target_moments().1 {
            return Ok(loss);
        }
        let code = genome.code();
        let line = self.batch.line(k, data, code.constants())?;
        if loss > ROUGH * line.rounding {
            return Ok(loss);
        }
        let Some(scaled) = genome.finished(line.slope, line.intercept) else {
            return Ok(f64::NAN);
        };
        let batch = match &mut self.exact {
            Some(batch) => batch,
            none => none.insert(Batch::new(code.tier(), code.n_columns(), Fold::Squares)?),
        };
        batch.load([scaled.program()])?;
        batch.loss(0, data)
    }

    /// Refits the constants of the best of the loaded children; returns the number of trials.
    fn refit<G: Genome>(
        &mut self,
        data: &Blocks,
        settings: &Settings,
        mut rng: Rng,
        children: &mut [Born<G>],
        fitness: &mut [Fitness],
    ) -> Result<u64, McodeError> {
        let better = |a: &usize, b: &usize| order::compare(fitness[*a].loss, fitness[*b].loss);
        let Some(best) = (0..children.len()).min_by(better) else {
            return Ok(0);
        };
        let child = &mut children[best].genome;
        let mut constants = Code::constants(child.code()).to_vec();
        let loss = fitness[best].loss;
        if constants.is_empty() || data.is_words() || !loss.is_finite() {
            return Ok(0);
        }
        let (batch, times) = (&self.batch, settings.refits);
        let loss = descend(batch, best, data, &mut constants, loss, times, &mut rng)?;
        if loss < fitness[best].loss {
            child.constants_mut().copy_from_slice(&constants);
            fitness[best].loss = self.refined(loss, best, child, data)?;
        }
        Ok(3 * settings.refits as u64)
    }
}

/// Bits of a stream's number that count children, and steps.
pub(crate) const CHILD_BITS: u32 = 20;
const STEP_BITS: u32 = 34;
/// Most demes: what is left of a stream's number.
pub(crate) const MAX_DEMES: usize = 1 << (64 - CHILD_BITS - STEP_BITS);

/// The stream of child `k` of a step of a deme.
fn birth(deme: u64, step: u64, k: usize) -> u64 {
    let step = step & ((1 << STEP_BITS) - 1);
    (deme << STEP_BITS | step) << CHILD_BITS | k as u64
}
