//! Expressions over short rows of doubles.
//!
//! To look at what goes into an expression over arrays (`whole`) takes the runtime as long as it takes to
//! compute some hundred elements. Where what goes in are numbers and rows of doubles – arrays of one
//! dimension, or parts that have one – and what is done to them are instructions of the processor, code
//! looks at sizes and steps itself, and the runtime does no more than enter a kernel.
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
use crate::emit::Emitter;
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

/// An expression that is gone through.
struct Reader<'a> {
    run: &'a Run,
    types: Vec<Ty>,
    graph: Graph,
    given: Vec<Given>,
    /// The values of nodes, and whether they are rows.
    values: Vec<Option<(Id, bool)>>,
}

impl Reader<'_> {
    /// Whether a node is a row of doubles in memory.
    fn is_row(&self, node: usize) -> bool {
        let doubles = |node: &WholeNode| match node {
            WholeNode::Leaf(leaf) => {
                let array = self.types[*leaf].array();
                array.filter(|array| array.dtype == Dtype::Float64)
            }
            _ => None,
        };
        match &self.run.nodes[node] {
            WholeNode::Part(of, parts) => {
                let Some(array) = doubles(&self.run.nodes[*of]) else {
                    return false;
                };
                let is_known = |part: &WholePart| match part {
                    WholePart::At(leaf) => self.is_int(*leaf),
                    WholePart::Slice([lower, upper, None]) => {
                        let ends = [lower, upper].into_iter().flatten();
                        ends.into_iter().all(|leaf| self.is_int(*leaf))
                    }
                    _ => false,
                };
                let is_slice = |part: &&WholePart| matches!(part, WholePart::Slice(_));
                let n_left = array.ndim.checked_sub(parts.len());
                let n_left = n_left.map(|n_left| n_left + parts.iter().filter(is_slice).count());
                n_left == Some(1) && parts.iter().all(is_known)
            }
            leaf => doubles(leaf).is_some_and(|array| array.ndim == 1),
        }
    }

    fn is_int(&self, leaf: usize) -> bool {
        let tags = self.types[leaf].tags;
        tags.within(Tags(1 << INT | 1 << NP_INT)) && tags.single().is_some()
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
                if !is_float && !self.is_int(leaf) {
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
                (name(*function)? == "numpy.sqrt")
                    .then(|| self.graph.float(Op::Sqrt, Lane::Double, &[a]))
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
        let n = sizes[0];
        for &size in &sizes[1..] {
            let is_alike = self.b.ins().icmp(IntCC::Equal, size, n);
            guard.and(self, is_alike);
        }
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
        let room = self.scratch(N_WORDS_BEFORE + words.len());
        self.store(one, room, 0);
        for (at, &word) in words.iter().enumerate() {
            let offset = i32::try_from(8 * (N_WORDS_BEFORE + at)).unwrap_or(0);
            self.store(word, room, offset);
        }
        let kernel = self.address(row.code.address() as usize);
        let end = self.int(row.end as i64);
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

    /// Where a row begins, and its size; the address means nothing if the guard does not hold.
    fn place_of_row(&mut self, run: &Run, node: usize, guard: &mut Guard) -> (Value, Value) {
        let (of, parts) = match &run.nodes[node] {
            WholeNode::Part(of, parts) => (*of, parts.as_slice()),
            _ => (node, [].as_slice()),
        };
        let nothing = self.context;
        let WholeNode::Leaf(leaf) = run.nodes[of] else {
            return (nothing, nothing);
        };
        let value = self.atom(&run.leaves[leaf]);
        let (Some(array), Some(fields)) = (value.ty.array(), value.array) else {
            return (nothing, nothing);
        };
        let mut at = fields.data.unwrap_or(nothing);
        let mut size = nothing;
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
                part => {
                    if !array.contiguous || dimension + 1 < array.ndim {
                        let is_dense = self.b.ins().icmp_imm_s(IntCC::Equal, stride, 8);
                        guard.and(self, is_dense);
                    }
                    let [lower, upper] = match part {
                        Some(WholePart::Slice([lower, upper, _])) => [*lower, *upper],
                        _ => [None, None],
                    };
                    let zero = self.int(0);
                    let lower = lower.map_or(zero, |leaf| self.end_of_slice(run, leaf, all));
                    let upper = upper.map_or(all, |leaf| self.end_of_slice(run, leaf, all));
                    size = self.b.ins().isub(upper, lower);
                    lower
                }
            };
            let offset = self.b.ins().imul(first, stride);
            at = self.b.ins().iadd(at, offset);
        }
        (at, size)
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
