//! A fit written down while it runs, to be taken up again.
//!
//! A search is written between two exchanges, when all of it is data ([`State`]). One that time or
//! an interrupt breaks off in the middle of an epoch is written as it was before: what has been
//! judged in haste must not be gone on from. The text is JSON with a version and a fingerprint of
//! the table, which is not stored.
//!
//! # Invariant
//! A fit that is limited by generations or evaluations ends with the same models, to the bit,
//! however often it was broken off and taken up again with the same limits.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::SrError;
use crate::fit::Patience;
use crate::problem::Observations;
use crate::search::{Search, State};

/// Takes the state of a search as text.
pub type Save<'a> = &'a mut dyn FnMut(&str);

/// The format of a written fit; another one is not read, because it would not go on the same way.
const VERSION: u32 = 1;

/// A fit as data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    version: u32,
    /// Of the table, to tell it from others.
    fingerprint: String,
    pub(crate) seed: u64,
    pub(crate) config: Config,
    pub(crate) patience: Patience,
    pub(crate) state: State,
}

impl Checkpoint {
    /// Reads what a [`Writer`] wrote for this table. Limits and threads are those of `config`.
    ///
    /// # Errors
    /// Another format or version, another table, a configuration that is not valid.
    pub(crate) fn read(
        text: &str,
        table: &Observations<'_>,
        config: &Config,
    ) -> Result<Self, SrError> {
        #[derive(Deserialize)]
        struct Header {
            version: u32,
            fingerprint: String,
        }
        let header: Header = serde_json::from_str(text).map_err(SrError::CheckpointFormat)?;
        if header.version != VERSION {
            return Err(SrError::CheckpointVersion {
                found: header.version,
                supported: VERSION,
            });
        }
        if header.fingerprint != fingerprint(table) {
            return Err(SrError::CheckpointTable);
        }
        let read: Self = serde_json::from_str(text).map_err(SrError::CheckpointFormat)?;
        Ok(Self {
            config: Config {
                time_limit: config.time_limit,
                max_generations: config.max_generations,
                max_evaluations: config.max_evaluations,
                target_error: config.target_error,
                n_jobs: config.n_jobs,
                ..read.config
            },
            ..read
        })
    }
}

/// What tells one table from another.
fn fingerprint(table: &Observations<'_>) -> String {
    opcodon_data::fingerprint(&table.columns, &table.target, table.weights.as_deref())
}

/// Writes a search down now and then.
pub(crate) struct Writer<'c, 's> {
    every: Duration,
    save: Save<'s>,
    fingerprint: String,
    config: &'c Config,
    seed: u64,
    /// The search when it was last between two exchanges, until it is written.
    latest: Option<Checkpoint>,
    written: Option<Instant>,
}

impl<'c, 's> Writer<'c, 's> {
    pub(crate) fn new(
        (every, save): (Duration, Save<'s>),
        table: &Observations<'_>,
        config: &'c Config,
        seed: u64,
    ) -> Self {
        Self {
            every,
            save,
            fingerprint: fingerprint(table),
            config,
            seed,
            latest: None,
            written: None,
        }
    }

    /// Takes down a search between two exchanges, none of which was done in haste, and writes it
    /// if it is time to.
    pub(crate) fn take_down(&mut self, search: &Search<'_>, patience: &Patience) {
        self.latest = Some(Checkpoint {
            version: VERSION,
            fingerprint: self.fingerprint.clone(),
            seed: self.seed,
            config: self.config.clone(),
            patience: patience.clone(),
            state: search.state(),
        });
        if self.written.is_none_or(|then| then.elapsed() >= self.every) {
            self.write();
        }
    }

    /// Writes what was taken down last.
    pub(crate) fn write(&mut self) {
        let Some(latest) = self.latest.take() else {
            return;
        };
        // Numbers and texts under texts, all finite: there is nothing that JSON has no word for.
        (self.save)(&serde_json::to_string(&latest).unwrap_or_default());
        self.written = Some(Instant::now());
    }
}
