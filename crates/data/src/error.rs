//! Everything that can be wrong with a table, each with its place and what to do about it.
//!
//! Messages are complete sentences for the person who owns the data. The options they mention are
//! written `name = value`; every face has them under these names.

use std::fmt;
use std::io;

/// Where a value stands: as a line of a file, or as a row of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, if the data came from one.
    pub file: Option<String>,
    /// The line of the file, counted from 1.
    pub line: Option<u64>,
    /// The row of the data, counted from 0, without a header.
    pub row: usize,
    /// The column's name.
    pub column: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}, ")?;
        }
        match self.line {
            Some(line) => write!(f, "line {line}")?,
            None => write!(f, "row {} (counted from 0)", self.row)?,
        }
        write!(f, ", column {:?}", self.column)
    }
}

/// A column that holds text instead of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextColumn {
    /// Its name.
    pub name: String,
    /// One of its values.
    pub value: String,
    /// The line of that value.
    pub line: u64,
}

impl fmt::Display for TextColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} (for example {:?} in line {})",
            self.name, self.value, self.line
        )
    }
}

/// What may be behind a value that is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// Nothing in particular.
    None,
    /// It would be a number if the comma were the decimal mark.
    DecimalComma,
    /// It would be a number without its thousands separators.
    Thousands,
    /// It would be a number without its percent sign.
    Percent,
    /// It looks like several numbers separated by blanks.
    Blanks,
    /// It stands in the first line, which was not taken for a header.
    FirstLine,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "correct it, or leave out the column or the line",
            Self::DecimalComma => "if the comma is the decimal mark, say so (decimal = ',')",
            Self::Thousands => "write it without thousands separators",
            Self::Percent => "write it without the percent sign",
            Self::Blanks => {
                "separate the numbers by commas, semicolons, tabs or bars, not by blanks"
            }
            Self::FirstLine => "if line 1 holds the names of the columns, say so (header = true)",
        })
    }
}

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system could not read the file.
    #[error("cannot read {file}: {reason}")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        reason: io::Error,
    },
    /// The operating system could not write the file; a file that was there before is untouched.
    #[error("cannot write {file}: {reason}")]
    Write {
        /// The file.
        file: String,
        /// What the system says.
        reason: io::Error,
    },
    /// There is nothing in the file.
    #[error("{file} is empty; expected lines of numbers, with or without a line of column names")]
    Empty {
        /// The file.
        file: String,
    },
    /// The file is not text at all.
    #[error("{file} is not a CSV file but {format}; export it as CSV in UTF-8")]
    NotCsv {
        /// The file.
        file: String,
        /// What it is instead, with its article.
        format: &'static str,
    },
    /// There are column names but no rows.
    #[error(
        "{file} has column names in line 1 but no rows; if line 1 is data, say so (header = false)"
    )]
    NoRows {
        /// The file.
        file: String,
    },
    /// Every row had a missing or infinite value and was dropped.
    #[error(
        "{file}: each of the {n_rows} rows misses a value in some column, so dropping such rows \
         leaves none; leave out the columns with many missing values"
    )]
    AllRowsDropped {
        /// The file.
        file: String,
        /// Number of rows read.
        n_rows: usize,
    },
    /// A line has more or fewer fields than the first one.
    #[error(
        "{file}, line {line}: {found} field(s), but the lines before have {expected}; add or remove \
         a delimiter ({delimiter:?}), or quote a value that contains one"
    )]
    Ragged {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: u64,
        /// Number of fields in the line.
        found: usize,
        /// Number of fields in the first line.
        expected: usize,
        /// The delimiter in use.
        delimiter: char,
    },
    /// A quote is opened and never closed: all that follows would be one value.
    #[error(
        "{file}, line {line}: a quote (\") is opened in this record and not closed up to the end of \
         the file; close it, or remove it"
    )]
    OpenQuote {
        /// The file.
        file: String,
        /// The line where the record begins, counted from 1.
        line: u64,
    },
    /// A cell has no value.
    #[error(
        "{place}: the value is missing ({value:?}); {n_missing} value(s) in {n_rows} row(s) are \
         missing in all. Fill them in, leave out the column, or drop such rows (missing = drop)"
    )]
    Missing {
        /// The first such cell.
        place: Place,
        /// What stands there.
        value: String,
        /// Number of missing values in all columns.
        n_missing: usize,
        /// Number of rows with a missing value.
        n_rows: usize,
    },
    /// A column has no value in any row.
    #[error(
        "{}column {column:?} has no value in any row; leave it out",
        in_file(file)
    )]
    AllMissing {
        /// The file, if there is one.
        file: Option<String>,
        /// The column's name.
        column: String,
    },
    /// A cell of a numeric column is not a number.
    #[error("{place}: {value:?} is not a number; {hint}")]
    NotANumber {
        /// The first such cell.
        place: Place,
        /// What stands there.
        value: String,
        /// What may be behind it.
        hint: Hint,
    },
    /// Columns hold text.
    #[error(
        "{file}: not numeric: column {}; leave such columns out, or let them be skipped \
         (text = skip)",
        list(columns)
    )]
    TextColumns {
        /// The file.
        file: String,
        /// All of them.
        columns: Vec<TextColumn>,
    },
    /// A column of text, which was skipped on reading, is asked for.
    #[error(
        "{}column {column} holds text, not numbers; choose another one, or encode it",
        in_file(file)
    )]
    NotNumeric {
        /// The file, if there is one.
        file: Option<String>,
        /// The column.
        column: TextColumn,
    },
    /// A value is infinite, or too large for a double.
    #[error(
        "{place}: {value:?} is infinite or too large for a 64-bit number; correct it, or drop such \
         rows (infinite = drop)"
    )]
    Infinite {
        /// The first such cell.
        place: Place,
        /// What stands there.
        value: String,
    },
    /// Two columns have the same name.
    #[error(
        "{}columns {first} and {second} (counted from 1) are both named {name:?}; rename one",
        in_file(file)
    )]
    DuplicateName {
        /// The file, if there is one.
        file: Option<String>,
        /// The name.
        name: String,
        /// The first column of that name, counted from 1.
        first: usize,
        /// The second one.
        second: usize,
    },
    /// A column was asked for that is not there.
    #[error(
        "{}there is no column {name:?}{}",
        in_file(file),
        suggest(suggestion, names)
    )]
    UnknownColumn {
        /// The file, if there is one.
        file: Option<String>,
        /// The name asked for.
        name: String,
        /// The column with the most similar name, if any is similar.
        suggestion: Option<String>,
        /// All columns.
        names: Vec<String>,
    },
    /// A column number was asked for that is not there.
    #[error("{}there is no column number {number}: columns are numbered from 0 to {}", in_file(file), n_columns.saturating_sub(1))]
    UnknownColumnNumber {
        /// The file, if there is one.
        file: Option<String>,
        /// The number asked for, counted from 0.
        number: usize,
        /// Number of columns.
        n_columns: usize,
    },
    /// There is no column besides the target.
    #[error(
        "{}there is no column besides the target {target:?}; at least one input is needed",
        in_file(file)
    )]
    NoInputs {
        /// The file, if there is one.
        file: Option<String>,
        /// The target's name.
        target: String,
    },
    /// There are too few rows to learn from.
    #[error(
        "{}{n_rows} row(s) of data, but at least {needed} are needed",
        in_file(file)
    )]
    TooFewRows {
        /// The file, if there is one.
        file: Option<String>,
        /// Number of rows.
        n_rows: usize,
        /// Number of rows needed.
        needed: usize,
    },
    /// A column is shorter or longer than the others.
    #[error("column {column:?} has {found} rows, but the others have {expected}")]
    RowCount {
        /// The column's name.
        column: String,
        /// Its number of rows.
        found: usize,
        /// The number of rows of the columns before.
        expected: usize,
    },
    /// There are more or fewer names than columns.
    #[error("{names} name(s) for {columns} column(s)")]
    NameCount {
        /// Number of names.
        names: usize,
        /// Number of columns.
        columns: usize,
    },
    /// The delimiter cannot be told from the rest of the file.
    #[error(
        "the delimiter cannot be {delimiter:?}: it is the decimal mark, a quote, a comment sign or a line end"
    )]
    Delimiter {
        /// The delimiter asked for.
        delimiter: char,
    },
    /// The decimal mark is neither a point nor a comma.
    #[error("the decimal mark cannot be {decimal:?}; it is '.' or ','")]
    Decimal {
        /// The decimal mark asked for.
        decimal: char,
    },
    /// A share of rows for testing that leaves one side empty.
    #[error(
        "a test share of {share} of {n_rows} rows leaves no rows on one side; it must lie between 0 and 1"
    )]
    TestShare {
        /// The share asked for.
        share: f64,
        /// Number of rows.
        n_rows: usize,
    },
    /// A number of folds that leaves some empty.
    #[error("cannot split {n_rows} rows into {n_folds} folds; from 2 to {n_rows} are possible")]
    Folds {
        /// The number asked for.
        n_folds: usize,
        /// Number of rows.
        n_rows: usize,
    },
}

