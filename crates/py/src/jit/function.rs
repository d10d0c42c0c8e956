//! The class of compiled functions, and how a call finds its code.
//!
//! A call with as many positional arguments as there are parameters is classified argument by
//! argument, and the classes are compared with those of the versions compiled so far. Names that
//! were frozen are guarded: as long as no dictionary concerned was written, that is one comparison
//! a dictionary; otherwise the objects are looked up again, and if one is another, the function is
//! prepared anew. Old code is kept, since it may be running.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::HashMap;
use std::mem::MaybeUninit;

use opcodon_codemem::Code;
use opcodon_pyfn::{
    ArrayTy, BOOL, COMPLEX, Context, EntryGuards, FLOAT, Form, FunctionInfo, Global, INT, OBJECT,
    Program, RAISED, Spec, Tags, Text, Ty, Unit,
};
use pyo3::exceptions::PyValueError;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use super::calls::{self, array_of, box_value, recursion, type_of, value_of};
use super::layout::{Layout, known, layout};
use crate::assembly;
use crate::seal::vectorcall::{Callable, Entry, builtin, enable};

/// Functions of more parameters run in Python.
const N_ARGS_MAX: usize = 16;

/// Versions beyond which calls go to Python.
const VERSIONS_MAX: usize = 64;

/// Functions that were compiled together, the first for itself, and what keeps them valid.
pub(super) struct Group {
    unit: RefCell<Unit>,
    pub(super) members: Vec<Member>,
    pub(super) unset: Py<PyAny>,
    guards: Vec<Guard>,
    /// Dictionaries and the numbers they had when the guards were last found to hold.
    versions: Vec<(usize, Cell<u64>)>,
    /// A guess was wrong: the function is to be compiled again without.
    pub(super) is_refuted: Cell<bool>,
    /// Bounds may be checked before loops.
    pub(super) may_hoist: Cell<bool>,
    /// Functions and statements before which a value was not of the type that was expected.
    unexpected: RefCell<Vec<(usize, usize)>>,
    _kept: Vec<Py<PyAny>>,
}

/// A function of a group.
pub(super) struct Member {
    resume: Py<PyAny>,
    resumed: RefCell<HashMap<(usize, i64), Py<PyAny>>>,
}

/// Wrong guesses about types beyond which a function is not compiled again.
const UNEXPECTED_MAX: usize = 16;

impl Group {
    /// Notes a wrong guess: the function is to be compiled again without it.
    pub(super) fn note_unexpected(&self, function: usize, statement: usize) {
        let mut known = self.unexpected.borrow_mut();
        if known.len() < UNEXPECTED_MAX && !known.contains(&(function, statement)) {
            known.push((function, statement));
            self.is_refuted.set(true);
        }
    }
}

impl Member {
    /// The Python function that continues at a statement.
    pub(super) fn resumed<'py>(
        &self,
        py: Python<'py>,
        statement: usize,
        mode: i64,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(found) = self.resumed.borrow().get(&(statement, mode)) {
            return Ok(found.bind(py).clone());
        }
        let made = self.resume.bind(py).call1((statement, mode))?;
        let kept = made.clone().unbind();
        self.resumed.borrow_mut().insert((statement, mode), kept);
        Ok(made)
    }
}

/// A name that has to stay what it is.
struct Guard {
    /// A dictionary, or a cell if there is no key.
    holder: Py<PyAny>,
    key: Option<Py<PyAny>>,
    /// The object, or none if the name must stay unbound.
    expected: Option<Py<PyAny>>,
}

impl Guard {
    fn holds(&self, py: Python<'_>) -> bool {
        let expected = self
            .expected
            .as_ref()
            .map_or(std::ptr::null_mut(), Py::as_ptr);
        match &self.key {
            Some(key) => unsafe {
                let found = ffi::PyDict_GetItemWithError(self.holder.as_ptr(), key.as_ptr());
                if found.is_null() && !ffi::PyErr_Occurred().is_null() {
                    ffi::PyErr_Clear();
                    return false;
                }
                found == expected
            },
            None => match self.holder.bind(py).getattr("cell_contents") {
                Ok(found) => found.as_ptr() == expected,
                Err(_) => expected.is_null(),
            },
        }
    }
}

/// A compiled version.
struct Version {
    classes: Vec<u64>,
    /// The entry for Python and the native function; none if these types are left to Python.
    code: Option<(EntryPoint, usize)>,
}

type EntryPoint = unsafe extern "C" fn(*mut Context, *const [u64; 2], *mut [u64; 3], usize);

#[derive(Default)]
struct State {
    group: Option<Box<Group>>,
    versions: Vec<Version>,
    n_params: usize,
    is_positional: bool,
    hoists: bool,
    /// What earlier groups found about types.
    unexpected: Vec<(usize, usize)>,
    /// Groups whose guards failed; their code may be running.
    #[expect(clippy::vec_box, reason = "code refers to groups by their addresses")]
    retired: Vec<Box<Group>>,
    is_plain: bool,
    is_busy: bool,
}

