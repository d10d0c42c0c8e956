//! What generated code calls.
//!
//! Each function has the meaning that `opcodon_pyfn::Runtime` gives to the field of its name. The
//! caller is generated code, which holds the interpreter lock and a reference to every object that
//! it passes.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use numpy::npyffi::PY_ARRAY_API;
use opcodon_pyfn::{
    ArrayCheck, ArrayTy, BOOL, CHAR, CHAR_TESTS, COMPLEX, Dtype, FLOAT, INT, NONE, NP_BOOL,
    NP_COMPLEX, NP_F32, NP_FLOAT, NP_I8, NP_INT, NP_U32, NP_U64, OBJECT, RANGE, Tags,
};
use pyo3::ffi::{self, Py_ssize_t, PyObject};
use pyo3::prelude::*;

use super::layout::known;
use super::lock;
use super::side::without_error;
use super::whole;

unsafe extern "C" {
    fn PyObject_VectorcallDict(
        function: *mut PyObject,
        args: *const *mut PyObject,
        n_args: usize,
        names: *mut PyObject,
    ) -> *mut PyObject;
    pub(super) fn PyObject_VectorcallMethod(
        name: *mut PyObject,
        args: *const *mut PyObject,
        n_args: usize,
        names: *mut PyObject,
    ) -> *mut PyObject;
}

/// CPython's `PyObject_Vectorcall`, which is one of its functions since 3.11; before, the same in terms
/// of what is.
pub(super) fn vectorcall() -> ffi::vectorcallfunc {
    static FOUND: OnceLock<ffi::vectorcallfunc> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let name = c"PyObject_Vectorcall".as_ptr();
        let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name) };
        if address.is_null() {
            return vectorcall_by_dict;
        }
        unsafe { std::mem::transmute::<*mut c_void, ffi::vectorcallfunc>(address) }
    })
}

unsafe extern "C" fn vectorcall_by_dict(
    function: *mut PyObject,
    args: *const *mut PyObject,
    n_args: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    unsafe {
        if names.is_null() {
            return PyObject_VectorcallDict(function, args, n_args, names);
        }
        let named = ffi::PyDict_New();
        if named.is_null() {
            return named;
        }
        let first = args.add(n_args & !(1 << (usize::BITS - 1)));
        for at in 0..ffi::PyTuple_Size(names) {
            let name = ffi::PyTuple_GetItem(names, at);
            if ffi::PyDict_SetItem(named, name, *first.offset(at)) < 0 {
                ffi::Py_DecRef(named);
                return std::ptr::null_mut();
            }
        }
        let result = PyObject_VectorcallDict(function, args, n_args, named);
        ffi::Py_DecRef(named);
        result
    }
}

/// Calls an object with positional arguments.
pub(super) unsafe fn call(function: *mut PyObject, args: &[*mut PyObject]) -> *mut PyObject {
    unsafe { vectorcall()(function, args.as_ptr(), args.len(), std::ptr::null_mut()) }
}

pub(super) fn type_of(object: *mut PyObject) -> usize {
    unsafe { object.cast::<usize>().add(1).read() }
}

pub(super) unsafe extern "C" fn box_value(tag: u64, word: i64, bits: u64) -> *mut PyObject {
    let layout = known();
    unsafe {
        match u8::try_from(tag).unwrap_or(0) {
            NONE => ffi::Py_NewRef(ffi::Py_None()),
            BOOL => ffi::PyBool_FromLong(word),
            INT => ffi::PyLong_FromLongLong(word),
            CHAR => make_char(word as u64),
            COMPLEX => ffi::PyComplex_FromDoubles(
                f64::from_bits(word.cast_unsigned()),
                f64::from_bits(bits),
            ),
            FLOAT => ffi::PyFloat_FromDouble(f64::from_bits(bits)),
            OBJECT => ffi::Py_NewRef(word as *mut PyObject),
            NP_COMPLEX => {
                let parts = [word.cast_unsigned(), bits];
                np_scalar(
                    parts.as_ptr().cast(),
                    layout.descrs[Dtype::Complex128 as usize],
                )
            }
            NP_BOOL => np_scalar((&raw const word).cast(), layout.descr_bool),
            NP_INT => np_scalar((&raw const word).cast(), layout.descr_int),
            NP_FLOAT => np_scalar((&raw const bits).cast(), layout.descr_float),
            NP_F32 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "the double is of that size"
                )]
                let single = f64::from_bits(bits) as f32;
                np_scalar(
                    (&raw const single).cast(),
                    layout.descrs[Dtype::Float32 as usize],
                )
            }
            RANGE => range(word as *const i64),
            // The low bytes come first.
            tag @ (NP_I8..=NP_U32 | NP_U64) => match Dtype::of_tag(tag) {
                Some(dtype) => np_scalar((&raw const word).cast(), layout.descrs[dtype as usize]),
                None => ffi::Py_NewRef(ffi::Py_None()),
            },
            _ => ffi::Py_NewRef(ffi::Py_None()),
        }
    }
}

