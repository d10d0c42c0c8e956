//! Attributes and methods of objects, looked for once a place (`opcodon_pyfn::MemberSite`).
//!
//! # Invariant
//! What is kept is what CPython would find: of a class that cannot be changed, and whose instances have
//! no attributes of their own, for ever; of one of Python's while its version is what it was, and the
//! instance has no dictionary, and none that knows it has got another attribute.

use std::ffi::CStr;

use opcodon_pyfn::MemberSite;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyFunction, PyList, PyString, PyType};

use super::calls::{PyObject_VectorcallMethod, type_of, vectorcall};
use super::classes::{
    in_class, is_changeable, is_generic, is_plain, may_be_data_descriptor, version,
};
use super::layout::known;
use super::side::without_error;

/// Nothing that was found could be gone by.
const OTHERWISE: u32 = 0;
/// A C function that is called with nothing, one object, several, or names behind them.
const ALONE: u32 = 1;
const WITH_ONE: u32 = 2;
const WITH_SEVERAL: u32 = 3;
const WITH_NAMES: u32 = 4;
/// A function of Python's.
const FUNCTION: u32 = 5;
/// A reference at an offset of the object, or of its values.
const SLOT: u32 = 6;
const VALUE: u32 = 7;

/// Classes of a place beyond which it does not look any more.
const MISSES_MAX: u32 = 8;

/// Where a method of a class has its definition.
const DEFINITION_AT: usize = 40;
/// `Py_TPFLAGS_MANAGED_DICT`.
const MANAGED_DICT: u64 = 1 << 4;

type Several = unsafe extern "C" fn(*mut PyObject, *const *mut PyObject, isize) -> *mut PyObject;
type Named = unsafe extern "C" fn(
    *mut PyObject,
    *const *mut PyObject,
    isize,
    *mut PyObject,
) -> *mut PyObject;

