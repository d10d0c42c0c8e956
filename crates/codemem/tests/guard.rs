//! Guarded calls: every way to fail comes back as an account, and nothing else comes back.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(unsafe_code, reason = "calls machine code")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use opcodon_codemem::{
    Abi, Callback, Cause, CodeHeap, Fault, GuardError, Limits, Loan, Signature, Value, call_guarded,
};

fn guarded(
    code: &[u8],
    signature: &str,
    args: Vec<Value>,
    loans: &[Loan],
    limits: Limits,
) -> Result<Value, GuardError> {
    let code = CodeHeap::global().install(code).unwrap();
    let signature = Signature::parse(signature).unwrap();
    // SAFETY: the code is that of the tests, which needs no other thread.
    unsafe {
        call_guarded(
            &code,
            &signature,
            Abi::SysV,
            args,
            loans,
            &[],
            limits,
            || true,
        )
    }
}

fn fault(code: &[u8], signature: &str, args: Vec<Value>, limits: Limits) -> Fault {
    match guarded(code, signature, args, &[], limits) {
        Err(GuardError::Fault(fault)) => *fault,
        other => panic!("{other:?}"),
    }
}

fn read(memory: &[u8]) -> Loan {
    Loan {
        address: memory.as_ptr() as usize,
        len: memory.len(),
        is_const: true,
    }
}

fn written(memory: &mut [u8]) -> Loan {
    Loan {
        is_const: false,
        ..read(memory)
    }
}

const SHORT: Limits = Limits {
    time_ms: 200,
    memory: None,
};

#[test]
fn results_come_back() {
    let add = guarded(
        b"\xf2\x0f\x58\xc1\xc3",
        "f64(f64, f64)",
        vec![Value::F64(1.5), Value::F64(2.5)],
        &[],
        Limits::default(),
    );
    assert_eq!(add.unwrap(), Value::F64(4.0));
    // mov rax, rdi; mov rdx, rsi; ret: a structure in two registers
    let pair = guarded(
        b"\x48\x89\xf8\x48\x89\xf2\xc3",
        "{i64, i32}({i64, i32})",
        vec![
            Value::parse(
                Signature::parse("{i64, i32}()").unwrap().result(),
                "{7, -9}",
            )
            .unwrap(),
        ],
        &[],
        Limits::default(),
    );
    assert_eq!(pair.unwrap().to_string(), "{7, -9}");
}

/// Code, cause and offset of the instruction at fault.
#[test]
fn faults_are_accounted_for() {
    let table: &[(&[u8], Cause, Option<u64>, usize)] = &[
        // nop; mov eax, [0x10]
        (
            b"\x90\x8b\x04\x25\x10\x00\x00\x00\xc3",
            Cause::Signal(libc::SIGSEGV),
            Some(0x10),
            1,
        ),
        // ud2
        (b"\x0f\x0b", Cause::Signal(libc::SIGILL), None, 0),
        // xor ecx, ecx; mov eax, 1; cdq; idiv ecx
        (
            b"\x31\xc9\xb8\x01\x00\x00\x00\x99\xf7\xf9\xc3",
            Cause::Signal(libc::SIGFPE),
            None,
            8,
        ),
        // jmp to itself
        (b"\x90\xeb\xfe", Cause::Timeout, None, 1),
        // call to itself: the stack overflows
        (
            b"\xe8\xfb\xff\xff\xff",
            Cause::Signal(libc::SIGSEGV),
            None,
            0,
        ),
    ];
    for (code, cause, address, offset) in table {
        let fault = fault(code, "void()", vec![], SHORT);
        assert_eq!(fault.cause, *cause, "{fault}");
        if address.is_some() {
            assert_eq!(fault.address, *address);
        }
        let state = fault.state.unwrap();
        assert_eq!(state.offset, Some(*offset));
        let n = state.bytes.len().min(code.len() - offset);
        assert_eq!(state.bytes[..n], code[*offset..*offset + n]);
        assert_eq!(state.bytes.len(), 16);
    }
}

