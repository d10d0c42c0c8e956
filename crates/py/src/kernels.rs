//! Generations of kernels between two uses.
//!
//! A generation owns memory for code, which takes far longer to get from the system than a tree takes
//! to compile: a program that makes a population a generation would spend as much on new memory
//! as on compiling. So generations are lent out and come back, whoever uses them.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, OnceLock};
use std::thread;

use opcodon_jit::{Float, Generation, JitError, Tier};

/// Generations of more trees than that are let go rather than kept.
const MAX_TREES: usize = 10_000;

/// An element type whose generations are kept.
pub(crate) trait Kept: Float {
    /// The idle ones.
    fn idle() -> &'static Mutex<Vec<Generation<Self>>>;
}

impl Kept for f64 {
    fn idle() -> &'static Mutex<Vec<Generation<Self>>> {
        static IDLE: Mutex<Vec<Generation<f64>>> = Mutex::new(Vec::new());
        &IDLE
    }
}

impl Kept for f32 {
    fn idle() -> &'static Mutex<Vec<Generation<Self>>> {
        static IDLE: Mutex<Vec<Generation<f32>>> = Mutex::new(Vec::new());
        &IDLE
    }
}

/// The tier of instructions, asked for once a process.
pub(crate) fn tier() -> Result<Tier, JitError> {
    static TIER: OnceLock<Tier> = OnceLock::new();
    if let Some(tier) = TIER.get() {
        return Ok(*tier);
    }
    let tier = Tier::best()?;
    Ok(*TIER.get_or_init(|| tier))
}

/// As many idle ones as two users on every processor would take.
fn max_idle() -> usize {
    static MAX: OnceLock<usize> = OnceLock::new();
    *MAX.get_or_init(|| 2 * thread::available_parallelism().map_or(1, usize::from))
}

/// A generation that nobody else uses, until it is dropped.
pub(crate) struct Lent<T: Kept>(Option<Generation<T>>);

/// Lends a generation for tables of so many rows, for up to so many threads.
pub(crate) fn lend<T: Kept>(n_rows: usize, n_threads: usize) -> Result<Lent<T>, JitError> {
    // A lock that is taken is no reason to wait: a new one will do.
    let idle = T::idle().try_lock().ok().and_then(|mut idle| idle.pop());
    let mut generation = match idle {
        Some(generation) => generation,
        None => Generation::new(tier()?)?,
    };
    generation.expect_rows(n_rows);
    generation.use_threads(n_threads);
    Ok(Lent(Some(generation)))
}

impl<T: Kept> Deref for Lent<T> {
    type Target = Generation<T>;

    fn deref(&self) -> &Generation<T> {
        self.0.as_ref().expect("there until it is dropped")
    }
}

impl<T: Kept> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut Generation<T> {
        self.0.as_mut().expect("there until it is dropped")
    }
}

impl<T: Kept> Drop for Lent<T> {
    /// Keeps the generation for the next who borrows one.
    fn drop(&mut self) {
        if let Some(generation) = self.0.take()
            && generation.len() <= MAX_TREES
            && let Ok(mut idle) = T::idle().try_lock()
            && idle.len() < max_idle()
        {
            idle.push(generation);
        }
    }
}
