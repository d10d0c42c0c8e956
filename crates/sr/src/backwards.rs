//! What a subtree would have to be, and the small formula that comes nearest to that.
//!
//! The target is led through the inverses of the operators from the root down to a node: what the
//! node would have to be there, row by row, for the whole to hit the target. How much an error at the
//! node is worth at the root is the product of the slopes on the way. Over all small formulas of a
//! dictionary, the best `a + b·f` in that weighting takes three products of matrices with vectors
//! (semantic backpropagation; Pawlak, Wieloch & Krawiec, IEEE Transactions on Evolutionary
//! Computation 19, 2015; there with a plain distance and without coefficients). What was found
//! takes the node's place, is added to it, or multiplies it. Which is best is asked in single
//! precision: of what differs by less than that, one is as good as the other.
//!
//! # Invariant
//! Nothing here is believed: what is returned are children, to be fitted and judged like others.

use nalgebra::DMatrix;
use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node, Op, operands_of};

use crate::candidate::Candidate;
use crate::dictionary::{self, Atom, Caps};
use crate::operators::Operators;
use crate::problem::Rows;

/// Rows that are led backwards.
const ROWS: usize = 100;

/// Share of a mean square in single precision that may be rounding.
const ROUNDING: f32 = 1e-6;

/// What is done with the best small formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Replace,
    Add,
    Multiply,
}

/// Where a formula is changed, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    node: usize,
    change: Change,
}

/// Small formulas and a few rows.
#[derive(Debug)]
pub(crate) struct Backwards {
    rows: Rows,
    /// What formulas may be changed by: sums and products only where these were asked for.
    adds: bool,
    multiplies: bool,
    atoms: Vec<Atom>,
    /// What the nodes of each atom cost, and two more: by BIC n·ln(mean square) + nodes·ln(n)/2 is
    /// least, and so is the mean square times n^(nodes/2n).
    prices: Vec<f32>,
    of_two_nodes: f32,
    /// An atom a row, a row of the table a column.
    values: DMatrix<f32>,
    squares: DMatrix<f32>,
}

/// A least-squares problem: `scale·atom + offset` for these values, rows weighted.
struct Wanted {
    /// In units of their root mean square, `unit`.
    values: Vec<f64>,
    unit: f64,
    mean: f64,
    /// They sum to 1.
    weights: Vec<f64>,
}

impl Backwards {
    /// With at most so many small formulas.
    pub(crate) fn new(rows: &Rows, operators: &Operators, most: usize) -> Self {
        let rows = rows.spread_out(ROWS);
        let inputs = rows.most_correlated(dictionary::INPUTS);
        let caps = Caps::FEW.within(most);
        let atoms = dictionary::build(&rows.column_refs(), &inputs, operators, caps).atoms;
        let values = DMatrix::from_fn(atoms.len(), rows.n_rows(), |atom, row| {
            single(atoms[atom].values[row])
        });
        #[expect(clippy::cast_precision_loss, reason = "rows and sizes are small")]
        let price = |nodes: usize| {
            let n = rows.n_rows() as f32;
            n.powf(0.5 * nodes as f32 / n)
        };
        Self {
            prices: atoms.iter().map(|atom| price(atom.expr.len())).collect(),
            of_two_nodes: price(2),
            adds: operators.write(Op::Add),
            multiplies: operators.write(Op::Mul),
            atoms,
            squares: values.map(|v| v * v),
            values,
            rows,
        }
    }

    /// Anywhere in a formula.
    pub(crate) fn place(&self, rng: &mut Rng, expr: &Expr) -> Place {
        let root = expr.len() - 1;
        let node = rng.range(0, root);
        let drawn = match rng.range(0, 3) {
            0 | 1 => Change::Replace,
            2 => Change::Add,
            _ => Change::Multiply,
        };
        let change = match drawn {
            // What takes the root's place owes nothing to its parent.
            Change::Replace if node == root && self.adds => Change::Add,
            Change::Add if !self.adds => Change::Replace,
            Change::Multiply if !self.multiplies => Change::Replace,
            drawn => drawn,
        };
        Place { node, change }
    }

