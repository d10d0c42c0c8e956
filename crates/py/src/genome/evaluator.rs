//! `Evaluator`: data packed once, for any number of genomes.
use std::sync::{Mutex, PoisonError};

use numpy::PyArray1;
use opcodon_mcode::{Batch, Blocks, Code, Domain, Fold, Individual, McodeError, Tier};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;

use super::{Genome, blocks, mcode_error};
use crate::array::{Matrix, Vector, as_array};

/// Inputs and a target, and memory for code; the Python class of the same name.
#[pyclass(frozen, module = "opcodon.genome", name = "Evaluator")]
pub(crate) struct Evaluator {
    columns: Columns,
    target: Vec<f64>,
    n_cases: usize,
    /// Packed data and a batch for the tier that was asked for last.
    ready: Mutex<Option<(Blocks, Batch)>>,
}

/// Columns of numbers, or of bits or integers in the words of numbers.
struct Columns {
    columns: Vec<Vec<f64>>,
    domain: Domain,
}

/// What an array holds: truth values are bits.
fn domain(array: &Bound<'_, PyAny>) -> PyResult<Domain> {
    let py = array.py();
    let kind = array
        .getattr(intern!(py, "dtype"))?
        .getattr(intern!(py, "kind"))?;
    Ok(match kind.extract::<String>()?.as_str() {
        "b" => Domain::Bits,
        "i" | "u" => Domain::Integers,
        _ => Domain::Numbers,
    })
}

/// Whether what is given as X are integers.
pub(crate) fn holds_integers(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(domain(&as_array("X", value)?)? == Domain::Integers)
}

/// Integers of 64 bits, in the words of numbers.
fn integers<'py>(argument: &str, array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    if domain(array)? != Domain::Integers {
        return Err(PyTypeError::new_err(format!(
            "{argument} must be of an integer dtype, not {}",
            array.getattr(intern!(py, "dtype"))?
        )));
    }
    let words = array.call_method1(intern!(py, "astype"), (intern!(py, "int64"),))?;
    words.call_method1(intern!(py, "view"), (intern!(py, "float64"),))
}

/// 64 truth values a word.
fn pack(column: &[f64]) -> Vec<f64> {
    let word = |cases: &[f64]| {
        let bit = |(k, case): (usize, &f64)| u64::from(*case != 0.0) << k;
        f64::from_bits(cases.iter().enumerate().map(bit).sum())
    };
    column.chunks(64).map(word).collect()
}

fn as_words(columns: &[Vec<f64>]) -> Vec<Vec<u64>> {
    let words = |column: &Vec<f64>| column.iter().map(|word| word.to_bits()).collect();
    columns.iter().map(words).collect()
}

impl Columns {
    #[expect(non_snake_case, reason = "the name of the argument in Python")]
    fn extract(
        X: &Bound<'_, PyAny>,
        names: Option<&[String]>,
        integer: bool,
    ) -> PyResult<(Self, usize)> {
        let mut array = as_array("X", X)?;
        let n_columns = match array.getattr("shape")?.extract::<(usize, usize)>() {
            Ok((_, n_columns)) => n_columns,
            Err(_) => {
                return Err(PyValueError::new_err(format!(
                    "X has shape {}, but (n_rows, n_columns) is needed",
                    array.getattr("shape")?
                )));
            }
        };
        let own: Vec<String>;
        let names = match names {
            Some(names) => names,
            None => {
                own = (0..n_columns).map(|k| format!("x{k}")).collect();
                &own
            }
        };
        let domain = match domain(&array)? {
            Domain::Bits if !integer => Domain::Bits,
            _ if integer => {
                array = integers("X", &array)?;
                Domain::Integers
            }
            _ => Domain::Numbers,
        };
        let matrix = Matrix::extract("X", &array, names)?;
        let view = matrix.view();
        let columns = (0..view.n_columns()).map(|c| view.column(c));
        let columns = if domain == Domain::Bits {
            columns.map(|column| pack(&column)).collect()
        } else {
            columns.collect()
        };
        Ok((Self { columns, domain }, view.n_rows()))
    }

    fn blocks(
        &self,
        tier: Tier,
        target: Option<&[f64]>,
        n_cases: usize,
    ) -> Result<Blocks, McodeError> {
        let n_cases = match self.domain {
            Domain::Numbers => return blocks(tier, &self.columns, target),
            Domain::Bits => n_cases,
            // All bits of an integer are judged.
            Domain::Integers => 64 * n_cases,
        };
        let columns = as_words(&self.columns);
        let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
        let zeros = vec![0.0; n_cases.div_ceil(64)];
        let target = as_words(&[target.unwrap_or(&zeros).to_vec()]);
        Blocks::from_bits(tier, &slices, &target[0], n_cases)
    }
}

