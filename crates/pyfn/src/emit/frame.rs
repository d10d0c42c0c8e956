//! Entering and leaving native code: parameters, exits, failures, returns.
//!
//! An exit stores the locals into a frame on the stack, three words each (tag, word, double), the
//! parts of a tuple one behind the other, then the states of the loops around. How the frame is to
//! be read is the same at every visit, so it is in a [`Record`] beside the code.

use cranelift_codegen::ir::{self, AbiParam, Block, InstBuilder, Value, condcodes::IntCC, types};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};

use super::{Emitter, Place, Val, has_flt, has_word, native_signature, trusted};
use crate::infer::{only_moves, owns, used};
use crate::program::{Atom, Local, Statement};
use crate::types::{FLOAT, Form, NONE, OBJECT, RAISED, RANGE, Tags, Ty, UNSET};
use crate::unit::{LoopShape, Record, Shape};

/// Why a function is left where a value is not of the type that it was taken for.
pub const UNEXPECTED: &str = "another type than expected";

/// Emits the entry for Python: `(context, args, out, native)`. Arguments are pairs of a tag and
/// bits, the result is tag, word and double.
pub(super) fn entry(
    func: &mut ir::Function,
    builder_context: &mut FunctionBuilderContext,
    params: &[Ty],
    isa: &OwnedTargetIsa,
) {
    let mut signature = ir::Signature::new(CallConv::SystemV);
    for _ in 0..4 {
        signature.params.push(AbiParam::new(types::I64));
    }
    func.signature = signature;
    let mut b = FunctionBuilder::new(func, builder_context);
    let block = b.create_block();
    b.append_block_params_for_function_params(block);
    b.switch_to_block(block);
    b.seal_block(block);
    let [context, args, out, native] = *b.block_params(block) else {
        return;
    };
    let mut values = vec![context, depth_of(&mut b, context)];
    for (at, ty) in params.iter().enumerate() {
        let offset = i32::try_from(16 * at).unwrap_or(0);
        if ty.tags.single().is_none() {
            values.push(b.ins().load(types::I64, trusted(), args, offset));
        }
        if has_word(ty.tags) {
            values.push(b.ins().load(types::I64, trusted(), args, offset + 8));
        }
        if has_flt(ty.tags) {
            values.push(b.ins().load(types::F64, trusted(), args, offset + 8));
        }
    }
    let signature = b.import_signature(native_signature(params));
    let call = b.ins().call_indirect(signature, native, &values);
    let results = b.inst_results(call).to_vec();
    for (at, result) in results.into_iter().enumerate() {
        let offset = i32::try_from(8 * at).unwrap_or(0);
        b.ins().store(trusted(), result, out, offset);
    }
    b.ins().return_(&[]);
    b.finalize(isa.frontend_config());
}

/// How many calls may be nested, from a context.
pub(super) fn depth_of(b: &mut FunctionBuilder<'_>, context: Value) -> Value {
    b.ins().load(types::I64, trusted(), context, 0)
}

impl Emitter<'_, '_> {
    /// Takes the parameters, and looks whether there is room on the stack.
    pub(super) fn enter(&mut self, params: &[Ty]) {
        let block = self.b.current_block();
        let words = block.map(|block| self.b.block_params(block).to_vec());
        let mut words = words.unwrap_or_default().into_iter().skip(2);
        for (local, ty) in params.iter().enumerate() {
            let mut value = Val {
                ty: ty.clone(),
                owned: self.is_borrowed(local),
                ..Val::default()
            };
            if ty.tags.single().is_none() {
                value.tag = words.next();
            }
            if has_word(ty.tags) {
                value.word = words.next();
            }
            if has_flt(ty.tags) {
                value.flt = words.next();
            }
            self.bind(local, value);
        }
        let ticks = self.int(TICKS);
        self.b.def_var(self.ticks, ticks);
    }

