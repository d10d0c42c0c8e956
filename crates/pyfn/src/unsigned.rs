//! The rules of `numpy.uint64`, whose values do not all fit an `int` of 64 bits.
//!
//! Its bits are a word like those of other integers, but nothing that takes a word for a signed number
//! may get to see them: so it is of a class of its own, and an operation that is not named here goes
//! through Python. The rules are numpy's (NEP 50): with an unsigned number, or one of Python's, it stays
//! a `uint64`; with a signed one of numpy's it becomes a `float64`.

use crate::program::{Bin, Cmp, Un};
use crate::types::{
    Class, Dtype, FLOAT, INT, NP_BOOL, NP_FLOAT, NP_U8, NP_U16, NP_U32, NP_U64, Tags, Ty, class,
};

/// Whether a value is such a number for certain.
pub(crate) fn is_unsigned(ty: &Ty) -> bool {
    ty.tags == Tags::of(NP_U64)
}

/// Whether an integer is used as one: Python's only if it is not negative, which is looked at.
fn becomes_unsigned(tag: u8) -> bool {
    matches!(tag, INT | NP_U8 | NP_U16 | NP_U32 | NP_U64)
}

/// The tags of two operands of which one is such a number, and the other a number.
fn pair(a: &Ty, b: &Ty) -> Option<[u8; 2]> {
    if a.narrow.is_some() || b.narrow.is_some() || !is_unsigned(a) && !is_unsigned(b) {
        return None;
    }
    let tags = [a.tags.single()?, b.tags.single()?];
    let is_number = |tag: u8| matches!(class(tag), Class::Int | Class::Float | Class::Unsigned);
    tags.into_iter().all(is_number).then_some(tags)
}

/// The type of `a op b` if one of them is such a number and that is done natively.
pub(crate) fn bin(op: Bin, a: &Ty, b: &Ty) -> Option<Ty> {
    let tags = pair(a, b)?;
    let is_float = |tag: u8| class(tag) == Class::Float;
    let tag = match op {
        _ if tags.into_iter().all(becomes_unsigned) => match op {
            Bin::TrueDiv => NP_FLOAT,
            Bin::Pow | Bin::MatMul => return None,
            _ => NP_U64,
        },
        Bin::Add | Bin::Sub | Bin::Mul | Bin::TrueDiv if tags.into_iter().any(is_float) => NP_FLOAT,
        _ => return None,
    };
    Some(Ty::of(tag))
}

/// The type of `a op b`, a comparison, on the same terms.
pub(crate) fn cmp(op: Cmp, a: &Ty, b: &Ty) -> Option<Ty> {
    let tags = pair(a, b)?;
    let is_kind = |tag: u8| becomes_unsigned(tag) || matches!(tag, FLOAT | NP_FLOAT);
    let is_native =
        !matches!(op, Cmp::Is | Cmp::IsNot | Cmp::In | Cmp::NotIn) && tags.into_iter().all(is_kind);
    is_native.then(|| Ty {
        tags: Tags::of(NP_BOOL),
        ..Ty::truth()
    })
}

/// The type of `op a` on the same terms.
pub(crate) fn un(op: Un, a: &Ty) -> Option<Ty> {
    let is_native = op == Un::Invert && is_unsigned(a) && a.narrow.is_none();
    is_native.then(|| Ty::of(NP_U64))
}

/// Whether `uint64(a)` is the number itself, or an integer that is looked at.
pub(crate) fn converts(a: &Ty) -> bool {
    is_unsigned(a) || a.tags.within(Tags::INDICES) && !a.is_never()
}

/// Whether an element of that dtype may be set to such a number natively.
pub(crate) fn is_stored(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::UInt64 | Dtype::Float64)
}
