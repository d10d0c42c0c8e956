//! Locals that count, and products that have a bit to spare.
//!
//! `n += 1` in a loop could go beyond 64 bits, but not in the life of a machine: at four steps a
//! nanosecond it takes a year to count to 2^57. So a local that is bound by small steps and to values
//! that leave two bits to spare keeps one of them, and its steps need no test.
//!
//! A product by a number that is written in the program is left to Python where it takes the last bit
//! (`emit::integers`), unless only its low bits count (`wrap`): so what is added to it needs no test.
//!
//! # Invariant
//! What such a local holds is some value of at most `2^62` and as many small steps as were made.

use crate::program::{Atom, Bin, Expr, Kind, Local, Program, all_statements};
use crate::rules;
use crate::types::{INT, Tags, Ty};

/// The largest step.
const STEP_MAX: u64 = 16;

/// The steps of a program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    /// For each statement the local that it moves by a small step.
    of: Vec<Option<Local>>,
    counts: Vec<bool>,
    /// The statements that are products with a bit to spare.
    spares: Vec<bool>,
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

/// Whether a statement is a product by a number that is written in the program.
fn spares_a_bit(kind: &Kind) -> bool {
    match kind {
        Kind::Set(_, Expr::Bin(Bin::Mul, Atom::Int(by), other, _))
        | Kind::Set(_, Expr::Bin(Bin::Mul, other, Atom::Int(by), _)) => {
            matches!(other, Atom::Local(_)) && rules::spares_a_bit(*by)
        }
        _ => false,
    }
}

impl Steps {
    /// Finds them; of statements that are masked only the low bits count.
    pub(crate) fn of(program: &Program, masked: &[Option<Vec<Local>>]) -> Self {
        let mut steps = Self {
            of: vec![None; program.n_statements],
            counts: vec![false; program.locals.len()],
            spares: vec![false; program.n_statements],
        };
        for statement in all_statements(&program.body) {
            steps.spares[statement.id] =
                !program.wraps && masked[statement.id].is_none() && spares_a_bit(&statement.kind);
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
        let keeps = self.is_done_at(statement, types)
            || self.spares[statement] && ty.tags.within(Tags::INTS) && ty.narrow.is_none();
        Ty {
            room: ty.room.max(u8::from(keeps)),
            ..ty
        }
    }
}
