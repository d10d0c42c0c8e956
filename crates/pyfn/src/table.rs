//! Dictionaries and sets that nobody else sees.
//!
//! A dictionary that a function makes, reads, writes, runs over, and at most returns, need not be
//! one of Python's, nor need a set: as long as its keys are integers, characters, pairs of integers
//! or strings, and its values numbers of one kind, it is a table of the runtime's, whose values are
//! as they are in registers. It becomes Python's where the function is left. Which locals hold
//! tables follows from the program, as for lists (`crate::unboxed`).
//!
//! # Invariant
//! What can be told from a table is what could be told from Python's own: so a set is not run over,
//! as the order would differ, nor are keys deleted from a set, or from a dictionary that is run over.

use std::rc::Rc;

use crate::globals::Global;
use crate::infer::Inference;
use crate::operation::is_str;
use crate::own::{Groups, SEEN, grown, is_unboxable};
use crate::program::{Atom, Cmp, Expr, Index, Kind, Local, Un, all_statements};
use crate::scope::Scope;
use crate::types::{BOOL, CHAR, FLOAT, Form, INT, NONE, Tags, Ty};
use crate::unboxed::{ONLY_READ, builtin, returned};
use crate::unit::FunctionInfo;

/// What is known of a table.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct TableTy {
    /// Its keys.
    pub key: Ty,
    /// Its values; nothing for a set.
    pub value: Ty,
    /// Whether it is a set.
    pub is_set: bool,
}

/// What of a dictionary a loop gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    Keys,
    Values,
    Items,
}

impl View {
    pub(crate) fn named(method: &str) -> Option<Self> {
        match method {
            "keys" => Some(Self::Keys),
            "values" => Some(Self::Values),
            "items" => Some(Self::Items),
            _ => None,
        }
    }
}

/// What is done to the tables of a group, beside their being seen by others.
const DICT: u8 = 2;
const SET: u8 = 4;
const RUN_OVER: u8 = 8;
const DELETED_FROM: u8 = 16;

