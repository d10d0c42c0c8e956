//! Functions made lately, so that a tree that comes again is not compiled again.
//!
//! In a run of DEAP two of three trees that are to be evaluated have been evaluated before, mostly
//! a few hundred trees ago: crossover of similar parents makes similar children. A function
//! depends on nothing but the vocabulary and the genes, and never changes, so whoever asks for it
//! again gets the same object.
//!
//! # Invariant
//! At most `2 * CAPACITY` functions are kept: those that were asked for since the last change of
//! generation, and the generation before.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem;

use pyo3::prelude::*;

use super::function::Function;
use super::grammar::{Gene, Value};

/// Functions of one generation.
const CAPACITY: usize = 1024;

/// Larger trees rarely come again, and take more time to compare.
const MAX_NODES: usize = 256;

/// A tree as words: equal if and only if all symbols are and the bits of all values.
#[derive(Debug, Default)]
pub(crate) struct Key(Vec<u64>);

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
        Some(Self(words))
    }
}

/// Mixes whole words; keys are not chosen by an adversary.
#[derive(Default)]
struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0 ^ u64::from_ne_bytes(word))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(26);
        }
    }
}

type Generation = HashMap<Vec<u64>, Py<Function>, BuildHasherDefault<WordHasher>>;

/// The functions of one vocabulary.
#[derive(Default)]
pub(crate) struct Recent {
    young: Generation,
    old: Generation,
}

impl Recent {
    /// The function of a tree, if it is known.
    pub(crate) fn get<'py>(&mut self, py: Python<'py>, key: &Key) -> Option<Bound<'py, Function>> {
        if let Some(function) = self.young.get(&key.0) {
            return Some(function.bind(py).clone());
        }
        let known = self.old.get(&key.0)?.bind(py).clone();
        if self.young.len() < CAPACITY
            && let Some((words, function)) = self.old.remove_entry(&key.0)
        {
            self.young.insert(words, function);
        }
        Some(known)
    }

    /// Keeps a function. What is no longer kept comes back: dropping it may run code of the user,
    /// who has a weak reference to it, and which may well ask for a function.
    #[must_use = "to be dropped without the lock"]
    pub(crate) fn insert(&mut self, key: Key, function: &Bound<'_, Function>) -> Discarded {
        let outlived = if self.young.len() < CAPACITY {
            Generation::default()
        } else {
            mem::replace(&mut self.old, mem::take(&mut self.young))
        };
        let replaced = self.young.insert(key.0, function.clone().unbind());
        Discarded {
            _outlived: outlived,
            _replaced: replaced,
        }
    }
}

/// Functions that are no longer kept.
pub(crate) struct Discarded {
    _outlived: Generation,
    _replaced: Option<Py<Function>>,
}
