//! Writing files so that nobody ever sees half of one.
//!
//! The content goes to a new file in the same directory, is flushed to the disk, and then takes
//! the name in one step. A crash, a full disk or Ctrl-C leaves the old file as it was.
//!
//! Pipes and devices (`/dev/stdout`) have no name to take and are written to directly; a symbolic
//! link stays one and the file it leads to is replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::DataError;

/// Writes named columns as a CSV file with a header, for example the predictions of a model.
/// Numbers are the shortest that read back to the same bits; NaN is an empty cell.
///
/// # Errors
/// If the columns differ in length or the file cannot be written; then there is no new file.
pub fn write_csv(path: impl AsRef<Path>, columns: &[(&str, &[f64])]) -> Result<(), DataError> {
    let n_rows = columns.first().map_or(0, |(_, values)| values.len());
    for (name, values) in columns {
        if values.len() != n_rows {
            let (column, found) = ((*name).to_owned(), values.len());
            return Err(DataError::RowCount {
                column,
                found,
                expected: n_rows,
            });
        }
    }
    write_atomically(path, |out| {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(columns.iter().map(|(name, _)| name))?;
        for row in 0..n_rows {
            csv.write_record(columns.iter().map(|(_, values)| number(values[row])))?;
        }
        csv.flush()
    })
}

/// A number as text that reads back to the same bits.
fn number(value: f64) -> String {
    if value.is_nan() {
        return String::new();
    }
    // Debug switches to the exponent form for very large and small numbers, Display never does.
    let text = format!("{value:?}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Writes a file all or nothing: `content` writes to a buffer behind which is a temporary file.
///
/// # Errors
/// If `content` fails or the system refuses; then the temporary file is removed and a file that
/// was there before is untouched.
pub fn write_atomically(
    path: impl AsRef<Path>,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), DataError> {
    let path = path.as_ref();
    replace(path, content).map_err(|reason| DataError::Write {
        file: path.display().to_string(),
        reason,
    })
}

fn replace(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    // The file behind a link; a path that does not exist yet is taken as it is.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let existing = fs::metadata(&path).ok();
    if existing
        .as_ref()
        .is_some_and(|m| !m.is_file() && !m.is_dir())
    {
        let mut out = BufWriter::new(OpenOptions::new().write(true).open(&path)?);
        content(&mut out)?;
        return out.flush();
    }
    let (temporary, file) = create_beside(&path)?;
    let result = (|| {
        let mut out = BufWriter::new(file);
        content(&mut out)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        if let Some(existing) = existing {
            file.set_permissions(existing.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&temporary, &path)
    })();
    if result.is_err() {
        // The first failure is the one to report; the temporary file may be gone already.
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// A new file in the directory of `path`, under a name nobody has.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, "the path does not name a file")
    })?;
    loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{count}.tmp", std::process::id()));
        let temporary = path.with_file_name(temporary);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
        {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}
