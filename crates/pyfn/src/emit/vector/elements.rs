//! Elements that a row reads and writes.

use super::graph::{Id, Lane, Op, Range, Rows, Step, Store, Stream};
use super::index::{Bound, Linear, Place, Term, Word};
use super::read::{Access, Reader, Val};
use crate::program::{Atom, Index, Local};
use crate::types::{BOOL, Class, Dtype, FLOAT, NP_F32, Tags};

impl Reader<'_> {
    /// Where an index is, and for one that changes what is added to it.
    pub(super) fn place(&mut self, of: Local, index: &Index) -> Option<(Place, Option<i64>)> {
        let array = self.of.types[of].array()?;
        if self.frames.len() > 1 || self.bound.contains(&of) {
            return None;
        }
        let parts = match index {
            Index::Tuple(parts) => parts.as_slice(),
            Index::Atom(_) => std::slice::from_ref(index),
            Index::Slice(_) => return None,
        };
        if parts.len() != array.ndim || parts.is_empty() {
            return None;
        }
        let mut place = Place {
            of,
            parts: Vec::new(),
        };
        for (dimension, part) in parts.iter().enumerate() {
            let Index::Atom(atom) = part else {
                return None;
            };
            let index = self.atom(atom)?.linear?;
            let is_known = match atom {
                Atom::Local(local) => self.of.facts.contains(&(of, dimension, *local)),
                _ => false,
            };
            let bound = Bound {
                of,
                dimension,
                index: index.clone(),
            };
            if !is_known && !self.bounds.contains(&bound) {
                self.bounds.push(bound);
            }
            place.parts.push(index);
        }
        if place.parts.iter().all(Linear::is_fixed) {
            return Some((place, None));
        }
        if array.ndim == 1 && !array.contiguous {
            return Some((place, Some(0)));
        }
        let last = place.parts.last_mut()?;
        let shift = std::mem::take(&mut last.shift);
        Some((place, Some(shift)))
    }

    pub(super) fn stream(&mut self, place: Place) -> Option<usize> {
        let array = self.of.types[place.of].array()?;
        let dtype = array.dtype;
        let mut by = place.parts.iter().map(|part| part.multiple(Term::Counter));
        let last = by.next_back()?;
        let is_view = array.ndim == 1 && !array.contiguous;
        let rows = match (by.all(|by| by == 0), last) {
            (true, 0) => Rows::Fixed,
            (true, 1) if !is_view => Rows::Dense,
            _ => Rows::Strided(self.word(Word::Stride(place.clone()))),
        };
        let mut steps = Vec::new();
        for &nest in &self.open.clone() {
            let turn = Term::Turn(nest);
            if place.parts.iter().any(|part| part.multiple(turn) != 0) {
                let one = self.word(Word::Step(place.clone(), nest));
                let all = self.word(Word::Steps(place.clone(), nest));
                steps.push(Step { of: nest, one, all });
            }
        }
        let stream = Stream {
            dtype,
            base: self.word(Word::Base(place)),
            rows,
            steps,
        };
        let known = self.graph.streams.iter().position(|known| *known == stream);
        Some(known.unwrap_or_else(|| {
            self.graph.streams.push(stream);
            self.graph.streams.len() - 1
        }))
    }

    pub(super) fn item(&mut self, of: Local, index: &Index) -> Option<Val> {
        let (place, shift) = self.place(of, index)?;
        self.item_at(of, place, shift)
    }

    /// The element of an array that is gone through.
    pub(super) fn element_of_row(&mut self, of: Local) -> Option<Val> {
        if self.of.types[of].array()?.ndim != 1 || self.bound.contains(&of) {
            return None;
        }
        let parts = vec![Linear::of(Term::Counter)];
        self.item_at(of, Place { of, parts }, Some(0))
    }

    fn item_at(&mut self, of: Local, place: Place, shift: Option<i64>) -> Option<Val> {
        let dtype = self.of.types[of].array()?.dtype;
        let is_read = !matches!(dtype, Dtype::Complex128 | Dtype::UInt64);
        let tag = dtype.tag().filter(|_| is_read)?;
        let range = Range::of(dtype).unwrap_or(Range::NONE);
        let lane = match dtype {
            Dtype::Float64 => Lane::Double,
            Dtype::Float32 => Lane::Single,
            _ => Lane::Int,
        };
        let id = match shift {
            None => {
                let at = self.word(Word::Element(place));
                self.graph.add(Op::Arg(at), lane, range, &[])
            }
            Some(shift) => {
                let stream = self.stream(place)?;
                self.element(stream, shift, lane, range)
            }
        };
        Some(Self::val(id, tag))
    }

    /// An element as it is in this row: as stored before, or as read.
    pub(super) fn element(&mut self, stream: usize, shift: i64, lane: Lane, range: Range) -> Id {
        if let Some(&stored) = self.stored.get(&(stream, shift)) {
            return stored;
        }
        self.reads.push(Access {
            stream,
            shift,
            n_stores_before: self.graph.stores.len() + usize::from(self.delayed.is_some()),
        });
        match self.graph.streams[stream].rows {
            Rows::Fixed => {
                let op = Op::Broadcast(stream, shift);
                self.graph.add(op, lane, range, &[])
            }
            Rows::Dense => self.graph.add(Op::Load(stream, shift), lane, range, &[]),
            Rows::Strided(stride) => {
                let offsets = Op::Offsets(stride);
                let offsets = self.graph.add(offsets, Lane::Int, Range::NONE, &[]);
                let op = Op::Load(stream, shift);
                self.graph.add(op, lane, range, &[offsets])
            }
        }
    }

    pub(super) fn set_item(
        &mut self,
        of: Local,
        index: &Index,
        value: &Val,
        path: Option<Id>,
    ) -> Option<()> {
        let array = self.of.types[of].array()?;
        let (place, shift) = self.place(of, index)?;
        let shift = shift?;
        if !array.writable {
            return None;
        }
        let class = Self::class(value)?;
        let range = Range::of(array.dtype).unwrap_or(Range::NONE);
        let (lane, id) = match array.dtype {
            Dtype::Float64 => (Lane::Double, self.double(value)?),
            Dtype::Float32 if value.tags == Tags::of(NP_F32) => (Lane::Single, value.id),
            Dtype::Float32 => {
                let double = self.double(value)?;
                let odd = self.graph.mask(Op::NonFinite, &[double]);
                self.graph.stop(path, odd);
                let double = Self::val(double, FLOAT);
                let single = self.single(&double, path)?;
                (Lane::Single, single)
            }
            Dtype::Bool => {
                let mask = self.truth(value)?;
                let truth = Self::val(mask, BOOL);
                (Lane::Int, self.int(&truth)?)
            }
            Dtype::UInt64 | Dtype::Complex128 => return None,
            _ => {
                let word = match class {
                    Class::Int => self.int(value)?,
                    _ => {
                        // What is not finite stops, too.
                        let double = self.double(value)?;
                        self.truncate(double, path)?
                    }
                };
                (Lane::Int, self.clip(word, range, path)?)
            }
        };
        let stream = self.stream(place)?;
        if self.graph.streams[stream].rows != Rows::Dense || !self.open.is_empty() {
            return None;
        }
        let id = match path {
            None => id,
            Some(path) => {
                let old = self.element(stream, shift, lane, range);
                let both = self.graph.node(id).range.join(range);
                self.graph.add(Op::Select, lane, both, &[path, id, old])
            }
        };
        self.stored.insert((stream, shift), id);
        let mut stores = self.graph.stores.iter_mut();
        let known = stores.find(|store| (store.stream, store.shift) == (stream, shift));
        if let Some(store) = known {
            store.value = id;
        } else {
            self.graph.stores.push(Store {
                stream,
                shift,
                value: id,
            });
        }
        Some(())
    }
}
