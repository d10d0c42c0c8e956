//! Numbers: arithmetic, comparisons, conversions, and the functions of `math`.
//!
//! An operand whose tags are of several classes is looked at; within a class (integers and truth
//! values, or doubles) the machine does the same for all tags, and the result's tag is computed
//! beside it. Whatever Python would raise or numpy would warn about leaves the function before.

use cranelift_codegen::ir::{
    BlockArg, InstBuilder, InstructionData, MemFlagsData, Opcode, Type, Value,
    condcodes::{FloatCC, IntCC},
    types,
};

use super::vector::{SQUARE_LIMIT, SQUARE_NEAR, knows_powers};
use super::{Emitter, Val};
use crate::program::{Bin, Cmp, Un};
use crate::rules::{self, Intrinsic};
use crate::types::{
    BOOL, CHAR, Class, Dtype, FLOAT, INT, NONE, NP_BOOL, NP_F32, NP_INT, NUMPY, OBJECT, Tags, Ty,
    class,
};
use crate::unsigned;

/// Up to here every integer is a double.
const EXACT: i64 = 1 << 53;

/// The tags of a class.
fn tags_of(class: Class) -> Tags {
    match class {
        Class::Int => Tags::INTS,
        Class::Unsigned => Tags::UNSIGNED,
        Class::Float => Tags::FLOATS,
        Class::Nothing => Tags::of(NONE),
        Class::Char => Tags::of(CHAR),
        Class::Complex => Tags::COMPLEXES,
        Class::Object => Tags::of(OBJECT),
        Class::Parts => Tags(1 << crate::types::TUPLE | 1 << crate::types::RANGE),
    }
}

const CLASSES: [Class; 7] = [
    Class::Int,
    Class::Unsigned,
    Class::Float,
    Class::Char,
    Class::Complex,
    Class::Nothing,
    Class::Object,
];

fn classes_of(value: &Val) -> Vec<Class> {
    let has = |class: &Class| value.ty.tags.any(tags_of(*class));
    CLASSES.into_iter().filter(has).collect()
}

impl Emitter<'_, '_> {
    /// Whether the tag is one of those.
    pub(super) fn is_one_of(&mut self, value: &Val, tags: Tags) -> Value {
        let tags = tags.and(value.ty.tags);
        if let Some(tag) = tags.single() {
            return self.has_tag(value, tag);
        }
        let (tag, one) = (self.tag(value), self.int(1));
        let bit = self.b.ins().ishl(one, tag);
        let mask = self.int(i64::from(tags.0));
        let found = self.b.ins().band(bit, mask);
        self.b.ins().icmp_imm_s(IntCC::NotEqual, found, 0)
    }

    /// Does something for each pair of classes that the operands may have, and brings the results
    /// together; pairs for which there is nothing leave.
    fn by_class(
        &mut self,
        operands: &[&Val],
        ty: &Ty,
        mut f: impl FnMut(&mut Self, &[Val]) -> Option<Val>,
    ) -> Val {
        let mut cases = vec![Vec::new()];
        for operand in operands {
            let mut longer = Vec::new();
            for case in &cases {
                for class in classes_of(operand) {
                    let mut case: Vec<Class> = case.clone();
                    case.push(class);
                    longer.push(case);
                }
            }
            cases = longer;
        }
        if let [case] = cases.as_slice() {
            let seen = operands.iter().zip(case);
            let seen = seen.map(|(operand, class)| Self::seen_as(operand, tags_of(*class)));
            let seen = seen.collect::<Vec<_>>();
            if let Some(value) = f(self, &seen) {
                return Val {
                    ty: ty.clone(),
                    ..value
                };
            }
            let never = self.int(1);
            self.exit_if(never, "no native operation on these types");
            return self.default_of(ty);
        }
        let done = self.new_block();
        let tag = self.b.append_block_param(done, types::I64);
        let word = self.b.append_block_param(done, types::I64);
        let flt = self.b.append_block_param(done, types::F64);
        for case in &cases {
            let mut is_case = None;
            for (operand, &class) in operands.iter().zip(case) {
                if operand.ty.tags.within(tags_of(class)) {
                    continue;
                }
                let is_class = self.is_one_of(operand, tags_of(class));
                is_case = Some(match is_case {
                    Some(others) => self.b.ins().band(others, is_class),
                    None => is_class,
                });
            }
            let next = self.new_block();
            if let Some(is_case) = is_case {
                let here = self.new_block();
                self.b.ins().brif(is_case, here, &[], next, &[]);
                self.start(here);
            }
            let seen = operands.iter().zip(case);
            let seen = seen.map(|(operand, class)| Self::seen_as(operand, tags_of(*class)));
            let seen = seen.collect::<Vec<_>>();
            match f(self, &seen) {
                Some(value) => {
                    let (tag, word, flt) = (self.tag(&value), self.word(&value), self.flt(&value));
                    self.jump(done, &[tag, word, flt]);
                }
                None => {
                    let always = self.int(1);
                    self.exit_if(always, "no native operation on these types");
                    let (tag, flt) = (self.int(0), self.b.ins().f64const(0.0));
                    self.jump(done, &[tag, tag, flt]);
                }
            }
            self.start(next);
        }
        let always = self.int(1);
        self.exit_if(always, "no native operation on these types");
        let (none, zero) = (self.int(0), self.b.ins().f64const(0.0));
        self.jump(done, &[none, none, zero]);
        self.start(done);
        Val {
            ty: ty.clone(),
            tag: Some(tag),
            word: Some(word),
            flt: Some(flt),
            ..Val::default()
        }
    }

