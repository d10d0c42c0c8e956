//! Integers of which only the low bits count.
//!
//! In `(x * 69069 + 1) & 0xffffffff` it does not matter whether the product has more than 64 bits.
//! A sum, difference, product or shift that the very next statement masks is computed modulo `2^64`
//! and never leaves, and so is a product that is masked one statement later, behind a sum. In
//! between nobody sees it: the statements after it must not leave either, so all operands have to be
//! integers for certain.

use crate::liveness::for_each_atom;
use crate::program::{Atom, Bin, Expr, Kind, Local, Program, Statement};

/// For each statement whose result is masked, the locals that have to be integers.
pub(crate) fn masked(program: &Program) -> Vec<Option<Vec<Local>>> {
    let mut n_reads = vec![0; program.locals.len()];
    let mut blocks = vec![program.body.as_slice()];
    let mut all = Vec::new();
    while let Some(block) = blocks.pop() {
        all.push(block);
        for statement in block {
            for_each_atom(&statement.kind, &mut |atom| {
                if let Atom::Local(local) = atom {
                    n_reads[*local] += 1;
                }
            });
            blocks.extend(statement.blocks());
        }
    }
    let mut found = vec![None; program.n_statements];
    // Handlers may read what the statements do not show.
    if program.has_handlers {
        return found;
    }
    for block in all {
        for (at, statement) in block.iter().enumerate() {
            let Some((to, mut locals)) = wrapping(statement) else {
                continue;
            };
            let is_temporary =
                |local: Local| program.locals[local].starts_with('.') && n_reads[local] == 1;
            let next = block.get(at + 1);
            let is_masked = |next: Option<&Statement>, value: Local| {
                next.is_some_and(|next| {
                    mask(next, value).is_some_and(|to| to == value || is_temporary(value))
                })
            };
            let mut fits = is_masked(next, to);
            if !fits
                && let Some(sum) = next
                && let Some((then, others)) = wrapping(sum)
                && others.contains(&to)
                && (then == to || is_temporary(to))
            {
                fits = is_masked(block.get(at + 2), then);
                locals.extend(others.into_iter().filter(|&other| other != to));
            }
            if fits {
                found[statement.id] = Some(locals);
            }
        }
    }
    found
}

/// A statement that may be computed modulo `2^64`: what it binds and what it reads.
fn wrapping(statement: &Statement) -> Option<(Local, Vec<Local>)> {
    let Kind::Set(to, Expr::Bin(op, a, b, _)) = &statement.kind else {
        return None;
    };
    let is_plain = match (op, b) {
        (Bin::Add | Bin::Sub | Bin::Mul, _) => true,
        (Bin::LShift, Atom::Int(by)) => (0..64).contains(by),
        _ => false,
    };
    let mut locals = Vec::new();
    for atom in [a, b] {
        match atom {
            Atom::Local(local) => locals.push(*local),
            Atom::Int(_) => {}
            _ => return None,
        }
    }
    is_plain.then_some((*to, locals))
}

/// What a statement binds that takes the low bits of a value.
fn mask(statement: &Statement, value: Local) -> Option<Local> {
    let Kind::Set(to, Expr::Bin(op, a, b, _)) = &statement.kind else {
        return None;
    };
    let is_value = |atom: &Atom| *atom == Atom::Local(value);
    let is_mask = match (op, a, b) {
        (Bin::And, a, Atom::Int(0..)) => is_value(a),
        (Bin::And, Atom::Int(0..), b) => is_value(b),
        (Bin::Mod, a, Atom::Int(m @ 1..)) => is_value(a) && m.count_ones() == 1,
        _ => false,
    };
    is_mask.then_some(*to)
}
