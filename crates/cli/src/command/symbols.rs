//! `opcodon symbols`: what a shared library or an object file offers.

use clap::Args;
use opcodon::elf::{Export, inspect};
use serde_json::json;

use crate::{Failure, out};

/// Flags of `opcodon symbols`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// A shared library or an object file: a path, or a name such as libm.so.6.
    file: String,
    /// List the names that the file leaves to others instead.
    #[arg(long, short)]
    undefined: bool,
}

pub(crate) fn run(flags: &Flags, json: bool) -> Result<(), Failure> {
    let path = opcodon::elf::find(&flags.file).map_err(|error| Failure::elf(&error))?;
    let data = std::fs::read(&path)
        .map_err(|error| Failure::input(format_args!("{}: {error}", path.display())))?;
    let description = inspect(&flags.file, data).map_err(|error| Failure::elf(&error))?;
    if json {
        let symbols: Vec<_> = description.symbols.iter().map(row).collect();
        out(json!({
            "file": path.display().to_string(),
            "kind": if description.is_object { "object" } else { "library" },
            "soname": description.soname,
            "needed": description.needed,
            "symbols": symbols,
            "undefined": description.undefined,
            "refusal": description.refusal,
        }));
    } else if flags.undefined {
        for name in &description.undefined {
            out(name);
        }
    } else {
        list(&description.symbols);
    }
    Ok(())
}

/// A symbol as JSON.
pub(crate) fn row(symbol: &Export) -> serde_json::Value {
    json!({
        "name": symbol.name,
        "version": symbol.version,
        "default": symbol.is_default,
        "kind": symbol.kind.name(),
        "size": symbol.size,
    })
}

/// Writes symbols one a line: size, kind, name.
pub(crate) fn list(symbols: &[Export]) {
    for symbol in symbols {
        let version = match &symbol.version {
            Some(version) if symbol.is_default => format!("@@{version}"),
            Some(version) => format!("@{version}"),
            None => String::new(),
        };
        out(format_args!(
            "{:>8} {:<8} {}{version}",
            symbol.size, symbol.kind, symbol.name
        ));
    }
}
