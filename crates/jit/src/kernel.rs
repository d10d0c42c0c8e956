//! Kernels over columns: the loop around a lowered tape, and what becomes of its values.
//!
//! A kernel runs over one tile (see [`Panel`](crate::Panel)) under the ABI of
//! `opcodon_codemem::kernel`: tile, constants, output, number of rows. It computes one vector of
//! rows an iteration. Rows that fill no vector are computed too, from padding, and masked where
//! values leave the kernel: by mask register 1 on AVX-512, else by a vector of all-ones and zero
//! lanes at the stack pointer. There is no scalar tail.
//!
//! ```text
//!        frame, accumulators = 0, mask = all
//! top:   fewer rows left than lanes? ──▶ tail: mask = rows left
//! body:  tape; store, or fold into accumulators ◀───────┘
//!        advance; rows left? ──▶ top
//!        accumulators to output
//! ```
//!
//! Accumulators are stored as vectors, unreduced: the caller adds their lanes in `f64`. They live
//! in registers wherever those survive the tape's calls, else in the output itself, which the
//! caller has zeroed.

use opcodon_asm::{Alu, Assembler, Cond, K1, Mem, NONE, Rm, Shift, Vreg, Width, gpr, inst};

use crate::lower::{Leaves, Lower, Workspace, calls, routines};
use crate::machine::{Machine, reg};
use crate::panel::stride;
use crate::tape::{Arg, Tape};
use crate::{Float, JitError, Tier};

/// What a kernel does with the value of each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    /// Writes it.
    Store,
    /// Σ w (p − y)².
    Squares,
    /// Σ w |p − y|.
    Absolute,
    /// Σ w p, Σ w p², Σ w p y.
    Moments,
    /// Upper triangle of Σ w v vᵀ over the vector v of all outputs, row by row.
    Outer,
}

/// The columns that a fold reads beside the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Targets {
    pub(crate) target: u32,
    pub(crate) weight: Option<u32>,
}

/// Columns and constants as memory operands; literals are appended to the constants.
pub(crate) struct ColumnLeaves<'a, M: Machine> {
    pub(crate) constants: &'a mut Vec<M::T>,
    /// Where the constants of this kernel begin.
    pub(crate) first: usize,
    /// How many of them are the tree's own.
    pub(crate) own: usize,
}

impl<M: Machine> ColumnLeaves<'_, M> {
    #[inline(always)]
    fn place(&self, k: usize) -> Rm {
        M::constant(Mem::base(gpr::RSI).disp(offset(k * M::SLOT)))
    }
}

impl<M: Machine> Leaves<M::T> for ColumnLeaves<'_, M> {
    #[inline]
    fn column(&mut self, _: &mut Assembler, column: u32) -> Rm {
        column_place::<M>(column)
    }

    #[inline]
    fn constant(&mut self, _: &mut Assembler, constant: u32) -> Rm {
        self.place(constant as usize)
    }

    fn literal(&mut self, _: &mut Assembler, value: M::T) -> Rm {
        let literals = &self.constants[self.first + self.own..];
        let same = |other: &M::T| bytemuck::bytes_of(other) == bytemuck::bytes_of(&value);
        let k = literals.iter().position(same).unwrap_or_else(|| {
            self.constants.push(value);
            self.constants.len() - 1 - self.first - self.own
        });
        self.place(self.own + k)
    }
}

#[inline(always)]
#[expect(
    clippy::cast_possible_wrap,
    reason = "the batch limits the number of columns"
)]
fn column_place<M: Machine>(column: u32) -> Rm {
    let stride = const { stride::<M::T>() as i32 };
    Rm::Mem(Mem::base(gpr::RDI).disp(column as i32 * stride))
}

#[inline(always)]
fn offset(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("a tile below 2 GiB")
}

/// A register that folds may clobber.
const SPARE: u8 = 2;

/// Registers that hold accumulators, if registers do.
const ACCUMULATORS: [u8; 3] = [15, 14, 13];

