//! Rows of a loop on several threads, where Python permits it (`jit(parallel=True)`).
//!
//! Rows come in pieces, and whoever is free takes the next one. What is computed does not depend
//! on who does it: the rows are independent, and nothing stops them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use pyo3::ffi;

/// Threads that run at the same time. To ask takes longer than most loops.
pub(super) fn n_cores() -> usize {
    static N_CORES: OnceLock<usize> = OnceLock::new();
    *N_CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Does the work of all threads, which know by their numbers what is theirs.
pub(super) fn on_all(n_threads: usize, work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        let work = &work;
        for number in 1..n_threads {
            let spawned = std::thread::Builder::new().spawn_scoped(scope, move || work(number));
            // Without a thread the work is done all the same.
            if spawned.is_err() {
                work(number);
            }
        }
        work(0);
    });
}

type Kernel = unsafe extern "C" fn(*mut u64, i64, i64) -> i64;

/// What all threads look at.
#[derive(Clone, Copy)]
struct Shared {
    kernel: Kernel,
    arguments: *const u64,
    n_words: usize,
}
// SAFETY: the arguments are only read, and the rows independent.
unsafe impl Sync for Shared {}

/// Pieces are a multiple of what any vector has lanes.
const N_LANES: i64 = 32;

/// Pieces for each thread, so that none waits long for the others.
const N_PIECES: usize = 8;

/// When signals should be looked at again.
const PATIENCE: Duration = Duration::from_millis(100);

/// Runs a kernel over rows; the row that is next, as if one thread had done them.
pub(super) unsafe extern "C" fn on_threads(
    kernel: usize,
    arguments: *const u64,
    n_bytes: usize,
    first: i64,
    end: i64,
) -> i64 {
    let n_threads = n_cores();
    // The first argument says whether the kernel may run at all.
    if n_threads < 2 || unsafe { arguments.read() } == 0 || end <= first {
        return first;
    }
    let shared = Shared {
        kernel: unsafe { std::mem::transmute::<usize, Kernel>(kernel) },
        arguments,
        n_words: n_bytes / 8,
    };
    let n_pieces = i64::try_from(n_threads * N_PIECES).unwrap_or(1);
    let piece = ((end - first) / n_pieces / N_LANES + 1) * N_LANES;
    let next = AtomicI64::new(first);
    let stopped = AtomicI64::new(end);
    let begun = Instant::now();
    let work = |_| {
        let shared = &shared;
        // Kernels keep words of their own among their arguments.
        let arguments = unsafe { std::slice::from_raw_parts(shared.arguments, shared.n_words) };
        let mut arguments = arguments.to_vec();
        while begun.elapsed() < PATIENCE {
            let from = next.fetch_add(piece, Ordering::Relaxed);
            if from >= end {
                break;
            }
            let to = (from + piece).min(end);
            let done = unsafe { (shared.kernel)(arguments.as_mut_ptr(), from, to) };
            if done < to {
                stopped.fetch_min(done, Ordering::Relaxed);
            }
        }
    };
    let gil = unsafe { ffi::PyEval_SaveThread() };
    on_all(n_threads, work);
    unsafe { ffi::PyEval_RestoreThread(gil) };
    let next = next.load(Ordering::Relaxed);
    next.min(stopped.load(Ordering::Relaxed))
}
