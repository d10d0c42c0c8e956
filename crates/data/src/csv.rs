//! Reading tables from CSV files, with complaints that say where and what to do.
//!
//! A file is read in one pass into columns of numbers; whatever is not a number is counted and its
//! first place remembered, column by column. Only then, knowing whole columns, is it decided: a
//! column that is mostly text is a *text column* (a name, a date), a stray word in a column of
//! numbers is a *mistake*. Policies say what is dropped and what is an error.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use csv::ByteRecord;

use crate::dialect;
use crate::error::{DataError, Hint, Place, TextColumn, excerpt};
use crate::number::{Cell, cell, hint};
use crate::table::{Origin, Table, check_names, unknown_column};

/// What to do with rows that lack a value, or have an infinite one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Report the first one.
    #[default]
    Error,
    /// Leave such rows out; [`Table::n_dropped`] counts them.
    Drop,
    /// Keep the value: NaN, or an infinity.
    Keep,
}

/// What to do with columns of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextPolicy {
    /// Report all of them.
    #[default]
    Error,
    /// Leave them out; [`Table::skipped`] names them.
    Skip,
}

/// Which columns to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// All.
    #[default]
    All,
    /// Only these; the others may hold anything. They keep the order of the file.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

/// How to read a file. The default detects delimiter and header and is strict otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The delimiter; `None`: detected among comma, semicolon, tab and bar.
    pub delimiter: Option<u8>,
    /// Whether the first line holds column names; `None`: detected. Without names columns are
    /// called `x0`, `x1`, ….
    pub header: Option<bool>,
    /// The decimal mark, `b'.'` (`None`) or `b','`.
    pub decimal: Option<u8>,
    /// The first character of lines to ignore, for example `b'#'`.
    pub comment: Option<u8>,
    /// Missing values: empty, `NA`, `NaN`, `?`, `null` and the like.
    pub missing: Policy,
    /// Infinite values, and numbers too large for a double.
    pub infinite: Policy,
    /// Columns of text.
    pub text: TextPolicy,
    /// Which columns to read.
    pub columns: Columns,
}

/// Reads a table from a file.
///
/// # Errors
/// A [`DataError`] with file, line, column and value of whatever the options do not allow.
pub fn read(path: impl AsRef<Path>, options: &Options) -> Result<Table, DataError> {
    let path = path.as_ref();
    let name = path.display().to_string();
    match File::open(path) {
        Ok(file) => read_from(file, &name, options),
        Err(reason) => Err(DataError::Read { file: name, reason }),
    }
}

/// Reads a table from anything, for example standard input; `name` stands for the file in
/// messages.
///
/// # Errors
/// As [`read`].
pub fn read_from(mut reader: impl Read, name: &str, options: &Options) -> Result<Table, DataError> {
    let mut bytes = Vec::new();
    reader
        .read_to_end(&mut bytes)
        .map_err(|reason| DataError::Read {
            file: name.to_owned(),
            reason,
        })?;
    parse(&bytes, name, options)
}

