//! Rules of real numbers, which floating point keeps only nearly.
//!
//! Constants move outwards, where they meet: a term is seen as `factor * x` ([`Simplifier::scaled`]),
//! `±x + offset` ([`Simplifier::shifted`]) or `x ^ exponent` ([`Simplifier::powered`]), and sums and
//! products combine those.

use super::{Id, Simplifier};
use crate::op::Op;

/// Whether a number that a rule has computed may stand in for the computation: neither overflow
/// nor underflow has taken place.
fn is_usable(value: f64) -> bool {
    value.is_finite() && value != 0.0 && !value.is_subnormal()
}

/// A constant factor: a multiplier over a divisor. They are kept apart so that `x/3*y` becomes
/// `x*y/3`, not `0.3333333333333333*(x*y)`.
#[derive(Clone, Copy)]
struct Factor {
    multiplier: f64,
    divisor: f64,
}

impl Factor {
    const ONE: Factor = Factor {
        multiplier: 1.0,
        divisor: 1.0,
    };

    fn times(self, other: Factor) -> Option<Factor> {
        let multiplier = self.multiplier * other.multiplier;
        let divisor = self.divisor * other.divisor;
        let usable = is_usable(multiplier) && is_usable(divisor) && is_usable(multiplier / divisor);
        usable.then_some(Factor {
            multiplier,
            divisor,
        })
    }

    fn inverse(self) -> Factor {
        Factor {
            multiplier: self.divisor,
            divisor: self.multiplier,
        }
    }

    fn value(self) -> f64 {
        self.multiplier / self.divisor
    }

    fn of(multiplier: f64) -> Factor {
        Factor {
            multiplier,
            divisor: 1.0,
        }
    }
}

impl Simplifier {
    pub(super) fn algebraic(&mut self, op: Op, operands: &[Id]) -> Option<Id> {
        match (op, operands) {
            (Op::Add, &[a, b]) => self.sum(a, b),
            (Op::Sub, &[a, b]) => self.difference(a, b),
            (Op::Mul, &[a, b]) => self.product(a, b),
            (Op::Div, &[a, b]) => self.quotient(a, b),
            (Op::Neg, &[a]) => {
                if let Some((x, y)) = self.operands_of(Op::Sub, a) {
                    return Some(self.apply(Op::Sub, &[y, x]));
                }
                let (sign, x, offset) = self.shifted(a)?;
                Some(self.shift(-sign, x, -offset))
            }
            (Op::Inv, &[a]) => {
                if let Some((x, y)) = self.operands_of(Op::Div, a) {
                    return Some(self.apply(Op::Div, &[y, x]));
                }
                if let Some((factor, x)) = self.scaled(a)
                    && let Some(inverse) = Factor::ONE.times(factor.inverse())
                {
                    let dividend = self.constant(inverse.value());
                    return Some(self.apply(Op::Div, &[dividend, x]));
                }
                self.power_of_power(a, -1.0)
            }
            (Op::Square, &[a]) => self.power_of_power(a, 2.0),
            (Op::Cube, &[a]) => self.power_of_power(a, 3.0),
            (Op::Pow, &[a, b]) => {
                let exponent = self.graph.value(b)?;
                if let Some(id) = self.power_of_power(a, exponent) {
                    return Some(id);
                }
                let has_own_operator = [-1.0, 0.5, 1.0, 2.0, 3.0].contains(&exponent);
                has_own_operator.then(|| self.power(a, exponent))
            }
            (Op::Sqrt, &[a]) => {
                let x = self.operand_of(Op::Square, a)?;
                Some(self.apply(Op::Abs, &[x]))
            }
            (Op::Cbrt, &[a]) => self.operand_of(Op::Cube, a).or_else(|| self.outward(op, a)),
            (Op::Log, &[a]) => self.operand_of(Op::Exp, a),
            (Op::Exp, &[a]) => self.operand_of(Op::Log, a),
            (
                Op::Sin
                | Op::Tan
                | Op::Asin
                | Op::Atan
                | Op::Sinh
                | Op::Tanh
                | Op::Erf
                | Op::Sign
                | Op::Round,
                &[a],
            ) => self.outward(op, a),
            (Op::Cos | Op::Cosh, &[a]) => {
                let x = self
                    .operand_of(Op::Neg, a)
                    .or_else(|| self.operand_of(Op::Abs, a))?;
                Some(self.apply(op, &[x]))
            }
            (Op::Le | Op::Ge | Op::Eq, &[a, b]) if a == b => Some(self.constant(1.0)),
            (Op::Ne, &[a, b]) if a == b => Some(self.constant(0.0)),
            (Op::Pdiv, &[a, b]) if a == b => Some(self.constant(1.0)),
            _ => None,
        }
    }

