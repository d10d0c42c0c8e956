//! Statements without statements in them.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};

use super::{Emitter, Val};
use crate::classes::SUPER;
use crate::infer::{extend, note_append};
use crate::operation::{looks_up_plainly, unpacked};
use crate::program::{Atom, Expr, Index, Kind, Local};
use crate::types::{OBJECT, Tags, Ty, UNSET};

impl Emitter<'_, '_> {
    /// A statement without blocks; whether anything follows.
    pub(super) fn step(&mut self, kind: &Kind) -> bool {
        match kind {
            Kind::Set(to, e) => {
                // A temporary that is read for the last time gives its reference away.
                if let Expr::Atom(Atom::Local(from)) = e
                    && self.info.program.locals[*from].starts_with('.')
                    && !self.is_borrowed(*from)
                    && !self.is_live_after(*from)
                    && from != to
                {
                    let mut value = self.atom(&Atom::Local(*from));
                    value.owned = true;
                    for part in &mut value.parts {
                        part.owned = true;
                    }
                    self.forget(*from);
                    self.bind(*to, value);
                    return true;
                }
                if self.append_text(*to, e) {
                    return true;
                }
                let own = match self.own_list(*to, e) {
                    Some(list) => Some(list),
                    None => self.own_table(*to, e),
                };
                let value = match own {
                    Some(list) => list,
                    None => {
                        self.is_masked = self.is_masked_at(self.statement);
                        let value = self.expr(e);
                        self.is_masked = false;
                        match value {
                            Some(value) => self.stepped(self.statement, value),
                            None => return false,
                        }
                    }
                };
                self.note_append(e);
                let value = match e {
                    Expr::Atom(_) => value,
                    _ => self.hinted((self.statement, 0), *to, value),
                };
                self.replaced = self.rebind(*to, value);
            }
            Kind::Expr(e) => {
                let Some(value) = self.expr(e) else {
                    return false;
                };
                self.note_append(e);
                self.release_owned(&value);
            }
            Kind::SetItem(of, index, value) => {
                return match self.store_through_special(kind) {
                    Some(goes_on) => goes_on,
                    None => self.set_item(of, index, value),
                };
            }
            Kind::SetAttr(of, name, value) => {
                let (of, value) = (self.atom(of), self.atom(value));
                if self.store_attribute(&of, name, &value) {
                    return true;
                }
                let name = self.text(name);
                let site = self.member_site();
                self.through_status(&[&of, &value], |emitter, words| {
                    let set = emitter.rt.set_attr_at;
                    emitter.call_word(set, &[site, words[0], name, words[1]])
                });
            }
            Kind::SetGlobal(of, name, value) => {
                let (of, value) = (self.atom(of), self.atom(value));
                let (of, name) = (self.word(&of), self.text(name));
                let owner = self.address(self.unit.owner);
                self.through_status(&[&value], |emitter, words| {
                    let set = emitter.rt.set_global;
                    emitter.call_word(set, &[owner, of, name, words[0]])
                });
            }
            Kind::Lookup(to, name, of) => {
                let of = self.atom(of);
                let is_of_base = name.starts_with(SUPER);
                if looks_up_plainly(&of.ty, name) && !is_of_base || self.looked_up(&of, name) {
                    self.drop_local(*to);
                    self.types[*to] = Ty::of(UNSET);
                    return true;
                }
                if is_of_base {
                    self.leave("a method of the bases of a class that is not known");
                    return false;
                }
                let name = self.text(name);
                let site = self.member_site();
                let method = self.through(&[&of], &Ty::of(OBJECT), |emitter, words| {
                    emitter.call_word(emitter.rt.look_up, &[site, words[0], name])
                });
                let word = self.word(&method);
                let is_lasting = self.b.ins().icmp_imm_s(IntCC::Equal, word, 1);
                let (unset, object) = (self.tag_value(UNSET), self.tag_value(OBJECT));
                let tag = self.b.ins().select(is_lasting, unset, object);
                let method = Val {
                    ty: Ty::tags(Tags(1 << UNSET | 1 << OBJECT)),
                    tag: Some(tag),
                    ..method
                };
                self.bind(*to, method);
            }
            Kind::DelItem(of, index) => {
                let of = self.atom(of);
                let key = self.index(index);
                if of.ty.table().is_some() {
                    if self.delete_from_table(&of, &key).is_none() {
                        self.leave("another key than expected");
                        return false;
                    }
                    return true;
                }
                self.through_status(&[&of, &key], |emitter, words| {
                    emitter.call_word(emitter.rt.del_item, words)
                });
            }
            Kind::Unset(local) => {
                if self.types[*local].tags.has(UNSET) {
                    self.leave("del of a local that may be unbound");
                    return false;
                }
                let held = self.held(*local);
                self.forget(*local);
                if let Some(held) = held {
                    self.release(&held);
                }
            }
            Kind::Unpack(to, a) => return self.unpack(to, a),
            Kind::EndHandler(..) => self.end_handling(),
            Kind::Raise(a) => {
                let a = self.atom(a);
                let error = self.boxed(&a);
                let object = self.word(&error);
                self.call(self.rt.raise, &[object], None);
                self.release_owned(&error);
                self.fail();
                return false;
            }
            Kind::Return(a) => {
                self.ret(a);
                return false;
            }
            Kind::Leave(why) => {
                self.leave(why);
                return false;
            }
            _ => {}
        }
        true
    }