/// A number without an object, or anything else.
pub(crate) enum Number {
    Float(f64),
    Int(i64),
    Bool(bool),
    Object(Py<PyAny>),
}

/// A Python function that runs as machine code.
#[pyclass(module = "opcodon._core.jit", dict, frozen, weakref)]
pub(crate) struct Function {
    entry: Entry,
    #[pyo3(get)]
    name: String,
    prepare: Py<PyAny>,
    #[pyo3(get)]
    fallback: Py<PyAny>,
    resume: Py<PyAny>,
    unset: Py<PyAny>,
    bind: Option<Py<PyAny>>,
    report: Option<Py<PyAny>>,
    listing: Option<Py<PyAny>>,
    /// Whether floats may be added in another order.
    fast_math: bool,
    parallel: bool,
    nogil: bool,
    state: UnsafeCell<State>,
}

// All access is under the interpreter lock.
unsafe impl Sync for Function {}
unsafe impl Send for Function {}

impl Callable for Function {
    fn entry(&self) -> &Entry {
        &self.entry
    }
}

/// Codes of argument types. Those of arrays and lists carry more in the bits above.
const ARRAY: u64 = 8;
const LIST: u64 = 9;
const STR: u64 = 10;
const DICT: u64 = 11;
const TUPLE: u64 = 12;
const BYTES: u64 = 13;
const COMPLEX_NUMBER: u64 = 14;

/// The class of an object, and its value if it is unboxed.
fn classify(object: *mut PyObject, depth: usize) -> (u64, u64) {
    let runtime = &known().runtime;
    if let Some((tag, bits)) = value_of(object) {
        return (u64::from(tag), bits);
    }
    let pointer = object as u64;
    let type_ = type_of(object);
    let class = if type_ == runtime.ndarray_type {
        match array_of(object) {
            Some(array) => {
                ARRAY
                    | (array.dtype as u64) << 8
                    | (array.ndim as u64) << 16
                    | u64::from(array.contiguous) << 24
                    | u64::from(array.writable) << 25
            }
            None => u64::from(OBJECT),
        }
    } else if type_ == runtime.list_type {
        let n = unsafe { ffi::PyList_Size(object) };
        let element = if n > 0 && depth < 3 {
            let first = unsafe { ffi::PyList_GetItem(object, 0) };
            classify(first, depth + 1).0
        } else {
            0
        };
        // What does not fit is not told apart.
        if element < 1 << 48 {
            LIST | element << 8
        } else {
            LIST
        }
    } else if type_ == runtime.str_type {
        STR
    } else if type_ == runtime.bytes_type && runtime.ob_sval != 0 {
        BYTES
    } else if type_ == runtime.dict_type {
        DICT
    } else if type_ == runtime.complex_type && runtime.complex_at != 0 {
        COMPLEX_NUMBER
    } else if type_ == runtime.tuple_type {
        class_of_tuple(object)
    } else {
        u64::from(OBJECT)
    };
    (class, pointer)
}

/// The class of a tuple: a short one tells of its parts.
fn class_of_tuple(object: *mut PyObject) -> u64 {
    const N_PARTS_MAX: isize = 4;
    let n_parts = unsafe { ffi::PyTuple_Size(object) };
    if !(1..=N_PARTS_MAX).contains(&n_parts) {
        return TUPLE;
    }
    let parts = (0..n_parts).map(|at| {
        let part = unsafe { ffi::PyTuple_GetItem(object, at) };
        let (runtime, type_) = (&known().runtime, type_of(part));
        // Of what parts of parts are nothing is told, so nothing is looked at.
        let class = match value_of(part) {
            Some((tag, _)) => u64::from(tag),
            None if type_ == runtime.str_type => STR,
            None if type_ == runtime.complex_type && runtime.complex_at != 0 => COMPLEX_NUMBER,
            None => u64::from(OBJECT),
        };
        class << (16 + 8 * at)
    });
    parts.fold(
        TUPLE | (n_parts.cast_unsigned() as u64) << 8,
        |all, part| all | part,
    )
}

/// The type of a class.
fn type_of_class(class: u64) -> Ty {
    match class & 0xff {
        ARRAY => {
            let dtype = opcodon_pyfn::Dtype::ALL[(class >> 8 & 0xff) as usize];
            Ty::object(Form::Array(ArrayTy {
                dtype,
                ndim: (class >> 16 & 0xff) as usize,
                contiguous: class >> 24 & 1 != 0,
                writable: class >> 25 & 1 != 0,
            }))
        }
        LIST => {
            let element = match class >> 8 {
                0 => Ty::default(),
                element => type_of_class(element),
            };
            Ty::object(Form::List(Box::new(element)))
        }
        STR => Ty::object(Form::Str),
        BYTES => Ty::object(Form::Bytes),
        COMPLEX_NUMBER => Ty::of(COMPLEX),
        DICT => Ty::object(Form::Dict),
        TUPLE => {
            let n_parts = class >> 8 & 0xff;
            let parts = (0..n_parts).map(|at| type_of_class(class >> (16 + 8 * at) & 0xff));
            Ty::object(Form::TupleObject(parts.collect()))
        }
        tag => Ty::of(u8::try_from(tag).unwrap_or(OBJECT)),
    }
}