    /// Some value of a type, where nothing gets.
    pub(super) fn default_of(&mut self, ty: &Ty) -> Val {
        let (word, flt) = (self.int(0), self.b.ins().f64const(0.0));
        Val {
            ty: ty.clone(),
            tag: Some(word),
            word: Some(word),
            flt: Some(flt),
            ..Val::default()
        }
    }

    /// A number of one class as a double.
    pub(super) fn double_of(&mut self, value: &Val) -> Value {
        match Self::class_of(value) {
            Some(Class::Int) => match value.constant {
                #[expect(clippy::cast_precision_loss, reason = "as Python rounds")]
                Some(constant) => self.b.ins().f64const(constant as f64),
                None => {
                    let word = self.word(value);
                    self.b.ins().fcvt_from_sint(types::F64, word)
                }
            },
            Some(Class::Unsigned) => {
                let word = self.word(value);
                self.b.ins().fcvt_from_uint(types::F64, word)
            }
            _ => self.flt(value),
        }
    }

    /// Any number as a double, whatever its classes.
    pub(super) fn number_to_flt(&mut self, value: &Val) -> Value {
        let ty = Ty::of(FLOAT);
        let result = self.by_class(&[value], &ty, |emitter, seen| {
            let flt = emitter.double_of(&seen[0]);
            Some(Self::from_flt(Ty::of(FLOAT), flt))
        });
        self.flt(&result)
    }

    /// `a op b` on numbers.
    pub(super) fn bin_numbers(&mut self, op: Bin, a: &Val, b: &Val, ty: &Ty) -> Val {
        let power = b.constant;
        if let Some(Some(tag)) = rules::narrow(op, &a.ty, &b.ty) {
            return self.bin_narrow(op, a, b, tag, ty);
        }
        self.by_class(&[a, b], ty, |emitter, seen| {
            let [a, b] = seen else { return None };
            let (ca, cb) = (Self::class_of(a)?, Self::class_of(b)?);
            let rule = |a, b| rules::bin_tag(op, a, b, power);
            let tags = rules::pairs(a.ty.tags, b.ty.tags, rule);
            let result = tags.iter().next()?;
            for operand in [a, b] {
                let bad =
                    a.ty.tags
                        .iter()
                        .any(|a| b.ty.tags.iter().any(|b| rule(a, b).is_none()));
                if bad && operand.ty.tags.has(NP_BOOL) {
                    let is_np_bool = emitter.has_tag(operand, NP_BOOL);
                    emitter.exit_if(is_np_bool, "arithmetic of numpy.bool");
                }
            }
            let tag = tags.single().is_none().then(|| {
                let (ta, tb) = (emitter.tag(a), emitter.tag(b));
                let both = emitter.b.ins().bor(ta, tb);
                if matches!(op, Bin::And | Bin::Or | Bin::Xor) {
                    both
                } else {
                    let numpy = emitter.b.ins().band_imm_s(both, i64::from(NUMPY));
                    emitter.b.ins().bor_imm_s(numpy, i64::from(result & !NUMPY))
                }
            });
            let value = match class(result) {
                Class::Int => {
                    let word = emitter.bin_ints(op, a, b)?;
                    Self::from_word(Ty::tags(tags), word)
                }
                _ => {
                    let ints = ca == Class::Int && cb == Class::Int;
                    let flt = emitter.bin_floats(op, a, b, ints)?;
                    Self::from_flt(Ty::tags(tags), flt)
                }
            };
            Some(Val { tag, ..value })
        })
    }

