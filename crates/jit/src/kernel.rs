//! Kernels over columns: the loop around a lowered tape, and what becomes of its values.
//!
//! A kernel runs over one tile (see [`Panel`](crate::Panel)) under the ABI of
//! `opcodon_codemem::kernel`: tile, constants, output, number of rows. It computes one vector of
//! rows an iteration, or two where routines are called (`direct` says why). Rows that fill no vector are computed too, from padding, and masked where
//! values leave the kernel: by mask register 1 on AVX-512, else by a vector of all-ones and zero
//! lanes at the stack pointer. There is no scalar tail.
//!
//! ```text
//! setup    frame, accumulators = 0, mask = all
//! head     fewer rows than lanes? mask = rows left
//! (tape)   the value to register 0; several to `direct::result`
//! fold     store, or add to accumulators
//! advance  as many rows left as lanes? back to the tape; others? back to the mask
//! finish   accumulators to output
//! ```
//!
//! Accumulators are stored as vectors, unreduced: the caller adds their lanes in `f64`. They live
//! in registers wherever those survive the tape's calls, else in the output itself, which the
//! caller has zeroed. Of several outputs the products are summed afterwards (`outer` says how).

use opcodon_asm::{Alu, Assembler, Cond, Gpr, K1, Mem, NONE, Rm, Shift, Vreg, Width, gpr, inst};

use opcodon_expr::Node;

use crate::columns::{ColumnLeaves, Targets, column_place};
use crate::direct::{self, Direct, Survey};
use crate::lower::{Leaves, Lower, Workspace, calls, routines};
use crate::machine::{Machine, offset, reg};
use crate::outer::{Layout, Loops};
use crate::tape::Tape;
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
    /// Σ w p.
    Sum,
    /// Σ w p, Σ w p², Σ w p y.
    Moments,
    /// Upper triangle of Σ w v vᵀ over the vector v of all outputs, row by row.
    Outer,
}

/// Which rows of the second vector of an iteration count. Routines leave it alone.
const NEXT_MASK: Gpr = gpr::R9;

/// A register that folds may clobber.
const SPARE: u8 = 2;

/// Registers that hold accumulators, if registers do.
const ACCUMULATORS: [u8; 3] = [15, 14, 13];

/// Number of accumulator vectors that a fold leaves in the output.
pub(crate) fn n_accumulators(fold: Fold, n_outputs: usize) -> usize {
    match fold {
        Fold::Store => 0,
        Fold::Squares | Fold::Absolute | Fold::Sum => 1,
        Fold::Moments => 3,
        Fold::Outer => Layout::n_sums_of(n_outputs),
    }
}

/// What a fold of several outputs writes.
pub(crate) fn layout(targets: Targets, n_outputs: usize) -> Layout {
    Layout {
        n_outputs,
        weighted: targets.weight.is_some(),
    }
}

/// What decides about everything in a kernel but the code of its tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    fold: Fold,
    targets: Targets,
    n_outputs: usize,
    /// Whether routines are called.
    calls: bool,
    /// How many vectors of rows are computed an iteration.
    n_vectors: u8,
    /// Slots for values that find no register.
    n_slots: usize,
}

impl Shape {
    fn of<M: Machine>(tape: &Tape, fold: Fold, targets: Targets) -> Shape {
        let calls = calls::<M>(tape);
        let n_outputs = tape.outputs.len();
        let shape = Shape {
            fold,
            targets,
            n_outputs,
            calls,
            n_vectors: 1,
            n_slots: 0,
        };
        let n_registers = shape.registers::<M>().count_ones() as usize;
        Shape {
            n_slots: if tape.max_live > n_registers {
                tape.max_live
            } else {
                0
            },
            ..shape
        }
    }

    fn n_accumulators(&self) -> usize {
        n_accumulators(self.fold, self.n_outputs)
    }

    /// What a fold of several outputs writes, if it is one.
    fn layout(&self) -> Option<Layout> {
        (self.fold == Fold::Outer).then(|| layout(self.targets, self.n_outputs))
    }

    /// Rows of an iteration.
    fn n_rows<M: Machine>(&self) -> usize {
        usize::from(self.n_vectors) * M::LANES
    }

