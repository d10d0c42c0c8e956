//! Hashes by which a search recognises an expression that it has seen.
//!
//! Two 64-bit hashes, the same on every machine and in every run: what depends on them (order of
//! removal of duplicates, sharing of work between machines) must not differ from run to run, so
//! the standard library's randomly keyed hasher is out of the question.

use std::hash::{Hash, Hasher};

use crate::mixing::{SEED, fold, mix};
use crate::scratch::with_scratch;
use crate::tree::{Expr, Node};

const CONST: u64 = 0x9e37_79b9_7f4a_7c15;
const VAR: u64 = 0xd1b5_4a32_d192_ed03;
const OP: u64 = 0xaef1_7502_108e_f2d9;
/// A node as one word, such that different nodes differ. (A constant may have the word of a
/// variable, but then its bits are as unlikely as any collision.)
#[inline]
fn word(node: &Node) -> u64 {
    // One selection for both, which needs no jump.
    let (kind, content) = match *node {
        Node::Const(value) => (CONST, value.to_bits()),
        Node::Var(index) => (VAR, u64::from(index)),
        Node::Op(op) => (OP, op as u64),
    };
    kind ^ content
}

impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(word(self));
    }
}

impl Hash for Expr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.structural_hash());
    }
}

impl Expr {
    /// A hash of the structure, constants included to the bit: equal expressions have equal hashes.
    #[must_use]
    pub fn structural_hash(&self) -> u64 {
        // Postfix order with known arities determines the tree, so hashing the sequence will do.
        // Two lanes, since each step waits for a multiplication.
        let mut lanes = [SEED, !SEED];
        let mut pairs = self.nodes().chunks_exact(2);
        for pair in &mut pairs {
            lanes[0] = mix(lanes[0], word(&pair[0]));
            lanes[1] = mix(lanes[1], word(&pair[1]));
        }
        if let [last] = pairs.remainder() {
            lanes[0] = mix(lanes[0], word(last));
        }
        mix(fold(lanes[0], lanes[1] | 1), self.len() as u64)
    }

    /// A hash of the shape: the values of constants do not count, nor does the order of the
    /// operands that an operator lets one exchange ([`crate::Op::is_commutative`]).
    #[must_use]
    pub fn shape_hash(&self) -> u64 {
        with_scratch(self.len(), |stack: &mut [u64]| {
            let mut height = 0;
            for node in self.nodes() {
                let operands = height - node.arity();
                stack[operands] = match *node {
                    Node::Const(_) => mix(SEED, CONST),
                    Node::Var(index) => mix(SEED ^ VAR, u64::from(index)),
                    Node::Op(op) => {
                        let operands = &mut stack[operands..height];
                        if op.is_commutative() && operands[0] > operands[1] {
                            operands.swap(0, 1);
                        }
                        operands
                            .iter()
                            .fold(mix(OP, op as u64), |state, &word| mix(state, word))
                    }
                };
                height = operands + 1;
            }
            stack[0]
        })
    }
}
