//! Innermost loops as islands for the register allocator.
//!
//! A value that is used in a loop and again behind it, across calls, is one value to the register
//! allocator: where registers are short it is moved to memory between its last use in a turn and
//! the next turn, in every turn. So what an innermost loop over a range or an array uses is taken
//! through memory when the loop is entered, and what it has changed when it is left. Then nothing
//! that is used in the loop lives outside of it.
//!
//! Stores and loads name the memory by different addresses, as the compiler would otherwise see
//! that the value comes back.

use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, Value, types};
use cranelift_frontend::Variable;

use super::{Emitter, Place, has_word};
use crate::liveness::{for_each_atom, for_each_target};
use crate::program::{Atom, Kind, Local, Statement};
use crate::types::{RANGE, Tags, Ty};

/// A loop whose values are its own.
#[derive(Debug, Clone)]
pub(crate) struct Island {
    /// What variables that the loop does not change were before.
    before: Vec<(Variable, Value)>,
    /// Locals that the loop binds.
    bound: Vec<Local>,
}

/// Whether the loop has no loops inside.
pub(super) fn is_innermost(body: &[Statement]) -> bool {
    let mut todo = body.iter().collect::<Vec<_>>();
    while let Some(statement) = todo.pop() {
        if matches!(statement.kind, Kind::Loop(_) | Kind::For(..)) {
            return false;
        }
        todo.extend(statement.blocks().into_iter().flatten());
    }
    true
}

/// The locals that a block reads, and those that it binds.
fn used_and_bound(body: &[Statement]) -> (Vec<Local>, Vec<Local>) {
    let (mut used, mut bound) = (Vec::new(), Vec::new());
    let mut todo = body.iter().collect::<Vec<_>>();
    while let Some(statement) = todo.pop() {
        for_each_atom(&statement.kind, &mut |atom| {
            if let Atom::Local(local) = atom {
                used.push(*local);
            }
        });
        for_each_target(&statement.kind, &mut |local| bound.push(local));
        todo.extend(statement.blocks().into_iter().flatten());
    }
    for locals in [&mut used, &mut bound] {
        locals.sort_unstable();
        locals.dedup();
    }
    (used, bound)
}

impl Emitter<'_, '_> {
    /// Takes what the loop uses through memory.
    pub(super) fn enter_island(&mut self, to: Option<Local>, body: &[Statement]) -> Island {
        let (mut used, mut bound) = used_and_bound(body);
        bound.extend(to);
        // What is unboxed when it is first looked at changes, too.
        let types = self.types.iter().enumerate();
        bound.extend(types.filter_map(|(local, ty)| ty.narrow.as_ref().map(|_| local)));
        used.extend(&bound);
        used.sort_unstable();
        used.dedup();
        let mut before = Vec::new();
        for local in used {
            let ty = self.types[local].clone();
            let mut variables = Vec::new();
            variables_of(&self.places[local], &ty, &mut variables);
            for variable in variables {
                let value = self.b.use_var(variable);
                let moved = self.through_memory(value);
                self.b.def_var(variable, moved);
                if !bound.contains(&local) {
                    before.push((variable, value));
                }
            }
        }
        Island { before, bound }
    }

    /// Brings back what the loop has changed; everything else is what it was before.
    pub(super) fn leave_island(&mut self, island: &Island) {
        for &(variable, value) in &island.before {
            self.b.def_var(variable, value);
        }
        for &local in &island.bound {
            let ty = self.types[local].clone();
            let mut variables = Vec::new();
            variables_of(&self.places[local], &ty, &mut variables);
            for variable in variables {
                let value = self.b.use_var(variable);
                let moved = self.through_memory(value);
                self.b.def_var(variable, moved);
            }
        }
    }

    /// The same value as another one.
    pub(super) fn through_memory(&mut self, value: Value) -> Value {
        let dfg = &self.b.func.dfg;
        let inst = dfg.value_def(value).inst();
        let is_constant = inst.is_some_and(|inst| {
            let opcode = dfg.insts[inst].opcode();
            opcode == cranelift_codegen::ir::Opcode::Iconst
                || opcode == cranelift_codegen::ir::Opcode::F64const
        });
        if is_constant {
            return value;
        }
        let ty = dfg.value_type(value);
        let slot = *self.ferry.get_or_insert_with(|| {
            let data = StackSlotData::new(StackSlotKind::ExplicitSlot, 16, 3);
            self.b.create_sized_stack_slot(data)
        });
        let to = self.b.ins().stack_addr(types::I64, slot, 0);
        self.store(value, to, 8);
        let from = self.b.ins().stack_addr(types::I64, slot, 8);
        self.load(ty, from, 0)
    }
}

/// The variables that mean something for a type.
fn variables_of(place: &Place, ty: &Ty, variables: &mut Vec<Variable>) {
    if let Some(parts) = ty.parts() {
        for (place, ty) in place.parts.iter().zip(parts) {
            variables_of(place, ty, variables);
        }
        return;
    }
    if ty.tags == Tags::of(RANGE) {
        variables.extend(place.parts.iter().map(|place| place.word));
        return;
    }
    if ty.tags.single().is_none() {
        variables.push(place.tag);
    }
    if has_word(ty.tags) {
        variables.push(place.word);
    }
    if ty.tags.any(Tags::FLOATS) {
        variables.push(place.flt);
    }
    if ty.array().is_some() {
        variables.extend(&place.array);
    }
}
