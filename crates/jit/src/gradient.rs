//! Derivatives in the constants: reverse-mode adjoints appended to a tape.
//!
//! Fitting the constants of a tree by least squares needs, at every row, the residual and its
//! derivative in each constant. Walking the tape backwards with the chain rule costs a small
//! multiple of the tape itself, however many constants there are (Griewank & Walther,
//! “Evaluating Derivatives”, 2nd ed., ch. 3). The walk only follows paths that lead to a
//! constant. The result is a longer tape, compiled like any other, whose kernel folds the outer
//! product of all derivatives and the residual: JᵀJ, Jᵀr and rᵀr leave it, columns never do.
//!
//! Where a function has no derivative (a step of `floor`, the tip of `abs`) the derivative is
//! that of one side, or 0.

use opcodon_expr::Op;

use crate::panel::Line;
use crate::tape::{Arg, Tape, index};

/// The most constants for which normal equations are compiled: the code grows with the square.
pub(crate) const MAX_CONSTANTS: usize = 64;

/// Sums over all rows that a Gauss–Newton or Levenberg–Marquardt step needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NormalEquations {
    /// Number of constants, k.
    pub n: usize,
    /// JᵀJ, k × k, row by row; symmetric.
    pub jtj: Vec<f64>,
    /// Jᵀr with residuals r = p − y; half the gradient of the sum of squares.
    pub jtr: Vec<f64>,
    /// rᵀr, the sum of squares.
    pub rss: f64,
}

impl NormalEquations {
    /// Takes over the upper triangle of the (n + 1) × (n + 1) outer product.
    pub(crate) fn read_triangle(&mut self, n: usize, triangle: &[f64]) {
        self.n = n;
        self.jtj.resize(n * n, 0.0);
        self.jtr.resize(n, 0.0);
        let mut cells = triangle.iter().copied();
        for row in 0..n {
            for column in row..n {
                let cell = cells.next().unwrap_or_default();
                self.jtj[row * n + column] = cell;
                self.jtj[column * n + row] = cell;
            }
            self.jtr[row] = cells.next().unwrap_or_default();
        }
        self.rss = cells.next().unwrap_or_default();
    }
}

/// Memory in which normal equations are formed, so that a fit of many steps allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// Sums, and derivatives of some rows.
    pub(crate) rows: Vec<Line>,
    pub(crate) sums: Vec<f64>,
}

/// A derivative on its way down; most start as 1 and need no multiplication.
#[derive(Clone, Copy, Debug)]
enum Adjoint {
    One,
    Arg(Arg),
}

/// Appends derivatives to a tape.
struct Builder<'a> {
    tape: &'a mut Tape,
    /// The node that the steps being added belong to.
    node: u32,
}

