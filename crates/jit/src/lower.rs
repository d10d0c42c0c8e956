//! Lowering: a tape's steps to instructions, with registers given out on the way.
//!
//! One forward pass. Each step reads its operands where they are (a register, a column or a
//! constant in memory, a spilled value), gives back the registers of values that it used last,
//! takes one for its result, and emits. A value that only the next step reads stays in register
//! 0, where routines leave results and take their first argument, so chains of functions move
//! nothing. When registers run out, the value whose last use lies furthest away goes to the
//! stack frame and is read from there as a memory operand (Belady, “A study of replacement
//! algorithms”, IBM Systems Journal 5(2), 1966).
//!
//! Operators of a few instructions are written in line, all others are calls of routines; which
//! is which is the one exhaustive `match` in [`Lower::step`]. Quotients are either, see
//! [`share_divisions`].

use std::marker::PhantomData;
use std::sync::OnceLock;

use opcodon_asm::{Alu, Assembler, Gpr, Mem, Rm, Vreg, gpr, inst};
use opcodon_codemem::{Arena, SealedArena};
use opcodon_expr::Op;

use crate::divider::n_quotients;
use crate::machine::{MACHINES, Machine, number, reg};
use crate::tape::{Arg, Step, Tape, index};
use crate::vmath::Routines;
use crate::{Float, JitError, Tier, seal};

/// Where leaves are, in the function being compiled.
pub(crate) trait Leaves<T> {
    /// The operand that reads an input.
    fn column(&mut self, asm: &mut Assembler, column: u32) -> Rm;
    /// The operand that reads an element of the constant vector.
    fn constant(&mut self, asm: &mut Assembler, constant: u32) -> Rm;
    /// The operand that reads a number which the lowering itself needs.
    fn literal(&mut self, asm: &mut Assembler, value: T) -> Rm;
}

/// Where a value is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Register(u8),
    Slot(u32),
}

/// Memory that is reused from one tape to the next.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    places: Vec<Place>,
    uses_left: Vec<u32>,
    free_slots: Vec<u32>,
    /// Slots of operands that the step being emitted uses last.
    read_slots: Vec<u32>,
}

/// Nobody holds this register.
const NOBODY: u32 = u32::MAX;

/// The state of one lowering.
pub(crate) struct Lower<'a, M, L> {
    pub(crate) asm: &'a mut Assembler,
    pub(crate) leaves: L,
    routines: &'static Installed,
    work: &'a mut Workspace,
    holders: [u32; 32],
    free: u32,
    /// The step's own registers; the first also holds what the next step consumes.
    pub(crate) own: [u8; 3],
    /// The register of the tape's result, where a convention wants it.
    pub(crate) result: Option<u8>,
    /// All registers that were given out.
    pub(crate) used: u32,
    pub(crate) n_slots: u32,
    /// Offset of the first spill slot from the stack pointer.
    frame: i32,
    /// For each step, where its code begins and which node it computes; if wanted.
    pub(crate) map: Option<Vec<(u32, u32)>>,
    machine: PhantomData<M>,
}

