//! Damaged files are errors: nothing panics, loops or asks for absurd memory.
//!
//! Real libraries and objects are cut off and changed, mostly where the loader looks, and go
//! through everything that happens before something is executed.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod common;

use arbitrary::Unstructured;
use opcodon_elf::{ElfErrorKind, inspect, rehearse};

/// Small libraries with symbol versions, both hash tables, thread-local variables, packed
/// relocations; whichever are there.
const LIBRARIES: [&str; 6] = [
    "libm.so.6",
    "libz.so.1",
    "libBrokenLocale.so.1",
    "libuuid.so.1",
    "libgomp.so.1",
    "libcap.so.2",
];

/// Files to damage.
fn victims() -> Vec<(String, Vec<u8>)> {
    let folders = [
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/lib64",
        "/usr/lib64",
    ];
    let mut found = Vec::new();
    for name in LIBRARIES {
        let paths = folders.iter().map(|folder| format!("{folder}/{name}"));
        let read = paths.into_iter().find_map(|path| std::fs::read(path).ok());
        found.extend(read.map(|data| (name.to_owned(), data)));
    }
    let sources = [
        (
            "damage.c",
            "#include <stdlib.h>\n__thread int t; static int x = 3; int *p = &x; \
                      int f(const char *s) { t++; return atoi(s) + *p; }",
        ),
        (
            "damage.cc",
            "#include <string>\n#include <stdexcept>\nint g(int k) { std::string s(k, 'a'); \
                       try { return s.at(k); } catch (std::out_of_range &) { return -1; } }",
        ),
    ];
    for (name, source) in sources {
        let data = common::compile(name, source, &["-fPIC"]);
        found.extend(data.map(|data| (format!("{name}.o"), data)));
        let flags = ["-shared", "-fPIC", "-Wl,-z,pack-relative-relocs"];
        let data = common::compile(name, source, &flags);
        found.extend(data.map(|data| (format!("{name}.so"), data)));
    }
    if found.is_empty() {
        opcodon_testkit::report_skip("no library and no compiler here");
    }
    found
}

/// The places where tables begin, which decide more than other bytes.
fn places(data: &[u8]) -> Vec<usize> {
    let word = |at: usize| -> Option<usize> {
        let bytes = data.get(at..at + 8)?;
        usize::try_from(u64::from_le_bytes(bytes.try_into().ok()?)).ok()
    };
    let mut places = vec![0];
    places.extend([word(0x20), word(0x28)].into_iter().flatten());
    // Wherever a header or a dynamic entry points to.
    let ends: Vec<usize> = places.iter().flat_map(|&at| [at, at + 2048]).collect();
    for start in ends {
        places.extend((0..256).filter_map(|k| word(start + 8 * k)));
    }
    places.retain(|&at| at < data.len());
    places
}

#[test]
fn damaged_files_are_errors() {
    for (name, data) in victims() {
        let places = places(&data);
        let mut n_refused = 0;
        let mut test = |u: &mut Unstructured<'_>| -> arbitrary::Result<()> {
            let mut copy = data.clone();
            for _ in 0..u.int_in_range(1..=4)? {
                let near = places[u.choose_index(places.len())?];
                let at = match u.int_in_range(0..=3)? {
                    0 => u.choose_index(copy.len())?,
                    _ => (near + u.int_in_range(0..=512)?).min(copy.len() - 1),
                };
                match u.int_in_range(0..=3)? {
                    0 => copy[at] ^= 1 << u.int_in_range(0..=7)?,
                    1 => copy[at] = u.arbitrary()?,
                    2 => {
                        let end = (at + 8).min(copy.len());
                        let word: u64 =
                            *u.choose(&[0, 1, 7, 0xffff, 1 << 31, 1 << 40, u64::MAX])?;
                        copy[at..end].copy_from_slice(&word.to_le_bytes()[..end - at]);
                    }
                    _ => copy.truncate(at.max(1)),
                }
            }
            if let Err(error) = rehearse("damaged", copy) {
                n_refused += 1;
                assert!(error.to_string().starts_with("damaged: "), "{error}");
            }
            Ok(())
        };
        for seed in 0..N_DAMAGES {
            let mut random = seed;
            let bytes: Vec<u8> = (0..256).map(|_| next_byte(&mut random)).collect();
            let _ = test(&mut Unstructured::new(&bytes));
        }
        assert!(n_refused > N_DAMAGES / 10, "{name}: {n_refused} refused");
    }
}

/// How often each file is damaged.
const N_DAMAGES: u64 = 1000;

/// A byte of a sequence that depends on the seed only (Steele's SplitMix64).
fn next_byte(state: &mut u64) -> u8 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed.to_le_bytes()[7]
}

#[test]
fn every_cut_of_the_headers_is_an_error() {
    for (name, data) in victims() {
        for len in (0..1024).chain((1024..data.len()).step_by(data.len() / 64 + 1)) {
            let cut = data.get(..len).unwrap_or(&data).to_vec();
            if cut.len() < data.len() {
                // What is cut off may be nothing that loading needs: then it is no error.
                let result = rehearse(&name, cut);
                assert!(len > 1024 || result.is_err(), "{name}: {len}");
            }
        }
    }
}

#[test]
fn what_is_no_library_is_said_with_the_offset() {
    let header = |changes: &[(usize, u8)]| {
        let mut data = vec![0; 64];
        data[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
        data[16] = 3;
        data[18] = 62;
        for &(at, value) in changes {
            data[at] = value;
        }
        data
    };
    let cases: [(Vec<u8>, u64, &str); 9] = [
        (b"MZ".to_vec(), 0, "begins with [4d, 5a]"),
        (Vec::new(), 0, "begins with []"),
        (b"!<arch>\nabc".to_vec(), 0, "an archive"),
        (header(&[(4, 1)]), 4, "a 32-bit file"),
        (header(&[(5, 2)]), 5, "a big-endian file"),
        (header(&[(18, 183)]), 0x12, "code for AArch64"),
        (header(&[(18, 3)]), 0x12, "code for 32-bit x86"),
        (header(&[(16, 2)]), 0x10, "a program"),
        (header(&[(16, 4)]), 0x10, "a core dump"),
    ];
    for (data, expected, words) in cases {
        let error = inspect("lib.so", data).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(words) && text.starts_with("lib.so: "),
            "{text}"
        );
        match error.kind {
            ElfErrorKind::Format { offset, .. } => assert_eq!(offset, expected, "{text}"),
            other => panic!("{other}"),
        }
    }
    let empty = inspect("lib.so", header(&[])).unwrap_err();
    assert!(empty.to_string().contains("no segment"), "{empty}");
}
