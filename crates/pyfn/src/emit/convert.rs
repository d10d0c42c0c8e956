//! Branches that are not worth a jump.
//!
//! `n = n // 2 if n % 2 == 0 else 3 * n + 1` takes a few cycles both ways, and a jump that cannot be
//! predicted costs twenty. Where both sides of an `if` are a few operations on integers that have
//! no effect, both are done and the results selected. What would leave the function on the side
//! that is not taken does not; what leaves does so before the `if`, as nothing has happened yet.
//!
//! Of floats only extremes are selected, `if d < best: best = d`, which the processor has an instruction
//! for; beside them may stand where the extreme is. In a long loop a branch is better, as a new extreme
//! soon becomes rare; so that is done in loops within loops, which begin anew again and again.

use std::collections::HashMap;

use cranelift_codegen::ir::{
    InstBuilder, Value,
    condcodes::{FloatCC, IntCC},
};

use super::{Emitter, Val};
use crate::infer::used;
use crate::operation::{How, operation};
use crate::program::{Atom, Bin, Cmp, Expr, Index, Kind, Local, Statement, all_statements};
use crate::types::{BOOL, Class, FLOAT, INT, NP_BOOL, NP_FLOAT, Tags, Ty, class};

/// Operations of both sides together beyond which a jump is cheaper.
const N_STEPS_MAX: usize = 4;

/// A float that is bound to another one if that is less, or greater.
#[derive(Clone, Copy)]
struct Extreme {
    to: Local,
    from: Local,
    is_min: bool,
}

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
        let extreme = self.extreme(statement);
        let Some(after) = self.joint(statement.id).after else {
            return false;
        };
        if self.side.is_some()
            || self.turns.is_empty()
            || n_steps == 0
            || n_steps > N_STEPS_MAX
            || self.types.iter().any(|ty| ty.narrow.is_some())
            || !self.is_plain(then, extreme)
            || !self.is_plain(otherwise, None)
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
                    _ if extreme.is_some_and(|extreme| extreme.to == to) => true,
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
                values.push(self.atom(&Atom::Local(local)));
            }
            self.types = types;
            self.side = None;
            self.is_masked = false;
        }
        self.end_checks();
        let (yes, no) = values.split_at(results.len());
        for ((&local, yes), no) in results.iter().zip(yes).zip(no) {
            let value = match extreme.filter(|extreme| extreme.to == local) {
                Some(extreme) => {
                    let (new, old) = (self.flt(yes), self.flt(no));
                    let flt = self.extreme_of(extreme.is_min, new, old);
                    let (new, old) = (self.tag(yes), self.tag(no));
                    let tag = self.b.ins().select(taken, new, old);
                    Val {
                        tag: Some(tag),
                        ..Self::from_flt(after[local].clone(), flt)
                    }
                }
                None => {
                    let (yes, no) = (self.word(yes), self.word(no));
                    let word = self.b.ins().select(taken, yes, no);
                    Self::from_word(after[local].clone(), word)
                }
            };
            let mut place = self.places[local].clone();
            self.write(&mut place, &value);
            self.places[local] = place;
        }
        self.types = after;
        true
    }

    /// The extreme that a branch finds again and again, if it does nothing else to floats.
    fn extreme(&self, branch: &Statement) -> Option<Extreme> {
        if self.turns.len() < 2 {
            return None;
        }
        let Kind::If(Atom::Local(test), then, _) = &branch.kind else {
            return None;
        };
        let Expr::Cmp(op, Atom::Local(a), Atom::Local(b)) = self.tested(branch.id, *test)? else {
            return None;
        };
        let is_less = match op {
            Cmp::Lt => true,
            Cmp::Gt => false,
            _ => return None,
        };
        let mut bound = then.iter().filter_map(|step| match &step.kind {
            Kind::Set(to, e) if to == a || to == b => Some((*to, e)),
            _ => None,
        });
        let (to, Expr::Atom(Atom::Local(from))) = bound.next()? else {
            return None;
        };
        let is_other = *from != to && (from == a || from == b);
        let is_float = |local: Local| {
            let tags = self.types[local].tags;
            tags.within(Tags(1 << FLOAT | 1 << NP_FLOAT)) && !tags.is_empty()
        };
        (is_other && bound.next().is_none() && is_float(to) && is_float(*from)).then(|| Extreme {
            to,
            from: *from,
            is_min: is_less == (from == a),
        })
    }

    /// What the temporary is that a branch asks, where it is bound right before it.
    fn tested(&self, branch: usize, test: Local) -> Option<&Expr> {
        let program = &self.info.program;
        if !program.locals[test].starts_with('.') {
            return None;
        }
        let mut blocks = vec![program.body.as_slice()];
        while let Some(block) = blocks.pop() {
            if let Some(at) = block.iter().position(|statement| statement.id == branch) {
                return match &block[at.checked_sub(1)?].kind {
                    Kind::Set(to, e) if *to == test => Some(e),
                    _ => None,
                };
            }
            for statement in block {
                blocks.extend(statement.blocks());
            }
        }
        None
    }

    /// The new number if it is less, or greater, than the old one. The code generator knows a selection of
    /// what is compared, but only if it says less.
    fn extreme_of(&mut self, is_min: bool, new: Value, old: Value) -> Value {
        let (a, b) = if is_min { (new, old) } else { (old, new) };
        let is_less = self.b.ins().fcmp(FloatCC::LessThan, a, b);
        self.b.ins().select(is_less, new, old)
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

    /// Whether a block is nothing but cheap operations on integers, beside the extreme.
    fn is_plain(&mut self, block: &[Statement], extreme: Option<Extreme>) -> bool {
        let types = self.types.clone();
        let is_plain = block.iter().all(|statement| {
            let Kind::Set(to, e) = &statement.kind else {
                return false;
            };
            if let Some(extreme) = extreme
                && *to == extreme.to
            {
                self.types[*to] = self.types[extreme.from].clone();
                return true;
            }
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
                Expr::Cmp(op, ..) => !matches!(op, Cmp::In | Cmp::NotIn | Cmp::Is | Cmp::IsNot),
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
