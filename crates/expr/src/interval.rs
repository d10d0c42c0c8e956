//! Interval evaluation: bounds on the values of an expression over a box of inputs.
//!
//! A formula that fits all rows of a table may still have a pole between them. Evaluating it once
//! on intervals tells whether it can: `1/(1 + x*x)` cannot, whatever x is.
//!
//! # Invariant
//! For every row in the box, [`Expr::eval`] is within the bounds or NaN, and NaN only if
//! `may_be_undefined` says so. Bounds may be wider than necessary and the flag may be raised
//! needlessly, because an operator does not know what its operands have in common, save that they
//! are the same subtree.
//!
//! # How rounding is bounded
//! Operators whose `max_ulp` is 0 round a monotonic function, and that is monotonic too: their
//! bounds are the values at the corners. Others are a few units in the last place from monotonic,
//! so their bounds are moved outwards by [`SLACK_ULP`].
//!
//! Source of the rules: Hickey, Ju and van Emden, *Interval arithmetic: from principles to
//! implementation*, J. ACM 48 (2001); Keijzer (EuroGP 2003) for the use in symbolic regression.

use std::f64::consts::{FRAC_PI_2, PI};

use crate::op::Op;
use crate::tree::{Expr, Node};

/// Twice what a C library's function may err, with room to spare.
const SLACK_ULP: u32 = 8;

/// All numbers from `lo` to `hi`, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    lo: f64,
    hi: f64,
}

impl Interval {
    /// The whole line, infinities included.
    pub const WHOLE: Interval = Interval {
        lo: f64::NEG_INFINITY,
        hi: f64::INFINITY,
    };

    /// The interval between two numbers, in whichever order. The whole line if one is NaN.
    #[must_use]
    pub fn new(lo: f64, hi: f64) -> Interval {
        if lo <= hi {
            Interval { lo, hi }
        } else if hi < lo {
            Interval { lo: hi, hi: lo }
        } else {
            Interval::WHOLE
        }
    }

    /// The smallest interval with all these values, NaN apart. The whole line if there are none.
    #[must_use]
    pub fn hull(values: &[f64]) -> Interval {
        let numbers = values.iter().copied().filter(|value| !value.is_nan());
        let bounds = numbers.fold(None, |bounds, value| match bounds {
            None => Some(Interval {
                lo: value,
                hi: value,
            }),
            Some(Interval { lo, hi }) => Some(Interval {
                lo: lo.min(value),
                hi: hi.max(value),
            }),
        });
        bounds.unwrap_or(Interval::WHOLE)
    }

    /// The lower end.
    #[must_use]
    pub fn lo(self) -> f64 {
        self.lo
    }

    /// The upper end.
    #[must_use]
    pub fn hi(self) -> f64 {
        self.hi
    }

    /// Whether the number is in the interval.
    #[must_use]
    pub fn contains(self, value: f64) -> bool {
        self.lo <= value && value <= self.hi
    }

    fn point(value: f64) -> Interval {
        Interval {
            lo: value,
            hi: value,
        }
    }

    fn is_point(self) -> bool {
        self.lo == self.hi
    }

    /// The smallest interval with these values, of which those that are NaN do not count: they
    /// are what the flag is for.
    fn corners<const N: usize>(values: [f64; N]) -> Interval {
        Interval::hull(&values)
    }

    fn join(self, other: Interval) -> Interval {
        Interval {
            lo: self.lo.min(other.lo),
            hi: self.hi.max(other.hi),
        }
    }

    /// As many of the numbers as are in `range`; the nearest end of it, if there are none.
    fn clamp(self, lo: f64, hi: f64) -> Interval {
        Interval {
            lo: self.lo.clamp(lo, hi),
            hi: self.hi.clamp(lo, hi),
        }
    }

