//! What a child costs, in nanoseconds: each operator on trees of about 30 nodes, and the mix.
//!
//! Parents are 512 random trees of 25–35 nodes; every child takes a random stream of its own, as in
//! a search. Ceiling: 300 ns a child, so that variation stays small beside evaluation.
//!
//! Run with `cargo bench -p opcodon-gp --bench vary`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark"
)]

use std::hint::black_box;
use std::time::Instant;

use opcodon_evo::Rng;
use opcodon_expr::{Expr, Op};
use opcodon_gp::{
    Constants, Crossover, Init, Limits, Mutation, PrimitiveSet, Rates, Variation, Workspace,
};

const N_PARENTS: usize = 512;
const N_CALLS: u32 = 500;
const N_BATCHES: u32 = 300;

/// The best of many short batches (so that a busy machine leaves some undisturbed), in nanoseconds
/// a call, and the share of calls that gave a tree.
fn time(mut call: impl FnMut(&mut Rng, usize) -> Option<Expr>) -> (f64, f64) {
    let mut best = f64::INFINITY;
    let mut made = 0u32;
    // All batches make the same children, or the luckiest batch would win.
    for _ in 0..N_BATCHES {
        made = 0;
        let start = Instant::now();
        for i in 0..N_CALLS {
            let mut rng = Rng::for_individual(1, 2, i);
            let first = rng.below(N_PARENTS);
            made += u32::from(black_box(call(&mut rng, first)).is_some());
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(N_CALLS));
    }
    (best, f64::from(made) / f64::from(N_CALLS))
}

fn report(name: &str, (ns, share): (f64, f64)) {
    println!(
        "{name:<28} {ns:7.0} ns   {:5.1} % made a tree",
        100.0 * share
    );
}

fn main() {
    let set = PrimitiveSet::builder()
        .operators(&[
            Op::Add,
            Op::Sub,
            Op::Mul,
            Op::Div,
            Op::Sin,
            Op::Exp,
            Op::Log,
            Op::Sqrt,
        ])
        .variables(5)
        .constants(
            Constants::Normal {
                mean: 0.0,
                std_dev: 1.0,
            },
            1.0,
        )
        .build()
        .unwrap();
    let mut space = Workspace::new();
    // A depth limit that never binds, and one that often does.
    for limits in [Limits::new(50, 50), Limits::new(50, 9)] {
        let init = Init::Balanced {
            min_size: 25,
            max_size: 35,
            irregularity: 0.1,
        };
        let trees: Vec<Expr> = (0..N_PARENTS as u64)
            .map(|i| init.create(&mut Rng::new(0, i), &mut space, &set, limits))
            .collect();
        bench(&set, limits, &trees, &mut space);
    }
}

fn bench(set: &PrimitiveSet, limits: Limits, trees: &[Expr], space: &mut Workspace) {
    let mean =
        |of: fn(&Expr) -> usize| trees.iter().map(of).sum::<usize>() as f64 / N_PARENTS as f64;
    let (size, depth) = (mean(Expr::len), mean(Expr::depth));
    println!("-- {limits:?}; parents have {size:.1} nodes, depth {depth:.1} on average");
    let other = |rng: &mut Rng| &trees[rng.below(N_PARENTS)];
    report("clone", time(|_, i| Some(trees[i].clone())));
    let variation = Variation::new(set.clone(), limits, Rates::default()).unwrap();
    for operator in Crossover::ALL {
        let call = |rng: &mut Rng, i: usize| {
            let father = other(rng);
            variation.apply_crossover(operator, rng, space, &trees[i], father)
        };
        report(&format!("crossover {}", operator.name()), time(call));
    }
    for operator in Mutation::ALL {
        let call =
            |rng: &mut Rng, i: usize| variation.apply_mutation(operator, rng, space, &trees[i]);
        report(&format!("mutation {}", operator.name()), time(call));
    }
    let call = |rng: &mut Rng, i: usize| {
        let father = other(rng);
        Some(variation.vary(rng, space, &trees[i], father).expr)
    };
    report("vary (default rates)", time(call));
    for (name, init) in [
        (
            "new: ptc2, 30 nodes",
            Init::Ptc2 {
                min_size: 30,
                max_size: 30,
            },
        ),
        (
            "new: balanced, 30 nodes",
            Init::Balanced {
                min_size: 30,
                max_size: 30,
                irregularity: 0.1,
            },
        ),
        (
            "new: ramped, depth 2 to 6",
            Init::Ramped {
                min_depth: 2,
                max_depth: 6,
            },
        ),
    ] {
        let call = |rng: &mut Rng, _: usize| Some(init.create(rng, space, set, limits));
        report(name, time(call));
    }
}
