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

use crate::dialect::Dialect;
use crate::error::VerifyError;
use crate::gene::{Domain, Gene, Opcode, Operand};
use crate::slot::is_inner;
use crate::{McodeError, Tier, verify};

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
        verify::check(tier, n_columns, &slots, constants.len())?;
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

    /// Whether it has operations on words: on bits or integers.
    #[must_use]
    pub fn is_on_words(&self) -> bool {
        self.genes().any(|(_, gene)| gene.opcode.is_on_words())
    }

    /// Whether it works on integers, as far as it shows: by an operation on them, or an operation
    /// on bits with a constant whose bits differ.
    #[must_use]
    pub fn is_on_integers(&self) -> bool {
        let is_bit = |constant: &f64| [0, u64::MAX].contains(&constant.to_bits());
        let is_integer = |opcode: Opcode| opcode.domain() == Some(Domain::Integers);
        self.genes().any(|(_, gene)| is_integer(gene.opcode))
            || self.is_on_words() && !self.constants.iter().all(is_bit)
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

    /// Number of genes.
    #[must_use]
    pub fn n_genes(&self) -> usize {
        let inner = self.slots.iter().filter(|slot| is_inner(**slot)).count();
        self.slots.len() - inner
    }

    /// Proves the invariant anew. For tests and benches: variation keeps it.
    ///
    /// # Errors
    /// If the code is not verified code, which is a defect of this crate.
    pub fn check(&self) -> Result<(), VerifyError> {
        verify::check(self.tier, self.n_columns, &self.slots, self.constants.len())
    }

    /// How many constants are read before a slot: the number of the next one.
    #[inline]
    pub(crate) fn constants_before(&self, slot: usize) -> usize {
        let next = self.dialect().first_constant(&self.slots[slot..]);
        next.unwrap_or(self.constants.len())
    }

    /// How many of these slots read a constant.
    #[inline]
    pub(crate) fn count_constants(&self, slots: std::ops::Range<usize>) -> usize {
        self.constants_before(slots.end) - self.constants_before(slots.start)
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

    /// Becomes the slots of another before `end`, with their constants.
    #[inline]
    pub(crate) fn begin(&mut self, first: &Code, end: usize) {
        self.tier = first.tier;
        self.n_columns = first.n_columns;
        self.slots.clear();
        self.constants.clear();
        self.slots.extend_from_slice(&first.slots[..end]);
        let read = first.constants_before(end);
        self.constants.extend_from_slice(&first.constants[..read]);
    }

    /// Appends whole genes of other code, with their constants.
    #[inline]
    pub(crate) fn append(&mut self, other: &Code, slots: std::ops::Range<usize>) {
        self.require_kind(other.tier, other.n_columns);
        let given = other.constants_before(slots.start);
        let taken = other.constants_before(slots.end);
        let by = self.constants.len().wrapping_sub(given);
        let dialect = self.dialect();
        let start = self.slots.len();
        self.slots.extend_from_slice(&other.slots[slots]);
        if by != 0 {
            dialect.renumber(&mut self.slots[start..], by);
        }
        self.constants
            .extend_from_slice(&other.constants[given..taken]);
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
        self.begin(first, cut.start);
        self.append(second, donor);
        self.append(first, cut.end..first.slots.len());
    }

    /// Appends a gene; `value` is for a constant of it.
    #[inline]
    pub(crate) fn push(&mut self, gene: Gene, value: f64) {
        let gene = self.with_constant(gene, self.constants.len());
        let slots = self.dialect().encode(gene);
        let slots = slots.expect("variation encodes allowed genes");
        self.slots.extend_from_slice(&slots);
        if let Operand::Constant(_) = gene.b {
            self.constants.push(value);
        }
    }

    /// The gene with its constant, if it has one, numbered.
    #[expect(clippy::cast_possible_truncation, reason = "at most 256 constants")]
    fn with_constant(&self, mut gene: Gene, number: usize) -> Gene {
        if let Operand::Constant(k) = &mut gene.b {
            *k = number as u8;
        }
        gene
    }

    /// Replaces one gene, or nothing, by another, or by none; `value` is for a constant of it.
    pub(crate) fn replace(&mut self, cut: std::ops::Range<usize>, gene: Option<Gene>, value: f64) {
        let reads = gene.is_some_and(|gene| matches!(gene.b, Operand::Constant(_)));
        let given = usize::from(reads);
        let gone = usize::from(
            self.dialect()
                .first_constant(&self.slots[cut.clone()])
                .is_some(),
        );
        // Most genes have no constant, before and after.
        let before = match given + gone {
            0 => 0,
            _ => self.constants_before(cut.start),
        };
        let slots = gene.map(|gene| {
            let slots = self.dialect().encode(self.with_constant(gene, before));
            slots.expect("variation encodes allowed genes")
        });
        let slots = slots.as_deref().unwrap_or_default();
        let behind = cut.start + slots.len();
        if slots.len() == cut.len() {
            self.slots[cut].copy_from_slice(slots);
        } else {
            self.slots.splice(cut, slots.iter().copied());
        }
        if given == gone {
            self.constants[before..before + gone].fill(value);
        } else {
            let values = std::iter::repeat_n(value, given);
            self.constants.splice(before..before + gone, values);
            let dialect = self.dialect();
            dialect.renumber(&mut self.slots[behind..], given.wrapping_sub(gone));
        }
    }

    /// The next place from `slot` on at which the code may be cut.
    #[inline]
    pub(crate) fn boundary(&self, mut slot: usize) -> usize {
        while slot < self.slots.len() && is_inner(self.slots[slot]) {
            slot += 1;
        }
        slot
    }

    /// The first slot of the gene to which a slot belongs.
    #[inline]
    pub(crate) fn gene_start(&self, mut slot: usize) -> usize {
        while is_inner(self.slots[slot]) {
            slot -= 1;
        }
        slot
    }

    /// The last slot of the gene to which a slot belongs, plus one.
    #[inline]
    pub(crate) fn gene_end(&self, slot: usize) -> usize {
        self.boundary(slot + 1)
    }
}
