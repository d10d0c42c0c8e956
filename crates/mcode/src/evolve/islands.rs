//! Islands: demes that evolve side by side and exchange their best now and then.
//!
//! Demes share nothing between two exchanges, so threads take them one after the other, in
//! whatever order; exchanges are planned by step numbers and done by one thread. A run can be
//! written down between two steps of any deme and taken up again.
//!
//! # Invariant
//! The result is a function of data, settings and seed, whatever the number of threads, unless
//! the time or somebody else ends the run; and of these alone also if it was taken up again.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use opcodon_evo::island::Topology;
use opcodon_evo::{Archive, Migration, Reason, Watch, order};
use serde::{Deserialize, Serialize};

use super::deme::{Born, Deme};
use super::lineage::{Birth, Register};
use super::{Progress, Settings};
use crate::McodeError;
use crate::blocks::Blocks;
use crate::genome::Genome;

/// Demes, and how far they are.
pub struct Islands<G> {
    settings: Settings,
    demes: Vec<Deme<G>>,
    /// Exchanges done.
    epoch: u64,
    curve: Vec<Milestone>,
    /// Ancestors of all that is alive, if they are recorded.
    register: Register<G>,
}

/// How good the best genome was at some moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Milestone {
    /// Steps done by every deme.
    pub step: u64,
    /// Genomes run, trials of constants included.
    pub evaluations: u64,
    /// Mean squared error of the best genome, or its share of wrong cases.
    pub loss: f64,
}

/// A run written down: data, in which genomes are verified when they are read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "G: Genome")]
pub struct State<G> {
    epoch: u64,
    demes: Vec<DemeState<G>>,
    curve: Vec<Milestone>,
    births: Vec<Birth<G>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "G: Genome")]
struct DemeState<G> {
    step: u64,
    evaluations: u64,
    genomes: Vec<Born<G>>,
    front: Vec<Born<G>>,
}

impl<G: Genome> Islands<G> {
    /// Demes of random genomes.
    ///
    /// # Errors
    /// If settings are out of range, or data and repertoire do not fit each other, or the
    /// processor lacks the tier.
    pub fn new(data: &Blocks, settings: Settings) -> Result<Islands<G>, McodeError> {
        settings.check(data)?;
        let demes = (0..settings.demes).map(|number| Deme::random(number, data, &settings));
        let mut islands = Islands {
            demes: demes.collect::<Result<_, _>>()?,
            settings,
            epoch: 0,
            curve: Vec::new(),
            register: Register::new([]),
        };
        islands.collect_births();
        islands.note();
        Ok(islands)
    }

    /// The run that was written down, with the same data and settings.
    ///
    /// # Errors
    /// As for [`Islands::new`], or if the numbers of demes and genomes are not those of the
    /// settings, or genomes are of another tier or number of columns.
    pub fn resume(
        data: &Blocks,
        settings: Settings,
        state: State<G>,
    ) -> Result<Islands<G>, McodeError> {
        settings.check(data)?;
        let counts = [("the number of demes", state.demes.len(), settings.demes)];
        let genomes = state.demes.iter().map(|deme| deme.genomes.len());
        let genomes = genomes.map(|found| ("the population", found, settings.population));
        for (what, found, wanted) in counts.into_iter().chain(genomes) {
            if found != wanted {
                let (low, high) = (wanted, wanted);
                return Err(McodeError::Range {
                    what,
                    found,
                    low,
                    high,
                });
            }
        }
        for birth in &state.births {
            settings.repertoire.require(birth.genome.code())?;
        }
        let mut demes = Vec::with_capacity(settings.demes);
        for (number, stored) in state.demes.into_iter().enumerate() {
            for born in stored.genomes.iter().chain(&stored.front) {
                settings.repertoire.require(born.genome.code())?;
            }
            let mut deme = Deme::of(number, data, &settings, stored.genomes, stored.front)?;
            (deme.step, deme.evaluations) = (stored.step, stored.evaluations);
            demes.push(deme);
        }
        Ok(Islands {
            settings,
            demes,
            epoch: state.epoch,
            curve: state.curve,
            register: Register::new(state.births),
        })
    }

    /// Everything that is needed to go on later.
    #[must_use]
    pub fn state(&self) -> State<G> {
        let demes = self.demes.iter().map(|deme| DemeState {
            step: deme.step,
            evaluations: deme.evaluations,
            genomes: deme.genomes.clone(),
            front: deme.archive.iter().map(|e| e.genome.clone()).collect(),
        });
        let births = self.register.iter();
        State {
            epoch: self.epoch,
            demes: demes.collect(),
            curve: self.curve.clone(),
            births: births.cloned().collect(),
        }
    }

    /// The beginning, the exchanges before which the best genome had become better, and now.
    #[must_use]
    pub fn curve(&self) -> Vec<Milestone> {
        let mut curve = self.curve.clone();
        curve.extend(self.milestone());
        curve.dedup();
        curve
    }

    /// How good the best genome is now, if any has a number.
    fn milestone(&self) -> Option<Milestone> {
        let loss = self.best().1;
        loss.is_finite().then(|| Milestone {
            step: self.steps(),
            evaluations: self.evaluations(),
            loss,
        })
    }

