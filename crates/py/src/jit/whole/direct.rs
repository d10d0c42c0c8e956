//! Calls of numpy's functions that take longer to find out what to do than to do it.
//!
//! # Invariant
//! Whatever is not plain is left to numpy, before anything is done.

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

use numpy::npyffi::PY_ARRAY_API;
use opcodon_pyfn::{Dtype, FLOAT, INT, NP_FLOAT, NP_INT};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::empty;
use super::product::product;
use super::run::{clear_flags, raised_flags};
use super::value::{N_DIMS_MAX, Shape, View};
use crate::jit::calls::{type_of, value_of, vectorcall};
use crate::jit::layout::known;
use crate::jit::side::without_error;

/// Elements of lists and ranges beyond which numpy needs no help.
const N_MAX: usize = 2048;

/// Integers up to which a double is exact.
const EXACT: u64 = 1 << 53;

type Direct = fn(Python<'_>, &[*mut PyObject]) -> Option<*mut PyObject>;

/// The functions, by their names and numbers of arguments.
const ALL: [(&str, usize, Direct); 3] = [
    ("numpy.dot", 2, dot),
    ("numpy.array", 1, array),
    ("numpy.linspace", 3, linspace),
];

/// Their addresses.
fn addresses() -> &'static [usize; ALL.len()] {
    static ADDRESSES: OnceLock<[usize; ALL.len()]> = OnceLock::new();
    ADDRESSES.get_or_init(|| {
        ALL.map(|(wanted, ..)| {
            let mut names = known().names.iter();
            let found = names.find(|(_, name)| *name == wanted);
            found.map_or(0, |(address, _)| *address)
        })
    })
}

/// A call through Python's interface, but for what is done here.
pub(in crate::jit) unsafe extern "C" fn call(
    function: *mut PyObject,
    args: *const *mut PyObject,
    n_args: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    let mut all = addresses().iter().zip(&ALL);
    if let Some((_, (_, wanted, direct))) = all.find(|(at, _)| **at == function as usize)
        && n_args & !(1 << (usize::BITS - 1)) == *wanted
        && names.is_null()
    {
        // SAFETY: there are so many, which the caller holds.
        let args = unsafe { std::slice::from_raw_parts(args, *wanted) };
        if let Some(made) = direct(unsafe { Python::assume_attached() }, args) {
            return made;
        }
    }
    // SAFETY: the arguments are the caller's.
    unsafe { vectorcall()(function, args, n_args, names) }
}

/// `numpy.dot`, which of two vectors takes the same function as `@`.
fn dot(_: Python<'_>, args: &[*mut PyObject]) -> Option<*mut PyObject> {
    // Others it copies first.
    let is_vector = |&of: &_| {
        View::of(of)
            .is_some_and(|view| matches!(view.steps(), [step] if *step > 0 && *step % 8 == 0))
    };
    args.iter()
        .all(is_vector)
        .then(|| product(args[0], args[1]))
        .flatten()
}

/// A number of Python's or numpy's own: as a double, and as an integer if it is one.
fn number(object: *mut PyObject) -> Option<(f64, Option<i64>)> {
    match value_of(object)? {
        (FLOAT | NP_FLOAT, bits) => Some((f64::from_bits(bits), None)),
        (INT | NP_INT, bits) => {
            let word = bits.cast_signed();
            #[expect(
                clippy::cast_precision_loss,
                reason = "only where it is exact it is used"
            )]
            Some((word as f64, Some(word)))
        }
        _ => None,
    }
}

/// The items of a list.
fn items(list: *mut PyObject) -> Option<Vec<*mut PyObject>> {
    if type_of(list) != known().runtime.list_type {
        return None;
    }
    // SAFETY: it is a list, and nobody changes it meanwhile.
    let item = |at| unsafe { ffi::PyList_GetItem(list, at) };
    let n = unsafe { ffi::PyList_Size(list) };
    let fits = usize::try_from(n).is_ok_and(|n| (1..=N_MAX).contains(&n));
    fits.then(|| (0..n).map(item).collect())
}

/// `numpy.array` of a list of numbers, or of lists of as many each.
fn array(py: Python<'_>, args: &[*mut PyObject]) -> Option<*mut PyObject> {
    let mut all = items(args[0])?;
    let mut shape = Shape {
        n_dims: 1,
        sizes: [1; N_DIMS_MAX],
    };
    shape.sizes[0] = all.len().cast_signed();
    if let Some(first) = items(all[0]) {
        let rows = all.into_iter().map(items).collect::<Option<Vec<_>>>()?;
        if rows.iter().any(|row| row.len() != first.len()) {
            return None;
        }
        shape.n_dims = 2;
        shape.sizes[1] = first.len().cast_signed();
        all = rows.concat();
    }
    let numbers = all.into_iter().map(number).collect::<Option<Vec<_>>>()?;
    let are_ints = numbers.iter().all(|number| number.1.is_some());
    let is_exact = |word: i64| word.unsigned_abs() <= EXACT;
    if !are_ints && !numbers.iter().all(|number| number.1.is_none_or(is_exact)) {
        return None;
    }
    let dtype = if are_ints {
        Dtype::Int64
    } else {
        Dtype::Float64
    };
    let words = numbers.iter().map(|&(double, word)| match word {
        Some(word) if are_ints => word.cast_unsigned(),
        _ => double.to_bits(),
    });
    let (made, out) = made(py, &shape, dtype)?;
    for (at, word) in words.enumerate() {
        // SAFETY: there is room for so many.
        unsafe { out.add(at).write(word) };
    }
    Some(made)
}

