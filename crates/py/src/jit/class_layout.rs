//! Where this interpreter's classes and their instances have their fields.
//!
//! As with other objects (`layout`), each offset is looked for in classes that are made for it, once,
//! and what does not look as expected is not relied upon. The values of instances lie differently in
//! every version of Python; those of 3.11 are known here.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::classes::reference;

/// Fields of classes, of slots and of instances.
pub(super) struct ClassLayout {
    /// Where a class has the number of its version; 0 if that is not known.
    pub(super) version: i32,
    /// Where an instance has the place of its values; 0 if that is not known.
    pub(super) values: i32,
    /// Where a class has the names that its instances share; 0 if that is not known.
    names: usize,
    /// Whether it is known where slots are.
    slots: bool,
    member_descriptor: Py<PyAny>,
    property: Py<PyAny>,
    /// The type of methods that are bound to an object.
    pub(super) method_type: usize,
}

/// Where `PyTypeObject` has `tp_version_tag`.
const VERSION: usize = 384;

/// Where instances have the place of their values in 3.11.
const VALUES: isize = -32;

/// `Py_TPFLAGS_MANAGED_DICT`.
const MANAGED_DICT: u64 = 1 << 4;

/// What the shared names of instances say of themselves: `DICT_KEYS_SPLIT`.
const SPLIT: u8 = 2;

/// `T_OBJECT_EX`, the kind of a slot.
const OBJECT_EX: i32 = 16;

unsafe fn read<T>(address: usize) -> T {
    unsafe { (address as *const T).read_unaligned() }
}

fn word(object: &Bound<'_, PyAny>, at: isize) -> usize {
    unsafe { read((object.as_ptr() as usize).wrapping_add_signed(at)) }
}

/// A class of that name with slots or without.
fn made<'py>(py: Python<'py>, name: &str, slots: Option<&[&str]>) -> PyResult<Bound<'py, PyType>> {
    let space = PyDict::new(py);
    if let Some(slots) = slots {
        space.set_item("__slots__", PyTuple::new(py, slots)?)?;
    }
    let class = py.get_type::<PyType>();
    let class = class.call1((name, PyTuple::empty(py), space))?;
    Ok(class.cast_into()?)
}

/// Whether a class has a number that changes with it, and then only.
fn versions_are_known(py: Python<'_>) -> PyResult<bool> {
    let [class, base] = ["Probe", "Base"].map(|name| made(py, name, None));
    let (class, base) = (class?, base?);
    let number = || unsafe { read::<u32>(class.as_ptr() as usize + VERSION) };
    let mut seen = vec![0];
    let mut fine = true;
    for at in 0..3 {
        class.hasattr("x")?;
        let first = number();
        class.hasattr("y")?;
        fine &= !seen.contains(&first) && number() == first;
        seen.push(first);
        class.setattr("x", at)?;
        fine &= number() != first;
    }
    // So it does with its bases.
    let class = py
        .get_type::<PyType>()
        .call1(("Derived", (&base,), PyDict::new(py)))?;
    class.hasattr("x")?;
    let number = || unsafe { read::<u32>(class.as_ptr() as usize + VERSION) };
    let first = number();
    base.setattr("x", 1)?;
    Ok(fine && first != 0 && number() != first)
}

impl ClassLayout {
    pub(super) fn look(py: Python<'_>) -> PyResult<Self> {
        let mut layout = Self {
            version: 0,
            values: 0,
            names: 0,
            slots: true,
            member_descriptor: py
                .import("types")?
                .getattr("MemberDescriptorType")?
                .unbind(),
            property: py.import("builtins")?.getattr("property")?.unbind(),
            method_type: py.import("types")?.getattr("MethodType")?.as_ptr() as usize,
        };
        if !cfg!(target_pointer_width = "64") || !versions_are_known(py)? {
            return Ok(layout);
        }
        layout.version = i32::try_from(VERSION).unwrap_or(0);
        layout.slots = layout.slots_are_known(py)?;
        layout.names = layout.names_offset(py)?;
        if layout.names != 0 {
            layout.values = i32::try_from(VALUES).unwrap_or(0);
        }
        Ok(layout)
    }

