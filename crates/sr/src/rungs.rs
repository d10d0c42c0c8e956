//! An island's evaluators: one that scores candidates, and one on fewer rows that fits constants.
//!
//! Every child is scored on all rows of its island. To look at several on a hundred rows and judge
//! the most promising of them (racing; Maron & Moore, "Hoeffding races", 1994) makes two to four
//! times as many candidates a second, and finds less in the same time: what is found depends more on
//! the constants that are fitted than on the number of candidates.

use opcodon_evo::Rng;

use crate::config::Config;
use crate::error::SrError;
use crate::evaluate::Evaluator;
use crate::problem::Rows;

/// Rows that constants are fitted on during the search; more make a step dearer, not better.
const TUNING_ROWS: usize = 400;
const SAMPLE_STREAM: u64 = u64::MAX - 1;

/// The evaluators of an island.
pub(crate) struct Rungs {
    pub(crate) scorer: Evaluator,
    pub(crate) tuner: Evaluator,
}

impl Rungs {
    /// Evaluators on samples of these rows.
    pub(crate) fn new(rows: &Rows, config: &Config, seed: u64) -> Result<Self, SrError> {
        let n_rows = rows.n_rows();
        let mut order: Vec<usize> = (0..n_rows).collect();
        if n_rows > TUNING_ROWS {
            Rng::new(seed, SAMPLE_STREAM).shuffle(&mut order);
        }
        let first = |n: usize| Evaluator::new(rows.pick(&order[..n_rows.min(n)]));
        Ok(Self {
            scorer: first(config.search_rows)?,
            tuner: first(TUNING_ROWS)?,
        })
    }

    /// The same rows, for another thread.
    pub(crate) fn sibling(&self) -> Result<Self, SrError> {
        Ok(Self {
            scorer: self.scorer.sibling()?,
            tuner: self.tuner.sibling()?,
        })
    }
}
