//! The code around a genome: a loop over blocks of rows, and what becomes of register 0.
//!
//! A kernel keeps the kernel ABI of `opcodon_codemem::kernel`; its tile is one of
//! [`Blocks`](crate::Blocks). It is put together by copying:
//!
//! ```text
//! setup    base registers, literals, accumulator
//! inputs   the registers that the genome reads before it writes them: columns, in turn
//! (slots)  the genome, verbatim
//! fold     store register 0, or add its squared error or the number of its wrong bits; errors are
//!          multiplied by the row's weight, which is 0 where no row is
//! advance  next block; back to inputs while rows are left
//! finish   accumulator to output
//! ```
//!
//! Everything but inputs and slots is the same for all genomes of a batch and encoded once.

use opcodon_asm::{
    Alu, AsmError, Assembler, Cond, Evex, Inst, Mem, NONE, Reg, Rm, Vreg, Width, gpr, inst,
};

use crate::Tier;
use crate::blocks::EXTRA_COLUMNS;
use crate::dialect::{COLUMN_BIAS, CONSTANT_BIAS, Dialect, Reserved};
use crate::effective;
use crate::gene::{Gene, Opcode, Operand};
use crate::program::Program;
use crate::slot::SLOT_BYTES;

/// What a kernel does with the value of each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Writes it.
    Predict,
    /// Adds the square of its difference to the target.
    Squares,
    /// Adds it, its square and its product with the target: what the best straight line from it
    /// to the target takes.
    Moments,
    /// Counts the bits in which it differs from the target.
    Bits,
}

/// Sums that [`Fold::Moments`] leaves, one a line of the output.
pub(crate) const N_MOMENTS: usize = 3;

/// The parts of a kernel that do not depend on the genome.
#[derive(Debug)]
pub(crate) struct Shell {
    setup: Vec<u8>,
    /// The loads of the inputs of each register.
    inputs: Vec<[u8; 8]>,
    /// All behind the slots.
    tail: Vec<u8>,
    /// Where in the tail the displacement of the jump back ends.
    jump: usize,
}

/// Bytes that a shell adds to a genome at most.
pub(crate) const SHELL_BYTES: usize = 512;

impl Shell {
    pub(crate) fn new(tier: Tier, n_columns: usize, fold: Fold) -> Result<Shell, AsmError> {
        let emit = Emit::new(tier, n_columns);
        let part = |write: &dyn Fn(&mut Assembler)| -> Result<Vec<u8>, AsmError> {
            let mut asm = Assembler::new();
            write(&mut asm);
            Ok(asm.finish()?.to_vec())
        };
        let mut tail = part(&|asm| emit.close(asm, fold))?;
        tail.extend(jump()?);
        // The displacement is filled in for each genome.
        tail.extend([0; 4]);
        let jump = tail.len();
        tail.extend(part(&|asm| emit.finish(asm, fold))?);
        Ok(Shell {
            setup: part(&|asm| emit.setup(asm, fold))?,
            inputs: (0..tier.n_registers())
                .map(|r| input(tier, n_columns, r))
                .collect(),
            tail,
            jump,
        })
    }

    /// Writes the kernel of a genome whose result is register 0. Only effective slots are copied;
    /// returns how many. `bits` is memory for which they are.
    pub(crate) fn wrap(
        &self,
        program: Program<'_>,
        bytes: &mut Vec<u8>,
        bits: &mut Vec<u64>,
    ) -> usize {
        let code = program.code;
        bytes.clear();
        bytes.extend_from_slice(&self.setup);
        let (top, start);
        if program.is_tree {
            (top, start) = (bytes.len(), bytes.len());
            bytes.extend_from_slice(code.bytes());
        } else {
            let mut inputs = effective::bits_of(code, bits);
            top = bytes.len();
            while inputs != 0 {
                bytes.extend_from_slice(&self.inputs[inputs.trailing_zeros() as usize]);
                inputs &= inputs - 1;
            }
            start = bytes.len();
            code.dialect().keep(&code.slots, bits, bytes);
        }
        let end = bytes.len();
        bytes.extend_from_slice(&self.tail);
        // The jump counts from its end, which is that of its displacement.
        let jump = end + self.jump;
        let back = i32::try_from(jump - top).expect("a genome is shorter");
        bytes[jump - 4..jump].copy_from_slice(&(-back).to_le_bytes());
        (end - start) / SLOT_BYTES
    }
}

