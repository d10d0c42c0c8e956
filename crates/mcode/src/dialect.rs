//! Dialects: all instructions of a tier, and genes to slots and back.
//!
//! The table is made once a tier by asking `opcodon-asm` for each operation with each kind of
//! operand, and the result split into a template and its variable fields. An operation that no
//! instruction means becomes a phrase: an instruction into the scratch register, a test into a
//! mask, and a blend of both.
//!
//! Reading a slot is the inner loop of everything: verifying, finding introns, measuring formulas.
//! What kind of instruction comes next in a genome cannot be predicted, so a slot is looked up by
//! a key and its fields are cut out at fixed bits, without a branch.
//!
//! # Invariant
//! [`Dialect::encode`] gives allowed slots only, and [`Dialect::decode`] takes those and no others.

mod forms;
mod whole;

use std::hint::select_unpredictable;
use std::sync::LazyLock;

use opcodon_asm::AsmError;
use opcodon_codemem::cpu::Avx512;

use crate::gene::{Gene, Opcode, Operand};
use crate::slot::{
    EVEX_REGISTER, Fields, HEAD_BIT, INNER, Kind, Layout, Role, Row, Slots, Values, WHOLE,
};
use crate::{Tier, lanes};
pub(crate) use forms::{COLUMN_BIAS, CONSTANT_BIAS, Reserved};
use forms::{Phrase, arithmetic, phrase};
use whole::Checks;
pub(crate) use whole::{COLUMN, CONSTANT, IS_REGISTER, Places};

/// Keys of the index from a slot to its row: operand in a register or not; for registers head or
/// whole, else the lowest bit of ModRM, which tells rdi from rsi; opcode.
pub(crate) const N_KEYS: usize = 1 << 10;
/// Rows of a table; what has no row has the last one, which fits no instruction.
const N_ROWS: usize = NO_ROW as usize + 1;
const NO_ROW: u8 = 63;

/// What a slot does to registers, whatever it computes: one place is written, up to three are read.
/// An absent operand is [`NOTHING`], one in memory [`MEMORY`]. The slots of a phrase hand their
/// value on through [`SCRATCH`] and [`MASK`], so that none of them needs to be looked at with the
/// others.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Step(u64);

/// Places of a [`Step`] beyond the registers.
pub(crate) const SCRATCH: u8 = 16;
const MASK: u8 = 17;
const MEMORY: u8 = 18;
pub(crate) const NOTHING: u8 = 19;
/// Registers and places.
pub(crate) const N_PLACES: usize = 20;

impl Step {
    #[inline(always)]
    fn new(fields: u64, flow: Flow) -> Step {
        Step(fields & flow >> 32 | flow & 0xffff_ffff)
    }

    /// The place that is written.
    #[inline(always)]
    pub(crate) fn dst(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    /// The places that are read.
    #[inline(always)]
    pub(crate) fn operands(self) -> [u8; 3] {
        let [_, a, b, c, ..] = self.0.to_le_bytes();
        [a, b, c & 0x7f]
    }

    /// 1 for an operation; 0 for a load, and for what only hands on.
    #[inline(always)]
    pub(crate) fn operations(self) -> u8 {
        self.0.to_le_bytes()[3] >> 7
    }

    /// The place that is written in the lower half, those that are read in the upper half: a bit
    /// each.
    #[inline(always)]
    pub(crate) fn footprint(self) -> u64 {
        let [a, b, c] = self.operands();
        1 << self.dst() | (1 << a | 1 << b | 1 << c) << 32
    }

    /// Whether it is a load.
    #[inline(always)]
    pub(crate) fn is_load(self) -> bool {
        let [_, _, b, c, ..] = self.0.to_le_bytes();
        b == MEMORY && c >> 7 == 0
    }
}

/// Slots whose steps are looked at together.
pub(crate) const MANY: usize = 64;

/// How the fields of a slot become its [`Step`]: in the upper half which fields count, in the lower
/// half what stands in for the others.
type Flow = u64;

/// Of each place, the largest register that its field names, or what stands for it.
fn flow(places: [Result<u8, u8>; 4], operates: bool) -> Flow {
    let fields = u32::from_le_bytes(places.map(|place| place.unwrap_or(0)));
    let fixed = u32::from_le_bytes(places.map(|place| place.err().unwrap_or(0)));
    u64::from(fields) << 32 | u64::from(fixed | u32::from(operates) << 31)
}

/// All instructions of a tier.
#[derive(Debug)]
pub(crate) struct Dialect {
    pub(crate) tier: Tier,
    rows: [Row; N_ROWS],
    n_rows: u8,
    /// What whole instructions are compared with; what is none is refused.
    pub(crate) checks: Box<Checks>,
    /// How a slot that reads a constant is told from all others.
    pub(crate) constant: Pattern,
    /// Whether eight slots can be looked at together.
    pub(crate) wide: Option<Avx512>,
    /// Row by key.
    index: Box<[u8; N_KEYS]>,
    /// What slots do to registers, by key, inner slots of phrases too.
    flows: Box<[Flow; N_KEYS]>,
    /// Row by opcode and kind of operand.
    by_gene: Vec<[u8; 3]>,
    /// Phrase by opcode.
    phrases: Vec<Option<Phrase>>,
}

/// Bits by which slots that read a column, or a constant, are told, and the place of its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern {
    pub(crate) mask: u64,
    pub(crate) bits: u64,
    /// Where the number is. Adding to it there is adding modulo 256: it is the topmost byte, or it
    /// stays below 256.
    pub(crate) shift: u8,
    /// What is there for number 0.
    zero: u64,
}

