//! What a kernel reads, as memory operands: columns of the tile, and constants.
//!
//! The tile's start is in one register, the constants' in another (`opcodon_codemem::kernel`), so each
//! of them is one operand of an instruction.

use opcodon_asm::{Assembler, Mem, Rm, gpr};

use crate::lower::Leaves;
use crate::machine::{Machine, offset};
use crate::panel::stride;

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

/// Where a column of the tile lies.
#[inline(always)]
#[expect(
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    reason = "the batch limits the number of columns"
)]
pub(crate) fn column_place<M: Machine>(column: u32) -> Rm {
    let start = column as usize * stride::<M::T>();
    Rm::Mem(Mem::base(gpr::RDI).disp(start as i32))
}
