//! The trampolines: from a list of arguments, through a frame in memory, to a call with all
//! argument registers loaded.
//!
//! Both are functions of the System V convention, whatever the convention of the callee and of
//! the operating system, so that one piece of Rust calls either. They load every argument
//! register, also those that the callee does not read: fourteen loads cost less than choosing.
//!
//! # What is kept, whatever the callee does
//! The general registers that System V's callees preserve (except `rbp`, through which the rest
//! is found again), `rsp`, `mxcsr` and the direction flag are restored from the trampoline's own
//! stack frame. A callee of the Microsoft convention also preserves `rsi`, `rdi` and
//! `xmm6`–`xmm15`, for which nobody relies on it: for the Rust code that calls the trampoline
//! they are scratch.
//!
//! # Stack
//! ```text
//! rbp + 8   return address              At the entry rsp is 8 above a multiple of 16, after
//! rbp       caller's rbp                pushing rbp a multiple; the saved registers and the
//! rbp - 40  rbx, r12 to r15             area below them keep it one. So the arguments start at
//! rbp - 48  the frame                   a multiple of 16 if their area is rounded up to one.
//! rbp - 56  mxcsr
//! rbp - 64  (alignment)
//! …         arguments on the stack, under Microsoft's convention above 32 bytes of shadow space
//! ```

use std::arch::naked_asm;
use std::mem::offset_of;

use crate::{Abi, CodeError};

/// Arguments and results of a call under System V's convention.
#[derive(Debug)]
#[repr(C)]
struct SysVFrame {
    /// `rdi rsi rdx rcx r8 r9`
    ints: [u64; 6],
    /// `xmm0`–`xmm7`, low halves; the high halves are zero.
    floats: [u64; 8],
    /// Arguments on the stack, the first one at the lowest address.
    stack: *const u64,
    /// Number of arguments on the stack.
    n_stack: usize,
    /// The function to call.
    target: *const u8,
    /// Result: `rax`.
    rax: u64,
    /// Result: low half of `xmm0`.
    xmm0: u64,
}

/// Arguments and results of a call under Microsoft's convention.
#[derive(Debug)]
#[repr(C)]
struct Win64Frame {
    /// The first four arguments; each is loaded into its general and its vector register.
    slots: [u64; 4],
    /// Arguments on the stack, the first one at the lowest address.
    stack: *const u64,
    /// Number of arguments on the stack.
    n_stack: usize,
    /// The function to call.
    target: *const u8,
    /// Result: `rax`.
    rax: u64,
    /// Result: low half of `xmm0`.
    xmm0: u64,
}

/// Calls `frame.target` under System V's convention.
///
/// # Safety
/// `frame` is valid and nobody else uses it, `frame.stack` is valid for `frame.n_stack` reads, of
/// which there are at most a page, and `frame.target` is a function of that convention that takes
/// these arguments.
#[unsafe(naked)]
unsafe extern "sysv64" fn call_sysv(frame: *mut SysVFrame) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        "sub rsp, 16",
        "stmxcsr dword ptr [rbp - 56]",
        // Arguments on the stack.
        "mov r10, rdi",
        "mov rcx, qword ptr [rdi + {n_stack}]",
        "test rcx, rcx",
        "jz 2f",
        "lea rax, [rcx * 8 + 15]",
        "and rax, -16",
        "sub rsp, rax",
        "mov rsi, qword ptr [rdi + {stack}]",
        "3:",
        "mov rax, qword ptr [rsi + rcx * 8 - 8]",
        "mov qword ptr [rsp + rcx * 8 - 8], rax",
        "dec rcx",
        "jnz 3b",
        "2:",
        // Arguments in registers.
        "movsd xmm0, qword ptr [r10 + {floats}]",
        "movsd xmm1, qword ptr [r10 + {floats} + 8]",
        "movsd xmm2, qword ptr [r10 + {floats} + 16]",
        "movsd xmm3, qword ptr [r10 + {floats} + 24]",
        "movsd xmm4, qword ptr [r10 + {floats} + 32]",
        "movsd xmm5, qword ptr [r10 + {floats} + 40]",
        "movsd xmm6, qword ptr [r10 + {floats} + 48]",
        "movsd xmm7, qword ptr [r10 + {floats} + 56]",
        "mov rdi, qword ptr [r10 + {ints}]",
        "mov rsi, qword ptr [r10 + {ints} + 8]",
        "mov rdx, qword ptr [r10 + {ints} + 16]",
        "mov rcx, qword ptr [r10 + {ints} + 24]",
        "mov r8, qword ptr [r10 + {ints} + 32]",
        "mov r9, qword ptr [r10 + {ints} + 40]",
        // A function with variable arguments reads here how many vector registers count.
        "mov eax, 8",
        "call qword ptr [r10 + {target}]",
        // Results, and back.
        "mov r10, qword ptr [rbp - 48]",
        "mov qword ptr [r10 + {rax}], rax",
        "movsd qword ptr [r10 + {xmm0}], xmm0",
        "ldmxcsr dword ptr [rbp - 56]",
        "cld",
        "lea rsp, [rbp - 40]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        ints = const offset_of!(SysVFrame, ints),
        floats = const offset_of!(SysVFrame, floats),
        stack = const offset_of!(SysVFrame, stack),
        n_stack = const offset_of!(SysVFrame, n_stack),
        target = const offset_of!(SysVFrame, target),
        rax = const offset_of!(SysVFrame, rax),
        xmm0 = const offset_of!(SysVFrame, xmm0),
    )
}

