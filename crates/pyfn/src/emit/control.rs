//! Statements: blocks, branches, loops.
//!
//! Where paths come together, inference has said what the locals are there; a path that knows more
//! brings its locals into that form before it jumps. A loop over a range counts; one over a list or
//! an array holds a reference and an index; any other goes through Python's iterator.

use cranelift_codegen::ir::{
    Block, InstBuilder, InstructionData, Opcode, SourceLoc, Value, condcodes::CondCode,
    condcodes::IntCC, types,
};
use cranelift_frontend::Variable;

use super::vector::{Row, Vector};
use super::{Emitter, Turn, Val, frame::TICKS, hoist::Count};
use crate::foreign::{is_container, is_tame};
use crate::infer::State;
use crate::operation::{is_str, iterated, spread};
use crate::program::{Atom, Kind, Local, Statement};
use crate::table::View;
use crate::types::{COUNT_ROOM, Form, INT, OBJECT, RANGE, Tags, Ty, UNSET};
use crate::unit::LoopShape;

/// What a loop runs over.
pub(super) enum Source {
    /// Nothing: it repeats.
    Forever,
    /// A range, with its step if that is written in the program, and whether it goes up if not.
    Range(Option<i64>, bool),
    /// The elements of a list or the first dimension of an array.
    Sequence(Val),
    /// The elements of several at once, and what turns are counted from.
    Lockstep(Vec<Val>, Option<i64>),
    /// The entries of a dictionary that only this function sees.
    Table(Val, View),
    /// The parts of a tuple, which lie on the stack: how many, and how many numbers make up one that
    /// is a tuple itself, or 0.
    Spread(usize, usize),
    /// Python's iterator.
    Iterator,
}

/// Where a counted loop interrupts itself to look at signals, so that no turn has to.
struct Pause {
    counter: Variable,
    step: i64,
    /// The counter at the last pause, or at the start; in its berth, as the next.
    begun: Variable,
    /// What the counter must stay below.
    end: Variable,
    /// The counter at the next one.
    at: Variable,
    /// What does rows by the vector.
    vector: Option<Vector>,
}

/// Steps beyond which a loop looks at signals in every turn.
const FAR_STEP: i64 = 1 << 40;

impl Emitter<'_, '_> {
    /// Emits a block; whether its end is reached.
    pub(super) fn block(&mut self, block: &[Statement]) -> bool {
        let mut rest = block;
        while let Some(first) = rest.first() {
            self.be_sure(rest);
            let at_once = self.whole(rest).or_else(|| self.array_literal(rest));
            let (n_done, goes_on) = match at_once {
                Some(done) => done,
                None => match self.shortcut(rest) {
                    Some(goes_on) => (2, goes_on),
                    None => (1, self.statement(first)),
                },
            };
            if !goes_on {
                return false;
            }
            self.is_unsure |= self.are_foreign(&rest[..n_done]);
            rest = &rest[n_done..];
        }
        true
    }

    /// Emits a statement; its code is known by its number, that of statements inside by theirs.
    pub(super) fn statement(&mut self, statement: &Statement) -> bool {
        let around = self.b.srcloc();
        let number = u32::try_from(statement.id).unwrap_or_default();
        self.b.set_srcloc(SourceLoc::new(number));
        let goes_on = self.located(statement);
        self.b.set_srcloc(around);
        goes_on
    }

    fn located(&mut self, statement: &Statement) -> bool {
        self.begin(statement);
        let kind = &statement.kind;
        let lockstep = self.lockstep_here(statement);
        if let Some(lockstep) = &lockstep {
            // Before the first turn Python goes on at the call.
            self.statement = lockstep.call;
        }
        if !self.prepare(statement) {
            self.end_checks();
            return false;
        }
        if statement.is_handled && self.handling.is_empty() && !self.scope().is_quiet(kind) {
            self.leave("a handler that runs what may ask for the exception");
            self.end_checks();
            return false;
        }
        match kind {
            Kind::If(test, then, otherwise) => self.branch(statement, test, then, otherwise),
            Kind::Try(catch, body, handler) => self.attempt(statement, catch, [body, handler]),
            Kind::Loop(body) => {
                self.repeat(statement, Source::Forever, Vec::new(), None, body, &[])
            }
            Kind::For(to, iterable, body, otherwise) => {
                if let Some(lockstep) = &lockstep {
                    let blocks = [body.as_slice(), otherwise.as_slice()];
                    return self.iterate_in_lockstep(statement, lockstep, *to, blocks);
                }
                self.iterate(statement, *to, iterable, body, otherwise)
            }
            Kind::Break | Kind::Continue => {
                self.jump_in_loop(matches!(kind, Kind::Break));
                false
            }
            Kind::Set(to, _) if self.is_done_by_loop(statement) => {
                self.drop_local(*to);
                self.types[*to] = Ty::of(UNSET);
                self.end_checks();
                true
            }
            _ => {
                let changes_arrays =
                    self.is_foreign(statement) && self.scope().changes_arrays(kind);
                let goes_on = self.step(kind);
                self.end_checks();
                if goes_on {
                    self.finish_step(statement);
                    if changes_arrays {
                        self.look_at_arrays();
                    }
                }
                goes_on
            }
        }
    }

