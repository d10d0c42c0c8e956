//! Any text is an error with a place in the text, or a signature that reads back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opcodon_codemem::{Abi, Signature};

fuzz_target!(|text: &str| {
    for abi in Abi::ALL {
        match Signature::parse_for(text, abi) {
            Ok(signature) => {
                let again = Signature::parse_for(&signature.to_string(), abi);
                assert_eq!(again.as_ref(), Ok(&signature));
            }
            Err(error) => {
                assert!(error.span.start <= error.span.end && error.span.end <= text.len());
                let _ = error.render();
            }
        }
    }
});
