//! Python's objects in a primitive set: numbers as values, names for messages, addresses as keys.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyFloat, PyInt, PyType};

use super::grammar::Value;

/// A hash for addresses of objects: the low bits are all alike.
#[derive(Default)]
pub(super) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte));
        }
    }
    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(26);
    }
}

pub(super) type AddressMap<T> = HashMap<usize, T, BuildHasherDefault<AddressHasher>>;

pub(super) fn address(object: &Bound<'_, PyAny>) -> usize {
    object.as_ptr() as usize
}

/// The value of a number object; `None` if it is none.
#[inline]
pub(super) fn number(object: &Bound<'_, PyAny>) -> PyResult<Option<Value>> {
    if let Ok(value) = object.cast::<PyFloat>() {
        return Ok(Some(Value::Float(value.value())));
    }
    if let Ok(value) = object.cast_exact::<PyInt>()
        && let Ok(value) = value.extract::<i64>()
    {
        return Ok(Some(Value::Int(value)));
    }
    strange_number(object)
}

/// A bool, an integer beyond 64 bits, or a number by protocol, such as numpy's; no array.
#[cold]
fn strange_number(object: &Bound<'_, PyAny>) -> PyResult<Option<Value>> {
    let py = object.py();
    if let Ok(value) = object.cast::<PyBool>() {
        return Ok(Some(Value::Bool(value.is_true())));
    }
    if object.hasattr(intern!(py, "__len__"))? {
        return Ok(None);
    }
    if object.hasattr(intern!(py, "__index__"))? {
        return match object.extract::<i64>() {
            Ok(value) => Ok(Some(Value::Int(value))),
            Err(error) if error.is_instance_of::<PyOverflowError>(py) => {
                Ok(Some(Value::Float(object.extract()?)))
            }
            Err(error) => Err(error),
        };
    }
    if object.hasattr(intern!(py, "__float__"))? {
        return Ok(Some(Value::Float(object.extract()?)));
    }
    Ok(None)
}

/// The Python object of a gene's value.
pub(super) fn object_of(py: Python<'_>, value: Value) -> PyResult<Bound<'_, PyAny>> {
    Ok(match value {
        Value::None => py.None().into_bound(py),
        Value::Int(value) => value.into_pyobject(py)?.into_any(),
        Value::Float(value) => value.into_pyobject(py)?.into_any(),
        Value::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
    })
}

/// The module `deap.gp`.
pub(super) fn deap_gp(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static GP: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    Ok(GP
        .get_or_try_init(py, || py.import(intern!(py, "deap.gp")).map(Bound::unbind))?
        .bind(py))
}

pub(super) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object
        .get_type()
        .qualname()
        .map_or_else(|_| "strange object".to_owned(), |name| name.to_string())
}

pub(super) fn type_text(of: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(match of.cast::<PyType>() {
        Ok(of) => of.fully_qualified_name()?.to_string(),
        Err(_) => of.str()?.to_string(),
    })
}