#[test]
fn code_that_runs_off_its_end_traps() {
    // nop; behind it lies int3
    let fault = fault(b"\x90", "void()", vec![], SHORT);
    assert_eq!(fault.cause, Cause::Signal(libc::SIGTRAP));
    // jmp rdi, to an address where nothing is
    let fault = self::fault(b"\xff\xe7", "void(ptr)", vec![Value::Ptr(0x1234)], SHORT);
    assert_eq!(
        (fault.cause, fault.address),
        (Cause::Signal(libc::SIGSEGV), Some(0x1234))
    );
    let state = fault.state.unwrap();
    assert_eq!((state.offset, state.bytes.len()), (None, 0));
    assert_eq!(state.instruction_pointer(), 0x1234);
}

#[test]
fn registers_are_those_at_the_fault() {
    // mov rax, rdi; ud2
    let fault = fault(
        b"\x48\x89\xf8\x0f\x0b",
        "void(u64)",
        vec![Value::U64(0xfeed_beef)],
        SHORT,
    );
    assert_eq!(fault.state.unwrap().registers[0], 0xfeed_beef);
}

#[test]
fn functions_of_c_end_as_they_do() {
    let jump = |address: usize| {
        let mut code = b"\x48\xb8".to_vec();
        code.extend(address.to_le_bytes());
        code.extend(b"\xff\xe0");
        code
    };
    let abort = fault(
        &jump(libc::abort as *const () as usize),
        "void()",
        vec![],
        SHORT,
    );
    assert_eq!(abort.cause, Cause::Signal(libc::SIGABRT));
    let exit = jump(libc::_exit as *const () as usize);
    let exit = fault(&exit, "void(i32)", vec![Value::I32(7)], SHORT);
    assert_eq!((exit.cause, exit.state), (Cause::Exit(7), None));
    // A file cannot be made, a process neither: EPERM.
    let path = std::env::temp_dir().join("opcodon-guard-must-not-exist");
    let text = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let creat = jump(libc::creat as *const () as usize);
    let args = vec![Value::Ptr(text.as_ptr() as usize), Value::I32(0o600)];
    let refused = guarded(&creat, "i32(ptr, i32)", args, &[], SHORT);
    assert_eq!(refused.unwrap(), Value::I32(-1));
    assert!(!path.exists());
    let fork = guarded(
        &jump(libc::fork as *const () as usize),
        "i32()",
        vec![],
        &[],
        SHORT,
    );
    assert_eq!(fork.unwrap(), Value::I32(-1));
}

#[test]
fn memory_is_limited() {
    let mut code = b"\x48\xb8".to_vec();
    code.extend((libc::malloc as *const () as usize).to_le_bytes());
    code.extend(b"\xff\xe0");
    let ask = |bytes: u64| {
        let limits = Limits {
            time_ms: 1000,
            memory: Some(64 << 20),
        };
        guarded(&code, "ptr(u64)", vec![Value::U64(bytes)], &[], limits).unwrap()
    };
    assert_ne!(ask(1 << 20), Value::Ptr(0));
    assert_eq!(ask(1 << 30), Value::Ptr(0));
}

#[test]
fn loans_are_written_back_and_bounded() {
    // inc byte [rdi + rsi]; mov al, [rdx + rsi]; movzx eax, al; ret
    let code = b"\xfe\x04\x37\x8a\x04\x32\x0f\xb6\xc0\xc3";
    let run = |index: i64, writable: &mut [u8], constant: &[u8]| {
        let (to, from) = (written(writable), constant.as_ptr() as usize);
        let args = vec![Value::Ptr(to.address), Value::I64(index), Value::Ptr(from)];
        let loans = [to, read(constant)];
        guarded(code, "u8(ptr, i64, const ptr)", args, &loans, SHORT)
    };
    for len in [1, 15, 16, 17, 4096, 5000] {
        let (mut writable, constant) = (vec![7; len], vec![9; len]);
        let last = i64::try_from(len - 1).unwrap();
        assert_eq!(run(last, &mut writable, &constant).unwrap(), Value::U8(9));
        assert_eq!(writable[len - 1], 8);
        // At most 15 bytes, for the sake of alignment, lie between the end and the forbidden page.
        let beyond = run(last + 16, &mut writable, &constant).unwrap_err();
        let GuardError::Fault(fault) = beyond else {
            panic!("{beyond:?}")
        };
        assert_eq!(fault.cause, Cause::Signal(libc::SIGSEGV));
        assert_eq!(writable[len - 1], 8);
    }
    // mov byte [rdi], 1: the memory is only lent for reading
    let constant = [0_u8; 8];
    let loans = [read(&constant)];
    let args = vec![Value::Ptr(loans[0].address)];
    let refused = guarded(b"\xc6\x07\x01\xc3", "void(const ptr)", args, &loans, SHORT);
    assert!(matches!(refused, Err(GuardError::Fault(_))), "{refused:?}");
}

