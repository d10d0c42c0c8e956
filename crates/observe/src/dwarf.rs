//! What DWARF tells of code: its frames, and the lines that it is for.
//!
//! `.debug_frame` is what debuggers read from a file, `.eh_frame` what unwinders read in memory;
//! they differ in how an entry refers to what all entries share. Addresses are absolute.
//!
//! Sources: DWARF 4, 6.2, 6.4, 7.5 and 7.23; Linux Standard Base, "Exception Frames".

use opcodon_codemem::observe::SourceLines;
use opcodon_listing::{FrameBase, FrameRow};

const RBP: u8 = 6;
const RSP: u8 = 7;
const RETURN_ADDRESS: u8 = 16;
/// What offsets of saved registers are multiples of.
const DATA_ALIGN: i64 = -8;

const DEF_CFA: u8 = 0x0c;
const ADVANCE_4: u8 = 0x04;
const SAME_VALUE: u8 = 0x08;
const OFFSET: u8 = 0x80;
const NOP: u8 = 0;

/// The section for debuggers.
pub(crate) fn debug_frame(address: u64, len: usize, rows: &[FrameRow]) -> Vec<u8> {
    let mut section = entry(|out| {
        out.extend(u32::MAX.to_le_bytes());
        out.extend([1, 0]);
        shared(out);
    });
    section.extend(entry(|out| {
        // Where in the section the shared part is.
        out.extend(0_u32.to_le_bytes());
        function(out, address, len);
        instructions(out, rows);
    }));
    section
}

/// The section for unwinders, without its end.
pub(crate) fn eh_frame(address: u64, len: usize, rows: &[FrameRow]) -> Vec<u8> {
    let mut section = entry(|out| {
        out.extend(0_u32.to_le_bytes());
        out.push(1);
        // An augmentation of one byte says how addresses are written: as they are.
        out.extend(b"zR\0");
        shared_with(out, &[1, 0]);
    });
    // How far back the shared part is, from here.
    let back = u32::try_from(section.len() + 4).unwrap_or(0);
    section.extend(entry(|out| {
        out.extend(back.to_le_bytes());
        function(out, address, len);
        out.push(0);
        instructions(out, rows);
    }));
    section
}

/// An entry with its length, filled up to a multiple of eight bytes.
fn entry(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    fill(&mut body);
    while !(body.len() + 4).is_multiple_of(8) {
        body.push(NOP);
    }
    let mut entry = u32::try_from(body.len())
        .unwrap_or(0)
        .to_le_bytes()
        .to_vec();
    entry.extend(body);
    entry
}

fn shared(out: &mut Vec<u8>) {
    shared_with(out, &[]);
}

/// Alignments, the return address's register, an augmentation, and the frame at the entry.
fn shared_with(out: &mut Vec<u8>, augmentation: &[u8]) {
    out.push(1);
    signed(out, DATA_ALIGN);
    out.push(RETURN_ADDRESS);
    out.extend(augmentation);
    out.extend([DEF_CFA, RSP, 8, OFFSET | RETURN_ADDRESS, 1]);
}

fn function(out: &mut Vec<u8>, address: u64, len: usize) {
    out.extend(address.to_le_bytes());
    out.extend((len as u64).to_le_bytes());
}

fn instructions(out: &mut Vec<u8>, rows: &[FrameRow]) {
    let (mut offset, mut saved): (usize, &[(u8, i64)]) = (0, &[]);
    for row in rows {
        if row.offset > offset {
            out.push(ADVANCE_4);
            out.extend(
                u32::try_from(row.offset - offset)
                    .unwrap_or(0)
                    .to_le_bytes(),
            );
            offset = row.offset;
        }
        let register = match row.base {
            FrameBase::Rsp => RSP,
            FrameBase::Rbp => RBP,
        };
        out.extend([DEF_CFA, register]);
        unsigned(out, row.distance.unsigned_abs());
        for &(register, _) in saved {
            if row.saved.iter().all(|&(kept, _)| kept != register) {
                out.extend([SAME_VALUE, register]);
            }
        }
        for &(register, distance) in &row.saved {
            if !saved.contains(&(register, distance)) {
                out.push(OFFSET | register);
                unsigned(out, (distance / -DATA_ALIGN).unsigned_abs());
            }
        }
        saved = &row.saved;
    }
}

