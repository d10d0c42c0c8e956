//! Programs: what one routine does to each lane of its argument vectors, as a list of values.
//!
//! A vector routine is straight-line code: every lane takes every step, and where lanes differ,
//! both sides are computed and one is selected. Two things break the line, both only for what is
//! rare: a *rare region* runs if any lane of a mask is set (and changes only those lanes), a
//! *loop* runs as long as any lane of a mask is set.
//!
//! # Invariants
//! - Each node is defined once, before its uses (static single assignment); nodes of a region are
//!   used in that region alone, except through its merges.
//! - What happens to a lane does not depend on the other lanes, so that a scalar function, which
//!   uses one lane, and a kernel agree to the bit.

/// The type of the lanes of a vector; integers and masks share the lanes of the floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Elem {
    /// Double precision: 64-bit lanes.
    F64,
    /// Single precision: 32-bit lanes.
    F32,
}

/// A node of a program, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id(pub(crate) u32);

impl Id {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A comparison; those from `Unordered` on are true for NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Predicate {
    Equal,
    Less,
    LessEqual,
    Unordered,
    Differs,
    NotLess,
}

impl Predicate {
    /// The immediate of `CMPPD` (SDM volume 2), as far as SSE2 has it.
    pub(crate) fn immediate(self) -> u8 {
        match self {
            Predicate::Equal => 0,
            Predicate::Less => 1,
            Predicate::LessEqual => 2,
            Predicate::Unordered => 3,
            Predicate::Differs => 4,
            Predicate::NotLess => 5,
        }
    }
}

/// What a node does with its arguments `a`, `b`, `c`. The names are those of the operations, the
/// comments say what the processor calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Opcode {
    /// An argument of the routine.
    Argument(u8),
    /// The same bits in all lanes.
    Constant(u64),
    Add,
    Sub,
    Mul,
    Div,
    /// `a < b ? a : b`, so `b` if either is NaN (`MINPD`).
    Min,
    /// `a > b ? a : b`, so `b` if either is NaN (`MAXPD`).
    Max,
    Sqrt,
    /// `a b + c`, rounded once.
    MulAdd,
    /// `a b − c`, rounded once.
    MulSub,
    /// `c − a b`, rounded once.
    NegMulAdd,
    /// To an integer, towards zero (`ROUNDPD`, not on SSE2).
    Truncate,
    /// Less the nearest integer (`VREDUCEPD`, AVX-512).
    Fraction,
    And,
    Or,
    Xor,
    /// `!a & b`.
    AndNot,
    /// `a | (b & c)` (`VPTERNLOGQ`, AVX-512).
    OrAnd,
    /// `a ^ (b & c)` (`VPTERNLOGQ`, AVX-512).
    XorAnd,
    IntAdd,
    IntSub,
    ShiftLeft(u8),
    ShiftRight(u8),
    /// Arithmetic shift of each 32-bit half (`PSRAD`).
    ShiftRightHalves(u8),
    /// The smaller magnitude with the sign of `a`; `b` where `a` is NaN (`VRANGEPD`, AVX-512).
    Limit,
    /// The larger magnitude; the number's where one is NaN (`VRANGEPD`, AVX-512).
    Larger,
    /// `1 / a` to 14 bits (`VRCP14PD`, AVX-512).
    Reciprocal,
    /// `a · 2^⌊b⌋` (`VSCALEFPD`, AVX-512).
    Scale,
    /// `log₂` of the magnitude, rounded down, for subnormal numbers too (`VGETEXPPD`, AVX-512).
    Exponent,
    /// The significand in [1, 2) (`VGETMANTPD`, AVX-512).
    Significand,
    /// The significand in [¾, 3/2) (`VGETMANTPD`, AVX-512).
    CentredSignificand,
    /// `a`, replaced where `b` is special as table `c` says (`VFIXUPIMMPD`, AVX-512).
    Fixup,
    /// `table[a]`, where lanes of `a` are integers.
    Gather(u8),
    /// `table[a]` by the low bits of `a` alone, of a table that fits in two registers: 16 doubles
    /// or 32 singles (`VPERMT2PD`, AVX-512).
    Lookup(u8),
    /// `f32` lanes of the lower half of a vector, as `f64`.
    WidenLow,
    /// `f32` lanes of the upper half of a vector, as `f64`.
    WidenHigh,
    /// Two vectors of `f64`, rounded to one of `f32`.
    Narrow,
    /// A mask.
    Compare(Predicate),
    /// A mask: lanes in which the bit with this number is set.
    TestBit(u8),
    MaskAnd,
    MaskOr,
    /// `!a & b` of masks.
    MaskAndNot,
    /// `a ? b : c` for a mask `a`.
    Select,
    /// Runs a region if any lane of mask `a` is set. Followed by its `Merged` nodes.
    Rare(u16),
    /// Runs a region until no lane of the region's own mask is set. Followed by `Merged` nodes.
    Loop(u16),
    /// A result of the preceding `Rare` or `Loop`.
    Merged,
    /// A variable of the enclosing loop at the start of a turn.
    State,
}

