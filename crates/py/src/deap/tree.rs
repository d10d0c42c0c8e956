//! `opcodon.deap.PrimitiveTree`: DEAP's tree as an array of genes.
//!
//! To DEAP's own operators it is the list that `deap.gp.PrimitiveTree` is: it has a length, gives
//! out primitives and terminals by index and by slice, and takes them back. The operators of
//! `opcodon.deap` work on the genes and see none of these objects.

use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyIterator, PyList, PySlice, PyString, PyTuple, PyType};

use super::fitness::{Fitness, attributes};
use super::grammar::{Gene, Kind, TypeId};
use super::objects::{deap_gp, object_of, type_name};
use super::vocabulary::{Vocabulary, find_live};

/// A tree in prefix order, native; a drop-in for ``deap.gp.PrimitiveTree``.
///
/// Parameters
/// ----------
/// content : PrimitiveTree, or an iterable of DEAP's primitives and terminals
///     The nodes in depth-first order.
/// pset : deap.gp.PrimitiveSet, optional
///     Whose nodes they are. Can be left out if ``content`` is a native tree, or if the set was
///     already used with this module.
#[pyclass(subclass, weakref, module = "opcodon.deap", name = "PrimitiveTree")]
pub(crate) struct Tree {
    pub(crate) vocabulary: Py<Vocabulary>,
    pub(crate) genes: Vec<Gene>,
}

impl Tree {
    pub(crate) fn new(vocabulary: Py<Vocabulary>, genes: Vec<Gene>) -> Self {
        Self { vocabulary, genes }
    }

    /// A copy of an individual, with copies of its fitness and of its other attributes.
    pub(crate) fn copy<'py>(
        tree: &Bound<'py, Self>,
        memo: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let py = tree.py();
        let class = tree.get_type();
        let copy = class
            .call_method1(intern!(py, "__new__"), (&class, tree))?
            .cast_into::<Self>()?;
        if let Some(dictionary) = attributes(tree.as_any())? {
            for (name, value) in dictionary {
                copy.setattr(name.cast_into::<PyString>()?, deep_copy(&value, memo)?)?;
            }
        }
        Ok(copy)
    }

    /// The vocabulary, for as long as Python lets us.
    pub(crate) fn words<'a>(&'a self, py: Python<'a>) -> &'a Vocabulary {
        self.vocabulary.bind(py).get()
    }

    fn position(&self, index: isize) -> PyResult<usize> {
        let at = if index < 0 {
            self.genes.len().checked_add_signed(index)
        } else {
            Some(index.cast_unsigned())
        };
        at.filter(|at| *at < self.genes.len()).ok_or_else(|| {
            PyIndexError::new_err(format!(
                "node {index} of a tree that has {} nodes",
                self.genes.len()
            ))
        })
    }

    /// The genes of what a caller passes as a piece of tree.
    pub(crate) fn piece(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Vec<Gene>> {
        let words = self.words(py);
        if let Ok(tree) = value.cast::<Self>() {
            // A tree may be assigned to a slice of itself.
            let tree = tree.try_borrow().map_err(|_| {
                PyValueError::new_err("a tree cannot be put into itself; copy it first")
            })?;
            return Ok(words.adopt(&tree.genes, tree.words(py))?.into_owned());
        }
        words.genes(value)
    }

    fn nodes<'py>(&self, py: Python<'py>, genes: &[Gene]) -> PyResult<Bound<'py, PyList>> {
        let words = self.words(py);
        let nodes: Vec<_> = genes
            .iter()
            .map(|&gene| words.node(py, gene))
            .collect::<PyResult<_>>()?;
        PyList::new(py, nodes)
    }
}

/// A deep copy, short for the fitness and for constants.
fn deep_copy<'py>(
    value: &Bound<'py, PyAny>,
    memo: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    if let Ok(fitness) = value.cast::<Fitness>() {
        return Fitness::copy(fitness);
    }
    if value.is_none()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyString>()
    {
        return Ok(value.clone());
    }
    py.import(intern!(py, "copy"))?
        .call_method1(intern!(py, "deepcopy"), (value, memo))
}

