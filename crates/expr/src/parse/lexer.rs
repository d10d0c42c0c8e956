//! Text to tokens.

use std::ops::Range;

use super::error::{Fault, ParseErrorKind, shown};
use crate::print::{is_identifier_char, is_identifier_start};

/// The symbol at the beginning of `text`, the longest one.
fn symbol(text: &str) -> Option<&'static str> {
    Some(match text.as_bytes() {
        [b'*', b'*', ..] => "**",
        [b'<', b'=', ..] => "<=",
        [b'>', b'=', ..] => ">=",
        [b'=', b'=', ..] => "==",
        [b'!', b'=', ..] => "!=",
        [b'+', ..] => "+",
        [b'-', ..] => "-",
        [b'*', ..] => "*",
        [b'/', ..] => "/",
        [b'%', ..] => "%",
        [b'^', ..] => "^",
        [b'<', ..] => "<",
        [b'>', ..] => ">",
        [b'(', ..] => "(",
        [b')', ..] => ")",
        [b',', ..] => ",",
        _ => return None,
    })
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Number(f64),
    Name(&'a str),
    /// A name between backticks.
    Quoted(String),
    Symbol(&'static str),
    End,
}

impl Token<'_> {
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Number(_) => "a number".to_owned(),
            Token::Name(name) => format!("`{}`", shown(name)),
            Token::Quoted(name) => format!("`{}`", shown(name)),
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::End => "the end".to_owned(),
        }
    }
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Lexer { text, position: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn skip_whitespace(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    /// Whether the next token begins with this symbol.
    pub(super) fn peek_is(&mut self, symbol: &str) -> bool {
        self.skip_whitespace();
        self.rest().starts_with(symbol)
    }

    pub(super) fn next(&mut self) -> Result<(Token<'a>, Range<usize>), Fault> {
        self.skip_whitespace();
        let start = self.position;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok((Token::End, start..start));
        };
        let (token, len) = if let Some(len) = number_len(rest) {
            match rest[..len].parse() {
                Ok(value) => (Token::Number(value), len),
                Err(_) => {
                    return Err((
                        ParseErrorKind::UnexpectedCharacter { character: first },
                        start..start + len,
                    ));
                }
            }
        } else if is_identifier_start(first) {
            let len = rest.find(|c| !is_identifier_char(c)).unwrap_or(rest.len());
            (Token::Name(&rest[..len]), len)
        } else if first == '`' {
            let Some((name, len)) = quoted(rest) else {
                return Err((ParseErrorKind::UnclosedQuote, start..start + 1));
            };
            (Token::Quoted(name), len)
        } else if let Some(symbol) = symbol(rest) {
            (Token::Symbol(symbol), symbol.len())
        } else {
            let span = start..start + first.len_utf8();
            return Err((
                ParseErrorKind::UnexpectedCharacter { character: first },
                span,
            ));
        };
        self.position += len;
        Ok((token, start..self.position))
    }

    /// Reads `(0x…)` after `nan`; the value and where it ends. Reads nothing if it is not there.
    pub(super) fn nan_payload(&mut self) -> Option<(f64, usize)> {
        let inner = self.rest().strip_prefix("(0x")?;
        let (digits, _) = inner.split_once(')')?;
        let value = crate::print::nan_with_payload(u64::from_str_radix(digits, 16).ok()?)?;
        self.position += "(0x".len() + digits.len() + ")".len();
        Some((value, self.position))
    }
}

/// The length of the number at the beginning of `text`: `12`, `1.5`, `.5`, `5.`, `1e-7`.
fn number_len(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits_from = |start: usize| {
        bytes[start..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let whole = digits_from(0);
    let mut len = whole;
    if bytes.get(len) == Some(&b'.') {
        let fraction = digits_from(len + 1);
        if whole + fraction == 0 {
            return None;
        }
        len += 1 + fraction;
    }
    if len == 0 {
        return None;
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits_from((len + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            len += 1 + sign + exponent;
        }
    }
    Some(len)
}

/// The name between backticks at the beginning of `text`, a doubled backtick being one, and the
/// length with them.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c != '`' {
            name.push(c);
        } else if characters.next_if(|&(_, next)| next == '`').is_some() {
            name.push('`');
        } else {
            return Some((name, at + 1));
        }
    }
    None
}
