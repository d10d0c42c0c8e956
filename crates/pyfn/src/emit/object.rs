//! Operations through Python's own interface.
//!
//! Such an operation is done once, here: if it raises, the exception goes to the caller with this
//! line in its traceback. So before it there may be exits, behind it only failures. What was boxed
//! for it is released before its result is looked at.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};

use super::{Emitter, Val, scalar::int_cc};
use crate::operation::{How, is_str, operation, unformatted};
use crate::program::{Atom, Bin, Cmp, Expr, Index, Un};
use crate::rules::{self, Intrinsic};
use crate::types::{CHAR, INT, NONE, OBJECT, RANGE, TUPLE, Tags, Ty};
use crate::unsigned;

impl Emitter<'_, '_> {
    /// The value of an operation; `None` if the function is left there.
    pub(super) fn expr(&mut self, e: &Expr) -> Option<Val> {
        if let Expr::Call(function, args, named) = e
            && let Some(id) = self.scope().callee(function)
            && let Some(values) = self.arguments(id, None, args, named)
        {
            let function = self.atom(function);
            return self.call_function(id, function, values);
        }
        if let Some(value) = self.through_class(e) {
            return value;
        }
        if let Some(value) = self.through_special(e) {
            return value;
        }
        let ty = match operation(&self.scope(), e) {
            How::Gives(ty) => ty,
            How::Leave(why) => {
                self.leave(&why);
                return None;
            }
        };
        let value = self.operation(e, &ty);
        if value.is_none() {
            self.leave("no native operation");
        }
        value
    }

