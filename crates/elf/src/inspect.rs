//! Looking into a file without running anything of it.

use std::path::PathBuf;

use object::elf;

use crate::file::Named;
use crate::find::{self, Origin};
use crate::link;
use crate::relocatable::{Home, Relocatable};
use crate::shared::SharedObject;
use crate::symbol::{Definition, Export};
use crate::{ElfError, ElfErrorKind, Object, archive, library, load};

/// What a shared library or a relocatable object says about itself.
#[derive(Clone, Debug)]
pub struct Description {
    /// Whether it is a relocatable object, for [`link`](crate::link) and not for a
    /// [`Library`](crate::Library).
    pub is_object: bool,
    /// The name by which other libraries need it.
    pub soname: Option<String>,
    /// The libraries it needs.
    pub needed: Vec<String>,
    /// The symbols it offers, by name.
    pub symbols: Vec<Export>,
    /// The names it leaves to others to define, those that must be there, by name.
    pub undefined: Vec<String>,
    /// Why this crate does not load it.
    pub refusal: Option<String>,
}

/// The file of a library: that at a path, or of a name such as `libm.so.6`, which is searched for
/// as the system does.
///
/// # Errors
/// There is none.
pub fn find(name: &str) -> Result<PathBuf, ElfError> {
    let nobody = Origin::default();
    // A path without a slash, such as that of an object in this folder, is none to the system.
    let path = PathBuf::from(name);
    if path.is_file() {
        return Ok(path);
    }
    find::find(name, &nobody)
        .map_err(|searched| ElfError::new(name, ElfErrorKind::NotFound { searched }))
}

/// Reads a file; the name is for messages.
///
/// # Errors
/// It is neither a shared library nor a relocatable object for this processor, or damaged.
pub fn inspect(name: &str, data: Vec<u8>) -> Result<Description, ElfError> {
    if is_object(&data) {
        let file = Named { name, data: &data };
        return Ok(object(&Relocatable::parse(file)?));
    }
    let object = SharedObject::parse(name, data)?;
    let is_wanted = |symbol: &&crate::symbol::Symbol| {
        symbol.definition == Definition::Undefined && !symbol.is_weak && !symbol.name.is_empty()
    };
    let wanted = object.symbols.iter().filter(is_wanted);
    let mut undefined: Vec<String> = wanted
        .map(|symbol| match &symbol.version {
            Some(version) => format!("{}@{version}", symbol.name),
            None => symbol.name.clone(),
        })
        .collect();
    undefined.sort();
    let refusal = object.refusal().map(|refusal| refusal.to_string());
    Ok(Description {
        is_object: false,
        symbols: library::exported(&object.symbols).0,
        undefined,
        refusal,
        soname: object.soname,
        needed: object.needed,
    })
}

/// Does everything to a file that is done before something of it runs: the part of loading and
/// linking that has to stand whatever bytes it is given.
///
/// # Errors
/// Whatever loading or linking it would say.
pub fn rehearse(name: &str, data: Vec<u8>) -> Result<(), ElfError> {
    if is_object(&data) || archive::is_archive(&data) {
        let name = name.to_owned();
        return link::rehearse(&[Object { name, data }]);
    }
    load::rehearse(SharedObject::parse(name, data)?)
}

/// Whether the file type is that of a relocatable object.
fn is_object(data: &[u8]) -> bool {
    data.get(16..18) == Some(&elf::ET_REL.0.to_le_bytes())
}

fn object(object: &Relocatable) -> Description {
    let mut symbols = Vec::new();
    let mut undefined = Vec::new();
    for symbol in object.symbols.iter().filter(|symbol| !symbol.is_local) {
        if symbol.home == Home::Undefined {
            if !symbol.is_weak {
                undefined.push(symbol.name.clone());
            }
        } else if !symbol.is_hidden {
            symbols.push(Export {
                name: symbol.name.clone(),
                version: None,
                is_default: true,
                kind: symbol.kind,
                size: symbol.size,
            });
        }
    }
    symbols.sort_by(|a, b| a.name.cmp(&b.name));
    undefined.sort();
    Description {
        is_object: true,
        soname: None,
        needed: Vec::new(),
        symbols,
        undefined,
        refusal: None,
    }
}
