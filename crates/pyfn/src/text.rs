//! Characters: strings of length one, which are code points in registers.
//!
//! Reading a string character by character would make an object of each. Where one is compared,
//! looked at or put into a list that nobody else sees, its code point says all; where it is not, it
//! becomes an object.

use crate::program::Atom;
use crate::types::{CHAR, Tags, Ty};

/// Methods that say something about a character, in the order in which the runtime knows them.
pub const CHAR_TESTS: [&str; 6] = [
    "isalpha", "isdigit", "isalnum", "isspace", "isupper", "islower",
];

/// Which of the tests the call of a method is.
pub(crate) fn char_test(of: &Ty, name: &str, args: &[Atom]) -> Option<usize> {
    if of.tags != Tags::of(CHAR) || !args.is_empty() {
        return None;
    }
    CHAR_TESTS.iter().position(|&test| test == name)
}