    /// Looks at the locals that a statement reads; `false` if it is always left.
    pub(super) fn prepare(&mut self, statement: &Statement) -> bool {
        let kind = &statement.kind;
        if crate::infer::reads_unbound(&self.info, kind) {
            self.leave("an unbound name");
            return false;
        }
        let reads = match self.info.lockstep_at(statement, &self.types) {
            Some(_) => Vec::new(),
            None => used(kind),
        };
        for local in reads {
            if self.info.unexpected.contains(&statement.id) {
                self.types[local].forget_class();
            }
            let ty = self.types[local].clone();
            if ty.tags.has(UNSET) {
                let bound = Tags(ty.tags.0 & !Tags::of(UNSET).0);
                if bound.is_empty() {
                    self.leave("an unbound local");
                    return false;
                }
                let value = self.read_local(local);
                let is_unset = self.has_tag(&value, UNSET);
                self.exit_if(is_unset, "an unbound local");
                self.types[local].tags = bound;
                if let Some(narrow) = &mut self.types[local].narrow {
                    narrow.tags = Tags(narrow.tags.0 & !Tags::of(UNSET).0);
                }
            }
        }
        let is_expected = |ty: &Ty| ty.narrow.is_some();
        if !only_moves(kind) && self.types.iter().any(is_expected) {
            // Exits of its own, so that a wrong guess is told from all else.
            self.end_checks();
            for local in 0..self.types.len() {
                if let Some(narrow) = self.types[local].narrow.take()
                    && !self.info.unexpected.contains(&statement.id)
                {
                    self.narrow(local, *narrow);
                }
            }
            if let Some((_, why)) = &mut self.exit {
                UNEXPECTED.clone_into(why);
            }
            self.end_checks();
        }
        self.prepared.clone_from(&self.types);
        true
    }

    pub(super) fn read_local(&mut self, local: Local) -> Val {
        let place = self.places[local].clone();
        let ty = self.types[local].clone();
        self.read(&place, &ty)
    }

    /// Takes a local for what is expected of it, or leaves.
    fn narrow(&mut self, local: Local, to: Ty) {
        let from = self.types[local].clone();
        let value = self.read_local(local);
        let mut place = self.places[local].clone();
        if to.tags.has(OBJECT) {
            if to.tags == Tags::of(OBJECT) {
                if from.tags != to.tags {
                    let is_object = self.has_tag(&value, OBJECT);
                    self.exit_unless(is_object, "another type than expected");
                }
                self.check_form(&value, &to);
                let word = self.word(&value);
                let value = self.with_fields(Self::from_word(to.clone(), word));
                self.write(&mut place, &value);
            } else if to.form != Form::Any {
                let is_object = self.has_tag(&value, OBJECT);
                let (yes, done) = (self.new_block(), self.new_block());
                self.b.ins().brif(is_object, yes, &[], done, &[]);
                self.start(yes);
                self.check_form(&value, &to);
                let word = self.word(&value);
                let object = Self::from_word(Ty::object(to.form.clone()), word);
                let object = self.with_fields(object);
                self.write(&mut place, &object);
                self.jump(done, &[]);
                self.start(done);
            }
        } else {
            // Either it is not boxed, or it can be unboxed.
            let tags = to.tags;
            let done = self.new_block();
            if from.tags != Tags::of(OBJECT) {
                let is_object = self.has_tag(&value, OBJECT);
                let boxed = self.cold_block();
                self.b.ins().brif(is_object, boxed, &[], done, &[]);
                self.start(boxed);
            }
            let object = self.word(&value);
            // Objects come of what uses objects, or of a callee that was left, which has taken the
            // interpreter lock.
            self.quietly(|emitter| {
                let unboxed = emitter.unbox(object, tags);
                // In place, so that an exit later in this statement hands it over as it is now.
                emitter.write(&mut place, &unboxed);
                if !emitter.is_borrowed(local) {
                    emitter.dec_ref(object);
                }
            });
            self.jump(done, &[]);
            self.start(done);
        }
        self.places[local] = place;
        self.types[local] = to;
    }

    /// Leaves unless the object is what its form says.
    pub(super) fn check_form(&mut self, value: &Val, ty: &Ty) {
        let object = self.word(value);
        let type_ = match &ty.form {
            Form::Array(array) => {
                let check = self.check(*array);
                let is_array = self.call_rarely(self.rt.is_array, &[object, check]);
                self.exit_unless(is_array, "another array than expected");
                return;
            }
            Form::List(_) => self.rt.list_type,
            Form::Str => self.rt.str_type,
            Form::Bytes => self.rt.bytes_type,
            Form::Dict => self.rt.dict_type,
            Form::TupleObject(_) => self.rt.tuple_type,
            Form::Any
            | Form::Tuple(_)
            | Form::Range(_)
            | Form::Unboxed(_)
            | Form::Table(_)
            | Form::Instance(_) => return,
        };
        let is_type = self.has_type(object, type_);
        self.exit_unless(is_type, "another type than expected");
    }

    pub(super) fn has_type(&mut self, object: Value, type_: usize) -> Value {
        self.uses_objects = true;
        let found = self.load(types::I64, object, 8);
        let type_ = self.address(type_);
        self.b.ins().icmp(IntCC::Equal, found, type_)
    }

