//! What of an individual is asked for: the keys of limits and statistics that need no Python call.

use pyo3::intern;
use pyo3::prelude::*;

/// The keys that are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// `operator.attrgetter("height")`
    Height,
    /// `len`
    Size,
    /// `operator.attrgetter("fitness.values")`
    FitnessValues,
    /// Anything else.
    Any,
}

impl Measure {
    /// Recognises a key.
    pub(crate) fn of(key: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = key.py();
        let builtins = py.import(intern!(py, "builtins"))?;
        if key.is(builtins.getattr(intern!(py, "len"))?) {
            return Ok(Self::Size);
        }
        let operator = py.import(intern!(py, "operator"))?;
        if !key
            .get_type()
            .is(operator.getattr(intern!(py, "attrgetter"))?)
        {
            return Ok(Self::Any);
        }
        let (_, names): (Bound<'_, PyAny>, Vec<String>) =
            key.call_method0(intern!(py, "__reduce__"))?.extract()?;
        Ok(
            match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["height"] => Self::Height,
                ["fitness.values"] => Self::FitnessValues,
                _ => Self::Any,
            },
        )
    }
}
