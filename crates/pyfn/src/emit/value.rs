//! Values in registers and in the variables of locals, and the references that they own.

use std::rc::Rc;

use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, Value, condcodes::IntCC, types};

use super::{Array, Emitter, Place, Val, has_flt, has_word, new_place};
use crate::globals::Global;
use crate::infer::State;
use crate::program::{Atom, Local};
use crate::rules;
use crate::types::{
    ArrayTy, BOOL, CHAR, COMPLEX, Class, FLOAT, Form, INT, NONE, OBJECT, RANGE, TUPLE, Tags, Ty,
    UNSET, class,
};

impl Emitter<'_, '_> {
    /// A value of one tag without bits.
    pub(crate) fn nothing(tag: u8) -> Val {
        Val {
            ty: Ty::of(tag),
            ..Val::default()
        }
    }

    pub(crate) fn from_word(ty: Ty, word: Value) -> Val {
        Val {
            ty,
            word: Some(word),
            ..Val::default()
        }
    }

    pub(crate) fn from_flt(ty: Ty, flt: Value) -> Val {
        Val {
            ty,
            flt: Some(flt),
            ..Val::default()
        }
    }

    /// A new reference to an object.
    pub(crate) fn owned(ty: Ty, word: Value) -> Val {
        Val {
            owned: true,
            ..Self::from_word(ty, word)
        }
    }

    pub(crate) fn word(&mut self, value: &Val) -> Value {
        match value.word {
            Some(word) => word,
            None => self.int(0),
        }
    }

    pub(crate) fn flt(&mut self, value: &Val) -> Value {
        match value.flt {
            Some(flt) => flt,
            None => self.b.ins().f64const(0.0),
        }
    }

    pub(crate) fn tag(&mut self, value: &Val) -> Value {
        match (value.tag, value.ty.tags.single()) {
            (_, Some(tag)) => self.tag_value(tag),
            (Some(tag), None) => tag,
            (None, None) => self.tag_value(UNSET),
        }
    }

    /// The value of an operand; a local's reference stays with the local.
    pub(crate) fn atom(&mut self, atom: &Atom) -> Val {
        let ty = self.scope().atom(atom);
        match atom {
            Atom::Local(local) => {
                if let Some(value) = self.side.as_ref().and_then(|side| side.get(*local)) {
                    return value.clone();
                }
                let place = self.places[*local].clone();
                self.read(&place, &ty)
            }
            Atom::Int(value) => self.int_val(*value),
            Atom::Float(value) => {
                let flt = self.b.ins().f64const(*value);
                Self::from_flt(ty, flt)
            }
            Atom::Bool(value) => {
                let word = self.int(i64::from(*value));
                Self::from_word(ty, word)
            }
            Atom::None => Self::nothing(NONE),
            Atom::Str(text) => {
                if let Some(code) = crate::operation::character(text) {
                    return self.written_char(code);
                }
                let word = self.text(text);
                Self::from_word(ty, word)
            }
            Atom::Const(index) => {
                let address = self
                    .info
                    .consts
                    .get(*index)
                    .map_or(0, |&(address, _)| address);
                let word = self.address(address);
                self.known_object(ty, word)
            }
            Atom::Global(index) => {
                let info = Rc::clone(&self.info);
                self.global(&info.globals[*index])
            }
        }
    }

    /// A value that is frozen.
    pub(crate) fn global(&mut self, global: &Global) -> Val {
        match *global {
            Global::Int(value) => self.int_val(value),
            Global::Float(value) => self.atom(&Atom::Float(value)),
            Global::Bool(value) => self.atom(&Atom::Bool(value)),
            Global::Scalar(tag, bits) => {
                let ty = self.scope().global(global);
                if class(tag) == Class::Float {
                    let flt = self.b.ins().f64const(f64::from_bits(bits));
                    return Self::from_flt(ty, flt);
                }
                let word = self.int(bits.cast_signed());
                Self::from_word(ty, word)
            }
            Global::None | Global::Unbound => Self::nothing(NONE),
            Global::Builtin { address, .. }
            | Global::Function { address, .. }
            | Global::Object { address, .. } => {
                let word = self.address(address);
                let ty = self.scope().global(global);
                self.known_object(ty, word)
            }
        }
    }

