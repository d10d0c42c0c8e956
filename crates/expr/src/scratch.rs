//! Working memory for one pass over an expression.
//!
//! Nearly every expression is small, and a pass over a small expression is faster than an
//! allocation; so small scratch memory lies on the machine stack and only the rest on the heap.

const INLINE: usize = 64;

/// Calls `f` with `len` default values.
pub(crate) fn with_scratch<T: Copy + Default, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    if len <= INLINE {
        f(&mut [T::default(); INLINE][..len])
    } else {
        f(&mut vec![T::default(); len])
    }
}
