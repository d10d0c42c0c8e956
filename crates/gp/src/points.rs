//! Finding one's way in a postfix sequence: choosing nodes, where subtrees begin, how deep they are.
//!
//! A parent is first reduced to the arities of its nodes, one byte each. All scans then run on
//! bytes and without a branch on what a node is: trees are random, such a branch is mispredicted
//! every other time, and a misprediction costs more than all other work on that node.
//!
//! # Invariant
//! Arities passed to these functions are those of a well-formed expression.

use std::ops::Range;

use opcodon_evo::Rng;
use opcodon_expr::{MAX_ARITY, Node};

/// Puts the arities of `nodes` in place of what was in `arities`.
#[expect(clippy::cast_possible_truncation, reason = "an arity is 3 at most")]
pub(crate) fn read_arities(nodes: &[Node], arities: &mut Vec<u8>) {
    arities.clear();
    arities.extend(nodes.iter().map(|node| node.arity() as u8));
}

/// The nodes of the subtree whose root is `end`.
pub(crate) fn span(arities: &[u8], end: usize) -> Range<usize> {
    let mut missing = 1;
    let mut start = end + 1;
    while missing > 0 {
        start -= 1;
        missing = missing + usize::from(arities[start]) - 1;
    }
    start..end + 1
}

/// Ranges of the operands of the operator at `index`, the first operand first, and their number.
pub(crate) fn operands(arities: &[u8], index: usize) -> ([Range<usize>; MAX_ARITY], usize) {
    let arity = usize::from(arities[index]);
    let mut ranges = [const { 0..0 }; MAX_ARITY];
    let mut end = index;
    for range in ranges[..arity].iter_mut().rev() {
        *range = span(arities, end - 1);
        end = range.start;
    }
    (ranges, arity)
}

/// The operator that takes the node as an operand; `None` for the root.
pub(crate) fn parent_of(arities: &[u8], index: usize) -> Option<usize> {
    // Values on the evaluation stack above the node's: an operator that takes more takes it.
    let mut above = 0;
    for (position, &arity) in arities.iter().enumerate().skip(index + 1) {
        if usize::from(arity) > above {
            return Some(position);
        }
        above = above + 1 - usize::from(arity);
    }
    None
}

/// For each node the number of nodes in the subtree of which it is the root.
#[expect(
    clippy::cast_possible_truncation,
    reason = "an expression has less than 2³² nodes"
)]
pub(crate) fn sizes_into(arities: &[u8], sizes: &mut Vec<u32>, stack: &mut Vec<u32>) {
    let n = arities.len();
    sizes.resize(n, 0);
    if stack.len() < n {
        stack.resize(n, 0);
    }
    // The stack holds where each value's subtree begins. An operator begins where its first operand
    // does, and that is already in its place.
    let mut height = 0;
    for (i, (&arity, size)) in arities.iter().zip(sizes).enumerate() {
        height -= usize::from(arity);
        let start = std::hint::select_unpredictable(arity == 0, i as u32, stack[height]);
        stack[height] = start;
        *size = i as u32 + 1 - start;
        height += 1;
    }
}

/// For each node its depth, 1 for the root; returns the largest. `depths` may stay longer than
/// `arities`.
pub(crate) fn depths_into(arities: &[u8], depths: &mut Vec<u32>, stack: &mut Vec<u32>) -> usize {
    let n = arities.len();
    if depths.len() < n {
        depths.resize(n, 0);
    }
    deepest(arities, stack, |i, depth| depths[i] = depth)
}

/// The depth of a subtree given by its arities; 1 for a leaf.
pub(crate) fn depth(arities: &[u8], stack: &mut Vec<u32>) -> usize {
    deepest(arities, stack, |_, _| {})
}

fn deepest(arities: &[u8], stack: &mut Vec<u32>, mut visit: impl FnMut(usize, u32)) -> usize {
    let n = arities.len();
    if stack.len() < n + MAX_ARITY {
        stack.resize(n + MAX_ARITY, 0);
    }
    // From the root backwards: the stack holds the depths of operands that are still to come. All
    // places that an operator could need are written, and only as many as it needs are kept.
    stack[0] = 1;
    let mut height = 1;
    let mut deepest = 0;
    for (i, &arity) in arities.iter().enumerate().rev() {
        height -= 1;
        let depth = stack[height];
        visit(i, depth);
        deepest = deepest.max(depth);
        stack[height..height + MAX_ARITY].fill(depth + 1);
        height += usize::from(arity);
    }
    deepest as usize
}

/// A position for which `eligible` holds, each with the same probability.
pub(crate) fn pick<T: Copy>(
    rng: &mut Rng,
    items: &[T],
    eligible: impl Fn(T) -> bool,
) -> Option<usize> {
    let count = items.iter().filter(|&&item| eligible(item)).count();
    if count == 0 {
        return None;
    }
    // The position is the number of items up to which at most `chosen` are eligible.
    let chosen = rng.below(count);
    let (mut seen, mut position) = (0, 0);
    for &item in items {
        seen += usize::from(eligible(item));
        position += usize::from(seen <= chosen);
    }
    Some(position)
}

