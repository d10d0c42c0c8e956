//! Layout: where every section, table entry and stub of a linked image will be.
//!
//! Sections are laid out by purpose, in the order of the object files; the address table and the
//! stubs are as long as the relocations ask for.
//!
//! # Invariant
//! A plan depends on nothing but the objects: not on where the image will be, nor on the process.

use std::collections::hash_map::Entry::Vacant;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use object::elf;
use opcodon_codemem::{Access, Part};

use crate::file::{Named, size};
use crate::relocatable::{Home, ObjectSymbol, Purpose, Relocatable};
use crate::shared::PAGE;
use crate::symbol::SymbolKind;
use crate::{ElfError, ElfErrorKind, Object};

/// Which symbol of which object.
pub(crate) type SymbolId = (usize, usize);

/// Which section of which object.
pub(crate) type SectionId = (usize, usize);

/// What a table entry holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Entry {
    /// The address of a symbol.
    Address(SymbolId),
    /// The distance of a thread-local symbol from the thread pointer.
    Static(SymbolId),
    /// Module and offset of a thread-local symbol: two words.
    Variable(SymbolId),
    /// Module of all thread-local symbols that are defined here, and zero: two words.
    Module,
    /// A function that finds a thread-local symbol, and what it is told: two words.
    Descriptor(SymbolId),
}

impl Entry {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Address(_) | Self::Static(_) => 8,
            Self::Variable(_) | Self::Module | Self::Descriptor(_) => 16,
        }
    }
}

/// Where everything will be.
pub(crate) struct Plan<'d> {
    pub(crate) objects: Vec<Relocatable<'d>>,
    /// Offsets in the image; of thread-local sections that begin as zero, in their block.
    pub(crate) places: HashMap<SectionId, usize>,
    /// Global symbols that are defined here.
    pub(crate) globals: HashMap<String, SymbolId>,
    /// Offsets of common symbols.
    pub(crate) commons: HashMap<SymbolId, usize>,
    /// Offsets of the entries of the address table.
    pub(crate) entries: HashMap<Entry, usize>,
    /// Offsets of the stubs.
    pub(crate) stubs: HashMap<SymbolId, usize>,
    pub(crate) parts: Vec<Part>,
    pub(crate) frozen: Range<usize>,
    pub(crate) frames: Range<usize>,
    pub(crate) initialisers: Range<usize>,
    pub(crate) finalisers: Range<usize>,
    /// The initial values of thread-local variables, in the image.
    pub(crate) variables: Range<usize>,
    pub(crate) variables_len: usize,
    pub(crate) variables_align: usize,
    /// What the image calls itself towards the C library.
    pub(crate) handle: usize,
    pub(crate) len: usize,
    pub(crate) align: usize,
    pub(crate) is_low: bool,
    /// Whether code counts thread-local variables from the thread pointer.
    pub(crate) is_static: bool,
}

/// Bytes of a stub: a jump through memory, and two that are never reached.
const STUB_LEN: usize = 8;

impl<'d> Plan<'d> {
    pub(crate) fn new(objects: &'d [Object]) -> Result<Self, ElfError> {
        let mut parsed = Vec::new();
        for object in objects {
            parsed.push(Relocatable::parse(Named {
                name: &object.name,
                data: &object.data,
            })?);
        }
        let mut plan = Self {
            objects: parsed,
            places: HashMap::new(),
            globals: HashMap::new(),
            commons: HashMap::new(),
            entries: HashMap::new(),
            stubs: HashMap::new(),
            parts: Vec::new(),
            frozen: 0..0,
            frames: 0..0,
            initialisers: 0..0,
            finalisers: 0..0,
            variables: 0..0,
            variables_len: 0,
            variables_align: 1,
            handle: 0,
            len: 0,
            align: 1,
            is_low: false,
            is_static: false,
        };
        plan.keep_one_of_each_group();
        plan.define()?;
        let (entries, stubs) = plan.wanted();
        let Some(first) = plan.objects.first().map(|object| object.file) else {
            let nothing = vec!["anything to link".to_owned()];
            return Err(ElfError::new("link", ElfErrorKind::Missing(nothing)));
        };
        let laid = plan.lay_out(&entries, &stubs);
        laid.ok_or_else(|| first.damaged("the length of all sections together", 0))?;
        Ok(plan)
    }

    fn keep_one_of_each_group(&mut self) {
        let mut known = HashSet::new();
        for object in &mut self.objects {
            for group in std::mem::take(&mut object.groups) {
                if known.insert(group.name) {
                    continue;
                }
                for index in group.sections {
                    if let Some(section) = object.sections.get_mut(index) {
                        *section = None;
                    }
                }
            }
        }
    }

