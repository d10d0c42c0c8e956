//! Many trees over one table, with what they share computed once.
//!
//! In the trees of a search the same quotients and functions come again and again ([`Common`]). One that
//! does becomes a column of its own, computed once for each tile of rows, and the trees read it as they
//! read any column. A function of a constant does not depend on the row at all: it becomes a constant.
//!
//! ```text
//! trees ─ find, choose, rewrite ─▶ definitions, and trees that read their columns ─▶ two batches
//! tile  ─ copy, definitions ─▶ wider tile ─▶ the kernels of all trees
//! ```
//! Several threads compile a share of the trees each. Of a long table each takes other tiles; of a short
//! one, other rows where tiles are widened and then other trees. Whoever adds up, what the tiles contribute
//! to a sum is added in the order of the tiles, so no bit depends on the number of threads.
//!
//! Definitions are compiled as the trees are, so values are those of a [`Batch`] to the bit. Looking for
//! what is shared does not come free: whether there is enough to find is asked of a few trees, and below
//! some rows nothing is shared.
//!
//! # Invariant
//! Columns beyond those of the panel exist in the wider tile only, which is made here and nowhere else.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use opcodon_expr::{Expr, Node};

use crate::batch::{self, Batch, Goal, Limits, n_parts, of_tile};
use crate::common::{Common, FUNCTIONS, MIN_SHARE, Rewritten};
use crate::crew::share_out;
use crate::panel::{Panel, TILE_ROWS};
use crate::seal::TileRows;
use crate::{Float, JitError, Tier};

/// Trees that are asked whether there is something to share; of fewer, nothing is shared.
const N_ASKED: usize = 32;

/// Bytes of a column below which nothing is asked: finding and rewriting cost as much as running a tree
/// over some hundred rows.
const MIN_BYTES: usize = 2048;

/// Bytes of quotients that each of the trees that are asked must save for sharing to pay, and for sharing
/// more than functions of leaves; of all trees, each saves more than that.
const MIN_SAVED: usize = 2048;
const MIN_SAVED_DEEP: usize = 4096;

/// Fewest values that a thread computes, and as how many values a call counts. To have a thread work with
/// others takes as long as ten thousand values, if it has to be woken.
const MIN_VALUES: usize = 1 << 15;
const CALL_VALUES: usize = 200;

/// Pieces of work for each thread, so that none waits long for the others.
const N_PIECES: usize = 16;

/// Fewest tiles and fewest trees of a thread, for they are not shared out evenly if they are few: tiles if
/// there are enough of them, or too few trees.
const MIN_TILES: usize = 4;
const MIN_TREES: usize = 8;

/// Sums that are kept of the tiles of a thread before they are added up.
const N_SUMS: usize = 1 << 14;

/// Trees as machine code that run over the same rows together.
///
/// ```
/// use opcodon_expr::parse;
/// use opcodon_jit::{Generation, Goal, Panel, Tier};
/// let trees: Vec<_> = (0..40)
///     .map(|k| parse(&format!("sin(x) + {k}*exp(2)"), None).map(|parsed| parsed.expr))
///     .collect::<Result<_, _>>()?;
/// let panel = Panel::<f64>::from_columns(&[&[0.0, 1.0, 2.0]])?;
/// let mut generation = Generation::new(Tier::best()?)?;
/// generation.compile(&trees, 1, Goal::Predict)?;
/// let mut values = [0.0; 120];
/// generation.predictions(&panel, &mut values)?;
/// assert_eq!(values[3], 2f64.exp());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Generation<T> {
    /// The first `n_shares` of these hold the trees, one after the other.
    shares: Vec<Batch<T>>,
    n_shares: usize,
    /// Of each column that is shared the definition, which may read earlier ones.
    definitions: Batch<T>,
    /// A kernel for each function, of column 0; made when a constant is met first.
    functions: Option<Batch<T>>,
    /// Rows that are expected; many if nobody says.
    n_rows: usize,
    n_threads: usize,
    /// Columns of a panel: those beyond are shared.
    n_columns: usize,
    n_shared: usize,
    common: Common,
    /// The trees of the shares, as they are compiled.
    rewritten: Vec<Rewritten>,
    /// Wider tiles of the last run.
    tiles: Mutex<Vec<Panel<T>>>,
}

