//! Shrunken linear models: what a formula has to beat on rows left out.
//!
//! On a small, noisy table the best formula may well be a plane with coefficients pulled towards
//! zero, which no search by training error finds, because training error never rewards shrinkage.
//! So two such models stand beside the front: ridge regression on all inputs, and on the few that
//! forward selection picks. They are judged as they would be used: everything, the selection of
//! inputs and the amount of shrinkage included, is done anew without the rows left out.

use opcodon_expr::{Expr, Node, Op};

use crate::linear::{self, Linear};
use crate::problem::Rows;

/// How a floor model comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Floor {
    /// Ridge regression on all inputs.
    All,
    /// Ridge regression on the inputs that forward selection picks, as many as its leave-one-out
    /// error asks for.
    Selected,
}

/// Inputs beyond which ridge regression on all of them takes too long to repeat on every fold.
const INPUTS_MAX: usize = 300;

impl Floor {
    pub(crate) const BOTH: [Self; 2] = [Self::All, Self::Selected];

    /// The model on these rows; `None` if it could not be written within `max_size` nodes.
    pub(crate) fn fit(self, rows: &Rows, max_size: usize) -> Option<Linear> {
        let rows = rows.for_squares();
        let columns = rows.column_refs();
        let weights = rows.weights.as_deref();
        // A term takes a coefficient, a variable, a product and a sum.
        let terms_max = max_size.saturating_sub(1) / 4;
        match self {
            Self::All if columns.len() > terms_max.min(INPUTS_MAX) => None,
            Self::All => Some(linear::ridge(&columns, &rows.target, weights)),
            Self::Selected => {
                let path = linear::forward(&columns, &rows.target, weights, terms_max);
                let best = path.iter().min_by(|a, b| a.press.total_cmp(&b.press))?;
                let picked: Vec<usize> = best.terms.iter().map(|&(j, _)| j).collect();
                let few: Vec<&[f64]> = picked.iter().map(|&j| columns[j]).collect();
                let mut model = linear::ridge(&few, &rows.target, weights);
                for term in &mut model.terms {
                    term.0 = picked[term.0];
                }
                Some(model)
            }
        }
    }
}

/// What a linear model says for rows.
pub(crate) fn values(model: &Linear, rows: &Rows) -> Vec<f64> {
    let mut out = vec![model.intercept; rows.n_rows()];
    for &(j, coefficient) in &model.terms {
        for (value, x) in out.iter_mut().zip(&rows.columns[j]) {
            *value += coefficient * x;
        }
    }
    out
}

/// A linear model as a formula.
pub(crate) fn formula(model: &Linear) -> Expr {
    let mut nodes = vec![Node::Const(model.intercept)];
    for &(j, coefficient) in &model.terms {
        let variable = Node::Var(u32::try_from(j).unwrap_or(u32::MAX));
        nodes.extend([
            variable,
            Node::Const(coefficient),
            Node::Op(Op::Mul),
            Node::Op(Op::Add),
        ]);
    }
    Expr::from_postfix(nodes).unwrap_or_else(|_| Expr::constant(model.intercept))
}
