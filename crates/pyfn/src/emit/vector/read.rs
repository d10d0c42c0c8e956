//! The body of a loop as a graph, if it is one for vectors.
//!
//! The body is gone through once, with values in place of numbers: what is bound in it is a value
//! of the turn, what is not is an argument. Both sides of a branch are computed and the results
//! selected; a store on one side writes back what was there. Every rule is that of the scalar code
//! (`scalar`, `array`): where that leaves the function, here is a stop.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use super::carry::Carried;
use super::delayed::Delayed;
use super::fold::area_bytes;
use super::graph::{Graph, Id, Lane, Op, Range};
use super::index::{Bound, Linear, Term, Word};
use super::kernel::Isa;
use super::nest::Form;
use crate::emit::hoist::Fact;
use crate::emit::island::used_and_bound;
use crate::program::{Atom, Expr, Kind, Local, Statement};
use crate::types::{BOOL, NP_BOOL, Tags, Ty};
use crate::unit::{FunctionInfo, Unit};

/// A value of the turn.
#[derive(Clone, Debug)]
pub(super) struct Val {
    pub(super) id: Id,
    pub(super) tags: Tags,
    /// What it is as an index.
    pub(super) linear: Option<Linear>,
}

/// What is to be read, and how much was stored before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) stream: usize,
    pub(super) shift: i64,
    pub(super) n_stores_before: usize,
}

/// What was made of a body.
pub(super) struct Read {
    pub(super) graph: Graph,
    pub(super) words: Vec<Word>,
    /// Which of them the kernel looks at.
    pub(super) is_used: Vec<bool>,
    pub(super) reads: Vec<Access>,
    /// Indices that nobody has looked at.
    pub(super) bounds: Vec<Bound>,
    /// Where the loops inside begin and end.
    pub(super) turns: Vec<[Linear; 2]>,
    /// Terms of indices that have to be small.
    pub(super) small: Vec<Term>,
    /// Bound in the body.
    pub(super) bound: Vec<Local>,
    /// What rows carry over.
    pub(super) carried: Vec<Carried>,
}

/// Where a path goes on, if it does.
pub(super) enum Flow {
    On(Option<Id>),
    Ended,
}

/// The function that is gone through: the loop's, or one put in place.
#[derive(Clone)]
pub(super) struct Frame {
    pub(super) info: Rc<FunctionInfo>,
    pub(super) bound: HashMap<Local, Val>,
    /// Ranges and shapes that a local stands for.
    pub(super) ranges: HashMap<Local, [Linear; 2]>,
    pub(super) shapes: HashMap<Local, Local>,
    pub(super) is_loop: bool,
    pub(super) result: Option<Val>,
}

/// What a loop binds in each row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row {
    /// A local to the number of the row.
    Number(Local),
    /// A local to the element of an array.
    Element(Local, Local),
    /// An item that is nothing but unpacked: into the number of the row, if it has that, and elements
    /// of arrays.
    Lockstep {
        item: Local,
        number: Option<Local>,
        elements: [Option<(Local, Local)>; 2],
    },
}

impl Row {
    /// The local.
    pub(super) fn local(self) -> Local {
        match self {
            Self::Number(local) | Self::Element(local, _) => local,
            Self::Lockstep { item, .. } => item,
        }
    }

    /// What a loop over arrays in lockstep binds, if that is what its body begins with.
    pub(crate) fn in_lockstep(
        item: Local,
        is_counted: bool,
        arrays: &[Atom],
        body: &[Statement],
    ) -> Option<Self> {
        let Kind::Unpack(to, Atom::Local(of)) = &body.first()?.kind else {
            return None;
        };
        let (number, to) = if is_counted {
            let (number, to) = to.split_first()?;
            (Some(*number), to)
        } else {
            (None, to.as_slice())
        };
        let mut elements = [None; 2];
        if *of != item || to.len() != arrays.len() || arrays.len() > elements.len() {
            return None;
        }
        for ((element, to), array) in elements.iter_mut().zip(to).zip(arrays) {
            let Atom::Local(array) = array else {
                return None;
            };
            *element = Some((*to, *array));
        }
        Some(Self::Lockstep {
            item,
            number,
            elements,
        })
    }