    /// Decides which definition each global name has.
    fn define(&mut self) -> Result<(), ElfError> {
        for (index, object) in self.objects.iter().enumerate() {
            for (number, symbol) in object.symbols.iter().enumerate() {
                if symbol.is_local || symbol.name.is_empty() || !self.is_defined(index, symbol) {
                    continue;
                }
                let id = (index, number);
                let old = self.globals.get(&symbol.name).copied();
                let Some(old_id) = old else {
                    self.globals.insert(symbol.name.clone(), id);
                    continue;
                };
                let old = self.symbol(old_id);
                let strength = |symbol: &ObjectSymbol| match symbol.home {
                    _ if symbol.is_weak => 0,
                    Home::Common => 1,
                    _ => 2,
                };
                let larger = symbol.home == Home::Common && symbol.size > old.size;
                match strength(symbol).cmp(&strength(old)) {
                    std::cmp::Ordering::Equal if strength(old) == 2 => {
                        return Err(object.file.error(ElfErrorKind::Duplicate {
                            name: symbol.name.clone(),
                            first: self.objects[old_id.0].file.name.to_owned(),
                        }));
                    }
                    std::cmp::Ordering::Greater => {}
                    std::cmp::Ordering::Equal if larger => {}
                    _ => continue,
                }
                self.globals.insert(symbol.name.clone(), id);
            }
        }
        Ok(())
    }

    /// Whether a symbol is defined in a section that is kept, or needs none.
    fn is_defined(&self, object: usize, symbol: &ObjectSymbol) -> bool {
        match symbol.home {
            Home::Undefined => false,
            Home::Absolute | Home::Common => true,
            Home::Section(section) => self.objects[object].sections[section].is_some(),
        }
    }

    pub(crate) fn symbol(&self, (object, number): SymbolId) -> &ObjectSymbol {
        &self.objects[object].symbols[number]
    }

    /// The symbol that a name stands for: for global ones the definition, if there is one.
    pub(crate) fn resolved(&self, id: SymbolId) -> SymbolId {
        let symbol = self.symbol(id);
        if symbol.is_local {
            return id;
        }
        self.globals.get(&symbol.name).copied().unwrap_or(id)
    }

    /// Whether the symbol is defined outside, or chosen when the image runs.
    fn needs_stub(&self, id: SymbolId) -> bool {
        let symbol = self.symbol(id);
        !self.is_defined(id.0, symbol) || symbol.kind == SymbolKind::Indirect
    }

    /// The entries of the address table and the stubs that relocations ask for.
    fn wanted(&mut self) -> (Vec<Entry>, Vec<SymbolId>) {
        let (mut entries, mut stubs) = (Vec::new(), Vec::new());
        let (mut is_low, mut is_static) = (false, false);
        for (index, object) in self.objects.iter().enumerate() {
            let sections = object.sections.iter().flatten();
            for relocation in sections.flat_map(|section| &section.relocations) {
                let id = self.resolved((index, relocation.symbol));
                is_low |= matches!(relocation.kind, elf::R_X86_64_32 | elf::R_X86_64_32S);
                match relocation.kind {
                    elf::R_X86_64_GOTPCREL
                    | elf::R_X86_64_GOTPCRELX
                    | elf::R_X86_64_REX_GOTPCRELX
                    | elf::R_X86_64_CODE_4_GOTPCRELX
                    | elf::R_X86_64_GOTPCREL64
                    | elf::R_X86_64_GOT64
                    | elf::R_X86_64_GOT32 => entries.push(Entry::Address(id)),
                    elf::R_X86_64_GOTTPOFF => {
                        entries.push(Entry::Static(id));
                        is_static |= self.is_defined(id.0, self.symbol(id));
                    }
                    elf::R_X86_64_TLSGD => entries.push(Entry::Variable(id)),
                    elf::R_X86_64_TLSLD => entries.push(Entry::Module),
                    elf::R_X86_64_GOTPC32_TLSDESC => entries.push(Entry::Descriptor(id)),
                    elf::R_X86_64_TPOFF32 | elf::R_X86_64_TPOFF64 => is_static = true,
                    _ => {}
                }
                // A chosen function has one address, that of its stub.
                let is_call = relocation.kind == elf::R_X86_64_PLT32
                    || relocation.kind == elf::R_X86_64_PLTOFF64;
                let is_chosen = self.symbol(id).kind == SymbolKind::Indirect;
                if (is_call || is_chosen) && self.needs_stub(id) {
                    entries.push(Entry::Address(id));
                    stubs.push(id);
                }
            }
        }
        for id in self.globals.values() {
            if self.symbol(*id).kind == SymbolKind::Indirect {
                entries.push(Entry::Address(*id));
                stubs.push(*id);
            }
        }
        self.is_low = is_low;
        self.is_static = is_static;
        (entries, stubs)
    }

