//! What operations make of types.
//!
//! Each rule is about one pair of tags; a pair that has no result here is left to Python when it
//! occurs. Operations on other objects have a result whenever Python has one, and are then done
//! through its own interface.
//!
//! numpy's scalars follow numpy: whatever meets one of them becomes one, and where numpy would warn
//! (division by zero, an integer that overflows) the function is left before.

use crate::arrays;
use crate::globals::Global;
use crate::program::{Atom, Bin, Cmp, Un};
use crate::types::{
    ArrayTy, BOOL, CHAR, COMPLEX, Class, Dtype, FLOAT, Form, INT, NONE, NP_BOOL, NP_COMPLEX,
    NP_F32, NP_FLOAT, NP_INT, NP_U64, NUMPY, OBJECT, RANGE, TUPLE, Tags, Ty, class,
};
use crate::ufunc::{self, ScalarUfunc};
use crate::unsigned;

/// The tag of `a op b`; `power` is the exponent where it is written in the program.
pub(crate) fn bin_tag(op: Bin, a: u8, b: u8, power: Option<i64>) -> Option<u8> {
    let numpy = (a | b) & NUMPY;
    let np_bool = a == NP_BOOL || b == NP_BOOL;
    let ints = class(a) == Class::Int && class(b) == Class::Int;
    let numbers = |class: Class| class == Class::Int || class == Class::Float;
    let has_np_int = |tag: u8| tag & NUMPY != 0 && class(tag) == Class::Int;
    if !numbers(class(a)) || !numbers(class(b)) {
        return None;
    }
    match op {
        Bin::Add | Bin::Sub | Bin::Mul => {
            let truths = matches!(a, BOOL | NP_BOOL) && matches!(b, BOOL | NP_BOOL);
            if np_bool && truths {
                return None;
            }
            Some(numpy | if ints { INT } else { FLOAT })
        }
        Bin::TrueDiv => (!np_bool).then_some(numpy | FLOAT),
        Bin::FloorDiv | Bin::Mod => (!np_bool).then_some(numpy | if ints { INT } else { FLOAT }),
        Bin::Pow if np_bool => None,
        // Of numpy's integers and a float: as an array's, by other code than the C library's.
        Bin::Pow if !ints => (!has_np_int(a) && !has_np_int(b)).then_some(numpy | FLOAT),
        Bin::Pow => match power {
            Some(power) if power < 0 => (numpy == 0).then_some(FLOAT),
            _ => Some(numpy | INT),
        },
        Bin::LShift | Bin::RShift => (ints && !np_bool).then_some(numpy | INT),
        Bin::And | Bin::Or | Bin::Xor => ints.then_some(a | b),
        Bin::MatMul => None,
    }
}

/// Whether values of two tags are never the same object: both tell the class, and it is another.
pub(crate) fn differ(a: u8, b: u8) -> bool {
    a != b && a != OBJECT && b != OBJECT
}

/// Whether such values can be asked whether they are the same object. Numbers and tuples in
/// registers have no object, or one each time.
pub(crate) fn have_identity(a: &Ty, b: &Ty) -> bool {
    let mut pairs = a
        .tags
        .iter()
        .flat_map(|a| b.tags.iter().map(move |b| (a, b)));
    pairs.all(|(a, b)| cmp_tag(Cmp::Is, a, b).is_some())
}

/// The tag of `a op b`, a truth value.
pub(crate) fn cmp_tag(op: Cmp, a: u8, b: u8) -> Option<u8> {
    let numbers = |tag: u8| matches!(class(tag), Class::Int | Class::Float);
    match op {
        Cmp::Is | Cmp::IsNot => {
            let known = |tag: u8| matches!(tag, NONE | BOOL | OBJECT);
            (known(a) && known(b) || differ(a, b)).then_some(BOOL)
        }
        Cmp::In | Cmp::NotIn => None,
        Cmp::Eq | Cmp::Ne if a == NONE || b == NONE => {
            let other = if a == NONE { b } else { a };
            (other == NONE || other & NUMPY == 0 && numbers(other)).then_some(BOOL)
        }
        _ => (numbers(a) && numbers(b)).then_some(BOOL | (a | b) & NUMPY),
    }
}

/// The tag of `op a`.
pub(crate) fn un_tag(op: Un, a: u8) -> Option<u8> {
    match (op, a) {
        (Un::Not, NONE) => Some(BOOL),
        (Un::Not, _) => matches!(class(a), Class::Int | Class::Float).then_some(BOOL),
        (Un::Neg | Un::Pos, INT | FLOAT | NP_INT | NP_FLOAT | NP_F32) => Some(a),
        (Un::Neg | Un::Pos, BOOL) => Some(INT),
        (Un::Invert, INT | NP_INT | NP_BOOL) => Some(a),
        _ => None,
    }
}

