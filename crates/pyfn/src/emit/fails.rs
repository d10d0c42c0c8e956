//! Whether the next operation fails, where machine code can tell.
//!
//! Where it cannot, the answer is that it does not: then Python finds out, and raises.

use cranelift_codegen::ir::{
    InstBuilder, Value,
    condcodes::{FloatCC, IntCC},
    types,
};

use super::{Emitter, Val};
use crate::operation::is_str;
use crate::program::Failure;
use crate::types::{BOOL, FLOAT, Form, INT, OBJECT, Tags, Ty};

impl Emitter<'_, '_> {
    /// Whether an operation on such operands fails in that way.
    pub(super) fn fails(&mut self, how: Failure, a: &Val, b: &Val) -> Val {
        let seen = match how {
            Failure::Zero => self.is_zero(a, b),
            Failure::Index => self.is_out_of_bounds(a, b),
            Failure::Key => self.is_no_key(a, b),
        };
        let word = seen.unwrap_or_else(|| self.int(0));
        Self::from_word(Ty::truth(), word)
    }

    fn is_zero(&mut self, a: &Val, b: &Val) -> Option<Value> {
        let numbers = Tags(1 << BOOL | 1 << INT | 1 << FLOAT);
        let tag = b.ty.tags.single().filter(|_| a.ty.tags.within(numbers))?;
        let is_zero = match tag {
            BOOL | INT => {
                let word = self.word(b);
                self.b.ins().icmp_imm_s(IntCC::Equal, word, 0)
            }
            FLOAT => {
                let (flt, zero) = (self.flt(b), self.b.ins().f64const(0.0));
                self.b.ins().fcmp(FloatCC::Equal, flt, zero)
            }
            _ => return None,
        };
        Some(self.b.ins().uextend(types::I64, is_zero))
    }

    fn is_out_of_bounds(&mut self, of: &Val, index: &Val) -> Option<Value> {
        let is_list = of.ty.list().is_some() || of.ty.unboxed().is_some();
        if index.ty.tags != Tags::of(INT) {
            return None;
        }
        let n = if is_list && self.rt.ob_item != 0 {
            self.list_fields(of).0
        } else if is_str(&of.ty) {
            let text = self.word(of);
            self.text_size(text)
        } else {
            return None;
        };
        let at = self.word(index);
        let least = self.b.ins().ineg(n);
        let below = self.b.ins().icmp(IntCC::SignedLessThan, at, least);
        let above = self.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, at, n);
        let outside = self.b.ins().bor(below, above);
        Some(self.b.ins().uextend(types::I64, outside))
    }

    fn is_no_key(&mut self, of: &Val, key: &Val) -> Option<Value> {
        let found = if of.ty.table().is_some() {
            self.is_in_table(of, key)?
        } else {
            let is_dict = of.ty.form == Form::Dict && of.ty.tags == Tags::of(OBJECT);
            let is_plain = key.ty.is_text() || key.ty.tags == Tags::of(INT);
            if !is_dict || !is_plain {
                return None;
            }
            self.through_status(&[of, key], |emitter, words| {
                emitter.call_word(emitter.rt.contains, words)
            })
        };
        Some(self.b.ins().bxor_imm_s(found, 1))
    }
}
