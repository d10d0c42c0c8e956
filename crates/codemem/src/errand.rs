//! Errands: callbacks of a guarded call, which its caller runs.
//!
//! A callback's closure belongs to the caller's process: in the fork its locks may be held for ever,
//! and what it changes would be lost. So there the code of a callback writes its arguments on a desk
//! that both processes see, wakes the caller and waits; the caller runs the closure and writes the
//! answer.
//!
//! Numbers and structures mean the same in both processes. An address does so only in lent memory,
//! which lies at the same place in both; any other is an error, since the closure would read something
//! else there, or nothing.
//!
//! # Invariant
//! Whatever the other process writes on the desk, the caller runs one of the callbacks that were
//! passed, with values of its signature's types, or nothing.

use std::fs::File;
use std::io::Read as _;
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::fault::GuardError;
use crate::lent::Shared;
use crate::{Callback, Signature, Ty, Value};

/// What lies at the beginning of the desk; words follow.
#[repr(C)]
struct Desk {
    /// [`IDLE`], [`ASKED`], [`ANSWERED`] or [`STRAY`].
    state: AtomicU32,
    /// Which callback is meant.
    which: AtomicU32,
}

const IDLE: u32 = 0;
const ASKED: u32 = 1;
const ANSWERED: u32 = 2;
/// Something was called back that nobody passed.
const STRAY: u32 = 3;

/// The callbacks of a call, as its caller has them.
pub(crate) struct Errands<'a> {
    callbacks: &'a [&'a Callback],
    /// Both ends of a pipe through which the caller is woken.
    pipe: Option<(File, File)>,
}

impl<'a> Errands<'a> {
    pub(crate) fn new(callbacks: &'a [&'a Callback]) -> Result<Self, GuardError> {
        let mut ends = [0; 2];
        if callbacks.is_empty() {
            return Ok(Self {
                callbacks,
                pipe: None,
            });
        }
        // SAFETY: two places for two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
            return Err(GuardError::refused("no pipe"));
        }
        // SAFETY: the descriptor was just opened, and nobody else has it.
        let ends = ends.map(|end| unsafe { File::from_raw_fd(end) });
        Ok(Self {
            callbacks,
            pipe: Some(ends.into()),
        })
    }

    /// Bytes that the desk needs.
    pub(crate) fn desk_len(&self) -> usize {
        let n_words = |callback: &&Callback| {
            let signature = callback.signature();
            let params = signature.params().iter().map(|&ty| Value::n_words(ty));
            params
                .sum::<usize>()
                .max(Value::n_words(signature.result()))
        };
        let n_words = self.callbacks.iter().map(n_words).max().unwrap_or(0);
        size_of::<Desk>() + 8 * n_words
    }

    /// What is readable when the other process asks; -1 if it never does.
    pub(crate) fn bell(&self) -> libc::c_int {
        self.pipe.as_ref().map_or(-1, |(end, _)| end.as_raw_fd())
    }

    /// Where the other process writes to wake this one.
    pub(crate) fn ringer(&self) -> Option<libc::c_int> {
        self.pipe.as_ref().map(|(_, end)| end.as_raw_fd())
    }

    /// Whether the other process, which has ended, did so since it could not ask.
    pub(crate) fn serve_last(&self, shared: &Shared) -> Result<(), GuardError> {
        // SAFETY: the desk is mapped as long as `shared` lives, and these are atomics.
        let head = unsafe { shared.desk().cast::<Desk>().as_ref() };
        match head.state.load(Ordering::Acquire) {
            STRAY => Err(GuardError::Stray),
            _ => Ok(()),
        }
    }

    /// Runs the callback that the other process asks for, if it does.
    pub(crate) fn serve(&self, shared: &Shared) -> Result<(), GuardError> {
        if let Some((mut end, _)) = self.pipe.as_ref().map(|(end, other)| (end, other)) {
            // Nothing there is an answer too.
            let _ = end.read(&mut [0; 64]);
        }
        let desk = shared.desk();
        // SAFETY: the desk is mapped as long as `shared` lives, and these are atomics.
        let head = unsafe { desk.cast::<Desk>().as_ref() };
        match head.state.load(Ordering::Acquire) {
            ASKED => {}
            STRAY => return Err(GuardError::Stray),
            _ => return Ok(()),
        }
        let which = head.which.load(Ordering::Relaxed) as usize;
        let callback = self.callbacks.get(which).ok_or(GuardError::Stray)?;
        let args = read(desk, callback.signature());
        for (index, arg) in args.iter().enumerate() {
            let mut foreign = None;
            arg.clone().map_addresses(&mut |address| {
                if address != 0 && !shared.holds(address) {
                    foreign.get_or_insert(address);
                }
                address
            });
            if let Some(address) = foreign {
                let argument = index + 1;
                return Err(GuardError::Foreign { argument, address });
            }
        }
        let returned = callback.answer(&args);
        let result = callback.signature().result();
        if returned.is_of(result) {
            write(desk, &[returned]);
        } else {
            write(desk, &[Value::zero(result)]);
        }
        head.state.store(ANSWERED, Ordering::Release);
        // SAFETY: a futex is a word that is mapped.
        unsafe { libc::syscall(libc::SYS_futex, head.state.as_ptr(), libc::FUTEX_WAKE, 1) };
        Ok(())
    }
}