    fn operation(&mut self, e: &Expr, ty: &Ty) -> Option<Val> {
        match e {
            Expr::Atom(a) => Some(self.atom(a)),
            Expr::Bin(op, a, b, in_place) => {
                let (a, b) = (self.atom(a), self.atom(b));
                if let Some(value) = self.bin_complex(*op, &a, &b) {
                    return Some(value);
                }
                if let Some(value) = self.bin_unsigned(*op, &a, &b) {
                    return Some(value);
                }
                if rules::bin_is_boxed(*op, &a.ty, &b.ty) {
                    let op = [self.int(bin_number(*op)), self.int(i64::from(*in_place))];
                    return Some(self.through(&[&a, &b], ty, |emitter, words| {
                        emitter.call_word(emitter.rt.binary, &[op[0], op[1], words[0], words[1]])
                    }));
                }
                Some(self.bin_numbers(*op, &a, &b, ty))
            }
            Expr::Un(op, a) => {
                let a = self.atom(a);
                if rules::is_complex(&a.ty) && matches!(op, Un::Neg | Un::Pos) {
                    return Some(self.un_complex(*op, &a));
                }
                if unsigned::un(*op, &a.ty).is_some() {
                    return Some(self.flipped_unsigned(&a));
                }
                if !rules::un_is_boxed(*op, &a.ty) {
                    return Some(self.un_number(*op, &a, ty));
                }
                if *op == Un::Not {
                    let truth = self.truth(&a);
                    let word = self.b.ins().bxor_imm_s(truth, 1);
                    return Some(Self::from_word(ty.clone(), word));
                }
                let op = self.int(un_number(*op));
                Some(self.through(&[&a], ty, |emitter, words| {
                    emitter.call_word(emitter.rt.unary, &[op, words[0]])
                }))
            }
            Expr::Cmp(op, a, b) => {
                if let Some(word) = self.is_written_char(*op, a, b) {
                    return Some(Self::from_word(ty.clone(), word));
                }
                let (a, b) = (self.atom(a), self.atom(b));
                self.compare(*op, &a, &b, ty)
            }
            Expr::Truth(a) => {
                let a = self.atom(a);
                let word = self.truth(&a);
                Some(Self::from_word(ty.clone(), word))
            }
            Expr::Call(function, args, named) => self.known_call(function, args, named, ty),
            Expr::Method(name, of, args, named, Some(bound))
                if self.types[*bound].tags.has(OBJECT) =>
            {
                let method = self.read_local(*bound);
                if method.ty.tags == Tags::of(OBJECT) {
                    let args = args.iter().map(|arg| self.atom(arg)).collect();
                    return Some(self.call_object(&method, args, named, ty));
                }
                // It was looked up if anybody could have told.
                let is_looked_up = self.has_tag(&method, OBJECT);
                let [early, late, done] = [(); 3].map(|()| self.new_block());
                let result = self.b.append_block_param(done, types::I64);
                self.b.ins().brif(is_looked_up, early, &[], late, &[]);
                self.start(early);
                let values = args.iter().map(|arg| self.atom(arg)).collect();
                let method = Self::seen_as(&method, Tags::of(OBJECT));
                let given = self.call_object(&method, values, named, ty);
                let given = self.word(&given);
                self.jump(done, &[given]);
                self.start(late);
                let of = self.atom(of);
                let given = self.call_method(name, of, args, named, ty);
                let given = self.word(&given);
                self.jump(done, &[given]);
                self.start(done);
                Some(Self::owned(ty.clone(), result))
            }
            Expr::Method(name, of, args, named, _) => {
                let of = self.atom(of);
                if rules::is_complex(&of.ty) && rules::is_complex(ty) {
                    return Some(self.conjugate(&of));
                }
                if of.ty.table().is_some() && !crate::table::is_view(name, args, named) {
                    return self.table_method(name, &of, args, ty);
                }
                if of.ty.unboxed().is_some() {
                    return self.change_unboxed(&of, args);
                }
                if let Some(how) = rules::method_of_int(&of.ty, name, args, named) {
                    return self.intrinsic(how, &[of], ty);
                }
                if let Some(test) = crate::text::char_test(&of.ty, name, args) {
                    return Some(self.test_char(&of, test));
                }
                if name == "append" && of.ty.list().is_some() && args.len() == 1 && named.is_empty()
                {
                    return self.append(&of, &args[0]);
                }
                Some(self.call_method(name, of, args, named, ty))
            }
            Expr::Attr(name, of) => {
                let of = self.atom(of);
                if let Some(value) = self.load_attribute(&of, name, ty) {
                    return Some(value);
                }
                if rules::is_complex(&of.ty)
                    && let Some(part) = self.complex_attribute(&of, name)
                {
                    return Some(part);
                }
                if let (Some(array), Some(fields)) = (of.ty.array(), of.array.clone()) {
                    if name == "shape" {
                        let size = |&size: &Value| Self::from_word(Ty::count(), size);
                        return Some(Val {
                            ty: ty.clone(),
                            parts: fields.sizes.iter().map(size).collect(),
                            ..Val::default()
                        });
                    }
                    if name == "ndim" {
                        let ndim = self.int(i64::try_from(array.ndim).unwrap_or(0));
                        return Some(Self::from_word(ty.clone(), ndim));
                    }
                    if name == "size" {
                        let mut size = self.int(1);
                        for &of_dimension in &fields.sizes {
                            size = self.b.ins().imul(size, of_dimension);
                        }
                        return Some(Self::from_word(ty.clone(), size));
                    }
                }
                let name = self.text(name);
                let site = self.member_site();
                Some(self.through(&[&of], ty, |emitter, words| {
                    emitter.call_word(emitter.rt.get_attr_at, &[site, words[0], name])
                }))
            }
            Expr::Item(of, index) => {
                if let Some(value) = self.read_forwarded(of, index) {
                    return Some(value);
                }
                let value = self.atom(of);
                let known = self.known_parts(of, index);
                self.item(&value, index, &known, ty)
            }
            Expr::Tuple(parts) => Some(Val {
                ty: ty.clone(),
                parts: parts.iter().map(|part| self.atom(part)).collect(),
                ..Val::default()
            }),
            Expr::List(items) => Some(self.make(self.rt.make_list, items, ty)),
            Expr::Range(ends) => Some(Val {
                ty: ty.clone(),
                parts: ends.iter().map(|&end| self.int_val(end)).collect(),
                ..Val::default()
            }),
            Expr::Set(items) => Some(self.make(self.rt.make_set, items, ty)),
            Expr::Dict(pairs) => {
                let flat = pairs
                    .iter()
                    .flat_map(|(key, value)| [key.clone(), value.clone()]);
                let flat = flat.collect::<Vec<_>>();
                Some(self.make(self.rt.make_dict, &flat, ty))
            }
            Expr::Iter(a) => {
                let a = self.atom(a);
                Some(self.through(&[&a], ty, |emitter, words| {
                    emitter.call_word(emitter.rt.get_iter, &[words[0]])
                }))
            }
            Expr::Format(parts, is_part) => {
                if let Some(number) = unformatted(&self.scope(), parts, *is_part) {
                    return Some(self.atom(number));
                }
                Some(self.format(parts, ty))
            }
            Expr::Global(name, of) => {
                let of = self.atom(of);
                let (of, name) = (self.word(&of), self.text(name));
                let object = self.call_word(self.rt.get_global, &[of, name]);
                let is_unbound = self.b.ins().icmp_imm_s(IntCC::Equal, object, 0);
                self.exit_if(is_unbound, "a global name that is not bound");
                Some(Self::owned(ty.clone(), object))
            }
            Expr::IsSequence(of) => {
                let of = self.atom(of);
                Some(self.is_sequence(&of))
            }
            Expr::Fails(how, a, b) => {
                let (a, b) = (self.atom(a), self.atom(b));
                Some(self.fails(*how, &a, &b))
            }
            Expr::Unknown(_) => None,
        }
    }

