//! `CompiledExpression`: one expression as machine code, for numbers and for arrays.
//!
//! Two pieces of code serve one expression. The scalar function takes its arguments in registers
//! and exists from the start; the kernel over columns is made at the first call with an array,
//! once for `float64` and once for `float32`.
use std::sync::OnceLock;

use numpy::PyArray1;
use opcodon_expr::Expr;
use opcodon_jit::{Batch, CompiledExpr, Float, Goal, JitError, Panel, Tier};
use opcodon_listing::{Listing, Syntax};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PyList, PyTuple, PyType};

use crate::array::{Matrix, MatrixView, as_array, n_dimensions};
use crate::assembly::{disassembly, syntax};
use crate::columns::panel;
use crate::error::jit_error;
use crate::expression::Expression;
use crate::seal::vectorcall::{self, Callable, Entry, Outcome};

/// An expression as machine code; the Python class of the same name.
#[pyclass(frozen, module = "opcodon", name = "CompiledExpression")]
pub(crate) struct CompiledExpression {
    expression: Py<Expression>,
    entry: Entry,
    /// None if there are more variables than a function can have arguments.
    scalar: Option<CompiledExpr>,
    f64: OnceLock<Batch<f64>>,
    f32: OnceLock<Batch<f32>>,
}

impl Callable for CompiledExpression {
    fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl CompiledExpression {
    fn n_variables(&self) -> usize {
        self.expression.get().names().len()
    }

    /// The value at a point, if all arguments are numbers.
    fn call_numbers(&self, arguments: &Bound<'_, PyTuple>) -> PyResult<Option<f64>> {
        let py = arguments.py();
        let scalar = match &self.scalar {
            Some(scalar) => scalar,
            None if arguments
                .iter_borrowed()
                .any(|argument| is_array(&argument).unwrap_or(true)) =>
            {
                return Ok(None);
            }
            None => return Err(self.no_function()),
        };
        let mut values = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter_borrowed().enumerate() {
            values.push(if let Ok(float) = argument.cast::<PyFloat>() {
                float.value()
            } else if is_array(&argument)? {
                return Ok(None);
            } else {
                argument
                    .extract()
                    .map_err(|error| self.not_a_number(py, index, &error))?
            });
        }
        let value = scalar.call(&values).map_err(|error| jit_error(&error))?;
        Ok(Some(value))
    }

    /// The scalar function.
    fn scalar(&self) -> PyResult<&CompiledExpr> {
        self.scalar.as_ref().ok_or_else(|| self.no_function())
    }

    fn no_function(&self) -> PyErr {
        PyValueError::new_err(format!(
            "no function has {} arguments: call the expression with an array of shape (n_rows, {})",
            self.n_variables(),
            self.n_variables()
        ))
    }

    fn not_a_number(&self, py: Python<'_>, index: usize, error: &PyErr) -> PyErr {
        let names = self.expression.get().names();
        let name = names.get(index).map_or("", String::as_str);
        PyTypeError::new_err(format!("argument {name}: {}", error.value(py)))
    }

    fn wrong_count(&self, found: usize) -> PyErr {
        let names = self.expression.get().names();
        PyTypeError::new_err(format!(
            "the expression takes {} arguments ({}), or one array of shape (n_rows, {}), but {found} \
             arguments were given",
            names.len(),
            names.join(", "),
            names.len(),
        ))
    }

    /// The values at every row of a matrix, in its own element type.
    fn call_matrix<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let matrix = Matrix::extract("X", value, self.expression.get().names())?;
        let view = matrix.view();
        let expr = self.expression.get().expr();
        Ok(match matrix {
            Matrix::F64(_) => {
                let values = py.detach(|| predict(&self.f64, expr, view));
                PyArray1::from_vec(py, values.map_err(|error| jit_error(&error))?).into_any()
            }
            Matrix::F32(_) => {
                let values = py.detach(|| predict(&self.f32, expr, view));
                PyArray1::from_vec(py, values.map_err(|error| jit_error(&error))?).into_any()
            }
        })
    }

    /// The values for one array (or number) a variable, of shapes that broadcast.
    fn call_columns<'py>(&self, arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = arguments.py();
        let numpy = py.import(intern!(py, "numpy"))?;
        let broadcast = numpy
            .call_method1(intern!(py, "broadcast_arrays"), arguments)
            .map_err(|error| {
                if error.is_instance_of::<PyValueError>(py) {
                    PyValueError::new_err(format!(
                        "the arrays for {} do not go together: {}",
                        self.expression.get().names().join(", "),
                        error.value(py)
                    ))
                } else {
                    error
                }
            })?;
        let columns = broadcast
            .try_iter()?
            .map(|array| array?.call_method0(intern!(py, "ravel")))
            .collect::<PyResult<Vec<_>>>()?;
        let shape = broadcast.get_item(0)?.getattr(intern!(py, "shape"))?;
        let matrix = numpy.call_method1(intern!(py, "column_stack"), (columns,))?;
        self.call_matrix(py, &matrix)?
            .call_method1(intern!(py, "reshape"), (shape,))
    }
}

/// Whether an argument stands for many numbers.
fn is_array(argument: &Bound<'_, PyAny>) -> PyResult<bool> {
    if argument.is_instance_of::<PyInt>() {
        return Ok(false);
    }
    let py = argument.py();
    Ok(match argument.getattr_opt(intern!(py, "ndim"))? {
        Some(ndim) => ndim.extract::<usize>()? > 0,
        None => argument.is_instance_of::<PyTuple>() || argument.is_instance_of::<PyList>(),
    })
}

