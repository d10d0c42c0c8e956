//! `Population`: many expressions over the same variables, compiled together and run together.
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use numpy::{Element, PyArray1, PyArray2, PyArrayMethods, PyUntypedArrayMethods};
use opcodon_expr::{Expr, print};
use opcodon_jit::{Goal, JitError, Panel, Tier};
use opcodon_sr::{Loss, SrError};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList, PyString, PyTuple, PyType};

use crate::array::{Matrix, MatrixView, Vector};
use crate::columns::panel;
use crate::error::{jit_error, prefixed};
use crate::expression::{Expression, Names};
use crate::kernels::{Kept, Lent, lend, tier};

/// Many expressions over the same variables; the Python class of the same name.
#[pyclass(frozen, mapping, module = "opcodon", name = "Population")]
pub(crate) struct Population {
    expressions: Vec<Py<Expression>>,
    names: Names,
    n_jobs: i64,
    kernels: Kernels,
}

/// Kernels in the element type of the population.
enum Kernels {
    F64(Shared<f64>),
    F32(Shared<f32>),
}

/// The kernels that were compiled last; evaluating again for the same goal finds them.
type Shared<T> = Mutex<Option<Arc<Compiled<T>>>>;

/// What kernels are compiled for.
#[derive(Clone, PartialEq)]
enum Purpose {
    Goal(Goal),
    /// The mean of a formula of the value and the column of targets.
    Loss {
        formula: Expr,
        target: u32,
        weight: Option<u32>,
    },
}

/// The expressions as machine code for one purpose.
struct Compiled<T: Kept> {
    purpose: Purpose,
    generation: Lent<T>,
}

impl Population {
    fn list<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.expressions)
    }

    fn n_threads(&self) -> usize {
        let all = thread::available_parallelism().map_or(1, usize::from);
        usize::try_from(self.n_jobs)
            .unwrap_or(all)
            .min(self.expressions.len())
            .max(1)
    }

    fn compiled<T: Kept>(
        &self,
        shared: &Shared<T>,
        purpose: &Purpose,
        n_rows: usize,
    ) -> Result<Arc<Compiled<T>>, JitError> {
        let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(compiled) = kept.as_ref().filter(|c| c.purpose == *purpose) {
            return Ok(Arc::clone(compiled));
        }
        let trees = self.expressions.iter().map(|e| e.get().expr());
        let n_inputs = self.names.len();
        let mut generation = lend(n_rows, self.n_threads())?;
        match purpose {
            Purpose::Goal(goal) => generation.compile(trees, n_inputs, *goal)?,
            Purpose::Loss {
                formula,
                target,
                weight,
            } => generation.compile_loss(trees, n_inputs, formula, *target, *weight)?,
        }
        let compiled = Arc::new(Compiled {
            purpose: purpose.clone(),
            generation,
        });
        *kept = Some(Arc::clone(&compiled));
        Ok(compiled)
    }

    /// The array that a caller has for the values.
    fn room<'py, T: Element>(
        &self,
        shape: (usize, usize),
        out: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<T>>> {
        let (n_expressions, n_rows) = shape;
        let fits = |room: &&Bound<'py, PyArray2<T>>| {
            *room.shape() == [n_expressions, n_rows]
                && room.is_c_contiguous()
                && room.data().is_aligned()
        };
        out.cast::<PyArray2<T>>()
            .ok()
            .filter(fits)
            .cloned()
            .ok_or_else(|| {
                PyValueError::new_err(format!(
                    "out must be a contiguous array of shape ({n_expressions}, {n_rows}) and dtype {}",
                    self.dtype()
                ))
            })
    }

    /// The values of all trees at all rows, a row a tree.
    fn values<'py, T: Kept + Element>(
        &self,
        py: Python<'py>,
        shared: &Shared<T>,
        matrix: MatrixView<'_>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let n_rows = matrix.n_rows();
        let shape = (self.expressions.len(), n_rows);
        let values = match out {
            Some(out) => self.room(shape, out)?,
            // Numpy's memory is not cleared first, and comes in large pages where there are any.
            None => py
                .import("numpy")?
                .call_method1("empty", (shape, numpy::dtype::<T>(py)))?
                .cast_into::<PyArray2<T>>()?,
        };
        if values.len() > 0 {
            let mut cells = values.try_readwrite().map_err(|error| {
                PyValueError::new_err(format!("out cannot be written to: {error}"))
            })?;
            let cells = cells.as_slice_mut()?;
            py.detach(|| {
                let panel: Panel<T> = panel(matrix, &[], self.n_threads())?;
                self.compiled(shared, &Purpose::Goal(Goal::Predict), n_rows)?
                    .generation
                    .predictions(&panel, cells)
            })
            .map_err(|error| jit_error(&error))?;
        }
        Ok(values.into_any())
    }

    fn losses<T: Kept>(
        &self,
        shared: &Shared<T>,
        matrix: MatrixView<'_>,
        extra: &[&[f64]],
        purpose: &Purpose,
        bounds: Option<&[f64]>,
    ) -> Result<Vec<f64>, JitError> {
        let mut losses = vec![0.0; self.expressions.len()];
        let panel: Panel<T> = panel(matrix, extra, self.n_threads())?;
        self.compiled(shared, purpose, panel.n_rows())?
            .generation
            .losses(&panel, bounds, &mut losses)?;
        Ok(losses)
    }
}

