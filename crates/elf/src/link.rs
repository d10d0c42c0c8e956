//! Linking: from relocatable objects to one image that runs.
//!
//! `gcc -c` leaves calls and addresses of other sections, objects and libraries as zeros and says
//! in relocations what belongs there. All sections are laid out in one image, by purpose; every
//! symbol gets one meaning; then the places are filled in. Code is never far from its data, but a
//! library of the process may lie anywhere, farther than the 2 GiB that a call reaches. So calls
//! to it go to a *stub* in the image, which jumps through a word of the *address table*; code
//! compiled with `-fPIC` or `-fPIE` reads addresses of foreign data from the same table.
//!
//! ```text
//! constants, frames | code, stubs | address table, initialisers, frozen data | variables
//! ```
//!
//! Objects that were compiled without either flag hold addresses in 32 bits; their image is laid
//! out below 2 GiB.
//!
//! Sources: AMD64 supplement, "Relocation Types" and "Global Offset Table"; System V ABI, "Section
//! Groups"; Drepper, "ELF Handling For Thread-Local Storage".

use std::collections::HashMap;
use std::ops::Range;

use opcodon_codemem::{Draft, Part, Place};

use crate::archive;
use crate::file::word;
use crate::find::Origin;
use crate::layout::{Entry, Plan, SectionId, SymbolId};
use crate::library::Library;
use crate::load;
use crate::relocatable::{Home, Purpose, Relocatable};
use crate::room;
use crate::run::{Choice, Sealed, run};
use crate::scope::Scope;
use crate::seal;
use crate::symbol::{Definition, Symbol, SymbolKind};
use crate::tls;
use crate::{ElfError, ElfErrorKind, Object, Refusal};

/// Links objects in memory and runs their initialisers; archives of objects give the members that
/// are needed, or all of them if there is nothing else. What they leave undefined is looked up in
/// the process, then in the given libraries, which the system loads.
///
/// # Errors
/// A file is no relocatable object for this processor, names are missing or defined twice, or an
/// address is out of reach.
pub fn link(objects: &[Object], libraries: &[String]) -> Result<Library, ElfError> {
    let objects = archive::expanded(objects)?;
    let plan = Plan::new(&objects)?;
    let mut scope = Scope::default();
    let loaded = load::systems(libraries, &Origin::default(), false);
    let failed =
        |(name, message): (String, String)| ElfError::new(&name, ElfErrorKind::System(message));
    for system in loaded.map_err(failed)? {
        scope.add(system);
    }
    let linked = plan.link(&scope)?;
    let (sealed, choices, borrowed) = linked.seal()?;
    let loaded = run(vec![sealed], &choices, &[0], borrowed, scope)?;
    Ok(Library::of(std::sync::Arc::new(loaded)))
}

/// Does everything that happens before something is executed.
pub(crate) fn rehearse(objects: &[Object]) -> Result<(), ElfError> {
    let objects = archive::expanded(objects)?;
    Plan::new(&objects)?.link(&Scope::default()).map(|_| ())
}

/// What a name means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Meaning {
    /// An address.
    Address(u64),
    /// What the function at this address returns; callers go through the stub at the other.
    Chosen(u64, u64),
    /// A thread-local variable that is defined here: its offset in the block.
    Variable(u64),
    /// A thread-local variable of the process.
    ProcessVariable,
    /// Something that was left out.
    Discarded,
}

