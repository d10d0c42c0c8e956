//! A population compiled at once: one arena, made executable once, one kernel a tree.

use std::marker::PhantomData;
use std::ops::Range;

use opcodon_asm::Assembler;
use opcodon_codemem::{Arena, SealedArena};
use opcodon_expr::{Expr, Node};

use crate::columns::{ColumnLeaves, Targets};
use crate::direct::{ALIGNMENT, Direct};
use crate::formula;
use crate::gradient::{self, Adjoints, MAX_CONSTANTS, NormalEquations, Scratch};
use crate::kernel::{self, Fold, Shells};
use crate::lower::{self, Workspace};
use crate::machine::{Machine, Visitor};
use crate::panel::{Line, stride};
use crate::seal::{self, Footprint, TileRows};
use crate::tape::{Order, Tape};
use crate::{Float, JitError, Panel, TILE_ROWS, Tier};

/// What the kernels of a batch compute from each tree and each row.
///
/// Targets and weights are columns of the panel, usually those after the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The value of every row.
    Predict,
    /// The mean of squared errors.
    Mse {
        /// Column of the targets.
        target: u32,
        /// Column of the weights.
        weight: Option<u32>,
    },
    /// The mean of absolute errors.
    Mae {
        /// Column of the targets.
        target: u32,
        /// Column of the weights.
        weight: Option<u32>,
    },
    /// The mean of the values.
    Mean {
        /// Column of the weights.
        weight: Option<u32>,
    },
    /// The sums that a linear regression of the target on the value needs.
    Moments {
        /// Column of the targets.
        target: u32,
        /// Column of the weights.
        weight: Option<u32>,
    },
    /// JᵀJ, Jᵀr and rᵀr of the residuals in the constants.
    NormalEquations {
        /// Column of the targets.
        target: u32,
        /// Column of the weights.
        weight: Option<u32>,
    },
}

impl Goal {
    fn name(self) -> &'static str {
        match self {
            Goal::Predict => "predictions",
            Goal::Mse { .. } => "squared errors",
            Goal::Mae { .. } => "absolute errors",
            Goal::Mean { .. } => "means",
            Goal::Moments { .. } => "moments",
            Goal::NormalEquations { .. } => "normal equations",
        }
    }

    fn fold(self) -> Fold {
        match self {
            Goal::Predict => Fold::Store,
            Goal::Mse { .. } => Fold::Squares,
            Goal::Mae { .. } => Fold::Absolute,
            Goal::Mean { .. } => Fold::Sum,
            Goal::Moments { .. } => Fold::Moments,
            Goal::NormalEquations { .. } => Fold::Outer,
        }
    }

    fn targets(self) -> Option<Targets> {
        match self {
            Goal::Predict => None,
            // There is no target; the column of the weights is one that exists.
            Goal::Mean { weight } => weight.map(|column| Targets {
                target: column,
                weight,
            }),
            Goal::Mse { target, weight }
            | Goal::Mae { target, weight }
            | Goal::Moments { target, weight }
            | Goal::NormalEquations { target, weight } => Some(Targets { target, weight }),
        }
    }
}

/// Sums over all rows that a linear regression of the target on the value needs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// Σ w p.
    pub p: f64,
    /// Σ w p².
    pub pp: f64,
    /// Σ w p y.
    pub py: f64,
}

/// One compiled tree.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where its code begins and ends in the arena.
    code: (usize, usize),
    /// Where its constants begin, in bytes of the constant buffer.
    constants: usize,
    n_constants: usize,
    n_accumulators: usize,
    footprint: Footprint,
}

