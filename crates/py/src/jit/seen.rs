//! What operations were seen to give, in terms of Python's objects.
//!
//! Code that is compiled for the first time notes objects of which nothing is known
//! (`opcodon_pyfn::Site`). After the first call the function is compiled once more for what was seen.

use std::collections::HashMap;

use opcodon_pyfn::{Place, SEVERAL, Site};
use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::argument::{class_within, classify, type_of_class};
use super::calls::type_of;
use super::group::Group;

/// The kind of values of several types.
const MIXED: u64 = u64::MAX;

/// Times that a function is compiled again for what was seen.
const ROUNDS_MAX: usize = 3;

/// Classes that are kept for what was seen.
const CLASSES_MAX: usize = 16;

/// Notes what an object is.
pub(super) unsafe extern "C" fn note(site: *const Site, object: *mut PyObject) -> u64 {
    let site = unsafe { &*site };
    let group = unsafe { &*(site.owner as *const Group) };
    let (kind, _) = classify(object, 0);
    let is_one = matches!(site.kind.get(), 0) || site.kind.get() == kind;
    let mut classes = group.seen_classes.borrow_mut();
    let class = class_within(kind).map(|class| class as *mut PyObject);
    let is_kept = |class: *mut PyObject| classes.iter().any(|known| known.as_ptr() == class);
    let class = class.filter(|&class| !is_kept(class));
    if is_one && (class.is_none() || classes.len() < CLASSES_MAX) {
        site.seen.set(type_of(object));
        site.kind.set(kind);
        if let Some(class) = class {
            let py = unsafe { Python::assume_attached() };
            let class = unsafe { Bound::from_borrowed_ptr(py, class) };
            if let Ok(class) = class.cast_into::<PyType>() {
                classes.push(class.unbind());
            }
        }
    } else {
        site.seen.set(SEVERAL);
        site.kind.set(MIXED);
    }
    group.has_seen.set(true);
    1
}

/// What was seen of a function and those that it calls.
#[derive(Default)]
pub(super) struct SeenSoFar {
    /// Kinds by functions, which are known by their addresses, and places.
    kinds: HashMap<(usize, Place), u64>,
    pub(super) classes: Vec<Py<PyType>>,
    n_rounds: usize,
}

impl SeenSoFar {
    /// Whether more may be noted.
    pub(super) fn goes_on(&self) -> bool {
        self.n_rounds < ROUNDS_MAX
    }

    /// Takes over what a group has noted.
    pub(super) fn take_over(&mut self, py: Python<'_>, group: &Group) {
        if !group.has_seen.replace(false) {
            return;
        }
        self.n_rounds += 1;
        for site in &group.unit.borrow().sites {
            let kind = site.kind.get();
            if kind == 0 {
                continue;
            }
            let address = group.members[site.function].address();
            let known = self.kinds.entry((address, site.place)).or_insert(kind);
            if *known != kind {
                *known = MIXED;
            }
        }
        for class in group.seen_classes.borrow().iter() {
            self.classes.push(class.clone_ref(py));
        }
    }

    /// Tells the functions of a group.
    pub(super) fn tell(&self, group: &Group) {
        let unit = group.unit.borrow();
        for (function, info) in unit.functions.iter().enumerate() {
            let address = group.members[function].address();
            let mut seen = info.seen.borrow_mut();
            for (&(of, place), &kind) in &self.kinds {
                if of == address {
                    let ty = (kind != MIXED).then(|| type_of_class(kind, &unit.classes));
                    seen.known.insert(place, ty);
                }
            }
        }
    }
}
