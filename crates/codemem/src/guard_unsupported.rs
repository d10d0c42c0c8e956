//! Stands in for guarded calls on processors and operating systems for which there is no code.

use crate::fault::{GuardError, Limits, Loan};
use crate::pages::unsupported;
use crate::{Abi, Callback, Code, Signature, Value};

/// Refuses.
///
/// # Errors
/// Always [`CodeError::Unsupported`](crate::CodeError::Unsupported).
///
/// # Safety
/// Nothing is called.
#[expect(clippy::too_many_arguments, reason = "as where there is code")]
pub unsafe fn call_guarded(
    _code: &Code,
    _signature: &Signature,
    _abi: Abi,
    _args: Vec<Value>,
    _loans: &[Loan],
    _callbacks: &[&Callback],
    _limits: Limits,
    _keep_waiting: impl FnMut() -> bool,
) -> Result<Value, GuardError> {
    Err(unsupported().into())
}
