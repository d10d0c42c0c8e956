//! Operands as Intel's manuals, NASM, MASM and GNU's assembler in its Intel mode write them.

use std::ops::Range;

use iced_x86::Register;

use super::error::{AssembleErrorKind as Kind, Fault, fault};
use super::expr::{Expr, Step, expected};
use super::names;
use super::parse::Parser;
use super::program::{Decorations, Immediate, Memory, Operand, Value, Written};
use super::token::Token;

/// Takes the operands of an instruction.
pub(super) fn operands(parser: &mut Parser<'_>, written: &mut Written) -> Result<(), Fault> {
    parser.list(written, operand)
}

/// Words that can stand before an operand.
#[derive(Default)]
struct Words {
    size: Option<usize>,
    /// `ptr` or `bcst`: what follows is memory.
    is_memory: bool,
    is_offset: bool,
    is_far: bool,
    short: Option<bool>,
}

fn operand(parser: &mut Parser<'_>, decorations: &mut Decorations) -> Result<Operand, Fault> {
    let start = parser.peek().span.start;
    let words = words(parser);
    let mut segment = None;
    let mut value = None;
    if let Some(register) = register(parser)? {
        if parser.takes(":") {
            segment = Some(register);
        } else {
            value = Some(Value::Register(register));
        }
    }
    let value = match value {
        Some(value) => value,
        None => {
            let displacement = match parser.peek().token {
                Token::Mark("[") => None,
                _ => Some(parser.expr()?),
            };
            let is_bracket = parser.peek().token == Token::Mark("[");
            match displacement {
                Some(expr) if !is_bracket && segment.is_none() && !words.is_memory => {
                    Value::Immediate(Immediate {
                        expr,
                        size: words.size,
                        is_offset: words.is_offset,
                        short: words.short,
                    })
                }
                displacement => {
                    let mut memory = Memory {
                        size: words.size,
                        segment,
                        displacement,
                        far: words.is_far,
                        ..Memory::default()
                    };
                    while parser.takes("[") {
                        brackets(parser, &mut memory)?;
                    }
                    Value::Memory(memory)
                }
            }
        }
    };
    let span = start..parser.end();
    let broadcast = parser.decorations(decorations)?;
    let value = match (value, broadcast) {
        (Value::Memory(memory), broadcast) => Value::Memory(Memory {
            broadcast,
            ..memory
        }),
        (value, None) => value,
        (_, Some(n)) => {
            let text = format!("1to{n}");
            return Err(fault(Kind::UnknownDecoration { text }, &span));
        }
    };
    Ok(Operand { value, span })
}

fn words(parser: &mut Parser<'_>) -> Words {
    let mut words = Words::default();
    while let Some(word) = parser.word() {
        match word.as_str() {
            "ptr" | "bcst" => words.is_memory = true,
            "offset" => words.is_offset = true,
            "far" => words.is_far = true,
            "short" => words.short = Some(true),
            "near" => words.short = Some(false),
            "strict" => {}
            word => match names::size(word) {
                Some(size) => words.size = Some(size),
                None => break,
            },
        }
        parser.advance();
    }
    words
}

/// A register, if one comes next.
pub(super) fn register(parser: &mut Parser<'_>) -> Result<Option<Register>, Fault> {
    let is_marked = parser.peek().token == Token::Mark("%");
    if is_marked {
        parser.advance();
    }
    let found = parser.word().and_then(|word| names::register(&word));
    let Some(mut register) = found else {
        if is_marked {
            return Err(expected("a register", parser.peek()));
        }
        return Ok(None);
    };
    let is_st = parser.word().as_deref() == Some("st");
    parser.advance();
    if is_st && parser.takes("(") {
        register = match parser.peek().token {
            Token::Number(Some(n), _) => names::register(&format!("st({n})")),
            _ => None,
        }
        .ok_or_else(|| expected("a number from 0 to 7", parser.peek()))?;
        parser.advance();
        parser.expect(")", "`)`")?;
    }
    Ok(Some(register))
}

