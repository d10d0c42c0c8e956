//! sin, cos, tan.
//!
//! # Method
//! |x| = n·π/2 + r with |r| ≤ π/4; n mod 4 says which of ±sin r, ±cos r is wanted. Minimax polynomials
//! sin r = r + r·z·S(z), cos r = 1 − z/2 + z²·C(z), tan r = r + r·z·T(z) in z = r² of degrees 5, 5, 14
//! (f64; errors 2⁻⁵⁸, 2⁻⁶⁴, 2⁻⁶⁰) and 2, 2, 6 (f32). What rounding r lost is carried along.
//!
//! # Argument reduction
//! - *Moderate* |x|: n·π/2 is subtracted in parts (Cody and Waite 1980). With fused operations, a
//!   part has all bits of a number: x − n·p₁ is exact, since it is a multiple of the last bit of p₁
//!   below 1. Without, parts have 33 bits and n at most 20, which makes products exact, and sums
//!   are formed with their errors.
//! - *Huge* |x|: x·2/π modulo 8 from a table of 2/π in digits of 24 bits (Payne and Hanek 1983). x is
//!   cut into three digits; sums of products of digits are exact in double precision. The digits
//!   whose products are multiples of 8 are skipped, the nine that follow reach 2⁻¹⁴³, while no
//!   double is closer than 2⁻⁶¹ to a multiple of π/2 (Muller: Elementary Functions, ch. 11).
//!
//! Single precision works natively with fused operations up to 2¹⁷; beyond, and on SSE2, in double
//! precision with shorter polynomials.

use super::scaling::{Integer, MAGIC, fraction_bits};
use crate::vmath::lanes::{Both, Value};
use crate::vmath::program::Elem;

const TWO_OVER_PI: Both = Both(std::f64::consts::FRAC_2_PI, 0.636_619_746_685_028_1);

const HALF_PI_FUSED_64: [f64; 3] = [
    std::f64::consts::FRAC_PI_2,
    6.123_233_995_736_766e-17,
    -1.497_384_904_859_169_8e-33,
];
const HALF_PI_FUSED_32: [f64; 3] = [
    1.570_796_370_506_286_6,
    -4.371_138_828_673_793e-8,
    -1.715_124_510_005_881_9e-15,
];
/// Three parts of 33 bits, and the rest.
const HALF_PI_SHORT: [f64; 4] = [
    1.570_796_326_734_125_6,
    6.077_100_506_303_966e-11,
    2.022_266_248_711_166_5e-21,
    8.478_427_660_368_9e-32,
];
/// π/2 less the first part of [`HALF_PI_SHORT`].
const HALF_PI_SHORT_REST: f64 = 6.077_100_506_506_192e-11;

/// (sin r − r)/r³ and (cos r − 1 + r²/2)/r⁴ in z = r².
const SIN_64: [f64; 6] = [
    -0.166_666_666_666_666_32,
    0.008_333_333_333_322_493,
    -0.000_198_412_698_298_609_04,
    2.755_731_370_793_128_4e-6,
    -2.505_076_034_964_771e-8,
    1.589_691_308_955_286_6e-10,
];
const COS_64: [f64; 6] = [
    0.041_666_666_666_666_6,
    -0.001_388_888_888_887_448_7,
    2.480_158_728_968_303_3e-5,
    -2.755_731_440_475_021e-7,
    2.087_572_980_469_087e-9,
    -1.135_996_132_738_166e-11,
];
const SIN_32: [f64; 3] = [
    -0.166_666_537_523_269_65,
    0.008_332_097_902_894_02,
    -0.000_195_060_230_907_984_08,
];
const COS_32: [f64; 3] = [
    0.041_666_645_556_688_31,
    -0.001_388_729_200_698_435_3,
    2.442_884_033_371_228_7e-5,
];
/// (tan r − r)/r³ in z = r².
const TAN_64: [f64; 15] = [
    0.333_333_333_333_333_76,
    0.133_333_333_333_261_1,
    0.053_968_253_972_513_79,
    0.021_869_488_409_489_79,
    0.008_863_237_763_054_123,
    0.003_592_102_506_163_421,
    0.001_456_034_206_104_680_3,
    0.000_588_920_352_277_686_5,
    0.000_243_554_811_437_473_52,
    8.405_549_848_388_533e-5,
    6.632_593_990_740_542e-5,
    -2.450_922_901_284_192_6e-5,
    4.770_321_055_736_499e-5,
    -2.381_447_170_490_914_8e-5,
    9.697_280_174_451_18e-6,
];
const TAN_32: [f64; 7] = [
    0.333_333_551_883_697_5,
    0.133_324_697_613_716_13,
    0.054_082_438_349_723_816,
    0.021_163_381_636_142_73,
    0.011_149_263_009_428_978,
    -0.000_313_746_044_412_255_3,
    0.004_577_694_926_410_913_5,
];
/// For results in single precision by way of double; here (cos r − 1)/r².
const SIN_WIDE: [f64; 4] = [
    -0.166_666_666_416_152_44,
    0.008_333_329_385_991_226,
    -0.000_198_393_350_412_188_82,
    2.718_314_132_181_415_3e-6,
];
const COS_WIDE: [f64; 4] = [
    -0.499_999_997_249_780_67,
    0.041_666_623_324_751_906,
    -0.001_388_676_399_727_734_8,
    2.439_047_757_441_797e-5,
];
const TAN_WIDE: [f64; 8] = [
    0.333_333_318_538_709_57,
    0.133_334_100_985_526_25,
    0.053_954_713_294_756_02,
    0.021_984_040_775_963_838,
    0.008_333_882_377_716_29,
    0.004_987_433_072_045_717,
    -0.000_590_081_532_002_893_7,
    0.002_038_651_295_420_300_5,
];

