//! Loops over integers that are written out at equal distances, `for d in (-1, 0, 1)`, as loops over
//! ranges.
//!
//! Nobody but the loop sees what it goes through, so a range is as good as a list, and counted without
//! an object.

use crate::liveness::for_each_atom;
use crate::program::{Atom, Expr, Kind, Local, Statement, all_statements};

/// Integers beyond which nothing is counted.
const MOST: i64 = 1 << 32;

/// The range of the same integers, if there is one: its start, its end and its step.
fn range_of(items: &[Atom]) -> Option<[i64; 3]> {
    let ints = items.iter().map(|item| match item {
        Atom::Int(value) if value.abs() < MOST => Some(*value),
        _ => None,
    });
    let ints = ints.collect::<Option<Vec<_>>>()?;
    let [first, second, ..] = *ints.as_slice() else {
        return None;
    };
    let step = second - first;
    let is_even = ints.windows(2).all(|pair| pair[1] - pair[0] == step);
    let last = ints.last()?;
    (step != 0 && is_even).then_some([first, last + step.signum(), step])
}

/// Has loops over such integers go over ranges.
pub(crate) fn count_instead(body: &mut [Statement], locals: &[String]) {
    let mut n_reads = vec![0; locals.len()];
    for statement in all_statements(body) {
        for_each_atom(&statement.kind, &mut |atom| {
            if let Atom::Local(local) = atom {
                n_reads[*local] += 1;
            }
        });
    }
    let is_own = |local: Local| locals[local].starts_with('.') && n_reads[local] == 1;
    in_block(body, &is_own);
}

fn in_block(block: &mut [Statement], is_own: &impl Fn(Local) -> bool) {
    for at in 1..block.len() {
        let (before, from) = block.split_at_mut(at);
        if let (Some(before), Kind::For(_, Atom::Local(of), ..)) =
            (before.last_mut(), &from[0].kind)
            && let Kind::Set(to, e) = &mut before.kind
            && to == of
            && is_own(*of)
            && let Expr::List(items) = e
            && let Some(range) = range_of(items)
        {
            *e = Expr::Range(range);
        }
    }
    for statement in block {
        match &mut statement.kind {
            Kind::If(_, then, otherwise)
            | Kind::For(_, _, then, otherwise)
            | Kind::Try(_, then, otherwise) => {
                in_block(then, is_own);
                in_block(otherwise, is_own);
            }
            Kind::Loop(body) => in_block(body, is_own),
            _ => {}
        }
    }
}
