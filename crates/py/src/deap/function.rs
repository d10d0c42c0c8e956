//! `opcodon.deap.compile` and the function that it returns.

use std::sync::{Arc, PoisonError};

use numpy::ndarray::ArrayView1;
use numpy::{
    Element, PyArray1, PyArrayMethods, PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods,
};
use opcodon_codemem::Abi;
use opcodon_expr::{Expr, print};
use opcodon_jit::{CompiledExpr, Goal, Panel};
use opcodon_listing::Listing;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use super::UnknownPrimitiveError;
use super::grammar::Gene;
use super::lower::Lowering;
use super::objects::{deap_gp, type_name};
use super::text;
use super::tree::Tree;
use super::vocabulary::Vocabulary;
use crate::assembly::{disassembly, syntax};
use crate::error::jit_error;
use crate::expression::Expression;
use crate::kernels::{Kept, lend, tier};
use crate::seal::vectorcall::{self, Callable, Entry, Outcome};

/// A tree as machine code; called like the function that ``deap.gp.compile`` returns.
///
/// Called with numbers it returns a float (or a bool, if the primitive set says so); called with
/// arrays, one for each argument, it returns an array of their broadcast shape.
#[pyclass(frozen, weakref, module = "opcodon.deap")]
pub(crate) struct Function {
    compiled: CompiledExpr,
    expr: Expr,
    names: Arc<[String]>,
    returns_bool: bool,
    entry: Entry,
}

