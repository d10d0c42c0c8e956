//! Generations of kernels between two uses.
//!
//! A generation owns memory for code, which takes far longer to get from the system than a tree takes
//! to compile: a program that makes a population a generation would spend as much on new memory
//! as on compiling. So generations are lent out and come back, whoever uses them.

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

/// A generation that nobody else uses.
pub(crate) fn take<T: Kept>() -> Result<Generation<T>, JitError> {
    // A lock that is taken is no reason to wait: a new one will do.
    match T::idle().try_lock().ok().and_then(|mut idle| idle.pop()) {
        Some(generation) => Ok(generation),
        None => Generation::new(tier()?),
    }
}

/// Keeps a generation for the next who takes one.
pub(crate) fn give_back<T: Kept>(generation: Generation<T>) {
    if generation.len() <= MAX_TREES
        && let Ok(mut idle) = T::idle().try_lock()
        && idle.len() < max_idle()
    {
        idle.push(generation);
    }
}

/// Runs `body` with a generation that nobody else uses.
pub(crate) fn with_generation<T: Kept, R>(
    body: impl FnOnce(&mut Generation<T>) -> Result<R, JitError>,
) -> Result<R, JitError> {
    let mut generation = take()?;
    let result = body(&mut generation)?;
    give_back(generation);
    Ok(result)
}
