//! Any text is an error with a place in the text, or code, in either syntax.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opcodon_listing::{Dialect, assemble};

fuzz_target!(|text: &str| {
    for dialect in Dialect::ALL {
        if let Err(error) = assemble(text, 0x1000, dialect) {
            assert!(error.span.start <= error.span.end && error.span.end <= text.len());
            let _ = error.render();
        }
    }
});