/// The sections from which debuggers read lines, with their names.
pub(crate) fn debug_lines(
    name: &str,
    code: &[u8],
    lines: &SourceLines,
) -> [(&'static str, Vec<u8>); 3] {
    let extent = |out: &mut Vec<u8>| function(out, code.as_ptr() as u64, code.len());
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend(text.bytes().filter(|&byte| byte != 0));
        out.push(0);
    };
    // A unit of one function. Of both: name, first address, length; of the unit also where its
    // lines are and that it is Python.
    let abbreviations = [
        [1, 0x11, 1].as_slice(),
        &[
            0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0x10, 0x17, 0x13, 0x05, 0, 0,
        ],
        &[2, 0x2e, 0],
        &[0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0],
        &[0],
    ];
    let info = with_length(|out| {
        out.extend(4_u16.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend([8, 1]);
        text(out, &lines.file);
        extent(out);
        out.extend(0_u32.to_le_bytes());
        out.extend(0x14_u16.to_le_bytes());
        out.push(2);
        text(out, name);
        extent(out);
        out.push(0);
    });
    let table = with_length(|out| {
        out.extend(4_u16.to_le_bytes());
        out.extend(with_length(|out| {
            // Bytes an instruction has at least, operations in it, whether rows are statements;
            // special operations, which are not used; arguments of the standard ones.
            out.extend([1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1]);
            // No folders; one file.
            out.push(0);
            text(out, &lines.file);
            out.extend([0, 0, 0, 0]);
        }));
        // The first address.
        out.extend([0, 9, 2]);
        out.extend((code.as_ptr() as u64).to_le_bytes());
        let (mut offset, mut line) = (0, 1);
        for &(next, number) in &lines.lines {
            advance(out, next - offset);
            out.push(ADVANCE_LINE);
            signed(out, i64::from(number) - line);
            out.push(COPY);
            (offset, line) = (next, i64::from(number));
        }
        advance(out, code.len() - offset);
        out.extend([0, 1, END_SEQUENCE]);
    });
    [
        (".debug_abbrev", abbreviations.concat()),
        (".debug_info", info),
        (".debug_line", table),
    ]
}

/// Operations of line tables.
const COPY: u8 = 1;
const ADVANCE_PC: u8 = 2;
const ADVANCE_LINE: u8 = 3;
const END_SEQUENCE: u8 = 1;

fn advance(out: &mut Vec<u8>, n_bytes: usize) {
    out.push(ADVANCE_PC);
    unsigned(out, n_bytes as u64);
}

/// Bytes with their number in front.
fn with_length(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0; 4];
    fill(&mut out);
    let length = u32::try_from(out.len() - 4).unwrap_or(0);
    out[..4].copy_from_slice(&length.to_le_bytes());
    out
}

/// An unsigned number in groups of seven bits.
fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let group = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(group);
            return;
        }
        out.push(group | 0x80);
    }
}

/// A signed number in groups of seven bits.
fn signed(out: &mut Vec<u8>, mut value: i64) {
    loop {
        let group = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 && group & 0x40 == 0 || value == -1 && group & 0x40 != 0 {
            out.push(group);
            return;
        }
        out.push(group | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_what_readers_expect() {
        let rows = [
            FrameRow {
                offset: 0,
                base: FrameBase::Rsp,
                distance: 8,
                saved: vec![],
            },
            FrameRow {
                offset: 1,
                base: FrameBase::Rsp,
                distance: 16,
                saved: vec![(6, 16)],
            },
            FrameRow {
                offset: 4,
                base: FrameBase::Rbp,
                distance: 16,
                saved: vec![(6, 16)],
            },
            FrameRow {
                offset: 9,
                base: FrameBase::Rsp,
                distance: 8,
                saved: vec![],
            },
        ];
        let program = [
            0x0c, 7, 8, 4, 1, 0, 0, 0, 0x0c, 7, 16, 0x86, 2, 4, 3, 0, 0, 0, 0x0c, 6, 16, 4, 5, 0,
            0, 0, 0x0c, 7, 8, 8, 6,
        ];
        for (section, start) in [
            (debug_frame(0x1000, 10, &rows), 16),
            (eh_frame(0x1000, 10, &rows), 20),
        ] {
            assert!(section.len().is_multiple_of(8));
            let length = |at: usize| {
                u32::from_le_bytes(section[at..at + 4].try_into().unwrap()) as usize + 4
            };
            let second = length(0);
            assert_eq!(second + length(second), section.len());
            assert_eq!(section[second + 8..second + 16], 0x1000_u64.to_le_bytes());
            let at = section
                .windows(program.len())
                .position(|window| window == program);
            assert!(at.is_some_and(|at| at >= second + start), "{section:02x?}");
        }
    }

    #[test]
    fn numbers_come_in_groups() {
        let check = |value: i64, expected: &[u8]| {
            let mut out = Vec::new();
            signed(&mut out, value);
            assert_eq!(out, expected, "{value}");
        };
        check(-8, &[0x78]);
        check(63, &[0x3f]);
        check(64, &[0xc0, 0]);
        check(-129, &[0xff, 0x7e]);
        let mut out = Vec::new();
        unsigned(&mut out, 300);
        assert_eq!(out, [0xac, 2]);
    }
}
