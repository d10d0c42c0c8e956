//! Expressions as a graph in which equal terms are one (hash consing).

use std::hash::{Hash, Hasher};

use crate::mixing::WordMap;
use crate::op::{MAX_ARITY, Op};
use crate::tree::{Expr, Node};

/// A term of a graph. Equal terms have equal numbers, and operands have lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(u32);

#[derive(Clone, Copy, PartialEq, Eq)]
struct Term {
    node: Node,
    operands: [Id; MAX_ARITY],
}

impl Hash for Term {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c] = self.operands.map(|Id(id)| u64::from(id));
        self.node.hash(state);
        state.write_u64(a << 32 ^ b ^ c.rotate_left(16));
    }
}

pub(super) struct Graph {
    terms: Vec<Term>,
    known: WordMap<Term, Id>,
}

const NONE: Id = Id(u32::MAX);

impl Graph {
    pub(super) fn with_capacity(terms: usize) -> Self {
        Graph {
            terms: Vec::with_capacity(terms),
            known: WordMap::with_capacity_and_hasher(terms, Default::default()),
        }
    }

    fn intern(&mut self, term: Term) -> Id {
        let terms = &mut self.terms;
        *self.known.entry(term).or_insert_with(|| {
            terms.push(term);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "few terms a node, MAX_LEN nodes"
            )]
            let id = Id((terms.len() - 1) as u32);
            id
        })
    }

    pub(super) fn leaf(&mut self, node: Node) -> Id {
        self.intern(Term {
            node,
            operands: [NONE; MAX_ARITY],
        })
    }

    /// The term as it stands; with its first two operands exchanged, if that is allowed and known.
    pub(super) fn term(&mut self, op: Op, operands: &[Id], may_swap: bool) -> Id {
        let mut term = Term {
            node: Node::Op(op),
            operands: [NONE; MAX_ARITY],
        };
        term.operands[..operands.len()].copy_from_slice(operands);
        if may_swap {
            let mut swapped = term;
            swapped.operands.swap(0, 1);
            if let Some(&id) = self.known.get(&swapped) {
                return id;
            }
        }
        self.intern(term)
    }

    /// The value of a term that is a number.
    pub(super) fn value(&self, id: Id) -> Option<f64> {
        match self.terms[id.0 as usize].node {
            Node::Const(value) => Some(value),
            Node::Var(_) | Node::Op(_) => None,
        }
    }

    /// Operator and operands of a term that is not a leaf.
    pub(super) fn application(&self, id: Id) -> Option<(Op, &[Id])> {
        let term = &self.terms[id.0 as usize];
        match term.node {
            Node::Op(op) => Some((op, &term.operands[..op.arity()])),
            Node::Const(_) | Node::Var(_) => None,
        }
    }

    /// The term, spelled out.
    pub(super) fn expr(&self, id: Id) -> Expr {
        // Postfix order, read backwards, is the root, then its operands from last to first.
        let mut nodes = Vec::new();
        let mut work = vec![id];
        while let Some(id) = work.pop() {
            let term = &self.terms[id.0 as usize];
            nodes.push(term.node);
            work.extend_from_slice(&term.operands[..term.node.arity()]);
        }
        nodes.reverse();
        Expr::well_formed(nodes)
    }
}
