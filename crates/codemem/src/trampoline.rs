//! The trampolines: from a frame in memory to a call with all argument registers loaded, and from a
//! call that arrives to a frame in memory.
//!
//! Those that call are functions of the System V convention, whatever the convention of the callee
//! and of the operating system, so that one piece of Rust calls either. They load every argument
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

use crate::passing::{FLOATS, INTS};
use crate::{Abi, CodeError};

/// Arguments and results of a call.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Frame {
    /// Integer registers in the order of the convention; under Microsoft's, where each argument is
    /// loaded into its general and its vector register, all four.
    pub(crate) ints: [u64; INTS],
    /// `xmm0`–`xmm7` under System V's convention, low halves; the high halves are zero.
    pub(crate) floats: [u64; FLOATS],
    /// Arguments on the stack, the first one at the lowest address.
    stack: *const u64,
    /// Number of arguments on the stack.
    n_stack: usize,
    /// The function to call.
    target: *const u8,
    /// Results: `rax`, `rdx`.
    pub(crate) int_results: [u64; 2],
    /// Results: low halves of `xmm0`, `xmm1`.
    pub(crate) float_results: [u64; 2],
}

/// Calls `frame.target` under System V's convention.
///
/// # Safety
/// `frame` is valid and nobody else uses it, `frame.stack` is valid for `frame.n_stack` reads, and
/// `frame.target` is a function of that convention that takes these arguments.
#[unsafe(naked)]
unsafe extern "sysv64" fn call_sysv(frame: *mut Frame) {
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
        "mov qword ptr [r10 + {int_results}], rax",
        "mov qword ptr [r10 + {int_results} + 8], rdx",
        "movsd qword ptr [r10 + {float_results}], xmm0",
        "movsd qword ptr [r10 + {float_results} + 8], xmm1",
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
        ints = const offset_of!(Frame, ints),
        floats = const offset_of!(Frame, floats),
        stack = const offset_of!(Frame, stack),
        n_stack = const offset_of!(Frame, n_stack),
        target = const offset_of!(Frame, target),
        int_results = const offset_of!(Frame, int_results),
        float_results = const offset_of!(Frame, float_results),
    )
}

/// Calls `frame.target` under Microsoft's convention.
///
/// # Safety
/// As for [`call_sysv`].
#[unsafe(naked)]
unsafe extern "sysv64" fn call_win64(frame: *mut Frame) {
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
        "mov rcx, qword ptr [r10 + {ints}]",
        "mov rdx, qword ptr [r10 + {ints} + 8]",
        "mov r8, qword ptr [r10 + {ints} + 16]",
        "mov r9, qword ptr [r10 + {ints} + 24]",
        "movq xmm0, rcx",
        "movq xmm1, rdx",
        "movq xmm2, r8",
        "movq xmm3, r9",
        "call qword ptr [r10 + {target}]",
        // Results, and back.
        "mov r10, qword ptr [rbp - 48]",
        "mov qword ptr [r10 + {int_results}], rax",
        "mov qword ptr [r10 + {int_results} + 8], rdx",
        "movsd qword ptr [r10 + {float_results}], xmm0",
        "movsd qword ptr [r10 + {float_results} + 8], xmm1",
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
        ints = const offset_of!(Frame, ints),
        stack = const offset_of!(Frame, stack),
        n_stack = const offset_of!(Frame, n_stack),
        target = const offset_of!(Frame, target),
        int_results = const offset_of!(Frame, int_results),
        float_results = const offset_of!(Frame, float_results),
    )
}

impl Frame {
    /// A frame without arguments.
    pub(crate) const fn new(target: *const u8) -> Self {
        Self {
            ints: [0; INTS],
            floats: [0; FLOATS],
            stack: std::ptr::null(),
            n_stack: 0,
            target,
            int_results: [0; 2],
            float_results: [0; 2],
        }
    }

    /// Loads all registers and the stack, and calls.
    ///
    /// # Safety
    /// The target is a function of the convention that takes these arguments.
    pub(crate) unsafe fn call(&mut self, abi: Abi, stack: &[u64]) -> Result<(), CodeError> {
        self.stack = stack.as_ptr();
        self.n_stack = stack.len();
        let frame = std::ptr::from_mut(self);
        match abi {
            // SAFETY: the frame is borrowed mutably, its stack is that of the slice, and the
            // target is the caller's promise.
            Abi::SysV => unsafe { call_sysv(frame) },
            // SAFETY: as above.
            Abi::Win64 => unsafe { call_win64(frame) },
        }
        Ok(())
    }
}

