//! The front, as a table and as a picture.

use std::fmt::Write;

use opcodon_expr::print::{markup, mathml_content};
use opcodon_sr::{Model, Report, r2_text};

use crate::data::short;
use crate::fragment::DIGITS;

/// A column of R² that not every report has: its heading, and the value.
type Judgement = (&'static str, fn(&Model) -> Option<f64>);
const JUDGEMENTS: [Judgement; 3] = [
    ("R² (cross-validation)", |model| model.cv_r2),
    ("R² (validation)", |model| model.validation_r2),
    ("R² (test)", |model| model.test_r2),
];

/// The judgements that some formula of the front has.
pub(crate) fn judgements(report: &Report) -> impl Iterator<Item = Judgement> {
    JUDGEMENTS
        .into_iter()
        .filter(|(_, value)| report.front.iter().any(|model| value(model).is_some()))
}

/// The front as a table, the chosen formula marked. Each row is a link to `#` and its number.
#[must_use]
pub fn front_table(report: &Report, links: bool) -> String {
    let mut html = String::from("<div class=\"scroll\"><table class=\"front\"><thead><tr>");
    html.push_str("<th>size</th><th>R²</th>");
    let judgements: Vec<Judgement> = judgements(report).collect();
    for (heading, _) in &judgements {
        let _ = write!(html, "<th>{heading}</th>");
    }
    let loss = markup(&report.config.loss.to_string());
    let _ = write!(
        html,
        "<th>{loss}</th><th class=\"text\">formula</th></tr></thead><tbody>"
    );
    for (index, model) in report.front.iter().enumerate() {
        let chosen = index == report.chosen;
        let class = if chosen { " class=\"chosen\"" } else { "" };
        let mark = if chosen {
            " <span class=\"badge\">chosen</span>"
        } else {
            ""
        };
        let _ = write!(
            html,
            "\n<tr{class} data-point=\"{index}\"><td>{}</td><td title=\"{:?}\">{}</td>",
            model.size,
            model.r2,
            r2_text(model.r2)
        );
        for (_, value) in &judgements {
            let value = value(model).map(r2_text).unwrap_or_default();
            let _ = write!(html, "<td>{value}</td>");
        }
        let math = format!(
            "<math>{}</math>",
            mathml_content(&model.expr, &report.names, Some(DIGITS))
        );
        let formula = markup(&model.formula);
        let shown = if links {
            format!("<a href=\"#{index}\">{math}</a>")
        } else {
            math
        };
        let _ = write!(
            html,
            "<td title=\"{:?}\">{}</td><td class=\"text\" title=\"{formula}\">{shown}{mark}</td></tr>",
            model.loss,
            short(model.loss, 4),
        );
    }
    html.push_str("</tbody></table></div>");
    html
}

/// Size of a picture, and the margins within.
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 44.0;

/// The smallest error that a logarithmic axis shows: that of an exact formula is often 0.
const SMALLEST: f64 = 1e-16;

/// The error of each formula, and what to call it: with squares, the share of the target's variance
/// that is left, which says more than the loss.
fn errors(report: &Report) -> (Vec<f64>, String) {
    let loss = &report.config.loss;
    let squares = loss.is_squares();
    let error = |model: &Model| {
        let error = if squares { 1.0 - model.r2 } else { model.loss };
        if error.is_finite() {
            error.max(SMALLEST)
        } else {
            SMALLEST
        }
    };
    let label = if squares {
        "1 − R²".to_owned()
    } else {
        loss.to_string()
    };
    (report.front.iter().map(error).collect(), label)
}

/// Error against size as SVG, a link for each formula.
pub(crate) fn front_picture(report: &Report) -> String {
    let (errors, label) = errors(report);
    let log: Vec<f64> = errors.iter().map(|error| error.log10()).collect();
    let lowest = log.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = log.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let room = (0.06 * (highest - lowest)).max(0.05);
    let (lowest, highest) = (lowest - room, highest + room);
    #[expect(clippy::cast_precision_loss, reason = "sizes are small")]
    let sizes: Vec<f64> = report.front.iter().map(|model| model.size as f64).collect();
    let first = sizes.first().copied().unwrap_or(0.0) - 0.7;
    let last = sizes.last().copied().unwrap_or(1.0) + 0.7;
    let x = |size: f64| LEFT + (size - first) / (last - first) * (WIDTH - LEFT - RIGHT);
    let y = |log: f64| TOP + (highest - log) / (highest - lowest) * (HEIGHT - TOP - BOTTOM);
    let bottom = HEIGHT - BOTTOM;
    let right = WIDTH - RIGHT;

    let mut svg = format!(
        "<svg class=\"picture\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"error against size\">"
    );
    for (value, text) in log_ticks(lowest, highest) {
        let at = y(value);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" text-anchor=\"end\" x=\"{:.0}\" y=\"{:.1}\">{text}</text>",
            LEFT - 7.0,
            at + 4.0
        );
    }
    let step = ((last - first) / 8.0).ceil().max(1.0);
    let mut tick = (first / step).ceil() * step;
    while tick < last {
        let _ = write!(
            svg,
            "<text class=\"tick\" text-anchor=\"middle\" x=\"{:.1}\" y=\"{:.0}\">{tick}</text>",
            x(tick),
            bottom + 18.0
        );
        tick += step;
    }
    let _ = write!(
        svg,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\
         <text class=\"label\" text-anchor=\"middle\" x=\"{:.0}\" y=\"{:.0}\">size (nodes)</text>\
         <text class=\"label\" text-anchor=\"middle\" transform=\"translate(12 {:.0}) rotate(-90)\">{}</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 6.0,
        f64::midpoint(TOP, bottom),
        markup(&label)
    );
    // A formula is the best one up to the size of the next: a staircase.
    let mut stairs = String::new();
    for (k, (&size, &error)) in sizes.iter().zip(&log).enumerate() {
        let (over, down) = if k == 0 { ("M", " ") } else { ("H", "V") };
        let _ = write!(stairs, "{over}{:.1}{down}{:.1}", x(size), y(error));
    }
    let _ = write!(svg, "<path class=\"stairs\" d=\"{stairs}H{right}\"/>");
    for (index, model) in report.front.iter().enumerate() {
        let (x, y) = (x(sizes[index]), y(log[index]));
        let class = if index == report.chosen {
            " class=\"chosen current\""
        } else {
            ""
        };
        let _ = write!(
            svg,
            "<a href=\"#{index}\"{class} data-point=\"{index}\"><title>size {}, R² {}: {}</title>\
             <circle class=\"hit\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"13\"/>\
             <circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/></a>",
            model.size,
            r2_text(model.r2),
            markup(&model.formula)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Places on a logarithmic axis between two decimal logarithms, and what is written there.
fn log_ticks(lowest: f64, highest: f64) -> Vec<(f64, String)> {
    let span = highest - lowest;
    let step = (span / 6.0).ceil().max(1.0);
    let mantissas: &[f64] = if span < 1.0 {
        &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
    } else if span < 2.0 {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0]
    };
    let mut ticks = Vec::new();
    let mut decade = (lowest.floor() / step).floor() * step;
    while decade <= highest {
        for mantissa in mantissas {
            let at = decade + mantissa.log10();
            if (lowest..=highest).contains(&at) {
                let value = mantissa * 10_f64.powf(decade);
                let text = if (-3.0..=4.0).contains(&decade) {
                    short(value, 2)
                } else if mantissas.len() == 1 {
                    format!("10<tspan class=\"up\" dy=\"-4\">{}</tspan>", signed(decade))
                } else {
                    format!("{value:.0e}")
                };
                ticks.push((at, text));
            }
        }
        decade += step;
    }
    ticks
}

/// A whole number with the sign of mathematics.
fn signed(value: f64) -> String {
    format!("{value:.0}").replace('-', "−")
}
