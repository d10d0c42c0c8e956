//! Publishing code: after `publish`, every thread runs the bytes that were written before it.
//!
//! A processor fetches and decodes ahead. When code is written through one address and run through
//! another, or by another core, the manuals promise the new bytes only after the *running* core
//! has executed a serialising instruction. The kernel can do that on all cores that run threads of
//! this process: `membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE)`, about half a
//! microsecond, once a batch.
//!
//! Where the call is refused (old kernels, sandboxes) this thread executes `cpuid`, which
//! serialises only itself. Then code that is written by one thread and run by another relies on
//! what processors do and not on what manuals promise: a store into a line that another core has
//! fetched flushes what that core had decoded.
//!
//! Sources: `membarrier(2)`; Intel SDM vol. 3, "Handling Self- and Cross-Modifying Code"; AMD APM
//! vol. 2, "Cross-Modifying Code".

use std::sync::atomic::{AtomicU8, Ordering, fence};

const MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 5;
const MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 6;

/// What is known about the system call: nothing yet, that it works, or that it is refused.
static MEMBARRIER: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const WORKS: u8 = 1;
const REFUSED: u8 = 2;

/// Makes all code written so far safe to run, on every thread.
pub(crate) fn publish() {
    // The bytes are stored before the barrier, for the compiler and for the processor.
    fence(Ordering::SeqCst);
    let mut state = MEMBARRIER.load(Ordering::Relaxed);
    if state == WORKS && !membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) {
        // The registration belongs to the process and may be lost in one made by `clone`.
        state = UNKNOWN;
    }
    if state == UNKNOWN {
        let works = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE)
            && membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE);
        state = if works { WORKS } else { REFUSED };
        MEMBARRIER.store(state, Ordering::Relaxed);
    }
    if state == REFUSED {
        serialise();
    }
    fence(Ordering::SeqCst);
}

/// Executes `cpuid`, which lets no instruction begin before all earlier ones are complete.
fn serialise() {
    // SAFETY: `cpuid` writes four registers, of which `rbx`, which belongs to the compiler, is
    // restored.
    unsafe {
        std::arch::asm!(
            "mov {kept}, rbx",
            "cpuid",
            "mov rbx, {kept}",
            kept = out(reg) _,
            inout("eax") 0 => _,
            inout("ecx") 0 => _,
            out("edx") _,
            options(nostack, preserves_flags),
        );
    }
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: `membarrier` takes three integers and touches no memory.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}
