//! The affine normal form: what a tree says when scale and shift no longer matter.
//!
//! Linear scaling fits `a + b·f` to the target whatever `f` is, so `3·x + 7` and `x` are the same
//! candidate, and so are `2·x·(3·y + 6)` and `x·(y + 2)`. A search that keeps such pairs apart pays
//! many times for one formula, and Levenberg-Marquardt on either gets a singular matrix. Here every
//! subtree is held as `offset + scale·core`, and each operator says what becomes of scale and
//! offset: a product multiplies scales, a square squares them, `exp` turns an offset into a scale,
//! `log` a scale into an offset, a sine keeps both inside. What reaches the root is dropped, for
//! linear scaling to find again.
//!
//! The same walk knows every place where a constant would *not* be redundant. With
//! [`Slots::Closed`] such a place is written only where its value matters (a scale that is not 1,
//! an offset that is not 0); with [`Slots::Open`] every scale is written, ready to be fitted, so
//! the search moves among *shapes* and constants appear by themselves. [`NormalForm::shape`] names
//! the shape: coefficients do not count, sums and products may be ordered and grouped at will.
//!
//! # Invariants
//! - `offset + scale · expr` equals the tree that was given, up to rounding (and up to the domain:
//!   `square(sqrt(x))` becomes `x`).
//! - In the open form no constant can be expressed by the others and the two of linear scaling.
//! - Normalising a closed form again gives it back.

mod functions;

use opcodon_expr::{Expr, Node, Op};

/// Which places for constants are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slots {
    /// Those that matter.
    Closed,
    /// All scales.
    Open,
}

/// A tree as `offset + scale · expr`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NormalForm {
    pub(crate) expr: Expr,
    pub(crate) scale: f64,
    pub(crate) offset: f64,
    /// Equal for trees that differ in coefficients, order and grouping only.
    pub(crate) shape: u64,
}

/// A scale or offset this close to 1 or 0, relatively, is 1 or 0.
const TRIVIAL: f64 = 1e-9;

/// What the core of an entry is made of, with a hash that forgets order.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Core {
    /// No core: the entry is its offset.
    Constant,
    /// A sum: the wrapping sum of its terms' hashes.
    Sum(u64),
    /// A product: the wrapping sum of its factors' hashes, divisors counted negative. A variable
    /// or a function is a product of one factor.
    Product(u64),
}

impl Core {
    fn as_factor(self) -> u64 {
        match self {
            Self::Constant => 0,
            Self::Product(hash) => hash,
            Self::Sum(hash) => mix(1, hash),
        }
    }

    fn as_term(self) -> u64 {
        match self {
            Self::Constant => 0,
            Self::Sum(hash) => hash,
            Self::Product(hash) => mix(2, hash),
        }
    }
}

