//! A symbol file for code in memory: an ELF file with names, addresses and frames, but no code.
//!
//! The code itself is read where it runs; its section has the address and no bytes.
//!
//! Source: System V ABI, "Object Files".

use opcodon_codemem::observe::LibraryCode;

const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;

/// Sections, in their order in the file; the frames are in the one or the other.
const NAMES: [&str; 6] = ["", ".text", FRAMES, ".symtab", ".strtab", ".shstrtab"];
const FRAMES: &str = ".debug_frame";
const FRAMES_IN_MEMORY: &str = ".eh_frame";

const PROGBITS: u32 = 1;
const SYMTAB: u32 = 2;
const STRTAB: u32 = 3;
const NOBITS: u32 = 8;
/// The section is in memory.
const ALLOC: u64 = 2;
/// The section is in memory, as code.
const ALLOC_EXEC: u64 = 6;
/// A global function.
const GLOBAL_FUNCTION: u8 = 0x12;

/// A section of a name.
type Section = (&'static str, Vec<u8>);

/// The file for a piece of code, with its frames as debuggers read them from files, and sections
/// that tell its lines.
pub(crate) fn of_function(
    name: &str,
    code: &[u8],
    frames: &[u8],
    lines: Option<[Section; 3]>,
) -> Vec<u8> {
    elf(
        code,
        &[(name, code)],
        frames,
        None,
        lines.as_slice().as_flattened(),
    )
}

/// The file for a library.
pub(crate) fn of_library(library: &LibraryCode<'_>) -> Vec<u8> {
    let frames = library.frames;
    let address = (!frames.is_empty()).then_some(frames.as_ptr() as u64);
    elf(library.text, library.functions, frames, address, &[])
}

/// The file for code with functions in it; the frames count from an address in memory, if there is
/// one.
fn elf(
    text: &[u8],
    functions: &[(&str, &[u8])],
    frames: &[u8],
    frames_address: Option<u64>,
    lines: &[Section],
) -> Vec<u8> {
    let (address, len) = (text.as_ptr() as u64, text.len());
    let mut section_names = Vec::new();
    let mut name_at = Vec::new();
    for section in NAMES.into_iter().chain(lines.iter().map(|(name, _)| *name)) {
        name_at.push(u32::try_from(section_names.len()).unwrap_or(0));
        let is_moved = section == FRAMES && frames_address.is_some();
        let section = if is_moved { FRAMES_IN_MEMORY } else { section };
        section_names.extend(section.as_bytes());
        section_names.push(0);
    }
    let mut strings = vec![0];
    // The first symbol is none.
    let mut symbols = vec![0; 24];
    for (name, code) in functions {
        let name_at = u32::try_from(strings.len()).unwrap_or(0);
        strings.extend(name.bytes().filter(|&byte| byte != 0));
        strings.push(0);
        symbols.extend(name_at.to_le_bytes());
        symbols.extend([GLOBAL_FUNCTION, 0]);
        symbols.extend(1_u16.to_le_bytes());
        symbols.extend((code.as_ptr() as u64).to_le_bytes());
        symbols.extend((code.len() as u64).to_le_bytes());
    }

    let mut file = vec![0; HEADER];
    let mut headers = vec![[0_u64; 10]];
    // Type, flags, address, contents, size in memory, link, info, alignment, entry size.
    let mut add =
        |ty: u32, flags, address, contents: &[u8], size: usize, link, info, align, entry| {
            file.resize(file.len().next_multiple_of(8), 0);
            let row = [
                u64::from(ty),
                flags,
                address,
                file.len() as u64,
                size as u64,
                link,
                info,
                align,
                entry,
            ];
            file.extend(contents);
            let mut header = [0; 10];
            header[1..].copy_from_slice(&row);
            headers.push(header);
        };
    add(NOBITS, ALLOC_EXEC, address, &[], len, 0, 0, 16, 0);
    let flags = if frames_address.is_some() { ALLOC } else { 0 };
    let frames_at = frames_address.unwrap_or(0);
    add(PROGBITS, flags, frames_at, frames, frames.len(), 0, 0, 8, 0);
    add(SYMTAB, 0, 0, &symbols, symbols.len(), 4, 1, 8, 24);
    add(STRTAB, 0, 0, &strings, strings.len(), 0, 0, 1, 0);
    add(
        STRTAB,
        0,
        0,
        &section_names,
        section_names.len(),
        0,
        0,
        1,
        0,
    );
    for (_, contents) in lines {
        add(PROGBITS, 0, 0, contents, contents.len(), 0, 0, 1, 0);
    }

    file.resize(file.len().next_multiple_of(8), 0);
    let table_at = file.len() as u64;
    for (header, name) in headers.iter().zip(&name_at) {
        let [
            _,
            ty,
            flags,
            address,
            offset,
            size,
            link,
            info,
            align,
            entry,
        ] = *header;
        file.extend(name.to_le_bytes());
        file.extend(half(ty));
        for word in [flags, address, offset, size] {
            file.extend(word.to_le_bytes());
        }
        file.extend(half(link));
        file.extend(half(info));
        file.extend(align.to_le_bytes());
        file.extend(entry.to_le_bytes());
    }
    let mut header = Vec::with_capacity(HEADER);
    // 64 bits, little endian, version 1.
    header.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    // An executable file for x86-64.
    header.extend(2_u16.to_le_bytes());
    header.extend(62_u16.to_le_bytes());
    header.extend(1_u32.to_le_bytes());
    for word in [address, 0, table_at] {
        header.extend(word.to_le_bytes());
    }
    header.extend(0_u32.to_le_bytes());
    let sizes = [HEADER, 0, 0, SECTION_HEADER, headers.len(), NAMES.len() - 1];
    for size in sizes {
        header.extend(u16::try_from(size).unwrap_or(0).to_le_bytes());
    }
    file[..HEADER].copy_from_slice(&header);
    file
}

/// A number below 2³² as four bytes.
fn half(word: u64) -> [u8; 4] {
    u32::try_from(word).unwrap_or(0).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_the_symbol() {
        let code = [0x90, 0x90, 0x90, 0x90, 0xc3];
        let at = code.as_ptr() as u64;
        let file = of_function("kernel", &code, &[1, 2, 3], None);
        let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
        let table = usize::try_from(word(40)).unwrap();
        assert_eq!(file.len(), table + NAMES.len() * SECTION_HEADER);
        // The code: its address and size.
        assert_eq!((word(table + 64 + 16), word(table + 64 + 32)), (at, 5));
        let symbols = usize::try_from(word(table + 3 * 64 + 24)).unwrap();
        assert_eq!((word(symbols + 32), word(symbols + 40)), (at, 5));
        let strings = usize::try_from(word(table + 4 * 64 + 24)).unwrap();
        assert_eq!(file[strings..strings + 8], *b"\0kernel\0");
    }
}
