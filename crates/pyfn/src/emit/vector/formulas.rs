//! `exp`, `log`, `sin`, `cos` and `pow` as the C library computes them: which operations on lanes, in
//! which order.
//!
//! Each gives the value in the usual range and a mask of the lanes that are out of it. A product and a
//! sum that are rounded once are so because the library was compiled for processors that can.
//!
//! Sources: the algorithms of S. Nagy's `exp`, `log` and `pow` (Arm Optimized Routines, in glibc since 2.28)
//! and of IBM's `sin` and `cos` (the same, without slow paths since 2.28).

use super::graph::{Graph, Id, Lane, Op, Range, Test};
use super::tables::Table;

/// Operations on doubles and their bits.
pub(super) struct Steps<'g>(pub(super) &'g mut Graph);

impl Steps<'_> {
    fn num(&mut self, value: f64) -> Id {
        self.0.double(value)
    }

    fn float(&mut self, op: Op, args: &[Id]) -> Id {
        self.0.float(op, Lane::Double, args)
    }

    fn add(&mut self, a: Id, b: Id) -> Id {
        self.float(Op::Add, &[a, b])
    }

    fn sub(&mut self, a: Id, b: Id) -> Id {
        self.float(Op::Sub, &[a, b])
    }

    fn mul(&mut self, a: Id, b: Id) -> Id {
        self.float(Op::Mul, &[a, b])
    }

    /// `a b + c`.
    fn fma(&mut self, a: Id, b: Id, c: Id) -> Id {
        self.float(Op::MulAdd, &[a, b, c])
    }

    /// `c - a b`.
    fn fnma(&mut self, a: Id, b: Id, c: Id) -> Id {
        self.float(Op::NegMulAdd, &[a, b, c])
    }

    /// `a b + c` for two numbers of a polynomial, `b` the argument.
    fn horner(&mut self, a: Id, b: Id, c: f64) -> Id {
        let c = self.num(c);
        self.fma(a, b, c)
    }

    /// `a + b x`.
    fn line(&mut self, a: f64, b: f64, x: Id) -> Id {
        let b = self.num(b);
        self.horner(x, b, a)
    }

    fn bits(&mut self, op: Op, args: &[Id]) -> Id {
        self.0.add(op, Lane::Int, Range::FULL, args)
    }

    fn word(&mut self, bits: u64) -> Id {
        self.0.int(bits.cast_signed())
    }

    fn masked(&mut self, a: Id, bits: u64) -> Id {
        let bits = self.word(bits);
        self.bits(Op::And, &[a, bits])
    }

    fn look_up(&mut self, table: Table, at: Id) -> Id {
        self.float(Op::Table(table), &[at])
    }

    fn select(&mut self, mask: Id, yes: Id, no: Id) -> Id {
        self.float(Op::Select, &[mask, yes, no])
    }

    fn is(&mut self, test: Test, a: Id, limit: f64) -> Id {
        let limit = self.num(limit);
        self.0.compare(test, a, limit)
    }

    fn not(&mut self, mask: Id) -> Id {
        let ones = self.0.mask(Op::Constant(u64::MAX), &[]);
        self.0.mask(Op::Xor, &[mask, ones])
    }

    fn magnitude(&mut self, x: Id) -> Id {
        let others = self.num(f64::from_bits(u64::MAX >> 1));
        self.float(Op::And, &[x, others])
    }

    /// `2^(k/128) · e^r`, with `x = k ln 2 / 128 + r`.
    pub(super) fn exp(&mut self, x: Id) -> (Id, Id) {
        self.exp_of(x, None)
    }

    /// The same of a sum whose second part is small.
    fn exp_of(&mut self, x: Id, rest: Option<Id>) -> (Id, Id) {
        let size = self.magnitude(x);
        // Beyond, the C library puts the parts together in other steps.
        let fits = self.is(Test::Lt, size, EXP_LIMIT);
        let odd = self.not(fits);
        let (scale, shift) = (self.num(EXP_SCALE), self.num(EXP_SHIFT));
        let shifted = self.fma(x, scale, shift);
        let k = self.sub(shifted, shift);
        let high = self.num(EXP_LN2[0]);
        let r = self.fma(k, high, x);
        let low = self.num(EXP_LN2[1]);
        let mut r = self.fma(k, low, r);
        if let Some(rest) = rest {
            r = self.add(rest, r);
        }
        let at = self.masked(shifted, 127);
        let exponent = self.bits(Op::ShiftLeft(45), &[shifted]);
        let (power, tail) = (
            self.look_up(Table::Power, at),
            self.look_up(Table::PowerTail, at),
        );
        let power = self.bits(Op::Add, &[power, exponent]);
        let [c2, c3, c4, c5] = EXP;
        let start = self.add(r, tail);
        let square = self.mul(r, r);
        let low = self.line(c2, c3, r);
        let high = self.line(c4, c5, r);
        let sum = self.fma(low, square, start);
        let fourth = self.mul(square, square);
        let sum = self.fma(fourth, high, sum);
        (self.fma(power, sum, power), odd)
    }

    /// The parts of `x = 2^k z`: z, its interval of 128, and k.
    fn split(&mut self, x: Id, start: u64) -> (Id, Id, Id) {
        let start = self.word(start);
        let offset = self.bits(Op::Sub, &[x, start]);
        let at = self.bits(Op::ShiftDown(45), &[offset]);
        let at = self.masked(at, 127);
        let exponent = self.masked(offset, 0xfff << 52);
        let z = self.bits(Op::Sub, &[x, exponent]);
        // The exponent, which may be negative, as a double: in the significand of 2⁵².
        let bias = self.word(1024 << 52);
        let natural = self.bits(Op::Add, &[offset, bias]);
        let natural = self.bits(Op::ShiftDown(52), &[natural]);
        let magic = self.num(TWO52);
        let k = self.float(Op::Or, &[natural, magic]);
        let back = self.num(TWO52 + 1024.0);
        (z, at, self.sub(k, back))
    }

    /// Whether a number is positive, finite and not subnormal.
    fn is_normal(&mut self, x: Id) -> Id {
        let is_normal = self.is(Test::Ge, x, f64::MIN_POSITIVE);
        let is_finite = self.is(Test::Le, x, f64::MAX);
        self.0.mask(Op::And, &[is_normal, is_finite])
    }

    /// `x x`, which is what the library's power gives where the exact product is not near the middle of
    /// two doubles.
    fn square(&mut self, x: Id) -> (Id, Id) {
        let product = self.mul(x, x);
        let lost = self.float(Op::MulSub, &[x, x, product]);
        let lost = self.magnitude(lost);
        // The power of two below the product; below a power of two doubles are denser.
        let one = self.word(1);
        let below = self.bits(Op::Sub, &[product, one]);
        let unit = self.masked(below, 0x7ff << 52);
        let near = self.num(SQUARE_NEAR);
        let limit = self.mul(unit, near);
        let is_near = self.0.compare(Test::Lt, lost, limit);
        let is_large = self.is(Test::Ge, product, 1.0 / SQUARE_LIMIT);
        let is_small = self.is(Test::Le, product, SQUARE_LIMIT);
        let is_usual = self.0.mask(Op::And, &[is_large, is_small]);
        let fits = self.0.mask(Op::And, &[is_near, is_usual]);
        let is_zero = self.is(Test::Eq, x, 0.0);
        let fits = self.0.mask(Op::Or, &[fits, is_zero]);
        (product, self.not(fits))
    }

    /// `e^(y log x)`, the logarithm in two parts.
    pub(super) fn pow(&mut self, base: Id, exponent: f64) -> (Id, Id) {
        if exponent.to_bits() == 2.0_f64.to_bits() {
            return self.square(base);
        }
        let is_whole = exponent.trunc() == exponent && exponent.abs() < TWO52;
        let is_odd = is_whole && (exponent / 2.0).trunc() * 2.0 != exponent;
        let x = if is_whole { self.magnitude(base) } else { base };
        let is_normal = self.is_normal(x);
        let (z, at, k) = self.split(x, POW_START);
        let logarithm = self.look_up(Table::LongLogarithm, at);
        let ln2 = self.num(LN2[0]);
        let whole = self.fma(k, ln2, logarithm);
        let tail = self.look_up(Table::LongLogarithmTail, at);
        let ln2 = self.num(LN2[1]);
        let part1 = self.fma(k, ln2, tail);
        let inverse = self.look_up(Table::ShortInverse, at);
        let one = self.num(-1.0);
        let r = self.fma(z, inverse, one);
        let [a0, a1, a2, a3, a4, a5, a6] = POW;
        let a0 = self.num(a0);
        let half = self.mul(r, a0);
        let near = self.add(r, whole);
        let square = self.mul(r, half);
        let lost = self.sub(whole, near);
        let cube = self.mul(r, square);
        let part3 = self.float(Op::MulSub, &[half, r, square]);
        let part2 = self.add(lost, r);
        let high = self.add(near, square);
        let lost = self.sub(near, high);
        let part4 = self.add(lost, square);
        let upper = self.line(a5, a6, r);
        let middle = self.line(a3, a4, r);
        let sum = self.fma(upper, square, middle);
        let low = self.line(a1, a2, r);
        let sum = self.fma(square, sum, low);
        let rest = self.add(part1, part2);
        let rest = self.add(rest, part3);
        let rest = self.add(rest, part4);
        let rest = self.fma(cube, sum, rest);
        let log = self.add(high, rest);
        let lost = self.sub(high, log);
        let log_tail = self.add(lost, rest);
        let y = self.num(exponent);
        let product = self.mul(log, y);
        let lost = self.float(Op::MulSub, &[log, y, product]);
        let product_tail = self.fma(log_tail, y, lost);
        let (mut value, is_beyond) = self.exp_of(product, Some(product_tail));
        let mut fits = is_normal;
        if is_whole && exponent > 0.0 {
            // Zeros are no rare numbers.
            let zero = self.num(0.0);
            let is_zero = self.0.compare(Test::Eq, x, zero);
            fits = self.0.mask(Op::Or, &[fits, is_zero]);
            value = self.float(Op::AndNot, &[is_zero, value]);
            let is_beyond = self.0.mask(Op::AndNot, &[is_zero, is_beyond]);
            let fits_not = self.not(fits);
            let odd = self.0.mask(Op::Or, &[fits_not, is_beyond]);
            return (self.signed(value, base, is_odd), odd);
        }
        let fits_not = self.not(fits);
        let odd = self.0.mask(Op::Or, &[fits_not, is_beyond]);
        (self.signed(value, base, is_odd), odd)
    }

    /// A number with the sign of another, if that counts.
    fn signed(&mut self, value: Id, of: Id, counts: bool) -> Id {
        if !counts {
            return value;
        }
        let sign = self.num(-0.0);
        let sign = self.float(Op::And, &[of, sign]);
        self.float(Op::Or, &[value, sign])
    }

    /// `log z/c + log c + k ln 2`, with `x = 2^k z`; near 1 a polynomial.
    pub(super) fn log(&mut self, x: Id) -> (Id, Id) {
        let fits = self.is_normal(x);
        let odd = self.not(fits);
        let (z, at, k) = self.split(x, LOG_START);
        let (inverse, logarithm) = (
            self.look_up(Table::Inverse, at),
            self.look_up(Table::Logarithm, at),
        );
        let ln2 = self.num(LN2[0]);
        let whole = self.fma(k, ln2, logarithm);
        let one = self.num(-1.0);
        let r = self.fma(z, inverse, one);
        let [a0, a1, a2, a3, a4] = LOG;
        let low = self.line(a1, a2, r);
        let high = self.add(r, whole);
        let square = self.mul(r, r);
        let rest = self.sub(whole, high);
        let rest = self.add(rest, r);
        let ln2 = self.num(LN2[1]);
        let rest = self.fma(k, ln2, rest);
        let cube = self.mul(r, square);
        let upper = self.line(a3, a4, r);
        let a0 = self.num(a0);
        let rest = self.fma(square, a0, rest);
        let sum = self.fma(upper, square, low);
        let sum = self.fma(cube, sum, rest);
        let value = self.add(sum, high);
        let near = self.log_near_one(x);
        let (is_above, is_below) = (
            self.is(Test::Ge, x, LOG_NEAR[0]),
            self.is(Test::Lt, x, LOG_NEAR[1]),
        );
        let is_near = self.0.mask(Op::And, &[is_above, is_below]);
        (self.select(is_near, near, value), odd)
    }

    fn log_near_one(&mut self, x: Id) -> Id {
        let one = self.num(1.0);
        let r = self.sub(x, one);
        let b = NEAR_ONE;
        let low = self.line(b[1], b[2], r);
        let middle = self.line(b[4], b[5], r);
        let upper = self.line(b[7], b[8], r);
        let square = self.mul(r, r);
        let b3 = self.num(b[3]);
        let low = self.fma(square, b3, low);
        let b6 = self.num(b[6]);
        let middle = self.fma(square, b6, middle);
        let cube = self.mul(r, square);
        let b9 = self.num(b[9]);
        let upper = self.fma(square, b9, upper);
        let b10 = self.num(b[10]);
        let upper = self.fma(cube, b10, upper);
        let sum = self.fma(upper, cube, middle);
        let sum = self.fma(sum, cube, low);
        // The square of the upper half of r is exact.
        let split = self.num(SPLIT);
        let wide = self.fma(r, split, r);
        let first = self.fnma(r, split, wide);
        let exact = self.mul(first, first);
        let second = self.sub(r, first);
        let b0 = self.num(b[0]);
        let high = self.fma(exact, b0, r);
        let rest = self.sub(r, high);
        let both = self.add(r, first);
        let rest = self.fma(exact, b0, rest);
        let product = self.mul(second, b0);
        let rest = self.fma(product, both, rest);
        let rest = self.fma(sum, cube, rest);
        self.add(high, rest)
    }

    /// The sine or cosine of `a + da`, where `x = a + da + n π/2`.
    pub(super) fn circular(&mut self, x: Id, is_cosine: bool) -> (Id, Id) {
        let size = self.magnitude(x);
        let [direct, once, far] = CIRCULAR_LIMITS;
        let fits = self.is(Test::Lt, size, far);
        let odd = self.not(fits);
        let is_direct = self.is(Test::Lt, size, direct);
        let is_once = self.is(Test::Lt, size, once);
        let (zero, sign) = (self.num(0.0), self.num(-0.0));
        // π/2 - |x|, which the sine takes as it is and the cosine as a sum.
        let (quarter, rest) = (self.num(QUARTER[0]), self.num(QUARTER[1]));
        let off = self.sub(quarter, size);
        let (near, near_tail) = if is_cosine {
            let near = self.add(off, rest);
            let tail = self.sub(off, near);
            (near, self.add(tail, rest))
        } else {
            (off, rest)
        };
        let (a, tail, count) = self.reduced(x);
        let a = self.select(is_once, near, a);
        let tail = self.select(is_once, near_tail, tail);
        let a = self.select(is_direct, x, a);
        let tail = self.select(is_direct, zero, tail);
        // Quarters beyond the first: bit 0 exchanges sine and cosine, bit 1 the sign.
        let quarters = if is_cosine {
            let one = self.word(1);
            self.bits(Op::Add, &[count, one])
        } else {
            count
        };
        let (first, third) = (
            self.word(u64::from(is_cosine)),
            self.word(u64::from(!is_cosine)),
        );
        let quarters = self.0.add(
            Op::Select,
            Lane::Int,
            Range::FULL,
            &[is_once, third, quarters],
        );
        let quarters = self.0.add(
            Op::Select,
            Lane::Int,
            Range::FULL,
            &[is_direct, first, quarters],
        );
        let turned = self.bits(Op::ShiftLeft(62), &[quarters]);
        let mut flip = self.float(Op::And, &[turned, sign]);
        if !is_cosine {
            // The argument's sign, which π/2 - |x| has not.
            let is_turned = self.0.mask(Op::AndNot, &[is_direct, is_once]);
            let of_x = self.float(Op::And, &[x, is_turned]);
            let of_x = self.float(Op::And, &[of_x, sign]);
            flip = self.float(Op::Xor, &[flip, of_x]);
        }
        let is_odd = self.masked(quarters, 1);
        let zeros = self.word(0);
        let takes_cosine = self.0.compare(Test::Ne, is_odd, zeros);
        // By a series, or from the next point of the table.
        let magnitude = self.magnitude(a);
        let is_small = self.is(Test::Lt, magnitude, SERIES_LIMIT);
        let by_series = self.0.mask(Op::AndNot, &[takes_cosine, is_small]);
        let series = self.sine_series(a, tail);
        let of_a = self.float(Op::And, &[a, sign]);
        // A zero has the sign of its argument.
        let series = self.float(Op::Or, &[series, of_a]);
        let nearby = self.near_point(a, tail, takes_cosine);
        let value = self.select(by_series, series, nearby);
        (self.float(Op::Xor, &[value, flip]), odd)
    }

    /// What is left of an angle of many quarters, in two parts, and how many they are.
    fn reduced(&mut self, x: Id) -> (Id, Id, Id) {
        let (scale, shift) = (self.num(QUARTERS), self.num(EXP_SHIFT));
        let count = self.fma(x, scale, shift);
        let n = self.sub(count, shift);
        let [p1, p2, p3, p4] = QUARTER_PARTS.map(|part| self.num(part));
        let y = self.fnma(n, p1, x);
        let y = self.fnma(n, p2, y);
        let near = self.fnma(n, p3, y);
        let lost = self.sub(y, near);
        let tail = self.fnma(n, p3, lost);
        let a = self.fnma(n, p4, near);
        let lost = self.sub(near, a);
        let more = self.fnma(n, p4, lost);
        (a, self.add(tail, more), count)
    }

    fn sine_series(&mut self, a: Id, tail: Id) -> Id {
        let square = self.mul(a, a);
        let [s1, s2, s3, s4, s5] = SERIES;
        let sum = self.line(s4, s5, square);
        let sum = self.horner(sum, square, s3);
        let sum = self.horner(sum, square, s2);
        let sum = self.horner(sum, square, s1);
        let half = self.num(0.5);
        let half = self.mul(tail, half);
        let sum = self.float(Op::MulSub, &[sum, a, half]);
        let sum = self.fma(square, sum, tail);
        self.add(a, sum)
    }

    /// By the sums of angles: of a point of the table and of what is left, `s` and `1 - c`.
    fn near_point(&mut self, a: Id, tail: Id, takes_cosine: Id) -> Id {
        let (sign, zero) = (self.num(-0.0), self.num(0.0));
        let of_a = self.float(Op::And, &[a, sign]);
        // Only the sine is odd.
        let sign_of_sine = self.float(Op::AndNot, &[takes_cosine, of_a]);
        // The tail is of the magnitude, too.
        let tail = self.float(Op::Xor, &[tail, of_a]);
        let size = self.magnitude(a);
        let points = self.num(POINTS);
        let shifted = self.add(size, points);
        let point = self.sub(shifted, points);
        let at = self.masked(shifted, 127);
        let second = self.masked(takes_cosine, 128);
        let at = self.bits(Op::Or, &[at, second]);
        let off = self.sub(size, point);
        let whole = self.add(off, tail);
        let x = self.select(takes_cosine, whole, off);
        let tail = self.select(takes_cosine, zero, tail);
        let square = self.mul(x, x);
        let [sn3, sn5] = NEAR_SINE;
        let [cs2, cs4, cs6] = NEAR_COSINE;
        let slope = self.line(sn3, sn5, square);
        let cube = self.mul(x, square);
        let sine = self.fma(cube, slope, tail);
        let sine = self.add(x, sine);
        let other = self.fma(cube, slope, x);
        let s = self.select(takes_cosine, other, sine);
        let curve = self.line(cs4, cs6, square);
        let curve = self.horner(curve, square, cs2);
        let curve = self.mul(square, curve);
        let c = self.fma(x, tail, curve);
        // The cosine's derivative is minus the sine.
        let minus = self.float(Op::And, &[takes_cosine, sign]);
        let s = self.float(Op::Xor, &[s, minus]);
        let value_tail = self.look_up(Table::CircularTail, at);
        let other_tail = self.look_up(Table::ComplementTail, at);
        let rest = self.fma(other_tail, s, value_tail);
        let value = self.look_up(Table::Circular, at);
        let rest = self.fnma(c, value, rest);
        let other = self.look_up(Table::Complement, at);
        let rest = self.fma(s, other, rest);
        let value = self.add(value, rest);
        self.float(Op::Xor, &[value, sign_of_sine])
    }
}