static DIALECTS: LazyLock<[Dialect; 2]> = LazyLock::new(|| {
    Tier::ALL.map(|tier| Dialect::new(tier).expect("the repertoire has encodings in every tier"))
});

impl Dialect {
    #[inline]
    pub(crate) fn of(tier: Tier) -> &'static Dialect {
        &DIALECTS[tier as usize]
    }

    fn new(tier: Tier) -> Result<Dialect, AsmError> {
        let pattern = |kind| Pattern::new(tier, kind);
        let [column, constant] = [pattern(Kind::Column)?, pattern(Kind::Constant)?];
        let mut dialect = Dialect {
            tier,
            rows: [no_row(); N_ROWS],
            n_rows: 0,
            constant,
            wide: Avx512::new(),
            index: Box::new([NO_ROW; N_KEYS]),
            checks: Box::new(Checks::new(tier, column, constant)),
            flows: Box::new([flow([Err(NOTHING); 4], false); N_KEYS]),
            by_gene: vec![[NO_ROW; 3]; Opcode::ALL.len()],
            phrases: vec![None; Opcode::ALL.len()],
        };
        for &opcode in Opcode::ALL {
            for kind in [Kind::Register, Kind::Column, Kind::Constant] {
                let allowed = opcode.is_of(tier)
                    && match kind {
                        Kind::Register => opcode.takes_register(),
                        Kind::Column | Kind::Constant => opcode.takes_memory(tier),
                    };
                if allowed {
                    let row = arithmetic(tier, opcode, kind)?;
                    dialect.by_gene[opcode as usize][kind as usize] = dialect.insert(row);
                }
            }
            if opcode.n_slots() > 1 {
                let phrase = phrase(tier, opcode)?;
                dialect.insert_inner(&phrase);
                dialect.phrases[opcode as usize] = Some(phrase);
            }
        }
        Ok(dialect)
    }

    fn insert(&mut self, row: Row) -> u8 {
        let number = self.n_rows;
        assert!(number < NO_ROW, "the table of rows is full");
        let register = self.tier.n_registers() - 1;
        let place = |is: bool, other| if is { Ok(register) } else { Err(other) };
        let arity = row.opcode.arity();
        let flow = flow(
            [
                place(row.role == Role::Whole, SCRATCH),
                place(arity >= 2, NOTHING),
                place(row.kind == Kind::Register, MEMORY),
                place(arity == 3, NOTHING),
            ],
            row.opcode != Opcode::Load,
        );
        // Where a register's operation has the layout of others' memory, the lowest bit of the
        // last operand is part of the key.
        for last in [0, 1].map(|b| b & row.present.b) {
            let values = Values {
                b: last,
                ..Values::default()
            };
            let key = self.split(row.encode(values)).0;
            let taken = self.index[key];
            assert!(taken == NO_ROW || taken == number, "two rows share a key");
            self.index[key] = number;
            self.flows[key] = flow;
        }
        self.checks.allow(self.tier, &row);
        self.rows[usize::from(number)] = row;
        self.n_rows += 1;
        number
    }

    /// The inner slots of a phrase, of which all have the same two.
    fn insert_inner(&mut self, phrase: &Phrase) {
        let register = self.tier.n_registers() - 1;
        // The lowest bit of an operand's register is part of the key of some.
        for last in [0, 1] {
            let values = Values {
                b: last,
                ..Values::default()
            };
            let key = |row: &Row| self.split(row.encode(values)).0;
            let [test, blend] = [key(&phrase.test), key(&phrase.blend)];
            let nothing = Err(NOTHING);
            self.flows[test] = flow([Err(MASK), nothing, Err(SCRATCH), nothing], false);
            self.flows[blend] = flow([Ok(register), nothing, Err(MASK), nothing], false);
        }
    }

    /// The key of a slot, and its operand fields wherever its layout may have them: what the rows
    /// say one by one, without a branch or a shift that depends on the row.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "fields are cut to a byte")]
    fn split(&self, slot: u64) -> (usize, Values) {
        let (key, word) = match self.tier {
            Tier::Avx512 => evex_key(slot),
            Tier::Avx2 => vex_key(slot),
        };
        let fields = match self.tier {
            Tier::Avx512 => evex_fields(word),
            Tier::Avx2 => vex_fields(word),
        };
        let [dst, a, b, _] = (fields as u32).to_le_bytes();
        let index = match self.tier {
            Tier::Avx512 => evex_index(word),
            Tier::Avx2 => vex_index(slot),
        } as u8;
        (place(key), Values { dst, a, b, index })
    }

    /// What a slot of verified code does to registers.
    #[inline]
    pub(crate) fn step(&self, slot: u64) -> Step {
        let mut step = [Step(0)];
        match self.tier {
            Tier::Avx512 => evex_steps(&self.flows, &[slot], &mut step, |step| step),
            Tier::Avx2 => vex_steps(&self.flows, &[slot], &mut step, |step| step),
        }
        step[0]
    }

    /// What is asked of the step of each slot, of which there are no more than answers.
    #[inline]
    pub(crate) fn each_step<T>(
        &self,
        slots: &[u64],
        answers: &mut [T; MANY],
        ask: impl Fn(Step) -> T,
    ) {
        let flows = &*self.flows;
        match (self.wide, self.tier) {
            (Some(wide), Tier::Avx512) => {
                lanes::each_eight(wide, slots, answers, |slots, answers| {
                    evex_steps(flows, slots, answers, &ask);
                });
            }
            (Some(wide), Tier::Avx2) => {
                lanes::each_eight(wide, slots, answers, |slots, answers| {
                    vex_steps(flows, slots, answers, &ask);
                });
            }
            (None, Tier::Avx512) => evex_steps(flows, slots, answers, ask),
            (None, Tier::Avx2) => vex_steps(flows, slots, answers, ask),
        }
    }

    /// The row to which a slot belongs if to any (a row that fits nothing for other words and the
    /// inner slots of phrases), its operands, and the bits in which it is not of this row. There
    /// is no branch on what the slot is: what comes next in a genome cannot be predicted.
    #[inline(always)]
    pub(crate) fn read(&self, slot: u64) -> (&Row, Values, u64) {
        let (key, values) = self.split(slot);
        let row = &self.rows[usize::from(self.index[key]) % N_ROWS];
        let values = Values {
            dst: values.dst & row.present.dst,
            a: values.a & row.present.a,
            b: values.b & row.present.b,
            index: values.index & row.present.index,
        };
        (row, values, (slot ^ row.template) & !row.variable)
    }

    /// The number of the first constant that slots of verified code read.
    #[inline]
    pub(crate) fn first_constant(&self, slots: &[u64]) -> Option<usize> {
        let slot = slots.iter().find(|slot| self.constant.fits(**slot))?;
        Some(usize::from(self.split(*slot).1.index))
    }

    /// Appends the bytes of those slots whose bits are set.
    #[inline]
    pub(crate) fn keep(&self, slots: &[u64], bits: &[u64], kept: &mut Vec<u8>) {
        if let Some(wide) = self.wide {
            return lanes::keep(wide, slots, bits, kept);
        }
        for (slots, bits) in slots.chunks(MANY).zip(bits) {
            let chosen = |k: &usize| bits >> k & 1 != 0;
            let chosen = (0..slots.len()).filter(chosen).map(|k| slots[k]);
            kept.extend(chosen.flat_map(u64::to_le_bytes));
        }
    }

    /// As many of eight words as there are, and zeros.
    #[inline]
    pub(crate) fn first_eight(&self, words: &[u64]) -> [u64; 8] {
        if let Some(wide) = self.wide {
            return lanes::first_eight(wide, words);
        }
        let mut eight = [0; 8];
        eight[..words.len()].copy_from_slice(words);
        eight
    }

    /// Adds to the numbers of the constants that slots of verified code read, modulo 256.
    #[inline]
    pub(crate) fn renumber(&self, slots: &mut [u64], by: usize) {
        let by = (by as u64) << self.constant.shift;
        if let Some(wide) = self.wide {
            return lanes::add(wide, self.constant, slots, by);
        }
        for slot in slots {
            let by = select_unpredictable(self.constant.fits(*slot), by, 0);
            *slot = slot.wrapping_add(by);
        }
    }

    /// A slot of verified code with other registers, and the operation that is given back; `None`
    /// if either instruction is part of a phrase, or the operation does not take such an operand.
    /// The last operand stays, and registers are below the limit.
    #[inline]
    pub(crate) fn altered(
        &self,
        slot: u64,
        change: impl FnOnce(Opcode, &mut Values) -> Opcode,
    ) -> Option<u64> {
        let (row, mut values, _) = self.read(slot);
        let opcode = change(row.opcode, &mut values);
        let number = self.by_gene[opcode as usize][row.kind as usize];
        let new = &self.rows[usize::from(number) % N_ROWS];
        let is_whole = row.role == Role::Whole && new.role == Role::Whole;
        is_whole.then(|| new.encode(values))
    }

    /// The slots of a gene; `None` if it has no encoding: an operand of a kind that the operation
    /// does not take, or a register beyond the tier's.
    pub(crate) fn encode(&self, gene: Gene) -> Option<Slots> {
        let limit = self.tier.n_registers();
        let kind = match gene.b {
            Operand::Register(number) if number >= limit => return None,
            Operand::Register(_) => Kind::Register,
            Operand::Column(_) => Kind::Column,
            Operand::Constant(_) => Kind::Constant,
        };
        if gene.dst >= limit || gene.a >= limit {
            return None;
        }
        let number = gene.b.number();
        let values = Values {
            dst: gene.dst,
            a: gene.a,
            b: number,
            index: number,
        };
        let number = self.by_gene[gene.opcode as usize][kind as usize];
        let row = &self.rows[usize::from(number) % N_ROWS];
        (number != NO_ROW).then(|| self.slots(row, values))
    }

    fn slots(&self, row: &Row, values: Values) -> Slots {
        let head = row.encode(values);
        let Some(phrase) = &self.phrases[row.opcode as usize] else {
            return Slots {
                words: [head, 0, 0],
                len: 1,
            };
        };
        let tested = Values {
            b: if phrase.tests_first {
                values.a
            } else {
                values.b
            },
            ..values
        };
        let blended = Values {
            b: values.a,
            ..values
        };
        Slots {
            words: [
                head,
                phrase.test.encode(tested),
                phrase.blend.encode(blended),
            ],
            len: 3,
        }
    }

    /// The gene that begins at the first of these slots, and its length; `None` if they are not
    /// exactly what [`Dialect::encode`] gives for some gene.
    pub(crate) fn decode(&self, slots: &[u64]) -> Option<(Gene, usize)> {
        let (row, mut values, rest) = self.read(*slots.first()?);
        if rest != 0 || row.role == Role::Inner {
            return None;
        }
        let gene = |values: Values| Gene {
            opcode: row.opcode,
            dst: values.dst,
            a: values.a,
            b: row.operand(values),
        };
        let Some(phrase) = &self.phrases[row.opcode as usize] else {
            // What differs from the template in operand fields only is what they encode to.
            return Some((gene(values), 1));
        };
        values.dst = phrase.blend.decode(*slots.get(2)?).0.dst;
        let gene = gene(values);
        let encoded = self.encode(gene)?;
        let same = slots.get(..encoded.len())? == &*encoded;
        same.then_some((gene, encoded.len()))
    }
}

