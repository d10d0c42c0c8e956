//! Expressions over whole arrays: the runtime computes them at once, or the statements do one by
//! one.

use std::cell::{Cell, RefCell};

use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, Value, types};
use cranelift_frontend::Variable;

use super::Emitter;
use crate::program::{Atom, Kind, Local, Statement};
use crate::scope::Scope;
use crate::types::{Class, Dtype, Form, OBJECT, Tags, Ty, UNSET};
use crate::whole::{Operands, Run, Whole, WholeNode, run};

/// Turns of a loop that a run counts for.
const N_TICKS: i64 = 128;

impl Operands for Scope<'_> {
    fn is_number(&self, atom: &Atom) -> bool {
        self.atom(atom).narrowed().tags.within(Tags::NUMBERS)
    }

    fn n_dims(&self, atom: &Atom) -> Option<usize> {
        self.atom(atom).narrowed().array().map(|array| array.ndim)
    }
}

impl Emitter<'_, '_> {
    /// Emits the run of statements that a block begins with, if it is one expression over arrays:
    /// how many there are, and whether anything follows.
    pub(super) fn whole(&mut self, block: &[Statement]) -> Option<(usize, bool)> {
        if self.rt.whole == 0 || self.side.is_some() {
            return None;
        }
        let found = run(&self.info, &self.rt.whole_functions, &self.scope(), block)?;
        if !self.is_about_arrays(&found) {
            return None;
        }
        let (first, statements) = (block.first()?, &block[..found.n_statements]);
        if statements
            .iter()
            .any(|statement| crate::infer::reads_unbound(&self.info, &statement.kind))
        {
            return None;
        }
        self.begin(first);
        // A run may take long, and nobody looks at signals in it.
        self.take_ticks_here(N_TICKS);
        let goes_on = self.prepare(first);
        self.end_checks();
        if !goes_on {
            return Some((1, false));
        }
        if !self.is_about_arrays(&found) {
            return None;
        }
        if found.is_view() && !self.is_known_view(&found) {
            return None;
        }
        let words = found.leaves.iter().map(|leaf| self.leaf(leaf));
        let words = words.collect::<Option<Vec<_>>>()?;
        let row = self.row_kernel(&found);
        let is_single = found.is_single() || found.is_view();
        if is_single && row.is_none() && !found.is_view() {
            return None;
        }
        let to = found.to;
        let mut record = Box::new(Whole {
            nodes: found.nodes.clone(),
            result: found.result,
            target: found.target,
            n_leaves: found.leaves.len(),
            parallel: self.unit.parallel,
            nogil: self.unit.nogil,
            statement: statements.last().map_or(first.id, |last| last.id),
            n_done: Cell::default(),
            row: None,
            memo: RefCell::default(),
        });
        let (one_by_one, done, after) = (self.new_block(), self.new_block(), self.new_block());
        let object = self.b.declare_var(types::I64);
        if found.is_view() {
            self.enter_view(&found, object, [done, one_by_one]);
        } else if let Some(row) = row {
            let slow = if is_single {
                one_by_one
            } else {
                self.cold_block()
            };
            let n_done = self.address(std::ptr::from_ref(&record.n_done) as usize);
            self.enter_row((&found, &row), object, [done, slow], n_done);
            if !is_single {
                self.start(slow);
            }
            record.row = Some(row.code);
        }
        let address = self.address(std::ptr::from_ref::<Whole>(&record) as usize);
        self.wholes.push(record);
        if !is_single {
            let room = self.scratch(2 * words.len());
            for (at, &word) in words.iter().flatten().enumerate() {
                self.store(word, room, i32::try_from(8 * at).unwrap_or(0));
            }
            let made = self.call_word(self.rt.whole, &[address, room]);
            self.b.def_var(object, made);
            self.b.ins().brif(made, done, &[], one_by_one, &[]);
        }
        let goes_on = self.or_one_by_one(statements, to, object, [one_by_one, done, after]);
        Some((statements.len(), goes_on))
    }

    /// Emits statements one by one, in a block that has been jumped to where they were not done at once;
    /// where they were, what they bind is an object. Whether anything follows.
    pub(super) fn or_one_by_one(
        &mut self,
        statements: &[Statement],
        to: Option<Local>,
        object: Variable,
        [one_by_one, done, after]: [Block; 3],
    ) -> bool {
        let before = (self.types.clone(), self.facts.len(), self.checked.len());
        self.b.switch_to_block(one_by_one);
        let goes_on = statements.iter().all(|statement| self.statement(statement));
        let types = std::mem::replace(&mut self.types, before.0);
        self.facts.truncate(before.1);
        self.checked.truncate(before.2);
        let is_object = to.is_none_or(|to| types[to].tags == Tags::of(OBJECT));
        if goes_on {
            self.jump(after, &[]);
        }
        self.start(done);
        let object = self.b.use_var(object);
        if goes_on && is_object {
            match (to, &statements[statements.len() - 1].kind) {
                (Some(to), _) => self.bind(to, Self::owned(types[to].clone(), object)),
                (None, Kind::SetItem(of, index, _)) => self.note_stored_by_python(of, index),
                _ => {}
            }
            for statement in statements {
                self.finish_step(statement);
            }
            self.jump(after, &[]);
        } else {
            // What these statements are known to do is not what was found.
            if to.is_some() {
                self.dec_ref(object);
            }
            self.jump(one_by_one, &[]);
        }
        self.b.seal_block(one_by_one);
        self.start(after);
        if goes_on {
            self.types = types;
        } else {
            self.resume_at_nothing();
        }
        goes_on
    }

    /// Whether a run is worth to be looked at as a whole: arrays go in, and nothing that is none
    /// for certain.
    fn is_about_arrays(&self, run: &Run) -> bool {
        let scope = self.scope();
        let types = run
            .leaves
            .iter()
            .map(|leaf| scope.atom(leaf).narrowed().clone());
        let types = types.collect::<Vec<_>>();
        let is_array = |ty: &Ty| {
            let array = ty.array();
            array.is_some_and(|array| array.dtype != Dtype::Complex128)
        };
        let is_unknown = |ty: &Ty| ty.tags == Tags::of(OBJECT) && ty.form == Form::Any;
        let fits = |ty: &Ty| is_array(ty) || is_unknown(ty) || ty.tags.within(Tags::NUMBERS);
        let calls = |node: &WholeNode| matches!(node, WholeNode::Call(..));
        // Of anything but an array an item may be something else.
        let stored_in = run.stored_in().map(|atom| scope.atom(atom));
        if stored_in.is_some_and(|ty| !is_array(&ty)) {
            return false;
        }
        let is_known = types.iter().any(is_array);
        let is_bound = |leaf: &Atom| match leaf {
            Atom::Local(local) => !self.types[*local].tags.has(UNSET),
            _ => true,
        };
        run.leaves.iter().all(is_bound)
            && types.iter().all(|ty| fits(ty) && !ty.tags.is_empty())
            && (is_known || types.iter().any(is_unknown) && run.nodes.iter().any(calls))
    }

    /// The tag and the bits of what goes in.
    fn leaf(&mut self, leaf: &Atom) -> Option<[Value; 2]> {
        let value = self.atom(leaf);
        let tag = self.tag(&value);
        let bits = match Self::class_of(&value)? {
            Class::Int | Class::Unsigned | Class::Object => self.word(&value),
            Class::Float => {
                let flt = self.flt(&value);
                self.b.ins().bitcast(types::I64, MemFlagsData::new(), flt)
            }
            _ => return None,
        };
        Some([tag, bits])
    }
}
