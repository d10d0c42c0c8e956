//! Tree genomes: an expression as bytes, in which every subtree is one range of slots.
//!
//! The code is concatenative. A leaf loads its register, an operator works on registers, and the
//! register of a node is the number of values that wait for their operator at that moment: code of
//! a stack machine whose stack is the registers. So a subtree is one run of slots, position
//! independent, and leaves its value in one register, the lowest that it touches.
//!
//! ```text
//! (x0 + 1) * x1     load r0, x0 │ load r1, 1 │ add r0, r0, r1 │ load r1, x1 │ mul r0, r0, r1
//! marks              [0,1)        [1,2)        [0,3)            [3,4)         [0,5)
//! ```
//!
//! What depends on the depth of the stack is the register numbers and nothing else. A splice adds
//! the difference of two depths to the register fields of the donor's slots: a few operations a
//! slot, less than copying a mispredicted branch. The other design, values on a stack in memory,
//! needs no patch but a load and a store for each operation. Leaves as operands of operators would
//! save the loads, but then a leaf is no range of its own and cannot be cut; and loads run beside
//! arithmetic.
//!
//! # Invariant
//! The code is verified, its registers follow the discipline above, and the marks are those of the
//! code: one a node in postfix order.

use std::ops::Range;

use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node};

use crate::code::{Code, MAX_SLOTS, Splice};
use crate::error::VerifyError;
use crate::gene::{Gene, MAX_INDEX, Opcode, Operand};
use crate::repertoire::Repertoire;
use crate::slot::Role;
use crate::{McodeError, Tier};

/// Where the code of one node's subtree lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// First slot of the subtree.
    pub begin: u32,
    /// One more than the last slot of the subtree.
    pub end: u32,
    /// Operands of the node.
    pub arity: u8,
    /// What the node does.
    pub opcode: Opcode,
}

impl Mark {
    /// The slots of the subtree.
    #[must_use]
    pub fn slots(self) -> Range<usize> {
        self.begin as usize..self.end as usize
    }
}

/// A genome in which every subtree is one range of slots.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeCode {
    code: Code,
    marks: Vec<Mark>,
}

/// Draws for a donor that fits before the child becomes a copy.
const DRAWS: usize = 8;

impl TreeCode {
    /// The genome of an expression.
    ///
    /// # Errors
    /// If it has an operator outside of the repertoire, reads a column that is not there, needs
    /// more registers than the tier has, or has more than 256 constants.
    pub fn from_expression(
        expr: &Expr,
        tier: Tier,
        n_columns: usize,
    ) -> Result<TreeCode, McodeError> {
        let range = |what, found, low, high| McodeError::Range {
            what,
            found,
            low,
            high,
        };
        if !(1..=MAX_INDEX).contains(&n_columns) {
            return Err(range("the number of columns", n_columns, 1, MAX_INDEX));
        }
        if expr.n_variables() > n_columns {
            let what = "the number of columns that the expression reads";
            return Err(range(what, expr.n_variables(), 0, n_columns));
        }
        if expr.n_constants() > MAX_INDEX {
            let what = "the number of constants of the expression";
            return Err(range(what, expr.n_constants(), 0, MAX_INDEX));
        }
        let mut tree = Builder::new(tier, n_columns, 0);
        for node in expr.nodes() {
            #[expect(clippy::cast_possible_truncation, reason = "compared above")]
            match *node {
                Node::Var(index) => tree.leaf(Operand::Column(index as u8), 0.0),
                Node::Const(value) => tree.leaf(Operand::Constant(0), value),
                Node::Op(op) => {
                    let opcode = Opcode::of(op).ok_or(McodeError::NoInstruction { op })?;
                    tree.operator(opcode);
                }
            }
            if tree.depth > usize::from(tier.n_registers()) {
                let depth = tree.depth;
                return Err(McodeError::TooDeep { depth, tier });
            }
            if tree.slots() > MAX_SLOTS {
                return Err(range("the number of slots", tree.slots(), 1, MAX_SLOTS));
            }
        }
        Ok(tree.finish())
    }

