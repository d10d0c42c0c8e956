//! Trees as text: DEAP compiles any Python expression over the names of a primitive set.
//!
//! Nearly always the text is a printed tree, in prefix notation, and is read here, whatever its
//! depth. Anything else (`x + sin(y)`) is parsed by Python itself, whose grammar it is; the module
//! `opcodon.deap` turns its syntax tree into the few kinds of steps below.

use std::collections::HashMap;

use opcodon_expr::{Expr, Node, Op};
use pyo3::exceptions::{PyNameError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::grammar::Kind;
use super::lower::{Lowering, Meaning, Obstacle};
use super::tree::read_text;
use super::vocabulary::Vocabulary;

/// The formula of a text.
pub(crate) fn formula(
    text: &Bound<'_, PyString>,
    words: &Vocabulary,
    late: &HashMap<String, Meaning>,
    lowering: &mut Lowering,
) -> PyResult<Expr> {
    let py = text.py();
    let string = text.to_cow()?;
    let nodes = match read_text(words, py, &string, false) {
        Ok(genes) => {
            let n_nodes = genes.len();
            lowering
                .run(&words.grammar, &words.meanings, late, genes)
                .map_err(|obstacle| words.obstacle(py, obstacle, n_nodes))?
        }
        Err(_) => by_python(text, words, late)?,
    };
    Expr::from_postfix(nodes).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Has Python parse the text. The steps come in postfix order: `("name", name)`,
/// `("call", name, n_arguments)`, `("operator", spelling)` and `("number", value)`.
fn by_python(
    text: &Bound<'_, PyString>,
    words: &Vocabulary,
    late: &HashMap<String, Meaning>,
) -> PyResult<Vec<Node>> {
    let py = text.py();
    let steps = py
        .import(intern!(py, "opcodon.deap"))?
        .call_method1(intern!(py, "_steps"), (text,))?;
    // Complete operands, innermost last.
    let mut operands: Vec<Vec<Node>> = Vec::new();
    for step in steps.try_iter()? {
        let step = step?.cast_into::<PyTuple>()?;
        let kind: String = step.get_item(0)?.extract()?;
        let operand = match kind.as_str() {
            "number" => vec![Node::Const(step.get_item(1)?.extract()?)],
            "operator" => {
                let spelling: String = step.get_item(1)?.extract()?;
                let op = Op::from_spelling(&spelling).ok_or_else(|| {
                    PyTypeError::new_err(format!("no operator is spelled {spelling}"))
                })?;
                let mut nodes = last(&mut operands, op.arity())?.concat();
                nodes.push(Node::Op(op));
                nodes
            }
            _ => {
                let name: String = step.get_item(1)?.extract()?;
                let symbol = words.grammar.by_name(&name).ok_or_else(|| {
                    PyNameError::new_err(format!("name {name:?} is not in the primitive set"))
                })?;
                let arity = if kind == "call" {
                    step.get_item(2)?.extract()?
                } else {
                    0
                };
                let known = words.grammar.symbol(symbol);
                if known.arity() != arity || (known.kind == Kind::Primitive) != (kind == "call") {
                    return Err(PyTypeError::new_err(format!(
                        "{name} takes {} arguments, but {arity} are given",
                        known.arity()
                    )));
                }
                let arguments = last(&mut operands, arity)?;
                let own = &words.meanings[symbol as usize];
                let meaning = if matches!(own, Meaning::Late) {
                    late.get(&name)
                } else {
                    Some(own)
                };
                meaning
                    .and_then(|meaning| meaning.apply(&arguments))
                    .ok_or_else(|| words.obstacle(py, Obstacle::Unknown(symbol), 1))?
            }
        };
        operands.push(operand);
    }
    match <[Vec<Node>; 1]>::try_from(operands) {
        Ok([nodes]) => Ok(nodes),
        Err(_) => Err(PyValueError::new_err("the text is not one expression")),
    }
}

fn last(operands: &mut Vec<Vec<Node>>, n: usize) -> PyResult<Vec<Vec<Node>>> {
    let at = operands
        .len()
        .checked_sub(n)
        .ok_or_else(|| PyValueError::new_err("the text is not one expression"))?;
    Ok(operands.split_off(at))
}
