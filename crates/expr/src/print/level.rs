//! Binding strengths of notation, from loose to tight.
//!
//! A piece of text has a level, and a place where text goes has one: text that is looser than its
//! place gets parentheses. Template digits are these numbers.

/// A place that is delimited by itself: an argument, a subscript, the whole text.
pub const ANY: u8 = 0;
/// `a < b`
pub const COMPARISON: u8 = 1;
/// `a + b`
pub const SUM: u8 = 2;
/// `a*b`
pub const PRODUCT: u8 = 3;
/// `-a`, and negative numbers
pub const NEGATION: u8 = 4;
/// `a^b`
pub const POWER: u8 = 5;
/// Names, numbers, calls, anything in brackets.
pub const ATOM: u8 = 6;
