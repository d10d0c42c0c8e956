//! What a vector-math routine costs and how far it is from the reference: nanoseconds an element
//! and representable numbers, by operator, tier and element type.
//!
//! Each operator is compiled as an expression of its own and run over one tile of 1024 rows, so a
//! figure holds the call, two moves and the loop besides. Arguments are uniform in the range that
//! the table names. The distance is from the operator's reference, which is itself up to two numbers
//! away from the truth; the tests compare with correctly rounded results.
//!
//! Beside them stand the vector functions of glibc (libmvec) and SLEEF at the widest tier, in a loop
//! of compiled C (`vmath_peers.c`), if there is a C compiler and it finds them.
//!
//! Floors, in operations of two 512-bit units a cycle for 8 or 16 elements: exp 15, log 24, sin 20,
//! cos 21 in double precision; exp 12, log 18, sin 16, tanh 19 (of which 7 permutations, one a cycle)
//! in single.
//!
//! Run with `cargo bench -p opcodon-jit --bench vmath [-- operator …]`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::Random;
use opcodon_expr::{Expr, Op};
use opcodon_jit::{Batch, Float, Goal, Panel, TILE_ROWS, Tier};
use opcodon_testkit::{Ulp, ulp_distance};

/// Operators and the ranges of their arguments.
const CASES: [(Op, [(f64, f64); 2]); 33] = {
    const UNIT: (f64, f64) = (0.0, 1.0);
    const TEN: (f64, f64) = (-10.0, 10.0);
    [
        (Op::Exp, [(-80.0, 80.0), UNIT]),
        (Op::Expm1, [(-5.0, 5.0), UNIT]),
        (Op::Log, [(0.0, 100.0), UNIT]),
        (Op::Log2, [(0.0, 100.0), UNIT]),
        (Op::Log10, [(0.0, 100.0), UNIT]),
        (Op::Log1p, [(0.0, 10.0), UNIT]),
        (Op::Sin, [TEN, UNIT]),
        (Op::Sin, [(-1e5, 1e5), UNIT]),
        (Op::Sin, [(1e6, 1e9), UNIT]),
        (Op::Sin, [(1e12, 1e15), UNIT]),
        (Op::Cos, [TEN, UNIT]),
        (Op::Tan, [TEN, UNIT]),
        (Op::Asin, [(-1.0, 1.0), UNIT]),
        (Op::Acos, [(-1.0, 1.0), UNIT]),
        (Op::Atan, [TEN, UNIT]),
        (Op::Atan2, [TEN, TEN]),
        (Op::Sinh, [(-5.0, 5.0), UNIT]),
        (Op::Cosh, [(-5.0, 5.0), UNIT]),
        (Op::Tanh, [(-5.0, 5.0), UNIT]),
        (Op::Sigmoid, [(-5.0, 5.0), UNIT]),
        (Op::Erf, [(-3.0, 3.0), UNIT]),
        (Op::Cbrt, [TEN, UNIT]),
        (Op::Pow, [(0.0, 10.0), TEN]),
        (Op::Pow, [TEN, (2.0, 2.0)]),
        (Op::Mod, [(-100.0, 100.0), (-3.0, 3.0)]),
        (Op::Plog, [TEN, UNIT]),
        (Op::Psqrt, [TEN, UNIT]),
        (Op::Aq, [TEN, TEN]),
        (Op::Pdiv, [TEN, TEN]),
        (Op::Min, [TEN, TEN]),
        (Op::Sign, [TEN, UNIT]),
        (Op::Lt, [TEN, TEN]),
        (Op::If, [TEN, TEN]),
    ]
};

/// The best of so many timings of so many runs each.
const REPEATS: u32 = 500;
const RUNS: u32 = 10;

/// An element type with the reference in it.
trait Element: Float + Ulp + bytemuck::Pod {
    fn reference(op: Op, arguments: &[Self]) -> Self;
    const SHORT: &'static str;
}

impl Element for f64 {
    fn reference(op: Op, arguments: &[f64]) -> f64 {
        op.reference(arguments)
    }

    const SHORT: &'static str = "f64";
}

impl Element for f32 {
    fn reference(op: Op, arguments: &[f32]) -> f32 {
        op.reference_f32(arguments)
    }

    const SHORT: &'static str = "f32";
}

/// Columns of arguments, uniform in the ranges.
fn panel<T: Element>(ranges: [(f64, f64); 2]) -> Panel<T> {
    let mut random = Random(1);
    Panel::<T>::from_fn(3, TILE_ROWS, |column, _| {
        let (low, high) = ranges[column.min(1)];
        T::from_f64(random.uniform(low, high))
    })
}

/// The largest distance of results from the reference.
fn distance<T: Element>(op: Op, panel: &Panel<T>, out: &[T]) -> u64 {
    let distances = (0..TILE_ROWS).map(|row| {
        let columns = 0..op.arity();
        let arguments: Vec<T> = columns.map(|column| panel.get(column, row)).collect();
        ulp_distance(out[row], T::reference(op, &arguments))
    });
    distances.max().unwrap()
}

