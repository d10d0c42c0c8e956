//! Dictionaries and sets that only one function sees.
//!
//! Keys are integers, characters, pairs of integers or strings, values are numbers. The entries lie
//! side by side in the order in which they came, as in Python's dictionaries; an index of twice as
//! many places says where to look for a key. Python never gets one, but a dictionary or a set of its
//! own made of it.
//!
//! # Invariant
//! The number of entries is where lists have theirs, and generated code knows where the entries are
//! (`opcodon_pyfn::table`). A string that is a key is owned by its entry.

use opcodon_pyfn::{OBJECT, TUPLE};
use pyo3::ffi::{self, PyObject};

use super::calls::{box_value, make_tuple};
use super::kind::{self, Kind};
use super::layout::known;
use super::texts::ascii_of_text;

/// What the entry of a key that was deleted has for its hash.
const DEAD: u64 = u64::MAX;
/// An empty place of the index.
const EMPTY: u32 = u32::MAX;

#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    key: [u64; 2],
    value: u64,
    hash: u64,
}

#[repr(C)]
struct Table {
    head: [usize; 2],
    /// Keys that are in it.
    size: usize,
    /// The place of the first entry, for generated code.
    first: *mut Entry,
    entries: *mut Inner,
}

struct Inner {
    entries: Vec<Entry>,
    index: Vec<u32>,
    key_tag: u64,
    value_tag: u64,
    is_set: bool,
}

fn type_() -> *mut ffi::PyTypeObject {
    static KIND: Kind = Kind::new();
    KIND.get::<Table>(c"opcodon._core.table", dealloc)
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    unsafe {
        let inner = Box::from_raw((*object.cast::<Table>()).entries);
        if inner.key_tag == u64::from(OBJECT) {
            for entry in inner.entries.iter().filter(|entry| entry.hash != DEAD) {
                ffi::Py_DecRef(entry.key[0] as *mut PyObject);
            }
        }
        drop(inner);
        kind::free(object);
    }
}

/// Whether such tables can be made.
pub(super) fn are_known() -> bool {
    !type_().is_null()
}

/// Whether an object is one.
pub(super) fn is_table(object: *mut PyObject) -> bool {
    (unsafe { ffi::Py_TYPE(object) }) == type_()
}

/// A string keeps its hash once somebody has asked for it.
fn hash_of_text(text: *mut PyObject) -> u64 {
    let at = known().text_hash;
    if at != 0 {
        let hash = unsafe { text.byte_add(at).cast::<i64>().read() };
        if hash != -1 {
            return hash.cast_unsigned();
        }
    }
    unsafe { ffi::PyObject_Hash(text) }.cast_unsigned() as u64
}

impl Inner {
    fn hash(&self, key: [u64; 2]) -> u64 {
        let hash = if self.key_tag == u64::from(OBJECT) {
            hash_of_text(key[0] as *mut PyObject)
        } else {
            key[0] ^ key[1].wrapping_mul(0xd6e8_feb8_6659_fd93)
        };
        hash & !(1 << 63)
    }

    fn same(&self, entry: &Entry, key: [u64; 2], hash: u64) -> bool {
        if entry.hash != hash {
            return false;
        }
        if entry.key == key {
            return true;
        }
        let [a, b] = [entry.key[0], key[0]].map(|word| word as *mut PyObject);
        self.key_tag == u64::from(OBJECT)
            && match [a, b].map(ascii_of_text) {
                [Some(a), Some(b)] => a == b,
                _ => (unsafe { ffi::PyUnicode_Compare(a, b) }) == 0,
            }
    }

    /// Where to begin to look for a key.
    fn start(&self, hash: u64) -> usize {
        let spread = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bits = self.index.len().trailing_zeros();
        usize::try_from(spread >> (64 - bits)).unwrap_or(0)
    }

