//! The parser of signatures.

use std::ops::Range;

use super::{Signature, SignatureError, SignatureErrorKind, first_surplus};
use crate::{Abi, Array, Prototype, Struct, Ty};

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Star,
    Comma,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
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
            '{' => (Some(Token::OpenBrace), 1),
            '}' => (Some(Token::CloseBrace), 1),
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
    ) || is_complex(word)
}

/// C's words for complex numbers.
fn is_complex(word: &str) -> bool {
    matches!(word, "_Complex" | "complex" | "__complex__")
}

/// Names for which C needs a second word and which are never passed by value here.
fn is_tag(word: &str) -> bool {
    matches!(word, "struct" | "union" | "enum")
}

/// How deep types may be nested, which bounds the recursion of the parser.
pub(super) const DEPTH_MAX: usize = 16;

/// One recursive-descent parser.
///
/// ```text
/// signature  = type [name] parameters [";"]
/// parameters = "(" [parameter {"," parameter} ["," "..."] | "..."] ")"
/// parameter  = type [name] array
///            | type "(" "*" [name] ")" parameters | type parameters "*"
/// type       = {qualifier} (name of a type | words of C | tag name | [tag [name]] fields)
///              {qualifier | "*"}
/// fields     = "{" field {("," | ";") field} [";"] "}"
/// field      = parameter
/// array      = {"[" [length] "]"}
/// ```
/// After a comma in fields, a name alone is a field of the same type: `struct {double x, y;}`.
struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned<'a>>,
    next: usize,
    depth: usize,
    abi: Abi,
}

/// Reads a signature.
pub(super) fn signature(text: &str, abi: Abi) -> Result<Signature, SignatureError> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        next: 0,
        depth: 0,
        abi,
    };
    if parser.tokens.is_empty() {
        return Err(parser.error(0..text.len(), SignatureErrorKind::Empty));
    }
    let result = parser.ty()?;
    parser.name(&result);
    let signature = parser.parameters(result.ty)?;
    parser.eat(Token::Semicolon);
    if parser.next < parser.tokens.len() {
        return Err(parser.expected("the end"));
    }
    Ok(signature)
}

impl<'a> Parser<'a> {
    /// Parameters in parentheses, of a function with that result.
    fn parameters(&mut self, result: Ty) -> Result<Signature, SignatureError> {
        self.expect(Token::Open, "\"(\" before the parameters")?;
        let mut signature = Signature {
            params: Vec::new(),
            // Whether one may write at an address matters to those who pass one.
            result: if result.is_address() { Ty::Ptr } else { result },
            is_variadic: false,
        };
        if self.eat(Token::Close) {
            return Ok(signature);
        }
        loop {
            if self.eat(Token::Dots) {
                signature.is_variadic = true;
                self.expect(Token::Close, "\")\" after \"...\"")?;
                return Ok(signature);
            }
            let parameter = self.parameter()?;
            if parameter.ty == Ty::Void {
                let alone = signature.params.is_empty()
                    && !parameter.named
                    && self.peek() == Some(Token::Close);
                if !alone {
                    return Err(self.error(parameter.span, SignatureErrorKind::VoidParameter));
                }
            } else {
                signature.params.push(parameter.ty);
                if first_surplus(&signature.params).is_some() {
                    return Err(self.error(parameter.span, SignatureErrorKind::TooManyParameters));
                }
            }
            if self.eat(Token::Close) {
                return Ok(signature);
            }
            self.expect(Token::Comma, "\",\" or \")\" after a parameter")?;
        }
    }

    /// A parameter: a type, perhaps with a name, as an array or as a function.
    fn parameter(&mut self) -> Result<Parsed, SignatureError> {
        let mut parsed = self.ty()?;
        if self.peek() == Some(Token::Open) {
            parsed.ty = self.function(parsed.ty)?;
            return Ok(parsed);
        }
        parsed.named = self.name(&parsed);
        if let Some(lengths) = self.array()? {
            let is_number =
                !parsed.ty.is_address() && !matches!(parsed.ty, Ty::Struct(_) | Ty::Void);
            parsed.ty = if is_number {
                Ty::Array(Array::new(parsed.ty, total(&lengths), parsed.is_const))
            } else if parsed.is_const {
                Ty::ConstPtr
            } else {
                Ty::Ptr
            };
        }
        Ok(parsed)
    }

