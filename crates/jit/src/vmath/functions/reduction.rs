//! Argument reduction of sin, cos, tan: |x| = n·u + r + low with |r| ≤ u/2.
//!
//! The unit u is π/2. With fused operations sin and cos are reduced by π, to multiples n or n + ½: one
//! polynomial over half a period takes less than two and a choice.
//!
//! - *Moderate* |x|: n·u is subtracted in parts (Cody and Waite 1980). With fused operations, a
//!   part has all bits of a number: x − n·u₁ is exact, since it is a multiple of the last bit of u₁
//!   below 1. Without, parts have 33 bits and n at most 20, which makes products exact, and sums
//!   are formed with their errors.
//! - *Huge* |x|: x·2/π modulo 4 (Payne and Hanek 1983). x = x'·2^(16j − 1008) with x' below 2, and
//!   a table has for each j the bits of 2/π that matter, in four parts of 48: those above make
//!   multiples of 4 of any such x', those below are less than 2⁻¹²³, while no double is closer than
//!   2⁻⁶¹ to a multiple of π/2 (Muller: Elementary Functions, ch. 11). Products are sums of two.
//!
//! Single precision does both in double precision where |x| is beyond 2¹⁷, without the parts that
//! only doubles need.

use super::scaling::{Integer, MAGIC};
use crate::vmath::lanes::{Mask, Value};
use crate::vmath::program::Elem;

/// A unit in parts, and its inverse, in one precision.
struct Unit {
    inverse: f64,
    parts: [f64; 3],
    /// How often it goes into π/2.
    per_half_pi: f64,
}

static HALF_PI: Unit = Unit {
    inverse: std::f64::consts::FRAC_2_PI,
    parts: [
        std::f64::consts::FRAC_PI_2,
        6.123_233_995_736_766e-17,
        -1.497_384_904_859_169_8e-33,
    ],
    per_half_pi: 1.0,
};
static HALF_PI_SINGLE: Unit = Unit {
    inverse: 0.636_619_746_685_028_1,
    parts: [
        1.570_796_370_506_286_6,
        -4.371_138_828_673_793e-8,
        -1.715_124_510_005_881_9e-15,
    ],
    per_half_pi: 1.0,
};
static PI: Unit = Unit {
    inverse: std::f64::consts::FRAC_1_PI,
    parts: [
        std::f64::consts::PI,
        1.224_646_799_147_353_2e-16,
        -2.994_769_809_718_339_7e-33,
    ],
    per_half_pi: 0.5,
};
static PI_SINGLE: Unit = Unit {
    inverse: 0.318_309_873_342_514_04,
    parts: [
        3.141_592_741_012_573_2,
        -8.742_277_657_347_586e-8,
        -3.430_249_020_011_763_7e-15,
    ],
    per_half_pi: 0.5,
};
/// Three parts of π/2 of 33 bits, and the rest.
const HALF_PI_SHORT: [f64; 4] = [
    1.570_796_326_734_125_6,
    6.077_100_506_303_966e-11,
    2.022_266_248_711_166_5e-21,
    8.478_427_660_368_9e-32,
];
/// π/2 less the first part of [`HALF_PI_SHORT`].
const HALF_PI_SHORT_REST: f64 = 6.077_100_506_506_192e-11;

/// |x| = n·u + r + low, or a multiple of 2π more.
#[derive(Clone, Copy)]
pub(super) struct Reduced<'l> {
    /// n in the low bits.
    pub(super) n: Value<'l>,
    pub(super) r: Value<'l>,
    /// What rounding r lost.
    pub(super) low: Value<'l>,
}