    /// A random tree of at most this depth (1 is a leaf) whose root leaves its value in register
    /// `register`; about a third of the nodes that could have operands are leaves.
    pub(crate) fn grow(
        rng: &mut Rng,
        repertoire: &Repertoire,
        max_depth: usize,
        register: u8,
    ) -> TreeCode {
        enum Todo {
            Grow(usize),
            Apply(Opcode),
        }
        let spare = usize::from(repertoire.tier().n_registers() - register);
        let mut tree = Builder::new(repertoire.tier(), repertoire.n_columns(), register);
        let mut todo = vec![Todo::Grow(max_depth.clamp(1, spare.min(8)))];
        while let Some(next) = todo.pop() {
            match next {
                Todo::Apply(opcode) => tree.operator(opcode),
                Todo::Grow(depth) if depth == 1 || rng.bool(0.3) && !todo.is_empty() => {
                    let value = repertoire.value(rng);
                    tree.leaf(repertoire.leaf(rng), value);
                }
                Todo::Grow(depth) => {
                    let opcode = repertoire.opcode(rng);
                    todo.push(Todo::Apply(opcode));
                    todo.extend((0..opcode.arity()).map(|_| Todo::Grow(depth - 1)));
                }
            }
        }
        tree.finish()
    }

    /// A random tree of at most this depth and at most 8.
    pub fn random(rng: &mut Rng, repertoire: &Repertoire, max_depth: usize) -> TreeCode {
        TreeCode::grow(rng, repertoire, max_depth, 0)
    }

    /// The genome of these slots, constants and marks.
    ///
    /// # Errors
    /// If the slots are not verified, are no tree, or have other marks.
    pub fn from_slots(
        tier: Tier,
        n_columns: usize,
        slots: Vec<u64>,
        constants: Vec<f64>,
        marks: &[Mark],
    ) -> Result<TreeCode, VerifyError> {
        let tree = TreeCode::try_from(Code::verify(tier, n_columns, slots, constants)?)?;
        let differs = |node: &usize| tree.marks.get(*node) != marks.get(*node);
        match (0..tree.marks.len().max(marks.len())).find(differs) {
            None => Ok(tree),
            Some(node) => Err(VerifyError::Marks { node }),
        }
    }

    /// The genome's code.
    #[must_use]
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// The nodes in postfix order; the last is the root.
    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// The constants, to be refitted in place.
    pub fn constants_mut(&mut self) -> &mut [f64] {
        self.code.constants_mut()
    }

    /// The expression, read off the bytes.
    ///
    /// # Errors
    /// If the genome works on bits.
    pub fn to_expression(&self) -> Result<Expr, McodeError> {
        let mut nodes = Vec::with_capacity(self.marks.len());
        for (_, gene) in self.code.genes() {
            nodes.push(match (gene.opcode, gene.b) {
                (Opcode::Load, Operand::Constant(k)) => {
                    Node::Const(self.code.constants[usize::from(k)])
                }
                (Opcode::Load, operand) => Node::Var(u32::from(operand.number())),
                (opcode, _) => Node::Op(opcode.op().ok_or(McodeError::Bitwise)?),
            });
        }
        Ok(Expr::from_postfix(nodes).expect("a tree's genes are in postfix order"))
    }

    /// Proves the invariant anew. For tests and benches: variation keeps it.
    ///
    /// # Errors
    /// If the genome is none, which is a defect of this crate.
    pub fn check(&self) -> Result<(), VerifyError> {
        self.code.check()?;
        let expected = read_marks(&self.code)?;
        let differs = |node: &usize| self.marks.get(*node) != expected.get(*node);
        let longer = expected.len().max(self.marks.len());
        (0..longer)
            .find(differs)
            .map_or(Ok(()), |node| Err(VerifyError::Marks { node }))
    }

    /// Becomes a child of two parents: a subtree of the first is replaced by one of the second.
    /// Where none of some draws fits the size and the registers, it is a copy of the first.
    /// Returns what was replaced, if anything.
    ///
    /// # Panics
    /// If the parents differ in tier or columns.
    pub fn crossover(
        &mut self,
        rng: &mut Rng,
        first: &TreeCode,
        second: &TreeCode,
        max_slots: usize,
    ) -> Option<Splice> {
        first
            .code
            .require_kind(second.code.tier(), second.code.n_columns());
        for _ in 0..DRAWS {
            let (node, donor) = (first.pick(rng), second.pick(rng));
            if self.graft(first, node, second, donor, max_slots).is_ok() {
                let [cut, donor] = [first.marks[node], second.marks[donor]].map(Mark::slots);
                return Some(Splice { cut, donor });
            }
        }
        self.clone_from(first);
        None
    }

