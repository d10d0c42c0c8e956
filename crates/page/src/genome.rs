//! Pictures of genomes: which bytes belong to which node, and from which parent they come.
//!
//! A genome is drawn as its slots in the order of memory, each with its eight bytes and what it
//! does. Above the slots of a tree lie its nodes, the root on top, each as wide as the bytes of its
//! subtree: what a crossover cuts is one such bar. Long genomes go on in the next line.

use std::fmt::Write;
use std::ops::Range;

use opcodon_expr::print::{self, markup};
use opcodon_mcode::{Individual, Opcode, SLOT_BYTES, Splice, effective};

use crate::fragment::DIGITS;

// Lengths in pixels.
const SLOT: usize = 100;
const BAR: usize = 17;
const CELL: usize = 48;
const GAP: usize = 14;
const MARGIN: usize = 10;
const TITLE: usize = 20;
/// Characters of the font of a slot that fit its width.
const LETTERS: usize = 15;
/// Slots in a line of a genome, unless said.
pub const LINE: usize = 8;
/// Slots in a line of each of three genomes side by side, unless said.
pub const SHORT_LINE: usize = 3;
/// Nodes of the longest formula that is typeset.
const MOST_NODES: u64 = 60;

/// Two parents, their child, and what of the bytes comes from whom.
#[derive(Clone, Copy, Debug)]
pub struct Crossover<'a> {
    /// The parent of which most is kept.
    pub first: &'a Individual,
    /// The parent that gives slots.
    pub second: &'a Individual,
    /// The child.
    pub child: &'a Individual,
    /// What was replaced by what; nothing if the child is a copy of the first.
    pub splice: Option<&'a Splice>,
}

/// A genome as SVG, with so many slots in a line.
#[must_use]
pub fn genome_picture(genome: &Individual, names: &[String], per_line: usize) -> String {
    let drawing = Drawing::new(genome, names, per_line, &by_node, None, None);
    let formula = genome.formula(MOST_NODES);
    let formula = formula.map(|expr| format!(" of {}", print::infix(&expr, names)));
    let title = format!("machine code{}", formula.unwrap_or_default());
    svg(&drawing.parts, drawing.width, drawing.height, &title)
}

/// A crossover as SVG, parents and child side by side. Bytes of the first parent are blue, of the
/// second orange, introns pale; dashed frames are around what is cut, what is given, and where it
/// goes.
#[must_use]
pub fn crossover_picture(crossover: &Crossover<'_>, names: &[String], per_line: usize) -> String {
    let (cut, donor) = match crossover.splice {
        Some(Splice { cut, donor }) => (Some(cut.clone()), Some(donor.clone())),
        None => (None, None),
    };
    let place = crossover
        .splice
        .map(|splice| splice.cut.start..splice.cut.start + splice.donor.len());
    let [of_first, of_second] = [210.0, 30.0].map(of_parent);
    let of_child = |k, slots: &Range<usize>, effective| {
        let given = |place: &Range<usize>| place.start <= slots.start && slots.end <= place.end;
        if place.as_ref().is_some_and(given) {
            of_second(k, slots, effective)
        } else {
            of_first(k, slots, effective)
        }
    };
    let draw = |genome, colour: &Colour<'_>, frame: &Option<Range<usize>>, title| {
        Drawing::new(genome, names, per_line, colour, frame.as_ref(), Some(title))
    };
    let drawings = [
        draw(crossover.first, &of_first, &cut, "first parent"),
        draw(crossover.second, &of_second, &donor, "second parent"),
        draw(crossover.child, &of_child, &place, "child"),
    ];
    let (mut parts, mut left, mut height) = (String::new(), 0, 0);
    for drawing in &drawings {
        let _ = write!(
            parts,
            "<g transform=\"translate({left} 0)\">\n{}</g>\n",
            drawing.parts
        );
        left += drawing.width + MARGIN;
        height = height.max(drawing.height);
    }
    svg(&parts, left - MARGIN, height, "a crossover of machine code")
}