/// A population of expressions as machine code, ready to run over a [`Panel`].
///
/// Compiling replaces what the batch held and reuses its memory. Running needs only a shared
/// reference, so threads can run different trees of one batch.
///
/// ```
/// use opcodon_jit::{Batch, Goal, Panel, Tier};
/// let tree = opcodon_expr::parse("x*x + 1", None)?.expr;
/// let panel = Panel::<f64>::from_columns(&[&[0.0, 1.0, 2.0], &[1.0, 2.0, 8.0]])?;
/// let mut batch = Batch::<f64>::new(Tier::best()?)?;
/// batch.compile([&tree], 1, Goal::Mse { target: 1, weight: None })?;
/// assert_eq!(batch.loss(0, &panel)?, 3.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Batch<T> {
    tier: Tier,
    goal: Goal,
    /// Whether what the kernels sum up is known never to be negative.
    only_grows: bool,
    /// Columns that a panel must have.
    n_columns: usize,
    /// The code; none before the first compilation, or after one that failed for memory.
    arena: Option<SealedArena>,
    entries: Vec<Entry>,
    constants: Vec<Line>,
    compiler: Compiler<T>,
}

/// What compiling needs and keeps from one tree to the next.
#[derive(Debug)]
struct Compiler<T> {
    asm: Assembler,
    work: Workspace,
    tape: Tape,
    adjoints: Adjoints,
    direct: Option<Box<Direct>>,
    shells: Shells,
    /// Constants and literals of all trees, one element each.
    constants: Vec<T>,
}

/// A tile's columns are reached by displacements of 31 bits.
const MAX_COLUMNS: usize = i32::MAX as usize / stride::<f64>();

/// Rows that normal equations are formed of at a time: their derivatives stay in a cache.
const BLOCK_ROWS: usize = 256;

/// Bytes of code for which an empty batch makes room.
const FIRST_CAPACITY: usize = 1 << 16;

impl<T: Float> Batch<T> {
    /// An empty batch.
    ///
    /// # Errors
    /// If the processor lacks the tier.
    pub fn new(tier: Tier) -> Result<Batch<T>, JitError> {
        Ok(Batch {
            tier: tier.require()?,
            goal: Goal::Predict,
            only_grows: false,
            n_columns: 0,
            arena: None,
            entries: Vec::new(),
            constants: Vec::new(),
            compiler: Compiler {
                asm: Assembler::with_capacity(FIRST_CAPACITY),
                work: Workspace::default(),
                tape: Tape::default(),
                adjoints: Adjoints::default(),
                direct: T::with_machine(tier, Tables(PhantomData))?,
                shells: Shells::default(),
                constants: Vec::new(),
            },
        })
    }

    /// Says how many rows the kernels that are compiled next will mostly run over, which decides how
    /// much compiling pays; values do not depend on it. Without this, many are expected.
    pub fn expect_rows(&mut self, n_rows: usize) {
        if let Some(direct) = &mut self.compiler.direct {
            direct.n_rows = n_rows;
        }
    }

