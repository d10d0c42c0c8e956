//! Saved models: formulas that `fit` found, and genomes that `evolve` bred.

use std::path::Path;

use opcodon::{mcode, sr};
use serde::Deserialize;

use crate::Failure;

/// A saved model of either kind.
pub(crate) enum Model {
    Formula(sr::Report),
    Genome(mcode::Report),
}

/// What tells one kind from the other: models of genomes have their genome.
#[derive(Deserialize)]
struct Kind {
    front: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    genome: Option<serde::de::IgnoredAny>,
}

impl Model {
    /// Reads a model; machine code in it is verified.
    pub(crate) fn read(path: &Path) -> Result<Model, Failure> {
        let located = |error: &dyn std::fmt::Display| {
            Failure::input(format_args!("{}: {error}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| located(&error))?;
        let kind = serde_json::from_str::<Kind>(&text);
        let is_genome = kind.is_ok_and(|kind| kind.front.iter().any(|e| e.genome.is_some()));
        let model = if is_genome {
            mcode::Report::from_json(&text)
                .map(Model::Genome)
                .map_err(Failure::from)
        } else {
            sr::Report::from_json(&text)
                .map(Model::Formula)
                .map_err(Failure::from)
        };
        model.map_err(|failure| failure.about(path.display()))
    }

    pub(crate) fn names(&self) -> &[String] {
        match self {
            Model::Formula(report) => &report.names,
            Model::Genome(report) => &report.names,
        }
    }

    pub(crate) fn target(&self) -> &str {
        match self {
            Model::Formula(report) => &report.target,
            Model::Genome(report) => &report.target,
        }
    }

    /// The formula of a model of the front, by default the chosen one.
    pub(crate) fn formula(&self, index: Option<usize>) -> Result<&str, Failure> {
        Ok(match self {
            Model::Formula(report) => &report.model(index)?.formula,
            Model::Genome(report) => &report.model(index)?.formula,
        })
    }

    /// How far predictions may be off; models of genomes do not say.
    pub(crate) fn margin(&self, index: Option<usize>, level: f64) -> Result<f64, Failure> {
        match self {
            Model::Formula(report) => Ok(report.margin(index, level)?),
            Model::Genome(_) => Err(Failure::input(
                "a model of genomes does not tell how far off it may be: leave out --interval",
            )),
        }
    }

    pub(crate) fn predict(
        &self,
        index: Option<usize>,
        columns: &[&[f64]],
    ) -> Result<Vec<f64>, Failure> {
        Ok(match self {
            Model::Formula(report) => report.predict(index, columns)?,
            Model::Genome(report) => report.predict(index, columns)?,
        })
    }
}
