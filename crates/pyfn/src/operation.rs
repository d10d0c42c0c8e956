//! What an operation gives that is no call of a function of the unit.

use crate::arrays;
use crate::classes::SUPER;
use crate::infer::boxed_parts;
use crate::plain;
use crate::program::{self, Atom, Bin, Expr, Index};
use crate::rules;
use crate::scope::{Scope, loaded};
use crate::table::{self, View, item_of};
use crate::text;
use crate::types::{
    ArrayTy, BOOL, CHAR, COMPLEX, Dtype, FLOAT, Form, INT, NONE, OBJECT, RANGE, TUPLE, Tags, Ty,
};

/// An operation, as it will be done.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// Python does it and all that follows.
    Leave(String),
    /// It gives a value of that type.
    Gives(Ty),
}

/// What is read from a tuple, as an object, whose part is expected to be of that type.
pub(crate) fn part_of_object(part: &Ty) -> Ty {
    match loaded(part) {
        part if part.tags == Tags::of(OBJECT) => part,
        part => part.boxed(),
    }
}

/// The types of the parts, or `None` if there is another number of them.
pub(crate) fn unpacked(ty: &Ty, n_parts: usize) -> Option<Vec<Ty>> {
    match ty.parts() {
        Some(parts) => (parts.len() == n_parts).then(|| parts.to_vec()),
        None if ty.tags.has(OBJECT) || ty.tags.has(RANGE) || ty.tags.has(TUPLE) => {
            if let Form::TupleObject(parts) = &ty.form
                && parts.len() == n_parts
                && ty.tags == Tags::of(OBJECT)
            {
                return Some(parts.iter().map(part_of_object).collect());
            }
            let part = match ty.list() {
                Some(element) => match loaded(element) {
                    part if part.tags == Tags::of(OBJECT) => part,
                    part => part.boxed(),
                },
                None => Ty::of(OBJECT),
            };
            Some(vec![part; n_parts])
        }
        None => None,
    }
}

/// The code point of a text of one character.
pub(crate) fn character(text: &str) -> Option<i64> {
    let mut chars = text.chars();
    let first = chars.next()?;
    chars.next().is_none().then(|| i64::from(u32::from(first)))
}

/// Whether the value is an object that is a string for certain.
pub(crate) fn is_str(ty: &Ty) -> bool {
    ty.form == Form::Str && ty.tags == Tags::of(OBJECT)
}

/// The type of what a loop over such a value gets.
pub(crate) fn iterated(ty: &Ty) -> Option<Ty> {
    if ty.tags == Tags::of(RANGE) {
        return Some(Ty {
            natural: ty.natural,
            ..Ty::count()
        });
    }
    if let Some(array) = ty.array() {
        return Some(match (array.ndim, array.dtype.element()) {
            (1, Some(element)) => element,
            (0 | 1, _) => Ty::of(OBJECT),
            (ndim, _) => {
                let row = ArrayTy {
                    ndim: ndim - 1,
                    ..array
                };
                Ty::object(Form::Array(row)).boxed()
            }
        });
    }
    if ty.is_bytes() {
        return Some(Ty::byte());
    }
    if let Some(table) = ty.table() {
        return item_of(table, View::Keys);
    }
    if let Some(element) = ty.unboxed() {
        return (!element.is_never()).then(|| element.clone());
    }
    if let Some(element) = ty.list() {
        return Some(match loaded(element) {
            ty if ty.tags.has(OBJECT) => ty,
            ty => ty.expected(),
        });
    }
    if is_str(ty) {
        return Some(Ty::of(CHAR));
    }
    if ty.is_text() {
        return Some(Ty::object(Form::Str));
    }
    if let Some((item, _)) = spread(ty) {
        return Some(item);
    }
    if let Some(parts) = ty.parts() {
        let part = parts
            .iter()
            .fold(Ty::default(), |part, next| part.join(&next.without_chars()));
        let is_number = part.tags == Tags::of(INT) || part.tags == Tags::of(FLOAT);
        return Some(if is_number {
            part.boxed()
        } else {
            Ty::of(OBJECT)
        });
    }
    (ty.tags.has(OBJECT) || ty.tags.has(TUPLE)).then(|| Ty::of(OBJECT))
}

/// Parts beyond which a tuple is not laid out for a loop.
const SPREAD_MAX: usize = 16;