/// The tag of `a op b` where one of them is a scalar of numpy's of less than 64 bits: numpy's
/// promotion, in which Python's own numbers are weak.
fn narrow_tag(op: Bin, a: u8, b: u8) -> Option<u8> {
    let is_float = |tag: u8| class(tag) == Class::Float;
    let size = |tag: u8| Dtype::of_tag(tag).map_or(8, Dtype::size);
    let is_unsigned = |tag: u8| {
        let dtype = Dtype::of_tag(tag);
        matches!(dtype, Some(Dtype::UInt8 | Dtype::UInt16 | Dtype::UInt32))
    };
    let is_weak = |tag: u8| matches!(tag, BOOL | INT | FLOAT);
    if a == NP_BOOL || b == NP_BOOL {
        return None;
    }
    let both_ints = !is_float(a) && !is_float(b);
    match op {
        Bin::Add | Bin::Sub | Bin::Mul => {}
        Bin::TrueDiv if both_ints => return Some(NP_FLOAT),
        Bin::TrueDiv => {}
        Bin::FloorDiv | Bin::Mod | Bin::And | Bin::Or | Bin::Xor if both_ints => {}
        _ => return None,
    }
    if a == b {
        return Some(a);
    }
    if is_weak(a) || is_weak(b) {
        let (weak, strong) = if is_weak(a) { (a, b) } else { (b, a) };
        return Some(if weak == FLOAT && !is_float(strong) {
            NP_FLOAT
        } else {
            strong
        });
    }
    if is_float(a) || is_float(b) {
        let fits = |tag: u8| tag == NP_F32 || !is_float(tag) && size(tag) <= 2;
        return Some(if fits(a) && fits(b) { NP_F32 } else { NP_FLOAT });
    }
    let (big, small) = if size(a) >= size(b) { (a, b) } else { (b, a) };
    if is_unsigned(a) == is_unsigned(b) || !is_unsigned(big) && size(big) > size(small) {
        return Some(big);
    }
    let wider = match size(if is_unsigned(a) { a } else { b }) {
        1 => Dtype::Int16,
        2 => Dtype::Int32,
        _ => Dtype::Int64,
    };
    wider.tag()
}

/// The tag of `a op b` where one of them may be such a scalar; `None` if none is, and then
/// `Some(None)` if it depends on more than the types, so that Python has to do it.
pub(crate) fn narrow(op: Bin, a: &Ty, b: &Ty) -> Option<Option<u8>> {
    if !a.tags.or(b.tags).any(Tags::NARROW) {
        return None;
    }
    let mut pairs = a
        .tags
        .iter()
        .flat_map(|a| b.tags.iter().map(move |b| (a, b)));
    let is_number = |tag: u8| Tags::of(tag).within(Tags::NUMBERS);
    let is_narrow = |tag: u8| Tags::of(tag).within(Tags::NARROW);
    let tag_of = |(a, b): (u8, u8)| {
        let is_known = is_number(a) && is_number(b) && (is_narrow(a) || is_narrow(b));
        is_known.then(|| narrow_tag(op, a, b)).flatten()
    };
    let first = pairs.next().and_then(tag_of);
    let same = pairs.all(|pair| tag_of(pair) == first);
    Some(first.filter(|_| same))
}

/// Whether numbers are compared as `numpy.float32`; `None` if that depends on more than the types.
pub(crate) fn compares_single(a: &Ty, b: &Ty) -> Option<bool> {
    let mut all = [false; 2];
    for a in a.tags.iter() {
        for b in b.tags.iter() {
            let other = match (a, b) {
                (NP_F32, NP_F32) => continue,
                (NP_F32, other) | (other, NP_F32) => other,
                _ => NP_FLOAT,
            };
            all[usize::from(matches!(other, FLOAT | INT | BOOL))] = true;
        }
    }
    (!(all[0] && all[1])).then_some(all[1])
}

/// Whether a value is a complex number for certain.
pub(crate) fn is_complex(ty: &Ty) -> bool {
    ty.tags.within(Tags::COMPLEXES) && !ty.is_never()
}

/// Whether one of two numbers is complex for certain, and the other is one or becomes one.
pub(crate) fn is_complex_pair(a: &Ty, b: &Ty) -> bool {
    let kinds = [FLOAT, INT, BOOL, NP_FLOAT, NP_INT].map(Tags::of);
    let is_kind = |ty: &Ty| is_complex(ty) || kinds.contains(&ty.tags);
    is_kind(a) && is_kind(b) && (is_complex(a) || is_complex(b))
}

/// The tag of an operation on two such numbers: `complex` takes a `float64` on its right for a `float`.
fn complex_tag(a: u8, b: u8) -> u8 {
    let is_python = |tag: u8| matches!(tag, COMPLEX | FLOAT | INT | BOOL);
    if is_python(a) && (is_python(b) || b == NP_FLOAT && a == COMPLEX) {
        COMPLEX
    } else {
        NP_COMPLEX
    }
}

/// The type of a part of complex numbers, or of their sizes.
pub(crate) fn part_of_complex(of: &Ty) -> Ty {
    let part = |tag: u8| if tag == COMPLEX { FLOAT } else { NP_FLOAT };
    let parts = of.tags.iter().map(|tag| Tags::of(part(tag)));
    Ty::tags(parts.fold(Tags::default(), Tags::or))
}

/// Whether such a power of a complex number is done by multiplication.
pub(crate) fn is_complex_power(power: i64) -> bool {
    (1..=8).contains(&power)
}

/// Whether two numbers, one of them complex, are compared natively: no integer among them is so
/// large that it is not a double.
pub(crate) fn compares_complex(op: Cmp, a: &Ty, b: &Ty) -> bool {
    let is_double = |ty: &Ty| ty.tags != Tags::of(INT) || ty.room >= 10;
    let is_python = |ty: &Ty| !ty.tags.any(Tags::NUMPY);
    matches!(op, Cmp::Eq | Cmp::Ne)
        && is_complex_pair(a, b)
        && [a, b].into_iter().all(|ty| is_double(ty) && is_python(ty))
}

/// Whether Python has to do an operation on two values.
pub(crate) fn bin_is_boxed(op: Bin, a: &Ty, b: &Ty) -> bool {
    let is_known = unsigned::bin(op, a, b).is_some();
    !is_known && (is_boxed(a) || is_boxed(b) || narrow(op, a, b) == Some(None))
}

/// Whether Python has to compare two values.
pub(crate) fn cmp_is_boxed(a: &Ty, b: &Ty) -> bool {
    unsigned::cmp(Cmp::Eq, a, b).is_none()
        && (is_boxed(a) || is_boxed(b) || compares_single(a, b).is_none())
}