/// First bytes of files that are no CSV.
const FORMATS: [(&[u8], &str); 8] = [
    (b"PK\x03\x04", "an Excel, LibreOffice or zip file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file"),
    (b"PAR1", "a Parquet file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
];

/// Reads a table from bytes; `name` stands for the file in messages.
///
/// # Errors
/// As [`read`].
pub fn parse(bytes: &[u8], name: &str, options: &Options) -> Result<Table, DataError> {
    let file = || name.to_owned();
    if let Some((_, format)) = FORMATS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(DataError::NotCsv {
            file: file(),
            format,
        });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let decimal_comma = match options.decimal {
        None | Some(b'.') => false,
        Some(b',') => true,
        Some(other) => {
            return Err(DataError::Decimal {
                decimal: char::from(other),
            });
        }
    };
    let comment = options.comment;
    let delimiter = options
        .delimiter
        .unwrap_or_else(|| dialect::delimiter(bytes, comment, decimal_comma));
    let decimal = if decimal_comma { b',' } else { b'.' };
    if [decimal, b'"', b'\n', b'\r'].contains(&delimiter) || comment == Some(delimiter) {
        return Err(DataError::Delimiter {
            delimiter: char::from(delimiter),
        });
    }
    let header = options
        .header
        .unwrap_or_else(|| dialect::has_header(bytes, delimiter, comment, decimal_comma));

    let reader = dialect::reader(bytes, delimiter, comment);
    let mut records = Records {
        bytes,
        reader,
        comment,
        delimiter,
        last: (1, 0),
    };
    let mut record = ByteRecord::new();
    let Some(first_line) = records.next(&mut record, name)? else {
        return Err(DataError::Empty { file: file() });
    };
    let n_fields = record.len();
    let mut names: Vec<String> = if header {
        record
            .iter()
            .enumerate()
            .map(|(i, field)| column_name(i, field))
            .collect()
    } else {
        (0..n_fields).map(|i| format!("x{i}")).collect()
    };
    let wanted = wanted_columns(&names, &options.columns, name)?;
    let mut columns: Vec<Column> = wanted.iter().map(|_| Column::default()).collect();
    let mut lines = Vec::new();
    let mut line = if header {
        records.next(&mut record, name)?
    } else {
        Some(first_line)
    };
    while let Some(at) = line {
        if let (true, Some(line)) = (record.len() != n_fields, records.open_quote()) {
            return Err(DataError::OpenQuote { file: file(), line });
        }
        if record.len() != n_fields {
            return Err(DataError::Ragged {
                file: file(),
                line: at,
                found: record.len(),
                expected: n_fields,
                delimiter: char::from(delimiter),
            });
        }
        for (column, &index) in columns.iter_mut().zip(&wanted) {
            column.push(&record[index], lines.len(), decimal_comma);
        }
        lines.push(at);
        line = records.next(&mut record, name)?;
    }
    if let Some(line) = records.open_quote() {
        return Err(DataError::OpenQuote { file: file(), line });
    }
    if lines.is_empty() {
        return Err(DataError::NoRows { file: file() });
    }
    names = wanted
        .iter()
        .map(|&index| std::mem::take(&mut names[index]))
        .collect();
    let read = Reading {
        file: name,
        header,
        names,
        columns,
        lines,
    };
    read.into_table(options)
}

/// Records with the line they start in.
struct Records<'a> {
    bytes: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    comment: Option<u8>,
    delimiter: u8,
    /// Line and first byte of the last record.
    last: (u64, usize),
}

impl Records<'_> {
    /// Reads the next record that is not blank and returns its line, `None` at the end.
    fn next(&mut self, record: &mut ByteRecord, file: &str) -> Result<Option<u64>, DataError> {
        loop {
            match self.reader.read_byte_record(record) {
                Ok(false) => return Ok(None),
                Ok(true) if dialect::is_blank(record) => {}
                Ok(true) => {
                    self.last = self.start_of(record);
                    return Ok(Some(self.last.0));
                }
                Err(error) => {
                    let reason = std::io::Error::other(error);
                    return Err(DataError::Read {
                        file: file.to_owned(),
                        reason,
                    });
                }
            }
        }
    }

    /// Line and first byte of a record. The reader's own position is that of the empty and comment
    /// lines that it skipped before the record, and its lines end with line feeds alone.
    fn start_of(&self, record: &ByteRecord) -> (u64, usize) {
        let Some(position) = record.position() else {
            return (0, self.bytes.len());
        };
        let (mut line, last) = self.last;
        let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
        let mut at = start.clamp(last, self.bytes.len());
        line += (last..at).filter(|&at| self.ends_line(at)).count() as u64;
        loop {
            match self.bytes.get(at) {
                Some(b'\n' | b'\r') => {
                    line += u64::from(self.ends_line(at));
                    at += 1;
                }
                Some(first) if Some(*first) == self.comment => {
                    let end = self.bytes[at..].iter().position(|&b| b == b'\n');
                    at = end.map_or(self.bytes.len(), |end| at + end);
                }
                _ => return (line, at),
            }
        }
    }

    /// Whether a line ends with this byte: a line feed, or a carriage return without one.
    fn ends_line(&self, at: usize) -> bool {
        match self.bytes[at] {
            b'\n' => true,
            b'\r' => self.bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        }
    }

    /// The line of the last record, if the file ends inside its quotes. The csv reader takes the end of
    /// the file for the end of the quotes, and would hide that most of a file became one value.
    fn open_quote(&self) -> Option<u64> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            FieldStart,
            Unquoted,
            Quoted,
            /// Behind a quote inside quotes: the end of them, or the first of a doubled one.
            Closed,
        }
        let (line, start) = self.last;
        if self.reader.position().byte() < self.bytes.len() as u64 {
            return None;
        }
        let mut state = State::FieldStart;
        for &byte in &self.bytes[start..] {
            state = match (state, byte) {
                (State::FieldStart | State::Closed, b'"') => State::Quoted,
                (State::Quoted, b'"') => State::Closed,
                (State::Quoted, _) => State::Quoted,
                (_, b'\n' | b'\r') => State::FieldStart,
                (_, byte) if byte == self.delimiter => State::FieldStart,
                _ => State::Unquoted,
            };
        }
        (state == State::Quoted).then_some(line)
    }
}