    /// A child for each parent and place, where one can be found. Each gets to see a random half of
    /// the small formulas, so that the same place does not always give the same.
    pub(crate) fn children(&self, rng: &mut Rng, places: &[(&Candidate, Place)]) -> Vec<Expr> {
        let asked: Vec<(&Candidate, Place, Wanted)> = places
            .iter()
            .filter_map(|&(parent, place)| Some((parent, place, self.wanted(parent, place)?)))
            .collect();
        let n_rows = self.rows.n_rows();
        let weights = DMatrix::from_fn(n_rows, asked.len(), |row, k| {
            single(asked[k].2.weights[row])
        });
        let targets = DMatrix::from_fn(n_rows, asked.len(), |row, k| {
            single(asked[k].2.weights[row] * asked[k].2.values[row])
        });
        let of_atoms = &self.values * &weights;
        let of_squares = &self.squares * &weights;
        let of_targets = &self.values * &targets;
        let n_atoms = self.atoms.len();
        let mut costs = vec![0.0; n_atoms];
        let child = |(k, (parent, place, wanted)): (usize, &(&Candidate, Place, Wanted))| {
            let atoms = k * n_atoms..(k + 1) * n_atoms;
            let sums = Sums {
                a: &of_atoms.as_slice()[atoms.clone()],
                aa: &of_squares.as_slice()[atoms.clone()],
                at: &of_targets.as_slice()[atoms],
                t: single(wanted.mean),
            };
            sums.costs(&self.prices, self.of_two_nodes, &mut costs);
            let atom = cheapest(rng, &costs)?;
            let (_, shifted) = sums.line(atom, self.of_two_nodes);
            let atom = &self.atoms[atom];
            let line = wanted.line(&atom.values, shifted);
            let [scale, offset] = line.map(|factor| factor * wanted.unit);
            changed(&parent.expr, *place, &atom.expr, [scale / atom.rms, offset])
        };
        asked.iter().enumerate().filter_map(child).collect()
    }

    /// What the place would have to give, row by row; `None` where no way leads back.
    fn wanted(&self, parent: &Candidate, place: Place) -> Option<Wanted> {
        let (nodes, sizes) = (parent.expr.nodes(), parent.expr.subtree_sizes());
        let values = parent.expr.eval_subtrees(&self.rows.column_refs());
        let score = parent.score;
        if score.scale == 0.0 {
            return None;
        }
        let target = self.rows.target.iter();
        let mut wanted: Vec<f64> = target.map(|y| (y - score.offset) / score.scale).collect();
        let mut slopes = vec![1.0; wanted.len()];
        let mut at = nodes.len() - 1;
        while at != place.node {
            let Node::Op(op) = nodes[at] else { return None };
            let operands = &operands_of(op, at, &sizes)[..op.arity()];
            let which = operands.iter().position(|&operand| place.node <= operand)?;
            let child = operands[which];
            let other = operands.iter().find(|&&operand| operand != child);
            for row in 0..wanted.len() {
                let (whole, here) = (values[at][row], values[child][row]);
                let beside = other.map_or(0.0, |&other| values[other][row]);
                let (back, slope) = backwards(op, which, here, beside, whole, wanted[row])?;
                // Where there is no way back (the root of what is negative), a step along the slope.
                let back = if back.is_finite() {
                    back
                } else {
                    here + (wanted[row] - whole) / slope
                };
                let usable = back.is_finite() && slope.is_finite();
                wanted[row] = if usable { back } else { here };
                slopes[row] *= if usable { slope } else { 0.0 };
            }
            at = child;
        }
        let here = &values[place.node];
        for ((wanted, slope), &here) in wanted.iter_mut().zip(&mut slopes).zip(here) {
            match place.change {
                Change::Replace => {}
                Change::Add => *wanted -= here,
                Change::Multiply => {
                    *wanted /= here;
                    *slope *= here;
                }
            }
        }
        let own = self.rows.weights.as_deref();
        let mut weights: Vec<f64> = slopes
            .iter()
            .enumerate()
            .map(|(row, slope)| slope * slope * own.map_or(1.0, |own| own[row]))
            .collect();
        let total: f64 = weights.iter().sum();
        for weight in &mut weights {
            *weight /= total;
        }
        let weighted = || wanted.iter().zip(&weights);
        let mean: f64 = weighted().map(|(t, w)| t * w).sum();
        let mean_square: f64 = weighted().map(|(t, w)| t * t * w).sum();
        let unit = mean_square.sqrt();
        for wanted in &mut wanted {
            *wanted /= unit;
        }
        let mean = mean / unit;
        (mean.is_finite() && unit.is_normal()).then_some(Wanted {
            values: wanted,
            unit,
            mean,
            weights,
        })
    }
}

