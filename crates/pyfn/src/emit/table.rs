//! Dictionaries and sets that only their function sees; see `crate::table`.

use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::Variable;

use super::control::Source;
use super::{Emitter, Val};
use crate::operation::is_str;
use crate::program::{Atom, Expr, Local, Statement};
use crate::table::{TableTy, View, item_of, made};
use crate::types::{Class, FLOAT, Form, NONE, Tags, Ty};

/// Bytes of an entry: the key, the value, a hash.
const ENTRY_SIZE: i64 = 32;
const VALUE_AT: i32 = 16;
/// Where a table has the place of its first entry; its size is where lists have theirs.
const FIRST_AT: i32 = 24;
const SIZE_AT: i32 = 16;

impl Emitter<'_, '_> {
    /// The table that an operation makes for a local, if only this function will see it.
    pub(super) fn own_table(&mut self, to: Local, e: &Expr) -> Option<Val> {
        let table = self.own_tables.get(to)?.clone()?;
        let is_set = made(e, &self.info.globals)?;
        let pairs = match e {
            Expr::Dict(pairs) => pairs.clone(),
            Expr::Set(items) => {
                let pairs = items.iter().map(|item| (item.clone(), Atom::None));
                pairs.collect()
            }
            _ => Vec::new(),
        };
        let table = TableTy { is_set, ..table };
        let tag = |ty: &Ty| ty.tags.single().unwrap_or(NONE);
        let tags = [tag(&table.key), tag(&table.value), u8::from(is_set)];
        let tags = tags.map(|tag| self.tag_value(tag));
        let made = self.call_word(self.rt.table_new, &tags);
        self.fail_if_null(made);
        let value = Self::owned(Ty::object(Form::Table(Box::new(table))), made);
        for (key, item) in &pairs {
            let (key, item) = (self.atom(key), self.atom(item));
            self.put(&value, &key, &item);
        }
        Some(value)
    }

    /// The two words of a key.
    fn key_words(&mut self, key: &Val) -> [Value; 2] {
        match key.parts.as_slice() {
            [a, b] => [self.word(a), self.word(b)],
            _ => [self.word(key), self.int(0)],
        }
    }

    fn bits_of(&mut self, value: &Val) -> Value {
        if Self::class_of(value) == Some(Class::Float) {
            let flt = self.flt(value);
            self.b.ins().bitcast(types::I64, MemFlagsData::new(), flt)
        } else {
            self.word(value)
        }
    }

    /// The value in a place.
    fn table_value(&mut self, place: Value, offset: i32, ty: &Ty) -> Val {
        if ty.tags == Tags::of(FLOAT) {
            let flt = self.load(types::F64, place, offset);
            Self::from_flt(ty.clone(), flt)
        } else {
            let word = self.load(types::I64, place, offset);
            Self::from_word(ty.clone(), word)
        }
    }

    /// `table[key] = value`, or `table.add(key)`.
    fn put(&mut self, table: &Val, key: &Val, value: &Val) {
        let object = self.word(table);
        let [a, b] = self.key_words(key);
        let place = self.call_word(self.rt.table_place, &[object, a, b]);
        self.fail_if_null(place);
        let bits = self.bits_of(value);
        self.store(bits, place, 0);
    }

    /// Whether a key may be looked for among the keys.
    fn fits_key(table: &TableTy, key: &Val) -> bool {
        let like = |a: &Ty, b: &Ty| a.tags == b.tags;
        match (table.key.parts(), key.ty.parts()) {
            (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| like(a, b)),
            (None, None) => like(&table.key, &key.ty) && is_str(&table.key) == is_str(&key.ty),
            _ => false,
        }
    }

    /// `table[key] = value`; `false` if that is not done natively.
    pub(super) fn store_in_table(&mut self, table: &Val, key: &Val, value: &Val) -> bool {
        let Some(ty) = table.ty.table().cloned() else {
            return false;
        };
        let fits = ty.is_set || value.ty.tags.single() == ty.value.tags.single();
        if !fits || !Self::fits_key(&ty, key) {
            return false;
        }
        self.put(table, key, value);
        true
    }

