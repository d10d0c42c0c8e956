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
//! The register discipline marks the nodes: a subtree that ends with the value in register r is the
//! longest run of slots before its end that write r or above, since what stands before it has left
//! its value in r − 1. So [`Mark`]s are read off the bytes, and nothing beside the slots has to be
//! kept right by variation; a stored genome has them as a second proof.
//!
//! What depends on the depth of the stack is the register numbers and nothing else. A splice adds
//! the difference of two depths to the register fields of the donor's slots: a few operations a
//! slot, less than copying a mispredicted branch. The other design, values on a stack in memory,
//! needs no patch but a load and a store for each operation. Leaves as operands of operators would
//! save the loads, but then a leaf is no range of its own and cannot be cut; and loads run beside
//! arithmetic.
//!
//! # Invariant
//! The code is verified, and its registers follow the discipline above.

use std::hint::select_unpredictable;
use std::ops::Range;

use opcodon_evo::Rng;
use opcodon_expr::{Expr, Node};

use crate::code::{Code, Splice};
use crate::dialect::SCRATCH;
use crate::error::VerifyError;
use crate::gene::{Gene, MAX_INDEX, Opcode, Operand};
use crate::repertoire::Repertoire;
use crate::slot::Role;
use crate::verify::MAX_SLOTS;
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
#[derive(Debug, PartialEq)]
pub struct TreeCode {
    code: Code,
}

impl Clone for TreeCode {
    fn clone(&self) -> TreeCode {
        TreeCode {
            code: self.code.clone(),
        }
    }

    #[inline]
    fn clone_from(&mut self, genome: &TreeCode) {
        self.code.clone_from(&genome.code);
    }
}

