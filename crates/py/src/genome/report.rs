//! Evolution of genomes for a table, and its report.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use numpy::PyArray1;
use opcodon_data::Latest;
use opcodon_mcode::fit::{Hooks, Observations, Progress, Save, fit};
use opcodon_mcode::report::Model;
use opcodon_mcode::{Ancestor, Config, Lineage, McodeError, Report};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyType};

use super::{mcode_error, wrap};
use crate::array::{Matrix, Vector};
use crate::expression::{Expression, Names};
use crate::page::page;
use crate::search::{self, supervise};

/// What an evolution came to; the Python class of the same name.
#[pyclass(frozen, module = "opcodon._core", name = "GenomeReport")]
pub(crate) struct GenomeReport {
    report: Report,
    names: Names,
}

impl GenomeReport {
    fn new(report: Report) -> Self {
        let names = report.names.clone().into();
        Self { report, names }
    }

    fn line(&self, index: Option<usize>) -> PyResult<Lineage<'_>> {
        let line = self.report.lineage(index);
        line.map_err(|error| mcode_error(&error))
    }

    fn model(&self, index: Option<usize>) -> PyResult<&Model> {
        self.report
            .model(index)
            .map_err(|error| mcode_error(&error))
    }
}

/// An ancestor, as Python has it.
#[derive(IntoPyObject)]
struct Row<'a> {
    step: u64,
    island: u64,
    operator: &'static str,
    loss: Option<f64>,
    size: u64,
    formula: &'a str,
    other: Option<&'a str>,
}

impl<'a> From<(&'a Ancestor, Option<&'a Ancestor>)> for Row<'a> {
    fn from((ancestor, father): (&'a Ancestor, Option<&'a Ancestor>)) -> Row<'a> {
        Row {
            step: ancestor.step,
            island: ancestor.island,
            operator: ancestor.operator.text(),
            loss: ancestor.loss,
            size: ancestor.size,
            formula: &ancestor.formula,
            other: father.map(|father| father.formula.as_str()),
        }
    }
}

fn config(parameters: &BTreeMap<String, String>) -> Result<Config, McodeError> {
    let mut config = Config::default();
    for (name, text) in parameters {
        config.set(name, text)?;
    }
    config.validate()?;
    Ok(config)
}

