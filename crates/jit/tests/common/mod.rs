//! What the suites share: random trees, nasty data, and the tiers to run on.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "each suite uses its part, of small numbers"
)]

use opcodon_expr::{Expr, Node, Op};
use opcodon_jit::Tier;

/// A small generator (SplitMix64), so that a failing case can be named by its seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Uniform in [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A random tree of `ops` with about `size` nodes over `n_vars` variables.
pub fn tree(random: &mut Random, ops: &[Op], size: usize, n_vars: u32) -> Expr {
    // Grow from the root in prefix order, then reverse: arguments come out mirrored, which is as
    // random as before.
    let mut prefix = Vec::new();
    let mut open = 1usize;
    while open > 0 {
        open -= 1;
        if prefix.len() + open < size {
            let op = ops[random.below(ops.len())];
            prefix.push(Node::Op(op));
            open += op.arity();
        } else if random.below(10) < 7 {
            prefix.push(Node::Var(random.below(n_vars as usize) as u32));
        } else {
            prefix.push(Node::Const(random.uniform(-3.0, 3.0)));
        }
    }
    prefix.reverse();
    Expr::from_postfix(prefix).unwrap()
}

/// The tiers of this machine; those it lacks are counted as skipped.
pub fn tiers() -> Vec<Tier> {
    for tier in Tier::ALL {
        if !tier.is_available() {
            eprintln!("skipped: this processor lacks tier {tier}");
        }
    }
    Tier::available()
}

/// Columns of ordinary numbers with some nasty ones among them.
pub fn columns(random: &mut Random, n_columns: usize, n_rows: usize) -> Vec<Vec<f64>> {
    const NASTY: [f64; 12] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        1e-310,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        1e16,
    ];
    (0..n_columns)
        .map(|_| {
            (0..n_rows)
                .map(|_| match random.below(20) {
                    0 => NASTY[random.below(NASTY.len())],
                    _ => random.uniform(-5.0, 5.0),
                })
                .collect()
        })
        .collect()
}