    /// Whether patterns of sequences may match a value.
    fn is_sequence(&mut self, of: &Val) -> Val {
        let tags = of.ty.tags;
        let is_list = of.ty.list().is_some() || of.ty.unboxed().is_some();
        let word = if is_list || of.ty.parts().is_some() || tags == Tags::of(RANGE) {
            self.int(1)
        } else if !tags.has(OBJECT) && !tags.any(Tags::of(TUPLE).or(Tags::of(RANGE))) {
            self.int(0)
        } else {
            self.through_status(&[of], |emitter, words| {
                emitter.call_word(emitter.rt.is_sequence, words)
            })
        };
        Self::from_word(Ty::truth(), word)
    }

    /// A method through Python's interface.
    fn call_method(
        &mut self,
        name: &str,
        of: Val,
        args: &[Atom],
        named: &[(String, Atom)],
        ty: &Ty,
    ) -> Val {
        let args = args.iter().map(|arg| self.atom(arg));
        let mut all = vec![of];
        all.extend(args.collect::<Vec<_>>());
        let n = i64::try_from(all.len()).unwrap_or(0);
        self.named(&mut all, named);
        let (name, names) = (self.text(name), self.names(named));
        let all = all.iter().collect::<Vec<_>>();
        self.through(&all, ty, |emitter, words| {
            let room = emitter.lay_out(words);
            let n = emitter.int(n);
            if !named.is_empty() {
                return emitter.call_word(emitter.rt.call_method, &[name, room, n, names]);
            }
            let site = emitter.member_site();
            emitter.call_word(emitter.rt.call_at, &[site, name, room, n])
        })
    }

    /// Boxes operands, does something with them, releases what was made for it, and looks whether
    /// it failed.
    pub(super) fn through(
        &mut self,
        operands: &[&Val],
        ty: &Ty,
        f: impl FnOnce(&mut Self, &[Value]) -> Value,
    ) -> Val {
        let boxed = self.all_boxed(operands);
        let words = boxed
            .iter()
            .map(|value| self.word(value))
            .collect::<Vec<_>>();
        let result = f(self, &words);
        for value in &boxed {
            self.release_owned(value);
        }
        self.fail_if_null(result);
        Self::owned(ty.clone(), result)
    }