    /// The same where one of them is a scalar of numpy's of less than 64 bits.
    fn bin_narrow(&mut self, op: Bin, a: &Val, b: &Val, tag: u8, ty: &Ty) -> Val {
        self.by_class(&[a, b], ty, |emitter, seen| {
            let [a, b] = seen else { return None };
            let ints = [a, b].map(|value| Self::class_of(value) == Some(Class::Int));
            if tag == NP_F32 {
                let (x, y) = (emitter.single_of(a), emitter.single_of(b));
                if op == Bin::TrueDiv {
                    let divisor = emitter.double_of(b);
                    emitter.check_divisor(b, divisor);
                }
                let single = match op {
                    Bin::Add => emitter.b.ins().fadd(x, y),
                    Bin::Sub => emitter.b.ins().fsub(x, y),
                    Bin::Mul => emitter.b.ins().fmul(x, y),
                    Bin::TrueDiv => emitter.b.ins().fdiv(x, y),
                    _ => return None,
                };
                let flt = emitter.b.ins().fpromote(types::F64, single);
                emitter.check_finite(flt);
                return Some(Self::from_flt(ty.clone(), flt));
            }
            if class(tag) == Class::Float {
                let flt = emitter.bin_floats(op, a, b, ints == [true, true])?;
                return Some(Self::from_flt(ty.clone(), flt));
            }
            let dtype = Dtype::of_tag(tag)?;
            for operand in [a, b] {
                // A number of Python's has to fit.
                if operand.ty.tags.has(INT) {
                    let word = emitter.word(operand);
                    emitter.check_range(dtype, word);
                }
            }
            let word = emitter.bin_ints(op, a, b)?;
            emitter.check_range(dtype, word);
            Some(Self::from_word(ty.clone(), word))
        })
    }

    /// A number of one class as a `numpy.float32`.
    pub(super) fn single_of(&mut self, value: &Val) -> Value {
        self.check_exact(value);
        let flt = self.double_of(value);
        if let Some(single) = self.promoted(flt) {
            return single;
        }
        let single = self.b.ins().fdemote(types::F32, flt);
        if !value.ty.tags.within(Tags::of(NP_F32)) {
            // Infinity is one, a number beyond is none.
            let back = self.b.ins().fpromote(types::F64, single);
            let (off, lost) = (self.b.ins().fsub(flt, flt), self.b.ins().fsub(back, back));
            let is_finite = self.b.ins().fcmp(FloatCC::Ordered, off, off);
            let is_lost = self.b.ins().fcmp(FloatCC::Unordered, lost, lost);
            let beyond = self.b.ins().band(is_finite, is_lost);
            self.exit_if(beyond, "a number beyond float32");
        }
        single
    }

    /// The `float32` that a double was made from.
    pub(super) fn promoted(&self, flt: Value) -> Option<Value> {
        let dfg = &self.b.func.dfg;
        let inst = dfg.value_def(flt).inst().map(|inst| dfg.insts[inst]);
        match inst {
            Some(InstructionData::Unary {
                opcode: Opcode::Fpromote,
                arg,
            }) => Some(arg),
            _ => None,
        }
    }

    fn bin_floats(&mut self, op: Bin, a: &Val, b: &Val, ints: bool) -> Option<Value> {
        let (x, y) = (self.double_of(a), self.double_of(b));
        Some(match op {
            Bin::Add => self.b.ins().fadd(x, y),
            Bin::Sub => self.b.ins().fsub(x, y),
            Bin::Mul => self.b.ins().fmul(x, y),
            Bin::TrueDiv => {
                if ints {
                    for operand in [a, b] {
                        self.check_exact(operand);
                    }
                }
                self.check_divisor(b, y);
                self.b.ins().fdiv(x, y)
            }
            Bin::FloorDiv | Bin::Mod => {
                self.check_divisor(b, y);
                let function = if op == Bin::Mod {
                    self.rt.float_mod
                } else {
                    self.rt.float_floordiv
                };
                let value = self.call(function, &[x, y], Some(types::F64))?;
                self.check_finite(value);
                value
            }
            Bin::Pow if b.constant == Some(2) && knows_powers(&self.rt.libm) => {
                self.square(x, y)?
            }
            Bin::Pow => self.power(x, y)?,
            _ => return None,
        })
    }

    fn power(&mut self, x: Value, y: Value) -> Option<Value> {
        let function = *self.rt.libm.get("pow")?;
        let value = self.call(function, &[x, y], Some(types::F64))?;
        self.check_finite(value);
        Some(value)
    }

    /// The power with the exponent 2, by a product where that is the same.
    ///
    /// The C library's power is known here: it is the product as rounded, unless the exact one lies
    /// near the middle of two doubles.
    fn square(&mut self, x: Value, y: Value) -> Option<Value> {
        const EXPONENT: i64 = 0x7ff << 52;
        let product = self.b.ins().fmul(x, x);
        let minus = self.b.ins().fneg(product);
        let lost = self.b.ins().fma(x, x, minus);
        let lost = self.b.ins().fabs(lost);
        // The power of two below the product; below a power of two doubles are denser.
        let bits = self.cast(types::I64, product);
        let below = self.b.ins().iadd_imm_s(bits, -1);
        let exponent = self.b.ins().band_imm_s(below, EXPONENT);
        let unit = self.cast(types::F64, exponent);
        let near = self.b.ins().f64const(SQUARE_NEAR);
        let limit = self.b.ins().fmul(unit, near);
        let is_near = self.b.ins().fcmp(FloatCC::LessThan, lost, limit);
        let least = self.b.ins().f64const(1.0 / SQUARE_LIMIT);
        let is_large = self
            .b
            .ins()
            .fcmp(FloatCC::GreaterThanOrEqual, product, least);
        let most = self.b.ins().f64const(SQUARE_LIMIT);
        let is_small = self.b.ins().fcmp(FloatCC::LessThanOrEqual, product, most);
        let is_usual = self.b.ins().band(is_large, is_small);
        let is_same = self.b.ins().band(is_near, is_usual);
        let (call, done) = (self.cold_block(), self.new_block());
        let value = self.b.append_block_param(done, types::F64);
        let args = [product].map(BlockArg::Value);
        self.b.ins().brif(is_same, done, &args, call, &[]);
        self.start(call);
        let power = self.power(x, y)?;
        self.jump(done, &[power]);
        self.start(done);
        Some(value)
    }