impl<'l> Reduced<'l> {
    /// Replaced by what is found for magnitudes `x` from `limit` on.
    fn or_huge(self, x: Value<'l>, limit: f64) -> Reduced<'l> {
        let Reduced { n, r, low } = self;
        let [n, r, low] = is_huge(x, limit).replace([n, r, low], || match x.elem() {
            Elem::F64 => reduce_huge(x, &HALF_PI, 0.0).with_error(),
            Elem::F32 => {
                let [n, r] = reduce_in_halves(x, &HALF_PI_SINGLE, 0.0);
                [n, r, r.constant(0.0)]
            }
        });
        Reduced { n, r, low }
    }
}

/// Reduces a magnitude by π/2; in single precision with fused operations only.
pub(super) fn reduce(x: Value) -> Reduced {
    if !x.lanes().is_fused() {
        return reduce_short(x).or_huge(x, 1_048_576.0);
    }
    let unit = match x.elem() {
        Elem::F64 => &HALF_PI,
        Elem::F32 => &HALF_PI_SINGLE,
    };
    // Rounding x·2/π moves r by a small part of |x|, which the polynomials allow for.
    let n = Integer::nearest_product(x, unit.inverse);
    let exact = n.number.neg_mul_add(unit.parts[0], x);
    let (second, second_low) = n.number.two_prod(unit.parts[1]);
    let r = exact - second;
    let lost = (exact - r) - second;
    let low = n.number.neg_mul_add(unit.parts[2], lost - second_low);
    Reduced { n: n.bits, r, low }.or_huge(x, fused_limit(x))
}

/// x = n·π + r or x = (n + ½)·π − r, or a multiple of 2π more.
pub(super) struct Alternating<'l> {
    /// n in the low bits.
    pub(super) n: Value<'l>,
    pub(super) r: Value<'l>,
    pub(super) square: Value<'l>,
}

/// Reduces by π with fused operations, to multiples n + `shift`, which is 0 or ½.
pub(super) fn reduce_alternating(x: Value, shift: f64) -> Alternating {
    // Squared, the largest x for which rounding x·1/π moves r no further than polynomials go.
    let (unit, far_square) = match x.elem() {
        Elem::F64 => (&PI, 1e22),
        Elem::F32 => (&PI_SINGLE, 1e12),
    };
    let (n, multiple) = nearest_multiple(x, unit.inverse, shift);
    let [first, second, third] = unit.parts;
    // The first difference is exact.
    let r = if shift == 0.0 {
        let exact = multiple.neg_mul_add(first, x);
        let r = multiple.neg_mul_add(second, exact);
        multiple.neg_mul_add(third, r)
    } else {
        let exact = multiple.mul_sub(first, x);
        multiple.mul_add(third, multiple.mul_add(second, exact))
    };
    let square = r * r;
    // x² but for NaN and infinity, which make NaN of r and are left alone.
    let is_far = x.mul_add(x, square).greater(far_square);
    let [n, r, square] = is_far.replace([n.bits, r, square], || {
        let [n, r] = match x.elem() {
            Elem::F64 => reduce_huge(x.abs(), unit, shift).rounded(),
            Elem::F32 => reduce_in_halves(x.abs(), unit, shift),
        };
        let r = if shift == 0.0 { r.xor_sign_of(x) } else { -r };
        [n, r, r * r]
    });
    Alternating { n, r, square }
}

/// The n that makes n + `shift` nearest to `x`·`inverse`, and that sum.
fn nearest_multiple<'l>(x: Value<'l>, inverse: f64, shift: f64) -> (Integer<'l>, Value<'l>) {
    if shift == 0.0 {
        let n = Integer::nearest_product(x, inverse);
        return (n, n.number);
    }
    let n = Integer::nearest(x.mul_add(inverse, -shift));
    (n, n.number + shift)
}

/// Magnitudes from `limit` on. Infinity and NaN, common in a search, are none: subtracting multiples
/// makes NaN of them.
fn is_huge<'l>(x: Value<'l>, limit: f64) -> Mask<'l> {
    x.not_less(limit).and_not(x.not_less(f64::INFINITY))
}

/// Up to here n has few enough bits, and r is little beyond half a unit.
fn fused_limit(x: Value) -> f64 {
    match x.elem() {
        Elem::F64 => 5.0e11,
        Elem::F32 => 131_072.0,
    }
}

/// Without fused operations, for n of 20 bits.
fn reduce_short(x: Value) -> Reduced {
    let n = Integer::nearest_product(x, HALF_PI.inverse);
    let exact = x - n.number * HALF_PI_SHORT[0];
    let (sum, lost) = exact.two_sum(-(n.number * HALF_PI_SHORT[1]));
    let (sum, lost_again) = sum.two_sum(-(n.number * HALF_PI_SHORT[2]));
    let rest = (lost + lost_again) - n.number * HALF_PI_SHORT[3];
    let (r, low) = sum.fast_two_sum(rest);
    Reduced { n: n.bits, r, low }
}

