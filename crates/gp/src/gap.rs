//! A gap in a parent: what goes, and what may come in its place.
//!
//! # Invariant
//! Whatever fits into the gap by size and depth makes a child within the limits, unless the parent
//! itself is deeper than allowed somewhere else.

use std::ops::Range;

use opcodon_evo::Rng;
use opcodon_expr::Expr;

use crate::limits::Limits;
use crate::points::{depth, depths_into, pick_point, read_arities, span, splice};
use crate::workspace::Workspace;

/// The part of the first parent that goes, and what may come in its place.
pub(crate) struct Gap {
    pub(crate) range: Range<usize>,
    /// Largest size and depth of a replacement.
    pub(crate) max_size: usize,
    pub(crate) max_depth: usize,
    /// What the depth of a child cannot exceed.
    pub(crate) depth_bound: usize,
}

impl Gap {
    /// A gap at a random point of `parent`, internal with probability `internal`, for something of
    /// at most `incoming` nodes; `None` if not even a leaf would fit.
    pub(crate) fn choose(
        rng: &mut Rng,
        space: &mut Workspace,
        limits: Limits,
        parent: &Expr,
        incoming: usize,
        internal: f64,
    ) -> Option<Self> {
        let Workspace {
            mother: arities,
            depths,
            stack,
            ..
        } = space;
        read_arities(parent.nodes(), arities);
        let point = pick_point(rng, arities, internal);
        let range = span(arities, point);
        let max_size = limits.max_size.checked_sub(parent.len() - range.len())?;
        // No tree is deeper than large, so depths often need no look.
        let unlimited = (parent.len() + incoming).min(limits.max_size);
        let (max_depth, depth_bound) = if unlimited <= limits.max_depth {
            (unlimited, unlimited)
        } else {
            let deepest = depths_into(arities, depths, stack);
            let room = (limits.max_depth + 1).checked_sub(depths[point] as usize)?;
            (room, deepest.max(limits.max_depth))
        };
        let some = max_size > 0 && max_depth > 0;
        some.then_some(Self {
            range,
            max_size,
            max_depth,
            depth_bound,
        })
    }

    /// Whether a subtree fits, given by its arities.
    pub(crate) fn takes(&self, part: &[u8], stack: &mut Vec<u32>) -> bool {
        part.len() <= self.max_size
            && (part.len() <= self.max_depth || depth(part, stack) <= self.max_depth)
    }

    /// The first parent with a part of the second in the gap.
    pub(crate) fn fill(
        self,
        limits: Limits,
        mother: &Expr,
        father: &Expr,
        donor: Range<usize>,
    ) -> Option<Expr> {
        let child = splice(mother.nodes(), self.range, &father.nodes()[donor]);
        limits.admit_shallow(child, self.depth_bound)
    }
}
