//! Calls of functions that are put in place.
//!
//! The emitter takes over the function's program, locals and types, emits its statements, and goes
//! back. All exits are those of the statement that calls.

use std::rc::Rc;

use cranelift_codegen::ir::{Block, InstBuilder, condcodes::IntCC};
use cranelift_frontend::Variable;

use super::{Emitter, Val, has_flt, has_word, new_place};
use crate::globals::FunctionId;
use crate::infer::{Joint, State, owns};
use crate::program::{Kind, Statement};
use crate::types::{Form, INT, NONE, RANGE, Tags, Ty, UNSET};
use crate::unit::{FunctionInfo, Inlined};

/// Where the results of a function arrive.
struct Return {
    block: Block,
    ty: Ty,
    /// The loops around the current statement.
    loops: Vec<Around>,
}

/// A loop of a function that is put in place.
struct Around {
    latch: Block,
    after: Block,
    at_head: State,
    at_end: State,
}

/// A loop over a range: counter, end, step, and the step if it is written in the program.
struct Counted {
    state: [Variable; 3],
    step: Option<i64>,
    is_up: bool,
}

impl Emitter<'_, '_> {
    /// What a function gives for such arguments, if it is put in place; `None` if it is called.
    pub(super) fn inlined_call(&mut self, id: FunctionId, args: &[Val]) -> Option<Option<Val>> {
        let types = args.iter().map(|arg| arg.ty.clone()).collect::<Vec<_>>();
        let inlined = self.unit.inlined(id, &types)?;
        Some(self.put_in_place(id, &inlined, args))
    }

    fn put_in_place(&mut self, id: FunctionId, inlined: &Inlined, args: &[Val]) -> Option<Val> {
        let info = Rc::clone(&self.unit.functions[id]);
        let ty = inlined.ret.clone();
        let block = self.block_beside();
        let params = numbers_of(&ty).iter().flat_map(super::words_of);
        let params = params.collect::<Vec<_>>().into_iter();
        let values = params.map(|param| self.b.append_block_param(block, param));
        let values = values.collect::<Vec<_>>();
        let mut target = Return {
            block,
            ty,
            loops: Vec::new(),
        };
        self.in_place_of(&info, Rc::clone(&inlined.joints), |emitter| {
            for (local, arg) in args.iter().enumerate() {
                let value = Val {
                    owned: true,
                    constant: None,
                    ..arg.clone()
                };
                emitter.bind(local, value);
            }
            if emitter.inlined_block(&info.program.body, &mut target) {
                emitter.return_in_place(&Self::nothing(NONE), &target);
            }
        });
        self.start(block);
        let mut values = values.into_iter();
        let ty = target.ty;
        let numbers = numbers_of(&ty).iter().map(|ty| Val {
            ty: ty.clone(),
            tag: ty.tags.single().is_none().then(|| values.next()).flatten(),
            word: has_word(ty.tags).then(|| values.next()).flatten(),
            flt: has_flt(ty.tags).then(|| values.next()).flatten(),
            ..Val::default()
        });
        let mut numbers = numbers.collect::<Vec<_>>();
        if ty.parts().is_none() {
            return numbers.pop();
        }
        Some(Val {
            ty,
            parts: numbers,
            ..Val::default()
        })
    }

    /// Emits something with the locals of another function.
    pub(super) fn in_place_of<R>(
        &mut self,
        info: &Rc<FunctionInfo>,
        joints: Rc<Vec<Joint>>,
        emit: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let n_locals = info.program.locals.len();
        let places = (0..n_locals).map(|_| new_place(&mut self.b)).collect();
        let info = std::mem::replace(&mut self.info, Rc::clone(info));
        let places = std::mem::replace(&mut self.places, places);
        let types = std::mem::replace(&mut self.types, vec![Ty::of(UNSET); n_locals]);
        let joints = std::mem::replace(&mut self.joints, joints);
        let own_lists = std::mem::take(&mut self.own_lists);
        let own_tables = std::mem::take(&mut self.own_tables);
        let facts = std::mem::take(&mut self.facts);
        let below = std::mem::take(&mut self.below);
        let checked = std::mem::take(&mut self.checked);
        let forwarded = self.forwarded.take();
        let result = emit(self);
        self.info = info;
        self.places = places;
        self.types = types;
        self.joints = joints;
        self.own_lists = own_lists;
        self.own_tables = own_tables;
        self.facts = facts;
        self.below = below;
        self.checked = checked;
        self.forwarded = forwarded;
        result
    }