/// Formulas above a picture of their genomes, as far as they are short enough to be read.
#[must_use]
pub fn genomes(named: &[(&str, &Individual)], names: &[String], picture: &str) -> String {
    let mut html = String::from("<table>");
    for (name, genome) in named {
        if let Ok(formula) = genome.formula(MOST_NODES) {
            let _ = write!(
                html,
                "<tr><td class=\"text muted\">{name}</td><td class=\"text formula\"><math>{}</math></td></tr>",
                print::mathml_content(&formula, names, Some(DIGITS))
            );
        }
    }
    html.push_str("</table>");
    html.push_str(picture);
    html
}

/// The colour of the k-th node or gene, of these slots, effective or not.
type Colour<'a> = dyn Fn(usize, &Range<usize>, bool) -> String + 'a;

/// Neighbours differ as much as possible: turns by the golden angle.
#[expect(clippy::cast_precision_loss, reason = "genomes have few nodes")]
fn by_node(k: usize, _slots: &Range<usize>, effective: bool) -> String {
    if effective {
        rgb(k as f64 * 137.508, 0.82, 0.7)
    } else {
        "#e4e4e4".into()
    }
}

fn of_parent(hue: f64) -> impl Fn(usize, &Range<usize>, bool) -> String {
    move |k, _, effective| match (effective, k % 3) {
        (true, 0) => rgb(hue, 0.72, 0.75),
        (true, 1) => rgb(hue, 0.77, 0.75),
        (true, _) => rgb(hue, 0.82, 0.75),
        (false, _) => rgb(hue, 0.93, 0.5),
    }
}

/// A colour that every renderer knows; the hue in degrees.
fn rgb(hue: f64, lightness: f64, saturation: f64) -> String {
    let spread = saturation * lightness.min(1.0 - lightness);
    let channel = |turn: f64| {
        let place = (turn + hue / 30.0) % 12.0;
        let value = lightness - spread * (place - 3.0).min(9.0 - place).clamp(-1.0, 1.0);
        format!("{:02x}", octet(value))
    };
    format!("#{}{}{}", channel(0.0), channel(8.0), channel(4.0))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of 255"
)]
fn octet(share: f64) -> u8 {
    (255.0 * share).round() as u8
}

fn svg(parts: &str, width: usize, height: usize, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"genome\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" style=\"max-width:100%\" role=\"img\">\n\
         <title>{}</title>\n<rect class=\"ground\" width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <g font-family=\"ui-monospace,Menlo,Consolas,monospace\" font-size=\"10\" fill=\"#222\">\n\
         {parts}</g>\n</svg>",
        markup(title)
    )
}

/// A bar: the slots of a subtree, at a depth.
struct Node {
    slots: Range<usize>,
    depth: usize,
    text: String,
}

/// The nodes of a tree, in postfix order; none of a linear genome. `genes` are what genes do.
fn nodes(genome: &Individual, genes: &[(usize, String)]) -> Vec<Node> {
    let marks = genome.marks();
    let mut depths = vec![0; marks.len()];
    // The operands of a node are the subtrees that end where the next one begins.
    for (k, mark) in marks.iter().enumerate().rev() {
        let mut next = k;
        for _ in 0..mark.arity {
            let operand = next - 1;
            depths[operand] = depths[k] + 1;
            let begin = marks[operand].begin;
            next = operand;
            while next > 0 && marks[next - 1].begin >= begin {
                next -= 1;
            }
        }
    }
    let bars = marks.iter().zip(depths).zip(genes);
    let node = |((mark, depth), (_, gene)): ((&opcodon_mcode::Mark, usize), &(usize, String))| {
        let leaf = gene.split_once(" = ").map_or("", |(_, value)| value);
        let text = match mark.opcode {
            Opcode::Load => leaf,
            opcode => opcode.name(),
        };
        Node {
            slots: mark.begin as usize..mark.end as usize,
            depth,
            text: text.to_owned(),
        }
    };
    bars.map(node).collect()
}

/// The parts of a picture.
struct Drawing {
    parts: String,
    width: usize,
    height: usize,
}