impl<'a, M: Machine, L: Leaves<M::T>> Lower<'a, M, L> {
    /// Prepares to emit into `asm`; `registers` is the set that values may take.
    pub(crate) fn new(
        asm: &'a mut Assembler,
        leaves: L,
        routines: &'static Installed,
        work: &'a mut Workspace,
        registers: u32,
        frame: i32,
    ) -> Lower<'a, M, L> {
        work.places.clear();
        work.free_slots.clear();
        work.read_slots.clear();
        Lower {
            asm,
            leaves,
            routines,
            work,
            holders: [NOBODY; 32],
            free: registers,
            own: [0, 1, 2],
            result: None,
            used: 0,
            n_slots: 0,
            frame,
            map: None,
            machine: PhantomData,
        }
    }

    /// Emits the whole tape.
    pub(crate) fn run(&mut self, tape: &Tape) -> Result<(), JitError> {
        self.work.uses_left.clone_from(&tape.uses);
        for value in 0..tape.steps.len() {
            self.step(tape, value)?;
        }
        Ok(())
    }

    /// The operand that reads `arg` now.
    #[inline(always)]
    pub(crate) fn operand(&mut self, arg: Arg) -> Rm {
        match arg {
            Arg::Value(value) => match self.work.places[value as usize] {
                Place::Register(register) => reg(register),
                Place::Slot(slot) => Rm::Mem(self.slot(slot)),
            },
            Arg::Column(column) => self.leaves.column(self.asm, column),
            Arg::Const(constant) => self.leaves.constant(self.asm, constant),
        }
    }

    /// A register that holds the operand: its own, or `spare` after a load.
    #[inline(always)]
    pub(crate) fn in_register(&mut self, operand: Rm, spare: u8) -> u8 {
        match operand {
            Rm::Reg(register) => register.number(),
            _ => {
                M::load(self.asm, spare, operand);
                spare
            }
        }
    }

    /// Counts one use of an operand; its register is free after the last.
    #[inline(always)]
    pub(crate) fn release(&mut self, arg: Arg) {
        let Arg::Value(value) = arg else { return };
        let left = &mut self.work.uses_left[value as usize];
        *left -= 1;
        if *left > 0 {
            return;
        }
        match self.work.places[value as usize] {
            Place::Register(register) if register == self.own[0] => {}
            Place::Register(register) => {
                self.free |= 1 << register;
                self.holders[register as usize] = NOBODY;
            }
            Place::Slot(slot) => self.work.read_slots.push(slot),
        }
    }

    fn slot(&self, slot: u32) -> Mem {
        let bytes = i32::try_from(M::BYTES.max(16)).expect("a vector is small");
        let slot = i32::try_from(slot).expect("a frame below 2 GiB");
        Mem::base(gpr::RSP).disp(self.frame + slot * bytes)
    }

    /// A register for the value of a step, spilling another value if none is free.
    #[inline(always)]
    fn allocate(&mut self, tape: &Tape, value: usize) -> u8 {
        let next = index(value + 1);
        if tape.uses[value] == 1 && tape.last_use[value] == next {
            let register = match self.result {
                Some(register) if value + 1 == tape.steps.len() => register,
                _ => self.own[0],
            };
            self.work.places.push(Place::Register(register));
            return register;
        }
        if self.free == 0 {
            self.spill(tape);
        }
        let register = u8::try_from(self.free.trailing_zeros()).expect("one of 32 registers");
        self.free &= self.free - 1;
        self.used |= 1 << register;
        self.holders[register as usize] = next - 1;
        self.work.places.push(Place::Register(register));
        register
    }

    /// Moves the value that is needed last from its register to the frame.
    #[cold]
    fn spill(&mut self, tape: &Tape) {
        let victim = (0u8..32)
            .filter(|&register| self.holders[register as usize] != NOBODY)
            .max_by_key(|&register| tape.last_use[self.holders[register as usize] as usize])
            .expect("registers that are not free hold values");
        let slot = self.work.free_slots.pop().unwrap_or_else(|| {
            self.n_slots += 1;
            self.n_slots - 1
        });
        M::store(self.asm, self.slot(slot), victim);
        self.work.places[self.holders[victim as usize] as usize] = Place::Slot(slot);
        self.holders[victim as usize] = NOBODY;
        self.free |= 1 << victim;
    }

    /// Emits one step.
    #[inline(always)]
    fn step(&mut self, tape: &Tape, value: usize) -> Result<(), JitError> {
        let step = &tape.steps[value];
        if let Some(map) = &mut self.map {
            map.push((index(self.asm.position()), step.node));
        }
        let rows = M::ROWS;
        let [_, t1, t2] = self.own;
        match step.op {
            Op::Add => self.binary(tape, value, rows.add, true),
            Op::Sub => self.binary(tape, value, rows.sub, false),
            Op::Mul => self.binary(tape, value, rows.mul, true),
            Op::Div if !step.beside => self.binary(tape, value, rows.div, false),
            Op::Sqrt => {
                let a = self.operand(step.args[0]);
                let dst = self.settle(tape, value);
                M::unary(self.asm, rows.sqrt, dst, a);
            }
            Op::Neg => {
                let a = self.operand(step.args[0]);
                let a = self.in_register(a, t2);
                let sign = self.leaves.literal(self.asm, M::T::from_f64(-0.0));
                let dst = self.settle(tape, value);
                M::binary(self.asm, rows.xor, dst, a, sign, t1);
            }
            Op::Abs => {
                let a = self.operand(step.args[0]);
                let a = self.in_register(a, t2);
                let rest = self.leaves.literal(self.asm, M::T::magnitude_mask());
                let dst = self.settle(tape, value);
                M::binary(self.asm, rows.and, dst, a, rest, t1);
            }
            Op::Inv => {
                let a = self.operand(step.args[0]);
                let one = self.leaves.literal(self.asm, M::T::from_f64(1.0));
                M::load(self.asm, t2, one);
                let dst = self.settle(tape, value);
                M::binary(self.asm, rows.div, dst, t2, a, t1);
            }
            Op::Square => {
                let a = self.operand(step.args[0]);
                let a = self.in_register(a, t2);
                let dst = self.settle(tape, value);
                M::binary(self.asm, rows.mul, dst, a, reg(a), t1);
            }
            Op::Cube => {
                let a = self.operand(step.args[0]);
                let a = self.in_register(a, t1);
                M::binary(self.asm, rows.mul, t2, a, reg(a), t2);
                let dst = self.settle(tape, value);
                M::binary(self.asm, rows.mul, dst, t2, reg(a), t1);
            }
            Op::Fma if M::TIER != Tier::Sse2 => {
                let [a, b, c] = step.args.map(|arg| self.operand(arg));
                let a = self.in_register(a, t1);
                M::load(self.asm, t2, c);
                M::accumulate(self.asm, t2, a, b, t1);
                let dst = self.settle(tape, value);
                M::load(self.asm, dst, reg(t2));
            }
            Op::Round | Op::Floor | Op::Ceil if M::TIER != Tier::Sse2 => {
                let mode = match step.op {
                    Op::Round => 0,
                    Op::Floor => 1,
                    _ => 2,
                };
                let a = self.operand(step.args[0]);
                let a = match a {
                    Rm::Bcast(_) => reg(self.in_register(a, t2)),
                    direct => direct,
                };
                let dst = self.settle(tape, value);
                let emitted = M::round(self.asm, mode, dst, a);
                debug_assert!(emitted, "the tier was checked above");
            }
            op => {
                let Some(address) = self.routines.address(op) else {
                    return Err(JitError::Unsupported {
                        op,
                        tier: M::TIER.name(),
                    });
                };
                self.call(tape, value, address);
            }
        }
        Ok(())
    }

    /// Frees the operands of a step and takes a register for its result.
    #[inline(always)]
    fn settle(&mut self, tape: &Tape, value: usize) -> u8 {
        for arg in tape.steps[value].operands() {
            self.release(*arg);
        }
        let register = self.allocate(tape, value);
        // Not before: the step has yet to read them, and what is spilled for it must not lie there.
        self.work.free_slots.append(&mut self.work.read_slots);
        register
    }

    #[inline(always)]
    fn binary(
        &mut self,
        tape: &Tape,
        value: usize,
        row: &'static opcodon_asm::Inst,
        commutes: bool,
    ) {
        let [a, b, _] = tape.steps[value].args;
        let (a, b) = (self.operand(a), self.operand(b));
        let (a, b) = match (a, b) {
            (Rm::Reg(a), b) => (a.number(), b),
            (a, Rm::Reg(b)) if commutes => (b.number(), a),
            (a, b) => {
                M::load(self.asm, self.own[2], a);
                (self.own[2], b)
            }
        };
        let dst = self.settle(tape, value);
        M::binary(self.asm, row, dst, a, b, self.own[1]);
    }

    /// Arguments to registers 0–2, a call, the result from register 0.
    fn call(&mut self, tape: &Tape, value: usize, address: usize) {
        let step = &tape.steps[value];
        let arity = step.op.arity();
        let operands = step.args.map(|arg| self.operand(arg));
        let operands = &operands[..arity];
        // At most one operand sits in register 0; if that is not its place, it moves first.
        let misplaced = (1..arity).find(|&k| operands[k] == reg(0));
        if let Some(k) = misplaced {
            M::load(self.asm, argument(k), reg(0));
        }
        for (k, operand) in operands.iter().enumerate() {
            if Some(k) != misplaced {
                M::load(self.asm, argument(k), *operand);
            }
        }
        let address = i64::try_from(address).expect("a user-space address");
        self.asm.mov_ri(gpr::RAX, address);
        self.asm.call_r(gpr::RAX);
        let dst = self.settle(tape, value);
        M::load(self.asm, dst, reg(0));
    }
}

