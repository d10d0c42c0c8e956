//! Searches that are written to a file and taken up again: two flags.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use opcodon::data::Latest;

use crate::{Failure, note};

/// Flags of a command that searches.
#[derive(Debug, Args)]
pub(crate) struct Checkpoint {
    /// Write the whole search to this file every ten seconds and at its end.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Go on with a search that --checkpoint wrote, of the same table. Limits and threads are those
    /// given now, all else is as it was.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
}

impl Checkpoint {
    /// The text to go on from.
    pub(crate) fn resumed(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.resume else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path);
        let about = |error| Failure::input(format_args!("{}: {error}", path.display()));
        text.map(Some).map_err(about)
    }

    /// What a failed search failed of, with the file it was to go on from.
    pub(crate) fn failure(&self, error: impl Into<Failure>) -> Failure {
        match &self.resume {
            Some(path) => error
                .into()
                .about(format_args!("--resume {}", path.display())),
            None => error.into(),
        }
    }

    /// What writes the file, if one is wanted.
    pub(crate) fn file(&self, interrupt: &Arc<AtomicBool>) -> Option<Latest> {
        let path = self.checkpoint.clone()?;
        Some(Latest::new(path, Arc::clone(interrupt)))
    }
}

/// Says whether the file was written.
pub(crate) fn finish(file: Option<Latest>) -> Result<(), Failure> {
    match file.map(Latest::finish).transpose() {
        Ok(error) => {
            if let Some(error) = error.flatten() {
                note(format_args!("note: --checkpoint: {error}"));
            }
            Ok(())
        }
        Err(error) => Err(Failure::from(error).about("--checkpoint")),
    }
}
