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
    if let Some(path) = &flags.output {
        write::write_csv(
            path,
            &[(&format!("{}_predicted", model.target()), &predictions)],
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
            "target": model.target(),
            "formula": model.formula(flags.index)?,
            "predictions": values,
        }));
    } else if flags.output.is_none() {
        for value in predictions {
            out(value);
        }
    }
    Ok(())
}
