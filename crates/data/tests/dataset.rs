//! Data sets: from tables and from arrays, refused or with warnings.

use opcodon_data::csv::{Options, TextPolicy, parse};
use opcodon_data::{DataError, Dataset, Target};

fn from_csv(text: &str, target: &Target) -> Result<Dataset, DataError> {
    Dataset::from_table(
        parse(text.as_bytes(), "data.csv", &Options::default())?,
        target,
    )
}

fn from_columns(columns: &[&[f64]], target: &[f64]) -> Result<Dataset, DataError> {
    let names = (0..columns.len()).map(|i| format!("x{i}")).collect();
    let columns = columns.iter().map(|c| c.to_vec()).collect();
    Dataset::new(names, columns, "y".to_owned(), target.to_vec())
}

#[test]
fn the_target_is_set_apart() {
    let text = "a,b,c\n1,2,3\n4,5,6\n";
    let name = |n: &str| Target::Name(n.to_owned());
    // target, its name, the inputs' names
    let rows = [
        (Target::Last, "c", ["a", "b"]),
        (name("a"), "a", ["b", "c"]),
        (Target::Number(1), "b", ["a", "c"]),
    ];
    for (target, target_name, names) in rows {
        let data = from_csv(text, &target).unwrap();
        assert_eq!(
            (data.target_name(), data.names()),
            (target_name, &names.map(String::from)[..])
        );
        assert_eq!((data.n_rows(), data.n_columns()), (2, 2));
        let first = if target_name == "a" { 2.0 } else { 1.0 };
        assert_eq!(data.column_slices()[0][0], first);
    }
}

#[test]
fn what_no_search_can_use_is_refused() {
    let name = |n: &str| Target::Name(n.to_owned());
    #[rustfmt::skip]
    let rows = [
        ("a,period\n1,2\n3,4\n", name("Perid"), "data.csv: there is no column \"Perid\"; did you mean \"period\"? (columns: \"a\", \"period\")"),
        ("a,b\n1,2\n3,4\n", name("volume"), "data.csv: there is no column \"volume\" (columns: \"a\", \"b\")"),
        ("a,b\n1,2\n3,4\n", Target::Number(2), "data.csv: there is no column number 2: columns are numbered from 0 to 1"),
        ("a\n1\n3\n", Target::Last, "data.csv: there is no column besides the target \"a\"; at least one input is needed"),
        ("a,b\n1,2\n", Target::Last, "data.csv: 1 row(s) of data, but at least 2 are needed"),
    ];
    for (text, target, expected) in rows {
        assert_eq!(from_csv(text, &target).unwrap_err().to_string(), expected);
    }
    let skip = Options {
        text: TextPolicy::Skip,
        ..Options::default()
    };
    let table = parse(b"a,kind,b\n1,x,2\n3,y,4\n", "data.csv", &skip).unwrap();
    assert_eq!(
        Dataset::from_table(table, &name("kind"))
            .unwrap_err()
            .to_string(),
        "data.csv: column \"kind\" (for example \"x\" in line 2) holds text, not numbers; choose \
         another one, or encode it"
    );
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    type Row<'a> = (&'a [&'a [f64]], &'a [f64], &'a str);
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        (&[&[1.0, nan, 3.0]], &[1.0, 2.0, nan], "row 1 (counted from 0), column \"x0\": the value is missing (\"NaN\"); 2 value(s) in 2 row(s) are missing in all. Fill them in, leave out the column, or drop such rows (missing = drop)"),
        (&[&[1.0, 2.0]], &[1.0, -inf], "row 1 (counted from 0), column \"y\": \"-inf\" is infinite or too large for a 64-bit number; correct it, or drop such rows (infinite = drop)"),
        (&[&[1.0, 2.0], &[nan, nan]], &[1.0, 2.0], "column \"x1\" has no value in any row; leave it out"),
        (&[&[1.0, 2.0, 3.0]], &[1.0, 2.0], "column \"y\" has 2 rows, but the others have 3"),
        (&[], &[1.0, 2.0], "there is no column besides the target \"y\"; at least one input is needed"),
        (&[&[]], &[], "0 row(s) of data, but at least 2 are needed"),
    ];
    for (columns, target, expected) in rows {
        assert_eq!(
            from_columns(columns, target).unwrap_err().to_string(),
            *expected
        );
    }
    let twice = Dataset::new(
        vec!["y".to_owned()],
        vec![vec![1.0, 2.0]],
        "y".to_owned(),
        vec![1.0, 2.0],
    );
    assert_eq!(
        twice.unwrap_err().to_string(),
        "columns 1 and 2 (counted from 1) are both named \"y\"; rename one"
    );
}

#[test]
fn oddities_are_allowed_but_flagged() {
    type Row<'a> = (&'a [&'a [f64]], &'a [f64], &'a [&'a str]);
    let rows: &[Row<'_>] = &[
        (&[&[1.0, 2.0]], &[3.0, 5.0], &[]),
        (
            &[&[1.0, 2.0]],
            &[3.0, 3.0],
            &["the target has the same value in all rows"],
        ),
        (
            &[&[7.0, 7.0], &[7.0, 7.0]],
            &[1.0, 2.0],
            &[
                "column \"x0\" has the same value in all rows",
                "column \"x1\" has the same value in all rows",
            ],
        ),
        (
            &[&[1.0, 0.0], &[2.0, 3.0], &[1.0, -0.0]],
            &[1.0, 2.0],
            &["column \"x2\" equals column \"x0\" in all rows"],
        ),
        (
            &[&[1.0, 2.0]],
            &[1.0, 2.0],
            &["column \"x0\" equals the target in all rows"],
        ),
    ];
    for &(columns, target, expected) in rows {
        let data = from_columns(columns, target).unwrap();
        let found: Vec<String> = data.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn rows_are_taken_in_the_order_asked_for() {
    let data = from_csv("a,b\n1,10\n2,20\n3,30\n", &Target::Last).unwrap();
    let part = data.take_rows(&[2, 0]);
    assert_eq!(part.columns(), [[3.0, 1.0]]);
    assert_eq!(part.target(), [30.0, 10.0]);
    assert_eq!((part.names(), part.target_name()), (data.names(), "b"));
}