    /// Compiles trees that read inputs `0 .. n_inputs`, in place of what the batch held.
    ///
    /// # Errors
    /// If a tree reads an input beyond `n_inputs`, has more constants than normal equations are
    /// compiled for, or uses an operator without machine code on the tier; or if the system
    /// refuses memory. The batch is then empty.
    pub fn compile<'a>(
        &mut self,
        trees: impl IntoIterator<Item = &'a Expr>,
        n_inputs: usize,
        goal: Goal,
    ) -> Result<(), JitError> {
        let trees = trees.into_iter().map(Expr::nodes);
        self.compile_nodes(trees, n_inputs, goal, None)
    }

    /// Compiles trees for the mean of a loss that is a formula: its variable 0 is a tree's value,
    /// its variable 1 the column of the targets, others the columns behind that. [`Batch::losses`] gives
    /// the means.
    ///
    /// # Errors
    /// As [`Batch::compile`].
    pub fn compile_loss<'a>(
        &mut self,
        trees: impl IntoIterator<Item = &'a Expr>,
        n_inputs: usize,
        formula: &Expr,
        target: u32,
        weight: Option<u32>,
    ) -> Result<(), JitError> {
        let trees = trees.into_iter().map(Expr::nodes);
        let goal = Goal::Mean { weight };
        self.compile_nodes(trees, n_inputs, goal, Some((formula, target)))
    }

    /// Compiles trees in postfix order; with a formula, for the mean of that.
    pub(crate) fn compile_nodes<'a>(
        &mut self,
        trees: impl IntoIterator<Item = &'a [Node]>,
        n_inputs: usize,
        goal: Goal,
        formula: Option<(&Expr, u32)>,
    ) -> Result<(), JitError> {
        self.entries.clear();
        self.constants.clear();
        self.goal = goal;
        self.n_columns = n_columns(n_inputs, goal, formula);
        self.only_grows = match formula {
            Some((formula, _)) => formula::is_never_negative(formula),
            None => matches!(goal, Goal::Mse { .. } | Goal::Mae { .. }),
        };
        if self.n_columns > MAX_COLUMNS {
            return Err(JitError::TooManyColumns {
                found: self.n_columns,
                limit: MAX_COLUMNS,
            });
        }
        let compiled = T::with_machine(
            self.tier,
            Compile {
                compiler: &mut self.compiler,
                trees,
                n_inputs,
                n_columns: self.n_columns,
                goal,
                formula,
                entries: &mut self.entries,
            },
        );
        let compiled = compiled.and_then(|slots| self.publish(slots));
        if compiled.is_err() {
            self.entries.clear();
        }
        compiled
    }

    /// Lays constants out as the kernels read them and makes the code executable.
    fn publish(&mut self, slot_bytes: usize) -> Result<(), JitError> {
        let n_bytes = self.compiler.constants.len() * slot_bytes;
        self.constants.resize(n_bytes.div_ceil(64), Line::ZERO);
        let cells: &mut [T] = bytemuck::cast_slice_mut(&mut self.constants);
        let copies = slot_bytes / T::SIZE;
        for (slot, value) in cells.chunks_mut(copies).zip(&self.compiler.constants) {
            slot.fill(*value);
        }
        let code = self.compiler.asm.finish()?;
        // Routines stand before the code that calls them and stay there.
        let routines = (self.compiler.direct.as_ref()).map_or(&[][..], |direct| direct.routines());
        let needed = routines.len().next_multiple_of(ALIGNMENT) + code.len();
        let old = self.arena.take().map(SealedArena::reopen).transpose()?;
        let mut arena = match old.filter(|arena| arena.capacity() >= needed) {
            Some(arena) => arena,
            None => {
                let capacity = needed.next_power_of_two().max(FIRST_CAPACITY);
                let mut arena = Arena::with_capacity(capacity)?;
                arena.append(routines, ALIGNMENT)?;
                arena
            }
        };
        arena.truncate(routines.len());
        let start = arena.append(code, ALIGNMENT)?;
        for entry in &mut self.entries {
            entry.code = (entry.code.0 + start, entry.code.1 + start);
        }
        self.arena = Some(arena.seal()?);
        Ok(())
    }

    /// Number of trees.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the batch holds no tree.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tier whose instructions the code uses.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// What the kernels compute.
    pub fn goal(&self) -> Goal {
        self.goal
    }

    fn entry(&self, index: usize) -> Result<&Entry, JitError> {
        self.entries.get(index).ok_or(JitError::Index {
            index,
            len: self.entries.len(),
        })
    }

    /// `n` trees from `first` on.
    fn entries_from(&self, first: usize, n: usize) -> Result<&[Entry], JitError> {
        let end = first.saturating_add(n);
        self.entries.get(first..end).ok_or(JitError::Index {
            index: end.saturating_sub(1),
            len: self.entries.len(),
        })
    }

    /// The machine code of one tree's kernel.
    ///
    /// # Errors
    /// If there is no such tree.
    pub fn code(&self, index: usize) -> Result<&[u8], JitError> {
        let entry = self.entry(index)?;
        Ok(self
            .arena
            .as_ref()
            .map_or(&[], |arena| &arena.bytes()[entry.code.0..entry.code.1]))
    }

    /// Replaces the constants of one tree, in the order of [`Expr::constants`].
    ///
    /// # Errors
    /// If there is no such tree, or it has another number of constants.
    pub fn set_constants(&mut self, index: usize, values: &[f64]) -> Result<(), JitError> {
        let entry = *self.entry(index)?;
        if values.len() != entry.n_constants {
            return Err(JitError::Count {
                what: "constants",
                found: values.len(),
                expected: entry.n_constants,
            });
        }
        let copies = T::with_machine(self.tier, SlotBytes(PhantomData)) / T::SIZE;
        let cells: &mut [T] = bytemuck::cast_slice_mut(&mut self.constants);
        let cells = &mut cells[entry.constants / T::SIZE..];
        for (slot, value) in cells.chunks_mut(copies).zip(values) {
            slot.fill(T::from_f64(*value));
        }
        Ok(())
    }

    /// The value of one tree at every row, into `out`.
    ///
    /// # Errors
    /// If the batch was not compiled for [`Goal::Predict`], there is no such tree, the panel has
    /// too few columns, or `out` another number of rows than the panel.
    pub fn predict(&self, index: usize, panel: &Panel<T>, out: &mut [T]) -> Result<(), JitError> {
        self.expect(Goal::Predict, panel)?;
        if out.len() != panel.n_rows() {
            return Err(JitError::RowCount {
                what: "the output".to_owned(),
                found: out.len(),
                expected: panel.n_rows(),
            });
        }
        let entry = self.entry(index)?;
        for (tile, values) in out.chunks_mut(TILE_ROWS).enumerate() {
            let rows = 0..values.len();
            self.run(entry, panel, tile, rows, bytemuck::cast_slice_mut(values))?;
        }
        Ok(())
    }

    /// The values of the trees from `first` on at every row, tree after tree; as many trees as
    /// there is room for in `out`.
    ///
    /// # Errors
    /// As [`Batch::predict`]; or if `out` is no multiple of the number of rows.
    pub fn predictions(
        &self,
        first: usize,
        panel: &Panel<T>,
        out: &mut [T],
    ) -> Result<(), JitError> {
        let n_trees = n_parts(out.len(), panel.n_rows())?;
        self.entries_from(first, n_trees)?;
        for tile in 0..panel.n_tiles() {
            self.predict_tile(first, panel, tile, of_tile(out, panel.n_rows(), tile))?;
        }
        Ok(())
    }

    /// The values of the trees from `first` on at the rows of one tile, a slice a tree.
    pub(crate) fn predict_tile<'o>(
        &self,
        first: usize,
        panel: &Panel<T>,
        tile: usize,
        out: impl Iterator<Item = &'o mut [T]>,
    ) -> Result<(), JitError> {
        self.expect(Goal::Predict, panel)?;
        let rows = 0..panel.tile_rows(tile);
        for (entry, values) in self.entries[first..].iter().zip(out) {
            let values = bytemuck::cast_slice_mut(values);
            self.run(entry, panel, tile, rows.clone(), values)?;
        }
        Ok(())
    }

    /// The values of one tree at some rows of a tile, as another column of the same tile.
    pub(crate) fn define(
        &self,
        index: usize,
        rows: &mut TileRows<'_, T>,
        column: usize,
    ) -> Result<(), JitError> {
        let entry = self.entry(index)?;
        let (code, constants) = self.code_of(entry)?;
        seal::define(code, entry.footprint, rows, constants, column);
        Ok(())
    }

    /// The loss of one tree over all rows: the weighted mean of squared or absolute errors, or of what
    /// a formula says.
    ///
    /// # Errors
    /// If the batch was compiled for none of these, there is no such tree, or the panel has too few
    /// columns.
    pub fn loss(&self, index: usize, panel: &Panel<T>) -> Result<f64, JitError> {
        let mut loss = [0.0];
        self.losses(index, panel, &mut loss)?;
        Ok(loss[0])
    }

    /// The losses of the trees from `first` on, as many as `out` is long.
    ///
    /// # Errors
    /// As [`Batch::loss`].
    pub fn losses(&self, first: usize, panel: &Panel<T>, out: &mut [f64]) -> Result<(), JitError> {
        self.losses_within(first, panel, None, out)
    }

    /// The same, with a bound for each tree beyond which its loss is of no interest: once what was
    /// added up exceeds it, the tree runs over no further rows. Its loss is then a number above the
    /// bound and not above the loss; losses within their bounds are exact. A formula that may be
    /// negative has no bound, as its sum may come back.
    ///
    /// # Errors
    /// As [`Batch::loss`]; or if there are not as many bounds as losses.
    pub fn losses_within(
        &self,
        first: usize,
        panel: &Panel<T>,
        bounds: Option<&[f64]>,
        out: &mut [f64],
    ) -> Result<(), JitError> {
        self.entries_from(first, out.len())?;
        let limits = self.limits(panel, bounds, out.len())?;
        let mut parts = vec![0.0; out.len()];
        out.fill(0.0);
        // All trees on one tile, then the next: rows are read from memory once, code is short.
        for tile in 0..panel.n_tiles() {
            self.tile_losses(first, panel, tile, limits, out, &mut parts)?;
            limits.fold(out, &parts);
        }
        limits.finish(out);
        Ok(())
    }

    /// What sums of losses over a panel are divided by and how far they may go.
    ///
    /// # Errors
    /// If the batch was compiled for no loss, the panel has no weights, or there are not as many bounds
    /// as trees.
    pub(crate) fn limits<'b>(
        &self,
        panel: &Panel<T>,
        bounds: Option<&'b [f64]>,
        n_trees: usize,
    ) -> Result<Limits<'b>, JitError> {
        let (Goal::Mse { weight, .. } | Goal::Mae { weight, .. } | Goal::Mean { weight }) =
            self.goal
        else {
            return Err(JitError::Goal {
                compiled: self.goal.name(),
                asked: "a loss",
            });
        };
        if let Some(weight) = weight.filter(|&weight| weight as usize >= panel.n_columns()) {
            return Err(JitError::ColumnCount {
                expected: weight as usize + 1,
                found: panel.n_columns(),
            });
        }
        let n_bounds = bounds.map_or(n_trees, <[f64]>::len);
        if n_bounds != n_trees {
            return Err(JitError::Count {
                what: "bounds",
                found: n_bounds,
                expected: n_trees,
            });
        }
        Ok(Limits {
            total: total_weight(panel, weight),
            bounds: bounds.filter(|_| self.only_grows),
        })
    }

    /// What one tile contributes to the sums of the trees from `first` on, as many as `parts` is long;
    /// where the sums are beyond their limits already, 0.
    pub(crate) fn tile_losses(
        &self,
        first: usize,
        panel: &Panel<T>,
        tile: usize,
        limits: Limits<'_>,
        sums: &[f64],
        parts: &mut [f64],
    ) -> Result<(), JitError> {
        self.expect(self.goal, panel)?;
        for (k, (entry, part)) in self.entries[first..].iter().zip(parts).enumerate() {
            *part = 0.0;
            if !limits.is_beyond(k, sums[k]) {
                self.add_sums(entry, panel, tile, std::slice::from_mut(part))?;
            }
        }
        Ok(())
    }

    /// The moments of one tree's values and the target.
    ///
    /// # Errors
    /// If the batch was not compiled for [`Goal::Moments`], there is no such tree, or the panel
    /// has too few columns.
    pub fn moments(&self, index: usize, panel: &Panel<T>) -> Result<Moments, JitError> {
        if !matches!(self.goal, Goal::Moments { .. }) {
            return Err(JitError::Goal {
                compiled: self.goal.name(),
                asked: "moments",
            });
        }
        self.expect(self.goal, panel)?;
        let mut sums = [0.0; 3];
        self.sums(index, panel, &mut sums)?;
        Ok(Moments {
            p: sums[0],
            pp: sums[1],
            py: sums[2],
        })
    }

    /// The normal equations of one tree's residuals in its constants.
    ///
    /// # Errors
    /// If the batch was not compiled for [`Goal::NormalEquations`], there is no such tree, or
    /// the panel has too few columns.
    pub fn normal_equations(
        &self,
        index: usize,
        panel: &Panel<T>,
    ) -> Result<NormalEquations, JitError> {
        let mut equations = NormalEquations::default();
        self.normal_equations_into(index, panel, &mut Scratch::default(), &mut equations)?;
        Ok(equations)
    }

    /// The same into equations that were there before, so that a fit of many steps allocates
    /// nothing.
    ///
    /// # Errors
    /// As [`Batch::normal_equations`]; the equations are then as before.
    pub fn normal_equations_into(
        &self,
        index: usize,
        panel: &Panel<T>,
        scratch: &mut Scratch,
        equations: &mut NormalEquations,
    ) -> Result<(), JitError> {
        if !matches!(self.goal, Goal::NormalEquations { .. }) {
            return Err(JitError::Goal {
                compiled: self.goal.name(),
                asked: "normal equations",
            });
        }
        self.expect(self.goal, panel)?;
        let entry = self.entry(index)?;
        let Scratch { rows, sums } = scratch;
        sums.clear();
        sums.resize(entry.n_accumulators, 0.0);
        let n_rows = panel.n_rows().min(BLOCK_ROWS);
        let n_bytes = entry.footprint.fixed_bytes + n_rows * entry.footprint.row_bytes;
        rows.resize(rows.len().max(n_bytes.div_ceil(64)), Line::ZERO);
        let lanes = T::with_machine(self.tier, Lanes(PhantomData));
        let n_cells = entry.n_accumulators * lanes;
        for tile in 0..panel.n_tiles() {
            let cells: &mut [T] = bytemuck::cast_slice_mut(rows);
            cells[..n_cells].fill(T::from_f64(0.0));
            let tile_rows = panel.tile_rows(tile);
            for start in (0..tile_rows).step_by(BLOCK_ROWS) {
                let rows = start..tile_rows.min(start + BLOCK_ROWS);
                self.run(entry, panel, tile, rows, bytemuck::cast_slice_mut(cells))?;
            }
            add_lanes(sums, &cells[..n_cells], lanes);
        }
        equations.read_triangle(entry.n_constants, sums);
        Ok(())
    }

    /// Checks that the batch computes what is asked and that the panel has the columns.
    fn expect(&self, asked: Goal, panel: &Panel<T>) -> Result<(), JitError> {
        if asked != self.goal {
            return Err(JitError::Goal {
                compiled: self.goal.name(),
                asked: asked.name(),
            });
        }
        if panel.n_columns() < self.n_columns {
            return Err(JitError::ColumnCount {
                expected: self.n_columns,
                found: panel.n_columns(),
            });
        }
        Ok(())
    }

    /// The accumulators of one tree over all tiles, their lanes added up.
    fn sums(&self, index: usize, panel: &Panel<T>, sums: &mut [f64]) -> Result<(), JitError> {
        let entry = self.entry(index)?;
        (0..panel.n_tiles()).try_for_each(|tile| self.add_sums(entry, panel, tile, sums))
    }

    /// Adds the accumulators of one tree over one tile, their lanes added up.
    fn add_sums(
        &self,
        entry: &Entry,
        panel: &Panel<T>,
        tile: usize,
        sums: &mut [f64],
    ) -> Result<(), JitError> {
        let mut vectors = [Line::ZERO; 3];
        let lanes = T::with_machine(self.tier, Lanes(PhantomData));
        let cells: &mut [T] = bytemuck::cast_slice_mut(&mut vectors);
        let rows = 0..panel.tile_rows(tile);
        self.run(entry, panel, tile, rows, bytemuck::cast_slice_mut(cells))?;
        add_lanes(sums, &cells[..entry.n_accumulators * lanes], lanes);
        Ok(())
    }

    fn run(
        &self,
        entry: &Entry,
        panel: &Panel<T>,
        tile: usize,
        rows: Range<usize>,
        out: &mut [u8],
    ) -> Result<(), JitError> {
        let (code, constants) = self.code_of(entry)?;
        seal::run(code, entry.footprint, panel, tile, rows, constants, out);
        Ok(())
    }

    /// The code of a tree, and the bytes of constants from its own on.
    fn code_of(&self, entry: &Entry) -> Result<(opcodon_codemem::Entry<'_>, &[u8]), JitError> {
        let arena = self
            .arena
            .as_ref()
            .ok_or(JitError::Index { index: 0, len: 0 })?;
        let constants = &bytemuck::cast_slice(&self.constants)[entry.constants..];
        Ok((arena.entry(entry.code.0)?, constants))
    }
}

