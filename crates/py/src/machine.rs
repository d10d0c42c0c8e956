//! `MachineFunction`: bytes that can be called with Python values.
use std::time::Duration;

use opcodon_codemem::observe::naming;
use opcodon_codemem::{Abi, Function, Limits, Loan, Signature, Value};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple, PyType};

use crate::assembly;
use crate::callback;
use crate::convert::{Kept, to_python, to_value, untyped};
use crate::error::{code_error, guard_error, parse_error, pointing};
use crate::seal;
use crate::seal::vectorcall::{self, Callable, Entry, Outcome};

/// Machine code to call like a function; the Python class of the same name.
#[pyclass(frozen, module = "opcodon", name = "MachineFunction")]
pub(crate) struct MachineFunction {
    function: Function,
    name: Option<String>,
    /// What structures that are returned are made into; tuples otherwise.
    returns: Option<Py<PyAny>>,
    /// Whether calls run in another process, and what they may use there.
    guard: Option<Limits>,
    entry: Entry,
}

/// What a guarded call may use, as Python gives it: seconds, and bytes if they are limited.
pub(crate) type Guard = (f64, Option<u64>);

fn limits((seconds, memory): Guard) -> PyResult<Limits> {
    let time = Duration::try_from_secs_f64(seconds).ok();
    let time_ms = time.and_then(|time| u64::try_from(time.as_millis()).ok());
    match time_ms {
        Some(time_ms @ 1..=LONGEST_MS) => Ok(Limits { time_ms, memory }),
        _ => Err(PyValueError::new_err(format!(
            "time_limit must be from 0.001 seconds to a year, not {seconds}"
        ))),
    }
}

/// A year.
const LONGEST_MS: u64 = 365 * 24 * 3600 * 1000;

impl Callable for MachineFunction {
    fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl MachineFunction {
    fn called(&self) -> &str {
        self.name.as_deref().unwrap_or("the function")
    }

    /// A function that exists already.
    pub(crate) fn of(
        function: Function,
        name: Option<String>,
        returns: Option<Py<PyAny>>,
        guard: Option<Guard>,
    ) -> PyResult<Self> {
        let guard = guard.map(limits).transpose()?;
        let entry = if returns.is_some() || guard.is_some() {
            Entry::none()
        } else {
            Entry::new::<Self>(&function, Outcome::Float)
        };
        Ok(Self {
            entry,
            function,
            name,
            returns,
            guard,
        })
    }

    /// Calls the code.
    fn run(&self, py: Python<'_>, values: &[Value]) -> PyResult<Value> {
        let call = || py.detach(|| seal::call(&self.function, values));
        let result = if callback::are_there() {
            callback::raising(call)?
        } else {
            call()
        };
        result.map_err(|error| code_error(&error))
    }

    /// Calls the code in another process.
    fn guarded(
        &self,
        py: Python<'_>,
        values: Vec<Value>,
        kept: &Kept<'_>,
        limits: Limits,
    ) -> PyResult<Value> {
        let loans = kept.buffers.iter();
        let loans = loans.map(|held| held.buffer.loan(held.is_const));
        let (loans, callbacks) = (loans.collect::<Vec<Loan>>(), kept.callbacks());
        let (loans, callbacks) = (loans.as_slice(), callbacks.as_slice());
        let mut interrupt: Option<PyErr> = None;
        let wait = || {
            interrupt = Python::attach(|py| py.check_signals().err());
            interrupt.is_none()
        };
        let call =
            || py.detach(|| seal::guarded(&self.function, values, loans, callbacks, limits, wait));
        let result = if callbacks.is_empty() {
            call()
        } else {
            callback::raising(call)?
        };
        result.map_err(|error| {
            let told = || guard_error(py, &error, self.called(), &self.function);
            interrupt.take().unwrap_or_else(told)
        })
    }

    pub(crate) fn function(&self) -> &Function {
        &self.function
    }

    fn value<'py>(
        &self,
        index: usize,
        argument: &Bound<'py, PyAny>,
        kept: &mut Kept<'py>,
    ) -> PyResult<Value> {
        let (abi, ty) = (
            self.function.abi(),
            self.function.signature().params().get(index),
        );
        let value = match ty {
            Some(&ty) => to_value(ty, abi, argument, kept),
            None => untyped(abi, argument, kept),
        };
        value.map_err(|error| {
            let py = argument.py();
            let text = format!(
                "argument {} of {} must be {}: {}",
                index + 1,
                self.called(),
                ty.map_or("a number or an address", |ty| ty.name()),
                error.value(py)
            );
            if error.is_instance_of::<PyOverflowError>(py) {
                PyOverflowError::new_err(text)
            } else if error.is_instance_of::<PyValueError>(py) {
                PyValueError::new_err(text)
            } else if error.is_instance_of::<PyTypeError>(py) {
                PyTypeError::new_err(text)
            } else {
                error
            }
        })
    }
}