/// What arrives at a callback, and what it gives back.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Arrival {
    /// Integer registers in the order of the convention.
    pub(crate) ints: [u64; INTS],
    /// Vector registers, low halves.
    pub(crate) floats: [u64; FLOATS],
    /// Results: `rax`, `rdx`.
    pub(crate) int_results: [u64; 2],
    /// Results: low halves of `xmm0`, `xmm1`.
    pub(crate) float_results: [u64; 2],
    /// The first argument on the stack.
    pub(crate) stack: *const u64,
    /// For alignment.
    unused: u64,
}

/// What is run with an arrival: the head of every context.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Receiver(pub(crate) unsafe fn(*const Receiver, &mut Arrival));

/// Code that is called under a convention and hands over to the receiver at this address.
pub(crate) fn entrance(abi: Abi, context: *const Receiver) -> Result<Vec<u8>, CodeError> {
    let stub = match abi {
        Abi::SysV => arrive_sysv as *const u8,
        Abi::Win64 => arrive_win64 as *const u8,
    };
    // mov r10, context; mov r11, stub; jmp r11
    let mut code = vec![0x49, 0xba];
    code.extend_from_slice(&(context as u64).to_le_bytes());
    code.extend_from_slice(&[0x49, 0xbb]);
    code.extend_from_slice(&(stub as u64).to_le_bytes());
    code.extend_from_slice(&[0x41, 0xff, 0xe3]);
    Ok(code)
}

/// What both stubs call.
///
/// # Safety
/// The context is a receiver that is alive, which allows to be called with what arrives.
unsafe extern "sysv64" fn received(context: *const Receiver, arrival: *mut Arrival) {
    // SAFETY: the stub has made the arrival in its frame, and nobody else knows it.
    let arrival = unsafe { &mut *arrival };
    // SAFETY: the caller's promise.
    let Receiver(receive) = unsafe { *context };
    // SAFETY: as above.
    unsafe { receive(context, arrival) };
}

/// Receives a call of System V's convention, with the context in `r10`.
///
/// # Safety
/// Jumped to by the code of a callback only.
#[unsafe(naked)]
unsafe extern "sysv64" fn arrive_sysv() {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "sub rsp, {size}",
        "mov qword ptr [rsp + {ints}], rdi",
        "mov qword ptr [rsp + {ints} + 8], rsi",
        "mov qword ptr [rsp + {ints} + 16], rdx",
        "mov qword ptr [rsp + {ints} + 24], rcx",
        "mov qword ptr [rsp + {ints} + 32], r8",
        "mov qword ptr [rsp + {ints} + 40], r9",
        "movsd qword ptr [rsp + {floats}], xmm0",
        "movsd qword ptr [rsp + {floats} + 8], xmm1",
        "movsd qword ptr [rsp + {floats} + 16], xmm2",
        "movsd qword ptr [rsp + {floats} + 24], xmm3",
        "movsd qword ptr [rsp + {floats} + 32], xmm4",
        "movsd qword ptr [rsp + {floats} + 40], xmm5",
        "movsd qword ptr [rsp + {floats} + 48], xmm6",
        "movsd qword ptr [rsp + {floats} + 56], xmm7",
        // Above the return address.
        "lea rax, [rbp + 16]",
        "mov qword ptr [rsp + {stack}], rax",
        "mov rdi, r10",
        "mov rsi, rsp",
        "call {received}",
        "mov rax, qword ptr [rsp + {int_results}]",
        "mov rdx, qword ptr [rsp + {int_results} + 8]",
        "movsd xmm0, qword ptr [rsp + {float_results}]",
        "movsd xmm1, qword ptr [rsp + {float_results} + 8]",
        "leave",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        size = const size_of::<Arrival>(),
        ints = const offset_of!(Arrival, ints),
        floats = const offset_of!(Arrival, floats),
        int_results = const offset_of!(Arrival, int_results),
        float_results = const offset_of!(Arrival, float_results),
        stack = const offset_of!(Arrival, stack),
        received = sym received,
    )
}

