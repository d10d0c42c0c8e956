//! Symbolic regression, the main job: from a table to a short formula that fits.
//!
//! ```
//! use opcodon_sr::{Config, Observations, fit};
//!
//! // Kepler's third law: the period of a planet from its distance, in astronomical units and years.
//! let distance = [0.387, 0.723, 1.0, 1.524, 5.203, 9.537, 19.19, 30.07];
//! let period: Vec<f64> = distance.iter().map(|d: &f64| d.powf(1.5)).collect();
//! let data = Observations::new(&["a"], &[&distance], "T", &period);
//! let mut config = Config::default();
//! config.set("max_generations", "5")?;
//! config.set("random_state", "1")?;
//! let report = fit(&data, &config)?;
//! assert!(report.best().r2 > 0.999999);
//! # Ok::<(), opcodon_sr::SrError>(())
//! ```
//!
//! The way down, and the way up:
//!
//! ```text
//! Observations ─ Problem (checked, extreme columns scaled) ─ starts (linear, quadratic, power laws,
//!     pairs of small formulas; where inputs count only together, a search in fewer variables)
//!     ─ search (islands; normal forms; one batch of compiled kernels a generation; constants by
//!       Levenberg-Marquardt on compiled JᵀJ) ─ archive ─ polish ─ choose ─ Report
//! ```
//!
//! # Invariants
//! - A run is a function of table, configuration and seed, whatever the number of threads, unless
//!   time or an interrupt ends it.
//! - A formula that cannot be evaluated is a bad score, never an error.
//! - Formulas leave in the units and names of the table.

mod accepts;
mod backwards;
mod blend;
mod candidate;
mod certainty;
mod checkpoint;
mod choose;
mod clock;
mod config;
mod constants;
mod constraints;
mod dictionary;
mod error;
mod evaluate;
mod fit;
mod fitted;
mod floor;
mod fronts;
mod guesses;
mod island;
mod judge;
mod left_out;
mod linear;
mod loss;
mod memory;
mod nice;
mod normal_form;
mod operators;
mod pairs;
mod peels;
mod polish;
mod predict;
mod present;
mod problem;
mod reach;
mod reduce;
mod report;
mod reweighted;
mod rules;
mod rungs;
mod search;
mod seeds;
mod starts;
mod stop;
mod tune;
mod visited;

pub use accepts::Accepts;
pub use certainty::Margin;
pub use checkpoint::Save;
pub use config::{Config, Parameter, Preset, Selection};
pub use constraints::Constraints;
pub use error::SrError;
pub use fit::{FrontEntry, Hooks, Observer, Progress, fit, fit_with};
pub use guesses::Guesses;
pub use loss::Loss;
pub use memory::Bytes;
pub use operators::Operators;
pub use problem::{Observations, Problem};
pub use report::{Model, Report, r2_text};
pub use stop::StopReason;
