//! Calls from Python at the cost of a call in C.
//!
//! CPython calls an object in one of two ways. Through its type's `tp_call` the arguments come in
//! a tuple that is made for the call, and PyO3's `__call__` then takes it apart: some 70 ns.
//! By PEP 590 a type may instead say where in its objects a function pointer lies that takes the
//! arguments as they are: a few nanoseconds. PyO3 offers the first way only.
//!
//! So a callable class has an [`Entry`] among its fields, whose function pointer reads the `f64`s
//! out of `float` objects, calls the machine code and boxes the result. Whatever is not exactly
//! as many `float`s as there are parameters goes on through `tp_call`, so `__call__` stays the
//! meaning and the entry is a short cut. The interpreter lock is held meanwhile, as in any
//! builtin.
//!
//! What CPython calls fastest are its own built-in functions, for which it has instructions since
//! 3.11. They are known by their exact type, so no class of ours is among them. But one of the ways
//! to define them, `METH_FASTCALL | METH_KEYWORDS`, takes the arguments that an entry takes. So an
//! entry begins with the definition of a built-in function, and [`builtin`] makes the function: it
//! calls whatever the entry calls at the time.
//!
//! Two facts about CPython's memory are used that its stable ABI does not promise: where a
//! `float` has its value, and where a type has the offset and the flag of PEP 590. Both have been
//! the same since 3.8; [`layout_is_known`] looks before anything relies on them, and where they
//! differ (other versions, free-threaded and tracing builds) all calls go through `tp_call`.
//!
//! # Invariant
//! The function pointer of an `Entry` belongs to the class that the entry is a field of, and to
//! the number of parameters of the code that it holds.
//!
//! Sources: PEP 590; PEP 659; CPython's documentation, "The Vectorcall Protocol", `PyMethodDef` and
//! `PyType_FromSpec`; `Include/cpython/object.h`, `floatobject.h`.

use std::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use std::mem::size_of;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use opcodon_codemem::{Abi, Code, Function, call_f64};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFloat, PyTuple};
use pyo3::{Borrowed, PyClass};

use super::numbers::Numbers;
use crate::callback;

/// A class whose instances can be called through an entry.
pub(crate) trait Callable: PyClass<Frozen = True> + Sync {
    /// The entry, a field of the instance itself.
    fn entry(&self) -> &Entry;
}

/// What a function of `f64`s gives back to Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A `float`.
    Float,
    /// A `bool`: whether the value is not zero.
    Bool,
}

/// The function that CPython calls, and the code that it calls in turn.
#[derive(Debug)]
pub(crate) struct Entry {
    definition: Definition,
    target: Option<Target>,
    /// The code, if it takes numbers of other types than `f64`.
    numbers: Option<Numbers>,
}

/// What CPython knows of a built-in function: its `PyMethodDef`, of which the function may change.
#[repr(C)]
#[derive(Debug)]
struct Definition {
    name: AtomicPtr<c_char>,
    /// The address of the function; if it is 0, CPython itself goes through `tp_call`.
    vectorcall: AtomicUsize,
    flags: c_int,
    doc: AtomicPtr<c_char>,
}

const _: () = assert!(size_of::<Definition>() == size_of::<ffi::PyMethodDef>());

impl Definition {
    const fn new(vectorcall: usize) -> Self {
        Self {
            name: AtomicPtr::new(c"__call__".as_ptr().cast_mut()),
            vectorcall: AtomicUsize::new(vectorcall),
            flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            doc: AtomicPtr::new(std::ptr::null_mut()),
        }
    }
}

/// Code that takes as many `f64`s as its entry and returns one.
#[derive(Debug)]
struct Target {
    address: usize,
    abi: Abi,
    outcome: Outcome,
    /// Keeps the code mapped, and knows whether it may be called.
    code: Code,
}

impl Entry {
    /// The entry of an instance of `T` that stands for a function, of which the caller knows, or
    /// its user vouches, that it has its signature.
    pub(crate) fn new<T: Callable>(function: &Function, outcome: Outcome) -> Self {
        let signature = function.signature();
        let n_args = signature.params().len();
        let is_plain =
            function.abi() == Abi::SysV && outcome == Outcome::Float && !function.code().is_lent();
        macro_rules! entry {
            ($n:literal) => {
                Some(if is_plain {
                    call::<T, $n, true> as ffi::vectorcallfunc
                } else {
                    call::<T, $n, false>
                })
            };
        }
        let vectorcall = match n_args {
            _ if !signature.is_all_f64() => None,
            0 => entry!(0),
            1 => entry!(1),
            2 => entry!(2),
            3 => entry!(3),
            4 => entry!(4),
            5 => entry!(5),
            6 => entry!(6),
            7 => entry!(7),
            8 => entry!(8),
            _ => None,
        };
        let target = vectorcall.map(|_| Target {
            address: function.code().address() as usize,
            abi: function.abi(),
            outcome,
            code: function.code().clone(),
        });
        let numbers = match vectorcall {
            None => Numbers::new(function),
            Some(_) => None,
        };
        let of_numbers = || {
            numbers.as_ref()?;
            Some(call_numbers::<T> as ffi::vectorcallfunc)
        };
        let vectorcall = vectorcall.or_else(of_numbers);
        Self {
            definition: Definition::new(vectorcall.map_or(0, |entry| entry as usize)),
            target,
            numbers,
        }
    }

