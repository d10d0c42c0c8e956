//! Symbols: names for places in a file.

use std::fmt;

use object::elf;

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SymbolKind {
    /// Code.
    Function,
    /// Code that returns the address of the code to use on this processor.
    Indirect,
    /// Data.
    Object,
    /// A variable of which every thread has its own.
    ThreadLocal,
    /// Not said.
    Other,
}

impl SymbolKind {
    /// `function`, `ifunc`, `object`, `tls` or `other`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Indirect => "ifunc",
            Self::Object => "object",
            Self::ThreadLocal => "tls",
            Self::Other => "other",
        }
    }

    /// Whether it can be called.
    #[must_use]
    pub const fn is_code(self) -> bool {
        matches!(self, Self::Function | Self::Indirect | Self::Other)
    }

    pub(crate) fn of(kind: elf::SymbolType) -> Self {
        match kind {
            elf::STT_FUNC => Self::Function,
            elf::STT_GNU_IFUNC => Self::Indirect,
            elf::STT_OBJECT | elf::STT_COMMON => Self::Object,
            elf::STT_TLS => Self::ThreadLocal,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for SymbolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where a symbol is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Definition {
    /// Elsewhere.
    Undefined,
    /// In this file.
    Here,
    /// Nowhere: the value is a number.
    Absolute,
}

/// A symbol as its file has it.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) value: u64,
    pub(crate) size: u64,
    pub(crate) kind: SymbolKind,
    pub(crate) definition: Definition,
    pub(crate) is_weak: bool,
    pub(crate) is_local: bool,
    pub(crate) version: Option<String>,
    /// Whether others find it only if they ask for the version.
    pub(crate) is_hidden: bool,
}

/// A symbol that a library offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Its version, if the library has versions.
    pub version: Option<String>,
    /// Whether the name alone means this version.
    pub is_default: bool,
    /// What it stands for.
    pub kind: SymbolKind,
    /// Its size in bytes; 0 if that is not said.
    pub size: u64,
}

impl Export {
    /// The name, with the version behind `@` if the name alone means another one.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.version {
            Some(version) if !self.is_default => format!("{}@{version}", self.name),
            _ => self.name.clone(),
        }
    }
}
