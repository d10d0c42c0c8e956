//! Tree genetic programming: initialisation, crossover, mutation.
//!
//! Genomes are [`Expr`](opcodon_expr::Expr)s, flat postfix sequences, so a subtree is a slice and
//! every operator here is a few slice copies. A [`PrimitiveSet`] says what trees are made of,
//! [`Limits`] how large they may get, [`init`] makes the first ones, [`crossover`] and [`mutate`]
//! make children of parents, and [`Variation`] draws among all of these by weight.
//!
//! # Invariants
//! - No operator returns a tree beyond its [`Limits`], whatever its parents are like: everything
//!   leaves through [`Limits::admit`].
//! - A child is a function of its parents and its [`Rng`](opcodon_evo::Rng) alone. A
//!   [`Workspace`] holds buffers, never state.
//! - Nothing recurses.

pub mod crossover;
mod gap;
mod growth;
pub mod init;
pub mod limits;
pub mod mutate;
mod points;
pub mod primitives;
pub mod vary;
mod workspace;

pub use init::Init;
pub use limits::Limits;
pub use primitives::{Constants, PrimitiveError, PrimitiveSet};
pub use vary::{Child, Crossover, Mutation, Rates, Variation, VariationError};
pub use workspace::Workspace;
