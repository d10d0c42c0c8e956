//! Shared objects: what a `.so` file says about how it is to be loaded.
//!
//! The loader's half of an ELF file hangs on the program headers and the dynamic section; section
//! headers may be missing and are not looked at. All tables are found by address, so everything
//! is read through the map from addresses to bytes of the file. What is read here is kept in lists
//! whose places have been checked; nothing is written and nothing is executed.
//!
//! # Invariant
//! No file makes `parse` panic, loop or take more memory than a fixed multiple of its length.
//!
//! Sources: System V ABI, "Program Loading and Dynamic Linking" (with DT_RELR); AMD64 supplement;
//! Drepper, "How to Write Shared Libraries"; the LSB on symbol versions.

use std::ops::Range;

use object::elf::{self, Dyn64, DynamicTag, ProgramHeader64, Rela64, Sym64};
use object::read::elf::{FileHeader as _, GnuHashTable, HashTable, ProgramHeader as _, Sym as _};
use object::{LittleEndian, StringTable, U16};

use crate::file::{Header, LE, Named, half, word};
use crate::symbol::{Definition, Symbol, SymbolKind};
use crate::versions::Versions;
use crate::{ElfError, ElfErrorKind, Refusal};

/// A shared object, read but not loaded.
#[derive(Clone, Debug)]
pub(crate) struct SharedObject {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
    pub(crate) segments: Vec<Segment>,
    /// Addresses that become read-only after relocation.
    pub(crate) relro: Option<Range<u64>>,
    pub(crate) tls: Option<Tls>,
    /// Address of the call frame information, if it is complete.
    pub(crate) eh_frame: Option<u64>,
    pub(crate) soname: Option<String>,
    pub(crate) needed: Vec<String>,
    /// Folders in which to look for those, as written.
    pub(crate) runpath: Vec<String>,
    /// Whether those are for what the dependencies need, too.
    pub(crate) is_rpath: bool,
    /// The dynamic symbols, by index.
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) relocations: Vec<Relocation>,
    /// Addresses of words to which the load address is to be added.
    pub(crate) relative: Vec<u64>,
    pub(crate) init: Option<u64>,
    pub(crate) fini: Option<u64>,
    pub(crate) init_array: Range<u64>,
    pub(crate) fini_array: Range<u64>,
    /// Whether it asks never to be unloaded.
    pub(crate) stays: bool,
    /// A relocation that the loader does not do.
    refused: Option<Refusal>,
}

/// A range of addresses and what is there.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) address: u64,
    /// Bytes in memory, at least as many as in the file.
    pub(crate) len: u64,
    pub(crate) file: Range<usize>,
    pub(crate) is_writable: bool,
    pub(crate) is_executable: bool,
    pub(crate) align: u64,
}

/// The initial image of thread-local variables.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) address: u64,
    pub(crate) file_len: u64,
    pub(crate) len: u64,
    pub(crate) align: u64,
}

/// A word to be filled in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relocation {
    pub(crate) address: u64,
    pub(crate) kind: RelocationKind,
    /// Index of a symbol; 0 for none.
    pub(crate) symbol: usize,
    pub(crate) addend: i64,
    /// Where the relocation stands in the file.
    pub(crate) offset: u64,
}

/// How a word is computed. `S` is the symbol's address, `A` the addend, `B` the load address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelocationKind {
    /// `S + A`
    Symbol,
    /// `B + A`
    Relative,
    /// What the function at `B + A` returns.
    Indirect,
    /// The module of a thread-local symbol.
    TlsModule,
    /// The offset of a thread-local symbol in the block of its module.
    TlsOffset,
    /// The offset of a thread-local symbol from the thread pointer.
    TlsStatic,
    /// A function that finds a thread-local symbol, and what it is told: two words.
    TlsDescriptor,
}

/// No library is larger; a longer one has damaged headers.
const SPAN_MAX: u64 = 1 << 40;

/// Segments, tags and the like beyond this number are a damaged file.
const COUNT_MAX: usize = 4096;

/// The names and paths in the dynamic section are not longer.
const PATH_MAX: usize = 4096;

