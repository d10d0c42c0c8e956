//! Blocks of rows: the layout of data that makes a column's address one byte.
//!
//! A slot has one byte for a column, and EVEX multiplies it by the size of a vector. So the values
//! of all columns for one vector of rows lie side by side, and code walks from block to block:
//!
//! ```text
//! block 0: column 0, rows 0–7 │ column 1, rows 0–7 │ … │ target │ weight │ block 1: …
//! ```
//!
//! Blocks are as wide as a tier's vectors. Behind the columns come the target and the weights: the
//! last block is filled by repeating the last row with weight 0, so that the loop needs no special
//! case for it. Boolean data are columns of words whose bits are cases, packed the same way, with a
//! mask as weight: eight words are 512 cases. Integers are words whose bits all count. Blocks are
//! grouped into tiles of 512 rows, so that a population runs over data in the first-level cache.

use crate::gene::MAX_INDEX;
use crate::{McodeError, Tier};

/// Rows of one tile.
pub const TILE_ROWS: usize = 512;

/// One cache line, so that a vector of lines is aligned to the widest vector.
#[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f64; 8]);

impl Line {
    pub(crate) const ZERO: Line = Line([0.0; 8]);
}

/// Columns that stand behind the inputs of each block: target and weight.
pub(crate) const EXTRA_COLUMNS: usize = 2;

/// Input columns, and a target, as the code of genomes reads them.
#[derive(Clone, Debug)]
pub struct Blocks {
    tier: Tier,
    n_columns: usize,
    n_rows: usize,
    has_target: bool,
    /// Mean of the target, and its mean squared difference to that, by weight.
    target: (f64, f64),
    /// Sum of the weights: what a loss is the mean over.
    weight: f64,
    /// Whether a row is a word whose bits count: 64 cases, or an integer.
    is_words: bool,
    lines: Vec<Line>,
}

impl Blocks {
    /// Packs columns of equal length for genomes of a tier.
    ///
    /// # Errors
    /// If there are no columns or more than 256, no rows, or columns differ in length.
    pub fn new(
        tier: Tier,
        columns: &[&[f64]],
        target: Option<&[f64]>,
    ) -> Result<Blocks, McodeError> {
        Blocks::weighted(tier, columns, target, None)
    }

    /// As [`Blocks::new`], with weights by which errors count. A row of weight 0 still spoils a
    /// loss if a genome has no number there.
    ///
    /// # Errors
    /// As for [`Blocks::new`], or if weights differ in length from the columns.
    pub fn weighted(
        tier: Tier,
        columns: &[&[f64]],
        target: Option<&[f64]>,
        weights: Option<&[f64]>,
    ) -> Result<Blocks, McodeError> {
        let range = |what, found, high| {
            if (1..=high).contains(&found) {
                return Ok(found);
            }
            Err(McodeError::Range {
                what,
                found,
                low: 1,
                high,
            })
        };
        let n_columns = range("the number of columns", columns.len(), MAX_INDEX)?;
        let n_rows = range("the number of rows", columns[0].len(), usize::MAX)?;
        let named = columns.iter().enumerate();
        let named = named.map(|(index, column)| (format!("column {index}"), column.len()));
        let target_len = target.map(|target| ("the target".into(), target.len()));
        let weights_len = weights.map(|weights| ("the weights".into(), weights.len()));
        for (what, found) in named.chain(target_len).chain(weights_len) {
            if found != n_rows {
                return Err(McodeError::RowCount {
                    what,
                    found,
                    expected: n_rows,
                });
            }
        }
        let weight = |row: usize| weights.map_or(1.0, |weights| weights[row]);
        let lanes = tier.lanes();
        let n_blocks = n_rows.div_ceil(lanes);
        let block = (n_columns + EXTRA_COLUMNS) * lanes;
        let total = (0..n_rows).map(weight).sum::<f64>();
        let mut lines = vec![Line::ZERO; (n_blocks * block).div_ceil(8)];
        let cells: &mut [f64] = bytemuck::cast_slice_mut(&mut lines);
        for (first_row, block) in (0..).step_by(lanes).zip(cells.chunks_exact_mut(block)) {
            for lane in 0..lanes {
                let row = (first_row + lane).min(n_rows - 1);
                for (index, column) in columns.iter().enumerate() {
                    block[index * lanes + lane] = column[row];
                }
                let exists = first_row + lane < n_rows;
                block[n_columns * lanes + lane] = target.map_or(0.0, |target| target[row]);
                block[(n_columns + 1) * lanes + lane] = if exists { weight(row) } else { 0.0 };
            }
        }
        Ok(Blocks {
            tier,
            n_columns,
            n_rows,
            has_target: target.is_some(),
            target: target.map_or((0.0, 0.0), |target| {
                let mean_of = |value: &dyn Fn(f64) -> f64| {
                    let terms = target.iter().enumerate();
                    terms.map(|(row, &y)| weight(row) * value(y)).sum::<f64>() / total
                };
                let mean = mean_of(&|y| y);
                (mean, mean_of(&|y| (y - mean) * (y - mean)))
            }),
            weight: total,
            is_words: false,
            lines,
        })
    }

