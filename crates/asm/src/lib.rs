//! x86-64 … AVX-512 assembler: operands in, bytes and offsets out.
//!
//! An expression compiler that serves an evolutionary search emits millions of short kernels a
//! second, so here an instruction is a word from a table with register numbers or-ed into it: 2 to
//! 5 nanoseconds. [`Assembler`] has one method per *encoding* of vector instructions
//! ([`sse`](Assembler::sse), [`vex`](Assembler::vex), [`evex`](Assembler::evex)) that takes a row of
//! the table [`inst`], and one method per integer or branch instruction.
//!
//! ```
//! use opcodon_asm::{Assembler, Evex, Mem, Vreg, Width, gpr::*, inst, mask::K1};
//!
//! let mut asm = Assembler::new();
//! let (acc, x) = (Vreg::new(0), Vreg::new(17));
//! let column = Mem::base(RDI).disp(128);
//! asm.evex(&inst::VFMADD231PD, Width::Z, Evex::mask(K1), acc, x, column);
//! asm.evex(&inst::MULPD, Width::Z, Evex::NONE, acc, acc, Mem::base(RSI).disp(8).bcast());
//! asm.ret();
//! # #[rustfmt::skip]
//! assert_eq!(asm.finish()?, [
//!     0x62, 0xf2, 0xf5, 0x41, 0xb8, 0x47, 0x02, // vfmadd231pd zmm0{k1}, zmm17, [rdi+128]
//!     0x62, 0xf1, 0xfd, 0x58, 0x59, 0x46, 0x01, // vmulpd zmm0, zmm0, [rsi+8]{1to8}
//!     0xc3,                                     // ret
//! ]);
//! # Ok::<(), opcodon_asm::AsmError>(())
//! ```
//!
//! # Invariants
//! This crate allocates no executable memory and asks the processor nothing. It knows no calling
//! convention. What cannot be encoded is never emitted: the first mistake is kept and returned by
//! [`Assembler::finish`]. There is no `unsafe`.

mod buffer;
mod encode;
mod error;
mod form;
pub mod inst;
mod integer;
mod operand;
mod reg;
mod template;

pub use buffer::Assembler;
pub use error::AsmError;
pub use form::{Encoding, Feature, Inst};
pub use gpr::*;
pub use integer::{Alu, Shift};
pub use mask::*;
pub use operand::{Cond, Evex, Label, Mem, Rm, Rounding, Scale, Width};
pub use reg::{Gpr, Mask, NONE, Reg, Vreg, gpr, mask};
pub use template::{Cursor, Operand, Template};
