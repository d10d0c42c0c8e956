//! Pages of code memory: one writable view, one executable view, never both in one.
//!
//! Memory that is writable and executable at once turns every stray store into an exploit, and
//! hardened systems refuse it. Changing pages back and forth with `mprotect` is safe but costs
//! microseconds and stops all threads that run in them. So the memory is a file in memory that is
//! mapped twice, [`Mapping::Dual`]: code is written through one view and runs through the other,
//! and nothing has to be changed in between. Where files in memory are refused, one mapping
//! changes between the two states, [`Mapping::Flip`].
//!
//! ```text
//! dual:   guard | writable view | guard | executable view | guard
//! flip:   guard | the only view | guard
//! ```
//!
//! Address space is reserved at once, memory is taken as it is needed (`commit`), by doubling, and
//! filled with `int3` (0xcc), so that a jump to anywhere but code stops at once. What is not
//! committed cannot be accessed: it lies behind the end of the file, or has no access rights.
//!
//! The file is shared memory, and a process made by `fork` shares it with its parent: either could
//! overwrite code that the other one runs. Therefore whoever writes asks [`Pages::is_private`]
//! first; pages that existed during a fork are never written again, by neither process.
//!
//! # Invariants
//! * A byte is never writable and executable through one mapping.
//! * Writing happens only below `committed`, in the writable state, and only to private pages.
//!
//! Sources: `memfd_create(2)`, `fcntl(2)` on seals, libffi's closures, DynamoRIO's
//! `-satisfy_w_xor_x`.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

pub(crate) use crate::publish::publish;
use crate::watch::wants_breakpoints;
use crate::{CodeError, fork};

/// Size of a page, and the largest alignment of code.
pub const PAGE: usize = 4096;

/// One-byte breakpoint instruction; fills memory that holds no code.
const INT3: u8 = 0xcc;

/// Bytes committed first; later steps double.
const COMMIT_MIN: usize = 16 * 1024;

/// How code memory is written and run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Two views of one file in memory: one to write, one to run.
    Dual,
    /// One view, whose protection changes between writing and running.
    Flip,
}

/// Which mapping this process is allowed; for diagnostics.
///
/// # Errors
/// [`CodeError::Denied`] if there is no executable memory at all.
pub fn probe() -> Result<Mapping, CodeError> {
    Pages::new(PAGE).map(|pages| pages.mapping)
}

/// A region of code memory with its guard pages, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Pages {
    /// Owns all addresses below; unmaps them when dropped.
    _reservation: Reservation,
    mapping: Mapping,
    write: NonNull<u8>,
    exec: NonNull<u8>,
    capacity: usize,
    committed: usize,
    /// The file of a dual mapping, as long as it still has to grow.
    file: Option<OwnedFd>,
    /// Number of forks when the pages were made.
    forks: u64,
}

// SAFETY: the pages are owned memory; nothing is bound to the thread that mapped them.
unsafe impl Send for Pages {}
// SAFETY: writing needs `&mut Pages`; through `&Pages` memory is only read.
unsafe impl Sync for Pages {}

impl Pages {
    /// Reserves pages for at least `capacity` bytes, dual-mapped if that is allowed and nobody wants
    /// to set breakpoints: a debugger cannot write into pages that are shared and sealed.
    pub(crate) fn new(capacity: usize) -> Result<Self, CodeError> {
        if wants_breakpoints()
            && let Ok(pages) = Self::with_mapping(capacity, Mapping::Flip)
        {
            return Ok(pages);
        }
        match Self::with_mapping(capacity, Mapping::Dual) {
            Err(CodeError::Denied { memfd, .. }) => {
                match Self::with_mapping(capacity, Mapping::Flip) {
                    Err(CodeError::Denied { mprotect, .. }) => {
                        Err(CodeError::Denied { memfd, mprotect })
                    }
                    other => other,
                }
            }
            other => other,
        }
    }

    /// Reserves pages with the given mapping.
    pub(crate) fn with_mapping(capacity: usize, mapping: Mapping) -> Result<Self, CodeError> {
        let out_of_range = || CodeError::Map {
            len: capacity,
            source: io::Error::from_raw_os_error(libc::ENOMEM),
        };
        let rounded = capacity
            .max(1)
            .checked_next_multiple_of(PAGE)
            .ok_or_else(out_of_range)?;
        let views = if mapping == Mapping::Dual { 2 } else { 1 };
        let total = rounded
            .checked_mul(views)
            .and_then(|len| len.checked_add((views + 1) * PAGE))
            .filter(|&len| isize::try_from(len).is_ok())
            .ok_or_else(out_of_range)?;
        let reservation = Reservation::new(total).map_err(|source| CodeError::Map {
            len: capacity,
            source,
        })?;
        match mapping {
            Mapping::Dual => Self::dual(reservation, rounded).map_err(|memfd| CodeError::Denied {
                memfd,
                mprotect: io::Error::other("not tried"),
            }),
            Mapping::Flip => {
                Self::flip(reservation, rounded).map_err(|mprotect| CodeError::Denied {
                    memfd: io::Error::other("not tried"),
                    mprotect,
                })
            }
        }
    }