/// What sums of losses are divided by, and the bounds beyond which the mean is of no interest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits<'b> {
    total: f64,
    bounds: Option<&'b [f64]>,
}

impl<'b> Limits<'b> {
    /// Those of some trees.
    pub(crate) fn of(self, trees: Range<usize>) -> Limits<'b> {
        Limits {
            bounds: self.bounds.map(|bounds| &bounds[trees]),
            ..self
        }
    }

    fn is_beyond(self, tree: usize, sum: f64) -> bool {
        (self.bounds).is_some_and(|bounds| sum / self.total > bounds[tree])
    }

    /// Adds what one more tile contributes. Sums that are beyond their limits stay: what would have been
    /// added need not be known.
    pub(crate) fn fold(self, sums: &mut [f64], parts: &[f64]) {
        for (k, (sum, part)) in sums.iter_mut().zip(parts).enumerate() {
            if !self.is_beyond(k, *sum) {
                *sum += part;
            }
        }
    }

    /// Sums to means.
    pub(crate) fn finish(self, sums: &mut [f64]) {
        for sum in sums {
            *sum /= self.total;
        }
    }
}

/// How many times `n_rows` cells there are in an output.
pub(crate) fn n_parts(n_cells: usize, n_rows: usize) -> Result<usize, JitError> {
    if n_rows == 0 || !n_cells.is_multiple_of(n_rows) {
        return Err(JitError::RowCount {
            what: "the output".to_owned(),
            found: n_cells,
            expected: n_rows,
        });
    }
    Ok(n_cells / n_rows)
}

