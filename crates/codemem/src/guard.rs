//! Guarded calls: machine code in a process of its own, from which nothing comes back but a result
//! or the account of a fault.
//!
//! The process is a fork, so the code finds everything where it is, and what it breaks is a copy.
//! Memory that is lent to it is copied to pages shared by both ([`lent`](crate::lent)), and back if
//! the code returned; callbacks run in the caller ([`errand`](crate::errand)). Faults are caught on a signal stack: the
//! handler writes signal, address and registers into shared memory and ends the process.
//!
//! Memory that the process shares with others, its own code memory above all, can only be read in
//! the fork. Before the code runs, the process limits itself: wall and processor time, memory, no core dump,
//! and by a system call filter to what a computation needs, so that other calls fail with `EPERM`:
//! no files, no processes, no network, output on descriptors 1 and 2 only, no rights to write that
//! memory does not have yet.
//!
//! # What it does not guard
//! Reading: the copy has the caller's secrets, and code may print them. What the code allocates, and
//! what it changes in libraries, is gone after the call.
//!
//! Sources: `fork(2)`, `sigaltstack(2)`, `seccomp(2)`, `getrlimit(2)`.

use std::io;
use std::mem::size_of;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::call::call_address;
use crate::errand::{Errands, Worker};
use crate::fault::{Cause, Fault, GuardError, Limits, Loan, REGISTERS, State};
use crate::lent::Shared;
use crate::pages::PAGE;
use crate::{Abi, Callback, Code, CodeError, Signature, Struct, Ty, Value};

/// How long the caller waits between looks whether it still wants to.
const SLICE: Duration = Duration::from_millis(50);

/// How much longer the caller waits than the process allows itself.
const GRACE: Duration = Duration::from_millis(500);

/// Bytes of the stack of signal handlers.
const SIGNAL_STACK: usize = 64 * 1024;

/// What both processes see.
#[repr(C)]
struct Report {
    /// [`RUNNING`], [`DONE`] or [`FAULT`].
    state: AtomicU32,
    signal: i32,
    address: u64,
    registers: [u64; REGISTERS.len()],
    n_bytes: usize,
    bytes: [u8; 16],
    /// The bits of a number, or the bytes of a structure.
    bits: u64,
    record: [u8; Struct::SIZE_MAX],
}

const RUNNING: u32 = 0;
const DONE: u32 = 1;
const FAULT: u32 = 2;

/// Where the handler of this process writes; set in forks only.
static REPORT: AtomicPtr<Report> = AtomicPtr::new(std::ptr::null_mut());

/// Calls the code in another process and waits for its end, running the callbacks that it asks
/// for. `keep_waiting` is asked now and then.
///
/// # Errors
/// [`GuardError::Fault`] if the code does not return, [`GuardError::Interrupted`] if
/// `keep_waiting` says no, [`GuardError::Foreign`] and [`GuardError::Stray`] if the code calls back
/// what cannot be, and those of [`call_address`].
///
/// # Safety
/// The memory of the loans can be read, and written if it is not constant, until this returns. The
/// code and what it calls need no thread but the caller's: of the others there is no copy. The rest
/// is guarded, as far as the module says.
#[expect(clippy::too_many_arguments, reason = "a call, and what it may use")]
pub unsafe fn call_guarded(
    code: &Code,
    signature: &Signature,
    abi: Abi,
    mut args: Vec<Value>,
    loans: &[Loan],
    callbacks: &[&Callback],
    limits: Limits,
    mut keep_waiting: impl FnMut() -> bool,
) -> Result<Value, GuardError> {
    if !code.is_open() {
        return Err(CodeError::Closed.into());
    }
    let errands = Errands::new(callbacks)?;
    let lens = [size_of::<Report>(), errands.desk_len()];
    // SAFETY: the caller's promise.
    let shared = unsafe { Shared::new(loans, lens) }?;
    for arg in &mut args {
        arg.map_addresses(&mut |address| shared.moved(address));
    }
    let child = fork()?;
    if child == 0 {
        // SAFETY: this is the other process, which does nothing else.
        unsafe { run(&shared, &errands, code, signature, abi, &args, limits) };
    }
    let ended = wait(child, &shared, &errands, limits, &mut keep_waiting);
    // SAFETY: the report is mapped as long as `shared` lives, and the other process is gone.
    let report = unsafe { shared.report().cast::<Report>().as_ref() };
    let status = ended?;
    match report.state.load(Ordering::SeqCst) {
        DONE => {
            // SAFETY: the caller's promise.
            unsafe { shared.give_back(loans) };
            Ok(result(signature.result(), report))
        }
        state => Err(GuardError::Fault(Box::new(fault(
            report, state, status, code,
        )))),
    }
}