/// The opcode of the jump back to the inputs, in the form with a displacement of 32 bits.
fn jump() -> Result<Vec<u8>, AsmError> {
    /// More than a short jump reaches.
    const FAR: usize = 200;
    let mut asm = Assembler::new();
    let top = asm.label();
    asm.bind(top);
    asm.raw(&[0; FAR]);
    asm.jcc(Cond::A, top);
    let code = asm.finish()?;
    Ok(code[FAR..code.len() - 4].to_vec())
}

/// The slot that gives a register its column.
fn input(tier: Tier, n_columns: usize, register: u8) -> [u8; 8] {
    #[expect(clippy::cast_possible_truncation, reason = "at most 256 columns")]
    let column = (usize::from(register) % n_columns) as u8;
    let load = Gene {
        opcode: Opcode::Load,
        dst: register,
        a: 0,
        b: Operand::Column(column),
    };
    let slots = Dialect::of(tier).encode(load);
    slots.expect("a register of the tier")[0].to_le_bytes()
}

/// Writes instructions of one tier.
struct Emit {
    tier: Tier,
    reserved: Reserved,
    n_columns: usize,
}

impl Emit {
    fn new(tier: Tier, n_columns: usize) -> Emit {
        Emit {
            tier,
            reserved: Reserved::of(tier),
            n_columns,
        }
    }

    fn vector(
        &self,
        asm: &mut Assembler,
        inst: &Inst,
        reg: Vreg,
        v: impl Into<Reg>,
        rm: impl Into<Rm>,
    ) {
        match self.tier {
            Tier::Avx2 => asm.vex(inst, Width::Y, reg, v, rm),
            Tier::Avx512 => asm.evex(inst, Width::Z, Evex::NONE, reg, v, rm),
        }
    }

    fn bytes(&self, vectors: usize) -> i32 {
        i32::try_from(vectors * self.tier.lanes() * 8).expect("at most 258 vectors")
    }

    /// A column of the current block, those behind the inputs too.
    fn column(&self, column: usize) -> Mem {
        let bias = if self.tier == Tier::Avx512 {
            COLUMN_BIAS
        } else {
            0
        };
        Mem::base(gpr::RDI).disp(self.bytes(column) - bias)
    }

    fn setup(&self, asm: &mut Assembler, fold: Fold) {
        let Reserved {
            accumulator,
            sign,
            zero,
            one,
            square,
            product,
            ..
        } = self.reserved;
        if self.tier == Tier::Avx512 {
            asm.alu_ri(Alu::Add, gpr::RDI, COLUMN_BIAS);
            asm.alu_ri(Alu::Add, gpr::RSI, CONSTANT_BIAS);
        }
        for register in [accumulator, zero, square, product] {
            self.vector(asm, &inst::XORPD, register, register, register);
        }
        if fold == Fold::Bits {
            return self.setup_count(asm);
        }
        for (register, value) in [(sign, -0.0_f64), (one, 1.0)] {
            self.literal(asm, register, value.to_bits());
        }
    }

    /// Eight bytes to every lane of a register.
    fn literal(&self, asm: &mut Assembler, register: Vreg, bits: u64) {
        asm.mov_ri(gpr::RAX, bits.cast_signed());
        if self.tier == Tier::Avx512 {
            self.vector(asm, &inst::VPBROADCASTQ_R, register, NONE, gpr::RAX);
        } else {
            asm.vex(&inst::MOVQ, Width::X, register, NONE, gpr::RAX);
            self.vector(asm, &inst::VPBROADCASTQ, register, NONE, register);
        }
    }

    /// How many bits are set in each number of four bits, and a mask for such a number in a byte.
    /// Operations on bits need no literals of their own, so these have the registers of others.
    fn setup_count(&self, asm: &mut Assembler) {
        let Reserved {
            sign: counts,
            one: nibble,
            square: other,
            ..
        } = self.reserved;
        if self.counts_directly() {
            return;
        }
        self.literal(asm, counts, 0x0302_0201_0201_0100);
        self.literal(asm, other, 0x0403_0302_0302_0201);
        self.vector(asm, &inst::PUNPCKLQDQ, counts, counts, other);
        self.literal(asm, nibble, 0x0f0f_0f0f_0f0f_0f0f);
    }

