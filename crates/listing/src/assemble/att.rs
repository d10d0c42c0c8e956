//! Operands and mnemonics as AT&T's syntax writes them.
//!
//! Sources come before the destination, registers have a `%`, numbers a `$`, and a letter at the
//! end of the mnemonic says how large memory is. What comes out is what the Intel cursor would
//! have made of the same instruction.

use iced_x86::Register;

use super::cursor::Cursor;
use super::directive::unknown;
use super::error::Fault;
use super::intel::register;
use super::kinds::is_branch;
use super::names;
use super::program::{Decorations, Immediate, Memory, Operand, Value, Written};
use super::token::{Token, expected};

/// Instructions with names of their own.
const NAMES: [(&str, &str); 23] = [
    ("cbtw", "cbw"),
    ("cwtl", "cwde"),
    ("cltq", "cdqe"),
    ("cwtd", "cwd"),
    ("cltd", "cdq"),
    ("cqto", "cqo"),
    ("movsl", "movsd"),
    ("cmpsl", "cmpsd"),
    ("stosl", "stosd"),
    ("lodsl", "lodsd"),
    ("scasl", "scasd"),
    ("insl", "insd"),
    ("outsl", "outsd"),
    ("lretq", "retf"),
    ("lretl", "retf"),
    ("movslq", "movsxd"),
    ("iretl", "iretd"),
    ("sysretl", "sysret"),
    ("pcmpestriq", "pcmpestri64"),
    ("pcmpestrmq", "pcmpestrm64"),
    ("vpcmpestriq", "vpcmpestri64"),
    ("vpcmpestrmq", "vpcmpestrm64"),
    ("pcmpestril", "pcmpestri"),
];

/// Letters at the end of a mnemonic, and the sizes that they say, in bytes.
const SUFFIXES: [(&str, usize); 7] = [
    ("b", 1),
    ("w", 2),
    ("l", 4),
    ("q", 8),
    ("x", 16),
    ("y", 32),
    ("z", 64),
];

/// The letters of the floating-point unit: of instructions on integers, and of the others.
const INTEGER_SUFFIXES: [(&str, usize); 4] = [("ll", 8), ("s", 2), ("l", 4), ("q", 8)];
const FLOAT_SUFFIXES: [(&str, usize); 3] = [("s", 4), ("l", 8), ("t", 10)];

/// Instructions on blocks of memory and jumps into other segments, with the sizes of their memory.
const SIZED: [(&str, &str, usize); 12] = [
    ("fldenvs", "fldenv", 14),
    ("fnstenvs", "fnstenv", 14),
    ("frstors", "frstor", 94),
    ("fnsaves", "fnsave", 94),
    ("ljmpw", "jmp", 4),
    ("ljmpl", "jmp", 6),
    ("ljmp", "jmp", 6),
    ("ljmpq", "jmp", 10),
    ("lcallw", "call", 4),
    ("lcalll", "call", 6),
    ("lcall", "call", 6),
    ("lcallq", "call", 10),
];

/// Takes the operands of an instruction and finds out which one it is.
pub(super) fn operands(cursor: &mut Cursor<'_>, written: &mut Written) -> Result<(), Fault> {
    let name = written.name.clone();
    let takes_target = |name: &str| {
        names::mnemonic(name).is_some_and(|found| found.codes.iter().any(|&code| is_branch(code)))
    };
    let jumps = takes_target(&name) || name.strip_suffix('q').is_some_and(takes_target);
    let is_far = name.starts_with("lj") || name.starts_with("lcall");
    cursor.list(written, |cursor, decorations| {
        operand(cursor, decorations, jumps, is_far)
    })?;
    if !matches!(name.as_str(), "enter" | "enterw" | "enterq") {
        written.operands.reverse();
    }
    if name == "lretq" {
        written.prefixes.data64 = true;
    }
    let Some((mut found, size)) = instruction(&name, &written.operands) else {
        return Err(unknown(&name, &written.span));
    };
    if is_swapped(&found, &written.operands) {
        found = match found.strip_suffix('p') {
            Some(stem) => format!("{}p", other_way_round(stem)),
            None => other_way_round(&found),
        };
    }
    written.mnemonic = names::mnemonic(&found).ok_or_else(|| unknown(&name, &written.span))?;
    written.name = found;
    let is_plain = written.operands.iter().all(|operand| match operand.value {
        Value::Immediate(_) => true,
        Value::Register(register) => register.is_segment_register(),
        Value::Memory(_) => false,
    });
    // Without another operand of that size, the letter is a prefix.
    written.prefixes.data16 |= is_plain && size == Some(2);
    for operand in &mut written.operands {
        match &mut operand.value {
            Value::Memory(memory) if memory.broadcast.is_none() => memory.size = size,
            _ => {}
        }
    }
    Ok(())
}

