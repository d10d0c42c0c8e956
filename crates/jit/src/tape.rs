//! Straight-line code before registers: what is computed, in which order, from which operands.
//!
//! A tree's leaves never become instructions of their own: a column, an argument or a constant
//! is an operand (of memory, or a register) of the step that uses it. What is left is one step
//! an operator, in static single assignment. The order of the steps decides how many values are
//! alive at a time. Postfix order is kept while it fits the registers; when it does not, or
//! when asked, the child that needs more registers goes first (Sethi & Ullman, “The Generation
//! of Optimal Code for Arithmetic Expressions”, JACM 17(4), 1970), which bounds the live values
//! of a binary tree of n leaves by log₂ n + 1.
//!
//! # Invariant
//! A step's operands are computed by earlier steps. Nothing here recurses, so that depth is
//! bounded by memory only.

use opcodon_expr::{Node, Op};

/// Where an operand comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arg {
    /// The result of a step.
    Value(u32),
    /// An input.
    Column(u32),
    /// An element of the constant vector.
    Const(u32),
}

/// One operator applied to operands; unused operands repeat the first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) op: Op,
    pub(crate) args: [Arg; 3],
    /// The tree's node that this step computes.
    pub(crate) node: u32,
    /// A quotient that a routine computes beside the divider.
    pub(crate) beside: bool,
}

impl Step {
    /// The operands in use.
    #[inline(always)]
    pub(crate) fn operands(&self) -> &[Arg] {
        &self.args[..self.op.arity()]
    }
}

/// Order of evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As in the postfix, unless more than this many values would be alive.
    UpTo(usize),
    /// Sethi–Ullman always.
    Fewest,
}

/// A program without registers. Reused from tree to tree, so that compiling allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pub(crate) steps: Vec<Step>,
    /// How often each step's value is used, outputs included.
    pub(crate) uses: Vec<u32>,
    /// The step that uses each step's value last; the number of steps for an output.
    pub(crate) last_use: Vec<u32>,
    /// What the program computes: one value of a tree, several of a gradient.
    pub(crate) outputs: Vec<Arg>,
    /// Constants of the tree, in postfix order.
    pub(crate) constants: Vec<f64>,
    /// Most values alive at once.
    pub(crate) max_live: usize,
    /// One more than the highest input that is read.
    pub(crate) n_columns: usize,
    stack: Vec<Arg>,
    scratch: Vec<Step>,
    order: Vec<u32>,
    need: Vec<u32>,
    dying: Vec<u32>,
}

impl Tape {
    /// Replaces the program by that of a tree in postfix order.
    pub(crate) fn load(&mut self, tree: &[Node], order: Order) {
        self.steps.clear();
        self.constants.clear();
        self.stack.clear();
        self.last_use.clear();
        self.last_use.resize(tree.len(), 0);
        let (mut live, mut max_live, mut n_columns) = (0usize, 0usize, 0);
        for (node, item) in (0u32..).zip(tree) {
            match *item {
                Node::Const(value) => {
                    self.stack.push(Arg::Const(index(self.constants.len())));
                    self.constants.push(value);
                }
                Node::Var(column) => {
                    n_columns = n_columns.max(column as usize + 1);
                    self.stack.push(Arg::Column(column));
                }
                Node::Op(op) => {
                    let base = self.stack.len() - op.arity();
                    let place = index(self.steps.len());
                    let mut args = [self.stack[base]; 3];
                    for (arg, operand) in args.iter_mut().zip(&self.stack[base..]) {
                        *arg = *operand;
                        if let Arg::Value(value) = *operand {
                            self.last_use[value as usize] = place;
                            live -= 1;
                        }
                    }
                    self.stack.truncate(base);
                    self.stack.push(Arg::Value(place));
                    live += 1;
                    max_live = max_live.max(live);
                    self.steps.push(Step {
                        op,
                        args,
                        node,
                        beside: false,
                    });
                }
            }
        }
        // In a tree each value is used once, the root's by the output.
        let n_steps = self.steps.len();
        self.uses.clear();
        self.uses.resize(n_steps, 1);
        self.last_use.truncate(n_steps);
        if let Some(root) = self.last_use.last_mut() {
            *root = index(n_steps);
        }
        self.outputs.clear();
        self.outputs.extend(self.stack.pop());
        self.n_columns = n_columns;
        self.max_live = max_live;
        let fewest = match order {
            Order::UpTo(limit) => max_live > limit,
            Order::Fewest => max_live > 1,
        };
        if fewest {
            self.reorder();
            self.count_uses();
        }
    }

    /// Appends a step; the program must be finished with [`Tape::finish`].
    pub(crate) fn push(&mut self, op: Op, args: &[Arg], node: u32) -> Arg {
        let mut padded = [args[0]; 3];
        padded[..args.len()].copy_from_slice(args);
        self.steps.push(Step {
            op,
            args: padded,
            node,
            beside: false,
        });
        Arg::Value(index(self.steps.len() - 1))
    }

    /// Brings the facts about uses up to date after steps or outputs were added.
    pub(crate) fn finish(&mut self) {
        self.count_uses();
        self.dying.clear();
        self.dying.resize(self.steps.len() + 1, 0);
        for &last in &self.last_use {
            self.dying[last as usize] += 1;
        }
        let (mut live, mut max_live) = (0, 0);
        for dead in &self.dying[..self.steps.len()] {
            live = live + 1 - dead;
            max_live = max_live.max(live);
        }
        self.max_live = max_live as usize;
    }