const TWO52: f64 = 4_503_599_627_370_496.0;

/// The library's power is at most 0.511 units in the last place off, while its logarithm is moderate:
/// 0.509 by its `exp`, and 1.3 · 2⁻⁶⁸ of the logarithm. So it is the product as rounded, if that loses
/// less than this.
pub(in crate::emit) const SQUARE_NEAR: f64 = 0.487 * f64::EPSILON;
/// The products that this is said of are between this and its inverse: 2⁶⁴.
pub(in crate::emit) const SQUARE_LIMIT: f64 = 18_446_744_073_709_551_616.0;

// The numbers of `exp`: 128 / ln 2, its inverse in two parts, what rounds to an integer, and the
// coefficients of r² and up.
pub(super) const EXP_LIMIT: f64 = 512.0;
const EXP_SCALE: f64 = f64::from_bits(0x4067_1547_652b_82fe);
const EXP_LN2: [f64; 2] = [
    f64::from_bits(0xbf76_2e42_fefa_0000),
    f64::from_bits(0xbd0c_f79a_bc9e_3b3a),
];
const EXP_SHIFT: f64 = 1.5 * TWO52;
const EXP: [f64; 4] = [
    f64::from_bits(0x3fdf_ffff_ffff_fdbd),
    f64::from_bits(0x3fc5_5555_5555_543c),
    f64::from_bits(0x3fa5_5555_cf17_2b91),
    f64::from_bits(0x3f81_1111_67a4_d017),
];

