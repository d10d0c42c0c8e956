//! The reader against arbitrary bytes and options: a table or an error, never a panic, and a table
//! that keeps its promises.

use arbitrary::{Arbitrary, Unstructured};
use arbtest::arbtest;
use opcodon_data::csv::{Columns, Options, Policy, TextPolicy, parse};
use opcodon_data::{Dataset, Table, Target};

/// Pieces that make text more like a CSV file than random bytes are.
const PIECES: [&[u8]; 40] = [
    b",",
    b",",
    b",",
    b";",
    b"\t",
    b"|",
    b"\n",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b"\"",
    b"\"\"",
    b"#",
    b" ",
    b"x",
    b"y",
    b"name",
    b"1",
    b"2.5",
    b"-3e8",
    b"1e999",
    b"inf",
    b"NaN",
    b"NA",
    b"?",
    b"",
    b"1,5",
    b"1 2",
    b"%",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\0",
    b"\xe2\x88\x92",
    b"PK\x03\x04",
    b"x,y\n",
    b"1,2\n",
    b"3,4\n",
    b"\"a\nb\"",
    b"=",
];

fn text(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    if u.ratio(1, 8)? {
        return Vec::arbitrary(u);
    }
    let mut text = Vec::new();
    for _ in 0..u.int_in_range(0..=60)? {
        text.extend_from_slice(u.choose(&PIECES)?);
    }
    Ok(text)
}

fn options(u: &mut Unstructured<'_>) -> arbitrary::Result<Options> {
    let policies = [Policy::Error, Policy::Drop, Policy::Keep];
    let names = |u: &mut Unstructured<'_>| -> arbitrary::Result<Vec<String>> {
        Ok(vec![
            (*u.choose(&["x", "y", "name", "x0", "column1"])?).to_owned(),
        ])
    };
    Ok(Options {
        delimiter: *u.choose(&[
            None,
            None,
            None,
            Some(b','),
            Some(b';'),
            Some(b'\n'),
            Some(b'x'),
        ])?,
        header: *u.choose(&[None, None, Some(true), Some(false)])?,
        decimal: *u.choose(&[None, None, Some(b'.'), Some(b','), Some(b'x')])?,
        comment: *u.choose(&[None, None, Some(b'#'), Some(b','), Some(b'\n'), Some(b'"')])?,
        missing: *u.choose(&policies)?,
        infinite: *u.choose(&policies)?,
        text: *u.choose(&[TextPolicy::Error, TextPolicy::Skip])?,
        columns: match u.int_in_range(0..=4)? {
            0 => Columns::Only(names(u)?),
            1 => Columns::Except(names(u)?),
            _ => Columns::All,
        },
    })
}

fn check(text: &[u8], options: &Options) {
    match parse(text, "data.csv", options) {
        Ok(table) => check_table(&table, options),
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && message.len() < 2000, "{message}");
        }
    }
}

fn check_table(table: &Table, options: &Options) {
    let n_rows = table.n_rows();
    assert_eq!(table.names().len(), table.columns().len());
    let values = || table.columns().iter().flatten();
    assert!(table.columns().iter().all(|c| c.len() == n_rows));
    assert!(options.missing == Policy::Keep || values().all(|v| !v.is_nan()));
    assert!(options.infinite == Policy::Keep || values().all(|v| !v.is_infinite()));
    let mut lines: Vec<u64> = (0..n_rows)
        .filter_map(|row| table.place(row, 0).line)
        .collect();
    assert_eq!(lines.len(), n_rows);
    assert!(lines.is_sorted() && lines.first() != Some(&0), "{lines:?}");
    lines.dedup();
    assert_eq!(lines.len(), n_rows, "each row begins in a line of its own");
    match Dataset::from_table(table.clone(), &Target::Last) {
        Ok(data) => {
            assert!(data.n_rows() >= 2 && data.n_columns() >= 1);
            assert!(
                data.columns()
                    .iter()
                    .chain([&data.target().to_vec()])
                    .flatten()
                    .all(|v| v.is_finite())
            );
            let _ = data.warnings();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[test]
fn any_bytes_with_any_options() {
    arbtest(|u| {
        let text = text(u)?;
        check(&text, &options(u)?);
        check(&text, &Options::default());
        Ok(())
    })
    .budget_ms(3000);
}

#[test]
fn a_table_that_is_written_reads_back_to_the_bit() {
    let directory = std::env::temp_dir().join(format!("opcodon-data-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("round trip.csv");
    arbtest(|u| {
        let n_rows = u.int_in_range(1..=20)?;
        let n_columns = u.int_in_range(1..=4)?;
        let mut columns = Vec::new();
        for _ in 0..n_columns {
            let mut column = Vec::new();
            for _ in 0..n_rows {
                let value = f64::arbitrary(u)?;
                column.push(if value.is_nan() { 0.0 } else { value });
            }
            columns.push(column);
        }
        let names = ["a", "b, c", "say \"d\"", "e\nf"];
        let named: Vec<(&str, &[f64])> = names
            .iter()
            .copied()
            .zip(columns.iter().map(Vec::as_slice))
            .collect();
        opcodon_data::write::write_csv(&path, &named).unwrap();
        let options = Options {
            header: Some(true),
            delimiter: Some(b','),
            infinite: Policy::Keep,
            ..Options::default()
        };
        let table = opcodon_data::csv::read(&path, &options).unwrap();
        assert_eq!(table.names(), &names[..n_columns]);
        for (a, b) in columns
            .iter()
            .flatten()
            .zip(table.columns().iter().flatten())
        {
            assert_eq!(a.to_bits(), b.to_bits(), "{a} {b}");
        }
        Ok(())
    })
    .budget_ms(1000);
    std::fs::remove_dir_all(&directory).unwrap();
}
