//! What random numbers and selection cost.
//!
//! Run with `cargo bench -p opcodon-evo --bench selection`.
#![allow(clippy::print_stdout, missing_docs, reason = "a benchmark")]

use std::hint::black_box;
use std::time::Instant;

use opcodon_evo::{Lexicase, Rng, Weighted, lexicase, nsga2, tournament};

/// The best of many batches of `n_calls` (short ones, so that a busy machine leaves some
/// undisturbed), in nanoseconds a call.
fn report<T>(name: &str, n_calls: u32, mut call: impl FnMut(u64) -> T) {
    let mut best = f64::INFINITY;
    let begin = Instant::now();
    while begin.elapsed().as_millis() < 300 {
        let start = Instant::now();
        for i in 0..n_calls {
            black_box(call(u64::from(i)));
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(n_calls));
    }
    println!("{name:<48} {best:12.1} ns");
}

fn main() {
    const N: u32 = 5000;
    let mut rng = Rng::new(1, 1);
    report("u64", N, |_| rng.u64());
    report("below(30)", N, |_| rng.below(30));
    report("normal", N, |_| rng.normal());
    report("new stream and its first u64", N, |i| Rng::new(1, i).u64());
    report("new stream and ten u64", N, |i| {
        let mut rng = Rng::new(1, i);
        (0..10).fold(0, |sum: u64, _| sum.wrapping_add(rng.u64()))
    });
    if let Some(table) = Weighted::new(&[1.0, 2.0, 3.0, 4.0, 5.0]) {
        report("weighted draw", N, |_| table.sample(&mut rng));
    }
    let errors: Vec<f64> = (0..1000).map(|_| rng.normal()).collect();
    report("tournament of 5 among 1000", N, |_| {
        tournament::by_error(&mut rng, &errors, 5)
    });
    for n in [1000, 2000, 20_000] {
        let objectives: Vec<[f64; 2]> = (0..n)
            .map(|_| [rng.exponential(), rng.range(1, 50) as f64])
            .collect();
        let name = format!("fronts, crowding, survivors: {n} to {}", n / 2);
        report(&name, 1, |_| nsga2::select(&objectives, [1e-4, 0.0], n / 2));
    }
    let objectives: Vec<[f64; 3]> = (0..1000)
        .map(|_| std::array::from_fn(|_| rng.normal()))
        .collect();
    report("the same, three objectives: 1000 to 500", 1, |_| {
        nsga2::select(&objectives, [0.0; 3], 500)
    });
    let cases: Vec<f64> = (0..1000 * 100).map(|_| rng.normal()).collect();
    report("lexicase: ε of 1000 individuals, 100 cases", 1, |_| {
        Lexicase::new(1000, 100, |i, c| cases[i * 100 + c])
    });
    let lexicase = Lexicase::new(1000, 100, |i, c| cases[i * 100 + c]);
    let mut scratch = lexicase::Scratch::default();
    report("lexicase: one parent", 10_000, |_| {
        lexicase.select(&mut rng, &mut scratch)
    });
}
