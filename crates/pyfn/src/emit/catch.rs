//! Exceptions that are caught.
//!
//! What raises in the body of a try statement goes to the handler, if that is for it, by a jump: the
//! locals are what they were before the statement, and what was on Python's stack is released. The
//! exception is kept for Python, which raises it once more if it takes over in the handler.
//!
//! In a *quiet* handler nobody can tell that there is no exception (`handled`). A *loud* one runs
//! anything: so the exception gets a traceback first, and is then the one that Python says is being
//! handled, as long as the handler runs. Python takes over at once if there was one already.

use cranelift_codegen::ir::{Block, InstBuilder, types};

use super::Emitter;
use crate::infer::{State, unwound};
use crate::program::{Catch, Id, Statement};
use crate::types::{INT, OBJECT, Tags, Ty, UNSET};

/// A block whose exceptions are caught.
pub(super) struct Attempt {
    id: Id,
    catch: Catch,
    /// Where its handler begins, and the types there.
    start: Block,
    types: State,
    /// How many loops are around it.
    n_turns: usize,
    is_loud: bool,
    /// Whether anything jumps to the handler.
    is_used: bool,
}

/// A handler of exceptions that are caught.
pub(super) struct Handling {
    is_loud: bool,
}

impl Emitter<'_, '_> {
    /// A block with a handler; whether anything follows.
    pub(super) fn attempt(
        &mut self,
        statement: &Statement,
        catch: &Catch,
        [body, handler]: [&[Statement]; 2],
    ) -> bool {
        self.end_checks();
        let joint = self.joint(statement.id);
        let (start, done) = (self.new_block(), self.new_block());
        let is_loud = self.unit.specs[self.spec].loud.contains(&statement.id);
        self.attempts.push(Attempt {
            id: statement.id,
            catch: catch.clone(),
            start,
            types: joint.head.clone(),
            n_turns: self.turns.len(),
            is_loud,
            is_used: false,
        });
        // The handler may be entered before any index in the body was looked at.
        let n_checked = self.checked.len();
        if self.block(body) {
            self.jump_to(done, &joint.after);
        }
        self.checked.truncate(n_checked);
        let is_used = self.attempts.pop().is_some_and(|attempt| attempt.is_used);
        if let Some(types) = joint.head.filter(|_| is_used) {
            self.start(start);
            self.types = types;
            self.handling.push(Handling { is_loud });
            let was_unsure = std::mem::replace(&mut self.is_unsure, true);
            if self.block(handler) {
                self.jump_to(done, &joint.after);
            }
            self.handling.pop();
            self.is_unsure = was_unsure;
        }
        self.checked.truncate(n_checked);
        self.resume_at(done, joint.after)
    }

    /// Where a statement has raised: goes on in the handler, if there is one that is for it.
    pub(super) fn go_to_handler(&mut self) {
        let Some(at) = self.attempts.len().checked_sub(1) else {
            return;
        };
        let Attempt {
            id,
            start,
            n_turns,
            is_loud,
            ..
        } = self.attempts[at];
        let (catch, target) = (
            self.attempts[at].catch.clone(),
            self.attempts[at].types.clone(),
        );
        if self.is_handled
            || !self.handling.is_empty()
            || n_turns != self.turns.len()
            || target.is_none()
            || catch.kinds.is_empty()
        {
            return;
        }
        let classes = catch.kinds.iter().map(|(_, class)| self.atom(class));
        let classes = classes.collect::<Vec<_>>();
        if classes
            .iter()
            .any(|class| class.ty.tags != Tags::of(OBJECT))
        {
            return;
        }
        self.attempts[at].is_used = true;
        let room = self.scratch(2 * classes.len());
        for (at, ((number, _), class)) in catch.kinds.iter().zip(&classes).enumerate() {
            let (class, number) = (self.word(class), self.count(*number));
            let offset = i32::try_from(16 * at).unwrap_or(0);
            self.store(class, room, offset);
            self.store(number, room, offset + 8);
        }
        let record = self.record((String::new(), false), Vec::new(), Vec::new());
        let (n, loud) = (self.count(classes.len()), self.int(i64::from(is_loud)));
        let error = self.call_word(self.rt.caught, &[record, room, n, loud]);
        let (caught, other) = (self.cold_block(), self.cold_block());
        self.b.ins().brif(error, caught, &[], other, &[]);
        self.start(caught);
        let room = self.scratch(1);
        let which = self.load(types::I64, room, 0);
        let prepared = self.prepared.clone();
        let types = std::mem::replace(&mut self.types, prepared);
        for local in unwound(&self.info, id, &self.types) {
            self.drop_local(local);
            self.types[local] = Ty::of(UNSET);
        }
        self.bind(catch.error, Self::owned(Ty::of(OBJECT), error));
        let number = i64::try_from(self.statement).unwrap_or(0);
        let number = self.int(if is_loud { -1 - number } else { number });
        self.bind(catch.at, Self::from_word(Ty::of(INT), number));
        self.bind(catch.which, Self::from_word(Ty::of(INT), which));
        self.jump_to(start, &target);
        self.types = types;
        self.start(other);
    }

    /// Whether an exception that was caught here is the one that Python says is being handled.
    pub(super) fn is_handling(&self) -> bool {
        self.handling
            .last()
            .is_some_and(|handling| handling.is_loud)
    }

    /// The handler is done.
    pub(super) fn end_handling(&mut self) {
        if let Some(handling) = self.handling.last_mut()
            && handling.is_loud
        {
            self.call(self.rt.end_handling, &[], None);
        }
    }
}
