//! Signatures of functions: `f64(f64, i32, ptr)`, or in C's spelling
//! `double(double, int, const double *)`.
//!
//! A signature says which registers arguments travel in; it is the only thing that is known about
//! bytes somebody wants to call. Two spellings are read: the short names of the types here, which
//! are also the normal form that is printed, and prototypes as they stand in C headers, with
//! names of functions and parameters, qualifiers and any number of stars, so that a line can be
//! pasted. What cannot be called (structures by value, `long double`, `...`) is named as such.
//!
//! # Invariant
//! `Signature::parse(&signature.to_string())` is `signature`, and no text makes `parse` panic.

use std::fmt;
use std::ops::Range;

use crate::Abi;

/// Type of a parameter or a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ty {
    /// 64-bit float; C's `double`.
    F64,
    /// 32-bit float; C's `float`.
    F32,
    /// Signed 8-bit integer; C's `int8_t`, `char`.
    I8,
    /// Signed 16-bit integer; C's `short`.
    I16,
    /// Signed 32-bit integer; C's `int`.
    I32,
    /// Signed 64-bit integer; C's `long long`, `ssize_t`.
    I64,
    /// Unsigned 8-bit integer; C's `unsigned char`.
    U8,
    /// Unsigned 16-bit integer; C's `unsigned short`.
    U16,
    /// Unsigned 32-bit integer; C's `unsigned`.
    U32,
    /// Unsigned 64-bit integer; C's `unsigned long long`, `size_t`.
    U64,
    /// A byte that is 0 or 1; C's `bool`.
    Bool,
    /// An address; any pointer of C.
    Ptr,
    /// No result.
    Void,
}

impl Ty {
    /// All types, in the order of their declaration.
    pub const ALL: [Self; 13] = [
        Self::F64,
        Self::F32,
        Self::I8,
        Self::I16,
        Self::I32,
        Self::I64,
        Self::U8,
        Self::U16,
        Self::U32,
        Self::U64,
        Self::Bool,
        Self::Ptr,
        Self::Void,
    ];

    /// The name in the normal form: `f64`, `i32`, `ptr` …
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::Bool => "bool",
            Self::Ptr => "ptr",
            Self::Void => "void",
        }
    }

    /// Whether values travel in vector registers.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32)
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Types with a one-word name that is not their normal form.
const ALIASES: &[(&str, Ty)] = &[
    ("float64", Ty::F64),
    ("float32", Ty::F32),
    ("int8", Ty::I8),
    ("int16", Ty::I16),
    ("int32", Ty::I32),
    ("int64", Ty::I64),
    ("uint8", Ty::U8),
    ("uint16", Ty::U16),
    ("uint32", Ty::U32),
    ("uint64", Ty::U64),
    ("isize", Ty::I64),
    ("usize", Ty::U64),
    ("int8_t", Ty::I8),
    ("int16_t", Ty::I16),
    ("int32_t", Ty::I32),
    ("int64_t", Ty::I64),
    ("uint8_t", Ty::U8),
    ("uint16_t", Ty::U16),
    ("uint32_t", Ty::U32),
    ("uint64_t", Ty::U64),
    ("intptr_t", Ty::I64),
    ("uintptr_t", Ty::U64),
    ("ptrdiff_t", Ty::I64),
    ("ssize_t", Ty::I64),
    ("size_t", Ty::U64),
    ("_Bool", Ty::Bool),
];

/// More parameters than any function has; a call copies them all to the stack.
const PARAMETERS_MAX: usize = 255;

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
}