    /// Finds out how often, and where last, each value is used.
    fn count_uses(&mut self) {
        let n_steps = self.steps.len();
        self.uses.clear();
        self.uses.resize(n_steps, 0);
        self.last_use.clear();
        self.last_use.resize(n_steps, 0);
        for (place, step) in (0u32..).zip(&self.steps) {
            for arg in step.operands() {
                if let Arg::Value(value) = *arg {
                    self.uses[value as usize] += 1;
                    self.last_use[value as usize] = place;
                }
            }
        }
        for arg in &self.outputs {
            if let Arg::Value(value) = *arg {
                self.uses[value as usize] += 1;
                self.last_use[value as usize] = index(n_steps);
            }
        }
    }

    /// Evaluates the operand that needs most registers first.
    fn reorder(&mut self) {
        // How many values a step needs alive while its subtree is computed.
        self.need.clear();
        for step in &self.steps {
            let mut needs = [0u32; 3];
            for (need, arg) in needs.iter_mut().zip(step.operands()) {
                if let Arg::Value(value) = *arg {
                    *need = self.need[value as usize];
                }
            }
            needs.sort_unstable_by(|a, b| b.cmp(a));
            let need = (0u32..).zip(needs).filter(|&(_, need)| need > 0);
            self.need
                .push(need.map(|(kept, need)| need + kept).max().unwrap_or(1));
        }
        // Root first, the operand evaluated last next; read backwards this is the order.
        let mut pending: Vec<u32> = vec![index(self.steps.len() - 1)];
        self.order.clear();
        while let Some(value) = pending.pop() {
            self.order.push(value);
            let step = &self.steps[value as usize];
            let mut children = [(0u32, 0u32); 3];
            let mut n_children = 0;
            for arg in step.operands() {
                if let Arg::Value(child) = *arg {
                    children[n_children] = (self.need[child as usize], child);
                    n_children += 1;
                }
            }
            let children = &mut children[..n_children];
            children.sort_by_key(|&(need, _)| std::cmp::Reverse(need));
            pending.extend(children.iter().map(|&(_, child)| child));
        }
        // `need` is done with: it now maps a step to its new place.
        let last = self.order.len() - 1;
        for (place, &value) in self.order.iter().rev().enumerate() {
            self.need[value as usize] = index(place);
        }
        self.scratch.clear();
        let (mut live, mut max_live) = (0usize, 0usize);
        for place in 0..=last {
            let mut step = self.steps[self.order[last - place] as usize];
            let arity = step.op.arity();
            for arg in &mut step.args {
                if let Arg::Value(value) = arg {
                    *value = self.need[*value as usize];
                }
            }
            live -= step.args[..arity]
                .iter()
                .filter(|arg| matches!(arg, Arg::Value(_)))
                .count();
            live += 1;
            max_live = max_live.max(live);
            self.scratch.push(step);
        }
        std::mem::swap(&mut self.steps, &mut self.scratch);
        self.max_live = max_live;
        self.outputs[0] = Arg::Value(index(last));
    }
}

/// Sizes of programs are counted in 32 bits: a tree of 2³² nodes does not fit the memory that
/// its nodes would need.
#[inline(always)]
pub(crate) fn index(n: usize) -> u32 {
    u32::try_from(n).expect("a program of fewer than 2^32 steps")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(text: &str, order: Order) -> (String, usize) {
        let mut tape = Tape::default();
        tape.load(opcodon_expr::parse(text, None).unwrap().expr.nodes(), order);
        let shown: Vec<_> = tape
            .steps
            .iter()
            .map(|step| format!("{}{:?}", step.op.spelling(), step.operands()))
            .collect();
        (shown.join(" "), tape.max_live)
    }

    #[test]
    fn leaves_are_operands_and_the_heavier_child_goes_first() {
        let text = "x + (x - 1) * (x + 2)";
        let (postfix, live) = steps(text, Order::UpTo(8));
        assert_eq!(
            postfix,
            "-[Column(0), Const(0)] +[Column(0), Const(1)] *[Value(0), Value(1)] \
             +[Column(0), Value(2)]"
        );
        assert_eq!(live, 2);
        // A right-leaning chain keeps one value alive in either order.
        assert_eq!(steps("x + (x + (x + (x + x)))", Order::Fewest).1, 1);
        // a*b + (c*d + (e*f + g*h)): postfix order holds four products, the other order two.
        let chain = "a*b + (c*d + (e*f + g*h))";
        assert_eq!(steps(chain, Order::UpTo(8)).1, 4);
        assert_eq!(steps(chain, Order::Fewest).1, 2);
        assert_eq!(steps(chain, Order::UpTo(3)).1, 2);
    }

    #[test]
    fn a_leaf_alone_has_no_steps() {
        let mut tape = Tape::default();
        tape.load(&[Node::Const(2.5)], Order::Fewest);
        assert!(tape.steps.is_empty());
        assert_eq!(
            (&tape.outputs[..], &tape.constants[..]),
            (&[Arg::Const(0)][..], &[2.5][..])
        );
    }
}
