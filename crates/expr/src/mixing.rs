//! Words to hashes that are the same on every machine and in every run, and maps that use them.
//!
//! Mixing is by 64×64→128-bit multiplication, folded (as in wyhash, by Wang Yi).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub(crate) const SEED: u64 = 0x2d35_8dcc_aa6c_78a5;
const MULTIPLIER: u64 = 0x8bb8_4b93_962e_acc9;

/// Both halves of the product, combined.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves of a 128-bit product"
)]
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// A state with one word more.
#[inline]
pub(crate) fn mix(state: u64, word: u64) -> u64 {
    fold(state ^ word, MULTIPLIER)
}

/// A hash map with this file's mixing, for keys that nobody chooses with evil intent.
pub(crate) type WordMap<K, V> = HashMap<K, V, BuildHasherDefault<WordHasher>>;

/// Words mixed one after another.
#[derive(Default)]
pub(crate) struct WordHasher(u64);

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(size_of::<u64>()) {
            let mut word = [0; size_of::<u64>()];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
        self.write_u64(bytes.len() as u64);
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = mix(self.0 ^ SEED, word);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
