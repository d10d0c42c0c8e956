//! Code memory: pages, sealing, signatures and calling conventions, CPU tokens.
//!
//! Bytes become callable here and nowhere else. The crate asks the operating system for memory
//! that holds machine code, and it knows how such code is called:
//!
//! | room | what it is about |
//! |---|---|
//! | [`Arena`], [`SealedArena`] | many pieces of code that live and die together: written, published once, run, reopened |
//! | [`CodeHeap`], [`Code`] | single functions that live as long as somebody holds them |
//! | [`Draft`], [`Image`] | code, constants and data at fixed distances, as in a shared library |
//! | [`Signature`], [`Ty`] | the text `"f64(f64, i32, ptr)"`, or its C spelling |
//! | [`Function`], [`Value`], [`Abi`] | calling bytes with any arguments under System V or Microsoft rules |
//! | [`call_guarded`], [`Fault`] | the same in another process, from which a fault comes back as an error |
//! | [`Callback`] | a closure as code that is called under either |
//! | [`observe`] | telling debuggers and profilers which code there is |
//! | [`kernel`] | the one calling convention of everything that works on columns |
//! | [`cpu`] | tokens that prove what the processor can do |
//!
//! # Invariants
//! * No byte of memory is ever writable and executable through one mapping.
//! * Memory that holds no code holds `int3`, or cannot be accessed at all; every region of code
//!   lies between guard pages.
//! * On other processors and operating systems than x86-64 and Linux everything compiles, and
//!   asking for code memory is [`CodeError::Unsupported`].
//! * This crate does not know what the bytes mean. It neither encodes nor decodes instructions.
#![allow(
    unsafe_code,
    reason = "this is the one crate that maps executable memory and calls into it"
)]

mod abi;
mod arena;
mod call;
mod callback;
pub mod cpu;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    path = "debugger_unsupported.rs"
)]
mod debugger;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    path = "errand_unsupported.rs"
)]
mod errand;
mod error;
mod fault;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    path = "fork_unsupported.rs"
)]
mod fork;
mod global;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    path = "guard_unsupported.rs"
)]
mod guard;
mod heap;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    path = "image_unsupported.rs"
)]
mod image;
pub mod kernel;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod lent;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    path = "pages_unsupported.rs"
)]
mod pages;
mod passing;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod publish;
mod signature;
#[cfg_attr(
    not(all(target_arch = "x86_64", target_os = "linux")),
    path = "trampoline_unsupported.rs"
)]
mod trampoline;
mod ty;
mod value;
mod watch;

/// Who wants to know which code there is, and what such observers need of the operating system.
pub mod observe {
    pub use crate::debugger::{SymbolFile, UnwindTable, mark_for_perf, monotonic_ns, thread_id};
    pub use crate::watch::{LibraryCode, Observer, SourceLines, Watched};
    pub use crate::watch::{is_observed, naming, naming_with_lines, observe};
}

pub use abi::Abi;
pub use arena::{Arena, Entry, SealedArena};
pub use call::{Function, call_address, call_f64};
pub use callback::Callback;
pub use error::CodeError;
pub use fault::{Cause, Fault, GuardError, Limits, Loan, REGISTERS, State};
pub use guard::call_guarded;
pub use heap::{Code, CodeHeap, Usage};
pub use image::{Access, Draft, Image, Part, Place};
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub use pages::sealed_file;
pub use pages::{Mapping, PAGE, probe};
pub use signature::{Signature, SignatureError, SignatureErrorKind};
pub use ty::{Array, Prototype, Struct, Ty};
pub use value::{Record, Value};