/// The place of a key in a table.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a key has ten bits")]
fn place(key: u64) -> usize {
    key as usize % N_KEYS
}

#[inline(always)]
fn evex_steps<T>(
    flows: &[Flow; N_KEYS],
    slots: &[u64],
    answers: &mut [T],
    ask: impl Fn(Step) -> T,
) {
    for (answer, &slot) in answers.iter_mut().zip(slots) {
        let (key, word) = evex_key(slot);
        *answer = ask(Step::new(evex_fields(word), flows[place(key)]));
    }
}

#[inline(always)]
fn vex_steps<T>(flows: &[Flow; N_KEYS], slots: &[u64], answers: &mut [T], ask: impl Fn(Step) -> T) {
    for (answer, &slot) in answers.iter_mut().zip(slots) {
        let (key, word) = vex_key(slot);
        *answer = ask(Step::new(vex_fields(word), flows[place(key)]));
    }
}

/// The key of an EVEX slot, and the slot from P0 on.
#[inline(always)]
fn evex_key(slot: u64) -> (u64, u64) {
    let is_register = slot >> 8 & 0xff == u64::from(WHOLE);
    let word = if is_register { slot >> 24 } else { slot >> 16 };
    let head = 2 | slot >> HEAD_BIT & 1;
    let deciding = if is_register { head } else { word >> 32 & 1 };
    (deciding << 8 | word >> 24 & 0xff, word)
}

