//! Strings, and the characters in them.
//!
//! A character of a string of ASCII is read in place, any other by the runtime. Text that grows at
//! the end of a local is grown in place if nobody else refers to it.

use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, condcodes::IntCC, types};

use super::{Emitter, Val};
use crate::operation::is_str;
use crate::program::{Atom, Bin, Cmp, Expr, Local, Part};
use crate::types::{CHAR, Form, RANGE, TUPLE, Tags, Ty};

/// The bits in a string's kind that say that it is compact and of ASCII, and where they are.
const ASCII_BITS: i64 = 0x60;
const KIND_AT: i32 = 32;

/// Characters of a written text beyond which it is searched by the runtime.
const N_WRITTEN_MAX: usize = 10;

impl Emitter<'_, '_> {
    /// A character that is written in the program.
    pub(super) fn written_char(&mut self, code: i64) -> Val {
        let word = self.int(code);
        Val {
            constant: Some(code),
            ..Self::from_word(Ty::of(CHAR), word)
        }
    }

    /// A character as an object.
    pub(super) fn boxed_char(&mut self, value: &Val) -> Val {
        let ty = Ty::object(Form::Str);
        let written = value.constant.and_then(|code| u32::try_from(code).ok());
        if let Some(character) = written.and_then(char::from_u32) {
            let word = self.text(&character.to_string());
            return Self::from_word(ty, word);
        }
        let code = self.word(value);
        let object = self.call_word(self.rt.make_char, &[code]);
        self.fail_if_null(object);
        Self::owned(ty, object)
    }

    /// An f-string.
    pub(super) fn format(&mut self, parts: &[Part], ty: &Ty) -> Val {
        let mut rows = Vec::new();
        let mut values = Vec::new();
        for part in parts {
            let zero = self.int(0);
            rows.push(match part {
                Part::Text(text) => [zero, self.text(text), zero, zero, zero],
                Part::Value(of, conversion, format) => {
                    let value = self.atom(of);
                    let (row, value) = self.row(value);
                    values.push(value);
                    let conversion = self.int(i64::from(*conversion));
                    let format = match format {
                        Some(format) => self.text(format),
                        None => zero,
                    };
                    [row[0], row[1], row[2], conversion, format]
                }
            });
        }
        self.format_rows(&rows, &values, ty)
    }

    /// `str` of a number.
    pub(super) fn text_of(&mut self, value: &Val, ty: &Ty) -> Val {
        let (row, value) = self.row(value.clone());
        let zero = self.int(0);
        self.format_rows(&[[row[0], row[1], row[2], zero, zero]], &[value], ty)
    }

    /// Tag, word and bits of a value that is to be formatted, and what is released then.
    fn row(&mut self, value: Val) -> ([Value; 3], Val) {
        let parts = Tags::of(TUPLE).or(Tags::of(RANGE));
        let is_own = value.ty.unboxed().is_some() || value.ty.table().is_some();
        let value = if value.ty.tags.any(parts) || is_own {
            self.boxed(&value)
        } else {
            value
        };
        let flt = self.flt(&value);
        let bits = self.b.ins().bitcast(types::I64, MemFlagsData::new(), flt);
        ([self.tag(&value), self.word(&value), bits], value)
    }

    fn format_rows(&mut self, rows: &[[Value; 5]], values: &[Val], ty: &Ty) -> Val {
        let words = rows.as_flattened();
        let room = self.scratch(words.len().max(1));
        for (at, &word) in words.iter().enumerate() {
            self.store(word, room, i32::try_from(8 * at).unwrap_or(0));
        }
        let n = self.int(i64::try_from(rows.len()).unwrap_or(0));
        let text = self.call_word(self.rt.format, &[room, n]);
        for value in values {
            self.release_owned(value);
        }
        self.fail_if_null(text);
        Self::owned(ty.clone(), text)
    }

    /// The number of characters.
    pub(super) fn text_size(&mut self, text: Value) -> Value {
        if self.rt.text_ascii == 0 {
            return self.call_word(self.rt.length, &[text]);
        }
        self.load(types::I64, text, 16)
    }

    /// The character at an index that is within bounds.
    pub(super) fn char_at(&mut self, text: Value, index: Value) -> Val {
        if self.rt.text_ascii == 0 {
            let code = self.call_word(self.rt.str_char, &[text, index]);
            return Self::from_word(Ty::of(CHAR), code);
        }
        let kind = self.b.ins().uload32(super::trusted(), text, KIND_AT);
        let bits = self.b.ins().band_imm_s(kind, ASCII_BITS);
        let is_ascii = self.b.ins().icmp_imm_s(IntCC::Equal, bits, ASCII_BITS);
        let (direct, other, done) = (self.new_block(), self.cold_block(), self.new_block());
        let code = self.b.append_block_param(done, types::I64);
        self.b.ins().brif(is_ascii, direct, &[], other, &[]);
        self.start(direct);
        let place = self.b.ins().iadd(text, index);
        let offset = self.rt.text_ascii;
        let byte = self
            .b
            .ins()
            .uload8(types::I64, super::trusted(), place, offset);
        self.jump(done, &[byte]);
        self.start(other);
        let found = self.call_rarely(self.rt.str_char, &[text, index]);
        self.jump(done, &[found]);
        self.start(done);
        Self::from_word(Ty::of(CHAR), code)
    }

