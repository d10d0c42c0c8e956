//! Loops inside a row: a few turns are written out, more become a loop of the kernel.
//!
//! What such a loop carries from turn to turn is a *phi*: what it was before, what it is in the turn,
//! what it becomes. The types of these are found by going through the body again until they fit.

use std::rc::Rc;

use super::delayed::stores;
use super::graph::{Id, Lane, Nest, Op, Range};
use super::index::{Linear, Term, Word};
use super::read::{Flow, N_OPEN_MAX, N_WRITTEN_OUT_MAX, Reader, Val};
use crate::emit::island::used_and_bound;
use crate::globals::Global;
use crate::liveness::for_each_atom;
use crate::program::{Atom, Bin, Expr, Index, Kind, Local, Statement, all_statements};
use crate::types::Tags;

/// Whether all that a block does with a local is to add to it, or to subtract from it, once.
fn is_sum(block: &[Statement], sum: Local) -> bool {
    let mut n_sums = 0;
    let mut n_reads = 0;
    for statement in all_statements(block) {
        for_each_atom(&statement.kind, &mut |atom| {
            n_reads += usize::from(*atom == Atom::Local(sum));
        });
        if let Kind::Set(to, Expr::Bin(op, a, b, _)) = &statement.kind
            && *to == sum
        {
            let [is_first, is_second] = [a, b].map(|atom| *atom == Atom::Local(sum));
            let adds = *op == Bin::Add && is_first != is_second;
            let subtracts = *op == Bin::Sub && is_first && !is_second;
            n_sums += usize::from(adds || subtracts);
        }
    }
    n_sums == 1 && n_reads == 1
}

/// What a value is, as a loop carries it.
pub(super) type Form = (Lane, Tags);

/// What a loop inside carries: the lanes and the tags, where they are not those that it begins with.
type Forms = Vec<Option<Form>>;

impl Reader<'_> {
    /// Notes what is no number: ranges and shapes; whether the statement is about one.
    pub(super) fn notes(&mut self, to: Local, e: &Expr) -> Option<bool> {
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

    pub(super) fn note_size(&mut self, to: Local, of: Local, dimension: usize) -> Option<()> {
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
    pub(super) fn nest(
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
        if !low.is_fixed() || !high.is_fixed() || self.open.len() == N_OPEN_MAX {
            return None;
        }
        self.frame()?.bound.remove(&to);
        self.delay(to, inside)?;
        let (_, mut carried) = used_and_bound(inside);
        if stores(inside) {
            carried.extend(self.delayed.as_ref().map(|delayed| delayed.local));
        }
        carried.sort_unstable();
        carried.dedup();
        let bound = &self.frames.last()?.bound;
        let (carried, fresh) = carried
            .into_iter()
            .partition::<Vec<_>, _>(|local| bound.contains_key(local));
        // What a local becomes may be of another type than what it is at first.
        let mut forms = vec![None; carried.len()];
        for _ in 0..4 {
            let mut trial = self.clone();
            trial.turns.push([low.clone(), high.clone()]);
            match trial.turn(to, inside, path, &carried, &forms) {
                Some(Some(others)) => forms = others,
                None => {
                    // A loop further inside makes something else of what this one begins with.
                    let (local, form) = self.wanted.get()?;
                    let at = carried.iter().position(|each| *each == local)?;
                    if forms[at] == Some(form) {
                        return None;
                    }
                    self.wanted.set(None);
                    forms[at] = Some(form);
                }
                Some(None) => {
                    *self = trial;
                    for local in fresh.iter().chain([&to]) {
                        self.frame()?.bound.remove(local);
                    }
                    if self.open.is_empty() {
                        self.store_delayed(path)?;
                    }
                    return Some(());
                }
            }
        }
        None
    }

    /// A block that is not left before its end.
    pub(super) fn straight(&mut self, block: &[Statement], path: Option<Id>) -> Option<()> {
        match self.block(block, path)? {
            Flow::On(end) if end == path => Some(()),
            _ => None,
        }
    }

    /// One turn of a loop inside; other forms of what it carries, if those did not fit.
    pub(super) fn turn(
        &mut self,
        to: Local,
        inside: &[Statement],
        path: Option<Id>,
        carried: &[Local],
        forms: &[Option<Form>],
    ) -> Option<Option<Forms>> {
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
            let Some(init) = self.as_lane(&first, lane, inside, *local) else {
                self.wanted.set(Some((*local, (lane, tags))));
                return None;
            };
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
        let first = &self.turns.get(at)?[0];
        let counts = first.terms.is_empty().then_some(first.shift);
        let small = Range::signed(32);
        let number = match counts {
            Some(_) => Op::Phi(at, carried.len()),
            None => Op::Nothing,
        };
        let number = self.graph.add(number, Lane::Int, small, &[]);
        let index = Self::index(number, Linear::of(Term::Turn(at)));
        self.frame()?.bound.insert(to, index);
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
        if let Some(first) = counts {
            let (init, one) = (self.graph.int(first), self.graph.int(1));
            let next = self.graph.add(Op::Add, Lane::Int, small, &[number, one]);
            all.push([number, init, next]);
        }
        let n_values = all.len();
        for (number, stop) in stops.into_iter().enumerate() {
            let phi = self.graph.mask(Op::Phi(at, n_carried + 1 + number), &[]);
            let init = self.graph.mask(Op::Constant(0), &[]);
            let update = self.graph.mask(Op::Or, &[phi, stop]);
            all.push([phi, init, update]);
        }
        self.graph.nests[at].phis.clone_from(&all);
        self.graph.nests[at].end = self.graph.nodes.len();
        self.open.pop();
        for (number, args) in all.iter().enumerate() {
            let node = *self.graph.node(args[0]);
            if (n_carried..n_values).contains(&number) {
                continue;
            }
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

    /// What a loop begins with, in the lanes of what it becomes: a sum that begins with a number that
    /// is written in the program.
    fn as_lane(
        &mut self,
        value: &Val,
        lane: Lane,
        inside: &[Statement],
        local: Local,
    ) -> Option<Id> {
        let node = *self.graph.node(value.id);
        let is_written = matches!(node.op, Op::Constant(_)) && is_sum(inside, local);
        match lane {
            _ if node.lane == lane => Some(value.id),
            Lane::Int if node.lane == Lane::Mask => self.int(value),
            Lane::Double if is_written => self.double(value),
            Lane::Single if is_written => self.single(value, None),
            _ => None,
        }
    }
}
