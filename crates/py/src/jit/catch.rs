//! Exceptions that machine code catches.

use opcodon_pyfn::Record;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::calls::call;
use super::group::Group;

/// The function only puts itself into the traceback of an exception.
const CAUGHT: i64 = 3;

/// Takes the exception that is set.
pub(super) unsafe fn fetch() -> *mut PyObject {
    let [mut type_, mut value, mut traceback] = [std::ptr::null_mut(); 3];
    unsafe {
        ffi::PyErr_Fetch(&raw mut type_, &raw mut value, &raw mut traceback);
        ffi::PyErr_NormalizeException(&raw mut type_, &raw mut value, &raw mut traceback);
        if !traceback.is_null() {
            ffi::PyException_SetTraceback(value, traceback);
            ffi::Py_DecRef(traceback);
        }
        ffi::Py_DecRef(type_);
    }
    value
}

/// Sets an exception again, whose reference is used up.
unsafe fn restore(error: *mut PyObject) {
    unsafe {
        let type_ = ffi::Py_TYPE(error).cast::<PyObject>();
        ffi::PyErr_Restore(
            ffi::Py_NewRef(type_),
            error,
            ffi::PyException_GetTraceback(error),
        );
    }
}

pub(super) unsafe extern "C" fn caught(
    record: *const Record,
    classes: *mut [usize; 2],
    n: usize,
    is_loud: u64,
) -> *mut PyObject {
    unsafe {
        let error = fetch();
        let (py, record) = (Python::assume_attached(), &*record);
        let group = &*(record.owner as *const Group);
        let kinds = std::slice::from_raw_parts_mut(classes, n);
        let is_class = |class| ffi::PyExceptionClass_Check(class as *mut PyObject) != 0;
        let fits = |class| ffi::PyErr_GivenExceptionMatches(error, class as *mut PyObject) != 0;
        let found = kinds
            .iter()
            .find(|[class, _]| is_class(*class) && fits(*class));
        // What is no class is an error of its own, also behind one that fits in the same handler. An
        // exception that somebody keeps must get its traceback.
        let is_for = |&[_, number]: &[usize; 2]| {
            let mut asked = kinds.iter().filter(|kind| kind[1] <= number);
            asked.all(|[class, _]| is_class(*class))
                && (is_loud != 0 || ffi::Py_REFCNT(error) == 1)
                && group.is_valid(py)
        };
        let Some(&[_, number]) = found.filter(|found| is_for(found)) else {
            restore(error);
            return std::ptr::null_mut();
        };
        if is_loud != 0 && !handle(py, group, record, error) {
            return std::ptr::null_mut();
        }
        kinds[0][0] = number;
        error
    }
}

/// Makes an exception the one that is being handled; `false`, and an exception is set, if that
/// cannot be: then its reference is used up.
unsafe fn handle(py: Python<'_>, group: &Group, record: &Record, error: *mut PyObject) -> bool {
    unsafe {
        if is_handling() {
            restore(error);
            return false;
        }
        let member = &group.members[record.function];
        let entered = match member.resumed(py, record.statement, CAUGHT) {
            Ok((function, _)) => call(function.as_ptr(), &[error]),
            Err(problem) => {
                problem.restore(py);
                std::ptr::null_mut()
            }
        };
        if entered.is_null() {
            ffi::Py_DecRef(error);
            return false;
        }
        ffi::Py_DecRef(entered);
        let type_ = ffi::Py_TYPE(error).cast::<PyObject>();
        ffi::PyErr_SetExcInfo(
            ffi::Py_NewRef(type_),
            ffi::Py_NewRef(error),
            ffi::PyException_GetTraceback(error),
        );
        true
    }
}

pub(super) unsafe extern "C" fn raise(object: *mut PyObject) {
    unsafe {
        let is_class = ffi::PyExceptionClass_Check(object) != 0;
        let error = if is_class {
            call(object, &[])
        } else {
            ffi::Py_NewRef(object)
        };
        if error.is_null() {
            return;
        }
        if ffi::PyExceptionInstance_Check(error) != 0 {
            ffi::PyErr_SetObject(ffi::Py_TYPE(error).cast(), error);
        } else if is_class {
            let text = c"calling %R should have returned an instance of BaseException, not %R";
            ffi::PyErr_Format(
                ffi::PyExc_TypeError,
                text.as_ptr(),
                object,
                ffi::Py_TYPE(error),
            );
        } else {
            let text = c"exceptions must derive from BaseException";
            ffi::PyErr_SetString(ffi::PyExc_TypeError, text.as_ptr());
        }
        ffi::Py_DecRef(error);
    }
}

/// Whether Python says that an exception is being handled.
unsafe fn is_handling() -> bool {
    let [mut type_, mut value, mut traceback] = [std::ptr::null_mut(); 3];
    unsafe {
        ffi::PyErr_GetExcInfo(&raw mut type_, &raw mut value, &raw mut traceback);
        let is_handling = !value.is_null() && value != ffi::Py_None();
        for object in [type_, value, traceback] {
            ffi::Py_DecRef(object);
        }
        is_handling
    }
}

pub(super) unsafe extern "C" fn end_handling() {
    let none = std::ptr::null_mut();
    unsafe { ffi::PyErr_SetExcInfo(none, none, none) };
}
