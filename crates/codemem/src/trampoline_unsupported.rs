//! Stands in for the trampolines on processors and operating systems for which there are none.

use crate::pages::unsupported;
use crate::{Abi, CodeError};

/// Refuses.
///
/// # Safety
/// Nothing is called.
pub(crate) unsafe fn call_registers(
    _target: *const u8,
    _abi: Abi,
    _args: impl Iterator<Item = (bool, u64)>,
) -> Result<(u64, u64), CodeError> {
    Err(unsupported())
}

/// NaN: there is no code to call.
///
/// # Safety
/// Nothing is called.
#[must_use]
pub unsafe fn call_f64(_address: *const u8, _abi: Abi, _args: &[f64]) -> f64 {
    f64::NAN
}
