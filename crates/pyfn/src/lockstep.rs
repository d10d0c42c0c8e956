//! Loops over several sequences at once: `for i, x in enumerate(xs)`, `for x, y in zip(xs, ys)`.
//!
//! In normal form such a loop is a call, a loop over what it gives, and an unpacking. Where these
//! stand one behind the other and nobody else sees what the call gives, there need be no iterator
//! and no tuples: the loop holds the sequences and an index. The call is then done by the loop. An
//! exit before the first turn continues at the call; one in a turn makes the iterator.

use std::collections::HashMap;

use crate::globals::Global;
use crate::infer::dropped;
use crate::liveness::{for_each_atom, for_each_target};
use crate::operation::{is_str, iterated};
use crate::program::{Atom, Expr, Id, Kind, Local, Program, Statement, all_statements};
use crate::scope::Scope;
use crate::table::{View, item_of};
use crate::types::{Tags, Ty, UNSET};
use crate::unboxed::builtin;
use crate::unit::FunctionInfo;

/// Sequences beyond which Python's iterator is used.
const N_SEQUENCES_MAX: usize = 4;

/// A loop over sequences.
#[derive(Debug, Clone)]
pub(crate) struct Lockstep {
    /// The statement of the call.
    pub(crate) call: Id,
    /// What the loop holds.
    pub(crate) sequences: Vec<Atom>,
    /// The first count, if the turns are counted.
    pub(crate) start: Option<i64>,
    /// What the loop gets of the one dictionary that it holds, if it holds one.
    pub(crate) view: Option<View>,
    /// Temporaries that the call reads for the last time.
    pub(crate) dropped: Vec<Local>,
}

/// The loops of a program that may be such, by their statements.
pub(crate) fn find(info: &FunctionInfo) -> HashMap<Id, Lockstep> {
    let mut found = HashMap::new();
    let uses = uses(&info.program);
    let mut blocks = vec![info.program.body.as_slice()];
    while let Some(block) = blocks.pop() {
        for pair in block.windows(2) {
            let Kind::For(_, Atom::Local(iterable), ..) = &pair[1].kind else {
                continue;
            };
            let is_own = uses[*iterable] == (1, 1);
            if is_own && let Some(lockstep) = lockstep(info, pair, *iterable) {
                found.insert(pair[1].id, lockstep);
            }
        }
        for statement in block {
            blocks.extend(statement.blocks());
        }
    }
    found
}

/// How often each local is bound, and read.
fn uses(program: &Program) -> Vec<(usize, usize)> {
    let mut uses = vec![(0, 0); program.locals.len()];
    for statement in all_statements(&program.body) {
        for_each_target(&statement.kind, &mut |local| uses[local].0 += 1);
        for_each_atom(&statement.kind, &mut |atom| {
            if let Atom::Local(local) = atom {
                uses[*local].1 += 1;
            }
        });
    }
    uses
}

fn lockstep(info: &FunctionInfo, pair: &[Statement], iterable: Local) -> Option<Lockstep> {
    let (call, head) = (&pair[0], &pair[1]);
    let Kind::For(item, _, body, _) = &head.kind else {
        return None;
    };
    if let Kind::Set(to, Expr::Method(name, of @ Atom::Local(_), args, named, None)) = &call.kind
        && let Some(view) = View::named(name)
    {
        let is_call = *to == iterable && args.is_empty() && named.is_empty();
        let is_temporary = info.program.locals[iterable].starts_with('.');
        return (is_call && is_temporary).then(|| Lockstep {
            call: call.id,
            dropped: dropped(info, call),
            sequences: vec![of.clone()],
            start: None,
            view: Some(view),
        });
    }
    let Kind::Set(to, Expr::Call(Atom::Global(function), args, named)) = &call.kind else {
        return None;
    };
    let Global::Builtin { name, .. } = &info.globals[*function] else {
        return None;
    };
    let name_of = |local: Local| info.program.locals[local].as_str();
    let is_unpacked = matches!(
        body.first().map(|first| &first.kind),
        Some(Kind::Unpack(_, Atom::Local(local))) if local == item
    );
    let is_temporary = name_of(iterable).starts_with('.') && name_of(*item).starts_with('.');
    if *to != iterable || !is_temporary || !is_unpacked || !named.is_empty() {
        return None;
    }
    let (sequences, start) = match (name.as_str(), args.as_slice()) {
        ("enumerate", [of]) => (vec![of.clone()], Some(0)),
        ("enumerate", [of, Atom::Int(start)]) if (0..1 << 31).contains(start) => {
            (vec![of.clone()], Some(*start))
        }
        ("zip", of) if (1..=N_SEQUENCES_MAX).contains(&of.len()) => (of.to_vec(), None),
        _ => return None,
    };
    let is_local = |atom: &Atom| matches!(atom, Atom::Local(_));
    sequences.iter().all(is_local).then(|| Lockstep {
        call: call.id,
        dropped: dropped(info, call),
        sequences,
        start,
        view: None,
    })
}

impl FunctionInfo {
    /// The loop that does the call, if the statement is one.
    pub(crate) fn lockstep_of_call(&self, call: Id) -> Option<&Lockstep> {
        self.locksteps.values().find(|loops| loops.call == call)
    }

    /// The loop, if its call is left to it.
    pub(crate) fn lockstep_at(&self, statement: &Statement, state: &[Ty]) -> Option<&Lockstep> {
        match &statement.kind {
            Kind::For(_, Atom::Local(iterable), ..) if state[*iterable].tags == Tags::of(UNSET) => {
                self.locksteps.get(&statement.id)
            }
            _ => None,
        }
    }
}

impl Scope<'_> {
    /// Whether a loop does its call: all that it holds are sequences that are read in place.
    pub(crate) fn is_in_lockstep(&self, lockstep: &Lockstep) -> bool {
        lockstep.sequences.iter().all(|sequence| {
            let ty = self.atom(sequence);
            if lockstep.view.is_some() {
                return ty.table().is_some();
            }
            let is_array = ty
                .array()
                .is_some_and(|array| array.ndim == 1 && array.dtype.tag().is_some());
            let is_list = ty.list().is_some() || ty.unboxed().is_some();
            is_array || is_list || ty.is_bytes() || is_str(&ty)
        })
    }

    /// Whether a call makes an iterator over a list that only this function sees.
    pub(crate) fn iterates_own_list(&self, function: &Atom, args: &[Atom]) -> bool {
        let name = builtin(&self.info.globals, function);
        matches!(name, Some("enumerate" | "zip"))
            && args.iter().any(|arg| self.atom(arg).unboxed().is_some())
    }

    /// What a turn gets; `None` if there are no turns as far as is known.
    pub(crate) fn item_of_lockstep(&self, lockstep: &Lockstep) -> Option<Ty> {
        if let (Some(view), [of]) = (lockstep.view, lockstep.sequences.as_slice()) {
            return item_of(self.atom(of).table()?, view);
        }
        let count = lockstep.start.map(|_| Ty::count());
        let items = lockstep.sequences.iter();
        let items = items.map(|sequence| iterated(&self.atom(sequence)));
        let parts = count.into_iter().map(Some).chain(items);
        Some(Ty::tuple(parts.collect::<Option<Vec<_>>>()?))
    }
}