/// Whether Python has to do an operation on one value.
pub(crate) fn un_is_boxed(op: Un, a: &Ty) -> bool {
    let narrow_ints = Tags(Tags::NARROW.0 & !Tags::of(NP_F32).0);
    unsigned::un(op, a).is_none() && (is_boxed(a) || op != Un::Not && a.tags.any(narrow_ints))
}

/// The union of what a rule makes of all pairs of tags.
pub(crate) fn pairs(a: Tags, b: Tags, rule: impl Fn(u8, u8) -> Option<u8>) -> Tags {
    let mut tags = Tags::default();
    for a in a.iter() {
        for b in b.iter() {
            if let Some(tag) = rule(a, b) {
                tags = tags.or(Tags::of(tag));
            }
        }
    }
    tags
}

/// Whether an operation on such values goes through Python's own interface.
pub(crate) fn is_boxed(ty: &Ty) -> bool {
    let boxed = Tags::of(OBJECT).or(Tags::of(TUPLE));
    let others = Tags(1 << RANGE | 1 << CHAR).or(Tags::COMPLEXES);
    ty.tags.any(boxed.or(others).or(Tags::UNSIGNED))
}

/// The dtype of an operation on arrays and numbers, where it is easily told.
fn common_dtype(a: &Ty, b: &Ty) -> Option<(Dtype, usize)> {
    let rank = |ty: &Ty| match (ty.array(), ty.tags.single()) {
        (Some(array), _) => match array.dtype {
            Dtype::Complex128 => Some((3, array.ndim)),
            Dtype::Float64 => Some((2, array.ndim)),
            Dtype::Int64 => Some((1, array.ndim)),
            Dtype::Bool => Some((0, array.ndim)),
            _ => None,
        },
        (None, Some(tag)) if Tags::of(tag).any(Tags::NARROW) => None,
        (None, Some(tag)) => match class(tag) {
            Class::Complex => Some((3, 0)),
            Class::Float => Some((2, 0)),
            Class::Int if tag == BOOL || tag == NP_BOOL => Some((0, 0)),
            Class::Int => Some((1, 0)),
            _ => None,
        },
        _ => None,
    };
    let (a, b) = (rank(a)?, rank(b)?);
    let ranks = [Dtype::Bool, Dtype::Int64, Dtype::Float64, Dtype::Complex128];
    let dtype = ranks[a.0.max(b.0)];
    Some((dtype, a.1.max(b.1)))
}

/// A new array.
pub(crate) fn new_array(dtype: Dtype, ndim: usize) -> Ty {
    Ty::object(Form::Array(ArrayTy {
        dtype,
        ndim,
        contiguous: true,
        writable: true,
    }))
}

/// The type of `a op b`; `None` if it is always left to Python.
pub(crate) fn bin(op: Bin, a: &Ty, b: &Ty, power: Option<i64>) -> Option<Ty> {
    if is_complex_pair(a, b) {
        let complex = Ty::tags(pairs(a.tags, b.tags, |a, b| Some(complex_tag(a, b))));
        let is_native = match op {
            Bin::Add | Bin::Sub | Bin::Mul => true,
            Bin::TrueDiv => complex.tags.single().is_some(),
            Bin::Pow if b.tags != Tags::of(INT) => false,
            Bin::Pow if complex.tags == Tags::of(COMPLEX) => power.is_some_and(is_complex_power),
            Bin::Pow => complex.tags == Tags::of(NP_COMPLEX) && power == Some(2),
            _ => return Some(Ty::of(OBJECT)),
        };
        return Some(if is_native { complex } else { complex.boxed() });
    }
    if let Some(ty) = unsigned::bin(op, a, b) {
        return Some(ty);
    }
    if is_boxed(a) || is_boxed(b) {
        if a.array().is_some() || b.array().is_some() {
            let Some((dtype, ndim)) = common_dtype(a, b) else {
                return Some(Ty::of(OBJECT));
            };
            return Some(match (op, dtype) {
                (Bin::MatMul, _) => arrays::product(a, b).unwrap_or_else(|| Ty::of(OBJECT)),
                (_, Dtype::Bool) => Ty::of(OBJECT),
                (Bin::TrueDiv, Dtype::Int64) => new_array(Dtype::Float64, ndim).boxed(),
                _ => new_array(dtype, ndim).boxed(),
            });
        }
        let (a, b) = (&a.without_chars(), &b.without_chars());
        let form = match (&a.form, &b.form, op) {
            (Form::List(x), Form::List(y), Bin::Add) => Form::List(Box::new(x.join(y))),
            (Form::List(_), Form::Any, Bin::Mul) if b.tags == Tags::of(INT) => a.form.clone(),
            (Form::Any, Form::List(_), Bin::Mul) if a.tags == Tags::of(INT) => b.form.clone(),
            (Form::Str, Form::Str, Bin::Add) if a.is_text() && b.is_text() => Form::Str,
            (Form::Str, Form::Any, Bin::Mul) if b.tags == Tags::of(INT) => Form::Str,
            _ => Form::Any,
        };
        return Some(Ty::object(form));
    }
    match narrow(op, a, b) {
        None => {}
        Some(None) => return Some(Ty::of(OBJECT)),
        Some(Some(tag)) => return Dtype::of_tag(tag).and_then(Dtype::element),
    }
    let tags = pairs(a.tags, b.tags, |a, b| bin_tag(op, a, b, power));
    let natural = match op {
        Bin::Add | Bin::Mul | Bin::FloorDiv | Bin::Or | Bin::Xor => a.natural && b.natural,
        Bin::And => a.natural || b.natural,
        Bin::Mod => b.natural,
        Bin::LShift | Bin::RShift | Bin::Pow => a.natural,
        _ => false,
    };
    let result = Ty {
        natural,
        room: room(op, a, b, power),
        ..Ty::tags(tags)
    };
    (!tags.is_empty()).then_some(result)
}

