//! Sums of outer products: what normal equations are made of.
//!
//! For k outputs there are k (k + 1) / 2 sums of products, too many for registers beside the code
//! of a tape, and carrying each of them to memory and back at every row costs more than the tape.
//! So the loop over the rows only writes its outputs, and a second loop reads them again with all
//! registers to itself. It is the same for all trees of as many outputs and stands once in a batch;
//! their kernels end with a jump to it.
//!
//! ```text
//! output   the sums, a vector each; then the rows, for each vector of them the outputs and, if
//!          there are any, the weights
//! r8       where the output begins
//! rdx      where the next rows are written, in the end where they end
//! ```
//!
//! # Invariants
//! - Padding is written as 0, so that it adds nothing to a sum.
//! - A sum takes its products row after row, whatever the number of sums.

use opcodon_asm::{Alu, Assembler, Cond, Mem, gpr};

use crate::columns::{ColumnLeaves, Targets, column_place};
use crate::lower::Lower;
use crate::machine::{Machine, offset};
use crate::tape::Arg;
use crate::{JitError, Tier};

/// What is written for each vector of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) n_outputs: usize,
    pub(crate) weighted: bool,
}

/// Where the sums begin, and where the rows of an iteration.
const SUMS: opcodon_asm::Gpr = gpr::R8;
const ROWS: opcodon_asm::Gpr = gpr::RDX;

/// The register of a product's first factor; sums begin behind what products may clobber.
const FACTOR: u8 = 0;
const SPARE: u8 = 2;
const FIRST: u8 = 3;

impl Layout {
    /// Sums of the products of so many outputs.
    pub(crate) fn n_sums_of(n_outputs: usize) -> usize {
        n_outputs * (n_outputs + 1) / 2
    }

    fn n_sums(self) -> usize {
        Layout::n_sums_of(self.n_outputs)
    }

    /// Vectors that are written for each vector of rows.
    pub(crate) fn n_vectors(self) -> usize {
        self.n_outputs + usize::from(self.weighted)
    }

    /// Before the loop over the rows.
    pub(crate) fn setup<M: Machine>(self, asm: &mut Assembler) {
        asm.mov_rr(SUMS, ROWS);
        asm.alu_ri(Alu::Add, ROWS, offset(self.n_sums() * M::BYTES));
    }

    /// In it: writes the outputs of some rows.
    pub(crate) fn write<M: Machine>(
        self,
        lower: &mut Lower<'_, M, ColumnLeaves<'_, M>>,
        outputs: &[Arg],
        targets: Targets,
    ) {
        let place = |k: usize| Mem::base(ROWS).disp(offset(k * M::BYTES));
        for (k, &output) in outputs.iter().enumerate() {
            let value = lower.operand(output);
            let value = lower.in_register(value, 0);
            M::mask(lower.asm, 1, value);
            M::store(lower.asm, place(k), 1);
        }
        if let Some(weight) = targets.weight {
            M::load(lower.asm, 1, column_place::<M>(weight));
            M::store(lower.asm, place(outputs.len()), 1);
        }
    }

    /// At its end.
    pub(crate) fn advance<M: Machine>(self, asm: &mut Assembler) {
        asm.alu_ri(Alu::Add, ROWS, offset(self.n_vectors() * M::BYTES));
    }

    /// The loop over what was written, and back to the caller.
    fn sum<M: Machine>(self, asm: &mut Assembler) {
        let last = if M::TIER == Tier::Avx512 { 31 } else { 15 };
        let n_registers = usize::from(last - FIRST + 1);
        let rows = 0..self.n_outputs;
        let cells: Vec<(usize, usize)> = rows
            .flat_map(|row| (row..self.n_outputs).map(move |column| (row, column)))
            .collect();
        let at = gpr::RAX;
        let element = |k: usize| Mem::base(at).disp(offset(k * M::BYTES));
        for (group, cells) in cells.chunks(n_registers).enumerate() {
            let first = group * n_registers;
            let place = |k: usize| Mem::base(SUMS).disp(offset((first + k) * M::BYTES));
            for (k, register) in (0..cells.len()).zip(FIRST..) {
                M::load(asm, register, place(k).into());
            }
            asm.lea(at, Mem::base(SUMS).disp(offset(self.n_sums() * M::BYTES)));
            asm.align(16);
            let next = asm.position().cast_signed();
            let mut factor = None;
            for (&(row, column), register) in cells.iter().zip(FIRST..) {
                if factor != Some(row) {
                    M::load(asm, FACTOR, element(row).into());
                    if self.weighted {
                        let weight = element(self.n_outputs).into();
                        M::binary(asm, M::ROWS.mul, FACTOR, FACTOR, weight, SPARE);
                    }
                    factor = Some(row);
                }
                M::accumulate(asm, register, FACTOR, element(column).into(), SPARE);
            }
            asm.alu_ri(Alu::Add, at, offset(self.n_vectors() * M::BYTES));
            asm.alu_rr(Alu::Cmp, at, ROWS);
            asm.jcc_to(Cond::B, next);
            for (k, register) in (0..cells.len()).zip(FIRST..) {
                M::store(asm, place(k), register);
            }
        }
        if M::TIER != Tier::Sse2 {
            asm.vzeroupper();
        }
        asm.ret();
    }
}

/// The loops that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Loops {
    loops: Vec<Loop>,
}

#[derive(Debug)]
struct Loop {
    layout: Layout,
    /// Its code, which may stand anywhere.
    code: Vec<u8>,
    /// Where it stands in this batch, if it does.
    position: Option<isize>,
}

impl Loops {
    /// Prepares for another batch on the same machine.
    pub(crate) fn clear(&mut self) {
        for known in &mut self.loops {
            known.position = None;
        }
    }

    /// The end of a kernel: on to the loop over what it has written.
    pub(crate) fn go<M: Machine>(
        &mut self,
        asm: &mut Assembler,
        layout: Layout,
    ) -> Result<(), JitError> {
        let known = match self.loops.iter().position(|known| known.layout == layout) {
            Some(known) => known,
            None => {
                let mut own = Assembler::new();
                layout.sum::<M>(&mut own);
                self.loops.push(Loop {
                    layout,
                    code: own.finish()?.to_vec(),
                    position: None,
                });
                self.loops.len() - 1
            }
        };
        let known = &mut self.loops[known];
        match known.position {
            Some(position) => asm.jmp_to(position),
            None => {
                asm.align(16);
                known.position = Some(asm.position().cast_signed());
                asm.raw(&known.code);
            }
        }
        Ok(())
    }
}