    fn branch(
        &mut self,
        statement: &Statement,
        test: &Atom,
        then: &[Statement],
        otherwise: &[Statement],
    ) -> bool {
        let value = self.atom(test);
        let truth = self.truth(&value);
        self.is_unsure |= self.is_foreign(statement);
        let mut dropped = crate::infer::dropped(&self.info, statement).into_iter();
        let is_free = !dropped.any(|local| crate::infer::owns(&self.types[local]));
        if is_free && self.convert(statement, truth, [then, otherwise]) {
            return true;
        }
        self.end_checks();
        self.finish_step(statement);
        let after = self.joint(statement.id).after;
        let (yes, no, done) = (self.new_block(), self.new_block(), self.new_block());
        self.branch_to(truth, [(yes, then), (no, otherwise)]);
        let n_checked = [self.checked.len(); 2];
        let sides = [(yes, then), (no, otherwise)];
        self.sides(statement.id, sides, n_checked, done, after)
    }

    /// Goes on at one of two sides. Code of the second follows, so that is not one that leaves a loop.
    pub(super) fn branch_to(&mut self, truth: Value, sides: [(Block, &[Statement]); 2]) {
        let [(yes, _), (no, otherwise)] = sides;
        let leaves_loop = matches!(otherwise.last().map(|last| &last.kind), Some(Kind::Break));
        if leaves_loop {
            let is_false = self.inverse(truth);
            self.b.ins().brif(is_false, no, &[], yes, &[]);
        } else {
            self.b.ins().brif(truth, yes, &[], no, &[]);
        }
    }

    /// Whether a condition does not hold.
    fn inverse(&mut self, truth: Value) -> Value {
        let dfg = &self.b.func.dfg;
        let made_by = |value: Value| dfg.value_def(value).inst().map(|inst| dfg.insts[inst]);
        let inner = match made_by(truth) {
            Some(InstructionData::Unary {
                opcode: Opcode::Uextend,
                arg,
            }) => made_by(arg),
            other => other,
        };
        match inner {
            // The compiler knows this of integers only.
            Some(InstructionData::FloatCompare { args, cond, .. }) => {
                self.b.ins().fcmp(cond.complement(), args[0], args[1])
            }
            _ => self.b.ins().icmp_imm_s(IntCC::Equal, truth, 0),
        }
    }

    /// The two sides of a branch, in blocks that have been jumped to; whether anything follows. `n_checked`
    /// is how many of the indices that were looked at are so on either side.
    pub(super) fn sides(
        &mut self,
        branch: usize,
        sides: [(Block, &[Statement]); 2],
        n_checked: [usize; 2],
        done: Block,
        after: State,
    ) -> bool {
        let types = [true, false].map(|side| self.refined(branch, side));
        let checked = std::mem::take(&mut self.checked);
        let is_unsure = self.is_unsure;
        // Behind the branch is known what is on the sides that get there.
        let mut known = None;
        for (side, ((start, statements), types)) in sides.into_iter().zip(types).enumerate() {
            self.types = types;
            self.is_unsure = is_unsure;
            self.checked = checked[..n_checked[side]].to_vec();
            self.start(start);
            if self.block(statements) {
                self.jump_to(done, &after);
                let own = std::mem::take(&mut self.checked);
                known = Some(match known {
                    None => own,
                    Some(_) => checked[..n_checked[0].min(n_checked[1])].to_vec(),
                });
            }
        }
        self.is_unsure = is_unsure;
        self.checked = known.unwrap_or_default();
        self.resume_at(done, after)
    }

