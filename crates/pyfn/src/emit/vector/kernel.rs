//! A graph as machine code: rows by the vector, as far as nothing stops them.
//!
//! ```text
//! rax = kernel(rdi = arguments, rsi = first row, rdx = behind the last)
//! ```
//! The first argument says whether the kernel may run at all; it returns the row that is next. What
//! is the same in all rows is computed before the loop. Then come a loop over several vectors a
//! turn, one over single ones, and, where there are masks, the rest. All that a vector of rows reads
//! is read before it writes, and nothing is written of one in which a row stops.
//!
//! Masks lie in vector registers on all machines: what selects by them is one instruction either
//! way, and they are numbers like all others to the register allocator.

use opcodon_asm::{Alu, Assembler, Cond, Evex, Gpr, Label, Mem, NONE, Shift};
use opcodon_asm::{Vreg, Width, gpr, inst, mask};

use super::callout::Detour;
use super::graph::{Graph, Id, Node, Op};
use super::spill::Spills;

/// Vector instructions that kernels are made of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Isa {
    /// 256 bits.
    Avx2,
    /// 512 bits, and masks.
    Avx512,
}

impl Isa {
    /// What this processor has.
    pub(super) fn best() -> Option<Self> {
        use opcodon_codemem::cpu;
        let wanted = std::env::var("OPCODON_TIER").ok();
        let allows = |tier: &str| match wanted.as_deref().map(str::trim) {
            None | Some("avx512") => true,
            Some(other) => other.eq_ignore_ascii_case(tier),
        };
        if cpu::Avx512::new().is_some() && allows("avx512") {
            return Some(Self::Avx512);
        }
        (cpu::Avx2::new().is_some() && allows("avx2")).then_some(Self::Avx2)
    }

    pub(super) fn width(self) -> Width {
        match self {
            Self::Avx2 => Width::Y,
            Self::Avx512 => Width::Z,
        }
    }

    pub(super) fn n_registers(self) -> u8 {
        match self {
            Self::Avx2 => 16,
            Self::Avx512 => 32,
        }
    }
}

/// Where the streams' addresses are.
pub(super) const BASES: [Gpr; 10] = [
    gpr::R8,
    gpr::R9,
    gpr::R10,
    gpr::R11,
    gpr::RBX,
    gpr::RBP,
    gpr::R12,
    gpr::R13,
    gpr::R14,
    gpr::R15,
];

/// How many of them a function need not preserve.
const N_FREE_BASES: usize = 4;

/// Registers of the step itself.
pub(super) const SCRATCH: [u8; 2] = [0, 1];

/// Nodes beyond which a turn takes one vector.
const N_NODES_UNROLLED: usize = 24;

/// Nodes up to which sums and extremes take as many vectors a turn as there may be.
const N_NODES_SHORT: usize = 12;

/// Vectors of a turn.
pub(super) const N_COPIES_MAX: usize = 4;

/// The registers of a value, one for each vector.
type Registers = Vec<[Option<u8>; N_COPIES_MAX]>;

/// Numbers and arguments that stay in registers.
fn n_pinned_max(isa: Isa) -> usize {
    usize::from(isa.n_registers()) / 2 - 2
}

/// The code of a kernel, and how many rows it does at a time; `None` if it takes registers or
/// instructions that there are not.
pub(crate) fn emit(graph: &Graph, isa: Isa) -> Option<(Vec<u8>, usize)> {
    let lane = graph.lane_bytes()?;
    let n_lanes = isa.width().bytes() / lane;
    if graph.streams.len() > BASES.len() {
        return None;
    }
    // Loops inside wait for one sum after another, so several vectors are in flight.
    let mut n_copies = match Code::new(graph, isa, lane).n_nodes() {
        n_nodes if n_nodes > N_NODES_UNROLLED => 1,
        n_nodes if graph.nests.is_empty() => match graph.stores.is_empty() {
            true if n_nodes <= N_NODES_SHORT => N_COPIES_MAX,
            _ => 2,
        },
        _ => N_COPIES_MAX,
    };
    while n_copies > 0 {
        let mut code = Code::new(graph, isa, lane);
        if code.kernel(n_copies).is_some() {
            let bytes = code.asm.finish().ok()?.to_vec();
            return Some((bytes, n_lanes));
        }
        n_copies /= 2;
    }
    None
}