impl SharedObject {
    /// Reads a file.
    pub(crate) fn parse(name: &str, data: Vec<u8>) -> Result<Self, ElfError> {
        let named = Named { name, data: &data };
        let reader = Reader::new(named)?;
        let dynamic = Dynamic::read(&reader)?;
        let parsed = reader.object(&dynamic)?;
        Ok(Self { data, ..parsed })
    }

    /// The first address, on a page.
    pub(crate) fn start(&self) -> u64 {
        let start = self.segments.first().map_or(0, |segment| segment.address);
        start & !(PAGE - 1)
    }

    /// The address behind the last one.
    pub(crate) fn end(&self) -> u64 {
        let ends = self.segments.iter().map(|s| s.address + s.len);
        ends.max().unwrap_or(0)
    }

    /// The largest alignment of a segment.
    pub(crate) fn align(&self) -> u64 {
        let aligns = self.segments.iter().map(|segment| segment.align);
        aligns.max().unwrap_or(PAGE).max(PAGE)
    }

    /// An error about this file.
    pub(crate) fn error(&self, kind: ElfErrorKind) -> ElfError {
        ElfError::new(&self.name, kind)
    }

    /// What this file has that the loader does not do, if anything.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        if let Some(soname) = &self.soname
            && C_LIBRARY.contains(&soname.as_str())
        {
            return Some(Refusal::CLibrary(soname.clone()));
        }
        self.refused.clone()
    }
}

pub(crate) const PAGE: u64 = 4096;

/// The parts of the C library that know each other's insides.
pub(crate) const C_LIBRARY: [&str; 6] = [
    "libc.so.6",
    "ld-linux-x86-64.so.2",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
];

/// A file whose segments are known.
struct Reader<'d> {
    file: Named<'d>,
    headers: &'d [ProgramHeader64<LittleEndian>],
    segments: Vec<Segment>,
}

impl<'d> Reader<'d> {
    fn new(file: Named<'d>) -> Result<Self, ElfError> {
        let header: &Header = file.header(elf::ET_DYN)?;
        let headers = header
            .program_headers(LE, file.data)
            .map_err(|_| file.damaged("the program headers", 0x20))?;
        if headers.len() > COUNT_MAX {
            return Err(file.damaged("the number of program headers", 0x38));
        }
        let mut segments: Vec<Segment> = Vec::new();
        for (index, load) in headers.iter().enumerate() {
            if load.p_type(LE) != elf::PT_LOAD {
                continue;
            }
            let place = header.e_phoff.get(LE) + 56 * index as u64;
            let damaged = |what| file.damaged(what, place);
            let (address, len) = (load.p_vaddr(LE), load.p_memsz(LE));
            let (offset, file_len) = (load.p_offset(LE), load.p_filesz(LE));
            if len == 0 {
                continue;
            }
            let end = address.checked_add(len).filter(|&end| end <= SPAN_MAX);
            let end = end.ok_or_else(|| damaged("a segment's address"))?;
            let bytes = usize::try_from(offset)
                .ok()
                .zip(usize::try_from(file_len).ok());
            let bytes = bytes
                .and_then(|(start, len)| Some(start..start.checked_add(len)?))
                .filter(|bytes| bytes.end <= file.data.len())
                .ok_or_else(|| damaged("a segment that ends behind the file"))?;
            if file_len > len {
                return Err(damaged(
                    "a segment that is longer in the file than in memory",
                ));
            }
            let align = load.p_align(LE).max(1);
            if !align.is_power_of_two() || align > 1 << 30 {
                return Err(damaged("the alignment of a segment"));
            }
            let flags = load.p_flags(LE);
            let (is_writable, is_executable) =
                (flags.contains(elf::PF_W), flags.contains(elf::PF_X));
            if is_writable && is_executable {
                return Err(file.error(ElfErrorKind::Refused(Refusal::WritableCode(place))));
            }
            if is_executable && len - file_len > PAGE {
                return Err(damaged("code that is not in the file"));
            }
            if let Some(last) = segments.last() {
                let last_page = (last.address + last.len - 1) / PAGE;
                if address < last.address + last.len || address / PAGE <= last_page {
                    return Err(damaged("segments that overlap or are not in order"));
                }
            }
            debug_assert!(end > address, "segments are not empty");
            segments.push(Segment {
                address,
                len,
                file: bytes,
                is_writable,
                is_executable,
                align,
            });
        }
        if segments.is_empty() {
            return Err(file.damaged("there is no segment to load", 0x20));
        }
        Ok(Self {
            file,
            headers,
            segments,
        })
    }

