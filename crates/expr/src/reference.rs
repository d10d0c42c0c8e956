//! What an expression means: evaluation by the meaning column of the operator table.
//!
//! [`Expr::eval`] on one row is the reference for every other evaluator. [`Expr::eval_columns`] is
//! the same, a block of rows at a time, and fast enough to serve where there is no compiler for
//! the processor. Both give the same bits.

use crate::op::{Op, Real};
use crate::scratch::with_scratch;
use crate::tree::{Expr, Node, operands_of};

/// Rows evaluated together: a few blocks fit the first-level cache, and a block is long enough
/// to make the choice of the operator cheap.
const BLOCK_ROWS: usize = 256;

impl Expr {
    /// The value at one row: `row[i]` is the variable with index i. The reference.
    ///
    /// # Panics
    /// If the row has fewer than [`Expr::n_variables`] values.
    #[must_use]
    pub fn eval(&self, row: &[f64]) -> f64 {
        self.eval_row(row)
    }

    /// As [`Expr::eval`] in single precision, with constants rounded to it.
    ///
    /// # Panics
    /// If the row has fewer than [`Expr::n_variables`] values.
    #[must_use]
    pub fn eval_f32(&self, row: &[f32]) -> f32 {
        self.eval_row(row)
    }

    /// The values at all rows of a table: `columns[i]` is the variable with index i. Without
    /// columns there are no rows.
    ///
    /// # Panics
    /// If the columns differ in length, or are fewer than [`Expr::n_variables`].
    #[must_use]
    pub fn eval_columns(&self, columns: &[&[f64]]) -> Vec<f64> {
        let mut out = vec![0.0; columns.first().map_or(0, |column| column.len())];
        self.eval_columns_into(columns, &mut out);
        out
    }

    /// As [`Expr::eval_columns`], into memory of the caller, whose length is the number of rows.
    ///
    /// # Panics
    /// If a column is not as long as `out`, or there are fewer than [`Expr::n_variables`] columns.
    pub fn eval_columns_into(&self, columns: &[&[f64]], out: &mut [f64]) {
        self.eval_blocks(columns, out);
    }

    /// The values of every subtree at all rows: entry i is that of the subtree that ends at node i,
    /// the last that of [`Expr::eval_columns`].
    ///
    /// # Panics
    /// If the columns differ in length, or are fewer than [`Expr::n_variables`].
    #[must_use]
    pub fn eval_subtrees(&self, columns: &[&[f64]]) -> Vec<Vec<f64>> {
        let n_rows = columns.first().map_or(0, |column| column.len());
        let sizes = self.subtree_sizes();
        let mut values: Vec<Vec<f64>> = Vec::with_capacity(self.len());
        for (at, node) in self.nodes().iter().enumerate() {
            let own = match *node {
                Node::Const(value) => vec![value; n_rows],
                Node::Var(index) => columns[index as usize].to_vec(),
                Node::Op(op) => {
                    let [first, second, third] = operands_of(op, at, &sizes);
                    let beside = |operand: usize, k: usize| -> &[f64] {
                        if k < op.arity() {
                            &values[operand]
                        } else {
                            &[]
                        }
                    };
                    let mut own = values[first].clone();
                    f64::apply_block(op, &mut own, beside(second, 1), beside(third, 2));
                    own
                }
            };
            values.push(own);
        }
        values
    }

    /// As [`Expr::eval_columns_into`] in single precision, with constants rounded to it.
    ///
    /// # Panics
    /// If a column is not as long as `out`, or there are fewer than [`Expr::n_variables`] columns.
    pub fn eval_columns_f32_into(&self, columns: &[&[f32]], out: &mut [f32]) {
        self.eval_blocks(columns, out);
    }

    fn eval_row<T: Real>(&self, row: &[T]) -> T {
        with_scratch(self.len(), |stack: &mut [T]| {
            let mut height = 0;
            for node in self.nodes() {
                let operands = height - node.arity();
                stack[operands] = match *node {
                    Node::Const(value) => T::from_f64(value),
                    Node::Var(index) => row[index as usize],
                    Node::Op(op) => T::apply(op, &stack[operands..height]),
                };
                height = operands + 1;
            }
            stack[0]
        })
    }

    fn eval_blocks<T: Real>(&self, columns: &[&[T]], out: &mut [T]) {
        for (index, column) in columns.iter().enumerate() {
            assert_eq!(column.len(), out.len(), "rows of column {index}");
        }
        assert!(
            self.n_variables() <= columns.len(),
            "the expression has {} variables, but there are {} columns",
            self.n_variables(),
            columns.len()
        );
        let mut stack = BlockStack::new(self);
        for (block, out) in out.chunks_mut(BLOCK_ROWS).enumerate() {
            let first_row = block * BLOCK_ROWS;
            stack.eval(self, columns, first_row, out);
        }
    }
}

/// A block of values on the evaluation stack.
#[derive(Clone, Copy)]
enum Operand {
    /// In the stack's own block at this height.
    Own,
    /// Still in the column of the variable with this index: leaves are not copied until they must
    /// be.
    Column(u32),
}

struct BlockStack<T> {
    blocks: Vec<[T; BLOCK_ROWS]>,
    operands: Vec<Operand>,
}

impl<T: Real> BlockStack<T> {
    fn new(expr: &Expr) -> Self {
        let mut height = 0;
        let mut highest = 0;
        for node in expr.nodes() {
            height = height + 1 - node.arity();
            highest = highest.max(height);
        }
        BlockStack {
            blocks: vec![[T::default(); BLOCK_ROWS]; highest],
            operands: vec![Operand::Own; highest],
        }
    }

    /// The rows from `first_row` on, as many as fit `out`.
    fn eval(&mut self, expr: &Expr, columns: &[&[T]], first_row: usize, out: &mut [T]) {
        let rows = first_row..first_row + out.len();
        let mut height = 0;
        for node in expr.nodes() {
            match *node {
                Node::Const(value) => {
                    self.blocks[height][..out.len()].fill(T::from_f64(value));
                    self.operands[height] = Operand::Own;
                    height += 1;
                }
                Node::Var(index) => {
                    self.operands[height] = Operand::Column(index);
                    height += 1;
                }
                Node::Op(op) => {
                    height -= op.arity();
                    self.apply(op, height, columns, rows.clone());
                    height += 1;
                }
            }
        }
        match self.operands[0] {
            Operand::Own => out.copy_from_slice(&self.blocks[0][..out.len()]),
            Operand::Column(index) => out.copy_from_slice(&columns[index as usize][rows]),
        }
    }

    /// Applies `op` to the operands from `base` on and leaves the result in the block there.
    fn apply(&mut self, op: Op, base: usize, columns: &[&[T]], rows: std::ops::Range<usize>) {
        let (first, rest) = self.blocks[base..].split_at_mut(1);
        let first = &mut first[0][..rows.len()];
        if let Operand::Column(index) = self.operands[base] {
            first.copy_from_slice(&columns[index as usize][rows.clone()]);
            self.operands[base] = Operand::Own;
        }
        let operand = |k: usize| -> &[T] {
            if k >= op.arity() {
                return &[];
            }
            match self.operands[base + k] {
                Operand::Own => &rest[k - 1][..rows.len()],
                Operand::Column(index) => &columns[index as usize][rows.clone()],
            }
        };
        T::apply_block(op, first, operand(1), operand(2));
    }
}
