//! A file that holds the latest state of a search.
//!
//! If it cannot be written at all, the search is asked to end at once: that is better known now
//! than when the file is needed. If it can no longer be written, the search is worth more than the
//! file and goes on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::DataError;
use crate::write::write_text;

/// Writes states to a file, each in the place of the one before.
#[derive(Debug)]
pub struct Latest {
    path: PathBuf,
    interrupt: Arc<AtomicBool>,
    written: bool,
    error: Option<DataError>,
}

impl Latest {
    /// Time between two states that are worth writing.
    pub const INTERVAL: Duration = Duration::from_secs(10);

    /// To this file; `interrupt` asks the search to end.
    #[must_use]
    pub fn new(path: PathBuf, interrupt: Arc<AtomicBool>) -> Self {
        Self {
            path,
            interrupt,
            written: false,
            error: None,
        }
    }

    /// Writes a state. A failure is kept for [`Latest::finish`].
    pub fn save(&mut self, text: &str) {
        match write_text(&self.path, text) {
            Ok(()) => (self.written, self.error) = (true, None),
            Err(error) => {
                if !self.written {
                    self.interrupt.store(true, Ordering::Relaxed);
                }
                self.error = Some(error);
            }
        }
    }

    /// Why the file is not as new as it should be, if that is so.
    ///
    /// # Errors
    /// If there was something to write, and nothing ever was.
    pub fn finish(self) -> Result<Option<DataError>, DataError> {
        match self.error {
            Some(error) if !self.written => Err(error),
            error => Ok(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_failure_ends_a_search() {
        let directory = std::env::temp_dir().join(format!("opcodon-latest-{}", std::process::id()));
        let path = directory.join("state");
        // Whether the directory is there at each state; whether the search goes on, what the file
        // says, whether something is reported as an error, as a remark.
        type Row = (&'static [bool], bool, Option<&'static str>, bool, bool);
        let rows: &[Row] = &[
            (&[], true, None, false, false),
            (&[true], true, Some("0\n"), false, false),
            (&[true, true], true, Some("1\n"), false, false),
            (&[false], false, None, true, false),
            (&[true, false], true, None, false, true),
            (&[true, false, true], true, Some("2\n"), false, false),
        ];
        for (there, goes_on, content, fails, remarks) in rows {
            let interrupt = Arc::new(AtomicBool::new(false));
            let mut latest = Latest::new(path.clone(), Arc::clone(&interrupt));
            for (state, there) in there.iter().enumerate() {
                let _ = std::fs::remove_dir_all(&directory);
                if *there {
                    std::fs::create_dir(&directory).unwrap();
                }
                latest.save(&state.to_string());
            }
            assert_eq!(!interrupt.load(Ordering::Relaxed), *goes_on, "{there:?}");
            let found = std::fs::read_to_string(&path).ok();
            assert_eq!(found.as_deref(), *content, "{there:?}");
            let done = latest.finish();
            assert_eq!(done.is_err(), *fails, "{there:?}");
            assert_eq!(done.is_ok_and(|d| d.is_some()), *remarks, "{there:?}");
            let _ = std::fs::remove_dir_all(&directory);
        }
    }
}