    /// The bytes in the file from an address to the end of its segment.
    fn from(&self, address: u64) -> Option<&'d [u8]> {
        let segment = self
            .segments
            .iter()
            .find(|s| (s.address..s.address + s.len).contains(&address))?;
        let skipped = usize::try_from(address - segment.address).ok()?;
        self.file.data.get(segment.file.clone())?.get(skipped..)
    }

    /// A table at an address.
    fn table<T: object::Pod>(
        &self,
        what: &'static str,
        address: u64,
        len: u64,
    ) -> Result<&'d [T], ElfError> {
        if len == 0 {
            return Ok(&[]);
        }
        let damaged = || self.file.damaged(what, self.offset(address));
        let bytes = self.from(address).ok_or_else(damaged)?;
        let count = usize::try_from(len).map_err(|_| damaged())? / size_of::<T>();
        let (table, _) = object::pod::slice_from_bytes(bytes, count).map_err(|()| damaged())?;
        Ok(table)
    }

    /// Where an address is in the file, for errors.
    fn offset(&self, address: u64) -> u64 {
        let holds = |s: &&Segment| (s.address..s.address + s.len).contains(&address);
        let segment = self.segments.iter().find(holds);
        segment.map_or(address, |s| s.file.start as u64 + (address - s.address))
    }

    fn header(&self, kind: elf::ProgramType) -> Option<&'d ProgramHeader64<LittleEndian>> {
        self.headers.iter().find(|header| header.p_type(LE) == kind)
    }

    fn object(&self, dynamic: &Dynamic<'d>) -> Result<SharedObject, ElfError> {
        let mut relocations = Vec::new();
        let mut relative = self.packed(dynamic)?;
        let mut refused = None;
        for (start, len) in [
            (elf::DT_RELA, elf::DT_RELASZ),
            (elf::DT_JMPREL, elf::DT_PLTRELSZ),
        ] {
            let first = self.relocations(dynamic, start, len, &mut relocations)?;
            refused = refused.or(first);
        }
        // Most relocations are of this kind.
        relocations.retain(|relocation| {
            let in_place = relocation.kind == RelocationKind::Relative
                && self.word(relocation.address) == Some(relocation.addend.cast_unsigned());
            if in_place {
                relative.push(relocation.address);
            }
            !in_place
        });
        let symbols = self.symbols(dynamic, &relocations)?;
        for relocation in &relocations {
            if relocation.symbol >= symbols.len() {
                let what = "a relocation's symbol";
                return Err(self.file.damaged(what, relocation.offset));
            }
        }
        let range = |start, len| {
            let start = dynamic.get(start).unwrap_or(0);
            start..start.saturating_add(dynamic.get(len).unwrap_or(0) & !7)
        };
        let relro = self.header(elf::PT_GNU_RELRO).and_then(|header| {
            let start = header.p_vaddr(LE);
            let end = start.checked_add(header.p_memsz(LE))?;
            // A page that is only partly meant stays writable.
            let pages = (start & !(PAGE - 1))..(end & !(PAGE - 1));
            (pages.start < pages.end).then_some(pages)
        });
        let is_rpath = dynamic.get(elf::DT_RUNPATH).is_none();
        let flags = dynamic.get(elf::DT_FLAGS_1).unwrap_or(0);
        if flags & DF_1_PIE != 0 {
            return Err(self.file.error(ElfErrorKind::Format {
                offset: self.offset(dynamic.address),
                found: "a position-independent program".into(),
                expected: "a shared library",
                hint: "",
            }));
        }
        Ok(SharedObject {
            name: self.file.name.to_owned(),
            data: Vec::new(),
            segments: self.segments.clone(),
            relro,
            tls: self.tls()?,
            eh_frame: self.eh_frame(),
            soname: dynamic.strings(elf::DT_SONAME).next(),
            needed: dynamic.strings(elf::DT_NEEDED).collect(),
            is_rpath,
            runpath: dynamic
                .strings(if is_rpath {
                    elf::DT_RPATH
                } else {
                    elf::DT_RUNPATH
                })
                .flat_map(|paths| paths.split(':').map(str::to_owned).collect::<Vec<_>>())
                .filter(|path| !path.is_empty())
                .collect(),
            symbols,
            relocations,
            relative,
            init: dynamic.get(elf::DT_INIT).filter(|&address| address != 0),
            fini: dynamic.get(elf::DT_FINI).filter(|&address| address != 0),
            init_array: range(elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ),
            fini_array: range(elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ),
            stays: flags & DF_1_NODELETE != 0,
            refused,
        })
    }

    fn word(&self, address: u64) -> Option<u64> {
        self.from(address).and_then(|bytes| word(bytes, 0))
    }

    fn tls(&self) -> Result<Option<Tls>, ElfError> {
        let Some(header) = self.header(elf::PT_TLS) else {
            return Ok(None);
        };
        let tls = Tls {
            address: header.p_vaddr(LE),
            file_len: header.p_filesz(LE),
            len: header.p_memsz(LE),
            align: header.p_align(LE).max(1),
        };
        let is_there = tls.file_len == 0
            || self
                .from(tls.address)
                .is_some_and(|bytes| tls.file_len <= bytes.len() as u64);
        let is_sound = tls.align.is_power_of_two() && tls.align <= 1 << 16;
        if is_there && is_sound && tls.file_len <= tls.len && tls.len <= 1 << 32 {
            Ok(Some(tls))
        } else {
            let what = "the segment of thread-local variables";
            Err(self.file.damaged(what, header.p_offset(LE)))
        }
    }

    /// Finds the call frame information through its header and sees whether it has an end.
    fn eh_frame(&self) -> Option<u64> {
        /// Version 1, and an address as 32 bits relative to where they stand.
        const KNOWN: [u8; 2] = [1, 0x1b];
        let start = self.header(elf::PT_GNU_EH_FRAME)?.p_vaddr(LE);
        let header = self.from(start)?;
        if header.get(..2)? != KNOWN {
            return None;
        }
        let distance = i64::from(half(header, 4)?.cast_signed());
        let address = start.checked_add(4)?.checked_add_signed(distance)?;
        frames_len(self.from(address)?).map(|_| address)
    }

    /// Adds the relocations of a table to a list, and gives the first that is refused.
    fn relocations(
        &self,
        dynamic: &Dynamic<'d>,
        start: DynamicTag,
        len: DynamicTag,
        out: &mut Vec<Relocation>,
    ) -> Result<Option<Refusal>, ElfError> {
        let Some(address) = dynamic.get(start) else {
            return Ok(None);
        };
        let mut refused = None;
        let len = dynamic.get(len).unwrap_or(0);
        let table: &[Rela64<LittleEndian>] = self.table("the relocations", address, len)?;
        for (index, relocation) in table.iter().enumerate() {
            let offset = self.offset(address) + 24 * index as u64;
            let kind = match relocation.r_type(LE, false) {
                elf::R_X86_64_NONE => continue,
                elf::R_X86_64_64 | elf::R_X86_64_GLOB_DAT | elf::R_X86_64_JUMP_SLOT => {
                    RelocationKind::Symbol
                }
                elf::R_X86_64_RELATIVE | elf::R_X86_64_RELATIVE64 => RelocationKind::Relative,
                elf::R_X86_64_IRELATIVE => RelocationKind::Indirect,
                elf::R_X86_64_DTPMOD64 => RelocationKind::TlsModule,
                elf::R_X86_64_DTPOFF64 => RelocationKind::TlsOffset,
                elf::R_X86_64_TPOFF64 => RelocationKind::TlsStatic,
                elf::R_X86_64_TLSDESC => RelocationKind::TlsDescriptor,
                other => {
                    refused.get_or_insert(match other {
                        elf::R_X86_64_COPY => Refusal::Copy(offset),
                        _ => Refusal::Relocation {
                            number: other.0,
                            offset,
                        },
                    });
                    continue;
                }
            };
            out.push(Relocation {
                address: relocation.r_offset.get(LE),
                kind,
                symbol: relocation.r_sym(LE, false) as usize,
                addend: match relocation.r_type(LE, false) {
                    // Their addend is none of the computation.
                    elf::R_X86_64_GLOB_DAT | elf::R_X86_64_JUMP_SLOT => 0,
                    _ => relocation.r_addend.get(LE),
                },
                offset,
            });
        }
        Ok(refused)
    }

    /// Relative relocations in their packed form: an address, then bits for the 63 words behind
    /// what came before.
    fn packed(&self, dynamic: &Dynamic<'d>) -> Result<Vec<u64>, ElfError> {
        let Some(address) = dynamic.get(elf::DT_RELR) else {
            return Ok(Vec::new());
        };
        let len = dynamic.get(elf::DT_RELRSZ).unwrap_or(0);
        let table: &[object::U64<LittleEndian>] =
            self.table("the packed relocations", address, len)?;
        let mut places = Vec::new();
        let mut next = 0_u64;
        for entry in table {
            let entry = entry.get(LE);
            if entry & 1 == 0 {
                places.push(entry);
                next = entry.wrapping_add(8);
            } else {
                let bits = (0..63).filter(|bit| entry >> (bit + 1) & 1 == 1);
                places.extend(bits.map(|bit| next.wrapping_add(8 * bit)));
                next = next.wrapping_add(63 * 8);
            }
        }
        Ok(places)
    }

    /// All dynamic symbols. Their number is said nowhere: the hash tables know of those that are
    /// defined, and relocations of the others.
    fn symbols(
        &self,
        dynamic: &Dynamic<'d>,
        relocations: &[Relocation],
    ) -> Result<Vec<Symbol>, ElfError> {
        let Some(address) = dynamic.get(elf::DT_SYMTAB) else {
            return Ok(Vec::new());
        };
        let used = relocations.iter().map(|relocation| relocation.symbol + 1);
        let mut count = used.max().unwrap_or(0);
        if let Some(hash) = dynamic.get(elf::DT_GNU_HASH) {
            let damaged = || self.file.damaged("the GNU hash table", self.offset(hash));
            let bytes = self.from(hash).ok_or_else(damaged)?;
            let table = GnuHashTable::<Header>::parse(LE, bytes).map_err(|_| damaged())?;
            let end = table.symbol_table_length(LE).unwrap_or(table.symbol_base());
            count = count.max(end as usize);
        }
        if let Some(hash) = dynamic.get(elf::DT_HASH) {
            let damaged = || self.file.damaged("the hash table", self.offset(hash));
            let bytes = self.from(hash).ok_or_else(damaged)?;
            let table = HashTable::<Header>::parse(LE, bytes).map_err(|_| damaged())?;
            count = count.max(table.symbol_table_length() as usize);
        }
        let len = (count as u64).saturating_mul(24);
        let table: &[Sym64<LittleEndian>] = self.table("the dynamic symbols", address, len)?;
        let versions = self.versions(dynamic)?;
        let versyms: &[U16<LittleEndian>] = match dynamic.get(elf::DT_VERSYM) {
            Some(address) => self.table("the versions of symbols", address, 2 * count as u64)?,
            None => &[],
        };
        let strings = StringTable::new(dynamic.strings, 0, dynamic.strings.len() as u64);
        // Names may share their ends, but not so that a few bytes become gigabytes.
        let mut budget = 64 * self.file.data.len();
        let symbol = |(index, symbol): (usize, &Sym64<LittleEndian>)| {
            let place = self.offset(address) + 24 * index as u64;
            let name = symbol
                .name(LE, strings)
                .ok()
                .filter(|name| name.len() <= budget)
                .ok_or_else(|| self.file.damaged("a symbol's name", place))?;
            budget -= name.len();
            let version = versyms.get(index).map(|number| versions.of(number.get(LE)));
            let (version, is_hidden, is_local) = version.unwrap_or_default();
            Ok(Symbol {
                name: String::from_utf8_lossy(name).into_owned(),
                value: symbol.st_value(LE),
                size: symbol.st_size(LE),
                kind: SymbolKind::of(symbol.st_type()),
                definition: match symbol.st_shndx(LE) {
                    elf::SHN_UNDEF => Definition::Undefined,
                    elf::SHN_ABS => Definition::Absolute,
                    _ => Definition::Here,
                },
                is_weak: symbol.is_weak(),
                is_local: symbol.is_local() || is_local,
                version: version.cloned(),
                is_hidden,
            })
        };
        table.iter().enumerate().map(symbol).collect()
    }

    fn versions(&self, dynamic: &Dynamic<'d>) -> Result<Versions, ElfError> {
        let mut versions = Versions::default();
        for (tag, is_defined) in [(elf::DT_VERDEF, true), (elf::DT_VERNEED, false)] {
            let Some(address) = dynamic.get(tag) else {
                continue;
            };
            let records = self.from(address).unwrap_or(&[]);
            let read = if is_defined {
                versions.add_defined(records, dynamic.strings)
            } else {
                versions.add_needed(records, dynamic.strings)
            };
            let what = "the chain of versions";
            read.ok_or_else(|| self.file.damaged(what, self.offset(address)))?;
        }
        Ok(versions)
    }
}