    /// A constant or a global that is an object.
    fn known_object(&mut self, ty: Ty, object: Value) -> Val {
        if ty.tags == Tags::of(COMPLEX) {
            return self.complex_at(object);
        }
        self.with_fields(Self::from_word(ty, object))
    }

    pub(super) fn int_val(&mut self, value: i64) -> Val {
        let word = self.int(value);
        Val {
            constant: Some(value),
            ..Self::from_word(Ty::integer(value), word)
        }
    }

    /// The object of a name or a string of the program.
    pub(crate) fn text(&mut self, text: &str) -> Value {
        let address = self.info.strings.get(text).copied().unwrap_or(self.rt.none);
        self.address(address)
    }

    /// Loads an array's fields, if the object is one.
    pub(crate) fn with_fields(&mut self, mut value: Val) -> Val {
        if let Some(array) = value.ty.array()
            && value.array.is_none()
        {
            value.array = Some(self.fields(&value, array));
        }
        value
    }

    fn fields(&mut self, value: &Val, array: ArrayTy) -> Array {
        let object = self.word(value);
        // Data, number of dimensions, sizes, strides: numpy's own stable interface.
        let data = self.load(types::I64, object, 16);
        let sizes = self.load(types::I64, object, 32);
        let strides = self.load(types::I64, object, 40);
        let offset = |at: usize| i32::try_from(8 * at).unwrap_or(0);
        Array {
            data: Some(data),
            sizes: (0..array.ndim)
                .map(|at| self.load(types::I64, sizes, offset(at)))
                .collect(),
            strides: (0..array.ndim)
                .map(|at| self.load(types::I64, strides, offset(at)))
                .collect(),
        }
    }

    /// Reads a place as a value of a type.
    pub(crate) fn read(&mut self, place: &Place, ty: &Ty) -> Val {
        let mut value = Val {
            ty: ty.clone(),
            ..Val::default()
        };
        if let Some(parts) = ty.parts() {
            for (place, ty) in place.parts.iter().zip(parts) {
                let part = self.read(place, ty);
                value.parts.push(part);
            }
            return value;
        }
        if ty.tags == Tags::of(RANGE) {
            let int = Ty::of(INT);
            for place in &place.parts {
                let part = self.read(place, &int);
                value.parts.push(part);
            }
            return value;
        }
        if ty.tags.single().is_none() {
            value.tag = Some(self.value_of(place.tag));
        }
        if has_word(ty.tags) {
            value.word = Some(self.value_of(place.word));
        }
        if has_flt(ty.tags) {
            value.flt = Some(self.value_of(place.flt));
        }
        if rules::is_complex(ty) {
            value.real = Some(self.value_of(place.real));
        }
        if let Some(array) = ty.array() {
            let words = place.array.iter().map(|&var| self.value_of(var));
            let words = words.collect::<Vec<_>>();
            if words.len() > 2 * array.ndim {
                value.array = Some(Array {
                    data: Some(words[0]),
                    sizes: words[1..=array.ndim].to_vec(),
                    strides: words[1 + array.ndim..=2 * array.ndim].to_vec(),
                });
            }
        }
        value
    }

    /// Writes a value into a place.
    pub(crate) fn write(&mut self, place: &mut Place, value: &Val) {
        let tag = self.tag(value);
        self.set_value(place.tag, tag);
        if !value.parts.is_empty() || value.ty.parts().is_some() {
            while place.parts.len() < value.parts.len() {
                place.parts.push(new_place(&mut self.b));
            }
            for (place, part) in place.parts.iter_mut().zip(&value.parts) {
                self.write(place, part);
            }
            return;
        }
        if let Some(word) = value.word {
            self.set_value(place.word, word);
        }
        if let Some(flt) = value.flt {
            self.set_value(place.flt, flt);
        }
        if value.ty.tags.any(Tags::COMPLEXES) {
            let real = match value.real {
                Some(real) => real,
                None => {
                    let word = self.word(value);
                    self.b.ins().bitcast(types::F64, MemFlagsData::new(), word)
                }
            };
            self.set_value(place.real, real);
        }
        if let Some(array) = &value.array {
            let words = array.data.iter().chain(&array.sizes).chain(&array.strides);
            for (at, &word) in words.enumerate() {
                if at == place.array.len() {
                    place.array.push(self.b.declare_var(types::I64));
                }
                self.set_value(place.array[at], word);
            }
        }
    }

