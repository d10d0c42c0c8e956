//! A search between two exchanges, as data: everything that it needs to go on later, bit by bit as
//! if it had never stopped.
//!
//! What follows from table, configuration and seed (rows, folds, evaluators) is made anew.
//!
//! # Invariant
//! What is read is checked as far as the search relies on it: a damaged file makes an error, never
//! a panic.

use serde::{Deserialize, Serialize};

use super::{Apart, Search, Stage, folds};
use crate::candidate::Candidate;
use crate::config::Config;
use crate::error::SrError;
use crate::island::{Island, Visit};
use crate::problem::Problem;

/// A search as data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    generation: u64,
    stage: StageState,
    front: Vec<Candidate>,
    tame_front: Vec<Candidate>,
    islands: Vec<IslandState>,
}

/// [`Stage`] without the folds, which follow from the seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StageState {
    Apart,
    United {
        losses: Vec<Vec<f64>>,
        wild_losses: Vec<Vec<f64>>,
        formulas: Vec<Vec<Candidate>>,
    },
    Settled,
    Together,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IslandState {
    evaluations: u64,
    members: Vec<Candidate>,
    front: Vec<Candidate>,
    tame_front: Vec<Candidate>,
    visited: Vec<Candidate>,
    /// Shape, generation of the last visit, number of visits.
    visits: Vec<(u64, u64, u32)>,
}

impl IslandState {
    fn of(island: &Island) -> Self {
        let visits = island.visits.iter();
        let mut visits: Vec<_> = visits
            .map(|(&shape, visit)| (shape, visit.generation, visit.count))
            .collect();
        visits.sort_unstable();
        let [front, tame_front] = island.fronts.written();
        Self {
            evaluations: island.evaluations,
            members: island.members.clone(),
            front,
            tame_front,
            visited: island.visited.iter().cloned().collect(),
            visits,
        }
    }

    fn put_into(self, island: &mut Island) {
        island.evaluations = self.evaluations;
        island.members = self.members;
        island.fronts.read(self.front, self.tame_front);
        for candidate in &self.visited {
            island.visited.insert(candidate);
        }
        let visits = self.visits.into_iter();
        island.visits = visits
            .map(|(shape, generation, count)| (shape, Visit { generation, count }))
            .collect();
    }
}

impl State {
    /// Whether this can be a state of such a search.
    fn check(&self, problem: &Problem, config: &Config, n_folds: usize) -> Result<(), SrError> {
        let damaged = |what: String| Err(SrError::CheckpointContent { what });
        if self.islands.len() != config.islands {
            let (found, wanted) = (self.islands.len(), config.islands);
            return damaged(format!("it has {found} islands, not {wanted}"));
        }
        for (index, island) in self.islands.iter().enumerate() {
            if island.members.is_empty() {
                return damaged(format!("island {index} has no formulas"));
            }
        }
        let (n_rows, n_sizes) = (problem.train.n_rows(), config.max_size + 1);
        let lines = |losses: &Vec<Vec<f64>>| {
            losses.len() == n_sizes && losses.iter().all(|line| line.len() == n_rows)
        };
        let fits = match &self.stage {
            StageState::Apart => n_folds > 0,
            StageState::United {
                losses,
                wild_losses,
                formulas,
            } => n_folds == formulas.len() && lines(losses) && lines(wild_losses),
            StageState::Settled | StageState::Together => true,
        };
        if !fits {
            return damaged("what islands learned does not fit the table".to_owned());
        }
        let earlier = match &self.stage {
            StageState::United { formulas, .. } => formulas.as_slice(),
            _ => &[],
        };
        let formulas = self.islands.iter().flat_map(|island| {
            let fronts = island.front.iter().chain(&island.tame_front);
            island.members.iter().chain(fronts).chain(&island.visited)
        });
        let n_inputs = problem.inputs.len();
        let fronts = self.front.iter().chain(&self.tame_front);
        for candidate in formulas.chain(fronts).chain(earlier.iter().flatten()) {
            let n_variables = candidate.expr.n_variables();
            if n_variables > n_inputs {
                return damaged(format!(
                    "a formula has {n_variables} variables, but the table {n_inputs} inputs"
                ));
            }
        }
        Ok(())
    }
}

impl<'a> Search<'a> {
    /// What there is to write down.
    pub(crate) fn state(&self) -> State {
        let [front, tame_front] = self.fronts.written();
        State {
            generation: self.generation,
            stage: match &self.stage {
                Stage::Apart(_) => StageState::Apart,
                Stage::United(apart) => StageState::United {
                    losses: apart.losses.clone(),
                    wild_losses: apart.wild_losses.clone(),
                    formulas: apart.formulas.clone(),
                },
                Stage::Settled => StageState::Settled,
                Stage::Together => StageState::Together,
            },
            front,
            tame_front,
            islands: self.islands.iter().map(IslandState::of).collect(),
        }
    }

    /// The search that was written down, with the same table, configuration and seed.
    ///
    /// # Errors
    /// If the state cannot be that of such a search.
    pub(crate) fn resume(
        problem: &'a Problem,
        config: &'a Config,
        seed: u64,
        pool: &'a rayon::ThreadPool,
        state: State,
    ) -> Result<Self, SrError> {
        let train = &problem.train;
        let folds = folds(train.n_rows(), config, seed).unwrap_or_default();
        state.check(problem, config, folds.len())?;
        let stage = match state.stage {
            StageState::Apart => Stage::Apart(folds),
            StageState::United {
                losses,
                wild_losses,
                formulas,
            } => Stage::United(Apart {
                losses,
                wild_losses,
                folds,
                formulas,
            }),
            StageState::Settled => Stage::Settled,
            StageState::Together => Stage::Together,
        };
        let mut search = Self::empty(problem, config, seed, pool, stage)?;
        for (island, state) in search.islands.iter_mut().zip(state.islands) {
            state.put_into(island);
        }
        search.generation = state.generation;
        search.count();
        search.fronts.read(state.front, state.tame_front);
        Ok(search)
    }
}
