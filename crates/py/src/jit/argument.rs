//! The classes of arguments: what versions of a function are told apart by, as numbers.
//!
//! A class is found in a few nanoseconds, whenever a function is called that Python's own entry does
//! not serve; a type is made of it when a version is compiled.

use opcodon_pyfn::{ArrayTy, COMPLEX, Classes, Form, OBJECT, Ty};
use pyo3::ffi::{self, PyObject};

use super::calls::{array_of, type_of, value_of};
use super::layout::known;

/// Codes of argument types. Those of arrays and lists carry more in the bits above.
const ARRAY: u64 = 8;
const LIST: u64 = 9;
const STR: u64 = 10;
const DICT: u64 = 11;
const TUPLE: u64 = 12;
const BYTES: u64 = 13;
const COMPLEX_NUMBER: u64 = 14;
const INSTANCE: u64 = 15;

/// The class of an object, and its value if it is unboxed.
pub(super) fn classify(object: *mut PyObject, depth: usize) -> (u64, u64) {
    let runtime = &known().runtime;
    if let Some((tag, bits)) = value_of(object) {
        return (u64::from(tag), bits);
    }
    let pointer = object as u64;
    let type_ = type_of(object);
    let class = if type_ == runtime.ndarray_type {
        match array_of(object) {
            Some(array) => {
                ARRAY
                    | (array.dtype as u64) << 8
                    | (array.ndim as u64) << 16
                    | u64::from(array.contiguous) << 24
                    | u64::from(array.writable) << 25
            }
            None => u64::from(OBJECT),
        }
    } else if type_ == runtime.list_type {
        let n = unsafe { ffi::PyList_Size(object) };
        let element = if n > 0 && depth < 3 {
            let first = unsafe { ffi::PyList_GetItem(object, 0) };
            classify(first, depth + 1).0
        } else {
            0
        };
        // What does not fit is not told apart.
        if element < 1 << 56 {
            LIST | element << 8
        } else {
            LIST
        }
    } else if type_ == runtime.str_type {
        STR
    } else if type_ == runtime.bytes_type && runtime.ob_sval != 0 {
        BYTES
    } else if type_ == runtime.dict_type {
        DICT
    } else if type_ == runtime.complex_type && runtime.complex_at != 0 {
        COMPLEX_NUMBER
    } else if type_ == runtime.tuple_type {
        class_of_tuple(object)
    } else if known().has_class_versions()
        && unsafe { ffi::PyType_GetFlags(type_ as *mut ffi::PyTypeObject) }
            & ffi::Py_TPFLAGS_HEAPTYPE
            != 0
    {
        INSTANCE | (type_ as u64 >> ALIGNMENT) << 8
    } else {
        u64::from(OBJECT)
    };
    (class, pointer)
}

/// Type objects lie at multiples of two to this power.
const ALIGNMENT: u32 = 4;

/// The objects that are instances of classes, or may hold some, by what the class of an argument says.
pub(super) fn holds_instances(class: u64) -> bool {
    matches!(class & 0xff, INSTANCE | LIST | TUPLE)
}

/// The address of the class of Python's that instances in such values are of, if there are any.
pub(super) fn class_within(class: u64) -> Option<usize> {
    match class & 0xff {
        INSTANCE => usize::try_from((class >> 8) << ALIGNMENT).ok(),
        LIST => class_within(class >> 8),
        _ => None,
    }
}

/// The class of a tuple: a short one tells of its parts.
fn class_of_tuple(object: *mut PyObject) -> u64 {
    const N_PARTS_MAX: isize = 4;
    let n_parts = unsafe { ffi::PyTuple_Size(object) };
    if !(1..=N_PARTS_MAX).contains(&n_parts) {
        return TUPLE;
    }
    let parts = (0..n_parts).map(|at| {
        let part = unsafe { ffi::PyTuple_GetItem(object, at) };
        let (runtime, type_) = (&known().runtime, type_of(part));
        // Of what parts of parts are nothing is told, so nothing is looked at.
        let class = match value_of(part) {
            Some((tag, _)) => u64::from(tag),
            None if type_ == runtime.str_type => STR,
            None if type_ == runtime.complex_type && runtime.complex_at != 0 => COMPLEX_NUMBER,
            None => u64::from(OBJECT),
        };
        class << (16 + 8 * at)
    });
    parts.fold(
        TUPLE | (n_parts.cast_unsigned() as u64) << 8,
        |all, part| all | part,
    )
}

/// The type of a class.
pub(super) fn type_of_class(class: u64, classes: &Classes) -> Ty {
    match class & 0xff {
        ARRAY => {
            let dtype = opcodon_pyfn::Dtype::ALL[(class >> 8 & 0xff) as usize];
            Ty::object(Form::Array(ArrayTy {
                dtype,
                ndim: (class >> 16 & 0xff) as usize,
                contiguous: class >> 24 & 1 != 0,
                writable: class >> 25 & 1 != 0,
            }))
        }
        LIST => {
            let element = match class >> 8 {
                0 => Ty::default(),
                element => type_of_class(element, classes),
            };
            Ty::object(Form::List(Box::new(element)))
        }
        STR => Ty::object(Form::Str),
        BYTES => Ty::object(Form::Bytes),
        COMPLEX_NUMBER => Ty::of(COMPLEX),
        DICT => Ty::object(Form::Dict),
        TUPLE => {
            let n_parts = class >> 8 & 0xff;
            let parts =
                (0..n_parts).map(|at| type_of_class(class >> (16 + 8 * at) & 0xff, classes));
            Ty::object(Form::TupleObject(parts.collect()))
        }
        INSTANCE => {
            let address = usize::try_from((class >> 8) << ALIGNMENT).unwrap_or(0);
            let known = classes.id_of(address);
            known.map_or_else(|| Ty::of(OBJECT), |id| classes.instance(id))
        }
        tag => Ty::of(u8::try_from(tag).unwrap_or(OBJECT)),
    }
}

/// The type of an object that stays an object.
pub(super) fn object_type(object: *mut PyObject) -> Ty {
    let (class, _) = classify(object, 0);
    match class & 0xff {
        ARRAY | LIST | STR | DICT | TUPLE | BYTES | COMPLEX_NUMBER => {
            type_of_class(class, &Classes::default())
        }
        _ => Ty::of(OBJECT),
    }
}
