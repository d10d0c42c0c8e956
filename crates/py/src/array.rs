//! Arrays of the caller: any layout, any real dtype, in; one contiguous result out.
//!
//! numpy arrays come strided, reversed, misaligned, byte-swapped, of integers or of objects, and
//! tables come as lists or data frames. Whatever is already `float64` or `float32` is read where
//! it lies; everything else that holds real numbers is converted to `float64` by numpy itself, so
//! that its rules and no others decide what a number is.
use numpy::ndarray::ArrayView2;
use numpy::{
    PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArray,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// `value` as a numpy array.
pub(crate) fn as_array<'py>(
    argument: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    py.import(intern!(py, "numpy"))?
        .call_method1(intern!(py, "asarray"), (value,))
        .map_err(|error| {
            if error.is_instance_of::<PyValueError>(py) {
                PyValueError::new_err(format!(
                    "{argument} is not a rectangular array: {}",
                    error.value(py)
                ))
            } else {
                error
            }
        })
}

/// `value` as a numpy array of aligned, native `float32` (if it is that) or `float64`.
fn real_array<'py>(
    argument: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyUntypedArray>> {
    let py = value.py();
    let array = as_array(argument, value)?;
    let dtype = array.getattr(intern!(py, "dtype"))?;
    let kind: String = dtype.getattr(intern!(py, "kind"))?.extract()?;
    let width: usize = dtype.getattr(intern!(py, "itemsize"))?.extract()?;
    let target = match (kind.as_str(), width) {
        ("f", 4) => intern!(py, "float32"),
        ("f" | "i" | "u" | "b" | "O", _) => intern!(py, "float64"),
        _ => return Err(not_real(argument, &dtype, None)),
    };
    let options = PyDict::new(py);
    options.set_item(intern!(py, "dtype"), target)?;
    options.set_item(intern!(py, "requirements"), intern!(py, "A"))?;
    let array = py
        .import(intern!(py, "numpy"))?
        .call_method(intern!(py, "require"), (array,), Some(&options))
        .map_err(|error| not_real(argument, &dtype, Some(error)))?;
    Ok(array.cast_into::<PyUntypedArray>()?)
}

fn not_real(argument: &str, dtype: &Bound<'_, PyAny>, cause: Option<PyErr>) -> PyErr {
    let error = PyTypeError::new_err(format!(
        "{argument} has dtype {dtype}, but real numbers are needed (float64, float32, integers or bool)"
    ));
    error.set_cause(dtype.py(), cause);
    error
}

/// How many dimensions an argument has.
pub(crate) fn n_dimensions(value: &Bound<'_, PyAny>) -> PyResult<usize> {
    value.getattr(intern!(value.py(), "ndim"))?.extract()
}

