//! What a cell of a table says: a number, nothing, or something else.

use crate::error::Hint;

/// The meaning of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell {
    /// A number; infinite if it is written so or too large for a double.
    Number(f64),
    /// No value.
    Missing,
    /// Anything else.
    Text,
}

/// How a missing value is written, in lower case; the empty cell is the most common one.
const MISSING: [&[u8]; 13] = [
    b"", b"na", b"n/a", b"nan", b"-nan", b"?", b"null", b"none", b"-", b".", b"#n/a", b"<na>",
    b"missing",
];

/// Reads a cell; blanks around it do not count.
pub(crate) fn cell(bytes: &[u8], decimal_comma: bool) -> Cell {
    let bytes = bytes.trim_ascii();
    if let Some(number) = number(bytes, decimal_comma) {
        return Cell::Number(number);
    }
    if MISSING.iter().any(|m| bytes.eq_ignore_ascii_case(m)) {
        Cell::Missing
    } else {
        Cell::Text
    }
}

/// A decimal number, `inf` and `infinity` included, but not `nan`.
fn number(bytes: &[u8], decimal_comma: bool) -> Option<f64> {
    /// Longer cells are no numbers anybody wrote; with a decimal comma they would need a copy.
    const MAX_LEN: usize = 400;
    let mut copy = [0; MAX_LEN];
    let mut bytes = bytes;
    if decimal_comma && bytes.len() <= MAX_LEN {
        if bytes.contains(&b'.') {
            return None;
        }
        let copy = &mut copy[..bytes.len()];
        copy.copy_from_slice(bytes);
        if let Some(mark) = copy.iter().position(|&b| b == b',') {
            copy[mark] = b'.';
        }
        return parse(copy);
    }
    // Excel and LaTeX users paste the typographic minus sign.
    if let Some(rest) = bytes.strip_prefix("\u{2212}".as_bytes()) {
        bytes = rest;
        return if rest.starts_with(b"-") || rest.starts_with(b"+") {
            None
        } else {
            parse(bytes).map(|v| -v)
        };
    }
    parse(bytes)
}

fn parse(bytes: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// What may be behind a cell that is [`Cell::Text`].
pub(crate) fn hint(bytes: &[u8], decimal_comma: bool) -> Hint {
    let bytes = bytes.trim_ascii();
    let is_number = |b: &[u8]| number(b, decimal_comma).is_some();
    let without = |c: u8| {
        bytes
            .iter()
            .copied()
            .filter(|&b| b != c)
            .collect::<Vec<u8>>()
    };
    let thousands = if decimal_comma { b'.' } else { b',' };
    let n_marks = bytes.iter().filter(|&&b| b == b',').count();
    if bytes.len() > 100 {
        Hint::None
    } else if !decimal_comma && n_marks == 1 && number(bytes, true).is_some() {
        Hint::DecimalComma
    } else if is_number(&without(thousands)) || is_number(&without(b'\'')) {
        Hint::Thousands
    } else if bytes
        .strip_suffix(b"%")
        .is_some_and(|b| is_number(b.trim_ascii()))
    {
        Hint::Percent
    } else if bytes
        .split(u8::is_ascii_whitespace)
        .filter(|b| !b.is_empty())
        .all(is_number)
    {
        Hint::Blanks
    } else {
        Hint::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells() {
        let n = Cell::Number;
        // cell, its meaning with a decimal point, its meaning with a decimal comma
        let rows: &[(&str, Cell, Cell)] = &[
            ("1", n(1.0), n(1.0)),
            (" -1.5\t", n(-1.5), Cell::Text),
            ("1,5", Cell::Text, n(1.5)),
            ("-,5e2", Cell::Text, n(-50.0)),
            ("1.234,5", Cell::Text, Cell::Text),
            ("1,2,3", Cell::Text, Cell::Text),
            ("+.5", n(0.5), Cell::Text),
            ("5.", n(5.0), Cell::Text),
            ("1e-3", n(1e-3), n(1e-3)),
            ("1E+30", n(1e30), n(1e30)),
            ("\u{2212}3", n(-3.0), Cell::Text),
            ("\u{2212}-3", Cell::Text, Cell::Text),
            ("1e999", n(f64::INFINITY), n(f64::INFINITY)),
            ("-Infinity", n(f64::NEG_INFINITY), n(f64::NEG_INFINITY)),
            ("inf", n(f64::INFINITY), n(f64::INFINITY)),
            ("4.9e-324", n(5e-324), Cell::Text),
            ("", Cell::Missing, Cell::Missing),
            ("  ", Cell::Missing, Cell::Missing),
            ("NA", Cell::Missing, Cell::Missing),
            ("NaN", Cell::Missing, Cell::Missing),
            ("null", Cell::Missing, Cell::Missing),
            ("?", Cell::Missing, Cell::Missing),
            ("Mercury", Cell::Text, Cell::Text),
            ("0x10", Cell::Text, Cell::Text),
            ("1_000", Cell::Text, Cell::Text),
            ("12 %", Cell::Text, Cell::Text),
            ("1 2", Cell::Text, Cell::Text),
            ("true", Cell::Text, Cell::Text),
        ];
        for &(text, point, comma) in rows {
            assert_eq!(cell(text.as_bytes(), false), point, "{text:?}");
            assert_eq!(
                cell(text.as_bytes(), true),
                comma,
                "{text:?} with a decimal comma"
            );
        }
        assert_eq!(cell(b"\xff\xfe", false), Cell::Text);
        assert_eq!(cell(&[b'7'; 10_000], true), n(f64::INFINITY));
    }

    #[test]
    fn hints() {
        let rows = [
            ("1,5", Hint::DecimalComma),
            ("1,234,567", Hint::Thousands),
            ("1'000.5", Hint::Thousands),
            ("12 %", Hint::Percent),
            ("1.0  2.0 3", Hint::Blanks),
            ("abc", Hint::None),
            ("1.2.3", Hint::None),
        ];
        for (text, expected) in rows {
            assert_eq!(hint(text.as_bytes(), false), expected, "{text:?}");
        }
        assert_eq!(hint(b"1.234,5", true), Hint::Thousands);
        assert_eq!(hint(&[b'1', b' '].repeat(1000), false), Hint::None);
    }
}
