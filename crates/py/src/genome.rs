//! Genomes: machine code that is bred. The Python class `Genome`, and what `TreeCode` and
//! `LinearCode` have in common.
//!
//! Both are one native class with the verified genome inside, and a subclass each for what only
//! one kind has. A genome never changes: variation returns another one. Whatever comes as text or
//! from a pickle passes the verifier before there is a genome.
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use opcodon_evo::Rng;
use opcodon_expr::print;
use opcodon_mcode::{Blocks, Code, Individual, McodeError, SLOT_BYTES, Splice, Tier};
use opcodon_page::{LINE, genome_listing, genome_picture, genomes};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple, PyType};

use crate::assembly::{disassembly, syntax};
use crate::deap::random;
use crate::error::{code_error, message};
use crate::expression::{Expression, Names};

mod evaluator;
mod kinds;
mod picture;
mod repertoire;
mod report;

pub(crate) use evaluator::Evaluator;
pub(crate) use kinds::{PyLinearCode, PyTreeCode};
pub(crate) use picture::{crossover_html, crossover_svg};
pub(crate) use repertoire::Repertoire;
pub(crate) use report::{GenomeReport, evolve, evolve_parameters};

/// Most nodes of a formula that is written out.
const MAX_NODES: u64 = 100_000;

/// A genome of either kind, with names for its columns; the Python class of the same name.
#[pyclass(frozen, subclass, module = "opcodon.genome", name = "Genome")]
pub(crate) struct Genome {
    genome: Individual,
    names: Names,
}

/// What goes wrong around genomes.
pub(crate) fn mcode_error(error: &McodeError) -> PyErr {
    match error {
        McodeError::Code(error) => code_error(error),
        McodeError::TierUnavailable { .. } => PyRuntimeError::new_err(message(error)),
        _ => PyValueError::new_err(message(error)),
    }
}

/// A random stream: of a seed, or the next one of the generator that DEAP's operators use.
fn stream(py: Python<'_>, seed: Option<u64>) -> PyResult<Rng> {
    Ok(match seed {
        Some(seed) => Rng::new(seed, 0),
        None => Rng::new(random::draw(py, Rng::u64)?, 0),
    })
}

fn mixed_kinds() -> PyErr {
    PyTypeError::new_err(
        "a TreeCode and a LinearCode have no child: their parts have different places",
    )
}

/// The tier of a name, or the processor's widest.
fn tier(name: Option<&str>) -> PyResult<Tier> {
    let tier = match name {
        Some(name) => name.parse(),
        // Genomes can be made where they cannot be run.
        None => Ok(Tier::best().unwrap_or(Tier::Avx2)),
    };
    tier.map_err(|error| mcode_error(&error))
}

/// A Python object of the genome's class.
pub(crate) fn wrap(py: Python<'_>, genome: Individual, names: Names) -> PyResult<Bound<'_, PyAny>> {
    let is_tree = matches!(genome, Individual::Tree(_));
    let base = PyClassInitializer::from(Genome { genome, names });
    Ok(if is_tree {
        Bound::new(py, base.add_subclass(PyTreeCode))?.into_any()
    } else {
        Bound::new(py, base.add_subclass(PyLinearCode))?.into_any()
    })
}

/// The code of bytes from outside, if the verifier finds nothing against it.
fn verified(
    bytes: &[u8],
    constants: Vec<f64>,
    variables: &[String],
    name: Option<&str>,
) -> PyResult<Code> {
    let slots = bytes.chunks_exact(SLOT_BYTES);
    if !slots.remainder().is_empty() {
        return Err(PyValueError::new_err(format!(
            "{} bytes are no whole number of slots of {SLOT_BYTES} bytes",
            bytes.len()
        )));
    }
    let word = |slot: &[u8]| {
        slot.iter()
            .rev()
            .fold(0, |word, &byte| word << 8 | u64::from(byte))
    };
    let code = Code::verify(
        tier(name)?,
        variables.len(),
        slots.map(word).collect(),
        constants,
    );
    code.map_err(|error| mcode_error(&error.into()))
}

/// The path as Python's own class of paths, whose errors name the file.
fn file<'py>(path: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = path.py();
    py.import(intern!(py, "pathlib"))?
        .call_method1(intern!(py, "Path"), (path,))
}

