//! What a fit came to: the front, the chosen model, and everything needed to repeat it.
//!
//! A report is data. It is stored as JSON with a version, and reading it back checks all of it:
//! formulas are parsed, never executed from the file.
//!
//! # Invariants
//! - The front is sorted by size, no formula is longer than `max_size`, and each model has a lower
//!   loss than all before it, unless it is the chosen one.
//! - Formulas are in the units and column names of the table.
//! - `Report::from_json(report.to_json())` is the report.

use std::fmt;
use std::time::Duration;

use opcodon_expr::{Expr, Node, parse, print};
use serde::{Deserialize, Serialize};

use crate::certainty::Margin;
use crate::config::Config;
use crate::error::SrError;
use crate::fit::FrontEntry;
use crate::stop::StopReason;

/// The format that [`Report::to_json`] writes.
const VERSION: u32 = 1;

/// One formula of the front.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Model {
    /// The formula; variable `i` is `Report::names[i]`.
    #[serde(skip, default = "unread")]
    pub expr: Expr,
    /// The formula as text; [`opcodon_expr::parse`] with the report's names gives `expr`.
    pub formula: String,
    /// Its nodes.
    pub size: usize,
    /// Mean loss on the training rows, in units of the target (or its square).
    pub loss: f64,
    /// Coefficient of determination on the training rows.
    pub r2: f64,
    /// Fall of the log loss per node against the next smaller model of the front.
    pub score: f64,
    /// Description length in nats: formula, constants and residuals. Only differences matter.
    pub mdl: f64,
    /// Bayesian information criterion. Only differences matter.
    pub bic: f64,
    /// R² on rows left out, constants refitted without them; `None` if it was not computed.
    pub cv_r2: Option<f64>,
    /// R² on the validation rows, if some were set apart.
    pub validation_r2: Option<f64>,
    /// R² on the test rows, if some were set apart.
    pub test_r2: Option<f64>,
    /// The standard error of each constant, in the order of [`Expr::constants`]; `None` for one
    /// that was not fitted, such as a simple number. Nothing where it is not known.
    #[serde(default)]
    pub standard_errors: Vec<Option<f64>>,
    /// How far predictions may be off, by the share of new rows for which that holds.
    #[serde(default)]
    pub margins: Vec<Margin>,
}

/// Stands in until the formula's text is parsed.
fn unread() -> Expr {
    Expr::constant(f64::NAN)
}

/// The result of a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// Format version of the stored form.
    pub version: u32,
    /// The input columns, all of them, in the order in which predictions need them.
    pub names: Vec<String>,
    /// The target.
    pub target: String,
    /// Rows that were learned from.
    pub n_rows: usize,
    /// The best formula of each size that pays, from small to large.
    pub front: Vec<Model>,
    /// Which of them predicts.
    pub chosen: usize,
    /// How it was chosen, in a sentence.
    pub choice: String,
    /// Generations that were run.
    pub generations: u64,
    /// Formulas that were evaluated.
    pub evaluations: u64,
    /// Wall-clock seconds.
    pub elapsed_s: f64,
    /// Why the search ended.
    pub stop: StopReason,
    /// The seed that repeats the fit.
    pub seed: u64,
    /// What formulas were evaluated with: a tier of the machine-code compiler, or `reference`.
    pub tier: String,
    /// The hyper-parameters.
    pub config: Config,
    /// What was noticed about the table.
    pub notes: Vec<String>,
    /// The best of what was visited, from small to large: as many as `archive_size` says, but for
    /// sizes of which there are not so many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub visited: Vec<FrontEntry>,
}

impl Report {
    /// The model that predicts.
    #[must_use]
    pub fn best(&self) -> &Model {
        &self.front[self.chosen]
    }

