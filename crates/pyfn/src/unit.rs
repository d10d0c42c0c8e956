//! A unit: functions that know each other, and what was compiled of them.
//!
//! A function is compiled for given types of its parameters. What it calls natively is compiled with
//! it; the address of a callee is read from a cell when it is called, so that functions can call
//! each other in any order.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use opcodon_codemem::observe::{SourceLines, naming_with_lines};
use opcodon_codemem::{Code, CodeHeap};

use crate::arguments::Defaults;
use crate::classes::Classes;
use crate::emit::{self, EntryGuards};
use crate::foreign;
use crate::globals::{FunctionId, Global};
use crate::implied::Implied;
use crate::infer::{Inference, Joint, boxed_parts, owns};
use crate::least;
use crate::liveness::Liveness;
use crate::lockstep::{self, Lockstep};
use crate::members::MemberSite;
use crate::plain;
use crate::program::{Atom, Expr, Kind, Local, Program, Statement, all_statements};
use crate::runtime::Runtime;
use crate::seen::{Seen, Site};
use crate::steps::Steps;
use crate::table::{self, TableTy};
use crate::types::{Form, Ty};
use crate::unboxed;
use crate::whole::Whole;
use crate::wrap;

/// Number of a compiled version of a function.
pub type SpecId = usize;

/// Why a function was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The code generator refused it.
    #[error("cannot compile {name}: {reason}")]
    Codegen {
        /// The function.
        name: String,
        /// What the code generator says.
        reason: String,
    },
    /// It asks whether values are the same object that have none in registers.
    #[error("{name} asks whether numbers or tuples are the same object")]
    Identity {
        /// The function.
        name: String,
    },
    /// There is no memory for code.
    #[error("cannot make the code of {name} executable")]
    Memory {
        /// The function.
        name: String,
        /// Why.
        source: opcodon_codemem::CodeError,
    },
}

/// A function and what its names stand for.
#[derive(Debug)]
pub struct FunctionInfo {
    /// The function in normal form.
    pub program: Program,
    /// Its globals, in the program's order.
    pub globals: Vec<Global>,
    /// Its constants: their addresses and what is known of them.
    pub consts: Vec<(usize, Ty)>,
    /// Text objects for the strings and the names of attributes and methods in it.
    pub strings: HashMap<String, usize>,
    pub(crate) liveness: Liveness,
    /// The statements that bind each parameter anew.
    pub(crate) is_rebound: Vec<bool>,
    /// Whether it may be put where it is called.
    pub(crate) is_small: bool,
    /// Whether there are loops in it.
    pub(crate) has_loops: bool,
    /// For each local the group of lists that only this function sees, if it holds one.
    pub(crate) own_lists: Vec<Option<Local>>,
    /// For each statement whose result is masked the locals that have to be integers.
    pub(crate) masked: Vec<Option<Vec<Local>>>,
    /// What branches say.
    pub(crate) implied: Implied,
    /// Locals that count.
    pub(crate) steps: Steps,
    /// The statements that are differences which are not negative.
    is_natural: Vec<bool>,
    /// The same for dictionaries and sets.
    pub(crate) own_tables: Vec<Option<Local>>,
    /// Loops over several sequences at once.
    pub(crate) locksteps: HashMap<usize, Lockstep>,
    /// Statements before which a value was not of the type that it was taken for.
    pub unexpected: Vec<usize>,
    /// For each local whether it is a temporary that only ever holds a part of something else.
    pub(crate) is_part: Rc<[bool]>,
    /// What is known of its parameters.
    pub defaults: Defaults,
    /// The classes that its unit knows.
    pub(crate) classes: Rc<Classes>,
    /// What its operations were seen to give.
    pub seen: RefCell<Seen>,
}

