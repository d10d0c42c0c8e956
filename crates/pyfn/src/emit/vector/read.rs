//! The body of a loop as a graph, if it is one for vectors.
//!
//! The body is gone through once, with values in place of numbers: what is bound in it is a value
//! of the turn, what is not is an argument. Both sides of a branch are computed and the results
//! selected; a store on one side writes back what was there. Every rule is that of the scalar code
//! (`scalar`, `array`): where that leaves the function, here is a stop.

use std::collections::HashMap;
use std::rc::Rc;

use super::graph::{Graph, Id, Lane, Nest, Op, Range, Step, Store, Stream, Test};
use crate::emit::hoist::Fact;
use crate::globals::{FunctionId, Global};
use crate::liveness::for_each_target;
use crate::program::{Atom, Bin, Cmp, Expr, Index, Kind, Local, Statement, Un, all_statements};
use crate::rules::{self, Intrinsic};
use crate::types::{BOOL, Class, Dtype, FLOAT, INT, NP_BOOL, NP_F32, Tags, Ty, class};
use crate::unit::{FunctionInfo, Unit};

/// A value of the turn.
#[derive(Clone, Debug)]
pub(super) struct Val {
    id: Id,
    tags: Tags,
    /// What it is as an index.
    linear: Option<Linear>,
}

/// What an index may be a sum of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Term {
    /// The number of the row.
    Counter,
    /// The number of the turn of a loop inside.
    Turn(usize),
    /// A local that the loop does not bind.
    Local(Local),
    /// The size of an array in a dimension.
    Size(Local, usize),
}

/// A sum of multiples of terms, and a constant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Linear {
    pub(super) terms: Vec<(Term, i64)>,
    pub(super) shift: i64,
}

impl Linear {
    fn of(term: Term) -> Self {
        Self {
            terms: vec![(term, 1)],
            shift: 0,
        }
    }

    fn constant(shift: i64) -> Self {
        Self {
            terms: Vec::new(),
            shift,
        }
    }

    /// The multiple of a term in it.
    pub(super) fn multiple(&self, term: Term) -> i64 {
        let mut terms = self.terms.iter();
        terms.find(|each| each.0 == term).map_or(0, |each| each.1)
    }

    /// It and so many times another; `None` if the numbers are too large for an index.
    fn plus(&self, times: i64, other: &Self) -> Option<Self> {
        const LARGE: i64 = 1 << 30;
        let mut sum = self.clone();
        for &(term, by) in &other.terms {
            let by = by.checked_mul(times)?;
            match sum.terms.iter_mut().find(|each| each.0 == term) {
                Some(each) => each.1 += by,
                None => sum.terms.push((term, by)),
            }
        }
        sum.shift += other.shift.checked_mul(times)?;
        sum.terms.retain(|each| each.1 != 0);
        sum.terms.sort_unstable();
        let is_small = |by: i64| by.abs() < LARGE;
        let fits = is_small(sum.shift) && sum.terms.iter().all(|each| is_small(each.1));
        fits.then_some(sum)
    }

    /// Whether it is the same in all rows and turns.
    fn is_fixed(&self) -> bool {
        let is_fixed = |term: Term| matches!(term, Term::Local(_) | Term::Size(..));
        self.terms.iter().all(|each| is_fixed(each.0))
    }
}

/// A word that the kernel is given.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Word {
    /// A number as a double.
    Double(Local),
    /// A number as a `float32`; the kernel does not run if it is beyond.
    Single(Local),
    /// An integer; the kernel does not run if it is not in the interval.
    Int(Local, Range),
    /// An element that the loop does not change.
    Element(Place),
    /// The address of a stream's element of row 0, in the first turns inside.
    Base(Place),
    /// Bytes by which a turn of a loop inside moves it, and all turns.
    Step(Place, usize),
    Steps(Place, usize),
    /// The turns of a loop inside.
    Trips(usize),
    /// The size of an array in a dimension.
    Size(Local, usize),
}

/// Where elements are: an index in each dimension, in the last without a constant beside the
/// number of the row.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Place {
    pub(super) of: Local,
    pub(super) parts: Vec<Linear>,
}

/// An index that has to be within bounds.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Bound {
    pub(super) of: Local,
    pub(super) dimension: usize,
    pub(super) index: Linear,
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
    /// For each local, bytes of an element, if it is an array.
    pub(super) sizes: Vec<i64>,
}

/// Where a path goes on, if it does.
enum Flow {
    On(Option<Id>),
    Ended,
}

/// The function that is gone through: the loop's, or one put in place.
#[derive(Clone)]
struct Frame {
    info: Rc<FunctionInfo>,
    bound: HashMap<Local, Val>,
    /// Ranges and shapes that a local stands for.
    ranges: HashMap<Local, [Linear; 2]>,
    shapes: HashMap<Local, Local>,
    is_loop: bool,
    result: Option<Val>,
}

/// What the body is about.
pub(super) struct Loop<'a> {
    pub(super) unit: &'a Unit,
    pub(super) info: &'a Rc<FunctionInfo>,
    pub(super) types: &'a [Ty],
    pub(super) facts: &'a [Fact],
    pub(super) counter: Local,
    pub(super) id: usize,
}

#[derive(Clone)]
struct Reader<'a> {
    of: &'a Loop<'a>,
    bound: Vec<Local>,
    frames: Vec<Frame>,
    graph: Graph,
    words: Vec<Word>,
    reads: Vec<Access>,
    bounds: Vec<Bound>,
    turns: Vec<[Linear; 2]>,
    /// Terms that have to be small.
    small: Vec<Term>,
    stored: HashMap<(usize, i64), Id>,
    /// Loops inside that are gone through.
    open: Vec<usize>,
    /// Turns that were written out.
    n_written_out: i64,
    /// Singles that have to be finite, on a path.
    finite: Vec<(Option<Id>, Id)>,
    /// Whether integers are taken to be narrow where they are not known.
    is_narrow: bool,
}

/// Nodes beyond which a body is no loop for vectors.
const N_NODES_MAX: usize = 400;

/// Turns of loops inside that are written out.
const N_WRITTEN_OUT_MAX: i64 = 32;

/// Functions put in place within one another.
const N_FRAMES_MAX: usize = 6;

/// Goes through a body.
pub(super) fn read(of: &Loop<'_>, body: &[Statement]) -> Option<Read> {
    let mut bound = Vec::new();
    let mut is_narrow = true;
    for statement in all_statements(body) {
        for_each_target(&statement.kind, &mut |local| bound.push(local));
        crate::liveness::for_each_atom(&statement.kind, &mut |atom| {
            if let Atom::Local(local) = atom {
                let array = of.types[*local].array();
                is_narrow &= array.is_none_or(|array| array.dtype.size() < 8);
            }
        });
    }
    if bound.contains(&of.counter) {
        return None;
    }
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
        n_written_out: 1,
        finite: Vec::new(),
        is_narrow,
    };
    reader.block(body, None)?;
    reader.end(of)
}