/// Two addresses of the same memory are that in the other process, and so is one in a structure.
#[test]
fn loans_that_overlap_are_the_same_memory() {
    // The structure is in rsi and rdx: mov byte [rdi], 5; mov al, [rsi]; add al, [rcx];
    // movzx eax, al; ret
    let code = b"\xc6\x07\x05\x8a\x06\x02\x01\x0f\xb6\xc0\xc3";
    let signature = "u8(ptr, {const ptr, i64}, const ptr)";
    let layout = Signature::parse(signature).unwrap().params()[1];
    for is_first in [true, false] {
        let mut memory = [1_u8; 8];
        let all = written(&mut memory);
        let (address, len) = (all.address + 2, 4);
        let tail = Loan {
            address,
            len,
            is_const: true,
        };
        let loans = if is_first { [all, tail] } else { [tail, all] };
        let place = all.address + 3;
        let inner = Value::parse(layout, &format!("{{{place}, 9}}")).unwrap();
        let args = vec![Value::Ptr(place), inner, Value::Ptr(place)];
        let result = guarded(code, signature, args, &loans, SHORT);
        assert_eq!(result.unwrap(), Value::U8(10));
        assert_eq!(memory, [1, 1, 1, 5, 1, 1, 1, 1]);
    }
}

/// Callbacks run in this process, with what the other one passes, and the other gets the answer.
#[test]
fn callbacks_run_here() {
    let n_calls = Arc::new(AtomicUsize::new(0));
    let callback = |text: &str| {
        let n_calls = Arc::clone(&n_calls);
        let signature = Signature::parse(text).unwrap();
        let process = std::process::id();
        let answer = move |args: &[Value]| {
            assert_eq!(std::process::id(), process);
            n_calls.fetch_add(1, Ordering::Relaxed);
            args[0].clone()
        };
        Callback::new(signature, Abi::SysV, answer).unwrap()
    };
    let call = |code: &[u8], text: &str, args: Vec<Value>, loans: &[Loan], back: &[&Callback]| {
        let code = CodeHeap::global().install(code).unwrap();
        let text = Signature::parse(text).unwrap();
        // SAFETY: the code is that of this test.
        unsafe { call_guarded(&code, &text, Abi::SysV, args, loans, back, SHORT, || true) }
    };
    let address = |callback: &Callback| Value::Ptr(callback.address() as usize);
    let other = callback("void(f64)");
    // mov rax, rdi; mov rdi, rsi; mov rsi, rdx; jmp rax
    let forward = b"\x48\x89\xf8\x48\x89\xf7\x48\x89\xd6\xff\xe0";
    let numbers = callback("i64(i64)");
    let args = vec![address(&numbers), Value::I64(-7)];
    let result = call(forward, "i64(ptr, i64)", args, &[], &[&other, &numbers]);
    assert_eq!(result.unwrap(), Value::I64(-7));
    let pairs = callback("{i64, i32}({i64, i32})");
    let pair = Value::parse(pairs.signature().params()[0], "{5, -6}").unwrap();
    let args = vec![address(&pairs), pair.clone()];
    let signature = "{i64, i32}(ptr, {i64, i32})";
    assert_eq!(
        call(forward, signature, args, &[], &[&pairs]).unwrap(),
        pair
    );
    // The same address means the same memory in both processes.
    let pointers = callback("i64(ptr)");
    let signature = Signature::parse("i64(const ptr)").unwrap();
    let reads = Callback::new(signature, Abi::SysV, |args| match args {
        // SAFETY: the callback is called with the address of numbers.
        [Value::Ptr(address)] => Value::I64(unsafe { (*address as *const i64).read() }),
        _ => Value::Void,
    });
    let (reads, lent) = (reads.unwrap(), [41_i64.to_ne_bytes(), 42_i64.to_ne_bytes()]);
    let loan = read(lent.as_flattened());
    let args = vec![address(&reads), Value::Ptr(loan.address + 8)];
    let signature = "i64(ptr, const ptr)";
    let result = call(forward, signature, args, &[loan], &[&reads]);
    assert_eq!(result.unwrap(), Value::I64(42));
    assert_eq!(n_calls.load(Ordering::Relaxed), 2);
    // mov rax, rdi; mov rdi, rsp; jmp rax: memory that only the other process has
    let own = b"\x48\x89\xf8\x48\x89\xe7\xff\xe0";
    let foreign = call(own, "i64(ptr)", vec![address(&pointers)], &[], &[&pointers]);
    let is_foreign = matches!(foreign, Err(GuardError::Foreign { argument: 1, .. }));
    assert!(is_foreign, "{foreign:?}");
    let args = vec![address(&numbers), Value::I64(1)];
    let stray = call(forward, "i64(ptr, i64)", args, &[], &[&other]);
    assert!(matches!(stray, Err(GuardError::Stray)), "{stray:?}");
    let args = vec![address(&numbers), Value::I64(1)];
    let stray = call(forward, "i64(ptr, i64)", args, &[], &[]);
    assert!(matches!(stray, Err(GuardError::Stray)), "{stray:?}");
    assert_eq!(n_calls.load(Ordering::Relaxed), 2);
}