    /// Emits a block in place; whether its end is reached.
    fn inlined_block(&mut self, block: &[Statement], target: &mut Return) -> bool {
        block
            .iter()
            .all(|statement| self.inlined_statement(statement, target))
    }

    fn inlined_statement(&mut self, statement: &Statement, target: &mut Return) -> bool {
        if !self.prepare(statement) {
            return false;
        }
        match &statement.kind {
            Kind::Set(to, e) => {
                let is_masked = self.is_masked_at(statement.id);
                let is_masked = std::mem::replace(&mut self.is_masked, is_masked);
                let value = self.expr(e);
                self.is_masked = is_masked;
                let Some(value) = value else {
                    return false;
                };
                let value = self.stepped(statement.id, value);
                self.bind(*to, value);
            }
            Kind::If(test, then, otherwise) => {
                let value = self.atom(test);
                let truth = self.truth(&value);
                let after = self.joint(statement.id).after;
                let (yes, no, done) = (
                    self.block_beside(),
                    self.block_beside(),
                    self.block_beside(),
                );
                self.b.ins().brif(truth, yes, &[], no, &[]);
                let sides = [true, false].map(|side| self.refined(statement.id, side));
                let n_checked = self.checked.len();
                for ((start, block), types) in [(yes, then), (no, otherwise)].into_iter().zip(sides)
                {
                    self.types = types;
                    self.start(start);
                    if self.inlined_block(block, target) {
                        self.jump_to(done, &after);
                    }
                    self.checked.truncate(n_checked);
                }
                return self.resume_at(done, after);
            }
            Kind::Unpack(..) => {
                if !self.step(&statement.kind) {
                    return false;
                }
            }
            Kind::Return(a) => {
                let value = self.atom(a);
                self.return_in_place(&value, target);
                return false;
            }
            Kind::Loop(body) => return self.inlined_loop(statement, None, [body, &[]], target),
            Kind::For(_, iterable, body, otherwise) => {
                let range = self.atom(iterable);
                if range.ty.tags != Tags::of(RANGE) {
                    self.leave("a loop that is not put in place");
                    return false;
                }
                let step = match range.ty.form {
                    Form::Range(step) => Some(step),
                    _ => None,
                };
                let words = range.parts.iter().map(|part| self.word(part));
                let words = words.collect::<Vec<_>>();
                self.check_range_ends(&words, step, range.ty.natural);
                let counted = Counted {
                    state: [0, 1, 2].map(|at| self.variable(words[at])),
                    step,
                    is_up: range.ty.natural,
                };
                let blocks = [body.as_slice(), otherwise];
                return self.inlined_loop(statement, Some(counted), blocks, target);
            }
            Kind::Break | Kind::Continue => {
                if let Some(around) = target.loops.last() {
                    let (to, state) = if matches!(statement.kind, Kind::Break) {
                        (around.after, around.at_end.clone())
                    } else {
                        (around.latch, around.at_head.clone())
                    };
                    self.jump_to(to, &state);
                }
                return false;
            }
            // Not in a small function.
            _ => {
                self.leave("a statement that is not put in place");
                return false;
            }
        }
        for local in crate::infer::dropped(&self.info, statement) {
            debug_assert!(!owns(&self.types[local]), "temporaries are numbers");
            self.types[local] = Ty::of(UNSET);
        }
        true
    }

