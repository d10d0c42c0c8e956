//! Expressions over short rows of doubles.
//!
//! To look at what goes into an expression over arrays (`whole`) takes the runtime as long as it takes to
//! compute some hundred elements. Where what goes in are numbers and rows of doubles – arrays of one
//! dimension, or parts that have one, or arrays of several that lie in one piece – and what is done to them
//! are instructions of the processor, code looks at sizes and steps itself, and the runtime does no more
//! than enter a kernel.
//!
//! # Exactness
//! The kernel writes into memory of the runtime's. What raises a floating-point flag is computed anew by
//! the expression's plan, and so is all that code here does not take; nothing was done until then.

use cranelift_codegen::ir::{Block, InstBuilder, Value, condcodes::IntCC};
use cranelift_frontend::Variable;
use opcodon_codemem::{Code, CodeHeap};

use super::Guard;
use super::graph::{Graph, Id, Lane, Op, Rows, Store, Stream};
use super::kernel::{self, Isa};
use crate::emit::{Emitter, Val, trusted};
use crate::globals::Global;
use crate::program::{Atom, Bin, Un};
use crate::types::{Dtype, FLOAT, INT, NP_FLOAT, NP_INT, Tags, Ty};
use crate::whole::{N_ROW_MAX, RowEnd, Run, WholeMethod, WholeNode, WholePart};

/// Integers up to which a double is exact.
const EXACT: i64 = 1 << 53;

/// Words in front of what a kernel is given: whether it may run, one that is not used, and where it writes.
const N_WORDS_BEFORE: usize = 3;

/// An expression's kernel and what it is given.
pub(in crate::emit) struct Row {
    pub(in crate::emit) code: Code,
    given: Vec<Given>,
    end: RowEnd,
}

/// What a kernel is given.
#[derive(Clone, Copy)]
enum Given {
    /// Where the elements of a node are.
    Row(usize),
    /// The number of a leaf.
    Number(usize),
}

/// A part of an array.
struct Part {
    /// Where it begins.
    at: Value,
    /// The sizes, of which one below zero means none, and steps of its dimensions.
    dimensions: Vec<(Value, Value)>,
    /// Whether the elements along the last of them lie side by side for certain.
    is_dense: bool,
}

/// An expression that is gone through.
struct Reader<'a> {
    run: &'a Run,
    types: Vec<Ty>,
    graph: Graph,
    given: Vec<Given>,
    /// The dimensions of all rows.
    rank: Option<usize>,
    /// The values of nodes, and whether they are rows.
    values: Vec<Option<(Id, bool)>>,
}

fn is_int(ty: &Ty) -> bool {
    ty.tags.within(Tags(1 << INT | 1 << NP_INT)) && ty.tags.single().is_some()
}

/// Whether code can say what a part of an index means.
fn is_known_part(part: &WholePart, is_int: impl Fn(usize) -> bool) -> bool {
    match part {
        WholePart::At(leaf) => is_int(*leaf),
        WholePart::Slice([lower, upper, None]) => {
            let mut ends = [lower, upper].into_iter().flatten();
            ends.all(|leaf| is_int(*leaf))
        }
        _ => false,
    }
}