impl Drawing {
    fn new(
        genome: &Individual,
        names: &[String],
        per_line: usize,
        colour: &Colour<'_>,
        frame: Option<&Range<usize>>,
        title: Option<&str>,
    ) -> Drawing {
        let per_line = per_line.max(1);
        let code = genome.code();
        let genes = code.notes(names);
        let nodes = nodes(genome, &genes);
        let effective = effective::mark(code).slots;
        let n_slots = code.slots().len();
        let levels = nodes.iter().map(|node| node.depth + 1).max().unwrap_or(0);
        let line_height = levels * BAR + CELL;
        let top = MARGIN + if title.is_some() { TITLE } else { 0 };
        let widest = n_slots
            .min(per_line)
            .max(if title.is_some() { 2 } else { 0 });
        let n_lines = n_slots.div_ceil(per_line);
        let mut drawing = Drawing {
            parts: String::new(),
            width: 2 * MARGIN + widest * SLOT,
            height: top + n_lines * (line_height + GAP) - GAP + MARGIN,
        };
        if let Some(title) = title {
            let y = MARGIN + 10;
            let _ = writeln!(
                drawing.parts,
                "<text x=\"{MARGIN}\" y=\"{y}\" font-size=\"13\">{title}</text>"
            );
        }
        for line in 0..n_lines {
            let first = line * per_line;
            let last = (first + per_line).min(n_slots);
            let y = top + line * (line_height + GAP);
            let x = |slot: usize| MARGIN + (slot - first) * SLOT;
            for (k, node) in nodes.iter().enumerate() {
                let Range { start, end } = node.slots;
                let (begin, stop) = (start.max(first), end.min(last));
                if begin < stop {
                    let place = [x(begin), y + node.depth * BAR, (stop - begin) * SLOT, BAR];
                    let told = format!("node {k}: {}, slots {start} to {}", node.text, end - 1);
                    drawing.put(place, &colour(k, &node.slots, true), &[&node.text], &told);
                }
            }
            for (k, (start, text)) in genes.iter().enumerate() {
                let end = genes.get(k + 1).map_or(n_slots, |next| next.0);
                let is_effective = effective[*start];
                let fill = colour(k, &(*start..end), is_effective);
                for slot in (*start).max(first)..end.min(last) {
                    let octets = &code.bytes()[slot * SLOT_BYTES..][..SLOT_BYTES];
                    let [low, high] = [&octets[..4], &octets[4..]].map(hex);
                    let what = if slot == *start { text } else { "…" };
                    let intron = if is_effective { "" } else { " (intron)" };
                    let told = format!("slot {slot}: {text}{intron}");
                    let place = [x(slot), y + levels * BAR, SLOT, CELL];
                    drawing.put(place, &fill, &[what, &low, &high], &told);
                }
            }
            if let Some(frame) = frame {
                let (begin, stop) = (frame.start.max(first), frame.end.min(last));
                if begin < stop {
                    let _ = writeln!(
                        drawing.parts,
                        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#c00\" \
                         stroke-width=\"2\" stroke-dasharray=\"5 3\"/>",
                        x(begin),
                        y - 2,
                        (stop - begin) * SLOT,
                        line_height + 4
                    );
                }
            }
        }
        drawing
    }

    /// A rectangle with centred lines of text, cut to its width, and the whole as a hint.
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    fn put(&mut self, place: [usize; 4], fill: &str, texts: &[&str], told: &str) {
        let [x, y, width, height] = place.map(|pixels| pixels as f64);
        let letters = LETTERS * place[2] / SLOT;
        let (extra, down) = if texts.len() > 1 {
            (0.3, 0.15)
        } else {
            (0.0, 0.0)
        };
        let step = height / (texts.len() as f64 + extra);
        let _ = writeln!(
            self.parts,
            "<g><title>{}</title>\n<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\" \
             fill=\"{fill}\" stroke=\"#888\" stroke-width=\"0.5\"/>",
            markup(told),
            x + 0.5,
            y + 0.5,
            width - 1.0,
            height - 1.0
        );
        for (k, text) in texts.iter().enumerate() {
            let shown: String = if text.chars().count() <= letters {
                (*text).to_owned()
            } else {
                text.chars().take(letters - 1).chain(['…']).collect()
            };
            let baseline = y + step * (k as f64 + 0.5 + down) + 3.5;
            let opacity = if k == 0 { "" } else { " fill-opacity=\"0.65\"" };
            let _ = writeln!(
                self.parts,
                "<text x=\"{:.0}\" y=\"{baseline:.1}\" text-anchor=\"middle\"{opacity}>{}</text>",
                x + width / 2.0,
                markup(&shown)
            );
        }
        self.parts.push_str("</g>\n");
    }
}

fn hex(octets: &[u8]) -> String {
    let octets: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    octets.join(" ")
}