    fn cast(&mut self, to: Type, value: Value) -> Value {
        self.b.ins().bitcast(to, MemFlagsData::new(), value)
    }

    pub(super) fn check_divisor(&mut self, divisor: &Val, flt: Value) {
        if divisor.constant.is_some_and(|divisor| divisor != 0) || self.is_nonzero_constant(flt) {
            return;
        }
        let zero = self.b.ins().f64const(0.0);
        let is_zero = self.b.ins().fcmp(FloatCC::Equal, flt, zero);
        self.exit_if(is_zero, "division by zero");
    }

    /// Whether the double is written in the program, and not zero.
    fn is_nonzero_constant(&self, flt: Value) -> bool {
        let dfg = &self.b.func.dfg;
        let inst = dfg.value_def(flt).inst().map(|inst| dfg.insts[inst]);
        matches!(inst, Some(InstructionData::UnaryIeee64 { imm, .. }) if imm.bits() << 1 != 0)
    }

    /// Leaves unless the integer is a double.
    fn check_exact(&mut self, value: &Val) {
        if Self::class_of(value) != Some(Class::Int)
            || value.ty.room >= 10
            || value.ty.tags.within(Tags(1 << BOOL | 1 << NP_BOOL))
        {
            return;
        }
        let word = self.word(value);
        let moved = self.b.ins().iadd_imm_s(word, EXACT);
        let limit = self.int(2 * EXACT);
        let beyond = self.b.ins().icmp(IntCC::UnsignedGreaterThan, moved, limit);
        self.exit_if(beyond, "an integer that is no double");
    }

    /// Leaves if the result is infinite or no number: Python may raise.
    pub(super) fn check_finite(&mut self, value: Value) {
        let rest = self.b.ins().fsub(value, value);
        let odd = self.b.ins().fcmp(FloatCC::Unordered, rest, rest);
        self.exit_if(odd, "a result that is not finite");
    }

    /// `a op b`, a comparison of numbers or with `None`.
    pub(super) fn cmp_numbers(&mut self, op: Cmp, a: &Val, b: &Val, ty: &Ty) -> Val {
        let is_single = rules::compares_single(&a.ty, &b.ty) == Some(true);
        self.by_class(&[a, b], ty, |emitter, seen| {
            let [a, b] = seen else { return None };
            let (ca, cb) = (Self::class_of(a)?, Self::class_of(b)?);
            let tags = rules::pairs(a.ty.tags, b.ty.tags, |a, b| rules::cmp_tag(op, a, b));
            let result = tags.iter().next()?;
            let tag = tags.single().is_none().then(|| {
                let (ta, tb) = (emitter.tag(a), emitter.tag(b));
                let both = emitter.b.ins().bor(ta, tb);
                let numpy = emitter.b.ins().band_imm_s(both, i64::from(NUMPY));
                emitter.b.ins().bor_imm_s(numpy, i64::from(result & !NUMPY))
            });
            let truth = match (op, ca, cb) {
                (Cmp::Is | Cmp::IsNot, ..) => emitter.identical(op, a, b)?,
                (_, Class::Nothing, _) | (_, _, Class::Nothing) => {
                    if (a.ty.tags.or(b.ty.tags)).any(Tags::NUMPY) {
                        return None;
                    }
                    let equal = ca == cb;
                    emitter.int(i64::from(equal == (op == Cmp::Eq)))
                }
                (_, Class::Int, Class::Int) => {
                    let (x, y) = (emitter.word(a), emitter.word(b));
                    let truth = emitter.b.ins().icmp(int_cc(op)?, x, y);
                    emitter.b.ins().uextend(types::I64, truth)
                }
                (_, Class::Int | Class::Float, Class::Int | Class::Float) => {
                    emitter.check_exact(a);
                    emitter.check_exact(b);
                    let (x, y) = if is_single {
                        (emitter.single_of(a), emitter.single_of(b))
                    } else {
                        (emitter.double_of(a), emitter.double_of(b))
                    };
                    let truth = emitter.b.ins().fcmp(float_cc(op)?, x, y);
                    emitter.b.ins().uextend(types::I64, truth)
                }
                _ => return None,
            };
            Some(Val {
                tag,
                ..Self::from_word(Ty::tags(tags), truth)
            })
        })
    }