unsafe fn np_scalar(data: *const u8, descr: *mut PyObject) -> *mut PyObject {
    unsafe {
        let py = Python::assume_attached();
        PY_ARRAY_API.PyArray_Scalar(
            py,
            data.cast_mut().cast(),
            descr.cast(),
            std::ptr::null_mut(),
        )
    }
}

/// A range of three words.
pub(super) unsafe fn range(words: *const i64) -> *mut PyObject {
    unsafe {
        let args = [0, 1, 2].map(|at| ffi::PyLong_FromLongLong(*words.add(at)));
        if args.iter().any(|arg| arg.is_null()) {
            args.into_iter().for_each(|arg| ffi::Py_DecRef(arg));
            return std::ptr::null_mut();
        }
        let range = call((&raw mut ffi::PyRange_Type).cast(), &args);
        args.into_iter().for_each(|arg| ffi::Py_DecRef(arg));
        range
    }
}

pub(super) unsafe extern "C" fn unbox(object: *mut PyObject, tags: u64, out: *mut u64) -> u64 {
    let tags = Tags(u32::try_from(tags).unwrap_or(0));
    if tags.has(COMPLEX) && type_of(object) == known().runtime.complex_type {
        unsafe {
            *out = ffi::PyComplex_RealAsDouble(object).to_bits();
            *out.add(1) = ffi::PyComplex_ImagAsDouble(object).to_bits();
        }
        return u64::from(COMPLEX);
    }
    if tags.has(NP_COMPLEX) && type_of(object) == known().np_complex_type {
        // numpy's scalars have their value behind the head.
        unsafe {
            let parts = object.cast::<u64>().add(2);
            *out = parts.read();
            *out.add(1) = parts.add(1).read();
        }
        return u64::from(NP_COMPLEX);
    }
    if tags.has(CHAR) && type_of(object) == known().runtime.str_type {
        unsafe {
            if ffi::PyUnicode_GetLength(object) == 1 {
                *out = u64::from(ffi::PyUnicode_ReadChar(object, 0));
                return u64::from(CHAR);
            }
        }
    }
    let Some((tag, bits)) = value_of(object) else {
        return 0;
    };
    if !tags.has(tag) {
        return 0;
    }
    unsafe {
        *out = bits;
        *out.add(1) = bits;
    }
    u64::from(tag)
}

/// The tag and the bits of a number, a truth value or `None`.
#[inline]
pub(super) fn value_of(object: *mut PyObject) -> Option<(u8, u64)> {
    let layout = known();
    let runtime = &layout.runtime;
    let type_ = type_of(object);
    unsafe {
        let field = object.cast::<u64>().add(2);
        if type_ == runtime.float_type {
            let bits = if runtime.ob_fval == 0 {
                ffi::PyFloat_AsDouble(object).to_bits()
            } else {
                field.read()
            };
            return Some((FLOAT, bits));
        }
        if type_ == runtime.long_type {
            if runtime.digits30 {
                let size = field.read() as i64;
                if (-1..=1).contains(&size) {
                    let digit = field.add(1).cast::<u32>().read();
                    return Some((INT, (i64::from(digit) * size) as u64));
                }
            }
            let mut overflow: c_int = 0;
            let value = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
            return (overflow == 0).then_some((INT, value as u64));
        }
        if object as usize == runtime.none {
            return Some((NONE, 0));
        }
        if object as usize == runtime.true_ {
            return Some((BOOL, 1));
        }
        if object as usize == runtime.false_ {
            return Some((BOOL, 0));
        }
        // numpy's scalars have their value behind the head.
        if type_ == runtime.np_float_type {
            return Some((NP_FLOAT, field.read()));
        }
        if type_ == runtime.np_int_type {
            return Some((NP_INT, field.read()));
        }
        if type_ == layout.np_bool_type {
            return Some((NP_BOOL, u64::from(field.cast::<u8>().read() != 0)));
        }
        let narrow = layout.narrow_types.iter();
        let dtype = narrow.clone().find(|(known, _)| *known == type_)?.1;
        let word = match dtype {
            Dtype::Int8 => i64::from(field.cast::<i8>().read()),
            Dtype::Int16 => i64::from(field.cast::<i16>().read()),
            Dtype::Int32 => i64::from(field.cast::<i32>().read()),
            Dtype::UInt8 => i64::from(field.cast::<u8>().read()),
            Dtype::UInt16 => i64::from(field.cast::<u16>().read()),
            Dtype::UInt32 => i64::from(field.cast::<u32>().read()),
            Dtype::UInt64 => return Some((NP_U64, field.read())),
            _ => {
                let bits = f64::from(field.cast::<f32>().read()).to_bits();
                return Some((NP_F32, bits));
            }
        };
        dtype.tag().map(|tag| (tag, word as u64))
    }
}

