//! Which locals are still read after a place.
//!
//! An exit hands locals to Python, and a value that is handed over has to be kept in a register or
//! on the stack all the way. So exits hand over only what Python will read. The analysis runs
//! backwards over the structured program; a loop is run through until nothing changes.

use crate::program::{Atom, Expr, Index, Kind, Local, Part, Program, Statement};

/// A set of locals.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Locals(Vec<u64>);

impl Locals {
    fn new(n_locals: usize) -> Self {
        Self(vec![0; n_locals.div_ceil(64)])
    }
    /// Whether the local is in the set.
    pub(crate) fn has(&self, local: Local) -> bool {
        self.0[local / 64] >> (local % 64) & 1 != 0
    }
    fn insert(&mut self, local: Local) {
        self.0[local / 64] |= 1 << (local % 64);
    }
    fn remove(&mut self, local: Local) {
        self.0[local / 64] &= !(1 << (local % 64));
    }
    fn add(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word |= other;
        }
    }
}

/// Calls `f` with every atom that the statement itself reads, not with those of its blocks.
pub(crate) fn for_each_atom<'a>(kind: &'a Kind, f: &mut impl FnMut(&'a Atom)) {
    match kind {
        Kind::Set(_, e) | Kind::Expr(e) => for_each_operand(e, f),
        Kind::SetItem(of, index, value) => {
            f(of);
            for_each_in_index(index, f);
            f(value);
        }
        Kind::Lookup(_, _, of) => f(of),
        Kind::SetGlobal(of, _, value) => {
            f(of);
            f(value);
        }
        Kind::SetAttr(of, _, value) => {
            f(of);
            f(value);
        }
        Kind::DelItem(of, index) => {
            f(of);
            for_each_in_index(index, f);
        }
        Kind::Unpack(_, a)
        | Kind::If(a, ..)
        | Kind::For(_, a, ..)
        | Kind::Raise(a)
        | Kind::Return(a) => f(a),
        Kind::EndHandler(error, at) => {
            f(error);
            f(at);
        }
        Kind::Unset(_)
        | Kind::Loop(_)
        | Kind::Try(..)
        | Kind::Break
        | Kind::Continue
        | Kind::Leave(_) => {}
    }
}

fn for_each_in_index<'a>(index: &'a Index, f: &mut impl FnMut(&'a Atom)) {
    match index {
        Index::Atom(a) => f(a),
        Index::Slice(parts) => parts.iter().flatten().for_each(f),
        Index::Tuple(parts) => parts.iter().for_each(|part| for_each_in_index(part, f)),
    }
}

fn for_each_operand<'a>(e: &'a Expr, f: &mut impl FnMut(&'a Atom)) {
    match e {
        Expr::Atom(a)
        | Expr::Un(_, a)
        | Expr::Attr(_, a)
        | Expr::Truth(a)
        | Expr::IsSequence(a)
        | Expr::Global(_, a)
        | Expr::Iter(a) => f(a),
        Expr::Bin(_, a, b, _) | Expr::Cmp(_, a, b) | Expr::Fails(_, a, b) => {
            f(a);
            f(b);
        }
        Expr::Call(of, args, named) | Expr::Method(_, of, args, named, _) => {
            f(of);
            args.iter().for_each(&mut *f);
            named.iter().for_each(|(_, a)| f(a));
        }
        Expr::Item(of, index) => {
            f(of);
            for_each_in_index(index, f);
        }
        Expr::Tuple(parts) | Expr::List(parts) | Expr::Set(parts) => parts.iter().for_each(f),
        Expr::Dict(pairs) => pairs.iter().for_each(|(key, value)| {
            f(key);
            f(value);
        }),
        Expr::Format(parts, _) => parts.iter().for_each(|part| {
            if let Part::Value(a, ..) = part {
                f(a);
            }
        }),
        Expr::Range(_) | Expr::Unknown(_) => {}
    }
}

/// Calls `f` with every local that the statement itself binds or unbinds.
pub(crate) fn for_each_target(kind: &Kind, f: &mut impl FnMut(Local)) {
    match kind {
        Kind::Set(to, _) | Kind::Unset(to) | Kind::For(to, ..) | Kind::Lookup(to, ..) => f(*to),
        Kind::Unpack(to, _) => to.iter().copied().for_each(f),
        Kind::Try(catch, ..) => [catch.error, catch.at, catch.which].into_iter().for_each(f),
        _ => {}
    }
}

