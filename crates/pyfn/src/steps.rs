//! Locals that count.
//!
//! `n += 1` in a loop could go beyond 64 bits, but not in the life of a machine: at four steps a
//! nanosecond it takes a year to count to 2^57. So a local that is bound by small steps and to values
//! that leave two bits to spare keeps one of them, and its steps need no test.
//!
//! # Invariant
//! What such a local holds is some value of at most `2^62` and as many small steps as were made.

use crate::program::{Atom, Bin, Expr, Kind, Local, Program, all_statements};
use crate::types::{INT, Tags, Ty};

/// The largest step.
const STEP_MAX: u64 = 16;

/// The steps of a program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    /// For each statement the local that it moves by a small step.
    of: Vec<Option<Local>>,
    counts: Vec<bool>,
}

/// The local that a statement moves by a small step.
fn step(kind: &Kind) -> Option<Local> {
    let Kind::Set(to, Expr::Bin(op, a, b, _)) = kind else {
        return None;
    };
    let by = match (op, a, b) {
        (Bin::Add | Bin::Sub, Atom::Local(a), Atom::Int(by)) if a == to => by,
        (Bin::Add, Atom::Int(by), Atom::Local(b)) if b == to => by,
        _ => return None,
    };
    (by.unsigned_abs() <= STEP_MAX).then_some(*to)
}

impl Steps {
    /// Finds them.
    pub(crate) fn of(program: &Program) -> Self {
        let mut steps = Self {
            of: vec![None; program.n_statements],
            counts: vec![false; program.locals.len()],
        };
        for statement in all_statements(&program.body) {
            if let Some(local) = step(&statement.kind) {
                steps.of[statement.id] = Some(local);
                steps.counts[local] = true;
            }
        }
        steps
    }

    /// Whether a local is one that counts.
    pub(crate) fn counts(&self, local: Local) -> bool {
        self.counts[local]
    }

    /// Whether a statement is a step that needs no test, given the types before it.
    pub(crate) fn is_done_at(&self, statement: usize, types: &[Ty]) -> bool {
        self.of[statement].is_some_and(|local| {
            let ty = &types[local];
            ty.tags == Tags::of(INT) && ty.narrow.is_none() && ty.room >= 1
        })
    }

    /// The type of what a statement binds, which is `ty` by the rules of operations.
    pub(crate) fn result(&self, statement: usize, types: &[Ty], ty: Ty) -> Ty {
        Ty {
            room: if self.is_done_at(statement, types) {
                ty.room.max(1)
            } else {
                ty.room
            },
            ..ty
        }
    }
}
