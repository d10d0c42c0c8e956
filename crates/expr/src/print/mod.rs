//! Expressions as text, in several languages.
//!
//! [`infix`] and [`prefix`] are this crate's own notation: [`parse()`](crate::parse()) reads both back to the
//! bit. The others are for people and other programs.
//!
//! A language is a column of templates in the operator table plus the few facts of a `Language`:
//! how it writes numbers, names, calls and truth values. One engine, in `write`, does the rest,
//! with an explicit stack, and puts parentheses only where the text would be read differently
//! without them.
//!
//! Every function takes the variables' names: variable i is `names[i]`, or `x<i>` where there are
//! not so many names. Pass `&[] as &[&str]` for none.

mod code;
pub(crate) mod form;
mod infix;
mod latex;
pub mod level;
mod mathml;
mod names;
mod number;
mod python;
mod write;

pub use code::{c, rust};
pub use infix::{infix, prefix};
pub(crate) use infix::{is_identifier_char, is_identifier_start};
pub use latex::latex;
pub use mathml::{markup, mathml, mathml_content, mathml_name};
pub use names::python_identifiers;
pub(crate) use number::nan_with_payload;
pub use number::{grouped, number, rounded};
pub use python::{numpy, sympy};