/// Calls `frame.target` under Microsoft's convention.
///
/// # Safety
/// As for [`call_sysv`].
#[unsafe(naked)]
unsafe extern "sysv64" fn call_win64(frame: *mut Win64Frame) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        "sub rsp, 16",
        "stmxcsr dword ptr [rbp - 56]",
        // Arguments on the stack, above the shadow space.
        "mov r10, rdi",
        "mov rcx, qword ptr [rdi + {n_stack}]",
        "lea rax, [rcx * 8 + 32 + 15]",
        "and rax, -16",
        "sub rsp, rax",
        "test rcx, rcx",
        "jz 2f",
        "mov rsi, qword ptr [rdi + {stack}]",
        "3:",
        "mov rax, qword ptr [rsi + rcx * 8 - 8]",
        "mov qword ptr [rsp + rcx * 8 + 24], rax",
        "dec rcx",
        "jnz 3b",
        "2:",
        // Arguments in registers.
        "mov rcx, qword ptr [r10 + {slots}]",
        "mov rdx, qword ptr [r10 + {slots} + 8]",
        "mov r8, qword ptr [r10 + {slots} + 16]",
        "mov r9, qword ptr [r10 + {slots} + 24]",
        "movq xmm0, rcx",
        "movq xmm1, rdx",
        "movq xmm2, r8",
        "movq xmm3, r9",
        "call qword ptr [r10 + {target}]",
        // Results, and back.
        "mov r10, qword ptr [rbp - 48]",
        "mov qword ptr [r10 + {rax}], rax",
        "movsd qword ptr [r10 + {xmm0}], xmm0",
        "ldmxcsr dword ptr [rbp - 56]",
        "cld",
        "lea rsp, [rbp - 40]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        slots = const offset_of!(Win64Frame, slots),
        stack = const offset_of!(Win64Frame, stack),
        n_stack = const offset_of!(Win64Frame, n_stack),
        target = const offset_of!(Win64Frame, target),
        rax = const offset_of!(Win64Frame, rax),
        xmm0 = const offset_of!(Win64Frame, xmm0),
    )
}

/// Arguments on the stack for which no memory is allocated.
const STACK_INLINE: usize = 16;

/// Arguments on the stack.
struct Spill {
    inline: [u64; STACK_INLINE],
    len: usize,
    /// All of them, if there are more than fit inline.
    heap: Vec<u64>,
}

impl Spill {
    const fn new() -> Self {
        Self {
            inline: [0; STACK_INLINE],
            len: 0,
            heap: Vec::new(),
        }
    }

    fn push(&mut self, value: u64) {
        match self.inline.get_mut(self.len) {
            Some(slot) => *slot = value,
            None => {
                if self.heap.is_empty() {
                    self.heap.extend_from_slice(&self.inline);
                }
                self.heap.push(value);
            }
        }
        self.len += 1;
    }

    fn as_ptr(&self) -> *const u64 {
        if self.heap.is_empty() {
            self.inline.as_ptr()
        } else {
            self.heap.as_ptr()
        }
    }
}

