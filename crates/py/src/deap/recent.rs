//! What was made of trees lately, so that it is not made again of a tree that comes again.
//!
//! In a run of DEAP two of three trees that are to be evaluated have been evaluated before, mostly
//! a few hundred trees ago: crossover of similar parents makes similar children. The function of
//! a tree depends on nothing but the vocabulary and the genes, its loss only on the table besides,
//! so whoever asks again gets the same.
//!
//! Kept is what a set-associative cache keeps: a tree belongs to one of [`N_SETS`] sets, and of
//! each set the last [`N_WAYS`] trees that were asked for. So each new one lets at most one go,
//! whose memory, for data and for code, is the next to be used.

use super::grammar::{Gene, Value};

/// Sets; more than this in all would save few compilations and fill the processor's caches.
const N_SETS: usize = 128;

/// Trees of a set.
const N_WAYS: usize = 4;

/// Larger trees rarely come again, and take more time to compare.
const MAX_NODES: usize = 256;

/// A multiplier without pattern: the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A tree as words: equal if and only if the vocabulary is, all symbols are, and the bits of all
/// values.
#[derive(Debug, PartialEq)]
pub(crate) struct Key {
    hash: u64,
    words: Vec<u64>,
}

impl Key {
    /// The key of a tree of the vocabulary with that number, if such trees are kept.
    pub(crate) fn of(vocabulary: u64, genes: &[Gene]) -> Option<Self> {
        if genes.len() > MAX_NODES {
            return None;
        }
        let mut words = Vec::with_capacity(genes.len() + 8);
        words.push(vocabulary);
        for gene in genes {
            let symbol = u64::from(gene.symbol) << 2;
            match gene.value {
                Value::None => words.push(symbol),
                Value::Int(value) => words.extend([symbol | 1, value.cast_unsigned()]),
                Value::Float(value) => words.extend([symbol | 2, value.to_bits()]),
                Value::Bool(value) => words.extend([symbol | 3, value.into()]),
            }
        }
        // A multiplication carries differences up, the rotation brings them back down.
        let mix = |hash: u64, word: &u64| (hash ^ word).wrapping_mul(ODD).rotate_left(26);
        let hash = words.iter().chain(&[0]).fold(0, mix);
        Some(Self { hash, words })
    }
}

/// What was made of the trees that were asked for last.
pub(crate) struct Recent<T> {
    /// Empty until there is something. Of each set the last tree asked for comes first.
    sets: Vec<[Option<(Key, T)>; N_WAYS]>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { sets: Vec::new() }
    }
}

impl<T> Recent<T> {
    fn set(&mut self, key: &Key) -> Option<&mut [Option<(Key, T)>; N_WAYS]> {
        let n_sets = self.sets.len().max(1) as u64;
        let index = usize::try_from(key.hash % n_sets).ok()?;
        self.sets.get_mut(index)
    }

    /// What was made of a tree, if that is known.
    pub(crate) fn get(&mut self, key: &Key) -> Option<&T> {
        let set = self.set(key)?;
        let is_it = |known: &Option<(Key, T)>| known.as_ref().is_some_and(|known| known.0 == *key);
        let place = set.iter().position(is_it)?;
        set[..=place].rotate_right(1);
        set[0].as_ref().map(|known| &known.1)
    }

    /// Keeps what was made of a tree. What is no longer kept comes back: letting a function go may
    /// run code of the user, who has a weak reference to it, and that may well ask for a function.
    #[must_use = "to be dropped without the lock"]
    pub(crate) fn insert(&mut self, key: Key, made: T) -> Option<(Key, T)> {
        if self.sets.is_empty() {
            self.sets.resize_with(N_SETS, Default::default);
        }
        let set = self.set(&key)?;
        set.rotate_right(1);
        set[0].replace((key, made))
    }
}
