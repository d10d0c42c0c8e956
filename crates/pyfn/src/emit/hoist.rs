//! Bounds checked once for a whole loop.
//!
//! In `for i in range(n)` an index is mostly `i`, `i + 1`, or something that the loop does not
//! change. Whether all turns stay within an array can then be asked before the first: the function
//! is left there if not. That is a guess, as the loop might end before it gets there, or not index
//! at all; when it was wrong once, the function is compiled again without.
//!
//! Known to be within bounds are triples of an array's local, a dimension, and the index's local,
//! while a loop runs that binds neither anew.

use std::collections::{HashMap, HashSet};

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC};

use super::Emitter;
use crate::liveness::for_each_target;
use crate::program::{Atom, Bin, Expr, Index, Kind, Local, Statement};
use crate::types::Tags;

/// Why a function is left where the guess was wrong.
pub const HOISTED: &str = "a loop that may leave the bounds of an array";

/// An index known to be within bounds.
pub(super) type Fact = (Local, usize, Local);

/// What a loop does that matters here.
#[derive(Default)]
struct Body {
    bound: HashMap<Local, usize>,
    accesses: HashSet<Fact>,
    /// Locals that are the counter plus a constant.
    shifted: HashMap<Local, i64>,
}

impl Body {
    fn of(body: &[Statement], counter: Local) -> Self {
        let mut found = Self::default();
        let mut todo = body.iter().collect::<Vec<_>>();
        while let Some(statement) = todo.pop() {
            todo.extend(statement.blocks().into_iter().flatten());
            for_each_target(&statement.kind, &mut |local| {
                *found.bound.entry(local).or_default() += 1;
            });
            match &statement.kind {
                Kind::Set(to, e) => match e {
                    Expr::Item(Atom::Local(of), index) => found.access(*of, index),
                    Expr::Bin(Bin::Add, Atom::Local(a), Atom::Int(b), false) if *a == counter => {
                        found.shifted.insert(*to, *b);
                    }
                    Expr::Bin(Bin::Sub, Atom::Local(a), Atom::Int(b), false) if *a == counter => {
                        found.shifted.insert(*to, b.wrapping_neg());
                    }
                    _ => {}
                },
                Kind::SetItem(Atom::Local(of), index, _) => found.access(*of, index),
                _ => {}
            }
        }
        found
    }

    fn access(&mut self, of: Local, index: &Index) {
        let parts = match index {
            Index::Atom(_) => std::slice::from_ref(index),
            Index::Tuple(parts) => parts.as_slice(),
            Index::Slice(_) => return,
        };
        for (dimension, part) in parts.iter().enumerate() {
            if let Index::Atom(Atom::Local(local)) = part {
                self.accesses.insert((of, dimension, *local));
            }
        }
    }
}

impl Emitter<'_, '_> {
    /// Checks before a loop over a range what will be known in it; how many facts there were before.
    pub(super) fn hoist(
        &mut self,
        counter: Local,
        body: &[Statement],
        [start, stop]: [Value; 2],
        is_natural: bool,
    ) -> usize {
        let n_known = self.facts.len();
        if !self.unit.hoists {
            return n_known;
        }
        self.end_checks();
        let body = Body::of(body, counter);
        let mut accesses = body.accesses.iter().copied().collect::<Vec<_>>();
        accesses.sort_unstable();
        for fact in accesses {
            let (of, dimension, index) = fact;
            let Some(array) = self.types[of].array() else {
                continue;
            };
            if body.bound.contains_key(&of) || dimension >= array.ndim || self.facts.contains(&fact)
            {
                continue;
            }
            let value = self.read_local(of);
            let Some(fields) = value.array else {
                continue;
            };
            let size = fields.sizes[dimension];
            let n_bound = body.bound.get(&index).copied().unwrap_or(0);
            if index == counter && n_bound == 0 && is_natural {
                self.leave_if_beyond(stop, size);
            } else if let Some(&shift) = body.shifted.get(&index)
                && n_bound == 1
                && !body.bound.contains_key(&counter)
                && shift.unsigned_abs() < 1 << 30
            {
                let last = self.b.ins().iadd_imm_s(stop, shift);
                self.leave_if_beyond(last, size);
                if shift < 0 || !is_natural {
                    let first = self.b.ins().iadd_imm_s(start, shift);
                    let negative = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, first, 0);
                    self.exit_if(negative, HOISTED);
                }
            } else if n_bound == 0 && index != counter {
                let ty = &self.types[index];
                let is_int = ty.tags.within(Tags::INDICES) && !ty.is_never();
                if !is_int || !ty.natural || ty.narrow.is_some() {
                    continue;
                }
                let index = self.read_local(index);
                let word = self.word(&index);
                let beyond = self
                    .b
                    .ins()
                    .icmp(IntCC::UnsignedGreaterThanOrEqual, word, size);
                self.exit_if(beyond, HOISTED);
            } else {
                continue;
            }
            self.facts.push(fact);
        }
        self.end_checks();
        n_known
    }

    fn leave_if_beyond(&mut self, stop: Value, size: Value) {
        let beyond = self.b.ins().icmp(IntCC::SignedGreaterThan, stop, size);
        self.exit_if(beyond, HOISTED);
    }
}
