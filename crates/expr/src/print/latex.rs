//! Expressions as LaTeX mathematics.

use super::form::Form;
use super::level;
use super::names::{GREEK, typeset};
use super::write::{Language, write};
use crate::op::Op;
use crate::tree::Expr;

/// LaTeX for mathematics mode: `2 \cdot {x_{0}}^{2}`. Names that are Greek letters become those,
/// digits at the end of a name become a subscript, and other long names are set upright.
#[must_use]
pub fn latex<S: AsRef<str>>(expr: &Expr, names: &[S]) -> String {
    write(expr, &Latex { names }).0
}

struct Latex<'a, S> {
    names: &'a [S],
}

impl<S: AsRef<str>> Language for Latex<'_, S> {
    fn form(&self, op: Op) -> Form {
        op.row().latex
    }

    fn number(&self, out: &mut String, value: f64) -> u8 {
        if value.is_sign_negative() {
            out.push('-');
        }
        let magnitude = value.abs();
        if magnitude.is_nan() {
            out.push_str(r"\mathrm{NaN}");
        } else if magnitude.is_infinite() {
            out.push_str(r"\infty");
        } else {
            let digits = format!("{magnitude:?}");
            let (significand, exponent) = match digits.split_once('e') {
                Some((significand, exponent)) => (significand, Some(exponent)),
                None => (digits.as_str(), None),
            };
            let significand = significand.strip_suffix(".0").unwrap_or(significand);
            match exponent {
                None => out.push_str(significand),
                Some(exponent) if significand == "1" => {
                    out.push_str(&format!("10^{{{exponent}}}"));
                }
                Some(exponent) => {
                    out.push_str(&format!(r"{significand} \cdot 10^{{{exponent}}}"));
                    return if value.is_sign_negative() {
                        level::SUM
                    } else {
                        level::PRODUCT
                    };
                }
            }
            if exponent.is_some() && value.is_sign_positive() {
                return level::POWER;
            }
        }
        // A sign after another operator needs parentheses in mathematics.
        if value.is_sign_negative() {
            level::SUM
        } else {
            level::ATOM
        }
    }

    fn variable(&self, out: &mut String, index: u32) -> u8 {
        match self.names.get(index as usize) {
            Some(name) => write_name(out, name.as_ref()),
            None => out.push_str(&format!("x_{{{index}}}")),
        }
        level::ATOM
    }

    fn brackets(&self) -> (&'static str, &'static str) {
        (r"\left(", r"\right)")
    }

    /// `\sin\left(x\right)^{2}` is ambiguous, so a call as a base gets parentheses.
    fn call_level(&self) -> u8 {
        level::POWER
    }

    /// Iverson's bracket.
    fn truth_to_number(&self) -> (&'static str, &'static str, u8) {
        (r"\left[", r"\right]", level::ATOM)
    }

    fn number_to_truth(&self) -> (&'static str, &'static str, u8) {
        ("", r" \ne 0", level::SUM)
    }
}

fn write_name(out: &mut String, name: &str) {
    let Some((stem, subscript)) = typeset(name) else {
        out.push_str(&format!(r"\mathrm{{{}}}", escaped(name)));
        return;
    };
    write_stem(out, stem);
    if subscript.is_empty() {
        return;
    }
    out.push_str("_{");
    if subscript.bytes().all(|b| b.is_ascii_digit()) {
        out.push_str(subscript);
    } else {
        write_stem(out, subscript);
    }
    out.push('}');
}

fn write_stem(out: &mut String, stem: &str) {
    if GREEK.iter().any(|(name, _)| *name == stem) {
        out.push('\\');
        out.push_str(stem);
    } else if stem.chars().count() == 1 {
        out.push_str(stem);
    } else {
        out.push_str(&format!(r"\mathrm{{{}}}", escaped(stem)));
    }
}

/// The text with what is special in LaTeX made literal.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '#' | '$' | '%' | '&' | '_' | '{' | '}' => out.extend(['\\', c]),
            '~' => out.push_str(r"\textasciitilde{}"),
            '^' => out.push_str(r"\textasciicircum{}"),
            '\\' => out.push_str(r"\textbackslash{}"),
            ' ' => out.push_str(r"\ "),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
