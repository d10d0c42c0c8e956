//! From a table to numbers the search can work on, and from its formulas back to the table's units.
//!
//! Columns are *not* standardised in the statistician's sense: subtracting a mean would hide
//! `x·y` behind four terms, and laws are written in the units of their quantities. Only a column
//! whose magnitude is extreme is scaled, by a power of two, which changes no significand: the
//! formula that comes back is the one that was fitted, to the bit of its rounding. The target is
//! centred and scaled, which linear scaling undoes in closed form.
//!
//! # Invariants
//! - Every number in [`Rows`] is finite and of moderate size.
//! - [`Rows::weights`] average to one.
//! - Variable `i` of an inner formula is `inputs[i]`; variable `j` of a formula that leaves this
//!   crate is column `j` of the table as given.

use std::borrow::Cow;

use opcodon_data::Dataset;
use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node, Op};

use crate::config::Config;
use crate::error::SrError;
use crate::guesses::Column;
use crate::judge::Judge;
use crate::linear;
#[cfg(test)]
use crate::loss::Loss;
use crate::loss::{Link, Measure};
use crate::memory::Allowance;
use crate::rules::Rules;

/// What to learn from: inputs, target, and optionally a weight for each row.
#[derive(Debug, Clone)]
pub struct Observations<'a> {
    /// The inputs' names; they appear in formulas.
    pub names: Vec<String>,
    /// The inputs, column by column.
    pub columns: Vec<Cow<'a, [f64]>>,
    /// The target's name; it appears in reports.
    pub target_name: String,
    /// What to predict.
    pub target: Cow<'a, [f64]>,
    /// How much each row counts; `None` is one each.
    pub weights: Option<Cow<'a, [f64]>>,
}

impl<'a> Observations<'a> {
    /// Borrowed columns with names.
    #[must_use]
    pub fn new(
        names: &[&str],
        columns: &[&'a [f64]],
        target_name: &str,
        target: &'a [f64],
    ) -> Self {
        Self {
            names: names.iter().map(|&n| n.to_owned()).collect(),
            columns: columns.iter().map(|&c| Cow::Borrowed(c)).collect(),
            target_name: target_name.to_owned(),
            target: Cow::Borrowed(target),
            weights: None,
        }
    }

    /// The same rows, each counting by its weight.
    #[must_use]
    pub fn with_weights(mut self, weights: &'a [f64]) -> Self {
        self.weights = Some(Cow::Borrowed(weights));
        self
    }

    fn check(&self) -> Result<(), SrError> {
        if self.columns.is_empty() {
            return Err(SrError::NoInputs {
                target: self.target_name.clone(),
            });
        }
        if self.names.len() != self.columns.len() {
            return Err(SrError::NameCount {
                names: self.names.len(),
                columns: self.columns.len(),
            });
        }
        for (i, name) in self.names.iter().enumerate() {
            if self.names[..i].contains(name) {
                return Err(SrError::DuplicateName { name: name.clone() });
            }
        }
        let n_rows = self.target.len();
        if n_rows == 0 {
            return Err(SrError::NoRows);
        }
        check_finite(&self.target_name, &self.target)?;
        for (name, column) in self.names.iter().zip(&self.columns) {
            if column.len() != n_rows {
                return Err(SrError::RowCount {
                    column: name.clone(),
                    found: column.len(),
                    expected: n_rows,
                });
            }
            check_finite(name, column)?;
        }
        if let Some(weights) = &self.weights {
            if weights.len() != n_rows {
                return Err(SrError::RowCount {
                    column: "weights".to_owned(),
                    found: weights.len(),
                    expected: n_rows,
                });
            }
            check_finite("weights", weights)?;
            if let Some(row) = weights.iter().position(|&w| w < 0.0) {
                return Err(SrError::Weight {
                    row,
                    value: weights[row],
                });
            }
            if weights.iter().all(|&w| w == 0.0) {
                return Err(SrError::Weight { row: 0, value: 0.0 });
            }
        }
        Ok(())
    }
}

impl<'a> From<&'a Dataset> for Observations<'a> {
    fn from(data: &'a Dataset) -> Self {
        Self {
            names: data.names().to_vec(),
            columns: data
                .columns()
                .iter()
                .map(|c| Cow::Borrowed(&c[..]))
                .collect(),
            target_name: data.target_name().to_owned(),
            target: Cow::Borrowed(data.target()),
            weights: None,
        }
    }
}

