//! The operators that a toolbox registers: `deap.gp` and `deap.tools` under their own names.
//!
//! Given native trees they work on genes; given anything else they hand the call to DEAP's
//! function of the same name, so that a toolbox may be changed line by line.
//!
//! All of them draw from one generator, whose lock is never held while Python code runs.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::{Mutex, PoisonError};

use opcodon_evo::Rng;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use super::fitness::{compare_all, with_weighted};
use super::grammar::Gene;
use super::tree::{Tree, same_words};
use super::variation::{self, Shape};
use super::vocabulary::{Vocabulary, deap_gp};

/// The stream of random numbers of all operators; `None` until the first is drawn.
static RANDOM: Mutex<Option<Rng>> = Mutex::new(None);

/// Draws from the generator. If nobody has seeded it, Python's `random` does, so that a program
/// which calls `random.seed` at its beginning is reproducible as it was.
fn draw<R>(py: Python<'_>, body: impl FnOnce(&mut Rng) -> R) -> PyResult<R> {
    {
        let mut random = RANDOM.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rng) = random.as_mut() {
            return Ok(body(rng));
        }
    }
    let bits = py
        .import(intern!(py, "random"))?
        .call_method1(intern!(py, "getrandbits"), (64,))?;
    let mut rng = Rng::new(bits.extract()?, 0);
    let drawn = body(&mut rng);
    *RANDOM.lock().unwrap_or_else(PoisonError::into_inner) = Some(rng);
    Ok(drawn)
}

/// Makes what the native operators draw from now on a function of ``n``.
///
/// Ephemeral constants are drawn by their own Python functions, usually from ``random``: seed
/// that as well. Without a call, the first native operator takes its seed from ``random``.
#[pyfunction]
pub(crate) fn seed(n: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = n.py();
    // Any integer will do, as for random.seed.
    let mask = u64::MAX.into_pyobject(py)?;
    let n: u64 = n.call_method1(intern!(py, "__and__"), (mask,))?.extract()?;
    *RANDOM.lock().unwrap_or_else(PoisonError::into_inner) = Some(Rng::new(n, 0));
    Ok(())
}

fn new_tree<'py>(
    pset: &Bound<'py, PyAny>,
    min: usize,
    max: usize,
    of: Option<&Bound<'py, PyAny>>,
    shape: Shape,
) -> PyResult<Bound<'py, Tree>> {
    let py = pset.py();
    let vocabulary = Vocabulary::of(pset)?;
    let words = vocabulary.get();
    let of = words.type_id(of.filter(|of| !of.is_none()))?;
    let mut genes = draw(py, |rng| {
        variation::generate(&words.grammar, shape, min, max, of, rng)
    })?
    .map_err(|dead| words.dead(py, dead))?;
    words.draw(py, &mut genes)?;
    Bound::new(py, Tree::new(vocabulary.unbind(), genes))
}

/// A tree whose leaves are all at the same depth, drawn from ``min_`` to ``max_``.
#[pyfunction]
#[pyo3(name = "genFull", signature = (pset, min_, max_, type_ = None))]
pub(crate) fn gen_full<'py>(
    pset: &Bound<'py, PyAny>,
    min_: usize,
    max_: usize,
    type_: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, Tree>> {
    new_tree(pset, min_, max_, type_, Shape::Full)
}

/// A tree whose leaves are at depths from ``min_`` to ``max_``.
#[pyfunction]
#[pyo3(name = "genGrow", signature = (pset, min_, max_, type_ = None))]
pub(crate) fn gen_grow<'py>(
    pset: &Bound<'py, PyAny>,
    min_: usize,
    max_: usize,
    type_: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, Tree>> {
    new_tree(pset, min_, max_, type_, Shape::Grow)
}