    fn abs(self) -> Interval {
        let ends = Interval::corners([self.lo.abs(), self.hi.abs()]);
        if self.contains(0.0) {
            Interval {
                lo: 0.0,
                hi: ends.hi,
            }
        } else {
            ends
        }
    }

    fn is_bounded(self) -> bool {
        self.lo.is_finite() && self.hi.is_finite()
    }

    /// Moved outwards for functions that are not exactly rounded.
    fn with_slack(self) -> Interval {
        let mut wide = self;
        for _ in 0..SLACK_ULP {
            wide = Interval {
                lo: wide.lo.next_down(),
                hi: wide.hi.next_up(),
            };
        }
        wide
    }

    /// The image under an increasing function that is exactly rounded.
    fn map(self, f: impl Fn(f64) -> f64) -> Interval {
        Interval::corners([f(self.lo), f(self.hi)])
    }

    /// Whether the interval surely, or by a rounding error perhaps, contains `phase + k * period`
    /// for a whole number k.
    fn meets(self, phase: f64, period: f64) -> bool {
        const FUZZ: f64 = 1e-6;
        let first = (self.lo - phase) / period - FUZZ;
        let last = (self.hi - phase) / period + FUZZ;
        last.floor() >= first
    }
}

/// Bounds on the values of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Within this every value is that is not NaN.
    pub interval: Interval,
    /// Whether somewhere in the box an operation may have no value (NaN) or a pole.
    pub may_be_undefined: bool,
}

impl Bounds {
    const UNKNOWN: Bounds = Bounds {
        interval: Interval::WHOLE,
        may_be_undefined: true,
    };

    /// Whether the values surely are finite numbers, over the whole box.
    #[must_use]
    pub fn is_finite(self) -> bool {
        !self.may_be_undefined && self.interval.is_bounded()
    }
}

/// An angle beyond which the position within a period is not worked out.
const LARGE_ANGLE: f64 = 1e8;

impl Expr {
    /// Bounds on the values over all rows whose i-th value is in `inputs[i]`. Variables without an
    /// interval may have any value but NaN.
    #[must_use]
    pub fn bounds(&self, inputs: &[Interval]) -> Bounds {
        let nodes = self.nodes();
        let mut sizes = Vec::new();
        self.subtree_sizes_into(&mut sizes);
        let mut stack: Vec<Bounds> = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            let bounds = match *node {
                Node::Const(value) if value.is_nan() => Bounds::UNKNOWN,
                Node::Const(value) => Bounds {
                    interval: Interval::point(value),
                    may_be_undefined: false,
                },
                Node::Var(index) => Bounds {
                    interval: inputs
                        .get(index as usize)
                        .copied()
                        .unwrap_or(Interval::WHOLE),
                    may_be_undefined: false,
                },
                Node::Op(op) => {
                    let operands = stack.len() - op.arity();
                    let bounds = if has_equal_operands(op, at, nodes, &sizes) {
                        apply_to_equals(op, stack[operands])
                    } else {
                        None
                    };
                    let bounds = bounds.unwrap_or_else(|| apply(op, &stack[operands..]));
                    stack.truncate(operands);
                    bounds
                }
            };
            stack.push(bounds);
        }
        stack[0]
    }
}

/// Whether the two operands of the node at `root` are the same subtree.
fn has_equal_operands(op: Op, root: usize, nodes: &[Node], sizes: &[u32]) -> bool {
    if op.arity() != 2 {
        return false;
    }
    let second = sizes[root - 1] as usize;
    let first = sizes[root - 1 - second] as usize;
    first == second && nodes[root - second..root] == nodes[root - 2 * second..root - second]
}

/// Bounds of `op(a, a)`, where it is worth knowing that both are the same.
fn apply_to_equals(op: Op, a: Bounds) -> Option<Bounds> {
    let x = a.interval;
    let (interval, undefined) = match op {
        Op::Mul => return Some(apply(Op::Square, &[a])),
        Op::Sub => (Interval::point(0.0), !x.is_bounded()),
        Op::Div => (Interval::point(1.0), !x.is_bounded() || x.contains(0.0)),
        _ => return None,
    };
    Some(Bounds {
        interval,
        may_be_undefined: a.may_be_undefined || undefined,
    })
}