impl Builder<'_> {
    fn op(&mut self, op: Op, args: &[Arg]) -> Arg {
        // The derivatives in both operands of a quotient begin with the same division.
        if let Some(last) = self.tape.steps.last()
            && last.op == op
            && last.operands() == args
        {
            return Arg::Value(index(self.tape.steps.len() - 1));
        }
        self.tape.push(op, args, self.node)
    }

    /// A number, as an element of the constant vector after the tree's own.
    fn number(&mut self, value: f64) -> Arg {
        self.tape.constants.push(value);
        Arg::Const(index(self.tape.constants.len() - 1))
    }

    /// g · factor.
    fn times(&mut self, g: Adjoint, factor: Arg) -> Arg {
        match g {
            Adjoint::One => factor,
            Adjoint::Arg(g) => self.op(Op::Mul, &[g, factor]),
        }
    }

    /// g / divisor.
    fn over(&mut self, g: Adjoint, divisor: Arg) -> Arg {
        match g {
            Adjoint::One => self.op(Op::Inv, &[divisor]),
            Adjoint::Arg(g) => self.op(Op::Div, &[g, divisor]),
        }
    }

    fn arg(&mut self, g: Adjoint) -> Arg {
        match g {
            Adjoint::One => self.number(1.0),
            Adjoint::Arg(g) => g,
        }
    }

    fn neg(&mut self, g: Adjoint) -> Arg {
        match g {
            Adjoint::One => self.number(-1.0),
            Adjoint::Arg(g) => self.op(Op::Neg, &[g]),
        }
    }

    /// 1 ± x².
    fn one_and_square(&mut self, op: Op, x: Arg) -> Arg {
        let square = self.op(Op::Square, &[x]);
        let one = self.number(1.0);
        self.op(op, &[one, square])
    }

    /// g · ∂op/∂args\[k\], given the operands and the value v = op(args).
    fn partial(&mut self, op: Op, k: usize, args: &[Arg], v: Arg, g: Adjoint) -> Option<Arg> {
        let a = args[0];
        let derivative = match op {
            Op::Add => self.arg(g),
            Op::Sub if k == 0 => self.arg(g),
            Op::Sub => self.neg(g),
            Op::Mul => self.times(g, args[1 - k]),
            Op::Div if k == 0 => self.over(g, args[1]),
            Op::Div => {
                let g = self.over(g, args[1]);
                let slope = self.op(Op::Mul, &[g, v]);
                self.op(Op::Neg, &[slope])
            }
            Op::Neg => self.neg(g),
            Op::Abs => {
                let sign = self.op(Op::Sign, &[a]);
                self.times(g, sign)
            }
            Op::Inv => {
                let square = self.op(Op::Square, &[v]);
                let slope = self.op(Op::Neg, &[square]);
                self.times(g, slope)
            }
            Op::Square => {
                let slope = self.op(Op::Add, &[a, a]);
                self.times(g, slope)
            }
            Op::Cube => {
                let square = self.op(Op::Square, &[a]);
                let three = self.number(3.0);
                let slope = self.op(Op::Mul, &[square, three]);
                self.times(g, slope)
            }
            Op::Sqrt => {
                let twice = self.op(Op::Add, &[v, v]);
                self.over(g, twice)
            }
            Op::Cbrt => {
                let square = self.op(Op::Square, &[v]);
                let three = self.number(3.0);
                let slope = self.op(Op::Mul, &[square, three]);
                self.over(g, slope)
            }
            Op::Pow if k == 0 => {
                let one = self.number(1.0);
                let less = self.op(Op::Sub, &[args[1], one]);
                let power = self.op(Op::Pow, &[a, less]);
                let slope = self.op(Op::Mul, &[args[1], power]);
                self.times(g, slope)
            }
            Op::Pow => {
                // The logarithm of |a|: an integer power of a negative number has a value, and
                // a constant exponent must not turn its whole column into NaN.
                let log = self.op(Op::Plog, &[a]);
                let slope = self.op(Op::Mul, &[v, log]);
                self.times(g, slope)
            }
            Op::Exp => self.times(g, v),
            Op::Expm1 => {
                let one = self.number(1.0);
                let slope = self.op(Op::Add, &[v, one]);
                self.times(g, slope)
            }
            Op::Log => self.over(g, a),
            Op::Log2 | Op::Log10 => {
                let base = if op == Op::Log2 { 2.0f64 } else { 10.0 };
                let base = self.number(base.ln());
                let slope = self.op(Op::Mul, &[a, base]);
                self.over(g, slope)
            }
            Op::Log1p => {
                let one = self.number(1.0);
                let slope = self.op(Op::Add, &[a, one]);
                self.over(g, slope)
            }
            Op::Sin => {
                let slope = self.op(Op::Cos, &[a]);
                self.times(g, slope)
            }
            Op::Cos => {
                let sin = self.op(Op::Sin, &[a]);
                let slope = self.op(Op::Neg, &[sin]);
                self.times(g, slope)
            }
            Op::Tan => {
                let slope = self.one_and_square(Op::Add, v);
                self.times(g, slope)
            }
            Op::Asin | Op::Acos => {
                let square = self.one_and_square(Op::Sub, a);
                let slope = self.op(Op::Sqrt, &[square]);
                let rising = self.over(g, slope);
                if op == Op::Asin {
                    rising
                } else {
                    self.op(Op::Neg, &[rising])
                }
            }
            Op::Atan => {
                let slope = self.one_and_square(Op::Add, a);
                self.over(g, slope)
            }
            Op::Atan2 => {
                let (y, x) = (a, args[1]);
                let (yy, xx) = (self.op(Op::Square, &[y]), self.op(Op::Square, &[x]));
                let norm = self.op(Op::Add, &[yy, xx]);
                let slope = self.op(Op::Div, &[args[1 - k], norm]);
                let slope = self.times(g, slope);
                if k == 0 {
                    slope
                } else {
                    self.op(Op::Neg, &[slope])
                }
            }
            Op::Sinh => {
                let slope = self.op(Op::Cosh, &[a]);
                self.times(g, slope)
            }
            Op::Cosh => {
                let slope = self.op(Op::Sinh, &[a]);
                self.times(g, slope)
            }
            Op::Tanh => {
                let slope = self.one_and_square(Op::Sub, v);
                self.times(g, slope)
            }
            Op::Sigmoid => {
                let one = self.number(1.0);
                let rest = self.op(Op::Sub, &[one, v]);
                let slope = self.op(Op::Mul, &[v, rest]);
                self.times(g, slope)
            }
            Op::Erf => {
                let square = self.op(Op::Square, &[a]);
                let exponent = self.op(Op::Neg, &[square]);
                let bell = self.op(Op::Exp, &[exponent]);
                let scale = self.number(std::f64::consts::FRAC_2_SQRT_PI);
                let slope = self.op(Op::Mul, &[bell, scale]);
                self.times(g, slope)
            }
            Op::Min | Op::Max => {
                let first = if op == Op::Min { Op::Le } else { Op::Ge };
                let second = if op == Op::Min { Op::Gt } else { Op::Lt };
                let chosen = self.op(if k == 0 { first } else { second }, &[a, args[1]]);
                self.times(g, chosen)
            }
            Op::Mod if k == 0 => self.arg(g),
            Op::Mod => {
                let quotient = self.op(Op::Div, &[a, args[1]]);
                let whole = self.op(Op::Floor, &[quotient]);
                let slope = self.op(Op::Neg, &[whole]);
                self.times(g, slope)
            }
            Op::Fma if k == 2 => self.arg(g),
            Op::Fma => self.times(g, args[1 - k]),
            Op::If if k == 0 => return None,
            Op::If => {
                let (g, zero) = (self.arg(g), self.number(0.0));
                let branches = if k == 1 { [a, g, zero] } else { [a, zero, g] };
                self.op(Op::If, &branches)
            }
            Op::Aq => {
                let norm = self.one_and_square(Op::Add, args[1]);
                if k == 0 {
                    let root = self.op(Op::Sqrt, &[norm]);
                    self.over(g, root)
                } else {
                    let share = self.op(Op::Div, &[args[1], norm]);
                    let slope = self.op(Op::Mul, &[v, share]);
                    let slope = self.times(g, slope);
                    self.op(Op::Neg, &[slope])
                }
            }
            Op::Pdiv => {
                let zero = self.number(0.0);
                let mut slope = self.over(g, args[1]);
                if k == 1 {
                    let steep = self.op(Op::Mul, &[slope, v]);
                    slope = self.op(Op::Neg, &[steep]);
                }
                self.op(Op::If, &[args[1], slope, zero])
            }
            Op::Plog => {
                let (slope, zero) = (self.over(g, a), self.number(0.0));
                self.op(Op::If, &[a, slope, zero])
            }
            Op::Psqrt => {
                let (sign, zero) = (self.op(Op::Sign, &[a]), self.number(0.0));
                let (rising, twice) = (self.times(g, sign), self.op(Op::Add, &[v, v]));
                let slope = self.op(Op::Div, &[rising, twice]);
                self.op(Op::If, &[a, slope, zero])
            }
            Op::Floor | Op::Ceil | Op::Round | Op::Sign => return None,
            Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Eq | Op::Ne => return None,
        };
        Some(derivative)
    }
}