impl<T: Float> Generation<T> {
    /// An empty generation.
    ///
    /// # Errors
    /// If the processor lacks the tier.
    pub fn new(tier: Tier) -> Result<Self, JitError> {
        Ok(Self {
            shares: vec![Batch::new(tier)?],
            n_shares: 1,
            definitions: Batch::new(tier)?,
            functions: None,
            n_rows: usize::MAX,
            n_threads: 1,
            n_columns: 0,
            n_shared: 0,
            common: Common::default(),
            rewritten: Vec::new(),
            tiles: Mutex::default(),
        })
    }

    /// Number of trees.
    pub fn len(&self) -> usize {
        self.shares().map(Batch::len).sum()
    }

    /// Whether there is no tree.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The machine code of one tree's kernel, as [`Batch::code`] gives it.
    ///
    /// # Errors
    /// As there.
    pub fn code(&self, index: usize) -> Result<&[u8], JitError> {
        let mut first = 0;
        for share in self.shares() {
            if index - first < share.len() {
                return share.code(index - first);
            }
            first += share.len();
        }
        Err(JitError::Index { index, len: first })
    }

    /// As [`Batch::expect_rows`].
    pub fn expect_rows(&mut self, n_rows: usize) {
        self.n_rows = n_rows;
    }

    /// Says how many threads may compile and run; values do not depend on it. Without this, it is one.
    pub fn use_threads(&mut self, n_threads: usize) {
        self.n_threads = n_threads.max(1);
    }

    fn shares(&self) -> impl Iterator<Item = &Batch<T>> + Clone {
        self.shares[..self.n_shares].iter()
    }

    /// As [`Batch::compile`], in place of what was compiled before.
    ///
    /// # Errors
    /// As there.
    pub fn compile<'a, I>(&mut self, trees: I, n_inputs: usize, goal: Goal) -> Result<(), JitError>
    where
        I: IntoIterator<Item = &'a Expr, IntoIter: Clone>,
    {
        self.compile_nodes(trees, n_inputs, goal, None)
    }

