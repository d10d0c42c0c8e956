//! A ladder of evaluators: the more rows, the fewer formulas get to see them.
//!
//! Of the children of a generation most are hopeless, and a hundred rows tell which. So a child of a
//! large brood is looked at on few rows first and judged on all rows of its island only if it
//! stands out among its siblings (racing; Maron & Moore, "Hoeffding races", 1994). That makes
//! candidates cheap, two to four times as many a second; but what is found depends more on the
//! constants that are fitted than on the number of candidates, so by default all are judged.

use opcodon_evo::Rng;

use crate::config::Config;
use crate::error::SrError;
use crate::evaluate::Evaluator;
use crate::problem::Rows;

/// Rows that the children of a brood are looked at on.
const SCREEN_ROWS: usize = 128;
/// Rows that constants are fitted on during the search; more make a step dearer, not better.
const TUNING_ROWS: usize = 400;
const SAMPLE_STREAM: u64 = u64::MAX - 1;

/// The evaluators of an island.
pub(crate) struct Rungs {
    /// On a few rows; `None` where all rows are few.
    screen: Option<Evaluator>,
    pub(crate) scorer: Evaluator,
    pub(crate) tuner: Evaluator,
}

impl Rungs {
    /// Evaluators on samples of these rows.
    pub(crate) fn new(rows: &Rows, config: &Config, seed: u64) -> Result<Self, SrError> {
        let n_rows = rows.n_rows();
        let mut order: Vec<usize> = (0..n_rows).collect();
        if n_rows > SCREEN_ROWS {
            Rng::new(seed, SAMPLE_STREAM).shuffle(&mut order);
        }
        let first = |n: usize| Evaluator::new(rows.pick(&order[..n_rows.min(n)]));
        let few = first(SCREEN_ROWS)?;
        // A rare event may be missing from a few rows; what does not vary tells nothing.
        let tells = n_rows > 2 * SCREEN_ROWS && few.rows().variance() > 0.0;
        Ok(Self {
            screen: tells.then_some(few),
            scorer: first(config.search_rows)?,
            tuner: first(TUNING_ROWS)?,
        })
    }

    /// The same rows, for another thread.
    pub(crate) fn sibling(&self) -> Result<Self, SrError> {
        Ok(Self {
            screen: self.screen.as_ref().map(Evaluator::sibling).transpose()?,
            scorer: self.scorer.sibling()?,
            tuner: self.tuner.sibling()?,
        })
    }

    /// What looks at the children of a brood.
    pub(crate) fn screen(&mut self) -> &mut Evaluator {
        self.screen.as_mut().unwrap_or(&mut self.scorer)
    }
}
