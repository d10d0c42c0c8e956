//! Bytes and code map to annotated disassembly.
//!
//! Generated code is only believed when it can be read. A [`Listing`] decodes bytes with iced-x86
//! and says of each instruction where it starts, how it is encoded, what it is, and, where the
//! compiler's map tells, which part of the source it comes from. Bytes behind the code, such as
//! pooled constants, are shown as data rather than as the instructions they happen to resemble.
//!
//! ```
//! use opcodon_listing::{Listing, Syntax};
//! let listing = Listing::new(b"\xf2\x0f\x58\xc1\xc3", Syntax::Intel);
//! assert_eq!(
//!     listing.to_string(),
//!     "0000  f2 0f 58 c1  addsd xmm0,xmm1\n\
//!      0004  c3           ret\n"
//! );
//! ```
//!
//! # Invariants
//! The bytes of the lines, one after the other, are the bytes that were given, whatever they are.
//! No other crate decodes instructions, except in tests.

use std::fmt;
use std::ops::Range;

use iced_x86::{
    Decoder, DecoderOptions, Formatter, GasFormatter, Instruction, IntelFormatter, MasmFormatter,
    NasmFormatter,
};

/// The syntax in which instructions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// Intel's, as in its manuals.
    #[default]
    Intel,
    /// AT&T's, as GNU `as` takes it by default.
    Att,
    /// Microsoft's assembler.
    Masm,
    /// The Netwide Assembler.
    Nasm,
}

impl Syntax {
    /// Every syntax, the default first.
    pub const ALL: [Self; 4] = [Self::Intel, Self::Att, Self::Masm, Self::Nasm];

    /// The word that stands for it in options.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intel => "intel",
            Self::Att => "att",
            Self::Masm => "masm",
            Self::Nasm => "nasm",
        }
    }

    /// The syntax of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|syntax| syntax.name() == name)
    }

    fn formatter(self) -> Box<dyn Formatter> {
        let mut formatter: Box<dyn Formatter> = match self {
            Self::Intel => Box::new(IntelFormatter::new()),
            Self::Att => Box::new(GasFormatter::new()),
            Self::Masm => Box::new(MasmFormatter::new()),
            Self::Nasm => Box::new(NasmFormatter::new()),
        };
        let options = formatter.options_mut();
        options.set_hex_prefix("0x");
        options.set_hex_suffix("");
        options.set_uppercase_hex(false);
        options.set_small_hex_numbers_in_decimal(false);
        options.set_branch_leading_zeros(false);
        options.set_rip_relative_addresses(true);
        options.set_show_branch_size(false);
        formatter
    }
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which bytes of the code it is.
    pub span: Range<usize>,
    /// The instruction, `(bad)`, or a data directive.
    pub text: String,
    /// Where it comes from; empty where that is unknown.
    pub note: String,
}