    fn find(&self, key: [u64; 2], hash: u64) -> Option<usize> {
        let mask = self.index.len() - 1;
        let mut place = self.start(hash);
        loop {
            let at = self.index[place];
            if at == EMPTY {
                return None;
            }
            if self.same(&self.entries[at as usize], key, hash) {
                return Some(at as usize);
            }
            place = (place + 1) & mask;
        }
    }

    fn note(&mut self, at: usize) {
        let mask = self.index.len() - 1;
        let mut place = self.start(self.entries[at].hash);
        while self.index[place] != EMPTY {
            place = (place + 1) & mask;
        }
        self.index[place] = u32::try_from(at).unwrap_or(EMPTY);
    }

    /// Makes room for one more; `false` if there is no memory.
    fn make_room(&mut self) -> bool {
        if 2 * (self.entries.len() + 1) <= self.index.len() {
            return self.entries.try_reserve(1).is_ok();
        }
        self.entries.retain(|entry| entry.hash != DEAD);
        let n_places = (4 * (self.entries.len() + 1)).next_power_of_two();
        let mut index = Vec::new();
        let fits = n_places < EMPTY as usize
            && index.try_reserve_exact(n_places).is_ok()
            && self.entries.try_reserve(n_places / 2).is_ok();
        index.resize(if fits { n_places } else { 0 }, EMPTY);
        if fits {
            self.index = index;
        } else {
            self.index.fill(EMPTY);
        }
        for at in 0..self.entries.len() {
            self.note(at);
        }
        fits
    }
}

unsafe fn inner<'a>(object: *mut PyObject) -> &'a mut Inner {
    unsafe { &mut *(*object.cast::<Table>()).entries }
}

pub(super) unsafe extern "C" fn new(key_tag: u64, value_tag: u64, is_set: u64) -> *mut PyObject {
    unsafe {
        let object = ffi::PyType_GenericAlloc(type_(), 0);
        if !object.is_null() {
            let mut inner = Box::new(Inner {
                entries: Vec::with_capacity(4),
                index: vec![EMPTY; 8],
                key_tag,
                value_tag,
                is_set: is_set != 0,
            });
            let table = object.cast::<Table>();
            (*table).first = inner.entries.as_mut_ptr();
            (*table).entries = Box::into_raw(inner);
        }
        object
    }
}

/// The place of the value of a key, or null.
pub(super) unsafe extern "C" fn find(object: *mut PyObject, a: u64, b: u64) -> *mut u64 {
    unsafe {
        let inner = inner(object);
        let hash = inner.hash([a, b]);
        match inner.find([a, b], hash) {
            Some(at) => &raw mut inner.entries[at].value,
            None => std::ptr::null_mut(),
        }
    }
}

/// The same; a key that is not there is put there. Null if there is no memory.
pub(super) unsafe extern "C" fn place(object: *mut PyObject, a: u64, b: u64) -> *mut u64 {
    unsafe {
        let inner = inner(object);
        let key = [a, b];
        let hash = inner.hash(key);
        if let Some(at) = inner.find(key, hash) {
            return &raw mut inner.entries[at].value;
        }
        let table = object.cast::<Table>();
        let has_room = inner.make_room();
        (*table).first = inner.entries.as_mut_ptr();
        if !has_room {
            ffi::PyErr_NoMemory();
            return std::ptr::null_mut();
        }
        if inner.key_tag == u64::from(OBJECT) {
            ffi::Py_IncRef(a as *mut PyObject);
        }
        let at = inner.entries.len();
        inner.entries.push(Entry {
            key,
            value: 0,
            hash,
        });
        inner.note(at);
        (*table).size += 1;
        &raw mut inner.entries[at].value
    }
}

