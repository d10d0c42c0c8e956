//! Scalar functions: a tree as one function of a calling convention, arguments in registers.
//!
//! The essay that this project answers compiled trees depth first, pushing every operand to the
//! stack. Here the operand that needs more registers is computed first, values stay in
//! registers, leaves are operands where they lie, and the stack is touched only when registers
//! run out. Without calls the arguments stay in the registers in which they arrive. Around
//! calls of routines they move to registers that routines preserve, as many as the values leave
//! free, and to the frame beyond these.
//!
//! Both conventions of x86-64 are implemented: System V passes the first eight doubles in xmm0–7
//! and preserves no vector register (System V ABI, AMD64 supplement, §3.2); Microsoft passes the
//! first four in xmm0–3, leaves 32 bytes of shadow space before those on the stack, and
//! preserves xmm6–15 (“x64 calling convention”, Microsoft C++ documentation).

use std::cell::Cell;

use opcodon_asm::{Alu, Assembler, Mem, Rm, gpr};
use opcodon_codemem::{Abi, Code, CodeHeap, Function, Signature, Ty};
use opcodon_expr::{Expr, Op};

use crate::lower::{Leaves, Lower, Workspace, calls, routines};
use crate::machine::{AvxSd, AvxSd512, Machine, SseSd, offset, reg};
use crate::tape::{Arg, Order, Tape};
use crate::{JitError, Tier, seal};

/// A compiled expression: `f64 f(f64, …)` in the host's calling convention, or another.
///
/// ```
/// let tree = opcodon_expr::parse("(x - 1) + 4", None)?.expr;
/// let f = opcodon_jit::CompiledExpr::new(&tree, 1)?;
/// assert_eq!(f.call(&[3.0])?, 6.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CompiledExpr {
    function: Function,
    map: Vec<(usize, usize)>,
    tier: Tier,
}

impl CompiledExpr {
    /// Compiles for the host's convention and the best tier; inputs are `0 .. n_args`.
    ///
    /// # Errors
    /// If the tree reads an input beyond `n_args`, an operator has no machine code on the tier,
    /// or the system refuses executable memory.
    pub fn new(expr: &Expr, n_args: usize) -> Result<CompiledExpr, JitError> {
        CompiledExpr::with(expr, n_args, Abi::host(), Tier::best()?)
    }

    /// Compiles for a convention and a tier.
    ///
    /// # Errors
    /// As [`CompiledExpr::new`], or if the processor lacks the tier.
    pub fn with(
        expr: &Expr,
        n_args: usize,
        abi: Abi,
        tier: Tier,
    ) -> Result<CompiledExpr, JitError> {
        let tier = tier.require()?;
        if expr.n_variables() > n_args {
            return Err(JitError::MissingInput {
                index: 0,
                input: expr.n_variables() - 1,
                n_inputs: n_args,
            });
        }
        let (code, map) = match tier {
            Tier::Sse2 => compile::<SseSd>(expr, n_args, abi)?,
            Tier::Avx2 => compile::<AvxSd>(expr, n_args, abi)?,
            Tier::Avx512 => compile::<AvxSd512>(expr, n_args, abi)?,
        };
        let signature = Signature::new(vec![Ty::F64; n_args], Ty::F64)?;
        Ok(CompiledExpr {
            function: Function::from_code(code, signature, abi),
            map,
            tier,
        })
    }

    /// The value at one point.
    ///
    /// # Errors
    /// If `args` has not as many values as the function has arguments.
    #[inline]
    pub fn call(&self, args: &[f64]) -> Result<f64, JitError> {
        let expected = self.function.signature().params().len();
        if args.len() != expected {
            return Err(JitError::Count {
                what: "arguments",
                found: args.len(),
                expected,
            });
        }
        Ok(seal::call(&self.function, args))
    }

    /// Number of arguments.
    pub fn n_args(&self) -> usize {
        self.function.signature().params().len()
    }

    /// The machine code, with the constants behind it.
    pub fn code(&self) -> &[u8] {
        self.function.code().bytes()
    }

    /// Where the instructions end and the constants begin.
    pub fn n_instruction_bytes(&self) -> usize {
        self.map.last().map_or(self.code().len(), |&(end, _)| end)
    }