/// Of each tree's values, those at the rows of one tile.
pub(crate) fn of_tile<T>(
    out: &mut [T],
    n_rows: usize,
    tile: usize,
) -> impl Iterator<Item = &mut [T]> {
    let start = tile * TILE_ROWS;
    out.chunks_mut(n_rows)
        .map(move |values| &mut values[start..n_rows.min(start + TILE_ROWS)])
}

/// Columns that a panel must have for trees of so many inputs.
pub(crate) fn n_columns(n_inputs: usize, goal: Goal, formula: Option<(&Expr, u32)>) -> usize {
    let targets = goal.targets().into_iter();
    let beside = targets.flat_map(|targets| [Some(targets.target), targets.weight]);
    let n_columns = formula.map_or(0, |(formula, target)| formula::n_columns(formula, target));
    let columns = beside.flatten().map(|column| column as usize + 1);
    columns.fold(n_inputs.max(n_columns), usize::max)
}

/// Adds up the lanes of vectors, one vector for each sum.
fn add_lanes<T: Float>(sums: &mut [f64], cells: &[T], lanes: usize) {
    for (sum, vector) in sums.iter_mut().zip(cells.chunks(lanes)) {
        *sum += vector.iter().map(|lane| lane.to_f64()).sum::<f64>();
    }
}