    /// Binds a local to a value, which gives its reference away, and releases what it held.
    pub(crate) fn bind(&mut self, local: Local, value: Val) {
        if let Some(old) = self.rebind(local, value) {
            self.release(&old);
        }
    }

    /// Binds a local to a value, which gives its reference away; what it held has to be released.
    pub(crate) fn rebind(&mut self, local: Local, value: Val) -> Option<Val> {
        let value = self.with_fields(value);
        let value = self.own(value);
        let old = self.held(local);
        let mut place = self.places[local].clone();
        self.write(&mut place, &value);
        self.places[local] = place;
        self.types[local] = value.ty;
        old
    }

    /// What a local holds a reference to.
    pub(crate) fn held(&mut self, local: Local) -> Option<Val> {
        if self.is_borrowed(local) || !crate::infer::owns(&self.types[local]) {
            return None;
        }
        let ty = self.types[local].clone();
        let place = self.places[local].clone();
        Some(self.read(&place, &ty))
    }

    /// Whether the local is a parameter whose reference is the caller's.
    pub(crate) fn is_borrowed(&self, local: Local) -> bool {
        local < self.info.program.n_params && !self.info.is_rebound[local]
    }

    /// Forgets a local that nobody reads any more.
    pub(crate) fn drop_local(&mut self, local: Local) {
        if let Some(old) = self.held(local) {
            self.forget(local);
            self.release(&old);
        }
    }

    /// The local is not bound any more, and what it held belongs to somebody else.
    pub(crate) fn forget(&mut self, local: Local) {
        let unset = self.tag_value(UNSET);
        let tag = self.places[local].tag;
        self.set_value(tag, unset);
        self.types[local] = Ty::of(UNSET);
    }

    /// The value with a reference of its own.
    pub(crate) fn own(&mut self, mut value: Val) -> Val {
        if !value.parts.is_empty() {
            let parts = std::mem::take(&mut value.parts);
            value.parts = parts.into_iter().map(|part| self.own(part)).collect();
            value.owned = true;
            return value;
        }
        if !value.owned && value.ty.tags.has(OBJECT) {
            self.if_object(&value, |emitter, object| emitter.inc_ref(object));
        }
        value.owned = true;
        value
    }

    /// Gives up the references of a value that is owned.
    pub(crate) fn release(&mut self, value: &Val) {
        for part in &value.parts {
            self.release(part);
        }
        if value.parts.is_empty() && value.ty.tags.has(OBJECT) {
            self.if_object(value, |emitter, object| emitter.dec_ref(object));
        }
    }

    /// Releases a value that an operation made for itself.
    pub(crate) fn release_owned(&mut self, value: &Val) {
        if value.owned {
            self.release(value);
        }
    }

