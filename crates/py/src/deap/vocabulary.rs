//! A DEAP primitive set as seen from Rust: its grammar, its Python objects, what they compute.
//!
//! Reading a primitive set takes a while (every function is looked up or even probed), so it is
//! done once and kept in the attribute `_opcodon` of the set itself, where it lives as long as the
//! set and no longer. A [`Stamp`] tells whether the set has changed since.
//!
//! Trees keep a reference to the vocabulary that they were made with. Two vocabularies with equal
//! signatures number their symbols alike, so that trees may come from another process, or from an
//! equal primitive set made later, and still mix.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyString, PyTuple, PyWeakrefReference};

use super::UnknownPrimitiveError;
use super::function::Function;
use super::grammar::{Gene, Grammar, Kind, Symbol, SymbolId, TypeId, Value, as_id};
use super::lower::{Meaning, Obstacle};
use super::objects::{AddressMap, address, deap_gp, number, object_of, type_name, type_text};
use super::reader::Reader;
use super::recent::{Key, Recent};
use super::variation::{Dead, translate};

/// Counts calls of `opcodon.deap.register`: a vocabulary read before the last one is out of date.
static REGISTRATIONS: AtomicU64 = AtomicU64::new(0);

/// Where unpickled trees, and trees made of DEAP's node objects, find a live primitive set.
static LIVE: Mutex<Vec<Py<PyWeakrefReference>>> = Mutex::new(Vec::new());

/// What a primitive set looked like when it was read.
struct Stamp {
    mapping: Py<PyAny>,
    primitives_count: Py<PyAny>,
    terminals_count: Py<PyAny>,
    arguments: Vec<Py<PyAny>>,
    registrations: u64,
}

impl Stamp {
    fn of(pset: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = pset.py();
        let arguments = pset.getattr(intern!(py, "arguments"))?;
        Ok(Self {
            mapping: pset.getattr(intern!(py, "mapping"))?.unbind(),
            primitives_count: pset.getattr(intern!(py, "prims_count"))?.unbind(),
            terminals_count: pset.getattr(intern!(py, "terms_count"))?.unbind(),
            arguments: arguments
                .try_iter()?
                .map(|name| name.map(Bound::unbind))
                .collect::<PyResult<_>>()?,
            registrations: REGISTRATIONS.load(Ordering::Relaxed),
        })
    }

    fn fits(&self, pset: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = pset.py();
        if self.registrations != REGISTRATIONS.load(Ordering::Relaxed)
            || !pset.getattr(intern!(py, "mapping"))?.is(&self.mapping)
        {
            return Ok(false);
        }
        for (name, then) in [
            (intern!(py, "prims_count"), &self.primitives_count),
            (intern!(py, "terms_count"), &self.terminals_count),
        ] {
            let now = pset.getattr(name)?;
            if !now.is(then) && !now.eq(then)? {
                return Ok(false);
            }
        }
        let arguments = pset.getattr(intern!(py, "arguments"))?;
        let Ok(arguments) = arguments.cast::<PyList>() else {
            return Ok(false);
        };
        Ok(arguments.len() == self.arguments.len()
            && arguments
                .iter()
                .zip(&self.arguments)
                .all(|(now, then)| now.is(then)))
    }
}

/// A number for a vocabulary.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The symbols of a primitive set.
#[pyclass(frozen, weakref, module = "opcodon.deap", name = "Vocabulary")]
pub(crate) struct Vocabulary {
    pub(crate) grammar: Grammar,
    pub(crate) meanings: Vec<Meaning>,
    /// Symbols whose meaning is looked up at every compilation.
    late: Vec<SymbolId>,
    /// Primitive, terminal or class of ephemeral constants of every symbol, as far as there is one.
    objects: Vec<Option<Py<PyAny>>>,
    /// How terminals are printed.
    texts: Vec<String>,
    by_object: AddressMap<SymbolId>,
    types: Vec<Py<PyAny>>,
    type_ids: AddressMap<TypeId>,
    /// Names of the arguments; empty if the vocabulary came out of a pickle.
    pub(crate) arguments: Arc<[String]>,
    /// Whether the whole tree returns a truth value.
    pub(crate) returns_bool: bool,
    /// Unlike that of any other vocabulary.
    pub(crate) number: u64,
    /// Functions made with this vocabulary.
    pub(crate) recent: Mutex<Recent<Py<Function>>>,
    /// `None` if the vocabulary came out of a pickle: it knows trees, but no functions.
    stamp: Option<Stamp>,
}

