//! Calls between the functions of a unit.
//!
//! Arguments travel in registers, and with them how many calls may still be nested: a call has
//! nothing to count in memory. Where that number is a multiple of some power of two it is looked at,
//! and so is the stack, which has room for the calls between two looks.
//!
//! Many functions that call themselves begin with `if n < 2: return n`. Such a *guard* is put in
//! place, so that the calls that would return at once, which are half of all, are not made.

use std::rc::Rc;

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC, types};

use super::frame::UNEXPECTED;
use super::{Emitter, Val, has_flt, has_word, native_signature};
use crate::arguments::Argument;
use crate::globals::FunctionId;
use crate::program::{Atom, Cmp, Expr, Kind, Local, Program, Statement, Un};
use crate::types::{OBJECT, RAISED, Tags, Ty};
use crate::unit::{SpecId, parameter};

/// Nested calls between two looks at the stack.
const LOOK_EVERY: i64 = 16;

/// Steps of a guard.
const N_STEPS_MAX: usize = 3;

/// How a function begins that may return at once: some comparisons, what has to be true, and what is
/// returned.
struct Guard<'a> {
    steps: &'a [Statement],
    test: Local,
    result: &'a Atom,
}

impl<'a> Guard<'a> {
    fn of(program: &'a Program) -> Option<Self> {
        let is_branch = |statement: &Statement| matches!(statement.kind, Kind::If(..));
        let n_steps = program.body.iter().position(is_branch)?;
        let (steps, rest) = program.body.split_at(n_steps);
        let Kind::If(Atom::Local(test), then, _) = &rest.first()?.kind else {
            return None;
        };
        let [
            Statement {
                kind: Kind::Return(result),
                ..
            },
        ] = then.as_slice()
        else {
            return None;
        };
        let is_step = |statement: &Statement| match &statement.kind {
            Kind::Set(to, e) => {
                let is_cheap = match e {
                    Expr::Cmp(op, ..) => {
                        matches!(
                            op,
                            Cmp::Lt | Cmp::Le | Cmp::Eq | Cmp::Ne | Cmp::Gt | Cmp::Ge
                        )
                    }
                    Expr::Un(Un::Not, _) | Expr::Truth(_) => true,
                    _ => false,
                };
                is_cheap && program.locals[*to].starts_with('.')
            }
            _ => false,
        };
        let is_known = match result {
            Atom::Local(local) => *local < program.n_params,
            Atom::Int(_) | Atom::Float(_) | Atom::Bool(_) | Atom::None => true,
            _ => false,
        };
        (n_steps <= N_STEPS_MAX && steps.iter().all(is_step) && is_known).then_some(Self {
            steps,
            test: *test,
            result,
        })
    }
}

impl Emitter<'_, '_> {
    /// What the parameters of a function of the unit get in a call; `None` if they do not fit.
    pub(super) fn arguments(
        &mut self,
        id: FunctionId,
        first: Option<Val>,
        args: &[Atom],
        named: &[(String, Atom)],
    ) -> Option<Vec<Val>> {
        let info = Rc::clone(&self.unit.functions[id]);
        let arguments = info.arguments(usize::from(first.is_some()), args, named)?;
        let is_default = |argument: &Argument<'_>| matches!(argument, Argument::Default(_));
        if let Some((place, tuple)) = info.defaults.place
            && arguments.iter().any(is_default)
        {
            self.guess(|emitter| {
                let (place, tuple) = (emitter.address(place), emitter.address(tuple));
                let found = emitter.load(types::I64, place, 0);
                let same = emitter.b.ins().icmp(IntCC::Equal, found, tuple);
                emitter.exit_unless(same, UNEXPECTED);
            });
        }
        let values = arguments.into_iter().map(|argument| match argument {
            Argument::Given(atom) => self.atom(atom),
            Argument::Rest(rest) => {
                let parts = rest.iter().map(|atom| self.atom(atom)).collect::<Vec<_>>();
                Val {
                    ty: Ty::tuple(parts.iter().map(|part| part.ty.clone()).collect()),
                    parts,
                    ..Val::default()
                }
            }
            Argument::Default(at) => self.global(&info.defaults.values[at]),
        });
        let values = values.collect::<Vec<_>>();
        let all = first.into_iter().chain(values).collect::<Vec<_>>();
        if !info.program.is_positional {
            // The object would have to be called with other arguments.
            let types = all.iter().map(|value| value.ty.clone()).collect::<Vec<_>>();
            self.unit.find(id, &types)?;
        }
        Some(all)
    }

