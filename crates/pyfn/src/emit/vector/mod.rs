//! Loops over arrays, by the vector.
//!
//! An innermost loop `for i in range(a, b)` that computes elements from elements and numbers, row by
//! row, gets a *kernel*: a function of its own that does as many rows as it can, several at a time.
//! The scalar loop does what is left: rows that are fewer than a vector's, where there are no masks,
//! and the row at which the kernel stopped, because something happens in it that leaves the function.
//!
//! ```text
//! body ─ read ─▶ Graph (values of a turn, stops, stores) ─ kernel ─▶ code
//!                └ words: what the kernel is given ─▶ this module: stored before the loop
//! ```
//! The kernel is called where the loop is entered and at each of its pauses, so that signals are
//! looked at as in any loop.
//!
//! Loops inside may be part of a row, as in `for j: s = 0.0; for k: s += a[i, k] * b[k, j]; c[i, j] =
//! s`: the rows' sums are computed side by side, each in its own order.
//!
//! What a row takes from the row before may be a sum, a product, a count or an extreme element: the
//! rows' parts are computed side by side and put together as the scalar loop would (`carry`).
//!
//! # Exactness
//! A row is computed by the operations of the scalar code in the same order; nothing is reordered or
//! contracted. Rows may be done together if none reads what an earlier one writes. Within an array
//! that is known from the indices; of two arrays it is asked before the loop. What every row binds is
//! bound by the last, which is left to the scalar loop if somebody reads it.

mod arithmetic;
mod callout;
mod calls;
mod carry;
mod delayed;
mod elements;
mod fold;
mod formulas;
mod graph;
mod index;
mod instructions;
mod kernel;
mod libm;
mod memory;
mod nest;
mod operands;
mod overlap;
mod read;
mod routines;
mod row;
mod seal;
mod spill;
mod tables;
#[cfg(test)]
mod tests;
mod thunk;
mod ufuncs;

use std::sync::OnceLock;

use cranelift_codegen::ir::{
    self, InstBuilder, StackSlot, Value, condcodes::FloatCC, condcodes::IntCC, types,
};
use cranelift_frontend::Variable;
use opcodon_asm::{Assembler, gpr};
use opcodon_codemem::{Code, CodeHeap};

use self::carry::Hand;
pub(super) use self::formulas::{SQUARE_LIMIT, SQUARE_NEAR};
use self::graph::Range;
use self::index::{Bound, Linear, Place, Term, Word};
use self::kernel::Isa;
pub(super) use self::libm::knows_powers;
use self::overlap::{Pair, pairs, rows_are_apart};
pub(super) use self::read::Row;
use self::read::{Loop, Read};
use super::frame::TICKS;
use super::{Array, Emitter};
use crate::program::{Local, Statement};
use crate::types::{Dtype, NP_INT, Tags};
use crate::unit::{VectorLoop, has_loops};

/// A loop's kernel and what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    address: usize,
    /// The kernel's arguments.
    slot: StackSlot,
    /// Whether it may do the last row.
    does_last: bool,
    /// Whether there are loops inside.
    has_loops: bool,
    /// What rows carry over.
    hands: Vec<Hand>,
    /// Bytes of the kernel's arguments, if rows may be done on several threads: nothing stops them, and
    /// nothing is carried over.
    on_threads: Option<i64>,
}

/// Rows, times turns of the loops inside, from which on threads are worth while.
const N_TURNS_FOR_THREADS: i64 = 1 << 18;

/// Rows below which the kernel is not worth its call: of rows that are loops, of rows that are not, and of
/// such as are put together in the end.
const N_ROWS_MIN: [i64; 3] = [8, 16, 24];

/// Pairs of arrays beyond which it is not worth asking whether they overlap.
const N_PAIRS_MAX: usize = 16;