impl FunctionInfo {
    /// A function with its names resolved.
    #[must_use]
    pub fn new(
        program: Program,
        globals: Vec<Global>,
        consts: Vec<(usize, Ty)>,
        strings: HashMap<String, usize>,
    ) -> Self {
        let mut is_rebound = vec![false; program.locals.len()];
        for statement in all_statements(&program.body) {
            crate::liveness::for_each_target(&statement.kind, &mut |local| {
                is_rebound[local] = true;
            });
        }
        let masked = wrap::masked(&program);
        let implied = Implied::of(&program);
        let mut info = Self {
            liveness: Liveness::of(&program),
            is_rebound,
            is_small: plain::is_small(&program),
            has_loops: has_loops(&program.body),
            own_lists: Vec::new(),
            own_tables: Vec::new(),
            locksteps: HashMap::new(),
            steps: Steps::of(&program, &masked),
            masked,
            is_natural: least::natural_differences(&program, &implied),
            implied,
            unexpected: Vec::new(),
            is_part: foreign::parts(&program),
            defaults: Defaults::default(),
            classes: Rc::default(),
            seen: RefCell::new(Seen::new(&program, &globals)),
            program,
            globals,
            consts,
            strings,
        };
        info.locksteps = lockstep::find(&info);
        info.own_lists = unboxed::groups(&info);
        info.own_tables = table::groups(&info);
        info
    }

    /// The type of what a statement binds, which is `ty` by the rules of operations.
    pub(crate) fn bound(&self, statement: usize, types: &[Ty], ty: Ty) -> Ty {
        let ty = self.steps.result(statement, types, ty);
        Ty {
            natural: ty.natural || self.is_natural[statement] && ty.narrow.is_none(),
            ..ty
        }
    }
}

/// Whether there are loops in a block.
pub(crate) fn has_loops(block: &[Statement]) -> bool {
    all_statements(block).any(|statement| matches!(statement.kind, Kind::Loop(_) | Kind::For(..)))
}

/// How the frame of an exit is to be read.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Three words: tag, word, bits of the double.
    Value {
        /// The frame does not own the object, if it is one.
        borrowed: bool,
    },
    /// Parts, one behind the other.
    Tuple(Vec<Shape>),
    /// Three words: start, stop, step.
    Range,
    /// Nothing: the local is not bound, or nobody reads it.
    Unset,
}

/// The state of a loop at an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopShape {
    /// Three words: the value of this turn, stop, step.
    Range,
    /// Two words: a sequence, which the frame owns, and the index of the next turn.
    Sequence,
    /// That many sequences, which the frame owns, and the index of the next turn; turns are counted
    /// from a start, or not.
    Lockstep(usize, Option<i64>),
    /// Three words: a dictionary, which the frame owns, the number of turns begun, and how many
    /// keys there were at first. It runs over keys (0), values (1) or items (2).
    Table(u64),
    /// Two words: where so many parts of a tuple lie on the stack, and the index of the next turn.
    /// A part is a value of three words, or a tuple of as many such values as the second number says.
    Spread(usize, usize),
    /// One word: an iterator, which the frame owns.
    Iterator,
    /// One word: an object that the frame owns and that nobody needs any more.
    Dropped,
}

/// Where native code gives up, and what it then hands over.
#[derive(Debug, Clone)]
pub struct Record {
    /// Whom the unit belongs to.
    pub owner: usize,
    /// The function.
    pub function: FunctionId,
    /// The statement before which Python resumes, or that failed.
    pub statement: usize,
    /// Whether Python resumes behind the statement instead, which is done.
    pub is_done: bool,
    /// Whether it is in a handler whose exception is the one that Python says is being handled.
    pub is_handling: bool,
    /// Its line.
    pub line: u32,
    /// For each local how it lies in the frame.
    pub locals: Vec<Shape>,
    /// The same for the loops around the statement, outermost first.
    pub loops: Vec<LoopShape>,
    /// How often this exit was taken.
    pub n_taken: std::cell::Cell<u64>,
    /// Why.
    pub why: String,
}

/// Which statement some of a version's code is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodePlace {
    /// The bytes of the code.
    pub span: std::ops::Range<usize>,
    /// The statement.
    pub statement: usize,
}

/// The code of a loop that runs by the vector.
#[derive(Debug)]
pub struct VectorLoop {
    /// The loop.
    pub statement: usize,
    /// How many rows at a time.
    pub n_rows: usize,
    /// What does them.
    pub code: Code,
}

