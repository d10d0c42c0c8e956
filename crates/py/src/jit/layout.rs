//! Where this interpreter's objects have their fields.
//!
//! The stable ABI names functions, not offsets. The offsets used here have been the same for years
//! but are not promised, so each is looked for in objects whose content is known, once, before
//! anything relies on it; what does not look as expected is done through functions instead.

use std::collections::HashMap;
use std::ffi::c_void;
use std::rc::Rc;

use opcodon_pyfn::{ARRAY_FUNCTIONS, Dtype, LIBM, Runtime, SCALAR_UFUNCS, Tags};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::class_layout::ClassLayout;
use super::{
    calls, catch, classes, function, globals, integers, leave, lock, members, scalars, seen, table,
    texts, threads, unboxed, whole,
};

/// What is known of the interpreter and of numpy.
pub(super) struct Layout {
    pub(super) runtime: Rc<Runtime>,
    /// Functions known by name, by their addresses.
    pub(super) names: HashMap<usize, String>,
    /// Keeps the named functions alive.
    _kept: Vec<Py<PyAny>>,
    /// Where classes and their instances have their fields.
    pub(super) classes: ClassLayout,
    /// How `object` makes an instance.
    pub(super) object_new: ffi::newfunc,
    pub(super) no_args: Py<PyAny>,
    /// Where a function has the tuple of its defaults; 0 if that is not known.
    pub(super) defaults_at: usize,
    /// Where a string keeps its hash, or -1; 0 if that is not known.
    pub(super) text_hash: usize,
    /// Where a cell has what is in it; 0 if that is not known.
    pub(super) cell_contents: usize,
    /// Whether dictionaries have a number that changes with them.
    pub(super) dict_versions: bool,
    /// Whether it is known where methods have their C functions.
    pub(super) methods_are_known: bool,
    pub(super) np_bool_type: usize,
    pub(super) np_complex_type: usize,
    /// The types of scalars of less than 64 bits, and of `uint64`.
    pub(super) narrow_types: Vec<(usize, Dtype)>,
    /// The descriptions of all dtypes, in their order.
    pub(super) descrs: Vec<*mut ffi::PyObject>,
    pub(super) descr_float: *mut ffi::PyObject,
    pub(super) descr_int: *mut ffi::PyObject,
    pub(super) descr_bool: *mut ffi::PyObject,
}

impl Layout {
    /// Whether classes have a number that changes with them.
    pub(super) fn has_class_versions(&self) -> bool {
        self.runtime.type_version != 0
    }
}

static mut LAYOUT: Option<Layout> = None;

/// The layout, looked at on first use.
pub(super) fn layout(py: Python<'_>) -> PyResult<&'static Layout> {
    #[expect(static_mut_refs, reason = "exclusive under the interpreter lock")]
    unsafe {
        if LAYOUT.is_none() {
            let found = look(py)?;
            LAYOUT = Some(found);
        }
        Ok(LAYOUT.as_ref().expect("it was just filled"))
    }
}

/// The layout, where generated code runs already.
pub(super) fn known() -> &'static Layout {
    #[expect(
        static_mut_refs,
        reason = "written once, before any code was generated"
    )]
    unsafe {
        LAYOUT.as_ref().expect("code runs")
    }
}

const BUILTINS: &[&str] = &[
    "abs",
    "min",
    "max",
    "len",
    "int",
    "float",
    "bool",
    "round",
    "divmod",
    "pow",
    "range",
    "ord",
    "chr",
    "str",
    "hex",
    "bin",
    "repr",
    "isinstance",
    "issubclass",
    "callable",
    "hasattr",
    "any",
    "all",
    "sum",
    "sorted",
    "list",
    "dict",
    "enumerate",
    "zip",
    "set",
];

const NUMPY: &[&str] = &[
    "zeros",
    "ones",
    "empty",
    "full",
    "zeros_like",
    "ones_like",
    "empty_like",
    "copy",
    "arange",
    "linspace",
    "complex128",
    "float64",
    "float32",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint64",
    "uint32",
    "uint16",
    "uint8",
    "bool_",
];

