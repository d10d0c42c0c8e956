//! How many candidates a search looks at in a second of one core, and how good the front becomes.
//!
//! The table has 1000 rows of five inputs and a target that no short formula gives exactly, so that
//! no search ends early; operators are the default ones, there are no seeds. Counted are the generations
//! after the first forty, when trees have grown, in processor time (Linux only). A candidate is a formula that
//! was scored: a child, or a child with fitted constants. Floor: 23 nodes on 1000 rows at 6 G
//! node·rows/s take 4 µs, so much beyond a quarter of a million a second is out of reach where every
//! candidate sees every row.
//!
//! Run with `cargo bench -p opcodon-sr --bench search [-- generations]`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark"
)]

use std::fs;

use opcodon_evo::Rng;
use opcodon_sr::{Config, Observations, fit};

/// Generations that are not counted.
const FIRST: u64 = 40;

/// Processor time of all threads in seconds, in steps of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The name of the program may hold spaces; it ends with the last parenthesis.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split(' ').collect();
    fields[12].parse::<f64>().unwrap() * 0.01
}

fn main() {
    let asked = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let generations: u64 = asked.unwrap_or(200);
    let mut rng = Rng::new(5, 0);
    let columns: Vec<Vec<f64>> = (0..5)
        .map(|_| (0..1000).map(|_| 0.1 + 2.9 * rng.f64()).collect())
        .collect();
    let target: Vec<f64> = (0..1000)
        .map(|row| {
            let x: Vec<f64> = columns.iter().map(|column| column[row]).collect();
            let law =
                (1.7 * x[0] * x[1]).sin() + 2.3 * (-0.7 * x[2]).exp() * x[3] - x[1] / (x[4] + 0.4);
            law + 0.5 * (x[4] + x[0] * x[2]).ln() + 0.1 * rng.normal()
        })
        .collect();
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let data = Observations::new(&["a", "b", "c", "d", "e"], &columns, "y", &target);
    for (name, settings) in [
        ("whole", &[][..]),
        ("without constants", &[("constant_iterations", "0")]),
    ] {
        let run = |generations: u64| {
            let mut config = Config::default();
            let fixed = [
                ("time_limit", "none"),
                ("max_generations", &generations.to_string()),
                ("target_error", "none"),
                ("random_state", "1"),
                ("n_jobs", "1"),
                ("seeds", "false"),
            ];
            for (parameter, value) in fixed.iter().chain(settings) {
                config.set(parameter, value).unwrap();
            }
            let start = cpu_seconds();
            let report = fit(&data, &config).unwrap();
            (report, cpu_seconds() - start)
        };
        let ((short, before), (long, all)) = (run(FIRST), run(FIRST + generations));
        let candidates = long.evaluations - short.evaluations;
        let errors: f64 = long.front.iter().map(|model| 1.0 - model.r2).sum();
        println!(
            "{name:18} {:6.1} k candidates/s, of {candidates} ({} models, sum of 1 - R² {errors:.12})",
            candidates as f64 / (all - before) * 1e-3,
            long.front.len(),
        );
    }
}