/// Whether a factor that is written in the program is so small that products may have a bit to spare.
pub(crate) fn spares_a_bit(constant: i64) -> bool {
    (2..1 << 32).contains(&constant)
}

/// Whether a sum, difference or product cannot go beyond 64 bits.
pub(crate) fn fits(op: Bin, a: &Ty, b: &Ty, constant: Option<i64>) -> bool {
    let (x, y) = (a.int_room(), b.int_room());
    let is_sum = matches!(op, Bin::Add | Bin::Sub);
    // 2^62 and a little more.
    is_sum && x.min(y) >= 1 && x.max(y) >= 3 || room(op, a, b, constant) > 0
}

/// The room of the integers `a op b`, if they are computed modulo 2^64. If there is any, the
/// operation cannot go beyond 64 bits.
pub(crate) fn room(op: Bin, a: &Ty, b: &Ty, constant: Option<i64>) -> u8 {
    let (x, y) = (a.int_room(), b.int_room());
    let constant = constant.and_then(|constant| u8::try_from(constant).ok());
    match op {
        Bin::Or | Bin::Xor if a.natural && b.natural => x.min(y),
        Bin::Sub if a.natural && b.natural => x.min(y),
        Bin::Add | Bin::Sub | Bin::Or | Bin::Xor => x.min(y).saturating_sub(1),
        Bin::Mul => (x + y).saturating_sub(63),
        Bin::FloorDiv | Bin::RShift => x,
        Bin::Mod => y,
        Bin::And => match (a.natural, b.natural) {
            (true, true) => x.max(y),
            (true, false) => x,
            (false, true) => y,
            (false, false) => x.min(y).saturating_sub(1),
        },
        Bin::LShift => constant.map_or(0, |by| x.saturating_sub(by)),
        Bin::Pow => constant.map_or(0, |n| {
            let bits = u32::from(63 - x) * u32::from(n);
            u8::try_from(63_u32.saturating_sub(bits.max(1))).unwrap_or(0)
        }),
        Bin::TrueDiv | Bin::MatMul => 0,
    }
}

/// The type `ty` of `a op b` where integers wrap around: one that may have done so has any sign.
pub(crate) fn wrapped(op: Bin, a: &Ty, b: &Ty, constant: Option<i64>, ty: Ty) -> Ty {
    let may_wrap = match op {
        Bin::Add | Bin::Sub | Bin::Mul => !fits(op, a, b, constant),
        Bin::LShift => room(op, a, b, constant) == 0,
        _ => false,
    };
    Ty {
        natural: ty.natural && !(may_wrap && ty.tags.any(Tags::INTS)),
        ..ty
    }
}

/// The type of `a op b`, a comparison.
pub(crate) fn cmp(op: Cmp, a: &Ty, b: &Ty) -> Option<Ty> {
    let truth = |tags: Tags| Ty {
        natural: true,
        room: 62,
        ..Ty::tags(tags)
    };
    if matches!(op, Cmp::In | Cmp::NotIn) {
        return Some(truth(Tags::of(BOOL)));
    }
    let tags = pairs(a.tags, b.tags, |a, b| cmp_tag(op, a, b));
    if matches!(op, Cmp::Is | Cmp::IsNot) {
        return (!tags.is_empty()).then(|| truth(tags));
    }
    if compares_complex(op, a, b) || a.is_text() && b.is_text() {
        return Some(truth(Tags::of(BOOL)));
    }
    if let Some(ty) = unsigned::cmp(op, a, b) {
        return Some(ty);
    }
    if is_boxed(a) || is_boxed(b) {
        // Arrays compare element by element, and so may what is not known.
        let plain = |ty: &Ty| {
            let scalar = !is_boxed(ty) && !ty.tags.any(Tags::NUMPY);
            scalar || !matches!(ty.form, Form::Array(_))
        };
        let result = truth(Tags::of(BOOL)).boxed();
        return Some(if plain(a) && plain(b) {
            result
        } else {
            match common_dtype(a, b) {
                Some((_, ndim)) if ndim > 0 => new_array(Dtype::Bool, ndim).boxed(),
                _ => Ty::of(OBJECT),
            }
        });
    }
    if compares_single(a, b).is_none() {
        return Some(Ty::of(OBJECT));
    }
    (!tags.is_empty()).then(|| truth(tags))
}

/// The type of `op a`.
pub(crate) fn un(op: Un, a: &Ty) -> Option<Ty> {
    if is_complex(a) && matches!(op, Un::Neg | Un::Pos) {
        return Some(a.clone());
    }
    if let Some(ty) = unsigned::un(op, a) {
        return Some(ty);
    }
    if un_is_boxed(op, a) {
        return Some(match (op, a.array()) {
            (Un::Not, _) => Ty::truth(),
            (_, Some(array)) => new_array(array.dtype, array.ndim).boxed(),
            _ => Ty::of(OBJECT),
        });
    }
    let mut tags = Tags::default();
    for tag in a.tags.iter().filter_map(|tag| un_tag(op, tag)) {
        tags = tags.or(Tags::of(tag));
    }
    let (natural, room) = match op {
        Un::Not => (true, 62),
        Un::Pos => (a.natural, a.room),
        Un::Neg => (false, a.room),
        Un::Invert => (false, a.room.saturating_sub(1)),
    };
    (!tags.is_empty()).then(|| Ty {
        natural,
        room,
        ..Ty::tags(tags)
    })
}

