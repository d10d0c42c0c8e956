//! From a program to machine code: registers for values, instructions for operations.
//!
//! # Registers
//! One pass over the program in its own order. A value sits in a register from its definition to
//! its last use; when none is free, the value whose next use is farthest goes to a stack slot
//! (Belady 1966), and is from then on a memory operand. Constants live in the constant pool and are
//! memory operands: broadcast from one element on AVX-512, whole vectors elsewhere.
//!
//! # Several vectors
//! What a call costs is what three or four instructions do, so a routine of one argument can take two or
//! three vectors side by side, in registers 0, 1 and 2, and does one after the other: the processor
//! overlaps them. It is the routine of one vector with those of the others before it, which are
//! entrances to the same code.
//!
//! # Rare regions
//! They lie behind the routine's `ret`, so that the common path is straight code with a branch not
//! taken. On entry every register goes to its slot, at the end every register is reloaded: a rare
//! region costs the common path no register, and needs no agreement about places where paths join.
//!
//! # Invariants
//! - Only the scratch registers are written, `rax`, `r10` and flags besides.
//! - Under AVX2 and AVX-512 there is no legacy SSE encoding, which would stall on dirty upper
//!   halves.

use opcodon_asm::{Alu, Assembler, Cond, Label, Mem, Rm, Width, gpr};

use super::Isa;
use super::instructions::{self, Order, Target, v};
use super::program::{Elem, Id, Node, Opcode, Program};

/// Vector registers that routines may change, in order of preference.
fn scratch(isa: Isa) -> impl Iterator<Item = u8> {
    let high = if isa == Isa::Avx512 { 16..32 } else { 8..16 };
    high.chain(0..3)
}

/// Mask registers that routines may change.
const MASKS: std::ops::Range<u8> = 2..8;

/// Where a routine of one, two and three vectors begins, as far as there is one.
pub(super) type Entries = [Option<usize>; 3];

/// Appends the routine for up to so many vectors to `asm` and returns where it begins.
pub(super) fn emit(
    asm: &mut Assembler,
    program: &Program,
    isa: Isa,
    width: Width,
    n_vectors: u8,
) -> Entries {
    // What a routine needs of the stack is known when it is emitted: a first pass goes to a buffer
    // of its own, but for straight code with many registers, which needs nothing.
    let mut frame = Frame::default();
    if program.regions.len() > 1 || isa != Isa::Avx512 {
        let mut first = Assembler::new();
        (_, frame) = attempt(&mut first, program, isa, width, n_vectors, frame);
    }
    loop {
        let (entries, needed) = attempt(asm, program, isa, width, n_vectors, frame);
        if needed.n_slots == frame.n_slots {
            return entries;
        }
        // The code just emitted stays behind, unused.
        frame = needed;
    }
}

/// Appends the routine, taking it that it needs as much of the stack as `frame` says; returns where
/// it begins and what it needs.
fn attempt(
    asm: &mut Assembler,
    program: &Program,
    isa: Isa,
    width: Width,
    n_vectors: u8,
    frame: Frame,
) -> (Entries, Frame) {
    asm.align(32);
    let target = Target {
        asm: std::mem::take(asm),
        isa,
        width,
    };
    let mut emitter = Emitter::new(target, program, frame);
    let entries = emitter.routine(n_vectors);
    *asm = emitter.target.asm;
    (entries, emitter.frame)
}

/// The part of the stack that a routine uses.
#[derive(Clone, Copy, Debug, Default)]
struct Frame {
    n_slots: usize,
    /// Whether the common path uses it, not only rare regions.
    is_hot: bool,
}

/// A table by node.
#[derive(Clone, Debug)]
struct ById<T>(Vec<Option<T>>);

impl<T> Default for ById<T> {
    fn default() -> Self {
        ById(vec![])
    }
}

impl<T: Copy> ById<T> {
    fn get(&self, id: Id) -> Option<T> {
        self.0.get(id.index()).copied().flatten()
    }

    fn set(&mut self, id: Id, value: T) {
        if self.0.len() <= id.index() {
            self.0.resize(id.index() + 1, None);
        }
        self.0[id.index()] = Some(value);
    }

    fn remove(&mut self, id: Id) -> Option<T> {
        self.0.get_mut(id.index()).and_then(Option::take)
    }
}

/// What registers and stack slots hold.
#[derive(Clone, Debug, Default)]
struct Places {
    vectors: [Option<Id>; 32],
    masks: [Option<Id>; 8],
    slots: ById<usize>,
    used_slots: Vec<bool>,
    /// Values whose slots outlive the region being emitted.
    outer: ById<usize>,
}