/// Numbers that are only operands of what is computed.
fn operands(graph: &Graph) -> Vec<bool> {
    let is_number = |node: &Node| matches!(node.op, Op::Constant(_));
    let mut is_operand = graph.nodes.iter().map(is_number).collect::<Vec<_>>();
    let carried = graph
        .nests
        .iter()
        .flat_map(|nest| nest.phis.iter().flatten());
    let carried = carried.copied().chain(graph.results());
    for id in carried.chain(graph.stops.iter().copied()) {
        is_operand[id.index()] = false;
    }
    // What a thunk is given is looked at on the detour again.
    for node in &graph.nodes {
        if let Op::Call(_) | Op::Routine(_) = node.op {
            node.args().for_each(|arg| is_operand[arg.index()] = false);
        }
    }
    is_operand
}

pub(super) fn v(register: u8) -> Vreg {
    Vreg::new(register)
}

pub(super) struct Code<'g> {
    pub(super) asm: Assembler,
    pub(super) graph: &'g Graph,
    pub(super) isa: Isa,
    /// Bytes of a lane.
    pub(super) lane: usize,
    pub(super) live: Vec<bool>,
    /// Computed before the loop.
    pub(super) is_before: Vec<bool>,
    /// Numbers that are read where they are used.
    pub(super) is_lazy: Vec<bool>,
    pub(super) detours: Vec<Detour>,
    /// The registers of what is carried.
    pub(super) folded: Vec<u8>,
    /// How often each is used by what is computed together with it.
    pub(super) n_uses: Vec<u32>,
    pub(super) uses_left: Vec<[u32; N_COPIES_MAX]>,
    pub(super) registers: Registers,
    pub(super) free: u32,
    /// Registers that the current step needs.
    pub(super) locked: u32,
    /// What lies in memory for want of registers.
    pub(super) spills: Spills,
    pub(super) is_in_turns: bool,
    /// Whether rows are masked.
    pub(super) is_rest: bool,
    /// Vectors in flight in the widest loop.
    pub(super) n_copies_wanted: usize,
    /// Vectors in flight, and the current one of them.
    pub(super) n_copies: usize,
    pub(super) copy: usize,
}

impl<'g> Code<'g> {
    fn new(graph: &'g Graph, isa: Isa, lane: usize) -> Self {
        let live = graph.live();
        let mut is_before = graph.invariant.clone();
        let mut is_lazy = vec![false; graph.nodes.len()];
        let n_leaves = |is_lazy: &[bool]| {
            let is_leaf = |node: &Node| matches!(node.op, Op::Constant(_) | Op::Arg(_));
            let leaves = graph.nodes.iter().zip(&live).zip(is_lazy);
            let leaves = leaves.filter(|((node, live), lazy)| **live && !**lazy && is_leaf(node));
            leaves.count()
        };
        if n_leaves(&is_lazy) > n_pinned_max(isa) {
            is_lazy = operands(graph);
        }
        if n_leaves(&is_lazy) > n_pinned_max(isa) {
            // Loaded where they are used; what is made of them is made there, too.
            is_before.fill(false);
        }
        let n = graph.nodes.len();
        Self {
            asm: Assembler::with_capacity(4096),
            graph,
            isa,
            lane,
            live,
            is_before,
            is_lazy,
            detours: Vec::new(),
            folded: Vec::new(),
            n_uses: vec![0; n],
            uses_left: vec![[0; N_COPIES_MAX]; n],
            registers: vec![[None; N_COPIES_MAX]; n],
            free: 0,
            locked: 0,
            spills: Spills::new(graph),
            is_in_turns: false,
            is_rest: false,
            n_copies_wanted: 1,
            n_copies: 1,
            copy: 0,
        }
    }