/// An expression from an expression or text.
fn expression<'py>(
    value: &Bound<'py, PyAny>,
    variables: Option<Vec<String>>,
) -> PyResult<Bound<'py, Expression>> {
    let py = value.py();
    if let Ok(text) = value.cast::<PyString>() {
        return Bound::new(py, Expression::parse(py, &text.to_cow()?, variables)?);
    }
    let expression = value.cast::<Expression>().map_err(|_| {
        let kind = value.get_type();
        PyTypeError::new_err(format!("an Expression or text is needed, not {kind}"))
    })?;
    match variables {
        Some(names) => Bound::new(py, expression.get().over(&names.into())?),
        None => Ok(expression.clone()),
    }
}

impl Genome {
    pub(crate) fn code(&self) -> &Code {
        self.genome.code()
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    fn child<'py>(&self, py: Python<'py>, genome: Individual) -> PyResult<Bound<'py, PyAny>> {
        wrap(py, genome, Arc::clone(&self.names))
    }

    /// The formula as text, whatever the registers hold.
    fn text(&self) -> Result<String, McodeError> {
        if self.code().is_on_integers() {
            return self.code().to_integer_text(MAX_NODES);
        }
        if self.code().is_on_words() {
            return self.code().to_boolean_text(MAX_NODES);
        }
        Ok(print::infix(&self.genome.formula(MAX_NODES)?, &self.names))
    }

    /// The genome of a text that `to_json` wrote.
    fn read<'py>(class: &Bound<'py, PyType>, text: &str) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        let refused =
            |error: serde_json::Error| PyValueError::new_err(format!("not a genome: {error}"));
        let fields: serde_json::Value = serde_json::from_str(text).map_err(refused)?;
        let names: Vec<String> = match fields.get("names") {
            Some(names) => serde_json::from_value(names.clone()).map_err(refused)?,
            None => return Err(PyValueError::new_err("not a genome: it has no `names`")),
        };
        let stored = fields.get("genome").cloned().unwrap_or_default();
        let genome: Individual = serde_json::from_value(stored).map_err(refused)?;
        let wanted = match &genome {
            Individual::Tree(_) => py.get_type::<PyTreeCode>(),
            Individual::Linear(_) => py.get_type::<PyLinearCode>(),
        };
        if !class.is(py.get_type::<Genome>()) && !class.is_subclass(&wanted)? {
            return Err(PyValueError::new_err(format!(
                "it is a {}, not a {}: read it with the other class, or with Genome",
                wanted.name()?,
                class.name()?
            )));
        }
        if names.len() != genome.code().n_columns() {
            return Err(PyValueError::new_err(format!(
                "not a genome: it has {} names for {} columns",
                names.len(),
                genome.code().n_columns()
            )));
        }
        wrap(py, genome, names.into())
    }
}

