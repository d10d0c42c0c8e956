//! The language in which the routines are written: values of all lanes at once, with operators.
//!
//! A routine is a Rust function from [`Value`]s to a [`Value`], such as
//! `let n = x.mul_add(LOG2_E, magic) - magic;`. Running it *records* a [`Program`]. The program is
//! then interpreted (the meaning) or emitted for an instruction set (the purpose), so that every
//! routine is written once for all instruction sets, widths and, where the method allows, for
//! both precisions.
//!
//! Equal values are recorded once. What an instruction set lacks is composed here from what it
//! has: there is no fused multiply-add on SSE2 ([`Lanes::is_fused`]), so [`Value::mul_add`] rounds
//! twice there, and where an exact product matters a routine asks for [`Value::two_prod`].

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Sub};

use super::Isa;
use super::program::{Elem, Id, Merge, Node, Opcode, Predicate, Program, Region};

/// A recording in progress.
pub(crate) struct Lanes {
    isa: Isa,
    elem: Cell<Elem>,
    recording: RefCell<Recording>,
}

struct Recording {
    nodes: Vec<Node>,
    regions: Vec<Region>,
    tables: Vec<&'static [u64]>,
    /// Open regions, the innermost last, with the values known in each.
    open: Vec<(usize, Known)>,
}

/// Values by what they compute.
type Known = HashMap<Node, Id, BuildHasherDefault<NodeHasher>>;

/// Multiplies and rotates: the keys are few and our own.
#[derive(Default)]
struct NodeHasher(u64);

impl Hasher for NodeHasher {
    fn finish(&self) -> u64 {
        // The high bits are the better ones, and tables index by the low ones.
        self.0.rotate_left(26)
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_isize(&mut self, word: isize) {
        self.write(&word.to_ne_bytes());
    }
}

impl Recording {
    fn push(&mut self, node: Node) -> Id {
        for (_, known) in &self.open {
            if let Some(&id) = known.get(&node) {
                return id;
            }
        }
        let id = self.push_new(node);
        if let Some((_, known)) = self.open.last_mut() {
            known.insert(node, id);
        }
        id
    }

    fn push_new(&mut self, node: Node) -> Id {
        let id = Id(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        if let Some(&(region, _)) = self.open.last() {
            self.regions[region].body.push(id);
        }
        id
    }

    fn enter(&mut self) -> usize {
        let region = self.regions.len();
        self.regions.push(Region::default());
        self.open.push((region, Known::default()));
        region
    }
}

impl Lanes {
    /// Records what `routine` does to `n_arguments` arguments with lanes of type `elem`.
    pub(crate) fn record(
        isa: Isa,
        elem: Elem,
        n_arguments: usize,
        routine: impl for<'l> FnOnce(&'l Lanes, &[Value<'l>]) -> Value<'l>,
    ) -> Program {
        let mut recording = Recording {
            nodes: vec![],
            regions: vec![],
            tables: vec![],
            open: vec![],
        };
        recording.enter();
        let lanes = Lanes {
            isa,
            elem: Cell::new(elem),
            recording: RefCell::new(recording),
        };
        let arguments: Vec<Value> = (0..3_u8)
            .take(n_arguments)
            .map(|i| lanes.value(Opcode::Argument(i), elem, &[]))
            .collect();
        let result = routine(&lanes, &arguments).id;
        let Recording {
            nodes,
            regions,
            tables,
            ..
        } = lanes.recording.into_inner();
        let program = Program {
            nodes,
            regions,
            tables,
            result,
        };
        program.pruned()
    }

    /// Whether [`Value::mul_add`] rounds once.
    pub(crate) fn is_fused(&self) -> bool {
        self.isa != Isa::Sse2
    }

    /// Whether the instructions that only AVX-512 has may be used.
    pub(crate) fn is_avx512(&self) -> bool {
        self.isa == Isa::Avx512
    }

    /// The type of lanes that constants get now.
    pub(crate) fn elem(&self) -> Elem {
        self.elem.get()
    }

    fn push(&self, op: Opcode, elem: Elem, args: &[Id]) -> Id {
        self.recording.borrow_mut().push(Node::new(op, elem, args))
    }

    fn value(&self, op: Opcode, elem: Elem, args: &[Id]) -> Value<'_> {
        let id = match self.folded(op, elem, args) {
            Some(constant) => self.push(constant, elem, &[]),
            None => self.push(op, elem, args),
        };
        Value { lanes: self, id }
    }

