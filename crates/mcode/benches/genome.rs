//! What machine code as the individual saves: nanoseconds to breed and to verify a child,
//! operations a second when it is run, and both against compiling the same expression. Programs on
//! bits are held against what the ports of the processor allow.
//!
//! Genomes are random, of the four basic operations over five columns: linear ones of 32 slots,
//! trees of 9 to 63 slots. An operation is an effective slot. Floors, AVX-512: a child is 256 bytes to
//! copy; a slot computes 8 rows, and two vector units 16 operations a cycle.
//!
//! `child` is a generation whole: 1000 children of the same formulas as trees, as tree genomes and
//! as linear genomes, bred and run. Run with `cargo bench -p opcodon-mcode --bench genome`, and with
//! `-- vary`, `-- run`, `-- child`, `-- evolve`, `-- bits` or `-- solve` (multiplexers; minutes) for
//! a part.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark"
)]

use std::hint::black_box;
use std::ops::ControlFlow;

use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node, Op};
use opcodon_gp::{Constants, Limits, PrimitiveSet, Rates, Workspace};
use opcodon_jit::{Goal, Panel};
use opcodon_mcode::evolve::{Settings, Variation, run as run_evolution};
use opcodon_mcode::{
    Batch, Blocks, Code, Fold, Genome, LinearCode, Opcode, Program, Repertoire, Tier, TreeCode,
};
use opcodon_testkit::best;

const N_COLUMNS: usize = 5;
const POPULATION: usize = 1000;
const MAX_SLOTS: usize = 32;

fn report(tier: Tier, what: &str, seconds: f64, n: usize) {
    println!(
        "{:7} {what:34} {:8.1} ns",
        tier.name(),
        seconds / n as f64 * 1e9
    );
}

fn vary(tier: Tier, linear: &[LinearCode], trees: &[TreeCode], repertoire: &Repertoire) {
    let pairs = || (0..linear.len()).map(|k| (k, (k * 7 + 1) % linear.len()));
    let n = linear.len();
    let mut rng = Rng::new(1, 1);
    let mut child = linear[0].clone();
    let two_point = best(|| {
        for (a, b) in pairs() {
            child.two_point(&mut rng, &linear[a], &linear[b], MAX_SLOTS);
            black_box(&child);
        }
    });
    report(tier, "linear: two-point crossover", two_point, n);
    let mutated = best(|| {
        for (a, b) in pairs() {
            child.two_point(&mut rng, &linear[a], &linear[b], MAX_SLOTS);
            child.mutate(&mut rng, repertoire, MAX_SLOTS);
            black_box(&child);
        }
    });
    report(tier, "linear: two-point and mutation", mutated, n);
    // As evolution makes them: not each is of two parents, and not each of those is mutated too.
    let variation = Variation {
        max_slots: MAX_SLOTS,
        ..Variation::default()
    };
    let mut scratch = child.clone();
    // A generation takes no longer than branch predictors take to get used to it.
    const GENERATIONS: usize = 20;
    let mut bred_and = |look: &dyn Fn(&Code)| {
        best(|| {
            for (a, b) in (0..GENERATIONS).flat_map(|_| pairs()) {
                let parents = (&linear[a], &linear[b]);
                child.breed(
                    &mut scratch,
                    &mut rng,
                    parents.0,
                    parents.1,
                    repertoire,
                    &variation,
                );
                look(child.code());
            }
        })
    };
    let bred = bred_and(&|code| {
        black_box(code);
    });
    report(tier, "linear: bred", bred, GENERATIONS * n);
    let verified = bred_and(&|code| black_box(code.check()).unwrap());
    report(tier, "linear: bred and verified", verified, GENERATIONS * n);
    println!(
        "{:7} linear: {:.1} M children/s bred and verified",
        tier.name(),
        (GENERATIONS * n) as f64 / verified * 1e-6
    );
    let homologous = best(|| {
        for (a, b) in pairs() {
            child.homologous(&mut rng, &linear[a], &linear[b], MAX_SLOTS);
            black_box(&child);
        }
    });
    report(tier, "linear: homologous crossover", homologous, n);
    let verify = best(|| {
        for genome in linear {
            black_box(genome.code().check()).unwrap();
        }
    });
    report(tier, "linear: verify", verify, n);
    let slots: usize = linear
        .iter()
        .map(|genome| genome.code().slots().len())
        .sum();
    report(tier, "linear: verify, a slot", verify, slots);
    let strip = best(|| {
        for genome in linear {
            black_box(genome.n_effective());
        }
    });
    report(tier, "linear: find effective slots", strip, n);
    let mut child = trees[0].clone();
    let crossover = best(|| {
        for (a, b) in pairs() {
            child.crossover(&mut rng, &trees[a], &trees[b], 63);
            black_box(&child);
        }
    });
    report(tier, "tree: crossover", crossover, n);
    let mutate = best(|| {
        for tree in trees {
            child.mutate(&mut rng, tree, repertoire, 63);
            black_box(&child);
        }
    });
    report(tier, "tree: mutation", mutate, n);
}

