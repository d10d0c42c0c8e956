//! Linear genomes: a list of instructions over registers, as in AIMGP.
//!
//! Registers begin as input columns, in turn, and the result is what register 0 holds at the end.
//! Every list of genes is a program, so variation copies slots and never repairs anything:
//! crossover replaces a run of genes by one of the other parent, mutation changes a field of one
//! gene. A constant belongs to the gene that reads it and travels with it.
//!
//! Sources: Nordin, Banzhaf, Francone, "Efficient evolution of machine code for CISC architectures
//! using instruction blocks and homologous crossover", Advances in Genetic Programming 3, 1999.

use std::hint::select_unpredictable;
use std::ops::Range;

use opcodon_evo::Rng;
use opcodon_expr::Expr;

use crate::code::{Code, Splice};
use crate::effective::{self, Effective};
use crate::error::VerifyError;
use crate::gene::{Gene, MAX_INDEX, Opcode, Operand};
use crate::repertoire::Repertoire;
use crate::tree::TreeCode;
use crate::{McodeError, Tier};

/// A genome of instructions over registers.
#[derive(Debug, PartialEq)]
pub struct LinearCode {
    code: Code,
}

impl Clone for LinearCode {
    fn clone(&self) -> LinearCode {
        LinearCode {
            code: self.code.clone(),
        }
    }

    #[inline]
    fn clone_from(&mut self, genome: &LinearCode) {
        self.code.clone_from(&genome.code);
    }
}

/// Most slots of a linear genome, so that each may have a constant.
pub const MAX_LINEAR_SLOTS: usize = MAX_INDEX;

impl LinearCode {
    /// A random genome of at most so many slots, at least one gene.
    pub fn random(rng: &mut Rng, repertoire: &Repertoire, n_slots: usize) -> LinearCode {
        let mut code = Code::empty(repertoire.tier(), repertoire.n_columns());
        loop {
            let gene = repertoire.gene(rng);
            let end = code.slots.len();
            let full = end + gene.opcode.n_slots() > n_slots.min(MAX_LINEAR_SLOTS);
            if full && end > 0 {
                return LinearCode { code };
            }
            code.push(gene, repertoire.value(rng));
        }
    }

    /// The genome with these slots and constants.
    ///
    /// # Errors
    /// If they are not verified, or more than [`MAX_LINEAR_SLOTS`].
    pub fn from_slots(
        tier: Tier,
        n_columns: usize,
        slots: Vec<u64>,
        constants: Vec<f64>,
    ) -> Result<LinearCode, VerifyError> {
        Code::verify(tier, n_columns, slots, constants)?.try_into()
    }

    /// The genome of an expression: code of a stack machine whose stack is the registers, in which
    /// a leaf is the last operand of its operator where it can be.
    ///
    /// # Errors
    /// If it has an operator outside of the repertoire, reads a column that is not there, needs
    /// more registers than the tier has, or more slots than [`MAX_LINEAR_SLOTS`].
    pub fn from_expression(
        expr: &Expr,
        tier: Tier,
        n_columns: usize,
    ) -> Result<LinearCode, McodeError> {
        let tree = TreeCode::from_expression(expr, tier, n_columns)?;
        let mut code = Code::empty(tier, n_columns);
        // What waits: the leaves in memory, everything else in the register of its height.
        let mut waiting: Vec<Option<(Operand, f64)>> = Vec::new();
        let load = |code: &mut Code, height: usize, leaf: Option<(Operand, f64)>| {
            if let Some((b, value)) = leaf {
                let gene = Gene {
                    opcode: Opcode::Load,
                    dst: register(height),
                    a: 0,
                    b,
                };
                code.push(gene, value);
            }
        };
        for (_, gene) in tree.code().genes() {
            if gene.opcode == Opcode::Load {
                let value = match gene.b {
                    Operand::Constant(k) => tree.code().constants()[usize::from(k)],
                    Operand::Register(_) | Operand::Column(_) => 0.0,
                };
                waiting.push(Some((gene.b, value)));
                continue;
            }
            let last = waiting.pop().flatten();
            let height = waiting.len();
            let memory = last.filter(|_| gene.opcode.takes_memory(tier));
            if memory.is_none() {
                load(&mut code, height, last);
            }
            if gene.opcode.arity() == 2 {
                load(&mut code, height - 1, waiting.pop().flatten());
            }
            let b = memory.map_or(Operand::Register(register(height)), |leaf| leaf.0);
            let value = memory.map_or(0.0, |leaf| leaf.1);
            // The registers of a tree's genes are heights, too.
            code.push(Gene { b, ..gene }, value);
            waiting.push(None);
        }
        load(&mut code, 0, waiting.pop().flatten());
        Ok(LinearCode::try_from(code)?)
    }

