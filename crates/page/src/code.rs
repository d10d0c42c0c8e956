//! Machine code, with colours.

use std::borrow::Cow;
use std::fmt::Write;

use opcodon_expr::{Expr, print};
use opcodon_jit::{Batch, CompiledExpr, Goal, JitError, Tier};
use opcodon_listing::{Listing, Syntax};
use opcodon_mcode::{Individual, SLOT_BYTES};

/// The code of an expression: the function of numbers, each instruction with the part of the
/// formula that it computes, or the kernel over columns.
///
/// # Errors
/// What the compiler says; a function has fewer arguments than a kernel has columns.
pub fn machine_code<S: AsRef<str>>(
    expr: &Expr,
    names: &[S],
    kernel: bool,
    syntax: Syntax,
) -> Result<Listing, JitError> {
    if kernel {
        let mut batch = Batch::<f64>::new(Tier::best()?)?;
        batch.compile([expr], names.len(), Goal::Predict)?;
        return Ok(Listing::new(batch.code(0)?, syntax));
    }
    let function = CompiledExpr::new(expr, names.len())?;
    let listing = Listing::with_data(function.code(), function.n_instruction_bytes(), syntax);
    Ok(listing.annotated(|span| function.note(expr, names, span)))
}

/// The machine code of a genome, each instruction with what it does.
#[must_use]
pub fn genome_listing(genome: &Individual, names: &[String], syntax: Syntax) -> Listing {
    let mut listing = Listing::new(genome.code().bytes(), syntax);
    let notes = genome.listing_notes(names).into_iter();
    let notes: Vec<_> = notes
        .map(|(slot, note)| (slot * SLOT_BYTES, note))
        .collect();
    listing.annotate(&notes);
    listing
}

/// A line of a listing.
#[derive(Debug, Clone)]
pub struct CodeLine<'a> {
    /// Where it starts.
    pub offset: usize,
    /// Its bytes.
    pub bytes: Cow<'a, [u8]>,
    /// What it is.
    pub mnemonic: Cow<'a, str>,
    /// What it works on.
    pub operands: Cow<'a, str>,
    /// What it computes; empty where that is unknown.
    pub note: Cow<'a, str>,
    /// The label before it, if a branch goes here.
    pub label: Option<String>,
    /// Whether it jumps or calls.
    pub is_branch: bool,
}

/// A listing, aligned as in its text, in colours.
#[must_use]
pub fn listing(listing: &Listing) -> String {
    let lines: Vec<CodeLine<'_>> = listing
        .lines()
        .iter()
        .map(|line| CodeLine {
            offset: line.span.start,
            bytes: listing.bytes(line).into(),
            mnemonic: line.mnemonic.as_str().into(),
            operands: line.operands.as_str().into(),
            note: line.note.as_str().into(),
            label: line.label.map(|label| format!("L{label}")),
            is_branch: line.is_branch,
        })
        .collect();
    code(&lines)
}

/// Lines of machine code, aligned, in colours.
#[must_use]
pub fn code(lines: &[CodeLine<'_>]) -> String {
    let n_bytes = lines.iter().map(|line| line.bytes.len()).max().unwrap_or(0);
    let width = |line: &CodeLine<'_>| {
        let space = usize::from(!line.operands.is_empty());
        line.mnemonic.chars().count() + space + line.operands.chars().count()
    };
    let noted = lines.iter().filter(|line| !line.note.is_empty());
    let text_width = noted.map(width).max().unwrap_or(0);
    let mut html = String::from("<pre class=\"code\">");
    for line in lines {
        if let Some(label) = &line.label {
            let _ = writeln!(html, "<b class=\"label\">{}:</b>", print::markup(label));
        }
        let bytes: Vec<String> = line
            .bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let class = if line.is_branch {
            " class=\"branch\""
        } else {
            ""
        };
        let space = if line.operands.is_empty() { "" } else { " " };
        let _ = write!(
            html,
            "<s>{:04x}  {:<hex$}</s>  <b{class}>{}</b>{space}{}",
            line.offset,
            bytes.join(" "),
            print::markup(&line.mnemonic),
            print::markup(&line.operands),
            hex = (3 * n_bytes).saturating_sub(1),
        );
        if !line.note.is_empty() {
            let padding = " ".repeat(text_width.saturating_sub(width(line)));
            let _ = write!(html, "{padding}  <i>; {}</i>", print::markup(&line.note));
        }
        html.push('\n');
    }
    html.push_str("</pre>");
    html
}