/// A tree as :func:`genFull` or as :func:`genGrow` makes it, half the time each.
#[pyfunction]
#[pyo3(name = "genHalfAndHalf", signature = (pset, min_, max_, type_ = None))]
pub(crate) fn gen_half_and_half<'py>(
    pset: &Bound<'py, PyAny>,
    min_: usize,
    max_: usize,
    type_: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, Tree>> {
    new_tree(pset, min_, max_, type_, Shape::HalfAndHalf)
}

/// An independent copy of an individual, with its fitness: ``copy.deepcopy``, but fast.
#[pyfunction]
pub(crate) fn clone<'py>(individual: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match individual.cast::<Tree>() {
        Ok(tree) => Ok(Tree::copy(tree, None)?.into_any()),
        Err(_) => {
            let py = individual.py();
            py.import(intern!(py, "copy"))?
                .call_method1(intern!(py, "deepcopy"), (individual,))
        }
    }
}

type Pair<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// Exchanges subtrees between two trees at the points that `points` chooses.
fn mate(
    a: &Bound<'_, Tree>,
    b: &Bound<'_, Tree>,
    points: impl FnOnce(&super::grammar::Grammar, &[Gene], &[Gene], &mut Rng) -> Option<(usize, usize)>,
) -> PyResult<()> {
    let py = a.py();
    if a.is(b) {
        return Ok(());
    }
    let (mut a, mut b) = (a.borrow_mut(), b.borrow_mut());
    let genes_b = same_words(py, &a, &b)?;
    let grammar = &a.words(py).grammar;
    let Some(points) = draw(py, |rng| points(grammar, &a.genes, &genes_b, rng))? else {
        return Ok(());
    };
    let (child_a, child_b) = variation::exchange(grammar, &a.genes, &genes_b, points);
    let translated = matches!(genes_b, Cow::Owned(_));
    a.genes = child_a;
    b.genes = child_b;
    if translated {
        b.vocabulary = a.vocabulary.clone_ref(py);
    }
    Ok(())
}

/// Exchanges a random subtree of each of two trees, in place; never a whole tree.
#[pyfunction]
#[pyo3(name = "cxOnePoint")]
pub(crate) fn cx_one_point<'py>(
    ind1: Bound<'py, PyAny>,
    ind2: Bound<'py, PyAny>,
) -> PyResult<Pair<'py>> {
    let (Ok(a), Ok(b)) = (ind1.cast::<Tree>(), ind2.cast::<Tree>()) else {
        return deap_gp(ind1.py())?
            .call_method1(intern!(ind1.py(), "cxOnePoint"), (ind1, ind2))?
            .extract();
    };
    mate(a, b, variation::crossover_points)?;
    Ok((ind1, ind2))
}

/// As :func:`cxOnePoint`; each crossover point is a terminal with probability ``termpb``.
#[pyfunction]
#[pyo3(name = "cxOnePointLeafBiased")]
pub(crate) fn cx_one_point_leaf_biased<'py>(
    ind1: Bound<'py, PyAny>,
    ind2: Bound<'py, PyAny>,
    termpb: f64,
) -> PyResult<Pair<'py>> {
    let (Ok(a), Ok(b)) = (ind1.cast::<Tree>(), ind2.cast::<Tree>()) else {
        return deap_gp(ind1.py())?
            .call_method1(
                intern!(ind1.py(), "cxOnePointLeafBiased"),
                (ind1, ind2, termpb),
            )?
            .extract();
    };
    mate(a, b, |grammar, a, b, rng| {
        variation::leaf_biased_points(grammar, a, b, termpb, rng)
    })?;
    Ok((ind1, ind2))
}