    /// The constant that an operation on two constants is.
    fn folded(&self, op: Opcode, elem: Elem, args: &[Id]) -> Option<Opcode> {
        let &[a, b] = args else { return None };
        let recording = self.recording.borrow();
        let constant = |id: Id| match recording.nodes[id.index()].op {
            Opcode::Constant(bits) => Some(bits),
            _ => None,
        };
        fold(op, elem, constant(a)?, constant(b)?).map(Opcode::Constant)
    }

    fn mask(&self, op: Opcode, elem: Elem, args: &[Id]) -> Mask<'_> {
        Mask {
            lanes: self,
            id: self.push(op, elem, args),
        }
    }

    /// Runs `step` on `state` again and again until the mask it returns is clear in all lanes.
    /// In each turn, lanes outside of the mask keep their state.
    pub(crate) fn repeat<'l, const N: usize>(
        &'l self,
        state: [Value<'l>; N],
        step: impl FnOnce([Value<'l>; N]) -> (Mask<'l>, [Value<'l>; N]),
    ) -> [Value<'l>; N] {
        let region = self.recording.borrow_mut().enter();
        let fresh_node = |op| {
            let node = Node::new(op, self.elem(), &[]);
            Value {
                lanes: self,
                id: self.recording.borrow_mut().push_new(node),
            }
        };
        let states = state.map(|_| fresh_node(Opcode::State));
        let (mask, fresh) = step(states);
        let mut states_left = states.iter();
        let fresh = fresh.map(|fresh| match states_left.next() {
            Some(&state) => mask.select(fresh, state),
            None => fresh,
        });
        self.recording.borrow_mut().open.pop();
        let number = u16::try_from(region).unwrap_or(u16::MAX);
        // The old values are arguments too far: they are found in the merges.
        let node = Node::new(Opcode::Loop(number), self.elem(), &[]);
        self.recording.borrow_mut().push_new(node);
        let merged = fresh.map(|_| fresh_node(Opcode::Merged));
        let recording = &mut *self.recording.borrow_mut();
        let region = &mut recording.regions[region];
        region.mask = Some(mask.id);
        region.states = states.iter().map(|value| value.id).collect();
        region.merges = merges(&fresh, &state, &merged);
        merged
    }

    /// A table for [`Value::gather`].
    fn table(&self, table: &'static [u64]) -> u8 {
        let tables = &mut self.recording.borrow_mut().tables;
        let index = tables.iter().position(|known| std::ptr::eq(*known, table));
        let index = index.unwrap_or_else(|| {
            tables.push(table);
            tables.len() - 1
        });
        u8::try_from(index).unwrap_or(u8::MAX)
    }
}

fn merges(fresh: &[Value], old: &[Value], merged: &[Value]) -> Vec<Merge> {
    let olds_and_merged = old.iter().zip(merged);
    let all = fresh.iter().zip(olds_and_merged);
    all.map(|(fresh, (old, merged))| Merge {
        fresh: fresh.id,
        old: old.id,
        merged: merged.id,
    })
    .collect()
}

/// The bits of `x` as a lane of type `elem`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounding is what is asked for"
)]
pub(crate) fn encode(x: f64, elem: Elem) -> u64 {
    match elem {
        Elem::F64 => x.to_bits(),
        Elem::F32 => u64::from((x as f32).to_bits()),
    }
}

/// A lane's number; every single-precision number is one in double precision.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the bits of a single are the low half"
)]
pub(crate) fn as_double(bits: u64, elem: Elem) -> f64 {
    match elem {
        Elem::F64 => f64::from_bits(bits),
        Elem::F32 => f64::from(f32::from_bits(bits as u32)),
    }
}

