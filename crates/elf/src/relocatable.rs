//! Relocatable objects: what a `.o` file holds.
//!
//! The linker's half of an ELF file hangs on the section headers. Only sections that take part in
//! the program are kept, and of those that several objects may bring along (inline functions of
//! C++), whoever links keeps one.
//!
//! # Invariant
//! No file makes `parse` panic, loop or take more memory than a fixed multiple of its length.
//!
//! Source: System V ABI, "Sections", "Symbol Table", "Relocation", "Section Groups".

use object::elf::{self, Rela64, SectionHeader64, Sym64};
use object::read::elf::{FileHeader as _, SectionHeader as _, Sym as _};
use object::{LittleEndian, StringTable, U32};

use crate::ElfError;
use crate::file::{Header, LE, Named};
use crate::symbol::SymbolKind;

/// An object, read but not linked.
pub(crate) struct Relocatable<'d> {
    pub(crate) file: Named<'d>,
    /// All sections by index; those that take no part are `None`.
    pub(crate) sections: Vec<Option<Section<'d>>>,
    pub(crate) symbols: Vec<ObjectSymbol>,
    /// Groups of which one of each name is kept.
    pub(crate) groups: Vec<Group>,
}

/// A section that takes part in the program.
pub(crate) struct Section<'d> {
    pub(crate) name: String,
    pub(crate) purpose: Purpose,
    /// The contents; empty where all is zero.
    pub(crate) data: &'d [u8],
    pub(crate) len: u64,
    pub(crate) align: u64,
    pub(crate) relocations: Vec<ObjectRelocation>,
}

/// What a section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Bytes that are only read.
    Constants,
    /// Call frame information.
    Frames,
    /// Code.
    Code,
    /// Addresses of initialisers.
    Initialisers,
    /// Addresses of finalisers.
    Finalisers,
    /// Initial values of thread-local variables.
    ThreadLocal,
    /// Thread-local variables that begin as zero.
    ThreadLocalZero,
    /// Bytes that are written only by the linker.
    Frozen,
    /// Variables.
    Data,
}

/// A word or half word to be filled in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObjectRelocation {
    /// Where, from the start of the section.
    pub(crate) at: u64,
    pub(crate) kind: elf::RelocationType,
    pub(crate) symbol: usize,
    pub(crate) addend: i64,
    /// Where the relocation stands in the file.
    pub(crate) offset: u64,
}

/// A symbol of an object.
#[derive(Clone, Debug)]
pub(crate) struct ObjectSymbol {
    pub(crate) name: String,
    pub(crate) home: Home,
    /// From the start of its section; of a common symbol the alignment.
    pub(crate) value: u64,
    pub(crate) size: u64,
    pub(crate) kind: SymbolKind,
    pub(crate) is_local: bool,
    pub(crate) is_weak: bool,
    pub(crate) is_hidden: bool,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    /// In another object.
    Undefined,
    /// Nowhere: the value is a number.
    Absolute,
    /// Wherever there is room for a variable that begins as zero.
    Common,
    /// In the section of that index.
    Section(usize),
}

/// Sections that stay or go together.
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) sections: Vec<usize>,
}

/// Flag of a group of which one is kept.
const GRP_COMDAT: u32 = 1;

