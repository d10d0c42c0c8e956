//! Observing generated code: what debuggers and profilers want to know, from the one place where
//! code memory announces what becomes callable.
//!
//! | `OPCODON_OBSERVE` | what it does |
//! |---|---|
//! | `perf` | writes names and addresses to `/tmp/perf-PID.map`, which `perf report` reads |
//! | `jitdump` | writes the code itself to `jit-PID.dump` in the folder for temporary files, for `perf inject --jit` |
//! | `gdb` | announces a symbol file with unwind information and source lines by GDB's JIT interface |
//! | `unwind` | registers unwind tables, so that C++ exceptions and `backtrace` pass through |
//!
//! `OPCODON_DUMP=folder` writes the bytes and the listing of every piece of code to the folder;
//! libraries have files of their own. Both are read once; without them nothing here runs.
//!
//! # Invariants
//! What cannot be written is left out: observing code never keeps it from running. Frames are found
//! in the bytes ([`opcodon_listing::frame_rows`]), so that all code is treated alike, whoever made
//! it.

mod dump;
mod dwarf;
mod perf;
mod symbols;

use std::collections::HashMap;
use std::env::{self, VarError};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use opcodon_codemem::observe::{
    LibraryCode, Observer, SourceLines, SymbolFile, UnwindTable, observe,
};
use opcodon_listing::frame_rows;

use crate::dump::Folder;
use crate::perf::{JitDump, PerfMap};

/// Why observation could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// A word that names no way to observe.
    #[error("OPCODON_OBSERVE: unknown {found:?}; known are {}", KINDS.join(", "))]
    Unknown {
        /// The word.
        found: String,
    },
    /// A variable is no text.
    #[error("{name} is not UTF-8")]
    NotText {
        /// The variable.
        name: &'static str,
    },
    /// The folder cannot be made.
    #[error("OPCODON_DUMP: cannot make the folder {path:?}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The words of `OPCODON_OBSERVE`.
const KINDS: [&str; 4] = ["perf", "jitdump", "gdb", "unwind"];

/// Begins to observe as the environment says; says whether anything is observed.
///
/// # Errors
/// A variable has a value that means nothing, or the folder cannot be made.
pub fn from_environment() -> Result<bool, ObserveError> {
    let kinds = variable("OPCODON_OBSERVE")?.unwrap_or_default();
    let words: Vec<&str> = kinds
        .split([',', ' '])
        .filter(|word| !word.is_empty())
        .collect();
    if let Some(found) = words.iter().find(|word| !KINDS.contains(word)) {
        let found = (*found).to_owned();
        return Err(ObserveError::Unknown { found });
    }
    let has = |kind: &str| words.contains(&kind);
    let folder = match variable("OPCODON_DUMP")?.filter(|path| !path.is_empty()) {
        None => None,
        Some(path) => {
            let path = PathBuf::from(path);
            let made = Folder::new(&path);
            Some(made.map_err(|source| ObserveError::Folder { path, source })?)
        }
    };
    if words.is_empty() && folder.is_none() {
        return Ok(false);
    }
    let watcher = Watcher {
        state: Mutex::new(State {
            n_codes: 0,
            kept: HashMap::new(),
            map: has("perf").then(PerfMap::default),
            dump: has("jitdump").then(JitDump::default),
            folder,
        }),
        gdb: has("gdb"),
        unwind: has("unwind"),
    };
    Ok(observe(Box::new(watcher)))
}

fn variable(name: &'static str) -> Result<Option<String>, ObserveError> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(ObserveError::NotText { name }),
    }
}

/// Tells all who asked.
struct Watcher {
    state: Mutex<State>,
    gdb: bool,
    unwind: bool,
}

struct State {
    n_codes: u64,
    /// What must live as long as the code.
    kept: HashMap<u64, (Option<SymbolFile>, Option<UnwindTable>)>,
    map: Option<PerfMap>,
    dump: Option<JitDump>,
    folder: Option<Folder>,
}

impl Observer for Watcher {
    fn appeared(&self, name: &str, code: &[u8], lines: Option<&SourceLines>) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.n_codes += 1;
        let token = state.n_codes;
        if let Some(map) = &mut state.map {
            map.add(name, code);
        }
        if let Some(dump) = &mut state.dump {
            dump.add(name, code, token, lines);
        }
        if let Some(folder) = &state.folder {
            folder.add(name, code, token);
        }
        if self.gdb || self.unwind {
            let rows = frame_rows(code);
            let address = code.as_ptr() as u64;
            let file = self.gdb.then(|| {
                let frames = dwarf::debug_frame(address, code.len(), &rows);
                let lines = lines.map(|lines| dwarf::debug_lines(name, code, lines));
                SymbolFile::announce(symbols::of_function(name, code, &frames, lines))
            });
            let table = self
                .unwind
                .then(|| dwarf::eh_frame(address, code.len(), &rows));
            let table = table.and_then(UnwindTable::register);
            state.kept.insert(token, (file, table));
        }
        token
    }

    fn library_appeared(&self, library: &LibraryCode<'_>) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, code) in library.functions {
            state.n_codes += 1;
            let number = state.n_codes;
            if let Some(map) = &mut state.map {
                map.add(name, code);
            }
            if let Some(dump) = &mut state.dump {
                dump.add(name, code, number, None);
            }
        }
        state.n_codes += 1;
        let token = state.n_codes;
        if self.gdb {
            let file = SymbolFile::announce(symbols::of_library(library));
            state.kept.insert(token, (Some(file), None));
        }
        token
    }

    fn wants_breakpoints(&self) -> bool {
        self.gdb
    }

    fn gone(&self, token: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = state.kept.remove(&token);
        drop(kept);
    }
}
