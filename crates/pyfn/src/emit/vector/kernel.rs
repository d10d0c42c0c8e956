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

use opcodon_asm::{Alu, Assembler, Cond, Evex, Gpr, Inst, Label, Mem, NONE, Rm, Scale, Shift};
use opcodon_asm::{Vreg, Width, gpr, inst, mask};

use super::graph::{Graph, Id, Lane, Node, Op, Range, Store, Test};
use crate::types::Dtype;

/// Vector instructions that kernels are made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

    fn width(self) -> Width {
        match self {
            Self::Avx2 => Width::Y,
            Self::Avx512 => Width::Z,
        }
    }

    fn n_registers(self) -> u8 {
        match self {
            Self::Avx2 => 16,
            Self::Avx512 => 32,
        }
    }
}

/// Where the streams' addresses are.
const BASES: [Gpr; 10] = [
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
const SCRATCH: [u8; 2] = [0, 1];

/// Nodes beyond which a turn takes one vector.
const N_NODES_UNROLLED: usize = 24;

/// Vectors of a turn.
const N_COPIES_MAX: usize = 4;

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
    let most = if graph.nests.is_empty() {
        2
    } else {
        N_COPIES_MAX
    };
    let mut n_copies = most;
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

fn v(register: u8) -> Vreg {
    Vreg::new(register)
}

struct Code<'g> {
    asm: Assembler,
    graph: &'g Graph,
    isa: Isa,
    /// Bytes of a lane.
    lane: usize,
    live: Vec<bool>,
    /// Computed before the loop.
    is_before: Vec<bool>,
    /// How often each is used by what is computed together with it.
    n_uses: Vec<u32>,
    uses_left: Vec<[u32; N_COPIES_MAX]>,
    registers: Registers,
    free: u32,
    is_in_turns: bool,
    /// Whether rows are masked.
    is_rest: bool,
    /// Vectors in flight, and the current one of them.
    n_copies: usize,
    copy: usize,
}

impl<'g> Code<'g> {
    fn new(graph: &'g Graph, isa: Isa, lane: usize) -> Self {
        let live = graph.live();
        let mut is_before = graph.invariant.clone();
        let is_leaf = |node: &Node| matches!(node.op, Op::Constant(_) | Op::Arg(_));
        let leaves = graph.nodes.iter().zip(&live);
        let n_leaves = leaves
            .filter(|(node, live)| **live && is_leaf(node))
            .count();
        if n_leaves > n_pinned_max(isa) {
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
            n_uses: vec![0; n],
            uses_left: vec![[0; N_COPIES_MAX]; n],
            registers: vec![[None; N_COPIES_MAX]; n],
            free: 0,
            is_in_turns: false,
            is_rest: false,
            n_copies: 1,
            copy: 0,
        }
    }

    fn n_lanes(&self) -> usize {
        self.isa.width().bytes() / self.lane
    }

    // The frame.

