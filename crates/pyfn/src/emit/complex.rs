//! Complex numbers: two doubles, the real part as a word.
//!
//! Python's own formulas are done step by step, so that signs of zero, infinities and NaN come out
//! as there (`Objects/complexobject.c`); a real operand becomes a complex one first. numpy's differ
//! in the quotient (`scalarmath.c`). What raises, or depends on more than the formulas, leaves.

use cranelift_codegen::ir::{
    BlockArg, InstBuilder, MemFlagsData, Value, condcodes::FloatCC, types,
};

use super::{Emitter, Val};
use crate::program::{Bin, Cmp, Un};
use crate::rules;
use crate::types::{COMPLEX, FLOAT, NP_COMPLEX, NP_FLOAT, Tags, Ty};

/// The parts of a complex number.
type Parts = [Value; 2];

impl Emitter<'_, '_> {
    /// A complex number of its parts.
    pub(super) fn complex(&mut self, [re, im]: Parts) -> Val {
        let word = self.b.ins().bitcast(types::I64, MemFlagsData::new(), re);
        Val {
            flt: Some(im),
            real: Some(re),
            ..Self::from_word(Ty::of(COMPLEX), word)
        }
    }

    /// The parts of a number as a complex one.
    pub(super) fn complex_parts(&mut self, value: &Val) -> Parts {
        if rules::is_complex(&value.ty) {
            let (word, im) = (self.word(value), self.flt(value));
            let re = match value.real {
                Some(re) => re,
                None => self.b.ins().bitcast(types::F64, MemFlagsData::new(), word),
            };
            return [re, im];
        }
        let re = self.number_to_flt(value);
        [re, self.b.ins().f64const(0.0)]
    }

    /// The value of an object that is a complex number for certain.
    pub(super) fn complex_at(&mut self, object: Value) -> Val {
        let re = self.load(types::F64, object, self.rt.complex_at);
        let im = self.load(types::F64, object, self.rt.complex_at + 8);
        self.complex([re, im])
    }

    /// `a op b`, if one is complex and that is done natively.
    pub(super) fn bin_complex(&mut self, op: Bin, a: &Val, b: &Val) -> Option<Val> {
        if !rules::is_complex_pair(&a.ty, &b.ty) {
            return None;
        }
        let ty = rules::bin(op, &a.ty, &b.ty, b.constant)?;
        if !rules::is_complex(&ty) || ty.narrow.is_some() {
            return None;
        }
        let is_numpy = ty.tags == Tags::of(NP_COMPLEX);
        let (x, y) = (self.complex_parts(a), self.complex_parts(b));
        let ins = |emitter: &mut Self, k: usize| match op {
            Bin::Add => emitter.b.ins().fadd(x[k], y[k]),
            _ => emitter.b.ins().fsub(x[k], y[k]),
        };
        let parts = match op {
            Bin::Add | Bin::Sub => [ins(self, 0), ins(self, 1)],
            Bin::Mul => self.complex_product(x, y),
            Bin::TrueDiv => self.complex_quotient(x, y, is_numpy),
            Bin::Pow if is_numpy => self.numpy_square(x),
            Bin::Pow => self.complex_power(x, b.constant?),
            _ => return None,
        };
        let tag = ty.tags.single().is_none().then(|| {
            // Only what is numpy's already makes the difference.
            let is_numpy = [a, b].map(|operand| self.is_one_of(operand, Tags::of(NP_COMPLEX)));
            let is_numpy = self.b.ins().bor(is_numpy[0], is_numpy[1]);
            let tags = [NP_COMPLEX, COMPLEX].map(|tag| self.tag_value(tag));
            self.b.ins().select(is_numpy, tags[0], tags[1])
        });
        let value = self.complex(parts);
        Some(Val { ty, tag, ..value })
    }

    /// A power of zero is zero without signs to numpy, which does not multiply for it.
    fn numpy_square(&mut self, x: Parts) -> Parts {
        let zero = self.b.ins().f64const(0.0);
        let are_zero = x.map(|part| self.b.ins().fcmp(FloatCC::Equal, part, zero));
        let is_zero = self.b.ins().band(are_zero[0], are_zero[1]);
        self.complex_product(x, x)
            .map(|part| self.b.ins().select(is_zero, zero, part))
    }

