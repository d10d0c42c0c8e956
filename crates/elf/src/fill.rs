//! Filling in: what the relocations of linked objects write, and how wide.
//!
//! # Invariant
//! What a relocation writes lies inside its section, and a value that does not fit is an error.
//!
//! Source: AMD64 supplement, "Relocation Types".

use object::elf;

use crate::file::size;
use crate::layout::Entry;
use crate::link::{Linked, Meaning};
use crate::relocatable::{ObjectRelocation, Purpose};
use crate::{ElfError, ElfErrorKind, Refusal};

impl Linked<'_> {
    /// Fills in what the relocations of the sections ask for whose purpose is meant.
    pub(crate) fn fill_places(
        &mut self,
        is_meant: impl Fn(Purpose) -> bool,
    ) -> Result<(), ElfError> {
        for object in 0..self.plan.objects.len() {
            for index in 0..self.plan.objects[object].sections.len() {
                let Some(&place) = self.plan.places.get(&(object, index)) else {
                    continue;
                };
                let n_relocations = match &self.plan.objects[object].sections[index] {
                    Some(section) if is_meant(section.purpose) => section.relocations.len(),
                    _ => 0,
                };
                for number in 0..n_relocations {
                    self.fill(object, index, place, number)?;
                }
            }
        }
        Ok(())
    }

    fn fill(
        &mut self,
        object: usize,
        index: usize,
        place: usize,
        number: usize,
    ) -> Result<(), ElfError> {
        let file = self.plan.objects[object].file;
        let Some(section) = &self.plan.objects[object].sections[index] else {
            return Ok(());
        };
        let relocation = section.relocations[number];
        let width = width(relocation.kind).ok_or_else(|| {
            file.error(ElfErrorKind::Refused(Refusal::Relocation {
                number: relocation.kind.0,
                offset: relocation.offset,
            }))
        })?;
        let end = relocation.at.checked_add(width.len as u64);
        if end.is_none_or(|end| end > section.len) {
            return Err(file.damaged("the place of a relocation", relocation.offset));
        }
        let at = place + size(relocation.at);
        let value = self.value(object, &relocation, at)?;
        let bytes = value.unwrap_or(0).to_le_bytes();
        let fits = value.is_none_or(|value| width.holds(value));
        if !fits {
            let id = self.plan.resolved((object, relocation.symbol));
            return Err(file.error(ElfErrorKind::Reach {
                relocation: format!("relocation type {}", relocation.kind.0),
                offset: relocation.offset,
                name: match self.plan.symbol(id).name.as_str() {
                    "" => "its own data".to_owned(),
                    name => name.to_owned(),
                },
            }));
        }
        self.put(at, &bytes[..width.len]);
        Ok(())
    }

    /// What a relocation writes at an offset of the image; `None` where what it is about was left
    /// out.
    fn value(
        &self,
        object: usize,
        relocation: &ObjectRelocation,
        at: usize,
    ) -> Result<Option<u64>, ElfError> {
        let file = self.plan.objects[object].file;
        let id = self.plan.resolved((object, relocation.symbol));
        let meaning = self.meaning(id);
        let place = (self.base() + at) as u64;
        let table = (self.base() + self.plan.frozen.start) as u64;
        let damaged = |what| file.damaged(what, relocation.offset);
        let entry = |entry: Entry| {
            let place = self.plan.entries.get(&entry);
            let place = place.ok_or_else(|| damaged("a relocation without its table entry"))?;
            Ok::<u64, ElfError>((self.base() + place) as u64)
        };
        let variable = || match meaning {
            Meaning::Variable(offset) => Ok(offset),
            _ => Err(damaged("the offset of what is no thread-local variable")),
        };
        if matches!(meaning, Meaning::Discarded) {
            return Ok(None);
        }
        // Calls go through the stub, if there is one.
        let stub = self
            .plan
            .stubs
            .get(&id)
            .map(|&stub| (self.base() + stub) as u64);
        let plain = match meaning {
            Meaning::Address(address) => Some(address),
            Meaning::Chosen(_, stub) => Some(stub),
            _ => None,
        };
        let address =
            || plain.ok_or_else(|| damaged("a thread-local variable as if it were another"));
        let from_here = |value: u64| value.wrapping_sub(place);
        let value = match relocation.kind {
            elf::R_X86_64_64
            | elf::R_X86_64_32
            | elf::R_X86_64_32S
            | elf::R_X86_64_16
            | elf::R_X86_64_8 => address()?,
            elf::R_X86_64_PC64 | elf::R_X86_64_PC32 | elf::R_X86_64_PC16 | elf::R_X86_64_PC8 => {
                from_here(address()?)
            }
            elf::R_X86_64_PLT32 => from_here(stub.map_or_else(address, Ok)?),
            elf::R_X86_64_PLTOFF64 => stub.map_or_else(address, Ok)?.wrapping_sub(table),
            elf::R_X86_64_GOTPCREL
            | elf::R_X86_64_GOTPCRELX
            | elf::R_X86_64_REX_GOTPCRELX
            | elf::R_X86_64_CODE_4_GOTPCRELX
            | elf::R_X86_64_GOTPCREL64 => from_here(entry(Entry::Address(id))?),
            elf::R_X86_64_GOT32 | elf::R_X86_64_GOT64 => {
                entry(Entry::Address(id))?.wrapping_sub(table)
            }
            elf::R_X86_64_GOTPC32 | elf::R_X86_64_GOTPC64 => from_here(table),
            elf::R_X86_64_GOTOFF64 => address()?.wrapping_sub(table),
            elf::R_X86_64_TLSGD => from_here(entry(Entry::Variable(id))?),
            elf::R_X86_64_TLSLD => from_here(entry(Entry::Module)?),
            elf::R_X86_64_DTPOFF32 | elf::R_X86_64_DTPOFF64 => variable()?,
            elf::R_X86_64_GOTTPOFF => from_here(entry(Entry::Static(id))?),
            elf::R_X86_64_SIZE32 | elf::R_X86_64_SIZE64 => self.plan.symbol(id).size,
            elf::R_X86_64_GOTPC32_TLSDESC => from_here(entry(Entry::Descriptor(id))?),
            // It marks a call.
            elf::R_X86_64_TLSDESC_CALL => return Ok(None),
            elf::R_X86_64_TPOFF32 | elf::R_X86_64_TPOFF64 => {
                let variable = if matches!(meaning, Meaning::ProcessVariable) {
                    0
                } else {
                    variable()?
                };
                self.distance(id, relocation.offset)?.wrapping_add(variable)
            }
            _ => 0,
        };
        let is_absent = self.plan.symbol(id).is_weak && matches!(meaning, Meaning::Address(0));
        if is_absent && relocation.kind == elf::R_X86_64_PC32 {
            // Compared with zero before it is used, and zero is out of reach.
            return Ok(None);
        }
        Ok(Some(value.wrapping_add_signed(relocation.addend)))
    }
}

