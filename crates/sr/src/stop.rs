//! Why a search ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopReason {
    /// There was nothing to search for, for example a constant target.
    Trivial,
    /// A formula explains all but `target_error` of the variance.
    TargetError,
    /// `max_generations` was reached.
    Generations,
    /// `max_evaluations` was reached.
    Evaluations,
    /// `time_limit` was reached.
    Time,
    /// Somebody asked for the best so far.
    Interrupted,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trivial => "nothing to search for",
            Self::TargetError => "target error reached",
            Self::Generations => "generation limit reached",
            Self::Evaluations => "evaluation limit reached",
            Self::Time => "time limit reached",
            Self::Interrupted => "interrupted",
        })
    }
}