/// A call of a kernel whose address is the first argument.
fn caller() -> Option<usize> {
    static CALLER: OnceLock<Option<Code>> = OnceLock::new();
    let code = CALLER.get_or_init(|| {
        let mut asm = Assembler::new();
        asm.mov_rr(gpr::RAX, gpr::RDI);
        asm.mov_rr(gpr::RDI, gpr::RSI);
        asm.mov_rr(gpr::RSI, gpr::RDX);
        asm.mov_rr(gpr::RDX, gpr::RCX);
        asm.jmp_r(gpr::RAX);
        let bytes = asm.finish().ok()?;
        CodeHeap::global().install(bytes).ok()
    });
    code.as_ref().map(|code| code.address() as usize)
}

impl Emitter<'_, '_> {
    /// Makes the kernel of an innermost loop over a range with step 1, or over an array, if it is one for vectors, and
    /// hands over what does not change.
    pub(super) fn vectorise(
        &mut self,
        statement: &Statement,
        row: Row,
        [from, to]: [Variable; 2],
        body: &[Statement],
    ) -> Option<Vector> {
        let isa = Isa::best()?;
        caller()?;
        // Between two pieces of such a loop Python does not get the loop's state.
        if has_loops(body) && self.info.program.has_handlers {
            return None;
        }
        let read = read::read(
            &Loop {
                unit: self.unit,
                info: &self.info,
                types: &self.types,
                facts: &self.facts,
                row,
                id: statement.id,
                isa,
                libm: &self.rt.libm,
            },
            body,
        )?;
        let pairs = pairs(&read, &self.types);
        if pairs.len() > N_PAIRS_MAX {
            return None;
        }
        let hands = Hand::all(&read)?;
        let (bytes, n_lanes) = kernel::emit(&read.graph, isa)?;
        let code = CodeHeap::global().install(&bytes).ok()?;
        let address = code.address() as usize;
        self.unit.specs[self.spec].vectors.push(VectorLoop {
            statement: statement.id,
            n_rows: n_lanes,
            code,
        });
        let areas = read.graph.carries.iter().map(fold::area_bytes);
        let n_bytes = 8 * (read.words.len() + 2) + areas.sum::<usize>();
        let n_bytes = u32::try_from(n_bytes).ok()?;
        let slot = self.b.create_sized_stack_slot(ir::StackSlotData::new(
            ir::StackSlotKind::ExplicitSlot,
            n_bytes,
            3,
        ));
        let is_free = read.graph.stops.is_empty() && read.graph.carries.is_empty();
        let may_share = is_free
            && rows_are_apart(&read)
            && self.unit.parallel
            && self.rt.on_threads != 0
            && !self.info.program.has_handlers;
        let head = &self.info.liveness.head[statement.id];
        let bound_by_loop = row.local();
        let mut bound = read.bound.iter().chain([&bound_by_loop]);
        let vector = Vector {
            address,
            slot,
            does_last: !bound.any(|&local| head.has(local)),
            has_loops: has_loops(body),
            hands,
            on_threads: may_share.then_some(i64::from(n_bytes)),
        };
        self.enter_vector(&vector, &read, &pairs, [from, to]);
        Some(vector)
    }