impl Function {
    #[expect(clippy::mut_from_ref, reason = "exclusive under the interpreter lock")]
    unsafe fn state(&self) -> &mut State {
        unsafe { &mut *self.state.get() }
    }

    /// Calls the Python function.
    unsafe fn plain(
        &self,
        args: *const *mut PyObject,
        n_args: usize,
        names: *mut PyObject,
    ) -> *mut PyObject {
        unsafe { calls::vectorcall()(self.fallback.as_ptr(), args, n_args, names) }
    }

    /// A call with positional arguments only, as many as there are parameters.
    #[inline]
    unsafe fn native(
        &self,
        py: Python<'_>,
        args: *const *mut PyObject,
        n_args: usize,
    ) -> *mut PyObject {
        unsafe {
            let mut values = [const { MaybeUninit::<[u64; 2]>::uninit() }; N_ARGS_MAX];
            if n_args > N_ARGS_MAX {
                return self.plain(args, n_args, std::ptr::null_mut());
            }
            for (at, value) in values[..n_args].iter_mut().enumerate() {
                let (class, bits) = classify(*args.add(at), 0);
                value.write([class, bits]);
            }
            let values = std::slice::from_raw_parts(values.as_ptr().cast::<[u64; 2]>(), n_args);
            let out = match self.run(py, values) {
                Ok(Some(out)) => out,
                Ok(None) => return self.plain(args, n_args, std::ptr::null_mut()),
                Err(error) => {
                    error.restore(py);
                    return std::ptr::null_mut();
                }
            };
            match u8::try_from(out[0]).unwrap_or(RAISED) {
                OBJECT => out[1] as *mut PyObject,
                RAISED => std::ptr::null_mut(),
                FLOAT => ffi::PyFloat_FromDouble(f64::from_bits(out[2])),
                INT => ffi::PyLong_FromLongLong(out[1] as i64),
                _ => box_value(out[0], out[1] as i64, out[2]),
            }
        }
    }

    /// Runs the version for such values, a class and bits each; none if these are left to Python.
    #[inline]
    unsafe fn run(&self, py: Python<'_>, values: &[[u64; 2]]) -> PyResult<Option<[u64; 3]>> {
        unsafe {
            let fits = |version: &&Version| {
                let mut pairs = version.classes.iter().zip(values);
                pairs.all(|(class, value)| *class == value[0])
            };
            let code = match self.state().versions.iter().find(fits) {
                Some(version) => version.code,
                None => {
                    let classes = values.iter().map(|value| value[0]).collect::<Vec<_>>();
                    self.compile(py, &classes)?
                }
            };
            let Some((entry, native)) = code else {
                return Ok(None);
            };
            let mut context = Context {
                depth: i64::from(ffi::Py_GetRecursionLimit()),
                stack_limit: stack_limit(),
                status: 0,
            };
            let mut out = [0u64; 3];
            entry(&raw mut context, values.as_ptr(), &raw mut out, native);
            Ok(Some(out))
        }
    }

