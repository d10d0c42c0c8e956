//! What one turn of a loop computes, as a graph of values.
//!
//! Nodes are made in the order of the program, equal ones once. An integer has an interval, so that
//! a loop over bytes is computed in narrow lanes and most checks fall away. What would leave the
//! function is a *stop*: a mask of the rows in which it happens.

use std::collections::HashMap;

use super::tables::Table;
use crate::emit::frame::TICKS;
use crate::types::Dtype;

/// A node, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Id(pub(super) u32);

impl Id {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is in the lanes of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Lane {
    /// `float64`.
    Double,
    /// `float32`; in lanes of 64 bits, as the double of the same value.
    Single,
    /// A signed integer.
    Int,
    /// All bits set, or none.
    Mask,
}

/// A comparison.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Test {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// Rows of a lane in one call of a kernel: those of a piece, by the fewest lanes.
const N_TURNS_MAX: i128 = (TICKS / 4) as i128 + 1;

/// What a node does with its arguments `a`, `b`, `c`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Op {
    /// The element of a stream so many behind the counter's; `a` are the offsets of the rows, if the
    /// stream is strided.
    Load(usize, i64),
    /// Where the rows of a vector are, in multiples of an argument.
    Offsets(usize),
    /// The same of a stream that the row does not move, in all lanes.
    Broadcast(usize, i64),
    /// An argument of the kernel.
    Arg(usize),
    /// What a loop inside carries from turn to turn, by the loop and a number.
    Phi(usize, usize),
    /// The same behind the loop: `a` is it, `b` and `c` what it becomes and was.
    Result(usize),
    /// What the row takes from the row before, of a local.
    Carried(usize),
    /// The number of a turn inside, which is only known in indices.
    Nothing,
    /// A number: the bits of a double, or an integer.
    Constant(u64),
    /// The number of the row.
    Counter,
    Add,
    Sub,
    Mul,
    /// The upper 16 of the 32 bits of a product of an integer of 15 bits and this number.
    MulHigh(u16),
    Div,
    /// `a b + c`, rounded once.
    MulAdd,
    /// `a b - c`, rounded once.
    MulSub,
    /// `c - a b`, rounded once.
    NegMulAdd,
    Sqrt,
    /// The number of a table that `a` says, of those that there are.
    Table(Table),
    /// `c`, and where `b` is set what the function of the thunk at an address makes of `a`.
    Call(usize),
    /// What the routine of vector math at an address makes of `a`, and `b`: in lanes of 64 bits, and of
    /// fewer.
    Routine([usize; 2]),
    Compare(Test),
    /// Whether a number is infinite or not one.
    NonFinite,
    And,
    Or,
    Xor,
    /// `!a & b`.
    AndNot,
    /// `a ? b : c`.
    Select,
    ShiftLeft(u8),
    ShiftRight(u8),
    /// With zeros from above.
    ShiftDown(u8),
    /// To an integer: down, up, towards zero (1, 2, 3).
    Round(u8),
    /// To the lane's kind from another; floats to integers towards zero.
    Convert,
    /// The same, where it is known to be in the node's interval.
    Clip,
}

/// An interval of integers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Range {
    pub(super) low: i128,
    pub(super) high: i128,
}

impl Range {
    /// All that is no integer.
    pub(super) const NONE: Self = Self { low: 0, high: 0 };
    /// Integers of 64 bits.
    pub(super) const FULL: Self = Self {
        low: i64::MIN as i128,
        high: i64::MAX as i128,
    };

    pub(super) fn new(low: i128, high: i128) -> Self {
        Self { low, high }
    }

    /// Signed integers of so many bits.
    pub(super) fn signed(bits: u32) -> Self {
        Self::new(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    }

    pub(super) fn within(self, other: Self) -> bool {
        self.low >= other.low && self.high <= other.high
    }

    pub(super) fn meet(self, other: Self) -> Self {
        let low = self.low.max(other.low).min(other.high);
        Self::new(low, self.high.min(other.high).max(low))
    }

    pub(super) fn join(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high))
    }

    /// What an integer of a dtype is.
    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        let bits = 8 * u32::try_from(dtype.size()).unwrap_or(8);
        match dtype {
            Dtype::Bool => Some(Self::new(0, 1)),
            Dtype::Int8 | Dtype::Int16 | Dtype::Int32 | Dtype::Int64 => Some(Self::signed(bits)),
            Dtype::UInt8 | Dtype::UInt16 | Dtype::UInt32 => Some(Self::new(0, (1 << bits) - 1)),
            Dtype::UInt64 | Dtype::Float32 | Dtype::Float64 | Dtype::Complex128 => None,
        }
    }

    /// The fewest bytes of a signed integer that hold it; at least two.
    pub(super) fn bytes(self) -> usize {
        match self {
            _ if self.within(Self::signed(16)) => 2,
            _ if self.within(Self::signed(32)) => 4,
            _ => 8,
        }
    }
}

/// One value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Node {
    pub(super) op: Op,
    pub(super) lane: Lane,
    pub(super) range: Range,
    pub(super) args: [Option<Id>; 3],
}

