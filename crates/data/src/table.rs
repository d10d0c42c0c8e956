//! A table: named columns of numbers, and where they came from.

use crate::error::{DataError, Place, TextColumn};
use crate::nearest::nearest;

/// Named columns of equal length.
///
/// Made by [`csv::read`](crate::csv::read) or from columns in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub(crate) names: Vec<String>,
    pub(crate) columns: Vec<Vec<f64>>,
    pub(crate) origin: Option<Origin>,
    pub(crate) skipped: Vec<TextColumn>,
    pub(crate) n_dropped: usize,
}

/// The file a table was read from and the line of each row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Origin {
    pub(crate) file: String,
    pub(crate) lines: Vec<u64>,
}

impl Table {
    /// A table of columns in memory.
    ///
    /// # Errors
    /// If the numbers of names and columns or the lengths of the columns differ, or a name occurs
    /// twice.
    pub fn new(names: Vec<String>, columns: Vec<Vec<f64>>) -> Result<Self, DataError> {
        if names.len() != columns.len() {
            return Err(DataError::NameCount {
                names: names.len(),
                columns: columns.len(),
            });
        }
        let expected = columns.first().map_or(0, Vec::len);
        for (name, column) in names.iter().zip(&columns) {
            if column.len() != expected {
                let (column, found) = (name.clone(), column.len());
                return Err(DataError::RowCount {
                    column,
                    found,
                    expected,
                });
            }
        }
        check_names(&names, None)?;
        Ok(Self {
            names,
            columns,
            ..Self::default()
        })
    }

    /// The columns' names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns, in the order of the names.
    #[must_use]
    pub fn columns(&self) -> &[Vec<f64>] {
        &self.columns
    }

    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// Number of columns.
    #[must_use]
    pub fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// The file it was read from.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.origin.as_ref().map(|o| o.file.as_str())
    }

    /// Columns of text that were left out on reading.
    #[must_use]
    pub fn skipped(&self) -> &[TextColumn] {
        &self.skipped
    }

    /// Number of rows that were left out on reading because of missing or infinite values.
    #[must_use]
    pub fn n_dropped(&self) -> usize {
        self.n_dropped
    }

    /// The number of a column.
    ///
    /// # Errors
    /// If there is none of that name (the error suggests the nearest), or it was skipped on reading
    /// because it holds text.
    pub fn index_of(&self, name: &str) -> Result<usize, DataError> {
        if let Some(index) = self.names.iter().position(|n| n == name) {
            return Ok(index);
        }
        Err(
            match self.skipped.iter().find(|column| column.name == name) {
                Some(column) => DataError::NotNumeric {
                    file: self.file().map(str::to_owned),
                    column: column.clone(),
                },
                None => unknown_column(name, &self.names, self.file()),
            },
        )
    }

    /// One column by name.
    ///
    /// # Errors
    /// If there is none of that name; the error suggests the nearest.
    pub fn column(&self, name: &str) -> Result<&[f64], DataError> {
        self.index_of(name).map(|i| self.columns[i].as_slice())
    }

    /// Columns by name in the order asked for: what a model needs for its predictions.
    ///
    /// # Errors
    /// If one is missing; the error suggests the nearest.
    pub fn select<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<&[f64]>, DataError> {
        names
            .iter()
            .map(|name| self.column(name.as_ref()))
            .collect()
    }

    /// The place of a cell, for messages.
    #[must_use]
    pub fn place(&self, row: usize, column: usize) -> Place {
        place(
            self.origin.as_ref(),
            row,
            self.names.get(column).map_or("", String::as_str),
        )
    }
}

pub(crate) fn place(origin: Option<&Origin>, row: usize, column: &str) -> Place {
    Place {
        file: origin.map(|o| o.file.clone()),
        line: origin.and_then(|o| o.lines.get(row).copied()),
        row,
        column: column.to_owned(),
    }
}

pub(crate) fn unknown_column(name: &str, names: &[String], file: Option<&str>) -> DataError {
    DataError::UnknownColumn {
        file: file.map(str::to_owned),
        name: name.to_owned(),
        suggestion: nearest(name, names).cloned(),
        names: names.to_vec(),
    }
}

/// Refuses a name that occurs twice.
pub(crate) fn check_names(names: &[String], file: Option<&str>) -> Result<(), DataError> {
    let mut first_use = std::collections::HashMap::new();
    for (second, name) in names.iter().enumerate() {
        if let Some(first) = first_use.insert(name, second) {
            return Err(DataError::DuplicateName {
                file: file.map(str::to_owned),
                name: name.clone(),
                first: first + 1,
                second: second + 1,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let names = ["mass", "period"].map(String::from).into();
        Table::new(names, vec![vec![1.0, 2.0], vec![3.0, 4.0]]).unwrap()
    }

    #[test]
    fn columns_are_found_by_name_and_suggested_by_similarity() {
        let table = table();
        assert_eq!(
            table.select(&["period", "mass"]).unwrap(),
            [[3.0, 4.0], [1.0, 2.0]]
        );
        assert_eq!(
            table.column("Perod").unwrap_err().to_string(),
            "there is no column \"Perod\"; did you mean \"period\"? (columns: \"mass\", \"period\")"
        );
        assert_eq!(
            table.place(1, 0).to_string(),
            "row 1 (counted from 0), column \"mass\""
        );
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let names = |n: &[&str]| n.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let rows = [
            (names(&["a"]), vec![], "1 name(s) for 0 column(s)"),
            (
                names(&["a", "b"]),
                vec![vec![1.0], vec![1.0, 2.0]],
                "column \"b\" has 2 rows, but the others have 1",
            ),
            (
                names(&["a", "b", "a"]),
                vec![vec![], vec![], vec![]],
                "columns 1 and 3 (counted from 1) are both named \"a\"; rename one",
            ),
        ];
        for (names, columns, expected) in rows {
            assert_eq!(
                Table::new(names, columns).unwrap_err().to_string(),
                expected
            );
        }
        assert_eq!(Table::new(vec![], vec![]).unwrap().n_rows(), 0);
    }
}