/// What native code looks for in an array before it takes it for one of a type.
#[derive(Debug, Clone, Copy)]
pub struct ArrayCheck(pub crate::types::ArrayTy);

/// A compiled version of a function.
#[derive(Debug)]
pub struct Spec {
    /// The function.
    pub function: FunctionId,
    /// The types of its parameters.
    pub params: Vec<Ty>,
    /// The type of what it returns.
    pub ret: Ty,
    /// Its code; the entry for Python comes first.
    pub code: Option<Code>,
    /// Where in its code the entry is that Python calls without help, if there is one.
    pub vectorcall_offset: Option<usize>,
    /// Where it can be left. The records are addressed by code and never move.
    pub records: Vec<Box<Record>>,
    /// Descriptions of arrays that code refers to.
    pub checks: Vec<Box<ArrayCheck>>,
    /// Expressions over arrays that code refers to.
    pub wholes: Vec<Box<Whole>>,
    /// The address of the native entry, read by callers.
    pub cell: Box<std::cell::Cell<usize>>,
    /// Loops that run by the vector.
    pub vectors: Vec<VectorLoop>,
    /// Which statements its code is for, in the order of the code; entries are for none.
    pub places: Vec<CodePlace>,
    /// Where in its code the entry for other native functions is.
    pub native_offset: usize,
    /// Statements that are always left, and why.
    pub leaves: Vec<(usize, String)>,
    pub(crate) joints: Rc<Vec<Joint>>,
    /// The statements whose handlers run what may ask for the exception.
    pub(crate) loud: Rc<HashSet<usize>>,
    /// For each local the elements of the lists that only this function sees.
    pub(crate) own_lists: Rc<Vec<Option<Ty>>>,
    /// For each local what the tables hold that only this function sees.
    pub(crate) own_tables: Rc<Vec<Option<TableTy>>>,
    /// Other functions that it was compiled against.
    pub callees: Vec<FunctionId>,
    /// Whether it touches objects, but for those that it hands over where it ends.
    uses_objects: bool,
    /// The versions that it calls natively, and the statements that do.
    calls: Vec<(usize, SpecId)>,
    /// Whether code of anybody's may run in it, or where Python goes on with it.
    runs_unknown: bool,
    /// The statements that may run code of anybody's.
    pub(crate) foreign: Rc<HashSet<usize>>,
    /// Whether only Python can tell what it does (`CompileError::Identity`).
    is_refused: bool,
}

/// What is known of a function that is put where it is called, for arguments of given types.
#[derive(Debug)]
pub(crate) struct Inlined {
    pub(crate) joints: Rc<Vec<Joint>>,
    pub(crate) ret: Ty,
}

/// Types of arguments beyond which functions of a unit are called.
const INLINED_MAX: usize = 400;

/// Versions of one function beyond which it is called through Python.
const SPECS_MAX: usize = 24;

/// Functions that know each other.
#[derive(Debug)]
pub struct Unit {
    /// Whom the unit belongs to: handed on to records.
    pub owner: usize,
    /// Whether bounds are checked before loops, on the guess that they will hold.
    pub hoists: bool,
    /// Whether floats may be added in another order.
    pub fast_math: bool,
    /// Whether indices into arrays are within bounds, as whoever calls the function says.
    pub trusts_indices: bool,
    /// Whether expressions over arrays may be computed on several threads.
    pub parallel: bool,
    /// Whether other threads of Python may run meanwhile.
    pub nogil: bool,
    /// Whether versions note what operations give of which nothing is known.
    pub observes: bool,
    /// Where they do. They are addressed by code and never move.
    pub sites: Vec<Box<Site>>,
    /// What places know of members of classes, on the same terms.
    pub member_sites: Vec<Box<MemberSite>>,
    /// What is known of Python.
    pub runtime: Rc<Runtime>,
    /// All functions.
    pub functions: Vec<Rc<FunctionInfo>>,
    /// The classes that they know.
    pub classes: Rc<Classes>,
    /// All versions.
    pub specs: Vec<Spec>,
    /// What the entries of the first function's versions look at, if they can be called by Python.
    pub entry: Option<EntryGuards>,
    by_key: HashMap<(FunctionId, Vec<Ty>), SpecId>,
    n_specs: Vec<usize>,
    /// Functions put in place, or nothing where they have to be called.
    inlined: HashMap<(FunctionId, Vec<Ty>), Option<Rc<Inlined>>>,
    /// Versions that are being inferred.
    open: Vec<SpecId>,
    is_changed: bool,
}