impl Signature {
    /// A signature from its types.
    ///
    /// # Errors
    /// A parameter is `void`, or there are more than 255. Spans are those of the normal form.
    pub fn new(params: Vec<Ty>, result: Ty) -> Result<Self, SignatureError> {
        let signature = Self { params, result };
        let void = signature.params.iter().position(|&ty| ty == Ty::Void);
        let surplus = (signature.params.len() > PARAMETERS_MAX).then_some(PARAMETERS_MAX);
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
        Parser {
            text,
            tokens: tokens(text)?,
            next: 0,
            abi,
        }
        .signature()
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

    /// Whether all parameters and the result are `f64`.
    #[must_use]
    pub fn is_all_f64(&self) -> bool {
        self.result == Ty::F64 && self.params.iter().all(|&ty| ty == Ty::F64)
    }
}

/// The normal form: `f64(f64, i32, ptr)`.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.result)?;
        for (index, ty) in self.params.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{ty}")?;
        }
        f.write_str(")")
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
         C's types and pointers"
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
    /// `...`
    #[error("variable arguments have no fixed types: write the types of this very call")]
    Variadic,
    /// `void` among other parameters, or with a name.
    #[error("a parameter cannot be void; for no parameters write \"()\"")]
    VoidParameter,
    /// More parameters than can be passed.
    #[error("more than {PARAMETERS_MAX} parameters")]
    TooManyParameters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Star,
    Comma,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Semicolon,
    Dots,
}

type Spanned<'a> = (Token<'a>, Range<usize>);

fn tokens(text: &str) -> Result<Vec<Spanned<'_>>, SignatureError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let start = text.len() - rest.len();
        let is_word = |c: char| c == '_' || c.is_ascii_alphanumeric();
        let (token, len) = match first {
            '*' => (Some(Token::Star), 1),
            ',' => (Some(Token::Comma), 1),
            '(' => (Some(Token::Open), 1),
            ')' => (Some(Token::Close), 1),
            '[' => (Some(Token::OpenBracket), 1),
            ']' => (Some(Token::CloseBracket), 1),
            ';' => (Some(Token::Semicolon), 1),
            '.' if rest.starts_with("...") => (Some(Token::Dots), 3),
            c if c.is_whitespace() => (None, c.len_utf8()),
            c if is_word(c) => {
                let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (rest.get(..len).map(Token::Word), len)
            }
            found => {
                let span = start..start + found.len_utf8();
                return Err(SignatureError {
                    kind: SignatureErrorKind::Character { found },
                    span,
                    text: text.to_owned(),
                });
            }
        };
        tokens.extend(token.map(|token| (token, start..start + len)));
        rest = rest.get(len..).unwrap_or("");
    }
    Ok(tokens)
}

/// Words of C that may precede or follow a type without changing how it is passed.
fn is_qualifier(word: &str) -> bool {
    matches!(
        word,
        "const"
            | "volatile"
            | "restrict"
            | "__restrict"
            | "__restrict__"
            | "extern"
            | "static"
            | "inline"
            | "register"
    )
}

/// Words of C that make a type together, in any order.
fn is_base(word: &str) -> bool {
    matches!(
        word,
        "signed" | "unsigned" | "char" | "short" | "int" | "long" | "float" | "double"
    )
}

/// Names for which C needs a second word and which are never passed by value here.
fn is_tag(word: &str) -> bool {
    matches!(word, "struct" | "union" | "enum")
}

/// One recursive-descent parser without recursion: the grammar is flat.
///
/// ```text
/// signature = type [name] "(" [parameter {"," parameter}] ")" [";"]
/// parameter = type [name] {"[" [length] "]"}
/// type      = {qualifier} (name of a type | words of C | tag name) {qualifier | "*"}
/// ```
struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned<'a>>,
    next: usize,
    abi: Abi,
}

