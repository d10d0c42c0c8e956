//! Operands as Intel's manuals, NASM, MASM and GNU's assembler in its Intel mode write them.

use std::ops::Range;

use iced_x86::Register;

use super::cursor::Cursor;
use super::error::{AssembleErrorKind as Kind, Fault, fault};
use super::expr::{Expr, Step};
use super::names;
use super::program::{Decorations, Immediate, Memory, Operand, Value, Written};
use super::token::{Token, expected};

/// Takes the operands of an instruction.
pub(super) fn operands(cursor: &mut Cursor<'_>, written: &mut Written) -> Result<(), Fault> {
    cursor.list(written, operand)
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

fn operand(cursor: &mut Cursor<'_>, decorations: &mut Decorations) -> Result<Operand, Fault> {
    let start = cursor.peek().span.start;
    let words = words(cursor);
    let mut segment = None;
    let mut value = None;
    if let Some(register) = register(cursor)? {
        if cursor.takes(":") {
            segment = Some(register);
        } else {
            value = Some(Value::Register(register));
        }
    }
    let value = match value {
        Some(value) => value,
        None => {
            let displacement = match cursor.peek().token {
                Token::Mark("[") => None,
                _ => Some(cursor.expr()?),
            };
            let is_bracket = cursor.peek().token == Token::Mark("[");
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
                    while cursor.takes("[") {
                        brackets(cursor, &mut memory)?;
                    }
                    Value::Memory(memory)
                }
            }
        }
    };
    let span = start..cursor.end();
    let broadcast = cursor.decorations(decorations)?;
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

fn words(cursor: &mut Cursor<'_>) -> Words {
    let mut words = Words::default();
    while let Some(word) = cursor.word() {
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
        cursor.advance();
    }
    words
}

/// A register, if one comes next.
pub(super) fn register(cursor: &mut Cursor<'_>) -> Result<Option<Register>, Fault> {
    let is_marked = cursor.peek().token == Token::Mark("%");
    if is_marked {
        cursor.advance();
    }
    let found = cursor.word().and_then(|word| names::register(&word));
    let Some(mut register) = found else {
        if is_marked {
            return Err(expected("a register", cursor.peek()));
        }
        return Ok(None);
    };
    let is_st = cursor.word().as_deref() == Some("st");
    cursor.advance();
    if is_st && cursor.takes("(") {
        register = match cursor.peek().token {
            Token::Number(Some(n), _) => names::register(&format!("st({n})")),
            _ => None,
        }
        .ok_or_else(|| expected("a number from 0 to 7", cursor.peek()))?;
        cursor.advance();
        cursor.expect(")", "`)`")?;
    }
    Ok(Some(register))
}

/// What stands between brackets, from behind the opening one on.
fn brackets(cursor: &mut Cursor<'_>, memory: &mut Memory) -> Result<(), Fault> {
    match cursor.word().as_deref() {
        Some("rel") => {
            memory.relative = true;
            cursor.advance();
        }
        Some("abs") => cursor.advance(),
        _ => {}
    }
    let mut minus = false;
    loop {
        while let Token::Mark(sign @ ("+" | "-")) = cursor.peek().token {
            minus ^= sign == "-";
            cursor.advance();
        }
        let start = cursor.peek().span.start;
        if let Some(found) = register(cursor)? {
            if cursor.takes(":") {
                memory.segment = Some(found);
                continue;
            }
            let mut scale = None;
            if cursor.takes("*") {
                scale = Some(factor(cursor)?);
            }
            let span = start..cursor.end();
            place(memory, found, scale, minus, &span)?;
        } else {
            // Up to the next sign outside of parentheses, since `4*rax` is no expression.
            let expr = term(cursor)?;
            match expr {
                Term::Scaled(register, scale) => {
                    let span = start..cursor.end();
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
        match cursor.peek().token {
            Token::Mark("+" | "-") => {}
            Token::Mark("]") => {
                cursor.advance();
                return Ok(());
            }
            _ => return Err(expected("`+`, `-` or `]`", cursor.peek())),
        }
    }
}

enum Term {
    Number(Expr),
    Scaled(Register, u32),
}

/// A number times a register, or an expression.
fn term(cursor: &mut Cursor<'_>) -> Result<Term, Fault> {
    if let (Token::Number(Some(scale), _), Token::Mark("*"), Token::Word(word)) = (
        &cursor.peek().token,
        &cursor.peek_at(1).token,
        &cursor.peek_at(2).token,
    ) && let Some(register) = names::register(word)
    {
        let scale = u32::try_from(*scale).unwrap_or(0);
        for _ in 0..3 {
            cursor.advance();
        }
        return Ok(Term::Scaled(register, scale));
    }
    cursor.summand().map(Term::Number)
}

/// What a register is multiplied with.
fn factor(cursor: &mut Cursor<'_>) -> Result<u32, Fault> {
    let Token::Number(Some(scale), _) = cursor.peek().token else {
        return Err(expected("1, 2, 4 or 8", cursor.peek()));
    };
    cursor.advance();
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

impl Cursor<'_> {
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
