//! Expressions as functions in C and in Rust.

use super::form::Form;
use super::names::{C_KEYWORDS, RUST_KEYWORDS, identifiers, write_identifier};
use super::write::{Language, write};
use super::{level, number};
use crate::op::{Op, Row};
use crate::tree::{Expr, Node};

/// A C99 source file with the function `double f(double, …)`, one parameter for each name and for
/// each further variable.
///
/// Compiled without contraction (`-ffp-contract=off`) it computes what the expression means,
/// up to the C library's transcendental functions. Names become identifiers.
#[must_use]
pub fn c<S: AsRef<str>>(expr: &Expr, names: &[S]) -> String {
    let syntax = Syntax {
        column: |row| row.c,
        keywords: C_KEYWORDS,
        number_suffix: "",
        not_a_number: "NAN",
        infinity: "INFINITY",
        truth_to_number: ("(", " ? 1.0 : 0.0)", level::ATOM),
    };
    let function = Function::new(expr, names, &syntax);
    let parameter = |name: &str| format!("double {name}");
    let mut out = "#include <math.h>\n\n".to_owned();
    for (name, parameters, body) in &function.helpers {
        let parameters = list(parameters, parameter);
        out += &format!("static double {name}({parameters}) {{\n    return {body};\n}}\n\n");
    }
    let parameters = match function.parameters.is_empty() {
        true => "void".to_owned(),
        false => list(&function.parameters, parameter),
    };
    out + &format!(
        "double f({parameters}) {{\n    return {};\n}}\n",
        function.body
    )
}

/// A Rust module with the function `pub fn f(…: f64) -> f64`, one parameter for each name and for
/// each further variable. It needs the crate `libm` if `erf` occurs. Names become identifiers.
#[must_use]
pub fn rust<S: AsRef<str>>(expr: &Expr, names: &[S]) -> String {
    let syntax = Syntax {
        column: |row| row.rust,
        keywords: RUST_KEYWORDS,
        number_suffix: "_f64",
        not_a_number: "f64::NAN",
        infinity: "f64::INFINITY",
        truth_to_number: ("f64::from(", ")", level::ATOM),
    };
    let function = Function::new(expr, names, &syntax);
    let parameter = |name: &str| format!("{name}: f64");
    let mut out = String::new();
    for (name, parameters, body) in &function.helpers {
        let parameters = list(parameters, parameter);
        out += &format!("fn {name}({parameters}) -> f64 {{\n    {body}\n}}\n\n");
    }
    let parameters = list(&function.parameters, parameter);
    out + &format!(
        "pub fn f({parameters}) -> f64 {{\n    {}\n}}\n",
        function.body
    )
}

fn list<S: AsRef<str>>(names: &[S], parameter: impl Fn(&str) -> String) -> String {
    names
        .iter()
        .map(|name| parameter(name.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What differs between the two languages within an expression.
struct Syntax {
    column: fn(&Row) -> Form,
    keywords: &'static [&'static str],
    number_suffix: &'static str,
    not_a_number: &'static str,
    infinity: &'static str,
    truth_to_number: (&'static str, &'static str, u8),
}

struct Function {
    parameters: Vec<String>,
    /// Name, parameters and body of the functions that the language lacks.
    helpers: Vec<(&'static str, &'static [&'static str], &'static str)>,
    body: String,
}

impl Function {
    fn new<S: AsRef<str>>(expr: &Expr, names: &[S], syntax: &Syntax) -> Self {
        // A parameter must not hide a function that is called.
        let functions = Op::ALL
            .iter()
            .filter_map(|op| match (syntax.column)(op.row()) {
                Form::Call(name) | Form::Helper(name, _) => Some(name),
                Form::Text(..) | Form::Relation(_) | Form::Infix(_) => None,
            });
        let reserved: Vec<&str> = syntax.keywords.iter().copied().chain(functions).collect();
        let names = identifiers(names, &reserved);
        let (body, helpers) = write(
            expr,
            &Code {
                names: &names,
                syntax,
            },
        );
        let mut unnamed: Vec<u32> = expr
            .nodes()
            .iter()
            .filter_map(|node| match *node {
                Node::Var(index) if index as usize >= names.len() => Some(index),
                _ => None,
            })
            .collect();
        unnamed.sort_unstable();
        unnamed.dedup();
        let mut parameters = names.clone();
        parameters.extend(unnamed.iter().map(|index| format!("x{index}")));
        let helpers = helpers
            .into_iter()
            .filter_map(|op| match (syntax.column)(op.row()) {
                Form::Helper(name, body) => Some((name, &["a", "b", "c"][..op.arity()], body)),
                _ => None,
            });
        Function {
            parameters,
            helpers: helpers.collect(),
            body,
        }
    }
}

struct Code<'a> {
    names: &'a [String],
    syntax: &'a Syntax,
}

impl Language for Code<'_> {
    fn form(&self, op: Op) -> Form {
        (self.syntax.column)(op.row())
    }

    fn number(&self, out: &mut String, value: f64) -> u8 {
        if value.is_nan() {
            out.push_str(self.syntax.not_a_number);
            return level::ATOM;
        }
        if value.is_infinite() {
            out.push_str(if value > 0.0 { "" } else { "-" });
            out.push_str(self.syntax.infinity);
        } else {
            out.push_str(&format!("{value:?}{}", self.syntax.number_suffix));
        }
        number::level_of(value)
    }

    fn variable(&self, out: &mut String, index: u32) -> u8 {
        write_identifier(out, self.names, index);
        level::ATOM
    }

    fn truth_to_number(&self) -> (&'static str, &'static str, u8) {
        self.syntax.truth_to_number
    }

    fn number_to_truth(&self) -> (&'static str, &'static str, u8) {
        ("", " != 0.0", level::SUM)
    }
}