    /// The child of this genome and another in which the subtree of `node` is replaced by that of
    /// `donor` in the other. Nodes are counted in postfix order.
    ///
    /// # Errors
    /// If there are no such nodes, the child would be too large or need too many registers, or the
    /// parents differ in tier or columns.
    pub fn splice(
        &self,
        node: usize,
        other: &TreeCode,
        donor: usize,
    ) -> Result<TreeCode, McodeError> {
        self.code.require_same_kind(&other.code)?;
        for (tree, found) in [(self, node), (other, donor)] {
            let high = tree.marks.len() - 1;
            if found > high {
                let (what, low) = ("the number of a node", 0);
                return Err(McodeError::Range {
                    what,
                    found,
                    low,
                    high,
                });
            }
        }
        let mut child = self.clone();
        child.graft(self, node, other, donor, MAX_SLOTS)?;
        Ok(child)
    }

    /// Changes the genome `original` at one place: another subtree, another operator or leaf, a
    /// subtree in place of the one around it, or another constant.
    ///
    /// # Panics
    /// If the repertoire is for another tier or number of columns.
    pub fn mutate(
        &mut self,
        rng: &mut Rng,
        original: &TreeCode,
        repertoire: &Repertoire,
        max_slots: usize,
    ) {
        original
            .code
            .require_kind(repertoire.tier(), repertoire.n_columns());
        let node = original.pick(rng);
        let changed = match rng.below(4) {
            0 => {
                let register = original.register(node);
                let donor = TreeCode::grow(rng, repertoire, 4, register);
                let root = donor.marks.len() - 1;
                self.graft(original, node, &donor, root, max_slots).is_ok()
            }
            1 => {
                let node = rng.below(original.marks.len());
                self.point(rng, original, node, repertoire, max_slots)
            }
            2 => {
                let first = original.first_node(node);
                let donor = rng.range(first, node);
                self.graft(original, node, original, donor, max_slots)
                    .is_ok()
            }
            _ => self.constant(rng, original, repertoire),
        };
        if !changed {
            self.clone_from(original);
        }
    }

    /// Another operator of as many operands, or another leaf.
    fn point(
        &mut self,
        rng: &mut Rng,
        original: &TreeCode,
        node: usize,
        repertoire: &Repertoire,
        max_slots: usize,
    ) -> bool {
        let mark = original.marks[node];
        let register = original.register(node);
        if mark.arity == 0 {
            let mut leaf = Builder::new(repertoire.tier(), repertoire.n_columns(), register);
            let value = repertoire.value(rng);
            leaf.leaf(repertoire.leaf(rng), value);
            let leaf = leaf.finish();
            return self.graft(original, node, &leaf, 0, max_slots).is_ok();
        }
        let Some(opcode) = repertoire.opcode_like(rng, mark.opcode) else {
            return false;
        };
        let (old, new) = (mark.opcode.n_slots(), opcode.n_slots());
        if original.code.slots.len() + new > max_slots + old {
            return false;
        }
        self.clone_from(original);
        let end = mark.end as usize;
        let gene = operator(opcode, register);
        self.code.replace(end - old..end, Some(gene), 0.0);
        self.marks[node].opcode = opcode;
        for later in &mut self.marks[node..] {
            #[expect(clippy::cast_possible_truncation, reason = "at most 3 slots")]
            let moved = |slot: u32| slot + new as u32 - old as u32;
            later.end = moved(later.end);
            if later.begin >= mark.end {
                later.begin = moved(later.begin);
            }
        }
        true
    }

    fn constant(&mut self, rng: &mut Rng, original: &TreeCode, repertoire: &Repertoire) -> bool {
        self.clone_from(original);
        let n = self.code.constants.len();
        if n > 0 {
            let constant = &mut self.code.constants[rng.below(n)];
            *constant = repertoire.near(rng, *constant);
        }
        n > 0
    }

    /// A random node, an operator nine times out of ten if there is one.
    fn pick(&self, rng: &mut Rng) -> usize {
        let n = self.marks.len();
        let inner = rng.bool(0.9);
        let mut node = rng.below(n);
        if inner && n > 1 {
            for _ in 0..4 {
                if self.marks[node].arity > 0 {
                    break;
                }
                node = rng.below(n);
            }
        }
        node
    }