/// Beyond this a square, summed over many rows, may overflow.
const LARGEST: f64 = 1e150;

fn check_finite(name: &str, column: &[f64]) -> Result<(), SrError> {
    if let Some(row) = column.iter().position(|v| !v.is_finite()) {
        let count = column.iter().filter(|v| !v.is_finite()).count();
        return Err(SrError::NonFinite {
            column: name.to_owned(),
            row,
            value: column[row],
            count,
        });
    }
    match column.iter().position(|v| v.abs() > LARGEST) {
        Some(row) => Err(SrError::TooLarge {
            column: name.to_owned(),
            row,
            value: column[row],
        }),
        None => Ok(()),
    }
}

/// Rows in the units of the search.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<Vec<f64>>,
    pub(crate) target: Vec<f64>,
    pub(crate) weights: Option<Vec<f64>>,
    /// Where what is searched for is zero in its own units.
    pub(crate) zero: f64,
    /// What is minimised.
    pub(crate) measure: Measure,
}

impl Rows {
    /// Rows in the units of the table, for least squares.
    #[cfg(test)]
    pub(crate) fn of_squares(columns: Vec<Vec<f64>>, target: Vec<f64>) -> Self {
        Self {
            columns,
            target,
            weights: None,
            zero: 0.0,
            measure: Measure::of_table(Loss::Mse),
        }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.target.len()
    }

    pub(crate) fn column_refs(&self) -> Vec<&[f64]> {
        self.columns.iter().map(Vec::as_slice).collect()
    }

    /// These rows, in this order.
    pub(crate) fn pick(&self, rows: &[usize]) -> Self {
        let take = |column: &[f64]| rows.iter().map(|&row| column[row]).collect::<Vec<_>>();
        let weights = self.weights.as_deref().map(take).map(normalised_weights);
        Self {
            columns: self.columns.iter().map(|c| take(c)).collect(),
            target: take(&self.target),
            weights,
            zero: self.zero,
            measure: self.measure.clone(),
        }
    }

    /// At most so many rows, evenly spread.
    pub(crate) fn spread_out(&self, most: usize) -> Self {
        let step = self.n_rows().div_ceil(most).max(1);
        self.pick(&(0..self.n_rows()).step_by(step).collect::<Vec<_>>())
    }

    /// The loss of each row, in the units of the table.
    pub(crate) fn losses(&self, predictions: &[f64]) -> Vec<f64> {
        self.measure.of_rows(predictions, &self.target)
    }

    /// The constant with the lowest loss, and that loss in the units of the table.
    pub(crate) fn best_constant(&self) -> (f64, f64) {
        let mean = linear::mean(&self.target, self.weights.as_deref());
        if self.measure.loss.is_squares() {
            return (mean, self.variance() * self.measure.target.scale.powi(2));
        }
        let judge = Judge::new(&self.measure, &self.target, self.weights.as_deref());
        judge.map_or((mean, f64::NAN), |mut judge| judge.best_constant(mean))
    }

