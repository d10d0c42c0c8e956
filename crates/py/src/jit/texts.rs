//! Texts that are put together: f-strings, and `str` of numbers.
//!
//! Numbers that are in registers are written into one buffer without becoming objects, as are their
//! commonest formats, such as `.2f` and `5d`; everything else is asked to format itself.

use std::cell::Cell;
use std::ffi::c_int;

use opcodon_pyfn::{BOOL, CHAR, FLOAT, INT, NONE, OBJECT, UNSET};
use pyo3::ffi::{self, PyObject};

use super::calls::{box_value, type_of};
use super::layout::known;

unsafe extern "C" {
    fn PyOS_double_to_string(
        value: f64,
        format: u8,
        precision: c_int,
        flags: c_int,
        kind: *mut c_int,
    ) -> *mut u8;
}

/// `Py_DTSF_ADD_DOT_0`: a float looks like one.
const ADD_DOT_0: c_int = 2;

/// Where a string has its length and its kind, if it is known where characters are, and the bits that
/// say that it is compact and of ASCII.
const SIZE_AT: usize = 16;
const KIND_AT: usize = 32;
const ASCII_BITS: u8 = 0x60;

/// The characters of a string, if they are known to be ASCII.
pub(super) fn ascii_of_text<'a>(text: *mut PyObject) -> Option<&'a [u8]> {
    let at = known().runtime.text_ascii;
    unsafe {
        let fields = text.cast::<u8>();
        if at == 0 || fields.add(KIND_AT).read() & ASCII_BITS != ASCII_BITS {
            return None;
        }
        let n = fields.add(SIZE_AT).cast::<usize>().read();
        let first = fields.offset(at.try_into().unwrap_or(0));
        Some(std::slice::from_raw_parts(first, n))
    }
}

/// A part: tag, word and bits of a value, its conversion (`s`, `r`, `a` or 0) and the object of its
/// format, or null; a text of the program has no tag.
type Part = [u64; 5];

/// A format of a number: `0`, width, precision.
struct Simple {
    zeros: bool,
    width: usize,
    precision: Option<u8>,
}

impl Simple {
    /// Reads a format that ends in such a letter, if there is nothing else in it.
    fn read(format: &[u8], letter: u8) -> Option<Self> {
        let format = format.strip_suffix(&[letter])?;
        let (zeros, format) = match format.strip_prefix(b"0") {
            Some(rest) => (true, rest),
            None => (false, format),
        };
        let number = |digits: &[u8]| -> Option<usize> {
            let is_short = digits.len() <= 2 && digits.iter().all(u8::is_ascii_digit);
            is_short.then(|| {
                let add = |sum: usize, &digit: &u8| 10 * sum + usize::from(digit - b'0');
                digits.iter().fold(0, add)
            })
        };
        let mut parts = format.splitn(2, |&c| c == b'.');
        let width = number(parts.next()?)?;
        let precision = match parts.next() {
            Some([]) => return None,
            Some(digits) => Some(u8::try_from(number(digits)?).ok()?),
            None => None,
        };
        Some(Self {
            zeros,
            width,
            precision,
        })
    }

    /// Fills up what was written from there on.
    fn fill(&self, text: &mut Vec<u8>, from: usize) {
        let n = self.width.saturating_sub(text.len() - from);
        let is_signed = text.get(from) == Some(&b'-');
        let at = from + usize::from(self.zeros && is_signed);
        let with = if self.zeros { b'0' } else { b' ' };
        text.splice(at..at, std::iter::repeat_n(with, n));
    }
}

/// The text so far: an object, if there is one, then bytes of UTF-8.
struct Text {
    before: *mut PyObject,
    bytes: Vec<u8>,
}