/// Replaces a random subtree, in place, by what ``expr(pset=pset, type_=...)`` makes.
#[pyfunction]
#[pyo3(name = "mutUniform")]
pub(crate) fn mut_uniform<'py>(
    individual: Bound<'py, PyAny>,
    expr: &Bound<'py, PyAny>,
    pset: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>,)> {
    let py = individual.py();
    let Ok(tree) = individual.cast::<Tree>() else {
        return deap_gp(py)?
            .call_method1(intern!(py, "mutUniform"), (individual, expr, pset))?
            .extract();
    };
    let (at, of) = {
        let tree = tree.borrow();
        if tree.genes.is_empty() {
            return Err(empty());
        }
        let at = draw(py, |rng| rng.below(tree.genes.len()))?;
        let words = tree.words(py);
        (at, words.type_object(py, words.grammar.ret(tree.genes[at])))
    };
    let arguments = PyDict::new(py);
    arguments.set_item(intern!(py, "pset"), pset)?;
    arguments.set_item(intern!(py, "type_"), of)?;
    let branch = expr.call((), Some(&arguments))?;
    // The caller's function may have touched the tree.
    let mut tree = tree.borrow_mut();
    let branch = tree.piece(py, &branch)?;
    let grammar = &tree.words(py).grammar;
    if !grammar.is_tree(&branch) {
        return Err(PyValueError::new_err("expr did not make a complete tree"));
    }
    let at = at.min(tree.genes.len().saturating_sub(1));
    let end = grammar.end_of(&tree.genes, at);
    tree.genes.splice(at..end, branch);
    drop(tree);
    Ok((individual,))
}

fn empty() -> PyErr {
    PyIndexError::new_err("the tree has no nodes")
}

/// Changes a tree in symbols of a primitive set, and draws ephemeral constants.
fn change(
    tree: &Bound<'_, Tree>,
    pset: Option<&Bound<'_, PyAny>>,
    body: impl FnOnce(&super::grammar::Grammar, &mut Vec<Gene>, &mut Rng) -> Result<(), variation::Dead>,
) -> PyResult<()> {
    let py = tree.py();
    let (vocabulary, mut genes) = {
        let tree = tree.borrow();
        match pset {
            None => (tree.vocabulary.bind(py).clone(), tree.genes.clone()),
            Some(pset) => {
                let vocabulary = Vocabulary::of(pset)?;
                let genes = vocabulary
                    .get()
                    .adopt(&tree.genes, tree.words(py))?
                    .into_owned();
                (vocabulary, genes)
            }
        }
    };
    let words = vocabulary.get();
    draw(py, |rng| body(&words.grammar, &mut genes, rng))?.map_err(|dead| words.dead(py, dead))?;
    words.draw(py, &mut genes)?;
    let mut tree = tree.borrow_mut();
    tree.genes = genes;
    tree.vocabulary = vocabulary.unbind();
    Ok(())
}

/// Replaces a random node, not the root, by another with the same arguments, in place.
#[pyfunction]
#[pyo3(name = "mutNodeReplacement")]
pub(crate) fn mut_node_replacement<'py>(
    individual: Bound<'py, PyAny>,
    pset: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>,)> {
    let py = individual.py();
    let Ok(tree) = individual.cast::<Tree>() else {
        return deap_gp(py)?
            .call_method1(intern!(py, "mutNodeReplacement"), (individual, pset))?
            .extract();
    };
    change(tree, Some(pset), |grammar, genes, rng| {
        variation::replace_node(grammar, genes, rng)
    })?;
    Ok((individual,))
}

/// Draws one ephemeral constant (``mode="one"``) or all of them (``mode="all"``) anew, in place.
#[pyfunction]
#[pyo3(name = "mutEphemeral")]
pub(crate) fn mut_ephemeral<'py>(
    individual: Bound<'py, PyAny>,
    mode: &str,
) -> PyResult<(Bound<'py, PyAny>,)> {
    let py = individual.py();
    let all = match mode {
        "one" => false,
        "all" => true,
        _ => {
            return Err(PyValueError::new_err(format!(
                "Mode must be one of \"one\" or \"all\", not {mode:?}"
            )));
        }
    };
    let Ok(tree) = individual.cast::<Tree>() else {
        return deap_gp(py)?
            .call_method1(intern!(py, "mutEphemeral"), (individual, mode))?
            .extract();
    };
    change(tree, None, |grammar, genes, rng| {
        variation::forget_ephemerals(grammar, genes, all, rng);
        Ok(())
    })?;
    Ok((individual,))
}

