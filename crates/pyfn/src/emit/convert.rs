//! Branches that are not worth a jump.
//!
//! `n = n // 2 if n % 2 == 0 else 3 * n + 1` takes a few cycles both ways, and a jump that cannot be
//! predicted costs twenty. Where both sides of an `if` are a few operations on integers that have
//! no effect, both are done and the results selected. What would leave the function on the side
//! that is not taken does not; what leaves does so before the `if`, as nothing has happened yet.

use std::collections::HashMap;

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC};

use super::{Emitter, Val};
use crate::infer::used;
use crate::operation::{How, operation};
use crate::program::{Atom, Bin, Expr, Index, Kind, Local, Statement, all_statements};
use crate::types::{BOOL, Class, INT, NP_BOOL, Tags, Ty, class};

/// Operations of both sides together beyond which a jump is cheaper.
const N_STEPS_MAX: usize = 4;

/// What is bound on a side that may not be the one that is taken.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// Whether the side is the one that is taken.
    predicate: Option<Value>,
    bound: HashMap<Local, Val>,
}

impl Side {
    pub(crate) fn get(&self, local: Local) -> Option<&Val> {
        self.bound.get(&local)
    }
}

impl Emitter<'_, '_> {
    /// Does both sides of a branch, and selects; `false` if it is one for a jump.
    pub(super) fn convert(
        &mut self,
        statement: &Statement,
        truth: Value,
        [then, otherwise]: [&[Statement]; 2],
    ) -> bool {
        let n_steps = then.len() + otherwise.len();
        let Some(after) = self.joint(statement.id).after else {
            return false;
        };
        if self.side.is_some()
            || self.turns.is_empty()
            || n_steps == 0
            || n_steps > N_STEPS_MAX
            || self.types.iter().any(|ty| ty.narrow.is_some())
            || !self.is_plain(then)
            || !self.is_plain(otherwise)
            || self.reads_where_it_is(statement, [then, otherwise])
        {
            return false;
        }
        let mut results = Vec::new();
        for side in [then, otherwise] {
            for bound in side {
                let Kind::Set(to, _) = bound.kind else {
                    return false;
                };
                let is_live = self.info.liveness.after[statement.id].has(to);
                let is_selectable = match after[to].tags.single() {
                    Some(INT | BOOL) => self.types[to].tags == after[to].tags,
                    _ => !is_live && !crate::infer::owns(&after[to]),
                };
                if !is_selectable {
                    return false;
                }
                if is_live && !results.contains(&to) {
                    results.push(to);
                }
            }
        }
        let taken = self.b.ins().icmp_imm_s(IntCC::NotEqual, truth, 0);
        let other = self.b.ins().icmp_imm_s(IntCC::Equal, truth, 0);
        let mut values = Vec::new();
        for (predicate, block) in [(taken, then), (other, otherwise)] {
            self.side = Some(Side {
                predicate: Some(predicate),
                ..Side::default()
            });
            let types = self.types.clone();
            for step in block {
                self.is_masked = self.is_masked_at(step.id);
                if let Kind::Set(to, e) = &step.kind
                    && let Some(value) = self.expr(e)
                {
                    let value = self.stepped(step.id, value);
                    self.types[*to] = value.ty.clone();
                    if let Some(side) = &mut self.side {
                        side.bound.insert(*to, value);
                    }
                }
            }
            for &local in &results {
                let value = self.atom(&Atom::Local(local));
                values.push(self.word(&value));
            }
            self.types = types;
            self.side = None;
            self.is_masked = false;
        }
        self.end_checks();
        let (yes, no) = values.split_at(results.len());
        for ((&local, &yes), &no) in results.iter().zip(yes).zip(no) {
            let word = self.b.ins().select(taken, yes, no);
            let value = Self::from_word(after[local].clone(), word);
            let mut place = self.places[local].clone();
            self.write(&mut place, &value);
            self.places[local] = place;
        }
        self.types = after;
        true
    }

    /// Whether a condition counts where the current statement may be on the side not taken.
    pub(super) fn on_this_side(&mut self, condition: Value) -> Value {
        match self.side.as_ref().and_then(|side| side.predicate) {
            Some(predicate) => self.b.ins().band(condition, predicate),
            None => condition,
        }
    }

    /// Whether the test looks at an element that is where a local says which the branch binds, as in `if
    /// x[i] > x[best]: best = i`. Selected, each turn would have to wait for that element; a branch is
    /// mostly foreseen.
    fn reads_where_it_is(&self, statement: &Statement, sides: [&[Statement]; 2]) -> bool {
        let body = &self.info.program.body;
        let made = |atom: &Atom| {
            let Atom::Local(local) = atom else {
                return None;
            };
            all_statements(body).find_map(|statement| match &statement.kind {
                Kind::Set(to, e) if to == local => Some(e),
                _ => None,
            })
        };
        let binds = |index: &Index| {
            let mut bound = sides.iter().copied().flatten();
            bound.any(|step| match &step.kind {
                Kind::Set(to, _) => *index == Index::Atom(Atom::Local(*to)),
                _ => false,
            })
        };
        let is_there = |atom: &Atom| match made(atom) {
            Some(Expr::Item(_, Index::Tuple(parts))) => parts.iter().any(binds),
            Some(Expr::Item(_, index)) => binds(index),
            _ => false,
        };
        match &statement.kind {
            Kind::If(test, ..) => match made(test) {
                Some(Expr::Cmp(_, a, b)) => is_there(a) || is_there(b),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether a block is nothing but cheap operations on integers.
    fn is_plain(&mut self, block: &[Statement]) -> bool {
        let types = self.types.clone();
        let is_plain = block.iter().all(|statement| {
            let Kind::Set(to, e) = &statement.kind else {
                return false;
            };
            let is_int = |ty: &Ty| {
                let single = ty.tags.single();
                single.is_some_and(|tag| class(tag) == Class::Int && tag != NP_BOOL)
            };
            if !used(&statement.kind)
                .iter()
                .all(|&local| is_int(&self.types[local]))
            {
                return false;
            }
            let is_cheap = match e {
                Expr::Atom(Atom::Local(_) | Atom::Int(_) | Atom::Bool(_)) => true,
                Expr::Bin(op, _, b, _) => match (op, b) {
                    (Bin::Add | Bin::Sub | Bin::Mul | Bin::And | Bin::Or | Bin::Xor, _) => true,
                    (Bin::FloorDiv | Bin::Mod, Atom::Int(b)) => *b > 0 && b.count_ones() == 1,
                    (Bin::LShift | Bin::RShift, Atom::Int(b)) => (0..64).contains(b),
                    _ => false,
                },
                Expr::Cmp(op, ..) => !matches!(
                    op,
                    crate::program::Cmp::In
                        | crate::program::Cmp::NotIn
                        | crate::program::Cmp::Is
                        | crate::program::Cmp::IsNot
                ),
                _ => false,
            };
            match operation(&self.scope(), e) {
                How::Gives(ty) if is_cheap && ty.tags.within(Tags::INTS) && is_int(&ty) => {
                    self.types[*to] = self.info.bound(statement.id, &self.types, ty);
                    true
                }
                _ => false,
            }
        });
        self.types = types;
        is_plain
    }
}