impl Node {
    pub(super) fn args(&self) -> impl Iterator<Item = Id> + use<> {
        self.args.into_iter().flatten()
    }

    /// An argument, which the operation has.
    pub(super) fn arg(&self, at: usize) -> Id {
        self.args[at].unwrap_or(Id(0))
    }
}

/// Elements of an array: one a row, or one of all rows that the loops inside move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stream {
    pub(super) dtype: Dtype,
    /// The argument that is the address of the element of row 0 in the first turns inside.
    pub(super) base: usize,
    pub(super) rows: Rows,
    pub(super) steps: Vec<Step>,
}

/// How the row moves a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rows {
    /// Not at all.
    Fixed,
    /// By one element.
    Dense,
    /// By as many bytes as an argument says.
    Strided(usize),
}

/// How a loop inside moves a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(super) of: usize,
    /// The arguments that are the bytes of one turn, and of all.
    pub(super) one: usize,
    pub(super) all: usize,
}

/// A loop inside the turn, the same number of turns for all rows.
#[derive(Clone, Debug)]
pub(crate) struct Nest {
    pub(super) parent: Option<usize>,
    /// The argument that is the number of turns, at least one.
    pub(super) trips: usize,
    /// What it carries: itself, what it was before, and what it becomes in a turn.
    pub(super) phis: Vec<[Id; 3]>,
    /// Number of the nodes before its end.
    pub(super) end: usize,
}

/// A value that is written to a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Store {
    pub(super) stream: usize,
    pub(super) shift: i64,
    pub(super) value: Id,
}

/// How what rows carry over is put together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fold {
    /// Floats in the order of the rows, by this operation.
    Chain(Op),
    /// A sum of floats in any order.
    Loose,
    /// A sum of integers.
    Total,
    /// The smallest, or the largest.
    Extreme(bool),
}

impl Fold {
    pub(super) fn is_extreme(self) -> bool {
        matches!(self, Self::Extreme(_))
    }
}

/// What rows carry over.
#[derive(Clone, Debug)]
pub(crate) struct Carry {
    pub(super) fold: Fold,
    /// What a row adds, one after another.
    pub(super) terms: Vec<Id>,
    /// For each of them whether it is taken away; only of floats.
    pub(super) minus: Vec<bool>,
    pub(super) lane: Lane,
    /// The interval that a sum has to stay in, and the number of the carry that adds up its parts' sizes.
    pub(super) limit: Option<(Range, usize)>,
    /// Bytes from the kernel's arguments to where it begins and what comes of it.
    pub(super) area: usize,
}

/// A computation.
#[derive(Clone, Default, Debug)]
pub(crate) struct Graph {
    pub(super) nodes: Vec<Node>,
    numbers: HashMap<Node, Id>,
    /// For each node, whether it is the same in all rows.
    pub(super) invariant: Vec<bool>,
    /// For each node, whether it is the same in all rows of a turn.
    pub(super) uniform: Vec<bool>,
    /// For each node, whether it depends on what is carried.
    pub(super) carried: Vec<bool>,
    /// For each node, the innermost loop that it changes in.
    pub(super) home: Vec<Option<usize>>,
    pub(super) nests: Vec<Nest>,
    pub(super) streams: Vec<Stream>,
    pub(super) stores: Vec<Store>,
    pub(super) carries: Vec<Carry>,
    /// Rows from which on the scalar loop takes over.
    pub(super) stops: Vec<Id>,
}