/// Deletes a key, and says what its value was; 0 if it is not there.
pub(super) unsafe extern "C" fn remove(
    object: *mut PyObject,
    a: u64,
    b: u64,
    out: *mut u64,
) -> u64 {
    unsafe {
        let inner = inner(object);
        let hash = inner.hash([a, b]);
        let Some(at) = inner.find([a, b], hash) else {
            return 0;
        };
        let entry = &mut inner.entries[at];
        *out = entry.value;
        entry.hash = DEAD;
        let key = entry.key[0];
        (*object.cast::<Table>()).size -= 1;
        if inner.key_tag == u64::from(OBJECT) {
            ffi::Py_DecRef(key as *mut PyObject);
        }
        1
    }
}

unsafe fn key_object(inner: &Inner, key: [u64; 2]) -> *mut PyObject {
    unsafe {
        if inner.key_tag != u64::from(TUPLE) {
            return box_value(inner.key_tag, key[0].cast_signed(), key[0]);
        }
        let parts = key.map(|word| ffi::PyLong_FromLongLong(word.cast_signed()));
        let pair = if parts.iter().any(|part| part.is_null()) {
            std::ptr::null_mut()
        } else {
            make_tuple(parts.as_ptr(), 2)
        };
        parts.into_iter().for_each(|part| ffi::Py_DecRef(part));
        pair
    }
}

/// A dictionary or a set of Python's with the same content.
pub(super) unsafe extern "C" fn to_python(object: *mut PyObject) -> *mut PyObject {
    unsafe {
        let inner = inner(object);
        let made = if inner.is_set {
            ffi::PySet_New(std::ptr::null_mut())
        } else {
            ffi::PyDict_New()
        };
        if made.is_null() {
            return made;
        }
        for entry in inner.entries.iter().filter(|entry| entry.hash != DEAD) {
            let key = key_object(inner, entry.key);
            let status = if key.is_null() {
                -1
            } else if inner.is_set {
                ffi::PySet_Add(made, key)
            } else {
                let bits = entry.value;
                let value = box_value(inner.value_tag, bits.cast_signed(), bits);
                let status = if value.is_null() {
                    -1
                } else {
                    ffi::PyDict_SetItem(made, key, value)
                };
                ffi::Py_DecRef(value);
                status
            };
            ffi::Py_DecRef(key);
            if status < 0 {
                ffi::Py_DecRef(made);
                return std::ptr::null_mut();
            }
        }
        made
    }
}

/// What a loop over a dictionary raises if keys were added or deleted in a turn.
pub(super) unsafe extern "C" fn changed() {
    unsafe {
        let message = c"dictionary changed size during iteration";
        ffi::PyErr_SetString(ffi::PyExc_RuntimeError, message.as_ptr());
    }
}

/// An iterator over a dictionary, its values (1) or its items (2), that goes on behind so many
/// turns, and knows how many keys there were when the loop began.
pub(super) unsafe fn iterator(
    dict: *mut PyObject,
    view: u64,
    n_turns: usize,
    size: usize,
) -> *mut PyObject {
    use pyo3::prelude::*;
    use pyo3::types::PyDict;
    let py = unsafe { Python::assume_attached() };
    let make = || -> PyResult<Py<PyAny>> {
        let dict = unsafe { Bound::from_borrowed_ptr(py, dict) };
        let dict = dict.cast::<PyDict>()?;
        // Keys that came later are put in again, so that the iterator sees that there are more.
        let later = dict.iter().skip(size).collect::<Vec<_>>();
        for (key, _) in &later {
            dict.del_item(key)?;
        }
        let iterable = match view {
            0 => dict.clone().into_any(),
            1 => dict.call_method0("values")?,
            _ => dict.call_method0("items")?,
        };
        let iterator = iterable.try_iter()?;
        for _ in 0..n_turns {
            let next = unsafe { ffi::PyIter_Next(iterator.as_ptr()) };
            unsafe { ffi::Py_DecRef(next) };
        }
        for (key, value) in &later {
            dict.set_item(key, value)?;
        }
        Ok(iterator.into_any().unbind())
    };
    match make() {
        Ok(iterator) => iterator.into_ptr(),
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}
