//! Lists that only their function sees: numbers side by side.
//!
//! Such a list is an object with a reference count like any other, and its size and items are where
//! those of Python's lists are; but an item is the number itself. Where Python gets to see the list,
//! in an exit, as a result, or as an argument, a list of Python's is made of it.

use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, condcodes::IntCC, types};

use super::{Emitter, UNEXPECTED, Val};
use crate::program::{Atom, Expr};
use crate::types::{Class, FLOAT, Form, INT, NONE, RANGE, Tags, Ty};
use crate::unboxed::{copied, repeated};

impl Emitter<'_, '_> {
    /// The list that an operation makes for a local, if only this function will see it.
    pub(super) fn own_list(&mut self, to: usize, e: &Expr) -> Option<Val> {
        let element = self.own_lists.get(to)?.clone()?;
        let list = match e {
            Expr::List(items) => {
                let items = items.iter().map(|item| self.atom(item)).collect::<Vec<_>>();
                let n = self.int(i64::try_from(items.len()).unwrap_or(0));
                let tag = self.tag_value(element.tags.single().unwrap_or(NONE));
                let list = self.call_word(self.rt.unboxed_new, &[n, tag]);
                self.fail_if_null(list);
                let first = self.load(types::I64, list, self.rt.ob_item);
                for (at, item) in items.iter().enumerate() {
                    let bits = self.bits(item);
                    self.store(bits, first, i32::try_from(8 * at).unwrap_or(0));
                }
                list
            }
            Expr::Bin(..) => {
                let is_list = |local: usize| self.types[local].unboxed().is_some();
                let (list, n) = repeated(e, is_list)?;
                let (list, n) = (self.atom(&Atom::Local(list)), self.atom(n));
                let (list, n) = (self.word(&list), self.word(&n));
                let list = self.call_word(self.rt.unboxed_repeat, &[list, n]);
                self.fail_if_null(list);
                list
            }
            _ => {
                let info = std::rc::Rc::clone(&self.info);
                let of = self.atom(copied(e, &info.globals)?);
                if of.ty.tags == Tags::of(RANGE) {
                    let words = of.parts.iter().map(|part| self.word(part));
                    let words = words.collect::<Vec<_>>();
                    let list = self.call_word(self.rt.unboxed_range, &words);
                    self.fail_if_null(list);
                    list
                } else {
                    let object = self.word(&of);
                    let tag = self.tag_value(element.tags.single().unwrap_or(NONE));
                    let list = self.call_word(self.rt.unboxed_copy, &[object, tag]);
                    self.exit_unless(list, UNEXPECTED);
                    list
                }
            }
        };
        let ty = Ty::object(Form::Unboxed(Box::new(element)));
        Some(Self::owned(ty, list))
    }

    /// The bits of a number as an item.
    fn bits(&mut self, value: &Val) -> Value {
        if Self::class_of(value) == Some(Class::Float) {
            self.flt(value)
        } else {
            self.word(value)
        }
    }

    /// The number in a place.
    pub(super) fn unboxed_at(&mut self, place: Value, element: &Ty) -> Val {
        if element.tags == Tags::of(FLOAT) {
            let flt = self.load(types::F64, place, 0);
            Self::from_flt(element.clone(), flt)
        } else {
            let word = self.load(types::I64, place, 0);
            Self::from_word(element.clone(), word)
        }
    }

    /// The number that a word is.
    pub(super) fn unboxed_word(&mut self, word: Value, element: &Ty) -> Val {
        if element.tags == Tags::of(FLOAT) {
            let flt = self.b.ins().bitcast(types::F64, MemFlagsData::new(), word);
            Self::from_flt(element.clone(), flt)
        } else {
            Self::from_word(element.clone(), word)
        }
    }

    /// `list[index] = value`; `false` if that is not done natively.
    pub(super) fn store_unboxed(&mut self, list: &Val, index: &Val, value: &Val) -> bool {
        let fits = |element: &Ty| value.ty.tags.single() == element.tags.single();
        if !list.ty.unboxed().is_some_and(fits) {
            return false;
        }
        let place = self.list_place(list, index);
        let bits = self.bits(value);
        self.store(bits, place, 0);
        true
    }

    /// `list.append(value)` or `list.pop()`.
    pub(super) fn change_unboxed(&mut self, list: &Val, args: &[Atom]) -> Option<Val> {
        let element = list.ty.unboxed()?.clone();
        let object = self.word(list);
        let size_at = self.rt.ob_item - 8;
        let size = self.load(types::I64, object, size_at);
        let Some(new) = args.first() else {
            let is_empty = self.b.ins().icmp_imm_s(IntCC::Equal, size, 0);
            self.exit_if(is_empty, "pop from an empty list");
            let less = self.b.ins().iadd_imm_s(size, -1);
            let items = self.load(types::I64, object, self.rt.ob_item);
            let bytes = self.b.ins().ishl_imm_u(less, 3);
            let place = self.b.ins().iadd(items, bytes);
            let last = self.unboxed_at(place, &element);
            self.store(less, object, size_at);
            return Some(last);
        };
        let new = self.atom(new);
        if new.ty.tags.single() != element.tags.single() {
            return None;
        }
        let room = self.load(types::I64, object, self.rt.ob_item + 8);
        let is_full = self.b.ins().icmp(IntCC::Equal, size, room);
        let (grow, on) = (self.cold_block(), self.block_beside());
        self.b.ins().brif(is_full, grow, &[], on, &[]);
        self.start(grow);
        let status = self.call_rarely(self.rt.unboxed_grow, &[object]);
        self.fail_if_negative(status);
        self.jump(on, &[]);
        self.start(on);
        let items = self.load(types::I64, object, self.rt.ob_item);
        let bytes = self.b.ins().ishl_imm_u(size, 3);
        let place = self.b.ins().iadd(items, bytes);
        let bits = self.bits(&new);
        self.store(bits, place, 0);
        let more = self.b.ins().iadd_imm_s(size, 1);
        self.store(more, object, size_at);
        Some(Self::nothing(NONE))
    }

    /// The sum of integers.
    pub(super) fn sum_of_own(&mut self, list: &Val) -> Val {
        let (list, out) = (self.word(list), self.scratch(1));
        let fits = self.call_word(self.rt.unboxed_sum, &[list, out]);
        self.exit_unless(fits, "an integer of more than 64 bits");
        let out = self.scratch(1);
        let sum = self.load(types::I64, out, 0);
        Self::from_word(Ty::of(INT), sum)
    }

    /// A list of Python's with the same elements.
    pub(super) fn boxed_list(&mut self, list: &Val, element: &Ty) -> Val {
        let object = self.word(list);
        let made = self.call_word(self.rt.unboxed_to_list, &[object]);
        self.fail_if_null(made);
        let element = Ty::tags(element.tags).without_chars();
        Self::owned(Ty::object(Form::List(Box::new(element))), made)
    }
}