    /// The value of an object as one of the tags; leaves if it is none of them.
    pub(super) fn unbox(&mut self, object: Value, tags: Tags) -> Val {
        let ty = Ty::tags(tags);
        if tags == Tags::of(FLOAT) && self.rt.ob_fval != 0 {
            let is_float = self.has_type(object, self.rt.float_type);
            self.exit_unless(is_float, "not a float");
            let flt = self.load(types::F64, object, self.rt.ob_fval);
            return Self::from_flt(ty, flt);
        }
        if tags == Tags::of(crate::types::INT) && self.rt.digits30 {
            return self.unbox_int(object, ty);
        }
        if tags == Tags::of(crate::types::BOOL) {
            let (yes, no) = (self.address(self.rt.true_), self.address(self.rt.false_));
            let is_true = self.b.ins().icmp(IntCC::Equal, object, yes);
            let is_false = self.b.ins().icmp(IntCC::Equal, object, no);
            let either = self.b.ins().bor(is_true, is_false);
            self.exit_unless(either, "not a bool");
            let word = self.b.ins().uextend(types::I64, is_true);
            return Self::from_word(ty, word);
        }
        if tags == Tags::of(crate::types::COMPLEX) {
            return self.unbox_complex(object);
        }
        let out = self.scratch(2);
        let wanted = self.int(i64::from(tags.0));
        let tag = self.call_rarely(self.rt.unbox, &[object, wanted, out]);
        let failed = self.b.ins().icmp_imm_s(IntCC::Equal, tag, 0);
        self.exit_if(failed, "another type than expected");
        let out = self.scratch(2);
        let word = self.load(types::I64, out, 0);
        let flt = self.load(types::F64, out, 8);
        Val {
            ty,
            tag: Some(tag),
            word: Some(word),
            flt: Some(flt),
            ..Val::default()
        }
    }

    /// An integer of at most one digit is read in place, others by the runtime.
    fn unbox_int(&mut self, object: Value, ty: Ty) -> Val {
        let is_int = self.has_type(object, self.rt.long_type);
        self.exit_unless(is_int, "not an int");
        let size = self.load(types::I64, object, 16);
        let above = self.b.ins().iadd_imm_s(size, 1);
        let small = self
            .b
            .ins()
            .icmp_imm_s(IntCC::UnsignedLessThanOrEqual, above, 2);
        let (direct, large, done) = (self.new_block(), self.cold_block(), self.new_block());
        let word = self.b.append_block_param(done, types::I64);
        self.b.ins().brif(small, direct, &[], large, &[]);
        self.start(direct);
        let digit = self.b.ins().uload32(trusted(), object, 24);
        let value = self.b.ins().imul(digit, size);
        self.jump(done, &[value]);
        self.start(large);
        let out = self.scratch(2);
        let wanted = self.int(i64::from(Tags::of(crate::types::INT).0));
        let tag = self.call_rarely(self.rt.unbox, &[object, wanted, out]);
        let failed = self.b.ins().icmp_imm_s(IntCC::Equal, tag, 0);
        self.exit_if(failed, "an int of more than 64 bits");
        let out = self.scratch(2);
        let value = self.load(types::I64, out, 0);
        self.jump(done, &[value]);
        self.start(done);
        Self::from_word(ty, word)
    }

    /// Leaves before this statement if the condition holds.
    pub(super) fn exit_if(&mut self, condition: Value, why: &str) {
        let condition = self.on_this_side(condition);
        let exit = self.exit_block(why);
        self.branch_if(condition, exit);
    }

    /// Leaves before this statement unless the condition holds.
    pub(super) fn exit_unless(&mut self, condition: Value, why: &str) {
        let exit = self.exit_block(why);
        let next = self.block_beside();
        self.b.ins().brif(condition, next, &[], exit, &[]);
        self.b.seal_block(next);
        self.b.switch_to_block(next);
    }

    fn exit_block(&mut self, why: &str) -> Block {
        if let Some((block, _)) = self.exit {
            return block;
        }
        let block = self.cold_block();
        self.exit = Some((block, why.to_owned()));
        block
    }

    /// Leaves before this statement, always. Nothing follows.
    pub(super) fn leave(&mut self, why: &str) {
        self.leaves.push((self.statement, why.to_owned()));
        let exit = self.exit_block(why);
        self.jump(exit, &[]);
    }

