//! Code memory as the operating system sees it: protections, forks, refusals.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(
    unsafe_code,
    reason = "calls machine code, forks, and asks for less memory"
)]

use std::fs;
use std::process::Command;

use opcodon_codemem::{
    Abi, Arena, Code, CodeError, CodeHeap, Function, Mapping, Signature, Value, call_address, probe,
};
use opcodon_testkit::skip;

/// One line of `/proc/self/maps`.
#[derive(Debug)]
struct Area {
    start: usize,
    end: usize,
    /// `rwxp`, with `-` for what is not allowed.
    access: String,
}

fn areas() -> Vec<Area> {
    let text = fs::read_to_string("/proc/self/maps").unwrap();
    text.lines()
        .map(|line| {
            let (range, rest) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            Area {
                start: usize::from_str_radix(start, 16).unwrap(),
                end: usize::from_str_radix(end, 16).unwrap(),
                access: rest.chars().take(4).collect(),
            }
        })
        .collect()
}

/// What may be done at an address: `r-x`, `rw-`, `---`, or nothing if it is not mapped.
fn access(address: usize) -> Option<String> {
    areas()
        .into_iter()
        .find(|area| (area.start..area.end).contains(&address))
        .map(|area| area.access[..3].to_owned())
}

fn assert_nothing_is_writable_and_executable() {
    for area in areas() {
        assert!(
            !(area.access.contains('w') && area.access.contains('x')),
            "{area:?}"
        );
    }
}

/// mov eax, n; ret
fn returning(n: u32) -> Vec<u8> {
    let mut code = vec![0xb8];
    code.extend(n.to_le_bytes());
    code.push(0xc3);
    code
}

fn run(address: *const u8) -> u32 {
    let signature = Signature::parse("u32()").unwrap();
    // SAFETY: every caller passes the address of code made by `returning`.
    match unsafe { call_address(address, &signature, Abi::SysV, &[]) }.unwrap() {
        Value::U32(n) => n,
        other => panic!("{other:?}"),
    }
}

/// Appends, seals, runs, reopens, and again; looks at the protection in each state.
fn use_an_arena(mut arena: Arena) {
    let mapping = arena.mapping();
    for round in 0..3_u32 {
        arena.truncate(0);
        let offsets: Vec<usize> = (0..100)
            .map(|n| arena.append(&returning(1000 * round + n), 16).unwrap())
            .collect();
        assert!(offsets.iter().all(|offset| offset % 16 == 0));
        assert_nothing_is_writable_and_executable();
        let sealed = arena.seal().unwrap();
        assert_nothing_is_writable_and_executable();
        let entry = sealed.entry(0).unwrap().address();
        assert_eq!(access(entry.addr()).as_deref(), Some("r-x"), "{mapping:?}");
        for (n, &offset) in (0..).zip(&offsets) {
            assert_eq!(
                run(sealed.entry(offset).unwrap().address()),
                1000 * round + n
            );
        }
        arena = sealed.reopen().unwrap();
        let expected = if mapping == Mapping::Dual {
            "r-x"
        } else {
            "rw-"
        };
        assert_eq!(
            access(entry.addr()).as_deref(),
            Some(expected),
            "{mapping:?}"
        );
    }
}

#[test]
fn arenas_are_written_or_run_under_either_mapping() {
    for mapping in [Mapping::Dual, Mapping::Flip] {
        use_an_arena(Arena::with_mapping(1 << 20, mapping).unwrap());
    }
}

#[test]
fn code_lies_between_guard_pages() {
    for mapping in [Mapping::Dual, Mapping::Flip] {
        let mut arena = Arena::with_mapping(1 << 16, mapping).unwrap();
        let full = vec![0xc3; arena.capacity()];
        arena.append(&full, 1).unwrap();
        let sealed = arena.seal().unwrap();
        let start = sealed.entry(0).unwrap().address().addr();
        for guard in [
            start - 4096,
            start - 1,
            start + (1 << 16),
            start + (1 << 16) + 4095,
        ] {
            assert_eq!(access(guard).as_deref(), Some("---"), "{mapping:?}");
        }
        for inside in [start, start + (1 << 16) - 1] {
            assert_eq!(access(inside).as_deref(), Some("r-x"), "{mapping:?}");
        }
    }
}

/// The bytes from `address` to the end of its page.
fn rest_of_page(address: *const u8) -> Vec<u8> {
    // SAFETY: the page of an entry is mapped readable as a whole.
    unsafe { std::slice::from_raw_parts(address, 4096 - address.addr() % 4096) }.to_vec()
}

