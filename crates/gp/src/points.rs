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

#[cfg(test)]
mod tests {
    use opcodon_expr::parse;

    use super::*;

    #[test]
    fn depths_and_operands_of_every_node() {
        // Postfix: x0 x1 x2 * + sin x3 x0 x1 if
        let expr = parse("if(sin(x0 + x1*x2), x3, if(x0, x1, x2))", None)
            .unwrap()
            .expr;
        let depths: Vec<usize> = (0..expr.len()).map(|i| depth_of(expr.nodes(), i)).collect();
        //                  x0 x1 x2  * + sin x3 x0 x1 x2 if if
        assert_eq!(depths, [4, 5, 5, 4, 3, 2, 2, 3, 3, 3, 2, 1]);
        let (ranges, arity) = operands(&expr, 11);
        assert_eq!((ranges, arity), ([0..6, 6..7, 7..11], 3));
        let (ranges, arity) = operands(&expr, 4);
        assert_eq!((ranges[..2].to_vec(), arity), (vec![0..1, 1..4], 2));
        assert_eq!(operands(&expr, 0).1, 0);
    }

    #[test]
    fn points_are_internal_as_often_as_asked() {
        let expr = parse("(x0 + x1)*sin(x2)", None).unwrap().expr;
        let mut rng = Rng::new(1, 1);
        let mut counts = [0u32; 6];
        for _ in 0..12_000 {
            counts[pick_point(&mut rng, expr.nodes(), 0.75)] += 1;
        }
        // x0 x1 + x2 sin *: three leaves share a quarter, three operators the rest.
        for (count, expected) in counts.iter().zip([1000, 1000, 3000, 1000, 3000, 3000]) {
            assert!(count.abs_diff(expected) < 250, "{counts:?}");
        }
        let leaf = parse("x0", None).unwrap().expr;
        assert_eq!(pick_point(&mut rng, leaf.nodes(), 1.0), 0);
    }
}
