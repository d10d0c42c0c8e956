//! Verified code: slots and constants that are proven to be a straight run of allowed
//! instructions.
//!
//! Whatever is executed passes through [`Code`], and there are two ways to one. Bytes from outside
//! go through [`Code::verify`], the verifier: a linear scan that takes nothing for granted.
//! Variation inside this crate only copies slots of verified code and encodes genes within the
//! limits, which cannot leave the set of verified code; tests run the verifier over millions of
//! its children.
//!
//! # Invariant
//! Each slot differs from the template of an allowed instruction in operand fields only; phrases
//! are whole; registers are the tier's and columns are below the declared number; the
//! k-th slot that reads a constant reads constant k. So there is no branch, no store, no address
//! that is computed, and the only memory read are the declared columns and constants.

use opcodon_expr::{Expr, Node};

use crate::dialect::Dialect;
use crate::error::VerifyError;
use crate::gene::{Gene, MAX_INDEX, Opcode, Operand};
use crate::slot::{Kind, Role, is_inner};
use crate::{McodeError, Tier};

/// Most slots of a genome.
pub const MAX_SLOTS: usize = 1 << 16;

/// Slots and constants that are proven to be harmless, with what they may read.
#[derive(Clone, Debug, PartialEq)]
pub struct Code {
    tier: Tier,
    n_columns: usize,
    pub(crate) slots: Vec<u64>,
    pub(crate) constants: Vec<f64>,
}

/// What a crossover did: which slots of the first parent were replaced by which of the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// Slots of the first parent that the child lacks.
    pub cut: std::ops::Range<usize>,
    /// Slots of the second parent in their place.
    pub donor: std::ops::Range<usize>,
}

impl Code {
    /// Code without slots, to be filled by variation.
    pub(crate) fn empty(tier: Tier, n_columns: usize) -> Code {
        Code {
            tier,
            n_columns,
            slots: Vec::new(),
            constants: Vec::new(),
        }
    }

    /// Proves that these slots are a genome that reads at most the declared columns and exactly
    /// these constants.
    ///
    /// # Errors
    /// The first reason why they are not.
    pub fn verify(
        tier: Tier,
        n_columns: usize,
        slots: Vec<u64>,
        constants: Vec<f64>,
    ) -> Result<Code, VerifyError> {
        check(tier, n_columns, &slots, constants.len())?;
        Ok(Code {
            tier,
            n_columns,
            slots,
            constants,
        })
    }

    /// The tier whose instructions these are.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Columns that the code may read.
    #[must_use]
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// The instructions, 8 bytes each.
    #[must_use]
    pub fn slots(&self) -> &[u64] {
        &self.slots
    }

