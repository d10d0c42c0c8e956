//! Children of one parent.
//!
//! Every operator returns `None` where it does not apply: there is no constant to change, no pair
//! of operands to swap, no room to insert. Who draws operators then draws another.

use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node};

use crate::gap::Gap;
use crate::limits::Limits;
use crate::points::{
    operands, parent_of, pick, pick_frequent, pick_internal, read_arities, span, splice,
};
use crate::primitives::{ARITIES, Arities, PrimitiveSet};
use crate::workspace::Workspace;

/// Draws of a primitive that is to be another one: if the others are rare they want patience, but
/// not forever.
const MAX_DRAWS: usize = 32;

/// Replaces one node by another of the same arity.
pub fn point(rng: &mut Rng, set: &PrimitiveSet, limits: Limits, parent: &Expr) -> Option<Expr> {
    let index = rng.below(parent.len());
    let node = other_node(rng, set, parent.nodes()[index])?;
    let mut nodes = parent.nodes().to_vec();
    nodes[index] = node;
    limits.admit(nodes)
}

/// Replaces each node with the same small probability by another of its arity: `expected` nodes on
/// average.
pub fn multi_point(
    rng: &mut Rng,
    set: &PrimitiveSet,
    limits: Limits,
    parent: &Expr,
    expected: f64,
) -> Option<Expr> {
    let mut nodes = parent.nodes().to_vec();
    let mut changed = false;
    let mean_gap = nodes.len() as f64 / expected.max(1e-3);
    // From one changed node to the next is an exponential distance: no draw for those between.
    let mut position = rng.exponential() * mean_gap;
    while position < nodes.len() as f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a position in the nodes"
        )]
        let index = position as usize;
        if let Some(node) = other_node(rng, set, nodes[index]) {
            nodes[index] = node;
            changed = true;
        }
        position = (index + 1) as f64 + rng.exponential() * mean_gap;
    }
    if changed { limits.admit(nodes) } else { None }
}

/// Another primitive of the same arity; `None` if there is none.
fn other_node(rng: &mut Rng, set: &PrimitiveSet, node: Node) -> Option<Node> {
    let arity = node.arity();
    if arity > 0 && !set.class(arity).iter().any(|&op| Node::Op(op) != node) {
        return None;
    }
    (0..MAX_DRAWS).find_map(|_| {
        let other = if arity == 0 {
            set.terminal(rng)
        } else {
            Node::Op(set.operator_of_arity(rng, arity)?)
        };
        (other != node).then_some(other)
    })
}

/// Replaces a subtree by a new random one, on average of about the same size.
pub fn subtree(
    rng: &mut Rng,
    space: &mut Workspace,
    set: &PrimitiveSet,
    limits: Limits,
    parent: &Expr,
    internal: f64,
) -> Option<Expr> {
    let nodes = parent.nodes();
    let gap = Gap::choose(rng, space, limits, parent, 2 * nodes.len(), internal)?;
    // Uniform from 1 to twice the old size: as large as before, plus a half, on average.
    let size = rng.range(1, gap.max_size.min(2 * gap.range.len()));
    let growth = &mut space.growth;
    growth.ptc2(
        rng,
        set,
        Limits {
            max_size: size,
            max_depth: gap.max_depth,
        },
        size,
    );
    let mut child = Vec::with_capacity(nodes.len() - gap.range.len() + growth.len());
    child.extend_from_slice(&nodes[..gap.range.start]);
    growth.append_to(&mut child);
    child.extend_from_slice(&nodes[gap.range.end..]);
    limits.admit_shallow(child, gap.depth_bound)
}

/// Puts a new operator above a node, which becomes one of its operands; the others are new leaves.
pub fn insert(
    rng: &mut Rng,
    space: &mut Workspace,
    set: &PrimitiveSet,
    limits: Limits,
    parent: &Expr,
) -> Option<Expr> {
    let nodes = parent.nodes();
    let room = limits.max_size.checked_sub(nodes.len())?;
    let fitting = ARITIES
        .filter(|&a| a <= room)
        .fold(0, |m: Arities, a| m | 1 << a);
    let op = set.operator_within(rng, fitting)?;
    read_arities(nodes, &mut space.mother);
    let range = span(&space.mother, rng.below(nodes.len()));
    let place = rng.below(op.arity());
    let mut child = Vec::with_capacity(nodes.len() + op.arity());
    child.extend_from_slice(&nodes[..range.start]);
    for operand in 0..op.arity() {
        if operand == place {
            child.extend_from_slice(&nodes[range.clone()]);
        } else {
            child.push(set.terminal(rng));
        }
    }
    child.push(Node::Op(op));
    child.extend_from_slice(&nodes[range.end..]);
    limits.admit(child)
}

/// Removes an operator: one of its operands takes its place, the others go.
pub fn shrink(rng: &mut Rng, space: &mut Workspace, limits: Limits, parent: &Expr) -> Option<Expr> {
    let arities = &mut space.mother;
    read_arities(parent.nodes(), arities);
    let point = pick_internal(rng, arities)?;
    let (ranges, arity) = operands(arities, point);
    let kept = ranges[rng.below(arity)].clone();
    limits.admit(splice(
        parent.nodes(),
        ranges[0].start..point + 1,
        &parent.nodes()[kept],
    ))
}

