//! Batches between two uses.
//!
//! A batch owns memory for code, which takes far longer to get from the system than a tree takes
//! to compile. So batches are lent out and come back, whoever uses them.

use std::sync::Mutex;

use opcodon_jit::{Batch, Float, JitError};

use super::tier;

/// More idle batches than that are let go.
const MAX_IDLE: usize = 64;

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

/// Runs `body` with a batch that nobody else uses.
pub(crate) fn with_batch<T: Kept, R>(
    body: impl FnOnce(&mut Batch<T>) -> Result<R, JitError>,
) -> Result<R, JitError> {
    // A lock that is taken is no reason to wait: a new batch will do.
    let idle = T::idle().try_lock().ok().and_then(|mut idle| idle.pop());
    let mut batch = match idle {
        Some(batch) => batch,
        None => Batch::new(tier()?)?,
    };
    let result = body(&mut batch)?;
    if let Ok(mut idle) = T::idle().try_lock()
        && idle.len() < MAX_IDLE
    {
        idle.push(batch);
    }
    Ok(result)
}
