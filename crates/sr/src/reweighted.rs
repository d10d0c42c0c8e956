//! Losses other than squares, for an evaluator: least squares whose targets and weights change from
//! pass to pass.
//!
//! A pass writes the predictions of a formula, has them judged (see [`crate::judge`]), and puts
//! working targets and weights where kernels read targets and weights. So it costs about three
//! passes of squares.

use opcodon_jit::{Batch, NormalEquations, Panel, Scratch};

use crate::error::SrError;
use crate::judge::Judge;
use crate::loss::{Link, Measure};
use crate::predict::{Coverage, compile_error};
use crate::problem::Rows;

/// What reduces a loss to least squares, whose targets and weights change from pass to pass.
#[derive(Debug)]
pub(crate) struct Reweighted {
    pub(crate) judge: Judge,
    /// The best constant and its loss.
    constant: f64,
    of_constant: f64,
    measure: Measure,
    n_inputs: usize,
    /// Inputs, working target, working weights; with the batch that predicts while the other one
    /// forms normal equations.
    pub(crate) compiled: Option<(Panel<f64>, Batch<f64>)>,
    /// Predictions of one formula.
    pub(crate) values: Vec<f64>,
}

/// Passes over the rows that scale and offset may take.
const SCALING_PASSES: usize = 8;
/// Share of the loss that is no gain in them.
const SCALING_TOLERANCE: f64 = 1e-4;

impl Reweighted {
    /// `None` for squares, which need none of this. Machine code is used if there is coverage.
    pub(crate) fn new(
        rows: &Rows,
        target_mean: f64,
        coverage: Option<Coverage>,
    ) -> Result<Option<Self>, SrError> {
        if rows.measure.loss.is_squares() {
            return Ok(None);
        }
        let mut judge = Judge::new(&rows.measure, &rows.target, rows.weights.as_deref())?;
        let (constant, of_constant) = judge.best_constant(target_mean);
        let compiled = match coverage {
            Some(coverage) => {
                let mut columns = rows.column_refs();
                columns.extend([&rows.target[..]; 2]);
                let panel = Panel::from_columns(&columns).map_err(compile_error)?;
                Some((panel, Batch::new(coverage.tier).map_err(compile_error)?))
            }
            None => None,
        };
        Ok(Some(Self {
            judge,
            constant,
            of_constant,
            measure: rows.measure.clone(),
            n_inputs: rows.columns.len(),
            compiled,
            values: vec![0.0; rows.n_rows()],
        }))
    }

    /// The error of these predictions; working targets and weights are then theirs.
    pub(crate) fn error(&mut self, predictions: &[f64]) -> f64 {
        let loss = self.judge.judge(predictions);
        self.measure.error(loss, self.of_constant)
    }

    /// The error of `offset + scale · values` and the two, found from those of least squares on.
    pub(crate) fn scaled(
        &mut self,
        values: &[f64],
        of_squares: (f64, f64),
    ) -> Option<(f64, (f64, f64))> {
        let start = match self.measure.link {
            Link::Identity => of_squares,
            // A logarithm is not near the target; the constant leads to it.
            Link::Log => (self.constant, 0.0),
        };
        let (scaling, loss) =
            self.judge
                .scaled(values, start, SCALING_PASSES, SCALING_TOLERANCE)?;
        Some((self.measure.error(loss, self.of_constant), scaling))
    }

    /// Writes the normal equations of the parabolas that touch the loss of a formula with these
    /// constants; `total` is the sum of squares that its error is told as a share of. The formula
    /// has the number `k` in `batch` and in the batch that predicts.
    pub(crate) fn normal(
        &mut self,
        batch: &mut Batch<f64>,
        k: usize,
        theta: &[f64],
        total: f64,
        scratch: &mut Scratch,
        normal: &mut NormalEquations,
    ) -> Option<()> {
        let (panel, predicting) = self.compiled.as_mut()?;
        predicting.set_constants(k, theta).ok()?;
        predicting.predict(k, panel, &mut self.values).ok()?;
        let loss = self.judge.judge(&self.values);
        let error = self.measure.error(loss, self.of_constant);
        panel
            .set_column(self.n_inputs, &self.judge.working_target)
            .ok()?;
        panel
            .set_column(self.n_inputs + 1, &self.judge.working_weights)
            .ok()?;
        batch.set_constants(k, theta).ok()?;
        batch
            .normal_equations_into(k, panel, scratch, normal)
            .ok()?;
        normal.rss = error * total;
        Some(())
    }
}
