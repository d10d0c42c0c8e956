//! Faults: how machine code ended that did not return.

use std::fmt;
use std::io;

use crate::CodeError;

/// What a guarded call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Milliseconds until it is stopped.
    pub time_ms: u64,
    /// Bytes of memory that it may ask for, besides what the process has.
    pub memory: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time_ms: 10_000,
            memory: None,
        }
    }
}

/// Memory of the caller that a guarded call works on. Every address in the arguments that lies
/// there, also one in a structure, is that of a copy in pages that both processes see.
#[derive(Clone, Copy, Debug)]
pub struct Loan {
    /// Where it begins.
    pub address: usize,
    /// Its bytes.
    pub len: usize,
    /// Whether writing there is a fault; otherwise what is written there is there after the call,
    /// if it returned. Memory that is lent twice is written if one of the loans may be.
    pub is_const: bool,
}

/// How a guarded call ended without a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// It could not be begun.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// The operating system refused a process or memory for it.
    #[error("cannot run a guarded call: {what}")]
    System {
        /// What was refused.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The code did not return.
    #[error("{0}")]
    Fault(Box<Fault>),
    /// A callback was to get the address of memory that only the other process has.
    #[error(
        "argument {argument} of a callback is the address {address:#x} in the memory of the guarded \
         call's process; a callback of a guarded function can read what was passed to the function \
         as a buffer"
    )]
    Foreign {
        /// Which argument, from 1.
        argument: usize,
        /// The address.
        address: usize,
    },
    /// The code called back what was not passed to it.
    #[error("a guarded function called a callback that is none of its arguments")]
    Stray,
    /// The caller did not want to wait any longer.
    #[error("the guarded call was interrupted")]
    Interrupted,
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
impl GuardError {
    /// What the operating system refused just now.
    pub(crate) fn refused(what: &'static str) -> Self {
        let source = io::Error::last_os_error();
        Self::System { what, source }
    }
}

/// Why code stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A signal, by its number.
    Signal(i32),
    /// The time was up.
    Timeout,
    /// It ended the process, with that code.
    Exit(i32),
}

impl Cause {
    /// `SIGSEGV` …, `timeout` or `exit`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Signal(number) => SIGNALS
                .iter()
                .find(|(known, ..)| *known == number)
                .map_or_else(
                    || format!("signal {number}"),
                    |(_, name, _)| (*name).to_owned(),
                ),
            Self::Timeout => "timeout".to_owned(),
            Self::Exit(_) => "exit".to_owned(),
        }
    }

    fn meaning(self) -> String {
        match self {
            Self::Signal(number) => SIGNALS
                .iter()
                .find(|(known, ..)| *known == number)
                .map_or_else(
                    || format!("signal {number}"),
                    |(.., text)| (*text).to_owned(),
                ),
            Self::Timeout => "its time was up".to_owned(),
            Self::Exit(code) => format!("it ended the process with exit code {code}"),
        }
    }
}

/// Signals of the x86-64 Linux ABI that code can raise by itself.
const SIGNALS: &[(i32, &str, &str)] = &[
    (
        4,
        "SIGILL",
        "an instruction that this processor does not have",
    ),
    (
        5,
        "SIGTRAP",
        "a breakpoint, such as lies behind the end of code",
    ),
    (6, "SIGABRT", "it aborted"),
    (7, "SIGBUS", "an access to memory that has no store"),
    (8, "SIGFPE", "a division by zero or its overflow"),
    (9, "SIGKILL", "it was killed"),
    (11, "SIGSEGV", "an access to memory that it may not access"),
    (31, "SIGSYS", "a system call that is not allowed"),
];

/// Names of [`Fault::registers`], in their order.
pub const REGISTERS: [&str; 18] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15", "rip", "rflags",
];

/// Where code was when it stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Why.
    pub cause: Cause,
    /// The address that it could not access, of the signals that have one.
    pub address: Option<u64>,
    /// The state of the processor; `None` if the process just ended.
    pub state: Option<State>,
}

/// The processor at that moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The registers that [`REGISTERS`] names.
    pub registers: [u64; REGISTERS.len()],
    /// The instruction pointer as an offset into the code, if it was there.
    pub offset: Option<usize>,
    /// The bytes at the instruction pointer, as far as they could be read.
    pub bytes: Vec<u8>,
}

impl State {
    /// The instruction pointer.
    #[must_use]
    pub fn instruction_pointer(&self) -> u64 {
        self.registers[16]
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the code did not return: {}", self.cause.meaning())?;
        if let Some(address) = self.address {
            write!(f, ", {address:#x}")?;
        }
        match &self.state {
            Some(State {
                offset: Some(offset),
                ..
            }) => write!(f, ", at offset {offset:#x}"),
            Some(state) => write!(
                f,
                ", at {:#x}, outside of the code",
                state.instruction_pointer()
            ),
            None => Ok(()),
        }
    }
}