#[test]
fn what_is_not_code_is_int3() {
    for mapping in [Mapping::Dual, Mapping::Flip] {
        let mut arena = Arena::with_mapping(1 << 16, mapping).unwrap();
        arena.append(&[0x90; 3000], 1).unwrap();
        // Shorter code over longer code, with gaps.
        arena.truncate(10);
        assert_eq!(arena.append(b"\xc3", 64).unwrap(), 64);
        assert_eq!(arena.append(b"\xc3", 32).unwrap(), 96);
        let mut expected = [0xcc; 4096];
        expected[..10].fill(0x90);
        expected[64] = 0xc3;
        expected[96] = 0xc3;
        assert_eq!(arena.bytes(), &expected[..97]);
        let sealed = arena.seal().unwrap();
        assert_eq!(
            rest_of_page(sealed.entry(0).unwrap().address()),
            expected,
            "{mapping:?}"
        );
    }
    let heap = CodeHeap::new();
    let kept = heap.install(b"\xc3").unwrap();
    let dropped = heap.install(&[0x90; 60]).unwrap();
    let address = dropped.address();
    assert_eq!(address.addr() - kept.address().addr(), 64);
    drop(dropped);
    assert!(rest_of_page(address).iter().all(|&byte| byte == 0xcc));
}

#[test]
fn arenas_refuse_what_does_not_fit() {
    let mut arena = Arena::with_capacity(5000).unwrap();
    assert_eq!(arena.capacity(), 8192);
    arena.append(&[0xc3; 8000], 1).unwrap();
    let table: &[(usize, usize, &str)] = &[
        (
            193,
            1,
            "an arena of 8192 bytes is full: 8193 bytes are needed; make a larger one",
        ),
        (
            129,
            128,
            "an arena of 8192 bytes is full: 8193 bytes are needed; make a larger one",
        ),
        (
            1,
            0,
            "code cannot be aligned to 0 bytes: take a power of two up to 4096",
        ),
        (
            1,
            3,
            "code cannot be aligned to 3 bytes: take a power of two up to 4096",
        ),
        (
            1,
            8192,
            "code cannot be aligned to 8192 bytes: take a power of two up to 4096",
        ),
    ];
    for &(len, align, message) in table {
        let error = arena.append(&vec![0xc3; len], align).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(arena.len(), 8000);
    }
    assert_eq!(arena.append(&[0xc3; 128], 128).unwrap(), 8064);
    let sealed = arena.seal().unwrap();
    assert!(sealed.entry(8191).is_ok());
    let error = sealed.entry(8192).unwrap_err();
    assert_eq!(
        error.to_string(),
        "offset 8192 is outside of the 8192 bytes of code"
    );
    let error = Arena::with_capacity(usize::MAX).unwrap_err();
    assert!(matches!(error, CodeError::Map { .. }), "{error}");
    let error = Arena::with_capacity(1 << 60).unwrap_err();
    assert!(matches!(error, CodeError::Map { .. }), "{error}");
    let empty = Arena::with_capacity(0).unwrap().seal().unwrap();
    assert!(empty.is_empty());
    assert!(empty.entry(0).is_err());
}

/// A generous arena costs address space, not memory.
#[test]
fn memory_is_taken_as_it_is_needed() {
    for mapping in [Mapping::Dual, Mapping::Flip] {
        let mut arena = Arena::with_mapping(1 << 36, mapping).unwrap();
        for n in 0..20_000 {
            arena.append(&returning(n), 64).unwrap();
        }
        let sealed = arena.seal().unwrap();
        assert_eq!(run(sealed.entry(64 * 19_999).unwrap().address()), 19_999);
    }
}

#[test]
fn functions_of_all_sizes_live_in_the_heap() {
    let heap = CodeHeap::new();
    let sizes = || {
        (0..=17).flat_map(|shift| [-1, 0, 1].map(|d| (1_usize << shift).saturating_add_signed(d)))
    };
    let codes: Vec<(Vec<u8>, Code)> = sizes()
        .filter(|&len| len >= 6)
        .zip(0..)
        .map(|(len, n)| {
            let mut bytes = returning(n);
            bytes.resize(len, 0x90);
            let code = heap.install(&bytes).unwrap();
            (bytes, code)
        })
        .collect();
    assert_nothing_is_writable_and_executable();
    for (n, (bytes, code)) in (0..).zip(&codes) {
        assert_eq!(code.bytes(), bytes);
        assert_eq!(code.len(), bytes.len());
        assert_eq!(code.address().addr() % 64, 0);
        assert_eq!(run(code.address()), n);
        assert_eq!(access(code.address().addr()).as_deref(), Some("r-x"));
    }
    assert!(matches!(heap.install(b"").unwrap_err(), CodeError::Empty));
}