    /// The same rows for least squares: targets and weights are those of the parabolas that touch
    /// the loss at the best constant.
    pub(crate) fn for_squares(&self) -> Cow<'_, Self> {
        if self.measure.loss.is_squares() {
            return Cow::Borrowed(self);
        }
        let Ok(mut judge) = Judge::new(&self.measure, &self.target, self.weights.as_deref()) else {
            return Cow::Borrowed(self);
        };
        let (constant, _) =
            judge.best_constant(linear::mean(&self.target, self.weights.as_deref()));
        judge.judge(&vec![constant; self.n_rows()]);
        Cow::Owned(Self {
            target: judge.working_target,
            weights: Some(normalised_weights(judge.working_weights)),
            ..self.clone()
        })
    }

    /// The inputs that are most correlated with the target, in the order of the table.
    pub(crate) fn most_correlated(&self, most: usize) -> Vec<usize> {
        let weights = self.weights.as_deref();
        let y_mean = linear::mean(&self.target, weights);
        let mut ranked: Vec<(f64, usize)> = self
            .columns
            .iter()
            .enumerate()
            .map(|(j, column)| {
                let mean = linear::mean(column, weights);
                let spread = linear::spread(column, mean, weights);
                let product: Vec<f64> = column
                    .iter()
                    .zip(&self.target)
                    .map(|(x, y)| (x - mean) * (y - y_mean))
                    .collect();
                (
                    linear::mean(&product, weights).powi(2) / spread.max(f64::MIN_POSITIVE),
                    j,
                )
            })
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut chosen: Vec<usize> = ranked.into_iter().take(most).map(|(_, j)| j).collect();
        chosen.sort_unstable();
        chosen
    }

    /// Weighted mean of squared deviations of the target from its mean.
    pub(crate) fn variance(&self) -> f64 {
        let weights = self.weights.as_deref();
        linear::spread(&self.target, linear::mean(&self.target, weights), weights)
    }
}

/// Weights scaled so that they average to one.
pub(crate) fn normalised_weights(weights: Vec<f64>) -> Vec<f64> {
    let mean = linear::mean(&weights, None);
    if mean > 0.0 {
        weights.into_iter().map(|w| w / mean).collect()
    } else {
        weights
    }
}

/// An input that the search uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Input {
    /// The column in the table as given.
    pub(crate) column: usize,
    /// Inner value = outer value · scale; a power of two.
    pub(crate) scale: f64,
}

impl Input {
    /// A column as it is.
    pub(crate) fn plain(column: usize) -> Self {
        Self { column, scale: 1.0 }
    }
}

/// A table prepared for the search.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(crate) names: Vec<String>,
    pub(crate) target_name: String,
    pub(crate) inputs: Vec<Input>,
    /// What was done to the table, in sentences.
    pub(crate) notes: Vec<String>,
    /// What the user expects, by inner number.
    pub(crate) guesses: Vec<Expr>,
    /// What formulas of the search keep to.
    pub(crate) rules: Rules,
    pub(crate) train: Rows,
    pub(crate) validation: Option<Rows>,
    pub(crate) test: Option<Rows>,
    /// What the search may remember.
    pub(crate) allowance: Allowance,
}

/// Magnitudes outside this band around one are scaled.
const MODERATE: f64 = 32.0;