impl<'a> Parser<'a> {
    fn signature(mut self) -> Result<Signature, SignatureError> {
        if self.tokens.is_empty() {
            return Err(self.error(0..self.text.len(), SignatureErrorKind::Empty));
        }
        let result = self.ty()?;
        self.name(&result);
        self.expect(Token::Open, "\"(\" before the parameters")?;
        let mut params = Vec::new();
        if !self.eat(Token::Close) {
            loop {
                if self.peek() == Some(Token::Dots) {
                    return Err(self.error_here(SignatureErrorKind::Variadic));
                }
                let parameter = self.ty()?;
                let named = self.name(&parameter);
                let is_array = self.array()?;
                if parameter.ty == Ty::Void {
                    let alone = params.is_empty() && !named && self.peek() == Some(Token::Close);
                    if !alone {
                        return Err(self.error(parameter.span, SignatureErrorKind::VoidParameter));
                    }
                } else if params.len() == PARAMETERS_MAX {
                    return Err(self.error(parameter.span, SignatureErrorKind::TooManyParameters));
                } else {
                    params.push(if is_array { Ty::Ptr } else { parameter.ty });
                }
                if self.eat(Token::Close) {
                    break;
                }
                self.expect(Token::Comma, "\",\" or \")\" after a parameter")?;
            }
        }
        self.eat(Token::Semicolon);
        if self.next < self.tokens.len() {
            return Err(self.expected("the end"));
        }
        Ok(Signature {
            params,
            result: result.ty,
        })
    }

    /// A type.
    fn ty(&mut self) -> Result<Parsed, SignatureError> {
        let start = self.span_here().start;
        let mut end = start;
        let mut base: Vec<&str> = Vec::new();
        let mut named: Option<Ty> = None;
        let mut tag = false;
        let mut stars = 0_usize;
        while let Some((token, span)) = self.tokens.get(self.next).cloned() {
            match token {
                Token::Star if named.is_some() || tag || !base.is_empty() => stars += 1,
                Token::Word(word) if is_qualifier(word) => {}
                Token::Word(word) if is_base(word) && named.is_none() && !tag && stars == 0 => {
                    base.push(word);
                }
                Token::Word(word) if base.is_empty() && named.is_none() && !tag => {
                    if is_tag(word) {
                        // The tag's name is part of the type: `struct point *`.
                        tag = true;
                        if let Some((Token::Word(_), _)) = self.tokens.get(self.next + 1) {
                            self.next += 1;
                        }
                    } else {
                        named = Some(self.named(word, &span)?);
                    }
                }
                _ => break,
            }
            end = self.tokens.get(self.next).map_or(end, |(_, span)| span.end);
            self.next += 1;
        }
        let span = start..end;
        let found = || self.text.get(span.clone()).unwrap_or_default().to_owned();
        let ty = match (named, base.is_empty(), tag) {
            _ if stars > 0 => Ty::Ptr,
            (Some(ty), _, _) => ty,
            (None, _, true) => {
                let kind = SignatureErrorKind::Unsupported { found: found() };
                return Err(self.error(span, kind));
            }
            (None, true, false) => return Err(self.expected("a type")),
            (None, false, false) => match self.base_type(base) {
                Ok(ty) => ty,
                Err(Unfit::Unsupported) => {
                    let kind = SignatureErrorKind::Unsupported { found: found() };
                    return Err(self.error(span, kind));
                }
                Err(Unfit::NotAType) => {
                    let kind = SignatureErrorKind::NotAType { found: found() };
                    return Err(self.error(span, kind));
                }
            },
        };
        let is_short = self
            .text
            .get(span.clone())
            .is_some_and(|text| text == ty.name());
        Ok(Parsed { ty, span, is_short })
    }

    /// A type named by one word that is not one of C's base words.
    fn named(&self, word: &str, span: &Range<usize>) -> Result<Ty, SignatureError> {
        let own = Ty::ALL.into_iter().find(|ty| ty.name() == word);
        let alias = || {
            ALIASES
                .iter()
                .find(|(name, _)| *name == word)
                .map(|&(_, ty)| ty)
        };
        own.or_else(alias).ok_or_else(|| {
            let kind = SignatureErrorKind::UnknownType {
                found: word.to_owned(),
            };
            self.error(span.clone(), kind)
        })
    }

