//! Which values of a hyper-parameter are accepted.

use std::fmt;

/// Which values of a type a parameter accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Accepts {
    /// Whatever the type can hold.
    Any,
    /// From the first to the second, both included.
    Between(f64, f64),
    /// More than the first, at most the second.
    Above(f64, f64),
}

impl Accepts {
    pub(crate) fn contains(self, value: f64) -> bool {
        match self {
            Self::Any => true,
            Self::Between(low, high) => low <= value && value <= high,
            Self::Above(low, high) => low < value && value <= high,
        }
    }
}

impl fmt::Display for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => write!(f, "any value is accepted"),
            Self::Between(low, high) => write!(f, "accepted: {low} to {high}"),
            Self::Above(low, high) => write!(f, "accepted: more than {low}, up to {high}"),
        }
    }
}
