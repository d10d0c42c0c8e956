//! Many trees over one table, with what they share computed once.
//!
//! In random trees, and more so in those of a search, the same few functions of the same few
//! columns come again and again: of a thousand trees over five columns, hundreds contain `sin(x0)`
//! or `x0/x1`. Such a function becomes a column of its own, computed once for each tile of rows, and the
//! trees read it as they read any column. A function of a constant does not depend on the row at all: it
//! becomes a constant. Together that is about half of all calls in trees that are grown at random, and a
//! fifth of all divisions.
//!
//! ```text
//! trees ─ count ─▶ functions of columns, quotients of two, functions of constants
//!       ─ rewrite ─▶ trees that read them ─▶ Batch
//! tile  ─ copy, functions ─▶ wider tile ─▶ the kernels of all trees
//! ```
//! The functions are computed by kernels of the same routines, so values are those of a [`Batch`]
//! to the bit. What needs neither a routine nor the divider costs less than sharing it would. Nor does
//! looking for it come free: whether there is enough to find is asked of a few trees, and below some
//! rows nothing is shared.
//!
//! # Invariant
//! Rewriting replaces a function of a leaf by a leaf, so a tree stays a tree. Columns beyond those of
//! the panel exist in the wider tile only, which is made here and nowhere else.

use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};

use opcodon_expr::{Expr, Node, Op};

use crate::batch::{self, Batch, Goal, RunTile};
use crate::direct::{LEAF, column, kind};
use crate::panel::{Panel, TILE_ROWS};
use crate::tape::index;
use crate::{Float, JitError, Tier};

/// Trees that are asked whether there is something to share; of fewer, nothing is shared.
const N_ASKED: usize = 16;

/// Bytes of a column below which sharing costs more than it saves: finding and rewriting cost as much
/// as running a tree over some hundred rows.
const MIN_BYTES: usize = 2048;

/// Most columns that are added: more would not stay in a cache near the core.
const MAX_SHARED: usize = 96;

/// Most columns that trees can read and still go the short way through the compiler.
const MAX_COLUMNS: usize = 240;

/// The functions of one argument that are worth sharing.
const FUNCTIONS: &[Op] = &[
    Op::Inv,
    Op::Sqrt,
    Op::Psqrt,
    Op::Cbrt,
    Op::Exp,
    Op::Expm1,
    Op::Log,
    Op::Log2,
    Op::Log10,
    Op::Log1p,
    Op::Plog,
    Op::Sin,
    Op::Cos,
    Op::Tan,
    Op::Asin,
    Op::Acos,
    Op::Atan,
    Op::Sinh,
    Op::Cosh,
    Op::Tanh,
    Op::Sigmoid,
    Op::Erf,
];

/// The first of the functions that divide by a column: this one by column 0, and so on. Their kernel
/// is the one after those of the functions.
const QUOTIENTS: usize = FUNCTIONS.len();

/// Of more columns, the same two are hardly ever divided again.
const MAX_DIVISORS: usize = 32;

/// By [`kind`], which of the functions it is, the first quotient for all quotients; `NO_FUNCTION` for
/// all others.
const FUNCTION_OF: [u8; 256] = {
    let mut table = [NO_FUNCTION; 256];
    table[Op::Div as usize] = FIRST_QUOTIENT;
    let mut k = 0;
    while k < FIRST_QUOTIENT {
        table[FUNCTIONS[k as usize] as usize] = k;
        k += 1;
    }
    table
};

const NO_FUNCTION: u8 = u8::MAX;

#[expect(clippy::cast_possible_truncation, reason = "functions are few")]
const FIRST_QUOTIENT: u8 = QUOTIENTS as u8;

/// A function of a column that stays in its trees.
const NOT_SHARED: u32 = u32::MAX;

