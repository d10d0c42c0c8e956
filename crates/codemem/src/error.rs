//! Why machine code could not be made callable, or was called wrongly.

use std::io;

use crate::{Ty, Value};

/// Why machine code could not be made callable, or was called wrongly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// The operating system refused plain memory; the source says why.
    #[error("cannot map {len} bytes of code memory")]
    Map {
        /// Bytes asked for, without guard pages.
        len: usize,
        /// What the operating system said.
        source: io::Error,
    },
    /// The operating system gives this process no executable memory, by any way known here.
    #[error(
        "executable memory is denied to this process (memfd: {memfd}; mprotect: {mprotect}): \
         allow memfd_create in the sandbox or seccomp profile, or drop the restriction \
         (SELinux execmem, systemd MemoryDenyWriteExecute, PaX MPROTECT)"
    )]
    Denied {
        /// Why two views of one file in memory are refused.
        memfd: io::Error,
        /// Why pages cannot be changed from writable to executable.
        mprotect: io::Error,
    },
    /// Memory could not change between writable and executable.
    #[error("cannot change the protection of {len} bytes of code memory")]
    Protect {
        /// Length of the memory.
        len: usize,
        /// What the operating system said.
        source: io::Error,
    },
    /// The build's processor or operating system is not one that this crate writes code for.
    #[error(
        "machine code needs an x86-64 processor under Linux, and this is {arch} under {os}: \
         use the interpreter"
    )]
    Unsupported {
        /// Processor architecture of the build.
        arch: &'static str,
        /// Operating system of the build.
        os: &'static str,
    },
    /// The code does not fit into the arena any more.
    #[error("an arena of {capacity} bytes is full: {needed} bytes are needed; make a larger one")]
    Full {
        /// Size of the arena.
        capacity: usize,
        /// Length that the arena would have with the code appended.
        needed: usize,
    },
    /// Code can be aligned to powers of two up to a page.
    #[error("code cannot be aligned to {align} bytes: take a power of two up to 4096")]
    Align {
        /// The alignment asked for.
        align: usize,
    },
    /// The offset is not inside the code of the arena.
    #[error("offset {offset} is outside of the {len} bytes of code")]
    Offset {
        /// The offset asked for.
        offset: usize,
        /// Length of the code.
        len: usize,
    },
    /// Parts of an image are whole pages, in order, and do not overlap.
    #[error(
        "{start:#x}..{end:#x} is no part of an image of {len:#x} bytes: parts are whole pages, in order"
    )]
    Part {
        /// First offset of the part.
        start: usize,
        /// Offset behind the part.
        end: usize,
        /// Length of the image.
        len: usize,
    },
    /// The code belongs to something that was closed.
    #[error("the function cannot be called any more: what it belongs to was closed")]
    Closed,
    /// A function has at least one byte.
    #[error("a function of zero bytes cannot be called: give at least a return instruction (c3)")]
    Empty,
    /// The number of arguments is not the number of parameters.
    #[error("the function takes {expected} arguments, but {found} were given")]
    ArgumentCount {
        /// Number of parameters.
        expected: usize,
        /// Number of arguments.
        found: usize,
    },
    /// An argument has another type than its parameter.
    #[error("argument {index} (counted from 0) must be {expected}, but is {found}")]
    ArgumentType {
        /// Which argument, from 0.
        index: usize,
        /// Type of the parameter.
        expected: Ty,
        /// Type of the argument.
        found: Ty,
    },
    /// A callback cannot find out which arguments follow.
    #[error("a callback takes the arguments of its signature only: write their types for \"...\"")]
    VariadicCallback,
    /// A text is not a value of the type.
    #[error("{text:?} is not {}", Value::allowed(*.ty))]
    Value {
        /// The text.
        text: String,
        /// The type.
        ty: Ty,
    },
}
