//! Looking whether the names that were frozen still are what they were.
//!
//! Whoever calls the function has looked. From a statement on that may run code of anybody's (`foreign`)
//! nothing is sure, until the next statement that uses what is frozen: before that one they are looked at
//! again, and if a name has changed, the function is left. Where paths come together it is sure only
//! what is so on all of them; a loop is entered as unsure as its turns may leave it.
//!
//! What is kept of an array is where its elements lie. Code of anybody's may give it another shape, so
//! behind a statement that may, all arrays are looked at.
//!
//! Handlers of signals run between two turns of a loop, once in a long while, and what is looked at then is
//! found behind the last statement of the turn that is done.

use cranelift_codegen::ir::{Block, InstBuilder, Value, condcodes::IntCC, types};

use super::Emitter;
use crate::foreign::may_use_frozen;
use crate::program::{Id, Kind, Statement, all_statements};

const CHANGED: &str = "a global that has changed";

impl Emitter<'_, '_> {
    /// Looks at the guards if the statements that come next need them.
    pub(super) fn be_sure(&mut self, rest: &[Statement]) {
        let Some(first) = rest.first() else {
            return;
        };
        if !self.is_unsure || self.side.is_some() || !self.needs_guards(rest) {
            return;
        }
        self.begin(first);
        if let Some(lockstep) = self.lockstep_here(first) {
            // Before the first turn Python goes on at the call.
            self.statement = lockstep.call;
        }
        let changed = self.guards_differ();
        let (look, gone, on) = (self.cold_block(), self.cold_block(), self.new_block());
        self.b.ins().brif(changed, look, &[], on, &[]);
        self.start(look);
        let holds = self.guards_hold();
        self.b.ins().brif(holds, on, &[], gone, &[]);
        self.start(gone);
        let (record, frame) = self.hand_over(CHANGED.to_owned(), false);
        self.return_from(self.rt.leave, record, frame);
        self.start(on);
        self.is_unsure = false;
    }

    /// Whether one of the statements that belong to one expression uses what is frozen, or one that has
    /// others inside does.
    fn needs_guards(&self, rest: &[Statement]) -> bool {
        for statement in rest {
            if statement.blocks().iter().any(|block| !block.is_empty()) {
                return self.may_use_frozen(statement);
            }
            if self.scope().uses_frozen(&statement.kind) {
                return true;
            }
            let is_part = match statement.kind {
                Kind::Set(to, _) => self.info.program.locals[to].starts_with('.'),
                _ => false,
            };
            if !is_part {
                return false;
            }
        }
        false
    }

    fn may_use_frozen(&self, statement: &Statement) -> bool {
        may_use_frozen(statement, !self.info.classes.is_empty())
    }

    /// Whether one of these statements, or one inside, may run code of anybody's.
    pub(super) fn are_foreign(&self, block: &[Statement]) -> bool {
        !self.foreign.is_empty()
            && all_statements(block).any(|statement| self.is_foreign(statement))
    }

    pub(super) fn is_foreign(&self, statement: &Statement) -> bool {
        self.foreign.contains(&statement.id)
    }

    /// Leaves behind a statement that is done if it has given one of the arrays another shape, or other
    /// rights.
    pub(super) fn look_at_arrays(&mut self) {
        let is_array =
            |local: &usize| self.types[*local].array().is_some() && self.is_live_after(*local);
        let arrays = (0..self.types.len()).filter(is_array).collect::<Vec<_>>();
        if arrays.is_empty() {
            return;
        }
        let (same, gone) = (self.new_block(), self.cold_block());
        for local in arrays {
            let ty = self.types[local].clone();
            let known = self.read_local(local);
            let Some((array, fields)) = ty.array().zip(known.array.clone()) else {
                continue;
            };
            let object = self.word(&known);
            let check = self.check(array);
            let is_such = self.call_word(self.rt.is_array, &[object, check]);
            self.branch_unless(is_such, gone);
            let now = self.with_fields(Self::from_word(ty, object));
            let now = now.array.unwrap_or_default();
            let pairs = (fields
                .data
                .into_iter()
                .chain(fields.sizes)
                .chain(fields.strides))
            .zip(now.data.into_iter().chain(now.sizes).chain(now.strides));
            for (known, now) in pairs {
                let is_same = self.b.ins().icmp(IntCC::Equal, known, now);
                self.branch_unless(is_same, gone);
            }
        }
        self.jump(same, &[]);
        self.start(gone);
        self.before.clone_from(&self.types);
        let (record, frame) = self.hand_over("an array that has changed".to_owned(), true);
        self.return_from(self.rt.leave_behind, record, frame);
        self.start(same);
    }

    fn branch_unless(&mut self, condition: Value, away: Block) {
        let on = self.new_block();
        self.b.ins().brif(condition, on, &[], away, &[]);
        self.start(on);
    }

    /// Where a signal may have been handled: leaves if a name has changed.
    pub(super) fn look_after_signals(&mut self) {
        let Some(turn) = self.turns.last().filter(|turn| turn.is_between).cloned() else {
            // In a function that is put in place, and has done nothing that anybody could see.
            let holds = self.guards_hold();
            self.exit_unless(holds, CHANGED);
            return;
        };
        let Some(last) = turn.last else {
            return;
        };
        let holds = self.guards_hold();
        let (gone, on) = (self.cold_block(), self.new_block());
        self.b.ins().brif(holds, on, &[], gone, &[]);
        self.start(gone);
        let is_done = turn.shape.is_some();
        let statement = self.statement;
        if is_done {
            self.statement = last;
            self.set_between(false);
        }
        let counter = turn.counter.map(|(counter, step)| {
            let now = self.b.use_var(counter);
            let step = match step {
                Some(step) => self.int(step),
                None => self.value_of(turn.state[2]),
            };
            // Python goes on behind the turn that is done.
            let done = self.b.ins().isub(now, step);
            self.b.def_var(counter, done);
            (counter, now)
        });
        let (record, frame) = self.hand_over(CHANGED.to_owned(), is_done);
        let leave = if is_done {
            self.rt.leave_behind
        } else {
            self.rt.leave
        };
        self.return_from(leave, record, frame);
        if is_done {
            self.statement = statement;
            self.set_between(true);
        }
        self.start(on);
        if let Some((counter, now)) = counter {
            self.b.def_var(counter, now);
        }
    }

    /// The last statement of a loop's turns, if they may use what is frozen.
    pub(super) fn last_of_turn(&self, body: &[Statement]) -> Option<Id> {
        let uses = body.iter().any(|statement| self.may_use_frozen(statement));
        body.last().filter(|_| uses).map(|last| last.id)
    }

    /// Whether something was written where the names are.
    fn guards_differ(&mut self) -> Value {
        let Some(guards) = &self.unit.entry else {
            return self.int(1);
        };
        let words = guards.words.clone();
        let mut changed = self.int(0);
        for (word, expected) in words {
            let (word, expected) = (self.address(word), self.address(expected));
            let word = self.load(types::I64, word, 0);
            let expected = self.load(types::I64, expected, 0);
            let differs = self.b.ins().bxor(word, expected);
            changed = self.b.ins().bor(changed, differs);
        }
        changed
    }

    fn guards_hold(&mut self) -> Value {
        let owner = self.address(self.unit.owner);
        self.call_rarely(self.rt.guards_hold, &[owner])
    }
}