/// One subtree of a genome: its slots, and the registers that it touches.
struct Span {
    slots: Range<usize>,
    /// Where it leaves its value, the lowest.
    register: u8,
    /// The highest.
    top: u8,
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
        require("the number of columns", n_columns, 1, MAX_INDEX)?;
        let what = "the number of columns that the expression reads";
        require(what, expr.n_variables(), 0, n_columns)?;
        let what = "the number of constants of the expression";
        require(what, expr.n_constants(), 0, MAX_INDEX)?;
        // Values that wait at a time.
        let (mut height, mut depth) = (0, 0);
        for node in expr.nodes() {
            height = height + 1 - node.arity();
            depth = depth.max(height);
        }
        if depth > usize::from(tier.n_registers()) {
            return Err(McodeError::TooDeep { depth, tier });
        }
        let mut code = Code::empty(tier, n_columns);
        let mut stack = Stack::new(&mut code, 0);
        for node in expr.nodes() {
            #[expect(clippy::cast_possible_truncation, reason = "compared above")]
            match *node {
                Node::Var(index) => stack.leaf(Operand::Column(index as u8), 0.0),
                Node::Const(value) => stack.leaf(Operand::Constant(0), value),
                Node::Op(op) => {
                    stack.operator(Opcode::of(op).ok_or(McodeError::NoInstruction { op })?);
                }
            }
            require("the number of slots", stack.code.slots.len(), 1, MAX_SLOTS)?;
        }
        Ok(TreeCode { code })
    }

    /// A random tree of at most this depth (1 is a leaf) and at most 8; about a third of the nodes
    /// that could have operands are leaves.
    pub fn random(rng: &mut Rng, repertoire: &Repertoire, max_depth: usize) -> TreeCode {
        let mut code = Code::empty(repertoire.tier(), repertoire.n_columns());
        grow(&mut code, rng, repertoire, max_depth, 0);
        TreeCode { code }
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
        let code = Code::verify(tier, n_columns, slots, constants)?;
        let found = read_marks(&code)?;
        let differs = |node: &usize| found.get(*node) != marks.get(*node);
        match (0..found.len().max(marks.len())).find(differs) {
            None => Ok(TreeCode { code }),
            Some(node) => Err(VerifyError::Marks { node }),
        }
    }

    /// The genome's code.
    #[must_use]
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// The nodes in postfix order, read off the bytes; the last is the root.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        read_marks(&self.code).expect("a tree's registers follow the discipline")
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
        let mut nodes = Vec::with_capacity(self.code.slots.len());
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
        read_marks(&self.code).map(|_| ())
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
        let (first, second) = (&first.code, &second.code);
        first.require_kind(second.tier(), second.n_columns());
        for _ in 0..DRAWS {
            let cut = span(first, pick(first, rng));
            let donor = span(second, pick(second, rng));
            if self.graft(first, &cut, second, &donor, max_slots).is_ok() {
                let [cut, donor] = [cut.slots, donor.slots];
                return Some(Splice { cut, donor });
            }
        }
        self.code.clone_from(first);
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
        let subtree = |tree: &TreeCode, node: usize| {
            let marks = tree.marks();
            require("the number of a node", node, 0, marks.len() - 1)?;
            Ok::<_, McodeError>(span(&tree.code, marks[node].end as usize))
        };
        let (cut, donor) = (subtree(self, node)?, subtree(other, donor)?);
        let mut child = self.clone();
        child.graft(&self.code, &cut, &other.code, &donor, MAX_SLOTS)?;
        Ok(child)
    }

    /// Becomes the genome `original` changed at one place: another subtree, another operator or
    /// leaf, a subtree in place of the one around it, or another constant.
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
        let original = &original.code;
        original.require_kind(repertoire.tier(), repertoire.n_columns());
        let fits = match rng.below(4) {
            0 => {
                let cut = span(original, pick(original, rng));
                self.regrow(original, &cut, rng, repertoire, 4);
                self.code.slots.len() <= max_slots && self.code.constants.len() <= MAX_INDEX
            }
            1 => {
                let end = original.gene_end(rng.below(original.slots.len()));
                self.point(original, end, rng, repertoire);
                self.code.slots.len() <= max_slots && self.code.constants.len() <= MAX_INDEX
            }
            2 => {
                let cut = span(original, pick(original, rng));
                let inside = rng.range(cut.slots.start, cut.slots.end - 1);
                let donor = span(original, original.gene_end(inside));
                self.graft(original, &cut, original, &donor, max_slots)
                    .is_ok()
            }
            _ => {
                self.code.clone_from(original);
                let n = self.code.constants.len();
                if n > 0 {
                    let constant = &mut self.code.constants[rng.below(n)];
                    *constant = repertoire.near(rng, *constant);
                }
                true
            }
        };
        if !fits {
            self.code.clone_from(original);
        }
    }

    /// Becomes `original` with a random tree of at most this depth in place of a subtree.
    fn regrow(
        &mut self,
        original: &Code,
        cut: &Span,
        rng: &mut Rng,
        repertoire: &Repertoire,
        depth: usize,
    ) {
        self.code.begin(original, cut.slots.start);
        grow(&mut self.code, rng, repertoire, depth, cut.register);
        self.code
            .append(original, cut.slots.end..original.slots.len());
    }

    /// Becomes `original` with another operator of as many operands, or another leaf, in place of
    /// the node that ends at `end`.
    fn point(&mut self, original: &Code, end: usize, rng: &mut Rng, repertoire: &Repertoire) {
        let start = original.gene_start(end - 1);
        let dialect = original.dialect();
        let decoded = dialect.decode(&original.slots[start..]);
        let (gene, _) = decoded.expect("a genome's slots are genes");
        if gene.opcode == Opcode::Load {
            let leaf = Span {
                slots: start..end,
                register: gene.dst,
                top: gene.dst,
            };
            return self.regrow(original, &leaf, rng, repertoire, 1);
        }
        self.code.clone_from(original);
        if let Some(opcode) = repertoire.opcode_like(rng, gene.opcode) {
            let gene = operator(opcode, gene.dst);
            self.code.replace(start..end, None, Some(gene), 0.0);
        }
    }

    /// Becomes `first` with one subtree replaced by one of `second`.
    ///
    /// # Errors
    /// If the result is beyond the limits.
    fn graft(
        &mut self,
        first: &Code,
        cut: &Span,
        second: &Code,
        donor: &Span,
        max_slots: usize,
    ) -> Result<(), McodeError> {
        let n_slots = first.slots.len() - cut.slots.len() + donor.slots.len();
        let what = "the number of the child's slots";
        require(what, n_slots, 0, max_slots.min(MAX_SLOTS))?;
        let n_registers = usize::from(donor.top - donor.register + cut.register) + 1;
        let what = "the number of the child's registers";
        require(what, n_registers, 0, first.tier().n_registers().into())?;
        if first.constants.len() + second.constants.len() > MAX_INDEX {
            let n_constants = first.constants.len() - first.constants_of(&cut.slots).len()
                + second.constants_of(&donor.slots).len();
            let what = "the number of the child's constants";
            require(what, n_constants, 0, MAX_INDEX)?;
        }
        let moved = cut.slots.start..cut.slots.start + donor.slots.len();
        let by = cut.register.wrapping_sub(donor.register);
        self.code
            .splice_from(first, cut.slots.clone(), second, donor.slots.clone());
        shift(&mut self.code, moved, by);
        Ok(())
    }
}

fn require(what: &'static str, found: usize, low: usize, high: usize) -> Result<(), McodeError> {
    if (low..=high).contains(&found) {
        return Ok(());
    }
    Err(McodeError::Range {
        what,
        found,
        low,
        high,
    })
}

