//! Axes of pictures, which all have one size.

use std::fmt::Write;

use opcodon_expr::print::markup;

use crate::data::short;
use crate::fragment::PICTURE_STYLE;

/// Size of a picture, and the margins within.
pub(crate) const WIDTH: f64 = 520.0;
pub(crate) const HEIGHT: f64 = 320.0;
pub(crate) const LEFT: f64 = 70.0;
pub(crate) const RIGHT: f64 = 14.0;
pub(crate) const TOP: f64 = 14.0;
pub(crate) const BOTTOM: f64 = 44.0;

/// The beginning of a picture.
pub(crate) fn begin(told: &str) -> String {
    format!(
        "<svg class=\"picture\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{told}\">"
    )
}

/// A picture as a file of its own, with its style sheet.
pub(crate) fn alone(picture: &str) -> String {
    let (_, rest) = picture.split_once(' ').unwrap_or_default();
    let rest = rest.replacen('>', &format!("><style>{PICTURE_STYLE}</style>"), 1);
    format!("<svg xmlns=\"http://www.w3.org/2000/svg\" {rest}")
}

/// The lines of a vertical axis from one decimal logarithm to another; `y` says where a value lies.
pub(crate) fn rows(svg: &mut String, lowest: f64, highest: f64, y: impl Fn(f64) -> f64) {
    let right = WIDTH - RIGHT;
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
}

/// What stands at a place of the horizontal axis.
pub(crate) fn column(svg: &mut String, at: f64, text: &str) {
    let _ = write!(
        svg,
        "<text class=\"tick\" text-anchor=\"middle\" x=\"{at:.1}\" y=\"{:.0}\">{text}</text>",
        HEIGHT - BOTTOM + 18.0
    );
}

/// The horizontal axis, and what both are of.
pub(crate) fn names(svg: &mut String, across: &str, up: &str) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let _ = write!(
        svg,
        "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>\
         <text class=\"label\" text-anchor=\"middle\" x=\"{:.0}\" y=\"{:.0}\">{}</text>\
         <text class=\"label\" text-anchor=\"middle\" transform=\"translate(12 {:.0}) rotate(-90)\">{}</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 6.0,
        markup(across),
        f64::midpoint(TOP, bottom),
        markup(up)
    );
}

/// Places on a logarithmic axis between two decimal logarithms, and what is written there.
pub(crate) fn log_ticks(lowest: f64, highest: f64) -> Vec<(f64, String)> {
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
