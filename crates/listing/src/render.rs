//! A listing as aligned text and JSON.

use std::fmt;

use serde::Serialize;

use crate::{Line, Listing};

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_bytes = self
            .lines
            .iter()
            .map(|line| line.span.len())
            .max()
            .unwrap_or(0);
        let noted = self.lines.iter().filter(|line| !line.note.is_empty());
        let text_width = noted
            .map(|line| line.text.chars().count())
            .max()
            .unwrap_or(0);
        for line in &self.lines {
            if let Some(label) = line.label {
                writeln!(f, "L{label}:")?;
            }
            let hex = hex(self.bytes(line), " ");
            write!(
                f,
                "{:04x}  {hex:<width$}  ",
                line.span.start,
                width = 3 * n_bytes - 1
            )?;
            if line.note.is_empty() {
                writeln!(f, "{}", line.text)?;
            } else {
                writeln!(f, "{:<text_width$}  ; {}", line.text, line.note)?;
            }
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
}

#[derive(Serialize)]
struct Document {
    style: &'static str,
    address: u64,
    lines: Vec<Record>,
}

impl Listing {
    /// The listing as a JSON object: `style`, `address` and `lines`, whose `bytes` are in
    /// hexadecimal digits and whose `target` is an offset or null.
    #[must_use]
    pub fn to_json(&self) -> String {
        let record = |line: &Line| Record {
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
