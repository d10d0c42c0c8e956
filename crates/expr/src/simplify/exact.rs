//! Rules that IEEE 754 grants: they keep every value to the bit, NaN apart.
//!
//! Negations move outwards, where they meet and cancel: rounding is symmetric, so a product or a
//! quotient does not mind. A sum does mind, for `-(a + b)` and `-a - b` differ when they are zero.

use super::{Id, Simplifier};
use crate::op::Op;

fn is(value: Option<f64>, bits_of: f64) -> bool {
    value.is_some_and(|value| value.to_bits() == bits_of.to_bits())
}

impl Simplifier {
    pub(super) fn exact(&mut self, op: Op, operands: &[Id]) -> Option<Id> {
        match (op, operands) {
            (Op::Add, &[a, b]) => self.exact_sum(a, b),
            (Op::Sub, &[a, b]) => self.exact_difference(a, b),
            (Op::Mul, &[a, b]) => self.exact_product(a, b),
            (Op::Div, &[a, b]) => self.exact_quotient(a, b),
            (Op::Neg, &[a]) => self.exact_negation(a),
            (Op::Inv, &[a]) => {
                let x = self.operand_of(Op::Neg, a)?;
                let inverse = self.apply(Op::Inv, &[x]);
                Some(self.neg(inverse))
            }
            (Op::Cube, &[a]) => {
                let x = self.operand_of(Op::Neg, a)?;
                let cube = self.apply(Op::Cube, &[x]);
                Some(self.neg(cube))
            }
            (Op::Abs, &[a]) if self.is_never_negative(a) => Some(a),
            (Op::Abs | Op::Square | Op::Psqrt | Op::Plog, &[a]) => {
                let x = self.without_sign(a)?;
                Some(self.apply(op, &[x]))
            }
            (Op::Floor | Op::Ceil | Op::Round, &[a]) if self.is_integer(a) => Some(a),
            (Op::Sign, &[a]) => self.operand_of(Op::Sign, a).map(|_| a),
            (Op::Min | Op::Max, &[a, b]) if a == b => Some(a),
            (Op::Lt | Op::Gt, &[a, b]) if a == b => Some(self.constant(0.0)),
            (Op::Pow, &[a, b]) => {
                // IEEE 754 (9.2.1): even for a NaN in the other operand.
                let is_one = self.graph.value(b) == Some(0.0) || self.graph.value(a) == Some(1.0);
                is_one.then(|| self.constant(1.0))
            }
            (Op::Fma, &[a, b, c]) => self.exact_fma(a, b, c),
            (Op::If, &[a, b, c]) => self.exact_if(a, b, c),
            (Op::Aq, &[a, b]) => {
                if let Some(y) = self.without_sign(b) {
                    return Some(self.apply(Op::Aq, &[a, y]));
                }
                let x = self.operand_of(Op::Neg, a)?;
                let quotient = self.apply(Op::Aq, &[x, b]);
                Some(self.neg(quotient))
            }
            (Op::Pdiv, &[a, b]) => {
                let divisor = self.graph.value(b)?;
                if divisor == 0.0 {
                    return Some(self.constant(1.0));
                }
                Some(self.apply(Op::Div, &[a, b]))
            }
            _ => None,
        }
    }

    fn exact_sum(&mut self, a: Id, b: Id) -> Option<Id> {
        for (a, b) in [(a, b), (b, a)] {
            // Not +0, which would turn -0 into +0.
            if is(self.graph.value(b), -0.0) {
                return Some(a);
            }
            if let Some(y) = self.operand_of(Op::Neg, b) {
                return Some(self.apply(Op::Sub, &[a, y]));
            }
            if let Some(value) = self.graph.value(b)
                && value < 0.0
            {
                let positive = self.constant(-value);
                return Some(self.apply(Op::Sub, &[a, positive]));
            }
        }
        None
    }

    fn exact_difference(&mut self, a: Id, b: Id) -> Option<Id> {
        if is(self.graph.value(b), 0.0) {
            return Some(a);
        }
        if is(self.graph.value(a), -0.0) {
            return Some(self.neg(b));
        }
        if let Some(y) = self.operand_of(Op::Neg, b) {
            return Some(self.apply(Op::Add, &[a, y]));
        }
        let value = self.graph.value(b).filter(|value| *value < 0.0)?;
        let positive = self.constant(-value);
        Some(self.apply(Op::Add, &[a, positive]))
    }