    /// The entry of an instance that is called by a function of its own.
    pub(crate) fn custom(vectorcall: ffi::vectorcallfunc) -> Self {
        Self {
            definition: Definition::new(vectorcall as usize),
            target: None,
            numbers: None,
        }
    }

    /// Has the instance be called by another function from now on: the address of a
    /// `vectorcallfunc` that lives as long as the instance.
    pub(crate) fn set(&self, address: usize) {
        self.definition.vectorcall.store(address, Ordering::Relaxed);
    }

    /// The entry of an instance that is called through `tp_call` only.
    pub(crate) const fn none() -> Self {
        Self {
            definition: Definition::new(0),
            target: None,
            numbers: None,
        }
    }
}

/// Has CPython use the entries of a class from now on; to be called by its `__call__`, which runs
/// until that is so.
pub(crate) fn enable<T: Callable>(instance: &Bound<'_, T>) {
    let class = instance.as_any().get_type_ptr();
    // SAFETY: it is the type of an object that is alive.
    let flags = unsafe { ffi::PyType_GetFlags(class) };
    if flags & PY_TPFLAGS_HAVE_VECTORCALL != 0 || !layout_is_known(instance.py()) {
        return;
    }
    let entry = &raw const instance.get().entry().definition.vectorcall;
    let offset = entry as usize - instance.as_ptr() as usize;
    let offset_field = class.wrapping_byte_add(TP_VECTORCALL_OFFSET).cast();
    let flags_field = class.wrapping_byte_add(TP_FLAGS).cast();
    // SAFETY: the layout is known, so this is the field of the type; the interpreter lock, under
    // which alone types are read and written, is held. The offset is that of a function pointer in
    // every instance, as PyO3 gives all instances of a class that has no base the same layout.
    unsafe { std::ptr::write::<usize>(offset_field, offset) };
    // SAFETY: as above.
    unsafe { std::ptr::write(flags_field, flags | PY_TPFLAGS_HAVE_VECTORCALL) };
}

/// A built-in function of Python's that calls an instance, which lives as long as it does.
pub(crate) fn builtin<'py, T: Callable>(instance: &Bound<'py, T>) -> PyResult<Bound<'py, PyAny>> {
    let py = instance.py();
    let definition = &instance.get().entry().definition;
    if definition.vectorcall.load(Ordering::Relaxed) == 0 || !layout_is_known(py) {
        let general = call_with_tuple as ffi::vectorcallfunc;
        let address = general as usize;
        definition.vectorcall.store(address, Ordering::Relaxed);
    }
    let definition = (&raw const *definition).cast_mut().cast();
    // SAFETY: the definition is laid out as CPython's, has a function of the kind that its flags
    // say, and is part of the instance, to which the new object has a reference.
    let function = unsafe { ffi::PyCFunction_New(definition, instance.as_ptr()) };
    // SAFETY: a new reference, or null and an error.
    unsafe { Bound::from_owned_ptr_or_err(py, function) }
}

/// The entry for `N` arguments: a `vectorcallfunc`. `PLAIN` is code of System V's convention that
/// is always open and gives a `float`: then nothing of that is looked at.
///
/// # Safety
/// Called by CPython as PEP 590 has it, for the object of which it is the function pointer.
unsafe extern "C" fn call<T: Callable, const N: usize, const PLAIN: bool>(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    n_args_and_flag: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let n_args = n_args_and_flag & !PY_VECTORCALL_ARGUMENTS_OFFSET;
    if n_args == N && names.is_null() {
        // SAFETY: whoever calls objects holds the interpreter lock.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: the caller has a reference to the object until the call is over.
        let callable = unsafe { Borrowed::from_ptr(py, callable) };
        // SAFETY: by the module's invariant it is an instance of `T`.
        let callable = unsafe { callable.cast_unchecked::<T>() };
        // SAFETY: the caller passes `N` arguments; the layout of floats is known, since otherwise
        // nobody calls this function.
        if let Some(values) = unsafe { floats::<N>(args) }
            && let Some(target) = &callable.get().entry().target
            && (PLAIN || target.code.is_open())
        {
            let abi = if PLAIN { Abi::SysV } else { target.abi };
            let outcome = if PLAIN {
                Outcome::Float
            } else {
                target.outcome
            };
            let address = target.address as *const u8;
            // SAFETY: the target holds its code, which is open and takes `N` `f64`s, as whoever
            // made the entry knows.
            let run = || unsafe { call_f64(address, abi, &values) };
            let value = if callback::are_there() {
                match callback::raising(run) {
                    Ok(value) => value,
                    Err(error) => {
                        error.restore(py);
                        return std::ptr::null_mut();
                    }
                }
            } else {
                run()
            };
            return match outcome {
                // SAFETY: the interpreter lock is held.
                Outcome::Float => unsafe { ffi::PyFloat_FromDouble(value) },
                // SAFETY: as above.
                Outcome::Bool => unsafe { ffi::PyBool_FromLong((value != 0.0).into()) },
            };
        }
    }
    // SAFETY: the arguments of this call.
    unsafe { call_with_tuple(callable, args, n_args_and_flag, names) }
}