    /// The local that is the number of the row.
    pub(super) fn number(self) -> Option<Local> {
        match self {
            Self::Number(local) => Some(local),
            Self::Element(..) => None,
            Self::Lockstep { number, .. } => number,
        }
    }

    /// Locals that are elements of a row, and of which array.
    fn elements(self) -> impl Iterator<Item = (Local, Local)> {
        let elements = match self {
            Self::Number(_) => [None; 2],
            Self::Element(to, array) => [Some((to, array)), None],
            Self::Lockstep { elements, .. } => elements,
        };
        elements.into_iter().flatten()
    }
}

/// What the body is about.
pub(super) struct Loop<'a> {
    pub(super) unit: &'a Unit,
    pub(super) info: &'a Rc<FunctionInfo>,
    pub(super) types: &'a [Ty],
    pub(super) facts: &'a [Fact],
    pub(super) row: Row,
    pub(super) id: usize,
    pub(super) isa: Isa,
    /// Addresses of the C library's functions.
    pub(super) libm: &'a HashMap<&'static str, usize>,
}

#[derive(Clone)]
pub(super) struct Reader<'a> {
    pub(super) of: &'a Loop<'a>,
    pub(super) bound: Vec<Local>,
    pub(super) frames: Vec<Frame>,
    pub(super) graph: Graph,
    pub(super) words: Vec<Word>,
    pub(super) reads: Vec<Access>,
    pub(super) bounds: Vec<Bound>,
    pub(super) turns: Vec<[Linear; 2]>,
    /// Terms that have to be small.
    pub(super) small: Vec<Term>,
    pub(super) stored: HashMap<(usize, i64), Id>,
    /// Loops inside that are gone through.
    pub(super) open: Vec<usize>,
    /// What a loop that is gone through again should carry a local as.
    pub(super) wanted: Rc<Cell<Option<(Local, Form)>>>,
    /// Turns that were written out.
    pub(super) n_written_out: i64,
    /// Singles that have to be finite, on a path.
    pub(super) finite: Vec<(Option<Id>, Id)>,
    /// Whether integers are taken to be narrow where they are not known.
    pub(super) is_narrow: bool,
    /// What rows may carry over, and the nodes of it.
    pub(super) carried: Vec<(Local, Id)>,
    /// Where rows were left early: locals that were bound anew, and such that were not.
    pub(super) touched: Vec<Local>,
    pub(super) kept: Vec<Local>,
    /// The types of what may replace something that is carried, by both.
    pub(super) tags_of_parts: HashMap<[Id; 2], Tags>,
    /// What a loop inside that is gone through stores behind its turns.
    pub(super) delayed: Option<Delayed>,
}

/// Nodes beyond which a body is no loop for vectors.
pub(super) const N_NODES_MAX: usize = 800;

/// Turns of loops inside that are written out.
pub(super) const N_WRITTEN_OUT_MAX: i64 = 32;

/// Loops within one another inside a row: each may be gone through several times.
pub(super) const N_OPEN_MAX: usize = 3;

/// Functions put in place within one another.
pub(super) const N_FRAMES_MAX: usize = 6;

