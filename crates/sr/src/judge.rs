//! Judges predictions by a loss: how large it is, and which parabolas touch it there.
//!
//! See [`crate::loss`] for what makes a parabola; here values, slopes and curvatures of all rows are
//! computed by kernels, and what least squares need is made of them.

use opcodon_jit::{Batch, Goal, Panel, Tier};

use crate::error::SrError;
use crate::linear;
use crate::loss::{Formulas, Measure, Units};

/// Judges predictions at certain rows: losses, and the parabolas that touch them there.
#[derive(Debug)]
pub(crate) struct Judge {
    measure: Measure,
    formulas: Formulas,
    machine: Option<(Batch<f64>, Panel<f64>)>,
    /// In the units of the table.
    target: Vec<f64>,
    weights: Option<Vec<f64>>,
    predictions: Vec<f64>,
    /// Value, slope and curvature of all rows, one after the other.
    told: Vec<f64>,
    /// Where the parabolas have their bottom, in inner units.
    pub(crate) working_target: Vec<f64>,
    /// Their curvatures, times the weights of the rows.
    pub(crate) working_weights: Vec<f64>,
}

impl Judge {
    /// `target` is in inner units, `weights` average to one.
    pub(crate) fn new(
        measure: &Measure,
        target: &[f64],
        weights: Option<&[f64]>,
    ) -> Result<Self, SrError> {
        let n_rows = target.len();
        let spread = linear::spread(target, linear::mean(target, weights), weights).sqrt();
        let spread = (spread * measure.target.scale.abs()).max(f64::MIN_POSITIVE);
        let formulas = Formulas::new(&measure.loss, measure.link, spread)?;
        let target = measure.target.in_table(target);
        let machine = Tier::best().ok().and_then(|tier| {
            let mut batch = Batch::new(tier).ok()?;
            batch.expect_rows(n_rows);
            batch.compile(&formulas.0, 2, Goal::Predict).ok()?;
            Some((batch, Panel::from_columns(&[&target, &target]).ok()?))
        });
        Ok(Self {
            measure: measure.clone(),
            formulas,
            machine,
            target,
            weights: weights.map(<[f64]>::to_vec),
            predictions: vec![0.0; n_rows],
            told: vec![0.0; 3 * n_rows],
            working_target: vec![0.0; n_rows],
            working_weights: vec![0.0; n_rows],
        })
    }

    /// The mean loss of these predictions, not a number if one of them is none. Working targets
    /// and weights are then those of these predictions.
    pub(crate) fn judge(&mut self, predictions: &[f64]) -> f64 {
        let Units { scale, shift } = self.measure.prediction;
        // Not fused: on the processors that all can rely on, that would be a call.
        for (table, inner) in self.predictions.iter_mut().zip(predictions) {
            *table = inner * scale + shift;
        }
        let compiled = self.machine.as_mut().is_some_and(|(batch, panel)| {
            panel.set_column(0, &self.predictions).is_ok()
                && batch.predictions(0, panel, &mut self.told).is_ok()
        });
        let n_rows = self.target.len();
        if !compiled {
            let columns: [&[f64]; 2] = [&self.predictions, &self.target];
            for (formula, out) in self.formulas.0.iter().zip(self.told.chunks_mut(n_rows)) {
                formula.eval_columns_into(&columns, out);
            }
        }
        let (values, rest) = self.told.split_at(n_rows);
        let (slopes, curvatures) = rest.split_at(n_rows);
        for row in 0..n_rows {
            self.working_target[row] = predictions[row] - slopes[row] / (curvatures[row] * scale);
            self.working_weights[row] = curvatures[row];
        }
        if let Some(weights) = &self.weights {
            for (working, weight) in self.working_weights.iter_mut().zip(weights) {
                *working *= weight;
            }
        }
        linear::mean(values, self.weights.as_deref())
    }

    /// What residuals are spread by, squared, as the parabolas measure them: the variance that
    /// goes with a unit weight.
    pub(crate) fn dispersion(&self, predictions: &[f64]) -> f64 {
        let squares: Vec<f64> = predictions
            .iter()
            .zip(&self.working_target)
            .zip(&self.working_weights)
            .map(|((p, z), w)| w * (p - z) * (p - z))
            .collect();
        linear::mean(&squares, None)
    }

