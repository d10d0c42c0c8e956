//! A listing as aligned text, in colours where they are wanted, and as JSON.

use std::fmt;

use serde::Serialize;

use crate::{Line, Listing};

/// What is written before parts of a line, and behind each.
struct Colours {
    label: &'static str,
    place: &'static str,
    mnemonic: &'static str,
    branch: &'static str,
    note: &'static str,
    end: &'static str,
}

const PLAIN: Colours = Colours {
    label: "",
    place: "",
    mnemonic: "",
    branch: "",
    note: "",
    end: "",
};

/// Escape sequences of terminals: bold, faint and the colours that every theme has (ECMA-48, SGR).
const TERMINAL: Colours = Colours {
    label: "\x1b[1;33m",
    place: "\x1b[2m",
    mnemonic: "\x1b[1m",
    branch: "\x1b[1;35m",
    note: "\x1b[32m",
    end: "\x1b[0m",
};

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &PLAIN)
    }
}

/// A listing as a terminal shows it in colours.
#[derive(Clone, Copy, Debug)]
pub struct Coloured<'a>(&'a Listing);

impl fmt::Display for Coloured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, &TERMINAL)
    }
}

impl Listing {
    /// The listing with a terminal's escape sequences for colours.
    #[must_use]
    pub fn coloured(&self) -> Coloured<'_> {
        Coloured(self)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, colours: &Colours) -> fmt::Result {
        let n_bytes = self.lines.iter().map(|line| line.span.len()).max();
        let hex_width = (3 * n_bytes.unwrap_or(0)).saturating_sub(1);
        let noted = self.lines.iter().filter(|line| !line.note.is_empty());
        let text_width = noted
            .map(|line| line.text.chars().count())
            .max()
            .unwrap_or(0);
        let end = colours.end;
        for line in &self.lines {
            if let Some(label) = line.label {
                writeln!(f, "{}L{label}:{end}", colours.label)?;
            }
            let hex = hex(self.bytes(line), " ");
            let (place, offset) = (colours.place, line.span.start);
            write!(f, "{place}{offset:04x}  {hex:<hex_width$}{end}  ")?;
            let mnemonic = if line.is_branch {
                colours.branch
            } else {
                colours.mnemonic
            };
            let operands = line.text.strip_prefix(&line.mnemonic).unwrap_or_default();
            write!(f, "{mnemonic}{}{end}{operands}", line.mnemonic)?;
            if !line.note.is_empty() {
                let padding = text_width - line.text.chars().count();
                let (note, text) = (colours.note, &line.note);
                write!(f, "{:padding$}  {note}; {text}{end}", "")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// A line as JSON has it.
#[derive(Serialize)]
struct Record {
    offset: usize,
    length: usize,
    bytes: String,
    mnemonic: String,
    operands: String,
    text: String,
    note: String,
    is_branch: bool,
    target: Option<usize>,
    label: Option<String>,
    reads: Vec<String>,
    writes: Vec<String>,
    features: Vec<String>,
}

#[derive(Serialize)]
struct Document {
    style: &'static str,
    address: u64,
    lines: Vec<Record>,
}

impl Listing {
    /// The listing as a JSON object: `style`, `address` and `lines`, whose `bytes` are in
    /// hexadecimal digits, whose `target` is an offset or null, and whose `reads`, `writes` and
    /// `features` are those of [`Effects`](crate::Effects).
    #[must_use]
    pub fn to_json(&self) -> String {
        let record = |line: &Line| {
            let effects = self.effects(line);
            Record {
                offset: line.span.start,
                length: line.span.len(),
                bytes: hex(self.bytes(line), ""),
                mnemonic: line.mnemonic.clone(),
                operands: line.operands.clone(),
                text: line.text.clone(),
                note: line.note.clone(),
                is_branch: line.is_branch,
                target: line.target,
                label: line.label.map(|label| format!("L{label}")),
                reads: effects.reads,
                writes: effects.writes,
                features: effects.features,
            }
        };
        let document = Document {
            style: self.syntax.name(),
            address: self.address,
            lines: self.lines.iter().map(record).collect(),
        };
        // Numbers and strings: nothing that JSON could refuse.
        serde_json::to_string(&document).unwrap_or_default()
    }
}

fn hex(bytes: &[u8], separator: &str) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(separator)
}
