//! Statements of exception handlers that stand where the exception is raised.
//!
//! Machine code gets there without an exception, so nothing may run that could ask for it, or be
//! interrupted by another one, whose context it would be: no function of anybody's, and no method of
//! an object of a class that is not known. Before such a statement the function is left, and Python
//! raises the exception after all.
//!
//! Where an exception was caught, a handler is *loud* if it has such statements: then the exception is
//! made what Python says is being handled, and they are run (`emit::catch`).

use crate::operation::{formats_plainly, has_plain_methods, looks_up_plainly};
use crate::plain::is_scalar;
use crate::program::{Atom, Cmp, Expr, Index, Kind};
use crate::rules::Intrinsic;
use crate::scope::Scope;
use crate::types::{Form, Tags, Ty};

/// Whether a value is a number or a text of Python's.
fn is_plain(ty: &Ty) -> bool {
    is_scalar(ty) && !ty.tags.any(Tags::NUMPY) || ty.is_text()
}

/// Whether a value is a list or a dictionary, of whatever kind.
fn is_container(ty: &Ty) -> bool {
    ty.list().is_some() || ty.unboxed().is_some() || is_dictionary(ty)
}

fn is_dictionary(ty: &Ty) -> bool {
    ty.table().is_some() || has_plain_methods(ty) && ty.form == Form::Dict
}

impl Scope<'_> {
    /// Whether nobody can tell that a statement is run without the exception that is being handled.
    pub(crate) fn is_quiet(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Set(_, e) | Kind::Expr(e) => self.is_quiet_operation(e),
            Kind::SetItem(of, index, _) => {
                let of = self.atom(of);
                is_container(&of) && self.is_plain_index(index)
            }
            Kind::SetAttr(of, name, _) => self.stored(&self.atom(of), name).is_some(),
            Kind::Lookup(_, name, of) => looks_up_plainly(&self.atom(of), name),
            Kind::Unpack(_, of) => self.atom(of).parts().is_some(),
            Kind::If(test, ..) => {
                let test = self.atom(test);
                is_plain(&test) || is_container(&test)
            }
            // What is unbound is the name of an exception that is not being handled any more.
            Kind::EndHandler(..) | Kind::Unset(_) => true,
            Kind::Break | Kind::Continue | Kind::Return(_) | Kind::Leave(_) => true,
            Kind::SetGlobal(..)
            | Kind::DelItem(..)
            | Kind::Loop(_)
            | Kind::For(..)
            | Kind::Try(..)
            | Kind::Raise(_) => false,
        }
    }

    fn is_quiet_operation(&self, e: &Expr) -> bool {
        let plain = |atom: &Atom| is_plain(&self.atom(atom));
        match e {
            Expr::Atom(_)
            | Expr::Tuple(_)
            | Expr::List(_)
            | Expr::Range(_)
            | Expr::Cmp(Cmp::Is | Cmp::IsNot, ..)
            | Expr::Fails(..)
            | Expr::Global(..)
            | Expr::IsSequence(_) => true,
            Expr::Bin(_, a, b, _) => plain(a) && plain(b),
            Expr::Cmp(_, a, b) => plain(a) && (plain(b) || is_dictionary(&self.atom(b))),
            Expr::Un(_, a) | Expr::Truth(a) => plain(a),
            Expr::Item(of, index) => {
                let of = self.atom(of);
                (is_container(&of) || of.is_text()) && self.is_plain_index(index)
            }
            Expr::Method(name, of, args, named, _) => {
                let of = self.atom(of);
                let is_own = of.unboxed().is_some() || of.table().is_some();
                let is_list = of.list().is_some() && matches!(name.as_str(), "append" | "pop");
                let is_get = is_dictionary(&of) && name == "get";
                let are_plain = named.is_empty() && args.iter().all(plain);
                is_own || is_list || (is_get || of.is_text()) && are_plain
            }
            Expr::Attr(name, of) => self.stored(&self.atom(of), name).is_some(),
            Expr::Call(function, args, named) => {
                let how = self.intrinsic(function, args, named);
                let is_known = |atom| plain(atom) || is_container(&self.atom(atom));
                how.is_some_and(|(how, _)| how != Intrinsic::Boxed) && args.iter().all(is_known)
            }
            Expr::Dict(pairs) => pairs.iter().all(|(key, _)| plain(key)),
            Expr::Set(parts) => parts.iter().all(plain),
            Expr::Format(parts, _) => formats_plainly(self, parts),
            Expr::Iter(_) | Expr::Unknown(_) => false,
        }
    }

    fn is_plain_index(&self, index: &Index) -> bool {
        matches!(index, Index::Atom(atom) if is_plain(&self.atom(atom)))
    }
}
