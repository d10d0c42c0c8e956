//! How a genome came to be: the errors of its ancestors as a picture, and all of them as text.

use std::fmt::Write;

use opcodon_expr::print::markup;
use opcodon_mcode::{Ancestor, Lineage};

use crate::axes::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, alone, begin, column, names, rows};
use crate::fragment::fragment;

/// Error against the step of birth, a dot for each ancestor, coloured by what made it: SVG that
/// needs nothing else.
#[must_use]
pub fn lineage_svg(lineage: &Lineage<'_>) -> String {
    alone(&picture(lineage))
}

/// The picture of a lineage and its text, as a notebook's output.
#[must_use]
pub fn lineage_html(lineage: &Lineage<'_>) -> String {
    fragment(&format!("{}{}", lineage_svg(lineage), text(lineage)))
}

/// All ancestors as text.
pub(crate) fn text(lineage: &Lineage<'_>) -> String {
    format!("<pre class=\"code\">{}</pre>", markup(&lineage.to_string()))
}

/// As [`lineage_svg`], for pages.
pub(crate) fn picture(lineage: &Lineage<'_>) -> String {
    /// The smallest share of the largest error that is drawn.
    const SMALLEST: f64 = 1e-16;
    let generations = &lineage.generations;
    let losses = || generations.iter().filter_map(|(ancestor, _)| ancestor.loss);
    let largest = losses().fold(f64::MIN_POSITIVE, f64::max);
    let log = |loss: f64| loss.max(largest * SMALLEST).max(f64::MIN_POSITIVE).log10();
    let smallest = losses().map(log).fold(log(largest), f64::min);
    let room = (0.06 * (log(largest) - smallest)).max(0.05);
    let (lowest, highest) = (smallest - room, log(largest) + room);
    #[expect(clippy::cast_precision_loss, reason = "steps of a picture")]
    let step = |ancestor: &Ancestor| ancestor.step as f64;
    let last = generations
        .last()
        .map_or(1.0, |(last, _)| step(last))
        .max(1.0);
    let x = |step: f64| LEFT + step / last * (WIDTH - LEFT - RIGHT);
    let y = |log: f64| TOP + (highest - log) / (highest - lowest) * (HEIGHT - TOP - BOTTOM);
    let mut svg = begin("errors of ancestors");
    rows(&mut svg, lowest, highest, y);
    for tick in ticks(last) {
        column(&mut svg, x(tick), &tick.to_string());
    }
    names(&mut svg, "step", "mse");
    let (mut path, mut dots) = (String::new(), String::new());
    for (ancestor, father) in generations {
        let Some(loss) = ancestor.loss else { continue };
        let (x, y) = (x(step(ancestor)), y(log(loss)));
        let to = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{to}{x:.1} {y:.1}");
        let with = father.map_or(String::new(), |father| format!(", with {}", father.formula));
        let told = format!(
            "step {}, {}: {}{with}",
            ancestor.step,
            ancestor.operator.text(),
            ancestor.formula
        );
        let _ = write!(
            dots,
            "<circle class=\"made {}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.2\"><title>{}</title></circle>",
            kind(ancestor),
            markup(&told)
        );
    }
    let _ = write!(svg, "<path class=\"stairs\" d=\"{path}\"/>{dots}");
    for (kind, right) in [("random", 200.0), ("mutation", 140.0), ("crossover", 70.0)] {
        let at = WIDTH - RIGHT - right;
        let _ = write!(
            svg,
            "<circle class=\"made {kind}\" cx=\"{at}\" cy=\"{TOP}\" r=\"3.2\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{}\">{kind}</text>",
            at + 7.0,
            TOP + 4.0
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The class of a dot.
fn kind(ancestor: &Ancestor) -> &'static str {
    match (ancestor.mother, ancestor.father) {
        (None, _) => "random",
        (_, None) => "mutation",
        _ => "crossover",
    }
}

/// A few round numbers up to the last.
fn ticks(last: f64) -> impl Iterator<Item = f64> {
    let raw = (last / 6.0).max(1.0);
    let power = 10_f64.powf(raw.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
    let step = round.into_iter().find(|step| *step >= raw).unwrap_or(raw);
    (0_u32..)
        .map(move |k| f64::from(k) * step)
        .take_while(move |tick| *tick <= last)
}