/// Sorts arguments, each with whether it is a float, into a frame, and calls. Returns `rax` and
/// the low half of `xmm0`.
///
/// # Safety
/// At the address there is a function of the convention that takes these arguments.
pub(crate) unsafe fn call_registers(
    target: *const u8,
    abi: Abi,
    args: impl Iterator<Item = (bool, u64)>,
) -> Result<(u64, u64), CodeError> {
    let mut spill = Spill::new();
    Ok(match abi {
        Abi::SysV => {
            let mut frame = SysVFrame {
                ints: [0; 6],
                floats: [0; 8],
                stack: std::ptr::null(),
                n_stack: 0,
                target,
                rax: 0,
                xmm0: 0,
            };
            let (mut ints, mut floats) = (frame.ints.iter_mut(), frame.floats.iter_mut());
            for (is_float, value) in args {
                match if is_float { floats.next() } else { ints.next() } {
                    Some(register) => *register = value,
                    None => spill.push(value),
                }
            }
            frame.stack = spill.as_ptr();
            frame.n_stack = spill.len;
            // SAFETY: `frame` is a local, `frame.stack` points to `n_stack` values in `spill`,
            // which lives until the end of this function and, as no signature has more than 255
            // parameters, are less than a page; the target is the caller's promise.
            unsafe { call_sysv(&raw mut frame) };
            (frame.rax, frame.xmm0)
        }
        Abi::Win64 => {
            let mut frame = Win64Frame {
                slots: [0; 4],
                stack: std::ptr::null(),
                n_stack: 0,
                target,
                rax: 0,
                xmm0: 0,
            };
            let mut slots = frame.slots.iter_mut();
            for (_, value) in args {
                match slots.next() {
                    Some(slot) => *slot = value,
                    None => spill.push(value),
                }
            }
            frame.stack = spill.as_ptr();
            frame.n_stack = spill.len;
            // SAFETY: as above.
            unsafe { call_win64(&raw mut frame) };
            (frame.rax, frame.xmm0)
        }
    })
}