    /// The types on one side of a branch.
    pub(super) fn refined(&self, branch: usize, side: bool) -> Vec<Ty> {
        self.info.implied.refine(self.scope(), branch, side)
    }

    /// A value that a statement binds, where it may be a step that needs no test.
    pub(super) fn stepped(&self, statement: usize, value: Val) -> Val {
        let ty = self.info.bound(statement, &self.types, value.ty);
        Val { ty, ..value }
    }

    pub(super) fn joint(&self, id: usize) -> crate::infer::Joint {
        self.joints[id].clone()
    }

    /// Continues where paths came together; whether any did.
    pub(super) fn resume_at(&mut self, block: Block, state: State) -> bool {
        self.start(block);
        match state {
            Some(types) => {
                self.types = types;
                true
            }
            None => {
                self.resume_at_nothing();
                false
            }
        }
    }

    /// Nothing gets here, but a block has to end.
    pub(super) fn resume_at_nothing(&mut self) {
        let raised = self.tag_value(crate::types::RAISED);
        let zero = self.b.ins().f64const(0.0);
        self.b.ins().return_(&[raised, raised, zero]);
    }

    fn jump_in_loop(&mut self, is_break: bool) {
        let Some(turn) = self.turns.last().cloned() else {
            return;
        };
        let joint = self.joint(turn.id);
        if is_break {
            let checked = &self.checked;
            if let Some(turn) = self.turns.last_mut() {
                match &mut turn.checked_at_breaks {
                    Some(known) => known.retain(|known| checked.contains(known)),
                    known => *known = Some(checked.clone()),
                }
            }
            if let Some(island) = &turn.island {
                self.leave_island(island);
            }
            self.release_turns(self.turns.len() - 1);
            self.coerce_to(&joint.after);
            self.set_out(turn.n_settled);
            if let Some(island) = &turn.island {
                self.bring_along(island);
            }
            self.jump(turn.after, &[]);
        } else {
            self.jump_to(turn.head, &joint.head);
        }
    }

    pub(super) fn variable(&mut self, value: Value) -> Variable {
        let variable = self.b.declare_var(types::I64);
        self.b.def_var(variable, value);
        variable
    }

    fn iterate(
        &mut self,
        statement: &Statement,
        to: Local,
        iterable: &Atom,
        body: &[Statement],
        otherwise: &[Statement],
    ) -> bool {
        let value = self.atom(iterable);
        if value.ty.table().is_some() {
            let of = (iterable, View::Keys);
            return self.iterate_table(statement, of, to, [body, otherwise]);
        }
        let Some(ty) = iterated(&value.ty) else {
            self.leave("not iterable");
            self.end_checks();
            return false;
        };
        let to_local = to;
        let to = Some((to, ty));
        if value.ty.tags == Tags::of(RANGE) {
            let step = match value.ty.form {
                Form::Range(step) => Some(step),
                _ => None,
            };
            let words = value.parts.iter().map(|part| self.word(part));
            let words = words.collect::<Vec<_>>();
            self.check_range_ends(&words, step, value.ty.natural);
            let is_natural = value.ty.natural;
            let ends = match step {
                Some(1..) => Some((words[0], words[1], is_natural)),
                Some(..=-1) => {
                    let low = self.b.ins().iadd_imm_s(words[1], 1);
                    let high = self.b.ins().iadd_imm_s(words[0], 1);
                    Some((low, high, value.ty.natural))
                }
                _ => None,
            };
            let n_known = match ends {
                Some((low, high, is_natural)) => {
                    let count = Count {
                        counter: to_local,
                        low,
                        high,
                        is_natural,
                    };
                    self.hoist(&count, body)
                }
                None => self.facts.len(),
            };
            let state = words.into_iter().map(|word| self.variable(word));
            let state = state.collect();
            let goes_on = self.repeat(
                statement,
                Source::Range(step, value.ty.natural),
                state,
                to,
                body,
                otherwise,
            );
            self.facts.truncate(n_known);
            return goes_on;
        }
        let is_list = value.ty.list().is_some() || value.ty.unboxed().is_some();
        let is_list = is_list && self.rt.ob_item != 0 || value.ty.is_bytes() || is_str(&value.ty);
        if value.ty.array().is_some_and(|array| array.ndim > 0) || is_list {
            let object = self.word(&value);
            self.inc_ref(object);
            let zero = self.int(0);
            let state = vec![self.variable(object), self.variable(zero)];
            let source = Source::Sequence(value);
            return self.repeat(statement, source, state, to, body, otherwise);
        }
        if let Some((item, n_inner)) = spread(&value.ty) {
            let state = self.lay_out_parts(&value, &item).to_vec();
            let source = Source::Spread(value.parts.len(), n_inner);
            return self.repeat(statement, source, state, to, body, otherwise);
        }
        let object = Ty::of(OBJECT);
        let iterator = self.through(&[&value], &object, |emitter, words| {
            emitter.call_word(emitter.rt.get_iter, &[words[0]])
        });
        let word = self.word(&iterator);
        let state = vec![self.variable(word)];
        self.repeat(statement, Source::Iterator, state, to, body, otherwise)
    }

