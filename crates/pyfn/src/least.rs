//! Differences that are not negative, as where the local is known to be at least what is taken from it.
//!
//! Behind `while j > 0 and …` an index `j - 1` counts from the front. What locals are at least is followed
//! along the statements: comparisons with numbers that are written in the program tell, and so do
//! numbers that locals are bound to. Loops forget what they bind.

use std::collections::HashMap;

use crate::implied::Implied;
use crate::liveness::for_each_target;
use crate::program::{Atom, Bin, Cmp, Expr, Id, Kind, Local, Program, Statement, all_statements};

/// What locals are at least.
type Least = HashMap<Local, i64>;

/// For each statement whether it is a difference that is not negative.
pub(crate) fn natural_differences(program: &Program, implied: &Implied) -> Vec<bool> {
    let mut walk = Walk {
        implied,
        wraps: program.wraps,
        found: vec![false; program.n_statements],
    };
    walk.block(&program.body, Least::new());
    walk.found
}

struct Walk<'a> {
    implied: &'a Implied,
    /// Sums may come out negative.
    wraps: bool,
    found: Vec<bool>,
}

impl Walk<'_> {
    /// What is known behind a block, if its end is reached.
    fn block(&mut self, block: &[Statement], mut least: Least) -> Option<Least> {
        for statement in block {
            least = self.statement(statement, least)?;
        }
        Some(least)
    }

    fn statement(&mut self, statement: &Statement, mut least: Least) -> Option<Least> {
        match &statement.kind {
            Kind::Set(to, e) => {
                let value = self.value(statement.id, e, &least);
                least.remove(to);
                least.extend(value.map(|value| (*to, value)));
            }
            Kind::If(_, then, otherwise) => {
                let sides = [(then, true), (otherwise, false)].map(|(block, side)| {
                    let mut least = least.clone();
                    for (op, a, b) in self.implied.on_side(statement.id, side) {
                        learn(&mut least, *op, a, b);
                    }
                    self.block(block, least)
                });
                return match sides {
                    [Some(mut then), Some(otherwise)] => {
                        then.retain(|local, value| {
                            let other = otherwise.get(local).copied();
                            *value = other.map_or(*value, |other| other.min(*value));
                            other.is_some()
                        });
                        Some(then)
                    }
                    [then, otherwise] => then.or(otherwise),
                };
            }
            Kind::Loop(_) | Kind::For(..) | Kind::Try(..) => {
                for inner in all_statements(std::slice::from_ref(statement)) {
                    for_each_target(&inner.kind, &mut |local| {
                        least.remove(&local);
                    });
                }
                for block in statement.blocks() {
                    self.block(block, least.clone());
                }
            }
            Kind::Break | Kind::Continue | Kind::Return(_) | Kind::Raise(_) | Kind::Leave(_) => {
                return None;
            }
            other => for_each_target(other, &mut |local| {
                least.remove(&local);
            }),
        }
        Some(least)
    }

    /// What a value is at least.
    fn value(&mut self, id: Id, e: &Expr, least: &Least) -> Option<i64> {
        match e {
            Expr::Bin(Bin::Add, _, Atom::Int(1..), _)
            | Expr::Bin(Bin::Sub, _, Atom::Int(..0), _)
                if self.wraps =>
            {
                None
            }
            Expr::Atom(Atom::Int(value)) => Some(*value),
            Expr::Atom(Atom::Local(local)) => least.get(local).copied(),
            Expr::Bin(Bin::Add, Atom::Local(local), Atom::Int(by), _) => {
                least.get(local)?.checked_add(*by)
            }
            Expr::Bin(Bin::Sub, Atom::Local(local), Atom::Int(by), _) => {
                let rest = least.get(local)?.checked_sub(*by)?;
                self.found[id] = rest >= 0;
                Some(rest)
            }
            _ => None,
        }
    }
}

/// Takes a comparison into account.
fn learn(least: &mut Least, op: Cmp, a: &Atom, b: &Atom) {
    let known = match (op, a, b) {
        (Cmp::Gt, Atom::Local(local), Atom::Int(than))
        | (Cmp::Lt, Atom::Int(than), Atom::Local(local)) => {
            than.checked_add(1).map(|at| (*local, at))
        }
        (Cmp::Ge | Cmp::Eq, Atom::Local(local), Atom::Int(at))
        | (Cmp::Le | Cmp::Eq, Atom::Int(at), Atom::Local(local)) => Some((*local, *at)),
        _ => None,
    };
    if let Some((local, at)) = known {
        let value = least.entry(local).or_insert(at);
        *value = at.max(*value);
    }
}
