//! `opcodon predict`: a saved model on a CSV file.

use std::path::PathBuf;

use clap::Args;
use opcodon::data::csv::Columns;
use opcodon::data::write;
use serde_json::json;

use super::eval::number;
use super::model::Model;
use super::table;
use crate::{Failure, note, out};

/// Flags of `opcodon predict`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// The model that `opcodon fit` or `opcodon evolve` saved.
    model: PathBuf,
    /// The CSV file with the model's input columns; - for standard input.
    file: String,
    /// Which model of the front, counted from 0; the chosen one unless given.
    #[arg(long)]
    index: Option<usize>,
    /// Also tell between which numbers this share of new rows is expected, such as 0.9.
    #[arg(long, value_name = "SHARE")]
    interval: Option<f64>,
    /// Write a CSV file instead of one number a line.
    #[arg(long, short)]
    output: Option<PathBuf>,
    #[command(flatten)]
    table: table::Reading,
}

pub(crate) fn run(flags: Flags, json: bool) -> Result<(), Failure> {
    let model = Model::read(&flags.model)?;
    // Other columns of the file may hold anything.
    let table = flags
        .table
        .read(&flags.file, Columns::Only(model.names().to_vec()))?;
    let columns = table.select(model.names())?;
    let predictions = model.predict(flags.index, &columns)?;
    let margin = flags.interval.map(|level| model.margin(flags.index, level));
    let margin = margin.transpose()?;
    let shifted = |by: f64| predictions.iter().map(|value| value + by).collect();
    let bounds: Option<[Vec<f64>; 2]> = margin.map(|m| [shifted(-m), shifted(m)]);
    if let Some(path) = &flags.output {
        let name = |what: &str| format!("{}_{what}", model.target());
        let names = [name("predicted"), name("low"), name("high")];
        let mut columns: Vec<(&str, &[f64])> = vec![(&names[0], &predictions)];
        if let Some([low, high]) = &bounds {
            columns.extend([(&names[1][..], &low[..]), (&names[2], high)]);
        }
        write::write_csv(path, &columns)?;
        note(format_args!(
            "{} predictions written to {}",
            predictions.len(),
            path.display()
        ));
    }
    if json {
        let values: Vec<_> = predictions.iter().map(|value| number(*value)).collect();
        let mut told = json!({
            "target": model.target(),
            "formula": model.formula(flags.index)?,
            "predictions": values,
        });
        if let Some(margin) = margin {
            told["margin"] = number(margin);
        }
        out(told);
    } else if flags.output.is_none() {
        for (row, value) in predictions.iter().enumerate() {
            match &bounds {
                Some([low, high]) => out(format_args!("{value} {} {}", low[row], high[row])),
                None => out(value),
            }
        }
    }
    Ok(())
}