/// The tree that a list of DEAP's node objects is.
pub(crate) fn tree_of_nodes<'py>(
    nodes: &Bound<'py, PyAny>,
    pset: Option<&Bound<'py, PyAny>>,
) -> PyResult<(Py<Vocabulary>, Vec<Gene>)> {
    let py = nodes.py();
    if let Some(pset) = pset {
        let vocabulary = Vocabulary::of(pset)?;
        let genes = vocabulary.get().genes(nodes)?;
        return Ok((vocabulary.unbind(), genes));
    }
    let nodes = match nodes.cast::<PyList>() {
        Ok(list) => list.clone(),
        Err(_) => PyList::new(py, nodes.try_iter()?.collect::<PyResult<Vec<_>>>()?)?,
    };
    let Some(vocabulary) = find_live(py, |live| live.owns(&nodes)) else {
        return Err(PyTypeError::new_err(
            "it is not known whose nodes these are: say PrimitiveTree(content, pset), or make trees with \
             the functions of opcodon.deap, such as genHalfAndHalf",
        ));
    };
    let genes = vocabulary.get().genes(&nodes)?;
    Ok((vocabulary.unbind(), genes))
}

#[pymethods]
impl Tree {
    #[new]
    #[pyo3(signature = (content, pset = None))]
    fn make(content: &Bound<'_, PyAny>, pset: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let py = content.py();
        if let Ok(tree) = content.cast::<Self>() {
            let tree = tree.try_borrow()?;
            let Some(pset) = pset else {
                return Ok(Self::new(tree.vocabulary.clone_ref(py), tree.genes.clone()));
            };
            let vocabulary = Vocabulary::of(pset)?;
            let genes = vocabulary
                .get()
                .adopt(&tree.genes, tree.words(py))?
                .into_owned();
            return Ok(Self::new(vocabulary.unbind(), genes));
        }
        let (vocabulary, genes) = tree_of_nodes(content, pset)?;
        Ok(Self::new(vocabulary, genes))
    }

