//! Objects and archives to link, as files.

use crate::{ElfError, ElfErrorKind};

/// An object to be linked, or an archive of some: its bytes, and a name for messages.
#[derive(Clone, Debug)]
pub struct Object {
    /// What it is called.
    pub name: String,
    /// The file.
    pub data: Vec<u8>,
}

impl Object {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &str) -> Result<Self, ElfError> {
        let data = std::fs::read(path);
        let data = data.map_err(|error| ElfError::new(path, ElfErrorKind::Read(error)))?;
        let name = path.to_owned();
        Ok(Self { name, data })
    }
}