    fn exact_product(&mut self, a: Id, b: Id) -> Option<Id> {
        if a == b {
            return Some(self.apply(Op::Square, &[a]));
        }
        for (a, b) in [(a, b), (b, a)] {
            if self.operand_of(Op::Square, b) == Some(a) {
                return Some(self.apply(Op::Cube, &[a]));
            }
            if let Some(factor) = self.graph.value(b) {
                if factor == 1.0 {
                    return Some(a);
                }
                if factor == -1.0 {
                    return Some(self.neg(a));
                }
                if let Some(x) = self.operand_of(Op::Neg, a) {
                    let factor = self.constant(-factor);
                    return Some(self.apply(Op::Mul, &[factor, x]));
                }
            }
        }
        match (self.operand_of(Op::Neg, a), self.operand_of(Op::Neg, b)) {
            (Some(x), Some(y)) => Some(self.apply(Op::Mul, &[x, y])),
            (Some(x), None) => {
                let product = self.apply(Op::Mul, &[x, b]);
                Some(self.neg(product))
            }
            (None, Some(y)) => {
                let product = self.apply(Op::Mul, &[a, y]);
                Some(self.neg(product))
            }
            (None, None) => None,
        }
    }

    fn exact_quotient(&mut self, a: Id, b: Id) -> Option<Id> {
        let divisor = self.graph.value(b);
        if divisor == Some(1.0) {
            return Some(a);
        }
        if divisor == Some(-1.0) {
            return Some(self.neg(a));
        }
        if self.graph.value(a) == Some(1.0) {
            return Some(self.apply(Op::Inv, &[b]));
        }
        if let Some(y) = self.operand_of(Op::Neg, b) {
            let a = self.neg(a);
            return Some(self.apply(Op::Div, &[a, y]));
        }
        let x = self.operand_of(Op::Neg, a)?;
        if let Some(divisor) = divisor {
            let divisor = self.constant(-divisor);
            return Some(self.apply(Op::Div, &[x, divisor]));
        }
        let quotient = self.apply(Op::Div, &[x, b]);
        Some(self.neg(quotient))
    }

    fn exact_negation(&mut self, a: Id) -> Option<Id> {
        if let Some(x) = self.operand_of(Op::Neg, a) {
            return Some(x);
        }
        // Into a factor, where it costs nothing.
        for op in [Op::Mul, Op::Div] {
            let Some((x, y)) = self.operands_of(op, a) else {
                continue;
            };
            if let Some(factor) = self.graph.value(x) {
                let factor = self.constant(-factor);
                return Some(self.apply(op, &[factor, y]));
            }
            if let Some(factor) = self.graph.value(y) {
                let factor = self.constant(-factor);
                return Some(self.apply(op, &[x, factor]));
            }
        }
        None
    }

    fn exact_fma(&mut self, a: Id, b: Id, c: Id) -> Option<Id> {
        for (a, b) in [(a, b), (b, a)] {
            if self.graph.value(a) == Some(1.0) {
                return Some(self.apply(Op::Add, &[b, c]));
            }
            if self.graph.value(a) == Some(-1.0) {
                return Some(self.apply(Op::Sub, &[c, b]));
            }
        }
        let adds_nothing = is(self.graph.value(c), -0.0);
        adds_nothing.then(|| self.apply(Op::Mul, &[a, b]))
    }

    fn exact_if(&mut self, a: Id, b: Id, c: Id) -> Option<Id> {
        if b == c {
            return Some(b);
        }
        if let Some(condition) = self.graph.value(a) {
            return Some(if condition == 0.0 { c } else { b });
        }
        if let Some(x) = self.without_sign(a) {
            return Some(self.apply(Op::If, &[x, b, c]));
        }
        for (op, then, otherwise) in [(Op::Ne, b, c), (Op::Eq, c, b)] {
            if let Some((x, y)) = self.operands_of(op, a)
                && self.graph.value(y) == Some(0.0)
            {
                return Some(self.apply(Op::If, &[x, then, otherwise]));
            }
        }
        None
    }

    /// x, if the term is `-x` or `abs(x)`.
    fn without_sign(&self, id: Id) -> Option<Id> {
        self.operand_of(Op::Neg, id)
            .or_else(|| self.operand_of(Op::Abs, id))
    }

    /// Whether the sign bit is never set, NaN apart.
    fn is_never_negative(&self, id: Id) -> bool {
        self.graph.application(id).is_some_and(|(op, _)| {
            op.is_comparison()
                || matches!(
                    op,
                    Op::Abs | Op::Square | Op::Exp | Op::Cosh | Op::Sigmoid | Op::Psqrt
                )
        })
    }

    /// Whether the value is an integer, infinite or NaN.
    fn is_integer(&self, id: Id) -> bool {
        self.graph.application(id).is_some_and(|(op, _)| {
            op.is_comparison() || matches!(op, Op::Floor | Op::Ceil | Op::Round | Op::Sign)
        })
    }
}
