//! The functions, each written once for all instruction sets and widths.

mod arc;
mod erf;
mod exponential;
mod modulo;
mod selection;

use opcodon_expr::Op;

use super::Isa;
use super::lanes::{Lanes, Value};

/// A function of vectors.
pub(crate) type Function = for<'l> fn(&'l Lanes, &[Value<'l>]) -> Value<'l>;

/// The routine that computes `op`, if it has one.
pub(crate) fn of(op: Op, _isa: Isa) -> Option<Function> {
    Some(match op {
        Op::Exp => |_, a| exponential::exp(a[0]),
        Op::Asin => |_, a| arc::asin(a[0]),
        Op::Acos => |_, a| arc::acos(a[0]),
        Op::Atan => |_, a| arc::atan(a[0]),
        Op::Atan2 => |_, a| arc::atan2(a[0], a[1]),
        Op::Erf => |_, a| erf::erf(a[0]),
        Op::Mod => |_, a| modulo::modulo(a[0], a[1]),
        Op::Lt => |_, a| selection::truth(a[0].less(a[1]), a[0]),
        Op::Le => |_, a| selection::truth(a[0].less_equal(a[1]), a[0]),
        Op::Gt => |_, a| selection::truth(a[0].greater(a[1]), a[0]),
        Op::Ge => |_, a| selection::truth(a[0].greater_equal(a[1]), a[0]),
        Op::Eq => |_, a| selection::truth(a[0].equal(a[1]), a[0]),
        Op::Ne => |_, a| selection::truth(a[0].differs(a[1]), a[0]),
        Op::If => |_, a| selection::choose(a[0], a[1], a[2]),
        Op::Sign => |_, a| selection::sign(a[0]),
        Op::Min => |_, a| selection::minimum(a[0], a[1]),
        Op::Max => |_, a| selection::maximum(a[0], a[1]),
        Op::Round => |_, a| selection::nearest(a[0]),
        Op::Floor => |_, a| selection::floor(a[0]),
        Op::Ceil => |_, a| selection::ceil(a[0]),
        Op::Aq => |_, a| selection::analytic_quotient(a[0], a[1]),
        Op::Pdiv => |_, a| selection::protected_quotient(a[0], a[1]),
        Op::Psqrt => |_, a| selection::protected_root(a[0]),
        _ => return None,
    })
}
