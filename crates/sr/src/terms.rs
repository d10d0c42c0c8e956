//! Sums of terms that formulas of a population are made of.
//!
//! Evolution finds good terms long before it finds the sum of all that a target needs, and each in
//! another formula. So now and then the terms of the best formulas are put beside each other as
//! columns, and forward selection says which of them to add up, with what coefficients: multi-gene
//! genetic programming (Searson, Leahy & Willis, "GPTIPS", 2010), the genes from the whole
//! population.
//!
//! # Invariant
//! Nothing here is believed: what is returned are children, to be judged like others.

use opcodon_expr::{Expr, Node, Op};

use crate::dictionary::{Atom, Collector};
use crate::linear;
use crate::pairs;
use crate::problem::Rows;

/// Most terms that are selected from.
const TERMS: usize = 250;
/// Rows for each term of a sum: of so many terms some fit few rows by chance.
const ROWS_PER_TERM: usize = 20;
/// Longest term.
const LONGEST: usize = 24;

/// Sums of one, two, … terms of these formulas, as long as they are allowed to be.
pub(crate) fn sums<'a>(
    formulas: impl Iterator<Item = &'a Expr>,
    rows: &Rows,
    max_size: usize,
) -> Vec<Expr> {
    let terms_max = max_size.div_ceil(4).min(rows.n_rows() / ROWS_PER_TERM);
    if terms_max < 2 {
        return Vec::new();
    }
    let columns = rows.column_refs();
    let mut terms = Collector::default();
    for expr in formulas {
        for term in terms_of(expr) {
            if terms.atoms.len() < TERMS && term.len() <= LONGEST && term.n_variables() > 0 {
                let values = term.eval_columns(&columns);
                terms.enter(term, values);
            }
        }
    }
    let values: Vec<&[f64]> = terms.atoms.iter().map(|term| &term.values[..]).collect();
    let path = linear::forward(&values, &rows.target, rows.weights.as_deref(), terms_max);
    let atoms: Vec<&Atom> = terms.atoms.iter().collect();
    // A sum that one row holds up, or that fits by chance, is worse by PRESS than a shorter one.
    let mut least = f64::INFINITY;
    path.iter()
        .filter(|model| {
            let better = model.press < least;
            least = least.min(model.press);
            better
        })
        .filter_map(|model| pairs::sum_of(model, &atoms))
        .filter(|sum| sum.len() <= max_size)
        .collect()
}

/// What is added and subtracted at the top of a formula, the last first.
fn terms_of(expr: &Expr) -> Vec<Expr> {
    let (nodes, sizes) = (expr.nodes(), expr.subtree_sizes());
    let mut under_way = vec![nodes.len() - 1];
    let mut terms = Vec::new();
    while let Some(at) = under_way.pop() {
        if matches!(nodes[at], Node::Op(Op::Add | Op::Sub)) {
            let right = at - 1;
            under_way.extend([right - sizes[right] as usize, right]);
        } else {
            terms.extend(Expr::from_postfix(nodes[expr.subtree(at)].to_vec()));
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use opcodon_evo::Rng;

    use super::*;

    #[test]
    fn terms_that_each_formula_has_one_of_are_added_up() {
        let names = ["x0", "x1"];
        let parsed = |text: &str| opcodon_expr::parse(text, Some(&names)).expect(text).expr;
        let mut rng = Rng::new(5, 0);
        let columns: Vec<Vec<f64>> = (0..2)
            .map(|_| (0..100).map(|_| rng.uniform(-2.0, 2.0)).collect())
            .collect();
        let refs: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let target = parsed("3*sin(x0) - 0.5*x0*x1 + 2*exp(x1) + 7").eval_columns(&refs);
        let rows = Rows::of_squares(columns, target);
        let formulas = [
            "sin(x0) - x1",
            "x0*x1 + square(x0)",
            "cos(x1) - (x0 - exp(x1))",
        ];
        let formulas: Vec<Expr> = formulas.map(parsed).into();
        let sums = sums(formulas.iter(), &rows, 30);
        // Up to the constant, which linear scaling finds.
        let exact = sums.iter().any(|sum| {
            let values = sum.eval_columns(&rows.column_refs());
            let off = values.iter().zip(&rows.target).map(|(v, y)| y - v - 7.0);
            off.into_iter().all(|off| off.abs() < 1e-9)
        });
        assert!(exact, "{sums:?}");
        assert!(sums.iter().all(|sum| sum.len() <= 30));
    }
}
