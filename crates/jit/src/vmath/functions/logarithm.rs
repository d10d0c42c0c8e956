//! log, log2, log10, log1p, and the protected logarithm.
//!
//! # Method
//! x = 2ᵏ·(1 + f) with 1 + f in [¾, 3/2). With s = f/(2 + f) and z = s²,
//! log(1 + f) = f − (f²/2 − s·(f²/2 + z·P(z))), P a minimax polynomial of degree 7 (f64) or 3 (f32),
//! error 2⁻⁶²·⁷ and 2⁻³⁵·¹ (after fdlibm's `e_log.c`, Sun Microsystems 1993, on a slightly wider
//! interval). k·ln 2 is added in two parts, the first with so few bits that it is exact, and the
//! rounding error of k·ln 2 + f is kept.
//!
//! log2 and log10 multiply log(1 + f), as a sum of two, by log₂e or log₁₀e, as a sum of two, of
//! which the high parts have half as many bits and an exact product (fdlibm's `e_log10.c`).
//! On AVX-512, log, log2 and log10 have a table of u near 1/m, so that z = u·m − 1 is below 2⁻⁵ and
//! log x = k·log 2 − log u + log(1 + z) needs no division, and near 1, where u = 1, no table. In single
//! precision, log and log2 take m in [1, 2), and u = ½ below 2, where −log u cancels k·log 2 without
//! error; log₁₀ 2 is too far from a single for that.
//!
//! log1p works on 1 + x as an exact sum u + c: log(u + c) = log u + c/u.

use super::exponential::{LN_2, LN_2_HIGH, LN_2_LOW};
use super::scaling::{Decomposed, MAGIC, decompose};
use super::tables::{LOG, LOG_RECIPROCAL, LOG2, LOG2_RECIPROCAL, LOG10, LOG10_RECIPROCAL};
use crate::vmath::lanes::{Both, Table, Value};
use crate::vmath::program::Elem;

/// 26 or 12 bits, and the rest.
const LOG2_E_HIGH: Both = Both(1.442_695_051_431_655_9, 1.442_871_093_75);
const LOG2_E_LOW: Both = Both(-1.054_269_247_642_913_8e-8, -0.000_176_052_853_930_741_55);
const LOG10_E_HIGH: Both = Both(0.434_294_484_555_721_3, 0.434_326_171_875);
const LOG10_E_LOW: Both = Both(-2.652_469_455_307_855_3e-9, -3.168_997_136_526_741e-5);
/// 41 or 15 bits, and the rest.
const LOG10_2_HIGH: Both = Both(0.301_029_995_664_066_5, 0.301_025_390_625);
const LOG10_2_LOW: Both = Both(-8.532_344_317_057_107e-14, 4.605_039_066_518_657e-6);

/// (log(1 + f) − 2s)/s³ in z = s².
const P_64: [f64; 8] = [
    0.666_666_666_666_666,
    0.400_000_000_000_564_07,
    0.285_714_285_559_253,
    0.222_222_242_834_225_79,
    0.181_816_667_359_914_59,
    0.153_910_821_118_085_1,
    0.131_741_216_734_258_23,
    0.138_393_989_808_106_22,
];
const P_32: [f64; 4] = [
    0.666_666_626_930_236_8,
    0.400_009_125_471_115_1,
    0.285_051_167_011_261,
    0.241_228_938_102_722_17,
];

