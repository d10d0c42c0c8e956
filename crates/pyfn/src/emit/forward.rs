//! Elements that a loop changes in every turn, kept in a register.
//!
//! `for k in range(n): c[i, j] += a[i, k] * b[k, j]` stores an element and loads it again in the next
//! turn; through memory that takes several times as long as the addition. Where all that an innermost
//! loop stores to is one element, at an index that it does not change and that is known to be within
//! bounds, the value stored is what the next load gives. It is stored all the same, so that whoever
//! leaves the loop, or is called in it, finds what he should.

use cranelift_codegen::ir::types;
use cranelift_frontend::Variable;

use super::{Emitter, Val};
use crate::globals::Global;
use crate::infer::owns;
use crate::liveness::{for_each_atom, for_each_target};
use crate::program::{Atom, Expr, Index, Kind, Local, Statement, all_statements};
use crate::types::{Class, Dtype, NP_FLOAT, NP_INT, Tags, Ty};

/// An element that is in a register.
#[derive(Debug, Clone)]
pub(crate) struct Forwarded {
    of: Local,
    index: Index,
    value: Variable,
}

/// Whether an operation changes no array and runs no code of the user's, if its operands are numbers
/// and arrays. `is_number` says of a local that it is a number for certain.
fn is_plain(e: &Expr, globals: &[Global], is_number: impl Fn(Local) -> bool) -> bool {
    match e {
        Expr::Bin(_, Atom::Local(a), _, true) => is_number(*a),
        Expr::Atom(_) | Expr::Bin(..) | Expr::Un(..) | Expr::Cmp(..) | Expr::Truth(_) => true,
        Expr::Item(..) | Expr::Tuple(_) => true,
        // Behind its first argument a function of numpy's takes where to write.
        Expr::Call(Atom::Global(index), args, named) => match &globals[*index] {
            Global::Builtin { name, .. } => {
                named.is_empty() && (args.len() == 1 || !name.starts_with("numpy."))
            }
            _ => false,
        },
        _ => false,
    }
}

impl Emitter<'_, '_> {
    /// Loads before an innermost loop the element that it changes, if it is one for a register.
    pub(super) fn forward(&mut self, to: Option<Local>, body: &[Statement]) {
        let Some((of, index)) = self.changed_element(to, body) else {
            return;
        };
        let (of, index) = (of, index.clone());
        let is_float = self.types[of]
            .array()
            .is_some_and(|array| array.dtype == Dtype::Float64);
        let ty = if is_float { types::F64 } else { types::I64 };
        let value = self.b.declare_var(ty);
        self.forwarded = Some(Forwarded { of, index, value });
        self.load_forwarded();
    }

    /// The one element that a loop stores to.
    fn changed_element<'s>(
        &self,
        to: Option<Local>,
        body: &'s [Statement],
    ) -> Option<(Local, &'s Index)> {
        let (mut stored, mut is_read) = (None, Vec::new());
        let mut bound = to.into_iter().collect::<Vec<_>>();
        let mut is_plain_body = true;
        for statement in all_statements(body) {
            for_each_target(&statement.kind, &mut |local| bound.push(local));
            for_each_atom(&statement.kind, &mut |atom| {
                is_plain_body &= match atom {
                    Atom::Local(local) => {
                        !owns(&self.types[*local]) || self.types[*local].array().is_some()
                    }
                    Atom::Global(index) => !matches!(
                        self.info.globals[*index],
                        Global::Object { .. } | Global::Function { .. }
                    ),
                    Atom::Const(_) => false,
                    _ => true,
                };
            });
            match &statement.kind {
                Kind::Set(_, e) | Kind::Expr(e) => {
                    // A temporary is changed in place to be stored where it comes from.
                    let is_number = |local: Local| {
                        let tags = self.types[local].tags;
                        let is_number = tags.within(Tags::NUMBERS) && !tags.is_empty();
                        is_number || self.info.program.locals[local].starts_with('.')
                    };
                    is_plain_body &= is_plain(e, &self.info.globals, is_number);
                    if let Expr::Item(Atom::Local(of), index) = e {
                        is_read.push((*of, index));
                    }
                }
                Kind::SetItem(Atom::Local(of), index, _) if stored.is_none() => {
                    stored = Some((*of, index));
                }
                Kind::If(..) | Kind::Break | Kind::Continue | Kind::Return(_) => {}
                _ => return None,
            }
        }
        let (of, index) = stored.filter(|stored| is_plain_body && is_read.contains(stored))?;
        let array = self.types[of].array()?;
        let parts = match index {
            Index::Tuple(parts) => parts.as_slice(),
            _ => std::slice::from_ref(index),
        };
        let is_same = |part: &Index| match part {
            Index::Atom(Atom::Local(local)) => !bound.contains(local),
            _ => false,
        };
        let is_known = self.known_parts(&Atom::Local(of), index);
        let fits = matches!(array.dtype, Dtype::Float64 | Dtype::Int64)
            && parts.len() == array.ndim
            && parts.iter().all(is_same)
            && is_known.into_iter().all(|is_known| is_known)
            && !bound.contains(&of);
        fits.then_some((of, index))
    }

    /// Takes the element from memory, where it may have been changed by others.
    pub(super) fn load_forwarded(&mut self) {
        let Some(Forwarded { of, index, value }) = self.forwarded.clone() else {
            return;
        };
        let array = self.read_local(of);
        let loaded = self.int_indices(&index).and_then(|indices| {
            let known = vec![true; indices.len()];
            self.load_element(&array, &indices, &known)
        });
        let bits = loaded.and_then(|loaded| loaded.flt.or(loaded.word));
        match bits {
            Some(bits) => self.b.def_var(value, bits),
            None => self.forwarded = None,
        }
    }

    /// The element, if it is in a register.
    pub(super) fn read_forwarded(&mut self, of: &Atom, index: &Index) -> Option<Val> {
        let value = self.forwarded_at(of, index)?;
        let bits = self.b.use_var(value);
        Some(if self.b.func.dfg.value_type(bits) == types::F64 {
            Self::from_flt(Ty::of(NP_FLOAT), bits)
        } else {
            Self::from_word(Ty::of(NP_INT), bits)
        })
    }

    fn forwarded_at(&self, of: &Atom, index: &Index) -> Option<Variable> {
        let forwarded = self.forwarded.as_ref()?;
        let is_it = *of == Atom::Local(forwarded.of) && *index == forwarded.index;
        is_it.then_some(forwarded.value)
    }

    /// Notes that the element has been stored.
    pub(super) fn note_stored(&mut self, of: &Atom, index: &Index, new: &Val) {
        let Some(value) = self.forwarded_at(of, index) else {
            return;
        };
        let bits = self.b.use_var(value);
        if self.b.func.dfg.value_type(bits) == types::F64 {
            let flt = self.double_of(new);
            self.b.def_var(value, flt);
        } else if Self::class_of(new) == Some(Class::Int) {
            let word = self.word(new);
            self.b.def_var(value, word);
        } else {
            self.load_forwarded();
        }
    }
}