/// What stands between brackets, from behind the opening one on.
fn brackets(parser: &mut Parser<'_>, memory: &mut Memory) -> Result<(), Fault> {
    match parser.word().as_deref() {
        Some("rel") => {
            memory.relative = true;
            parser.advance();
        }
        Some("abs") => parser.advance(),
        _ => {}
    }
    let mut minus = false;
    loop {
        while let Token::Mark(sign @ ("+" | "-")) = parser.peek().token {
            minus ^= sign == "-";
            parser.advance();
        }
        let start = parser.peek().span.start;
        if let Some(found) = register(parser)? {
            if parser.takes(":") {
                memory.segment = Some(found);
                continue;
            }
            let mut scale = None;
            if parser.takes("*") {
                scale = Some(factor(parser)?);
            }
            let span = start..parser.end();
            place(memory, found, scale, minus, &span)?;
        } else {
            // Up to the next sign outside of parentheses, since `4*rax` is no expression.
            let expr = term(parser)?;
            match expr {
                Term::Scaled(register, scale) => {
                    let span = start..parser.end();
                    place(memory, register, Some(scale), minus, &span)?;
                }
                Term::Number(expr) => {
                    memory.displacement = Some(match memory.displacement.take() {
                        Some(sum) => sum.join(expr, minus),
                        None if minus => expr.negated(),
                        None => expr,
                    });
                }
            }
        }
        minus = false;
        match parser.peek().token {
            Token::Mark("+" | "-") => {}
            Token::Mark("]") => {
                parser.advance();
                return Ok(());
            }
            _ => return Err(expected("`+`, `-` or `]`", parser.peek())),
        }
    }
}

enum Term {
    Number(Expr),
    Scaled(Register, u32),
}

/// A number times a register, or an expression.
fn term(parser: &mut Parser<'_>) -> Result<Term, Fault> {
    if let (Token::Number(Some(scale), _), Token::Mark("*"), Token::Word(word)) = (
        &parser.peek().token,
        &parser.peek_at(1).token,
        &parser.peek_at(2).token,
    ) && let Some(register) = names::register(word)
    {
        let scale = u32::try_from(*scale).unwrap_or(0);
        for _ in 0..3 {
            parser.advance();
        }
        return Ok(Term::Scaled(register, scale));
    }
    parser.summand().map(Term::Number)
}

/// What a register is multiplied with.
fn factor(parser: &mut Parser<'_>) -> Result<u32, Fault> {
    let Token::Number(Some(scale), _) = parser.peek().token else {
        return Err(expected("1, 2, 4 or 8", parser.peek()));
    };
    parser.advance();
    Ok(u32::try_from(scale).unwrap_or(0))
}

/// Puts a register into an address, as its base or as its index.
fn place(
    memory: &mut Memory,
    register: Register,
    scale: Option<u32>,
    minus: bool,
    span: &Range<usize>,
) -> Result<(), Fault> {
    let bad = |reason| Err(fault(Kind::BadAddress { reason }, span));
    if minus {
        return bad("a register cannot be subtracted in an address");
    }
    if !matches!(scale, None | Some(1 | 2 | 4 | 8)) {
        return bad("a register can be multiplied with 1, 2, 4 or 8 in an address");
    }
    let is_vector = register.is_vector_register();
    if scale.is_none() && !is_vector && memory.base == Register::None {
        memory.base = register;
        return Ok(());
    }
    if memory.index != Register::None {
        // `[rcx*1 + rax]` has named its index first.
        if memory.base == Register::None && memory.scale == 1 && !memory.index.is_vector_register()
        {
            memory.base = memory.index;
        } else {
            return bad("an address has at most a base, an index and a displacement");
        }
    }
    let is_stack = |register| matches!(register, Register::RSP | Register::ESP);
    if is_stack(register) && scale.is_none_or(|scale| scale == 1) && !is_stack(memory.base) {
        // The stack pointer cannot be an index, but the sum is the same the other way round.
        memory.index = memory.base;
        memory.base = register;
        memory.scale = 1;
        return Ok(());
    }
    memory.index = register;
    memory.scale = scale.unwrap_or(1);
    Ok(())
}

impl Parser<'_> {
    /// An expression up to the next `+` or `-` outside of parentheses.
    fn summand(&mut self) -> Result<Expr, Fault> {
        let mut depth = 0_usize;
        let mut ahead = 0;
        loop {
            match self.peek_at(ahead).token {
                Token::Mark("(") => depth += 1,
                Token::Mark(")") => depth = depth.saturating_sub(1),
                Token::Mark("+" | "-") if depth == 0 && ahead > 0 => break,
                Token::Mark("]") | Token::End => break,
                _ => {}
            }
            ahead += 1;
        }
        self.expr_within(ahead)
    }
}

/// Whether an expression is nothing but one name, and which.
pub(super) fn lone_name(expr: &Expr) -> Option<usize> {
    match expr.steps[..] {
        [Step::Name(index)] => Some(index),
        _ => None,
    }
}