/// Trees as machine code that run over the same rows together.
///
/// ```
/// use opcodon_expr::parse;
/// use opcodon_jit::{Generation, Goal, Panel, Tier};
/// let trees: Vec<_> = (0..20)
///     .map(|k| parse(&format!("sin(x) + {k}*exp(2)"), None).map(|parsed| parsed.expr))
///     .collect::<Result<_, _>>()?;
/// let panel = Panel::<f64>::from_columns(&[&[0.0, 1.0, 2.0]])?;
/// let mut generation = Generation::new(Tier::best()?)?;
/// generation.compile(&trees, 1, Goal::Predict)?;
/// let mut values = [0.0; 60];
/// generation.predictions(&panel, &mut values)?;
/// assert_eq!(values[3], 2f64.exp());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Generation<T> {
    batch: Batch<T>,
    /// A kernel for each of the functions, of column 0, and one that divides it by column 1; made when
    /// something is shared first.
    functions: Option<Batch<T>>,
    /// Rows that are expected; many if nobody says.
    n_rows: usize,
    /// Columns of a panel: those beyond are shared.
    n_columns: usize,
    /// Of each shared column the function, and the column that it is applied to.
    shared: Vec<(usize, u32)>,
    finds: Finds,
    /// The wider tile of the last run.
    tile: Mutex<Option<Panel<T>>>,
}

/// What is found in trees, and the trees that are made of it. Kept for its memory.
#[derive(Debug, Default)]
struct Finds {
    /// By function and column, how often they occur, then the column that they became.
    columns: Vec<u32>,
    /// By function, the constants that it is applied to, in the order of the trees, then the values.
    constants: Vec<Vec<f64>>,
    /// Where in its tree each function of a leaf stands, tree after tree, and where each tree's end.
    places: Vec<u32>,
    place_ends: Vec<usize>,
    nodes: Vec<Node>,
    /// Where each tree ends in `nodes`.
    ends: Vec<usize>,
}

impl<T: Float> Generation<T> {
    /// An empty generation.
    ///
    /// # Errors
    /// If the processor lacks the tier.
    pub fn new(tier: Tier) -> Result<Self, JitError> {
        Ok(Self {
            batch: Batch::new(tier)?,
            functions: None,
            n_rows: usize::MAX,
            n_columns: 0,
            shared: Vec::new(),
            finds: Finds::default(),
            tile: Mutex::new(None),
        })
    }

    /// The batch itself, for trees of which nothing is to be shared.
    pub fn batch(&mut self) -> &mut Batch<T> {
        self.shared.clear();
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
        self.shared.clear();
        self.n_columns = batch::n_columns(n_inputs, goal, formula);
        // The constants of normal equations are there to be fitted.
        let may_share = !matches!(goal, Goal::NormalEquations { .. });
        let n_bytes = self.n_rows.saturating_mul(T::SIZE);
        if !may_share
            || !is_worth_a_look(trees.clone(), n_inputs, n_bytes)
            || !self.finds.count(trees.clone(), n_inputs)
        {
            return self.batch.compile_nodes(trees, n_inputs, goal, formula);
        }
        self.shared = self.finds.choose(n_inputs, self.n_columns);
        self.fold_constants()?;
        self.finds.rewrite(trees, n_inputs);
        let Finds { nodes, ends, .. } = &self.finds;
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let trees = starts.zip(ends).map(|(start, &end)| &nodes[start..end]);
        let n_inputs = match self.shared.len() {
            0 => n_inputs,
            n_shared => self.n_columns + n_shared,
        };
        self.batch.compile_nodes(trees, n_inputs, goal, formula)
    }

