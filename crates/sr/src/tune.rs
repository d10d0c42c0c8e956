//! Fitting the constants of the children that deserve it.
//!
//! A fit costs ten times a score, so it goes to those children only that come near the best of
//! their size as they are, a few steps first, and to the end where these helped.

use opcodon_expr::Expr;

use crate::candidate::{Candidate, ERROR_FLOOR};
use crate::clock::Clock;
use crate::constants::Effort;
use crate::error::SrError;
use crate::evaluate::{GoOn, Score};
use crate::island::Island;
use crate::normal_form::{NormalForm, Slots};

/// One in so many new formulas has its constants fitted, those that come nearest to the best of
/// their size as they are: of what enters the archive, nine in ten are among the better half.
const HOPEFUL: usize = 2;
/// One in so many of these has its constants fitted to the end.
const PROMISING: usize = 3;

impl Island {
    /// Fits the constants of the open forms and closes them again.
    pub(crate) fn tune(
        &mut self,
        forms: &[NormalForm],
        scores: &[Score],
        clock: &Clock,
    ) -> Result<Vec<Option<Candidate>>, SrError> {
        let mut hopeful: Vec<(f64, usize)> = forms
            .iter()
            .zip(scores)
            .enumerate()
            .filter(|(_, (_, score))| score.error.is_finite())
            .map(|(index, (form, score))| (self.promise(score.error, &form.expr), index))
            .collect();
        hopeful.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        hopeful.truncate(hopeful.len().div_ceil(HOPEFUL));
        let mut which = Vec::new();
        let mut open = Vec::new();
        for (_, index) in hopeful {
            if let Some(opened) = self
                .normaliser
                .normal_form(&forms[index].expr, Slots::Open)
                .filter(|opened| opened.expr.n_constants() > 0)
            {
                // What the normal form took out of the formula goes to its scaling.
                let Score {
                    scale,
                    offset,
                    error,
                } = scores[index];
                let start = Score {
                    scale: scale * opened.scale,
                    offset: scale.mul_add(opened.offset, offset),
                    error,
                };
                which.push(index);
                open.push((opened.expr, start));
            }
        }
        let starts: Vec<(&Expr, Score)> = open.iter().map(|(expr, start)| (expr, *start)).collect();
        // Two steps show which constants are worth fitting to the end.
        let first = Effort {
            passes: 3.min(self.constant_iterations + 1),
            tolerance: 1e-4,
            rss: ERROR_FLOOR,
        };
        let rivals: Vec<f64> = open.iter().map(|(expr, _)| self.rival(expr)).collect();
        let mut promising = |errors: &[f64]| {
            let mut ranked: Vec<(f64, usize)> = errors
                .iter()
                .zip(&rivals)
                .enumerate()
                .filter(|(_, (error, _))| error.is_finite())
                .map(|(k, (error, rival))| (error / rival, k))
                .collect();
            ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            ranked.truncate(ranked.len().div_ceil(PROMISING));
            ranked.into_iter().map(|(_, k)| k).collect()
        };
        let more = GoOn {
            effort: Effort {
                passes: self.constant_iterations.saturating_sub(1),
                ..first
            },
            which: &mut promising,
        };
        let more = (self.constant_iterations > 2).then_some(more);
        let refined = self
            .rungs
            .tuner
            .refine_some_more(&starts, first, more, clock)?;
        let mut tuned: Vec<Option<Candidate>> = vec![None; forms.len()];
        let mut again = Vec::new();
        for (index, refined) in which.into_iter().zip(refined) {
            if let Some(refined) = refined
                && let Some(form) = self.normaliser.normal_form(&refined.expr, Slots::Closed)
                && self.rules.allow(&form.expr)
            {
                again.push((index, form));
            }
        }
        let exprs: Vec<&Expr> = again.iter().map(|(_, form)| &form.expr).collect();
        let scores = self.rungs.scorer.scores(&exprs, clock)?;
        self.evaluations += exprs.len() as u64;
        for ((index, form), score) in again.into_iter().zip(scores) {
            tuned[index] = Some(Candidate {
                expr: form.expr,
                score,
                shape: form.shape,
            });
        }
        Ok(tuned)
    }
}

/// Whether `tuned` is enough better than `plain` for its additional nodes (BIC: a constant costs
/// half a log of the rows, and takes two nodes with its operator).
pub(crate) fn pays(tuned: &Candidate, plain: &Candidate, n_rows: f64) -> bool {
    if !tuned.score.error.is_finite() {
        return false;
    }
    let gain =
        (plain.score.error.max(ERROR_FLOOR) / tuned.score.error.max(ERROR_FLOOR)).ln() * n_rows;
    #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
    let nodes = tuned.expr.len() as f64 - plain.expr.len() as f64;
    gain > 0.5 * nodes.max(0.0) * n_rows.ln()
}