/// The entry for numbers of several types: a `vectorcallfunc`.
///
/// # Safety
/// As for [`call`].
unsafe extern "C" fn call_numbers<T: Callable>(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    n_args_and_flag: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let n_args = n_args_and_flag & !PY_VECTORCALL_ARGUMENTS_OFFSET;
    if names.is_null() {
        // SAFETY: whoever calls objects holds the interpreter lock.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: the caller has a reference to the object until the call is over.
        let instance = unsafe { Borrowed::from_ptr(py, callable) };
        // SAFETY: by the module's invariant it is an instance of `T`.
        let instance = unsafe { instance.cast_unchecked::<T>() };
        if let Some(numbers) = &instance.get().entry().numbers
            // SAFETY: the arguments of this call; the layout is known, since otherwise nobody
            // calls this function, and the signature is what the user vouches for.
            && let Some(result) = unsafe { numbers.call(py, args, n_args) }
        {
            return result;
        }
    }
    // SAFETY: the arguments of this call.
    unsafe { call_with_tuple(callable, args, n_args_and_flag, names) }
}

/// The values of `N` objects if all of them are floats, and not of a subclass.
///
/// # Safety
/// There are `N` live objects at `args`, and the layout of floats is known.
#[inline]
unsafe fn floats<const N: usize>(args: *const *mut ffi::PyObject) -> Option<[f64; N]> {
    let mut values = [0.0; N];
    for (index, value) in values.iter_mut().enumerate() {
        // SAFETY: `index` is below `N`.
        let arg = unsafe { args.wrapping_add(index).read() };
        // SAFETY: the object is alive.
        let class = unsafe { ffi::Py_TYPE(arg) };
        if class != &raw mut ffi::PyFloat_Type {
            return None;
        }
        // SAFETY: it is a float, and that is where floats have their value.
        *value = unsafe { arg.wrapping_byte_add(OB_FVAL).cast::<f64>().read() };
    }
    Some(values)
}

/// Calls an object through `tp_call`, as CPython does it with objects that know no other way: a
/// `vectorcallfunc`.
///
/// # Safety
/// The arguments of a call by PEP 590, for an object whose type has `tp_call`.
#[cold]
unsafe extern "C" fn call_with_tuple(
    callable: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    n_args_and_flag: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let n_args = n_args_and_flag & !PY_VECTORCALL_ARGUMENTS_OFFSET;
    // SAFETY: the caller holds the interpreter lock.
    let py = unsafe { Python::assume_attached() };
    let arg = |index: usize| {
        // SAFETY: there are as many arguments as are asked for below.
        let arg = unsafe { args.wrapping_add(index).read() };
        // SAFETY: the caller keeps it alive.
        unsafe { Borrowed::from_ptr(py, arg) }
    };
    let arguments = || {
        let positional = PyTuple::new(py, (0..n_args).map(arg))?;
        // SAFETY: null, or a tuple of names.
        let names = unsafe { Borrowed::from_ptr_or_opt(py, names) };
        let Some(names) = names else {
            return Ok((positional, None));
        };
        let named = PyDict::new(py);
        for (index, name) in names.try_iter()?.enumerate() {
            named.set_item(name?, arg(n_args + index))?;
        }
        Ok((positional, Some(named)))
    };
    let (positional, named) = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            let error: PyErr = error;
            error.restore(py);
            return std::ptr::null_mut();
        }
    };
    // SAFETY: the object is alive, so its type is.
    let class = unsafe { ffi::Py_TYPE(callable) };
    // SAFETY: as above.
    let tp_call = unsafe { ffi::PyType_GetSlot(class, ffi::Py_tp_call) };
    // SAFETY: the type of the slot.
    let tp_call = unsafe { std::mem::transmute::<*mut c_void, ffi::ternaryfunc>(tp_call) };
    let named = named.as_ref().map_or(std::ptr::null_mut(), Bound::as_ptr);
    // SAFETY: an object, a tuple, and a dictionary or null.
    unsafe { tp_call(callable, positional.as_ptr(), named) }
}

