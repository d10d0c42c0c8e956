//! Branches on `a and b`, `a or b`.
//!
//! In normal form the value of `a and b` is a local that `a` binds, and `b` anew if `a` is true; a
//! branch on it asks the local once more. Where `a` alone decides, what that branch will find is
//! known, so machine code goes to its side at once:
//!
//! ```text
//! t = a              a ─ false ───────┐
//! if t: t = b        b ─ false ─┐     │
//! if t: … else: …    yes        no ◀──┘
//! ```

use cranelift_codegen::ir::{Block, InstBuilder, SourceLoc};

use super::Emitter;
use crate::infer::State;
use crate::program::{Atom, Kind, Local, Statement};
use crate::types::Tags;

/// A part of such a condition: what it looks at, what follows if the local does not decide, and on
/// which side that is.
struct Shortcut<'s> {
    of: Local,
    more: &'s [Statement],
    goes_on_if: bool,
}

impl<'s> Shortcut<'s> {
    fn of(statement: &'s Statement) -> Option<Self> {
        let Kind::If(Atom::Local(of), then, otherwise) = &statement.kind else {
            return None;
        };
        let (more, goes_on_if) = match (then.as_slice(), otherwise.as_slice()) {
            (more @ [_, ..], []) => (more, true),
            ([], more @ [_, ..]) => (more, false),
            _ => return None,
        };
        let of = *of;
        (!statement.is_handled).then_some(Self {
            of,
            more,
            goes_on_if,
        })
    }
}

impl Emitter<'_, '_> {
    /// Emits a condition and the branch on it, if a block begins so; whether its end is reached.
    pub(super) fn shortcut(&mut self, block: &[Statement]) -> Option<bool> {
        let [first, second, ..] = block else {
            return None;
        };
        let condition = Shortcut::of(first)?;
        let Kind::If(Atom::Local(of), then, otherwise) = &second.kind else {
            return None;
        };
        let state = self.joint(first.id).after;
        let types = state.as_ref()?;
        let is_plain = self.is_number(condition.of)
            && types[*of].tags.within(Tags::NUMBERS)
            && types.iter().all(|ty| ty.narrow.is_none());
        if *of != condition.of || !is_plain || second.is_handled {
            return None;
        }
        let around = self.b.srcloc();
        let n_checked = self.checked.len();
        let mut decided = None;
        let is_open = self.part(first, &condition, &mut decided, &state);
        let Some(decided) = decided.filter(|_| is_open) else {
            if let Some(decided) = decided {
                self.checked.truncate(n_checked);
                self.start(decided);
                self.types.clone_from(types);
            }
            self.b.set_srcloc(around);
            return Some((is_open || decided.is_some()) && self.statement(second));
        };
        self.coerce_to(&state);
        self.types.clone_from(types);
        self.locate(second);
        let value = self.atom(&Atom::Local(*of));
        let truth = self.truth(&value);
        self.end_checks();
        let after = self.joint(second.id).after;
        let (yes, no, done) = (self.new_block(), self.new_block(), self.new_block());
        let sides = [(yes, then.as_slice()), (no, otherwise.as_slice())];
        self.branch_to(truth, sides);
        self.start(decided);
        // Nothing decided before on this side only.
        let n_all = self.checked.len();
        let (decided_side, n_checked) = if condition.goes_on_if {
            (no, [n_all, n_checked])
        } else {
            (yes, [n_checked, n_all])
        };
        self.jump(decided_side, &[]);
        let goes_on = self.sides(second.id, sides, n_checked, done, after);
        self.b.set_srcloc(around);
        Some(goes_on)
    }

    /// A part of a condition; whether its end is reached, where the local is still to be asked.
    /// Where it decides, `decided` is next, and all is as in `state`.
    fn part(
        &mut self,
        statement: &Statement,
        part: &Shortcut<'_>,
        decided: &mut Option<Block>,
        state: &State,
    ) -> bool {
        self.locate(statement);
        if !self.prepare(statement) {
            self.end_checks();
            return false;
        }
        let value = self.atom(&Atom::Local(part.of));
        let truth = self.truth(&value);
        let (more, goes_on_if) = (part.more, part.goes_on_if);
        let sides = if goes_on_if { [more, &[]] } else { [&[], more] };
        if self.convert(statement, truth, sides) {
            return true;
        }
        self.end_checks();
        let (go_on, stop) = (self.new_block(), self.new_block());
        let [yes, no] = if goes_on_if {
            [go_on, stop]
        } else {
            [stop, go_on]
        };
        self.b.ins().brif(truth, yes, &[], no, &[]);
        let [types_on, types_off] =
            [goes_on_if, !goes_on_if].map(|side| self.refined(statement.id, side));
        self.types = types_off;
        self.start(stop);
        let to = *decided.get_or_insert_with(|| self.b.create_block());
        self.jump_to(to, state);
        self.types = types_on;
        self.start(go_on);
        let Some((last, before)) = more.split_last() else {
            return true;
        };
        let is_next = |next: &Shortcut<'_>| next.of == part.of && next.goes_on_if == goes_on_if;
        match Shortcut::of(last).filter(is_next) {
            Some(next) => {
                self.block(before)
                    && if self.is_number(next.of) {
                        self.part(last, &next, decided, state)
                    } else {
                        self.statement(last)
                    }
            }
            None => self.block(more),
        }
    }

    /// Whether a local is a number for certain: looked at twice it is the same, and nobody sees it.
    fn is_number(&self, local: Local) -> bool {
        let tags = self.types[local].tags;
        tags.within(Tags::NUMBERS) && !tags.is_empty()
    }

    /// Begins a statement; its code is known by its number.
    fn locate(&mut self, statement: &Statement) {
        let number = u32::try_from(statement.id).unwrap_or_default();
        self.b.set_srcloc(SourceLoc::new(number));
        self.begin(statement);
    }
}