impl Problem {
    /// Checks the table, sets validation and test rows apart, drops columns that cannot help.
    ///
    /// # Errors
    /// Anything wrong with the table or the configuration, with the place.
    pub fn new(table: &Observations<'_>, config: &Config, seed: u64) -> Result<Self, SrError> {
        config.validate()?;
        table.check()?;
        let n_columns = table.columns.len() + 1 + usize::from(table.weights.is_some());
        let allowance = Allowance::new(table.target.len(), n_columns, config)?;
        config
            .loss
            .check_target(&table.target_name, &table.target)?;
        let mut notes = Vec::new();
        let [train, validation, test] = split(table.target.len(), config, seed, &mut notes);
        let mut inputs = Vec::new();
        for (column, values) in table.columns.iter().enumerate() {
            let name = &table.names[column];
            let first = values[train[0]];
            if train
                .iter()
                .all(|&row| values[row].to_bits() == first.to_bits())
            {
                notes.push(format!(
                    "column '{name}' is constant ({first}) and was left out"
                ));
                continue;
            }
            let twin = inputs.iter().find(|input: &&Input| {
                let other = &table.columns[input.column];
                train
                    .iter()
                    .all(|&row| other[row].to_bits() == values[row].to_bits())
            });
            if let Some(twin) = twin {
                notes.push(format!(
                    "column '{name}' equals column '{}' and was left out",
                    table.names[twin.column]
                ));
                continue;
            }
            let scale = if config.standardize {
                power_of_two_scale(values, &train)
            } else {
                1.0
            };
            inputs.push(Input { column, scale });
        }
        let weights = table.weights.as_deref();
        let target_of = |rows: &[usize]| {
            rows.iter()
                .map(|&row| table.target[row])
                .collect::<Vec<_>>()
        };
        let weights_of = |rows: &[usize]| {
            weights.map(|w| normalised_weights(rows.iter().map(|&row| w[row]).collect()))
        };
        let train_target = target_of(&train);
        let train_weights = weights_of(&train);
        let target_mean = linear::mean(&train_target, train_weights.as_deref());
        let spread = linear::spread(&train_target, target_mean, train_weights.as_deref()).sqrt();
        // Rounding alone spreads the values of a constant target this far.
        let constant = spread <= 4.0 * f64::EPSILON * target_mean.abs();
        let spread = if constant || !spread.is_finite() {
            1.0
        } else {
            spread
        };
        let measure = Measure::of_search(config.loss.clone(), target_mean, spread);
        if constant {
            notes.push(format!(
                "the target '{}' is constant, so the formula is that constant",
                table.target_name
            ));
        }
        let rows_of = |rows: &[usize]| Rows {
            columns: inputs
                .iter()
                .map(|input| {
                    rows.iter()
                        .map(|&row| table.columns[input.column][row] * input.scale)
                        .collect()
                })
                .collect(),
            target: target_of(rows)
                .into_iter()
                .map(|y| {
                    let y = if constant { target_mean } else { y };
                    (y - measure.target.shift) / measure.target.scale
                })
                .collect(),
            weights: weights_of(rows),
            zero: measure.zero(),
            measure: measure.clone(),
        };
        let guesses = config.guesses.read(&table.names, |column| {
            let values = &table.columns[column];
            let same = |input: &Input| {
                let other = &table.columns[input.column];
                train
                    .iter()
                    .all(|&row| other[row].to_bits() == values[row].to_bits())
            };
            match (0..).zip(&inputs).find(|(_, input)| same(input)) {
                Some((index, input)) => Column::Input(index, input.scale),
                None => Column::Constant(values[train[0]]),
            }
        })?;
        let guesses = match measure.link {
            Link::Identity => guesses,
            Link::Log => {
                let logarithm = |guess| Expr::apply(Op::Log, &[guess]);
                guesses.into_iter().map(logarithm).collect()
            }
        };
        Ok(Self {
            rules: Rules::new(config, &guesses),
            guesses,
            names: table.names.clone(),
            target_name: table.target_name.clone(),
            train: rows_of(&train),
            validation: (!validation.is_empty()).then(|| rows_of(&validation)),
            test: (!test.is_empty()).then(|| rows_of(&test)),
            inputs,
            notes,
            allowance,
        })
    }

    /// Whether there is nothing to search for: a constant target, one row, or no usable column.
    pub(crate) fn is_trivial(&self) -> bool {
        self.inputs.is_empty() || self.train.n_rows() < 2 || self.train.variance() == 0.0
    }

    /// `offset + scale · expr` of the search, in the units of the table; variables keep their
    /// inner numbers.
    pub(crate) fn unscaled(&self, expr: &Expr, scale: f64, offset: f64) -> Expr {
        let mut nodes = Vec::with_capacity(expr.len() + 8);
        for &node in expr.nodes() {
            nodes.push(node);
            if let Node::Var(index) = node {
                let input = self.inputs[index as usize];
                #[expect(clippy::float_cmp, reason = "1 is the mark of an untouched column")]
                if input.scale != 1.0 {
                    nodes.extend([Node::Const(input.scale), Node::Op(Op::Mul)]);
                }
            }
        }
        let Measure {
            link, prediction, ..
        } = self.train.measure;
        nodes.extend([
            Node::Const(scale * prediction.scale),
            Node::Op(Op::Mul),
            Node::Const(offset.mul_add(prediction.scale, prediction.shift)),
            Node::Op(Op::Add),
        ]);
        nodes.extend((link == Link::Log).then_some(Node::Op(Op::Exp)));
        Expr::from_postfix(nodes).unwrap_or_else(|_| Expr::constant(prediction.shift))
    }