    /// Fails if the condition holds: an exception is set.
    pub(super) fn fail_if(&mut self, condition: Value) {
        let unfinished = self.unfinished.take();
        let Some(object) = unfinished else {
            self.fail_with_nothing_if(condition);
            return;
        };
        let (failed, fine) = (self.cold_block(), self.new_block());
        self.b.ins().brif(condition, failed, &[], fine, &[]);
        self.start(failed);
        self.dec_ref(object);
        let always = self.int(1);
        self.fail_with_nothing_if(always);
        self.jump(fine, &[]);
        self.start(fine);
        self.unfinished = unfinished;
    }

    fn fail_with_nothing_if(&mut self, condition: Value) {
        let block = self.failure_block();
        self.branch_if(condition, block);
    }

    /// Fails, always. Nothing follows.
    pub(super) fn fail(&mut self) {
        let block = self.failure_block();
        self.jump(block, &[]);
    }

    fn failure_block(&mut self) -> Block {
        if let Some(block) = self.failure {
            return block;
        }
        let block = self.cold_block();
        self.failure = Some(block);
        block
    }

    /// Fails if the object is null.
    pub(super) fn fail_if_null(&mut self, object: Value) {
        let is_null = self.b.ins().icmp_imm_s(IntCC::Equal, object, 0);
        self.fail_if(is_null);
    }

