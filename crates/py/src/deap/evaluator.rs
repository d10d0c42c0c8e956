//! `opcodon.deap.Evaluator`: the loss of a whole population on one table.
//!
//! The table is laid out once. Every call then compiles all trees it is given, but those whose loss
//! it knows from before, into one arena, makes that executable once, and runs the kernels, which
//! add up the loss without writing a column.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use numpy::PyArray1;
use opcodon_expr::Expr;
use opcodon_jit::{Goal, JitError, Panel};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::function::{formula, formula_of_genes, genes_of};
use super::lower::Lowering;
use super::recent::Recent;
use super::vocabulary::Vocabulary;
use crate::array::{Matrix, Vector, n_dimensions};
use crate::columns::panel;
use crate::error::jit_error;
use crate::kernels::{Kept, lend};

/// What is made of the errors of all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// Mean of squared errors.
    Mse,
    /// Square root of it.
    Rmse,
    /// Mean of absolute errors.
    Mae,
}

const LOSSES: [(&str, Loss); 3] = [("mse", Loss::Mse), ("rmse", Loss::Rmse), ("mae", Loss::Mae)];

/// The table in the precision of the computation.
enum Table {
    F64(Panel<f64>),
    F32(Panel<f32>),
}

/// The trees without repetitions, and for each where it is now: a third of the trees that a run
/// evaluates in a generation are copies of others.
fn distinct(trees: Vec<Expr>) -> (Vec<Expr>, Vec<usize>) {
    let mut seen: HashMap<u64, usize> = HashMap::with_capacity(trees.len());
    let mut kept: Vec<Expr> = Vec::with_capacity(trees.len());
    let mut places = Vec::with_capacity(trees.len());
    for tree in trees {
        let place = *seen.entry(tree.structural_hash()).or_insert(kept.len());
        match kept.get(place) {
            Some(known) if *known == tree => places.push(place),
            // A new tree, or the rare one whose hash is another's.
            _ => {
                places.push(kept.len());
                kept.push(tree);
            }
        }
    }
    (kept, places)
}

/// The losses of trees.
fn losses<T: Kept>(
    panel: &Panel<T>,
    trees: &[Expr],
    n_inputs: usize,
    goal: Goal,
    n_threads: usize,
) -> Result<Vec<f64>, JitError> {
    let mut losses = vec![0.0; trees.len()];
    let mut generation = lend(panel.n_rows(), n_threads)?;
    generation.compile(trees, n_inputs, goal)?;
    generation.losses(panel, None, &mut losses)?;
    Ok(losses)
}

/// The loss of trees on a table; a fitness function for one individual and for populations.
///
/// ``toolbox.register("evaluate", evaluator)`` makes it the fitness function of an individual. With
/// ``toolbox.register("map", evaluator.map)`` as well, ``toolbox.map(toolbox.evaluate, population)``
/// compiles and runs the whole population at once.
///
/// Parameters
/// ----------
/// pset : deap.gp.PrimitiveSet
///     The primitive set of the trees.
/// X : array of shape (n_rows, n_arguments), or (n_rows,) if there is one argument
///     One column for each argument of the primitive set.
/// y : array of shape (n_rows,)
///     What the trees should compute.
/// loss : {"mse", "rmse", "mae"}, default "mse"
///     What is made of the errors.
/// n_jobs : int, default 1
///     Number of threads; -1 for one a processor. The result does not depend on it.
/// sample_weight : array of shape (n_rows,), optional
///     How much each row counts.
/// dtype : {"float64", "float32"}, default "float64"
///     The precision of the computation.
/// with_size : bool, default False
///     Whether to return the number of nodes as second objective.
/// worst : float, default inf
///     The loss of a tree whose loss is not a number.
#[pyclass(frozen, weakref, module = "opcodon.deap")]
pub(crate) struct Evaluator {
    pset: Py<PyAny>,
    table: Table,
    goal: Goal,
    loss: Loss,
    n_inputs: usize,
    n_threads: usize,
    with_size: bool,
    worst: f64,
    /// Losses of the trees that were asked for last.
    recent: Mutex<Recent<f64>>,
    /// What the constructor was given, for pickling.
    arguments: Py<PyDict>,
}