    /// The type that C's base words make together; their order does not matter.
    fn base_type(&self, mut words: Vec<&str>) -> Result<Ty, Unfit> {
        words.sort_unstable();
        // `int` says nothing beside another word, and neither does `signed`, except for `char`.
        let long_is_64 = self.abi == Abi::SysV;
        Ok(match words.as_slice() {
            ["double"] => Ty::F64,
            ["float"] => Ty::F32,
            ["double", "long"] => return Err(Unfit::Unsupported),
            ["char"] | ["char", "signed"] => Ty::I8,
            ["char", "unsigned"] => Ty::U8,
            ["short"] | ["int", "short"] | ["short", "signed"] | ["int", "short", "signed"] => {
                Ty::I16
            }
            ["short", "unsigned"] | ["int", "short", "unsigned"] => Ty::U16,
            ["int"] | ["signed"] | ["int", "signed"] => Ty::I32,
            ["unsigned"] | ["int", "unsigned"] => Ty::U32,
            ["long"] | ["int", "long"] | ["long", "signed"] | ["int", "long", "signed"] => {
                if long_is_64 {
                    Ty::I64
                } else {
                    Ty::I32
                }
            }
            ["long", "unsigned"] | ["int", "long", "unsigned"] => {
                if long_is_64 {
                    Ty::U64
                } else {
                    Ty::U32
                }
            }
            ["long", "long"]
            | ["int", "long", "long"]
            | ["long", "long", "signed"]
            | ["int", "long", "long", "signed"] => Ty::I64,
            ["long", "long", "unsigned"] | ["int", "long", "long", "unsigned"] => Ty::U64,
            _ => return Err(Unfit::NotAType),
        })
    }

    /// Skips the name of a function or parameter of the given type; says whether there was one.
    fn name(&mut self, ty: &Parsed) -> bool {
        let Some(Token::Word(word)) = self.peek() else {
            return false;
        };
        // `void *ptr` names a parameter, and `f64 ptr` misses a comma.
        let is_type = ALIASES.iter().any(|(name, _)| *name == word)
            || ty.is_short && Ty::ALL.iter().any(|ty| ty.name() == word);
        let is_keyword = is_base(word) || is_qualifier(word) || is_tag(word) || word == "void";
        let found = !is_type && !is_keyword && !word.starts_with(|c: char| c.is_ascii_digit());
        self.next += usize::from(found);
        found
    }

    /// Skips `[]` or `[3]`, any number of times, and says whether there was one: C passes an array
    /// as the address of its first element.
    fn array(&mut self) -> Result<bool, SignatureError> {
        let mut found = false;
        while self.eat(Token::OpenBracket) {
            if matches!(self.peek(), Some(Token::Word(_))) {
                self.next += 1;
            }
            self.expect(Token::CloseBracket, "\"]\" after the length of an array")?;
            found = true;
        }
        Ok(found)
    }

    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).map(|&(token, _)| token)
    }

    fn eat(&mut self, token: Token<'_>) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, token: Token<'_>, expected: &'static str) -> Result<(), SignatureError> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    fn span_here(&self) -> Range<usize> {
        let end = self.text.len();
        self.tokens
            .get(self.next)
            .map_or(end..end, |(_, span)| span.clone())
    }

    fn expected(&self, expected: &'static str) -> SignatureError {
        let found = match self.text.get(self.span_here()) {
            Some(part) if !part.is_empty() => format!("{part:?}"),
            _ => "the end".to_owned(),
        };
        self.error_here(SignatureErrorKind::Expected { expected, found })
    }

    fn error_here(&self, kind: SignatureErrorKind) -> SignatureError {
        self.error(self.span_here(), kind)
    }

    fn error(&self, span: Range<usize>, kind: SignatureErrorKind) -> SignatureError {
        SignatureError {
            kind,
            span,
            text: self.text.to_owned(),
        }
    }
}

/// A type that was read.
struct Parsed {
    ty: Ty,
    span: Range<usize>,
    /// Whether it is written in the normal form, as one word.
    is_short: bool,
}

