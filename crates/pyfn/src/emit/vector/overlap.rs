//! Whether arrays overlap so that the order of rows matters.
//!
//! Rows may be done together if none reads what an earlier one writes, and no two write the same.
//! What is read lies before all that is written, behind it, or, row by row, at the element that
//! the row itself writes or further on; rows on several threads have no order, so that nothing but
//! the element itself will do.

use cranelift_codegen::ir::{InstBuilder, Value, condcodes::IntCC};

use super::graph::{Rows as Move, Step};
use super::index::Word;
use super::read::Read;
use super::{Guard, Rows};
use crate::emit::Emitter;
use crate::types::Ty;

impl Emitter<'_, '_> {
    /// Whether no row reads (or writes) what an earlier row has written, or, on several threads,
    /// any other.
    pub(super) fn look_at_pair(
        &mut self,
        pair: &Pair<'_>,
        addresses: &[Value],
        rows: &Rows,
        is_shared: bool,
        guard: &mut Guard,
    ) {
        let (low, n_rows) = (rows.low, rows.n_rows);
        let step = match pair.rows {
            Move::Fixed => None,
            Move::Dense => Some(self.int(pair.size)),
            Move::Strided(stride) => Some(addresses[stride]),
        };
        let written_step = self.int(pair.written_size);
        let mut start = |at: Value, shift: i64, size: i64, step: Option<Value>| {
            let at = self.b.ins().iadd_imm_s(at, shift * size);
            match step {
                Some(step) => {
                    let offset = self.b.ins().imul(low, step);
                    self.b.ins().iadd(at, offset)
                }
                None => at,
            }
        };
        let at = addresses[pair.read];
        let (first_shift, last_shift) = (pair.shifts[0], pair.shifts[1]);
        let mut first = start(at, first_shift, pair.size, step);
        let mut end = start(at, last_shift + 1, pair.size, step);
        let written_size = pair.written_size;
        let written_step = Some(written_step);
        let written = start(
            addresses[pair.written],
            pair.shift,
            written_size,
            written_step,
        );
        let zero = self.int(0);
        let mut extents = Vec::new();
        if let Some(step) = step {
            let n_steps = self.b.ins().iadd_imm_s(n_rows, -1);
            extents.push(self.b.ins().imul(n_steps, step));
        }
        for step in pair.steps {
            let (all, one) = (addresses[step.all], addresses[step.one]);
            extents.push(self.b.ins().isub(all, one));
        }
        // From the first row or turn to the last, whichever way.
        for extent in extents {
            let is_back = self.b.ins().icmp(IntCC::SignedLessThan, extent, zero);
            let back = self.b.ins().select(is_back, extent, zero);
            let on = self.b.ins().select(is_back, zero, extent);
            first = self.b.ins().iadd(first, back);
            end = self.b.ins().iadd(end, on);
        }
        let less = IntCC::UnsignedLessThanOrEqual;
        let is_before = self.b.ins().icmp(less, end, written);
        let written_span = self.b.ins().imul_imm_s(n_rows, written_size);
        let written_end = self.b.ins().iadd(written, written_span);
        let is_behind = self.b.ins().icmp(less, written_end, first);
        let mut holds = self.b.ins().bor(is_before, is_behind);
        // Ahead of what its own row writes; on several threads nothing is ahead, but what it
        // writes itself.
        if let Some(need) = pair.ahead
            && is_shared
        {
            if need == 0 && first_shift == last_shift {
                let is_own = self.b.ins().icmp(IntCC::Equal, first, written);
                holds = self.b.ins().bor(holds, is_own);
            }
        } else if let Some(need) = pair.ahead {
            let from = self.b.ins().iadd_imm_s(written, need);
            let is_ahead = self.b.ins().icmp(less, from, first);
            holds = self.b.ins().bor(holds, is_ahead);
        }
        guard.and(self, holds);
    }
}

/// Something read (or written) and a stream that is written, of different arrays or rows.
pub(super) struct Pair<'r> {
    /// Their arguments.
    read: usize,
    written: usize,
    /// Bytes of an element.
    size: i64,
    written_size: i64,
    /// The element of one row that is read first, and last.
    shifts: [i64; 2],
    shift: i64,
    /// How the row moves what is read, and the loops inside.
    rows: Move,
    steps: &'r [Step],
    /// How far it has to lie behind what its own row writes, if that will do.
    ahead: Option<i64>,
}

pub(super) fn pairs<'r>(read: &'r Read, types: &[Ty]) -> Vec<Pair<'r>> {
    let graph = &read.graph;
    let size = |stream: usize| graph.streams[stream].dtype.size();
    let mut pairs = Vec::new();
    for (at, store) in graph.stores.iter().enumerate() {
        let with = |stream: usize, shifts| Pair {
            read: graph.streams[stream].base,
            written: graph.streams[store.stream].base,
            size: size(stream),
            written_size: size(store.stream),
            shifts,
            shift: store.shift,
            rows: graph.streams[stream].rows,
            steps: &graph.streams[stream].steps,
            ahead: None,
        };
        for stream in (0..graph.streams.len()).filter(|&stream| stream != store.stream) {
            let accesses = read.reads.iter().filter(|access| access.stream == stream);
            let low = accesses.clone().map(|access| access.shift).min();
            let high = accesses.clone().map(|access| access.shift).max();
            let (Some(low), Some(high)) = (low, high) else {
                continue;
            };
            let is_after = accesses.clone().any(|access| at < access.n_stores_before);
            let need = if is_after { size(store.stream) } else { 0 };
            let pair = with(stream, [low, high]);
            let is_dense = pair.rows == Move::Dense && pair.steps.is_empty();
            let may_be_ahead = is_dense && pair.size >= pair.written_size;
            pairs.push(Pair {
                ahead: may_be_ahead.then_some(need),
                ..pair
            });
        }
        for other in &graph.stores[..at] {
            pairs.push(with(other.stream, [other.shift; 2]));
        }
        for (word, each) in read.words.iter().enumerate() {
            if let Word::Element(place) = each {
                let array = types[place.of].array();
                pairs.push(Pair {
                    read: word,
                    size: array.map_or(0, |array| array.dtype.size()),
                    rows: Move::Fixed,
                    steps: &[],
                    ..with(store.stream, [0; 2])
                });
            }
        }
    }
    pairs
}

/// Whether within streams rows read what they write themselves, and nothing that others write.
pub(super) fn rows_are_apart(read: &Read) -> bool {
    read.graph.stores.iter().all(|store| {
        let same = |access: &&super::read::Access| access.stream == store.stream;
        let mut accesses = read.reads.iter().filter(same);
        accesses.all(|access| access.shift == store.shift)
    })
}
