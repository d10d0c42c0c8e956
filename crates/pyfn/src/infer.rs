//! Forward inference: the type of every local at every place.
//!
//! The structured program is run on types. A loop is run until the types at its head stay the same,
//! which they do, as they only grow and every type has finitely many above it (deep nesting is cut
//! off). A call of another function asks for what that function returns for such arguments; a
//! function that is being inferred returns, until then, what it was found to return so far, and all
//! are inferred again until none changes.
//!
//! What has no rule is a *leave*: Python continues there, so nothing behind it has a type.

use std::collections::HashSet;

use crate::classes::SUPER;
use crate::foreign::is_tame;
use crate::globals::{FunctionId, Global};
use crate::liveness::{Locals, for_each_atom};
use crate::operation::{How, can_store, iterated, looks_up_plainly, operation, unpacked};
use crate::own::Own;
use crate::plain;
use crate::program::{Atom, Catch, Cmp, Expr, Id, Index, Kind, Local, Statement};
use crate::rules;
use crate::scope::Scope;
use crate::steps::Steps;
use crate::table::TableTy;
use crate::types::{Form, INT, NONE, OBJECT, RANGE, TUPLE, Tags, Ty, UNSET};
use crate::unit::{FunctionInfo, SpecId, Unit};

/// Nesting of lists and tuples beyond which nothing is known.
pub(crate) const DEPTH_MAX: usize = 4;

/// The types of all locals at a place, or none where nothing gets.
pub(crate) type State = Option<Vec<Ty>>;

/// The types where paths come together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Joint {
    /// At the head of a loop, before each turn.
    pub(crate) head: State,
    /// Behind the statement.
    pub(crate) after: State,
}

/// Joins two states; locals that nobody reads any more are forgotten, if they own nothing. At the
/// head of a loop, integers that grow are widened, so that an end is reached.
fn join(into: &mut State, state: State, live: &Locals, widens: Option<&Steps>) {
    let Some(mut state) = state else {
        return;
    };
    for (local, ty) in state.iter_mut().enumerate() {
        if !live.has(local) && !owns(ty) {
            *ty = Ty::of(UNSET);
        }
    }
    match into {
        None => *into = Some(state),
        Some(into) => {
            for (local, (into, ty)) in into.iter_mut().zip(&state).enumerate() {
                let joined = into.join(ty);
                *into = if joined.depth() > DEPTH_MAX {
                    Ty::tags(joined.tags)
                } else if let Some(steps) = widens {
                    joined.widened(into, steps.counts(local))
                } else {
                    joined
                };
            }
        }
    }
}

/// Whether a value of the type may hold a reference.
pub(crate) fn owns(ty: &Ty) -> bool {
    match &ty.form {
        Form::Tuple(parts) => parts.iter().any(owns),
        _ => ty.tags.has(OBJECT),
    }
}

/// Inference of one function for given parameters.
pub(crate) struct Inference<'a> {
    pub(crate) unit: &'a mut Unit,
    pub(crate) info: std::rc::Rc<FunctionInfo>,
    joints: Vec<Joint>,
    /// For each loop around: the types behind it and at its head, and its number.
    loops: Vec<(State, State, Id)>,
    ret: Ty,
    /// The same with all that is known of integers.
    exact_ret: Ty,
    /// Nothing has been found so far that is not plain.
    pub(crate) is_plain: bool,
    pub(crate) own_lists: Own<Ty>,
    pub(crate) own_tables: Own<TableTy>,
    calls: Vec<(Id, SpecId)>,
    needs_identity: bool,
    /// The current statement.
    at: Id,
    foreign: HashSet<Id>,
    meets_objects: bool,
    /// For each block around whose exceptions are caught: the types where the handler begins, how many
    /// loops are around it, and its number.
    caught: Vec<(State, usize, Id)>,
    /// The numbers of such blocks whose handlers are around, and what their exceptions are bound to.
    handlers: Vec<(Id, Local)>,
    loud: HashSet<Id>,
}

