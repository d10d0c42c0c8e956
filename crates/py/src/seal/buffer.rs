//! The buffer protocol: memory of Python's objects, held still while machine code works on it.
//!
//! Python 3.10's stable ABI does not have the protocol, though every interpreter exports its
//! functions, and 3.11 made them stable as they were. So they are declared here.
//!
//! # Invariant
//! A `Buffer` is held, and its memory neither moves nor goes, until it is dropped.
//!
//! Source: CPython's documentation, "Buffer Protocol".

use std::ffi::{CStr, c_char, c_int, c_void};

use opcodon_codemem::Loan;
use pyo3::ffi;
use pyo3::prelude::*;

/// CPython's `Py_buffer`.
#[repr(C)]
struct View {
    buf: *mut c_void,
    obj: *mut ffi::PyObject,
    len: isize,
    itemsize: isize,
    readonly: c_int,
    ndim: c_int,
    format: *const c_char,
    shape: *mut isize,
    strides: *mut isize,
    suboffsets: *mut isize,
    internal: *mut c_void,
}

/// Contiguous memory in the order of C, with the shape if not the format asked for.
const PYBUF_ND: c_int = 8;
const PYBUF_FORMAT: c_int = 4;

unsafe extern "C" {
    fn PyObject_CheckBuffer(object: *mut ffi::PyObject) -> c_int;
    fn PyObject_GetBuffer(object: *mut ffi::PyObject, view: *mut View, flags: c_int) -> c_int;
    fn PyBuffer_Release(view: *mut View);
}

/// The memory of an object, until this is dropped with the interpreter lock held.
pub(crate) struct Buffer<'py> {
    /// CPython keeps its address.
    view: Box<View>,
    _py: Python<'py>,
}

impl<'py> Buffer<'py> {
    /// Whether an object has a buffer.
    pub(crate) fn has(object: &Bound<'py, PyAny>) -> bool {
        // SAFETY: the object is alive and the interpreter lock held.
        unsafe { PyObject_CheckBuffer(object.as_ptr()) != 0 }
    }

    /// The memory of an object, contiguous; with the format of its items if that is needed.
    pub(crate) fn of(object: &Bound<'py, PyAny>, with_format: bool) -> PyResult<Self> {
        let mut view = Box::new(View {
            buf: std::ptr::null_mut(),
            obj: std::ptr::null_mut(),
            len: 0,
            itemsize: 0,
            readonly: 1,
            ndim: 0,
            format: std::ptr::null(),
            shape: std::ptr::null_mut(),
            strides: std::ptr::null_mut(),
            suboffsets: std::ptr::null_mut(),
            internal: std::ptr::null_mut(),
        });
        let flags = PYBUF_ND | if with_format { PYBUF_FORMAT } else { 0 };
        // SAFETY: the object is alive, the lock held, and the view stays where it is.
        let failed = unsafe { PyObject_GetBuffer(object.as_ptr(), &raw mut *view, flags) };
        if failed != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        let _py = object.py();
        Ok(Self { view, _py })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> usize {
        self.view.buf as usize
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.view.len.unsigned_abs()
    }

    /// Bytes an item, at least 1.
    pub(crate) fn item_size(&self) -> usize {
        self.view.itemsize.unsigned_abs().max(1)
    }

    pub(crate) fn is_readonly(&self) -> bool {
        self.view.readonly != 0
    }

    /// What the items are, in the letters of the module `struct`; bytes if the object does not say.
    pub(crate) fn format(&self) -> &str {
        if self.view.format.is_null() {
            return "B";
        }
        // SAFETY: a string of C that lives as long as the buffer is held.
        let format = unsafe { CStr::from_ptr(self.view.format) };
        format.to_str().unwrap_or("?")
    }

    /// The memory for a guarded call, which writes there only if it is not constant.
    pub(crate) fn loan(&self, is_const: bool) -> Loan {
        Loan {
            address: self.address(),
            len: self.len(),
            is_const,
        }
    }

    /// A copy of the bytes.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        if !bytes.is_empty() {
            let from = self.view.buf.cast::<u8>();
            // SAFETY: the buffer has that many bytes.
            unsafe { from.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        }
        bytes
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // SAFETY: the view was filled by `PyObject_GetBuffer` and is released once; `_py` says that
        // the lock is held.
        unsafe { PyBuffer_Release(&raw mut *self.view) };
    }
}
