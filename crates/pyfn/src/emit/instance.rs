//! Instances of Python's classes: attributes in place, methods as functions of the unit.
//!
//! A use begins by looking whether the object's class is the one that was expected, and is as it was
//! when its attributes were looked up: two comparisons, after which places and methods are known.
//! Otherwise the function is left, and compiled again without that guess.
//!
//! # Invariant
//! A number that only one attribute refers to is seen by nobody else, so it may be overwritten in
//! place of being replaced.

use std::rc::Rc;

use cranelift_codegen::ir::{Block, InstBuilder, Value, condcodes::IntCC, types};

use super::frame::UNEXPECTED;
use super::{Emitter, Val, trusted};
use crate::classes::{ClassId, Maker, Member, SUPER, is_looked_up};
use crate::globals::FunctionId;
use crate::program::{Bin, Expr};
use crate::types::{FLOAT, INT, NONE, OBJECT, Tags, Ty};

/// What Python keeps one object of, for all integers less than this.
const SMALL_INTS: i64 = 257;

/// Where a reference of an object is.
#[derive(Clone, Copy)]
struct Field {
    base: Value,
    offset: i32,
    /// Its number among the object's values, if it is one.
    number: Option<u8>,
}

impl Emitter<'_, '_> {
    /// Checks of their own, so that a wrong guess is told from all else.
    pub(super) fn guess<R>(&mut self, checks: impl FnOnce(&mut Self) -> R) -> R {
        self.end_checks();
        let result = checks(self);
        if let Some((_, why)) = &mut self.exit {
            UNEXPECTED.clone_into(why);
        }
        self.end_checks();
        result
    }

    /// The object, which is an instance of a class that is as it was.
    pub(super) fn instance(&mut self, of: &Val, class: ClassId) -> Value {
        self.uses_objects = true;
        if of.ty.tags != Tags::of(OBJECT) {
            let is_object = self.has_tag(of, OBJECT);
            self.exit_unless(is_object, UNEXPECTED);
        }
        let object = self.word(of);
        let address = self.info.classes.address(class);
        let is_instance = self.has_type(object, address);
        self.exit_unless(is_instance, UNEXPECTED);
        self.look_at_class(class);
        object
    }