/// What is found about a function.
pub(crate) struct Inferred {
    pub(crate) joints: Vec<Joint>,
    pub(crate) ret: Ty,
    /// What it returns, with all that is known of integers, if it only computes numbers.
    pub(crate) plain_ret: Option<Ty>,
    /// For each local the elements of the lists that only this function sees.
    pub(crate) own_lists: Vec<Option<Ty>>,
    /// The same for dictionaries and sets.
    pub(crate) own_tables: Vec<Option<TableTy>>,
    /// The versions that it calls, and the statements that do.
    pub(crate) calls: Vec<(Id, SpecId)>,
    /// The statements that may run code of anybody's, other than by these calls.
    pub(crate) foreign: HashSet<Id>,
    /// Whether there are operands that may be other objects than they are taken for.
    pub(crate) meets_objects: bool,
    /// Whether it asks of what has no object whether it is the same.
    pub(crate) needs_identity: bool,
    /// The statements whose handlers run what may ask for the exception.
    pub(crate) loud: HashSet<Id>,
}

/// The locals that a statement reads.
pub(crate) fn used(kind: &Kind) -> Vec<Local> {
    let mut locals = Vec::new();
    for_each_atom(kind, &mut |atom| {
        if let Atom::Local(local) = atom
            && !locals.contains(local)
        {
            locals.push(*local);
        }
    });
    locals
}

/// Whether the statement hands its operand on as it is.
pub(crate) fn only_moves(kind: &Kind) -> bool {
    matches!(kind, Kind::Return(_) | Kind::Set(_, Expr::Atom(_)))
}

impl<'a> Inference<'a> {
    /// Infers a function of a unit.
    pub(crate) fn run(unit: &'a mut Unit, function: FunctionId, params: &[Ty]) -> Inferred {
        let info = std::rc::Rc::clone(&unit.functions[function]);
        let runtime = &unit.runtime;
        let [lists, tables] =
            [runtime.unboxed_new, runtime.table_new].map(|make| make != 0 && runtime.ob_item != 0);
        let mut own = (
            Own::new(&info.own_lists, lists),
            Own::new(&info.own_tables, tables),
        );
        loop {
            let mut inference = Inference::pass(unit, &info, params, own);
            let is_new = inference.own_lists.take_over();
            if !inference.own_tables.take_over() && !is_new {
                return Inferred {
                    joints: inference.joints,
                    ret: inference.ret,
                    plain_ret: inference.is_plain.then_some(inference.exact_ret),
                    own_lists: inference.own_lists.of_locals(),
                    own_tables: inference.own_tables.of_locals(),
                    calls: inference.calls,
                    foreign: inference.foreign,
                    meets_objects: inference.meets_objects,
                    needs_identity: inference.needs_identity,
                    loud: inference.loud,
                };
            }
            own = (inference.own_lists, inference.own_tables);
        }
    }

