//! Innermost loops as islands for the register allocator.
//!
//! The allocator weighs a value by its uses, a use in a loop some times more than one outside. So a
//! value of the loops around, used often enough, takes a register from one that is used once in
//! every turn of the innermost loop; and what is used both in the loop and behind it, across calls,
//! it moves between register and memory in every turn. So nothing stays in a register where an
//! innermost loop that counts is entered or left: every local has a place of its own on the stack,
//! its *berth*, where it is put before the loop; what the loop uses is loaded, and behind the loop
//! all is loaded again (what is not used then is not). Exits from the loop hand over what is in the
//! berths.
//!
//! What a loop around does not change is *settled*: put into its berth before that loop, once, and
//! from there on read where it is used, so that nothing of it has to survive the loops inside. What
//! an innermost loop reads of it is *afloat* there: in variables again.
//!
//! Stores and loads name a berth by different addresses, as the compiler would otherwise see that
//! the value comes back and keep it.

use std::collections::HashMap;

use cranelift_codegen::ir::{InstBuilder, Opcode, StackSlot, Type, Value, types};
use cranelift_frontend::Variable;

use super::{Emitter, Place, has_flt, has_word};
use crate::liveness::{for_each_atom, for_each_target};
use crate::program::{Atom, Id, Local, Statement, all_statements};
use crate::types::{RANGE, Tags, Ty};
use crate::unit::has_loops;

/// The berths of a function.
#[derive(Debug)]
pub(crate) struct Berths {
    pub(crate) slot: StackSlot,
    offsets: HashMap<u32, (i32, Type)>,
    /// Variables that no loop around changes and that are in their berths.
    settled: Vec<Variable>,
    /// Those of them that the current innermost loop has loaded.
    afloat: Vec<Variable>,
    /// Variables that the current innermost loop does not change: all are in their berths.
    moored: Vec<Variable>,
}

impl Berths {
    pub(crate) fn new(slot: StackSlot) -> Self {
        Self {
            slot,
            offsets: HashMap::new(),
            settled: Vec::new(),
            afloat: Vec::new(),
            moored: Vec::new(),
        }
    }

    /// Bytes of all berths.
    pub(crate) fn size(&self) -> u32 {
        u32::try_from(8 * self.offsets.len()).unwrap_or(u32::MAX)
    }
}

/// A loop whose values are its own.
#[derive(Debug, Clone)]
pub(crate) struct Island {
    /// What the loop does not change.
    moored: Vec<Variable>,
    /// Locals that the loop binds.
    bound: Vec<Local>,
}

/// The locals that a block reads, and those that it binds.
pub(super) fn used_and_bound(body: &[Statement]) -> (Vec<Local>, Vec<Local>) {
    let (mut used, mut bound) = (Vec::new(), Vec::new());
    for statement in all_statements(body) {
        for_each_atom(&statement.kind, &mut |atom| {
            if let Atom::Local(local) = atom {
                used.push(*local);
            }
        });
        for_each_target(&statement.kind, &mut |local| bound.push(local));
    }
    (used, bound)
}

impl Emitter<'_, '_> {
    /// Whether the loop has no loops inside, nor in functions that are put in place.
    pub(super) fn is_innermost(&self, body: &[Statement]) -> bool {
        !has_loops(body) && !self.unit.calls_loops(&self.info, body)
    }

    /// Puts away, before a loop around others, what it does not change; how much was there before.
    /// `own` is what the loop keeps of its own state.
    pub(super) fn settle(
        &mut self,
        id: Id,
        to: Option<Local>,
        own: &[Variable],
        body: &[Statement],
    ) -> usize {
        let n_settled = self.berths.settled.len();
        if self.is_innermost(body) {
            return n_settled;
        }
        let mut bound = used_and_bound(body).1;
        bound.extend(to);
        let mut variables = self.variables_of_turns(self.turns.len());
        variables.extend(own);
        for local in 0..self.places.len() {
            let ty = self.types[local].clone();
            if !bound.contains(&local) && ty.narrow.is_none() && self.matters_in(id, local) {
                variables_of(&self.places[local], &ty, &mut variables);
            }
        }
        for variable in variables {
            if !self.berths.settled.contains(&variable) && !self.is_written(variable) {
                self.put_away(variable);
                self.berths.settled.push(variable);
            }
        }
        n_settled
    }

