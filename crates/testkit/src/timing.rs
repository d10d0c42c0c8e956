//! Timing for benches: the fastest of several runs, which others disturb least, of those lines that
//! are wanted.

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

/// Whether the words of the command line are all among those of a line.
pub fn is_wanted(line: &str) -> bool {
    std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .all(|word| line.split(' ').any(|other| other == word))
}
