//! Classes of Python's, as compiled functions know them.
//!
//! Which attributes of an instance are slots, values or methods is read off the class, its bases and
//! the names that its instances share; what attributes hold is seen in instances that are at hand. A
//! class counts only if its attributes mean what they mean by default: no `__getattribute__`,
//! `__getattr__` or `__setattr__` of its own. Compiled code looks at the number of the class's
//! version, so that what was read here stays true.

use std::collections::{BTreeSet, HashSet};

use opcodon_pyfn::{Bin, Class, Classes, FunctionId, Maker, Member, SUPER, Text, Ty};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyFunction, PyList, PyTuple, PyType};

use super::argument::{classify, holds_instances, type_of_class};
use super::calls::type_of;
use super::function::Function;
use super::group::Group;
use super::layout::{Layout, known};
use super::side::{clear_error, without_error};

/// Classes beyond which instances are any objects.
const CLASSES_MAX: usize = 32;

/// Instances that are looked at, and how deep they may lie in others.
const SAMPLES_MAX: usize = 64;
const DEPTH_MAX: usize = 4;

/// Learns the classes that a group's functions meet when they are called with such values: those of
/// instances among them, and those that the functions call.
pub(super) fn learn<'py>(
    py: Python<'py>,
    group: &mut Group,
    (values, seen): (&[[u64; 2]], Vec<Bound<'py, PyType>>),
    along: &Bound<'_, PyAny>,
    unstable: &[usize],
) -> PyResult<()> {
    let layout = known();
    if !layout.has_class_versions() {
        return Ok(());
    }
    let samples = Samples::of(py, values);
    let mut classes = samples.classes.clone();
    for class in seen.into_iter().filter(is_of_python) {
        if !classes.iter().any(|known| known.is(&class)) {
            classes.push(class);
        }
    }
    let mut n_known = (0, 0);
    let mut learnt = Learnt {
        layout,
        along,
        made: HashSet::new(),
    };
    loop {
        // Methods call others, of more classes.
        for class in called(py, group) {
            learnt.made.insert(class.as_ptr() as usize);
            if !classes.iter().any(|known| known.is(&class)) {
                classes.push(class);
            }
        }
        classes.retain(|class| !unstable.contains(&(class.as_ptr() as usize)));
        classes.truncate(CLASSES_MAX);
        if classes.is_empty() || n_known == (classes.len(), group.members.len()) {
            break;
        }
        n_known = (classes.len(), group.members.len());
        let names = names(group);
        for class in &classes {
            if let Some(found) = learnt.class(group, class, &names)? {
                group.unit.borrow().classes.learn(found);
            }
        }
    }
    if n_known.0 > 0 {
        for class in classes {
            group.keep(class.into_any().unbind());
        }
        group.settle(py, layout);
        samples.note(&group.unit.borrow().classes);
    }
    Ok(())
}

/// The addresses of classes that are not any more as they were.
pub(super) fn changed(classes: &Classes) -> Vec<usize> {
    let all = classes.all().into_iter();
    let changed = all.filter(|class| version(class.address) != class.version);
    changed.map(|class| class.address).collect()
}

/// The number of a class's version.
pub(super) fn version(class: usize) -> u32 {
    let offset = usize::try_from(known().runtime.type_version).unwrap_or(0);
    unsafe { ((class + offset) as *const u32).read() }
}

/// All names in the programs of a group.
fn names(group: &Group) -> BTreeSet<String> {
    let unit = group.unit.borrow();
    let programs = || unit.functions.iter().map(|info| &info.program);
    let texts = programs().flat_map(|program| program.texts());
    let names = texts.filter_map(|text| match text {
        Text::One(name) => Some(name),
        Text::Names(..) => None,
    });
    names
        .chain(programs().flat_map(|program| program.operators()))
        .collect()
}

/// The classes among the global names of a group's functions.
fn called<'py>(py: Python<'py>, group: &Group) -> Vec<Bound<'py, PyType>> {
    let unit = group.unit.borrow();
    let globals = unit.functions.iter().flat_map(|info| &info.globals);
    let objects = globals.filter_map(|global| match global {
        opcodon_pyfn::Global::Object { address, .. } => Some(*address as *mut PyObject),
        _ => None,
    });
    let objects = objects.map(|object| unsafe { Bound::from_borrowed_ptr(py, object) });
    let classes = objects.filter_map(|object| object.cast_into::<PyType>().ok());
    classes.filter(is_of_python).collect()
}

fn flags(class: &Bound<'_, PyType>) -> u64 {
    unsafe { ffi::PyType_GetFlags(class.as_type_ptr()) }
}

