//! Elements that a loop changes in every turn, kept in a register.
//!
//! `for k in range(n): c[i, j] += a[i, k] * b[k, j]` stores an element and loads it again in the next
//! turn; through memory that takes several times as long as the addition. Where all that an innermost
//! loop stores to is one element, at an index that it does not change and that is known to be within
//! bounds, the value stored is what the next load gives. It is stored all the same, so that whoever
//! leaves the loop, or is called in it, finds what he should.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};
use cranelift_frontend::Variable;

use super::{Emitter, Val};
use crate::globals::Global;
use crate::infer::owns;
use crate::liveness::{for_each_atom, for_each_target};
use crate::program::{Atom, Bin, Expr, Index, Kind, Local, Statement, all_statements};
use crate::types::{Class, Dtype, NP_FLOAT, NP_INT, Tags, Ty};

/// An element that is in a register.
#[derive(Debug, Clone)]
pub(crate) struct Forwarded {
    of: Local,
    index: Index,
    value: Variable,
    ahead: Option<Ahead>,
}

/// What is stored where the next turn reads.
#[derive(Debug, Clone)]
struct Ahead {
    index: Index,
    value: Variable,
    counter: Variable,
    /// The part of the index that is read which moves, and how far from the counter it is.
    dimension: usize,
    shift: i64,
}

/// The one element that a loop stores to in a turn.
struct Stored {
    of: Local,
    index: Index,
    is_float: bool,
    /// It, if it is the same in all turns and read.
    same: Option<Index>,
    /// Else what is read where the turn before has stored, with what `Ahead` says of it.
    before: Option<(Index, usize, i64)>,
}

/// The parts of an index.
fn parts_of(index: &Index) -> &[Index] {
    match index {
        Index::Tuple(parts) => parts.as_slice(),
        _ => std::slice::from_ref(index),
    }
}

/// Whether a block stores something in every turn that gets to its end.
fn always_stores(block: &[Statement]) -> bool {
    block.iter().any(|statement| match &statement.kind {
        Kind::SetItem(..) => true,
        Kind::If(_, then, otherwise) => always_stores(then) && always_stores(otherwise),
        _ => false,
    })
}

