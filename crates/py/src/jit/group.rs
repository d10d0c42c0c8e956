//! Functions that are compiled together, and what keeps them valid.
//!
//! A group begins with one function; those that it calls, and the methods of classes that it meets,
//! come along. Names that were frozen are guarded; wrong guesses about types are noted, so that the
//! next group does without them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use opcodon_pyfn::{
    ArrayTy, BOOL, Defaults, EntryGuards, FLOAT, FunctionId, FunctionInfo, Global, INT, NUMPY,
    Program, Text, Unit,
};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use super::argument::object_type;
use super::calls::{array_of, value_of};
use super::function::Function;
use super::layout::Layout;
use super::side::clear_error;

/// Functions that were compiled together, the first for itself, and what keeps them valid.
pub(super) struct Group {
    pub(super) unit: RefCell<Unit>,
    pub(super) members: Vec<Member>,
    pub(super) unset: Py<PyAny>,
    guards: Vec<Guard>,
    /// Arrays that were frozen, by their addresses: they may be given another shape, or other rights.
    arrays: Vec<(usize, ArrayTy)>,
    /// Words in memory, and what they were when the guards were last found to hold: the numbers of
    /// dictionaries, and what is in cells. Code refers to these by their addresses.
    words: Vec<(usize, Box<Cell<u64>>)>,
    /// Whether that is all there is to look at.
    has_words: bool,
    /// A guess was wrong: the function is to be compiled again without.
    pub(super) is_refuted: Cell<bool>,
    /// Bounds may be checked before loops.
    pub(super) may_hoist: Cell<bool>,
    /// Functions, by their addresses, and statements before which a value was not of the type that
    /// was expected.
    pub(super) unexpected: RefCell<Vec<(usize, usize)>>,
    /// Functions by the addresses of what stands for them.
    numbers: HashMap<usize, FunctionId>,
    /// Whether code has noted what operations give (`seen`), and the classes of instances among it.
    pub(super) has_seen: Cell<bool>,
    pub(super) seen_classes: RefCell<Vec<Py<PyType>>>,
    _kept: Vec<Py<PyAny>>,
}

/// A Python function that continues, and whether it takes the first parameter besides all values.
type Resumed = (Py<PyAny>, bool);

/// A function of a group.
pub(super) struct Member {
    /// What stands for it.
    address: usize,
    resume: Py<PyAny>,
    resumed: RefCell<HashMap<(usize, i64), Resumed>>,
}

/// Functions beyond which no more come along.
const MEMBERS_MAX: usize = 40;

/// Wrong guesses about types beyond which a function is not compiled again.
const UNEXPECTED_MAX: usize = 16;

impl Group {
    /// Notes a wrong guess: the function is to be compiled again without it.
    pub(super) fn note_unexpected(&self, function: usize, statement: usize) {
        let place = (self.members[function].address, statement);
        let mut known = self.unexpected.borrow_mut();
        if known.len() < UNEXPECTED_MAX && !known.contains(&place) {
            known.push(place);
            self.is_refuted.set(true);
        }
    }
}

impl Member {
    /// The address of what stands for it.
    pub(super) fn address(&self) -> usize {
        self.address
    }

