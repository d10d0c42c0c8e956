//! Bytes and code map to annotated disassembly, and text to bytes.
//!
//! Generated code is only believed when it can be read. A [`Listing`] decodes bytes with iced-x86
//! and says of each instruction where it starts, how it is encoded, what it is, and, where the
//! compiler's map tells, which part of the source it comes from. Branches within the code go to
//! labels. Bytes behind the code, such as pooled constants, are shown as data rather than as the
//! instructions they happen to resemble.
//!
//! ```
//! use opcodon_listing::{Listing, Syntax};
//! let listing = Listing::new(b"\xf2\x0f\x58\xc1\xff\xc9\x75\xf8\xc3", Syntax::Intel);
//! assert_eq!(
//!     listing.to_string(),
//!     "L0:\n\
//!      0000  f2 0f 58 c1  addsd xmm0,xmm1\n\
//!      0004  ff c9        dec ecx\n\
//!      0006  75 f8        jne L0\n\
//!      0008  c3           ret\n"
//! );
//! ```
//!
//! # Invariants
//! The bytes of the lines, one after the other, are the bytes that were given, whatever they are.
//! A label that is mentioned stands before a line. No other crate decodes instructions, except in
//! tests.

mod assemble;
mod effect;
mod frame;
mod render;
mod syntax;

use std::collections::HashMap;
use std::ops::Range;

use iced_x86::{Decoder, DecoderError, DecoderOptions, FlowControl, Instruction, OpKind};

pub use assemble::{AssembleError, AssembleErrorKind, Dialect, assemble};
pub use effect::Effects;
pub use frame::{FrameBase, FrameRow, frame_rows};
pub use render::Coloured;
pub use syntax::Syntax;

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// Which bytes of the code it is.
    pub span: Range<usize>,
    /// The name of the instruction with its prefixes, `(bad)`, or a data directive.
    pub mnemonic: String,
    /// Its operands, empty if it has none.
    pub operands: String,
    /// Mnemonic and operands.
    pub text: String,
    /// Where it comes from; empty where that is unknown.
    pub note: String,
    /// Whether it jumps or calls.
    pub is_branch: bool,
    /// The offset that it jumps to or calls, if that is known and within the code.
    pub target: Option<usize>,
    /// The number of the label before this line, if a branch goes here.
    pub label: Option<usize>,
}

impl Line {
    fn new(span: Range<usize>, mnemonic: &str, operands: String) -> Self {
        let space = if operands.is_empty() { "" } else { " " };
        Self {
            text: format!("{mnemonic}{space}{operands}"),
            span,
            mnemonic: mnemonic.to_owned(),
            operands,
            note: String::new(),
            is_branch: false,
            target: None,
            label: None,
        }
    }
}

/// Disassembled machine code; its `Display` is one line an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    code: Vec<u8>,
    address: u64,
    syntax: Syntax,
    lines: Vec<Line>,
}

/// The text of the instructions, one a line, with lines for the labels: what an assembler takes.
#[must_use]
pub fn disassemble(code: &[u8], syntax: Syntax) -> String {
    let mut text = String::new();
    for line in Listing::new(code, syntax).lines {
        if let Some(label) = line.label {
            text.push_str(&format!("L{label}:\n"));
        }
        text.push_str(&line.text);
        text.push('\n');
    }
    text
}

impl Listing {
    /// Decodes all of `code` as instructions.
    #[must_use]
    pub fn new(code: &[u8], syntax: Syntax) -> Self {
        Self::with_data(code, code.len(), syntax)
    }

    /// Decodes `code` up to `n_instruction_bytes`; the rest is data, shown eight bytes a line and,
    /// like data in memory, in lines that start at multiples of eight.
    #[must_use]
    pub fn with_data(code: &[u8], n_instruction_bytes: usize, syntax: Syntax) -> Self {
        Self::at(0, code, n_instruction_bytes, syntax)
    }

    /// Like [`with_data`](Listing::with_data), for code that stands at `address`: branches out of
    /// it name the address they go to.
    #[must_use]
    pub fn at(address: u64, code: &[u8], n_instruction_bytes: usize, syntax: Syntax) -> Self {
        let (instructions, data) = code.split_at(n_instruction_bytes.min(code.len()));
        let mut lines = decode(address, instructions, syntax);
        lines.extend(data_lines(instructions.len(), data));
        Self {
            code: code.to_vec(),
            address,
            syntax,
            lines,
        }
    }

    /// Adds to each line what `note` says of the bytes that it spans.
    #[must_use]
    pub fn annotated(mut self, mut note: impl FnMut(Range<usize>) -> Option<String>) -> Self {
        for line in &mut self.lines {
            line.note = note(line.span.clone()).unwrap_or_default();
        }
        self
    }

