//! The functions, each written once for all instruction sets and widths.
//!
//! Largest errors seen, in units of the last place. Double precision: 150,000 random arguments in
//! each of three to five ranges, among them neighbours of multiples of π/2 and all bit patterns,
//! against 113-bit arithmetic; tan, and with fused operations sin and cos, 2,000,000 or more in each of
//! four to five ranges against 64-bit significands. Single precision: every 29th number there is, and
//! of sin and cos every 1009th (`tests/singles.rs`).
//!
//! | | f64 AVX2 | f64 SSE2 | f32 AVX2 | f32 SSE2 |
//! |---|---|---|---|---|
//! | exp | 0.75 | 0.75 | 0.82 | 0.82 |
//! | expm1 | 1.20 | 1.15 | 1.05 | 1.12 |
//! | log, plog | 0.84 | 0.84 | 0.87 | 0.91 |
//! | log2 | 0.83 | 0.83 | 0.93 | 0.91 |
//! | log10 | 0.72 | 0.72 | 0.73 | 0.76 |
//! | log1p | 0.89 | 0.89 | 0.97 | 0.99 |
//! | sin | 1.64 | 0.88 | 1.77 | 0.51 |
//! | cos | 1.69 | 0.95 | 1.77 | 0.51 |
//! | tan | 2.78 | 2.87 | 1.27 | 0.51 |
//! | asin | 0.66 | 0.69 | 0.72 | 0.75 |
//! | acos | 0.63 | 0.65 | 0.68 | 0.68 |
//! | atan | 0.84 | 0.84 | 0.84 | 0.84 |
//! | atan2 | 0.91 | 1.42 | 0.78 | 1.33 |
//! | sinh | 0.84 | 1.41 | 0.96 | 1.31 |
//! | cosh | 0.74 | 0.94 | 0.75 | 0.96 |
//! | tanh | 0.92 | 0.86 | 0.83 | 0.93 |
//! | sigmoid | 0.65 | 0.65 | 0.79 | 0.79 |
//! | erf | 1.00 | 1.27 | 1.00 | 1.25 |
//! | cbrt | 0.50 | 0.50 | 0.69 | 0.69 |
//! | pow | 0.74 | 0.80 | 0.51 | 0.51 |
//!
//! Subnormal results of exp and sigmoid are rounded twice: 1.00. All others are exact.
//!
//! AVX-512 is as AVX2, but where it has tables (40,000 arguments in each of one to five ranges, both
//! precisions against 113-bit arithmetic; singles of log and log2 every 1009th number):
//!
//! | | f64 | f32 |
//! |---|---|---|
//! | exp | 1.10 | 1.00 |
//! | log, plog | 1.03 | 1.46 |
//! | log2 | 1.23 | 1.49 |
//! | log10 | 1.36 | 1.38 |
//! | tanh | 0.85 | 0.95 |
//! | sigmoid | 2.24 | 2.20 |
//! | pow | 0.65 | 0.53 |
//!
//! and for tan in single precision beyond 2¹⁷, 1.84 with fused operations.

mod error_function;
mod exponential;
mod hyperbolic;
mod inverse;
mod logarithm;
mod power;
mod quotient;
mod reduction;
mod remainder;
mod scaling;
mod selection;
mod tables;
mod trigonometric;

use opcodon_expr::Op;

use super::lanes::{Lanes, Value};

/// A function of vectors.
pub(crate) type Function = for<'l> fn(&'l Lanes, &[Value<'l>]) -> Value<'l>;

/// The routine that computes `op`, if it has one.
pub(crate) fn of(op: Op) -> Option<Function> {
    Some(match op {
        Op::Div => |_, a| quotient::quotient(a[0], a[1]),
        Op::Cbrt => |_, a| power::cbrt(a[0]),
        Op::Pow => |_, a| power::pow(a[0], a[1]),
        Op::Exp => |_, a| exponential::exp(a[0]),
        Op::Expm1 => |_, a| exponential::expm1(a[0]),
        Op::Log => |_, a| logarithm::log(a[0]),
        Op::Log2 => |_, a| logarithm::log2(a[0]),
        Op::Log10 => |_, a| logarithm::log10(a[0]),
        Op::Log1p => |_, a| logarithm::log1p(a[0]),
        Op::Sin => |_, a| trigonometric::sin(a[0]),
        Op::Cos => |_, a| trigonometric::cos(a[0]),
        Op::Tan => |_, a| trigonometric::tan(a[0]),
        Op::Asin => |_, a| inverse::asin(a[0]),
        Op::Acos => |_, a| inverse::acos(a[0]),
        Op::Atan => |_, a| inverse::atan(a[0]),
        Op::Atan2 => |_, a| inverse::atan2(a[0], a[1]),
        Op::Sinh => |_, a| hyperbolic::sinh(a[0]),
        Op::Cosh => |_, a| hyperbolic::cosh(a[0]),
        Op::Tanh => |_, a| hyperbolic::tanh(a[0]),
        Op::Sigmoid => |_, a| exponential::sigmoid(a[0]),
        Op::Erf => |_, a| error_function::erf(a[0]),
        Op::Mod => |_, a| remainder::modulo(a[0], a[1]),
        Op::Plog => |_, a| logarithm::protected_log(a[0]),
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