/// Set in the number of arguments if the caller lends the place before the first of them.
const PY_VECTORCALL_ARGUMENTS_OFFSET: usize = 1 << (usize::BITS - 1);

/// Flag of a type whose instances have a function pointer.
const PY_TPFLAGS_HAVE_VECTORCALL: c_ulong = 1 << 11;

/// Where a `float` has its value: behind the reference count and the type.
pub(super) const OB_FVAL: usize = 2 * size_of::<usize>();

/// Where a type has the offset of the function pointer in its instances: behind a head of three
/// words, name, two sizes and destructor.
const TP_VECTORCALL_OFFSET: usize = 7 * size_of::<usize>();

/// Where a type has its flags: behind 14 more fields of a word each.
const TP_FLAGS: usize = 21 * size_of::<usize>();

/// Whether this interpreter's floats and types look as the entries take for granted.
fn layout_is_known(py: Python<'_>) -> bool {
    static IS_KNOWN: PyOnceLock<bool> = PyOnceLock::new();
    let look = || cfg!(target_pointer_width = "64") && floats_are_known(py) && types_are_known(py);
    *IS_KNOWN.get_or_init(py, look)
}

/// Makes floats and looks where they have their type and their value.
fn floats_are_known(py: Python<'_>) -> bool {
    let size = py.get_type::<PyFloat>().getattr("__basicsize__");
    if !size.is_ok_and(|size| size.eq(OB_FVAL + size_of::<f64>()).unwrap_or(false)) {
        return false;
    }
    let values = [0.0, -0.0, 1.0, -2.5, f64::MAX, 5e-324, f64::NAN];
    values.iter().all(|&value| {
        let float = PyFloat::new(py, value);
        let words = float.as_ptr().cast::<u64>();
        // SAFETY: the object has three words, as its size says.
        let class = unsafe { words.wrapping_add(1).read() };
        // SAFETY: as above.
        let bits = unsafe { words.wrapping_add(2).read() };
        class == (&raw mut ffi::PyFloat_Type) as u64 && bits == value.to_bits()
    })
}

/// Makes a type that has the offset and the flag, in the way the interpreter offers, and looks
/// where it has them.
fn types_are_known(py: Python<'_>) -> bool {
    /// An offset that no other field of a type would have.
    const MARK: i16 = 4096 + 40;
    let mut members = [
        ffi::PyMemberDef {
            name: c"__vectorcalloffset__".as_ptr(),
            type_code: ffi::Py_T_PYSSIZET,
            offset: MARK.into(),
            flags: ffi::Py_READONLY,
            doc: std::ptr::null(),
        },
        ffi::PyMemberDef::default(),
    ];
    let mut slots = [
        ffi::PyType_Slot {
            slot: ffi::Py_tp_members,
            pfunc: members.as_mut_ptr().cast(),
        },
        ffi::PyType_Slot {
            slot: ffi::Py_tp_call,
            pfunc: ffi::PyObject_Call as *mut c_void,
        },
        ffi::PyType_Slot::default(),
    ];
    let Ok(flags) = c_uint::try_from(ffi::Py_TPFLAGS_DEFAULT | PY_TPFLAGS_HAVE_VECTORCALL) else {
        return false;
    };
    let mut spec = ffi::PyType_Spec {
        name: c"opcodon._core.Probe".as_ptr(),
        basicsize: c_int::from(MARK) + 8,
        itemsize: 0,
        flags,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the specification is complete; it and what it points to live during the call.
    let class = unsafe { ffi::PyType_FromSpec(&raw mut spec) };
    // SAFETY: a new reference, or null and an error.
    let Ok(class) = (unsafe { Bound::from_owned_ptr_or_err(py, class) }) else {
        return false;
    };
    let class = class.as_ptr().cast::<ffi::PyTypeObject>();
    // SAFETY: it is a type.
    let flags = unsafe { ffi::PyType_GetFlags(class) };
    let offset_field = class.wrapping_byte_add(TP_VECTORCALL_OFFSET);
    let flags_field = class.wrapping_byte_add(TP_FLAGS);
    // SAFETY: types are longer than that in every version.
    let found_offset = unsafe { offset_field.cast::<isize>().read() };
    // SAFETY: as above.
    let found_flags = unsafe { flags_field.cast::<c_ulong>().read() };
    found_offset == isize::from(MARK) && found_flags == flags
}
