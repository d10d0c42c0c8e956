//! Functions that are put where they are called.
//!
//! A small function that only computes a number, or a tuple of some, from numbers and elements of arrays has no effect
//! that anybody could see. So its statements can stand in place of the call, and whatever native
//! code does not do in it leaves *before the call*: Python then calls the function itself. What is
//! known of the arguments is known in it, and no frame has to be handed over in two parts.

use crate::infer::owns;
use crate::program::{Cmp, Expr, Kind, Program, all_statements};
use crate::rules::{self, Intrinsic};
use crate::scope::Scope;
use crate::types::{RANGE, TUPLE, Tags, Ty};

/// Statements beyond which a function is called.
const N_STATEMENTS_MAX: usize = 30;

/// Whether a function is so small and simple that it may be one, whatever the types.
pub(crate) fn is_small(program: &Program) -> bool {
    if !program.is_positional || program.has_handlers || program.n_statements > N_STATEMENTS_MAX {
        return false;
    }
    all_statements(&program.body).all(|statement| {
        matches!(
            &statement.kind,
            Kind::Set(
                _,
                Expr::Atom(_)
                    | Expr::Bin(..)
                    | Expr::Un(..)
                    | Expr::Cmp(..)
                    | Expr::Truth(_)
                    | Expr::Item(..)
                    | Expr::Tuple(_)
                    | Expr::Call(..)
            ) | Kind::Unpack(..)
                | Kind::If(..)
                | Kind::Loop(_)
                | Kind::For(..)
                | Kind::Break
                | Kind::Continue
                | Kind::Return(_)
        )
    })
}

/// Whether a value is a number, a truth value or `None`, and so nothing that anybody refers to.
pub(crate) fn is_scalar(ty: &Ty) -> bool {
    let scalars = Tags::NUMBERS.or(Tags::of(crate::types::NONE));
    ty.tags.within(scalars) && !ty.is_never() && ty.narrow.is_none()
}

/// Parts of a tuple beyond which it is an object.
const N_PARTS_MAX: usize = 8;

/// Whether a function that is put in place may give such a value: a number or the like, or a tuple of some.
pub(crate) fn is_result(ty: &Ty) -> bool {
    is_scalar(ty) || is_tuple(ty)
}

fn is_tuple(ty: &Ty) -> bool {
    let parts = ty.parts().filter(|_| ty.tags == Tags::of(TUPLE));
    parts.is_some_and(|parts| {
        (1..=N_PARTS_MAX).contains(&parts.len()) && parts.iter().all(is_scalar)
    })
}

/// Whether such an argument may be handed to a function that is put in place.
pub(crate) fn is_plain_argument(ty: &Ty) -> bool {
    is_scalar(ty) || ty.array().is_some() && ty.narrow.is_none()
}

/// Whether an operation other than a call of another function has no effect, does not go through
/// Python, and gives such a value.
pub(crate) fn is_plain(scope: &Scope<'_>, e: &Expr, ty: &Ty) -> bool {
    let is_native = match e {
        Expr::Atom(_) | Expr::Range(_) => true,
        Expr::Bin(op, a, b, _) => !rules::bin_is_boxed(*op, &scope.atom(a), &scope.atom(b)),
        Expr::Un(op, a) => !rules::un_is_boxed(*op, &scope.atom(a)),
        Expr::Cmp(Cmp::In | Cmp::NotIn, ..) => false,
        Expr::Cmp(_, a, b) => !rules::cmp_is_boxed(&scope.atom(a), &scope.atom(b)),
        Expr::Truth(a) => is_scalar(&scope.atom(a)),
        Expr::Tuple(_) => is_tuple(ty),
        Expr::Item(of, index) => {
            let of = scope.atom(of);
            of.array().is_some() && scope.item(&of, index).1
        }
        Expr::Call(function, args, named) => {
            let how = scope.intrinsic(function, args, named);
            let is_array_or_scalar = |ty: Ty| !owns(&ty) || ty.array().is_some();
            let all_known = args.iter().all(|arg| is_array_or_scalar(scope.atom(arg)));
            all_known
                && how.is_some_and(|(how, _)| {
                    !matches!(how, Intrinsic::Boxed | Intrinsic::Ord | Intrinsic::Ufunc(_))
                })
        }
        _ => false,
    };
    is_native && (is_result(ty) || ty.tags == Tags::of(RANGE))
}
