//! The frame of code that a kernel calls as if it were one instruction: registers of the processor saved
//! on the stack, and slots as large as any vector, aligned as such.

use opcodon_asm::{Alu, Assembler, Gpr, Mem, gpr};
use opcodon_codemem::{Code, CodeHeap};

/// Bytes of a slot.
const SLOT: i32 = 64;

pub(super) fn slot(at: i32) -> Mem {
    Mem::base(gpr::RSP).disp(at * SLOT)
}

/// Saves these registers and makes room for so many slots.
pub(super) fn enter(asm: &mut Assembler, saved: &[Gpr], n_slots: i32) {
    asm.push(gpr::RBP);
    asm.mov_rr(gpr::RBP, gpr::RSP);
    for &register in saved {
        asm.push(register);
    }
    asm.alu_ri(Alu::Sub, gpr::RSP, SLOT * n_slots);
    asm.alu_ri(Alu::And, gpr::RSP, -SLOT);
}

/// Takes the frame down, returns, and installs the whole.
pub(super) fn leave(mut asm: Assembler, saved: &[Gpr]) -> Option<Code> {
    let n_saved = i32::try_from(saved.len()).ok()?;
    asm.lea(gpr::RSP, Mem::base(gpr::RBP).disp(-8 * n_saved));
    for &register in saved.iter().rev() {
        asm.pop(register);
    }
    asm.pop(gpr::RBP);
    asm.ret();
    CodeHeap::global().install(asm.finish().ok()?).ok()
}