/// What is live around every statement.
#[derive(Debug, Clone)]
pub(crate) struct Liveness {
    /// Before the statement.
    pub(crate) before: Vec<Locals>,
    /// After it.
    pub(crate) after: Vec<Locals>,
    /// In loops, before the next turn is begun; in blocks with handlers, where one begins, but for what
    /// says which.
    pub(crate) head: Vec<Locals>,
}

struct Analysis {
    result: Liveness,
    /// For each loop around: what is live after it, and at its head.
    loops: Vec<(Locals, Locals)>,
    /// What is live where the handlers of the blocks around begin.
    handlers: Vec<Locals>,
    /// Locals of the source.
    named: Locals,
    n_locals: usize,
}

impl Liveness {
    /// Analyses a program.
    pub(crate) fn of(program: &Program) -> Self {
        let n_locals = program.locals.len();
        let none = vec![Locals::new(n_locals); program.n_statements];
        let mut named = Locals::new(n_locals);
        let locals = program.locals.iter().enumerate();
        locals
            .filter(|(_, name)| !name.starts_with('.'))
            .for_each(|(local, _)| named.insert(local));
        let mut analysis = Analysis {
            result: Self {
                before: none.clone(),
                after: none.clone(),
                head: none,
            },
            loops: Vec::new(),
            handlers: Vec::new(),
            named,
            n_locals,
        };
        analysis.block(&program.body, Locals::new(n_locals));
        if program.has_handlers {
            let (result, named) = (&mut analysis.result, &analysis.named);
            for sets in [&mut result.before, &mut result.after, &mut result.head] {
                sets.iter_mut().for_each(|set| set.add(named));
            }
        }
        analysis.result
    }
}

impl Analysis {
    fn block(&mut self, block: &[Statement], mut live: Locals) -> Locals {
        for statement in block.iter().rev() {
            live = self.statement(statement, live);
        }
        live
    }

    fn statement(&mut self, statement: &Statement, after: Locals) -> Locals {
        let id = statement.id;
        self.result.after[id] = after.clone();
        let mut live = match &statement.kind {
            Kind::If(_, then, otherwise) => {
                let mut live = self.block(then, after.clone());
                live.add(&self.block(otherwise, after));
                live
            }
            Kind::Try(catch, body, handler) => {
                let mut start = self.block(handler, after.clone());
                for local in [catch.error, catch.at, catch.which] {
                    start.remove(local);
                }
                self.result.head[id] = start.clone();
                self.handlers.push(start);
                let live = self.block(body, after);
                self.handlers.pop();
                live
            }
            Kind::Loop(body) => self.repeat(id, None, body, after.clone(), None),
            Kind::For(to, _, body, otherwise) => {
                let end = self.block(otherwise, after.clone());
                self.repeat(id, Some(*to), body, after, Some(end))
            }
            Kind::Break => match self.loops.last() {
                Some((after, _)) => after.clone(),
                None => after,
            },
            Kind::Continue => match self.loops.last() {
                Some((_, head)) => head.clone(),
                None => after,
            },
            // What Python does then may read anything that has a name, and leave or repeat any loop.
            Kind::Leave(_) => {
                let mut live = after;
                live.add(&self.named);
                for (after, head) in &self.loops {
                    live.add(after);
                    live.add(head);
                }
                live
            }
            Kind::Raise(_) | Kind::Return(_) => Locals::new(self.n_locals),
            _ => {
                let mut live = after;
                for_each_target(&statement.kind, &mut |local| live.remove(local));
                live
            }
        };
        for_each_atom(&statement.kind, &mut |atom| {
            if let Atom::Local(local) = atom {
                live.insert(*local);
            }
        });
        if let Kind::Set(_, e) | Kind::Expr(e) = &statement.kind
            && let Expr::Method(.., Some(bound)) = e
        {
            live.insert(*bound);
        }
        // `del` of an unbound local is an error.
        if let Kind::Unset(local) = statement.kind {
            live.insert(local);
        }
        self.handlers.iter().for_each(|start| live.add(start));
        self.result.before[id] = live.clone();
        live
    }

    /// What is live at the head of a loop.
    fn repeat(
        &mut self,
        id: usize,
        to: Option<Local>,
        body: &[Statement],
        after: Locals,
        end: Option<Locals>,
    ) -> Locals {
        let mut head = end.unwrap_or_else(|| Locals::new(self.n_locals));
        loop {
            self.loops.push((after.clone(), head.clone()));
            let mut live = self.block(body, head.clone());
            self.loops.pop();
            if let Some(to) = to {
                live.remove(to);
            }
            live.add(&head);
            if live == head {
                self.result.head[id] = head.clone();
                return head;
            }
            head = live;
        }
    }
}
