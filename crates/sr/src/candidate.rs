//! A formula under judgement: what islands hold, archives keep and exchanges carry.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use opcodon_expr::Expr;
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::constants::Effort;
use crate::error::SrError;
use crate::evaluate::{Evaluator, Score};
use crate::normal_form::{Normaliser, Slots};

/// A formula with the linear scaling that goes with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    /// In closed normal form.
    pub(crate) expr: Expr,
    pub(crate) score: Score,
    pub(crate) shape: u64,
}

impl Candidate {
    /// Whether it is exact, and too short to be so by chance.
    pub(crate) fn is_law(&self, n_rows: usize) -> bool {
        self.score.error <= PERFECT && 2 * self.expr.len() <= n_rows
    }
}

/// Errors below this share of the variance are rounding, and all the same.
pub(crate) const PERFECT: f64 = 1e-12;

/// Errors below this are rounding.
pub(crate) const ERROR_FLOOR: f64 = 1e-14;

/// A hash that is already a hash.
#[derive(Debug, Default, Clone)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

pub(crate) type ByShape<T> = HashMap<u64, T, BuildHasherDefault<Identity>>;

/// What a candidate for the archive may cost.
pub(crate) const JUDGING: Effort = Effort {
    passes: 8,
    tolerance: 1e-6,
    rss: ERROR_FLOOR * 1e-3,
};

/// Refits the constants of closed forms on a judge's rows; a fit that fails leaves the candidate
/// with the constants it has. Without the time to judge them all, candidates stay as they were judged
/// before.
pub(crate) fn refit(
    judge: &mut Evaluator,
    mut candidates: Vec<Candidate>,
    effort: Effort,
    clock: &Clock,
) -> Result<Vec<Candidate>, SrError> {
    let exprs: Vec<&Expr> = candidates.iter().map(|c| &c.expr).collect();
    let before = judge.scores(&exprs, clock)?;
    if clock.is_over() {
        candidates.retain(|c| c.score.error.is_finite());
        return Ok(candidates);
    }
    let starts: Vec<(&Expr, Score)> = exprs.into_iter().zip(before.iter().copied()).collect();
    let refined = judge.refine(&starts, effort, clock)?;
    let mut normaliser = Normaliser::default();
    let mut out = Vec::with_capacity(candidates.len());
    let mut again = Vec::new();
    for ((candidate, score), refined) in candidates.into_iter().zip(before).zip(refined) {
        if let Some(refined) = refined.filter(|r| r.score.error < score.error)
            && let Some(form) = normaliser.normal_form(&refined.expr, Slots::Closed)
        {
            again.push(Candidate {
                expr: form.expr,
                score: Score::WORST,
                shape: form.shape,
            });
        }
        out.push(Candidate { score, ..candidate });
    }
    let exprs: Vec<&Expr> = again.iter().map(|c| &c.expr).collect();
    let scores = judge.scores(&exprs, clock)?;
    out.extend(
        again
            .into_iter()
            .zip(scores)
            .map(|(c, score)| Candidate { score, ..c }),
    );
    out.retain(|c| c.score.error.is_finite());
    Ok(out)
}
