//! pow and cbrt.
//!
//! # pow
//! xʸ = exp(y·log x) with the logarithm to about 68 bits, since exp turns its absolute error into a
//! relative one. |x| = 2ᵏ·m, m in [¾, 3/2). A table of 16 entries by m, rounded to a sixteenth, has
//! u near 1/m with so few bits that z = u·m − 1, |z| < 1/16, is exact, and −log u in two parts, the
//! first of which sums up exactly with k·ln 2 (after Szabolcs Nagy's `pow` in ARM's optimized
//! routines, 2018). log(1 + z) = z − z²/2 + z³·L(z): the first two terms with their rounding errors,
//! L of degree 9. For single precision, all of it but special cases in double, with short
//! polynomials, and on AVX-512 with the tables of log2 and exp.
//!
//! Negative bases take a rare region for the parity of the exponent, and in it a rarer one does what
//! C99 says about special arguments (annex F.9.4.4).
//!
//! # cbrt
//! x = 2^(3q)·m with m in [⅜, 3). A polynomial for m^(−1/3) (17 bits) and one step of Newton's iteration
//! give y; m·y² is corrected by the residual m − (m·y²)³, computed with exact products.

use super::exponential::{LN_2_HIGH, LN_2_LOW, exp_reduced, reduce_pair_by_table};
use super::logarithm::{Tabled, by_table};
use super::scaling::{Decomposed, FRACTION_MAGIC, Integer, decompose};
use super::tables::{EXP2, LOG2, LOG2_RECIPROCAL};
use crate::vmath::lanes::{Both, Table, Value};
use crate::vmath::program::Elem;

const LOG2_E: f64 = std::f64::consts::LOG2_E;
const LN_2: f64 = std::f64::consts::LN_2;

/// u, by m rounded to a sixteenth, modulo 16.
static RECIPROCAL: Table = Table::double([
    1.0, 0.937_5, 0.875, 0.843_75, 0.812_5, 0.75, 0.718_75, 0.687_5, 0.687_5, 1.0, 1.0, 1.0,
    1.312_5, 1.25, 1.125, 1.062_5,
]);
/// −log u to a multiple of 2⁻⁴², and the rest.
static LOG_HIGH: Table = Table::double([
    0.0,
    0.064_538_521_137_592_4,
    0.133_531_392_624_490_76,
    0.169_899_036_795_413_85,
    0.207_639_364_778_287_93,
    0.287_682_072_451_843_85,
    0.330_241_686_870_522_24,
    0.374_693_449_441_338_1,
    0.374_693_449_441_338_1,
    0.0,
    0.0,
    0.0,
    -0.271_933_715_483_555_7,
    -0.223_143_551_314_251_45,
    -0.117_783_035_656_43,
    -0.060_624_621_816_486_98,
]);
static LOG_LOW: Table = Table::double([
    0.0,
    -2.122_560_804_480_999_7e-14,
    3.185_973_634_907_833_4e-14,
    -1.637_627_641_409_750_3e-14,
    -4.342_542_259_524_256_4e-14,
    -6.292_357_389_008_195e-14,
    5.461_214_448_992_021_5e-14,
    7.260_466_149_925_637e-14,
    7.260_466_149_925_637e-14,
    0.0,
    0.0,
    0.0,
    -8.604_306_772_808_733e-14,
    4.169_796_584_527_195e-14,
    4.654_729_747_598_445e-14,
    5.213_620_639_136_504e-14,
]);

/// (log(1 + z) − z + z²/2)/z³.
const L_64: [f64; 10] = [
    0.333_333_333_333_333_87,
    -0.250_000_000_000_002_05,
    0.199_999_999_997_521_85,
    -0.166_666_666_660_633_43,
    0.142_857_146_536_349_76,
    -0.125_000_006_480_312_34,
    0.111_108_727_180_665_15,
    -0.099_996_739_755_289,
    0.091_611_419_238_514_74,
    -0.084_113_009_852_731_14,
];
/// (log(1 + z) − z)/z² and (eʳ − 1 − r)/r², for results in single precision.
const L_WIDE: [f64; 6] = [
    -0.500_000_000_444_282_8,
    0.333_333_334_354_077_3,
    -0.249_998_901_406_066_34,
    0.199_998_421_862_617_43,
    -0.167_355_885_822_336_07,
    0.143_603_908_787_960_92,
];
const Q_WIDE: [f64; 6] = [
    0.500_000_006_762_882_3,
    0.166_666_658_866_353_87,
    0.041_666_295_099_782_875,
    0.008_333_493_001_091_008,
    0.001_394_464_764_001_539_8,
    0.000_197_925_017_439_522_08,
];
/// log₂(1 + z)/z and (2^f − 1)/f, for z and f of tables and results in single precision.
const LOG2_WIDE: [f64; 6] = [
    1.442_695_040_893_212_9,
    -0.721_347_520_466_822_7,
    0.480_898_259_072_473_13,
    -0.360_673_597_661_197_5,
    0.288_808_257_941_436_5,
    -0.240_763_519_590_429_02,
];
const EXP2_WIDE: [f64; 3] = [
    0.693_147_180_030_261_8,
    0.240_234_303_869_565_65,
    0.055_505_954_703_015_43,
];
/// m^(−1/3).
const ROOT_64: [f64; 6] = [
    1.960_111_049_152_860_6,
    -2.297_256_526_618_976,
    2.431_990_337_838_407_3,
    -1.558_232_975_359_251_4,
    0.542_196_121_705_226_6,
    -0.078_809_625_321_347_98,
];
const ROOT_32: [f64; 5] = [
    1.838_072_896_003_723_1,
    -1.721_203_684_806_823_7,
    1.360_817_551_612_854,
    -0.577_176_868_915_557_9,
    0.099_452_532_827_854_16,
];