impl Callable for Function {
    fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl Function {
    fn new(expr: Expr, names: Arc<[String]>, returns_bool: bool) -> PyResult<Self> {
        let compiled = tier()
            .and_then(|tier| CompiledExpr::with(&expr, names.len(), Abi::host(), tier))
            .map_err(|error| jit_error(&error))?;
        let outcome = if returns_bool {
            Outcome::Bool
        } else {
            Outcome::Float
        };
        Ok(Self {
            entry: Entry::new::<Self>(compiled.function(), outcome),
            compiled,
            expr,
            names,
            returns_bool,
        })
    }

    pub(crate) fn expr(&self) -> &Expr {
        &self.expr
    }

    pub(crate) fn n_arguments(&self) -> usize {
        self.compiled.n_args()
    }

    fn value<'py>(&self, py: Python<'py>, arguments: &[f64]) -> PyResult<Bound<'py, PyAny>> {
        let value = self
            .compiled
            .call(arguments)
            .map_err(|error| jit_error(&error))?;
        Ok(if self.returns_bool {
            PyBool::new(py, value != 0.0).to_owned().into_any()
        } else {
            PyFloat::new(py, value).into_any()
        })
    }

    fn count_error(&self, n_given: usize) -> PyErr {
        let names = &self.names;
        PyTypeError::new_err(format!(
            "the tree has {} arguments ({}), but {n_given} were given",
            names.len(),
            names.join(", ")
        ))
    }

    /// Puts arguments given by name in order.
    fn in_order<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let py = args.py();
        let names = &*self.names;
        let mut values: Vec<Option<Bound<'py, PyAny>>> = args.iter().map(Some).collect();
        if values.len() > names.len() {
            return Err(self.count_error(values.len()));
        }
        values.resize(names.len(), None);
        for (name, value) in kwargs {
            let name: String = name.extract()?;
            let place = names
                .iter()
                .position(|known| *known == name)
                .ok_or_else(|| {
                    PyTypeError::new_err(format!(
                        "the tree has no argument {name}; it has {}",
                        names.join(", ")
                    ))
                })?;
            if values[place].replace(value).is_some() {
                return Err(PyTypeError::new_err(format!(
                    "two values were given for the argument {name}"
                )));
            }
        }
        let n_given = values.iter().flatten().count();
        let values = values.into_iter().collect::<Option<Vec<_>>>();
        PyTuple::new(py, values.ok_or_else(|| self.count_error(n_given))?)
    }

    /// Arguments of any kind.
    fn call_objects<'py>(&self, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        if args.len() != self.n_arguments() {
            return Err(self.count_error(args.len()));
        }
        if let Some(numbers) = numbers(args) {
            return self.value(py, &numbers);
        }
        if let Some(values) = self.call_columns(args)? {
            return Ok(values);
        }
        let numpy = py.import(intern!(py, "numpy"))?;
        let mut numbers = Vec::with_capacity(args.len());
        let mut arrays = Vec::with_capacity(args.len());
        let mut any_array = false;
        let mut all_f32 = true;
        for (index, argument) in args.iter().enumerate() {
            let is_array = argument
                .cast::<PyUntypedArray>()
                .is_ok_and(|array| array.ndim() > 0)
                || argument.hasattr(intern!(py, "__array__"))?
                    && argument.getattr(intern!(py, "ndim"))?.extract::<usize>()? > 0;
            if !is_array {
                let number: f64 = argument.extract().map_err(|_| {
                    PyTypeError::new_err(format!(
                        "argument {} is a {}, but a number or an array of numbers is needed",
                        self.names.get(index).map_or("?", String::as_str),
                        type_name(&argument)
                    ))
                })?;
                numbers.push(number);
                arrays.push(argument);
                continue;
            }
            any_array = true;
            let array = numpy.call_method1(intern!(py, "asarray"), (argument,))?;
            all_f32 &= array
                .getattr(intern!(py, "dtype"))?
                .is(numpy::dtype::<f32>(py).as_any());
            arrays.push(array);
        }
        if !any_array {
            return self.value(py, &numbers);
        }
        let arrays =
            numpy.call_method1(intern!(py, "broadcast_arrays"), PyTuple::new(py, arrays)?)?;
        let shape = arrays.get_item(0)?.getattr(intern!(py, "shape"))?;
        let result = if all_f32 {
            self.map_arrays::<f32>(&numpy, &arrays, intern!(py, "float32"))?
        } else {
            self.map_arrays::<f64>(&numpy, &arrays, intern!(py, "float64"))?
        };
        let result = if self.returns_bool {
            result.call_method1(intern!(py, "astype"), (py.get_type::<PyBool>(),))?
        } else {
            result
        };
        result.call_method1(intern!(py, "reshape"), (shape,))
    }

    /// The common case of arrays that can be read as they lie; `None` if it is not the case.
    fn call_columns<'py>(&self, args: &Bound<'py, PyTuple>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = args.py();
        let mut columns = Vec::with_capacity(args.len());
        for argument in args {
            let Ok(array) = argument.cast_into::<PyArray1<f64>>() else {
                return Ok(None);
            };
            let flags = array.getattr(intern!(py, "flags"))?;
            if !flags.getattr(intern!(py, "aligned"))?.is_truthy()? {
                return Ok(None);
            }
            columns.push(array.readonly());
        }
        if self.returns_bool
            || columns
                .windows(2)
                .any(|pair| pair[0].len() != pair[1].len())
        {
            return Ok(None);
        }
        let views: Vec<ArrayView1<'_, f64>> =
            columns.iter().map(PyReadonlyArray1::as_array).collect();
        self.map_columns(py, &views).map(Some)
    }

    fn map_arrays<'py, T: Kept + Element>(
        &self,
        numpy: &Bound<'py, PyModule>,
        arrays: &Bound<'py, PyAny>,
        dtype: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = arrays.py();
        let mut columns: Vec<PyReadonlyArray1<'py, T>> = Vec::new();
        for array in arrays.try_iter()? {
            let options = PyDict::new(py);
            options.set_item(intern!(py, "dtype"), dtype)?;
            options.set_item(intern!(py, "requirements"), intern!(py, "A"))?;
            let flat = array?.call_method0(intern!(py, "ravel"))?;
            let column = numpy.call_method(intern!(py, "require"), (flat,), Some(&options))?;
            columns.push(column.cast_into::<PyArray1<T>>()?.readonly());
        }
        let views: Vec<ArrayView1<'_, T>> =
            columns.iter().map(PyReadonlyArray1::as_array).collect();
        self.map_columns(py, &views)
    }

    /// The values at every row of columns, which are all of the same length.
    fn map_columns<'py, T: Kept + Element>(
        &self,
        py: Python<'py>,
        columns: &[ArrayView1<'_, T>],
    ) -> PyResult<Bound<'py, PyAny>> {
        let n_rows = columns.first().map_or(0, |column| column.len());
        let mut values = vec![T::default(); n_rows];
        if n_rows > 0 {
            py.detach(|| {
                let panel =
                    Panel::from_fn(columns.len(), n_rows, |column, row| columns[column][row]);
                let mut generation = lend(n_rows, 1)?;
                generation.compile([&self.expr], columns.len(), Goal::Predict)?;
                generation.predictions(&panel, &mut values)
            })
            .map_err(|error| jit_error(&error))?;
        }
        Ok(PyArray1::from_vec(py, values).into_any())
    }
}

