//! `Repertoire`: what random genes are made of.
use std::collections::BTreeSet;
use std::sync::Arc;

use opcodon_evo::Rng;
use opcodon_mcode::evolve::Variation;
use opcodon_mcode::{Code, Domain, Individual, McodeError, Opcode, Repertoire as Inner};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::{Genome, mcode_error, mixed_kinds, stream, tier};
use crate::expression::Names;

/// What random genes are made of; the Python class of the same name.
#[pyclass(frozen, module = "opcodon.genome", name = "Repertoire")]
pub(crate) struct Repertoire {
    inner: Inner,
    names: Names,
    operators: Vec<String>,
}

impl Repertoire {
    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn names(&self) -> Names {
        Arc::clone(&self.names)
    }
}

/// The repertoire of a genome of which nothing else is known: the basic operations, and its own.
pub(crate) fn of(code: &Code) -> Result<Inner, McodeError> {
    let basic = [Opcode::Add, Opcode::Sub, Opcode::Mul, Opcode::Div];
    let own = code.genes().map(|(_, gene)| gene.opcode);
    if code.is_on_integers() {
        return Inner::integers(code.tier(), code.n_columns());
    }
    if code.is_on_words() {
        return Inner::boolean(code.tier(), code.n_columns());
    }
    let mut seen = BTreeSet::new();
    let all = basic.into_iter().chain(own);
    let all: Vec<Opcode> = all.filter(|opcode| seen.insert(opcode.name())).collect();
    Ok(Inner::new(code.tier(), code.n_columns())?.opcodes(&all))
}

/// A child as evolution makes it; `scratch` is memory for it and for what comes between.
fn child<G: opcodon_mcode::Genome>(
    [first, second]: [&G; 2],
    scratch: &mut Option<[G; 2]>,
    rng: &mut Rng,
    repertoire: &Inner,
    variation: &Variation,
) -> G {
    let [child, between] = scratch.get_or_insert_with(|| [first.clone(), first.clone()]);
    child.breed(between, rng, first, second, repertoire, variation);
    child.clone()
}

#[pymethods]
impl Repertoire {
    #[new]
    #[pyo3(signature = (
        variables, operators=None, *, constants=None, constant_share=None, registers=None,
        boolean=false, integer=false, tier=None
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "all but two by keyword in Python"
    )]
    fn new(
        variables: &Bound<'_, PyAny>,
        operators: Option<Vec<String>>,
        constants: Option<(f64, f64)>,
        constant_share: Option<f64>,
        registers: Option<u8>,
        boolean: bool,
        integer: bool,
        tier: Option<&str>,
    ) -> PyResult<Self> {
        let names: Vec<String> = if let Ok(n) = variables.extract::<usize>() {
            // The engine refuses more; nothing else needs as many names.
            (0..n.min(1000)).map(|k| format!("x{k}")).collect()
        } else if variables.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(
                "variables must be a number or a sequence of names, not one text",
            ));
        } else {
            variables.extract()?
        };
        if boolean && integer {
            return Err(PyTypeError::new_err(
                "registers hold bits or integers: give boolean or integer, not both",
            ));
        }
        let tier = self::tier(tier)?;
        let make = || -> Result<Inner, McodeError> {
            let mut inner = if boolean {
                Inner::boolean(tier, names.len())?
            } else if integer {
                Inner::integers(tier, names.len())?
            } else {
                Inner::new(tier, names.len())?
            };
            if let Some(operators) = &operators {
                inner = inner.operators(operators)?;
            }
            if let Some(registers) = registers {
                inner = inner.registers(registers)?;
            }
            let (low, high) = constants.unwrap_or((-5.0, 5.0));
            let share = constant_share.unwrap_or(if boolean { 0.05 } else { 0.3 });
            Ok(inner.constants(share, low, high))
        };
        let inner = make().map_err(|error| mcode_error(&error))?;
        let operators = inner.names().map(str::to_owned).collect();
        Ok(Self {
            inner,
            names: names.into(),
            operators,
        })
    }

    /// The children of pairs of parents; child k draws from stream k.
    #[pyo3(signature = (
        mothers, fathers, *, crossover=None, homologous=None, mutation=None, max_slots=64, seed=None
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "all but two by keyword in Python"
    )]
    fn breed<'py>(
        &self,
        py: Python<'py>,
        mothers: Vec<Bound<'py, Genome>>,
        fathers: Vec<Bound<'py, Genome>>,
        crossover: Option<f64>,
        homologous: Option<f64>,
        mutation: Option<f64>,
        max_slots: usize,
        seed: Option<u64>,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        if mothers.len() != fathers.len() {
            return Err(PyValueError::new_err(format!(
                "{} mothers and {} fathers are no pairs",
                mothers.len(),
                fathers.len()
            )));
        }
        let usual = Variation::default();
        let share = |name: &str, share: Option<f64>, usual: f64| match share.unwrap_or(usual) {
            share if (0.0..=1.0).contains(&share) => Ok(share),
            share => Err(PyValueError::new_err(format!(
                "{name} is a probability, not {share}"
            ))),
        };
        let variation = Variation {
            max_slots,
            crossover: share("crossover", crossover, usual.crossover)?,
            homologous: share("homologous", homologous, usual.homologous)?,
            mutation: share("mutation", mutation, usual.mutation)?,
            ..usual
        };
        let seed = stream(py, seed)?.u64();
        let (mut trees, mut linear) = (None, None);
        let pairs = (0..).zip(mothers.iter().zip(&fathers));
        let child = |(stream, (mother, father)): (u64, (&Bound<'py, Genome>, _))| {
            let mother = mother.get();
            let father: &Genome = Bound::get(father);
            for code in [mother.code(), father.code()] {
                self.inner
                    .require(code)
                    .map_err(|error| mcode_error(&error))?;
            }
            let mut rng = Rng::new(seed, stream);
            let inner = &self.inner;
            let child = match (&mother.genome, &father.genome) {
                (Individual::Tree(first), Individual::Tree(second)) => {
                    let parents = [first, second];
                    Individual::Tree(child(parents, &mut trees, &mut rng, inner, &variation))
                }
                (Individual::Linear(first), Individual::Linear(second)) => {
                    let parents = [first, second];
                    Individual::Linear(child(parents, &mut linear, &mut rng, inner, &variation))
                }
                _ => return Err(mixed_kinds()),
            };
            mother.child(py, child)
        };
        pairs.map(child).collect()
    }

    #[getter]
    fn variables(&self) -> Vec<String> {
        self.names.to_vec()
    }

    #[getter]
    fn operators(&self) -> Vec<String> {
        self.operators.clone()
    }

    #[getter]
    fn tier(&self) -> &'static str {
        self.inner.tier().name()
    }

    #[getter]
    fn is_boolean(&self) -> bool {
        self.inner.domain() == Domain::Bits
    }

    #[getter]
    fn is_integer(&self) -> bool {
        self.inner.domain() == Domain::Integers
    }

    fn __repr__(&self) -> String {
        format!(
            "<Repertoire: {} over {}, {}>",
            self.operators.join(", "),
            self.names.join(", "),
            self.tier()
        )
    }
}