    /// A formula of inner variables in those of the table.
    pub(crate) fn in_table(&self, expr: &Expr) -> Expr {
        let nodes = expr.nodes().iter().map(|&node| match node {
            Node::Var(index) => {
                let column = self.inputs[index as usize].column;
                Node::Var(u32::try_from(column).unwrap_or(u32::MAX))
            }
            other => other,
        });
        Expr::from_postfix(nodes.collect()).unwrap_or_else(|_| expr.clone())
    }

    /// Rows of the search in the units of the table.
    pub(crate) fn unscaled_rows(&self, rows: &Rows) -> Rows {
        let column = |(column, input): (&Vec<f64>, &Input)| -> Vec<f64> {
            column.iter().map(|x| x / input.scale).collect()
        };
        Rows {
            columns: rows.columns.iter().zip(&self.inputs).map(column).collect(),
            target: rows.measure.target.in_table(&rows.target),
            weights: rows.weights.clone(),
            zero: 0.0,
            measure: Measure::of_table(rows.measure.loss.clone()),
        }
    }
}

/// Row numbers for training, validation and test.
fn split(n_rows: usize, config: &Config, seed: u64, notes: &mut Vec<String>) -> [Vec<usize>; 3] {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share between 0 and 1 of a row count"
    )]
    let share = |fraction: f64| (n_rows as f64 * fraction).round() as usize;
    let (mut n_validation, mut n_test) = (
        share(config.validation_fraction),
        share(config.test_fraction),
    );
    if n_validation + n_test + 2 > n_rows && n_validation + n_test > 0 {
        notes.push(format!(
            "{n_rows} rows are too few to set some apart: all are used to learn"
        ));
        (n_validation, n_test) = (0, 0);
    }
    let mut order: Vec<usize> = (0..n_rows).collect();
    if n_validation + n_test > 0 {
        Rng::new(seed, SPLIT_STREAM).shuffle(&mut order);
    }
    let mut test = order.split_off(n_rows - n_test);
    let mut validation = order.split_off(n_rows - n_test - n_validation);
    order.sort_unstable();
    validation.sort_unstable();
    test.sort_unstable();
    [order, validation, test]
}

/// Random numbers of the split; the search's streams are numbered by generation and never get here.
const SPLIT_STREAM: u64 = u64::MAX;