    /// The Python function that continues at a statement, and whether it takes the first parameter
    /// besides the list of all values.
    pub(super) fn resumed<'py>(
        &self,
        py: Python<'py>,
        statement: usize,
        mode: i64,
    ) -> PyResult<(Bound<'py, PyAny>, bool)> {
        if let Some((found, takes_first)) = self.resumed.borrow().get(&(statement, mode)) {
            return Ok((found.bind(py).clone(), *takes_first));
        }
        let made = self.resume.bind(py).call1((statement, mode))?;
        let code = made.getattr("__code__")?;
        let takes_first = code.getattr("co_argcount")?.extract::<usize>()? > 1;
        let kept = (made.clone().unbind(), takes_first);
        self.resumed.borrow_mut().insert((statement, mode), kept);
        Ok((made, takes_first))
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
                    clear_error();
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

/// What the front says about a function.
struct Reached {
    address: usize,
    text: String,
    values: Py<PyList>,
    constants: Py<PyList>,
    guards: Py<PyList>,
    resume: Py<PyAny>,
    function: Py<PyAny>,
}

impl Reached {
    fn new(py: Python<'_>, function: &Function) -> PyResult<Option<Self>> {
        let prepared = function.prepare.bind(py).call0()?;
        if prepared.is_none() {
            return Ok(None);
        }
        let (text, values, constants, guards) =
            prepared.extract::<(String, Py<PyList>, Py<PyList>, Py<PyList>)>()?;
        Ok(Some(Self {
            address: std::ptr::from_ref(function) as usize,
            text,
            values,
            constants,
            guards,
            resume: function.resume.clone_ref(py),
            function: function.fallback.clone_ref(py),
        }))
    }
}

impl Group {
    /// The group of a function and those that it calls; `None` if it is left to Python.
    pub(super) fn of(
        py: Python<'_>,
        layout: &Layout,
        function: &Function,
        unexpected: Vec<(usize, usize)>,
    ) -> PyResult<Option<Box<Self>>> {
        let mut group = Box::new(Self {
            unit: RefCell::new(Unit::new(layout.runtime.clone(), 0)),
            members: Vec::new(),
            unset: function.unset.clone_ref(py),
            guards: Vec::new(),
            arrays: Vec::new(),
            words: Vec::new(),
            has_words: false,
            is_refuted: Cell::new(false),
            may_hoist: Cell::new(true),
            unexpected: RefCell::new(unexpected),
            numbers: HashMap::new(),
            has_seen: Cell::new(false),
            seen_classes: RefCell::default(),
            _kept: Vec::new(),
        });
        group.unit.borrow_mut().owner = std::ptr::from_ref(&*group) as usize;
        let found = group.reach(py, layout, function)?;
        group.settle(py, layout);
        Ok(found.map(|_| group))
    }

    /// The number of a function, which comes along with those that it calls; `None` if it is left to
    /// Python.
    pub(super) fn reach(
        &mut self,
        py: Python<'_>,
        layout: &Layout,
        function: &Function,
    ) -> PyResult<Option<FunctionId>> {
        let address = std::ptr::from_ref(function) as usize;
        if let Some(&number) = self.numbers.get(&address) {
            return Ok(Some(number));
        }
        if self.members.len() > MEMBERS_MAX {
            return Ok(None);
        }
        let Some(first) = Reached::new(py, function)? else {
            return Ok(None);
        };
        // First who is reached, so that functions can refer to each other by number.
        let known = self.members.len();
        let mut reached = vec![first];
        self.numbers.insert(address, known);
        let mut at = 0;
        while at < reached.len() {
            for value in reached[at].values.clone_ref(py).bind(py).iter() {
                let Ok(function) = value.cast::<Function>() else {
                    continue;
                };
                let function = function.get();
                let address = std::ptr::from_ref(function) as usize;
                let number = known + reached.len();
                if self.numbers.contains_key(&address) || number > MEMBERS_MAX {
                    continue;
                }
                if let Some(next) = Reached::new(py, function)? {
                    self.numbers.insert(address, number);
                    reached.push(next);
                }
            }
            at += 1;
        }
        for next in reached {
            let mut info = self.info(py, layout, &next)?;
            let unexpected = self.unexpected.borrow();
            let own = unexpected.iter();
            let own = own.filter(|(function, _)| *function == next.address);
            info.unexpected = own.map(|(_, statement)| *statement).collect();
            drop(unexpected);
            info.defaults = self.defaults(layout, next.function.bind(py))?;
            self.unit.borrow_mut().add(info);
            self.members.push(Member {
                address: next.address,
                resume: next.resume,
                resumed: RefCell::default(),
            });
            for guard in next.guards.bind(py).iter() {
                self.add_guard(&guard)?;
            }
        }
        Ok(Some(known))
    }

    pub(super) fn is_valid(&self, py: Python<'_>) -> bool {
        !self.is_refuted.get() && self.guards_hold(py)
    }

    /// Whether all names are what they were when they were frozen.
    pub(super) fn guards_hold(&self, py: Python<'_>) -> bool {
        if self.words_hold() {
            return true;
        }
        let is_same =
            |&(array, ty): &(usize, ArrayTy)| array_of(array as *mut ffi::PyObject) == Some(ty);
        let hold =
            self.guards.iter().all(|guard| guard.holds(py)) && self.arrays.iter().all(is_same);
        if hold {
            self.renew_words();
        }
        hold
    }

    /// Whether nothing was written where the names are since the guards were found to hold.
    pub(super) fn words_hold(&self) -> bool {
        let is_same = |(word, known): &(usize, Box<Cell<u64>>)| unsafe {
            (*word as *const u64).read() == known.get()
        };
        self.has_words && self.words.iter().all(is_same)
    }

    /// Notes that the guards hold.
    pub(super) fn renew_words(&self) {
        for (word, known) in &self.words {
            known.set(unsafe { (*word as *const u64).read() });
        }
    }

    /// Whether a name in a dictionary is guarded.
    pub(super) fn guards_name(&self, dict: *mut ffi::PyObject, name: *mut ffi::PyObject) -> bool {
        self.guards.iter().any(|guard| {
            let is_name = |key: &Py<PyAny>| {
                key.as_ptr() == name || unsafe { ffi::PyUnicode_Compare(key.as_ptr(), name) == 0 }
            };
            guard.holder.as_ptr() == dict && guard.key.as_ref().is_none_or(is_name)
        })
    }

    /// Keeps an object as long as there is code.
    pub(super) fn keep(&mut self, object: Py<PyAny>) {
        self._kept.push(object);
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

    /// Notes which words there are to look at, if all guards have one, and what entries look at.
    pub(super) fn settle(&mut self, py: Python<'_>, layout: &Layout) {
        let word_of = |guard: &Guard| {
            let holder = guard.holder.as_ptr() as usize;
            let is_dict = guard.holder.bind(py).is_exact_instance_of::<PyDict>();
            match &guard.key {
                Some(_) if layout.dict_versions && is_dict => Some((holder + 24, u64::MAX)),
                None if layout.cell_contents != 0 => {
                    let expected = guard
                        .expected
                        .as_ref()
                        .map_or(0, |known| known.as_ptr() as u64);
                    Some((holder + layout.cell_contents, expected))
                }
                _ => None,
            }
        };
        let found = self.guards.iter().map(word_of).collect::<Option<Vec<_>>>();
        self.has_words = found.as_ref().is_some_and(|words| !words.is_empty());
        // The number of dimensions, the description of elements, the flags.
        let of_arrays = self.arrays.iter().flat_map(|(array, _)| {
            [24, 56, 64].map(|at| unsafe {
                let word = (*array as *const u8).add(at);
                (word as usize, word.cast::<u64>().read())
            })
        });
        for (word, known) in found.into_iter().flatten().chain(of_arrays) {
            if self.words.iter().all(|&(other, _)| other != word) {
                self.words.push((word, Box::new(Cell::new(known))));
            }
        }
        let words = self.words.iter();
        let words = words.map(|(word, known)| (*word, known.as_ptr() as usize));
        let mut unit = self.unit.borrow_mut();
        let otherwise = unit.entry.as_ref().map(|entry| entry.otherwise);
        unit.entry = (self.guards.is_empty() || self.has_words).then(|| EntryGuards {
            words: words.collect(),
            refuted: self.is_refuted.as_ptr() as usize,
            otherwise: otherwise.unwrap_or(super::function::vectorcall as *const () as usize),
        });
    }

    fn info(
        &mut self,
        py: Python<'_>,
        layout: &Layout,
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
            globals.push(self.frozen(&value, layout));
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

    /// What is known of a function's parameters, from the function.
    fn defaults(&mut self, layout: &Layout, function: &Bound<'_, PyAny>) -> PyResult<Defaults> {
        let code = function.getattr("__code__")?;
        let by_name = code.getattr("co_posonlyargcount")?.extract::<usize>()? == 0;
        let mut defaults = Defaults {
            by_name,
            ..Defaults::default()
        };
        let found = function.getattr("__defaults__")?;
        if let Ok(tuple) = found.cast_into::<PyTuple>()
            && layout.defaults_at != 0
        {
            let place = function.as_ptr() as usize + layout.defaults_at;
            defaults.place = Some((place, tuple.as_ptr() as usize));
            defaults.values = tuple
                .iter()
                .map(|value| self.frozen(&value, layout))
                .collect();
            self.keep(function.clone().unbind());
            self.keep(tuple.into_any().unbind());
        }
        Ok(defaults)
    }

    /// What a value is, and stays as long as the guards hold.
    fn frozen(&mut self, value: &Bound<'_, PyAny>, layout: &Layout) -> Global {
        let found = self.global(value, layout);
        if let Global::Object { ty, .. } = &found
            && let Some(array) = ty.narrowed().array()
            && self
                .arrays
                .iter()
                .all(|(known, _)| *known != value.as_ptr() as usize)
        {
            self.arrays.push((value.as_ptr() as usize, array));
        }
        found
    }

    fn global(&self, value: &Bound<'_, PyAny>, layout: &Layout) -> Global {
        let address = value.as_ptr() as usize;
        if address == self.unset.as_ptr() as usize {
            return Global::Unbound;
        }
        if let Ok(function) = value.cast::<Function>()
            && let Some(&id) = self
                .numbers
                .get(&(std::ptr::from_ref(function.get()) as usize))
        {
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
        match value_of(value.as_ptr()) {
            Some((BOOL, bits)) => return Global::Bool(bits != 0),
            Some((tag, bits)) if tag & NUMPY != 0 => return Global::Scalar(tag, bits),
            _ => {}
        }
        Global::Object {
            address,
            ty: object_type(value.as_ptr()),
        }
    }
}

impl Group {
    /// What it refers to.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.unset)?;
        for guard in &self.guards {
            visit.call(&guard.holder)?;
            for object in guard.key.iter().chain(&guard.expected) {
                visit.call(object)?;
            }
        }
        for object in &self._kept {
            visit.call(object)?;
        }
        if let Ok(classes) = self.seen_classes.try_borrow() {
            for class in classes.iter() {
                visit.call(class)?;
            }
        }
        for member in &self.members {
            visit.call(&member.resume)?;
            if let Ok(resumed) = member.resumed.try_borrow() {
                for (object, _) in resumed.values() {
                    visit.call(object)?;
                }
            }
        }
        Ok(())
    }
}