#[pymethods]
impl Genome {
    #[getter(code)]
    fn bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.code().bytes())
    }

    #[getter]
    fn constants<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.code().constants())
    }

    #[getter]
    fn variables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.names.iter())
    }

    #[getter]
    fn tier(&self) -> &'static str {
        self.code().tier().name()
    }

    #[getter]
    fn is_boolean(&self) -> bool {
        self.code().is_on_words() && !self.code().is_on_integers()
    }

    #[getter]
    fn is_integer(&self) -> bool {
        self.code().is_on_integers()
    }

    /// For each slot, whether it has any influence on the result.
    #[getter]
    fn effective<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, opcodon_mcode::effective::mark(self.code()).slots)
    }

    /// What each gene does: first slot, number of slots, operation, text, whether it is effective.
    #[getter]
    fn genes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let class = py
            .import(intern!(py, "opcodon.genome"))?
            .getattr(intern!(py, "Gene"))?;
        let effective = opcodon_mcode::effective::mark(self.code()).slots;
        let notes = self.code().notes(&self.names);
        let genes = self.code().genes().zip(notes);
        let genes = genes.map(|((slot, gene), (_, text))| {
            let opcode = gene.opcode;
            class.call1((
                slot,
                slot + opcode.n_slots(),
                opcode.name(),
                text,
                effective[slot],
            ))
        });
        PyTuple::new(py, genes.collect::<PyResult<Vec<_>>>()?)
    }

    fn with_constants<'py>(
        &self,
        py: Python<'py>,
        values: Vec<f64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut genome = self.genome.clone();
        let constants = genome.constants_mut();
        if values.len() != constants.len() {
            return Err(PyValueError::new_err(format!(
                "{} constants were given, but the genome has {}",
                values.len(),
                constants.len()
            )));
        }
        constants.copy_from_slice(&values);
        self.child(py, genome)
    }

    fn to_expression(&self, py: Python<'_>) -> PyResult<Expression> {
        let expr = py.detach(|| self.genome.formula(MAX_NODES));
        let expr = expr.map_err(|error| mcode_error(&error))?;
        Ok(Expression::new(expr, Arc::clone(&self.names)))
    }

    /// A child of two parents, and what of the bytes comes from whom: an `opcodon.genome.Crossover`.
    #[pyo3(signature = (other, *, max_slots=64, homologous=None, seed=None))]
    fn crossover<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, Self>,
        max_slots: usize,
        homologous: Option<bool>,
        seed: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let mut rng = stream(py, seed)?;
        this.code()
            .require_same_kind(other.get().code())
            .map_err(|error| mcode_error(&error))?;
        let mut child = this.genome.clone();
        let splice = match (&mut child, &this.genome, &other.get().genome) {
            (Individual::Tree(child), Individual::Tree(first), Individual::Tree(second)) => {
                child.crossover(&mut rng, first, second, max_slots)
            }
            (Individual::Linear(child), Individual::Linear(first), Individual::Linear(second)) => {
                if homologous.unwrap_or_else(|| rng.bool(0.5)) {
                    child.homologous(&mut rng, first, second, max_slots)
                } else {
                    child.two_point(&mut rng, first, second, max_slots)
                }
            }
            _ => return Err(mixed_kinds()),
        };
        let (cut, donor) = splice.map(|Splice { cut, donor }| (cut, donor)).unzip();
        let [cut, donor] = [cut, donor].map(|range| range.map(|range| (range.start, range.end)));
        py.import(intern!(py, "opcodon.genome"))?
            .getattr(intern!(py, "Crossover"))?
            .call1((slf, other, this.child(py, child)?, cut, donor))
    }

    #[pyo3(signature = (repertoire=None, *, max_slots=64, seed=None))]
    fn mutate<'py>(
        &self,
        py: Python<'py>,
        repertoire: Option<&Bound<'py, Repertoire>>,
        max_slots: usize,
        seed: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut rng = stream(py, seed)?;
        let own;
        let repertoire = match repertoire {
            Some(repertoire) => repertoire.get().inner(),
            None => {
                own = repertoire::of(self.code()).map_err(|error| mcode_error(&error))?;
                &own
            }
        };
        repertoire
            .require(self.code())
            .map_err(|error| mcode_error(&error))?;
        let mut child = self.genome.clone();
        match (&mut child, &self.genome) {
            (Individual::Tree(child), Individual::Tree(original)) => {
                child.mutate(&mut rng, original, repertoire, max_slots);
            }
            (Individual::Linear(child), _) => child.mutate(&mut rng, repertoire, max_slots),
            (Individual::Tree(_), Individual::Linear(_)) => {}
        }
        self.child(py, child)
    }

    /// The values of one genome for each row.
    #[expect(non_snake_case, reason = "the name of the argument in Python")]
    fn evaluate<'py>(slf: &Bound<'py, Self>, X: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        evaluator::predict(slf.py(), slf.get(), X)
    }

    /// Mean squared error of one genome, or its share of wrong cases.
    #[expect(non_snake_case, reason = "the name of the argument in Python")]
    fn loss<'py>(
        slf: &Bound<'py, Self>,
        X: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
    ) -> PyResult<f64> {
        let py = slf.py();
        let code = slf.get().code();
        let integer = code.is_on_words() && evaluator::holds_integers(X)?;
        let evaluator = Evaluator::new(X, y, integer)?;
        Ok(evaluator.losses_of(py, std::slice::from_ref(slf))?[0])
    }

    #[pyo3(signature = (style="intel"))]
    fn disassemble<'py>(&self, py: Python<'py>, style: &str) -> PyResult<Bound<'py, PyAny>> {
        let listing = genome_listing(&self.genome, &self.names, syntax(style)?);
        disassembly(py, &listing)
    }

    fn to_json(&self) -> PyResult<String> {
        let genome = serde_json::to_value(&self.genome);
        let genome = genome.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        Ok(serde_json::json!({ "names": &self.names[..], "genome": genome }).to_string())
    }

    #[classmethod]
    fn from_json<'py>(class: &Bound<'py, PyType>, text: &str) -> PyResult<Bound<'py, PyAny>> {
        Self::read(class, text)
    }

    fn save(&self, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let text = self.to_json()? + "\n";
        file(path)?.call_method1(intern!(path.py(), "write_text"), (text, "utf-8"))?;
        Ok(())
    }

    #[classmethod]
    fn load<'py>(
        class: &Bound<'py, PyType>,
        path: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        let path = file(path)?;
        let located = |error: PyErr| {
            if error.is_instance_of::<PyValueError>(py) {
                PyValueError::new_err(format!("{path}: {}", error.value(py)))
            } else {
                error
            }
        };
        let text = path.call_method1(intern!(py, "read_text"), ("utf-8",));
        let text: String = text.map_err(located)?.extract()?;
        Self::read(class, &text).map_err(located)
    }

    #[pyo3(signature = (width=None))]
    fn svg(&self, width: Option<usize>) -> PyResult<String> {
        let width = picture::line(width, LINE)?;
        Ok(genome_picture(&self.genome, &self.names, width))
    }

    fn _repr_html_(&self) -> String {
        let svg = genome_picture(&self.genome, &self.names, LINE);
        opcodon_page::fragment(&genomes(&[("", &self.genome)], &self.names, &svg))
    }

    fn __len__(&self) -> usize {
        self.code().slots().len()
    }

    fn __str__(&self) -> String {
        self.text().unwrap_or_else(|error| format!("({error})"))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        const SHOWN: usize = 60;
        let this = slf.get();
        let mut text = this.__str__();
        if let Some((end, _)) = text.char_indices().nth(SHOWN) {
            text.truncate(end);
            text.push('…');
        }
        Ok(format!(
            "<{}: {text}, {} slots, {}>",
            slf.get_type().name()?,
            this.__len__(),
            this.tier()
        ))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let Ok(other) = other.cast::<Self>() else {
            return false;
        };
        let (a, b) = (self.code(), other.get().code());
        let bits = |code: &Code| {
            code.constants()
                .iter()
                .map(|c| c.to_bits())
                .collect::<Vec<_>>()
        };
        std::mem::discriminant(&self.genome) == std::mem::discriminant(&other.get().genome)
            && self.names == other.get().names
            && (a.tier(), a.slots(), bits(a)) == (b.tier(), b.slots(), bits(b))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.code().slots().hash(&mut hasher);
        for constant in self.code().constants() {
            constant.to_bits().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Nothing can tell a copy from the genome itself.
    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        let py = slf.py();
        let class = py.get_type::<Self>();
        Ok((
            class.getattr(intern!(py, "from_json"))?,
            (slf.get().to_json()?,),
        ))
    }
}

/// Data as genomes read them.
pub(crate) fn blocks(
    tier: Tier,
    columns: &[Vec<f64>],
    target: Option<&[f64]>,
) -> Result<Blocks, McodeError> {
    let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    Blocks::new(tier, &columns, target)
}
