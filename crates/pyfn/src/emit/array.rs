//! Elements of arrays.

use cranelift_codegen::ir::{
    InstBuilder, Value,
    condcodes::{FloatCC, IntCC},
    types,
};

use super::{Emitter, Val, trusted};
use crate::program::{Atom, Index};
use crate::types::{ArrayTy, BOOL, Class, Dtype, INT, NP_BOOL, NP_F32, Tags};
use crate::unsigned;

/// An index that is within bounds wherever this is known, and the place that it means: from the front.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Checked {
    index: Value,
    size: Value,
    place: Value,
}

impl Emitter<'_, '_> {
    /// Which parts of the index of a local are known to be within bounds.
    pub(super) fn known_parts(&self, of: &Atom, index: &Index) -> Vec<bool> {
        let parts = match index {
            Index::Tuple(parts) => parts.as_slice(),
            _ => std::slice::from_ref(index),
        };
        let is_known = |(dimension, part): (usize, &Index)| match (of, part) {
            (Atom::Local(of), Index::Atom(Atom::Local(index))) => {
                let fact = (*of, dimension, *index);
                let ty = &self.types[*index];
                let is_natural = ty.natural && ty.tags == Tags::of(INT) && ty.narrow.is_none();
                self.facts.contains(&fact) || is_natural && self.below.contains(&fact)
            }
            _ => false,
        };
        parts.iter().enumerate().map(is_known).collect()
    }

    /// The integers of an index, if it consists of nothing else.
    pub(super) fn int_indices(&mut self, index: &Index) -> Option<Vec<Val>> {
        let ints = Tags::INDICES.or(Tags::UNSIGNED);
        let atoms = match index {
            Index::Atom(atom) => {
                let value = self.atom(atom);
                if value.ty.parts().is_some() {
                    let all = value.parts.iter().all(|part| part.ty.tags.within(ints));
                    let parts = value.parts.iter().map(|part| self.as_index(part));
                    return all.then(|| parts.collect());
                }
                vec![atom]
            }
            Index::Tuple(parts) => {
                let mut atoms = Vec::new();
                for part in parts {
                    let Index::Atom(atom) = part else {
                        return None;
                    };
                    atoms.push(atom);
                }
                atoms
            }
            Index::Slice(_) => return None,
        };
        let values = atoms.into_iter().map(|atom| self.atom(atom));
        let values = values.collect::<Vec<_>>();
        let all = values.iter().all(|value| value.ty.tags.within(ints));
        all.then(|| values.iter().map(|value| self.as_index(value)).collect())
    }

    /// An integer as an index; leaves if it is none for certain.
    fn as_index(&mut self, value: &Val) -> Val {
        if unsigned::is_unsigned(&value.ty) {
            self.signed_of_unsigned(value)
        } else {
            value.clone()
        }
    }

    /// The index into something of that size; leaves if it is out of bounds.
    pub(super) fn in_bounds(&mut self, index: &Val, size: Value) -> Value {
        let word = self.front_of(index, size);
        let beyond = self
            .b
            .ins()
            .icmp(IntCC::UnsignedGreaterThanOrEqual, word, size);
        self.exit_if(beyond, "an index out of bounds");
        word
    }

