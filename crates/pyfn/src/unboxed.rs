//! Lists that nobody else sees.
//!
//! A list that a function makes, reads, writes, appends to, and at most returns, need not be one of
//! Python's: as long as its elements are numbers of one kind they lie side by side as they are in
//! registers. It becomes a list of Python's where the function is left. Which locals hold such
//! lists follows from the program: locals between which lists move are a *group*, and all that is
//! done to any of them has to be in the table below.

use std::collections::HashMap;
use std::rc::Rc;

use crate::globals::Global;
use crate::infer::Inference;
use crate::liveness::for_each_target;
use crate::operation::iterated;
use crate::own::{Groups, grown, is_unboxable};
use crate::program::{Atom, Bin, Expr, Id, Index, Kind, Local, Statement, Un, all_statements};
use crate::types::{Form, INT, RANGE, Tags, Ty};
use crate::unit::FunctionInfo;

/// Builtins that neither keep nor change a list that they are called with.
pub(crate) const ONLY_READ: &[&str] = &[
    "len", "sum", "min", "max", "sorted", "any", "all", "tuple", "list", "set",
];

/// The group's lists are made here.
const MADE: u8 = 2;

pub(crate) fn builtin<'a>(globals: &'a [Global], function: &Atom) -> Option<&'a str> {
    match function {
        Atom::Global(index) => match &globals[*index] {
            Global::Builtin { name, .. } => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// The list that is repeated, where one of the operands is made as a list.
pub(crate) fn repeated(e: &Expr, is_list: impl Fn(Local) -> bool) -> Option<(Local, &Atom)> {
    let Expr::Bin(Bin::Mul, a, b, false) = e else {
        return None;
    };
    match (a, b) {
        (Atom::Local(list), n) if is_list(*list) => Some((*list, n)),
        (n, Atom::Local(list)) if is_list(*list) => Some((*list, n)),
        _ => None,
    }
}

/// The range that `list(…)` is called with.
pub(crate) fn listed<'a>(e: &'a Expr, globals: &[Global]) -> Option<&'a Atom> {
    match e {
        Expr::Call(function, args, named) if builtin(globals, function) == Some("list") => {
            args.first().filter(|_| args.len() == 1 && named.is_empty())
        }
        _ => None,
    }
}

/// The list that is copied: `list(a)`, `a.copy()`, `a[:]`.
pub(crate) fn copied<'a>(e: &'a Expr, globals: &[Global]) -> Option<&'a Atom> {
    match e {
        Expr::Item(of, Index::Slice([None, None, None])) => Some(of),
        Expr::Method(name, of, args, named, None)
            if name == "copy" && args.is_empty() && named.is_empty() =>
        {
            Some(of)
        }
        _ => listed(e, globals),
    }
}

/// For each tuple that is made to be returned at once the operands, by the statement.
pub(crate) fn returned(info: &FunctionInfo) -> HashMap<Id, Vec<Atom>> {
    let mut found = HashMap::new();
    let mut blocks = vec![info.program.body.as_slice()];
    while let Some(block) = blocks.pop() {
        for pair in block.windows(2) {
            if let (Kind::Set(to, Expr::Tuple(parts)), Kind::Return(Atom::Local(of))) =
                (&pair[0].kind, &pair[1].kind)
                && to == of
                && info.program.locals[*to].starts_with('.')
            {
                found.insert(pair[0].id, parts.clone());
            }
        }
        for statement in block {
            blocks.extend(statement.blocks());
        }
    }
    found
}

