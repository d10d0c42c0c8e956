//! Every pair of small formulas, scored at once.
//!
//! The best `a + b·f·g` for a target y has a closed form in Σfg, Σ(fg)² and Σfgy. Over all f and g
//! of a dictionary these are three matrix products, so millions of two-factor formulas a second
//! are judged exactly, linear scaling included. For `a + b·f + c·g` the correlations of f, g and y
//! suffice: one matrix product.
//!
//! A law `y = h(f·g)` is a product in the transformed target `h⁻¹(y)` for each h that lets the
//! scale through: reciprocal, root, square, exponential.
//!
//! # Invariant
//! Nothing here is believed: what is returned are starts, to be fitted and judged on all rows.

use nalgebra::{DMatrix, DVector};
use opcodon_expr::{Expr, Node, Op};
use rayon::prelude::*;

use crate::clock::Clock;
use crate::dictionary::{Atom, Dictionary};
use crate::linear::{self, Linear};
use crate::operators::Operators;

/// Formulas kept for each size.
const KEPT: usize = 6;
/// Left factors handled in one go.
const BLOCK: usize = 48;
/// Sums that stay in the cache until they are looked at.
const CACHED: usize = 1 << 17;
/// Atoms that are tried as the second term of a sum.
const SUMMANDS: usize = 2000;

/// What is done to the target before, and to the formula after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Identity,
    /// y = 1/u
    Inverse,
    /// y = √u
    Root,
    /// y = u²
    Square,
    /// y = eᵘ
    Exponential,
    /// y = 1/√u
    InverseRoot,
}

impl Link {
    pub(crate) const ALL: [Self; 6] = [
        Self::Identity,
        Self::Inverse,
        Self::Root,
        Self::Square,
        Self::Exponential,
        Self::InverseRoot,
    ];

    /// The operators that lead from u to y.
    fn operators(self) -> &'static [Op] {
        match self {
            Self::Identity => &[],
            Self::Inverse => &[Op::Inv],
            Self::Root => &[Op::Sqrt],
            Self::Square => &[Op::Square],
            Self::Exponential => &[Op::Exp],
            Self::InverseRoot => &[Op::Sqrt, Op::Inv],
        }
    }

    /// u for y, where all y are above zero (or, for the reciprocal, none is zero).
    fn backwards(self, y: f64) -> f64 {
        match self {
            Self::Identity => y,
            Self::Inverse => 1.0 / y,
            Self::Root => y * y,
            Self::Square => y.sqrt(),
            Self::Exponential => y.ln(),
            Self::InverseRoot => 1.0 / (y * y),
        }
    }

    /// The transformed target, if the link applies to it.
    pub(crate) fn target(self, y: &[f64], operators: &Operators) -> Option<Vec<f64>> {
        if !self.operators().iter().all(|&op| operators.write(op)) {
            return None;
        }
        let one_sign = y.iter().all(|&v| v > 0.0) || y.iter().all(|&v| v < 0.0);
        if self != Self::Identity && !one_sign {
            return None;
        }
        let sign = if self == Self::Identity || y[0] > 0.0 {
            1.0
        } else {
            -1.0
        };
        let u: Vec<f64> = y.iter().map(|&v| self.backwards(sign * v)).collect();
        u.iter().all(|v| v.is_finite()).then_some(u)
    }

    /// `y = h(offset + scale·core)`, or the core alone where linear scaling finds the two numbers
    /// again, as it finds a sign of its own.
    pub(crate) fn formula(self, core: Expr, scale: f64, offset: f64) -> Option<Expr> {
        match self {
            Self::Identity => Some(core),
            _ => self.scaled(core, scale, offset),
        }
    }

    /// `y = h(offset + scale·core)`.
    pub(crate) fn scaled(self, core: Expr, scale: f64, offset: f64) -> Option<Expr> {
        let mut nodes = core.into_nodes();
        nodes.extend([
            Node::Const(scale),
            Node::Op(Op::Mul),
            Node::Const(offset),
            Node::Op(Op::Add),
        ]);
        nodes.extend(self.operators().iter().map(|&op| Node::Op(op)));
        Expr::from_postfix(nodes).ok()
    }
}

/// A core with its linear scaling to the target it was found for.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) core: Expr,
    pub(crate) scale: f64,
    pub(crate) offset: f64,
    /// Share of the target's variance that is left.
    pub(crate) error: f64,
}

/// The best few of each size.
#[derive(Debug, Default)]
struct Best {
    by_size: Vec<Vec<(f64, usize, usize)>>,
    thresholds: Vec<f64>,
}

