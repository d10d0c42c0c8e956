//! Python functions as universal functions of numpy.
//!
//! numpy asks a universal function to do rows that lie anywhere, with any distance between them. They
//! are copied into arrays of the loop's own, a compiled function runs over those, and what it wrote is
//! copied out. So what it is given is always contiguous, which needs one compiled version, and stays
//! valid memory even if somebody keeps it: a traceback does.
//!
//! What fails leaves its exception with the interpreter, where numpy looks for it after a loop.
//!
//! Source: numpy's C interface, `PyUFunc_FromFuncAndDataAndSignature` and `PyUFuncGenericFunction`.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int, c_void};

use numpy::npyffi::{PY_UFUNC_API, npy_intp};
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Rows that are copied at a time: few enough to stay in the second cache.
const N_ROWS: usize = 2048;

/// A loop for arguments of given types, in numpy's order: inputs, then outputs.
#[derive(FromPyObject)]
struct Types {
    /// Numbers of the types.
    numbers: Vec<u8>,
    /// Their dtypes.
    dtypes: Vec<Py<PyAny>>,
    /// Their sizes in bytes.
    sizes: Vec<usize>,
    /// What does rows: `f(n, *arrays)`; with core dimensions `f(*arrays)`.
    function: Py<PyAny>,
    /// What does rows each of which takes the result of the row before, if there can be such.
    fold: Option<Py<PyAny>>,
    /// For each argument its core dimensions; none if the function works on elements.
    core: Option<Vec<Vec<usize>>>,
    /// For each argument whether it is handed over as a number; with core dimensions.
    is_scalar: Option<Vec<bool>>,
}

/// What a loop needs when numpy calls it.
struct Loop {
    types: Types,
    n_in: usize,
    empty: Py<PyAny>,
    arrays: RefCell<Vec<Py<PyAny>>>,
}

/// Rows in memory.
#[derive(Clone, Copy)]
struct Rows {
    at: *mut u8,
    step: isize,
}

impl Rows {
    fn row(self, row: usize) -> *mut u8 {
        self.at
            .wrapping_offset(self.step.wrapping_mul(row.cast_signed()))
    }
}

/// A universal function made of compiled functions.
///
/// numpy keeps the addresses of what it is made of, and lets nobody know when it goes: that memory
/// is never freed.
#[pyfunction]
pub(super) fn ufunc<'py>(
    py: Python<'py>,
    loops: Vec<Bound<'py, PyAny>>,
    counts: (usize, usize),
    identity: c_int,
    texts: (CString, CString, Option<CString>),
) -> PyResult<Bound<'py, PyAny>> {
    let ((n_in, n_out), (name, doc, signature)) = (counts, texts);
    let empty = py.import("numpy")?.getattr("empty")?;
    let mut types = Vec::new();
    let mut data = Vec::new();
    for each in &loops {
        let each = each.extract::<Types>()?;
        types.extend_from_slice(&each.numbers);
        data.push(Loop {
            types: each,
            n_in,
            empty: empty.clone().unbind(),
            arrays: RefCell::default(),
        });
    }
    let too_many = |_| PyRuntimeError::new_err("a universal function of too many arguments");
    let [n_loops, n_in, n_out] =
        [data.len(), n_in, n_out].map(|n| c_int::try_from(n).map_err(too_many));
    let data = data.into_iter().map(|each| Box::into_raw(Box::new(each)));
    let data = data.map(<*mut Loop>::cast::<c_void>).collect::<Vec<_>>();
    let functions = vec![Some(run as _); data.len()];
    let signature = signature.map_or(std::ptr::null(), |text| text.into_raw().cast_const());
    unsafe {
        let made = PY_UFUNC_API.PyUFunc_FromFuncAndDataAndSignature(
            py,
            functions.leak().as_mut_ptr(),
            data.leak().as_mut_ptr(),
            types.leak().as_mut_ptr().cast(),
            n_loops?,
            n_in?,
            n_out?,
            identity,
            name.into_raw(),
            doc.into_raw(),
            0,
            signature,
        );
        Bound::from_owned_ptr_or_err(py, made)
    }
}