    /// The wall-clock time of the fit.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::try_from_secs_f64(self.elapsed_s).unwrap_or_default()
    }

    /// A model of the front by its position; `None` is the chosen one.
    ///
    /// # Errors
    /// [`SrError::ModelIndex`].
    pub fn model(&self, index: Option<usize>) -> Result<&Model, SrError> {
        let index = index.unwrap_or(self.chosen);
        self.front.get(index).ok_or(SrError::ModelIndex {
            index,
            len: self.front.len(),
        })
    }

    /// What a model of the front says for rows given as columns in the order of `names`.
    ///
    /// # Errors
    /// [`SrError::ModelIndex`]; not as many columns as names, or columns of different lengths.
    pub fn predict(&self, index: Option<usize>, columns: &[&[f64]]) -> Result<Vec<f64>, SrError> {
        let model = self.model(index)?;
        if columns.len() != self.names.len() {
            return Err(SrError::ColumnCount {
                expected: self.names.len(),
                found: columns.len(),
                names: self.names.clone(),
            });
        }
        let n_rows = columns.first().map_or(0, |c| c.len());
        for (column, name) in columns.iter().zip(&self.names) {
            if column.len() != n_rows {
                return Err(SrError::RowCount {
                    column: name.clone(),
                    found: column.len(),
                    expected: n_rows,
                });
            }
        }
        crate::predict::predict(&model.expr, columns, n_rows)
    }

    /// How far a prediction may be off: the distance within which this share of new rows is
    /// expected, `0.5`, `0.68`, `0.8`, `0.9`, `0.95` or `0.99`. Told by rows that were left out.
    ///
    /// # Errors
    /// [`SrError::ModelIndex`]; [`SrError::Level`] for another share, or where the rows are too few
    /// to tell.
    pub fn margin(&self, index: Option<usize>, level: f64) -> Result<f64, SrError> {
        let margins = &self.model(index)?.margins;
        #[expect(clippy::float_cmp, reason = "one of a few shares that are named")]
        let margin = margins.iter().find(|margin| margin.level == level);
        margin.map(|m| m.distance).ok_or_else(|| SrError::Level {
            level,
            known: margins.iter().map(|m| m.level).collect(),
        })
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads what [`Report::to_json`] wrote.
    ///
    /// # Errors
    /// Not JSON of this shape, a newer version, or contents that contradict each other.
    pub fn from_json(text: &str) -> Result<Self, SrError> {
        #[derive(Deserialize)]
        struct Header {
            version: u32,
        }
        let header: Header = serde_json::from_str(text).map_err(SrError::ReportFormat)?;
        if header.version > VERSION {
            return Err(SrError::ReportVersion {
                found: header.version,
                supported: VERSION,
            });
        }
        let mut report: Self = serde_json::from_str(text).map_err(SrError::ReportFormat)?;
        report.config.validate()?;
        let damaged = |what: String| SrError::ReportContent { what };
        if report.chosen >= report.front.len() {
            return Err(damaged(format!(
                "model {} is chosen of {}",
                report.chosen,
                report.front.len()
            )));
        }
        let names: Vec<&str> = report.names.iter().map(String::as_str).collect();
        for (index, model) in report.front.iter_mut().enumerate() {
            model.expr = parse(&model.formula, Some(&names))
                .map_err(|error| damaged(format!("formula {index}: {error}")))?
                .expr;
            if model.expr.len() != model.size {
                return Err(damaged(format!(
                    "formula {index} has {} nodes, not {}",
                    model.expr.len(),
                    model.size
                )));
            }
            let (told, constants) = (model.standard_errors.len(), model.expr.n_constants());
            if told != 0 && told != constants {
                return Err(damaged(format!(
                    "formula {index} has {constants} constants and {told} standard errors"
                )));
            }
        }
        Ok(report)
    }
}

/// What [`Report::new`] needs beside the models.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) chosen: usize,
    pub(crate) choice: String,
    pub(crate) generations: u64,
    pub(crate) evaluations: u64,
    pub(crate) elapsed_s: f64,
    pub(crate) stop: StopReason,
    pub(crate) visited: Vec<FrontEntry>,
}

/// The judgement of one formula on the training rows, in the target's units.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) expr: Expr,
    pub(crate) loss: f64,
    pub(crate) r2: f64,
    pub(crate) mdl: f64,
    pub(crate) bic: f64,
    pub(crate) cv_r2: Option<f64>,
    pub(crate) validation_r2: Option<f64>,
    pub(crate) test_r2: Option<f64>,
    pub(crate) standard_errors: Vec<Option<f64>>,
    pub(crate) margins: Vec<Margin>,
}

