//! The operators that a toolbox registers: `deap.gp` and `deap.tools` under their own names.
//!
//! Given native trees they work on genes; given anything else they hand the call to DEAP's
//! function of the same name, so that a toolbox may be changed line by line.

use std::borrow::Cow;

use opcodon_evo::Rng;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::grammar::{Gene, Grammar};
use super::objects::deap_gp;
use super::random::draw;
use super::tree::{Tree, same_words};
use super::variation::{self, Shape};
use super::vocabulary::Vocabulary;

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
    points: impl FnOnce(&Grammar, &[Gene], &[Gene], &mut Rng) -> Option<(usize, usize)>,
) -> PyResult<()> {
    let py = a.py();
    if a.is(b) {
        return Ok(());
    }
    let (mut a, mut b) = (a.try_borrow_mut()?, b.try_borrow_mut()?);
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
        let tree = tree.try_borrow()?;
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
    let mut tree = tree.try_borrow_mut()?;
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
    body: impl FnOnce(&Grammar, &mut Vec<Gene>, &mut Rng) -> Result<(), variation::Dead>,
) -> PyResult<()> {
    let py = tree.py();
    let (vocabulary, mut genes) = {
        let tree = tree.try_borrow()?;
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
    let mut tree = tree.try_borrow_mut()?;
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
