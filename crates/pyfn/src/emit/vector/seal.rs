//! The only unsafe code of this crate: entering a kernel that this crate has generated, and asking
//! the runtime.
//!
//! What makes it sound is that the kernel reads one stream of doubles, as many as it is told that
//! there are, and writes only the word that is its own.
#![allow(
    unsafe_code,
    reason = "generated code can only be entered through a raw pointer"
)]

use opcodon_codemem::{Abi, Code, Value, call_address};

/// Runs a kernel that reads one stream and writes none; the row that it stops at.
pub(super) fn run(kernel: &Code, numbers: &[f64]) -> usize {
    let mut words = [1, 0, numbers.as_ptr().expose_provenance()];
    let words = words.as_mut_ptr().expose_provenance();
    let args = [words, 0, numbers.len()].map(Value::Ptr);
    let Ok(signature) = "ptr(ptr, ptr, ptr)".parse() else {
        return 0;
    };
    // SAFETY: the kernel was emitted by `kernel::emit` of a graph with one stream of doubles and no
    // stores, follows the convention given and ends with its last row.
    let row = unsafe { call_address(kernel.address(), &signature, Abi::SysV, &args) };
    match row {
        Ok(Value::Ptr(row)) => row,
        _ => 0,
    }
}

/// Asks a function of the runtime something about four words.
pub(super) fn ask(function: usize, words: [usize; 4]) -> usize {
    let Ok(signature) = "ptr(ptr, ptr, ptr, ptr)".parse() else {
        return 0;
    };
    if function == 0 {
        return 0;
    }
    let address = std::ptr::with_exposed_provenance(function);
    // SAFETY: whoever filled the runtime's table says that there is such a function.
    let answer = unsafe { call_address(address, &signature, Abi::SysV, &words.map(Value::Ptr)) };
    match answer {
        Ok(Value::Ptr(answer)) => answer,
        _ => 0,
    }
}
