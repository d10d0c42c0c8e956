//! Growing random trees: open leaves are turned into operators until the size is reached.
//!
//! A tree under construction is a list of slots; a slot is still open, or it is an operator whose
//! operands are slots further down the list. The initialisers differ only in which open slot is
//! next (the oldest or a random one) and in when a branch may stop.
//!
//! To meet a size exactly, an arity is allowed only if the rest can still be met: the nodes that
//! are left after it must be a sum of arities, and they must fit into the open slots above the
//! depth limit.

use opcodon_evo::Rng;
use opcodon_expr::Node;

use crate::limits::Limits;
use crate::primitives::{ARITIES, Arities, PrimitiveSet};

/// A node, or a place where one will be.
#[derive(Clone, Copy, Debug)]
struct Slot {
    node: Node,
    first_operand: usize,
    depth: usize,
}

/// A tree under construction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Growth {
    slots: Vec<Slot>,
    open: Vec<usize>,
    stack: Vec<usize>,
}

/// Stands in open slots.
const OPEN: Node = Node::Var(0);

/// Number of nodes of a full tree of so many levels; capped far above any size limit.
fn capacity(max_arity: usize, levels: usize) -> usize {
    /// Full ternary trees of 0, 1, 2, … levels, up to about 2⁴⁰ nodes.
    const TERNARY: [usize; 27] = {
        let mut table = [0; 27];
        let mut levels = 1;
        while levels < table.len() {
            table[levels] = 1 + 3 * table[levels - 1];
            levels += 1;
        }
        table
    };
    match max_arity {
        0 => levels.min(1),
        1 => levels.min(1 << 40),
        2 => (1 << levels.min(40)) - 1,
        _ => TERNARY[levels.min(TERNARY.len() - 1)],
    }
}

/// What is still to be met while growing to an exact size.
struct Budget<'a> {
    set: &'a PrimitiveSet,
    max_depth: usize,
    /// Nodes beyond those that have a slot.
    left: usize,
    /// How many nodes the open slots could take, beyond one each.
    room: usize,
}

impl<'a> Budget<'a> {
    /// A budget for the largest possible size up to `size`.
    fn new(set: &'a PrimitiveSet, limits: Limits, size: usize) -> Self {
        let room = capacity(set.max_arity(), limits.max_depth).max(1) - 1;
        let most = size.clamp(1, limits.max_size.max(1)) - 1;
        let left = (0..=most.min(room))
            .rev()
            .find(|&left| set.can_spend(left, room))
            .unwrap_or(0);
        Self {
            set,
            max_depth: limits.max_depth,
            left,
            room,
        }
    }

    /// How many nodes a slot of this depth can take beyond one.
    fn room_at(&self, depth: usize) -> usize {
        capacity(
            self.set.max_arity(),
            (self.max_depth + 1).saturating_sub(depth),
        )
        .max(1)
            - 1
    }

    /// The room that remains if a slot of this depth gets an operator of this arity.
    fn room_after(&self, depth: usize, arity: usize) -> usize {
        self.room - self.room_at(depth) + arity * self.room_at(depth + 1)
    }

    /// The arities, 0 included, that a slot of this depth may get.
    fn arities(&self, depth: usize) -> Arities {
        let mut allowed = 0;
        for arity in std::iter::once(0).chain(ARITIES) {
            if (arity == 0 || depth < self.max_depth)
                && arity <= self.left
                && self
                    .set
                    .can_spend(self.left - arity, self.room_after(depth, arity))
            {
                allowed |= 1 << arity;
            }
        }
        allowed
    }

    fn spend(&mut self, depth: usize, arity: usize) {
        self.room = self.room_after(depth, arity);
        self.left -= arity;
    }
}

impl Growth {
    fn start(&mut self) {
        self.slots.clear();
        self.open.clear();
        self.slots.push(Slot {
            node: OPEN,
            first_operand: 0,
            depth: 1,
        });
    }