    fn look_for(&mut self, table: &Val, key: &Val) -> Option<Value> {
        let ty = table.ty.table()?;
        if !Self::fits_key(ty, key) {
            return None;
        }
        let object = self.word(table);
        let [a, b] = self.key_words(key);
        Some(self.call_word(self.rt.table_find, &[object, a, b]))
    }

    /// `table[key]`.
    pub(super) fn load_from_table(&mut self, table: &Val, key: &Val) -> Option<Val> {
        let place = self.look_for(table, key)?;
        self.exit_unless(place, "no such key");
        let value = table.ty.table()?.value.clone();
        Some(self.table_value(place, 0, &value))
    }

    /// Whether a key is in a table: 0 or 1.
    pub(super) fn is_in_table(&mut self, table: &Val, key: &Val) -> Option<Value> {
        use cranelift_codegen::ir::condcodes::IntCC;
        let place = self.look_for(table, key)?;
        let found = self.b.ins().icmp_imm_s(IntCC::NotEqual, place, 0);
        Some(self.b.ins().uextend(types::I64, found))
    }

    /// Deletes a key; its value.
    pub(super) fn delete_from_table(&mut self, table: &Val, key: &Val) -> Option<Val> {
        let ty = table.ty.table()?.clone();
        if !Self::fits_key(&ty, key) {
            return None;
        }
        let found = self.remove_from_table(table, key);
        self.exit_unless(found, "no such key");
        let out = self.scratch(1);
        Some(self.table_value(out, 0, &ty.value))
    }

    /// Deletes a key that fits, if it is there; whether it was. Its value is in the scratch memory.
    fn remove_from_table(&mut self, table: &Val, key: &Val) -> Value {
        let object = self.word(table);
        let [a, b] = self.key_words(key);
        let out = self.scratch(1);
        self.call_word(self.rt.table_remove, &[object, a, b, out])
    }

    /// A method of a table.
    pub(super) fn table_method(
        &mut self,
        name: &str,
        table: &Val,
        args: &[Atom],
        ty: &Ty,
    ) -> Option<Val> {
        let args = args.iter().map(|arg| self.atom(arg)).collect::<Vec<_>>();
        let known = table.ty.table()?.clone();
        match (name, args.as_slice()) {
            ("add", [key]) => {
                let none = Self::nothing(NONE);
                let done = known.is_set && self.store_in_table(table, key, &none);
                done.then_some(none)
            }
            ("pop", [key]) => self.delete_from_table(table, key),
            ("pop", [key, default]) => {
                let value = self.value_or(table, key, default, ty)?;
                self.remove_from_table(table, key);
                Some(value)
            }
            ("get", [key]) => {
                let none = Self::nothing(NONE);
                self.value_or(table, key, &none, ty)
            }
            ("get", [key, default]) => self.value_or(table, key, default, ty),
            ("setdefault", [key, default]) => {
                let fits = default.ty.tags.single() == known.value.tags.single();
                if !fits || !Self::fits_key(&known, key) {
                    return None;
                }
                let object = self.word(table);
                let [a, b] = self.key_words(key);
                let found = self.call_word(self.rt.table_find, &[object, a, b]);
                let (missing, done) = (self.new_block(), self.new_block());
                let place = self.b.append_block_param(done, types::I64);
                let args = [cranelift_codegen::ir::BlockArg::Value(found)];
                self.b.ins().brif(found, done, &args, missing, &[]);
                self.start(missing);
                let made = self.call_word(self.rt.table_place, &[object, a, b]);
                self.fail_if_null(made);
                let bits = self.bits_of(default);
                self.store(bits, made, 0);
                self.jump(done, &[made]);
                self.start(done);
                Some(self.table_value(place, 0, &known.value))
            }
            _ => None,
        }
    }

    /// The value of a key, or another if it is not there.
    fn value_or(&mut self, table: &Val, key: &Val, default: &Val, ty: &Ty) -> Option<Val> {
        let known = table.ty.table()?.value.clone();
        let place = self.look_for(table, key)?;
        if known.is_never() {
            return Some(default.clone());
        }
        let (there, missing, done) = (self.new_block(), self.new_block(), self.new_block());
        let tag = self.b.append_block_param(done, types::I64);
        let word = self.b.append_block_param(done, types::I64);
        let flt = self.b.append_block_param(done, types::F64);
        self.b.ins().brif(place, there, &[], missing, &[]);
        for (block, value) in [(there, None), (missing, Some(default))] {
            self.start(block);
            let value = match value {
                Some(value) => value.clone(),
                None => self.table_value(place, 0, &known),
            };
            let (tag, word, flt) = (self.tag(&value), self.word(&value), self.flt(&value));
            self.jump(done, &[tag, word, flt]);
        }
        self.start(done);
        Some(Val {
            ty: ty.clone(),
            tag: Some(tag),
            word: Some(word),
            flt: Some(flt),
            ..Val::default()
        })
    }