#[test]
fn code_lives_as_long_as_its_last_clone() {
    let heap = CodeHeap::new();
    let code = heap.install(&returning(5)).unwrap();
    let clone = code.clone();
    drop(heap);
    drop(code);
    assert_eq!(run(clone.address()), 5);
}

/// Installs and drops in any order; at every moment all functions alive return their own number.
#[test]
fn functions_do_not_disturb_each_other() {
    arbtest::arbtest(|u| {
        let heap = CodeHeap::new();
        let mut alive: Vec<(u32, Code)> = Vec::new();
        for n in 0..u.int_in_range(0..=200)? {
            if u.ratio(2, 3)? || alive.is_empty() {
                let mut bytes = returning(n);
                bytes.resize(u.int_in_range(6..=700)?, 0x90);
                alive.push((n, heap.install(&bytes).unwrap()));
            } else {
                let index = u.choose_index(alive.len())?;
                alive.swap_remove(index);
            }
        }
        for (n, code) in &alive {
            assert_eq!(run(code.address()), *n);
        }
        assert_eq!(heap.usage().n_functions, alive.len());
        alive.clear();
        let usage = heap.usage();
        assert_eq!(usage.n_functions, 0);
        // At most one spare chunk for each of the size classes up to 768 bytes.
        assert!(usage.n_chunks <= 10, "{usage:?}");
        Ok(())
    });
}