/// (log(1 + z) − z)/z² for z of tables; (log_b(1 + z) − c·z)/z with c the rounded log_b e.
const TABLED_64: [f64; 8] = [
    -0.499_999_999_999_997_9,
    0.333_333_333_333_326_3,
    -0.250_000_000_031_898_43,
    0.200_000_000_062_665,
    -0.166_666_536_053_472_1,
    0.142_856_959_987_983_7,
    -0.125_197_941_783_141_2,
    0.111_328_346_141_318_16,
];
const TABLED_32: [f64; 3] = [
    -0.500_001_192_092_895_5,
    0.333_369_761_705_398_56,
    -0.244_130_671_024_322_5,
];
const TABLED_2_64: [f64; 9] = [
    2.062_987_619_109_651e-17,
    -0.721_347_520_444_478_7,
    0.480_898_346_962_975_1,
    -0.360_673_760_268_511_17,
    0.288_539_008_275_623_9,
    -0.240_448_984_568_376_16,
    0.206_099_018_817_648_86,
    -0.180_622_728_062_331_73,
    0.160_616_614_934_539_44,
];
const TABLED_2_32: [f64; 4] = [
    1.650_208_858_450_241_7e-8,
    -0.721_349_418_163_299_6,
    0.480_957_299_470_901_5,
    -0.352_084_428_071_975_7,
];
const TABLED_10_64: [f64; 9] = [
    1.106_586_007_655_028_4e-17,
    -0.217_147_240_951_625,
    0.144_764_827_301_080_15,
    -0.108_573_620_489_741_7,
    0.086_858_896_410_100_5,
    -0.072_382_356_782_026_95,
    0.062_041_986_741_027_615,
    -0.054_372_859_045_420_17,
    0.048_350_418_897_307_75,
];
const TABLED_10_32: [f64; 4] = [
    -1.103_965_008_297_791_4e-8,
    -0.217_147_231_101_989_75,
    0.144_790_038_466_453_55,
    -0.108_605_407_178_401_95,
];
const LOG2_E: Both = Both(std::f64::consts::LOG2_E, 1.442_695_021_629_333_5);
const LOG10_E: Both = Both(std::f64::consts::LOG10_E, 0.434_294_492_006_301_9);

/// log(1 + f) = f − (half_square − correction).
struct Core<'l> {
    half_square: Value<'l>,
    correction: Value<'l>,
    s: Value<'l>,
}

fn core<'l>(f: Value<'l>) -> Core<'l> {
    let s = f / (2.0 + f);
    let z = s * s;
    let half_square = f * 0.5 * f;
    let correction = s * z.mul_add(z.polynomial(&P_64, &P_32), half_square);
    Core {
        half_square,
        correction,
        s,
    }
}

/// What is special about logarithms, put into `result`, the logarithm of a positive finite `x`.
fn with_specials<'l>(x: Value<'l>, result: Value<'l>) -> Value<'l> {
    if x.lanes().is_avx512() {
        // NaN stays, zero to −∞, −∞ and negative numbers to NaN, +∞ stays.
        return result.fixup_instruction(x, 0x0353_0422);
    }
    let result = x.not_less(f64::INFINITY).select(x, result);
    let of_zero = x.constant(f64::NEG_INFINITY);
    let special = x.equal(0.0).select(of_zero, f64::NAN);
    x.not_greater(0.0).select(special, result)
}

/// log x.
pub(crate) fn log(x: Value) -> Value {
    with_specials(x, log_of_positive(x))
}

/// x = 2ᵏ·m and z = u·m − 1 for a tabled u near 1/m; AVX-512 only.
pub(super) struct Tabled<'l> {
    pub(super) k: Value<'l>,
    pub(super) z: Value<'l>,
    /// −log u in the table's base.
    pub(super) offset: Value<'l>,
}

/// With m in [¾, 3/2).
pub(super) fn by_table<'l>(
    x: Value<'l>,
    reciprocals: &'static Table,
    offsets: &'static Table,
) -> Tabled<'l> {
    let Decomposed {
        exponent: k,
        significand: m,
        ..
    } = decompose(x);
    let index = m.mul_add(Both(21.0, 42.0), MAGIC);
    Tabled {
        k,
        z: m.mul_sub(index.lookup(reciprocals), 1.0),
        offset: index.lookup(offsets),
    }
}

/// With m in [1, 2), in single precision.
fn by_octave_table<'l>(
    x: Value<'l>,
    reciprocals: &'static Table,
    offsets: &'static Table,
) -> Tabled<'l> {
    let m = x.significand_instruction();
    let index = m.shift_right(18);
    Tabled {
        k: x.exponent_instruction(),
        z: m.mul_sub(index.lookup(reciprocals), 1.0),
        offset: index.lookup(offsets),
    }
}

