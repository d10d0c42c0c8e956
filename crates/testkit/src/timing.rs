//! Timing for benches: the fastest of several runs, which others disturb least.

use std::time::Instant;

/// Seconds of the fastest of several runs.
pub fn best(mut run: impl FnMut()) -> f64 {
    (0..7)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}
