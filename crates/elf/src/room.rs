//! Room in the static block of every thread, for variables that code finds at a fixed distance from
//! the thread pointer (`-ftls-model=initial-exec`, and objects that are not compiled with `-fPIC`).
//!
//! Only the system's loader knows all threads, those to come included, so it must hand that room
//! out. It does so for libraries that ask for it; so it is given one, a *donor*, that has nothing
//! but the variables with their initial values, and the one relocation that asks how far they are
//! from the thread pointer. The loader finds room, copies the values into all threads, and writes
//! the distance into the donor. A donor has no code; loading it runs nothing.
//!
//! ```text
//! header | LOAD, DYNAMIC, TLS, GNU_STACK | symbols, names, hash table | relocation | dynamic section
//!        | word for the distance | initial values
//! ```
//!
//! The room that is left for libraries loaded late is small (glibc: about 1.6 KiB for all of them,
//! `glibc.rtld.optional_static_tls`); when it is used up, the loader says so. It is given back when
//! the donor is unloaded.
//!
//! Sources: Drepper, "ELF Handling For Thread-Local Storage", 3.4.6 and 4.3.6; glibc's
//! `elf/dl-reloc.c`.

use std::sync::Arc;

use object::elf;

use crate::Refusal;
use crate::seal::{self, System};
use crate::tls::{Lookup, Module, Number};

/// Variables in the static block of all threads, until this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    offset: u64,
    _donor: System,
}

/// Says what a number stands for: variables with these initial values and zeros up to `len`, of which
/// each thread has its copy. Where code counts them from the thread pointer, they are in the static
/// block of all threads; then the result is their distance from it.
pub(crate) fn define(
    number: &Number,
    initial: &[u8],
    (len, align): (usize, usize),
    is_static: bool,
) -> Result<Option<u64>, Refusal> {
    if !is_static {
        let initial = initial.to_vec();
        number.define(Module::Block {
            initial,
            len,
            align,
        });
        return Ok(None);
    }
    let room = Room::new(initial, len, align).map_err(|message| Refusal::StaticTls { message })?;
    let distance = room.offset();
    number.define(room.module());
    Ok(Some(distance))
}

/// The name of the word with the distance.
const DISTANCE: &str = "distance";

/// No loader has more room than this.
const LEN_MAX: usize = 1 << 20;

impl Room {
    /// Room for variables with these initial values, and zeros up to `len`.
    pub(crate) fn new(initial: &[u8], len: usize, align: usize) -> Result<Self, String> {
        if len > LEN_MAX {
            return Err(format!("there is no room for {len} bytes"));
        }
        let donor = System::open_bytes(&donor(initial, len, align))?;
        let offset = donor
            .word(DISTANCE)
            .ok_or_else(|| "it does not say where the room is".to_owned())?;
        Ok(Self {
            offset,
            _donor: donor,
        })
    }

    /// How far the first variable is from the thread pointer; what is below it is a wrapped number.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the first variable is in this thread.
    fn address(&self) -> usize {
        seal::thread_pointer().wrapping_add(crate::file::size(self.offset))
    }

    /// The variables as a module, for code that asks where they are. It keeps the room.
    pub(crate) fn module(self) -> Module {
        Module::Elsewhere(Lookup(Arc::new(move || Some(self.address()))))
    }
}

