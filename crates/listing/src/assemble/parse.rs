//! Tokens to statements: labels, directives, and instructions with their prefixes.
//!
//! The directives are those of NASM and of GNU's assembler side by side; where the two give one
//! spelling two meanings, the text is refused or the meaning is the one that both know.

use std::ops::Range;

use iced_x86::{Register, RoundingControl};

use super::error::{AssembleErrorKind as Kind, Fault, fault, nearest};
use super::expr::{self, Expr, expected};
use super::names;
use super::program::{Body, Decorations, Operand, Prefixes, Program, Statement, Written};
use super::symbols::{Definition, Names};
use super::token::{Placed, Token};
use super::{att, intel};

/// A text on its way to statements.
pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Placed],
    at: usize,
    pub(super) att: bool,
    names: Names,
    statements: Vec<Statement>,
}

/// What a directive does.
#[derive(Clone, Copy)]
enum Directive {
    /// Numbers of so many bytes, and strings between them.
    Data(usize),
    /// Numbers with a point of so many bytes.
    Float(usize),
    Ascii {
        zero: bool,
    },
    Align,
    AlignPower,
    /// `.fill count, width, value`
    Fill,
    /// `.zero count, value`
    Space,
    /// `resb count`, of so many bytes each.
    Reserve(usize),
    Set,
    /// What says something that is so anyway, or that only an object file could hold.
    Nothing,
}

const DIRECTIVES: [(&str, Directive); 60] = [
    ("db", Directive::Data(1)),
    ("dw", Directive::Data(2)),
    ("dd", Directive::Data(4)),
    ("dq", Directive::Data(8)),
    (".byte", Directive::Data(1)),
    (".word", Directive::Data(2)),
    (".short", Directive::Data(2)),
    (".value", Directive::Data(2)),
    (".hword", Directive::Data(2)),
    (".2byte", Directive::Data(2)),
    (".long", Directive::Data(4)),
    (".int", Directive::Data(4)),
    (".4byte", Directive::Data(4)),
    (".quad", Directive::Data(8)),
    (".8byte", Directive::Data(8)),
    (".float", Directive::Float(4)),
    (".single", Directive::Float(4)),
    (".double", Directive::Float(8)),
    (".ascii", Directive::Ascii { zero: false }),
    (".asciz", Directive::Ascii { zero: true }),
    (".string", Directive::Ascii { zero: true }),
    ("align", Directive::Align),
    (".align", Directive::Align),
    (".balign", Directive::Align),
    (".p2align", Directive::AlignPower),
    (".fill", Directive::Fill),
    (".zero", Directive::Space),
    (".skip", Directive::Space),
    (".space", Directive::Space),
    ("resb", Directive::Reserve(1)),
    ("resw", Directive::Reserve(2)),
    ("resd", Directive::Reserve(4)),
    ("resq", Directive::Reserve(8)),
    (".set", Directive::Set),
    (".equ", Directive::Set),
    (".text", Directive::Nothing),
    ("section", Directive::Nothing),
    (".section", Directive::Nothing),
    ("segment", Directive::Nothing),
    ("global", Directive::Nothing),
    (".global", Directive::Nothing),
    (".globl", Directive::Nothing),
    (".type", Directive::Nothing),
    (".size", Directive::Nothing),
    (".file", Directive::Nothing),
    (".ident", Directive::Nothing),
    (".loc", Directive::Nothing),
    (".local", Directive::Nothing),
    (".hidden", Directive::Nothing),
    (".code64", Directive::Nothing),
    (".cfi_startproc", Directive::Nothing),
    (".cfi_endproc", Directive::Nothing),
    (".cfi_def_cfa", Directive::Nothing),
    (".cfi_def_cfa_offset", Directive::Nothing),
    (".cfi_def_cfa_register", Directive::Nothing),
    (".cfi_offset", Directive::Nothing),
    (".cfi_restore", Directive::Nothing),
    (".cfi_remember_state", Directive::Nothing),
    (".cfi_restore_state", Directive::Nothing),
    ("use64", Directive::Nothing),
];

fn directive(word: &str) -> Option<Directive> {
    let row = DIRECTIVES
        .iter()
        .find(|row| row.0.eq_ignore_ascii_case(word))?;
    Some(row.1)
}