impl<'d> Relocatable<'d> {
    /// Reads a file.
    pub(crate) fn parse(file: Named<'d>) -> Result<Self, ElfError> {
        let header: &Header = file.header(elf::ET_REL)?;
        let broken = |what, offset| move || file.damaged(what, offset);
        let place = header.e_shoff.get(LE);
        let headers = header
            .section_headers(LE, file.data)
            .map_err(|_| file.damaged("the section headers", place))?;
        let names = header
            .section_strings(LE, file.data, headers)
            .map_err(|_| file.damaged("the names of sections", place))?;
        let offset = |index: usize| place + 64 * index as u64;
        let mut budget = 64 * file.data.len();
        let mut sections = Vec::with_capacity(headers.len());
        for (index, header) in headers.iter().enumerate() {
            let name = header.name(LE, names).unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            budget = budget
                .checked_sub(name.len())
                .ok_or_else(broken("a section's name", offset(index)))?;
            sections.push(section(file, header, name, offset(index))?);
        }
        let mut object = Self {
            file,
            sections,
            symbols: Vec::new(),
            groups: Vec::new(),
        };
        let tables = |kind| {
            headers
                .iter()
                .filter(move |header| header.sh_type(LE) == kind)
        };
        if let Some(table) = tables(elf::SHT_SYMTAB).next() {
            object.read_symbols(headers, table, &mut budget)?;
        }
        for table in tables(elf::SHT_RELA) {
            object.read_relocations(table)?;
        }
        if let Some(table) = tables(elf::SHT_REL).next() {
            let what = "relocations without addends, which x86-64 does not have,";
            return Err(file.damaged(what, table.sh_offset(LE)));
        }
        for table in tables(elf::SHT_GROUP) {
            object.read_group(table)?;
        }
        Ok(object)
    }

    fn read_symbols(
        &mut self,
        headers: &'d [SectionHeader64<LittleEndian>],
        table: &'d SectionHeader64<LittleEndian>,
        budget: &mut usize,
    ) -> Result<(), ElfError> {
        let file = self.file;
        let place = table.sh_offset(LE);
        let damaged = |what, index: usize| file.damaged(what, place + 24 * index as u64);
        let symbols: &[Sym64<LittleEndian>] = table
            .data_as_array(LE, file.data)
            .map_err(|_| damaged("the symbols", 0))?;
        let strings = headers.get(table.sh_link(LE) as usize);
        let strings = strings.and_then(|strings| strings.data(LE, file.data).ok());
        let strings = strings.ok_or_else(|| damaged("the names of symbols", 0))?;
        let strings = StringTable::new(strings, 0, strings.len() as u64);
        let extended = headers
            .iter()
            .find(|header| header.sh_type(LE) == elf::SHT_SYMTAB_SHNDX)
            .and_then(|header| header.data_as_array(LE, file.data).ok());
        let extended: &[U32<LittleEndian>] = extended.unwrap_or(&[]);
        for (index, symbol) in symbols.iter().enumerate() {
            let name = symbol.name(LE, strings).ok();
            let name = name.ok_or_else(|| damaged("a symbol's name", index))?;
            *budget = budget
                .checked_sub(name.len())
                .ok_or_else(|| damaged("a symbol's name", index))?;
            let home = match symbol.st_shndx(LE) {
                elf::SHN_UNDEF => Home::Undefined,
                elf::SHN_ABS => Home::Absolute,
                elf::SHN_COMMON => Home::Common,
                elf::SHN_XINDEX => {
                    let section = extended.get(index);
                    let section = section.ok_or_else(|| damaged("a symbol's section", index))?;
                    Home::Section(section.get(LE) as usize)
                }
                section if section.is_reserved() => {
                    return Err(damaged("a symbol's section", index));
                }
                section => Home::Section(section.0.into()),
            };
            if let Home::Section(section) = home
                && section >= self.sections.len()
            {
                return Err(damaged("a symbol's section", index));
            }
            if home == Home::Common && !symbol.st_value(LE).max(1).is_power_of_two() {
                return Err(damaged("the alignment of a common symbol", index));
            }
            let visibility = symbol.st_visibility();
            self.symbols.push(ObjectSymbol {
                name: String::from_utf8_lossy(name).into_owned(),
                home,
                value: symbol.st_value(LE),
                size: symbol.st_size(LE),
                kind: SymbolKind::of(symbol.st_type()),
                is_local: symbol.is_local(),
                is_weak: symbol.is_weak(),
                is_hidden: visibility == elf::STV_HIDDEN || visibility == elf::STV_INTERNAL,
            });
        }
        Ok(())
    }

