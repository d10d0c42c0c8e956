//! Methods of classes that syntax stands for: `a < b`, `a[i]`, `x in a`, `len(a)`, `a(x)`.
//!
//! Python finds them in the class, never in the instance. (Binary operators are in `classes`.)

use crate::classes::ClassId;
use crate::globals::{FunctionId, Global};
use crate::infer::Inference;
use crate::operation::How;
use crate::program::{Atom, Cmp, Expr, Index, Kind};
use crate::scope::Scope;
use crate::types::{BOOL, FLOAT, INT, Tags, Ty};

/// What is made of what such a method returns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Use {
    /// Nothing.
    Value,
    /// The same, unless it is `NotImplemented`.
    Comparison(Cmp),
    /// Its truth, or the opposite.
    Truth(bool),
    /// A number of items.
    Length,
}

/// A call of such a method.
pub(crate) struct Special<'a> {
    pub(crate) class: ClassId,
    pub(crate) function: (FunctionId, usize),
    pub(crate) of: &'a Atom,
    pub(crate) operands: Vec<Operand<'a>>,
    pub(crate) result: Use,
}

/// What such a method gets.
pub(crate) enum Operand<'a> {
    Atom(&'a Atom),
    /// An instance of the same class.
    Instance(&'a Atom),
    Index(&'a Index),
}

impl Cmp {
    /// The method that a comparison stands for.
    pub(crate) const fn method(self) -> Option<&'static str> {
        Some(match self {
            Self::Lt => "__lt__",
            Self::Le => "__le__",
            Self::Eq => "__eq__",
            Self::Ne => "__ne__",
            Self::Gt => "__gt__",
            Self::Ge => "__ge__",
            Self::In | Self::NotIn => "__contains__",
            Self::Is | Self::IsNot => return None,
        })
    }
}

/// The names of such methods that a statement may call.
pub(crate) fn methods_of(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::SetItem(..) => Some("__setitem__"),
        Kind::Set(_, e) | Kind::Expr(e) => match e {
            Expr::Cmp(op, ..) => op.method(),
            Expr::Item(..) => Some("__getitem__"),
            Expr::Call(Atom::Local(_), ..) => Some("__call__"),
            Expr::Call(_, args, named) if args.len() == 1 && named.is_empty() => Some("__len__"),
            _ => None,
        },
        _ => None,
    }
}

/// Whether an index is of integers and the like, not of slices.
fn is_plain_index(index: &Index) -> bool {
    match index {
        Index::Atom(_) => true,
        Index::Slice(_) => false,
        Index::Tuple(parts) => parts.iter().all(|part| matches!(part, Index::Atom(_))),
    }
}

impl Scope<'_> {
    /// The method that an operation stands for, if it is known.
    pub(crate) fn special<'a>(&self, e: &'a Expr) -> Option<Special<'a>> {
        let (of, operands, result) = match e {
            Expr::Cmp(op @ (Cmp::In | Cmp::NotIn), a, b) => {
                (b, vec![Operand::Atom(a)], Use::Truth(*op == Cmp::In))
            }
            Expr::Cmp(op, a, b) => {
                let (x, y) = (self.atom(a), self.atom(b));
                let numbers = Tags(1 << BOOL | 1 << INT | 1 << FLOAT);
                let operand = if y.tags.within(numbers) && y.tags.single().is_some() {
                    Operand::Atom(b)
                } else if y.instance().is_some() && x.instance() == y.instance() {
                    Operand::Instance(b)
                } else {
                    return None;
                };
                (a, vec![operand], Use::Comparison(*op))
            }
            Expr::Item(of, index) if is_plain_index(index) => {
                (of, vec![Operand::Index(index)], Use::Value)
            }
            Expr::Call(of @ Atom::Local(_), args, named) if named.is_empty() => {
                (of, args.iter().map(Operand::Atom).collect(), Use::Value)
            }
            Expr::Call(Atom::Global(function), args, named) if named.is_empty() => {
                let [of] = args.as_slice() else {
                    return None;
                };
                match &self.info.globals[*function] {
                    Global::Builtin { name, .. } if name == "len" => (of, vec![], Use::Length),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let name = match e {
            Expr::Cmp(op, ..) => op.method()?,
            Expr::Item(..) => "__getitem__",
            _ if result == Use::Length => "__len__",
            _ => "__call__",
        };
        self.known_special(name, of, operands, result)
    }

    /// The method that an assignment to an item stands for.
    pub(crate) fn special_store<'a>(&self, kind: &'a Kind) -> Option<Special<'a>> {
        let Kind::SetItem(of, index, value) = kind else {
            return None;
        };
        let operands = vec![Operand::Index(index), Operand::Atom(value)];
        let known = self.known_special("__setitem__", of, operands, Use::Value);
        known.filter(|_| is_plain_index(index))
    }

    fn known_special<'a>(
        &self,
        name: &str,
        of: &'a Atom,
        operands: Vec<Operand<'a>>,
        result: Use,
    ) -> Option<Special<'a>> {
        let (class, id, address) = self.method(&self.atom(of), name)?;
        Some(Special {
            class,
            function: (id, address),
            of,
            operands,
            result,
        })
    }

    /// The types of its parameters.
    pub(crate) fn params_of(&self, special: &Special<'_>) -> Vec<Ty> {
        let instance = self.info.classes.instance(special.class);
        let operands = special.operands.iter().map(|operand| match operand {
            Operand::Atom(atom) => self.atom(atom),
            Operand::Index(Index::Atom(atom)) => self.atom(atom),
            Operand::Instance(_) => instance.clone(),
            Operand::Index(Index::Tuple(parts)) => {
                let atoms = parts.iter().filter_map(|part| match part {
                    Index::Atom(atom) => Some(self.atom(atom).narrowed().clone()),
                    _ => None,
                });
                Ty::tuple(atoms.collect())
            }
            Operand::Index(Index::Slice(_)) => Ty::default(),
        });
        let operands = operands.collect::<Vec<_>>();
        std::iter::once(instance).chain(operands).collect()
    }
}

impl Use {
    /// The type of what is made of a result.
    pub(crate) fn of_result(self, result: Ty) -> Ty {
        match self {
            Self::Value | Self::Comparison(_) => result,
            Self::Truth(_) => Ty::truth(),
            Self::Length => Ty::natural(),
        }
    }
}

impl Inference<'_> {
    /// How an operation is done that such a method stands for.
    pub(crate) fn through_special(&mut self, state: &[Ty], e: &Expr) -> Option<How> {
        let scope = self.scope(state);
        let special = scope.special(e)?;
        let (types, id) = (scope.params_of(&special), special.function.0);
        Some(match self.calls_by_place(id, &types)? {
            How::Gives(ty) => How::Gives(special.result.of_result(ty)),
            leave @ How::Leave(_) => leave,
        })
    }

    /// The same for an assignment to an item.
    pub(crate) fn store_through_special(&mut self, state: &[Ty], kind: &Kind) -> Option<How> {
        let scope = self.scope(state);
        let special = scope.special_store(kind)?;
        let (types, id) = (scope.params_of(&special), special.function.0);
        self.calls_by_place(id, &types)
    }
}