    /// The tree that a text such as ``"add(x, mul(2, x))"`` describes.
    #[classmethod]
    fn from_string<'py>(
        class: &Bound<'py, PyType>,
        string: &str,
        pset: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = class.py();
        let vocabulary = Vocabulary::of(pset)?;
        let genes = read_text(vocabulary.get(), py, string, true)?;
        class.call1((Bound::new(py, Self::new(vocabulary.unbind(), genes))?,))
    }

    /// The native tree of a DEAP tree, without its fitness.
    #[classmethod]
    fn from_deap<'py>(
        class: &Bound<'py, PyType>,
        tree: &Bound<'py, PyAny>,
        pset: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (vocabulary, genes) = tree_of_nodes(tree, Some(pset))?;
        class.call1((Bound::new(class.py(), Self::new(vocabulary, genes))?,))
    }

    /// The same tree as a ``deap.gp.PrimitiveTree``, without its fitness.
    fn to_deap<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        deap_gp(py)?.call_method1(
            intern!(py, "PrimitiveTree"),
            (self.nodes(py, &self.genes)?,),
        )
    }

    /// Depth of the deepest node; a tree that is one terminal has height 0.
    #[getter]
    fn height(&self, py: Python<'_>) -> usize {
        self.words(py).grammar.height(&self.genes)
    }

    /// The first node.
    #[getter]
    fn root<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.words(py).node(py, self.genes[self.position(0)?])
    }

    /// The slice of the tree that is the subtree whose root is node ``begin``.
    #[expect(non_snake_case, reason = "DEAP's name")]
    fn searchSubtree<'py>(&self, py: Python<'py>, begin: isize) -> PyResult<Bound<'py, PyAny>> {
        let begin = self.position(begin)?;
        let end = self.words(py).grammar.end_of(&self.genes, begin);
        py.get_type::<PySlice>().call1((begin, end))
    }

    fn __len__(&self) -> usize {
        self.genes.len()
    }

    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        let mut text = String::new();
        self.words(py).print(py, &self.genes, &mut text)?;
        Ok(text)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("<{} {}>", slf.get_type().qualname()?, slf.str()?))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.nodes(py, &self.genes)?.try_iter()
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        if let Ok(slice) = key.cast::<PySlice>() {
            let range = slice.indices(self.genes.len().cast_signed())?;
            let mut at = range.start;
            let mut genes = Vec::with_capacity(range.slicelength);
            for _ in 0..range.slicelength {
                genes.push(self.genes[at.cast_unsigned()]);
                at += range.step;
            }
            return Ok(self.nodes(py, &genes)?.into_any());
        }
        self.words(py)
            .node(py, self.genes[self.position(key.extract()?)?])
    }

    fn __setitem__(&mut self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = key.py();
        if let Ok(slice) = key.cast::<PySlice>() {
            let range = slice.indices(self.genes.len().cast_signed())?;
            if range.start.cast_unsigned() >= self.genes.len() {
                return Err(PyIndexError::new_err(format!(
                    "Invalid slice object (try to assign {slice} in a tree of size {})",
                    self.genes.len()
                )));
            }
            if range.step != 1 {
                return Err(PyValueError::new_err(
                    "only a slice with step 1 of a tree can be assigned to",
                ));
            }
            let piece = self.piece(py, value)?;
            if !self.words(py).grammar.is_tree(&piece) {
                return Err(PyValueError::new_err(
                    "Invalid slice assignation : insertion of an incomplete subtree is not allowed in PrimitiveTree.",
                ));
            }
            let begin = range.start.cast_unsigned();
            self.genes.splice(begin..begin + range.slicelength, piece);
            return Ok(());
        }
        let at = self.position(key.extract()?)?;
        let gene = self.words(py).gene(value)?;
        let grammar = &self.words(py).grammar;
        if grammar.arity(gene) != grammar.arity(self.genes[at]) {
            return Err(PyValueError::new_err(
                "Invalid node replacement with a node of a different arity.",
            ));
        }
        self.genes[at] = gene;
        Ok(())
    }

    fn __delitem__(&mut self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(slice) = key.cast::<PySlice>() {
            let range = slice.indices(self.genes.len().cast_signed())?;
            if range.step != 1 {
                return Err(PyValueError::new_err(
                    "only a slice with step 1 of a tree can be deleted",
                ));
            }
            let begin = range.start.cast_unsigned();
            self.genes.drain(begin..begin + range.slicelength);
            return Ok(());
        }
        let at = self.position(key.extract()?)?;
        self.genes.remove(at);
        Ok(())
    }

    /// Adds a node at the end. The tree may be incomplete until more nodes follow.
    fn append(&mut self, node: &Bound<'_, PyAny>) -> PyResult<()> {
        let gene = self.words(node.py()).gene(node)?;
        self.genes.push(gene);
        Ok(())
    }

    /// Puts a node before node ``index``. The tree may be incomplete until more nodes follow.
    fn insert(&mut self, index: isize, node: &Bound<'_, PyAny>) -> PyResult<()> {
        let gene = self.words(node.py()).gene(node)?;
        let n = self.genes.len();
        let at = if index < 0 {
            n.saturating_add_signed(index)
        } else {
            index.cast_unsigned().min(n)
        };
        self.genes.insert(at, gene);
        Ok(())
    }

    /// Adds nodes at the end.
    fn extend(slf: &Bound<'_, Self>, nodes: &Bound<'_, PyAny>) -> PyResult<()> {
        let piece = slf.try_borrow()?.piece(slf.py(), nodes)?;
        slf.try_borrow_mut()?.genes.extend(piece);
        Ok(())
    }

    fn __richcmp__(
        slf: &Bound<'_, Self>,
        other: &Bound<'_, PyAny>,
        op: CompareOp,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let this = slf.try_borrow()?;
        let equal = match other.cast::<Self>() {
            Ok(other) if other.is(slf) => true,
            Ok(other) => {
                let other = other.try_borrow()?;
                this.words(py)
                    .adopt(&other.genes, other.words(py))
                    .is_ok_and(|genes| *genes == *this.genes)
            }
            // DEAP's trees are lists of nodes.
            Err(_) if other.is_instance_of::<PyList>() => this
                .words(py)
                .genes(other)
                .is_ok_and(|genes| genes == this.genes),
            Err(_) => return Ok(py.NotImplemented()),
        };
        match op {
            CompareOp::Eq => Ok(equal.into_pyobject(py)?.to_owned().into_any().unbind()),
            CompareOp::Ne => Ok((!equal).into_pyobject(py)?.to_owned().into_any().unbind()),
            _ => Ok(py.NotImplemented()),
        }
    }

    fn __deepcopy__<'py>(
        slf: &Bound<'py, Self>,
        memo: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, Self>> {
        Self::copy(slf, Some(memo))
    }

    fn __copy__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        Self::copy(slf, None)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let this = slf.try_borrow()?;
        let words = this.words(py);
        let mut symbols = Vec::with_capacity(this.genes.len());
        let mut values = Vec::new();
        for gene in &this.genes {
            symbols.push(gene.symbol);
            if matches!(
                words.grammar.symbol(gene.symbol).kind,
                Kind::Ephemeral | Kind::Literal
            ) {
                values.push(object_of(py, gene.value)?);
            }
        }
        let restore = slf.get_type().getattr(intern!(py, "_restore"))?;
        let arguments = (this.vocabulary.bind(py), symbols, values).into_pyobject(py)?;
        (restore, arguments, attributes(slf.as_any())?).into_pyobject(py)
    }

    #[classmethod]
    fn _restore<'py>(
        class: &Bound<'py, PyType>,
        vocabulary: &Bound<'py, Vocabulary>,
        symbols: Vec<u32>,
        values: Vec<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let words = vocabulary.get();
        let damaged = || PyValueError::new_err("the pickle of a tree is damaged");
        let mut values = values.into_iter();
        let mut genes = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            if symbol as usize >= words.grammar.symbols.len() {
                return Err(damaged());
            }
            let has_value = matches!(
                words.grammar.symbol(symbol).kind,
                Kind::Ephemeral | Kind::Literal
            );
            genes.push(if has_value {
                let value = words
                    .literal(&values.next().ok_or_else(damaged)?, None)?
                    .value;
                Gene { symbol, value }
            } else {
                Gene::new(symbol)
            });
        }
        let tree = Self::new(vocabulary.clone().unbind(), genes);
        class.call_method1(intern!(class.py(), "__new__"), (class, tree))
    }
}