/// Other code memory and shared memory of this process cannot be reached from the guarded call.
#[test]
fn code_memory_cannot_be_written() {
    let victim = CodeHeap::global()
        .install(b"\xb8\x01\x00\x00\x00\xc3")
        .unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let views = maps.lines().filter(|line| line.contains("rw-s"));
    let mut n_views = 0;
    for line in views {
        n_views += 1;
        let start = usize::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
        // mov byte [rdi], 0
        let fault = fault(
            b"\xc6\x07\x00\xc3",
            "void(ptr)",
            vec![Value::Ptr(start)],
            SHORT,
        );
        assert_eq!(fault.cause, Cause::Signal(libc::SIGSEGV));
        // mov eax, 10 (mprotect); mov esi, 4096; mov edx, 3; syscall; ret
        let code = b"\xb8\x0a\x00\x00\x00\xbe\x00\x10\x00\x00\xba\x03\x00\x00\x00\x0f\x05\xc3";
        let refused = guarded(code, "i64(ptr)", vec![Value::Ptr(start)], &[], SHORT);
        assert_eq!(refused.unwrap(), Value::I64(-i64::from(libc::EPERM)));
    }
    assert!(n_views > 0 || opcodon_codemem::probe().unwrap() == opcodon_codemem::Mapping::Flip);
    assert_eq!(victim.bytes(), b"\xb8\x01\x00\x00\x00\xc3");
}

#[test]
fn whoever_waits_can_stop() {
    let code = CodeHeap::global().install(b"\xeb\xfe").unwrap();
    let signature = Signature::parse("void()").unwrap();
    let (begun, mut asked) = (Instant::now(), 0);
    let keep_waiting = || {
        asked += 1;
        asked < 3
    };
    let limits = Limits {
        time_ms: 60_000,
        memory: None,
    };
    // SAFETY: the code is an endless loop.
    let ended = unsafe {
        call_guarded(
            &code,
            &signature,
            Abi::SysV,
            vec![],
            &[],
            &[],
            limits,
            keep_waiting,
        )
    };
    assert!(matches!(ended, Err(GuardError::Interrupted)), "{ended:?}");
    assert!(begun.elapsed().as_secs() < 30);
}