/// What a loop over a tuple gets whose parts are laid out on the stack, and how many numbers make up
/// one part that is a tuple itself, or 0: all are numbers or the like, or all are tuples of as many.
pub(crate) fn spread(ty: &Ty) -> Option<(Ty, usize)> {
    let scalars = Tags(1 << NONE | 1 << BOOL | 1 << INT | 1 << FLOAT | 1 << CHAR);
    let is_scalar = |ty: &Ty| ty.tags.within(scalars) && !ty.is_never() && ty.narrow.is_none();
    let parts = ty.parts().filter(|_| ty.tags == Tags::of(TUPLE))?;
    if parts.is_empty() || parts.len() > SPREAD_MAX {
        return None;
    }
    let item = parts
        .iter()
        .fold(Ty::default(), |item, part| item.join(part));
    if is_scalar(&item) {
        return Some((item, 0));
    }
    let inner = item.parts().filter(|_| item.tags == Tags::of(TUPLE))?;
    let n_inner = inner.len();
    let fits = (1..=SPREAD_MAX).contains(&n_inner) && inner.iter().all(is_scalar);
    fits.then_some((item, n_inner))
}

/// Whether `of[index] = value` is done by the function itself or through Python's interface.
pub(crate) fn can_store(scope: &Scope<'_>, of: &Atom, _index: &Index, _value: &Atom) -> bool {
    scope.atom(of).tags.has(OBJECT)
}

/// How an operation other than a native call is done.
pub(crate) fn operation(scope: &Scope<'_>, e: &Expr) -> How {
    let gives = |ty: Option<Ty>, why: &str| match ty {
        Some(ty) => How::Gives(ty),
        None => How::Leave(why.to_owned()),
    };
    match e {
        Expr::Atom(a) => How::Gives(scope.atom(a)),
        Expr::Bin(op, a, b, in_place) => {
            let (x, y) = (scope.atom(a), scope.atom(b));
            let constant = scope.constant(b);
            let mut ty = rules::bin(*op, &x, &y, constant);
            if scope.info.program.wraps {
                ty = ty.map(|ty| rules::wrapped(*op, &x, &y, constant, ty));
            }
            // In place, arrays and lists stay what they are.
            if *in_place && (x.array().is_some() || x.list().is_some()) && *op != Bin::MatMul {
                let mut same = x;
                if let Some(Form::List(element)) = ty.map(|ty| ty.form) {
                    same.form = Form::List(element);
                }
                return How::Gives(same);
            }
            gives(ty, "no native operation on these types")
        }
        Expr::Un(op, a) => gives(
            rules::un(*op, &scope.atom(a)),
            "no native operation on this type",
        ),
        Expr::Cmp(op, a, b) => gives(
            rules::cmp(*op, &scope.atom(a), &scope.atom(b)),
            "no native comparison of these types",
        ),
        Expr::Truth(_) | Expr::Fails(..) | Expr::IsSequence(_) => How::Gives(Ty::truth()),
        // A copy of the list would not change with it.
        Expr::Call(function, args, _) if scope.iterates_own_list(function, args) => {
            How::Leave("an iterator over a list that only this function sees".to_owned())
        }
        Expr::Call(function, args, named) => match scope.intrinsic(function, args, named) {
            Some((_, ty)) => How::Gives(ty),
            None => How::Gives(Ty::of(OBJECT)),
        },
        Expr::Method(name, ..) if name.starts_with(SUPER) => {
            How::Leave("a method of the bases of a class that is not known".to_owned())
        }
        Expr::Method(_, of, _, _, Some(bound)) if scope.state[*bound].tags.has(OBJECT) => {
            let of = scope.atom(of);
            if of.table().is_some() || of.unboxed().is_some() {
                How::Leave("a method that may have been looked up".to_owned())
            } else {
                How::Gives(Ty::of(OBJECT))
            }
        }
        Expr::Method(name, of, args, named, _) => {
            let of = scope.atom(of);
            if let Some(table) = of.table() {
                if table::is_view(name, args, named) {
                    return How::Gives(Ty::of(OBJECT));
                }
                return gives(
                    table::method(table, name, &scope.atoms(args)),
                    "a table that nothing is put into",
                );
            }
            match of.unboxed() {
                Some(element) if name == "pop" && element.is_never() => {
                    How::Leave("a list that nothing is put into".to_owned())
                }
                Some(element) if name == "pop" => How::Gives(element.clone()),
                Some(_) => How::Gives(Ty::of(NONE)),
                None if text::char_test(&of, name, args).is_some() => How::Gives(Ty::truth()),
                None if rules::method_of_int(&of, name, args, named).is_some() => {
                    How::Gives(Ty::byte())
                }
                None => {
                    let types = scope.atoms(args);
                    How::Gives(match of.array() {
                        Some(array) => {
                            let globals = &scope.info.globals;
                            arrays::method(globals, array, name, args, &types, named)
                                .unwrap_or_else(|| Ty::of(OBJECT))
                        }
                        None => method(&of.without_chars(), name, &types, named),
                    })
                }
            }
        }
        Expr::Attr(name, of) => {
            let of = scope.atom(of);
            let stored = scope.stored(&of, name);
            How::Gives(stored.unwrap_or_else(|| attribute(&of, name)))
        }
        Expr::Item(of, index) => {
            let of = scope.atom(of);
            if of.tags.any(Tags::NUMBERS.or(Tags::of(NONE))) && !of.tags.has(OBJECT) {
                return How::Leave("a number has no items".to_owned());
            }
            if let Some(table) = of.table() {
                let value = Some(table.value.clone()).filter(|value| !value.is_never());
                return gives(value, "a table that nothing is put into");
            }
            if of.unboxed().is_some_and(Ty::is_never) {
                return How::Leave("a list that nothing is put into".to_owned());
            }
            How::Gives(scope.item(&of, index).0)
        }
        Expr::Tuple(parts) => {
            let parts = scope.atoms(parts);
            let parts = parts.into_iter().map(|part| part.narrowed().clone());
            How::Gives(Ty::tuple(parts.collect()))
        }
        Expr::List(parts) => {
            let mut element = Ty::default();
            for part in scope.atoms(parts) {
                element = element.join(&boxed_parts(part.narrowed()).without_chars());
            }
            How::Gives(Ty::object(Form::List(Box::new(element))))
        }
        Expr::Range([start, stop, step]) => How::Gives(Ty {
            natural: *start >= 0 && *stop - step.signum() >= 0,
            form: Form::Range(*step),
            ..Ty::of(RANGE)
        }),
        Expr::Dict(_) => How::Gives(Ty::object(Form::Dict)),
        Expr::Format(parts, is_part) => {
            if let Some(number) = unformatted(scope, parts, *is_part) {
                return How::Gives(scope.atom(number));
            }
            let text = Ty::object(Form::Str);
            // What formats itself may give a subclass of `str`.
            let is_known = parts.len() != 1 || formats_plainly(scope, parts);
            How::Gives(if is_known { text } else { text.boxed() })
        }
        Expr::Set(_) | Expr::Iter(_) | Expr::Global(..) => How::Gives(Ty::of(OBJECT)),
        Expr::Unknown(what) => How::Leave(format!("no native {what}")),
    }
}