impl Wanted {
    /// Scale and offset of the line in these values, through zero if it is not shifted.
    fn line(&self, values: &[f64], shifted: bool) -> [f64; 2] {
        let (mut a, mut aa, mut at) = (0.0, 0.0, 0.0);
        for ((value, wanted), weight) in values.iter().zip(&self.values).zip(&self.weights) {
            a += weight * value;
            aa += weight * value * value;
            at += weight * value * wanted;
        }
        if shifted {
            let slope = (at - a * self.mean) / (aa - a * a);
            [slope, self.mean - slope * a]
        } else {
            [at / aa, 0.0]
        }
    }
}

/// Weighted means of each atom's values, of their squares and products with what is wanted, and of what
/// is wanted, whose mean square is 1.
struct Sums<'a> {
    a: &'a [f32],
    aa: &'a [f32],
    at: &'a [f32],
    t: f32,
}

impl Sums<'_> {
    /// What the better of the lines in an atom with and without an offset leaves of the mean square,
    /// times what the nodes of an offset cost, and whether it has one; infinity where there is no line.
    /// Without branches: atoms go through it side by side.
    #[inline]
    fn line(&self, atom: usize, of_offset: f32) -> (f32, bool) {
        let (a, aa, at, t) = (self.a[atom], self.aa[atom], self.at[atom], self.t);
        let through_zero = at / aa;
        let left = (1.0 - at * through_zero).max(ROUNDING);
        let (spread, along) = (aa - a * a, at - a * t);
        let slope = along / spread;
        let left_shifted = (1.0 - t * t - along * slope).max(ROUNDING) * of_offset;
        let shifted = (spread > 10.0 * ROUNDING * aa) & (left_shifted < left);
        let scale = if shifted { slope } else { through_zero };
        let left = if shifted { left_shifted } else { left };
        let is_line = scale.is_finite() & (scale != 0.0);
        (if is_line { left } else { f32::INFINITY }, shifted)
    }

    /// What the best lines in all atoms cost by BIC, each node half a constant.
    fn costs(&self, prices: &[f32], of_offset: f32, costs: &mut [f32]) {
        for (atom, (cost, price)) in costs.iter_mut().zip(prices).enumerate() {
            *cost = self.line(atom, of_offset).0 * price;
        }
    }
}

/// The least of a random half of the costs, if any of these is finite.
fn cheapest(rng: &mut Rng, costs: &[f32]) -> Option<usize> {
    let (mut least, mut best) = (f32::INFINITY, None);
    for (block, costs) in costs.chunks(64).enumerate() {
        let coins = rng.u64();
        for (k, &cost) in costs.iter().enumerate() {
            if cost < least && coins >> k & 1 == 1 {
                (least, best) = (cost, Some(64 * block + k));
            }
        }
    }
    best
}

/// In single precision.
#[expect(clippy::cast_possible_truncation, reason = "that is the purpose")]
fn single(value: f64) -> f32 {
    value as f32
}