/// |x| = n·π/2 + r + low, or a multiple of 2π more.
#[derive(Clone, Copy)]
struct Reduced<'l> {
    /// n in the low bits.
    n: Value<'l>,
    r: Value<'l>,
    /// What rounding r lost.
    low: Value<'l>,
}

/// Reduces a magnitude.
fn reduce<'l>(x: Value<'l>) -> Reduced<'l> {
    let is_fused = x.lanes().is_fused();
    let moderate = if is_fused {
        reduce_fused(x)
    } else {
        reduce_short(x)
    };
    // Up to here n has few enough bits; see the two functions.
    let limit = if is_fused { 5.0e11 } else { 1_048_576.0 };
    let Reduced { n, r, low } = moderate;
    let is_huge = x.not_less(limit);
    let [n, r, low] = is_huge.replace([n, r, low], || {
        let Reduced { n, r, low } = reduce_huge(x);
        [n, r, low]
    });
    Reduced { n, r, low }
}

/// With fused operations. Rounding x·2/π moves r by 2⁻⁵³·|x|, which the polynomials allow for.
fn reduce_fused<'l>(x: Value<'l>) -> Reduced<'l> {
    let parts = match x.elem() {
        Elem::F64 => HALF_PI_FUSED_64,
        Elem::F32 => HALF_PI_FUSED_32,
    };
    let n = Integer::nearest_product(x, TWO_OVER_PI);
    let exact = n.number.neg_mul_add(parts[0], x);
    let (second, second_low) = n.number.two_prod(parts[1]);
    let r = exact - second;
    let lost = (exact - r) - second;
    let low = n.number.neg_mul_add(parts[2], lost - second_low);
    Reduced { n: n.bits, r, low }
}

/// Without fused operations, for n of 20 bits.
fn reduce_short<'l>(x: Value<'l>) -> Reduced<'l> {
    let n = Integer::nearest_product(x, TWO_OVER_PI);
    let exact = x - n.number * HALF_PI_SHORT[0];
    let (sum, lost) = exact.two_sum(-(n.number * HALF_PI_SHORT[1]));
    let (sum, lost_again) = sum.two_sum(-(n.number * HALF_PI_SHORT[2]));
    let rest = (lost + lost_again) - n.number * HALF_PI_SHORT[3];
    let (r, low) = sum.fast_two_sum(rest);
    Reduced { n: n.bits, r, low }
}

/// 2/π in digits of 24 bits, behind four zeros.
static TWO_OVER_PI_DIGITS: [u64; 54] = {
    let digits: [u32; 50] = [
        10_680_707, 7_228_996, 1_387_004, 2_578_385, 16_069_853, 12_639_074, 9_804_092, 4_427_841,
        16_666_979, 11_263_675, 12_935_607, 2_387_514, 4_345_298, 14_681_673, 3_074_569,
        13_734_428, 16_653_803, 1_880_361, 10_960_616, 8_533_493, 3_062_596, 8_710_556, 7_349_940,
        6_258_241, 3_772_886, 3_769_171, 3_798_172, 8_675_211, 12_450_088, 3_874_808, 9_961_438,
        366_607, 15_675_153, 9_132_554, 7_151_469, 3_571_407, 2_607_881, 12_013_382, 4_155_038,
        6_285_869, 7_677_882, 13_102_053, 15_825_725, 473_591, 9_065_106, 15_363_067, 6_271_263,
        9_264_392, 5_636_912, 4_652_155,
    ];
    let mut table = [0; 54];
    let mut i = 0;
    while i < digits.len() {
        table[i + 4] = (digits[i] as f64).to_bits();
        i += 1;
    }
    table
};