    /// Calls the kernel before the first turn.
    fn enter_vector(
        &mut self,
        vector: &Vector,
        read: &Read,
        pairs: &[Pair<'_>],
        [from, to]: [Variable; 2],
    ) {
        let (low, high) = (self.value_of(from), self.value_of(to));
        let slot = self.b.ins().stack_addr(types::I64, vector.slot, 0);
        let zero = self.int(0);
        self.store(zero, slot, 0);
        let n_rows = self.b.ins().isub(high, low);
        let [nested, plain, folded] = N_ROWS_MIN;
        let enough = match (vector.has_loops, vector.hands.is_empty()) {
            (true, _) => nested,
            (false, true) => plain,
            (false, false) => folded,
        };
        let is_long = self
            .b
            .ins()
            .icmp_imm_s(IntCC::SignedGreaterThanOrEqual, n_rows, enough);
        let (fill, done) = (self.new_block(), self.new_block());
        let next = self.b.append_block_param(done, types::I64);
        let args = [ir::BlockArg::Value(low)];
        self.b.ins().brif(is_long, fill, &[], done, &args);
        self.start(fill);
        let mut guard = Guard::default();
        for &term in &read.small {
            let word = self.value_of_term(term);
            self.look_at_range(word, Range::signed(32), &mut guard);
        }
        for end in [low, high] {
            self.look_at_range(end, Range::signed(32), &mut guard);
        }
        let mut turns = Vec::new();
        for [first, end] in &read.turns {
            let (first, end) = (self.sum_of(first, None), self.sum_of(end, None));
            let runs = self.b.ins().icmp(IntCC::SignedLessThan, first, end);
            guard.and(self, runs);
            turns.push([first, end]);
        }
        let rows = Rows {
            low,
            high,
            n_rows,
            turns,
        };
        for bound in &read.bounds {
            self.look_at_bound(bound, &rows, &mut guard);
        }
        for word in &read.words {
            if let Word::Base(place) = word {
                self.look_at_stride(place, &mut guard);
            }
        }
        // Only what is there may be read.
        if let Some(holds) = guard.holds.take() {
            let go_on = self.new_block();
            self.b.ins().brif(holds, go_on, &[], done, &args);
            self.start(go_on);
        }
        let mut addresses = Vec::new();
        for (at, word) in read.words.iter().enumerate() {
            if !read.is_used[at] {
                addresses.push(low);
                continue;
            }
            let value = self.word_of(word, &rows, &mut guard);
            let offset = i32::try_from(8 * (at + 2)).unwrap_or(0);
            self.store(value.word, slot, offset);
            addresses.push(value.address.unwrap_or(value.word));
        }
        for pair in pairs {
            let is_shared = vector.on_threads.is_some();
            self.look_at_pair(pair, &addresses, &rows, is_shared, &mut guard);
        }
        let holds = guard.holds.unwrap_or_else(|| self.int(1));
        let holds = if self.b.func.dfg.value_type(holds) == types::I64 {
            holds
        } else {
            self.b.ins().uextend(types::I64, holds)
        };
        self.store(holds, slot, 0);
        let low = self.share_rows(vector, &rows);
        let rows = if vector.has_loops {
            self.call_in_pieces(vector, low, high)
        } else {
            let end = self.end_of_rows(vector, low, high);
            let end = self.hand_carries(&vector.hands, slot, [low, end]);
            let next = self.quietly(|emitter| emitter.call_word(vector.address, &[slot, low, end]));
            self.take_carries(&vector.hands, slot, [low, next])
        };
        self.jump(done, &[rows]);
        self.start(done);
        self.b.def_var(from, next);
    }

    /// Does rows on several threads, if that is allowed and they are many; the row that is next.
    fn share_rows(&mut self, vector: &Vector, rows: &Rows) -> Value {
        let Some(n_bytes) = vector.on_threads else {
            return rows.low;
        };
        let mut n_turns = rows.n_rows;
        for [first, end] in &rows.turns {
            let turns = self.b.ins().isub(*end, *first);
            // More than there can be is enough.
            let most = self.int(N_TURNS_FOR_THREADS);
            let is_enough = self.b.ins().icmp(IntCC::SignedGreaterThan, n_turns, most);
            n_turns = self.b.ins().select(is_enough, most, n_turns);
            n_turns = self.b.ins().imul(n_turns, turns);
        }
        let last = if vector.does_last {
            rows.high
        } else {
            self.b.ins().iadd_imm_s(rows.high, -1)
        };
        let is_much = self.b.ins().icmp_imm_s(
            IntCC::SignedGreaterThanOrEqual,
            n_turns,
            N_TURNS_FOR_THREADS,
        );
        let (head, done) = (self.new_block(), self.new_block());
        let now = self.b.append_block_param(head, types::I64);
        let result = self.b.append_block_param(done, types::I64);
        let low = [ir::BlockArg::Value(rows.low)];
        self.b.ins().brif(is_much, head, &low, done, &low);
        self.b.switch_to_block(head);
        let slot = self.b.ins().stack_addr(types::I64, vector.slot, 0);
        let (kernel, n_bytes) = (self.address(vector.address), self.int(n_bytes));
        let args = [kernel, slot, n_bytes, now, last];
        let next = self.call_word(self.rt.on_threads, &args);
        let ticks = self.int(TICKS);
        self.take_ticks(ticks);
        // Time was up, or nothing is left but what the scalar loop does.
        let left = self.b.ins().isub(last, next);
        let goes_on = self
            .b
            .ins()
            .icmp_imm_s(IntCC::SignedGreaterThanOrEqual, left, TICKS);
        let has_moved = self.b.ins().icmp(IntCC::NotEqual, next, now);
        let goes_on = self.b.ins().band(goes_on, has_moved);
        let args = [next].map(ir::BlockArg::Value);
        self.b.ins().brif(goes_on, head, &args, done, &args);
        self.b.seal_block(head);
        self.start(done);
        result
    }

    /// Calls the kernel until it is done or stops, and looks at signals meanwhile.
    fn call_in_pieces(&mut self, vector: &Vector, low: Value, high: Value) -> Value {
        let (head, after) = (self.new_block(), self.new_block());
        let now = self.b.append_block_param(head, types::I64);
        let result = self.b.append_block_param(after, types::I64);
        self.jump(head, &[low]);
        self.b.switch_to_block(head);
        let slot = self.b.ins().stack_addr(types::I64, vector.slot, 0);
        let end = self.end_of_rows(vector, now, high);
        let end = self.hand_carries(&vector.hands, slot, [now, end]);
        let next = self.quietly(|emitter| emitter.call_word(vector.address, &[slot, now, end]));
        let next = self.take_carries(&vector.hands, slot, [now, next]);
        let done = self.b.ins().isub(next, now);
        self.take_ticks(done);
        let is_full = self
            .b
            .ins()
            .icmp_imm_s(IntCC::SignedGreaterThanOrEqual, done, TICKS);
        let args = [next].map(ir::BlockArg::Value);
        self.b.ins().brif(is_full, head, &args, after, &args);
        self.b.seal_block(head);
        self.start(after);
        result
    }

    /// Calls the kernel at a pause; the row that is next.
    pub(super) fn resume_vector(&mut self, vector: &Vector, now: Value, stop: Value) -> Value {
        let slot = self.b.ins().stack_addr(types::I64, vector.slot, 0);
        let end = self.end_of_rows(vector, now, stop);
        let end = self.hand_carries(&vector.hands, slot, [now, end]);
        let kernel = self.address(vector.address);
        let caller = caller().unwrap_or(0);
        let next = self.quietly(|emitter| emitter.call_rarely(caller, &[kernel, slot, now, end]));
        self.take_carries(&vector.hands, slot, [now, next])
    }

    /// Where the loop pauses first: soon, if the kernel waits for what the first turns do.
    pub(super) fn pause_soon(&mut self, vector: &Vector, now: Value, otherwise: Value) -> Value {
        const SOON: i64 = 32;
        if !vector.hands.iter().any(Hand::waits) {
            return otherwise;
        }
        let soon = self.b.ins().iadd_imm_s(now, SOON);
        let is_over = self.b.ins().icmp(IntCC::SignedLessThan, otherwise, soon);
        self.b.ins().select(is_over, otherwise, soon)
    }

    /// Where the loop pauses next: behind one turn, if the kernel may do much more.
    pub(super) fn pause_behind(&mut self, from: Value, now: Value, otherwise: Value) -> Value {
        let done = self.b.ins().isub(now, from);
        let goes_on = self
            .b
            .ins()
            .icmp_imm_s(IntCC::SignedGreaterThanOrEqual, done, TICKS);
        let next = self.b.ins().iadd_imm_s(now, 1);
        self.b.ins().select(goes_on, next, otherwise)
    }

    fn end_of_rows(&mut self, vector: &Vector, now: Value, stop: Value) -> Value {
        let last = if vector.does_last {
            stop
        } else {
            self.b.ins().iadd_imm_s(stop, -1)
        };
        let far = self.b.ins().iadd_imm_s(now, TICKS);
        let is_near = self.b.ins().icmp(IntCC::SignedLessThan, last, far);
        self.b.ins().select(is_near, last, far)
    }

    fn fields_of(&mut self, of: Local) -> Array {
        self.read_local(of).array.unwrap_or_default()
    }

    fn value_of_term(&mut self, term: Term) -> Value {
        match term {
            Term::Local(local) => {
                let value = self.read_local(local);
                self.word(&value)
            }
            Term::Size(of, dimension) => self.fields_of(of).sizes[dimension],
            // These are given by whoever asks for a sum of them.
            Term::Counter | Term::Turn(_) => self.int(0),
        }
    }

    /// A sum, in the first row and the first turns inside; or, if ends of rows are given, where it is
    /// smallest or largest.
    fn sum_of(&mut self, sum: &Linear, extreme: Option<(&Rows, bool)>) -> Value {
        let mut total = self.int(sum.shift);
        for &(term, by) in &sum.terms {
            let value = match (term, extreme) {
                (Term::Counter, Some((rows, is_largest))) => {
                    self.end_of([rows.low, rows.high], (by > 0) == is_largest)
                }
                (Term::Turn(nest), Some((rows, is_largest))) => {
                    self.end_of(rows.turns[nest], (by > 0) == is_largest)
                }
                _ => self.value_of_term(term),
            };
            let value = if by == 1 {
                value
            } else {
                self.b.ins().imul_imm_s(value, by)
            };
            total = self.b.ins().iadd(total, value);
        }
        total
    }

    fn end_of(&mut self, [first, end]: [Value; 2], is_last: bool) -> Value {
        if is_last {
            self.b.ins().iadd_imm_s(end, -1)
        } else {
            first
        }
    }

    fn look_at_bound(&mut self, bound: &Bound, rows: &Rows, guard: &mut Guard) {
        let size = self.fields_of(bound.of).sizes[bound.dimension];
        let least = self.sum_of(&bound.index, Some((rows, false)));
        let is_natural = self
            .b
            .ins()
            .icmp_imm_s(IntCC::SignedGreaterThanOrEqual, least, 0);
        guard.and(self, is_natural);
        let most = self.sum_of(&bound.index, Some((rows, true)));
        let is_below = self.b.ins().icmp(IntCC::SignedLessThan, most, size);
        guard.and(self, is_below);
    }

    /// Rows follow one another if the last index moves by one element.
    fn look_at_stride(&mut self, place: &Place, guard: &mut Guard) {
        let Some(array) = self.types[place.of].array() else {
            return;
        };
        if !array.contiguous && array.ndim > 1 {
            let stride = self.fields_of(place.of).strides[array.ndim - 1];
            let size = array.dtype.size();
            let is_dense = self.b.ins().icmp_imm_s(IntCC::Equal, stride, size);
            guard.and(self, is_dense);
        }
    }

    fn look_at_range(&mut self, word: Value, range: Range, guard: &mut Guard) {
        if range == Range::FULL {
            return;
        }
        let (Ok(low), Ok(size)) = (
            i64::try_from(range.low),
            i64::try_from(range.high - range.low),
        ) else {
            return;
        };
        let moved = self.b.ins().iadd_imm_s(word, low.wrapping_neg());
        let limit = self.int(size);
        let fits = self
            .b
            .ins()
            .icmp(IntCC::UnsignedLessThanOrEqual, moved, limit);
        guard.and(self, fits);
    }

    /// What is stored for the kernel, and the address if it is about memory.
    fn word_of(&mut self, word: &Word, rows: &Rows, guard: &mut Guard) -> Stored {
        let plain = |word| Stored {
            word,
            address: None,
        };
        match word {
            Word::Double(local) => {
                let value = self.read_local(*local);
                plain(self.number_to_flt(&value))
            }
            Word::Single(local) => {
                let value = self.read_local(*local);
                let flt = self.number_to_flt(&value);
                let single = self.b.ins().fdemote(types::F32, flt);
                let back = self.b.ins().fpromote(types::F64, single);
                let (off, lost) = (self.b.ins().fsub(flt, flt), self.b.ins().fsub(back, back));
                let is_kept = self.b.ins().fcmp(FloatCC::Ordered, lost, lost);
                let is_odd = self.b.ins().fcmp(FloatCC::Unordered, off, off);
                let fits = self.b.ins().bor(is_kept, is_odd);
                guard.and(self, fits);
                plain(single)
            }
            Word::Int(local, range) => {
                let value = self.read_local(*local);
                let word = self.word(&value);
                let ints = Tags(1 << crate::types::INT | 1 << NP_INT);
                if value.ty.tags.any(ints) {
                    self.look_at_range(word, *range, guard);
                }
                plain(word)
            }
            Word::Element(place) => {
                let at = self.address_of(place, rows);
                let dtype = self.types[place.of].array().map(|array| array.dtype);
                let word = match dtype {
                    Some(Dtype::Float32) => self.load(types::F32, at, 0),
                    Some(dtype) => {
                        let value = self.load_at(dtype, at);
                        value.flt.or(value.word).unwrap_or(at)
                    }
                    None => at,
                };
                Stored {
                    word,
                    address: Some(at),
                }
            }
            Word::Base(place) => {
                let at = self.address_of(place, rows);
                Stored {
                    word: at,
                    address: Some(at),
                }
            }
            Word::Step(place, nest) => plain(self.step_of(place, Term::Turn(*nest))),
            Word::Steps(place, nest) => {
                let step = self.step_of(place, Term::Turn(*nest));
                let [first, end] = rows.turns[*nest];
                let trips = self.b.ins().isub(end, first);
                plain(self.b.ins().imul(step, trips))
            }
            Word::Stride(place) => {
                let stride = self.step_of(place, Term::Counter);
                self.look_at_range(stride, Range::signed(27), guard);
                plain(stride)
            }
            Word::Trips(nest) => {
                let [first, end] = rows.turns[*nest];
                plain(self.b.ins().isub(end, first))
            }
            Word::Size(of, dimension) => plain(self.fields_of(*of).sizes[*dimension]),
        }
    }

    /// Where an element is in row 0 and the first turns inside.
    fn address_of(&mut self, place: &Place, rows: &Rows) -> Value {
        let fields = self.fields_of(place.of);
        let mut at = fields.data.unwrap_or(self.context);
        for (dimension, part) in place.parts.iter().enumerate() {
            let mut index = self.sum_of(part, None);
            for (nest, turns) in rows.turns.iter().enumerate() {
                let by = part.multiple(Term::Turn(nest));
                if by != 0 {
                    let first = self.b.ins().imul_imm_s(turns[0], by);
                    index = self.b.ins().iadd(index, first);
                }
            }
            let offset = self.b.ins().imul(index, fields.strides[dimension]);
            at = self.b.ins().iadd(at, offset);
        }
        at
    }

    /// Bytes by which a row, or a turn inside, moves an element.
    fn step_of(&mut self, place: &Place, term: Term) -> Value {
        let fields = self.fields_of(place.of);
        let mut step = self.int(0);
        for (dimension, part) in place.parts.iter().enumerate() {
            let by = part.multiple(term);
            if by != 0 {
                let stride = fields.strides[dimension];
                let bytes = self.b.ins().imul_imm_s(stride, by);
                step = self.b.ins().iadd(step, bytes);
            }
        }
        step
    }
}

/// The rows and the turns of the loops inside, each from the first to behind the last.
struct Rows {
    low: Value,
    high: Value,
    n_rows: Value,
    turns: Vec<[Value; 2]>,
}

/// What is stored for the kernel.
struct Stored {
    word: Value,
    address: Option<Value>,
}

/// What has to be true for the kernel to run.
#[derive(Default)]
struct Guard {
    holds: Option<Value>,
}

impl Guard {
    fn and(&mut self, emitter: &mut Emitter<'_, '_>, condition: Value) {
        self.holds = Some(match self.holds {
            Some(holds) => emitter.b.ins().band(holds, condition),
            None => condition,
        });
    }
}