    /// A call with numbers that are no objects; none if it has to be made with objects, as where one
    /// of the arguments is none.
    pub(crate) fn call_numbers(
        &self,
        py: Python<'_>,
        arguments: impl ExactSizeIterator<Item = Option<Number>>,
    ) -> PyResult<Option<Number>> {
        let here = 0u8;
        let is_deep = (&raw const here as usize) < stack_limit();
        let state = unsafe { self.state() };
        let fits = state.n_params == arguments.len() && state.is_positional;
        let group = state.group.as_ref();
        if is_deep || !fits || state.is_plain || state.is_busy || arguments.len() > N_ARGS_MAX {
            return Ok(None);
        }
        if !group.is_some_and(|group| group.is_valid(py)) {
            return Ok(None);
        }
        let mut values = [[0; 2]; N_ARGS_MAX];
        let n_arguments = arguments.len();
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = match argument {
                Some(Number::Float(number)) => [u64::from(FLOAT), number.to_bits()],
                Some(Number::Int(number)) => [u64::from(INT), number.cast_unsigned()],
                Some(Number::Bool(truth)) => [u64::from(BOOL), u64::from(truth)],
                Some(Number::Object(_)) | None => return Ok(None),
            };
        }
        let Some(out) = (unsafe { self.run(py, &values[..n_arguments])? }) else {
            return Ok(None);
        };
        let [tag, word, bits] = out;
        Ok(Some(match u8::try_from(tag).unwrap_or(RAISED) {
            FLOAT => Number::Float(f64::from_bits(bits)),
            INT => Number::Int(word.cast_signed()),
            BOOL => Number::Bool(word != 0),
            RAISED => return Err(PyErr::fetch(py)),
            _ => unsafe {
                let object = box_value(tag, word.cast_signed(), bits);
                Number::Object(Bound::from_owned_ptr_or_err(py, object)?.unbind())
            },
        }))
    }

    /// Any call.
    unsafe fn called(
        &self,
        py: Python<'_>,
        args: *const *mut PyObject,
        n_args: usize,
        names: *mut PyObject,
    ) -> *mut PyObject {
        unsafe {
            let here = 0u8;
            if (&raw const here as usize) < stack_limit() {
                recursion();
                return std::ptr::null_mut();
            }
            let state = self.state();
            if state.is_plain || state.is_busy {
                return self.plain(args, n_args, names);
            }
            let valid = state.group.as_ref().is_some_and(|group| group.is_valid(py));
            if !valid && let Err(error) = self.prepare(py) {
                error.restore(py);
                return std::ptr::null_mut();
            }
            let state = self.state();
            if state.is_plain {
                return self.plain(args, n_args, names);
            }
            if names.is_null() && n_args == state.n_params && state.is_positional {
                return self.native(py, args, n_args);
            }
            match self.bound(py, args, n_args, names) {
                Ok(Some(all)) => {
                    let items = all.iter().map(|item| item.as_ptr()).collect::<Vec<_>>();
                    if items.len() == self.state().n_params {
                        self.native(py, items.as_ptr(), items.len())
                    } else {
                        self.plain(args, n_args, names)
                    }
                }
                Ok(None) => self.plain(args, n_args, names),
                Err(error) => {
                    error.restore(py);
                    std::ptr::null_mut()
                }
            }
        }
    }

    /// The values of all parameters.
    unsafe fn bound<'py>(
        &self,
        py: Python<'py>,
        args: *const *mut PyObject,
        n_args: usize,
        names: *mut PyObject,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some(bind) = &self.bind else {
            return Ok(None);
        };
        let arg = |at: usize| unsafe { Bound::from_borrowed_ptr(py, *args.add(at)) };
        let positional = PyTuple::new(py, (0..n_args).map(arg))?;
        let named = unsafe { Bound::from_borrowed_ptr_or_opt(py, names) };
        let result = match named {
            None => bind.bind(py).call1((positional, py.None()))?,
            Some(names) => {
                let dict = PyDict::new(py);
                for (at, name) in names.try_iter()?.enumerate() {
                    dict.set_item(name?, arg(n_args + at))?;
                }
                bind.bind(py).call1((positional, dict))?
            }
        };
        Ok(Some(result.cast_into::<PyTuple>()?))
    }

    /// Asks the front for the program, and for those of the functions that it calls.
    fn prepare(&self, py: Python<'_>) -> PyResult<()> {
        let state = unsafe { self.state() };
        state.is_busy = true;
        if let Some(group) = &state.group {
            state.unexpected.clone_from(&group.unexpected.borrow());
        }
        state.hoists = state
            .group
            .as_ref()
            .is_none_or(|group| group.may_hoist.get())
            && (state.hoists || state.group.is_none() && state.retired.is_empty());
        let group = self.collect(py);
        let state = unsafe { self.state() };
        state.is_busy = false;
        if let Some(old) = state.group.take() {
            state.retired.push(old);
        }
        state.versions.clear();
        self.entry.set(vectorcall as *const () as usize);
        match group? {
            Some(group) => {
                let info = group.unit.borrow().functions[0].clone();
                state.n_params = info.program.n_params;
                state.is_positional = info.program.is_positional;
                state.group = Some(group);
            }
            None => state.is_plain = true,
        }
        Ok(())
    }

    fn collect(&self, py: Python<'_>) -> PyResult<Option<Box<Group>>> {
        let layout = layout(py)?;
        let unset = self.unset.clone_ref(py);
        let mut group = Box::new(Group {
            unit: RefCell::new(Unit::new(layout.runtime.clone(), 0)),
            members: Vec::new(),
            unset,
            guards: Vec::new(),
            versions: Vec::new(),
            is_refuted: Cell::new(false),
            may_hoist: Cell::new(true),
            unexpected: RefCell::new(unsafe { self.state() }.unexpected.clone()),
            _kept: Vec::new(),
        });
        group.unit.borrow_mut().hoists = unsafe { self.state() }.hoists;
        {
            let mut unit = group.unit.borrow_mut();
            unit.fast_math = self.fast_math;
            unit.parallel = self.parallel;
            unit.nogil = self.nogil;
        }
        group.unit.borrow_mut().owner = std::ptr::from_ref(&*group) as usize;
        // First who is reached, so that functions can refer to each other by number.
        let mut reached: Vec<Reached> = Vec::new();
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        let this = self.prepare.bind(py).call0()?;
        let Some(first) = Reached::new(&this, self.resume.clone_ref(py))? else {
            return Ok(None);
        };
        reached.push(first);
        let mut at = 0;
        while at < reached.len() {
            for value in reached[at].values.clone_ref(py).bind(py).iter() {
                let address = value.as_ptr() as usize;
                let Ok(function) = value.cast::<Self>() else {
                    continue;
                };
                if numbers.contains_key(&address) || reached.len() > 40 {
                    continue;
                }
                let function = function.get();
                if std::ptr::eq(function, self) {
                    numbers.insert(address, 0);
                    continue;
                }
                let prepared = function.prepare.bind(py).call0()?;
                if let Some(next) = Reached::new(&prepared, function.resume.clone_ref(py))? {
                    numbers.insert(address, reached.len());
                    reached.push(next);
                }
            }
            at += 1;
        }
        for next in reached {
            let mut info = group.info(py, layout, &numbers, &next)?;
            let number = group.members.len();
            let unexpected = group.unexpected.borrow();
            let own = unexpected
                .iter()
                .filter(|(function, _)| *function == number);
            info.unexpected = own.map(|(_, statement)| *statement).collect();
            drop(unexpected);
            group.unit.borrow_mut().add(info);
            group.members.push(Member {
                resume: next.resume,
                resumed: RefCell::default(),
            });
            for guard in next.guards.bind(py).iter() {
                group.add_guard(&guard)?;
            }
        }
        group.settle(py, layout);
        let words = group.versions.iter();
        let words = words.map(|(dict, version)| (dict + 24, version.as_ptr() as usize));
        if group.guards.is_empty() || !group.versions.is_empty() {
            group.unit.borrow_mut().entry = Some(EntryGuards {
                words: words.collect(),
                refuted: group.is_refuted.as_ptr() as usize,
                otherwise: vectorcall as *const () as usize,
            });
        }
        Ok(Some(group))
    }

    fn compile(&self, py: Python<'_>, classes: &[u64]) -> PyResult<Option<(EntryPoint, usize)>> {
        let state = unsafe { self.state() };
        let types = classes
            .iter()
            .map(|&class| match type_of_class(class) {
                ty if ty.tags == Tags::of(COMPLEX) => ty.boxed(),
                ty => ty,
            })
            .collect::<Vec<_>>();
        let mut code = None;
        if let Some(group) = &state.group
            && state.versions.len() < VERSIONS_MAX
        {
            let mut unit = group.unit.borrow_mut();
            // What cannot be compiled runs in Python; the report says why.
            if let Ok(spec) = unit.specialise(0, &types)
                && let Some(compiled) = unit.specs[spec].code.clone()
            {
                let entry = compiled.address();
                if let Some(offset) = unit.specs[spec].vectorcall_offset {
                    let address = entry as usize + offset;
                    // The next version's entry goes on to this one.
                    if let Some(guards) = &mut unit.entry {
                        guards.otherwise = address;
                    }
                    self.entry.set(address);
                }
                let entry = unsafe { std::mem::transmute::<*const u8, EntryPoint>(entry) };
                code = Some((entry, unit.specs[spec].cell.get()));
            }
        }
        let _ = py;
        if state.versions.len() < 4 * VERSIONS_MAX {
            state.versions.push(Version {
                classes: classes.to_vec(),
                code,
            });
        }
        Ok(code)
    }

    fn specs<R>(&self, f: impl FnOnce(&[Spec], &Unit) -> R) -> Option<R> {
        let state = unsafe { self.state() };
        let group = state.group.as_ref()?;
        let unit = group.unit.borrow();
        Some(f(&unit.specs, &unit))
    }
}