/// Σ w, or the number of rows.
fn total_weight<T: Float>(panel: &Panel<T>, weight: Option<u32>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "rows are counted below 2^53")]
    let n_rows = panel.n_rows() as f64;
    weight.map_or(n_rows, |weight| {
        (0..panel.n_tiles())
            .flat_map(|tile| panel.column(tile, weight as usize))
            .map(|w| w.to_f64())
            .sum()
    })
}

/// Compiles all trees for one machine; yields the bytes of a constant's slot.
struct Compile<'c, T, I> {
    compiler: &'c mut Compiler<T>,
    trees: I,
    n_inputs: usize,
    n_columns: usize,
    goal: Goal,
    /// What is computed of a tree's value and a column before it is folded.
    formula: Option<(&'c Expr, u32)>,
    entries: &'c mut Vec<Entry>,
}

impl<'a, T: Float, I: IntoIterator<Item = &'a [Node]>> Visitor<T> for Compile<'_, T, I> {
    type Output = Result<usize, JitError>;

    fn visit<M: Machine<T = T>>(self) -> Self::Output {
        let Compiler {
            asm,
            work,
            tape,
            adjoints,
            direct,
            shells,
            constants,
        } = self.compiler;
        asm.clear();
        shells.clear();
        constants.clear();
        let fold = self.goal.fold();
        let targets = self.goal.targets().unwrap_or(Targets {
            target: 0,
            weight: None,
        });
        // Postfix order is kept as long as its values fit the fewest registers there may be.
        let order = Order::UpTo(M::KEPT.count_ones() as usize - 3);
        for (index, tree) in self.trees.into_iter().enumerate() {
            asm.align(16);
            let (begin, first) = (asm.position(), constants.len());
            let survey = match direct {
                Some(direct) if self.formula.is_none() => {
                    kernel::emit_direct::<M>(asm, direct, shells, tree, fold, targets, constants)?
                }
                _ => None,
            };
            let (n_read, n_constants) = match survey {
                Some(survey) => (survey.n_columns, survey.n_constants),
                None => {
                    tape.load(tree, order);
                    (tape.n_columns, tape.constants.len())
                }
            };
            if n_read > self.n_inputs {
                let (input, n_inputs) = (n_read - 1, self.n_inputs);
                return Err(JitError::MissingInput {
                    index,
                    input,
                    n_inputs,
                });
            }
            let mut n_outputs = 1;
            if survey.is_none() {
                if fold == Fold::Outer {
                    if n_constants > MAX_CONSTANTS {
                        let (found, limit) = (n_constants, MAX_CONSTANTS);
                        return Err(JitError::TooManyConstants { found, limit });
                    }
                    gradient::extend(tape, adjoints, targets.target);
                    n_outputs = tape.outputs.len();
                }
                if let Some((formula, target)) = self.formula {
                    formula::follow(tape, formula, target);
                }
                if direct
                    .as_ref()
                    .is_some_and(|direct| direct.shares_divisions())
                {
                    lower::share_divisions::<M>(tape);
                }
                constants.extend(tape.constants.iter().map(|&value| T::from_f64(value)));
                let own = tape.constants.len();
                let leaves = ColumnLeaves {
                    constants: &mut *constants,
                    first,
                    own,
                };
                kernel::emit::<M>(asm, work, shells, tape, fold, targets, leaves)?;
            }
            let n_accumulators = kernel::n_accumulators(fold, n_outputs);
            // Vectors that are written for each vector of rows, the last of which may be partial.
            let n_written = match fold {
                Fold::Store => 1,
                Fold::Outer => kernel::layout(targets, n_outputs).n_vectors(),
                Fold::Squares | Fold::Absolute | Fold::Sum | Fold::Moments => 0,
            };
            let n_partial = if fold == Fold::Outer { n_written } else { 0 };
            self.entries.push(Entry {
                code: (begin, asm.position()),
                constants: first * M::SLOT,
                n_constants,
                n_accumulators,
                footprint: Footprint {
                    n_columns: match self.goal {
                        Goal::Predict => n_read,
                        _ => self.n_columns,
                    },
                    constant_bytes: (constants.len() - first) * M::SLOT,
                    fixed_bytes: (n_accumulators + n_partial) * M::BYTES,
                    row_bytes: n_written * T::SIZE,
                },
            });
        }
        Ok(M::SLOT)
    }
}

/// The tables of the direct compiler.
struct Tables<T>(PhantomData<T>);

impl<T: Float> Visitor<T> for Tables<T> {
    type Output = Result<Option<Box<Direct>>, JitError>;

    fn visit<M: Machine<T = T>>(self) -> Self::Output {
        Direct::new::<M>()
    }
}

/// Bytes of a constant's slot on a tier.
struct SlotBytes<T>(PhantomData<T>);

impl<T: Float> Visitor<T> for SlotBytes<T> {
    type Output = usize;

    fn visit<M: Machine<T = T>>(self) -> usize {
        M::SLOT
    }
}

/// Elements of a vector on a tier.
struct Lanes<T>(PhantomData<T>);

impl<T: Float> Visitor<T> for Lanes<T> {
    type Output = usize;

    fn visit<M: Machine<T = T>>(self) -> usize {
        M::LANES
    }
}