    /// As [`Batch::compile_loss`], in place of what was compiled before.
    ///
    /// # Errors
    /// As there.
    pub fn compile_loss<'a, I>(
        &mut self,
        trees: I,
        n_inputs: usize,
        formula: &Expr,
        target: u32,
        weight: Option<u32>,
    ) -> Result<(), JitError>
    where
        I: IntoIterator<Item = &'a Expr, IntoIter: Clone>,
    {
        let goal = Goal::Mean { weight };
        self.compile_nodes(trees, n_inputs, goal, Some((formula, target)))
    }

    fn compile_nodes<'a, I>(
        &mut self,
        trees: I,
        n_inputs: usize,
        goal: Goal,
        formula: Option<(&Expr, u32)>,
    ) -> Result<(), JitError>
    where
        I: IntoIterator<Item = &'a Expr, IntoIter: Clone>,
    {
        let trees: Vec<&[Node]> = trees.into_iter().map(Expr::nodes).collect();
        self.n_shared = 0;
        self.n_columns = batch::n_columns(n_inputs, goal, formula);
        // The constants of normal equations are there to be fitted.
        let may_share = !matches!(goal, Goal::NormalEquations { .. });
        let n_bytes = self.n_rows.saturating_mul(T::SIZE);
        if !may_share || !self.is_worth_it(&trees, n_inputs, n_bytes) {
            return self.compile_shares(&trees, n_inputs, goal, formula, false);
        }
        self.common.classify(&trees);
        self.n_shared = (self.common).choose(&trees, self.n_columns, n_bytes);
        self.fold_constants()?;
        self.common.define(&trees);
        let n_inputs = match self.n_shared {
            0 => n_inputs,
            n_shared => self.n_columns + n_shared,
        };
        self.compile_shares(&trees, n_inputs, goal, formula, true)
    }

    /// Compiles trees in shares, and the definitions of what they have in common, if they are to be
    /// rewritten.
    fn compile_shares(
        &mut self,
        trees: &[&[Node]],
        n_inputs: usize,
        goal: Goal,
        formula: Option<(&Expr, u32)>,
        is_rewritten: bool,
    ) -> Result<(), JitError> {
        // Each share interrupts all threads when its code becomes executable, so there are few.
        let n_shares = self.n_threads.min(trees.len() / MIN_SHARE).max(1);
        let size = trees.len().div_ceil(n_shares).max(1);
        // No share is empty, but of no trees.
        self.n_shares = trees.len().div_ceil(size).max(1);
        let tier = self.definitions.tier();
        while self.shares.len() < self.n_shares {
            self.shares.push(Batch::new(tier)?);
        }
        self.rewritten
            .resize_with(self.shares.len(), Rewritten::default);
        let (common, n_rows) = (&self.common, self.n_rows);
        let shares = self.shares[..self.n_shares].iter_mut();
        let shares = shares.zip(&mut self.rewritten).enumerate();
        let mut tasks: Vec<_> = shares
            .map(|(k, share)| Task::Share(k * size, share))
            .collect();
        if self.n_shared > 0 {
            tasks.push(Task::Definitions(&mut self.definitions));
        }
        let results = share_out(self.n_threads, tasks, |task| match task {
            Task::Definitions(batch) => {
                batch.expect_rows(n_rows);
                let definitions = common.definitions.iter();
                batch.compile_nodes(definitions, n_inputs, Goal::Predict, None)
            }
            Task::Share(first, (batch, rewritten)) => {
                let some = first..trees.len().min(first + size);
                batch.expect_rows(n_rows);
                if is_rewritten {
                    common.rewrite(trees, some, rewritten);
                    let trees = rewritten.trees.iter();
                    return batch.compile_nodes(trees, n_inputs, goal, formula);
                }
                let trees = trees[some].iter().copied();
                let compiled = batch.compile_nodes(trees, n_inputs, goal, formula);
                compiled.map_err(|error| error.of_tree_from(first))
            }
        });
        results.into_iter().collect()
    }

    /// Finds what may be shared, unless the first trees have so little of it that looking for it does
    /// not pay, or one of the trees reads what does not exist, which the batch is to refuse.
    fn is_worth_it(&mut self, trees: &[&[Node]], n_inputs: usize, n_bytes: usize) -> bool {
        let Some(asked) = trees.get(..N_ASKED).filter(|_| n_bytes >= MIN_BYTES) else {
            return false;
        };
        let common = &mut self.common;
        if !common.find(asked, n_inputs, true, 1) {
            return false;
        }
        common.classify(asked);
        let (saved, saved_deep) = common.saved(asked);
        let pays = |saved: usize, least| saved.saturating_mul(n_bytes) >= N_ASKED * least;
        let is_deep = pays(saved_deep, MIN_SAVED_DEEP);
        pays(saved, MIN_SAVED) && common.find(trees, n_inputs, is_deep, self.n_threads)
    }

    /// Replaces the constants that functions are applied to by the functions' values.
    fn fold_constants(&mut self) -> Result<(), JitError> {
        if self.common.constants.iter().all(Vec::is_empty) {
            return Ok(());
        }
        let tier = self.definitions.tier();
        let functions = match &mut self.functions {
            Some(functions) => functions,
            none => none.insert(functions(tier)?),
        };
        for (function, constants) in self.common.constants.iter_mut().enumerate() {
            if constants.is_empty() {
                continue;
            }
            let column: Vec<T> = constants.iter().map(|&value| T::from_f64(value)).collect();
            let mut values = column.clone();
            let panel = Panel::from_columns(&[&column])?;
            functions.predict(function, &panel, &mut values)?;
            for (constant, value) in constants.iter_mut().zip(&values) {
                *constant = value.to_f64();
            }
        }
        Ok(())
    }

    /// The values of all trees at every row, tree after tree, as [`Batch::predictions`] gives them.
    ///
    /// # Errors
    /// As there.
    pub fn predictions(&self, panel: &Panel<T>, out: &mut [T]) -> Result<(), JitError> {
        let (n_trees, n_rows) = (n_parts(out.len(), panel.n_rows())?, panel.n_rows());
        self.expect(panel, n_trees)?;
        let n_threads = self.n_threads_for(n_trees, n_rows);
        if n_threads == 1 {
            return (0..panel.n_tiles()).try_for_each(|tile| {
                self.with_tile(panel, tile, |panel, place| {
                    self.predict_tile(0, panel, place, of_tile(out, n_rows, tile))
                })
            });
        }
        if takes_tiles(panel, n_trees, n_threads) {
            let mut tiles: Vec<Vec<&mut [T]>> = Vec::new();
            tiles.resize_with(panel.n_tiles(), || Vec::with_capacity(n_trees));
            for values in out.chunks_mut(n_rows) {
                for (part, tile) in values.chunks_mut(TILE_ROWS).zip(&mut tiles) {
                    tile.push(part);
                }
            }
            let tiles = tiles.into_iter().enumerate().collect();
            let results = share_out(n_threads, tiles, |(tile, parts)| {
                self.with_tile(panel, tile, |panel, place| {
                    self.predict_tile(0, panel, place, parts.into_iter())
                })
            });
            return results.into_iter().collect();
        }
        self.with_tiles(panel, n_threads, |tiles| {
            let size = piece(n_trees, n_rows, n_threads);
            let pieces = out.chunks_mut(size * n_rows).enumerate().collect();
            let results = share_out(n_threads, pieces, |(piece, out)| {
                let mut tiles = tiles.iter().enumerate();
                tiles.try_for_each(|(tile, &(panel, place))| {
                    self.predict_tile(piece * size, panel, place, of_tile(out, n_rows, tile))
                })
            });
            results.into_iter().collect()
        })
    }

    /// The losses of all trees, as [`Batch::losses_within`] gives them.
    ///
    /// # Errors
    /// As there.
    pub fn losses(
        &self,
        panel: &Panel<T>,
        bounds: Option<&[f64]>,
        out: &mut [f64],
    ) -> Result<(), JitError> {
        self.expect(panel, out.len())?;
        let limits = self.shares[0].limits(panel, bounds, out.len())?;
        out.fill(0.0);
        let n_threads = self.n_threads_for(out.len(), panel.n_rows());
        if n_threads == 1 || takes_tiles(panel, out.len(), n_threads) {
            self.losses_by_tiles(panel, n_threads, limits, out)?;
        } else {
            self.with_tiles(panel, n_threads, |tiles| {
                let size = piece(out.len(), panel.n_rows(), n_threads);
                let pieces = out.chunks_mut(size).enumerate().collect();
                let results = share_out(n_threads, pieces, |(piece, sums)| {
                    let first = piece * size;
                    let limits = limits.of(first..first + sums.len());
                    let mut parts = vec![0.0; sums.len()];
                    tiles.iter().try_for_each(|&(panel, place)| {
                        self.tile_losses(first, panel, place, limits, sums, &mut parts)?;
                        limits.fold(sums, &parts);
                        Ok(())
                    })
                });
                results.into_iter().collect()
            })?;
        }
        limits.finish(out);
        Ok(())
    }

    /// Adds to the sums of all trees what the tiles contribute. Who takes tiles in the middle knows
    /// nothing of those before, but what exceeds a limit by itself does so with them.
    fn losses_by_tiles(
        &self,
        panel: &Panel<T>,
        n_threads: usize,
        limits: Limits<'_>,
        out: &mut [f64],
    ) -> Result<(), JitError> {
        let n_trees = out.len().max(1);
        let n_together = n_threads * (N_SUMS / n_trees).max(1);
        let n_pieces = if n_threads == 1 {
            1
        } else {
            n_threads * N_PIECES
        };
        let size = (n_together.min(panel.n_tiles()) / n_pieces).max(1);
        for first in (0..panel.n_tiles()).step_by(n_together) {
            let end = panel.n_tiles().min(first + n_together);
            let pieces = (first..end).step_by(size);
            let pieces = pieces.map(|start| start..end.min(start + size)).collect();
            let all = share_out(
                n_threads,
                pieces,
                |tiles: Range<usize>| -> Result<_, JitError> {
                    let mut sums = out.to_vec();
                    let mut all = vec![0.0; tiles.len() * n_trees];
                    for (tile, parts) in tiles.zip(all.chunks_mut(n_trees)) {
                        self.with_tile(panel, tile, |panel, place| {
                            self.tile_losses(0, panel, place, limits, &sums, parts)
                        })?;
                        limits.fold(&mut sums, parts);
                    }
                    Ok(all)
                },
            );
            for piece in all {
                for parts in piece?.chunks(n_trees) {
                    limits.fold(out, parts);
                }
            }
        }
        Ok(())
    }

    /// Checks that the panel has the columns, and that there are so many trees.
    fn expect(&self, panel: &Panel<T>, n_trees: usize) -> Result<(), JitError> {
        if panel.n_columns() < self.n_columns {
            return Err(JitError::ColumnCount {
                expected: self.n_columns,
                found: panel.n_columns(),
            });
        }
        match self.len() {
            len if n_trees > len => Err(JitError::Index {
                index: n_trees - 1,
                len,
            }),
            _ => Ok(()),
        }
    }

    /// How many threads are worth it.
    fn n_threads_for(&self, n_trees: usize, n_rows: usize) -> usize {
        let n_values = n_trees.saturating_mul(n_rows.saturating_add(CALL_VALUES));
        self.n_threads.min(n_values / MIN_VALUES).max(1)
    }

    /// The shares that hold trees from `first` on, with the first of each.
    fn shares_from(&self, first: usize) -> impl Iterator<Item = (&Batch<T>, usize)> {
        let mut before = 0;
        self.shares().filter_map(move |share| {
            let own = first.saturating_sub(before);
            before += share.len();
            (own < share.len()).then_some((share, own))
        })
    }

    fn predict_tile<'o>(
        &self,
        first: usize,
        panel: &Panel<T>,
        tile: usize,
        mut out: impl Iterator<Item = &'o mut [T]>,
    ) -> Result<(), JitError> {
        for (share, own) in self.shares_from(first) {
            let out = out.by_ref().take(share.len() - own);
            share.predict_tile(own, panel, tile, out)?;
        }
        Ok(())
    }

    fn tile_losses(
        &self,
        first: usize,
        panel: &Panel<T>,
        tile: usize,
        limits: Limits<'_>,
        sums: &[f64],
        parts: &mut [f64],
    ) -> Result<(), JitError> {
        let mut done = 0;
        for (share, own) in self.shares_from(first) {
            let trees = done..parts.len().min(done + share.len() - own);
            done = trees.end;
            let (sums, parts) = (&sums[trees.clone()], &mut parts[trees.clone()]);
            share.tile_losses(own, panel, tile, limits.of(trees), sums, parts)?;
        }
        Ok(())
    }

    /// Runs `body` on a tile that has the columns that are shared.
    fn with_tile(
        &self,
        panel: &Panel<T>,
        tile: usize,
        body: impl FnOnce(&Panel<T>, usize) -> Result<(), JitError>,
    ) -> Result<(), JitError> {
        if self.n_shared == 0 {
            return body(panel, tile);
        }
        let mut wide = self.wide(panel, tile);
        for mut rows in TileRows::split(&mut wide, 1) {
            self.fill(panel, tile, &mut rows)?;
        }
        body(&wide, 0)?;
        self.kept().push(wide);
        Ok(())
    }

    /// Runs `body` on all tiles of a panel, each of which is filled by all threads.
    fn with_tiles(
        &self,
        panel: &Panel<T>,
        n_threads: usize,
        body: impl FnOnce(&[(&Panel<T>, usize)]) -> Result<(), JitError>,
    ) -> Result<(), JitError> {
        if self.n_shared == 0 {
            let tiles: Vec<_> = (0..panel.n_tiles()).map(|tile| (panel, tile)).collect();
            return body(&tiles);
        }
        let tiles = 0..panel.n_tiles();
        let mut wide: Vec<Panel<T>> = tiles.map(|tile| self.wide(panel, tile)).collect();
        let parts = wide.iter_mut().enumerate().flat_map(|(tile, wide)| {
            let parts = TileRows::split(wide, n_threads);
            parts.into_iter().map(move |rows| (tile, rows))
        });
        share_out(n_threads, parts.collect(), |(tile, mut rows)| {
            self.fill(panel, tile, &mut rows)
        })
        .into_iter()
        .collect::<Result<(), JitError>>()?;
        body(&wide.iter().map(|wide| (wide, 0)).collect::<Vec<_>>())?;
        self.kept().append(&mut wide);
        Ok(())
    }

    /// Room for a tile with the columns that are shared.
    fn wide(&self, panel: &Panel<T>, tile: usize) -> Panel<T> {
        let (n_columns, n_rows) = (self.n_columns + self.n_shared, panel.tile_rows(tile));
        match self.kept().pop() {
            Some(wide) if wide.n_columns() == n_columns && wide.n_rows() == n_rows => wide,
            _ => Panel::zeroed(n_columns, n_rows),
        }
    }

    /// Fills some rows of a tile: what the panel has, then what is shared, padding included; what would
    /// stand there otherwise may be hard to compute.
    fn fill(
        &self,
        panel: &Panel<T>,
        tile: usize,
        rows: &mut TileRows<'_, T>,
    ) -> Result<(), JitError> {
        for column in 0..self.n_columns {
            let values = &panel.padded_column(tile, column)[rows.rows()];
            rows.column_mut(column).copy_from_slice(values);
        }
        (0..self.n_shared).try_for_each(|definition| {
            let column = self.n_columns + definition;
            self.definitions.define(definition, rows, column)
        })
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Panel<T>>> {
        self.tiles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is compiled at a time.
enum Task<'g, T> {
    Definitions(&'g mut Batch<T>),
    /// The first tree, and where it goes with those that follow.
    Share(usize, (&'g mut Batch<T>, &'g mut Rewritten)),
}

/// Whether threads take tiles rather than trees.
fn takes_tiles<T: Float>(panel: &Panel<T>, n_trees: usize, n_threads: usize) -> bool {
    panel.n_tiles() >= n_threads * MIN_TILES || n_trees < n_threads * MIN_TREES
}

/// Trees that a thread takes at a time.
fn piece(n_trees: usize, n_rows: usize, n_threads: usize) -> usize {
    let least = MIN_VALUES / 2 / (n_rows + CALL_VALUES);
    n_trees.div_ceil(n_threads * N_PIECES).max(least).max(1)
}

/// Kernels of all functions.
fn functions<T: Float>(tier: Tier) -> Result<Batch<T>, JitError> {
    let functions = FUNCTIONS.iter();
    let trees: Vec<_> = functions
        .map(|&(op, _)| [Node::Var(0), Node::Op(op)])
        .collect();
    let mut batch = Batch::new(tier)?;
    let trees = trees.iter().map(<[Node; 2]>::as_slice);
    batch.compile_nodes(trees, 1, Goal::Predict, None)?;
    Ok(batch)
}