    /// The genome's code.
    #[must_use]
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// The constants, to be refitted in place.
    pub fn constants_mut(&mut self) -> &mut [f64] {
        self.code.constants_mut()
    }

    /// Becomes a child of two parents: a run of genes of the first is replaced by a run of the
    /// second, wherever both lie, such that the child has at most `max_slots`. Returns what was
    /// replaced; nothing if the child is a copy of the first.
    ///
    /// # Panics
    /// If the parents differ in tier or columns.
    pub fn two_point(
        &mut self,
        rng: &mut Rng,
        first: &LinearCode,
        second: &LinearCode,
        max_slots: usize,
    ) -> Option<Splice> {
        self.cross(rng, first, second, max_slots, Some(false))
    }

    /// Becomes a child of two parents: a run of genes of the first is replaced by the genes in
    /// the same place of the second. Returns as [`LinearCode::two_point`].
    ///
    /// # Panics
    /// If the parents differ in tier or columns.
    pub fn homologous(
        &mut self,
        rng: &mut Rng,
        first: &LinearCode,
        second: &LinearCode,
        max_slots: usize,
    ) -> Option<Splice> {
        self.cross(rng, first, second, max_slots, Some(true))
    }

    /// Becomes a child of two parents, by homologous crossover or not, or a copy of the first.
    /// Which of these cannot be predicted, so all go the same way.
    pub(crate) fn cross(
        &mut self,
        rng: &mut Rng,
        first: &LinearCode,
        second: &LinearCode,
        max_slots: usize,
        homologous: Option<bool>,
    ) -> Option<Splice> {
        let (first, second) = (&first.code, &second.code);
        let [n, m] = [first, second].map(|code| code.slots.len() + 1);
        let is_homologous = homologous == Some(true);
        let ranges = match homologous {
            None => [1, 1],
            Some(false) => [n, m],
            Some(true) => [n.min(m), 1],
        };
        let [a, b, c, d] = rng.below_each([ranges[0], ranges[0], ranges[1], ranges[1]]);
        let place = |own, same| select_unpredictable(is_homologous, same, own);
        let (cut, donor) = (run(first, [a, b]), run(second, [place(c, a), place(d, b)]));
        let kept = first.slots.len() - (cut.end - cut.start);
        let room = max_slots.min(MAX_LINEAR_SLOTS).saturating_sub(kept);
        // The last place not beyond the room at which the donor may be cut.
        let mut end = donor.end.min(donor.start + room);
        while second.boundary(end) != end {
            end -= 1;
        }
        let donor = donor.start..end;
        let is_new = kept + donor.len() > 0 && homologous.is_some();
        let splice = is_new.then_some(Splice { cut, donor });
        self.take(first, second, splice.as_ref());
        splice
    }

    /// Becomes what the splice makes of two parents, or a copy of the first.
    fn take(&mut self, first: &Code, second: &Code, splice: Option<&Splice>) {
        let [cut, donor] = match splice {
            Some(Splice { cut, donor }) => [cut.clone(), donor.clone()],
            None => [0..0, 0..0],
        };
        self.code.splice_from(first, cut, second, donor);
    }

