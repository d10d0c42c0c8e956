//! What a subtree would have to be, and the small formula that comes nearest to that.
//!
//! The target is led through the inverses of the operators from the root down to a node: what the
//! node would have to be there, row by row, for the whole to hit the target. How much an error at the
//! node is worth at the root is the product of the slopes on the way. Over all small formulas of a
//! dictionary, the best `a + b·f` in that weighting takes three products of matrices with vectors
//! (semantic backpropagation; Pawlak, Wieloch & Krawiec, IEEE Transactions on Evolutionary
//! Computation 19, 2015; there with a plain distance and without coefficients). What was found
//! takes the node's place, is added to it, or multiplies it.
//!
//! # Invariant
//! Nothing here is believed: what is returned are children, to be fitted and judged like others.

use nalgebra::DMatrix;
use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node, Op, operands_of};

use crate::candidate::Candidate;
use crate::dictionary::{self, Caps};
use crate::operators::Operators;
use crate::problem::Rows;

/// Rows that are led backwards.
const ROWS: usize = 100;

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
    atoms: Vec<Expr>,
    /// What an atom's values are multiplied with in `values`.
    factors: Vec<f64>,
    /// What the nodes of each atom cost, and two more: by BIC n·ln(mean square) + nodes·ln(n)/2 is
    /// least, and so is the mean square times n^(nodes/2n).
    prices: Vec<f64>,
    of_two_nodes: f64,
    /// An atom a row, a row of the table a column.
    values: DMatrix<f64>,
    squares: DMatrix<f64>,
}

/// A least-squares problem: `scale·atom + offset` for these values, rows weighted.
struct Wanted {
    values: Vec<f64>,
    /// They sum to 1.
    weights: Vec<f64>,
    /// The weighted mean of values, and of their squares.
    mean: f64,
    mean_square: f64,
}

