//! Text to tokens: words, numbers, strings, braces and punctuation, each with its place.
//!
//! The dialects differ in small ways that only the tokens know: in AT&T's syntax `$` and `%` begin
//! operands and `;` separates statements, elsewhere `;` begins a comment and `$` is the address of
//! the statement. Backslashes are escapes in the strings of GNU's directives and between
//! backticks, and themselves in all other strings, as in NASM.

use std::ops::Range;

use super::error::{AssembleErrorKind as Kind, Fault, fault};

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A word: an instruction, a register, a directive, a name.
    Word(String),
    /// An integer; if its spelling can also mean the next or last numeric label, that label and
    /// whether it is the next.
    Number(Option<i128>, Option<(u64, bool)>),
    /// A number with a point.
    Float(f64),
    /// The bytes of a string.
    Text(Vec<u8>),
    /// What stands between braces, in lower case and without spaces.
    Braced(String),
    /// One character, or two that belong together.
    Mark(&'static str),
    /// The end of a statement.
    End,
}

/// A token and its place.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) span: Range<usize>,
}

const MARKS: [&str; 24] = [
    "<<", ">>", "+", "-", "*", "/", "%", "&", "|", "^", "~", "(", ")", "[", "]", ",", ":", "=",
    "$$", "$", "@", "!", "<", ">",
];

/// All tokens of a text; the last one is an end.
pub(super) fn tokens(text: &str, att: bool) -> Result<Vec<Placed>, Fault> {
    let mut tokens: Vec<Placed> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    // Whether backslashes are escapes in double quotes: behind .ascii, .asciz and .string.
    let mut escapes = false;
    while at < bytes.len() {
        let rest = &text[at..];
        let start = at;
        let Some(c) = rest.chars().next() else { break };
        let token = if c == '\n' || (att && c == ';') {
            at += 1;
            escapes = false;
            Token::End
        } else if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if c == '#' || c == ';' || rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        } else if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/").ok_or_else(|| {
                let kind = Kind::Unclosed {
                    what: "comment",
                    closing: "`*/`",
                };
                fault(kind, &(start..start + 2))
            })?;
            at += end + 4;
            continue;
        } else if c == '{' {
            let end = rest
                .find(['}', '\n'])
                .filter(|&end| bytes[at + end] == b'}');
            let end = end.ok_or_else(|| {
                let kind = Kind::Unclosed {
                    what: "brace",
                    closing: "`}`",
                };
                fault(kind, &(start..start + 1))
            })?;
            at += end + 1;
            let inner = rest[1..end].chars().filter(|c| !c.is_whitespace());
            Token::Braced(inner.collect::<String>().to_ascii_lowercase())
        } else if matches!(c, '"' | '\'' | '`') {
            let (text, length) = quoted(rest, c, escapes || c == '`', start)?;
            at += length;
            Token::Text(text)
        } else if c.is_ascii_digit() {
            at += number_length(rest);
            number(&text[start..at], start..at)?
        } else if is_word_start(c, att) && !rest.starts_with("$$") && !is_alone(rest, att) {
            at += rest.find(|c: char| !is_word(c, att)).unwrap_or(rest.len());
            let word = &text[start..at];
            escapes |= matches!(
                word.to_ascii_lowercase().as_str(),
                ".ascii" | ".asciz" | ".string"
            );
            Token::Word(word.to_owned())
        } else if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            at += mark.len();
            Token::Mark(mark)
        } else {
            let kind = Kind::UnexpectedCharacter { character: c };
            return Err(fault(kind, &(start..start + c.len_utf8())));
        };
        tokens.push(Placed {
            token,
            span: start..at,
        });
    }
    tokens.push(Placed {
        token: Token::End,
        span: text.len()..text.len(),
    });
    Ok(tokens)
}

fn is_word_start(c: char, att: bool) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '.' | '?') || (c == '$' && !att)
}

fn is_word(c: char, att: bool) -> bool {
    is_word_start(c, att) || c.is_ascii_digit() || matches!(c, '~')
}

/// Whether the text starts with a `$` that stands for itself: the address of the statement.
fn is_alone(rest: &str, att: bool) -> bool {
    let mut characters = rest.chars();
    characters.next() == Some('$') && !characters.next().is_some_and(|c| is_word(c, att))
}

