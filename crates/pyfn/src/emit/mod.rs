//! Typed programs to machine code, through Cranelift.
//!
//! Every local has three variables: tag, word and double. Which of them mean something follows from
//! its type at the place; the others are never read, so they cost nothing. A tuple's parts have
//! variables of their own, and so have an array's address, sizes and strides.
//!
//! A statement first checks all that could keep it from being done natively and jumps to its *exit*
//! if something does: a cold block that stores the locals into a frame and calls Python to finish.
//! Only then it has effects. What fails after that with a Python exception goes to its *failure*:
//! a cold block that releases what the function owns.
//!
//! # Invariant
//! Between the start of a statement and its last check no local is bound anew (an object may be
//! unboxed in place), so the exit block sees the locals as they were before.
//! Every local whose type may be an object owns its reference, except parameters that are never
//! bound anew, which are borrowed.

#![allow(
    clippy::vec_box,
    reason = "code refers to records and checks by their addresses"
)]

mod array;
mod call;
mod catch;
mod complex;
mod control;
mod convert;
mod fails;
mod forward;
mod frame;
mod guards;
mod hoist;
mod idiom;
mod inline;
mod instance;
mod integers;
mod island;
mod list;
mod literal;
mod lockstep;
mod object;
mod scalar;
mod shortcut;
mod site;
mod special;
mod spread;
mod step;
mod table;
mod text;
mod trampoline;
mod ufunc;
mod unboxed;
mod unsigned;
mod unused;
mod value;
mod vector;
mod vectorcall;
mod whole;

pub use frame::UNEXPECTED;
pub use hoist::HOISTED;
pub use object::names_key;
pub use vectorcall::EntryGuards;

use std::collections::HashSet;
use std::rc::Rc;
use std::sync::OnceLock;

use cranelift_codegen::Context as Codegen;
use cranelift_codegen::ir::{
    self, AbiParam, Block, BlockArg, InstBuilder, MemFlagsData, SigRef, StackSlot, Type, Value,
    types,
};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};

use self::catch::{Attempt, Handling};
use self::island::{Berths, Island};
use crate::infer::Joint;
use crate::program::{Atom, Local, Statement};
use crate::runtime::Runtime;
use crate::scope::Scope;
use crate::types::{ArrayTy, CHAR, OBJECT, Tags, Ty, UNSET};
use crate::unit::{
    ArrayCheck, CodePlace, CompileError, FunctionInfo, LoopShape, Record, SpecId, Unit,
};
use crate::whole::Whole;

/// What was made of a function.
pub(crate) struct Emitted {
    pub(crate) bytes: Vec<u8>,
    /// Where the entry for other native functions is; the one for Python is at the start.
    pub(crate) native_offset: usize,
    /// Where the entry is that Python calls without help, if there is one.
    pub(crate) vectorcall_offset: Option<usize>,
    pub(crate) records: Vec<Box<Record>>,
    pub(crate) checks: Vec<Box<ArrayCheck>>,
    pub(crate) wholes: Vec<Box<Whole>>,
    pub(crate) leaves: Vec<(usize, String)>,
    pub(crate) callees: Vec<usize>,
    /// Whether it touches objects, but for those that it hands over where it ends.
    pub(crate) uses_objects: bool,
    pub(crate) places: Vec<CodePlace>,
}

/// Plain memory: aligned, and there.
pub(crate) fn trusted() -> MemFlagsData {
    MemFlagsData::trusted()
}

/// A value in registers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Val {
    pub(crate) ty: Ty,
    pub(crate) tag: Option<Value>,
    pub(crate) word: Option<Value>,
    pub(crate) flt: Option<Value>,
    /// The real part of a complex number as a double, too: it is the word.
    pub(crate) real: Option<Value>,
    pub(crate) parts: Vec<Val>,
    pub(crate) array: Option<Array>,
    /// The value comes with a reference that has to be given to somebody or released.
    pub(crate) owned: bool,
    /// The value, if it is an integer that is written in the program.
    pub(crate) constant: Option<i64>,
}

