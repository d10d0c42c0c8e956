//! A search under Python's eyes: progress, interrupts and exceptions.
//!
//! The search runs on a thread of its own, and the calling thread waits: it hands progress to
//! Python and looks for signals, because only the thread that runs Python's main program learns
//! that somebody pressed Ctrl-C. An interrupt, or an exception in the progress callback, asks the
//! search for the best that it has.
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use opcodon_data::Latest;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyRuntimeWarning};
use pyo3::prelude::*;

use crate::error::message;

/// How often the waiting thread looks for signals.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(20);

/// What writes a search to a file, if one is wanted; `interrupt` asks the search to end.
pub(crate) fn checkpoint(path: Option<PathBuf>, interrupt: &Arc<AtomicBool>) -> Option<Latest> {
    path.map(|path| Latest::new(path, Arc::clone(interrupt)))
}

/// Says whether the file was written: nothing at all is an error, not the latest a warning.
pub(crate) fn checkpointed(py: Python<'_>, file: Option<Latest>) -> PyResult<()> {
    match file.map(Latest::finish).transpose() {
        Ok(error) => error.flatten().map_or(Ok(()), |error| {
            let text = std::ffi::CString::new(format!("checkpoint: {}", message(&error)))?;
            PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 2)
        }),
        Err(error) => Err(PyOSError::new_err(format!(
            "checkpoint: {}",
            message(&error)
        ))),
    }
}

/// What the search tells the waiting thread.
enum Word<P> {
    Progress(P),
    Done,
}

/// Says that the search is over, also when it panics.
struct Farewell<P>(SyncSender<Word<P>>);

impl<P> Drop for Farewell<P> {
    fn drop(&mut self) {
        // The receiver outlives the search; if it were gone there would be nobody to tell.
        let _ = self.0.send(Word::Done);
    }
}

/// Runs a search, which is given a flag that asks it to end and a function for its progress;
/// `tell` hands progress to the callback.
///
/// # Errors
/// What the callback raises, and what signals raise but for a keyboard interrupt: that is for the
/// result of the search to say.
pub(crate) fn supervise<P: Clone + Send, R: Send>(
    py: Python<'_>,
    callback: Option<&Bound<'_, PyAny>>,
    tell: impl Fn(&Bound<'_, PyAny>, &P) -> PyResult<()>,
    search: impl FnOnce(Arc<AtomicBool>, &mut (dyn FnMut(&P) + Send)) -> R + Send,
) -> PyResult<R> {
    let interrupt = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = sync_channel(1);
    // Only this thread receives; the lock makes that plain to the compiler.
    let receiver = Mutex::new(receiver);
    let mut raised: Option<PyErr> = None;
    let result = thread::scope(|scope| {
        let search = {
            let (interrupt, farewell) = (Arc::clone(&interrupt), Farewell(sender.clone()));
            let wanted = callback.is_some();
            scope.spawn(move || {
                let sender = &farewell.0;
                // If Python is busy with the last progress, this one is skipped.
                let mut observer = |progress: &P| {
                    if wanted {
                        let _ = sender.try_send(Word::Progress(progress.clone()));
                    }
                };
                search(interrupt, &mut observer)
            })
        };
        loop {
            let word = py.detach(|| {
                let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
                receiver.recv_timeout(SIGNAL_INTERVAL)
            });
            let heard = match word {
                Ok(Word::Done) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Word::Progress(told)) => match callback {
                    Some(callback) if raised.is_none() => tell(callback, &told),
                    _ => Ok(()),
                },
                Err(RecvTimeoutError::Timeout) => Ok(()),
            };
            if let Err(error) = heard.and_then(|()| py.check_signals()) {
                interrupt.store(true, Ordering::Relaxed);
                raised.get_or_insert(error);
            }
        }
        py.detach(|| search.join())
    });
    let result = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    match raised {
        Some(error) if !error.is_instance_of::<PyKeyboardInterrupt>(py) => Err(error),
        _ => Ok(result),
    }
}