/// n and r of a magnitude by π/2, for results in single precision by way of double.
pub(super) fn reduce_wide<'l>(x: Value<'l>) -> (Value<'l>, Value<'l>) {
    let moderate = reduce_single(x, &HALF_PI_SINGLE, 0.0);
    let [n, r] =
        is_huge(x, wide_limit(x)).replace(moderate, || reduce_huge_single(x, &HALF_PI_SINGLE, 0.0));
    (n + MAGIC, r)
}

/// As [`reduce_wide`], of singles, which are reduced in halves, to multiples n + `shift` of a unit: n
/// in the low bits, and r.
fn reduce_in_halves<'l>(x: Value<'l>, unit: &'static Unit, shift: f64) -> [Value<'l>; 2] {
    let moderate = x.widened_pair(|x| reduce_single(x, unit, shift));
    let [n, r] = is_huge(x, wide_limit(x)).replace(moderate, || {
        x.widened_pair(|x| reduce_huge_single(x, unit, shift))
    });
    [n + MAGIC, r]
}

/// Up to here [`reduce_single`] suffices.
fn wide_limit(x: Value) -> f64 {
    if x.lanes().is_fused() {
        5.0e11
    } else {
        1_048_576.0
    }
}

/// n as a number, modulo a period, and r, of singles in double precision.
fn reduce_single<'l>(x: Value<'l>, unit: &'static Unit, shift: f64) -> [Value<'l>; 2] {
    let times = unit.per_half_pi;
    let (n, multiple) = nearest_multiple(x, HALF_PI.inverse * times, shift);
    let subtract = |first: f64, second: f64| {
        let exact = multiple.neg_mul_add(first / times, x);
        multiple.neg_mul_add(second / times, exact)
    };
    let [first, second, _] = HALF_PI.parts;
    if x.lanes().is_fused() {
        [modulo(n.number, 4.0 * times), subtract(first, second)]
    } else {
        [n.number, subtract(HALF_PI_SHORT[0], HALF_PI_SHORT_REST)]
    }
}

/// Bits of a part of 2/π, which start at these weights.
const PART_BITS: i32 = 48;
const FIRST_WEIGHT: i32 = 68;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small numbers, in a constant"
)]
/// The parts of 2/π·2^(16j − 1008) without multiples of 2⁶⁹, for j from 64 on.
static TWO_OVER_PI: [[u64; 64]; 4] = {
    // In digits of 24 bits.
    let digits: [u32; 50] = [
        10_680_707, 7_228_996, 1_387_004, 2_578_385, 16_069_853, 12_639_074, 9_804_092, 4_427_841,
        16_666_979, 11_263_675, 12_935_607, 2_387_514, 4_345_298, 14_681_673, 3_074_569,
        13_734_428, 16_653_803, 1_880_361, 10_960_616, 8_533_493, 3_062_596, 8_710_556, 7_349_940,
        6_258_241, 3_772_886, 3_769_171, 3_798_172, 8_675_211, 12_450_088, 3_874_808, 9_961_438,
        366_607, 15_675_153, 9_132_554, 7_151_469, 3_571_407, 2_607_881, 12_013_382, 4_155_038,
        6_285_869, 7_677_882, 13_102_053, 15_825_725, 473_591, 9_065_106, 15_363_067, 6_271_263,
        9_264_392, 5_636_912, 4_652_155,
    ];
    let mut table = [[0; 64]; 4];
    let mut place = 0;
    while place < 256 {
        let (part, entry) = (place / 64, place % 64);
        // The first bit of the part by its place behind the point of 2/π, and its weight here.
        let weight = FIRST_WEIGHT - PART_BITS * part as i32;
        let first = 16 * (entry as i32 + 64) - 1009 - weight;
        let mut bits = 0_u64;
        let mut i = first;
        while i < first + PART_BITS {
            bits <<= 1;
            if i >= 0 {
                bits |= (digits[i as usize / 24] >> (23 - i % 24) & 1) as u64;
            }
            i += 1;
        }
        // The integer, times a power of two by way of its exponent field.
        let scale = f64::from_bits(((1023 + weight - PART_BITS + 1) as u64) << 52);
        table[part][entry] = (bits as f64 * scale).to_bits();
        place += 1;
    }
    table
};

