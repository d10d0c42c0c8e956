//! How the error fell in the course of a run, as a picture.

use std::fmt::Write;

use opcodon_mcode::evolve::Milestone;

use crate::axes::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, begin, column, log_ticks, names, rows};

/// The smallest error, of that at the beginning, that the picture shows: an exact one is often 0.
const SMALLEST: f64 = 1e-16;

/// Error against genomes that were run, both by their logarithms; none of a run without errors.
pub(crate) fn curve_picture(curve: &[Milestone]) -> Option<String> {
    let (first, last) = (curve.first()?, curve.last()?);
    let floor = first.loss * SMALLEST;
    if floor <= 0.0 || first.evaluations == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a logarithm of it is drawn")]
    let begun = |milestone: &Milestone| (milestone.evaluations as f64).log10();
    let loss = |milestone: &Milestone| milestone.loss.max(floor).log10();
    let (from, to) = (begun(first), begun(last).max(begun(first) + 0.1));
    let (lowest, highest) = (loss(last), loss(first));
    let room = (0.06 * (highest - lowest)).max(0.05);
    let (lowest, highest) = (lowest - room, highest + room);
    let x = |log: f64| LEFT + (log - from) / (to - from) * (WIDTH - LEFT - RIGHT);
    let y = |log: f64| TOP + (highest - log) / (highest - lowest) * (HEIGHT - TOP - BOTTOM);
    let mut svg = begin("error in the course of the run");
    rows(&mut svg, lowest, highest, y);
    for (at, text) in log_ticks(from, to) {
        column(&mut svg, x(at), &text);
    }
    names(&mut svg, "genomes run", "mse");
    let mut stairs = String::new();
    for (k, milestone) in curve.iter().enumerate() {
        let (over, down) = if k == 0 { ("M", " ") } else { ("H", "V") };
        let (x, y) = (x(begun(milestone)), y(loss(milestone)));
        let _ = write!(stairs, "{over}{x:.1}{down}{y:.1}");
    }
    let _ = write!(svg, "<path class=\"stairs\" d=\"{stairs}\"/></svg>");
    Some(svg)
}