    /// Whether two values are the same object.
    fn identical(&mut self, op: Cmp, a: &Val, b: &Val) -> Option<Value> {
        let pairs =
            a.ty.tags
                .iter()
                .flat_map(|a| b.ty.tags.iter().map(move |b| (a, b)));
        let pairs = pairs.collect::<Vec<_>>();
        if pairs
            .iter()
            .any(|&(a, b)| rules::cmp_tag(op, a, b).is_none())
        {
            return None;
        }
        if pairs.iter().all(|&(a, b)| rules::differ(a, b)) {
            return Some(self.int(i64::from(op == Cmp::IsNot)));
        }
        let known = |tags: Tags| tags.within(Tags(1 << NONE | 1 << BOOL | 1 << OBJECT));
        if !known(a.ty.tags) || !known(b.ty.tags) {
            return None;
        }
        let (x, y) = (self.boxed(a), self.boxed(b));
        let (x, y) = (self.word(&x), self.word(&y));
        let cc = if op == Cmp::Is {
            IntCC::Equal
        } else {
            IntCC::NotEqual
        };
        let truth = self.b.ins().icmp(cc, x, y);
        Some(self.b.ins().uextend(types::I64, truth))
    }

    /// `op a` on a number.
    pub(super) fn un_number(&mut self, op: Un, a: &Val, ty: &Ty) -> Val {
        self.by_class(&[a], ty, |emitter, seen| {
            let a = &seen[0];
            let tags = a.ty.tags.iter().filter_map(|tag| rules::un_tag(op, tag));
            let tags = tags.fold(Tags::default(), |tags, tag| tags.or(Tags::of(tag)));
            if tags.is_empty() {
                return None;
            }
            for tag in a.ty.tags.iter() {
                if rules::un_tag(op, tag).is_none() {
                    let bad = emitter.has_tag(a, tag);
                    emitter.exit_if(bad, "no native operation on this type");
                }
            }
            if op == Un::Not {
                let truth = emitter.truth_of(a)?;
                let word = emitter.b.ins().bxor_imm_s(truth, 1);
                return Some(Self::from_word(Ty::of(BOOL), word));
            }
            // A bool becomes an int.
            let tag = tags.single().is_none().then(|| {
                let tag = emitter.tag(a);
                if a.ty.tags.has(BOOL) && op != Un::Invert {
                    emitter.b.ins().bor_imm_s(tag, 1)
                } else {
                    tag
                }
            });
            let value = match (Self::class_of(a)?, op) {
                (Class::Int, Un::Pos) => Self::from_word(Ty::tags(tags), emitter.word(a)),
                (Class::Int, Un::Neg) => {
                    let (zero, word) = (emitter.int(0), emitter.word(a));
                    if a.ty.room > 0 || emitter.info.program.wraps {
                        let value = emitter.b.ins().isub(zero, word);
                        return Some(Val {
                            tag,
                            ..Self::from_word(Ty::tags(tags), value)
                        });
                    }
                    let (value, overflow) = emitter.b.ins().ssub_overflow(zero, word);
                    emitter.exit_if_beyond(overflow);
                    Self::from_word(Ty::tags(tags), value)
                }
                (Class::Int, Un::Invert) => {
                    let word = emitter.word(a);
                    let flipped = emitter.b.ins().bnot(word);
                    let word = if a.ty.tags.has(NP_BOOL) {
                        let not = emitter.b.ins().bxor_imm_s(word, 1);
                        let is_bool = emitter.has_tag(a, NP_BOOL);
                        emitter.b.ins().select(is_bool, not, flipped)
                    } else {
                        flipped
                    };
                    Self::from_word(Ty::tags(tags), word)
                }
                (Class::Float, Un::Neg) => {
                    let flt = emitter.flt(a);
                    let flt = emitter.b.ins().fneg(flt);
                    Self::from_flt(Ty::tags(tags), flt)
                }
                (Class::Float, Un::Pos) => Self::from_flt(Ty::tags(tags), emitter.flt(a)),
                _ => return None,
            };
            Some(Val { tag, ..value })
        })
    }

    /// Whether a value of one class other than an object is true: 0 or 1.
    pub(super) fn truth_of(&mut self, a: &Val) -> Option<Value> {
        Some(match Self::class_of(a)? {
            Class::Int => {
                let word = self.word(a);
                if a.ty.tags.within(Tags(1 << BOOL | 1 << NP_BOOL)) {
                    return Some(word);
                }
                let truth = self.b.ins().icmp_imm_s(IntCC::NotEqual, word, 0);
                self.b.ins().uextend(types::I64, truth)
            }
            Class::Float => {
                let (flt, zero) = (self.flt(a), self.b.ins().f64const(0.0));
                let truth = self.b.ins().fcmp(FloatCC::NotEqual, flt, zero);
                self.b.ins().uextend(types::I64, truth)
            }
            Class::Unsigned => {
                let word = self.word(a);
                let truth = self.b.ins().icmp_imm_s(IntCC::NotEqual, word, 0);
                self.b.ins().uextend(types::I64, truth)
            }
            Class::Char => self.int(1),
            Class::Complex => self.complex_truth(a),
            Class::Nothing => self.int(0),
            Class::Object | Class::Parts => return None,
        })
    }

