//! Threads that stand by: what there is to do takes microseconds, and starting a thread takes longer.
//!
//! They are started when they are first needed and wait from then on. Who has work for several threads
//! borrows as many as are idle and works along, so nobody waits for the work of others: a thread that
//! is not there is one fewer. Nothing may depend on how many there are.
//!
//! A process made by `fork` has no thread but the one that forked, so it gets a crew of its own.

use std::hint;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// How often is looked whether the others are done before sleeping until they are; and, by those who are,
/// whether there is more to do. A look takes up to 50 ns.
const N_LOOKS: u32 = 1 << 14;
const N_LAST_LOOKS: u32 = 1 << 11;

/// The threads of one process.
struct Crew {
    process: u32,
    pool: ThreadPool,
    n_idle: AtomicUsize,
    /// How often work was shared out.
    n_calls: AtomicUsize,
    /// Whether some wait for more without sleeping.
    lingers: AtomicBool,
}

impl Crew {
    /// Keeps threads awake for a moment: compiling is followed by running, and a generation by the next.
    fn linger(&'static self, n_threads: usize) {
        if self.lingers.swap(true, Ordering::Relaxed) {
            return;
        }
        let n_calls = self.n_calls.load(Ordering::Relaxed);
        let wait = move || {
            look(N_LAST_LOOKS, || {
                self.n_calls.load(Ordering::Relaxed) != n_calls
            });
            self.lingers.store(false, Ordering::Relaxed);
        };
        (0..n_threads).for_each(|_| self.pool.spawn(wait));
    }
}

/// Looks whether something is so, until it is or so many times.
fn look(n_looks: u32, is_so: impl Fn() -> bool) {
    for _ in 0..n_looks {
        if is_so() {
            break;
        }
        hint::spin_loop();
    }
}

/// The crew of this process; none if the system refuses threads.
fn crew() -> Option<&'static Crew> {
    static CREW: Mutex<Option<&'static Crew>> = Mutex::new(None);
    // If another thread held the lock during a fork, nobody will give it back.
    let mut known = CREW.try_lock().ok()?;
    if let Some(crew) = *known
        && crew.process == process::id()
    {
        return Some(crew);
    }
    let n_threads = thread::available_parallelism().map_or(1, usize::from);
    let pool = ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .thread_name(|k| format!("opcodon-{k}"))
        .build()
        .ok()?;
    let crew = Box::leak(Box::new(Crew {
        process: process::id(),
        pool,
        n_idle: AtomicUsize::new(n_threads),
        n_calls: AtomicUsize::new(0),
        lingers: AtomicBool::new(false),
    }));
    *known = Some(crew);
    Some(crew)
}

/// Threads on loan.
struct Borrowed {
    crew: &'static Crew,
    n_threads: usize,
}

impl Borrowed {
    fn up_to(n_threads: usize) -> Option<Borrowed> {
        let crew = crew()?;
        let take = |n_idle: usize| (n_idle > 0).then(|| n_idle - n_idle.min(n_threads));
        let n_idle = (crew.n_idle)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .ok()?;
        Some(Borrowed {
            crew,
            n_threads: n_idle.min(n_threads),
        })
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        (self.crew.n_idle).fetch_add(self.n_threads, Ordering::Relaxed);
    }
}

/// Does the work of all tasks on up to `n_threads` threads, of which the caller is one; whoever is free
/// takes the next. The results are in the order of the tasks.
pub(crate) fn share_out<P: Send, R: Send>(
    n_threads: usize,
    tasks: Vec<P>,
    work: impl Fn(P) -> R + Sync,
) -> Vec<R> {
    let n_others = n_threads.min(tasks.len()).saturating_sub(1);
    let borrowed = match n_others {
        0 => None,
        _ => Borrowed::up_to(n_others),
    };
    let Some(borrowed) = borrowed else {
        return tasks.into_iter().map(work).collect();
    };
    let results = Mutex::new(Vec::with_capacity(tasks.len()));
    let tasks = Mutex::new(tasks.into_iter().enumerate());
    let n_working = AtomicUsize::new(borrowed.n_threads);
    let run = || {
        loop {
            let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, task)) = next else { break };
            let result = work(task);
            let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
            results.push((place, result));
        }
    };
    borrowed.crew.n_calls.fetch_add(1, Ordering::Relaxed);
    borrowed.crew.pool.in_place_scope(|scope| {
        for _ in 0..borrowed.n_threads {
            scope.spawn(|_| {
                run();
                n_working.fetch_sub(1, Ordering::Release);
            });
        }
        run();
        // Who goes to sleep has to be woken, which takes longer than most work that is left.
        look(N_LOOKS, || n_working.load(Ordering::Acquire) == 0);
    });
    borrowed.crew.linger(borrowed.n_threads);
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|&(place, _)| place);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::share_out;

    #[test]
    fn results_are_in_the_order_of_the_tasks_whoever_works() {
        for n_threads in [0, 1, 2, 3, 100] {
            for n_tasks in [0, 1, 2, 50] {
                let tasks: Vec<usize> = (0..n_tasks).collect();
                let squares = share_out(n_threads, tasks, |k| k * k);
                assert_eq!(squares, (0..n_tasks).map(|k| k * k).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn work_may_be_shared_out_by_those_who_do_it() {
        let sums = share_out(4, vec![10, 20, 30], |n: usize| {
            let parts: Vec<usize> = (0..n).collect();
            share_out(4, parts, |k| k).into_iter().sum::<usize>()
        });
        assert_eq!(sums, [45, 190, 435]);
    }

    #[test]
    #[should_panic(expected = "the seventh")]
    fn a_panic_is_the_callers() {
        share_out(2, (0..20).collect(), |k: usize| {
            assert!(k != 7, "the seventh");
        });
    }
}
