//! A counter-based random number generator: Philox4x32-10.
//!
//! A search that runs on any number of threads must give the same result on each of them. With one
//! generator that is advanced by everybody, who draws first decides; with one generator a thread,
//! the number of threads decides. Here a random number is a pure function of (seed, stream,
//! position): each individual of each generation takes a stream of its own, whichever thread
//! happens to make it.
//!
//! The generator is the block cipher Philox4x32 with ten rounds. The seed is the key; the 128-bit
//! counter holds the stream in its upper half and the block number in its lower half. A stream is a
//! sequence of 32-bit words; a draw takes one word where that is enough and two where it is not.
//!
//! # Invariants
//! - For one seed, two streams never use the same counter, and a block cipher never maps two
//!   counters to the same block: streams cannot overlap (a stream has 2⁶⁶ words).
//! - Results are bit-identical on every platform: integers and IEEE 754 `+ − × ÷ √` only. That is
//!   why the logarithm in [`Rng::normal`] is written out here and not taken from the C library.
//!
//! Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.

pub use crate::philox::philox4x32;
use crate::philox::{self, WORDS, halves};

/// A stream of random numbers: a function of (seed, stream) and of how many were drawn.
///
/// Making one costs nothing, so take one per individual and generation instead of sharing.
///
/// ```
/// use opcodon_evo::Rng;
/// let mut a = Rng::new(42, 7);
/// let mut b = Rng::new(42, 7);
/// assert_eq!(a.u64(), b.u64());
/// assert_ne!(a.u64(), Rng::new(42, 8).u64());
/// ```
#[derive(Clone, Debug)]
pub struct Rng {
    seed: u64,
    stream: u64,
    /// Number of the next block of the stream.
    block: u64,
    buffer: [u32; WORDS],
    /// Words of `buffer` that were handed out.
    used: usize,
}

