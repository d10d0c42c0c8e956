//! For tests only: ULP distance, counted skips, generators.
//!
//! * [`ulp_distance`]: how far two floating-point numbers are apart, in representable numbers.
//! * [`skip!`] and [`require_avx512`]: a test that cannot run here says so in a line that can be
//!   counted.
//! * [`nasty_f64`], [`nasty_f32`], [`random_f64`], [`random_f32`]: arguments that break numerics.

mod nasty;
mod skip;
mod timing;
mod ulp;

pub use nasty::{nasty_f32, nasty_f64, random_f32, random_f64};
pub use skip::{report_skip, require_avx2, require_avx512};
pub use timing::{best, is_wanted};
pub use ulp::{Ulp, Zeros, ulp_distance, ulp_distance_with};
