//! The page of a fit: one file, to look at and to click.

use std::fmt::Write;

use opcodon_expr::print::{self, markup};
use opcodon_sr::r2_text;

use crate::data::{Rows, data, in_script, short};
use crate::fit::{Facts, Fit, Formula};
use crate::fragment::{PICTURE_STYLE, STYLE, equation};
use crate::front::{front_picture, table};

const PAGE_STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Nothing may be loaded, whatever stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// Languages that a formula can be copied in: how they are called, and their printers.
type Printer = fn(&Formula<'_>, &[String]) -> String;
const LANGUAGES: [(&str, Printer); 6] = [
    ("Text", |formula, _| formula.text.to_owned()),
    ("LaTeX", |formula, names| print::latex(&formula.expr, names)),
    ("Python", |formula, names| {
        print::numpy(&formula.expr, names)
    }),
    ("SymPy", |formula, names| print::sympy(&formula.expr, names)),
    ("C", |formula, names| print::c(&formula.expr, names)),
    ("Rust", |formula, names| print::rust(&formula.expr, names)),
];

/// The page of a fit as one file of HTML. With rows it has pictures of what the formulas say of
/// them; of many rows, [`crate::MAX_ROWS`] are shown, evenly spread.
///
/// # Errors
/// The columns of `rows` are not those of the report, or are not as long as its target.
pub fn page<F: Fit>(fit: &F, rows: Option<Rows<'_>>) -> Result<String, F::Error> {
    let facts = &fit.facts();
    let data = in_script(&data(fit, facts, rows)?);
    let title = markup(facts.target);
    let chosen = markup(facts.best().text);
    let (n_rows, n_columns) = (facts.n_rows, facts.names.len());
    let columns = if n_columns == 1 { "column" } else { "columns" };
    let each = |part: &dyn Fn(usize) -> String| {
        let mut html = String::new();
        for index in 0..facts.front.len() {
            let shown = if index == facts.chosen { " shown" } else { "" };
            let _ = write!(
                html,
                "<div class=\"model{shown}\" data-model=\"{index}\">{}</div>",
                part(index)
            );
        }
        html
    };
    let (code, about_code) = F::CODE;
    let (tabs, points) = if rows.is_some() {
        (point_tabs(facts), POINTS)
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
{STYLE}{PICTURE_STYLE}{PAGE_STYLE}</style></head>
<body class=\"opcodon\">
<header><h1>Formulas for {title}</h1>
<p>{n_rows} rows, {n_columns} {columns}; {} {} in {:.1} s. {}.</p></header>
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
<section class=\"card asm\"><h2>{code}<small>{about_code}</small></h2>
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
        print::grouped(facts.evaluations),
        F::INDIVIDUALS,
        facts.elapsed_s,
        markup(&sentence(&facts.stop)),
        each(&|index| hero(facts, index)),
        front_picture(facts),
        table(facts, true),
        each(&|index| texts(facts, &facts.front[index])),
        each(&|index| fit.code(index)),
        fit.search(),
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
fn point_tabs(facts: &Facts<'_>) -> String {
    let mut html = String::from(
        "<div class=\"tabs needs-js\"><button data-kind=\"fit\" aria-pressed=\"true\">predicted and actual</button>\
         <button data-kind=\"left\">residuals</button><button data-kind=\"data\">data</button>\
         <select id=\"column\" aria-label=\"against\" hidden>",
    );
    for (index, name) in facts.names.iter().enumerate() {
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
fn hero(facts: &Facts<'_>, index: usize) -> String {
    let formula = &facts.front[index];
    let mut html = equation(facts.target, &formula.expr, facts.names);
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
    tile("R²", &r2_text(formula.r2), &format!("{:?}", formula.r2));
    for (heading, value) in facts.judgements.iter().zip(&formula.judgements) {
        if let Some(value) = value {
            tile(heading, &r2_text(*value), &format!("{value:?}"));
        }
    }
    let loss = format!("{:?}", formula.loss);
    tile(&facts.loss, &short(formula.loss, 4), &loss);
    if facts.is_squares {
        let rmse = formula.loss.sqrt();
        tile(
            "typical error",
            &short(rmse, 4),
            &format!("{rmse:?}, the square root of mse"),
        );
    }
    tile(
        "nodes",
        &formula.size.to_string(),
        "operators, functions, variables and constants",
    );
    let choice = if index == facts.chosen {
        markup(&sentence(&facts.choice))
    } else {
        format!(
            "<a href=\"#{}\">Back to the chosen formula</a>",
            facts.chosen
        )
    };
    let _ = write!(html, "</dl><p class=\"choice\">{choice}</p>");
    html
}

/// The formula in several languages.
fn texts(facts: &Facts<'_>, formula: &Formula<'_>) -> String {
    let text = |(name, printer): &(&str, Printer)| {
        format!(
            "<figure data-language=\"{name}\"><figcaption>{name}</figcaption><pre>{}</pre>\
             <button class=\"needs-js\">Copy</button></figure>",
            markup(printer(formula, facts.names).trim_end())
        )
    };
    LANGUAGES.iter().map(text).collect()
}

/// Names and values.
pub(crate) fn facts_list(facts: &[(&str, String)]) -> String {
    let mut html = String::from("<dl class=\"facts\">");
    for (name, value) in facts {
        let _ = write!(html, "<dt>{name}</dt><dd>{}</dd>", markup(value));
    }
    html.push_str("</dl>");
    html
}

/// The text with a capital first.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}
