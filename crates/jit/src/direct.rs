//! Plain arithmetic trees straight from their postfix, without the detour of a tape.
//!
//! Most trees of a population are small, call nothing and need few registers. For these, giving
//! out registers is a matter of a stack: an operator takes its operands' registers back and the
//! lowest free one for its value. What it does not handle (calls, literals, more values than
//! registers) it declines, and the general compiler in `lower` takes over; both emit the same
//! instructions for the same operands.

use opcodon_asm::{Assembler, Mem, Rm, gpr};
use opcodon_expr::{Expr, Node, Op};

use crate::Float;
use crate::kernel::{column_place, offset};
use crate::lower::Workspace;
use crate::machine::{Machine, reg};
use crate::tape::{Arg, index};

/// Emits a tree's code, which leaves its value in register 0, and appends its constants. Returns
/// the number of inputs that the tree reads, or `None` if it is not for this compiler.
pub(crate) fn lower<M: Machine>(
    asm: &mut Assembler,
    work: &mut Workspace,
    tree: &Expr,
    constants: &mut Vec<M::T>,
    registers: u32,
) -> Option<usize> {
    let rows = M::ROWS;
    let (first, last) = (constants.len(), tree.len() - 1);
    let (mut free, mut n_columns) = (registers, 0);
    let stack = &mut work.stack;
    stack.clear();
    for (place, node) in tree.nodes().iter().enumerate() {
        let (row, commutes) = match *node {
            Node::Const(value) => {
                stack.push(Arg::Const(index(constants.len() - first)));
                constants.push(M::T::from_f64(value));
                continue;
            }
            Node::Var(column) => {
                n_columns = n_columns.max(column + 1);
                stack.push(Arg::Column(column));
                continue;
            }
            Node::Op(Op::Add) => (rows.add, true),
            Node::Op(Op::Sub) => (rows.sub, false),
            Node::Op(Op::Mul) => (rows.mul, true),
            Node::Op(Op::Div) => (rows.div, false),
            Node::Op(_) => return None,
        };
        let (b, a) = (stack.pop()?, stack.pop()?);
        for arg in [a, b] {
            if let Arg::Value(register) = arg {
                free |= 1 << register;
            }
        }
        let dst = if place == last {
            0
        } else {
            free.trailing_zeros()
        };
        let dst = u8::try_from(dst).ok().filter(|&dst| dst < 32)?;
        free &= !(1 << dst);
        let (a, b) = match (operand::<M>(a), operand::<M>(b)) {
            (Rm::Reg(a), b) => (a.number(), b),
            (a, Rm::Reg(b)) if commutes => (b.number(), a),
            (a, b) => {
                M::load(asm, 2, a);
                (2, b)
            }
        };
        M::binary(asm, row, dst, a, b, 1);
        stack.push(Arg::Value(u32::from(dst)));
    }
    // A tree of one leaf.
    let value = operand::<M>(stack.pop()?);
    M::load(asm, 0, value);
    Some(n_columns as usize)
}

/// Where an operand is; values are numbered by their registers.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "one of 32 registers")]
fn operand<M: Machine>(arg: Arg) -> Rm {
    match arg {
        Arg::Value(register) => reg(register as u8),
        Arg::Column(column) => column_place::<M>(column),
        Arg::Const(k) => M::constant(Mem::base(gpr::RSI).disp(offset(k as usize * M::SLOT))),
    }
}
