//! Buffers of one varying thread.

use crate::growth::Growth;

/// Buffers that operators reuse from call to call, one per thread. Results never depend on what is
/// in them.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Arities of the first parent's nodes, and of the second's.
    pub(crate) mother: Vec<u8>,
    pub(crate) father: Vec<u8>,
    /// Depths of the first parent's nodes.
    pub(crate) depths: Vec<u32>,
    /// Sizes of the subtrees of the second parent (and of the first, for one-point crossover).
    pub(crate) sizes: Vec<u32>,
    pub(crate) mother_sizes: Vec<u32>,
    pub(crate) stack: Vec<u32>,
    /// Pairs of corresponding nodes of two parents.
    pub(crate) pairs: Vec<(usize, usize)>,
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
