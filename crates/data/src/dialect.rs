//! The dialect of a CSV file: which delimiter, and is the first line a header?
//!
//! Both are told from a sample at the beginning of the file. A delimiter is good if it cuts all
//! lines into the same number of fields, more than one, and if the fields are numbers. The first
//! line is a header if it is text where the lines below are numbers.

use csv::ByteRecord;

use crate::error::Hint;
use crate::number::{Cell, cell, hint};

/// Delimiters that are tried, the more common first.
pub(crate) const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Length of the sample.
const SAMPLE_BYTES: usize = 1 << 16;
const SAMPLE_RECORDS: usize = 100;

/// A CSV reader that takes every line as it is; the caller checks the number of fields.
pub(crate) fn reader(bytes: &[u8], delimiter: u8, comment: Option<u8>) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .comment(comment)
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes)
}

/// The first records, as far as they are complete.
fn sample(bytes: &[u8], delimiter: u8, comment: Option<u8>) -> Vec<ByteRecord> {
    let cut = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    let mut records: Vec<ByteRecord> = reader(cut, delimiter, comment)
        .into_byte_records()
        .take(SAMPLE_RECORDS)
        .map_while(Result::ok)
        .filter(|record| !is_blank(record))
        .collect();
    if cut.len() < bytes.len() && records.len() > 1 && records.len() < SAMPLE_RECORDS {
        records.pop();
    }
    records
}

/// A line of blanks only; the csv reader itself skips only empty ones.
pub(crate) fn is_blank(record: &ByteRecord) -> bool {
    record.len() == 1 && record[0].trim_ascii().is_empty()
}

/// The delimiter; a comma if nothing speaks for another.
pub(crate) fn delimiter(bytes: &[u8], comment: Option<u8>, decimal_comma: bool) -> u8 {
    let score = |delimiter: u8| {
        let records = sample(bytes, delimiter, comment);
        let n_fields = records.iter().map(ByteRecord::len).max().unwrap_or(0);
        if n_fields < 2 {
            return 0.0;
        }
        // The most common width, and how common it is.
        let share = |n: usize| records.iter().filter(|r| r.len() == n).count();
        let (usual, consistent) = (1..=n_fields)
            .map(|n| (n, share(n)))
            .max_by_key(|&(_, count)| count)
            .unwrap_or((1, 0));
        if usual < 2 {
            return 0.0;
        }
        let consistency = consistent as f64 / records.len() as f64;
        // Beside any delimiter but the comma itself, a decimal comma is as good as a point: the
        // question here is only where the fields end.
        let numeric = |field: &[u8]| {
            cell(field, decimal_comma) != Cell::Text
                || delimiter != b',' && cell(field, true) != Cell::Text
        };
        let fields = || records.iter().skip(1).flat_map(|r| r.iter());
        let n_numeric = fields().filter(|f| numeric(f)).count();
        let numeric_share = n_numeric as f64 / fields().count().max(1) as f64;
        consistency * (0.1 + numeric_share)
    };
    let candidates = DELIMITERS
        .iter()
        .copied()
        .filter(|&d| !(decimal_comma && d == b','));
    // The first of the best: `max_by` would take the last.
    let mut best = (0.0, if decimal_comma { b';' } else { b',' });
    for candidate in candidates {
        let score = score(candidate);
        if score > best.0 {
            best = (score, candidate);
        }
    }
    best.1
}

/// Whether the first line holds column names.
pub(crate) fn has_header(
    bytes: &[u8],
    delimiter: u8,
    comment: Option<u8>,
    decimal_comma: bool,
) -> bool {
    let records = sample(bytes, delimiter, comment);
    let Some((first, rest)) = records.split_first() else {
        return false;
    };
    // A number in a format that the options do not allow is no name either.
    let meaning = |record: &ByteRecord, column: usize| {
        let field = record.get(column).unwrap_or_default();
        match cell(field, decimal_comma) {
            Cell::Text if hint(field, decimal_comma) != Hint::None => Cell::Number(f64::NAN),
            meaning => meaning,
        }
    };
    // Columns of numbers below: is their first cell a name or one more number?
    let (mut names, mut numbers) = (0, 0);
    for column in 0..first.len() {
        let below = || rest.iter().map(|record| meaning(record, column));
        let is_number = |c: &Cell| matches!(c, Cell::Number(_));
        let n_numbers = below().filter(is_number).count();
        let n_text = below().filter(|c| *c == Cell::Text).count();
        match meaning(first, column) {
            Cell::Text if n_numbers > n_text => names += 1,
            Cell::Number(_) => numbers += 1,
            _ => {}
        }
    }
    let all_text = (0..first.len()).any(|c| meaning(first, c) == Cell::Text) && numbers == 0;
    // All text above text says nothing, but a table of text is of no use without names either.
    names > numbers
        || all_text && (names > 0 || rest.is_empty() || !any_number(rest, decimal_comma))
}

fn any_number(records: &[ByteRecord], decimal_comma: bool) -> bool {
    let mut fields = records.iter().flat_map(|record| record.iter());
    fields.any(|field| matches!(cell(field, decimal_comma), Cell::Number(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters() {
        let rows: &[(&str, char)] = &[
            ("a,b\n1,2\n", ','),
            ("a;b\n1;2\n", ';'),
            ("a\tb\n1\t2\n", '\t'),
            ("a|b\n1|2\n", '|'),
            ("1,5;2,5\n3,5;4,5\n", ';'),
            ("x;y\n1,5;2,5\n3,5;4,5\n", ';'),
            ("name,value\n\"a;b\",1\n\"c;d\",2\n", ','),
            ("name;value\n\"a,b\";1\n\"c,d\";2\n", ';'),
            ("x\n1\n2\n", ','),
            ("", ','),
            ("\n\n", ','),
            ("a b;c d\n", ';'),
            ("1,2,3\n4,5,6\n7,8\n", ','),
            ("t\tnote\n1\ta,b\n2\tc\n", '\t'),
        ];
        for &(text, expected) in rows {
            assert_eq!(
                char::from(delimiter(text.as_bytes(), None, false)),
                expected,
                "{text:?}"
            );
        }
        assert_eq!(delimiter(b"1,5\n2,5\n", None, true), b';');
    }

    #[test]
    fn headers() {
        let rows: &[(&str, bool)] = &[
            ("x,y\n1,2\n", true),
            ("1,2\n3,4\n", false),
            ("x,y\n", true),
            ("1,2\n", false),
            ("", false),
            // Text above numbers in one column, numbers above numbers in none.
            ("name,mass\nEarth,1\nMars,0.1\n", true),
            // A column of names without a header.
            ("Earth,1\nMars,0.1\n", false),
            // A typing mistake in the first of many numbers does not make a header.
            ("abc,2,3\n1,2,3\n1,2,3\n", false),
            // An index column without a name.
            (",a,b\n0,1,2\n1,3,4\n", true),
            ("NA,1\n2,3\n", false),
            ("x,y\nNA,\n1,2\n", true),
            ("name,color\nEarth,blue\nMars,red\n", true),
            ("1 2,3 %\n4 5,6 %\n", false),
            ("x,y\n4 5,6 %\n", true),
        ];
        for &(text, expected) in rows {
            assert_eq!(
                has_header(text.as_bytes(), b',', None, false),
                expected,
                "{text:?}"
            );
        }
    }
}
