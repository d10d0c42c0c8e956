//! Expressions: operator table, postfix tree, parser, printers, reference, derivative.
//!
//! An [`Expr`] is a formula in variables x0, x1, … and constants, stored as a flat postfix
//! sequence: it is copied with one `memcpy`, and nothing about it is recursive. [`Op`] is the one
//! table of operators; [`Expr::eval`] is what an expression means, against which every other
//! evaluator is tested.
//!
//! ```
//! use opcodon_expr::{Op, parse, print};
//!
//! let parsed = parse("2*mass + sin(angle)^2", None)?;
//! assert_eq!(parsed.variables, ["mass", "angle"]);
//! assert_eq!(parsed.expr.eval(&[3.0, 0.0]), 6.0);
//! let slope = parsed.expr.diff(1)?.simplify_algebraic();
//! assert_eq!(print::infix(&slope, &parsed.variables), "2*(sin(angle)*cos(angle))");
//! assert_eq!(Op::from_spelling("sin"), Some(Op::Sin));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariants
//! This crate knows no processor and no file. No function recurses over a tree: 100,000 nested
//! operators parse, print, evaluate, differentiate and drop.

mod diff;
#[cfg(feature = "arbitrary")]
pub mod generate;
mod hash;
mod interval;
mod mixing;
pub mod op;
mod parse;
pub mod print;
mod reference;
mod scratch;
#[cfg(feature = "serde")]
mod serial;
mod simplify;
mod symbol;
mod tree;

pub use diff::MAX_DERIVATIVE_LEN;
pub use interval::{Bounds, Interval};
pub use op::{MAX_ARITY, Op};
pub use parse::{ParseError, ParseErrorKind, Parsed, parse};
pub use tree::{Expr, ExprError, MAX_LEN, Node, operands_of};
