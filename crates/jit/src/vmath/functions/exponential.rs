//! exp, expm1, sigmoid.
//!
//! # Method
//! x = n·ln 2 + r with |r| ≤ (ln 2)/2, and eˣ = 2ⁿ·eʳ. The product n·ln 2 is subtracted in two parts,
//! the first of which has so few bits that it is exact (Cody and Waite 1980); what the second
//! subtraction loses is kept where it counts. eʳ = 1 + r + r²·q(r) with a minimax polynomial q of
//! degree 9 (f64) or 4 (f32), relative error 2⁻⁵⁷·⁹ and 2⁻²⁸·³. The sum 1 + r is rounded first and
//! its error added to the small rest, so that only the last addition rounds at full size
//! (Muller: Handbook of Floating-Point Arithmetic, 2nd ed., ch. 10).
//!
//! On AVX-512, exp has a table of 2^(i/16) (f64) or 2^(i/32) (f32): q of degree 4 or 1, no lost bits kept.
//!
//! # Error
//! exp: half a unit for the last rounding, up to a quarter for that of r, little else (with tables:
//! half a unit for the table's). expm1: the
//! same, but for e^x − 1 near ½, where what was small counts twice. sigmoid: eˣ as an unevaluated
//! sum, and the quotient corrected by its exact residual.

use super::scaling::{FRACTION_MAGIC, Integer, scale_by};
use super::tables::{EXP2, EXP2_LOW, INVERSE_EXP2, INVERSE_EXP2_LOW};
use crate::vmath::lanes::{Both, Value};

const LOG2_E: Both = Both(std::f64::consts::LOG2_E, 1.442_695_021_629_333_5);
/// 41 or 15 bits, so that products with exponents are exact, and the rest.
pub(super) const LN_2_HIGH: Both = Both(0.693_147_180_560_117_7, 0.693_145_751_953_125);
pub(super) const LN_2_LOW: Both = Both(-1.723_944_452_561_483_5e-13, 1.428_606_765_330_187e-6);

/// (eʳ − 1 − r)/r², relative to eʳ.
const Q_64: [f64; 10] = [
    0.500_000_000_000_001_1,
    0.166_666_666_666_664_33,
    0.041_666_666_666_527_026,
    0.008_333_333_333_481_973,
    0.001_388_888_894_432_084,
    0.000_198_412_695_331_111_64,
    2.480_149_247_676_023_7e-5,
    2.755_756_301_458_699e-6,
    2.763_044_552_509_796_4e-7,
    2.500_736_668_988_557e-8,
];
const Q_32: [f64; 5] = [
    0.499_999_940_395_355_2,
    0.166_665_211_319_923_4,
    0.041_668_251_156_806_946,
    0.008_368_667_215_108_871,
    0.001_382_199_348_881_840_7,
];
/// (eʳ − 1 − r)/r², relative to eʳ − 1.
const M_64: [f64; 11] = [
    0.5,
    0.166_666_666_666_666_77,
    0.041_666_666_666_666_685,
    0.008_333_333_333_321_459,
    0.001_388_888_888_887_295,
    0.000_198_412_698_864_953_32,
    2.480_158_735_042_335_5e-5,
    2.755_724_388_504_41e-6,
    2.755_725_040_795_608e-7,
    2.510_913_732_463_307e-8,
    2.092_229_244_270_686_6e-9,
];
const M_32: [f64; 6] = [
    0.5,
    0.166_666_671_633_720_4,
    0.041_666_477_918_624_88,
    0.008_333_189_412_951_47,
    0.001_393_369_049_765_169_6,
    0.000_199_610_658_455_640_08,
];

/// ln 2, and what rounding it lost.
pub(super) const LN_2: Both = Both(std::f64::consts::LN_2, 0.693_147_182_464_599_6);
const LN_2_REST: Both = Both(2.319_046_813_846_299_6e-17, -1.904_654_212_125_933_6e-9);
/// (eʳ − 1 − r)/r², relative to eʳ, for r of tables.
const TABLED_64: [f64; 5] = [
    0.499_999_999_999_996_06,
    0.166_666_666_644_170_7,
    0.041_666_666_693_295_93,
    0.008_333_471_948_739_086,
    0.001_388_859_371_950_599_3,
];
const TABLED_32: [f64; 2] = [0.500_004_052_271_196_7, 0.166_666_801_194_099_77];

/// (eʳ − 1 − r)/r², relative to eʳ − 1, for r of tables.
pub(super) const TABLED_M_64: [f64; 6] = [
    0.500_000_000_000_000_3,
    0.166_666_666_666_666_77,
    0.041_666_666_661_889_305,
    0.008_333_333_332_416_903,
    0.001_388_909_254_414_968_5,
    0.000_198_415_539_193_503_53,
];

/// x = n·ln 2 + r + low.
pub(super) struct Reduced<'l> {
    pub(super) n: Integer<'l>,
    pub(super) r: Value<'l>,
    /// What rounding r lost.
    pub(super) low: Value<'l>,
}

pub(super) fn reduce<'l>(x: Value<'l>) -> Reduced<'l> {
    let n = Integer::nearest_product(x, LOG2_E);
    let exact = n.number.neg_mul_add(LN_2_HIGH, x);
    let r = n.number.neg_mul_add(LN_2_LOW, exact);
    let low = n.number.neg_mul_add(LN_2_LOW, exact - r);
    Reduced { n, r, low }
}

/// eʳ⁺ˡᵒʷ as an unevaluated sum.
pub(super) fn exp_reduced<'l>(r: Value<'l>, low: Option<Value<'l>>) -> (Value<'l>, Value<'l>) {
    let sum = 1.0 + r;
    let lost = r - (sum - 1.0);
    let lost = low.map_or(lost, |low| lost + low);
    (sum, (r * r).mul_add(r.polynomial(&Q_64, &Q_32), lost))
}