    /// Where the code begins in memory.
    pub fn address(&self) -> usize {
        self.function.code().address() as usize
    }

    /// The function with its signature and convention.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// The instructions' tier.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// For each operator, the offset at which its code begins and the index of its node in the
    /// tree's postfix, by offset; ends with the offset of the epilogue and no node
    /// (`usize::MAX`), then that of the constants.
    pub fn map(&self) -> &[(usize, usize)] {
        &self.map
    }
}

/// What the first attempt at a function found out about its frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Frame {
    /// Spill slots.
    n_slots: usize,
    /// Registers that the convention preserves and the code uses.
    saved: u32,
}

type CodeMap = Vec<(usize, usize)>;

/// What compiling needs, kept from one function to the next.
#[derive(Default)]
struct Compiler {
    asm: Assembler,
    work: Workspace,
    tape: Tape,
}

thread_local! {
    static COMPILER: Cell<Compiler> = Cell::default();
}

fn compile<M: Machine<T = f64>>(
    expr: &Expr,
    n_args: usize,
    abi: Abi,
) -> Result<(Code, CodeMap), JitError> {
    let mut compiler = COMPILER.take();
    let compiled = compile_with::<M>(&mut compiler, expr, n_args, abi);
    if expr.len() <= KEPT_LEN {
        COMPILER.set(compiler);
    }
    compiled
}

/// Values alive at once up to which the order of the tree stays: registers that routines preserve
/// suffice for these and for two arguments, and finding a better order takes a fifth of compiling.
const ORDER_KEPT: usize = 3;

/// The memory that a larger tree needed is given back.
const KEPT_LEN: usize = 1 << 14;

fn compile_with<M: Machine<T = f64>>(
    Compiler { asm, work, tape }: &mut Compiler,
    expr: &Expr,
    n_args: usize,
    abi: Abi,
) -> Result<(Code, CodeMap), JitError> {
    asm.clear();
    let order = match abi {
        Abi::SysV => Order::UpTo(ORDER_KEPT),
        // Every register beyond the sixth is to be saved.
        Abi::Win64 => Order::Fewest,
    };
    tape.load(expr.nodes(), order);
    // The frame is known once the registers are given out, and the code that sets it up comes
    // first: if the guess of an empty frame fails, the second attempt knows.
    let (found, mut map) = emit::<M>(asm, work, tape, n_args, abi, Frame::default())?;
    if found != Frame::default() {
        asm.clear();
        map = emit::<M>(asm, work, tape, n_args, abi, found)?.1;
    }
    let end = asm.position();
    map.push((end, usize::MAX));
    Ok((CodeHeap::global().install(asm.finish()?)?, map))
}

/// Bytes of a slot in the frame: a whole register, so that saves fit too.
const SLOT: usize = 16;