    /// Infers it once, with what is known of its own lists.
    fn pass<'u>(
        unit: &'u mut Unit,
        info: &std::rc::Rc<FunctionInfo>,
        params: &[Ty],
        (own_lists, own_tables): (Own<Ty>, Own<TableTy>),
    ) -> Inference<'u> {
        let mut state = vec![Ty::of(UNSET); info.program.locals.len()];
        state[..info.program.n_params].clone_from_slice(params);
        let mut inference = Inference {
            own_lists,
            own_tables,
            unit,
            joints: vec![Joint::default(); info.program.n_statements],
            info: std::rc::Rc::clone(info),
            loops: Vec::new(),
            ret: Ty::default(),
            exact_ret: Ty::default(),
            is_plain: true,
            calls: Vec::new(),
            needs_identity: false,
            at: 0,
            foreign: HashSet::new(),
            meets_objects: false,
            caught: Vec::new(),
            handlers: Vec::new(),
            loud: HashSet::new(),
        };
        let end = inference.block(&info.program.body, Some(state));
        if end.is_some() {
            let none = Ty::of(NONE);
            inference.ret = inference.ret.join(&none);
            inference.exact_ret = inference.exact_ret.join(&none);
        }
        inference
    }

    fn block(&mut self, block: &[Statement], mut state: State) -> State {
        for statement in block {
            let types = state?;
            state = self.statement(statement, types);
        }
        state
    }

    fn statement(&mut self, statement: &Statement, mut state: Vec<Ty>) -> State {
        let kind = &statement.kind;
        if !prepare(&self.info, statement, &mut state) {
            self.is_plain = false;
            return None;
        }
        if let Kind::Set(to, _) = kind
            && let Some(lockstep) = self.info.lockstep_of_call(statement.id)
            && self.scope(&state).is_in_lockstep(lockstep)
        {
            self.is_plain = false;
            state[*to] = Ty::of(UNSET);
            return Some(state);
        }
        self.note_raising(statement, &state);
        if statement.is_handled && !self.scope(&state).is_quiet(kind) {
            self.is_plain = false;
            let (id, _) = self.handlers.last()?;
            self.loud.insert(*id);
        }
        if let Kind::Set(_, Expr::Atom(Atom::Local(from))) = kind
            && let Some((id, error)) = self.handlers.last()
            && from == error
        {
            // Whoever gets to see the exception sees its traceback.
            self.loud.insert(*id);
        }
        self.note_table_use(&state, kind);
        self.at = statement.id;
        self.meets_objects |= self.scope(&state).meets_objects(kind);
        if self.scope(&state).is_foreign(statement) {
            self.foreign.insert(statement.id);
        }
        match kind {
            Kind::Set(to, e) => {
                if let Expr::Cmp(Cmp::Is | Cmp::IsNot, a, b) = e {
                    let scope = self.scope(&state);
                    let (a, b) = (scope.atom(a), scope.atom(b));
                    self.needs_identity |= !rules::have_identity(&a, &b);
                }
                self.note_own_append(&state, e);
                let made = self
                    .own_list(&state, statement.id, *to, e)
                    .or_else(|| self.own_table(&state, *to, e));
                let how = match made {
                    Some(made) => How::Gives(made),
                    None => self.expr(&state, e),
                };
                let How::Gives(ty) = how else {
                    self.is_plain = false;
                    return None;
                };
                note_append(&mut state, &self.info, e);
                let ty = self.info.bound(statement.id, &state, ty);
                let ty = match e {
                    Expr::Atom(_) => ty,
                    _ => (self.info.seen.borrow()).hinted((statement.id, 0), *to, ty),
                };
                state[*to] = cut(ty);
            }
            Kind::Expr(e) => {
                self.note_own_append(&state, e);
                if matches!(self.expr(&state, e), How::Leave(_)) {
                    return None;
                }
                note_append(&mut state, &self.info, e);
            }
            Kind::SetItem(..) if self.scope(&state).special_store(kind).is_some() => {
                self.is_plain = false;
                let how = self.store_through_special(&state, kind);
                if matches!(how, Some(How::Leave(_))) {
                    return None;
                }
            }
            Kind::SetItem(of, index, value) => {
                let scope = self.scope(&state);
                if !can_store(&scope, of, index, value) {
                    return None;
                }
                self.note_own_store(&state, of, index, value);
                let scope = self.scope(&state);
                if let (Atom::Local(list), Index::Atom(_)) = (of, index) {
                    let value = scope.atom(value);
                    extend(&mut state[*list], &value);
                }
            }
            Kind::SetAttr(..) => self.note_attribute(&state, kind),
            Kind::DelItem(..) | Kind::SetGlobal(..) => {}
            Kind::Lookup(to, name, of) => {
                let scope = self.scope(&state);
                let of = scope.atom(of);
                let is_known = scope.method(&of, name).is_some();
                if !is_known && name.starts_with(SUPER) {
                    return None;
                }
                state[*to] = Ty::tags(if is_known || looks_up_plainly(&of, name) {
                    Tags::of(UNSET)
                } else {
                    Tags(1 << UNSET | 1 << OBJECT)
                });
            }
            Kind::Unset(local) => {
                if state[*local].tags.has(UNSET) {
                    return None;
                }
                state[*local] = Ty::of(UNSET);
            }
            Kind::Unpack(to, a) => {
                let ty = self.scope(&state).atom(a);
                self.is_plain &= plain::is_result(&ty);
                let parts = unpacked(&ty, to.len())?;
                let seen = self.info.seen.borrow();
                for (at, (to, part)) in to.iter().zip(parts).enumerate() {
                    state[*to] = seen.hinted((statement.id, at), *to, part);
                }
            }
            Kind::If(test, then, otherwise) => {
                self.is_plain &= plain::is_scalar(&self.scope(&state).atom(test));
                for local in dropped(&self.info, statement) {
                    state[local] = Ty::of(UNSET);
                }
                let mut after = None;
                let live = self.info.liveness.after[statement.id].clone();
                for (block, side) in [(then, true), (otherwise, false)] {
                    let scope = self.scope(&state);
                    let state = self.info.implied.refine(scope, statement.id, side);
                    let end = self.block(block, Some(state));
                    join(&mut after, end, &live, None);
                }
                self.joints[statement.id].after.clone_from(&after);
                return after;
            }
            Kind::Try(catch, body, handler) => {
                self.is_plain = false;
                return self.attempt(statement.id, state, catch, [body, handler]);
            }
            Kind::EndHandler(..) => {}
            Kind::Loop(body) => return self.repeat(statement.id, state, None, body, &[]),
            Kind::For(to, iterable, body, otherwise) => {
                let lockstep = self.info.lockstep_at(statement, &state).cloned();
                let ty = self.scope(&state).atom(iterable);
                self.is_plain &= ty.tags == Tags::of(RANGE);
                let lockstep_item = lockstep
                    .as_ref()
                    .map(|loops| self.scope(&state).item_of_lockstep(loops));
                if let Some(lockstep) = &lockstep {
                    for &local in &lockstep.dropped {
                        state[local] = Ty::of(UNSET);
                    }
                }
                let no_turns = ty.unboxed().is_some_and(Ty::is_never)
                    || ty.table().is_some() && iterated(&ty).is_none();
                if lockstep_item == Some(None) || no_turns {
                    // As far as is known there are no turns.
                    let mut after = None;
                    let live = self.info.liveness.after[statement.id].clone();
                    self.joints[statement.id].head = Some(state.clone());
                    let end = self.block(otherwise, Some(state));
                    join(&mut after, end, &live, None);
                    self.joints[statement.id].after.clone_from(&after);
                    return after;
                }
                let item = match lockstep_item {
                    Some(item) => item?,
                    None => iterated(&ty)?,
                };
                let item = self.info.seen.borrow().hinted((statement.id, 0), *to, item);
                for local in dropped_by_loop(&self.info, statement, &state) {
                    state[local] = Ty::of(UNSET);
                }
                return self.repeat(statement.id, state, Some((*to, item)), body, otherwise);
            }
            Kind::Break => {
                if let Some((after, _, id)) = self.loops.last_mut() {
                    join(after, Some(state), &self.info.liveness.after[*id], None);
                }
                return None;
            }
            Kind::Continue => {
                if let Some((_, head, id)) = self.loops.last_mut() {
                    join(
                        head,
                        Some(state),
                        &self.info.liveness.head[*id],
                        Some(&self.info.steps),
                    );
                }
                return None;
            }
            Kind::Return(a) => {
                let ty = self.scope(&state).atom(a);
                self.is_plain &= plain::is_result(&ty);
                self.exact_ret = self.exact_ret.join(&ty);
                self.ret = self.ret.join(&boxed_parts(ty.narrowed()));
                return None;
            }
            Kind::Raise(_) | Kind::Leave(_) => return None,
        }
        for local in dropped(&self.info, statement) {
            state[local] = Ty::of(UNSET);
        }
        Some(state)
    }

    /// The statement may raise an exception that is caught.
    fn note_raising(&mut self, statement: &Statement, state: &[Ty]) {
        let n_loops = self.loops.len();
        let Some((start, around, id)) = self.caught.last_mut() else {
            return;
        };
        if *around != n_loops || statement.is_handled {
            return;
        }
        let mut state = state.to_vec();
        for local in unwound(&self.info, *id, &state) {
            state[local] = Ty::of(UNSET);
        }
        join(start, Some(state), &self.info.liveness.head[*id], None);
    }

    fn attempt(
        &mut self,
        id: Id,
        state: Vec<Ty>,
        catch: &Catch,
        [body, handler]: [&[Statement]; 2],
    ) -> State {
        self.caught.push((None, self.loops.len(), id));
        let end = self.block(body, Some(state));
        let mut start = self.caught.pop().and_then(|(start, ..)| start);
        if let Some(start) = &mut start {
            start[catch.error] = Ty::of(OBJECT);
            start[catch.at] = Ty::of(INT);
            start[catch.which] = Ty::of(INT);
        }
        self.joints[id].head.clone_from(&start);
        let live = self.info.liveness.after[id].clone();
        let mut after = None;
        join(&mut after, end, &live, None);
        self.handlers.push((id, catch.error));
        let end = self.block(handler, start);
        self.handlers.pop();
        join(&mut after, end, &live, None);
        self.joints[id].after.clone_from(&after);
        after
    }

    fn repeat(
        &mut self,
        id: Id,
        state: Vec<Ty>,
        item: Option<(Local, Ty)>,
        body: &[Statement],
        otherwise: &[Statement],
    ) -> State {
        let head_live = self.info.liveness.head[id].clone();
        let mut head = None;
        join(&mut head, Some(state), &head_live, None);
        let mut after;
        loop {
            self.loops.push((None, head.clone(), id));
            let mut turn = head.clone();
            if let (Some((to, ty)), Some(turn)) = (&item, &mut turn) {
                turn[*to] = ty.clone();
            }
            let end = self.block(body, turn);
            let (left, next, _) = self.loops.pop().unwrap_or_default();
            let mut next = next;
            join(&mut next, end, &head_live, Some(&self.info.steps));
            after = left;
            if next == head {
                break;
            }
            head = next;
        }
        self.joints[id].head.clone_from(&head);
        let live = self.info.liveness.after[id].clone();
        if item.is_some() {
            let end = self.block(otherwise, head);
            join(&mut after, end, &live, None);
        }
        self.joints[id].after.clone_from(&after);
        after
    }

    pub(crate) fn scope<'s>(&'s self, state: &'s [Ty]) -> Scope<'s> {
        Scope {
            info: &self.info,
            state,
        }
    }

    fn expr(&mut self, state: &[Ty], e: &Expr) -> How {
        if let Expr::Call(function, args, named) = e {
            let scope = self.scope(state);
            if let Some(id) = scope.callee(function)
                && let Some(types) = scope.arguments(&self.unit.functions[id], None, args, named)
                && self.unit.can_call(id, &types)
            {
                if let Some(inlined) = self.unit.inlined(id, &types) {
                    return How::Gives(inlined.ret.clone());
                }
                self.is_plain = false;
                return self.call(id, &types);
            }
        }
        let through_class = match self.through_class(state, e) {
            None => self.through_special(state, e),
            how => how,
        };
        if let Some(how) = through_class {
            self.is_plain = false;
            return how;
        }
        let scope = self.scope(state);
        let is_foreign = scope.is_foreign_operation(e);
        let how = operation(&scope, e);
        self.is_plain &= match &how {
            How::Gives(ty) => plain::is_plain(&scope, e, ty),
            How::Leave(_) => false,
        };
        if is_foreign {
            self.foreign.insert(self.at);
        }
        how
    }

    pub(crate) fn call(&mut self, id: FunctionId, args: &[Ty]) -> How {
        let Some(spec) = self.unit.callee(id, args) else {
            self.foreign.insert(self.at);
            return How::Gives(Ty::of(OBJECT));
        };
        if !self.calls.contains(&(self.at, spec)) {
            self.calls.push((self.at, spec));
        }
        let ret = self.unit.specs[spec].ret.clone();
        if ret.is_never() {
            // Nothing is known yet: this path will be walked again.
            How::Leave("never returns natively".to_owned())
        } else {
            How::Gives(ret.expected())
        }
    }
}