/// Payne and Hanek's reduction of magnitudes from 2²⁰ on; NaN for infinity and NaN.
fn reduce_huge<'l>(x: Value<'l>) -> Reduced<'l> {
    const N_DIGITS: usize = 9;
    let two_to_24 = 16_777_216.0;
    let infinity = x.constant(f64::INFINITY);
    // x = significand · 2ᵉ with 2²³ ≤ significand < 2²⁴, and e = 24·j + q with 0 ≤ q < 24. Smaller
    // arguments, which are none of ours, keep j within the table all the same.
    let fraction = infinity.bit_and_not(x);
    let significand = fraction.bit_or(x.constant(two_to_24 / 2.0));
    let biased = x
        .shift_right(fraction_bits(x))
        .bit_or(4_503_599_627_370_496.0);
    let exponent = (biased - (4_503_599_627_370_496.0 + 1046.0)).max(-3.0);
    let j = Integer::nearest((exponent - 11.5) * (1.0 / 24.0));
    let q = exponent - 24.0 * j.number;
    // Signed digits of x: the whole, and what rounding leaves.
    let x0 = Integer::nearest(significand).number;
    let rest = (significand - x0) * two_to_24;
    let x1 = Integer::nearest(rest).number;
    let x2 = (rest - x1) * two_to_24;
    // Products of weight 2^(q − 24·p), p = 0, 1, …; those before are multiples of 2²⁴.
    let first = j.bits.int_sub(x.constant(MAGIC));
    let digit = |i: u64| first.int_add(x.bits(i)).gather(&TWO_OVER_PI_DIGITS);
    let digits: Vec<Value> = (1..).take(N_DIGITS + 2).map(digit).collect();
    let mut weight = Integer::nearest(q).power(1.0);
    let modulo_8 = |y: Value<'l>| y - 8.0 * Integer::nearest(y * 0.125).number;
    let terms: Vec<Value> = (0..N_DIGITS)
        .map(|p| {
            let sum = x0 * digits[p + 2] + x1 * digits[p + 1] + x2 * digits[p];
            // The first may not fit modulo 8 before it is reduced.
            let sum = if p == 0 { modulo_8(sum) } else { sum };
            let term = sum * weight;
            weight = weight * (1.0 / two_to_24);
            if p < 3 { modulo_8(term) } else { term }
        })
        .collect();
    // The first three have a last bit of 2⁻⁴⁸ and sum up exactly.
    let (turns, lost) = (terms[0] + terms[1] + terms[2]).two_sum(terms[3]);
    let n = Integer::nearest(turns);
    let (sum, lost_1) = (turns - n.number).two_sum(terms[4]);
    let (next, lost_2) = lost.two_sum(terms[5]);
    let (sum, lost_3) = sum.two_sum(next);
    let tail = ((terms[8] + terms[7]) + terms[6]) + lost_2;
    let (sum, low) = sum.fast_two_sum((tail + lost_1) + lost_3);
    // Times π/2.
    let (product, error) = sum.two_prod(HALF_PI_FUSED_64[0]);
    let error = low.mul_add(HALF_PI_FUSED_64[0], sum.mul_add(HALF_PI_FUSED_64[1], error));
    let (r, low) = product.fast_two_sum(error);
    // Infinity times zero is NaN.
    Reduced {
        n: n.bits,
        r: r + x * 0.0,
        low,
    }
}

/// sin and cos of r + low.
fn sin_cos<'l>(reduced: Reduced<'l>) -> (Value<'l>, Value<'l>) {
    let Reduced { r, low, .. } = reduced;
    let z = r * r;
    let half_z = z * 0.5;
    let one_less = 1.0 - half_z;
    let sin_rest = (r * z).mul_add(z.polynomial(&SIN_64, &SIN_32), low);
    let lost = (1.0 - one_less) - half_z;
    let cos_rest = (z * z).mul_add(z.polynomial(&COS_64, &COS_32), r.neg_mul_add(low, lost));
    (r + sin_rest, one_less + cos_rest)
}

/// sin and cos of r to single precision, in double.
fn sin_cos_wide<'l>(r: Value<'l>) -> (Value<'l>, Value<'l>) {
    let z = r * r;
    let sin = (r * z).mul_add(z.estrin(&SIN_WIDE), r);
    (sin, z.mul_add(z.estrin(&COS_WIDE), 1.0))
}

