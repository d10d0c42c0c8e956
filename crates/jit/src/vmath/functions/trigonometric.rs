//! sin, cos, tan.
//!
//! # Method
//! |x| = n·π/2 + r with |r| ≤ π/4 (see `reduction`); n mod 4 says which of ±sin r, ±cos r is wanted.
//! Minimax polynomials sin r = r + r·z·S(z), cos r = 1 − z/2 + z²·C(z) in z = r² of degrees 5, 5 (f64;
//! errors 2⁻⁵⁸, 2⁻⁶⁴). What rounding r lost is carried along.
//!
//! tan r is r (1 + z·P(z))/(1 + z·Q(z)) of degrees 2, 3 in double precision (error 2⁻⁵⁶·⁹), and −cot r
//! the same upside down; r + r·z·T(z) of degree 6 in single.
//!
//! With fused operations, sin and cos reduce by π, cos to multiples n + ½, which makes both ±sin r,
//! sin r = r + r·z·S(z), |r| ≤ π/2, of degrees 7 and 3 (errors 2⁻⁶¹·⁶, 2⁻²⁶·⁸): no selection, and half
//! the operations. Without, single precision works in double precision with shorter polynomials.

use super::reduction::{Alternating, Reduced, reduce, reduce_alternating, reduce_wide};
use crate::vmath::lanes::Value;
use crate::vmath::program::Elem;

/// (sin r − r)/r³ in z = r², |r| up to π/2 and a little.
const HALF_PERIOD_64: [f64; 8] = [
    -0.166_666_666_666_666_66,
    0.008_333_333_333_333_208,
    -0.000_198_412_698_412_133_65,
    2.755_731_921_174_345e-6,
    -2.505_210_692_148_777e-8,
    1.605_894_189_501_4e-10,
    -7.643_043_193_348_568e-13,
    2.721_674_595_125_817_3e-15,
];
const HALF_PERIOD_32: [f64; 4] = [
    -0.166_666_582_226_753_23,
    0.008_333_024_568_855_762,
    -0.000_198_061_956_325_545_9,
    2.597_704_678_919_399e-6,
];

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
/// tan r = r (1 + z·P(z))/(1 + z·Q(z)) in z = r².
const TAN_P: [f64; 3] = [
    -0.133_383_027_550_930_93,
    0.003_424_830_471_623_053_8,
    -1.786_074_534_471_149_6e-5,
];
const TAN_Q: [f64; 4] = [
    -0.466_716_360_884_264_27,
    0.025_663_617_433_044_534,
    -0.000_311_805_740_045_768_3,
    4.981_481_337_480_252e-7,
];
/// (tan r − r)/r³ in z = r².
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

/// sin and cos of r + low.
fn sin_cos<'l>(reduced: Reduced<'l>) -> (Value<'l>, Value<'l>) {
    let Reduced { r, low, .. } = reduced;
    let z = r * r;
    let half_z = z * 0.5;
    let one_less = 1.0 - half_z;
    let sin_rest = (r * z).mul_add(z.estrin(&SIN_64), low);
    let lost = (1.0 - one_less) - half_z;
    let cos_rest = (z * z).mul_add(z.estrin(&COS_64), r.neg_mul_add(low, lost));
    (r + sin_rest, one_less + cos_rest)
}

/// sin and cos of r to single precision, in double.
fn sin_cos_wide<'l>(r: Value<'l>) -> (Value<'l>, Value<'l>) {
    let z = r * r;
    let sin = (r * z).mul_add(z.estrin(&SIN_WIDE), r);
    (sin, z.mul_add(z.estrin(&COS_WIDE), 1.0))
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

/// (−1)ⁿ·sin r; +0 for r = −0.
fn alternating_sin<'l>(reduced: Alternating<'l>) -> Value<'l> {
    let Alternating { n, r, square } = reduced;
    let rest = match r.elem() {
        Elem::F64 => square.horner(&HALF_PERIOD_64),
        Elem::F32 => square.horner(&HALF_PERIOD_32),
    };
    let result = (r * square).mul_add(rest, r);
    result.bit_xor(to_sign(n, 0))
}