/// Puts a random primitive between a random node and what is above it, in place.
#[pyfunction]
#[pyo3(name = "mutInsert")]
pub(crate) fn mut_insert<'py>(
    individual: Bound<'py, PyAny>,
    pset: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>,)> {
    let py = individual.py();
    let Ok(tree) = individual.cast::<Tree>() else {
        return deap_gp(py)?
            .call_method1(intern!(py, "mutInsert"), (individual, pset))?
            .extract();
    };
    change(tree, Some(pset), variation::insert_node)?;
    Ok((individual,))
}

/// Replaces a random primitive, not the root, by one of its arguments, in place.
#[pyfunction]
#[pyo3(name = "mutShrink")]
pub(crate) fn mut_shrink<'py>(individual: Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>,)> {
    let py = individual.py();
    let Ok(tree) = individual.cast::<Tree>() else {
        return deap_gp(py)?
            .call_method1(intern!(py, "mutShrink"), (individual,))?
            .extract();
    };
    change(tree, None, |grammar, genes, rng| {
        variation::shrink(grammar, genes, rng);
        Ok(())
    })?;
    Ok((individual,))
}

/// The best of ``tournsize`` random individuals, ``k`` times.
#[pyfunction]
#[pyo3(name = "selTournament", signature = (individuals, k, tournsize, fit_attr = None))]
pub(crate) fn sel_tournament<'py>(
    individuals: &Bound<'py, PyAny>,
    k: usize,
    tournsize: usize,
    fit_attr: Option<&Bound<'py, pyo3::types::PyString>>,
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

/// What `staticLimit` measures.
enum Measure {
    Height,
    Size,
    Any(Py<PyAny>),
}