/// Compiles the kernel if that has not been done, and runs it.
fn predict<T: Float>(
    batch: &OnceLock<Batch<T>>,
    expr: &Expr,
    matrix: MatrixView<'_>,
) -> Result<Vec<T>, JitError> {
    let panel: Panel<T> = panel(matrix, &[], 1)?;
    let mut values = vec![T::default(); matrix.n_rows()];
    kernel(batch, expr, matrix.n_columns())?.predict(0, &panel, &mut values)?;
    Ok(values)
}

fn kernel<'a, T: Float>(
    batch: &'a OnceLock<Batch<T>>,
    expr: &Expr,
    n_inputs: usize,
) -> Result<&'a Batch<T>, JitError> {
    if let Some(batch) = batch.get() {
        return Ok(batch);
    }
    let mut new = Batch::new(Tier::best()?)?;
    new.compile([expr], n_inputs, Goal::Predict)?;
    Ok(batch.get_or_init(|| new))
}

/// The function of numbers as text, each instruction with what it computes.
fn annotated(scalar: &CompiledExpr, expression: &Expression, syntax: Syntax) -> Listing {
    Listing::with_data(scalar.code(), scalar.n_instruction_bytes(), syntax)
        .annotated(|span| scalar.note(expression.expr(), expression.names(), span))
}

#[pymethods]
impl CompiledExpression {
    #[new]
    fn new(py: Python<'_>, expression: Py<Expression>) -> PyResult<Self> {
        let this = expression.get();
        let scalar = py.detach(|| CompiledExpr::new(this.expr(), this.names().len()));
        let scalar = match scalar {
            Ok(scalar) => Some(scalar),
            Err(JitError::Signature(_)) => None,
            Err(error) => return Err(jit_error(&error)),
        };
        let entry = scalar.as_ref().map_or_else(Entry::none, |scalar| {
            Entry::new::<Self>(scalar.function(), Outcome::Float)
        });
        Ok(Self {
            expression,
            entry,
            scalar,
            f64: OnceLock::new(),
            f32: OnceLock::new(),
        })
    }

    #[pyo3(signature = (*arguments))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        arguments: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        vectorcall::enable(slf);
        let (py, this) = (slf.py(), slf.get());
        let n_variables = this.n_variables();
        if arguments.len() == n_variables
            && let Some(value) = this.call_numbers(arguments)?
        {
            return Ok(PyFloat::new(py, value).into_any());
        }
        if arguments.len() == 1 {
            let array = as_array("X", &arguments.get_item(0)?)?;
            match n_dimensions(&array)? {
                0 => return Err(this.wrong_count(1)),
                1 if n_variables == 1 => {}
                _ => return this.call_matrix(py, &array),
            }
        }
        if arguments.len() == n_variables {
            this.call_columns(arguments)
        } else {
            Err(this.wrong_count(arguments.len()))
        }
    }

    #[getter]
    fn expression(&self, py: Python<'_>) -> Py<Expression> {
        self.expression.clone_ref(py)
    }

    #[getter]
    fn variables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.expression.get().names().iter())
    }

    #[getter]
    fn code<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.scalar()?.code()))
    }

    #[getter]
    fn builtin<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        vectorcall::builtin(slf)
    }

    #[getter]
    fn address(&self) -> PyResult<usize> {
        Ok(self.scalar()?.address())
    }

    #[getter]
    fn tier(&self) -> PyResult<&'static str> {
        Ok(Tier::best().map_err(|error| jit_error(&error))?.name())
    }

    #[pyo3(signature = (style="intel", *, kernel=false))]
    fn disassemble<'py>(
        &self,
        py: Python<'py>,
        style: &str,
        kernel: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let syntax = syntax(style)?;
        let listing = if kernel {
            let expr = self.expression.get().expr();
            py.detach(|| {
                let batch = self::kernel(&self.f64, expr, self.n_variables())?;
                Ok(Listing::new(batch.code(0)?, syntax))
            })
            .map_err(|error| jit_error(&error))?
        } else {
            let scalar = self.scalar()?;
            py.detach(|| Listing::with_data(scalar.code(), scalar.n_instruction_bytes(), syntax))
        };
        disassembly(py, &listing)
    }

    #[pyo3(signature = (style="intel"))]
    fn listing<'py>(&self, py: Python<'py>, style: &str) -> PyResult<Bound<'py, PyAny>> {
        let syntax = syntax(style)?;
        let scalar = self.scalar()?;
        let expression = self.expression.get();
        let listing = py.detach(|| annotated(scalar, expression, syntax));
        disassembly(py, &listing)
    }

    /// The formula, and the function of numbers with what each instruction computes.
    fn _repr_html_(&self) -> String {
        let expression = self.expression.get();
        let formula = opcodon_page::formula(expression.expr(), expression.names());
        let code = self.scalar.as_ref().map_or_else(String::new, |scalar| {
            opcodon_page::listing(&annotated(scalar, expression, Syntax::Intel))
        });
        opcodon_page::fragment(&format!("{formula}\n{code}"))
    }

    fn __repr__(&self) -> String {
        let n_bytes = self.scalar.as_ref().map_or(0, |scalar| scalar.code().len());
        format!(
            "<CompiledExpression {}: {n_bytes} bytes>",
            self.expression.get().text()
        )
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyType>, (Py<Expression>,)) {
        (slf.get_type(), (slf.get().expression.clone_ref(slf.py()),))
    }
}