/// Parses a whole text.
pub(super) fn parse(text: &str, tokens: &[Placed], att: bool) -> Result<(Program, Names), Fault> {
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        att,
        names: Names::default(),
        statements: Vec::new(),
    };
    while parser.at < tokens.len() {
        parser.statement()?;
    }
    let program = Program {
        statements: parser.statements,
    };
    Ok((program, parser.names))
}

impl<'a> Parser<'a> {
    /// The next token; behind the last one it stays there.
    pub(super) fn peek(&self) -> &'a Placed {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> &'a Placed {
        // There is always at least the end of the text.
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)]
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    /// Whether the next token is this mark; if so, it is taken.
    pub(super) fn takes(&mut self, mark: &str) -> bool {
        let found = matches!(&self.peek().token, Token::Mark(found) if *found == mark);
        self.at += usize::from(found);
        found
    }

    /// Takes this mark or says that it is missing.
    pub(super) fn expect(&mut self, mark: &str, what: &'static str) -> Result<(), Fault> {
        if self.takes(mark) {
            return Ok(());
        }
        Err(expected(what, self.peek()))
    }

    /// The next token as a word in lower case.
    pub(super) fn word(&self) -> Option<String> {
        match &self.peek().token {
            Token::Word(word) => Some(word.to_ascii_lowercase()),
            _ => None,
        }
    }

    /// Where the last token that was taken ended.
    pub(super) fn end(&self) -> usize {
        self.tokens[self.at.saturating_sub(1)].span.end
    }

    pub(super) fn expr(&mut self) -> Result<Expr, Fault> {
        expr::parse(self.tokens, &mut self.at, &mut self.names)
    }

    /// An expression within the next `length` tokens.
    pub(super) fn expr_within(&mut self, length: usize) -> Result<Expr, Fault> {
        // The expression sees the end of the statement where it must stop.
        let end = (self.at + length).min(self.tokens.len() - 1);
        let mut tokens = self.tokens[self.at..end].to_vec();
        tokens.push(Placed {
            token: Token::End,
            span: self.tokens[end].span.clone(),
        });
        let mut at = 0;
        let expr = expr::parse(&tokens, &mut at, &mut self.names)?;
        self.at += at;
        Ok(expr)
    }

    fn statement(&mut self) -> Result<(), Fault> {
        while self.label()? {}
        let start = self.peek().span.start;
        let mut times = None;
        if self.word().as_deref() == Some("times") {
            self.advance();
            times = Some(self.expr()?);
        }
        let body = match &self.peek().token {
            Token::End if times.is_none() => None,
            Token::Word(word) => match directive(word) {
                Some(directive) => {
                    self.advance();
                    self.directive(directive)?
                }
                None => self.instruction()?,
            },
            Token::Braced(_) => self.instruction()?,
            _ => {
                return Err(expected(
                    "an instruction, a directive or a label",
                    self.peek(),
                ));
            }
        };
        if self.peek().token != Token::End {
            let what = match body {
                Some(Body::Instruction(_)) => "`,` or the end of the statement",
                _ => "the end of the statement",
            };
            return Err(expected(what, self.peek()));
        }
        if let Some(body) = body {
            let span = start..self.end();
            self.statements.push(Statement { body, times, span });
        }
        self.advance();
        Ok(())
    }

    /// Takes a label or the definition of a constant, if one is next; whether more can follow.
    fn label(&mut self) -> Result<bool, Fault> {
        let Placed { token, span } = self.peek();
        let next = self.peek_at(1);
        let n_before = self.statements.len();
        match token {
            Token::Number(Some(number), None) if next.token == Token::Mark(":") => {
                let Ok(number) = u64::try_from(*number) else {
                    return Ok(false);
                };
                self.names.define_numeric(number, n_before, span);
                self.at += 2;
                Ok(true)
            }
            Token::Word(word) => {
                if next.token == Token::Mark(":") && !self.is_segment(word) {
                    self.at += 2;
                    // A constant may be written like a label as well.
                    if self.word().as_deref() == Some("equ") {
                        return self.constant(word, span).map(|()| false);
                    }
                    let label = Definition::Label(n_before);
                    self.names.define(word, label, self.text, span)?;
                    return Ok(true);
                }
                let is_equ =
                    matches!(&next.token, Token::Word(next) if next.eq_ignore_ascii_case("equ"));
                if is_equ || next.token == Token::Mark("=") {
                    self.at += 1;
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
                    self.at += 1;
                    let label = Definition::Label(n_before);
                    self.names.define(word, label, self.text, span)?;
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Whether a word before a colon is a segment rather than a label.
    fn is_segment(&self, word: &str) -> bool {
        names::register(word).is_some_and(|register| register.is_segment_register())
            && matches!(self.peek_at(2).token, Token::Mark("["))
    }

    /// The rest of a constant's definition, from its `equ` or `=` on.
    fn constant(&mut self, word: &str, span: &Range<usize>) -> Result<(), Fault> {
        self.advance();
        let value = self.expr()?;
        let constant = Definition::Constant(value, self.statements.len());
        self.names.define(word, constant, self.text, span)
    }

    fn directive(&mut self, directive: Directive) -> Result<Option<Body>, Fault> {
        Ok(Some(match directive {
            Directive::Nothing => {
                while self.peek().token != Token::End {
                    self.advance();
                }
                return Ok(None);
            }
            Directive::Set => {
                let Placed { token, span } = self.peek();
                let Token::Word(word) = token else {
                    return Err(expected("a name", self.peek()));
                };
                self.advance();
                if self.peek().token != Token::Mark(",") {
                    return Err(expected("`,`", self.peek()));
                }
                self.constant(word, span)?;
                return Ok(None);
            }
            Directive::Data(width) => return self.data(width).map(Some),
            Directive::Float(width) => {
                let mut bytes = Vec::new();
                loop {
                    bytes.extend(self.float(width, true)?.unwrap_or_default());
                    if !self.takes(",") {
                        break;
                    }
                }
                Body::Bytes(bytes)
            }
            Directive::Ascii { zero } => {
                let mut bytes = Vec::new();
                loop {
                    let Token::Text(text) = &self.peek().token else {
                        return Err(expected("a string", self.peek()));
                    };
                    bytes.extend_from_slice(text);
                    bytes.extend(zero.then_some(0));
                    self.advance();
                    if !self.takes(",") {
                        break;
                    }
                }
                Body::Bytes(bytes)
            }
            Directive::Align => Body::Align(self.expr()?, self.optional()?),
            Directive::AlignPower => {
                let power = self.expr()?;
                let span = power.span.clone();
                let mut steps = vec![expr::Step::Number(1)];
                steps.extend(power.steps);
                steps.push(expr::Step::Binary(expr::Binary::Shl));
                Body::Align(Expr { steps, span }, self.optional()?)
            }
            Directive::Fill => {
                let count = self.expr()?;
                let mut width = 1;
                let mut value = None;
                if self.takes(",") {
                    width = match &self.peek().token {
                        Token::Number(Some(n @ 0..=8), _) => usize::try_from(*n).unwrap_or(1),
                        _ => return Err(expected("a number of bytes, from 0 to 8", self.peek())),
                    };
                    self.advance();
                    value = self.optional()?;
                }
                Body::Fill {
                    count,
                    width,
                    value,
                }
            }
            Directive::Space => Body::Fill {
                count: self.expr()?,
                width: 1,
                value: self.optional()?,
            },
            Directive::Reserve(width) => Body::Fill {
                count: self.expr()?,
                width,
                value: None,
            },
        }))
    }

    /// `, expression`, if that comes next.
    fn optional(&mut self) -> Result<Option<Expr>, Fault> {
        if !self.takes(",") {
            return Ok(None);
        }
        self.expr().map(Some)
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
            let Placed { token, span } = self.peek();
            let follows = &self.peek_at(1).token;
            match token {
                Token::Text(text) if matches!(follows, Token::End | Token::Mark(",")) => {
                    numbers.extend(place(text, span));
                    self.advance();
                }
                _ => match self.float(width, false)? {
                    Some(bytes) => numbers.extend(place(&bytes, span)),
                    None => numbers.push(self.expr()?),
                },
            }
            if !self.takes(",") {
                break;
            }
        }
        Ok(Body::Numbers(width, numbers))
    }

    /// A number with a point, if one comes next; where it is `due`, an integer will do.
    fn float(&mut self, width: usize, due: bool) -> Result<Option<Vec<u8>>, Fault> {
        let minus = self.peek().token == Token::Mark("-");
        let number = self.peek_at(usize::from(minus));
        let value = match number.token {
            Token::Float(value) => value,
            #[expect(clippy::cast_precision_loss, reason = "the nearest number is meant")]
            Token::Number(Some(value), _) if due => value as f64,
            _ if due => return Err(expected("a number", number)),
            _ => return Ok(None),
        };
        self.at += 1 + usize::from(minus);
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
            let Placed { token, span } = self.peek();
            if let Token::Braced(text) = token {
                self.decoration(text, span, &mut decorations)?;
                self.advance();
                continue;
            }
            let Some(word) = self.word() else {
                return Err(expected("an instruction", self.peek()));
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
                    self.advance();
                    continue;
                }
            };
            *flag = true;
            self.advance();
        }
        let mut name = self.word().unwrap_or_default();
        let span = self.peek().span.clone();
        self.advance();
        if name == "ret" && self.word().as_deref() == Some("far") {
            "retf".clone_into(&mut name);
            self.advance();
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
            att::operands(self, &mut written)?;
        } else {
            let found = names::mnemonic(&written.name);
            written.mnemonic = found.ok_or_else(|| unknown(&written.name, &written.span))?;
            intel::operands(self, &mut written)?;
        }
        Ok(Some(Body::Instruction(Box::new(written))))
    }

    /// What says how the text is to be read: only what is so anyway.
    fn setting(&mut self, name: &str, span: &Range<usize>) -> Result<(), Fault> {
        let word = self.word();
        let (fits, what) = match name {
            "bits" => (
                self.peek().token == Token::Number(Some(64), None),
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
            let mut found = self.peek().clone();
            if found.token == Token::End {
                found.span = span.clone();
            }
            return Err(expected(what, &found));
        }
        while self.peek().token != Token::End {
            self.advance();
        }
        Ok(())
    }

    /// Takes everything in braces that comes next; a number of elements to broadcast to, if any.
    pub(super) fn decorations(
        &mut self,
        decorations: &mut Decorations,
    ) -> Result<Option<usize>, Fault> {
        let mut broadcast = None;
        loop {
            let Placed { token, span } = self.peek();
            let Token::Braced(text) = token else {
                return Ok(broadcast);
            };
            match text.strip_prefix("1to").map(str::parse) {
                Some(Ok(n)) => broadcast = Some(n),
                _ => self.decoration(text, span, decorations)?,
            }
            self.advance();
        }
    }

    fn decoration(
        &self,
        text: &str,
        span: &Range<usize>,
        decorations: &mut Decorations,
    ) -> Result<(), Fault> {
        let text = text.trim_start_matches('%');
        match text {
            "z" => decorations.zeroing = true,
            "sae" => decorations.sae = true,
            "vex" | "vex2" | "vex3" => decorations.vex = true,
            "evex" => decorations.evex = true,
            "rn-sae" => decorations.rounding = Some(RoundingControl::RoundToNearest),
            "rd-sae" => decorations.rounding = Some(RoundingControl::RoundDown),
            "ru-sae" => decorations.rounding = Some(RoundingControl::RoundUp),
            "rz-sae" => decorations.rounding = Some(RoundingControl::RoundTowardZero),
            _ => match names::register(text) {
                Some(mask) if mask.is_k() && mask != Register::K0 => decorations.mask = Some(mask),
                _ => {
                    let text = text.to_owned();
                    return Err(fault(Kind::UnknownDecoration { text }, span));
                }
            },
        }
        Ok(())
    }

    /// Takes the operands of an instruction, separated by commas, with what stands in braces.
    pub(super) fn list(
        &mut self,
        written: &mut Written,
        mut operand: impl FnMut(&mut Self, &mut Decorations) -> Result<Operand, Fault>,
    ) -> Result<(), Fault> {
        if self.peek().token == Token::End {
            return Ok(());
        }
        loop {
            if matches!(self.peek().token, Token::Braced(_)) {
                // Rounding is written like an operand.
                self.decorations(&mut written.decorations)?;
                if !self.takes(",") {
                    return Ok(());
                }
                continue;
            }
            let operand = operand(self, &mut written.decorations)?;
            written.operands.push(operand);
            if !self.takes(",") {
                return Ok(());
            }
        }
    }
}

/// The fault that there is no such instruction.
pub(super) fn unknown(name: &str, span: &Range<usize>) -> Fault {
    let name = name.to_owned();
    fault(
        if name.starts_with('.') {
            let nearest = nearest(&name, DIRECTIVES.iter().map(|row| row.0));
            Kind::UnknownDirective { name, nearest }
        } else {
            let nearest = nearest(&name, names::all_mnemonics());
            Kind::UnknownMnemonic { name, nearest }
        },
        span,
    )
}
