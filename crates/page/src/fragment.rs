//! Pieces of HTML that bring their style sheet with them: what a notebook shows.

use opcodon_expr::{Expr, print};

/// The one sheet that all pieces and pages use.
pub(crate) const STYLE: &str = include_str!("fragment.css");

/// The sheet of pictures with axes, which may also stand alone.
pub(crate) const PICTURE_STYLE: &str = include_str!("picture.css");

/// Significant digits of the constants of formulas that are shown; the texts to copy have all.
pub(crate) const DIGITS: usize = 6;

/// A piece of HTML as a notebook's output: in an element that the style sheet speaks of.
#[must_use]
pub fn fragment(body: &str) -> String {
    format!("<div class=\"opcodon\"><style>{STYLE}</style>\n{body}\n</div>")
}

/// A formula, typeset; its whole text is a hint.
#[must_use]
pub fn formula<S: AsRef<str>>(expr: &Expr, names: &[S]) -> String {
    let text = print::markup(&print::infix(expr, names));
    format!(
        "<div class=\"formula\" title=\"{text}\"><math displaystyle=\"true\">{}</math></div>",
        print::mathml_content(expr, names, Some(DIGITS))
    )
}

/// `target = formula`, typeset.
#[must_use]
pub fn equation<S: AsRef<str>>(target: &str, expr: &Expr, names: &[S]) -> String {
    let text = print::markup(&print::infix(expr, names));
    format!(
        "<div class=\"formula\" title=\"{text}\"><math displaystyle=\"true\">{}<mo>=</mo>{}</math></div>",
        print::mathml_name(target),
        print::mathml_content(expr, names, Some(DIGITS))
    )
}
