//! Forks: processes that begin as a copy of this one.
//!
//! Two things go wrong with code memory in a fork. The pages of a dual mapping are shared, so each
//! process could overwrite the code of the other: forks are counted, and pages that saw one are
//! not written any more. And a lock that another thread holds at that moment stays locked forever
//! in the new process, where that thread does not exist: the lock of the global heap is taken
//! before the fork and released after it, in both processes.
//!
//! Source: `pthread_atfork(3)`.

use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{MutexGuard, Once};

use crate::heap::{GLOBAL, State};

/// How many forks this process and its ancestors went through since they were first counted.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// The number of forks so far, counted from the first call on.
pub(crate) fn count() -> u64 {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| at_fork(Some(add_fork), None));
    FORKS.load(Ordering::SeqCst)
}

/// Sees to it that the global heap is usable in processes made by `fork`.
pub(crate) fn keep_global_heap() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| at_fork(Some(lock_heap), Some(unlock_heap)));
}

type Handler = Option<unsafe extern "C" fn()>;

/// Has one function run before each fork, and one after it in both processes.
fn at_fork(before: Handler, after: Handler) {
    // SAFETY: the handlers are functions of this library and so valid for the life of the process.
    let refused = unsafe { libc::pthread_atfork(before, after, after) };
    debug_assert_eq!(refused, 0, "no memory for a fork handler");
}

thread_local! {
    /// Whether this thread's fork does not count.
    static UNCOUNTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a fork for a process that never writes code, having no view to write through.
pub(crate) fn uncounted<R>(fork: impl FnOnce() -> R) -> R {
    UNCOUNTED.set(true);
    let result = fork();
    UNCOUNTED.set(false);
    result
}

/// Runs before the fork, so that both processes see the new count.
unsafe extern "C" fn add_fork() {
    if !UNCOUNTED.get() {
        FORKS.fetch_add(1, Ordering::SeqCst);
    }
}

/// The lock of the global heap, between the handlers before and after a fork.
struct HeldLock(UnsafeCell<Option<MutexGuard<'static, State>>>);

// SAFETY: the cell is only touched by the fork handlers, by the thread that holds the lock that is
// kept in it: after taking and before releasing it.
unsafe impl Sync for HeldLock {}

static HELD: HeldLock = HeldLock(UnsafeCell::new(None));

unsafe extern "C" fn lock_heap() {
    let guard = GLOBAL.lock();
    // SAFETY: this thread holds the lock, so no other one is between these handlers.
    unsafe { *HELD.0.get() = Some(guard) };
}

unsafe extern "C" fn unlock_heap() {
    // SAFETY: this thread, or in the new process its copy, still holds the lock.
    let guard = unsafe { (*HELD.0.get()).take() };
    drop(guard);
}

/// Makes all shared pages look as if another process saw them.
#[cfg(test)]
pub(crate) fn pretend() {
    FORKS.fetch_add(1, Ordering::SeqCst);
}