/// Many threads install, run and drop; each must see its own code in memory that others had.
#[test]
fn threads_run_what_they_installed() {
    let heap = CodeHeap::new();
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let heap = &heap;
            scope.spawn(move || {
                let mut kept: Vec<(u32, Code)> = Vec::new();
                for n in 0..5_000 {
                    let number = thread << 24 | n;
                    let code = heap.install(&returning(number)).unwrap();
                    assert_eq!(run(code.address()), number);
                    kept.push((number, code));
                    if kept.len() == 50 {
                        for (number, code) in kept.drain(..) {
                            assert_eq!(run(code.address()), number);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(heap.usage().n_functions, 0);
}

/// One thread writes code into recycled memory, the other one runs it at once.
#[test]
fn code_written_by_one_thread_runs_on_another() {
    let heap = CodeHeap::new();
    let (send, receive) = std::sync::mpsc::sync_channel::<(u32, Code)>(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..20_000 {
                send.send((n, heap.install(&returning(n)).unwrap()))
                    .unwrap();
            }
        });
        for (n, code) in receive {
            assert_eq!(run(code.address()), n);
        }
    });
}

/// A forked process.
struct Child(libc::pid_t);

impl Child {
    /// Runs `body` in a new process, on copies of all that it refers to.
    fn fork(body: impl FnOnce()) -> Self {
        // SAFETY: the child runs only `body`, which takes no lock that another thread may hold (the
        // C library and the code heap keep theirs usable), and leaves with `_exit`.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "cannot fork");
        if pid == 0 {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: ends the process at once, without destructors of the parent's threads.
            unsafe { libc::_exit(i32::from(outcome.is_err())) };
        }
        Self(pid)
    }

    fn succeeded(self) -> bool {
        let mut status = -1;
        // SAFETY: `status` is a valid place for the answer.
        let waited = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
        waited == self.0 && status == 0
    }
}

/// A pipe on which one process tells the other how far it is.
struct Signal([libc::c_int; 2]);

impl Signal {
    fn new() -> Self {
        let mut ends = [0; 2];
        // SAFETY: `ends` has room for the two descriptors.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
        Self(ends)
    }

    fn give(&self) {
        // SAFETY: one byte is read from a string of one byte.
        let written = unsafe { libc::write(self.0[1], c"!".as_ptr().cast(), 1) };
        assert_eq!(written, 1);
    }

    fn wait(&self) {
        let mut byte = 0_u8;
        // SAFETY: one byte is written to a variable of one byte.
        let read = unsafe { libc::read(self.0[0], (&raw mut byte).cast(), 1) };
        assert_eq!(read, 1);
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        for end in self.0 {
            // SAFETY: the descriptor was opened by `new` and is closed only here.
            unsafe { libc::close(end) };
        }
    }
}

/// After a fork, parent and child each drop functions and install others, while the other process
/// still runs the ones that were dropped.
#[test]
fn forked_processes_do_not_overwrite_each_others_functions() {
    let heap = CodeHeap::global();
    let install = |n| (n, heap.install(&returning(n)).unwrap());
    let check = |codes: &[(u32, Code)]| {
        for (n, code) in codes {
            assert_eq!(run(code.address()), *n);
        }
    };
    let mut codes: Vec<(u32, Code)> = (0..20).map(install).collect();
    let (parent_wrote, child_wrote) = (Signal::new(), Signal::new());
    let child = Child::fork(|| {
        codes.drain(..5);
        codes.extend((100..200).map(install));
        child_wrote.give();
        parent_wrote.wait();
        check(&codes);
    });
    codes.drain(10..15);
    codes.extend((300..400).map(install));
    parent_wrote.give();
    child_wrote.wait();
    check(&codes);
    assert!(child.succeeded());
}

#[test]
fn forked_processes_do_not_overwrite_each_others_arenas() {
    for mapping in [Mapping::Dual, Mapping::Flip] {
        let mut arena = Arena::with_mapping(1 << 16, mapping).unwrap();
        arena.append(&returning(1), 16).unwrap();
        arena.append(&returning(2), 16).unwrap();
        let sealed = arena.seal().unwrap();
        let (mut here, mut there) = (Some(sealed), None);
        let child = Child::fork(|| {
            // The code before the cut moves along, what follows is new.
            let mut arena = here.take().unwrap().reopen().unwrap();
            arena.truncate(16);
            let offset = arena.append(&returning(3), 16).unwrap();
            there = Some(arena.seal().unwrap());
            let sealed = there.as_ref().unwrap();
            assert_eq!(run(sealed.entry(0).unwrap().address()), 1);
            assert_eq!(run(sealed.entry(offset).unwrap().address()), 3);
            // Nothing was appended after the cut: only the stale rest is overwritten.
            let mut arena = there.take().unwrap().reopen().unwrap();
            arena.truncate(3);
            drop(arena.seal().unwrap());
        });
        assert!(child.succeeded());
        let sealed = here.unwrap();
        assert_eq!(run(sealed.entry(0).unwrap().address()), 1, "{mapping:?}");
        assert_eq!(run(sealed.entry(16).unwrap().address()), 2, "{mapping:?}");
    }
}

/// Threads keep the heap busy while another one forks; the new processes can still use the heap.
#[test]
fn the_heap_is_usable_in_a_process_forked_at_any_moment() {
    let heap = CodeHeap::global();
    let done = std::sync::atomic::AtomicBool::new(false);
    let large = [0xc3; 16_384];
    std::thread::scope(|scope| {
        // Copying large functions and filling their memory, it mostly holds the lock.
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    heap.install(&large).unwrap();
                }
            });
        }
        // The threads have to be told to stop also if something fails.
        let failed = (0..100).find(|&n| {
            let child = Child::fork(|| {
                // A lock that stays taken shall end the process and not the patience.
                // SAFETY: sets a timer whose signal ends this process.
                unsafe { libc::alarm(10) };
                let code = heap.install(&returning(n)).unwrap();
                assert_eq!(run(code.address()), n);
            });
            !child.succeeded()
        });
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(failed, None, "the fork that failed");
    });
}

const RESTRICTIONS: &str = "OPCODON_CODEMEM_RESTRICTIONS";

/// Forbids this process to make writable memory executable (`PR_SET_MDWE`). `false` if the kernel
/// does not know how.
fn deny_exec_gain() -> bool {
    const PR_SET_MDWE: libc::c_int = 65;
    const PR_MDWE_REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    // SAFETY: this `prctl` takes integers and touches no memory.
    unsafe { libc::prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0_u64, 0_u64, 0_u64) == 0 }
}

/// Makes a system call fail with `EPERM` from here on, as sandboxes do.
fn deny_system_call(number: libc::c_long) {
    let statement = |code: u32, k: u32, jt, jf| libc::sock_filter {
        code: u16::try_from(code).unwrap(),
        jt,
        jf,
        k,
    };
    let mut filter = [
        // Load the number of the system call; if it is this one, return EPERM, else allow.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            u32::try_from(number).unwrap(),
            0,
            1,
        ),
        statement(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned(),
            0,
            0,
        ),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: this `prctl` takes integers and touches no memory.
    let refused = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) };
    assert_eq!(refused, 0);
    // SAFETY: `program` points to a filter of four instructions, which the kernel copies.
    let refused = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::c_ulong::from(libc::SECCOMP_MODE_FILTER),
            &raw const program,
        )
    };
    assert_eq!(refused, 0, "{}", std::io::Error::last_os_error());
}

