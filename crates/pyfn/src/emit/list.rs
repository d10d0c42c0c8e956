//! Elements of lists, read and written in place.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};

use super::{Emitter, Val};
use crate::scope::loaded;
use crate::types::{BOOL, COMPLEX, FLOAT, Form, INT, NONE, OBJECT, Tags, Ty};

impl Emitter<'_, '_> {
    /// The number of elements and where the first is.
    pub(super) fn list_fields(&mut self, list: &Val) -> (Value, Value) {
        self.uses_objects = true;
        let object = self.word(list);
        let size = self.load(types::I64, object, self.rt.ob_item - 8);
        let items = self.load(types::I64, object, self.rt.ob_item);
        (size, items)
    }

    /// Whether a value is a tuple whose items can be read in place.
    pub(super) fn is_plain_tuple(&self, value: &Val) -> bool {
        let is_tuple = matches!(value.ty.form, Form::TupleObject(_));
        is_tuple && value.ty.tags == Tags::of(OBJECT) && self.rt.tuple_item != 0
    }

    /// `tuple[index]`, as an object.
    pub(super) fn load_from_tuple(&mut self, tuple: &Val, index: &Val, ty: &Ty) -> Val {
        self.uses_objects = true;
        let object = self.word(tuple);
        let size = self.load(types::I64, object, 16);
        let at = self.in_bounds(index, size);
        let bytes = self.b.ins().ishl_imm_u(at, 3);
        let place = self.b.ins().iadd(object, bytes);
        let item = self.load(types::I64, place, self.rt.tuple_item);
        self.inc_ref(item);
        Self::owned(ty.clone(), item)
    }

    /// The items of a tuple of so many, each with a reference; leaves if there is another number.
    pub(super) fn take_apart(&mut self, tuple: &Val, n_items: usize) -> Vec<Value> {
        self.uses_objects = true;
        let object = self.word(tuple);
        let size = self.load(types::I64, object, 16);
        let wanted = self.count(n_items);
        let fits = self.b.ins().icmp(IntCC::Equal, size, wanted);
        self.exit_unless(fits, "another number of values to unpack");
        let places = (0..n_items).map(|at| self.rt.tuple_item + i32::try_from(8 * at).unwrap_or(0));
        let items = places.collect::<Vec<_>>().into_iter().map(|place| {
            let item = self.load(types::I64, object, place);
            self.inc_ref(item);
            item
        });
        items.collect()
    }

    /// The number of bytes and where the first is.
    pub(super) fn bytes_fields(&mut self, bytes: &Val) -> (Value, Value) {
        let object = self.word(bytes);
        let size = self.load(types::I64, object, 16);
        let first = self.b.ins().iadd_imm_s(object, i64::from(self.rt.ob_sval));
        (size, first)
    }

    pub(super) fn byte_at(&mut self, place: Value) -> Val {
        let byte = self.b.ins().uload8(types::I64, super::trusted(), place, 0);
        Self::from_word(Ty::byte(), byte)
    }

    /// `bytes[index]`.
    pub(super) fn load_from_bytes(&mut self, bytes: &Val, index: &Val) -> Val {
        let (size, first) = self.bytes_fields(bytes);
        let at = self.in_bounds(index, size);
        let place = self.b.ins().iadd(first, at);
        self.byte_at(place)
    }

    /// Where an element is; leaves if the index is out of bounds.
    pub(super) fn list_place(&mut self, list: &Val, index: &Val) -> Value {
        let (size, items) = self.list_fields(list);
        let at = self.in_bounds(index, size);
        let bytes = self.b.ins().ishl_imm_u(at, 3);
        self.b.ins().iadd(items, bytes)
    }

    /// `list[index]`.
    pub(super) fn load_from_list(&mut self, list: &Val, index: &Val) -> Option<Val> {
        let element = list.ty.list()?.clone();
        if self.rt.ob_item == 0 {
            return None;
        }
        let place = self.list_place(list, index);
        let item = self.load(types::I64, place, 0);
        let ty = loaded(&element);
        if ty.tags == Tags::of(OBJECT) {
            self.inc_ref(item);
            return Some(Self::owned(ty, item));
        }
        let value = self.unbox(item, ty.tags);
        Some(Val { ty, ..value })
    }