/// Bounds of `op(operands)`.
fn apply(op: Op, operands: &[Bounds]) -> Bounds {
    let interval = |k: usize| operands.get(k).map_or(Interval::WHOLE, |b| b.interval);
    let (a, b, c) = (interval(0), interval(1), interval(2));
    let operand_undefined = operands.iter().any(|b| b.may_be_undefined);
    let (interval, undefined) = match op {
        Op::Add => sum(a, b),
        Op::Sub => sum(a, negated(b)),
        Op::Mul => product(a, b),
        Op::Div => quotient(a, b),
        Op::Neg => (negated(a), false),
        Op::Abs => (a.abs(), false),
        Op::Inv => quotient(Interval::point(1.0), a),
        Op::Square => (a.abs().map(|x| x * x), false),
        Op::Sqrt => (a.clamp(0.0, f64::INFINITY).map(f64::sqrt), a.lo < 0.0),
        Op::Psqrt => (a.abs().map(f64::sqrt), false),
        Op::Pow => power(a, b),
        Op::Exp => (monotonic(op, a).clamp(0.0, f64::INFINITY), false),
        Op::Expm1 => (monotonic(op, a).clamp(-1.0, f64::INFINITY), false),
        Op::Cube | Op::Cbrt | Op::Atan | Op::Sinh | Op::Floor | Op::Ceil | Op::Round | Op::Sign => {
            (monotonic(op, a), false)
        }
        Op::Log | Op::Log2 | Op::Log10 => (monotonic(op, a.clamp(0.0, f64::INFINITY)), a.lo <= 0.0),
        Op::Log1p => (monotonic(op, a.clamp(-1.0, f64::INFINITY)), a.lo <= -1.0),
        Op::Plog => {
            let logarithm = monotonic(Op::Log, a.abs());
            let with_zero = logarithm.join(Interval::point(0.0));
            (
                if a.contains(0.0) {
                    with_zero
                } else {
                    logarithm
                },
                false,
            )
        }
        Op::Sin => wave(Op::Sin, a, FRAC_PI_2),
        Op::Cos => wave(Op::Cos, a, 0.0),
        Op::Tan => {
            let pole = !small_angle(a) || a.meets(FRAC_PI_2, PI);
            (
                if pole {
                    Interval::WHOLE
                } else {
                    monotonic(op, a)
                },
                pole,
            )
        }
        Op::Asin | Op::Acos => (monotonic(op, a.clamp(-1.0, 1.0)), a.lo < -1.0 || a.hi > 1.0),
        Op::Atan2 => (angle(a, b), false),
        Op::Cosh => (monotonic(op, a.abs()).clamp(1.0, f64::INFINITY), false),
        Op::Tanh | Op::Erf => (monotonic(op, a).clamp(-1.0, 1.0), false),
        Op::Sigmoid => (monotonic(op, a).clamp(0.0, 1.0), false),
        Op::Min => (
            Interval {
                lo: a.lo.min(b.lo),
                hi: a.hi.min(b.hi),
            },
            false,
        ),
        Op::Max => (
            Interval {
                lo: a.lo.max(b.lo),
                hi: a.hi.max(b.hi),
            },
            false,
        ),
        Op::Mod => remainder(a, b),
        Op::Fma => {
            let (product, product_undefined) = product(a, b);
            let (_, undefined) = sum(product, c);
            let corners = |c: f64| {
                Interval::corners(
                    [(a.lo, b.lo), (a.lo, b.hi), (a.hi, b.lo), (a.hi, b.hi)].map(
                        // 0 times infinity is flagged; for what is near it the product may be anything.
                        |(a, b)| {
                            if a * b == 0.0 || (a * b).is_nan() {
                                c
                            } else {
                                a.mul_add(b, c)
                            }
                        },
                    ),
                )
            };
            (
                corners(c.lo).join(corners(c.hi)),
                product_undefined || undefined,
            )
        }
        Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Eq | Op::Ne => {
            (comparison(op, a, b, operand_undefined), false)
        }
        Op::If => return choice(operands),
        Op::Aq => quotient(a, b.abs().map(|x| (1.0 + x * x).sqrt())),
        Op::Pdiv => {
            if b.contains(0.0) {
                let quotient = if b.is_point() {
                    Interval::point(1.0)
                } else {
                    Interval::WHOLE
                };
                (quotient, !a.is_bounded() && !b.is_bounded())
            } else {
                quotient(a, b)
            }
        }
    };
    Bounds {
        interval,
        may_be_undefined: operand_undefined || undefined,
    }
}