/// The result that the report has.
fn result(ty: Ty, report: &Report) -> Value {
    match ty {
        Ty::Struct(layout) => {
            let bytes = report.record.get(..layout.size()).unwrap_or_default();
            let record = crate::Record::from_bytes(layout, bytes.to_vec());
            record.map_or_else(|| Value::zero(ty), Value::Struct)
        }
        ty => Value::from_register(ty, report.bits),
    }
}

/// What is known about the end of the other process.
fn fault(report: &Report, state: u32, status: Option<i32>, code: &Code) -> Fault {
    if state != FAULT {
        let cause = match status {
            None => Cause::Timeout,
            Some(status) if libc::WIFSIGNALED(status) => match libc::WTERMSIG(status) {
                libc::SIGXCPU | libc::SIGALRM => Cause::Timeout,
                signal => Cause::Signal(signal),
            },
            Some(status) => Cause::Exit(libc::WEXITSTATUS(status)),
        };
        return Fault {
            cause,
            address: None,
            state: None,
        };
    }
    let cause = match report.signal {
        libc::SIGALRM | libc::SIGXCPU => Cause::Timeout,
        signal => Cause::Signal(signal),
    };
    let has_address = matches!(report.signal, libc::SIGSEGV | libc::SIGBUS);
    let start = code.address() as u64;
    let mut state = State {
        registers: report.registers,
        offset: None,
        bytes: report.bytes.iter().copied().take(report.n_bytes).collect(),
    };
    let pointer = state.instruction_pointer();
    if (start..start + code.len() as u64).contains(&pointer) {
        state.offset = usize::try_from(pointer - start).ok();
    }
    Fault {
        cause,
        address: has_address.then_some(report.address),
        state: Some(state),
    }
}

/// Forks without retiring code memory.
fn fork() -> Result<libc::pid_t, GuardError> {
    // SAFETY: null means all streams of C; what they hold would be written twice.
    unsafe { libc::fflush(std::ptr::null_mut()) };
    // SAFETY: the child runs `run` only, which is written for that.
    let child = crate::fork::uncounted(|| unsafe { libc::fork() });
    if child < 0 {
        return Err(GuardError::refused("no process"));
    }
    Ok(child)
}

/// Waits for the end of the process and gives its status, or ends it: `None` if the time was up.
/// Runs errands meanwhile.
fn wait(
    child: libc::pid_t,
    shared: &Shared,
    errands: &Errands<'_>,
    limits: Limits,
    keep_waiting: &mut impl FnMut() -> bool,
) -> Result<Option<i32>, GuardError> {
    // SAFETY: `pidfd_open` takes two integers.
    let handle = unsafe { libc::syscall(libc::SYS_pidfd_open, child, 0) };
    let handle = i32::try_from(handle).unwrap_or(-1);
    let until = Instant::now() + Duration::from_millis(limits.time_ms) + GRACE;
    let ended = loop {
        if let Some(status) = reaped(child, libc::WNOHANG) {
            break errands.serve_last(shared).map(|()| Some(status));
        }
        let served = errands.serve(shared);
        let left = until.saturating_duration_since(Instant::now());
        let stopped = match served {
            Err(error) => Some(Err(error)),
            Ok(()) if left.is_zero() => Some(Ok(None)),
            Ok(()) if !keep_waiting() => Some(Err(GuardError::Interrupted)),
            Ok(()) => None,
        };
        if let Some(stopped) = stopped {
            // SAFETY: the process is our child and not yet reaped, so nobody else has its number.
            unsafe { libc::kill(child, libc::SIGKILL) };
            reaped(child, 0);
            break stopped;
        }
        let slice = left.min(if handle < 0 {
            Duration::from_millis(1)
        } else {
            SLICE
        });
        let mut polls = [handle, errands.bell()].map(|fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        });
        let slice_ms = i32::try_from(slice.as_millis().max(1)).unwrap_or(i32::MAX);
        // SAFETY: two descriptors, which may be -1: then this only sleeps.
        unsafe { libc::poll(polls.as_mut_ptr(), 2, slice_ms) };
    };
    if handle >= 0 {
        // SAFETY: it was opened above.
        unsafe { libc::close(handle) };
    }
    ended
}

/// The status of the process, if it has ended.
fn reaped(child: libc::pid_t, flags: libc::c_int) -> Option<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the status is a local.
        let found = unsafe { libc::waitpid(child, &raw mut status, flags) };
        if found == child {
            return Some(status);
        }
        let error = io::Error::last_os_error().raw_os_error();
        match (found, error) {
            (0, _) => return None,
            (_, Some(libc::EINTR)) => {}
            // Somebody else has waited for it; what it reported is in the report.
            _ => return Some(0),
        }
    }
}