    fn accumulate<M: Machine>(&self) -> Accumulate {
        let survive = M::TIER == Tier::Avx512 || !self.calls;
        let scratch = if self.calls { 8 } else { ACCUMULATORS[0] };
        Accumulate {
            in_registers: survive && self.fold != Fold::Outer,
            scratch,
        }
    }

    /// The registers that values may take.
    fn registers<M: Machine>(&self) -> u32 {
        let all = if self.calls { M::KEPT } else { M::FREE };
        if self.fold == Fold::Outer {
            return all;
        }
        let accumulate = self.accumulate::<M>();
        if accumulate.in_registers {
            let taken = &ACCUMULATORS[..self.n_accumulators()];
            taken
                .iter()
                .fold(all, |left, register| left & !(1 << register))
        } else {
            all & !(1 << accumulate.scratch)
        }
    }

    /// Without mask registers the mask, or a last vector of results, lies below the spill slots.
    fn mask_bytes<M: Machine>(&self) -> usize {
        if M::TIER == Tier::Avx512 { 0 } else { M::BYTES }
    }

    fn frame<M: Machine>(&self) -> usize {
        match self.mask_bytes::<M>() + self.n_slots * M::BYTES {
            0 => 0,
            // The stack pointer is 8 bytes off a multiple of 16 at entry.
            bytes => bytes.next_multiple_of(16) + 8,
        }
    }
}

/// The code around a tape's: the same for all kernels of a shape, so it is encoded once a batch.
#[derive(Debug)]
pub(crate) struct Shell {
    shape: Shape,
    /// Frame, accumulators and mask; then the mask of the last rows, if there are fewer than lanes.
    open: Vec<u8>,
    /// Where that mask is made.
    partial: usize,
    /// What becomes of the value in register 0, where that does not depend on the tape; then on to
    /// the next rows. The jumps back follow.
    close: Vec<u8>,
    /// Accumulators to the output, and back to the caller; or on to a loop that is.
    finish: Vec<u8>,
}

/// What the kernels of a batch have in common.
#[derive(Debug, Default)]
pub(crate) struct Shells {
    shells: Vec<Shell>,
    loops: Loops,
}

impl Shells {
    /// Prepares for the kernels of another batch on the same machine.
    pub(crate) fn clear(&mut self) {
        self.loops.clear();
    }

    /// The shell of a shape, made if there is none yet, and the loops.
    fn of<M: Machine>(&mut self, shape: Shape) -> Result<(&Shell, &mut Loops), JitError> {
        let Shells { shells, loops } = self;
        let known = match shells.iter().position(|shell| shell.shape == shape) {
            Some(known) => known,
            None => {
                shells.push(Shell::new::<M>(shape)?);
                shells.len() - 1
            }
        };
        Ok((&shells[known], loops))
    }
}

impl Shell {
    /// What comes before the tape's code; returns where that begins.
    fn open(&self, asm: &mut Assembler) -> isize {
        asm.raw(&self.open);
        asm.position().cast_signed()
    }

    /// What comes behind it.
    fn close<M: Machine>(
        &self,
        asm: &mut Assembler,
        loops: &mut Loops,
        body: isize,
    ) -> Result<(), JitError> {
        asm.raw(&self.close);
        // One jump a turn; the last rows may take another.
        asm.jcc_to(Cond::GE, body);
        let partial = body - (self.open.len() - self.partial).cast_signed();
        asm.alu_ri(Alu::Cmp, gpr::RCX, 0);
        asm.jcc_to(Cond::G, partial);
        asm.raw(&self.finish);
        match self.shape.layout() {
            Some(layout) => loops.go::<M>(asm, layout),
            None => Ok(()),
        }
    }

    fn new<M: Machine>(shape: Shape) -> Result<Shell, JitError> {
        let part = |emit: &dyn Fn(&mut Assembler)| -> Result<Vec<u8>, JitError> {
            let mut asm = Assembler::new();
            emit(&mut asm);
            Ok(asm.finish()?.to_vec())
        };
        let setup = part(&|asm| setup::<M>(asm, shape))?;
        let partial = part(&|asm| partial::<M>(asm, shape))?;
        let head = part(&|asm| {
            let body = asm.label();
            asm.alu_ri(Alu::Cmp, gpr::RCX, offset(shape.n_rows::<M>()));
            asm.jcc(Cond::AE, body);
            asm.raw(&partial);
            asm.bind(body);
        })?;
        Ok(Shell {
            shape,
            partial: setup.len() + head.len() - partial.len(),
            open: [setup, head].concat(),
            close: part(&|asm| {
                if shape.n_vectors > 1 {
                    fold_values::<M>(asm, shape);
                } else {
                    fold_value::<M>(asm, shape);
                }
                asm.alu_ri(Alu::Add, gpr::RDI, offset(M::BYTES));
                asm.alu_ri(Alu::Sub, gpr::RCX, offset(shape.n_rows::<M>()));
                asm.alu_ri(Alu::Cmp, gpr::RCX, offset(shape.n_rows::<M>()));
            })?,
            finish: part(&|asm| finish::<M>(asm, shape))?,
        })
    }
}