/// "data.csv: ", or nothing.
fn in_file(file: &Option<String>) -> String {
    file.as_ref().map(|f| format!("{f}: ")).unwrap_or_default()
}

/// At most this many columns are listed in a message.
const MAX_LISTED: usize = 8;

fn list(columns: &[TextColumn]) -> String {
    let mut text: Vec<String> = columns
        .iter()
        .take(MAX_LISTED)
        .map(ToString::to_string)
        .collect();
    if columns.len() > MAX_LISTED {
        text.push(format!("and {} more", columns.len() - MAX_LISTED));
    }
    text.join(", ")
}

fn suggest(suggestion: &Option<String>, names: &[String]) -> String {
    let hint = suggestion
        .as_ref()
        .map(|s| format!("; did you mean {s:?}?"))
        .unwrap_or_default();
    let more = if names.len() > MAX_LISTED {
        ", …"
    } else {
        ""
    };
    let listed: Vec<String> = names
        .iter()
        .take(MAX_LISTED)
        .map(|n| format!("{n:?}"))
        .collect();
    format!("{hint} (columns: {}{more})", listed.join(", "))
}

/// What is shown of a cell: valid text, not longer than a line.
pub(crate) fn excerpt(value: &[u8]) -> String {
    const MAX_CHARS: usize = 40;
    // A cell may be the whole rest of the file behind an unclosed quote.
    let head = &value[..value.len().min(4 * MAX_CHARS + 4)];
    let text = String::from_utf8_lossy(head);
    if head.len() == value.len() && text.chars().count() <= MAX_CHARS {
        text.into_owned()
    } else {
        text.chars().take(MAX_CHARS).chain(['…']).collect()
    }
}