/// Disassembled machine code; its `Display` is one line an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    code: Vec<u8>,
    lines: Vec<Line>,
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
        let instructions = &code[..n_instruction_bytes.min(code.len())];
        let mut lines = Vec::new();
        let mut decoder = Decoder::with_ip(64, instructions, 0, DecoderOptions::NONE);
        let mut formatter = syntax.formatter();
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            let start = decoder.position();
            decoder.decode_out(&mut instruction);
            let mut text = String::new();
            formatter.format(&instruction, &mut text);
            lines.push(Line {
                span: start..decoder.position(),
                text,
                note: String::new(),
            });
        }
        let mut start = instructions.len();
        while start < code.len() {
            let end = (start + 1).next_multiple_of(8).min(code.len());
            let bytes = &code[start..end];
            let text = if let Ok(bytes) = <[u8; 8]>::try_from(bytes) {
                format!(".quad {:#018x}", u64::from_le_bytes(bytes))
            } else {
                let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:#04x}")).collect();
                format!(".byte {}", bytes.join(", "))
            };
            lines.push(Line {
                span: start..end,
                text,
                note: String::new(),
            });
            start = end;
        }
        Self {
            code: code.to_vec(),
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
}

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
            let hex: String = self
                .bytes(line)
                .iter()
                .map(|byte| format!("{byte:02x} "))
                .collect();
            write!(
                f,
                "{:04x}  {hex:<width$} ",
                line.span.start,
                width = 3 * n_bytes
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

#[cfg(test)]
mod tests {
    use arbtest::arbtest;
    use expect_test::{Expect, expect};

    use super::*;

    fn check(code: &[u8], syntax: Syntax, expected: Expect) {
        expected.assert_eq(&Listing::new(code, syntax).to_string());
    }

    /// `vaddpd zmm1, zmm0, [rdi+64]{1to8}`-like memory operand, a backward jump, a bad byte.
    const CODE: &[u8] = b"\x62\xf1\xfd\x58\x58\x4f\x08\xf2\x0f\x10\x05\x10\0\0\0\xeb\xf1\x06";

    #[test]
    fn every_syntax_writes_its_own_way() {
        check(
            CODE,
            Syntax::Intel,
            expect![[r"
            0000  62 f1 fd 58 58 4f 08     vaddpd zmm1,zmm0,[rdi+0x40]{1to8}
            0007  f2 0f 10 05 10 00 00 00  movsd xmm0,[rip+0x10]
            000f  eb f1                    jmp 0x2
            0011  06                       (bad)
        "]],
        );
        check(
            &CODE[..7],
            Syntax::Att,
            expect![[r#"
            0000  62 f1 fd 58 58 4f 08  vaddpd 0x40(%rdi){1to8},%zmm0,%zmm1
        "#]],
        );
        check(
            &CODE[..7],
            Syntax::Masm,
            expect![[r#"
            0000  62 f1 fd 58 58 4f 08  vaddpd zmm1,zmm0,qword bcst [rdi+0x40]
        "#]],
        );
        check(
            &CODE[..7],
            Syntax::Nasm,
            expect![[r#"
            0000  62 f1 fd 58 58 4f 08  vaddpd zmm1,zmm0,[rdi+0x40]{1to8}
        "#]],
        );
    }

    #[test]
    fn data_is_not_decoded_and_notes_stand_in_one_column() {
        let mut code = b"\xc5\xfb\x58\x05\x08\0\0\0\xc3\xcc\xcc\xcc\xcc\xcc\xcc\xcc".to_vec();
        code.extend(1.0_f64.to_le_bytes());
        code.extend([1, 2]);
        let listing = Listing::with_data(&code, 9, Syntax::Intel)
            .annotated(|span| (span.start < 9).then(|| format!("from {}", span.start)));
        expect![[r#"
            0000  c5 fb 58 05 08 00 00 00  vaddsd xmm0,xmm0,[rip+0x8]  ; from 0
            0008  c3                       ret                         ; from 8
            0009  cc cc cc cc cc cc cc     .byte 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc
            0010  00 00 00 00 00 00 f0 3f  .quad 0x3ff0000000000000
            0018  01 02                    .byte 0x01, 0x02
        "#]]
        .assert_eq(&listing.to_string());
    }

    #[test]
    fn lines_are_the_bytes_whatever_they_are() {
        arbtest(|u| {
            let code: Vec<u8> = u.arbitrary()?;
            let n_instruction_bytes: usize = u.arbitrary()?;
            for syntax in Syntax::ALL {
                let listing = Listing::with_data(&code, n_instruction_bytes, syntax);
                let bytes: Vec<u8> = listing
                    .lines()
                    .iter()
                    .flat_map(|line| listing.bytes(line).to_vec())
                    .collect();
                assert_eq!(bytes, code);
                assert!(listing.lines().iter().all(|line| !line.text.is_empty()));
            }
            Ok(())
        })
        .budget_ms(300);
    }

    #[test]
    fn names_lead_back_to_the_syntax() {
        for syntax in Syntax::ALL {
            assert_eq!(Syntax::from_name(syntax.name()), Some(syntax));
        }
        assert_eq!(Syntax::from_name("plan9"), None);
    }
}
