//! Where a formula will be asked, and what it may say there.
//!
//! `1/(x - 0.3)` may fit thirty noisy rows best of all and be off by millions on the next, and so
//! may `exp(exp(x))`, or a needle `exp(9*sin(7*x)*z)` that was drawn through one odd row. Interval
//! arithmetic tells both from honest formulas without asking any row: it bounds what a formula says
//! in the box of the inputs and a little beyond. Of formulas without a pole or a needle these bounds
//! hardly ever leave the range of the target by more than that range; of the others, by many orders of
//! magnitude. It errs on the safe side, so laws with a true singularity need the front of all
//! formulas, and tables with noise had better be served from the tame one ([`crate::fronts`]).

use opcodon_expr::{Expr, Interval};

use crate::evaluate::Score;
use crate::problem::Rows;

/// How far beyond the rows a formula must have a value, as a share of each column's range.
const BEYOND: f64 = 0.1;
/// How far beyond the target its values may be there, in ranges of the target.
const EXCESS: f64 = 100.0;

/// The box of the inputs, a little widened, and the range of the target, much widened.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    inputs: Vec<Interval>,
    /// `None` where formulas do not predict the target itself.
    target: Option<Interval>,
}

impl Reach {
    pub(crate) fn new(rows: &Rows) -> Self {
        let widened = |column: &Vec<f64>| {
            let hull = Interval::hull(column);
            let margin = BEYOND * (hull.hi() - hull.lo());
            // A quantity that is never negative (a length, a count, a price) stays so.
            let low = hull.lo() - margin;
            let low = if hull.lo() >= 0.0 {
                low.max(0.5 * hull.lo())
            } else {
                low
            };
            Interval::new(low, hull.hi() + margin)
        };
        let hull = Interval::hull(&rows.target);
        let margin = EXCESS * (hull.hi() - hull.lo());
        let target = Interval::new(hull.lo() - margin, hull.hi() + margin);
        Self {
            inputs: rows.columns.iter().map(widened).collect(),
            target: rows.measure.is_of_target().then_some(target),
        }
    }

    /// Whether a formula surely has a value everywhere in the box.
    pub(crate) fn is_defined(&self, expr: &Expr) -> bool {
        expr.bounds(&self.inputs).is_finite()
    }

    /// Whether `offset + scale·expr` surely has a value everywhere in the box, and none that is far
    /// from the target.
    pub(crate) fn is_tame(&self, expr: &Expr, scale: f64, offset: f64) -> bool {
        let bounds = expr.bounds(&self.inputs);
        bounds.is_finite()
            && self.target.is_none_or(|target| {
                let ends = [bounds.interval.lo(), bounds.interval.hi()];
                ends.iter()
                    .all(|&end| target.contains(scale.mul_add(end, offset)))
            })
    }

    /// The same for a formula as the search scales it.
    pub(crate) fn is_tame_scaled(&self, expr: &Expr, score: &Score) -> bool {
        self.is_tame(expr, score.scale, score.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{Loss, Measure};

    fn reach(loss: Loss) -> Reach {
        let x: Vec<f64> = (0..=20).map(|i| f64::from(i) / 10.0 - 1.0).collect();
        Reach::new(&Rows {
            target: x.clone(),
            columns: vec![x.iter().map(|x| 2.0 * x).collect(), x],
            weights: None,
            zero: 0.0,
            measure: Measure::of_table(loss),
        })
    }

    fn check(reach: &Reach, text: &str, defined: bool, tame: bool) {
        let expr = opcodon_expr::parse(text, Some(&["x", "z"]))
            .expect(text)
            .expr;
        assert_eq!(reach.is_defined(&expr), defined, "{text}");
        assert_eq!(reach.is_tame(&expr, 1.0, 0.0), tame, "{text}");
    }

    #[test]
    fn poles_explosions_and_needles_are_told_from_honest_formulas() {
        let squares = reach(Loss::Mse);
        for (text, defined, tame) in [
            ("0.5*x + z", true, true),
            ("x*z - 1", true, true),
            ("x^2*z + exp(z)", true, true),
            ("1/(x + 4)", true, true),
            ("1/(x - 0.3)", false, false),
            ("1/(x - 2.3)", false, false),
            ("exp(exp(2*x))", true, false),
            ("0.001*exp(9*sin(7*x)*z)", true, true),
            ("exp(9*sin(7*x)*z)", true, false),
        ] {
            check(&squares, text, defined, tame);
        }
        // The odds of a class may be anything.
        check(&reach(Loss::Logistic), "exp(exp(2*x))", true, true);
        // What counts is the formula as it is scaled.
        let expr = opcodon_expr::parse("exp(3*x)", Some(&["x", "z"]))
            .expect("formula")
            .expr;
        assert!(squares.is_tame(&expr, 0.1, 3.0));
        assert!(!squares.is_tame(&expr, 1.0, 0.0));
    }
}
