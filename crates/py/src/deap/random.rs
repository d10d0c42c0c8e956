//! The random numbers of the native operators.
//!
//! All of them draw from one generator, whose lock is never held while Python code runs.

use std::sync::{Mutex, PoisonError};

use opcodon_evo::Rng;
use pyo3::intern;
use pyo3::prelude::*;

/// The stream of random numbers of all operators; `None` until the first is drawn.
static RANDOM: Mutex<Option<Rng>> = Mutex::new(None);

/// Draws from the generator. If nobody has seeded it, Python's `random` does, so that a program
/// which calls `random.seed` at its beginning is reproducible as it was.
pub(crate) fn draw<R>(py: Python<'_>, body: impl FnOnce(&mut Rng) -> R) -> PyResult<R> {
    {
        let mut random = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rng) = random.as_mut() {
            return Ok(body(rng));
        }
    }
    let bits = py
        .import(intern!(py, "random"))?
        .call_method1(intern!(py, "getrandbits"), (64,))?;
    let mut rng = Rng::new(bits.extract()?, 0);
    let drawn = body(&mut rng);
    *RANDOM.lock().unwrap_or_else(PoisonError::into_inner) = Some(rng);
    Ok(drawn)
}

/// Makes what the native operators draw from now on a function of ``n``.
///
/// Ephemeral constants are drawn by their own Python functions, usually from ``random``: seed
/// that as well. Without a call, the first native operator takes its seed from ``random``.
#[pyfunction]
pub(crate) fn seed(n: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = n.py();
    // Any integer will do, as for random.seed.
    let mask = u64::MAX.into_pyobject(py)?;
    let n: u64 = n.call_method1(intern!(py, "__and__"), (mask,))?.extract()?;
    *RANDOM.lock().unwrap_or_else(PoisonError::into_inner) = Some(Rng::new(n, 0));
    Ok(())
}
