//! Which words are whole instructions: the table of the verifier.
//!
//! A word is looked up by its key and compared with the template that it must be, without a branch,
//! for no processor can predict what comes next in a genome. The key is the opcode, with the bit
//! behind it, which tells base registers apart, where the opcode is if the word is padded as far as
//! its first bytes say. What is compared are all fixed bits, so a wrong key lets nothing pass. Of a
//! key that no whole instruction has, the template is a word with another key.

use super::{Dialect, N_KEYS, Pattern};
use crate::slot::{Kind, Role, Row, Values, is_of_phrase};
use crate::{Tier, lanes};

/// What words are compared with, by key.
#[derive(Debug)]
pub(crate) struct Checks {
    /// The template; in its lowest bits its class.
    pub(crate) classed: [u64; N_KEYS],
    /// Bits that must be the template's, by class. The first class is of what is refused.
    pub(crate) fixed: [u64; N_CLASSES],
    /// What the class is combined with by exclusive or to be the template's lowest bits.
    pub(crate) lowest: [u64; N_CLASSES],
    /// Not 0 for instructions that work on words.
    pub(crate) on_words: [u64; N_KEYS],
    /// How those that read a column, or a constant, are told from the others.
    pub(crate) column: Pattern,
    pub(crate) constant: Pattern,
}

/// The number of a class is in the lowest bits; those behind it tell whether a column is read, or a
/// constant. The byte has room for it, for it is the same in all words of a class.
pub(crate) const N_CLASSES: usize = 8;
const CLASS: u64 = 0xff;
pub(crate) const COLUMN: u64 = 1 << 3;
pub(crate) const CONSTANT: u64 = 1 << 4;

/// Where the keys of a tier's words are, and how their indices are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    /// Set in instructions that read memory, and not in the others.
    pub(crate) memory_bit: u64,
    /// Where the opcode begins in those that read memory, and in the others.
    pub(crate) opcode: [u32; 2],
    /// Where the index begins, and what it is combined with by exclusive or.
    pub(crate) index: (u32, u64),
}

impl Places {
    pub(crate) const fn of(tier: Tier) -> Places {
        match tier {
            Tier::Avx512 => Places {
                memory_bit: 0x40 << 8,
                opcode: [40, 48],
                index: (56, 0x80),
            },
            Tier::Avx2 => Places {
                memory_bit: 1,
                opcode: [16, 48],
                index: (37, 0),
            },
        }
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "ten bits")]
    fn key(self, word: u64) -> usize {
        let is_register = word & self.memory_bit == 0;
        let opcode = word >> self.opcode[usize::from(is_register)];
        (opcode & (IS_REGISTER - 1) | (u64::from(is_register) * IS_REGISTER)) as usize
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a byte")]
    fn index(self, word: u64) -> usize {
        (word >> self.index.0 & 0xff ^ self.index.1) as usize
    }
}

/// The bit of a key that is set if a word reads no memory.
pub(crate) const IS_REGISTER: u64 = 1 << 9;

impl Checks {
    /// Refuses every word.
    pub(super) fn new(tier: Tier, column: Pattern, constant: Pattern) -> Checks {
        let stranger = |key| {
            let differs = |word: &u64| Places::of(tier).key(*word) != key;
            let found = [0, !CLASS].into_iter().find(differs);
            found.expect("two words differ in their keys")
        };
        Checks {
            classed: std::array::from_fn(stranger),
            fixed: [u64::MAX; N_CLASSES],
            lowest: [0; N_CLASSES],
            on_words: [0; N_KEYS],
            column,
            constant,
        }
    }

    /// The template of a key, and its fixed bits.
    #[inline(always)]
    fn of(&self, key: usize) -> (u64, u64) {
        let classed = self.classed[key];
        let class = usize::from(classed.to_le_bytes()[0]) % N_CLASSES;
        (classed ^ self.lowest[class], self.fixed[class])
    }

