//! Symbolic regression: a fit and its report.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use numpy::PyArray1;
use opcodon_data::Latest;
use opcodon_sr::{
    Config, FrontEntry, Hooks, Model, Observations, Progress, Report as Inner, Save, SrError,
    fit_with,
};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyType};

use crate::array::{Matrix, Vector};
use crate::error::message;
use crate::expression::{Expression, Names};
use crate::page::page;
use crate::search::{self, supervise};

/// The result of a fit; the Python class of the same name in `opcodon._core`.
#[pyclass(frozen, module = "opcodon._core", name = "Report")]
pub(crate) struct Report {
    report: Inner,
    names: Names,
}

fn sr_error(error: &SrError) -> PyErr {
    let text = message(error);
    match error {
        SrError::Threads { .. } => PyOSError::new_err(text),
        SrError::Compile(_) => PyRuntimeError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}

impl Report {
    fn new(report: Inner) -> Self {
        let names = report.names.clone().into();
        Self { report, names }
    }

    fn model(&self, index: Option<usize>) -> PyResult<&Model> {
        self.report.model(index).map_err(|error| sr_error(&error))
    }
}

/// Hyper-parameters from their texts.
fn config(parameters: &BTreeMap<String, String>) -> Result<Config, SrError> {
    let mut config = Config::default();
    // A preset is what the others differ from.
    let (preset, others): (Vec<_>, Vec<_>) =
        parameters.iter().partition(|(name, _)| *name == "preset");
    for (name, text) in preset.into_iter().chain(others) {
        config.set(name, text)?;
    }
    config.validate()?;
    Ok(config)
}

/// Fits formulas to a table.
#[pyfunction]
#[pyo3(signature = (X, y, names, target, sample_weight, parameters, progress, checkpoint, resume))]
#[expect(non_snake_case, reason = "the name of the argument in Python")]
#[expect(
    clippy::too_many_arguments,
    reason = "called by one Python function, which has names for them"
)]
pub(crate) fn fit(
    py: Python<'_>,
    X: &Bound<'_, PyAny>,
    y: &Bound<'_, PyAny>,
    names: Vec<String>,
    target: String,
    sample_weight: Option<&Bound<'_, PyAny>>,
    parameters: BTreeMap<String, String>,
    progress: Option<&Bound<'_, PyAny>>,
    checkpoint: Option<PathBuf>,
    resume: Option<String>,
) -> PyResult<Report> {
    let config = config(&parameters).map_err(|error| sr_error(&error))?;
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
        (fit_with(&data, &config, hooks), file)
    })?;
    let report = report.map_err(|error| sr_error(&error))?;
    search::checkpointed(py, file)?;
    Ok(Report::new(report))
}

/// Calls back with the state of the search.
fn tell(callback: &Bound<'_, PyAny>, progress: &Progress) -> PyResult<()> {
    let py = callback.py();
    let state = PyDict::new(py);
    state.set_item("generation", progress.generation)?;
    state.set_item("evaluations", progress.evaluations)?;
    state.set_item("elapsed", progress.elapsed.as_secs_f64())?;
    state.set_item("fraction", progress.fraction)?;
    state.set_item("front", entries(py, &progress.front)?)?;
    callback.call1((state,))?;
    Ok(())
}

/// Formulas as rows of a table.
fn entries<'py>(py: Python<'py>, formulas: &[FrontEntry]) -> PyResult<Bound<'py, PyList>> {
    let rows = PyList::empty(py);
    for entry in formulas {
        let row = PyDict::new(py);
        row.set_item("equation", &entry.formula)?;
        row.set_item("size", entry.size)?;
        row.set_item("r2", entry.r2)?;
        rows.append(row)?;
    }
    Ok(rows)
}

