//! From DEAP's prefix order to the engine's postfix order.
//!
//! A tree comes node by node, root first, and is written out operands first. Each symbol has a
//! [`Meaning`]; most are one operator, a variable or a number, but a symbol may also stand for a
//! whole [`Formula`] of its arguments (`not_(a)` is `1 - a`), which is written around them.
//!
//! # Invariant
//! The pass is iterative and takes time linear in what it writes, except that a formula which uses
//! its arguments out of order or more than once copies them.

use std::collections::HashMap;

use opcodon_expr::{Expr, Node, Op};

use super::grammar::{Gene, Grammar};

/// A formula that grows beyond this many nodes by copying its arguments is refused.
const MAX_NODES: usize = 1 << 24;

/// What a symbol computes.
#[derive(Clone, Debug)]
pub(crate) enum Meaning {
    /// Argument of the whole tree.
    Variable(u32),
    /// A number that every tree shares.
    Constant(f64),
    /// A number that the gene carries.
    Value,
    /// One operator of the engine.
    Operator(Op),
    /// A formula of the engine.
    Formula(Formula),
    /// To be looked up in the context of the primitive set whenever a tree is compiled: DEAP puts
    /// the automatically defined functions of an individual there.
    Late,
    /// Nothing that machine code could compute; the text says why.
    Unknown(Box<str>),
}

impl Meaning {
    /// The meaning of a formula in the variables 0, 1, … which are the arguments.
    pub(crate) fn of(formula: &Expr, arity: usize) -> Self {
        match formula.nodes() {
            [Node::Const(value)] => return Self::Constant(*value),
            [arguments @ .., Node::Op(op)]
                if arguments.len() == arity
                    && op.arity() == arity
                    && (0..)
                        .zip(arguments)
                        .all(|(index, node)| *node == Node::Var(index)) =>
            {
                return Self::Operator(*op);
            }
            _ => {}
        }
        Self::Formula(Formula::new(formula, arity))
    }

    /// The meaning applied to operands; `None` if it cannot be, or if the result is too large.
    pub(crate) fn apply(&self, operands: &[Vec<Node>]) -> Option<Vec<Node>> {
        let mut out = Vec::new();
        match self {
            Self::Variable(index) => out.push(Node::Var(*index)),
            Self::Constant(value) => out.push(Node::Const(*value)),
            Self::Operator(op) => {
                out = operands.concat();
                out.push(Node::Op(*op));
            }
            Self::Formula(Formula::Around(parts)) => {
                for (index, part) in parts.iter().enumerate() {
                    out.extend_from_slice(part);
                    out.extend_from_slice(operands.get(index).map_or(&[], Vec::as_slice));
                }
            }
            Self::Formula(Formula::Any(nodes)) => {
                for &node in nodes {
                    match node {
                        Node::Var(index) => out.extend_from_slice(operands.get(index as usize)?),
                        _ => out.push(node),
                    }
                    if out.len() > MAX_NODES {
                        return None;
                    }
                }
            }
            Self::Value | Self::Late | Self::Unknown(_) => return None,
        }
        Some(out)
    }
}

/// A formula of the arguments of a symbol.
#[derive(Clone, Debug)]
pub(crate) enum Formula {
    /// Every argument is used once and in order: these nodes go before, between and after them.
    Around(Box<[Box<[Node]>]>),
    /// Any formula.
    Any(Box<[Node]>),
}

impl Formula {
    fn new(formula: &Expr, arity: usize) -> Self {
        let mut parts: Vec<Box<[Node]>> = Vec::new();
        let mut part = Vec::new();
        for &node in formula.nodes() {
            match node {
                Node::Var(index) if index as usize == parts.len() => {
                    parts.push(std::mem::take(&mut part).into());
                }
                Node::Var(_) => return Self::Any(formula.nodes().into()),
                _ => part.push(node),
            }
        }
        parts.push(part.into());
        if parts.len() == arity + 1 {
            Self::Around(parts.into())
        } else {
            Self::Any(formula.nodes().into())
        }
    }
}

/// Why a tree has no machine code. Symbols are named by the caller, who knows their functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The symbol has no meaning.
    Unknown(u32),
    /// There are fewer or more nodes than the tree has places; this many were read.
    Malformed(usize),
    /// The formula outgrows any sensible size.
    TooLarge,
}

/// An open symbol whose arguments are being written.
struct Open<'m> {
    symbol: u32,
    meaning: &'m Meaning,
    arity: usize,
    /// Number of arguments that are complete.
    done: usize,
    /// Where its first argument begins in the output, and its entries in `starts`.
    first_start: usize,
}

/// The converter, which keeps its work space from tree to tree.
#[derive(Default)]
pub(crate) struct Lowering {
    starts: Vec<usize>,
    scratch: Vec<Node>,
}

