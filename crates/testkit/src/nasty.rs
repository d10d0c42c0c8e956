//! Arguments that break numerics, as iterators.
//!
//! A uniform random argument never meets the edges at which floating-point code goes wrong: the
//! zeros, the subnormals, the last finite numbers, the halves between integers, the multiples of
//! π where an argument reduction cancels. [`nasty_f64`] and [`nasty_f32`] visit each of these with
//! its neighbours, in both signs; [`random_f64`] and [`random_f32`] add bit patterns over the
//! whole range.

/// Numbers at which something happens, in either precision; rounded for `f32`.
const LANDMARKS: [f64; 19] = [
    // Where exp overflows, becomes subnormal and vanishes, in f64 and in f32.
    709.782_712_893_384,
    708.396_418_532_264_1,
    745.133_219_101_941_1,
    88.722_839_355_468_75,
    87.336_544_036_865_23,
    103.972_084_045_410_16,
    // Where the fraction bits end, and where integer types end.
    8_388_608.0,
    16_777_216.0,
    2_147_483_648.0,
    4_294_967_296.0,
    4_503_599_627_370_496.0,
    9_007_199_254_740_992.0,
    9_223_372_036_854_775_808.0,
    18_446_744_073_709_551_616.0,
    // Hard for the argument reduction of sin, cos and tan: the f64 that is closest to a multiple
    // of pi/2 (Muller: Elementary Functions), the classic 10^22, and the numerator of 355/113.
    6_381_956_970_095_103.0 * f64::from_bits((1023 + 797) << 52),
    1e22,
    1e15,
    1e5,
    355.0,
];

/// The hard cases for one type; the two differ in nothing but the type and its exponent range.
macro_rules! nasty {
    ($(#[$doc:meta])* $name:ident, $float:ident, $bits:ident, $round:expr) => {
        $(#[$doc])*
        pub fn $name() -> impl Iterator<Item = $float> + Clone {
            let specials = [0.0, $float::INFINITY, $float::NAN, $float::MAX, $float::MIN_POSITIVE,
                // The smallest and the largest subnormal.
                $float::from_bits(1), $float::MIN_POSITIVE.next_down(),
                $float::EPSILON, 1.0 / $float::EPSILON, 0.1, 1.0 / 3.0];
            let near_integers = (1..=20_u8).chain([100, 255]).flat_map(|n| {
                let n = $float::from(n);
                [n, n + 0.5, n - 0.5]
            });
            // Odd and even multiples of a quarter of pi, small ones and large ones.
            let near_pi = (1..=24_u32)
                .chain((5..31).map(|shift| (1 << shift) - 1))
                .map(|k| $round(f64::from(k) * std::f64::consts::FRAC_PI_4));
            // Every power of two, from the smallest subnormal to the largest finite one.
            const FRACTION_BITS: u32 = $float::MANTISSA_DIGITS - 1;
            let powers = (0..FRACTION_BITS)
                .map(|shift| (1 as $bits) << shift)
                .chain((1..).map(|exponent: $bits| exponent << FRACTION_BITS))
                .take_while(|&bits| bits < $float::INFINITY.to_bits())
                .map($float::from_bits);
            specials
                .into_iter()
                .chain(near_integers)
                .chain(near_pi)
                .chain(powers)
                .chain(LANDMARKS.map($round))
                .flat_map(|x| [x, x.next_up(), x.next_down()])
                .flat_map(|x| [x, -x])
        }
    };
}

nasty! {
    /// The hard cases of `f64`: 13,464 numbers, always the same.
    nasty_f64, f64, u64, std::convert::identity
}
nasty! {
    /// The hard cases of `f32`: about 2,500 numbers, always the same.
    nasty_f32, f32, u32, rounded
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding is what it is for"
)]
fn rounded(x: f64) -> f32 {
    x as f32
}

/// SplitMix64: a counter through a mixer (Steele, Lea, Flood 2014).
#[derive(Clone)]
struct SplitMix64(u64);

impl Iterator for SplitMix64 {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(z ^ (z >> 31))
    }
}

/// Endless random bit patterns as `f64`: every magnitude, NaN and infinities included.
pub fn random_f64(seed: u64) -> impl Iterator<Item = f64> + Clone {
    SplitMix64(seed).map(f64::from_bits)
}

/// Endless random bit patterns as `f32`: every magnitude, NaN and infinities included.
pub fn random_f32(seed: u64) -> impl Iterator<Item = f32> + Clone {
    SplitMix64(seed).map(|bits| {
        let high_half = (bits >> 32) as u32;
        f32::from_bits(high_half)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every class of numbers that the module promises is visited, in both signs.
    macro_rules! check {
        ($test:ident, $nasty:ident, $float:ident, $bits:ident) => {
            #[test]
            fn $test() {
                let visited: Vec<$bits> = $nasty().map($float::to_bits).collect();
                let promised = [
                    0.0,
                    1.0,
                    (1.0 as $float).next_up(),
                    2.5,
                    3.0,
                    $float::INFINITY,
                    $float::MAX,
                    $float::MIN_POSITIVE,
                    $float::from_bits(1),
                    std::$float::consts::PI,
                    std::$float::consts::FRAC_PI_2,
                    std::$float::consts::PI.next_down(),
                    1024.0,
                    (1024.0 as $float).next_down(),
                    $float::EPSILON,
                    $float::MIN_POSITIVE / 4.0,
                    $float::MAX / 2.0,
                ];
                for x in promised {
                    for x in [x, -x] {
                        assert!(visited.contains(&x.to_bits()), "{x:e} is missing");
                    }
                }
                assert!($nasty().any($float::is_nan));
                assert!(
                    (1_000..20_000).contains(&visited.len()),
                    "{}",
                    visited.len()
                );
            }
        };
    }
    check!(f64_classes, nasty_f64, f64, u64);
    check!(f32_classes, nasty_f32, f32, u32);

    #[test]
    fn random_is_a_function_of_the_seed() {
        let take = |seed| {
            random_f64(seed)
                .map(f64::to_bits)
                .take(100)
                .collect::<Vec<_>>()
        };
        assert_eq!(take(7), take(7));
        assert_ne!(take(7), take(8));
        let small = random_f32(1).take(10_000).filter(|x| x.abs() < 1.0).count();
        assert!(
            (4_000..6_000).contains(&small),
            "{small} of 10000 are below 1"
        );
    }
}
