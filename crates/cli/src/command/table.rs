//! How a CSV file is to be read: the flags that `fit` and `predict` share.

use clap::{Args, ValueEnum};
use opcodon::data::csv::{self, Columns, Options, Policy, TextPolicy};
use opcodon::data::{DataError, Table};

use crate::{Failure, note};

/// Flags about the CSV file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reading the table")]
pub(crate) struct Reading {
    /// What to do about missing values.
    #[arg(long, value_enum, default_value = "error")]
    missing: Rows,
    /// What to do about infinite values.
    #[arg(long, value_enum, default_value = "error")]
    infinite: Rows,
    /// Leave columns of text out instead of refusing them.
    #[arg(long)]
    skip_text: bool,
    /// The first line holds values, not names.
    #[arg(long)]
    no_header: bool,
    /// The character between cells; found out unless given.
    #[arg(long)]
    delimiter: Option<char>,
    /// Decimal comma.
    #[arg(long)]
    decimal_comma: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rows {
    /// Say where the first one is and stop.
    Error,
    /// Leave such rows out.
    Drop,
}

impl From<Rows> for Policy {
    fn from(rows: Rows) -> Policy {
        match rows {
            Rows::Error => Policy::Error,
            Rows::Drop => Policy::Drop,
        }
    }
}

/// How the engine's messages name an option, and the flag that sets it here.
const FLAGS: [(&str, &str); 5] = [
    ("text = skip", "--skip-text"),
    ("missing = drop", "--missing drop"),
    ("infinite = drop", "--infinite drop"),
    ("header = false", "--no-header"),
    ("decimal = ','", "--decimal-comma"),
];

/// The message of an error in the words of the command line.
fn failure(error: &DataError) -> Failure {
    let message = FLAGS
        .iter()
        .fold(error.to_string(), |message, (option, flag)| {
            message.replace(option, flag)
        });
    Failure::input(message)
}

impl Reading {
    /// Reads the columns asked for; `-` is standard input.
    pub(crate) fn read(&self, path: &str, columns: Columns) -> Result<Table, Failure> {
        let mut options = Options {
            columns,
            ..Options::default()
        };
        options.missing = self.missing.into();
        options.infinite = self.infinite.into();
        options.header = self.no_header.then_some(false);
        options.delimiter = self.delimiter.and_then(|c| u8::try_from(c).ok());
        options.decimal = self.decimal_comma.then_some(b',');
        if self.skip_text {
            options.text = TextPolicy::Skip;
        }
        let table = if path == "-" {
            csv::read_from(std::io::stdin().lock(), "standard input", &options)
        } else {
            csv::read(path, &options)
        };
        let table = table.map_err(|error| failure(&error))?;
        if table.n_dropped() > 0 {
            note(format_args!("note: {} rows left out", table.n_dropped()));
        }
        for column in table.skipped() {
            note(format_args!(
                "note: column {} is text and left out",
                column.name
            ));
        }
        Ok(table)
    }
}