    /// An element for a loop: unboxed if it is as expected, else as an object.
    pub(super) fn next_of_list(&mut self, item: Value, ty: &Ty) -> Val {
        let scalars = Tags(1 << BOOL | 1 << INT | 1 << FLOAT | 1 << NONE);
        if ty.tags == Tags::of(OBJECT) {
            self.inc_ref(item);
            return Self::owned(ty.clone(), item);
        }
        let wanted = ty.tags.and(scalars);
        if ty.tags.has(COMPLEX) && wanted.is_empty() {
            return self.complex_or_object(item, ty);
        }
        let done = self.new_block();
        let tag = self.b.append_block_param(done, types::I64);
        let word = self.b.append_block_param(done, types::I64);
        let flt = self.b.append_block_param(done, types::F64);
        let other = self.cold_block();
        if wanted == Tags::of(FLOAT) && self.rt.ob_fval != 0 {
            let is_float = self.has_type(item, self.rt.float_type);
            let direct = self.new_block();
            self.b.ins().brif(is_float, direct, &[], other, &[]);
            self.start(direct);
            let (found, zero) = (self.tag_value(FLOAT), self.int(0));
            let value = self.load(types::F64, item, self.rt.ob_fval);
            self.jump(done, &[found, zero, value]);
        } else if wanted == Tags::of(INT) && self.rt.digits30 {
            let is_int = self.has_type(item, self.rt.long_type);
            let (look, direct) = (self.new_block(), self.new_block());
            self.b.ins().brif(is_int, look, &[], other, &[]);
            self.start(look);
            let size = self.load(types::I64, item, 16);
            let above = self.b.ins().iadd_imm_s(size, 1);
            let cc = IntCC::UnsignedLessThanOrEqual;
            let small = self.b.ins().icmp_imm_s(cc, above, 2);
            self.b.ins().brif(small, direct, &[], other, &[]);
            self.start(direct);
            let digit = self.b.ins().uload32(super::trusted(), item, 24);
            let value = self.b.ins().imul(digit, size);
            let (found, zero) = (self.tag_value(INT), self.b.ins().f64const(0.0));
            self.jump(done, &[found, value, zero]);
        } else {
            self.jump(other, &[]);
        }
        self.start(other);
        let out = self.scratch(2);
        let mask = self.int(i64::from(wanted.0));
        let found = self.call_rarely(self.rt.unbox, &[item, mask, out]);
        let out = self.scratch(2);
        let value = self.load(types::I64, out, 0);
        let double = self.load(types::F64, out, 8);
        let object = self.new_block();
        self.b.ins().brif(
            found,
            done,
            &block_args(&[found, value, double]),
            object,
            &[],
        );
        self.start(object);
        self.inc_ref(item);
        let (found, zero) = (self.tag_value(OBJECT), self.b.ins().f64const(0.0));
        self.jump(done, &[found, item, zero]);
        self.start(done);
        Val {
            ty: ty.clone(),
            tag: Some(tag),
            word: Some(word),
            flt: Some(flt),
            owned: true,
            ..Val::default()
        }
    }

    /// `list[index] = value`.
    pub(super) fn store_in_list(&mut self, list: &Val, index: &Val, value: &Val) -> bool {
        if list.ty.list().is_none() || self.rt.ob_item == 0 {
            return false;
        }
        let place = self.list_place(list, index);
        let old = self.load(types::I64, place, 0);
        let (replace, done) = (self.new_block(), self.new_block());
        self.overwrite(old, value, [replace, done]);
        self.start(replace);
        let boxed = self.boxed(value);
        let object = self.word(&boxed);
        if !boxed.owned {
            self.inc_ref(object);
        }
        self.store(object, place, 0);
        self.dec_ref_often(old);
        self.jump(done, &[]);
        self.start(done);
        true
    }
}

fn block_args(values: &[Value]) -> Vec<cranelift_codegen::ir::BlockArg> {
    values
        .iter()
        .map(|&value| cranelift_codegen::ir::BlockArg::Value(value))
        .collect()
}
