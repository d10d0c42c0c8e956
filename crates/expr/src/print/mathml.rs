//! Expressions as MathML, which browsers typeset without help.
//!
//! Only elements of MathML Core are used. Names and numbers are the same as in LaTeX; numbers may
//! be shortened, because a page is read, and hold their full text as a hint then. Products have no
//! parentheses in products, however they are grouped: what is rounded when is not for the eye.

use super::form::Form;
use super::level;
use super::names::{GREEK, typeset};
use super::number::rounded;
use super::write::{Language, write};
use crate::op::Op;
use crate::tree::Expr;

/// A `<math>` element, set as a displayed formula. With `digits`, numbers are rounded to as many
/// significant ones.
#[must_use]
pub fn mathml<S: AsRef<str>>(expr: &Expr, names: &[S], digits: Option<usize>) -> String {
    format!(
        "<math display=\"block\">{}</math>",
        mathml_content(expr, names, digits)
    )
}

/// What [`mathml`] puts into its element: a formula to be part of another.
#[must_use]
pub fn mathml_content<S: AsRef<str>>(expr: &Expr, names: &[S], digits: Option<usize>) -> String {
    format!("<mrow>{}</mrow>", write(expr, &MathMl { names, digits }).0)
}

/// A variable's name as MathML.
#[must_use]
pub fn mathml_name(name: &str) -> String {
    let mut out = String::new();
    match typeset(name) {
        Some((stem, "")) => write_stem(&mut out, stem),
        Some((stem, subscript)) => {
            out.push_str("<msub>");
            write_stem(&mut out, stem);
            if subscript.bytes().all(|b| b.is_ascii_digit()) {
                out.push_str(&format!("<mn>{subscript}</mn>"));
            } else {
                write_stem(&mut out, subscript);
            }
            out.push_str("</msub>");
        }
        None => out.push_str(&format!("<mtext>{}</mtext>", markup(name))),
    }
    out
}

/// Text as the content of an element or of an attribute in quotes: what HTML and XML would take
/// for markup is made literal, and control characters that XML forbids are left out.
#[must_use]
pub fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => {}
            c => out.push(c),
        }
    }
    out
}

struct MathMl<'a, S> {
    names: &'a [S],
    digits: Option<usize>,
}

impl<S: AsRef<str>> Language for MathMl<'_, S> {
    fn form(&self, op: Op) -> Form {
        op.row().mathml
    }

    fn number(&self, out: &mut String, value: f64) -> u8 {
        if value.is_sign_negative() {
            out.push_str("<mrow><mo>−</mo>");
        }
        let positive = write_magnitude(out, value.abs(), self.digits);
        if value.is_sign_negative() {
            out.push_str("</mrow>");
            // A sign after another operator needs parentheses in mathematics.
            level::SUM
        } else {
            positive
        }
    }

    fn variable(&self, out: &mut String, index: u32) -> u8 {
        out.push_str(&match self.names.get(index as usize) {
            Some(name) => mathml_name(name.as_ref()),
            None => mathml_name(&format!("x{index}")),
        });
        level::ATOM
    }

    fn call_name(&self, out: &mut String, name: &str) {
        // The invisible operator is that of a function's application.
        out.push_str(&format!("<mi>{name}</mi><mo>\u{2061}</mo>"));
    }

    fn separator(&self) -> &'static str {
        "<mo>,</mo>"
    }

    fn brackets(&self) -> (&'static str, &'static str) {
        ("<mrow><mo>(</mo><mrow>", "</mrow><mo>)</mo></mrow>")
    }

    /// As in LaTeX: a call as a base gets parentheses.
    fn call_level(&self) -> u8 {
        level::POWER
    }

    /// Iverson's bracket.
    fn truth_to_number(&self) -> (&'static str, &'static str, u8) {
        (
            "<mrow><mo>[</mo><mrow>",
            "</mrow><mo>]</mo></mrow>",
            level::ATOM,
        )
    }

    fn number_to_truth(&self) -> (&'static str, &'static str, u8) {
        ("", "<mo>≠</mo><mn>0</mn>", level::SUM)
    }
}

/// Appends a number without a sign and returns the level of the text.
fn write_magnitude(out: &mut String, magnitude: f64, digits: Option<usize>) -> u8 {
    if magnitude.is_nan() {
        out.push_str("<mi>NaN</mi>");
        return level::ATOM;
    }
    if magnitude.is_infinite() {
        out.push_str("<mi>∞</mi>");
        return level::ATOM;
    }
    let shown = digits.map_or(magnitude, |digits| rounded(magnitude, digits));
    let hint = if shown.to_bits() == magnitude.to_bits() {
        String::new()
    } else {
        format!(" title=\"{magnitude:?}\"")
    };
    let text = format!("{shown:?}");
    let (significand, exponent) = text.split_once('e').unwrap_or((&text, ""));
    let significand = significand.strip_suffix(".0").unwrap_or(significand);
    if exponent.is_empty() {
        out.push_str(&format!("<mn{hint}>{significand}</mn>"));
        return level::ATOM;
    }
    let exponent = match exponent.strip_prefix('-') {
        Some(digits) => format!("<mrow><mo>−</mo><mn>{digits}</mn></mrow>"),
        None => format!("<mn>{exponent}</mn>"),
    };
    let power = format!("<msup><mn>10</mn>{exponent}</msup>");
    if significand == "1" {
        out.push_str(&power);
        return level::POWER;
    }
    out.push_str(&format!("<mn{hint}>{significand}</mn><mo>⋅</mo>{power}"));
    level::PRODUCT
}

fn write_stem(out: &mut String, stem: &str) {
    let greek = GREEK.iter().find(|(name, _)| *name == stem);
    let text = greek.map_or(stem, |(_, letter)| letter);
    out.push_str(&format!("<mi>{}</mi>", markup(text)));
}