// Those of `log`: where its intervals begin, ln 2 in two parts, the coefficients of r² and up, the
// interval around 1 and the coefficients there.
const LOG_START: u64 = 0x3fe6_0000_0000_0000;
const LN2: [f64; 2] = [
    f64::from_bits(0x3fe6_2e42_fefa_3800),
    f64::from_bits(0x3d2e_f357_93c7_6730),
];
const LOG: [f64; 5] = [
    f64::from_bits(0xbfe0_0000_0000_0001),
    f64::from_bits(0x3fd5_5555_5551_305b),
    f64::from_bits(0xbfcf_ffff_ffeb_4590),
    f64::from_bits(0x3fc9_99b3_24f1_0111),
    f64::from_bits(0xbfc5_5575_e506_c89f),
];
pub(super) const LOG_NEAR: [f64; 2] = [0.9375, f64::from_bits(0x3ff1_0900_0000_0000)];
const NEAR_ONE: [f64; 11] = [
    -0.5,
    f64::from_bits(0x3fd5_5555_5555_5577),
    f64::from_bits(0xbfcf_ffff_ffff_fdcb),
    f64::from_bits(0x3fc9_9999_9995_dd0c),
    f64::from_bits(0xbfc5_5555_5567_45a7),
    f64::from_bits(0x3fc2_4924_a344_de30),
    f64::from_bits(0xbfbf_ffff_a442_3d65),
    f64::from_bits(0x3fbc_7184_282a_d6ca),
    f64::from_bits(0xbfb9_99eb_43b0_68ff),
    f64::from_bits(0x3fb7_8182_f7af_d085),
    f64::from_bits(0xbfb5_5213_75d1_45cd),
];
const SPLIT: f64 = 134_217_728.0;