    /// Replaces the constants that functions are applied to by the functions' values.
    fn fold_constants(&mut self) -> Result<(), JitError> {
        let tier = self.batch.tier();
        let functions = match &mut self.functions {
            Some(functions) => functions,
            none => none.insert(functions(tier)?),
        };
        for (function, constants) in self.finds.constants.iter_mut().enumerate() {
            if constants.is_empty() {
                continue;
            }
            let column: Vec<T> = constants.iter().map(|&value| T::from_f64(value)).collect();
            let mut values = column.clone();
            // No quotient of constants is among these, so the second column is not read.
            let panel = Panel::from_columns(&[&column, &column])?;
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
        if self.shared.is_empty() {
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
        if self.shared.is_empty() {
            return self.batch.losses_within(0, panel, bounds, out);
        }
        self.batch
            .losses_over(0, panel, bounds, out, |run| self.widened(panel, run))
    }

    /// Has each tile of a panel run, widened by the columns that are shared.
    fn widened(&self, panel: &Panel<T>, run: RunTile<'_, T>) -> Result<(), JitError> {
        let (Some(functions), true) = (&self.functions, panel.n_columns() >= self.n_columns) else {
            return Err(JitError::ColumnCount {
                expected: self.n_columns,
                found: panel.n_columns(),
            });
        };
        let n_columns = self.n_columns + self.shared.len();
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
            let (values, mut operands) = (&mut values[..n_rows], Panel::zeroed(2, n_rows));
            let mut loaded = None;
            for (&(function, column), place) in self.shared.iter().zip(self.n_columns..) {
                if loaded != Some(column) {
                    operands.set_column(0, panel.column(tile, column as usize))?;
                    loaded = Some(column);
                }
                if let Some(divisor) = function.checked_sub(QUOTIENTS) {
                    operands.set_column(1, panel.column(tile, divisor))?;
                }
                functions.predict(function.min(QUOTIENTS), &operands, values)?;
                wide.column_mut(0, place)[..n_rows].copy_from_slice(values);
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

/// Kernels of all functions and of a quotient.
fn functions<T: Float>(tier: Tier) -> Result<Batch<T>, JitError> {
    let functions = FUNCTIONS.iter();
    let functions = functions.map(|&op| vec![Node::Var(0), Node::Op(op)]);
    let quotient = vec![Node::Var(0), Node::Var(1), Node::Op(Op::Div)];
    let trees: Vec<_> = functions.chain([quotient]).collect();
    let mut batch = Batch::new(tier)?;
    let trees = trees.iter().map(Vec::as_slice);
    batch.compile_nodes(trees, 2, Goal::Predict, None)?;
    Ok(batch)
}

impl Finds {
    /// Counts what is applied to columns and gathers what is applied to constants; `false` if a tree
    /// reads what does not exist, which the batch is to refuse.
    fn count<'a>(&mut self, trees: impl Iterator<Item = &'a [Node]>, n_inputs: usize) -> bool {
        self.columns.clear();
        self.columns
            .resize((QUOTIENTS + n_divisors(n_inputs)) * n_inputs, 0);
        self.constants.resize_with(FUNCTIONS.len(), Vec::new);
        self.constants.iter_mut().for_each(Vec::clear);
        self.places.clear();
        self.place_ends.clear();
        for tree in trees {
            let start = self.places.len();
            if survey(tree, n_inputs, &mut self.places) > n_inputs {
                return false;
            }
            for &place in &self.places[start..] {
                let Find { leaf, function, .. } = find(tree, place);
                match leaf {
                    Node::Var(column) => self.columns[function * n_inputs + column as usize] += 1,
                    Node::Const(value) => self.constants[function].push(value),
                    Node::Op(_) => {}
                }
            }
            self.place_ends.push(self.places.len());
        }
        true
    }

    /// Chooses the functions of columns that occur most often, and more than once; they become the
    /// columns from `first` on, in this order.
    fn choose(&mut self, n_inputs: usize, first: usize) -> Vec<(usize, u32)> {
        let counts = self.columns.iter().enumerate();
        let mut found: Vec<(u32, usize)> = counts
            .filter(|&(_, &count)| count > 1)
            .map(|(place, &count)| (count, place))
            .collect();
        found.sort_unstable_by_key(|&(count, place)| (Reverse(count), place));
        found.truncate(MAX_SHARED.min(MAX_COLUMNS.saturating_sub(first)));
        // Column by column, so that each is read once.
        found.sort_unstable_by_key(|&(_, place)| (place % n_inputs, place));
        self.columns.fill(NOT_SHARED);
        for (&(_, place), column) in found.iter().zip(first..) {
            self.columns[place] = index(column);
        }
        let places = found.iter().map(|&(_, place)| place);
        places
            .map(|place| (place / n_inputs, index(place % n_inputs)))
            .collect()
    }

    /// Writes the trees down with leaves in the place of what is shared or known.
    fn rewrite<'a>(&mut self, trees: impl Iterator<Item = &'a [Node]>, n_inputs: usize) {
        self.nodes.clear();
        self.ends.clear();
        let mut next = [0; FUNCTIONS.len()];
        let mut start = 0;
        for (tree, &end) in trees.zip(&self.place_ends) {
            let mut copied = 0;
            for &place in &self.places[start..end] {
                let Find {
                    first,
                    leaf,
                    function,
                } = find(tree, place);
                let leaf = match leaf {
                    Node::Const(_) => {
                        next[function] += 1;
                        Node::Const(self.constants[function][next[function] - 1])
                    }
                    Node::Var(column) => {
                        match self.columns[function * n_inputs + column as usize] {
                            NOT_SHARED => continue,
                            column => Node::Var(column),
                        }
                    }
                    Node::Op(_) => continue,
                };
                self.nodes.extend_from_slice(&tree[copied..first]);
                self.nodes.push(leaf);
                copied = place as usize + 1;
            }
            start = end;
            self.nodes.extend_from_slice(&tree[copied..]);
            self.ends.push(self.nodes.len());
        }
    }
}

/// Whether the first trees apply functions to leaves so often that it pays over columns of so many
/// bytes: in every other tree over the shortest, more rarely over longer ones.
fn is_worth_a_look<'a>(
    trees: impl Iterator<Item = &'a [Node]>,
    n_inputs: usize,
    n_bytes: usize,
) -> bool {
    if n_bytes < MIN_BYTES {
        return false;
    }
    let (mut n_trees, mut found) = (0, Vec::new());
    for tree in trees.take(N_ASKED) {
        n_trees += 1;
        survey(tree, n_inputs, &mut found);
    }
    n_trees == N_ASKED && found.len().saturating_mul(n_bytes) >= N_ASKED * MIN_BYTES / 2
}

/// How many columns are looked for as divisors.
fn n_divisors(n_inputs: usize) -> usize {
    if n_inputs > MAX_DIVISORS { 0 } else { n_inputs }
}

/// Appends the places in a tree where one of the functions is applied to a leaf; gives one more than
/// the highest input that is read. Which node comes next is not to be predicted, so there is no branch:
/// every place is written, and what is none is written over.
fn survey(tree: &[Node], n_inputs: usize, places: &mut Vec<u32>) -> usize {
    let n_divisors = n_divisors(n_inputs) as u64;
    let mut n = places.len();
    places.resize(n + tree.len(), 0);
    // Of the node before and the one before that, one more than the column that it is, or 0.
    let (mut last, mut first) = (0u64, 0u64);
    let (mut last_kind, mut n_columns) = (0, 0);
    for (node, place) in tree.iter().zip(0..) {
        let kind = kind(*node);
        let function = FUNCTION_OF[usize::from(kind)];
        let is_function = (function < FIRST_QUOTIENT) & (last_kind == LEAF);
        let is_quotient =
            (function == FIRST_QUOTIENT) & (last.wrapping_sub(1) < n_divisors) & (first != 0);
        places[n] = place;
        n += usize::from(is_function | is_quotient);
        (first, last, last_kind) = (last, column(*node), kind);
        n_columns = n_columns.max(last);
    }
    places.truncate(n);
    usize::try_from(n_columns).unwrap_or(usize::MAX)
}

/// A function that is applied to a leaf.
struct Find {
    /// Where in the tree its operands begin.
    first: usize,
    leaf: Node,
    function: usize,
}

/// What is at a place that a survey found.
fn find(tree: &[Node], place: u32) -> Find {
    let place = place as usize;
    let function = usize::from(FUNCTION_OF[usize::from(kind(tree[place]))]);
    match tree[place - 1] {
        Node::Var(divisor) if function == QUOTIENTS => Find {
            first: place - 2,
            leaf: tree[place - 2],
            function: QUOTIENTS + divisor as usize,
        },
        leaf => Find {
            first: place - 1,
            leaf,
            function,
        },
    }
}