    /// Whether one instruction counts bits.
    fn counts_directly(&self) -> bool {
        self.tier == Tier::Avx512 && opcodon_codemem::cpu::Vpopcnt::new().is_some()
    }

    /// Adds the number of bits of the scratch register, lane by lane, to the accumulator.
    fn count(&self, asm: &mut Assembler) {
        let Reserved {
            accumulator,
            scratch,
            sign: counts,
            zero,
            one: nibble,
            square: high,
            ..
        } = self.reserved;
        if self.counts_directly() {
            self.vector(asm, &inst::VPOPCNTQ, scratch, NONE, scratch);
        } else {
            let four = 4;
            match self.tier {
                Tier::Avx2 => asm.vex_i(&inst::PSRLQ_I, Width::Y, NONE, high, scratch, four),
                Tier::Avx512 => {
                    let (z, none) = (Width::Z, Evex::NONE);
                    asm.evex_i(&inst::PSRLQ_I, z, none, NONE, high, scratch, four);
                }
            }
            for part in [scratch, high] {
                self.vector(asm, &inst::ANDPD, part, part, nibble);
                self.vector(asm, &inst::PSHUFB, part, counts, part);
            }
            self.vector(asm, &inst::PADDB, scratch, scratch, high);
            self.vector(asm, &inst::PSADBW, scratch, scratch, zero);
        }
        self.vector(asm, &inst::PADDQ, accumulator, accumulator, scratch);
    }

    /// Fold and advance; the jump follows.
    fn close(&self, asm: &mut Assembler, fold: Fold) {
        let value = Vreg::new(0);
        let Reserved {
            accumulator,
            scratch,
            square,
            product,
            ..
        } = self.reserved;
        let [target, weight] = [0, 1].map(|k| self.column(self.n_columns + k));
        match fold {
            Fold::Predict => self.store(asm, value),
            Fold::Bits => {
                self.vector(asm, &inst::XORPD, scratch, value, target);
                self.vector(asm, &inst::ANDPD, scratch, scratch, weight);
                self.count(asm);
            }
            Fold::Squares => {
                self.vector(asm, &inst::SUBPD, scratch, value, target);
                self.vector(asm, &inst::MULPD, product, scratch, weight);
                self.vector(asm, &inst::VFMADD231PD, accumulator, scratch, product);
            }
            Fold::Moments => {
                self.vector(asm, &inst::MULPD, scratch, value, weight);
                self.vector(asm, &inst::ADDPD, accumulator, accumulator, scratch);
                self.vector(asm, &inst::VFMADD231PD, square, scratch, value);
                self.vector(asm, &inst::VFMADD231PD, product, scratch, target);
            }
        }
        asm.alu_ri(
            Alu::Add,
            gpr::RDI,
            self.bytes(self.n_columns + EXTRA_COLUMNS),
        );
        let lanes = i32::try_from(self.tier.lanes()).expect("4 or 8");
        asm.alu_ri(Alu::Sub, gpr::RCX, lanes);
    }

    /// One value a row to the output, which moves on.
    fn store(&self, asm: &mut Assembler, value: Vreg) {
        self.vector(asm, &inst::MOVUPD_ST, value, NONE, Mem::base(gpr::RDX));
        asm.alu_ri(Alu::Add, gpr::RDX, self.bytes(1));
    }

    fn finish(&self, asm: &mut Assembler, fold: Fold) {
        let Reserved {
            accumulator,
            square,
            product,
            ..
        } = self.reserved;
        let results = [accumulator, square, product];
        let n_results = match fold {
            Fold::Predict => 0,
            Fold::Squares | Fold::Bits => 1,
            Fold::Moments => N_MOMENTS,
        };
        for (line, result) in (0..).zip(&results[..n_results]) {
            let out = Mem::base(gpr::RDX).disp(64 * line);
            self.vector(asm, &inst::MOVUPD_ST, *result, NONE, out);
        }
        asm.vzeroupper();
        asm.ret();
    }
}