/// A type that is not nested too deep.
fn cut(ty: Ty) -> Ty {
    if ty.depth() > DEPTH_MAX {
        Ty::tags(ty.tags)
    } else {
        ty
    }
}

/// The type with tuples as objects, as functions return them.
pub(crate) fn boxed_parts(ty: &Ty) -> Ty {
    let parts = Tags::of(TUPLE).or(Tags::of(RANGE));
    if let Some(table) = ty.table() {
        let form = if table.is_set { Form::Any } else { Form::Dict };
        return Ty::object(form);
    }
    if let Some(element) = ty.unboxed() {
        let element = Ty::tags(element.tags).without_chars();
        return Ty::object(Form::List(Box::new(element)));
    }
    if ty.tags.any(parts) {
        let form = if ty.tags == Tags::of(TUPLE) {
            let part = |part: &Ty| Ty {
                natural: false,
                room: 0,
                ..boxed_parts(part.narrowed()).without_chars()
            };
            let parts = ty.parts().unwrap_or_default();
            Form::TupleObject(parts.iter().map(part).collect())
        } else {
            Form::Any
        };
        Ty::object(form)
    } else {
        Ty {
            room: 0,
            ..ty.clone()
        }
    }
}

/// Temporaries that a statement reads for the last time: their objects are released right behind it, or
/// before what is inside it, as Python does with what is on its stack.
pub(crate) fn dropped(info: &FunctionInfo, statement: &Statement) -> Vec<Local> {
    let is_step = matches!(
        statement.kind,
        Kind::Set(..)
            | Kind::Expr(_)
            | Kind::SetItem(..)
            | Kind::SetAttr(..)
            | Kind::SetGlobal(..)
            | Kind::DelItem(..)
            | Kind::Unpack(..)
            | Kind::EndHandler(..)
            | Kind::If(..)
            | Kind::For(..)
    );
    let mut locals = if is_step {
        used(&statement.kind)
    } else {
        Vec::new()
    };
    if let Kind::Set(_, Expr::Method(.., Some(bound))) | Kind::Expr(Expr::Method(.., Some(bound))) =
        statement.kind
    {
        locals.push(bound);
    }
    let liveness = &info.liveness;
    let firsts = statement.blocks().into_iter().filter_map(<[_]>::first);
    let firsts = firsts
        .map(|first| &liveness.before[first.id])
        .collect::<Vec<_>>();
    locals.retain(|&local| {
        local >= info.program.n_params
            && info.program.locals[local].starts_with('.')
            && !liveness.after[statement.id].has(local)
            && !firsts.iter().any(|live| live.has(local))
    });
    crate::liveness::for_each_target(&statement.kind, &mut |to| {
        locals.retain(|&local| local != to)
    });
    locals
}

