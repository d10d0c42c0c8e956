//! A folder with a copy of all code: bytes and listing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use opcodon_listing::{Listing, Syntax};

/// Longest part of a name that a file's name takes.
const NAME_MAX: usize = 60;

/// Where copies are written.
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let path = path.to_owned();
        Ok(Self { path })
    }

    /// Writes `PID-NUMBER-NAME.bin` and `.txt`.
    pub(crate) fn add(&self, name: &str, code: &[u8], number: u64) {
        let safe = |c: char| {
            if c.is_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        };
        let short: String = name.chars().take(NAME_MAX).map(safe).collect();
        let stem = format!("{}-{number:05}-{short}", std::process::id());
        let address = code.as_ptr() as u64;
        let listing = Listing::at(address, code, code.len(), Syntax::Intel);
        let text = format!(
            "; {name}\n; {} bytes at {address:#x}\n{listing}",
            code.len()
        );
        // A full disk must not keep the code from running.
        let _ = fs::write(self.path.join(format!("{stem}.bin")), code);
        let _ = fs::write(self.path.join(format!("{stem}.txt")), text);
    }
}