/// The bytes of a string that starts with `quote`, and the length of its spelling.
fn quoted(rest: &str, quote: char, escapes: bool, start: usize) -> Result<(Vec<u8>, usize), Fault> {
    let unclosed = || {
        let kind = Kind::Unclosed {
            what: "string",
            closing: "its quotation mark",
        };
        fault(kind, &(start..start + 1))
    };
    let mut text = Vec::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == quote {
            return Ok((text, at + 1));
        }
        if c == '\n' {
            break;
        }
        if c != '\\' || !escapes {
            text.extend(c.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        let Some((_, escape)) = characters.next() else {
            break;
        };
        let mut digits = |radix: u32, most: usize, first: u32| {
            let mut value = first;
            for _ in 0..most {
                let digit = characters.peek().and_then(|(_, c)| c.to_digit(radix));
                let Some(digit) = digit else { break };
                value = value * radix + digit;
                characters.next();
            }
            u8::try_from(value & 0xff).unwrap_or_default()
        };
        match escape {
            'n' => text.push(b'\n'),
            't' => text.push(b'\t'),
            'r' => text.push(b'\r'),
            'b' => text.push(8),
            'f' => text.push(12),
            'a' => text.push(7),
            'v' => text.push(11),
            'e' => text.push(27),
            'x' => text.push(digits(16, 2, 0)),
            '0'..='7' => text.push(digits(8, 2, escape.to_digit(8).unwrap_or_default())),
            '\n' => break,
            other => text.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Err(unclosed())
}

fn number_length(rest: &str) -> usize {
    let mut length = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
        .unwrap_or(rest.len());
    // The sign of an exponent.
    let spelled = &rest[..length];
    if spelled.contains('.')
        && spelled.ends_with(['e', 'E'])
        && rest[length..].starts_with(['+', '-'])
    {
        let digits = &rest[length + 1..];
        length += 1 + digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
    }
    length
}

fn number(spelled: &str, span: Range<usize>) -> Result<Token, Fault> {
    let bad = || {
        let text = spelled.to_owned();
        fault(Kind::BadNumber { text }, &span)
    };
    let lower = spelled.to_ascii_lowercase().replace('_', "");
    if lower.contains('.') {
        return lower.parse().map(Token::Float).map_err(|_| bad());
    }
    let radix = |digits: &str, radix| match u64::from_str_radix(digits, radix) {
        Ok(value) => Ok(Some(i128::from(value))),
        Err(error) if *error.kind() == std::num::IntErrorKind::PosOverflow => {
            let text = spelled.to_owned();
            Err(fault(Kind::NumberTooLarge { text }, &span))
        }
        Err(_) => Ok(None),
    };
    let with_prefix = [("0x", 16), ("0o", 8), ("0b", 2)];
    for (prefix, base) in with_prefix {
        if let Some(digits) = lower.strip_prefix(prefix)
            && let Some(value) = radix(digits, base)?
        {
            return Ok(Token::Number(Some(value), None));
        }
    }
    if let Some(digits) = lower.strip_suffix('h') {
        let value = radix(digits, 16)?.ok_or_else(bad)?;
        return Ok(Token::Number(Some(value), None));
    }
    // 1b and 1f are numeric labels if there are such; the former is a binary number otherwise.
    if let Some(digits) = lower.strip_suffix(['b', 'f']) {
        let label = digits.parse().ok().map(|n| (n, lower.ends_with('f')));
        let value = if lower.ends_with('b') {
            radix(digits, 2)?
        } else {
            None
        };
        if label.is_none() {
            return Err(bad());
        }
        return Ok(Token::Number(value, label));
    }
    if let Some(digits) = lower.strip_suffix(['o', 'q']) {
        let value = radix(digits, 8)?.ok_or_else(bad)?;
        return Ok(Token::Number(Some(value), None));
    }
    // 010 is eight to GNU as and ten to NASM: neither is meant here.
    if lower.len() > 1 && lower.starts_with('0') && lower.bytes().any(|digit| digit != b'0') {
        return Err(bad());
    }
    let value = radix(&lower, 10)?.ok_or_else(bad)?;
    Ok(Token::Number(Some(value), None))
}

/// The fault that something else should stand here.
pub(super) fn expected(expected: &'static str, found: &Placed) -> Fault {
    let found_text = match &found.token {
        Token::Word(word) => format!("`{word}`"),
        Token::Number(Some(value), _) => format!("the number {value}"),
        Token::Number(None, _) => "a numeric label".to_owned(),
        Token::Float(value) => format!("the number {value:?}"),
        Token::Text(_) => "a string".to_owned(),
        Token::Braced(text) => format!("`{{{text}}}`"),
        Token::Mark(mark) => format!("`{mark}`"),
        Token::End => "the end of the statement".to_owned(),
    };
    let kind = Kind::Expected {
        expected,
        found: found_text,
    };
    let mut span = found.span.clone();
    if found.token == Token::End {
        span.end = span.start;
    }
    fault(kind, &span)
}
