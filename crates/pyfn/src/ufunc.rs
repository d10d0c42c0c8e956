//! numpy's functions of one or two numbers.
//!
//! `np.exp(x[i])` in a loop is a call of numpy's for one number. What it computes is what the
//! inner loop of the function makes of one element, so that is called instead, without objects;
//! where numpy would warn, the function itself is called. Those of a `float32` have loops of their own.

use crate::types::{BOOL, FLOAT, INT, NP_BOOL, NP_F32, NP_FLOAT, NP_INT, Tags, Ty};

/// A function, as far as it concerns numbers of 64 bits and `float32`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScalarUfunc {
    /// Its name in numpy.
    pub name: &'static str,
    /// Number of its arguments.
    pub n_args: usize,
    /// Whether it says yes or no; otherwise it gives a float.
    pub is_test: bool,
    /// Whether it makes floats of integers, too.
    takes_ints: bool,
}

const fn row(name: &'static str, n_args: usize, is_test: bool, takes_ints: bool) -> ScalarUfunc {
    ScalarUfunc {
        name,
        n_args,
        is_test,
        takes_ints,
    }
}

/// All of them.
pub const SCALAR_UFUNCS: [ScalarUfunc; 50] = [
    row("sin", 1, false, true),
    row("cos", 1, false, true),
    row("tan", 1, false, true),
    row("arcsin", 1, false, true),
    row("arccos", 1, false, true),
    row("arctan", 1, false, true),
    row("sinh", 1, false, true),
    row("cosh", 1, false, true),
    row("tanh", 1, false, true),
    row("arcsinh", 1, false, true),
    row("arccosh", 1, false, true),
    row("arctanh", 1, false, true),
    row("exp", 1, false, true),
    row("exp2", 1, false, true),
    row("expm1", 1, false, true),
    row("log", 1, false, true),
    row("log2", 1, false, true),
    row("log10", 1, false, true),
    row("log1p", 1, false, true),
    row("sqrt", 1, false, true),
    row("cbrt", 1, false, true),
    row("deg2rad", 1, false, true),
    row("rad2deg", 1, false, true),
    row("radians", 1, false, true),
    row("degrees", 1, false, true),
    row("fabs", 1, false, true),
    row("floor", 1, false, false),
    row("ceil", 1, false, false),
    row("rint", 1, false, false),
    row("trunc", 1, false, false),
    row("absolute", 1, false, false),
    row("sign", 1, false, false),
    row("square", 1, false, false),
    row("reciprocal", 1, false, false),
    row("negative", 1, false, false),
    row("spacing", 1, false, false),
    row("isnan", 1, true, false),
    row("isinf", 1, true, false),
    row("isfinite", 1, true, false),
    row("signbit", 1, true, false),
    row("maximum", 2, false, false),
    row("minimum", 2, false, false),
    row("fmax", 2, false, false),
    row("fmin", 2, false, false),
    row("power", 2, false, false),
    row("arctan2", 2, false, false),
    row("hypot", 2, false, false),
    row("copysign", 2, false, false),
    row("logaddexp", 2, false, false),
    row("nextafter", 2, false, false),
];

/// Whether a function is one of `float32`: numbers of Python's own become such beside one.
pub(crate) fn is_single(args: &[Tags]) -> bool {
    let is_single = |tags: &Tags| *tags == Tags::of(NP_F32);
    let is_weak = |tags: &Tags| [FLOAT, INT].map(Tags::of).contains(tags);
    args.iter().any(is_single) && args.iter().all(|tags| is_single(tags) || is_weak(tags))
}

/// The function of that name, if it is one of such numbers.
pub(crate) fn of_numbers(name: &str, args: &[Ty]) -> Option<(&'static ScalarUfunc, Ty)> {
    let found = SCALAR_UFUNCS.iter().find(|known| known.name == name)?;
    let is_float = |ty: &Ty| ty.tags.within(Tags(1 << FLOAT | 1 << NP_FLOAT));
    let is_int = |ty: &Ty| ty.tags.within(Tags(1 << INT | 1 << NP_INT));
    let is_number = |ty: &Ty| !ty.is_never() && (is_float(ty) || is_int(ty));
    let tags = args.iter().map(|ty| ty.tags).collect::<Vec<_>>();
    let is_single = is_single(&tags);
    let is_wide = args.iter().all(is_number) && (found.takes_ints || args.iter().any(is_float));
    let fits = args.len() == found.n_args && (is_single || is_wide);
    let truth = Ty {
        natural: true,
        room: Ty::of(BOOL).int_room(),
        ..Ty::of(NP_BOOL)
    };
    let result = if found.is_test {
        truth
    } else {
        Ty::of(if is_single { NP_F32 } else { NP_FLOAT })
    };
    fits.then_some((found, result))
}
