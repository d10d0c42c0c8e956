//! Evolution of any genome: selection, non-dominated sort, archive, counter-based RNG, stopping.
//!
//! Everything here works on indices and numbers: an individual is its position in the population,
//! its fitness one or more `f64`. The crate knows neither trees nor data, and nothing in it depends
//! on the number of threads: every random choice is a function of an [`Rng`], and an [`Rng`] is a
//! function of a seed and a stream number.
//!
//! # Errors that are not numbers
//! A candidate may compute NaN. That is a bad score, not a fault: in every order of this crate NaN
//! comes after everything else (see [`order`]), and nothing panics on it.

pub mod archive;
pub mod island;
pub mod lexicase;
pub mod nsga2;
pub mod order;
mod philox;
pub mod rng;
pub mod stop;
pub mod tournament;
pub mod weighted;

pub use archive::Archive;
pub use island::Migration;
pub use lexicase::Lexicase;
pub use rng::Rng;
pub use stop::{Reason, Stop, Watch};
pub use weighted::Weighted;
