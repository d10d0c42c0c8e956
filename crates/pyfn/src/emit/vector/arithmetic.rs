//! Arithmetic and comparisons, by the rules of the scalar code.
//!
//! An integer that may outgrow 64 bits (or a scalar of numpy's its dtype), a division by zero, a
//! `float32` that is not finite: where the scalar code leaves, a row stops.

use super::graph::{Graph, Id, Lane, Op, Range, Test};
use super::index::{Term, linear_of};
use super::read::{Reader, Val};
use crate::program::{Atom, Bin, Cmp, Expr, Un};
use crate::rules::{self};
use crate::types::{BOOL, Class, Dtype, INT, NP_BOOL, NP_F32, Tags, Ty, class};

impl Reader<'_> {
    pub(super) fn expr(&mut self, e: &Expr, path: Option<Id>, is_masked: bool) -> Option<Val> {
        match e {
            Expr::Atom(a) => self.atom(a),
            Expr::Bin(op, a, b, _) => {
                let (a, b) = (self.atom(a)?, self.atom(b)?);
                self.bin(*op, &a, &b, path, is_masked)
            }
            Expr::Un(op, a) => {
                let a = self.atom(a)?;
                self.un(*op, &a)
            }
            Expr::Cmp(op, a, b) => {
                let (a, b) = (self.atom(a)?, self.atom(b)?);
                self.cmp(*op, &a, &b, path)
            }
            Expr::Truth(a) => {
                let a = self.atom(a)?;
                let mask = self.truth(&a)?;
                Some(Self::val(mask, BOOL))
            }
            Expr::Item(Atom::Local(of), index) => self.item(*of, index),
            Expr::Call(Atom::Global(function), args, named) if named.is_empty() => {
                let mut values = Vec::new();
                for arg in args {
                    values.push(self.atom(arg)?);
                }
                self.call(*function, args, &values, path)
            }
            _ => None,
        }
    }

    pub(super) fn bin(
        &mut self,
        op: Bin,
        a: &Val,
        b: &Val,
        path: Option<Id>,
        is_masked: bool,
    ) -> Option<Val> {
        let (ca, cb) = (Self::class(a)?, Self::class(b)?);
        let ints = ca == Class::Int && cb == Class::Int;
        let (ta, tb) = (Ty::tags(a.tags), Ty::tags(b.tags));
        let narrow = rules::narrow(op, &ta, &tb);
        let tags = match narrow {
            Some(narrow) => Tags::of(narrow?),
            None => {
                let power = None;
                let tags = rules::pairs(a.tags, b.tags, |a, b| rules::bin_tag(op, a, b, power));
                let has_all = a.tags.iter().all(|a| {
                    let mut others = b.tags.iter();
                    others.all(|b| rules::bin_tag(op, a, b, power).is_some())
                });
                if !has_all {
                    return None;
                }
                tags
            }
        };
        // What the machine does is the same for all of them.
        let tag = tags.iter().next()?;
        let value = |id| Val {
            tags,
            ..Self::val(id, tag)
        };
        if tag == NP_F32 {
            return self.bin_singles(op, a, b, path);
        }
        if class(tag) == Class::Float {
            let id = self.bin_doubles(op, a, b, ints, path)?;
            return Some(value(id));
        }
        if matches!(tag, BOOL | NP_BOOL) {
            return self.bin_truths(op, a, b).map(value);
        }
        let (mut x, mut y) = (self.int(a)?, self.int(b)?);
        let dtype = Dtype::of_tag(tag).filter(|_| narrow.is_some());
        if let Some(dtype) = dtype {
            let range = Range::of(dtype)?;
            if a.tags.has(INT) {
                x = self.clip(x, range, path)?;
            }
            if b.tags.has(INT) {
                y = self.clip(y, range, path)?;
            }
        }
        if dtype.is_none()
            && let Some(linear) = linear_of(op, a, b)
        {
            // Its terms are looked at before the loop: nothing grows beyond an index.
            let op = match op {
                Bin::Add => Op::Add,
                Bin::Sub => Op::Sub,
                _ => Op::Mul,
            };
            let (x, y) = (self.as_term(x, a), self.as_term(y, b));
            let range = self.range_of(op, x, y).meet(Range::signed(62));
            let id = self.graph.add(op, Lane::Int, range, &[x, y]);
            self.small.extend(linear.terms.iter().map(|each| each.0));
            return Some(Val {
                linear: Some(linear),
                ..value(id)
            });
        }
        if matches!(op, Bin::Add | Bin::Sub) {
            x = self.as_part(x, y, path)?;
            y = self.as_part(y, x, path)?;
        }
        let mut id = self.bin_ints(op, x, y, path, is_masked)?;
        // A sum that is carried is looked at when the rows are done.
        let is_carried_sum = self.graph.carried[id.index()] && matches!(op, Bin::Add | Bin::Sub);
        if let Some(dtype) = dtype.filter(|_| !is_carried_sum) {
            id = self.clip(id, Range::of(dtype)?, path)?;
        }
        Some(value(id))
    }

    /// A term of an index has 32 bits, which is looked at before the loop.
    fn as_term(&mut self, id: Id, value: &Val) -> Id {
        let (range, small) = (self.graph.node(id).range, Range::signed(32));
        let is_term = value.linear.as_ref().is_some_and(|linear| {
            let is_given = matches!(linear.terms[..], [(Term::Local(_) | Term::Size(..), 1)]);
            is_given && linear.shift == 0
        });
        if !is_term || range.within(small) {
            return id;
        }
        self.graph
            .add(Op::Clip, Lane::Int, range.meet(small), &[id])
    }

    pub(super) fn bin_truths(&mut self, op: Bin, a: &Val, b: &Val) -> Option<Id> {
        let op = match op {
            Bin::And => Op::And,
            Bin::Or => Op::Or,
            Bin::Xor => Op::Xor,
            _ => return None,
        };
        let (a, b) = (self.truth(a)?, self.truth(b)?);
        Some(self.graph.mask(op, &[a, b]))
    }

    pub(super) fn bin_singles(
        &mut self,
        op: Bin,
        a: &Val,
        b: &Val,
        path: Option<Id>,
    ) -> Option<Val> {
        for value in [a, b] {
            self.check_exact(value, path)?;
        }
        let (x, y) = (self.single(a, path)?, self.single(b, path)?);
        let op = self.float_op(op, y, path)?;
        let id = self.graph.float(op, Lane::Single, &[x, y]);
        self.finite.push((path, id));
        Some(Self::val(id, NP_F32))
    }

    pub(super) fn bin_doubles(
        &mut self,
        op: Bin,
        a: &Val,
        b: &Val,
        ints: bool,
        path: Option<Id>,
    ) -> Option<Id> {
        if op == Bin::TrueDiv && ints {
            self.check_exact(a, path)?;
            self.check_exact(b, path)?;
        }
        let (x, y) = (self.double(a)?, self.double(b)?);
        if op == Bin::Pow {
            return self.power([x, y], path);
        }
        let op = self.float_op(op, y, path)?;
        Some(self.graph.float(op, Lane::Double, &[x, y]))
    }

    /// The operation on floats, by such a right operand, which is checked if it divides.
    fn float_op(&mut self, op: Bin, right: Id, path: Option<Id>) -> Option<Op> {
        Some(match op {
            Bin::Add => Op::Add,
            Bin::Sub => Op::Sub,
            Bin::Mul => Op::Mul,
            Bin::TrueDiv => {
                self.check_divisor(right, path);
                Op::Div
            }
            _ => return None,
        })
    }

    pub(super) fn check_divisor(&mut self, divisor: Id, path: Option<Id>) {
        let bits = self.graph.constant(divisor);
        if bits.is_some_and(|bits| bits << 1 != 0) {
            return;
        }
        let zero = match self.graph.node(divisor).lane {
            Lane::Single => self.graph.single(0.0),
            _ => self.graph.double(0.0),
        };
        let is_zero = self.graph.compare(Test::Eq, divisor, zero);
        self.graph.stop(path, is_zero);
    }

    pub(super) fn range_of(&self, op: Op, x: Id, y: Id) -> Range {
        let (a, b) = (self.graph.node(x).range, self.graph.node(y).range);
        match op {
            Op::Add => Range::new(a.low + b.low, a.high + b.high),
            Op::Sub => Range::new(a.low - b.high, a.high - b.low),
            _ => product(a.meet(Range::FULL), b.meet(Range::FULL)),
        }
    }

    pub(super) fn bin_ints(
        &mut self,
        op: Bin,
        x: Id,
        y: Id,
        path: Option<Id>,
        is_masked: bool,
    ) -> Option<Id> {
        let (a, b) = (self.graph.node(x).range, self.graph.node(y).range);
        let constant = self.graph.constant(y).map(u64::cast_signed);
        let add = |graph: &mut Graph, op, range| graph.add(op, Lane::Int, range, &[x, y]);
        match op {
            Bin::Add | Bin::Sub => {
                let op = if op == Bin::Add { Op::Add } else { Op::Sub };
                let range = self.range_of(op, x, y);
                if range.within(Range::FULL) {
                    return Some(add(&mut self.graph, op, range));
                }
                let wraps = self.frames.last()?.info.program.wraps;
                if is_masked && !wraps {
                    return None;
                }
                let id = add(&mut self.graph, op, Range::FULL);
                if wraps {
                    return Some(id);
                }
                // Its sign differs from that of both, or from the first and the first's from the
                // second.
                let graph = &mut self.graph;
                let mut xor = |a, b| graph.add(Op::Xor, Lane::Int, Range::FULL, &[a, b]);
                let (of_x, of_y) = (
                    xor(x, id),
                    if op == Op::Add { xor(y, id) } else { xor(x, y) },
                );
                let both = graph.add(Op::And, Lane::Int, Range::FULL, &[of_x, of_y]);
                let zero = graph.int(0);
                let over = graph.compare(Test::Lt, both, zero);
                graph.stop(path, over);
                Some(id)
            }
            Bin::Mul => {
                let (mut x, mut y) = (x, y);
                if product(a.meet(Range::FULL), b.meet(Range::FULL)).bytes() > 4 {
                    if is_masked && !self.frames.last()?.info.program.wraps {
                        return None;
                    }
                    // Larger ones are left to the scalar loop.
                    x = self.clip(x, Range::signed(32), path)?;
                    y = self.clip(y, Range::signed(32), path)?;
                }
                let range = product(self.graph.node(x).range, self.graph.node(y).range);
                Some(self.graph.add(Op::Mul, Lane::Int, range, &[x, y]))
            }
            Bin::FloorDiv | Bin::Mod => {
                let divisor = constant.filter(|&divisor| divisor > 0)?;
                self.divide(op == Bin::Mod, x, divisor)
            }
            Bin::And | Bin::Or | Bin::Xor => {
                let range = match op {
                    Bin::And if b.low >= 0 && a.low < 0 => Range::new(0, b.high),
                    Bin::And if a.low >= 0 && b.low < 0 => Range::new(0, a.high),
                    Bin::And if a.low >= 0 => Range::new(0, a.high.min(b.high)),
                    // As many bits as the longer one.
                    _ => {
                        let both = a.join(b);
                        let most = both.high.max(-(both.low + 1));
                        let bits = 128 - most.leading_zeros();
                        let high = (1 << bits) - 1;
                        Range::new(if both.low < 0 { -high - 1 } else { 0 }, high)
                    }
                };
                let op = match op {
                    Bin::And => Op::And,
                    Bin::Or => Op::Or,
                    _ => Op::Xor,
                };
                Some(add(&mut self.graph, op, range))
            }
            Bin::LShift => {
                let by = u8::try_from(constant?).ok().filter(|&by| by < 63)?;
                let range = Range::new(a.low << by, a.high << by);
                let op = Op::ShiftLeft(by);
                let is_there = range.within(Range::FULL);
                is_there.then(|| self.graph.add(op, Lane::Int, range, &[x]))
            }
            Bin::RShift => {
                let by = u8::try_from(constant?).ok().filter(|&by| by < 64)?;
                Some(self.shift_right(x, by))
            }
            _ => None,
        }
    }

    pub(super) fn shift_right(&mut self, x: Id, by: u8) -> Id {
        let a = self.graph.node(x).range;
        let range = Range::new(a.low >> by, a.high >> by);
        if by == 0 {
            return x;
        }
        self.graph.add(Op::ShiftRight(by), Lane::Int, range, &[x])
    }

    /// `x // divisor` or `x % divisor`.
    pub(super) fn divide(&mut self, is_mod: bool, x: Id, divisor: i64) -> Option<Id> {
        let a = self.graph.node(x).range;
        let by = i128::from(divisor);
        let range = Range::new(a.low.div_euclid(by), a.high.div_euclid(by));
        if divisor.count_ones() == 1 {
            if is_mod {
                let mask = self.graph.int(divisor - 1);
                let range = Range::new(0, by - 1);
                return Some(self.graph.add(Op::And, Lane::Int, range, &[x, mask]));
            }
            return Some(self.shift_right(x, u8::try_from(divisor.trailing_zeros()).ok()?));
        }
        let quotient = match reciprocal(a, divisor) {
            Some((factor, count)) => {
                let high = Range::new(0, (a.high * i128::from(factor)) >> 16);
                let high = self.graph.add(Op::MulHigh(factor), Lane::Int, high, &[x]);
                let quotient = self.shift_right(high, count);
                self.graph.add(Op::Clip, Lane::Int, range, &[quotient])
            }
            // The quotient of doubles (or singles) of so few bits is not rounded across an integer.
            None => {
                let bound = a.high.max(-a.low);
                let (lane, limit) = if bound < 1 << 24 && by < 1 << 24 {
                    (Lane::Single, 24)
                } else {
                    (Lane::Double, 51)
                };
                if bound >= 1 << limit || by >= 1 << limit {
                    return None;
                }
                let float = self.graph.float(Op::Convert, lane, &[x]);
                #[expect(clippy::cast_precision_loss, reason = "it has fewer bits")]
                let divisor = if lane == Lane::Single {
                    self.graph.single(divisor as f32)
                } else {
                    self.graph.double(divisor as f64)
                };
                let quotient = self.graph.float(Op::Div, lane, &[float, divisor]);
                let whole = self.graph.float(Op::Round(1), lane, &[quotient]);
                self.graph.add(Op::Convert, Lane::Int, range, &[whole])
            }
        };
        if !is_mod {
            return Some(quotient);
        }
        let divisor = self.graph.int(divisor);
        let back = Range::new(range.low * by, range.high * by);
        let back = self
            .graph
            .add(Op::Mul, Lane::Int, back, &[quotient, divisor]);
        let rest = Range::new(0, by - 1);
        Some(self.graph.add(Op::Sub, Lane::Int, rest, &[x, back]))
    }

    pub(super) fn cmp(&mut self, op: Cmp, a: &Val, b: &Val, path: Option<Id>) -> Option<Val> {
        let test = match op {
            Cmp::Lt => Test::Lt,
            Cmp::Le => Test::Le,
            Cmp::Eq => Test::Eq,
            Cmp::Ne => Test::Ne,
            Cmp::Gt => Test::Gt,
            Cmp::Ge => Test::Ge,
            _ => return None,
        };
        let (ca, cb) = (Self::class(a)?, Self::class(b)?);
        let (x, y) = if ca == Class::Int && cb == Class::Int {
            (self.int(a)?, self.int(b)?)
        } else {
            self.check_exact(a, path)?;
            self.check_exact(b, path)?;
            if rules::compares_single(&Ty::tags(a.tags), &Ty::tags(b.tags))? {
                (self.single(a, path)?, self.single(b, path)?)
            } else {
                (self.double(a)?, self.double(b)?)
            }
        };
        let tags = rules::pairs(a.tags, b.tags, |a, b| rules::cmp_tag(op, a, b));
        let id = self.graph.compare(test, x, y);
        Some(Val {
            tags,
            ..Self::val(id, NP_BOOL)
        })
    }

    pub(super) fn un(&mut self, op: Un, a: &Val) -> Option<Val> {
        let tag = a.tags.iter().next()?;
        let result = rules::un_tag(op, tag)?;
        if !a.tags.iter().all(|tag| rules::un_tag(op, tag).is_some()) {
            return None;
        }
        let lane = self.graph.node(a.id).lane;
        let id = match (op, lane) {
            (Un::Not, _) => {
                let truth = self.truth(a)?;
                self.not(truth)
            }
            (Un::Pos, Lane::Double | Lane::Single) => return Some(a.clone()),
            (Un::Pos, _) => self.int(a)?,
            (Un::Neg, Lane::Double | Lane::Single) => {
                let sign = match lane {
                    Lane::Double => self.graph.double(-0.0),
                    _ => self.graph.single(-0.0),
                };
                self.graph.float(Op::Xor, lane, &[a.id, sign])
            }
            (Un::Neg, _) => {
                let x = self.int(a)?;
                let range = self.graph.node(x).range;
                let range = Range::new(-range.high, -range.low);
                if !range.within(Range::FULL) {
                    return None;
                }
                let zero = self.graph.int(0);
                self.graph.add(Op::Sub, Lane::Int, range, &[zero, x])
            }
            (Un::Invert, _) if tag == NP_BOOL => {
                let truth = self.truth(a)?;
                self.not(truth)
            }
            (Un::Invert, _) => {
                let x = self.int(a)?;
                let range = self.graph.node(x).range;
                let range = Range::new(-range.high - 1, -range.low - 1);
                let ones = self.graph.int(-1);
                self.graph.add(Op::Xor, Lane::Int, range, &[x, ones])
            }
        };
        let tags = if op == Un::Not || tag == BOOL {
            Tags::of(result)
        } else {
            a.tags
        };
        Some(Val {
            id,
            tags,
            linear: None,
        })
    }
}

fn product(a: Range, b: Range) -> Range {
    let ends = [
        a.low * b.low,
        a.low * b.high,
        a.high * b.low,
        a.high * b.high,
    ];
    let low = ends.iter().copied().min().unwrap_or(0);
    Range::new(low, ends.into_iter().max().unwrap_or(0))
}

/// A factor and a shift by which `x // divisor` is `x * factor >> 16 >> shift`.
pub(super) fn reciprocal(range: Range, divisor: i64) -> Option<(u16, u8)> {
    let high = i64::try_from(range.high).ok()?;
    if range.low < 0 || high > i64::from(i16::MAX) || divisor > high {
        return None;
    }
    (0..=15_u8).find_map(|count| {
        let scale = 1_i64 << (16 + count);
        let factor = (scale + divisor - 1) / divisor;
        // The error of the factor, times all of x, must not reach the next quotient
        // (T. Granlund, P. Montgomery, “Division by invariant integers”, 1994).
        let error = factor * divisor - scale;
        let factor = u16::try_from(factor).ok()?;
        (error * high < scale).then_some((factor, count))
    })
}