    fn complex_product(&mut self, [a, b]: Parts, [c, d]: Parts) -> Parts {
        let (ac, bd) = (self.b.ins().fmul(a, c), self.b.ins().fmul(b, d));
        let (ad, bc) = (self.b.ins().fmul(a, d), self.b.ins().fmul(b, c));
        [self.b.ins().fsub(ac, bd), self.b.ins().fadd(ad, bc)]
    }

    /// Scaled by the larger part of the divisor; numpy multiplies by the reciprocal of what is left of it.
    fn complex_quotient(&mut self, [a, b]: Parts, [c, d]: Parts, is_numpy: bool) -> Parts {
        let (size_c, size_d) = (self.b.ins().fabs(c), self.b.ins().fabs(d));
        let by_real = self
            .b
            .ins()
            .fcmp(FloatCC::GreaterThanOrEqual, size_c, size_d);
        let by_imaginary = self.b.ins().fcmp(FloatCC::LessThan, size_c, size_d);
        let zero = self.b.ins().f64const(0.0);
        let c_is_zero = self.b.ins().fcmp(FloatCC::Equal, c, zero);
        let is_zero = self.b.ins().band(by_real, c_is_zero);
        self.exit_if(is_zero, "division by zero");
        let known = self.b.ins().bor(by_real, by_imaginary);
        self.exit_unless(known, "division by a NaN");
        let (large, small) = (
            self.b.ins().select(by_real, c, d),
            self.b.ins().select(by_real, d, c),
        );
        let ratio = self.b.ins().fdiv(small, large);
        let scaled = self.b.ins().fmul(small, ratio);
        let divisor = self.b.ins().fadd(large, scaled);
        // (a + b·ratio, b − a·ratio) or (a·ratio + b, b·ratio − a).
        let (first, second) = (
            self.b.ins().select(by_real, a, b),
            self.b.ins().select(by_real, b, a),
        );
        let times = self.b.ins().fmul(second, ratio);
        let re = self.b.ins().fadd(first, times);
        let times = self.b.ins().fmul(first, ratio);
        let (forward, backward) = (
            self.b.ins().fsub(second, times),
            self.b.ins().fsub(times, second),
        );
        let im = self.b.ins().select(by_real, forward, backward);
        if is_numpy {
            let one = self.b.ins().f64const(1.0);
            let scale = self.b.ins().fdiv(one, divisor);
            return [re, im].map(|part| self.b.ins().fmul(part, scale));
        }
        [re, im].map(|part| self.b.ins().fdiv(part, divisor))
    }

    /// By squaring, from the lowest bit on; leaves where that overflows.
    fn complex_power(&mut self, x: Parts, power: i64) -> Parts {
        let mut result = [self.b.ins().f64const(1.0), self.b.ins().f64const(0.0)];
        let mut square = x;
        let mut bit = 1;
        while bit <= power {
            if power & bit != 0 {
                result = self.complex_product(result, square);
            }
            bit <<= 1;
            square = self.complex_product(square, square);
        }
        let infinity = self.b.ins().f64const(f64::INFINITY);
        for part in result {
            let size = self.b.ins().fabs(part);
            let beyond = self.b.ins().fcmp(FloatCC::Equal, size, infinity);
            self.exit_if(beyond, "a complex power that overflows");
        }
        result
    }

    /// `-a` or `+a`.
    pub(super) fn un_complex(&mut self, op: Un, a: &Val) -> Val {
        let [re, im] = self.complex_parts(a);
        if op == Un::Pos {
            return a.clone();
        }
        let parts = [self.b.ins().fneg(re), self.b.ins().fneg(im)];
        let value = self.complex(parts);
        Self::like(a, value)
    }

    /// A complex number of the same kind as another.
    fn like(a: &Val, value: Val) -> Val {
        Val {
            ty: a.ty.clone(),
            tag: a.tag,
            ..value
        }
    }

    /// A part or the size of a number: numpy's own if the number is.
    fn real_of(&mut self, of: &Val, flt: Value) -> Val {
        let ty = rules::part_of_complex(&of.ty);
        let tag = ty.tags.single().is_none().then(|| {
            let is_numpy = self.has_tag(of, NP_COMPLEX);
            let tags = [NP_FLOAT, FLOAT].map(|tag| self.tag_value(tag));
            self.b.ins().select(is_numpy, tags[0], tags[1])
        });
        Val {
            tag,
            ..Self::from_flt(ty, flt)
        }
    }