/// What to compile for a loss: one of those that have kernels of their own, another that has a name,
/// or a user's formula, which has to do with the weights itself if it mentions them.
fn purpose(loss: &str, target: u32, weight: Option<u32>) -> PyResult<Purpose> {
    let told = |error: SrError| PyValueError::new_err(error.to_string());
    Ok(match Loss::from_text(loss) {
        Ok(Loss::Mse) => Purpose::Goal(Goal::Mse { target, weight }),
        Ok(Loss::Mae) => Purpose::Goal(Goal::Mae { target, weight }),
        Ok(other) => Purpose::Loss {
            formula: other.formula().map_err(told)?,
            target,
            weight,
        },
        // The weights are the column behind the targets.
        Err(error) => match opcodon_expr::parse(loss, Some(&["p", "y", "w"])) {
            Ok(parsed) if weight.is_some() => Purpose::Loss {
                formula: parsed.expr,
                target,
                weight: None,
            },
            Ok(_) => {
                return Err(PyValueError::new_err(format!(
                    "loss {loss:?} mentions the weights w, but there is no sample_weight"
                )));
            }
            Err(_) => return Err(told(error)),
        },
    })
}

/// A bound for each expression, from one for all or one for each.
fn bounds(bound: &Bound<'_, PyAny>, n_expressions: usize) -> PyResult<Vec<f64>> {
    let bounds = match bound.extract::<f64>() {
        Ok(bound) => vec![bound; n_expressions],
        Err(_) => Vector::one_for_each("expression", "bound", bound, n_expressions)?.to_vec(),
    };
    if let Some(index) = bounds.iter().position(|bound| bound.is_nan()) {
        return Err(PyValueError::new_err(format!(
            "bound must not be NaN, but that of expression {index} is"
        )));
    }
    Ok(bounds)
}

/// Expressions from a sequence of expressions and texts, over the same variables.
fn same_variables(
    py: Python<'_>,
    items: &Bound<'_, PyAny>,
    variables: Option<Vec<String>>,
) -> PyResult<(Vec<Py<Expression>>, Names)> {
    if items.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(
            "expressions must be a sequence of Expressions and texts, not one text",
        ));
    }
    let mut expressions: Vec<Py<Expression>> = Vec::new();
    let mut texts: Vec<usize> = Vec::new();
    for (index, item) in items.try_iter()?.enumerate() {
        let item = item?;
        if let Ok(expression) = item.cast::<Expression>() {
            expressions.push(expression.clone().unbind());
        } else if let Ok(text) = item.cast::<PyString>() {
            let parsed = Expression::parse(py, &text.to_cow()?, variables.clone())
                .map_err(|error| prefixed(py, &format!("expression {index}: "), &error))?;
            expressions.push(Py::new(py, parsed)?);
            texts.push(index);
        } else {
            return Err(PyTypeError::new_err(format!(
                "expression {index} must be an Expression or text, not {}",
                item.get_type()
            )));
        }
    }
    let names = match variables {
        Some(names) => names.into(),
        None => common_names(&expressions, &texts),
    };
    for &index in &texts {
        let expression = expressions[index].get();
        if *expression.names() != names {
            let widened = expression.over(&names)?;
            expressions[index] = Py::new(py, widened)?;
        }
    }
    for (index, expression) in expressions.iter().enumerate() {
        let own = expression.get().names();
        if *own != names {
            return Err(PyValueError::new_err(format!(
                "expression {index} has the variables ({}), but ({}) are those of the population: \
                 parse all with the same variables=[…]",
                own.join(", "),
                names.join(", ")
            )));
        }
    }
    Ok((expressions, names))
}

