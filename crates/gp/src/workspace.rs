//! Buffers of one varying thread.

use crate::growth::Growth;

/// Buffers that operators reuse from call to call, one per thread. Results never depend on what is
/// in them.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Sizes and depths of the subtrees of a parent.
    pub(crate) sizes: Vec<u32>,
    pub(crate) depths: Vec<u32>,
    /// The other parent's sizes, where both are needed.
    pub(crate) other_sizes: Vec<u32>,
    /// Pairs of corresponding nodes of two parents.
    pub(crate) pairs: Vec<(usize, usize)>,
    /// Nodes that are eligible for something.
    pub(crate) points: Vec<usize>,
    /// A tree being grown.
    pub(crate) growth: Growth,
}

impl Workspace {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