impl Vocabulary {
    /// The vocabulary of a primitive set, read anew only if the set has changed.
    pub(crate) fn of<'py>(pset: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        let py = pset.py();
        if let Ok(kept) = pset.getattr(intern!(py, "_opcodon"))
            && let Ok(kept) = kept.cast_into::<Self>()
            && let Some(stamp) = &kept.get().stamp
            && stamp.fits(pset)?
        {
            return Ok(kept);
        }
        let fresh = Bound::new(py, Self::read(pset)?)?;
        publish(&fresh)?;
        // A set that refuses attributes is read every time, which is slow but right.
        if let Err(error) = pset.setattr(intern!(py, "_opcodon"), &fresh)
            && !error.is_instance_of::<pyo3::exceptions::PyAttributeError>(py)
        {
            return Err(error);
        }
        Ok(fresh)
    }

    fn read(pset: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = pset.py();
        let mapping = pset
            .getattr(intern!(py, "mapping"))
            .and_then(|mapping| Ok(mapping.cast_into::<PyDict>()?))
            .map_err(|cause| {
                let error = PyTypeError::new_err(format!(
                    "pset is a {}, but a deap.gp.PrimitiveSet is needed",
                    type_name(pset)
                ));
                error.set_cause(py, Some(cause));
                error
            })?;
        let mut reader = Reader::new(pset);
        let stamp = Stamp::of(pset)?;
        let arguments = stamp
            .arguments
            .iter()
            .map(|name| name.bind(py).extract())
            .collect::<PyResult<Vec<String>>>()?;
        let mut grammar = Grammar::default();
        let untyped = deap_gp(py)?.getattr(intern!(py, "__type__"))?;
        grammar.untyped = reader.type_id(&untyped)?;
        let ret = pset.getattr(intern!(py, "ret"))?;
        grammar.ret = reader.type_id(&ret)?;
        grammar.terminal_ratio = match pset.getattr(intern!(py, "terminalRatio")) {
            Ok(ratio) => ratio.extract()?,
            // An empty set: 0 / 0.
            Err(_) => 0.0,
        };

        let mut entries: Vec<(String, Bound<'_, PyAny>)> = Vec::new();
        for (name, object) in mapping {
            entries.push((name.extract()?, object));
        }
        // Symbols that lost their name to a later one are still in the lists.
        let mut seen: AddressMap<()> = entries
            .iter()
            .map(|(_, object)| (address(object), ()))
            .collect();
        for lists in [intern!(py, "primitives"), intern!(py, "terminals")] {
            let lists = pset.getattr(lists)?.cast_into::<PyDict>()?;
            for (of, list) in lists {
                reader.type_id(&of)?;
                for object in list.try_iter()? {
                    let object = object?;
                    if seen.insert(address(&object), ()).is_none() {
                        let name: String = object.getattr(intern!(py, "name"))?.extract()?;
                        entries.insert(0, (name, object));
                    }
                }
            }
        }

        let mut by_object = AddressMap::default();
        let mut meanings = Vec::new();
        let mut texts = Vec::new();
        let mut objects = Vec::new();
        for (name, object) in entries {
            let (symbol, text, meaning) = reader.symbol(name, &object, &arguments)?;
            by_object.insert(address(&object), as_id(meanings.len()));
            grammar.symbols.push(symbol);
            texts.push(text);
            meanings.push(meaning);
            objects.push(Some(object.unbind()));
        }
        let n_types = reader.types.len();
        for (lists, ours) in [
            (intern!(py, "primitives"), &mut grammar.primitives),
            (intern!(py, "terminals"), &mut grammar.terminals),
        ] {
            ours.resize(n_types, Vec::new());
            for (of, list) in pset.getattr(lists)?.cast_into::<PyDict>()? {
                let of = reader.type_id(&of)?;
                for object in list.try_iter()? {
                    ours[of as usize].push(by_object[&address(&object?)]);
                }
            }
        }
        let type_names: Vec<String> = reader
            .types
            .iter()
            .map(type_text)
            .collect::<PyResult<_>>()?;
        grammar.seal(&type_names);
        meanings.resize(grammar.symbols.len(), Meaning::Value);
        texts.resize(grammar.symbols.len(), String::new());
        objects.resize_with(grammar.symbols.len(), || None);
        let late = (0..)
            .zip(&meanings)
            .filter(|(_, meaning)| matches!(meaning, Meaning::Late))
            .map(|(id, _)| id)
            .collect();
        Ok(Self {
            returns_bool: ret.is(py.get_type::<PyBool>()),
            grammar,
            meanings,
            late,
            objects,
            texts,
            by_object,
            type_ids: reader.type_ids,
            types: reader.types.into_iter().map(Bound::unbind).collect(),
            arguments: arguments.into(),
            number: next_number(),
            recent: Mutex::default(),
            stamp: Some(stamp),
        })
    }

    /// What knows a tree again, if it means the same at every compilation.
    pub(crate) fn key(&self, genes: &[Gene]) -> Option<Key> {
        let timeless = self.late.is_empty();
        timeless.then(|| Key::of(self.number, genes)).flatten()
    }

    /// The meanings of the symbols that DEAP looks up in the context at every compilation.
    pub(crate) fn late_meanings(
        &self,
        pset: &Bound<'_, PyAny>,
    ) -> PyResult<HashMap<String, Meaning>> {
        let mut found = HashMap::new();
        if self.late.is_empty() {
            return Ok(found);
        }
        let py = pset.py();
        let context = pset.getattr(intern!(py, "context"))?;
        for &id in &self.late {
            let symbol = self.grammar.symbol(id);
            if let Ok(function) = context.get_item(&symbol.name)
                && let Ok(function) = function.cast::<Function>()
            {
                let function = function.get();
                if function.n_arguments() == symbol.arity() {
                    found.insert(
                        symbol.name.clone(),
                        Meaning::of(function.expr(), symbol.arity()),
                    );
                }
            }
        }
        Ok(found)
    }

    /// The gene of one of DEAP's node objects.
    #[inline]
    pub(crate) fn gene(&self, node: &Bound<'_, PyAny>) -> PyResult<Gene> {
        if let Some(&symbol) = self.by_object.get(&address(node)) {
            return Ok(Gene::new(symbol));
        }
        if let Some(&symbol) = self.by_object.get(&(node.get_type_ptr() as usize)) {
            let value = node.getattr(intern!(node.py(), "value"))?;
            return Ok(Gene {
                symbol,
                value: self.value(symbol, &value)?,
            });
        }
        self.strange_gene(node)
    }

    /// The gene of a node object that is not of this primitive set: it comes out of a pickle, from
    /// an equal primitive set, or from a text. As in DEAP, names decide.
    #[cold]
    fn strange_gene(&self, node: &Bound<'_, PyAny>) -> PyResult<Gene> {
        let py = node.py();
        let name = node
            .getattr(intern!(py, "name"))
            .and_then(|name| name.extract::<String>());
        let arity = node
            .getattr(intern!(py, "arity"))
            .and_then(|arity| arity.extract::<usize>());
        let (Ok(name), Ok(arity)) = (name, arity) else {
            return Err(PyTypeError::new_err(format!(
                "a tree holds a {}, but only primitives and terminals of a primitive set can be its nodes",
                type_name(node)
            )));
        };
        let missing = || {
            PyValueError::new_err(format!(
                "a tree holds {name}, which the primitive set does not have: was the tree made with another one?"
            ))
        };
        if arity > 0 {
            let symbol = self
                .grammar
                .by_name(&name)
                .filter(|&id| self.grammar.symbol(id).arity() == arity);
            return Ok(Gene::new(symbol.ok_or_else(missing)?));
        }
        let Ok(value) = node.getattr(intern!(py, "value")) else {
            // A primitive without arguments.
            return Ok(Gene::new(self.grammar.by_name(&name).ok_or_else(missing)?));
        };
        if let Some(symbol) = self.grammar.by_name(&name)
            && self.grammar.symbol(symbol).kind == Kind::Ephemeral
        {
            return Ok(Gene {
                symbol,
                value: self.value(symbol, &value)?,
            });
        }
        let symbolic = node
            .getattr(intern!(py, "conv_fct"))?
            .is(py.get_type::<PyString>());
        if symbolic {
            let value: String = value.extract()?;
            return Ok(Gene::new(self.grammar.by_name(&value).ok_or_else(missing)?));
        }
        let of = node.getattr(intern!(py, "ret"))?;
        self.literal(&value, self.type_ids.get(&address(&of)).copied())
    }

    /// The gene of a constant that is not in the primitive set.
    pub(crate) fn literal(&self, value: &Bound<'_, PyAny>, of: Option<TypeId>) -> PyResult<Gene> {
        let symbol = self.grammar.literal(of.unwrap_or(self.grammar.ret));
        Ok(Gene {
            symbol,
            value: self.value(symbol, value)?,
        })
    }

    fn value(&self, symbol: SymbolId, value: &Bound<'_, PyAny>) -> PyResult<Value> {
        number(value)?.ok_or_else(|| {
            PyTypeError::new_err(format!(
                "a constant of {} is a {}, but only int, float and bool can become machine code",
                self.grammar.symbol(symbol).name,
                type_name(value)
            ))
        })
    }

    /// The genes of a list of DEAP's node objects.
    pub(crate) fn genes(&self, nodes: &Bound<'_, PyAny>) -> PyResult<Vec<Gene>> {
        let mut genes = Vec::new();
        if let Ok(list) = nodes.cast::<PyList>() {
            genes.reserve(list.len());
            for node in list {
                genes.push(self.gene(&node)?);
            }
        } else {
            for node in nodes.try_iter()? {
                genes.push(self.gene(&node?)?);
            }
        }
        Ok(genes)
    }

    /// DEAP's node object for a gene.
    pub(crate) fn node<'py>(&self, py: Python<'py>, gene: Gene) -> PyResult<Bound<'py, PyAny>> {
        let symbol = self.grammar.symbol(gene.symbol);
        let object = self.objects[gene.symbol as usize].as_ref();
        match (symbol.kind, object) {
            (Kind::Ephemeral, Some(class)) => {
                let class = class.bind(py);
                let node = class.call_method1(intern!(py, "__new__"), (class,))?;
                node.setattr(intern!(py, "value"), object_of(py, gene.value)?)?;
                Ok(node)
            }
            (Kind::Ephemeral | Kind::Literal, _) => {
                let of = self.types[symbol.ret as usize].bind(py);
                deap_gp(py)?.call_method1(
                    intern!(py, "Terminal"),
                    (object_of(py, gene.value)?, false, of),
                )
            }
            (_, Some(object)) => Ok(object.bind(py).clone()),
            (Kind::Primitive, None) => {
                let args: Vec<_> = symbol
                    .args
                    .iter()
                    .map(|&of| self.types[of as usize].bind(py))
                    .collect();
                let of = self.types[symbol.ret as usize].bind(py);
                deap_gp(py)?.call_method1(
                    intern!(py, "Primitive"),
                    (&symbol.name, PyTuple::new(py, args)?, of),
                )
            }
            (_, None) => {
                let of = self.types[symbol.ret as usize].bind(py);
                deap_gp(py)?.call_method1(intern!(py, "Terminal"), (&symbol.name, true, of))
            }
        }
    }

    /// Draws a value for every ephemeral constant that has none yet.
    pub(crate) fn draw(&self, py: Python<'_>, genes: &mut [Gene]) -> PyResult<()> {
        for gene in genes {
            if gene.value != Value::None || self.grammar.symbol(gene.symbol).kind != Kind::Ephemeral
            {
                continue;
            }
            let Some(class) = &self.objects[gene.symbol as usize] else {
                return Err(PyRuntimeError::new_err(format!(
                    "the ephemeral constant {} cannot be drawn: the tree comes out of a pickle and no \
                     primitive set like the one it was made with is in use here",
                    self.grammar.symbol(gene.symbol).name
                )));
            };
            let value = class.bind(py).getattr(intern!(py, "func"))?.call0()?;
            gene.value = self.value(gene.symbol, &value)?;
        }
        Ok(())
    }

    /// The number of a type that the caller names, `None` meaning the type of the whole tree.
    pub(crate) fn type_id(&self, of: Option<&Bound<'_, PyAny>>) -> PyResult<TypeId> {
        match of {
            None => Ok(self.grammar.ret),
            Some(of) => self.type_ids.get(&address(of)).copied().ok_or_else(|| {
                PyIndexError::new_err(format!("the primitive set has nothing of type {of}"))
            }),
        }
    }

    /// The type with that number.
    pub(crate) fn type_object<'py>(&self, py: Python<'py>, of: TypeId) -> Bound<'py, PyAny> {
        self.types[of as usize].bind(py).clone()
    }

    /// The genes of a tree of another vocabulary, if need be translated by name.
    pub(crate) fn adopt<'a>(
        &self,
        genes: &'a [Gene],
        from: &Self,
    ) -> PyResult<std::borrow::Cow<'a, [Gene]>> {
        if std::ptr::eq(self, from) || self.grammar.signature == from.grammar.signature {
            return Ok(genes.into());
        }
        match translate(genes, &from.grammar, &self.grammar) {
            Ok(genes) => Ok(genes.into()),
            Err(name) => Err(PyValueError::new_err(format!(
                "a tree holds {name}, which the primitive set does not have: was the tree made with another one?"
            ))),
        }
    }

    /// Appends the tree as DEAP prints it.
    pub(crate) fn print(&self, py: Python<'_>, genes: &[Gene], out: &mut String) -> PyResult<()> {
        let mut open: Vec<usize> = Vec::new();
        for &gene in genes {
            let symbol = self.grammar.symbol(gene.symbol);
            if symbol.kind == Kind::Primitive {
                out.push_str(&symbol.name);
                out.push('(');
                if symbol.arity() > 0 {
                    open.push(symbol.arity());
                    continue;
                }
                out.push(')');
            } else if gene.value == Value::None {
                out.push_str(&self.texts[gene.symbol as usize]);
            } else {
                out.push_str(&object_of(py, gene.value)?.repr()?.to_cow()?);
            }
            while let Some(last) = open.last_mut() {
                *last -= 1;
                if *last > 0 {
                    out.push_str(", ");
                    break;
                }
                out.push(')');
                open.pop();
            }
            if open.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// The exception for a tree that has no machine code.
    pub(crate) fn obstacle(&self, py: Python<'_>, obstacle: Obstacle, n_nodes: usize) -> PyErr {
        match obstacle {
            Obstacle::Unknown(id) => {
                let symbol = self.grammar.symbol(id);
                let reason = match &self.meanings[id as usize] {
                    Meaning::Unknown(reason) => reason.to_string(),
                    Meaning::Late => "it is not in the context of the primitive set as a function compiled by \
                         opcodon.deap; compile automatically defined functions with opcodon.deap.compileADF"
                        .to_owned(),
                    _ => "it cannot stand here".to_owned(),
                };
                let error = UnknownPrimitiveError::new_err(format!(
                    "no machine code for {}: {reason}",
                    symbol.name
                ));
                // The name by itself, for programs.
                if let Err(error) = error.value(py).setattr(intern!(py, "name"), &symbol.name) {
                    return error;
                }
                error
            }
            Obstacle::Malformed(n_read) if n_read < n_nodes => PyValueError::new_err(format!(
                "the tree is complete after {} of its {n_nodes} nodes",
                n_read - 1
            )),
            Obstacle::Malformed(_) => PyValueError::new_err(format!(
                "the tree is incomplete: its {n_nodes} nodes need more arguments than there are"
            )),
            Obstacle::TooLarge => PyValueError::new_err(
                "the tree's formula grows beyond 16 million nodes: registered formulas that use an argument \
                 more than once are nested too deeply",
            ),
        }
    }

    /// The exception for a tree that could not be made, in the words of `deap.gp.generate`.
    pub(crate) fn dead(&self, py: Python<'_>, dead: Dead) -> PyErr {
        let nothing = |what: &str, of: TypeId| {
            PyIndexError::new_err(format!(
                "a {what} of type '{}' was needed, but there is none in the primitive set",
                self.type_object(py, of)
            ))
        };
        match dead {
            Dead::NoTerminal(of) => nothing("terminal", of),
            Dead::NoPrimitive(of) => nothing("primitive", of),
            Dead::EmptyRange => {
                PyValueError::new_err("min_ is greater than max_: there is no such height")
            }
            Dead::TooLarge => PyValueError::new_err(
                "the tree grows beyond 64 million nodes: min_ and max_ are too large",
            ),
        }
    }
}

#[pymethods]
impl Vocabulary {
    /// Functions of the primitive set may refer to the set, which keeps the vocabulary.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for object in self.objects.iter().flatten().chain(&self.types) {
            visit.call(object)?;
        }
        Ok(())
    }

    /// A pickle holds what trees need: names and types, no functions.
    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let this = slf.get();
        let symbols: Vec<_> = this
            .grammar
            .symbols
            .iter()
            .zip(&this.texts)
            .take(this.grammar.first_literal as usize)
            .map(|(symbol, text)| {
                (
                    symbol.name.clone(),
                    kind_code(symbol.kind),
                    symbol.args.to_vec(),
                    symbol.ret,
                    text.clone(),
                )
            })
            .collect();
        let types: Vec<_> = this.types.iter().map(|of| of.bind(py)).collect();
        let restore = slf.get_type().getattr(intern!(py, "_restore"))?;
        let arguments = (
            symbols,
            PyList::new(py, types)?,
            this.grammar.ret,
            this.grammar.untyped,
        );
        Ok((restore, arguments.into_pyobject(py)?))
    }

    #[staticmethod]
    fn _restore<'py>(
        py: Python<'py>,
        symbols: Vec<(String, i64, Vec<TypeId>, TypeId, String)>,
        types: Vec<Bound<'py, PyAny>>,
        ret: TypeId,
        untyped: TypeId,
    ) -> PyResult<Bound<'py, Self>> {
        let mut grammar = Grammar {
            ret,
            untyped,
            ..Grammar::default()
        };
        let n_types = types.len();
        let mut texts = Vec::new();
        for (name, kind, args, of, text) in symbols {
            let kind = kind_of(kind).ok_or_else(damaged)?;
            if args
                .iter()
                .chain([&of, &ret, &untyped])
                .any(|&of| of as usize >= n_types)
            {
                return Err(damaged());
            }
            grammar.symbols.push(Symbol {
                name,
                kind,
                args: args.into(),
                ret: of,
            });
            texts.push(text);
        }
        let type_names: Vec<String> = types.iter().map(type_text).collect::<PyResult<_>>()?;
        grammar.seal(&type_names);
        grammar.primitives.resize(n_types, Vec::new());
        grammar.terminals.resize(n_types, Vec::new());
        if let Some(live) = find_live(py, |live| live.grammar.signature == grammar.signature) {
            return Ok(live);
        }
        let n_symbols = grammar.symbols.len();
        let reason: Box<str> =
            "the tree comes out of a pickle; say with which primitive set to compile it".into();
        texts.resize(n_symbols, String::new());
        let fresh = Self {
            grammar,
            meanings: vec![Meaning::Unknown(reason); n_symbols],
            late: Vec::new(),
            objects: (0..n_symbols).map(|_| None).collect(),
            texts,
            by_object: AddressMap::default(),
            type_ids: (0..)
                .zip(&types)
                .map(|(id, of)| (address(of), id))
                .collect(),
            types: types.into_iter().map(Bound::unbind).collect(),
            arguments: Arc::new([]),
            returns_bool: false,
            number: next_number(),
            recent: Mutex::default(),
            stamp: None,
        };
        let fresh = Bound::new(py, fresh)?;
        publish(&fresh)?;
        Ok(fresh)
    }
}