/// The name in a header field; unnamed columns are numbered from 1.
fn column_name(index: usize, field: &[u8]) -> String {
    let name = String::from_utf8_lossy(field.trim_ascii()).into_owned();
    if name.is_empty() {
        format!("column{}", index + 1)
    } else {
        name
    }
}

/// The numbers of the columns to read.
fn wanted_columns(
    names: &[String],
    columns: &Columns,
    file: &str,
) -> Result<Vec<usize>, DataError> {
    let listed: &[String] = match columns {
        Columns::All => &[],
        Columns::Only(listed) | Columns::Except(listed) => listed,
    };
    for name in listed {
        if !names.contains(name) {
            return Err(unknown_column(name, names, Some(file)));
        }
    }
    let wanted = |name: &String| match columns {
        Columns::All => true,
        Columns::Only(listed) => listed.contains(name),
        Columns::Except(listed) => !listed.contains(name),
    };
    Ok((0..names.len()).filter(|&i| wanted(&names[i])).collect())
}

/// The first cell of a column that is not a number.
struct FirstText {
    row: usize,
    value: String,
    hint: Hint,
}

/// A column being read.
#[derive(Default)]
struct Column {
    /// NaN where there is no number.
    values: Vec<f64>,
    n_missing: usize,
    n_text: usize,
    first_missing: Option<(usize, String)>,
    first_text: Option<FirstText>,
    first_infinite: Option<(usize, String)>,
}

impl Column {
    fn push(&mut self, field: &[u8], row: usize, decimal_comma: bool) {
        let value = match cell(field, decimal_comma) {
            Cell::Number(value) => {
                if value.is_infinite() && self.first_infinite.is_none() {
                    self.first_infinite = Some((row, excerpt(field)));
                }
                value
            }
            Cell::Missing => {
                self.n_missing += 1;
                self.first_missing
                    .get_or_insert_with(|| (row, excerpt(field)));
                f64::NAN
            }
            Cell::Text => {
                self.n_text += 1;
                self.first_text.get_or_insert_with(|| FirstText {
                    row,
                    value: excerpt(field),
                    hint: hint(field, decimal_comma),
                });
                f64::NAN
            }
        };
        self.values.push(value);
    }

    /// The first cell that is not a number, if most are none (at least half of those that are
    /// there) and there is no better explanation, such as an unexpected decimal mark or column
    /// names in a first line that was taken for data.
    fn text(&self, header: bool) -> Option<&FirstText> {
        let n_present = self.values.len() - self.n_missing;
        let first = self.first_text.as_ref()?;
        let only_first_line = !header && first.row == 0 && self.n_text == 1 && n_present > 1;
        (2 * self.n_text >= n_present && first.hint == Hint::None && !only_first_line)
            .then_some(first)
    }

    fn is_empty(&self) -> bool {
        self.n_missing == self.values.len()
    }
}

/// All columns of a file, before the policies.
struct Reading<'a> {
    file: &'a str,
    header: bool,
    names: Vec<String>,
    columns: Vec<Column>,
    lines: Vec<u64>,
}