/// What an array is, if it is one that native code can work on.
pub(super) fn array_of(object: *mut PyObject) -> Option<ArrayTy> {
    if type_of(object) != known().runtime.ndarray_type {
        return None;
    }
    // numpy's own stable interface: PyArrayObject_fields, PyArray_Descr.
    unsafe {
        let bytes = object.cast::<u8>();
        let ndim = bytes.add(24).cast::<c_int>().read();
        let descr = bytes.add(56).cast::<*const u8>().read();
        let flags = bytes.add(64).cast::<c_int>().read();
        let order = descr.add(26).read();
        let number = descr.add(28).cast::<c_int>().read();
        let dtype = match number {
            0 => Dtype::Bool,
            1 => Dtype::Int8,
            2 => Dtype::UInt8,
            3 => Dtype::Int16,
            4 => Dtype::UInt16,
            5 => Dtype::Int32,
            6 => Dtype::UInt32,
            7 => Dtype::Int64,
            8 => Dtype::UInt64,
            11 => Dtype::Float32,
            12 => Dtype::Float64,
            15 => Dtype::Complex128,
            _ => return None,
        };
        let (c_contiguous, aligned, writable) = (0x1, 0x100, 0x400);
        if flags & aligned == 0 || order == b'>' {
            return None;
        }
        let ndim = usize::try_from(ndim).ok().filter(|&ndim| ndim <= 8)?;
        // Inference counts on sizes that leave room for sums of indices.
        let sizes = bytes.add(32).cast::<*const i64>().read();
        if (0..ndim).any(|at| sizes.add(at).read() >= 1 << 56) {
            return None;
        }
        Some(ArrayTy {
            dtype,
            ndim,
            contiguous: flags & c_contiguous != 0,
            writable: flags & writable != 0,
        })
    }
}

pub(super) unsafe extern "C" fn is_array(object: *mut PyObject, check: *const ArrayCheck) -> u64 {
    let wanted = unsafe { (*check).0 };
    let fits = array_of(object).is_some_and(|found| {
        found.dtype == wanted.dtype
            && found.ndim == wanted.ndim
            && (found.contiguous || !wanted.contiguous)
            && (found.writable || !wanted.writable)
    });
    u64::from(fits)
}

pub(super) unsafe extern "C" fn str_char(text: *mut PyObject, index: Py_ssize_t) -> i64 {
    i64::from(unsafe { ffi::PyUnicode_ReadChar(text, index) })
}

pub(super) unsafe extern "C" fn str_has(text: *mut PyObject, code: u64) -> u64 {
    let code = u32::try_from(code).unwrap_or(u32::MAX);
    let end = Py_ssize_t::MAX;
    u64::from(unsafe { ffi::PyUnicode_FindChar(text, code, 0, end, 1) } >= 0)
}

pub(super) unsafe extern "C" fn make_char(code: u64) -> *mut PyObject {
    unsafe { ffi::PyUnicode_FromOrdinal(c_int::try_from(code).unwrap_or(-1)) }
}

