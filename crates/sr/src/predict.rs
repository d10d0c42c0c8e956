//! What formulas say for rows: machine code where there is some, else the reference evaluator.

use std::sync::OnceLock;

use opcodon_expr::{Expr, Node, Op};
use opcodon_jit::{Batch, Goal, JitError, Panel, Tier};

use crate::error::SrError;

/// The operators that the best tier has no machine code for, as bits; `None` without any tier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coverage {
    pub(crate) tier: Tier,
    missing: u64,
}

impl Coverage {
    /// Asked once a process.
    pub(crate) fn get() -> Option<Self> {
        static COVERAGE: OnceLock<Option<Coverage>> = OnceLock::new();
        *COVERAGE.get_or_init(|| {
            let tier = Tier::best().ok()?;
            let mut batch = Batch::<f64>::new(tier).ok()?;
            let goals = [
                Goal::Moments {
                    target: 3,
                    weight: None,
                },
                Goal::NormalEquations {
                    target: 3,
                    weight: None,
                },
            ];
            let missing = Op::ALL
                .iter()
                .filter(|op| {
                    // A constant argument, so that the derivative is compiled as well.
                    let mut arguments = vec![Expr::constant(0.5)];
                    arguments.extend([Expr::var(0), Expr::var(1)]);
                    let expr = Expr::apply(**op, &arguments[..op.arity()]);
                    goals
                        .iter()
                        .any(|&goal| batch.compile([&expr], 3, goal).is_err())
                })
                .fold(0, |bits, &op| bits | bit(op));
            Some(Self { tier, missing })
        })
    }

    pub(crate) fn covers(self, expr: &Expr) -> bool {
        self.missing == 0
            || expr.nodes().iter().all(|node| match node {
                Node::Op(op) => self.missing & bit(*op) == 0,
                _ => true,
            })
    }
}

const _: () = assert!(Op::ALL.len() <= 64, "operators are kept as bits");

fn bit(op: Op) -> u64 {
    1 << (op as u8)
}

pub(crate) fn compile_error(error: JitError) -> SrError {
    SrError::Compile(Box::new(error))
}

/// What formulas are evaluated with.
pub(crate) fn tier_name() -> String {
    match Coverage::get() {
        None => "reference".to_owned(),
        Some(Coverage { tier, missing: 0 }) => tier.name().to_owned(),
        Some(Coverage { tier, .. }) => format!("{} and reference", tier.name()),
    }
}

/// Values of a formula at rows given as columns.
pub(crate) fn predict(expr: &Expr, columns: &[&[f64]], n_rows: usize) -> Result<Vec<f64>, SrError> {
    Predictor::new(columns, n_rows)?.predict(expr)
}

/// Values of any number of formulas at the same rows, which are packed for kernels once.
#[derive(Debug)]
pub(crate) struct Predictor<'a> {
    columns: &'a [&'a [f64]],
    n_rows: usize,
    compiled: Option<(Coverage, Panel<f64>, Batch<f64>)>,
}

impl<'a> Predictor<'a> {
    pub(crate) fn new(columns: &'a [&'a [f64]], n_rows: usize) -> Result<Self, SrError> {
        let compiled = match (Coverage::get(), Panel::from_columns(columns)) {
            (Some(coverage), Ok(panel)) if n_rows > 0 => {
                let batch = Batch::new(coverage.tier).map_err(compile_error)?;
                Some((coverage, panel, batch))
            }
            _ => None,
        };
        Ok(Self {
            columns,
            n_rows,
            compiled,
        })
    }

    pub(crate) fn predict(&mut self, expr: &Expr) -> Result<Vec<f64>, SrError> {
        if let Some((coverage, panel, batch)) = &mut self.compiled
            && coverage.covers(expr)
        {
            batch
                .compile([expr], self.columns.len(), Goal::Predict)
                .map_err(compile_error)?;
            let mut out = vec![0.0; self.n_rows];
            batch.predict(0, panel, &mut out).map_err(compile_error)?;
            return Ok(out);
        }
        if expr.n_variables() == 0 {
            return Ok(vec![expr.eval(&[]); self.n_rows]);
        }
        Ok(expr.eval_columns(self.columns))
    }
}
