//! Expressions as Python: for SymPy and for numpy.

use super::form::Form;
use super::write::{Lambda, Language, write};
use super::{infix::is_identifier, level, names};
use crate::op::Op;
use crate::tree::{Expr, Node};

/// Text for `sympy.sympify`.
///
/// Where SymPy has no such function there is the mathematical definition: `cbrt` is the real cube
/// root, comparisons and `if` are `Piecewise`, `round` rounds halves up. Operators on numbers only
/// are folded, by IEEE 754: SymPy would refuse to divide by zero, and compute a tower of powers
/// exactly, forever. Whole numbers are integers. Names that SymPy might take for something else
/// appear as `Symbol('name')`.
#[must_use]
pub fn sympy<S: AsRef<str>>(expr: &Expr, names: &[S]) -> String {
    write(&expr.simplify(), &Sympy { names }).0
}

/// A Python expression for arrays, with numpy as `np` (and `scipy.special`, if `erf` occurs).
///
/// Names become identifiers, by [`super::python_identifiers`]. `fma` is rounded twice, since numpy has
/// none; transcendental functions may differ in the last places.
#[must_use]
pub fn numpy<S: AsRef<str>>(expr: &Expr, names: &[S]) -> String {
    let names = names::python_identifiers(names);
    write(
        expr,
        &Numpy {
            names: &names,
            boxed: has_constant_application(expr),
        },
    )
    .0
}

/// Whether an operator is applied to numbers only.
fn has_constant_application(expr: &Expr) -> bool {
    let mut is_constant = Vec::new();
    for node in expr.nodes() {
        let constant = match node {
            Node::Const(_) => true,
            Node::Var(_) => false,
            Node::Op(op) => {
                let operands = is_constant.len() - op.arity();
                if is_constant.drain(operands..).all(|constant| constant) {
                    return true;
                }
                false
            }
        };
        is_constant.push(constant);
    }
    false
}

struct Sympy<'a, S> {
    names: &'a [S],
}

impl<S: AsRef<str>> Language for Sympy<'_, S> {
    fn form(&self, op: Op) -> Form {
        op.row().sympy
    }

    fn number(&self, out: &mut String, value: f64) -> u8 {
        const LARGEST_INTEGER: f64 = 1e15;
        if value.is_nan() {
            out.push_str("nan");
            return level::ATOM;
        }
        if value.is_infinite() {
            out.push_str(if value > 0.0 { "oo" } else { "-oo" });
        } else if value.fract() == 0.0 && value.abs() < LARGEST_INTEGER {
            out.push_str(&format!("{value}"));
        } else {
            out.push_str(&format!("{value:?}"));
        }
        super::number::level_of(value)
    }

    fn variable(&self, out: &mut String, index: u32) -> u8 {
        match self.names.get(index as usize).map(AsRef::as_ref) {
            None => out.push_str(&format!("x{index}")),
            Some(name) if is_plain_symbol(name) => out.push_str(name),
            Some(name) => out.push_str(&format!("Symbol({})", names::python_string(name))),
        }
        level::ATOM
    }

    fn truth_to_number(&self) -> (&'static str, &'static str, u8) {
        ("Piecewise((1, ", "), (0, True))", level::ATOM)
    }

    fn number_to_truth(&self) -> (&'static str, &'static str, u8) {
        ("Ne(", ", 0)", level::ANY)
    }

    fn lambda(&self) -> Option<Lambda> {
        Some(Lambda {
            open: ["Lambda(", "Lambda(("],
            body: [", ", "), "],
            close: ")",
        })
    }
}

/// Whether SymPy surely reads the bare name as a symbol: a letter, perhaps with a number, that is
/// not one of SymPy's one-letter names. (SymPy has some nine hundred names, `beta` among them.)
fn is_plain_symbol(name: &str) -> bool {
    let mut characters = name.chars();
    let letter = characters.next().filter(char::is_ascii_alphabetic);
    let digits = characters.as_str();
    letter.is_some_and(|letter| !"CEINOQS".contains(letter))
        && is_identifier(name)
        && digits
            .trim_start_matches('_')
            .bytes()
            .all(|b| b.is_ascii_digit())
}

struct Numpy<'a> {
    names: &'a [String],
    /// Whether numbers are numpy's: Python's own raise errors where IEEE 754 has a result, which
    /// matters where numbers meet only numbers.
    boxed: bool,
}

impl Language for Numpy<'_> {
    fn form(&self, op: Op) -> Form {
        op.row().numpy
    }

    fn number(&self, out: &mut String, value: f64) -> u8 {
        let text = if value.is_nan() {
            "np.nan".to_owned()
        } else if value.is_infinite() {
            if value > 0.0 {
                "np.inf".to_owned()
            } else {
                "-np.inf".to_owned()
            }
        } else {
            format!("{value:?}")
        };
        if self.boxed {
            out.push_str(&format!("np.float64({text})"));
            return level::ATOM;
        }
        out.push_str(&text);
        if text.starts_with('-') {
            level::NEGATION
        } else {
            level::ATOM
        }
    }

    fn variable(&self, out: &mut String, index: u32) -> u8 {
        names::write_identifier(out, self.names, index);
        level::ATOM
    }

    fn truth_to_number(&self) -> (&'static str, &'static str, u8) {
        ("np.where(", ", 1.0, 0.0)", level::ATOM)
    }

    fn number_to_truth(&self) -> (&'static str, &'static str, u8) {
        ("", " != 0.0", level::SUM)
    }

    fn lambda(&self) -> Option<Lambda> {
        Some(Lambda {
            open: ["(lambda ", "(lambda "],
            body: [": ", ": "],
            close: ")",
        })
    }
}