/// `Py_TPFLAGS_IMMUTABLETYPE`.
const IMMUTABLE: u64 = 1 << 8;

/// Whether what a class has may change.
pub(super) fn is_changeable(class: &Bound<'_, PyType>) -> bool {
    flags(class) & ffi::Py_TPFLAGS_HEAPTYPE != 0 && flags(class) & IMMUTABLE == 0
}

/// Whether a class is one of Python's that may be looked at without running anything of anybody's.
fn is_of_python(class: &Bound<'_, PyType>) -> bool {
    flags(class) & ffi::Py_TPFLAGS_HEAPTYPE != 0 && is_plain(class)
}

/// Whether a class is asked for attributes as most are.
pub(super) fn is_plain(class: &Bound<'_, PyType>) -> bool {
    let plain = class.py().get_type::<PyType>();
    slot(&class.get_type(), ffi::Py_tp_getattro) == slot(&plain, ffi::Py_tp_getattro)
}

fn slot(class: &Bound<'_, PyType>, slot: std::ffi::c_int) -> usize {
    unsafe { ffi::PyType_GetSlot(class.as_type_ptr(), slot) as usize }
}

/// Whether a class does in a slot what `object` does.
pub(super) fn is_generic(class: &Bound<'_, PyType>, number: std::ffi::c_int) -> bool {
    slot(class, number) == slot(&class.py().get_type::<PyAny>(), number)
}

/// What a class and its bases say about a name, or only the bases behind one that the name tells.
pub(super) fn in_class<'py>(
    class: &Bound<'py, PyType>,
    name: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let (behind, name) = match name
        .strip_prefix(SUPER)
        .and_then(|name| name.split_once(':'))
    {
        Some((address, name)) => (address.parse::<usize>().ok(), name),
        None => (None, name),
    };
    let bases = class.mro();
    let is_behind = |base: &Bound<'_, PyAny>| behind == Some(base.as_ptr() as usize);
    let n_skipped = match behind {
        Some(_) => match bases.iter().position(|base| is_behind(&base)) {
            Some(at) => at + 1,
            None => return Ok(None),
        },
        None => 0,
    };
    for base in bases.iter().skip(n_skipped) {
        let dict = base.getattr("__dict__")?;
        if dict.contains(name)? {
            return dict.get_item(name).map(Some);
        }
    }
    Ok(None)
}

/// What is needed to learn classes.
struct Learnt<'a, 'py> {
    layout: &'static Layout,
    /// Makes a compiled function of a method.
    along: &'a Bound<'py, PyAny>,
    /// The classes that are called.
    made: HashSet<usize>,
}