/// Emits one kernel at the assembler's position.
///
/// The tape has one output, or several for [`Fold::Outer`].
pub(crate) fn emit<M: Machine>(
    asm: &mut Assembler,
    work: &mut Workspace,
    shells: &mut Shells,
    tape: &Tape,
    fold: Fold,
    targets: Targets,
    leaves: ColumnLeaves<'_, M>,
) -> Result<(), JitError> {
    let shape = Shape::of::<M>(tape, fold, targets);
    let (shell, loops) = shells.of::<M>(shape)?;
    let body = shell.open(asm);
    let (registers, slots) = (shape.registers::<M>(), offset(shape.mask_bytes::<M>()));
    let mut lower: Lower<'_, M, _> =
        Lower::new(asm, leaves, routines::<M>()?, work, registers, slots);
    lower.run(tape)?;
    if let Some(layout) = shape.layout() {
        layout.write(&mut lower, &tape.outputs, targets);
    } else {
        let value = lower.operand(tape.outputs[0]);
        M::load(lower.asm, 0, value);
        if fold == Fold::Absolute {
            // The mask of the sign is a literal, which every kernel has for itself.
            M::masked_sub(lower.asm, 1, 0, column_place::<M>(targets.target));
            let magnitude = lower.leaves.literal(lower.asm, M::T::magnitude_mask());
            M::binary(lower.asm, M::ROWS.and, 1, 1, magnitude, SPARE);
            shape
                .accumulate::<M>()
                .products::<M>(lower.asm, 0, 1, None, targets.weight);
        }
    }
    shell.close::<M>(lower.asm, loops, body)
}

/// Emits a kernel without the detour of a tape, if the tree allows it: then what the tree reads;
/// else nothing is emitted.
pub(crate) fn emit_direct<M: Machine>(
    asm: &mut Assembler,
    direct: &mut Direct,
    shells: &mut Shells,
    tree: &[Node],
    fold: Fold,
    targets: Targets,
    constants: &mut Vec<M::T>,
) -> Result<Option<Survey>, JitError> {
    if matches!(fold, Fold::Outer | Fold::Absolute) {
        return Ok(None);
    }
    let (start, first) = (asm.position(), constants.len());
    let Some(survey) = direct.survey(tree, constants) else {
        return Ok(None);
    };
    let shape = Shape {
        fold,
        targets,
        n_outputs: 1,
        calls: survey.calls(),
        n_vectors: direct.n_vectors::<M>(survey),
        n_slots: 0,
    };
    let (shell, loops) = shells.of::<M>(shape)?;
    let body = shell.open(asm);
    if direct.emit::<M>(asm, survey, shape.registers::<M>(), shape.n_vectors) {
        shell.close::<M>(asm, loops, body)?;
        return Ok(Some(survey));
    }
    asm.rewind(start);
    constants.truncate(first);
    Ok(None)
}

fn setup<M: Machine>(asm: &mut Assembler, shape: Shape) {
    let frame = shape.frame::<M>();
    if frame > 0 {
        asm.alu_ri(Alu::Sub, gpr::RSP, offset(frame));
    }
    if let Some(layout) = shape.layout() {
        layout.setup::<M>(asm);
    }
    if shape.accumulate::<M>().in_registers {
        for &register in &ACCUMULATORS[..shape.n_accumulators()] {
            zero::<M>(asm, register);
        }
    }
    if M::TIER == Tier::Avx512 {
        asm.vex(&inst::KXNORW, Width::X, K1, K1, K1);
        if shape.n_vectors > 1 {
            asm.mov_ri(NEXT_MASK, -1);
        }
    } else if shape.fold != Fold::Store {
        ones::<M>(asm, 0);
        M::store(asm, Mem::base(gpr::RSP), 0);
    }
}

