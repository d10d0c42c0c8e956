//! Classes of Python's: where their instances have attributes, and what their methods are.
//!
//! The type of an instance only says of which class it is *expected* to be, and of an attribute what
//! it is expected to hold; nothing rests on either. Whoever uses an instance looks at its class and
//! at the number that Python gives a class anew whenever it, or one of its bases, is changed. While
//! both are as they were, attributes lie at known places and methods are functions of the unit. What
//! attributes are expected to hold is found in instances that are at hand, and by inference where
//! they are assigned.
//!
//! # Invariant
//! What is expected of an attribute only grows, so inference comes to an end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::globals::{FunctionId, Global};
use crate::infer::{DEPTH_MAX, Inference, boxed_parts};
use crate::operation::How;
use crate::program::{Atom, Bin, Expr, Kind};
use crate::scope::Scope;
use crate::types::{BOOL, FLOAT, Form, INT, NONE, OBJECT, Tags, Ty};

/// Number of a class of a [`Unit`](crate::Unit).
pub type ClassId = usize;

/// The class that an object is expected to be an instance of.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct InstanceTy {
    /// Its number.
    pub id: ClassId,
    /// Its name.
    pub name: Rc<str>,
}

/// What an attribute of an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// A reference at this offset of the object.
    Slot(i32),
    /// The reference of this number among the values of an object that has no dictionary so far.
    Value(u8),
    /// A function of the class, by its number and its address.
    Method(FunctionId, usize),
    /// The result of a function of the class: a property.
    Property(FunctionId, usize),
    /// Anything else in the class.
    Other,
}

/// How a call of a class makes an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// In a way of its own.
    Unknown,
    /// As an object without attributes.
    Bare,
    /// The same, then this function is called.
    Init(FunctionId, usize),
}

/// A class.
#[derive(Debug, Clone)]
pub struct Class {
    /// Its name.
    pub name: Rc<str>,
    /// The type object.
    pub address: usize,
    /// The number of its version.
    pub version: u32,
    /// If instances have values: where the number of their names is, and that number.
    pub names: Option<(usize, u64)>,
    /// What is known of its attributes.
    pub members: HashMap<String, Member>,
    /// How instances are made.
    pub maker: Maker,
}

/// The classes that the functions of a unit know.
#[derive(Debug, Default)]
pub struct Classes {
    known: RefCell<Vec<Class>>,
    expected: RefCell<HashMap<(ClassId, String), Ty>>,
}

impl Classes {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.borrow().is_empty()
    }

    /// Adds a class, or replaces what was known of it.
    pub fn learn(&self, class: Class) -> ClassId {
        let known = self.id_of(class.address);
        let mut classes = self.known.borrow_mut();
        match known {
            Some(id) => {
                classes[id] = class;
                id
            }
            None => {
                classes.push(class);
                classes.len() - 1
            }
        }
    }

    /// The number of a class.
    #[must_use]
    pub fn id_of(&self, address: usize) -> Option<ClassId> {
        let known = self.known.borrow();
        known.iter().position(|class| class.address == address)
    }

    /// What is known of all classes.
    #[must_use]
    pub fn all(&self) -> Vec<Class> {
        self.known.borrow().clone()
    }

    /// The type object of a class.
    pub(crate) fn address(&self, id: ClassId) -> usize {
        self.of(id, |class| class.address)
    }

    /// What is known of a class.
    pub(crate) fn of<R>(&self, id: ClassId, f: impl FnOnce(&Class) -> R) -> R {
        f(&self.known.borrow()[id])
    }

    /// The type of its instances.
    #[must_use]
    pub fn instance(&self, id: ClassId) -> Ty {
        let name = Rc::clone(&self.known.borrow()[id].name);
        Ty::object(Form::Instance(InstanceTy { id, name }))
    }

    /// The attribute is seen to hold such a value; whether more is expected of it than before.
    pub fn note(&self, id: ClassId, name: &str, value: &Ty) -> bool {
        let value = Ty {
            natural: false,
            room: 0,
            ..boxed_parts(value.narrowed()).without_chars()
        };
        let mut expected = self.expected.borrow_mut();
        let known = expected.entry((id, name.to_owned())).or_default();
        let mut joined = known.join(&value);
        if joined.depth() > DEPTH_MAX {
            joined = Ty::tags(joined.tags);
        }
        let grows = joined != *known;
        *known = joined;
        grows
    }

    /// The type of an attribute that is read.
    fn read(&self, id: ClassId, name: &str) -> Ty {
        let expected = self.expected.borrow();
        let Some(ty) = expected.get(&(id, name.to_owned())) else {
            return Ty::of(OBJECT);
        };
        let numbers = Tags(1 << BOOL | 1 << INT | 1 << FLOAT);
        let references = Tags::of(OBJECT).or(Tags::of(NONE));
        match &ty.form {
            _ if ty.tags.within(numbers) && !ty.is_never() => Ty::tags(ty.tags),
            Form::Instance(_) if ty.tags.within(references) => Ty::object(ty.form.clone()),
            form if ty.tags == Tags::of(OBJECT) && *form != Form::Any => {
                Ty::object(form.clone()).boxed()
            }
            _ => Ty::of(OBJECT),
        }
    }
}