/// An array's fields in registers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Array {
    pub(crate) data: Option<Value>,
    pub(crate) sizes: Vec<Value>,
    pub(crate) strides: Vec<Value>,
}

/// The variables of a local, or of a part of one.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    tag: Variable,
    word: Variable,
    flt: Variable,
    /// What is in `word`, as a double, if the value is a complex number: to move it would take longer than
    /// to add to it.
    real: Variable,
    parts: Vec<Place>,
    /// Data, sizes, strides.
    array: Vec<Variable>,
}

/// The state of a loop around the current statement.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) id: usize,
    pub(crate) shape: Option<LoopShape>,
    /// The variables of its shape.
    pub(crate) state: Vec<Variable>,
    pub(crate) head: Block,
    pub(crate) after: Block,
    /// Number of facts that are known in the loop.
    pub(crate) n_facts_inside: usize,
    /// Number of variables that were settled before it.
    pub(crate) n_settled: usize,
    /// Indices that were looked at wherever it is left by `break`.
    pub(crate) checked_at_breaks: Option<Vec<array::Checked>>,
    /// Between two turns: Python does not get the loop's state.
    pub(crate) is_between: bool,
    /// The last statement of a turn, if turns may use what is frozen.
    pub(crate) last: Option<usize>,
    /// What counts, at the next turn already between turns, and by how much, if that is written.
    pub(crate) counter: Option<(Variable, Option<i64>)>,
    pub(crate) island: Option<Island>,
}

/// The emitter of one function.
pub(crate) struct Emitter<'a, 'f> {
    pub(crate) b: FunctionBuilder<'f>,
    pub(crate) unit: &'a mut Unit,
    pub(crate) rt: Rc<Runtime>,
    pub(crate) info: Rc<FunctionInfo>,
    pub(crate) spec: SpecId,
    pub(crate) places: Vec<Place>,
    /// The types where paths come together.
    joints: Rc<Vec<Joint>>,
    /// For each local the elements of the lists that only this function sees.
    own_lists: Rc<Vec<Option<Ty>>>,
    /// The same for dictionaries and sets.
    own_tables: Rc<Vec<Option<crate::table::TableTy>>>,
    pub(crate) types: Vec<Ty>,
    /// The types before the current statement.
    before: Vec<Ty>,
    /// The same once the locals that it reads have been looked at.
    prepared: Vec<Ty>,
    /// The blocks around whose exceptions are caught.
    attempts: Vec<Attempt>,
    /// The handlers around of exceptions that were caught.
    handling: Vec<Handling>,
    /// The current statement is in a handler.
    is_handled: bool,
    pub(crate) turns: Vec<Turn>,
    pub(crate) statement: usize,
    pub(crate) line: u32,
    exit: Option<(Block, String)>,
    failure: Option<Block>,
    /// Only the low bits of what the current statement computes count.
    is_masked: bool,
    /// The statements that may run code of anybody's.
    foreign: Rc<HashSet<usize>>,
    /// Such code may have run since guards were looked at.
    is_unsure: bool,
    frame: StackSlot,
    frame_words: usize,
    /// An object that the statement has made, which is released where it fails.
    unfinished: Option<Value>,
    /// What the target of the statement held, to be released behind its temporaries.
    replaced: Option<Val>,
    /// Indices that are known to be within bounds here.
    pub(crate) facts: Vec<hoist::Fact>,
    /// Indices that a loop keeps below the size, as far as they are not negative.
    below: Vec<hoist::Fact>,
    /// Indices that were looked at on every way to here.
    checked: Vec<array::Checked>,
    /// The element that the current innermost loop changes.
    pub(crate) forwarded: Option<forward::Forwarded>,
    scratch: StackSlot,
    scratch_words: usize,
    /// What is bound on one side of a branch where both are done.
    side: Option<convert::Side>,
    pub(crate) berths: Berths,
    pub(crate) context: Value,
    /// Native calls that may still be nested.
    depth: Value,
    pub(crate) ticks: Variable,
    signatures: Vec<(ir::Signature, SigRef)>,
    records: Vec<Box<Record>>,
    checks: Vec<Box<ArrayCheck>>,
    wholes: Vec<Box<Whole>>,
    leaves: Vec<(usize, String)>,
    callees: Vec<usize>,
    uses_objects: bool,
}

