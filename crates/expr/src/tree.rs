//! Expressions as flat postfix sequences.
//!
//! A tree of boxed nodes costs an allocation a node, and recursion over it overflows the stack on
//! deep trees. In postfix order a tree is one array, every subtree is a contiguous range that ends
//! at its root, and bottom-up passes are plain loops.
//!
//! # Invariant
//! The nodes of an [`Expr`] are well-formed: read from left to right, each operator finds its
//! operands, and exactly one value remains. [`Expr::from_postfix`] is the only door.

use std::fmt;
use std::ops::Range;

use crate::op::{MAX_ARITY, Op};
use crate::scratch::with_scratch;

/// Longest expression, in nodes. Node numbers fit an `i32` with room to spare.
pub const MAX_LEN: usize = 1 << 28;

/// One node of an expression.
#[derive(Clone, Copy, Debug)]
pub enum Node {
    /// A number.
    Const(f64),
    /// The variable with this index.
    Var(u32),
    /// An operator, applied to the values before it.
    Op(Op),
}

impl Node {
    /// The number of operands: 0 for a leaf.
    #[inline]
    #[must_use]
    pub fn arity(self) -> usize {
        // One table for leaves (entry 0) and operators, with an entry for every byte, and no branch:
        // passes over a tree ask every node, and would be mispredicted every other time.
        const ARITY: [u8; 257] = {
            let mut arity = [0; 257];
            let mut i = 0;
            while i < Op::ALL.len() {
                #[expect(clippy::cast_possible_truncation, reason = "an arity is 3 at most")]
                {
                    arity[i + 1] = Op::ALL[i].arity() as u8;
                }
                i += 1;
            }
            arity
        };
        let entry = match self {
            Node::Op(op) => op as u8 as usize + 1,
            Node::Const(_) | Node::Var(_) => 0,
        };
        let is_operator = matches!(self, Node::Op(_));
        usize::from(ARITY[std::hint::select_unpredictable(is_operator, entry, 0)])
    }
}

