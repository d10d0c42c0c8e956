//! Callbacks: Python callables that compiled code calls by address.
//!
//! What a callable raises cannot go through compiled code. So it waits beside: each call of machine
//! code opens a place for an exception on its thread, a callback that fails leaves it in the
//! innermost one and gives zeros back, further callbacks of that call give zeros back without
//! running anything, and when the call returns, the exception is raised from it. Where no call is
//! open, since a thread of somebody else calls, Python reports it as unraisable.
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use opcodon_codemem::{Abi, Callback, Signature, Ty, Value};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::convert::{Kept, to_python, to_value};
use crate::error::code_error;
use crate::jit::{Function, Number};
use crate::machine::convention;

thread_local! {
    /// A place for an exception for each call of machine code that runs on this thread.
    static OPEN: RefCell<Vec<Option<PyErr>>> = const { RefCell::new(Vec::new()) };
}

/// Whether there has been a callback in this process; until then no call needs a place.
static ANY: AtomicBool = AtomicBool::new(false);

/// Whether calls need a place for an exception.
#[inline]
pub(crate) fn are_there() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// Runs machine code; what callbacks raise meanwhile is the error.
pub(crate) fn raising<T>(run: impl FnOnce() -> T) -> PyResult<T> {
    OPEN.with_borrow_mut(|open| open.push(None));
    let result = run();
    match OPEN.with_borrow_mut(Vec::pop).flatten() {
        None => Ok(result),
        Some(error) => Err(error),
    }
}

/// Code that calls a Python callable.
pub(crate) fn callback(
    callable: &Bound<'_, PyAny>,
    signature: Signature,
    abi: Abi,
) -> PyResult<Callback> {
    if !callable.is_callable() {
        return Err(PyTypeError::new_err(format!(
            "a callable is needed, not {}",
            callable.get_type()
        )));
    }
    ANY.store(true, Ordering::Relaxed);
    let result = signature.result();
    let callable = callable.clone().unbind();
    let run = move |arguments: &[Value]| {
        let has_failed = OPEN.with_borrow(|open| matches!(open.last(), Some(Some(_))));
        if has_failed {
            return Value::zero(result);
        }
        Python::attach(|py| {
            let callable = callable.bind(py);
            called(callable, arguments, result, abi).unwrap_or_else(|error| {
                let unheard = OPEN.with_borrow_mut(|open| match open.last_mut() {
                    Some(place) => {
                        *place = Some(error);
                        None
                    }
                    None => Some(error),
                });
                if let Some(error) = unheard {
                    error.write_unraisable(py, Some(callable));
                }
                Value::zero(result)
            })
        })
    };
    Callback::new(signature, abi, run).map_err(|error| code_error(&error))
}

fn called(
    callable: &Bound<'_, PyAny>,
    arguments: &[Value],
    result: Ty,
    abi: Abi,
) -> PyResult<Value> {
    let py = callable.py();
    let returned = match compiled(callable, arguments)? {
        Some(Number::Float(number)) if result == Ty::F64 => return Ok(Value::F64(number)),
        Some(Number::Int(number)) if result == Ty::I64 => return Ok(Value::I64(number)),
        Some(Number::Float(number)) => number.into_bound_py_any(py)?,
        Some(Number::Int(number)) => number.into_bound_py_any(py)?,
        Some(Number::Bool(truth)) => truth.into_bound_py_any(py)?,
        Some(Number::Object(object)) => object.into_bound(py),
        None => {
            let arguments = arguments.iter().map(|value| to_python(py, value));
            callable.call1(PyTuple::new(py, arguments.collect::<PyResult<Vec<_>>>()?)?)?
        }
    };
    if result == Ty::Void {
        return Ok(Value::Void);
    }
    let mut kept = Kept::default();
    let value = to_value(result, abi, &returned, &mut kept).map_err(|error| {
        let text = format!("a callback must return {result}: {}", error.value(py));
        if error.is_instance_of::<PyTypeError>(py) {
            PyTypeError::new_err(text)
        } else {
            PyValueError::new_err(text)
        }
    })?;
    if kept.is_empty() {
        Ok(value)
    } else {
        // Nobody would keep them alive once this returns.
        Err(PyTypeError::new_err(format!(
            "a callback must return {result} as an address (int) or None"
        )))
    }
}

/// What a function that `opcodon.jit` compiled gives for numbers, without making objects of them;
/// none if it has to be called like any other callable.
fn compiled(callable: &Bound<'_, PyAny>, arguments: &[Value]) -> PyResult<Option<Number>> {
    let Ok(function) = callable.cast_exact::<Function>() else {
        return Ok(None);
    };
    let numbers = arguments.iter().map(|value| match *value {
        Value::F64(number) => Some(Number::Float(number)),
        Value::F32(number) => Some(Number::Float(number.into())),
        Value::I64(number) => Some(Number::Int(number)),
        Value::I32(number) => Some(Number::Int(number.into())),
        Value::Bool(truth) => Some(Number::Bool(truth)),
        _ => None,
    });
    function.get().call_numbers(callable.py(), numbers)
}

/// A Python callable with an address; the Python class `Callback`.
#[pyclass(frozen, module = "opcodon", name = "Callback")]
pub(crate) struct PyCallback {
    pub(crate) callback: Callback,
    callable: Py<PyAny>,
}

#[pymethods]
impl PyCallback {
    #[new]
    #[pyo3(signature = (function, signature, abi=None))]
    fn new(function: &Bound<'_, PyAny>, signature: &str, abi: Option<&str>) -> PyResult<Self> {
        let (parsed, abi) = convention(function.py(), signature, abi)?;
        Ok(Self {
            callback: callback(function, parsed, abi)?,
            callable: function.clone().unbind(),
        })
    }

    #[pyo3(signature = (*arguments))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        arguments: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.callable.bind(py).call1(arguments)
    }

    #[getter]
    fn address(&self) -> usize {
        self.callback.address() as usize
    }

    #[getter]
    fn signature(&self) -> String {
        self.callback.signature().to_string()
    }

    #[getter]
    fn abi(&self) -> &'static str {
        self.callback.abi().name()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!(
            "<Callback {}: {}, {}>",
            self.callable.bind(py).repr()?,
            self.callback.signature(),
            self.callback.abi()
        ))
    }
}
