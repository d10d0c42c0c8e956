//! The best formulas of each size: of all, and of those that are tame ([`crate::reach`]).

use std::sync::Arc;

use opcodon_evo::Archive;
use opcodon_expr::Expr;

use crate::candidate::{Candidate, ERROR_FLOOR};
use crate::reach::Reach;

/// Two Pareto fronts of (error, size).
#[derive(Debug, Clone)]
pub(crate) struct Fronts {
    pub(crate) all: Archive<Candidate>,
    pub(crate) tame: Archive<Candidate>,
    pub(crate) reach: Arc<Reach>,
}

impl Fronts {
    pub(crate) fn new(max_size: usize, reach: Arc<Reach>) -> Self {
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
        if !self.tame.accepts(error, size)
            || !self.reach.is_tame_scaled(&candidate.expr, &candidate.score)
        {
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