/// The result of an operation on two constants, where it is worth computing beforehand.
fn fold(op: Opcode, elem: Elem, a: u64, b: u64) -> Option<u64> {
    let (x, y) = (as_double(a, elem), as_double(b, elem));
    // Sums and products of two singles may be rounded by way of double (Figueroa 1995).
    Some(match op {
        Opcode::Add => encode(x + y, elem),
        Opcode::Sub => encode(x - y, elem),
        Opcode::Mul => encode(x * y, elem),
        Opcode::Xor => a ^ b,
        _ => return None,
    })
}

/// A vector.
#[derive(Clone, Copy)]
pub(crate) struct Value<'l> {
    lanes: &'l Lanes,
    id: Id,
}

/// A truth value for each lane.
#[derive(Clone, Copy)]
pub(crate) struct Mask<'l> {
    lanes: &'l Lanes,
    id: Id,
}

/// What may stand beside a value: a value, or a number that becomes a constant.
pub(crate) trait Operand<'l> {
    /// As a value of the same type as `beside`.
    fn beside(self, beside: Value<'l>) -> Value<'l>;
}

impl<'l> Operand<'l> for Value<'l> {
    fn beside(self, _: Value<'l>) -> Value<'l> {
        self
    }
}

impl<'l> Operand<'l> for f64 {
    fn beside(self, beside: Value<'l>) -> Value<'l> {
        let elem = beside.elem();
        beside
            .lanes
            .value(Opcode::Constant(encode(self, elem)), elem, &[])
    }
}

/// Numbers for [`Value::lookup`]: as many as two registers hold.
#[derive(Debug)]
pub(crate) struct Table {
    double: [u64; 16],
    single: [u64; 32],
}

impl Table {
    /// Entries for both precisions.
    pub(crate) const fn new(double: [f64; 16], single: [f32; 32]) -> Table {
        let mut table = Table::double(double);
        let mut i = 0;
        while i < 32 {
            table.single[i] = single[i].to_bits() as u64;
            i += 1;
        }
        table
    }

    /// Entries for single precision alone.
    pub(crate) const fn single(single: [f32; 32]) -> Table {
        Table::new([0.0; 16], single)
    }

    /// Entries for double precision alone.
    pub(crate) const fn double(double: [f64; 16]) -> Table {
        let mut table = Table {
            double: [0; 16],
            single: [0; 32],
        };
        let mut i = 0;
        while i < 16 {
            table.double[i] = double[i].to_bits();
            i += 1;
        }
        table
    }
}

/// A number in double and in single precision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Both(pub(crate) f64, pub(crate) f64);

impl<'l> Operand<'l> for Both {
    fn beside(self, beside: Value<'l>) -> Value<'l> {
        match beside.elem() {
            Elem::F64 => self.0.beside(beside),
            Elem::F32 => self.1.beside(beside),
        }
    }
}

impl<'l> Value<'l> {
    /// The recording, for constants.
    pub(crate) fn lanes(self) -> &'l Lanes {
        self.lanes
    }

    /// The type of the value's lanes.
    pub(crate) fn elem(self) -> Elem {
        let node = self.lanes.recording.borrow().nodes[self.id.index()];
        match node.op {
            Opcode::WidenLow | Opcode::WidenHigh => Elem::F64,
            Opcode::Narrow => Elem::F32,
            _ => node.elem,
        }
    }

    fn unary(self, op: Opcode) -> Value<'l> {
        self.lanes.value(op, self.elem(), &[self.id])
    }

    fn binary(self, op: Opcode, b: impl Operand<'l>) -> Value<'l> {
        let b = b.beside(self);
        debug_assert_eq!(self.elem(), b.elem(), "{op:?}");
        self.lanes.value(op, self.elem(), &[self.id, b.id])
    }

    fn ternary(self, op: Opcode, b: Value<'l>, c: Value<'l>) -> Value<'l> {
        debug_assert!(self.elem() == b.elem() && self.elem() == c.elem(), "{op:?}");
        self.lanes.value(op, self.elem(), &[self.id, b.id, c.id])
    }