impl Unit {
    /// A unit without functions.
    #[must_use]
    pub fn new(runtime: Rc<Runtime>, owner: usize) -> Self {
        Self {
            owner,
            hoists: true,
            fast_math: false,
            trusts_indices: false,
            parallel: false,
            nogil: false,
            observes: false,
            sites: Vec::new(),
            member_sites: Vec::new(),
            runtime,
            functions: Vec::new(),
            classes: Rc::default(),
            specs: Vec::new(),
            entry: None,
            by_key: HashMap::new(),
            n_specs: Vec::new(),
            inlined: HashMap::new(),
            open: Vec::new(),
            is_changed: false,
        }
    }

    /// Adds a function.
    pub fn add(&mut self, mut info: FunctionInfo) -> FunctionId {
        if self.runtime.ob_item == 0 {
            info.locksteps.clear();
        }
        info.classes = Rc::clone(&self.classes);
        self.functions.push(Rc::new(info));
        self.n_specs.push(0);
        self.functions.len() - 1
    }

    /// The version of a function for such parameters, compiled if need be.
    ///
    /// # Errors
    /// If the code generator refuses it or there is no memory for code.
    pub fn specialise(
        &mut self,
        function: FunctionId,
        params: &[Ty],
    ) -> Result<SpecId, CompileError> {
        let spec = match self.by_key.get(&(function, params.to_vec())) {
            Some(&spec) => spec,
            None => self.declare(function, params.to_vec()),
        };
        if self.specs[spec].code.is_some() {
            return Ok(spec);
        }
        loop {
            self.is_changed = false;
            let mut at = 0;
            while at < self.open.len() {
                self.infer(self.open[at]);
                at += 1;
            }
            if !self.is_changed {
                break;
            }
        }
        for spec in std::mem::take(&mut self.open) {
            if !self.specs[spec].is_refused {
                self.compile(spec)?;
            }
        }
        if self.specs[spec].is_refused {
            let name = self.functions[function].program.name.clone();
            return Err(CompileError::Identity { name });
        }
        Ok(spec)
    }

    fn declare(&mut self, function: FunctionId, params: Vec<Ty>) -> SpecId {
        let spec = self.specs.len();
        self.by_key.insert((function, params.clone()), spec);
        self.n_specs[function] += 1;
        self.specs.push(Spec {
            function,
            params,
            ret: Ty::default(),
            code: None,
            vectorcall_offset: None,
            records: Vec::new(),
            checks: Vec::new(),
            wholes: Vec::new(),
            cell: Box::default(),
            vectors: Vec::new(),
            places: Vec::new(),
            native_offset: 0,
            leaves: Vec::new(),
            joints: Rc::default(),
            loud: Rc::default(),
            own_lists: Rc::default(),
            own_tables: Rc::default(),
            callees: Vec::new(),
            calls: Vec::new(),
            uses_objects: false,
            runs_unknown: false,
            foreign: Rc::default(),
            is_refused: false,
        });
        self.open.push(spec);
        self.is_changed = true;
        spec
    }