impl Lowering {
    /// Writes one tree in postfix order. `meanings` and the symbols of `grammar` go together;
    /// `late` gives the meaning of symbols that are looked up at every compilation.
    pub(crate) fn run<'m>(
        &mut self,
        grammar: &'m Grammar,
        meanings: &'m [Meaning],
        late: &'m HashMap<String, Meaning>,
        genes: impl IntoIterator<Item = Gene>,
    ) -> Result<Vec<Node>, Obstacle> {
        self.starts.clear();
        let genes = genes.into_iter();
        let mut out = Vec::with_capacity(genes.size_hint().0);
        let mut open: Vec<Open<'m>> = Vec::with_capacity(8);
        let mut complete = false;
        let mut n_read = 0;
        for gene in genes {
            n_read += 1;
            if complete {
                return Err(Obstacle::Malformed(n_read));
            }
            let symbol = grammar.symbol(gene.symbol);
            let mut meaning = &meanings[gene.symbol as usize];
            if matches!(meaning, Meaning::Late) {
                meaning = late
                    .get(&symbol.name)
                    .ok_or(Obstacle::Unknown(gene.symbol))?;
            }
            let arity = symbol.arity();
            if arity > 0 {
                let first_start = self.starts.len();
                match meaning {
                    Meaning::Formula(Formula::Around(parts)) => out.extend_from_slice(&parts[0]),
                    Meaning::Formula(Formula::Any(_)) | Meaning::Constant(_) => {
                        self.starts.push(out.len())
                    }
                    Meaning::Operator(_) => {}
                    _ => return Err(Obstacle::Unknown(gene.symbol)),
                }
                open.push(Open {
                    symbol: gene.symbol,
                    meaning,
                    arity,
                    done: 0,
                    first_start,
                });
                continue;
            }
            match meaning {
                Meaning::Variable(index) => out.push(Node::Var(*index)),
                Meaning::Constant(value) => out.push(Node::Const(*value)),
                Meaning::Value => {
                    let value = gene.value.number().ok_or(Obstacle::Unknown(gene.symbol))?;
                    out.push(Node::Const(value));
                }
                Meaning::Formula(Formula::Around(parts)) => out.extend_from_slice(&parts[0]),
                Meaning::Formula(Formula::Any(nodes)) => out.extend_from_slice(nodes),
                _ => return Err(Obstacle::Unknown(gene.symbol)),
            }
            complete = self.close(&mut open, &mut out)?;
        }
        if complete {
            Ok(out)
        } else {
            Err(Obstacle::Malformed(n_read))
        }
    }

    /// Notes that an argument is complete, and writes every symbol that is complete with it. Says
    /// whether the tree is.
    #[inline]
    fn close(&mut self, open: &mut Vec<Open<'_>>, out: &mut Vec<Node>) -> Result<bool, Obstacle> {
        while let Some(top) = open.last_mut() {
            top.done += 1;
            match top.meaning {
                Meaning::Operator(op) => {
                    if top.done == top.arity {
                        out.push(Node::Op(*op));
                    }
                }
                Meaning::Formula(Formula::Around(parts)) => out.extend_from_slice(&parts[top.done]),
                Meaning::Formula(Formula::Any(nodes)) => {
                    self.starts.push(out.len());
                    if top.done == top.arity {
                        self.substitute(nodes, top.first_start, out)
                            .ok_or(Obstacle::TooLarge)?;
                    }
                }
                Meaning::Constant(value) => {
                    if top.done == top.arity {
                        out.truncate(self.starts[top.first_start]);
                        self.starts.truncate(top.first_start);
                        out.push(Node::Const(*value));
                    }
                }
                _ => return Err(Obstacle::Unknown(top.symbol)),
            }
            if top.done < top.arity {
                return Ok(false);
            }
            open.pop();
        }
        Ok(true)
    }

    /// Replaces the arguments at the end of the output by the formula with these arguments.
    fn substitute(
        &mut self,
        formula: &[Node],
        first_start: usize,
        out: &mut Vec<Node>,
    ) -> Option<()> {
        let begin = self.starts[first_start];
        self.scratch.clear();
        self.scratch.extend_from_slice(&out[begin..]);
        out.truncate(begin);
        let starts = &self.starts[first_start..];
        for &node in formula {
            match node {
                Node::Var(index) => {
                    let argument =
                        starts[index as usize] - begin..starts[index as usize + 1] - begin;
                    if out.len() + argument.len() > MAX_NODES {
                        return None;
                    }
                    out.extend_from_slice(&self.scratch[argument]);
                }
                _ => out.push(node),
            }
        }
        self.starts.truncate(first_start);
        Some(())
    }
}