/// Runs in the other process, and ends it.
///
/// # Safety
/// Called in a fork only.
unsafe fn run(
    shared: &Shared,
    errands: &Errands<'_>,
    code: &Code,
    signature: &Signature,
    abi: Abi,
    args: &[Value],
    limits: Limits,
) -> ! {
    let report = shared.report().cast::<Report>().as_ptr();
    REPORT.store(report, Ordering::SeqCst);
    shared.protect();
    // SAFETY: this process has one thread and runs nothing else.
    unsafe { confine(limits, errands.ringer()) };
    Worker::begin(errands, shared);
    // SAFETY: the code is mapped; what it does stays in this process.
    let value = unsafe { call_address(code.address(), signature, abi, args) };
    // SAFETY: only this process writes there.
    let report = unsafe { &mut *report };
    if let Ok(value) = value {
        match &value {
            Value::Struct(record) => {
                for (to, from) in report.record.iter_mut().zip(record.bytes()) {
                    *to = *from;
                }
            }
            number => report.bits = number.to_register(),
        }
        report.state.store(DONE, Ordering::SeqCst);
    }
    // SAFETY: null means all streams of C.
    unsafe { libc::fflush(std::ptr::null_mut()) };
    // SAFETY: ends the process without running what the caller registered for its own end.
    unsafe { libc::_exit(0) }
}

/// Signals that are caught.
const CAUGHT: [libc::c_int; 8] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGALRM,
    libc::SIGXCPU,
];

/// Sets handlers and limits of this process.
///
/// # Safety
/// Called in a fork only.
unsafe fn confine(limits: Limits, ringer: Option<libc::c_int>) {
    let stack = libc::stack_t {
        ss_sp: Box::leak(vec![0_u8; SIGNAL_STACK].into_boxed_slice())
            .as_mut_ptr()
            .cast(),
        ss_flags: 0,
        ss_size: SIGNAL_STACK,
    };
    // SAFETY: the stack is leaked memory of that size.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
    // SAFETY: a `sigaction` is integers, for which zeros are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = caught as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    let mut unblocked = action.sa_mask;
    for signal in CAUGHT {
        // SAFETY: the handler is a function of that type.
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        // SAFETY: the set is a local.
        unsafe { libc::sigaddset(&raw mut unblocked, signal) };
    }
    // SAFETY: the set is a local.
    unsafe {
        libc::sigprocmask(
            libc::SIG_UNBLOCK,
            &raw const unblocked,
            std::ptr::null_mut(),
        )
    };
    let seconds = limits.time_ms / 1000 + 1;
    limit(libc::RLIMIT_CORE, 0, 0);
    limit(libc::RLIMIT_CPU, seconds, seconds + 1);
    if let Some(memory) = limits.memory {
        let most = mapped_bytes().saturating_add(memory);
        limit(libc::RLIMIT_AS, most, most);
    }
    let timer = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: libc::timeval {
            tv_sec: i64::try_from(limits.time_ms / 1000).unwrap_or(i64::MAX),
            tv_usec: i64::try_from(limits.time_ms % 1000 * 1000)
                .unwrap_or(0)
                .max(1),
        },
    };
    // SAFETY: the timer is a local; a call without `setitimer` in libc's names.
    unsafe { libc::syscall(libc::SYS_setitimer, 0, &raw const timer, 0) };
    // SAFETY: `prctl` with integers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    filter(ringer);
}

fn limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // A lower limit than this may be set already; then it stays.
    // SAFETY: the limit is a local.
    unsafe { libc::setrlimit(resource, &raw const limit) };
}

/// Bytes of address space that this process has.
fn mapped_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    pages.map_or(u64::MAX / 2, |pages| pages * PAGE as u64)
}

/// System calls that computations make.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_time,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sched_yield,
    libc::SYS_getcpu,
    libc::SYS_sched_getaffinity,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_sysinfo,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_process_vm_readv,
];

