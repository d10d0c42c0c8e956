//! Signatures of functions: `f64(f64, i32, ptr)`, or in C's spelling
//! `double(double, int, const double *)`.
//!
//! A signature says which registers arguments travel in; it is the only thing that is known about
//! bytes somebody wants to call. Two spellings are read: the short names of the types here, which
//! are also the normal form that is printed, and prototypes as they stand in C headers, with
//! names of functions and parameters, qualifiers and any number of stars, so that a line can be
//! pasted. What cannot be called (`long double`, structures without their fields) is named as such.
//!
//! | here | in C | what it is |
//! |---|---|---|
//! | `f64`, `i32`, `u8`, `bool` … | `double`, `int`, `uint8_t`, `_Bool` … | a number |
//! | `ptr`, `const ptr` | `double *`, `const char *` … | an address; with `const` the callee only reads there |
//! | `f64[]`, `const f64[3]` | `double x[]`, `const double x[3]` | an address of numbers of a type, at least so many |
//! | `{f64, i32}`, `{f32[4]}` | `struct { double a; int b; }` … | a structure by value |
//! | `i32(ptr, ptr)*` | `int (*)(void *, void *)` | the address of a function |
//! | `i32(const ptr, ...)` | `int printf(const char *, ...)` | any further arguments |
//!
//! # Invariant
//! `Signature::parse(&signature.to_string())` is `signature`, and no text makes `parse` panic.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use crate::{Abi, Ty};

/// More parameters than any function has; a call copies them all to the stack.
const PARAMETERS_MAX: usize = 255;

/// Most bytes of all parameters together.
const BYTES_MAX: usize = 1 << 16;

/// Parameters and result of a function.
///
/// ```
/// use opcodon_codemem::{Signature, Ty};
/// let signature = Signature::parse("double hypot(double x, double y);")?;
/// assert_eq!(signature.params(), [Ty::F64, Ty::F64]);
/// assert_eq!(signature.to_string(), "f64(f64, f64)");
/// # Ok::<(), opcodon_codemem::SignatureError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signature {
    params: Vec<Ty>,
    result: Ty,
    is_variadic: bool,
}

impl Signature {
    /// A signature from its types.
    ///
    /// # Errors
    /// A parameter is `void`, or there are more than 255, or more than 64 KiB of them. Spans are
    /// those of the normal form.
    pub fn new(params: Vec<Ty>, result: Ty) -> Result<Self, SignatureError> {
        let signature = Self {
            params,
            result,
            is_variadic: false,
        };
        let void = signature.params.iter().position(|&ty| ty == Ty::Void);
        let surplus = first_surplus(&signature.params);
        if let Some(index) = void.or(surplus) {
            let kind = match void {
                Some(_) => SignatureErrorKind::VoidParameter,
                None => SignatureErrorKind::TooManyParameters,
            };
            let before: usize = signature
                .params
                .iter()
                .take(index)
                .map(|ty| ty.name().len() + ", ".len())
                .sum();
            let start = result.name().len() + "(".len() + before;
            let end = start + signature.params.get(index).map_or(0, |ty| ty.name().len());
            return Err(SignatureError {
                kind,
                span: start..end,
                text: signature.to_string(),
            });
        }
        Ok(signature)
    }

    /// Reads a signature; C's `long` has the size it has under the host's convention.
    ///
    /// # Errors
    /// The text is not a signature; the error says where and why.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        Self::parse_for(text, Abi::host())
    }

    /// Reads a signature of a function of the given convention: C's `long` has 64 bits under
    /// System V's and 32 bits under Microsoft's.
    ///
    /// # Errors
    /// The text is not a signature; the error says where and why.
    pub fn parse_for(text: &str, abi: Abi) -> Result<Self, SignatureError> {
        parse::signature(text, abi)
    }

    /// Types of the parameters, in order.
    #[must_use]
    pub fn params(&self) -> &[Ty] {
        &self.params
    }

    /// Type of the result; [`Ty::Void`] if there is none.
    #[must_use]
    pub fn result(&self) -> Ty {
        self.result
    }

    /// Whether further arguments of any types may follow.
    #[must_use]
    pub fn is_variadic(&self) -> bool {
        self.is_variadic
    }

    /// Whether all parameters and the result are `f64`, and no others may follow.
    #[must_use]
    pub fn is_all_f64(&self) -> bool {
        !self.is_variadic && self.result == Ty::F64 && self.params.iter().all(|&ty| ty == Ty::F64)
    }
}