    fn slots_are_known(&self, py: Python<'_>) -> PyResult<bool> {
        let class = made(py, "Probe", Some(&["a", "b"]))?;
        let object = class.call0()?;
        for name in ["a", "b"] {
            let descriptor = class.getattr(name)?;
            let Some(offset) = self.slot_offset(&class, &descriptor) else {
                return Ok(false);
            };
            let at = usize::try_from(offset).unwrap_or(0);
            if reference(&object, at).is_some() {
                return Ok(false);
            }
            let value = PyDict::new(py);
            object.setattr(name, &value)?;
            if reference(&object, at).is_none_or(|found| !found.is(&value)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where a class has the names that its instances share; 0 if values do not look as expected.
    fn names_offset(&mut self, py: Python<'_>) -> PyResult<usize> {
        let version = py.version_info();
        if (version.major, version.minor) != (3, 11) {
            return Ok(0);
        }
        let class = made(py, "a name that no other class has", None)?;
        let values = ["a", "b", "c"].map(|name| (name, PyDict::new(py)));
        let object = class.call0()?;
        // Not in the order of the names.
        class.call0()?.setattr("a", 0)?;
        for at in [2, 0, 1] {
            object.setattr(values[at].0, &values[at].1)?;
        }
        let name = class.getattr("__qualname__")?.as_ptr() as usize;
        let size = class
            .get_type()
            .getattr("__basicsize__")?
            .extract::<usize>()?;
        let words = (0..size / 8).map(|at| 8 * at);
        let is_name = |&at: &usize| unsafe { read::<usize>(class.as_ptr() as usize + at) } == name;
        let Some(last) = words.filter(is_name).max() else {
            return Ok(0);
        };
        self.names = last + 8;
        let found = self.shared_names(&class);
        if found.as_deref() != Some(&["a", "c", "b"].map(str::to_owned)) {
            return Ok(0);
        }
        for (name, value) in &values {
            let found = self.value(&object, &class, name);
            if found.is_none_or(|found| !found.is(value)) {
                return Ok(0);
            }
        }
        // Below the values is noted in which order they came: their number, then theirs, downwards.
        let place = word(&object, VALUES);
        let order = [2, 3, 4, 5].map(|below| unsafe { read::<u8>(place - below) });
        if order != [3, 1, 0, 2] {
            return Ok(0);
        }
        // An object with a dictionary has no values.
        object.getattr("__dict__")?;
        Ok(if word(&object, VALUES) == 0 {
            self.names
        } else {
            0
        })
    }

    /// The names that the instances of a class share.
    fn names_of(&self, class: &Bound<'_, PyType>) -> Option<usize> {
        let flags = unsafe { ffi::PyType_GetFlags(class.as_type_ptr()) };
        if self.names == 0 || flags & MANAGED_DICT == 0 {
            return None;
        }
        let names = unsafe { read::<usize>(class.as_ptr() as usize + self.names) };
        (names != 0 && unsafe { read::<u8>(names + 10) } == SPLIT).then_some(names)
    }

    /// The names that the instances of a class share, in the order of the values.
    pub(super) fn shared_names(&self, class: &Bound<'_, PyType>) -> Option<Vec<String>> {
        let names = self.names_of(class)?;
        let first = unsafe { names + 32 + (1 << read::<u8>(names + 9)) };
        let n_names = unsafe { read::<usize>(names + 24) };
        let name = |at| unsafe {
            let name = read::<*mut ffi::PyObject>(first + 16 * at);
            Bound::from_borrowed_ptr_or_opt(class.py(), name)?
                .extract::<String>()
                .ok()
        };
        (0..n_names.min(64)).map(name).collect()
    }

    /// Where the number of these names is, and the number.
    pub(super) fn n_shared_names(&self, class: &Bound<'_, PyType>) -> Option<(usize, u64)> {
        let place = self.names_of(class)? + 24;
        Some((place, unsafe { read(place) }))
    }

    /// The value of a name, in an object that has no dictionary so far.
    pub(super) fn value<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        class: &Bound<'py, PyType>,
        name: &str,
    ) -> Option<Bound<'py, PyAny>> {
        let at = self
            .shared_names(class)?
            .iter()
            .position(|known| known == name)?;
        let values = word(object, VALUES);
        let value = (values != 0).then(|| unsafe { read(values + 8 * at) })?;
        unsafe { Bound::from_borrowed_ptr_or_opt(object.py(), value) }
    }

    /// Whether instances of a class may have attributes that no slot is for.
    pub(super) fn has_dictionary(&self, class: &Bound<'_, PyType>) -> PyResult<bool> {
        class
            .getattr("__dictoffset__")?
            .extract::<isize>()
            .map(|offset| offset != 0)
    }

    /// Where an instance of a class has the slot that a descriptor stands for.
    pub(super) fn slot_offset(
        &self,
        class: &Bound<'_, PyType>,
        descriptor: &Bound<'_, PyAny>,
    ) -> Option<i32> {
        if !self.slots
            || !descriptor
                .get_type()
                .is(self.member_descriptor.bind(class.py()))
        {
            return None;
        }
        let owner = word(descriptor, 16);
        if !class
            .mro()
            .iter()
            .any(|base| base.as_ptr() as usize == owner)
        {
            return None;
        }
        let member = word(descriptor, 40);
        let (kind, offset, flags) = unsafe {
            (
                read::<i32>(member + 8),
                read::<isize>(member + 16),
                read::<i32>(member + 24),
            )
        };
        let fits = kind == OBJECT_EX && flags == 0 && offset > 0;
        i32::try_from(offset).ok().filter(|_| fits)
    }

    /// Whether an object is a property and nothing more.
    pub(super) fn is_property(&self, object: &Bound<'_, PyAny>) -> bool {
        object.get_type().is(self.property.bind(object.py()))
    }
}