#[pymethods]
impl Function {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        vectorcall::enable(slf);
        let this = slf.get();
        match kwargs {
            Some(kwargs) => this.call_objects(&this.in_order(args, kwargs)?),
            None => this.call_objects(args),
        }
    }

    /// The machine code of the scalar function, with the constants behind it.
    #[getter]
    fn code(&self) -> &[u8] {
        self.compiled.code()
    }

    /// The machine code of the scalar function as text, as `opcodon.disassemble` gives it.
    #[pyo3(signature = (style = "intel"))]
    fn disassemble<'py>(&self, py: Python<'py>, style: &str) -> PyResult<Bound<'py, PyAny>> {
        let (code, end) = (self.compiled.code(), self.compiled.n_instruction_bytes());
        disassembly(py, &Listing::with_data(code, end, syntax(style)?))
    }

    /// Where the machine code of the scalar function begins in memory.
    #[getter]
    fn builtin<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        vectorcall::builtin(slf)
    }

    #[getter]
    fn address(&self) -> usize {
        self.compiled.address()
    }

    /// The names of the arguments.
    #[getter]
    fn arguments<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names.iter())
    }

    /// The formula that is computed.
    #[getter]
    fn expression(&self) -> Expression {
        Expression::new(self.expr.clone(), Arc::clone(&self.names))
    }

    fn __repr__(&self) -> String {
        let formula = if self.expr.len() > 100 {
            format!("{} nodes", self.expr.len())
        } else {
            print::infix(&self.expr, &self.names)
        };
        format!(
            "<opcodon.deap.Function({}): {formula}>",
            self.names.join(", ")
        )
    }

    /// The pickle holds the formula; the machine code is made anew where it is read.
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let this = slf.get();
        let names = &*this.names;
        let text = print::prefix(&this.expr, names);
        let restore = slf.get_type().getattr(intern!(py, "_restore"))?;
        Ok((restore, (text, names, this.returns_bool).into_pyobject(py)?))
    }

    #[staticmethod]
    fn _restore(text: &str, names: Vec<String>, returns_bool: bool) -> PyResult<Self> {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let parsed = opcodon_expr::parse(text, Some(&known)).map_err(|error| {
            PyValueError::new_err(format!("the pickle of a function is damaged: {error}"))
        })?;
        Self::new(parsed.expr, names.into(), returns_bool)
    }
}

/// The values of arguments that are all Python's own numbers.
fn numbers(args: &Bound<'_, PyTuple>) -> Option<Vec<f64>> {
    args.iter_borrowed()
        .map(|argument| match argument.cast::<PyFloat>() {
            Ok(float) => Some(float.value()),
            Err(_) => argument.cast::<PyInt>().ok()?.extract().ok(),
        })
        .collect()
}

/// The genes of a tree, unless it is neither ours nor a list of nodes but only a text.
pub(crate) fn genes_of(tree: &Bound<'_, PyAny>, words: &Vocabulary) -> PyResult<Option<Vec<Gene>>> {
    if let Ok(native) = tree.cast::<Tree>() {
        let native = native.try_borrow()?;
        let genes = words.adopt(&native.genes, native.words(tree.py()))?;
        return Ok(Some(genes.into_owned()));
    }
    tree.is_instance_of::<PyList>()
        .then(|| words.genes(tree))
        .transpose()
}

