//! Pages and pieces of them: their text, their structure, and that nothing in them is executed.

use opcodon_expr::parse;
use opcodon_listing::{Listing, Syntax};
use opcodon_page::{Rows, equation, formula, fragment, front_table, listing, machine_code, page};
use opcodon_sr::{Config, Observations, Report, SrError, fit};

/// Text without its elements.
fn text(html: &str) -> String {
    let mut out = String::new();
    for piece in html.split('<') {
        out.push_str(piece.split_once('>').map_or(piece, |(_, content)| content));
    }
    out.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[test]
fn code_reads_as_its_listing() {
    let names = ["a", "b & <c>"];
    for (formula, kernel) in [
        ("a", false),
        ("2.5*a + sin(`b & <c>`)", false),
        ("a/`b & <c>` + 1e-300", false),
        ("a*a", true),
        ("exp(a)", true),
    ] {
        let expr = parse(formula, Some(&names)).unwrap().expr;
        for syntax in Syntax::ALL {
            let code = machine_code(&expr, &names, kernel, syntax).unwrap();
            assert_eq!(text(&listing(&code)), code.to_string(), "{formula}");
        }
    }
    for bytes in [&b""[..], b"\xeb\xfe\xc3", b"\x06\x06"] {
        let code = Listing::new(bytes, Syntax::Intel);
        assert_eq!(text(&listing(&code)), code.to_string());
    }
}

const NASTY: [&str; 3] = [
    "</script><script>alert(1)</script>",
    "a\" onclick=\"x",
    "b'<!--",
];

fn report(target: &str) -> (Report, Vec<Vec<f64>>, Vec<f64>) {
    let columns: Vec<Vec<f64>> = (0..3)
        .map(|c| {
            (0..40)
                .map(|k| f64::from((k * (3 + c)) % 17) + 1.0)
                .collect()
        })
        .collect();
    let y: Vec<f64> = (0..40)
        .map(|k| columns[0][k] / columns[1][k] + 0.3 * columns[2][k].sin())
        .collect();
    let views: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let data = Observations::new(&NASTY, &views, target, &y);
    let mut config = Config::default();
    for (name, value) in [
        ("time_limit", "none"),
        ("max_generations", "3"),
        ("population_size", "200"),
        ("random_state", "1"),
    ] {
        config.set(name, value).expect("a parameter");
    }
    (fit(&data, &config).expect("a fit"), columns, y)
}

#[test]
fn names_are_text() {
    let (report, columns, y) = report("<img src=x onerror=alert(1)>");
    let views: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    let rows = Rows {
        columns: &views,
        target: &y,
    };
    for page in [
        page(&report, None).unwrap(),
        page(&report, Some(rows)).unwrap(),
    ] {
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script").count(), 2);
        assert!(!page.contains("<img") && !page.contains("<!--"));
        assert!(!page.contains("a\" onclick"));
        assert!(!page.contains("://"), "a page refers to nothing else");
    }
    let best = report.best();
    for piece in [
        formula(&best.expr, &report.names),
        equation(&report.target, &best.expr, &report.names),
        front_table(&report, true),
    ] {
        let piece = fragment(&piece);
        assert!(
            !piece.contains("<script") && !piece.contains("<img"),
            "{piece}"
        );
    }
}

#[test]
fn rows_must_be_those_of_the_report() {
    let (report, columns, y) = report("y");
    let check = |columns: &[&[f64]], target: &[f64]| page(&report, Some(Rows { columns, target }));
    let views: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
    assert!(check(&views, &y).is_ok());
    assert!(check(&[&[][..]; 3], &[]).is_ok());
    assert!(matches!(
        check(&views[..2], &y),
        Err(SrError::ColumnCount { .. })
    ));
    assert!(matches!(
        check(&views, &y[1..]),
        Err(SrError::RowCount { .. })
    ));
}

fn bred(kind: &str) -> Option<(opcodon_mcode::Report, Vec<Vec<f64>>, Vec<f64>)> {
    use opcodon_mcode::fit::{Hooks, Observations, fit};
    if !opcodon_testkit::require_avx2("genomes_have_pages_with_all_their_bytes") {
        return None;
    }
    let (_, columns, y) = report("y");
    let data = Observations {
        names: NASTY.map(str::to_owned).to_vec(),
        columns: columns.iter().map(|column| column.into()).collect(),
        target_name: "<b>".into(),
        target: (&y).into(),
        weights: None,
    };
    let mut config = opcodon_mcode::Config::default();
    for (name, value) in [
        ("genome", kind),
        ("time_limit", "none"),
        ("max_evaluations", "30000"),
        ("population_size", "200"),
        ("migration_interval", "5"),
        ("random_state", "1"),
    ] {
        config.set(name, value).expect("a parameter");
    }
    Some((
        fit(&data, &config, Hooks::default()).expect("a fit"),
        columns,
        y,
    ))
}

#[test]
fn genomes_have_pages_with_all_their_bytes() {
    for kind in ["tree", "linear"] {
        let Some((report, columns, y)) = bred(kind) else {
            return;
        };
        let views: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let rows = Rows {
            columns: &views,
            target: &y,
        };
        let page = page(&report, Some(rows)).unwrap();
        assert_eq!(page.matches("<script").count(), 2);
        assert!(!page.contains("<b>alert") && !page.contains("<!--"));
        assert_eq!(page.matches("class=\"genome\"").count(), report.front.len());
        assert!(page.contains("error in the course of the run"));
        let slot = &report.best().genome.code().bytes()[..4];
        let octets: Vec<String> = slot.iter().map(|octet| format!("{octet:02x}")).collect();
        assert!(text(&page).contains(&octets.join(" ")));
        let wrong = opcodon_page::page(
            &report,
            Some(Rows {
                columns: &views,
                target: &y[1..],
            }),
        );
        let told = wrong.unwrap_err().to_string();
        assert!(told.contains("has 40 rows, but 39 are needed"), "{told}");
    }
}
