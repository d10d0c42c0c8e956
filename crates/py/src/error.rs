//! Rust errors ⇄ Python exceptions: which class each mistake is.
//!
//! A wrong type is a `TypeError`, a wrong value a `ValueError`, refused memory an `OSError`; text
//! that does not parse is a `ParseError`, a `ValueError` that also says where, and a file that cannot
//! be loaded a `LibraryError`, an `OSError`. The messages are
//! those of the crates below, with the cause appended.
use std::error::Error;
use std::fmt::{Display, Write as _};
use std::ops::Range;

use opcodon_codemem::CodeError;
use opcodon_elf::{ElfError, ElfErrorKind};
use opcodon_jit::JitError;
use pyo3::create_exception;
use pyo3::exceptions::{PyLookupError, PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

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