impl Ty {
    /// The class that an object is expected to be of, where the value is an object or `None`.
    pub(crate) fn instance(&self) -> Option<ClassId> {
        let references = Tags::of(OBJECT).or(Tags::of(NONE));
        match &self.form {
            Form::Instance(class) if self.tags.within(references) => Some(class.id),
            _ => None,
        }
    }

    /// Forgets which class an object is expected to be of.
    pub(crate) fn forget_class(&mut self) {
        if matches!(self.form, Form::Instance(_)) {
            self.form = Form::Any;
        }
    }
}

impl Scope<'_> {
    /// What an attribute is of an instance of a class that is known.
    pub(crate) fn member(&self, of: &Ty, name: &str) -> Option<(ClassId, Member)> {
        let class = of.instance()?;
        let member = self
            .info
            .classes
            .of(class, |class| class.members.get(name).copied())?;
        Some((class, member))
    }

    /// The type of an attribute of an instance, if it lies at a known place.
    pub(crate) fn stored(&self, of: &Ty, name: &str) -> Option<Ty> {
        match self.member(of, name)? {
            (class, Member::Slot(_) | Member::Value(_)) => {
                Some(self.info.classes.read(class, name))
            }
            _ => None,
        }
    }

    /// The function of the unit that a call of a method is one of.
    pub(crate) fn method(&self, of: &Ty, name: &str) -> Option<(ClassId, FunctionId, usize)> {
        match self.member(of, name)? {
            (class, Member::Method(id, address)) => Some((class, id, address)),
            _ => None,
        }
    }

    /// The function of the unit that computes an attribute.
    pub(crate) fn property(&self, of: &Ty, name: &str) -> Option<(ClassId, FunctionId, usize)> {
        match self.member(of, name)? {
            (class, Member::Property(id, address)) => Some((class, id, address)),
            _ => None,
        }
    }

    /// The function of the unit that an operator stands for, of two instances of a class, or of one and
    /// a number.
    pub(crate) fn operator(
        &self,
        (op, in_place): (Bin, bool),
        a: &Ty,
        b: &Ty,
    ) -> Option<(ClassId, FunctionId, usize)> {
        let numbers = Tags(1 << BOOL | 1 << INT | 1 << FLOAT);
        let is_number = b.tags.within(numbers) && b.tags.single().is_some();
        let fits = is_number || b.instance().is_some() && a.instance() == b.instance();
        let name = op.method();
        if !fits || in_place && self.member(a, &format!("__i{name}__")).is_some() {
            return None;
        }
        self.method(a, &format!("__{name}__"))
    }

    /// The types of the operands of such an operator.
    pub(crate) fn operands(&self, class: ClassId, b: &Ty) -> [Ty; 2] {
        let instance = self.info.classes.instance(class);
        let second = match b.instance() {
            Some(_) => instance.clone(),
            None => b.clone(),
        };
        [instance, second]
    }

    /// The class that a call makes an instance of, and how.
    pub(crate) fn made(&self, function: &Atom) -> Option<(ClassId, Maker)> {
        let Atom::Global(index) = function else {
            return None;
        };
        let Global::Object { address, .. } = self.info.globals[*index] else {
            return None;
        };
        let class = self.info.classes.id_of(address)?;
        let maker = self.info.classes.of(class, |class| class.maker);
        (maker != Maker::Unknown).then_some((class, maker))
    }
}