/// The versions of a unit's first function that were compiled.
fn own(specs: &[Spec]) -> impl Iterator<Item = (&Spec, &Code)> {
    let own = specs.iter().filter(|spec| spec.function == 0);
    own.filter_map(|spec| Some((spec, spec.code.as_ref()?)))
}

/// The types of a version's parameters and of what it returns.
fn signature_text(spec: &Spec) -> String {
    let params = spec.params.iter().map(|ty| format!("{ty:?}"));
    let params = params.collect::<Vec<_>>().join(", ");
    format!("({params}) -> {:?}", spec.ret)
}

/// What the front says about a function.
struct Reached {
    text: String,
    values: Py<PyList>,
    constants: Py<PyList>,
    guards: Py<PyList>,
    resume: Py<PyAny>,
}

impl Reached {
    fn new(prepared: &Bound<'_, PyAny>, resume: Py<PyAny>) -> PyResult<Option<Self>> {
        if prepared.is_none() {
            return Ok(None);
        }
        let (text, values, constants, guards) =
            prepared.extract::<(String, Py<PyList>, Py<PyList>, Py<PyList>)>()?;
        Ok(Some(Self {
            text,
            values,
            constants,
            guards,
            resume,
        }))
    }
}

impl Group {
    pub(super) fn is_valid(&self, py: Python<'_>) -> bool {
        if self.is_refuted.get() {
            return false;
        }
        if !self.versions.is_empty() {
            let same = self.versions.iter().all(|(dict, version)| unsafe {
                (*dict as *const u64).add(3).read() == version.get()
            });
            if same {
                return true;
            }
        }
        let valid = self.guards.iter().all(|guard| guard.holds(py));
        if valid {
            for (dict, version) in &self.versions {
                version.set(unsafe { (*dict as *const u64).add(3).read() });
            }
        }
        valid
    }