/// The processor that code is made for, or why none.
fn isa() -> Result<OwnedTargetIsa, String> {
    static ISA: OnceLock<Result<OwnedTargetIsa, String>> = OnceLock::new();
    ISA.get_or_init(|| {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let mut flags = settings::builder();
        for (name, value) in [
            ("opt_level", "speed"),
            ("is_pic", "false"),
            (
                "enable_verifier",
                if cfg!(debug_assertions) {
                    "true"
                } else {
                    "false"
                },
            ),
            ("enable_probestack", "false"),
            ("unwind_info", "false"),
            ("enable_llvm_abi_extensions", "false"),
        ] {
            flags.set(name, value).map_err(|error| text(&error))?;
        }
        let flags = settings::Flags::new(flags);
        let builder = cranelift_codegen::isa::lookup_by_name("x86_64-unknown-linux-gnu");
        let mut builder = builder.map_err(|error| text(&error))?;
        #[cfg(target_arch = "x86_64")]
        {
            if !std::is_x86_feature_detected!("sse4.2") {
                return Err("the processor has no SSE4.2".to_owned());
            }
            for (name, has) in [
                ("has_sse3", true),
                ("has_ssse3", true),
                ("has_sse41", true),
                ("has_sse42", true),
                ("has_popcnt", std::is_x86_feature_detected!("popcnt")),
                ("has_avx", std::is_x86_feature_detected!("avx")),
                ("has_avx2", std::is_x86_feature_detected!("avx2")),
                ("has_fma", std::is_x86_feature_detected!("fma")),
                ("has_bmi1", std::is_x86_feature_detected!("bmi1")),
                ("has_bmi2", std::is_x86_feature_detected!("bmi2")),
                ("has_lzcnt", std::is_x86_feature_detected!("lzcnt")),
            ] {
                if has {
                    builder.enable(name).map_err(|error| text(&error))?;
                }
            }
        }
        builder.finish(flags).map_err(|error| text(&error))
    })
    .clone()
}

/// The signature of a native function.
pub(crate) fn native_signature(params: &[Ty]) -> ir::Signature {
    let mut signature = ir::Signature::new(CallConv::SystemV);
    // The context, and how many calls may be nested.
    signature.params.extend([AbiParam::new(types::I64); 2]);
    for ty in params {
        for ty in words_of(ty) {
            signature.params.push(AbiParam::new(ty));
        }
    }
    for ty in [types::I64, types::I64, types::F64] {
        signature.returns.push(AbiParam::new(ty));
    }
    signature
}

/// The registers in which a value of the type is passed.
fn words_of(ty: &Ty) -> Vec<Type> {
    let mut words = Vec::new();
    if ty.tags.single().is_none() {
        words.push(types::I64);
    }
    if has_word(ty.tags) {
        words.push(types::I64);
    }
    if has_flt(ty.tags) {
        words.push(types::F64);
    }
    words
}

/// Whether values with such tags have a word.
pub(crate) fn has_word(tags: Tags) -> bool {
    let others = Tags(1 << OBJECT | 1 << CHAR).or(Tags::COMPLEXES);
    tags.any(Tags::INTS.or(Tags::UNSIGNED).or(others))
}

/// Whether values with such tags have a double.
pub(crate) fn has_flt(tags: Tags) -> bool {
    tags.any(Tags::FLOATS.or(Tags::COMPLEXES))
}

