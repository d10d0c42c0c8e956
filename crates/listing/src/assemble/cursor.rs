//! A place in the tokens of a text, and what is read from there in either syntax.

use std::ops::Range;

use iced_x86::{Register, RoundingControl};

use super::arithmetic;
use super::error::{AssembleErrorKind as Kind, Fault, fault};
use super::expr::Expr;
use super::names;
use super::program::{Decorations, Operand, Written};
use super::symbols::Names;
use super::token::{Placed, Token, expected};

/// The next token, and the names that were read so far.
pub(super) struct Cursor<'a> {
    pub(super) tokens: &'a [Placed],
    pub(super) at: usize,
    pub(super) names: Names,
}

impl<'a> Cursor<'a> {
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
        arithmetic::parse(self.tokens, &mut self.at, &mut self.names)
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
        let expr = arithmetic::parse(&tokens, &mut at, &mut self.names)?;
        self.at += at;
        Ok(expr)
    }

    /// `, expression`, if that comes next.
    pub(super) fn optional(&mut self) -> Result<Option<Expr>, Fault> {
        if !self.takes(",") {
            return Ok(None);
        }
        self.expr().map(Some)
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

    pub(super) fn decoration(
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