impl Evaluator {
    /// The losses of individuals: remembered, or else computed all at once.
    fn evaluate(&self, individuals: &[Bound<'_, PyAny>], py: Python<'_>) -> PyResult<Vec<f64>> {
        let pset = self.pset.bind(py);
        let vocabulary = Vocabulary::of(pset)?;
        let words = vocabulary.get();
        let recent = || self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lowering = Lowering::default();
        let mut losses = vec![self.worst; individuals.len()];
        let mut trees = Vec::new();
        let mut unknown = Vec::new();
        for (individual, loss) in individuals.iter().zip(&mut losses) {
            let genes = genes_of(individual, words)?;
            let key = genes.as_ref().and_then(|genes| words.key(genes));
            if let Some(key) = &key
                && let Some(&known) = recent().get(key)
            {
                *loss = known;
                continue;
            }
            trees.push(match genes {
                Some(genes) => formula_of_genes(&genes, pset, words, &mut lowering)?,
                None => formula(individual, pset, words, &mut lowering)?,
            });
            unknown.push((loss, key));
        }
        if trees.is_empty() {
            return Ok(losses);
        }
        let (computed, places) = py
            .detach(|| {
                let (trees, places) = distinct(trees);
                Ok((self.compute(&trees)?, places))
            })
            .map_err(|error| jit_error(&error))?;
        let mut recent = recent();
        for ((loss, key), place) in unknown.into_iter().zip(places) {
            let error = computed[place];
            if !error.is_nan() {
                *loss = if self.loss == Loss::Rmse {
                    error.sqrt()
                } else {
                    error
                };
            }
            if let Some(key) = key {
                // A number: letting it go runs nobody's code.
                let _ = recent.insert(key, *loss);
            }
        }
        Ok(losses)
    }

    /// What the kernels add up.
    fn compute(&self, trees: &[Expr]) -> Result<Vec<f64>, JitError> {
        match &self.table {
            Table::F64(panel) => losses(panel, trees, self.n_inputs, self.goal, self.n_threads),
            Table::F32(panel) => losses(panel, trees, self.n_inputs, self.goal, self.n_threads),
        }
    }

    fn fitness<'py>(
        &self,
        individual: &Bound<'py, PyAny>,
        loss: f64,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let py = individual.py();
        if self.with_size {
            return (loss, individual.len()?).into_pyobject(py);
        }
        (loss,).into_pyobject(py)
    }

    /// Whether a function is this evaluator, bare or as a toolbox wraps it.
    fn is_own(slf: &Bound<'_, Self>, function: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = slf.py();
        if function.is(slf) {
            return Ok(true);
        }
        let partial = py
            .import(intern!(py, "functools"))?
            .getattr(intern!(py, "partial"))?;
        Ok(function.get_type().is(&partial)
            && function.getattr(intern!(py, "func"))?.is(slf)
            && function.getattr(intern!(py, "args"))?.len()? == 0
            && function.getattr(intern!(py, "keywords"))?.len()? == 0)
    }
}