/// Memory that is reused from one tape to the next.
#[derive(Debug, Default)]
pub(crate) struct Adjoints {
    /// Which values depend on a constant: only these have adjoints.
    active: Vec<bool>,
    of_values: Vec<Option<Adjoint>>,
    of_constants: Vec<Option<Adjoint>>,
}

/// Replaces the output p of a tree's tape by ∂p/∂c for each of its constants, then p − y.
pub(crate) fn extend(tape: &mut Tape, adjoints: &mut Adjoints, target: u32) {
    let n_constants = tape.constants.len();
    let n_steps = tape.steps.len();
    let Adjoints {
        active,
        of_values,
        of_constants,
    } = adjoints;
    active.clear();
    active.resize(n_steps, false);
    for value in 0..n_steps {
        active[value] = tape.steps[value].operands().iter().any(|arg| match *arg {
            Arg::Value(operand) => active[operand as usize],
            Arg::Const(_) => true,
            Arg::Column(_) => false,
        });
    }
    // In a tree each value, and each constant, is used once: adjoints are set, never summed.
    of_values.clear();
    of_values.resize(n_steps, None);
    of_constants.clear();
    of_constants.resize(n_constants, None);
    let output = tape.outputs[0];
    match output {
        Arg::Value(value) => of_values[value as usize] = Some(Adjoint::One),
        Arg::Const(constant) => of_constants[constant as usize] = Some(Adjoint::One),
        Arg::Column(_) => {}
    }
    let mut builder = Builder { tape, node: 0 };
    for value in (0..n_steps).rev() {
        let Some(g) = of_values[value] else { continue };
        let step = builder.tape.steps[value];
        builder.node = step.node;
        for (k, arg) in step.operands().iter().enumerate() {
            let place = match *arg {
                Arg::Value(operand) if active[operand as usize] => &mut of_values[operand as usize],
                Arg::Const(constant) => &mut of_constants[constant as usize],
                _ => continue,
            };
            let v = Arg::Value(index(value));
            *place = builder
                .partial(step.op, k, step.operands(), v, g)
                .map(Adjoint::Arg);
        }
    }
    builder.tape.outputs.clear();
    for derivative in of_constants {
        let derivative = match *derivative {
            Some(g) => builder.arg(g),
            None => builder.number(0.0),
        };
        builder.tape.outputs.push(derivative);
    }
    let residual = builder.op(Op::Sub, &[output, Arg::Column(target)]);
    tape.outputs.push(residual);
    // Kept twice, no output stays in the register that steps use among themselves.
    tape.outputs.extend_from_within(..);
    tape.finish();
    tape.outputs.truncate(n_constants + 1);
}
