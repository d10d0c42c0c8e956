//! Batches between two uses.
//!
//! A batch owns memory for code, which takes far longer to get from the system than a tree takes
//! to compile: a program that makes a population a generation would spend as much on new memory
//! as on compiling. So batches are lent out and come back, whoever uses them.

use std::sync::{Mutex, OnceLock};
use std::thread;

use opcodon_jit::{Batch, Float, JitError, Tier};

/// Batches of more trees than that are let go rather than kept.
const MAX_TREES: usize = 10_000;

/// An element type whose batches are kept.
pub(crate) trait Kept: Float {
    /// The idle batches.
    fn idle() -> &'static Mutex<Vec<Batch<Self>>>;
}

impl Kept for f64 {
    fn idle() -> &'static Mutex<Vec<Batch<Self>>> {
        static IDLE: Mutex<Vec<Batch<f64>>> = Mutex::new(Vec::new());
        &IDLE
    }
}

impl Kept for f32 {
    fn idle() -> &'static Mutex<Vec<Batch<Self>>> {
        static IDLE: Mutex<Vec<Batch<f32>>> = Mutex::new(Vec::new());
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

/// As many idle batches as two users on every processor would take.
fn max_idle() -> usize {
    static MAX: OnceLock<usize> = OnceLock::new();
    *MAX.get_or_init(|| 2 * thread::available_parallelism().map_or(1, usize::from))
}

/// A batch that nobody else uses.
pub(crate) fn take<T: Kept>() -> Result<Batch<T>, JitError> {
    // A lock that is taken is no reason to wait: a new batch will do.
    match T::idle().try_lock().ok().and_then(|mut idle| idle.pop()) {
        Some(batch) => Ok(batch),
        None => Batch::new(tier()?),
    }
}

/// Keeps a batch for the next who takes one.
pub(crate) fn give_back<T: Kept>(batch: Batch<T>) {
    if batch.len() <= MAX_TREES
        && let Ok(mut idle) = T::idle().try_lock()
        && idle.len() < max_idle()
    {
        idle.push(batch);
    }
}

/// Runs `body` with a batch that nobody else uses.
pub(crate) fn with_batch<T: Kept, R>(
    body: impl FnOnce(&mut Batch<T>) -> Result<R, JitError>,
) -> Result<R, JitError> {
    let mut batch = take()?;
    let result = body(&mut batch)?;
    give_back(batch);
    Ok(result)
}