unsafe extern "C" {
    fn _Py_Dealloc(object: *mut ffi::PyObject);
    fn dlsym(handle: *mut c_void, name: *const std::ffi::c_char) -> *mut c_void;
    fn sin(x: f64) -> f64;
    fn erf(x: f64) -> f64;
    fn erfc(x: f64) -> f64;
    fn cos(x: f64) -> f64;
    fn tan(x: f64) -> f64;
    fn asin(x: f64) -> f64;
    fn acos(x: f64) -> f64;
    fn atan(x: f64) -> f64;
    fn sinh(x: f64) -> f64;
    fn cosh(x: f64) -> f64;
    fn tanh(x: f64) -> f64;
    fn asinh(x: f64) -> f64;
    fn acosh(x: f64) -> f64;
    fn atanh(x: f64) -> f64;
    fn exp(x: f64) -> f64;
    fn exp2(x: f64) -> f64;
    fn expm1(x: f64) -> f64;
    fn log(x: f64) -> f64;
    fn log2(x: f64) -> f64;
    fn log10(x: f64) -> f64;
    fn log1p(x: f64) -> f64;
    fn cbrt(x: f64) -> f64;
    fn pow(x: f64, y: f64) -> f64;
    fn atan2(x: f64, y: f64) -> f64;
    fn fmod(x: f64, y: f64) -> f64;
    fn hypot(x: f64, y: f64) -> f64;
}

fn word(object: *mut ffi::PyObject, at: usize) -> u64 {
    unsafe { object.cast::<u8>().add(at).cast::<u64>().read_unaligned() }
}

fn floats_are_known(py: Python<'_>) -> bool {
    [0.5, -0.0, f64::MAX, 5e-324].into_iter().all(|value: f64| {
        let float = pyo3::types::PyFloat::new(py, value);
        word(float.as_ptr(), 16) == value.to_bits()
    })
}

fn lists_are_known(py: Python<'_>) -> PyResult<bool> {
    let items = (0..5).map(|value| pyo3::types::PyFloat::new(py, f64::from(value)));
    let items = items.collect::<Vec<_>>();
    let list = pyo3::types::PyList::new(py, &items)?;
    if word(list.as_ptr(), 16) != 5 {
        return Ok(false);
    }
    let first = word(list.as_ptr(), 24) as *const *mut ffi::PyObject;
    Ok(items
        .iter()
        .enumerate()
        .all(|(at, item)| unsafe { first.add(at).read() } == item.as_ptr()))
}

/// Where the first item of a tuple is, whose number is at 16; 0 if it is not known.
fn tuple_offset(py: Python<'_>) -> PyResult<i32> {
    let items = (0..3).map(|value| pyo3::types::PyFloat::new(py, f64::from(value)));
    let items = items.collect::<Vec<_>>();
    let tuple = PyTuple::new(py, &items)?;
    let lie_at = |first: usize| {
        let mut places = items.iter().enumerate();
        places.all(|(at, item)| word(tuple.as_ptr(), first + 8 * at) == item.as_ptr() as u64)
    };
    Ok(if word(tuple.as_ptr(), 16) == 3 && lie_at(24) {
        24
    } else {
        0
    })
}

/// Bytes: their number, a hash, then the bytes.
fn bytes_are_known(py: Python<'_>) -> bool {
    let bytes = pyo3::types::PyBytes::new(py, b"opcodon!opcodon?");
    let object = bytes.as_ptr();
    let words = [b"opcodon!", b"opcodon?"].map(|word| u64::from_ne_bytes(*word));
    word(object, 16) == 16 && word(object, 32) == words[0] && word(object, 40) == words[1]
}

/// Whether complex numbers are two doubles behind the head, and real operands of their arithmetic
/// become complex first, which is so before 3.14.
fn complexes_are_known(py: Python<'_>) -> bool {
    let version = py.version_info();
    let parts = [(0.5, -0.0), (-3.0, f64::MAX), (f64::INFINITY, 5e-324)];
    let lie_there = parts.into_iter().all(|(re, im)| {
        let object = pyo3::types::PyComplex::from_doubles(py, re, im);
        let object = object.as_ptr();
        word(object, 16) == re.to_bits() && word(object, 24) == im.to_bits()
    });
    lie_there && (version.major, version.minor) < (3, 14)
}