/// What numpy calls.
unsafe extern "C" fn run(
    args: *mut *mut c_char,
    dims: *mut npy_intp,
    steps: *mut npy_intp,
    data: *mut c_void,
) {
    Python::attach(|py| unsafe {
        // After a failure numpy may have more rows; they are of no use.
        if !ffi::PyErr_Occurred().is_null() {
            return;
        }
        let this = &*data.cast::<Loop>();
        let n_args = this.types.sizes.len();
        let rows = (0..n_args).map(|at| Rows {
            at: args.add(at).read().cast(),
            step: steps.add(at).read(),
        });
        let rows = rows.collect::<Vec<_>>();
        let n_rows = dims.read().unsigned_abs();
        let done = match &this.types.core {
            None => this.elements(py, &rows, n_rows),
            Some(core) => {
                let dims = dims.add(1);
                let mut next = steps.add(n_args);
                let mut shapes = Vec::new();
                for ixs in core {
                    let shape = ixs.iter().map(|&ix| dims.add(ix).read().unsigned_abs());
                    let own = (0..ixs.len()).map(|at| next.add(at).read());
                    shapes.push((shape.collect(), own.collect()));
                    next = next.add(ixs.len());
                }
                this.cores(py, &rows, n_rows, &shapes)
            }
        };
        if let Err(error) = done {
            error.restore(py);
        }
    });
}

impl Loop {
    /// Rows of single elements.
    fn elements(&self, py: Python<'_>, rows: &[Rows], n_rows: usize) -> PyResult<()> {
        let sizes = &self.types.sizes;
        let mut arrays = self.arrays.take();
        if arrays.is_empty() {
            for dtype in &self.types.dtypes {
                arrays.push(self.empty.call1(py, (N_ROWS, dtype))?);
            }
        }
        let (function, at_a_time) = match &self.types.fold {
            Some(fold) if takes_from_row_before(rows) => (fold, N_ROWS),
            _ if are_apart(rows, sizes, self.n_in, n_rows) => (&self.types.function, N_ROWS),
            _ => (&self.types.function, 1),
        };
        for first in (0..n_rows).step_by(at_a_time) {
            let n = at_a_time.min(n_rows - first);
            for (at, array) in arrays[..self.n_in].iter().enumerate() {
                let from = Rows {
                    at: rows[at].row(first),
                    ..rows[at]
                };
                let to = Rows {
                    at: data_of(array.as_ptr()),
                    step: sizes[at].cast_signed(),
                };
                copy(from, to, n, sizes[at]);
            }
            let number = n.into_pyobject(py)?.into_any();
            let arguments = std::iter::once(number);
            let arguments = arguments.chain(arrays.iter().map(|array| array.bind(py).clone()));
            let arguments = PyTuple::new(py, arguments.collect::<Vec<_>>())?;
            function.call1(py, arguments)?;
            for at in self.n_in..arrays.len() {
                let from = Rows {
                    at: data_of(arrays[at].as_ptr()),
                    step: sizes[at].cast_signed(),
                };
                let to = Rows {
                    at: rows[at].row(first),
                    ..rows[at]
                };
                copy(from, to, n, sizes[at]);
            }
        }
        // What somebody else holds is not written any more.
        let is_ours = |array: &Py<PyAny>| unsafe { ffi::Py_REFCNT(array.as_ptr()) == 1 };
        if arrays.iter().all(is_ours) {
            self.arrays.replace(arrays);
        }
        Ok(())
    }

    /// Rows of arrays: of each argument the shape and the distances within.
    fn cores(
        &self,
        py: Python<'_>,
        rows: &[Rows],
        n_rows: usize,
        shapes: &[(Vec<usize>, Vec<isize>)],
    ) -> PyResult<()> {
        let sizes = &self.types.sizes;
        for row in 0..n_rows {
            let mut arrays = Vec::new();
            let mut arguments = Vec::new();
            for (at, (shape, within)) in shapes.iter().enumerate() {
                let dtype = &self.types.dtypes[at];
                // A result without dimensions is written as the element of an array.
                let is_one = shape.is_empty();
                let outer = if is_one { &[1][..] } else { shape };
                let array = self.empty.call1(py, (PyTuple::new(py, outer)?, dtype))?;
                let array = array.into_bound(py);
                let strided = Strided {
                    at: rows[at].row(row),
                    shape,
                    steps: within,
                };
                strided.copy(data_of(array.as_ptr()), sizes[at], Way::In);
                let scalars = self.types.is_scalar.as_deref().unwrap_or_default();
                let is_scalar = scalars.get(at) == Some(&true);
                arguments.push(if is_scalar {
                    array.get_item(0)?
                } else {
                    array.clone()
                });
                arrays.push((array, strided));
            }
            self.types
                .function
                .call1(py, PyTuple::new(py, arguments)?)?;
            for (at, (array, strided)) in arrays.into_iter().enumerate().skip(self.n_in) {
                strided.copy(data_of(array.as_ptr()), sizes[at], Way::Out);
            }
        }
        Ok(())
    }
}