    /// The same for what gives a status.
    pub(super) fn through_status(
        &mut self,
        operands: &[&Val],
        f: impl FnOnce(&mut Self, &[Value]) -> Value,
    ) -> Value {
        let boxed = self.all_boxed(operands);
        let words = boxed
            .iter()
            .map(|value| self.word(value))
            .collect::<Vec<_>>();
        let status = f(self, &words);
        for value in &boxed {
            self.release_owned(value);
        }
        self.fail_if_negative(status);
        status
    }

    fn lay_out(&mut self, words: &[Value]) -> Value {
        let room = self.scratch(words.len() + 1);
        for (at, &word) in words.iter().enumerate() {
            self.store(word, room, i32::try_from(8 * at + 8).unwrap_or(0));
        }
        self.b.ins().iadd_imm_s(room, 8)
    }

    fn make(&mut self, function: usize, items: &[Atom], ty: &Ty) -> Val {
        let items = items.iter().map(|item| self.atom(item)).collect::<Vec<_>>();
        let items = items.iter().collect::<Vec<_>>();
        let n = self.int(i64::try_from(items.len()).unwrap_or(0));
        self.through(&items, ty, |emitter, words| {
            let room = emitter.lay_out(words);
            emitter.call_word(function, &[room, n])
        })
    }

    fn named(&mut self, all: &mut Vec<Val>, named: &[(String, Atom)]) {
        for (_, atom) in named {
            let value = self.atom(atom);
            all.push(value);
        }
    }

    /// The tuple of the names of arguments, or null.
    fn names(&mut self, named: &[(String, Atom)]) -> Value {
        if named.is_empty() {
            return self.int(0);
        }
        let key = names_key(named);
        self.text(&key)
    }

    fn compare(&mut self, op: Cmp, a: &Val, b: &Val, ty: &Ty) -> Option<Val> {
        match op {
            Cmp::In | Cmp::NotIn if b.ty.table().is_some() => {
                let found = self.is_in_table(b, a)?;
                let not = i64::from(op == Cmp::NotIn);
                let word = self.b.ins().bxor_imm_s(found, not);
                Some(Self::from_word(ty.clone(), word))
            }
            Cmp::In | Cmp::NotIn if a.ty.tags == Tags::of(CHAR) && is_str(&b.ty) => {
                let (code, text) = (self.word(a), self.word(b));
                let found = self.call_word(self.rt.str_has, &[text, code]);
                let not = i64::from(op == Cmp::NotIn);
                let word = self.b.ins().bxor_imm_s(found, not);
                Some(Self::from_word(ty.clone(), word))
            }
            Cmp::In | Cmp::NotIn => {
                // A float in a tuple may be found by being the same object.
                let floats = |value: &Val| value.ty.tags.any(Tags::FLOATS.or(Tags::NUMPY));
                if b.ty.tags == Tags::of(TUPLE) && (floats(a) || b.parts.iter().any(floats)) {
                    return None;
                }
                let found = self.through_status(&[a, b], |emitter, words| {
                    emitter.call_word(emitter.rt.contains, &[words[1], words[0]])
                });
                let word = if op == Cmp::In {
                    found
                } else {
                    self.b.ins().bxor_imm_s(found, 1)
                };
                Some(Self::from_word(ty.clone(), word))
            }
            Cmp::Is | Cmp::IsNot => Some(self.cmp_numbers(op, a, b, ty)),
            _ if rules::compares_complex(op, &a.ty, &b.ty) => {
                let word = self.complex_equal(op, a, b);
                Some(Self::from_word(ty.clone(), word))
            }
            _ if a.ty.is_text() && b.ty.is_text() => {
                let word = self.compare_texts(int_cc(op)?, a, b);
                Some(Self::from_word(ty.clone(), word))
            }
            _ if unsigned::cmp(op, &a.ty, &b.ty).is_some() => self.cmp_unsigned(op, a, b),
            _ if rules::cmp_is_boxed(&a.ty, &b.ty) => {
                let op = self.int(cmp_number(op));
                Some(self.through(&[a, b], ty, |emitter, words| {
                    emitter.call_word(emitter.rt.compare, &[op, words[0], words[1]])
                }))
            }
            _ => Some(self.cmp_numbers(op, a, b, ty)),
        }
    }

