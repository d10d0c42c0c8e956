//! What a debugger and the unwinder read in this process: the list of GDB's JIT interface, the
//! registry of unwind tables, and the mark by which `perf` finds a dump.
//!
//! GDB sets a breakpoint on [`__jit_debug_register_code`] and, when it is hit, reads from
//! [`__jit_debug_descriptor`] which symbol file came or went. The names and the layout are its
//! interface; the files themselves are made elsewhere, here they are only kept in place.
//!
//! Sources: GDB manual, "JIT Compilation Interface"; libgcc's `unwind-dw2-fde.h`;
//! `tools/perf/Documentation/jitdump-specification.txt`.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::{Mutex, PoisonError};

/// A symbol file in the list.
#[repr(C)]
struct Entry {
    next: *mut Entry,
    previous: *mut Entry,
    file: *const u8,
    size: u64,
}

/// What GDB reads.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut c_void,
    first: *mut c_void,
}

const REGISTER: u32 = 1;
const UNREGISTER: u32 = 2;

/// The head of the list, by GDB's name for it.
#[unsafe(no_mangle)]
pub(crate) static mut __jit_debug_descriptor: Descriptor = Descriptor {
    version: 1,
    action: 0,
    relevant: ptr::null_mut(),
    first: ptr::null_mut(),
};

/// Called whenever the list changes; GDB has a breakpoint here.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn __jit_debug_register_code() {
    // SAFETY: no instruction; it keeps the function from being left out.
    unsafe { std::arch::asm!("", options(nomem, nostack, preserves_flags)) };
}

/// Held while the list changes.
static LIST: Mutex<()> = Mutex::new(());

/// A symbol file that GDB knows of, until this is dropped.
pub struct SymbolFile {
    entry: Box<Entry>,
    _file: Vec<u8>,
}

// SAFETY: the entry is owned, and its links are only followed under the lock.
unsafe impl Send for SymbolFile {}

impl std::fmt::Debug for SymbolFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SymbolFile")
            .field("size", &self.entry.size)
            .finish_non_exhaustive()
    }
}

impl SymbolFile {
    /// Announces an ELF file with symbols.
    #[must_use]
    pub fn announce(file: Vec<u8>) -> Self {
        let mut entry = Box::new(Entry {
            next: ptr::null_mut(),
            previous: ptr::null_mut(),
            file: file.as_ptr(),
            size: file.len() as u64,
        });
        let _turn = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let descriptor = &raw mut __jit_debug_descriptor;
        // SAFETY: the lock is held, so nobody else has a reference to it.
        let descriptor = unsafe { &mut *descriptor };
        let this: *mut Entry = &raw mut *entry;
        entry.next = descriptor.first.cast();
        if !entry.next.is_null() {
            // SAFETY: entries in the list are alive: they leave it before they are dropped.
            unsafe { (*entry.next).previous = this };
        }
        descriptor.first = this.cast();
        descriptor.relevant = this.cast();
        descriptor.action = REGISTER;
        __jit_debug_register_code();
        Self { entry, _file: file }
    }
}

impl Drop for SymbolFile {
    fn drop(&mut self) {
        let _turn = LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let descriptor = &raw mut __jit_debug_descriptor;
        // SAFETY: as above.
        let descriptor = unsafe { &mut *descriptor };
        if self.entry.previous.is_null() {
            descriptor.first = self.entry.next.cast();
        } else {
            // SAFETY: as above.
            unsafe { (*self.entry.previous).next = self.entry.next };
        }
        if !self.entry.next.is_null() {
            // SAFETY: as above.
            unsafe { (*self.entry.next).previous = self.entry.previous };
        }
        descriptor.relevant = (&raw mut *self.entry).cast();
        descriptor.action = UNREGISTER;
        __jit_debug_register_code();
    }
}

unsafe extern "C" {
    fn __register_frame(frames: *const c_void);
    fn __deregister_frame(frames: *const c_void);
}

/// Unwind tables that the C++ runtime and `backtrace` know of, until this is dropped.
#[derive(Debug)]
pub struct UnwindTable(Vec<u8>);

impl UnwindTable {
    /// Registers an `.eh_frame` section with absolute addresses, to which an end is added; `None`
    /// if the entries' lengths do not add up, which is all that is checked.
    #[must_use]
    pub fn register(mut section: Vec<u8>) -> Option<Self> {
        let mut at = 0;
        while at < section.len() {
            let length = section.get(at..at + 4)?.try_into().ok()?;
            at += 4 + u32::from_le_bytes(length) as usize;
        }
        if at != section.len() || at == 0 {
            return None;
        }
        section.extend_from_slice(&[0; 4]);
        // SAFETY: the entries lie within the section, and its end was added; it stays where it is
        // until it is taken back. What the entries say is used when somebody unwinds only.
        unsafe { __register_frame(section.as_ptr().cast()) };
        Some(Self(section))
    }
}

impl Drop for UnwindTable {
    fn drop(&mut self) {
        // SAFETY: it was registered with this address.
        unsafe { __deregister_frame(self.0.as_ptr().cast()) };
    }
}

/// Maps the first page of a file as executable, so that `perf record` notes its name; it stays
/// mapped.
///
/// # Errors
/// The operating system refuses, for example since the file lies where nothing may be executed.
pub fn mark_for_perf(file: &File) -> io::Result<()> {
    let protection = libc::PROT_READ | libc::PROT_EXEC;
    let (flags, fd) = (libc::MAP_PRIVATE, file.as_raw_fd());
    // SAFETY: without a fixed address `mmap` takes only addresses that nobody uses.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), 4096, protection, flags, fd, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Nanoseconds on the clock that `perf record -k mono` uses.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time is a local.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

/// The kernel's number of this thread.
#[must_use]
pub fn thread_id() -> u32 {
    // SAFETY: takes nothing and touches no memory.
    unsafe { libc::gettid() }.cast_unsigned()
}
