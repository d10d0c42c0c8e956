//! A data set: input columns and a target, checked.
//!
//! # Invariant
//! All columns and the target have the same number of rows, at least two; there is at least one
//! input; names are distinct; every value is finite. A search need not look again.

use std::fmt;

use crate::error::DataError;
use crate::table::{Origin, Table, check_names, place};

/// Which column of a table is the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The last one.
    #[default]
    Last,
    /// The one with this name.
    Name(String),
    /// The one with this number, counted from 0.
    Number(usize),
}

/// Input columns and a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
    target_name: String,
    target: Vec<f64>,
    origin: Option<Origin>,
}

/// Something odd about a data set that does not prevent its use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// The target has the same value in all rows: the answer is that constant.
    ConstantTarget,
    /// An input has the same value in all rows and explains nothing.
    ConstantColumn {
        /// The input's name.
        column: String,
    },
    /// An input equals an earlier one in all rows.
    DuplicateColumn {
        /// The input's name.
        column: String,
        /// The earlier one's name.
        original: String,
    },
    /// An input equals the target in all rows.
    TargetAmongInputs {
        /// The input's name.
        column: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConstantTarget => write!(f, "the target has the same value in all rows"),
            Self::ConstantColumn { column } => {
                write!(f, "column {column:?} has the same value in all rows")
            }
            Self::DuplicateColumn { column, original } => {
                write!(
                    f,
                    "column {column:?} equals column {original:?} in all rows"
                )
            }
            Self::TargetAmongInputs { column } => {
                write!(f, "column {column:?} equals the target in all rows")
            }
        }
    }
}

/// Fewer rows say nothing about a relation.
const MIN_ROWS: usize = 2;

impl Dataset {
    /// A data set from columns in memory.
    ///
    /// # Errors
    /// If lengths or numbers of names do not fit, a name occurs twice, there are fewer than two
    /// rows or no inputs, or a value is NaN or infinite.
    pub fn new(
        names: Vec<String>,
        columns: Vec<Vec<f64>>,
        target_name: String,
        target: Vec<f64>,
    ) -> Result<Self, DataError> {
        Self {
            names,
            columns,
            target_name,
            target,
            origin: None,
        }
        .checked()
    }