impl<'d> Plan<'d> {
    /// Copies everything to where it will be, and fills in all addresses.
    fn link(self, scope: &Scope) -> Result<Linked<'d>, ElfError> {
        let failed = |error| self.objects[0].file.error(ElfErrorKind::Memory(error));
        let place = if self.is_low {
            Place::Low
        } else {
            Place::Anywhere
        };
        let room = self.len.saturating_add(self.align);
        let draft = Draft::new(room, place).map_err(failed)?;
        let shift = draft.address().next_multiple_of(self.align) - draft.address();
        let mut linked = Linked {
            meanings: self.meanings(draft.address() + shift, scope)?,
            scope: scope.clone(),
            number: (self.variables_len > 0).then(tls::Number::new),
            room: None,
            draft,
            shift,
            choices: Vec::new(),
            borrowed: Vec::new(),
            plan: self,
        };
        linked.copy()?;
        let is_variable = |purpose| purpose == Purpose::ThreadLocal;
        linked.fill_places(is_variable)?;
        linked.keep_variables()?;
        linked.fill_entries()?;
        linked
            .fill_places(|purpose| !is_variable(purpose) && purpose != Purpose::ThreadLocalZero)?;
        Ok(linked)
    }

    /// What all symbols mean that are used.
    fn meanings(&self, base: usize, scope: &Scope) -> Result<HashMap<SymbolId, Meaning>, ElfError> {
        let mut meanings = HashMap::new();
        let mut missing = Vec::new();
        for (index, object) in self.objects.iter().enumerate() {
            let sections = object.sections.iter().flatten();
            for relocation in sections.flat_map(|section| &section.relocations) {
                let id = self.resolved((index, relocation.symbol));
                if meanings.contains_key(&id) {
                    continue;
                }
                let meaning = self.meaning(id, base, scope).unwrap_or_else(|| {
                    if !self.symbol(id).is_weak {
                        missing.push(self.symbol(id).name.clone());
                    }
                    Meaning::Address(0)
                });
                meanings.insert(id, meaning);
            }
        }
        for &id in self.globals.values() {
            if let Some(meaning) = self.meaning(id, base, scope) {
                meanings.insert(id, meaning);
            }
        }
        if missing.is_empty() {
            return Ok(meanings);
        }
        missing.sort();
        missing.dedup();
        let names: Vec<&str> = self.objects.iter().map(|object| object.file.name).collect();
        let names = names.join(", ");
        Err(ElfError::new(&names, ElfErrorKind::Missing(missing)))
    }

    fn meaning(&self, id: SymbolId, base: usize, scope: &Scope) -> Option<Meaning> {
        let symbol = self.symbol(id);
        let at = |place: usize| (base + place) as u64;
        let section = match symbol.home {
            Home::Absolute => return Some(Meaning::Address(symbol.value)),
            Home::Common => return self.commons.get(&id).map(|&at_| Meaning::Address(at(at_))),
            Home::Undefined => return self.foreign(id, base, scope),
            Home::Section(section) => section,
        };
        let Some(&place) = self.places.get(&(id.0, section)) else {
            // In a group of which another copy is kept, or in no part of the program.
            return Some(Meaning::Discarded);
        };
        let purpose = self.objects[id.0].sections[section].as_ref()?.purpose;
        if matches!(purpose, Purpose::ThreadLocal | Purpose::ThreadLocalZero) {
            let offset = (place - self.variables.start) as u64;
            return Some(Meaning::Variable(offset.wrapping_add(symbol.value)));
        }
        let address = at(place).wrapping_add(symbol.value);
        if symbol.kind == SymbolKind::Indirect {
            let stub = at(*self.stubs.get(&id)?);
            return Some(Meaning::Chosen(address, stub));
        }
        Some(Meaning::Address(address))
    }

    /// What a name means that no object defines.
    fn foreign(&self, id: SymbolId, base: usize, scope: &Scope) -> Option<Meaning> {
        let symbol = self.symbol(id);
        let name = symbol.name.as_str();
        let address = match name {
            // The first symbol of each object, for relocations that have none.
            "" => 0,
            "__tls_get_addr" => seal::tls_getter(),
            "__dso_handle" => base + self.handle,
            "_GLOBAL_OFFSET_TABLE_" => base + self.frozen.start,
            _ => scope.find(name, None)?,
        };
        if symbol.kind == SymbolKind::ThreadLocal {
            return Some(Meaning::ProcessVariable);
        }
        Some(Meaning::Address(address as u64))
    }
}

/// An image with all addresses filled in.
pub(crate) struct Linked<'d> {
    pub(crate) plan: Plan<'d>,
    pub(crate) meanings: HashMap<SymbolId, Meaning>,
    pub(crate) draft: Draft,
    /// Offset of the image in the draft.
    pub(crate) shift: usize,
    pub(crate) choices: Vec<Choice>,
    pub(crate) borrowed: Vec<tls::Number>,
    pub(crate) scope: Scope,
    pub(crate) number: Option<tls::Number>,
    /// How far the first thread-local variable is from the thread pointer, if code needs that.
    room: Option<u64>,
}

