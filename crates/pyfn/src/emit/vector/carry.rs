//! What a row takes from the row before: sums, products, counts, smallest and largest elements.
//!
//! Such a number is a *carried* node of the turn. It has to come out of the turn as itself and what
//! the row adds; then the row's part is computed by the vector and only putting the parts together
//! is left, which the kernel does (`fold`). Sums and products of floats are put together in the order
//! of the rows, as Python does. Integers may be added in any order, as long as nothing overflows, and
//! so may an element be looked for, but for a zero: where lanes found zeros of both signs the scalar
//! loop looks again.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::FloatCC, condcodes::IntCC, types};

use super::Guard;
use super::fold;
use super::graph::{Carry, Fold, Id, Lane, Op, Range, Rows, Test};
use super::read::{Read, Reader, Val};
use crate::emit::Emitter;
use crate::program::Local;
use crate::types::{Class, Dtype, INT, NP_F32, Tags, class};

/// The type of what is carried, once a row was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tag {
    /// What it was.
    Same,
    /// This one.
    Becomes(u8),
    /// This one, if the number is another.
    IfChanged(u8),
    /// This one, as before: the kernel has to wait until it is.
    Stays(u8),
}

/// A local that is carried, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    pub(crate) local: Local,
    /// The number of the carry in the graph.
    pub(crate) carry: usize,
    pub(crate) tag: Tag,
}

/// The integers of the one dtype of fewer than 64 bits that a number is of, if it is not Python's.
fn narrow_of(tags: Tags) -> Option<Range> {
    let own = Tags(tags.0 & !Tags::of(INT).0).single()?;
    if !tags.within(Tags::NARROW.or(Tags::of(INT))) {
        return None;
    }
    Dtype::of_tag(own).and_then(Range::of)
}

/// Bits of an integer that a row may add; rows of a piece are fewer than 2¹⁶.
const N_BITS_ADDED: u32 = 46;

