//! Which statements may run code of anybody's.
//!
//! Names outside a function are frozen: machine code takes them for what they were when it was compiled,
//! and each call looks whether they still are. In between only code of somebody else's binds them anew:
//! a function that is not known, what an operator, an attribute or a loop stands for in a class that is not
//! known, or what runs when an object dies. This is the one place that says which statements these are.
//! Behind one, guards are looked at again before a frozen name is used (`emit::guards`).
//!
//! What is known of operands is that much only while machine code goes on: a function that meets objects may
//! leave, and then Python runs what they are in truth (`meets_objects`).

use std::rc::Rc;

use crate::globals::Global;
use crate::infer::dropped;
use crate::liveness::{for_each_atom, for_each_target};
use crate::operation::{formats_plainly, looks_up_plainly};
use crate::program::{Atom, Cmp, Expr, Index, Kind, Local, Program, Statement, all_statements};
use crate::rules::Intrinsic;
use crate::scope::Scope;
use crate::types::{Form, OBJECT, Ty};

/// Functions that run nothing but what they do with numbers and texts.
const TAME_FUNCTIONS: &[&str] = &[
    "abs",
    "bin",
    "bool",
    "chr",
    "divmod",
    "float",
    "hex",
    "int",
    "isinstance",
    "len",
    "list",
    "max",
    "min",
    "ord",
    "pow",
    "range",
    "repr",
    "round",
    "str",
    "sum",
];

/// Methods of lists and dictionaries that ask nothing of what is in them but hashes of keys.
const TAME_METHODS: &[&str] = &[
    "append", "copy", "extend", "get", "insert", "items", "keys", "pop", "reverse", "values",
];

/// Whether a value is a number, a text or made of such: nothing runs when it is used, or dies.
pub(crate) fn is_tame(ty: &Ty) -> bool {
    if let Some(parts) = ty.parts() {
        return parts.iter().all(is_tame);
    }
    let is_known = matches!(
        ty.form,
        Form::Str | Form::Bytes | Form::Unboxed(_) | Form::Table(_)
    );
    ty.narrow.is_none() && (!ty.tags.has(OBJECT) || is_known)
}

/// Whether a value is a list, a tuple or a dictionary: it runs nothing itself, but what is in it may.
pub(crate) fn is_container(ty: &Ty) -> bool {
    let is_known = matches!(
        ty.form,
        Form::List(_) | Form::Dict | Form::TupleObject(_) | Form::Tuple(_)
    );
    ty.narrow.is_none() && is_known
}