/// Where the characters of a string of ASCII are; 0 if strings do not look as expected.
fn ascii_offset(py: Python<'_>) -> i32 {
    let is_ascii = |text: &Bound<'_, PyString>| word(text.as_ptr(), 32) & 0x60 == 0x60;
    let text = PyString::new(py, "opcodon!opcodon?");
    let words = [b"opcodon!", b"opcodon?"].map(|word| u64::from_ne_bytes(*word));
    let others = ["\u{e9}t\u{e9}", "\u{20ac}uro", "\u{1f40d}"];
    let differ = others
        .iter()
        .all(|other| !is_ascii(&PyString::new(py, other)));
    if !is_ascii(&text) || !differ || word(text.as_ptr(), 16) != 16 {
        return 0;
    }
    let lies_at = |at: &usize| [0, 1].map(|k| word(text.as_ptr(), at + 8 * k)) == words;
    let at = [40, 48].into_iter().find(lies_at);
    at.and_then(|at| i32::try_from(at).ok()).unwrap_or(0)
}

/// Whether strings keep their hashes between their length and their kind.
fn text_hashes_are_known(py: Python<'_>) -> PyResult<bool> {
    for part in ["ascii", "\u{e9}t\u{e9}", "\u{20ac}uro", "\u{1f40d}"] {
        let text = PyString::new(py, &format!("{part} of opcodon"));
        if word(text.as_ptr(), 24) != u64::MAX {
            return Ok(false);
        }
        let hash = text.hash()?;
        if word(text.as_ptr(), 24) != hash.cast_unsigned() as u64 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Integers before 3.12: a signed number of digits of 30 bits, then the digits.
fn ints_are_known(py: Python<'_>) -> PyResult<bool> {
    for (value, size, digit) in [
        (0i64, 0i64, None),
        (1, 1, Some(1u64)),
        (-1, -1, Some(1)),
        ((1 << 30) - 1, 1, Some((1 << 30) - 1)),
        (-((1 << 30) - 1), -1, Some((1 << 30) - 1)),
        (1 << 30, 2, None),
        (-(1 << 30), -2, None),
        (12_345_678, 1, Some(12_345_678)),
    ] {
        let int = value.into_pyobject(py)?;
        let found = word(int.as_ptr(), 16) as i64;
        if found != size {
            return Ok(false);
        }
        let low = word(int.as_ptr(), 24) & 0xffff_ffff;
        if digit.is_some_and(|digit| digit != low) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Before 3.12 a reference count is a plain word in front; objects that never die came then.
fn refcounts_are_known(py: Python<'_>) -> bool {
    let version = py.version_info();
    if (version.major, version.minor) >= (3, 12) {
        return false;
    }
    let object = PyDict::new(py);
    let before = word(object.as_ptr(), 0);
    let another = object.clone();
    let after = word(object.as_ptr(), 0);
    drop(another);
    before == 1 && after == 2 && word(object.as_ptr(), 0) == 1
}

/// Where a cell has what is in it; 0 if that is not found.
fn cell_offset(py: Python<'_>) -> PyResult<usize> {
    const AT: usize = 16;
    let cell = py.import("types")?.getattr("CellType")?.call0()?;
    let is_empty = word(cell.as_ptr(), AT) == 0;
    let object = PyList::empty(py);
    cell.setattr("cell_contents", &object)?;
    let is_found = word(cell.as_ptr(), AT) == object.as_ptr() as u64;
    Ok(if is_empty && is_found { AT } else { 0 })
}

/// Whether the word behind a dictionary's size changes whenever it is written, and only then.
fn dict_versions_are_known(py: Python<'_>) -> PyResult<bool> {
    let dict = PyDict::new(py);
    let version = || word(dict.as_ptr(), 24);
    let mut last = version();
    let mut changed = || {
        let now = version();
        let differs = now != last;
        last = now;
        differs
    };
    let mut fine = true;
    dict.set_item("a", 1000)?;
    fine &= changed();
    dict.set_item("b", 2000)?;
    fine &= changed();
    let _ = dict.get_item("a")?;
    fine &= !changed();
    dict.set_item("a", 3000)?;
    fine &= changed();
    dict.set_item("a", 4000)?;
    fine &= changed();
    let _ = dict.contains("x")?;
    fine &= !changed();
    dict.del_item("b")?;
    fine &= changed();
    dict.clear();
    fine &= changed();
    Ok(fine)
}

/// Where a function has the tuple of its defaults; 0 if that is not found.
fn defaults_offset(py: Python<'_>) -> PyResult<usize> {
    let function = py.eval(c"lambda a, b=1, c=2: a", None, None)?;
    let size = function
        .get_type()
        .getattr("__basicsize__")?
        .extract::<usize>()?;
    let first = function.getattr("__defaults__")?;
    let holds = |at: &usize, tuple: &Bound<'_, PyAny>| {
        word(function.as_ptr(), *at) == tuple.as_ptr() as u64
    };
    let places = (2..size / 8).map(|at| 8 * at);
    let places = places.filter(|at| holds(at, &first)).collect::<Vec<_>>();
    let second = PyTuple::new(py, [3, 4])?.into_any();
    function.setattr("__defaults__", &second)?;
    Ok(match places.as_slice() {
        [at] if holds(at, &second) => *at,
        _ => 0,
    })
}

/// The C library's functions, as far as they are those that `math` calls: what is linked here may be
/// another one of the name.
fn libm(math: &Bound<'_, PyModule>) -> PyResult<HashMap<&'static str, usize>> {
    macro_rules! addresses {
        ($($name:ident),*) => { HashMap::from([$((stringify!($name), $name as *const () as usize)),*]) };
    }
    let mut found = addresses!(
        sin, cos, tan, asin, acos, atan, sinh, cosh, tanh, asinh, acosh, atanh, exp, exp2, expm1,
        log, log2, log10, log1p, cbrt, erf, erfc, pow, atan2, fmod, hypot
    );
    // Rust brings a `cbrt` of its own.
    if let Some(address) = found.get_mut("cbrt") {
        // SAFETY: the name ends in a zero, and no handle stands for all that is loaded.
        let symbol = unsafe { dlsym(std::ptr::null_mut(), c"cbrt".as_ptr()) };
        if !symbol.is_null() {
            *address = symbol as usize;
        }
    }
    for name in LIBM {
        let Some(&address) = found.get(name) else {
            continue;
        };
        let Ok(function) = math.getattr(name) else {
            continue;
        };
        // SAFETY: all functions of this table are from a number to a number.
        let linked =
            unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(f64) -> f64>(address) };
        let mut x = 0.001_f64;
        while x < 1e3 {
            for x in [x, -x] {
                // What raises here is not computed by machine code either.
                if let Ok(theirs) = function.call1((x,))
                    // SAFETY: as above.
                    && theirs.extract::<f64>()?.to_bits() != unsafe { linked(x) }.to_bits()
                {
                    found.remove(name);
                }
            }
            x *= 1.37;
        }
    }
    Ok(found)
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn look(py: Python<'_>) -> PyResult<Layout> {
    let builtins = py.import("builtins")?;
    let math = py.import("math")?;
    let numpy = py.import("numpy")?;
    let mut names = HashMap::new();
    let mut kept = Vec::new();
    let mut know = |object: Bound<'_, PyAny>, name: String| {
        names.entry(object.as_ptr() as usize).or_insert(name);
        kept.push(object.unbind());
    };
    for name in BUILTINS {
        know(builtins.getattr(name)?, (*name).to_owned());
    }
    for (name, object) in math.dict() {
        let name = name.extract::<String>()?;
        if object.is_callable() && !name.starts_with('_') {
            know(object, format!("math.{name}"));
        }
    }
    let complex_at = if cfg!(target_pointer_width = "64") && complexes_are_known(py) {
        16
    } else {
        0
    };
    if complex_at != 0 {
        know(builtins.getattr("complex")?, "complex".to_owned());
        for (name, object) in py.import("cmath")?.dict() {
            let name = name.extract::<String>()?;
            if object.is_callable() && !name.starts_with('_') {
                know(object, format!("cmath.{name}"));
            }
        }
    }
    let ufuncs = SCALAR_UFUNCS.iter().map(|known| known.name);
    let others = NUMPY.iter().chain(ARRAY_FUNCTIONS).copied();
    for name in ufuncs.chain(others) {
        know(numpy.getattr(name)?, format!("numpy.{name}"));
    }
    let address = |object: &Bound<'_, PyAny>| object.as_ptr() as usize;
    let descr = |name: &str| -> PyResult<*mut ffi::PyObject> {
        Ok(numpy.call_method1("dtype", (name,))?.into_ptr())
    };
    let libm = libm(&math)?;
    names.retain(|_, name| {
        let function = name.strip_prefix("math.");
        function.is_none_or(|name| !LIBM.contains(&name) || libm.contains_key(name))
    });
    let fine = cfg!(target_pointer_width = "64");
    let class_layout = ClassLayout::look(py)?;
    let object_new =
        unsafe { ffi::PyType_GetSlot(&raw mut ffi::PyBaseObject_Type, ffi::Py_tp_new) };
    macro_rules! at {
        ($function:expr) => {
            $function as *const () as usize
        };
    }
    let runtime = Runtime {
        none: unsafe { ffi::Py_None() } as usize,
        true_: unsafe { ffi::Py_True() } as usize,
        false_: unsafe { ffi::Py_False() } as usize,
        float_type: (&raw mut ffi::PyFloat_Type) as usize,
        long_type: (&raw mut ffi::PyLong_Type) as usize,
        list_type: (&raw mut ffi::PyList_Type) as usize,
        bytes_type: (&raw mut ffi::PyBytes_Type) as usize,
        ob_sval: if fine && bytes_are_known(py) { 32 } else { 0 },
        str_type: (&raw mut ffi::PyUnicode_Type) as usize,
        dict_type: (&raw mut ffi::PyDict_Type) as usize,
        tuple_type: (&raw mut ffi::PyTuple_Type) as usize,
        complex_type: (&raw mut ffi::PyComplex_Type) as usize,
        ndarray_type: address(&numpy.getattr("ndarray")?),
        np_float_type: address(&numpy.getattr("float64")?),
        np_int_type: address(&numpy.getattr("int64")?),
        ob_fval: if fine && floats_are_known(py) { 16 } else { 0 },
        tuple_item: if fine { tuple_offset(py)? } else { 0 },
        ob_item: if fine && lists_are_known(py)? { 24 } else { 0 },
        complex_at,
        plain_refcounts: fine && refcounts_are_known(py),
        digits30: fine && ints_are_known(py)?,
        type_version: class_layout.version,
        values_at: class_layout.values,
        new_object: at!(classes::new_object),
        is_method: at!(classes::is_method),
        not_implemented: unsafe { ffi::Py_NotImplemented() } as usize,
        unsupported: at!(classes::unsupported),
        compare_refused: at!(classes::compare_refused),
        len_gave: at!(classes::len_gave),
        init_gave: at!(classes::init_gave),
        leave: at!(leave::leave),
        fail: at!(leave::fail),
        leave_behind: at!(leave::leave),
        guards_hold: at!(leave::guards_hold),
        caught: at!(catch::caught),
        raise: at!(catch::raise),
        get_global: at!(globals::get),
        set_global: at!(globals::set),
        is_sequence: at!(calls::is_sequence),
        end_handling: at!(catch::end_handling),
        box_value: at!(calls::box_value),
        enter: at!(function::enter),
        make_float: at!(ffi::PyFloat_FromDouble),
        make_int: at!(ffi::PyLong_FromLongLong),
        make_complex: at!(ffi::PyComplex_FromDoubles),
        unbox: at!(calls::unbox),
        is_array: at!(calls::is_array),
        check_signals: at!(calls::check_signals),
        hold: at!(lock::hold),
        recursion: at!(calls::recursion),
        dealloc: at!(_Py_Dealloc),
        inc_ref: at!(ffi::Py_IncRef),
        dec_ref: at!(ffi::Py_DecRef),
        binary: at!(calls::binary),
        unary: at!(calls::unary),
        compare: at!(calls::compare),
        contains: at!(calls::contains),
        is_true: at!(calls::is_true),
        length: at!(ffi::PyObject_Size),
        get_item: at!(ffi::PyObject_GetItem),
        text_ascii: if fine { ascii_offset(py) } else { 0 },
        str_char: at!(calls::str_char),
        str_has: at!(calls::str_has),
        str_append: at!(calls::str_append),
        format: at!(texts::format),
        make_char: at!(calls::make_char),
        char_is: at!(calls::char_is),
        str_compare: at!(calls::str_compare),
        str_ord: at!(calls::str_ord),
        set_item: at!(calls::set_item),
        del_item: at!(calls::del_item),
        get_attr: at!(ffi::PyObject_GetAttr),
        set_attr: at!(calls::set_attr),
        call: at!(whole::call),
        call_method: at!(calls::PyObject_VectorcallMethod),
        call_at: at!(members::call_at),
        look_up: at!(members::look_up),
        get_attr_at: at!(members::get_attr_at),
        set_attr_at: at!(members::set_attr_at),
        make_list: at!(calls::make_list),
        make_tuple: at!(calls::make_tuple),
        make_dict: at!(calls::make_dict),
        make_set: at!(calls::make_set),
        make_slice: at!(calls::make_slice),
        list_append: at!(calls::list_append),
        unboxed_new: if unboxed::are_known() {
            at!(unboxed::new)
        } else {
            0
        },
        table_new: if table::are_known() {
            at!(table::new)
        } else {
            0
        },
        table_find: at!(table::find),
        table_place: at!(table::place),
        table_remove: at!(table::remove),
        table_changed: at!(table::changed),
        table_to_python: at!(table::to_python),
        unboxed_repeat: at!(unboxed::repeat),
        unboxed_copy: at!(unboxed::copy),
        unboxed_range: at!(unboxed::range),
        unboxed_sum: at!(unboxed::sum),
        unboxed_grow: at!(unboxed::grow),
        unboxed_to_list: at!(unboxed::to_list),
        get_iter: at!(ffi::PyObject_GetIter),
        iter_next: at!(calls::iter_next),
        unpack: at!(calls::unpack),
        note_seen: at!(seen::note),
        int_pow: at!(calls::int_pow),
        of_ints: integers::functions(),
        float_floordiv: at!(calls::float_floordiv),
        float_mod: at!(calls::float_mod),
        ufunc_loops: scalars::loops(&numpy)?,
        ufunc_once: at!(scalars::once),
        ufunc_lanes: at!(scalars::lanes),
        ufunc_agrees: at!(scalars::agrees),
        ufunc_call: at!(scalars::call_once),
        search_sorted: at!(scalars::search_sorted),
        on_threads: at!(threads::on_threads),
        whole: if fine { at!(whole::whole) } else { 0 },
        whole_row: if fine { at!(whole::row) } else { 0 },
        array_of: at!(whole::array_of),
        array_view: at!(whole::array_view),
        whole_functions: whole::functions(&numpy)?,
        libm,
    };
    Ok(Layout {
        runtime: Rc::new(runtime),
        names,
        _kept: kept,
        classes: class_layout,
        // A slot of `object` is a function, or there is no interpreter.
        object_new: unsafe { std::mem::transmute::<*mut c_void, ffi::newfunc>(object_new) },
        no_args: PyTuple::empty(py).into_any().unbind(),
        defaults_at: if fine { defaults_offset(py)? } else { 0 },
        text_hash: if fine && text_hashes_are_known(py)? {
            24
        } else {
            0
        },
        cell_contents: if fine { cell_offset(py)? } else { 0 },
        dict_versions: fine && dict_versions_are_known(py)?,
        methods_are_known: fine && members::are_known(py)?,
        np_bool_type: address(&numpy.getattr("bool_")?),
        np_complex_type: address(&numpy.getattr("complex128")?),
        narrow_types: {
            let is_narrow = |dtype: &Dtype| {
                let tag = dtype.tag();
                tag.is_some_and(|tag| Tags::of(tag).any(Tags::NARROW.or(Tags::UNSIGNED)))
            };
            let narrow = Dtype::ALL.into_iter().filter(is_narrow);
            let pairs = narrow.map(|dtype| Ok((address(&numpy.getattr(dtype.name())?), dtype)));
            pairs.collect::<PyResult<Vec<_>>>()?
        },
        descrs: {
            let all = Dtype::ALL.into_iter().map(|dtype| descr(dtype.name()));
            all.collect::<PyResult<Vec<_>>>()?
        },
        descr_float: descr("float64")?,
        descr_int: descr("int64")?,
        descr_bool: descr("bool")?,
    })
}