/// `result`, but `x` where that is zero.
fn keeping_zero<'l>(x: Value<'l>, result: Value<'l>) -> Value<'l> {
    if x.lanes().is_avx512() {
        return result.fixup_instruction(x, 0x0000_0100);
    }
    x.equal(0.0).select(x, result)
}

/// Whether a function takes the way through double precision: single precision without fused
/// operations.
fn is_wide(x: Value) -> bool {
    x.elem() == Elem::F32 && !x.lanes().is_fused()
}

/// sin x.
pub(crate) fn sin(x: Value) -> Value {
    match x.elem() {
        _ if x.lanes().is_fused() => keeping_zero(x, alternating_sin(reduce_alternating(x, 0.0))),
        Elem::F64 => {
            let reduced = reduce(x.abs());
            sin_of(x, reduced.n, sin_cos(reduced))
        }
        Elem::F32 => x.widened(|x| {
            let (n, r) = reduce_wide(x.abs());
            sin_of(x, n, sin_cos_wide(r))
        }),
    }
}

/// cos x.
pub(crate) fn cos(x: Value) -> Value {
    match x.elem() {
        // cos((n + ½)π − r) = (−1)ⁿ·sin r.
        _ if x.lanes().is_fused() => alternating_sin(reduce_alternating(x, 0.5)),
        Elem::F64 => {
            let reduced = reduce(x.abs());
            cos_of(reduced.n, sin_cos(reduced))
        }
        Elem::F32 => x.widened(|x| {
            let (n, r) = reduce_wide(x.abs());
            cos_of(n, sin_cos_wide(r))
        }),
    }
}

/// tan, or −cotan for odd n, of r + low, by one division.
fn tan_by_quotient<'l>(reduced: Reduced<'l>) -> Value<'l> {
    let Reduced { n, r, low } = reduced;
    let z = r * r;
    // The first terms in low of sin (r + low) and cos (r + low), but for a common factor.
    let sin = r + (r * z).mul_add(z.horner(&TAN_P), low);
    let cos = 1.0 + z.mul_add(z.horner(&TAN_Q), -(low * r));
    let is_odd = n.test_bit(0);
    let quotient = is_odd.select(cos, sin) / is_odd.select(sin, cos);
    quotient.bit_xor(to_sign(n, 0))
}

/// tan, or −cotan for odd n, of r + low, in single precision.
fn tan_of<'l>(reduced: Reduced<'l>) -> Value<'l> {
    let Reduced { n, r, low } = reduced;
    let z = r * r;
    // Of tan' = 1 + tan², the first terms.
    let low = z.mul_add(low, low);
    let rest = (r * z).mul_add(z.estrin(&TAN_32), low);
    let (tan, tan_low) = r.fast_two_sum(rest);
    // −1/(tan + tan_low), corrected by the residual.
    let quotient = -1.0 / tan;
    let residual = quotient.residual(tan, tan.constant(-1.0)) - quotient * tan_low;
    let cotan = residual.neg_mul_add(quotient, quotient);
    n.test_bit(0).select(cotan, tan)
}

/// tan x.
pub(crate) fn tan(x: Value) -> Value {
    if is_wide(x) {
        return x.widened(|x| {
            let (n, r) = reduce_wide(x.abs());
            let z = r * r;
            let tan = (r * z).mul_add(z.estrin(&TAN_WIDE), r);
            n.test_bit(0).select(-1.0 / tan, tan).xor_sign_of(x)
        });
    }
    let reduced = reduce(x.abs());
    let tan = match x.elem() {
        Elem::F64 => tan_by_quotient(reduced),
        Elem::F32 => tan_of(reduced),
    };
    tan.xor_sign_of(x)
}
