//! Functions of a whole population: selection, and what halls of fame and statistics ask of it.

use std::cmp::Ordering;

use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::PyIndexError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use super::fitness::{Fitness, compare_all, with_weighted};
use super::measure::Measure;
use super::random::draw;

/// The best of ``tournsize`` random individuals, ``k`` times.
#[pyfunction]
#[pyo3(name = "selTournament", signature = (individuals, k, tournsize, fit_attr = None))]
pub(crate) fn sel_tournament<'py>(
    individuals: &Bound<'py, PyAny>,
    k: usize,
    tournsize: usize,
    fit_attr: Option<&Bound<'py, PyString>>,
) -> PyResult<Bound<'py, PyList>> {
    let py = individuals.py();
    let fit_attr = fit_attr.unwrap_or_else(|| intern!(py, "fitness"));
    let candidates: Vec<Bound<'py, PyAny>> = match individuals.cast::<PyList>() {
        Ok(list) => list.iter().collect(),
        Err(_) => individuals.try_iter()?.collect::<PyResult<_>>()?,
    };
    if k > 0 && (candidates.is_empty() || tournsize == 0) {
        return Err(PyIndexError::new_err(format!(
            "a tournament of {tournsize} among {} individuals has no winner",
            candidates.len()
        )));
    }
    let mut weighted: Vec<f64> = Vec::with_capacity(candidates.len());
    let mut starts = vec![0];
    for candidate in &candidates {
        with_weighted(&candidate.getattr(fit_attr)?, |values| {
            weighted.extend_from_slice(values)
        })?;
        starts.push(weighted.len());
    }
    let fitness = |index: usize| &weighted[starts[index]..starts[index + 1]];
    let winners = draw(py, |rng| {
        (0..k)
            .map(|_| {
                let mut best = rng.below(candidates.len());
                for _ in 1..tournsize {
                    let next = rng.below(candidates.len());
                    if compare_all(fitness(next), fitness(best)) == Ordering::Greater {
                        best = next;
                    }
                }
                best
            })
            .collect::<Vec<usize>>()
    })?;
    PyList::new(py, winners.into_iter().map(|index| &candidates[index]))
}

/// The individuals that are better than a fitness.
#[pyfunction]
#[pyo3(name = "_better")]
pub(crate) fn better<'py>(
    individuals: &Bound<'py, PyAny>,
    fitness: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let py = individuals.py();
    let mut found = Vec::new();
    with_weighted(fitness, |bound| {
        for individual in individuals.try_iter()? {
            let individual = individual?;
            let theirs = individual.getattr(intern!(py, "fitness"))?;
            if with_weighted(&theirs, |values| compare_all(values, bound))? == Ordering::Greater {
                found.push(individual);
            }
        }
        Ok(found)
    })?
}

/// What a key says of every individual, as an array, if the key is one of those that statistics
/// of genetic programming use and the individuals answer alike.
#[pyfunction]
#[pyo3(name = "_observe")]
pub(crate) fn observe<'py>(
    individuals: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = individuals.py();
    let Ok(individuals) = individuals.cast::<PyList>() else {
        return Ok(None);
    };
    let measure = Measure::of(key)?;
    match measure {
        Measure::Any => Ok(None),
        Measure::Height | Measure::Size => {
            let counts: PyResult<Vec<i64>> = individuals
                .iter()
                .map(|individual| match measure {
                    Measure::Size => Ok(i64::try_from(individual.len()?)?),
                    _ => individual.getattr(intern!(py, "height"))?.extract(),
                })
                .collect();
            Ok(Some(PyArray1::from_vec(py, counts?).into_any()))
        }
        Measure::FitnessValues => {
            let mut values: Vec<f64> = Vec::with_capacity(individuals.len());
            let mut n_objectives = None;
            for individual in individuals {
                let fitness = individual.getattr(intern!(py, "fitness"))?;
                let Ok(fitness) = fitness.cast_into::<Fitness>() else {
                    return Ok(None);
                };
                let before = values.len();
                values.extend(fitness.try_borrow()?.values());
                let n = values.len() - before;
                if *n_objectives.get_or_insert(n) != n {
                    return Ok(None);
                }
            }
            let shape = (individuals.len(), n_objectives.unwrap_or(0));
            Ok(Some(
                PyArray1::from_vec(py, values)
                    .reshape([shape.0, shape.1])?
                    .into_any(),
            ))
        }
    }
}
