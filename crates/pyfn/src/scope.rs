//! What operands are, where an operation is looked at: their types, and what they name.

use crate::globals::{FunctionId, Global};
use crate::operation::{character, is_str, part_of_object};
use crate::program::{Atom, Index};
use crate::rules::{self, Intrinsic};
use crate::types::{
    ArrayTy, BOOL, CHAR, COMPLEX, Class, FLOAT, Form, INT, NONE, OBJECT, Tags, Ty, UNSET, class,
};
use crate::unit::FunctionInfo;
use crate::unsigned;

/// What operations are looked up in.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) info: &'a FunctionInfo,
    pub(crate) state: &'a [Ty],
}

impl Scope<'_> {
    /// The type of an operand.
    pub(crate) fn atom(&self, atom: &Atom) -> Ty {
        match atom {
            Atom::Local(local) => {
                let ty = &self.state[*local];
                Ty {
                    tags: Tags(ty.tags.0 & !Tags::of(UNSET).0),
                    ..ty.clone()
                }
            }
            Atom::Int(value) => Ty::integer(*value),
            Atom::Float(_) => Ty::of(FLOAT),
            Atom::Bool(_) => Ty::truth(),
            Atom::None => Ty::of(NONE),
            Atom::Str(text) => match character(text) {
                Some(_) => Ty::of(CHAR),
                None => Ty::object(Form::Str),
            },
            Atom::Const(index) => {
                let ty = self.info.consts.get(*index).map(|(_, ty)| ty.clone());
                ty.unwrap_or_else(|| Ty::of(OBJECT))
            }
            Atom::Global(index) => self.global(&self.info.globals[*index]),
        }
    }

    /// The type of a value that is frozen.
    pub(crate) fn global(&self, global: &Global) -> Ty {
        match global {
            Global::Int(value) => self.atom(&Atom::Int(*value)),
            Global::Float(value) => self.atom(&Atom::Float(*value)),
            Global::Bool(value) => self.atom(&Atom::Bool(*value)),
            Global::Scalar(tag, bits) if class(*tag) == Class::Int => Ty {
                tags: Tags::of(*tag),
                ..Ty::integer(bits.cast_signed())
            },
            Global::Scalar(tag, _) => Ty::of(*tag),
            Global::None => Ty::of(NONE),
            Global::Unbound => Ty::default(),
            Global::Object { ty, .. } => ty.clone(),
            Global::Builtin { .. } | Global::Function { .. } => Ty::of(OBJECT),
        }
    }

    /// The value of an operand that is written in the program.
    pub(crate) fn constant(&self, atom: &Atom) -> Option<i64> {
        match atom {
            Atom::Int(value) => Some(*value),
            Atom::Global(index) => match self.info.globals[*index] {
                Global::Int(value) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn atoms(&self, atoms: &[Atom]) -> Vec<Ty> {
        atoms.iter().map(|atom| self.atom(atom)).collect()
    }

    /// How a known function is called, if the operand is one.
    pub(crate) fn intrinsic(
        &self,
        function: &Atom,
        args: &[Atom],
        named: &[(String, Atom)],
    ) -> Option<(Intrinsic, Ty)> {
        let Atom::Global(index) = function else {
            return None;
        };
        let Global::Builtin { name, .. } = &self.info.globals[*index] else {
            return None;
        };
        let types = self.atoms(args);
        Some(rules::call(&self.info.globals, name, args, &types, named))
    }

    /// The function that is called natively, if the operand is one.
    pub(crate) fn callee(&self, function: &Atom) -> Option<FunctionId> {
        match function {
            Atom::Global(index) => match self.info.globals[*index] {
                Global::Function { id, .. } => Some(id),
                _ => None,
            },
            _ => None,
        }
    }

    /// The type of `of[index]`, and whether it is read natively.
    pub(crate) fn item(&self, of: &Ty, index: &Index) -> (Ty, bool) {
        let boxed = (Ty::of(OBJECT), false);
        let int = |ty: &Ty| ty.tags.within(Tags::INDICES);
        if let Some(array) = of.array() {
            let int = |ty: &Ty| int(ty) || unsigned::is_unsigned(ty);
            let Some(parts) = self.index_parts(index) else {
                return boxed;
            };
            let n_ints = parts
                .iter()
                .filter(|part| matches!(part, Part::Int(ty) if int(ty)))
                .count();
            if n_ints == parts.len() && n_ints == array.ndim {
                return match array.dtype.element() {
                    Some(element) => (element, true),
                    None => boxed,
                };
            }
            let n_slices = parts
                .iter()
                .filter(|part| matches!(part, Part::Slice { .. }))
                .count();
            if n_ints + n_slices != parts.len() || parts.len() > array.ndim {
                return boxed;
            }
            // Elements still lie side by side after integers, then at most one slice without step.
            let behind = &parts[parts.len().min(n_ints)..];
            let leading = parts[..n_ints.min(parts.len())]
                .iter()
                .all(|part| matches!(part, Part::Int(_)));
            let simple = match behind {
                [] => true,
                [Part::Slice { step }] => !step,
                _ => false,
            };
            let view = ArrayTy {
                ndim: array.ndim - n_ints,
                contiguous: array.contiguous && leading && simple,
                ..array
            };
            if view.ndim == 0 {
                return boxed;
            }
            return (Ty::object(Form::Array(view)).boxed(), false);
        }
        let index_ty = match index {
            Index::Atom(atom) => Some(self.atom(atom)),
            _ => None,
        };
        if let Some(parts) = of.parts() {
            let Index::Atom(atom) = index else {
                return boxed;
            };
            let Some(at) = self.constant(atom) else {
                return boxed;
            };
            let len = i64::try_from(parts.len()).unwrap_or(0);
            let at = if at < 0 { at + len } else { at };
            return match usize::try_from(at).ok().and_then(|at| parts.get(at)) {
                Some(part) => (part.clone(), true),
                None => boxed,
            };
        }
        match (&of.form, index_ty) {
            (Form::Bytes, Some(index)) if of.is_bytes() && int(&index) => (Ty::byte(), true),
            (Form::Unboxed(element), Some(index)) if int(&index) => ((**element).clone(), true),
            (Form::List(element), Some(index)) if of.list().is_some() && int(&index) => {
                (loaded(element), true)
            }
            (Form::TupleObject(parts), Some(_)) if of.tags == Tags::of(OBJECT) => {
                let at = match index {
                    Index::Atom(atom) => self.constant(atom),
                    _ => None,
                };
                let n_parts = i64::try_from(parts.len()).unwrap_or(0);
                let at = at.map(|at| if at < 0 { at + n_parts } else { at });
                let part = at.and_then(|at| parts.get(usize::try_from(at).ok()?));
                part.map_or(boxed, |part| (part_of_object(part), false))
            }
            (Form::List(_), None) if matches!(index, Index::Slice(_)) => {
                (Ty::object(of.form.clone()), false)
            }
            (Form::Str, Some(index)) if is_str(of) && int(&index) => (Ty::of(CHAR), true),
            (Form::Str, _) if of.is_text() => (Ty::object(Form::Str), false),
            _ => boxed,
        }
    }

    /// The parts of an index; `None` if one of them is unusual.
    pub(crate) fn index_parts(&self, index: &Index) -> Option<Vec<Part>> {
        match index {
            Index::Atom(atom) => {
                let ty = self.atom(atom);
                match ty.parts() {
                    Some(parts) => Some(parts.iter().cloned().map(Part::Int).collect()),
                    None => Some(vec![Part::Int(ty)]),
                }
            }
            Index::Slice(parts) => Some(vec![Part::Slice {
                step: parts[2].is_some(),
            }]),
            Index::Tuple(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    match part {
                        Index::Atom(atom) => all.push(Part::Int(self.atom(atom))),
                        Index::Slice(parts) => all.push(Part::Slice {
                            step: parts[2].is_some(),
                        }),
                        Index::Tuple(_) => return None,
                    }
                }
                Some(all)
            }
        }
    }
}

/// A part of an index.
pub(crate) enum Part {
    Int(Ty),
    Slice { step: bool },
}

/// What is read from a list whose elements are expected to be of that type.
pub(crate) fn loaded(element: &Ty) -> Ty {
    let readable = Tags(1 << BOOL | 1 << INT | 1 << FLOAT | 1 << NONE | 1 << COMPLEX);
    if element.is_never() {
        Ty::of(OBJECT)
    } else if element.tags.within(readable) {
        // Only its tag is looked at; anybody may have put in another integer.
        Ty {
            natural: false,
            room: 0,
            ..element.clone()
        }
    } else if element.tags == Tags::of(OBJECT) && element.form != Form::Any {
        element.clone().boxed()
    } else {
        Ty::of(OBJECT)
    }
}
