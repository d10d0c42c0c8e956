//! Numbers as text that reads back to the same bits.

use std::fmt::Write;

use super::level;

/// Payload bits of a NaN.
const PAYLOAD: u64 = (1 << 52) - 1;
/// The payload of the NaN that is written without one: quiet, no other bit.
const PLAIN_PAYLOAD: u64 = 1 << 51;

/// The level of a number's text: a sign binds like a negation.
pub(crate) fn level_of(value: f64) -> u8 {
    if value.is_sign_negative() {
        level::NEGATION
    } else {
        level::ATOM
    }
}

/// Appends a number in this crate's notation: shortest decimal digits that read back, `inf`,
/// `nan`, and `nan(0x…)` for a NaN with an unusual payload.
pub(crate) fn write_infix(out: &mut String, value: f64) {
    let payload = value.to_bits() & PAYLOAD;
    let result = if value.is_nan() {
        let sign = if value.is_sign_negative() { "-" } else { "" };
        if payload == PLAIN_PAYLOAD {
            write!(out, "{sign}nan")
        } else {
            write!(out, "{sign}nan({payload:#x})")
        }
    } else {
        write!(out, "{value:?}")
    };
    debug_assert!(result.is_ok(), "writing to a string does not fail");
    if out.ends_with(".0") {
        out.truncate(out.len() - 2);
    }
}

/// The NaN with this payload, if it is one.
pub(crate) fn nan_with_payload(payload: u64) -> Option<f64> {
    let is_payload = payload != 0 && payload <= PAYLOAD;
    is_payload.then(|| f64::from_bits(f64::INFINITY.to_bits() | payload))
}