    fn read_relocations(
        &mut self,
        table: &'d SectionHeader64<LittleEndian>,
    ) -> Result<(), ElfError> {
        let file = self.file;
        let place = table.sh_offset(LE);
        let target = self.sections.get_mut(table.sh_info(LE) as usize);
        let Some(section) = target.and_then(Option::as_mut) else {
            // Of debug information and the like.
            return Ok(());
        };
        let relocations: &[Rela64<LittleEndian>] = table
            .data_as_array(LE, file.data)
            .map_err(|_| file.damaged("the relocations", place))?;
        for (index, relocation) in relocations.iter().enumerate() {
            let offset = place + 24 * index as u64;
            let symbol = relocation.r_sym(LE, false) as usize;
            if symbol >= self.symbols.len() {
                return Err(file.damaged("a relocation's symbol", offset));
            }
            let kind = relocation.r_type(LE, false);
            if kind == elf::R_X86_64_NONE {
                continue;
            }
            section.relocations.push(ObjectRelocation {
                at: relocation.r_offset.get(LE),
                kind,
                symbol,
                addend: relocation.r_addend.get(LE),
                offset,
            });
        }
        Ok(())
    }

    fn read_group(&mut self, table: &'d SectionHeader64<LittleEndian>) -> Result<(), ElfError> {
        let damaged = || {
            self.file
                .damaged("a group of sections", table.sh_offset(LE))
        };
        let words: &[U32<LittleEndian>] = table
            .data_as_array(LE, self.file.data)
            .map_err(|_| damaged())?;
        let Some((flags, sections)) = words.split_first() else {
            return Err(damaged());
        };
        if flags.get(LE) & GRP_COMDAT == 0 {
            return Ok(());
        }
        let symbol = self.symbols.get(table.sh_info(LE) as usize);
        let symbol = symbol.ok_or_else(damaged)?;
        let sections = sections.iter().map(|section| section.get(LE) as usize);
        self.groups.push(Group {
            name: symbol.name.clone(),
            sections: sections.collect(),
        });
        Ok(())
    }
}

/// A section, if it takes part in the program.
fn section<'d>(
    file: Named<'d>,
    header: &SectionHeader64<LittleEndian>,
    name: String,
    place: u64,
) -> Result<Option<Section<'d>>, ElfError> {
    let flags = header.sh_flags(LE);
    if !flags.contains(elf::SHF_ALLOC) || name.starts_with(".note") {
        return Ok(None);
    }
    let damaged = |what| file.damaged(what, place);
    let is_zero = header.sh_type(LE) == elf::SHT_NOBITS;
    let data = header
        .data(LE, file.data)
        .map_err(|_| damaged("a section that ends behind the file"))?;
    let align = header.sh_addralign(LE).max(1);
    if !align.is_power_of_two() || align > 1 << 24 {
        return Err(damaged("the alignment of a section"));
    }
    let len = header.sh_size(LE);
    if len > 1 << 40 {
        return Err(damaged("the length of a section"));
    }
    let has = |flag| flags.contains(flag);
    let is_array = |kind, prefix: &str| header.sh_type(LE) == kind || name.starts_with(prefix);
    let purpose = if has(elf::SHF_TLS) && is_zero {
        Purpose::ThreadLocalZero
    } else if has(elf::SHF_TLS) {
        Purpose::ThreadLocal
    } else if is_array(elf::SHT_INIT_ARRAY, ".init_array") {
        Purpose::Initialisers
    } else if is_array(elf::SHT_FINI_ARRAY, ".fini_array") {
        Purpose::Finalisers
    } else if has(elf::SHF_EXECINSTR) && has(elf::SHF_WRITE) {
        return Err(
            file.error(crate::ElfErrorKind::Refused(crate::Refusal::WritableCode(
                place,
            ))),
        );
    } else if has(elf::SHF_EXECINSTR) {
        Purpose::Code
    } else if name == ".eh_frame" {
        Purpose::Frames
    } else if name.starts_with(".data.rel.ro") {
        Purpose::Frozen
    } else if has(elf::SHF_WRITE) {
        Purpose::Data
    } else {
        Purpose::Constants
    };
    Ok(Some(Section {
        name,
        purpose,
        data,
        len,
        align,
        relocations: Vec::new(),
    }))
}
