//! The directives, those of NASM and of GNU's assembler side by side.

use std::ops::Range;

use super::error::{AssembleErrorKind as Kind, Fault, fault, nearest};
use super::names;

/// What a directive does.
#[derive(Clone, Copy)]
pub(super) enum Directive {
    /// Numbers of so many bytes, and strings between them.
    Data(usize),
    /// Numbers with a point of so many bytes.
    Float(usize),
    Ascii {
        zero: bool,
    },
    Align,
    AlignPower,
    /// `.fill count, width, value`
    Fill,
    /// `.zero count, value`
    Space,
    /// `resb count`, of so many bytes each.
    Reserve(usize),
    Set,
    /// What says something that is so anyway, or that only an object file could hold.
    Nothing,
}

const DIRECTIVES: [(&str, Directive); 60] = [
    ("db", Directive::Data(1)),
    ("dw", Directive::Data(2)),
    ("dd", Directive::Data(4)),
    ("dq", Directive::Data(8)),
    (".byte", Directive::Data(1)),
    (".word", Directive::Data(2)),
    (".short", Directive::Data(2)),
    (".value", Directive::Data(2)),
    (".hword", Directive::Data(2)),
    (".2byte", Directive::Data(2)),
    (".long", Directive::Data(4)),
    (".int", Directive::Data(4)),
    (".4byte", Directive::Data(4)),
    (".quad", Directive::Data(8)),
    (".8byte", Directive::Data(8)),
    (".float", Directive::Float(4)),
    (".single", Directive::Float(4)),
    (".double", Directive::Float(8)),
    (".ascii", Directive::Ascii { zero: false }),
    (".asciz", Directive::Ascii { zero: true }),
    (".string", Directive::Ascii { zero: true }),
    ("align", Directive::Align),
    (".align", Directive::Align),
    (".balign", Directive::Align),
    (".p2align", Directive::AlignPower),
    (".fill", Directive::Fill),
    (".zero", Directive::Space),
    (".skip", Directive::Space),
    (".space", Directive::Space),
    ("resb", Directive::Reserve(1)),
    ("resw", Directive::Reserve(2)),
    ("resd", Directive::Reserve(4)),
    ("resq", Directive::Reserve(8)),
    (".set", Directive::Set),
    (".equ", Directive::Set),
    (".text", Directive::Nothing),
    ("section", Directive::Nothing),
    (".section", Directive::Nothing),
    ("segment", Directive::Nothing),
    ("global", Directive::Nothing),
    (".global", Directive::Nothing),
    (".globl", Directive::Nothing),
    (".type", Directive::Nothing),
    (".size", Directive::Nothing),
    (".file", Directive::Nothing),
    (".ident", Directive::Nothing),
    (".loc", Directive::Nothing),
    (".local", Directive::Nothing),
    (".hidden", Directive::Nothing),
    (".code64", Directive::Nothing),
    (".cfi_startproc", Directive::Nothing),
    (".cfi_endproc", Directive::Nothing),
    (".cfi_def_cfa", Directive::Nothing),
    (".cfi_def_cfa_offset", Directive::Nothing),
    (".cfi_def_cfa_register", Directive::Nothing),
    (".cfi_offset", Directive::Nothing),
    (".cfi_restore", Directive::Nothing),
    (".cfi_remember_state", Directive::Nothing),
    (".cfi_restore_state", Directive::Nothing),
    ("use64", Directive::Nothing),
];

/// The directive of that name, in any case.
pub(super) fn directive(word: &str) -> Option<Directive> {
    let row = DIRECTIVES
        .iter()
        .find(|row| row.0.eq_ignore_ascii_case(word))?;
    Some(row.1)
}

/// The fault that there is no such instruction.
pub(super) fn unknown(name: &str, span: &Range<usize>) -> Fault {
    let name = name.to_owned();
    fault(
        if name.starts_with('.') {
            let nearest = nearest(&name, DIRECTIVES.iter().map(|row| row.0));
            Kind::UnknownDirective { name, nearest }
        } else {
            let nearest = nearest(&name, names::all_mnemonics());
            Kind::UnknownMnemonic { name, nearest }
        },
        span,
    )
}
