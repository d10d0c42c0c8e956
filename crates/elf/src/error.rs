//! Why a file could not be loaded or linked.

use std::error::Error as _;
use std::fmt;
use std::io;

use opcodon_codemem::CodeError;

/// Why a file could not be loaded or linked, and which file it was.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {kind}")]
pub struct ElfError {
    /// The file, as it was named by whoever asked for it.
    pub file: String,
    /// What is wrong.
    pub kind: ElfErrorKind,
}

impl ElfError {
    pub(crate) fn new(file: &str, kind: ElfErrorKind) -> Self {
        Self {
            file: file.to_owned(),
            kind,
        }
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElfErrorKind {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// No file of that name.
    #[error("there is no such library; looked in {}", .searched.join(", "))]
    NotFound {
        /// The folders that were searched.
        searched: Vec<String>,
    },
    /// The file is not what it should be: another format, processor or kind.
    #[error("{found} at offset {offset:#x}, but {expected} is needed{hint}")]
    Format {
        /// Where the file says so.
        offset: u64,
        /// What it is.
        found: String,
        /// What is needed.
        expected: &'static str,
        /// What to do, with punctuation in front.
        hint: &'static str,
    },
    /// The file contradicts itself.
    #[error("the file is damaged: {what} at offset {offset:#x}")]
    Damaged {
        /// What makes no sense.
        what: &'static str,
        /// Where, in bytes from the start of the file.
        offset: u64,
    },
    /// The file is sound but needs what only the system's loader, or none, can give.
    #[error("{0}")]
    Refused(Refusal),
    /// Names that nobody defines, all of them.
    #[error("{}", Missing(.0))]
    Missing(Vec<String>),
    /// A name that several objects define.
    #[error("{name} is defined again; it is already defined in {first}")]
    Duplicate {
        /// The name.
        name: String,
        /// The file with the first definition.
        first: String,
    },
    /// A relocation whose value does not fit.
    #[error(
        "{relocation} at offset {offset:#x} cannot reach {name}: compile with -fPIC, or link \
         what defines it too"
    )]
    Reach {
        /// The relocation's name.
        relocation: String,
        /// Where, in bytes from the start of the file.
        offset: u64,
        /// The name of what is out of reach.
        name: String,
    },
    /// A library that this one needs.
    #[error("{name}, which it needs, cannot be loaded: {message}")]
    Dependency {
        /// Its name.
        name: String,
        /// Why.
        message: String,
    },
    /// The system's loader refuses.
    #[error("the system's loader says: {0}")]
    System(String),
    /// There is no memory, or none that can be executed.
    #[error("{}", WithSource(.0))]
    Memory(CodeError),
    /// The library has no such symbol.
    #[error("there is no symbol {name:?}{}", DidYouMean(.near))]
    NoSymbol {
        /// The name that was asked for.
        name: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// The symbol is not what it is asked to be.
    #[error("{name} is {found}, not {expected}")]
    Kind {
        /// Its name.
        name: String,
        /// What it is.
        found: &'static str,
        /// What was asked for.
        expected: &'static str,
    },
    /// The library was closed.
    #[error("the library is closed")]
    Closed,
}

/// Why a sound file is refused by this loader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Thread-local variables at a fixed distance of the thread pointer, for which the system's
    /// loader has no room left.
    #[error(
        "its thread-local variables need room in the static block of every thread, which the \
         system's loader does not give: {message}"
    )]
    StaticTls {
        /// What the loader says.
        message: String,
    },
    /// A thread-local variable of the process that is at another distance in each thread.
    #[error(
        "a thread-local variable of another library is to be in the static block of every thread \
         ({relocation} at offset {offset:#x}), but is not"
    )]
    DynamicTls {
        /// The relocation that needs it.
        relocation: &'static str,
        /// Where, in bytes from the start of the file.
        offset: u64,
    },
    /// A relocation of thread-local variables through descriptors, on a processor without `xsave`.
    #[error(
        "thread-local variables through descriptors ({relocation} at offset {offset:#x}) need a \
         processor with XSAVE: load it with the system's loader"
    )]
    TlsDescriptor {
        /// The relocation.
        relocation: &'static str,
        /// Where, in bytes from the start of the file.
        offset: u64,
    },
    /// An initial value of a thread-local variable that is known only after room was given for it.
    #[error(
        "the initial value of a thread-local variable (relocation at offset {0:#x}) is known only \
         when the library runs: load it with the system's loader"
    )]
    LateVariable(u64),
    /// A part of the C library, of which there is one in a process.
    #[error("{0} is a part of the C library, of which a process has one")]
    CLibrary(String),
    /// A copy relocation, which only programs have.
    #[error("a copy relocation at offset {0:#x} belongs into a program, not into a library")]
    Copy(u64),
    /// A relocation that is not known here.
    #[error("relocation type {number} at offset {offset:#x} is not known")]
    Relocation {
        /// Its number.
        number: u32,
        /// Where, in bytes from the start of the file.
        offset: u64,
    },
    /// A segment that wants to be writable and executable.
    #[error("the segment at offset {0:#x} is to be writable and executable, which is never done")]
    WritableCode(u64),
}

impl Refusal {
    /// Whether the system's loader may know better, of a refusal that is seen in the file.
    pub(crate) fn has_fallback(&self) -> bool {
        !matches!(self, Self::WritableCode(_) | Self::Copy(_))
    }
}

/// An error and what it was caused by, on one line.
struct WithSource<'a>(&'a CodeError);

impl fmt::Display for WithSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match self.0.source() {
            None => Ok(()),
            Some(source) => write!(f, ": {source}"),
        }
    }
}

struct Missing<'a>(&'a [String]);

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.0.len() == 1 { "is" } else { "are" };
        write!(
            f,
            "{} {verb} defined neither in it, nor in the libraries it needs, nor in this process",
            self.0.join(", ")
        )
    }
}

struct DidYouMean<'a>(&'a [String]);

impl fmt::Display for DidYouMean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            near => write!(f, "; did you mean {}?", near.join(" or ")),
        }
    }
}
