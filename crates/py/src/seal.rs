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

use opcodon_codemem::{CodeError, Function, Value};

pub(crate) mod buffer;
pub(crate) mod vectorcall;

/// Calls a user's function with values of any types, which are checked against its signature.
pub(crate) fn call(function: &Function, arguments: &[Value]) -> Result<Value, CodeError> {
    // SAFETY: the user vouches that the bytes have the signature they gave.
    unsafe { function.call(arguments) }
}