/// A logarithm's pieces: log x = k·ln 2 + log(1 + z) − log u.
struct Pieces<'l> {
    k: Value<'l>,
    z: Value<'l>,
    index: Value<'l>,
}

fn pieces<'l>(magnitude: Value<'l>) -> Pieces<'l> {
    let Decomposed {
        exponent: k,
        significand: m,
        ..
    } = decompose(magnitude);
    // In the low bits of 1.5·2⁴⁸ + m stands m in sixteenths.
    let index = m + 422_212_465_065_984.0;
    let u = index.lookup(&RECIPROCAL);
    let z = if m.lanes().is_fused() {
        m.mul_sub(u, 1.0)
    } else {
        let (high, low) = m.split();
        (high * u - 1.0) + low * u
    };
    Pieces { k, z, index }
}

/// log of a positive number as a sum of two.
fn log_pair<'l>(magnitude: Value<'l>) -> (Value<'l>, Value<'l>) {
    let Pieces { k, z, index } = pieces(magnitude);
    let start = k.mul_add(LN_2_HIGH, index.lookup(&LOG_HIGH));
    let start_low = k.mul_add(LN_2_LOW, index.lookup(&LOG_LOW));
    let (sum, lost) = start.fast_two_sum(z);
    let (square, square_low) = z.two_prod(z * -0.5);
    let (high, lost_again) = sum.fast_two_sum(square);
    let lost = (start_low + lost) + (square_low + lost_again);
    let low = (z * z * z).mul_add(z.estrin(&L_64), lost);
    high.fast_two_sum(low)
}

/// |x|ʸ for ordinary arguments.
fn power_of_magnitude<'l>(magnitude: Value<'l>, y: Value<'l>) -> Value<'l> {
    let (log, log_low) = log_pair(magnitude);
    let (high, error) = y.two_prod(log);
    let low = y.mul_add(log_low, error);
    if y.lanes().is_avx512() {
        return reduce_pair_by_table(high, Some(low)).precise_exp();
    }
    // Where the first is out of range, the second means nothing.
    let (high, low) = (high.clamp(-746.0, 710.0), low.clamp(-1e-3, 1e-3));
    let n = Integer::nearest_product(high, Both(LOG2_E, LOG2_E));
    let exact = n.number.neg_mul_add(LN_2_HIGH, high);
    let (r, low) = exact.fast_two_sum(n.number.neg_mul_add(LN_2_LOW, low));
    let (high, low) = exp_reduced(r, Some(low));
    n.scale(high + low)
}

/// |x|ʸ in double precision, for a result in single precision.
fn power_of_magnitude_wide<'l>(magnitude: Value<'l>, y: Value<'l>) -> Value<'l> {
    if y.lanes().is_avx512() {
        let Tabled { k, z, offset } = by_table(magnitude, &LOG2_RECIPROCAL, &LOG2);
        let exponent = y * z.mul_add(z.estrin(&LOG2_WIDE), k + offset);
        let index = exponent + FRACTION_MAGIC;
        let n = index - FRACTION_MAGIC;
        // Small for any exponent, so that a power of two times it is zero, infinite or right.
        let fraction = (exponent - n).limit_instruction(0.04);
        let power = index.lookup(&EXP2);
        let rest = power * fraction;
        return rest
            .mul_add(fraction.estrin(&EXP2_WIDE), power)
            .scale_instruction(n);
    }
    let Pieces { k, z, index } = pieces(magnitude);
    let start = k.mul_add(LN_2, index.lookup(&LOG_HIGH));
    let log = start + (z * z).mul_add(z.estrin(&L_WIDE), z);
    let exponent = (y * log).clamp(-110.0, 90.0);
    let n = Integer::nearest_product(exponent, Both(LOG2_E, LOG2_E));
    let r = n.number.neg_mul_add(LN_2, exponent);
    let power = (r * r).mul_add(r.estrin(&Q_WIDE), r) + 1.0;
    power * n.power(1.0)
}

/// The smallest number without fraction bits.
const WHOLE: Both = Both(4_503_599_627_370_496.0, 8_388_608.0);

