//! Expressions over whole arrays.
//!
//! `a * b + np.exp(c)` is three statements in normal form, each of which makes an array that the
//! next one reads once. Found here are such runs of statements, and what they compute together as
//! one expression over what goes in ([`Whole`]). Whoever knows numpy computes it piece by piece,
//! without arrays in between (`Runtime::whole`), or declines; then the statements are done one by
//! one. A run may end with a store, `a[i, 1:] -= f * b` or `a += b`: what was computed is copied into
//! an array that is there.
//!
//! # Invariant
//! Nothing in an expression has an effect on arrays and numbers of numpy's and Python's own but the store
//! at its end, so to decline is possible until then. A temporary of a run is read in it and nowhere else.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use opcodon_codemem::Code;

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
    /// The node that is computed.
    pub result: usize,
    /// The node of an array, or of a part of one, that the result is stored in.
    pub target: Option<usize>,
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
    /// What computes it over short rows.
    pub row: Option<Code>,
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
    Std,
    Var,
    Max,
    Min,
    Any,
    All,
}

impl WholeMethod {
    /// All of them and their names.
    pub const ALL: [(&'static str, Self); 8] = [
        ("sum", Self::Sum),
        ("mean", Self::Mean),
        ("std", Self::Std),
        ("var", Self::Var),
        ("max", Self::Max),
        ("min", Self::Min),
        ("any", Self::Any),
        ("all", Self::All),
    ];

    /// Whether elements are added, so that their order matters.
    #[must_use]
    pub const fn adds(self) -> bool {
        matches!(self, Self::Sum | Self::Mean | Self::Std | Self::Var)
    }
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

/// Elements of the longest row that generated code has a kernel called for.
pub const N_ROW_MAX: usize = 1024;

/// What is to be done with what such a kernel has computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RowEnd {
    /// It becomes a new array.
    Array,
    /// It is stored in a row that is there.
    Store,
    /// It is put together.
    Sum,
    /// The sum by the number of elements.
    Mean,
    /// The root of the variance.
    Std,
    /// The mean square of what elements differ from their mean.
    Var,
    /// The largest element.
    Max,
    /// The smallest.
    Min,
}

impl RowEnd {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::Array,
        Self::Store,
        Self::Sum,
        Self::Mean,
        Self::Std,
        Self::Var,
        Self::Max,
        Self::Min,
    ];
}

/// A run of statements that an expression was made of.
pub(crate) struct Run {
    pub(crate) n_statements: usize,
    pub(crate) nodes: Vec<WholeNode>,
    pub(crate) leaves: Vec<Atom>,
    /// The local that is bound to the result, or once more to the array that it is stored in.
    pub(crate) to: Option<Local>,
    pub(crate) result: Node,
    pub(crate) target: Option<Node>,
}

impl Run {
    /// Whether it is no more than a part of an array.
    pub(crate) fn is_view(&self) -> bool {
        self.target.is_none() && matches!(self.nodes[self.result], WholeNode::Part(..))
    }

    /// Whether it is one operation that makes an array: numpy does that as fast, unless it is short.
    pub(crate) fn is_single(&self) -> bool {
        let is_arithmetic = matches!(
            self.nodes[self.result],
            WholeNode::Bin(..) | WholeNode::Un(..)
        );
        self.n_statements == 1 && self.target.is_none() && is_arithmetic
    }

    /// The array that the result is stored in.
    pub(crate) fn stored_in(&self) -> Option<&Atom> {
        let node = match &self.nodes[self.target?] {
            WholeNode::Part(of, _) => &self.nodes[*of],
            node => node,
        };
        match node {
            WholeNode::Leaf(leaf) => Some(&self.leaves[*leaf]),
            _ => None,
        }
    }
}

/// What is known of operands.
pub(crate) trait Operands {
    /// Whether it is a number for certain.
    fn is_number(&self, atom: &Atom) -> bool;
    /// Its dimensions, if it is an array for certain.
    fn n_dims(&self, atom: &Atom) -> Option<usize>;
}