    /// The class of a row, a new one if there is none.
    fn class(&mut self, row: &Row) -> u64 {
        let reads = match row.kind {
            Kind::Register => 0,
            Kind::Column => COLUMN,
            Kind::Constant => CONSTANT,
        };
        assert_eq!(row.variable & CLASS, 0, "padding never varies");
        for class in 1..N_CLASSES {
            let number = class as u64 | reads;
            let lowest = row.template & CLASS ^ number;
            if self.fixed[class] == u64::MAX {
                (self.fixed[class], self.lowest[class]) = (!row.variable, lowest);
            }
            if (self.fixed[class], self.lowest[class]) == (!row.variable, lowest) {
                return number;
            }
        }
        unreachable!("classes are as many as there are ways to mix kinds of operands");
    }

    /// Lets the words of a row pass, if they are whole instructions.
    pub(super) fn allow(&mut self, tier: Tier, row: &Row) {
        if row.role != Role::Whole {
            return;
        }
        // The bit behind the opcode may be that of a register.
        for b in [0, 1].map(|b| b & row.present.b) {
            let word = row.encode(Values {
                b,
                ..Values::default()
            });
            let key = Places::of(tier).key(word);
            let (template, fixed) = self.of(key);
            let taken = fixed != u64::MAX && template != row.template;
            assert!(!taken, "two rows share a key");
            let class = self.class(row);
            self.classed[key] = row.template & !CLASS | class;
            self.on_words[key] = u64::from(row.opcode.is_on_words());
        }
        for (pattern, kind) in [(self.column, Kind::Column), (self.constant, Kind::Constant)] {
            let differs = (row.template ^ pattern.bits) & pattern.mask;
            let told = match row.kind == kind {
                true => differs | pattern.mask & row.variable == 0,
                false => differs & !row.variable != 0,
            };
            assert!(told, "fixed bits tell whether a slot reads a {kind:?}");
        }
    }
}

impl Dialect {
    /// How many constants these words read, if all are whole instructions, none reads a column
    /// beyond so many, and constants are read in their order; none otherwise.
    #[inline]
    pub(crate) fn count_whole(&self, n_columns: usize, slots: &[u64]) -> Option<usize> {
        match self.wide {
            Some(wide) => lanes::count_whole(wide, self, n_columns, slots),
            None => self.count_whole_narrow(n_columns, slots),
        }
    }

    /// Whether any of these slots of verified code works on words. Phrases work on numbers.
    pub(crate) fn is_on_words(&self, slots: &[u64]) -> bool {
        if let Some(wide) = self.wide {
            return lanes::is_on_words(wide, self, slots);
        }
        slots.iter().any(|&slot| self.works_on_words(slot))
    }

    /// Whether a slot of verified code works on words.
    pub(crate) fn works_on_words(&self, slot: u64) -> bool {
        self.checks.on_words[Places::of(self.tier).key(slot)] != 0 && !is_of_phrase(slot)
    }

    /// As [`Dialect::count_whole`], one word after the other.
    fn count_whole_narrow(&self, n_columns: usize, slots: &[u64]) -> Option<usize> {
        let (checks, places) = (&*self.checks, Places::of(self.tier));
        let (mut bad, mut n_constants) = (0, 0);
        for &slot in slots {
            let (key, index) = (places.key(slot), places.index(slot));
            let reads = checks.constant.fits(slot);
            let past = checks.column.fits(slot) & (index >= n_columns);
            let disorder = reads & (index != n_constants);
            let (template, fixed) = checks.of(key);
            bad |= (slot ^ template) & fixed | u64::from(past | disorder);
            n_constants += usize::from(reads);
        }
        (bad == 0).then_some(n_constants)
    }
}

#[cfg(test)]
mod tests {
    use opcodon_evo::Rng;

    use super::*;
    use crate::gene::{Gene, Opcode, Operand};