    /// Whether two numbers are equal, or not: 0 or 1.
    pub(super) fn complex_equal(&mut self, op: Cmp, a: &Val, b: &Val) -> Value {
        let (x, y) = (self.complex_parts(a), self.complex_parts(b));
        let re = self.b.ins().fcmp(FloatCC::Equal, x[0], y[0]);
        let im = self.b.ins().fcmp(FloatCC::Equal, x[1], y[1]);
        let both = self.b.ins().band(re, im);
        let word = self.b.ins().uextend(types::I64, both);
        self.b.ins().bxor_imm_s(word, i64::from(op == Cmp::Ne))
    }

    /// `abs(a)`; leaves where that is not finite.
    pub(super) fn complex_size(&mut self, a: &Val) -> Option<Val> {
        let parts = self.complex_parts(a);
        let hypot = *self.rt.libm.get("hypot")?;
        let size = self.call(hypot, &parts, Some(types::F64))?;
        let infinity = self.b.ins().f64const(f64::INFINITY);
        let is_finite = self.b.ins().fcmp(FloatCC::LessThan, size, infinity);
        self.exit_unless(is_finite, "a complex number of no finite size");
        Some(self.real_of(a, size))
    }

    /// The truth of a complex number: 0 or 1.
    pub(super) fn complex_truth(&mut self, a: &Val) -> Value {
        let zero = self.b.ins().f64const(0.0);
        let parts = self.complex_parts(a);
        let [re, im] = parts.map(|part| self.b.ins().fcmp(FloatCC::NotEqual, part, zero));
        let any = self.b.ins().bor(re, im);
        self.b.ins().uextend(types::I64, any)
    }

    /// `complex(…)` of real numbers.
    pub(super) fn make_complex(&mut self, args: &[Val]) -> Val {
        let mut parts = [0.0; 2].map(|zero| self.b.ins().f64const(zero));
        for (part, arg) in parts.iter_mut().zip(args) {
            *part = self.number_to_flt(arg);
        }
        self.complex(parts)
    }

    /// An attribute of a complex number.
    pub(super) fn complex_attribute(&mut self, of: &Val, name: &str) -> Option<Val> {
        let [re, im] = self.complex_parts(of);
        let part = match name {
            "real" => re,
            "imag" => im,
            _ => return None,
        };
        Some(self.real_of(of, part))
    }

    /// `a.conjugate()`.
    pub(super) fn conjugate(&mut self, a: &Val) -> Val {
        let [re, im] = self.complex_parts(a);
        let im = self.b.ins().fneg(im);
        let value = self.complex([re, im]);
        Self::like(a, value)
    }

    /// The value of an object as a complex number; leaves if it is none.
    pub(super) fn unbox_complex(&mut self, object: Value) -> Val {
        let is_complex = self.has_type(object, self.rt.complex_type);
        self.exit_unless(is_complex, "not a complex number");
        self.complex_at(object)
    }

    /// The same for an element of a loop, which stays an object if it is none.
    pub(super) fn complex_or_object(&mut self, item: Value, ty: &Ty) -> Val {
        let (direct, other, done) = (self.new_block(), self.cold_block(), self.new_block());
        let tag = self.b.append_block_param(done, types::I64);
        let word = self.b.append_block_param(done, types::I64);
        let flt = self.b.append_block_param(done, types::F64);
        let is_complex = self.has_type(item, self.rt.complex_type);
        self.b.ins().brif(is_complex, direct, &[], other, &[]);
        self.start(direct);
        let value = self.complex_at(item);
        let found = self.tag_value(COMPLEX);
        let args = [found, self.word(&value), self.flt(&value)];
        self.b.ins().jump(done, &args.map(BlockArg::Value));
        self.start(other);
        self.inc_ref(item);
        let (found, zero) = (
            self.tag_value(crate::types::OBJECT),
            self.b.ins().f64const(0.0),
        );
        self.b
            .ins()
            .jump(done, &[found, item, zero].map(BlockArg::Value));
        self.start(done);
        Val {
            ty: ty.clone(),
            tag: Some(tag),
            word: Some(word),
            flt: Some(flt),
            owned: true,
            ..Val::default()
        }
    }
}