/// Finaliser of `SplitMix64`, with a salt.
fn mix(salt: u64, value: u64) -> u64 {
    let mut z = value.wrapping_add(salt.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A sum with a constant term is another shape than the same sum without.
const OFFSET_TERM: u64 = 0x5bd1_e995_7b93_aa11;

/// `offset + scale · core`; the core is `out[start..]` up to the next entry's start.
#[derive(Debug, Clone, Copy)]
struct Entry {
    scale: f64,
    offset: f64,
    start: usize,
    core: Core,
}

impl Entry {
    fn constant(value: f64, start: usize) -> Self {
        Self {
            scale: 0.0,
            offset: value,
            start,
            core: Core::Constant,
        }
    }

    fn is_constant(&self) -> bool {
        self.core == Core::Constant
    }
}

/// Working memory, so that a search normalises without allocating per subtree.
#[derive(Debug, Default)]
pub(crate) struct Normaliser {
    out: Vec<Node>,
    stack: Vec<Entry>,
}

impl Normaliser {
    /// The normal form of `expr`; `None` if it is constant or holds a constant that is not finite.
    pub(crate) fn normal_form(&mut self, expr: &Expr, slots: Slots) -> Option<NormalForm> {
        let root = self.walk(expr.nodes(), slots)?;
        if root.is_constant() {
            return None;
        }
        let expr = Expr::from_postfix(self.out.clone()).ok()?;
        Some(NormalForm {
            expr,
            scale: root.scale,
            offset: root.offset,
            shape: mix(4, root.core.as_term()),
        })
    }

    /// Leaves the core in `out` and returns the rest.
    fn walk(&mut self, nodes: &[Node], slots: Slots) -> Option<Entry> {
        self.out.clear();
        self.stack.clear();
        for &node in nodes {
            match node {
                Node::Const(value) => self.push(Entry::constant(value, self.out.len())),
                Node::Var(index) => {
                    let start = self.out.len();
                    self.out.push(node);
                    let core = Core::Product(mix(3, u64::from(index)));
                    self.push(Entry {
                        scale: 1.0,
                        offset: 0.0,
                        start,
                        core,
                    });
                }
                Node::Op(op) => self.apply(op, slots)?,
            }
            let top = self.stack.last()?;
            if !(top.scale.is_finite() && top.offset.is_finite()) {
                return None;
            }
        }
        self.stack.pop()
    }

    fn push(&mut self, entry: Entry) {
        self.stack.push(entry);
    }

    fn pop(&mut self) -> Option<Entry> {
        self.stack.pop()
    }

    fn apply(&mut self, op: Op, slots: Slots) -> Option<()> {
        match op {
            Op::Add => self.sum(1.0, slots),
            Op::Sub => self.sum(-1.0, slots),
            Op::Neg => {
                let top = self.stack.last_mut()?;
                top.scale = -top.scale;
                top.offset = -top.offset;
                Some(())
            }
            Op::Mul => self.product(),
            Op::Div => self.quotient(slots),
            Op::Inv | Op::Square | Op::Cube | Op::Abs | Op::Sqrt | Op::Cbrt => {
                self.power(op, slots)
            }
            Op::Exp => self.exponential(slots),
            Op::Log => self.logarithm(),
            _ => self.function(op, slots),
        }
    }

    /// `left + sign · right`.
    fn sum(&mut self, sign: f64, slots: Slots) -> Option<()> {
        let right = self.pop()?;
        let left = self.pop()?;
        let offset = left.offset + sign * right.offset;
        let right_scale = sign * right.scale;
        let entry = match (left.is_constant(), right.is_constant()) {
            (_, true) => Entry { offset, ..left },
            (true, false) => Entry {
                offset,
                scale: right_scale,
                ..right
            },
            (false, false) if self.out[left.start..right.start] == self.out[right.start..] => {
                self.out.truncate(right.start);
                let scale = left.scale + right_scale;
                // What cancels leaves rounding behind; that is nothing, not a small core.
                if scale.abs() <= 1e-13 * left.scale.abs() {
                    self.out.truncate(left.start);
                    Entry::constant(offset, left.start)
                } else {
                    Entry {
                        scale,
                        offset,
                        ..left
                    }
                }
            }
            (false, false) => {
                let ratio = right_scale / left.scale;
                if slots == Slots::Open {
                    self.out
                        .extend([Node::Const(ratio), Node::Op(Op::Mul), Node::Op(Op::Add)]);
                } else {
                    if (ratio.abs() - 1.0).abs() > TRIVIAL {
                        self.out
                            .extend([Node::Const(ratio.abs()), Node::Op(Op::Mul)]);
                    }
                    self.out
                        .push(Node::Op(if ratio < 0.0 { Op::Sub } else { Op::Add }));
                }
                let hash = left.core.as_term().wrapping_add(right.core.as_term());
                if !ratio.is_finite() || ratio == 0.0 {
                    return None;
                }
                Entry {
                    scale: left.scale,
                    offset,
                    start: left.start,
                    core: Core::Sum(hash),
                }
            }
        };
        self.push(entry);
        Some(())
    }

    fn product(&mut self) -> Option<()> {
        let right = self.pop()?;
        let left = self.pop()?;
        let entry = match (left.is_constant(), right.is_constant()) {
            (true, true) => Entry::constant(left.offset * right.offset, left.start),
            (true, false) => scaled(right, left.offset, &mut self.out),
            (false, true) => scaled(left, right.offset, &mut self.out),
            (false, false) => self.factors(left, right, Op::Mul)?,
        };
        self.push(entry);
        Some(())
    }

    fn quotient(&mut self, slots: Slots) -> Option<()> {
        let right = self.pop()?;
        if right.is_constant() {
            let left = self.pop()?;
            let entry = if left.is_constant() {
                Entry::constant(left.offset / right.offset, left.start)
            } else {
                let inverse = 1.0 / right.offset;
                Entry {
                    scale: left.scale * inverse,
                    offset: left.offset * inverse,
                    ..left
                }
            };
            self.push(entry);
            return Some(());
        }
        let left = self.pop()?;
        if left.is_constant() {
            self.push(right);
            self.power(Op::Inv, slots)?;
            let inverse = self.pop()?;
            let entry = scaled(inverse, left.offset, &mut self.out);
            self.push(entry);
            return Some(());
        }
        let entry = self.factors(left, right, Op::Div)?;
        self.push(entry);
        Some(())
    }

    /// `left * right` or `left / right`, neither constant, reciprocals resolved.
    fn factors(&mut self, left: Entry, mut right: Entry, mut op: Op) -> Option<Entry> {
        let left = self.factor(left, &mut right)?;
        let mut right = self.last_factor(right)?;
        let (scale, hash) = if op == Op::Mul {
            (
                left.scale * right.scale,
                left.core.as_factor().wrapping_add(right.core.as_factor()),
            )
        } else {
            (
                left.scale / right.scale,
                left.core.as_factor().wrapping_sub(right.core.as_factor()),
            )
        };
        let start = left.start;
        if op == Op::Div && self.out.last() == Some(&Node::Op(Op::Div)) {
            // w/(u/v) is w·(v/u).
            self.out.pop();
            self.swap_operands(right.start);
            self.out.push(Node::Op(Op::Div));
            op = Op::Mul;
        }
        if self.out.last() == Some(&Node::Op(Op::Inv)) {
            self.out.pop();
            op = if op == Op::Mul { Op::Div } else { Op::Mul };
        }
        if op == Op::Mul && self.out[right.start - 1] == Node::Op(Op::Inv) {
            // inv(u)·v is v/u: the factors change places.
            self.out.remove(right.start - 1);
            let n_left = right.start - 1 - start;
            self.out[start..].rotate_left(n_left);
            right.start = self.out.len() - n_left;
            op = Op::Div;
        }
        let same = self.out[start..right.start] == self.out[right.start..];
        match (op, same) {
            (Op::Div, true) => {
                self.out.truncate(start);
                return Some(Entry::constant(scale, start));
            }
            (_, true) => {
                self.out.truncate(right.start);
                self.out.push(Node::Op(Op::Square));
            }
            (op, false) => self.out.push(Node::Op(op)),
        }
        Some(Entry {
            scale,
            offset: 0.0,
            start,
            core: Core::Product(hash),
        })
    }

    /// The hash of what a function is applied to; scales do not count, the presence of an offset
    /// does.
    fn argument_hash(&self, entry: Entry, with_offset: bool) -> u64 {
        if entry.is_constant() {
            return OFFSET_TERM;
        }
        let hash = entry.core.as_term();
        if with_offset && !is_zero(entry.offset, entry.scale) {
            hash.wrapping_add(OFFSET_TERM)
        } else {
            hash
        }
    }

    /// Appends `· scale` to the core at the end of the output.
    fn write_scale(&mut self, scale: f64, slots: Slots) {
        if slots == Slots::Open || (scale.abs() - 1.0).abs() > TRIVIAL {
            self.out.extend([Node::Const(scale), Node::Op(Op::Mul)]);
        } else if scale < 0.0 {
            self.out.push(Node::Op(Op::Neg));
        }
    }

    /// Appends `+ offset` to what stands at the end of the output.
    fn write_offset(&mut self, offset: f64) {
        if offset.abs() > TRIVIAL {
            self.out.extend([Node::Const(offset), Node::Op(Op::Add)]);
        }
    }

    /// `scale · (core + offset/scale)`, the entry at the end of the output.
    fn last_factor(&mut self, entry: Entry) -> Option<Entry> {
        let mut end = Entry {
            start: self.out.len(),
            ..entry
        };
        self.factor(entry, &mut end)
    }

    /// `scale · (core + offset/scale)`, for an entry that `next` follows in the output.
    fn factor(&mut self, entry: Entry, next: &mut Entry) -> Option<Entry> {
        if is_zero(entry.offset, entry.scale) {
            return Some(Entry {
                offset: 0.0,
                ..entry
            });
        }
        let shift = entry.offset / entry.scale;
        if !shift.is_finite() {
            return None;
        }
        self.out.splice(
            next.start..next.start,
            [Node::Const(shift), Node::Op(Op::Add)],
        );
        next.start += 2;
        let core = with_offset_term(entry.core);
        Some(Entry {
            offset: 0.0,
            core,
            ..entry
        })
    }

    /// The same with a scale above zero: a negative sign goes into the core.
    fn positive_factor(&mut self, entry: Entry) -> Option<Entry> {
        if entry.scale > 0.0 {
            return self.last_factor(entry);
        }
        let scale = -entry.scale;
        if is_zero(entry.offset, scale) {
            self.out.push(Node::Op(Op::Neg));
            return Some(Entry {
                scale,
                offset: 0.0,
                ..entry
            });
        }
        let shift = entry.offset / scale;
        if !shift.is_finite() {
            return None;
        }
        self.out.insert(entry.start, Node::Const(shift));
        self.out.push(Node::Op(Op::Sub));
        let core = with_offset_term(entry.core);
        Some(Entry {
            scale,
            offset: 0.0,
            core,
            ..entry
        })
    }

    /// Exchanges the two operands that stand from `start` on.
    fn swap_operands(&mut self, start: usize) {
        let nodes = &mut self.out[start..];
        // The right operand begins where, counted from the end, as many values as wanted are made.
        let mut wanted = 1;
        let mut right = nodes.len();
        while wanted > 0 && right > 0 {
            right -= 1;
            wanted = wanted + nodes[right].arity() - 1;
        }
        nodes.rotate_left(right);
    }

    /// The factor hash of what stands from `start` on, computed anew: a function's hash does not
    /// give back that of its argument.
    fn factor_hash(&self, start: usize) -> u64 {
        let mut other = Self::default();
        let Some(entry) = other.walk(&self.out[start..], Slots::Closed) else {
            return 0;
        };
        if is_zero(entry.offset, entry.scale) {
            entry.core.as_factor()
        } else {
            with_offset_term(entry.core).as_factor()
        }
    }
}

/// The core of `core + offset`.
fn with_offset_term(core: Core) -> Core {
    Core::Sum(core.as_term().wrapping_add(OFFSET_TERM))
}

fn op_salt(op: Op) -> u64 {
    mix(8, u64::from(op as u8))
}

fn is_zero(offset: f64, scale: f64) -> bool {
    offset.abs() <= TRIVIAL * scale.abs()
}

/// `factor · entry`; nothing remains of the core when the factor is zero.
fn scaled(entry: Entry, factor: f64, out: &mut Vec<Node>) -> Entry {
    if factor == 0.0 {
        out.truncate(entry.start);
        return Entry::constant(0.0, entry.start);
    }
    Entry {
        scale: entry.scale * factor,
        offset: entry.offset * factor,
        ..entry
    }
}

#[cfg(test)]
mod tests;
