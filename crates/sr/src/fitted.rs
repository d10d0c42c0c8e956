//! A formula whose constants are fitted, all of them or some while the others are held.
//!
//! Whoever evaluates a formula takes and gives all its constants, and Levenberg-Marquardt sees those
//! only that are free; in between, what is held is put in and taken out.

use opcodon_expr::Expr;
use opcodon_jit::NormalEquations;

use crate::constants::{Effort, Fit, LevenbergMarquardt, keep_only};

/// A formula and which of its constants are fitted: all of them if nothing is said.
pub(crate) type Task<'a> = (&'a Expr, Option<Vec<usize>>);

/// A task, and from where it goes how far.
pub(crate) struct Fitted<'a> {
    pub(crate) task: &'a Task<'a>,
    pub(crate) begun: Option<Fit>,
    pub(crate) effort: Effort,
}

impl Fitted<'_> {
    /// The fit in some of the constants; `normal` takes and gives all of them.
    pub(crate) fn run(
        self,
        steps: &mut LevenbergMarquardt,
        mut normal: impl FnMut(&[f64], &mut NormalEquations) -> Option<()>,
    ) -> Option<Fit> {
        let (expr, free) = self.task;
        let mut constants = expr.constants();
        let start = match free {
            Some(free) => free.iter().map(|&i| constants[i]).collect(),
            None => constants.clone(),
        };
        let of_free = |theta: &[f64], equations: &mut NormalEquations| {
            let Some(free) = free else {
                return normal(theta, equations).is_some();
            };
            for (&i, &value) in free.iter().zip(theta) {
                constants[i] = value;
            }
            let told = normal(&constants, equations).is_some();
            if told {
                keep_only(equations, free);
            }
            told
        };
        match self.begun {
            None => steps.fit(start, self.effort, of_free),
            Some(mut fit) => {
                steps.go_on(&mut fit, self.effort, of_free);
                Some(fit)
            }
        }
    }
}