/// Nodes beyond which an expression is cut.
const N_NODES_MAX: usize = 48;

struct Finder<'a> {
    info: &'a FunctionInfo,
    functions: &'a HashMap<usize, WholeFunction>,
    operands: &'a dyn Operands,
    nodes: Vec<WholeNode>,
    /// Which of them are numbers for certain.
    numbers: Vec<bool>,
    leaves: Vec<Atom>,
    /// The nodes of temporaries of the run that nobody has read yet.
    open: HashMap<Local, Node>,
    /// A temporary that was computed in the place of a part of an array, which it has to be stored in
    /// next, and the node of that part.
    in_place: Option<(Local, Node)>,
    /// Where a run could end.
    ends: Option<Ends>,
}

/// Where a run ends: so many statements, nodes and leaves are its own.
struct Ends {
    n_statements: usize,
    n_nodes: usize,
    n_leaves: usize,
    to: Option<Local>,
    result: Node,
    target: Option<Node>,
}

/// The longest run that a block begins with; `functions` are those that it may call, by their
/// addresses.
pub(crate) fn run(
    info: &FunctionInfo,
    functions: &HashMap<usize, WholeFunction>,
    operands: &dyn Operands,
    block: &[Statement],
) -> Option<Run> {
    let mut finder = Finder {
        info,
        functions,
        operands,
        nodes: Vec::new(),
        numbers: Vec::new(),
        leaves: Vec::new(),
        open: HashMap::new(),
        in_place: None,
        ends: None,
    };
    for (at, statement) in block.iter().enumerate() {
        if finder.statement(at, statement).is_none() {
            break;
        }
    }
    let ends = finder.ends?;
    finder.nodes.truncate(ends.n_nodes);
    finder.leaves.truncate(ends.n_leaves);
    Some(Run {
        n_statements: ends.n_statements,
        nodes: finder.nodes,
        leaves: finder.leaves,
        to: ends.to,
        result: ends.result,
        target: ends.target,
    })
}

