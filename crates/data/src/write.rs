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

/// Writes a text and an end of line, all or nothing.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_text(path: impl AsRef<Path>, text: &str) -> Result<(), DataError> {
    write_atomically(path, |file| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of its own for each test, removed at the end.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("opcodon-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn files(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<String> = entries
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn columns_become_a_file() {
        let directory = Directory::new("columns");
        let path = directory.0.join("out.csv");
        type Row<'a> = (&'a [(&'a str, &'a [f64])], &'a str);
        let rows: &[Row<'_>] = &[
            (
                &[
                    ("x", &[1.0, -0.5, 1e300]),
                    ("p, q", &[f64::NAN, f64::INFINITY, 1e-7]),
                ],
                "x,\"p, q\"\n1,\n-0.5,inf\n1e300,1e-7\n",
            ),
            (&[("x", &[])], "x\n"),
        ];
        for (columns, expected) in rows {
            write_csv(&path, columns).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), *expected);
            assert_eq!(directory.files(), ["out.csv"]);
        }
        let uneven = write_csv(&path, &[("x", &[1.0]), ("y", &[])]).unwrap_err();
        assert_eq!(
            uneven.to_string(),
            "column \"y\" has 0 rows, but the others have 1"
        );
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let directory = Directory::new("failed");
        let path = directory.0.join("model.json");
        write_atomically(&path, |out| out.write_all(b"old")).unwrap();
        let error = write_atomically(&path, |out| {
            out.write_all(b"half of the ne")?;
            Err(io::Error::other("the disk is full"))
        });
        let message = error.unwrap_err().to_string();
        assert!(
            message.ends_with("model.json: the disk is full"),
            "{message}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(directory.files(), ["model.json"]);
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let directory = Directory::new("refused");
        for path in [
            directory.0.clone(),
            directory.0.join("no/such/place"),
            PathBuf::from("/"),
        ] {
            let error = write_atomically(&path, |out| out.write_all(b"x")).unwrap_err();
            assert!(error.to_string().starts_with("cannot write "), "{error}");
        }
        assert!(directory.files().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn links_permissions_and_devices_stay_what_they_are() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let directory = Directory::new("links");
        let (file, link) = (directory.0.join("file"), directory.0.join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        write_atomically(&link, |out| out.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
        write_atomically("/dev/null", |out| out.write_all(b"gone")).unwrap();
    }
}
