//! Arrays of numbers that are written out: `np.array([x, y, z])`.
//!
//! In normal form a list is made, of which an array is made. Where all that goes in are numbers for certain,
//! the array is made of them at once.

use cranelift_codegen::ir::{InstBuilder, types};

use super::Emitter;
use crate::globals::Global;
use crate::program::{Atom, Expr, Kind, Local, Statement};
use crate::types::{FLOAT, INT, NP_FLOAT, NP_INT, Tags};

/// Numbers beyond which nothing is gained.
const N_MAX: usize = 64;

impl Emitter<'_, '_> {
    /// Emits the two statements that a block begins with, if they make such an array: how many there are,
    /// and whether anything follows.
    pub(super) fn array_literal(&mut self, block: &[Statement]) -> Option<(usize, bool)> {
        let statements = block.get(..2)?;
        let (to, items) = self.literal(statements)?;
        if self.rt.array_of == 0 || self.side.is_some() {
            return None;
        }
        let first = &statements[0];
        self.begin(first);
        let goes_on = self.prepare(first);
        self.end_checks();
        if !goes_on {
            return Some((1, false));
        }
        let is_of = |emitter: &Self, tags: Tags| {
            let mut all = items.iter().map(|item| emitter.scope().atom(item).tags);
            all.all(|item| item.within(tags) && !item.is_empty())
        };
        let is_float = is_of(self, Tags(1 << FLOAT | 1 << NP_FLOAT));
        if !is_float && !is_of(self, Tags(1 << INT | 1 << NP_INT)) {
            return None;
        }
        let mut words = Vec::new();
        for item in items {
            let value = self.atom(item);
            words.push(if is_float {
                self.flt(&value)
            } else {
                self.word(&value)
            });
        }
        let room = self.scratch(words.len());
        for (at, &word) in words.iter().enumerate() {
            self.store(word, room, i32::try_from(8 * at).unwrap_or(0));
        }
        let (n, is_float) = (self.count(words.len()), self.int(i64::from(is_float)));
        let made = self.call_word(self.rt.array_of, &[room, n, is_float]);
        let object = self.b.declare_var(types::I64);
        self.b.def_var(object, made);
        let [one_by_one, done, after] = [(); 3].map(|()| self.new_block());
        self.b.ins().brif(made, done, &[], one_by_one, &[]);
        let goes_on = self.or_one_by_one(statements, Some(to), object, [one_by_one, done, after]);
        Some((2, goes_on))
    }

    /// The local that two statements bind to an array of such items.
    fn literal<'s>(&self, statements: &'s [Statement]) -> Option<(Local, &'s [Atom])> {
        let [list, array] = statements else {
            return None;
        };
        let Kind::Set(temporary, Expr::List(items)) = &list.kind else {
            return None;
        };
        let Kind::Set(to, Expr::Call(Atom::Global(function), args, named)) = &array.kind else {
            return None;
        };
        let is_array = matches!(
            &self.info.globals[*function],
            Global::Builtin { name, .. } if name == "numpy.array"
        );
        let is_whole = *args == [Atom::Local(*temporary)] && named.is_empty() && is_array;
        let is_last = !self.info.liveness.after[array.id].has(*temporary) && to != temporary;
        let is_short = (1..=N_MAX).contains(&items.len());
        let is_plain = !list.is_handled && !array.is_handled;
        (is_whole && is_last && is_short && is_plain).then_some((*to, items))
    }
}