    /// Packs columns of bits, 64 cases a word, of which `n_cases` count.
    ///
    /// # Errors
    /// As for [`Blocks::new`], or if the words are not as many as `n_cases` take.
    pub fn from_bits(
        tier: Tier,
        columns: &[&[u64]],
        target: &[u64],
        n_cases: usize,
    ) -> Result<Blocks, McodeError> {
        let as_numbers: Vec<&[f64]> = columns
            .iter()
            .map(|column| bytemuck::cast_slice(column))
            .collect();
        let mut blocks = Blocks::new(tier, &as_numbers, Some(bytemuck::cast_slice(target)))?;
        if blocks.n_rows != n_cases.div_ceil(64) {
            return Err(McodeError::RowCount {
                what: "each column of bits, in words,".into(),
                found: blocks.n_rows,
                expected: n_cases.div_ceil(64),
            });
        }
        blocks.is_words = true;
        blocks.weight = n_cases as f64;
        let (lanes, last) = (tier.lanes(), blocks.n_rows - 1);
        let per_row = blocks.n_columns + EXTRA_COLUMNS;
        let cells: &mut [u64] = bytemuck::cast_slice_mut(&mut blocks.lines);
        let masks = cells.chunks_exact_mut(per_row * lanes);
        for (row, mask) in masks
            .flat_map(|block| &mut block[per_row * lanes - lanes..])
            .enumerate()
        {
            *mask = match row {
                row if row < last => u64::MAX,
                row if row == last => u64::MAX >> ((64 - n_cases % 64) % 64),
                _ => 0,
            };
        }
        Ok(blocks)
    }

    /// Packs columns of integers, of whose target all bits count alike.
    ///
    /// # Errors
    /// As for [`Blocks::new`].
    pub fn from_integers(
        tier: Tier,
        columns: &[&[i64]],
        target: &[i64],
    ) -> Result<Blocks, McodeError> {
        let columns: Vec<&[u64]> = columns
            .iter()
            .map(|column| bytemuck::cast_slice(column))
            .collect();
        let n_bits = 64 * target.len();
        Blocks::from_bits(tier, &columns, bytemuck::cast_slice(target), n_bits)
    }

    /// Whether the columns are words: bits, 64 cases a row, or integers.
    #[must_use]
    pub fn is_words(&self) -> bool {
        self.is_words
    }

    /// What a loss is the mean over: the sum of the weights, 1 for each row if there are none; of
    /// bits, the number of cases.
    #[must_use]
    pub fn total_weight(&self) -> f64 {
        self.weight
    }

    /// The tier for which these are packed.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Number of input columns.
    #[must_use]
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Whether there is a target.
    #[must_use]
    pub fn has_target(&self) -> bool {
        self.has_target
    }

    /// Mean of the target, and its mean squared difference to that, by weight; of numbers.
    #[must_use]
    pub fn target_moments(&self) -> (f64, f64) {
        self.target
    }

    /// Number of tiles; all but the last have [`TILE_ROWS`] rows.
    #[must_use]
    pub fn n_tiles(&self) -> usize {
        self.n_rows.div_ceil(TILE_ROWS)
    }

    /// Rows of one tile.
    #[must_use]
    pub fn tile_rows(&self, tile: usize) -> usize {
        (self.n_rows - tile * TILE_ROWS).min(TILE_ROWS)
    }

    /// One tile: whole blocks.
    pub(crate) fn tile(&self, tile: usize) -> &[f64] {
        let per_row = self.n_columns + EXTRA_COLUMNS;
        let cells: &[f64] = bytemuck::cast_slice(&self.lines);
        let start = tile * TILE_ROWS * per_row;
        let rows = self.tile_rows(tile).next_multiple_of(self.tier.lanes());
        &cells[start..start + rows * per_row]
    }
}