    /// `op(-x)` as `-op(x)`.
    fn outward(&mut self, op: Op, a: Id) -> Option<Id> {
        let x = self.operand_of(Op::Neg, a)?;
        let value = self.apply(op, &[x]);
        Some(self.neg(value))
    }

    fn sum(&mut self, a: Id, b: Id) -> Option<Id> {
        for (a, b) in [(a, b), (b, a)] {
            if let Some(offset) = self.graph.value(b) {
                if offset == 0.0 {
                    return Some(a);
                }
                if let Some((sign, x, inner)) = self.shifted(a) {
                    return Some(self.shift(sign, x, inner + offset));
                }
            } else if let Some((sign, x, offset)) = self.shifted(a) {
                let rest = if sign > 0.0 {
                    self.apply(Op::Add, &[x, b])
                } else {
                    self.apply(Op::Sub, &[b, x])
                };
                return Some(self.shift(1.0, rest, offset));
            }
        }
        if self.graph.value(a).is_some() {
            return Some(self.graph.term(Op::Add, &[b, a], false));
        }
        self.like_terms(a, b, 1.0)
    }

    fn difference(&mut self, a: Id, b: Id) -> Option<Id> {
        if a == b {
            return Some(self.constant(0.0));
        }
        if let Some(offset) = self.graph.value(b) {
            if offset == 0.0 {
                return Some(a);
            }
            let (sign, x, inner) = self.shifted(a)?;
            return Some(self.shift(sign, x, inner - offset));
        }
        if let Some(offset) = self.graph.value(a) {
            if offset == 0.0 {
                return Some(self.neg(b));
            }
            let (sign, x, inner) = self.shifted(b)?;
            return Some(self.shift(-sign, x, offset - inner));
        }
        if let Some((sign, x, offset)) = self.shifted(a) {
            if sign > 0.0 {
                let rest = self.apply(Op::Sub, &[x, b]);
                return Some(self.shift(1.0, rest, offset));
            }
            let rest = self.apply(Op::Add, &[x, b]);
            return Some(self.shift(-1.0, rest, offset));
        }
        if let Some((sign, x, offset)) = self.shifted(b) {
            let op = if sign > 0.0 { Op::Sub } else { Op::Add };
            let rest = self.apply(op, &[a, x]);
            return Some(self.shift(1.0, rest, -offset));
        }
        if let Some(x) = self.operand_of(Op::Neg, a) {
            let sum = self.apply(Op::Add, &[x, b]);
            return Some(self.neg(sum));
        }
        self.like_terms(a, b, -1.0)
    }

    /// `p*x ± q*x` as `(p ± q)*x`.
    fn like_terms(&mut self, a: Id, b: Id, sign: f64) -> Option<Id> {
        let (p, x) = self.scaled(a).unwrap_or((Factor::ONE, a));
        let (q, y) = self.scaled(b).unwrap_or((Factor::ONE, b));
        let factor = p.value() + sign * q.value();
        if x != y || !(is_usable(factor) || factor == 0.0) {
            return None;
        }
        let factor = self.constant(factor);
        Some(self.apply(Op::Mul, &[factor, x]))
    }