/// Goes through a body.
pub(super) fn read(of: &Loop<'_>, body: &[Statement]) -> Option<Read> {
    let body = match of.row {
        Row::Lockstep { .. } => body.split_first()?.1,
        _ => body,
    };
    let (used, mut bound) = used_and_bound(body);
    let is_narrow = |local: Local| of.types[local].array().is_none_or(|a| a.dtype.size() < 8);
    let number = of.row.number();
    if number.is_some_and(|number| bound.contains(&number)) {
        return None;
    }
    let elements = of.row.elements();
    if let Row::Lockstep { .. } = of.row {
        bound.extend(number);
        bound.extend(of.row.elements().map(|each| each.0));
    }
    let arrays = elements.map(|(_, array)| array);
    let is_narrow = used.into_iter().chain(arrays).all(is_narrow);
    let mut reader = Reader {
        of,
        bound,
        frames: vec![Frame {
            info: Rc::clone(of.info),
            bound: HashMap::new(),
            ranges: HashMap::new(),
            shapes: HashMap::new(),
            is_loop: true,
            result: None,
        }],
        graph: Graph::default(),
        words: Vec::new(),
        reads: Vec::new(),
        bounds: Vec::new(),
        turns: Vec::new(),
        small: Vec::new(),
        stored: HashMap::new(),
        open: Vec::new(),
        wanted: Rc::default(),
        n_written_out: 1,
        finite: Vec::new(),
        is_narrow,
        carried: Vec::new(),
        touched: Vec::new(),
        kept: Vec::new(),
        tags_of_parts: HashMap::new(),
        delayed: None,
    };
    reader.carry_in()?;
    if let Row::Lockstep { number, .. } = of.row
        && let Some(number) = number
    {
        let value = reader.number_of_row();
        reader.frame()?.bound.insert(number, value);
    }
    for (to, array) in of.row.elements() {
        let element = reader.element_of_row(array)?;
        reader.frame()?.bound.insert(to, element);
    }
    let end = match reader.block(body, None)? {
        Flow::On(path) => path,
        Flow::Ended => {
            reader
                .touched
                .extend(reader.carried.iter().map(|each| each.0));
            None
        }
    };
    reader.end(end)
}

