//! Stands in for forks on operating systems for which there are none.

/// What is run before or after a fork.
type Handler = Option<unsafe extern "C" fn()>;

/// Has nothing run: there are no forks.
pub(crate) fn at_fork(_before: Handler, _after: Handler) {}