/// n and r of a magnitude, for results in single precision by way of double.
fn reduce_wide<'l>(x: Value<'l>) -> (Value<'l>, Value<'l>) {
    let is_fused = x.lanes().is_fused();
    let (first, second, limit) = if is_fused {
        (HALF_PI_FUSED_64[0], HALF_PI_FUSED_64[1], 5.0e11)
    } else {
        (HALF_PI_SHORT[0], HALF_PI_SHORT_REST, 1_048_576.0)
    };
    let n = Integer::nearest_product(x, TWO_OVER_PI);
    let r = n.number.neg_mul_add(second, n.number.neg_mul_add(first, x));
    let [n, r] = x.not_less(limit).replace([n.bits, r], || {
        let Reduced { n, r, .. } = reduce_huge(x);
        [n, r]
    });
    (n, r)
}

/// A function of single precision: natively for moderate arguments where operations are fused, and
/// else in double precision.
fn in_single<'l>(
    x: Value<'l>,
    native: impl FnOnce(Reduced<'l>) -> Value<'l>,
    wide: impl Fn(Value<'l>) -> Value<'l>,
) -> Value<'l> {
    if !x.lanes().is_fused() {
        return x.widened(wide);
    }
    let magnitude = x.abs();
    let result = native(reduce_fused(magnitude));
    let is_large = magnitude.not_less(131_072.0);
    let [result] = is_large.replace([result], || [x.widened(wide)]);
    result
}

/// The bit of n with this number, where the sign bit is.
fn to_sign<'l>(n: Value<'l>, bit: u8) -> Value<'l> {
    let highest = match n.elem() {
        Elem::F64 => 63,
        Elem::F32 => 31,
    };
    n.shift_left(highest - bit)
}

fn sin_of<'l>(x: Value<'l>, n: Value<'l>, (sin, cos): (Value<'l>, Value<'l>)) -> Value<'l> {
    let negated = to_sign(n, 1).bit_xor(x);
    n.test_bit(0).select(cos, sin).xor_sign_of(negated)
}

fn cos_of<'l>(n: Value<'l>, (sin, cos): (Value<'l>, Value<'l>)) -> Value<'l> {
    let negated = to_sign(n.int_add(n.bits(1)), 1);
    n.test_bit(0).select(sin, cos).xor_sign_of(negated)
}

/// sin x.
pub(crate) fn sin(x: Value) -> Value {
    match x.elem() {
        Elem::F64 => {
            let reduced = reduce(x.abs());
            sin_of(x, reduced.n, sin_cos(reduced))
        }
        Elem::F32 => in_single(
            x,
            |reduced| sin_of(x, reduced.n, sin_cos(reduced)),
            |x| {
                let (n, r) = reduce_wide(x.abs());
                sin_of(x, n, sin_cos_wide(r))
            },
        ),
    }
}

/// cos x.
pub(crate) fn cos(x: Value) -> Value {
    match x.elem() {
        Elem::F64 => {
            let reduced = reduce(x.abs());
            cos_of(reduced.n, sin_cos(reduced))
        }
        Elem::F32 => in_single(
            x,
            |reduced| cos_of(reduced.n, sin_cos(reduced)),
            |x| {
                let (n, r) = reduce_wide(x.abs());
                cos_of(n, sin_cos_wide(r))
            },
        ),
    }
}

/// tan, or −cotan for odd n, of r + low.
fn tan_of<'l>(reduced: Reduced<'l>) -> Value<'l> {
    let Reduced { n, r, low } = reduced;
    let z = r * r;
    // Of tan' = 1 + tan², the first terms.
    let low = z.mul_add(low, low);
    let rest = (r * z).mul_add(z.polynomial(&TAN_64, &TAN_32), low);
    let (tan, tan_low) = r.fast_two_sum(rest);
    // −1/(tan + tan_low), corrected by the residual.
    let quotient = -1.0 / tan;
    let residual = quotient.residual(tan, tan.constant(-1.0)) - quotient * tan_low;
    let cotan = residual.neg_mul_add(quotient, quotient);
    n.test_bit(0).select(cotan, tan)
}

/// tan x.
pub(crate) fn tan(x: Value) -> Value {
    match x.elem() {
        Elem::F64 => tan_of(reduce(x.abs())).xor_sign_of(x),
        Elem::F32 => in_single(
            x,
            |reduced| tan_of(reduced).xor_sign_of(x),
            |x| {
                let (n, r) = reduce_wide(x.abs());
                let z = r * r;
                let tan = (r * z).mul_add(z.estrin(&TAN_WIDE), r);
                n.test_bit(0).select(-1.0 / tan, tan).xor_sign_of(x)
            },
        ),
    }
}