impl Best {
    fn new(sizes: usize) -> Self {
        Self {
            by_size: vec![Vec::new(); sizes + 1],
            thresholds: vec![0.0; sizes + 1],
        }
    }

    /// Offers the pairs of many left factors, whose ascending sizes these are, and a right one.
    #[inline]
    fn offer_all(
        &mut self,
        left_sizes: &[usize],
        right_size: usize,
        r2: impl Fn(usize) -> f64,
        pair: impl Fn(usize) -> (usize, usize),
    ) {
        // Nearly all pairs are refused: first all at once, by the lowest of their thresholds.
        let (Some(least), Some(most)) = (left_sizes.first(), left_sizes.last()) else {
            return;
        };
        let most = (most + right_size + 1).min(self.thresholds.len());
        let thresholds = self.thresholds.get(least + right_size..most);
        let thresholds = thresholds.unwrap_or_default().iter();
        let lowest = thresholds.copied().fold(f64::INFINITY, f64::min);
        if !(0..left_sizes.len()).fold(false, |any, k| any | (r2(k) > lowest)) {
            return;
        }
        for (k, left_size) in left_sizes.iter().enumerate() {
            let (size, r2) = (left_size + right_size, r2(k));
            if size < self.thresholds.len() && r2 > self.thresholds[size] && r2 < 1.0 + 1e-6 {
                let (i, j) = pair(k);
                self.offer(size, r2, i, j);
            }
        }
    }

    #[cold]
    fn offer(&mut self, size: usize, r2: f64, left: usize, right: usize) {
        let list = &mut self.by_size[size];
        // The same function in another factorisation has the same R².
        if list
            .iter()
            .any(|&(other, ..)| (other - r2).abs() <= 1e-9 * (1.0 - r2).max(1e-9))
        {
            return;
        }
        let position = list.partition_point(|&(other, ..)| other > r2);
        list.insert(position, (r2, left, right));
        list.truncate(KEPT);
        if list.len() == KEPT {
            self.thresholds[size] = list[KEPT - 1].0;
        }
    }
}

fn matrix<'a>(columns: impl ExactSizeIterator<Item = &'a [f64]>, n_rows: usize) -> DMatrix<f64> {
    let n_columns = columns.len();
    DMatrix::from_iterator(n_rows, n_columns, columns.flat_map(|c| c.iter().copied()))
}

/// The best products of a simple atom and any atom, by size, for each of several targets: two of
/// the matrix products do not depend on the target.
pub(crate) fn products(
    dictionary: &Dictionary,
    columns: &[&[f64]],
    targets: &[Vec<f64>],
    max_size: usize,
    clock: &Clock,
) -> Vec<Vec<Found>> {
    let atoms = &dictionary.atoms;
    let n_rows = columns.first().map_or(0, |c| c.len());
    let right = matrix(atoms.iter().map(|a| &a.values[..]), n_rows);
    let right_squared = right.map(|v| v * v);
    let sizes: Vec<usize> = atoms.iter().map(|a| a.expr.len()).collect();
    // Unit sum of squares about the mean, so that py² / spread is R².
    let standards: Vec<Option<Vec<f64>>> = targets.iter().map(|t| standard(t)).collect();
    let blocks: Vec<&[usize]> = dictionary.simple.chunks(BLOCK).collect();
    #[expect(clippy::cast_precision_loss, reason = "row counts are small")]
    let n = n_rows as f64;
    let found_in = |block: &&[usize]| -> Vec<Best> {
        let mut best: Vec<Best> = targets.iter().map(|_| Best::new(max_size)).collect();
        let left = matrix(block.iter().map(|&i| &atoms[i].values[..]), n_rows).transpose();
        let left_squared = left.map(|v| v * v);
        // The left factors, and below them those times each target.
        let weights: Vec<&[f64]> = standards.iter().flatten().map(Vec::as_slice).collect();
        let stacked = DMatrix::from_fn(block.len() * (1 + weights.len()), n_rows, |at, row| {
            let value = left[(at % block.len(), row)];
            match at / block.len() {
                0 => value,
                target => value * weights[target - 1][row],
            }
        });
        let n_right = (CACHED / stacked.nrows()).clamp(1, atoms.len().max(1));
        let mut sums = DMatrix::zeros(stacked.nrows(), n_right);
        let mut squares = DMatrix::zeros(block.len(), n_right);
        let mut inverse = vec![0.0; block.len()];
        let block_sizes: Vec<usize> = block.iter().map(|&i| sizes[i] + 1).collect();
        for start in (0..atoms.len()).step_by(n_right) {
            if clock.is_over() {
                break;
            }
            let len = n_right.min(atoms.len() - start);
            let mut sums = sums.columns_mut(0, len);
            sums.gemm(1.0, &stacked, &right.columns(start, len), 0.0);
            let mut squares = squares.columns_mut(0, len);
            squares.gemm(1.0, &left_squared, &right_squared.columns(start, len), 0.0);
            for j in 0..len {
                let (sums, squares) = (sums.column(j), squares.column(j));
                let (p, of_targets) = sums.as_slice().split_at(block.len());
                // 1 / spread of each product; 0 where it is constant, or as good as.
                for ((inverse, p), pp) in inverse.iter_mut().zip(p).zip(squares.as_slice()) {
                    let spread = pp - p * p / n;
                    *inverse = if spread > 1e-9 * pp {
                        1.0 / spread
                    } else {
                        0.0
                    };
                }
                let of_targets = of_targets.chunks_exact(block.len());
                let known = standards.iter().zip(&mut best).filter(|(y, _)| y.is_some());
                for (py, (_, best)) in of_targets.zip(known) {
                    let r2 = |k: usize| py[k] * py[k] * inverse[k];
                    best.offer_all(&block_sizes, sizes[start + j], r2, |k| {
                        (block[k], start + j)
                    });
                }
            }
        }
        best
    };
    let by_block: Vec<Vec<Best>> = blocks.par_iter().map(found_in).collect();
    gathered(&by_block, columns, targets, max_size, |_, i, j| {
        let both = [atoms[i].expr.clone(), atoms[j].expr.clone()];
        Some(Expr::apply(Op::Mul, &both))
    })
}

