//! Calls of functions that are put in place.
//!
//! The emitter takes over the function's program, locals and types, emits its statements, and goes
//! back. All exits are those of the statement that calls.

use std::rc::Rc;

use cranelift_codegen::ir::{Block, InstBuilder};

use super::{Emitter, Val, has_word, new_place};
use crate::globals::FunctionId;
use crate::infer::owns;
use crate::program::{Kind, Statement};
use crate::types::{NONE, Tags, Ty, UNSET};
use crate::unit::Inlined;

/// Where the results of a function arrive.
struct Return {
    block: Block,
    ty: Ty,
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
        let n_locals = info.program.locals.len();
        let places = (0..n_locals).map(|_| new_place(&mut self.b)).collect();
        let info = std::mem::replace(&mut self.info, info);
        let places = std::mem::replace(&mut self.places, places);
        let types = std::mem::replace(&mut self.types, vec![Ty::of(UNSET); n_locals]);
        let joints = std::mem::replace(&mut self.joints, Rc::clone(&inlined.joints));
        let own_lists = std::mem::take(&mut self.own_lists);
        let own_tables = std::mem::take(&mut self.own_tables);
        let facts = std::mem::take(&mut self.facts);
        let forwarded = self.forwarded.take();
        for (local, arg) in args.iter().enumerate() {
            let value = Val {
                owned: true,
                constant: None,
                ..arg.clone()
            };
            self.bind(local, value);
        }
        let block = self.block_beside();
        let ty = inlined.ret.clone();
        let params = super::words_of(&ty);
        let values = params
            .iter()
            .map(|&param| self.b.append_block_param(block, param));
        let values = values.collect::<Vec<_>>();
        let target = Return { block, ty };
        let body = Rc::clone(&self.info);
        if self.inlined_block(&body.program.body, &target) {
            self.return_in_place(Self::nothing(NONE), &target);
        }
        self.start(block);
        self.info = info;
        self.places = places;
        self.types = types;
        self.joints = joints;
        self.own_lists = own_lists;
        self.own_tables = own_tables;
        self.facts = facts;
        self.forwarded = forwarded;
        let mut values = values.into_iter();
        let ty = target.ty;
        let tag = ty.tags.single().is_none().then(|| values.next()).flatten();
        let word = has_word(ty.tags).then(|| values.next()).flatten();
        let flt = ty.tags.any(Tags::FLOATS).then(|| values.next()).flatten();
        Some(Val {
            ty,
            tag,
            word,
            flt,
            ..Val::default()
        })
    }

    /// Emits a block in place; whether its end is reached.
    fn inlined_block(&mut self, block: &[Statement], target: &Return) -> bool {
        block
            .iter()
            .all(|statement| self.inlined_statement(statement, target))
    }

    fn inlined_statement(&mut self, statement: &Statement, target: &Return) -> bool {
        if !self.prepare(statement) {
            return false;
        }
        match &statement.kind {
            Kind::Set(to, e) => {
                let Some(value) = self.expr(e) else {
                    return false;
                };
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
                let state = self.types.clone();
                for (start, block) in [(yes, then), (no, otherwise)] {
                    self.types.clone_from(&state);
                    self.start(start);
                    if self.inlined_block(block, target) {
                        self.jump_to(done, &after);
                    }
                }
                return self.resume_at(done, after);
            }
            Kind::Return(a) => {
                let value = self.atom(a);
                self.return_in_place(value, target);
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

    fn return_in_place(&mut self, value: Val, target: &Return) {
        let mut words = Vec::new();
        if target.ty.tags.single().is_none() {
            words.push(self.tag(&value));
        }
        if has_word(target.ty.tags) {
            words.push(self.word(&value));
        }
        if target.ty.tags.any(Tags::FLOATS) {
            words.push(self.flt(&value));
        }
        self.jump(target.block, &words);
    }
}
