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
//! Definitions are compiled as the trees are, so values are those of a [`Batch`] to the bit. Looking for
//! what is shared does not come free: whether there is enough to find is asked of a few trees, and below
//! some rows nothing is shared.
//!
//! # Invariant
//! Columns beyond those of the panel exist in the wider tile only, which is made here and nowhere else.

use std::sync::{Mutex, PoisonError};

use opcodon_expr::{Expr, Node};

use crate::batch::{self, Batch, Goal, RunTile};
use crate::common::{Common, FUNCTIONS};
use crate::panel::{Panel, TILE_ROWS};
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
    batch: Batch<T>,
    /// Of each column that is shared the definition, which may read earlier ones.
    definitions: Batch<T>,
    /// A kernel for each function, of column 0; made when a constant is met first.
    functions: Option<Batch<T>>,
    /// Rows that are expected; many if nobody says.
    n_rows: usize,
    /// Columns of a panel: those beyond are shared.
    n_columns: usize,
    n_shared: usize,
    common: Common,
    /// The wider tile of the last run.
    tile: Mutex<Option<Panel<T>>>,
}

impl<T: Float> Generation<T> {
    /// An empty generation.
    ///
    /// # Errors
    /// If the processor lacks the tier.
    pub fn new(tier: Tier) -> Result<Self, JitError> {
        Ok(Self {
            batch: Batch::new(tier)?,
            definitions: Batch::new(tier)?,
            functions: None,
            n_rows: usize::MAX,
            n_columns: 0,
            n_shared: 0,
            common: Common::default(),
            tile: Mutex::new(None),
        })
    }

    /// The batch itself, for trees of which nothing is to be shared.
    pub fn batch(&mut self) -> &mut Batch<T> {
        self.n_shared = 0;
        &mut self.batch
    }

    /// Number of trees.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether there is no tree.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// As [`Batch::expect_rows`].
    pub fn expect_rows(&mut self, n_rows: usize) {
        self.n_rows = n_rows;
        self.batch.expect_rows(n_rows);
        self.definitions.expect_rows(n_rows);
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
        let trees = trees.into_iter().map(Expr::nodes);
        self.n_shared = 0;
        self.n_columns = batch::n_columns(n_inputs, goal, formula);
        // The constants of normal equations are there to be fitted.
        let may_share = !matches!(goal, Goal::NormalEquations { .. });
        let n_bytes = self.n_rows.saturating_mul(T::SIZE);
        if !may_share || !self.is_worth_it(trees.clone(), n_inputs, n_bytes) {
            return self.batch.compile_nodes(trees, n_inputs, goal, formula);
        }
        let trees: Vec<&[Node]> = trees.collect();
        self.common.classify(&trees);
        self.n_shared = (self.common).choose(&trees, self.n_columns, n_bytes);
        self.fold_constants()?;
        self.common.rewrite(&trees);
        let n_inputs = match self.n_shared {
            0 => n_inputs,
            n_shared => self.n_columns + n_shared,
        };
        if self.n_shared > 0 {
            let definitions = self.common.definitions.iter();
            (self.definitions).compile_nodes(definitions, n_inputs, Goal::Predict, None)?;
        }
        let trees = self.common.trees.iter();
        self.batch.compile_nodes(trees, n_inputs, goal, formula)
    }

    /// Finds what may be shared, unless the first trees have so little of it that looking for it does
    /// not pay, or one of the trees reads what does not exist, which the batch is to refuse.
    fn is_worth_it<'a>(
        &mut self,
        trees: impl Iterator<Item = &'a [Node]> + Clone,
        n_inputs: usize,
        n_bytes: usize,
    ) -> bool {
        if n_bytes < MIN_BYTES {
            return false;
        }
        let common = &mut self.common;
        common.clear();
        let asked: Vec<&[Node]> = trees.clone().take(N_ASKED).collect();
        if asked.len() < N_ASKED
            || asked
                .iter()
                .any(|tree| common.walk::<true>(tree) > n_inputs)
        {
            return false;
        }
        common.classify(&asked);
        let (saved, saved_deep) = common.saved(&asked);
        let pays = |saved: usize, least| saved.saturating_mul(n_bytes) >= N_ASKED * least;
        if !pays(saved, MIN_SAVED) {
            return false;
        }
        let walk = if pays(saved_deep, MIN_SAVED_DEEP) {
            Common::walk::<true>
        } else {
            Common::walk::<false>
        };
        common.clear();
        trees.into_iter().all(|tree| walk(common, tree) <= n_inputs)
    }

    /// Replaces the constants that functions are applied to by the functions' values.
    fn fold_constants(&mut self) -> Result<(), JitError> {
        if self.common.constants.iter().all(Vec::is_empty) {
            return Ok(());
        }
        let tier = self.batch.tier();
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
        if self.n_shared == 0 {
            return self.batch.predictions(0, panel, out);
        }
        self.batch
            .predictions_over(0, panel.n_rows(), out, |run| self.widened(panel, run))
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
        if self.n_shared == 0 {
            return self.batch.losses_within(0, panel, bounds, out);
        }
        self.batch
            .losses_over(0, panel, bounds, out, |run| self.widened(panel, run))
    }

    /// Has each tile of a panel run, widened by the columns that are shared.
    fn widened(&self, panel: &Panel<T>, run: RunTile<'_, T>) -> Result<(), JitError> {
        if panel.n_columns() < self.n_columns {
            return Err(JitError::ColumnCount {
                expected: self.n_columns,
                found: panel.n_columns(),
            });
        }
        let n_columns = self.n_columns + self.n_shared;
        let mut kept = self.kept().take();
        let mut values = vec![T::from_f64(0.0); panel.n_rows().min(TILE_ROWS)];
        for tile in 0..panel.n_tiles() {
            let n_rows = panel.tile_rows(tile);
            let fits = |wide: &Panel<T>| wide.n_columns() == n_columns && wide.n_rows() == n_rows;
            let wide = match &mut kept {
                Some(wide) if fits(wide) => wide,
                other => other.insert(Panel::zeroed(n_columns, n_rows)),
            };
            for column in 0..self.n_columns {
                wide.column_mut(0, column)[..n_rows].copy_from_slice(panel.column(tile, column));
            }
            // Definitions run over the padding, too; what stands there otherwise may be hard to compute.
            wide.pad();
            for (definition, column) in (self.n_columns..n_columns).enumerate() {
                let values = &mut values[..n_rows];
                self.definitions.predict(definition, wide, values)?;
                wide.column_mut(0, column)[..n_rows].copy_from_slice(values);
            }
            wide.pad();
            run(wide, 0, tile)?;
        }
        *self.kept() = kept;
        Ok(())
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Panel<T>>> {
        self.tile.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