/// The number that may stand for its own text.
pub(crate) fn unformatted<'a>(
    scope: &Scope<'_>,
    parts: &'a [program::Part],
    is_part: bool,
) -> Option<&'a Atom> {
    match parts {
        [program::Part::Value(a, 0, None)] if is_part && plain::is_scalar(&scope.atom(a)) => {
            Some(a)
        }
        _ => None,
    }
}

/// Whether formatting such values runs nothing of anybody's.
pub(crate) fn formats_plainly(scope: &Scope<'_>, parts: &[program::Part]) -> bool {
    parts.iter().all(|part| match part {
        program::Part::Text(_) => true,
        program::Part::Value(a, ..) => {
            let ty = scope.atom(a);
            plain::is_scalar(&ty) || ty.is_text()
        }
    })
}

/// Whether looking a method up has no effect that anybody could see.
pub(crate) fn has_plain_methods(of: &Ty) -> bool {
    let is_known = of.tags == Tags::of(OBJECT) && !matches!(of.form, Form::Any | Form::Instance(_));
    let numbers = Tags(1 << BOOL | 1 << INT | 1 << FLOAT).or(Tags::COMPLEXES);
    is_known || of.is_text() || !of.is_never() && of.tags.within(numbers)
}

/// Whether nobody can tell when the method of that name is looked up: there is one.
pub(crate) fn looks_up_plainly(of: &Ty, name: &str) -> bool {
    let methods = match (&of.form, of.tags.single()) {
        (Form::List(_), Some(OBJECT)) => METHODS_OF_LISTS,
        (Form::Str, Some(OBJECT)) | (_, Some(CHAR)) => METHODS_OF_TEXTS,
        (Form::Bytes, Some(OBJECT)) => {
            &["count", "decode", "endswith", "find", "hex", "startswith"]
        }
        (Form::Dict, Some(OBJECT)) => METHODS_OF_DICTIONARIES,
        (Form::TupleObject(_), Some(OBJECT)) => &["count", "index"],
        // What there is of others is known where it is done.
        (Form::Unboxed(_) | Form::Table(_), _) => return has_plain_methods(of),
        (Form::Array(_), _) => METHODS_OF_ARRAYS,
        (_, Some(INT | BOOL)) => &["bit_count", "bit_length", "conjugate", "to_bytes"],
        (_, Some(FLOAT)) => &["conjugate", "hex", "is_integer"],
        (_, Some(COMPLEX)) => &["conjugate"][..],
        _ => &[],
    };
    has_plain_methods(of) && methods.contains(&name)
}