    /// Whether a loop or what follows reads a local or has to release it.
    fn matters_in(&self, id: Id, local: Local) -> bool {
        let liveness = &self.info.liveness;
        let is_live = liveness.before[id].has(local) || liveness.head[id].has(local);
        is_live || crate::infer::owns(&self.types[local])
    }

    /// Whether a variable is a constant that is written in the program.
    fn is_written(&mut self, variable: Variable) -> bool {
        let value = self.b.use_var(variable);
        let dfg = &self.b.func.dfg;
        let inst = dfg.value_def(value).inst();
        let opcode = inst.map(|inst| dfg.insts[inst].opcode());
        matches!(opcode, Some(Opcode::Iconst | Opcode::F64const))
    }

    /// Takes from their berths, where a loop is left, what has been settled since.
    pub(super) fn set_out(&mut self, n_settled: usize) {
        for at in n_settled..self.berths.settled.len() {
            let variable = self.berths.settled[at];
            let value = self.berthed(variable);
            self.b.def_var(variable, value);
        }
    }

    pub(super) fn unsettle(&mut self, n_settled: usize) {
        self.set_out(n_settled);
        self.berths.settled.truncate(n_settled);
    }

    /// The value of a variable.
    pub(super) fn value_of(&mut self, variable: Variable) -> Value {
        if self.berths.settled.contains(&variable) && !self.berths.afloat.contains(&variable) {
            return self.berthed(variable);
        }
        self.b.use_var(variable)
    }

    /// Gives a variable a value.
    pub(super) fn set_value(&mut self, variable: Variable, value: Value) {
        self.b.def_var(variable, value);
        if self.berths.settled.contains(&variable) {
            self.store_in_berth(variable, value);
        }
    }

    /// Loads, for an innermost loop that is no island, what is settled and used in it.
    pub(super) fn embark(&mut self, body: &[Statement]) {
        for local in used_and_bound(body).0 {
            let ty = self.types[local].clone();
            let mut variables = Vec::new();
            variables_of(&self.places[local], &ty, &mut variables);
            for variable in variables {
                if self.berths.settled.contains(&variable)
                    && !self.berths.afloat.contains(&variable)
                {
                    self.fetch(variable);
                }
            }
        }
    }

    /// The states of that many loops around.
    fn variables_of_turns(&self, n_turns: usize) -> Vec<Variable> {
        let states = self.turns[..n_turns].iter().map(|turn| turn.state.iter());
        states.flatten().copied().collect()
    }

    /// Puts everything away, and loads what the loop uses. `state` is what the loop's own state
    /// keeps.
    pub(super) fn enter_island(
        &mut self,
        id: Id,
        to: Option<Local>,
        state: &[Variable],
        body: &[Statement],
    ) -> Island {
        let (mut used, mut bound) = used_and_bound(body);
        bound.extend(to);
        // What is unboxed when it is first looked at changes, too.
        let types = self.types.iter().enumerate();
        bound.extend(types.filter_map(|(local, ty)| ty.narrow.as_ref().map(|_| local)));
        used.extend(&bound);
        let mut moored = self.variables_of_turns(self.turns.len());
        moored.extend(state);
        moored.push(self.ticks);
        for &variable in &moored {
            self.put_away(variable);
        }
        for local in 0..self.places.len() {
            let ty = self.types[local].clone();
            if !self.matters_in(id, local) {
                continue;
            }
            let mut variables = Vec::new();
            variables_of(&self.places[local], &ty, &mut variables);
            for variable in variables {
                self.put_away(variable);
                if used.contains(&local) {
                    self.fetch(variable);
                }
                if !bound.contains(&local) {
                    moored.push(variable);
                }
            }
        }
        self.berths.moored.clone_from(&moored);
        Island { moored, bound }
    }

