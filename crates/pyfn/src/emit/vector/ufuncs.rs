//! numpy's functions of numbers, a vector at a time.
//!
//! The inner loop of a function does as many rows as there are lanes. It goes through a thunk with
//! the convention of the routines of vector math (`callout`), so that most registers stay as they
//! are. Where it raises a floating-point flag all lanes are a certain number that is none, at
//! which the rows stop: the scalar loop looks at them one by one.
//!
//! That a loop makes the same of several numbers as of each alone is not taken for granted: the
//! runtime compares some before a function is first used here.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use opcodon_asm::{Assembler, Evex, Gpr, Inst, NONE, Width, gpr, inst, mask};
use opcodon_codemem::Code;

use super::graph::{Id, Lane, Op, Range, Test};
use super::kernel::{Isa, v};
use super::read::{Reader, Val};
use super::seal;
use super::thunk::{enter, leave, slot};
use crate::runtime::{Runtime, UFUNC_STOPPED, UfuncLanes};
use crate::ufunc::{ScalarUfunc, is_single};

impl Reader<'_> {
    /// What a function makes of numbers that are floats.
    pub(super) fn ufunc(
        &mut self,
        known: &ScalarUfunc,
        args: &[Val],
        path: Option<Id>,
    ) -> Option<Id> {
        let tags = args.iter().map(|arg| arg.tags).collect::<Vec<_>>();
        let is_single = is_single(&tags) && !known.is_test;
        let mut numbers = Vec::new();
        for arg in args {
            numbers.push(if is_single {
                self.single(arg, path)?
            } else {
                self.double(arg)?
            });
        }
        if known.is_test {
            let infinity = self.graph.double(f64::INFINITY);
            let x = *numbers.first()?;
            let size = self.magnitude(x);
            return match known.name {
                "isnan" => Some(self.graph.compare(Test::Ne, x, x)),
                "isinf" => Some(self.graph.compare(Test::Eq, size, infinity)),
                "isfinite" => Some(self.graph.compare(Test::Lt, size, infinity)),
                _ => None,
            };
        }
        // Of one row numpy looks at the exponent.
        let is_power = known.name == "power";
        if is_power && self.graph.constant(numbers[1]).is_none() {
            return None;
        }
        let kinds = if is_single {
            [UfuncLanes::WideSingles, UfuncLanes::Singles]
        } else {
            [UfuncLanes::Doubles; 2]
        };
        let mut thunks = [0; 2];
        for (thunk, kind) in thunks.iter_mut().zip(kinds) {
            *thunk = thunk_of(known, &self.of.unit.runtime, self.of.isa, kind)?;
        }
        let lane = if is_single {
            Lane::Single
        } else {
            Lane::Double
        };
        // Rows that are not on the path raise no flags.
        if let Some(path) = path {
            let harmless = if known.name == "arctanh" { 0.5 } else { 1.0 };
            let harmless = match lane {
                #[expect(clippy::cast_possible_truncation, reason = "they are short")]
                Lane::Single => self.graph.single(harmless as f32),
                _ => self.graph.double(harmless),
            };
            let n_chosen = if is_power { 1 } else { numbers.len() };
            for number in &mut numbers[..n_chosen] {
                let args = [path, *number, harmless];
                *number = self.graph.float(Op::Select, lane, &args);
            }
        }
        let value = self.graph.float(Op::Routine(thunks), lane, &numbers);
        if is_single {
            let is_none = self.graph.compare(Test::Ne, value, value);
            self.graph.stop(path, is_none);
            return Some(value);
        }
        let stopped = self.graph.int(UFUNC_STOPPED.cast_signed());
        let other = self
            .graph
            .add(Op::Xor, Lane::Int, Range::FULL, &[value, stopped]);
        let zero = self.graph.int(0);
        let is_stopped = self.graph.compare(Test::Eq, other, zero);
        self.graph.stop(path, is_stopped);
        Some(value)
    }
}

/// For each function and set of instructions its thunk, if its loop is one for vectors.
type Known = HashMap<(&'static str, Isa, UfuncLanes), Option<Code>>;

fn thunk_of(known: &ScalarUfunc, runtime: &Runtime, isa: Isa, kind: UfuncLanes) -> Option<usize> {
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    let is_single = kind != UfuncLanes::Doubles;
    let [function, data] = *runtime.ufunc_loops.get(&(known.name, is_single))?;
    let mut thunks = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let thunk = thunks.entry((known.name, isa, kind)).or_insert_with(|| {
        // What the runtime is told: lanes, arguments, and whether the second has steps.
        let lane = if kind == UfuncLanes::Singles { 4 } else { 8 };
        let n_lanes = isa.width().bytes() / lane;
        let has_step = usize::from(known.name != "power");
        let shape = n_lanes | known.n_args << 8 | has_step << 16 | (kind as usize) << 24;
        let words = [function, data, shape, 0];
        if seal::ask(runtime.ufunc_agrees, words) == 0 {
            return None;
        }
        thunk(runtime.ufunc_lanes, words, isa)
    });
    Some(thunk.as_ref()?.address().expose_provenance())
}

/// Code that gives the vectors in registers 0 and 1 to the runtime, and takes the result to
/// register 0.
fn thunk(lanes: usize, [function, data, shape, _]: [usize; 4], isa: Isa) -> Option<Code> {
    const SAVED: [Gpr; 7] = [
        gpr::RCX,
        gpr::RDX,
        gpr::RSI,
        gpr::RDI,
        gpr::R8,
        gpr::R9,
        gpr::R11,
    ];
    // Routines may change the others.
    let preserved = match isa {
        Isa::Avx2 => 3..8,
        Isa::Avx512 => 3..16,
    };
    let width = isa.width();
    let mut asm = Assembler::new();
    // The arguments and the result, the mask, the registers.
    enter(&mut asm, &SAVED, 17);
    let move_one = |asm: &mut Assembler, row: &'static Inst, register: u8, at: i32| match isa {
        Isa::Avx2 => asm.vex(row, width, v(register), NONE, slot(at)),
        Isa::Avx512 => asm.evex(row, width, Evex::NONE, v(register), NONE, slot(at)),
    };
    move_one(&mut asm, &inst::MOVUPS_ST, 0, 0);
    move_one(&mut asm, &inst::MOVUPS_ST, 1, 1);
    for register in preserved.clone() {
        move_one(
            &mut asm,
            &inst::MOVUPS_ST,
            register,
            i32::from(register) + 1,
        );
    }
    if isa == Isa::Avx512 {
        asm.vex(&inst::KMOVQ_ST, Width::X, mask::K1, NONE, slot(3));
    }
    asm.vzeroupper();
    let mut give = |register: Gpr, word: usize| {
        asm.mov_ri(register, word.cast_signed() as i64);
    };
    give(gpr::RDI, function);
    give(gpr::RSI, data);
    give(gpr::RCX, shape);
    give(gpr::RAX, lanes);
    asm.lea(gpr::RDX, slot(0));
    asm.call_r(gpr::RAX);
    move_one(&mut asm, &inst::MOVUPS, 0, 2);
    for register in preserved {
        move_one(&mut asm, &inst::MOVUPS, register, i32::from(register) + 1);
    }
    if isa == Isa::Avx512 {
        asm.vex(&inst::KMOVQ, Width::X, mask::K1, NONE, slot(3));
    }
    leave(asm, &SAVED)
}