    fn if_object(&mut self, value: &Val, then: impl FnOnce(&mut Self, Value)) {
        let object = self.word(value);
        if value.ty.tags.single().is_some() {
            then(self, object);
            return;
        }
        let tag = self.tag(value);
        let is_object = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, tag, i64::from(OBJECT));
        let (yes, after) = (self.new_block(), self.new_block());
        self.b.ins().brif(is_object, yes, &[], after, &[]);
        self.start(yes);
        then(self, object);
        self.jump(after, &[]);
        self.start(after);
    }

    pub(crate) fn inc_ref(&mut self, object: Value) {
        self.uses_objects = true;
        if self.rt.plain_refcounts {
            let count = self.load(types::I64, object, 0);
            let count = self.b.ins().iadd_imm_s(count, 1);
            self.store(count, object, 0);
        } else {
            self.call(self.rt.inc_ref, &[object], None);
        }
    }

    pub(crate) fn dec_ref(&mut self, object: Value) {
        self.dec_ref_that(object, false);
    }

    /// The same where the object is often one that nobody else refers to.
    pub(crate) fn dec_ref_often(&mut self, object: Value) {
        self.dec_ref_that(object, true);
    }

    fn dec_ref_that(&mut self, object: Value, often_dies: bool) {
        self.uses_objects = true;
        if self.rt.plain_refcounts {
            let count = self.load(types::I64, object, 0);
            let count = self.b.ins().iadd_imm_s(count, -1);
            self.store(count, object, 0);
            let (last, after) = (self.cold_block(), self.new_block());
            self.b.ins().brif(count, after, &[], last, &[]);
            self.start(last);
            if often_dies {
                self.call(self.rt.dealloc, &[object], None);
            } else {
                self.call_rarely(self.rt.dealloc, &[object]);
            }
            self.jump(after, &[]);
            self.start(after);
        } else {
            self.call(self.rt.dec_ref, &[object], None);
        }
    }

    /// The value as an object with a reference of its own, or a borrowed one if it is an object
    /// already.
    pub(crate) fn boxed(&mut self, value: &Val) -> Val {
        let tags = value.ty.tags;
        if let Some(element) = value.ty.unboxed() {
            return self.boxed_list(value, &element.clone());
        }
        if let Some(table) = value.ty.table() {
            let is_set = table.is_set;
            return self.boxed_table(value, is_set);
        }
        if tags == Tags::of(OBJECT) {
            return value.clone();
        }
        let object = match tags.single() {
            Some(TUPLE) => return self.boxed_tuple(value),
            Some(RANGE) => return self.boxed_range(value),
            Some(NONE) => {
                let none = self.address(self.rt.none);
                return Self::from_word(Ty::of(OBJECT), none);
            }
            Some(BOOL) => {
                let word = self.word(value);
                let (yes, no) = (self.address(self.rt.true_), self.address(self.rt.false_));
                let object = self.b.ins().select(word, yes, no);
                return Self::from_word(Ty::of(OBJECT), object);
            }
            Some(INT) => {
                let word = self.word(value);
                self.call_word(self.rt.make_int, &[word])
            }
            Some(CHAR) => return self.boxed_char(value),
            Some(COMPLEX) => {
                let parts = self.complex_parts(value);
                self.call_word(self.rt.make_complex, &parts)
            }
            Some(FLOAT) => {
                let flt = self.flt(value);
                self.call_word(self.rt.make_float, &[flt])
            }
            _ => {
                let (tag, word, flt) = (self.tag(value), self.word(value), self.flt(value));
                // A union with objects: the runtime adds a reference.
                self.call_boxing(tag, word, flt)
            }
        };
        Self::owned(Ty::of(OBJECT), object)
    }

    /// A new object of a number.
    pub(super) fn call_boxing(&mut self, tag: Value, word: Value, flt: Value) -> Value {
        let bits = self.b.ins().bitcast(types::I64, MemFlagsData::new(), flt);
        self.call_word(self.rt.box_value, &[tag, word, bits])
    }

    /// Whether a number was read from the same local as another, or from a copy of it.
    fn is_same_number(&self, a: &Val, b: &Val) -> bool {
        let dfg = &self.b.func.dfg;
        let [a_words, b_words] = [a, b].map(|value| {
            [value.tag, value.word, value.flt].map(|word| Some(dfg.resolve_aliases(word?)))
        });
        a.ty.tags.within(Tags::NUMBERS)
            && a.ty.tags == b.ty.tags
            && a_words == b_words
            && (a.word.is_some() || a.flt.is_some())
    }

    /// Values as objects; a number that is there twice is one object.
    pub(crate) fn all_boxed(&mut self, values: &[&Val]) -> Vec<Val> {
        let mut all = Vec::<Val>::with_capacity(values.len());
        for (at, value) in values.iter().enumerate() {
            let mut before = values[..at].iter();
            let known = before.position(|known| self.is_same_number(known, value));
            let boxed = match known {
                Some(known) => Val {
                    owned: false,
                    ..all[known].clone()
                },
                None => self.boxed(value),
            };
            all.push(boxed);
        }
        all
    }

    fn boxed_tuple(&mut self, value: &Val) -> Val {
        let items = self.all_boxed(&value.parts.iter().collect::<Vec<_>>());
        let room = self.spread(&items);
        let n = self.int(i64::try_from(items.len()).unwrap_or(0));
        let tuple = self.call_word(self.rt.make_tuple, &[room, n]);
        for item in &items {
            self.release_owned(item);
        }
        Self::owned(Ty::object(Form::TupleObject(Vec::new())), tuple)
    }

    fn boxed_range(&mut self, value: &Val) -> Val {
        let words = value.parts.iter().map(|part| self.word(part));
        let words = words.collect::<Vec<_>>();
        // A record of its own would be too much: the runtime makes a range of a tag and a place.
        let room = self.scratch(3);
        for (at, &word) in words.iter().enumerate() {
            self.store(word, room, i32::try_from(8 * at).unwrap_or(0));
        }
        let tag = self.tag_value(RANGE);
        let zero = self.int(0);
        let range = self.call_word(self.rt.box_value, &[tag, room, zero]);
        Self::owned(Ty::of(OBJECT), range)
    }

    /// Stores objects side by side for a call.
    pub(crate) fn spread(&mut self, items: &[Val]) -> Value {
        let words = items.iter().map(|item| self.word(item)).collect::<Vec<_>>();
        let room = self.scratch(words.len().max(1));
        for (at, &word) in words.iter().enumerate() {
            self.store(word, room, i32::try_from(8 * at).unwrap_or(0));
        }
        room
    }

    /// Whether the value has this tag.
    pub(crate) fn has_tag(&mut self, value: &Val, tag: u8) -> Value {
        let found = self.tag(value);
        self.b.ins().icmp_imm_s(IntCC::Equal, found, i64::from(tag))
    }

    /// The value seen as one of these tags, which is known to be true.
    pub(crate) fn seen_as(value: &Val, tags: Tags) -> Val {
        let tags = value.ty.tags.and(tags);
        Val {
            ty: Ty {
                tags,
                narrow: None,
                ..value.ty.clone()
            },
            ..value.clone()
        }
    }

    /// Whether a double value is what a number of the class is.
    pub(crate) fn class_of(value: &Val) -> Option<Class> {
        let mut classes = value.ty.tags.iter().map(class);
        let first = classes.next()?;
        classes.all(|class| class == first).then_some(first)
    }

    /// Joins the current types with those that are expected where it jumps.
    pub(crate) fn jump_to(&mut self, to: Block, target: &State) {
        self.coerce_to(target);
        self.jump(to, &[]);
    }

    /// Brings the locals into the form that is expected somewhere.
    pub(crate) fn coerce_to(&mut self, target: &State) {
        if let Some(target) = target {
            for (local, target) in target.iter().enumerate() {
                self.coerce(local, target);
            }
        }
    }

    fn coerce(&mut self, local: Local, target: &Ty) {
        let ty = self.types[local].clone();
        if ty == *target {
            return;
        }
        let parts = Tags::of(TUPLE).or(Tags::of(RANGE));
        let inner = parts;
        let mut place = self.places[local].clone();
        if let (Some(from), Some(to)) = (ty.parts(), target.parts())
            && from.len() == to.len()
        {
            // Parts are scalars or objects; a union's tag variable is always set.
            let value = self.read(&place, &ty);
            let parts = value.parts.iter().zip(to).enumerate();
            for (at, (part, to)) in parts.collect::<Vec<_>>() {
                if part.ty.tags.any(inner) && !to.tags.any(inner) {
                    let boxed = self.boxed(part);
                    let mut inner = place.parts[at].clone();
                    self.write(&mut inner, &boxed);
                    place.parts[at] = inner;
                }
            }
            self.places[local] = place;
            return;
        }
        if ty.tags.any(parts) && target.tags.has(OBJECT) && !target.tags.any(parts) {
            let value = self.read(&place, &ty);
            let boxed = self.boxed(&value);
            self.release_parts(local, &value);
            self.write(&mut place, &boxed);
            self.places[local] = place;
        } else if !target.tags.has(OBJECT) && !target.tags.any(parts) && crate::infer::owns(&ty) {
            if let Some(old) = self.held(local) {
                self.release(&old);
            }
            let unset = self.tag_value(UNSET);
            self.set_value(place.tag, unset);
        }
    }

    fn release_parts(&mut self, local: Local, value: &Val) {
        if !self.is_borrowed(local) {
            self.release(value);
        }
    }
}
