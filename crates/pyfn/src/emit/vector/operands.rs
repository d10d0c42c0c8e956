//! Operands: atoms as values, and numbers as other numbers.

use super::graph::{Id, Lane, Op, Range, Test};
use super::index::{Linear, Term, Word};
use super::read::{Reader, Row, Val};
use crate::globals::Global;
use crate::program::{Atom, Local};
use crate::types::{BOOL, Class, Dtype, FLOAT, INT, NP_F32, Tags, class};

impl Reader<'_> {
    pub(super) fn val(id: Id, tag: u8) -> Val {
        Val {
            id,
            tags: Tags::of(tag),
            linear: None,
        }
    }

    pub(super) fn index(id: Id, linear: Linear) -> Val {
        Val {
            linear: Some(linear),
            ..Self::val(id, INT)
        }
    }

    pub(super) fn atom(&mut self, atom: &Atom) -> Option<Val> {
        Some(match atom {
            Atom::Local(local) => return self.local(*local),
            Atom::Int(value) => Self::index(self.graph.int(*value), Linear::constant(*value)),
            Atom::Float(value) => Self::val(self.graph.double(*value), FLOAT),
            Atom::Bool(value) => Self::val(self.graph.int((*value).into()), BOOL),
            Atom::Global(index) => match self.frames.last()?.info.globals[*index] {
                Global::Int(value) => Self::index(self.graph.int(value), Linear::constant(value)),
                Global::Float(value) => Self::val(self.graph.double(value), FLOAT),
                Global::Bool(value) => Self::val(self.graph.int(value.into()), BOOL),
                Global::Scalar(tag, bits) => {
                    let id = match class(tag) {
                        Class::Int => self.graph.int(bits.cast_signed()),
                        Class::Float if tag == NP_F32 => {
                            #[expect(
                                clippy::cast_possible_truncation,
                                reason = "it is of that size"
                            )]
                            let single = f64::from_bits(bits) as f32;
                            self.graph.single(single)
                        }
                        Class::Float => self.graph.double(f64::from_bits(bits)),
                        _ => return None,
                    };
                    Self::val(id, tag)
                }
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Which row it is.
    pub(super) fn number_of_row(&mut self) -> Val {
        let range = Range::signed(32);
        let id = self.graph.add(Op::Counter, Lane::Int, range, &[]);
        Self::index(id, Linear::of(Term::Counter))
    }

    pub(super) fn local(&mut self, local: Local) -> Option<Val> {
        if let Some(value) = self.frames.last()?.bound.get(&local) {
            return Some(value.clone());
        }
        if self.frames.len() > 1 || self.bound.contains(&local) {
            return None;
        }
        if matches!(self.of.row, Row::Number(counter) if counter == local) {
            return Some(self.number_of_row());
        }
        let ty = &self.of.types[local];
        if ty.narrow.is_some() {
            return None;
        }
        let tag = ty.tags.single()?;
        let id = match class(tag) {
            Class::Float if tag == NP_F32 => self.argument(Word::Single(local), Lane::Single),
            Class::Float => self.argument(Word::Double(local), Lane::Double),
            Class::Int => {
                let range = Dtype::of_tag(tag)
                    .and_then(Range::of)
                    .unwrap_or(Range::FULL);
                let range = if tag == BOOL {
                    Range::new(0, 1)
                } else if range == Range::FULL && self.is_narrow {
                    Range::signed(15)
                } else {
                    range
                };
                let at = self.word(Word::Int(local, range));
                self.graph.add(Op::Arg(at), Lane::Int, range, &[])
            }
            _ => return None,
        };
        let is_index = Tags::of(tag).within(Tags::INDICES);
        Some(Val {
            linear: is_index.then(|| Linear::of(Term::Local(local))),
            ..Self::val(id, tag)
        })
    }

    pub(super) fn word(&mut self, word: Word) -> usize {
        let known = self.words.iter().position(|known| *known == word);
        known.unwrap_or_else(|| {
            self.words.push(word);
            self.words.len() - 1
        })
    }

    pub(super) fn argument(&mut self, word: Word, lane: Lane) -> Id {
        let at = self.word(word);
        self.graph.float(Op::Arg(at), lane, &[])
    }

    /// A number as an integer.
    pub(super) fn int(&mut self, value: &Val) -> Option<Id> {
        match self.graph.node(value.id).lane {
            Lane::Int => Some(value.id),
            Lane::Mask => {
                let one = self.graph.int(1);
                let range = Range::new(0, 1);
                Some(self.graph.add(Op::And, Lane::Int, range, &[value.id, one]))
            }
            _ => None,
        }
    }

    /// A number as a double.
    pub(super) fn double(&mut self, value: &Val) -> Option<Id> {
        let node = *self.graph.node(value.id);
        match node.lane {
            Lane::Double => Some(value.id),
            Lane::Single => match node.op {
                Op::Constant(bits) => Some(self.graph.double(f64::from_bits(bits))),
                _ => Some(self.graph.float(Op::Convert, Lane::Double, &[value.id])),
            },
            Lane::Int | Lane::Mask => {
                let id = self.int(value)?;
                #[expect(clippy::cast_precision_loss, reason = "as Python rounds")]
                if let Op::Constant(bits) = node.op {
                    return Some(self.graph.double(bits.cast_signed() as f64));
                }
                if let Op::Arg(at) = node.op
                    && let Word::Int(local, _) = self.words[at]
                {
                    return Some(self.argument(Word::Double(local), Lane::Double));
                }
                Some(self.graph.float(Op::Convert, Lane::Double, &[id]))
            }
        }
    }

    /// A number as a `float32`.
    pub(super) fn single(&mut self, value: &Val, path: Option<Id>) -> Option<Id> {
        let node = *self.graph.node(value.id);
        match (node.lane, node.op) {
            (Lane::Single, _) => Some(value.id),
            (Lane::Double, Op::Constant(bits)) => {
                let wide = f64::from_bits(bits);
                #[expect(clippy::cast_possible_truncation, reason = "as numpy rounds")]
                let single = wide as f32;
                (single.is_infinite() == wide.is_infinite()).then(|| self.graph.single(single))
            }
            (Lane::Double, Op::Arg(at)) => match self.words[at] {
                Word::Double(local) => Some(self.argument(Word::Single(local), Lane::Single)),
                _ => None,
            },
            (Lane::Double, _) => {
                let single = self.graph.float(Op::Convert, Lane::Single, &[value.id]);
                let odd = self.graph.mask(Op::NonFinite, &[single]);
                self.graph.stop(path, odd);
                Some(single)
            }
            (Lane::Int | Lane::Mask, op) => {
                let id = self.int(value)?;
                if !self.graph.node(id).range.within(Range::signed(32)) {
                    return None;
                }
                if let Op::Constant(bits) = op {
                    #[expect(clippy::cast_precision_loss, reason = "as numpy rounds")]
                    return Some(self.graph.single(bits.cast_signed() as f32));
                }
                Some(self.graph.float(Op::Convert, Lane::Single, &[id]))
            }
        }
    }

    /// Whether a number is true.
    pub(super) fn truth(&mut self, value: &Val) -> Option<Id> {
        let zero = match self.graph.node(value.id).lane {
            Lane::Mask => return Some(value.id),
            Lane::Int => self.graph.int(0),
            Lane::Double => self.graph.double(0.0),
            Lane::Single => self.graph.single(0.0),
        };
        Some(self.graph.compare(Test::Ne, value.id, zero))
    }

    /// The class of all tags of a value.
    pub(super) fn class(value: &Val) -> Option<Class> {
        let mut classes = value.tags.iter().map(class);
        let first = classes.next()?;
        let is_number = matches!(first, Class::Int | Class::Float);
        (is_number && classes.all(|class| class == first)).then_some(first)
    }

    /// Stops unless an integer is in an interval.
    pub(super) fn clip(&mut self, id: Id, to: Range, path: Option<Id>) -> Option<Id> {
        let range = self.graph.node(id).range;
        if range.within(to) {
            return Some(id);
        }
        let clipped = range.meet(to);
        let n_bits = i64::try_from(to.high + 1).ok()?;
        let is_wide = n_bits.count_ones() == 1 && n_bits > 1 << 32 && to.low == -(to.high + 1);
        if is_wide && range.low < to.low && range.high > to.high {
            // Moved up, what is beyond either end has a high bit.
            let (up, zero) = (self.graph.int(n_bits), self.graph.int(0));
            let moved = self.graph.add(Op::Add, Lane::Int, Range::FULL, &[id, up]);
            let shift = u8::try_from(n_bits.trailing_zeros() + 1).ok()?;
            let high = Op::ShiftDown(shift);
            let high = self.graph.add(high, Lane::Int, Range::FULL, &[moved]);
            let beyond = self.graph.compare(Test::Ne, high, zero);
            self.graph.stop(path, beyond);
            return Some(self.graph.add(Op::Clip, Lane::Int, clipped, &[id]));
        }
        for (is_within, limit, test) in [
            (range.low >= to.low, to.low, Test::Lt),
            (range.high <= to.high, to.high, Test::Gt),
        ] {
            if !is_within {
                let limit = self.graph.int(i64::try_from(limit).ok()?);
                let beyond = self.graph.compare(test, id, limit);
                self.graph.stop(path, beyond);
            }
        }
        Some(self.graph.add(Op::Clip, Lane::Int, clipped, &[id]))
    }

    /// Stops unless an integer is a double.
    pub(super) fn check_exact(&mut self, value: &Val, path: Option<Id>) -> Option<()> {
        if matches!(self.graph.node(value.id).lane, Lane::Int) {
            let limit = 1 << 53;
            self.clip(value.id, Range::new(-limit, limit), path)?;
        }
        Some(())
    }
}