fn damaged() -> PyErr {
    PyValueError::new_err("the pickle of a tree is damaged")
}

const KINDS: [Kind; 3] = [Kind::Primitive, Kind::Terminal, Kind::Ephemeral];

/// An argument is its number, anything else a negative number.
fn kind_code(kind: Kind) -> i64 {
    match kind {
        Kind::Argument(index) => i64::from(index),
        Kind::Primitive => -1,
        Kind::Terminal | Kind::Literal => -2,
        Kind::Ephemeral => -3,
    }
}

fn kind_of(code: i64) -> Option<Kind> {
    if let Ok(index) = u32::try_from(code) {
        return Some(Kind::Argument(index));
    }
    KINDS.get(usize::try_from(-1 - code).ok()?).copied()
}

/// Makes a vocabulary known to trees that look for theirs.
fn publish(vocabulary: &Bound<'_, Vocabulary>) -> PyResult<()> {
    let py = vocabulary.py();
    let reference = PyWeakrefReference::new(vocabulary)?.unbind();
    let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    live.retain(|reference| reference.bind(py).upgrade().is_some());
    live.push(reference);
    Ok(())
}

/// The vocabulary published last of those that fit.
pub(crate) fn find_live<'py>(
    py: Python<'py>,
    fits: impl Fn(&Vocabulary) -> bool,
) -> Option<Bound<'py, Vocabulary>> {
    let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    live.iter().rev().find_map(|reference| {
        let vocabulary = reference
            .bind(py)
            .upgrade_as::<Vocabulary>()
            .ok()
            .flatten()?;
        fits(vocabulary.get()).then_some(vocabulary)
    })
}

impl Vocabulary {
    /// Whether every node object belongs to this primitive set itself.
    pub(crate) fn owns(&self, nodes: &Bound<'_, PyList>) -> bool {
        nodes.iter().all(|node| {
            self.by_object.contains_key(&address(&node))
                || self.by_object.contains_key(&(node.get_type_ptr() as usize))
        })
    }
}

/// Makes every vocabulary out of date: a function was registered.
#[pyfunction]
#[pyo3(name = "_forget")]
pub(crate) fn forget() {
    REGISTRATIONS.fetch_add(1, Ordering::Relaxed);
}