/// The first parameter that is one too many, by number or by size.
fn first_surplus(params: &[Ty]) -> Option<usize> {
    let mut bytes = 0;
    params.iter().enumerate().position(|(index, ty)| {
        bytes += ty.size().next_multiple_of(8);
        index == PARAMETERS_MAX || bytes > BYTES_MAX
    })
}

/// The normal form: `f64(f64, i32, ptr)`.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.result)?;
        for (index, ty) in self.params.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{ty}")?;
        }
        f.write_str(match (self.is_variadic, self.params.is_empty()) {
            (false, _) => ")",
            (true, true) => "...)",
            (true, false) => ", ...)",
        })
    }
}

impl std::str::FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        Self::parse(text)
    }
}

/// Why a text is not a signature, and which part of it is to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the signature {text:?} at column {}: {kind}", self.column())]
pub struct SignatureError {
    /// What is wrong.
    pub kind: SignatureErrorKind,
    /// Where: byte offsets into the text.
    pub span: Range<usize>,
    /// The whole text.
    pub text: String,
}

impl SignatureError {
    /// Column of the span's start, in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.text
            .get(..self.span.start)
            .map_or(0, |before| before.chars().count())
            + 1
    }

    /// The text with a line of carets under the span.
    #[must_use]
    pub fn render(&self) -> String {
        let marked = self
            .text
            .get(self.span.clone())
            .map_or(0, |part| part.chars().count());
        // Tabs and line breaks are shown as one space each, so that the carets stay below.
        let shown: String = self
            .text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        format!(
            "{shown}\n{}{}",
            " ".repeat(self.column() - 1),
            "^".repeat(marked.max(1))
        )
    }
}

/// What is wrong with the text of a signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureErrorKind {
    /// There is no text.
    #[error("it is empty; write for example \"f64(f64, f64)\"")]
    Empty,
    /// A character that no signature contains.
    #[error("unexpected character {found:?}")]
    Character {
        /// The character.
        found: char,
    },
    /// A word that is no type.
    #[error(
        "unknown type {found:?}; known are f64, f32, i8 to i64, u8 to u64, bool, ptr, void, \
         C's types and pointers, structures such as {{f64, i32}}"
    )]
    UnknownType {
        /// The word.
        found: String,
    },
    /// Words of C that do not make a type together, such as `short double`.
    #[error("{found:?} is not a type of C")]
    NotAType {
        /// The words.
        found: String,
    },
    /// A type of C that cannot be passed here.
    #[error("{found:?} cannot be passed by value; pass a pointer to it")]
    Unsupported {
        /// The words.
        found: String,
    },
    /// Something else should stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What should stand here.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// A structure of which only the name is known.
    #[error(
        "{found:?} has no fields here: write them, as in {{f64, i32}}, or pass a pointer to it"
    )]
    NoFields {
        /// The words.
        found: String,
    },
    /// A structure that no call can carry.
    #[error(
        "a structure by value has at least one field and at most {} bytes",
        crate::Struct::SIZE_MAX
    )]
    Structure,
    /// Structures in structures, or functions that take functions, without end.
    #[error("types are nested deeper than {}", parse::DEPTH_MAX)]
    Depth,
    /// `void` among other parameters, or with a name.
    #[error("a parameter cannot be void; for no parameters write \"()\"")]
    VoidParameter,
    /// More parameters than can be passed.
    #[error("more than {PARAMETERS_MAX} parameters, or more than {BYTES_MAX} bytes of them")]
    TooManyParameters,
}