    fn add_guard(&mut self, guard: &Bound<'_, PyAny>) -> PyResult<()> {
        let (holder, key, expected) =
            guard.extract::<(Py<PyAny>, Option<Py<PyAny>>, Py<PyAny>)>()?;
        let known = self.guards.iter().any(|guard| {
            let same_key = match (&guard.key, &key) {
                (Some(a), Some(b)) => a.as_ptr() == b.as_ptr(),
                (None, None) => true,
                _ => false,
            };
            same_key && guard.holder.as_ptr() == holder.as_ptr()
        });
        if !known {
            let is_unset = expected.as_ptr() == self.unset.as_ptr();
            self.guards.push(Guard {
                holder,
                key,
                expected: (!is_unset).then_some(expected),
            });
        }
        Ok(())
    }

    /// Notes the numbers of the dictionaries, if all guards are about dictionaries that have one.
    fn settle(&mut self, py: Python<'_>, layout: &Layout) {
        let all = self.guards.iter().all(|guard| guard.key.is_some());
        if !layout.dict_versions || !all {
            return;
        }
        for guard in &self.guards {
            let dict = guard.holder.as_ptr() as usize;
            let exact = guard.holder.bind(py).is_exact_instance_of::<PyDict>();
            if !exact {
                self.versions.clear();
                return;
            }
            if self.versions.iter().all(|&(known, _)| known != dict) {
                self.versions.push((dict, Cell::new(u64::MAX)));
            }
        }
    }

    fn info(
        &mut self,
        py: Python<'_>,
        layout: &Layout,
        numbers: &HashMap<usize, usize>,
        reached: &Reached,
    ) -> PyResult<FunctionInfo> {
        let program = Program::from_json(&reached.text)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let mut strings = HashMap::new();
        for text in program.texts() {
            let (key, object) = match text {
                Text::One(text) => {
                    let object = PyString::intern(py, &text);
                    (text, object.into_any())
                }
                Text::Names(key, names) => {
                    let names = names.iter().map(|name| PyString::intern(py, name));
                    (key, PyTuple::new(py, names)?.into_any())
                }
            };
            strings.insert(key, object.as_ptr() as usize);
            self._kept.push(object.unbind());
        }
        let values = reached.values.bind(py);
        let mut globals = Vec::new();
        for value in values.iter() {
            globals.push(self.global(&value, layout, numbers));
            self._kept.push(value.unbind());
        }
        let mut consts = Vec::new();
        for value in reached.constants.bind(py).iter() {
            let ty = object_type(value.as_ptr());
            consts.push((value.as_ptr() as usize, ty));
            self._kept.push(value.unbind());
        }
        if globals.len() != program.globals.len() || consts.len() != program.n_consts {
            return Err(PyValueError::new_err(
                "prepare() must give as many values and constants as the program names",
            ));
        }
        Ok(FunctionInfo::new(program, globals, consts, strings))
    }

    fn global(
        &self,
        value: &Bound<'_, PyAny>,
        layout: &Layout,
        numbers: &HashMap<usize, usize>,
    ) -> Global {
        let address = value.as_ptr() as usize;
        if address == self.unset.as_ptr() as usize {
            return Global::Unbound;
        }
        if let Some(&id) = numbers.get(&address) {
            return Global::Function { id, address };
        }
        if let Some(name) = layout.names.get(&address) {
            return Global::Builtin {
                name: name.clone(),
                address,
            };
        }
        if value.is_none() {
            return Global::None;
        }
        if value.is_exact_instance_of::<PyFloat>() || value.is_exact_instance_of::<PyInt>() {
            match value_of(value.as_ptr()) {
                Some((FLOAT, bits)) => return Global::Float(f64::from_bits(bits)),
                Some((INT, bits)) => return Global::Int(bits as i64),
                _ => {}
            }
        }
        if let Some((BOOL, bits)) = value_of(value.as_ptr()) {
            return Global::Bool(bits != 0);
        }
        Global::Object {
            address,
            ty: object_type(value.as_ptr()),
        }
    }
}

/// The type of an object that stays an object.
fn object_type(object: *mut PyObject) -> Ty {
    let (class, _) = classify(object, 0);
    match class & 0xff {
        ARRAY | LIST | STR | DICT | TUPLE | BYTES | COMPLEX_NUMBER => type_of_class(class),
        _ => Ty::of(OBJECT),
    }
}