    /// `offset + scale · values` with the lowest loss, from a start on: offset and scale, and the
    /// loss. Ends when a pass gains less than this share of it. `None` where there is none.
    pub(crate) fn scaled(
        &mut self,
        values: &[f64],
        start: (f64, f64),
        passes: usize,
        tolerance: f64,
    ) -> Option<((f64, f64), f64)> {
        let mut best: Option<((f64, f64), f64)> = None;
        let mut next = start;
        let mut predictions = vec![0.0; values.len()];
        for _ in 0..passes {
            for (prediction, value) in predictions.iter_mut().zip(values) {
                *prediction = value * next.1 + next.0;
            }
            let loss = self.judge(&predictions);
            if !loss.is_finite() {
                break;
            }
            let gain = best.map_or(f64::INFINITY, |(_, lowest)| lowest - loss);
            if gain <= 0.0 {
                // Too far: not so with parabolas that majorise, so a user's formula.
                let (offset, scale) = best?.0;
                next = (0.5 * (next.0 + offset), 0.5 * (next.1 + scale));
                continue;
            }
            best = Some((next, loss));
            if gain < tolerance * loss {
                break;
            }
            let Some(step) = self.least_squares(values) else {
                break;
            };
            next = step;
        }
        best
    }

    /// Offset and scale of the weighted least squares on the working target.
    fn least_squares(&self, values: &[f64]) -> Option<(f64, f64)> {
        let (mut n, mut f, mut z, mut ff, mut fz) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for ((&w, &v), &t) in self
            .working_weights
            .iter()
            .zip(values)
            .zip(&self.working_target)
        {
            n += w;
            f += w * v;
            z += w * t;
            ff += w * v * v;
            fz += w * v * t;
        }
        let (f, z) = (f / n, z / n);
        let variance = ff / n - f * f;
        if variance <= 1e-13 * f * f {
            return z.is_finite().then_some((z, 0.0));
        }
        let scale = (fz / n - f * z) / variance;
        let offset = scale.mul_add(-f, z);
        (scale.is_finite() && offset.is_finite()).then_some((offset, scale))
    }

    /// The best constant, in inner units, and its loss.
    pub(crate) fn best_constant(&mut self, start: f64) -> (f64, f64) {
        let none = vec![0.0; self.target.len()];
        self.scaled(&none, (start, 0.0), 200, 1e-9)
            .map_or((start, f64::NAN), |((offset, _), loss)| (offset, loss))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Loss;

    #[test]
    fn best_constants_are_those_of_the_textbooks() {
        // An outlier, so that mean, median and quantile lie apart.
        let target = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 1000.0];
        let cases = [
            ("mae", 6.0),
            ("quantile(0.5)", 6.0),
            ("quantile(0.86)", 10.0),
            ("huber(1)", 6.0),
        ];
        for (text, constant) in cases {
            let loss = Loss::from_text(text).expect(text);
            let measure = Measure::of_search(loss, -3.0, 2.0);
            let inner: Vec<f64> = target.iter().map(|y| (y + 3.0) / 2.0).collect();
            let mut judge = Judge::new(&measure, &inner, None).expect("judge");
            let (found, loss) = judge.best_constant(50.0);
            let found = found * 2.0 - 3.0;
            assert!((found - constant).abs() < 0.06, "{text}: {found}");
            let rows = measure.of_rows(&[(constant + 3.0) / 2.0; 11], &inner);
            assert!(
                loss <= linear::mean(&rows, None) * (1.0 + 1e-3),
                "{text}: {loss}"
            );
        }
        let odds = Measure::of_table(Loss::Logistic);
        let mut judge = Judge::new(&odds, &[1.0, 0.0, 1.0, 1.0], None).expect("judge");
        assert!((judge.best_constant(0.75).0 - 3.0f64.ln()).abs() < 1e-4);
        // Counts: their mean, and its logarithm where that is searched for.
        let counts = [0.0, 3.0, 1.0, 200.0, 0.0];
        let (mean, spread) = (40.8, 80.0);
        let table = Measure::of_table(Loss::Poisson);
        let mut judge = Judge::new(&table, &counts, None).expect("judge");
        let (constant, loss) = judge.best_constant(7.0);
        assert!((constant - mean).abs() < 1e-3 * mean, "{constant}");
        let inside = Measure::of_search(Loss::Poisson, mean, spread);
        let inner = counts.map(|y| y / mean);
        let mut judge = Judge::new(&inside, &inner, None).expect("judge");
        let (constant, same) = judge.best_constant(1.0);
        assert!(constant.abs() < 1e-3 && (loss - same).abs() < 1e-3 * loss);
    }

    #[test]
    fn scaling_ignores_outliers_where_the_loss_does() {
        let x: Vec<f64> = (0..50).map(f64::from).collect();
        let target: Vec<f64> = x
            .iter()
            .map(|x| if *x == 40.0 { 1e4 } else { 2.0 * x + 1.0 })
            .collect();
        let measure = Measure::of_table(Loss::Mae);
        let mut judge = Judge::new(&measure, &target, None).expect("judge");
        let ((offset, scale), _) = judge.scaled(&x, (200.0, 5.0), 100, 1e-9).expect("scaled");
        assert!(
            (scale - 2.0).abs() < 1e-3 && (offset - 1.0).abs() < 1e-2,
            "{offset} {scale}"
        );
    }
}