/// A rare region that has yet to be emitted.
struct Cold {
    region: usize,
    start: Label,
    resume: Label,
    /// On entry; on return the same, but for the merges.
    places: Places,
    /// What a merged value's register holds on entry, where that is still of use.
    olds: ById<Id>,
    is_nested: bool,
    vector: u8,
}

struct Emitter<'p> {
    target: Target,
    program: &'p Program,
    frame: Frame,
    /// Whether the region being emitted is the routine itself.
    is_hot: bool,
    /// The vector that it is for, which is where its first argument and the result are.
    vector: u8,
    /// The registers of all vectors, if there are several.
    vectors: u32,
    places: Places,
    /// The region being emitted.
    region: usize,
    /// Positions of the last uses in it.
    last_uses: ById<usize>,
    /// Position of the node being emitted.
    now: usize,
    /// Registers that must not be taken now.
    pinned: u32,
    cold: Vec<Cold>,
}

impl<'p> Emitter<'p> {
    fn new(target: Target, program: &'p Program, frame: Frame) -> Self {
        Emitter {
            target,
            program,
            frame,
            is_hot: true,
            vector: 0,
            vectors: 0,
            places: Places::default(),
            region: 0,
            last_uses: ById::default(),
            now: 0,
            pinned: 0,
            cold: vec![],
        }
    }

    fn routine(&mut self, n_vectors: u8) -> Entries {
        let arguments: Vec<Id> = (self.program.regions[0].body.iter().copied())
            .filter(|&id| matches!(self.node(id).op, Opcode::Argument(_)))
            .collect();
        if n_vectors > 1 {
            self.vectors = (1 << n_vectors) - 1;
        }
        let mut entries = [None; 3];
        for vector in (0..n_vectors).rev() {
            entries[usize::from(vector)] = Some(self.target.asm.position());
            self.vector = vector;
            self.one(&arguments);
        }
        self.target.asm.ret();
        self.is_hot = false;
        while let Some(cold) = self.cold.pop() {
            self.cold_region(cold);
        }
        entries
    }

    /// The common path for one vector.
    fn one(&mut self, arguments: &[Id]) {
        self.places = Places::default();
        for &id in arguments {
            if let Opcode::Argument(i) = self.node(id).op {
                self.places.vectors[usize::from(self.vector + i)] = Some(id);
            }
        }
        self.last_uses = self.last_uses_in(0);
        (self.region, self.now, self.pinned) = (0, 0, 0);
        arguments.iter().for_each(|&id| self.release(id));
        let has_frame = self.frame.is_hot;
        if has_frame {
            self.move_stack(Alu::Sub);
        }
        self.body(0);
        let result = self.program.result;
        let place = self.rm(result);
        self.target.copy(self.node(result).elem, self.vector, place);
        if has_frame {
            self.move_stack(Alu::Add);
        }
    }

    /// The registers that may be written: of those of several vectors only one.
    fn scratch(&self) -> impl Iterator<Item = u8> + use<> {
        let others = self.vectors & !(1 << self.vector);
        scratch(self.isa()).filter(move |register| others >> register & 1 == 0)
    }

    fn move_stack(&mut self, direction: Alu) {
        self.target
            .move_stack(direction, self.frame.n_slots * self.target.width.bytes());
    }

    fn isa(&self) -> Isa {
        self.target.isa
    }

