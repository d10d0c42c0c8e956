//! Functions of the C library by the vector, to the bit.
//!
//! Python's `math` calls the C library, so its results are what counts. Where that is glibc on a
//! processor with fused multiply-add, `exp`, `log`, `sin`, `cos` and `pow` are known: a table, a polynomial,
//! and in which order they are put together. The same operations on all lanes at once give the same
//! bits. Whether the process has these very functions is not taken for granted: a kernel computes
//! some thousand numbers both ways, once, and a function that differs anywhere is left to the scalar
//! loop.
//!
//! Lanes out of the range that is usual (subnormal numbers, huge angles, what is not finite) are
//! given to the C library one by one, by a *thunk* that preserves all registers.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use opcodon_asm::{
    Alu, Assembler, Cond, Evex, Gpr, Inst, Mem, NONE, Scale, Width, gpr, inst, mask,
};
use opcodon_codemem::{Code, CodeHeap};

use super::formulas::{CIRCULAR_LIMITS, EXP_LIMIT, LOG_NEAR, SERIES_LIMIT, Steps};
use super::graph::{Graph, Id, Lane, Op, Range, Rows, Stream, Test};
use super::kernel::{self, Isa, v};
use super::seal;
use super::thunk::{enter, leave, slot};
use crate::types::Dtype;

/// A function of one number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Function {
    Exp,
    Log,
    Sin,
    Cos,
    /// A power with this exponent.
    Pow(f64),
    /// Another one: the library computes each lane.
    Other(&'static str),
}