impl Graph {
    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id.index()]
    }

    pub(super) fn add(&mut self, op: Op, lane: Lane, range: Range, args: &[Id]) -> Id {
        let mut all = [None; 3];
        for (place, &arg) in all.iter_mut().zip(args) {
            *place = Some(arg);
        }
        let args = all;
        let node = Node {
            op,
            lane,
            range,
            args,
        };
        if let Some(&known) = self.numbers.get(&node) {
            return known;
        }
        let id = Id(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        let mut is_carried = node.args().map(|arg| self.carried[arg.index()]);
        let is_carried = matches!(op, Op::Carried(_)) || is_carried.any(|is_carried| is_carried);
        self.carried.push(is_carried);
        let changes = matches!(op, Op::Load(..) | Op::Counter | Op::Phi(..) | Op::Result(_));
        let changes = changes || is_carried;
        let is_same = |of: &[bool]| node.args().all(|arg| of[arg.index()]);
        self.uniform.push(!changes && is_same(&self.uniform));
        let moves = changes || matches!(op, Op::Broadcast(..));
        self.invariant.push(!moves && is_same(&self.invariant));
        self.home.push(self.home_of(&node));
        self.nodes.push(node);
        self.numbers.insert(node, id);
        id
    }

    /// How many loops are around what is in a loop.
    pub(super) fn depth(&self, nest: Option<usize>) -> usize {
        let mut depth = 0;
        let mut nest = nest;
        while let Some(at) = nest {
            depth += 1;
            nest = self.nests[at].parent;
        }
        depth
    }

    fn home_of(&self, node: &Node) -> Option<usize> {
        let own = match node.op {
            Op::Phi(nest, _) => return Some(nest),
            Op::Result(nest) => return self.nests[nest].parent,
            Op::Load(stream, _) | Op::Broadcast(stream, _) => {
                let steps = self.streams[stream].steps.iter();
                steps
                    .map(|step| Some(step.of))
                    .max_by_key(|of| self.depth(*of))
                    .flatten()
            }
            _ => None,
        };
        let homes = node.args().map(|arg| self.home[arg.index()]);
        homes
            .chain([own])
            .max_by_key(|home| self.depth(*home))
            .flatten()
    }

    /// A value that is no integer.
    pub(super) fn float(&mut self, op: Op, lane: Lane, args: &[Id]) -> Id {
        self.add(op, lane, Range::NONE, args)
    }

    pub(super) fn mask(&mut self, op: Op, args: &[Id]) -> Id {
        self.add(op, Lane::Mask, Range::NONE, args)
    }

    pub(super) fn double(&mut self, value: f64) -> Id {
        self.float(Op::Constant(value.to_bits()), Lane::Double, &[])
    }

    pub(super) fn single(&mut self, value: f32) -> Id {
        let bits = f64::from(value).to_bits();
        self.float(Op::Constant(bits), Lane::Single, &[])
    }

    pub(super) fn int(&mut self, value: i64) -> Id {
        let range = Range::new(value.into(), value.into());
        self.add(Op::Constant(value.cast_unsigned()), Lane::Int, range, &[])
    }

    pub(super) fn compare(&mut self, test: Test, a: Id, b: Id) -> Id {
        self.mask(Op::Compare(test), &[a, b])
    }

    /// The rows that a mask says, on a path.
    pub(super) fn on_path(&mut self, path: Option<Id>, mask: Id) -> Id {
        match path {
            Some(path) => self.mask(Op::And, &[path, mask]),
            None => mask,
        }
    }

    /// The scalar loop takes over where the mask is set.
    pub(super) fn stop(&mut self, path: Option<Id>, mask: Id) {
        let mask = self.on_path(path, mask);
        // Those of the turn are brought together at once, so that few are alive.
        let mut stops = self.stops.iter().copied();
        let home = |id: Id| self.home[id.index()];
        let last = stops.find(|&stop| !self.invariant[stop.index()] && home(stop) == home(mask));
        if !self.invariant[mask.index()]
            && let Some(last) = last
        {
            let both = self.mask(Op::Or, &[last, mask]);
            self.stops.retain(|&stop| stop != last);
            self.stops.push(both);
        } else {
            self.stops.push(mask);
        }
    }

    /// The bits of the number that a node is, if it is written in the program.
    pub(super) fn constant(&self, id: Id) -> Option<u64> {
        match self.node(id).op {
            Op::Constant(bits) => Some(bits),
            _ => None,
        }
    }

    /// What the rows store and add to what they carry over.
    pub(super) fn results(&self) -> impl Iterator<Item = Id> {
        let stores = self.stores.iter().map(|store| store.value);
        stores.chain(
            self.carries
                .iter()
                .flat_map(|carry| carry.terms.iter().copied()),
        )
    }

    /// For each node, whether a result or a stop depends on it.
    pub(super) fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        for id in self.results().chain(self.stops.iter().copied()) {
            live[id.index()] = true;
        }
        loop {
            for at in (0..self.nodes.len()).rev() {
                if live[at] {
                    for arg in self.nodes[at].args() {
                        live[arg.index()] = true;
                    }
                }
            }
            // What a loop carries depends on what it becomes, which comes later.
            let mut is_changed = false;
            for &[phi, init, update] in self.nests.iter().flat_map(|nest| &nest.phis) {
                for id in [init, update] {
                    is_changed |= live[phi.index()] && !live[id.index()];
                    live[id.index()] |= live[phi.index()];
                }
            }
            if !is_changed {
                break;
            }
        }
        live
    }

    /// The bytes of a lane that hold all values; `None` if one is used that there is not.
    pub(super) fn lane_bytes(&self) -> Option<usize> {
        let mut most: usize = 2;
        for (node, is_live) in self.nodes.iter().zip(self.live()) {
            if !is_live {
                continue;
            }
            most = most.max(match node.lane {
                _ if node.op == Op::Nothing => return None,
                Lane::Double => 8,
                Lane::Single => 4,
                Lane::Int => node.range.bytes(),
                Lane::Mask => 2,
            });
        }
        for store in &self.stores {
            let size = self.streams[store.stream].dtype.size();
            most = most.max(usize::try_from(size).ok()?);
        }
        for carry in &self.carries {
            let mut range = Range::NONE;
            for term in &carry.terms {
                let term = self.node(*term).range;
                range = match carry.fold {
                    Fold::Total => Range::new(range.low + term.low, range.high + term.high),
                    _ => range.join(term),
                };
            }
            if carry.fold == Fold::Total {
                range = Range::new(range.low * N_TURNS_MAX, range.high * N_TURNS_MAX);
            }
            most = most.max(if carry.lane == Lane::Int {
                range.bytes()
            } else {
                8
            });
        }
        Some(most)
    }
}