/// One value: an operation on earlier values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) op: Opcode,
    /// Type of the lanes that the operation works on.
    pub(crate) elem: Elem,
    /// As many as `op` takes.
    args: [Option<Id>; 3],
}

impl Node {
    pub(crate) fn new(op: Opcode, elem: Elem, args: &[Id]) -> Node {
        let mut all = [None; 3];
        for (place, &arg) in all.iter_mut().zip(args) {
            *place = Some(arg);
        }
        Node {
            op,
            elem,
            args: all,
        }
    }

    /// The arguments.
    pub(crate) fn args(&self) -> impl Iterator<Item = Id> + Clone + use<> {
        self.args.into_iter().flatten()
    }

    /// Argument `i`, which exists by the operation's nature.
    pub(crate) fn arg(&self, i: usize) -> Id {
        self.args[i].unwrap_or_else(|| unreachable!("{:?} has no argument {i}", self.op))
    }

    /// Whether the value is a mask rather than a vector.
    pub(crate) fn is_mask(&self) -> bool {
        use Opcode::{Compare, MaskAnd, MaskAndNot, MaskOr, TestBit};
        matches!(
            self.op,
            Compare(_) | TestBit(_) | MaskAnd | MaskOr | MaskAndNot
        )
    }
}

/// How one value leaves a region: `merged` is `fresh` if the region ran, else `old`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Merge {
    /// Computed in the region; equal to what it replaces outside of the region's mask.
    pub(crate) fresh: Id,
    /// Known before the region.
    pub(crate) old: Id,
    /// Known after the region.
    pub(crate) merged: Id,
}

/// Nodes that run together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Region {
    /// In order of execution.
    pub(crate) body: Vec<Id>,
    /// The lanes that the merges change: the region runs (again) if there is any.
    pub(crate) mask: Option<Id>,
    pub(crate) merges: Vec<Merge>,
    /// For loops, one for each merge: `old` in the first turn, the last turn's result later on.
    pub(crate) states: Vec<Id>,
}

/// A routine as values. Region 0 is the routine itself.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) nodes: Vec<Node>,
    pub(crate) regions: Vec<Region>,
    pub(crate) tables: Vec<&'static [u64]>,
    pub(crate) result: Id,
}

impl Program {
    /// The program without what its result does not depend on.
    pub(crate) fn pruned(mut self) -> Program {
        let is_needed = self.needed();
        for region in &mut self.regions {
            region.body.retain(|id| is_needed[id.index()]);
            if region.states.is_empty() {
                region
                    .merges
                    .retain(|merge| is_needed[merge.merged.index()]);
            }
        }
        self
    }

    /// For each node, whether the result depends on it.
    fn needed(&self) -> Vec<bool> {
        let mut is_needed = vec![false; self.nodes.len()];
        let mut open = vec![self.result];
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut is_needed[id.index()], true) {
                continue;
            }
            open.extend(self.node(id).args());
            // A merged value needs its region; a loop needs all that it hands to its next turn.
            let home = self.regions.iter().enumerate();
            for (number, region) in home {
                let is_loop = !region.states.is_empty();
                let is_here = region.merges.iter().any(|merge| merge.merged == id);
                if !is_here {
                    continue;
                }
                open.extend(region.mask);
                for merge in &region.merges {
                    if is_loop || merge.merged == id {
                        open.extend([merge.fresh, merge.old, merge.merged]);
                    }
                }
                open.extend(region.states.iter().copied());
                open.extend(self.runner(number));
            }
        }
        is_needed
    }

    /// The node that runs a region.
    fn runner(&self, region: usize) -> Option<Id> {
        let ids = (0..).map(Id).take(self.nodes.len());
        ids.into_iter().find(|&id| match self.node(id).op {
            Opcode::Rare(inner) | Opcode::Loop(inner) => usize::from(inner) == region,
            _ => false,
        })
    }

    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id.index()]
    }
}
