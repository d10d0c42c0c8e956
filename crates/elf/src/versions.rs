//! Symbol versions: which number in the table beside the symbols is which name.
//!
//! Two chains of records say so: versions that the file defines, and versions that it needs of
//! others. Each record says how far the next one is; the chains only go forward, so they end.
//!
//! Source: Linux Standard Base, "Symbol Versioning".

use std::collections::HashMap;

use crate::file::half;

/// Names by number.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    names: HashMap<u16, String>,
    n_records: usize,
}

/// More records than this are a damaged file.
const RECORDS_MAX: usize = 1 << 16;

/// A version's name is not longer.
const NAME_MAX: usize = 4096;

/// Bit of a number whose symbol is found only by those who ask for the version.
const HIDDEN: u16 = 0x8000;

/// The number of symbols that nobody else sees.
const LOCAL: u16 = 0;

/// The flag of the record that names the file itself.
const BASE: u16 = 1;

impl Versions {
    /// Adds the versions that a file defines; `None` if the chain is broken.
    pub(crate) fn add_defined(&mut self, records: &[u8], strings: &[u8]) -> Option<()> {
        let mut at = 0;
        loop {
            let (flags, index) = (quarter(records, at + 2)?, quarter(records, at + 4)?);
            let name = at + offset(records, at + 12)?;
            if flags & BASE == 0 {
                self.add(index, offset(records, name)?, strings)?;
            }
            match offset(records, at + 16)? {
                0 => return Some(()),
                next => at += next,
            }
        }
    }

    /// Adds the versions that a file needs of others; `None` if the chain is broken.
    pub(crate) fn add_needed(&mut self, records: &[u8], strings: &[u8]) -> Option<()> {
        let mut at = 0;
        loop {
            let mut inner = at + offset(records, at + 8)?;
            for _ in 0..quarter(records, at + 2)? {
                let (index, name) = (quarter(records, inner + 6)?, offset(records, inner + 8)?);
                self.add(index, name, strings)?;
                match offset(records, inner + 12)? {
                    0 => break,
                    next => inner += next,
                }
            }
            match offset(records, at + 12)? {
                0 => return Some(()),
                next => at += next,
            }
        }
    }

    fn add(&mut self, index: u16, name: usize, strings: &[u8]) -> Option<()> {
        self.n_records += 1;
        let rest = strings.get(name..)?;
        let len = rest.iter().take(NAME_MAX).position(|&byte| byte == 0)?;
        let name = String::from_utf8_lossy(&rest[..len]).into_owned();
        self.names.insert(index & !HIDDEN, name);
        // Chains that overlap could make n² steps out of n records.
        (self.n_records <= RECORDS_MAX).then_some(())
    }

    /// The name of a number, and whether the symbol is hidden and whether it is local.
    pub(crate) fn of(&self, number: u16) -> (Option<&String>, bool, bool) {
        let index = number & !HIDDEN;
        let name = self.names.get(&index);
        (name, number & HIDDEN != 0, index == LOCAL)
    }
}

fn quarter(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..offset.checked_add(2)?)?;
    bytes.try_into().ok().map(u16::from_le_bytes)
}

fn offset(bytes: &[u8], at: usize) -> Option<usize> {
    half(bytes, at).and_then(|offset| usize::try_from(offset).ok())
}
