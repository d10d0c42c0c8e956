//! The native half of `opcodon.deap`.
use pyo3::prelude::*;

/// Fills the submodule `_core.deap`.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature of every submodule's hook"
)]
pub(crate) fn register(_module: &Bound<'_, PyModule>) -> PyResult<()> {
    Ok(())
}