    fn inlined_loop(
        &mut self,
        statement: &Statement,
        counted: Option<Counted>,
        [body, otherwise]: [&[Statement]; 2],
        target: &mut Return,
    ) -> bool {
        if counted.is_none() {
            self.run_ahead(body);
        }
        let joint = self.joint(statement.id);
        self.coerce_to(&joint.head);
        let Some(at_head) = joint.head.clone() else {
            self.leave("a loop that never begins");
            return false;
        };
        self.types.clone_from(&at_head);
        let n_checked = self.checked.len();
        let [latch, inside, end, after] = [(); 4].map(|()| self.new_block());
        self.check_inlined_turn(counted.as_ref(), inside, end);
        self.b.switch_to_block(inside);
        if let (Some(counted), Kind::For(to, iterable, ..)) = (&counted, &statement.kind) {
            let ty = crate::operation::iterated(&self.scope().atom(iterable));
            let now = self.b.use_var(counted.state[0]);
            let ty = ty.unwrap_or_else(|| Ty::of(INT));
            self.bind(*to, Self::from_word(ty, now));
        }
        target.loops.push(Around {
            latch,
            after,
            at_head: joint.head.clone(),
            at_end: joint.after.clone(),
        });
        if self.inlined_block(body, target) {
            self.jump_to(latch, &joint.head);
        }
        self.checked.truncate(n_checked);
        target.loops.pop();
        self.start(latch);
        self.types.clone_from(&at_head);
        if let Some(Counted { state, step, .. }) = &counted {
            let now = self.b.use_var(state[0]);
            let next = match step {
                Some(step) => self.b.ins().iadd_imm_s(now, *step),
                None => {
                    let step = self.b.use_var(state[2]);
                    self.b.ins().iadd(now, step)
                }
            };
            self.b.def_var(state[0], next);
        }
        self.tick();
        self.check_inlined_turn(counted.as_ref(), inside, end);
        self.b.seal_block(inside);
        self.start(end);
        self.types = at_head;
        if counted.is_none() {
            // Never reached: the loop is only left by break.
            self.resume_at_nothing();
        } else if self.inlined_block(otherwise, target) {
            self.jump_to(after, &joint.after);
        }
        self.checked.truncate(n_checked);
        self.resume_at(after, joint.after)
    }

    /// Goes on into the loop or to its end.
    fn check_inlined_turn(&mut self, counted: Option<&Counted>, inside: Block, end: Block) {
        let Some(Counted { state, step, is_up }) = counted else {
            self.jump(inside, &[]);
            return;
        };
        let [now, stop, by] = state.map(|variable| self.b.use_var(variable));
        let [up, down] = [IntCC::SignedLessThan, IntCC::SignedGreaterThan]
            .map(|cc| self.b.ins().icmp(cc, now, stop));
        let goes_on = match step {
            Some(1..) => up,
            Some(_) => down,
            None if *is_up => up,
            None => {
                let forward = self.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, by, 0);
                self.b.ins().select(forward, up, down)
            }
        };
        self.b.ins().brif(goes_on, inside, &[], end, &[]);
    }

    fn return_in_place(&mut self, value: &Val, target: &Return) {
        let mut words = Vec::new();
        let numbers = if target.ty.parts().is_some() {
            value.parts.as_slice()
        } else {
            std::slice::from_ref(value)
        };
        for (ty, value) in numbers_of(&target.ty).iter().zip(numbers) {
            if ty.tags.single().is_none() {
                words.push(self.tag(value));
            }
            if has_word(ty.tags) {
                words.push(self.word(value));
            }
            if has_flt(ty.tags) {
                words.push(self.flt(value));
            }
        }
        self.jump(target.block, &words);
    }
}

/// The numbers that a result consists of.
fn numbers_of(ty: &Ty) -> &[Ty] {
    ty.parts().unwrap_or(std::slice::from_ref(ty))
}
