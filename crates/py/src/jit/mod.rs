//! `opcodon._core.jit`: Python functions as machine code.
//!
//! What a function means is `opcodon-pyfn`'s business and Python's; here is what ties the two: the
//! class that is called ([`function`]), what generated code calls ([`calls`]), how it leaves
//! ([`leave`]), and where this interpreter's objects have their fields ([`layout`]).
//!
//! # Invariant
//! Everything here runs with the interpreter lock held, which is what makes it exclusive; but rows
//! of arrays on several threads ([`threads`], [`whole`]) and calls without the lock ([`lock`]), which touch
//! no object.
#![allow(
    unsafe_code,
    reason = "generated code works on Python's objects by their addresses"
)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "all of it rests on one fact: the lock is held and the objects are alive"
)]

mod argument;
mod calls;
mod catch;
mod class_layout;
mod classes;
mod function;
mod globals;
mod group;
mod integers;
mod kind;
mod layout;
mod leave;
mod lock;
mod members;
mod scalars;
mod seen;
mod side;
mod table;
mod texts;
mod threads;
mod ufunc;
mod unboxed;
mod whole;

use pyo3::prelude::*;

pub(crate) use function::{Function, Number};

/// Fills the submodule.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(ufunc::ufunc, module)?)?;
    module.add_class::<function::Function>()
}
