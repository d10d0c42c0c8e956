//! An element that a loop inside changes in every turn: `for k: c[i, j] += a[i, k] * b[k, j]`.
//!
//! While the rows' turns are done it is a value that they carry, as a sum in a local is, and it is
//! stored behind them. So nothing that the loop reads may be written by it: whatever else is read
//! there counts as read behind the store, and is then known to lie elsewhere or further on.

use super::read::{Reader, Val};
use crate::emit::island::used_and_bound;
use crate::liveness::for_each_atom;
use crate::program::{Atom, Expr, Index, Kind, Local, Statement, all_statements};
use crate::types::{Dtype, NP_FLOAT};

/// The element, and the number under which its value is bound, which no local has.
#[derive(Clone, Debug)]
pub(super) struct Delayed {
    of: Local,
    index: Index,
    pub(super) local: Local,
}

/// A store that is done in every turn, in loops within one another.
fn store_of_each_turn(block: &[Statement]) -> Option<(Local, &Index)> {
    let mut todo = vec![block];
    while let Some(block) = todo.pop() {
        for statement in block {
            match &statement.kind {
                Kind::SetItem(Atom::Local(of), index, _) => return Some((*of, index)),
                Kind::For(_, _, inside, _) => todo.push(inside),
                _ => {}
            }
        }
    }
    None
}

/// Whether something is stored in a block.
pub(super) fn stores(block: &[Statement]) -> bool {
    all_statements(block).any(|statement| matches!(statement.kind, Kind::SetItem(..)))
}

impl Reader<'_> {
    /// The element that a loop inside changes, if it is the only one that it stores to.
    fn changed_element(&self, to: Local, inside: &[Statement]) -> Option<Delayed> {
        let (of, index) = store_of_each_turn(inside)?;
        let (_, mut bound) = used_and_bound(inside);
        bound.push(to);
        let is_fixed = |part: &Index| match part {
            Index::Atom(Atom::Local(local)) => !bound.contains(local),
            Index::Atom(Atom::Int(_)) => true,
            _ => false,
        };
        let parts = match index {
            Index::Tuple(parts) => parts.as_slice(),
            _ => std::slice::from_ref(index),
        };
        let is_float = self.of.types[of].array()?.dtype == Dtype::Float64;
        if !is_float || bound.contains(&of) || !parts.iter().all(is_fixed) {
            return None;
        }
        let (mut n_uses, mut n_known, mut n_stores) = (0, 0, 0);
        for statement in all_statements(inside) {
            for_each_atom(&statement.kind, &mut |atom| {
                n_uses += usize::from(*atom == Atom::Local(of));
            });
            match &statement.kind {
                Kind::Set(_, Expr::Item(Atom::Local(read), at)) if *read == of && at == index => {
                    n_known += 1;
                }
                Kind::SetItem(..) => {
                    n_known += 1;
                    n_stores += 1;
                }
                _ => {}
            }
        }
        let is_one = n_stores == 1 && n_uses == n_known;
        let local = self.frames.last()?.info.program.locals.len();
        is_one.then(|| Delayed {
            of,
            index: index.clone(),
            local,
        })
    }

    /// Reads the element that a loop inside changes, and takes it for a local until it is stored.
    pub(super) fn delay(&mut self, to: Local, inside: &[Statement]) -> Option<()> {
        if self.delayed.is_some() || !self.open.is_empty() || self.frames.len() > 1 {
            return Some(());
        }
        let Some(delayed) = self.changed_element(to, inside) else {
            return Some(());
        };
        let value = self.item(delayed.of, &delayed.index)?;
        self.frame()?.bound.insert(delayed.local, value);
        self.delayed = Some(delayed);
        Some(())
    }

    /// Stores it.
    pub(super) fn store_delayed(&mut self, path: Option<super::graph::Id>) -> Option<()> {
        let Some(delayed) = self.delayed.take() else {
            return Some(());
        };
        let value = self.frame()?.bound.remove(&delayed.local)?;
        self.set_item(delayed.of, &delayed.index, &value, path)
    }

    /// The local that stands for an element.
    fn delayed_at(&self, of: &Atom, index: &Index) -> Option<Local> {
        let delayed = self.delayed.as_ref()?;
        let is_it = *of == Atom::Local(delayed.of) && *index == delayed.index;
        (is_it && self.frames.len() == 1).then_some(delayed.local)
    }

    /// What the element is in this turn.
    pub(super) fn read_delayed(&self, of: &Atom, index: &Index) -> Option<Val> {
        let local = self.delayed_at(of, index)?;
        self.frames.last()?.bound.get(&local).cloned()
    }

    /// Notes what the element becomes in this turn; whether it is such.
    pub(super) fn write_delayed(&mut self, of: &Atom, index: &Index, value: &Val) -> Option<bool> {
        let Some(local) = self.delayed_at(of, index) else {
            return Some(false);
        };
        let id = self.double(value)?;
        self.frame()?.bound.insert(local, Self::val(id, NP_FLOAT));
        Some(true)
    }
}