    pub(super) fn n_lanes(&self) -> usize {
        self.isa.width().bytes() / self.lane
    }

    /// What is computed in a turn.
    fn n_nodes(&self) -> usize {
        let nodes = self.live.iter().zip(&self.is_before).zip(&self.is_lazy);
        let is_here =
            |((live, before), lazy): &((&bool, &bool), &bool)| **live && !**before && !**lazy;
        nodes.filter(is_here).count()
    }

    // The frame.

    fn kernel(&mut self, n_copies: usize) -> Option<()> {
        self.n_copies_wanted = n_copies;
        let n_streams = self.graph.streams.len();
        let done = self.asm.label();
        let n_saved = n_streams.saturating_sub(N_FREE_BASES);
        for &base in &BASES[N_FREE_BASES..][..n_saved] {
            self.asm.push(base);
        }
        self.free = if self.isa == Isa::Avx512 {
            u32::MAX
        } else {
            0xffff
        };
        for register in SCRATCH {
            self.free &= !(1 << register);
        }
        self.open_spills();
        self.begin_folds()?;
        self.asm.alu_mi(Alu::Cmp, Mem::base(gpr::RDI), 0);
        self.asm.jcc(Cond::E, done);
        for (stream, &base) in self.graph.streams.iter().zip(&BASES) {
            self.asm.load(base, argument(stream.base));
        }
        self.before(done)?;
        self.is_in_turns = true;
        let pinned = (self.free, self.registers.clone());
        // `rdx` is what the counter must not exceed.
        let mut margin = 0;
        for n_copies in [n_copies, 1] {
            let step = i32::try_from(self.n_lanes() * n_copies).ok()?;
            self.asm.alu_ri(Alu::Sub, gpr::RDX, step - margin);
            margin = step;
            self.n_copies = n_copies;
            self.turns(step, &pinned, done)?;
            if n_copies == 1 {
                break;
            }
        }
        self.asm.alu_ri(Alu::Add, gpr::RDX, margin);
        if self.isa == Isa::Avx512 {
            self.rest(&pinned, done)?;
        }
        self.asm.bind(done);
        self.end_folds()?;
        self.asm.mov_rr(gpr::RAX, gpr::RSI);
        self.asm.vzeroupper();
        self.close_spills();
        for &base in BASES[N_FREE_BASES..][..n_saved].iter().rev() {
            self.asm.pop(base);
        }
        self.asm.ret();
        for detour in std::mem::take(&mut self.detours) {
            self.detour(&detour);
        }
        Some(())
    }

    /// What is the same in all rows; the kernel does nothing where that stops it.
    fn before(&mut self, done: Label) -> Option<()> {
        // What the loop uses of it is never given back.
        self.n_uses.fill(0);
        for (at, node) in self.graph.nodes.iter().enumerate() {
            if self.live[at] && self.is_before[at] {
                node.args().for_each(|arg| self.n_uses[arg.index()] += 1);
            }
        }
        let is_for_good = self.used_in_turns();
        for (at, is_for_good) in is_for_good.iter().enumerate() {
            self.n_uses[at] += u32::from(*is_for_good);
        }
        self.count_uses();
        for at in 0..self.graph.nodes.len() {
            if self.live[at] && self.is_before[at] && !self.is_lazy[at] {
                self.value(Id(u32::try_from(at).ok()?))?;
            }
        }
        for &stop in &self.graph.stops {
            if self.is_before[stop.index()] {
                self.stop(stop, done)?;
            }
        }
        Some(())
    }