/// The name that the table has for an instruction, and the size of its memory if that is said.
fn instruction(name: &str, operands: &[Operand]) -> Option<(String, Option<usize>)> {
    let is_vector = |operand: &Operand| {
        matches!(operand.value, Value::Register(register)
            if register.is_vector_register() || register.is_mm())
    };
    if let Some((_, found)) = NAMES.iter().find(|row| row.0 == name) {
        return Some(((*found).to_owned(), None));
    }
    if let Some((_, found, size)) = SIZED.iter().find(|row| row.0 == name) {
        return Some(((*found).to_owned(), Some(*size)));
    }
    // `movzbl` says two sizes: that of the source, and that of the destination.
    for (stem, found) in [("movz", "movzx"), ("movs", "movsx")] {
        if let Some(&[source, b'w' | b'l' | b'q']) = name.strip_prefix(stem).map(str::as_bytes)
            && let size @ (b'b' | b'w') = source
        {
            return Some((found.to_owned(), Some(if size == b'b' { 1 } else { 2 })));
        }
    }
    // `movq` between general registers is `mov`.
    let is_exact = names::mnemonic(name).is_some()
        && (!matches!(name, "movq" | "movd") || operands.iter().any(is_vector));
    if is_exact {
        return Some((name.to_owned(), None));
    }
    let suffixes: &[(&str, usize)] = if name.starts_with("fi") {
        &INTEGER_SUFFIXES
    } else if name.starts_with('f') {
        &FLOAT_SUFFIXES
    } else {
        &SUFFIXES
    };
    suffixes.iter().find_map(|&(suffix, size)| {
        let stem = name.strip_suffix(suffix)?;
        names::mnemonic(stem)?;
        Some((stem.to_owned(), Some(size)))
    })
}

/// Whether a subtraction or division is the other way round than its name says: an old mistake of
/// the syntax, where the result does not go to the top of the stack.
fn is_swapped(name: &str, operands: &[Operand]) -> bool {
    match name {
        "fsubp" | "fsubrp" | "fdivp" | "fdivrp" => true,
        "fsub" | "fsubr" | "fdiv" | "fdivr" => {
            matches!(operands, [Operand { value: Value::Register(to), .. }, Operand { value: Value::Register(_), .. }]
                if *to != Register::ST0)
        }
        _ => false,
    }
}

/// `fsubr` for `fsub`, and back.
fn other_way_round(name: &str) -> String {
    match name.strip_suffix('r') {
        Some(stem) => stem.to_owned(),
        None => format!("{name}r"),
    }
}

fn operand(
    cursor: &mut Cursor<'_>,
    decorations: &mut Decorations,
    jumps: bool,
    is_far: bool,
) -> Result<Operand, Fault> {
    let start = cursor.peek().span.start;
    let is_indirect = cursor.takes("*");
    let mut memory = Memory {
        far: is_far,
        ..Memory::default()
    };
    let mut value = None;
    if cursor.takes("$") {
        value = Some(Value::Immediate(Immediate {
            expr: cursor.expr()?,
            size: None,
            is_offset: true,
            short: None,
        }));
    } else if cursor.peek().token == Token::Mark("%") {
        let found = register(cursor)?.unwrap_or_default();
        if cursor.takes(":") {
            memory.segment = Some(found);
        } else {
            value = Some(Value::Register(found));
        }
    }
    let value = match value {
        Some(value) => value,
        None => {
            let opens = cursor.peek().token == Token::Mark("(");
            let is_registers = opens && matches!(cursor.peek_at(1).token, Token::Mark("%" | ","));
            if !is_registers {
                memory.displacement = Some(cursor.expr()?);
            }
            let has_registers = cursor.takes("(");
            if has_registers {
                registers(cursor, &mut memory)?;
            }
            match memory.displacement {
                Some(expr) if jumps && !is_indirect && !has_registers => {
                    Value::Immediate(Immediate {
                        expr,
                        size: None,
                        is_offset: true,
                        short: None,
                    })
                }
                displacement => Value::Memory(Memory {
                    displacement,
                    ..memory
                }),
            }
        }
    };
    let span = start..cursor.end();
    let broadcast = cursor.decorations(decorations)?;
    let value = match value {
        Value::Memory(memory) => Value::Memory(Memory {
            broadcast,
            ..memory
        }),
        value => value,
    };
    Ok(Operand { value, span })
}

/// Base, index and scale, from behind the opening parenthesis on.
fn registers(cursor: &mut Cursor<'_>, memory: &mut Memory) -> Result<(), Fault> {
    if cursor.peek().token == Token::Mark("%") {
        memory.base = register(cursor)?.unwrap_or(Register::None);
    }
    if cursor.takes(",") {
        if cursor.peek().token == Token::Mark("%") {
            memory.index = register(cursor)?.unwrap_or(Register::None);
        }
        if cursor.takes(",") {
            memory.scale = match cursor.peek().token {
                Token::Number(Some(1), _) => 1,
                Token::Number(Some(2), _) => 2,
                Token::Number(Some(4), _) => 4,
                Token::Number(Some(8), _) => 8,
                _ => return Err(expected("1, 2, 4 or 8", cursor.peek())),
            };
            cursor.advance();
        }
    }
    cursor.expect(")", "`)`")
}