    fn compare(self, predicate: Predicate, b: impl Operand<'l>) -> Mask<'l> {
        let b = b.beside(self);
        self.lanes
            .mask(Opcode::Compare(predicate), self.elem(), &[self.id, b.id])
    }

    /// A constant of this value's type.
    pub(crate) fn constant(self, x: impl Operand<'l>) -> Value<'l> {
        x.beside(self)
    }

    /// A constant of this value's type, given by its bits.
    pub(crate) fn bits(self, bits: u64) -> Value<'l> {
        self.lanes.value(Opcode::Constant(bits), self.elem(), &[])
    }

    /// `self · b + c`, rounded once where the instruction set fuses.
    pub(crate) fn mul_add(self, b: impl Operand<'l>, c: impl Operand<'l>) -> Value<'l> {
        let (b, c) = (b.beside(self), c.beside(self));
        if self.lanes.is_fused() {
            self.ternary(Opcode::MulAdd, b, c)
        } else {
            self * b + c
        }
    }

    /// `self · b − c`, rounded once where the instruction set fuses.
    pub(crate) fn mul_sub(self, b: impl Operand<'l>, c: impl Operand<'l>) -> Value<'l> {
        let (b, c) = (b.beside(self), c.beside(self));
        if self.lanes.is_fused() {
            self.ternary(Opcode::MulSub, b, c)
        } else {
            self * b - c
        }
    }

    /// `c − self · b`, rounded once where the instruction set fuses.
    pub(crate) fn neg_mul_add(self, b: impl Operand<'l>, c: impl Operand<'l>) -> Value<'l> {
        let (b, c) = (b.beside(self), c.beside(self));
        if self.lanes.is_fused() {
            self.ternary(Opcode::NegMulAdd, b, c)
        } else {
            c - self * b
        }
    }

    pub(crate) fn sqrt(self) -> Value<'l> {
        self.unary(Opcode::Sqrt)
    }

    /// `self < b ? self : b`: `b` where either is NaN.
    pub(crate) fn min(self, b: impl Operand<'l>) -> Value<'l> {
        self.binary(Opcode::Min, b)
    }

    /// `self > b ? self : b`: `b` where either is NaN.
    pub(crate) fn max(self, b: impl Operand<'l>) -> Value<'l> {
        self.binary(Opcode::Max, b)
    }

    /// `max(low, min(self, high))`; NaN stays.
    pub(crate) fn clamp(self, low: impl Operand<'l>, high: impl Operand<'l>) -> Value<'l> {
        let below = self.constant(high).min(self);
        self.constant(low).max(below)
    }

    /// Towards zero; SSE2 has no instruction for it.
    pub(crate) fn truncate_instruction(self) -> Value<'l> {
        debug_assert!(self.lanes.is_fused());
        self.unary(Opcode::Truncate)
    }

    pub(crate) fn bit_and(self, b: impl Operand<'l>) -> Value<'l> {
        self.binary(Opcode::And, b)
    }

    pub(crate) fn bit_or(self, b: impl Operand<'l>) -> Value<'l> {
        self.binary(Opcode::Or, b)
    }

    pub(crate) fn bit_xor(self, b: impl Operand<'l>) -> Value<'l> {
        self.binary(Opcode::Xor, b)
    }

    pub(crate) fn abs(self) -> Value<'l> {
        match self.elem() {
            Elem::F64 => self.bit_and(self.bits(!0 >> 1)),
            Elem::F32 => self.bit_and(self.bits(0x7fff_ffff)),
        }
    }

    /// The sign bit, all others zero.
    pub(crate) fn sign(self) -> Value<'l> {
        self.bit_and(-0.0)
    }

    /// `self` with the sign bit of `x` besides its own.
    pub(crate) fn or_sign_of(self, x: Value<'l>) -> Value<'l> {
        if self.lanes.is_avx512() {
            return self.ternary(Opcode::OrAnd, x, self.constant(-0.0));
        }
        self.bit_or(x.sign())
    }

    /// `self`, negated where the sign bit of `x` is set.
    pub(crate) fn xor_sign_of(self, x: Value<'l>) -> Value<'l> {
        if self.lanes.is_avx512() {
            return self.ternary(Opcode::XorAnd, x, self.constant(-0.0));
        }
        self.bit_xor(x.sign())
    }

    /// Addition of the bits as integers.
    pub(crate) fn int_add(self, b: Value<'l>) -> Value<'l> {
        self.binary(Opcode::IntAdd, b)
    }

    /// Subtraction of the bits as integers.
    pub(crate) fn int_sub(self, b: Value<'l>) -> Value<'l> {
        self.binary(Opcode::IntSub, b)
    }

    pub(crate) fn shift_left(self, count: u8) -> Value<'l> {
        self.unary(Opcode::ShiftLeft(count))
    }

    /// Zeros come in from the left.
    pub(crate) fn shift_right(self, count: u8) -> Value<'l> {
        self.unary(Opcode::ShiftRight(count))
    }

    /// Arithmetic shift of each 32-bit half.
    pub(crate) fn shift_right_halves(self, count: u8) -> Value<'l> {
        self.unary(Opcode::ShiftRightHalves(count))
    }

    /// `self` with a magnitude of at most `limit`; ±`limit` for NaN (AVX-512 only).
    pub(crate) fn limit_instruction(self, limit: impl Operand<'l>) -> Value<'l> {
        debug_assert!(self.lanes.is_avx512());
        self.binary(Opcode::Limit, limit)
    }

    /// The larger magnitude of two, of a number and NaN the number's (AVX-512 only).
    pub(crate) fn larger_instruction(self, b: Value<'l>) -> Value<'l> {
        debug_assert!(self.lanes.is_avx512());
        self.binary(Opcode::Larger, b)
    }

    /// `1 / self` to 14 bits (AVX-512 only).
    pub(crate) fn reciprocal_instruction(self) -> Value<'l> {
        debug_assert!(self.lanes.is_avx512());
        self.unary(Opcode::Reciprocal)
    }

    /// `self · 2^⌊n⌋`, one rounding (AVX-512 only).
    pub(crate) fn scale_instruction(self, n: Value<'l>) -> Value<'l> {
        debug_assert!(self.lanes.is_avx512());
        self.binary(Opcode::Scale, n)
    }

    /// A finite `self` less the nearest integer (AVX-512 only).
    pub(crate) fn fraction_instruction(self) -> Value<'l> {
        debug_assert!(self.lanes.is_avx512());
        self.unary(Opcode::Fraction)
    }

    /// `⌊log₂|self|⌋` (AVX-512 only).
    pub(crate) fn exponent_instruction(self) -> Value<'l> {
        debug_assert!(self.lanes.is_avx512());
        self.unary(Opcode::Exponent)
    }

    /// The significand in [1, 2) (AVX-512 only).
    pub(crate) fn significand_instruction(self) -> Value<'l> {
        debug_assert!(self.lanes.is_avx512());
        self.unary(Opcode::Significand)
    }

    /// The significand in [¾, 3/2) (AVX-512 only).
    pub(crate) fn centred_significand_instruction(self) -> Value<'l> {
        debug_assert!(self.lanes.is_avx512());
        self.unary(Opcode::CentredSignificand)
    }

    /// `self`, replaced where `x` is special as `table` says (AVX-512 only): one digit each for
    /// quiet NaN, signalling NaN, zero, one, −∞, +∞, negative, positive, the lowest first;
    /// 0 keeps `self`, 1 is `x`, 3 NaN, 4 −∞, 5 +∞, 8 zero.
    pub(crate) fn fixup_instruction(self, x: Value<'l>, table: u64) -> Value<'l> {
        debug_assert!(self.lanes.is_avx512());
        let table = self.bits(table);
        self.ternary(Opcode::Fixup, x, table)
    }

    /// `table[self]` for integer lanes, which must be indices of the table.
    pub(crate) fn gather(self, table: &'static [u64]) -> Value<'l> {
        let table = self.lanes.table(table);
        self.unary(Opcode::Gather(table))
    }

    /// The entry that the low bits of `self` number; cheap only on AVX-512, where alone single
    /// precision has it.
    pub(crate) fn lookup(self, table: &'static Table) -> Value<'l> {
        if !self.lanes.is_avx512() {
            debug_assert_eq!(self.elem(), Elem::F64);
            return self.bit_and(self.bits(15)).gather(&table.double);
        }
        let table = self.lanes.table(match self.elem() {
            Elem::F64 => &table.double,
            Elem::F32 => &table.single,
        });
        self.unary(Opcode::Lookup(table))
    }

    pub(crate) fn equal(self, b: impl Operand<'l>) -> Mask<'l> {
        self.compare(Predicate::Equal, b)
    }

    /// Not equal; NaN differs from everything.
    pub(crate) fn differs(self, b: impl Operand<'l>) -> Mask<'l> {
        self.compare(Predicate::Differs, b)
    }

    pub(crate) fn less(self, b: impl Operand<'l>) -> Mask<'l> {
        self.compare(Predicate::Less, b)
    }

    pub(crate) fn less_equal(self, b: impl Operand<'l>) -> Mask<'l> {
        self.compare(Predicate::LessEqual, b)
    }

    pub(crate) fn greater(self, b: impl Operand<'l>) -> Mask<'l> {
        b.beside(self).less(self)
    }

    pub(crate) fn greater_equal(self, b: impl Operand<'l>) -> Mask<'l> {
        b.beside(self).less_equal(self)
    }

    /// Not less; true for NaN.
    pub(crate) fn not_less(self, b: impl Operand<'l>) -> Mask<'l> {
        self.compare(Predicate::NotLess, b)
    }

    /// Not greater; true for NaN.
    pub(crate) fn not_greater(self, b: impl Operand<'l>) -> Mask<'l> {
        b.beside(self).compare(Predicate::NotLess, self)
    }

    pub(crate) fn is_nan(self) -> Mask<'l> {
        self.compare(Predicate::Unordered, self)
    }

    /// Whether the bit with this number is set.
    pub(crate) fn test_bit(self, bit: u8) -> Mask<'l> {
        self.lanes
            .mask(Opcode::TestBit(bit), self.elem(), &[self.id])
    }

    /// Whether the sign bit is set.
    pub(crate) fn is_sign_set(self) -> Mask<'l> {
        self.test_bit(match self.elem() {
            Elem::F64 => 63,
            Elem::F32 => 31,
        })
    }

    /// `self · b` exactly, as a sum of two, for products that neither overflow nor become
    /// subnormal (Dekker 1971; one fused operation where there is one).
    pub(crate) fn two_prod(self, b: impl Operand<'l>) -> (Value<'l>, Value<'l>) {
        let b = b.beside(self);
        let product = self * b;
        if self.lanes.is_fused() {
            return (product, self.mul_sub(b, product));
        }
        let (a_high, a_low) = self.split();
        let (b_high, b_low) = b.split();
        let error = a_high * b_high - product + a_high * b_low + a_low * b_high + a_low * b_low;
        (product, error)
    }

    /// `c − self · b`, where the product is exact and close to `c`.
    pub(crate) fn residual(self, b: Value<'l>, c: Value<'l>) -> Value<'l> {
        if self.lanes.is_fused() {
            return self.neg_mul_add(b, c);
        }
        let (product, error) = self.two_prod(b);
        (c - product) - error
    }

    /// `self` as a sum of two numbers of half as many bits, by masking the low half of the bits.
    pub(crate) fn split(self) -> (Value<'l>, Value<'l>) {
        let high = self.high_half();
        (high, self - high)
    }

    /// `self` with the low half of its significand cleared: products of such are exact.
    pub(crate) fn high_half(self) -> Value<'l> {
        match self.elem() {
            Elem::F64 => self.bit_and(self.bits(!0 << 27)),
            Elem::F32 => self.bit_and(self.bits(0xffff_f000)),
        }
    }

    /// `self + b` exactly, as a sum of two (Knuth 1969).
    pub(crate) fn two_sum(self, b: impl Operand<'l>) -> (Value<'l>, Value<'l>) {
        let b = b.beside(self);
        let sum = self + b;
        let b_part = sum - self;
        let error = (self - (sum - b_part)) + (b - b_part);
        (sum, error)
    }

    /// `self + b` exactly, as a sum of two, if `self` is zero or has the larger exponent
    /// (Dekker 1971).
    pub(crate) fn fast_two_sum(self, b: impl Operand<'l>) -> (Value<'l>, Value<'l>) {
        let b = b.beside(self);
        let sum = self + b;
        (sum, b - (sum - self))
    }

    /// The polynomial with these coefficients, the constant term first, by Estrin's scheme: a
    /// few operations more than Horner's, but a chain of dependent ones only as long as the
    /// logarithm of the degree.
    pub(crate) fn estrin(self, coefficients: &[f64]) -> Value<'l> {
        let mut terms: Vec<Value> = coefficients
            .iter()
            .map(|&coefficient| self.constant(coefficient))
            .collect();
        let mut power = self;
        while terms.len() > 1 {
            terms = terms
                .chunks(2)
                .map(|pair| match *pair {
                    [low, high] => high.mul_add(power, low),
                    [low, ..] => low,
                    [] => unreachable!("chunks are not empty"),
                })
                .collect();
            if terms.len() > 1 {
                power = power * power;
            }
        }
        terms[0]
    }

    /// The polynomial by Horner's scheme: as few operations as there can be.
    pub(crate) fn horner(self, coefficients: &[f64]) -> Value<'l> {
        let mut rest = coefficients.iter().rev();
        let highest = rest.next().copied().unwrap_or(0.0);
        rest.fold(self.constant(highest), |sum, &coefficient| {
            sum.mul_add(self, coefficient)
        })
    }

    /// The polynomial with the coefficients for the precision of the lanes, by Estrin's scheme.
    pub(crate) fn polynomial(self, double: &[f64], single: &[f64]) -> Value<'l> {
        match self.elem() {
            Elem::F64 => self.estrin(double),
            Elem::F32 => self.estrin(single),
        }
    }

    /// Applies `f` in double precision: twice, to the two halves of the lanes.
    pub(crate) fn widened(self, f: impl Fn(Value<'l>) -> Value<'l>) -> Value<'l> {
        let lanes = self.lanes;
        lanes.elem.set(Elem::F64);
        let [low, high] = [Opcode::WidenLow, Opcode::WidenHigh]
            .map(|half| f(lanes.value(half, Elem::F32, &[self.id])));
        lanes.elem.set(Elem::F32);
        lanes.value(Opcode::Narrow, Elem::F64, &[low.id, high.id])
    }

    /// As [`Value::widened`], for two results.
    pub(crate) fn widened_pair(self, f: impl Fn(Value<'l>) -> [Value<'l>; 2]) -> [Value<'l>; 2] {
        let lanes = self.lanes;
        lanes.elem.set(Elem::F64);
        let [low, high] = [Opcode::WidenLow, Opcode::WidenHigh]
            .map(|half| f(lanes.value(half, Elem::F32, &[self.id])));
        lanes.elem.set(Elem::F32);
        [0, 1].map(|i| lanes.value(Opcode::Narrow, Elem::F64, &[low[i].id, high[i].id]))
    }

    /// Applies `f` in double precision to `self` and `b`.
    pub(crate) fn widened_with(
        self,
        b: Value<'l>,
        f: impl Fn(Value<'l>, Value<'l>) -> Value<'l>,
    ) -> Value<'l> {
        let lanes = self.lanes;
        lanes.elem.set(Elem::F64);
        let [low, high] = [Opcode::WidenLow, Opcode::WidenHigh].map(|half| {
            let widen = |value: Value<'l>| lanes.value(half, Elem::F32, &[value.id]);
            f(widen(self), widen(b))
        });
        lanes.elem.set(Elem::F32);
        lanes.value(Opcode::Narrow, Elem::F64, &[low.id, high.id])
    }
}

impl<'l> Mask<'l> {
    fn elem(self) -> Elem {
        self.lanes.recording.borrow().nodes[self.id.index()].elem
    }

    fn binary(self, op: Opcode, b: Mask<'l>) -> Mask<'l> {
        self.lanes.mask(op, self.elem(), &[self.id, b.id])
    }

    /// `self & !b`.
    pub(crate) fn and_not(self, b: Mask<'l>) -> Mask<'l> {
        b.binary(Opcode::MaskAndNot, self)
    }

    /// `yes` in the lanes of the mask, `no` in the others.
    pub(crate) fn select(self, yes: Value<'l>, no: impl Operand<'l>) -> Value<'l> {
        let no = no.beside(yes);
        debug_assert_eq!(yes.elem(), no.elem());
        self.lanes
            .value(Opcode::Select, yes.elem(), &[self.id, yes.id, no.id])
    }

    /// `old`, replaced in the lanes of the mask by what `fresh` computes. It is not run if no
    /// lane is in the mask, so this is for what is rare and long.
    pub(crate) fn replace<const N: usize>(
        self,
        old: [Value<'l>; N],
        fresh: impl FnOnce() -> [Value<'l>; N],
    ) -> [Value<'l>; N] {
        let lanes = self.lanes;
        let region = lanes.recording.borrow_mut().enter();
        let mut olds = old.iter();
        let fresh = fresh().map(|fresh| match olds.next() {
            Some(&old) => self.select(fresh, old),
            None => fresh,
        });
        lanes.recording.borrow_mut().open.pop();
        let number = u16::try_from(region).unwrap_or(u16::MAX);
        let push_new = |node| lanes.recording.borrow_mut().push_new(node);
        push_new(Node::new(Opcode::Rare(number), self.elem(), &[self.id]));
        let merged = old.map(|old| Value {
            lanes,
            id: push_new(Node::new(Opcode::Merged, old.elem(), &[])),
        });
        let region = &mut lanes.recording.borrow_mut().regions[region];
        region.mask = Some(self.id);
        region.merges = merges(&fresh, &old, &merged);
        merged
    }
}

impl<'l> BitAnd for Mask<'l> {
    type Output = Mask<'l>;

    fn bitand(self, b: Mask<'l>) -> Mask<'l> {
        self.binary(Opcode::MaskAnd, b)
    }
}

impl<'l> BitOr for Mask<'l> {
    type Output = Mask<'l>;

    fn bitor(self, b: Mask<'l>) -> Mask<'l> {
        self.binary(Opcode::MaskOr, b)
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $op:expr) => {
        impl<'l, B: Operand<'l>> $trait<B> for Value<'l> {
            type Output = Value<'l>;

            fn $method(self, b: B) -> Value<'l> {
                self.binary($op, b)
            }
        }

        operator!(f64; $trait, $method, $op);
    };
    ($left:ty; $trait:ident, $method:ident, $op:expr) => {
        impl<'l> $trait<Value<'l>> for $left {
            type Output = Value<'l>;

            fn $method(self, b: Value<'l>) -> Value<'l> {
                self.beside(b).binary($op, b)
            }
        }
    };
}

operator!(Add, add, Opcode::Add);
operator!(Sub, sub, Opcode::Sub);
operator!(Mul, mul, Opcode::Mul);
operator!(Div, div, Opcode::Div);

operator!(Both; Add, add, Opcode::Add);
operator!(Both; Sub, sub, Opcode::Sub);
operator!(Both; Mul, mul, Opcode::Mul);

impl<'l> Neg for Value<'l> {
    type Output = Value<'l>;

    fn neg(self) -> Value<'l> {
        self.bit_xor(-0.0)
    }
}