/// y less the nearest multiple of a power of two, for y of magnitude below 2⁵¹ times that.
fn modulo<'l>(y: Value<'l>, power: f64) -> Value<'l> {
    let magic = MAGIC.0 * power;
    y - ((y + magic) - magic)
}

/// y less the nearest integer, for y of magnitude below 2⁷¹.
fn fraction(y: Value) -> Value {
    if y.lanes().is_avx512() {
        return y.fraction_instruction();
    }
    modulo(modulo(y, 1_048_576.0), 1.0)
}

/// x/2π modulo 1: multiples of a unit, a fraction that is the exact sum of `large` and `small`, and what is
/// left to be multiplied.
struct Turns<'l> {
    n: Integer<'l>,
    large: [Value<'l>; 2],
    small: Value<'l>,
    /// x', and the last two parts of 2/π.
    x: Value<'l>,
    last: [Value<'l>; 2],
}

fn turns<'l>(x: Value<'l>, per_half_pi: f64, shift: f64) -> Turns<'l> {
    let index = x.shift_right(56).bit_and(x.bits(63));
    // A quarter of x', for turns instead of quarters.
    let exponent = x.bits((1008 - 2) << 52);
    let x = x.bit_and(x.bits((1 << 56) - 1)).int_add(exponent);
    let [first, second, third, fourth] = [0, 1, 2, 3].map(|part| index.gather(&TWO_OVER_PI[part]));
    let (product, rest) = x.two_prod(first);
    let (next, next_rest) = x.two_prod(second);
    // All multiples of one power of two and small: their sum is exact.
    let whole = fraction(product) + fraction(rest);
    let next = fraction(next);
    let per_turn = 4.0 * per_half_pi;
    let (n, multiple) = nearest_multiple(whole + next, per_turn, shift);
    Turns {
        n,
        large: [multiple.neg_mul_add(1.0 / per_turn, whole), next],
        small: next_rest,
        x,
        last: [third, fourth],
    }
}

/// x by Payne and Hanek's reduction: n units, and the rest in turns, as a sum of two.
struct Huge<'l> {
    n: Value<'l>,
    turns: Value<'l>,
    low: Value<'l>,
}

/// Of finite magnitudes from 2 on.
fn reduce_huge<'l>(x: Value<'l>, unit: &'static Unit, shift: f64) -> Huge<'l> {
    let turns = turns(x, unit.per_half_pi, shift);
    let [third, fourth] = turns.last;
    let (product, rest) = turns.x.two_prod(third);
    let (large, lost) = turns.large[0].two_sum(turns.large[1]);
    let (small, lost_again) = turns.small.two_sum(product);
    let (sum, lost_last) = large.two_sum(small);
    let tail = lost_again + turns.x.mul_add(fourth, rest);
    let (rest, low) = sum.fast_two_sum(lost_last + (lost + tail));
    Huge {
        n: turns.n.bits,
        turns: rest,
        low,
    }
}

/// 2π in two parts.
const TURN: [f64; 2] = [
    4.0 * std::f64::consts::FRAC_PI_2,
    4.0 * 6.123_233_995_736_766e-17,
];

impl<'l> Huge<'l> {
    /// n, r and what rounding it lost.
    fn with_error(self) -> [Value<'l>; 3] {
        let (product, error) = self.turns.two_prod(TURN[0]);
        let error = self
            .low
            .mul_add(TURN[0], self.turns.mul_add(TURN[1], error));
        let (r, low) = product.fast_two_sum(error);
        [self.n, r, low]
    }

    /// n and r, rounded once.
    fn rounded(self) -> [Value<'l>; 2] {
        let error = self.low.mul_add(TURN[0], self.turns * TURN[1]);
        [self.n, self.turns.mul_add(TURN[0], error)]
    }
}

/// As [`reduce_huge`], for [`reduce_single`].
fn reduce_huge_single<'l>(x: Value<'l>, unit: &'static Unit, shift: f64) -> [Value<'l>; 2] {
    let turns = turns(x, unit.per_half_pi, shift);
    let [large, small] = [
        turns.large[0] + turns.large[1],
        turns.x.mul_add(turns.last[0], turns.small),
    ];
    [turns.n.number, (large + small) * TURN[0]]
}
