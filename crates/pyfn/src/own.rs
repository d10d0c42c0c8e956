//! Objects that a function keeps to itself: which locals hold them, and what they hold.
//!
//! Locals between which objects move are a *group*; whatever their place in the program, the objects
//! of a group have one type, and they are the function's own if all that is done to any of them is
//! known not to show them to others. That follows from the program. The type comes from inference,
//! which runs over the program until it finds nothing new: what is known stays the same in a run, so
//! that an object has one type in it, and what is found becomes known in the next.

use crate::liveness::{for_each_atom, for_each_target};
use crate::program::{Atom, Kind, Local, Program};
use crate::types::{BOOL, CHAR, FLOAT, INT, Tags, Ty};

/// The groups of a function's locals, and what is done to the objects of each: bits, of which
/// [`SEEN`] is the same for all kinds of objects.
pub(crate) struct Groups {
    /// Another local of the group, or the local itself.
    parent: Vec<Local>,
    /// By the group's root.
    uses: Vec<u8>,
}

/// Somebody else may see the object.
pub(crate) const SEEN: u8 = 1;

impl Groups {
    /// Each local by itself; what parameters hold is seen by the caller.
    pub(crate) fn new(program: &Program) -> Self {
        let locals = 0..program.locals.len();
        let uses = |local| if local < program.n_params { SEEN } else { 0 };
        Self {
            parent: locals.clone().collect(),
            uses: locals.map(uses).collect(),
        }
    }

    fn root(&self, mut local: Local) -> Local {
        while self.parent[local] != local {
            local = self.parent[local];
        }
        local
    }

    /// Objects move from one local to another.
    pub(crate) fn unite(&mut self, a: Local, b: Local) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a] = b;
        self.uses[b] |= self.uses[a];
    }

    /// The locals of a local's group.
    pub(crate) fn with(&self, local: Local) -> impl Iterator<Item = Local> + '_ {
        let root = self.root(local);
        (0..self.parent.len()).filter(move |&each| self.root(each) == root)
    }

    /// Something is done to what a local holds.
    pub(crate) fn note(&mut self, local: Local, uses: u8) {
        let root = self.root(local);
        self.uses[root] |= uses;
    }

    /// Something is done to what an operand is, if it is a local.
    pub(crate) fn note_atom(&mut self, atom: &Atom, uses: u8) {
        if let Atom::Local(local) = atom {
            self.note(*local, uses);
        }
    }

    /// Others see all operands of a statement but those that are fine, and what it binds if that is
    /// not known.
    pub(crate) fn show_others(&mut self, kind: &Kind, fine: &[*const Atom], is_bound: bool) {
        for_each_atom(kind, &mut |atom| {
            if !fine.contains(&std::ptr::from_ref(atom)) {
                self.note_atom(atom, SEEN);
            }
        });
        if !is_bound {
            for_each_target(kind, &mut |local| self.note(local, SEEN));
        }
    }

    /// Others see what a tuple that is returned would hold twice.
    pub(crate) fn show_twice(&mut self, parts: &[Atom]) {
        let locals = parts.iter().filter_map(|part| match part {
            Atom::Local(local) => Some(self.root(*local)),
            _ => None,
        });
        let mut roots = locals.collect::<Vec<_>>();
        roots.sort_unstable();
        for pair in roots.windows(2) {
            if pair[0] == pair[1] {
                self.uses[pair[0]] |= SEEN;
            }
        }
    }

    /// The group of each local that holds such objects only, by all that is done to them.
    pub(crate) fn of_locals(&self, is_own: impl Fn(u8) -> bool) -> Vec<Option<Local>> {
        let root = |local| Some(self.root(local)).filter(|&root| is_own(self.uses[root]));
        (0..self.parent.len()).map(root).collect()
    }
}

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
        joined.widened(known, false)
    }
}

/// Whether such values can lie side by side, as they are in registers; of none nothing is known.
pub(crate) fn is_unboxable(ty: &Ty) -> bool {
    let kinds = Tags(1 << BOOL | 1 << INT | 1 << FLOAT | 1 << CHAR);
    ty.tags.within(kinds) && ty.tags.0.count_ones() <= 1 && ty.narrow.is_none()
}