    fn product(&mut self, a: Id, b: Id) -> Option<Id> {
        for (a, b) in [(a, b), (b, a)] {
            if let Some(factor) = self.graph.value(b) {
                if factor == 0.0 {
                    return Some(self.constant(0.0));
                }
                if let Some((c, y)) = self.reciprocal(a)
                    && let Some(dividend) = self.graph.value(c)
                    && is_usable(factor * dividend)
                {
                    let dividend = self.constant(factor * dividend);
                    return Some(self.apply(Op::Div, &[dividend, y]));
                }
                if let Some((inner, x)) = self.scaled(a)
                    && let Some(factor) = inner.times(Factor::of(factor))
                {
                    return Some(self.scale(factor, x));
                }
            } else if let Some((factor, x)) = self.scaled(a) {
                let rest = self.apply(Op::Mul, &[x, b]);
                return Some(self.scale(factor, rest));
            }
        }
        for (a, b) in [(a, b), (b, a)] {
            if let Some(y) = self.operand_of(Op::Inv, b) {
                return Some(self.apply(Op::Div, &[a, y]));
            }
        }
        for (a, b) in [(a, b), (b, a)] {
            if let Some((dividend, y)) = self.reciprocal(a)
                && self.graph.value(b).is_none()
            {
                let rest = self.apply(Op::Div, &[b, y]);
                return Some(self.apply(Op::Mul, &[dividend, rest]));
            }
        }
        if self.graph.value(b).is_some() {
            return Some(self.graph.term(Op::Mul, &[b, a], false));
        }
        let (x, p) = self.powered(a).unwrap_or((a, 1.0));
        let (y, q) = self.powered(b).unwrap_or((b, 1.0));
        (x == y).then(|| self.power(x, p + q))
    }

    fn quotient(&mut self, a: Id, b: Id) -> Option<Id> {
        if a == b {
            return Some(self.constant(1.0));
        }
        if self.graph.value(a) == Some(0.0) {
            return Some(self.constant(0.0));
        }
        if let Some(y) = self.operand_of(Op::Inv, b) {
            return Some(self.apply(Op::Mul, &[a, y]));
        }
        if let Some(dividend) = self.graph.value(a)
            && let Some((c, y)) = self.reciprocal(b)
            && let Some(inner) = self.graph.value(c)
            && is_usable(dividend / inner)
        {
            return Some(self.scale(
                Factor {
                    multiplier: dividend,
                    divisor: inner,
                },
                y,
            ));
        }
        if let Some((factor, x)) = self.scaled(a) {
            if let Some(divisor) = self.graph.value(b) {
                let factor = factor.times(Factor {
                    multiplier: 1.0,
                    divisor,
                })?;
                return Some(self.scale(factor, x));
            }
            let rest = self.apply(Op::Div, &[x, b]);
            return Some(self.scale(factor, rest));
        }
        if let Some((factor, y)) = self.scaled(b) {
            let factor = Factor::ONE.times(factor.inverse())?;
            let rest = self.apply(Op::Div, &[a, y]);
            return Some(self.scale(factor, rest));
        }
        if let Some((dividend, y)) = self.reciprocal(a) {
            if let Some(divisor) = self.graph.value(b) {
                let dividend = self.graph.value(dividend)? / divisor;
                if !is_usable(dividend) {
                    return None;
                }
                let dividend = self.constant(dividend);
                return Some(self.apply(Op::Div, &[dividend, y]));
            }
            let divisor = self.apply(Op::Mul, &[y, b]);
            return Some(self.apply(Op::Div, &[dividend, divisor]));
        }
        if let Some(y) = self.operand_of(Op::Inv, a) {
            if let Some(divisor) = self.graph.value(b) {
                let dividend = 1.0 / divisor;
                if !is_usable(dividend) {
                    return None;
                }
                let dividend = self.constant(dividend);
                return Some(self.apply(Op::Div, &[dividend, y]));
            }
            let divisor = self.apply(Op::Mul, &[y, b]);
            return Some(self.apply(Op::Inv, &[divisor]));
        }
        let (x, p) = self.powered(a).unwrap_or((a, 1.0));
        let (y, q) = self.powered(b).unwrap_or((b, 1.0));
        (x == y).then(|| self.power(x, p - q))
    }

    /// The number and y, if the term is `number / y`.
    fn reciprocal(&self, id: Id) -> Option<(Id, Id)> {
        let (dividend, y) = self.operands_of(Op::Div, id)?;
        self.graph.value(dividend).map(|_| (dividend, y))
    }