/// The end of a random node, an operator about nine times out of ten. Draws are made ahead:
/// whether one is a leaf cannot be predicted.
fn pick(code: &Code, rng: &mut Rng) -> usize {
    let (dialect, n) = (code.dialect(), code.slots.len());
    let mut slot = rng.below(n);
    for _ in 0..2 {
        let other = rng.below(n);
        slot = select_unpredictable(dialect.step(code.slots[slot]).is_load(), other, slot);
    }
    code.gene_end(slot)
}

/// The subtree that ends before `end`.
fn span(code: &Code, end: usize) -> Span {
    let dialect = code.dialect();
    let register = dialect.step(code.slots[end - 1]).dst();
    let (mut start, mut top) = (end, register);
    for slot in code.slots[..end].iter().rev() {
        let dst = dialect.step(*slot).dst();
        if dst < register {
            break;
        }
        // A phrase touches no register that the values before it have not.
        top = top.max(if dst < SCRATCH { dst } else { 0 });
        start -= 1;
    }
    Span {
        slots: start..end,
        register,
        top,
    }
}

/// Adds to all register numbers of a range of whole genes.
fn shift(code: &mut Code, slots: Range<usize>, by: u8) {
    if by == 0 {
        return;
    }
    let dialect = code.dialect();
    let mut at = slots.start;
    while at < slots.end {
        let slot = code.slots[at];
        let (row, ..) = dialect.read(slot);
        if row.role == Role::Whole {
            code.slots[at] = row.shift(slot, by);
            at += 1;
            continue;
        }
        let decoded = dialect.decode(&code.slots[at..]);
        let (gene, len) = decoded.expect("a genome's slots are genes");
        let shifted = dialect.encode(operator(gene.opcode, gene.dst.wrapping_add(by)));
        let shifted = shifted.expect("registers were compared with the limit");
        code.slots[at..at + len].copy_from_slice(&shifted);
        at += len;
    }
}

/// Appends a random tree of at most this depth whose root leaves its value in `register`.
fn grow(code: &mut Code, rng: &mut Rng, repertoire: &Repertoire, max_depth: usize, register: u8) {
    enum Todo {
        Grow(usize),
        Apply(Opcode),
    }
    // Each level adds the operands that wait while the last is computed.
    let spare = usize::from(repertoire.tier().n_registers() - register);
    let most = (spare - 1) / (repertoire.max_arity() - 1).max(1) + 1;
    let mut stack = Stack::new(code, register);
    let mut todo = Vec::with_capacity(24);
    todo.push(Todo::Grow(max_depth.clamp(1, most.min(8))));
    while let Some(next) = todo.pop() {
        match next {
            Todo::Apply(opcode) => stack.operator(opcode),
            Todo::Grow(depth) if depth == 1 || rng.bool(0.3) && !todo.is_empty() => {
                let value = repertoire.value(rng);
                stack.leaf(repertoire.leaf(rng), value);
            }
            Todo::Grow(depth) => {
                let opcode = repertoire.opcode(rng);
                todo.push(Todo::Apply(opcode));
                todo.extend((0..opcode.arity()).map(|_| Todo::Grow(depth - 1)));
            }
        }
    }
}

/// The gene of an operator whose value goes to a register: that of its first operand.
fn operator(opcode: Opcode, register: u8) -> Gene {
    let (a, b) = match opcode.arity() {
        1 => (0, register),
        2 => (register, register + 1),
        _ => (register + 1, register + 2),
    };
    Gene {
        opcode,
        dst: register,
        a,
        b: Operand::Register(b),
    }
}

impl TryFrom<Code> for TreeCode {
    type Error = VerifyError;

    fn try_from(code: Code) -> Result<TreeCode, VerifyError> {
        read_marks(&code)?;
        Ok(TreeCode { code })
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

/// Appends nodes in postfix order: the stack is the registers.
struct Stack<'a> {
    code: &'a mut Code,
    /// The register above all values that wait.
    next: u8,
}

impl Stack<'_> {
    fn new(code: &mut Code, register: u8) -> Stack<'_> {
        Stack {
            code,
            next: register,
        }
    }

    fn leaf(&mut self, b: Operand, value: f64) {
        let gene = Gene {
            opcode: Opcode::Load,
            dst: self.next,
            a: 0,
            b,
        };
        self.code.push(gene, value);
        self.next += 1;
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most 3")]
    fn operator(&mut self, opcode: Opcode) {
        let register = self.next - opcode.arity() as u8;
        self.code.push(operator(opcode, register), 0.0);
        self.next = register + 1;
    }
}