/// 1 for moderate columns, else the power of two that brings the root mean square near one.
fn power_of_two_scale(values: &[f64], rows: &[usize]) -> f64 {
    let largest = rows.iter().fold(0.0f64, |m, &row| m.max(values[row].abs()));
    let sum: f64 = rows
        .iter()
        .map(|&row| (values[row] / largest).powi(2))
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    let rms = largest * (sum / rows.len() as f64).sqrt();
    if !rms.is_normal() || (1.0 / MODERATE..=MODERATE).contains(&rms) {
        return 1.0;
    }
    (-rms.log2().round().clamp(-1000.0, 1000.0)).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::default()
    }

    #[test]
    fn bad_tables_are_located() {
        let ok = [1.0, 2.0, 3.0];
        let cases: Vec<(Observations<'_>, &str)> = vec![
            (
                Observations::new(&[], &[], "y", &ok),
                "no input column beside the target 'y'",
            ),
            (Observations::new(&["a"], &[&[]], "y", &[]), "no rows"),
            (
                Observations::new(&["a"], &[&[1.0, 2.0]], "y", &ok),
                "column 'a' has 2 rows, but the target has 3",
            ),
            (
                Observations::new(&["a", "a"], &[&ok, &ok], "y", &ok),
                "two input columns are named 'a'",
            ),
            (
                Observations::new(&["a"], &[&ok, &ok], "y", &ok),
                "1 names were given for 2 columns",
            ),
            (
                Observations::new(&["a"], &[&[1.0, f64::NAN, f64::INFINITY]], "y", &ok),
                "column 'a' holds NaN in row 1 (counted from 0, 2 such cells",
            ),
            (
                Observations::new(&["a"], &[&ok], "y", &[1.0, 2.0, f64::INFINITY]),
                "'y' holds inf in row 2",
            ),
            (
                Observations::new(&["a"], &[&[1.0, 1e200, 0.0]], "y", &ok),
                "1e200 in row 1",
            ),
            (
                Observations {
                    weights: Some(vec![1.0, -1.0, 0.0].into()),
                    ..Observations::new(&["a"], &[&ok], "y", &ok)
                },
                "row 1 has -1",
            ),
        ];
        for (table, message) in cases {
            let error = Problem::new(&table, &config(), 0)
                .expect_err(message)
                .to_string();
            assert!(error.contains(message), "{error:?} lacks {message:?}");
        }
    }

    #[test]
    fn useless_columns_are_left_out_with_a_note() {
        let x = [1.0, 2.0, 4.0];
        let table = Observations::new(
            &["a", "c", "b", "d"],
            &[&x, &[5.0; 3], &x, &[3.0, 1.0, 2.0]],
            "y",
            &x,
        );
        let problem = Problem::new(&table, &config(), 0).expect("problem");
        assert_eq!(
            problem.inputs.iter().map(|i| i.column).collect::<Vec<_>>(),
            [0, 3]
        );
        assert_eq!(problem.notes.len(), 2);
        assert!(!problem.is_trivial());
        let constant = Observations::new(&["a"], &[&x], "y", &[0.1 + 0.2; 3]);
        assert!(
            Problem::new(&constant, &config(), 0)
                .expect("problem")
                .is_trivial()
        );
    }

    #[test]
    fn a_formula_comes_back_in_the_units_of_the_table() {
        let big: Vec<f64> = (0..20).map(|i| 3e9 + 1e8 * f64::from(i * i % 7)).collect();
        let small: Vec<f64> = (0..20).map(|i| 1e-7 * (1.0 + f64::from(i))).collect();
        let y: Vec<f64> = big.iter().zip(&small).map(|(b, s)| b * s + 5.0).collect();
        let table = Observations::new(
            &["zero", "big", "small"],
            &[&[0.0; 20], &big, &small],
            "y",
            &y,
        );
        let problem = Problem::new(&table, &config(), 0).expect("problem");
        assert!(
            problem
                .inputs
                .iter()
                .all(|i| i.scale.log2().fract() == 0.0 && i.scale != 1.0)
        );
        let inner = Expr::apply(Op::Mul, &[Expr::var(0), Expr::var(1)]);
        let values = inner.eval_columns(&problem.train.column_refs());
        let model = linear::forward(&[&values], &problem.train.target, None, 1)
            .pop()
            .expect("fit");
        let outer = problem.in_table(&problem.unscaled(&inner, model.terms[0].1, model.intercept));
        for row in 0..20 {
            let value = outer.eval(&[0.0, big[row], small[row]]);
            assert!(
                (value - y[row]).abs() < 1e-10 * y[row],
                "{value} {}",
                y[row]
            );
        }
    }

    #[test]
    fn rows_are_split_by_seed_and_never_shared() {
        let x: Vec<f64> = (0..100).map(f64::from).collect();
        let table = Observations::new(&["x"], &[&x], "y", &x);
        let config = Config {
            validation_fraction: 0.2,
            test_fraction: 0.3,
            ..config()
        };
        let a = Problem::new(&table, &config, 1).expect("a");
        assert_eq!(a.train, Problem::new(&table, &config, 1).expect("a").train);
        assert_ne!(a.train, Problem::new(&table, &config, 2).expect("b").train);
        let (validation, test) = (a.validation.expect("validation"), a.test.expect("test"));
        assert_eq!(
            [a.train.n_rows(), validation.n_rows(), test.n_rows()],
            [50, 20, 30]
        );
        let mut all: Vec<f64> = [&a.train, &validation, &test]
            .iter()
            .flat_map(|r| r.columns[0].clone())
            .collect();
        all.sort_by(f64::total_cmp);
        assert_eq!(all.len(), 100);
        assert!(all.windows(2).all(|w| w[0] < w[1]));
    }
}