    /// A dictionary or a set of Python's with the same content.
    pub(super) fn boxed_table(&mut self, table: &Val, is_set: bool) -> Val {
        let object = self.word(table);
        let made = self.call_word(self.rt.table_to_python, &[object]);
        self.fail_if_null(made);
        let form = if is_set { Form::Any } else { Form::Dict };
        Self::owned(Ty::object(form), made)
    }

    /// A loop over a dictionary; what it holds are the table, an index, and its size at first.
    pub(super) fn iterate_table(
        &mut self,
        statement: &Statement,
        (of, view): (&Atom, View),
        to: Local,
        [body, otherwise]: [&[Statement]; 2],
    ) -> bool {
        let table = self.atom(of);
        let item = table.ty.table().and_then(|table| item_of(table, view));
        let Some(item) = item else {
            self.leave("a dictionary that nothing is put into");
            self.end_checks();
            return false;
        };
        let object = self.word(&table);
        self.inc_ref(object);
        let (zero, size) = (self.int(0), self.load(types::I64, object, SIZE_AT));
        let state = [object, zero, size]
            .map(|word| self.variable(word))
            .to_vec();
        let source = Source::Table(table, view);
        self.repeat(statement, source, state, Some((to, item)), body, otherwise)
    }

    /// Whether there is another entry; fails if there are not as many as at first.
    pub(super) fn has_entry(&mut self, state: &[Variable]) -> Value {
        use cranelift_codegen::ir::condcodes::IntCC;
        let (object, index) = (self.value_of(state[0]), self.value_of(state[1]));
        let size = self.load(types::I64, object, SIZE_AT);
        let first = self.value_of(state[2]);
        let differs = self.b.ins().icmp(IntCC::NotEqual, size, first);
        let (changed, same) = (self.cold_block(), self.new_block());
        self.b.ins().brif(differs, changed, &[], same, &[]);
        self.start(changed);
        self.call_rarely(self.rt.table_changed, &[]);
        let always = self.int(1);
        self.fail_if(always);
        self.jump(same, &[]);
        self.start(same);
        self.b.ins().icmp(IntCC::UnsignedLessThan, index, size)
    }

    /// What a turn gets of its entry.
    pub(super) fn entry_of_turn(&mut self, of: &Val, view: View, state: &[Variable]) -> Val {
        let (object, index) = (self.value_of(state[0]), self.value_of(state[1]));
        let next = self.b.ins().iadd_imm_s(index, 1);
        self.b.def_var(state[1], next);
        let entries = self.load(types::I64, object, FIRST_AT);
        let bytes = self.b.ins().imul_imm_s(index, ENTRY_SIZE);
        let entry = self.b.ins().iadd(entries, bytes);
        let known = of.ty.table().cloned().unwrap_or_default();
        let key = (view != View::Values).then(|| self.table_key(entry, &known.key));
        let value = (view != View::Keys).then(|| self.table_value(entry, VALUE_AT, &known.value));
        match (key, value) {
            (Some(key), Some(value)) => Val {
                ty: Ty::tuple(vec![key.ty.clone(), value.ty.clone()]),
                parts: vec![key, value],
                ..Val::default()
            },
            (key, value) => key.or(value).unwrap_or_default(),
        }
    }

    fn table_key(&mut self, entry: Value, ty: &Ty) -> Val {
        if let Some(parts) = ty.parts() {
            let words = parts.iter().zip([0, 8]);
            let words = words.map(|(ty, at)| self.table_value(entry, at, ty));
            return Val {
                ty: ty.clone(),
                parts: words.collect(),
                ..Val::default()
            };
        }
        self.table_value(entry, 0, ty)
    }
}