/// Number of accumulator vectors that a fold leaves in the output.
pub(crate) fn n_accumulators(fold: Fold, n_outputs: usize) -> usize {
    match fold {
        Fold::Store => 0,
        Fold::Squares | Fold::Absolute => 1,
        Fold::Moments => 3,
        Fold::Outer => n_outputs * (n_outputs + 1) / 2,
    }
}

/// Emits one kernel at the assembler's position.
///
/// The tape has one output, or several for [`Fold::Outer`].
pub(crate) fn emit<M: Machine>(
    asm: &mut Assembler,
    work: &mut Workspace,
    tape: &Tape,
    fold: Fold,
    targets: Targets,
    leaves: ColumnLeaves<'_, M>,
) -> Result<(), JitError> {
    let outputs = &tape.outputs[..];
    let calls = calls::<M>(tape);
    let masks = M::TIER == Tier::Avx512;
    let n_accumulators = n_accumulators(fold, outputs.len());
    let in_registers =
        n_accumulators <= ACCUMULATORS.len() && (masks || !calls) && fold != Fold::Outer;
    let mut registers = if calls { M::KEPT } else { M::FREE };
    if in_registers {
        for register in &ACCUMULATORS[..n_accumulators] {
            registers &= !(1 << register);
        }
    }
    // Where accumulators live in memory, one register carries them there and back.
    let scratch = if calls { 8 } else { ACCUMULATORS[0] };
    if !in_registers {
        registers &= !(1 << scratch);
    }
    // Without mask registers the mask, or a last vector of results, lies below the spill slots.
    let mask_bytes = if masks { 0 } else { M::BYTES };
    let n_registers = registers.count_ones() as usize;
    let n_slots = if tape.max_live > n_registers {
        tape.max_live
    } else {
        0
    };
    let mut frame = mask_bytes + n_slots * M::BYTES;
    if frame > 0 {
        // The stack pointer is 8 bytes off a multiple of 16 at entry.
        frame = frame.next_multiple_of(16) + 8;
        asm.alu_ri(Alu::Sub, gpr::RSP, offset(frame));
    }
    if in_registers {
        for &register in &ACCUMULATORS[..n_accumulators] {
            zero::<M>(asm, register);
        }
    }
    if masks {
        asm.vex(&inst::KXNORW, Width::X, K1, K1, K1);
    } else if fold != Fold::Store {
        ones::<M>(asm, 0);
        M::store(asm, Mem::base(gpr::RSP), 0);
    }

    let (top, body, tail) = (asm.label(), asm.label(), asm.label());
    let lanes = offset(M::LANES);
    asm.bind(top);
    asm.alu_ri(Alu::Cmp, gpr::RCX, lanes);
    asm.jcc(Cond::B, tail);
    asm.bind(body);

    let routines = routines::<M>()?;
    let mut lower: Lower<'_, M, _> =
        Lower::new(asm, leaves, routines, work, registers, offset(mask_bytes));
    lower.run(tape)?;
    let accumulate = Accumulate {
        in_registers,
        scratch,
    };
    match fold {
        Fold::Store => {
            let value = lower.operand(outputs[0]);
            let value = lower.in_register(value, 0);
            let asm = &mut *lower.asm;
            if masks {
                let rows = opcodon_asm::Evex::mask(K1);
                let out = Mem::base(gpr::RDX);
                asm.evex(M::ROWS.store, M::WIDTH, rows, Vreg::new(value), NONE, out);
            } else {
                let store = asm.label();
                let next = asm.label();
                asm.alu_ri(Alu::Cmp, gpr::RCX, lanes);
                asm.jcc(Cond::AE, store);
                copy_rows::<M>(asm, value);
                asm.jmp(next);
                asm.bind(store);
                M::store(asm, Mem::base(gpr::RDX), value);
                asm.bind(next);
            }
            asm.alu_ri(Alu::Add, gpr::RDX, offset(M::BYTES));
        }
        Fold::Squares | Fold::Absolute => {
            let value = lower.operand(outputs[0]);
            let value = lower.in_register(value, 0);
            let error = column_place::<M>(targets.target);
            // Register 0 may hold the value itself.
            M::masked_sub(lower.asm, 1, value, error);
            let factor = if fold == Fold::Absolute {
                let magnitude = lower.leaves.literal(lower.asm, M::T::magnitude_mask());
                M::binary(lower.asm, M::ROWS.and, 1, 1, magnitude, SPARE);
                None
            } else {
                Some(1)
            };
            accumulate.products::<M>(lower.asm, 0, 1, factor, targets.weight);
        }
        Fold::Moments => {
            let value = lower.operand(outputs[0]);
            let value = lower.in_register(value, 0);
            let asm = &mut *lower.asm;
            M::mask(asm, 1, value);
            let mut weighted = 1;
            if let Some(weight) = targets.weight {
                M::binary(asm, M::ROWS.mul, 0, 1, column_place::<M>(weight), SPARE);
                weighted = 0;
            }
            accumulate.add::<M>(asm, 0, weighted);
            accumulate.product::<M>(asm, 1, weighted, reg(1));
            accumulate.product::<M>(asm, 2, weighted, column_place::<M>(targets.target));
        }
        Fold::Outer => outer(&mut lower, outputs, targets, accumulate),
    }
    let asm = lower.asm;
    asm.alu_ri(Alu::Add, gpr::RDI, offset(M::BYTES));
    asm.alu_ri(Alu::Sub, gpr::RCX, lanes);
    asm.jcc(Cond::A, top);
    if in_registers {
        for (k, &register) in ACCUMULATORS[..n_accumulators].iter().enumerate() {
            M::store(
                asm,
                Mem::base(gpr::RDX).disp(offset(k * M::BYTES)),
                register,
            );
        }
    }
    if frame > 0 {
        asm.alu_ri(Alu::Add, gpr::RSP, offset(frame));
    }
    if M::TIER != Tier::Sse2 {
        asm.vzeroupper();
    }
    asm.ret();

    asm.bind(tail);
    if masks {
        asm.mov_ri(gpr::RAX, 1);
        asm.shift_cl(Shift::Shl, gpr::RAX);
        asm.alu_ri(Alu::Sub, gpr::RAX, 1);
        asm.vex(&inst::KMOVW_KR, Width::X, K1, NONE, gpr::RAX);
    } else if fold != Fold::Store {
        mask_rows::<M>(asm);
    }
    asm.jmp(body);
    Ok(())
}