    fn kernel(&mut self, n_copies: usize) -> Option<()> {
        let n_streams = self.graph.streams.len();
        let done = self.asm.label();
        let n_saved = n_streams.saturating_sub(N_FREE_BASES);
        for &base in &BASES[N_FREE_BASES..][..n_saved] {
            self.asm.push(base);
        }
        self.asm.alu_mi(Alu::Cmp, Mem::base(gpr::RDI), 0);
        self.asm.jcc(Cond::E, done);
        for (stream, &base) in self.graph.streams.iter().zip(&BASES) {
            self.asm.load(base, argument(stream.base));
        }
        self.before(done)?;
        self.is_in_turns = true;
        let n_nodes = self.live.iter().zip(&self.is_before);
        let n_nodes = n_nodes.filter(|(live, before)| **live && !**before).count();
        let is_small = n_nodes <= N_NODES_UNROLLED;
        let pinned = (self.free, self.registers.clone());
        // `rdx` is what the counter must not exceed.
        let mut margin = 0;
        for n_copies in [if is_small { n_copies } else { 1 }, 1] {
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
        self.asm.mov_rr(gpr::RAX, gpr::RSI);
        self.asm.vzeroupper();
        for &base in BASES[N_FREE_BASES..][..n_saved].iter().rev() {
            self.asm.pop(base);
        }
        self.asm.ret();
        Some(())
    }

    /// What is the same in all rows; the kernel does nothing where that stops it.
    fn before(&mut self, done: Label) -> Option<()> {
        self.free = if self.isa == Isa::Avx512 {
            u32::MAX
        } else {
            0xffff
        };
        for register in SCRATCH {
            self.free &= !(1 << register);
        }
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
            if self.live[at] && self.is_before[at] {
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
        let stores = self.graph.stores.iter().map(|store| store.value);
        for id in stores.chain(self.graph.stops.iter().copied()) {
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
        (self.free, self.registers) = pinned.clone();
        self.vector(done)?;
        self.asm.alu_ri(Alu::Add, gpr::RSI, step);
        self.asm.alu_rr(Alu::Cmp, gpr::RSI, gpr::RDX);
        self.asm.jcc(Cond::LE, head);
        self.asm.bind(after);
        Some(())
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
        (self.free, self.registers) = pinned.clone();
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
        let stores = self.graph.stores.iter().map(|store| store.value);
        for id in stores.chain(stops.iter().copied()) {
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
                let mask = self.register(id)?;
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
                self.store(store)?;
            }
        }
        self.copy = 0;
        Some(())
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
            if !self.live[at] || self.is_before[at] || is_phi || self.is_folded(id) {
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
    fn test(&mut self, register: u8) {
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
    fn place(&self, id: Id) -> usize {
        if self.graph.uniform[id.index()] {
            0
        } else {
            self.copy
        }
    }

    fn register(&self, id: Id) -> Option<u8> {
        self.registers[id.index()][self.place(id)]
    }

    fn take(&mut self) -> Option<u8> {
        (self.free != 0).then(|| {
            let register = self.free.trailing_zeros();
            self.free &= self.free - 1;
            u8::try_from(register).unwrap_or(0)
        })
    }

    /// Counts a use; the register is free after the last, if it is not needed for good.
    fn used(&mut self, id: Id) {
        let (at, place) = (id.index(), self.place(id));
        let uses = &mut self.uses_left[at][place];
        *uses = uses.saturating_sub(1);
        // What was computed before the loop stays where it is.
        let is_pinned = self.is_before[at] && self.is_in_turns;
        if *uses == 0
            && !is_pinned
            && let Some(register) = self.registers[at][place]
        {
            self.free |= 1 << register;
        }
    }

    // Instructions.

    fn three(&mut self, row: &'static Inst, dst: u8, a: u8, b: Rm) {
        let width = self.isa.width();
        match self.isa {
            Isa::Avx2 => self.asm.vex(row, width, v(dst), v(a), b),
            Isa::Avx512 => self.asm.evex(row, width, Evex::NONE, v(dst), v(a), b),
        }
    }

    fn two(&mut self, row: &'static Inst, dst: u8, a: Rm) {
        let width = self.isa.width();
        match self.isa {
            Isa::Avx2 => self.asm.vex(row, width, v(dst), NONE, a),
            Isa::Avx512 => self.asm.evex(row, width, Evex::NONE, v(dst), NONE, a),
        }
    }

    fn shift(&mut self, row: &'static Inst, dst: u8, a: u8, count: u8) {
        let width = self.isa.width();
        match self.isa {
            Isa::Avx2 => self.asm.vex_i(row, width, NONE, v(dst), v(a), count),
            Isa::Avx512 => self
                .asm
                .evex_i(row, width, Evex::NONE, NONE, v(dst), v(a), count),
        }
    }

    fn round(&mut self, mode: u8, is_double: bool, dst: u8, a: u8) {
        let width = self.isa.width();
        match self.isa {
            Isa::Avx2 => {
                let row = if is_double {
                    &inst::ROUNDPD
                } else {
                    &inst::ROUNDPS
                };
                self.asm.vex_i(row, width, v(dst), NONE, v(a), mode | 8);
            }
            Isa::Avx512 => {
                let row = if is_double {
                    &inst::VRNDSCALEPD
                } else {
                    &inst::VRNDSCALEPS
                };
                self.asm
                    .evex_i(row, width, Evex::NONE, v(dst), NONE, v(a), mode | 8);
            }
        }
    }

    /// A vector of one number, from the pool.
    fn broadcast_constant(&mut self, dst: u8, bits: u64) {
        let bytes = bits.to_le_bytes();
        let label = self.asm.constant(&bytes);
        self.broadcast(dst, Mem::rip(label));
    }

    fn broadcast(&mut self, dst: u8, from: Mem) {
        let row = match self.lane {
            2 => &inst::VPBROADCASTW,
            4 => &inst::VBROADCASTSS,
            _ => &inst::VBROADCASTSD,
        };
        self.two(row, dst, from.into());
    }

    fn element(&self, stream: usize, shift: i64) -> Option<Mem> {
        let size = self.graph.streams[stream].dtype.size();
        let scale = match size {
            1 => Scale::S1,
            2 => Scale::S2,
            4 => Scale::S4,
            _ => Scale::S8,
        };
        let ahead = self.copy * self.n_lanes();
        let rows = shift.checked_add(i64::try_from(ahead).ok()?)?;
        let disp = i32::try_from(rows.checked_mul(size)?).ok()?;
        Some(Mem::base(BASES[stream]).index(gpr::RSI, scale).disp(disp))
    }

    fn size(&self, stream: usize) -> usize {
        usize::try_from(self.graph.streams[stream].dtype.size()).unwrap_or(8)
    }

    /// Whether a load is an operand of the one instruction that uses it.
    fn is_folded(&self, id: Id) -> bool {
        let at = id.index();
        let Op::Load(stream, _) = self.graph.nodes[at].op else {
            return false;
        };
        self.n_uses[at] == 1 && self.size(stream) == self.lane && !self.is_rest && {
            let mut users = self.graph.nodes.iter().enumerate();
            let user = users.find(|(user, node)| {
                self.live[*user] && !self.is_before[*user] && node.args().any(|arg| arg == id)
            });
            user.is_some_and(|(_, node)| {
                matches!(node.op, Op::Add | Op::Sub | Op::Mul | Op::Div)
                    && node.arg(1) == id
                    && node.arg(0) != id
                    && !(node.lane == Lane::Single && self.lane == 8)
            }) && user.is_some_and(|(user, _)| self.graph.home[user] == self.graph.home[at])
        }
    }

    /// An operand where it is.
    fn operand(&mut self, id: Id) -> Option<Rm> {
        if let Some(register) = self.register(id) {
            return Some(v(register).into());
        }
        match self.graph.node(id).op {
            Op::Load(stream, shift) => self.element(stream, shift).map(Rm::from),
            _ => None,
        }
    }

    // Values.

    fn value(&mut self, id: Id) -> Option<()> {
        let node = *self.graph.node(id);
        // Read before they are given back, as the result may take the register of one.
        let args = node.args;
        let mut sources = [0; 3];
        for (at, arg) in args.iter().enumerate() {
            if let Some(arg) = arg {
                sources[at] = self.register(*arg).unwrap_or(SCRATCH[0]);
            }
        }
        let last = match args[1] {
            Some(_) if matches!(node.op, Op::Result(_)) => None,
            Some(b) => Some(self.operand(b)?),
            None => None,
        };
        // A select is made of its mask; elsewhere all operands are read at once.
        let keeps = matches!(
            node.op,
            Op::Select | Op::Round(_) | Op::Convert | Op::Compare(_)
        );
        if !keeps {
            self.all_used(&node);
        }
        let dst = self.take()?;
        let [a, b, c] = sources;
        match node.op {
            Op::Load(stream, shift) => self.load(&node, dst, stream, shift)?,
            Op::Broadcast(stream, shift) => self.broadcast_element(&node, dst, stream, shift)?,
            Op::Nothing | Op::Phi(..) => return None,
            Op::Arg(at) => {
                let from = argument(at);
                if node.lane == Lane::Single && self.lane == 8 {
                    self.widen_one(dst, from);
                } else {
                    self.broadcast(dst, from);
                }
            }
            Op::Constant(bits) => {
                let bits = match (node.lane, self.lane) {
                    #[expect(clippy::cast_possible_truncation, reason = "it is a float32")]
                    (Lane::Single, 4) => u64::from((f64::from_bits(bits) as f32).to_bits()),
                    _ => bits,
                };
                self.broadcast_constant(dst, bits);
            }
            Op::Counter => self.counter(dst)?,
            Op::Add | Op::Sub | Op::Mul | Op::Div => {
                let row = self.arithmetic(node.op, node.lane)?;
                self.three(row, dst, a, last?);
                self.round_single(&node, dst);
            }
            Op::Sqrt => {
                let is_double = self.lane == 8;
                let row = if is_double {
                    &inst::SQRTPD
                } else {
                    &inst::SQRTPS
                };
                self.two(row, dst, v(a).into());
                self.round_single(&node, dst);
            }
            Op::MulHigh(by) => self.mul_high(dst, a, by),
            Op::And => self.three(&inst::ANDPD, dst, a, last?),
            Op::Or => self.three(&inst::ORPD, dst, a, last?),
            Op::Xor => self.three(&inst::XORPD, dst, a, last?),
            Op::AndNot => self.three(&inst::ANDNPD, dst, a, last?),
            Op::Compare(test) => {
                let lane = self.graph.node(node.arg(0)).lane;
                self.compare(test, lane, dst, a, b);
            }
            Op::NonFinite => self.non_finite(dst, a),
            Op::Select => self.select(dst, a, b, c),
            Op::ShiftLeft(count) => {
                let row = match self.lane {
                    2 => &inst::PSLLW_I,
                    4 => &inst::PSLLD_I,
                    _ => &inst::PSLLQ_I,
                };
                self.shift(row, dst, a, count);
            }
            Op::ShiftRight(count) => {
                let is_natural = self.graph.node(node.arg(0)).range.low >= 0;
                let row = match (self.lane, self.isa) {
                    (2, _) => &inst::PSRAW_I,
                    (4, _) => &inst::PSRAD_I,
                    (_, Isa::Avx512) => &inst::VPSRAQ_I,
                    _ if is_natural => &inst::PSRLQ_I,
                    _ => return None,
                };
                self.shift(row, dst, a, count);
            }
            Op::Round(mode) => self.round(mode, self.lane == 8, dst, a),
            Op::Convert => self.convert(&node, dst, a)?,
            Op::Clip | Op::Result(_) => self.two(&inst::MOVAPS, dst, v(a).into()),
        }
        if keeps {
            self.all_used(&node);
        }
        self.registers[id.index()][self.copy] = Some(dst);
        Some(())
    }

    /// Counts the uses of a node's arguments.
    fn all_used(&mut self, node: &Node) {
        let n_args = if matches!(node.op, Op::Result(_)) {
            1
        } else {
            3
        };
        for arg in node.args.into_iter().take(n_args).flatten() {
            self.used(arg);
        }
    }

    fn arithmetic(&self, op: Op, lane: Lane) -> Option<&'static Inst> {
        let at = [Op::Add, Op::Sub, Op::Mul, Op::Div]
            .iter()
            .position(|each| *each == op)?;
        let rows: [&'static Inst; 4] = match (lane, self.lane) {
            (Lane::Int, 2) => [&inst::PADDW, &inst::PSUBW, &inst::PMULLW, &inst::DIVPD],
            (Lane::Int, 4) => [&inst::PADDD, &inst::PSUBD, &inst::PMULLD, &inst::DIVPD],
            // Products are of integers of 32 bits.
            (Lane::Int, _) => [&inst::PADDQ, &inst::PSUBQ, &inst::PMULDQ, &inst::DIVPD],
            (_, 8) => [&inst::ADDPD, &inst::SUBPD, &inst::MULPD, &inst::DIVPD],
            _ => [&inst::ADDPS, &inst::SUBPS, &inst::MULPS, &inst::DIVPS],
        };
        (lane != Lane::Int || at < 3).then_some(rows[at])
    }

    /// In lanes of 64 bits a single is the double of the same value. Rounding the double result of
    /// one operation gives the single's (S. A. Figueroa, “When is double rounding innocuous?”, 1995).
    fn round_single(&mut self, node: &Node, dst: u8) {
        if node.lane == Lane::Single && self.lane == 8 {
            self.two(&inst::CVTPD2PS, dst, v(dst).into());
            self.two(&inst::CVTPS2PD, dst, v(dst).into());
        }
    }

    fn widen_one(&mut self, dst: u8, from: Mem) {
        self.two(&inst::VBROADCASTSS, dst, from.into());
        self.two(&inst::CVTPS2PD, dst, v(dst).into());
    }

    fn load(&mut self, node: &Node, dst: u8, stream: usize, shift: i64) -> Option<()> {
        let from = self.element(stream, shift)?;
        let dtype = self.graph.streams[stream].dtype;
        let size = self.size(stream);
        let is_signed = node.range.low < 0;
        let row = match (size, self.lane) {
            (2, 2) if self.is_rest => &inst::VMOVDQU16,
            (8, 8) => &inst::MOVUPD,
            (4, 4) | (2, 2) => &inst::MOVUPS,
            (4, 8) if dtype == Dtype::Float32 => &inst::CVTPS2PD,
            (1, 2) if is_signed => &inst::PMOVSXBW,
            (1, 4) if is_signed => &inst::PMOVSXBD,
            (1, 8) if is_signed => &inst::PMOVSXBQ,
            (2, 4) if is_signed => &inst::PMOVSXWD,
            (2, 8) if is_signed => &inst::PMOVSXWQ,
            (4, 8) if is_signed => &inst::PMOVSXDQ,
            (1, 2) => &inst::PMOVZXBW,
            (1, 4) => &inst::PMOVZXBD,
            (1, 8) => &inst::PMOVZXBQ,
            (2, 4) => &inst::PMOVZXWD,
            (2, 8) => &inst::PMOVZXWQ,
            (4, 8) => &inst::PMOVZXDQ,
            _ => return None,
        };
        if self.is_rest {
            let context = Evex::mask(mask::K1).zeroing();
            let width = self.isa.width();
            self.asm.evex(row, width, context, v(dst), NONE, from);
        } else {
            self.two(row, dst, from.into());
        }
        Some(())
    }

    fn broadcast_element(&mut self, node: &Node, dst: u8, stream: usize, shift: i64) -> Option<()> {
        let dtype = self.graph.streams[stream].dtype;
        let disp = i32::try_from(shift.checked_mul(dtype.size())?).ok()?;
        let from = Mem::base(BASES[stream]).disp(disp);
        let is_signed = node.range.low < 0;
        match (dtype.size(), self.lane) {
            (4, 8) if dtype == Dtype::Float32 => self.widen_one(dst, from),
            (size, lane) if usize::try_from(size) == Ok(lane) => self.broadcast(dst, from),
            (1, _) if is_signed => self.asm.movsx8(gpr::RAX, from),
            (2, _) if is_signed => self.asm.movsx16(gpr::RAX, from),
            (4, _) if is_signed => self.asm.movsxd(gpr::RAX, from),
            (1, _) => self.asm.movzx8(gpr::RAX, from),
            (2, _) => self.asm.movzx16(gpr::RAX, from),
            _ => self.asm.load32(gpr::RAX, from),
        }
        if usize::try_from(dtype.size()) != Ok(self.lane) && dtype != Dtype::Float32 {
            let own = Mem::base(gpr::RDI).disp(8);
            self.asm.store(own, gpr::RAX);
            self.broadcast(dst, own);
        }
        Some(())
    }

    /// The numbers of the rows.
    fn counter(&mut self, dst: u8) -> Option<()> {
        let mut iota = Vec::new();
        for row in 0..self.n_lanes() {
            let row = u64::try_from(row + self.copy * self.n_lanes())
                .ok()?
                .to_le_bytes();
            iota.extend(&row[..self.lane]);
        }
        let iota = self.asm.constant(&iota);
        // There is always a word of the kernel's own behind the arguments.
        let own = Mem::base(gpr::RDI).disp(8);
        self.asm.store(own, gpr::RSI);
        self.broadcast(dst, own);
        let row = self.arithmetic(Op::Add, Lane::Int)?;
        self.three(row, dst, dst, Mem::rip(iota).into());
        Some(())
    }

    fn mul_high(&mut self, dst: u8, a: u8, by: u16) {
        let factor = SCRATCH[1];
        self.broadcast_constant(factor, by.into());
        let factor = v(factor).into();
        match self.lane {
            2 => self.three(&inst::PMULHUW, dst, a, factor),
            4 => {
                self.three(&inst::PMULLD, dst, a, factor);
                self.shift(&inst::PSRLD_I, dst, dst, 16);
            }
            _ => {
                self.three(&inst::PMULDQ, dst, a, factor);
                self.shift(&inst::PSRLQ_I, dst, dst, 16);
            }
        }
    }

    /// Makes a vector of the mask in `k2`.
    fn spread_mask(&mut self, dst: u8) {
        let row = match self.lane {
            2 => &inst::VPMOVM2W,
            4 => &inst::VPMOVM2D,
            _ => &inst::VPMOVM2Q,
        };
        let width = self.isa.width();
        self.asm
            .evex(row, width, Evex::NONE, v(dst), NONE, mask::K2);
    }

    fn compare(&mut self, test: Test, lane: Lane, dst: u8, a: u8, b: u8) {
        let width = self.isa.width();
        if lane != Lane::Int {
            // Those that do not signal; only `!=` is true for what is no number.
            let predicate = match test {
                Test::Eq => 0x00,
                Test::Ne => 0x04,
                Test::Lt => 0x11,
                Test::Le => 0x12,
                Test::Ge => 0x1d,
                Test::Gt => 0x1e,
            };
            let row = if self.lane == 8 {
                &inst::CMPPD
            } else {
                &inst::CMPPS
            };
            match self.isa {
                Isa::Avx2 => self.asm.vex_i(row, width, v(dst), v(a), v(b), predicate),
                Isa::Avx512 => {
                    let k = mask::K2;
                    self.asm
                        .evex_i(row, width, Evex::NONE, k, v(a), v(b), predicate);
                    self.spread_mask(dst);
                }
            }
            return;
        }
        if self.isa == Isa::Avx512 {
            let row = match self.lane {
                2 => &inst::VPCMPW,
                4 => &inst::VPCMPD,
                _ => &inst::VPCMPQ,
            };
            let predicate = match test {
                Test::Eq => 0,
                Test::Lt => 1,
                Test::Le => 2,
                Test::Ne => 4,
                Test::Ge => 5,
                Test::Gt => 6,
            };
            let k = mask::K2;
            self.asm
                .evex_i(row, width, Evex::NONE, k, v(a), v(b), predicate);
            self.spread_mask(dst);
            return;
        }
        let (equal, greater) = match self.lane {
            2 => (&inst::PCMPEQW, &inst::PCMPGTW),
            4 => (&inst::PCMPEQD, &inst::PCMPGTD),
            _ => (&inst::PCMPEQQ, &inst::PCMPGTQ),
        };
        let (row, a, b, is_not) = match test {
            Test::Eq => (equal, a, b, false),
            Test::Ne => (equal, a, b, true),
            Test::Gt => (greater, a, b, false),
            Test::Le => (greater, a, b, true),
            Test::Lt => (greater, b, a, false),
            Test::Ge => (greater, b, a, true),
        };
        self.three(row, dst, a, v(b).into());
        if is_not {
            let ones = SCRATCH[0];
            self.three(&inst::PCMPEQD, ones, ones, v(ones).into());
            self.three(&inst::XORPD, dst, dst, v(ones).into());
        }
    }

    fn non_finite(&mut self, dst: u8, a: u8) {
        let (width, is_double) = (self.isa.width(), self.lane == 8);
        match self.isa {
            Isa::Avx2 => {
                let rows = if is_double {
                    (&inst::SUBPD, &inst::CMPPD)
                } else {
                    (&inst::SUBPS, &inst::CMPPS)
                };
                self.three(rows.0, dst, a, v(a).into());
                self.asm.vex_i(rows.1, width, v(dst), v(dst), v(dst), 3);
            }
            Isa::Avx512 => {
                let row = if is_double {
                    &inst::VFPCLASSPD
                } else {
                    &inst::VFPCLASSPS
                };
                // Quiet and signalling, and both infinities.
                let (k, classes) = (mask::K2, 0x99);
                self.asm
                    .evex_i(row, width, Evex::NONE, k, NONE, v(a), classes);
                self.spread_mask(dst);
            }
        }
    }

    fn select(&mut self, dst: u8, mask: u8, yes: u8, no: u8) {
        let width = self.isa.width();
        match self.isa {
            Isa::Avx2 => {
                let row = match self.lane {
                    2 => &inst::VPBLENDVB,
                    4 => &inst::VBLENDVPS,
                    _ => &inst::VBLENDVPD,
                };
                self.asm.vex4(row, width, v(dst), v(no), v(yes), v(mask));
            }
            Isa::Avx512 => {
                self.two(&inst::MOVAPS, dst, v(mask).into());
                let row = &inst::VPTERNLOGQ;
                self.asm
                    .evex_i(row, width, Evex::NONE, v(dst), v(yes), v(no), 0xca);
            }
        }
    }

    fn convert(&mut self, node: &Node, dst: u8, a: u8) -> Option<()> {
        let from = *self.graph.node(node.arg(0));
        match (from.lane, node.lane, self.lane) {
            (Lane::Int, Lane::Single, 4) => self.two(&inst::CVTDQ2PS, dst, v(a).into()),
            (Lane::Int, Lane::Double | Lane::Single, 8) => {
                self.int_to_double(from.range, dst, a)?;
                self.round_single(node, dst);
            }
            (Lane::Single, Lane::Double, 8) => self.two(&inst::MOVAPS, dst, v(a).into()),
            (Lane::Double, Lane::Single, 8) => {
                self.two(&inst::MOVAPS, dst, v(a).into());
                self.round_single(node, dst);
            }
            (Lane::Single, Lane::Int, 4) => self.two(&inst::CVTTPS2DQ, dst, v(a).into()),
            (Lane::Single | Lane::Double, Lane::Int, 8) => {
                if self.isa == Isa::Avx512 {
                    self.two(&inst::VCVTTPD2QQ, dst, v(a).into());
                } else {
                    let magic = SCRATCH[1];
                    self.round(3, true, dst, a);
                    self.broadcast_constant(magic, MAGIC.to_bits());
                    self.three(&inst::ADDPD, dst, dst, v(magic).into());
                    self.three(&inst::PSUBQ, dst, dst, v(magic).into());
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn int_to_double(&mut self, range: Range, dst: u8, a: u8) -> Option<()> {
        if self.isa == Isa::Avx512 {
            self.two(&inst::VCVTQQ2PD, dst, v(a).into());
            return Some(());
        }
        if !range.within(Range::signed(52)) {
            return None;
        }
        let magic = SCRATCH[1];
        self.broadcast_constant(magic, MAGIC.to_bits());
        self.three(&inst::PADDQ, dst, a, v(magic).into());
        self.three(&inst::SUBPD, dst, dst, v(magic).into());
        Some(())
    }

    // Stores.

    fn store(&mut self, store: &Store) -> Option<()> {
        let to = self.element(store.stream, store.shift)?;
        let dtype = self.graph.streams[store.stream].dtype;
        let from = self.register(store.value)?;
        let size = self.size(store.stream);
        let width = self.isa.width();
        if self.isa == Isa::Avx512 {
            let context = if self.is_rest {
                Evex::mask(mask::K1)
            } else {
                Evex::NONE
            };
            if dtype == Dtype::Float32 && self.lane == 8 {
                let half = SCRATCH[0];
                self.two(&inst::CVTPD2PS, half, v(from).into());
                let row = &inst::MOVUPS_ST;
                self.asm.evex(row, Width::Y, context, v(half), NONE, to);
                return Some(());
            }
            let row = match (self.lane, size) {
                (8, 8) => &inst::MOVUPD_ST,
                (4, 4) => &inst::MOVUPS_ST,
                (2, 2) => &inst::VMOVDQU16_ST,
                (8, 4) => &inst::VPMOVQD,
                (8, 2) => &inst::VPMOVQW,
                (8, 1) => &inst::VPMOVQB,
                (4, 2) => &inst::VPMOVDW,
                (4, 1) => &inst::VPMOVDB,
                (2, 1) => &inst::VPMOVWB,
                _ => return None,
            };
            self.asm.evex(row, width, context, v(from), NONE, to);
            return Some(());
        }
        self.store_avx2(from, dtype, size, to)
    }

    fn store_avx2(&mut self, from: u8, dtype: Dtype, size: usize, to: Mem) -> Option<()> {
        let (x, y) = (Width::X, Width::Y);
        let full = &inst::MOVUPS_ST;
        if self.lane == size {
            self.asm.vex(full, y, v(from), NONE, to);
            return Some(());
        }
        let low = SCRATCH[0];
        let high = SCRATCH[1];
        if dtype == Dtype::Float32 {
            self.two(&inst::CVTPD2PS, low, v(from).into());
            self.asm.vex(full, x, v(low), NONE, to);
            return Some(());
        }
        let is_signed = matches!(dtype, Dtype::Int8 | Dtype::Int16);
        let bytes: &'static Inst = if is_signed {
            &inst::PACKSSWB
        } else {
            &inst::PACKUSWB
        };
        let words: &'static Inst = if dtype == Dtype::UInt16 {
            &inst::PACKUSDW
        } else {
            &inst::PACKSSDW
        };
        let extract = &inst::VEXTRACTI128;
        self.asm.vex_i(extract, y, v(from), NONE, v(high), 1);
        match (self.lane, size) {
            (2, 1) => self.asm.vex(bytes, x, v(low), v(from), v(high)),
            (4, 2) => self.asm.vex(words, x, v(low), v(from), v(high)),
            (4, 1) => {
                self.asm.vex(words, x, v(low), v(from), v(high));
                self.asm.vex(bytes, x, v(low), v(low), v(low));
                self.asm.vex(&inst::MOVQ_X_ST, x, v(low), NONE, to);
                return Some(());
            }
            (8, 4) => {
                let row = &inst::SHUFPS;
                self.asm.vex_i(row, x, v(low), v(from), v(high), 0x88);
            }
            _ => return None,
        }
        self.asm.vex(full, x, v(low), NONE, to);
        Some(())
    }
}

/// 2⁵² + 2⁵¹: added to an integer's bits it makes the double of their sum.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// Where an argument is.
fn argument(at: usize) -> Mem {
    let offset = i32::try_from(8 * (at + 2)).unwrap_or(0);
    Mem::base(gpr::RDI).disp(offset)
}