/// As [`arrive_sysv`], under Microsoft's convention: there callees preserve `rsi`, `rdi` and
/// `xmm6`–`xmm15`, which Rust's code does not.
///
/// # Safety
/// Jumped to by the code of a callback only.
#[unsafe(naked)]
unsafe extern "sysv64" fn arrive_win64() {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rdi",
        "push rsi",
        "sub rsp, {size} + 160",
        "movaps xmmword ptr [rsp + {size}], xmm6",
        "movaps xmmword ptr [rsp + {size} + 16], xmm7",
        "movaps xmmword ptr [rsp + {size} + 32], xmm8",
        "movaps xmmword ptr [rsp + {size} + 48], xmm9",
        "movaps xmmword ptr [rsp + {size} + 64], xmm10",
        "movaps xmmword ptr [rsp + {size} + 80], xmm11",
        "movaps xmmword ptr [rsp + {size} + 96], xmm12",
        "movaps xmmword ptr [rsp + {size} + 112], xmm13",
        "movaps xmmword ptr [rsp + {size} + 128], xmm14",
        "movaps xmmword ptr [rsp + {size} + 144], xmm15",
        "mov qword ptr [rsp + {ints}], rcx",
        "mov qword ptr [rsp + {ints} + 8], rdx",
        "mov qword ptr [rsp + {ints} + 16], r8",
        "mov qword ptr [rsp + {ints} + 24], r9",
        "movsd qword ptr [rsp + {floats}], xmm0",
        "movsd qword ptr [rsp + {floats} + 8], xmm1",
        "movsd qword ptr [rsp + {floats} + 16], xmm2",
        "movsd qword ptr [rsp + {floats} + 24], xmm3",
        // Above the return address and the shadow space.
        "lea rax, [rbp + 48]",
        "mov qword ptr [rsp + {stack}], rax",
        "mov rdi, r10",
        "mov rsi, rsp",
        "call {received}",
        "mov rax, qword ptr [rsp + {int_results}]",
        "movsd xmm0, qword ptr [rsp + {float_results}]",
        "movaps xmm6, xmmword ptr [rsp + {size}]",
        "movaps xmm7, xmmword ptr [rsp + {size} + 16]",
        "movaps xmm8, xmmword ptr [rsp + {size} + 32]",
        "movaps xmm9, xmmword ptr [rsp + {size} + 48]",
        "movaps xmm10, xmmword ptr [rsp + {size} + 64]",
        "movaps xmm11, xmmword ptr [rsp + {size} + 80]",
        "movaps xmm12, xmmword ptr [rsp + {size} + 96]",
        "movaps xmm13, xmmword ptr [rsp + {size} + 112]",
        "movaps xmm14, xmmword ptr [rsp + {size} + 128]",
        "movaps xmm15, xmmword ptr [rsp + {size} + 144]",
        "lea rsp, [rbp - 16]",
        "pop rsi",
        "pop rdi",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        size = const size_of::<Arrival>(),
        ints = const offset_of!(Arrival, ints),
        floats = const offset_of!(Arrival, floats),
        int_results = const offset_of!(Arrival, int_results),
        float_results = const offset_of!(Arrival, float_results),
        stack = const offset_of!(Arrival, stack),
        received = sym received,
    )
}

/// Calls the function of `f64`s at an address directly, if it has at most eight parameters.
///
/// # Safety
/// As for [`call_f64`](crate::call_f64).
#[inline]
pub(crate) unsafe fn call_few_f64(address: *const u8, abi: Abi, args: &[f64]) -> Option<f64> {
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
                _ => return None,
            }
        };
    }
    Some(match abi {
        Abi::SysV => by_count!("sysv64"),
        Abi::Win64 => by_count!("win64"),
    })
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
        let mut frame = Frame::new(code.address());
        frame.stack = stack.as_ptr();
        frame.n_stack = n_stack;
        let trampoline = if win64 {
            call_win64 as *const u8
        } else {
            call_sysv as *const u8
        };
        let mut kept = Kept {
            registers: [0; 6],
            stack_lost: 1,
            mxcsr: 0,
            direction: 1,
        };
        // SAFETY: the frame is the one of the trampoline, and the target, though a vandal, only
        // writes registers that the trampoline restores.
        unsafe { observe(trampoline, (&raw mut frame).cast(), &raw mut kept) };
        assert_eq!(frame.int_results[0], 42);
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