/// The parent with `offset + scale·atom` at the place.
fn changed(parent: &Expr, place: Place, atom: &Expr, [scale, offset]: [f64; 2]) -> Option<Expr> {
    let nodes = parent.nodes();
    let range = parent.subtree(place.node);
    let mut out = nodes[..range.start].to_vec();
    if place.change != Change::Replace {
        out.extend_from_slice(&nodes[range.clone()]);
    }
    out.extend_from_slice(atom.nodes());
    out.extend([Node::Const(scale), Node::Op(Op::Mul)]);
    if offset != 0.0 {
        out.extend([Node::Const(offset), Node::Op(Op::Add)]);
    }
    match place.change {
        Change::Replace => {}
        Change::Add => out.push(Node::Op(Op::Add)),
        Change::Multiply => out.push(Node::Op(Op::Mul)),
    }
    out.extend_from_slice(&nodes[range.end..]);
    Expr::from_postfix(out).ok()
}

/// What operand `which` of `op`, now `here`, would have to be for `op` to give `wanted` instead of
/// `whole`, and the slope of `op` there. Where several would do, the one nearest to what it is now;
/// NaN where none would. `None` for operators without a way back.
fn backwards(
    op: Op,
    which: usize,
    here: f64,
    beside: f64,
    whole: f64,
    wanted: f64,
) -> Option<(f64, f64)> {
    use std::f64::consts::{PI, TAU};
    // On the branch of a periodic function that the operand is on: u is one solution, mirror ∓ u the
    // other.
    let nearest = |one: f64, other: f64, period: f64| {
        let near = |u: f64| u + ((here - u) / period).round() * period;
        let (one, other) = (near(one), near(other));
        if (one - here).abs() <= (other - here).abs() {
            one
        } else {
            other
        }
    };
    Some(match (op, which) {
        (Op::Add, _) => (wanted - beside, 1.0),
        (Op::Sub, 0) => (wanted + beside, 1.0),
        (Op::Sub, _) => (beside - wanted, -1.0),
        (Op::Mul, _) => (wanted / beside, beside),
        (Op::Div, 0) => (wanted * beside, beside.recip()),
        (Op::Div, _) => (beside / wanted, -whole / here),
        (Op::Neg, _) => (-wanted, -1.0),
        (Op::Inv, _) => (wanted.recip(), -whole * whole),
        (Op::Square, _) => (wanted.sqrt().copysign(here), 2.0 * here),
        (Op::Cube, _) => (wanted.cbrt(), 3.0 * here * here),
        (Op::Abs, _) if wanted >= 0.0 => (wanted.copysign(here), 1.0f64.copysign(here)),
        (Op::Abs, _) => (f64::NAN, 1.0f64.copysign(here)),
        (Op::Sqrt, _) if wanted >= 0.0 => (wanted * wanted, 0.5 / whole),
        (Op::Sqrt, _) => (f64::NAN, 0.5 / whole),
        (Op::Cbrt, _) => (wanted * wanted * wanted, (3.0 * whole * whole).recip()),
        (Op::Exp, _) => (wanted.ln(), whole),
        (Op::Log, _) => (wanted.exp(), here.recip()),
        (Op::Sin, _) => {
            let u = wanted.asin();
            (nearest(u, PI - u, TAU), here.cos())
        }
        (Op::Cos, _) => {
            let u = wanted.acos();
            (nearest(u, -u, TAU), -here.sin())
        }
        (Op::Tan, _) => {
            let u = wanted.atan();
            (nearest(u, u, PI), whole.mul_add(whole, 1.0))
        }
        (Op::Asin, _) => (wanted.sin(), (1.0 - here * here).sqrt().recip()),
        (Op::Acos, _) => (wanted.cos(), -(1.0 - here * here).sqrt().recip()),
        (Op::Atan, _) => (wanted.tan(), here.mul_add(here, 1.0).recip()),
        (Op::Tanh, _) => (wanted.atanh(), 1.0 - whole * whole),
        (Op::Pow, 0) => (wanted.powf(beside.recip()), beside * whole / here),
        (Op::Pow, _) => (wanted.ln() / beside.ln(), whole * beside.ln()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Score;

    #[test]
    fn a_way_back_leads_where_it_came_from_with_the_slope_of_the_way_there() {
        let mut rng = Rng::new(11, 0);
        let mut n_led = 0;
        for index in 0.. {
            let Some(op) = Op::from_index(index) else {
                break;
            };
            let arity = Node::Op(op).arity();
            for which in 0..arity {
                for _ in 0..50 {
                    let operands: Vec<f64> = (0..arity).map(|_| rng.uniform(0.1, 0.9)).collect();
                    let (here, whole) = (operands[which], op.reference(&operands));
                    let beside = operands[(which + 1) % arity];
                    let at = |value: f64| {
                        let mut moved = operands.clone();
                        moved[which] = value;
                        op.reference(&moved)
                    };
                    let wanted = at(here + 0.01);
                    let Some((back, slope)) = backwards(op, which, here, beside, whole, wanted)
                    else {
                        continue;
                    };
                    n_led += 1;
                    assert!(
                        (back - here - 0.01).abs() < 1e-9,
                        "{op:?} {operands:?} {back}"
                    );
                    let step = 1e-6;
                    let numeric = (at(here + step) - at(here - step)) / (2.0 * step);
                    assert!(
                        (slope - numeric).abs() < 1e-6 * (1.0 + numeric.abs()),
                        "{op:?} {operands:?}: {slope}, {numeric}"
                    );
                }
            }
        }
        assert!(n_led > 1000, "{n_led}");
    }

    #[test]
    fn the_branch_of_a_periodic_function_is_kept() {
        for here in [-9.0, -2.0, 0.5, 4.0, 20.0f64] {
            for (op, whole) in [
                (Op::Sin, here.sin()),
                (Op::Cos, here.cos()),
                (Op::Tan, here.tan()),
            ] {
                let (back, _) = backwards(op, 0, here, 0.0, whole, whole).expect("a way back");
                assert!((back - here).abs() < 1e-9, "{op:?} {here} {back}");
            }
        }
    }

    #[test]
    fn a_wrong_subtree_is_replaced_by_the_right_one() {
        let names = ["x0", "x1", "x2"];
        let parsed = |text: &str| opcodon_expr::parse(text, Some(&names)).expect(text).expr;
        let mut rng = Rng::new(5, 0);
        let columns: Vec<Vec<f64>> = (0..3)
            .map(|_| (0..200).map(|_| rng.uniform(1.0, 3.0)).collect())
            .collect();
        let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let law = parsed("x2*exp(sqrt(1 + 2*x0*x1) - x2)");
        let target = law.eval_columns(&refs);
        let target = target.iter().map(|v| 3.0 * v + 1.0).collect();
        let rows = Rows::of_squares(columns.clone(), target);
        let backwards = Backwards::new(&rows, &Operators::default(), usize::MAX);
        let parent = Candidate {
            expr: parsed("x2*exp(sqrt(x0 + x1) - x2)"),
            score: Score {
                error: 0.5,
                scale: 3.0,
                offset: 1.0,
            },
            shape: 0,
        };
        let place = Place {
            node: 3,
            change: Change::Replace,
        };
        assert_eq!(parent.expr.nodes()[3], Node::Op(Op::Add));
        let wanted = law.eval_columns(&refs);
        // A child sees a random half of the dictionary.
        let found = (0..20).any(|_| {
            let children = backwards.children(&mut rng, &[(&parent, place)]);
            let values = children[0].eval_columns(&refs);
            values
                .iter()
                .zip(&wanted)
                .all(|(v, w)| (v - w).abs() < 1e-9 * w.abs())
        });
        assert!(found);
    }
}
