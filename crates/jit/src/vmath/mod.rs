//! Vector math: every operator that takes more than a few instructions, as near routines of
//! vector code.
//!
//! A compiled expression keeps its values in vector registers, and a call of a C library's `exp`
//! would cost it all of them. The routines here follow a private convention that leaves most
//! registers alone, work on whole vectors without a scalar loop, and come in all widths from one
//! description, so that a scalar function and a kernel over columns agree to the bit.
//!
//! ```text
//! functions  what is computed: argument reductions, polynomials, special cases
//!   └ lanes     the language they are written in; running it records a program
//!       └ program   values in static single assignment, rare regions, loops
//!           ├ interp  what a program means, in plain Rust: the oracle
//!           └ emit    registers, stack slots ─▶ instructions ─▶ opcodon_asm
//! ```
//!
//! # Calling convention
//! A near `call`. Arguments in vector registers 0, 1, 2, the result in 0. With 512 bits, routines of one
//! argument have entrances for two and three vectors, in registers 0, 1, 2, where the results are.
//!
//! | | SSE2, AVX2 | AVX-512 |
//! |---|---|---|
//! | changed | vectors 0–2, 8–15 | vectors 0–2, 16–31; masks k2–k7 |
//! | preserved | vectors 3–7 | vectors 3–15; mask k1 |
//!
//! `rax`, `r10` and the flags are changed, all other general registers are preserved. A routine
//! uses the stack below `rsp`. Under AVX2 and AVX-512 all instructions have VEX or EVEX encodings.
//!
//! # Invariants
//! - What a lane becomes depends on that lane's arguments alone: all widths of an instruction set
//!   agree to the bit.
//! - Instruction sets differ by rounding errors within the operator's bound: AVX-512 looks up
//!   tables in registers, SSE2 has no fused multiply-add.

mod emit;
mod functions;
mod instructions;
#[cfg(test)]
mod interp;
mod lanes;
mod program;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use opcodon_asm::{Assembler, Width};
use opcodon_expr::Op;

use crate::Float;
use emit::Entries;
use lanes::Lanes;
use program::{Elem, Program};

/// Instruction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isa {
    /// 128-bit vectors, the baseline of x86-64; no fused multiply-add.
    Sse2,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// 512-bit vectors with masks and broadcasts (F, DQ, BW, VL).
    Avx512,
}

/// The routines of one instruction set, width and element type.
#[derive(Debug)]
pub struct Routines {
    /// The code with its constants: position independent, to be placed at a multiple of 64.
    pub code: Vec<u8>,
    entries: Vec<Entries>,
}

impl Routines {
    /// Emits all routines.
    ///
    /// # Panics
    /// If the instruction set does not have the width: SSE2 has 128 bits, AVX2 up to 256.
    #[must_use]
    pub fn build<T: Float>(isa: Isa, width: Width) -> Routines {
        let mut asm = Assembler::with_capacity(1 << 16);
        asm.align(64);
        let mut entries = vec![];
        for &op in Op::ALL {
            let program = program::<T>(op, isa);
            let is_wide = width == Width::Z && op.arity() == 1;
            let n_vectors = if is_wide { 3 } else { 1 };
            let emitted =
                program.map(|program| emit::emit(&mut asm, &program, isa, width, n_vectors));
            entries.push(emitted.unwrap_or_default());
        }
        let code = asm
            .finish()
            .unwrap_or_else(|error| panic!("vector math: {error}"))
            .to_vec();
        Routines { code, entries }
    }

    /// Where the routine of an operator begins; `None` if it has none, since instructions suffice.
    #[must_use]
    pub fn entry(&self, op: Op) -> Option<usize> {
        let [one, ..] = self.entries(op);
        one
    }

    /// Where the routine of an operator begins for one, two and three vectors, as far as there is one.
    pub(crate) fn entries(&self, op: Op) -> Entries {
        self.entries.get(op as usize).copied().unwrap_or_default()
    }

    /// The routines, emitted once per process.
    #[must_use]
    pub fn get<T: Float>(isa: Isa, width: Width) -> &'static Routines {
        static ALL: [OnceLock<Routines>; 18] = [const { OnceLock::new() }; 18];
        let (isa_index, width_index) = (isa as usize, width as usize);
        let index = (elem::<T>() as usize * 3 + isa_index) * 3 + width_index;
        ALL[index].get_or_init(|| Routines::build::<T>(isa, width))
    }
}

fn elem<T: Float>() -> Elem {
    if T::SIZE == 8 { Elem::F64 } else { Elem::F32 }
}

/// What the routine of `op` does on an instruction set, if it has a routine.
fn program<T: Float>(op: Op, isa: Isa) -> Option<Program> {
    let function = functions::of(op)?;
    Some(Lanes::record(isa, elem::<T>(), op.arity(), function))
}