impl Reader<'_> {
    fn end(mut self, of: &Loop<'_>) -> Option<Read> {
        if self.graph.stores.is_empty() {
            return None;
        }
        // What is bound on some paths only, and read by who comes later, is not of one turn.
        let liveness = &of.info.liveness;
        let bound = &self.frames.first()?.bound;
        let is_carried =
            |local: &Local| liveness.head[of.id].has(*local) && !bound.contains_key(local);
        if self.bound.iter().any(is_carried) {
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
            !is_number || nodes().any(|(node, _)| node.op == Op::Arg(at))
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
            sizes: of
                .types
                .iter()
                .map(|ty| ty.array().map_or(0, |array| array.dtype.size()))
                .collect(),
        })
    }

    /// What is not finite stays so through sums and products: only their ends are looked at.
    fn stop_at_infinities(&mut self, finite: &[(Option<Id>, Id)], but: &[(Option<Id>, Id)]) {
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

    fn block(&mut self, block: &[Statement], mut path: Option<Id>) -> Option<Flow> {
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

    fn frame(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    fn statement(&mut self, statement: &Statement, path: Option<Id>) -> Option<Flow> {
        match &statement.kind {
            Kind::Set(to, e) => {
                let is_masked = self.frames.last()?.info.masked[statement.id].is_some();
                if self.notes(*to, e)? {
                    return Some(Flow::On(path));
                }
                let value = self.expr(e, path, is_masked)?;
                self.frame()?.bound.insert(*to, value);
            }
            Kind::SetItem(Atom::Local(of), index, value) => {
                let value = self.atom(value)?;
                self.set_item(*of, index, &value, path)?;
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

    /// Notes what is no number: ranges and shapes; whether the statement is about one.
    fn notes(&mut self, to: Local, e: &Expr) -> Option<bool> {
        let frame = self.frames.last()?;
        let array_of = |atom: &Atom| match atom {
            Atom::Local(local) if frame.is_loop && !self.bound.contains(local) => {
                self.of.types[*local].array().map(|array| (*local, array))
            }
            _ => None,
        };
        match e {
            Expr::Attr(name, of) if name == "shape" => {
                let (of, _) = array_of(of)?;
                self.frame()?.shapes.insert(to, of);
            }
            Expr::Item(Atom::Local(shape), Index::Atom(Atom::Int(dimension)))
                if frame.shapes.contains_key(shape) =>
            {
                let of = frame.shapes[shape];
                let dimension = usize::try_from(*dimension).ok()?;
                self.note_size(to, of, dimension)?;
            }
            Expr::Call(Atom::Global(function), args, named) if named.is_empty() => {
                let info = Rc::clone(&frame.info);
                let Global::Builtin { name, .. } = &info.globals[*function] else {
                    return Some(false);
                };
                match (name.as_str(), args.as_slice()) {
                    ("len", [of]) if array_of(of).is_some() => {
                        let (of, _) = array_of(of)?;
                        self.note_size(to, of, 0)?;
                    }
                    ("range", [start @ .., stop] | [start @ .., stop, Atom::Int(1)])
                        if start.len() < 2 =>
                    {
                        let low = match start {
                            [start] => self.atom(start)?.linear?,
                            _ => Linear::default(),
                        };
                        let high = self.atom(stop)?.linear?;
                        self.frame()?.ranges.insert(to, [low, high]);
                    }
                    _ => return Some(false),
                }
            }
            _ => return Some(false),
        }
        Some(true)
    }

    fn note_size(&mut self, to: Local, of: Local, dimension: usize) -> Option<()> {
        if dimension >= self.of.types[of].array()?.ndim {
            return None;
        }
        let at = self.word(Word::Size(of, dimension));
        let range = Range::new(0, 1 << 56);
        let id = self.graph.add(Op::Arg(at), Lane::Int, range, &[]);
        let value = Self::index(id, Linear::of(Term::Size(of, dimension)));
        self.frame()?.bound.insert(to, value);
        Some(())
    }

    /// A loop inside: a few turns are written out, more become a loop of the kernel.
    fn nest(
        &mut self,
        to: Local,
        range: Local,
        inside: &[Statement],
        path: Option<Id>,
    ) -> Option<()> {
        let [low, high] = self.frames.last()?.ranges.get(&range)?.clone();
        if low.terms.is_empty() && high.terms.is_empty() {
            let n_turns = high.shift - low.shift;
            if n_turns <= 0 {
                return None;
            }
            if n_turns * self.n_written_out <= N_WRITTEN_OUT_MAX {
                self.n_written_out *= n_turns;
                for turn in low.shift..high.shift {
                    let index = Self::index(self.graph.int(turn), Linear::constant(turn));
                    self.frame()?.bound.insert(to, index);
                    self.straight(inside, path)?;
                }
                self.n_written_out /= n_turns;
                return Some(());
            }
        }
        if !low.is_fixed() || !high.is_fixed() {
            return None;
        }
        self.frame()?.bound.remove(&to);
        let mut carried = Vec::new();
        for statement in all_statements(inside) {
            for_each_target(&statement.kind, &mut |local| carried.push(local));
        }
        carried.sort_unstable();
        carried.dedup();
        let bound = &self.frames.last()?.bound;
        let (carried, fresh) = carried
            .into_iter()
            .partition::<Vec<_>, _>(|local| bound.contains_key(local));
        // What a local becomes may be of another type than what it is at first.
        let mut forms = vec![None; carried.len()];
        for _ in 0..3 {
            let mut trial = self.clone();
            trial.turns.push([low.clone(), high.clone()]);
            match trial.turn(to, inside, path, &carried, &forms)? {
                Some(others) => forms = others,
                None => {
                    *self = trial;
                    for local in fresh.iter().chain([&to]) {
                        self.frame()?.bound.remove(local);
                    }
                    return Some(());
                }
            }
        }
        None
    }

    /// A block that is not left before its end.
    fn straight(&mut self, block: &[Statement], path: Option<Id>) -> Option<()> {
        match self.block(block, path)? {
            Flow::On(end) if end == path => Some(()),
            _ => None,
        }
    }

    /// One turn of a loop inside; other forms of what it carries, if those did not fit.
    fn turn(
        &mut self,
        to: Local,
        inside: &[Statement],
        path: Option<Id>,
        carried: &[Local],
        forms: &[Option<(Lane, Tags)>],
    ) -> Option<Option<Vec<Option<(Lane, Tags)>>>> {
        let at = self.graph.nests.len();
        let trips = self.word(Word::Trips(at));
        self.graph.nests.push(Nest {
            parent: self.open.last().copied(),
            trips,
            phis: Vec::new(),
            end: 0,
        });
        self.open.push(at);
        let mut phis = Vec::new();
        for (number, (local, form)) in carried.iter().zip(forms).enumerate() {
            let first = self.frames.last()?.bound.get(local)?.clone();
            let lane = match self.graph.node(first.id).lane {
                Lane::Mask => Lane::Int,
                lane => lane,
            };
            let (lane, tags) = form.unwrap_or((lane, first.tags));
            let init = self.as_lane(&first, lane)?;
            let range = if lane == Lane::Int {
                Range::FULL
            } else {
                Range::NONE
            };
            let phi = self.graph.add(Op::Phi(at, number), lane, range, &[]);
            let value = Val {
                id: phi,
                tags,
                linear: None,
            };
            self.frame()?.bound.insert(*local, value);
            phis.push((phi, init, lane, tags));
        }
        let number = self
            .graph
            .add(Op::Nothing, Lane::Int, Range::signed(32), &[]);
        let number = Self::index(number, Linear::of(Term::Turn(at)));
        self.frame()?.bound.insert(to, number);
        let n_stores = self.graph.stores.len();
        let finite = std::mem::take(&mut self.finite);
        self.straight(inside, path)?;
        if self.graph.stores.len() != n_stores {
            return None;
        }
        let mut others = Vec::new();
        let mut fits = true;
        let mut updates = Vec::new();
        for (local, &(_, _, lane, tags)) in carried.iter().zip(&phis) {
            let value = self.frames.last()?.bound.get(local)?.clone();
            let update = match self.graph.node(value.id).lane {
                Lane::Mask => self.int(&value)?,
                _ => value.id,
            };
            let found = self.graph.node(update).lane;
            if found != lane {
                fits = false;
                others.push(Some((found, value.tags)));
            } else {
                fits &= value.tags.within(tags);
                others.push(Some((lane, value.tags.or(tags))));
            }
            updates.push((update, value.tags));
        }
        if !fits {
            return Some(Some(others));
        }
        // A sum that is not finite stays so: its end is looked at.
        let own = std::mem::replace(&mut self.finite, finite);
        let mut at_end = Vec::new();
        for (number, &(phi, ..)) in phis.iter().enumerate() {
            let (update, _) = updates[number];
            let node = self.graph.node(update);
            let is_sum = matches!(node.op, Op::Add | Op::Sub | Op::Mul);
            if is_sum && node.args().any(|arg| arg == phi) {
                at_end.push((number, update));
            }
        }
        let ends = own
            .iter()
            .filter(|&&(_, id)| at_end.iter().any(|end| end.1 == id));
        let ends = ends.copied().collect::<Vec<_>>();
        self.stop_at_infinities(&own, &ends);
        // Rows that stop in any turn.
        let (stops, rest) = self
            .graph
            .stops
            .iter()
            .partition::<Vec<_>, _>(|stop| self.graph.home[stop.index()] == Some(at));
        self.graph.stops = rest;
        let mut all = Vec::new();
        for (&(phi, init, ..), &(update, _)) in phis.iter().zip(&updates) {
            all.push([phi, init, update]);
        }
        let n_carried = all.len();
        for (number, stop) in stops.into_iter().enumerate() {
            let phi = self.graph.mask(Op::Phi(at, n_carried + number), &[]);
            let init = self.graph.mask(Op::Constant(0), &[]);
            let update = self.graph.mask(Op::Or, &[phi, stop]);
            all.push([phi, init, update]);
        }
        self.graph.nests[at].phis.clone_from(&all);
        self.graph.nests[at].end = self.graph.nodes.len();
        self.open.pop();
        for (number, args) in all.iter().enumerate() {
            let node = *self.graph.node(args[0]);
            let id = self.graph.add(Op::Result(at), node.lane, node.range, args);
            if number >= n_carried {
                self.graph.stop(None, id);
                continue;
            }
            let value = Val {
                id,
                tags: updates[number].1,
                linear: None,
            };
            self.frame()?.bound.insert(carried[number], value);
            for &(path, update) in &ends {
                if at_end.contains(&(number, update)) {
                    self.finite.push((path, id));
                }
            }
        }
        Some(None)
    }

    /// What a loop begins with, in the lanes of what it becomes.
    fn as_lane(&mut self, value: &Val, lane: Lane) -> Option<Id> {
        let node = *self.graph.node(value.id);
        if node.lane == lane {
            return Some(value.id);
        }
        let is_written = matches!(node.op, Op::Constant(_));
        match lane {
            Lane::Int if node.lane == Lane::Mask => self.int(value),
            Lane::Double if is_written => self.double(value),
            Lane::Single if is_written => self.single(value, None),
            _ => None,
        }
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

    fn not(&mut self, mask: Id) -> Id {
        let ones = self.graph.mask(Op::Constant(u64::MAX), &[]);
        self.graph.mask(Op::Xor, &[mask, ones])
    }

    /// `mask ? yes : no`.
    fn select(&mut self, mask: Id, mut yes: Val, mut no: Val) -> Option<Val> {
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
        let tags = yes.tags.or(no.tags);
        // Truth values have operations of their own.
        let truths = Tags(1 << BOOL | 1 << NP_BOOL);
        let is_plain = tags.single().is_some() || !tags.any(truths);
        let linear = None;
        is_plain.then_some(Val { id, tags, linear })
    }

    // Operands.

    fn val(id: Id, tag: u8) -> Val {
        Val {
            id,
            tags: Tags::of(tag),
            linear: None,
        }
    }

    fn index(id: Id, linear: Linear) -> Val {
        Val {
            linear: Some(linear),
            ..Self::val(id, INT)
        }
    }

    fn atom(&mut self, atom: &Atom) -> Option<Val> {
        Some(match atom {
            Atom::Local(local) => return self.local(*local),
            Atom::Int(value) => Self::index(self.graph.int(*value), Linear::constant(*value)),
            Atom::Float(value) => Self::val(self.graph.double(*value), FLOAT),
            Atom::Bool(value) => Self::val(self.graph.int((*value).into()), BOOL),
            Atom::Global(index) => match self.frames.last()?.info.globals[*index] {
                Global::Int(value) => Self::index(self.graph.int(value), Linear::constant(value)),
                Global::Float(value) => Self::val(self.graph.double(value), FLOAT),
                Global::Bool(value) => Self::val(self.graph.int(value.into()), BOOL),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn local(&mut self, local: Local) -> Option<Val> {
        if let Some(value) = self.frames.last()?.bound.get(&local) {
            return Some(value.clone());
        }
        if self.frames.len() > 1 || self.bound.contains(&local) {
            return None;
        }
        if local == self.of.counter {
            let range = Range::signed(32);
            let id = self.graph.add(Op::Counter, Lane::Int, range, &[]);
            return Some(Self::index(id, Linear::of(Term::Counter)));
        }
        let ty = &self.of.types[local];
        if ty.narrow.is_some() {
            return None;
        }
        let tag = ty.tags.single()?;
        let id = match class(tag) {
            Class::Float if tag == NP_F32 => self.argument(Word::Single(local), Lane::Single),
            Class::Float => self.argument(Word::Double(local), Lane::Double),
            Class::Int => {
                let range = Dtype::of_tag(tag)
                    .and_then(Range::of)
                    .unwrap_or(Range::FULL);
                let range = if tag == BOOL {
                    Range::new(0, 1)
                } else if range == Range::FULL && self.is_narrow {
                    Range::signed(15)
                } else {
                    range
                };
                let at = self.word(Word::Int(local, range));
                self.graph.add(Op::Arg(at), Lane::Int, range, &[])
            }
            _ => return None,
        };
        let is_index = Tags::of(tag).within(Tags::INDICES);
        Some(Val {
            linear: is_index.then(|| Linear::of(Term::Local(local))),
            ..Self::val(id, tag)
        })
    }

    fn word(&mut self, word: Word) -> usize {
        let known = self.words.iter().position(|known| *known == word);
        known.unwrap_or_else(|| {
            self.words.push(word);
            self.words.len() - 1
        })
    }

    fn argument(&mut self, word: Word, lane: Lane) -> Id {
        let at = self.word(word);
        self.graph.float(Op::Arg(at), lane, &[])
    }

    /// A number as an integer.
    fn int(&mut self, value: &Val) -> Option<Id> {
        match self.graph.node(value.id).lane {
            Lane::Int => Some(value.id),
            Lane::Mask => {
                let one = self.graph.int(1);
                let range = Range::new(0, 1);
                Some(self.graph.add(Op::And, Lane::Int, range, &[value.id, one]))
            }
            _ => None,
        }
    }

    /// A number as a double.
    fn double(&mut self, value: &Val) -> Option<Id> {
        let node = *self.graph.node(value.id);
        match node.lane {
            Lane::Double => Some(value.id),
            Lane::Single => match node.op {
                Op::Constant(bits) => Some(self.graph.double(f64::from_bits(bits))),
                _ => Some(self.graph.float(Op::Convert, Lane::Double, &[value.id])),
            },
            Lane::Int | Lane::Mask => {
                let id = self.int(value)?;
                #[expect(clippy::cast_precision_loss, reason = "as Python rounds")]
                if let Op::Constant(bits) = node.op {
                    return Some(self.graph.double(bits.cast_signed() as f64));
                }
                if let Op::Arg(at) = node.op
                    && let Word::Int(local, _) = self.words[at]
                {
                    return Some(self.argument(Word::Double(local), Lane::Double));
                }
                Some(self.graph.float(Op::Convert, Lane::Double, &[id]))
            }
        }
    }

    /// A number as a `float32`.
    fn single(&mut self, value: &Val, path: Option<Id>) -> Option<Id> {
        let node = *self.graph.node(value.id);
        match (node.lane, node.op) {
            (Lane::Single, _) => Some(value.id),
            (Lane::Double, Op::Constant(bits)) => {
                let wide = f64::from_bits(bits);
                #[expect(clippy::cast_possible_truncation, reason = "as numpy rounds")]
                let single = wide as f32;
                (single.is_infinite() == wide.is_infinite()).then(|| self.graph.single(single))
            }
            (Lane::Double, Op::Arg(at)) => match self.words[at] {
                Word::Double(local) => Some(self.argument(Word::Single(local), Lane::Single)),
                _ => None,
            },
            (Lane::Double, _) => {
                let single = self.graph.float(Op::Convert, Lane::Single, &[value.id]);
                let odd = self.graph.mask(Op::NonFinite, &[single]);
                self.graph.stop(path, odd);
                Some(single)
            }
            (Lane::Int | Lane::Mask, op) => {
                let id = self.int(value)?;
                if !self.graph.node(id).range.within(Range::signed(32)) {
                    return None;
                }
                if let Op::Constant(bits) = op {
                    #[expect(clippy::cast_precision_loss, reason = "as numpy rounds")]
                    return Some(self.graph.single(bits.cast_signed() as f32));
                }
                Some(self.graph.float(Op::Convert, Lane::Single, &[id]))
            }
        }
    }

    /// Whether a number is true.
    fn truth(&mut self, value: &Val) -> Option<Id> {
        let zero = match self.graph.node(value.id).lane {
            Lane::Mask => return Some(value.id),
            Lane::Int => self.graph.int(0),
            Lane::Double => self.graph.double(0.0),
            Lane::Single => self.graph.single(0.0),
        };
        Some(self.graph.compare(Test::Ne, value.id, zero))
    }

    /// The class of all tags of a value.
    fn class(value: &Val) -> Option<Class> {
        let mut classes = value.tags.iter().map(class);
        let first = classes.next()?;
        let is_number = matches!(first, Class::Int | Class::Float);
        (is_number && classes.all(|class| class == first)).then_some(first)
    }

    /// Stops unless an integer is in an interval.
    fn clip(&mut self, id: Id, to: Range, path: Option<Id>) -> Option<Id> {
        let range = self.graph.node(id).range;
        if range.within(to) {
            return Some(id);
        }
        for (is_within, limit, test) in [
            (range.low >= to.low, to.low, Test::Lt),
            (range.high <= to.high, to.high, Test::Gt),
        ] {
            if !is_within {
                let limit = self.graph.int(i64::try_from(limit).ok()?);
                let beyond = self.graph.compare(test, id, limit);
                self.graph.stop(path, beyond);
            }
        }
        Some(self.graph.add(Op::Clip, Lane::Int, range.meet(to), &[id]))
    }

    /// Stops unless an integer is a double.
    fn check_exact(&mut self, value: &Val, path: Option<Id>) -> Option<()> {
        if matches!(self.graph.node(value.id).lane, Lane::Int) {
            let limit = 1 << 53;
            self.clip(value.id, Range::new(-limit, limit), path)?;
        }
        Some(())
    }

    // Expressions.

    fn expr(&mut self, e: &Expr, path: Option<Id>, is_masked: bool) -> Option<Val> {
        match e {
            Expr::Atom(a) => self.atom(a),
            Expr::Bin(op, a, b, _) => {
                let (a, b) = (self.atom(a)?, self.atom(b)?);
                self.bin(*op, &a, &b, path, is_masked)
            }
            Expr::Un(op, a) => {
                let a = self.atom(a)?;
                self.un(*op, &a)
            }
            Expr::Cmp(op, a, b) => {
                let (a, b) = (self.atom(a)?, self.atom(b)?);
                self.cmp(*op, &a, &b, path)
            }
            Expr::Truth(a) => {
                let a = self.atom(a)?;
                let mask = self.truth(&a)?;
                Some(Self::val(mask, BOOL))
            }
            Expr::Item(Atom::Local(of), index) => self.item(*of, index),
            Expr::Call(Atom::Global(function), args, named) if named.is_empty() => {
                let mut values = Vec::new();
                for arg in args {
                    values.push(self.atom(arg)?);
                }
                self.call(*function, args, &values, path)
            }
            _ => None,
        }
    }

    fn bin(&mut self, op: Bin, a: &Val, b: &Val, path: Option<Id>, is_masked: bool) -> Option<Val> {
        let (ca, cb) = (Self::class(a)?, Self::class(b)?);
        let ints = ca == Class::Int && cb == Class::Int;
        let (ta, tb) = (Ty::tags(a.tags), Ty::tags(b.tags));
        let narrow = rules::narrow(op, &ta, &tb);
        let tag = match narrow {
            Some(narrow) => narrow?,
            None => {
                let power = None;
                let tags = rules::pairs(a.tags, b.tags, |a, b| rules::bin_tag(op, a, b, power));
                let has_all = a.tags.iter().all(|a| {
                    let mut others = b.tags.iter();
                    others.all(|b| rules::bin_tag(op, a, b, power).is_some())
                });
                if !has_all {
                    return None;
                }
                // The tags of a class differ in nothing here.
                tags.iter().next()?
            }
        };
        if tag == NP_F32 {
            return self.bin_singles(op, a, b, path);
        }
        if class(tag) == Class::Float {
            let id = self.bin_doubles(op, a, b, ints, path)?;
            return Some(Self::val(id, tag));
        }
        if matches!(tag, BOOL | NP_BOOL) {
            return self.bin_truths(op, a, b, tag);
        }
        let (mut x, mut y) = (self.int(a)?, self.int(b)?);
        let dtype = Dtype::of_tag(tag).filter(|_| narrow.is_some());
        if let Some(dtype) = dtype {
            let range = Range::of(dtype)?;
            if a.tags.has(INT) {
                x = self.clip(x, range, path)?;
            }
            if b.tags.has(INT) {
                y = self.clip(y, range, path)?;
            }
        }
        if dtype.is_none()
            && let Some(linear) = linear_of(op, a, b)
        {
            // Its terms are looked at before the loop: nothing grows beyond an index.
            let op = match op {
                Bin::Add => Op::Add,
                Bin::Sub => Op::Sub,
                _ => Op::Mul,
            };
            let range = self.range_of(op, x, y).meet(Range::signed(62));
            let id = self.graph.add(op, Lane::Int, range, &[x, y]);
            self.small.extend(linear.terms.iter().map(|each| each.0));
            return Some(Val {
                linear: Some(linear),
                ..Self::val(id, tag)
            });
        }
        let mut id = self.bin_ints(op, x, y, path, is_masked)?;
        if let Some(dtype) = dtype {
            id = self.clip(id, Range::of(dtype)?, path)?;
        }
        Some(Self::val(id, tag))
    }

    fn bin_truths(&mut self, op: Bin, a: &Val, b: &Val, tag: u8) -> Option<Val> {
        let op = match op {
            Bin::And => Op::And,
            Bin::Or => Op::Or,
            Bin::Xor => Op::Xor,
            _ => return None,
        };
        let (a, b) = (self.truth(a)?, self.truth(b)?);
        Some(Self::val(self.graph.mask(op, &[a, b]), tag))
    }

    fn bin_singles(&mut self, op: Bin, a: &Val, b: &Val, path: Option<Id>) -> Option<Val> {
        for value in [a, b] {
            self.check_exact(value, path)?;
        }
        let (x, y) = (self.single(a, path)?, self.single(b, path)?);
        let op = match op {
            Bin::Add => Op::Add,
            Bin::Sub => Op::Sub,
            Bin::Mul => Op::Mul,
            Bin::TrueDiv => {
                self.check_divisor(y, path);
                Op::Div
            }
            _ => return None,
        };
        let id = self.graph.float(op, Lane::Single, &[x, y]);
        self.finite.push((path, id));
        Some(Self::val(id, NP_F32))
    }

    fn bin_doubles(
        &mut self,
        op: Bin,
        a: &Val,
        b: &Val,
        ints: bool,
        path: Option<Id>,
    ) -> Option<Id> {
        if op == Bin::TrueDiv && ints {
            self.check_exact(a, path)?;
            self.check_exact(b, path)?;
        }
        let (x, y) = (self.double(a)?, self.double(b)?);
        let op = match op {
            Bin::Add => Op::Add,
            Bin::Sub => Op::Sub,
            Bin::Mul => Op::Mul,
            Bin::TrueDiv => {
                self.check_divisor(y, path);
                Op::Div
            }
            _ => return None,
        };
        Some(self.graph.float(op, Lane::Double, &[x, y]))
    }

    fn check_divisor(&mut self, divisor: Id, path: Option<Id>) {
        let bits = self.graph.constant(divisor);
        if bits.is_some_and(|bits| bits << 1 != 0) {
            return;
        }
        let zero = match self.graph.node(divisor).lane {
            Lane::Single => self.graph.single(0.0),
            _ => self.graph.double(0.0),
        };
        let is_zero = self.graph.compare(Test::Eq, divisor, zero);
        self.graph.stop(path, is_zero);
    }

    fn range_of(&self, op: Op, x: Id, y: Id) -> Range {
        let (a, b) = (self.graph.node(x).range, self.graph.node(y).range);
        match op {
            Op::Add => Range::new(a.low + b.low, a.high + b.high),
            Op::Sub => Range::new(a.low - b.high, a.high - b.low),
            _ => product(a.meet(Range::FULL), b.meet(Range::FULL)),
        }
    }

    fn bin_ints(&mut self, op: Bin, x: Id, y: Id, path: Option<Id>, is_masked: bool) -> Option<Id> {
        let (a, b) = (self.graph.node(x).range, self.graph.node(y).range);
        let constant = self.graph.constant(y).map(u64::cast_signed);
        let add = |graph: &mut Graph, op, range| graph.add(op, Lane::Int, range, &[x, y]);
        match op {
            Bin::Add | Bin::Sub => {
                let op = if op == Bin::Add { Op::Add } else { Op::Sub };
                let range = self.range_of(op, x, y);
                if range.within(Range::FULL) {
                    return Some(add(&mut self.graph, op, range));
                }
                if is_masked {
                    return None;
                }
                let id = add(&mut self.graph, op, Range::FULL);
                // Its sign differs from that of both, or from the first and the first's from the
                // second.
                let graph = &mut self.graph;
                let mut xor = |a, b| graph.add(Op::Xor, Lane::Int, Range::FULL, &[a, b]);
                let (of_x, of_y) = (
                    xor(x, id),
                    if op == Op::Add { xor(y, id) } else { xor(x, y) },
                );
                let both = graph.add(Op::And, Lane::Int, Range::FULL, &[of_x, of_y]);
                let zero = graph.int(0);
                let over = graph.compare(Test::Lt, both, zero);
                graph.stop(path, over);
                Some(id)
            }
            Bin::Mul => {
                let (mut x, mut y) = (x, y);
                if product(a.meet(Range::FULL), b.meet(Range::FULL)).bytes() > 4 {
                    if is_masked {
                        return None;
                    }
                    // Larger ones are left to the scalar loop.
                    x = self.clip(x, Range::signed(32), path)?;
                    y = self.clip(y, Range::signed(32), path)?;
                }
                let range = product(self.graph.node(x).range, self.graph.node(y).range);
                Some(self.graph.add(Op::Mul, Lane::Int, range, &[x, y]))
            }
            Bin::FloorDiv | Bin::Mod => {
                let divisor = constant.filter(|&divisor| divisor > 0)?;
                self.divide(op == Bin::Mod, x, divisor)
            }
            Bin::And | Bin::Or | Bin::Xor => {
                let range = match op {
                    Bin::And if b.low >= 0 && a.low < 0 => Range::new(0, b.high),
                    Bin::And if a.low >= 0 && b.low < 0 => Range::new(0, a.high),
                    Bin::And if a.low >= 0 => Range::new(0, a.high.min(b.high)),
                    // As many bits as the longer one.
                    _ => {
                        let both = a.join(b);
                        let most = both.high.max(-(both.low + 1));
                        let bits = 128 - most.leading_zeros();
                        let high = (1 << bits) - 1;
                        Range::new(if both.low < 0 { -high - 1 } else { 0 }, high)
                    }
                };
                let op = match op {
                    Bin::And => Op::And,
                    Bin::Or => Op::Or,
                    _ => Op::Xor,
                };
                Some(add(&mut self.graph, op, range))
            }
            Bin::LShift => {
                let by = u8::try_from(constant?).ok().filter(|&by| by < 63)?;
                let range = Range::new(a.low << by, a.high << by);
                let op = Op::ShiftLeft(by);
                let is_there = range.within(Range::FULL);
                is_there.then(|| self.graph.add(op, Lane::Int, range, &[x]))
            }
            Bin::RShift => {
                let by = u8::try_from(constant?).ok().filter(|&by| by < 64)?;
                Some(self.shift_right(x, by))
            }
            _ => None,
        }
    }

    fn shift_right(&mut self, x: Id, by: u8) -> Id {
        let a = self.graph.node(x).range;
        let range = Range::new(a.low >> by, a.high >> by);
        if by == 0 {
            return x;
        }
        self.graph.add(Op::ShiftRight(by), Lane::Int, range, &[x])
    }

    /// `x // divisor` or `x % divisor`.
    fn divide(&mut self, is_mod: bool, x: Id, divisor: i64) -> Option<Id> {
        let a = self.graph.node(x).range;
        let by = i128::from(divisor);
        let range = Range::new(a.low.div_euclid(by), a.high.div_euclid(by));
        if divisor.count_ones() == 1 {
            if is_mod {
                let mask = self.graph.int(divisor - 1);
                let range = Range::new(0, by - 1);
                return Some(self.graph.add(Op::And, Lane::Int, range, &[x, mask]));
            }
            return Some(self.shift_right(x, u8::try_from(divisor.trailing_zeros()).ok()?));
        }
        let quotient = match reciprocal(a, divisor) {
            Some((factor, count)) => {
                let high = Range::new(0, (a.high * i128::from(factor)) >> 16);
                let high = self.graph.add(Op::MulHigh(factor), Lane::Int, high, &[x]);
                let quotient = self.shift_right(high, count);
                self.graph.add(Op::Clip, Lane::Int, range, &[quotient])
            }
            // The quotient of doubles (or singles) of so few bits is not rounded across an integer.
            None => {
                let bound = a.high.max(-a.low);
                let (lane, limit) = if bound < 1 << 24 && by < 1 << 24 {
                    (Lane::Single, 24)
                } else {
                    (Lane::Double, 51)
                };
                if bound >= 1 << limit || by >= 1 << limit {
                    return None;
                }
                let float = self.graph.float(Op::Convert, lane, &[x]);
                #[expect(clippy::cast_precision_loss, reason = "it has fewer bits")]
                let divisor = if lane == Lane::Single {
                    self.graph.single(divisor as f32)
                } else {
                    self.graph.double(divisor as f64)
                };
                let quotient = self.graph.float(Op::Div, lane, &[float, divisor]);
                let whole = self.graph.float(Op::Round(1), lane, &[quotient]);
                self.graph.add(Op::Convert, Lane::Int, range, &[whole])
            }
        };
        if !is_mod {
            return Some(quotient);
        }
        let divisor = self.graph.int(divisor);
        let back = Range::new(range.low * by, range.high * by);
        let back = self
            .graph
            .add(Op::Mul, Lane::Int, back, &[quotient, divisor]);
        let rest = Range::new(0, by - 1);
        Some(self.graph.add(Op::Sub, Lane::Int, rest, &[x, back]))
    }

    fn cmp(&mut self, op: Cmp, a: &Val, b: &Val, path: Option<Id>) -> Option<Val> {
        let test = match op {
            Cmp::Lt => Test::Lt,
            Cmp::Le => Test::Le,
            Cmp::Eq => Test::Eq,
            Cmp::Ne => Test::Ne,
            Cmp::Gt => Test::Gt,
            Cmp::Ge => Test::Ge,
            _ => return None,
        };
        let (ca, cb) = (Self::class(a)?, Self::class(b)?);
        let (x, y) = if ca == Class::Int && cb == Class::Int {
            (self.int(a)?, self.int(b)?)
        } else {
            self.check_exact(a, path)?;
            self.check_exact(b, path)?;
            if rules::compares_single(&Ty::tags(a.tags), &Ty::tags(b.tags))? {
                (self.single(a, path)?, self.single(b, path)?)
            } else {
                (self.double(a)?, self.double(b)?)
            }
        };
        let tags = rules::pairs(a.tags, b.tags, |a, b| rules::cmp_tag(op, a, b));
        let tag = tags.single().unwrap_or(NP_BOOL);
        Some(Self::val(self.graph.compare(test, x, y), tag))
    }

    fn un(&mut self, op: Un, a: &Val) -> Option<Val> {
        let tag = a.tags.iter().next()?;
        let result = rules::un_tag(op, tag)?;
        if !a.tags.iter().all(|tag| rules::un_tag(op, tag).is_some()) {
            return None;
        }
        let lane = self.graph.node(a.id).lane;
        let id = match (op, lane) {
            (Un::Not, _) => {
                let truth = self.truth(a)?;
                self.not(truth)
            }
            (Un::Pos, Lane::Double | Lane::Single) => return Some(a.clone()),
            (Un::Pos, _) => self.int(a)?,
            (Un::Neg, Lane::Double | Lane::Single) => {
                let sign = match lane {
                    Lane::Double => self.graph.double(-0.0),
                    _ => self.graph.single(-0.0),
                };
                self.graph.float(Op::Xor, lane, &[a.id, sign])
            }
            (Un::Neg, _) => {
                let x = self.int(a)?;
                let range = self.graph.node(x).range;
                let range = Range::new(-range.high, -range.low);
                if !range.within(Range::FULL) {
                    return None;
                }
                let zero = self.graph.int(0);
                self.graph.add(Op::Sub, Lane::Int, range, &[zero, x])
            }
            (Un::Invert, _) if tag == NP_BOOL => {
                let truth = self.truth(a)?;
                self.not(truth)
            }
            (Un::Invert, _) => {
                let x = self.int(a)?;
                let range = self.graph.node(x).range;
                let range = Range::new(-range.high - 1, -range.low - 1);
                let ones = self.graph.int(-1);
                self.graph.add(Op::Xor, Lane::Int, range, &[x, ones])
            }
        };
        let tags = if op == Un::Not || tag == BOOL {
            Tags::of(result)
        } else {
            a.tags
        };
        Some(Val {
            id,
            tags,
            linear: None,
        })
    }

    // Calls.

    fn call(
        &mut self,
        function: usize,
        atoms: &[Atom],
        args: &[Val],
        path: Option<Id>,
    ) -> Option<Val> {
        let info = Rc::clone(&self.frames.last()?.info);
        match &info.globals[function] {
            Global::Function { id, .. } => self.put_in_place(*id, args, path),
            Global::Builtin { name, .. } => {
                let types = args.iter().map(|arg| Ty::tags(arg.tags));
                let types = types.collect::<Vec<_>>();
                let (how, ty) = rules::call(&info.globals, name, atoms, &types, &[]);
                self.intrinsic(how, &ty, args, path)
            }
            _ => None,
        }
    }

    fn put_in_place(&mut self, id: FunctionId, args: &[Val], path: Option<Id>) -> Option<Val> {
        let info = Rc::clone(&self.of.unit.functions[id]);
        if !info.is_small || args.len() != info.program.n_params || self.frames.len() > N_FRAMES_MAX
        {
            return None;
        }
        self.frames.push(Frame {
            info: Rc::clone(&info),
            bound: args.iter().cloned().enumerate().collect(),
            ranges: HashMap::new(),
            shapes: HashMap::new(),
            is_loop: false,
            result: None,
        });
        let flow = self.block(&info.program.body, path);
        let frame = self.frames.pop()?;
        // All paths have to return something.
        match flow? {
            Flow::Ended => frame.result,
            Flow::On(_) => None,
        }
    }

    fn intrinsic(
        &mut self,
        how: Intrinsic,
        ty: &Ty,
        args: &[Val],
        path: Option<Id>,
    ) -> Option<Val> {
        let result = |id: Id| {
            Some(Val {
                id,
                tags: ty.tags,
                linear: None,
            })
        };
        match (how, args) {
            (Intrinsic::Sqrt, [a]) => {
                let x = self.double(a)?;
                let zero = self.graph.double(0.0);
                let fine = self.graph.compare(Test::Ge, x, zero);
                let odd = self.not(fine);
                self.graph.stop(path, odd);
                result(self.graph.float(Op::Sqrt, Lane::Double, &[x]))
            }
            (Intrinsic::Fabs, [a]) => {
                let x = self.double(a)?;
                result(self.magnitude(x))
            }
            (Intrinsic::Abs, [a]) => match self.graph.node(a.id).lane {
                Lane::Double | Lane::Single => {
                    let id = self.magnitude(a.id);
                    Some(Val { id, ..a.clone() })
                }
                _ => {
                    let x = self.int(a)?;
                    let range = self.graph.node(x).range;
                    let most = range.high.max(-range.low);
                    if most > Range::FULL.high {
                        return None;
                    }
                    let (zero, both) = (self.graph.int(0), Range::new(-range.high, -range.low));
                    let minus = self.graph.add(Op::Sub, Lane::Int, both, &[zero, x]);
                    let is_negative = self.graph.compare(Test::Lt, x, zero);
                    let range = Range::new(0, most);
                    let args = [is_negative, minus, x];
                    result(self.graph.add(Op::Select, Lane::Int, range, &args))
                }
            },
            (Intrinsic::FloorFloat | Intrinsic::CeilFloat, [a]) => {
                let x = self.double(a)?;
                let mode = if how == Intrinsic::FloorFloat { 1 } else { 2 };
                result(self.graph.float(Op::Round(mode), Lane::Double, &[x]))
            }
            (Intrinsic::Floor | Intrinsic::Ceil | Intrinsic::Trunc, [a]) => {
                let mode = match how {
                    Intrinsic::Floor => 1,
                    Intrinsic::Ceil => 2,
                    _ => 3,
                };
                let x = self.double(a)?;
                let whole = self.graph.float(Op::Round(mode), Lane::Double, &[x]);
                self.truncate(whole, path).and_then(result)
            }
            (Intrinsic::IsNan, [a]) => {
                let x = self.double(a)?;
                result(self.graph.compare(Test::Ne, x, x))
            }
            (Intrinsic::IsFinite, [a]) => {
                let x = self.double(a)?;
                let odd = self.graph.mask(Op::NonFinite, &[x]);
                result(self.not(odd))
            }
            (Intrinsic::Scale(by), [a]) => {
                let (x, by) = (self.double(a)?, self.graph.double(by));
                result(self.graph.float(Op::Mul, Lane::Double, &[x, by]))
            }
            (Intrinsic::Min | Intrinsic::Max, [first, rest @ ..]) => {
                let mut best = first.clone();
                for item in rest {
                    best = self.better(how == Intrinsic::Min, &best, item, path)?;
                }
                Some(best)
            }
            (Intrinsic::ToFloat | Intrinsic::ToNumpyFloat, [a]) => {
                let id = self.double(a)?;
                result(id)
            }
            (Intrinsic::ToInt, [a]) => match Self::class(a)? {
                Class::Int => {
                    let id = self.int(a)?;
                    let linear = a.linear.clone();
                    result(id).map(|value| Val { linear, ..value })
                }
                _ => self.truncate(a.id, path).and_then(result),
            },
            (Intrinsic::ToNumpyInt, [a]) => {
                let id = self.int(a)?;
                result(id)
            }
            (Intrinsic::ToNarrow(Dtype::Float32), [a]) => {
                self.check_exact(a, path)?;
                self.single(a, path).and_then(result)
            }
            (Intrinsic::ToNarrow(dtype), [a]) => {
                let x = self.int(a)?;
                let id = self.clip(x, Range::of(dtype)?, path)?;
                result(id)
            }
            (Intrinsic::ToBool, [a]) => {
                let id = self.truth(a)?;
                result(id)
            }
            _ => None,
        }
    }

    fn magnitude(&mut self, x: Id) -> Id {
        let lane = self.graph.node(x).lane;
        let sign = match lane {
            Lane::Single => self.graph.single(-0.0),
            _ => self.graph.double(-0.0),
        };
        self.graph.float(Op::AndNot, lane, &[sign, x])
    }

    /// A float without its fraction as an integer; larger ones are left to the scalar loop.
    fn truncate(&mut self, x: Id, path: Option<Id>) -> Option<Id> {
        let lane = self.graph.node(x).lane;
        let size = self.magnitude(x);
        let (limit, range) = if lane == Lane::Single {
            let limit = self.graph.single(2_147_483_648.0);
            (limit, Range::signed(32))
        } else {
            let limit = self.graph.double(2_251_799_813_685_248.0);
            (limit, Range::signed(52))
        };
        let fits = self.graph.compare(Test::Lt, size, limit);
        let odd = self.not(fits);
        self.graph.stop(path, odd);
        Some(self.graph.add(Op::Convert, Lane::Int, range, &[x]))
    }

    /// `item` if it is below (above) `best`, else `best`.
    fn better(&mut self, is_min: bool, best: &Val, item: &Val, path: Option<Id>) -> Option<Val> {
        let op = if is_min { Cmp::Lt } else { Cmp::Gt };
        let truth = self.cmp(op, item, best, path)?;
        let selected = self.select(truth.id, item.clone(), best.clone())?;
        let node = *self.graph.node(selected.id);
        if node.lane != Lane::Int {
            return Some(selected);
        }
        let (a, b) = (self.int(best)?, self.int(item)?);
        let (a, b) = (self.graph.node(a).range, self.graph.node(b).range);
        let range = if is_min {
            Range::new(a.low.min(b.low), a.high.min(b.high))
        } else {
            Range::new(a.low.max(b.low), a.high.max(b.high))
        };
        let args = [node.args[0]?, node.args[1]?, node.args[2]?];
        let id = self.graph.add(Op::Select, Lane::Int, range, &args);
        Some(Val { id, ..selected })
    }

    // Elements.

    /// Where an index is, and for one that changes what is added to it.
    fn place(&mut self, of: Local, index: &Index) -> Option<(Place, Option<i64>)> {
        let array = self.of.types[of].array()?;
        if self.frames.len() > 1 || self.bound.contains(&of) {
            return None;
        }
        let parts = match index {
            Index::Tuple(parts) => parts.as_slice(),
            Index::Atom(_) => std::slice::from_ref(index),
            Index::Slice(_) => return None,
        };
        if parts.len() != array.ndim || parts.is_empty() {
            return None;
        }
        let mut place = Place {
            of,
            parts: Vec::new(),
        };
        for (dimension, part) in parts.iter().enumerate() {
            let Index::Atom(atom) = part else {
                return None;
            };
            let index = self.atom(atom)?.linear?;
            let is_last = dimension + 1 == parts.len();
            if !(0..=i64::from(is_last)).contains(&index.multiple(Term::Counter)) {
                return None;
            }
            let is_known = match atom {
                Atom::Local(local) => self.of.facts.contains(&(of, dimension, *local)),
                _ => false,
            };
            let bound = Bound {
                of,
                dimension,
                index: index.clone(),
            };
            if !is_known && !self.bounds.contains(&bound) {
                self.bounds.push(bound);
            }
            place.parts.push(index);
        }
        let is_fixed = place.parts.iter().all(Linear::is_fixed);
        let last = place.parts.last_mut()?;
        let shift = (!is_fixed).then(|| std::mem::take(&mut last.shift));
        Some((place, shift))
    }

    fn stream(&mut self, place: Place) -> Option<usize> {
        let dtype = self.of.types[place.of].array()?.dtype;
        let is_row = |part: &Linear| part.multiple(Term::Counter) != 0;
        let moves = place.parts.iter().any(is_row);
        let mut steps = Vec::new();
        for &nest in &self.open.clone() {
            let turn = Term::Turn(nest);
            if place.parts.iter().any(|part| part.multiple(turn) != 0) {
                let one = self.word(Word::Step(place.clone(), nest));
                let all = self.word(Word::Steps(place.clone(), nest));
                steps.push(Step { of: nest, one, all });
            }
        }
        let stream = Stream {
            dtype,
            base: self.word(Word::Base(place)),
            moves,
            steps,
        };
        let known = self.graph.streams.iter().position(|known| *known == stream);
        Some(known.unwrap_or_else(|| {
            self.graph.streams.push(stream);
            self.graph.streams.len() - 1
        }))
    }

    fn item(&mut self, of: Local, index: &Index) -> Option<Val> {
        let (place, shift) = self.place(of, index)?;
        let dtype = self.of.types[of].array()?.dtype;
        let tag = dtype.tag()?;
        let range = Range::of(dtype).unwrap_or(Range::NONE);
        let lane = match dtype {
            Dtype::Float64 => Lane::Double,
            Dtype::Float32 => Lane::Single,
            _ => Lane::Int,
        };
        let id = match shift {
            None => {
                let at = self.word(Word::Element(place));
                self.graph.add(Op::Arg(at), lane, range, &[])
            }
            Some(shift) => {
                let stream = self.stream(place)?;
                self.element(stream, shift, lane, range)
            }
        };
        Some(Self::val(id, tag))
    }

    /// An element as it is in this row: as stored before, or as read.
    fn element(&mut self, stream: usize, shift: i64, lane: Lane, range: Range) -> Id {
        if let Some(&stored) = self.stored.get(&(stream, shift)) {
            return stored;
        }
        self.reads.push(Access {
            stream,
            shift,
            n_stores_before: self.graph.stores.len(),
        });
        let op = if self.graph.streams[stream].moves {
            Op::Load(stream, shift)
        } else {
            Op::Broadcast(stream, shift)
        };
        self.graph.add(op, lane, range, &[])
    }

    fn set_item(&mut self, of: Local, index: &Index, value: &Val, path: Option<Id>) -> Option<()> {
        let array = self.of.types[of].array()?;
        let (place, shift) = self.place(of, index)?;
        let shift = shift?;
        if !array.writable {
            return None;
        }
        let class = Self::class(value)?;
        let range = Range::of(array.dtype).unwrap_or(Range::NONE);
        let (lane, id) = match array.dtype {
            Dtype::Float64 => (Lane::Double, self.double(value)?),
            Dtype::Float32 if value.tags == Tags::of(NP_F32) => (Lane::Single, value.id),
            Dtype::Float32 => {
                let double = self.double(value)?;
                let odd = self.graph.mask(Op::NonFinite, &[double]);
                self.graph.stop(path, odd);
                let double = Self::val(double, FLOAT);
                let single = self.single(&double, path)?;
                (Lane::Single, single)
            }
            Dtype::Bool => {
                let mask = self.truth(value)?;
                let truth = Self::val(mask, BOOL);
                (Lane::Int, self.int(&truth)?)
            }
            Dtype::UInt64 => return None,
            _ => {
                let word = match class {
                    Class::Int => self.int(value)?,
                    _ => {
                        // What is not finite stops, too.
                        let double = self.double(value)?;
                        self.truncate(double, path)?
                    }
                };
                (Lane::Int, self.clip(word, range, path)?)
            }
        };
        let stream = self.stream(place)?;
        if !self.graph.streams[stream].moves || !self.open.is_empty() {
            return None;
        }
        let id = match path {
            None => id,
            Some(path) => {
                let old = self.element(stream, shift, lane, range);
                let both = self.graph.node(id).range.join(range);
                self.graph.add(Op::Select, lane, both, &[path, id, old])
            }
        };
        self.stored.insert((stream, shift), id);
        let mut stores = self.graph.stores.iter_mut();
        let known = stores.find(|store| (store.stream, store.shift) == (stream, shift));
        if let Some(store) = known {
            store.value = id;
        } else {
            self.graph.stores.push(Store {
                stream,
                shift,
                value: id,
            });
        }
        Some(())
    }
}

/// What an operation makes of two indices, if it is one.
fn linear_of(op: Bin, a: &Val, b: &Val) -> Option<Linear> {
    let (a, b) = (a.linear.as_ref()?, b.linear.as_ref()?);
    match op {
        Bin::Add => a.plus(1, b),
        Bin::Sub => a.plus(-1, b),
        Bin::Mul if b.terms.is_empty() => Linear::default().plus(b.shift, a),
        Bin::Mul if a.terms.is_empty() => Linear::default().plus(a.shift, b),
        _ => None,
    }
}

fn product(a: Range, b: Range) -> Range {
    let ends = [
        a.low * b.low,
        a.low * b.high,
        a.high * b.low,
        a.high * b.high,
    ];
    let low = ends.iter().copied().min().unwrap_or(0);
    Range::new(low, ends.into_iter().max().unwrap_or(0))
}

/// A factor and a shift by which `x // divisor` is `x * factor >> 16 >> shift`.
fn reciprocal(range: Range, divisor: i64) -> Option<(u16, u8)> {
    let high = i64::try_from(range.high).ok()?;
    if range.low < 0 || high > i64::from(i16::MAX) || divisor > high {
        return None;
    }
    (0..=15_u8).find_map(|count| {
        let scale = 1_i64 << (16 + count);
        let factor = (scale + divisor - 1) / divisor;
        // The error of the factor, times all of x, must not reach the next quotient
        // (T. Granlund, P. Montgomery, “Division by invariant integers”, 1994).
        let error = factor * divisor - scale;
        let factor = u16::try_from(factor).ok()?;
        (error * high < scale).then_some((factor, count))
    })
}
