//! The page of a fit: one file, to look at and to click.

use std::fmt::Write;

use opcodon_expr::print::{self, markup};
use opcodon_listing::Syntax;
use opcodon_sr::{Config, Model, Report, SrError, r2_text};

use crate::code::{listing, machine_code};
use crate::data::{Rows, data, in_script, short};
use crate::fragment::{STYLE, equation};
use crate::front::{front_picture, front_table, judgements};

const PAGE_STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing may be loaded, whatever stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// Languages that a formula can be copied in: how they are called, and their printers.
type Printer = fn(&Model, &[String]) -> String;
const LANGUAGES: [(&str, Printer); 6] = [
    ("Text", |model, _| model.formula.clone()),
    ("LaTeX", |model, names| print::latex(&model.expr, names)),
    ("Python", |model, names| print::numpy(&model.expr, names)),
    ("SymPy", |model, names| print::sympy(&model.expr, names)),
    ("C", |model, names| print::c(&model.expr, names)),
    ("Rust", |model, names| print::rust(&model.expr, names)),
];

/// The page of a fit as one file of HTML. With rows it has pictures of what the formulas say of
/// them; of many rows, [`crate::MAX_ROWS`] are shown, evenly spread.
///
/// # Errors
/// The columns of `rows` are not those of the report, or are not as long as its target.
pub fn page(report: &Report, rows: Option<Rows<'_>>) -> Result<String, SrError> {
    let data = in_script(&data(report, rows)?);
    let title = markup(&report.target);
    let chosen = markup(&report.best().formula);
    let (n_rows, n_columns) = (report.n_rows, report.names.len());
    let columns = if n_columns == 1 { "column" } else { "columns" };
    let each = |part: fn(&Report, &Model) -> String| {
        let mut html = String::new();
        for (index, model) in report.front.iter().enumerate() {
            let shown = if index == report.chosen { " shown" } else { "" };
            let _ = write!(
                html,
                "<div class=\"model{shown}\" data-model=\"{index}\">{}</div>",
                part(report, model)
            );
        }
        html
    };
    let (tabs, points) = if rows.is_some() {
        (point_tabs(report), POINTS)
    } else {
        (String::new(), NO_POINTS)
    };
    let language_tabs: String = LANGUAGES
        .iter()
        .map(|(name, _)| format!("<button data-speak=\"{name}\">{name}</button>"))
        .collect();
    Ok(format!(
        "<!doctype html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">
<title>{title} = {chosen}</title>
<style>
{STYLE}{PAGE_STYLE}</style></head>
<body class=\"opcodon\">
<header><h1>Formulas for {title}</h1>
<p>{n_rows} rows, {n_columns} {columns}; {} formulas were tried in {:.1} s. {}.</p></header>
<main>
<section class=\"card hero\">{}</section>
<div class=\"pictures\">
<section class=\"card\" id=\"front\"><h2>The front<small>the best formula of each size; click one</small></h2>
{}
<p class=\"told\">Nothing was found below the stairs. Arrow keys go along them.</p></section>
<section class=\"card\" id=\"fit\"><h2>The fit</h2>
{tabs}{points}</section>
</div>
<section class=\"card\" id=\"formulas\"><h2>Formulas</h2>
{}</section>
<section class=\"card texts\"><h2>To copy</h2>
<div class=\"tabs needs-js\">{language_tabs}</div>
{}</section>
<section class=\"card asm\"><h2>Machine code</h2>
{}</section>
<section class=\"card\"><h2>The search</h2>
{}</section>
</main>
<footer>Made by Opcodon {}. Constants are shown with six digits; the texts to copy have all.</footer>
<script type=\"application/json\" id=\"data\">{data}</script>
<script>
{SCRIPT}</script>
</body>
</html>
",
        print::grouped(report.evaluations),
        report.elapsed_s,
        markup(&sentence(&report.stop.to_string())),
        each(hero),
        front_picture(report),
        front_table(report, true),
        each(texts),
        each(codes),
        search(report),
        env!("CARGO_PKG_VERSION"),
    ))
}

/// Where the script draws.
const POINTS: &str = "<svg class=\"picture\" id=\"points\" viewBox=\"0 0 520 320\" role=\"img\" \
                      aria-label=\"predictions\"></svg><p class=\"told\" id=\"told\"></p>\
                      <noscript><p class=\"hint\">These pictures are drawn by the page's script.</p></noscript>";

/// How to get the pictures that need rows.
const NO_POINTS: &str = "<p class=\"hint\">Predictions and residuals are pictured on pages that are \
                         given the table: <code>model.report(\"page.html\", X, y)</code> in Python, \
                         <code>opcodon report model.json table.csv</code> on the command line.</p>";