    /// A call of another function of the unit; the object is called where it cannot be natively.
    pub(super) fn call_function(
        &mut self,
        id: FunctionId,
        function: Val,
        values: Vec<Val>,
    ) -> Option<Val> {
        if let Some(result) = self.inlined_call(id, &values) {
            return result;
        }
        let types = values.iter().map(|value| value.ty.clone());
        let types = types.collect::<Vec<_>>();
        let Some(spec) = self.unit.find(id, &types) else {
            return Some(self.call_object(&function, values, &[], &Ty::of(OBJECT)));
        };
        let ret = self.unit.specs[spec].ret.clone();
        if ret.is_never() {
            self.leave("the function called never returns natively");
            return None;
        }
        if !self.callees.contains(&id) {
            self.callees.push(id);
        }
        let params = types.iter().map(parameter).collect::<Vec<_>>();
        let values = values.into_iter().zip(&params).map(|(value, param)| {
            if value.ty.tags == param.tags {
                value
            } else {
                self.boxed(&value)
            }
        });
        let values = values.collect::<Vec<_>>();
        self.check_stack();
        let ret = ret.expected();
        let [tag, word, flt] = match self.guarded(id, &params, &values, &ret) {
            Some((truth, early)) => {
                let (call, done) = (self.new_block(), self.new_block());
                let early = early.map(cranelift_codegen::ir::BlockArg::Value);
                let results = [types::I64, types::I64, types::F64]
                    .map(|ty| self.b.append_block_param(done, ty));
                self.b.ins().brif(truth, done, &early, call, &[]);
                self.start(call);
                let late = self.call_spec(spec, &params, &values)?;
                self.jump(done, &late);
                self.start(done);
                results
            }
            None => self.call_spec(spec, &params, &values)?,
        };
        Some(Val {
            ty: ret,
            tag: Some(tag),
            word: Some(word),
            flt: Some(flt),
            owned: true,
            ..Val::default()
        })
    }

    /// Calls a version: tag, word and double. Fails if it raises.
    fn call_spec(&mut self, spec: SpecId, params: &[Ty], values: &[Val]) -> Option<[Value; 3]> {
        let depth = self.b.ins().iadd_imm_s(self.depth, -1);
        let mut words = vec![self.context, depth];
        for (value, param) in values.iter().zip(params) {
            if param.tags.single().is_none() {
                words.push(self.tag(value));
            }
            if has_word(param.tags) {
                words.push(self.word(value));
            }
            if has_flt(param.tags) {
                words.push(self.flt(value));
            }
        }
        let cell = self.unit.specs[spec].cell.as_ptr() as usize;
        let cell = self.address(cell);
        let entry = self.load(types::I64, cell, 0);
        let signature = self.signature(native_signature(params));
        let call = self.b.ins().call_indirect(signature, entry, &words);
        let results = <[Value; 3]>::try_from(self.b.inst_results(call)).ok()?;
        for value in values {
            self.release_owned(value);
        }
        let raised = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, results[0], i64::from(RAISED));
        self.fail_if(raised);
        Some(results)
    }

    /// Whether a function returns at once, and then what, if it begins with a guard.
    fn guarded(
        &mut self,
        id: FunctionId,
        params: &[Ty],
        values: &[Val],
        ret: &Ty,
    ) -> Option<(Value, [Value; 3])> {
        let info = Rc::clone(&self.unit.functions[id]);
        let is_number = |ty: &Ty| ty.tags.within(Tags::NUMBERS) && ty.tags.single().is_some();
        let guard = Guard::of(&info.program).filter(|_| params.iter().all(is_number))?;
        let fits = match guard.result {
            Atom::Local(local) => params[*local].tags.within(ret.tags),
            other => self.scope().atom(other).tags.within(ret.tags),
        };
        if !fits {
            return None;
        }
        let values = values.iter().zip(params).map(|(value, param)| Val {
            ty: param.clone(),
            constant: None,
            ..value.clone()
        });
        let values = values.collect::<Vec<_>>();
        self.in_place_of(&info, Rc::default(), |emitter| {
            for (local, value) in values.into_iter().enumerate() {
                emitter.bind(local, value);
            }
            for step in guard.steps {
                if let Kind::Set(to, e) = &step.kind {
                    let value = emitter.expr(e)?;
                    emitter.bind(*to, value);
                }
            }
            let test = emitter.atom(&Atom::Local(guard.test));
            let truth = emitter.truth(&test);
            let result = emitter.atom(guard.result);
            let words = [emitter.tag(&result), emitter.word(&result)];
            let flt = emitter.flt(&result);
            Some((truth, [words[0], words[1], flt]))
        })
    }

    /// Fails if no more calls may be nested, or if there is no room for them.
    fn check_stack(&mut self) {
        let rest = self.b.ins().band_imm_s(self.depth, LOOK_EVERY - 1);
        let (look, full, room) = (self.cold_block(), self.cold_block(), self.new_block());
        self.b.ins().brif(rest, room, &[], look, &[]);
        self.start(look);
        let limit = self.load(types::I64, self.context, 8);
        let pointer = self.b.ins().get_stack_pointer(types::I64);
        let low = self.b.ins().icmp(IntCC::UnsignedLessThan, pointer, limit);
        let none = self
            .b
            .ins()
            .icmp_imm_s(IntCC::SignedLessThanOrEqual, self.depth, 0);
        let is_full = self.b.ins().bor(low, none);
        self.b.ins().brif(is_full, full, &[], room, &[]);
        self.start(full);
        self.call_rarely(self.rt.recursion, &[]);
        let always = self.int(1);
        self.fail_if(always);
        self.jump(room, &[]);
        self.start(room);
    }
}