/// The group of each local that may hold such lists only.
pub(crate) fn groups(info: &FunctionInfo) -> Vec<Option<Local>> {
    let (program, globals) = (&info.program, info.globals.as_slice());
    let mut groups = Groups::new(program);
    let mut is_made = vec![false; program.locals.len()];
    let all = all_statements(&program.body).collect::<Vec<_>>();
    for statement in &all {
        if let Kind::Set(to, e) = &statement.kind
            && (matches!(e, Expr::List(_)) || copied(e, globals).is_some())
        {
            is_made[*to] = true;
            groups.note(*to, MADE);
        }
    }
    let returned = returned(info);
    let is_list = |local: Local| is_made[local];
    for statement in &all {
        let mut fine: Vec<*const Atom> = Vec::new();
        let mut is_bound = false;
        match &statement.kind {
            Kind::Set(to, e) => match e {
                Expr::Atom(from @ Atom::Local(local)) => {
                    groups.unite(*local, *to);
                    fine.push(from);
                    is_bound = true;
                }
                Expr::Bin(_, a, b, _) => {
                    if let Some((list, _)) = repeated(e, is_list) {
                        groups.unite(list, *to);
                        fine.push(if *a == Atom::Local(list) { a } else { b });
                        is_bound = true;
                    }
                }
                Expr::List(_) => is_bound = true,
                Expr::Tuple(parts) if returned.contains_key(&statement.id) => {
                    fine.extend(parts.iter().map(std::ptr::from_ref));
                }
                _ => {
                    let from = copied(e, globals);
                    is_bound = from.is_some();
                    if let Some(from @ Atom::Local(local)) = from {
                        if is_list(*local) {
                            groups.unite(*local, *to);
                            fine.push(from);
                        } else if is_range(&all, *local, globals) {
                            fine.push(from);
                        }
                    }
                }
            },
            Kind::Unset(_) => is_bound = true,
            Kind::SetItem(of, Index::Atom(_), _) => fine.push(of),
            Kind::For(_, of, ..) | Kind::If(of, ..) | Kind::Return(of) => fine.push(of),
            Kind::Lookup(_, name, of) if is_method(name) => fine.push(of),
            _ => {}
        }
        if let Kind::Set(_, e) | Kind::Expr(e) = &statement.kind {
            match e {
                Expr::Item(of, Index::Atom(_))
                | Expr::Fails(_, of, _)
                | Expr::Truth(of)
                | Expr::Un(Un::Not, of) => {
                    fine.push(of);
                }
                Expr::Method(name, of, args, named, _)
                    if is_method(name)
                        && args.len() == usize::from(name == "append")
                        && named.is_empty() =>
                {
                    fine.push(of);
                }
                // It makes one list of what it gets before it does anything else.
                Expr::Method(name, Atom::Str(_), args, named, _)
                    if name == "join" && args.len() == 1 && named.is_empty() =>
                {
                    fine.extend(args.iter().map(std::ptr::from_ref));
                }
                Expr::Call(_, args, _) if info.lockstep_of_call(statement.id).is_some() => {
                    fine.extend(args.iter().map(std::ptr::from_ref));
                }
                // With more of them some give one back.
                Expr::Call(function, args, named) if named.is_empty() && args.len() == 1 => {
                    let reads = |name: &str| ONLY_READ.contains(&name);
                    if builtin(globals, function).is_some_and(reads) {
                        fine.extend(args.iter().map(std::ptr::from_ref));
                    }
                }
                _ => {}
            }
        }
        groups.show_others(&statement.kind, &fine, is_bound);
    }
    returned.values().for_each(|parts| groups.show_twice(parts));
    groups.of_locals(|uses| uses == MADE)
}

fn is_method(name: &str) -> bool {
    matches!(name, "append" | "pop")
}

/// Whether a local is bound to a range only.
fn is_range(all: &[&Statement], arg: Local, globals: &[Global]) -> bool {
    let is_range = |statement: &&&Statement| match &statement.kind {
        Kind::Set(to, Expr::Call(function, ..)) if *to == arg => {
            builtin(globals, function) == Some("range")
        }
        _ => false,
    };
    let mut bound = 0;
    for statement in all {
        for_each_target(&statement.kind, &mut |local| {
            bound += usize::from(local == arg)
        });
    }
    bound == 1 && all.iter().any(|statement| is_range(&statement))
}

/// The elements of a list, with another one.
fn with(new: &Ty) -> impl FnOnce(&Ty) -> Option<Ty> {
    move |known| Some(grown(known, new)).filter(is_unboxable)
}

impl Inference<'_> {
    /// The type of a list that only this function will see, if the operation makes one. A copy is
    /// one on the guess that all elements are of the type that is known.
    pub(crate) fn own_list(&mut self, state: &[Ty], id: Id, to: Local, e: &Expr) -> Option<Ty> {
        let info = Rc::clone(&self.info);
        self.own_lists.get(to)?;
        match e {
            Expr::List(items) => {
                for item in items {
                    let item = self.scope(state).atom(item);
                    self.own_lists.grow(to, with(&item));
                }
            }
            Expr::Bin(..) => {
                let is_list = |local: Local| state[local].unboxed().is_some();
                let (_, n) = repeated(e, is_list)?;
                let n = self.scope(state).atom(n);
                if !n.tags.within(Tags::of(INT)) {
                    self.own_lists.give_up(to);
                }
            }
            _ => {
                let of = self.scope(state).atom(copied(e, &info.globals)?);
                let item = match of.list() {
                    _ if of.tags == Tags::of(RANGE) => iterated(&of),
                    _ if info.unexpected.contains(&id) => None,
                    Some(item) if !item.is_never() => Some(Ty::tags(item.tags)),
                    _ => of.unboxed().cloned(),
                };
                match item {
                    Some(item) => self.own_lists.grow(to, with(&item)),
                    None => self.own_lists.give_up(to),
                }
            }
        }
        let element = self.own_lists.get(to)?.clone();
        self.is_plain = false;
        Some(Ty::object(Form::Unboxed(Box::new(element))))
    }

    /// A list may get another element at its end.
    pub(crate) fn note_own_append(&mut self, state: &[Ty], e: &Expr) {
        if let Expr::Method(name, Atom::Local(list), args, ..) = e
            && name == "append"
            && let [value] = args.as_slice()
        {
            let value = self.scope(state).atom(value);
            self.own_lists.grow(*list, with(&value));
        }
    }

    /// An element of a list may become another.
    pub(crate) fn note_own_store(&mut self, state: &[Ty], of: &Atom, index: &Index, value: &Atom) {
        if let (Atom::Local(list), Index::Atom(index)) = (of, index) {
            let scope = self.scope(state);
            let (value, index) = (scope.atom(value), scope.atom(index));
            if index.tags.within(Tags::INDICES) {
                self.own_lists.grow(*list, with(&value));
            } else {
                self.own_lists.give_up(*list);
            }
        }
    }
}