impl Report {
    pub(crate) fn new(
        problem: &crate::problem::Problem,
        config: &Config,
        seed: u64,
        models: Vec<Judged>,
        outcome: Outcome,
    ) -> Self {
        let mut front: Vec<Model> = Vec::with_capacity(models.len());
        for judged in models {
            let score = front.last().map_or(0.0, |smaller| {
                #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
                let nodes = judged.expr.len().saturating_sub(smaller.size).max(1) as f64;
                (smaller.loss.max(f64::MIN_POSITIVE) / judged.loss.max(f64::MIN_POSITIVE)).ln()
                    / nodes
            });
            front.push(Model {
                formula: print::infix(&judged.expr, &problem.names),
                size: judged.expr.len(),
                loss: judged.loss,
                r2: judged.r2,
                score,
                mdl: judged.mdl,
                bic: judged.bic,
                cv_r2: judged.cv_r2,
                validation_r2: judged.validation_r2,
                test_r2: judged.test_r2,
                standard_errors: judged.standard_errors,
                margins: judged.margins,
                expr: judged.expr,
            });
        }
        Self {
            version: VERSION,
            names: problem.names.clone(),
            target: problem.target_name.clone(),
            n_rows: problem.train.n_rows(),
            front,
            chosen: outcome.chosen,
            choice: outcome.choice,
            generations: outcome.generations,
            evaluations: outcome.evaluations,
            elapsed_s: outcome.elapsed_s,
            stop: outcome.stop,
            seed,
            tier: crate::predict::tier_name(),
            config: config.clone(),
            notes: problem.notes.clone(),
            visited: outcome.visited,
        }
    }
}

impl Model {
    /// The constants of the formula in the order in which they stand in it, each with its standard
    /// error if it was fitted.
    #[must_use]
    pub fn constants(&self) -> Vec<(f64, Option<f64>)> {
        let told = self.standard_errors.iter().copied();
        let told = told.chain(std::iter::repeat(None));
        self.expr.constants().into_iter().zip(told).collect()
    }
}

/// The front as a table, `>>` before the chosen model, and a line on how it came about.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loss = &self.config.loss;
        let with_cv = self.front.iter().any(|m| m.cv_r2.is_some());
        let with_test = self.front.iter().any(|m| m.test_r2.is_some());
        write!(f, "   size  {loss:>10}  R²        ")?;
        if with_cv {
            write!(f, "  R² (cv)   ")?;
        }
        if with_test {
            write!(f, "  R² (test) ")?;
        }
        writeln!(f, "  {} =", self.target)?;
        for (index, model) in self.front.iter().enumerate() {
            let mark = if index == self.chosen { ">>" } else { "  " };
            write!(
                f,
                "{mark} {:>4}  {:>10.4e}  {:<10}",
                model.size,
                model.loss,
                r2_text(model.r2)
            )?;
            if with_cv {
                write!(f, "  {:<10}", model.cv_r2.map(r2_text).unwrap_or_default())?;
            }
            if with_test {
                write!(
                    f,
                    "  {:<10}",
                    model.test_r2.map(r2_text).unwrap_or_default()
                )?;
            }
            writeln!(f, "  {}", short(model, &self.names))?;
        }
        writeln!(
            f,
            "{}; {} formulas in {} generations, {:.1} s ({}, seed {}); {}",
            self.stop,
            self.evaluations,
            self.generations,
            self.elapsed_s,
            self.tier,
            self.seed,
            self.choice
        )?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

/// R² as text, with as many nines as there are: `0.93417`, `1 - 4.9e-7`.
#[must_use]
pub fn r2_text(r2: f64) -> String {
    let left = 1.0 - r2;
    if left <= 1e-12 {
        "1 - <1e-12".to_owned()
    } else if left < 1e-4 {
        format!("1 - {left:.1e}")
    } else {
        format!("{r2:.5}")
    }
}

/// The formula with constants to six digits: for reading, not for computing.
fn short(model: &Model, names: &[String]) -> String {
    let nodes = model
        .expr
        .nodes()
        .iter()
        .map(|&node| match node {
            Node::Const(value) => Node::Const(print::rounded(value, 6)),
            other => other,
        })
        .collect();
    Expr::from_postfix(nodes)
        .map_or_else(|_| model.formula.clone(), |expr| print::infix(&expr, names))
}