/// Emits the code of a version of a function.
pub(crate) fn function(unit: &mut Unit, spec: SpecId) -> Result<Emitted, CompileError> {
    let info = Rc::clone(&unit.functions[unit.specs[spec].function]);
    let name = info.program.name.clone();
    let refuse = |reason: String| CompileError::Codegen {
        name: name.clone(),
        reason,
    };
    let isa = isa().map_err(refuse)?;
    let params = unit.specs[spec].params.clone();
    let mut codegen = Codegen::new();
    codegen.func.signature = native_signature(&params);
    let mut builder_context = FunctionBuilderContext::new();
    let b = FunctionBuilder::new(&mut codegen.func, &mut builder_context);
    let emitter = Emitter::new(b, unit, info, spec);
    let (records, checks, wholes, leaves, callees, uses_objects) =
        emitter.run(&params, isa.frontend_config());
    let bytes_of = |codegen: &mut Codegen| -> Result<(Vec<u8>, Vec<CodePlace>), CompileError> {
        let compiled = codegen.compile(&*isa, &mut Default::default());
        let compiled = compiled.map_err(|error| refuse(format!("{error:?}")))?;
        if !compiled.buffer.relocs().is_empty() {
            return Err(refuse("it needs a library function".to_owned()));
        }
        let spans = compiled.buffer.get_srclocs_sorted().iter();
        let placed = spans.filter(|span| !span.loc.is_default());
        let places = placed.map(|span| CodePlace {
            span: span.start as usize..span.end as usize,
            statement: span.loc.bits() as usize,
        });
        Ok((compiled.buffer.data().to_vec(), places.collect()))
    };
    unused::remove_unused(&mut codegen.func);
    let (native, mut places) = bytes_of(&mut codegen)?;
    // The entry for Python, then the function.
    let mut entry = Codegen::new();
    frame::entry(&mut entry.func, &mut builder_context, &params, &isa);
    let (mut bytes, _) = bytes_of(&mut entry)?;
    let pad = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().next_multiple_of(64), 0xcc);
    let mut vectorcall_offset = None;
    let is_called = unit.specs[spec].function == 0 && unit.functions[0].program.is_positional;
    if let Some(guards) = unit.entry.as_ref().filter(|_| is_called) {
        let mut entry = Codegen::new();
        let cell = unit.specs[spec].cell.as_ptr() as usize;
        let ret = &unit.specs[spec].ret;
        let shape = (params.as_slice(), ret, cell, callees.is_empty());
        let (func, known) = (&mut entry.func, (&*unit.runtime, &*unit.classes));
        if vectorcall::entry(func, &mut builder_context, shape, guards, known, &isa) {
            pad(&mut bytes);
            vectorcall_offset = Some(bytes.len());
            bytes.extend(bytes_of(&mut entry)?.0);
        }
    }
    pad(&mut bytes);
    let native_offset = bytes.len();
    bytes.extend(native);
    for place in &mut places {
        place.span.start += native_offset;
        place.span.end += native_offset;
    }
    Ok(Emitted {
        bytes,
        native_offset,
        vectorcall_offset,
        records,
        checks,
        wholes,
        leaves,
        callees,
        uses_objects,
        places,
    })
}

type Tables = (
    Vec<Box<Record>>,
    Vec<Box<ArrayCheck>>,
    Vec<Box<Whole>>,
    Vec<(usize, String)>,
    Vec<usize>,
    bool,
);