/// Destination and operands of an EVEX slot from P0 on, a byte each.
#[inline(always)]
fn evex_fields(word: u64) -> u64 {
    let dst = word >> 35 & 7 | (!word >> 7 & 1) << 3;
    let a = !word >> 11 & 15;
    let b = word >> 32 & 7 | (!word >> 5 & 1) << 3;
    dst | a << 8 | b << 16 | dst << 24
}

/// The column or constant of an EVEX slot from P0 on, if it reads one.
#[inline(always)]
fn evex_index(word: u64) -> u64 {
    word >> 40 & 0xff ^ 0x80
}

/// The column or constant of a VEX slot, if it reads one.
#[inline(always)]
fn vex_index(slot: u64) -> u64 {
    slot >> 37 & 0xff
}

/// The key of a VEX slot, and the slot from the byte on that ends the bits of the first operand.
#[inline(always)]
fn vex_key(slot: u64) -> (u64, u64) {
    let is_memory = slot & 0xff == 0xc5;
    let is_inner = slot & 0xff == u64::from(INNER);
    let register = if is_inner { slot >> 24 } else { slot >> 32 };
    let word = if is_memory { slot } else { register };
    let head = 2 | slot >> HEAD_BIT & 1;
    let deciding = if is_memory { word >> 24 & 1 } else { head };
    (deciding << 8 | word >> 16 & 0xff, word)
}

