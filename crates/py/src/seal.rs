//! The one place of this crate that cannot be checked: calling bytes that a user vouches for, and
//! the memory of Python's objects.
//!
//! Whoever writes `opcodon.function(bytes, signature)` in Python says that the bytes are a function
//! of that signature; nobody can verify it. So these functions are safe in Rust's terms only as
//! far as the user keeps that word, exactly as with `ctypes`.
#![allow(
    unsafe_code,
    reason = "executing a user's bytes is what opcodon.function is for"
)]

use opcodon_codemem::{
    Callback, CodeError, Function, GuardError, Limits, Loan, Value, call_guarded,
};

pub(crate) mod buffer;
mod numbers;
pub(crate) mod vectorcall;

/// Calls a user's function with values of any types, which are checked against its signature.
pub(crate) fn call(function: &Function, arguments: &[Value]) -> Result<Value, CodeError> {
    // SAFETY: the user vouches that the bytes have the signature they gave.
    unsafe { function.call(arguments) }
}

/// Calls a user's function in another process.
pub(crate) fn guarded(
    function: &Function,
    arguments: Vec<Value>,
    loans: &[Loan],
    callbacks: &[&Callback],
    limits: Limits,
    keep_waiting: impl FnMut() -> bool,
) -> Result<Value, GuardError> {
    let (code, signature, abi) = (function.code(), function.signature(), function.abi());
    // SAFETY: the loans are buffers that the caller holds, those that are written to writable ones;
    // others that write there at the same time are the user's own. What the code does stays in its
    // process; that it needs no other thread is what the user is told.
    unsafe {
        call_guarded(
            code,
            signature,
            abi,
            arguments,
            loans,
            callbacks,
            limits,
            keep_waiting,
        )
    }
}