/// A matrix as the caller laid it out, in one of the two widths that the engine computes in.
pub(crate) enum Matrix<'py> {
    /// Read as it is, or converted from anything else that is real.
    F64(PyReadonlyArray2<'py, f64>),
    /// Read as it is.
    F32(PyReadonlyArray2<'py, f32>),
}

impl<'py> Matrix<'py> {
    /// Takes a two-dimensional argument with one column for each of the `names`.
    pub(crate) fn extract(
        argument: &str,
        value: &Bound<'py, PyAny>,
        names: &[String],
    ) -> PyResult<Self> {
        let array = real_array(argument, value)?;
        let shape = array.shape();
        if shape.len() != 2 || shape[1] != names.len() {
            return Err(PyValueError::new_err(format!(
                "{argument} has shape {}, but (n_rows, {}) is needed: one column for each of the \
                 variables {}",
                shape_text(shape),
                names.len(),
                list(names),
            )));
        }
        Ok(match array.cast::<PyArray2<f32>>() {
            Ok(array) => Self::F32(array.readonly()),
            Err(_) => Self::F64(array.cast_into::<PyArray2<f64>>()?.readonly()),
        })
    }

    /// The numbers without their Python owner.
    pub(crate) fn view(&self) -> MatrixView<'_> {
        match self {
            Self::F64(array) => MatrixView::F64(array.as_array()),
            Self::F32(array) => MatrixView::F32(array.as_array()),
        }
    }
}
/// A vector in `float64` or `float32`.
pub(crate) enum Vector<'py> {
    F64(PyReadonlyArray1<'py, f64>),
    F32(PyReadonlyArray1<'py, f32>),
}

impl<'py> Vector<'py> {
    /// Takes a one-dimensional argument of `n_rows` numbers.
    pub(crate) fn extract(
        argument: &str,
        value: &Bound<'py, PyAny>,
        n_rows: usize,
    ) -> PyResult<Self> {
        Self::one_for_each("row of X", argument, value, n_rows)
    }

    /// Takes a one-dimensional argument of `n` numbers, one for each of something.
    pub(crate) fn one_for_each(
        each: &str,
        argument: &str,
        value: &Bound<'py, PyAny>,
        n: usize,
    ) -> PyResult<Self> {
        let array = real_array(argument, value)?;
        let shape = array.shape();
        if shape != [n] {
            return Err(PyValueError::new_err(format!(
                "{argument} has shape {}, but ({n},) is needed: one number for each {each}",
                shape_text(shape)
            )));
        }
        Ok(match array.cast::<PyArray1<f32>>() {
            Ok(array) => Self::F32(array.readonly()),
            Err(_) => Self::F64(array.cast_into::<PyArray1<f64>>()?.readonly()),
        })
    }

    /// The values in `float64`, which must all be finite.
    pub(crate) fn finite(&self, argument: &str) -> PyResult<Vec<f64>> {
        let values = self.to_vec();
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(row) => Err(PyValueError::new_err(format!(
                "{argument} must be finite, but row {row} (counted from 0) holds {}",
                values[row]
            ))),
        }
    }

    /// The values in `float64` as weights of rows: none negative, not all zero.
    pub(crate) fn weights(&self) -> PyResult<Vec<f64>> {
        let values = self.finite("sample_weight")?;
        if let Some(row) = values.iter().position(|value| *value < 0.0) {
            return Err(PyValueError::new_err(format!(
                "sample_weight must not be negative, but row {row} (counted from 0) holds {}",
                values[row]
            )));
        }
        if values.iter().all(|value| *value == 0.0) {
            return Err(PyValueError::new_err(
                "sample_weight must not be zero for every row",
            ));
        }
        Ok(values)
    }

    /// The values in `float64`.
    pub(crate) fn to_vec(&self) -> Vec<f64> {
        match self {
            Self::F64(array) => array.as_array().to_vec(),
            Self::F32(array) => array.as_array().iter().copied().map(f64::from).collect(),
        }
    }
}

/// A matrix that may be read with the interpreter lock released.
#[derive(Clone, Copy)]
pub(crate) enum MatrixView<'a> {
    F64(ArrayView2<'a, f64>),
    F32(ArrayView2<'a, f32>),
}

impl MatrixView<'_> {
    pub(crate) fn n_rows(&self) -> usize {
        match self {
            Self::F64(array) => array.nrows(),
            Self::F32(array) => array.nrows(),
        }
    }

    pub(crate) fn n_columns(&self) -> usize {
        match self {
            Self::F64(array) => array.ncols(),
            Self::F32(array) => array.ncols(),
        }
    }

    /// A column in `float64`.
    pub(crate) fn column(&self, column: usize) -> Vec<f64> {
        match self {
            Self::F64(array) => array.column(column).to_vec(),
            Self::F32(array) => array
                .column(column)
                .iter()
                .copied()
                .map(f64::from)
                .collect(),
        }
    }
}

fn shape_text(shape: &[usize]) -> String {
    match shape {
        [n] => format!("({n},)"),
        _ => {
            let sizes: Vec<String> = shape.iter().map(ToString::to_string).collect();
            format!("({})", sizes.join(", "))
        }
    }
}

/// The first names of a list, for a message.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        format!("{shown}, … ({} in all)", names.len())
    } else {
        shown
    }
}