/// As [`pick`], for what is about as frequent as not: tries a few positions before it scans.
pub(crate) fn pick_frequent<T: Copy>(
    rng: &mut Rng,
    items: &[T],
    eligible: impl Fn(T) -> bool,
) -> Option<usize> {
    const MAX_TRIES: usize = 6;
    if items.is_empty() {
        return None;
    }
    for _ in 0..MAX_TRIES {
        let position = rng.below(items.len());
        if eligible(items[position]) {
            return Some(position);
        }
    }
    pick(rng, items, eligible)
}

/// An operator; `None` if the tree is a leaf.
pub(crate) fn pick_internal(rng: &mut Rng, arities: &[u8]) -> Option<usize> {
    if arities.len() == 1 {
        None
    } else {
        pick_frequent(rng, arities, |arity| arity > 0)
    }
}

/// A leaf.
pub(crate) fn pick_leaf(rng: &mut Rng, arities: &[u8]) -> usize {
    // The first node of a postfix sequence is a leaf.
    pick_frequent(rng, arities, |arity| arity == 0).unwrap_or(0)
}

/// A node: an operator with probability `internal`, if there is one, else a leaf. Without such
/// a preference most nodes drawn are leaves, and crossover would exchange single variables.
pub(crate) fn pick_point(rng: &mut Rng, arities: &[u8], internal: f64) -> usize {
    let operator = if rng.bool(internal) {
        pick_internal(rng, arities)
    } else {
        None
    };
    operator.unwrap_or_else(|| pick_leaf(rng, arities))
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
    use opcodon_expr::{Expr, parse};

    use super::*;

    fn arities(expr: &Expr) -> Vec<u8> {
        let mut arities = vec![9; 100];
        read_arities(expr.nodes(), &mut arities);
        arities
    }

    #[test]
    fn sizes_depths_parents_and_operands_of_every_node() {
        // Postfix: x0 x1 x2 * + sin x3 x0 x1 x2 if if
        let expr = parse("if(sin(x0 + x1*x2), x3, if(x0, x1, x2))", None)
            .unwrap()
            .expr;
        let arities = arities(&expr);
        assert_eq!(arities, [0, 0, 0, 2, 2, 1, 0, 0, 0, 0, 3, 3]);
        let (mut depths, mut sizes, mut stack) = (vec![7; 50], vec![7; 50], Vec::new());
        assert_eq!(depths_into(&arities, &mut depths, &mut stack), 5);
        assert_eq!(depths[..12], [4, 5, 5, 4, 3, 2, 2, 3, 3, 3, 2, 1]);
        sizes_into(&arities, &mut sizes, &mut stack);
        assert_eq!(sizes, [1, 1, 1, 3, 5, 6, 1, 1, 1, 1, 4, 12]);
        let parents: Vec<Option<usize>> = (0..12).map(|i| parent_of(&arities, i)).collect();
        let expected = [4, 3, 3, 4, 5, 11, 11, 10, 10, 10, 11].map(Some);
        assert_eq!((&parents[..11], parents[11]), (&expected[..], None));
        let (ranges, arity) = operands(&arities, 11);
        assert_eq!((ranges, arity), ([0..6, 6..7, 7..11], 3));
        let (ranges, arity) = operands(&arities, 4);
        assert_eq!((ranges[..2].to_vec(), arity), (vec![0..1, 1..4], 2));
        assert_eq!(operands(&arities, 0).1, 0);
        for end in 0..12 {
            assert_eq!(span(&arities, end), expr.subtree(end));
            assert_eq!(span(&arities, end).len(), sizes[end] as usize);
            let part = Expr::from_postfix(expr.nodes()[span(&arities, end)].to_vec()).unwrap();
            assert_eq!(
                depth(&arities[span(&arities, end)], &mut stack),
                part.depth()
            );
        }
    }

    #[test]
    fn points_are_internal_as_often_as_asked() {
        // x0 x1 + x2 sin *: three leaves share a quarter, three operators the rest.
        let arities = arities(&parse("(x0 + x1)*sin(x2)", None).unwrap().expr);
        let mut rng = Rng::new(1, 1);
        let mut counts = [0u32; 6];
        for _ in 0..12_000 {
            counts[pick_point(&mut rng, &arities, 0.75)] += 1;
        }
        for (count, expected) in counts.iter().zip([1000, 1000, 3000, 1000, 3000, 3000]) {
            assert!(count.abs_diff(expected) < 250, "{counts:?}");
        }
        assert_eq!(pick_point(&mut rng, &[0], 1.0), 0);
        // One leaf below 999 operators is found by the scan.
        let chain: Vec<u8> = std::iter::once(0).chain([1; 999]).collect();
        assert!((0..100).all(|_| pick_leaf(&mut rng, &chain) == 0));
    }

    #[test]
    fn rare_items_are_picked_uniformly() {
        let items = [0, 1, 0, 1, 0, 0, 0, 1];
        let mut rng = Rng::new(2, 1);
        let mut counts = [0u32; 8];
        for _ in 0..9000 {
            counts[pick(&mut rng, &items, |i| i == 1).unwrap()] += 1;
        }
        assert_eq!(
            counts.iter().sum::<u32>(),
            counts[1] + counts[3] + counts[7]
        );
        assert!(
            [1, 3, 7]
                .iter()
                .all(|&i: &usize| counts[i].abs_diff(3000) < 250),
            "{counts:?}"
        );
        assert_eq!(pick(&mut rng, &items, |i| i == 2), None);
    }
}