    /// The first node of a node's subtree.
    fn first_node(&self, node: usize) -> usize {
        let begin = self.marks[node].begin;
        self.marks[..=node].partition_point(|mark| mark.end <= begin)
    }

    /// The register in which a node leaves its value.
    fn register(&self, node: usize) -> u8 {
        let end = self.marks[node].end as usize;
        self.code.dialect().last(&self.code.slots[..end]).dst
    }

    /// Becomes `first` with the subtree of `node` replaced by that of `donor` in `second`.
    ///
    /// # Errors
    /// If the result is beyond the limits.
    fn graft(
        &mut self,
        first: &TreeCode,
        node: usize,
        second: &TreeCode,
        donor: usize,
        max_slots: usize,
    ) -> Result<(), McodeError> {
        let [cut, given] = [first.marks[node], second.marks[donor]].map(Mark::slots);
        let n_slots = first.code.slots.len() - cut.len() + given.len();
        let n_constants = first.code.constants.len() - first.code.count_constants(cut.clone())
            + second.code.count_constants(given.clone());
        let (to, from) = (first.register(node), second.register(donor));
        let top = second.top_register(given.clone());
        let tier = first.code.tier();
        let n_registers = usize::from(top - from + to) + 1;
        for (what, found, high) in [
            (
                "the number of the child's slots",
                n_slots,
                max_slots.min(MAX_SLOTS),
            ),
            (
                "the number of the child's constants",
                n_constants,
                MAX_INDEX,
            ),
            (
                "the number of the child's registers",
                n_registers,
                tier.n_registers().into(),
            ),
        ] {
            if found > high {
                let low = 0;
                return Err(McodeError::Range {
                    what,
                    found,
                    low,
                    high,
                });
            }
        }
        let moved = cut.start..cut.start + given.len();
        let [old, new] = [cut.len(), given.len()];
        self.code
            .splice_from(&first.code, cut.clone(), &second.code, given.clone());
        self.shift(moved, to.wrapping_sub(from));
        self.splice_marks(first, node, second, donor, old, new);
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most MAX_SLOTS slots")]
    fn splice_marks(
        &mut self,
        first: &TreeCode,
        node: usize,
        second: &TreeCode,
        donor: usize,
        old: usize,
        new: usize,
    ) {
        let (start, cut) = (first.first_node(node), first.marks[node]);
        let given = &second.marks[second.first_node(donor)..=donor];
        let offset = cut.begin.wrapping_sub(second.marks[donor].begin);
        let growth = (new as u32).wrapping_sub(old as u32);
        self.marks.clear();
        self.marks.extend_from_slice(&first.marks[..start]);
        self.marks.extend(given.iter().map(|mark| Mark {
            begin: mark.begin.wrapping_add(offset),
            end: mark.end.wrapping_add(offset),
            ..*mark
        }));
        self.marks
            .extend(first.marks[node + 1..].iter().map(|mark| {
                let behind = mark.begin >= cut.end;
                Mark {
                    begin: mark.begin.wrapping_add(if behind { growth } else { 0 }),
                    end: mark.end.wrapping_add(growth),
                    ..*mark
                }
            }));
    }

    /// The highest register that a range of genes touches: one that it writes.
    fn top_register(&self, slots: Range<usize>) -> u8 {
        let dialect = self.code.dialect();
        let touches = |slot: &u64| {
            let (_, values, _) = dialect.read(*slot);
            // The head of a phrase writes below its last operand; inner slots read as 0.
            values.dst.max(values.b)
        };
        self.code.slots[slots]
            .iter()
            .map(touches)
            .max()
            .unwrap_or(0)
    }

    /// Adds to all register numbers of a range of whole genes.
    fn shift(&mut self, slots: Range<usize>, by: u8) {
        if by == 0 {
            return;
        }
        let dialect = self.code.dialect();
        let mut at = slots.start;
        while at < slots.end {
            let slot = self.code.slots[at];
            let (row, ..) = dialect.read(slot);
            if row.role == Role::Whole {
                self.code.slots[at] = row.shift(slot, by);
                at += 1;
                continue;
            }
            let decoded = dialect.decode(&self.code.slots[at..]);
            let (gene, len) = decoded.expect("a genome's slots are genes");
            let shifted = dialect.encode(operator(gene.opcode, gene.dst.wrapping_add(by)));
            let shifted = shifted.expect("registers were compared with the limit");
            self.code.slots[at..at + len].copy_from_slice(&shifted);
            at += len;
        }
    }
}

/// The gene of an operator whose value goes to a register.
fn operator(opcode: Opcode, register: u8) -> Gene {
    let binary = opcode.arity() == 2;
    Gene {
        opcode,
        dst: register,
        a: if binary { register } else { 0 },
        b: Operand::Register(register + u8::from(binary)),
    }
}

impl TryFrom<Code> for TreeCode {
    type Error = VerifyError;

