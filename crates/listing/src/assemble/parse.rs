//! Tokens to statements: labels, directives, and instructions with their prefixes.
//!
//! Where NASM and GNU's assembler give one spelling of a directive two meanings, the text is refused
//! or the meaning is the one that both know.

use std::ops::Range;

use super::cursor::Cursor;
use super::directive::{Directive, directive, unknown};
use super::error::Fault;
use super::expr::{self, Expr};
use super::names;
use super::program::{Body, Decorations, Prefixes, Program, Statement, Written};
use super::symbols::{Definition, Names};
use super::token::{Placed, Token, expected};
use super::{att, intel};

/// A text on its way to statements.
struct Parser<'a> {
    text: &'a str,
    cursor: Cursor<'a>,
    att: bool,
    statements: Vec<Statement>,
}

/// Parses a whole text.
pub(super) fn parse(text: &str, tokens: &[Placed], att: bool) -> Result<(Program, Names), Fault> {
    let mut parser = Parser {
        text,
        cursor: Cursor {
            tokens,
            at: 0,
            names: Names::default(),
        },
        att,
        statements: Vec::new(),
    };
    while parser.cursor.at < tokens.len() {
        parser.statement()?;
    }
    let program = Program {
        statements: parser.statements,
    };
    Ok((program, parser.cursor.names))
}

impl<'a> Parser<'a> {
    fn statement(&mut self) -> Result<(), Fault> {
        while self.label()? {}
        let start = self.cursor.peek().span.start;
        let mut times = None;
        if self.cursor.word().as_deref() == Some("times") {
            self.cursor.advance();
            times = Some(self.cursor.expr()?);
        }
        let body = match &self.cursor.peek().token {
            Token::End if times.is_none() => None,
            Token::Word(word) => match directive(word) {
                Some(directive) => {
                    self.cursor.advance();
                    self.directive(directive)?
                }
                None => self.instruction()?,
            },
            Token::Braced(_) => self.instruction()?,
            _ => {
                return Err(expected(
                    "an instruction, a directive or a label",
                    self.cursor.peek(),
                ));
            }
        };
        if self.cursor.peek().token != Token::End {
            let what = match body {
                Some(Body::Instruction(_)) => "`,` or the end of the statement",
                _ => "the end of the statement",
            };
            return Err(expected(what, self.cursor.peek()));
        }
        if let Some(body) = body {
            let span = start..self.cursor.end();
            self.statements.push(Statement { body, times, span });
        }
        self.cursor.advance();
        Ok(())
    }