/// How many bytes a relocation writes, and which values those hold.
#[derive(Clone, Copy)]
struct Width {
    len: usize,
    range: Numbers,
}

/// What the bytes are taken for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Signed,
    Unsigned,
    /// Whatever the processor makes of them.
    Either,
}

impl Width {
    fn holds(self, value: u64) -> bool {
        let bits = 8 * self.len;
        if bits == 64 {
            return true;
        }
        let is_unsigned = value >> bits == 0;
        let signed = value.cast_signed();
        let is_signed = signed >> (bits - 1) == 0 || signed >> (bits - 1) == -1;
        match self.range {
            Numbers::Signed => is_signed,
            Numbers::Unsigned => is_unsigned,
            Numbers::Either => is_signed || is_unsigned,
        }
    }
}

/// The width of a relocation; `None` for one that is not known.
fn width(kind: elf::RelocationType) -> Option<Width> {
    let (len, range) = match kind {
        elf::R_X86_64_64
        | elf::R_X86_64_PC64
        | elf::R_X86_64_GOTPCREL64
        | elf::R_X86_64_GOT64
        | elf::R_X86_64_GOTPC64
        | elf::R_X86_64_GOTOFF64
        | elf::R_X86_64_PLTOFF64
        | elf::R_X86_64_DTPOFF64
        | elf::R_X86_64_TPOFF64
        | elf::R_X86_64_SIZE64 => (8, Numbers::Either),
        elf::R_X86_64_32 | elf::R_X86_64_SIZE32 => (4, Numbers::Unsigned),
        elf::R_X86_64_32S
        | elf::R_X86_64_PC32
        | elf::R_X86_64_PLT32
        | elf::R_X86_64_GOTPCREL
        | elf::R_X86_64_GOTPCRELX
        | elf::R_X86_64_REX_GOTPCRELX
        | elf::R_X86_64_CODE_4_GOTPCRELX
        | elf::R_X86_64_GOT32
        | elf::R_X86_64_GOTPC32
        | elf::R_X86_64_TLSGD
        | elf::R_X86_64_TLSLD
        | elf::R_X86_64_DTPOFF32
        | elf::R_X86_64_GOTTPOFF
        | elf::R_X86_64_GOTPC32_TLSDESC
        | elf::R_X86_64_TPOFF32 => (4, Numbers::Signed),
        elf::R_X86_64_16 => (2, Numbers::Either),
        elf::R_X86_64_PC16 => (2, Numbers::Signed),
        elf::R_X86_64_TLSDESC_CALL => (0, Numbers::Either),
        elf::R_X86_64_8 => (1, Numbers::Either),
        elf::R_X86_64_PC8 => (1, Numbers::Signed),
        _ => return None,
    };
    Some(Width { len, range })
}