#[pymethods]
impl Evaluator {
    #[new]
    #[pyo3(signature = (pset, X, y, loss = "mse", n_jobs = 1, *, sample_weight = None, dtype = "float64", with_size = false, worst = f64::INFINITY))]
    #[expect(non_snake_case, reason = "the name that the scientific packages use")]
    #[expect(clippy::too_many_arguments, reason = "named in Python")]
    fn new<'py>(
        pset: &Bound<'py, PyAny>,
        X: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        loss: &str,
        n_jobs: isize,
        sample_weight: Option<&Bound<'py, PyAny>>,
        dtype: &str,
        with_size: bool,
        worst: f64,
    ) -> PyResult<Self> {
        let py = pset.py();
        let arguments = PyDict::new(py);
        arguments.set_item("pset", pset)?;
        arguments.set_item("X", X)?;
        arguments.set_item("y", y)?;
        arguments.set_item("loss", loss)?;
        arguments.set_item("n_jobs", n_jobs)?;
        arguments.set_item("sample_weight", sample_weight)?;
        arguments.set_item("dtype", dtype)?;
        arguments.set_item("with_size", with_size)?;
        arguments.set_item("worst", worst)?;

        let names = LOSSES.map(|(name, _)| name).join(", ");
        let loss = LOSSES
            .into_iter()
            .find(|(name, _)| *name == loss)
            .ok_or_else(|| {
                PyValueError::new_err(format!("loss is {loss:?}, but must be one of: {names}"))
            })?
            .1;
        let n_threads = match n_jobs {
            -1 => thread::available_parallelism().map_or(1, usize::from),
            1.. => n_jobs.unsigned_abs(),
            _ => {
                return Err(PyValueError::new_err(format!(
                    "n_jobs is {n_jobs}, but must be -1 or positive"
                )));
            }
        };
        let vocabulary = Vocabulary::of(pset)?;
        let names = &vocabulary.get().arguments;
        let n_inputs = names.len();
        let numpy = py.import(intern!(py, "numpy"))?;
        // What is no array is reported below.
        let table = numpy
            .call_method1(intern!(py, "asarray"), (X,))
            .unwrap_or_else(|_| X.clone());
        let table = if n_inputs == 1 && n_dimensions(&table).is_ok_and(|n| n == 1) {
            table.call_method1(intern!(py, "reshape"), ((-1, 1),))?
        } else {
            table
        };
        let matrix = Matrix::extract("X", &table, names)?;
        let n_rows = matrix.view().n_rows();
        if n_rows == 0 {
            return Err(PyValueError::new_err(
                "X has no rows: there is nothing to compute a loss of",
            ));
        }
        let mut extra = vec![Vector::extract("y", y, n_rows)?.finite("y")?];
        if let Some(weights) = sample_weight {
            extra.push(Vector::extract("sample_weight", weights, n_rows)?.weights()?);
        }
        let extra: Vec<&[f64]> = extra.iter().map(Vec::as_slice).collect();
        let table = match dtype {
            "float64" => panel(matrix.view(), &extra, n_threads).map(Table::F64),
            "float32" => panel(matrix.view(), &extra, n_threads).map(Table::F32),
            _ => {
                return Err(PyValueError::new_err(format!(
                    "dtype is {dtype:?}, but must be \"float64\" or \"float32\""
                )));
            }
        };
        let table = table.map_err(|error| jit_error(&error))?;
        let target = u32::try_from(n_inputs)?;
        let weight = sample_weight.is_some().then_some(target + 1);
        Ok(Self {
            pset: pset.clone().unbind(),
            table,
            goal: match loss {
                Loss::Mse | Loss::Rmse => Goal::Mse { target, weight },
                Loss::Mae => Goal::Mae { target, weight },
            },
            loss,
            n_inputs,
            n_threads,
            with_size,
            worst,
            recent: Mutex::default(),
            arguments: arguments.unbind(),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pset)?;
        visit.call(&self.arguments)
    }

    /// The fitness of one individual: ``(loss,)``, or ``(loss, size)``.
    fn __call__<'py>(&self, individual: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTuple>> {
        let losses = self.evaluate(std::slice::from_ref(individual), individual.py())?;
        self.fitness(individual, losses[0])
    }

    /// The fitness of every individual, computed at once if ``function`` is this evaluator.
    ///
    /// Any other function is mapped as the builtin ``map`` does it.
    #[pyo3(signature = (function, *iterables))]
    fn map<'py>(
        slf: &Bound<'py, Self>,
        function: &Bound<'py, PyAny>,
        iterables: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if iterables.len() != 1 || !Self::is_own(slf, function)? {
            let map = py
                .import(intern!(py, "builtins"))?
                .getattr(intern!(py, "map"))?;
            let mut arguments = vec![function.clone()];
            arguments.extend(iterables.iter());
            return map.call1(PyTuple::new(py, arguments)?);
        }
        let this = slf.get();
        let individuals = individuals(&iterables.get_item(0)?)?;
        let losses = this.evaluate(&individuals, py)?;
        let fitnesses: Vec<_> = individuals
            .iter()
            .zip(losses)
            .map(|(individual, loss)| this.fitness(individual, loss))
            .collect::<PyResult<_>>()?;
        Ok(PyList::new(py, fitnesses)?.into_any())
    }

    /// The losses of a population as an array of shape ``(n_individuals,)``.
    fn losses<'py>(&self, population: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let py = population.py();
        Ok(PyArray1::from_vec(
            py,
            self.evaluate(&individuals(population)?, py)?,
        ))
    }

    /// The pickle holds the table, so that processes can be given the evaluator.
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        let py = slf.py();
        let restore = slf.get_type().getattr(intern!(py, "_restore"))?;
        Ok((restore, (slf.get().arguments.bind(py).clone(),)))
    }

    #[staticmethod]
    fn _restore<'py>(arguments: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        arguments.py().get_type::<Self>().call((), Some(arguments))
    }

    fn __repr__(&self) -> String {
        let (n_rows, precision) = match &self.table {
            Table::F64(panel) => (panel.n_rows(), "float64"),
            Table::F32(panel) => (panel.n_rows(), "float32"),
        };
        let loss = LOSSES
            .iter()
            .find(|(_, loss)| *loss == self.loss)
            .map_or("", |(name, _)| name);
        format!(
            "<opcodon.deap.Evaluator: {loss} of {} arguments on {n_rows} rows, {precision}>",
            self.n_inputs
        )
    }
}

fn individuals<'py>(population: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    match population.cast::<PyList>() {
        Ok(list) => Ok(list.iter().collect()),
        Err(_) => population
            .try_iter()
            .map_err(|_| PyTypeError::new_err("a population must be an iterable of individuals"))?
            .collect(),
    }
}