    fn try_from(code: Code) -> Result<TreeCode, VerifyError> {
        let marks = read_marks(&code)?;
        Ok(TreeCode { code, marks })
    }
}

/// The marks of code that follows the register discipline.
fn read_marks(code: &Code) -> Result<Vec<Mark>, VerifyError> {
    let mut marks: Vec<Mark> = Vec::new();
    // Nodes whose values wait, by register.
    let mut waiting: Vec<u32> = Vec::new();
    for (slot, gene) in code.genes() {
        let wrong = |problem| VerifyError::Tree { slot, problem };
        let arity = gene.opcode.arity();
        let Some(base) = waiting.len().checked_sub(arity) else {
            return Err(wrong("take more operands than there are"));
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "MAX_SLOTS fits, and so do registers"
        )]
        let (position, register) = (slot as u32, base as u8);
        let as_operator = operator(gene.opcode, register);
        if arity > 0 && gene != as_operator {
            return Err(wrong("use other registers than the topmost"));
        }
        if gene.dst != register {
            return Err(wrong("leave its value in another register than the next"));
        }
        let begin = waiting.get(base).copied().unwrap_or(position);
        waiting.truncate(base);
        waiting.push(begin);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most 3 slots and 2 operands"
        )]
        marks.push(Mark {
            begin,
            end: position + gene.opcode.n_slots() as u32,
            arity: arity as u8,
            opcode: gene.opcode,
        });
    }
    match waiting.len() {
        1 => Ok(marks),
        found => Err(VerifyError::Leftover { found }),
    }
}

/// Appends nodes in postfix order.
struct Builder {
    tree: TreeCode,
    /// First slots of the subtrees whose values wait.
    waiting: Vec<u32>,
    base: u8,
    /// Most values that waited, with those below the base.
    depth: usize,
}

impl Builder {
    fn new(tier: Tier, n_columns: usize, base: u8) -> Builder {
        Builder {
            tree: TreeCode {
                code: Code::empty(tier, n_columns),
                marks: Vec::new(),
            },
            waiting: Vec::new(),
            base,
            depth: usize::from(base),
        }
    }

    fn slots(&self) -> usize {
        self.tree.code.slots.len()
    }

    fn leaf(&mut self, operand: Operand, value: f64) {
        let mut b = operand;
        if let Operand::Constant(_) = operand {
            #[expect(clippy::cast_possible_truncation, reason = "limited by the callers")]
            let index = self.tree.code.constants.len() as u8;
            b = Operand::Constant(index);
            self.tree.code.constants.push(value);
        }
        let gene = |dst| Gene {
            opcode: Opcode::Load,
            dst,
            a: 0,
            b,
        };
        self.push(Opcode::Load, gene);
    }

    fn operator(&mut self, opcode: Opcode) {
        self.push(opcode, |register| operator(opcode, register));
    }

    #[expect(clippy::cast_possible_truncation, reason = "limited by the callers")]
    fn push(&mut self, opcode: Opcode, gene: impl FnOnce(u8) -> Gene) {
        let code = &mut self.tree.code;
        let position = code.slots.len() as u32;
        let height = self.waiting.len() - opcode.arity();
        let begin = self.waiting.get(height).copied().unwrap_or(position);
        self.waiting.truncate(height);
        self.waiting.push(begin);
        self.depth = self.depth.max(usize::from(self.base) + height + 1);
        // Beyond the registers there is no code; the caller sees the depth.
        if self.depth <= usize::from(code.tier().n_registers()) {
            let slots = code.dialect().encode(gene(self.base + height as u8));
            code.slots.extend_from_slice(&slots.expect("a node's gene"));
        }
        self.tree.marks.push(Mark {
            begin,
            end: code.slots.len() as u32,
            arity: opcode.arity() as u8,
            opcode,
        });
    }

    fn finish(self) -> TreeCode {
        self.tree
    }
}