impl Rng {
    /// The stream number `stream` of `seed`, at its beginning.
    #[inline]
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self {
            seed,
            stream,
            block: 0,
            buffer: [0; WORDS],
            used: WORDS,
        }
    }

    /// The stream of one individual in one generation; distinct pairs have distinct streams.
    #[inline]
    #[must_use]
    pub fn for_individual(seed: u64, generation: u32, individual: u32) -> Self {
        Self::new(seed, u64::from(generation) << 32 | u64::from(individual))
    }

    #[inline(never)]
    fn refill(&mut self) {
        let key = halves(self.seed);
        let n_blocks = philox::fill(&mut self.buffer, self.block, self.stream, key);
        self.block = self.block.wrapping_add(n_blocks as u64);
        self.used = WORDS - 4 * n_blocks;
    }

    /// 32 random bits.
    #[inline]
    pub fn u32(&mut self) -> u32 {
        if self.used >= WORDS {
            self.refill();
        }
        let word = self.buffer[self.used];
        self.used += 1;
        word
    }

    /// 64 random bits.
    #[inline]
    pub fn u64(&mut self) -> u64 {
        u64::from(self.u32()) | u64::from(self.u32()) << 32
    }

    /// Uniform in `[0, 1)`: a multiple of 2⁻⁵³.
    #[inline]
    pub fn f64(&mut self) -> f64 {
        const ULP: f64 = 1.0 / (1u64 << 53) as f64;
        (self.u64() >> 11) as f64 * ULP
    }

    /// Uniform in `[low, high)` (`high` itself may appear by rounding).
    #[inline]
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        // Not `low + (high - low) * u`: the difference may overflow.
        let u = self.f64();
        low * (1.0 - u) + high * u
    }

    /// `true` with probability `p`, to the next multiple of 2⁻³² above: never for `p <= 0` or NaN,
    /// always for `p >= 1`.
    #[inline]
    pub fn bool(&mut self, p: f64) -> bool {
        f64::from(self.u32()) < p * 4_294_967_296.0
    }

    /// Uniform in `0..n`, exactly unbiased (Lemire, "Fast random integer generation in an
    /// interval", 2019).
    ///
    /// # Panics
    /// If `n` is 0: there is nothing to choose from.
    #[inline]
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "Rng::below(0): nothing to choose from");
        match u32::try_from(n) {
            Ok(n) => self.below_u32(n) as usize,
            Err(_) => self.below_u64(n as u64),
        }
    }

    #[inline]
    fn below_u32(&mut self, n: u32) -> u32 {
        let mut product = u64::from(self.u32()) * u64::from(n);
        if halves(product)[0] < n {
            // 2³² mod n of the low halves are one too many; redraw exactly those.
            let threshold = n.wrapping_neg() % n;
            while halves(product)[0] < threshold {
                product = u64::from(self.u32()) * u64::from(n);
            }
        }
        halves(product)[1]
    }

    #[cold]
    fn below_u64(&mut self, n: u64) -> usize {
        let mut product = u128::from(self.u64()) * u128::from(n);
        let threshold = n.wrapping_neg() % n;
        while low_half(product) < threshold {
            product = u128::from(self.u64()) * u128::from(n);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "less than n, which came from a usize"
        )]
        {
            (product >> 64) as usize
        }
    }

    /// Uniform in each of some ranges `0..n`, exactly and independently, from as many random bits
    /// as all of them take together (Brackett-Rozinsky, Lemire, "Batched ranged random integer
    /// generation", 2024).
    ///
    /// # Panics
    /// If a range is empty, or there are 2⁶⁴ choices or more.
    #[inline]
    pub fn below_each<const N: usize>(&mut self, ranges: [usize; N]) -> [usize; N] {
        let mut choices = 1_u64;
        for n in ranges {
            let product = choices.checked_mul(n as u64);
            choices = product.expect("Rng::below_each: 2⁶⁴ choices or more");
        }
        assert!(choices > 0, "Rng::below_each: nothing to choose from");
        let Ok(choices) = u32::try_from(choices) else {
            return self.below_each_u64(ranges, choices);
        };
        loop {
            // A fraction; multiplied by a range, its whole part is the number.
            let mut fraction = self.u32();
            let mut drawn = ranges;
            for number in &mut drawn {
                let [rest, whole] = halves(u64::from(fraction) * *number as u64);
                (fraction, *number) = (rest, whole as usize);
            }
            // As in `below_u32`.
            if fraction >= choices || fraction >= choices.wrapping_neg() % choices {
                return drawn;
            }
        }
    }

    #[cold]
    fn below_each_u64<const N: usize>(&mut self, ranges: [usize; N], choices: u64) -> [usize; N] {
        loop {
            let mut fraction = self.u64();
            let drawn = ranges.map(|n| {
                let product = u128::from(fraction) * n as u128;
                fraction = low_half(product);
                // Less than n.
                usize::try_from(product >> 64).unwrap_or(n)
            });
            if fraction >= choices || fraction >= choices.wrapping_neg() % choices {
                return drawn;
            }
        }
    }

    /// Uniform in `low..=high`.
    ///
    /// # Panics
    /// If `low > high`.
    #[inline]
    pub fn range(&mut self, low: usize, high: usize) -> usize {
        assert!(low <= high, "Rng::range({low}, {high}): an empty range");
        let span = high - low;
        if span == usize::MAX {
            #[expect(clippy::cast_possible_truncation, reason = "any usize will do")]
            return self.u64() as usize;
        }
        low + self.below(span + 1)
    }

    /// Normal with mean 0 and standard deviation 1 (Marsaglia's polar method).
    pub fn normal(&mut self) -> f64 {
        loop {
            let u = 2.0 * self.f64() - 1.0;
            let v = 2.0 * self.f64() - 1.0;
            let s = u * u + v * v;
            if s < 1.0 && s > 0.0 {
                return u * (-2.0 * ln(s) / s).sqrt();
            }
        }
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        // 1 - f64() lies in (0, 1], so the result is finite and not negative (`+ 0.0` clears -0).
        -ln(1.0 - self.f64()) + 0.0
    }

    /// One of `items`, each with the same probability; `None` if there are none.
    #[inline]
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() {
            None
        } else {
            Some(&items[self.below(items.len())])
        }
    }

    /// An index with probability proportional to its weight. Weights that are not positive
    /// numbers count as 0; `None` if all do. For many draws from the same weights build a
    /// [`Weighted`](crate::Weighted) once.
    pub fn choose_weighted(&mut self, weights: &[f64]) -> Option<usize> {
        let clean = |w: f64| if w.is_finite() && w > 0.0 { w } else { 0.0 };
        // Scaled by the largest, so that the sum stays finite.
        let largest = weights.iter().fold(0.0, |m: f64, &w| m.max(clean(w)));
        if largest == 0.0 {
            return None;
        }
        let total: f64 = weights.iter().map(|&w| clean(w) / largest).sum();
        let mut left = self.f64() * total;
        let mut chosen = None;
        for (index, &weight) in weights.iter().enumerate() {
            let share = clean(weight) / largest;
            if share > 0.0 {
                // Kept also when the loop ends by rounding: the last index with a weight.
                chosen = Some(index);
                if left < share {
                    break;
                }
                left -= share;
            }
        }
        chosen
    }

    /// Puts `items` in random order, every order with the same probability (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[inline]