/// What the points show, and for which column.
fn point_tabs(report: &Report) -> String {
    let mut html = String::from(
        "<div class=\"tabs needs-js\"><button data-kind=\"fit\" aria-pressed=\"true\">predicted and actual</button>\
         <button data-kind=\"left\">residuals</button><button data-kind=\"data\">data</button>\
         <select id=\"column\" aria-label=\"against\" hidden>",
    );
    for (index, name) in report.names.iter().enumerate() {
        let _ = write!(
            html,
            "<option value=\"{index}\">against {}</option>",
            markup(name)
        );
    }
    html.push_str("<option value=\"fit\">against the prediction</option></select></div>");
    html
}

/// The formula and its figures.
fn hero(report: &Report, model: &Model) -> String {
    let mut html = equation(&report.target, &model.expr, &report.names);
    html.push_str("<dl class=\"tiles\">");
    let mut tile = |name: &str, value: &str, hint: &str| {
        let _ = write!(
            html,
            "<div><dt>{}</dt><dd title=\"{}\">{}</dd></div>",
            markup(name),
            markup(hint),
            markup(value)
        );
    };
    tile("R²", &r2_text(model.r2), &format!("{:?}", model.r2));
    for (heading, value) in judgements(report) {
        if let Some(value) = value(model) {
            tile(heading, &r2_text(value), &format!("{value:?}"));
        }
    }
    let loss = &report.config.loss;
    tile(
        &loss.to_string(),
        &short(model.loss, 4),
        &format!("{:?}", model.loss),
    );
    if loss.is_squares() {
        let rmse = model.loss.sqrt();
        tile(
            "typical error",
            &short(rmse, 4),
            &format!("{rmse:?}, the square root of mse"),
        );
    }
    tile(
        "nodes",
        &model.size.to_string(),
        "operators, functions, variables and constants",
    );
    let choice = if std::ptr::eq(model, report.best()) {
        markup(&sentence(&report.choice))
    } else {
        format!(
            "<a href=\"#{}\">Back to the chosen formula</a>",
            report.chosen
        )
    };
    let _ = write!(html, "</dl><p class=\"choice\">{choice}</p>");
    html
}

/// The formula in several languages.
fn texts(report: &Report, model: &Model) -> String {
    let text = |(name, printer): &(&str, Printer)| {
        format!(
            "<figure data-language=\"{name}\"><figcaption>{name}</figcaption><pre>{}</pre>\
             <button class=\"needs-js\">Copy</button></figure>",
            markup(printer(model, &report.names).trim_end())
        )
    };
    LANGUAGES.iter().map(text).collect()
}

/// The formula as machine code.
fn codes(report: &Report, model: &Model) -> String {
    let mut html = String::new();
    for (what, kernel) in [
        ("A function of numbers", false),
        ("The loop over rows that predicts", true),
    ] {
        let made = machine_code(&model.expr, &report.names, kernel, Syntax::Intel);
        let (told, body) = match made {
            Ok(code) => {
                let n_bytes: usize = code.lines().iter().map(|line| line.span.len()).sum();
                let told = format!("{n_bytes} bytes, {} lines", code.lines().len());
                (told, listing(&code))
            }
            Err(error) => {
                let told = format!("<p>{}</p>", markup(&error.to_string()));
                ("not here".to_owned(), told)
            }
        };
        let _ = write!(
            html,
            "<details><summary>{what}: {told}</summary>{body}</details>"
        );
    }
    html
}

/// How the formulas were found.
fn search(report: &Report) -> String {
    let mut facts = vec![
        ("choice", report.choice.clone()),
        ("ended because", report.stop.to_string()),
        (
            "formulas tried",
            format!(
                "{} in {} generations, {:.1} s",
                print::grouped(report.evaluations),
                print::grouped(report.generations),
                report.elapsed_s
            ),
        ),
        ("evaluated on", report.tier.clone()),
        ("seed", report.seed.to_string()),
    ];
    let usual = Config::default();
    let of = |config: &Config, name: &str| config.get(name).unwrap_or_default();
    for parameter in Config::PARAMETERS {
        let value = of(&report.config, parameter.name);
        if value != of(&usual, parameter.name) && parameter.name != "random_state" {
            facts.push((parameter.name, value));
        }
    }
    let mut html = String::from("<dl class=\"facts\">");
    for (name, value) in facts {
        let _ = write!(html, "<dt>{name}</dt><dd>{}</dd>", markup(&value));
    }
    html.push_str("</dl>");
    if !report.notes.is_empty() {
        html.push_str("<ul class=\"notes\">");
        for note in &report.notes {
            let _ = write!(html, "<li>{}</li>", markup(note));
        }
        html.push_str("</ul>");
    }
    html
}

/// The text with a capital first.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}