/// How far the stack of this thread may grow down.
fn stack_limit() -> usize {
    thread_local! {
        static LIMIT: Cell<usize> = const { Cell::new(0) };
    }
    let limit = LIMIT.get();
    if limit != 0 {
        return limit;
    }
    // Room for Python to deal with what comes.
    const MARGIN: usize = 512 * 1024;
    let mut low = std::ptr::null_mut();
    let mut size = 0usize;
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &raw mut attributes) == 0 {
            libc::pthread_attr_getstack(&raw const attributes, &raw mut low, &raw mut size);
            libc::pthread_attr_destroy(&raw mut attributes);
        }
    }
    let here = (&raw const low) as usize;
    let limit = if low.is_null() {
        here.saturating_sub(MARGIN)
    } else {
        low as usize + MARGIN.min(size / 2)
    };
    LIMIT.set(limit);
    limit
}

/// Fills a context for a call, unless the stack is full.
pub(super) unsafe extern "C" fn enter(context: *mut Context) -> u64 {
    let limit = stack_limit();
    unsafe {
        *context = Context {
            depth: i64::from(ffi::Py_GetRecursionLimit()),
            stack_limit: limit,
            status: 0,
        };
    }
    u64::from((&raw const limit as usize) >= limit)
}

const PY_VECTORCALL_ARGUMENTS_OFFSET: usize = 1 << (usize::BITS - 1);

unsafe extern "C" fn vectorcall(
    callable: *mut PyObject,
    args: *const *mut PyObject,
    n_args: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    unsafe {
        let py = Python::assume_attached();
        let callable = Bound::from_borrowed_ptr(py, callable);
        let function = callable.cast_unchecked::<Function>().get();
        let n_args = n_args & !PY_VECTORCALL_ARGUMENTS_OFFSET;
        function.called(py, args, n_args, names)
    }
}

#[pymethods]
impl Function {
    #[new]
    fn new(
        py: Python<'_>,
        name: String,
        prepare: Py<PyAny>,
        fallback: Py<PyAny>,
        resume: Py<PyAny>,
        unset: Py<PyAny>,
        options: &Bound<'_, PyDict>,
    ) -> PyResult<Self> {
        layout(py)?;
        let permits = |name: &str| match options.get_item(name)? {
            Some(wanted) => wanted.is_truthy(),
            None => Ok(false),
        };
        Ok(Self {
            entry: Entry::custom(vectorcall),
            name,
            prepare,
            fallback,
            resume,
            unset,
            bind: options.get_item("bind")?.map(Bound::unbind),
            report: options.get_item("report")?.map(Bound::unbind),
            listing: options.get_item("listing")?.map(Bound::unbind),
            fast_math: permits("fast_math")?,
            parallel: permits("parallel")?,
            nogil: permits("nogil")?,
            state: UnsafeCell::default(),
        })
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        this: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        enable(this);
        let mut all = args.iter().map(|arg| arg.as_ptr()).collect::<Vec<_>>();
        let mut names = None;
        if let Some(kwargs) = kwargs.filter(|kwargs| !kwargs.is_empty()) {
            for value in kwargs.values() {
                all.push(value.as_ptr());
            }
            names = Some(PyTuple::new(py, kwargs.keys())?);
        }
        let names = names.as_ref().map_or(std::ptr::null_mut(), Bound::as_ptr);
        unsafe {
            let result = this.get().called(py, all.as_ptr(), args.len(), names);
            Bound::from_owned_ptr_or_err(py, result)
        }
    }