#[pymethods]
impl MachineFunction {
    #[new]
    #[pyo3(signature = (code, signature, abi=None, name=None, returns=None, guard=None))]
    fn new(
        py: Python<'_>,
        code: &[u8],
        signature: &str,
        abi: Option<&str>,
        name: Option<String>,
        returns: Option<Py<PyAny>>,
        guard: Option<Guard>,
    ) -> PyResult<Self> {
        let (parsed, abi) = convention(py, signature, abi)?;
        let install = || Function::new(code, parsed, abi);
        let function = naming(&name.as_deref().unwrap_or("function"), install)
            .map_err(|error| code_error(&error))?;
        Self::of(function, name, returns, guard)
    }

    #[pyo3(signature = (*arguments))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        arguments: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        vectorcall::enable(slf);
        let (py, this) = (slf.py(), slf.get());
        let signature = this.function.signature();
        let n_params = signature.params().len();
        let is_few = arguments.len() < n_params;
        if is_few || arguments.len() > n_params && !signature.is_variadic() {
            return Err(PyTypeError::new_err(format!(
                "{} takes {n_params} arguments ({signature}), but {} were given",
                this.called(),
                arguments.len()
            )));
        }
        let mut kept = Kept::default();
        let values = arguments
            .iter_borrowed()
            .enumerate()
            .map(|(index, argument)| this.value(index, &argument, &mut kept))
            .collect::<PyResult<Vec<Value>>>()?;
        let result = match this.guard {
            Some(limits) => this.guarded(py, values, &kept, limits)?,
            None => this.run(py, &values)?,
        };
        let result = to_python(py, &result)?;
        match &this.returns {
            None => Ok(result),
            Some(class) => class.bind(py).call1(result.cast::<PyTuple>()?),
        }
    }

    #[getter]
    fn code<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.function.code().bytes())
    }

    #[getter]
    fn builtin<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        vectorcall::builtin(slf)
    }

    #[getter]
    fn address(&self) -> usize {
        self.function.code().address() as usize
    }

    #[getter]
    fn signature(&self) -> String {
        self.function.signature().to_string()
    }

    #[getter]
    fn abi(&self) -> &'static str {
        self.function.abi().name()
    }

    #[getter]
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    #[getter]
    fn guard(&self) -> bool {
        self.guard.is_some()
    }

    #[pyo3(signature = (style="intel"))]
    fn disassemble<'py>(&self, py: Python<'py>, style: &str) -> PyResult<Bound<'py, PyAny>> {
        assembly::disassemble(py, self.function.code().bytes(), style)
    }

    fn __repr__(&self) -> String {
        format!(
            "<MachineFunction{}: {}, {}, {} bytes>",
            self.name
                .as_ref()
                .map(|name| format!(" {name}"))
                .unwrap_or_default(),
            self.function.signature(),
            self.function.abi(),
            self.function.code().len()
        )
    }

    #[expect(clippy::type_complexity, reason = "a constructor and its arguments")]
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(
        Bound<'py, PyType>,
        (
            Bound<'py, PyBytes>,
            String,
            &'static str,
            Option<String>,
            Option<Py<PyAny>>,
            Option<Guard>,
        ),
    )> {
        let this = slf.get();
        if this.function.code().is_lent() {
            return Err(PyTypeError::new_err(format!(
                "{} belongs to a library and cannot be pickled: load the library where it is \
                 needed",
                this.called()
            )));
        }
        let arguments = (
            this.code(slf.py()),
            this.signature(),
            this.abi(),
            this.name.clone(),
            this.returns.as_ref().map(|class| class.clone_ref(slf.py())),
            this.guard
                .map(|limits| (limits.time_ms as f64 / 1000.0, limits.memory)),
        );
        Ok((slf.get_type(), arguments))
    }
}

/// A signature and a calling convention from their texts.
pub(crate) fn convention(
    py: Python<'_>,
    signature: &str,
    abi: Option<&str>,
) -> PyResult<(Signature, Abi)> {
    let abi = abi.map_or(Ok(Abi::host()), |text| {
        Abi::from_name(text).ok_or_else(|| {
            let known: Vec<&str> = Abi::ALL.iter().map(|abi| abi.name()).collect();
            PyValueError::new_err(format!("abi must be {}, not {text:?}", known.join(" or ")))
        })
    })?;
    let parsed = Signature::parse_for(signature, abi).map_err(|error| {
        let text = pointing(&error, &error.render());
        parse_error(py, &text, signature, &error.span)
    })?;
    Ok((parsed, abi))
}