    /// The child of this genome and another in which the genes `cut` of this one are replaced by
    /// the genes `donor` of the other.
    ///
    /// # Errors
    /// If a range is not one of whole genes, the child would have no slots or more than
    /// [`MAX_LINEAR_SLOTS`], or the parents differ in tier or columns.
    pub fn splice(
        &self,
        cut: Range<usize>,
        other: &LinearCode,
        donor: Range<usize>,
    ) -> Result<LinearCode, McodeError> {
        self.code.require_same_kind(&other.code)?;
        for (code, range) in [(&self.code, &cut), (&other.code, &donor)] {
            let end = code.slots.len();
            for (slot, low) in [(range.start, 0), (range.end, range.start)] {
                if slot > end || slot < low || code.boundary(slot) != slot {
                    return Err(McodeError::Cut { slot, end });
                }
            }
        }
        let found = self.code.slots.len() - cut.len() + donor.len();
        if !(1..=MAX_LINEAR_SLOTS).contains(&found) {
            let (what, low, high) = ("the number of slots of the child", 1, MAX_LINEAR_SLOTS);
            return Err(McodeError::Range {
                what,
                found,
                low,
                high,
            });
        }
        let mut child = self.clone();
        child.take(&self.code, &other.code, Some(&Splice { cut, donor }));
        Ok(child)
    }

    /// Changes one gene: its operation, one of its operands, its constant; or inserts or deletes
    /// one, as far as the size allows.
    ///
    /// # Panics
    /// If the repertoire is for another tier or number of columns.
    pub fn mutate(&mut self, rng: &mut Rng, repertoire: &Repertoire, max_slots: usize) {
        let code = &mut self.code;
        code.require_kind(repertoire.tier(), repertoire.n_columns());
        let n_slots = code.slots.len();
        let (opcodes, n_registers) = (repertoire.all_opcodes(), repertoire.n_registers());
        let drawn = [n_slots, 8, opcodes.len(), usize::from(n_registers)];
        let [slot, change, opcode, number] = rng.below_each(drawn);
        let (opcode, register) = (opcodes[opcode], register(number));
        let start = code.gene_start(slot);
        // Half of the changes are of one field of one slot, whatever its gene is; which field it
        // is, cannot be predicted.
        if change < 4 {
            let altered = code.dialect().altered(code.slots[start], |old, fields| {
                fields.dst = select_unpredictable(change == 2, register, fields.dst);
                fields.a = select_unpredictable(change == 3, register, fields.a);
                select_unpredictable(change < 2, opcode, old)
            });
            // With one operand only, there is no first one, and the last is changed below.
            if let Some(altered) = altered
                && (change != 3 || altered != code.slots[start])
            {
                code.slots[start] = altered;
                return;
            }
        }
        let end = code.gene_end(start);
        let (mut gene, _) = code
            .dialect()
            .decode(&code.slots[start..end])
            .expect("a genome's slots are genes");
        let constant = match gene.b {
            Operand::Constant(k) => Some(k),
            Operand::Register(_) | Operand::Column(_) => None,
        };
        // A constant stays as long as its gene reads one.
        let mut kept = constant.map(|k| code.constants[usize::from(k)]);
        match change {
            0 | 1 => {
                gene.opcode = opcode;
                let fits = match gene.b {
                    Operand::Register(_) => gene.opcode.takes_register(),
                    Operand::Column(_) | Operand::Constant(_) => {
                        gene.opcode.takes_memory(repertoire.tier())
                    }
                };
                if !fits {
                    gene.b = repertoire.operand(rng, gene.opcode);
                }
                if gene.opcode.arity() < 2 {
                    gene.a = 0;
                }
            }
            2 => gene.dst = register,
            3 if gene.opcode.arity() >= 2 => gene.a = register,
            3 | 4 if gene.opcode != Opcode::Load => {
                gene.b = repertoire.operand(rng, gene.opcode);
                kept = None;
            }
            3..=5 => {
                if let Operand::Constant(k) = gene.b {
                    let constant = &mut code.constants[usize::from(k)];
                    *constant = repertoire.near(rng, *constant);
                    return;
                }
                gene.dst = register;
            }
            6 => {
                let gene = repertoire.gene(rng);
                let value = repertoire.value_of(rng, gene);
                if n_slots + gene.opcode.n_slots() <= max_slots.min(MAX_LINEAR_SLOTS) {
                    code.replace(start..start, None, Some(gene), value);
                }
                return;
            }
            _ => {
                if end - start < n_slots {
                    code.replace(start..end, constant, None, 0.0);
                }
                return;
            }
        }
        let grown = n_slots - (end - start) + gene.opcode.n_slots();
        if grown <= max_slots.clamp(1, MAX_LINEAR_SLOTS) || grown <= n_slots {
            let value = kept.unwrap_or_else(|| repertoire.value_of(rng, gene));
            code.replace(start..end, constant, Some(gene), value);
        }
    }