const METHODS_OF_LISTS: &[&str] = &[
    "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse",
    "sort",
];

const METHODS_OF_DICTIONARIES: &[&str] = &[
    "clear",
    "copy",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];

const METHODS_OF_ARRAYS: &[&str] = &[
    "all",
    "any",
    "argmax",
    "argmin",
    "argpartition",
    "argsort",
    "astype",
    "byteswap",
    "choose",
    "clip",
    "compress",
    "conj",
    "conjugate",
    "copy",
    "cumprod",
    "cumsum",
    "diagonal",
    "dot",
    "dump",
    "dumps",
    "fill",
    "flatten",
    "getfield",
    "item",
    "max",
    "mean",
    "min",
    "nonzero",
    "partition",
    "prod",
    "put",
    "ravel",
    "repeat",
    "reshape",
    "resize",
    "round",
    "searchsorted",
    "setfield",
    "setflags",
    "sort",
    "squeeze",
    "std",
    "sum",
    "swapaxes",
    "take",
    "tobytes",
    "tofile",
    "tolist",
    "trace",
    "transpose",
    "var",
    "view",
];

const METHODS_OF_TEXTS: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isdigit",
    "islower",
    "isspace",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];

/// The type of an attribute.
pub(crate) fn attribute(of: &Ty, name: &str) -> Ty {
    if rules::is_complex(of) && matches!(name, "real" | "imag") {
        return rules::part_of_complex(of);
    }
    if let Some(array) = of.array() {
        match name {
            "shape" => return Ty::tuple(vec![Ty::count(); array.ndim]),
            "size" | "ndim" => return Ty::count(),
            "real" | "imag" if array.dtype == Dtype::Complex128 => {
                let part = ArrayTy {
                    dtype: Dtype::Float64,
                    contiguous: false,
                    ..array
                };
                return Ty::object(Form::Array(part)).boxed();
            }
            "T" => {
                let transposed = ArrayTy {
                    contiguous: array.ndim < 2 && array.contiguous,
                    ..array
                };
                return Ty::object(Form::Array(transposed)).boxed();
            }
            _ => {}
        }
    }
    Ty::of(OBJECT)
}

/// The type of what a method gives.
fn method(of: &Ty, name: &str, args: &[Ty], named: &[(String, Atom)]) -> Ty {
    if rules::is_complex(of) && name == "conjugate" && args.is_empty() && named.is_empty() {
        return of.clone();
    }
    if let Some(element) = of.list() {
        return match (name, args) {
            ("append", [_]) => Ty::of(NONE),
            ("pop", [] | [_]) => match loaded(element) {
                ty if ty.tags == Tags::of(OBJECT) => ty,
                ty => ty.boxed(),
            },
            ("copy", []) => of.clone(),
            ("index" | "count", _) => Ty::natural().boxed(),
            _ => Ty::of(OBJECT),
        };
    }
    if of.form == Form::Str {
        return match name {
            "split" | "splitlines" => {
                Ty::object(Form::List(Box::new(Ty::object(Form::Str)))).boxed()
            }
            "lower" | "upper" | "strip" | "lstrip" | "rstrip" | "replace" | "join" | "format"
            | "title" => Ty::object(Form::Str).boxed(),
            "isdigit" | "isalpha" | "isalnum" | "isspace" | "isupper" | "islower"
            | "startswith" | "endswith" => Ty::of(BOOL).boxed(),
            "find" | "rfind" | "index" | "count" => Ty::of(INT).boxed(),
            _ => Ty::of(OBJECT),
        };
    }
    Ty::of(OBJECT)
}
