//! Bounds checked once for a whole loop.
//!
//! In `for i in range(n)` an index is mostly `i`, `i + 1`, `i + k`, or something that the loop does
//! not change: a sum of the counter and of what stays the same. Whether all turns stay within an
//! array can then be asked before the first: the function is left there if not. That is a guess, as
//! the loop might end before it gets there, or not index at all; when it was wrong once, the function
//! is compiled again without.
//!
//! In a `while` loop that only counts a local down, as insertion sort does, all that is known before it is
//! that the local stays below what it is at first. That is one side of the bounds; the other is known
//! where the local is not negative (`implied`).
//!
//! Known to be within bounds are triples of an array's local, a dimension, and the index's local,
//! while a loop runs that binds neither anew, or binds the index before it is read in every turn.

use std::collections::{HashMap, HashSet};

use cranelift_codegen::ir::{InstBuilder, InstructionData, Value, condcodes::IntCC};

use super::Emitter;
use crate::liveness::{for_each_atom, for_each_target};
use crate::program::{Atom, Bin, Expr, Index, Kind, Local, Statement, all_statements};
use crate::types::{COUNT_ROOM, INT, Tags, Ty};

/// Why a function is left where the guess was wrong.
pub const HOISTED: &str = "a loop that may leave the bounds of an array";

/// An index known to be within bounds.
pub(super) type Fact = (Local, usize, Local);

/// What a loop does that matters here.
#[derive(Default)]
struct Body {
    bound: HashMap<Local, usize>,
    accesses: HashSet<Fact>,
    /// Locals that are a sum of a local and of something else.
    sums: HashMap<Local, (Local, Term)>,
    /// The first statement of the body that binds a local itself, and the first that reads it.
    first_bound: HashMap<Local, usize>,
    first_read: HashMap<Local, usize>,
}

#[derive(Clone, Copy)]
enum Term {
    Local(Local),
    Constant(i64),
}

/// A sum: whether the counter is in it, what else that stays the same, and a constant.
#[derive(Default)]
struct Sum {
    has_counter: bool,
    others: Vec<Local>,
    shift: i64,
}

/// Terms of a sum beyond which nobody looks.
const N_TERMS_MAX: usize = 4;

/// A count of a loop: from the first on, to before the last.
pub(super) struct Count {
    pub(super) counter: Local,
    pub(super) low: Value,
    pub(super) high: Value,
    pub(super) is_natural: bool,
}

impl Body {
    fn of(body: &[Statement]) -> Self {
        let mut found = Self::default();
        for (at, statement) in body.iter().enumerate() {
            if let Kind::Set(to, _) = statement.kind {
                found.first_bound.entry(to).or_insert(at);
            }
            for statement in all_statements(std::slice::from_ref(statement)) {
                found.add(at, &statement.kind);
            }
        }
        found
    }