/// Nanoseconds an element, and the largest distance from the reference.
fn measure<T: Element>(op: Op, ranges: [(f64, f64); 2], tier: Tier) -> (f64, u64) {
    let panel = panel::<T>(ranges);
    let variables: Vec<Expr> = (0..3).take(op.arity()).map(Expr::var).collect();
    let tree = Expr::apply(op, &variables);
    let mut batch = Batch::<T>::new(tier).unwrap();
    batch.compile([&tree], 3, Goal::Predict).unwrap();
    // Aligned as the peers' is: a store across two cache lines takes twice as long.
    let mut room = vec![T::default(); TILE_ROWS + 64 / T::SIZE];
    let start = room.as_ptr().align_offset(64);
    let out = &mut room[start..start + TILE_ROWS];
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        let start = Instant::now();
        for _ in 0..RUNS {
            batch.predict(0, &panel, out).unwrap();
        }
        best = best.min(start.elapsed().as_secs_f64() / f64::from(RUNS));
    }
    (best * 1e9 / TILE_ROWS as f64, distance(op, &panel, out))
}

/// Another library's vector functions, as a program.
struct Peer {
    name: &'static str,
    program: PathBuf,
}

impl Peer {
    /// Compiles the program; `None` if that fails.
    fn build(name: &'static str, macro_name: &str, library: &str) -> Option<Peer> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/vmath_peers.c");
        let program = std::env::temp_dir().join(format!("vmath-{name}-{}", std::process::id()));
        let target: &[&str] = match Tier::best().unwrap() {
            Tier::Avx512 => &["-march=x86-64-v4", "-DWIDE"],
            Tier::Avx2 => &["-march=x86-64-v3"],
            Tier::Sse2 => return None,
        };
        let is_built = Command::new("cc")
            .args(["-O2", source, "-o"])
            .arg(&program)
            .args(target)
            .args([
                format!("-D{macro_name}"),
                format!("-l{library}"),
                "-lm".into(),
            ])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !is_built {
            println!("{name}: not measured, since there is no C compiler or no lib{library} here");
        }
        is_built.then_some(Peer { name, program })
    }

    /// As [`measure`]; `None` if the library lacks the function.
    fn measure<T: Element>(&self, op: Op, ranges: [(f64, f64); 2]) -> Option<(f64, u64)> {
        let panel = panel::<T>(ranges);
        let mut child = Command::new(&self.program)
            .args([op.spelling(), T::SHORT, &TILE_ROWS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut input = child.stdin.take()?;
        for column in 0..2 {
            let rows: Vec<T> = (0..TILE_ROWS).map(|row| panel.get(column, row)).collect();
            input.write_all(bytemuck::cast_slice(&rows)).ok()?;
        }
        drop(input);
        let mut output = vec![];
        child.stdout.take()?.read_to_end(&mut output).ok()?;
        if !child.wait().ok()?.success() {
            return None;
        }
        let (time, results) = output.split_at_checked(8)?;
        let results = results.chunks_exact(T::SIZE);
        let results: Vec<T> = results.map(bytemuck::pod_read_unaligned).collect();
        let time = f64::from_le_bytes(time.try_into().ok()?);
        Some((time, distance(op, &panel, &results)))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Nothing depends on it.
        let _ = std::fs::remove_file(&self.program);
    }
}

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let tiers = Tier::available();
    let peers: Vec<Peer> = [("libmvec", "LIBMVEC", "mvec"), ("SLEEF", "SLEEF", "sleef")]
        .into_iter()
        .filter_map(|(name, macro_name, library)| Peer::build(name, macro_name, library))
        .collect();
    print!("{:8} {:>22}", "", "arguments");
    for name in ["f64", "f32"] {
        let tiers = tiers.iter().map(ToString::to_string);
        let peers = peers.iter().map(|peer| peer.name.to_owned());
        for column in tiers.chain(peers) {
            print!(" {:>11}", format!("{name} {column}"));
        }
    }
    println!("\n{:31} ns an element, max distance from the reference", "");
    for (op, ranges) in CASES {
        if !wanted.is_empty() && !wanted.iter().any(|word| word == op.spelling()) {
            continue;
        }
        let spans: Vec<_> = (ranges.iter().take(op.arity()))
            .map(|&(low, high)| format!("[{}, {}]", brief(low), brief(high)))
            .collect();
        print!("{:8} {:>22}", op.spelling(), spans.join(" "));
        row::<f64>(op, ranges, &tiers, &peers);
        row::<f32>(op, ranges, &tiers, &peers);
        println!();
    }
}

fn brief(x: f64) -> String {
    if x.abs() < 1e5 {
        format!("{x}")
    } else {
        format!("{x:e}")
    }
}

/// One precision's part of a line of the table.
fn row<T: Element>(op: Op, ranges: [(f64, f64); 2], tiers: &[Tier], peers: &[Peer]) {
    let ours = (tiers.iter()).map(|&tier| Some(measure::<T>(op, ranges, tier)));
    let others = peers.iter().map(|peer| peer.measure::<T>(op, ranges));
    for measured in ours.chain(others) {
        let text = measured.map(|(time, distance)| format!("{time:.2} {distance:>2}"));
        print!(" {:>11}", text.unwrap_or_default());
    }
}