    fn dual(reservation: Reservation, capacity: usize) -> io::Result<Self> {
        let forks = fork::count();
        let file = memory_file(capacity)?;
        let write = reservation.at(PAGE);
        let exec = reservation.at(PAGE + capacity + PAGE);
        map_view(&file, write, capacity, libc::PROT_READ | libc::PROT_WRITE)?;
        // From here on nobody can map the file writable again, nor make the view below writable.
        // Old kernels do not know these seals; the mapping is sound without them.
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_FUTURE_WRITE;
        // SAFETY: `fcntl` with F_ADD_SEALS takes an integer and touches no memory.
        let _ = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) };
        map_view(&file, exec, capacity, libc::PROT_READ | libc::PROT_EXEC)?;
        Ok(Self {
            _reservation: reservation,
            mapping: Mapping::Dual,
            write,
            exec,
            capacity,
            committed: 0,
            file: Some(file),
            forks,
        })
    }

    fn flip(reservation: Reservation, capacity: usize) -> io::Result<Self> {
        let view = reservation.at(PAGE);
        // Refusal shall be known now, not when the first code is published.
        for protection in [
            libc::PROT_READ | libc::PROT_WRITE,
            libc::PROT_READ | libc::PROT_EXEC,
        ] {
            protect(view, PAGE, protection)?;
        }
        protect(view, PAGE, libc::PROT_NONE)?;
        Ok(Self {
            _reservation: reservation,
            mapping: Mapping::Flip,
            write: view,
            exec: view,
            capacity,
            committed: 0,
            file: None,
            forks: 0,
        })
    }

    /// How these pages are mapped.
    pub(crate) fn mapping(&self) -> Mapping {
        self.mapping
    }

    /// Size in bytes, a multiple of the page size.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether no other process can run or write these pages, so that they may be written.
    pub(crate) fn is_private(&self) -> bool {
        // Memory with one view is private: a fork copies it.
        self.mapping == Mapping::Flip || self.forks == fork::count()
    }

    /// Makes sure that the first `len` bytes are memory. Pages must be in the writable state.
    pub(crate) fn commit(&mut self, len: usize) -> Result<(), CodeError> {
        debug_assert!(len <= self.capacity, "{len} bytes of {}", self.capacity);
        if len <= self.committed {
            return Ok(());
        }
        let old = self.committed;
        let new = len
            .next_multiple_of(PAGE)
            .max(2 * old)
            .max(COMMIT_MIN)
            .min(self.capacity);
        let failed = |source| CodeError::Map {
            len: new - old,
            source,
        };
        match &self.file {
            Some(file) => extend(file, old, new - old).map_err(failed)?,
            None => {
                // SAFETY: `old` is below the capacity, so the pointer stays within the view.
                let start = unsafe { self.write.add(old) };
                protect(start, new - old, libc::PROT_READ | libc::PROT_WRITE).map_err(failed)?;
            }
        }
        self.committed = new;
        if new == self.capacity {
            self.file = None;
        }
        self.fill(old, new);
        Ok(())
    }

    /// Copies code to `offset`. Pages must be writable, private and committed that far.
    pub(crate) fn write(&mut self, offset: usize, code: &[u8]) {
        let end = offset.checked_add(code.len());
        assert!(
            end.is_some_and(|end| end <= self.committed),
            "code outside of committed memory"
        );
        // SAFETY: `offset` is at most `committed`, checked above.
        let target = unsafe { self.write.add(offset) };
        // SAFETY: `offset + code.len()` is at most `committed`, checked above; those bytes are
        // mapped writable. `code` cannot overlap them: shared slices of code memory are of the
        // executable view (dual) or borrow these pages (flip), which are borrowed mutably here.
        unsafe { target.copy_from_nonoverlapping(NonNull::from(code).cast(), code.len()) };
    }

    /// Fills `start..end` with `int3`. Pages must be writable, private and committed that far.
    pub(crate) fn fill(&mut self, start: usize, end: usize) {
        assert!(
            start <= end && end <= self.committed,
            "filling outside of committed memory"
        );
        // SAFETY: `start` is at most `committed`, checked above.
        let target = unsafe { self.write.add(start) };
        // SAFETY: `start..end` lies within the committed bytes, checked above, which are writable.
        unsafe { target.write_bytes(INT3, end - start) };
    }

    /// The first `len` bytes of code, as they are run.
    pub(crate) fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        let end = offset.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.committed),
            "reading outside of committed memory"
        );
        // SAFETY: `offset` is at most `committed`, checked above.
        let start = unsafe { self.exec.add(offset) };
        // SAFETY: the bytes are committed, checked above, so they are mapped readable in either
        // state and initialised by `fill`; writing them needs `&mut self`.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), len) }
    }

    /// The address at which the byte at `offset` runs.
    pub(crate) fn address(&self, offset: usize) -> NonNull<u8> {
        assert!(offset <= self.capacity, "address outside of the pages");
        // SAFETY: `offset` is at most `capacity`, checked above: inside the view or at its end.
        unsafe { self.exec.add(offset) }
    }

    /// Enters the executable state.
    pub(crate) fn make_executable(&mut self) -> Result<(), CodeError> {
        self.change(libc::PROT_READ | libc::PROT_EXEC)
    }

    /// Enters the writable state. No thread may be running in a flipping mapping.
    pub(crate) fn make_writable(&mut self) -> Result<(), CodeError> {
        self.change(libc::PROT_READ | libc::PROT_WRITE)
    }

    fn change(&mut self, protection: libc::c_int) -> Result<(), CodeError> {
        if self.mapping == Mapping::Dual || self.committed == 0 {
            return Ok(());
        }
        let len = self.committed;
        protect(self.exec, len, protection).map_err(|source| CodeError::Protect { len, source })
    }
}