/// x = n·ln 2 + r with n in sixteenths (single precision: thirty-seconds); AVX-512 only.
pub(super) struct Tabled<'l> {
    /// The index of tables in the low bits.
    pub(super) index: Value<'l>,
    pub(super) n: Value<'l>,
    pub(super) r: Value<'l>,
}

pub(super) fn reduce_by_table(x: Value) -> Tabled {
    reduce_pair_by_table(x, None)
}

/// Of x + low.
pub(super) fn reduce_pair_by_table<'l>(x: Value<'l>, low: Option<Value<'l>>) -> Tabled<'l> {
    let index = x.mul_add(LOG2_E, FRACTION_MAGIC);
    let n = index - FRACTION_MAGIC;
    // The product has no more bits than x, since the difference is small.
    let exact = n.neg_mul_add(LN_2, x);
    let r = match low {
        None => n.neg_mul_add(LN_2_REST, exact),
        Some(low) => exact + n.neg_mul_add(LN_2_REST, low),
    };
    Tabled { index, n, r }
}

impl<'l> Tabled<'l> {
    /// With an r that is small for any x: where it would mean nothing, since x is so large, e^x is
    /// a power of two times any positive number.
    fn limited(self) -> Tabled<'l> {
        Tabled {
            r: self.r.limit_instruction(Both(0.0217, 0.010_85)),
            ..self
        }
    }

    /// e to the power of what was reduced, any number.
    fn exp(self) -> Value<'l> {
        let limited = self.limited();
        let power = limited.index.lookup(&EXP2);
        let result = power.mul_add(limited.expm1(), power);
        scale_by(result, limited.n)
    }

    /// As [`Tabled::exp`], without the table's rounding errors; double precision alone.
    pub(super) fn precise_exp(self) -> Value<'l> {
        let limited = self.limited();
        let (power, low) = (limited.index.lookup(&EXP2), limited.index.lookup(&EXP2_LOW));
        let result = power + power.mul_add(limited.expm1(), low);
        scale_by(result, limited.n)
    }

    /// eʳ − 1, to the precision of eʳ.
    fn expm1(&self) -> Value<'l> {
        let Tabled { r, .. } = *self;
        (r * r).mul_add(r.polynomial(&TABLED_64, &TABLED_32), r)
    }
}

/// eˣ.
pub(crate) fn exp(x: Value) -> Value {
    if x.lanes().is_avx512() {
        return reduce_by_table(x).exp();
    }
    // Beyond, the result is zero or infinite whatever x is.
    let x = x.clamp(Both(-746.0, -105.0), Both(710.0, 89.0));
    let Reduced { n, r, .. } = reduce(x);
    let (high, low) = exp_reduced(r, None);
    n.scale(high + low)
}

/// eʳ⁺ˡᵒʷ − 1 − r.
pub(super) fn expm1_tail<'l>(r: Value<'l>, low: Value<'l>) -> Value<'l> {
    (r * r).mul_add(r.polynomial(&M_64, &M_32), low)
}

/// eˣ − 1.
pub(crate) fn expm1(x: Value) -> Value {
    let clamped = x.clamp(Both(-40.0, -20.0), Both(710.0, 89.0));
    let Reduced { n, r, low } = reduce(clamped);
    // 2ⁿ(1 + r + tail) − 1, halved, since 2ⁿ may be just too large.
    let half_power = n.power(0.5);
    let (sum, lost) = (half_power - 0.5).fast_two_sum(half_power * r);
    let half = sum + half_power.mul_add(expm1_tail(r, low), lost);
    // Halving a subnormal number loses a bit, and -0 its sign.
    x.abs().less(Both(1e-300, 1e-30)).select(x, half + half)
}

/// 1/(1 + e⁻ˣ).
pub(crate) fn sigmoid(x: Value) -> Value {
    if x.lanes().is_avx512() {
        return sigmoid_by_table(x);
    }
    // With e = exp(-|x|) ≤ 1: e/(1 + e) for negative x, 1/(1 + e) for others.
    let is_negative = x.less(0.0);
    let Reduced { n, r, low } = reduce(-x.constant(Both(746.0, 105.0)).min(x.abs()));
    let (high, low) = exp_reduced(r, Some(low));
    let (high, low) = high.fast_two_sum(low);
    let (high, low) = n.scale_pair(high, low);
    let numerator = is_negative.select(high, 1.0);
    let numerator_low = is_negative.select(low, 0.0);
    let denominator = 1.0 + high;
    let denominator_low = (high - (denominator - 1.0)) + low;
    let quotient = numerator / denominator;
    let residual = quotient.residual(denominator, numerator)
        + quotient.neg_mul_add(denominator_low, numerator_low);
    // One over the denominator is the quotient or what it lacks to 1.
    let reciprocal = is_negative.select(1.0 - quotient, quotient);
    residual.mul_add(reciprocal, quotient)
}

/// With e⁻ˣ = m·2⁻ⁿ for an integer n and m near 1: 2ⁿ/(2ⁿ + m), where n need not grow beyond what
/// makes the quotient 1.
fn sigmoid_by_table(x: Value) -> Value {
    let Tabled { index, n, r } = reduce_by_table(x).limited();
    let tabled = Tabled { index, n, r: -r };
    let (power, power_low) = (index.lookup(&INVERSE_EXP2), index.lookup(&INVERSE_EXP2_LOW));
    let m = power + power.mul_add(tabled.expm1(), power_low);
    let n = n.constant(60.0).min(n);
    let power = n.constant(Both(-1000.0, -100.0)).max(n);
    let denominator = n.constant(1.0).scale_instruction(power) + m;
    scale_by(1.0 / denominator, n)
}
