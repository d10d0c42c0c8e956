//! Functions made lately, so that a tree that comes again is not compiled again.
//!
//! In a run of DEAP two of three trees that are to be evaluated have been evaluated before, mostly
//! a few hundred trees ago: crossover of similar parents makes similar children. A function
//! depends on nothing but the vocabulary and the genes, and never changes, so whoever asks for it
//! again gets the same object.
//!
//! Kept is what a set-associative cache keeps: a tree belongs to one of [`N_SETS`] sets, and of
//! each set the last [`N_WAYS`] functions that were asked for. So each new function lets at most
//! one go, whose memory, for data and for code, is the next to be used.

use pyo3::prelude::*;

use super::function::Function;
use super::grammar::{Gene, Value};

/// Sets; more than this in all would save few compilations and fill the processor's caches.
const N_SETS: usize = 128;

/// Functions of a set.
const N_WAYS: usize = 4;

/// Larger trees rarely come again, and take more time to compare.
const MAX_NODES: usize = 256;

/// A multiplier without pattern: the golden ratio.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A tree as words: equal if and only if all symbols are and the bits of all values.
#[derive(Debug, PartialEq)]
pub(crate) struct Key {
    hash: u64,
    words: Vec<u64>,
}

impl Key {
    /// The key of a tree, if functions of such trees are kept.
    pub(crate) fn of(genes: &[Gene]) -> Option<Self> {
        if genes.len() > MAX_NODES {
            return None;
        }
        let mut words = Vec::with_capacity(genes.len() + 8);
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

/// The functions of one vocabulary.
#[derive(Default)]
pub(crate) struct Recent {
    /// Empty until there is a function. Of each set the last one asked for comes first.
    sets: Vec<[Option<Known>; N_WAYS]>,
}

/// A tree and its function.
pub(crate) struct Known {
    key: Key,
    function: Py<Function>,
}

impl Recent {
    fn set(&mut self, key: &Key) -> Option<&mut [Option<Known>; N_WAYS]> {
        let n_sets = self.sets.len().max(1) as u64;
        let index = usize::try_from(key.hash % n_sets).ok()?;
        self.sets.get_mut(index)
    }

    /// The function of a tree, if it is known.
    pub(crate) fn get<'py>(&mut self, py: Python<'py>, key: &Key) -> Option<Bound<'py, Function>> {
        let set = self.set(key)?;
        let place = set
            .iter()
            .position(|known| known.as_ref().is_some_and(|known| known.key == *key))?;
        set[..=place].rotate_right(1);
        Some(set[0].as_ref()?.function.bind(py).clone())
    }

    /// Keeps a function. What is no longer kept comes back: letting it go may run code of the
    /// user, who has a weak reference to it, and that may well ask for a function.
    #[must_use = "to be dropped without the lock"]
    pub(crate) fn insert(&mut self, key: Key, function: &Bound<'_, Function>) -> Option<Known> {
        if self.sets.is_empty() {
            self.sets.resize_with(N_SETS, Default::default);
        }
        let function = function.clone().unbind();
        let set = self.set(&key)?;
        set.rotate_right(1);
        set[0].replace(Known { key, function })
    }
}