/// The formula of a tree in whatever form the caller has it.
pub(crate) fn formula<'py>(
    tree: &Bound<'py, PyAny>,
    pset: &Bound<'py, PyAny>,
    words: &Vocabulary,
    lowering: &mut Lowering,
) -> PyResult<Expr> {
    if let Some(genes) = genes_of(tree, words)? {
        return formula_of_genes(&genes, pset, words, lowering);
    }
    let late = words.late_meanings(pset)?;
    text::formula(&tree.str()?, words, &late, lowering)
}

pub(crate) fn formula_of_genes(
    genes: &[Gene],
    pset: &Bound<'_, PyAny>,
    words: &Vocabulary,
    lowering: &mut Lowering,
) -> PyResult<Expr> {
    let late = words.late_meanings(pset)?;
    let nodes = lowering
        .run(
            &words.grammar,
            &words.meanings,
            &late,
            genes.iter().copied(),
        )
        .map_err(|obstacle| words.obstacle(pset.py(), obstacle, genes.len()))?;
    Expr::from_postfix(nodes).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The function of a list of DEAP's node objects; the one made before, if there is one.
fn function_of_nodes<'py>(
    nodes: &Bound<'py, PyAny>,
    pset: &Bound<'py, PyAny>,
    words: &Vocabulary,
) -> PyResult<Bound<'py, PyAny>> {
    let py = nodes.py();
    let genes = words.genes(nodes)?;
    let key = words.key(&genes);
    let recent = || words.recent.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(key) = &key
        && let Some(known) = recent().get(key)
    {
        return Ok(known.bind(py).clone().into_any());
    }
    let formula = formula_of_genes(&genes, pset, words, &mut Lowering::default())?;
    let made = words.make(py, formula)?;
    if let Some(key) = key
        && let Ok(function) = made.cast::<Function>()
    {
        // The lock is free again when what is no longer kept is dropped.
        let discarded = recent().insert(key, function.clone().unbind());
        drop(discarded);
    }
    Ok(made)
}

/// Compile a tree to machine code; a drop-in for ``deap.gp.compile``.
///
/// Parameters
/// ----------
/// expr : PrimitiveTree, list of nodes, str, or anything whose ``str`` is an expression
///     The tree. Of any depth.
/// pset : deap.gp.PrimitiveSet
///     The primitive set that it was made with.
/// fallback : bool, default False
///     What to do about a tree that holds a Python function of which nobody knows what it
///     computes: True has ``deap.gp.compile`` compile the tree.
///
/// Returns
/// -------
/// Function, or a number
///     A callable, or, if the primitive set has no arguments, the value of the tree. A tree that
///     was compiled a short while ago is not compiled again: the same object comes back.
///
/// Raises
/// ------
/// UnknownPrimitiveError
///     A primitive of the tree has no known meaning, and ``fallback`` is False. The message says
///     how to :func:`register` one.
#[pyfunction]
#[pyo3(signature = (expr, pset, *, fallback = false))]
pub(crate) fn compile<'py>(
    expr: &Bound<'py, PyAny>,
    pset: &Bound<'py, PyAny>,
    fallback: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let py = expr.py();
    let vocabulary = Vocabulary::of(pset)?;
    let words = vocabulary.get();
    let made = if expr.is_instance_of::<PyList>() {
        function_of_nodes(expr, pset, words)
    } else {
        formula(expr, pset, vocabulary.get(), &mut Lowering::default())
            .and_then(|formula| words.make(py, formula))
    };
    match made {
        Err(error) if fallback && error.is_instance_of::<UnknownPrimitiveError>(py) => {
            deap_gp(py)?.call_method1(intern!(py, "compile"), (expr, pset))
        }
        made => made,
    }
}

impl Vocabulary {
    /// What a formula compiles to: a function, or, without arguments, its value.
    fn make<'py>(&self, py: Python<'py>, formula: Expr) -> PyResult<Bound<'py, PyAny>> {
        if self.arguments.is_empty() {
            let value = formula.eval(&[]);
            return Ok(if self.returns_bool {
                PyBool::new(py, value != 0.0).to_owned().into_any()
            } else {
                PyFloat::new(py, value).into_any()
            });
        }
        let function = Function::new(formula, Arc::clone(&self.arguments), self.returns_bool)?;
        Ok(Bound::new(py, function)?.into_any())
    }
}