/// `register = 0`.
fn zero<M: Machine>(asm: &mut Assembler, register: u8) {
    M::binary(asm, M::ROWS.xor, register, register, reg(register), SPARE);
}

/// All bits of a register, for tiers without mask registers.
fn ones<M: Machine>(asm: &mut Assembler, register: u8) {
    let register = Vreg::new(register);
    if M::TIER == Tier::Sse2 {
        asm.sse(&inst::PCMPEQD, register, register);
    } else {
        asm.vex(&inst::PCMPEQD, M::WIDTH, register, register, register);
    }
}

/// The element of index `rcx − 1` of an array.
fn last_row<M: Machine>(array: opcodon_asm::Gpr) -> Mem {
    let scale = if M::T::SIZE == 8 {
        opcodon_asm::Scale::S8
    } else {
        opcodon_asm::Scale::S4
    };
    Mem::base(array)
        .index(gpr::RCX, scale)
        .disp(-offset(M::T::SIZE))
}

/// The vector at the stack pointer := ones in the first `rcx` lanes, 0 in the others. Leaves 1
/// in `rcx`, so that this iteration is the last.
fn mask_rows<M: Machine>(asm: &mut Assembler) {
    zero::<M>(asm, 0);
    M::store(asm, Mem::base(gpr::RSP), 0);
    asm.mov_ri(gpr::RAX, -1);
    let next = asm.label();
    asm.bind(next);
    if M::T::SIZE == 8 {
        asm.store(last_row::<M>(gpr::RSP), gpr::RAX);
    } else {
        asm.store32(last_row::<M>(gpr::RSP), gpr::RAX);
    }
    asm.alu_ri(Alu::Sub, gpr::RCX, 1);
    asm.jcc(Cond::NE, next);
    asm.mov_ri(gpr::RCX, 1);
}