    /// The instructions as they stand in memory.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.slots)
    }

    /// The constants, in the order of the slots that read them.
    #[must_use]
    pub fn constants(&self) -> &[f64] {
        &self.constants
    }

    /// The constants, to be refitted in place.
    pub fn constants_mut(&mut self) -> &mut [f64] {
        &mut self.constants
    }

    pub(crate) fn dialect(&self) -> &'static Dialect {
        Dialect::of(self.tier)
    }

    /// Whether it has operations on bits.
    #[must_use]
    pub fn is_boolean(&self) -> bool {
        self.genes().any(|(_, gene)| gene.opcode.is_bitwise())
    }

    /// The genes, decoded one after the other, each with its first slot.
    pub fn genes(&self) -> impl Iterator<Item = (usize, Gene)> {
        let (dialect, mut at) = (self.dialect(), 0);
        std::iter::from_fn(move || {
            let (gene, len) = dialect.decode(&self.slots[at..])?;
            at += len;
            Some((at - len, gene))
        })
    }

    /// Proves the invariant anew. For tests and benches: variation keeps it.
    ///
    /// # Errors
    /// If the code is not verified code, which is a defect of this crate.
    pub fn check(&self) -> Result<(), VerifyError> {
        check(self.tier, self.n_columns, &self.slots, self.constants.len())
    }

    /// Numbers the slots that read constants, from slot `from` on, which reads constant `next` if
    /// it reads any.
    #[inline]
    pub(crate) fn renumber(&mut self, from: usize, next: usize) {
        self.dialect().renumber(&mut self.slots[from..], next);
    }

    /// How many of these slots read a constant.
    #[inline]
    pub(crate) fn count_constants(&self, slots: std::ops::Range<usize>) -> usize {
        let dialect = self.dialect();
        let reads = |&slot: &u64| usize::from(dialect.reads_constant(slot));
        self.slots[slots].iter().map(reads).sum()
    }

    /// That genes of another origin may be put into this code. Without this check a column that
    /// was not declared could get in.
    ///
    /// # Panics
    /// If they are for another tier or another number of columns.
    #[inline]
    pub(crate) fn require_kind(&self, tier: Tier, n_columns: usize) {
        assert_eq!(
            (self.tier, self.n_columns),
            (tier, n_columns),
            "genes mix with those of one tier and number of columns only"
        );
    }

    /// Whether genes of this and another genome may mix: of one tier and number of columns.
    ///
    /// # Errors
    /// If they may not.
    pub fn require_same_kind(&self, other: &Code) -> Result<(), McodeError> {
        if (self.tier, self.n_columns) == (other.tier, other.n_columns) {
            return Ok(());
        }
        Err(McodeError::Mixed {
            what: "the other genome",
            found_tier: other.tier,
            found_columns: other.n_columns,
            tier: self.tier,
            columns: self.n_columns,
        })
    }

    /// Appends a gene; `value` is for a constant of it.
    pub(crate) fn push(&mut self, gene: Gene, value: f64) {
        let end = self.slots.len();
        self.replace(end..end, Some(gene), value);
    }

    /// Becomes `first[..cut.start] + second[donor] + first[cut.end..]`, constants along with
    /// their slots. Both are ranges of whole genes; the caller sees to the limits.
    pub(crate) fn splice_from(
        &mut self,
        first: &Code,
        cut: std::ops::Range<usize>,
        second: &Code,
        donor: std::ops::Range<usize>,
    ) {
        first.require_kind(second.tier, second.n_columns);
        let before = first.count_constants(0..cut.start);
        let gone = before + first.count_constants(cut.clone());
        let given = second.count_constants(0..donor.start);
        let taken = given + second.count_constants(donor.clone());
        self.tier = first.tier;
        self.n_columns = first.n_columns;
        self.slots.clear();
        self.slots.extend_from_slice(&first.slots[..cut.start]);
        self.slots.extend_from_slice(&second.slots[donor]);
        self.slots.extend_from_slice(&first.slots[cut.end..]);
        self.constants.clear();
        self.constants.extend_from_slice(&first.constants[..before]);
        self.constants
            .extend_from_slice(&second.constants[given..taken]);
        self.constants.extend_from_slice(&first.constants[gone..]);
        self.renumber(cut.start, before);
    }

    /// Replaces whole genes by another, or by none; `value` is for a constant of it.
    pub(crate) fn replace(&mut self, cut: std::ops::Range<usize>, gene: Option<Gene>, value: f64) {
        let before = self.count_constants(0..cut.start);
        let gone = before + self.count_constants(cut.clone());
        let slots = gene.and_then(|gene| self.dialect().encode(gene));
        assert_eq!(
            slots.is_some(),
            gene.is_some(),
            "variation encodes allowed genes"
        );
        let slots = slots.as_deref().unwrap_or_default();
        let constant = gene.is_some_and(|gene| matches!(gene.b, Operand::Constant(_)));
        let start = cut.start;
        if slots.len() == cut.len() {
            self.slots[cut].copy_from_slice(slots);
        } else {
            self.slots.splice(cut, slots.iter().copied());
        }
        if constant && gone > before {
            self.constants[before] = value;
        } else if constant || gone > before {
            self.constants
                .splice(before..gone, constant.then_some(value));
        }
        self.renumber(start, before);
    }

    /// The next place from `slot` on at which the code may be cut.
    #[inline]
    pub(crate) fn boundary(&self, mut slot: usize) -> usize {
        while slot < self.slots.len() && is_inner(self.slots[slot]) {
            slot += 1;
        }
        slot
    }

    /// The last slot of the gene that begins at `slot`, plus one.
    #[inline]
    pub(crate) fn gene_end(&self, slot: usize) -> usize {
        self.boundary(slot + 1)
    }

    /// Nodes of the formula as a tree, at most `u64::MAX`.
    #[must_use]
    pub fn n_nodes(&self) -> u64 {
        // Behind the registers: a leaf, and nothing.
        const LEAF: usize = 16;
        const NONE: usize = 17;
        let dialect = self.dialect();
        let mut sizes = [1_u64; NONE + 1];
        sizes[NONE] = 0;
        let mut start = 0;
        while start < self.slots.len() {
            let end = self.gene_end(start);
            let flow = dialect.last(&self.slots[start..end]);
            // Absent operands are looked up where nothing is, so that nothing branches on them.
            let size = |register: Option<u8>, absent| {
                let place = register.map_or(absent, usize::from);
                sizes[place % sizes.len()]
            };
            let (first, last) = (size(flow.first(), NONE), size(flow.last(), LEAF));
            let root = u64::from(flow.operates());
            let size = first.saturating_add(last).saturating_add(root);
            sizes[usize::from(flow.dst) % LEAF] = size;
            start = end;
        }
        sizes[0]
    }

    /// What register 0 holds at the end, read off the bytes. Registers begin as columns, in turn.
    ///
    /// # Errors
    /// If the formula has more than `max_nodes` nodes as a tree (a genome that squares a register
    /// over and over doubles it each time), or works on bits.
    pub fn to_expression(&self, max_nodes: u64) -> Result<Expr, McodeError> {
        self.require_nodes(max_nodes)?;
        let nodes = self.fold(
            |operand| {
                vec![match operand {
                    Operand::Constant(k) => Node::Const(self.constants[usize::from(k)]),
                    leaf => Node::Var(u32::from(leaf.number())),
                }]
            },
            |opcode, first, last| {
                let mut nodes = first.cloned().unwrap_or_default();
                nodes.extend_from_slice(last);
                nodes.push(Node::Op(opcode.op()?));
                Some(nodes)
            },
        );
        let nodes = nodes.ok_or(McodeError::Bitwise)?;
        Ok(Expr::from_postfix(nodes).expect("operands come before their operator"))
    }

    /// What register 0 holds at the end, for genomes on bits: `x0 ^ (x1 & 1)`, with all operations
    /// in parentheses. `a < b` is the second bit without the first.
    ///
    /// # Errors
    /// If the formula has more than `max_nodes` nodes as a tree.
    pub fn to_boolean_text(&self, max_nodes: u64) -> Result<String, McodeError> {
        self.require_nodes(max_nodes)?;
        let leaf = |operand| match operand {
            Operand::Constant(k) if self.constants[usize::from(k)].to_bits() == 0 => "0".into(),
            Operand::Constant(_) => "1".into(),
            leaf => format!("x{}", leaf.number()),
        };
        let text = self.fold(leaf, |opcode, first, last| {
            let (symbol, first) = (opcode.symbol()?, first?);
            Some(format!("({first} {symbol} {last})"))
        });
        let text = text.ok_or(McodeError::Domain { bits: true })?;
        let bare = text
            .strip_prefix('(')
            .and_then(|text| text.strip_suffix(')'));
        Ok(bare.unwrap_or(&text).to_owned())
    }

    fn require_nodes(&self, limit: u64) -> Result<(), McodeError> {
        let nodes = self.n_nodes();
        if nodes > limit {
            return Err(McodeError::TooLong { nodes, limit });
        }
        Ok(())
    }

    /// Runs the effective genes on values of another kind; `None` as soon as one has no meaning.
    fn fold<V: Clone>(
        &self,
        leaf: impl Fn(Operand) -> V,
        apply: impl Fn(Opcode, Option<&V>, &V) -> Option<V>,
    ) -> Option<V> {
        let live = crate::effective::mark(self);
        let mut values: [V; 16] = std::array::from_fn(|register| {
            #[expect(clippy::cast_possible_truncation, reason = "at most 256 columns")]
            leaf(Operand::Column((register % self.n_columns) as u8))
        });
        for (_, gene) in self.genes().filter(|(slot, _)| live.slots[*slot]) {
            let first = (gene.opcode.arity() == 2).then(|| &values[usize::from(gene.a)]);
            let last = match gene.b {
                Operand::Register(b) => values[usize::from(b)].clone(),
                operand => leaf(operand),
            };
            values[usize::from(gene.dst)] = match gene.opcode {
                Opcode::Load => last,
                opcode => apply(opcode, first, &last)?,
            };
        }
        let [result, ..] = values;
        Some(result)
    }
}