impl Reader<'_> {
    fn end(mut self, path: Option<Id>) -> Option<Read> {
        let of = self.of;
        let numbers = self.carried.clone();
        let carried = self.carry_out(path)?;
        if self.graph.stores.is_empty() && carried.is_empty() {
            return None;
        }
        // What is bound on some paths only, and read by who comes later, is not of one turn.
        let liveness = &of.info.liveness;
        let bound = &self.frames.first()?.bound;
        let is_carried =
            |local: &Local| liveness.head[of.id].has(*local) && !bound.contains_key(local);
        let numbers = numbers.iter().map(|number| number.0).collect::<Vec<_>>();
        let is_left = |local: &Local| {
            let is_read = liveness.head[of.id].has(*local) && !numbers.contains(local);
            is_read && self.kept.contains(local)
        };
        if self.bound.iter().any(is_carried) || self.bound.iter().any(is_left) {
            return None;
        }
        let locals = &of.info.program.locals;
        let is_named = |local: &Local| !locals[*local].starts_with('.');
        if of.info.program.has_handlers && self.bound.iter().any(is_named) {
            return None;
        }
        let finite = std::mem::take(&mut self.finite);
        self.stop_at_infinities(&finite, &[]);
        if !self.stores_are_in_order() {
            return None;
        }
        for index in self.bounds.iter().map(|bound| &bound.index) {
            self.small.extend(index.terms.iter().map(|each| each.0));
        }
        for index in self.turns.iter().flatten() {
            self.small.extend(index.terms.iter().map(|each| each.0));
        }
        self.small.sort_unstable();
        self.small.dedup();
        if !self.carries_are_parts() {
            return None;
        }
        let mut area = 8 * (self.words.len() + 2);
        for carry in &mut self.graph.carries {
            carry.area = area;
            area += area_bytes(carry);
        }
        let is_plain = |local: &Local| carried.iter().all(|each| each.local != *local);
        self.bound.retain(is_plain);
        let live = self.graph.live();
        let nodes = || {
            self.graph
                .nodes
                .iter()
                .zip(&live)
                .filter(|(_, live)| **live)
        };
        let is_used = self.words.iter().enumerate().map(|(at, word)| {
            let is_number = matches!(
                word,
                Word::Double(_) | Word::Single(_) | Word::Int(..) | Word::Size(..)
            );
            // An interval that was taken for granted has to be looked at in any case.
            let is_assumed = matches!(word, Word::Int(_, range) if *range != Range::FULL);
            !is_number || is_assumed || nodes().any(|(node, _)| node.op == Op::Arg(at))
        });
        Some(Read {
            is_used: is_used.collect(),
            reads: self.reads,
            bounds: self.bounds,
            turns: self.turns,
            small: self.small,
            words: self.words,
            graph: self.graph,
            bound: self.bound,
            carried,
        })
    }

    /// What is not finite stays so through sums and products: only their ends are looked at.
    pub(super) fn stop_at_infinities(
        &mut self,
        finite: &[(Option<Id>, Id)],
        but: &[(Option<Id>, Id)],
    ) {
        for &(path, id) in finite {
            let passes_on = |&(other, user): &(Option<Id>, Id)| {
                let node = self.graph.node(user);
                let is_operand = match node.op {
                    Op::Add | Op::Sub | Op::Mul => node.args().any(|arg| arg == id),
                    Op::Div => node.arg(0) == id,
                    _ => false,
                };
                is_operand && other == path
            };
            if !finite.iter().any(passes_on) && !but.contains(&(path, id)) {
                let odd = self.graph.mask(Op::NonFinite, &[id]);
                self.graph.stop(path, odd);
            }
        }
    }

    /// Whether within the streams nothing is read that an earlier row has written.
    fn stores_are_in_order(&self) -> bool {
        let stores = &self.graph.stores;
        let is_read_before = stores.iter().enumerate().all(|(at, store)| {
            let same = |read: &&Access| read.stream == store.stream;
            self.reads.iter().filter(same).all(|read| {
                let is_after = at < read.n_stores_before;
                read.shift > store.shift || read.shift == store.shift && !is_after
            })
        });
        let is_one_a_stream = stores.iter().enumerate().all(|(at, store)| {
            let mut others = stores[..at].iter();
            others.all(|other| other.stream != store.stream)
        });
        is_read_before && is_one_a_stream
    }

    // Statements.

    pub(super) fn block(&mut self, block: &[Statement], mut path: Option<Id>) -> Option<Flow> {
        for statement in block {
            if self.graph.nodes.len() > N_NODES_MAX {
                return None;
            }
            match self.statement(statement, path)? {
                Flow::On(next) => path = next,
                Flow::Ended => return Some(Flow::Ended),
            }
        }
        Some(Flow::On(path))
    }

    pub(super) fn frame(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    fn statement(&mut self, statement: &Statement, path: Option<Id>) -> Option<Flow> {
        match &statement.kind {
            Kind::Set(to, e) => {
                let is_masked = self.frames.last()?.info.masked[statement.id].is_some();
                if self.notes(*to, e)? {
                    return Some(Flow::On(path));
                }
                let value = match e {
                    Expr::Item(of, index) => self.read_delayed(of, index),
                    _ => None,
                };
                let value = match value {
                    Some(value) => value,
                    None => self.expr(e, path, is_masked)?,
                };
                self.frame()?.bound.insert(*to, value);
            }
            Kind::SetItem(Atom::Local(of), index, value) => {
                let value = self.atom(value)?;
                if !self.write_delayed(&Atom::Local(*of), index, &value)? {
                    self.set_item(*of, index, &value, path)?;
                }
            }
            Kind::Unset(local) => {
                let frame = self.frame()?;
                let is_bound = frame.bound.remove(local).is_some();
                let is_range = frame.ranges.remove(local).is_some();
                let is_shape = frame.shapes.remove(local).is_some();
                if !is_bound && !is_range && !is_shape {
                    return None;
                }
            }
            Kind::If(test, then, otherwise) => return self.branch(test, [then, otherwise], path),
            Kind::For(to, Atom::Local(range), inside, otherwise)
                if otherwise.is_empty() && self.frames.len() == 1 =>
            {
                self.nest(*to, *range, inside, path)?;
            }
            Kind::Continue if self.frames.last()?.is_loop && self.open.is_empty() => {
                self.leave_row();
                return Some(Flow::Ended);
            }
            Kind::Return(a) if !self.frames.last()?.is_loop => {
                let value = self.atom(a)?;
                let result = match (self.frames.last()?.result.clone(), path) {
                    (Some(old), Some(path)) => self.select(path, value, old)?,
                    (Some(_), None) => return None,
                    (None, _) => value,
                };
                self.frame()?.result = Some(result);
                return Some(Flow::Ended);
            }
            _ => return None,
        }
        Some(Flow::On(path))
    }

    fn branch(
        &mut self,
        test: &Atom,
        [then, otherwise]: [&[Statement]; 2],
        path: Option<Id>,
    ) -> Option<Flow> {
        let test = self.atom(test)?;
        let mask = self.truth(&test)?;
        let yes = self.graph.on_path(path, mask);
        let no = match path {
            Some(path) => self.graph.mask(Op::AndNot, &[mask, path]),
            None => self.not(mask),
        };
        let before = self.frames.last()?.bound.clone();
        let after_then = self.block(then, Some(yes))?;
        let bound = std::mem::replace(&mut self.frame()?.bound, before);
        let after_else = self.block(otherwise, Some(no))?;
        match (after_then, after_else) {
            (Flow::Ended, other) => Some(other),
            (Flow::On(path), Flow::Ended) => {
                self.frame()?.bound = bound;
                Some(Flow::On(path))
            }
            (Flow::On(a), Flow::On(b)) => {
                let others = std::mem::take(&mut self.frame()?.bound);
                let mut merged = HashMap::new();
                let mut locals = bound.keys().copied().collect::<Vec<_>>();
                locals.sort_unstable();
                for local in locals {
                    // What is bound on one side only may not be read any more.
                    if let Some(no) = others.get(&local).cloned() {
                        let yes = bound[&local].clone();
                        if let Some(value) = self.select(mask, yes, no) {
                            merged.insert(local, value);
                        }
                    }
                }
                self.frame()?.bound = merged;
                let path = if (a, b) == (Some(yes), Some(no)) {
                    path
                } else {
                    Some(self.graph.mask(Op::Or, &[a?, b?]))
                };
                Some(Flow::On(path))
            }
        }
    }

    pub(super) fn not(&mut self, mask: Id) -> Id {
        let ones = self.graph.mask(Op::Constant(u64::MAX), &[]);
        self.graph.mask(Op::Xor, &[mask, ones])
    }

    /// `mask ? yes : no`.
    pub(super) fn select(&mut self, mask: Id, mut yes: Val, mut no: Val) -> Option<Val> {
        if yes.id == no.id {
            let tags = yes.tags.or(no.tags);
            return Some(Val { tags, ..yes });
        }
        let lanes = [yes.id, no.id].map(|id| self.graph.node(id).lane);
        if lanes[0] != lanes[1] {
            let is_int = |lane| matches!(lane, Lane::Int | Lane::Mask);
            if !lanes.into_iter().all(is_int) {
                return None;
            }
            yes.id = self.int(&yes)?;
            no.id = self.int(&no)?;
        }
        let (a, b) = (*self.graph.node(yes.id), *self.graph.node(no.id));
        let range = a.range.join(b.range);
        let id = self
            .graph
            .add(Op::Select, a.lane, range, &[mask, yes.id, no.id]);
        if let Op::Carried(_) = b.op {
            let known = self.tags_of_parts.entry([yes.id, no.id]).or_default();
            *known = known.or(yes.tags);
        }
        let tags = yes.tags.or(no.tags);
        // Truth values have operations of their own.
        let truths = Tags(1 << BOOL | 1 << NP_BOOL);
        let is_plain = tags.single().is_some() || tags.within(truths) || !tags.any(truths);
        let linear = None;
        is_plain.then_some(Val { id, tags, linear })
    }
}