/// The best sums of two atoms, by size, for each of several targets: the correlations of atoms do
/// not depend on the target.
pub(crate) fn sums(
    dictionary: &Dictionary,
    columns: &[&[f64]],
    targets: &[Vec<f64>],
    max_size: usize,
    clock: &Clock,
) -> Vec<Vec<Found>> {
    let atoms = &dictionary.atoms;
    let n_rows = columns.first().map_or(0, |c| c.len());
    let standards: Vec<(usize, Vec<f64>)> = atoms
        .iter()
        .enumerate()
        .filter_map(|(i, atom)| Some((i, standard(&atom.values)?)))
        .take(SUMMANDS)
        .collect();
    let all = matrix(standards.iter().map(|(_, c)| &c[..]), n_rows);
    let of_targets: Vec<Option<Vec<f64>>> = targets
        .iter()
        .map(|target| {
            Some(
                (all.transpose() * DVector::from_vec(standard(target)?))
                    .data
                    .into(),
            )
        })
        .collect();
    let sizes: Vec<usize> = standards
        .iter()
        .map(|&(i, _)| atoms[i].expr.len())
        .collect();
    let starts: Vec<usize> = (0..standards.len()).step_by(BLOCK).collect();
    let found_in = |&start: &usize| -> Vec<Best> {
        let mut best: Vec<Best> = targets.iter().map(|_| Best::new(max_size)).collect();
        if clock.is_over() {
            return best;
        }
        let n_left = BLOCK.min(standards.len() - start);
        let block_sizes: Vec<usize> = sizes[start..start + n_left].iter().map(|s| s + 3).collect();
        // Of two atoms the first has the lower number.
        let right = all.columns(start, standards.len() - start);
        let correlations = all.columns(start, n_left).transpose() * right;
        let mut inverse = vec![0.0; n_left];
        for j in start + 1..standards.len() {
            let column = correlations.column(j - start);
            let c = &column.as_slice()[..n_left.min(j - start)];
            for (inverse, c) in inverse.iter_mut().zip(c) {
                let left = 1.0 - c * c;
                *inverse = if left < 1e-6 { 0.0 } else { 1.0 / left };
            }
            for (with_target, best) in of_targets.iter().zip(&mut best) {
                let Some(with_target) = with_target else {
                    continue;
                };
                let (a, b) = (&with_target[start..], with_target[j]);
                let r2 = |k: usize| (a[k] * a[k] + b * b - 2.0 * a[k] * b * c[k]) * inverse[k];
                best.offer_all(&block_sizes[..c.len()], sizes[j], r2, |k| (start + k, j));
            }
        }
        best
    };
    let by_block: Vec<Vec<Best>> = starts.par_iter().map(found_in).collect();
    gathered(&by_block, columns, targets, max_size, |target, i, j| {
        let both = [&atoms[standards[i].0], &atoms[standards[j].0]];
        let values = both.map(|atom| &atom.values[..]);
        let model = linear::forward(&values, target, None, 2).pop()?;
        sum_of(&model, &both)
    })
}