    /// The factor and x, if the term is `factor * x`, `x / divisor` or `-x`.
    fn scaled(&self, id: Id) -> Option<(Factor, Id)> {
        if let Some(x) = self.operand_of(Op::Neg, id) {
            return Some((Factor::of(-1.0), x));
        }
        let (factor, x) = if let Some((x, y)) = self.operands_of(Op::Mul, id) {
            match (self.graph.value(x), self.graph.value(y)) {
                (Some(multiplier), None) => (Factor::of(multiplier), y),
                (None, Some(multiplier)) => (Factor::of(multiplier), x),
                _ => return None,
            }
        } else {
            let (x, y) = self.operands_of(Op::Div, id)?;
            // See `reciprocal`.
            if self.graph.value(x).is_some() {
                return None;
            }
            (
                Factor {
                    multiplier: 1.0,
                    divisor: self.graph.value(y)?,
                },
                x,
            )
        };
        Some((Factor::ONE.times(factor)?, x))
    }

    fn scale(&mut self, factor: Factor, x: Id) -> Id {
        if factor.multiplier.abs() == 1.0 && factor.divisor != 1.0 {
            let divisor = self.constant(factor.multiplier * factor.divisor);
            return self.apply(Op::Div, &[x, divisor]);
        }
        let multiplier = self.constant(factor.value());
        self.apply(Op::Mul, &[multiplier, x])
    }

    /// Sign, x and offset, if the term is `x + offset`, `x - offset` or `offset - x`.
    fn shifted(&self, id: Id) -> Option<(f64, Id, f64)> {
        if let Some((x, y)) = self.operands_of(Op::Add, id) {
            return match (self.graph.value(x), self.graph.value(y)) {
                (Some(offset), None) => Some((1.0, y, offset)),
                (None, Some(offset)) => Some((1.0, x, offset)),
                _ => None,
            };
        }
        let (x, y) = self.operands_of(Op::Sub, id)?;
        match (self.graph.value(x), self.graph.value(y)) {
            (Some(offset), None) => Some((-1.0, y, offset)),
            (None, Some(offset)) => Some((1.0, x, -offset)),
            _ => None,
        }
    }

    /// `sign * x + offset`
    fn shift(&mut self, sign: f64, x: Id, offset: f64) -> Id {
        let offset = self.constant(offset);
        if sign > 0.0 {
            self.apply(Op::Add, &[x, offset])
        } else {
            self.apply(Op::Sub, &[offset, x])
        }
    }

    /// x and the exponent, if the term is a power with a constant exponent.
    fn powered(&self, id: Id) -> Option<(Id, f64)> {
        match self.graph.application(id)? {
            (Op::Inv, [x]) => Some((*x, -1.0)),
            (Op::Sqrt, [x]) => Some((*x, 0.5)),
            (Op::Square, [x]) => Some((*x, 2.0)),
            (Op::Cube, [x]) => Some((*x, 3.0)),
            (Op::Pow, [x, exponent]) => Some((*x, self.graph.value(*exponent)?)),
            _ => None,
        }
    }

    /// `x ^ exponent` by the operator for it, if there is one.
    fn power(&mut self, x: Id, exponent: f64) -> Id {
        let own = if exponent == 0.0 {
            return self.constant(1.0);
        } else if exponent == 1.0 {
            return x;
        } else if exponent == -1.0 {
            Op::Inv
        } else if exponent == 0.5 {
            Op::Sqrt
        } else if exponent == 2.0 {
            Op::Square
        } else if exponent == 3.0 {
            Op::Cube
        } else {
            let exponent = self.constant(exponent);
            return self.graph.term(Op::Pow, &[x, exponent], false);
        };
        self.apply(own, &[x])
    }

    /// `(x ^ p) ^ exponent` for integers, for which the exponents multiply; and what undoes a root.
    fn power_of_power(&mut self, a: Id, exponent: f64) -> Option<Id> {
        if exponent == 3.0
            && let Some(x) = self.operand_of(Op::Cbrt, a)
        {
            return Some(x);
        }
        let (x, inner) = self.powered(a)?;
        let integers = inner.fract() == 0.0 && exponent.fract() == 0.0;
        let undoes_root = inner == 0.5 && exponent == 2.0;
        (integers || undoes_root).then(|| self.power(x, inner * exponent))
    }
}
