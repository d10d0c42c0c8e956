//! The first trees: grow, full, ramped half-and-half, balanced (BTC) and PTC2.
//!
//! Koza's methods (`grow`, `full`, `ramped`) are given depths and let sizes fall as they may; the
//! size-based methods (`balanced`, `ptc2`) are given sizes and meet them exactly wherever the
//! arities and the depth limit permit.
//!
//! Sources: Koza, "Genetic Programming", 1992. Luke, "Two fast tree-creation algorithms for
//! genetic programming", IEEE TEC 4(3), 2000 (PTC2). Burlacu, Kommenda, Affenzeller, Kronberger,
//! "Operon C++: an efficient genetic programming framework for symbolic regression", GECCO 2020
//! (balanced tree creator).

use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node};

use crate::limits::Limits;
use crate::primitives::PrimitiveSet;
use crate::workspace::Workspace;

/// How first trees are made. Ranges include both ends; a value is drawn uniformly from them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// Branches stop at random between the depths.
    Grow {
        /// No leaf is higher than this, if the size limit permits.
        min_depth: usize,
        /// The lowest leaf.
        max_depth: usize,
    },
    /// Every branch reaches the same depth, if the size limit permits.
    Full {
        /// The smallest depth drawn.
        min_depth: usize,
        /// The largest depth drawn.
        max_depth: usize,
    },
    /// Half `Grow`, half `Full`, with depths spread evenly between the two.
    Ramped {
        /// The smallest depth drawn.
        min_depth: usize,
        /// The largest depth drawn.
        max_depth: usize,
    },
    /// Trees of given size, as flat as possible.
    Balanced {
        /// The smallest size drawn.
        min_size: usize,
        /// The largest size drawn.
        max_size: usize,
        /// Probability that a branch stops early; 0 makes the flattest trees.
        irregularity: f64,
    },
    /// Trees of given size whose shape is random.
    Ptc2 {
        /// The smallest size drawn.
        min_size: usize,
        /// The largest size drawn.
        max_size: usize,
    },
}

impl Init {
    /// One tree.
    pub fn create(
        &self,
        rng: &mut Rng,
        space: &mut Workspace,
        set: &PrimitiveSet,
        limits: Limits,
    ) -> Expr {
        let mut draw = |low: usize, high: usize| rng.range(low.min(high), high);
        match *self {
            Self::Grow {
                min_depth,
                max_depth,
            } => grow(rng, space, set, limits, min_depth, max_depth),
            Self::Full {
                min_depth,
                max_depth,
            } => {
                let depth = draw(min_depth, max_depth);
                full(rng, space, set, limits, depth)
            }
            Self::Ramped {
                min_depth,
                max_depth,
            } => ramped(rng, space, set, limits, min_depth, max_depth),
            Self::Balanced {
                min_size,
                max_size,
                irregularity,
            } => {
                let size = draw(min_size, max_size);
                balanced(rng, space, set, limits, size, irregularity)
            }
            Self::Ptc2 { min_size, max_size } => {
                let size = draw(min_size, max_size);
                ptc2(rng, space, set, limits, size)
            }
        }
    }
}

/// Koza's grow method: a branch stops between `min_depth` and `max_depth`, with the share of
/// leaves among the primitives.
pub fn grow(
    rng: &mut Rng,
    space: &mut Workspace,
    set: &PrimitiveSet,
    limits: Limits,
    min_depth: usize,
    max_depth: usize,
) -> Expr {
    space
        .growth
        .by_depth(rng, set, limits, min_depth, max_depth, false);
    finish(rng, space, set, limits)
}

/// Koza's full method: every branch reaches `depth`, if the size limit permits.
pub fn full(
    rng: &mut Rng,
    space: &mut Workspace,
    set: &PrimitiveSet,
    limits: Limits,
    depth: usize,
) -> Expr {
    space.growth.by_depth(rng, set, limits, depth, depth, true);
    finish(rng, space, set, limits)
}

/// Ramped half-and-half: a depth between the two, and then `full`, or `grow` with `min_depth`.
pub fn ramped(
    rng: &mut Rng,
    space: &mut Workspace,
    set: &PrimitiveSet,
    limits: Limits,
    min_depth: usize,
    max_depth: usize,
) -> Expr {
    let depth = rng.range(min_depth.min(max_depth), max_depth);
    if rng.bool(0.5) {
        full(rng, space, set, limits, depth)
    } else {
        grow(rng, space, set, limits, min_depth, depth)
    }
}

/// The balanced tree creator: `size` nodes, or the largest number below that is possible, level by
/// level.
pub fn balanced(
    rng: &mut Rng,
    space: &mut Workspace,
    set: &PrimitiveSet,
    limits: Limits,
    size: usize,
    irregularity: f64,
) -> Expr {
    space.growth.balanced(rng, set, limits, size, irregularity);
    finish(rng, space, set, limits)
}

/// Probabilistic tree creation 2: `size` nodes, or the largest number below that is possible, each
/// operator at a random open place.
pub fn ptc2(
    rng: &mut Rng,
    space: &mut Workspace,
    set: &PrimitiveSet,
    limits: Limits,
    size: usize,
) -> Expr {
    space.growth.ptc2(rng, set, limits, size);
    finish(rng, space, set, limits)
}

/// The tree that was grown. Limits that allow no tree at all (0) still give a leaf, because every
/// caller needs some tree.
fn finish(rng: &mut Rng, space: &mut Workspace, set: &PrimitiveSet, limits: Limits) -> Expr {
    let mut nodes = Vec::with_capacity(space.growth.len());
    space.growth.append_to(&mut nodes);
    limits
        .admit(nodes)
        .unwrap_or_else(|| leaf(set.terminal(rng)))
}

fn leaf(node: Node) -> Expr {
    match node {
        Node::Var(index) => Expr::var(index),
        Node::Const(value) => Expr::constant(value),
        Node::Op(_) => unreachable!("a terminal is no operator"),
    }
}
