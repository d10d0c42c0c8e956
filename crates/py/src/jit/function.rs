//! The class of compiled functions, and how a call finds its code.
//!
//! A call with as many positional arguments as there are parameters is classified argument by
//! argument, and the classes are compared with those of the versions compiled so far. Names that
//! were frozen are guarded: as long as no dictionary concerned was written, that is one comparison
//! a dictionary; otherwise the objects are looked up again, and if one is another, the function is
//! prepared anew. Old code is kept, since it may be running.

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;

use opcodon_codemem::Code;
use opcodon_pyfn::{BOOL, COMPLEX, Context, FLOAT, INT, OBJECT, RAISED, Spec, Tags, Unit};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use super::argument::{classify, type_of_class};
use super::calls::{self, box_value, recursion};
use super::classes;
use super::group::Group;
use super::layout::layout;
use super::lock;
use super::seen::SeenSoFar;
use crate::assembly;
use crate::seal::vectorcall::{Callable, Entry, builtin, enable};

/// Functions of more parameters run in Python.
const N_ARGS_MAX: usize = 16;

/// Versions beyond which calls go to Python.
const VERSIONS_MAX: usize = 64;

/// A compiled version.
struct Version {
    classes: Vec<u64>,
    /// None if these types are left to Python.
    code: Option<Native>,
    /// Why there is none.
    refusal: Option<String>,
}

/// The code of a version.
#[derive(Clone, Copy)]
struct Native {
    /// The entry for Python.
    entry: EntryPoint,
    /// The native function.
    function: usize,
    /// Whether it runs without the interpreter lock.
    is_free: bool,
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
    /// What operations were seen to give.
    seen: SeenSoFar,
    /// The addresses of classes that were changed after functions had been compiled for them.
    unstable: Vec<usize>,
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
    pub(super) prepare: Py<PyAny>,
    #[pyo3(get)]
    pub(super) fallback: Py<PyAny>,
    pub(super) resume: Py<PyAny>,
    pub(super) unset: Py<PyAny>,
    bind: Option<Py<PyAny>>,
    report: Option<Py<PyAny>>,
    listing: Option<Py<PyAny>>,
    /// Makes a function of its kind of a method that it calls.
    along: Option<Py<PyAny>>,
    /// Whether floats may be added in another order.
    fast_math: bool,
    /// Whether indices into arrays are within bounds.
    trusts_indices: bool,
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
                None => self.compile(py, values)?,
            };
            let Some(native) = code else {
                return Ok(None);
            };
            let mut context = Context {
                depth: i64::from(ffi::Py_GetRecursionLimit()),
                stack_limit: stack_limit(),
                status: 0,
            };
            let mut out = [0u64; 3];
            let mut call = || {
                (native.entry)(
                    &raw mut context,
                    values.as_ptr(),
                    &raw mut out,
                    native.function,
                )
            };
            if native.is_free {
                lock::without(call);
            } else {
                call();
            }
            // What was seen meanwhile is made use of by the next call.
            if let Some(group) = &self.state().group
                && group.has_seen.get()
            {
                group.is_refuted.set(true);
            }
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
            state.seen.take_over(py, group);
            state
                .unstable
                .extend(classes::changed(&group.unit.borrow().classes));
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
        let state = unsafe { self.state() };
        let group = Group::of(py, layout(py)?, self, state.unexpected.clone())?;
        if let Some(group) = &group {
            let mut unit = group.unit.borrow_mut();
            unit.hoists = state.hoists;
            unit.fast_math = self.fast_math;
            unit.trusts_indices = self.trusts_indices;
            unit.parallel = self.parallel;
            unit.nogil = self.nogil;
            unit.observes = state.seen.goes_on();
        }
        Ok(group)
    }

    /// Compiles a version for such values, a class and bits each.
    fn compile(&self, py: Python<'_>, values: &[[u64; 2]]) -> PyResult<Option<Native>> {
        let state = unsafe { self.state() };
        let (mut code, mut refusal) = (None, None);
        if let Some(group) = &mut state.group
            && state.versions.len() < VERSIONS_MAX
        {
            if let Some(along) = &self.along {
                // Functions of classes are prepared, which runs Python.
                state.is_busy = true;
                let seen = state
                    .seen
                    .classes
                    .iter()
                    .map(|class| class.bind(py).clone());
                let learnt = classes::learn(
                    py,
                    group,
                    (values, seen.collect()),
                    along.bind(py),
                    &state.unstable,
                );
                state.is_busy = false;
                // A class that cannot be looked at is like any other object.
                if let Err(error) = learnt
                    && !error.is_instance_of::<PyException>(py)
                {
                    return Err(error);
                }
            }
            state.seen.tell(group);
            let known = group.unit.borrow().classes.clone();
            let types = values
                .iter()
                .map(|value| match type_of_class(value[0], &known) {
                    ty if ty.tags == Tags::of(COMPLEX) => ty.boxed(),
                    ty => ty,
                })
                .collect::<Vec<_>>();
            let mut unit = group.unit.borrow_mut();
            // What cannot be compiled runs in Python; the report says why.
            let spec = unit.specialise(0, &types);
            refusal = spec.as_ref().err().map(ToString::to_string);
            if let Ok(spec) = spec
                && let Some(compiled) = unit.specs[spec].code.clone()
            {
                let entry = compiled.address();
                let is_free = self.nogil && unit.is_quiet(spec);
                if let Some(offset) = unit.specs[spec].vectorcall_offset
                    && !is_free
                {
                    let address = entry as usize + offset;
                    // The next version's entry goes on to this one.
                    if let Some(guards) = &mut unit.entry {
                        guards.otherwise = address;
                    }
                    self.entry.set(address);
                }
                let entry = unsafe { std::mem::transmute::<*const u8, EntryPoint>(entry) };
                code = Some(Native {
                    entry,
                    function: unit.specs[spec].cell.get(),
                    is_free,
                });
            }
        }
        if state.versions.len() < 4 * VERSIONS_MAX {
            state.versions.push(Version {
                classes: values.iter().map(|value| value[0]).collect(),
                code,
                refusal,
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

pub(super) unsafe extern "C" fn vectorcall(
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
            along: options.get_item("along")?.map(Bound::unbind),
            fast_math: permits("fast_math")?,
            trusts_indices: match options.get_item("boundscheck")? {
                Some(wanted) => !wanted.is_truthy()?,
                None => false,
            },
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

    /// Why calls run in Python for which nothing was compiled.
    fn refusals(&self) -> Vec<String> {
        let versions = unsafe { self.state() }.versions.iter();
        versions
            .filter_map(|version| version.refusal.clone())
            .collect()
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

    /// Whether a version runs without the interpreter lock.
    fn is_free(&self) -> bool {
        let versions = unsafe { self.state() }.versions.iter();
        let mut codes = versions.filter_map(|version| version.code);
        codes.any(|native| native.is_free)
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
        let others = [&self.bind, &self.report, &self.listing, &self.along];
        for object in others.into_iter().flatten() {
            visit.call(object)?;
        }
        let state = unsafe { self.state() };
        for class in &state.seen.classes {
            visit.call(class)?;
        }
        for group in state.group.iter().chain(&state.retired) {
            group.traverse(&visit)?;
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
