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
//! # Exactness
//! A row is computed by the operations of the scalar code in the same order; nothing is reordered or
//! contracted. Rows may be done together if none reads what an earlier one writes. Within an array
//! that is known from the indices; of two arrays it is asked before the loop. What every row binds is
//! bound by the last, which is left to the scalar loop if somebody reads it.

mod graph;
mod kernel;
mod read;

use std::sync::OnceLock;

use cranelift_codegen::ir::{
    self, InstBuilder, StackSlot, Value, condcodes::FloatCC, condcodes::IntCC, types,
};
use cranelift_frontend::Variable;
use opcodon_asm::{Assembler, gpr};
use opcodon_codemem::{Code, CodeHeap};

use self::graph::Range;
use self::kernel::Isa;
use self::read::{Loop, Part, Place, Read, Word};
use super::frame::TICKS;
use super::{Array, Emitter};
use crate::program::{Local, Statement};
use crate::types::{Dtype, NP_INT, Tags};

/// A loop's kernel and what it is given.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    address: usize,
    /// The kernel's arguments.
    slot: StackSlot,
    /// Whether it may do the last row.
    does_last: bool,
}

/// Rows below which the kernel is not worth its call.
const N_ROWS_MIN: i64 = 8;

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
    /// Makes the kernel of an innermost loop over a range with step 1, if it is one for vectors, and
    /// hands over what does not change.
    pub(super) fn vectorise(
        &mut self,
        statement: &Statement,
        counter: Local,
        [from, to]: [Variable; 2],
        body: &[Statement],
    ) -> Option<Vector> {
        let isa = Isa::best()?;
        caller()?;
        let read = read::read(
            &Loop {
                unit: self.unit,
                info: &self.info,
                types: &self.types,
                facts: &self.facts,
                counter,
                id: statement.id,
            },
            body,
        )?;
        if pairs(&read).count() > N_PAIRS_MAX {
            return None;
        }
        let (bytes, n_lanes) = kernel::emit(&read.graph, isa)?;
        let code = CodeHeap::global().install(&bytes).ok()?;
        let address = code.address() as usize;
        let spec = &mut self.unit.specs[self.spec];
        spec.vectors.push((statement.id, n_lanes));
        spec.kernels.push(code);
        let n_words = u32::try_from(read.words.len() + 2).ok()?;
        let slot = self.b.create_sized_stack_slot(ir::StackSlotData::new(
            ir::StackSlotKind::ExplicitSlot,
            8 * n_words,
            3,
        ));
        let head = &self.info.liveness.head[statement.id];
        let mut bound = read.bound.iter().chain([&counter]);
        let vector = Vector {
            address,
            slot,
            does_last: !bound.any(|&local| head.has(local)),
        };
        self.enter_vector(&vector, &read, [from, to]);
        Some(vector)
    }

    /// Calls the kernel before the first turn.
    fn enter_vector(&mut self, vector: &Vector, read: &Read, [from, to]: [Variable; 2]) {
        let (low, high) = (self.value_of(from), self.value_of(to));
        let slot = self.b.ins().stack_addr(types::I64, vector.slot, 0);
        let zero = self.int(0);
        self.store(zero, slot, 0);
        let n_rows = self.b.ins().isub(high, low);
        let enough = N_ROWS_MIN;
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
        for word in &read.words {
            if let Word::Element(place) | Word::Base(place) = word {
                self.look_at_place(place, matches!(word, Word::Base(_)), &mut guard);
            }
        }
        // Only what is there may be read.
        if let Some(holds) = guard.holds.take() {
            let go_on = self.new_block();
            self.b.ins().brif(holds, go_on, &[], done, &args);
            self.start(go_on);
        }
        if read.counts {
            for end in [low, high] {
                self.look_at_range(end, Range::signed(32), &mut guard);
            }
        }
        let mut addresses = Vec::new();
        for (at, word) in read.words.iter().enumerate() {
            let value = self.word_of(word, &mut guard);
            let offset = i32::try_from(8 * (at + 2)).unwrap_or(0);
            self.store(value.word, slot, offset);
            addresses.push(value.address);
        }
        for pair in pairs(read) {
            self.look_at_pair(&pair, &addresses, [low, n_rows], &mut guard);
        }
        let holds = guard.holds.unwrap_or_else(|| self.int(1));
        let holds = if self.b.func.dfg.value_type(holds) == types::I64 {
            holds
        } else {
            self.b.ins().uextend(types::I64, holds)
        };
        self.store(holds, slot, 0);
        let end = self.end_of_rows(vector, low, high);
        let rows = self.call_word(vector.address, &[slot, low, end]);
        self.jump(done, &[rows]);
        self.start(done);
        self.b.def_var(from, next);
    }

    /// Calls the kernel at a pause; the row that is next.
    pub(super) fn resume_vector(&mut self, vector: &Vector, now: Value, stop: Value) -> Value {
        let slot = self.b.ins().stack_addr(types::I64, vector.slot, 0);
        let end = self.end_of_rows(vector, now, stop);
        let kernel = self.address(vector.address);
        let caller = caller().unwrap_or(0);
        self.call_rarely(caller, &[kernel, slot, now, end])
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

    /// What has to be true of an array before the kernel reads it.
    fn look_at_place(&mut self, place: &Place, is_stream: bool, guard: &mut Guard) {
        let fields = self.fields_of(place.of);
        let Some(array) = self.types[place.of].array() else {
            return;
        };
        for (dimension, part) in place.parts.iter().enumerate() {
            if part.is_constant {
                let size = fields.sizes[dimension];
                let is_there = self
                    .b
                    .ins()
                    .icmp_imm_s(IntCC::SignedGreaterThan, size, part.shift);
                guard.and(self, is_there);
            }
        }
        if is_stream && !array.contiguous {
            let size = array.dtype.size();
            let stride = fields.strides[array.ndim - 1];
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
    fn word_of(&mut self, word: &Word, guard: &mut Guard) -> Stored {
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
                let at = self.address_of(place);
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
                let at = self.address_of(place);
                Stored {
                    word: at,
                    address: Some(at),
                }
            }
        }
    }

    fn address_of(&mut self, place: &Place) -> Value {
        let fields = self.fields_of(place.of);
        let mut at = fields.data.unwrap_or(self.context);
        for (dimension, part) in place.parts.iter().enumerate() {
            let Part { others, shift, .. } = part;
            let mut index = None;
            for &local in others {
                let value = self.read_local(local);
                let word = self.word(&value);
                index = Some(match index {
                    Some(index) => self.b.ins().iadd(index, word),
                    None => word,
                });
            }
            let index = match index {
                Some(index) if *shift == 0 => index,
                Some(index) => self.b.ins().iadd_imm_s(index, *shift),
                None if *shift == 0 => continue,
                None => self.int(*shift),
            };
            let offset = self.b.ins().imul(index, fields.strides[dimension]);
            at = self.b.ins().iadd(at, offset);
        }
        at
    }

    /// Whether no row reads (or writes) what an earlier row has written.
    fn look_at_pair(
        &mut self,
        pair: &Pair,
        addresses: &[Option<Value>],
        [low, n_rows]: [Value; 2],
        guard: &mut Guard,
    ) {
        let (Some(read), Some(written)) = (addresses[pair.read], addresses[pair.written]) else {
            return;
        };
        let mut start = |at: Value, shift: i64, size: i64| {
            if size == 0 {
                return at;
            }
            let row = self.b.ins().iadd_imm_s(low, shift);
            let offset = self.b.ins().imul_imm_s(row, size);
            self.b.ins().iadd(at, offset)
        };
        let step = if pair.is_element { 0 } else { pair.size };
        let first = start(read, pair.shifts[0], step);
        let last = start(read, pair.shifts[1], step);
        let written = start(written, pair.shift, pair.written_size);
        // Before all that is written: also the element of the last row.
        let span = self.b.ins().imul_imm_s(n_rows, step);
        let end = self.b.ins().iadd(last, span);
        let end = if pair.is_element {
            self.b.ins().iadd_imm_s(end, pair.size)
        } else {
            end
        };
        let less = IntCC::UnsignedLessThanOrEqual;
        let is_before = self.b.ins().icmp(less, end, written);
        // Behind all of it.
        let written_span = self.b.ins().imul_imm_s(n_rows, pair.written_size);
        let written_end = self.b.ins().iadd(written, written_span);
        let is_behind = self.b.ins().icmp(less, written_end, first);
        let mut holds = self.b.ins().bor(is_before, is_behind);
        // Ahead of what its own row writes.
        if let Some(need) = pair.ahead {
            let from = self.b.ins().iadd_imm_s(written, need);
            let is_ahead = self.b.ins().icmp(less, from, first);
            holds = self.b.ins().bor(holds, is_ahead);
        }
        guard.and(self, holds);
    }
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

/// Something read (or written) and a stream that is written, of different arrays or rows.
struct Pair {
    /// Their arguments.
    read: usize,
    written: usize,
    /// Bytes of an element.
    size: i64,
    written_size: i64,
    /// The element of one row that is read first, and last.
    shifts: [i64; 2],
    shift: i64,
    /// It is the same element in all rows.
    is_element: bool,
    /// How far it has to lie behind what its own row writes, if that will do.
    ahead: Option<i64>,
}

fn pairs(read: &Read) -> impl Iterator<Item = Pair> + '_ {
    let graph = &read.graph;
    let size = |stream: usize| graph.streams[stream].dtype.size();
    graph
        .stores
        .iter()
        .enumerate()
        .flat_map(move |(at, store)| {
            let written = graph.streams[store.stream].base;
            let pair = move |read, size, shifts, ahead| Pair {
                read,
                written,
                size,
                written_size: graph.streams[store.stream].dtype.size(),
                shifts,
                shift: store.shift,
                is_element: false,
                ahead,
            };
            let n_streams = graph.streams.len();
            let others = (0..n_streams).filter(move |&stream| stream != store.stream);
            let streams = others.filter_map(move |stream| {
                let accesses = read.reads.iter().filter(|access| access.stream == stream);
                let low = accesses.clone().map(|access| access.shift).min()?;
                let high = accesses.clone().map(|access| access.shift).max()?;
                let is_after = accesses.clone().any(|access| at < access.n_stores_before);
                let written_size = size(store.stream);
                let need = if is_after { written_size } else { 0 };
                let ahead = (size(stream) >= written_size).then_some(need);
                let base = graph.streams[stream].base;
                Some(pair(base, size(stream), [low, high], ahead))
            });
            let stores = graph.stores[..at].iter().map(move |other| {
                let base = graph.streams[other.stream].base;
                pair(base, size(other.stream), [other.shift; 2], None)
            });
            let words = read.words.iter().enumerate();
            let elements = words.filter_map(move |(at, word)| match word {
                Word::Element(place) => Some(Pair {
                    is_element: true,
                    ..pair(at, read.sizes[place.of], [0; 2], None)
                }),
                _ => None,
            });
            streams.chain(stores).chain(elements)
        })
}