/// Limits the size of files, in memory too.
fn limit_files(bytes: libc::rlim_t) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: `limit` is valid for the call.
    let refused = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
    assert_eq!(refused, 0);
}

/// Restrictions of a process, and how code memory is mapped there.
const RESTRICTED: &[(&str, Option<Mapping>)] = &[
    ("", Some(Mapping::Dual)),
    ("mdwe", Some(Mapping::Dual)),
    ("memfd", Some(Mapping::Flip)),
    ("memfd mdwe", None),
    ("membarrier", Some(Mapping::Dual)),
    ("fsize", Some(Mapping::Flip)),
];

/// In a process of its own for each row of the table, since restrictions cannot be lifted.
#[test]
fn restricted_processes_fall_back_or_say_why_not() {
    if let Ok(restrictions) = std::env::var(RESTRICTIONS) {
        return use_code_memory_under(&restrictions);
    }
    for (restrictions, _) in RESTRICTED {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "restricted_processes_fall_back_or_say_why_not",
                "--nocapture",
            ])
            .env(RESTRICTIONS, restrictions)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{restrictions}: {}\n{stderr}",
            output.status
        );
        if let Some(line) = stderr
            .lines()
            .find_map(|line| line.strip_prefix("skipped: "))
        {
            opcodon_testkit::report_skip(line);
        }
    }
}

fn use_code_memory_under(restrictions: &str) {
    for restriction in restrictions.split_whitespace() {
        match restriction {
            "mdwe" => {
                if !deny_exec_gain() {
                    skip!("restricted_processes_fall_back_or_say_why_not: no PR_SET_MDWE here");
                }
            }
            "memfd" => deny_system_call(libc::SYS_memfd_create),
            "membarrier" => deny_system_call(libc::SYS_membarrier),
            "fsize" => limit_files(0),
            other => panic!("{other} is no restriction"),
        }
    }
    let (_, expected) = RESTRICTED
        .iter()
        .find(|(name, _)| *name == restrictions)
        .unwrap();
    let Some(mapping) = *expected else {
        let denials = [
            probe().unwrap_err(),
            Arena::with_capacity(1).unwrap_err(),
            CodeHeap::global().install(b"\xc3").unwrap_err(),
        ];
        for error in denials {
            assert!(matches!(error, CodeError::Denied { .. }), "{error:?}");
            assert_eq!(
                error.to_string(),
                "executable memory is denied to this process (memfd: Operation not permitted (os \
                 error 1); mprotect: Permission denied (os error 13)): allow memfd_create in the \
                 sandbox or seccomp profile, or drop the restriction (SELinux execmem, systemd \
                 MemoryDenyWriteExecute, PaX MPROTECT)"
            );
        }
        return;
    };
    assert_eq!(probe().unwrap(), mapping);
    let arena = Arena::with_capacity(1 << 20).unwrap();
    assert_eq!(arena.mapping(), mapping);
    use_an_arena(arena);
    let codes: Vec<Code> = (0..100)
        .map(|n| CodeHeap::global().install(&returning(n)).unwrap())
        .collect();
    for (n, code) in (0..).zip(&codes) {
        assert_eq!(run(code.address()), n);
        assert_eq!(access(code.address().addr()).as_deref(), Some("r-x"));
    }
    assert_nothing_is_writable_and_executable();
    let signature = Signature::parse("f64(f64, f64)").unwrap();
    let add = Function::new(b"\xf2\x0f\x58\xc1\xc3", signature, Abi::SysV).unwrap();
    // SAFETY: the bytes add their two arguments.
    assert_eq!(unsafe { add.call_f64(&[1.0, 2.0]) }, 3.0);
}

/// Nobody can map the file of a dual mapping writable a second time, nor make the view writable
/// in which code runs.
#[test]
fn the_executable_view_cannot_be_made_writable() {
    let mut arena = Arena::with_mapping(1 << 16, Mapping::Dual).unwrap();
    arena.append(b"\xc3", 1).unwrap();
    let sealed = arena.seal().unwrap();
    let page: *mut libc::c_void = sealed.entry(0).unwrap().address().cast_mut().cast();
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the page belongs to `sealed`; if the call succeeded, nothing but this test would
    // notice.
    assert_eq!(unsafe { libc::mprotect(page, 4096, writable) }, -1);
    assert_eq!(access(page.addr()).as_deref(), Some("r-x"));
}