impl Measure {
    /// Recognises `operator.attrgetter("height")` and `len`.
    fn of(key: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = key.py();
        let builtins = py.import(intern!(py, "builtins"))?;
        if key.is(builtins.getattr(intern!(py, "len"))?) {
            return Ok(Self::Size);
        }
        let attrgetter = py
            .import(intern!(py, "operator"))?
            .getattr(intern!(py, "attrgetter"))?;
        if key.get_type().is(&attrgetter) {
            let (_, names): (Bound<'_, PyAny>, Vec<String>) =
                key.call_method0(intern!(py, "__reduce__"))?.extract()?;
            if names == ["height"] {
                return Ok(Self::Height);
            }
        }
        Ok(Self::Any(key.clone().unbind()))
    }

    fn exceeds(
        &self,
        tree: &Bound<'_, Tree>,
        max_value: &Bound<'_, PyAny>,
        max: Option<usize>,
    ) -> PyResult<bool> {
        let py = tree.py();
        let measured = match (self, max) {
            (Self::Height, Some(max)) => {
                let tree = tree.borrow();
                // A tree is lower than it has nodes.
                return Ok(
                    tree.genes.len() > max && tree.words(py).grammar.height(&tree.genes) > max
                );
            }
            (Self::Size, Some(max)) => return Ok(tree.borrow().genes.len() > max),
            (Self::Height, None) => tree.getattr(intern!(py, "height"))?,
            (Self::Size, None) => tree.borrow().genes.len().into_pyobject(py)?.into_any(),
            (Self::Any(key), _) => key.bind(py).call1((tree,))?,
        };
        measured.gt(max_value)
    }
}

/// A decorator for operators: a child that measures more than ``max_value`` gives way to a copy of
/// one of its parents, chosen at random.
///
/// Parameters
/// ----------
/// key : callable
///     What is measured; ``operator.attrgetter("height")`` and ``len`` are recognised and fast.
/// max_value : number
///     The greatest value allowed.
#[pyfunction]
#[pyo3(name = "staticLimit")]
pub(crate) fn static_limit(key: Py<PyAny>, max_value: Py<PyAny>) -> Limit {
    Limit { key, max_value }
}

/// The decorator that `staticLimit` makes.
#[pyclass(frozen, module = "opcodon.deap", name = "_Limit")]
pub(crate) struct Limit {
    key: Py<PyAny>,
    max_value: Py<PyAny>,
}

#[pymethods]
impl Limit {
    fn __call__(&self, func: &Bound<'_, PyAny>) -> PyResult<LimitedOperator> {
        let py = func.py();
        Ok(LimitedOperator {
            function: func.clone().unbind(),
            measure: Measure::of(self.key.bind(py))?,
            key: self.key.clone_ref(py),
            max: self.max_value.extract(py).ok(),
            max_value: self.max_value.clone_ref(py),
        })
    }
}

/// An operator under a limit.
#[pyclass(frozen, module = "opcodon.deap", name = "_LimitedOperator")]
pub(crate) struct LimitedOperator {
    function: Py<PyAny>,
    measure: Measure,
    key: Py<PyAny>,
    max_value: Py<PyAny>,
    /// The limit, if it is a whole number that is not negative.
    max: Option<usize>,
}

#[pymethods]
impl LimitedOperator {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let function = self.function.bind(py);
        let mut parents = Vec::with_capacity(args.len());
        for parent in args {
            let Ok(parent) = parent.cast_into::<Tree>() else {
                return deap_gp(py)?
                    .call_method1(intern!(py, "staticLimit"), (&self.key, &self.max_value))?
                    .call1((function,))?
                    .call(args, kwargs);
            };
            let (vocabulary, genes) = {
                let parent = parent.borrow();
                (parent.vocabulary.clone_ref(py), parent.genes.clone())
            };
            parents.push((parent, vocabulary, genes));
        }
        let children = function.call(args, kwargs)?;
        let max_value = self.max_value.bind(py);
        let mut kept: Option<Vec<Bound<'py, PyAny>>> = None;
        for (index, child) in children.try_iter()?.enumerate() {
            let child = child?;
            let exceeds = match child.cast::<Tree>() {
                Ok(tree) => self.measure.exceeds(tree, max_value, self.max)?,
                Err(_) => self.key.bind(py).call1((&child,))?.gt(max_value)?,
            };
            if !exceeds {
                continue;
            }
            let (parent, vocabulary, genes) = &parents[draw(py, |rng| rng.below(parents.len()))?];
            // Operators leave fitness and attributes alone, so they are still the parent's.
            let copy = Tree::copy(parent, None)?;
            {
                let mut copy = copy.borrow_mut();
                copy.vocabulary = vocabulary.clone_ref(py);
                copy.genes.clone_from(genes);
            }
            let list = match &mut kept {
                Some(list) => list,
                None => kept.insert(children.try_iter()?.collect::<PyResult<_>>()?),
            };
            list[index] = copy.into_any();
        }
        match kept {
            None => Ok(children),
            Some(list) => Ok(PyTuple::new(py, list)?.into_any()),
        }
    }

    /// The operator itself.
    #[getter]
    fn __wrapped__(&self, py: Python<'_>) -> Py<PyAny> {
        self.function.clone_ref(py)
    }

    #[getter]
    fn __name__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.function.bind(py).getattr(intern!(py, "__name__"))
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let this = slf.get();
        let restore = slf.get_type().getattr(intern!(py, "_restore"))?;
        Ok((
            restore,
            (&this.key, &this.max_value, &this.function).into_pyobject(py)?,
        ))
    }

    #[staticmethod]
    fn _restore(
        key: Py<PyAny>,
        max_value: Py<PyAny>,
        function: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        Limit { key, max_value }.__call__(function)
    }
}
