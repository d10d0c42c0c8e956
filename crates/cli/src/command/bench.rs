//! `opcodon bench`: how fast this machine evaluates formulas.
//!
//! A thousand random trees of 5–50 nodes over five columns are compiled and run, which is what a
//! search does in each generation. A node counts as such whether it is an operator or a leaf.

use std::time::{Duration, Instant};

use clap::Args;
use opcodon::evo::Rng;
use opcodon::expr::{Expr, Op};
use opcodon::gp::{Constants, Init, Limits, PrimitiveSet, Workspace};
use opcodon::jit::{Batch, Float, Goal, Panel, Tier};
use serde_json::{Value, json};

use crate::{Failure, out};

/// Flags of `opcodon bench`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Numbers of rows, separated by commas.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "20,100,1000,10000,100000"
    )]
    rows: Vec<usize>,
    /// Seconds for each line.
    #[arg(long, default_value_t = 0.2, allow_negative_numbers = true)]
    seconds: f64,
}

const N_TREES: usize = 1000;
const N_COLUMNS: u32 = 5;
const ARITHMETIC: [Op; 4] = [Op::Add, Op::Sub, Op::Mul, Op::Div];
const FUNCTIONS: [Op; 10] = [
    Op::Add,
    Op::Sub,
    Op::Mul,
    Op::Div,
    Op::Sin,
    Op::Cos,
    Op::Exp,
    Op::Log,
    Op::Sqrt,
    Op::Tanh,
];

pub(crate) fn run(flags: &Flags, json: bool) -> Result<(), Failure> {
    let tier = Tier::best()?;
    let seconds = Duration::try_from_secs_f64(flags.seconds)
        .map_err(|_| Failure::input("--seconds must be a positive number"))?;
    if let Some(rows) = flags
        .rows
        .iter()
        .find(|rows| !(1..=10_000_000).contains(*rows))
    {
        return Err(Failure::input(format_args!(
            "--rows must be between 1 and 10000000, not {rows}"
        )));
    }
    if !json {
        out(format_args!(
            "{N_TREES} random formulas on one core, {tier}; a node is an operator or a leaf\n\n\
             operators   type        rows   compile   run: node·rows/s   both"
        ));
    }
    let mut lines = Vec::new();
    for (name, ops) in [("arithmetic", &ARITHMETIC[..]), ("functions", &FUNCTIONS)] {
        let trees = trees(ops)?;
        for &n_rows in &flags.rows {
            lines.push(measure::<f64>(tier, name, &trees, n_rows, seconds, json)?);
            lines.push(measure::<f32>(tier, name, &trees, n_rows, seconds, json)?);
        }
    }
    if json {
        out(json!({ "tier": tier.name(), "trees": N_TREES, "lines": lines }));
    }
    Ok(())
}

/// The trees, always the same.
fn trees(ops: &[Op]) -> Result<Vec<Expr>, Failure> {
    let set = PrimitiveSet::builder()
        .operators(ops)
        .variables(N_COLUMNS)
        .constants(
            Constants::Normal {
                mean: 0.0,
                std_dev: 1.0,
            },
            1.0,
        )
        .build()?;
    let sizes = Init::Ptc2 {
        min_size: 5,
        max_size: 50,
    };
    let (mut rng, mut space) = (Rng::new(2014, 0), Workspace::default());
    let tree = |_| sizes.create(&mut rng, &mut space, &set, Limits::new(50, 50));
    Ok((0..N_TREES).map(tree).collect())
}

/// One line: trees of a kind over so many rows.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
fn measure<T: Float>(
    tier: Tier,
    name: &str,
    trees: &[Expr],
    n_rows: usize,
    seconds: Duration,
    json: bool,
) -> Result<Value, Failure> {
    let mut rng = Rng::new(7, 0);
    let n_columns = N_COLUMNS as usize;
    let panel = Panel::<T>::from_fn(n_columns + 1, n_rows, |_, _| {
        T::from_f64(rng.uniform(0.1, 3.0))
    });
    let goal = Goal::Mse {
        target: N_COLUMNS,
        weight: None,
    };
    let mut batch = Batch::<T>::new(tier)?;
    batch.expect_rows(n_rows);
    let mut losses = vec![0.0; trees.len()];
    let (mut compile, mut run) = (f64::INFINITY, f64::INFINITY);
    let start = Instant::now();
    while run.is_infinite() || start.elapsed() < seconds {
        let begun = Instant::now();
        batch.compile(trees, n_columns, goal)?;
        let compiled = Instant::now();
        batch.losses(0, &panel, &mut losses)?;
        run = run.min(compiled.elapsed().as_secs_f64());
        compile = compile.min((compiled - begun).as_secs_f64());
    }
    let n_nodes: usize = trees.iter().map(Expr::len).sum();
    let work = n_nodes as f64 * n_rows as f64;
    let microseconds = compile / trees.len() as f64 * 1e6;
    let (alone, both) = (work / run, work / (run + compile));
    if !json {
        out(format_args!(
            "{name:11} {:8} {n_rows:7}   {microseconds:4.2} µs   {:8.2} G           {:6.2} G",
            T::NAME,
            alone * 1e-9,
            both * 1e-9,
        ));
    }
    Ok(json!({
        "operators": name,
        "dtype": T::NAME,
        "rows": n_rows,
        "compile_us_per_tree": microseconds,
        "node_rows_per_s": alone,
        "node_rows_per_s_with_compiling": both,
    }))
}