    /// Fails if the status is negative.
    pub(super) fn fail_if_negative(&mut self, status: Value) {
        let failed = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, status, 0);
        self.fail_if(failed);
    }

    /// Emits the exit and the failure of the statement whose checks are done.
    pub(super) fn end_checks(&mut self) {
        let here = self.b.current_block();
        if let Some((block, why)) = self.exit.take() {
            self.start(block);
            self.hand_over_here(self.rt.leave, why);
        }
        if let Some(block) = self.failure.take() {
            self.start(block);
            self.go_to_handler();
            self.hand_over_here(self.rt.fail, String::new());
        }
        if let Some(here) = here {
            self.b.switch_to_block(here);
        }
    }

    /// Hands the call over to Python and returns what it makes of it.
    fn hand_over_here(&mut self, function: usize, why: String) {
        let (record, frame) = self.hand_over(why, false);
        self.return_from(function, record, frame);
    }

    pub(super) fn return_from(&mut self, function: usize, record: Value, frame: Value) {
        let object = self.call_word(function, &[record, frame]);
        let (raised, boxed) = (self.tag_value(RAISED), self.tag_value(OBJECT));
        let failed = self.b.ins().icmp_imm_s(IntCC::Equal, object, 0);
        let tag = self.b.ins().select(failed, raised, boxed);
        let zero = self.b.ins().f64const(0.0);
        self.b.ins().return_(&[tag, object, zero]);
    }

    /// Stores what Python needs, and describes it.
    pub(super) fn hand_over(&mut self, why: String, is_done: bool) -> (Value, Value) {
        let frame = self.b.ins().stack_addr(types::I64, self.frame, 0);
        let mut at = 0;
        let mut locals = Vec::new();
        for local in 0..self.places.len() {
            let mut ty = self.before[local].clone();
            let liveness = &self.info.liveness;
            let live = if is_done {
                liveness.after[self.statement].has(local)
            } else {
                liveness.before[self.statement].has(local)
            };
            let borrowed = self.is_borrowed(local);
            let wanted = owns(&ty) && !borrowed || live;
            if !wanted || ty.tags == Tags::of(UNSET) {
                locals.push(Shape::Unset);
                continue;
            }
            // What was expected may have been unboxed, or not yet.
            if let Some(narrow) = ty.narrow.take() {
                ty.tags = ty.tags.or(narrow.tags).or(Tags::of(UNSET));
            }
            let place = self.places[local].clone();
            locals.push(self.spill(&place, &ty, borrowed, frame, &mut at));
        }
        let mut loops = Vec::new();
        for turn in self.turns.clone() {
            let Some(mut shape) = turn.shape else {
                continue;
            };
            let mut state = turn.state;
            if turn.is_between {
                // At the loop's own head it has not begun, or is over.
                let n_held = n_held(shape);
                if n_held == 0 {
                    continue;
                }
                shape = LoopShape::Dropped;
                state.truncate(n_held);
                loops.extend(vec![shape; n_held - 1]);
            }
            loops.push(shape);
            for var in state {
                let word = self.last_value(var);
                self.store(word, frame, offset(at));
                at += 1;
            }
        }
        self.frame_words = self.frame_words.max(at);
        (self.record((why, is_done), locals, loops), frame)
    }

    /// The address of what is the same whenever the current statement is left there.
    pub(super) fn record(
        &mut self,
        (why, is_done): (String, bool),
        locals: Vec<Shape>,
        loops: Vec<LoopShape>,
    ) -> Value {
        let record = Box::new(Record {
            owner: self.unit.owner,
            function: self.unit.specs[self.spec].function,
            statement: self.statement,
            is_done,
            is_handling: self.is_handling(),
            line: self.line,
            locals,
            loops,
            n_taken: std::cell::Cell::new(0),
            why,
        });
        let address = self.address(std::ptr::from_ref::<Record>(&record) as usize);
        self.records.push(record);
        address
    }

    fn spill(
        &mut self,
        place: &Place,
        ty: &Ty,
        borrowed: bool,
        frame: Value,
        at: &mut usize,
    ) -> Shape {
        if let Some(parts) = ty.parts() {
            let parts = place.parts.iter().zip(parts);
            let parts = parts.map(|(place, ty)| self.spill(place, ty, borrowed, frame, at));
            return Shape::Tuple(parts.collect());
        }
        if ty.tags == Tags::of(RANGE) {
            for place in &place.parts {
                let word = self.last_value(place.word);
                self.store(word, frame, offset(*at));
                *at += 1;
            }
            return Shape::Range;
        }
        let tag = match ty.tags.single() {
            Some(tag) => self.tag_value(tag),
            None => self.last_value(place.tag),
        };
        self.store(tag, frame, offset(*at));
        if has_word(ty.tags) {
            let word = self.last_value(place.word);
            self.store(word, frame, offset(*at + 1));
        }
        if has_flt(ty.tags) {
            let flt = self.last_value(place.flt);
            self.store(flt, frame, offset(*at + 2));
        }
        *at += 3;
        Shape::Value { borrowed }
    }

    /// Returns an operand.
    pub(super) fn ret(&mut self, atom: &Atom) {
        let mut value = self.atom(atom);
        let is_unboxed = value.ty.unboxed().is_some() || value.ty.table().is_some();
        if let Atom::Local(local) = atom
            && !self.is_borrowed(*local)
            && value.parts.is_empty()
            && !is_unboxed
        {
            // The local's reference becomes the caller's.
            value.owned = true;
            self.types[*local] = Ty::of(UNSET);
        }
        let parts = Tags::of(crate::types::TUPLE).or(Tags::of(RANGE));
        let value = if value.ty.tags.any(parts) || is_unboxed {
            self.boxed_result(&value)
        } else {
            value
        };
        let value = self.own(value);
        self.release_turns(0);
        for local in 0..self.types.len() {
            if let Some(held) = self.held(local) {
                self.release(&held);
            }
        }
        let value = if value.ty.is_never() {
            Self::nothing(NONE)
        } else {
            value
        };
        let (tag, word, flt) = (self.tag(&value), self.word(&value), self.flt(&value));
        self.b.ins().return_(&[tag, word, flt]);
    }

    /// What is returned as an object. The function that Python has called has the interpreter lock from
    /// then on: nothing follows that takes long.
    fn boxed_result(&mut self, value: &Val) -> Val {
        let emit = |emitter: &mut Self| {
            let boxed = emitter.boxed(value);
            emitter.fail_if_null(boxed.word.unwrap_or(emitter.context));
            boxed
        };
        if self.unit.nogil && self.unit.specs[self.spec].function == 0 {
            self.call(self.rt.hold, &[], None);
            return self.quietly(emit);
        }
        emit(self)
    }

    /// Releases what the loops from that one on hold.
    pub(super) fn release_turns(&mut self, from: usize) {
        for at in from..self.turns.len() {
            let turn = self.turns[at].clone();
            for &held in &turn.state[..turn.shape.map_or(0, n_held)] {
                let object = self.value_of(held);
                self.dec_ref(object);
            }
        }
    }

    /// Releases what a statement has done with: first temporaries, then what its target held.
    pub(super) fn finish_step(&mut self, statement: &Statement) {
        for local in crate::infer::dropped(&self.info, statement) {
            self.drop_local(local);
            self.types[local] = Ty::of(UNSET);
        }
        if let Some(replaced) = self.replaced.take() {
            self.release(&replaced);
        }
    }
}

/// How many objects the state of a loop begins with.
fn n_held(shape: LoopShape) -> usize {
    match shape {
        LoopShape::Range | LoopShape::Spread(..) => 0,
        LoopShape::Sequence | LoopShape::Iterator | LoopShape::Table(_) | LoopShape::Dropped => 1,
        LoopShape::Lockstep(n, _) => n,
    }
}

/// Turns of a loop between two looks at signals.
pub(super) const TICKS: i64 = 1 << 14;

fn offset(word: usize) -> i32 {
    i32::try_from(8 * word).unwrap_or(i32::MAX)
}
