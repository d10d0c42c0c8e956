//! What operations of Python's were seen to give.
//!
//! Of many a value nothing is known but that it is an object: what a function of a library returns,
//! an iterator gives, or a dictionary holds. Where a version is compiled first, it notes the types of
//! such values. Compiled again it takes them for what they were, on the same terms as any other guess:
//! they are looked at before the next statement, and a wrong guess is not made again.

use std::cell::Cell;
use std::collections::HashMap;

use crate::globals::{FunctionId, Global};
use crate::program::{Atom, Expr, Id, Index, Kind, Local, Program, all_statements};
use crate::types::{Form, NONE, OBJECT, Tags, Ty};

/// A place where values come from, by statement and part.
pub type Place = (Id, usize);

/// What stands in place of the class of a site's values once there were several.
pub const SEVERAL: usize = 1;

/// What code notes of the values of a place. Code knows where `seen` is.
#[derive(Debug)]
#[repr(C)]
pub struct Site {
    /// The class of the values seen so far, `SEVERAL`, or 0.
    pub seen: Cell<usize>,
    /// What whoever looked at them calls their kind.
    pub kind: Cell<u64>,
    /// Whom the unit belongs to.
    pub owner: usize,
    /// The function.
    pub function: FunctionId,
    /// The place.
    pub place: Place,
}

/// What is known about the places of a function.
#[derive(Debug, Default)]
pub struct Seen {
    /// What values are taken for; nothing where they were of several types.
    pub known: HashMap<Place, Option<Ty>>,
    /// For each local whether it is computed with, so that a number had better be unboxed.
    is_computed: Vec<bool>,
}

impl Seen {
    /// Nothing has been seen of a function.
    pub(crate) fn new(program: &Program, globals: &[Global]) -> Self {
        let mut is_computed = vec![false; program.locals.len()];
        let mut note = |atom: &Atom| {
            if let Atom::Local(local) = atom {
                is_computed[*local] = true;
            }
        };
        let mut moves = Vec::new();
        for statement in all_statements(&program.body) {
            match &statement.kind {
                Kind::Set(to, Expr::Atom(Atom::Local(from))) => moves.push((*from, *to)),
                Kind::Set(_, e) | Kind::Expr(e) => match e {
                    Expr::Bin(_, a, b, _) | Expr::Cmp(_, a, b) => {
                        note(a);
                        note(b);
                    }
                    Expr::Un(_, a) | Expr::Truth(a) | Expr::Item(_, Index::Atom(a)) => note(a),
                    Expr::Call(Atom::Global(function), args, _)
                        if matches!(globals.get(*function), Some(Global::Builtin { .. })) =>
                    {
                        args.iter().for_each(&mut note);
                    }
                    _ => {}
                },
                Kind::SetItem(_, Index::Atom(a), _) | Kind::If(a, ..) => note(a),
                _ => {}
            }
        }
        // Copies go forward mostly, so few passes suffice; what is missed stays an object.
        for (from, to) in moves.into_iter().rev() {
            is_computed[from] |= is_computed[to];
        }
        Self {
            known: HashMap::new(),
            is_computed,
        }
    }

    /// The type of a value that is bound, with what was seen.
    pub(crate) fn hinted(&self, place: Place, to: Local, ty: Ty) -> Ty {
        match self.known.get(&place) {
            Some(Some(hint)) if is_unknown(&ty) && self.is_worth(hint, to) => hint.clone().boxed(),
            _ => ty,
        }
    }

    /// Whether it is to be noted what such a value is.
    pub(crate) fn wants(&self, place: Place, ty: &Ty) -> bool {
        is_unknown(ty) && !self.known.contains_key(&place)
    }

    fn is_worth(&self, hint: &Ty, to: Local) -> bool {
        if hint.tags == Tags::of(OBJECT) {
            return hint.form != Form::Any;
        }
        hint.tags != Tags::of(NONE) && self.is_computed[to]
    }
}

/// Whether nothing is known of a value but that it is an object.
fn is_unknown(ty: &Ty) -> bool {
    ty.tags == Tags::of(OBJECT) && ty.form == Form::Any && ty.narrow.is_none()
}