impl Scope<'_> {
    fn is_tame(&self, atom: &Atom) -> bool {
        is_tame(&self.atom(atom))
    }

    fn is_tame_index(&self, index: &Index) -> bool {
        match index {
            Index::Atom(atom) => self.is_tame(atom),
            Index::Slice(parts) => parts.iter().flatten().all(|part| self.is_tame(part)),
            Index::Tuple(parts) => parts.iter().all(|part| self.is_tame_index(part)),
        }
    }

    /// Whether a statement may run code of anybody's, other than by an operation that is one of the unit's
    /// functions.
    pub(crate) fn is_foreign(&self, statement: &Statement) -> bool {
        let kind = &statement.kind;
        let mut lets_go = false;
        for_each_target(kind, &mut |to| lets_go |= !is_tame(&self.state[to]));
        let is_dropped = |local: Local| !is_tame(&self.state[local]) && !self.info.is_part[local];
        if lets_go || dropped(self.info, statement).into_iter().any(is_dropped) {
            return true;
        }
        match kind {
            Kind::Set(..) | Kind::Expr(_) => false,
            Kind::SetItem(of, index, _) => {
                let of = self.atom(of);
                let replaced = match &of.form {
                    Form::List(element) => is_tame(element),
                    _ => is_tame(&of) || of.array().is_some(),
                };
                !replaced || !self.is_tame_index(index)
            }
            Kind::SetAttr(of, name, _) => {
                let replaced = self.stored(&self.atom(of), name);
                !replaced.is_some_and(|ty| is_tame(ty.narrowed()))
            }
            Kind::DelItem(of, _) => !self.is_tame(of),
            Kind::Lookup(_, name, of) => {
                let of = self.atom(of);
                !looks_up_plainly(&of, name) && self.method(&of, name).is_none()
            }
            Kind::Unset(local) => !is_tame(&self.state[*local]),
            Kind::If(test, ..) => {
                let test = self.atom(test);
                !is_tame(&test) && !is_container(&test)
            }
            Kind::For(_, of, ..) => !self.is_tame(of),
            Kind::SetGlobal(..) | Kind::EndHandler(..) | Kind::Raise(_) | Kind::Leave(_) => true,
            Kind::Unpack(..)
            | Kind::Loop(_)
            | Kind::Try(..)
            | Kind::Break
            | Kind::Continue
            | Kind::Return(_) => false,
        }
    }

    /// Whether an operation that is no function of the unit may run code of anybody's.
    pub(crate) fn is_foreign_operation(&self, e: &Expr) -> bool {
        let all_tame = |atoms: &[Atom]| atoms.iter().all(|atom| self.is_tame(atom));
        let is_known = |ty: &Ty| is_tame(ty) || is_container(ty) || ty.array().is_some();
        let is_tame = match e {
            Expr::Atom(_)
            | Expr::Tuple(_)
            | Expr::List(_)
            | Expr::Range(_)
            | Expr::Cmp(Cmp::Is | Cmp::IsNot, ..)
            | Expr::Fails(..)
            | Expr::Global(..)
            | Expr::IsSequence(_) => true,
            Expr::Bin(_, a, b, _) => self.is_tame(a) && self.is_tame(b),
            Expr::Cmp(Cmp::In | Cmp::NotIn, a, b) => {
                let of = self.atom(b);
                self.is_tame(a) && (is_tame(&of) || of.form == Form::Dict)
            }
            Expr::Cmp(_, a, b) => self.is_tame(a) && self.is_tame(b),
            Expr::Un(_, a) | Expr::Truth(a) => {
                let of = self.atom(a);
                is_tame(&of) || is_container(&of)
            }
            Expr::Item(of, index) => is_known(&self.atom(of)) && self.is_tame_index(index),
            Expr::Method(name, of, args, named, bound) => {
                let is_bound = bound.is_some_and(|bound| self.state[bound].tags.has(OBJECT));
                let of = self.atom(of);
                let is_plain = is_tame(&of) && all_tame(args);
                let is_of_container = is_container(&of) && TAME_METHODS.contains(&name.as_str());
                let is_key = name == "append" || args.iter().all(|arg| is_known(&self.atom(arg)));
                !is_bound && named.is_empty() && (is_plain || is_of_container && is_key)
            }
            Expr::Attr(name, of) => {
                let of = self.atom(of);
                is_tame(&of) || of.array().is_some() || self.stored(&of, name).is_some()
            }
            Expr::Call(function, args, named) => {
                let how = self.intrinsic(function, args, named);
                let is_native = how.is_some_and(|(how, _)| how != Intrinsic::Boxed);
                let is_named = match function {
                    Atom::Global(index) => match &self.info.globals[*index] {
                        Global::Builtin { name, .. } => TAME_FUNCTIONS.contains(&name.as_str()),
                        _ => false,
                    },
                    _ => false,
                };
                let is_first = |(at, atom): (usize, &Atom)| {
                    // Classes are asked for by `isinstance` only.
                    self.is_tame(atom) || at == 1 && matches!(atom, Atom::Global(_))
                };
                let are_known = args.iter().all(|arg| is_known(&self.atom(arg)));
                let are_tame = args.iter().enumerate().all(is_first);
                is_native && are_known || is_named && named.is_empty() && are_tame
            }
            Expr::Dict(pairs) => pairs.iter().all(|(key, _)| self.is_tame(key)),
            Expr::Set(parts) => all_tame(parts),
            Expr::Iter(of) => is_known(&self.atom(of)),
            Expr::Format(parts, _) => formats_plainly(self, parts),
            Expr::Unknown(_) => false,
        };
        !is_tame
    }

    /// Whether a statement that may run code of anybody's may give arrays another shape, or other rights:
    /// numpy's own functions, and most methods, leave them as they are.
    pub(crate) fn changes_arrays(&self, kind: &Kind) -> bool {
        let mut meets_unknown = false;
        for_each_atom(kind, &mut |atom| {
            let ty = self.atom(atom);
            let is_known = is_tame(&ty) || is_container(&ty) || ty.array().is_some();
            meets_unknown |= !is_known && !matches!(atom, Atom::Global(_));
        });
        match kind {
            Kind::Set(_, e) | Kind::Expr(e) => match e {
                Expr::Atom(_)
                | Expr::Tuple(_)
                | Expr::List(_)
                | Expr::Cmp(Cmp::Is | Cmp::IsNot, ..) => false,
                Expr::Method(name, of, ..) => {
                    meets_unknown
                        || self.atom(of).array().is_some()
                            && (name.starts_with("set")
                                || name.starts_with('_')
                                || name == "resize")
                }
                Expr::Call(Atom::Global(index), ..) => {
                    let function = &self.info.globals[*index];
                    meets_unknown || !matches!(function, Global::Builtin { .. })
                }
                _ => meets_unknown,
            },
            Kind::SetAttr(..) => true,
            Kind::SetItem(..) | Kind::DelItem(..) => meets_unknown,
            _ => false,
        }
    }

    /// Whether a statement has operands that may be other objects than they are taken for.
    pub(crate) fn meets_objects(&self, kind: &Kind) -> bool {
        let mut found = false;
        for_each_atom(kind, &mut |atom| {
            let is_function = match atom {
                Atom::Global(index) => matches!(
                    self.info.globals[*index],
                    Global::Builtin { .. } | Global::Function { .. }
                ),
                _ => false,
            };
            found |= !is_function && !self.is_tame(atom);
        });
        found
    }

    /// Whether a statement uses what is frozen: a name, or a function of the unit, which does.
    pub(crate) fn uses_frozen(&self, kind: &Kind) -> bool {
        let mut found = false;
        for_each_atom(kind, &mut |atom| found |= matches!(atom, Atom::Global(_)));
        let is_instance = |atom: &Atom| self.atom(atom).narrowed().instance().is_some();
        found
            || match kind {
                Kind::SetItem(of, ..) => is_instance(of),
                Kind::Set(_, e) | Kind::Expr(e) => match e {
                    Expr::Bin(_, a, b, _) | Expr::Cmp(_, a, b) => is_instance(a) || is_instance(b),
                    Expr::Method(_, of, ..) | Expr::Item(of, _) | Expr::Call(of, ..) => {
                        is_instance(of)
                    }
                    Expr::Attr(name, of) => {
                        is_instance(of) && self.stored(&self.atom(of), name).is_none()
                    }
                    _ => false,
                },
                _ => false,
            }
    }
}