/// For each function, exponent and set of instructions its thunk, if it is the C library's.
type Known = HashMap<(&'static str, u64, Isa), Option<Code>>;

impl Function {
    /// The function of a name.
    pub(super) fn of(name: &'static str) -> Self {
        match name {
            "exp" => Self::Exp,
            "log" => Self::Log,
            "sin" => Self::Sin,
            "cos" => Self::Cos,
            _ => Self::Other(name),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Pow(_) => "pow",
            Self::Other(name) => name,
        }
    }

    /// The address of its thunk, if lanes of it are what the C library's function is.
    pub(super) fn thunk(self, libm: &HashMap<&'static str, usize>, isa: Isa) -> Option<usize> {
        static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
        let address = *libm.get(self.name())?;
        let exponent = match self {
            Self::Pow(exponent) => exponent.to_bits(),
            _ => 0,
        };
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (self.name(), exponent, isa);
        if known.len() > N_KNOWN_MAX && !known.contains_key(&key) {
            return None;
        }
        let thunk = known.entry(key).or_insert_with(|| {
            let thunk = thunk(address, exponent, isa)?;
            let is_theirs = matches!(self, Self::Other(_));
            (is_theirs || agrees(self, &thunk, isa)).then_some(thunk)
        });
        Some(thunk.as_ref()?.address().expose_provenance())
    }

    /// The value of a double in the usual range, and a mask of the rows in which it is not there.
    pub(super) fn value(self, graph: &mut Graph, x: Id) -> (Id, Id) {
        let mut steps = Steps(graph);
        match self {
            Self::Exp => steps.exp(x),
            Self::Log => steps.log(x),
            Self::Sin => steps.circular(x, false),
            Self::Cos => steps.circular(x, true),
            Self::Pow(exponent) => steps.pow(x, exponent),
            Self::Other(_) => {
                let zero = graph.int(0);
                (x, graph.compare(Test::Eq, zero, zero))
            }
        }
    }
}

/// Code that calls a function for the lanes whose bits are set in the kernel's own word.
///
/// The first argument is in vector register 0, where the results are written; a second one is what is
/// given here. All other registers that kernels use are preserved.
fn thunk(function: usize, second: u64, isa: Isa) -> Option<Code> {
    const SAVED: [Gpr; 10] = [
        gpr::RBX,
        gpr::RCX,
        gpr::RDX,
        gpr::RSI,
        gpr::RDI,
        gpr::R8,
        gpr::R9,
        gpr::R10,
        gpr::R11,
        gpr::R12,
    ];
    let n_registers = i32::from(isa.n_registers());
    let width = isa.width();
    let mut asm = Assembler::new();
    enter(&mut asm, &SAVED, n_registers + 1);
    let move_all = |asm: &mut Assembler, row: &'static Inst, mask_row: &'static Inst| {
        for at in 0..isa.n_registers() {
            let (register, slot) = (v(at), slot(i32::from(at)));
            match isa {
                Isa::Avx2 => asm.vex(row, width, register, NONE, slot),
                Isa::Avx512 => asm.evex(row, width, Evex::NONE, register, NONE, slot),
            }
        }
        if isa == Isa::Avx512 {
            asm.vex(mask_row, Width::X, mask::K1, NONE, slot(n_registers));
        }
    };
    move_all(&mut asm, &inst::MOVUPS_ST, &inst::KMOVQ_ST);
    asm.load(gpr::RBX, kernel::own_word());
    asm.vzeroupper();
    let head = asm.label();
    asm.bind(head);
    asm.tzcnt(gpr::R12, gpr::RBX);
    let lane = |at| slot(at).index(gpr::R12, Scale::S8);
    asm.vex(&inst::MOVSD, Width::X, v(0), NONE, lane(0));
    let second = asm.constant(&second.to_le_bytes());
    asm.vex(&inst::MOVSD, Width::X, v(1), NONE, Mem::rip(second));
    asm.mov_ri(gpr::RAX, i64::try_from(function).ok()?);
    asm.call_r(gpr::RAX);
    asm.vex(&inst::MOVSD_ST, Width::X, v(0), NONE, lane(0));
    asm.lea(gpr::RCX, Mem::base(gpr::RBX).disp(-1));
    asm.alu_rr(Alu::And, gpr::RBX, gpr::RCX);
    asm.jcc(Cond::NE, head);
    move_all(&mut asm, &inst::MOVUPS, &inst::KMOVQ);
    leave(asm, &SAVED)
}

/// Whether lanes are, to the bit, what the C library gives.
fn agrees(function: Function, thunk: &Code, isa: Isa) -> bool {
    let mut graph = Graph::default();
    graph.streams.push(Stream {
        dtype: Dtype::Float64,
        base: 0,
        rows: Rows::Dense,
        steps: Vec::new(),
    });
    let x = graph.float(Op::Load(0, 0), Lane::Double, &[]);
    let (value, odd) = function.value(&mut graph, x);
    let call = Op::Call(thunk.address().expose_provenance());
    let all = graph.mask(Op::Constant(u64::MAX), &[]);
    let value = graph.float(call, Lane::Double, &[x, odd, value]);
    let known = graph.float(call, Lane::Double, &[x, all, x]);
    let lost = graph.add(Op::Xor, Lane::Int, Range::FULL, &[value, known]);
    let zero = graph.int(0);
    let differs = graph.compare(Test::Ne, lost, zero);
    graph.stop(None, differs);
    let Some((bytes, _)) = kernel::emit(&graph, isa) else {
        return false;
    };
    let Ok(code) = CodeHeap::global().install(&bytes) else {
        return false;
    };
    let mut numbers = samples(function);
    // Whole vectors, as the narrower ones know no rest.
    numbers.truncate(numbers.len() / 8 * 8);
    seal::run(&code, &numbers) == numbers.len()
}

/// Numbers of all magnitudes, most where the function is used, and the ends of its intervals.
fn samples(function: Function) -> Vec<f64> {
    const N: u32 = 1500;
    let mut numbers = vec![0.0, -0.0, 1.0, f64::MIN_POSITIVE, f64::MAX, 5e-324];
    let edges: &[f64] = match function {
        Function::Other(_) => &[],
        Function::Exp => &[EXP_LIMIT, 0.00271, -700.0, -744.0],
        Function::Log => &LOG_NEAR,
        Function::Pow(_) => &[1.0, f64::MIN_POSITIVE],
        Function::Sin | Function::Cos => &[
            CIRCULAR_LIMITS[0],
            CIRCULAR_LIMITS[1],
            CIRCULAR_LIMITS[2],
            SERIES_LIMIT,
        ],
    };
    for &edge in edges {
        numbers.extend([edge.next_down(), edge, edge.next_up()]);
    }
    let spans: &[f64] = match function {
        Function::Other(_) => &[],
        Function::Exp => &[1.0, 30.0, 745.0],
        Function::Log => &[0.25, 4.0, 1e6],
        Function::Pow(_) => &[2.0, 100.0, 1e9],
        Function::Sin | Function::Cos => &[1.0, 7.0, 1e4, 1e8],
    };
    // A multiplicative congruential sequence (P. L'Ecuyer, 1999).
    let mut state = 1_u64;
    for turn in 0..N {
        state = state
            .wrapping_mul(2_862_933_555_777_941_757)
            .wrapping_add(1);
        let unit = f64::from_bits(1023 << 52 | state >> 12) - 1.0;
        let power = i32::try_from(turn % 200).unwrap_or(0) - 100;
        numbers.push((1.0 + unit) * 2.0_f64.powi(power));
        for span in spans {
            numbers.push(unit * span);
        }
        if function == Function::Log {
            numbers.push(0.9 + unit * 0.2);
        }
    }
    if function != Function::Log {
        let negative = numbers.iter().map(|x| -x).collect::<Vec<_>>();
        numbers.extend(negative);
    }
    numbers
}

/// Whether the C library's power is the one that is known, and there are fused products.
pub(in crate::emit) fn knows_powers(libm: &HashMap<&'static str, usize>) -> bool {
    let isa = Isa::best();
    isa.is_some_and(|isa| Function::Pow(2.0).thunk(libm, isa).is_some())
}

/// Thunks beyond which no power with another exponent is made one.
const N_KNOWN_MAX: usize = 200;