impl Finder<'_> {
    /// Takes a statement in; `None` if the run cannot go on with it, or behind it.
    fn statement(&mut self, at: usize, statement: &Statement) -> Option<()> {
        let (to, e) = match &statement.kind {
            Kind::SetItem(of, index, value) => {
                return self.store(at, statement, of, index, value);
            }
            Kind::Set(to, e) if self.in_place.is_none() => (to, e),
            _ => return None,
        };
        let (node, in_place) = match e {
            Expr::Bin(op, a, b, true) => {
                let target = self.node(a)?;
                let node = WholeNode::Bin(*op, [target, self.node(b)?]);
                (node, Some(self.target(*op, *to, a, target)?))
            }
            _ => (self.expr(e)?, None),
        };
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
        let is_temporary = self.is_temporary(*to);
        if let Some(target) = in_place.filter(|_| is_temporary) {
            self.in_place = Some((*to, target));
        } else if at == 0 && !is_result {
            // The part itself, if nobody makes more of it.
            self.end(at, Some(*to), last, None);
        } else if is_result
            && (at > 0 || in_place.is_some() || self.reduces(last) || self.is_arithmetic(last))
            && self.open.is_empty()
        {
            self.end(at, Some(*to), last, in_place);
        }
        self.open.insert(*to, last);
        (is_temporary && !self.reduces(last)).then_some(())
    }

    fn is_temporary(&self, local: Local) -> bool {
        self.info.program.locals[local].starts_with('.')
    }

    fn end(&mut self, at: usize, to: Option<Local>, result: Node, target: Option<Node>) {
        self.ends = Some(Ends {
            n_statements: at + 1,
            n_nodes: self.nodes.len(),
            n_leaves: self.leaves.len(),
            to,
            result,
            target,
        });
    }

    /// The node that `to = a; to op= b` stores in: a part of an array, or an array that is a local.
    fn target(&self, op: Bin, to: Local, a: &Atom, node: Node) -> Option<Node> {
        let is_simple = matches!(
            op,
            Bin::Add | Bin::Sub | Bin::Mul | Bin::TrueDiv | Bin::And | Bin::Or | Bin::Xor
        );
        let fits = match &self.nodes[node] {
            WholeNode::Part(..) => self.is_temporary(to),
            WholeNode::Leaf(_) => {
                *a == Atom::Local(to) && !self.is_temporary(to) && self.operands.n_dims(a).is_some()
            }
            _ => false,
        };
        (is_simple && fits).then_some(node)
    }

    /// Takes `of[index] = value` in, which ends the run.
    fn store(
        &mut self,
        at: usize,
        statement: &Statement,
        of: &Atom,
        index: &Index,
        value: &Atom,
    ) -> Option<()> {
        let result = self.node(value)?;
        if let Atom::Local(local) = value
            && self.open.remove(local).is_some()
            && self.info.liveness.after[statement.id].has(*local)
        {
            return None;
        }
        self.operands.n_dims(of)?;
        let target = self.item(of, index)?;
        let target = match self.in_place {
            Some((local, node)) => {
                (*value == Atom::Local(local) && self.nodes[node] == target).then_some(node)?
            }
            None => {
                self.nodes.push(target);
                self.numbers.push(false);
                self.nodes.len() - 1
            }
        };
        if self.open.is_empty() {
            self.end(at, None, result, Some(target));
        }
        None
    }

    /// Whether a node makes a number of an array.
    fn reduces(&self, node: Node) -> bool {
        match &self.nodes[node] {
            WholeNode::Method(..) => true,
            WholeNode::Call(address, _) => self.functions[address].reduces.is_some(),
            _ => false,
        }
    }

    fn is_arithmetic(&self, node: Node) -> bool {
        matches!(self.nodes[node], WholeNode::Bin(..) | WholeNode::Un(..))
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
                let nodes = args.iter().map(|arg| self.node(arg));
                let nodes = nodes.collect::<Option<Vec<_>>>()?;
                if function.reduces.is_some() && !self.is_array(nodes[0], &args[0]) {
                    return None;
                }
                WholeNode::Call(address, nodes)
            }
            Expr::Method(name, of, args, named, None) if args.is_empty() && named.is_empty() => {
                let mut known = WholeMethod::ALL.into_iter();
                let (_, method) = known.find(|known| known.0 == name)?;
                // Of anything but an array it is a method like others.
                let node = self.node(of)?;
                if !self.is_array(node, of) {
                    return None;
                }
                WholeNode::Method(method, node)
            }
            Expr::Item(of, index) => self.item(of, index)?,
            _ => return None,
        })
    }

    /// Whether an operand is an array, as far as that is not looked at later.
    fn is_array(&self, node: Node, atom: &Atom) -> bool {
        let is_leaf = matches!(self.nodes[node], WholeNode::Leaf(_));
        !is_leaf || self.operands.n_dims(atom).is_some_and(|n_dims| n_dims > 0)
    }

    /// A part of an array: what is no single element.
    fn item(&mut self, of: &Atom, index: &Index) -> Option<WholeNode> {
        let parts = match index {
            Index::Tuple(parts) => parts.iter().map(|part| self.part(part)).collect(),
            part => self.part(part).map(|part| vec![part]),
        };
        let parts: Vec<WholePart> = parts?;
        let is_slice = |part: &WholePart| !matches!(part, WholePart::At(_));
        let n_dims = self.operands.n_dims(of);
        let node = self.node(of)?;
        let leaves_some = match self.nodes[node] {
            WholeNode::Leaf(_) => n_dims.is_some_and(|n_dims| n_dims > parts.len()),
            WholeNode::Part(..) => false,
            _ => return None,
        };
        (leaves_some || parts.iter().any(is_slice)).then_some(WholeNode::Part(node, parts))
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
            self.numbers.push(self.operands.is_number(atom));
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
