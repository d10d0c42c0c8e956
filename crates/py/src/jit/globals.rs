//! Global names that a function binds.
//!
//! They are not frozen, but looked up in the dictionary of globals, of which only `builtins` lie beyond:
//! what is not in it is left to Python. To bind such a name changes the number of the dictionary, by
//! which others are seen to be what they were; if none of those is that one, the new number is as good.

use pyo3::ffi::{self, PyObject};

use super::group::Group;
use super::side::clear_error;

pub(super) unsafe extern "C" fn get(globals: *mut PyObject, name: *mut PyObject) -> *mut PyObject {
    unsafe {
        let found = ffi::PyDict_GetItemWithError(globals, name);
        if found.is_null() {
            clear_error();
            return found;
        }
        ffi::Py_NewRef(found)
    }
}

pub(super) unsafe extern "C" fn set(
    owner: *const Group,
    globals: *mut PyObject,
    name: *mut PyObject,
    value: *mut PyObject,
) -> i64 {
    unsafe {
        let group = &*owner;
        let was_known = group.words_hold();
        // What dies with the old value may run anything, so it dies last.
        let old = ffi::PyDict_GetItemWithError(globals, name);
        ffi::Py_IncRef(old);
        let status = ffi::PyDict_SetItem(globals, name, value);
        if status == 0 && was_known && !group.guards_name(globals, name) {
            group.renew_words();
        }
        ffi::Py_DecRef(old);
        i64::from(status)
    }
}