impl Reading<'_> {
    fn place(&self, column: usize, row: usize) -> Place {
        Place {
            file: Some(self.file.to_owned()),
            line: Some(self.lines[row]),
            row,
            column: self.names[column].clone(),
        }
    }

    fn into_table(mut self, options: &Options) -> Result<Table, DataError> {
        self.remove_trailing_delimiter(options);
        check_names(&self.names, Some(self.file))?;
        let skipped = self.separate_text(options)?;
        self.check_mistakes(options)?;
        let n_rows = self.lines.len();
        let kept = self.kept_rows(options);
        let (names, lines) = (self.names, self.lines);
        let mut columns: Vec<Vec<f64>> = self.columns.into_iter().map(|c| c.values).collect();
        let mut kept_lines = lines;
        if let Some(kept) = &kept {
            for column in &mut columns {
                *column = kept.iter().map(|&row| column[row]).collect();
            }
            kept_lines = kept.iter().map(|&row| kept_lines[row]).collect();
            if kept.is_empty() {
                return Err(DataError::AllRowsDropped {
                    file: self.file.to_owned(),
                    n_rows,
                });
            }
        }
        let n_dropped = n_rows - kept_lines.len();
        let origin = Some(Origin {
            file: self.file.to_owned(),
            lines: kept_lines,
        });
        Ok(Table {
            names,
            columns,
            origin,
            skipped,
            n_dropped,
        })
    }

    /// Lines that all end with a delimiter make a last column without name and values: no column.
    fn remove_trailing_delimiter(&mut self, options: &Options) {
        let last_is_unnamed = |name: &String| *name == format!("column{}", self.names.len());
        let n = self.columns.len();
        if self.header
            && n > 1
            && options.columns == Columns::All
            && self.names.last().is_some_and(last_is_unnamed)
            && self.columns.last().is_some_and(Column::is_empty)
        {
            self.names.truncate(n - 1);
            self.columns.truncate(n - 1);
        }
    }

    /// Takes the text columns out, if the policy allows it.
    fn separate_text(&mut self, options: &Options) -> Result<Vec<TextColumn>, DataError> {
        let mut found = Vec::new();
        let mut names = Vec::new();
        let mut columns = Vec::new();
        for (name, column) in self.names.drain(..).zip(self.columns.drain(..)) {
            if let Some(FirstText { row, value, .. }) = column.text(self.header) {
                let (value, line) = (value.clone(), self.lines[*row]);
                found.push(TextColumn { name, value, line });
            } else {
                names.push(name);
                columns.push(column);
            }
        }
        (self.names, self.columns) = (names, columns);
        if !found.is_empty() && options.text == TextPolicy::Error {
            return Err(DataError::TextColumns {
                file: self.file.to_owned(),
                columns: found,
            });
        }
        Ok(found)
    }

    fn check_mistakes(&self, options: &Options) -> Result<(), DataError> {
        for (index, column) in self.columns.iter().enumerate() {
            if let Some(FirstText { row, value, hint }) = &column.first_text {
                let mut hint = *hint;
                if hint == Hint::None && *row == 0 && !self.header && column.n_text == 1 {
                    hint = Hint::FirstLine;
                }
                let place = self.place(index, *row);
                return Err(DataError::NotANumber {
                    place,
                    value: value.clone(),
                    hint,
                });
            }
            if column.is_empty() && options.missing != Policy::Keep {
                let (file, column) = (Some(self.file.to_owned()), self.names[index].clone());
                return Err(DataError::AllMissing { file, column });
            }
        }
        if options.missing == Policy::Error {
            let cells = self.columns.iter().enumerate();
            let firsts = cells.filter_map(|(i, c)| Some((c.first_missing.as_ref()?, i)));
            if let Some(((row, value), index)) = firsts.min_by_key(|((row, _), i)| (*row, *i)) {
                return Err(DataError::Missing {
                    place: self.place(index, *row),
                    value: value.clone(),
                    n_missing: self.columns.iter().map(|c| c.n_missing).sum(),
                    n_rows: (0..self.lines.len())
                        .filter(|&r| self.columns.iter().any(|c| c.values[r].is_nan()))
                        .count(),
                });
            }
        }
        if options.infinite == Policy::Error {
            for (index, column) in self.columns.iter().enumerate() {
                if let Some((row, value)) = &column.first_infinite {
                    let place = self.place(index, *row);
                    return Err(DataError::Infinite {
                        place,
                        value: value.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The rows that the policies leave; `None` if that is all.
    fn kept_rows(&self, options: &Options) -> Option<Vec<usize>> {
        let drop_missing = options.missing == Policy::Drop;
        let drop_infinite = options.infinite == Policy::Drop;
        let good =
            |value: f64| !(drop_missing && value.is_nan() || drop_infinite && value.is_infinite());
        let rows: Vec<usize> = (0..self.lines.len())
            .filter(|&row| self.columns.iter().all(|column| good(column.values[row])))
            .collect();
        (rows.len() < self.lines.len()).then_some(rows)
    }
}
