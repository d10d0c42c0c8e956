//! Loops over tuples of numbers, or of tuples of numbers, as in `for dr, dc in ((0, 1), (1, 0))`.
//!
//! The parts are laid out on the stack, each number as a tag, a word and a double, so that Python,
//! where it takes over, can be given an iterator over the same tuple. No tuple is ever made.

use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind, Value, types};
use cranelift_frontend::Variable;

use super::{Emitter, Val, has_flt, has_word};
use crate::types::Ty;

/// Bytes of a number.
const SIZE: usize = 24;

/// The types of the numbers that make up an item.
fn numbers(item: &Ty) -> &[Ty] {
    item.parts().unwrap_or(std::slice::from_ref(item))
}

impl Emitter<'_, '_> {
    /// A number of things.
    pub(super) fn count(&mut self, n: usize) -> Value {
        self.int(i64::try_from(n).unwrap_or(0))
    }

    /// Lays the parts of a tuple out: the place, and the index of the next one.
    pub(super) fn lay_out_parts(&mut self, tuple: &Val, item: &Ty) -> [Variable; 2] {
        let numbers = numbers(item);
        let size = u32::try_from(tuple.parts.len() * numbers.len() * SIZE).unwrap_or(0);
        let slot = StackSlotData::new(StackSlotKind::ExplicitSlot, size, 3);
        let slot = self.b.create_sized_stack_slot(slot);
        let place = self.b.ins().stack_addr(types::I64, slot, 0);
        let mut at = 0;
        for part in &tuple.parts {
            let values = match part.parts.as_slice() {
                [] => std::slice::from_ref(part),
                parts => parts,
            };
            for (value, ty) in values.iter().zip(numbers) {
                let offset = |word: usize| i32::try_from(at + 8 * word).unwrap_or(0);
                let tag = self.tag(value);
                self.store(tag, place, offset(0));
                if has_word(ty.tags) {
                    let word = self.word(value);
                    self.store(word, place, offset(1));
                }
                if has_flt(ty.tags) {
                    let flt = self.flt(value);
                    self.store(flt, place, offset(2));
                }
                at += SIZE;
            }
        }
        let zero = self.int(0);
        [self.variable(place), self.variable(zero)]
    }

    /// The part that is next.
    pub(super) fn next_part(&mut self, [place, index]: [Variable; 2], item: &Ty) -> Val {
        let (place, now) = (self.value_of(place), self.value_of(index));
        let next = self.b.ins().iadd_imm_s(now, 1);
        self.b.def_var(index, next);
        let size = self.count(numbers(item).len() * SIZE);
        let bytes = self.b.ins().imul(now, size);
        let place = self.b.ins().iadd(place, bytes);
        let mut values = Vec::new();
        for (at, ty) in numbers(item).iter().enumerate() {
            let offset = |word: usize| i32::try_from(at * SIZE + 8 * word).unwrap_or(0);
            let mut value = Val {
                ty: ty.clone(),
                ..Val::default()
            };
            if ty.tags.single().is_none() {
                value.tag = Some(self.load(types::I64, place, offset(0)));
            }
            if has_word(ty.tags) {
                value.word = Some(self.load(types::I64, place, offset(1)));
            }
            if has_flt(ty.tags) {
                value.flt = Some(self.load(types::F64, place, offset(2)));
            }
            values.push(value);
        }
        match (item.parts(), values.pop()) {
            (None, Some(value)) => value,
            (_, last) => Val {
                ty: item.clone(),
                parts: values.into_iter().chain(last).collect(),
                ..Val::default()
            },
        }
    }
}