// Those of `pow`: where its intervals begin, and the coefficients, those behind the first divided by
// its powers.
const POW_START: u64 = 0x3fe6_9555_0000_0000;
const POW: [f64; 7] = [
    -0.5,
    f64::from_bits(0xbfe5_5555_5555_5560),
    f64::from_bits(0x3fe0_0000_0000_0006),
    f64::from_bits(0x3fe9_9999_9959_554e),
    f64::from_bits(0xbfe5_5555_5529_a47a),
    f64::from_bits(0xbff2_495b_9b48_45e9),
    f64::from_bits(0x3ff0_002b_8b26_3fc3),
];

// Those of `sin` and `cos`: where the first quarter ends, the first turn and what is reduced; π/2 in
// two parts, its inverse and in four parts of few bits; the series, and the distance of points.
pub(super) const CIRCULAR_LIMITS: [f64; 3] = [
    f64::from_bits(0x3feb_6000_0000_0000),
    f64::from_bits(0x4003_68fd_0000_0000),
    f64::from_bits(0x4199_21fb_0000_0000),
];
const QUARTER: [f64; 2] = [
    f64::from_bits(0x3ff9_21fb_5444_2d18),
    f64::from_bits(0x3c91_a626_3314_5c07),
];
const QUARTERS: f64 = f64::from_bits(0x3fe4_5f30_6dc9_c883);
const QUARTER_PARTS: [f64; 4] = [
    f64::from_bits(0x3ff9_21fb_5800_0000),
    f64::from_bits(0xbe4d_de97_3c00_0000),
    f64::from_bits(0xbc8c_b3b3_9800_0000),
    f64::from_bits(0xbacd_747f_23e3_2ed7),
];
pub(super) const SERIES_LIMIT: f64 = f64::from_bits(0x3fc0_20c4_9ba5_e354);
const SERIES: [f64; 5] = [
    f64::from_bits(0xbfc5_5555_5555_5555),
    f64::from_bits(0x3f81_1111_1111_0ece),
    f64::from_bits(0xbf2a_01a0_19db_08b8),
    f64::from_bits(0x3ec7_1de2_7b9a_7ed9),
    f64::from_bits(0xbe5a_ddff_c2fc_df59),
];
const POINTS: f64 = 52_776_558_133_248.0;
const NEAR_SINE: [f64; 2] = [
    f64::from_bits(0xbfc5_5555_5555_5515),
    f64::from_bits(0x3f81_1110_e829_872f),
];
const NEAR_COSINE: [f64; 3] = [
    0.5,
    f64::from_bits(0xbfa5_5555_5555_5535),
    f64::from_bits(0x3f56_c16b_edd9_e239),
];