fn emit<M: Machine<T = f64>>(
    asm: &mut Assembler,
    work: &mut Workspace,
    tape: &Tape,
    n_args: usize,
    abi: Abi,
    frame: Frame,
) -> Result<(Frame, CodeMap), JitError> {
    let (n_in_registers, shadow, preserved) = match abi {
        Abi::Win64 => (n_args.min(4), 32, 0xffc0u32),
        _ => (n_args.min(8), 0, 0),
    };
    let calls = calls::<M>(tape);
    let (own, pool) = if calls {
        ([0u8, 1, 2], M::KEPT)
    } else {
        // The first registers that are no arguments, then the others.
        let first = u8::try_from(n_in_registers).expect("at most eight");
        let own = [first, first + 1, first + 2];
        (own, 0xffff & !((1u32 << (first + 3)) - 1))
    };

    // Where each argument is read: in place, in a register that calls preserve, or on the stack.
    let used = used_args(tape, n_args);
    let mut pool = pool;
    let mut homes: Vec<Option<u8>> = vec![None; n_in_registers];
    let mut n_homes = 0;
    for (arg, home) in homes.iter_mut().enumerate() {
        let register = u8::try_from(arg).expect("at most eight");
        if !calls || stays(tape, arg) {
            *home = Some(register);
        } else if used[arg] {
            n_homes += 1;
        }
    }
    let spare = (pool.count_ones() as usize).saturating_sub(tape.max_live.max(1));
    if calls {
        let mut left = spare.min(n_homes);
        for (arg, home) in homes.iter_mut().enumerate() {
            if home.is_none() && used[arg] && left > 0 {
                let register = u8::try_from(31 - pool.leading_zeros()).expect("a register");
                pool &= !(1 << register);
                *home = Some(register);
                left -= 1;
            }
        }
    }
    let in_frame: Vec<usize> = (0..n_in_registers)
        .filter(|&arg| used[arg] && homes[arg].is_none())
        .collect();

    // Frame, from the stack pointer up: spills, arguments, saved registers.
    let saved: Vec<u8> = (6..16)
        .filter(|&register| frame.saved >> register & 1 == 1)
        .collect();
    let n_slots = frame.n_slots + in_frame.len() + saved.len();
    let mut bytes = n_slots * SLOT;
    if bytes > 0 || calls {
        // The stack pointer is 8 bytes off a multiple of 16 at entry.
        bytes += 8;
        asm.alu_ri(Alu::Sub, gpr::RSP, offset(bytes));
    }
    let slot = |k: usize| Mem::base(gpr::RSP).disp(offset(k * SLOT));
    for (k, &register) in saved.iter().enumerate() {
        store_whole::<M>(asm, slot(frame.n_slots + in_frame.len() + k), register);
    }
    for (k, &arg) in in_frame.iter().enumerate() {
        let register = u8::try_from(arg).expect("at most eight");
        M::store(asm, slot(frame.n_slots + k), register);
    }
    move_args::<M>(asm, &homes, &used);
    let places = (0..n_args)
        .map(|arg| {
            if arg >= n_in_registers {
                let above = match abi {
                    Abi::Win64 => arg - 4,
                    _ => arg - 8,
                };
                return Rm::Mem(Mem::base(gpr::RSP).disp(offset(bytes + 8 + shadow + above * 8)));
            }
            match homes[arg] {
                Some(register) => reg(register),
                None => {
                    let k = in_frame.iter().position(|&other| other == arg).unwrap_or(0);
                    Rm::Mem(slot(frame.n_slots + k))
                }
            }
        })
        .collect();

    let leaves = Arguments {
        places,
        constants: &tape.constants,
    };
    let mut lower: Lower<'_, M, _> = Lower::new(asm, leaves, routines::<M>()?, work, pool, 0);
    lower.own = own;
    lower.result = Some(0);
    lower.map = Some(Vec::with_capacity(tape.steps.len() + 1));
    lower.run(tape)?;
    let result = lower.operand(tape.outputs[0]);
    M::load(lower.asm, 0, result);
    let found = Frame {
        n_slots: lower.n_slots as usize,
        saved: preserved & registers_used(lower.used, own, calls, &homes, &used),
    };
    let mut map: CodeMap = lower
        .map
        .take()
        .unwrap_or_default()
        .into_iter()
        .map(|(offset, node)| (offset as usize, node as usize))
        .collect();
    map.push((asm.position(), usize::MAX));
    for (k, &register) in saved.iter().enumerate() {
        load_whole::<M>(asm, register, slot(frame.n_slots + in_frame.len() + k));
    }
    if bytes > 0 {
        asm.alu_ri(Alu::Add, gpr::RSP, offset(bytes));
    }
    asm.ret();
    Ok((found, map))
}

/// Which arguments the tape reads.
fn used_args(tape: &Tape, n_args: usize) -> Vec<bool> {
    let mut used = vec![false; n_args];
    let read = tape
        .steps
        .iter()
        .flat_map(|step| step.operands())
        .chain(&tape.outputs);
    for arg in read {
        if let Arg::Column(column) = *arg {
            used[column as usize] = true;
        }
    }
    used
}

