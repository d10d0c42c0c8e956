//! What inference finds of objects that a function keeps to itself: whatever their place in the
//! program, those of a group of locals have one type.
//!
//! Inference runs over the program until it finds nothing new. What is known stays the same in a run,
//! so that an object has one type in it; what is found becomes known in the next.

use crate::program::Local;
use crate::types::{BOOL, CHAR, FLOAT, INT, Tags, Ty};

/// What is known of each group's objects; `None` if they are Python's.
#[derive(Debug, Clone)]
pub(crate) struct Own<T> {
    /// The group of each local.
    groups: Vec<Option<Local>>,
    known: Vec<Option<T>>,
    /// The same with what has been found since.
    found: Vec<Option<T>>,
}

impl<T: Clone + Default + PartialEq> Own<T> {
    /// Nothing is known yet; or all are Python's, if there can be no others.
    pub(crate) fn new(groups: &[Option<Local>], can_be: bool) -> Self {
        let known = groups.iter();
        let known = known.map(|group| group.filter(|_| can_be).map(|_| T::default()));
        let known = known.collect::<Vec<_>>();
        Self {
            groups: groups.to_vec(),
            found: known.clone(),
            known,
        }
    }

    /// Takes over what has been found; whether anything is new, so that all is to be inferred again.
    pub(crate) fn take_over(&mut self) -> bool {
        let is_new = self.found != self.known;
        self.known.clone_from(&self.found);
        is_new
    }

    /// What is known of the objects that a local may hold.
    pub(crate) fn get(&self, local: Local) -> Option<&T> {
        self.known[self.groups[local]?].as_ref()
    }

    /// The same of all locals.
    pub(crate) fn of_locals(&self) -> Vec<Option<T>> {
        let locals = 0..self.groups.len();
        locals.map(|local| self.get(local).cloned()).collect()
    }

    /// More has been found; `None` makes the objects of the local's group Python's.
    pub(crate) fn grow(&mut self, local: Local, more: impl FnOnce(&T) -> Option<T>) {
        if let Some(group) = self.groups[local] {
            self.found[group] = self.found[group].as_ref().and_then(more);
        }
    }

    /// The objects of the local's group are Python's.
    pub(crate) fn give_up(&mut self, local: Local) {
        self.grow(local, |_| None);
    }
}

/// What was known of the parts of such objects, with another part.
pub(crate) fn grown(known: &Ty, new: &Ty) -> Ty {
    let joined = known.join(new);
    if known.is_never() {
        joined
    } else {
        joined.widened(known)
    }
}

/// Whether such values can lie side by side, as they are in registers; of none nothing is known.
pub(crate) fn is_unboxable(ty: &Ty) -> bool {
    let kinds = Tags(1 << BOOL | 1 << INT | 1 << FLOAT | 1 << CHAR);
    ty.tags.within(kinds) && ty.tags.0.count_ones() <= 1 && ty.narrow.is_none()
}