impl Backwards {
    /// With at most so many small formulas.
    pub(crate) fn new(rows: &Rows, operators: &Operators, most: usize) -> Self {
        let rows = rows.spread_out(ROWS);
        let inputs = rows.most_correlated(dictionary::INPUTS);
        let caps = Caps::FEW.within(most);
        let atoms = dictionary::build(&rows.column_refs(), &inputs, operators, caps).atoms;
        let values = DMatrix::from_fn(atoms.len(), rows.n_rows(), |atom, row| {
            atoms[atom].values[row]
        });
        #[expect(clippy::cast_precision_loss, reason = "rows and sizes are small")]
        let price = |nodes: usize| {
            let n = rows.n_rows() as f64;
            n.powf(0.5 * nodes as f64 / n)
        };
        Self {
            prices: atoms.iter().map(|atom| price(atom.expr.len())).collect(),
            of_two_nodes: price(2),
            adds: operators.write(Op::Add),
            multiplies: operators.write(Op::Mul),
            factors: atoms.iter().map(|atom| atom.rms.recip()).collect(),
            atoms: atoms.into_iter().map(|atom| atom.expr).collect(),
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
        let weights = DMatrix::from_fn(self.rows.n_rows(), asked.len(), |row, k| {
            asked[k].2.weights[row]
        });
        let targets = DMatrix::from_fn(self.rows.n_rows(), asked.len(), |row, k| {
            asked[k].2.weights[row] * asked[k].2.values[row]
        });
        let of_atoms = &self.values * &weights;
        let of_squares = &self.squares * &weights;
        let of_targets = &self.values * &targets;
        let child = |(k, (parent, place, wanted)): (usize, &(&Candidate, Place, Wanted))| {
            let (of_atoms, of_squares) = (of_atoms.column(k), of_squares.column(k));
            let of_targets = of_targets.column(k);
            let sums = |atom: usize| Sums {
                a: of_atoms[atom],
                aa: of_squares[atom],
                t: wanted.mean,
                tt: wanted.mean_square,
                at: of_targets[atom],
            };
            let (atom, line) = self.best(rng, sums)?;
            let scale = line.scale * self.factors[atom];
            changed(
                &parent.expr,
                *place,
                &self.atoms[atom],
                Line { scale, ..line },
            )
        };
        asked.iter().enumerate().filter_map(child).collect()
    }

    /// The atom of a random half whose line costs least by BIC, each node half a constant.
    fn best(&self, rng: &mut Rng, sums: impl Fn(usize) -> Sums) -> Option<(usize, Line)> {
        let mut best = None;
        let mut least = f64::INFINITY;
        let mut coins = 0;
        for (atom, &of_size) in self.prices.iter().enumerate() {
            coins = if atom % 64 == 0 {
                rng.u64()
            } else {
                coins >> 1
            };
            if coins & 1 == 0 {
                continue;
            }
            let (left, line) = sums(atom).line(self.of_two_nodes);
            let cost = left * of_size;
            if cost < least && line.scale.is_finite() && line.scale != 0.0 {
                (least, best) = (cost, Some((atom, line)));
            }
        }
        best
    }

    /// What the place would have to give, row by row; `None` where no way leads back.
    fn wanted(&self, parent: &Candidate, place: Place) -> Option<Wanted> {
        let nodes = parent.expr.nodes();
        let columns = &self.rows.columns;
        let sizes = parent.expr.subtree_sizes();
        let values = node_values(nodes, columns, self.rows.n_rows());
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
        (mean.is_finite() && mean_square.is_finite()).then_some(Wanted {
            values: wanted,
            weights,
            mean,
            mean_square,
        })
    }
}

/// `offset + scale·atom`.
#[derive(Debug, Clone, Copy)]
struct Line {
    scale: f64,
    offset: f64,
}

/// Weighted sums of an atom's values, of what is wanted, and of their products; the weights sum to 1.
struct Sums {
    a: f64,
    aa: f64,
    t: f64,
    tt: f64,
    at: f64,
}

impl Sums {
    /// The better of the lines with and without an offset, and what it leaves of the mean square,
    /// times what the nodes of an offset cost.
    #[inline]
    fn line(&self, of_offset: f64) -> (f64, Line) {
        let &Self { a, aa, t, tt, at } = self;
        let floor = 1e-13 * tt;
        let through_zero = Line {
            scale: at / aa,
            offset: 0.0,
        };
        let left = (tt - at * through_zero.scale).max(floor);
        let (spread, along) = (aa - a * a, at - a * t);
        let scale = along / spread;
        let left_shifted = (tt - t * t - along * scale).max(floor) * of_offset;
        if spread > 1e-9 * aa && left_shifted < left {
            let offset = scale.mul_add(-a, t);
            (left_shifted, Line { scale, offset })
        } else {
            (left, through_zero)
        }
    }
}

/// The parent with the line in an atom at the place.
fn changed(parent: &Expr, place: Place, atom: &Expr, line: Line) -> Option<Expr> {
    let nodes = parent.nodes();
    let range = parent.subtree(place.node);
    let mut out = nodes[..range.start].to_vec();
    if place.change != Change::Replace {
        out.extend_from_slice(&nodes[range.clone()]);
    }
    out.extend_from_slice(atom.nodes());
    out.extend([Node::Const(line.scale), Node::Op(Op::Mul)]);
    if line.offset != 0.0 {
        out.extend([Node::Const(line.offset), Node::Op(Op::Add)]);
    }
    match place.change {
        Change::Replace => {}
        Change::Add => out.push(Node::Op(Op::Add)),
        Change::Multiply => out.push(Node::Op(Op::Mul)),
    }
    out.extend_from_slice(&nodes[range.end..]);
    Expr::from_postfix(out).ok()
}

/// The values of all nodes.
fn node_values(nodes: &[Node], columns: &[Vec<f64>], n_rows: usize) -> Vec<Vec<f64>> {
    let mut values: Vec<Vec<f64>> = Vec::with_capacity(nodes.len());
    let mut stack: Vec<usize> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let operands = stack.split_off(stack.len() - node.arity());
        values.push(match *node {
            Node::Const(value) => vec![value; n_rows],
            Node::Var(index) => columns[index as usize].clone(),
            Node::Op(op) => (0..n_rows)
                .map(|row| {
                    let mut of_row = [0.0; 3];
                    for (value, &operand) in of_row.iter_mut().zip(&operands) {
                        *value = values[operand][row];
                    }
                    op.reference(&of_row[..operands.len()])
                })
                .collect(),
        });
        stack.push(at);
    }
    values
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
