//! Putting together what rows have carried over: the kernel's side of `carry`.
//!
//! ```text
//! chain    one number in a register; the parts of a vector are stored and added one by one
//! loose    floats by the lane, where their order may be another
//! total    integers by the lane, added up at the end
//! extreme  an element by the lane, the best of them at the end
//! ```
//! Each has an *area* behind the kernel's arguments: what it begins with, room for the parts of a
//! vector, and what comes of it. Where the kernel returns the row that it was given nothing was done,
//! and the areas mean nothing.

use opcodon_asm::{Alu, Cond, Evex, Inst, Label, Mem, NONE, Width, gpr, inst, mask};

use super::graph::{Carry, Fold, Lane, Op};
use super::kernel::{Code, Isa, SCRATCH, v};

/// Bytes of a vector of parts.
const AREA: usize = 64;

/// Bytes of the area of a carry: the parts of a vector, and the row that the kernel began with.
pub(super) fn area_bytes(carry: &Carry) -> usize {
    AREA * (carry.terms.len() + 1)
}

fn word(carry: &Carry, at: usize) -> Mem {
    let offset = i32::try_from(carry.area + 8 * at).unwrap_or(0);
    Mem::base(gpr::RDI).disp(offset)
}

/// The part of a term in a lane of so many bytes.
fn part(carry: &Carry, term: usize, lane: usize, bytes: usize) -> Mem {
    let offset = carry.area + AREA * term + bytes * lane;
    Mem::base(gpr::RDI).disp(i32::try_from(offset).unwrap_or(0))
}

/// The number that changes nothing.
pub(super) fn nothing(op: Op) -> f64 {
    if op == Op::Mul { 1.0 } else { -0.0 }
}