/// The first `rcx` lanes of a register to the output. Leaves 1 in `rcx`.
fn copy_rows<M: Machine>(asm: &mut Assembler, value: u8) {
    M::store(asm, Mem::base(gpr::RSP), value);
    let next = asm.label();
    asm.bind(next);
    if M::T::SIZE == 8 {
        asm.load(gpr::RAX, last_row::<M>(gpr::RSP));
        asm.store(last_row::<M>(gpr::RDX), gpr::RAX);
    } else {
        asm.load32(gpr::RAX, last_row::<M>(gpr::RSP));
        asm.store32(last_row::<M>(gpr::RDX), gpr::RAX);
    }
    asm.alu_ri(Alu::Sub, gpr::RCX, 1);
    asm.jcc(Cond::NE, next);
    asm.mov_ri(gpr::RCX, 1);
}

/// Where accumulators are and which register may carry one from memory and back.
#[derive(Clone, Copy)]
struct Accumulate {
    in_registers: bool,
    scratch: u8,
}

impl Accumulate {
    fn update<M: Machine>(self, asm: &mut Assembler, k: usize, f: impl FnOnce(&mut Assembler, u8)) {
        if self.in_registers {
            return f(asm, ACCUMULATORS[k]);
        }
        let place = Mem::base(gpr::RDX).disp(offset(k * M::BYTES));
        M::load(asm, self.scratch, Rm::Mem(place));
        f(asm, self.scratch);
        M::store(asm, place, self.scratch);
    }

    /// Accumulator k += value.
    fn add<M: Machine>(self, asm: &mut Assembler, k: usize, value: u8) {
        self.update::<M>(asm, k, |asm, acc| {
            M::binary(asm, M::ROWS.add, acc, acc, reg(value), SPARE);
        });
    }

    /// Accumulator k += a · b.
    fn product<M: Machine>(self, asm: &mut Assembler, k: usize, a: u8, b: Rm) {
        self.update::<M>(asm, k, |asm, acc| M::accumulate(asm, acc, a, b, SPARE));
    }

    /// Accumulator k += weight · value · factor, either of which may be absent; clobbers 0.
    fn products<M: Machine>(
        self,
        asm: &mut Assembler,
        k: usize,
        value: u8,
        factor: Option<u8>,
        weight: Option<u32>,
    ) {
        let mut weighted = value;
        if let Some(weight) = weight {
            M::binary(asm, M::ROWS.mul, 0, value, column_place::<M>(weight), SPARE);
            weighted = 0;
        }
        match factor {
            Some(factor) => self.product::<M>(asm, k, weighted, reg(factor)),
            None => self.add::<M>(asm, k, weighted),
        }
    }
}

/// The outer product of all outputs with themselves, added to the output's accumulators.
fn outer<M: Machine>(
    lower: &mut Lower<'_, M, ColumnLeaves<'_, M>>,
    outputs: &[Arg],
    targets: Targets,
    accumulate: Accumulate,
) {
    let mut k = 0;
    for (i, &row) in outputs.iter().enumerate() {
        let a = lower.operand(row);
        let a = lower.in_register(a, 0);
        // Masking one factor keeps the padding out of all its products.
        M::mask(lower.asm, 1, a);
        let mut left = 1;
        if let Some(weight) = targets.weight {
            M::binary(
                lower.asm,
                M::ROWS.mul,
                0,
                1,
                column_place::<M>(weight),
                SPARE,
            );
            left = 0;
        }
        for &column in &outputs[i..] {
            let b = lower.operand(column);
            accumulate.product::<M>(lower.asm, k, left, b);
            k += 1;
        }
    }
}