/// Whether the first input of a row is the output of the row before, as in a reduction.
fn takes_from_row_before(rows: &[Rows]) -> bool {
    let [first, second, out] = rows else {
        return false;
    };
    out.at == first.row(1) && out.step == first.step && second.at != out.at
}

/// Whether no row reads what another one writes.
fn are_apart(rows: &[Rows], sizes: &[usize], n_in: usize, n_rows: usize) -> bool {
    let span = |at: usize| {
        let ends = [rows[at].row(0), rows[at].row(n_rows.saturating_sub(1))];
        let [first, last] = ends.map(|end| end as usize);
        (first.min(last), first.max(last) + sizes[at])
    };
    (n_in..rows.len()).all(|out| {
        (0..n_in).all(|at| {
            let (a, b) = (span(out), span(at));
            let is_same = rows[out].at == rows[at].at && rows[out].step == rows[at].step;
            b.1 <= a.0 || a.1 <= b.0 || (is_same && rows[at].step != 0)
        })
    })
}

/// Where an array of numpy's has its elements.
fn data_of(array: *mut ffi::PyObject) -> *mut u8 {
    // numpy's own stable interface: `PyArrayObject_fields.data`.
    unsafe { array.cast::<u8>().add(16).cast::<*mut u8>().read() }
}

/// Copies elements.
fn copy(from: Rows, to: Rows, n_rows: usize, size: usize) {
    /// Elements of a type, wherever they lie.
    unsafe fn each<T>(from: Rows, to: Rows, n_rows: usize) {
        for row in 0..n_rows {
            unsafe {
                let element = from.row(row).cast::<T>().read_unaligned();
                to.row(row).cast::<T>().write_unaligned(element);
            }
        }
    }
    unsafe {
        if from.step == size.cast_signed() && to.step == from.step {
            std::ptr::copy(from.at, to.at, n_rows * size);
            return;
        }
        match size {
            1 => each::<u8>(from, to, n_rows),
            2 => each::<u16>(from, to, n_rows),
            4 => each::<u32>(from, to, n_rows),
            8 => each::<u64>(from, to, n_rows),
            16 => each::<u128>(from, to, n_rows),
            _ => {
                for row in 0..n_rows {
                    std::ptr::copy(from.row(row), to.row(row), size);
                }
            }
        }
    }
}

/// An array that lies anywhere.
pub(super) struct Strided<'a> {
    pub(super) at: *mut u8,
    pub(super) shape: &'a [usize],
    pub(super) steps: &'a [isize],
}

/// From a strided array into a contiguous one, or out of it, or out of one element.
#[derive(Clone, Copy)]
pub(super) enum Way {
    In,
    Out,
    Fill,
}

impl Strided<'_> {
    /// Copies all elements; the last dimension at a time.
    pub(super) fn copy(&self, contiguous: *mut u8, size: usize, way: Way) {
        let n_inner = self.shape.last().copied().unwrap_or(1);
        let inner = self.steps.last().copied().unwrap_or(0);
        let outer = &self.shape[..self.shape.len().saturating_sub(1)];
        for index in 0..outer.iter().product() {
            let (mut rest, mut at) = (index, self.at);
            for (&n, &step) in outer.iter().zip(self.steps).rev() {
                at = at.wrapping_offset(step.wrapping_mul((rest % n).cast_signed()));
                rest /= n;
            }
            let strided = Rows { at, step: inner };
            let dense = Rows {
                at: contiguous.wrapping_add(index * n_inner * size),
                step: size.cast_signed(),
            };
            match way {
                Way::In => copy(strided, dense, n_inner, size),
                Way::Out => copy(dense, strided, n_inner, size),
                Way::Fill => {
                    let element = Rows {
                        at: contiguous,
                        step: 0,
                    };
                    copy(element, strided, n_inner, size);
                }
            }
        }
    }
}
