//! asin, acos, atan, atan2.
//!
//! # Method
//! asin y = y + y·z·A(z), z = y² ≤ ¼, with a minimax polynomial of degree 12 (f64, error 2⁻⁵⁹·⁹) or 4
//! (f32, 2⁻²⁷·⁶). Above ½, asin x = π/2 − 2·asin √((1 − x)/2); what rounding the square root lost
//! comes from its exact residual and a reciprocal square root of five bits, taken from the bits
//! of its argument (Blinn 1997).
//!
//! atan(y/x) = atan c + atan t with t = (y − c·x)/(x + c·y), where c of 0, ½, 1, 3/2, ∞ keeps |t|
//! below 7/16 and far below atan c where there is one (fdlibm's `s_atan.c`). One division serves
//! both y/x and the reduction. atan t = t + t·z·A(z), degree 10 (f64, 2⁻⁵⁷·⁷) or 4 (f32, 2⁻²⁹·⁶).

use crate::vmath::lanes::{Both, Mask, Value};
use crate::vmath::program::Elem;

const HALF_PI_HIGH: Both = Both(std::f64::consts::FRAC_PI_2, 1.570_796_370_506_286_6);
const HALF_PI_LOW: Both = Both(6.123_233_995_736_766e-17, -4.371_138_828_673_793e-8);
const PI_HIGH: Both = Both(std::f64::consts::PI, 3.141_592_741_012_573_2);
const PI_LOW: Both = Both(1.224_646_799_147_353_2e-16, -8.742_277_657_347_586e-8);

/// (asin y − y)/y³ in z = y².
const ASIN_64: [f64; 13] = [
    0.166_666_666_666_667_6,
    0.074_999_999_999_709_04,
    0.044_642_857_174_506_514,
    0.030_381_942_713_010_52,
    0.022_372_214_837_714_99,
    0.017_351_614_730_129_656,
    0.013_980_787_898_419_254,
    0.011_399_178_962_990_633,
    0.010_778_764_094_015_491,
    0.003_711_997_652_707_365,
    0.021_693_947_734_653_773,
    -0.020_980_112_503_830_205,
    0.032_616_874_076_745_37,
];
const ASIN_32: [f64; 5] = [
    0.166_667_520_999_908_45,
    0.074_953_138_828_277_59,
    0.045_468_326_658_010_48,
    0.024_189_524_352_550_507,
    0.042_149_603_366_851_81,
];
/// (atan t − t)/t³ in z = t².
const ATAN_64: [f64; 11] = [
    -0.333_333_333_333_329_2,
    0.199_999_999_998_738_08,
    -0.142_857_142_722_745_63,
    0.111_111_103_956_609_74,
    -0.090_908_868_909_775_06,
    0.076_918_724_841_056_19,
    -0.066_610_365_672_705_5,
    0.058_333_396_563_839_34,
    -0.049_759_771_213_709_43,
    0.036_511_690_237_742_15,
    -0.016_266_882_597_766_63,
];
const ATAN_32: [f64; 5] = [
    -0.333_333_045_244_216_9,
    0.199_977_844_953_537,
    -0.142_302_423_715_591_43,
    0.104_946_270_585_060_12,
    -0.058_268_647_640_943_53,
];

/// An arc sine up to its offset: asin of `sine + low`, of which `sine` is at most ½.
struct Arc<'l> {
    /// Whether |x| > ½.
    is_far: Mask<'l>,
    /// |x|, or √((1 − |x|)/2).
    sine: Value<'l>,
    /// asin − sine.
    rest: Value<'l>,
}

fn arc<'l>(x: Value<'l>) -> Arc<'l> {
    let magnitude = x.abs();
    let is_far = magnitude.greater(0.5);
    let z = is_far.select(magnitude.neg_mul_add(0.5, 0.5), magnitude * magnitude);
    let root = z.sqrt();
    let sine = is_far.select(root, magnitude);
    let p = z * z.polynomial(&ASIN_64, &ASIN_32);
    // Half a reciprocal root: the exponent halved and negated.
    let magic = match x.elem() {
        Elem::F64 => x.bits(0x5fe6_eb50_c7b5_37a9 - (1 << 52)),
        Elem::F32 => x.bits(0x5f37_59df - (1 << 23)),
    };
    let half_reciprocal = magic.int_sub(z.shift_right(1));
    let lost = root.residual(root, z) * half_reciprocal;
    let rest = sine.mul_add(p, is_far.select(lost, 0.0));
    Arc { is_far, sine, rest }
}

/// (high + low) − (a + b), where high is zero or larger than a.
fn subtract<'l>((high, low): (Value<'l>, Value<'l>), (a, b): (Value<'l>, Value<'l>)) -> Value<'l> {
    let (sum, lost) = high.fast_two_sum(-a);
    sum + (lost + (low - b))
}

/// asin x.
pub(crate) fn asin(x: Value) -> Value {
    let Arc { is_far, sine, rest } = arc(x);
    let offset = is_far.select(x.constant(HALF_PI_HIGH), 0.0);
    let offset_low = is_far.select(x.constant(HALF_PI_LOW), 0.0);
    let factor = is_far.select(x.constant(2.0), -1.0);
    let result = subtract((offset, offset_low), (sine * factor, rest * factor));
    result.or_sign_of(x)
}

