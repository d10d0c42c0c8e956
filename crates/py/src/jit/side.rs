//! Errors of what is asked of Python on the side.
//!
//! Where machine code wants to know something of an object, or tries a shorter way, an error only means
//! that things are done as Python does them, which raises what there is to raise. But whoever runs Python may be
//! the one that is told of an interrupt: that has to come again.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::ffi;
use pyo3::prelude::*;

/// What Python code gave that was run on the side.
pub(super) fn without_error<T>(py: Python<'_>, result: PyResult<T>) -> Option<T> {
    let interrupted = |error: &PyErr| error.is_instance_of::<PyKeyboardInterrupt>(py);
    if result.as_ref().err().is_some_and(interrupted) {
        unsafe { ffi::PyErr_SetInterrupt() };
    }
    result.ok()
}

/// Forgets the exception that is set.
pub(super) unsafe fn clear_error() {
    unsafe {
        if ffi::PyErr_ExceptionMatches(ffi::PyExc_KeyboardInterrupt) != 0 {
            ffi::PyErr_SetInterrupt();
        }
        ffi::PyErr_Clear();
    }
}
