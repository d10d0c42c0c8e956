//! Numbers as text that reads back to the same bits.

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

/// A number in this crate's notation, which [`parse()`](crate::parse()) reads back to the same bits.
#[must_use]
pub fn number(value: f64) -> String {
    let mut out = String::new();
    write_infix(&mut out, value);
    out
}

/// The nearest number with so many significant digits: for reading, not for computing. What
/// rounding would carry beyond all numbers stays as it is.
#[must_use]
pub fn rounded(value: f64, digits: usize) -> f64 {
    let rounded = format!("{value:.*e}", digits.saturating_sub(1)).parse();
    rounded
        .ok()
        .filter(|r: &f64| r.is_finite())
        .unwrap_or(value)
}

/// A count with its thousands apart: for reading.
///
/// ```
/// let texts = [0, 999, 1000, 1_234_567].map(opcodon_expr::print::grouped);
/// assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
/// ```
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Appends a number in this crate's notation: shortest decimal digits that read back, `inf`,
/// `nan`, and `nan(0x…)` for a NaN with an unusual payload.
pub(crate) fn write_infix(out: &mut String, value: f64) {
    if !value.is_nan() {
        out.push_str(&format!("{value:?}"));
        if out.ends_with(".0") {
            out.truncate(out.len() - 2);
        }
    } else if value.to_bits() & PAYLOAD == PLAIN_PAYLOAD {
        out.push_str(if value.is_sign_negative() {
            "-nan"
        } else {
            "nan"
        });
    } else {
        write_nan_with_payload(out, value);
    }
}

/// Appends a NaN as `nan(0x…)`.
pub(crate) fn write_nan_with_payload(out: &mut String, value: f64) {
    let sign = if value.is_sign_negative() { "-" } else { "" };
    out.push_str(&format!("{sign}nan({:#x})", value.to_bits() & PAYLOAD));
}

/// The NaN with this payload, if it is one.
pub(crate) fn nan_with_payload(payload: u64) -> Option<f64> {
    let is_payload = payload != 0 && payload <= PAYLOAD;
    is_payload.then(|| f64::from_bits(f64::INFINITY.to_bits() | payload))
}