    /// Whether a value is true: 0 or 1.
    pub(super) fn truth(&mut self, a: &Val) -> Value {
        if let Some(parts) = a.ty.parts() {
            return self.int(i64::from(!parts.is_empty()));
        }
        if a.ty.unboxed().is_some() || a.ty.table().is_some() {
            let (size, _) = self.list_fields(a);
            let has_items = self.b.ins().icmp_imm_s(IntCC::NotEqual, size, 0);
            return self.b.ins().uextend(types::I64, has_items);
        }
        let seen = Tags(1 << CHAR | 1 << OBJECT)
            .or(Tags::COMPLEXES)
            .or(Tags::UNSIGNED);
        let a = if rules::is_boxed(&a.ty) && !a.ty.tags.any(seen) {
            self.boxed(a)
        } else {
            a.clone()
        };
        let ty = Ty::of(BOOL);
        let result = self.by_class(&[&a], &ty, |emitter, seen| {
            let a = &seen[0];
            let word = match Self::class_of(a)? {
                Class::Object => {
                    let object = emitter.word(a);
                    let truth = emitter.call_word(emitter.rt.is_true, &[object]);
                    emitter.fail_if_negative(truth);
                    truth
                }
                _ => emitter.truth_of(a)?,
            };
            Some(Self::from_word(Ty::of(BOOL), word))
        });
        let truth = self.word(&result);
        self.release_owned(&a);
        truth
    }