/// The image under a function of one operand that is monotonic on the interval.
fn monotonic(op: Op, a: Interval) -> Interval {
    let image = a.map(|x| op.reference(&[x]));
    if op.max_ulp() == 0 {
        image
    } else {
        image.with_slack()
    }
}

fn negated(a: Interval) -> Interval {
    Interval {
        lo: -a.hi,
        hi: -a.lo,
    }
}

fn sum(a: Interval, b: Interval) -> (Interval, bool) {
    // The sum of opposite infinities.
    let undefined = (a.lo == f64::NEG_INFINITY && b.hi == f64::INFINITY)
        || (a.hi == f64::INFINITY && b.lo == f64::NEG_INFINITY);
    let (lo, hi) = (a.lo + b.lo, a.hi + b.hi);
    let lo = if lo.is_nan() { f64::NEG_INFINITY } else { lo };
    let hi = if hi.is_nan() { f64::INFINITY } else { hi };
    (Interval { lo, hi }, undefined)
}

fn product(a: Interval, b: Interval) -> (Interval, bool) {
    let undefined = (a.contains(0.0) && !b.is_bounded()) || (b.contains(0.0) && !a.is_bounded());
    // Zero times an infinite end is the limit of zero times finite numbers.
    let times = |x: f64, y: f64| if x == 0.0 || y == 0.0 { 0.0 } else { x * y };
    let corners = [
        times(a.lo, b.lo),
        times(a.lo, b.hi),
        times(a.hi, b.lo),
        times(a.hi, b.hi),
    ];
    (Interval::corners(corners), undefined)
}

fn quotient(a: Interval, b: Interval) -> (Interval, bool) {
    if b.contains(0.0) {
        // Zero has either sign, so both infinities are possible.
        return (Interval::WHOLE, true);
    }
    let corners = [a.lo / b.lo, a.lo / b.hi, a.hi / b.lo, a.hi / b.hi];
    (
        Interval::corners(corners),
        !a.is_bounded() && !b.is_bounded(),
    )
}

fn power(a: Interval, b: Interval) -> (Interval, bool) {
    let pow = |x: f64, y: f64| Op::Pow.reference(&[x, y]);
    if b.contains(0.0) && b.is_point() {
        return (Interval::point(1.0), false);
    }
    if a.contains(0.0) && b.lo < 0.0 {
        return (Interval::WHOLE, true);
    }
    let corners = |a: Interval| {
        // The logarithm of a power is a product of both operands, so extremes are at corners.
        let corners = [
            pow(a.lo, b.lo),
            pow(a.lo, b.hi),
            pow(a.hi, b.lo),
            pow(a.hi, b.hi),
        ];
        Interval::corners(corners)
            .with_slack()
            .clamp(0.0, f64::INFINITY)
    };
    if a.lo >= 0.0 {
        return (corners(a), false);
    }
    let magnitude = corners(a.abs());
    let is_integer = b.is_point() && b.lo.fract() == 0.0 && b.lo.is_finite();
    if !is_integer {
        return (negated(magnitude).join(magnitude), true);
    }
    let is_even = b.lo % 2.0 == 0.0;
    let image = if is_even {
        magnitude
    } else {
        // Increasing or decreasing, with no pole in between.
        Interval::corners([pow(a.lo, b.lo), pow(a.hi, b.lo)]).with_slack()
    };
    (image, false)
}