impl Code<'_> {
    /// Takes registers for what is carried, and fills them.
    pub(super) fn begin_folds(&mut self) -> Option<()> {
        let graph = self.graph;
        for carry in &graph.carries {
            let register = self.take()?;
            self.folded.push(register);
            match carry.fold {
                Fold::Chain(_) => {
                    let row = &inst::MOVSD;
                    let from = word(carry, 0);
                    self.asm.vex(row, Width::X, v(register), NONE, from);
                }
                Fold::Total => self.three(&inst::XORPD, register, register, v(register).into()),
                Fold::Loose => self.broadcast_constant(register, nothing(Op::Add).to_bits()),
                Fold::Extreme(_) => {
                    self.broadcast(register, word(carry, 0));
                    let began = word(carry, AREA * carry.terms.len() / 8);
                    self.asm.store(began, gpr::RSI);
                }
            }
        }
        Some(())
    }

    /// Adds the parts of the vectors in flight.
    pub(super) fn fold(&mut self) -> Option<()> {
        let graph = self.graph;
        for (at, carry) in graph.carries.iter().enumerate() {
            let register = self.folded[at];
            for copy in 0..self.n_copies {
                self.copy = copy;
                self.locked = 0;
                match carry.fold {
                    Fold::Chain(op) => self.chain(carry, op, register)?,
                    Fold::Total | Fold::Loose => {
                        for (&term, &is_minus) in carry.terms.iter().zip(&carry.minus) {
                            let op = if is_minus { Op::Sub } else { Op::Add };
                            let row = self.arithmetic(op, carry.lane)?;
                            let part = self.fetch(term)?;
                            self.merge(row, register, register, part);
                        }
                    }
                    Fold::Extreme(is_min) => {
                        let part = self.fetch(carry.terms[0])?;
                        self.better(carry.lane, is_min, register, part)?;
                    }
                }
            }
            self.copy = 0;
        }
        Some(())
    }

    /// `dst = a op b`, in rows that there are.
    fn merge(&mut self, row: &'static Inst, dst: u8, a: u8, b: u8) {
        if self.is_rest {
            let (width, context) = (self.isa.width(), Evex::mask(mask::K1));
            self.asm.evex(row, width, context, v(dst), v(a), v(b));
        } else {
            self.three(row, dst, a, v(b).into());
        }
    }

    fn chain(&mut self, carry: &Carry, op: Op, register: u8) -> Option<()> {
        for (at, &term) in carry.terms.iter().enumerate() {
            let from = self.fetch(term)?;
            let (to, width) = (part(carry, at, 0, 8), self.isa.width());
            let row = &inst::MOVUPD_ST;
            match self.isa {
                Isa::Avx2 => self.asm.vex(row, width, v(from), NONE, to),
                Isa::Avx512 if self.is_rest => {
                    let none = SCRATCH[0];
                    let nothing = if carry.minus[at] { 0.0 } else { nothing(op) };
                    self.broadcast_constant(none, nothing.to_bits());
                    self.asm.evex(row, width, Evex::NONE, v(none), NONE, to);
                    let context = Evex::mask(mask::K1);
                    self.asm.evex(row, width, context, v(from), NONE, to);
                }
                Isa::Avx512 => self.asm.evex(row, width, Evex::NONE, v(from), NONE, to),
            }
        }
        for lane in 0..self.n_lanes() {
            for (term, &is_minus) in carry.minus.iter().enumerate() {
                let row = match op {
                    Op::Mul => &inst::MULSD,
                    _ if is_minus => &inst::SUBSD,
                    _ => &inst::ADDSD,
                };
                let from = part(carry, term, lane, 8);
                let register = v(register);
                self.asm.vex(row, Width::X, register, register, from);
            }
        }
        Some(())
    }

    /// The part where it is better than what is there.
    fn better(&mut self, lane: Lane, is_min: bool, register: u8, part: u8) -> Option<()> {
        let rows: [&'static Inst; 2] = match (lane, self.lane, self.isa) {
            // The second operand, if neither is better.
            (Lane::Double, 8, _) => [&inst::MAXPD, &inst::MINPD],
            (Lane::Int, 2, _) => [&inst::PMAXSW, &inst::PMINSW],
            (Lane::Int, 4, _) => [&inst::PMAXSD, &inst::PMINSD],
            (Lane::Int, 8, Isa::Avx512) => [&inst::VPMAXSQ, &inst::VPMINSQ],
            (Lane::Int, 8, Isa::Avx2) => {
                let mask = SCRATCH[0];
                let (a, b) = if is_min {
                    (register, part)
                } else {
                    (part, register)
                };
                self.three(&inst::PCMPGTQ, mask, a, v(b).into());
                let (row, width) = (&inst::VBLENDVPD, self.isa.width());
                let to = v(register);
                self.asm.vex4(row, width, to, to, v(part), v(mask));
                return Some(());
            }
            _ => return None,
        };
        self.merge(rows[usize::from(is_min)], register, part, register);
        Some(())
    }

    /// Leaves in the areas what came of it; the row that is next is in `rsi`.
    pub(super) fn end_folds(&mut self) -> Option<()> {
        let graph = self.graph;
        let end = self.asm.label();
        for (at, carry) in graph.carries.iter().enumerate() {
            let register = self.folded[at];
            match carry.fold {
                Fold::Chain(_) => {
                    let row = &inst::MOVSD_ST;
                    let to = word(carry, 0);
                    self.asm.vex(row, Width::X, v(register), NONE, to);
                }
                Fold::Total => {
                    self.spill(register, carry);
                    self.lane_of(carry, 0, gpr::RAX);
                    for lane in 1..self.n_lanes() {
                        self.lane_of(carry, lane, gpr::RCX);
                        self.asm.alu_rr(Alu::Add, gpr::RAX, gpr::RCX);
                    }
                    self.asm.store(word(carry, 0), gpr::RAX);
                }
                Fold::Loose => {
                    self.spill(register, carry);
                    let sum = v(SCRATCH[0]);
                    let first = part(carry, 0, 0, 8);
                    self.asm.vex(&inst::MOVSD, Width::X, sum, NONE, first);
                    for lane in 1..self.n_lanes() {
                        let from = part(carry, 0, lane, 8);
                        self.asm.vex(&inst::ADDSD, Width::X, sum, sum, from);
                    }
                    let to = word(carry, 0);
                    self.asm.vex(&inst::MOVSD_ST, Width::X, sum, NONE, to);
                }
                Fold::Extreme(is_min) if carry.lane == Lane::Int => {
                    self.spill(register, carry);
                    self.lane_of(carry, 0, gpr::RAX);
                    let better = if is_min { Cond::L } else { Cond::G };
                    for lane in 1..self.n_lanes() {
                        self.lane_of(carry, lane, gpr::RCX);
                        self.asm.alu_rr(Alu::Cmp, gpr::RCX, gpr::RAX);
                        self.asm.cmovcc(better, gpr::RAX, gpr::RCX);
                    }
                    self.asm.store(word(carry, 0), gpr::RAX);
                }
                Fold::Extreme(is_min) => self.extreme_double(carry, is_min, register, end),
            }
        }
        self.asm.bind(end);
        Some(())
    }

    fn extreme_double(&mut self, carry: &Carry, is_min: bool, register: u8, end: Label) {
        self.spill(register, carry);
        let row = if is_min { &inst::MINSD } else { &inst::MAXSD };
        let (best, other) = (v(SCRATCH[0]), v(SCRATCH[1]));
        let load = &inst::MOVSD;
        self.asm
            .vex(load, Width::X, best, NONE, part(carry, 0, 0, 8));
        for lane in 1..self.n_lanes() {
            let from = part(carry, 0, lane, 8);
            self.asm.vex(load, Width::X, other, NONE, from);
            self.asm.vex(row, Width::X, best, other, best);
        }
        // The signs of the zeros, if it is one: of both, nobody knows which came first.
        let fine = self.asm.label();
        let began = word(carry, AREA * carry.terms.len() / 8);
        self.asm.load(gpr::RCX, began);
        let to = word(carry, 0);
        // All lanes are looked at before the result takes the place of the first.
        self.asm.mov_ri(gpr::RAX, 0);
        for lane in 0..self.n_lanes() {
            let next = self.asm.label();
            self.asm.load(gpr::RDX, part(carry, 0, lane, 8));
            self.asm.mov_rr(gpr::R8, gpr::RDX);
            self.asm.alu_rr(Alu::Add, gpr::R8, gpr::R8);
            self.asm.jcc(Cond::NE, next);
            // Bit 0 for a positive zero, bit 1 for a negative one.
            self.asm.shift_ri(opcodon_asm::Shift::Shr, gpr::RDX, 63);
            self.asm.inc(gpr::RDX);
            self.asm.alu_rr(Alu::Or, gpr::RAX, gpr::RDX);
            self.asm.bind(next);
        }
        self.asm.vex(&inst::MOVSD_ST, Width::X, best, NONE, to);
        self.asm.alu_ri(Alu::Cmp, gpr::RAX, 3);
        self.asm.jcc(Cond::NE, fine);
        self.asm.load(gpr::RAX, to);
        self.asm.alu_rr(Alu::Add, gpr::RAX, gpr::RAX);
        self.asm.jcc(Cond::NE, fine);
        self.asm.mov_rr(gpr::RSI, gpr::RCX);
        self.asm.jmp(end);
        self.asm.bind(fine);
    }

    fn spill(&mut self, register: u8, carry: &Carry) {
        let (to, width) = (part(carry, 0, 0, 8), self.isa.width());
        let row = &inst::MOVUPD_ST;
        match self.isa {
            Isa::Avx2 => self.asm.vex(row, width, v(register), NONE, to),
            Isa::Avx512 => {
                self.asm.evex(row, width, Evex::NONE, v(register), NONE, to);
            }
        }
    }

    /// An integer of a lane.
    fn lane_of(&mut self, carry: &Carry, lane: usize, to: opcodon_asm::Gpr) {
        let from = part(carry, 0, lane, self.lane);
        match self.lane {
            2 => self.asm.movsx16(to, from),
            4 => self.asm.movsxd(to, from),
            _ => self.asm.load(to, from),
        }
    }
}