    /// A call of a known function of numbers.
    pub(super) fn intrinsic(&mut self, how: Intrinsic, args: &[Val], ty: &Ty) -> Option<Val> {
        let flt_result = |flt: Value| Some(Self::from_flt(ty.clone(), flt));
        let word_result = |word: Value| Some(Self::from_word(ty.clone(), word));
        match (how, args) {
            (Intrinsic::Libm(name), [a]) => {
                let x = self.number_to_flt(a);
                let function = *self.rt.libm.get(name)?;
                let value = self.call(function, &[x], Some(types::F64))?;
                self.check_finite(value);
                flt_result(value)
            }
            (Intrinsic::Libm2(name), [a, b]) => {
                let (x, y) = (self.number_to_flt(a), self.number_to_flt(b));
                let function = *self.rt.libm.get(name)?;
                let value = self.call(function, &[x, y], Some(types::F64))?;
                self.check_finite(value);
                flt_result(value)
            }
            (Intrinsic::Sqrt, [a]) => {
                let x = self.number_to_flt(a);
                let zero = self.b.ins().f64const(0.0);
                let fine = self.b.ins().fcmp(FloatCC::GreaterThanOrEqual, x, zero);
                self.exit_unless(fine, "the square root of a negative number");
                let mut root = self.b.ins().sqrt(x);
                if ty.tags == Tags::of(NP_F32) {
                    // Rounded twice it is what is rounded once.
                    let single = self.b.ins().fdemote(types::F32, root);
                    root = self.b.ins().fpromote(types::F64, single);
                }
                flt_result(root)
            }
            (Intrinsic::Fabs, [a]) => {
                let x = self.number_to_flt(a);
                let value = self.b.ins().fabs(x);
                flt_result(value)
            }
            (Intrinsic::Copysign, [a, b]) => {
                let (x, y) = (self.number_to_flt(a), self.number_to_flt(b));
                let value = self.b.ins().fcopysign(x, y);
                flt_result(value)
            }
            (Intrinsic::Scale(by), [a]) => {
                let x = self.number_to_flt(a);
                let by = self.b.ins().f64const(by);
                let value = self.b.ins().fmul(x, by);
                flt_result(value)
            }
            (Intrinsic::FloorFloat | Intrinsic::CeilFloat, [a]) => {
                let x = self.number_to_flt(a);
                let value = if how == Intrinsic::FloorFloat {
                    self.b.ins().floor(x)
                } else {
                    self.b.ins().ceil(x)
                };
                flt_result(value)
            }
            (Intrinsic::Floor | Intrinsic::Ceil | Intrinsic::Trunc | Intrinsic::Round, [a]) => {
                let x = self.number_to_flt(a);
                let whole = match how {
                    Intrinsic::Round => self.b.ins().nearest(x),
                    Intrinsic::Floor => self.b.ins().floor(x),
                    Intrinsic::Ceil => self.b.ins().ceil(x),
                    _ => x,
                };
                let word = self.flt_to_int(whole);
                word_result(word)
            }
            (Intrinsic::IsNan | Intrinsic::IsInf | Intrinsic::IsFinite, [a]) => {
                let x = self.number_to_flt(a);
                let truth = if how == Intrinsic::IsNan {
                    self.b.ins().fcmp(FloatCC::Unordered, x, x)
                } else {
                    let size = self.b.ins().fabs(x);
                    let infinity = self.b.ins().f64const(f64::INFINITY);
                    let cc = if how == Intrinsic::IsInf {
                        FloatCC::Equal
                    } else {
                        FloatCC::LessThan
                    };
                    self.b.ins().fcmp(cc, size, infinity)
                };
                let word = self.b.ins().uextend(types::I64, truth);
                word_result(word)
            }
            (Intrinsic::Abs, [a]) => Some(self.abs(a, ty)),
            (Intrinsic::Min | Intrinsic::Max, [first, rest @ ..]) => {
                let op = if how == Intrinsic::Min {
                    Cmp::Lt
                } else {
                    Cmp::Gt
                };
                let mut best = first.clone();
                for item in rest {
                    best = self.better(op, &best, item);
                }
                Some(Val {
                    ty: ty.clone(),
                    constant: None,
                    ..best
                })
            }
            (Intrinsic::ToInt, [a]) if unsigned::is_unsigned(&a.ty) => {
                Some(self.signed_of_unsigned(a))
            }
            (Intrinsic::ToUnsigned, [a]) => {
                let word = self.unsigned_word(a);
                word_result(word)
            }
            (Intrinsic::ToInt, [a]) => {
                let word = self.whole_word(a);
                Some(Self::from_word(Ty::of(INT), word))
            }
            (Intrinsic::ToNumpyInt, [a]) => {
                let word = self.whole_word(a);
                Some(Self::from_word(Ty::of(NP_INT), word))
            }
            (Intrinsic::ToNarrow(Dtype::Float32), [a]) => {
                let value = self.by_class(&[a], ty, |emitter, seen| {
                    let single = emitter.single_of(&seen[0]);
                    let flt = emitter.b.ins().fpromote(types::F64, single);
                    Some(Self::from_flt(ty.clone(), flt))
                });
                Some(value)
            }
            (Intrinsic::ToNarrow(dtype), [a]) => {
                let word = self.whole_word(a);
                self.check_range(dtype, word);
                word_result(word)
            }
            (Intrinsic::ToFloat | Intrinsic::ToNumpyFloat, [a]) => {
                let flt = self.number_to_flt(a);
                flt_result(flt)
            }
            (Intrinsic::ToBool, [a]) => {
                let truth = self.truth(a);
                word_result(truth)
            }
            (Intrinsic::Divmod, [a, b]) => {
                let int = Ty::of(INT);
                let quotient = self.bin_numbers(Bin::FloorDiv, a, b, &int);
                let rest = self.bin_numbers(Bin::Mod, a, b, &int);
                let mut parts = vec![quotient, rest];
                for (part, ty) in parts.iter_mut().zip(ty.parts()?) {
                    part.ty = ty.clone();
                }
                Some(Val {
                    ty: ty.clone(),
                    parts,
                    ..Val::default()
                })
            }
            (Intrinsic::Pow, [a, b]) => {
                let exponent = Val {
                    constant: None,
                    ..b.clone()
                };
                Some(self.bin_numbers(Bin::Pow, a, &exponent, ty))
            }
            (Intrinsic::OfInts(name), _) => {
                let function = *self.rt.of_ints.get(name)?;
                let mut words = args.iter().map(|arg| self.word(arg)).collect::<Vec<_>>();
                let (zero, out) = (self.int(0), self.scratch(1));
                words.resize(3, zero);
                words.push(out);
                let fits = self.call_word(function, &words);
                self.exit_unless(fits, "what is no integer of 64 bits");
                let out = self.scratch(1);
                let word = self.load(types::I64, out, 0);
                word_result(word)
            }
            (Intrinsic::BitLength | Intrinsic::BitCount, [a]) => {
                let word = self.word(a);
                // Of the smallest integer, too, as if it had no sign.
                let size = self.b.ins().iabs(word);
                let n = if how == Intrinsic::BitLength {
                    let (above, all) = (self.b.ins().clz(size), self.int(64));
                    self.b.ins().isub(all, above)
                } else {
                    self.b.ins().popcnt(size)
                };
                word_result(n)
            }
            (Intrinsic::Range, _) => {
                let (start, stop, step) = match args {
                    [stop] => (self.int_val(0), stop.clone(), self.int_val(1)),
                    [start, stop] => (start.clone(), stop.clone(), self.int_val(1)),
                    [start, stop, step] => (start.clone(), stop.clone(), step.clone()),
                    _ => return None,
                };
                // The ends of a range are Python's own integers.
                let [start, stop, step] = [start, stop, step].map(|end| {
                    if end.ty.tags.any(Tags::NUMPY) {
                        let word = self.word(&end);
                        let (natural, room) = (end.ty.natural, end.ty.room);
                        let ty = Ty {
                            natural,
                            room,
                            ..Ty::of(INT)
                        };
                        return Self::from_word(ty, word);
                    }
                    end
                });
                if step.constant.is_none_or(|step| step == 0) {
                    let word = self.word(&step);
                    let zero = self.b.ins().icmp_imm_s(IntCC::Equal, word, 0);
                    self.exit_if(zero, "a range with step zero");
                }
                Some(Val {
                    ty: ty.clone(),
                    parts: vec![start, stop, step],
                    ..Val::default()
                })
            }
            _ => None,
        }
    }