impl Linked<'_> {
    pub(crate) fn base(&self) -> usize {
        self.draft.address() + self.shift
    }

    pub(crate) fn put(&mut self, place: usize, bytes: &[u8]) {
        let start = self.shift + place;
        self.draft.bytes_mut()[start..start + bytes.len()].copy_from_slice(bytes);
    }

    fn copy(&mut self) -> Result<(), ElfError> {
        let places: Vec<(SectionId, usize)> = self
            .plan
            .places
            .iter()
            .map(|(&id, &place)| (id, place))
            .collect();
        for ((object, index), place) in places {
            let Some(section) = &self.plan.objects[object].sections[index] else {
                continue;
            };
            let data = section.data;
            if data.is_empty() {
                // Variables that begin as zero have places in their block, not in the image.
                continue;
            }
            if section.purpose == Purpose::Frames && section.len % 4 != 0 {
                let what = "call frame information of an odd length";
                return Err(self.plan.objects[object].file.damaged(what, 0));
            }
            self.put(place, data);
        }
        let stubs: Vec<(SymbolId, usize)> = self
            .plan
            .stubs
            .iter()
            .map(|(&id, &place)| (id, place))
            .collect();
        for (id, place) in stubs {
            let Some(&entry) = self.plan.entries.get(&Entry::Address(id)) else {
                continue;
            };
            // jmp [rip + distance]; int3; int3
            let distance = u32::try_from(entry - place - 6).unwrap_or(u32::MAX);
            let mut stub = [0xff, 0x25, 0, 0, 0, 0, 0xcc, 0xcc];
            stub[2..6].copy_from_slice(&distance.to_le_bytes());
            self.put(place, &stub);
        }
        Ok(())
    }

    pub(crate) fn meaning(&self, id: SymbolId) -> Meaning {
        self.meanings
            .get(&id)
            .copied()
            .unwrap_or(Meaning::Discarded)
    }

    /// Fills in the address table.
    fn fill_entries(&mut self) -> Result<(), ElfError> {
        let entries: Vec<(Entry, usize)> = self
            .plan
            .entries
            .iter()
            .map(|(&entry, &place)| (entry, place))
            .collect();
        let handle = (self.base() + self.plan.handle) as u64;
        self.put(self.plan.handle, &handle.to_le_bytes());
        for (entry, place) in entries {
            let own = self.number.as_ref().map_or(0, tls::Number::get);
            let words: [u64; 2] = match entry {
                Entry::Module => [own, 0],
                Entry::Address(id) => match self.meaning(id) {
                    Meaning::Address(address) => [address, 0],
                    Meaning::Chosen(chooser, _) => {
                        self.choices.push(Choice {
                            module: 0,
                            offset: self.shift + place,
                            chooser,
                            addend: 0,
                            place: 0,
                        });
                        [0, 0]
                    }
                    Meaning::Variable(_) | Meaning::ProcessVariable => {
                        let what = "the address of a thread-local variable as if it were another";
                        return Err(self.plan.objects[id.0].file.damaged(what, 0));
                    }
                    Meaning::Discarded => [0, 0],
                },
                Entry::Variable(id) => self.variable(id, own),
                Entry::Static(id) => {
                    let offset = match self.meaning(id) {
                        Meaning::Variable(offset) => offset,
                        _ => 0,
                    };
                    [self.distance(id, 0)?.wrapping_add(offset), 0]
                }
                Entry::Descriptor(id) => {
                    let [module, offset] = self.variable(id, own);
                    let file = self.plan.objects[id.0].file;
                    let (relocation, place) = ("R_X86_64_GOTPC32_TLSDESC", 0);
                    let function = seal::descriptor_entry().ok_or_else(|| {
                        let refusal = Refusal::TlsDescriptor {
                            relocation,
                            offset: place,
                        };
                        file.error(ElfErrorKind::Refused(refusal))
                    })?;
                    let argument = seal::descriptor_argument(module, offset)
                        .ok_or_else(|| file.damaged("a variable behind its block", place))?;
                    [function, argument]
                }
            };
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            self.put(place, &bytes[..entry.len()]);
        }
        Ok(())
    }

    /// Module and offset of a thread-local variable; the module of those defined here is `own`.
    fn variable(&mut self, id: SymbolId, own: u64) -> [u64; 2] {
        if let Meaning::Variable(offset) = self.meaning(id) {
            return [own, offset];
        }
        let number = tls::Number::new();
        number.define(self.scope.variable(&self.plan.symbol(id).name, None));
        let words = [number.get(), 0];
        self.borrowed.push(number);
        words
    }

    /// How far the block of a thread-local variable is from the thread pointer, or the variable
    /// itself if it is one of the process.
    pub(crate) fn distance(&self, id: SymbolId, offset: u64) -> Result<u64, ElfError> {
        let distance = match self.meaning(id) {
            Meaning::ProcessVariable => self.scope.static_offset(&self.plan.symbol(id).name, None),
            _ => self.room,
        };
        distance.ok_or_else(|| {
            let relocation = "TPOFF";
            let refusal = Refusal::DynamicTls { relocation, offset };
            self.plan.objects[id.0]
                .file
                .error(ElfErrorKind::Refused(refusal))
        })
    }

    /// Remembers the initial values of thread-local variables, or has them put where code that
    /// counts from the thread pointer can find them.
    fn keep_variables(&mut self) -> Result<(), ElfError> {
        let Some(number) = &self.number else {
            return Ok(());
        };
        let range = &self.plan.variables;
        let initial = &self.draft.bytes()[self.shift + range.start..self.shift + range.end];
        let extent = (self.plan.variables_len, self.plan.variables_align);
        self.room =
            room::define(number, initial, extent, self.plan.is_static).map_err(|refusal| {
                let file = &self.plan.objects[0].file;
                file.error(ElfErrorKind::Refused(refusal))
            })?;
        Ok(())
    }

    /// Makes the image executable.
    fn seal(self) -> Result<(Sealed, Vec<Choice>, Vec<tls::Number>), ElfError> {
        let base = self.base() as u64;
        let array = |range: &Range<usize>| {
            let places = range.clone().step_by(8).map(|place| self.shift + place);
            let words = places.map_while(|place| word(self.draft.bytes(), place));
            let words = words.filter(|&word| word != 0 && word != u64::MAX);
            words.collect::<Vec<u64>>()
        };
        let initialisers = array(&self.plan.initialisers);
        let mut finalisers = array(&self.plan.finalisers);
        finalisers.reverse();
        let shifted = |range: &Range<usize>| self.shift + range.start..self.shift + range.end;
        let parts: Vec<Part> = self
            .plan
            .parts
            .iter()
            .map(|part| Part {
                range: shifted(&part.range),
                access: part.access,
            })
            .collect();
        let names: Vec<&str> = self
            .plan
            .objects
            .iter()
            .map(|object| object.file.name)
            .collect();
        let names = names.join(", ");
        let symbols = self.exports();
        let is_kept = |object: &Relocatable| {
            let mut names = object.symbols.iter().map(|symbol| symbol.name.as_str());
            names.any(|name| name == "__cxa_thread_atexit")
        };
        let stays = self.plan.objects.iter().any(is_kept);
        let relro = shifted(&self.plan.frozen);
        let frames = self.shift + self.plan.frames.start;
        let handle = self.base() + self.plan.handle;
        let image = self.draft.seal(&parts);
        let image = image.map_err(|error| ElfError::new(&names, ElfErrorKind::Memory(error)))?;
        let sealed = Sealed {
            name: names,
            symbols,
            image,
            bias: base,
            initialisers,
            finalisers,
            handle: Some(handle),
            relro: Some(relro),
            frames: Some(frames),
            stays,
            tls: self.number,
        };
        Ok((sealed, self.choices, self.borrowed))
    }

    /// The names that the objects offer.
    fn exports(&self) -> Vec<Symbol> {
        let globals = self.plan.globals.values();
        let offered = globals.filter(|&&id| !self.plan.symbol(id).is_hidden);
        let export = |&id: &SymbolId| {
            let symbol = self.plan.symbol(id);
            let base = self.base() as u64;
            let (value, kind) = match self.meaning(id) {
                Meaning::Address(address) => (address.wrapping_sub(base), symbol.kind),
                Meaning::Chosen(_, stub) => (stub - base, SymbolKind::Function),
                Meaning::Variable(offset) => (offset, SymbolKind::ThreadLocal),
                Meaning::ProcessVariable | Meaning::Discarded => return None,
            };
            let is_absolute = symbol.home == Home::Absolute;
            Some(Symbol {
                name: symbol.name.clone(),
                value: if is_absolute { symbol.value } else { value },
                size: symbol.size,
                kind,
                definition: if is_absolute {
                    Definition::Absolute
                } else {
                    Definition::Here
                },
                is_weak: symbol.is_weak,
                is_local: false,
                version: None,
                is_hidden: false,
            })
        };
        offered.filter_map(export).collect()
    }
}