    /// An index from the front, if it is one at all.
    pub(super) fn front_of(&mut self, index: &Val, size: Value) -> Value {
        let word = self.word(index);
        if index.ty.natural {
            return word;
        }
        let from_end = self.b.ins().iadd(word, size);
        let is_negative = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, word, 0);
        self.b.ins().select(is_negative, from_end, word)
    }

    /// The same where a size never changes: what was looked at on the way is not looked at again.
    fn in_bounds_once(&mut self, index: &Val, size: Value) -> Value {
        if self.unit.trusts_indices {
            return self.front_of(index, size);
        }
        let word = self.word(index);
        let mut known = self.checked.iter();
        let is_it = |known: &&Checked| known.index == word && known.size == size;
        if let Some(known) = known.find(is_it) {
            return known.place;
        }
        let place = self.in_bounds(index, size);
        // On a side that may not be the one that is taken nothing was looked at for certain.
        if self.side.is_none() {
            let index = word;
            self.checked.push(Checked { index, size, place });
        }
        place
    }

    /// Where an element is; `None` if there are not as many indices as dimensions.
    fn element(
        &mut self,
        of: &Val,
        array: ArrayTy,
        indices: &[Val],
        known: &[bool],
    ) -> Option<Value> {
        let fields = of.array.clone()?;
        if indices.len() != array.ndim || array.ndim == 0 {
            return None;
        }
        let mut at = fields.data?;
        for (k, index) in indices.iter().enumerate() {
            let word = if known.get(k) == Some(&true) {
                self.word(index)
            } else {
                self.in_bounds_once(index, fields.sizes[k])
            };
            // Dimension by dimension, so that the address of a row is the same in a loop along it.
            let step = if array.contiguous && k + 1 == array.ndim {
                self.b.ins().imul_imm_s(word, array.dtype.size())
            } else {
                self.b.ins().imul(word, fields.strides[k])
            };
            at = self.b.ins().iadd(at, step);
        }
        Some(at)
    }

    /// `of[indices]`, a numpy scalar.
    pub(super) fn load_element(
        &mut self,
        of: &Val,
        indices: &[Val],
        known: &[bool],
    ) -> Option<Val> {
        let array = of.ty.array()?;
        array.dtype.tag()?;
        let at = self.element(of, array, indices, known)?;
        Some(self.load_at(array.dtype, at))
    }

    /// What is read from an address.
    pub(super) fn load_at(&mut self, dtype: Dtype, at: Value) -> Val {
        let ty = dtype.element().unwrap_or_default();
        if dtype == Dtype::Float64 {
            let flt = self.load(types::F64, at, 0);
            return Self::from_flt(ty, flt);
        }
        if dtype == Dtype::Float32 {
            let single = self.load(types::F32, at, 0);
            let flt = self.b.ins().fpromote(types::F64, single);
            return Self::from_flt(ty, flt);
        }
        if dtype == Dtype::Complex128 {
            let (re, im) = (self.load(types::F64, at, 0), self.load(types::F64, at, 8));
            let value = self.complex([re, im]);
            return Val { ty, ..value };
        }
        let (ins, flags) = (self.b.ins(), trusted());
        let word = match dtype {
            Dtype::Bool | Dtype::UInt8 => ins.uload8(types::I64, flags, at, 0),
            Dtype::Int8 => ins.sload8(types::I64, flags, at, 0),
            Dtype::UInt16 => ins.uload16(types::I64, flags, at, 0),
            Dtype::Int16 => ins.sload16(types::I64, flags, at, 0),
            Dtype::UInt32 => ins.uload32(flags, at, 0),
            Dtype::Int32 => ins.sload32(flags, at, 0),
            _ => ins.load(types::I64, flags, at, 0),
        };
        Self::from_word(ty, word)
    }

    /// `of[indices] = value`; `false` if that is not done natively.
    pub(super) fn store_element(
        &mut self,
        of: &Val,
        indices: &[Val],
        known: &[bool],
        value: &Val,
    ) -> bool {
        let Some(array) = of.ty.array() else {
            return false;
        };
        let Some(class) = Self::class_of(value) else {
            return false;
        };
        let fits = match class {
            Class::Int | Class::Float => true,
            Class::Unsigned => unsigned::is_stored(array.dtype),
            Class::Complex => array.dtype == Dtype::Complex128,
            _ => false,
        };
        if !array.writable || !fits {
            return false;
        }
        let Some(at) = self.element(of, array, indices, known) else {
            return false;
        };
        match array.dtype {
            Dtype::Float64 => {
                let flt = self.double_of(value);
                self.store(flt, at, 0);
            }
            Dtype::Float32 if value.ty.tags == Tags::of(NP_F32) => {
                let flt = self.double_of(value);
                let single = match self.promoted(flt) {
                    Some(single) => single,
                    None => self.b.ins().fdemote(types::F32, flt),
                };
                self.store(single, at, 0);
            }
            Dtype::Float32 => {
                let flt = self.double_of(value);
                self.check_finite(flt);
                let narrow = self.b.ins().fdemote(types::F32, flt);
                let size = self.b.ins().fabs(narrow);
                let infinity = self.b.ins().f32const(f32::INFINITY);
                let fits = self.b.ins().fcmp(FloatCC::LessThan, size, infinity);
                self.exit_unless(fits, "a number beyond float32");
                self.store(narrow, at, 0);
            }
            Dtype::Complex128 => {
                let [re, im] = self.complex_parts(value);
                self.store(re, at, 0);
                self.store(im, at, 8);
            }
            Dtype::Bool => {
                let Some(truth) = self.truth_of(value) else {
                    return false;
                };
                self.b.ins().istore8(trusted(), truth, at, 0);
            }
            dtype => {
                let word = match class {
                    Class::Int | Class::Unsigned => self.word(value),
                    _ => self.flt_to_word(value),
                };
                let own = dtype.tag().map_or(Tags::default(), Tags::of);
                let exact = Tags(1 << BOOL | 1 << NP_BOOL).or(own);
                let exact = value.ty.tags.within(exact);
                if !exact {
                    self.check_range(dtype, word);
                }
                match dtype.size() {
                    1 => self.b.ins().istore8(trusted(), word, at, 0),
                    2 => self.b.ins().istore16(trusted(), word, at, 0),
                    4 => self.b.ins().istore32(trusted(), word, at, 0),
                    _ => self.b.ins().store(trusted(), word, at, 0),
                };
            }
        }
        true
    }

    fn flt_to_word(&mut self, value: &Val) -> Value {
        let flt = self.flt(value);
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        let limit = self.b.ins().f64const(i64::MAX as f64);
        let size = self.b.ins().fabs(flt);
        let fits = self.b.ins().fcmp(FloatCC::LessThan, size, limit);
        self.exit_unless(fits, "a number beyond 64 bits");
        self.b.ins().fcvt_to_sint_sat(types::I64, flt)
    }

    /// Leaves unless the integer is one of the dtype.
    pub(super) fn check_range(&mut self, dtype: Dtype, word: Value) {
        let (low, n_values) = match dtype {
            Dtype::Int8 => (-128, 1 << 8),
            Dtype::UInt8 => (0, 1 << 8),
            Dtype::Int16 => (-(1 << 15), 1 << 16),
            Dtype::UInt16 => (0, 1 << 16),
            Dtype::Int32 => (-(1 << 31), 1 << 32),
            Dtype::UInt32 => (0, 1 << 32),
            Dtype::UInt64 => {
                let negative = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, word, 0);
                self.exit_if(negative, "a negative number in an unsigned array");
                return;
            }
            _ => return,
        };
        let moved = self.b.ins().iadd_imm_s(word, -low);
        let limit = self.int(n_values);
        let fits = self.b.ins().icmp(IntCC::UnsignedLessThan, moved, limit);
        self.exit_unless(fits, "a number beyond the array's dtype");
    }
}
