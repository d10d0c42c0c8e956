//! The quality of an individual: `deap.base.Fitness` as numbers instead of tuples.
//!
//! It has the attributes and the order of DEAP's class, so that selection, halls of fame and
//! statistics of DEAP take it. One thing differs, on purpose: in DEAP a NaN is greater *and*
//! smaller than everything, so that broken individuals win tournaments. Here NaN is worse than
//! every number.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyAssertionError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySlice, PyTuple, PyType};

use super::objects::type_name;

/// Numbers, one an objective. Most runs have one objective, and need no allocation then.
#[derive(Clone, Debug)]
enum Numbers {
    One(f64),
    Many(Arc<[f64]>),
}

impl Numbers {
    fn extract(sequence: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(tuple) = sequence.cast::<PyTuple>()
            && tuple.len() == 1
        {
            return Ok(Self::One(tuple.get_borrowed_item(0)?.extract()?));
        }
        let numbers: Vec<f64> = sequence
            .try_iter()?
            .map(|number| number?.extract())
            .collect::<PyResult<_>>()?;
        Ok(numbers.into())
    }

    fn as_slice(&self) -> &[f64] {
        match self {
            Self::One(number) => std::slice::from_ref(number),
            Self::Many(numbers) => numbers,
        }
    }
}

impl From<Vec<f64>> for Numbers {
    fn from(numbers: Vec<f64>) -> Self {
        match numbers[..] {
            [number] => Self::One(number),
            _ => Self::Many(numbers.into()),
        }
    }
}

/// NaN is worse than every number, and equal to itself.
fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// The order of tuples: the first difference decides, then the length.
pub(crate) fn compare_all(a: &[f64], b: &[f64]) -> Ordering {
    let difference = a
        .iter()
        .zip(b)
        .map(|(a, b)| compare(*a, *b))
        .find(|order| order.is_ne());
    difference.unwrap_or_else(|| a.len().cmp(&b.len()))
}

/// The fitness of an individual, native; a drop-in for ``deap.base.Fitness``.
///
/// Make a class of it that says which way is better, as with DEAP:
/// ``creator.create("FitnessMin", opcodon.deap.Fitness, weights=(-1.0,))``.
#[pyclass(subclass, weakref, module = "opcodon.deap")]
pub(crate) struct Fitness {
    weights: Numbers,
    /// Values times weights; `None` while the fitness is not valid.
    weighted: Option<Numbers>,
}

impl Fitness {
    /// The weighted values; none while the fitness is not valid.
    pub(crate) fn weighted(&self) -> &[f64] {
        self.weighted.as_ref().map_or(&[], Numbers::as_slice)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = f64> {
        self.weighted()
            .iter()
            .zip(self.weights.as_slice())
            .map(|(value, weight)| value / weight)
    }

    /// A copy of a fitness, of the same class. As in DEAP, attributes are not copied.
    pub(crate) fn copy<'py>(fitness: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let class = fitness.get_type();
        class.call_method1(intern!(fitness.py(), "__new__"), (&class, fitness))
    }

    fn set(&mut self, values: &Bound<'_, PyAny>, class: &Bound<'_, PyType>) -> PyResult<()> {
        let py = values.py();
        let weights = self.weights.as_slice();
        let numbers = Numbers::extract(values).map_err(|cause| {
            let error = PyTypeError::new_err(format!(
                "the values of a {} must be a sequence of {} numbers, not {}",
                class
                    .qualname()
                    .map_or_else(|_| "fitness".to_owned(), |name| name.to_string()),
                weights.len(),
                values
                    .repr()
                    .map_or_else(|_| type_name(values), |text| text.to_string())
            ));
            error.set_cause(py, Some(cause));
            error
        })?;
        let values = numbers.as_slice();
        if values.len() != weights.len() {
            return Err(PyAssertionError::new_err(format!(
                "Assigned values have not the same length than fitness weights: {} values, {} weights",
                values.len(),
                weights.len()
            )));
        }
        self.weighted = Some(match (values, weights) {
            ([value], [weight]) => Numbers::One(value * weight),
            _ => values
                .iter()
                .zip(weights)
                .map(|(value, weight)| value * weight)
                .collect::<Vec<_>>()
                .into(),
        });
        Ok(())
    }
}

/// Calls `body` with the weighted values of any fitness, native or DEAP's own.
pub(crate) fn with_weighted<R>(
    fitness: &Bound<'_, PyAny>,
    body: impl FnOnce(&[f64]) -> R,
) -> PyResult<R> {
    if let Ok(fitness) = fitness.cast::<Fitness>() {
        return Ok(body(fitness.try_borrow()?.weighted()));
    }
    let weighted: Vec<f64> = fitness
        .getattr(intern!(fitness.py(), "wvalues"))?
        .extract()?;
    Ok(body(&weighted))
}