/// Destination and operands of a VEX slot, a byte each.
#[inline(always)]
fn vex_fields(word: u64) -> u64 {
    let dst = word >> 27 & 7;
    dst | (!word >> 11 & 7) << 8 | (word >> 24 & 7) << 16 | dst << 24
}

/// The row that fits nothing.
fn no_row() -> Row {
    let none = Fields {
        dst: false,
        a: false,
        b: false,
        index: false,
    };
    Row::new(
        Opcode::Load,
        Role::Inner,
        Kind::Register,
        EVEX_REGISTER,
        none,
        0,
    )
}

impl Pattern {
    /// Padding, addressing mode and base register are what two different instructions with such an
    /// operand have in common.
    fn new(tier: Tier, kind: Kind) -> Result<Pattern, AsmError> {
        let row = arithmetic(tier, Opcode::Add, kind)?;
        let Layout {
            padding, rm, index, ..
        } = row.layout;
        let mask = 0xff | 0xff << (8 * padding) | 0xc7 << rm;
        Ok(Pattern {
            mask,
            bits: row.template & mask,
            shift: index,
            zero: row.template & 0xff << index,
        })
    }

    /// The bits that hold the number.
    #[inline(always)]
    pub(crate) fn field(self) -> u64 {
        0xff << self.shift
    }