/// Whether a statement with all inside may use what is frozen, whatever the types.
pub(crate) fn may_use_frozen(statement: &Statement, has_classes: bool) -> bool {
    all_statements(std::slice::from_ref(statement)).any(|statement| {
        let mut found = false;
        for_each_atom(&statement.kind, &mut |atom| {
            found |= matches!(atom, Atom::Global(_))
        });
        let is_operation = match &statement.kind {
            Kind::SetItem(..) => true,
            Kind::Set(_, e) | Kind::Expr(e) => matches!(
                e,
                Expr::Bin(..)
                    | Expr::Cmp(..)
                    | Expr::Method(..)
                    | Expr::Item(..)
                    | Expr::Call(..)
                    | Expr::Attr(..)
            ),
            _ => false,
        };
        found || has_classes && is_operation
    })
}

/// For each local whether it is a temporary that only ever holds a part of something else, which mostly
/// lives on when the temporary is done with.
pub(crate) fn parts(program: &Program) -> Rc<[bool]> {
    let mut parts = program
        .locals
        .iter()
        .map(|name| name.starts_with('.'))
        .collect::<Vec<_>>();
    for statement in all_statements(&program.body) {
        let is_part = matches!(
            &statement.kind,
            Kind::Set(_, Expr::Item(..) | Expr::Attr(..))
        );
        for_each_target(&statement.kind, &mut |to| parts[to] &= is_part);
    }
    parts.into()
}
