//! Expressions over whole arrays.
//!
//! `a * b + np.exp(c)` is three statements in normal form, each of which makes an array that the
//! next one reads once. Found here are such runs of statements, and what they compute together as
//! one expression over what goes in ([`Whole`]). Whoever knows numpy computes it piece by piece,
//! without arrays in between (`Runtime::whole`), or declines; then the statements are done one by
//! one.
//!
//! # Invariant
//! Nothing in an expression has an effect on arrays and numbers of numpy's and Python's own, so to
//! decline is possible at any time. A temporary of a run is read in it and nowhere else.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::globals::Global;
use crate::liveness::for_each_atom;
use crate::program::{Atom, Bin, Cmp, Expr, Index, Kind, Local, Statement, Un};
use crate::unit::FunctionInfo;

/// Number of a node of an expression.
type Node = usize;

/// Number of what goes into an expression.
type Leaf = usize;

/// An expression over whole arrays: its nodes in the order of the program, the result last.
#[derive(Debug)]
pub struct Whole {
    /// The nodes; arguments come before who takes them.
    pub nodes: Vec<WholeNode>,
    /// How many values go in.
    pub n_leaves: usize,
    /// Whether it may be computed on several threads.
    pub parallel: bool,
    /// Whether other threads of Python may run meanwhile.
    pub nogil: bool,
    /// The statement that binds the result.
    pub statement: usize,
    /// How often it was computed at once.
    pub n_done: Cell<u64>,
    /// What the runtime keeps from call to call.
    pub memo: RefCell<Option<Box<dyn Any>>>,
}

impl Whole {
    /// How many operations it consists of.
    #[must_use]
    pub fn n_operations(&self) -> usize {
        let is_operation =
            |node: &&WholeNode| !matches!(node, WholeNode::Leaf(_) | WholeNode::Part(..));
        self.nodes.iter().filter(is_operation).count()
    }
}

/// A node of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum WholeNode {
    /// What goes in.
    Leaf(Leaf),
    /// A part of a leaf or of another part.
    Part(Node, Vec<WholePart>),
    /// `a op b`.
    Bin(Bin, [Node; 2]),
    /// `op a`.
    Un(Un, Node),
    /// `a op b`, a comparison.
    Cmp(Cmp, [Node; 2]),
    /// A call of the object at an address.
    Call(usize, Vec<Node>),
    /// A call of a method without further arguments.
    Method(WholeMethod, Node),
}

/// Methods of arrays, and functions of numpy's, that give a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are numpy's")]
pub enum WholeMethod {
    Sum,
    Mean,
    Max,
    Min,
    Any,
    All,
}

impl WholeMethod {
    /// All of them and their names.
    pub const ALL: [(&'static str, Self); 6] = [
        ("sum", Self::Sum),
        ("mean", Self::Mean),
        ("max", Self::Max),
        ("min", Self::Min),
        ("any", Self::Any),
        ("all", Self::All),
    ];
}

/// A function that may be part of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeFunction {
    /// The number of its arguments.
    pub n_args: usize,
    /// What number it makes of an array, if it does.
    pub reduces: Option<WholeMethod>,
}

/// A part of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WholePart {
    /// One index.
    At(Leaf),
    /// `lower:upper:step`.
    Slice([Option<Leaf>; 3]),
    /// `None`: another dimension.
    New,
}

/// A run of statements that an expression was made of.
pub(crate) struct Run {
    pub(crate) n_statements: usize,
    pub(crate) nodes: Vec<WholeNode>,
    pub(crate) leaves: Vec<Atom>,
    /// Where the result goes.
    pub(crate) to: Local,
}

/// Nodes beyond which an expression is cut.
const N_NODES_MAX: usize = 48;

struct Finder<'a> {
    info: &'a FunctionInfo,
    functions: &'a HashMap<usize, WholeFunction>,
    /// Whether an operand is a number for certain.
    is_number: &'a dyn Fn(&Atom) -> bool,
    nodes: Vec<WholeNode>,
    /// Which of them are numbers for certain.
    numbers: Vec<bool>,
    leaves: Vec<Atom>,
    /// The nodes of temporaries of the run that nobody has read yet.
    open: HashMap<Local, Node>,
    /// Where a run could end: statements, nodes, leaves.
    ends: Option<(usize, usize, usize, Local)>,
}

/// The longest run that a block begins with; `functions` are those that it may call, by their
/// addresses.
pub(crate) fn run(
    info: &FunctionInfo,
    functions: &HashMap<usize, WholeFunction>,
    is_number: &dyn Fn(&Atom) -> bool,
    block: &[Statement],
) -> Option<Run> {
    let mut finder = Finder {
        info,
        functions,
        is_number,
        nodes: Vec::new(),
        numbers: Vec::new(),
        leaves: Vec::new(),
        open: HashMap::new(),
        ends: None,
    };
    for (at, statement) in block.iter().enumerate() {
        if finder.statement(at, statement).is_none() {
            break;
        }
    }
    let (n_statements, n_nodes, n_leaves, to) = finder.ends?;
    finder.nodes.truncate(n_nodes);
    finder.leaves.truncate(n_leaves);
    Some(Run {
        n_statements,
        nodes: finder.nodes,
        leaves: finder.leaves,
        to,
    })
}