/// Whether methods of classes are what they are taken for here.
pub(super) fn are_known(py: Python<'_>) -> PyResult<bool> {
    let samples = [
        (py.get_type::<PyString>(), "lower", ffi::METH_NOARGS),
        (py.get_type::<PyList>(), "append", ffi::METH_O),
        (py.get_type::<PyList>(), "insert", ffi::METH_FASTCALL),
    ];
    for (class, name, flags) in samples {
        let method = class.getattr(name)?;
        let word = |at: usize| unsafe { method.as_ptr().byte_add(at).cast::<usize>().read() };
        let own_name = method.getattr("__name__")?;
        let is_like = type_of(method.as_ptr()) == (&raw mut ffi::PyMethodDescr_Type) as usize
            && word(16) == class.as_ptr() as usize
            && word(24) == own_name.as_ptr() as usize;
        if !is_like {
            return Ok(false);
        }
        let definition = unsafe { &*(word(DEFINITION_AT) as *const ffi::PyMethodDef) };
        let defined = unsafe { CStr::from_ptr(definition.ml_name) };
        if definition.ml_flags != flags || defined.to_bytes() != name.as_bytes() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a class has under a name, and where.
#[derive(Default)]
struct Found {
    kind: u32,
    place: usize,
    version: u32,
    names: (usize, u64),
}

/// The C function of a method that will be the same for ever.
fn lasting(class: &Bound<'_, PyType>, name: &str, flags: u64) -> PyResult<Option<Found>> {
    let is_plain = is_generic(class, ffi::Py_tp_getattro) && flags & MANAGED_DICT == 0;
    if !is_plain || !known().methods_are_known || known().classes.has_dictionary(class)? {
        return Ok(None);
    }
    let method = class.getattr(name)?;
    if type_of(method.as_ptr()) != (&raw mut ffi::PyMethodDescr_Type) as usize {
        return Ok(None);
    }
    let definition = unsafe {
        let place = method.as_ptr().byte_add(DEFINITION_AT);
        &**place.cast::<*const ffi::PyMethodDef>()
    };
    let kind = match definition.ml_flags & !ffi::METH_COEXIST {
        ffi::METH_NOARGS => ALONE,
        ffi::METH_O => WITH_ONE,
        ffi::METH_FASTCALL => WITH_SEVERAL,
        flags if flags == ffi::METH_FASTCALL | ffi::METH_KEYWORDS => WITH_NAMES,
        _ => return Ok(None),
    };
    if flags & ffi::Py_TPFLAGS_HEAPTYPE != 0 {
        // Another class at its address would not be the same.
        std::mem::forget(class.clone());
    }
    let place =
        unsafe { std::mem::transmute::<ffi::PyMethodDefPointer, usize>(definition.ml_meth) };
    Ok(Some(Found {
        kind,
        place,
        ..Found::default()
    }))
}

/// What a class of Python's has.
fn for_now(class: &Bound<'_, PyType>, name: &str) -> PyResult<Option<Found>> {
    let generic = [ffi::Py_tp_getattro, ffi::Py_tp_setattro];
    if !known().has_class_versions() || !generic.iter().all(|&slot| is_generic(class, slot)) {
        return Ok(None);
    }
    let layout = &known().classes;
    let of_class = in_class(class, name)?;
    let shared = layout.shared_names(class);
    let position = shared
        .as_ref()
        .and_then(|shared| shared.iter().position(|each| each == name));
    let (kind, place) = if let Some(at) = position
        && !may_be_data_descriptor(of_class.as_ref())
    {
        (VALUE, 8 * at)
    } else if let Some(of_class) = &of_class
        && let Some(offset) = layout.slot_offset(class, of_class)
    {
        (SLOT, usize::try_from(offset)?)
    } else if let Some(of_class) = &of_class
        && of_class.is_exact_instance_of::<PyFunction>()
        && (shared.is_some() || !layout.has_dictionary(class)?)
    {
        (FUNCTION, of_class.as_ptr() as usize)
    } else {
        return Ok(None);
    };
    // Asking for an attribute gives a class a number, if it has none.
    class.hasattr("__init__")?;
    let version = version(class.as_ptr() as usize);
    Ok((version != 0).then(|| Found {
        kind,
        place,
        version,
        names: shared
            .and_then(|_| layout.n_shared_names(class))
            .unwrap_or_default(),
    }))
}

/// What is known of the class of an object.
#[inline]
unsafe fn kind_at(site: &MemberSite, object: *mut PyObject, name: *mut PyObject) -> u32 {
    let class = type_of(object);
    if class == site.class.get() {
        let expected = site.version.get();
        if expected == 0 || expected == version(class) {
            return site.kind.get();
        }
    }
    unsafe { look(site, object, name) }
}

#[cold]
unsafe fn look(site: &MemberSite, object: *mut PyObject, name: *mut PyObject) -> u32 {
    if site.n_misses.get() >= MISSES_MAX {
        return OTHERWISE;
    }
    site.n_misses.set(site.n_misses.get() + 1);
    let py = unsafe { Python::assume_attached() };
    let find = || -> PyResult<Option<Found>> {
        let class = unsafe { Bound::from_borrowed_ptr(py, ffi::Py_TYPE(object).cast()) };
        let class = class.cast_into::<PyType>()?;
        let name = unsafe { Bound::from_borrowed_ptr(py, name) };
        let name = name.extract::<String>()?;
        let flags = unsafe { ffi::PyType_GetFlags(class.as_type_ptr()) };
        if !is_plain(&class) {
            Ok(None)
        } else if !is_changeable(&class) {
            lasting(&class, &name, flags)
        } else {
            for_now(&class, &name)
        }
    };
    // What cannot be looked at is done as Python does it.
    let found = without_error(py, find()).flatten().unwrap_or_default();
    site.class.set(type_of(object));
    site.version.set(found.version);
    site.kind.set(found.kind);
    site.place.set(found.place);
    site.names.set(found.names);
    found.kind
}

/// Where an attribute is that the place knows; null if it is not there.
unsafe fn field(
    site: &MemberSite,
    object: *mut PyObject,
    name: *mut PyObject,
) -> *mut *mut PyObject {
    unsafe {
        match kind_at(site, object, name) {
            SLOT => object.byte_add(site.place.get()).cast(),
            VALUE => {
                let at = known().runtime.values_at as isize;
                let values = *object.byte_offset(at).cast::<*mut *mut PyObject>();
                if values.is_null() {
                    values
                } else {
                    values.byte_add(site.place.get())
                }
            }
            _ => std::ptr::null_mut(),
        }
    }
}

pub(super) unsafe extern "C" fn get_attr_at(
    site: *const MemberSite,
    object: *mut PyObject,
    name: *mut PyObject,
) -> *mut PyObject {
    unsafe {
        let field = field(&*site, object, name);
        if !field.is_null() && !(*field).is_null() {
            return ffi::Py_NewRef(*field);
        }
        ffi::PyObject_GetAttr(object, name)
    }
}

pub(super) unsafe extern "C" fn set_attr_at(
    site: *const MemberSite,
    object: *mut PyObject,
    name: *mut PyObject,
    value: *mut PyObject,
) -> i64 {
    unsafe {
        let field = field(&*site, object, name);
        // Python notes in which order attributes come.
        if !field.is_null() && !(*field).is_null() {
            let old = field.replace(ffi::Py_NewRef(value));
            ffi::Py_DecRef(old);
            return 0;
        }
        i64::from(ffi::PyObject_SetAttr(object, name, value))
    }
}

/// Whether an object has nothing of its own that would come before a method of its class.
unsafe fn has_no_other(site: &MemberSite, object: *mut PyObject) -> bool {
    let (place, n_names) = site.names.get();
    if place == 0 {
        return true;
    }
    unsafe {
        let at = known().runtime.values_at as isize;
        let values = *object.byte_offset(at).cast::<usize>();
        values != 0 && (place as *const u64).read() == n_names
    }
}

pub(super) unsafe extern "C" fn call_at(
    site: *const MemberSite,
    name: *mut PyObject,
    args: *const *mut PyObject,
    n_args: usize,
) -> *mut PyObject {
    unsafe {
        let site = &*site;
        let object = *args;
        let kind = kind_at(site, object, name);
        let function = site.place.get();
        let (first, n_others) = (args.add(1), n_args.cast_signed() - 1);
        match (kind, n_others) {
            (ALONE, 0) => {
                let function = std::mem::transmute::<usize, ffi::PyCFunction>(function);
                function(object, std::ptr::null_mut())
            }
            (WITH_ONE, 1) => {
                let function = std::mem::transmute::<usize, ffi::PyCFunction>(function);
                function(object, *first)
            }
            (WITH_SEVERAL, _) => {
                let function = std::mem::transmute::<usize, Several>(function);
                function(object, first, n_others)
            }
            (WITH_NAMES, _) => {
                let function = std::mem::transmute::<usize, Named>(function);
                function(object, first, n_others, std::ptr::null_mut())
            }
            (FUNCTION, _) if has_no_other(site, object) => {
                let function = ffi::Py_NewRef(function as *mut PyObject);
                let result = vectorcall()(function, args, n_args, std::ptr::null_mut());
                ffi::Py_DecRef(function);
                result
            }
            _ => PyObject_VectorcallMethod(name, args, n_args, std::ptr::null_mut()),
        }
    }
}

/// What stands for a method that need not be looked up before the call.
const LASTING: usize = 1;

pub(super) unsafe extern "C" fn look_up(
    site: *const MemberSite,
    object: *mut PyObject,
    name: *mut PyObject,
) -> *mut PyObject {
    unsafe {
        match kind_at(&*site, object, name) {
            ALONE..=WITH_NAMES => LASTING as *mut PyObject,
            _ => ffi::PyObject_GetAttr(object, name),
        }
    }
}
