//! `opcodon predict`: a saved model on a CSV file.

use std::path::PathBuf;

use clap::Args;
use opcodon::data::csv::Columns;
use opcodon::data::write;
use opcodon::sr::Report;
use serde_json::json;

use super::eval::number;
use super::table;
use crate::{Failure, note, out};

/// Flags of `opcodon predict`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// The model that `opcodon fit` saved.
    model: PathBuf,
    /// The CSV file with the model's input columns; - for standard input.
    file: String,
    /// Which model of the front, counted from 0; the chosen one unless given.
    #[arg(long)]
    index: Option<usize>,
    /// Write a CSV file instead of one number a line.
    #[arg(long, short)]
    output: Option<PathBuf>,
    #[command(flatten)]
    table: table::Reading,
}

pub(crate) fn run(flags: Flags, json: bool) -> Result<(), Failure> {
    let text = std::fs::read_to_string(&flags.model)
        .map_err(|error| Failure::input(format_args!("{}: {error}", flags.model.display())))?;
    let report = Report::from_json(&text)
        .map_err(|error| Failure::input(format_args!("{}: {error}", flags.model.display())))?;
    // Other columns of the file may hold anything.
    let table = flags
        .table
        .read(&flags.file, Columns::Only(report.names.clone()))?;
    let columns = table.select(&report.names)?;
    let predictions = report.predict(flags.index, &columns)?;
    if let Some(path) = &flags.output {
        write::write_csv(
            path,
            &[(&format!("{}_predicted", report.target), &predictions)],
        )?;
        note(format_args!(
            "{} predictions written to {}",
            predictions.len(),
            path.display()
        ));
    }
    if json {
        let values: Vec<_> = predictions.iter().map(|value| number(*value)).collect();
        out(json!({
            "target": report.target,
            "formula": report.model(flags.index)?.formula,
            "predictions": values,
        }));
    } else if flags.output.is_none() {
        for value in predictions {
            out(value);
        }
    }
    Ok(())
}
