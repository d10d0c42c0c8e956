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

use std::ops::Range;

use crate::dialect::Dialect;
use crate::error::VerifyError;
use crate::gene::{Domain, Gene, Opcode, Operand};
use crate::slot::is_inner;
use crate::{McodeError, Tier, lanes, verify};

/// Slots and constants that are proven to be harmless, with what they may read.
#[derive(Debug, PartialEq)]
pub struct Code {
    tier: Tier,
    n_columns: usize,
    pub(crate) slots: Vec<u64>,
    pub(crate) constants: Vec<f64>,
}

impl Clone for Code {
    fn clone(&self) -> Code {
        Code {
            slots: self.slots.clone(),
            constants: self.constants.clone(),
            ..*self
        }
    }

    /// Into the memory that there is.
    #[inline]
    fn clone_from(&mut self, code: &Code) {
        (self.tier, self.n_columns) = (code.tier, code.n_columns);
        self.slots.clone_from(&code.slots);
        self.constants.clone_from(&code.constants);
    }
}

/// What a crossover did: which slots of the first parent were replaced by which of the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// Slots of the first parent that the child lacks.
    pub cut: Range<usize>,
    /// Slots of the second parent in their place.
    pub donor: Range<usize>,
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
        self.dialect().is_on_words(&self.slots)
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

    /// The constants that these slots read.
    #[inline]
    pub(crate) fn constants_of(&self, slots: &Range<usize>) -> Range<usize> {
        let dialect = self.dialect();
        if let Some(wide) = dialect.wide {
            let places = [slots.start, slots.end];
            let [start, end] = lanes::count_before(wide, dialect.constant, &self.slots, places);
            return start..end;
        }
        self.constants_before(slots.start)..self.constants_before(slots.end)
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
    pub(crate) fn append(&mut self, other: &Code, slots: Range<usize>) {
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
    ///
    /// # Panics
    /// If the parents differ in tier or columns.
    pub(crate) fn splice_from(
        &mut self,
        first: &Code,
        cut: Range<usize>,
        second: &Code,
        donor: Range<usize>,
    ) {
        first.require_kind(second.tier, second.n_columns);
        let dialect = first.dialect();
        let Some(wide) = dialect.wide else {
            return self.splice_narrowly(first, cut, second, donor);
        };
        (self.tier, self.n_columns) = (first.tier, first.n_columns);
        let child = (&mut self.slots, &mut self.constants);
        let [first, second] = [first, second].map(|code| (&code.slots[..], &code.constants[..]));
        lanes::splice(wide, dialect.constant, child, first, cut, second, donor);
    }

    /// As [`Code::splice_from`], piece by piece.
    fn splice_narrowly(
        &mut self,
        first: &Code,
        cut: Range<usize>,
        second: &Code,
        donor: Range<usize>,
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

    /// Replaces one gene, or nothing, by another, or by none. The one that goes has read this
    /// constant, if any; `value` is for a constant of the other.
    pub(crate) fn replace(
        &mut self,
        cut: Range<usize>,
        gone: Option<u8>,
        gene: Option<Gene>,
        value: f64,
    ) {
        let reads = gene.is_some_and(|gene| matches!(gene.b, Operand::Constant(_)));
        let before = match gone {
            Some(gone) => usize::from(gone),
            None if reads => self.constants_of(&(0..cut.start)).end,
            None => 0,
        };
        let slots = gene.map(|gene| {
            let slots = self.dialect().encode(self.with_constant(gene, before));
            slots.expect("variation encodes allowed genes")
        });
        let slots = slots.as_deref().unwrap_or_default();
        let behind = cut.start + slots.len();
        exchange(&mut self.slots, cut, slots);
        let (given, gone) = (usize::from(reads), usize::from(gone.is_some()));
        if given + gone > 0 {
            exchange(
                &mut self.constants,
                before..before + gone,
                &[value][..given],
            );
        }
        if given != gone {
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

/// Puts other values in the place of some.
#[inline]
fn exchange<T: Copy + Default>(values: &mut Vec<T>, cut: Range<usize>, new: &[T]) {
    let (len, behind) = (values.len(), cut.start + new.len());
    if new.len() != cut.len() {
        values.resize(len.max(len - cut.len() + new.len()), T::default());
        values.copy_within(cut.end..len, behind);
        values.truncate(len - cut.len() + new.len());
    }
    values[cut.start..behind].copy_from_slice(new);
}

#[cfg(test)]
mod tests {
    use opcodon_evo::Rng;

    use super::*;
    use crate::{LinearCode, Opcode, Repertoire};

    /// Random code that reads columns and constants, with phrases or not.
    fn random(rng: &mut Rng, tier: Tier, n_slots: usize) -> Code {
        let repertoire = Repertoire::new(tier, 7).unwrap();
        let phrases = [Opcode::Add, Opcode::Div, Opcode::Min, Opcode::Neg];
        let repertoire = match rng.bool(0.5) {
            true => repertoire.opcodes(&phrases).constants(0.9, -1.0, 1.0),
            false => repertoire,
        };
        LinearCode::random(rng, &repertoire, n_slots).code().clone()
    }

    #[test]
    fn eight_slots_at_a_time_are_spliced_as_piece_by_piece() {
        let mut rng = Rng::new(31, 1);
        for tier in Tier::ALL {
            let mut child = Code::empty(tier, 7);
            let mut same = Code::empty(tier, 7);
            for _ in 0..20_000 {
                let parents = [0; 2].map(|_| {
                    let n_slots = rng.range(1, 90);
                    random(&mut rng, tier, n_slots)
                });
                let [first, second] = &parents;
                assert!(!first.is_on_words(), "phrases work on numbers");
                let works = |slot: &u64| first.dialect().works_on_words(*slot);
                assert!(!first.slots.iter().any(works));
                let [cut, donor] = [first, second].map(|code| {
                    let places = [0; 2].map(|_| code.boundary(rng.below(code.slots.len() + 1)));
                    places[0].min(places[1])..places[0].max(places[1])
                });
                child.splice_from(first, cut.clone(), second, donor.clone());
                same.splice_narrowly(first, cut.clone(), second, donor.clone());
                assert_eq!(child, same, "{cut:?} {donor:?}");
                let before = same.constants_before(cut.start);
                assert_eq!(same.constants_of(&(0..cut.start)), 0..before);
            }
        }
    }

    #[test]
    fn a_gene_takes_the_place_of_another_with_its_constant() {
        let mut rng = Rng::new(31, 2);
        for tier in Tier::ALL {
            let columns = Repertoire::new(tier, 7).unwrap();
            for _ in 0..20_000 {
                let n_slots = rng.range(1, 40);
                let mut code = random(&mut rng, tier, n_slots);
                let start = code.gene_start(rng.below(code.slots.len()));
                let end = code.gene_end(start);
                let mut genes: Vec<(Gene, f64)> = with_values(&code);
                let at = code.genes().take_while(|(slot, _)| *slot < start).count();
                let gone = match genes[at].0.b {
                    Operand::Constant(k) => Some(k),
                    Operand::Register(_) | Operand::Column(_) => None,
                };
                let new = rng.bool(0.7).then(|| columns.gene(&mut rng));
                let inserts = rng.bool(0.3);
                let (cut, gone) = if inserts {
                    (start..start, None)
                } else {
                    (start..end, gone)
                };
                code.replace(cut, gone, new, 0.125);
                genes.splice(
                    at..at + usize::from(!inserts),
                    new.map(|gene| (gene, 0.125)),
                );
                let values = |(gene, value): &(Gene, f64)| match gene.b {
                    Operand::Constant(_) => Some(*value),
                    Operand::Register(_) | Operand::Column(_) => None,
                };
                let constants: Vec<f64> = genes.iter().filter_map(values).collect();
                assert_eq!(code.constants, constants);
                let kinds = |gene: Gene| (gene.opcode, gene.dst, gene.a);
                let found: Vec<_> = with_values(&code)
                    .iter()
                    .map(|gene| kinds(gene.0))
                    .collect();
                assert_eq!(
                    found,
                    genes.iter().map(|gene| kinds(gene.0)).collect::<Vec<_>>()
                );
                if !code.slots.is_empty() {
                    code.check().unwrap();
                }
            }
        }
    }

    /// The genes, each with its constant.
    fn with_values(code: &Code) -> Vec<(Gene, f64)> {
        let value = |gene: Gene| match gene.b {
            Operand::Constant(k) => code.constants[usize::from(k)],
            Operand::Register(_) | Operand::Column(_) => 0.0,
        };
        code.genes().map(|(_, gene)| (gene, value(gene))).collect()
    }
}