/// Making executable and running against compiling and running the same expressions.
fn run(tier: Tier, what: &str, genomes: &[(Program<'_>, Expr, usize)], n_rows: usize) {
    let mut rng = Rng::new(3, 3);
    let columns: Vec<Vec<f64>> = (0..=N_COLUMNS)
        .map(|_| (0..n_rows).map(|_| rng.uniform(0.5, 2.0)).collect())
        .collect();
    let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let blocks = Blocks::new(tier, &slices[..N_COLUMNS], Some(slices[N_COLUMNS])).unwrap();
    let mut batch = Batch::new(tier, N_COLUMNS, Fold::Squares).unwrap();
    let mut losses = vec![0.0; genomes.len()];
    let codes = || genomes.iter().map(|(program, ..)| *program);
    let load = best(|| batch.load(codes()).unwrap());
    let genomes_run = best(|| batch.losses(black_box(&blocks), &mut losses).unwrap());
    let both = best(|| {
        batch.load(codes()).unwrap();
        batch.losses(black_box(&blocks), &mut losses).unwrap();
    });

    let panel = Panel::<f64>::from_columns(&slices).unwrap();
    let mut jit = opcodon_jit::Batch::<f64>::new(jit_tier(tier)).unwrap();
    let goal = Goal::Mse {
        target: 5,
        weight: None,
    };
    let trees: Vec<&Expr> = genomes.iter().map(|(_, expr, _)| expr).collect();
    let compile = best(|| jit.compile(trees.iter().copied(), 5, goal).unwrap());
    let jit_run = best(|| jit.losses(0, black_box(&panel), &mut losses).unwrap());
    let jit_both = best(|| {
        jit.compile(trees.iter().copied(), 5, goal).unwrap();
        jit.losses(0, black_box(&panel), &mut losses).unwrap();
    });
    let n = genomes.len() as f64;
    let operations: usize = genomes.iter().map(|(.., n)| n).sum();
    let ns = |seconds: f64| seconds / n * 1e9;
    println!(
        "{:7} {what:6} {n_rows:5} rows: load {:5.0} ns, run {:6.0} ns, both {:6.0} ns a genome, \
         {:5.2} G operations/s │ jit: compile {:5.0}, run {:6.0}, both {:6.0} ns │ jit/genome: \
         load {:.2}, run {:.2}, both {:.2}",
        tier.name(),
        ns(load),
        ns(genomes_run),
        ns(both),
        (operations * n_rows) as f64 / genomes_run * 1e-9,
        ns(compile),
        ns(jit_run),
        ns(jit_both),
        compile / load,
        jit_run / genomes_run,
        jit_both / both,
    );
}

/// Seconds in which children of genomes are bred, made executable and run.
fn generation<G: Genome>(parents: &[G], repertoire: &Repertoire, blocks: &Blocks) -> f64 {
    let variation = Variation {
        crossover: 1.0,
        mutation: 0.25,
        ..Variation::default()
    };
    let mut children = parents.to_vec();
    let mut scratch = parents[0].clone();
    let mut losses = vec![0.0; parents.len()];
    let mut batch = Batch::new(blocks.tier(), N_COLUMNS, Fold::Squares).unwrap();
    let mut rng = Rng::new(5, 5);
    best(|| {
        for (k, child) in children.iter_mut().enumerate() {
            let father = &parents[(k * 7 + 1) % parents.len()];
            child.breed(
                &mut scratch,
                &mut rng,
                &parents[k],
                father,
                repertoire,
                &variation,
            );
        }
        batch.load(children.iter().map(Genome::program)).unwrap();
        batch.losses(black_box(blocks), &mut losses).unwrap();
    })
}

/// A whole generation of the same parents: as trees that are bred and compiled, and as genomes.
fn children(tier: Tier, repertoire: &Repertoire, trees: &[TreeCode], n_rows: usize) {
    let mut rng = Rng::new(3, 3);
    let columns: Vec<Vec<f64>> = (0..=N_COLUMNS)
        .map(|_| (0..n_rows).map(|_| rng.uniform(0.5, 2.0)).collect())
        .collect();
    let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let blocks = Blocks::new(tier, &slices[..N_COLUMNS], Some(slices[N_COLUMNS])).unwrap();
    let formulas: Vec<Expr> = trees
        .iter()
        .map(|tree| tree.to_expression().unwrap())
        .collect();
    let linear: Vec<LinearCode> = formulas
        .iter()
        .map(|formula| LinearCode::from_expression(formula, tier, N_COLUMNS).unwrap())
        .collect();

    let set = PrimitiveSet::builder()
        .operators(&[Op::Add, Op::Sub, Op::Mul, Op::Div])
        .variables(5)
        .constants(
            Constants::Uniform {
                low: -5.0,
                high: 5.0,
            },
            2.0,
        );
    let variation =
        opcodon_gp::Variation::new(set.build().unwrap(), Limits::new(64, 16), Rates::default());
    let (variation, mut space) = (variation.unwrap(), Workspace::new());
    let panel = Panel::<f64>::from_columns(&slices).unwrap();
    let mut jit = opcodon_jit::Batch::<f64>::new(jit_tier(tier)).unwrap();
    let goal = Goal::Mse {
        target: 5,
        weight: None,
    };
    let mut losses = vec![0.0; formulas.len()];
    let mut rng = Rng::new(5, 5);
    let compiled = best(|| {
        let born: Vec<Expr> = (0..formulas.len())
            .map(|k| {
                let father = &formulas[(k * 7 + 1) % formulas.len()];
                variation
                    .vary(&mut rng, &mut space, &formulas[k], father)
                    .expr
            })
            .collect();
        jit.compile(&born, 5, goal).unwrap();
        jit.losses(0, black_box(&panel), &mut losses).unwrap();
    });
    let ns = |seconds: f64| seconds / formulas.len() as f64 * 1e9;
    let (of_trees, of_linear) = (
        generation(trees, repertoire, &blocks),
        generation(&linear, repertoire, &blocks),
    );
    println!(
        "{:7} a child {n_rows:5} rows: bred, compiled and run {:5.0} ns │ tree code {:5.0} ns, \
         {:.1}× │ linear code {:5.0} ns, {:.1}×",
        tier.name(),
        ns(compiled),
        ns(of_trees),
        compiled / of_trees,
        ns(of_linear),
        compiled / of_linear,
    );
}

fn jit_tier(tier: Tier) -> opcodon_jit::Tier {
    match tier {
        Tier::Avx2 => opcodon_jit::Tier::Avx2,
        Tier::Avx512 => opcodon_jit::Tier::Avx512,
    }
}

/// Linear genomes on bits: a case is one bit of one operation.
fn bits(tier: Tier, n_cases: usize) {
    // Few registers, so that most slots are effective.
    let repertoire = Repertoire::boolean(tier, 11).unwrap();
    let repertoire = repertoire.registers(4).unwrap();
    let genomes: Vec<LinearCode> = (0..POPULATION as u64)
        .map(|k| LinearCode::random(&mut Rng::new(5, k), &repertoire, MAX_SLOTS))
        .collect();
    let mut rng = Rng::new(4, 4);
    let columns: Vec<Vec<u64>> = (0..12)
        .map(|_| (0..n_cases / 64).map(|_| rng.u64()).collect())
        .collect();
    let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
    let blocks = Blocks::from_bits(tier, &slices[..11], slices[11], n_cases).unwrap();
    let mut batch = Batch::new(tier, 11, Fold::Bits).unwrap();
    batch.load(genomes.iter().map(LinearCode::code)).unwrap();
    let mut losses = vec![0.0; genomes.len()];
    let seconds = best(|| batch.losses(black_box(&blocks), &mut losses).unwrap());
    let operations: usize = genomes.iter().map(LinearCode::n_effective).sum();
    let per_second = (operations * n_cases) as f64 / seconds;
    // Processors of either tier do logic on three vectors of 256 bits a cycle, or two of 512.
    let bits_a_cycle = match tier {
        Tier::Avx2 => 3.0 * 256.0,
        Tier::Avx512 => 2.0 * 512.0,
    };
    let most = bits_a_cycle * cycles_a_second();
    println!(
        "{:7} bits   {n_cases:7} cases: run {:6.0} ns a genome, {:5.0} G bit-cases/s; ports allow \
         {:5.0}, {:.1}× as many",
        tier.name(),
        seconds / genomes.len() as f64 * 1e9,
        per_second * 1e-9,
        most * 1e-9,
        most / per_second,
    );
}

/// Cycles a second, from a chain of multiplications, each of which takes three.
fn cycles_a_second() -> f64 {
    const N: u64 = 1_000_000;
    let seconds = best(|| {
        let mut product = black_box(3_u64);
        for _ in 0..N {
            product = product.wrapping_mul(black_box(5));
        }
        black_box(product);
    });
    3.0 * N as f64 / seconds
}

/// Cases of the multiplexer of so many address bits, of which the lowest bits of a case choose one
/// of the others: columns of bits, the target last.
fn multiplexer(n_address: usize, cases: impl Iterator<Item = u64>) -> Vec<Vec<u64>> {
    let n_inputs = n_address + (1 << n_address);
    let mut columns = vec![Vec::new(); n_inputs + 1];
    for (number, case) in cases.enumerate() {
        let address = case & ((1 << n_address) - 1);
        let bits = case | (case >> n_address >> address & 1) << n_inputs;
        for (k, column) in columns.iter_mut().enumerate() {
            if number % 64 == 0 {
                column.push(0);
            }
            column[number / 64] |= (bits >> k & 1) << (number % 64);
        }
    }
    columns
}

/// Seconds and children until evolution has found a multiplexer from some of its cases; what it
/// has found is judged by all of them.
fn solve(tier: Tier, n_address: usize, n_cases: usize, population: usize, seeds: u64) {
    let n_inputs = n_address + (1 << n_address);
    let blocks = |columns: &[Vec<u64>], n_cases| {
        let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
        Blocks::from_bits(tier, &slices[..n_inputs], slices[n_inputs], n_cases).unwrap()
    };
    let n_all = 1 << n_inputs;
    let all = blocks(&multiplexer(n_address, 0..n_all as u64), n_all);
    let mut rng = Rng::new(6, 6);
    let drawn = std::iter::repeat_with(|| rng.below(n_all) as u64).take(n_cases);
    let some = blocks(&multiplexer(n_address, drawn), n_cases);
    for seed in 0..seeds {
        let repertoire = Repertoire::boolean(tier, n_inputs).unwrap();
        let repertoire = repertoire
            .opcodes(&[Opcode::If, Opcode::And, Opcode::Or])
            .constants(0.0, 0.0, 0.0);
        let mut settings = Settings::new(repertoire);
        settings.variation.max_slots = 150;
        settings.variation.max_nodes = 1000;
        settings.variation.crossover = 0.8;
        settings.population = population;
        settings.tournament = 5;
        settings.seed = seed;
        settings.stop.evaluations = Some(10_000_000);
        let start = std::time::Instant::now();
        let found = run_evolution::<TreeCode>(&some, &settings, |_| ControlFlow::Continue(()));
        let (found, seconds) = (found.unwrap(), start.elapsed().as_secs_f64());
        let mut batch = Batch::new(tier, n_inputs, Fold::Bits).unwrap();
        batch.load([&found.best]).unwrap();
        println!(
            "{:7} multiplexer of {n_inputs} bits, seed {seed}: {:.0} of {n_all} cases wrong after \
             {} children, {seconds:.1} s",
            tier.name(),
            batch.loss(0, &all).unwrap() * n_all as f64,
            found.evaluations,
        );
    }
}

/// A whole run: breeding, copying, running, choosing.
fn evolution<G: Genome>(tier: Tier, what: &str, n_rows: usize) {
    let mut rng = Rng::new(8, 8);
    let columns: Vec<Vec<f64>> = (0..=N_COLUMNS)
        .map(|_| (0..n_rows).map(|_| rng.normal()).collect())
        .collect();
    let slices: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let blocks = Blocks::new(tier, &slices[..N_COLUMNS], Some(slices[N_COLUMNS])).unwrap();
    let mut settings = Settings::new(Repertoire::new(tier, N_COLUMNS).unwrap());
    settings.variation.max_slots = MAX_SLOTS;
    settings.stop.evaluations = Some(100_000);
    let mut evaluations = 0;
    let seconds = best(|| {
        let found = run_evolution::<G>(&blocks, &settings, |_| ControlFlow::Continue(()));
        evaluations = found.unwrap().evaluations;
    });
    println!(
        "{:7} {what:6} {n_rows:5} rows: evolution {:5.0} ns a child",
        tier.name(),
        seconds / evaluations as f64 * 1e9
    );
}

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let wants =
        |part: &str| wanted.is_empty() && part != "solve" || wanted.iter().any(|arg| arg == part);
    for tier in Tier::ALL.into_iter().filter(|tier| tier.is_available()) {
        let repertoire = Repertoire::new(tier, N_COLUMNS).unwrap();
        let linear: Vec<LinearCode> = (0..POPULATION as u64)
            .map(|k| LinearCode::random(&mut Rng::new(2026, k), &repertoire, MAX_SLOTS))
            .collect();
        let trees: Vec<TreeCode> = (0..)
            .map(|k| TreeCode::random(&mut Rng::new(2027, k), &repertoire, 6))
            .filter(|tree| (9..=63).contains(&tree.code().slots().len()))
            .take(POPULATION)
            .collect();
        if wants("vary") {
            vary(tier, &linear, &trees, &repertoire);
        }
        let formulas = |code: &Code| code.to_expression(200).ok();
        let of_linear: Vec<_> = linear
            .iter()
            .filter_map(|g| Some((g.into(), formulas(g.code())?, g.n_effective())))
            .collect();
        let of_trees: Vec<_> = trees
            .iter()
            .map(|tree| {
                (
                    tree.into(),
                    tree.to_expression().unwrap(),
                    tree.n_effective(),
                )
            })
            .collect();
        // A divider is shared by all lanes, so it decides where there are divisions.
        let divides = |(_, formula, _): &&(_, Expr, _)| {
            let divides = |node: &Node| matches!(node, Node::Op(Op::Div));
            formula.nodes().iter().any(divides)
        };
        let without: Vec<_> = of_trees
            .iter()
            .filter(|tree| !divides(tree))
            .cloned()
            .collect();
        for n_rows in [20, 1000, 10_000].into_iter().filter(|_| wants("run")) {
            run(tier, "linear", &of_linear, n_rows);
            run(tier, "tree", &of_trees, n_rows);
            run(tier, "no ÷", &without, n_rows);
        }
        for n_rows in [20, 1000].into_iter().filter(|_| wants("child")) {
            children(tier, &repertoire, &trees, n_rows);
        }
        for n_rows in [20, 1000].into_iter().filter(|_| wants("evolve")) {
            evolution::<LinearCode>(tier, "linear", n_rows);
            evolution::<TreeCode>(tier, "tree", n_rows);
        }
        if wants("solve") && Opcode::If.is_of(tier) {
            solve(tier, 3, 2048, 4000, 3);
            solve(tier, 4, 8192, 10_000, 3);
        }
        for n_cases in [1 << 11, 1 << 20].into_iter().filter(|_| wants("bits")) {
            bits(tier, n_cases);
        }
    }
}