/// The same of a loop, which keeps what it runs over itself, but reads arrays and what only its function
/// sees where they are.
pub(crate) fn dropped_by_loop(
    info: &FunctionInfo,
    statement: &Statement,
    state: &[Ty],
) -> Vec<Local> {
    let mut locals = dropped(info, statement);
    locals.retain(|&local| !is_tame(&state[local]) && state[local].array().is_none());
    locals
}

/// Temporaries of a block that own something where one of its statements raises what is caught: they
/// are released, as Python does with what is on its stack.
pub(crate) fn unwound(info: &FunctionInfo, id: Id, state: &[Ty]) -> Vec<Local> {
    let live = &info.liveness.head[id];
    let is_unwound = |local: &Local| {
        info.program.locals[*local].starts_with('.') && !live.has(*local) && owns(&state[*local])
    };
    (info.program.n_params..state.len())
        .filter(is_unwound)
        .collect()
}

/// What a statement may take for granted once the locals it reads have been looked at; `false` if
/// one of them is not bound.
pub(crate) fn prepare(info: &FunctionInfo, statement: &Statement, state: &mut [Ty]) -> bool {
    let kind = &statement.kind;
    if reads_unbound(info, kind) {
        return false;
    }
    if !only_moves(kind) {
        for ty in state.iter_mut() {
            if let Some(narrow) = ty.narrow.take()
                && !info.unexpected.contains(&statement.id)
            {
                *ty = *narrow;
            }
        }
    }
    if info.lockstep_at(statement, state).is_some() {
        return true;
    }
    for local in used(kind) {
        let ty = &mut state[local];
        if info.unexpected.contains(&statement.id) {
            ty.forget_class();
        }
        ty.tags = Tags(ty.tags.0 & !Tags::of(UNSET).0);
        if ty.is_never() {
            return false;
        }
    }
    true
}

/// Whether the statement reads a global that is not bound.
pub(crate) fn reads_unbound(info: &FunctionInfo, kind: &Kind) -> bool {
    let mut found = false;
    for_each_atom(kind, &mut |atom| {
        if let Atom::Global(index) = atom {
            found |= info.globals[*index] == Global::Unbound;
        }
    });
    found
}

/// The list gets another element.
pub(crate) fn extend(list: &mut Ty, value: &Ty) {
    if let Form::List(element) = &mut list.form {
        let value = boxed_parts(value.narrowed()).without_chars();
        let joined = element.join(&value);
        **element = if joined.depth() >= DEPTH_MAX {
            Ty::tags(joined.tags)
        } else {
            joined
        };
    }
}

/// After `list.append(x)` the list is expected to hold such elements.
pub(crate) fn note_append(state: &mut [Ty], info: &FunctionInfo, e: &Expr) {
    if let Expr::Method(name, Atom::Local(list), args, _, _) = e
        && name == "append"
        && let [value] = args.as_slice()
        && state[*list].list().is_some()
    {
        let value = Scope { info, state }.atom(value);
        extend(&mut state[*list], &value);
    }
}
