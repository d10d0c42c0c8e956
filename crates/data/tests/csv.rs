//! CSV files, good and bad: what comes out, or the whole message.

use opcodon_data::csv::{Columns, Options, Policy, TextPolicy, parse};
use opcodon_data::{DataError, Table};

fn read(text: &str, options: &Options) -> Result<Table, DataError> {
    parse(text.as_bytes(), "data.csv", options)
}

/// Names and columns as text, or the message: what a test compares.
fn summary(result: Result<Table, DataError>) -> String {
    match result {
        Ok(table) => {
            let mut text: Vec<String> = table
                .names()
                .iter()
                .zip(table.columns())
                .map(|(name, values)| format!("{name}={values:?}"))
                .collect();
            text.extend(table.skipped().iter().map(|c| format!("skipped {c}")));
            if table.n_dropped() > 0 {
                text.push(format!("dropped {}", table.n_dropped()));
            }
            text.join(" ")
        }
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn check(text: &str, options: &Options, expected: &str) {
    assert_eq!(
        summary(read(text, options)),
        expected,
        "{text:?} with {options:?}"
    );
}

#[test]
fn files_that_read_as_they_are() {
    #[rustfmt::skip]
    let rows = [
        ("x,y\n1,2\n3,4\n", "x=[1.0, 3.0] y=[2.0, 4.0]"),
        ("x,y\n1,2\n3,4", "x=[1.0, 3.0] y=[2.0, 4.0]"),
        ("x,y\r\n1,2\r\n3,4\r\n", "x=[1.0, 3.0] y=[2.0, 4.0]"),
        ("x,y\r1,2\r3,4\r", "x=[1.0, 3.0] y=[2.0, 4.0]"),
        ("\u{feff}x,y\n1,2\n", "x=[1.0] y=[2.0]"),
        ("\u{feff}1,2\n3,4\n", "x0=[1.0, 3.0] x1=[2.0, 4.0]"),
        ("x;y\n1.5;2\n", "x=[1.5] y=[2.0]"),
        ("x\ty\n1\t-2e-3\n", "x=[1.0] y=[-0.002]"),
        ("x|y\n1|2\n", "x=[1.0] y=[2.0]"),
        ("1,2\n3,4\n", "x0=[1.0, 3.0] x1=[2.0, 4.0]"),
        ("7\n8\n", "x0=[7.0, 8.0]"),
        ("t\n7\n8\n", "t=[7.0, 8.0]"),
        (" x , y \n 1 , 2 \n", "x=[1.0] y=[2.0]"),
        ("\"mass, kg\",\"say \"\"y\"\"\"\n1,\"2\"\n", "mass, kg=[1.0] say \"y\"=[2.0]"),
        ("\"a\nb\",y\n1,2\n", "a\nb=[1.0] y=[2.0]"),
        ("\n\nx,y\n\n1,2\n   \n3,4\n\n", "x=[1.0, 3.0] y=[2.0, 4.0]"),
        // Each line ends with a delimiter: no third column.
        ("x,y,\n1,2,\n3,4,\n", "x=[1.0, 3.0] y=[2.0, 4.0]"),
        // An index column as pandas writes it.
        (",x\n0,5\n1,6\n", "column1=[0.0, 1.0] x=[5.0, 6.0]"),
        ("Größe,y\n1,2\n", "Größe=[1.0] y=[2.0]"),
        ("x,y\n1,\"2\"\n\n", "x=[1.0] y=[2.0]"),
        ("x,\"y \"\"\"\n1,2", "x=[1.0] y \"=[2.0]"),
    ];
    for (text, expected) in rows {
        check(text, &Options::default(), expected);
    }
}

#[test]
fn options_are_obeyed() {
    let o = Options::default;
    #[rustfmt::skip]
    let rows = [
        ("1,2\n3,4\n", Options { header: Some(true), ..o() }, "1=[3.0] 2=[4.0]"),
        ("x,y\n3,4\n", Options { header: Some(false), ..o() },
         "data.csv, line 1, column \"x0\": \"x\" is not a number; if line 1 holds the names of the columns, say so (header = true)"),
        ("1;2\n", Options { delimiter: Some(b','), ..o() },
         "data.csv has column names in line 1 but no rows; if line 1 is data, say so (header = false)"),
        ("x;y\n1,5;-2,25e1\n", Options { decimal: Some(b','), ..o() }, "x=[1.5] y=[-22.5]"),
        ("1,5\n2,5\n", Options { decimal: Some(b','), ..o() }, "x0=[1.5, 2.5]"),
        ("# note, a\nx,y\n# more\n1,2\n", Options { comment: Some(b'#'), ..o() }, "x=[1.0] y=[2.0]"),
        ("x,y\n1,NA\n3,4\n", Options { missing: Policy::Drop, ..o() }, "x=[3.0] y=[4.0] dropped 1"),
        ("x,y\n1,\n3,4\n", Options { missing: Policy::Keep, ..o() }, "x=[1.0, 3.0] y=[NaN, 4.0]"),
        ("x,y\n1,-inf\n3,4\n", Options { infinite: Policy::Drop, ..o() }, "x=[3.0] y=[4.0] dropped 1"),
        ("x,y\n1,1e999\n3,4\n", Options { infinite: Policy::Keep, ..o() }, "x=[1.0, 3.0] y=[inf, 4.0]"),
        ("x,y\n1,\n3,inf\n5,6\n", Options { missing: Policy::Drop, infinite: Policy::Drop, ..o() }, "x=[5.0] y=[6.0] dropped 2"),
        ("name,x,y\nEarth,1,2\nMars,3,4\n", Options { text: TextPolicy::Skip, ..o() },
         "x=[1.0, 3.0] y=[2.0, 4.0] skipped \"name\" (for example \"Earth\" in line 2)"),
        // A missing name does not drop the row.
        ("name,x,y\n?,1,2\nMars,3,4\n", Options { text: TextPolicy::Skip, missing: Policy::Drop, ..o() },
         "x=[1.0, 3.0] y=[2.0, 4.0] skipped \"name\" (for example \"Mars\" in line 3)"),
        ("name,x,y\nEarth,1,2\n", Options { columns: Columns::Except(vec!["name".into()]), ..o() }, "x=[1.0] y=[2.0]"),
        ("name,x,y\nEarth,1,2\n", Options { columns: Columns::Only(vec!["y".into(), "x".into()]), ..o() }, "x=[1.0] y=[2.0]"),
        ("a,a,y\n1,2,3\n", Options { columns: Columns::Only(vec!["y".into()]), ..o() }, "y=[3.0]"),
        ("x,y\n1,2\n", Options { columns: Columns::Only(vec!["z".into()]), ..o() },
         "data.csv: there is no column \"z\" (columns: \"x\", \"y\")"),
        ("x,yield\n1,2\n", Options { columns: Columns::Except(vec!["yeild".into()]), ..o() },
         "data.csv: there is no column \"yeild\"; did you mean \"yield\"? (columns: \"x\", \"yield\")"),
        ("x,y\n1,2\n", Options { delimiter: Some(b'"'), ..o() }, "the delimiter cannot be '\"': it is the decimal mark, a quote, a comment sign or a line end"),
        ("x,y\n1,2\n", Options { delimiter: Some(b','), decimal: Some(b','), ..o() }, "the delimiter cannot be ',': it is the decimal mark, a quote, a comment sign or a line end"),
        ("x,y\n1,2\n", Options { decimal: Some(b';'), ..o() }, "the decimal mark cannot be ';'; it is '.' or ','"),
    ];
    for (text, options, expected) in rows {
        check(text, &options, expected);
    }
}

#[test]
fn bad_files_get_a_message_with_place_and_remedy() {
    #[rustfmt::skip]
    let rows = [
        ("", "data.csv is empty; expected lines of numbers, with or without a line of column names"),
        ("\n \n\r\n", "data.csv is empty; expected lines of numbers, with or without a line of column names"),
        ("x,y\n", "data.csv has column names in line 1 but no rows; if line 1 is data, say so (header = false)"),
        ("x,y\n1,2\n3\n", "data.csv, line 3: 1 field(s), but the lines before have 2; add or remove a delimiter (','), or quote a value that contains one"),
        ("x,y\n1,2\n\n3,4,5\n", "data.csv, line 4: 3 field(s), but the lines before have 2; add or remove a delimiter (','), or quote a value that contains one"),
        ("\"a\nb\",y\n1,2\n3\n", "data.csv, line 4: 1 field(s), but the lines before have 2; add or remove a delimiter (','), or quote a value that contains one"),
        ("x,y\n1,2\n3,\n5,NA\n", "data.csv, line 3, column \"y\": the value is missing (\"\"); 2 value(s) in 2 row(s) are missing in all. Fill them in, leave out the column, or drop such rows (missing = drop)"),
        ("x,y\n1,2\nnull,?\n", "data.csv, line 3, column \"x\": the value is missing (\"null\"); 2 value(s) in 1 row(s) are missing in all. Fill them in, leave out the column, or drop such rows (missing = drop)"),
        ("x,y\n1,\n3,NaN\n", "data.csv: column \"y\" has no value in any row; leave it out"),
        ("x,y\n1,2\n3,abc\n5,6\n", "data.csv, line 3, column \"y\": \"abc\" is not a number; correct it, or leave out the column or the line"),
        ("x;y\n1,5;2\n2,5;3\n", "data.csv, line 2, column \"x\": \"1,5\" is not a number; if the comma is the decimal mark, say so (decimal = ',')"),
        ("x;y\n1,234,567;2\n2,500,000;3\n", "data.csv, line 2, column \"x\": \"1,234,567\" is not a number; write it without thousands separators"),
        ("x,y\n5 %,2\n6 %,3\n", "data.csv, line 2, column \"x\": \"5 %\" is not a number; write it without the percent sign"),
        ("1.0 2.0 3.0\n4.0 5.0 6.0\n", "data.csv, line 1, column \"x0\": \"1.0 2.0 3.0\" is not a number; separate the numbers by commas, semicolons, tabs or bars, not by blanks"),
        ("abc,2,3\n4,5,6\n7,8,9\n", "data.csv, line 1, column \"x0\": \"abc\" is not a number; if line 1 holds the names of the columns, say so (header = true)"),
        ("name,color,x\nEarth,blue,1\nMars,red,2\n", "data.csv: not numeric: column \"name\" (for example \"Earth\" in line 2), \"color\" (for example \"blue\" in line 2); leave such columns out, or let them be skipped (text = skip)"),
        ("x,y\n1,2\n3,inf\n", "data.csv, line 3, column \"y\": \"inf\" is infinite or too large for a 64-bit number; correct it, or drop such rows (infinite = drop)"),
        ("x,y\n1e400,2\n", "data.csv, line 2, column \"x\": \"1e400\" is infinite or too large for a 64-bit number; correct it, or drop such rows (infinite = drop)"),
        ("x,y,x\n1,2,3\n", "data.csv: columns 1 and 3 (counted from 1) are both named \"x\"; rename one"),
        ("PK\u{3}\u{4}rest", "data.csv is not a CSV file but an Excel, LibreOffice or zip file; export it as CSV in UTF-8"),
        ("x,y\n1,\"2\n3,4\n", "data.csv, line 2: a quote (\") is opened in this record and not closed up to the end of the file; close it, or remove it"),
        ("x,y\n1,2\n\"3,4\n5,6\n", "data.csv, line 3: a quote (\") is opened in this record and not closed up to the end of the file; close it, or remove it"),
        ("x,y\n1,2\n3\n\"5,6\n", "data.csv, line 3: 1 field(s), but the lines before have 2; add or remove a delimiter (','), or quote a value that contains one"),
        ("x,\"y\n1,2\n", "data.csv, line 1: a quote (\") is opened in this record and not closed up to the end of the file; close it, or remove it"),
    ];
    for (text, expected) in rows {
        check(text, &Options::default(), expected);
    }
    let all_dropped = Options {
        missing: Policy::Drop,
        ..Options::default()
    };
    check(
        "x,y\n1,\n,2\n",
        &all_dropped,
        "data.csv: each of the 2 rows misses a value in some column, so dropping such rows leaves \
         none; leave out the columns with many missing values",
    );
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("x,y".bytes().flat_map(|b| [b, 0]))
        .collect();
    let error = parse(&utf16, "data.csv", &Options::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "data.csv is not a CSV file but UTF-16 text; export it as CSV in UTF-8"
    );
}

#[test]
fn long_and_broken_values_are_shown_in_part() {
    let text = format!("x,y\n1,2\n3,{}\n", "z".repeat(1000));
    let message = summary(read(&text, &Options::default()));
    assert!(message.len() < 200 && message.contains("zzz…"), "{message}");
    let error = parse(b"x,y\n1,2\n3,\xff\xfe\n5,6\n", "d", &Options::default()).unwrap_err();
    assert!(
        error.to_string().contains("\"\u{fffd}\u{fffd}\""),
        "{error}"
    );
}

#[test]
fn line_numbers_survive_blank_lines_comments_and_quoted_line_breaks() {
    let options = Options {
        comment: Some(b'#'),
        missing: Policy::Drop,
        ..Options::default()
    };
    let text = "# title\n\nx,y\r\n# one\n# two\n\n1,2\n\n\"\n3\",4\n,5\n#end\n6,7\n\n";
    let table = read(text, &options).unwrap();
    let lines: Vec<u64> = (0..3)
        .map(|row| table.place(row, 0).line.unwrap())
        .collect();
    assert_eq!(lines, [7, 9, 13]);
    assert_eq!(table.columns()[0], [1.0, 3.0, 6.0]);
    assert_eq!(
        table.place(2, 1).to_string(),
        "data.csv, line 13, column \"y\""
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = opcodon_data::csv::read("no/such/file.csv", &Options::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot read no/such/file.csv: "),
        "{error}"
    );
    let error = opcodon_data::csv::read(".", &Options::default()).unwrap_err();
    assert!(error.to_string().starts_with("cannot read .: "), "{error}");
}

#[test]
fn many_rows_and_columns() {
    let mut text = String::new();
    for row in 0..20_000 {
        for column in 0..10 {
            text.push_str(&format!(
                "{}{}",
                f64::from(row) * 0.5 + f64::from(column),
                if column < 9 { "," } else { "\n" }
            ));
        }
    }
    let table = read(&text, &Options::default()).unwrap();
    assert_eq!((table.n_rows(), table.n_columns()), (20_000, 10));
    assert_eq!(table.columns()[9][19_999], 19_999.0 * 0.5 + 9.0);
}
