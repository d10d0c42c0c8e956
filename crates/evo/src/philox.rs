//! Blocks of Philox4x32-10, as many at a time as the processor's vectors hold.
//!
//! A block takes ten rounds that wait for each other, and a processor has time for several blocks
//! meanwhile: with vectors of 512 bits eight cost as much as one. The compiler makes vector code of
//! the loop below if it may use those instructions; what it computes is the same.
#![allow(
    unsafe_code,
    reason = "a function compiled for instructions that not every processor has"
)]

/// Philox multipliers and Weyl increments of the key (SC 2011, section 4.3).
const M: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const W: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;

/// The Philox4x32-10 block function: 128 random bits for a counter and a key.
#[inline]
#[must_use]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        let [low0, high0] = halves(u64::from(M[0]) * u64::from(c0));
        let [low1, high1] = halves(u64::from(M[1]) * u64::from(c2));
        (c0, c1, c2, c3) = (high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0);
        k0 = k0.wrapping_add(W[0]);
        k1 = k1.wrapping_add(W[1]);
    }
    [c0, c1, c2, c3]
}

/// Lower and upper 32 bits.
#[inline]
pub(crate) fn halves(x: u64) -> [u32; 2] {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each half is cut to 32 bits on purpose"
    )]
    [x as u32, (x >> 32) as u32]
}

/// Words that are made at a time at most.
pub(crate) const WORDS: usize = 4 * WIDE;
/// Blocks at a time with wide vectors, and without.
const WIDE: usize = 8;
const NARROW: usize = 2;

/// Fills the end of a buffer with the words of a stream from a block on; returns how many blocks.
#[inline]
pub(crate) fn fill(words: &mut [u32; WORDS], first: u64, stream: u64, key: [u32; 2]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512dq") {
        // SAFETY: the processor has the instructions.
        unsafe { wide(words, first, stream, key) };
        return WIDE;
    }
    let blocks: [_; NARROW] = blocks(first, stream, key);
    words[WORDS - 4 * NARROW..].copy_from_slice(blocks.as_flattened());
    NARROW
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn wide(words: &mut [u32; WORDS], first: u64, stream: u64, key: [u32; 2]) {
    let blocks: [_; WIDE] = blocks(first, stream, key);
    words.copy_from_slice(blocks.as_flattened());
}

/// Blocks of a stream side by side. A word is the lower half of 64 bits; what the upper half holds
/// does not matter, for that is how vectors multiply.
#[inline(always)]
fn blocks<const N: usize>(first: u64, stream: u64, key: [u32; 2]) -> [[u32; 4]; N] {
    use std::array::from_fn;
    let mut c0: [u64; N] = from_fn(|k| first.wrapping_add(k as u64));
    let mut c1 = c0.map(|block| block >> 32);
    let (mut c2, mut c3) = ([stream; N], [stream >> 32; N]);
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        let [a, b] = [(c0, M[0]), (c2, M[1])]
            .map(|(c, m)| c.map(|word| u64::from(halves(word)[0]) * u64::from(m)));
        c0 = from_fn(|k| b[k] >> 32 ^ c1[k] ^ u64::from(k0));
        c2 = from_fn(|k| a[k] >> 32 ^ c3[k] ^ u64::from(k1));
        (c1, c3) = (b, a);
        k0 = k0.wrapping_add(W[0]);
        k1 = k1.wrapping_add(W[1]);
    }
    from_fn(|k| [c0[k], c1[k], c2[k], c3[k]].map(|word| halves(word)[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_side_by_side_are_those_of_the_block_function() {
        let (stream, key) = (0xfedc_ba98_7654_3210, [0x89ab_cdef, 0x0123_4567]);
        for first in [0, 1, 0xffff_fffa, u64::MAX - 2] {
            let expected = std::array::from_fn(|k| {
                let [b0, b1] = halves(first.wrapping_add(k as u64));
                let [s0, s1] = halves(stream);
                philox4x32([b0, b1, s0, s1], key)
            });
            assert_eq!(blocks::<WIDE>(first, stream, key), expected);
            let mut words = [0; WORDS];
            let n = fill(&mut words, first, stream, key);
            assert_eq!(&words[WORDS - 4 * n..], expected[..n].as_flattened());
        }
    }
}