impl Reader<'_> {
    /// How many dimensions a row of doubles in memory has: more than one if it lies in one piece.
    fn rank(&self, node: usize) -> Option<usize> {
        let (of, parts) = match &self.run.nodes[node] {
            WholeNode::Part(of, parts) => (*of, parts.as_slice()),
            _ => (node, [].as_slice()),
        };
        let WholeNode::Leaf(leaf) = self.run.nodes[of] else {
            return None;
        };
        let array = self.types[leaf].array()?;
        let is_known = |part: &WholePart| is_known_part(part, |leaf| is_int(&self.types[leaf]));
        let is_slice = |part: &WholePart| matches!(part, WholePart::Slice(_));
        let n_slices = parts.iter().filter(|part| is_slice(part)).count();
        let rank = array.ndim.checked_sub(parts.len())? + n_slices;
        let is_one_piece = match parts.split_last() {
            Some((_, before)) => !before.iter().any(is_slice),
            None => true,
        };
        let fits = rank == 1 || rank > 1 && array.contiguous && is_one_piece;
        let is_fine = array.dtype == Dtype::Float64 && fits && parts.iter().all(is_known);
        is_fine.then_some(rank)
    }

    /// Whether a node is a row, of as many dimensions as all others.
    fn is_row(&mut self, node: usize) -> bool {
        match self.rank(node) {
            Some(rank) => *self.rank.get_or_insert(rank) == rank,
            None => false,
        }
    }

    fn word(&mut self, given: Given) -> usize {
        self.given.push(given);
        self.given.len()
    }

    /// A node as an operand, and whether it is a row.
    fn operand(&mut self, node: usize) -> Option<(Id, bool)> {
        if let Some(known) = self.values[node] {
            return Some(known);
        }
        let value = if self.is_row(node) {
            let base = self.word(Given::Row(node));
            let stream = self.stream(base);
            let id = self.graph.float(Op::Load(stream, 0), Lane::Double, &[]);
            (id, true)
        } else if let WholeNode::Leaf(leaf) = self.run.nodes[node] {
            (self.number(leaf)?, false)
        } else {
            return None;
        };
        self.values[node] = Some(value);
        Some(value)
    }

    fn stream(&mut self, base: usize) -> usize {
        self.graph.streams.push(Stream {
            dtype: Dtype::Float64,
            base,
            rows: Rows::Dense,
            steps: Vec::new(),
        });
        self.graph.streams.len() - 1
    }

    fn number(&mut self, leaf: usize) -> Option<Id> {
        match self.run.leaves[leaf] {
            #[expect(clippy::cast_precision_loss, reason = "it was looked at")]
            Atom::Int(value) if value.unsigned_abs() <= EXACT.unsigned_abs() => {
                Some(self.graph.double(value as f64))
            }
            Atom::Float(value) => Some(self.graph.double(value)),
            _ => {
                let tags = self.types[leaf].tags;
                let is_float = tags.within(Tags(1 << FLOAT | 1 << NP_FLOAT)) && !tags.is_empty();
                if !is_float && !is_int(&self.types[leaf]) {
                    return None;
                }
                let word = self.word(Given::Number(leaf));
                Some(self.graph.float(Op::Arg(word), Lane::Double, &[]))
            }
        }
    }

    /// What an operation makes of rows; those on numbers alone are not done here.
    fn node(&mut self, node: &WholeNode, name: impl Fn(usize) -> Option<String>) -> Option<Id> {
        let of_row = |operand: (Id, bool)| operand.1.then_some(operand.0);
        match node {
            WholeNode::Bin(Bin::Pow, [base, exponent]) => {
                let WholeNode::Leaf(exponent) = self.run.nodes[*exponent] else {
                    return None;
                };
                let is_square = match self.run.leaves[exponent] {
                    Atom::Int(exponent) => exponent == 2,
                    Atom::Float(exponent) => exponent.to_bits() == 2_f64.to_bits(),
                    _ => false,
                };
                let base = of_row(self.operand(*base)?).filter(|_| is_square)?;
                Some(self.graph.float(Op::Mul, Lane::Double, &[base, base]))
            }
            WholeNode::Bin(op, [a, b]) => {
                let op = match op {
                    Bin::Add => Op::Add,
                    Bin::Sub => Op::Sub,
                    Bin::Mul => Op::Mul,
                    Bin::TrueDiv => Op::Div,
                    _ => return None,
                };
                let (a, b) = (self.operand(*a)?, self.operand(*b)?);
                let is_row = a.1 || b.1;
                is_row.then(|| self.graph.float(op, Lane::Double, &[a.0, b.0]))
            }
            WholeNode::Un(Un::Neg, a) => {
                let a = of_row(self.operand(*a)?)?;
                let sign = self.graph.double(-0.0);
                Some(self.graph.float(Op::Xor, Lane::Double, &[a, sign]))
            }
            WholeNode::Call(function, args) => {
                let a = of_row(self.operand(*args.first()?)?)?;
                let sign = self.graph.double(-0.0);
                let (op, args) = match name(*function)?.as_str() {
                    "numpy.sqrt" => (Op::Sqrt, vec![a]),
                    "numpy.absolute" | "numpy.abs" | "abs" => (Op::AndNot, vec![sign, a]),
                    _ => return None,
                };
                Some(self.graph.float(op, Lane::Double, &args))
            }
            _ => None,
        }
    }
}