/// Calls the function of `f64`s at an address, directly if it has at most eight parameters.
///
/// # Safety
/// As for [`call_address`](crate::call_address), for a function that takes that many `f64` and
/// returns one; and the function keeps all of its convention, since nothing is repaired.
#[inline]
#[must_use]
pub unsafe fn call_f64(address: *const u8, abi: Abi, args: &[f64]) -> f64 {
    macro_rules! direct {
        ($abi:literal, $($arg:ident: $ty:ty),*) => {{
            // SAFETY: a function pointer is an address; that a function of this convention and
            // number of parameters stands there is the caller's promise.
            let function = unsafe {
                std::mem::transmute::<*const u8, unsafe extern $abi fn($($ty),*) -> f64>(address)
            };
            // SAFETY: as above.
            unsafe { function($($arg),*) }
        }};
    }
    macro_rules! by_count {
        ($abi:literal) => {
            match *args {
                [] => direct!($abi,),
                [a] => direct!($abi, a: f64),
                [a, b] => direct!($abi, a: f64, b: f64),
                [a, b, c] => direct!($abi, a: f64, b: f64, c: f64),
                [a, b, c, d] => direct!($abi, a: f64, b: f64, c: f64, d: f64),
                [a, b, c, d, e] => direct!($abi, a: f64, b: f64, c: f64, d: f64, e: f64),
                [a, b, c, d, e, f] => {
                    direct!($abi, a: f64, b: f64, c: f64, d: f64, e: f64, f: f64)
                }
                [a, b, c, d, e, f, g] => {
                    direct!($abi, a: f64, b: f64, c: f64, d: f64, e: f64, f: f64, g: f64)
                }
                [a, b, c, d, e, f, g, h] => {
                    direct!($abi, a: f64, b: f64, c: f64, d: f64, e: f64, f: f64, g: f64, h: f64)
                }
                _ => {
                    let registers = args.iter().map(|x| (true, x.to_bits()));
                    // SAFETY: the caller's promise.
                    let called = unsafe { call_registers(address, abi, registers) };
                    called.map_or(f64::NAN, |(_, xmm0)| f64::from_bits(xmm0))
                }
            }
        };
    }
    match abi {
        Abi::SysV => by_count!("sysv64"),
        Abi::Win64 => by_count!("win64"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, CodeHeap};

    /// What a caller relies on after a call.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[repr(C)]
    struct Kept {
        /// `rbx rbp r12 r13 r14 r15`
        registers: [u64; 6],
        /// `rsp`, before minus after.
        stack_lost: u64,
        mxcsr: u32,
        direction: u32,
    }

    const MARKS: [u64; 6] = [0xb0, 0xb1, 0xc2, 0xc3, 0xc4, 0xc5];

    /// Calls `trampoline(frame)` with marked registers and stores what is in them afterwards.
    #[unsafe(naked)]
    unsafe extern "sysv64" fn observe(trampoline: *const u8, frame: *mut u8, out: *mut Kept) {
        naked_asm!(
            "push rbx",
            "push rbp",
            "push r12",
            "push r13",
            "push r14",
            "push r15",
            "push rdx",
            "mov rax, rdi",
            "mov rdi, rsi",
            "mov ebx, 0xb0",
            "mov ebp, 0xb1",
            "mov r12d, 0xc2",
            "mov r13d, 0xc3",
            "mov r14d, 0xc4",
            "mov r15d, 0xc5",
            "mov [rdx + 48], rsp",
            "call rax",
            // If the stack pointer were lost, nothing below would find its way.
            "mov rdx, [rsp]",
            "sub [rdx + 48], rsp",
            "mov [rdx], rbx",
            "mov [rdx + 8], rbp",
            "mov [rdx + 16], r12",
            "mov [rdx + 24], r13",
            "mov [rdx + 32], r14",
            "mov [rdx + 40], r15",
            "stmxcsr [rdx + 56]",
            "pushfq",
            "pop rax",
            "shr eax, 10",
            "and eax, 1",
            "mov [rdx + 60], eax",
            "cld",
            "pop rdx",
            "pop r15",
            "pop r14",
            "pop r13",
            "pop r12",
            "pop rbp",
            "pop rbx",
            "ret",
        )
    }

    /// Breaks every promise of both conventions except those on `rsp` and `rbp`:
    /// general registers, all vector registers, rounding mode, direction flag.
    const VANDAL: &[u8] = b"\
        \x48\xc7\xc3\xff\xff\xff\xff\
        \x49\xc7\xc4\xff\xff\xff\xff\
        \x49\xc7\xc5\xff\xff\xff\xff\
        \x49\xc7\xc6\xff\xff\xff\xff\
        \x49\xc7\xc7\xff\xff\xff\xff\
        \x48\xc7\xc7\xff\xff\xff\xff\
        \x48\xc7\xc6\xff\xff\xff\xff\
        \x66\x45\x0f\x76\xff\
        \x68\x80\x7f\x00\x00\
        \x0f\xae\x14\x24\
        \x58\
        \xfd\
        \xb8\x2a\x00\x00\x00\
        \xc3";

    fn install(code: &[u8]) -> Code {
        CodeHeap::global().install(code).unwrap()
    }

    /// Calls the vandal with `n_stack` arguments on the stack.
    fn check(win64: bool, n_stack: usize) {
        let code = install(VANDAL);
        let stack = vec![7_u64; n_stack];
        let mut sysv = SysVFrame {
            ints: [0; 6],
            floats: [0; 8],
            stack: stack.as_ptr(),
            n_stack,
            target: code.address(),
            rax: 0,
            xmm0: 0,
        };
        let mut microsoft = Win64Frame {
            slots: [0; 4],
            stack: stack.as_ptr(),
            n_stack,
            target: code.address(),
            rax: 0,
            xmm0: 0,
        };
        let (trampoline, frame): (*const u8, *mut u8) = if win64 {
            (call_win64 as *const u8, (&raw mut microsoft).cast())
        } else {
            (call_sysv as *const u8, (&raw mut sysv).cast())
        };
        let mut kept = Kept {
            registers: [0; 6],
            stack_lost: 1,
            mxcsr: 0,
            direction: 1,
        };
        // SAFETY: the frame is the one of the trampoline, and the target, though a vandal, only
        // writes registers that the trampoline restores.
        unsafe { observe(trampoline, frame, &raw mut kept) };
        let rax = if win64 { microsoft.rax } else { sysv.rax };
        assert_eq!(rax, 42);
        let expected = Kept {
            registers: MARKS,
            stack_lost: 0,
            mxcsr: 0x1f80,
            direction: 0,
        };
        // The sticky exception flags are no promise.
        kept.mxcsr &= !0x3f;
        assert_eq!(kept, expected, "win64: {win64}, {n_stack} on the stack");
    }

    #[test]
    fn what_the_caller_relies_on_survives_a_vandal() {
        for n_stack in 0..=9 {
            check(false, n_stack);
            check(true, n_stack);
        }
    }
}