    /// Takes down how good the best genome is, if that is new.
    fn note(&mut self) {
        let now = self.milestone();
        let is_new = |now: &Milestone| self.curve.last().is_none_or(|last| now.loss < last.loss);
        self.curve.extend(now.filter(is_new));
    }

    /// Steps done by every deme.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.demes.iter().map(|deme| deme.step).min().unwrap_or(0)
    }

    /// Genomes run so far, trials of constants included.
    #[must_use]
    pub fn evaluations(&self) -> u64 {
        self.demes.iter().map(|deme| deme.evaluations).sum()
    }

    /// The best genome of all demes, and its error.
    #[must_use]
    pub fn best(&self) -> (&Born<G>, f64) {
        let all = self.demes.iter().map(Deme::best);
        let best = all.min_by(|a, b| order::compare(a.1, b.1));
        best.expect("there is a deme at least")
    }

    /// A birth that is remembered: of a genome that lives, or of one of its ancestors. None are,
    /// unless they are recorded.
    #[must_use]
    pub fn birth(&self, id: u64) -> Option<&Birth<G>> {
        self.register.get(id)
    }

    /// Takes down the births since it was last called, and forgets who matters no more.
    fn collect_births(&mut self) {
        if !self.settings.record_lineage {
            return;
        }
        for deme in &mut self.demes {
            self.register.extend(deme.births.drain(..));
        }
        let living = self.demes.iter().flat_map(|deme| {
            let kept = deme.archive.iter().map(|entry| &entry.genome);
            deme.genomes.iter().chain(kept).map(|born| born.birth)
        });
        self.register.keep_ancestors(living);
    }

    /// The best genome of each number of nodes.
    #[must_use]
    pub fn front(&self) -> Archive<Born<G>> {
        let mut front = Archive::new(self.demes[0].archive.max_size());
        for entry in self.demes.iter().flat_map(|deme| deme.archive.iter()) {
            front.insert_with(entry.error, entry.size, || entry.genome.clone());
        }
        front
    }

    /// Evolves until a limit of the settings is reached or `progress`, which is called after each
    /// exchange, breaks off.
    ///
    /// # Errors
    /// If memory for code is refused.
    pub fn run(
        &mut self,
        data: &Blocks,
        n_threads: usize,
        mut progress: impl FnMut(Progress<'_, G>, &Islands<G>) -> ControlFlow<()>,
    ) -> Result<Reason, McodeError> {
        let mut watch = self.settings.stop.start();
        loop {
            let (best, loss) = self.best();
            let (step, evaluations) = (self.steps(), self.evaluations());
            let report = Progress {
                step,
                evaluations,
                best: &best.genome,
                loss,
                elapsed: watch.elapsed(),
                fraction: watch.fraction(step, evaluations),
            };
            let broken = progress(report, self).is_break();
            let broken = broken.then_some(Reason::Interrupted);
            if let Some(reason) = broken.or_else(|| watch.check(step, evaluations, loss)) {
                return Ok(reason);
            }
            let is_whole = self.advance(data, n_threads, &watch)?;
            self.collect_births();
            if is_whole {
                self.migrate();
            }
        }
    }

    /// Has every deme reach the next exchange; says whether they did.
    fn advance(
        &mut self,
        data: &Blocks,
        n_threads: usize,
        watch: &Watch,
    ) -> Result<bool, McodeError> {
        let settings = &self.settings;
        let end = (self.epoch + 1) * settings.epoch;
        let evolve = |deme: &mut Deme<G>| -> Result<bool, McodeError> {
            while deme.step < end {
                if watch.urgent().is_some() {
                    return Ok(false);
                }
                deme.advance(data, settings)?;
            }
            Ok(true)
        };
        let n_threads = n_threads.clamp(1, self.demes.len());
        if n_threads == 1 {
            let mut all = true;
            for deme in &mut self.demes {
                all &= evolve(deme)?;
            }
            return Ok(all);
        }
        let waiting = Mutex::new(self.demes.iter_mut());
        let work = || -> Result<bool, McodeError> {
            let mut all = true;
            loop {
                let next = waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .next();
                let Some(deme) = next else {
                    return Ok(all);
                };
                all &= evolve(deme)?;
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (1..n_threads).map(|_| scope.spawn(work)).collect();
            let own = work();
            threads.into_iter().fold(own, |all, thread| {
                let other = thread.join();
                let other = other.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                Ok(all? & other?)
            })
        })
    }

    fn migrate(&mut self) {
        self.epoch += 1;
        let migration = Migration {
            every: 1,
            n_migrants: self.settings.migrants,
            topology: Topology::Random,
        };
        let plan = migration.plan(self.demes.len(), self.epoch, self.settings.seed);
        let sent: Vec<_> = plan
            .iter()
            .map(|sending| {
                (
                    sending.to,
                    self.demes[sending.from].emigrants(sending.count),
                )
            })
            .collect();
        for (to, immigrants) in sent {
            self.demes[to].immigrate(immigrants);
        }
        self.note();
    }
}
