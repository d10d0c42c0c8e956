//! Small products of vectors and matrices of doubles, by the inner loop that numpy itself would take.
//!
//! numpy looks for a microsecond at what goes into `a @ b`, as long as some hundred products take.
//!
//! # Invariant
//! Shapes that do not go together, those that numpy has ways of its own for, and what raises a
//! floating-point flag are left to numpy.
//!
//! Source: numpy's generalised functions: `(n?,k),(k,m?)->(n?,m?)`, steps in the order of these letters.

use std::ffi::c_char;
use std::sync::OnceLock;

use opcodon_pyfn::Dtype;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::empty;
use super::plan::loop_of;
use super::reduce::Number;
use super::run::{InnerFunction, clear_flags, raised_flags};
use super::value::{N_DIMS_MAX, Shape, View};
use crate::jit::side::without_error;

/// Multiplications beyond which numpy needs no help.
const N_STEPS_MAX: isize = 1 << 14;

/// numpy's number of `float64`.
const DOUBLE: u8 = 12;

/// The inner loop of `numpy.matmul`, and its data.
fn inner(py: Python<'_>) -> Option<(usize, usize)> {
    static LOOP: OnceLock<Option<(usize, usize)>> = OnceLock::new();
    if LOOP.get().is_none() {
        let matmul = py.import("numpy");
        let matmul = without_error(py, matmul.and_then(|numpy| numpy.getattr("matmul")));
        let found = matmul.and_then(|matmul| loop_of(&matmul, &[DOUBLE; 3], true));
        let found = found.map(|found| (found.function as usize, found.data as usize));
        return *LOOP.get_or_init(|| found);
    }
    *LOOP.get()?
}

/// `a @ b`; none, and no exception, if that is left to numpy.
pub(in crate::jit) fn product(a: *mut PyObject, b: *mut PyObject) -> Option<*mut PyObject> {
    let (a, b) = (View::of(a)?, View::of(b)?);
    if a.dtype != Dtype::Float64 || b.dtype != Dtype::Float64 {
        return None;
    }
    // The sizes of n, k and m, and the steps along them.
    let (rows, [k, k_step]) = match (a.shape.sizes(), a.steps()) {
        (&[k], &[k_step]) => (None, [k, k_step]),
        (&[n, k], &[n_step, k_step]) => (Some([n, n_step]), [k, k_step]),
        _ => return None,
    };
    let ([k_too, k_too_step], columns) = match (b.shape.sizes(), b.steps()) {
        (&[k], &[k_step]) => ([k, k_step], None),
        (&[k, m], &[k_step, m_step]) => ([k, k_step], Some([m, m_step])),
        _ => return None,
    };
    let size = |of: Option<[isize; 2]>| of.map_or(1, |[size, _]| size);
    let (n, m) = (size(rows), size(columns));
    let is_alone = |of: Option<[isize; 2]>| of.is_some_and(|[size, _]| size < 2);
    if k != k_too || k < 2 || is_alone(rows) || is_alone(columns) {
        return None;
    }
    if n.checked_mul(m)?.checked_mul(k)? > N_STEPS_MAX {
        return None;
    }
    let py = unsafe { Python::assume_attached() };
    let (function, data) = inner(py)?;
    let mut shape = Shape {
        n_dims: 0,
        sizes: [1; N_DIMS_MAX],
    };
    for [size, _] in rows.into_iter().chain(columns) {
        shape.sizes[shape.n_dims] = size;
        shape.n_dims += 1;
    }
    let step = |of: Option<[isize; 2]>| of.map_or(0, |[_, step]| step);
    let out_steps = [rows.map_or(0, |_| 8 * m), columns.map_or(0, |_| 8)];
    let mut sizes = [1, n, k, m];
    let mut steps = [0; 9];
    steps[3..].copy_from_slice(&[
        step(rows),
        k_step,
        k_too_step,
        step(columns),
        out_steps[0],
        out_steps[1],
    ]);
    let mut compute = |out: *mut f64| {
        let mut pointers = [a.data, b.data, out.cast_const().cast()];
        let pointers = pointers.as_mut_ptr().cast::<*mut c_char>();
        clear_flags();
        // SAFETY: it is the loop for doubles, which reads the elements of two arrays and writes as many as
        // there is room for.
        unsafe {
            let function = std::mem::transmute::<usize, InnerFunction>(function);
            function(
                pointers,
                sizes.as_mut_ptr(),
                steps.as_mut_ptr(),
                data as *mut _,
            );
        }
        raised_flags() == 0
    };
    if shape.n_dims == 0 {
        let mut number = 0.0;
        return compute(&raw mut number).then(|| Number::Double(number).boxed());
    }
    let array = empty(py, &shape, Dtype::Float64);
    if array.is_null() {
        unsafe { ffi::PyErr_Clear() };
        return None;
    }
    // SAFETY: an array of that size was just made.
    if compute(unsafe { array.cast::<u8>().add(16).cast::<*mut f64>().read() }) {
        return Some(array);
    }
    unsafe { ffi::Py_DecRef(array) };
    None
}