    fn look_at_class(&mut self, class: ClassId) {
        let known = self
            .info
            .classes
            .of(class, |class| (class.address, class.version));
        let address = self.address(known.0);
        let offset = self.rt.type_version;
        let version = self.b.ins().uload32(trusted(), address, offset);
        let same = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, version, i64::from(known.1));
        self.exit_unless(same, UNEXPECTED);
    }

    /// Where an attribute is; goes to `otherwise` if the instance has a dictionary.
    fn field(&mut self, object: Value, member: Member, otherwise: Block) -> Option<Field> {
        match member {
            Member::Slot(offset) => Some(Field {
                base: object,
                offset,
                number: None,
            }),
            Member::Value(number) => {
                let values = self.load(types::I64, object, self.rt.values_at);
                self.go_on_if(values, otherwise);
                Some(Field {
                    base: values,
                    offset: 8 * i32::from(number),
                    number: Some(number),
                })
            }
            Member::Method(..) | Member::Property(..) | Member::Other => None,
        }
    }

    /// Goes on in a new block if the condition holds.
    fn go_on_if(&mut self, condition: Value, otherwise: Block) {
        let next = self.new_block();
        self.b.ins().brif(condition, next, &[], otherwise, &[]);
        self.b.seal_block(next);
        self.b.switch_to_block(next);
    }

    /// The place of an attribute of an instance of a known class, if it is known.
    fn place(&self, of: &Val, name: &str) -> Option<(ClassId, Member)> {
        let found = self.scope().member(&of.ty, name)?;
        matches!(found.1, Member::Slot(_) | Member::Value(_)).then_some(found)
    }

    /// An attribute of an instance; `None` if its place is not known.
    pub(super) fn load_attribute(&mut self, of: &Val, name: &str, ty: &Ty) -> Option<Val> {
        let (class, member) = self.place(of, name)?;
        let object = self.guess(|emitter| emitter.instance(of, class));
        let (ask, done) = (self.cold_block(), self.new_block());
        let params = [types::I64, types::I64, types::F64];
        let [tag, word, flt] = params.map(|ty| self.b.append_block_param(done, ty));
        let field = self.field(object, member, ask)?;
        let item = self.load(types::I64, field.base, field.offset);
        self.go_on_if(item, ask);
        let is_object = ty.tags == Tags::of(OBJECT);
        let found = if is_object {
            self.inc_ref(item);
            Self::owned(ty.clone(), item)
        } else {
            self.guess(|emitter| emitter.unbox(item, ty.tags))
        };
        let words = [self.tag(&found), self.word(&found), self.flt(&found)];
        self.jump(done, &words);
        // It is in a dictionary, or in the class, or nowhere.
        self.start(ask);
        let name = self.text(name);
        let item = self.call_rarely(self.rt.get_attr, &[object, name]);
        self.fail_if_null(item);
        if is_object {
            let zero = self.b.ins().f64const(0.0);
            let tag = self.tag_value(OBJECT);
            self.jump(done, &[tag, item, zero]);
        } else {
            let (out, wanted) = (self.scratch(2), self.int(i64::from(ty.tags.0)));
            let tag = self.call_rarely(self.rt.unbox, &[item, wanted, out]);
            self.dec_ref(item);
            self.guess(|emitter| emitter.exit_unless(tag, UNEXPECTED));
            let out = self.scratch(2);
            let word = self.load(types::I64, out, 0);
            let flt = self.load(types::F64, out, 8);
            self.jump(done, &[tag, word, flt]);
        }
        self.start(done);
        Some(Val {
            ty: ty.clone(),
            tag: Some(tag),
            word: Some(word),
            flt: Some(flt),
            owned: is_object,
            ..Val::default()
        })
    }

    /// Assigns an attribute of an instance; `false` if its place is not known.
    pub(super) fn store_attribute(&mut self, of: &Val, name: &str, value: &Val) -> bool {
        let Some((class, member)) = self.place(of, name) else {
            return false;
        };
        let object = self.guess(|emitter| emitter.instance(of, class));
        let ask = self.cold_block();
        let Some(field) = self.field(object, member, ask) else {
            return false;
        };
        let old = self.load(types::I64, field.base, field.offset);
        let (replace, done) = (self.new_block(), self.new_block());
        self.overwrite(old, value, [replace, done]);
        self.start(replace);
        let boxed = self.boxed(value);
        let new = self.word(&boxed);
        if !boxed.owned {
            self.inc_ref(new);
        }
        self.store(new, field.base, field.offset);
        let (fresh, dead) = (self.new_block(), self.new_block());
        self.b.ins().brif(old, dead, &[], fresh, &[]);
        self.start(fresh);
        if let Some(number) = field.number {
            self.note_order(field.base, number);
        }
        self.jump(done, &[]);
        self.start(dead);
        self.dec_ref_often(old);
        self.jump(done, &[]);
        self.start(ask);
        let of = Self::from_word(of.ty.clone(), object);
        let of = Self::seen_as(&of, Tags::of(OBJECT));
        let name = self.text(name);
        self.through_status(&[&of, value], |emitter, words| {
            emitter.call_word(emitter.rt.set_attr, &[words[0], name, words[1]])
        });
        self.jump(done, &[]);
        self.start(done);
        true
    }

    /// Python notes below the values the order in which they are assigned first: their number, and
    /// below it theirs, going down.
    fn note_order(&mut self, values: Value, number: u8) {
        let n = self.b.ins().uload8(types::I64, trusted(), values, -2);
        let n = self.b.ins().iadd_imm_s(n, 1);
        let place = self.b.ins().isub(values, n);
        let number = self.b.ins().iconst(types::I8, i64::from(number));
        self.store(number, place, -2);
        let n = self.b.ins().ireduce(types::I8, n);
        self.store(n, values, -2);
    }

    /// Writes a number into the object of the one before and goes to `done`, if nobody else refers
    /// to that; else goes to `replace`.
    pub(super) fn overwrite(&mut self, old: Value, value: &Val, [replace, done]: [Block; 2]) {
        let rt = Rc::clone(&self.rt);
        let type_ = match value.ty.tags.single() {
            Some(FLOAT) if rt.plain_refcounts && rt.ob_fval != 0 => rt.float_type,
            Some(INT) if rt.plain_refcounts && rt.digits30 => rt.long_type,
            _ => {
                self.jump(replace, &[]);
                return;
            }
        };
        self.go_on_if(old, replace);
        let is_number = self.has_type(old, type_);
        self.go_on_if(is_number, replace);
        let count = self.load(types::I64, old, 0);
        let is_alone = self.b.ins().icmp_imm_s(IntCC::Equal, count, 1);
        self.go_on_if(is_alone, replace);
        if type_ == rt.float_type {
            let flt = self.flt(value);
            self.store(flt, old, rt.ob_fval);
            self.jump(done, &[]);
            return;
        }
        // A number of one digit of 30 bits takes the place of another.
        let size = self.load(types::I64, old, 16);
        let square = self.b.ins().imul(size, size);
        let is_short = self.b.ins().icmp_imm_s(IntCC::Equal, square, 1);
        self.go_on_if(is_short, replace);
        let word = self.word(value);
        let digit = self.b.ins().iabs(word);
        let above = self.b.ins().iadd_imm_s(digit, -SMALL_INTS);
        let limit = (1 << 30) - SMALL_INTS;
        let fits = self
            .b
            .ins()
            .icmp_imm_s(IntCC::UnsignedLessThan, above, limit);
        self.go_on_if(fits, replace);
        let sign = self.b.ins().sshr_imm_u(word, 63);
        let sign = self.b.ins().bor_imm_s(sign, 1);
        self.store(sign, old, 16);
        let digit = self.b.ins().ireduce(types::I32, digit);
        self.store(digit, old, 24);
        self.jump(done, &[]);
    }

    /// Looks whether an instance has a method; the instance.
    fn has_method(&mut self, of: &Val, class: ClassId, (name, function): (&str, usize)) -> Val {
        let names = self.info.classes.of(class, |class| class.names);
        let names = names.filter(|_| !name.starts_with(SUPER));
        let object = self.guess(|emitter| {
            let object = emitter.instance(of, class);
            if let Some((place, n)) = names {
                // An attribute of its own would come first, but mostly none has this name.
                let (ask, done) = (emitter.cold_block(), emitter.new_block());
                let values = emitter.load(types::I64, object, emitter.rt.values_at);
                emitter.go_on_if(values, ask);
                let place = emitter.address(place);
                let found = emitter.load(types::I64, place, 0);
                let n = emitter.int(n.cast_signed());
                let same = emitter.b.ins().icmp(IntCC::Equal, found, n);
                emitter.b.ins().brif(same, done, &[], ask, &[]);
                emitter.start(ask);
                let (name, function) = (emitter.text(name), emitter.address(function));
                let args = [object, name, function];
                let is_method = emitter.call_rarely(emitter.rt.is_method, &args);
                emitter.exit_unless(is_method, UNEXPECTED);
                emitter.jump(done, &[]);
                emitter.start(done);
            }
            object
        });
        Self::from_word(self.info.classes.instance(class), object)
    }

    /// Looks a method up that is called later; `false` if Python has to.
    pub(super) fn looked_up(&mut self, of: &Val, name: &str) -> bool {
        let Some((class, _, function)) = self.scope().method(&of.ty, name) else {
            return false;
        };
        self.has_method(of, class, (name, function));
        true
    }

    /// An operation that calls a function of a class; `None` if it is another.
    pub(super) fn through_class(&mut self, e: &Expr) -> Option<Option<Val>> {
        match e {
            Expr::Method(name, of, args, named, bound) if !is_looked_up(&self.types, *bound) => {
                let of = self.atom(of);
                let (class, id, function) = self.scope().method(&of.ty, name)?;
                let first = self.info.classes.instance(class);
                let info = Rc::clone(&self.unit.functions[id]);
                let types = self
                    .scope()
                    .arguments(&info, Some(first.clone()), args, named)?;
                self.unit.find(id, &types)?;
                let of = match bound {
                    // The lookup has seen to it.
                    Some(_) => Self::from_word(first, self.word(&of)),
                    None => self.has_method(&of, class, (name, function)),
                };
                let values = self.arguments(id, Some(of), args, named)?;
                Some(self.call_member(id, function, values))
            }
            Expr::Bin(op, a, b, in_place) => {
                let (a, b) = (self.atom(a), self.atom(b));
                self.operator((*op, *in_place), &a, &b)
            }
            Expr::Attr(name, of) => {
                let of = self.atom(of);
                let (class, id, function) = self.scope().property(&of.ty, name)?;
                let first = self.info.classes.instance(class);
                self.unit.takes_by_place(id).then_some(())?;
                self.unit.find(id, std::slice::from_ref(&first))?;
                let object = self.guess(|emitter| emitter.instance(&of, class));
                Some(self.call_member(id, function, vec![Self::from_word(first, object)]))
            }
            Expr::Call(function, args, named) => {
                let (class, maker) = self.scope().made(function)?;
                match maker {
                    Maker::Init(id, address) => {
                        let first = Some(self.info.classes.instance(class));
                        let info = Rc::clone(&self.unit.functions[id]);
                        let types = self.scope().arguments(&info, first, args, named)?;
                        let spec = self.unit.find(id, &types)?;
                        if self.unit.specs[spec].ret.is_never() {
                            self.leave("the function called never returns natively");
                            return Some(None);
                        }
                        // The instance is made once all has been looked at.
                        let nothing = Self::nothing(NONE);
                        let values = self.arguments(id, Some(nothing), args, named)?;
                        let object = self.new_instance(class);
                        Some(self.initialised(id, address, object, values))
                    }
                    _ if args.is_empty() && named.is_empty() => {
                        Some(Some(self.new_instance(class)))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn operator(&mut self, (op, in_place): (Bin, bool), a: &Val, b: &Val) -> Option<Option<Val>> {
        let (class, id, function) = self.scope().operator((op, in_place), &a.ty, &b.ty)?;
        let types = self.scope().operands(class, &b.ty);
        self.unit.takes_by_place(id).then_some(())?;
        self.unit.find(id, &types)?;
        let [x, y] = self.guess(|emitter| {
            let x = emitter.instance(a, class);
            let y = b.ty.instance().map(|_| emitter.instance(b, class));
            [Some(x), y]
        });
        let [tx, _] = types;
        let of = Self::from_word(tx.clone(), x?);
        let by = y.map_or_else(|| b.clone(), |y| Self::from_word(tx, y));
        let Some(result) = self.call_member(id, function, vec![of.clone(), by.clone()]) else {
            return Some(None);
        };
        let (tag, word) = (self.tag(&result), self.word(&result));
        let is_nothing = self.is_not_implemented(tag, word);
        let (refused, done) = (self.cold_block(), self.new_block());
        self.b.ins().brif(is_nothing, refused, &[], done, &[]);
        self.start(refused);
        self.dec_ref(word);
        let op = [self.int(op as i64), self.int(i64::from(in_place))];
        self.through_status(&[&of, &by], |emitter, words| {
            let args = [op[0], op[1], words[0], words[1]];
            emitter.call_word(emitter.rt.unsupported, &args)
        });
        self.jump(done, &[]);
        self.start(done);
        Some(Some(result))
    }

    pub(super) fn call_member(
        &mut self,
        id: FunctionId,
        function: usize,
        values: Vec<Val>,
    ) -> Option<Val> {
        let function = self.address(function);
        let function = Self::from_word(Ty::of(OBJECT), function);
        self.call_function(id, function, values)
    }

    /// A new instance without attributes.
    fn new_instance(&mut self, class: ClassId) -> Val {
        self.guess(|emitter| emitter.look_at_class(class));
        let address = self.info.classes.address(class);
        let address = self.address(address);
        let object = self.call_word(self.rt.new_object, &[address]);
        self.fail_if_null(object);
        Self::owned(self.info.classes.instance(class), object)
    }

    /// The instance, for which `__init__` is called with such values; the first is put in place.
    fn initialised(
        &mut self,
        id: FunctionId,
        function: usize,
        instance: Val,
        mut values: Vec<Val>,
    ) -> Option<Val> {
        let object = self.word(&instance);
        values[0] = Self::from_word(instance.ty.clone(), object);
        self.unfinished = Some(object);
        let result = self.call_member(id, function, values);
        self.unfinished = None;
        let result = result?;
        let tag = self.tag(&result);
        let (other, done) = (self.cold_block(), self.new_block());
        let is_none = self.b.ins().icmp_imm_s(IntCC::Equal, tag, i64::from(NONE));
        self.b.ins().brif(is_none, done, &[], other, &[]);
        self.start(other);
        // What was left to Python gives an object; `None` without a count of references that matters.
        let (tag, word, flt) = (self.tag(&result), self.word(&result), self.flt(&result));
        let given = self.call_boxing(tag, word, flt);
        self.release(&result);
        let status = self.call_rarely(self.rt.init_gave, &[given, object]);
        self.fail_if_negative(status);
        self.jump(done, &[]);
        self.start(done);
        Some(instance)
    }
}