/// Whether an argument may be read from the register in which it arrives although routines are
/// called: it is used by the first step only, which reads it before it writes registers 0–2.
fn stays(tape: &Tape, arg: usize) -> bool {
    let is_arg = |operand: &&Arg| matches!(operand, Arg::Column(column) if *column as usize == arg);
    let uses: usize = tape
        .steps
        .iter()
        .map(|step| step.operands().iter().filter(is_arg).count())
        .sum();
    let Some(first) = tape.steps.first() else {
        return false;
    };
    let place = first.operands().iter().position(|operand| is_arg(&operand));
    let columns = first
        .operands()
        .iter()
        .all(|operand| matches!(operand, Arg::Column(_)));
    uses == 1
        && match first.op {
            Op::Add | Op::Sub | Op::Mul | Op::Div => place.is_some() && (columns || arg < 2),
            Op::Sqrt => place.is_some(),
            Op::Neg | Op::Abs | Op::Inv | Op::Square | Op::Cube | Op::Fma => false,
            Op::Floor | Op::Ceil | Op::Round => false,
            _ => place == Some(arg),
        }
}

/// Registers that the function writes, of those which a convention may want preserved.
fn registers_used(
    given: u32,
    own: [u8; 3],
    calls: bool,
    homes: &[Option<u8>],
    used: &[bool],
) -> u32 {
    let mut registers = given;
    for register in own {
        registers |= 1 << register;
    }
    for (home, _) in homes.iter().zip(used).filter(|(_, used)| **used) {
        registers |= home.map_or(0, |register| 1 << register);
    }
    // Routines clobber registers 8–15.
    registers | if calls { 0xff00 } else { 0 }
}

/// Moves arguments to their homes. Homes are handed out from the top of the preserved registers
/// and arguments arrive from the bottom, so a move may run over an argument that has yet to
/// move: such an argument moves first.
fn move_args<M: Machine>(asm: &mut Assembler, homes: &[Option<u8>], used: &[bool]) {
    let mut pending: Vec<(u8, u8)> = (0u8..)
        .zip(homes.iter().zip(used))
        .filter_map(|(from, (home, used))| {
            home.filter(|&to| *used && to != from).map(|to| (from, to))
        })
        .collect();
    while !pending.is_empty() {
        let free = pending
            .iter()
            .position(|&(_, to)| pending.iter().all(|&(from, _)| from != to));
        match free {
            Some(k) => {
                let (from, to) = pending.swap_remove(k);
                M::load(asm, to, reg(from));
            }
            None => {
                // A cycle: one of its arguments steps aside to a register that none uses.
                let (from, _) = pending[0];
                M::load(asm, 15, reg(from));
                pending[0].0 = 15;
            }
        }
    }
}

fn store_whole<M: Machine>(asm: &mut Assembler, place: Mem, register: u8) {
    let register = opcodon_asm::Vreg::new(register);
    if M::TIER == Tier::Sse2 {
        asm.sse(&opcodon_asm::inst::MOVUPS_ST, register, place);
    } else {
        asm.vex(
            &opcodon_asm::inst::MOVUPS_ST,
            M::WIDTH,
            register,
            opcodon_asm::NONE,
            place,
        );
    }
}

fn load_whole<M: Machine>(asm: &mut Assembler, register: u8, place: Mem) {
    let register = opcodon_asm::Vreg::new(register);
    if M::TIER == Tier::Sse2 {
        asm.sse(&opcodon_asm::inst::MOVUPS, register, place);
    } else {
        asm.vex(
            &opcodon_asm::inst::MOVUPS,
            M::WIDTH,
            register,
            opcodon_asm::NONE,
            place,
        );
    }
}

/// Arguments where they are; constants in a pool behind the code.
struct Arguments<'a> {
    places: Vec<Rm>,
    constants: &'a [f64],
}

impl Leaves<f64> for Arguments<'_> {
    fn column(&mut self, _: &mut Assembler, column: u32) -> Rm {
        self.places[column as usize]
    }

    fn constant(&mut self, asm: &mut Assembler, constant: u32) -> Rm {
        let value = self.constants[constant as usize];
        Rm::Mem(Mem::rip(asm.constant(&value.to_ne_bytes())))
    }

    fn literal(&mut self, asm: &mut Assembler, value: f64) -> Rm {
        // Sign operations are packed and read a whole register.
        Rm::Mem(Mem::rip(asm.constant(bytemuck::bytes_of(&[value; 2]))))
    }
}
