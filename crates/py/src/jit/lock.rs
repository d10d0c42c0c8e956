//! Calls that run without the interpreter lock (`jit(nogil=True)`).
//!
//! A version that touches no object gives the lock up while it runs. Where it has to do with Python after
//! all, because it is left, fails or makes an object of its result, it takes the lock back and keeps it to
//! its end; so nobody but this module knows whether a call holds it.

use std::cell::Cell;

use pyo3::ffi::{self, PyThreadState};

thread_local! {
    /// The thread's state while it has given up the lock.
    static RELEASED: Cell<*mut PyThreadState> = const { Cell::new(std::ptr::null_mut()) };
}

/// Whether the call that runs in this thread has given up the lock.
pub(super) fn is_released() -> bool {
    !RELEASED.get().is_null()
}

/// Takes the lock back, if it has been given up.
pub(super) unsafe extern "C" fn hold() {
    let state = RELEASED.replace(std::ptr::null_mut());
    if !state.is_null() {
        unsafe { ffi::PyEval_RestoreThread(state) };
    }
}

/// Runs code that touches no object without the lock.
pub(super) unsafe fn without<R>(code: impl FnOnce() -> R) -> R {
    RELEASED.set(unsafe { ffi::PyEval_SaveThread() });
    let result = code();
    unsafe { hold() };
    result
}

/// Does something with the lock that the call then gives up again.
pub(super) unsafe fn with<R>(task: impl FnOnce() -> R) -> R {
    unsafe { hold() };
    let result = task();
    RELEASED.set(unsafe { ffi::PyEval_SaveThread() });
    result
}