/// Whether an operation makes a dictionary (`false`) or a set (`true`).
pub(crate) fn made(e: &Expr, globals: &[Global]) -> Option<bool> {
    match e {
        Expr::Dict(_) => Some(false),
        Expr::Set(_) => Some(true),
        Expr::Call(function, args, named) if args.is_empty() && named.is_empty() => {
            match builtin(globals, function) {
                Some("dict") => Some(false),
                Some("set") => Some(true),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether an index is a key: not a slice, nor has one in it.
fn is_plain_index(index: &Index) -> bool {
    match index {
        Index::Atom(_) => true,
        Index::Tuple(parts) => parts.iter().all(|part| matches!(part, Index::Atom(_))),
        Index::Slice(_) => false,
    }
}

/// How many arguments the methods of tables take that are known here.
fn is_method(name: &str, n_args: usize) -> bool {
    match name {
        "get" | "pop" => matches!(n_args, 1 | 2),
        "setdefault" => n_args == 2,
        "add" => n_args == 1,
        _ => false,
    }
}

/// Builtins that get such a dictionary or set.
const GIVEN_TO: &[&str] = &[
    "sorted", "list", "tuple", "set", "min", "max", "sum", "any", "all", "dict", "str", "repr",
];

/// Operands that may be tables which nobody needs any more: Python gets a dictionary or a set of its own.
fn becoming_pythons<'a>(e: &'a Expr, globals: &[Global]) -> Vec<&'a Atom> {
    match e {
        Expr::Method(name, of, args, named, None) if is_view(name, args, named) => vec![of],
        Expr::Call(function, args, named)
            if builtin(globals, function).is_some_and(|name| GIVEN_TO.contains(&name)) =>
        {
            let named = named.iter().map(|(_, atom)| atom);
            args.iter().chain(named).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a call of a method gives a view of a dictionary.
pub(crate) fn is_view(name: &str, args: &[Atom], named: &[(String, Atom)]) -> bool {
    View::named(name).is_some() && args.is_empty() && named.is_empty()
}

/// The group of each local that may hold such tables only.
pub(crate) fn groups(info: &FunctionInfo) -> Vec<Option<Local>> {
    let (program, globals) = (&info.program, info.globals.as_slice());
    let mut groups = Groups::new(program);
    let mut given_away = Vec::new();
    let returned = returned(info);
    for statement in all_statements(&program.body) {
        let mut fine: Vec<*const Atom> = Vec::new();
        let mut is_bound = false;
        match &statement.kind {
            Kind::Set(to, Expr::Atom(from @ Atom::Local(local))) => {
                groups.unite(*local, *to);
                fine.push(from);
                is_bound = true;
            }
            Kind::Set(_, Expr::Tuple(parts)) if returned.contains_key(&statement.id) => {
                fine.extend(parts.iter().map(std::ptr::from_ref));
            }
            Kind::Set(to, e) => {
                if let Some(is_set) = made(e, globals) {
                    groups.note(*to, if is_set { SET } else { DICT });
                    is_bound = true;
                }
            }
            Kind::Unset(_) => is_bound = true,
            Kind::If(of, ..) | Kind::Return(of) => fine.push(of),
            Kind::SetItem(of, index, _) if is_plain_index(index) => fine.push(of),
            Kind::DelItem(of, index) if is_plain_index(index) => {
                fine.push(of);
                groups.note_atom(of, DELETED_FROM);
            }
            Kind::For(_, of, ..) => {
                fine.push(of);
                groups.note_atom(of, RUN_OVER);
            }
            Kind::Lookup(_, name, of) if (1..=2).any(|n| is_method(name, n)) => fine.push(of),
            _ => {}
        }
        if let Kind::Set(_, e) | Kind::Expr(e) = &statement.kind {
            match e {
                Expr::Item(of, index) if is_plain_index(index) => fine.push(of),
                Expr::Fails(_, of, _) => fine.push(of),
                Expr::Truth(of)
                | Expr::Un(Un::Not, of)
                | Expr::Cmp(Cmp::In | Cmp::NotIn, _, of) => fine.push(of),
                Expr::Method(_, of, ..) if info.lockstep_of_call(statement.id).is_some() => {
                    fine.push(of);
                    groups.note_atom(of, RUN_OVER);
                }
                Expr::Method(name, of, args, named, _)
                    if is_method(name, args.len()) && named.is_empty() =>
                {
                    fine.push(of);
                    if name == "pop" {
                        groups.note_atom(of, DELETED_FROM);
                    }
                }
                Expr::Call(function, args, named) if named.is_empty() && args.len() == 1 => {
                    let reads = |name: &str| ONLY_READ.contains(&name);
                    if builtin(globals, function).is_some_and(reads) {
                        fine.extend(args.iter().map(std::ptr::from_ref));
                    }
                }
                _ => {}
            }
        }
        if let Kind::Set(_, e) | Kind::Expr(e) = &statement.kind {
            for atom in becoming_pythons(e, globals) {
                if let Atom::Local(local) = atom
                    && !fine.contains(&std::ptr::from_ref(atom))
                {
                    given_away.push((*local, statement.id));
                    fine.push(atom);
                }
            }
        }
        groups.show_others(&statement.kind, &fine, is_bound);
    }
    for (local, statement) in given_away {
        let live = &info.liveness.after[statement];
        if groups.with(local).any(|each| live.has(each)) {
            groups.note(local, SEEN);
        }
    }
    returned.values().for_each(|parts| groups.show_twice(parts));
    groups.of_locals(|uses| {
        let [is_dict, is_set, is_run_over, is_deleted_from] =
            [DICT, SET, RUN_OVER, DELETED_FROM].map(|use_| uses & use_ != 0);
        let is_one = is_dict != is_set && uses & SEEN == 0;
        let keeps = !is_deleted_from || is_dict && !is_run_over;
        let is_ordered = is_dict || !is_run_over;
        is_one && keeps && is_ordered
    })
}

/// Whether such keys can be in a table; of an empty one nothing is known.
fn is_key(ty: &Ty) -> bool {
    let int = Tags::of(INT);
    if ty.narrow.is_some() {
        return false;
    }
    if let Some(parts) = ty.parts() {
        return parts.len() == 2 && parts.iter().all(|part| part.tags == int);
    }
    ty.is_never() || ty.tags == int || ty.tags == Tags::of(CHAR) || is_str(ty)
}

/// What is known of a table, with such a key, and such a value, if it is one of a dictionary.
fn with(key: &Ty, value: Option<&Ty>) -> impl FnOnce(&TableTy) -> Option<TableTy> {
    move |known| {
        let table = TableTy {
            key: grown(&known.key, key),
            value: value.map_or_else(|| known.value.clone(), |value| grown(&known.value, value)),
            ..known.clone()
        };
        Some(table).filter(|table| is_key(&table.key) && is_unboxable(&table.value))
    }
}

impl Inference<'_> {
    /// The type of a table that only this function will see, if the operation makes one.
    pub(crate) fn own_table(&mut self, state: &[Ty], to: Local, e: &Expr) -> Option<Ty> {
        let info = Rc::clone(&self.info);
        self.own_tables.get(to)?;
        let is_set = made(e, &info.globals)?;
        let scope = Scope { info: &info, state };
        match e {
            Expr::Dict(pairs) => {
                for (key, value) in pairs {
                    let (key, value) = (scope.atom(key), scope.atom(value));
                    self.own_tables.grow(to, with(&key, Some(&value)));
                }
            }
            Expr::Set(items) => {
                for item in items {
                    self.own_tables.grow(to, with(&scope.atom(item), None));
                }
            }
            _ => {}
        }
        let table = self.own_tables.get(to)?.clone();
        self.is_plain = false;
        Some(Ty::object(Form::Table(Box::new(TableTy {
            is_set,
            ..table
        }))))
    }

    /// Notes what an operation says of the keys and values of a table.
    pub(crate) fn note_table_use(&mut self, state: &[Ty], kind: &Kind) {
        let info = Rc::clone(&self.info);
        let scope = Scope { info: &info, state };
        let at = |index: &Index| match index {
            Index::Atom(key) => scope.atom(key),
            Index::Tuple(parts) => {
                let part = |part: &Index| match part {
                    Index::Atom(atom) => scope.atom(atom),
                    _ => Ty::default(),
                };
                Ty::tuple(parts.iter().map(part).collect())
            }
            Index::Slice(_) => Ty::default(),
        };
        let (of, key, value) = match kind {
            Kind::SetItem(of, index, value) => (of, at(index), Some(value)),
            Kind::DelItem(of, index) => (of, at(index), None),
            Kind::Set(_, e) | Kind::Expr(e) => match e {
                Expr::Item(of, index) => (of, at(index), None),
                Expr::Cmp(Cmp::In | Cmp::NotIn, key, of) => (of, scope.atom(key), None),
                Expr::Method(name, of, args, ..) => match (name.as_str(), args.as_slice()) {
                    ("setdefault", [key, value]) => (of, scope.atom(key), Some(value)),
                    ("get" | "pop" | "add", [key, ..]) => (of, scope.atom(key), None),
                    _ => return,
                },
                _ => return,
            },
            _ => return,
        };
        let Atom::Local(table) = of else {
            return;
        };
        if info.own_tables[*table].is_none() {
            return;
        }
        let value = value.map(|value| scope.atom(value));
        self.own_tables.grow(*table, with(&key, value.as_ref()));
        if let Kind::Set(_, Expr::Method(_, _, args, ..)) | Kind::Expr(Expr::Method(_, _, args, ..)) =
            kind
            && let [_, default] = args.as_slice()
            && !is_default(&scope.atom(default))
        {
            self.own_tables.give_up(*table);
        }
    }
}

/// Whether a value may be given in place of one that is not there.
fn is_default(ty: &Ty) -> bool {
    let kinds = Tags(1 << BOOL | 1 << INT | 1 << FLOAT | 1 << CHAR | 1 << NONE);
    ty.tags.within(kinds) && ty.narrow.is_none()
}

/// What a method of a table gives; `None` if that is not known yet.
pub(crate) fn method(table: &TableTy, name: &str, args: &[Ty]) -> Option<Ty> {
    let is_known = !table.value.is_never();
    match (name, args) {
        ("add", _) => Some(Ty::of(NONE)),
        ("get", [_]) => Some(table.value.join(&Ty::of(NONE))),
        ("get" | "pop", [_, default]) => Some(table.value.join(default)),
        ("pop" | "setdefault", _) if is_known => Some(table.value.clone()),
        _ => None,
    }
}

/// What a loop over a dictionary gets; `None` if there are no turns as far as is known.
pub(crate) fn item_of(table: &TableTy, view: View) -> Option<Ty> {
    if table.key.is_never() || table.value.is_never() {
        return None;
    }
    Some(match view {
        View::Keys => table.key.clone(),
        View::Values => table.value.clone(),
        View::Items => Ty::tuple(vec![table.key.clone(), table.value.clone()]),
    })
}