impl<'py> Learnt<'_, 'py> {
    /// What is known of a class, if its attributes mean what they mean by default.
    fn class(
        &self,
        group: &mut Group,
        class: &Bound<'py, PyType>,
        names: &BTreeSet<String>,
    ) -> PyResult<Option<Class>> {
        let generic = [ffi::Py_tp_getattro, ffi::Py_tp_setattro];
        if !generic.iter().all(|&number| is_generic(class, number)) {
            return Ok(None);
        }
        let mut maker = self.maker(group, class)?;
        let mut shared = self.layout.classes.shared_names(class);
        let mut members = std::collections::HashMap::new();
        for name in names {
            if let Some(found) = in_class(class, name)? {
                let member = self.of_class(group, class, name, &found, &shared)?;
                members.insert(name.clone(), member.unwrap_or(Member::Other));
            }
        }
        if let Some(known) = &shared
            && maker != Maker::Unknown
            && in_class(class, "__del__")?.is_none()
        {
            let assigned = assigned(group, &members, maker);
            let new = assigned.iter().filter(|name| !known.contains(name));
            if new.clone().next().is_some() {
                self.share(class, new)?;
                shared = self.layout.classes.shared_names(class);
            }
        }
        if let Some(shared) = &shared {
            for name in names {
                let position = shared.iter().position(|known| known == name);
                if let Some(Ok(number)) = position.map(u8::try_from)
                    && !may_be_data_descriptor(in_class(class, name)?.as_ref())
                {
                    members.insert(name.clone(), Member::Value(number));
                }
            }
        } else if self.layout.classes.has_dictionary(class)? {
            // An attribute of an instance may come before a method.
            members.retain(|_, member| !matches!(member, Member::Method(..)));
        }
        // Asking for an attribute gives a class a number, if it has none.
        class.hasattr("__init__")?;
        let version = version(class.as_ptr() as usize);
        if version == 0 {
            return Ok(None);
        }
        if flags(class) & IS_ABSTRACT != 0 {
            maker = Maker::Unknown;
        }
        Ok(Some(Class {
            name: class.name()?.to_string().into(),
            address: class.as_ptr() as usize,
            version,
            names: shared.and_then(|_| self.layout.classes.n_shared_names(class)),
            members,
            maker,
        }))
    }

    /// Has names shared by instances before there is one that has such attributes, so that their
    /// places are known.
    fn share<'a>(
        &self,
        class: &Bound<'py, PyType>,
        names: impl Iterator<Item = &'a String>,
    ) -> PyResult<()> {
        let py = class.py();
        let object = new_object(class.as_ptr());
        let object = unsafe { Bound::from_owned_ptr_or_err(py, object)? };
        for name in names {
            if !may_be_data_descriptor(in_class(class, name)?.as_ref()) {
                object.setattr(name.as_str(), py.None())?;
            }
        }
        Ok(())
    }

    fn function(
        &self,
        group: &mut Group,
        function: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(FunctionId, usize)>> {
        if !function.is_exact_instance_of::<PyFunction>() {
            return Ok(None);
        }
        let made = self.along.call1((function,))?;
        let Ok(made) = made.cast::<Function>() else {
            return Ok(None);
        };
        let number = group.reach(function.py(), self.layout, made.get())?;
        Ok(number.map(|number| (number, function.as_ptr() as usize)))
    }

    fn of_class(
        &self,
        group: &mut Group,
        class: &Bound<'py, PyType>,
        name: &str,
        found: &Bound<'py, PyAny>,
        shared: &Option<Vec<String>>,
    ) -> PyResult<Option<Member>> {
        if let Some(offset) = self.layout.classes.slot_offset(class, found) {
            return Ok(Some(Member::Slot(offset)));
        }
        if self.layout.classes.is_property(found) {
            let getter = found.getattr("fget")?;
            let function = self.function(group, &getter)?;
            return Ok(function.map(|(id, address)| Member::Property(id, address)));
        }
        if shared
            .as_ref()
            .is_some_and(|shared| shared.iter().any(|known| known == name))
        {
            return Ok(None);
        }
        let function = self.function(group, found)?;
        Ok(function.map(|(id, address)| Member::Method(id, address)))
    }

    /// How calls of a class make instances.
    fn maker(&self, group: &mut Group, class: &Bound<'py, PyType>) -> PyResult<Maker> {
        let py = class.py();
        let (object, plain) = (py.get_type::<PyAny>(), py.get_type::<PyType>());
        let is_made_plainly = self.made.contains(&(class.as_ptr() as usize))
            && slot(&class.get_type(), ffi::Py_tp_call) == slot(&plain, ffi::Py_tp_call)
            && slot(class, ffi::Py_tp_new) == slot(&object, ffi::Py_tp_new)
            && slot(class, ffi::Py_tp_alloc) == slot(&object, ffi::Py_tp_alloc);
        if !is_made_plainly {
            return Ok(Maker::Unknown);
        }
        let Some(init) = in_class(class, "__init__")? else {
            return Ok(Maker::Unknown);
        };
        if init.is(&object.getattr("__init__")?) {
            return Ok(Maker::Bare);
        }
        let function = self.function(group, &init)?;
        Ok(function.map_or(Maker::Unknown, |(id, address)| Maker::Init(id, address)))
    }
}

/// `Py_TPFLAGS_IS_ABSTRACT`.
const IS_ABSTRACT: u64 = 1 << 20;