/// The verifier.
fn check(
    tier: Tier,
    n_columns: usize,
    slots: &[u64],
    n_constants: usize,
) -> Result<(), VerifyError> {
    if n_columns == 0 || n_columns > MAX_INDEX {
        return Err(VerifyError::ColumnCount { found: n_columns });
    }
    if slots.is_empty() {
        return Err(VerifyError::Empty);
    }
    if slots.len() > MAX_SLOTS {
        return Err(VerifyError::TooLong {
            found: slots.len(),
            limit: MAX_SLOTS,
        });
    }
    if is_plain(tier, n_columns, slots, n_constants) {
        return Ok(());
    }
    examine(tier, n_columns, slots, n_constants)
}

/// Whether all slots are whole instructions within the limits: the verifier without a branch a
/// slot, as no processor can predict what comes next. Phrases, and what is wrong with a slot, are
/// for [`examine`].
fn is_plain(tier: Tier, n_columns: usize, slots: &[u64], n_constants: usize) -> bool {
    let dialect = Dialect::of(tier);
    let mut next_constant = 0;
    let mut bad = 0;
    for &slot in slots {
        let (check, index, rest) = dialect.check(slot);
        let (is_column, is_constant) = (check.is_column, check.is_constant);
        let index = usize::from(index);
        bad |= rest
            | u64::from(is_column & (index >= n_columns))
            | u64::from(is_constant & (index != next_constant));
        next_constant += usize::from(is_constant);
    }
    bad == 0 && next_constant == n_constants
}