pub(super) unsafe extern "C" fn char_is(code: u64, test: u64) -> u64 {
    let test = usize::try_from(test).unwrap_or(0);
    if let Ok(byte) = u8::try_from(code)
        && byte.is_ascii()
    {
        return u64::from(match test {
            0 => byte.is_ascii_alphabetic(),
            1 => byte.is_ascii_digit(),
            2 => byte.is_ascii_alphanumeric(),
            // Python counts the separators 28 to 31, too.
            3 => matches!(byte, b'\t'..=b'\r' | 28..=32),
            4 => byte.is_ascii_uppercase(),
            _ => byte.is_ascii_lowercase(),
        });
    }
    let py = unsafe { Python::assume_attached() };
    let text = unsafe { Bound::from_owned_ptr_or_opt(py, make_char(code)) };
    let truth = text.and_then(|text| without_error(py, text.call_method0(CHAR_TESTS[test])));
    u64::from(truth.is_some_and(|truth| truth.is_truthy().unwrap_or(false)))
}

/// Grows a text in place, if nobody else refers to it; the reference is used up unless it fails.
pub(super) unsafe extern "C" fn str_append(
    text: *mut PyObject,
    more: *mut PyObject,
) -> *mut PyObject {
    /// Characters beyond which memory is asked for before the text may be lost for want of it.
    const LARGE: Py_ssize_t = 1 << 16;
    unsafe {
        let size = ffi::PyUnicode_GetLength(text) + ffi::PyUnicode_GetLength(more);
        if size > LARGE {
            let probe = ffi::PyMem_Malloc(4 * size.cast_unsigned());
            if probe.is_null() {
                return ffi::PyErr_NoMemory();
            }
            ffi::PyMem_Free(probe);
        }
        let mut grown = text;
        ffi::PyUnicode_Append(&raw mut grown, more);
        grown
    }
}

pub(super) unsafe extern "C" fn str_compare(a: *mut PyObject, b: *mut PyObject) -> i64 {
    if a == b {
        return 0;
    }
    i64::from(unsafe { ffi::PyUnicode_Compare(a, b) })
}

pub(super) unsafe extern "C" fn str_ord(text: *mut PyObject) -> i64 {
    unsafe {
        let n_chars = ffi::PyUnicode_GetLength(text);
        if n_chars == 1 {
            return i64::from(ffi::PyUnicode_ReadChar(text, 0));
        }
        let message = format!("ord() expected a character, but string of length {n_chars} found\0");
        ffi::PyErr_SetString(ffi::PyExc_TypeError, message.as_ptr().cast());
        -1
    }
}