    /// `text[index]`.
    pub(super) fn load_char(&mut self, text: &Val, index: &Val) -> Val {
        let text = self.word(text);
        let size = self.text_size(text);
        let at = self.in_bounds(index, size);
        self.char_at(text, at)
    }

    /// Whether two texts compare so: 0 or 1.
    pub(super) fn compare_texts(&mut self, cc: IntCC, a: &Val, b: &Val) -> Value {
        let chars = Tags::of(CHAR);
        let truth = if a.ty.tags == chars && b.ty.tags == chars {
            let (x, y) = (self.word(a), self.word(b));
            self.b.ins().icmp(cc, x, y)
        } else {
            let (a, b) = (self.boxed(a), self.boxed(b));
            let (x, y) = (self.word(&a), self.word(&b));
            let order = self.call_word(self.rt.str_compare, &[x, y]);
            self.release_owned(&a);
            self.release_owned(&b);
            self.b.ins().icmp_imm_s(cc, order, 0)
        };
        self.b.ins().uextend(types::I64, truth)
    }

    /// Whether a character is in a short text that is written in the program, if that is asked.
    pub(super) fn is_written_char(&mut self, op: Cmp, a: &Atom, b: &Atom) -> Option<Value> {
        let Atom::Str(text) = b else {
            return None;
        };
        let n_chars = text.chars().count();
        if !matches!(op, Cmp::In | Cmp::NotIn)
            || self.scope().atom(a).tags != Tags::of(CHAR)
            || n_chars == 0
            || n_chars > N_WRITTEN_MAX
        {
            return None;
        }
        let value = self.atom(a);
        let code = self.word(&value);
        let mut found = None;
        for character in text.chars() {
            let same = i64::from(u32::from(character));
            let is_same = self.b.ins().icmp_imm_s(IntCC::Equal, code, same);
            found = Some(match found {
                Some(others) => self.b.ins().bor(others, is_same),
                None => is_same,
            });
        }
        let word = self.b.ins().uextend(types::I64, found?);
        let not = i64::from(op == Cmp::NotIn);
        Some(self.b.ins().bxor_imm_s(word, not))
    }

    /// `chr(code)`.
    pub(super) fn chr(&mut self, code: &Val) -> Val {
        let code = self.word(code);
        let last = i64::from(u32::from(char::MAX));
        let beyond = self
            .b
            .ins()
            .icmp_imm_s(IntCC::UnsignedGreaterThan, code, last);
        self.exit_if(beyond, "no such character");
        Self::from_word(Ty::of(CHAR), code)
    }

    /// `int(character)`.
    pub(super) fn digit(&mut self, value: &Val) -> Val {
        let code = self.word(value);
        let digit = self.b.ins().iadd_imm_s(code, -i64::from(b'0'));
        let beyond = self
            .b
            .ins()
            .icmp_imm_s(IntCC::UnsignedGreaterThan, digit, 9);
        self.exit_if(beyond, "not a digit");
        Self::from_word(Ty::byte(), digit)
    }

    /// What a method says of a character.
    pub(super) fn test_char(&mut self, value: &Val, test: usize) -> Val {
        let code = self.word(value);
        let test = self.int(i64::try_from(test).unwrap_or(0));
        let truth = self.call_word(self.rt.char_is, &[code, test]);
        Self::from_word(Ty::truth(), truth)
    }

    /// `text += more` for a local of its own: in place, if nobody else refers to the text.
    pub(super) fn append_text(&mut self, to: Local, e: &Expr) -> bool {
        let Expr::Bin(Bin::Add, Atom::Local(left), more, _) = e else {
            return false;
        };
        let is_other = *more != Atom::Local(to);
        if *left != to || !is_other || !is_str(&self.types[to]) || self.is_borrowed(to) {
            return false;
        }
        let more = self.atom(more);
        if !more.ty.is_text() {
            return false;
        }
        let more = self.boxed(&more);
        let text = self.atom(&Atom::Local(to));
        let (word, added) = (self.word(&text), self.word(&more));
        let grown = self.call_word(self.rt.str_append, &[word, added]);
        self.release_owned(&more);
        // If that failed, the local is still what it was.
        self.fail_if_null(grown);
        self.forget(to);
        self.bind(to, Self::owned(Ty::object(Form::Str), grown));
        true
    }
}