/// The shared object that asks for room.
fn donor(initial: &[u8], len: usize, align: usize) -> Vec<u8> {
    const HEADER: usize = 64;
    const PROGRAM_HEADER: usize = 56;
    const N_HEADERS: usize = 4;
    const SYMBOLS: usize = HEADER + N_HEADERS * PROGRAM_HEADER;
    const SYMBOL: usize = 24;
    const NAMES: usize = SYMBOLS + 2 * SYMBOL;
    const NAMES_LEN: usize = DISTANCE.len() + 2;
    const HASH: usize = (NAMES + NAMES_LEN).next_multiple_of(8);
    const HASH_LEN: usize = 5 * 4;
    const RELOCATION: usize = (HASH + HASH_LEN).next_multiple_of(8);
    const RELOCATION_LEN: usize = 24;
    const DYNAMIC: usize = RELOCATION + RELOCATION_LEN;
    const DYNAMIC_LEN: usize = 10 * 16;
    const WORD: usize = DYNAMIC + DYNAMIC_LEN;

    let variables = (WORD + 8).next_multiple_of(align.max(1));
    let end = variables + initial.len();
    let mut file = Bytes(Vec::with_capacity(end));
    // 64 bits, little endian, version 1; a shared object for x86-64.
    file.0
        .extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0");
    file.half(1);
    file.words(&[0, HEADER, 0]);
    file.half(0);
    for size in [HEADER, PROGRAM_HEADER, N_HEADERS, 0, 0, 0] {
        file.0
            .extend(u16::try_from(size).unwrap_or(0).to_le_bytes());
    }
    // All of it is data: the loader writes into the dynamic section and the word.
    let mut header = |kind: elf::ProgramType, at: usize, file_len, len, align| {
        file.half(kind.0);
        file.half((elf::PF_R | elf::PF_W).0);
        file.words(&[at, at, at, file_len, len, align]);
    };
    header(elf::PT_LOAD, 0, end, end, 4096);
    header(elf::PT_DYNAMIC, DYNAMIC, DYNAMIC_LEN, DYNAMIC_LEN, 8);
    header(
        elf::PT_TLS,
        variables,
        initial.len(),
        len.max(1),
        align.max(1),
    );
    // Without it, the loader would make all stacks executable.
    header(elf::PT_GNU_STACK, 0, 0, 0, 16);
    // The first symbol is none; the other is the word: global data, in some section.
    file.0.resize(SYMBOLS + SYMBOL, 0);
    file.half(1);
    file.half(0x0001_0011);
    file.words(&[WORD, 8]);
    file.0.push(0);
    file.0.extend(DISTANCE.as_bytes());
    file.0.resize(HASH, 0);
    // One bucket with one symbol.
    for number in [1, 2, 1, 0, 0] {
        file.half(number);
    }
    file.0.resize(RELOCATION, 0);
    file.words(&[WORD, size(elf::R_X86_64_TPOFF64.0), 0]);
    let dynamic = [
        (elf::DT_HASH, HASH),
        (elf::DT_SYMTAB, SYMBOLS),
        (elf::DT_STRTAB, NAMES),
        (elf::DT_STRSZ, NAMES_LEN),
        (elf::DT_SYMENT, SYMBOL),
        (elf::DT_RELA, RELOCATION),
        (elf::DT_RELASZ, RELOCATION_LEN),
        (elf::DT_RELAENT, RELOCATION_LEN),
        (elf::DT_FLAGS, DF_STATIC_TLS),
        (elf::DT_NULL, 0),
    ];
    for (tag, value) in dynamic {
        file.0.extend(tag.0.to_le_bytes());
        file.words(&[value]);
    }
    file.0.resize(variables, 0);
    file.0.extend(initial);
    file.0
}

/// `DF_STATIC_TLS`: asks for room in the static block.
const DF_STATIC_TLS: usize = 0x10;

fn size(number: u32) -> usize {
    crate::file::size(u64::from(number))
}

/// A file that is being written.
struct Bytes(Vec<u8>);

impl Bytes {
    fn half(&mut self, half: u32) {
        self.0.extend(half.to_le_bytes());
    }

    fn words(&mut self, words: &[usize]) {
        for &word in words {
            self.0.extend((word as u64).to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back() {
        let initial: Vec<u8> = (1..=24).collect();
        let mut offsets = Vec::new();
        for _ in 0..200 {
            let room = match Room::new(&initial, 40, 32) {
                Ok(room) => room,
                Err(why) => opcodon_testkit::skip!("this system's loader gives no room: {why}"),
            };
            offsets.push(room.offset());
        }
        assert!(offsets.iter().all(|&offset| offset == offsets[0]));
        let error = Room::new(&initial, 1 << 19, 32).unwrap_err();
        assert!(error.contains("static TLS"), "{error}");
        assert!(Room::new(&initial, 1 << 40, 32).is_err());
    }
}
