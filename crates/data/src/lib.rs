//! Data sets: aligned columns, CSV, splits, scaling.
//!
//! The way in: [`csv::read`] makes a [`Table`] (named columns of `f64`), [`Dataset::from_table`]
//! sets one column apart as the target and checks everything a search relies on. Whoever has
//! arrays already starts at [`Dataset::new`].
//!
//! # Invariant
//! Nothing is guessed in silence and nothing is lost in silence: a cell that is not a number is an
//! error with its place, unless the caller chose a policy, and then the table tells what was left
//! out. No input makes this crate panic.

pub mod csv;
pub mod dataset;
mod dialect;
pub mod error;
mod fingerprint;
mod latest;
mod nearest;
mod number;
pub mod scale;
pub mod split;
pub mod table;
pub mod write;

pub use dataset::{Dataset, Target, Warning};
pub use error::{DataError, Place};
pub use fingerprint::fingerprint;
pub use latest::Latest;
pub use scale::{Scaler, Standard};
pub use split::Split;
pub use table::Table;