impl Emitter<'_, '_> {
    /// The kernel of an expression, if it is one over rows of doubles.
    pub(in crate::emit) fn row_kernel(&self, run: &Run) -> Option<Row> {
        // Where there are no masks, the last elements would be nobody's.
        let isa = Isa::best().filter(|isa| *isa == Isa::Avx512)?;
        if self.rt.whole_row == 0 {
            return None;
        }
        let scope = self.scope();
        let types = run.leaves.iter();
        let types = types.map(|leaf| scope.atom(leaf).clone()).collect();
        let mut reader = Reader {
            run,
            types,
            graph: Graph::default(),
            given: Vec::new(),
            rank: None,
            values: vec![None; run.nodes.len()],
        };
        let (made, end) = match (&run.nodes[run.result], run.target) {
            (_, Some(_)) => (run.result, RowEnd::Store),
            (WholeNode::Method(method, of), None) => (*of, RowEnd::of(*method)?),
            (WholeNode::Call(function, args), None) => {
                match self.rt.whole_functions.get(function)?.reduces {
                    Some(method) => (args[0], RowEnd::of(method)?),
                    None => (run.result, RowEnd::Array),
                }
            }
            _ => (run.result, RowEnd::Array),
        };
        if run.target.is_some_and(|target| !reader.is_row(target)) {
            return None;
        }
        let is_writable = |atom: &Atom| scope.atom(atom).array().is_some_and(|a| a.writable);
        if run.stored_in().is_some_and(|atom| !is_writable(atom)) {
            return None;
        }
        let name = |address: usize| {
            self.info.globals.iter().find_map(|global| match global {
                Global::Builtin { name, address: at } if *at == address => Some(name.clone()),
                _ => None,
            })
        };
        for at in 0..=made {
            if !matches!(run.nodes[at], WholeNode::Leaf(_) | WholeNode::Part(..)) {
                let id = reader.node(&run.nodes[at], name)?;
                reader.values[at] = Some((id, true));
            }
        }
        let (value, is_row) = reader.operand(made)?;
        if !is_row && end != RowEnd::Store {
            return None;
        }
        let stream = reader.stream(0);
        let shift = 0;
        reader.graph.stores.push(Store {
            stream,
            shift,
            value,
        });
        let (bytes, _) = kernel::emit(&reader.graph, isa)?;
        Some(Row {
            code: CodeHeap::global().install(&bytes).ok()?,
            given: reader.given,
            end,
        })
    }