/// The variables of the first expression that is no text, or else those of all texts.
fn common_names(expressions: &[Py<Expression>], texts: &[usize]) -> Names {
    let given = (0..expressions.len()).find(|index| !texts.contains(index));
    if let Some(index) = given {
        return Arc::clone(expressions[index].get().names());
    }
    let mut names = Vec::new();
    for expression in expressions {
        for name in expression.get().names().iter() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    // In which order the variables of one text go is the parser's to say.
    let quoted: Vec<String> = (0..)
        .zip(&names)
        .map(|(index, _)| print::infix(&Expr::var(index), &names))
        .collect();
    opcodon_expr::parse(&quoted.join(" + "), None)
        .map_or(names, |parsed| parsed.variables)
        .into()
}

#[pymethods]
impl Population {
    #[new]
    #[pyo3(signature = (expressions, dtype="float64", n_jobs=1, *, variables=None))]
    fn new(
        py: Python<'_>,
        expressions: &Bound<'_, PyAny>,
        dtype: &str,
        n_jobs: i64,
        variables: Option<Vec<String>>,
    ) -> PyResult<Self> {
        let kernels = match dtype {
            "float64" => Kernels::F64(Mutex::default()),
            "float32" => Kernels::F32(Mutex::default()),
            _ => {
                return Err(PyValueError::new_err(format!(
                    "dtype must be \"float64\" or \"float32\", not {dtype:?}"
                )));
            }
        };
        if n_jobs == 0 || n_jobs < -1 {
            return Err(PyValueError::new_err(format!(
                "n_jobs must be a number of threads, or -1 for one on each processor, not {n_jobs}"
            )));
        }
        let (expressions, names) = same_variables(py, expressions, variables)?;
        Ok(Self {
            expressions,
            names,
            n_jobs,
            kernels,
        })
    }

    #[pyo3(signature = (X, *, out=None))]
    #[expect(non_snake_case, reason = "the name of the argument in Python")]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        X: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let matrix = Matrix::extract("X", X, &self.names)?;
        match &self.kernels {
            Kernels::F64(shared) => self.values(py, shared, matrix.view(), out),
            Kernels::F32(shared) => self.values(py, shared, matrix.view(), out),
        }
    }

    #[pyo3(signature = (X, y, loss="mse", sample_weight=None, bound=None))]
    #[expect(non_snake_case, reason = "the name of the argument in Python")]
    fn loss<'py>(
        &self,
        py: Python<'py>,
        X: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        loss: &str,
        sample_weight: Option<&Bound<'py, PyAny>>,
        bound: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let matrix = Matrix::extract("X", X, &self.names)?;
        let view = matrix.view();
        if view.n_rows() == 0 {
            return Err(PyValueError::new_err(
                "X has no rows: a loss needs at least one",
            ));
        }
        let target = Vector::extract("y", y, view.n_rows())?.finite("y")?;
        let weight = sample_weight
            .map(|weight| Vector::extract("sample_weight", weight, view.n_rows())?.weights())
            .transpose()?;
        let column = |index: usize| {
            u32::try_from(self.names.len() + index)
                .map_err(|error| PyValueError::new_err(error.to_string()))
        };
        let target_column = column(0)?;
        let weight_column = weight.as_ref().map(|_| column(1)).transpose()?;
        let purpose = purpose(loss, target_column, weight_column)?;
        let bounds = bound
            .map(|bound| bounds(bound, self.expressions.len()))
            .transpose()?;
        let bounds = bounds.as_deref();
        let extra: Vec<&[f64]> = [Some(&target), weight.as_ref()]
            .into_iter()
            .flatten()
            .map(Vec::as_slice)
            .collect();
        let losses = py.detach(|| match &self.kernels {
            Kernels::F64(shared) => self.losses(shared, view, &extra, &purpose, bounds),
            Kernels::F32(shared) => self.losses(shared, view, &extra, &purpose, bounds),
        });
        Ok(PyArray1::from_vec(
            py,
            losses.map_err(|error| jit_error(&error))?,
        ))
    }

    #[getter]
    fn variables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names.iter())
    }

    #[getter]
    fn dtype(&self) -> &'static str {
        match self.kernels {
            Kernels::F64(_) => "float64",
            Kernels::F32(_) => "float32",
        }
    }

    /// The instructions that the kernels are made of.
    #[getter]
    fn tier(&self) -> PyResult<&'static str> {
        tier().map(Tier::name).map_err(|error| jit_error(&error))
    }

    #[getter]
    fn n_jobs(&self) -> i64 {
        self.n_jobs
    }

    fn __len__(&self) -> usize {
        self.expressions.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.list(py)?.try_iter()
    }

    fn __getitem__<'py>(&self, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.list(index.py())?.as_any().get_item(index)
    }

    fn __repr__(&self) -> String {
        format!(
            "<Population of {} expressions in ({}), {}>",
            self.expressions.len(),
            self.names.join(", "),
            self.dtype()
        )
    }

    #[expect(clippy::type_complexity, reason = "a constructor and its arguments")]
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyType>, (Bound<'py, PyList>, &'static str, i64))> {
        let this = slf.get();
        Ok((
            slf.get_type(),
            (this.list(slf.py())?, this.dtype(), this.n_jobs),
        ))
    }
}