/// The attributes that methods of a class assign, in the order of their statements, those of
/// `__init__` first.
fn assigned(
    group: &Group,
    members: &std::collections::HashMap<String, Member>,
    maker: Maker,
) -> Vec<String> {
    let unit = group.unit.borrow();
    let mut methods = members
        .values()
        .filter_map(|member| match member {
            Member::Method(id, _) => Some(*id),
            _ => None,
        })
        .collect::<Vec<_>>();
    methods.sort_unstable();
    let init = match maker {
        Maker::Init(id, _) => Some(id),
        _ => None,
    };
    let mut names = Vec::new();
    for id in init.into_iter().chain(methods) {
        for name in unit.functions[id].program.assigned_to_first() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Whether an attribute of a class comes before one of an instance, or may do so later: what class
/// it is of can change without the class that holds it.
pub(super) fn may_be_data_descriptor(found: Option<&Bound<'_, PyAny>>) -> bool {
    found.is_some_and(|found| {
        let class = found.get_type();
        if is_changeable(&class) {
            return true;
        }
        ["__set__", "__delete__"]
            .iter()
            .any(|name| without_error(class.py(), class.hasattr(*name)).unwrap_or(true))
    })
}

/// A new instance of a class that makes them as `object` does.
pub(super) extern "C" fn new_object(class: *mut PyObject) -> *mut PyObject {
    let layout = known();
    unsafe { (layout.object_new)(class.cast(), layout.no_args.as_ptr(), std::ptr::null_mut()) }
}

/// Whether an attribute is a function as a method of the object.
pub(super) unsafe extern "C" fn is_method(
    object: *mut PyObject,
    name: *mut PyObject,
    function: *mut PyObject,
) -> u64 {
    unsafe {
        let found = ffi::PyObject_GetAttr(object, name);
        if found.is_null() {
            clear_error();
            return 0;
        }
        // The function and the object follow the head.
        let is_method = type_of(found) == known().classes.method_type
            && found.cast::<*mut PyObject>().add(2).read() == function
            && found.cast::<*mut PyObject>().add(3).read() == object;
        ffi::Py_DecRef(found);
        u64::from(is_method)
    }
}

/// Raises that there is no such operation on these.
pub(super) unsafe extern "C" fn unsupported(
    op: usize,
    in_place: u64,
    a: *mut PyObject,
    b: *mut PyObject,
) -> i64 {
    let py = unsafe { Python::assume_attached() };
    let symbol = match (Bin::ALL[op], in_place) {
        (Bin::Pow, 1) => "**=".to_owned(),
        (op, 0) => op.symbol().to_owned(),
        (op, _) => format!("{}=", op.symbol()),
    };
    let [a, b] = [a, b].map(|object| name_of_type(py, object));
    let message = format!("unsupported operand type(s) for {symbol}: '{a}' and '{b}'");
    unsafe { raise(ffi::PyExc_TypeError, &message) };
    -1
}

/// What a comparison gives whose method of the first operand does not know the other.
pub(super) unsafe extern "C" fn compare_refused(
    op: i32,
    a: *mut PyObject,
    b: *mut PyObject,
) -> *mut PyObject {
    const SWAPPED: [i32; 6] = [
        ffi::Py_GT,
        ffi::Py_GE,
        ffi::Py_EQ,
        ffi::Py_NE,
        ffi::Py_LT,
        ffi::Py_LE,
    ];
    const SYMBOLS: [&str; 6] = ["<", "<=", "==", "!=", ">", ">="];
    unsafe {
        let at = usize::try_from(op).unwrap_or(0);
        let slot =
            ffi::PyType_GetSlot(type_of(b) as *mut ffi::PyTypeObject, ffi::Py_tp_richcompare);
        if !slot.is_null() {
            let compare = std::mem::transmute::<*mut std::ffi::c_void, ffi::richcmpfunc>(slot);
            let found = compare(b, a, SWAPPED[at]);
            if found != ffi::Py_NotImplemented() {
                return found;
            }
            ffi::Py_DecRef(found);
        }
        if op == ffi::Py_EQ || op == ffi::Py_NE {
            return ffi::PyBool_FromLong(((a == b) == (op == ffi::Py_EQ)).into());
        }
        let py = Python::assume_attached();
        let [a, b] = [a, b].map(|object| name_of_type(py, object));
        let symbol = SYMBOLS[at];
        let message = format!("'{symbol}' not supported between instances of '{a}' and '{b}'");
        raise(ffi::PyExc_TypeError, &message);
        std::ptr::null_mut()
    }
}

/// What `len` makes of what `__len__` gave.
pub(super) unsafe extern "C" fn len_gave(given: *mut PyObject) -> i64 {
    unsafe {
        let index = ffi::PyNumber_Index(given);
        ffi::Py_DecRef(given);
        if index.is_null() {
            return -1;
        }
        let size = ffi::PyNumber_AsSsize_t(index, ffi::PyExc_OverflowError);
        let zero = ffi::PyLong_FromLong(0);
        let is_negative = ffi::PyObject_RichCompareBool(index, zero, ffi::Py_LT) == 1;
        ffi::Py_DecRef(zero);
        ffi::Py_DecRef(index);
        if is_negative {
            ffi::PyErr_Clear();
            raise(ffi::PyExc_ValueError, "__len__() should return >= 0");
        }
        if is_negative { -1 } else { size as i64 }
    }
}

/// Raises an exception. By hand: compiled functions call without what PyO3 needs to release references at
/// once, and what it keeps for later would pile up.
unsafe fn raise(kind: *mut PyObject, message: &str) {
    unsafe {
        let (start, length) = (message.as_ptr().cast(), message.len() as ffi::Py_ssize_t);
        let text = ffi::PyUnicode_FromStringAndSize(start, length);
        if !text.is_null() {
            ffi::PyErr_SetObject(kind, text);
            ffi::Py_DecRef(text);
        }
    }
}

fn name_of_type(py: Python<'_>, object: *mut PyObject) -> String {
    let object = unsafe { Bound::from_borrowed_ptr(py, object) };
    let name = object.get_type().name();
    name.map_or_else(|_| String::new(), |name| name.to_string())
}

/// Looks at what `__init__` gave.
pub(super) unsafe extern "C" fn init_gave(given: *mut PyObject, instance: *mut PyObject) -> i64 {
    unsafe {
        let is_none = given == ffi::Py_None();
        if !is_none {
            ffi::Py_DecRef(instance);
        }
        if !is_none && !given.is_null() {
            let py = Python::assume_attached();
            let name = name_of_type(py, given);
            let message = format!("__init__() should return None, not '{name}'");
            raise(ffi::PyExc_TypeError, &message);
        }
        ffi::Py_DecRef(given);
        if is_none { 0 } else { -1 }
    }
}

/// Instances at hand.
struct Samples<'py> {
    classes: Vec<Bound<'py, PyType>>,
    objects: Vec<Bound<'py, PyAny>>,
}

impl<'py> Samples<'py> {
    /// Those among values, and in them.
    fn of(py: Python<'py>, values: &[[u64; 2]]) -> Self {
        let mut samples = Self {
            classes: Vec::new(),
            objects: Vec::new(),
        };
        for [class, bits] in values {
            if holds_instances(*class) {
                let object = *bits as *mut PyObject;
                samples.look(&unsafe { Bound::from_borrowed_ptr(py, object) }, 0);
            }
        }
        samples
    }

    fn look(&mut self, object: &Bound<'py, PyAny>, depth: usize) {
        if depth > DEPTH_MAX || self.objects.len() >= SAMPLES_MAX {
            return;
        }
        if let Ok(list) = object.cast_exact::<PyList>() {
            if let Ok(first) = list.get_item(0) {
                self.look(&first, depth + 1);
            }
            return;
        }
        if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            tuple
                .iter()
                .take(4)
                .for_each(|part| self.look(&part, depth + 1));
            return;
        }
        let class = object.get_type();
        if !is_of_python(&class) || self.objects.iter().any(|known| known.is(object)) {
            return;
        }
        if !self.classes.iter().any(|known| known.is(&class)) {
            self.classes.push(class.clone());
        }
        self.objects.push(object.clone());
        let layout = known();
        for name in layout.classes.shared_names(&class).unwrap_or_default() {
            if let Some(value) = layout.classes.value(object, &class, &name) {
                self.look(&value, depth + 1);
            }
        }
        let slots = class
            .mro()
            .iter()
            .filter_map(|base| base.getattr("__dict__").ok());
        let slots = slots.filter_map(|dict| dict.call_method0("values").ok()?.try_iter().ok());
        let slots = slots.flatten().filter_map(|descriptor| {
            let offset = layout.classes.slot_offset(&class, &descriptor.ok()?)?;
            reference(object, usize::try_from(offset).ok()?)
        });
        for value in slots.collect::<Vec<_>>() {
            self.look(&value, depth + 1);
        }
    }

    /// Notes what their attributes hold.
    fn note(&self, classes: &Classes) {
        for object in &self.objects {
            let class = object.get_type();
            let Some(id) = classes.id_of(class.as_ptr() as usize) else {
                continue;
            };
            let members = classes.all().swap_remove(id).members;
            for (name, member) in members {
                let value = match member {
                    Member::Slot(offset) => usize::try_from(offset)
                        .ok()
                        .and_then(|at| reference(object, at)),
                    Member::Value(_) => known().classes.value(object, &class, &name),
                    _ => None,
                };
                if let Some(value) = value {
                    classes.note(id, &name, &type_of_value(&value, classes));
                }
            }
        }
    }
}

fn type_of_value(value: &Bound<'_, PyAny>, classes: &Classes) -> Ty {
    type_of_class(classify(value.as_ptr(), 0).0, classes)
}

/// The reference at an offset of an object.
pub(super) fn reference<'py>(
    object: &Bound<'py, PyAny>,
    offset: usize,
) -> Option<Bound<'py, PyAny>> {
    unsafe {
        let place = object
            .as_ptr()
            .cast::<u8>()
            .add(offset)
            .cast::<*mut PyObject>();
        Bound::from_borrowed_ptr_or_opt(object.py(), place.read())
    }
}