    fn append(&mut self, list: &Val, item: &Atom) -> Option<Val> {
        let item = self.atom(item);
        self.through_status(&[list, &item], |emitter, words| {
            emitter.call_word(emitter.rt.list_append, words)
        });
        Some(Self::nothing(NONE))
    }

    fn known_call(
        &mut self,
        function: &Atom,
        args: &[Atom],
        named: &[(String, Atom)],
        ty: &Ty,
    ) -> Option<Val> {
        let how = self.scope().intrinsic(function, args, named);
        let values = args.iter().map(|arg| self.atom(arg)).collect::<Vec<_>>();
        match how {
            Some((Intrinsic::Len, _)) => self.length(&values[0], ty),
            Some((Intrinsic::SumOwn, _)) => Some(self.sum_of_own(&values[0])),
            Some((Intrinsic::Ord, _)) if values[0].ty.tags == Tags::of(CHAR) => {
                let code = self.word(&values[0]);
                Some(Self::from_word(ty.clone(), code))
            }
            Some((Intrinsic::SearchSorted, ty)) => self.search_sorted(&values, ty),
            Some((Intrinsic::Complex, _)) => Some(self.make_complex(&values)),
            Some((Intrinsic::AbsComplex, _)) => self.complex_size(&values[0]),
            Some((Intrinsic::Chr, _)) => Some(self.chr(&values[0])),
            Some((Intrinsic::Digit, _)) => Some(self.digit(&values[0])),
            Some((Intrinsic::Same, _)) => values.first().cloned(),
            Some((Intrinsic::Text, _)) => Some(self.text_of(&values[0], ty)),
            Some((Intrinsic::Ord, _)) => {
                let code = self.through_status(&[&values[0]], |emitter, words| {
                    emitter.call_word(emitter.rt.str_ord, words)
                });
                Some(Self::from_word(ty.clone(), code))
            }
            Some((Intrinsic::Ufunc(known), _)) => Some(self.ufunc(known, function, &values, ty)),
            Some((Intrinsic::Boxed, _)) | None => {
                Some(self.boxed_call(function, values, named, ty))
            }
            Some((how, _)) => self.intrinsic(how, &values, ty),
        }
    }

    fn length(&mut self, of: &Val, ty: &Ty) -> Option<Val> {
        if let Some(parts) = of.ty.parts() {
            let n = self.int(i64::try_from(parts.len()).unwrap_or(0));
            return Some(Self::from_word(ty.clone(), n));
        }
        if let (Some(_), Some(fields)) = (of.ty.array(), &of.array)
            && let Some(&size) = fields.sizes.first()
        {
            return Some(Self::from_word(ty.clone(), size));
        }
        if of.ty.is_bytes() {
            let (size, _) = self.bytes_fields(of);
            return Some(Self::from_word(ty.clone(), size));
        }
        if is_str(&of.ty) {
            let object = self.word(of);
            let size = self.text_size(object);
            return Some(Self::from_word(ty.clone(), size));
        }
        let is_own = of.ty.unboxed().is_some() || of.ty.table().is_some();
        if (of.ty.list().is_some() || is_own) && self.rt.ob_item != 0 {
            let (size, _) = self.list_fields(of);
            return Some(Self::from_word(ty.clone(), size));
        }
        let n = self.through_status(&[of], |emitter, words| {
            emitter.call_word(emitter.rt.length, words)
        });
        Some(Self::from_word(ty.clone(), n))
    }

    pub(super) fn boxed_call(
        &mut self,
        function: &Atom,
        args: Vec<Val>,
        named: &[(String, Atom)],
        ty: &Ty,
    ) -> Val {
        let function = self.atom(function);
        self.call_object(&function, args, named, ty)
    }

