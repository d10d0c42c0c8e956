//! What a fit came to: a front of genomes, the chosen one, and everything needed to repeat it.
//!
//! A report is data. It is stored as JSON with a version. Reading it verifies the machine code of
//! every genome and compares what is said about it (formula, size) with what the code says.

use std::fmt;

use opcodon_expr::{Expr, print};
use serde::{Deserialize, Serialize};

use crate::ancestors::{self, Ancestor, Lineage};
use crate::batch::Batch;
use crate::blocks::Blocks;
use crate::config::Config;
use crate::evolve::Milestone;
use crate::individual::Individual;
use crate::kernel::Fold;
use crate::{McodeError, Tier};

/// The format that [`Report::to_json`] writes; since 2 it has a curve.
const VERSION: u32 = 2;
/// How errors name it.
const WHAT: &str = "report";
/// Most nodes of a formula of a report.
const MAX_NODES: u64 = 100_000;

/// One genome of the front.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Model {
    /// The genome, introns left out, scale and offset included.
    pub genome: Individual,
    /// Its formula.
    pub formula: String,
    /// Nodes of the formula.
    pub size: usize,
    /// Mean squared error.
    pub loss: f64,
    /// Coefficient of determination.
    pub r2: f64,
    /// Bayesian information criterion. Only differences matter.
    pub bic: f64,
    /// The birth of the genome that it was made of, if births were recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<u64>,
}

/// The result of a fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Report {
    /// Format version of the stored form.
    pub version: u32,
    /// The input columns.
    pub names: Vec<String>,
    /// The target.
    pub target: String,
    /// Rows that were learned from.
    pub n_rows: usize,
    /// The best genome of each size that pays, from small to large formulas.
    pub front: Vec<Model>,
    /// Which of them predicts: that of the lowest information criterion.
    pub chosen: usize,
    /// Steps of every island.
    pub steps: u64,
    /// Genomes that were run.
    pub evaluations: u64,
    /// How the error of the best genome fell: at the beginning, at exchanges after which it was
    /// less, and at the end.
    #[serde(default)]
    pub curve: Vec<Milestone>,
    /// The ancestors of the front in the order of their births, if they were recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<Ancestor>,
    /// Wall-clock seconds.
    pub elapsed_s: f64,
    /// Why the search ended.
    pub stop: String,
    /// Whether somebody asked for the best so far.
    pub interrupted: bool,
    /// The seed that repeats the fit.
    pub seed: u64,
    /// The instruction set of the genomes.
    pub tier: Tier,
    /// The hyper-parameters.
    pub config: Config,
}

impl Model {
    /// A model; nothing if its formula is too long to be written.
    pub(crate) fn new(genome: Individual, names: &[String], loss: f64) -> Option<Model> {
        let expr = genome.formula(MAX_NODES).ok()?;
        Some(Model {
            formula: print::infix(&expr, names),
            size: expr.len(),
            genome,
            loss,
            r2: 0.0,
            bic: 0.0,
            birth: None,
        })
    }

    /// The formula as an expression.
    ///
    /// # Errors
    /// None for models of a report; see [`Individual::formula`].
    pub fn expression(&self) -> Result<Expr, McodeError> {
        self.genome.formula(MAX_NODES)
    }
}

/// What [`Report::new`] needs beside the models.
pub(crate) struct Outcome {
    pub(crate) names: Vec<String>,
    pub(crate) target: String,
    pub(crate) n_rows: usize,
    pub(crate) variance: f64,
    pub(crate) steps: u64,
    pub(crate) evaluations: u64,
    pub(crate) curve: Vec<Milestone>,
    pub(crate) ancestors: Vec<Ancestor>,
    pub(crate) elapsed_s: f64,
    pub(crate) stop: opcodon_evo::Reason,
    pub(crate) seed: u64,
    pub(crate) tier: Tier,
    pub(crate) config: Config,
}

impl Report {
    /// The report of models from small to large, each better than all before it.
    pub(crate) fn new(mut front: Vec<Model>, outcome: Outcome) -> Report {
        /// Shares of the variance below which errors are rounding.
        const EXACT: f64 = 1e-14;
        let n = outcome.n_rows as f64;
        for model in &mut front {
            let share = if outcome.variance > 0.0 {
                model.loss / outcome.variance
            } else {
                f64::from(model.loss > 0.0)
            };
            model.r2 = 1.0 - share;
            model.bic = n * share.max(EXACT).ln() + model.size as f64 * n.ln();
        }
        let order = |a: &usize, b: &usize| front[*a].bic.total_cmp(&front[*b].bic);
        Report {
            version: VERSION,
            chosen: (0..front.len()).min_by(order).unwrap_or(0),
            front,
            names: outcome.names,
            target: outcome.target,
            n_rows: outcome.n_rows,
            steps: outcome.steps,
            evaluations: outcome.evaluations,
            curve: outcome.curve,
            ancestors: outcome.ancestors,
            elapsed_s: outcome.elapsed_s,
            interrupted: outcome.stop == opcodon_evo::Reason::Interrupted,
            stop: outcome.stop.text().to_owned(),
            seed: outcome.seed,
            tier: outcome.tier,
            config: outcome.config,
        }
    }

