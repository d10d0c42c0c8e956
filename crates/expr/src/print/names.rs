//! Names of variables where only identifiers will do, and where they are typeset.

use std::collections::HashSet;

use super::infix::{is_identifier, is_identifier_char};

const PYTHON_RESERVED: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield", "np", "scipy",
];

pub(crate) const C_KEYWORDS: &[&str] = &[
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else",
    "enum", "extern", "float", "for", "goto", "if", "inline", "int", "long", "register",
    "restrict", "return", "short", "signed", "sizeof", "static", "struct", "switch", "typedef",
    "union", "unsigned", "void", "volatile", "while", "main", "f", "INFINITY", "NAN",
];

pub(crate) const RUST_KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum", "extern",
    "false", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut",
    "pub", "ref", "return", "self", "Self", "static", "struct", "super", "trait", "true", "type",
    "unsafe", "use", "where", "while", "abstract", "become", "box", "do", "final", "macro",
    "override", "priv", "try", "typeof", "unsized", "virtual", "yield", "f", "f64", "libm",
];

/// Names as ASCII identifiers: other characters become `_`, and a number is added where a
/// name would be reserved or the same as an earlier one.
#[must_use]
pub(crate) fn identifiers<S: AsRef<str>>(names: &[S], reserved: &[&str]) -> Vec<String> {
    let mut taken: HashSet<String> = reserved.iter().map(|&name| name.to_owned()).collect();
    let identifier = |name: &S| {
        let mut identifier: String = name
            .as_ref()
            .chars()
            .map(|c| {
                if c.is_ascii() && is_identifier_char(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        if !identifier.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            identifier.insert(0, '_');
        }
        // A bare underscore is no variable in Rust.
        if identifier == "_" {
            identifier.push('_');
        }
        let stem = identifier.clone();
        let mut number = 2_u64;
        while !taken.insert(identifier.clone()) {
            identifier = format!("{stem}_{number}");
            number += 1;
        }
        identifier
    };
    names.iter().map(identifier).collect()
}

/// The identifiers that stand for these names in [`super::numpy`]'s text.
#[must_use]
pub fn python_identifiers<S: AsRef<str>>(names: &[S]) -> Vec<String> {
    identifiers(names, PYTHON_RESERVED)
}

pub(crate) fn write_identifier(out: &mut String, names: &[String], index: u32) {
    match names.get(index as usize) {
        Some(name) => out.push_str(name),
        None => out.push_str(&format!("x{index}")),
    }
}

/// The text as a Python string literal.
pub(crate) fn python_string(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Names that are typeset as a letter: those that LaTeX has a command for.
pub(crate) const GREEK: [(&str, &str); 34] = [
    ("alpha", "α"),
    ("beta", "β"),
    ("gamma", "γ"),
    ("delta", "δ"),
    ("epsilon", "ε"),
    ("zeta", "ζ"),
    ("eta", "η"),
    ("theta", "θ"),
    ("iota", "ι"),
    ("kappa", "κ"),
    ("lambda", "λ"),
    ("mu", "μ"),
    ("nu", "ν"),
    ("xi", "ξ"),
    ("pi", "π"),
    ("rho", "ρ"),
    ("sigma", "σ"),
    ("tau", "τ"),
    ("upsilon", "υ"),
    ("phi", "φ"),
    ("chi", "χ"),
    ("psi", "ψ"),
    ("omega", "ω"),
    ("Gamma", "Γ"),
    ("Delta", "Δ"),
    ("Theta", "Θ"),
    ("Lambda", "Λ"),
    ("Xi", "Ξ"),
    ("Pi", "Π"),
    ("Sigma", "Σ"),
    ("Upsilon", "Υ"),
    ("Phi", "Φ"),
    ("Psi", "Ψ"),
    ("Omega", "Ω"),
];

/// What a name is typeset as: a stem and its subscript, which may be empty. Digits at the end are
/// a subscript, and so is what follows the last underscore. `None` if the name is set as it is.
pub(crate) fn typeset(name: &str) -> Option<(&str, &str)> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let (stem, subscript) = match name[stem.len()..].is_empty() {
        false => (stem.strip_suffix('_').unwrap_or(stem), &name[stem.len()..]),
        true => name.rsplit_once('_').unwrap_or((name, "")),
    };
    let simple = is_identifier(stem) && !stem.contains('_') && !subscript.contains(' ');
    simple.then_some((stem, subscript))
}