    /// A number without its fraction as an integer.
    fn whole_word(&mut self, a: &Val) -> Value {
        let value = self.by_class(&[a], &Ty::of(INT), |emitter, seen| {
            let a = &seen[0];
            let word = match Self::class_of(a)? {
                Class::Int => emitter.word(a),
                _ => {
                    let flt = emitter.flt(a);
                    emitter.flt_to_int(flt)
                }
            };
            Some(Self::from_word(Ty::of(INT), word))
        });
        self.word(&value)
    }

    /// A double without its fraction as an integer.
    fn flt_to_int(&mut self, flt: Value) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        let limit = self.b.ins().f64const(i64::MAX as f64);
        let size = self.b.ins().fabs(flt);
        let fits = self.b.ins().fcmp(FloatCC::LessThan, size, limit);
        self.exit_unless(fits, "an integer of more than 64 bits");
        self.b.ins().fcvt_to_sint_sat(types::I64, flt)
    }

    fn abs(&mut self, a: &Val, ty: &Ty) -> Val {
        self.by_class(&[a], ty, |emitter, seen| {
            let a = &seen[0];
            let tag = a.ty.tags.single().is_none().then(|| {
                let tag = emitter.tag(a);
                if a.ty.tags.has(BOOL) {
                    emitter.b.ins().bor_imm_s(tag, 1)
                } else {
                    tag
                }
            });
            let value = match Self::class_of(a)? {
                Class::Int => {
                    let word = emitter.word(a);
                    let zero = emitter.int(0);
                    let (negated, overflow) = emitter.b.ins().ssub_overflow(zero, word);
                    emitter.exit_if_beyond(overflow);
                    let negative = emitter.b.ins().icmp_imm_s(IntCC::SignedLessThan, word, 0);
                    let word = emitter.b.ins().select(negative, negated, word);
                    Self::from_word(ty.clone(), word)
                }
                _ => {
                    let flt = emitter.flt(a);
                    let flt = emitter.b.ins().fabs(flt);
                    Self::from_flt(ty.clone(), flt)
                }
            };
            // A bool alone becomes an int.
            let tag = tag.or_else(|| a.ty.tags.has(BOOL).then(|| emitter.tag_value(INT)));
            let ty = Ty::tags(if a.ty.tags == Tags::of(BOOL) {
                Tags::of(INT)
            } else {
                a.ty.tags
            });
            Some(Val { tag, ty, ..value })
        })
    }

    /// `item` if `item op best`, else `best`.
    fn better(&mut self, op: Cmp, best: &Val, item: &Val) -> Val {
        let truth = self.cmp_numbers(op, item, best, &Ty::of(BOOL));
        let truth = self.word(&truth);
        let tags = best.ty.tags.or(item.ty.tags);
        let mut value = Val {
            ty: Ty::tags(tags),
            ..Val::default()
        };
        if tags.single().is_none() {
            let (x, y) = (self.tag(item), self.tag(best));
            value.tag = Some(self.b.ins().select(truth, x, y));
        }
        if tags.any(Tags::INTS) {
            let (x, y) = (self.word(item), self.word(best));
            value.word = Some(self.b.ins().select(truth, x, y));
        }
        if tags.any(Tags::FLOATS) {
            let (x, y) = (self.flt(item), self.flt(best));
            value.flt = Some(self.b.ins().select(truth, x, y));
        }
        value
    }
}

pub(super) fn int_cc(op: Cmp) -> Option<IntCC> {
    Some(match op {
        Cmp::Lt => IntCC::SignedLessThan,
        Cmp::Le => IntCC::SignedLessThanOrEqual,
        Cmp::Eq => IntCC::Equal,
        Cmp::Ne => IntCC::NotEqual,
        Cmp::Gt => IntCC::SignedGreaterThan,
        Cmp::Ge => IntCC::SignedGreaterThanOrEqual,
        _ => return None,
    })
}

pub(super) fn float_cc(op: Cmp) -> Option<FloatCC> {
    Some(match op {
        Cmp::Lt => FloatCC::LessThan,
        Cmp::Le => FloatCC::LessThanOrEqual,
        Cmp::Eq => FloatCC::Equal,
        Cmp::Ne => FloatCC::NotEqual,
        Cmp::Gt => FloatCC::GreaterThan,
        Cmp::Ge => FloatCC::GreaterThanOrEqual,
        _ => return None,
    })
}
