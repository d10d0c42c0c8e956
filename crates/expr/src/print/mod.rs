//! Expressions as text, in several languages.
//!
//! [`infix`] and [`prefix`] are this crate's own notation: [`crate::parse`] reads both back to the
//! bit. The others are for people and other programs.
//!
//! A language is a column of templates in the operator table plus the few facts of a `Language`:
//! how it writes numbers, names, calls and truth values. One engine, in `write`, does the rest,
//! with an explicit stack, and puts parentheses only where the text would be read differently
//! without them.
//!
//! Every function takes the variables' names: variable i is `names[i]`, or `x<i>` where there are
//! not so many names. Pass `&[] as &[&str]` for none.

pub(crate) mod form;
mod infix;
pub mod level;
mod number;
mod write;

pub use infix::{infix, prefix};
pub(crate) use infix::{is_identifier_char, is_identifier_start};
pub(crate) use number::nan_with_payload;
