//! What random genes are made of.

use opcodon_evo::Rng;

use crate::code::Code;
use crate::gene::{Domain, Gene, MAX_INDEX, Opcode, Operand};
use crate::{McodeError, Tier};

/// What random genes are made of: operations, registers, columns and constants.
#[derive(Clone, Debug, PartialEq)]
pub struct Repertoire {
    tier: Tier,
    n_columns: usize,
    n_registers: u8,
    opcodes: Vec<Opcode>,
    /// Share of constants among operands that are not registers.
    constants: f64,
    /// Random constants are uniform between these.
    range: (f64, f64),
    domain: Domain,
}

impl Repertoire {
    /// The four basic operations over so many columns, with all registers of the tier.
    ///
    /// # Errors
    /// If there are no columns or more than 256.
    pub fn new(tier: Tier, n_columns: usize) -> Result<Repertoire, McodeError> {
        if !(1..=MAX_INDEX).contains(&n_columns) {
            return Err(McodeError::Range {
                what: "the number of columns",
                found: n_columns,
                low: 1,
                high: MAX_INDEX,
            });
        }
        Ok(Repertoire {
            tier,
            n_columns,
            n_registers: tier.n_registers(),
            opcodes: vec![Opcode::Add, Opcode::Sub, Opcode::Mul, Opcode::Div],
            constants: 0.3,
            range: (-5.0, 5.0),
            domain: Domain::Numbers,
        })
    }

    /// Operations on bits over so many columns; constants are all zeros or all ones.
    ///
    /// # Errors
    /// If there are no columns or more than 256.
    pub fn boolean(tier: Tier, n_columns: usize) -> Result<Repertoire, McodeError> {
        Ok(Repertoire {
            opcodes: vec![Opcode::And, Opcode::Or, Opcode::Xor, Opcode::Less],
            constants: 0.05,
            domain: Domain::Bits,
            ..Repertoire::new(tier, n_columns)?
        })
    }

    /// Operations on integers, and on their bits, over so many columns: all that the tier has but
    /// choices. Constants are small, or such as bits are counted and masked with.
    ///
    /// # Errors
    /// If there are no columns or more than 256.
    pub fn integers(tier: Tier, n_columns: usize) -> Result<Repertoire, McodeError> {
        let all = Opcode::ALL.iter().copied();
        let usual = |opcode: &Opcode| opcode.is_on_words() && *opcode != Opcode::If;
        let all: Vec<Opcode> = all.filter(usual).collect();
        let words = Repertoire {
            domain: Domain::Integers,
            ..Repertoire::new(tier, n_columns)?
        };
        Ok(words.opcodes(&all))
    }

    /// With these operations, each as likely as the others. [`Opcode::Load`] is passed over, since
    /// loads are made where they are needed, and so are operations that the tier lacks. Without any operation left, those of before stay.
    #[must_use]
    pub fn opcodes(mut self, opcodes: &[Opcode]) -> Repertoire {
        let operations = opcodes
            .iter()
            .copied()
            .filter(|&opcode| opcode != Opcode::Load && opcode.is_of(self.tier));
        let operations: Vec<_> = operations.collect();
        if !operations.is_empty() {
            self.opcodes = operations;
        }
        self
    }

    /// With so many registers in linear genomes.
    ///
    /// # Errors
    /// If there are none, or more than the tier has.
    pub fn registers(mut self, n_registers: u8) -> Result<Repertoire, McodeError> {
        let high = self.tier.n_registers();
        if !(1..=high).contains(&n_registers) {
            return Err(McodeError::Range {
                what: "the number of registers",
                found: usize::from(n_registers),
                low: 1,
                high: usize::from(high),
            });
        }
        self.n_registers = n_registers;
        Ok(self)
    }

    /// With this share of constants among leaves, uniform in a range.
    #[must_use]
    pub fn constants(mut self, share: f64, low: f64, high: f64) -> Repertoire {
        self.constants = share;
        self.range = (low, high);
        self
    }

    /// Whether its genes may be put into this code.
    ///
    /// # Errors
    /// If the code is of another tier, for another number of columns, or has operations on bits
    /// and the repertoire is for numbers.
    pub fn require(&self, code: &Code) -> Result<(), McodeError> {
        code.require_same_kind(&Code::empty(self.tier, self.n_columns))?;
        if !self.domain.is_words() && code.is_on_words() {
            return Err(McodeError::Domain { bits: true });
        }
        Ok(())
    }