    /// A model of the front by its position, by default the chosen one.
    ///
    /// # Errors
    /// If there is none.
    pub fn model(&self, index: Option<usize>) -> Result<&Model, McodeError> {
        let index = index.unwrap_or(self.chosen);
        let len = self.front.len();
        self.front
            .get(index)
            .ok_or(McodeError::ModelIndex { index, len })
    }

    /// How a model of the front, by default the chosen one, came to be: its ancestors, the first one
    /// first. Nothing if births were not recorded, or for the mean of the target, which is not born.
    ///
    /// # Errors
    /// If there is no such model.
    pub fn lineage(&self, index: Option<usize>) -> Result<Lineage<'_>, McodeError> {
        let birth = self.model(index)?.birth;
        let none = Lineage {
            generations: Vec::new(),
        };
        Ok(birth.map_or(none, |birth| Lineage::of(&self.ancestors, birth)))
    }

    /// The model that predicts.
    #[must_use]
    pub fn best(&self) -> &Model {
        &self.front[self.chosen]
    }

    /// What a model of the front says for rows given as columns in the order of `names`: its
    /// machine code is run. On a processor without the genome's instructions its formula is
    /// evaluated instead, with the same result to the bit.
    ///
    /// # Errors
    /// If there is no such model, or columns are not as many as names or differ in length.
    pub fn predict(
        &self,
        index: Option<usize>,
        columns: &[&[f64]],
    ) -> Result<Vec<f64>, McodeError> {
        let model = self.model(index)?;
        let code = model.genome.code();
        if columns.len() != code.n_columns() {
            return Err(McodeError::Names {
                names: self.names.len(),
                columns: columns.len(),
            });
        }
        if columns[0].is_empty() {
            return Ok(Vec::new());
        }
        let data = Blocks::new(code.tier(), columns, None)?;
        if !code.tier().is_available() {
            return Ok(model.expression()?.eval_columns(columns));
        }
        let mut batch = Batch::new(code.tier(), code.n_columns(), Fold::Predict)?;
        batch.load([code])?;
        let mut out = vec![0.0; data.n_rows()];
        batch.predict(0, &data, &mut out)?;
        Ok(out)
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Reads what [`Report::to_json`] wrote; machine code is verified.
    ///
    /// # Errors
    /// Not JSON of this shape, a newer version, machine code that is not allowed, or contents that
    /// contradict each other.
    pub fn from_json(text: &str) -> Result<Report, McodeError> {
        let report: Report = read(text, WHAT, VERSION)?;
        report.config.validate()?;
        let damaged = |problem: String| McodeError::Damaged {
            what: WHAT,
            problem,
        };
        let n_models = report.front.len();
        if report.chosen >= n_models {
            let chosen = report.chosen;
            return Err(damaged(format!("model {chosen} is chosen of {n_models}")));
        }
        if let Some(problem) = ancestors::contradiction(&report.ancestors) {
            return Err(damaged(problem));
        }
        for (index, model) in report.front.iter().enumerate() {
            let n_columns = model.genome.code().n_columns();
            if n_columns != report.names.len() {
                let n_names = report.names.len();
                return Err(damaged(format!(
                    "genome {index} is for {n_columns} columns, but {n_names} are named"
                )));
            }
            let expected = Model::new(model.genome.clone(), &report.names, model.loss);
            let same = |e: &Model| e.formula == model.formula && e.size == model.size;
            if !expected.as_ref().is_some_and(same) {
                let formula = expected.map_or("nothing that can be written".into(), |e| e.formula);
                return Err(damaged(format!(
                    "formula {index} is {}, but its machine code computes {formula}",
                    model.formula
                )));
            }
        }
        Ok(report)
    }
}

/// Something stored with a version, which is looked at first.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(
    text: &str,
    what: &'static str,
    supported: u32,
) -> Result<T, McodeError> {
    #[derive(Deserialize)]
    struct Header {
        version: u32,
    }
    let format = |source| McodeError::Format { what, source };
    let found = serde_json::from_str::<Header>(text)
        .map_err(format)?
        .version;
    if found > supported {
        return Err(McodeError::Version {
            what,
            found,
            supported,
        });
    }
    serde_json::from_str(text).map_err(format)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  size           loss        R²  formula")?;
        for (index, model) in self.front.iter().enumerate() {
            let mark = if index == self.chosen { '>' } else { ' ' };
            let Model {
                size,
                loss,
                r2,
                formula,
                ..
            } = model;
            writeln!(f, "{mark} {size:4}  {loss:13.6e}  {r2:8.6}  {formula}")?;
        }
        write!(
            f,
            "{} genomes of tier {} run in {:.1} s ({})",
            self.evaluations, self.tier, self.elapsed_s, self.stop
        )
    }
}