    /// Splits a table into inputs and target.
    ///
    /// # Errors
    /// If the target is not there (the nearest name is suggested), or as [`Dataset::new`].
    pub fn from_table(table: Table, target: &Target) -> Result<Self, DataError> {
        let n_columns = table.n_columns();
        let unknown = |number| DataError::UnknownColumnNumber {
            file: table.file().map(str::to_owned),
            number,
            n_columns,
        };
        let index = match target {
            Target::Name(name) => table.index_of(name)?,
            Target::Last => n_columns.checked_sub(1).ok_or_else(|| unknown(0))?,
            Target::Number(number) if *number < n_columns => *number,
            Target::Number(number) => return Err(unknown(*number)),
        };
        let Table {
            mut names,
            mut columns,
            origin,
            ..
        } = table;
        let (target_name, target) = (names.remove(index), columns.remove(index));
        Self {
            names,
            columns,
            target_name,
            target,
            origin,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, DataError> {
        let file = || self.origin.as_ref().map(|o| o.file.clone());
        if self.names.len() != self.columns.len() {
            let (names, columns) = (self.names.len(), self.columns.len());
            return Err(DataError::NameCount { names, columns });
        }
        if self.names.is_empty() {
            return Err(DataError::NoInputs {
                file: file(),
                target: self.target_name,
            });
        }
        let expected = self.columns[0].len();
        for (name, column) in self.named() {
            if column.len() != expected {
                let (column, found) = (name.to_owned(), column.len());
                return Err(DataError::RowCount {
                    column,
                    found,
                    expected,
                });
            }
        }
        let all_names: Vec<String> = self.named().map(|(name, _)| name.to_owned()).collect();
        check_names(&all_names, file().as_deref())?;
        if expected < MIN_ROWS {
            let (file, n_rows) = (file(), expected);
            return Err(DataError::TooFewRows {
                file,
                n_rows,
                needed: MIN_ROWS,
            });
        }
        for (name, column) in self.named() {
            self.check_values(name, column)?;
        }
        Ok(self)
    }

    fn check_values(&self, name: &str, column: &[f64]) -> Result<(), DataError> {
        let Some(row) = column.iter().position(|v| !v.is_finite()) else {
            return Ok(());
        };
        if column.iter().all(|v| v.is_nan()) {
            let file = self.origin.as_ref().map(|o| o.file.clone());
            return Err(DataError::AllMissing {
                file,
                column: name.to_owned(),
            });
        }
        let (place, value) = (place(self.origin.as_ref(), row, name), column[row]);
        if value.is_infinite() {
            return Err(DataError::Infinite {
                place,
                value: value.to_string(),
            });
        }
        let n_missing = self
            .named()
            .map(|(_, c)| c.iter().filter(|v| v.is_nan()).count())
            .sum();
        let n_rows = (0..self.n_rows())
            .filter(|&row| self.named().any(|(_, column)| column[row].is_nan()))
            .count();
        Err(DataError::Missing {
            place,
            value: "NaN".to_owned(),
            n_missing,
            n_rows,
        })
    }

    /// Inputs and target with their names.
    fn named(&self) -> impl Iterator<Item = (&str, &[f64])> {
        let inputs = self.names.iter().zip(&self.columns);
        inputs
            .chain([(&self.target_name, &self.target)])
            .map(|(name, column)| (name.as_str(), column.as_slice()))
    }

    /// The inputs' names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The inputs.
    #[must_use]
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// The inputs as slices, as evaluators take them.
    #[must_use]
    pub fn column_slices(&self) -> Vec<&[f64]> {
        self.columns.iter().map(Vec::as_slice).collect()
    }

    /// The target's name.
    #[must_use]
    pub fn target_name(&self) -> &str {
        &self.target_name
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &[f64] {
        &self.target
    }

    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.target.len()
    }

    /// Number of inputs.
    #[must_use]
    pub fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// Some of the rows in the order asked for, one side of a [`Split`](crate::Split) for example.
    ///
    /// # Panics
    /// If a row number is too large.
    #[must_use]
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        let take = |column: &Vec<f64>| rows.iter().map(|&row| column[row]).collect();
        Self {
            names: self.names.clone(),
            columns: self.columns.iter().map(take).collect(),
            target_name: self.target_name.clone(),
            target: take(&self.target),
            origin: self.origin.as_ref().map(|o| Origin {
                file: o.file.clone(),
                lines: rows
                    .iter()
                    .filter_map(|&row| o.lines.get(row).copied())
                    .collect(),
            }),
        }
    }

    /// What is odd about it.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let constant = |column: &[f64]| column.windows(2).all(|w| w[0] == w[1]);
        let mut warnings = Vec::new();
        if constant(&self.target) {
            warnings.push(Warning::ConstantTarget);
        }
        // Columns are hashed first, so that many of them are not compared pair by pair.
        let mut seen: std::collections::HashMap<Vec<u64>, usize> = std::collections::HashMap::new();
        for (index, (name, column)) in self.names.iter().zip(&self.columns).enumerate() {
            let column_name = name.clone();
            if constant(column) {
                warnings.push(Warning::ConstantColumn {
                    column: column_name,
                });
                continue;
            }
            if *column == self.target {
                warnings.push(Warning::TargetAmongInputs {
                    column: column_name.clone(),
                });
            }
            let bits = column.iter().map(|v| (v + 0.0).to_bits()).collect();
            if let Some(&original) = seen.get(&bits) {
                let original = self.names[original].clone();
                warnings.push(Warning::DuplicateColumn {
                    column: column_name,
                    original,
                });
            } else {
                seen.insert(bits, index);
            }
        }
        warnings
    }
}
