//! Rows of doubles that generated code has a kernel compute.
//!
//! # Invariant
//! The kernel writes into memory that nobody else sees, so to decline is possible behind it, too.

use std::mem::MaybeUninit;

use opcodon_pyfn::{Dtype, N_ROW_MAX, RowEnd};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::empty;
use super::reduce::Number;
use super::run::{clear_flags, raised_flags};
use super::sum::{sum, sums_are_known, variance};
use super::value::{N_DIMS_MAX, Shape};

/// `(words, first row, behind the last) -> row that is next`.
type Kernel = unsafe extern "C" fn(*mut u64, usize, usize) -> usize;

/// Computes a row, and makes of it what is wanted; null, and no exception, if the plan has to do it.
pub(in crate::jit) unsafe extern "C" fn row(
    kernel: Kernel,
    words: *mut u64,
    n: usize,
    end: u64,
    target: *mut f64,
) -> *mut PyObject {
    let py = unsafe { Python::assume_attached() };
    let null = std::ptr::null_mut();
    let [end, n_dims, at_shape, ..] = end.to_le_bytes().map(usize::from);
    let Some(&end) = RowEnd::ALL.get(end).filter(|_| n_dims <= N_DIMS_MAX) else {
        return null;
    };
    let mut room = [MaybeUninit::<f64>::uninit(); N_ROW_MAX];
    // SAFETY: the caller looked at the sizes of all that the kernel reads and that there is room for what it
    // writes, and gives it three words in front of its own.
    let compute = |out: *mut f64| unsafe {
        words.add(2).write(out.expose_provenance() as u64);
        clear_flags();
        kernel(words, 0, n) == n && raised_flags() == 0
    };
    if end == RowEnd::Array {
        let mut sizes = [1; N_DIMS_MAX];
        for (at, size) in sizes.iter_mut().enumerate().take(n_dims) {
            // SAFETY: the sizes lie behind what the kernel is given.
            *size = unsafe { words.add(at_shape + at).cast::<isize>().read() };
        }
        let array = empty(py, &Shape { n_dims, sizes }, Dtype::Float64);
        if array.is_null() {
            unsafe { ffi::PyErr_Clear() };
            return null;
        }
        // SAFETY: an array of that size was just made.
        if compute(unsafe { array.cast::<u8>().add(16).cast::<*mut f64>().read() }) {
            return array;
        }
        unsafe { ffi::Py_DecRef(array) };
        return null;
    }
    let out = room.as_mut_ptr().cast::<f64>();
    if !compute(out) {
        return null;
    }
    // SAFETY: so many were written.
    let elements = unsafe { std::slice::from_raw_parts(out, n) };
    if end == RowEnd::Store {
        // SAFETY: the caller looked at the size of what is stored to, too.
        unsafe { std::ptr::copy_nonoverlapping(out, target, n) };
        return target.cast();
    }
    match number(py, end, elements) {
        Some(value) if value.is_finite() && raised_flags() == 0 => Number::Double(value).boxed(),
        _ => null,
    }
}

/// The elements put together as numpy does it.
fn number(py: Python<'_>, end: RowEnd, elements: &[f64]) -> Option<f64> {
    if matches!(end, RowEnd::Max | RowEnd::Min) {
        let is_better = |a: f64, b: f64| if end == RowEnd::Max { a > b } else { a < b };
        let first = *elements.first()?;
        let best = |best, &next| if is_better(next, best) { next } else { best };
        let best = elements.iter().fold(first, best);
        // Which of several zeros, or of what is no number, depends on how numpy goes through them.
        let has_nan = elements.iter().any(|element| element.is_nan());
        return (!has_nan && best != 0.0).then_some(best);
    }
    if !sums_are_known(py, Dtype::Float64) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "as numpy divides")]
    let n = elements.len() as f64;
    match end {
        RowEnd::Sum => sum(elements),
        RowEnd::Mean => sum(elements).map(|sum| sum / n),
        RowEnd::Var => variance(elements),
        RowEnd::Std => variance(elements).map(f64::sqrt),
        _ => None,
    }
}
