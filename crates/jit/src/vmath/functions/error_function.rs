//! erf.
//!
//! # Method
//! Up to 1, erf x = x + x·E(x²), degree 12 (f64, error 2⁻⁵⁶·³) or 6 (f32, 2⁻²⁹·³). Beyond,
//! erf x = 1 − exp(−x²)·G(t), where G is the scaled complementary error function e^(x²)·erfc x as a
//! polynomial in t = (x − 3)/(x + 3), which evens out its slope (after Shepherd and Laframboise 1981),
//! of degree 11 (f64, absolute error 2⁻⁵⁷) or 5 (f32, 2⁻³³). The subtraction hides the errors of
//! exp and of rounding x².

use super::exponential::{Reduced, exp_reduced, reduce};
use crate::vmath::lanes::{Both, Value};

/// erf x/x − 1 in z = x².
const NEAR_64: [f64; 13] = [
    0.128_379_167_095_512_6,
    -0.376_126_389_031_838_76,
    0.112_837_916_709_587_44,
    -0.026_866_170_645_620_104,
    0.005_223_977_629_103_717,
    -0.000_854_832_719_018_584_9,
    0.000_120_553_378_021_834_55,
    -1.492_573_914_919_748_5e-5,
    1.646_309_816_213_814_9e-6,
    -1.637_076_137_890_927_7e-7,
    1.478_740_526_896_066_8e-8,
    -1.183_398_484_632_430_8e-9,
    6.690_672_771_024_285e-11,
];
const NEAR_32: [f64; 7] = [
    0.128_379_166_126_251_22,
    -0.376_126_259_565_353_4,
    0.112_835_831_940_174_1,
    -0.026_853_691_786_527_634,
    0.005_188_073_962_926_865,
    -0.000_800_787_820_480_763_9,
    7.846_108_201_192_692e-5,
];
/// e^(x²)·erfc x in t = (x − 3)/(x + 3).
const FAR_64: [f64; 12] = [
    0.179_001_151_181_353_46,
    -0.326_233_560_045_908_8,
    0.245_603_801_664_167,
    -0.150_115_936_345_591,
    0.071_665_850_114_739_98,
    -0.024_392_327_956_404_405,
    0.004_270_353_552_663_785_6,
    0.000_713_174_807_047_292_5,
    -0.000_581_092_737_004_623_5,
    7.639_375_114_801_167e-5,
    0.000_102_951_870_677_463_1,
    1.520_336_433_787_925_1e-5,
];
const FAR_32: [f64; 6] = [
    0.179_000_347_852_706_9,
    -0.326_255_053_281_784_06,
    0.245_382_621_884_346,
    -0.151_277_661_323_547_36,
    0.068_272_016_942_501_07,
    -0.029_866_788_536_310_196,
];

/// erf x.
pub(crate) fn erf(x: Value) -> Value {
    let magnitude = x.abs();
    let z = magnitude * magnitude;
    let near = magnitude.mul_add(z.polynomial(&NEAR_64, &NEAR_32), magnitude);
    // Beyond, the result rounds to 1.
    let far = x.constant(Both(6.0, 4.0)).min(magnitude);
    let t = (far - 3.0) / (far + 3.0);
    let Reduced { n, r, .. } = reduce(-(far * far));
    let (high, low) = exp_reduced(r, None);
    let exp = (high + low) * n.power(1.0);
    let far = exp.neg_mul_add(t.polynomial(&FAR_64, &FAR_32), 1.0);
    magnitude.less(1.0).select(near, far).or_sign_of(x)
}
