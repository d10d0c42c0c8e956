//! Expression compiler: one [`Expr`](opcodon_expr::Expr), or a whole population of them, to
//! machine code.
//!
//! An expression is a postfix tree that knows no processor. This crate gives it registers:
//!
//! ```text
//! Expr ─ tape ─▶ Tape (straight-line code, leaves are operands)
//!      ─ lower ─▶ instructions of one Machine (SSE2, AVX2+FMA, AVX-512; f64, f32; scalar)
//!        ├─ batch     kernels over columns for a whole population, one arena sealed once
//!        ├─ generation  the same, with what the trees have in common computed once
//!        ├─ formula   losses that are expressions of the prediction, computed in the same kernel
//!        ├─ gradient  residuals, J'J and J'r of one expression in its constants, one kernel
//!        └─ scalar    one function of the host's calling convention: arguments in registers
//! ```
//!
//! Whatever takes more than a few instructions (sin, exp, pow, …) is a near routine of
//! [`vmath`], called under a private convention that preserves most registers.
//!
//! # Invariants
//! - The reference evaluator of `opcodon-expr` is the meaning: `+ − × ÷ √ abs neg` are bit-equal
//!   to it on every tier, the rest lies within the operator table's ULP bound.
//! - Constants are data: no constant of a tree is an immediate of its code, so refitting
//!   constants never recompiles.
//! - No file is opened here, and `unsafe` is confined to `seal`.

mod batch;
mod columns;
mod common;
mod crew;
mod direct;
mod divider;
mod error;
mod explain;
mod formula;
mod generation;
mod gradient;
mod kernel;
mod lower;
mod machine;
mod outer;
mod panel;
mod scalar;
mod seal;
mod tape;
mod tier;
pub mod vmath;

pub use batch::{Batch, Goal, Moments};
pub use error::JitError;
pub use generation::Generation;
pub use gradient::{NormalEquations, Scratch};
pub use panel::{Panel, TILE_ROWS};
pub use scalar::CompiledExpr;
pub use tier::{Float, Tier};
