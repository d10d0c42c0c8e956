//! The best formulas of each size: of all, and of those without a pole in reach.
//!
//! `1/(x - 0.3)` may fit thirty noisy rows best of all and be off by millions on the next. Whether
//! a formula has a value everywhere in the box of the inputs, and a little beyond, is decided by
//! interval arithmetic; it errs on the safe side, so laws with a true singularity need the front of
//! all formulas, and tables with noise had better be served from the tame one.

use std::sync::Arc;

use opcodon_evo::Archive;
use opcodon_expr::{Expr, Interval};

use crate::candidate::{Candidate, ERROR_FLOOR};
use crate::problem::Rows;

/// How far beyond the rows a formula must have a value, as a share of each column's range.
const BEYOND: f64 = 0.1;

/// The box of the inputs, a little widened.
pub(crate) fn reach(rows: &Rows) -> Arc<[Interval]> {
    let widened = |column: &Vec<f64>| {
        let hull = Interval::hull(column);
        let margin = BEYOND * (hull.hi() - hull.lo());
        // A quantity that is never negative (a length, a count, a price) stays so.
        let low = hull.lo() - margin;
        let low = if hull.lo() >= 0.0 {
            low.max(0.5 * hull.lo())
        } else {
            low
        };
        Interval::new(low, hull.hi() + margin)
    };
    rows.columns.iter().map(widened).collect()
}

/// Whether a formula surely has a value everywhere in the box.
pub(crate) fn is_tame(expr: &Expr, reach: &[Interval]) -> bool {
    expr.bounds(reach).is_finite()
}

/// Two Pareto fronts of (error, size).
#[derive(Debug, Clone)]
pub(crate) struct Fronts {
    pub(crate) all: Archive<Candidate>,
    pub(crate) tame: Archive<Candidate>,
    pub(crate) reach: Arc<[Interval]>,
}

impl Fronts {
    pub(crate) fn new(max_size: usize, reach: Arc<[Interval]>) -> Self {
        Self {
            all: Archive::new(max_size),
            tame: Archive::new(max_size),
            reach,
        }
    }

    /// Enters a candidate where it is not dominated; whether it entered anywhere.
    pub(crate) fn insert(&mut self, candidate: &Candidate) -> bool {
        let (error, size) = (candidate.score.error.max(ERROR_FLOOR), candidate.expr.len());
        let anywhere = self.all.insert_with(error, size, || candidate.clone());
        if !self.tame.accepts(error, size) || !is_tame(&candidate.expr, &self.reach) {
            return anywhere;
        }
        self.tame.insert(error, size, candidate.clone())
    }

    /// Whether a formula stands on one of the fronts.
    pub(crate) fn holds(&self, expr: &Expr) -> bool {
        [&self.all, &self.tame].iter().any(|front| {
            front
                .best_within(expr.len())
                .is_some_and(|entry| entry.genome.expr == *expr)
        })
    }

    /// The formulas of both fronts, each once.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let mut out: Vec<Candidate> = self.all.iter().map(|e| e.genome.clone()).collect();
        for entry in self.tame.iter() {
            if !self
                .all
                .best_within(entry.size)
                .is_some_and(|e| e.genome == entry.genome)
            {
                out.push(entry.genome.clone());
            }
        }
        out
    }

    /// The formulas of both fronts, to be read again.
    pub(crate) fn written(&self) -> [Vec<Candidate>; 2] {
        [&self.all, &self.tame].map(|front| front.iter().map(|e| e.genome.clone()).collect())
    }

    /// Puts formulas that were written onto their fronts.
    pub(crate) fn read(&mut self, all: Vec<Candidate>, tame: Vec<Candidate>) {
        for (front, candidates) in [(&mut self.all, all), (&mut self.tame, tame)] {
            for candidate in candidates {
                let (error, size) = (candidate.score.error.max(ERROR_FLOOR), candidate.expr.len());
                front.insert(error, size, candidate);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.all.clear();
        self.tame.clear();
    }
}
