//! `opcodon report`: a saved model as a page to look at.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use opcodon::data::csv::Columns;
use opcodon::data::write;
use opcodon::page::{self, Fit, Rows};

use super::model::Model;
use super::table;
use crate::{Failure, out};

/// Flags of `opcodon report`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// The model that `opcodon fit` or `opcodon evolve` saved.
    model: PathBuf,
    /// A CSV file with the model's columns and its target, to picture predictions; - for standard
    /// input.
    file: Option<String>,
    /// The page; beside the model's name unless given.
    #[arg(long, short, value_name = "PAGE.html")]
    output: Option<PathBuf>,
    /// Show the page in the browser.
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    table: table::Reading,
}

pub(crate) fn run(flags: Flags, json: bool) -> Result<(), Failure> {
    let model = Model::read(&flags.model)?;
    let name = format!(
        "{}.html",
        flags.model.file_stem().unwrap_or_default().display()
    );
    let path = flags.output.unwrap_or_else(|| name.into());
    match &flags.file {
        None => write_page(&path, &model, None)?,
        Some(file) => {
            let mut names = model.names().to_vec();
            names.push(model.target().to_owned());
            let table = flags.table.read(file, Columns::Only(names))?;
            let rows = Rows {
                columns: &table.select(model.names())?,
                target: table.column(model.target())?,
            };
            write_page(&path, &model, Some(rows))?;
        }
    }
    if json {
        out(serde_json::json!({ "page": path }));
    } else {
        out(format_args!("page written to {}", path.display()));
    }
    if flags.open { show(&path) } else { Ok(()) }
}

/// Hands a page over to whatever shows pages here.
fn show(path: &Path) -> Result<(), Failure> {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "explorer"
    } else {
        "xdg-open"
    };
    let shown = Command::new(program).arg(path).status();
    match shown {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::input(format_args!(
            "{program} could not show {}: {status}; open it in a browser",
            path.display()
        ))),
        Err(error) => Err(Failure::input(format_args!(
            "{program}, which shows pages, cannot be run: {error}; open {} in a browser",
            path.display()
        ))),
    }
}

fn write_page(path: &Path, model: &Model, rows: Option<Rows<'_>>) -> Result<(), Failure> {
    match model {
        Model::Formula(report) => save(path, report, rows),
        Model::Genome(report) => save(path, report, rows),
    }
}

/// Writes the page of a fit.
fn save<F: Fit>(path: &Path, fit: &F, rows: Option<Rows<'_>>) -> Result<(), Failure>
where
    Failure: From<F::Error>,
{
    let page = page::page(fit, rows)?;
    Ok(write::write_atomically(path, |file| {
        file.write_all(page.as_bytes())
    })?)
}

/// Writes the page of a fit with what it says of the rows that it was made from.
pub(crate) fn save_with<F: Fit>(
    path: &Path,
    fit: &F,
    columns: &[Cow<'_, [f64]>],
    target: &[f64],
) -> Result<(), Failure>
where
    Failure: From<F::Error>,
{
    let columns: Vec<&[f64]> = columns.iter().map(AsRef::as_ref).collect();
    let rows = Rows {
        columns: &columns,
        target,
    };
    save(path, fit, Some(rows))
}