/// What the name of a method begins with that is looked for in the bases behind a class, whose
/// address follows, and then the name.
pub const SUPER: &str = "super:";

/// Whether a method was looked up before it is called, as an object.
pub(crate) fn is_looked_up(state: &[Ty], bound: Option<usize>) -> bool {
    bound.is_some_and(|bound| state[bound].tags.has(OBJECT))
}

impl Inference<'_> {
    /// How an operation is done that calls a function of a class.
    pub(crate) fn through_class(&mut self, state: &[Ty], e: &Expr) -> Option<How> {
        let scope = self.scope(state);
        match e {
            Expr::Method(name, of, args, named, bound) => {
                let (id, args) = self.known_method(state, (name, of), (args, named), *bound)?;
                self.calls(id, &args)
            }
            Expr::Bin(op, a, b, in_place) => {
                let (a, b) = (scope.atom(a), scope.atom(b));
                let (class, id, _) = scope.operator((*op, *in_place), &a, &b)?;
                let args = scope.operands(class, &b);
                self.calls_by_place(id, &args)
            }
            Expr::Attr(name, of) => {
                let (class, id, _) = scope.property(&scope.atom(of), name)?;
                self.calls_by_place(id, &[self.info.classes.instance(class)])
            }
            Expr::Call(function, args, named) => {
                let (class, maker) = scope.made(function)?;
                let instance = self.info.classes.instance(class);
                match maker {
                    Maker::Init(id, _) => {
                        let init = &self.unit.functions[id];
                        let first = Some(instance.clone());
                        let args = scope.arguments(init, first, args, named)?;
                        match self.calls(id, &args)? {
                            How::Gives(_) => Some(How::Gives(instance)),
                            leave @ How::Leave(_) => Some(leave),
                        }
                    }
                    _ if args.is_empty() && named.is_empty() => Some(How::Gives(instance)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// The function that a method is, and the types of its parameters, if it is called natively.
    pub(crate) fn known_method(
        &self,
        state: &[Ty],
        (name, of): (&str, &Atom),
        (args, named): (&[Atom], &[(String, Atom)]),
        bound: Option<usize>,
    ) -> Option<(FunctionId, Vec<Ty>)> {
        let scope = self.scope(state);
        let (class, id, _) = scope.method(&scope.atom(of), name)?;
        if is_looked_up(state, bound) {
            return None;
        }
        let first = Some(self.info.classes.instance(class));
        let args = scope.arguments(&self.unit.functions[id], first, args, named)?;
        Some((id, args))
    }

    /// A call of a function of the unit; `None` if it is not called natively.
    pub(crate) fn calls(&mut self, id: FunctionId, args: &[Ty]) -> Option<How> {
        self.unit.callee(id, args)?;
        Some(self.call(id, args))
    }

    /// The same where syntax gives the values.
    pub(crate) fn calls_by_place(&mut self, id: FunctionId, args: &[Ty]) -> Option<How> {
        self.unit.takes_by_place(id).then(|| self.calls(id, args))?
    }

    /// Notes what an assignment says of an attribute.
    pub(crate) fn note_attribute(&mut self, state: &[Ty], kind: &Kind) {
        let Kind::SetAttr(of, name, value) = kind else {
            return;
        };
        let scope = self.scope(state);
        let (of, value) = (scope.atom(of), scope.atom(value));
        if let Some(class) = of.instance()
            && self.info.classes.note(class, name, &value)
        {
            self.unit.note_change();
        }
    }
}