    /// Puts a node into an open slot and opens slots for its operands.
    fn fill(&mut self, index: usize, node: Node) {
        let first_operand = self.slots.len();
        let depth = self.slots[index].depth;
        self.slots[index] = Slot {
            node,
            first_operand,
            depth,
        };
        let operand = Slot {
            node: OPEN,
            first_operand: 0,
            depth: depth + 1,
        };
        self.slots
            .extend(std::iter::repeat_n(operand, node.arity()));
    }

    /// Grows to `size` nodes (the largest possible size up to it) level by level. An open slot
    /// becomes a leaf early with probability `irregularity`, if the others can take the rest.
    pub(crate) fn balanced(
        &mut self,
        rng: &mut Rng,
        set: &PrimitiveSet,
        limits: Limits,
        size: usize,
        irregularity: f64,
    ) {
        self.start();
        let mut budget = Budget::new(set, limits, size);
        let mut index = 0;
        while let Some(&Slot { depth, .. }) = self.slots.get(index) {
            let leaf_now = budget.left == 0 || irregularity > 0.0 && rng.bool(irregularity);
            self.fill_within(rng, &mut budget, index, depth, leaf_now);
            index += 1;
        }
    }

    /// Grows to `size` nodes (the largest possible size up to it), always at a random open slot.
    pub(crate) fn ptc2(&mut self, rng: &mut Rng, set: &PrimitiveSet, limits: Limits, size: usize) {
        self.start();
        let mut budget = Budget::new(set, limits, size);
        self.open.push(0);
        while budget.left > 0 && !self.open.is_empty() {
            let index = self.open.swap_remove(rng.below(self.open.len()));
            let before = self.slots.len();
            let depth = self.slots[index].depth;
            self.fill_within(rng, &mut budget, index, depth, false);
            self.open.extend(before..self.slots.len());
        }
        while let Some(index) = self.open.pop() {
            self.fill(index, set.terminal(rng));
        }
    }

    fn fill_within(
        &mut self,
        rng: &mut Rng,
        budget: &mut Budget<'_>,
        index: usize,
        depth: usize,
        leaf_wanted: bool,
    ) {
        let allowed = if budget.left == 0 {
            1
        } else {
            budget.arities(depth)
        };
        let leaf = leaf_wanted && allowed & 1 == 1;
        let op = if leaf {
            None
        } else {
            budget.set.operator_within(rng, allowed & !1)
        };
        let node = op.map_or_else(|| budget.set.terminal(rng), Node::Op);
        budget.spend(depth, node.arity());
        self.fill(index, node);
    }

    /// Grows level by level down to `max_depth`, every branch if `full`; else a branch stops from
    /// `min_depth` on with the share of leaves among the primitives.
    pub(crate) fn by_depth(
        &mut self,
        rng: &mut Rng,
        set: &PrimitiveSet,
        limits: Limits,
        min_depth: usize,
        max_depth: usize,
        full: bool,
    ) {
        self.start();
        let max_depth = max_depth.min(limits.max_depth);
        let mut index = 0;
        while let Some(&Slot { depth, .. }) = self.slots.get(index) {
            let stop =
                depth >= max_depth || !full && depth >= min_depth && rng.bool(set.terminal_share());
            let room = limits.max_size.saturating_sub(self.slots.len());
            let fitting = ARITIES
                .filter(|&a| a <= room)
                .fold(0, |m: Arities, a| m | 1 << a);
            let op = if stop {
                None
            } else {
                set.operator_within(rng, fitting)
            };
            let node = op.map_or_else(|| set.terminal(rng), Node::Op);
            self.fill(index, node);
            index += 1;
        }
    }

    /// Appends the tree in postfix order.
    pub(crate) fn append_to(&mut self, nodes: &mut Vec<Node>) {
        // Root before operands, the last operand first, is postfix read backwards.
        let start = nodes.len();
        self.stack.clear();
        self.stack.push(0);
        while let Some(index) = self.stack.pop() {
            let Slot {
                node,
                first_operand,
                ..
            } = self.slots[index];
            nodes.push(node);
            self.stack
                .extend(first_operand..first_operand + node.arity());
        }
        nodes[start..].reverse();
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}
