//! `staticLimit`: operators whose children stay within a limit.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::measure::Measure;
use super::objects::deap_gp;
use super::random::draw;
use super::tree::Tree;

/// A decorator for operators: a child that measures more than ``max_value`` gives way to a copy of
/// one of its parents, chosen at random.
///
/// Parameters
/// ----------
/// key : callable
///     What is measured; ``operator.attrgetter("height")`` and ``len`` are recognised and fast.
/// max_value : number
///     The greatest value allowed.
#[pyfunction]
#[pyo3(name = "staticLimit")]
pub(crate) fn static_limit(key: Py<PyAny>, max_value: Py<PyAny>) -> Limit {
    Limit { key, max_value }
}

/// The decorator that `staticLimit` makes.
#[pyclass(frozen, module = "opcodon.deap", name = "_Limit")]
pub(crate) struct Limit {
    key: Py<PyAny>,
    max_value: Py<PyAny>,
}

#[pymethods]
impl Limit {
    fn __call__(&self, func: &Bound<'_, PyAny>) -> PyResult<LimitedOperator> {
        let py = func.py();
        Ok(LimitedOperator {
            function: func.clone().unbind(),
            measure: Measure::of(self.key.bind(py))?,
            key: self.key.clone_ref(py),
            max: self.max_value.extract(py).ok(),
            max_value: self.max_value.clone_ref(py),
        })
    }
}

/// An operator under a limit.
#[pyclass(frozen, module = "opcodon.deap", name = "_LimitedOperator")]
pub(crate) struct LimitedOperator {
    function: Py<PyAny>,
    measure: Measure,
    key: Py<PyAny>,
    max_value: Py<PyAny>,
    /// The limit, if it is a whole number that is not negative.
    max: Option<usize>,
}

impl LimitedOperator {
    fn exceeds(&self, tree: &Bound<'_, Tree>) -> PyResult<bool> {
        let py = tree.py();
        if let Some(max) = self.max {
            let tree = tree.try_borrow()?;
            let n_nodes = tree.genes.len();
            match self.measure {
                Measure::Size => return Ok(n_nodes > max),
                // A tree is lower than it has nodes.
                Measure::Height => {
                    return Ok(n_nodes > max && tree.words(py).grammar.height(&tree.genes) > max);
                }
                _ => {}
            }
        }
        self.key.bind(py).call1((tree,))?.gt(&self.max_value)
    }
}

#[pymethods]
impl LimitedOperator {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let function = self.function.bind(py);
        let mut parents = Vec::with_capacity(args.len());
        for parent in args {
            let Ok(parent) = parent.cast_into::<Tree>() else {
                return deap_gp(py)?
                    .call_method1(intern!(py, "staticLimit"), (&self.key, &self.max_value))?
                    .call1((function,))?
                    .call(args, kwargs);
            };
            let (vocabulary, genes) = {
                let parent = parent.try_borrow()?;
                (parent.vocabulary.clone_ref(py), parent.genes.clone())
            };
            parents.push((parent, vocabulary, genes));
        }
        let children = function.call(args, kwargs)?;
        let max_value = self.max_value.bind(py);
        let mut kept: Option<Vec<Bound<'py, PyAny>>> = None;
        for (index, child) in children.try_iter()?.enumerate() {
            let child = child?;
            let exceeds = match child.cast::<Tree>() {
                Ok(tree) => self.exceeds(tree)?,
                Err(_) => self.key.bind(py).call1((&child,))?.gt(max_value)?,
            };
            if !exceeds {
                continue;
            }
            let (parent, vocabulary, genes) = &parents[draw(py, |rng| rng.below(parents.len()))?];
            // Operators leave fitness and attributes alone, so they are still the parent's.
            let copy = Tree::copy(parent, None)?;
            {
                let mut copy = copy.try_borrow_mut()?;
                copy.vocabulary = vocabulary.clone_ref(py);
                copy.genes.clone_from(genes);
            }
            let list = match &mut kept {
                Some(list) => list,
                None => kept.insert(children.try_iter()?.collect::<PyResult<_>>()?),
            };
            list[index] = copy.into_any();
        }
        match kept {
            None => Ok(children),
            Some(list) => Ok(PyTuple::new(py, list)?.into_any()),
        }
    }

    /// The operator may be a function of the toolbox in which it stands.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.key)
    }

    /// The operator itself.
    #[getter]
    fn __wrapped__(&self, py: Python<'_>) -> Py<PyAny> {
        self.function.clone_ref(py)
    }

    #[getter]
    fn __name__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.function.bind(py).getattr(intern!(py, "__name__"))
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let this = slf.get();
        let restore = slf.get_type().getattr(intern!(py, "_restore"))?;
        Ok((
            restore,
            (&this.key, &this.max_value, &this.function).into_pyobject(py)?,
        ))
    }

    #[staticmethod]
    fn _restore(
        key: Py<PyAny>,
        max_value: Py<PyAny>,
        function: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Limit { key, max_value }.__call__(function)
    }
}