/// Also lets other threads run, as often as Python itself does; without the lock they run anyway.
pub(super) unsafe extern "C" fn check_signals() -> i64 {
    const INTERVAL: Duration = Duration::from_millis(5);
    const PATIENCE: Duration = Duration::from_millis(20);
    thread_local! {
        static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let now = Instant::now();
    if lock::is_released() {
        // To take the lock for each look would have threads wait for one another.
        if LAST.get().is_some_and(|last| now - last < PATIENCE) {
            return 0;
        }
        LAST.set(Some(now));
        return unsafe { lock::with(|| i64::from(ffi::PyErr_CheckSignals())) };
    }
    if LAST.get().is_none_or(|last| now - last > INTERVAL) {
        LAST.set(Some(now));
        unsafe { ffi::PyEval_RestoreThread(ffi::PyEval_SaveThread()) };
    }
    i64::from(unsafe { ffi::PyErr_CheckSignals() })
}

pub(super) unsafe extern "C" fn recursion() {
    unsafe {
        lock::hold();
        ffi::PyErr_SetString(
            ffi::PyExc_RecursionError,
            c"maximum recursion depth exceeded".as_ptr(),
        );
    }
}

/// The place of `@` among the operators.
const MATMUL: u64 = 12;

type Binary = unsafe extern "C" fn(*mut PyObject, *mut PyObject) -> *mut PyObject;

pub(super) unsafe extern "C" fn binary(
    op: u64,
    in_place: u64,
    a: *mut PyObject,
    b: *mut PyObject,
) -> *mut PyObject {
    const PLAIN: [Option<Binary>; 13] = [
        Some(ffi::PyNumber_Add),
        Some(ffi::PyNumber_Subtract),
        Some(ffi::PyNumber_Multiply),
        Some(ffi::PyNumber_TrueDivide),
        Some(ffi::PyNumber_FloorDivide),
        Some(ffi::PyNumber_Remainder),
        None,
        Some(ffi::PyNumber_Lshift),
        Some(ffi::PyNumber_Rshift),
        Some(ffi::PyNumber_And),
        Some(ffi::PyNumber_Or),
        Some(ffi::PyNumber_Xor),
        Some(ffi::PyNumber_MatrixMultiply),
    ];
    const IN_PLACE: [Option<Binary>; 13] = [
        Some(ffi::PyNumber_InPlaceAdd),
        Some(ffi::PyNumber_InPlaceSubtract),
        Some(ffi::PyNumber_InPlaceMultiply),
        Some(ffi::PyNumber_InPlaceTrueDivide),
        Some(ffi::PyNumber_InPlaceFloorDivide),
        Some(ffi::PyNumber_InPlaceRemainder),
        None,
        Some(ffi::PyNumber_InPlaceLshift),
        Some(ffi::PyNumber_InPlaceRshift),
        Some(ffi::PyNumber_InPlaceAnd),
        Some(ffi::PyNumber_InPlaceOr),
        Some(ffi::PyNumber_InPlaceXor),
        Some(ffi::PyNumber_InPlaceMatrixMultiply),
    ];
    if (op, in_place) == (MATMUL, 0)
        && let Some(made) = whole::product(a, b)
    {
        return made;
    }
    let table = if in_place == 0 { &PLAIN } else { &IN_PLACE };
    let function = usize::try_from(op).ok().and_then(|op| table.get(op));
    unsafe {
        match (function, in_place) {
            (Some(Some(function)), _) => function(a, b),
            (_, 0) => ffi::PyNumber_Power(a, b, ffi::Py_None()),
            _ => ffi::PyNumber_InPlacePower(a, b, ffi::Py_None()),
        }
    }
}

pub(super) unsafe extern "C" fn unary(op: u64, a: *mut PyObject) -> *mut PyObject {
    unsafe {
        match op {
            0 => ffi::PyNumber_Negative(a),
            1 => ffi::PyNumber_Positive(a),
            _ => ffi::PyNumber_Invert(a),
        }
    }
}

pub(super) unsafe extern "C" fn compare(
    op: u64,
    a: *mut PyObject,
    b: *mut PyObject,
) -> *mut PyObject {
    unsafe { ffi::PyObject_RichCompare(a, b, c_int::try_from(op).unwrap_or(0)) }
}

pub(super) unsafe extern "C" fn contains(container: *mut PyObject, item: *mut PyObject) -> i64 {
    i64::from(unsafe { ffi::PySequence_Contains(container, item) })
}

pub(super) unsafe extern "C" fn is_true(object: *mut PyObject) -> i64 {
    i64::from(unsafe { ffi::PyObject_IsTrue(object) })
}

/// What the type of a sequence has among its flags, if patterns of sequences may match it.
const SEQUENCE: std::ffi::c_ulong = 1 << 5;

pub(super) unsafe extern "C" fn is_sequence(object: *mut PyObject) -> i64 {
    let flags = unsafe { ffi::PyType_GetFlags(ffi::Py_TYPE(object)) };
    i64::from(flags & SEQUENCE != 0)
}

pub(super) unsafe extern "C" fn set_item(
    of: *mut PyObject,
    key: *mut PyObject,
    value: *mut PyObject,
) -> i64 {
    i64::from(unsafe { ffi::PyObject_SetItem(of, key, value) })
}

pub(super) unsafe extern "C" fn del_item(of: *mut PyObject, key: *mut PyObject) -> i64 {
    i64::from(unsafe { ffi::PyObject_DelItem(of, key) })
}

pub(super) unsafe extern "C" fn set_attr(
    of: *mut PyObject,
    name: *mut PyObject,
    value: *mut PyObject,
) -> i64 {
    i64::from(unsafe { ffi::PyObject_SetAttr(of, name, value) })
}

fn size(n: i64) -> Py_ssize_t {
    Py_ssize_t::try_from(n).unwrap_or(0)
}

/// Puts items with a reference each into a sequence that has just been made.
unsafe fn fill(to: *mut *mut PyObject, items: *const *mut PyObject, n: i64) {
    let is_plain = known().runtime.plain_refcounts;
    for at in 0..size(n) {
        unsafe {
            let item = items.offset(at).read();
            if is_plain {
                *item.cast::<isize>() += 1;
            } else {
                ffi::Py_IncRef(item);
            }
            to.offset(at).write(item);
        }
    }
}

pub(super) unsafe extern "C" fn make_list(items: *const *mut PyObject, n: i64) -> *mut PyObject {
    unsafe {
        let list = ffi::PyList_New(size(n));
        let at = known().runtime.ob_item;
        if !list.is_null() && at != 0 && n > 0 {
            fill(*list.byte_offset(at as isize).cast(), items, n);
        } else if !list.is_null() {
            for at in 0..size(n) {
                let item = ffi::Py_NewRef(items.offset(at).read());
                ffi::PyList_SetItem(list, at, item);
            }
        }
        list
    }
}

pub(super) unsafe extern "C" fn make_tuple(items: *const *mut PyObject, n: i64) -> *mut PyObject {
    unsafe {
        let tuple = ffi::PyTuple_New(size(n));
        let at = known().runtime.tuple_item;
        if !tuple.is_null() && at != 0 && n > 0 {
            fill(tuple.byte_offset(at as isize).cast(), items, n);
        } else if !tuple.is_null() {
            for at in 0..size(n) {
                let item = ffi::Py_NewRef(items.offset(at).read());
                ffi::PyTuple_SetItem(tuple, at, item);
            }
        }
        tuple
    }
}

pub(super) unsafe extern "C" fn make_dict(items: *const *mut PyObject, n: i64) -> *mut PyObject {
    unsafe {
        let dict = ffi::PyDict_New();
        for at in (0..size(n)).step_by(2) {
            let (key, value) = (items.offset(at).read(), items.offset(at + 1).read());
            if dict.is_null() || ffi::PyDict_SetItem(dict, key, value) < 0 {
                ffi::Py_DecRef(dict);
                return std::ptr::null_mut();
            }
        }
        dict
    }
}

pub(super) unsafe extern "C" fn make_set(items: *const *mut PyObject, n: i64) -> *mut PyObject {
    unsafe {
        let set = ffi::PySet_New(std::ptr::null_mut());
        for at in 0..size(n) {
            if set.is_null() || ffi::PySet_Add(set, items.offset(at).read()) < 0 {
                ffi::Py_DecRef(set);
                return std::ptr::null_mut();
            }
        }
        set
    }
}

pub(super) unsafe extern "C" fn make_slice(parts: *const *mut PyObject) -> *mut PyObject {
    unsafe { ffi::PySlice_New(parts.read(), parts.add(1).read(), parts.add(2).read()) }
}

pub(super) unsafe extern "C" fn list_append(list: *mut PyObject, item: *mut PyObject) -> i64 {
    i64::from(unsafe { ffi::PyList_Append(list, item) })
}

pub(super) unsafe extern "C" fn iter_next(iterator: *mut PyObject, out: *mut i64) -> *mut PyObject {
    unsafe {
        let item = ffi::PyIter_Next(iterator);
        if item.is_null() {
            *out = if ffi::PyErr_Occurred().is_null() {
                0
            } else {
                -1
            };
        }
        item
    }
}

pub(super) unsafe extern "C" fn unpack(
    object: *mut PyObject,
    n: i64,
    out: *mut *mut PyObject,
) -> i64 {
    unsafe {
        let type_ = type_of(object);
        let is_tuple = type_ == known().runtime.tuple_type;
        let is_list = type_ == known().runtime.list_type;
        let found = match (is_tuple, is_list) {
            (true, _) => ffi::PyTuple_Size(object),
            (_, true) => ffi::PyList_Size(object),
            _ => -1,
        };
        if found != size(n) {
            return -1;
        }
        for at in 0..found {
            let item = if is_tuple {
                ffi::PyTuple_GetItem(object, at)
            } else {
                ffi::PyList_GetItem(object, at)
            };
            out.offset(at).write(ffi::Py_NewRef(item));
        }
        0
    }
}

pub(super) unsafe extern "C" fn int_pow(base: i64, exponent: i64, out: *mut i64) -> u64 {
    let power = u32::try_from(exponent)
        .ok()
        .and_then(|exponent| base.checked_pow(exponent));
    match power {
        Some(power) => {
            unsafe { *out = power };
            1
        }
        None => 0,
    }
}

/// Python's `%` of floats; the divisor is not zero.
pub(super) unsafe extern "C" fn float_mod(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest == 0.0 {
        0f64.copysign(b)
    } else if (b < 0.0) != (rest < 0.0) {
        rest + b
    } else {
        rest
    }
}

/// Python's `//` of floats; the divisor is not zero.
pub(super) unsafe extern "C" fn float_floordiv(a: f64, b: f64) -> f64 {
    let rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest != 0.0 && (b < 0.0) != (rest < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0f64.copysign(a / b);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    }
}