fn small_angle(a: Interval) -> bool {
    -LARGE_ANGLE < a.lo && a.hi < LARGE_ANGLE
}

/// Sine or cosine, whose maximum is at `crest`.
fn wave(op: Op, a: Interval, crest: f64) -> (Interval, bool) {
    if !small_angle(a) {
        return (Interval { lo: -1.0, hi: 1.0 }, !a.is_bounded());
    }
    let mut image = monotonic(op, a).clamp(-1.0, 1.0);
    if a.meets(crest, 2.0 * PI) {
        image.hi = 1.0;
    }
    if a.meets(crest + PI, 2.0 * PI) {
        image.lo = -1.0;
    }
    (image, false)
}

/// `atan2(y, x)`
fn angle(y: Interval, x: Interval) -> Interval {
    let turn = Interval { lo: -PI, hi: PI };
    if x.lo <= 0.0 && y.contains(0.0) {
        return turn;
    }
    // Away from the cut along the negative axis the angle is monotonic in each operand.
    let angle = |y: f64, x: f64| Op::Atan2.reference(&[y, x]);
    let corners = [
        angle(y.lo, x.lo),
        angle(y.lo, x.hi),
        angle(y.hi, x.lo),
        angle(y.hi, x.hi),
    ];
    let image = Interval::corners(corners).with_slack();
    image.clamp(turn.lo, turn.hi)
}

/// `mod(a, b)`: between zero and the divisor.
fn remainder(a: Interval, b: Interval) -> (Interval, bool) {
    let undefined = b.contains(0.0) || !a.is_bounded();
    if !undefined && a.lo >= 0.0 && a.hi < b.lo {
        return (a, false);
    }
    (b.join(Interval::point(0.0)), undefined)
}

fn comparison(op: Op, a: Interval, b: Interval, may_be_nan: bool) -> Interval {
    let surely = |op: Op| match op {
        Op::Lt => a.hi < b.lo,
        Op::Le => a.hi <= b.lo,
        Op::Gt => a.lo > b.hi,
        Op::Ge => a.lo >= b.hi,
        Op::Eq => a.is_point() && a == b,
        _ => a.hi < b.lo || a.lo > b.hi,
    };
    let opposite = match op {
        Op::Lt => Op::Ge,
        Op::Le => Op::Gt,
        Op::Gt => Op::Le,
        Op::Ge => Op::Lt,
        Op::Eq => Op::Ne,
        _ => Op::Eq,
    };
    // Compared with NaN everything is false but `!=`.
    let result_for_nan = if op == Op::Ne { 1.0 } else { 0.0 };
    let result = if surely(op) {
        Interval::point(1.0)
    } else if surely(opposite) {
        Interval::point(0.0)
    } else {
        Interval { lo: 0.0, hi: 1.0 }
    };
    if may_be_nan {
        result.join(Interval::point(result_for_nan))
    } else {
        result
    }
}

fn choice(operands: &[Bounds]) -> Bounds {
    let &[condition, then, otherwise] = operands else {
        return Bounds::UNKNOWN;
    };
    let chosen = if !condition.interval.contains(0.0) {
        then
    } else if condition.interval.is_point() && !condition.may_be_undefined {
        otherwise
    } else {
        Bounds {
            interval: then.interval.join(otherwise.interval),
            may_be_undefined: then.may_be_undefined || otherwise.may_be_undefined,
        }
    };
    Bounds {
        may_be_undefined: chosen.may_be_undefined || condition.may_be_undefined,
        ..chosen
    }
}