/// Why base words do not make a type that can be passed.
enum Unfit {
    Unsupported,
    NotAType,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        let table: &[(&str, &str)] = &[
            ("f64(f64, i32, ptr)", "f64(f64, i32, ptr)"),
            ("double(double, int, const double*)", "f64(f64, i32, ptr)"),
            ("double hypot(double x, double y);", "f64(f64, f64)"),
            ("void()", "void()"),
            ("void(void)", "void()"),
            ("  void\n(\tvoid )  ", "void()"),
            ("int main(int argc, char **argv)", "i32(i32, ptr)"),
            ("const char *strerror(int)", "ptr(i32)"),
            (
                "void * memcpy(void *restrict d, const void *restrict s, size_t n)",
                "ptr(ptr, ptr, u64)",
            ),
            (
                "unsigned(unsigned char, signed char, char)",
                "u32(u8, i8, i8)",
            ),
            (
                "long long unsigned int(short, unsigned short int)",
                "u64(i16, u16)",
            ),
            ("uint8_t(int8_t, uint16_t, int64_t)", "u8(i8, u16, i64)"),
            ("_Bool(bool)", "bool(bool)"),
            ("float64(float32, int32, uint64)", "f64(f32, i32, u64)"),
            (
                "struct tm *(const struct tm *t, union u *, enum e*)",
                "ptr(ptr, ptr, ptr)",
            ),
            ("f64 * const * (void*)", "ptr(ptr)"),
            ("double const(float const x)", "f64(f32)"),
            ("static inline int f(int)", "i32(i32)"),
            ("ptr(isize, usize)", "ptr(i64, u64)"),
            ("void free(void *ptr)", "void(ptr)"),
            ("double sum(const double x[], size_t n)", "f64(ptr, u64)"),
            ("void f(float m[3][4], int[2])", "void(ptr, ptr)"),
        ];
        for (text, expected) in table {
            let signature = Signature::parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(signature.to_string(), *expected, "{text}");
        }
    }

    #[test]
    fn long_has_the_size_of_the_convention() {
        let text = "unsigned long(long, long int, long long)";
        let parse = |abi| Signature::parse_for(text, abi).unwrap().to_string();
        assert_eq!(parse(Abi::SysV), "u64(i64, i64, i64)");
        assert_eq!(parse(Abi::Win64), "u32(i32, i32, i64)");
    }

    /// Text, what `render` shows below it, and the message without its prefix.
    #[test]
    fn errors_show_the_place() {
        let table: &[(&str, &str, &str)] = &[
            ("", "^", "it is empty; write for example \"f64(f64, f64)\""),
            (
                "   ",
                "^^^",
                "it is empty; write for example \"f64(f64, f64)\"",
            ),
            (
                "f64",
                "   ^",
                "expected \"(\" before the parameters, found the end",
            ),
            (
                "f64(f64",
                "       ^",
                "expected \",\" or \")\" after a parameter, found the end",
            ),
            ("f64(f64,)", "        ^", "expected a type, found \")\""),
            ("f64(,f64)", "    ^", "expected a type, found \",\""),
            ("(f64)", "^", "expected a type, found \"(\""),
            ("f64(f64) x", "         ^", "expected the end, found \"x\""),
            ("f64(f64))", "        ^", "expected the end, found \")\""),
            (
                "f64(flaot)",
                "    ^^^^^",
                "unknown type \"flaot\"; known are f64, f32, i8 to i64, u8 to u64, bool, ptr, void, \
                 C's types and pointers",
            ),
            ("f64(äh)", "    ^", "unexpected character 'ä'"),
            ("ä", "^", "unexpected character 'ä'"),
            (
                "int(short double x)",
                "    ^^^^^^^^^^^^",
                "\"short double\" is not a type of C",
            ),
            (
                "int(long double)",
                "    ^^^^^^^^^^^",
                "\"long double\" cannot be passed by value; pass a pointer to it",
            ),
            (
                "int(struct point p)",
                "    ^^^^^^^^^^^^",
                "\"struct point\" cannot be passed by value; pass a pointer to it",
            ),
            (
                "int(const char *, ...)",
                "                  ^^^",
                "variable arguments have no fixed types: write the types of this very call",
            ),
            (
                "f64(f64, void)",
                "         ^^^^",
                "a parameter cannot be void; for no parameters write \"()\"",
            ),
            (
                "f64(void x)",
                "    ^^^^",
                "a parameter cannot be void; for no parameters write \"()\"",
            ),
            (
                "f64(void, f64)",
                "    ^^^^",
                "a parameter cannot be void; for no parameters write \"()\"",
            ),
            ("f64(*)", "    ^", "expected a type, found \"*\""),
            (
                "f64(f64 f64)",
                "        ^^^",
                "expected \",\" or \")\" after a parameter, found \"f64\"",
            ),
            (
                "f64(f64 ptr)",
                "        ^^^",
                "expected \",\" or \")\" after a parameter, found \"ptr\"",
            ),
            (
                "f64(f64 x y)",
                "          ^",
                "expected \",\" or \")\" after a parameter, found \"y\"",
            ),
            (
                "int(int x[3)",
                "           ^",
                "expected \"]\" after the length of an array, found \")\"",
            ),
            ("const(int)", "     ^", "expected a type, found \"(\""),
        ];
        for (text, carets, message) in table {
            let Err(error) = Signature::parse(text) else {
                panic!("{text:?} was read")
            };
            assert_eq!(error.render(), format!("{text}\n{carets}"), "{text:?}");
            assert_eq!(error.kind.to_string(), *message, "{text:?}");
            assert!(error.to_string().ends_with(message), "{error}");
        }
    }

    #[test]
    fn parameters_are_limited() {
        let text = |n: usize| format!("void({})", vec!["i8"; n].join(", "));
        assert_eq!(Signature::parse(&text(255)).unwrap().params().len(), 255);
        let error = Signature::parse(&text(256)).unwrap_err();
        assert_eq!(error.kind, SignatureErrorKind::TooManyParameters);
        let error = Signature::new(vec![Ty::I8; 256], Ty::Void).unwrap_err();
        assert_eq!(error.kind, SignatureErrorKind::TooManyParameters);
        let error = Signature::new(vec![Ty::F64, Ty::Void], Ty::Void).unwrap_err();
        assert_eq!(error.kind, SignatureErrorKind::VoidParameter);
        assert_eq!(error.render(), "void(f64, void)\n          ^^^^");
        assert!(Signature::new(vec![Ty::Void], Ty::Void).is_err());
    }

    #[test]
    fn display_round_trips() {
        arbtest::arbtest(|u| {
            let result = *u.choose(&Ty::ALL)?;
            let n = u.int_in_range(0..=20)?;
            let params = (0..n)
                .map(|_| Ok(*u.choose(&Ty::ALL[..12])?))
                .collect::<Result<_, _>>()?;
            let signature = Signature::new(params, result).unwrap();
            for abi in Abi::ALL {
                let read = Signature::parse_for(&signature.to_string(), abi).unwrap();
                assert_eq!(read, signature);
            }
            Ok(())
        });
    }

    /// No text makes the parser panic, and spans can be cut out of the text.
    #[test]
    fn parse_never_panics() {
        const PIECES: &[&str] = &[
            "f64", "i32", "double", "long", "unsigned", "const", "struct", "void", "ptr", "x", "(",
            ")", "*", ",", ";", "...", ".", " ", "\n", "ß", "🦀", "9", "_",
        ];
        let check = |text: &str| match Signature::parse(text) {
            Ok(signature) => {
                assert_eq!(Signature::parse(&signature.to_string()).unwrap(), signature);
            }
            Err(error) => {
                assert!(text.get(error.span.clone()).is_some(), "{text:?} {error:?}");
                let _ = (error.render(), error.to_string());
            }
        };
        arbtest::arbtest(|u| {
            if u.arbitrary()? {
                check(u.arbitrary::<&str>()?);
            } else {
                let n = u.int_in_range(0..=16)?;
                let pieces = (0..n)
                    .map(|_| u.choose(PIECES).copied())
                    .collect::<Result<Vec<_>, _>>()?;
                check(&pieces.concat());
            }
            Ok(())
        });
    }
}
