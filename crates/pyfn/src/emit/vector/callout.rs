//! What a kernel calls: the C library for single lanes, and vector math.

use opcodon_asm::{Alu, Cond, Evex, Label, Mem, NONE, Width, gpr, inst, mask};

use super::kernel::{Code, Isa, SCRATCH, own_word, v};

/// A vector of which the C library is to compute some lanes, behind the kernel's end.
#[derive(Clone)]
pub(super) struct Detour {
    begin: Label,
    end: Label,
    thunk: usize,
    /// The argument, the mask and the result.
    registers: [u8; 3],
    is_rest: bool,
}

impl Code<'_> {
    /// Leaves the lanes of a mask to a thunk, on a detour.
    pub(super) fn call(&mut self, thunk: usize, registers: [u8; 3]) {
        let (begin, end) = (self.asm.label(), self.asm.label());
        self.test(registers[1]);
        self.asm.jcc(Cond::NE, begin);
        self.asm.bind(end);
        self.detours.push(Detour {
            begin,
            end,
            thunk,
            registers,
            is_rest: self.is_rest,
        });
    }

    pub(super) fn detour(&mut self, detour: &Detour) {
        let [x, lanes, dst] = detour.registers;
        let width = self.isa.width();
        self.asm.bind(detour.begin);
        match self.isa {
            Isa::Avx2 => {
                let row = &inst::MOVMSKPD;
                self.asm.vex(row, width, gpr::RAX, NONE, v(lanes));
            }
            // The mask of the test.
            Isa::Avx512 => {
                let row = &inst::KMOVQ_RK;
                self.asm.vex(row, Width::X, gpr::RAX, NONE, mask::K2);
            }
        }
        self.asm.store(own_word(), gpr::RAX);
        self.two(&inst::MOVAPS, SCRATCH[0], v(x).into());
        self.asm.mov_ri(gpr::RAX, detour.thunk.cast_signed() as i64);
        self.asm.call_r(gpr::RAX);
        match self.isa {
            Isa::Avx2 => {
                let row = &inst::VBLENDVPD;
                let other = v(SCRATCH[0]);
                self.asm.vex4(row, width, v(dst), v(dst), other, v(lanes));
            }
            Isa::Avx512 => {
                self.is_rest = detour.is_rest;
                self.test(lanes);
                let (row, context) = (&inst::MOVUPD, Evex::mask(mask::K2));
                self.asm
                    .evex(row, width, context, v(dst), NONE, v(SCRATCH[0]));
            }
        }
        self.asm.jmp(detour.end);
    }

    /// Calls a routine of vector math, which leaves most registers alone; `dst` is its result.
    pub(super) fn routine(&mut self, address: usize, args: &[u8], dst: u8) {
        let changed: u32 = match self.isa {
            Isa::Avx2 => 0xff04,
            Isa::Avx512 => 0xffff_0004,
        };
        // What is in use, but for the registers of the step.
        let saved = changed & !self.free & !(1 << dst);
        let saved = (0..self.isa.n_registers()).filter(|at| saved & 1 << at != 0);
        let saved = saved.zip(0_i32..).collect::<Vec<_>>();
        let width = self.isa.width();
        let bytes = i32::try_from(width.bytes()).unwrap_or(64);
        let room = bytes * i32::try_from(saved.len()).unwrap_or(0);
        let slot = |at: i32| Mem::base(gpr::RSP).disp(at * bytes);
        self.asm.push(gpr::R10);
        self.asm.alu_ri(Alu::Sub, gpr::RSP, room);
        for &(register, at) in &saved {
            let row = &inst::MOVUPD_ST;
            match self.isa {
                Isa::Avx2 => self.asm.vex(row, width, v(register), NONE, slot(at)),
                Isa::Avx512 => {
                    let context = Evex::NONE;
                    self.asm
                        .evex(row, width, context, v(register), NONE, slot(at));
                }
            }
        }
        for (&scratch, &arg) in SCRATCH.iter().zip(args) {
            self.two(&inst::MOVAPS, scratch, v(arg).into());
        }
        self.asm.mov_ri(gpr::RAX, address.cast_signed() as i64);
        self.asm.call_r(gpr::RAX);
        self.two(&inst::MOVAPS, dst, v(SCRATCH[0]).into());
        for &(register, at) in &saved {
            self.two(&inst::MOVUPD, register, slot(at).into());
        }
        self.asm.alu_ri(Alu::Add, gpr::RSP, room);
        self.asm.pop(gpr::R10);
    }
}