    /// Leaves if the counter of a range could go so far that inference would be wrong about it.
    pub(super) fn check_range_ends(
        &mut self,
        words: &[Value],
        step: Option<i64>,
        is_natural: bool,
    ) {
        const FAR: i64 = 1 << (63 - COUNT_ROOM);
        const WHY: &str = "a range that goes far";
        // A loop upwards from zero or more has no turns if its end is below.
        if is_natural && step.is_some_and(|step| (1..=FAR).contains(&step)) {
            let far = self.int(FAR - 1);
            let beyond = self.b.ins().icmp(IntCC::SignedGreaterThan, words[1], far);
            self.exit_if(beyond, WHY);
            let beyond = self.b.ins().icmp(IntCC::SignedGreaterThan, words[0], far);
            self.exit_if(beyond, WHY);
            return;
        }
        let limit = self.int(2 * FAR - 1);
        for &word in words {
            let moved = self.b.ins().iadd_imm_s(word, FAR);
            let beyond = self.b.ins().icmp(IntCC::UnsignedGreaterThan, moved, limit);
            self.exit_if(beyond, WHY);
        }
    }

    pub(super) fn repeat(
        &mut self,
        statement: &Statement,
        mut source: Source,
        state: Vec<Variable>,
        to: Option<(Local, Ty)>,
        body: &[Statement],
        otherwise: &[Statement],
    ) -> bool {
        self.end_checks();
        for local in crate::infer::dropped_by_loop(&self.info, statement, &self.types) {
            self.drop_local(local);
        }
        let n_below = self.below.len();
        if matches!(source, Source::Forever) {
            self.run_ahead(body);
            self.begin(statement);
            self.hoist_below(body);
        }
        let joint = self.joint(statement.id);
        let n_checked = self.checked.len();
        let (head, latch, inside, end, after) = (
            self.new_block(),
            self.new_block(),
            self.new_block(),
            self.new_block(),
            self.new_block(),
        );
        self.coerce_to(&joint.head);
        let Some(at_head) = joint.head.clone() else {
            self.jump(head, &[]);
            self.b.switch_to_block(head);
            return false;
        };
        self.types.clone_from(&at_head);
        // Loops that count, and do nothing that takes long but call Python, which looks at signals.
        let counted = match &source {
            Source::Range(Some(step), _) if (1..=FAR_STEP).contains(step) => Some((0, *step)),
            Source::Sequence(of) if of.array.is_some() => Some((1, 1)),
            Source::Lockstep(all, _) if all.iter().all(|of| of.array.is_some()) => {
                Some((all.len(), 1))
            }
            _ => None,
        };
        let counted = counted.filter(|_| self.is_innermost(body));
        let to_local = to.as_ref().map(|(to, _)| *to);
        let own = match source {
            Source::Forever | Source::Spread(..) => &[],
            Source::Range(..) => &state[1..],
            Source::Sequence(_) | Source::Iterator | Source::Table(..) => &state[..1],
            Source::Lockstep(..) => &state[..state.len() - 1],
        };
        let n_settled = self.settle(statement.id, to_local, own, body);
        let from = counted.map(|(counter, _)| self.value_of(state[counter]));
        let vector = match (&source, to_local) {
            (Source::Range(Some(1), _), Some(to)) => {
                self.begin(statement);
                let row = Row::Number(to);
                let vector = self.vectorise(statement, row, [state[0], state[1]], body);
                self.end_checks();
                vector
            }
            (Source::Sequence(of), Some(to)) if counted.is_some() => {
                let size = of.array.as_ref().map(|fields| fields.sizes[0]);
                match (&statement.kind, size) {
                    (Kind::For(_, Atom::Local(array), ..), Some(size)) => {
                        self.begin(statement);
                        let (row, end) = (Row::Element(to, *array), self.variable(size));
                        let vector = self.vectorise(statement, row, [state[1], end], body);
                        self.end_checks();
                        vector
                    }
                    _ => None,
                }
            }
            (Source::Lockstep(all, None | Some(0)), Some(to)) if counted.is_some() => {
                let lockstep = self.info.lockstep_at(statement, &self.types).cloned();
                let row = lockstep.and_then(|loops| {
                    Row::in_lockstep(to, loops.start.is_some(), &loops.sequences, body)
                });
                row.and_then(|row| {
                    let end = self.least_size(all)?;
                    self.begin(statement);
                    let ends = [state[all.len()], self.variable(end)];
                    let vector = self.vectorise(statement, row, ends, body);
                    self.end_checks();
                    vector
                })
            }
            _ => None,
        };
        let island = counted.map(|(counter, _)| {
            let rest = state.iter().enumerate();
            let rest = rest.filter_map(|(at, &state)| (at != counter).then_some(state));
            let island = self.enter_island(statement.id, to_local, &rest.collect::<Vec<_>>(), body);
            self.put_away(state[counter]);
            self.fetch(state[counter]);
            island
        });
        if island.is_none() && self.is_innermost(body) {
            self.embark(body);
        }
        if island.is_some() {
            let sequences = match &mut source {
                Source::Sequence(of) => std::slice::from_mut(of),
                Source::Lockstep(all, _) => all.as_mut_slice(),
                _ => &mut [],
            };
            for fields in sequences.iter_mut().filter_map(|of| of.array.as_mut()) {
                let words = fields.data.iter_mut().chain(&mut fields.sizes);
                for word in words.chain(&mut fields.strides) {
                    *word = self.ferried(*word);
                }
            }
        }
        if island.is_some() {
            // By the vector rows have no order.
            let is_up = matches!(source, Source::Range(Some(1), _)) && vector.is_none();
            self.forward(to_local, is_up.then(|| [state[0], state[1]]), body);
        }
        let pause = counted.map(|(at, step)| {
            let started = vector.zip(from);
            self.first_pause(&source, &state, at, step, started)
        });
        self.jump(head, &[]);
        self.b.switch_to_block(head);
        let n_facts = self.turns.last().map_or(0, |turn| turn.n_facts_inside);
        self.turns.push(Turn {
            n_facts_inside: self.facts.len(),
            n_settled,
            id: statement.id,
            shape: match source {
                Source::Forever => None,
                Source::Range(..) => Some(LoopShape::Range),
                Source::Sequence(_) => Some(LoopShape::Sequence),
                Source::Table(_, view) => Some(LoopShape::Table(view as u64)),
                Source::Lockstep(ref all, start) => Some(LoopShape::Lockstep(all.len(), start)),
                Source::Spread(n, n_inner) => Some(LoopShape::Spread(n, n_inner)),
                Source::Iterator => Some(LoopShape::Iterator),
            },
            state: state.clone(),
            head: latch,
            after,
            checked_at_breaks: None,
            is_between: true,
            last: self.last_of_turn(body),
            counter: match source {
                Source::Range(step, _) => Some((state[0], step)),
                _ => None,
            },
            island: island.clone(),
        });
        let was_unsure = self.is_unsure;
        let is_unsure = was_unsure || self.are_foreign(body);
        let is_foreign_item = |(_, ty): &(Local, Ty)| !is_tame(ty) && !is_container(ty);
        let is_foreign =
            matches!(source, Source::Iterator) || to.as_ref().is_some_and(is_foreign_item);
        self.is_unsure = is_unsure || is_foreign;
        // What fails at the head or the latch fails in this line.
        self.begin(statement);
        let item = self.check_turn(&source, &state, inside, end);
        // Where the check is cheap it is repeated at the end of the loop, to save a jump.
        let is_rotated = matches!(
            source,
            Source::Range(..)
                | Source::Sequence(_)
                | Source::Lockstep(..)
                | Source::Table(..)
                | Source::Spread(..)
        );
        if is_rotated {
            self.b.seal_block(head);
            self.b.switch_to_block(inside);
        } else {
            self.start(inside);
        }
        if let Some((to, ty)) = to {
            let item = self.item_of_turn(&source, &state, item, &ty);
            let item = self.hinted((statement.id, 0), to, Val { ty, ..item });
            self.bind(to, item);
        }
        self.end_checks();
        self.set_between(false);
        if self.block(body) {
            self.jump_to(latch, &joint.head);
        }
        self.set_between(true);
        self.start(latch);
        self.types.clone_from(&at_head);
        self.turn_forwarded();
        self.begin(statement);
        if let Source::Range(step, _) = source {
            let now = self.value_of(state[0]);
            let next = match step {
                Some(step) => self.b.ins().iadd_imm_s(now, step),
                None => {
                    let step = self.value_of(state[2]);
                    self.b.ins().iadd(now, step)
                }
            };
            self.b.def_var(state[0], next);
        }
        if let Some(pause) = &pause {
            self.turn_or_pause(pause, inside, end);
            self.b.seal_block(inside);
        } else if is_rotated {
            self.tick();
            self.check_turn(&source, &state, inside, end);
            self.b.seal_block(inside);
        } else {
            self.tick();
            self.jump(head, &[]);
            self.b.seal_block(head);
        }
        self.end_checks();
        self.checked.truncate(n_checked);
        self.start(end);
        self.types = at_head;
        self.unsettle(n_settled);
        if self.is_innermost(body) {
            self.end_island();
            self.forwarded = None;
        }
        if let Some(island) = &island {
            self.leave_island(island);
            self.bring_along(island);
        }
        if matches!(source, Source::Forever) {
            // Never reached: the loop is only left by break.
            self.resume_at_nothing();
            let turn = self.turns.pop();
            if let Some(checked) = turn.and_then(|turn| turn.checked_at_breaks) {
                self.checked = checked;
            }
            self.below.truncate(n_below);
        } else {
            self.release_turns(self.turns.len() - 1);
            self.turns.pop();
            self.facts.truncate(n_facts);
            self.is_unsure = is_unsure || self.is_foreign(statement);
            if self.block(otherwise) {
                self.jump_to(after, &joint.after);
            }
            self.checked.truncate(n_checked);
        }
        self.is_unsure = was_unsure;
        self.resume_at(after, joint.after)
    }

