//! Formulas without machine code, because the processor or the operator has none: the reference
//! evaluator computes them, and their derivatives as formulas.

use opcodon_expr::{Expr, Node};
use opcodon_jit::NormalEquations;

use super::{Score, Shared};
use crate::constants::{Fit, LevenbergMarquardt};
use crate::fitted::Fitted;
use crate::reweighted::Reweighted;

impl Shared {
    pub(super) fn reference_score(&self, expr: &Expr) -> Score {
        self.score_of(&expr.eval_columns(&self.rows.column_refs()))
    }

    /// Derivatives as formulas, evaluated by the reference.
    pub(super) fn reference_fit(
        &self,
        fitted: Fitted<'_>,
        steps: &mut LevenbergMarquardt,
        mut reweighted: Option<&mut Reweighted>,
    ) -> Option<Fit> {
        let columns = self.rows.column_refs();
        let n_inputs = columns.len();
        // Constants become variables, so that one derivative serves every step.
        let mut next = n_inputs;
        let nodes = fitted.task.0.nodes();
        let nodes = nodes
            .iter()
            .map(|&node| match node {
                Node::Const(_) => {
                    next += 1;
                    Node::Var(u32::try_from(next - 1).unwrap_or(u32::MAX))
                }
                other => other,
            })
            .collect();
        let open = Expr::from_postfix(nodes).ok()?;
        let derivatives: Vec<Expr> = (n_inputs..next)
            .map(|k| open.diff(u32::try_from(k).ok()?).ok())
            .collect::<Option<_>>()?;
        let n_rows = self.rows.n_rows();
        fitted.run(steps, |theta, normal| {
            let filled: Vec<Vec<f64>> = theta.iter().map(|&t| vec![t; n_rows]).collect();
            let mut all = columns.clone();
            all.extend(filled.iter().map(Vec::as_slice));
            let values = open.eval_columns(&all);
            let slopes: Vec<Vec<f64>> = derivatives.iter().map(|d| d.eval_columns(&all)).collect();
            let (target, weights, sum) = match reweighted.as_deref_mut() {
                Some(reweighted) => {
                    let sum = reweighted.error(&values) * self.total();
                    let judge = &reweighted.judge;
                    let weights = Some(&judge.working_weights);
                    (&judge.working_target, weights, Some(sum))
                }
                None => (&self.rows.target, self.rows.weights.as_ref(), None),
            };
            let residuals: Vec<f64> = target.iter().zip(&values).map(|(y, v)| v - y).collect();
            let dot = |a: &[f64], b: &[f64]| -> f64 {
                (0..n_rows)
                    .map(|row| weights.map_or(1.0, |w| w[row]) * a[row] * b[row])
                    .sum()
            };
            let pairs = slopes.iter().flat_map(|a| slopes.iter().map(|b| dot(a, b)));
            *normal = NormalEquations {
                n: theta.len(),
                jtj: pairs.collect(),
                jtr: slopes.iter().map(|a| dot(a, &residuals)).collect(),
                rss: sum.unwrap_or_else(|| dot(&residuals, &residuals)),
            };
            Some(())
        })
    }
}
