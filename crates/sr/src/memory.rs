//! How much memory a fit may take, and what shrinks where that is little.
//!
//! The table in the search and the populations have to be there. What is left of the limit is shared
//! by what can be smaller: the dictionary of small formulas that seeds are made of, and the memory
//! of shapes that were met.
//!
//! # Invariant
//! The shares are functions of the table's shape and the configuration, and so is the result of a
//! fit.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::SrError;
use crate::visited::Visited;

/// A number of bytes; as text with a unit, `1.5GB`, if it is a round one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// Units, the largest first; the binary ones are read only.
const UNITS: [(&str, u64); 9] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1000),
    ("TIB", 1 << 40),
    ("GIB", 1 << 30),
    ("MIB", 1 << 20),
    ("KIB", 1 << 10),
    ("B", 1),
];

impl Bytes {
    /// Reads `2GB`, `512 MiB`, `1e9` or `1000000`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size is not counted to the byte, and its range is checked"
    )]
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let with_unit = |&(unit, size)| Some((text.strip_suffix(unit)?, size));
        let (number, unit) = UNITS.iter().find_map(with_unit).unwrap_or((&text, 1));
        let bytes = number.trim().parse::<f64>().ok()? * unit as f64;
        (1.0..=2f64.powi(63))
            .contains(&bytes)
            .then_some(Self(bytes as u64))
    }

    /// Rounded up to two digits: for reading.
    fn rounded_up(bytes: u64) -> Self {
        let unit = 10u64.pow(bytes.max(1).ilog10().saturating_sub(1));
        Self(bytes.div_ceil(unit).saturating_mul(unit))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // At most one digit after the point: what has more is written in a smaller unit.
        let (unit, size) = UNITS[..4]
            .iter()
            .find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(size / 10))
            .unwrap_or(&("", 1));
        let (whole, tenth) = (self.0 / size, self.0 % size * 10 / size);
        match tenth {
            0 => write!(f, "{whole}{unit}"),
            tenth => write!(f, "{whole}.{tenth}{unit}"),
        }
    }
}

/// Times that the table is in memory: in the units of the search, packed for kernels, once more
/// packed for those who judge, in folds.
const COPIES: u64 = 5;
/// A formula with its score, its place in archives and its share of machine code: so much, and so
/// much for each node that it may have.
const FORMULA: (u64, u64) = (500, 100);
/// A shape that was met: number, generation and count in a hash map that may be half empty.
const VISIT: u64 = 64;
/// A small formula of the dictionary: its values on the probe rows, several times over, and the
/// products of blocks of them.
const ATOM: u64 = 6000;

/// What may be remembered and enumerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Small formulas that seeds are made of.
    pub(crate) atoms: usize,
    /// Shapes that an island remembers.
    pub(crate) visits: usize,
}

impl Allowance {
    pub(crate) const UNLIMITED: Self = Self {
        atoms: usize::MAX,
        visits: usize::MAX,
    };

    /// For a table of so many rows and columns, target and weights included.
    ///
    /// # Errors
    /// If the limit is too low for what cannot be smaller.
    pub(crate) fn new(n_rows: usize, n_columns: usize, config: &Config) -> Result<Self, SrError> {
        let Some(limit) = config.max_memory else {
            return Ok(Self::UNLIMITED);
        };
        let cells = (n_rows as u64).saturating_mul(n_columns as u64);
        let table = cells.saturating_mul(8 * COPIES);
        // Members, and the children of a generation.
        let n_formulas = (config.population_size as u64).saturating_mul(2);
        let archive = Visited::most(config.archive_size, config.max_size) * config.max_size;
        let archives = (archive as u64).saturating_mul(1 + config.islands as u64);
        let n_formulas = n_formulas.saturating_add(archives);
        let formula = FORMULA.0 + FORMULA.1 * config.max_size as u64;
        let formulas = n_formulas.saturating_mul(formula);
        let fixed = table.saturating_add(formulas);
        let Some(left) = limit
            .0
            .checked_sub(fixed)
            .filter(|left| *left >= fixed / 16)
        else {
            return Err(SrError::Memory {
                limit,
                n_rows,
                n_columns,
                table: Bytes::rounded_up(table),
                population_size: config.population_size,
                formulas: Bytes::rounded_up(formulas),
                needed: Bytes::rounded_up(fixed.saturating_add(fixed / 16 + 1)),
            });
        };
        let share = |whole: u64, among: usize, each: u64| {
            usize::try_from(whole / (among as u64 * each)).unwrap_or(usize::MAX)
        };
        Ok(Self {
            // Islands that do without a fold each make seeds side by side.
            atoms: share(left / 2, config.islands, ATOM),
            visits: share(left / 2, config.islands, VISIT),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, written) in [
            ("2GB", 2_000_000_000, "2GB"),
            ("1.5 gb", 1_500_000_000, "1.5GB"),
            ("1e9", 1_000_000_000, "1GB"),
            ("512MiB", 536_870_912, "536870912"),
            ("1234567", 1_234_567, "1234567"),
            ("10b", 10, "10"),
            ("4kB", 4000, "4KB"),
        ] {
            assert_eq!(Bytes::from_text(text), Some(Bytes(bytes)), "{text}");
            assert_eq!(Bytes(bytes).to_string(), written);
            assert_eq!(Bytes::from_text(written), Some(Bytes(bytes)), "{text}");
        }
        for text in ["", "GB", "-1GB", "0", "nan", "inf", "1e30TB", "2 cows"] {
            assert_eq!(Bytes::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_left_is_shared_and_what_is_too_much_is_refused() {
        let allowance = |limit: &str, n_rows: usize, n_columns: usize| {
            let mut config = Config::default();
            config.set("max_memory", limit).unwrap();
            Allowance::new(n_rows, n_columns, &config)
        };
        assert_eq!(allowance("none", 1 << 40, 9).unwrap(), Allowance::UNLIMITED);
        let [little, much] = ["100MB", "10GB"].map(|limit| allowance(limit, 1000, 10).unwrap());
        assert!(little.atoms < much.atoms && little.visits < much.visits);
        assert!(little.atoms > 0 && little.visits > 1000);
        for (limit, n_rows, n_columns, needed) in [
            ("1MB", 100, 2, "allow 12MB at least"),
            ("1GB", 10_000_000, 11, "take 4.4GB in the search"),
            ("1B", usize::MAX, usize::MAX, "allow"),
        ] {
            let error = allowance(limit, n_rows, n_columns).unwrap_err().to_string();
            assert!(error.contains(needed), "{error}");
        }
        // What is said to be needed is enough.
        assert!(allowance("12MB", 100, 2).is_ok());
    }
}
