//! Why a fit could not start, or a stored report could not be read.
//!
//! A formula that yields NaN is a bad *score*, never an error. Errors are mistakes in what the
//! caller handed over, and every message says where the mistake is and what to do about it.

use crate::accepts::Accepts;
use crate::memory::Bytes;

/// What stops a fit, a prediction or the reading of a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SrError {
    /// The table has no rows at all.
    #[error("the table has no rows: at least one row is needed")]
    NoRows,
    /// There is no column beside the target.
    #[error("there is no input column beside the target '{target}': add at least one")]
    NoInputs {
        /// The target's name.
        target: String,
    },
    /// Two inputs carry the same name.
    #[error("two input columns are named '{name}': rename one of them")]
    DuplicateName {
        /// The name in question.
        name: String,
    },
    /// There are not as many names as columns.
    #[error("{names} names were given for {columns} columns")]
    NameCount {
        /// Names given.
        names: usize,
        /// Columns given.
        columns: usize,
    },
    /// A column is longer or shorter than the target.
    #[error("column '{column}' has {found} rows, but the target has {expected}")]
    RowCount {
        /// The column's name.
        column: String,
        /// Its rows.
        found: usize,
        /// The target's rows.
        expected: usize,
    },
    /// NaN or an infinity in the data.
    #[error(
        "column '{column}' holds {value} in row {row} (counted from 0, {count} such cells in this \
         column): drop or fill these rows first"
    )]
    NonFinite {
        /// The column's name.
        column: String,
        /// The first row in question, counted from 0.
        row: usize,
        /// What stands there.
        value: f64,
        /// How many cells of the column are not finite.
        count: usize,
    },
    /// Values so large that their squares do not fit into a double.
    #[error(
        "column '{column}' holds {value:e} in row {row}: values beyond 1e150 cannot be squared; \
         rescale the column (for example to other units)"
    )]
    TooLarge {
        /// The column's name.
        column: String,
        /// The first row in question, counted from 0.
        row: usize,
        /// What stands there.
        value: f64,
    },
    /// A negative weight, or weights that are all zero.
    #[error("weights must be zero or more and not all zero; row {row} has {value}")]
    Weight {
        /// The first row in question, counted from 0.
        row: usize,
        /// What stands there.
        value: f64,
    },
    /// No such hyper-parameter.
    #[error("there is no parameter '{name}'{}; known: {}", suggestion(nearest.as_deref()), known.join(", "))]
    UnknownParameter {
        /// What was asked for.
        name: String,
        /// The closest existing name, if one is close.
        nearest: Option<String>,
        /// All names.
        known: Vec<&'static str>,
    },
    /// A hyper-parameter's text does not parse.
    #[error("parameter {name}: '{text}' is not {kind}")]
    ParameterText {
        /// The parameter.
        name: &'static str,
        /// What was given.
        text: String,
        /// What is expected.
        kind: &'static str,
    },
    /// A hyper-parameter is out of range.
    #[error("parameter {name}: {value} is out of range, {accepts}")]
    ParameterRange {
        /// The parameter.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is accepted.
        accepts: Accepts,
    },
    /// Hyper-parameters contradict each other.
    #[error("parameters {first} and {second} do not go together: {reason}")]
    ParameterConflict {
        /// One of the two.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Why, and what to change.
        reason: String,
    },
    /// The fit would not fit into memory.
    #[error(
        "max_memory is {limit}, but {n_rows} rows of {n_columns} columns take {table} in the search \
         and populations of {population_size} formulas {formulas}: allow {needed} at least, or give \
         fewer rows or columns or a smaller population_size"
    )]
    Memory {
        /// What was allowed.
        limit: Bytes,
        /// Rows of the table.
        n_rows: usize,
        /// Columns of the table, the target included.
        n_columns: usize,
        /// What they take.
        table: Bytes,
        /// Formulas of all islands.
        population_size: usize,
        /// What they take.
        formulas: Bytes,
        /// The least that is enough.
        needed: Bytes,
    },
    /// The loss is no loss.
    #[error("parameter loss: '{text}' cannot be used: {reason}")]
    Loss {
        /// What was given.
        text: String,
        /// Why not.
        reason: String,
    },
    /// A definition among the operators is none.
    #[error("the definition '{text}' cannot be used: {reason}")]
    Definition {
        /// What was given.
        text: String,
        /// Why not.
        reason: String,
    },
    /// A constraint cannot be read.
    #[error(
        "the constraint '{text}' cannot be read: {reason}; constraints look like 'sin <= 2', \
         'exp in sin <= 0' or 'pow[2] <= 1'"
    )]
    Constraint {
        /// What was given.
        text: String,
        /// Why not.
        reason: String,
    },
    /// A guess is no formula of the table's columns.
    #[error("the guess '{text}' is no formula of the columns: {reason}")]
    Guess {
        /// What was given.
        text: String,
        /// Why not.
        reason: String,
    },
    /// No such operator.
    #[error("there is no operator '{name}'{}", suggestion(nearest.as_deref()))]
    UnknownOperator {
        /// What was asked for.
        name: String,
        /// The closest existing name, if one is close.
        nearest: Option<String>,
    },
    /// Prediction: not the columns that the model was fitted on.
    #[error("the model needs {expected} input columns ({}), but {found} were given", names.join(", "))]
    ColumnCount {
        /// Columns of the fit.
        expected: usize,
        /// Columns given.
        found: usize,
        /// Their names.
        names: Vec<String>,
    },
    /// A table to predict for lacks a column that the formula uses.
    #[error("the table has no column '{name}', which the model needs")]
    ColumnMissing {
        /// The column's name.
        name: String,
    },
    /// There is no such model on the front.
    #[error("there is no model {index}: the front has {len} models, counted from 0")]
    ModelIndex {
        /// What was asked for.
        index: usize,
        /// How many there are.
        len: usize,
    },
    /// It is not known how far off that share of rows is.
    #[error(
        "no margin is known for a share of {level} of the rows; {}",
        if known.is_empty() {
            "this model has none, for too few rows were left out".to_owned()
        } else {
            let known: Vec<String> = known.iter().map(f64::to_string).collect();
            format!("take one of {}", known.join(", "))
        }
    )]
    Level {
        /// What was asked for.
        level: f64,
        /// The shares for which there are margins.
        known: Vec<f64>,
    },
    /// A stored report is not JSON, or not of this shape.
    #[error("this is not a report of a fit")]
    ReportFormat(#[source] serde_json::Error),
    /// A stored report comes from a newer version.
    #[error(
        "the report has format version {found}, this program reads up to {supported}: update opcodon"
    )]
    ReportVersion {
        /// The version in the file.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// A stored report contradicts itself.
    #[error("the report is damaged: {what}")]
    ReportContent {
        /// Which part, and why.
        what: String,
    },
    /// A text to go on from is no checkpoint.
    #[error("this is not a checkpoint of a fit")]
    CheckpointFormat(#[source] serde_json::Error),
    /// A checkpoint is of another version.
    #[error(
        "the checkpoint has format version {found}, this program reads version {supported}: go on \
         with the version of opcodon that wrote it"
    )]
    CheckpointVersion {
        /// The version in the file.
        found: u32,
        /// The version that can be read.
        supported: u32,
    },
    /// A checkpoint was written for other rows.
    #[error(
        "the checkpoint belongs to another table: go on with the columns, target and weights that \
         it was written with"
    )]
    CheckpointTable,
    /// A checkpoint contradicts itself.
    #[error("the checkpoint is damaged: {what}")]
    CheckpointContent {
        /// Which part, and why.
        what: String,
    },
    /// The compiler refused; its message says why.
    #[error("cannot compile a formula")]
    Compile(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Worker threads could not be started.
    #[error("cannot start {n_threads} worker threads")]
    Threads {
        /// How many were asked for.
        n_threads: usize,
        /// The operating system's reason.
        source: rayon::ThreadPoolBuildError,
    },
}

/// ` (did you mean 'x'?)`, or nothing.
fn suggestion(nearest: Option<&str>) -> String {
    nearest
        .map(|name| format!(" (did you mean '{name}'?)"))
        .unwrap_or_default()
}

/// The candidate that takes the fewest edits to reach, if it takes at most a third of its length.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    candidates
        .map(|candidate| (edit_distance(name, candidate), candidate))
        .min_by_key(|&(distance, _)| distance)
        .filter(|&(distance, candidate)| distance * 3 <= candidate.len().max(3))
        .map(|(_, candidate)| candidate.to_owned())
}

/// Levenshtein's distance: insertions, deletions and substitutions.
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in to.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}