    /// The address of a function with that result: the parameters and a star, in either order.
    fn function(&mut self, result: Ty) -> Result<Ty, SignatureError> {
        self.descend()?;
        let is_c = self.tokens.get(self.next + 1).map(|(token, _)| token) == Some(&Token::Star);
        if is_c {
            self.next += 2;
            if let Some(Token::Word(_)) = self.peek() {
                self.next += 1;
            }
            self.expect(Token::Close, "\")\" after the name of a function")?;
        }
        let signature = self.parameters(result)?;
        if !is_c {
            self.expect(
                Token::Star,
                "\"*\" after the parameters of a function that is passed",
            )?;
        }
        self.depth -= 1;
        Ok(Ty::Function(Prototype::new(signature)))
    }

    /// A structure's fields in braces.
    fn fields(&mut self) -> Result<Ty, SignatureError> {
        self.descend()?;
        let start = self.span_here().start;
        self.expect(Token::OpenBrace, "\"{\" before the fields")?;
        let mut types: Vec<Ty> = Vec::new();
        let mut declared: Option<Parsed> = None;
        while !self.eat(Token::CloseBrace) {
            let mut field = match declared.take() {
                Some(same) if self.is_new_name() => same,
                _ => self.ty()?,
            };
            let base = field.clone();
            if self.peek() == Some(Token::Open) {
                field.ty = self.function(field.ty)?;
            } else {
                self.name(&field);
                for length in self.array()?.unwrap_or_default().into_iter().rev() {
                    // Items in a structure lie side by side like the fields of one.
                    let whole = (field.ty != Ty::Void && length <= Struct::SIZE_MAX)
                        .then(|| Struct::new(&vec![field.ty; length]))
                        .flatten();
                    let Some(whole) = whole else {
                        return Err(self.error(field.span, SignatureErrorKind::Structure));
                    };
                    field.ty = Ty::Struct(whole);
                }
            }
            if field.ty == Ty::Void {
                return Err(self.error(field.span, SignatureErrorKind::VoidParameter));
            }
            types.push(field.ty);
            if types.len() > Struct::SIZE_MAX {
                return Err(self.error(field.span, SignatureErrorKind::Structure));
            }
            if self.eat(Token::Comma) {
                declared = Some(base);
            } else if !self.eat(Token::Semicolon) && self.peek() != Some(Token::CloseBrace) {
                return Err(self.expected("\",\", \";\" or \"}\" after a field"));
            }
        }
        self.depth -= 1;
        let end = self
            .tokens
            .get(self.next - 1)
            .map_or(start, |(_, span)| span.end);
        Struct::new(&types)
            .map(Ty::Struct)
            .ok_or_else(|| self.error(start..end, SignatureErrorKind::Structure))
    }

    /// Whether a word follows that is no type.
    fn is_new_name(&self) -> bool {
        match self.peek() {
            Some(Token::Word(word)) => !is_reserved(word) && one_word(word).is_none(),
            _ => false,
        }
    }