    /// For each node computed before the loop, whether it is used in it.
    fn used_in_turns(&self) -> Vec<bool> {
        let mut used = vec![false; self.graph.nodes.len()];
        for (at, node) in self.graph.nodes.iter().enumerate() {
            if self.live[at] && !self.is_before[at] {
                node.args().for_each(|arg| used[arg.index()] = true);
            }
        }
        let results = self.graph.results();
        for id in results.chain(self.graph.stops.iter().copied()) {
            used[id.index()] = true;
        }
        used
    }

    fn turns(&mut self, step: i32, pinned: &(u32, Registers), done: Label) -> Option<()> {
        let (head, after) = (self.asm.label(), self.asm.label());
        self.asm.alu_rr(Alu::Cmp, gpr::RSI, gpr::RDX);
        self.asm.jcc(Cond::G, after);
        self.asm.align(16);
        self.asm.bind(head);
        self.begin_vector(pinned);
        self.vector(done)?;
        self.asm.alu_ri(Alu::Add, gpr::RSI, step);
        self.asm.alu_rr(Alu::Cmp, gpr::RSI, gpr::RDX);
        self.asm.jcc(Cond::LE, head);
        self.asm.bind(after);
        Some(())
    }

    fn begin_vector(&mut self, pinned: &(u32, Registers)) {
        (self.free, self.registers) = pinned.clone();
        self.spills.clear();
    }

    /// The rows that are fewer than a vector's, if there are any.
    fn rest(&mut self, pinned: &(u32, Registers), done: Label) -> Option<()> {
        self.asm.mov_rr(gpr::RCX, gpr::RDX);
        self.asm.alu_rr(Alu::Sub, gpr::RCX, gpr::RSI);
        self.asm.jcc(Cond::LE, done);
        self.asm.mov_ri(gpr::RAX, 1);
        self.asm.shift_cl(Shift::Shl, gpr::RAX);
        self.asm.dec(gpr::RAX);
        let to_mask = &inst::KMOVQ_KR;
        self.asm.vex(to_mask, Width::X, mask::K1, NONE, gpr::RAX);
        self.is_rest = true;
        self.n_copies = 1;
        self.begin_vector(pinned);
        self.vector(done)?;
        self.asm.mov_rr(gpr::RSI, gpr::RDX);
        Some(())
    }

    /// One vector of rows, or several at once.
    fn vector(&mut self, stop: Label) -> Option<()> {
        self.n_uses.fill(0);
        for (at, node) in self.graph.nodes.iter().enumerate() {
            if self.live[at] && !self.is_before[at] && !matches!(node.op, Op::Result(_)) {
                node.args().for_each(|arg| self.n_uses[arg.index()] += 1);
            }
        }
        let stops = &self.graph.stops;
        let stops = stops.iter().filter(|stop| !self.is_before[stop.index()]);
        let stops = stops.copied().collect::<Vec<_>>();
        for id in self.graph.results().chain(stops.iter().copied()) {
            self.n_uses[id.index()] += 1;
        }
        for nest in 0..self.graph.nests.len() {
            for &[phi, init, update] in &self.graph.nests[nest].phis {
                if self.live[phi.index()] {
                    // One use to carry it on, and one behind the loop.
                    self.n_uses[phi.index()] += 1;
                    self.n_uses[init.index()] += 1;
                    self.n_uses[update.index()] += 1;
                }
            }
            for id in self.used_in(nest) {
                self.n_uses[id.index()] += 1;
            }
        }
        self.count_uses();
        self.region(None)?;
        // Any stop: all masks together are looked at once.
        let mut all = None;
        for &id in &stops {
            for copy in 0..self.n_copies {
                self.copy = copy;
                self.locked = all.map_or(0, |so_far: u8| 1 << so_far);
                let mask = self.fetch(id)?;
                if let Some(so_far) = all {
                    self.three(&inst::ORPD, SCRATCH[0], so_far, v(mask).into());
                    all = Some(SCRATCH[0]);
                } else {
                    all = Some(mask);
                }
            }
        }
        if let Some(all) = all {
            self.test(all);
            self.asm.jcc(Cond::NE, stop);
        }
        for store in &self.graph.stores {
            for copy in 0..self.n_copies {
                self.copy = copy;
                self.locked = 0;
                self.store(store)?;
            }
        }
        self.copy = 0;
        self.fold()
    }