    fn add(&mut self, at: usize, kind: &Kind) {
        for_each_target(kind, &mut |local| {
            *self.bound.entry(local).or_default() += 1
        });
        for_each_atom(kind, &mut |atom| {
            if let Atom::Local(local) = atom {
                self.first_read.entry(*local).or_insert(at);
            }
        });
        match kind {
            Kind::Set(_, Expr::Item(Atom::Local(of), index)) => self.access(*of, index),
            Kind::SetItem(Atom::Local(of), index, _) => self.access(*of, index),
            Kind::Set(to, Expr::Bin(op, a, b, _)) => {
                let sum = match (op, a, b) {
                    (Bin::Add, Atom::Local(a), Atom::Local(b)) => Some((*a, Term::Local(*b))),
                    (Bin::Add, Atom::Local(a), Atom::Int(b))
                    | (Bin::Add, Atom::Int(b), Atom::Local(a)) => Some((*a, Term::Constant(*b))),
                    (Bin::Sub, Atom::Local(a), Atom::Int(b)) => {
                        Some((*a, Term::Constant(b.wrapping_neg())))
                    }
                    _ => None,
                };
                self.sums.extend(sum.map(|sum| (*to, sum)));
            }
            _ => {}
        }
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

    /// What an index is in every turn, if it is such a sum; `is_fresh` says of a local that it is
    /// never read before it is bound.
    fn sum(&self, index: Local, counter: Local, is_fresh: impl Fn(Local) -> bool) -> Option<Sum> {
        let mut sum = Sum::default();
        let mut todo = vec![index];
        let mut n_terms = 0;
        while let Some(local) = todo.pop() {
            n_terms += 1;
            if n_terms > N_TERMS_MAX {
                return None;
            }
            match self.bound.get(&local) {
                None if local == counter => {
                    if sum.has_counter {
                        return None;
                    }
                    sum.has_counter = true;
                }
                None => sum.others.push(local),
                Some(1) if is_fresh(local) && local != counter => {
                    let &(a, b) = self.sums.get(&local)?;
                    todo.push(a);
                    match b {
                        Term::Local(b) => todo.push(b),
                        Term::Constant(b) => sum.shift = sum.shift.checked_add(b)?,
                    }
                }
                Some(_) => return None,
            }
        }
        (sum.shift.unsigned_abs() < 1 << 30).then_some(sum)
    }

    /// The local that is counted down which an index is, and what is added to it, if it is bound before
    /// it is read.
    fn moved(&self, index: Local, down: &[Local], is_fresh: bool) -> Option<(Local, i64)> {
        if down.contains(&index) {
            return Some((index, 0));
        }
        if self.bound.get(&index) != Some(&1) || !is_fresh {
            return None;
        }
        match self.sums.get(&index)? {
            (local, Term::Constant(shift)) if down.contains(local) => {
                (shift.unsigned_abs() < 1 << 30).then_some((*local, *shift))
            }
            _ => None,
        }
    }

    /// Whether a local that is bound in the loop is bound before it is read, in every turn.
    fn is_bound_first(&self, local: Local) -> bool {
        let bound = self.first_bound.get(&local);
        bound.is_some_and(|bound| self.first_read.get(&local).is_none_or(|read| bound < read))
    }
}

/// The locals that a loop binds by nothing but `j -= 1` and the like.
fn counted_down(body: &[Statement]) -> Vec<Local> {
    let mut down = Vec::new();
    let mut others = HashSet::new();
    for statement in all_statements(body) {
        for_each_target(&statement.kind, &mut |to| {
            let by = match &statement.kind {
                Kind::Set(_, Expr::Bin(Bin::Sub, Atom::Local(of), Atom::Int(by), _))
                    if *of == to =>
                {
                    *by
                }
                _ => 0,
            };
            if by > 0 {
                down.push(to);
            } else {
                others.insert(to);
            }
        });
    }
    down.retain(|local| !others.contains(local));
    down
}

impl Emitter<'_, '_> {
    /// Checks before a loop over a range what will be known in it; how many facts there were before.
    pub(super) fn hoist(&mut self, count: &Count, body: &[Statement]) -> usize {
        let n_known = self.facts.len();
        if !self.unit.hoists {
            return n_known;
        }
        self.end_checks();
        let body = Body::of(body);
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
            // Temporaries are read once, right behind where they are bound.
            let locals = &self.info.program.locals;
            let is_fresh =
                |local: Local| locals[local].starts_with('.') || body.is_bound_first(local);
            let Some(sum) = body.sum(index, count.counter, is_fresh) else {
                continue;
            };
            let Some(fields) = self.read_local(of).array else {
                continue;
            };
            if self.check_sum(&sum, count, fields.sizes[dimension]) {
                self.facts.push(fact);
            }
        }
        self.end_checks();
        n_known
    }

