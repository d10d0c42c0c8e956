//! What functions do to scale and offset: a root lets a scale through, `exp` turns an offset into a
//! scale, `log` a scale into an offset, and the others keep both inside.

use opcodon_expr::{Node, Op};

use super::{Core, Entry, Normaliser, Slots, mix, op_salt, scaled};

impl Normaliser {
    /// Functions that let a scale through: `f(c·u) = f(c)·f(u)` for c > 0.
    pub(super) fn power(&mut self, op: Op, slots: Slots) -> Option<()> {
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
    pub(super) fn exponential(&mut self, slots: Slots) -> Option<()> {
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
    pub(super) fn logarithm(&mut self) -> Option<()> {
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
    pub(super) fn function(&mut self, op: Op, slots: Slots) -> Option<()> {
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

    pub(super) fn unary(&mut self, op: Op, slots: Slots) -> Option<()> {
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
}
