//! What generated code knows of Python: addresses of functions and objects, offsets of fields.
//!
//! This crate does not link to Python. Whoever does fills the table once and passes it in. All
//! functions have the C calling convention; where one returns an object, it is a new reference, and
//! null if an exception was raised.

use std::collections::HashMap;

use crate::whole::WholeFunction;

/// Addresses and offsets.
#[derive(Debug, Clone, Default)]
#[expect(
    missing_docs,
    reason = "objects and functions of Python's C API, by their names there"
)]
pub struct Runtime {
    pub none: usize,
    pub true_: usize,
    pub false_: usize,
    pub float_type: usize,
    pub long_type: usize,
    pub list_type: usize,
    pub str_type: usize,
    pub bytes_type: usize,
    pub dict_type: usize,
    pub tuple_type: usize,
    pub complex_type: usize,
    pub ndarray_type: usize,
    pub np_float_type: usize,
    pub np_int_type: usize,
    /// Offset of a float's value; 0 if it is not known.
    pub ob_fval: i32,
    /// Offset of a list's pointer to its items, behind its size; 0 if it is not known.
    pub ob_item: i32,
    /// Offset of a tuple's first item, whose number is at 16; 0 if it is not known.
    pub tuple_item: i32,
    /// Offset of the first of a `bytes`, whose number is at 16; 0 if it is not known.
    pub ob_sval: i32,
    /// Offset of a complex number's parts; 0 if they are not known, or its arithmetic is not.
    pub complex_at: i32,
    /// Whether reference counts are a word at the start of an object, and may be changed in place.
    pub plain_refcounts: bool,
    /// Whether integers are a signed number of 30-bit digits at 16 and the digits behind.
    pub digits30: bool,
    /// Offset of the number that a class gets anew when it changes, of 32 bits; 0 if there is none.
    pub type_version: i32,
    /// Offset of the place of an object's values; 0 if they are not known.
    pub values_at: i32,
    /// `(class) -> object`: an instance without attributes.
    pub new_object: usize,
    /// `(object, name, function) -> 1` if that attribute is the function as a method of the object.
    pub is_method: usize,
    /// What an operator's method gives that does not know the other operand.
    pub not_implemented: usize,
    /// `(operator, in place, a, b) -> -1`: raises that there is no such operation.
    pub unsupported: usize,
    /// `(comparison, a, b) -> object`: what a comparison gives whose method of `a` does not know `b`.
    pub compare_refused: usize,
    /// `(object) -> n`, or raises what `len` raises if `__len__` gives it. Uses up the reference.
    pub len_gave: usize,
    /// `(object, instance) -> 0` if the object is `None`, or raises what a call of a class raises if
    /// `__init__` gives another, and releases the instance. Uses up a reference to the object.
    pub init_gave: usize,
    /// `(record, frame) -> object`: Python finishes the call.
    pub leave: usize,
    /// `(record, frame) -> object`: Python raises at the statement the exception that is set, and
    /// finishes the call if a handler catches it.
    pub fail: usize,
    /// `(record, classes: *mut [object, number], n, whether it is to be the one that Python says is being
    /// handled) -> exception`: takes the exception that is set, if it is of one of the classes, whose
    /// number is stored in place of the first class; null if it is not caught.
    pub caught: usize,
    /// `(object)`: raises it.
    pub raise: usize,
    /// `()`: no exception is being handled any more.
    pub end_handling: usize,
    /// `(record, frame) -> object`: Python goes on behind the statement.
    pub leave_behind: usize,
    /// `(owner) -> 1` if all names that were frozen are still what they were, or 0.
    pub guards_hold: usize,
    /// `(tag, word, double bits) -> object`.
    pub box_value: usize,
    /// `(context: *mut Context) -> 1`, or 0 if there is no room on the stack: fills the context.
    pub enter: usize,
    /// `(double) -> object`.
    pub make_float: usize,
    /// `(integer) -> object`.
    pub make_int: usize,
    /// `(double, double) -> object`.
    pub make_complex: usize,
    /// `(object, tags, out: *mut [u64; 2]) -> tag`, which is 0 if the object has none of the tags.
    pub unbox: usize,
    /// `(object, check: *const ArrayCheck) -> 0 or 1`.
    pub is_array: usize,
    /// `() -> 0`, or not 0 with an exception.
    pub check_signals: usize,
    /// `()`: takes the interpreter lock if the call runs without it; it then has it to its end.
    pub hold: usize,
    /// Raises `RecursionError`.
    pub recursion: usize,
    /// `(object)`: frees an object that nobody refers to.
    pub dealloc: usize,
    pub inc_ref: usize,
    pub dec_ref: usize,
    /// `(operator, in place, a, b) -> object`.
    pub binary: usize,
    /// `(operator, a) -> object`.
    pub unary: usize,
    /// `(operator, a, b) -> object`.
    pub compare: usize,
    /// `(container, item) -> 0, 1 or -1`.
    pub contains: usize,
    /// `(object) -> 0, 1 or -1`.
    pub is_true: usize,
    /// `(object) -> length or -1`.
    pub length: usize,
    pub get_item: usize,
    /// Offset of the first character of a `str` of ASCII, whose length is at 16 and whose kind is
    /// at 32; 0 if it is not known.
    pub text_ascii: i32,
    /// `(str, index) -> code point`; the index is within bounds.
    pub str_char: usize,
    /// `(str, code point) -> 0 or 1`: whether the character is in it.
    pub str_has: usize,
    /// `(str, str) -> str`: both, one behind the other; the first reference is used up.
    pub str_append: usize,
    /// `(parts: *const [u64; 5], n) -> str`: tag, word and bits of each value, its conversion and its
    /// format; a text has no tag.
    pub format: usize,
    /// `(code point) -> str`.
    pub make_char: usize,
    /// `(code point, test) -> 0 or 1`: the tests are in the order of `CHAR_TESTS`.
    pub char_is: usize,
    /// `(str, str) -> -1, 0 or 1`, as they compare.
    pub str_compare: usize,
    /// `(str) -> code point or -1`.
    pub str_ord: usize,
    /// `(object, key, value) -> 0 or -1`.
    pub set_item: usize,
    pub del_item: usize,
    /// `(globals, name) -> object`, or null, and no exception, if there is none of that name.
    pub get_global: usize,
    /// `(owner, globals, name, value) -> 0 or -1`.
    pub set_global: usize,
    /// `(object) -> 0 or 1`: whether patterns of sequences may match it.
    pub is_sequence: usize,
    pub get_attr: usize,
    pub set_attr: usize,
    /// `(function, args, n_args, names) -> object`.
    pub call: usize,
    /// `(name, args, n_args, names) -> object`, the first argument being the object.
    pub call_method: usize,
    /// `(site: *const MemberSite, name, args, n_args) -> object`: the same without names.
    pub call_at: usize,
    /// `(site, object, name) -> object`: an attribute.
    pub get_attr_at: usize,
    /// `(site, object, name, value) -> 0 or -1`.
    pub set_attr_at: usize,
    /// `(site, object, name) -> method`, or 1 if it is one that need not be looked up beforehand.
    pub look_up: usize,
    /// `(items, n) -> object`; all these borrow the items.
    pub make_list: usize,
    pub make_tuple: usize,
    pub make_dict: usize,
    pub make_set: usize,
    pub make_slice: usize,
    /// `(list, item) -> 0 or -1`.
    pub list_append: usize,
    /// `(n, tag) -> list`, of numbers side by side that are not set; 0 if there are none such.
    pub unboxed_new: usize,
    /// `(tag of keys, tag of values, is set) -> table`; 0 if there are none such.
    pub table_new: usize,
    /// `(table, key, key) -> place of the value`, or null; a key is two words.
    pub table_find: usize,
    /// The same, but a key that is not there is put there; null with an exception.
    pub table_place: usize,
    /// `(table, key, key, out) -> 1`, or 0 if there is no such key: deletes it.
    pub table_remove: usize,
    /// Raises what a loop raises over a dictionary that was changed.
    pub table_changed: usize,
    /// `(table) -> object`: a dictionary or a set of Python's.
    pub table_to_python: usize,
    /// `(list, n) -> list`: the list so many times.
    pub unboxed_repeat: usize,
    /// `(list, tag) -> list`: a copy of such a list or of Python's, or null if one of the elements
    /// has another tag or there is no memory; no exception is set.
    pub unboxed_copy: usize,
    /// `(start, stop, step) -> list` of a range.
    pub unboxed_range: usize,
    /// `(list) -> 0 or -1`: makes room for one more.
    pub unboxed_grow: usize,
    /// `(list, out) -> 1` if the sum of its integers fits.
    pub unboxed_sum: usize,
    /// `(list) -> object`: a list of Python's with the elements.
    pub unboxed_to_list: usize,
    /// `(object) -> iterator`.
    pub get_iter: usize,
    /// `(iterator, out: *mut i64) -> object`, or null; `out` is then 0 at the end, -1 on error.
    pub iter_next: usize,
    /// `(object, n, out: *mut object) -> 0 or -1`.
    pub unpack: usize,
    /// `(site: *const Site, object)`: notes what an object is of which nothing is known.
    pub note_seen: usize,
    /// `(base, exponent, out) -> 1` if the power fits.
    pub int_pow: usize,
    /// Functions of integers: `(a, b, c, out) -> 1` if there is a result and it fits.
    pub of_ints: HashMap<&'static str, usize>,
    pub float_floordiv: usize,
    pub float_mod: usize,
    /// `(expression: *const Whole, leaves: *const [tag, bits]) -> object`, or null, and no
    /// exception, if the expression is to be computed statement by statement.
    pub whole: usize,
    /// `(kernel, words, n, end, target) -> object`: a row of so many doubles, of which a kernel writes each,
    /// made into what a `RowEnd` says; or null, and no exception, if the plan has to do it. What is
    /// stored gives something else that is no reference. The bytes of `end` are the `RowEnd`, the number of
    /// dimensions, and the place of their sizes among the words.
    pub whole_row: usize,
    /// `(words, n, whether they are doubles) -> object`: an array of so many doubles or integers; or null,
    /// and no exception.
    pub array_of: usize,
    /// `(array, address, sizes and steps, number of dimensions) -> object`: a view of elements of an array;
    /// or null, and no exception. A size below zero means none.
    pub array_view: usize,
    /// Functions of arrays that may be part of such an expression, by their addresses.
    pub whole_functions: HashMap<usize, WholeFunction>,
    /// The inner loops of numpy's functions of floats, or of `float32`, and their data.
    pub ufunc_loops: HashMap<(&'static str, bool), [usize; 2]>,
    /// `(loop, data, arguments and result, number of arguments) -> 1` if no floating-point flag
    /// was raised. Each is at the start of a word.
    pub ufunc_once: usize,
    /// `(loop, data, room, shape)`: the same for several lanes, whose vectors lie in the room, the
    /// result as the third. The shape is the number of lanes, of arguments (`<< 8`), whether
    /// the second one has steps (`<< 16`), and which kind of lanes there are (`<< 24`, `UfuncLanes`).
    /// All lanes are `UFUNC_STOPPED`, or no number of `float32`, if a flag was raised.
    pub ufunc_lanes: usize,
    /// `(loop, data, shape, 0) -> 1` if that is to the bit what each lane alone would be.
    pub ufunc_agrees: usize,
    /// `(function, arguments and result, number of arguments, whether of float32) -> 0 or -1`.
    pub ufunc_call: usize,
    /// `(data, n, step, bits, is float) -> place`: where a number belongs in an array in order.
    pub search_sorted: usize,
    /// `(kernel, arguments, bytes of them, first row, end of rows) -> row that is next`: rows that
    /// do not depend on each other, on several threads.
    pub on_threads: usize,
    /// Functions of the C library.
    pub libm: HashMap<&'static str, usize>,
}

impl Runtime {
    /// Whether a function may be called without the interpreter lock: it touches no object, or takes
    /// the lock itself.
    pub(crate) fn is_quiet(&self, function: usize) -> bool {
        let own = [
            self.leave,
            self.leave_behind,
            self.fail,
            self.guards_hold,
            self.is_array,
            self.check_signals,
            self.hold,
            self.recursion,
            self.int_pow,
            self.float_floordiv,
            self.float_mod,
            self.ufunc_once,
            self.search_sorted,
        ];
        own.contains(&function)
            || self.libm.values().any(|&known| known == function)
            || self.of_ints.values().any(|&known| known == function)
    }
}

/// A number that is none: what lanes are where numpy has to be asked.
pub const UFUNC_STOPPED: u64 = 0x7ff8_6f70_636f_646f;

/// What is in the lanes of a vector that a loop of numpy's is run over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UfuncLanes {
    /// `float64`.
    Doubles,
    /// `float32`.
    Singles,
    /// `float32`, as the doubles of the same values.
    WideSingles,
}

/// What a call from Python carries along: limits of the stack.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Context {
    /// Native calls that may still be nested.
    pub depth: i64,
    /// The stack must not grow below.
    pub stack_limit: usize,
    /// What the last rare call returned.
    pub status: i64,
}