    /// Takes a label or the definition of a constant, if one is next; whether more can follow.
    fn label(&mut self) -> Result<bool, Fault> {
        let Placed { token, span } = self.cursor.peek();
        let next = self.cursor.peek_at(1);
        let n_before = self.statements.len();
        match token {
            Token::Number(Some(number), None) if next.token == Token::Mark(":") => {
                let Ok(number) = u64::try_from(*number) else {
                    return Ok(false);
                };
                self.cursor.names.define_numeric(number, n_before, span);
                self.cursor.at += 2;
                Ok(true)
            }
            Token::Word(word) => {
                if next.token == Token::Mark(":") && !self.is_segment(word) {
                    self.cursor.at += 2;
                    // A constant may be written like a label as well.
                    if self.cursor.word().as_deref() == Some("equ") {
                        return self.constant(word, span).map(|()| false);
                    }
                    let label = Definition::Label(n_before);
                    self.cursor.names.define(word, label, self.text, span)?;
                    return Ok(true);
                }
                let is_equ =
                    matches!(&next.token, Token::Word(next) if next.eq_ignore_ascii_case("equ"));
                if is_equ || next.token == Token::Mark("=") {
                    self.cursor.at += 1;
                    return self.constant(word, span).map(|()| false);
                }
                // NASM's `name db 1`.
                let data = match &next.token {
                    Token::Word(next) => directive(next),
                    _ => None,
                };
                let is_name = directive(word).is_none()
                    && !word.eq_ignore_ascii_case("times")
                    && names::mnemonic(&word.to_ascii_lowercase()).is_none();
                if is_name && matches!(data, Some(Directive::Data(_) | Directive::Reserve(_))) {
                    self.cursor.at += 1;
                    let label = Definition::Label(n_before);
                    self.cursor.names.define(word, label, self.text, span)?;
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Whether a word before a colon is a segment rather than a label.
    fn is_segment(&self, word: &str) -> bool {
        names::register(word).is_some_and(|register| register.is_segment_register())
            && matches!(self.cursor.peek_at(2).token, Token::Mark("["))
    }

    /// The rest of a constant's definition, from its `equ` or `=` on.
    fn constant(&mut self, word: &str, span: &Range<usize>) -> Result<(), Fault> {
        self.cursor.advance();
        let value = self.cursor.expr()?;
        let constant = Definition::Constant(value, self.statements.len());
        self.cursor.names.define(word, constant, self.text, span)
    }

    fn directive(&mut self, directive: Directive) -> Result<Option<Body>, Fault> {
        Ok(Some(match directive {
            Directive::Nothing => {
                while self.cursor.peek().token != Token::End {
                    self.cursor.advance();
                }
                return Ok(None);
            }
            Directive::Set => {
                let Placed { token, span } = self.cursor.peek();
                let Token::Word(word) = token else {
                    return Err(expected("a name", self.cursor.peek()));
                };
                self.cursor.advance();
                if self.cursor.peek().token != Token::Mark(",") {
                    return Err(expected("`,`", self.cursor.peek()));
                }
                self.constant(word, span)?;
                return Ok(None);
            }
            Directive::Data(width) => return self.data(width).map(Some),
            Directive::Float(width) => {
                let mut bytes = Vec::new();
                loop {
                    bytes.extend(self.float(width, true)?.unwrap_or_default());
                    if !self.cursor.takes(",") {
                        break;
                    }
                }
                Body::Bytes(bytes)
            }
            Directive::Ascii { zero } => {
                let mut bytes = Vec::new();
                loop {
                    let Token::Text(text) = &self.cursor.peek().token else {
                        return Err(expected("a string", self.cursor.peek()));
                    };
                    bytes.extend_from_slice(text);
                    bytes.extend(zero.then_some(0));
                    self.cursor.advance();
                    if !self.cursor.takes(",") {
                        break;
                    }
                }
                Body::Bytes(bytes)
            }
            Directive::Align => Body::Align(self.cursor.expr()?, self.cursor.optional()?),
            Directive::AlignPower => {
                let power = self.cursor.expr()?;
                let span = power.span.clone();
                let mut steps = vec![expr::Step::Number(1)];
                steps.extend(power.steps);
                steps.push(expr::Step::Binary(expr::Binary::Shl));
                Body::Align(Expr { steps, span }, self.cursor.optional()?)
            }
            Directive::Fill => {
                let count = self.cursor.expr()?;
                let mut width = 1;
                let mut value = None;
                if self.cursor.takes(",") {
                    width = match &self.cursor.peek().token {
                        Token::Number(Some(n @ 0..=8), _) => usize::try_from(*n).unwrap_or(1),
                        _ => {
                            return Err(expected(
                                "a number of bytes, from 0 to 8",
                                self.cursor.peek(),
                            ));
                        }
                    };
                    self.cursor.advance();
                    value = self.cursor.optional()?;
                }
                Body::Fill {
                    count,
                    width,
                    value,
                }
            }
            Directive::Space => Body::Fill {
                count: self.cursor.expr()?,
                width: 1,
                value: self.cursor.optional()?,
            },
            Directive::Reserve(width) => Body::Fill {
                count: self.cursor.expr()?,
                width,
                value: None,
            },
        }))
    }

    /// Numbers and strings, in any order; strings are filled up with zeros to whole numbers.
    fn data(&mut self, width: usize) -> Result<Body, Fault> {
        let mut numbers: Vec<Expr> = Vec::new();
        let place = |text: &[u8], span: &Range<usize>| -> Vec<Expr> {
            let chunks = text.chunks(width);
            chunks
                .map(|chunk| {
                    let value = chunk.iter().rev();
                    let value = value.fold(0, |n, &byte| n << 8 | i128::from(byte));
                    Expr::number(value, span.clone())
                })
                .collect()
        };
        loop {
            let Placed { token, span } = self.cursor.peek();
            let follows = &self.cursor.peek_at(1).token;
            match token {
                Token::Text(text) if matches!(follows, Token::End | Token::Mark(",")) => {
                    numbers.extend(place(text, span));
                    self.cursor.advance();
                }
                _ => match self.float(width, false)? {
                    Some(bytes) => numbers.extend(place(&bytes, span)),
                    None => numbers.push(self.cursor.expr()?),
                },
            }
            if !self.cursor.takes(",") {
                break;
            }
        }
        Ok(Body::Numbers(width, numbers))
    }

    /// A number with a point, if one comes next; where it is `due`, an integer will do.
    fn float(&mut self, width: usize, due: bool) -> Result<Option<Vec<u8>>, Fault> {
        let minus = self.cursor.peek().token == Token::Mark("-");
        let number = self.cursor.peek_at(usize::from(minus));
        let value = match number.token {
            Token::Float(value) => value,
            #[expect(clippy::cast_precision_loss, reason = "the nearest number is meant")]
            Token::Number(Some(value), _) if due => value as f64,
            _ if due => return Err(expected("a number", number)),
            _ => return Ok(None),
        };
        self.cursor.at += 1 + usize::from(minus);
        let value = if minus { -value } else { value };
        match width {
            #[expect(clippy::cast_possible_truncation, reason = "four bytes are asked for")]
            4 => Ok(Some((value as f32).to_le_bytes().to_vec())),
            8 => Ok(Some(value.to_le_bytes().to_vec())),
            _ => Err(expected("an integer", number)),
        }
    }

    fn instruction(&mut self) -> Result<Option<Body>, Fault> {
        let mut prefixes = Prefixes::default();
        let mut decorations = Decorations::default();
        loop {
            let Placed { token, span } = self.cursor.peek();
            if let Token::Braced(text) = token {
                self.cursor.decoration(text, span, &mut decorations)?;
                self.cursor.advance();
                continue;
            }
            let Some(word) = self.cursor.word() else {
                return Err(expected("an instruction", self.cursor.peek()));
            };
            let flag = match word.as_str() {
                "lock" => &mut prefixes.lock,
                "rep" | "repe" | "repz" => &mut prefixes.rep,
                "repne" | "repnz" => &mut prefixes.repne,
                "xacquire" => &mut prefixes.xacquire,
                "xrelease" => &mut prefixes.xrelease,
                "bnd" => &mut prefixes.bnd,
                "notrack" => &mut prefixes.notrack,
                "data16" => &mut prefixes.data16,
                "data64" | "rex.w" => &mut prefixes.data64,
                "addr32" => &mut prefixes.addr32,
                _ => {
                    let segment = names::register(&word).filter(|r| r.is_segment_register());
                    if segment.is_none() {
                        break;
                    }
                    prefixes.segment = segment;
                    self.cursor.advance();
                    continue;
                }
            };
            *flag = true;
            self.cursor.advance();
        }
        let mut name = self.cursor.word().unwrap_or_default();
        let span = self.cursor.peek().span.clone();
        self.cursor.advance();
        if name == "ret" && self.cursor.word().as_deref() == Some("far") {
            "retf".clone_into(&mut name);
            self.cursor.advance();
        }
        if matches!(
            name.as_str(),
            "bits" | "default" | ".intel_syntax" | ".att_syntax"
        ) {
            return self.setting(&name, &span).map(|()| None);
        }
        let mut written = Written {
            mnemonic: names::Mnemonic {
                codes: &[],
                last: None,
            },
            name,
            operands: Vec::new(),
            prefixes,
            decorations,
            span,
        };
        if self.att {
            att::operands(&mut self.cursor, &mut written)?;
        } else {
            let found = names::mnemonic(&written.name);
            written.mnemonic = found.ok_or_else(|| unknown(&written.name, &written.span))?;
            intel::operands(&mut self.cursor, &mut written)?;
        }
        Ok(Some(Body::Instruction(Box::new(written))))
    }

    /// What says how the text is to be read: only what is so anyway.
    fn setting(&mut self, name: &str, span: &Range<usize>) -> Result<(), Fault> {
        let word = self.cursor.word();
        let (fits, what) = match name {
            "bits" => (
                self.cursor.peek().token == Token::Number(Some(64), None),
                "64: there is no other mode",
            ),
            "default" => (
                word.as_deref() == Some("abs"),
                "abs; write `[rel name]` where an address is relative",
            ),
            ".intel_syntax" => (
                !self.att && word.as_deref() == Some("noprefix"),
                "the syntax that was chosen; the text is read as AT&T's or with prefixes",
            ),
            _ => (
                self.att,
                "the syntax that was chosen; the text is read as Intel's",
            ),
        };
        if !fits {
            let mut found = self.cursor.peek().clone();
            if found.token == Token::End {
                found.span = span.clone();
            }
            return Err(expected(what, &found));
        }
        while self.cursor.peek().token != Token::End {
            self.cursor.advance();
        }
        Ok(())
    }
}
