//! Reads the symbols of a DEAP primitive set: names, types, and what each computes.

use opcodon_expr::parse;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};

use super::function::Function;
use super::grammar::{Kind, Symbol, TypeId, Value, as_id};
use super::lower::Meaning;
use super::objects::{AddressMap, address, number, type_name};

/// Reads the symbols of one primitive set.
pub(super) struct Reader<'py> {
    pset: Bound<'py, PyAny>,
    pub(super) types: Vec<Bound<'py, PyAny>>,
    pub(super) type_ids: AddressMap<TypeId>,
}

impl<'py> Reader<'py> {
    pub(super) fn new(pset: &Bound<'py, PyAny>) -> Self {
        Self {
            pset: pset.clone(),
            types: Vec::new(),
            type_ids: AddressMap::default(),
        }
    }

    /// The number of a type, a new one if it was not seen before.
    pub(super) fn type_id(&mut self, of: &Bound<'py, PyAny>) -> PyResult<TypeId> {
        let next = as_id(self.types.len());
        let id = *self.type_ids.entry(address(of)).or_insert(next);
        if id == next {
            self.types.push(of.clone());
        }
        Ok(id)
    }

    /// A symbol, how it is printed if it is a terminal, and what it computes.
    pub(super) fn symbol(
        &mut self,
        name: String,
        object: &Bound<'py, PyAny>,
        arguments: &[String],
    ) -> PyResult<(Symbol, String, Meaning)> {
        let py = self.pset.py();
        let of = object.getattr(intern!(py, "ret"))?;
        let ret = self.type_id(&of)?;
        if object.is_instance_of::<PyType>() {
            let symbol = Symbol {
                name,
                kind: Kind::Ephemeral,
                args: Box::default(),
                ret,
            };
            return Ok((symbol, String::new(), Meaning::Value));
        }
        if let Ok(types) = object.getattr(intern!(py, "args")) {
            let types: Vec<Bound<'py, PyAny>> = types.try_iter()?.collect::<PyResult<_>>()?;
            let args = types
                .iter()
                .map(|of| self.type_id(of))
                .collect::<PyResult<Box<[_]>>>()?;
            let meaning = self.function(&name, PyTuple::new(py, types)?)?;
            return Ok((
                Symbol {
                    name,
                    kind: Kind::Primitive,
                    args,
                    ret,
                },
                String::new(),
                meaning,
            ));
        }
        let text: String = object.call_method0(intern!(py, "format"))?.extract()?;
        let value = object.getattr(intern!(py, "value"))?;
        let symbolic = object
            .getattr(intern!(py, "conv_fct"))?
            .is(py.get_type::<PyString>());
        if !symbolic {
            let symbol = Symbol {
                name,
                kind: Kind::Terminal,
                args: Box::default(),
                ret,
            };
            let meaning = constant(&value, &text)?;
            return Ok((symbol, text, meaning));
        }
        if let Some(index) = (0..)
            .zip(arguments)
            .find(|(_, argument)| **argument == text)
            .map(|(index, _)| index)
        {
            let symbol = Symbol {
                name,
                kind: Kind::Argument(index),
                args: Box::default(),
                ret,
            };
            return Ok((symbol, text, Meaning::Variable(index)));
        }
        let context = self.pset.getattr(intern!(py, "context"))?;
        let meaning = match context.get_item(&text) {
            Ok(value) => constant(&value, &text)?,
            Err(_) => Meaning::Unknown(
                format!("the terminal {text} is not in the context of the primitive set").into(),
            ),
        };
        Ok((
            Symbol {
                name,
                kind: Kind::Terminal,
                args: Box::default(),
                ret,
            },
            text,
            meaning,
        ))
    }

    /// What the function of that name computes, as `opcodon.deap` knows it.
    fn function(&self, name: &str, types: Bound<'py, PyTuple>) -> PyResult<Meaning> {
        let py = self.pset.py();
        let arity = types.len();
        let context = self.pset.getattr(intern!(py, "context"))?;
        let Ok(function) = context.get_item(name) else {
            return Ok(Meaning::Late);
        };
        if function.is_instance_of::<Function>() || is_compiled_by_deap(&function) {
            return Ok(Meaning::Late);
        }
        let known = py.import(intern!(py, "opcodon.deap"))?;
        let answer = known.call_method1(intern!(py, "_meaning"), (&function, name, types))?;
        let (formula, reason): (Option<String>, String) = answer.extract()?;
        let Some(formula) = formula else {
            return Ok(Meaning::Unknown(reason.into()));
        };
        let names: Vec<String> = (0..arity).map(|index| format!("x{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        match parse(&formula, Some(&names)) {
            Ok(parsed) => Ok(Meaning::of(&parsed.expr, arity)),
            Err(error) => Ok(Meaning::Unknown(
                format!("it is registered as {formula:?}, which does not parse: {error}").into(),
            )),
        }
    }
}

/// Whether a function is one that `deap.gp.compile` has made, an automatically defined function of
/// some individual: DEAP evaluates these in a context without builtins.
fn is_compiled_by_deap(function: &Bound<'_, PyAny>) -> bool {
    let py = function.py();
    function
        .getattr(intern!(py, "__globals__"))
        .and_then(|globals| globals.get_item(intern!(py, "__builtins__")))
        .is_ok_and(|builtins| builtins.is_none())
}

/// The meaning of a terminal whose value is known.
fn constant(value: &Bound<'_, PyAny>, text: &str) -> PyResult<Meaning> {
    Ok(match number(value)?.and_then(Value::number) {
        Some(value) => Meaning::Constant(value),
        None => Meaning::Unknown(
            format!(
                "the terminal {text} is a {}, but only int, float and bool can become machine code",
                type_name(value)
            )
            .into(),
        ),
    })
}