/// What a guarded call's own process knows.
pub(crate) struct Worker {
    desk: NonNull<u8>,
    keys: Vec<usize>,
    ringer: libc::c_int,
}

/// Set in guarded calls' processes only.
static WORKER: AtomicPtr<Worker> = AtomicPtr::new(std::ptr::null_mut());

/// What this process knows, if it is that of a guarded call.
pub(crate) fn worker() -> Option<&'static Worker> {
    // SAFETY: it is set once, to what is never freed.
    unsafe { WORKER.load(Ordering::Relaxed).as_ref() }
}

impl Worker {
    /// Has callbacks of this process, a fork, run by its caller from now on.
    pub(crate) fn begin(errands: &Errands<'_>, shared: &Shared) {
        let worker = Box::new(Self {
            desk: shared.desk(),
            keys: errands.callbacks.iter().map(|c| c.key()).collect(),
            ringer: errands.ringer().unwrap_or(-1),
        });
        WORKER.store(Box::into_raw(worker), Ordering::Relaxed);
    }

    /// Has the caller run the callback of a key.
    pub(crate) fn ask(&self, key: usize, args: &[Value], result: Ty) -> Value {
        // SAFETY: the desk is mapped as long as this process lives, and these are atomics.
        let head = unsafe { self.desk.cast::<Desk>().as_ref() };
        let which = self.keys.iter().position(|&known| known == key);
        let Some(which) = which.and_then(|which| u32::try_from(which).ok()) else {
            head.state.store(STRAY, Ordering::Release);
            // SAFETY: ends the process.
            unsafe { libc::_exit(1) };
        };
        write(self.desk, args);
        head.which.store(which, Ordering::Relaxed);
        head.state.store(ASKED, Ordering::Release);
        // Where this fails, the caller looks now and then.
        // SAFETY: one byte of a local.
        unsafe { libc::write(self.ringer, (&raw const key).cast(), 1) };
        while head.state.load(Ordering::Acquire) != ANSWERED {
            let (word, wait) = (head.state.as_ptr(), libc::FUTEX_WAIT);
            let forever = std::ptr::null::<libc::timespec>();
            // SAFETY: a futex is a word that is mapped; it is waited for as long as it is this.
            unsafe { libc::syscall(libc::SYS_futex, word, wait, ASKED, forever) };
        }
        head.state.store(IDLE, Ordering::Relaxed);
        let words = Words(self.desk);
        Value::from_words(result, &words.read(0, Value::n_words(result)))
    }
}

/// The words behind the head of a desk.
struct Words(NonNull<u8>);

impl Words {
    fn at(&self, index: usize) -> *mut u64 {
        let offset = size_of::<Desk>() + 8 * index;
        self.0.as_ptr().wrapping_add(offset).cast()
    }

    fn read(&self, start: usize, n: usize) -> Vec<u64> {
        // SAFETY: the desk has room for the values of every callback's signature, and callers ask
        // for those; the other process may write there, any number is as good.
        (start..start + n)
            .map(|index| unsafe { self.at(index).read_volatile() })
            .collect()
    }
}

fn read(desk: NonNull<u8>, signature: &Signature) -> Vec<Value> {
    let words = Words(desk);
    let mut start = 0;
    let value = |&ty: &Ty| {
        let n = Value::n_words(ty);
        start += n;
        Value::from_words(ty, &words.read(start - n, n))
    };
    signature.params().iter().map(value).collect()
}

fn write(desk: NonNull<u8>, values: &[Value]) {
    let words = Words(desk);
    for (index, word) in values.iter().flat_map(Value::to_words).enumerate() {
        // SAFETY: the desk has room for the values of every callback's signature, and these are
        // such values.
        unsafe { words.at(index).write_volatile(word) };
    }
}