/// acos x.
pub(crate) fn acos<'l>(x: Value<'l>) -> Value<'l> {
    let Arc { is_far, sine, rest } = arc(x);
    // π/2 − asin x near zero; twice the arc near 1; π less twice the arc near −1.
    let is_negative = x.less(0.0);
    let pi = is_negative.select(x.constant(PI_HIGH), 0.0);
    let pi_low = is_negative.select(x.constant(PI_LOW), 0.0);
    let offset = is_far.select(pi, HALF_PI_HIGH);
    let offset_low = is_far.select(pi_low, HALF_PI_LOW);
    let factor = is_far.select(x.constant(-2.0), 1.0);
    let signed = |y: Value<'l>| (y * factor).xor_sign_of(x);
    subtract((offset, offset_low), (signed(sine), signed(rest)))
}

/// atan c for a reduction by c, and the reduced fraction.
struct Turned<'l> {
    numerator: Value<'l>,
    denominator: Value<'l>,
    offset: Value<'l>,
    offset_low: Value<'l>,
}

/// Thresholds for y/x, and with them c, atan c and what rounding that lost.
const TURNS: [(f64, f64, Both, Both); 3] = [
    (
        0.4375,
        0.5,
        Both(0.463_647_609_000_806_1, 0.463_647_603_988_647_46),
        Both(2.269_877_745_296_168_7e-17, 5.012_158_688_089_13e-9),
    ),
    (
        0.6875,
        1.0,
        Both(std::f64::consts::FRAC_PI_4, 0.785_398_185_253_143_3),
        Both(3.061_616_997_868_383e-17, -2.185_569_414_336_896_4e-8),
    ),
    (
        1.1875,
        1.5,
        Both(0.982_793_723_247_329, 0.982_793_748_378_753_7),
        Both(1.390_331_103_123_099_8e-17, -2.513_142_405_291_546_3e-8),
    ),
];
/// From here on, c is infinite.
const LAST_TURN: f64 = 2.4375;

/// The turn for y/x, both not negative.
fn turn<'l>(y: Value<'l>, x: Value<'l>) -> Turned<'l> {
    let zero = y.constant(0.0);
    let (mut c, mut offset, mut offset_low) = (zero, zero, zero);
    for (threshold, c_here, offset_here, low_here) in TURNS {
        let is_here = y.greater(x * threshold);
        c = is_here.select(y.constant(c_here), c);
        offset = is_here.select(y.constant(offset_here), offset);
        offset_low = is_here.select(y.constant(low_here), offset_low);
    }
    let is_last = y.greater(x * LAST_TURN);
    Turned {
        numerator: is_last.select(-x, c.neg_mul_add(x, y)),
        denominator: is_last.select(y, c.mul_add(y, x)),
        offset: is_last.select(y.constant(HALF_PI_HIGH), offset),
        offset_low: is_last.select(y.constant(HALF_PI_LOW), offset_low),
    }
}

/// atan t = t + the result, for |t| ≤ 7/16.
fn atan_rest<'l>(t: Value<'l>) -> Value<'l> {
    let z = t * t;
    t * z * z.polynomial(&ATAN_64, &ATAN_32)
}

/// atan x.
pub(crate) fn atan(x: Value) -> Value {
    let turned = turn(x.abs(), x.constant(1.0));
    let t = turned.numerator / turned.denominator;
    let result = turned.offset + (t + (atan_rest(t) + turned.offset_low));
    result.or_sign_of(x)
}

/// a/b, and with fused operations, where that is cheap, what rounding it lost.
fn precise_quotient<'l>(a: Value<'l>, b: Value<'l>) -> (Value<'l>, Value<'l>) {
    if !a.lanes().is_fused() {
        return (a / b, a.constant(0.0));
    }
    let reciprocal = 1.0 / b;
    let quotient = a * reciprocal;
    (quotient, quotient.residual(b, a) * reciprocal)
}

/// The angle of the point (x, y).
pub(crate) fn atan2<'l>(y: Value<'l>, x: Value<'l>) -> Value<'l> {
    let (a, b) = (y.abs(), x.abs());
    // Sums and products of coordinates must neither overflow nor lose bits, and 0/0 and ∞/∞ have
    // their own meaning here.
    let larger = a.max(b);
    let (least, most) = (Both(1e-270, 1e-30), Both(1e300, 1e36));
    let is_extreme = larger.not_less(most) | larger.less(least);
    let [a, b] = is_extreme.replace([a, b], || {
        let infinity = f64::INFINITY;
        let is_infinite = larger.equal(infinity);
        let one_where_infinite = |v: Value<'l>| v.equal(infinity).select(v.constant(1.0), 0.0);
        let is_small = larger.less(1.0);
        let up = Both(1.606_938_044_258_990_3e60, 18_446_744_073_709_551_616.0);
        let down = Both(6.223_015_277_861_142e-61, 5.421_010_862_427_522e-20);
        let factor = is_small.select(y.constant(up), down);
        let scaled = |v: Value<'l>| {
            let v_scaled = is_infinite.select(one_where_infinite(v), v * factor);
            // NaN is not equal to itself, and stays.
            v.is_nan().select(v, v_scaled)
        };
        let is_origin = larger.equal(0.0);
        [scaled(a), is_origin.select(b.constant(1.0), scaled(b))]
    });
    let turned = turn(a, b);
    let (t, t_low) = precise_quotient(turned.numerator, turned.denominator);
    let rest = t + (atan_rest(t) + (turned.offset_low + t_low));
    // For negative x: π less the angle.
    let side = x.sign();
    let is_left = x.is_sign_set();
    let pi = is_left.select(x.constant(PI_HIGH), 0.0);
    let pi_low = is_left.select(x.constant(PI_LOW), 0.0);
    let (sum, lost) = pi.fast_two_sum(turned.offset.bit_xor(side));
    let result = sum + ((lost + pi_low) + rest.bit_xor(side));
    result.or_sign_of(y)
}
