//! How large a tree may get.
//!
//! Size bounds cost and readability, depth bounds nesting. Limits checked after the fact, by
//! throwing children away, bias the search and waste it; operators here aim below the limits, and
//! [`Limits::admit`] is the one door through which every tree leaves.

use opcodon_expr::{Expr, Node};

/// The largest size and depth of a tree; a leaf has size 1 and depth 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Number of nodes.
    pub max_size: usize,
    /// Number of nodes on the longest way from the root to a leaf.
    pub max_depth: usize,
}

impl Limits {
    /// Limits of size and depth.
    #[must_use]
    pub fn new(max_size: usize, max_depth: usize) -> Self {
        Self {
            max_size,
            max_depth,
        }
    }

    /// Whether a tree is within the limits.
    #[must_use]
    pub fn allow(&self, expr: &Expr) -> bool {
        // A tree is never deeper than large, so most trees need no walk.
        expr.len() <= self.max_size
            && (expr.len() <= self.max_depth || expr.depth() <= self.max_depth)
    }

    /// The tree of these nodes, if they make one that is within the limits.
    #[must_use]
    pub fn admit(&self, nodes: Vec<Node>) -> Option<Expr> {
        self.admit_shallow(nodes, usize::MAX)
    }

    /// As [`Limits::admit`], of nodes that are known to be no deeper than `depth_bound`, which may
    /// save the walk.
    pub(crate) fn admit_shallow(&self, nodes: Vec<Node>, depth_bound: usize) -> Option<Expr> {
        if nodes.len() > self.max_size {
            return None;
        }
        let expr = Expr::from_postfix(nodes).ok()?;
        debug_assert!(
            expr.depth() <= depth_bound,
            "{expr:?} is deeper than {depth_bound}"
        );
        (depth_bound <= self.max_depth || self.allow(&expr)).then_some(expr)
    }
}