    /// Gives everything its place; `None` if there is no room.
    fn lay_out(&mut self, entries: &[Entry], stubs: &[SymbolId]) -> Option<()> {
        let ids = self.sections();
        let mut cursor = Cursor::default();
        self.put(&mut cursor, &ids, Purpose::Constants)?;
        cursor.take(0, 8)?;
        let start = cursor.at;
        self.put(&mut cursor, &ids, Purpose::Frames)?;
        // Zeros end the list of frames.
        cursor.take(8, 1)?;
        self.frames = start..cursor.at;
        cursor.end_part(Access::Read)?;

        self.put(&mut cursor, &ids, Purpose::Code)?;
        for &id in stubs {
            if let Vacant(stub) = self.stubs.entry(id) {
                stub.insert(cursor.take(STUB_LEN, STUB_LEN)?);
            }
        }
        cursor.end_part(Access::Execute)?;

        let frozen = cursor.at;
        self.handle = cursor.take(8, 8)?;
        for &entry in entries {
            if let Vacant(place) = self.entries.entry(entry) {
                place.insert(cursor.take(entry.len(), 8)?);
            }
        }
        self.initialisers = self.put(&mut cursor, &ids, Purpose::Initialisers)?;
        self.finalisers = self.put(&mut cursor, &ids, Purpose::Finalisers)?;
        let is_variable =
            |purpose| matches!(purpose, Purpose::ThreadLocal | Purpose::ThreadLocalZero);
        let variables = ids.iter().filter(|(purpose, _, _)| is_variable(*purpose));
        let aligns = variables.map(|&(_, _, id)| self.section_extent(id).1);
        self.variables_align = aligns.max().unwrap_or(1);
        let start = cursor.take(0, self.variables_align)?;
        self.put(&mut cursor, &ids, Purpose::ThreadLocal)?;
        self.variables = start..cursor.at;
        // Those that begin as zero are behind them in the block, and nowhere in the image.
        let mut block = Cursor {
            at: cursor.at,
            ..Cursor::default()
        };
        self.put(&mut block, &ids, Purpose::ThreadLocalZero)?;
        self.variables_len = block.at - start;
        self.put(&mut cursor, &ids, Purpose::Frozen)?;
        cursor.take(0, size(PAGE))?;
        self.frozen = frozen..cursor.at;

        self.put(&mut cursor, &ids, Purpose::Data)?;
        let mut commons: Vec<(String, SymbolId)> = self.globals.clone().into_iter().collect();
        commons.retain(|&(_, id)| self.symbol(id).home == Home::Common);
        commons.sort();
        for (_, id) in commons {
            let symbol = self.symbol(id);
            let len = usize::try_from(symbol.size).ok()?;
            let align = usize::try_from(symbol.value.max(1)).ok()?;
            self.commons.insert(id, cursor.take(len, align)?);
        }
        cursor.end_part(Access::Write)?;
        self.len = cursor.at;
        self.align = cursor.align;
        self.parts = cursor.parts;
        Some(())
    }

    /// All sections, by purpose; initialisers with a number in its order, before those without.
    fn sections(&self) -> Vec<(Purpose, String, SectionId)> {
        let mut ids = Vec::new();
        for (object, parsed) in self.objects.iter().enumerate() {
            for (index, section) in parsed.sections.iter().enumerate() {
                let Some(section) = section else {
                    continue;
                };
                let order = match section.purpose {
                    Purpose::Initialisers | Purpose::Finalisers => {
                        let number = section.name.splitn(3, '.').nth(2);
                        number.map_or("~".to_owned(), |number| format!("{number:0>8}"))
                    }
                    _ => String::new(),
                };
                ids.push((section.purpose, order, (object, index)));
            }
        }
        ids.sort();
        ids
    }

    /// Length and alignment of a section.
    fn section_extent(&self, (object, index): SectionId) -> (usize, usize) {
        let Some(section) = &self.objects[object].sections[index] else {
            return (0, 1);
        };
        let align = match section.purpose {
            // Between frames there must be no gap: zeros would end the list.
            Purpose::Frames => 4,
            Purpose::Initialisers | Purpose::Finalisers => 8,
            _ => usize::try_from(section.align).unwrap_or(1),
        };
        (usize::try_from(section.len).unwrap_or(usize::MAX), align)
    }

    fn put(
        &mut self,
        cursor: &mut Cursor,
        ids: &[(Purpose, String, SectionId)],
        purpose: Purpose,
    ) -> Option<Range<usize>> {
        let mut range = None;
        for &(_, _, id) in ids.iter().filter(|(found, _, _)| *found == purpose) {
            let (len, align) = self.section_extent(id);
            let start = cursor.take(len, align)?;
            range.get_or_insert(start..start).end = cursor.at;
            self.places.insert(id, start);
        }
        Some(range.unwrap_or(cursor.at..cursor.at))
    }
}

/// Where the next section goes.
#[derive(Debug)]
struct Cursor {
    at: usize,
    /// The largest alignment so far.
    align: usize,
    parts: Vec<Part>,
}

impl Default for Cursor {
    fn default() -> Self {
        Self {
            at: 0,
            align: size(PAGE),
            parts: Vec::new(),
        }
    }
}

impl Cursor {
    fn take(&mut self, len: usize, align: usize) -> Option<usize> {
        let start = self.at.checked_next_multiple_of(align)?;
        self.at = start.checked_add(len).filter(|&end| end < 1 << 40)?;
        self.align = self.align.max(align);
        Some(start)
    }

    /// Ends a part of the image on a page.
    fn end_part(&mut self, access: Access) -> Option<()> {
        let start = self.parts.last().map_or(0, |part| part.range.end);
        self.take(0, size(PAGE))?;
        let range = start..self.at;
        self.parts.push(Part { range, access });
        Some(())
    }
}