impl<'a, 'f> Emitter<'a, 'f> {
    fn new(
        mut b: FunctionBuilder<'f>,
        unit: &'a mut Unit,
        info: Rc<FunctionInfo>,
        spec: SpecId,
    ) -> Self {
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        b.seal_block(entry);
        let (context, depth) = (b.block_params(entry)[0], b.block_params(entry)[1]);
        let slot = |b: &mut FunctionBuilder<'f>| {
            b.create_sized_stack_slot(ir::StackSlotData::new(
                ir::StackSlotKind::ExplicitSlot,
                0,
                3,
            ))
        };
        let frame = slot(&mut b);
        let scratch = slot(&mut b);
        let berths = slot(&mut b);
        let places = info.program.locals.iter().map(|_| new_place(&mut b));
        let places = places.collect();
        let ticks = b.declare_var(types::I64);
        Self {
            rt: Rc::clone(&unit.runtime),
            joints: Rc::clone(&unit.specs[spec].joints),
            foreign: Rc::clone(&unit.specs[spec].foreign),
            own_lists: Rc::clone(&unit.specs[spec].own_lists),
            own_tables: Rc::clone(&unit.specs[spec].own_tables),
            types: vec![Ty::of(UNSET); info.program.locals.len()],
            before: Vec::new(),
            prepared: Vec::new(),
            attempts: Vec::new(),
            handling: Vec::new(),
            is_handled: false,
            b,
            unit,
            info,
            spec,
            places,
            turns: Vec::new(),
            statement: 0,
            line: 0,
            exit: None,
            failure: None,
            is_masked: false,
            is_unsure: false,
            frame,
            frame_words: 0,
            unfinished: None,
            replaced: None,
            facts: Vec::new(),
            below: Vec::new(),
            checked: Vec::new(),
            forwarded: None,
            scratch,
            scratch_words: 0,
            side: None,
            berths: Berths::new(berths),
            context,
            depth,
            ticks,
            signatures: Vec::new(),
            records: Vec::new(),
            checks: Vec::new(),
            wholes: Vec::new(),
            leaves: Vec::new(),
            callees: Vec::new(),
            uses_objects: false,
        }
    }

    fn run(
        mut self,
        params: &[Ty],
        config: cranelift_codegen::isa::TargetFrontendConfig,
    ) -> Tables {
        self.enter(params);
        let info = Rc::clone(&self.info);
        let reaches_end = self.block(&info.program.body);
        if reaches_end {
            self.ret(&Atom::None);
        }
        let frame_bytes = u32::try_from(8 * self.frame_words).unwrap_or(u32::MAX);
        self.b.func.sized_stack_slots[self.frame].size = frame_bytes;
        let scratch_bytes = u32::try_from(8 * self.scratch_words).unwrap_or(u32::MAX);
        self.b.func.sized_stack_slots[self.scratch].size = scratch_bytes;
        self.b.func.sized_stack_slots[self.berths.slot].size = self.berths.size();
        self.b.seal_all_blocks();
        self.b.finalize(config);
        (
            self.records,
            self.checks,
            self.wholes,
            self.leaves,
            self.callees,
            self.uses_objects,
        )
    }

    // Small words of emitting.

    pub(crate) fn int(&mut self, value: i64) -> Value {
        self.b.ins().iconst(types::I64, value)
    }

    pub(crate) fn address(&mut self, address: usize) -> Value {
        #[expect(clippy::cast_possible_wrap, reason = "the bits are meant")]
        let bits = address as i64;
        self.int(bits)
    }

    pub(crate) fn tag_value(&mut self, tag: u8) -> Value {
        self.int(i64::from(tag))
    }

    pub(crate) fn load(&mut self, ty: Type, at: Value, offset: i32) -> Value {
        self.b.ins().load(ty, trusted(), at, offset)
    }

    pub(crate) fn store(&mut self, value: Value, at: Value, offset: i32) {
        self.b.ins().store(trusted(), value, at, offset);
    }

    /// Room for words that a call reads or writes; used up at the next call of this function.
    pub(crate) fn scratch(&mut self, n_words: usize) -> Value {
        self.scratch_words = self.scratch_words.max(n_words);
        self.b.ins().stack_addr(types::I64, self.scratch, 0)
    }

    /// Ends the block with a branch; continues in a new block if the condition does not hold.
    pub(crate) fn branch_if(&mut self, condition: Value, to: Block) {
        let next = self.block_beside();
        self.b.ins().brif(condition, to, &[], next, &[]);
        self.b.seal_block(next);
        self.b.switch_to_block(next);
    }

    /// A block that is as rarely run as the current one.
    pub(crate) fn block_beside(&mut self) -> Block {
        let is_cold = self
            .b
            .current_block()
            .is_some_and(|block| self.b.func.layout.is_cold(block));
        if is_cold {
            self.cold_block()
        } else {
            self.new_block()
        }
    }

    pub(crate) fn new_block(&mut self) -> Block {
        self.b.create_block()
    }

    pub(crate) fn cold_block(&mut self) -> Block {
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        block
    }

    pub(crate) fn jump(&mut self, to: Block, args: &[Value]) {
        let args = args
            .iter()
            .map(|&arg| BlockArg::Value(arg))
            .collect::<Vec<_>>();
        self.b.ins().jump(to, &args);
    }

    /// Continues in a block that all jumps to it have been made to.
    pub(crate) fn start(&mut self, block: Block) {
        self.b.seal_block(block);
        self.b.switch_to_block(block);
    }

    /// Calls a function of the runtime.
    pub(crate) fn call(
        &mut self,
        function: usize,
        args: &[Value],
        returns: Option<Type>,
    ) -> Option<Value> {
        self.uses_objects |= !self.rt.is_quiet(function);
        let mut signature = ir::Signature::new(CallConv::SystemV);
        for &arg in args {
            let ty = self.b.func.dfg.value_type(arg);
            signature.params.push(AbiParam::new(ty));
        }
        signature.returns.extend(returns.map(AbiParam::new));
        let signature = self.signature(signature);
        let function = self.address(function);
        let call = self.b.ins().call_indirect(signature, function, args);
        self.b.inst_results(call).first().copied()
    }

    /// Emits what touches no object, or holds the interpreter lock, though it cannot be told from its calls.
    pub(crate) fn quietly<R>(&mut self, emit: impl FnOnce(&mut Self) -> R) -> R {
        let uses_objects = self.uses_objects;
        let result = emit(self);
        self.uses_objects = uses_objects;
        result
    }

    /// Calls a function of the runtime that returns a word.
    pub(crate) fn call_word(&mut self, function: usize, args: &[Value]) -> Value {
        match self.call(function, args, Some(types::I64)) {
            Some(value) => value,
            None => self.int(0),
        }
    }

    /// The same where the call is hardly ever made: no register changes.
    pub(crate) fn call_rarely(&mut self, function: usize, args: &[Value]) -> Value {
        let Some(trampoline) = trampoline::trampoline(function, args.len()) else {
            return self.call_word(function, args);
        };
        self.uses_objects |= !self.rt.is_quiet(function);
        let signature = self.signature(trampoline::signature(args.len()));
        let function = self.address(trampoline);
        let mut all = vec![self.context];
        all.extend(args);
        self.b.ins().call_indirect(signature, function, &all);
        self.load(types::I64, self.context, trampoline::STATUS)
    }

    pub(crate) fn signature(&mut self, signature: ir::Signature) -> SigRef {
        if let Some((_, known)) = self
            .signatures
            .iter()
            .find(|(known, _)| *known == signature)
        {
            return *known;
        }
        let known = self.b.import_signature(signature.clone());
        self.signatures.push((signature, known));
        known
    }

    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            info: &self.info,
            state: &self.types,
        }
    }

    /// A description of an array that code refers to.
    pub(crate) fn check(&mut self, array: ArrayTy) -> Value {
        let known = self.checks.iter().find(|check| check.0 == array);
        let address = match known {
            Some(check) => std::ptr::from_ref::<ArrayCheck>(check) as usize,
            None => {
                let check = Box::new(ArrayCheck(array));
                let address = std::ptr::from_ref::<ArrayCheck>(&check) as usize;
                self.checks.push(check);
                address
            }
        };
        self.address(address)
    }

    /// Begins a statement.
    pub(crate) fn begin(&mut self, statement: &Statement) {
        self.statement = statement.id;
        self.line = statement.line;
        self.before.clone_from(&self.types);
        self.prepared.clone_from(&self.types);
        self.is_handled = statement.is_handled;
    }

    pub(crate) fn is_live_after(&self, local: Local) -> bool {
        self.info.liveness.after[self.statement].has(local)
    }
}

pub(crate) fn new_place(b: &mut FunctionBuilder<'_>) -> Place {
    Place {
        tag: b.declare_var(types::I64),
        word: b.declare_var(types::I64),
        flt: b.declare_var(types::F64),
        real: b.declare_var(types::F64),
        parts: Vec::new(),
        array: Vec::new(),
    }
}