fn low_half(x: u128) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper half is cut off on purpose"
    )]
    {
        x as u64
    }
}

/// Natural logarithm of a positive normal number, within 1 ULP, the same bits everywhere.
///
/// Source: FreeBSD msun `e_log.c` (Sun Microsystems, 1993): `x = 2ᵏ(1+f)` with `1+f` in
/// `[√½, √2)`, and `log(1+f) = f − f²/2 + s(f²/2 + R)` with `s = f/(2+f)`.
fn ln(x: f64) -> f64 {
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const L: [f64; 7] = [
        6.666_666_666_666_735e-1,
        3.999_999_999_940_942e-1,
        2.857_142_874_366_239e-1,
        2.222_219_843_214_978_4e-1,
        1.818_357_216_161_805e-1,
        1.531_383_769_920_937_3e-1,
        1.479_819_860_511_658_6e-1,
    ];
    const SQRT_HALF_HIGH: u64 = 0x3fe6_a09e_0000_0000;
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    debug_assert!(x.is_normal() && x > 0.0);
    let bits = x.to_bits() + (ONE - SQRT_HALF_HIGH);
    let exponent = (bits >> 52) as f64 - 1023.0;
    let f = f64::from_bits((bits & ((1 << 52) - 1)) + SQRT_HALF_HIGH) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let even = w * (L[1] + w * (L[3] + w * L[5]));
    let odd = z * (L[0] + w * (L[2] + w * (L[4] + w * L[6])));
    let half_square = 0.5 * f * f;
    s * (half_square + (odd + even)) + exponent * LN2_LOW - half_square + f + exponent * LN2_HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kat_vectors` of the Random123 distribution, rows "philox4x32 10".
    #[test]
    fn known_answers_of_the_random123_paper() {
        const PI: [u32; 6] = [
            0x243f_6a88,
            0x85a3_08d3,
            0x1319_8a2e,
            0x0370_7344,
            0xa409_3822,
            0x299f_31d0,
        ];
        let rows = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [!0; 4],
                [!0; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                [PI[0], PI[1], PI[2], PI[3]],
                [PI[4], PI[5]],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in rows {
            assert_eq!(
                philox4x32(counter, key),
                expected,
                "counter {counter:x?} key {key:x?}"
            );
        }
    }

    #[test]
    fn a_stream_is_the_block_function_word_by_word() {
        let (seed, stream) = (0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
        let words: Vec<u32> = (0..9)
            .flat_map(|block| {
                philox4x32(
                    [block, 0, 0x7654_3210, 0xfedc_ba98],
                    [0x89ab_cdef, 0x0123_4567],
                )
            })
            .collect();
        let mut rng = Rng::new(seed, stream);
        assert!(words.iter().all(|&word| rng.u32() == word));
        // Pairs of words from any position, also across the end of the buffer.
        for skip in 0..9 {
            let mut rng = Rng::new(seed, stream);
            for word in &words[..skip] {
                assert_eq!(rng.u32(), *word);
            }
            for pair in words[skip..].chunks_exact(2) {
                assert_eq!(rng.u64(), u64::from(pair[0]) | u64::from(pair[1]) << 32);
            }
        }
    }

    /// A saved seed promises its run: these must never change.
    #[test]
    fn the_numbers_of_a_stream_are_fixed() {
        let mut rng = Rng::new(0, 0);
        assert_eq!((rng.u32(), rng.u32()), (0x6627_e8d5, 0xe169_c58d));
        assert_eq!(rng.u64(), 0x9b00_dbd8_bc57_ac4c);
        let mut rng = Rng::new(1, 2);
        let numbers: Vec<usize> = (0..12).map(|_| rng.below(100)).collect();
        assert_eq!(numbers, [90, 55, 24, 3, 71, 85, 26, 5, 57, 35, 62, 49]);
        let draws = [
            rng.f64(),
            rng.uniform(-1.0, 1.0),
            rng.normal(),
            rng.exponential(),
        ];
        let bits = [
            0x3fd9_8fbf_d3f7_822e,
            0x3fde_eaf2_a443_ace0,
            0x3ffb_13eb_7607_d299,
            0x3fea_f6c2_9054_64a2,
        ];
        assert_eq!(draws.map(f64::to_bits), bits, "{draws:?}");
    }

    #[test]
    fn streams_of_neighbouring_numbers_share_no_value() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..4 {
            for generation in 0..8 {
                for individual in 0..32 {
                    let mut rng = Rng::for_individual(seed, generation, individual);
                    for _ in 0..16 {
                        assert!(seen.insert(rng.u64()), "{seed} {generation} {individual}");
                    }
                }
            }
        }
    }

    /// Pearson's χ² of `counts` against equal shares, as a z score (Wilson–Hilferty).
    fn chi_square_z(counts: &[usize]) -> f64 {
        let n: usize = counts.iter().sum();
        let expected = n as f64 / counts.len() as f64;
        let chi: f64 = counts
            .iter()
            .map(|&c| (c as f64 - expected).powi(2) / expected)
            .sum();
        let k = counts.len() as f64 - 1.0;
        ((chi / k).cbrt() - (1.0 - 2.0 / (9.0 * k))) / (2.0 / (9.0 * k)).sqrt()
    }

    #[test]
    fn below_is_uniform() {
        for n in [2, 3, 5, 7, 10, 64, 100, 1000] {
            let mut rng = Rng::new(11, n as u64);
            let mut counts = vec![0; n];
            for _ in 0..n * 1000 {
                counts[rng.below(n)] += 1;
            }
            let z = chi_square_z(&counts);
            assert!(z.abs() < 4.5, "n = {n}: z = {z}");
        }
        // A range whose multiple-and-shift without rejection would be visibly biased: of 3·2⁶²
        // values every third is hit twice as often.
        let n = 3usize << 62;
        let mut rng = Rng::new(1, 1);
        let mut counts = [0; 3];
        for _ in 0..30_000 {
            let v = rng.below(n);
            assert!(v < n);
            counts[v % 3] += 1;
        }
        assert!(chi_square_z(&counts).abs() < 4.5, "{counts:?}");
    }

    #[test]
    fn below_each_is_uniform_and_independent() {
        for ranges in [
            [7, 5],
            [1, 6],
            [1 << 20, 3],
            [3 << 29, 2],
            [1 << 62, 3],
            [3 << 60, 5],
        ] {
            let mut rng = Rng::new(12, ranges[0] as u64);
            // Ranges that are longer have a length that is a multiple of this.
            let cells = ranges.map(|n| n.min(8));
            let mut counts = vec![0; cells[0] * cells[1]];
            for _ in 0..counts.len() * 2000 {
                let drawn = rng.below_each(ranges);
                assert!(drawn[0] < ranges[0] && drawn[1] < ranges[1]);
                let cell = |k: usize| drawn[k] / (ranges[k] / cells[k]);
                counts[cell(0) * cells[1] + cell(1)] += 1;
            }
            let z = chi_square_z(&counts);
            assert!(z.abs() < 4.5, "{ranges:?}: z = {z}");
        }
        let mut rng = Rng::new(12, 1);
        let mut same = rng.clone();
        assert_eq!(rng.below_each([1000]), [same.below(1000)]);
        assert_eq!(rng.u32(), same.u32(), "one word was enough");
    }

    #[test]
    fn range_includes_both_ends() {
        let mut rng = Rng::new(5, 0);
        let mut counts = [0; 4];
        for _ in 0..4000 {
            counts[rng.range(3, 6) - 3] += 1;
        }
        assert!(chi_square_z(&counts).abs() < 4.5, "{counts:?}");
        assert_eq!(rng.range(9, 9), 9);
        let _ = rng.range(0, usize::MAX);
    }

    #[test]
    fn moments_of_the_distributions() {
        type Draw = fn(&mut Rng) -> f64;
        // name, draw, mean, variance, fourth central moment (for the error of the variance)
        let rows: [(&str, Draw, f64, f64, f64); 4] = [
            ("f64", Rng::f64, 0.5, 1.0 / 12.0, 1.0 / 80.0),
            (
                "uniform(-3, 5)",
                |r| r.uniform(-3.0, 5.0),
                1.0,
                64.0 / 12.0,
                4096.0 / 80.0,
            ),
            ("normal", Rng::normal, 0.0, 1.0, 3.0),
            ("exponential", Rng::exponential, 1.0, 1.0, 9.0),
        ];
        const N: usize = 200_000;
        let n = N as f64;
        for (name, draw, mean, variance, fourth) in rows {
            let mut rng = Rng::new(3, 4);
            let xs: Vec<f64> = (0..N).map(|_| draw(&mut rng)).collect();
            let m = xs.iter().sum::<f64>() / n;
            let v = xs.iter().map(|x| (x - m).powi(2)).sum::<f64>() / n;
            assert!(
                (m - mean).abs() < 4.5 * (variance / n).sqrt(),
                "{name}: mean {m}"
            );
            let v_error = ((fourth - variance * variance) / n).sqrt();
            assert!((v - variance).abs() < 4.5 * v_error, "{name}: variance {v}");
        }
    }

    #[test]
    fn a_tenth_of_normals_lies_in_each_decile() {
        // Inner decile bounds of the standard normal.
        let bounds = [-1.281_552, -0.841_621, -0.524_401, -0.253_347, 0.0];
        let mut counts = [0; 10];
        let mut rng = Rng::new(8, 8);
        for _ in 0..100_000 {
            let x = rng.normal();
            let upper = bounds.iter().filter(|&&b| x >= b).count()
                + bounds[..4].iter().filter(|&&b| x >= -b).count();
            counts[upper] += 1;
        }
        assert!(chi_square_z(&counts).abs() < 4.5, "{counts:?}");
    }

    #[test]
    fn bool_obeys_its_probability_at_the_edges() {
        let mut rng = Rng::new(0, 0);
        for _ in 0..1000 {
            assert!(!rng.bool(0.0) && !rng.bool(-1.0) && !rng.bool(f64::NAN));
            assert!(rng.bool(1.0) && rng.bool(2.0));
        }
        let hits = (0..40_000).filter(|_| rng.bool(0.25)).count();
        assert!(hits.abs_diff(10_000) < 400, "{hits}");
    }

    #[test]
    fn choose_weighted_follows_the_weights_and_survives_bad_ones() {
        let mut rng = Rng::new(2, 0);
        for none in [&[][..], &[0.0], &[f64::NAN, -1.0, f64::INFINITY]] {
            assert_eq!(rng.choose_weighted(none), None, "{none:?}");
        }
        let weights = [f64::NAN, 1.0, 0.0, 3.0, -2.0];
        let mut counts = [0; 5];
        for _ in 0..40_000 {
            counts[rng.choose_weighted(&weights).unwrap()] += 1;
        }
        assert_eq!([counts[0], counts[2], counts[4]], [0; 3]);
        assert!(usize::abs_diff(counts[1], 10_000) < 400, "{counts:?}");
        assert_eq!(rng.choose_weighted(&[0.0, f64::MAX, 0.0]), Some(1));
        assert!(rng.choose_weighted(&[f64::MAX; 3]).is_some());
    }

    #[test]
    fn shuffle_makes_every_order_equally_often() {
        let mut counts = std::collections::BTreeMap::new();
        let mut rng = Rng::new(6, 0);
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            rng.shuffle(&mut items);
            *counts.entry(items).or_insert(0usize) += 1;
        }
        assert_eq!(counts.len(), 24);
        let counts: Vec<usize> = counts.into_values().collect();
        assert!(chi_square_z(&counts).abs() < 4.5, "{counts:?}");
        rng.shuffle::<u8>(&mut []);
        assert_eq!(rng.choose::<u8>(&[]), None);
    }

    #[test]
    fn bits_are_balanced() {
        let mut rng = Rng::new(9, 9);
        let mut ones = [0u32; 64];
        for _ in 0..10_000 {
            let x = rng.u64();
            for (bit, count) in ones.iter_mut().enumerate() {
                *count += u32::from(x >> bit & 1 == 1);
            }
        }
        assert!(ones.iter().all(|c| c.abs_diff(5000) < 250), "{ones:?}");
    }

    #[test]
    fn ln_agrees_with_the_library_within_two_ulps() {
        let mut rng = Rng::new(4, 4);
        for i in 0..100_000 {
            let x = if i % 2 == 0 {
                rng.f64().max(1e-300)
            } else {
                rng.uniform(0.7, 1.5)
            };
            let (ours, theirs) = (ln(x), x.ln());
            let ulp = f64::from_bits(theirs.abs().to_bits() + 1) - theirs.abs();
            assert!(
                (ours - theirs).abs() <= 2.0 * ulp.max(f64::MIN_POSITIVE),
                "ln({x})"
            );
        }
        assert_eq!(ln(1.0), 0.0);
        assert!(ln(f64::MIN_POSITIVE).is_finite());
    }
}