/// The mask of the rows that are left, fewer than those of a turn.
fn partial<M: Machine>(asm: &mut Assembler, shape: Shape) {
    if M::TIER == Tier::Avx512 {
        asm.mov_ri(gpr::RAX, 1);
        asm.shift_cl(Shift::Shl, gpr::RAX);
        asm.alu_ri(Alu::Sub, gpr::RAX, 1);
        asm.vex(&inst::KMOVW_KR, Width::X, K1, NONE, gpr::RAX);
        if shape.n_vectors > 1 {
            asm.mov_rr(NEXT_MASK, gpr::RAX);
            asm.shift_ri(Shift::Shr, NEXT_MASK, M::LANES.to_le_bytes()[0]);
        }
    } else if shape.fold != Fold::Store {
        mask_rows::<M>(asm);
    }
}

/// What becomes of several values: of one after the other, so that sums are those of one at a time.
fn fold_values<M: Machine>(asm: &mut Assembler, shape: Shape) {
    for vector in 0..shape.n_vectors {
        if vector > 0 {
            asm.alu_ri(Alu::Add, gpr::RDI, offset(M::BYTES));
            asm.vex(&inst::KMOVW_KR, Width::X, K1, NONE, NEXT_MASK);
        }
        if vector > 0 && vector + 1 < shape.n_vectors {
            // The mask of all rows, -1, stays.
            asm.shift_ri(Shift::Sar, NEXT_MASK, M::LANES.to_le_bytes()[0]);
        }
        M::load(asm, 0, reg(direct::result(shape.n_vectors, vector)));
        fold_value::<M>(asm, shape);
    }
}

fn fold_value<M: Machine>(asm: &mut Assembler, shape: Shape) {
    let accumulate = shape.accumulate::<M>();
    let Targets { target, weight } = shape.targets;
    match shape.fold {
        Fold::Store => {
            let out = Mem::base(gpr::RDX);
            if M::TIER == Tier::Avx512 {
                let rows = opcodon_asm::Evex::mask(K1);
                asm.evex(M::ROWS.store, M::WIDTH, rows, Vreg::new(0), NONE, out);
            } else {
                let (store, next) = (asm.label(), asm.label());
                asm.alu_ri(Alu::Cmp, gpr::RCX, offset(M::LANES));
                asm.jcc(Cond::AE, store);
                copy_rows::<M>(asm, 0);
                asm.jmp(next);
                asm.bind(store);
                M::store(asm, out, 0);
                asm.bind(next);
            }
            asm.alu_ri(Alu::Add, gpr::RDX, offset(M::BYTES));
        }
        Fold::Squares => {
            M::masked_sub(asm, 1, 0, column_place::<M>(target));
            accumulate.products::<M>(asm, 0, 1, Some(1), weight);
        }
        Fold::Sum => {
            M::mask(asm, 1, 0);
            accumulate.products::<M>(asm, 0, 1, None, weight);
        }
        Fold::Moments => {
            M::mask(asm, 1, 0);
            let mut weighted = 1;
            if let Some(weight) = weight {
                M::binary(asm, M::ROWS.mul, 0, 1, column_place::<M>(weight), SPARE);
                weighted = 0;
            }
            accumulate.add::<M>(asm, 0, weighted);
            accumulate.product::<M>(asm, 1, weighted, reg(1));
            accumulate.product::<M>(asm, 2, weighted, column_place::<M>(target));
        }
        Fold::Absolute => {}
        Fold::Outer => {
            if let Some(layout) = shape.layout() {
                layout.advance::<M>(asm);
            }
        }
    }
}

fn finish<M: Machine>(asm: &mut Assembler, shape: Shape) {
    if shape.accumulate::<M>().in_registers {
        for (k, &register) in ACCUMULATORS[..shape.n_accumulators()].iter().enumerate() {
            M::store(
                asm,
                Mem::base(gpr::RDX).disp(offset(k * M::BYTES)),
                register,
            );
        }
    }
    let frame = shape.frame::<M>();
    if frame > 0 {
        asm.alu_ri(Alu::Add, gpr::RSP, offset(frame));
    }
    if shape.fold == Fold::Outer {
        return;
    }
    if M::TIER != Tier::Sse2 {
        asm.vzeroupper();
    }
    asm.ret();
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