/// Refuses all other system calls from now on, where the kernel can; the ringer may be written to.
fn filter(ringer: Option<libc::c_int>) {
    // BPF: loads of the call's number and arguments, jumps that compare, and answers.
    const LOAD: u16 = 0x20;
    const JUMP_EQUAL: u16 = 0x15;
    const JUMP_GREATER: u16 = 0x25;
    const JUMP_SET: u16 = 0x45;
    const ANSWER: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const REFUSE: u32 = 0x0005_0000 | libc::EPERM as u32;
    const KILL: u32 = 0x8000_0000;
    const X86_64: u32 = 0xc000_003e;
    // Offsets in the kernel's `seccomp_data`.
    const NUMBER: u32 = 0;
    const ARCH: u32 = 4;
    const ARGUMENT: u32 = 16;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let number = |call: libc::c_long| u32::try_from(call).unwrap_or(u32::MAX);
    let mut program = vec![
        step(LOAD, 0, 0, ARCH),
        step(JUMP_EQUAL, 1, 0, X86_64),
        step(ANSWER, 0, 0, KILL),
        step(LOAD, 0, 0, NUMBER),
    ];
    for &call in ALLOWED {
        program.push(step(JUMP_EQUAL, 0, 1, number(call)));
        program.push(step(ANSWER, 0, 0, ALLOW));
    }
    // Memory that was made read-only stays so, and no file is written through memory.
    program.extend([
        step(JUMP_EQUAL, 0, 6, number(libc::SYS_mmap)),
        step(LOAD, 0, 0, ARGUMENT + 24),
        step(JUMP_SET, 0, 2, libc::MAP_SHARED.cast_unsigned()),
        step(LOAD, 0, 0, ARGUMENT + 16),
        step(JUMP_SET, 1, 0, libc::PROT_WRITE.cast_unsigned()),
        step(ANSWER, 0, 0, ALLOW),
        step(ANSWER, 0, 0, REFUSE),
    ]);
    program.extend([
        step(JUMP_EQUAL, 0, 4, number(libc::SYS_mprotect)),
        step(LOAD, 0, 0, ARGUMENT + 16),
        step(JUMP_SET, 1, 0, libc::PROT_WRITE.cast_unsigned()),
        step(ANSWER, 0, 0, ALLOW),
        step(ANSWER, 0, 0, REFUSE),
    ]);
    // Output on descriptors 1 and 2.
    let ringer = ringer.map_or(1, libc::c_int::cast_unsigned);
    for call in [libc::SYS_write, libc::SYS_writev] {
        program.extend([
            step(JUMP_EQUAL, 0, 6, number(call)),
            step(LOAD, 0, 0, ARGUMENT),
            step(JUMP_EQUAL, 2, 0, ringer),
            step(JUMP_GREATER, 2, 0, 2),
            step(JUMP_EQUAL, 1, 0, 0),
            step(ANSWER, 0, 0, ALLOW),
            step(ANSWER, 0, 0, REFUSE),
        ]);
    }
    // Signals to itself, as `abort` sends them.
    program.extend([
        step(JUMP_EQUAL, 0, 3, number(libc::SYS_tgkill)),
        step(LOAD, 0, 0, ARGUMENT),
        step(JUMP_EQUAL, 0, 1, std::process::id()),
        step(ANSWER, 0, 0, ALLOW),
        step(ANSWER, 0, 0, REFUSE),
    ]);
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).unwrap_or(0),
        filter: program.as_mut_ptr(),
    };
    // SAFETY: `prctl` with integers; needed to set a filter without privileges.
    unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // Refused where the kernel was built without it: then the limits remain.
    // SAFETY: the program is a local that the kernel copies.
    unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
}

/// Where the registers of [`REGISTERS`] are in a signal's context.
const CONTEXT: [libc::c_int; REGISTERS.len()] = [
    libc::REG_RAX,
    libc::REG_RBX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_RBP,
    libc::REG_RSP,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
    libc::REG_RIP,
    libc::REG_EFL,
];

/// Writes the report and ends the process. Allocates nothing and takes no lock.
unsafe extern "C" fn caught(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let report = REPORT.load(Ordering::SeqCst);
    // SAFETY: the handler is set in forks only, where the report is mapped.
    let report = unsafe { &mut *report };
    if report.state.load(Ordering::SeqCst) == RUNNING {
        report.signal = signal;
        // SAFETY: the kernel passes it.
        let info = unsafe { &*info };
        // SAFETY: the signals that are caught have that member, or nobody reads it.
        report.address = unsafe { info.si_addr() } as u64;
        // SAFETY: as above.
        let context = unsafe { &*context.cast::<libc::ucontext_t>() };
        for (to, from) in report.registers.iter_mut().zip(CONTEXT) {
            let value = usize::try_from(from)
                .ok()
                .and_then(|from| context.uc_mcontext.gregs.get(from));
            *to = value.map_or(0, |value| value.cast_unsigned());
        }
        let local = libc::iovec {
            iov_base: report.bytes.as_mut_ptr().cast(),
            iov_len: report.bytes.len(),
        };
        let remote = libc::iovec {
            iov_base: report.registers[16] as *mut libc::c_void,
            iov_len: report.bytes.len(),
        };
        // SAFETY: takes nothing and touches no memory.
        let this = unsafe { libc::getpid() };
        // SAFETY: copies what can be read at the instruction pointer, and fails where nothing can.
        let n =
            unsafe { libc::process_vm_readv(this, &raw const local, 1, &raw const remote, 1, 0) };
        report.n_bytes = usize::try_from(n).unwrap_or(0);
        report.state.store(FAULT, Ordering::SeqCst);
    }
    // SAFETY: ends the process.
    unsafe { libc::_exit(1) };
}
