//! Rust errors ⇄ Python exceptions: which class each mistake is.
//!
//! A wrong type is a `TypeError`, a wrong value a `ValueError`, refused memory an `OSError`; text
//! that does not parse is a `ParseError`, a `ValueError` that also says where, and a file that cannot
//! be loaded a `LibraryError`, an `OSError`. The messages are
//! those of the crates below, with the cause appended.
use std::error::Error;
use std::fmt::{Display, Write as _};
use std::ops::Range;

use opcodon_codemem::{Cause, CodeError, Fault, Function, GuardError, REGISTERS};
use opcodon_elf::{ElfError, ElfErrorKind};
use opcodon_jit::JitError;
use opcodon_listing::{Listing, Syntax};
use pyo3::create_exception;
use pyo3::exceptions::{PyLookupError, PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

create_exception!(
    opcodon,
    ParseError,
    PyValueError,
    "Text that cannot be read as what it should be: an expression, a signature or assembly."
);

create_exception!(
    opcodon,
    LibraryError,
    PyOSError,
    "A file that cannot be loaded as a library or linked as an object."
);

create_exception!(
    opcodon,
    MachineFault,
    PyRuntimeError,
    "Guarded machine code that did not return: a signal, the end of its time, or of its process."
);

/// A `ParseError` that carries the text and the span, counted in characters.
pub(crate) fn parse_error(py: Python<'_>, message: &str, text: &str, span: &Range<usize>) -> PyErr {
    let characters = |end: usize| text.get(..end).map_or(0, |part| part.chars().count());
    let error = ParseError::new_err(message.to_owned());
    let value = error.value(py);
    let told = value
        .setattr("text", text)
        .and_then(|()| value.setattr("span", (characters(span.start), characters(span.end))));
    match told {
        Ok(()) => error,
        Err(failure) => failure,
    }
}

/// A `ParseError` about one of many texts, with words in front that say which; other errors stay.
pub(crate) fn prefixed(py: Python<'_>, words: &str, error: &PyErr) -> PyErr {
    let again = || {
        let value = error.value(py);
        let new = ParseError::new_err(format!("{words}{value}"));
        for name in ["text", "span"] {
            new.value(py).setattr(name, value.getattr(name)?)?;
        }
        Ok(new)
    };
    if !error.is_instance_of::<ParseError>(py) {
        return error.clone_ref(py);
    }
    again().unwrap_or_else(|failure: PyErr| failure)
}

/// A message, and below it the line of text that it is about with carets under the place.
///
/// `rendered` starts with these two lines.
pub(crate) fn pointing(message: &dyn Display, rendered: &str) -> String {
    let mut text = message.to_string();
    if rendered
        .lines()
        .next()
        .is_some_and(|line| !line.trim().is_empty())
    {
        for line in rendered.lines().take(2) {
            text.push_str("\n    ");
            text.push_str(line);
        }
    }
    text
}

/// The message with the messages of its causes.
pub(crate) fn message(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

/// What goes wrong around bytes that are called.
pub(crate) fn code_error(error: &CodeError) -> PyErr {
    let text = message(error);
    match error {
        CodeError::ArgumentCount { .. } | CodeError::ArgumentType { .. } => {
            PyTypeError::new_err(text)
        }
        CodeError::Closed
        | CodeError::Empty
        | CodeError::Align { .. }
        | CodeError::Offset { .. } => PyValueError::new_err(text),
        _ => PyOSError::new_err(text),
    }
}

/// What goes wrong in guarded calls.
pub(crate) fn guard_error(
    py: Python<'_>,
    error: &GuardError,
    name: &str,
    function: &Function,
) -> PyErr {
    match error {
        GuardError::Code(error) => code_error(error),
        GuardError::Fault(fault) => {
            machine_fault(py, fault, name, function).unwrap_or_else(|failure| failure)
        }
        GuardError::Foreign { .. } | GuardError::Stray => {
            PyValueError::new_err(format!("{name}: {error}"))
        }
        _ => PyOSError::new_err(message(error)),
    }
}

/// A `MachineFault` that carries what is known.
fn machine_fault(
    py: Python<'_>,
    fault: &Fault,
    name: &str,
    function: &Function,
) -> PyResult<PyErr> {
    let state = fault.state.as_ref();
    let offset = state.and_then(|state| state.offset);
    let code = offset.and_then(|offset| function.code().bytes().get(offset..));
    let code = code.or(state.map(|state| state.bytes.as_slice()));
    let listing = Listing::new(code.unwrap_or_default(), Syntax::Intel);
    let line = listing.lines().first();
    let instruction = line.map(|line| format!("{} {}", line.mnemonic, line.operands));
    let instruction = instruction.as_deref().map(str::trim_end);
    let mut text = format!("{name}: {fault}");
    if let Some(instruction) = instruction {
        text.push_str(": ");
        text.push_str(instruction);
    }
    let raised = MachineFault::new_err(text);
    let value = raised.value(py);
    let (signal, exit_code) = match fault.cause {
        Cause::Signal(number) => (Some(number), None),
        Cause::Exit(code) => (None, Some(code)),
        _ => (None, None),
    };
    value.setattr("cause", fault.cause.name())?;
    value.setattr("signal", signal)?;
    value.setattr("exit_code", exit_code)?;
    value.setattr("address", fault.address)?;
    value.setattr("offset", offset)?;
    value.setattr("instruction", instruction)?;
    let registers = PyDict::new(py);
    for (name, register) in REGISTERS
        .iter()
        .zip(state.iter().flat_map(|state| state.registers))
    {
        registers.set_item(name, register)?;
    }
    value.setattr("registers", registers)?;
    Ok(raised)
}

/// What goes wrong around libraries.
pub(crate) fn elf_error(py: Python<'_>, error: &ElfError) -> PyErr {
    let text = message(error);
    let missing = match &error.kind {
        ElfErrorKind::Closed => return PyValueError::new_err(text),
        ElfErrorKind::NoSymbol { .. } => return PyLookupError::new_err(text),
        ElfErrorKind::Kind { .. } => return PyTypeError::new_err(text),
        ElfErrorKind::Missing(names) => names.as_slice(),
        _ => &[],
    };
    let raised = LibraryError::new_err(text);
    let value = raised.value(py);
    let told = PyTuple::new(py, missing)
        .and_then(|missing| value.setattr("missing", missing))
        .and_then(|()| value.setattr("file", &error.file));
    match told {
        Ok(()) => raised,
        Err(failure) => failure,
    }
}

/// What goes wrong around expressions that are compiled.
pub(crate) fn jit_error(error: &JitError) -> PyErr {
    match error {
        JitError::Code(error) => code_error(error),
        JitError::Assemble(_) => PyRuntimeError::new_err(message(error)),
        _ => PyValueError::new_err(message(error)),
    }
}
