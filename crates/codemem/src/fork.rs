//! Forks: processes that begin as a copy of this one.
//!
//! The pages of a dual mapping are shared, so each process could overwrite the code of the other:
//! forks are counted, and pages that saw one are not written any more.
//!
//! Source: `pthread_atfork(3)`.

use std::cell::Cell;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many forks this process and its ancestors went through since they were first counted.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// The number of forks so far, counted from the first call on.
pub(crate) fn count() -> u64 {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| at_fork(Some(add_fork), None));
    FORKS.load(Ordering::SeqCst)
}

/// What is run before or after a fork.
type Handler = Option<unsafe extern "C" fn()>;

/// Has one function run before each fork, and one after it in both processes.
pub(crate) fn at_fork(before: Handler, after: Handler) {
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

/// Makes all shared pages look as if another process saw them.
#[cfg(test)]
pub(crate) fn pretend() {
    FORKS.fetch_add(1, Ordering::SeqCst);
}