/// How far a part of an index is from the counter, where a turn computes it.
fn shift_of(part: &Index, counter: Local, body: &[Statement]) -> Option<i64> {
    let Index::Atom(Atom::Local(local)) = part else {
        return None;
    };
    if *local == counter {
        return Some(0);
    }
    let mut bound = all_statements(body).filter_map(|statement| match &statement.kind {
        Kind::Set(to, e) if to == local => Some(e),
        _ => None,
    });
    let (first, second) = (bound.next()?, bound.next());
    match first {
        Expr::Bin(op, Atom::Local(of), Atom::Int(by), _) if *of == counter && second.is_none() => {
            match op {
                Bin::Add => Some(*by),
                Bin::Sub => by.checked_neg(),
                _ => None,
            }
        }
        _ => None,
    }
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
    /// `ends` are the counter and the end of one that goes up by one.
    pub(super) fn forward(
        &mut self,
        to: Option<Local>,
        ends: Option<[Variable; 2]>,
        body: &[Statement],
    ) {
        let Some(stored) = self.only_store(to, body) else {
            return;
        };
        let ty = if stored.is_float {
            types::F64
        } else {
            types::I64
        };
        let mut declare = || self.b.declare_var(ty);
        if let Some(index) = &stored.same {
            self.forwarded = Some(Forwarded {
                of: stored.of,
                index: index.clone(),
                value: declare(),
                ahead: None,
            });
            self.load_forwarded();
            return;
        }
        let (Some([counter, end]), Some((index, dimension, shift))) = (ends, stored.before) else {
            return;
        };
        self.forwarded = Some(Forwarded {
            of: stored.of,
            index,
            value: declare(),
            ahead: Some(Ahead {
                index: stored.index,
                value: declare(),
                counter,
                dimension,
                shift,
            }),
        });
        // Only what a turn reads is there for certain.
        let (low, high) = (self.value_of(counter), self.value_of(end));
        let has_turns = self.b.ins().icmp(IntCC::SignedLessThan, low, high);
        let (some, done) = (self.new_block(), self.new_block());
        if let Some(Forwarded { value, .. }) = &self.forwarded {
            let zero = if stored.is_float {
                self.b.ins().f64const(0.0)
            } else {
                self.b.ins().iconst(types::I64, 0)
            };
            self.b.def_var(*value, zero);
        }
        self.b.ins().brif(has_turns, some, &[], done, &[]);
        self.start(some);
        self.load_forwarded();
        self.jump(done, &[]);
        self.start(done);
    }

    /// The one element that a loop stores to in a turn.
    fn only_store(&self, to: Option<Local>, body: &[Statement]) -> Option<Stored> {
        let (mut stored, mut is_read) = (None, Vec::new());
        let mut bound = to.into_iter().collect::<Vec<_>>();
        let mut is_plain_body = true;
        let mut goes_round = true;
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
                Kind::SetItem(Atom::Local(of), index, _)
                    if stored.is_none() || stored == Some((*of, index)) =>
                {
                    stored = Some((*of, index));
                }
                Kind::Continue => goes_round = false,
                Kind::If(..) | Kind::Break | Kind::Return(_) => {}
                _ => return None,
            }
        }
        let (of, index) = stored.filter(|_| is_plain_body)?;
        let array = self.types[of].array()?;
        let parts = parts_of(index);
        let is_same = |part: &Index| match part {
            Index::Atom(Atom::Local(local)) => !bound.contains(local),
            _ => false,
        };
        let is_known = |index: &Index| {
            let known = self.known_parts(&Atom::Local(of), index);
            known.into_iter().all(|is_known| is_known)
        };
        let fits = matches!(array.dtype, Dtype::Float64 | Dtype::Int64)
            && parts.len() == array.ndim
            && is_known(index)
            && !bound.contains(&of);
        let result = Stored {
            of,
            index: index.clone(),
            is_float: array.dtype == Dtype::Float64,
            same: None,
            before: None,
        };
        if !fits {
            return None;
        }
        if parts.iter().all(is_same) {
            let same = is_read.contains(&(of, index)).then(|| index.clone())?;
            let same = Some(same);
            return Some(Stored { same, ..result });
        }
        // In all dimensions but one it is the same, and there the next.
        let mut moving = (0..parts.len()).filter(|&at| !is_same(&parts[at]));
        let (dimension, None) = (moving.next()?, moving.next()) else {
            return None;
        };
        let counter = to.filter(|_| goes_round && always_stores(body))?;
        let next = shift_of(&parts[dimension], counter, body)?;
        let is_before = |(read_of, read): &&(Local, &Index)| {
            let others = parts_of(read);
            *read_of == of
                && others.len() == parts.len()
                && (0..parts.len()).all(|at| at == dimension || others[at] == parts[at])
                && shift_of(&others[dimension], counter, body) == next.checked_sub(1)
        };
        let (_, read) = is_read.iter().find(is_before)?;
        let before = is_known(read).then(|| ((*read).clone(), dimension, next - 1))?;
        let before = Some(before);
        Some(Stored { before, ..result })
    }

    /// The next turn reads what this one has stored.
    pub(super) fn turn_forwarded(&mut self) {
        if let Some(Forwarded { value, ahead, .. }) = &self.forwarded
            && let Some(ahead) = ahead
        {
            let next = self.b.use_var(ahead.value);
            self.b.def_var(*value, next);
        }
    }

    /// Takes the element from memory, where it may have been changed by others.
    pub(super) fn load_forwarded(&mut self) {
        let Some(Forwarded {
            of,
            index,
            value,
            ahead,
        }) = self.forwarded.clone()
        else {
            return;
        };
        let bits = match ahead {
            None => self.element_bits(of, &index),
            Some(ahead) => {
                let now = self.b.use_var(ahead.counter);
                let moving = self.b.ins().iadd_imm_s(now, ahead.shift);
                let mut indices = Vec::new();
                for (at, part) in parts_of(&index).iter().enumerate() {
                    match part {
                        Index::Atom(atom) if at != ahead.dimension => indices.push(self.atom(atom)),
                        _ => indices.push(Self::from_word(Ty::natural(), moving)),
                    }
                }
                self.bits_at(of, &indices)
            }
        };
        match bits {
            Some(bits) => self.b.def_var(value, bits),
            None => self.forwarded = None,
        }
    }

    fn element_bits(&mut self, of: Local, index: &Index) -> Option<Value> {
        let indices = self.int_indices(index)?;
        self.bits_at(of, &indices)
    }

    fn bits_at(&mut self, of: Local, indices: &[Val]) -> Option<Value> {
        let array = self.read_local(of);
        let known = vec![true; indices.len()];
        let loaded = self.load_element(&array, indices, &known)?;
        loaded.flt.or(loaded.word)
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
        let Some((array, value)) = self.stored_at(of, index) else {
            return;
        };
        let dtype = self.types[array].array().map(|array| array.dtype);
        let bits = if dtype == Some(Dtype::Float64) {
            Some(self.double_of(new))
        } else if Self::class_of(new) == Some(Class::Int) {
            Some(self.word(new))
        } else {
            self.element_bits(array, index)
        };
        self.define_stored(value, bits);
    }

    /// The same where Python has stored it, and so converted it.
    pub(super) fn note_stored_by_python(&mut self, of: &Atom, index: &Index) {
        if let Some((array, value)) = self.stored_at(of, index) {
            let bits = self.element_bits(array, index);
            self.define_stored(value, bits);
        }
    }

    /// The array and the register of the element, if it is the one that is stored to.
    fn stored_at(&self, of: &Atom, index: &Index) -> Option<(Local, Variable)> {
        let forwarded = self.forwarded.as_ref()?;
        let (at, value) = match &forwarded.ahead {
            Some(ahead) => (&ahead.index, ahead.value),
            None => (&forwarded.index, forwarded.value),
        };
        let is_it = *of == Atom::Local(forwarded.of) && index == at;
        is_it.then_some((forwarded.of, value))
    }

    fn define_stored(&mut self, value: Variable, bits: Option<Value>) {
        match bits {
            Some(bits) => self.b.def_var(value, bits),
            None => self.forwarded = None,
        }
    }
}