/// Evolves genomes for a table.
#[pyfunction]
#[pyo3(signature = (
    X, y, names, target, sample_weight, parameters, progress, checkpoint, resume
))]
#[expect(non_snake_case, reason = "the name of the argument in Python")]
#[expect(
    clippy::too_many_arguments,
    reason = "called by one Python function, which has names for them"
)]
pub(crate) fn evolve(
    py: Python<'_>,
    X: &Bound<'_, PyAny>,
    y: &Bound<'_, PyAny>,
    names: Vec<String>,
    target: String,
    sample_weight: Option<&Bound<'_, PyAny>>,
    parameters: BTreeMap<String, String>,
    progress: Option<&Bound<'_, PyAny>>,
    checkpoint: Option<std::path::PathBuf>,
    resume: Option<String>,
) -> PyResult<GenomeReport> {
    let config = config(&parameters).map_err(|error| mcode_error(&error))?;
    let matrix = Matrix::extract("X", X, &names)?;
    let view = matrix.view();
    let target_values = Vector::extract("y", y, view.n_rows())?.to_vec();
    let weights = sample_weight
        .map(|weight| {
            Ok::<_, PyErr>(Vector::extract("sample_weight", weight, view.n_rows())?.to_vec())
        })
        .transpose()?;
    let columns = py.detach(|| {
        (0..view.n_columns())
            .map(|c| Cow::Owned(view.column(c)))
            .collect()
    });
    let data = Observations {
        names,
        columns,
        target_name: target,
        target: Cow::Owned(target_values),
        weights: weights.map(Cow::Owned),
    };
    let (report, file) = supervise(py, progress, tell, |interrupt, observer| {
        let mut file = search::checkpoint(checkpoint, &interrupt);
        let mut save = file.as_mut().map(|file| |text: &str| file.save(text));
        let hooks = Hooks {
            progress: Some(observer),
            interrupt: Some(interrupt),
            checkpoint: save
                .as_mut()
                .map(|save| (Latest::INTERVAL, save as Save<'_>)),
            resume: resume.as_deref(),
        };
        (fit(&data, &config, hooks), file)
    })?;
    let report = report.map_err(|error| mcode_error(&error))?;
    search::checkpointed(py, file)?;
    Ok(GenomeReport::new(report))
}

/// Calls back with the state of the search.
fn tell(callback: &Bound<'_, PyAny>, progress: &Progress) -> PyResult<()> {
    let py = callback.py();
    let state = PyDict::new(py);
    state.set_item("step", progress.step)?;
    state.set_item("evaluations", progress.evaluations)?;
    state.set_item("elapsed", progress.elapsed.as_secs_f64())?;
    state.set_item("fraction", progress.fraction)?;
    let front = PyList::empty(py);
    if let Some(model) = &progress.best {
        let row = PyDict::new(py);
        row.set_item("equation", &model.formula)?;
        row.set_item("size", model.size)?;
        row.set_item("loss", model.loss)?;
        front.append(row)?;
    }
    state.set_item("front", front)?;
    callback.call1((state,))?;
    Ok(())
}

/// Every hyper-parameter of an evolution, as `parameters` lists those of a fit.
#[pyfunction]
pub(crate) fn evolve_parameters() -> Vec<(
    &'static str,
    &'static str,
    String,
    Vec<&'static str>,
    &'static str,
)> {
    Config::PARAMETERS
        .iter()
        .map(|p| (p.name, p.kind, p.default_text(), p.choices.to_vec(), p.doc))
        .collect()
}

#[pymethods]
impl GenomeReport {
    #[classmethod]
    fn from_json(_class: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        let report = Report::from_json(text).map_err(|error| mcode_error(&error))?;
        Ok(Self::new(report))
    }

    fn to_json(&self) -> String {
        self.report.to_json()
    }

    /// A genome of the front, or the chosen one.
    #[pyo3(signature = (index=None))]
    fn genome<'py>(&self, py: Python<'py>, index: Option<usize>) -> PyResult<Bound<'py, PyAny>> {
        wrap(
            py,
            self.model(index)?.genome.clone(),
            Arc::clone(&self.names),
        )
    }

    /// The ancestors of a genome of the front, or the chosen one, the first one first: step, island,
    /// what made it, error, size, formula, formula of the second parent.
    #[pyo3(signature = (index=None))]
    fn lineage(&self, index: Option<usize>) -> PyResult<Vec<Row<'_>>> {
        let generations = self.line(index)?.generations.into_iter();
        Ok(generations.map(Row::from).collect())
    }

    /// These ancestors as text, as SVG and as a notebook's output.
    #[pyo3(signature = (index=None))]
    fn lineage_pictures(&self, index: Option<usize>) -> PyResult<[String; 3]> {
        let line = self.line(index)?;
        let (svg, html) = (
            opcodon_page::lineage_svg(&line),
            opcodon_page::lineage_html(&line),
        );
        Ok([line.to_string(), svg, html])
    }

    /// A formula of the front, or the chosen one.
    #[pyo3(signature = (index=None))]
    fn expression(&self, index: Option<usize>) -> PyResult<Expression> {
        let expr = self.model(index)?.expression();
        let expr = expr.map_err(|error| mcode_error(&error))?;
        Ok(Expression::new(expr, Arc::clone(&self.names)))
    }

    /// What a genome of the front says for each row.
    #[pyo3(signature = (X, index=None))]
    #[expect(non_snake_case, reason = "the name of the argument in Python")]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        X: &Bound<'py, PyAny>,
        index: Option<usize>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let matrix = Matrix::extract("X", X, &self.names)?;
        let view = matrix.view();
        let values = py.detach(|| {
            let columns: Vec<Vec<f64>> = (0..view.n_columns()).map(|c| view.column(c)).collect();
            let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
            self.report.predict(index, &columns)
        });
        Ok(PyArray1::from_vec(
            py,
            values.map_err(|error| mcode_error(&error))?,
        ))
    }

    /// The front, from small to large, as one dictionary for each genome.
    fn front<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (index, model) in self.report.front.iter().enumerate() {
            let row = PyDict::new(py);
            row.set_item("equation", &model.formula)?;
            row.set_item("size", model.size)?;
            row.set_item("slots", model.genome.code().slots().len())?;
            row.set_item("loss", model.loss)?;
            row.set_item("r2", model.r2)?;
            row.set_item("bic", model.bic)?;
            row.set_item("chosen", index == self.report.chosen)?;
            list.append(row)?;
        }
        Ok(list)
    }

    /// The page of the search, with pictures of what the genomes say of a table, if it is given.
    #[pyo3(signature = (X=None, y=None))]
    #[expect(non_snake_case, reason = "the name of the argument in Python")]
    fn page(
        &self,
        py: Python<'_>,
        X: Option<&Bound<'_, PyAny>>,
        y: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        page(py, &self.report, &self.names, [X, y], mcode_error)
    }

    /// The chosen formula and the front.
    fn _repr_html_(&self) -> String {
        opcodon_page::summary(&self.report)
    }

    /// The hyper-parameters of the search, as texts.
    #[getter]
    fn parameters(&self) -> BTreeMap<&'static str, String> {
        let config = &self.report.config;
        let text = |p: &opcodon_mcode::config::Parameter| Some((p.name, config.get(p.name)?));
        Config::PARAMETERS.iter().filter_map(text).collect()
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.report.names.clone()
    }

    #[getter]
    fn target(&self) -> &str {
        &self.report.target
    }

    #[getter]
    fn n_rows(&self) -> usize {
        self.report.n_rows
    }

    #[getter]
    fn chosen(&self) -> usize {
        self.report.chosen
    }

    #[getter]
    fn steps(&self) -> u64 {
        self.report.steps
    }

    #[getter]
    fn evaluations(&self) -> u64 {
        self.report.evaluations
    }

    #[getter]
    fn elapsed(&self) -> f64 {
        self.report.elapsed_s
    }

    #[getter]
    fn stop(&self) -> &str {
        &self.report.stop
    }

    #[getter]
    fn interrupted(&self) -> bool {
        self.report.interrupted
    }

    #[getter]
    fn seed(&self) -> u64 {
        self.report.seed
    }

    #[getter]
    fn tier(&self) -> &'static str {
        self.report.tier.name()
    }

    fn __str__(&self) -> String {
        self.report.to_string()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other
            .cast::<Self>()
            .is_ok_and(|other| other.get().report == self.report)
    }

    fn __repr__(&self) -> String {
        let (target, formula) = (&self.report.target, &self.report.best().formula);
        format!("<GenomeReport: {target} = {formula}>")
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((slf.get_type().getattr("from_json")?, (slf.get().to_json(),)))
    }
}