/// The best sums, by size, of something found before and something found before or an atom.
pub(crate) fn sums_with(
    found: &[Found],
    dictionary: &Dictionary,
    columns: &[&[f64]],
    target: &[f64],
    max_size: usize,
) -> Vec<Found> {
    let Some(y) = standard(target) else {
        return Vec::new();
    };
    let firsts = found.iter().map(|found| {
        let values = found.core.eval_columns(columns);
        (found.core.clone(), values, 1.0)
    });
    let atoms = dictionary.atoms.iter().take(SUMMANDS);
    let atoms = atoms.map(|atom| (atom.expr.clone(), atom.values.clone(), atom.rms));
    let terms: Vec<(Expr, Vec<f64>, f64)> = firsts.chain(atoms).collect();
    let standards: Vec<Option<Vec<f64>>> = terms.iter().map(|term| standard(&term.1)).collect();
    let zero = vec![0.0; y.len()];
    let all = standards.iter().map(|s| s.as_deref().unwrap_or(&zero));
    let all = matrix(all, y.len());
    let correlations = all.columns(0, found.len()).tr_mul(&all);
    let with_target = all.tr_mul(&DVector::from_vec(y));
    let mut best = Best::new(max_size);
    for j in 0..terms.len() {
        for i in 0..found.len().min(j) {
            let (a, b, c) = (with_target[i], with_target[j], correlations[(i, j)]);
            let left = 1.0 - c * c;
            let r2 = (a * a + b * b - 2.0 * a * b * c) / left;
            let size = terms[i].0.len() + terms[j].0.len() + 3;
            if left > 1e-6 && size <= max_size && r2 > best.thresholds[size] && r2 < 1.0 + 1e-6 {
                best.offer(size, r2, i, j);
            }
        }
    }
    let pairs = best.by_size.iter().flatten();
    let sums = pairs.filter_map(|&(_, i, j)| {
        let both = [&terms[i], &terms[j]].map(|(expr, values, rms)| (expr, &values[..], *rms));
        sum_of_two(both, columns, target)
    });
    sums.collect()
}

/// The sum of two formulas with fitted coefficients; their values are divided by the last number.
pub(crate) fn sum_of_two(
    both: [(&Expr, &[f64], f64); 2],
    columns: &[&[f64]],
    target: &[f64],
) -> Option<Found> {
    let model = linear::forward(&both.map(|term| term.1), target, None, 2).pop()?;
    let terms = model.terms.iter();
    let terms: Vec<(Expr, f64)> = terms
        .map(|&(k, coefficient)| (both[k].0.clone(), coefficient / both[k].2))
        .collect();
    found(linear::combination(&terms)?, columns, target)
}

/// The best pairs of all blocks as formulas with their scaling, for each target.
fn gathered(
    by_block: &[Vec<Best>],
    columns: &[&[f64]],
    targets: &[Vec<f64>],
    max_size: usize,
    core: impl Fn(&[f64], usize, usize) -> Option<Expr> + Sync,
) -> Vec<Vec<Found>> {
    let of_target = |t: usize| {
        let mut best = Best::new(max_size);
        for block in by_block {
            for (size, list) in block[t].by_size.iter().enumerate() {
                for &(r2, i, j) in list {
                    best.offer(size, r2, i, j);
                }
            }
        }
        let pairs = best.by_size.iter().flatten();
        pairs
            .filter_map(|&(_, i, j)| found(core(&targets[t], i, j)?, columns, &targets[t]))
            .collect()
    };
    (0..targets.len()).into_par_iter().map(of_target).collect()
}

/// `Σ coefficient · atom` of a model over the atoms' values.
pub(crate) fn sum_of(model: &Linear, atoms: &[&Atom]) -> Option<Expr> {
    let terms: Vec<(Expr, f64)> = model
        .terms
        .iter()
        .map(|&(k, c)| (atoms[k].expr.clone(), c / atoms[k].rms))
        .collect();
    linear::combination(&terms)
}

/// A formula with its linear scaling to a target.
pub(crate) fn found(core: Expr, columns: &[&[f64]], target: &[f64]) -> Option<Found> {
    let values = core.eval_columns(columns);
    let model = linear::forward(&[&values], target, None, 1).pop()?;
    let variance = linear::spread(target, linear::mean(target, None), None);
    let (scale, offset) = (model.terms.first()?.1, model.intercept);
    Some(Found {
        core,
        scale,
        offset,
        error: model.mse / variance,
    })
}

/// Centred, with unit sum of squares; `None` for a column without variance.
fn standard(values: &[f64]) -> Option<Vec<f64>> {
    let mean = linear::mean(values, None);
    let sum: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    let norm = sum.sqrt();
    (norm.is_normal() && norm > 1e-9).then(|| values.iter().map(|v| (v - mean) / norm).collect())
}