fn log_of_positive(x: Value) -> Value {
    if x.lanes().is_avx512() {
        return match x.elem() {
            Elem::F64 => {
                let Tabled { k, z, offset } = by_table(x, &LOG_RECIPROCAL, &LOG);
                let start = k.mul_add(LN_2_HIGH, offset);
                let (sum, lost) = start.fast_two_sum(k.mul_add(LN_2_LOW, z));
                sum + (z * z).mul_add(z.estrin(&TABLED_64), lost)
            }
            Elem::F32 => {
                let Tabled { k, z, offset } = by_octave_table(x, &LOG_RECIPROCAL, &LOG);
                // What is small is added up first.
                k.mul_add(LN_2, offset) + (z * z).mul_add(z.horner(&TABLED_32), z)
            }
        };
    }
    let Decomposed {
        exponent: k,
        significand,
        ..
    } = decompose(x);
    let f = significand - 1.0;
    let Core {
        half_square,
        correction,
        ..
    } = core(f);
    let (high, low) = (k * LN_2_HIGH).fast_two_sum(f);
    high + (low - (half_square - k.mul_add(LN_2_LOW, correction)))
}

/// log |x|, and 0 where x is zero.
pub(crate) fn protected_log(x: Value) -> Value {
    let magnitude = x.abs();
    let result = log_of_positive(magnitude);
    if x.lanes().is_avx512() {
        // NaN and +∞ stay, zero to zero.
        return result.fixup_instruction(magnitude, 0x0050_0822);
    }
    let result = magnitude.not_less(f64::INFINITY).select(magnitude, result);
    magnitude.equal(0.0).select(x.constant(0.0), result)
}

/// log(1 + f) as a sum of two, the first of half as many bits.
fn short_sum<'l>(f: Value<'l>) -> (Value<'l>, Value<'l>) {
    let Core {
        half_square,
        correction,
        ..
    } = core(f);
    let high = (f - half_square).high_half();
    (high, ((f - high) - half_square) + correction)
}

/// log₂ x.
pub(crate) fn log2(x: Value) -> Value {
    if x.lanes().is_avx512() {
        let Tabled { k, z, offset } = match x.elem() {
            Elem::F64 => by_table(x, &LOG2_RECIPROCAL, &LOG2),
            Elem::F32 => by_octave_table(x, &LOG2_RECIPROCAL, &LOG2),
        };
        let sum = z.mul_add(LOG2_E, k + offset);
        let result = z.mul_add(z.polynomial(&TABLED_2_64, &TABLED_2_32), sum);
        return with_specials(x, result);
    }
    let Decomposed {
        exponent: k,
        significand,
        ..
    } = decompose(x);
    let (high, low) = short_sum(significand - 1.0);
    let rest = low.mul_add(LOG2_E_HIGH, (low + high) * LOG2_E_LOW);
    let (sum, lost) = k.fast_two_sum(high * LOG2_E_HIGH);
    with_specials(x, sum + (lost + rest))
}

/// log₁₀ x.
pub(crate) fn log10(x: Value) -> Value {
    if x.lanes().is_avx512() {
        let Tabled { k, z, offset } = by_table(x, &LOG10_RECIPROCAL, &LOG10);
        let sum = z.mul_add(LOG10_E, k.mul_add(LOG10_2_HIGH, offset));
        let rest = z.mul_add(z.polynomial(&TABLED_10_64, &TABLED_10_32), k * LOG10_2_LOW);
        let result = sum + rest;
        return with_specials(x, result);
    }
    let Decomposed {
        exponent: k,
        significand,
        ..
    } = decompose(x);
    let (high, low) = short_sum(significand - 1.0);
    let rest = low.mul_add(LOG10_E_HIGH, (low + high) * LOG10_E_LOW);
    let rest = k.mul_add(LOG10_2_LOW, rest);
    let (sum, lost) = (k * LOG10_2_HIGH).fast_two_sum(high * LOG10_E_HIGH);
    with_specials(x, sum + (lost + rest))
}

/// log(1 + x).
pub(crate) fn log1p(x: Value) -> Value {
    let (u, c) = x.constant(1.0).two_sum(x);
    let Decomposed {
        exponent: k,
        significand,
        reciprocal_power,
    } = decompose(u);
    let f = significand - 1.0;
    let Core {
        half_square,
        correction,
        s,
    } = core(f);
    // c/u to a few bits: 1/(1 + f) = (1 − s)/(1 + s).
    let reciprocal = s.mul_add(s.mul_add(2.0, -2.0), 1.0);
    let c = c * reciprocal_power * reciprocal;
    let (high, low) = (k * LN_2_HIGH).fast_two_sum(f);
    let result = high + ((low + c) - (half_square - k.mul_add(LN_2_LOW, correction)));
    with_specials(u, result).or_sign_of(x)
}