/// Every hyper-parameter: name, kind of value, default as text, words that are accepted, what it
/// does.
#[pyfunction]
pub(crate) fn parameters() -> Vec<(
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
impl Report {
    #[classmethod]
    fn from_json(_class: &Bound<'_, PyType>, text: &str) -> PyResult<Self> {
        Ok(Self::new(
            Inner::from_json(text).map_err(|error| sr_error(&error))?,
        ))
    }

    fn to_json(&self) -> String {
        self.report.to_json()
    }

    /// A formula of the front, or the chosen one.
    #[pyo3(signature = (index=None))]
    fn expression(&self, index: Option<usize>) -> PyResult<Expression> {
        Ok(Expression::new(
            self.model(index)?.expr.clone(),
            Arc::clone(&self.names),
        ))
    }

    /// What a formula of the front says for each row.
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
            values.map_err(|error| sr_error(&error))?,
        ))
    }

    /// The constants of a formula of the front, each with its standard error if it was fitted.
    #[pyo3(signature = (index=None))]
    fn constants(&self, index: Option<usize>) -> PyResult<Vec<(f64, Option<f64>)>> {
        Ok(self.model(index)?.constants())
    }

    /// The best of what was visited.
    fn visited<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        entries(py, &self.report.visited)
    }

    /// How far predictions may be off, by the share of new rows for which that is expected.
    #[pyo3(signature = (index=None))]
    fn margins(&self, index: Option<usize>) -> PyResult<Vec<(f64, f64)>> {
        let margins = &self.model(index)?.margins;
        Ok(margins.iter().map(|m| (m.level, m.distance)).collect())
    }

    /// The distance within which this share of new rows is expected.
    #[pyo3(signature = (level, index=None))]
    fn margin(&self, level: f64, index: Option<usize>) -> PyResult<f64> {
        self.report
            .margin(index, level)
            .map_err(|error| sr_error(&error))
    }

    /// The front, from small to large, as one dictionary for each formula.
    fn front<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (index, model) in self.report.front.iter().enumerate() {
            let row = PyDict::new(py);
            row.set_item("equation", &model.formula)?;
            row.set_item("size", model.size)?;
            row.set_item("loss", model.loss)?;
            row.set_item("r2", model.r2)?;
            row.set_item("score", model.score)?;
            row.set_item("mdl", model.mdl)?;
            row.set_item("bic", model.bic)?;
            row.set_item("cv_r2", model.cv_r2)?;
            row.set_item("validation_r2", model.validation_r2)?;
            row.set_item("test_r2", model.test_r2)?;
            row.set_item("chosen", index == self.report.chosen)?;
            list.append(row)?;
        }
        Ok(list)
    }

    /// The page of the fit, with pictures of what the formulas say of a table, if it is given.
    #[pyo3(signature = (X=None, y=None))]
    #[expect(non_snake_case, reason = "the name of the argument in Python")]
    fn page(
        &self,
        py: Python<'_>,
        X: Option<&Bound<'_, PyAny>>,
        y: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        page(py, &self.report, &self.names, [X, y], sr_error)
    }

    /// The chosen formula and the front.
    fn _repr_html_(&self) -> String {
        opcodon_page::summary(&self.report)
    }

    /// The hyper-parameters of the fit, as texts.
    #[getter]
    fn parameters(&self) -> PyResult<BTreeMap<&'static str, String>> {
        Config::PARAMETERS
            .iter()
            .map(|p| {
                Ok((
                    p.name,
                    self.report
                        .config
                        .get(p.name)
                        .map_err(|error| sr_error(&error))?,
                ))
            })
            .collect()
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
    fn choice(&self) -> &str {
        &self.report.choice
    }

    #[getter]
    fn generations(&self) -> u64 {
        self.report.generations
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
    fn stop(&self) -> String {
        self.report.stop.to_string()
    }

    #[getter]
    fn interrupted(&self) -> bool {
        self.report.stop == opcodon_sr::StopReason::Interrupted
    }

    #[getter]
    fn seed(&self) -> u64 {
        self.report.seed
    }

    #[getter]
    fn tier(&self) -> &str {
        &self.report.tier
    }

    #[getter]
    fn notes(&self) -> Vec<String> {
        self.report.notes.clone()
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
        format!(
            "<Report: {} = {}>",
            self.report.target,
            self.report.best().formula
        )
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((slf.get_type().getattr("from_json")?, (slf.get().to_json(),)))
    }
}
