//! Finding one's way in a postfix sequence: choosing nodes, and how deep they are.
//!
//! These are plain scans. For trees of tens of nodes a scan is a few nanoseconds, less than
//! filling a table that an operator looks at once.

use std::ops::Range;

use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node};

#[inline]
pub(crate) fn is_internal(node: &Node) -> bool {
    matches!(node, Node::Op(_))
}

/// A node for which `eligible` holds, each with the same probability.
pub(crate) fn pick(
    rng: &mut Rng,
    nodes: &[Node],
    mut eligible: impl FnMut(&Node) -> bool,
) -> Option<usize> {
    let count = nodes.iter().filter(|node| eligible(node)).count();
    if count == 0 {
        return None;
    }
    let chosen = rng.below(count);
    let mut positions = (0..nodes.len()).filter(|&i| eligible(&nodes[i]));
    positions.nth(chosen)
}

/// A node: an internal one with probability `internal`, if there is one, else a leaf. Without such
/// a preference most nodes drawn are leaves, and crossover would exchange single variables.
pub(crate) fn pick_point(rng: &mut Rng, nodes: &[Node], internal: f64) -> usize {
    let chosen = if rng.bool(internal) {
        pick(rng, nodes, is_internal)
    } else {
        pick(rng, nodes, |node| !is_internal(node))
    };
    // Only a single leaf has no internal node; then the root is that leaf.
    chosen.unwrap_or(nodes.len() - 1)
}

/// How deep a node is: 1 for the root.
pub(crate) fn depth_of(nodes: &[Node], index: usize) -> usize {
    // Values that lie on the evaluation stack above the one that contains the node: an operator
    // that takes more than those takes the node, and is an ancestor.
    let mut above = 0;
    let mut depth = 1;
    for node in &nodes[index + 1..] {
        let arity = node.arity();
        if arity > above {
            depth += 1;
            above = 0;
        } else {
            above = above + 1 - arity;
        }
    }
    depth
}

/// Ranges of the operands of the operator at `index`, the first operand first; unused ones are
/// empty ranges at the end.
pub(crate) fn operands(expr: &Expr, index: usize) -> ([Range<usize>; 3], usize) {
    let arity = expr.nodes()[index].arity();
    let mut ranges = [index..index, index..index, index..index];
    let mut end = index;
    for range in ranges[..arity].iter_mut().rev() {
        *range = expr.subtree(end - 1);
        end = range.start;
    }
    (ranges, arity)
}

/// `nodes` with the part `range` replaced.
pub(crate) fn splice(nodes: &[Node], range: Range<usize>, part: &[Node]) -> Vec<Node> {
    let mut result = Vec::with_capacity(nodes.len() - range.len() + part.len());
    result.extend_from_slice(&nodes[..range.start]);
    result.extend_from_slice(part);
    result.extend_from_slice(&nodes[range.end..]);
    result
}