/// The register of a routine's k-th argument.
fn argument(k: usize) -> u8 {
    u8::try_from(k).expect("at most three arguments")
}

/// Whether any step of the tape is a call on this machine.
pub(crate) fn calls<M: Machine>(tape: &Tape) -> bool {
    tape.steps.iter().any(is_call::<M>)
}

fn is_call<M: Machine>(step: &Step) -> bool {
    match step.op {
        Op::Div => step.beside,
        Op::Add | Op::Sub | Op::Mul | Op::Sqrt | Op::Neg | Op::Abs | Op::Inv => false,
        Op::Square | Op::Cube => false,
        Op::Fma | Op::Round | Op::Floor | Op::Ceil => M::TIER == Tier::Sse2,
        _ => true,
    }
}

/// Takes from the divider as many quotients of a tape as the multipliers have time for.
pub(crate) fn share_divisions<M: Machine>(tape: &mut Tape) {
    let steps = &mut tape.steps;
    let n_divisions = steps.iter().filter(|step| step.op == Op::Div).count();
    let n_calls = steps.iter().filter(|step| is_call::<M>(step)).count();
    let n = n_quotients::<M::T>(n_divisions, n_calls, steps.len());
    let divisions = steps.iter_mut().filter(|step| step.op == Op::Div);
    divisions.take(n).for_each(|step| step.beside = true);
}