    /// Whether one word after the other is what some gene encodes to, with constants in order.
    fn reference(dialect: &Dialect, n_columns: usize, slots: &[u64]) -> Option<usize> {
        let mut n_constants = 0;
        for slot in slots {
            match dialect.decode(&[*slot])?.0.b {
                Operand::Column(index) if usize::from(index) >= n_columns => return None,
                Operand::Constant(index) if usize::from(index) != n_constants => return None,
                Operand::Constant(_) => n_constants += 1,
                Operand::Column(_) | Operand::Register(_) => {}
            }
        }
        Some(n_constants)
    }

    /// A random whole instruction; constants are numbered in turn.
    #[expect(clippy::cast_possible_truncation, reason = "at most 16")]
    fn instruction(rng: &mut Rng, dialect: &Dialect, n_constants: &mut u8) -> u64 {
        loop {
            let opcode = Opcode::ALL[rng.below(Opcode::ALL.len())];
            let [kind, a, b, dst] = [3, 16, 16, 16].map(|n| rng.below(n) as u8);
            let operand = match kind {
                0 => Operand::Register(b),
                1 => Operand::Column(b % 5),
                _ => Operand::Constant(*n_constants),
            };
            let gene = Gene {
                opcode,
                dst,
                a,
                b: operand,
            };
            if let Some(slots) = dialect.encode(gene)
                && let [slot] = *slots
            {
                *n_constants += u8::from(kind == 2);
                return slot;
            }
        }
    }

    #[test]
    fn words_pass_as_one_by_one_they_do() {
        let mut rng = Rng::new(41, 1);
        let mut passed = 0;
        for tier in Tier::ALL {
            let dialect = Dialect::of(tier);
            for _ in 0..100_000 {
                let (n, mut n_constants) = (rng.below(80), 0);
                let slot = |_| instruction(&mut rng, dialect, &mut n_constants);
                let mut slots: Vec<u64> = (0..n).map(slot).collect();
                if n > 0 && rng.bool(0.8) {
                    let k = rng.below(n);
                    match rng.below(6) {
                        0 => slots[k] ^= 1 << rng.below(64),
                        1 => slots[k] = rng.u64(),
                        2 => slots[k] = [0, u64::MAX][rng.below(2)],
                        3 => slots.swap(k, n - 1),
                        4 => slots[k] ^= rng.u64() & rng.u64() & rng.u64() & rng.u64(),
                        _ => slots[k] = slots[k].rotate_left(8),
                    }
                }
                let expected = reference(dialect, 4, &slots);
                assert_eq!(dialect.count_whole(4, &slots), expected, "{slots:x?}");
                assert_eq!(
                    dialect.count_whole_narrow(4, &slots),
                    expected,
                    "{slots:x?}"
                );
                if expected.is_some() {
                    passed += 1;
                    let works =
                        |slot: &u64| dialect.decode(&[*slot]).unwrap().0.opcode.is_on_words();
                    assert_eq!(dialect.is_on_words(&slots), slots.iter().any(works));
                    // Most of these do; of one alone it is seen which.
                    for slot in &slots {
                        assert_eq!(dialect.is_on_words(&[*slot]), works(slot));
                        assert_eq!(dialect.works_on_words(*slot), works(slot));
                    }
                }
            }
        }
        assert!((10_000..190_000).contains(&passed), "{passed} passed");
    }

    /// Each key's words differ from its template unless they are whole instructions.
    #[test]
    fn a_key_without_an_instruction_lets_no_word_pass() {
        for tier in Tier::ALL {
            let (dialect, places) = (Dialect::of(tier), Places::of(tier));
            for key in 0..N_KEYS {
                let (template, fixed) = dialect.checks.of(key);
                if fixed == u64::MAX {
                    assert_ne!(places.key(template), key);
                } else {
                    assert!(dialect.decode(&[template]).is_some(), "{template:x}");
                }
            }
        }
    }
}