/// How a call of a known function is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Intrinsic {
    /// A function of the C library from `double` to `double`, by its place in the runtime's table.
    Libm(&'static str),
    /// Such a function of two arguments.
    Libm2(&'static str),
    Sqrt,
    Fabs,
    /// To an integer.
    Floor,
    Ceil,
    Trunc,
    /// To a double.
    FloorFloat,
    CeilFloat,
    Copysign,
    IsNan,
    IsInf,
    IsFinite,
    Scale(f64),
    Abs,
    Min,
    Max,
    Len,
    /// The sum of a list of integers that only its function sees.
    SumOwn,
    Ord,
    Chr,
    /// The number that a character is the digit of.
    Digit,
    /// The argument itself.
    Same,
    /// A number as text.
    Text,
    Complex,
    AbsComplex,
    ToInt,
    ToFloat,
    ToNumpyFloat,
    ToNumpyInt,
    /// To a scalar of numpy's of less than 64 bits, if it is one.
    ToNarrow(Dtype),
    ToUnsigned,
    ToBool,
    Divmod,
    Pow,
    /// A function of integers, by its place in the runtime's table.
    OfInts(&'static str),
    /// To the next integer, of two the even one.
    Round,
    BitLength,
    BitCount,
    Range,
    /// `numpy.searchsorted` of a number.
    SearchSorted,
    /// A function of numpy's.
    Ufunc(&'static ScalarUfunc),
    /// Through Python.
    Boxed,
}

/// Functions of the `math` module that are those of the C library.
pub const LIBM: &[&str] = &[
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
    "exp", "expm1", "log", "log2", "log10", "log1p", "exp2", "cbrt", "erf", "erfc",
];

/// The dtype that an argument names.
pub(crate) fn dtype_of(globals: &[Global], atom: &Atom) -> Option<Dtype> {
    if let Atom::Str(name) = atom {
        return Dtype::ALL.into_iter().find(|dtype| dtype.name() == name);
    }
    let Atom::Global(index) = atom else {
        return None;
    };
    let Global::Builtin { name, .. } = &globals[*index] else {
        return None;
    };
    match name.as_str() {
        "float" => Some(Dtype::Float64),
        "int" => Some(Dtype::Int64),
        "complex" => Some(Dtype::Complex128),
        "bool" | "numpy.bool_" => Some(Dtype::Bool),
        _ => {
            let name = name.strip_prefix("numpy.")?;
            Dtype::ALL.into_iter().find(|dtype| dtype.name() == name)
        }
    }
}

fn is_number(ty: &Ty) -> bool {
    ty.tags.within(Tags::NUMBERS) && !ty.is_never()
}

/// Whether a value is one of Python's own real numbers.
fn is_real(ty: &Ty) -> bool {
    let kinds = Tags(1 << BOOL | 1 << INT | 1 << FLOAT);
    ty.tags.within(kinds) && !ty.is_never()
}

fn is_int(ty: &Ty) -> bool {
    let ints = Tags::of(INT).or(Tags::of(BOOL)).or(Tags::of(NP_INT));
    ty.tags.within(ints) && !ty.is_never()
}

/// The same for functions of integers that the runtime has.
fn of_ints(name: &str, args: &[Ty]) -> Option<(Intrinsic, Ty)> {
    let plain = Tags::of(INT).or(Tags::of(BOOL));
    let (name, room) = match (name, args) {
        ("math.gcd", [_, _]) => ("gcd", 0),
        ("math.isqrt", [_]) => ("isqrt", 31),
        ("math.factorial", [_]) => ("factorial", 0),
        ("pow", [_, _, modulus]) => ("pow", modulus.room),
        _ => return None,
    };
    let fits = args
        .iter()
        .all(|ty| ty.tags.within(plain) && !ty.is_never());
    let natural = name != "pow" || args[2].natural;
    let result = Ty {
        natural,
        room,
        ..Ty::of(INT)
    };
    fits.then_some((Intrinsic::OfInts(name), result))
}

/// How a method of an integer is called that needs no object.
pub(crate) fn method_of_int(
    of: &Ty,
    name: &str,
    args: &[Atom],
    named: &[(String, Atom)],
) -> Option<Intrinsic> {
    let is_int = of.tags.within(Tags::of(INT).or(Tags::of(BOOL))) && !of.is_never();
    let how = match name {
        "bit_length" => Intrinsic::BitLength,
        "bit_count" => Intrinsic::BitCount,
        _ => return None,
    };
    (is_int && args.is_empty() && named.is_empty()).then_some(how)
}

/// How a function of a dotted name is called with such arguments, and what it gives.
pub(crate) fn call(
    globals: &[Global],
    name: &str,
    atoms: &[Atom],
    args: &[Ty],
    named: &[(String, Atom)],
) -> (Intrinsic, Ty) {
    let boxed = (Intrinsic::Boxed, Ty::of(OBJECT));
    if let Some(function) = name.strip_prefix("numpy.") {
        return numpy_call(globals, function, atoms, args, named).unwrap_or(boxed);
    }
    if !named.is_empty() {
        return boxed;
    }
    let numbers = args.iter().all(is_number);
    let float = Ty::of(FLOAT);
    let truth = Ty::truth();
    if let Some(found) = of_ints(name, args) {
        return found;
    }
    if let Some(function) = name.strip_prefix("math.") {
        let known = LIBM.iter().find(|&&known| known == function);
        return match (function, args) {
            _ if !numbers => (Intrinsic::Boxed, boxed.1),
            (_, [_]) if known.is_some() => (Intrinsic::Libm(known.unwrap_or(&"")), float),
            ("sqrt", [_]) => (Intrinsic::Sqrt, float),
            ("fabs", [_]) => (Intrinsic::Fabs, float),
            ("degrees", [_]) => (Intrinsic::Scale(180.0 / std::f64::consts::PI), float),
            ("radians", [_]) => (Intrinsic::Scale(std::f64::consts::PI / 180.0), float),
            ("floor" | "ceil" | "trunc", [a]) if a.tags.within(Tags::FLOATS) => {
                let how = match function {
                    "floor" => Intrinsic::Floor,
                    "ceil" => Intrinsic::Ceil,
                    _ => Intrinsic::Trunc,
                };
                (how, Ty::of(INT))
            }
            ("isnan", [_]) => (Intrinsic::IsNan, truth),
            ("isinf", [_]) => (Intrinsic::IsInf, truth),
            ("isfinite", [_]) => (Intrinsic::IsFinite, truth),
            ("copysign", [_, _]) => (Intrinsic::Copysign, float),
            ("atan2", [_, _]) => (Intrinsic::Libm2("atan2"), float),
            ("pow", [_, _]) => (Intrinsic::Libm2("pow"), float),
            ("fmod", [_, _]) => (Intrinsic::Libm2("fmod"), float),
            ("gcd" | "lcm" | "comb" | "perm" | "factorial", _) => {
                (Intrinsic::Boxed, Ty::natural().boxed())
            }
            ("floor" | "ceil" | "trunc", [_]) => (Intrinsic::Boxed, Ty::of(INT).boxed()),
            ("hypot" | "dist" | "gamma" | "lgamma" | "ldexp" | "fma", _) => {
                (Intrinsic::Boxed, float.boxed())
            }
            _ => boxed,
        };
    }
    let plain = Tags::of(INT).or(Tags::of(BOOL));
    if let Some(function) = name.strip_prefix("cmath.") {
        return match function {
            "phase" => (Intrinsic::Boxed, float.boxed()),
            "isnan" | "isinf" | "isfinite" | "isclose" => (Intrinsic::Boxed, truth.boxed()),
            "polar" => boxed,
            _ => (Intrinsic::Boxed, Ty::of(COMPLEX).boxed()),
        };
    }
    match (name, args) {
        ("complex", [a]) if a.tags == Tags::of(COMPLEX) => (Intrinsic::Same, a.clone()),
        ("complex", [] | [_] | [_, _]) if args.iter().all(is_real) => {
            (Intrinsic::Complex, Ty::of(COMPLEX))
        }
        ("complex", _) => (Intrinsic::Boxed, Ty::of(COMPLEX).boxed()),
        ("abs", [a]) if is_complex(a) => (Intrinsic::AbsComplex, part_of_complex(a)),
        ("abs", [a]) if is_number(a) && !a.tags.has(NP_BOOL) && !un_is_boxed(Un::Neg, a) => {
            let tags = if a.tags.has(BOOL) {
                Tags(a.tags.0 & !Tags::of(BOOL).0).or(Tags::of(INT))
            } else {
                a.tags
            };
            let result = Ty {
                natural: true,
                room: a.room.saturating_sub(u8::from(!a.natural)),
                ..Ty::tags(tags)
            };
            (Intrinsic::Abs, result)
        }
        ("min" | "max", [first, rest @ ..])
            if numbers
                && !rest.is_empty()
                && (args.iter().all(|arg| !arg.tags.any(Tags::NARROW))
                    || rest.iter().all(|arg| arg.tags == first.tags)
                        && first.tags.single().is_some()) =>
        {
            let tags = args
                .iter()
                .fold(Tags::default(), |tags, arg| tags.or(arg.tags));
            let how = if name == "min" {
                Intrinsic::Min
            } else {
                Intrinsic::Max
            };
            let result = Ty {
                natural: args
                    .iter()
                    .all(|arg| arg.natural || !arg.tags.any(Tags::INTS)),
                room: args.iter().map(Ty::int_room).min().unwrap_or(0),
                ..Ty::tags(tags)
            };
            (how, result)
        }
        ("len", [a])
            if is_boxed(a) && a.tags.within(Tags(1 << OBJECT | 1 << TUPLE | 1 << CHAR)) =>
        {
            // What is no container of Python's may say what it likes.
            let is_known = !a.tags.has(OBJECT) || !matches!(a.form, Form::Any | Form::Instance(_));
            let size = if is_known { Ty::count() } else { Ty::natural() };
            (Intrinsic::Len, size)
        }
        ("int", [a]) if is_number(a) => {
            let natural = a.natural && !a.tags.any(Tags::FLOATS);
            let result = Ty {
                natural,
                room: if a.tags.any(Tags::FLOATS) { 0 } else { a.room },
                ..Ty::of(INT)
            };
            (Intrinsic::ToInt, result)
        }
        ("int", [a]) if unsigned::is_unsigned(a) => (Intrinsic::ToInt, Ty::natural()),
        ("float", [a]) if is_number(a) || unsigned::is_unsigned(a) => (Intrinsic::ToFloat, float),
        ("bool", [_]) => (Intrinsic::ToBool, truth),
        ("round", [a]) if a.tags == Tags::of(FLOAT) => (Intrinsic::Round, Ty::of(INT)),
        ("round", [a, n]) if a.tags == Tags::of(FLOAT) && is_int(n) => {
            (Intrinsic::Boxed, float.boxed())
        }
        ("divmod", [a, b]) if a.tags.within(plain) && b.tags.within(plain) && numbers => {
            let remainder = Ty {
                natural: b.natural,
                room: b.room,
                ..Ty::of(INT)
            };
            let quotient = Ty {
                natural: a.natural && b.natural,
                room: a.room,
                ..Ty::of(INT)
            };
            (Intrinsic::Divmod, Ty::tuple(vec![quotient, remainder]))
        }
        ("pow", [a, b]) if numbers => match bin(Bin::Pow, a, b, None) {
            Some(ty) => (Intrinsic::Pow, ty),
            None => boxed,
        },
        ("range", [_] | [_, _] | [_, _, _])
            if args
                .iter()
                .all(|arg| arg.tags.within(plain.or(Tags::INDICES))) =>
        {
            let step = match atoms {
                [_, _, Atom::Int(step)] => Some(*step),
                [_] | [_, _] => Some(1),
                _ => None,
            };
            let natural = match args {
                [_] => true,
                [start, _] => start.natural,
                // Downwards it stays above its end.
                [_, stop, _] if step.is_some_and(|step| step < 0) => {
                    stop.natural || matches!(atoms, [_, Atom::Int(-1), _])
                }
                [start, _, step] => start.natural && step.natural,
                _ => false,
            };
            let result = Ty {
                natural,
                form: step
                    .filter(|&step| step != 0)
                    .map_or(Form::Any, Form::Range),
                ..Ty::of(RANGE)
            };
            (Intrinsic::Range, result)
        }
        ("ord", [a]) if a.is_text() => {
            let code = Ty {
                room: 42,
                ..Ty::natural()
            };
            (Intrinsic::Ord, code)
        }
        ("ord", [_]) => (Intrinsic::Boxed, Ty::natural().boxed()),
        ("chr", [a]) if is_int(a) => (Intrinsic::Chr, Ty::of(CHAR)),
        ("int", [a]) if a.tags == Tags::of(CHAR) => (Intrinsic::Digit, Ty::byte()),
        ("str", [a]) if a.tags == Tags::of(CHAR) => (Intrinsic::Same, a.clone()),
        ("str" | "repr", [a]) if crate::plain::is_scalar(a) && !a.tags.any(Tags::NUMPY) => {
            (Intrinsic::Text, Ty::object(Form::Str))
        }
        ("chr" | "str" | "hex" | "bin" | "repr", [_]) => {
            (Intrinsic::Boxed, Ty::object(Form::Str).boxed())
        }
        ("isinstance" | "issubclass" | "callable" | "hasattr" | "any" | "all", _) => {
            (Intrinsic::Boxed, truth.boxed())
        }
        ("sum", [a]) if a.unboxed().is_some_and(is_int) => (Intrinsic::SumOwn, Ty::of(INT)),
        ("sum", [a])
            if a.unboxed()
                .is_some_and(|element| element.tags == Tags::of(FLOAT)) =>
        {
            (Intrinsic::Boxed, Ty::of(FLOAT).boxed())
        }
        ("sum", [a]) => match a.list() {
            Some(element) if element.tags == Tags::of(INT) => {
                (Intrinsic::Boxed, Ty::of(INT).boxed())
            }
            Some(element) if element.tags == Tags::of(FLOAT) => {
                (Intrinsic::Boxed, Ty::of(FLOAT).boxed())
            }
            _ => boxed,
        },
        ("sorted" | "list", [a]) => {
            let element = match (a.list().or(a.unboxed()), a.tags.single()) {
                (Some(element), _) => element.without_chars(),
                (None, Some(RANGE)) => Ty::of(INT),
                (None, Some(OBJECT)) if a.is_text() => Ty::object(Form::Str),
                _ => Ty::default(),
            };
            let list = Ty::object(Form::List(Box::new(element)));
            (Intrinsic::Boxed, list.boxed())
        }
        ("list", []) => {
            let list = Ty::object(Form::List(Box::default()));
            (Intrinsic::Boxed, list.boxed())
        }
        ("dict", []) => (Intrinsic::Boxed, Ty::object(Form::Dict).boxed()),
        _ => boxed,
    }
}

/// Whether a number is looked for in numbers of its own kind.
fn is_search(args: &[Ty]) -> bool {
    let [of, key] = args else { return false };
    let kinds = match of.array() {
        Some(array) if array.ndim == 1 => match array.dtype {
            Dtype::Float64 => Tags(1 << FLOAT | 1 << NP_FLOAT),
            Dtype::Int64 => Tags(1 << INT | 1 << NP_INT),
            _ => return false,
        },
        _ => return false,
    };
    key.tags.within(kinds) && !key.is_never()
}

/// Number of dimensions of an array of that shape.
fn ndim_of(shape: &Ty) -> Option<usize> {
    match shape.parts() {
        Some(parts) => Some(parts.len()),
        None => is_int(shape).then_some(1),
    }
}

fn numpy_call(
    globals: &[Global],
    function: &str,
    atoms: &[Atom],
    args: &[Ty],
    named: &[(String, Atom)],
) -> Option<(Intrinsic, Ty)> {
    let mut dtype = None;
    for (name, atom) in named {
        match name.as_str() {
            "dtype" => dtype = Some(dtype_of(globals, atom)?),
            _ => {
                let ty = arrays::function(function, args, named)?;
                return Some((Intrinsic::Boxed, ty));
            }
        }
    }
    let given = |place: usize| match atoms.get(place) {
        Some(atom) => dtype_of(globals, atom).map(Some),
        None => Some(dtype),
    };
    let array =
        |dtype: Dtype, ndim: usize| Some((Intrinsic::Boxed, new_array(dtype, ndim).boxed()));
    let truths = Tags(1 << BOOL | 1 << NP_BOOL);
    let scalar = args.len() == 1
        && named.is_empty()
        && is_number(&args[0])
        && !args[0].tags.any(truths.or(Tags::NARROW));
    let number = args.len() == 1 && named.is_empty() && is_number(&args[0]);
    match function {
        "zeros" | "ones" | "empty" => {
            let ndim = ndim_of(args.first()?)?;
            array(given(1)?.unwrap_or(Dtype::Float64), ndim)
        }
        "full" => {
            let ndim = ndim_of(args.first()?)?;
            let fill = match args.get(1)?.tags.single() {
                Some(FLOAT | NP_FLOAT) => Dtype::Float64,
                Some(INT | NP_INT) => Dtype::Int64,
                Some(BOOL | NP_BOOL) => Dtype::Bool,
                Some(COMPLEX | NP_COMPLEX) => Dtype::Complex128,
                _ => return None,
            };
            array(given(2)?.unwrap_or(fill), ndim)
        }
        "zeros_like" | "empty_like" | "ones_like" | "copy" => {
            let like = args.first()?.array()?;
            let copied = ArrayTy {
                dtype: given(1)?.unwrap_or(like.dtype),
                writable: true,
                ..like
            };
            Some((Intrinsic::Boxed, Ty::object(Form::Array(copied)).boxed()))
        }
        "arange" if args.iter().all(is_int) => array(dtype.unwrap_or(Dtype::Int64), 1),
        "arange" if args.iter().all(is_number) => array(dtype.unwrap_or(Dtype::Float64), 1),
        "linspace" => array(Dtype::Float64, 1),
        "sqrt" if number && args[0].tags == Tags::of(NP_F32) => {
            Some((Intrinsic::Sqrt, Ty::of(NP_F32)))
        }
        "sqrt" if scalar => Some((Intrinsic::Sqrt, Ty::of(NP_FLOAT))),
        "floor" if scalar && args[0].tags.within(Tags::FLOATS) => {
            Some((Intrinsic::FloorFloat, Ty::of(NP_FLOAT)))
        }
        "ceil" if scalar && args[0].tags.within(Tags::FLOATS) => {
            Some((Intrinsic::CeilFloat, Ty::of(NP_FLOAT)))
        }
        "absolute" if scalar && args[0].tags.within(Tags::FLOATS) => {
            Some((Intrinsic::Fabs, Ty::of(NP_FLOAT)))
        }
        "searchsorted" if is_search(args) && named.is_empty() => {
            let place = Ty {
                natural: true,
                room: crate::types::COUNT_ROOM,
                ..Ty::of(NP_INT)
            };
            Some((Intrinsic::SearchSorted, place))
        }
        "float32" if number => Some((Intrinsic::ToNarrow(Dtype::Float32), Ty::of(NP_F32))),
        "int8" | "int16" | "int32" | "uint8" | "uint16" | "uint32"
            if number && args[0].tags.within(Tags::INDICES.or(Tags::FLOATS)) =>
        {
            let dtype = Dtype::ALL
                .into_iter()
                .find(|dtype| dtype.name() == function)?;
            Some((Intrinsic::ToNarrow(dtype), dtype.element()?))
        }
        "uint64" if args.len() == 1 && named.is_empty() && unsigned::converts(&args[0]) => {
            Some((Intrinsic::ToUnsigned, Ty::of(NP_U64)))
        }
        "uint64" if args.len() == 1 && named.is_empty() && args[0].array().is_none() => {
            Some((Intrinsic::Boxed, Ty::of(NP_U64).boxed()))
        }
        "float64" if number => Some((Intrinsic::ToNumpyFloat, Ty::of(NP_FLOAT))),
        "int64" if number && args[0].tags.within(Tags::INDICES.or(Tags::FLOATS)) => {
            Some((Intrinsic::ToNumpyInt, Ty::of(NP_INT)))
        }
        _ if named.is_empty() && ufunc::of_numbers(function, args).is_some() => {
            let (known, ty) = ufunc::of_numbers(function, args)?;
            Some((Intrinsic::Ufunc(known), ty))
        }
        _ if args.len() == 1 && named.is_empty() && is_complex(&args[0]) => match function {
            "absolute" => Some((Intrinsic::Boxed, Ty::of(NP_FLOAT).boxed())),
            _ if UFUNCS.contains(&function) => Some((Intrinsic::Boxed, Ty::of(NP_COMPLEX).boxed())),
            _ => None,
        },
        _ if scalar && UFUNCS.contains(&function) => {
            Some((Intrinsic::Boxed, Ty::of(NP_FLOAT).boxed()))
        }
        _ if args.len() == 2 && named.is_empty() && UFUNCS_OF_TWO.contains(&function) => {
            match common_dtype(&args[0], &args[1])? {
                (Dtype::Float64, ndim) if ndim > 0 => array(Dtype::Float64, ndim),
                _ => None,
            }
        }
        _ if UFUNCS.contains(&function) && named.is_empty() => {
            let like = args.first().filter(|_| args.len() == 1)?.array()?;
            let is_float = matches!(
                like.dtype,
                Dtype::Float64 | Dtype::Float32 | Dtype::Complex128
            );
            array(is_float.then_some(like.dtype)?, like.ndim)
        }
        _ => arrays::function(function, args, named).map(|ty| (Intrinsic::Boxed, ty)),
    }
}

/// numpy's functions that make a float of two.
const UFUNCS_OF_TWO: &[&str] = &[
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "power",
    "arctan2",
    "hypot",
    "copysign",
    "logaddexp",
];

/// numpy's functions that make a float of a float.
const UFUNCS: &[&str] = &[
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "exp", "exp2",
    "expm1", "log", "log2", "log10", "log1p", "sqrt", "cbrt", "floor", "ceil", "rint", "trunc",
    "deg2rad", "rad2deg", "radians", "degrees",
];
