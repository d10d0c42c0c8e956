//! Loops over several sequences at once; see `crate::lockstep`.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};
use cranelift_frontend::Variable;

use super::control::Source;
use super::{Emitter, Val};
use crate::lockstep::Lockstep;
use crate::operation::is_str;
use crate::program::{Local, Statement};
use crate::types::{INT, Ty};

impl Emitter<'_, '_> {
    pub(super) fn iterate_in_lockstep(
        &mut self,
        statement: &Statement,
        lockstep: &Lockstep,
        to: Local,
        [body, otherwise]: [&[Statement]; 2],
    ) -> bool {
        if let (Some(view), [of]) = (lockstep.view, lockstep.sequences.as_slice()) {
            return self.iterate_table(statement, (of, view), to, [body, otherwise]);
        }
        let Some(ty) = self.scope().item_of_lockstep(lockstep) else {
            self.leave("a list that nothing is put into");
            self.end_checks();
            return false;
        };
        let sequences = lockstep.sequences.iter().map(|atom| self.atom(atom));
        let sequences = sequences.collect::<Vec<_>>();
        let mut state = Vec::new();
        for sequence in &sequences {
            let object = self.word(sequence);
            self.inc_ref(object);
            state.push(self.variable(object));
        }
        let zero = self.int(0);
        state.push(self.variable(zero));
        for &local in &lockstep.dropped {
            self.drop_local(local);
            self.types[local] = Ty::of(crate::types::UNSET);
        }
        let source = Source::Lockstep(sequences, lockstep.start);
        let to = Some((to, ty));
        self.repeat(statement, source, state, to, body, otherwise)
    }

    /// Whether all sequences have an element at the index.
    pub(super) fn has_turn(&mut self, sequences: &[Val], state: &[Variable]) -> Value {
        let index = self.value_of(state[sequences.len()]);
        let mut goes_on = None;
        for (of, &object) in sequences.iter().zip(state) {
            let size = match of.array.as_ref() {
                Some(fields) => fields.sizes[0],
                None => self.size_of_sequence(of, object),
            };
            let has_one = self.b.ins().icmp(IntCC::UnsignedLessThan, index, size);
            goes_on = Some(match goes_on {
                Some(others) => self.b.ins().band(others, has_one),
                None => has_one,
            });
        }
        goes_on.unwrap_or(index)
    }

    fn size_of_sequence(&mut self, of: &Val, object: Variable) -> Value {
        if is_str(&of.ty) {
            let text = self.value_of(object);
            return self.text_size(text);
        }
        self.list_of_turn(of, &[object]).0
    }

    /// The count, if there is one, and the elements.
    pub(super) fn items_of_turn(
        &mut self,
        sequences: &[Val],
        start: Option<i64>,
        state: &[Variable],
        ty: &Ty,
    ) -> Val {
        let index = self.value_of(state[sequences.len()]);
        let next = self.b.ins().iadd_imm_s(index, 1);
        self.b.def_var(state[sequences.len()], next);
        let mut parts = Vec::new();
        if let Some(start) = start {
            let count = self.b.ins().iadd_imm_s(index, start);
            parts.push(Self::from_word(Ty::of(INT), count));
        }
        for (of, &object) in sequences.iter().zip(state) {
            let wanted = ty.parts().and_then(|types| types.get(parts.len()));
            let wanted = wanted.cloned().unwrap_or_default();
            let item = self.element_of_turn(of, object, index, &wanted);
            parts.push(Val { ty: wanted, ..item });
        }
        Val {
            ty: ty.clone(),
            parts,
            ..Val::default()
        }
    }

    fn element_of_turn(&mut self, of: &Val, object: Variable, index: Value, ty: &Ty) -> Val {
        if is_str(&of.ty) {
            let text = self.value_of(object);
            return self.char_at(text, index);
        }
        if let (Some(array), Some(fields)) = (of.ty.array(), of.array.as_ref()) {
            let step = if array.contiguous {
                self.int(array.dtype.size())
            } else {
                fields.strides[0]
            };
            let bytes = self.b.ins().imul(index, step);
            let data = fields.data.unwrap_or(index);
            let at = self.b.ins().iadd(data, bytes);
            return self.load_at(array.dtype, at);
        }
        let items = self.list_of_turn(of, &[object]).1;
        if of.ty.is_bytes() {
            let place = self.b.ins().iadd(items, index);
            return self.byte_at(place);
        }
        let bytes = self.b.ins().ishl_imm_u(index, 3);
        let place = self.b.ins().iadd(items, bytes);
        match of.ty.unboxed() {
            Some(element) => self.unboxed_at(place, &element.clone()),
            None => {
                let item = self.load(types::I64, place, 0);
                self.next_of_list(item, ty)
            }
        }
    }

    /// Whether the statement is a call that the loop behind it does.
    pub(super) fn is_done_by_loop(&self, statement: &Statement) -> bool {
        let lockstep = self.info.lockstep_of_call(statement.id);
        lockstep.is_some_and(|lockstep| self.scope().is_in_lockstep(lockstep))
    }

    /// The loop that does the call before it, if the statement is one.
    pub(super) fn lockstep_here(&self, statement: &Statement) -> Option<Lockstep> {
        self.info.lockstep_at(statement, &self.types).cloned()
    }
}