    fn __get__<'py>(
        this: &Bound<'py, Self>,
        instance: &Bound<'py, PyAny>,
        owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = owner;
        if instance.is_none() {
            return Ok(this.clone().into_any());
        }
        let types = this.py().import("types")?;
        types.getattr("MethodType")?.call1((this, instance))
    }

    fn __repr__(&self) -> String {
        format!("<opcodon.jit function {}>", self.name)
    }

    /// The types of parameters that were compiled so far.
    fn signatures(&self) -> Vec<String> {
        let compiled = |specs: &[Spec], _: &Unit| {
            let texts = own(specs).map(|(spec, _)| signature_text(spec));
            texts.collect()
        };
        self.specs(compiled).unwrap_or_default()
    }

    /// Per statement: how often it was left, and why.
    fn exits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = PyDict::new(py);
        let rows = |specs: &[Spec], _: &Unit| {
            let own = specs.iter().filter(|spec| spec.function == 0);
            let records = own.flat_map(|spec| &spec.records);
            let rows = records.map(|r| (r.statement, r.line, r.why.clone(), r.n_taken.get()));
            rows.collect::<Vec<_>>()
        };
        for (statement, line, why, n_taken) in self.specs(rows).unwrap_or_default() {
            if n_taken > 0 {
                let entry = PyDict::new(py);
                entry.set_item("line", line)?;
                entry.set_item("why", why)?;
                entry.set_item("n_taken", n_taken)?;
                report.set_item(statement, entry)?;
            }
        }
        Ok(report)
    }

    /// Per loop that runs by the vector: how many rows at a time.
    fn vectors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let vectors = PyDict::new(py);
        let rows = |specs: &[Spec], _: &Unit| {
            let vectors = own(specs).flat_map(|(spec, _)| &spec.vectors);
            vectors
                .map(|vector| (vector.statement, vector.n_rows))
                .collect::<Vec<_>>()
        };
        for (statement, n_rows) in self.specs(rows).unwrap_or_default() {
            vectors.set_item(statement, n_rows)?;
        }
        Ok(vectors)
    }

    /// Per expression over arrays that was computed in one pass: how many operations it has.
    fn passes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let passes = PyDict::new(py);
        let rows = |specs: &[Spec], _: &Unit| {
            let wholes = own(specs).flat_map(|(spec, _)| &spec.wholes);
            let done = wholes.filter(|whole| whole.n_done.get() > 0);
            done.map(|whole| (whole.statement, whole.n_operations()))
                .collect::<Vec<_>>()
        };
        for (statement, n_operations) in self.specs(rows).unwrap_or_default() {
            passes.set_item(statement, n_operations)?;
        }
        Ok(passes)
    }

    /// What the front makes of `exits`, and of the program.
    fn report<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        match &this.get().report {
            Some(report) => report.bind(this.py()).call1((this,)),
            None => Ok(this.get().exits(this.py())?.into_any()),
        }
    }

    /// The report, for a notebook.
    fn _repr_html_<'py>(this: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(report) = &this.get().report else {
            return Ok(None);
        };
        let report = report.bind(this.py()).call1((this,))?;
        report.call_method0("_repr_html_").map(Some)
    }

    /// Whether a native version exists whose exits were never taken in vain.
    fn is_native(&self) -> bool {
        let native = |specs: &[Spec], _: &Unit| {
            own(specs).any(|(spec, _)| {
                let mut exits = spec.records.iter().filter(|record| !record.why.is_empty());
                exits.all(|record| record.n_taken.get() == 0)
            })
        };
        self.specs(native).unwrap_or(false)
    }

    /// The machine code of a version; of the one compiled first by default.
    #[pyo3(signature = (signature=0, style="intel"))]
    fn disassemble<'py>(
        &self,
        py: Python<'py>,
        signature: usize,
        style: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let bytes = |specs: &[Spec], _: &Unit| {
            let mut codes = own(specs).map(|(_, code)| code);
            codes.nth(signature).map(|code| code.bytes().to_vec())
        };
        let Some(bytes) = self.specs(bytes).flatten() else {
            return Err(PyValueError::new_err(
                "no such version has been compiled; call it first",
            ));
        };
        assembly::disassemble(py, &bytes, style)
    }

    /// Of each version: its types, its code, where in it the native function begins, which bytes
    /// are for which statement, and the loops that run by the vector with their code.
    fn versions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let read = |specs: &[Spec], _: &Unit| {
            let read = own(specs).map(|(spec, code)| {
                let places = spec.places.iter();
                let places = places.map(|at| (at.span.start, at.span.end, at.statement));
                let vectors = spec.vectors.iter().map(|vector| {
                    let code = PyBytes::new(py, vector.code.bytes());
                    (vector.statement, vector.n_rows, code)
                });
                (
                    signature_text(spec),
                    PyBytes::new(py, code.bytes()),
                    spec.native_offset,
                    places.collect::<Vec<_>>(),
                    vectors.collect::<Vec<_>>(),
                )
            });
            read.collect::<Vec<_>>()
        };
        PyList::new(py, self.specs(read).unwrap_or_default())
    }

    /// The function as one of Python's built-in functions, which it calls faster.
    #[getter]
    fn builtin<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        builtin(this)
    }

    /// Source and machine code side by side.
    fn listing<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        match &this.get().listing {
            Some(listing) => listing.bind(this.py()).call1((this,)),
            None => Ok(this.get().disassemble(this.py(), 0, "intel")?),
        }
    }

    /// What it refers to; the cycles that it is in are broken elsewhere, as all of them go through
    /// a function or a dictionary of Python's.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for object in [&self.prepare, &self.fallback, &self.resume, &self.unset] {
            visit.call(object)?;
        }
        for object in self.bind.iter().chain(&self.report).chain(&self.listing) {
            visit.call(object)?;
        }
        let state = unsafe { self.state() };
        for group in state.group.iter().chain(&state.retired) {
            visit.call(&group.unset)?;
            for guard in &group.guards {
                visit.call(&guard.holder)?;
                for object in guard.key.iter().chain(&guard.expected) {
                    visit.call(object)?;
                }
            }
            for object in &group._kept {
                visit.call(object)?;
            }
            for member in &group.members {
                visit.call(&member.resume)?;
                if let Ok(resumed) = member.resumed.try_borrow() {
                    for object in resumed.values() {
                        visit.call(object)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Forgets all compiled versions.
    fn clear(&self) {
        let state = unsafe { self.state() };
        if let Some(old) = state.group.take() {
            state.retired.push(old);
        }
        state.versions.clear();
        self.entry.set(vectorcall as *const () as usize);
        state.is_plain = false;
    }
}
