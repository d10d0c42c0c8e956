//! Stands in for the trampolines on processors and operating systems for which there are none.

use crate::pages::unsupported;
use crate::passing::{FLOATS, INTS};
use crate::{Abi, CodeError};

/// Arguments and results of a call.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) ints: [u64; INTS],
    pub(crate) floats: [u64; FLOATS],
    pub(crate) int_results: [u64; 2],
    pub(crate) float_results: [u64; 2],
}

impl Frame {
    pub(crate) const fn new(_target: *const u8) -> Self {
        Self {
            ints: [0; INTS],
            floats: [0; FLOATS],
            int_results: [0; 2],
            float_results: [0; 2],
        }
    }

    /// Refuses.
    ///
    /// # Safety
    /// Nothing is called.
    pub(crate) unsafe fn call(&mut self, _abi: Abi, _stack: &[u64]) -> Result<(), CodeError> {
        Err(unsupported())
    }
}

/// What arrives at a callback, and what it gives back.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) ints: [u64; INTS],
    pub(crate) floats: [u64; FLOATS],
    pub(crate) int_results: [u64; 2],
    pub(crate) float_results: [u64; 2],
    pub(crate) stack: *const u64,
}

/// What is run with an arrival: the head of every context.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Receiver(
    #[expect(dead_code, reason = "nothing arrives")]
    pub(crate)  unsafe fn(*const Receiver, &mut Arrival),
);

/// Refuses.
pub(crate) fn entrance(_abi: Abi, _context: *const Receiver) -> Result<Vec<u8>, CodeError> {
    Err(unsupported())
}

/// Nothing: there is no code to call.
///
/// # Safety
/// Nothing is called.
pub(crate) const unsafe fn call_few_f64(_: *const u8, _: Abi, _: &[f64]) -> Option<f64> {
    None
}
