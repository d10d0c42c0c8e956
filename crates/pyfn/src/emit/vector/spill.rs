//! Values that wait in memory because there are not enough registers.
//!
//! A turn without loops inside is straight-line code, so that what is used last may give up its
//! register (L. A. Belady, 1966): it is stored when the register is needed, and loaded or read where
//! it is used again.

use opcodon_asm::{Alu, Evex, Mem, NONE, gpr, inst};

use super::graph::{Graph, Id};
use super::kernel::{Code, Isa, v};

/// Vectors that there is room for.
const N_SLOTS: u8 = 32;

/// Values that lie in memory.
pub(super) struct Spills {
    /// Whether there is room on the stack.
    is_open: bool,
    /// For each node the slot that it lies in.
    slots: Vec<Option<u8>>,
    /// One bit for each slot that is free.
    free: u32,
    /// Slots that are free once the current node is computed.
    pending: u32,
    /// The node that is computed.
    now: usize,
    /// For each node those that use it.
    users: Vec<Vec<usize>>,
}

impl Spills {
    pub(super) fn new(graph: &Graph) -> Self {
        let n = graph.nodes.len();
        let mut users = vec![Vec::new(); n];
        if graph.nests.is_empty() {
            for (user, node) in graph.nodes.iter().enumerate() {
                node.args().for_each(|arg| users[arg.index()].push(user));
            }
        }
        Self {
            is_open: false,
            slots: vec![None; n],
            free: u32::MAX,
            pending: 0,
            now: 0,
            users,
        }
    }

    pub(super) fn clear(&mut self) {
        self.slots.fill(None);
        (self.free, self.pending) = (u32::MAX, 0);
    }

    /// Goes on to a node.
    pub(super) fn begin(&mut self, id: Id) {
        self.now = id.index();
        self.free |= std::mem::take(&mut self.pending);
    }

    /// The slot is free again, behind the current node, which may read it.
    pub(super) fn forget(&mut self, id: Id) {
        if let Some(slot) = self.slots[id.index()].take() {
            self.pending |= 1 << slot;
        }
    }

    /// Where a node is used next; what is stored or looked at in the end is used last.
    fn next_use(&self, at: usize) -> usize {
        let users = &self.users[at];
        let next = users.iter().find(|user| **user > self.now);
        next.copied().unwrap_or(usize::MAX)
    }
}

impl Code<'_> {
    /// Makes room on the stack, if values of this kernel may lie there.
    pub(super) fn open_spills(&mut self) {
        // Several vectors in flight are only of small graphs.
        self.spills.is_open = self.graph.nests.is_empty() && self.n_copies_wanted == 1;
        if self.spills.is_open {
            self.asm.alu_ri(Alu::Sub, gpr::RSP, self.spill_bytes());
        }
    }

    pub(super) fn close_spills(&mut self) {
        if self.spills.is_open {
            self.asm.alu_ri(Alu::Add, gpr::RSP, self.spill_bytes());
        }
    }

    fn spill_bytes(&self) -> i32 {
        i32::from(N_SLOTS) * self.vector_bytes()
    }

    fn vector_bytes(&self) -> i32 {
        i32::try_from(self.isa.width().bytes()).unwrap_or(64)
    }

    fn place_of(&self, slot: u8) -> Mem {
        Mem::base(gpr::RSP).disp(i32::from(slot) * self.vector_bytes())
    }

    /// Where a value lies that has no register.
    pub(super) fn spilled(&self, id: Id) -> Option<Mem> {
        self.spills.slots[id.index()].map(|slot| self.place_of(slot))
    }

    /// Stores the value that is used last, and frees its register.
    pub(super) fn spill_one(&mut self) -> Option<()> {
        if !self.spills.is_open || !self.is_in_turns || self.spills.free == 0 {
            return None;
        }
        let holds = |at: usize| {
            let register = self.registers[at][0]?;
            let is_needed = self.uses_left[at][0] > 0 && !self.is_before[at];
            let may_go = is_needed && self.locked & 1 << register == 0;
            may_go.then_some((self.spills.next_use(at), at, register))
        };
        let (_, at, register) = (0..self.registers.len()).filter_map(holds).max()?;
        let slot = u8::try_from(self.spills.free.trailing_zeros()).ok()?;
        self.spills.free &= self.spills.free - 1;
        self.spills.slots[at] = Some(slot);
        let (to, width, row) = (self.place_of(slot), self.isa.width(), &inst::MOVUPD_ST);
        match self.isa {
            Isa::Avx2 => self.asm.vex(row, width, v(register), NONE, to),
            Isa::Avx512 => {
                self.asm.evex(row, width, Evex::NONE, v(register), NONE, to);
            }
        }
        self.registers[at][0] = None;
        self.free |= 1 << register;
        Some(())
    }

    /// The register of a value, which is loaded if it has none.
    pub(super) fn fetch(&mut self, id: Id) -> Option<u8> {
        if let Some(register) = self.register(id) {
            self.locked |= 1 << register;
            return Some(register);
        }
        let from = self.spilled(id)?;
        let register = self.take()?;
        self.two(&inst::MOVUPD, register, from.into());
        self.spills.forget(id);
        self.registers[id.index()][0] = Some(register);
        self.locked |= 1 << register;
        Some(register)
    }
}