    fn descend(&mut self) -> Result<(), SignatureError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error_here(SignatureErrorKind::Depth));
        }
        Ok(())
    }

    /// A type.
    fn ty(&mut self) -> Result<Parsed, SignatureError> {
        let start = self.span_here().start;
        let mut end = start;
        let mut base: Vec<&str> = Vec::new();
        let mut named: Option<Ty> = None;
        let mut tag = false;
        // Whether what the last star points to is constant, and whether this is.
        let (mut stars, mut is_const, mut points_to_const) = (0_usize, false, false);
        while let Some((token, span)) = self.tokens.get(self.next).cloned() {
            let is_open = base.is_empty() && named.is_none();
            match token {
                Token::Star if !is_open || tag => {
                    stars += 1;
                    (points_to_const, is_const) = (is_const, false);
                }
                Token::Word("const") => is_const = true,
                Token::Word(word) if is_qualifier(word) => {}
                Token::Word(word) if is_base(word) && named.is_none() && !tag && stars == 0 => {
                    base.push(word);
                }
                Token::OpenBrace if is_open && stars == 0 => {
                    named = Some(self.fields()?);
                    tag = false;
                    // The closing brace was read.
                    self.next -= 1;
                }
                Token::Word(word) if is_open && !tag => {
                    if is_tag(word) {
                        // The tag's name is part of the type: `struct point *`.
                        tag = true;
                        if let Some((Token::Word(_), _)) = self.tokens.get(self.next + 1) {
                            self.next += 1;
                        }
                        if word != "struct"
                            && let Some((Token::OpenBrace, _)) = self.tokens.get(self.next + 1)
                        {
                            let found = word.to_owned();
                            let kind = SignatureErrorKind::Unsupported { found };
                            return Err(self.error(span, kind));
                        }
                    } else if one_word(word).is_none() && self.is_before_star() {
                        // What a name of the library stands for does not matter to a pointer.
                        tag = true;
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
            _ if stars > 0 && points_to_const => Ty::ConstPtr,
            _ if stars > 0 => Ty::Ptr,
            (Some(Ty::Ptr), _, _) if is_const => Ty::ConstPtr,
            (Some(ty), _, _) => ty,
            (None, _, true) => {
                let found = found();
                let kind = if found.contains("struct") {
                    SignatureErrorKind::NoFields { found }
                } else {
                    SignatureErrorKind::Unsupported { found }
                };
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
        Ok(Parsed {
            ty,
            span,
            is_short,
            is_const,
            named: false,
        })
    }

    /// Whether the word here is followed by a star, perhaps with qualifiers between.
    fn is_before_star(&self) -> bool {
        let rest = self.tokens.iter().skip(self.next + 1);
        let mut rest = rest.map(|(token, _)| token);
        let is_star = |token: &&Token<'_>| !matches!(token, Token::Word(w) if is_qualifier(w));
        rest.find(is_star) == Some(&Token::Star)
    }

    /// A type named by one word that is not one of C's base words.
    fn named(&self, word: &str, span: &Range<usize>) -> Result<Ty, SignatureError> {
        one_word(word).ok_or_else(|| {
            let kind = SignatureErrorKind::UnknownType {
                found: word.to_owned(),
            };
            self.error(span.clone(), kind)
        })
    }

    /// The type that C's base words make together; their order does not matter.
    fn base_type(&self, mut words: Vec<&str>) -> Result<Ty, Unfit> {
        let n_words = words.len();
        words.retain(|word| !is_complex(word));
        if words.len() < n_words {
            // A complex number is passed as a structure of its parts.
            let part = match self.base_type(words)? {
                part @ (Ty::F64 | Ty::F32) => part,
                _ => return Err(Unfit::NotAType),
            };
            let whole = Struct::new(&[part; 2]).ok_or(Unfit::NotAType)?;
            return Ok(Ty::Struct(whole));
        }
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
        let found = !is_type && !is_reserved(word);
        self.next += usize::from(found);
        found
    }

    /// The lengths of an array of any number of dimensions, 0 where there is none; `None` if no
    /// bracket follows.
    fn array(&mut self) -> Result<Option<Vec<usize>>, SignatureError> {
        let mut lengths = None;
        while self.eat(Token::OpenBracket) {
            // `static` in the brackets of a parameter of C says that the length counts.
            if self.peek() == Some(Token::Word("static")) {
                self.next += 1;
            }
            let mut length = 0;
            if let Some(Token::Word(word)) = self.peek() {
                // A name, as in `double x[n]`, is a length that only the callee knows.
                length = word.parse().unwrap_or(0);
                self.next += 1;
            }
            self.expect(Token::CloseBracket, "\"]\" after the length of an array")?;
            lengths.get_or_insert_with(Vec::new).push(length);
        }
        Ok(lengths)
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
#[derive(Clone)]
struct Parsed {
    ty: Ty,
    span: Range<usize>,
    /// Whether it is written in the normal form.
    is_short: bool,
    /// Whether values of it are constant.
    is_const: bool,
    /// Whether a name followed.
    named: bool,
}

/// Number of items of an array of several dimensions; 0 if one is not known.
fn total(lengths: &[usize]) -> usize {
    let product = lengths
        .iter()
        .try_fold(1_usize, |n, &length| n.checked_mul(length));
    product.unwrap_or(0)
}

/// The type of that name, of those that are one word.
fn one_word(word: &str) -> Option<Ty> {
    let own = Ty::ALL.into_iter().find(|ty| ty.name() == word);
    own.or_else(|| {
        let alias = ALIASES.iter().find(|(name, _)| *name == word);
        alias.map(|&(_, ty)| ty)
    })
}

/// Words that cannot be names.
fn is_reserved(word: &str) -> bool {
    is_base(word)
        || is_qualifier(word)
        || is_tag(word)
        || word == "void"
        || word.starts_with(|c: char| c.is_ascii_digit())
}

/// Why base words do not make a type that can be passed.
enum Unfit {
    Unsupported,
    NotAType,
}