/// What |x|ʸ is not enough for, put into `result`, which is that: negative bases, and inside of that
/// all that is special in C.
fn with_specials<'l>(x: Value<'l>, y: Value<'l>, result: Value<'l>) -> Value<'l> {
    let infinity = f64::INFINITY;
    let y_size = y.abs();
    // From here on, exponents are integers and may be even, and results extreme.
    let is_large = y_size.not_less(WHOLE);
    let is_special = x.not_greater(0.0) | x.not_less(infinity) | is_large;
    let [result] = is_special.replace([result], || {
        // An integer exponent keeps its value as it loses its fraction bits; its lowest bit stays.
        let shifted = y_size + WHOLE;
        let is_integer = (shifted - WHOLE).equal(y_size);
        let is_odd = is_integer & shifted.test_bit(0);
        let signed = result.bit_xor(is_odd.select(x.sign(), 0.0));
        let is_invalid = x.less(0.0).and_not(is_integer);
        let signed = is_invalid.select(x.constant(f64::NAN), signed);
        let is_extreme = x.equal(0.0) | x.abs().not_less(infinity) | is_large;
        is_extreme.replace([signed], || [extreme_power(x, y, result)])
    });
    result
}

/// xʸ for extreme arguments, zeros, infinities and NaN (C99, annex F.9.4.4); `result` is |x|ʸ where
/// that is ordinary.
fn extreme_power<'l>(x: Value<'l>, y: Value<'l>, result: Value<'l>) -> Value<'l> {
    let infinity = f64::INFINITY;
    let (x_size, y_size) = (x.abs(), y.abs());
    let is_whole = |v: Value<'l>| ((v + WHOLE) - WHOLE).equal(v) | v.not_less(WHOLE);
    let is_integer = is_whole(y_size);
    let is_odd = is_integer.and_not(is_whole(y_size * 0.5));
    // From 2⁶⁴ on, |x| is 1 or the result is zero or infinite.
    let is_huge = y_size.not_less(18_446_744_073_709_551_616.0);
    let is_limit = x_size.equal(0.0) | x_size.equal(infinity) | is_huge;
    let grows = (x_size - 1.0).xor_sign_of(y).greater(0.0);
    let limit = grows.select(x.constant(infinity), 0.0);
    let limit = x_size.equal(1.0).select(x.constant(1.0), limit);
    let result = is_limit.select(limit, result);
    let result = result.bit_xor(is_odd.select(x.sign(), 0.0));
    let is_invalid = (x.less(0.0) & x_size.less(infinity)).and_not(is_integer);
    let result = is_invalid.select(x.constant(f64::NAN), result);
    let is_nan = x.is_nan() | y.is_nan();
    let result = is_nan.select(x + y, result);
    let is_one = x.equal(1.0) | y.equal(0.0);
    is_one.select(x.constant(1.0), result)
}

/// xʸ.
pub(crate) fn pow<'l>(x: Value<'l>, y: Value<'l>) -> Value<'l> {
    match x.elem() {
        Elem::F64 => with_specials(x, y, power_of_magnitude(x.abs(), y)),
        Elem::F32 => with_specials(x, y, x.abs().widened_with(y, power_of_magnitude_wide)),
    }
}

/// The real cube root.
pub(crate) fn cbrt(x: Value) -> Value {
    let magnitude = x.abs();
    let Decomposed {
        exponent: k,
        significand,
        ..
    } = decompose(magnitude);
    let q = Integer::nearest(k * Both(1.0 / 3.0, 0.333_333_343_267_440_8));
    let j = q.number.neg_mul_add(3.0, k);
    let (is_down, is_up) = (j.less(0.0), j.greater(0.0));
    let m = is_up.select(significand + significand, significand);
    let m = is_down.select(significand * 0.5, m);
    let factor = is_up.select(x.constant(0.793_700_525_984_099_7), 1.0);
    let factor = is_down.select(x.constant(1.259_921_049_894_873_2), factor);
    let root = significand.polynomial(&ROOT_64, &ROOT_32) * factor;
    let third = x.constant(1.0 / 3.0);
    let root = match x.elem() {
        Elem::F64 => {
            let error = (m * root).neg_mul_add(root * root, 1.0);
            (root * error).mul_add(third, root)
        }
        Elem::F32 => root,
    };
    let square = root * root;
    let cube_root = m * square;
    let (second, second_low) = cube_root.two_prod(cube_root);
    let (cube, cube_low) = second.two_prod(cube_root);
    let residual = second_low.neg_mul_add(cube_root, (m - cube) - cube_low);
    let result = (residual * square).mul_add(third, cube_root) * q.power(1.0);
    let result = result.or_sign_of(x);
    if x.lanes().is_avx512() {
        // NaN, zeros and infinities stay.
        return result.fixup_instruction(x, 0x0054_0122);
    }
    let is_special = x.equal(0.0) | magnitude.not_less(f64::INFINITY);
    is_special.select(x, result)
}