    fn note_append(&mut self, e: &Expr) {
        let info = std::rc::Rc::clone(&self.info);
        note_append(&mut self.types, &info, e);
    }

    fn set_item(&mut self, of: &Atom, index: &Index, value: &Atom) -> bool {
        let target = self.atom(of);
        if !target.ty.tags.has(OBJECT) {
            self.leave("items cannot be assigned there");
            return false;
        }
        let new = self.atom(value);
        if target.ty.table().is_some() {
            let key = self.index(index);
            if !self.store_in_table(&target, &key, &new) {
                self.leave("an entry that does not fit the table");
                return false;
            }
            return true;
        }
        let in_array = target.ty.array().is_some();
        let done = match self.int_indices(index) {
            Some(indices) if in_array => {
                let known = self.known_parts(of, index);
                let is_done = self.store_element(&target, &indices, &known, &new);
                if is_done {
                    self.note_stored(of, index, &new);
                }
                is_done
            }
            Some(indices) if indices.len() == 1 && target.ty.list().is_some() => {
                self.store_in_list(&target, &indices[0], &new)
            }
            Some(indices) if indices.len() == 1 && target.ty.unboxed().is_some() => {
                self.store_unboxed(&target, &indices[0], &new)
            }
            _ => false,
        };
        if !done && target.ty.unboxed().is_some() {
            self.leave("an element that does not fit the list");
            return false;
        }
        if !done {
            let key = self.index(index);
            self.through_status(&[&target, &key, &new], |emitter, words| {
                emitter.call_word(emitter.rt.set_item, words)
            });
            if in_array {
                self.note_stored_by_python(of, index);
            }
        }
        if let (Atom::Local(list), Index::Atom(_)) = (of, index) {
            extend(&mut self.types[*list], &new.ty);
        }
        true
    }

    fn unpack(&mut self, to: &[Local], a: &Atom) -> bool {
        let value = self.atom(a);
        let Some(types) = unpacked(&value.ty, to.len()) else {
            self.leave("not so many values to unpack");
            return false;
        };
        if value.ty.parts().is_some() {
            for (at, (&to, part)) in to.iter().zip(value.parts).enumerate() {
                let part = self.hinted((self.statement, at), to, part);
                self.bind(to, part);
            }
            return true;
        }
        if value.ty.tags != Tags::of(OBJECT) {
            self.leave("unpacking of something unusual");
            return false;
        }
        if self.is_plain_tuple(&value) {
            let parts = self.take_apart(&value, to.len());
            self.bind_parts(to, parts, types);
            return true;
        }
        let (object, out) = (self.word(&value), self.scratch(to.len()));
        let n = self.int(i64::try_from(to.len()).unwrap_or(0));
        let status = self.call_word(self.rt.unpack, &[object, n, out]);
        // Only tuples and lists of that length are taken apart; nothing has happened otherwise.
        let failed = self.b.ins().icmp_imm_s(IntCC::NotEqual, status, 0);
        self.exit_if(failed, "unpacking of something unusual");
        let out = self.scratch(to.len());
        let parts = (0..to.len()).map(|at| {
            let offset = i32::try_from(8 * at).unwrap_or(0);
            self.load(types::I64, out, offset)
        });
        let parts = parts.collect::<Vec<_>>();
        self.bind_parts(to, parts, types);
        true
    }

    fn bind_parts(&mut self, to: &[Local], parts: Vec<Value>, types: Vec<Ty>) {
        for (at, ((&to, part), ty)) in to.iter().zip(parts).zip(types).enumerate() {
            let part = self.hinted((self.statement, at), to, Self::owned(ty, part));
            self.bind(to, part);
        }
    }
}
