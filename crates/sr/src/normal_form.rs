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

    /// Functions that let a scale through: `f(c·u) = f(c)·f(u)` for c > 0.
    fn power(&mut self, op: Op, slots: Slots) -> Option<()> {
        let entry = self.pop()?;
        if entry.is_constant() {
            self.push(Entry::constant(op.reference(&[entry.offset]), entry.start));
            return Some(());
        }
        let entry = if op == Op::Sqrt {
            self.positive_factor(entry)?
        } else {
            self.last_factor(entry)?
        };
        let scale = op.reference(&[entry.scale]);
        let hash = entry.core.as_factor();
        let core = match (op, self.out.last()) {
            (Op::Inv, Some(Node::Op(Op::Inv))) | (Op::Square, Some(Node::Op(Op::Sqrt))) => {
                // The function undoes its argument's; what was inside comes out as it was.
                let inside = self.out.split_off(entry.start);
                let mut other = Self::default();
                let inner = other.walk(&inside[..inside.len() - 1], slots)?;
                self.out.append(&mut other.out);
                let inner = Entry {
                    start: entry.start,
                    ..inner
                };
                let entry = scaled(inner, scale, &mut self.out);
                self.push(entry);
                return Some(());
            }
            (Op::Inv, Some(Node::Op(Op::Div))) => {
                // 1/(u/v) is v/u.
                self.out.pop();
                self.swap_operands(entry.start);
                self.out.push(Node::Op(Op::Div));
                Core::Product(hash.wrapping_neg())
            }
            (Op::Square, Some(Node::Op(Op::Abs))) => {
                self.out.pop();
                let hash = self.factor_hash(entry.start);
                self.out.push(Node::Op(Op::Square));
                Core::Product(hash.wrapping_mul(2))
            }
            (Op::Abs, Some(Node::Op(Op::Abs | Op::Square | Op::Sqrt | Op::Exp))) => entry.core,
            _ => {
                self.out.push(Node::Op(op));
                Core::Product(match op {
                    Op::Inv => hash.wrapping_neg(),
                    Op::Square => hash.wrapping_mul(2),
                    Op::Cube => hash.wrapping_mul(3),
                    _ => mix(op_salt(op), hash),
                })
            }
        };
        self.push(Entry {
            scale,
            offset: 0.0,
            start: entry.start,
            core,
        });
        Some(())
    }

    /// `exp(offset + scale·core) = exp(offset) · exp(scale·core)`.
    fn exponential(&mut self, slots: Slots) -> Option<()> {
        let entry = self.pop()?;
        if entry.is_constant() {
            self.push(Entry::constant(entry.offset.exp(), entry.start));
            return Some(());
        }
        let outer = entry.offset.exp();
        let pulls = outer.is_normal();
        self.write_scale(entry.scale, slots);
        if !pulls {
            self.write_offset(entry.offset);
        }
        let hash = mix(op_salt(Op::Exp), self.argument_hash(entry, !pulls));
        self.out.push(Node::Op(Op::Exp));
        let scale = if pulls { outer } else { 1.0 };
        self.push(Entry {
            scale,
            offset: 0.0,
            start: entry.start,
            core: Core::Product(hash),
        });
        Some(())
    }

    /// `log(scale·core) = log(scale) + log(core)`.
    fn logarithm(&mut self) -> Option<()> {
        let entry = self.pop()?;
        if entry.is_constant() {
            self.push(Entry::constant(entry.offset.ln(), entry.start));
            return Some(());
        }
        let entry = self.positive_factor(entry)?;
        let hash = mix(op_salt(Op::Log), entry.core.as_factor());
        self.out.push(Node::Op(Op::Log));
        self.push(Entry {
            scale: 1.0,
            offset: entry.scale.ln(),
            start: entry.start,
            core: Core::Product(hash),
        });
        Some(())
    }

    /// Any other operator: arguments are written out, scale and offset included.
    fn function(&mut self, op: Op, slots: Slots) -> Option<()> {
        let arity = op.arity();
        let first = self.stack.len().checked_sub(arity)?;
        if self.stack[first..].iter().all(Entry::is_constant) {
            let arguments: Vec<f64> = self.stack[first..].iter().map(|e| e.offset).collect();
            let start = self.stack[first].start;
            self.stack.truncate(first);
            self.push(Entry::constant(op.reference(&arguments), start));
            return Some(());
        }
        if arity == 1 {
            return self.unary(op, slots);
        }
        // Written from the last to the first, so that what moves has its final length.
        let entries: Vec<Entry> = self.stack.drain(first..).collect();
        let start = entries[0].start;
        let mut tail: Vec<Vec<Node>> = Vec::with_capacity(arity);
        let mut hash = op_salt(op);
        for entry in entries.iter().rev() {
            let nodes = self.out.split_off(entry.start);
            let mut written = Self {
                out: nodes,
                stack: Vec::new(),
            };
            if entry.is_constant() {
                written.out.push(Node::Const(entry.offset));
            } else {
                written.write_scale(entry.scale, slots);
                written.write_offset(entry.offset);
            }
            tail.push(written.out);
        }
        for (position, entry) in (0u64..).zip(&entries) {
            let argument = self.argument_hash(*entry, true);
            hash = if op.is_commutative() {
                hash.wrapping_add(mix(5, argument))
            } else {
                mix(hash.wrapping_add(position), argument)
            };
        }
        for nodes in tail.into_iter().rev() {
            self.out.extend(nodes);
        }
        self.out.push(Node::Op(op));
        self.push(Entry {
            scale: 1.0,
            offset: 0.0,
            start,
            core: Core::Product(mix(6, hash)),
        });
        Some(())
    }

    fn unary(&mut self, op: Op, slots: Slots) -> Option<()> {
        let mut entry = self.pop()?;
        let mut outer = 1.0;
        if entry.scale < 0.0 {
            match op {
                Op::Sin | Op::Tan | Op::Asin | Op::Atan | Op::Sinh | Op::Tanh | Op::Erf => {
                    outer = -1.0;
                    entry.scale = -entry.scale;
                    entry.offset = -entry.offset;
                }
                Op::Cos | Op::Cosh => {
                    entry.scale = -entry.scale;
                    entry.offset = -entry.offset;
                }
                _ => {}
            }
        }
        self.write_scale(entry.scale, slots);
        self.write_offset(entry.offset);
        let hash = mix(op_salt(op), self.argument_hash(entry, true));
        self.out.push(Node::Op(op));
        self.push(Entry {
            scale: outer,
            offset: 0.0,
            start: entry.start,
            core: Core::Product(hash),
        });
        Some(())
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
mod tests {
    use super::*;
    use opcodon_evo::Rng;
    use opcodon_expr::{parse, print};

    const NAMES: [&str; 3] = ["x", "y", "z"];

    fn form(text: &str, slots: Slots) -> Option<NormalForm> {
        let expr = parse(text, Some(&NAMES)).expect(text).expr;
        Normaliser::default().normal_form(&expr, slots)
    }

    #[test]
    fn closed_forms() {
        for (text, expected) in [
            ("3*x + 7", "x"),
            ("2*x*(3*y + 6)", "x*(y + 2)"),
            ("x + x", "x"),
            ("x - 3*x + y", "x - y*0.5"),
            ("x*x", "square(x)"),
            ("2*x*y/(4*z)", "x*y/z"),
            ("1/(2*x)", "inv(x)"),
            ("3/x*y", "y/x"),
            ("y*(3/x)", "y/x"),
            ("y/(1/x)", "y*x"),
            ("1/(sqrt(y)/(x + z))", "(x + z)/sqrt(y)"),
            ("x/(y/z)", "x*(z/y)"),
            ("exp(x + 3)", "exp(x)"),
            ("exp(-x)", "exp(-x)"),
            ("log(5*x)", "log(x)"),
            ("log(5*x + 10)", "log(x + 2)"),
            ("sqrt(1 - x*x)", "sqrt(1 - square(x))"),
            ("sqrt(4 - 4*x*x/y)", "sqrt(1 - square(x)/y)"),
            ("sin(-2*x)", "sin(x*2)"),
            ("cos(2*x - 1)", "cos(x*2 + -1)"),
            ("square(2*x + 2)", "square(x + 1)"),
            ("square(sqrt(x))", "x"),
            ("(x*y)/(x*y) + z", "z"),
            ("x*0 + y", "y"),
            ("max(2*x, 3)", "max(x*2, 3)"),
            ("-x", "x"),
            ("2.5 - (x - y)", "x - y"),
        ] {
            let form = form(text, Slots::Closed).expect(text);
            assert_eq!(print::infix(&form.expr, &NAMES), expected, "{text}");
        }
        for constant in [
            "3",
            "x - x",
            "x/x",
            "0*x",
            "(x+y)/(x+y)",
            "exp(1e9)*x",
            "log(-1)*x",
            "x/0",
        ] {
            assert_eq!(form(constant, Slots::Closed), None, "{constant}");
        }
    }

    #[test]
    fn open_forms_have_every_scale_and_no_redundant_one() {
        for (text, n_constants) in [
            ("x", 0),
            ("3*x", 0),
            ("x*y/z", 0),
            ("x + y", 1),
            ("x + y + z + x*y", 3),
            ("sin(x)", 1),
            ("sin(x + 1)", 2),
            ("exp(x + 1)", 1),
            ("log(x + y)", 1),
            ("exp(x*y) * sin(z)", 2),
            ("square(x + y) / (z + 1)", 2),
            ("sqrt(1 - square(x/y))", 1),
        ] {
            let form = form(text, Slots::Open).expect(text);
            let shown = print::infix(&form.expr, &NAMES);
            assert_eq!(form.expr.n_constants(), n_constants, "{text}: {shown}");
        }
    }

    #[test]
    fn shapes_forget_coefficients_order_and_grouping() {
        for same in [
            &["x + y", "y + x", "3*y - 2*x", "4*(x + 5*y) + 1"][..],
            &["x*y*z", "z*(x*y)", "3*(y*z)*x", "y*z/(1/x)"],
            &["x*y/z", "x/(z/y)", "(y/z)*x", "y*x*(2/z)"],
            &["x + (y + z)", "(z + x) - y"],
            &["square(x)", "x*x", "3*x*x"],
            &["sin(2*x)", "sin(x)", "-sin(-x)"],
            &["exp(x + 1)", "exp(x)*2"],
        ] {
            let shapes: Vec<u64> = same
                .iter()
                .map(|text| form(text, Slots::Closed).expect(text).shape)
                .collect();
            assert!(shapes.windows(2).all(|w| w[0] == w[1]), "{same:?}");
        }
        let different = [
            "x",
            "y",
            "x + y",
            "x*y",
            "x/y",
            "y/x",
            "sin(x)",
            "sin(x + 1)",
            "cos(x)",
            "x*(y + 1)",
            "(x + 1)*y",
            "square(x)",
            "square(x + 1)",
            "sqrt(x)",
            "exp(x)",
            "exp(square(x))",
            "square(exp(x))",
            "x + square(y)",
            "square(x + y)",
            "inv(x)",
            "inv(x + 1)",
        ];
        let mut shapes: Vec<u64> = different
            .iter()
            .map(|text| form(text, Slots::Closed).expect(text).shape)
            .collect();
        shapes.sort_unstable();
        shapes.dedup();
        assert_eq!(shapes.len(), different.len());
    }

    fn random_tree(rng: &mut Rng, size: usize) -> Expr {
        if size <= 1 {
            return if rng.bool(0.3) {
                Expr::constant((rng.normal() * 4.0).round() / 2.0)
            } else {
                Expr::var(u32::try_from(rng.below(3)).expect("small"))
            };
        }
        let op = Op::ALL[rng.below(Op::ALL.len())];
        let op = if rng.bool(0.7) {
            [Op::Add, Op::Sub, Op::Mul, Op::Div, Op::Square, Op::Neg][rng.below(6)]
        } else {
            op
        };
        let arguments: Vec<Expr> = (0..op.arity())
            .map(|_| random_tree(rng, (size - 1) / op.arity()))
            .collect();
        Expr::apply(op, &arguments)
    }

    #[test]
    fn the_value_is_kept_and_closing_twice_changes_nothing() {
        let mut rng = Rng::new(5, 0);
        let mut normaliser = Normaliser::default();
        let mut n_checked = 0;
        for _ in 0..4000 {
            let size = 1 + rng.below(25);
            let tree = random_tree(&mut rng, size);
            for slots in [Slots::Closed, Slots::Open] {
                let Some(form) = normaliser.normal_form(&tree, slots) else {
                    continue;
                };
                for _ in 0..4 {
                    let row = [
                        rng.uniform(0.3, 2.0),
                        rng.uniform(0.3, 2.0),
                        rng.uniform(0.3, 2.0),
                    ];
                    let (before, inner) = (tree.eval(&row), form.expr.eval(&row));
                    let after = form.scale.mul_add(inner, form.offset);
                    if !before.is_finite()
                        || form.scale.abs() * inner.abs() > 1e6
                        || form.scale.abs() > 1e6
                    {
                        continue;
                    }
                    n_checked += 1;
                    // Steps and steep places amplify rounding: allow a few disagreeing rows in all.
                    let close = (before - after).abs() <= 1e-6 * before.abs().max(1.0);
                    let discontinuous = tree.nodes().iter().any(|n| {
                        matches!(n, Node::Op(op) if op.is_comparison() || matches!(op, Op::Floor | Op::Ceil
                            | Op::Round | Op::Sign | Op::Mod | Op::If | Op::Pdiv | Op::Plog | Op::Psqrt | Op::Atan2 | Op::Tan))
                    });
                    assert!(
                        close || discontinuous,
                        "{tree:?}\n{form:?}\n{before} {after}"
                    );
                }
                if slots == Slots::Closed {
                    let again = normaliser.normal_form(&form.expr, slots);
                    let again = again.unwrap_or_else(|| panic!("{tree:?}\n{form:?}"));
                    assert_eq!(
                        again.expr.nodes().len(),
                        form.expr.nodes().len(),
                        "{form:?}\n{again:?}"
                    );
                    assert_eq!(again.shape, form.shape, "{tree:?}\n{form:?}\n{again:?}");
                }
            }
        }
        assert!(n_checked > 5000, "{n_checked}");
    }
}