/// Routines of one machine, made executable once per process.
#[derive(Debug)]
pub(crate) struct Installed {
    routines: &'static Routines,
    base: usize,
    /// The routine of `fma` on the tier without such an instruction.
    fused: Option<usize>,
    _arena: SealedArena,
}

impl Installed {
    fn install<M: Machine>() -> Result<Installed, JitError> {
        let routines = Routines::get::<M::T>(M::TIER.isa(), M::WIDTH);
        let mut arena = Arena::with_capacity(routines.code.len() + 4096)?;
        let start = arena.append(&routines.code, 64)?;
        let fused = match M::TIER {
            Tier::Sse2 => Some(arena.append(fused_routine::<M>().finish()?, 64)?),
            Tier::Avx2 | Tier::Avx512 => None,
        };
        let arena = arena.seal()?;
        let base = arena.entry(start)?.address() as usize;
        let fused = match fused {
            Some(offset) => Some(arena.entry(offset)?.address() as usize),
            None => None,
        };
        Ok(Installed {
            routines,
            base,
            fused,
            _arena: arena,
        })
    }

    /// The address of an operator's routine, if it has one.
    pub(crate) fn address(&self, op: Op) -> Option<usize> {
        match op {
            Op::Fma => self.fused,
            _ => self.routines.entry(op).map(|offset| self.base + offset),
        }
    }
}

/// `fma` where the processor has none: registers 0–2 to memory, a call out of generated code, the
/// result back. Only old processors come here, so what routines preserve is simply saved.
fn fused_routine<M: Machine>() -> Assembler {
    const GENERAL: [Gpr; 6] = [gpr::RDI, gpr::RSI, gpr::RDX, gpr::RCX, gpr::R8, gpr::R9];
    let mut asm = Assembler::new();
    let whole = |register: u8| -> (Vreg, Mem) {
        (
            Vreg::new(register),
            Mem::base(gpr::RSP).disp(i32::from(register) * 16),
        )
    };
    asm.push(gpr::RBP);
    asm.mov_rr(gpr::RBP, gpr::RSP);
    for register in GENERAL {
        asm.push(register);
    }
    asm.alu_ri(Alu::Sub, gpr::RSP, 8 * 16);
    asm.alu_ri(Alu::And, gpr::RSP, -16);
    for (register, place) in (0..8).map(whole) {
        asm.sse(&inst::MOVUPS_ST, register, place);
    }
    asm.mov_rr(gpr::RDI, gpr::RSP);
    let address = i64::try_from(seal::fused::<M::T>()).expect("a user-space address");
    asm.mov_ri(gpr::RAX, address);
    asm.call_r(gpr::RAX);
    for (register, place) in (0..8).map(whole) {
        asm.sse(&inst::MOVUPS, register, place);
    }
    for (k, register) in (1..).zip(GENERAL) {
        asm.load(register, Mem::base(gpr::RBP).disp(-8 * k));
    }
    asm.mov_rr(gpr::RSP, gpr::RBP);
    asm.pop(gpr::RBP);
    asm.ret();
    asm
}

/// The routines of a machine.
///
/// # Errors
/// If the system refuses executable memory.
pub(crate) fn routines<M: Machine>() -> Result<&'static Installed, JitError> {
    static CELLS: [OnceLock<Installed>; MACHINES] = [const { OnceLock::new() }; MACHINES];
    let cell = &CELLS[number::<M>()];
    if let Some(installed) = cell.get() {
        return Ok(installed);
    }
    let installed = Installed::install::<M>()?;
    Ok(cell.get_or_init(|| installed))
}