impl Text {
    /// Appends the text of an object; `false` with an exception.
    unsafe fn push(&mut self, object: *mut PyObject) -> bool {
        unsafe {
            if let Some(bytes) = ascii_of_text(object) {
                self.bytes.extend(bytes);
                return true;
            }
            let mut n = 0;
            let bytes = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut n);
            if !bytes.is_null() {
                let n = n.cast_unsigned();
                self.bytes
                    .extend(std::slice::from_raw_parts(bytes.cast::<u8>(), n));
                return true;
            }
            // There are surrogates in it.
            ffi::PyErr_Clear();
            self.settle() && self.join(ffi::Py_NewRef(object))
        }
    }

    /// Appends an object, whose reference is used up.
    unsafe fn join(&mut self, object: *mut PyObject) -> bool {
        if self.before.is_null() || object.is_null() {
            unsafe { ffi::Py_DecRef(self.before) };
            self.before = object;
        } else {
            unsafe { ffi::PyUnicode_AppendAndDel(&raw mut self.before, object) };
        }
        !self.before.is_null()
    }

    /// Makes an object of the bytes.
    unsafe fn settle(&mut self) -> bool {
        let bytes = self.bytes.as_ptr().cast();
        let object =
            unsafe { ffi::PyUnicode_FromStringAndSize(bytes, self.bytes.len().cast_signed()) };
        self.bytes.clear();
        unsafe { self.join(object) }
    }

    /// Writes a number or the like that is no object; `false` if it is to be formatted by Python.
    unsafe fn write(&mut self, [tag, word, bits, conversion, format]: Part) -> bool {
        let tag = u8::try_from(tag).unwrap_or(UNSET);
        if format == 0 {
            return unsafe { self.write_plainly(tag, word, bits, conversion) };
        }
        let mut n = 0;
        let format = unsafe {
            let bytes = ffi::PyUnicode_AsUTF8AndSize(format as *mut PyObject, &raw mut n);
            if bytes.is_null() {
                ffi::PyErr_Clear();
                return false;
            }
            std::slice::from_raw_parts(bytes.cast::<u8>(), n.cast_unsigned())
        };
        let from = self.bytes.len();
        let simple = match tag {
            INT if conversion == 0 => {
                Simple::read(format, b'd').filter(|simple| simple.precision.is_none())
            }
            FLOAT if conversion == 0 && f64::from_bits(bits).is_finite() => {
                Simple::read(format, b'f')
            }
            _ => None,
        };
        let Some(simple) = simple else {
            return false;
        };
        let is_written = match tag {
            INT => self.write_int(word.cast_signed()),
            _ => {
                let precision = simple.precision.unwrap_or(6);
                unsafe { self.write_float(bits, b'f', precision.into(), 0) }
            }
        };
        simple.fill(&mut self.bytes, from);
        is_written
    }

    unsafe fn write_plainly(&mut self, tag: u8, word: u64, bits: u64, conversion: u64) -> bool {
        match tag {
            INT => self.write_int(word.cast_signed()),
            FLOAT => unsafe { self.write_float(bits, b'r', 0, ADD_DOT_0) },
            BOOL => self.write_text(if word == 0 { "False" } else { "True" }),
            NONE => self.write_text("None"),
            CHAR if conversion == 0 => {
                let char = u32::try_from(word).ok().and_then(char::from_u32);
                let mut room = [0; 4];
                char.is_some_and(|char| self.write_text(char.encode_utf8(&mut room)))
            }
            _ => false,
        }
    }

    fn write_int(&mut self, value: i64) -> bool {
        let mut room = [0; 20];
        let mut at = room.len();
        let mut rest = value.unsigned_abs();
        loop {
            at -= 1;
            room[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            at -= 1;
            room[at] = b'-';
        }
        self.bytes.extend(&room[at..]);
        true
    }

    fn write_text(&mut self, text: &str) -> bool {
        self.bytes.extend(text.as_bytes());
        true
    }

    unsafe fn write_float(&mut self, bits: u64, kind: u8, precision: c_int, flags: c_int) -> bool {
        unsafe {
            let value = f64::from_bits(bits);
            let null = std::ptr::null_mut();
            let text = PyOS_double_to_string(value, kind, precision, flags, null);
            if text.is_null() {
                ffi::PyErr_Clear();
                return false;
            }
            let bytes = std::ffi::CStr::from_ptr(text.cast());
            self.bytes.extend(bytes.to_bytes());
            ffi::PyMem_Free(text.cast());
            true
        }
    }

    /// Appends a part; `false` with an exception.
    unsafe fn append(&mut self, part: Part) -> bool {
        unsafe {
            let [tag, word, ..] = part;
            if tag == u64::from(UNSET) {
                return self.push(word as *mut PyObject);
            }
            if self.write(part) {
                return true;
            }
            let object = word as *mut PyObject;
            let is_text = |object| type_of(object) == known().runtime.str_type;
            if tag == u64::from(OBJECT) && part[3] == 0 && part[4] == 0 && is_text(object) {
                return self.push(object);
            }
            let object = formatted(part);
            let fine = !object.is_null() && self.push(object);
            ffi::Py_DecRef(object);
            fine
        }
    }
}

/// What Python makes of a value.
unsafe fn formatted([tag, word, bits, conversion, format]: Part) -> *mut PyObject {
    unsafe {
        let value = box_value(tag, word.cast_signed(), bits);
        if value.is_null() {
            return value;
        }
        let converted = match u8::try_from(conversion).unwrap_or(0) {
            b's' => ffi::PyObject_Str(value),
            b'r' => ffi::PyObject_Repr(value),
            b'a' => ffi::PyObject_ASCII(value),
            _ => ffi::Py_NewRef(value),
        };
        ffi::Py_DecRef(value);
        let is_text = !converted.is_null() && type_of(converted) == known().runtime.str_type;
        if converted.is_null() || is_text && format == 0 {
            return converted;
        }
        let result = ffi::PyObject_Format(converted, format as *mut PyObject);
        ffi::Py_DecRef(converted);
        result
    }
}

thread_local! {
    /// Room for a text, which is kept.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes beyond which room is not kept.
const KEPT_MAX: usize = 1 << 16;

pub(super) unsafe extern "C" fn format(parts: *const Part, n_parts: usize) -> *mut PyObject {
    unsafe {
        let parts = std::slice::from_raw_parts(parts, n_parts);
        if let [part] = parts
            && part[0] == u64::from(OBJECT)
        {
            return formatted(*part);
        }
        let mut text = Text {
            before: std::ptr::null_mut(),
            bytes: ROOM.take(),
        };
        text.bytes.clear();
        let fine = parts.iter().all(|&part| text.append(part));
        let fine = fine && (text.bytes.is_empty() && !text.before.is_null() || text.settle());
        if text.bytes.capacity() <= KEPT_MAX {
            ROOM.set(text.bytes);
        }
        if !fine {
            ffi::Py_DecRef(text.before);
            return std::ptr::null_mut();
        }
        text.before
    }
}