    /// A call through Python's interface.
    pub(super) fn call_object(
        &mut self,
        function: &Val,
        mut args: Vec<Val>,
        named: &[(String, Atom)],
        ty: &Ty,
    ) -> Val {
        let n = self.int(i64::try_from(args.len()).unwrap_or(0));
        let function = self.boxed(function);
        let object = self.word(&function);
        self.named(&mut args, named);
        let names = self.names(named);
        let args = args.iter().collect::<Vec<_>>();
        self.through(&args, ty, |emitter, words| {
            let room = emitter.lay_out(words);
            let result = emitter.call_word(emitter.rt.call, &[object, room, n, names]);
            emitter.release_owned(&function);
            result
        })
    }

    fn item(&mut self, of: &Val, index: &Index, known: &[bool], ty: &Ty) -> Option<Val> {
        if of.ty.table().is_some() {
            let key = self.index(index);
            return self.load_from_table(of, &key);
        }
        let (_, native) = self.scope().item(&of.ty, index);
        if native {
            if of.ty.array().is_some() {
                let indices = self.int_indices(index)?;
                return self.load_element(of, &indices, known);
            }
            let Index::Atom(atom) = index else {
                return None;
            };
            if of.ty.parts().is_some() {
                let at = self.scope().constant(atom)?;
                let n = i64::try_from(of.parts.len()).ok()?;
                let at = usize::try_from(if at < 0 { at + n } else { at }).ok()?;
                return of.parts.get(at).cloned();
            }
            let index = self.atom(atom);
            if of.ty.is_bytes() {
                return Some(self.load_from_bytes(of, &index));
            }
            if let Some(element) = of.ty.unboxed() {
                let element = element.clone();
                let place = self.list_place(of, &index);
                return Some(self.unboxed_at(place, &element));
            }
            if of.ty.list().is_none() {
                return Some(self.load_char(of, &index));
            }
            return self.load_from_list(of, &index);
        }
        let key = self.index(index);
        if self.is_plain_tuple(of)
            && key.ty.tags.within(Tags::of(INT))
            && !key.ty.is_never()
            && key.ty.narrow.is_none()
        {
            return Some(self.load_from_tuple(of, &key, ty));
        }
        let value = self.through(&[of, &key], ty, |emitter, words| {
            emitter.call_word(emitter.rt.get_item, &[words[0], words[1]])
        });
        Some(value)
    }

    /// An index as one value. Slices are objects that are made for it; who uses it releases them.
    pub(super) fn index(&mut self, index: &Index) -> Val {
        match index {
            Index::Atom(atom) => self.atom(atom),
            Index::Slice(parts) => {
                let parts = parts
                    .iter()
                    .map(|part| self.atom(part.as_ref().unwrap_or(&Atom::None)));
                let parts = parts.collect::<Vec<_>>();
                let parts = parts.iter().collect::<Vec<_>>();
                self.through(&parts, &Ty::of(OBJECT), |emitter, words| {
                    let room = emitter.lay_out(words);
                    emitter.call_word(emitter.rt.make_slice, &[room])
                })
            }
            Index::Tuple(parts) => {
                let parts = parts
                    .iter()
                    .map(|part| self.index(part))
                    .collect::<Vec<_>>();
                Val {
                    ty: Ty::tuple(parts.iter().map(|part| part.ty.clone()).collect()),
                    parts,
                    ..Val::default()
                }
            }
        }
    }
}

/// Under which name the tuple of these names is among the strings of a function.
#[must_use]
pub fn names_key(named: &[(String, Atom)]) -> String {
    let names = named.iter().map(|(name, _)| name.as_str());
    format!("({})", names.collect::<Vec<_>>().join(","))
}

fn bin_number(op: Bin) -> i64 {
    op as i64
}

fn un_number(op: Un) -> i64 {
    op as i64
}

/// Python's numbers of comparisons.
pub(super) fn cmp_number(op: Cmp) -> i64 {
    match op {
        Cmp::Lt => 0,
        Cmp::Le => 1,
        Cmp::Eq => 2,
        Cmp::Ne => 3,
        Cmp::Gt => 4,
        _ => 5,
    }
}
