//! Lists that only one function sees.
//!
//! Generated code reads and writes their numbers in place. They are objects so that references to
//! them are counted like all others, and laid out so that size and items are where lists have them;
//! Python never gets one, but a list of its own made of it.

use opcodon_pyfn::INT;
use pyo3::ffi::{self, PyObject};

use super::calls::{box_value, value_of};
use super::kind::{self, Kind};
use super::table;

/// Items are not further apart than pointers can tell.
const BYTES_MAX: usize = isize::MAX.cast_unsigned();

#[repr(C)]
struct Unboxed {
    head: [usize; 2],
    size: usize,
    items: *mut u64,
    room: usize,
    /// The tag of the items.
    tag: u64,
}

fn type_() -> *mut ffi::PyTypeObject {
    static KIND: Kind = Kind::new();
    KIND.get::<Unboxed>(c"opcodon._core.numbers", dealloc)
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    unsafe {
        let list = object.cast::<Unboxed>();
        ffi::PyMem_Free((*list).items.cast());
        kind::free(object);
    }
}

/// Whether such lists can be made.
pub(super) fn are_known() -> bool {
    !type_().is_null()
}

fn make(size: usize, tag: u64) -> *mut PyObject {
    let room = size.max(4);
    let bytes = room.checked_mul(8).filter(|&bytes| bytes <= BYTES_MAX);
    unsafe {
        let Some(bytes) = bytes else {
            return ffi::PyErr_NoMemory();
        };
        let items = ffi::PyMem_Malloc(bytes);
        if items.is_null() {
            return ffi::PyErr_NoMemory();
        }
        let object = ffi::PyType_GenericAlloc(type_(), 0);
        if object.is_null() {
            ffi::PyMem_Free(items);
            return object;
        }
        let list = object.cast::<Unboxed>();
        (*list).size = size;
        (*list).items = items.cast();
        (*list).room = room;
        (*list).tag = tag;
        object
    }
}

pub(super) unsafe extern "C" fn new(n: usize, tag: u64) -> *mut PyObject {
    make(n, tag)
}

pub(super) unsafe extern "C" fn repeat(object: *mut PyObject, n: i64) -> *mut PyObject {
    unsafe {
        let from = object.cast::<Unboxed>();
        let (size, n) = ((*from).size, usize::try_from(n).unwrap_or(0));
        let made = make(size.saturating_mul(n), (*from).tag);
        if !made.is_null() {
            let to = (*made.cast::<Unboxed>()).items;
            if size == 1 {
                std::slice::from_raw_parts_mut(to, n).fill(*(*from).items);
            } else if size > 1 {
                for at in 0..n {
                    let place = to.add(at * size);
                    std::ptr::copy_nonoverlapping((*from).items, place, size);
                }
            }
        }
        made
    }
}

pub(super) unsafe extern "C" fn copy(object: *mut PyObject, tag: u64) -> *mut PyObject {
    unsafe {
        let own = (ffi::Py_TYPE(object) == type_()).then(|| object.cast::<Unboxed>());
        let n = match own {
            Some(from) => (*from).size,
            None => usize::try_from(ffi::PyList_Size(object)).unwrap_or(0),
        };
        let made = make(n, tag);
        if made.is_null() {
            ffi::PyErr_Clear();
            return made;
        }
        let to = (*made.cast::<Unboxed>()).items;
        if let Some(from) = own {
            std::ptr::copy_nonoverlapping((*from).items, to, n);
            return made;
        }
        for at in 0..n {
            let item = ffi::PyList_GetItem(object, at.cast_signed());
            match value_of(item).filter(|(found, _)| u64::from(*found) == tag) {
                Some((_, bits)) => *to.add(at) = bits,
                None => {
                    ffi::Py_DecRef(made);
                    return std::ptr::null_mut();
                }
            }
        }
        made
    }
}

pub(super) unsafe extern "C" fn range(start: i64, stop: i64, step: i64) -> *mut PyObject {
    let (from, to) = if step > 0 {
        (start, stop)
    } else {
        (stop, start)
    };
    let span = i128::from(to) - i128::from(from);
    let by = i128::from(step.unsigned_abs().max(1));
    let n = usize::try_from((span + by - 1).max(0) / by).unwrap_or(usize::MAX);
    let made = make(n, u64::from(INT));
    if !made.is_null() {
        unsafe {
            let items = (*made.cast::<Unboxed>()).items.cast::<i64>();
            let mut value = start;
            for at in 0..n {
                *items.add(at) = value;
                value = value.wrapping_add(step);
            }
        }
    }
    made
}

pub(super) unsafe extern "C" fn grow(object: *mut PyObject) -> i64 {
    unsafe {
        let list = object.cast::<Unboxed>();
        let bytes = (*list).room.saturating_mul(16).min(BYTES_MAX);
        let items = if bytes / 8 > (*list).room {
            ffi::PyMem_Realloc((*list).items.cast(), bytes)
        } else {
            std::ptr::null_mut()
        };
        if items.is_null() {
            ffi::PyErr_NoMemory();
            return -1;
        }
        (*list).items = items.cast();
        (*list).room = bytes / 8;
        0
    }
}

pub(super) unsafe extern "C" fn sum(object: *mut PyObject, out: *mut i64) -> i64 {
    unsafe {
        let list = object.cast::<Unboxed>();
        let items = std::slice::from_raw_parts((*list).items.cast::<i64>(), (*list).size);
        // Sums of parts may go beyond 64 bits and come back.
        let sum = items.iter().map(|&item| i128::from(item)).sum::<i128>();
        i64::try_from(sum).map_or(0, |sum| {
            *out = sum;
            1
        })
    }
}

pub(super) unsafe extern "C" fn to_list(object: *mut PyObject) -> *mut PyObject {
    unsafe {
        let from = object.cast::<Unboxed>();
        let n = (*from).size.cast_signed();
        let list = ffi::PyList_New(n);
        if list.is_null() {
            return list;
        }
        for at in 0..n {
            let bits = *(*from).items.offset(at);
            let item = box_value((*from).tag, bits.cast_signed(), bits);
            if item.is_null() {
                ffi::Py_DecRef(list);
                return item;
            }
            ffi::PyList_SetItem(list, at, item);
        }
        list
    }
}

/// Lists and dictionaries of Python's in place of those that only one function has seen, where it
/// is left.
#[derive(Default)]
pub(super) struct Lists(Vec<(*mut PyObject, *mut PyObject)>);

impl Lists {
    /// The object itself, or the list that is made of it; the reference is used up.
    pub(super) unsafe fn seen(&mut self, object: *mut PyObject) -> *mut PyObject {
        unsafe {
            let make = if ffi::Py_TYPE(object) == type_() {
                to_list
            } else if table::is_table(object) {
                table::to_python
            } else {
                return object;
            };
            let known = self.0.iter().find(|(from, _)| *from == object);
            if let Some(&(from, list)) = known {
                ffi::Py_DecRef(from);
                return ffi::Py_NewRef(list);
            }
            let list = make(object);
            if list.is_null() {
                ffi::Py_DecRef(object);
                return list;
            }
            // Kept, so that no other list gets its address meanwhile.
            self.0.push((object, list));
            ffi::Py_NewRef(list)
        }
    }
}

impl Drop for Lists {
    fn drop(&mut self) {
        for &(from, list) in &self.0 {
            unsafe {
                ffi::Py_DecRef(from);
                ffi::Py_DecRef(list);
            }
        }
    }
}