/// Replaces a subtree by a leaf.
pub fn prune(
    rng: &mut Rng,
    space: &mut Workspace,
    set: &PrimitiveSet,
    limits: Limits,
    parent: &Expr,
) -> Option<Expr> {
    let arities = &mut space.mother;
    read_arities(parent.nodes(), arities);
    let point = pick_internal(rng, arities)?;
    limits.admit(splice(
        parent.nodes(),
        span(arities, point),
        &[set.terminal(rng)],
    ))
}

/// Replaces a subtree by a part of itself, however deep inside.
pub fn hoist(rng: &mut Rng, space: &mut Workspace, limits: Limits, parent: &Expr) -> Option<Expr> {
    let arities = &mut space.mother;
    read_arities(parent.nodes(), arities);
    let outer = span(arities, pick_internal(rng, arities)?);
    let inner = span(arities, rng.range(outer.start, outer.end - 2));
    limits.admit(splice(parent.nodes(), outer, &parent.nodes()[inner]))
}

/// Swaps two operands of an operator for which their order matters.
pub fn swap(rng: &mut Rng, space: &mut Workspace, limits: Limits, parent: &Expr) -> Option<Expr> {
    let nodes = parent.nodes();
    let ordered = |node: Node| matches!(node, Node::Op(op) if op.arity() > 2 || op.arity() == 2 && !op.is_commutative());
    let point = pick_frequent(rng, nodes, ordered)?;
    read_arities(nodes, &mut space.mother);
    let (ranges, arity) = operands(&space.mother, point);
    let first = rng.below(arity - 1);
    let second = rng.range(first + 1, arity - 1);
    let (a, b) = (ranges[first].clone(), ranges[second].clone());
    if nodes[a.clone()] == nodes[b.clone()] {
        return None;
    }
    let mut child = Vec::with_capacity(nodes.len());
    child.extend_from_slice(&nodes[..a.start]);
    child.extend_from_slice(&nodes[b.clone()]);
    child.extend_from_slice(&nodes[a.end..b.start]);
    child.extend_from_slice(&nodes[a]);
    child.extend_from_slice(&nodes[b.end..]);
    limits.admit(child)
}

/// Rotates an operator with one of its operands that is an operator itself: the lower one goes up,
/// and one of its operands becomes an operand of the upper one. `a + (b · c)` becomes
/// `(a + b) · c`, for example.
pub fn rotate(rng: &mut Rng, space: &mut Workspace, limits: Limits, parent: &Expr) -> Option<Expr> {
    let nodes = parent.nodes();
    let arities = &mut space.mother;
    read_arities(nodes, arities);
    // Any operator but the root is the lower one of a pair.
    let lower = pick_frequent(rng, &arities[..nodes.len() - 1], |arity| arity > 0)?;
    let upper = parent_of(arities, lower)?;
    let (lower_operands, lower_arity) = operands(arities, lower);
    let moved = lower_operands[rng.below(lower_arity)].clone();
    let whole = span(arities, upper);
    let inside = lower_operands[0].start..lower + 1;
    // upper: [before] lower: ([left] moved [right] op) [after] op
    let mut child = Vec::with_capacity(nodes.len());
    child.extend_from_slice(&nodes[..whole.start]);
    child.extend_from_slice(&nodes[inside.start..moved.start]);
    child.extend_from_slice(&nodes[whole.start..inside.start]);
    child.extend_from_slice(&nodes[moved.clone()]);
    child.extend_from_slice(&nodes[inside.end..whole.end]);
    child.extend_from_slice(&nodes[moved.end..inside.end]);
    child.extend_from_slice(&nodes[whole.end..]);
    limits.admit(child)
}

/// Changes one constant: mostly by a small factor, sometimes by a small step or its sign. `sigma`
/// is the size of a typical change.
pub fn constant(rng: &mut Rng, limits: Limits, parent: &Expr, sigma: f64) -> Option<Expr> {
    let index = pick(rng, parent.nodes(), |node| matches!(node, Node::Const(_)))?;
    let mut nodes = parent.nodes().to_vec();
    if let Node::Const(value) = &mut nodes[index] {
        *value = perturbed(rng, *value, sigma)?;
    }
    limits.admit(nodes)
}

/// Changes all constants a little.
pub fn constants(rng: &mut Rng, limits: Limits, parent: &Expr, sigma: f64) -> Option<Expr> {
    let mut nodes = parent.nodes().to_vec();
    let mut changed = false;
    for node in &mut nodes {
        if let Node::Const(value) = node
            && let Some(new) = perturbed(rng, *value, sigma)
        {
            *value = new;
            changed = true;
        }
    }
    if changed { limits.admit(nodes) } else { None }
}

/// A number near `value`, but another one; `None` if none is found that is finite.
fn perturbed(rng: &mut Rng, value: f64, sigma: f64) -> Option<f64> {
    let step = sigma * rng.normal();
    let new = match rng.below(10) {
        // A factor cannot leave 0 nor change the sign.
        0..=5 if value != 0.0 => value * (1.0 + step),
        9 if value != 0.0 => -value,
        _ => value + step,
    };
    (new.is_finite() && new != value).then_some(new)
}

/// Replaces one variable by another.
pub fn variable(rng: &mut Rng, set: &PrimitiveSet, limits: Limits, parent: &Expr) -> Option<Expr> {
    let index = pick(rng, parent.nodes(), |node| matches!(node, Node::Var(_)))?;
    let mut nodes = parent.nodes().to_vec();
    let other = (0..MAX_DRAWS).find_map(|_| {
        let other = Node::Var(set.variable(rng)?);
        (other != nodes[index]).then_some(other)
    })?;
    nodes[index] = other;
    limits.admit(nodes)
}