    fn infer(&mut self, spec: SpecId) {
        let (function, params) = (self.specs[spec].function, self.specs[spec].params.clone());
        let inferred = Inference::run(self, function, &params);
        let spec = &mut self.specs[spec];
        spec.runs_unknown = inferred.meets_objects || !inferred.foreign.is_empty();
        spec.foreign = Rc::new(inferred.foreign);
        if inferred.needs_identity && !spec.is_refused {
            spec.is_refused = true;
            self.is_changed = true;
        }
        spec.calls = inferred.calls;
        let ret = spec.ret.join(&inferred.ret);
        if ret != spec.ret {
            spec.ret = ret;
            self.is_changed = true;
        }
        spec.joints = Rc::new(inferred.joints);
        spec.loud = Rc::new(inferred.loud);
        spec.own_lists = Rc::new(inferred.own_lists);
        spec.own_tables = Rc::new(inferred.own_tables);
    }

    /// What is open is to be inferred again.
    pub(crate) fn note_change(&mut self) {
        self.is_changed = true;
    }

    /// Whether a function is called with such arguments, natively or as an object.
    pub(crate) fn can_call(&mut self, function: FunctionId, args: &[Ty]) -> bool {
        self.functions[function].program.is_positional || self.callee(function, args).is_some()
    }

    /// The version that is called natively with such arguments.
    pub(crate) fn callee(&mut self, function: FunctionId, args: &[Ty]) -> Option<SpecId> {
        let program = &self.functions[function].program;
        if args.len() != program.n_params {
            return None;
        }
        let params = args.iter().map(parameter).collect::<Vec<_>>();
        if let Some(&spec) = self.by_key.get(&(function, params.clone())) {
            return Some(spec).filter(|&spec| !self.specs[spec].is_refused);
        }
        if self.n_specs[function] >= SPECS_MAX {
            return None;
        }
        let spec = self.declare(function, params);
        // Looked at once now, so that callers mostly need not be run again.
        self.infer(spec);
        Some(spec).filter(|&spec| !self.specs[spec].is_refused)
    }

    /// A function with such arguments, if it is put where it is called.
    pub(crate) fn inlined(&mut self, function: FunctionId, args: &[Ty]) -> Option<Rc<Inlined>> {
        let info = Rc::clone(&self.functions[function]);
        if !info.is_small || args.len() != info.program.n_params {
            return None;
        }
        let is_plain = |(at, ty): (usize, &Ty)| {
            plain::is_plain_argument(ty) && !(owns(ty) && info.is_rebound[at])
        };
        if !args.iter().enumerate().all(is_plain) {
            return None;
        }
        let key = (function, args.to_vec());
        if let Some(known) = self.inlined.get(&key) {
            return known.clone();
        }
        if self.inlined.len() >= INLINED_MAX {
            return None;
        }
        // Where it calls itself, it is called.
        self.inlined.insert(key.clone(), None);
        let inferred = Inference::run(self, function, args);
        let ret = inferred.plain_ret.filter(plain::is_result);
        let ret = ret.filter(|_| !inferred.needs_identity);
        let inlined = ret.map(|ret| {
            Rc::new(Inlined {
                joints: Rc::new(inferred.joints),
                ret,
            })
        });
        self.inlined.insert(key, inlined.clone());
        inlined
    }

    /// Whether a block of a function calls others that may be put in place with their loops.
    pub(crate) fn calls_loops(&self, info: &FunctionInfo, block: &[Statement]) -> bool {
        let small = |info: &FunctionInfo, block: &[Statement]| -> Vec<FunctionId> {
            let calls = all_statements(block).filter_map(|statement| match &statement.kind {
                Kind::Set(_, Expr::Call(Atom::Global(index), ..)) => Some(&info.globals[*index]),
                _ => None,
            });
            let callees = calls.filter_map(|global| match global {
                Global::Function { id, .. } => Some(*id),
                _ => None,
            });
            callees.filter(|&id| self.functions[id].is_small).collect()
        };
        let mut reached = small(info, block);
        let mut at = 0;
        while let Some(&id) = reached.get(at) {
            let callee = &self.functions[id];
            if callee.has_loops {
                return true;
            }
            for id in small(callee, &callee.program.body) {
                if !reached.contains(&id) {
                    reached.push(id);
                }
            }
            at += 1;
        }
        false
    }