#[pymethods]
impl Fitness {
    #[new]
    #[classmethod]
    #[pyo3(signature = (values = None))]
    fn new(class: &Bound<'_, PyType>, values: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        if let Some(values) = values
            && let Ok(other) = values.cast::<Self>()
            && other.get_type().is(class)
        {
            let other = other.try_borrow()?;
            return Ok(Self {
                weights: other.weights.clone(),
                weighted: other.weighted.clone(),
            });
        }
        let py = class.py();
        let weights = class.getattr(intern!(py, "weights"))?;
        let name = class.qualname()?;
        if weights.is_none() {
            return Err(PyTypeError::new_err(format!(
                "{name} has no weights: make a class of it with \
                 creator.create(\"FitnessMin\", opcodon.deap.Fitness, weights=(-1.0,))"
            )));
        }
        let weights = Numbers::extract(&weights).map_err(|_| {
            PyTypeError::new_err(format!(
                "Attribute weights of {name} must be a sequence of numbers."
            ))
        })?;
        let mut fitness = Self {
            weights,
            weighted: None,
        };
        if let Some(values) = values
            && values.len()? > 0
        {
            fitness.set(values, class)?;
        }
        Ok(fitness)
    }

    #[classattr]
    fn weights(py: Python<'_>) -> Py<PyAny> {
        py.None()
    }

    /// Whether the fitness has values.
    #[getter]
    fn valid(&self) -> bool {
        self.weighted.is_some()
    }

    /// The values, one an objective; empty while the fitness is not valid. Deleting them makes the
    /// fitness invalid.
    #[getter]
    fn get_values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.values().collect::<Vec<_>>())
    }

    #[setter]
    fn set_values(slf: &Bound<'_, Self>, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let class = slf.get_type();
        slf.try_borrow_mut()?.set(values, &class)
    }

    #[deleter]
    fn delete_values(&mut self) {
        self.weighted = None;
    }

    /// The values times the weights: of two, the greater is the better one.
    #[getter]
    fn get_wvalues<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.weighted())
    }

    #[setter]
    fn set_wvalues(&mut self, wvalues: &Bound<'_, PyAny>) -> PyResult<()> {
        let numbers = Numbers::extract(wvalues)?;
        self.weighted = (!numbers.as_slice().is_empty()).then_some(numbers);
        Ok(())
    }

    /// Whether no objective is worse than in ``other`` and at least one is better.
    #[pyo3(signature = (other, obj = None))]
    fn dominates(
        &self,
        other: &Bound<'_, PyAny>,
        obj: Option<&Bound<'_, PySlice>>,
    ) -> PyResult<bool> {
        with_weighted(other, |theirs| {
            let ours = self.weighted();
            let n = ours.len().min(theirs.len());
            let mut better = false;
            let mut check = |index: usize| match compare(ours[index], theirs[index]) {
                Ordering::Less => false,
                order => {
                    better |= order.is_gt();
                    true
                }
            };
            let no_worse = match obj {
                None => (0..n).all(&mut check),
                Some(slice) => {
                    let range = slice.indices(n.cast_signed())?;
                    let mut index = range.start;
                    (0..range.slicelength).all(|_| {
                        let ok = check(index.cast_unsigned());
                        index += range.step;
                        ok
                    })
                }
            };
            Ok(no_worse && better)
        })?
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
        let py = other.py();
        match with_weighted(other, |theirs| compare_all(self.weighted(), theirs)) {
            Ok(order) => Ok(op
                .matches(order)
                .into_pyobject(py)?
                .to_owned()
                .into_any()
                .unbind()),
            // Something that is no fitness.
            Err(_) => Ok(py.NotImplemented()),
        }
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for &value in self.weighted() {
            // Equal numbers have equal hashes: -0 and 0, any NaN and any other.
            let value = if value.is_nan() {
                f64::NAN
            } else {
                value + 0.0
            };
            value.to_bits().hash(&mut hasher);
        }
        hasher.finish()
    }

    fn __deepcopy__<'py>(
        slf: &Bound<'py, Self>,
        _memo: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::copy(slf)
    }

    fn __copy__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::copy(slf)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let values = slf.try_borrow()?.get_values(py)?;
        (slf.get_type(), (values,), attributes(slf.as_any())?).into_pyobject(py)
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.get_values(py)?.str()?.to_string())
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let class = slf.get_type();
        let values = slf.try_borrow()?.get_values(slf.py())?;
        Ok(format!(
            "{}.{}({})",
            class.module()?,
            class.qualname()?,
            values.repr()?
        ))
    }
}

/// The instance dictionary, if the class has one and something is in it.
pub(crate) fn attributes<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Ok(dictionary) = object.getattr(intern!(object.py(), "__dict__")) else {
        return Ok(None);
    };
    let dictionary = dictionary.cast_into::<PyDict>()?;
    Ok((!dictionary.is_empty()).then_some(dictionary))
}
