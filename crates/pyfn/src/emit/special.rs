//! Calls of methods that syntax stands for (see `special`).

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};

use super::{Emitter, Val};
use crate::program::{Cmp, Expr, Index, Kind};
use crate::special::{Operand, Special, Use};
use crate::types::{INT, OBJECT, Tags, Ty};

impl Emitter<'_, '_> {
    /// An operation that such a method stands for; `None` if it is another.
    pub(super) fn through_special(&mut self, e: &Expr) -> Option<Option<Val>> {
        let special = self.scope().special(e)?;
        let (of, by) = self.look_at_special(&special)?;
        let mut values = vec![of.clone()];
        values.extend(by.clone());
        let Some(result) = self.call_member(special.function.0, special.function.1, values) else {
            return Some(None);
        };
        Some(Some(match (special.result, by.first()) {
            (Use::Comparison(op), Some(by)) => self.compared(op, &of, by, result),
            (Use::Truth(wanted), _) => {
                let truth = self.truth(&result);
                let word = self.b.ins().bxor_imm_s(truth, i64::from(!wanted));
                Self::from_word(Ty::truth(), word)
            }
            (Use::Length, _) => self.given_length(&result),
            _ => result,
        }))
    }

    /// The same for an assignment to an item; whether anything follows.
    pub(super) fn store_through_special(&mut self, kind: &Kind) -> Option<bool> {
        let special = self.scope().special_store(kind)?;
        let (of, by) = self.look_at_special(&special)?;
        let values = std::iter::once(of).chain(by).collect();
        let result = self.call_member(special.function.0, special.function.1, values);
        if let Some(result) = &result {
            self.release_owned(result);
        }
        Some(result.is_some())
    }

    /// The instance and the operands, once they have been looked at; `None` if the method is not
    /// called natively.
    fn look_at_special(&mut self, special: &Special<'_>) -> Option<(Val, Vec<Val>)> {
        let types = self.scope().params_of(special);
        let function = special.function.0;
        self.unit.takes_by_place(function).then_some(())?;
        self.unit.find(function, &types)?;
        let class = special.class;
        let instance = self.info.classes.instance(class);
        let of = self.atom(special.of);
        let object = self.guess(|emitter| emitter.instance(&of, class));
        let operands = special.operands.iter().map(|operand| match operand {
            Operand::Atom(atom) => self.atom(atom),
            Operand::Index(Index::Atom(atom)) => self.atom(atom),
            Operand::Index(index) => self.index(index),
            Operand::Instance(atom) => {
                let value = self.atom(atom);
                let object = self.guess(|emitter| emitter.instance(&value, class));
                Self::from_word(instance.clone(), object)
            }
        });
        let operands = operands.collect::<Vec<_>>();
        Some((Self::from_word(instance, object), operands))
    }

    /// What a comparison gives; where the method does not know the other operand, that is asked.
    fn compared(&mut self, op: Cmp, of: &Val, by: &Val, result: Val) -> Val {
        let (tag, word, flt) = (self.tag(&result), self.word(&result), self.flt(&result));
        let done = self.new_block();
        let params = [types::I64, types::I64, types::F64];
        let [to_tag, to_word, to_flt] = params.map(|ty| self.b.append_block_param(done, ty));
        let is_nothing = self.is_not_implemented(tag, word);
        let (refused, known) = (self.cold_block(), self.new_block());
        self.b.ins().brif(is_nothing, refused, &[], known, &[]);
        self.start(known);
        self.jump(done, &[tag, word, flt]);
        self.start(refused);
        self.dec_ref(word);
        let op = self.int(super::object::cmp_number(op));
        let object = self.through(&[of, by], &Ty::of(OBJECT), |emitter, words| {
            emitter.call_word(emitter.rt.compare_refused, &[op, words[0], words[1]])
        });
        let (tag, zero) = (self.tag_value(OBJECT), self.b.ins().f64const(0.0));
        let word = self.word(&object);
        self.jump(done, &[tag, word, zero]);
        self.start(done);
        Val {
            tag: Some(to_tag),
            word: Some(to_word),
            flt: Some(to_flt),
            ..result
        }
    }

    /// Whether a method has refused the other operand.
    pub(super) fn is_not_implemented(&mut self, tag: Value, word: Value) -> Value {
        let is_object = (self.b.ins()).icmp_imm_s(IntCC::Equal, tag, i64::from(OBJECT));
        let nothing = self.address(self.rt.not_implemented);
        let is_nothing = self.b.ins().icmp(IntCC::Equal, word, nothing);
        self.b.ins().band(is_object, is_nothing)
    }

    /// The number of items that `__len__` gave.
    fn given_length(&mut self, result: &Val) -> Val {
        let done = self.new_block();
        let n = self.b.append_block_param(done, types::I64);
        let (tag, word, flt) = (self.tag(result), self.word(result), self.flt(result));
        let ask = self.cold_block();
        if result.ty.tags.has(INT) {
            let is_int = self.b.ins().icmp_imm_s(IntCC::Equal, tag, i64::from(INT));
            let is_count = (self.b.ins()).icmp_imm_s(IntCC::SignedGreaterThanOrEqual, word, 0);
            let fits = self.b.ins().band(is_int, is_count);
            let direct = self.new_block();
            self.b.ins().brif(fits, direct, &[], ask, &[]);
            self.start(direct);
            self.jump(done, &[word]);
        } else {
            self.jump(ask, &[]);
        }
        self.start(ask);
        // Of the boxed value the reference is used up; an object's is ours.
        let given = if result.ty.tags == Tags::of(OBJECT) {
            word
        } else {
            let given = self.call_boxing(tag, word, flt);
            self.release_owned(result);
            given
        };
        let size = self.call_rarely(self.rt.len_gave, &[given]);
        self.fail_if_negative(size);
        self.jump(done, &[size]);
        self.start(done);
        Self::from_word(Ty::natural(), n)
    }
}
