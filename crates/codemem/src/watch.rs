//! Watching code: one place where every piece of code that becomes callable is announced.
//!
//! Debuggers and profilers cannot know code that no file has. What they want to know differs, so
//! this crate only says which bytes lie where, under which name, and when they are gone; an
//! [`Observer`] tells it on. Without one, a piece of code costs one load and one branch here.
//!
//! # Invariant
//! Code is announced after it was published, and is still mapped when it is reported gone.

use std::cell::RefCell;
use std::fmt;
use std::sync::OnceLock;

/// Somebody who wants to know which code there is.
pub trait Observer: Send + Sync {
    /// Code can be called from now on, and is for these lines, if that is known. The result stands
    /// for it in [`gone`](Self::gone).
    fn appeared(&self, name: &str, code: &[u8], lines: Option<&SourceLines>) -> u64;

    /// The code of a library can be called from now on. The result stands for all of it in
    /// [`gone`](Self::gone).
    fn library_appeared(&self, library: &LibraryCode<'_>) -> u64;

    /// Code can be called no more.
    fn gone(&self, token: u64);

    /// Whether somebody will set breakpoints in the code.
    fn wants_breakpoints(&self) -> bool {
        false
    }
}

/// Which lines of a file code is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLines {
    /// The file.
    pub file: String,
    /// Offsets in the code from which on it is for a line, in their order.
    pub lines: Vec<(usize, u32)>,
}

/// The code of a library, whose parts have names.
#[derive(Clone, Copy, Debug)]
pub struct LibraryCode<'a> {
    /// The library's name.
    pub name: &'a str,
    /// All that can be executed.
    pub text: &'a [u8],
    /// Its functions, by name.
    pub functions: &'a [(&'a str, &'a [u8])],
    /// Its call frame information (`.eh_frame`), where it lies, since it counts from there.
    pub frames: &'a [u8],
}

static OBSERVER: OnceLock<Box<dyn Observer>> = OnceLock::new();

thread_local! {
    /// What code that this thread makes is called, and what it is for.
    static NAME: RefCell<Option<(String, Option<SourceLines>)>> = const { RefCell::new(None) };
}

/// Tells the observer of all code that is made from now on, for the life of the process. Returns
/// false, and changes nothing, if there is one already.
pub fn observe(observer: Box<dyn Observer>) -> bool {
    OBSERVER.set(observer).is_ok()
}

/// Whether somebody observes.
#[must_use]
pub fn is_observed() -> bool {
    OBSERVER.get().is_some()
}

pub(crate) fn wants_breakpoints() -> bool {
    OBSERVER
        .get()
        .is_some_and(|observer| observer.wants_breakpoints())
}

/// Has the code that `make` makes on this thread be called by a name, if somebody observes.
pub fn naming<T>(name: &dyn fmt::Display, make: impl FnOnce() -> T) -> T {
    naming_with_lines(name, || None, make)
}

/// The same, and says which lines the code is for.
pub fn naming_with_lines<T>(
    name: &dyn fmt::Display,
    lines: impl FnOnce() -> Option<SourceLines>,
    make: impl FnOnce() -> T,
) -> T {
    if OBSERVER.get().is_none() {
        return make();
    }
    let outer = NAME.replace(Some((name.to_string(), lines())));
    let made = make();
    NAME.set(outer);
    made
}

/// Code that an observer knows of; reports it gone when dropped.
#[derive(Debug)]
pub struct Watched(u64);

impl Watched {
    /// Announces code, under the thread's name for it or else the one given.
    #[inline]
    pub(crate) fn new(name: &str, code: &[u8]) -> Option<Self> {
        let observer = OBSERVER.get()?;
        let token = NAME.with_borrow(|given| match given {
            Some((given, lines)) => observer.appeared(given, code, lines.as_ref()),
            None => observer.appeared(name, code, None),
        });
        Some(Self(token))
    }

    /// Announces the code of a library, if somebody observes.
    #[must_use]
    pub fn library(library: &LibraryCode<'_>) -> Option<Self> {
        Some(Self(OBSERVER.get()?.library_appeared(library)))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(observer) = OBSERVER.get() {
            observer.gone(self.0);
        }
    }
}