    /// Adds notes to the lines that hold the bytes at these offsets, behind what is noted there.
    pub fn annotate(&mut self, notes: &[(usize, String)]) {
        for (offset, note) in notes {
            let line = self.lines.partition_point(|line| line.span.end <= *offset);
            if let Some(line) = self.lines.get_mut(line) {
                if !line.note.is_empty() {
                    line.note.push_str("; ");
                }
                line.note.push_str(note);
            }
        }
    }

    /// The lines, in the order of their addresses.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The bytes of a line.
    #[must_use]
    pub fn bytes(&self, line: &Line) -> &[u8] {
        self.code.get(line.span.clone()).unwrap_or_default()
    }

    /// What the instruction of a line does to the processor; nothing if it is data.
    #[must_use]
    pub fn effects(&self, line: &Line) -> Effects {
        if line.mnemonic.starts_with('.') {
            return Effects::default();
        }
        Effects::of(self.bytes(line))
    }

    /// Where the code stands in memory; 0 if that was not said.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// How the instructions are written.
    #[must_use]
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }
}

/// A line per instruction. A byte with which no instruction starts is a line of its own, so that
/// decoding resumes with the next one.
fn decode(address: u64, code: &[u8], syntax: Syntax) -> Vec<Line> {
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let mut instructions: Vec<(Range<usize>, Instruction)> = Vec::new();
    while decoder.can_decode() {
        let start = decoder.position();
        let instruction = decoder.decode();
        let mut end = decoder.position();
        if decoder.last_error() == DecoderError::NoMoreBytes {
            // Cut off: what is left is no instruction, even if its end looks like one.
            instructions.extend((start..code.len()).map(|at| (at..at + 1, instruction)));
            break;
        }
        if instruction.is_invalid() {
            end = start + 1;
            decoder.set_ip(address.wrapping_add(end as u64));
            if decoder.set_position(end).is_err() {
                break; // never: `end` is at most the length of the code
            }
        }
        instructions.push((start..end, instruction));
    }

    // Labels only where a line starts: a branch into an instruction shows its address.
    let target = |instruction: &Instruction| {
        if !matches!(
            instruction.op0_kind(),
            OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
        ) {
            return None;
        }
        let distance = instruction.near_branch_target().wrapping_sub(address);
        usize::try_from(distance)
            .ok()
            .filter(|&offset| offset < code.len())
    };
    let mut targets: Vec<usize> = instructions
        .iter()
        .filter_map(|(_, instruction)| target(instruction))
        .collect();
    targets.sort_unstable();
    targets.dedup();
    let starts_line = |offset: usize| {
        instructions
            .binary_search_by_key(&offset, |(span, _)| span.start)
            .is_ok()
    };
    targets.retain(|&offset| starts_line(offset));
    let label = |offset: usize| targets.binary_search(&offset).ok();

    let addresses: HashMap<u64, usize> = targets
        .iter()
        .map(|&offset| address.wrapping_add(offset as u64))
        .zip(0..)
        .collect();
    let mut formatter = syntax.formatter(addresses);
    let mut lines = Vec::with_capacity(instructions.len());
    for (span, instruction) in &instructions {
        let (mut mnemonic, mut operands) = (String::new(), String::new());
        formatter.format_mnemonic(instruction, &mut mnemonic);
        formatter.format_all_operands(instruction, &mut operands);
        let flow = instruction.flow_control();
        lines.push(Line {
            is_branch: matches!(
                flow,
                FlowControl::UnconditionalBranch
                    | FlowControl::ConditionalBranch
                    | FlowControl::IndirectBranch
                    | FlowControl::Call
                    | FlowControl::IndirectCall
            ),
            target: target(instruction),
            label: label(span.start),
            ..Line::new(span.clone(), &mnemonic, operands)
        });
    }
    lines
}

fn data_lines(start: usize, data: &[u8]) -> Vec<Line> {
    let mut lines = Vec::new();
    let (mut at, end) = (start, start + data.len());
    while at < end {
        let next = (at + 1).next_multiple_of(8).min(end);
        let bytes = &data[at - start..next - start];
        lines.push(if let Ok(bytes) = <[u8; 8]>::try_from(bytes) {
            Line::new(
                at..next,
                ".quad",
                format!("{:#018x}", u64::from_le_bytes(bytes)),
            )
        } else {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:#04x}")).collect();
            Line::new(at..next, ".byte", bytes.join(", "))
        });
        at = next;
    }
    lines
}
