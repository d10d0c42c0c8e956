//! The two kinds of genomes as classes of their own: what a tree has and a list of instructions has
//! not, and the other way round.

use std::sync::Arc;

use opcodon_mcode::{Individual, LinearCode, TreeCode};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};

use super::{Genome, Repertoire, expression, mcode_error, stream, tier, verified, wrap};

/// The class of tree genomes.
#[pyclass(frozen, extends = Genome, module = "opcodon.genome", name = "TreeCode")]
pub(crate) struct PyTreeCode;

/// The class of linear genomes.
#[pyclass(frozen, extends = Genome, module = "opcodon.genome", name = "LinearCode")]
pub(crate) struct PyLinearCode;

/// The genome of the base class as a tree.
fn as_tree(genome: &Genome) -> PyResult<&TreeCode> {
    match &genome.genome {
        Individual::Tree(tree) => Ok(tree),
        Individual::Linear(_) => Err(PyTypeError::new_err("a TreeCode is needed")),
    }
}

fn as_linear(genome: &Genome) -> PyResult<&LinearCode> {
    match &genome.genome {
        Individual::Linear(linear) => Ok(linear),
        Individual::Tree(_) => Err(PyTypeError::new_err("a LinearCode is needed")),
    }
}

#[pymethods]
impl PyTreeCode {
    /// The genome of bytes that the verifier proves harmless.
    #[classmethod]
    #[pyo3(signature = (code, constants, variables, *, tier=None))]
    fn from_bytes<'py>(
        class: &Bound<'py, PyType>,
        code: &[u8],
        constants: Vec<f64>,
        variables: Vec<String>,
        tier: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let code = verified(code, constants, &variables, tier)?;
        let genome = TreeCode::try_from(code).map_err(|error| mcode_error(&error.into()))?;
        wrap(class.py(), Individual::Tree(genome), variables.into())
    }

    #[classmethod]
    #[pyo3(signature = (expression, variables=None, *, tier=None))]
    fn from_expression<'py>(
        class: &Bound<'py, PyType>,
        expression: &Bound<'py, PyAny>,
        variables: Option<Vec<String>>,
        tier: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let expression = self::expression(expression, variables)?;
        let (expression, tier) = (expression.get(), self::tier(tier)?);
        // Code without a column could not be told the number of rows.
        let n_columns = expression.names().len();
        let tree = TreeCode::from_expression(expression.expr(), tier, n_columns);
        let tree = tree.map_err(|error| mcode_error(&error))?;
        wrap(
            class.py(),
            Individual::Tree(tree),
            Arc::clone(expression.names()),
        )
    }

    #[classmethod]
    #[pyo3(signature = (repertoire, max_depth=6, *, seed=None))]
    fn random<'py>(
        class: &Bound<'py, PyType>,
        repertoire: &Bound<'py, Repertoire>,
        max_depth: usize,
        seed: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        let mut rng = stream(py, seed)?;
        let tree = TreeCode::random(&mut rng, repertoire.get().inner(), max_depth);
        wrap(py, Individual::Tree(tree), repertoire.get().names())
    }

    /// The nodes in postfix order: begin, end, number of operands, operation.
    #[getter]
    fn marks<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let class = py
            .import(intern!(py, "opcodon.genome"))?
            .getattr(intern!(py, "Mark"))?;
        let marks = as_tree(slf.as_super().get())?.marks().into_iter();
        let marks = marks.map(|m| class.call1((m.begin, m.end, m.arity, m.opcode.name())));
        PyTuple::new(py, marks.collect::<PyResult<Vec<_>>>()?)
    }

    /// The child in which one subtree is replaced by one of another genome.
    fn splice<'py>(
        slf: &Bound<'py, Self>,
        node: usize,
        other: &Bound<'py, Self>,
        donor: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let base = slf.as_super().get();
        let other = as_tree(other.as_super().get())?;
        let child = as_tree(base)?.splice(node, other, donor);
        let child = child.map_err(|error| mcode_error(&error))?;
        base.child(slf.py(), Individual::Tree(child))
    }
}

#[pymethods]
impl PyLinearCode {
    /// The genome of bytes that the verifier proves harmless.
    #[classmethod]
    #[pyo3(signature = (code, constants, variables, *, tier=None))]
    fn from_bytes<'py>(
        class: &Bound<'py, PyType>,
        code: &[u8],
        constants: Vec<f64>,
        variables: Vec<String>,
        tier: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let code = verified(code, constants, &variables, tier)?;
        let genome = LinearCode::try_from(code).map_err(|error| mcode_error(&error.into()))?;
        wrap(class.py(), Individual::Linear(genome), variables.into())
    }

    #[classmethod]
    #[pyo3(signature = (expression, variables=None, *, tier=None))]
    fn from_expression<'py>(
        class: &Bound<'py, PyType>,
        expression: &Bound<'py, PyAny>,
        variables: Option<Vec<String>>,
        tier: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let expression = self::expression(expression, variables)?;
        let (expression, tier) = (expression.get(), self::tier(tier)?);
        let n_columns = expression.names().len();
        let linear = LinearCode::from_expression(expression.expr(), tier, n_columns);
        let linear = linear.map_err(|error| mcode_error(&error))?;
        wrap(
            class.py(),
            Individual::Linear(linear),
            Arc::clone(expression.names()),
        )
    }

    #[classmethod]
    #[pyo3(signature = (repertoire, n_slots=32, *, seed=None))]
    fn random<'py>(
        class: &Bound<'py, PyType>,
        repertoire: &Bound<'py, Repertoire>,
        n_slots: usize,
        seed: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        let mut rng = stream(py, seed)?;
        let linear = LinearCode::random(&mut rng, repertoire.get().inner(), n_slots);
        wrap(py, Individual::Linear(linear), repertoire.get().names())
    }

    /// The child in which a run of genes is replaced by one of another genome.
    fn splice<'py>(
        slf: &Bound<'py, Self>,
        cut: (usize, usize),
        other: &Bound<'py, Self>,
        donor: (usize, usize),
    ) -> PyResult<Bound<'py, PyAny>> {
        let base = slf.as_super().get();
        let other = as_linear(other.as_super().get())?;
        let child = as_linear(base)?.splice(cut.0..cut.1, other, donor.0..donor.1);
        let child = child.map_err(|error| mcode_error(&error))?;
        base.child(slf.py(), Individual::Linear(child))
    }

    /// The genome without introns.
    fn strip<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let base = slf.as_super().get();
        let stripped = as_linear(base)?.strip();
        base.child(slf.py(), Individual::Linear(stripped))
    }
}
