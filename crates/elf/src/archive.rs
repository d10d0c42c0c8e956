//! Archives: libraries of objects, of which a link takes those that it needs.
//!
//! `ar` writes objects one after the other, each behind a header of text. As linkers do, members
//! are taken that define a name which is wanted so far, until nothing more is found; an archive
//! that nothing stands before is taken whole, since somebody wants to look into it.
//!
//! Sources: `ar(5)`; System V ABI, "Archive File".

use std::borrow::Cow;
use std::collections::HashSet;

use crate::file::Named;
use crate::relocatable::{Home, Relocatable};
use crate::{ElfError, ElfErrorKind, Object};

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// Whether a file is an archive.
pub(crate) fn is_archive(data: &[u8]) -> bool {
    data.starts_with(MAGIC)
}

/// The objects to link: those given, and of archives the members that are wanted.
pub(crate) fn expanded(given: &[Object]) -> Result<Cow<'_, [Object]>, ElfError> {
    if !given.iter().any(|object| is_archive(&object.data)) {
        return Ok(Cow::Borrowed(given));
    }
    let (mut taken, mut left) = (Vec::new(), Vec::new());
    for object in given {
        if is_archive(&object.data) {
            left.extend(members(object)?);
        } else {
            taken.push(object.clone());
        }
    }
    if taken.is_empty() {
        return Ok(Cow::Owned(left));
    }
    let (mut wanted, mut defined) = (HashSet::new(), HashSet::new());
    for object in &taken {
        note(object, &mut wanted, &mut defined)?;
    }
    loop {
        let mut found = false;
        for object in std::mem::take(&mut left) {
            if offers(&object, &wanted, &defined)? {
                note(&object, &mut wanted, &mut defined)?;
                taken.push(object);
                found = true;
            } else {
                left.push(object);
            }
        }
        if !found {
            return Ok(Cow::Owned(taken));
        }
    }
}

/// Adds the names that an object wants and defines.
fn note(
    object: &Object,
    wanted: &mut HashSet<String>,
    defined: &mut HashSet<String>,
) -> Result<(), ElfError> {
    for symbol in parsed(object)?.symbols {
        if symbol.is_local || symbol.name.is_empty() {
            continue;
        }
        match symbol.home {
            // Nobody looks for a weak one.
            Home::Undefined if symbol.is_weak => false,
            Home::Undefined => wanted.insert(symbol.name),
            _ => defined.insert(symbol.name),
        };
    }
    Ok(())
}

/// Whether an object defines a name that is wanted and nobody defines yet.
fn offers(
    object: &Object,
    wanted: &HashSet<String>,
    defined: &HashSet<String>,
) -> Result<bool, ElfError> {
    Ok(parsed(object)?.symbols.iter().any(|symbol| {
        !symbol.is_local
            && symbol.home != Home::Undefined
            && wanted.contains(&symbol.name)
            && !defined.contains(&symbol.name)
    }))
}

fn parsed(object: &Object) -> Result<Relocatable<'_>, ElfError> {
    Relocatable::parse(Named {
        name: &object.name,
        data: &object.data,
    })
}

/// The objects in an archive.
fn members(archive: &Object) -> Result<Vec<Object>, ElfError> {
    let damaged = |offset: usize| {
        let file = Named {
            name: &archive.name,
            data: &archive.data,
        };
        file.damaged("a member of the archive", offset as u64)
    };
    let mut members = Vec::new();
    let mut long_names: &[u8] = &[];
    let mut at = MAGIC.len();
    while at < archive.data.len() {
        let broken = || damaged(at);
        let header = archive.data.get(at..at + HEADER).ok_or_else(broken)?;
        let field = |start: usize, len: usize| {
            let bytes = header.get(start..start + len).unwrap_or_default();
            std::str::from_utf8(bytes).unwrap_or_default().trim_end()
        };
        let len: usize = field(48, 10).parse().map_err(|_| broken())?;
        let start = at + HEADER;
        let end = start.checked_add(len).ok_or_else(broken)?;
        let data = archive.data.get(start..end).ok_or_else(broken)?;
        match field(0, 16) {
            // Indices of symbols: the objects themselves say it too.
            "/" | "/SYM64/" | "__.SYMDEF" => {}
            "//" => long_names = data,
            name => {
                let name = long_name(name, long_names).unwrap_or(name);
                members.push(Object {
                    name: format!("{}({})", archive.name, name.trim_end_matches('/')),
                    data: data.to_vec(),
                });
            }
        }
        at = end + end % 2;
    }
    if members.is_empty() {
        let nothing = vec!["anything to link".to_owned()];
        return Err(ElfError::new(&archive.name, ElfErrorKind::Missing(nothing)));
    }
    Ok(members)
}

/// A name that stands in the table of long names, `/123` in the header.
fn long_name<'a>(name: &str, table: &'a [u8]) -> Option<&'a str> {
    let start: usize = name.strip_prefix('/')?.parse().ok()?;
    let rest = table.get(start..)?;
    let len = rest.iter().position(|&byte| byte == b'\n')?;
    std::str::from_utf8(rest.get(..len)?).ok()
}
