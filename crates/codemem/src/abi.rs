//! The two calling conventions of x86-64, by name.

use std::fmt;

/// A calling convention of x86-64. Both can be called on every operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Abi {
    /// System V: Linux, macOS, the BSDs.
    SysV,
    /// Microsoft: Windows.
    Win64,
}

impl Abi {
    /// Both conventions.
    pub const ALL: [Self; 2] = [Self::SysV, Self::Win64];

    /// The convention of the operating system this runs on.
    #[must_use]
    pub const fn host() -> Self {
        if cfg!(windows) {
            Self::Win64
        } else {
            Self::SysV
        }
    }

    /// `sysv` or `win64`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SysV => "sysv",
            Self::Win64 => "win64",
        }
    }

    /// The convention of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|abi| abi.name() == name)
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