    /// A number in its place, to which others may be added there.
    #[inline(always)]
    pub(crate) fn numbered(self, number: u64) -> u64 {
        self.zero.wrapping_add(number << self.shift)
    }

    /// The number in a slot that has one.
    #[inline(always)]
    pub(crate) fn number(self, slot: u64) -> usize {
        place(slot.wrapping_sub(self.zero) >> self.shift & 0xff)
    }

    /// Whether a slot of verified code has such an operand.
    #[inline(always)]
    pub(crate) fn fits(self, slot: u64) -> bool {
        slot & self.mask == self.bits
    }
}

#[cfg(test)]
mod tests {
    use opcodon_evo::Rng;

    use super::*;
    use crate::slot::is_inner;
    use crate::{LinearCode, Repertoire};

    #[test]
    fn eight_slots_at_a_time_are_read_and_kept_as_one_by_one() {
        let mut rng = Rng::new(43, 1);
        for tier in Tier::ALL {
            let dialect = Dialect::of(tier);
            let narrow = Dialect {
                wide: None,
                ..Dialect::new(tier).unwrap()
            };
            let repertoire = Repertoire::new(tier, 5).unwrap();
            let repertoire = repertoire.opcodes(&[Opcode::Add, Opcode::Min, Opcode::Sqrt]);
            for _ in 0..2000 {
                let n_slots = rng.range(1, 200);
                let code = LinearCode::random(&mut rng, &repertoire, n_slots);
                let slots = code.code().slots();
                let bits: Vec<u64> = slots.chunks(MANY).map(|_| rng.u64()).collect();
                let [kept, expected] = [dialect, &narrow].map(|dialect| {
                    let mut bytes = vec![7; 3];
                    dialect.keep(slots, &bits, &mut bytes);
                    bytes
                });
                assert_eq!(kept, expected);
                for slots in slots.chunks(MANY) {
                    let [found, expected] = [dialect, &narrow].map(|dialect| {
                        let mut footprints = [0; MANY];
                        dialect.each_step(slots, &mut footprints, Step::footprint);
                        footprints[..slots.len()].to_vec()
                    });
                    assert_eq!(found, expected);
                    let one_by_one = slots.iter().map(|slot| dialect.step(*slot).footprint());
                    assert_eq!(found, one_by_one.collect::<Vec<_>>());
                }
                let few = &slots[..slots.len().min(8)];
                assert_eq!(dialect.first_eight(few), narrow.first_eight(few));
            }
        }
    }

    #[test]
    fn reading_a_slot_agrees_with_its_row() {
        for dialect in DIALECTS.iter() {
            let rows = &dialect.rows[..usize::from(dialect.n_rows)];
            let limit = dialect.tier.n_registers() - 1;
            for (number, row) in rows.iter().enumerate() {
                for k in 0..=255_u8 {
                    let values = Values {
                        dst: k & limit & row.present.dst,
                        a: (k >> 1) & limit & row.present.a,
                        b: (k >> 4) & limit & row.present.b,
                        index: k & row.present.index,
                    };
                    let slot = row.encode(values);
                    assert_eq!(row.decode(slot), (values, 0));
                    let (found, read, rest) = dialect.read(slot);
                    assert_eq!((read, rest), (values, 0), "{slot:x}");
                    assert!(std::ptr::eq(found, &dialect.rows[number]));
                    let number = (row.kind == Kind::Constant).then_some(usize::from(values.index));
                    assert_eq!(dialect.first_constant(&[slot]), number);
                }
            }
            for opcode in [Opcode::Min, Opcode::Max, Opcode::Pdiv] {
                let b = Operand::Column(0);
                let gene = |b| Gene {
                    opcode,
                    dst: 1,
                    a: 2,
                    b,
                };
                assert_eq!(dialect.encode(gene(b)), None);
                let slots = dialect.encode(gene(Operand::Register(3))).unwrap();
                assert_eq!(
                    dialect.decode(&slots),
                    Some((gene(Operand::Register(3)), 3))
                );
                assert_eq!(slots.words.map(is_inner), [false, true, true]);
            }
        }
    }
}