/// Equality to the bit: NaN equals a NaN of the same bits, and 0 differs from -0.
impl PartialEq for Node {
    #[inline]
    fn eq(&self, other: &Node) -> bool {
        match (self, other) {
            (Node::Const(a), Node::Const(b)) => a.to_bits() == b.to_bits(),
            (Node::Var(a), Node::Var(b)) => a == b,
            (Node::Op(a), Node::Op(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Node {}

/// Why a sequence of nodes is not an expression, or a request does not fit one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExprError {
    /// There are no nodes.
    #[error("an expression has at least one node")]
    Empty,
    /// An operator has too few values before it.
    #[error("node {position}: `{}` takes {} operands, but only {found} precede it", op.name(), op.arity())]
    MissingOperand {
        /// Where in the sequence.
        position: usize,
        /// The operator.
        op: Op,
        /// How many values there are.
        found: usize,
    },
    /// More than one value remains at the end.
    #[error("the nodes make {found} expressions, not one")]
    Leftover {
        /// How many values remain.
        found: usize,
    },
    /// The expression would be longer than [`MAX_LEN`] or than the limit of the operation.
    #[error("the expression would have more than {limit} nodes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// A vector of constants of another length than the expression has constants.
    #[error("the expression has {expected} constants, but {found} were given")]
    ConstantCount {
        /// As many as there are.
        expected: usize,
        /// As many as were given.
        found: usize,
    },
}

/// An expression: a well-formed postfix sequence of nodes.
///
/// Equality and hashing are by structure, constants to the bit.
#[derive(Clone, PartialEq, Eq)]
pub struct Expr {
    nodes: Vec<Node>,
}

impl Expr {
    /// The expression with these nodes in postfix order.
    ///
    /// # Errors
    /// If they are not well-formed, or more than [`MAX_LEN`].
    pub fn from_postfix(nodes: Vec<Node>) -> Result<Expr, ExprError> {
        if nodes.is_empty() {
            return Err(ExprError::Empty);
        }
        if nodes.len() > MAX_LEN {
            return Err(ExprError::TooLong { limit: MAX_LEN });
        }
        if is_well_formed(&nodes) {
            Ok(Expr { nodes })
        } else {
            Err(malformed(&nodes))
        }
    }

    /// The expression with these nodes, which are well-formed by construction.
    pub(crate) fn well_formed(nodes: Vec<Node>) -> Expr {
        debug_assert!(
            Expr::from_postfix(nodes.clone()).is_ok(),
            "not well-formed: {nodes:?}"
        );
        Expr { nodes }
    }

    /// The variable with this index.
    #[must_use]
    pub fn var(index: u32) -> Expr {
        Expr {
            nodes: vec![Node::Var(index)],
        }
    }

    /// The number `value`.
    #[must_use]
    pub fn constant(value: f64) -> Expr {
        Expr {
            nodes: vec![Node::Const(value)],
        }
    }

    /// `op` applied to these operands.
    ///
    /// # Panics
    /// If the number of operands is not the operator's, or the result is longer than [`MAX_LEN`].
    #[must_use]
    pub fn apply(op: Op, operands: &[Expr]) -> Expr {
        assert_eq!(operands.len(), op.arity(), "operands of {}", op.name());
        let mut nodes = Vec::with_capacity(1 + operands.iter().map(Expr::len).sum::<usize>());
        for operand in operands {
            nodes.extend_from_slice(&operand.nodes);
        }
        nodes.push(Node::Op(op));
        assert!(
            nodes.len() <= MAX_LEN,
            "an expression has at most {MAX_LEN} nodes"
        );
        Expr { nodes }
    }

    /// The nodes, in postfix order.
    #[inline]
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes, in postfix order.
    #[must_use]
    pub fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    /// The number of nodes; never 0.
    #[inline]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an expression is never empty")]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The number of nodes on the longest way from the root to a leaf; 1 for a leaf.
    #[must_use]
    pub fn depth(&self) -> usize {
        // From the root backwards, on a stack of the depths of operands that are still to come. All
        // places that an operator could need are written and only as many as it needs are kept, so
        // that there is no branch on what a node is.
        with_scratch(self.len() + MAX_ARITY, |stack: &mut [u32]| {
            stack[0] = 1;
            let mut height = 1;
            let mut deepest = 0;
            for node in self.nodes.iter().rev() {
                height -= 1;
                let depth = stack[height];
                deepest = deepest.max(depth);
                stack[height..height + MAX_ARITY].fill(depth + 1);
                height += node.arity();
            }
            deepest as usize
        })
    }

    /// The smallest number of variables that a row must have: one more than the highest index.
    #[must_use]
    pub fn n_variables(&self) -> usize {
        let count = |node: &Node| match *node {
            Node::Var(index) => index as usize + 1,
            Node::Const(_) | Node::Op(_) => 0,
        };
        self.nodes.iter().map(count).max().unwrap_or(0)
    }

    /// The constants, in postfix order.
    #[must_use]
    pub fn constants(&self) -> Vec<f64> {
        let constant = |node: &Node| match *node {
            Node::Const(value) => Some(value),
            Node::Var(_) | Node::Op(_) => None,
        };
        self.nodes.iter().filter_map(constant).collect()
    }

    /// The number of constants.
    #[must_use]
    pub fn n_constants(&self) -> usize {
        self.nodes
            .iter()
            .filter(|node| matches!(node, Node::Const(_)))
            .count()
    }

    /// Replaces the constants, in postfix order.
    ///
    /// # Errors
    /// If there are not as many values as constants; the expression is then as before.
    pub fn set_constants(&mut self, values: &[f64]) -> Result<(), ExprError> {
        let expected = self.n_constants();
        if values.len() != expected {
            return Err(ExprError::ConstantCount {
                expected,
                found: values.len(),
            });
        }
        let mut values = values.iter();
        for node in &mut self.nodes {
            if let Node::Const(constant) = node
                && let Some(value) = values.next()
            {
                *constant = *value;
            }
        }
        Ok(())
    }

    /// The range of nodes of the subtree whose root is node `end`. It ends with its root.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn subtree(&self, end: usize) -> Range<usize> {
        let mut missing = 1;
        let mut start = end + 1;
        while missing > 0 {
            start -= 1;
            missing = missing - 1 + self.nodes[start].arity();
        }
        start..end + 1
    }

    /// For each node the number of nodes in the subtree of which it is the root.
    #[must_use]
    pub fn subtree_sizes(&self) -> Vec<u32> {
        let mut sizes = Vec::new();
        self.subtree_sizes_into(&mut sizes);
        sizes
    }

    /// As [`Expr::subtree_sizes`], into a vector that is reused: its old content goes.
    pub fn subtree_sizes_into(&self, sizes: &mut Vec<u32>) {
        sizes.clear();
        sizes.reserve(self.len());
        for (i, node) in self.nodes.iter().enumerate() {
            // The last operand ends just before the operator, the one before it where that
            // operand begins, and so on: no stack is needed.
            let mut size = 1;
            for _ in 0..node.arity() {
                size += sizes[i - size as usize];
            }
            sizes.push(size);
        }
    }

    /// For each node the depth of the subtree of which it is the root; 1 for a leaf.
    /// `sizes` must be this expression's [`Expr::subtree_sizes`]; the old content of `depths` goes.
    pub fn subtree_depths_into(&self, sizes: &[u32], depths: &mut Vec<u32>) {
        depths.clear();
        depths.reserve(self.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let mut back = 1;
            let mut deepest = 0;
            for _ in 0..node.arity() {
                deepest = deepest.max(depths[i - back]);
                back += sizes[i - back] as usize;
            }
            depths.push(deepest + 1);
        }
    }
}

/// Whether these nodes make one expression.
///
/// Variation makes millions of trees and nearly all are well-formed, so this has no branch on what
/// a node is, which no processor can predict; [`malformed`] finds out what is wrong with the rest.
fn is_well_formed(nodes: &[Node]) -> bool {
    let mut height = 0_usize;
    let mut found_operands = true;
    for node in nodes {
        let arity = node.arity();
        found_operands &= height >= arity;
        height = height.wrapping_add(1).wrapping_sub(arity);
    }
    found_operands && height == 1
}

/// What is wrong with nodes that are no expression.
#[cold]
fn malformed(nodes: &[Node]) -> ExprError {
    let mut height = 0_usize;
    for (position, node) in nodes.iter().enumerate() {
        if let Node::Op(op) = *node {
            if height < op.arity() {
                return ExprError::MissingOperand {
                    position,
                    op,
                    found: height,
                };
            }
            height -= op.arity();
        }
        height += 1;
    }
    ExprError::Leftover { found: height }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expr({self})")
    }
}

/// The roots of the operands of the node at `root`, from the sizes of all subtrees. Those that it does
/// not have are the root.
#[must_use]
pub fn operands_of(op: Op, root: usize, sizes: &[u32]) -> [usize; MAX_ARITY] {
    let mut operands = [root; MAX_ARITY];
    let mut end = root;
    for operand in operands[..op.arity()].iter_mut().rev() {
        *operand = end - 1;
        end -= sizes[end - 1] as usize;
    }
    operands
}
