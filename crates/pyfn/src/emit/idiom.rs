//! Loops that are one instruction.
//!
//! `while v: v &= v - 1; c += 1` counts the bits of `v`. It is not replaced but run ahead of: where
//! `v` is not negative and the count cannot overflow, the bits are counted before the loop, which
//! then finds nothing left to do.

use cranelift_codegen::ir::{InstBuilder, condcodes::IntCC};

use super::Emitter;
use crate::program::{Atom, Bin, Cmp, Expr, Kind, Local, Statement};
use crate::types::{INT, Tags};

/// The number whose bits are counted, and the count.
fn bit_count(body: &[Statement]) -> Option<(Local, Local)> {
    let mut tested = None;
    let mut rest = body.iter().map(|statement| &statement.kind);
    let mut first = rest.next()?;
    if let Kind::Set(to, Expr::Cmp(Cmp::Ne | Cmp::Gt, Atom::Local(v), Atom::Int(0))) = first {
        tested = Some((*to, *v));
        first = rest.next()?;
    }
    let Kind::If(Atom::Local(test), then, otherwise) = first else {
        return None;
    };
    let v = match tested {
        Some((to, v)) if to == *test => v,
        Some(_) => return None,
        None => *test,
    };
    let is_end = matches!(otherwise.as_slice(), [only] if matches!(only.kind, Kind::Break));
    if !then.is_empty() || !is_end {
        return None;
    }
    let (mut less, mut cleared, mut count) = (None, false, None);
    for kind in rest {
        let Kind::Set(to, Expr::Bin(op, Atom::Local(a), b, _)) = kind else {
            return None;
        };
        match (op, b) {
            (Bin::Sub, Atom::Int(1)) if *a == v && *to != v && less.is_none() && !cleared => {
                less = Some(*to);
            }
            (Bin::And, Atom::Local(b)) if *to == v && less.is_some() && !cleared => {
                let (a, b) = (Some(*a), Some(*b));
                if !(a == Some(v) && b == less || a == less && b == Some(v)) {
                    return None;
                }
                cleared = true;
            }
            (Bin::Add, Atom::Int(1)) if to == a && *to != v && count.is_none() => count = Some(*to),
            _ => return None,
        }
    }
    let count = count.filter(|count| cleared && Some(*count) != less)?;
    Some((v, count))
}

impl Emitter<'_, '_> {
    /// Does before an endless loop what it would do in many turns, if it is one of these.
    pub(super) fn run_ahead(&mut self, body: &[Statement]) {
        let Some((v, count)) = bit_count(body) else {
            return;
        };
        let is_int = |local: Local| {
            let ty = &self.types[local];
            ty.tags == Tags::of(INT) && ty.narrow.is_none()
        };
        if !is_int(v) || !is_int(count) {
            return;
        }
        let (bits, counted) = (self.read_local(v), self.read_local(count));
        let (bits, counted) = (self.word(&bits), self.word(&counted));
        let is_natural = self
            .b
            .ins()
            .icmp_imm_s(IntCC::SignedGreaterThanOrEqual, bits, 0);
        let limit = self.int(1 << 62);
        let is_small = self.b.ins().icmp(IntCC::SignedLessThan, counted, limit);
        let runs = self.b.ins().band(is_natural, is_small);
        let n_bits = self.b.ins().popcnt(bits);
        let more = self.b.ins().iadd(counted, n_bits);
        let none = self.int(0);
        for (local, now, then) in [(v, bits, none), (count, counted, more)] {
            let value = self.b.ins().select(runs, then, now);
            let word = self.places[local].word;
            self.b.def_var(word, value);
        }
    }
}
