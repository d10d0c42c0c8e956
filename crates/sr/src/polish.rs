//! From the archive of a search to a front worth reading.
//!
//! Constants are fitted to convergence on all training rows.

use crate::clock::Clock;
use crate::config::Config;
use crate::constants::Effort;
use crate::error::SrError;
use crate::evaluate::Evaluator;
use crate::problem::Problem;
use crate::search::{Candidate, ERROR_FLOOR, refit};

use opcodon_evo::Archive;

/// The front of `found` after refitting to convergence.
pub(crate) fn polish(
    found: Vec<Candidate>,
    _problem: &Problem,
    config: &Config,
    _seed: u64,
    judge: &mut Evaluator,
    clock: &Clock,
) -> Result<Vec<Candidate>, SrError> {
    let effort = Effort { passes: 60, tolerance: 1e-10, rss: 1e-22 };
    let mut front = Archive::new(config.max_size + 4);
    for candidate in &found {
        let error = candidate.score.error.max(ERROR_FLOOR);
        front.insert(error, candidate.expr.len(), candidate.clone());
    }
    for candidate in refit(judge, found, effort, clock)? {
        let error = candidate.score.error.max(ERROR_FLOOR);
        front.insert(error, candidate.expr.len(), candidate);
    }
    Ok(front.into_entries().into_iter().map(|entry| entry.genome).collect())
}