    /// Whether names may be bound anew while a version runs.
    fn may_rebind(&self, spec: SpecId) -> bool {
        let mut reached = vec![spec];
        let mut at = 0;
        while let Some(&id) = reached.get(at) {
            let spec = &self.specs[id];
            if spec.runs_unknown {
                return true;
            }
            for &(_, callee) in &spec.calls {
                if !reached.contains(&callee) {
                    reached.push(callee);
                }
            }
            at += 1;
        }
        false
    }

    /// The version that was inferred for such arguments.
    pub(crate) fn find(&self, function: FunctionId, args: &[Ty]) -> Option<SpecId> {
        let params = args.iter().map(parameter).collect::<Vec<_>>();
        let spec = *self.by_key.get(&(function, params))?;
        Some(spec).filter(|&spec| !self.specs[spec].is_refused)
    }

    /// Whether syntax can call a function with values by their places: starred parameters collect them,
    /// and others have names only.
    pub(crate) fn takes_by_place(&self, function: FunctionId) -> bool {
        self.functions[function].program.is_positional
    }

    fn compile(&mut self, spec: SpecId) -> Result<(), CompileError> {
        let mut foreign = (*self.specs[spec].foreign).clone();
        let calls = self.specs[spec].calls.iter();
        foreign.extend(
            calls
                .filter(|call| self.may_rebind(call.1))
                .map(|call| call.0),
        );
        self.specs[spec].foreign = Rc::new(foreign);
        let emitted = emit::function(self, spec)?;
        let program = &self.functions[self.specs[spec].function].program;
        let name = &program.name;
        let lines = || Some(source_lines(program, &emitted.places));
        let install = || CodeHeap::global().install(&emitted.bytes);
        let code =
            naming_with_lines(name, lines, install).map_err(|source| CompileError::Memory {
                name: name.clone(),
                source,
            })?;
        let spec = &mut self.specs[spec];
        spec.cell
            .set(code.address() as usize + emitted.native_offset);
        spec.code = Some(code);
        spec.native_offset = emitted.native_offset;
        spec.places = emitted.places;
        spec.vectorcall_offset = emitted.vectorcall_offset;
        spec.records = emitted.records;
        spec.checks = emitted.checks;
        spec.wholes = emitted.wholes;
        spec.leaves = emitted.leaves;
        spec.callees = emitted.callees;
        spec.uses_objects = emitted.uses_objects;
        Ok(())
    }

    /// Whether a version has loops and touches no object, nor do those that it calls: it may then run
    /// without the interpreter lock.
    #[must_use]
    pub fn is_quiet(&self, spec: SpecId) -> bool {
        let mut reached = vec![spec];
        let mut at = 0;
        while let Some(&next) = reached.get(at) {
            let next = &self.specs[next];
            if next.uses_objects || next.code.is_none() {
                return false;
            }
            for &(_, call) in &next.calls {
                if !reached.contains(&call) {
                    reached.push(call);
                }
            }
            at += 1;
        }
        let mut functions = reached.iter().map(|&spec| self.specs[spec].function);
        functions.any(|function| self.functions[function].has_loops)
    }
}

/// Which lines code is for.
fn source_lines(program: &Program, places: &[CodePlace]) -> SourceLines {
    let statements = all_statements(&program.body);
    let line_of: HashMap<usize, u32> = statements.map(|s| (s.id, s.line)).collect();
    let line = |place: &CodePlace| Some((place.span.start, *line_of.get(&place.statement)?));
    SourceLines {
        file: program.file.clone(),
        // What comes first is for the function as a whole.
        lines: std::iter::once((0, program.line))
            .chain(places.iter().filter_map(line))
            .collect(),
    }
}

/// The type of a parameter for an argument: less is told apart, so that fewer versions arise.
pub(crate) fn parameter(arg: &Ty) -> Ty {
    let ty = boxed_parts(arg.narrowed());
    let form = match &ty.form {
        Form::List(element) => Form::List(Box::new(Ty {
            natural: false,
            room: 0,
            ..(**element).clone()
        })),
        form => form.clone(),
    };
    Ty {
        form,
        ..Ty::tags(ty.tags)
    }
}
