//! A listing as aligned text, JSON and HTML.

use std::fmt::{self, Write};

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

    /// The listing as a piece of HTML that needs no style sheet and no script, for notebooks.
    #[must_use]
    pub fn to_html(&self) -> String {
        const GREY: &str = "color:#888";
        let mut html = String::from(
            "<table style=\"border-collapse:collapse;font-family:monospace;white-space:pre;\
             text-align:left\">\n",
        );
        let cell = |html: &mut String, style: &str, content: fmt::Arguments<'_>| {
            let padding = "border:0;padding:0 1.5em 0 0;text-align:left";
            let _ = write!(html, "<td style=\"{padding};{style}\">{content}</td>");
        };
        for line in &self.lines {
            if let Some(label) = line.label {
                let style = "border:0;padding:0;text-align:left;font-weight:bold";
                let _ = writeln!(
                    html,
                    "<tr><td colspan=\"4\" style=\"{style}\">L{label}:</td></tr>"
                );
            }
            html.push_str("<tr style=\"background:none\">");
            cell(&mut html, GREY, format_args!("{:04x}", line.span.start));
            cell(
                &mut html,
                GREY,
                format_args!("{}", hex(self.bytes(line), " ")),
            );
            let colour = if line.is_branch { "#b5540b" } else { "#1a5fb4" };
            let (mnemonic, operands) = (Escaped(&line.mnemonic), Escaped(&line.operands));
            let space = if line.operands.is_empty() { "" } else { " " };
            let mnemonic = format!("<b style=\"color:{colour}\">{mnemonic}</b>");
            cell(&mut html, "", format_args!("{mnemonic}{space}{operands}"));
            cell(
                &mut html,
                "color:#26783a",
                format_args!("{}", Escaped(&line.note)),
            );
            html.push_str("</tr>\n");
        }
        html.push_str("</table>\n");
        html
    }
}

fn hex(bytes: &[u8], separator: &str) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(separator)
}

/// Text without what HTML would take for markup.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
