//! Assembly to bytes, over the whole instruction set that iced-x86 knows.
//!
//! The text becomes tokens (`token`), the tokens statements (`parse`, `intel`, `att`), and each
//! instruction the list of encodings that fit it (`fit`, `choose`), of which the layout takes the
//! shortest that reaches (`layout`). Which operands an instruction takes is asked of iced-x86's
//! table of codes and never written down here, so an instruction that it can decode can be written.
//!
//! # Invariants
//! The bytes are those of GNU's assembler for the same text, where it takes the text, up to
//! encodings of the same length that decode to the same instruction. Where it and NASM would
//! disagree about what a text means, the text is refused.

mod address;
mod arithmetic;
mod att;
mod choose;
mod cursor;
mod directive;
mod error;
mod expr;
mod fit;
mod intel;
mod kinds;
mod layout;
mod names;
mod parse;
mod place;
mod program;
mod symbols;
mod token;

pub use error::{AssembleError, AssembleErrorKind};

/// The longest code that is assembled, in bytes.
const MAX_LEN: usize = 1 << 26;

/// The syntax of the text that is assembled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Intel's, with the directives of NASM and of GNU's assembler.
    #[default]
    Intel,
    /// AT&T's, as GNU's assembler takes it by default.
    Att,
}

impl Dialect {
    /// Every dialect, the default first.
    pub const ALL: [Self; 2] = [Self::Intel, Self::Att];

    /// The word that stands for it in options.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intel => "intel",
            Self::Att => "att",
        }
    }

    /// The dialect of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

/// Assembles a text into the bytes that would run at `origin`.
///
/// ```
/// use opcodon_listing::{Dialect, assemble};
/// let code = assemble("again: dec ecx\njnz again\nret", 0, Dialect::Intel)?;
/// assert_eq!(code, b"\xff\xc9\x75\xfc\xc3");
/// # Ok::<(), opcodon_listing::AssembleError>(())
/// ```
///
/// # Errors
/// The first place in the text that means nothing, or that cannot be encoded.
pub fn assemble(text: &str, origin: u64, dialect: Dialect) -> Result<Vec<u8>, AssembleError> {
    let bytes = || {
        let tokens = token::tokens(text, dialect == Dialect::Att)?;
        let (program, names) = parse::parse(text, &tokens, dialect == Dialect::Att)?;
        let symbols = names.resolve()?;
        layout::layout(&program, &symbols, origin, text)
    };
    bytes().map_err(|fault| {
        let (kind, span) = *fault;
        AssembleError::new(kind, span, text)
    })
}
