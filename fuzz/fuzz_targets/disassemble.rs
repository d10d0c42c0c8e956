//! Any bytes have a listing in every style, in which each byte appears once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use opcodon_listing::{Listing, Syntax};

fuzz_target!(|code: &[u8]| {
    for syntax in Syntax::ALL {
        let listing = Listing::new(code, syntax);
        let shown = listing.lines().iter().flat_map(|line| listing.bytes(line));
        assert!(shown.eq(code));
        let _ = (listing.to_string(), opcodon_listing::frame_rows(code));
    }
});