/// A range of addresses that belongs to nobody else, without access rights at first.
#[derive(Debug)]
pub(crate) struct Reservation {
    start: NonNull<u8>,
    len: usize,
}

impl Reservation {
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        Self::with_flags(len, 0)
    }

    /// Below 2 GiB.
    pub(crate) fn low(len: usize) -> io::Result<Self> {
        Self::with_flags(len, libc::MAP_32BIT)
    }

    fn with_flags(len: usize, flags: libc::c_int) -> io::Result<Self> {
        let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: without a fixed address `mmap` takes only addresses that nobody uses.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        Ok(Self { start, len })
    }

    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.len, "outside of the reservation");
        // SAFETY: `offset` is below `len`, checked above.
        unsafe { self.start.add(offset) }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: the range was reserved by `new` and is unmapped only here, with all views in it.
        let refused = unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert_eq!(refused, 0, "{}", io::Error::last_os_error());
    }
}

/// A file in memory without a name, that is closed on `exec`.
fn memory_file(capacity: usize) -> io::Result<OwnedFd> {
    // Growing a file beyond this limit does not only fail, it kills the process (SIGXFSZ).
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the answer.
    let refused = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) } != 0;
    if !refused && limit.rlim_cur < capacity as u64 {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    // A file that can never become an executable one is allowed also where `vm.memfd_noexec`
    // forbids others, and mapping it executable is still allowed. Kernels before 6.3 do not know
    // the flag.
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    for flags in [flags | libc::MFD_NOEXEC_SEAL, flags] {
        // As a system call, because the C libraries of old distributions lack the function.
        // SAFETY: the name ends with a zero byte and lives forever.
        let fd = unsafe { libc::syscall(libc::SYS_memfd_create, c"opcodon".as_ptr(), flags) };
        if let Ok(fd @ 0..) = i32::try_from(fd) {
            // SAFETY: the descriptor was just opened, and nobody else has it.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINVAL) {
            return Err(error);
        }
    }
    Err(io::Error::from_raw_os_error(libc::EINVAL))
}

/// A file in memory with these contents, which can never change again.
///
/// # Errors
/// The operating system refuses files in memory, seals, or the room.
pub fn sealed_file(contents: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memory_file(contents.len())?);
    file.write_all(contents)?;
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: `fcntl` with F_ADD_SEALS takes an integer and touches no memory.
    let refused = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } != 0;
    if refused {
        return Err(io::Error::last_os_error());
    }
    Ok(file.into())
}

/// Maps the file from its start over reserved addresses. It may grow into the mapping later.
pub(crate) fn map_view(
    file: &OwnedFd,
    start: NonNull<u8>,
    len: usize,
    protection: libc::c_int,
) -> io::Result<()> {
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    let fd = file.as_raw_fd();
    // SAFETY: the range lies within the caller's reservation, which nobody else uses.
    let mapped = unsafe { libc::mmap(start.as_ptr().cast(), len, protection, flags, fd, 0) };
    if mapped == libc::MAP_FAILED {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Takes memory for `len` more bytes of the file now, so that lack of memory is an error here and
/// not a signal later.
fn extend(file: &OwnedFd, offset: usize, len: usize) -> io::Result<()> {
    let out_of_range = |_| io::Error::from_raw_os_error(libc::EFBIG);
    let offset = libc::off_t::try_from(offset).map_err(out_of_range)?;
    let len = libc::off_t::try_from(len).map_err(out_of_range)?;
    loop {
        // SAFETY: `fallocate` takes integers and touches no memory of this process.
        if unsafe { libc::fallocate(file.as_raw_fd(), 0, offset, len) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

pub(crate) fn protect(start: NonNull<u8>, len: usize, protection: libc::c_int) -> io::Result<()> {
    // SAFETY: callers pass ranges of views they own, and no protection is both writable and
    // executable.
    let refused = unsafe { libc::mprotect(start.as_ptr().cast(), len, protection) };
    if refused == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
