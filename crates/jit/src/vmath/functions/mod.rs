//! The functions, each written once for all instruction sets and widths.

mod exponential;

use opcodon_expr::Op;

use super::lanes::{Lanes, Value};

/// A function of vectors.
pub(crate) type Function = for<'l> fn(&'l Lanes, &[Value<'l>]) -> Value<'l>;

/// The routine that computes `op`, if it has one.
pub(crate) fn of(op: Op) -> Option<Function> {
    Some(match op {
        Op::Exp => |_, a| exponential::exp(a[0]),
        _ => return None,
    })
}
