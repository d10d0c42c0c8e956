//! What the names outside a function stand for, as far as the compiler cares.

use crate::types::Ty;

/// Number of a function of a [`Unit`](crate::Unit).
pub type FunctionId = usize;

/// The value of a frozen global.
#[derive(Debug, Clone, PartialEq)]
pub enum Global {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A scalar of numpy's: its tag, and its word or the bits of its double.
    Scalar(u8, u64),
    /// `None`.
    None,
    /// Nothing: the name is not bound.
    Unbound,
    /// A function that is known by its dotted name: `math.sin`, `len`, `numpy.zeros`.
    Builtin {
        /// The dotted name; names of `builtins` without the module.
        name: String,
        /// The object.
        address: usize,
    },
    /// A function that can be called natively.
    Function {
        /// Its number.
        id: FunctionId,
        /// The object.
        address: usize,
    },
    /// Any other object, and what is known of it.
    Object {
        /// The object.
        address: usize,
        /// Its type.
        ty: Ty,
    },
}