    /// Loads behind the loop what it has not changed.
    pub(super) fn leave_island(&mut self, island: &Island) {
        for &variable in &island.moored {
            if !self.berths.settled.contains(&variable) {
                self.fetch(variable);
            }
        }
    }

    /// The same for what it has changed.
    pub(super) fn bring_along(&mut self, island: &Island) {
        for &local in &island.bound {
            let ty = self.types[local].clone();
            let mut variables = Vec::new();
            variables_of(&self.places[local], &ty, &mut variables);
            for variable in variables {
                self.put_away(variable);
                self.fetch(variable);
            }
        }
    }

    /// From here on the code is outside of an innermost loop.
    pub(super) fn end_island(&mut self) {
        self.berths.moored.clear();
        self.berths.afloat.clear();
    }

    /// The value of a variable where the function is left.
    pub(super) fn last_value(&mut self, variable: Variable) -> Value {
        let berths = &self.berths;
        if berths.moored.contains(&variable) || berths.settled.contains(&variable) {
            self.berthed(variable)
        } else {
            self.b.use_var(variable)
        }
    }

    /// Takes ticks wherever they are.
    pub(super) fn take_ticks_here(&mut self, n_ticks: i64) {
        let is_away = self.berths.moored.contains(&self.ticks);
        if is_away {
            self.fetch(self.ticks);
        }
        let n_ticks = self.int(n_ticks);
        self.take_ticks(n_ticks);
        if is_away {
            self.put_away(self.ticks);
        }
    }

    /// Puts a variable into its berth.
    pub(super) fn put_away(&mut self, variable: Variable) {
        if self.berths.settled.contains(&variable) {
            return;
        }
        let value = self.b.use_var(variable);
        self.store_in_berth(variable, value);
    }

    fn store_in_berth(&mut self, variable: Variable, value: Value) {
        let ty = self.b.func.dfg.value_type(value);
        let n_berths = i32::try_from(self.berths.offsets.len()).unwrap_or(0);
        let (offset, _) = *self
            .berths
            .offsets
            .entry(variable.as_u32())
            .or_insert((8 * n_berths, ty));
        let to = self.b.ins().stack_addr(types::I64, self.berths.slot, 0);
        self.store(value, to, offset);
    }

    /// The value, as one that lives only from here on.
    pub(super) fn ferried(&mut self, value: Value) -> Value {
        let ty = self.b.func.dfg.value_type(value);
        let variable = self.b.declare_var(ty);
        self.b.def_var(variable, value);
        self.put_away(variable);
        self.fetch(variable);
        self.b.use_var(variable)
    }

    /// Has a variable be what is in its berth.
    pub(super) fn fetch(&mut self, variable: Variable) {
        if self.berths.settled.contains(&variable) {
            self.berths.afloat.push(variable);
        } else if self.is_written(variable) {
            return;
        }
        let value = self.berthed(variable);
        self.b.def_var(variable, value);
    }

    /// What is in the berth of a variable.
    pub(super) fn berthed(&mut self, variable: Variable) -> Value {
        let known = self.berths.offsets.get(&variable.as_u32()).copied();
        let (offset, ty) = known.unwrap_or((0, types::I64));
        let from = self.b.ins().stack_addr(types::I64, self.berths.slot, 8);
        self.load(ty, from, offset - 8)
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
    if has_flt(ty.tags) {
        variables.push(place.flt);
    }
    if ty.tags.any(Tags::COMPLEXES) {
        variables.push(place.real);
    }
    if ty.array().is_some() {
        variables.extend(&place.array);
    }
}