    /// Computes the expression, if sizes and numbers are fit for it, and goes on at the first block with the
    /// object that comes of it; else at the second.
    pub(in crate::emit) fn enter_row(
        &mut self,
        (run, row): (&Run, &Row),
        object: Variable,
        [done, slow]: [Block; 2],
        n_done: Value,
    ) {
        let mut guard = Guard::default();
        let mut sizes = Vec::new();
        if let Some(stored_in) = run.stored_in() {
            // The array may have been made read-only since the function was entered.
            let array = self.atom(stored_in);
            let array = self.word(&array);
            let flags = self.b.ins().uload32(trusted(), array, 64);
            let writeable = self.b.ins().band_imm_s(flags, 0x400);
            let may_write = self.b.ins().icmp_imm_s(IntCC::NotEqual, writeable, 0);
            guard.and(self, may_write);
        }
        let target = run.target.map(|target| {
            let (at, size) = self.place_of_row(run, target, &mut guard);
            sizes.push(size);
            at
        });
        let mut words = Vec::new();
        for given in &row.given {
            words.push(match given {
                Given::Row(node) => {
                    let (at, size) = self.place_of_row(run, *node, &mut guard);
                    sizes.push(size);
                    at
                }
                Given::Number(leaf) => {
                    let value = self.atom(&run.leaves[*leaf]);
                    if value.ty.tags.any(Tags(1 << INT | 1 << NP_INT)) {
                        let word = self.word(&value);
                        let moved = self.b.ins().iadd_imm_s(word, EXACT);
                        let most = self.int(2 * EXACT);
                        let op = IntCC::UnsignedLessThanOrEqual;
                        let is_exact = self.b.ins().icmp(op, moved, most);
                        guard.and(self, is_exact);
                    }
                    self.number_to_flt(&value)
                }
            });
        }
        let shape = sizes[0].clone();
        for (&size, &other) in sizes[1..].iter().flatten().zip(shape.iter().cycle()) {
            let is_alike = self.b.ins().icmp(IntCC::Equal, size, other);
            guard.and(self, is_alike);
        }
        // What is too many for a word has none in another dimension, so that there are none.
        let n = shape.iter().copied();
        let n = n
            .reduce(|a, b| self.b.ins().imul(a, b))
            .unwrap_or(self.context);
        // Of one element numpy takes other ways now and then.
        let above = self.b.ins().iadd_imm_s(n, -2);
        let most = self.int(i64::try_from(N_ROW_MAX).unwrap_or(2) - 2);
        let is_short = self
            .b
            .ins()
            .icmp(IntCC::UnsignedLessThanOrEqual, above, most);
        guard.and(self, is_short);
        let fits = guard.holds.unwrap_or(is_short);
        let fast = self.new_block();
        self.b.ins().brif(fits, fast, &[], slow, &[]);
        self.start(fast);
        let one = self.int(1);
        let at_shape = N_WORDS_BEFORE + words.len();
        let room = self.scratch(at_shape + shape.len());
        self.store(one, room, 0);
        for (at, &word) in words.iter().enumerate() {
            let offset = i32::try_from(8 * (N_WORDS_BEFORE + at)).unwrap_or(0);
            self.store(word, room, offset);
        }
        for (at, &size) in shape.iter().enumerate() {
            let offset = i32::try_from(8 * (at_shape + at)).unwrap_or(0);
            self.store(size, room, offset);
        }
        let kernel = self.address(row.code.address() as usize);
        let shape = i64::try_from(at_shape << 16 | shape.len() << 8).unwrap_or(0);
        let end = self.int(shape | row.end as i64);
        let target = target.unwrap_or(one);
        let made = self.call_word(self.rt.whole_row, &[kernel, room, n, end, target]);
        let fine = self.new_block();
        self.b.ins().brif(made, fine, &[], slow, &[]);
        self.start(fine);
        self.store(one, n_done, 0);
        let made = match (run.to, run.stored_in()) {
            // The array itself is bound once more.
            (Some(_), Some(array)) => {
                let array = self.atom(array);
                let array = self.word(&array);
                self.inc_ref(array);
                array
            }
            _ => made,
        };
        self.b.def_var(object, made);
        self.jump(done, &[]);
    }

    /// Where a row begins, and its sizes; the address means nothing if the guard does not hold.
    fn place_of_row(&mut self, run: &Run, node: usize, guard: &mut Guard) -> (Value, Vec<Value>) {
        let Some(part) = self.place_of_part(run, node, guard) else {
            return (self.context, Vec::new());
        };
        // Of several dimensions it is known.
        if let ([(_, stride)], false) = (part.dimensions.as_slice(), part.is_dense) {
            let is_dense = self.b.ins().icmp_imm_s(IntCC::Equal, *stride, 8);
            guard.and(self, is_dense);
        }
        let sizes = part.dimensions.iter().map(|dimension| dimension.0);
        (part.at, sizes.collect())
    }

