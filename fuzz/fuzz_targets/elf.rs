//! Any bytes are an error or a library or object whose addresses are filled in; nothing is run.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = opcodon_elf::inspect("fuzz", data.to_vec());
    let _ = opcodon_elf::rehearse("fuzz", data.to_vec());
});