    fn count_uses(&mut self) {
        let n_copies = u32::try_from(self.n_copies).unwrap_or(1);
        for (at, uses) in self.uses_left.iter_mut().enumerate() {
            *uses = [self.n_uses[at]; N_COPIES_MAX];
            if self.graph.uniform[at] {
                uses[0] *= n_copies;
            }
        }
    }

    /// Whether a loop is another, or around it.
    fn is_around(&self, nest: usize, mut inner: Option<usize>) -> bool {
        while let Some(at) = inner {
            if at == nest {
                return true;
            }
            inner = self.graph.nests[at].parent;
        }
        false
    }

    /// What is computed before a loop and used in it: it stays until its end.
    fn used_in(&self, nest: usize) -> Vec<Id> {
        let mut used = Vec::new();
        let is_inside = |id: Id| self.is_around(nest, self.graph.home[id.index()]);
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let is_here = self.is_around(nest, self.graph.home[at]);
            if self.live[at] && !self.is_before[at] && is_here {
                used.extend(node.args().filter(|&arg| !is_inside(arg)));
            }
        }
        for (inner, each) in self.graph.nests.iter().enumerate() {
            if self.is_around(nest, Some(inner)) {
                for &[phi, init, update] in &each.phis {
                    if self.live[phi.index()] {
                        used.extend([init, update].into_iter().filter(|&id| !is_inside(id)));
                    }
                }
            }
        }
        used.sort_unstable();
        used.dedup();
        used
    }

    /// What changes in a loop, or in the turn as a whole, and the loops inside.
    fn region(&mut self, home: Option<usize>) -> Option<()> {
        let n_nodes = self.graph.nodes.len();
        for at in 0..=n_nodes {
            for (inner, nest) in self.graph.nests.iter().enumerate() {
                let is_live = nest.phis.iter().any(|phi| self.live[phi[0].index()]);
                if nest.parent == home && nest.end == at && is_live {
                    self.nest(inner)?;
                }
            }
            if at == n_nodes || self.graph.home[at] != home {
                continue;
            }
            let id = Id(u32::try_from(at).ok()?);
            let is_phi = matches!(self.graph.nodes[at].op, Op::Phi(..));
            let is_here = self.live[at] && !self.is_before[at] && !self.is_lazy[at];
            if !is_here || is_phi || self.is_folded(id) {
                continue;
            }
            let n_copies = if self.graph.uniform[at] {
                1
            } else {
                self.n_copies
            };
            for copy in 0..n_copies {
                self.copy = copy;
                self.value(id)?;
            }
        }
        Some(())
    }

    fn nest(&mut self, at: usize) -> Option<()> {
        let graph = self.graph;
        let nest = &graph.nests[at];
        let phis = nest.phis.iter().filter(|phi| self.live[phi[0].index()]);
        let phis = phis.copied().collect::<Vec<_>>();
        for &[phi, init, update] in &phis {
            let is_other = |other: &[Id; 3]| other[0] == update && other[0] != phi;
            if phis.iter().any(is_other) {
                return None;
            }
            for copy in 0..self.n_copies {
                self.copy = copy;
                let from = self.register(init)?;
                let to = self.take()?;
                self.two(&inst::MOVAPS, to, v(from).into());
                self.registers[phi.index()][copy] = Some(to);
                self.used(init);
            }
        }
        self.asm.push(gpr::RCX);
        self.asm.load(gpr::RCX, argument(nest.trips));
        let head = self.asm.label();
        self.asm.align(16);
        self.asm.bind(head);
        self.region(Some(at))?;
        for &[phi, _, update] in &phis {
            for copy in 0..self.n_copies {
                self.copy = copy;
                let (to, from) = (self.register(phi)?, self.register(update)?);
                if to != from {
                    self.two(&inst::MOVAPS, to, v(from).into());
                }
                self.used(update);
            }
        }
        let steps = graph.streams.iter().zip(&BASES);
        let steps = steps.flat_map(|(stream, base)| stream.steps.iter().map(move |by| (by, *base)));
        let steps = steps.filter(|(step, _)| step.of == at).collect::<Vec<_>>();
        for &(step, base) in &steps {
            self.asm.alu_rm(Alu::Add, base, argument(step.one));
        }
        self.asm.dec(gpr::RCX);
        self.asm.jcc(Cond::NE, head);
        for &(step, base) in &steps {
            self.asm.alu_rm(Alu::Sub, base, argument(step.all));
        }
        self.asm.pop(gpr::RCX);
        for id in self.used_in(at) {
            for copy in 0..self.n_copies {
                self.copy = copy;
                self.used(id);
            }
        }
        Some(())
    }

    fn stop(&mut self, id: Id, to: Label) -> Option<()> {
        let register = self.register(id)?;
        let is_rest = std::mem::replace(&mut self.is_rest, false);
        self.test(register);
        self.is_rest = is_rest;
        self.asm.jcc(Cond::NE, to);
        Some(())
    }

    /// Sets the flags by whether anything is set.
    pub(super) fn test(&mut self, register: u8) {
        let (asm, width) = (&mut self.asm, self.isa.width());
        match self.isa {
            Isa::Avx2 => asm.vex(&inst::PTEST, width, v(register), NONE, v(register)),
            Isa::Avx512 => {
                let row = match self.lane {
                    2 => &inst::VPTESTMW,
                    4 => &inst::VPTESTMD,
                    _ => &inst::VPTESTMQ,
                };
                let context = if self.is_rest {
                    Evex::mask(mask::K1)
                } else {
                    Evex::NONE
                };
                asm.evex(row, width, context, mask::K2, v(register), v(register));
                let (k, row) = (mask::K2, &inst::KORTESTQ);
                asm.vex(row, Width::X, k, NONE, k);
            }
        }
    }

    // Registers.

    /// The vector whose register a value of the current one has.
    pub(super) fn place(&self, id: Id) -> usize {
        if self.graph.uniform[id.index()] {
            0
        } else {
            self.copy
        }
    }

    pub(super) fn register(&self, id: Id) -> Option<u8> {
        self.registers[id.index()][self.place(id)]
    }

    pub(super) fn take(&mut self) -> Option<u8> {
        if self.free == 0 {
            self.spill_one()?;
        }
        (self.free != 0).then(|| {
            let register = self.free.trailing_zeros();
            self.free &= self.free - 1;
            u8::try_from(register).unwrap_or(0)
        })
    }

    pub(super) fn is_free(&self, register: u8) -> bool {
        self.free & 1 << register != 0
    }

    /// Counts a use; the register is free after the last, if it is not needed for good.
    pub(super) fn used(&mut self, id: Id) {
        let (at, place) = (id.index(), self.place(id));
        let uses = &mut self.uses_left[at][place];
        *uses = uses.saturating_sub(1);
        if *uses == 0 {
            self.spills.forget(id);
        }
        // What was computed before the loop stays where it is.
        let is_pinned = self.is_before[at] && self.is_in_turns;
        if *uses == 0
            && !is_pinned
            && let Some(register) = self.registers[at][place]
        {
            self.free |= 1 << register;
        }
    }
}

/// A word of the kernel's own, before the arguments.
pub(super) fn own_word() -> Mem {
    Mem::base(gpr::RDI).disp(8)
}

/// Where an argument is.
pub(super) fn argument(at: usize) -> Mem {
    let offset = i32::try_from(8 * (at + 2)).unwrap_or(0);
    Mem::base(gpr::RDI).disp(offset)
}