/// The verifier, slot by slot, with the reason why a slot is refused.
fn examine(
    tier: Tier,
    n_columns: usize,
    slots: &[u64],
    n_constants: usize,
) -> Result<(), VerifyError> {
    let dialect = Dialect::of(tier);
    let mut next_constant = 0;
    let mut at = 0;
    while at < slots.len() {
        let slot = slots[at];
        let refused = || VerifyError::Instruction {
            slot: at,
            word: slot,
        };
        let (row, values, rest) = dialect.read(slot);
        if rest != 0 || row.role == Role::Inner {
            return Err(refused());
        }
        let index = usize::from(values.index);
        match row.kind {
            Kind::Column if index >= n_columns => {
                return Err(VerifyError::Column {
                    slot: at,
                    column: index,
                    n_columns,
                });
            }
            Kind::Constant if index != next_constant => {
                return Err(VerifyError::ConstantOrder {
                    slot: at,
                    found: index,
                    expected: next_constant,
                });
            }
            Kind::Constant => next_constant += 1,
            Kind::Register | Kind::Column => {}
        }
        at += dialect.decode(&slots[at..]).ok_or_else(refused)?.1;
    }
    if next_constant == n_constants {
        Ok(())
    } else {
        Err(VerifyError::ConstantCount {
            found: n_constants,
            expected: next_constant,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LinearCode, Repertoire};
    use opcodon_evo::Rng;

    #[test]
    fn genomes_without_phrases_are_verified_without_a_branch() {
        for tier in Tier::ALL {
            let repertoire = Repertoire::new(tier, 3).unwrap();
            let genome = LinearCode::random(&mut Rng::new(1, 1), &repertoire, 100);
            let code = genome.code();
            assert!(is_plain(tier, 3, code.slots(), code.constants().len()));
            assert!(!is_plain(tier, 3, code.slots(), code.constants().len() + 1));
        }
    }
}