    /// Which slots influence the result.
    #[must_use]
    pub fn effective(&self) -> Effective {
        effective::mark(&self.code)
    }

    /// The genome without introns. One whose result is an untouched column keeps its last gene.
    #[must_use]
    pub fn strip(&self) -> LinearCode {
        let effective = self.effective().slots;
        if !effective.contains(&true) {
            return self.clone();
        }
        let mut code = Code::empty(self.code.tier(), self.code.n_columns());
        let mut at = 0;
        for run in effective.chunk_by(PartialEq::eq) {
            if run[0] {
                code.append(&self.code, at..at + run.len());
            }
            at += run.len();
        }
        LinearCode { code }
    }

    /// The formula, of effective genes only.
    ///
    /// # Errors
    /// If it has more than `max_nodes` nodes as a tree.
    pub fn to_expression(&self, max_nodes: u64) -> Result<Expr, McodeError> {
        self.code.to_expression(max_nodes)
    }
}

impl TryFrom<Code> for LinearCode {
    type Error = VerifyError;

    fn try_from(code: Code) -> Result<LinearCode, VerifyError> {
        let found = code.slots.len();
        if found <= MAX_LINEAR_SLOTS {
            return Ok(LinearCode { code });
        }
        Err(VerifyError::TooLong {
            found,
            limit: MAX_LINEAR_SLOTS,
        })
    }
}

/// The register of a height of the stack, of which trees that were made keep within the tier's.
#[expect(clippy::cast_possible_truncation, reason = "at most 16")]
fn register(height: usize) -> u8 {
    height as u8
}

/// The run of whole genes between two places, maybe empty.
fn run(code: &Code, [a, b]: [usize; 2]) -> Range<usize> {
    code.boundary(a.min(b))..code.boundary(a.max(b))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every part of a gene is changed by some mutation, of operations with one operand or two and
    /// of phrases; what else differs is inserted or deleted.
    #[test]
    fn mutation_reaches_every_part_of_a_gene() {
        for tier in Tier::ALL {
            let repertoire = Repertoire::new(tier, 3).unwrap();
            let operations = [Opcode::Add, Opcode::Sqrt, Opcode::Min];
            let repertoire = repertoire.opcodes(&operations);
            for opcode in operations {
                let gene = Gene {
                    opcode,
                    dst: 1,
                    a: if opcode.arity() == 2 { 2 } else { 0 },
                    b: Operand::Register(3),
                };
                let mut code = Code::empty(tier, 3);
                code.push(gene, 0.0);
                let parent = LinearCode { code };
                let mut changed = BTreeSet::new();
                for seed in 0..400 {
                    let mut child = parent.clone();
                    child.mutate(&mut Rng::new(seed, 9), &repertoire, 8);
                    let genes: Vec<Gene> = child.code.genes().map(|(_, gene)| gene).collect();
                    let [new] = genes[..] else {
                        changed.insert("length");
                        continue;
                    };
                    for (part, differs) in [
                        ("opcode", new.opcode != opcode),
                        ("dst", new.dst != gene.dst),
                        ("a", new.opcode == opcode && new.a != gene.a),
                        ("b", new.opcode == opcode && new.b != gene.b),
                    ] {
                        if differs {
                            changed.insert(part);
                        }
                    }
                }
                let wanted = match opcode.arity() {
                    1 => vec!["b", "dst", "length", "opcode"],
                    _ => vec!["a", "b", "dst", "length", "opcode"],
                };
                assert_eq!(
                    changed.into_iter().collect::<Vec<_>>(),
                    wanted,
                    "{opcode:?}"
                );
            }
        }
    }
}
