//! What numpy's functions and methods of whole arrays give.
//!
//! These are guesses: Python calls them, and what comes back is looked at before it is used. A right
//! guess makes what follows native, `m = np.mean(x)` a double and `y = x.astype(np.float32)` an array
//! whose elements are read in place.

use crate::globals::Global;
use crate::program::Atom;
use crate::rules::{dtype_of, new_array};
use crate::types::{ArrayTy, Dtype, Form, INT, NP_FLOAT, NP_INT, Tags, Ty};

/// numpy's functions of whole arrays that something is known of.
pub const ARRAY_FUNCTIONS: &[&str] = &[
    "array",
    "sum",
    "prod",
    "mean",
    "median",
    "std",
    "var",
    "max",
    "min",
    "amax",
    "amin",
    "any",
    "all",
    "argmax",
    "argmin",
    "dot",
    "vdot",
    "inner",
    "searchsorted",
    "sort",
    "cumsum",
    "clip",
];

/// What is left of some dimensions of an array by a reduction.
enum Axis {
    /// Nothing.
    All,
    /// All but one.
    One,
}

/// The axis that named arguments tell, if they tell nothing else.
fn axis_of(named: &[(String, Atom)]) -> Option<Axis> {
    match named {
        [] => Some(Axis::All),
        [(name, Atom::Int(_))] if name == "axis" => Some(Axis::One),
        _ => None,
    }
}

/// The dtype of a reduction.
fn reduced(name: &str, of: Dtype) -> Option<Dtype> {
    let is_float = matches!(of, Dtype::Float32 | Dtype::Float64);
    let is_complex = of == Dtype::Complex128;
    let is_signed = matches!(
        of,
        Dtype::Int8 | Dtype::Int16 | Dtype::Int32 | Dtype::Int64 | Dtype::Bool
    );
    match name {
        "max" | "min" | "amax" | "amin" => Some(of),
        "sum" | "prod" | "mean" if is_float || is_complex => Some(of),
        "sum" | "prod" if is_signed => Some(Dtype::Int64),
        "sum" | "prod" => Some(Dtype::UInt64),
        "std" | "var" if is_float => Some(of),
        "mean" | "std" | "var" => Some(Dtype::Float64),
        "median" => Some(if is_float { of } else { Dtype::Float64 }),
        "any" | "all" => Some(Dtype::Bool),
        "argmax" | "argmin" => Some(Dtype::Int64),
        _ => None,
    }
}

fn reduction(name: &str, of: ArrayTy, named: &[(String, Atom)]) -> Option<Ty> {
    let dtype = reduced(name, of.dtype)?;
    let ndim = match axis_of(named)? {
        Axis::All => 0,
        Axis::One => of.ndim.checked_sub(1)?,
    };
    Some(if ndim == 0 {
        dtype.element()?.boxed()
    } else {
        new_array(dtype, ndim).boxed()
    })
}

/// What a function of a name gives for such arguments; `None` if nobody knows.
pub(crate) fn function(name: &str, args: &[Ty], named: &[(String, Atom)]) -> Option<Ty> {
    let first = args.first()?;
    if let (Some(of), [_]) = (first.array(), args)
        && let Some(ty) = reduction(name, of, named)
    {
        return Some(ty);
    }
    if !named.is_empty() {
        return None;
    }
    match (name, args) {
        ("dot" | "vdot" | "inner", [a, b]) => product(a, b),
        ("searchsorted", [a, b]) if a.array().is_some() && b.array().is_none() => {
            let is_number = b.tags.within(Tags::NUMBERS) && !b.is_never();
            is_number.then(|| Ty::of(NP_INT).boxed())
        }
        ("absolute" | "abs" | "sort" | "square", [a]) => {
            let of = a
                .array()
                .filter(|of| of.ndim > 0 && of.dtype != Dtype::Bool)?;
            let is_size = matches!(name, "absolute" | "abs");
            let dtype = match of.dtype {
                Dtype::Complex128 if is_size => Dtype::Float64,
                dtype => dtype,
            };
            Some(new_array(dtype, of.ndim).boxed())
        }
        ("cumsum", [a]) => {
            let of = a.array().filter(|of| of.ndim == 1)?;
            Some(new_array(reduced("sum", of.dtype)?, 1).boxed())
        }
        ("clip", [a, low, high]) => {
            let of = a
                .array()
                .filter(|of| of.dtype == Dtype::Float64 && of.ndim > 0)?;
            let is_number = |ty: &Ty| ty.tags.within(Tags::NUMBERS) && !ty.is_never();
            (is_number(low) && is_number(high)).then(|| new_array(of.dtype, of.ndim).boxed())
        }
        ("array", [a]) => {
            let (mut element, mut ndim) = (a.list()?, 1);
            while let Some(inner) = element.list() {
                (element, ndim) = (inner, ndim + 1);
            }
            let dtype = if element.tags.any(Tags::FLOATS) && element.tags.within(Tags::NUMBERS) {
                Dtype::Float64
            } else if element.tags.within(Tags(1 << INT | 1 << NP_INT)) && !element.is_never() {
                Dtype::Int64
            } else {
                return None;
            };
            let is_narrow = element.tags.any(Tags::NARROW);
            (!is_narrow).then(|| new_array(dtype, ndim).boxed())
        }
        ("isnan" | "isinf" | "isfinite", [a]) => {
            let of = a.array().filter(|of| of.ndim > 0)?;
            Some(new_array(Dtype::Bool, of.ndim).boxed())
        }
        _ => None,
    }
}

/// A product of vectors or matrices of floats.
pub(crate) fn product(a: &Ty, b: &Ty) -> Option<Ty> {
    let (a, b) = (a.array()?, b.array()?);
    if a.dtype != Dtype::Float64 || b.dtype != Dtype::Float64 {
        return None;
    }
    match (a.ndim, b.ndim) {
        (1, 1) => Some(Ty::of(NP_FLOAT).boxed()),
        (1, 2) | (2, 1) => Some(new_array(Dtype::Float64, 1).boxed()),
        (2, 2) => Some(new_array(Dtype::Float64, 2).boxed()),
        _ => None,
    }
}

/// What a method of an array gives.
pub(crate) fn method(
    globals: &[Global],
    of: ArrayTy,
    name: &str,
    atoms: &[Atom],
    args: &[Ty],
    named: &[(String, Atom)],
) -> Option<Ty> {
    if args.is_empty()
        && let Some(ty) = reduction(name, of, named)
    {
        return Some(ty);
    }
    if !named.is_empty() {
        return None;
    }
    match (name, args) {
        ("copy" | "conj", []) => Some(new_array(of.dtype, of.ndim).boxed()),
        ("astype", [_]) => {
            let dtype = dtype_of(globals, atoms.first()?)?;
            Some(new_array(dtype, of.ndim).boxed())
        }
        ("flatten", []) => Some(new_array(of.dtype, 1).boxed()),
        ("ravel", []) if of.contiguous => {
            Some(Ty::object(Form::Array(ArrayTy { ndim: 1, ..of })).boxed())
        }
        ("reshape", parts) => {
            let is_int = |ty: &Ty| ty.tags.within(Tags::INDICES) && !ty.is_never();
            let ndim = match parts {
                [shape] if shape.parts().is_some() => shape.parts()?.len(),
                _ => parts.iter().all(is_int).then_some(parts.len())?,
            };
            let shaped = ArrayTy { ndim, ..of };
            (of.contiguous && ndim > 0).then(|| Ty::object(Form::Array(shaped)).boxed())
        }
        ("dot", [b]) => product(&Ty::object(Form::Array(of)), b),
        _ => None,
    }
}