/// Reads the prefix notation that trees print themselves in; commas, parentheses and blanks only
/// separate, as in DEAP. `strict` asks for the types that the primitives want.
pub(crate) fn read_text(
    words: &Vocabulary,
    py: Python<'_>,
    text: &str,
    strict: bool,
) -> PyResult<Vec<Gene>> {
    let grammar = &words.grammar;
    let mut genes = Vec::new();
    let mut expected: Vec<TypeId> = Vec::new();
    let separators = |c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | ',' | '\u{b}');
    for token in text.split(separators).filter(|token| !token.is_empty()) {
        let of = expected.pop();
        if let Some(symbol) = grammar.by_name(token) {
            let found = grammar.symbol(symbol);
            if let Some(of) = of.filter(|_| strict) {
                check_type(words, py, "Primitive", token, found.ret, of)?;
            }
            expected.extend(found.args.iter().rev());
            if found.kind == Kind::Ephemeral {
                return Err(PyTypeError::new_err(format!(
                    "{token} is an ephemeral constant: write its value instead"
                )));
            }
            genes.push(Gene::new(symbol));
            continue;
        }
        let value = py
            .import(intern!(py, "ast"))?
            .call_method1(intern!(py, "literal_eval"), (token,))
            .map_err(|_| PyTypeError::new_err(format!("Unable to evaluate terminal: {token}.")))?;
        let own = words.type_id(Some(value.get_type().as_any())).ok();
        if let Some(of) = of.filter(|_| strict)
            && own != Some(of)
        {
            let expected = words.type_object(py, of);
            if !value.is_instance(&expected)? {
                return Err(PyTypeError::new_err(format!(
                    "Terminal {token} type {} does not match the expected one: {expected}.",
                    type_name(&value)
                )));
            }
        }
        genes.push(words.literal(&value, of.or(own))?);
    }
    if let Err(at) = is_complete(words, &genes) {
        return Err(PyValueError::new_err(format!(
            "{text:?} is not one complete tree: {at} nodes were read"
        )));
    }
    Ok(genes)
}

fn is_complete(words: &Vocabulary, genes: &[Gene]) -> Result<(), usize> {
    if words.grammar.is_tree(genes) {
        Ok(())
    } else {
        Err(genes.len())
    }
}

fn check_type(
    words: &Vocabulary,
    py: Python<'_>,
    what: &str,
    token: &str,
    found: TypeId,
    expected: TypeId,
) -> PyResult<()> {
    if found == expected {
        return Ok(());
    }
    let (found, expected) = (
        words.type_object(py, found),
        words.type_object(py, expected),
    );
    let fits = match (found.cast::<PyType>(), expected.cast::<PyType>()) {
        (Ok(found), Ok(expected)) => found.is_subclass(expected)?,
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "{what} {token} return type {found} does not match the expected one: {expected}."
    )))
}

/// Trees of the same vocabulary: the genes of the second in symbols of the first.
pub(crate) fn same_words<'a>(
    py: Python<'_>,
    a: &'a Tree,
    b: &'a Tree,
) -> PyResult<std::borrow::Cow<'a, [Gene]>> {
    a.words(py).adopt(&b.genes, b.words(py))
}