/// Numbers for genomes on numbers, truth values for genomes on bits, integers for genomes on these.
fn require_kind(code: &Code, domain: Domain) -> PyResult<()> {
    let problem = if domain == Domain::Numbers && code.is_on_words() {
        if code.is_on_integers() {
            "the genome works on integers, so X must be of an integer dtype"
        } else {
            "the genome works on bits, so X must be of dtype bool"
        }
    } else if domain == Domain::Bits && code.is_on_integers() {
        "the genome works on integers, but X is of dtype bool: pass X.astype(int)"
    } else if domain.is_words() && code.genes().any(|(_, gene)| gene.opcode.op().is_some()) {
        "the genome works on numbers, but X is of dtype bool or integer: pass X.astype(float)"
    } else {
        return Ok(());
    };
    Err(PyTypeError::new_err(problem))
}

/// What a genome computes for each row.
#[expect(non_snake_case, reason = "the name of the argument in Python")]
pub(crate) fn predict<'py>(
    py: Python<'py>,
    genome: &Genome,
    X: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let code = genome.code();
    let integer = code.is_on_words() && holds_integers(X)?;
    let (columns, n_cases) = Columns::extract(X, Some(genome.names()), integer)?;
    require_kind(code, columns.domain)?;
    if n_cases == 0 {
        return Ok(PyArray1::<f64>::from_vec(py, Vec::new()).into_any());
    }
    let values = py.detach(|| -> Result<Vec<f64>, McodeError> {
        let blocks = columns.blocks(code.tier(), None, n_cases)?;
        let mut batch = Batch::new(code.tier(), code.n_columns(), Fold::Predict)?;
        batch.load([code])?;
        let mut values = vec![0.0; blocks.n_rows()];
        batch.predict(0, &blocks, &mut values)?;
        Ok(values)
    });
    let values = values.map_err(|error| mcode_error(&error))?;
    Ok(match columns.domain {
        Domain::Numbers => PyArray1::from_vec(py, values).into_any(),
        Domain::Bits => {
            let bit = |case: usize| values[case / 64].to_bits() >> (case % 64) & 1 != 0;
            let cases = (0..n_cases).map(bit).collect();
            PyArray1::<bool>::from_vec(py, cases).into_any()
        }
        Domain::Integers => {
            let words = values.into_iter().map(|word| word.to_bits().cast_signed());
            PyArray1::<i64>::from_vec(py, words.collect()).into_any()
        }
    })
}

impl Evaluator {
    /// The losses of genomes of one tier.
    pub(crate) fn losses_of(
        &self,
        py: Python<'_>,
        genomes: &[Bound<'_, Genome>],
    ) -> PyResult<Vec<f64>> {
        let individuals: Vec<&Individual> = genomes.iter().map(|g| &g.get().genome).collect();
        let Some(first) = individuals.first() else {
            return Ok(Vec::new());
        };
        for individual in &individuals {
            require_kind(individual.code(), self.columns.domain)?;
        }
        let tier = first.code().tier();
        let losses = py.detach(|| -> Result<Vec<f64>, McodeError> {
            let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            let (blocks, mut batch) = match ready.take() {
                Some((blocks, batch)) if blocks.tier() == tier => (blocks, batch),
                _ => {
                    let fold = if self.columns.domain.is_words() {
                        Fold::Bits
                    } else {
                        Fold::Squares
                    };
                    let blocks = self
                        .columns
                        .blocks(tier, Some(&self.target), self.n_cases)?;
                    (blocks, Batch::new(tier, self.columns.columns.len(), fold)?)
                }
            };
            let mut losses = vec![0.0; individuals.len()];
            let done = batch
                .load(individuals.iter().copied())
                .and_then(|()| batch.losses(&blocks, &mut losses));
            *ready = Some((blocks, batch));
            done.map(|()| losses)
        });
        losses.map_err(|error| mcode_error(&error))
    }
}

#[pymethods]
impl Evaluator {
    #[new]
    #[pyo3(signature = (X, y, *, integer=false))]
    #[expect(non_snake_case, reason = "the name of the argument in Python")]
    pub(crate) fn new(X: &Bound<'_, PyAny>, y: &Bound<'_, PyAny>, integer: bool) -> PyResult<Self> {
        let (columns, n_cases) = Columns::extract(X, None, integer)?;
        let mut y = as_array("y", y)?;
        if integer {
            y = integers("y", &y)?;
        } else if (columns.domain == Domain::Bits) != (domain(&y)? == Domain::Bits) {
            return Err(PyTypeError::new_err(
                "X and y must both be of dtype bool, or both be numbers",
            ));
        }
        if n_cases == 0 {
            return Err(PyValueError::new_err("X has no rows"));
        }
        let target = Vector::extract("y", &y, n_cases)?;
        let target = match columns.domain {
            Domain::Numbers => target.finite("y")?,
            Domain::Bits => pack(&target.to_vec()),
            Domain::Integers => target.to_vec(),
        };
        Ok(Self {
            columns,
            target,
            n_cases,
            ready: Mutex::new(None),
        })
    }

    /// The loss of each genome.
    fn losses<'py>(
        &self,
        py: Python<'py>,
        genomes: Vec<Bound<'py, Genome>>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        Ok(PyArray1::from_vec(py, self.losses_of(py, &genomes)?))
    }

    /// The loss of one genome.
    fn __call__(&self, genome: &Bound<'_, Genome>) -> PyResult<f64> {
        Ok(self.losses_of(genome.py(), std::slice::from_ref(genome))?[0])
    }
}
