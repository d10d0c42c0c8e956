//! The subcommands.

pub(crate) mod asm;
pub(crate) mod bench;
pub(crate) mod call;
mod checkpoint;
pub(crate) mod disasm;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod evolve;
pub(crate) mod fit;
pub(crate) mod jit;
pub(crate) mod link;
mod model;
mod parameter;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod symbols;
mod table;

use crate::Failure;

/// Bytes from hexadecimal digits; spaces, commas, `0x` and `\x` may stand between them.
pub(crate) fn hex(text: &str) -> Result<Vec<u8>, Failure> {
    let mut digits = Vec::new();
    let cleaned = text.replace("0x", "  ").replace("\\x", "  ");
    for (place, c) in cleaned.char_indices() {
        match c.to_digit(16) {
            Some(digit) => digits.push(u8::try_from(digit).unwrap_or_default()),
            None if c.is_whitespace() || c == ',' => {}
            None => {
                return Err(Failure::input(format_args!(
                    "{c:?} at character {} is no hexadecimal digit; write bytes as in \
                     \"f2 0f 58 c1 c3\"",
                    place + 1
                )));
            }
        }
    }
    if digits.len() % 2 == 1 {
        return Err(Failure::input(format_args!(
            "{} hexadecimal digits are no whole number of bytes; the last one lacks its half",
            digits.len()
        )));
    }
    if digits.is_empty() {
        return Err(Failure::input(
            "no machine code: there is not a single byte",
        ));
    }
    Ok(digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}