    /// Where a part of an array is, if the guard holds.
    fn place_of_part(&mut self, run: &Run, node: usize, guard: &mut Guard) -> Option<Part> {
        let (of, parts) = match &run.nodes[node] {
            WholeNode::Part(of, parts) => (*of, parts.as_slice()),
            _ => (node, [].as_slice()),
        };
        let WholeNode::Leaf(leaf) = run.nodes[of] else {
            return None;
        };
        let value = self.atom(&run.leaves[leaf]);
        let (array, fields) = (value.ty.array()?, value.array?);
        let mut part = Part {
            at: fields.data?,
            dimensions: Vec::new(),
            is_dense: false,
        };
        for dimension in 0..array.ndim {
            let (all, stride) = (fields.sizes[dimension], fields.strides[dimension]);
            let first = match parts.get(dimension) {
                Some(WholePart::At(leaf)) => {
                    let index = self.atom(&run.leaves[*leaf]);
                    let index = self.front_of(&index, all);
                    let op = IntCC::UnsignedLessThan;
                    let is_within = self.b.ins().icmp(op, index, all);
                    guard.and(self, is_within);
                    index
                }
                slice => {
                    let [lower, upper] = match slice {
                        Some(WholePart::Slice([lower, upper, _])) => [*lower, *upper],
                        _ => [None, None],
                    };
                    let zero = self.int(0);
                    let lower = lower.map_or(zero, |leaf| self.end_of_slice(run, leaf, all));
                    let upper = upper.map_or(all, |leaf| self.end_of_slice(run, leaf, all));
                    let size = self.b.ins().isub(upper, lower);
                    part.dimensions.push((size, stride));
                    part.is_dense = array.contiguous && dimension + 1 == array.ndim;
                    // Of no elements there is no first.
                    let is_none = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, size, 1);
                    self.b.ins().select(is_none, zero, lower)
                }
            };
            let offset = self.b.ins().imul(first, stride);
            part.at = self.b.ins().iadd(part.at, offset);
        }
        Some(part)
    }

    /// Whether code can say where a part of an array is.
    pub(in crate::emit) fn is_known_view(&self, run: &Run) -> bool {
        let WholeNode::Part(of, parts) = &run.nodes[run.result] else {
            return false;
        };
        let WholeNode::Leaf(leaf) = run.nodes[*of] else {
            return false;
        };
        let scope = self.scope();
        let is_known =
            |part: &WholePart| is_known_part(part, |leaf| is_int(&scope.atom(&run.leaves[leaf])));
        let array = scope.atom(&run.leaves[leaf]).array();
        let is_there = array.is_some_and(|array| array.ndim >= parts.len());
        self.rt.array_view != 0 && is_there && parts.iter().all(is_known)
    }

    /// Makes a part of an array, and goes on at the first block; else at the second.
    pub(in crate::emit) fn enter_view(
        &mut self,
        run: &Run,
        object: Variable,
        [done, slow]: [Block; 2],
    ) {
        let mut guard = Guard::default();
        let found = self.place_of_part(run, run.result, &mut guard);
        let array = match run.nodes[run.result] {
            WholeNode::Part(of, _) => match run.nodes[of] {
                WholeNode::Leaf(leaf) => self.atom(&run.leaves[leaf]),
                _ => Val::default(),
            },
            _ => Val::default(),
        };
        let Some(part) = found else {
            self.jump(slow, &[]);
            return;
        };
        if let Some(fits) = guard.holds {
            let fast = self.new_block();
            self.b.ins().brif(fits, fast, &[], slow, &[]);
            self.start(fast);
        }
        let n = part.dimensions.len();
        let room = self.scratch(2 * n);
        for (at, (size, stride)) in part.dimensions.into_iter().enumerate() {
            let offset = |at| i32::try_from(8 * at).unwrap_or(0);
            self.store(size, room, offset(at));
            self.store(stride, room, offset(n + at));
        }
        let (array, n) = (self.word(&array), self.count(n));
        let made = self.call_word(self.rt.array_view, &[array, part.at, room, n]);
        self.b.def_var(object, made);
        self.b.ins().brif(made, done, &[], slow, &[]);
    }

    /// What an end of a slice means for so many elements.
    fn end_of_slice(&mut self, run: &Run, leaf: usize, size: Value) -> Value {
        let end = self.atom(&run.leaves[leaf]);
        let word = self.front_of(&end, size);
        let word = if end.ty.natural {
            word
        } else {
            let zero = self.int(0);
            self.b.ins().smax(word, zero)
        };
        self.b.ins().smin(word, size)
    }
}

impl RowEnd {
    fn of(method: WholeMethod) -> Option<Self> {
        Some(match method {
            WholeMethod::Sum => Self::Sum,
            WholeMethod::Mean => Self::Mean,
            WholeMethod::Std => Self::Std,
            WholeMethod::Var => Self::Var,
            WholeMethod::Max => Self::Max,
            WholeMethod::Min => Self::Min,
            WholeMethod::Any | WholeMethod::All => return None,
        })
    }
}
