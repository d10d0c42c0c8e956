//! The front, as a table and as a picture.

use std::fmt::Write;

use opcodon_expr::print::{markup, mathml_content};
use opcodon_sr::r2_text;

use crate::axes::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, begin, column, names, rows};
use crate::data::short;
use crate::fit::{Facts, Fit, Formula};
use crate::fragment::{DIGITS, equation, fragment};

/// The chosen formula and the front, as a notebook's output.
#[must_use]
pub fn summary(fit: &impl Fit) -> String {
    let facts = fit.facts();
    let equation = equation(facts.target, &facts.best().expr, facts.names);
    fragment(&format!("{equation}\n{}", table(&facts, false)))
}

/// The front as a table, the chosen formula marked. Each row is a link to `#` and its number.
#[must_use]
pub fn front_table(fit: &impl Fit, links: bool) -> String {
    table(&fit.facts(), links)
}

pub(crate) fn table(facts: &Facts<'_>, links: bool) -> String {
    let mut html = String::from("<div class=\"scroll\"><table class=\"front\"><thead><tr>");
    html.push_str("<th>size</th><th>R²</th>");
    for heading in &facts.judgements {
        let _ = write!(html, "<th>{heading}</th>");
    }
    let loss = markup(&facts.loss);
    let _ = write!(
        html,
        "<th>{loss}</th><th class=\"text\">formula</th></tr></thead><tbody>"
    );
    for (index, formula) in facts.front.iter().enumerate() {
        let chosen = index == facts.chosen;
        let class = if chosen { " class=\"chosen\"" } else { "" };
        let mark = if chosen {
            " <span class=\"badge\">chosen</span>"
        } else {
            ""
        };
        let _ = write!(
            html,
            "\n<tr{class} data-point=\"{index}\"><td>{}</td><td title=\"{:?}\">{}</td>",
            formula.size,
            formula.r2,
            r2_text(formula.r2)
        );
        for value in &formula.judgements {
            let value = value.map(r2_text).unwrap_or_default();
            let _ = write!(html, "<td>{value}</td>");
        }
        let math = format!(
            "<math>{}</math>",
            mathml_content(&formula.expr, facts.names, Some(DIGITS))
        );
        let text = markup(formula.text);
        let shown = if links {
            format!("<a href=\"#{index}\">{math}</a>")
        } else {
            math
        };
        let _ = write!(
            html,
            "<td title=\"{:?}\">{}</td><td class=\"text\" title=\"{text}\">{shown}{mark}</td></tr>",
            formula.loss,
            short(formula.loss, 4),
        );
    }
    html.push_str("</tbody></table></div>");
    html
}

/// The smallest error that a logarithmic axis shows: that of an exact formula is often 0.
const SMALLEST: f64 = 1e-16;

/// The error of each formula, and what to call it: with squares, the share of the target's variance
/// that is left, which says more than the loss.
fn errors(facts: &Facts<'_>) -> (Vec<f64>, String) {
    let error = |formula: &Formula<'_>| {
        let error = if facts.is_squares {
            1.0 - formula.r2
        } else {
            formula.loss
        };
        if error.is_finite() {
            error.max(SMALLEST)
        } else {
            SMALLEST
        }
    };
    let label = if facts.is_squares {
        "1 − R²".to_owned()
    } else {
        facts.loss.clone()
    };
    (facts.front.iter().map(error).collect(), label)
}

/// Error against size as SVG, a link for each formula.
pub(crate) fn front_picture(facts: &Facts<'_>) -> String {
    let (errors, label) = errors(facts);
    let log: Vec<f64> = errors.iter().map(|error| error.log10()).collect();
    let lowest = log.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let room = (0.06 * (highest - lowest)).max(0.05);
    let (lowest, highest) = (lowest - room, highest + room);
    #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
    let sizes: Vec<f64> = facts
        .front
        .iter()
        .map(|formula| formula.size as f64)
        .collect();
    let first = sizes.first().copied().unwrap_or(0.0) - 0.7;
    let last = sizes.last().copied().unwrap_or(1.0) + 0.7;
    let x = |size: f64| LEFT + (size - first) / (last - first) * (WIDTH - LEFT - RIGHT);
    let y = |log: f64| TOP + (highest - log) / (highest - lowest) * (HEIGHT - TOP - BOTTOM);
    let right = WIDTH - RIGHT;

    let mut svg = begin("error against size");
    rows(&mut svg, lowest, highest, y);
    let step = ((last - first) / 8.0).ceil().max(1.0);
    let mut tick = (first / step).ceil() * step;
    while tick < last {
        column(&mut svg, x(tick), &tick.to_string());
        tick += step;
    }
    names(&mut svg, "size (nodes)", &label);
    // A formula is the best one up to the size of the next: a staircase.
    let mut stairs = String::new();
    for (k, (&size, &error)) in sizes.iter().zip(&log).enumerate() {
        let (over, down) = if k == 0 { ("M", " ") } else { ("H", "V") };
        let _ = write!(stairs, "{over}{:.1}{down}{:.1}", x(size), y(error));
    }
    let _ = write!(svg, "<path class=\"stairs\" d=\"{stairs}H{right}\"/>");
    for (index, formula) in facts.front.iter().enumerate() {
        let (x, y) = (x(sizes[index]), y(log[index]));
        let class = if index == facts.chosen {
            " class=\"chosen current\""
        } else {
            ""
        };
        let _ = write!(
            svg,
            "<a href=\"#{index}\"{class} data-point=\"{index}\"><title>size {}, R² {}: {}</title>\
             <circle class=\"hit\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"13\"/>\
             <circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/></a>",
            formula.size,
            r2_text(formula.r2),
            markup(formula.text)
        );
    }
    svg.push_str("</svg>");
    svg
}