    /// With the operations of these names.
    ///
    /// # Errors
    /// If there are none, or one is unknown or not of the tier.
    pub fn operators<S: AsRef<str>>(self, names: &[S]) -> Result<Repertoire, McodeError> {
        let opcode = |name: &S| {
            let name = name.as_ref();
            let of_kind = |opcode: &Opcode| self.domain.has(*opcode);
            match Opcode::from_name(name).filter(of_kind) {
                Some(opcode) if opcode.is_of(self.tier) => Ok(opcode),
                Some(opcode) => Err(McodeError::NotOfTier {
                    name: opcode.name(),
                    tier: self.tier,
                }),
                None => Err(McodeError::UnknownOperation {
                    name: name.to_owned(),
                    domain: self.domain,
                }),
            }
        };
        let opcodes = names.iter().map(opcode).collect::<Result<Vec<_>, _>>()?;
        if opcodes.is_empty() {
            return Err(McodeError::UnknownOperation {
                name: String::new(),
                domain: self.domain,
            });
        }
        Ok(self.opcodes(&opcodes))
    }

    /// The names of its operations.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.opcodes.iter().map(|opcode| opcode.name())
    }

    /// The tier.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Number of columns.
    #[must_use]
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// What registers hold.
    #[must_use]
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// Operands that an operation has at most.
    pub(crate) fn max_arity(&self) -> usize {
        let arities = self.opcodes.iter().map(|opcode| opcode.arity());
        arities.max().unwrap_or(0)
    }

    /// Its operations.
    pub(crate) fn all_opcodes(&self) -> &[Opcode] {
        &self.opcodes
    }

    /// Registers of linear genomes.
    pub(crate) fn n_registers(&self) -> u8 {
        self.n_registers
    }

    pub(crate) fn opcode(&self, rng: &mut Rng) -> Opcode {
        self.opcodes[rng.below(self.opcodes.len())]
    }

    /// Another operation with as many operands, if there is one.
    pub(crate) fn opcode_like(&self, rng: &mut Rng, opcode: Opcode) -> Option<Opcode> {
        let start = rng.below(self.opcodes.len());
        let (tail, head) = self.opcodes.split_at(start);
        let mut turned = head.iter().chain(tail).copied();
        turned.find(|other| other.arity() == opcode.arity() && *other != opcode)
    }

    #[expect(clippy::cast_possible_truncation, reason = "below 16")]
    pub(crate) fn register(&self, rng: &mut Rng) -> u8 {
        rng.below(usize::from(self.n_registers)) as u8
    }

    /// A column, or a constant whose number is given when it is put in place.
    #[expect(clippy::cast_possible_truncation, reason = "at most 256 columns")]
    pub(crate) fn leaf(&self, rng: &mut Rng) -> Operand {
        if rng.bool(self.constants) {
            Operand::Constant(0)
        } else {
            Operand::Column(rng.below(self.n_columns) as u8)
        }
    }

    pub(crate) fn value(&self, rng: &mut Rng) -> f64 {
        match self.domain {
            Domain::Numbers => rng.uniform(self.range.0, self.range.1),
            Domain::Bits => f64::from_bits(0_u64.wrapping_sub(u64::from(rng.u32() & 1))),
            Domain::Integers => f64::from_bits(integer(rng)),
        }
    }

    /// A constant for a gene, if it reads one.
    pub(crate) fn value_of(&self, rng: &mut Rng, gene: Gene) -> f64 {
        match gene.b {
            Operand::Constant(_) => self.value(rng),
            Operand::Register(_) | Operand::Column(_) => 0.0,
        }
    }

    /// A constant that is a little different.
    pub(crate) fn near(&self, rng: &mut Rng, constant: f64) -> f64 {
        let bits = constant.to_bits();
        match self.domain {
            Domain::Numbers => constant + rng.normal() * (0.1 + 0.1 * constant.abs()),
            Domain::Bits => f64::from_bits(!bits),
            Domain::Integers => f64::from_bits(match rng.below(4) {
                0 => bits.wrapping_add(1),
                1 => bits.wrapping_sub(1),
                2 => bits ^ 1 << rng.below(64),
                _ => integer(rng),
            }),
        }
    }

    /// The last operand of a gene of a linear genome: half of them registers.
    pub(crate) fn operand(&self, rng: &mut Rng, opcode: Opcode) -> Operand {
        if !opcode.takes_memory(self.tier) || rng.bool(0.5) {
            Operand::Register(self.register(rng))
        } else {
            self.leaf(rng)
        }
    }

    /// A random gene of a linear genome.
    pub(crate) fn gene(&self, rng: &mut Rng) -> Gene {
        let opcode = self.opcode(rng);
        Gene {
            opcode,
            dst: self.register(rng),
            a: if opcode.arity() >= 2 {
                self.register(rng)
            } else {
                0
            },
            b: self.operand(rng, opcode),
        }
    }
}

/// A random constant of programs on integers: a small number of either sign, a power of two, or a
/// mask whose runs of ones and zeros are as long as each other.
fn integer(rng: &mut Rng) -> u64 {
    let power = 1_u64 << rng.below(64);
    match rng.below(4) {
        0 | 1 => (rng.below(17) as u64).wrapping_sub(8),
        2 => power,
        _ => {
            // Of runs of 1, 2, 4, … 32 ones.
            let run = 1_u32 << rng.below(6);
            u64::MAX / ((1_u64 << run) + 1)
        }
    }
}