impl Reader<'_> {
    /// Binds what may be carried to nodes of its own.
    pub(super) fn carry_in(&mut self) -> Option<()> {
        let head = &self.of.info.liveness.head[self.of.id];
        let mut locals = self.bound.clone();
        locals.sort_unstable();
        locals.dedup();
        for local in locals {
            let ty = &self.of.types[local];
            let mut classes = ty.tags.iter().map(class);
            let kind = classes.next();
            let is_number = matches!(kind, Some(Class::Int | Class::Float));
            let is_one = is_number && classes.all(|class| Some(class) == kind);
            let dtype = narrow_of(ty.tags);
            let is_known = !ty.tags.any(Tags::NARROW.or(Tags::of(NP_F32))) || dtype.is_some();
            if !head.has(local) || !is_one || !is_known || ty.narrow.is_some() {
                continue;
            }
            let (lane, range) = match kind {
                Some(Class::Float) => (Lane::Double, Range::NONE),
                _ => (Lane::Int, dtype.unwrap_or(Range::signed(62))),
            };
            let id = self.graph.add(Op::Carried(local), lane, range, &[]);
            let tags = ty.tags;
            let linear = None;
            self.frame()?.bound.insert(local, Val { id, tags, linear });
            self.carried.push((local, id));
        }
        Some(())
    }

    /// A row is left early: notes which locals that somebody reads are as the row found them, and
    /// which are bound anew.
    pub(super) fn leave_row(&mut self) {
        let head = &self.of.info.liveness.head[self.of.id];
        let bound = self.frames.first().map(|frame| &frame.bound);
        for &local in self.bound.iter().filter(|&&local| head.has(local)) {
            let value = bound.and_then(|bound| bound.get(&local));
            let is_as_found = |value: &Val| matches!(self.graph.node(value.id).op, Op::Carried(_));
            if value.is_none_or(is_as_found) {
                self.kept.push(local);
            } else {
                self.touched.push(local);
            }
        }
    }

    /// An integer that is added to one that is carried has few bits.
    pub(super) fn as_part(&mut self, id: Id, other: Id, path: Option<Id>) -> Option<Id> {
        let is_carried = |id: Id| self.graph.carried[id.index()];
        if is_carried(other) && !is_carried(id) {
            return self.clip(id, Range::signed(N_BITS_ADDED), path);
        }
        Some(id)
    }

    /// What is carried, and its parts; rows that are left early end on no path.
    pub(super) fn carry_out(&mut self, path: Option<Id>) -> Option<Vec<Carried>> {
        let mut all = Vec::new();
        for (local, phi) in std::mem::take(&mut self.carried) {
            let value = self.frames.first()?.bound.get(&local)?.clone();
            // Either all rows leave it as it was, or add to it, or all bind it anew.
            let is_carried = self.graph.carried[value.id.index()];
            let others = if is_carried {
                &self.touched
            } else {
                &self.kept
            };
            if others.contains(&local) {
                return None;
            }
            if !is_carried || value.id == phi {
                continue;
            }
            let was = self.of.types[local].tags;
            let carry = match self.extreme(value.id, phi) {
                Some((is_min, part)) if path.is_none() => Carry {
                    fold: Fold::Extreme(is_min),
                    terms: vec![part],
                    minus: vec![false],
                    lane: self.graph.node(phi).lane,
                    limit: None,
                    area: 0,
                },
                _ => self.sum(value.id, phi, path)?,
            };
            let limit = narrow_of(was).filter(|_| carry.fold == Fold::Total);
            let carry = match limit {
                Some(range) => self.limited(carry, range)?,
                None => carry,
            };
            let is_every = carry.terms.iter().all(|term| !self.is_masked_part(*term));
            let tag = match (was.single(), value.tags.single(), carry.fold) {
                (Some(a), Some(b), _) if a == b => Tag::Same,
                (_, _, Fold::Extreme(_)) => {
                    let part = self.tags_of_parts.get(&[carry.terms[0], phi])?.single()?;
                    if was.single() == Some(part) {
                        Tag::Same
                    } else {
                        Tag::IfChanged(part)
                    }
                }
                (_, Some(tag), _) if is_every && path.is_none() => Tag::Becomes(tag),
                _ => Tag::Stays(self.tag_of_addend(value.id, phi)?),
            };
            if !value.tags.within(was) {
                return None;
            }
            all.push(Carried {
                local,
                carry: self.graph.carries.len(),
                tag,
            });
            self.graph.carries.push(carry);
        }
        Some(all)
    }

    /// A sum that has to stay within an interval, row by row: it does if the sizes of all parts together
    /// leave it there, which are added up, too.
    fn limited(&mut self, carry: Carry, range: Range) -> Option<Carry> {
        // Rows that have stored are not done again.
        if !self.graph.stores.is_empty() {
            return None;
        }
        let mut sizes = Vec::new();
        for &term in &carry.terms {
            let zero = self.graph.int(0);
            let minus = self.minus(term);
            let is_negative = self.graph.compare(Test::Lt, term, zero);
            let node = self.graph.node(term).range;
            let size = Range::new(0, node.high.max(-node.low));
            let args = [is_negative, minus, term];
            sizes.push(self.graph.add(Op::Select, Lane::Int, size, &args));
        }
        let number = self.graph.carries.len();
        self.graph.carries.push(Carry {
            terms: sizes,
            ..carry.clone()
        });
        let limit = Some((range, number));
        Some(Carry { limit, ..carry })
    }

    /// The type of what a row that adds something leaves behind, where others leave the number as it
    /// was.
    fn tag_of_addend(&self, value: Id, phi: Id) -> Option<u8> {
        let node = self.graph.node(value);
        if node.op != Op::Select || node.args[2] != Some(phi) {
            return None;
        }
        self.tags_of_parts.get(&[node.arg(1), phi])?.single()
    }

    /// The element that replaces the number where it is larger (smaller).
    fn extreme(&self, value: Id, phi: Id) -> Option<(bool, Id)> {
        let node = self.graph.node(value);
        let (mask, part) = (node.arg(0), node.arg(1));
        if node.op != Op::Select || node.args[2] != Some(phi) || self.graph.carried[part.index()] {
            return None;
        }
        let test = self.graph.node(mask);
        let is_part_first = (test.args[0], test.args[1]) == (Some(part), Some(phi));
        let is_part_last = (test.args[0], test.args[1]) == (Some(phi), Some(part));
        match test.op {
            Op::Compare(Test::Lt) if is_part_first => Some((true, part)),
            Op::Compare(Test::Gt) if is_part_first => Some((false, part)),
            Op::Compare(Test::Lt) if is_part_last => Some((false, part)),
            Op::Compare(Test::Gt) if is_part_last => Some((true, part)),
            _ => None,
        }
    }

    /// A sum or product that a row adds to.
    fn sum(&mut self, value: Id, phi: Id, path: Option<Id>) -> Option<Carry> {
        let lane = self.graph.node(phi).lane;
        let is_float = lane == Lane::Double;
        let is_product = is_float && self.multiplies(value, phi)?;
        let mut terms = Vec::new();
        self.parts(value, phi, path, is_product, &mut terms)?;
        let (terms, minus): (Vec<_>, Vec<_>) = terms.into_iter().unzip();
        let fold = match (is_float, is_product) {
            (true, false) if self.of.unit.fast_math => Fold::Loose,
            (true, false) => Fold::Chain(Op::Add),
            (true, true) => Fold::Chain(Op::Mul),
            (false, _) => {
                let mut all = Range::NONE;
                for term in &terms {
                    let range = self.graph.node(*term).range;
                    all = Range::new(all.low + range.low, all.high + range.high);
                }
                if !all.within(Range::signed(N_BITS_ADDED + 1)) {
                    return None;
                }
                Fold::Total
            }
        };
        Some(Carry {
            fold,
            terms,
            minus,
            lane,
            limit: None,
            area: 0,
        })
    }

    /// Whether the first step from what is carried is a product.
    fn multiplies(&self, value: Id, phi: Id) -> Option<bool> {
        let mut at = value;
        let mut is_product = None;
        while at != phi {
            let node = self.graph.node(at);
            if matches!(node.op, Op::Add | Op::Sub | Op::Mul) {
                let is_mul = node.op == Op::Mul;
                if is_product.is_some_and(|product| product != is_mul) {
                    return None;
                }
                is_product = Some(is_mul);
            }
            at = node.args().find(|arg| self.graph.carried[arg.index()])?;
        }
        Some(is_product == Some(true))
    }

    /// What is added to the number on a path, in this order.
    fn parts(
        &mut self,
        value: Id,
        phi: Id,
        path: Option<Id>,
        is_product: bool,
        terms: &mut Vec<(Id, bool)>,
    ) -> Option<()> {
        if value == phi {
            return Some(());
        }
        let node = *self.graph.node(value);
        let carried = node
            .args
            .map(|arg| arg.is_some_and(|id| self.graph.carried[id.index()]));
        let step = if is_product { Op::Mul } else { Op::Add };
        let nothing = fold::nothing(step);
        match (node.op, carried) {
            (op, [true, false, _]) if op == step => {
                self.parts(node.arg(0), phi, path, is_product, terms)?;
                let term = self.part(node.arg(1), path, nothing)?;
                terms.push((term, false));
            }
            (op, [false, true, _]) if op == step => {
                self.parts(node.arg(1), phi, path, is_product, terms)?;
                let term = self.part(node.arg(0), path, nothing)?;
                terms.push((term, false));
            }
            (Op::Sub, [true, false, _]) if !is_product => {
                self.parts(node.arg(0), phi, path, is_product, terms)?;
                // A float is taken away in its turn, for the sign of what is no number.
                let is_float = node.lane == Lane::Double;
                let term = if is_float {
                    node.arg(1)
                } else {
                    self.minus(node.arg(1))
                };
                let term = self.part(term, path, 0.0)?;
                terms.push((term, is_float));
            }
            (Op::Select, [false, ..]) => {
                let mask = node.arg(0);
                let yes = self.graph.on_path(path, mask);
                let no = match path {
                    Some(path) => self.graph.mask(Op::AndNot, &[mask, path]),
                    None => self.not(mask),
                };
                self.parts(node.arg(1), phi, Some(yes), is_product, terms)?;
                self.parts(node.arg(2), phi, Some(no), is_product, terms)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// An integer with the other sign.
    fn minus(&mut self, id: Id) -> Id {
        let range = self.graph.node(id).range;
        let range = Range::new(-range.high, -range.low);
        let zero = self.graph.int(0);
        self.graph.add(Op::Sub, Lane::Int, range, &[zero, id])
    }

    /// What a row adds: nothing where it is not on the path, of floats this.
    fn part(&mut self, id: Id, path: Option<Id>, nothing: f64) -> Option<Id> {
        let node = *self.graph.node(id);
        let Some(path) = path else {
            return Some(id);
        };
        match node.lane {
            Lane::Double => {
                let nothing = self.graph.double(nothing);
                let args = [path, id, nothing];
                Some(self.graph.float(Op::Select, Lane::Double, &args))
            }
            Lane::Int => {
                let range = node.range.join(Range::NONE);
                Some(self.graph.add(Op::And, Lane::Int, range, &[id, path]))
            }
            _ => None,
        }
    }

    /// Whether a part is nothing in some rows.
    fn is_masked_part(&self, id: Id) -> bool {
        let node = self.graph.node(id);
        let is_mask = |arg: Id| self.graph.node(arg).lane == Lane::Mask;
        matches!(node.op, Op::Select | Op::And) && node.args().any(is_mask)
    }

    /// Whether nothing but the parts depends on what is carried, and the kernel is worth it.
    pub(super) fn carries_are_parts(&self) -> bool {
        let live = self.graph.live();
        let nodes = || self.graph.nodes.iter().zip(&live);
        if nodes().any(|(node, live)| *live && matches!(node.op, Op::Carried(_))) {
            return false;
        }
        let is_scalar = |carry: &Carry| matches!(carry.fold, Fold::Chain(_));
        let has_zeros = |carry: &Carry| carry.fold.is_extreme() && carry.lane == Lane::Double;
        let carries = &self.graph.carries;
        if !self.graph.stores.is_empty() {
            // Rows that have stored are not done again.
            return !carries.iter().any(has_zeros);
        }
        // Sums of floats wait for one another, so that the rest has to be much.
        let is_much = nodes().any(|(node, live)| {
            *live
                && matches!(
                    node.op,
                    Op::Div | Op::Sqrt | Op::Call(_) | Op::Routine(_) | Op::Result(_)
                )
        });
        // Elements that lie apart are fetched one by one, which is all that the scalar loop does to them.
        let lie_apart = self.graph.streams.iter();
        let mut lie_apart = lie_apart.filter(|stream| matches!(stream.rows, Rows::Strided(_)));
        let calls = || {
            nodes().any(|(node, live)| {
                *live && matches!(node.op, Op::Call(_) | Op::Routine(_) | Op::Result(_))
            })
        };
        if carries.iter().all(is_scalar)
            && !carries.is_empty()
            && lie_apart.next().is_some()
            && !calls()
        {
            return false;
        }
        // What is added to in some rows only, the scalar loop adds to behind a branch.
        let is_branch = |carry: &Carry| carry.terms.iter().any(|term| self.is_masked_part(*term));
        is_much
            || !carries.iter().all(is_scalar)
            || carries.iter().any(is_branch)
            || carries.is_empty()
    }
}

/// What is handed to the kernel before a call and taken from it behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hand {
    carried: Carried,
    fold: Fold,
    is_float: bool,
    /// Where in the kernel's arguments.
    area: i32,
    /// The lanes' bits.
    n_bits: u32,
    /// The interval of a sum, and where the sum of the parts' sizes is.
    limit: Option<(Range, i32)>,
}

impl Hand {
    /// Whether the kernel has to wait until the first rows are done.
    pub(super) fn waits(&self) -> bool {
        matches!(self.carried.tag, Tag::Stays(_))
    }

    pub(super) fn all(read: &Read) -> Option<Vec<Self>> {
        let lane = u32::try_from(read.graph.lane_bytes()?).ok()?;
        let hand = |carried: &Carried| {
            let carry = &read.graph.carries[carried.carry];
            Some(Self {
                carried: *carried,
                fold: carry.fold,
                is_float: carry.lane == Lane::Double,
                area: i32::try_from(carry.area).ok()?,
                n_bits: 8 * lane,
                limit: match carry.limit {
                    Some((range, sizes)) => {
                        Some((range, i32::try_from(read.graph.carries[sizes].area).ok()?))
                    }
                    None => None,
                },
            })
        };
        read.carried.iter().map(hand).collect()
    }
}

impl Emitter<'_, '_> {
    /// Hands over what is carried; behind which row the kernel may go on, if it may at all.
    pub(super) fn hand_carries(
        &mut self,
        hands: &[Hand],
        slot: Value,
        [now, end]: [Value; 2],
    ) -> Value {
        let mut guard = Guard::default();
        for hand in hands {
            let value = self.read_local(hand.carried.local);
            if let Tag::Stays(tag) = hand.carried.tag {
                let is_so = self.has_tag(&value, tag);
                guard.and(self, is_so);
            }
            if hand.is_float {
                let flt = self.number_to_flt(&value);
                self.store(flt, slot, hand.area);
                continue;
            }
            let word = self.word(&value);
            self.store(word, slot, hand.area);
            let range = match (hand.limit, hand.fold) {
                (Some((range, _)), _) => range,
                (None, Fold::Total) => Range::signed(62),
                _ => Range::signed(hand.n_bits),
            };
            self.look_at_range(word, range, &mut guard);
        }
        match guard.holds {
            Some(holds) => self.b.ins().select(holds, end, now),
            None => end,
        }
    }

    /// Takes what is carried, if rows were done; the row that is next, which is the first if a sum may have
    /// been too large on the way.
    pub(super) fn take_carries(
        &mut self,
        hands: &[Hand],
        slot: Value,
        [now, mut next]: [Value; 2],
    ) -> Value {
        if hands.is_empty() {
            return next;
        }
        for hand in hands {
            let Some((range, sizes)) = hand.limit else {
                continue;
            };
            let (Ok(low), Ok(high)) = (i64::try_from(range.low), i64::try_from(range.high)) else {
                continue;
            };
            let value = self.read_local(hand.carried.local);
            let word = self.word(&value);
            let sizes = self.load(types::I64, slot, sizes);
            let (least, most) = (
                self.b.ins().isub(word, sizes),
                self.b.ins().iadd(word, sizes),
            );
            let (low, high) = (self.int(low), self.int(high));
            let op = IntCC::SignedGreaterThanOrEqual;
            let is_above = self.b.ins().icmp(op, least, low);
            let is_below = self.b.ins().icmp(op, high, most);
            let fits = self.b.ins().band(is_above, is_below);
            next = self.b.ins().select(fits, next, now);
        }
        let has_moved = self.b.ins().icmp(IntCC::NotEqual, now, next);
        for hand in hands {
            let local = hand.carried.local;
            let old = self.read_local(local);
            let old_tag = self.tag(&old);
            let ty = old.ty.clone();
            let (mut value, is_other) = if hand.is_float {
                let before = self.number_to_flt(&old);
                let found = self.load(types::F64, slot, hand.area);
                let found = match hand.fold {
                    Fold::Loose => self.b.ins().fadd(before, found),
                    _ => found,
                };
                let flt = self.b.ins().select(has_moved, found, before);
                let is_other = self.b.ins().fcmp(FloatCC::OrderedNotEqual, flt, before);
                (Self::from_flt(ty, flt), is_other)
            } else {
                let before = self.word(&old);
                let found = self.load(types::I64, slot, hand.area);
                let found = match hand.fold {
                    Fold::Total => self.b.ins().iadd(before, found),
                    _ => found,
                };
                let word = self.b.ins().select(has_moved, found, before);
                let is_other = self.b.ins().icmp(IntCC::NotEqual, word, before);
                (Self::from_word(ty, word), is_other)
            };
            let (is_new, tag) = match hand.carried.tag {
                Tag::Same | Tag::Stays(_) => (has_moved, None),
                Tag::Becomes(tag) => (has_moved, Some(tag)),
                Tag::IfChanged(tag) => (is_other, Some(tag)),
            };
            value.tag = Some(old_tag);
            if let Some(tag) = tag {
                let tag = self.tag_value(tag);
                value.tag = Some(self.b.ins().select(is_new, tag, old_tag));
            }
            let mut place = self.places[local].clone();
            self.write(&mut place, &value);
            self.places[local] = place;
        }
        next
    }
}