    fn node(&self, id: Id) -> &'p Node {
        self.program.node(id)
    }

    // Liveness.

    /// Positions of the last uses in a region, where uses by an inner region count where that runs.
    fn last_uses_in(&self, region: usize) -> ById<usize> {
        let is_routine = region == 0;
        let region = &self.program.regions[region];
        let end = region.body.len();
        let mut last_uses = ById(vec![None; self.program.nodes.len()]);
        for (position, &id) in region.body.iter().enumerate() {
            self.used_by(id)
                .for_each(|used| last_uses.set(used, position));
        }
        let fresh = region.merges.iter().map(|merge| merge.fresh);
        let result = is_routine.then_some(self.program.result);
        for used in fresh.chain(region.mask).chain(result) {
            last_uses.set(used, end);
        }
        last_uses
    }

    /// What a node uses, itself or in the region that it runs.
    fn used_by(&self, id: Id) -> impl Iterator<Item = Id> + use<> {
        let node = self.node(id);
        let inner = match node.op {
            Opcode::Rare(inner) | Opcode::Loop(inner) => self.mentioned(usize::from(inner)),
            _ => vec![],
        };
        node.args().chain(inner)
    }

    /// Every value that a region mentions, in whatever way.
    fn mentioned(&self, region: usize) -> Vec<Id> {
        let region = &self.program.regions[region];
        let mut all: Vec<Id> = region.mask.into_iter().collect();
        all.extend(
            region
                .merges
                .iter()
                .flat_map(|merge| [merge.fresh, merge.old]),
        );
        for &id in &region.body {
            let node = self.node(id);
            all.extend(node.args());
            if let Opcode::Rare(inner) | Opcode::Loop(inner) = node.op {
                all.extend(self.mentioned(usize::from(inner)));
            }
        }
        all
    }

    /// Whether a value is not used after the node being emitted.
    fn dies(&self, id: Id) -> bool {
        self.last_uses.get(id).is_none_or(|last| last <= self.now)
    }

    /// Frees what a value occupies if it is not used any more.
    fn release(&mut self, id: Id) {
        if !self.dies(id) {
            return;
        }
        let places = &mut self.places;
        for owner in places.vectors.iter_mut().chain(&mut places.masks) {
            if *owner == Some(id) {
                *owner = None;
            }
        }
        if places.outer.get(id).is_none()
            && let Some(slot) = places.slots.remove(id)
        {
            places.used_slots[slot] = false;
        }
    }

    fn release_args(&mut self, node: &Node) {
        node.args().for_each(|arg| self.release(arg));
    }

    // Places of values.

    fn constant_bits(&self, id: Id) -> Option<u64> {
        match self.node(id).op {
            Opcode::Constant(bits) => Some(bits),
            _ => None,
        }
    }

    fn register_of(&self, id: Id) -> Option<u8> {
        let position = self
            .places
            .vectors
            .iter()
            .position(|&owner| owner == Some(id))?;
        u8::try_from(position).ok()
    }

    fn new_slot(&mut self, id: Id) -> usize {
        self.frame.is_hot |= self.is_hot;
        let places = &mut self.places;
        let free = places.used_slots.iter().position(|&is_used| !is_used);
        let slot = free.unwrap_or_else(|| {
            places.used_slots.push(false);
            places.used_slots.len() - 1
        });
        places.used_slots[slot] = true;
        places.slots.set(id, slot);
        self.frame.n_slots = self.frame.n_slots.max(slot + 1);
        slot
    }

    fn slot_place(&self, slot: usize) -> Mem {
        let offset = i32::try_from(slot * self.target.width.bytes()).unwrap_or(i32::MAX);
        Mem::base(gpr::RSP).disp(offset)
    }

    fn slot_of(&self, id: Id) -> usize {
        let slot = self.places.slots.get(id);
        slot.unwrap_or_else(|| unreachable!("{id:?} {:?} is nowhere", self.node(id)))
    }

    /// Where a value is: its register, its slot, or the constant pool.
    fn rm(&mut self, id: Id) -> Rm {
        if let Some(register) = self.register_of(id) {
            return v(self.pin(register)).into();
        }
        match self.constant_bits(id) {
            Some(bits) => self.target.constant(bits, self.node(id).elem),
            None => self.slot_place(self.slot_of(id)).into(),
        }
    }

    /// As [`Emitter::rm`]; legacy SSE instructions take only aligned memory, which slots are not.
    fn aligned_rm(&mut self, id: Id) -> Rm {
        let is_slot = self.register_of(id).is_none() && self.constant_bits(id).is_none();
        if self.isa() == Isa::Sse2 && is_slot {
            v(self.reg(id)).into()
        } else {
            self.rm(id)
        }
    }

    fn pin(&mut self, register: u8) -> u8 {
        self.pinned |= 1 << register;
        register
    }

    /// The register of a value, after loading it if need be; pinned for this node.
    fn reg(&mut self, id: Id) -> u8 {
        if let Some(register) = self.register_of(id) {
            return self.pin(register);
        }
        let place = self.rm(id);
        let register = self.take(Some(id));
        self.target.copy(self.node(id).elem, register, place);
        register
    }

    /// A free register for `owner`, pinned; one is made free if need be.
    fn take(&mut self, owner: Option<Id>) -> u8 {
        let preferred = (owner == Some(self.program.result)).then_some(self.vector);
        let is_free =
            |r: &u8| self.places.vectors[usize::from(*r)].is_none() && self.pinned >> r & 1 == 0;
        let free = preferred.into_iter().chain(self.scratch()).find(is_free);
        let register = free.unwrap_or_else(|| self.evict());
        self.places.vectors[usize::from(register)] = owner;
        self.pin(register)
    }

    /// Empties the register whose value is needed last.
    fn evict(&mut self) -> u8 {
        let next_use = |r: &u8| {
            let id = self.places.vectors[usize::from(*r)]?;
            let body = &self.program.regions[self.region].body;
            let mut later = body.iter().skip(self.now + 1);
            later.position(|&node| self.used_by(node).any(|used| used == id))
        };
        let candidates = self.scratch().filter(|r| self.pinned >> r & 1 == 0);
        let register = candidates.max_by_key(|r| next_use(r).unwrap_or(usize::MAX));
        let register = register.unwrap_or_else(|| unreachable!("a node has few operands"));
        if let Some(id) = self.places.vectors[usize::from(register)].take() {
            self.save(id, register);
        }
        register
    }

    /// Makes sure that a value is in memory.
    fn save(&mut self, id: Id, register: u8) {
        if self.constant_bits(id).is_none() && self.places.slots.get(id).is_none() {
            let slot = self.new_slot(id);
            self.target.store(self.slot_place(slot), register);
        }
    }

    fn save_mask(&mut self, id: Id, mask: u8) {
        if self.places.slots.get(id).is_none() {
            let slot = self.new_slot(id);
            self.target.store_mask(self.slot_place(slot), mask);
        }
    }

    fn take_mask(&mut self, owner: Option<Id>) -> u8 {
        let free = MASKS
            .into_iter()
            .find(|&k| self.places.masks[usize::from(k)].is_none());
        let mask = free.unwrap_or_else(|| unreachable!("routines keep few masks at a time"));
        self.places.masks[usize::from(mask)] = owner;
        mask
    }

    /// The register of a mask: a vector register but on AVX-512.
    fn mask(&mut self, id: Id) -> u8 {
        if self.isa() != Isa::Avx512 {
            return self.reg(id);
        }
        let position = self
            .places
            .masks
            .iter()
            .position(|&owner| owner == Some(id));
        if let Some(mask) = position.and_then(|mask| u8::try_from(mask).ok()) {
            return mask;
        }
        let place = self.slot_place(self.slot_of(id));
        let mask = self.take_mask(Some(id));
        self.target.load_mask(mask, place);
        mask
    }

    /// Whether a mask has all bits of a lane set or none, rather than only the highest.
    fn is_full(&self, id: Id) -> bool {
        let node = self.node(id);
        match node.op {
            Opcode::TestBit(_) => self.isa() == Isa::Sse2,
            _ => node
                .args()
                .filter(|&arg| self.node(arg).is_mask())
                .all(|arg| self.is_full(arg)),
        }
    }

    /// The destination of an instruction that reads all its operands before it writes: it may
    /// overwrite any that die here.
    fn overwrite(&mut self, id: Id) -> u8 {
        self.release_args(self.node(id));
        self.pinned = 0;
        self.take(Some(id))
    }

    /// As [`Emitter::overwrite`], for results in mask registers.
    fn overwrite_mask(&mut self, id: Id) -> u8 {
        self.release_args(self.node(id));
        self.take_mask(Some(id))
    }

    /// The register of `arg`, which dies here, handed to `id`.
    fn inherit(&mut self, id: Id, arg: Id) -> u8 {
        let register = self.reg(arg);
        self.release_args(self.node(id));
        self.places.vectors[usize::from(register)] = Some(id);
        register
    }

    fn is_dying_register(&self, id: Id) -> bool {
        self.dies(id) && self.register_of(id).is_some()
    }

    // Nodes.

    fn body(&mut self, region: usize) {
        for (position, &id) in self.program.regions[region].body.iter().enumerate() {
            self.now = position;
            self.pinned = 0;
            match self.node(id).op {
                Opcode::Rare(inner) => self.rare(id, usize::from(inner)),
                Opcode::Loop(inner) => self.repeat(usize::from(inner)),
                _ => self.instruction(id),
            }
        }
        self.now = self.program.regions[region].body.len();
        self.pinned = 0;
    }

    fn instruction(&mut self, id: Id) {
        use Opcode as O;
        let node = self.node(id);
        let elem = node.elem;
        match node.op {
            O::Argument(_) | O::Constant(_) | O::State | O::Merged => {}
            O::MulAdd | O::MulSub | O::NegMulAdd => self.fused(id),
            O::Sqrt => {
                let src = self.aligned_rm(node.arg(0));
                let dst = self.overwrite(id);
                self.target.sqrt(elem, dst, src);
            }
            O::Truncate => {
                let src = self.rm(node.arg(0));
                let dst = self.overwrite(id);
                self.target.truncate(elem, dst, src);
            }
            O::Limit | O::Larger => {
                let (a, b) = (self.reg(node.arg(0)), self.rm(node.arg(1)));
                let dst = self.overwrite(id);
                self.target.range(node.op, elem, dst, a, b);
            }
            O::Reciprocal => {
                let src = self.rm(node.arg(0));
                let dst = self.overwrite(id);
                self.target.reciprocal(elem, dst, src);
            }
            O::Fraction => {
                let src = self.rm(node.arg(0));
                let dst = self.overwrite(id);
                self.target.fraction(elem, dst, src);
            }
            O::Exponent => {
                let src = self.rm(node.arg(0));
                let dst = self.overwrite(id);
                self.target.exponent(elem, dst, src);
            }
            O::Significand | O::CentredSignificand => {
                let src = self.rm(node.arg(0));
                let dst = self.overwrite(id);
                self.target.significand(node.op, elem, dst, src);
            }
            O::ShiftLeft(_) | O::ShiftRight(_) | O::ShiftRightHalves(_) => {
                let src = self.reg(node.arg(0));
                let dst = self.overwrite(id);
                self.target.shift(node.op, elem, dst, src);
            }
            O::Fixup => {
                let (a, b, table) = (node.arg(0), node.arg(1), node.arg(2));
                let (x, table) = (self.reg(b), self.rm(table));
                let dst = self.replace(id, a);
                self.target.fixup(elem, dst, x, table);
            }
            O::OrAnd | O::XorAnd => {
                let (a, b, c) = (node.arg(0), node.arg(1), node.arg(2));
                let (second, third) = (self.reg(b), self.rm(c));
                let dst = self.replace(id, a);
                self.target.ternary(node.op, elem, dst, second, third);
            }
            O::Gather(table) => self.gather(id, usize::from(table)),
            O::Lookup(table) => self.lookup(id, usize::from(table)),
            O::WidenLow | O::WidenHigh => {
                let src = self.reg(node.arg(0));
                let dst = self.take(Some(id));
                self.target.widen(node.op == O::WidenHigh, dst, src);
                self.release_args(node);
            }
            O::Narrow => {
                let (low, high) = (self.reg(node.arg(0)), self.rm(node.arg(1)));
                let spare = self.take(None);
                self.target.copy(elem, spare, high);
                let dst = self.overwrite_but(id, spare);
                self.target.narrow(dst, low, spare);
            }
            O::Compare(_) => self.compare(id),
            O::TestBit(bit) => self.test_bit(id, bit),
            O::MaskAnd | O::MaskOr | O::MaskAndNot => {
                let (a, b) = (self.mask(node.arg(0)), self.mask(node.arg(1)));
                if self.isa() == Isa::Avx512 {
                    let dst = self.overwrite_mask(id);
                    self.target.combine_masks(node.op, dst, a, b);
                } else {
                    let op = match node.op {
                        O::MaskAnd => O::And,
                        O::MaskOr => O::Or,
                        _ => O::AndNot,
                    };
                    self.binary(id, op);
                }
            }
            O::Select => self.select(id),
            O::Rare(_) | O::Loop(_) => unreachable!("regions are not instructions"),
            op => self.binary(id, op),
        }
    }

    /// As [`Emitter::overwrite`], but keeping one register.
    fn overwrite_but(&mut self, id: Id, kept: u8) -> u8 {
        self.release_args(self.node(id));
        self.pinned = 1 << kept;
        self.take(Some(id))
    }

    fn binary(&mut self, id: Id, op: Opcode) {
        let node = self.node(id);
        let row = instructions::binary_row(op, node.elem)
            .unwrap_or_else(|| unreachable!("{op:?} has no instruction"));
        let (mut a, mut b) = (node.arg(0), node.arg(1));
        let can_swap = instructions::is_commutative(op);
        if self.isa() != Isa::Sse2 {
            if can_swap && self.register_of(a).is_none() && self.register_of(b).is_some() {
                (a, b) = (b, a);
            }
            let (a, b) = (self.reg(a), self.rm(b));
            let dst = self.overwrite(id);
            return self.target.binary(row, dst, a, b);
        }
        if can_swap && !self.is_dying_register(a) && self.is_dying_register(b) {
            (a, b) = (b, a);
        }
        let operand = self.aligned_rm(b);
        if self.is_dying_register(a) {
            let dst = self.inherit(id, a);
            return self.target.binary(row, dst, dst, operand);
        }
        let first = self.rm(a);
        let dst = self.take(Some(id));
        self.target.copy(node.elem, dst, first);
        self.target.binary(row, dst, dst, operand);
        self.release_args(node);
    }

    fn fused(&mut self, id: Id) {
        let node = self.node(id);
        let (mut a, mut b, c) = (node.arg(0), node.arg(1), node.arg(2));
        // A factor in memory is the second one.
        if self.register_of(a).is_none() && self.register_of(b).is_some() {
            (a, b) = (b, a);
        }
        let in_memory = |this: &Self, id| this.register_of(id).is_none();
        let is_second_in_memory = in_memory(self, b);
        // One operand can come from memory; the destination replaces another one, which is copied
        // there unless it dies here.
        let (order, replaced, second, third) = if is_second_in_memory {
            let replaces_factor = !in_memory(self, c) && !self.dies(c) && self.dies(a) && a != b;
            if replaces_factor {
                (Order::O132, a, c, b)
            } else {
                (Order::O231, c, a, b)
            }
        } else if in_memory(self, c) {
            let is_first = self.is_dying_register(a) || !self.is_dying_register(b);
            if is_first {
                (Order::O213, a, b, c)
            } else {
                (Order::O213, b, a, c)
            }
        } else if self.dies(c) {
            (Order::O231, c, a, b)
        } else if self.dies(a) {
            (Order::O213, a, b, c)
        } else if self.dies(b) {
            (Order::O213, b, a, c)
        } else {
            (Order::O231, c, a, b)
        };
        let row = instructions::fused_row(node.op, order, node.elem);
        let second = self.reg(second);
        let third = self.rm(third);
        let dst = self.replace(id, replaced);
        self.target.fused(row, dst, second, third);
    }

    /// A destination that holds `arg`: its own register if it dies here, else a copy.
    fn replace(&mut self, id: Id, arg: Id) -> u8 {
        if self.is_dying_register(arg) {
            return self.inherit(id, arg);
        }
        let place = self.rm(arg);
        let dst = self.take(Some(id));
        self.target.copy(self.node(id).elem, dst, place);
        self.release_args(self.node(id));
        dst
    }

    fn gather(&mut self, id: Id, table: usize) {
        let node = self.node(id);
        let index = self.reg(node.arg(0));
        let dst = self.take(Some(id));
        let table = self.program.tables[table];
        if self.isa() == Isa::Avx512 {
            let spare = self.take_mask(Some(id));
            self.target.gather(table, dst, index, spare);
            self.places.masks[usize::from(spare)] = None;
        } else {
            let spare = self.take(None);
            self.target.gather(table, dst, index, spare);
        }
        self.release_args(node);
    }

    fn lookup(&mut self, id: Id, table: usize) {
        let node = self.node(id);
        let index = self.reg(node.arg(0));
        let dst = self.take(Some(id));
        let table = (self.program.tables[table], node.elem);
        if self.target.width == Width::Z {
            self.target.lookup(table, dst, index, (dst, 0));
        } else {
            let (spare, mask) = (self.take(None), self.take_mask(Some(id)));
            self.target.lookup(table, dst, index, (spare, mask));
            self.places.masks[usize::from(mask)] = None;
        }
        self.release_args(node);
    }

    fn compare(&mut self, id: Id) {
        let node = self.node(id);
        let Opcode::Compare(predicate) = node.op else {
            return;
        };
        let (mut a, mut b) = (node.arg(0), node.arg(1));
        let mut imm = predicate.immediate();
        let has_exchanged = self.isa() != Isa::Sse2;
        if has_exchanged && self.register_of(a).is_none() && self.register_of(b).is_some() {
            imm = instructions::exchanged(predicate);
            (a, b) = (b, a);
        }
        let (first, second) = (self.reg(a), self.aligned_rm(b));
        match self.isa() {
            Isa::Avx512 => {
                let dst = self.overwrite_mask(id);
                self.target.compare_mask(imm, node.elem, dst, first, second);
            }
            Isa::Avx2 => {
                let dst = self.overwrite(id);
                self.target.compare(imm, node.elem, dst, first, second);
            }
            Isa::Sse2 => {
                let dst = self.take(Some(id));
                self.target.compare(imm, node.elem, dst, first, second);
                self.release_args(node);
            }
        }
    }

    fn test_bit(&mut self, id: Id, bit: u8) {
        let node = self.node(id);
        let src = self.reg(node.arg(0));
        let highest = if node.elem == Elem::F64 { 63 } else { 31 };
        let shift = Opcode::ShiftLeft(highest - bit);
        match self.isa() {
            Isa::Avx512 => {
                let bits = self.target.constant(1 << bit, node.elem);
                let dst = self.overwrite_mask(id);
                self.target.test_mask(node.elem, dst, src, bits);
            }
            Isa::Avx2 => {
                let dst = self.overwrite(id);
                self.target.shift(shift, node.elem, dst, src);
            }
            Isa::Sse2 => {
                let dst = self.take(Some(id));
                self.target.shift(shift, node.elem, dst, src);
                self.target.spread_highest_bit(node.elem, dst, dst);
                self.release_args(node);
            }
        }
    }

    fn select(&mut self, id: Id) {
        let node = self.node(id);
        let (elem, yes, no) = (node.elem, node.arg(1), node.arg(2));
        let is_zero = |id| self.constant_bits(id) == Some(0);
        let (is_yes_zero, is_no_zero) = (is_zero(yes), is_zero(no));
        let is_full = self.is_full(node.arg(0));
        let mask = self.mask(node.arg(0));
        match self.isa() {
            Isa::Avx512 if is_no_zero => {
                let yes = self.rm(yes);
                let dst = self.overwrite(id);
                self.target.keep(elem, dst, mask, yes);
            }
            Isa::Avx512 if self.register_of(no).is_none() => {
                let (yes, no) = (self.rm(yes), self.rm(no));
                let dst = self.take(Some(id));
                self.target.copy(elem, dst, no);
                self.target.merge(elem, dst, mask, yes);
                self.release_args(node);
            }
            Isa::Avx512 => {
                let (no, yes) = (self.reg(no), self.rm(yes));
                let dst = self.overwrite(id);
                self.target.blend(elem, dst, mask, no, yes);
            }
            Isa::Avx2 if is_no_zero && is_full => {
                let yes = self.rm(yes);
                let dst = self.overwrite(id);
                self.target.bits(Opcode::And, elem, dst, mask, yes);
            }
            Isa::Avx2 if is_yes_zero && is_full => {
                let no = self.rm(no);
                let dst = self.overwrite(id);
                self.target.bits(Opcode::AndNot, elem, dst, mask, no);
            }
            Isa::Avx2 => {
                let (no, yes) = (self.reg(no), self.rm(yes));
                let dst = self.overwrite(id);
                self.target.blend_by_vector(elem, dst, mask, no, yes);
            }
            Isa::Sse2 => {
                let (yes, no) = (self.aligned_rm(yes), self.aligned_rm(no));
                let dst = self.take(Some(id));
                self.target.copy(elem, dst, v(mask).into());
                if is_yes_zero {
                    self.target.bits(Opcode::AndNot, elem, dst, dst, no);
                } else {
                    self.target.bits(Opcode::And, elem, dst, dst, yes);
                    if !is_no_zero {
                        let spare = self.take(None);
                        self.target.bits(Opcode::AndNot, elem, spare, mask, no);
                        self.target
                            .bits(Opcode::Or, elem, dst, dst, v(spare).into());
                    }
                }
                self.release_args(node);
            }
        }
    }

    // Regions.

    fn rare(&mut self, id: Id, region: usize) {
        let node = self.node(id);
        let mask = self.mask(node.arg(0));
        let mut olds = ById::default();
        for merge in &self.program.regions[region].merges {
            if self.last_uses.get(merge.merged).is_none() {
                continue;
            }
            let old = self.register_of(merge.old);
            let is_free = self.dies(merge.old) && self.constant_bits(merge.old).is_none();
            match old {
                Some(register) if is_free => {
                    self.places.vectors[usize::from(register)] = Some(merge.merged);
                    olds.set(merge.merged, merge.old);
                }
                _ => {
                    let old = self.rm(merge.old);
                    let register = self.take(Some(merge.merged));
                    self.target
                        .copy(self.node(merge.merged).elem, register, old);
                }
            }
        }
        let (start, resume) = (self.target.asm.label(), self.target.asm.label());
        self.target.test_any(node.elem, mask);
        self.target.asm.jcc(Cond::NE, start);
        self.target.asm.bind(resume);
        let (places, is_nested) = (self.places.clone(), !self.is_hot);
        self.cold.push(Cold {
            region,
            start,
            resume,
            places,
            olds,
            is_nested,
            vector: self.vector,
        });
        self.mentioned(region)
            .into_iter()
            .for_each(|id| self.release(id));
    }

    fn cold_region(&mut self, cold: Cold) {
        let Cold {
            region,
            start,
            resume,
            places,
            olds,
            is_nested,
            vector,
        } = cold;
        self.vector = vector;
        let moves_stack = !is_nested && !self.frame.is_hot;
        let (vectors, masks) = (places.vectors, places.masks);
        self.places = places;
        self.target.asm.bind(start);
        if moves_stack {
            self.move_stack(Alu::Sub);
        }
        let merges = &self.program.regions[region].merges;
        let is_merged = |id| merges.iter().any(|merge| merge.merged == id);
        for (register, owner) in (0_u8..).zip(vectors) {
            let Some(id) = owner else { continue };
            match olds.get(id) {
                Some(old) => self.save(old, register),
                None if is_merged(id) => {}
                None => self.save(id, register),
            }
        }
        for (mask, owner) in (0_u8..).zip(masks) {
            if let Some(id) = owner {
                self.save_mask(id, mask);
            }
        }
        self.enter(region);
        self.body(region);
        for merge in merges {
            if vectors.contains(&Some(merge.merged)) {
                self.pinned = 0;
                let fresh = self.reg(merge.fresh);
                self.save(merge.merged, fresh);
            }
        }
        self.pinned = 0;
        self.places.vectors = [None; 32];
        for (register, owner) in (0_u8..).zip(vectors) {
            if let Some(id) = owner {
                let place = self.rm(id);
                self.target.copy(self.node(id).elem, register, place);
            }
        }
        for (mask, owner) in (0_u8..).zip(masks) {
            if let Some(id) = owner {
                let place = self.slot_place(self.slot_of(id));
                self.target.load_mask(mask, place);
            }
        }
        if moves_stack {
            self.move_stack(Alu::Add);
        }
        self.target.asm.jmp(resume);
    }

    /// Starts a region in which all registers are free and all values known so far in memory.
    fn enter(&mut self, region: usize) {
        self.places.vectors = [None; 32];
        self.places.masks = [None; 8];
        self.places.outer = self.places.slots.clone();
        self.last_uses = self.last_uses_in(region);
        self.region = region;
    }

    fn repeat(&mut self, region: usize) {
        let merges = &self.program.regions[region].merges;
        let states = &self.program.regions[region].states;
        for register in 0_u8..32 {
            if let Some(id) = self.places.vectors[usize::from(register)] {
                self.save(id, register);
            }
        }
        for mask in MASKS {
            if let Some(id) = self.places.masks[usize::from(mask)] {
                self.save_mask(id, mask);
            }
        }
        for (merge, &state) in merges.iter().zip(states) {
            self.pinned = 0;
            let old = self.reg(merge.old);
            let slot = self.new_slot(state);
            self.target.store(self.slot_place(slot), old);
        }
        let (last_uses, now) = (std::mem::take(&mut self.last_uses), self.now);
        let outside = self.region;
        let outer = self.places.outer.clone();
        self.enter(region);
        let top = self.target.asm.label();
        self.target.asm.bind(top);
        self.body(region);
        for (merge, &state) in merges.iter().zip(states) {
            self.pinned = 0;
            let fresh = self.reg(merge.fresh);
            self.target
                .store(self.slot_place(self.slot_of(state)), fresh);
        }
        self.pinned = 0;
        if let Some(mask) = self.program.regions[region].mask {
            let register = self.mask(mask);
            self.target.test_any(self.node(mask).elem, register);
            self.target.asm.jcc(Cond::NE, top);
        }
        // What the last turn left in registers is of no use.
        self.places.vectors = [None; 32];
        self.places.masks = [None; 8];
        let kept = self.places.outer.clone();
        for (slot, is_used) in self.places.used_slots.iter_mut().enumerate() {
            *is_used &= kept.0.contains(&Some(slot));
        }
        self.places.slots = kept;
        for (merge, state) in merges.iter().zip(states) {
            if let Some(slot) = self.places.slots.remove(*state) {
                self.places.slots.set(merge.merged, slot);
            }
        }
        self.places.outer = outer;
        (self.last_uses, self.now, self.region) = (last_uses, now, outside);
        self.mentioned(region)
            .into_iter()
            .for_each(|id| self.release(id));
    }
}
