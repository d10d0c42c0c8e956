//! `opcodon asm`: assembly to machine code.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use opcodon::listing::{Dialect, assemble};
use serde_json::json;

use crate::{Failure, out};

/// Flags of `opcodon asm`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// A file, `-` for standard input, or the text itself, such as "addsd xmm0, xmm1; ret": here
    /// `;` separates instructions.
    input: String,
    /// Write the bytes to this file instead of printing them as hexadecimal digits.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// The address that the first byte will have.
    #[arg(long, default_value = "0", value_parser = address)]
    origin: u64,
    /// Syntax of the text.
    #[arg(long, value_enum, default_value = "intel")]
    syntax: Syntax,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Syntax {
    Intel,
    Att,
}

/// A decimal number, or a hexadecimal one behind `0x`.
fn address(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| error.to_string())
}

pub(crate) fn run(flags: Flags, json: bool) -> Result<(), Failure> {
    let read = |error| Failure::input(format_args!("{}: {error}", flags.input));
    let text = if flags.input == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(read)?;
        text
    } else if Path::new(&flags.input).exists() {
        std::fs::read_to_string(&flags.input).map_err(read)?
    } else {
        // On a command line there is one line, so a comment would end all of it.
        flags.input.replace(';', "\n")
    };
    let dialect = match flags.syntax {
        Syntax::Intel => Dialect::Intel,
        Syntax::Att => Dialect::Att,
    };
    let code = assemble(&text, flags.origin, dialect).map_err(|error| {
        Failure::input(format_args!(
            "{} (line {}, column {})",
            error.render(),
            error.line,
            error.column
        ))
    })?;
    let hex: Vec<String> = code.iter().map(|byte| format!("{byte:02x}")).collect();
    if let Some(path) = &flags.output {
        std::fs::write(path, &code)
            .map_err(|error| Failure::input(format_args!("{}: {error}", path.display())))?;
    }
    if json {
        out(json!({ "bytes": hex.concat(), "length": code.len(), "origin": flags.origin }));
    } else if flags.output.is_none() {
        out(hex.join(" "));
    }
    Ok(())
}