impl Finder<'_> {
    /// Takes a statement in; `None` if the run cannot go on with it, or behind it.
    fn statement(&mut self, at: usize, statement: &Statement) -> Option<()> {
        let Kind::Set(to, e) = &statement.kind else {
            return None;
        };
        let node = self.expr(e)?;
        // What is done to numbers alone is best done alone, as far as it can.
        let (is_plain, args) = match &node {
            WholeNode::Bin(_, args) => (true, args.as_slice()),
            WholeNode::Un(_, arg) => (true, std::slice::from_ref(arg)),
            WholeNode::Cmp(_, args) => (false, args.as_slice()),
            WholeNode::Call(_, args) => (false, args.as_slice()),
            _ => (true, [].as_slice()),
        };
        let is_number = !args.is_empty() && args.iter().all(|&arg| self.numbers[arg]);
        if self.nodes.len() >= N_NODES_MAX || is_number && (at == 0 || !is_plain) {
            return None;
        }
        self.nodes.push(node);
        self.numbers.push(is_number);
        // What is read here must not be read again.
        let after = &self.info.liveness.after[statement.id];
        let mut is_read_again = false;
        for_each_atom(&statement.kind, &mut |atom| {
            if let Atom::Local(local) = atom
                && self.open.remove(local).is_some()
            {
                is_read_again |= after.has(*local);
            }
        });
        let last = self.nodes.len() - 1;
        let is_result = !matches!(self.nodes[last], WholeNode::Part(..));
        if is_read_again {
            return None;
        }
        if is_result && at > 0 && self.open.is_empty() {
            self.ends = Some((at + 1, self.nodes.len(), self.leaves.len(), *to));
        }
        let is_temporary = self.info.program.locals[*to].starts_with('.');
        self.open.insert(*to, last);
        (is_temporary && !self.reduces(last)).then_some(())
    }

    /// Whether a node makes a number of an array.
    fn reduces(&self, node: Node) -> bool {
        match &self.nodes[node] {
            WholeNode::Method(..) => true,
            WholeNode::Call(address, _) => self.functions[address].reduces.is_some(),
            _ => false,
        }
    }

    fn expr(&mut self, e: &Expr) -> Option<WholeNode> {
        Some(match e {
            Expr::Bin(op, a, b, false) if *op != Bin::MatMul => {
                WholeNode::Bin(*op, [self.node(a)?, self.node(b)?])
            }
            Expr::Un(op, a) if matches!(op, Un::Neg | Un::Invert) => {
                WholeNode::Un(*op, self.node(a)?)
            }
            Expr::Cmp(op, a, b)
                if matches!(
                    op,
                    Cmp::Lt | Cmp::Le | Cmp::Eq | Cmp::Ne | Cmp::Gt | Cmp::Ge
                ) =>
            {
                WholeNode::Cmp(*op, [self.node(a)?, self.node(b)?])
            }
            Expr::Call(Atom::Global(index), args, named) if named.is_empty() => {
                let (Global::Builtin { address, .. } | Global::Object { address, .. }) =
                    self.info.globals[*index]
                else {
                    return None;
                };
                let function = self.functions.get(&address)?;
                if function.n_args != args.len() {
                    return None;
                }
                let args = args.iter().map(|arg| self.node(arg));
                WholeNode::Call(address, args.collect::<Option<_>>()?)
            }
            Expr::Method(name, of, args, named, None) if args.is_empty() && named.is_empty() => {
                let mut known = WholeMethod::ALL.into_iter();
                let (_, method) = known.find(|known| known.0 == name)?;
                // Of anything but an expression it is a method like others.
                let node = self.node(of)?;
                if matches!(self.nodes[node], WholeNode::Leaf(_)) {
                    return None;
                }
                WholeNode::Method(method, node)
            }
            Expr::Item(of, index) => {
                let parts = match index {
                    Index::Tuple(parts) => parts.iter().map(|part| self.part(part)).collect(),
                    part => self.part(part).map(|part| vec![part]),
                };
                let parts = parts?;
                let is_slice = |part: &WholePart| !matches!(part, WholePart::At(_));
                let of = self.node(of)?;
                let is_view = matches!(self.nodes[of], WholeNode::Leaf(_) | WholeNode::Part(..));
                if !is_view || !parts.iter().any(is_slice) {
                    return None;
                }
                WholeNode::Part(of, parts)
            }
            _ => return None,
        })
    }

    fn part(&mut self, part: &Index) -> Option<WholePart> {
        match part {
            Index::Atom(Atom::None) => Some(WholePart::New),
            Index::Atom(atom) => self.leaf(atom).map(WholePart::At),
            Index::Slice(ends) => {
                let mut leaves = [None; 3];
                for (leaf, end) in leaves.iter_mut().zip(ends) {
                    *leaf = match end {
                        None | Some(Atom::None) => None,
                        Some(atom) => Some(self.leaf(atom)?),
                    };
                }
                Some(WholePart::Slice(leaves))
            }
            Index::Tuple(_) => None,
        }
    }

    fn node(&mut self, atom: &Atom) -> Option<Node> {
        if let Atom::Local(local) = atom
            && let Some(&node) = self.open.get(local)
        {
            return Some(node);
        }
        let leaf = self.leaf(atom)?;
        let node = WholeNode::Leaf(leaf);
        let known = self.nodes.iter().position(|known| *known == node);
        Some(known.unwrap_or_else(|| {
            self.nodes.push(node);
            self.numbers.push((self.is_number)(atom));
            self.nodes.len() - 1
        }))
    }

    fn leaf(&mut self, atom: &Atom) -> Option<Leaf> {
        let is_open = matches!(atom, Atom::Local(local) if self.open.contains_key(local));
        if is_open || matches!(atom, Atom::Str(_) | Atom::None) {
            return None;
        }
        let known = self.leaves.iter().position(|known| known == atom);
        Some(known.unwrap_or_else(|| {
            self.leaves.push(atom.clone());
            self.leaves.len() - 1
        }))
    }
}
