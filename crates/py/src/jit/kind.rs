//! Types of objects that only generated code sees: nothing can be done with one but to count the
//! references to it, and to free it after the last.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::sync::OnceLock;

use pyo3::ffi::{self, PyObject};

#[expect(clippy::cast_possible_truncation, reason = "Python's flags fit")]
const FLAGS: c_uint = ffi::Py_TPFLAGS_DEFAULT as c_uint;

/// A type that is made when it is first asked for.
pub(super) struct Kind(OnceLock<Type>);

struct Type(*mut ffi::PyTypeObject);
// SAFETY: the type is made once and never goes away.
unsafe impl Send for Type {}
// SAFETY: as above.
unsafe impl Sync for Type {}

impl Kind {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The type of objects that are laid out as a `T`; null, and an error is set, if there can be none.
    pub(super) fn get<T>(
        &self,
        name: &'static CStr,
        dealloc: unsafe extern "C" fn(*mut PyObject),
    ) -> *mut ffi::PyTypeObject {
        let make = || {
            let mut slots = [
                ffi::PyType_Slot {
                    slot: ffi::Py_tp_dealloc,
                    pfunc: dealloc as *mut c_void,
                },
                ffi::PyType_Slot {
                    slot: 0,
                    pfunc: std::ptr::null_mut(),
                },
            ];
            let mut spec = ffi::PyType_Spec {
                name: name.as_ptr(),
                basicsize: c_int::try_from(size_of::<T>()).unwrap_or(c_int::MAX),
                itemsize: 0,
                flags: FLAGS,
                slots: slots.as_mut_ptr(),
            };
            // SAFETY: the slots end with a zero, and name and functions last as long as the program.
            Type(unsafe { ffi::PyType_FromSpec(&raw mut spec) }.cast())
        };
        if let Some(known) = self.0.get() {
            return known.0;
        }
        // To make it may run finalizers, and with them other threads: they must not wait for this one.
        let made = make();
        self.0.get_or_init(|| made).0
    }
}

/// Frees an object of such a type, whose parts are gone.
///
/// # Safety
/// Nobody may refer to it any more.
pub(super) unsafe fn free(object: *mut PyObject) {
    // SAFETY: the caller says so; the object holds a reference to its type.
    unsafe {
        let type_ = ffi::Py_TYPE(object);
        ffi::PyObject_Free(object.cast());
        ffi::Py_DecRef(type_.cast());
    }
}