    pub(super) fn set_between(&mut self, is_between: bool) {
        if let Some(turn) = self.turns.last_mut() {
            turn.is_between = is_between;
        }
    }

    /// Goes on into the loop or to its end; what the next turn gets, if Python says it.
    fn check_turn(
        &mut self,
        source: &Source,
        state: &[Variable],
        inside: Block,
        end: Block,
    ) -> Option<Value> {
        match source {
            Source::Forever => {
                self.jump(inside, &[]);
                None
            }
            Source::Range(step, is_up) => {
                let (now, stop) = (self.value_of(state[0]), self.value_of(state[1]));
                let up =
                    |emitter: &mut Self| emitter.b.ins().icmp(IntCC::SignedLessThan, now, stop);
                let down =
                    |emitter: &mut Self| emitter.b.ins().icmp(IntCC::SignedGreaterThan, now, stop);
                let goes_on = match step {
                    Some(1..) => up(self),
                    None if *is_up => up(self),
                    Some(_) => down(self),
                    None => {
                        let step = self.value_of(state[2]);
                        let (up, down) = (up(self), down(self));
                        let forward = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, step, 0);
                        self.b.ins().select(forward, up, down)
                    }
                };
                self.b.ins().brif(goes_on, inside, &[], end, &[]);
                None
            }
            Source::Sequence(of) => {
                let index = self.value_of(state[1]);
                let size = match of.array.as_ref() {
                    Some(fields) => fields.sizes[0],
                    None if is_str(&of.ty) => {
                        let text = self.value_of(state[0]);
                        self.text_size(text)
                    }
                    None => self.list_of_turn(of, state).0,
                };
                let goes_on = self.b.ins().icmp(IntCC::UnsignedLessThan, index, size);
                self.b.ins().brif(goes_on, inside, &[], end, &[]);
                None
            }
            Source::Table(..) => {
                let goes_on = self.has_entry(state);
                self.b.ins().brif(goes_on, inside, &[], end, &[]);
                None
            }
            Source::Lockstep(sequences, _) => {
                let goes_on = self.has_turn(sequences, state);
                self.b.ins().brif(goes_on, inside, &[], end, &[]);
                None
            }
            Source::Spread(n, _) => {
                let (index, n) = (self.value_of(state[1]), self.count(*n));
                let goes_on = self.b.ins().icmp(IntCC::UnsignedLessThan, index, n);
                self.b.ins().brif(goes_on, inside, &[], end, &[]);
                None
            }
            Source::Iterator => {
                let iterator = self.value_of(state[0]);
                let out = self.scratch(1);
                let item = self.call_word(self.rt.iter_next, &[iterator, out]);
                let ended = self.new_block();
                self.b.ins().brif(item, inside, &[], ended, &[]);
                self.start(ended);
                let out = self.scratch(1);
                let status = self.load(types::I64, out, 0);
                self.fail_if_negative(status);
                self.jump(end, &[]);
                Some(item)
            }
        }
    }

    /// Size and items of the list that a loop runs over.
    pub(super) fn list_of_turn(&mut self, of: &Val, state: &[Variable]) -> (Value, Value) {
        let object = self.value_of(state[0]);
        let list = Val {
            word: Some(object),
            ..of.clone()
        };
        if of.ty.is_bytes() {
            return self.bytes_fields(&list);
        }
        self.list_fields(&list)
    }

    fn item_of_turn(
        &mut self,
        source: &Source,
        state: &[Variable],
        item: Option<Value>,
        ty: &Ty,
    ) -> Val {
        if let Source::Lockstep(sequences, start) = source {
            return self.items_of_turn(sequences, *start, state, ty);
        }
        if let Source::Table(of, view) = source {
            return self.entry_of_turn(of, *view, state);
        }
        if let Source::Spread(..) = source {
            return self.next_part([state[0], state[1]], ty);
        }
        let item = match (item, source) {
            (Some(item), _) => item,
            (None, Source::Range(..)) => self.value_of(state[0]),
            (None, Source::Sequence(of)) => {
                let index = self.value_of(state[1]);
                let next = self.b.ins().iadd_imm_s(index, 1);
                self.b.def_var(state[1], next);
                if of.array.is_some() {
                    index
                } else if is_str(&of.ty) {
                    let text = self.value_of(state[0]);
                    return self.char_at(text, index);
                } else {
                    let items = self.list_of_turn(of, state).1;
                    if of.ty.is_bytes() {
                        let place = self.b.ins().iadd(items, index);
                        return self.byte_at(place);
                    }
                    let bytes = self.b.ins().ishl_imm_u(index, 3);
                    let place = self.b.ins().iadd(items, bytes);
                    self.load(types::I64, place, 0)
                }
            }
            (None, _) => self.int(0),
        };
        match source {
            Source::Forever | Source::Range(..) => Self::from_word(Ty::of(INT), item),
            Source::Iterator | Source::Lockstep(..) | Source::Table(..) | Source::Spread(..) => {
                Self::owned(ty.clone(), item)
            }
            Source::Sequence(of) => match (of.ty.array(), of.array.as_ref()) {
                (Some(array), Some(fields)) if array.ndim == 1 && array.dtype.tag().is_some() => {
                    let step = if array.contiguous {
                        self.int(array.dtype.size())
                    } else {
                        fields.strides[0]
                    };
                    let bytes = self.b.ins().imul(item, step);
                    let data = fields.data.unwrap_or(item);
                    let at = self.b.ins().iadd(data, bytes);
                    self.load_at(array.dtype, at)
                }
                (Some(_), _) => {
                    let object = self.value_of(state[0]);
                    let array = Self::from_word(Ty::of(OBJECT), object);
                    let index = Self::from_word(Ty::of(INT), item);
                    self.through(&[&array, &index], ty, |emitter, words| {
                        emitter.call_word(emitter.rt.get_item, &[words[0], words[1]])
                    })
                }
                _ => match of.ty.unboxed() {
                    Some(element) => self.unboxed_word(item, &element.clone()),
                    None => self.next_of_list(item, ty),
                },
            },
        }
    }

    /// Where the counter pauses first.
    fn first_pause(
        &mut self,
        source: &Source,
        state: &[Variable],
        counter: usize,
        step: i64,
        started: Option<(Vector, Value)>,
    ) -> Pause {
        let now = self.value_of(state[counter]);
        let end = match source {
            Source::Sequence(Val {
                array: Some(fields),
                ..
            }) => fields.sizes[0],
            Source::Lockstep(all, _) => self.least_size(all).unwrap_or(now),
            _ => self.value_of(state[1]),
        };
        let from = started.as_ref().map_or(now, |(_, from)| *from);
        let (begun, end_of_count) = (self.variable(from), self.variable(end));
        self.put_away(begun);
        self.put_away(end_of_count);
        let mut at = self.pause_after(now, end, step);
        if let Some((vector, _)) = &started {
            at = self.pause_soon(vector, now, at);
            at = self.pause_behind(from, now, at);
        }
        Pause {
            counter: state[counter],
            step,
            begun,
            end: end_of_count,
            at: self.variable(at),
            vector: started.map(|(vector, _)| vector),
        }
    }

    /// The size of the smallest of arrays.
    fn least_size(&mut self, arrays: &[Val]) -> Option<Value> {
        let sizes = arrays.iter().map(|of| Some(of.array.as_ref()?.sizes[0]));
        let sizes = sizes.collect::<Option<Vec<_>>>()?;
        sizes.into_iter().reduce(|a, b| self.b.ins().smin(a, b))
    }

    fn pause_after(&mut self, now: Value, end: Value, step: i64) -> Value {
        let later = self.b.ins().iadd_imm_s(now, TICKS * step);
        let is_over = self.b.ins().icmp(IntCC::SignedLessThan, end, later);
        self.b.ins().select(is_over, end, later)
    }

    /// Goes on with the next turn; after many, or at the end, the turns are taken off the ticks.
    fn turn_or_pause(&mut self, pause: &Pause, inside: Block, end: Block) {
        let (now, at) = (self.b.use_var(pause.counter), self.b.use_var(pause.at));
        let goes_on = self.b.ins().icmp(IntCC::SignedLessThan, now, at);
        let paused = self.new_block();
        self.b.ins().brif(goes_on, inside, &[], paused, &[]);
        self.start(paused);
        let begun = self.berthed(pause.begun);
        let done = self.b.ins().isub(now, begun);
        self.fetch(self.ticks);
        self.take_ticks_of_turns(done);
        self.put_away(self.ticks);
        let stop = self.berthed(pause.end);
        let goes_on = self.b.ins().icmp(IntCC::SignedLessThan, now, stop);
        let more = self.cold_block();
        self.b.ins().brif(goes_on, more, &[], end, &[]);
        self.start(more);
        self.load_forwarded();
        let begun = now;
        let now = match &pause.vector {
            Some(vector) => self.resume_vector(vector, now, stop),
            None => now,
        };
        self.b.def_var(pause.counter, now);
        let mut next = self.pause_after(now, stop, pause.step);
        if pause.vector.is_some() {
            next = self.pause_behind(begun, now, next);
        }
        self.b.def_var(pause.begun, begun);
        self.put_away(pause.begun);
        self.b.def_var(pause.at, next);
        let goes_on = self.b.ins().icmp(IntCC::SignedLessThan, now, stop);
        if pause.vector.is_some() {
            self.b.ins().brif(goes_on, inside, &[], end, &[]);
        } else {
            self.jump(inside, &[]);
        }
    }

    /// Looks at signals once in a while, so that a long loop can be interrupted.
    pub(super) fn tick(&mut self) {
        let one = self.int(1);
        self.take_ticks_of_turns(one);
    }

    /// The same between two turns that statements have done.
    fn take_ticks_of_turns(&mut self, n_ticks: Value) {
        self.take_ticks_and(n_ticks, Self::look_after_signals);
    }

    pub(super) fn take_ticks(&mut self, n_ticks: Value) {
        self.take_ticks_and(n_ticks, |_| ());
    }

    fn take_ticks_and(&mut self, n_ticks: Value, then: impl FnOnce(&mut Self)) {
        let ticks = self.b.use_var(self.ticks);
        let ticks = self.b.ins().isub(ticks, n_ticks);
        self.b.def_var(self.ticks, ticks);
        let (look, on) = (self.cold_block(), self.new_block());
        let is_left = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, ticks, 0);
        self.b.ins().brif(is_left, on, &[], look, &[]);
        self.start(look);
        let status = self.call_rarely(self.rt.check_signals, &[]);
        self.fail_if_negative(status);
        then(self);
        let full = self.int(TICKS);
        self.b.def_var(self.ticks, full);
        self.jump(on, &[]);
        self.start(on);
    }
}
