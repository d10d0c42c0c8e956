//! The function behind descriptors of thread-local variables (`-mtls-dialect=gnu2`).
//!
//! Compiled code calls it through the first word of a descriptor, with the descriptor's address in
//! `rax`; it wants the variable's distance from the thread pointer there, and all other registers
//! as they were, vectors included. To find the variable may take memory for this thread's copy, so
//! everything is saved that a call may change, by `xsave`.
//!
//! Source: Oliva, Araújo, "Speeding Up Thread-Local Storage Access in Dynamic Libraries".

use std::arch::naked_asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::thread_pointer;
use crate::file::size;
use crate::tls;

/// Which registers `xsave` saves.
static SAVED: AtomicU32 = AtomicU32::new(0);

/// How many bytes they take.
static SAVED_LEN: AtomicU64 = AtomicU64::new(0);

/// x87, SSE, AVX, the three of AVX-512, and the general registers of APX; not tiles, which no
/// function uses that is called here.
const STATES: u64 = 0b1000_0000_0000_1110_0111;

/// The legacy part of what `xsave` writes, and its header.
const HEAD_LEN: u64 = 512 + 64;

/// The address of the function; `None` on a processor that cannot save its registers at once.
pub(crate) fn descriptor_entry() -> Option<u64> {
    const OSXSAVE: u32 = 1 << 27;
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return None;
    }
    // SAFETY: the system has enabled `xsave`, as was just seen, and `xgetbv` with it.
    let enabled = unsafe { _xgetbv(0) };
    let saved = u32::try_from(enabled & STATES).ok()?;
    let ends = (2..32)
        .filter(|state| saved >> state & 1 == 1)
        .map(|state| {
            let extent = __cpuid_count(0xd, state);
            u64::from(extent.ebx) + u64::from(extent.eax)
        });
    let len = ends.fold(HEAD_LEN, u64::max);
    SAVED_LEN.store(len, Ordering::Relaxed);
    SAVED.store(saved, Ordering::Relaxed);
    Some(entry as *const () as u64)
}

/// The second word of a descriptor: a variable, at an offset in the block of a module.
pub(crate) fn descriptor_argument(module: u64, offset: u64) -> Option<u64> {
    let module = u32::try_from(module).ok()?;
    let offset = u32::try_from(offset).ok()?;
    Some(u64::from(module) << 32 | u64::from(offset))
}

extern "C" fn distance(argument: u64) -> usize {
    let address = tls::address(argument >> 32);
    // A variable that nobody defines is at 0.
    let offset = size(argument & u64::from(u32::MAX));
    address.wrapping_add(offset).wrapping_sub(thread_pointer())
}

/// # Safety
/// `rax` is the address of a descriptor that [`descriptor_argument`] filled in.
#[unsafe(naked)]
unsafe extern "C" fn entry() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "push rdi",
        "push rsi",
        "push rdx",
        "push rcx",
        "push r8",
        "push r9",
        "push r10",
        "push r11",
        "mov rdi, [rax + 8]",
        "sub rsp, [rip + {saved_len}]",
        "and rsp, -64",
        // The header must be zero.
        "xor edx, edx",
        "mov [rsp + 512], rdx",
        "mov [rsp + 520], rdx",
        "mov [rsp + 528], rdx",
        "mov [rsp + 536], rdx",
        "mov [rsp + 544], rdx",
        "mov [rsp + 552], rdx",
        "mov [rsp + 560], rdx",
        "mov [rsp + 568], rdx",
        "mov eax, [rip + {saved}]",
        "xsave64 [rsp]",
        "call {distance}",
        "mov rsi, rax",
        "mov eax, [rip + {saved}]",
        "xor edx, edx",
        "xrstor64 [rsp]",
        "mov rax, rsi",
        "lea rsp, [rbp - 64]",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rcx",
        "pop rdx",
        "pop rsi",
        "pop rdi",
        "pop rbp",
        "ret",
        saved_len = sym SAVED_LEN,
        saved = sym SAVED,
        distance = sym distance,
    );
}
