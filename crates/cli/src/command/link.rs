//! `opcodon link`: object files, linked in memory.

use clap::Args;
use opcodon::elf::{Library, Object, link};
use serde_json::json;

use super::symbols;
use crate::{Failure, out};

/// Flags of `opcodon link`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Object files; compile with -fPIC.
    #[arg(required = true)]
    objects: Vec<String>,
    /// A library in which names are looked up that the objects leave undefined; may be given
    /// several times. libm.so.6 is looked in always.
    #[arg(long, short)]
    library: Vec<String>,
}

pub(crate) fn run(flags: &Flags, json: bool) -> Result<(), Failure> {
    let library = linked(&flags.objects, &flags.library)?;
    if json {
        let rows: Vec<_> = library.symbols().iter().map(symbols::row).collect();
        out(json!({ "objects": flags.objects, "symbols": rows }));
    } else {
        symbols::list(library.symbols());
    }
    Ok(())
}

/// Links files; the mathematical functions of C are always there.
pub(crate) fn linked(objects: &[String], libraries: &[String]) -> Result<Library, Failure> {
    let failed = |error| Failure::elf(&error);
    let objects = objects.iter().map(|path| Object::read(path));
    let objects = objects
        .collect::<Result<Vec<Object>, _>>()
        .map_err(failed)?;
    let mut libraries = libraries.to_vec();
    libraries.push("libm.so.6".to_owned());
    link(&objects, &libraries).map_err(failed)
}
