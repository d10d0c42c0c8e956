//! The heap of this process, which stays usable in processes made by `fork`.
//!
//! A lock that another thread holds at that moment stays locked forever in the new process, where
//! that thread does not exist. So the lock of the heap is taken before the fork and released after
//! it, in both processes.

use std::cell::UnsafeCell;
use std::sync::{LazyLock, MutexGuard, Once};

use crate::fork::at_fork;
use crate::heap::{CodeHeap, State};

static GLOBAL: LazyLock<CodeHeap> = LazyLock::new(CodeHeap::new);

impl CodeHeap {
    /// The heap of this process.
    #[must_use]
    pub fn global() -> &'static Self {
        static REGISTER: Once = Once::new();
        let heap = &*GLOBAL;
        REGISTER.call_once(|| at_fork(Some(lock_heap), Some(unlock_heap)));
        heap
    }
}

/// The lock, between the handlers before and after a fork.
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