/// `DF_1_NODELETE`: not to be unloaded.
const DF_1_NODELETE: u64 = 0x8;

/// `DF_1_PIE`: a program.
const DF_1_PIE: u64 = 0x0800_0000;

/// How long a list of frames is that ends with an empty one.
pub(crate) fn frames_len(frames: &[u8]) -> Option<usize> {
    let mut at = 0_usize;
    loop {
        let record = match half(frames, at) {
            None => return None,
            Some(0) => return Some(at + 4),
            Some(u32::MAX) => word(frames, at + 4).map(|len| (12, len)),
            Some(len) => Some((4, u64::from(len))),
        };
        let next = record.and_then(|(head, len)| {
            at.checked_add(head)?
                .checked_add(usize::try_from(len).ok()?)
        });
        match next {
            Some(next) => at = next,
            None => return None,
        }
    }
}

/// The dynamic section.
struct Dynamic<'d> {
    entries: Vec<(DynamicTag, u64)>,
    strings: &'d [u8],
    address: u64,
}

impl<'d> Dynamic<'d> {
    fn read(reader: &Reader<'d>) -> Result<Self, ElfError> {
        let Some(header) = reader.header(elf::PT_DYNAMIC) else {
            return Err(reader.file.error(ElfErrorKind::Format {
                offset: 0x20,
                found: "a file without a dynamic section".into(),
                expected: "a shared library",
                hint: "",
            }));
        };
        let address = header.p_vaddr(LE);
        let what = "the dynamic section";
        let table: &[Dyn64<LittleEndian>] = reader.table(what, address, header.p_filesz(LE))?;
        let entries: Vec<_> = table
            .iter()
            .map(|entry| (entry.d_tag.get(LE), entry.d_val.get(LE)))
            .take_while(|&(tag, _)| tag != elf::DT_NULL)
            .take(COUNT_MAX)
            .collect();
        let mut dynamic = Self {
            entries,
            strings: &[],
            address,
        };
        if let Some(strings) = dynamic.get(elf::DT_STRTAB) {
            let len = dynamic.get(elf::DT_STRSZ).unwrap_or(0);
            dynamic.strings = reader.table("the string table", strings, len)?;
        }
        let is_rel = dynamic.get(elf::DT_REL).is_some();
        if is_rel || dynamic.get(elf::DT_PLTREL).is_some_and(|t| t != DT_RELA) {
            return Err(reader.file.damaged(
                "relocations without addends, which x86-64 does not have,",
                reader.offset(address),
            ));
        }
        Ok(dynamic)
    }

    fn get(&self, tag: DynamicTag) -> Option<u64> {
        let found = self.entries.iter().find(|(found, _)| *found == tag);
        found.map(|&(_, value)| value)
    }

    /// The strings of all entries with a tag; those outside of the table are left out.
    fn strings(&self, tag: DynamicTag) -> impl Iterator<Item = String> {
        let of_tag = self.entries.iter().filter(move |(found, _)| *found == tag);
        of_tag.filter_map(|&(_, offset)| {
            let rest = self.strings.get(usize::try_from(offset).ok()?..)?;
            let len = rest.iter().take(PATH_MAX).position(|&byte| byte == 0)?;
            Some(String::from_utf8_lossy(&rest[..len]).into_owned())
        })
    }
}

/// The value of `DT_RELA` where it says which kind of relocations there is.
const DT_RELA: u64 = 7;