    /// Checks before an endless loop what will be known in it of locals that it counts down: that they
    /// stay below the sizes of arrays. How many such facts there were before.
    pub(super) fn hoist_below(&mut self, body: &[Statement]) -> usize {
        let n_known = self.below.len();
        // Where differences wrap around, what is counted down may come back from above.
        if !self.unit.hoists || self.info.program.wraps || !self.is_innermost(body) {
            return n_known;
        }
        self.end_checks();
        let down = counted_down(body);
        let body = Body::of(body);
        let mut accesses = body.accesses.iter().copied().collect::<Vec<_>>();
        accesses.sort_unstable();
        for fact in accesses {
            let (of, dimension, index) = fact;
            let locals = &self.info.program.locals;
            let is_fresh = locals[index].starts_with('.') || body.is_bound_first(index);
            let Some((local, shift)) = body.moved(index, &down, is_fresh) else {
                continue;
            };
            let ty = &self.types[local];
            let is_int = ty.tags == Tags::of(INT) && ty.narrow.is_none();
            let Some(array) = self.types[of].array() else {
                continue;
            };
            if !is_int || body.bound.contains_key(&of) || dimension >= array.ndim {
                continue;
            }
            let Some(fields) = self.read_local(of).array else {
                continue;
            };
            // Sizes are far from the ends of 64 bits.
            let limit = self.b.ins().iadd_imm_s(fields.sizes[dimension], -shift);
            let value = self.read_local(local);
            let word = self.word(&value);
            let beyond = self
                .b
                .ins()
                .icmp(IntCC::SignedGreaterThanOrEqual, word, limit);
            self.exit_if(beyond, HOISTED);
            self.below.push(fact);
        }
        self.end_checks();
        n_known
    }

    /// Leaves unless a sum stays within the size in all turns; `false` if that cannot be said.
    fn check_sum(&mut self, sum: &Sum, count: &Count, size: Value) -> bool {
        /// Counters are not larger, and four of these are less than 63 bits.
        const FAR: i64 = 1 << 56;
        let is_int = |ty: &Ty| {
            let is_int = ty.tags.within(Tags::INDICES) && !ty.is_never();
            is_int && ty.narrow.is_none()
        };
        if !sum.others.iter().all(|&local| is_int(&self.types[local])) {
            return false;
        }
        let mut is_natural = sum.shift >= 0;
        let mut base = None;
        for &local in &sum.others {
            let value = self.read_local(local);
            let word = self.word(&value);
            is_natural &= value.ty.natural;
            if value.ty.room < COUNT_ROOM && (sum.has_counter || sum.others.len() > 1) {
                let moved = self.b.ins().iadd_imm_s(word, FAR);
                let limit = self.int(2 * FAR);
                let far = self.b.ins().icmp(IntCC::UnsignedGreaterThan, moved, limit);
                self.exit_if(far, HOISTED);
            }
            base = Some(match base {
                Some(base) => self.b.ins().iadd(base, word),
                None => word,
            });
        }
        if !sum.has_counter {
            let Some(base) = base else {
                return false;
            };
            let index = self.b.ins().iadd_imm_s(base, sum.shift);
            let beyond = self
                .b
                .ins()
                .icmp(IntCC::UnsignedGreaterThanOrEqual, index, size);
            self.exit_if(beyond, HOISTED);
            return true;
        }
        // Where the first index is from the end, it is so on purpose.
        if sum.others.is_empty() && self.is_below(count.low, -sum.shift) {
            return false;
        }
        let mut ends = [count.low, count.high];
        for end in &mut ends {
            if let Some(base) = base {
                *end = self.b.ins().iadd(*end, base);
            }
            if sum.shift != 0 {
                *end = self.b.ins().iadd_imm_s(*end, sum.shift);
            }
        }
        let beyond = self.b.ins().icmp(IntCC::SignedGreaterThan, ends[1], size);
        self.exit_if(beyond, HOISTED);
        if !is_natural || !count.is_natural {
            let negative = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, ends[0], 0);
            self.exit_if(negative, HOISTED);
        }
        true
    }

    /// Whether a value is written in the program and below a limit.
    fn is_below(&self, value: Value, limit: i64) -> bool {
        let dfg = &self.b.func.dfg;
        let inst = dfg.value_def(value).inst().map(|inst| dfg.insts[inst]);
        matches!(inst, Some(InstructionData::UnaryImm { imm, .. }) if imm.bits() < limit)
    }
}