/// A part of an array, as numpy makes it of an index; null, and no exception, if it has no memory.
pub(in crate::jit) unsafe extern "C" fn array_view(
    array: *mut PyObject,
    at: *mut c_void,
    dimensions: *mut isize,
    n_dims: usize,
) -> *mut PyObject {
    let py = unsafe { Python::assume_attached() };
    // SAFETY: the caller looked at the type; these are numpy's own stable interface.
    let (descr, flags) = unsafe {
        let bytes = array.cast::<u8>();
        (
            bytes.add(56).cast::<*mut PyObject>().read(),
            bytes.add(64).cast::<c_int>().read(),
        )
    };
    // SAFETY: so many sizes and steps are there.
    let sizes = unsafe { std::slice::from_raw_parts_mut(dimensions, n_dims) };
    for size in sizes {
        *size = (*size).max(0);
    }
    let n = c_int::try_from(n_dims).unwrap_or(0);
    // SAFETY: the reference to the description is given to the view, and so is that to the array.
    unsafe {
        ffi::Py_IncRef(descr);
        let steps = dimensions.add(n_dims);
        let kind = known().runtime.ndarray_type as *mut ffi::PyTypeObject;
        let (descr, none) = (descr.cast(), std::ptr::null_mut());
        let api = &PY_ARRAY_API;
        let made = api.PyArray_NewFromDescr(py, kind, descr, n, dimensions, steps, at, flags, none);
        if !made.is_null() {
            ffi::Py_IncRef(array);
            if api.PyArray_SetBaseObject(py, made.cast(), array) == 0 {
                return made;
            }
            ffi::Py_DecRef(made);
        }
        ffi::PyErr_Clear();
        std::ptr::null_mut()
    }
}

/// An array of words side by side; null, and no exception, if there is no memory.
pub(in crate::jit) unsafe extern "C" fn array_of(
    words: *const u64,
    n: usize,
    is_float: u64,
) -> *mut PyObject {
    let py = unsafe { Python::assume_attached() };
    let dtype = if is_float != 0 {
        Dtype::Float64
    } else {
        Dtype::Int64
    };
    let mut sizes = [1; N_DIMS_MAX];
    sizes[0] = n.cast_signed();
    match made(py, &Shape { n_dims: 1, sizes }, dtype) {
        Some((array, out)) => {
            // SAFETY: there are so many words, and room for them.
            unsafe { std::ptr::copy_nonoverlapping(words, out, n) };
            array
        }
        None => std::ptr::null_mut(),
    }
}

/// A new array, and where its elements are.
fn made(py: Python<'_>, shape: &Shape, dtype: Dtype) -> Option<(*mut PyObject, *mut u64)> {
    let array = empty(py, shape, dtype);
    if array.is_null() {
        unsafe { ffi::PyErr_Clear() };
        return None;
    }
    // SAFETY: numpy's own stable interface.
    let out = unsafe { array.cast::<u8>().add(16).cast::<*mut u64>().read() };
    Some((array, out))
}

/// `numpy.linspace` of two numbers, if it is computed as here: the first is compared.
fn linspace(py: Python<'_>, args: &[*mut PyObject]) -> Option<*mut PyObject> {
    static AGREES: OnceLock<bool> = OnceLock::new();
    let end = |object| {
        let (double, word) = number(object)?;
        word.is_none_or(|word| word.unsigned_abs() <= EXACT)
            .then_some(double)
    };
    let (first, last) = (end(args[0])?, end(args[1])?);
    let n = usize::try_from(number(args[2])?.1?).ok()?;
    if !(2..=N_MAX).contains(&n) {
        return None;
    }
    let agrees = match AGREES.get() {
        Some(agrees) => *agrees,
        None => {
            let agrees = without_error(py, look_at_linspace(py)).unwrap_or(false);
            *AGREES.get_or_init(|| agrees)
        }
    };
    if !agrees {
        return None;
    }
    clear_flags();
    let elements = spaced(first, last, n)?;
    if raised_flags() != 0 {
        return None;
    }
    let mut shape = Shape {
        n_dims: 1,
        sizes: [1; N_DIMS_MAX],
    };
    shape.sizes[0] = n.cast_signed();
    let (made, out) = made(py, &shape, Dtype::Float64)?;
    // SAFETY: there is room for so many.
    unsafe { std::ptr::copy_nonoverlapping(elements.as_ptr(), out.cast(), n) };
    Some(made)
}

/// Numbers as far apart; `None` if they are all the same.
#[expect(clippy::cast_precision_loss, reason = "they are few")]
fn spaced(first: f64, last: f64, n: usize) -> Option<Vec<f64>> {
    let step = (last - first) / (n - 1) as f64;
    if step == 0.0 || !step.is_finite() {
        return None;
    }
    let mut elements = (0..n)
        .map(|at| at as f64 * step + first)
        .collect::<Vec<_>>();
    elements[n - 1] = last;
    Some(elements)
}

fn look_at_linspace(py: Python<'_>) -> PyResult<bool> {
    let numpy = py.import("numpy")?;
    for (first, last, n) in [(0.1, 7.3, 97), (-3.0, 1.0 / 3.0, 50), (1e9, -0.7, 1001)] {
        let theirs = numpy.call_method1("linspace", (first, last, n))?;
        let theirs = theirs.call_method0("tolist")?.extract::<Vec<f64>>()?;
        let ours = spaced(first, last, n).unwrap_or_default();
        let bits = |all: &[f64]| all.iter().map(|each| each.to_bits()).collect::<Vec<_>>();
        if bits(&theirs) != bits(&ours) {
            return Ok(false);
        }
    }
    Ok(true)
}
