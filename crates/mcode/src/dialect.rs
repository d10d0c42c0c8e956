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

use std::hint::select_unpredictable;
use std::sync::LazyLock;

use opcodon_asm::{AsmError, Assembler, Evex, K2, Mem, NONE, Reg, Rm, Vreg, Width, gpr, inst};

use crate::Tier;
use crate::gene::{Gene, Opcode, Operand};
use crate::slot::{
    EVEX_MEMORY, EVEX_REGISTER, Fields, HEAD, HEAD_BIT, INNER, Kind, Layout, Role, Row, Slots,
    VEX_IMMEDIATE, VEX_MEMORY, VEX_REGISTER, Values, WHOLE, is_inner, padded,
};

/// Registers that only phrases and the code around a genome use. In AVX-512 they are registers
/// that the fields of a slot cannot express.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserved {
    pub(crate) accumulator: Vreg,
    pub(crate) scratch: Vreg,
    pub(crate) sign: Vreg,
    pub(crate) zero: Vreg,
    pub(crate) one: Vreg,
    /// Without mask registers, the mask of a phrase.
    pub(crate) mask: Vreg,
    /// Two more sums.
    pub(crate) square: Vreg,
    pub(crate) product: Vreg,
}

impl Reserved {
    pub(crate) fn of(tier: Tier) -> Reserved {
        let first = tier.n_registers();
        let register = |k| Vreg::new(first + k);
        Reserved {
            accumulator: register(0),
            scratch: register(1),
            sign: register(2),
            zero: register(3),
            one: register(4),
            mask: register(5),
            square: register(6),
            product: register(7),
        }
    }
}

/// The two slots of a phrase behind its head, and what of the head's operands they repeat.
#[derive(Clone, Copy, Debug)]
struct Phrase {
    test: Row,
    /// The test compares the first operand with itself, else the last with zero.
    tests_first: bool,
    blend: Row,
}

/// Keys of the index from a slot to its row: operand in a register or not; for registers head or
/// whole, else the lowest bit of ModRM, which tells rdi from rsi; opcode.
const N_KEYS: usize = 1 << 10;
/// Rows of a table; what has no row has the last one, which fits no instruction.
const N_ROWS: usize = NO_ROW as usize + 1;
const NO_ROW: u8 = 63;

/// What the verifier compares a whole instruction with, by key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    template: u64,
    /// Bits that must be the template's.
    fixed: u64,
    pub(crate) is_column: bool,
    pub(crate) is_constant: bool,
    /// There is no such instruction, or it is part of a phrase.
    is_refused: bool,
}

/// What is like no instruction.
const REFUSED: Check = Check {
    template: 0,
    fixed: 0,
    is_column: false,
    is_constant: false,
    is_refused: true,
};

/// Bits of [`Dialect::reads`]: a first operand, a register as last operand, an operation.
const READS_FIRST: u8 = 1;
const READS_LAST: u8 = 2;
const OPERATES: u8 = 4;

/// What a gene does to registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// Where it begins.
    pub(crate) start: usize,
    /// The register that it writes.
    pub(crate) dst: u8,
    /// Of these only what `reads` says has a meaning.
    values: Values,
    reads: u8,
}

impl Flow {
    /// The registers that it reads, one bit each.
    #[inline(always)]
    pub(crate) fn registers(self) -> u32 {
        let Values { a, b, .. } = self.values;
        u32::from(self.reads & READS_FIRST) << a | u32::from(self.reads >> 1 & 1) << b
    }

    /// The first operand of two.
    #[inline(always)]
    pub(crate) fn first(self) -> Option<u8> {
        (self.reads & READS_FIRST != 0).then_some(self.values.a)
    }

    /// The last operand, if it is a register.
    #[inline(always)]
    pub(crate) fn last(self) -> Option<u8> {
        (self.reads & READS_LAST != 0).then_some(self.values.b)
    }

    /// Whether it is more than a load.
    #[inline(always)]
    pub(crate) fn operates(self) -> bool {
        self.reads & OPERATES != 0
    }
}

/// All instructions of a tier.
#[derive(Debug)]
pub(crate) struct Dialect {
    pub(crate) tier: Tier,
    rows: [Row; N_ROWS],
    n_rows: u8,
    /// What whole instructions are compared with, by key; what is none is refused.
    checks: Box<[Check; N_KEYS]>,
    /// How a slot that reads a constant is told from all others.
    constant: Pattern,
    /// Row by key.
    index: Box<[u8; N_KEYS]>,
    /// What a row reads, by key: all that finding introns needs to know, in one byte.
    reads: Box<[u8; N_KEYS]>,
    /// Row by opcode and kind of operand.
    by_gene: Vec<[u8; 3]>,
    /// Phrase by opcode.
    phrases: Vec<Option<Phrase>>,
}

/// Bits by which slots that read a constant are told, and the place of its number.
#[derive(Clone, Copy, Debug)]
struct Pattern {
    mask: u64,
    bits: u64,
    /// Number 0, in place.
    origin: u64,
    shift: u8,
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
        let mut dialect = Dialect {
            tier,
            rows: [no_row(); N_ROWS],
            n_rows: 0,
            constant: Pattern::new(tier)?,
            index: Box::new([NO_ROW; N_KEYS]),
            checks: Box::new([REFUSED; N_KEYS]),
            reads: Box::new([0; N_KEYS]),
            by_gene: vec![[NO_ROW; 3]; Opcode::ALL.len()],
            phrases: vec![None; Opcode::ALL.len()],
        };
        for &opcode in Opcode::ALL {
            for kind in [Kind::Register, Kind::Column, Kind::Constant] {
                let allowed = match kind {
                    Kind::Register => opcode.takes_register(),
                    Kind::Column | Kind::Constant => opcode.takes_memory(),
                };
                if allowed {
                    let row = arithmetic(tier, opcode, kind)?;
                    dialect.by_gene[opcode as usize][kind as usize] = dialect.insert(row);
                }
            }
            if opcode.n_slots() > 1 {
                dialect.phrases[opcode as usize] = Some(phrase(tier, opcode)?);
            }
        }
        Ok(dialect)
    }

    fn insert(&mut self, row: Row) -> u8 {
        let number = self.n_rows;
        assert!(number < NO_ROW, "the table of rows is full");
        let key = self.split(row.template).0;
        assert_eq!(self.index[key], NO_ROW, "two rows share a key");
        self.index[key] = number;
        self.checks[key] = Check {
            template: row.template,
            fixed: !row.variable,
            is_column: row.kind == Kind::Column,
            is_constant: row.kind == Kind::Constant,
            is_refused: row.role != Role::Whole,
        };
        let flags = [
            (row.is_binary, READS_FIRST),
            (row.kind == Kind::Register, READS_LAST),
            (row.opcode != Opcode::Load, OPERATES),
        ];
        self.reads[key] = flags.into_iter().map(|(is, bit)| u8::from(is) * bit).sum();
        self.rows[usize::from(number)] = row;
        self.n_rows += 1;
        number
    }

    /// The key of a slot, and its operand fields wherever its layout may have them: what the rows
    /// say one by one, without a branch or a shift that depends on the row.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "fields are cut to a byte")]
    fn split(&self, slot: u64) -> (usize, Values) {
        let head = 2 | slot >> HEAD_BIT & 1;
        match self.tier {
            Tier::Avx512 => {
                // From P0 on.
                let is_register = slot >> 8 & 0xff == u64::from(WHOLE);
                let word = slot >> (16 + 8 * u32::from(is_register));
                let deciding = select_unpredictable(is_register, head, word >> 32 & 1);
                let values = Values {
                    dst: (word >> 35 & 7 | (!word >> 7 & 1) << 3) as u8,
                    a: (!word >> 11 & 15) as u8,
                    b: (word >> 32 & 7 | (!word >> 5 & 1) << 3) as u8,
                    index: (word >> 40) as u8 ^ 0x80,
                };
                ((deciding << 8 | word >> 24 & 0xff) as usize, values)
            }
            Tier::Avx2 => {
                // From the byte on that is followed by vvvv.
                let is_register = slot & 0xff != 0xc5;
                let word = slot >> (32 * u32::from(is_register));
                let deciding = select_unpredictable(is_register, head, word >> 24 & 1);
                let values = Values {
                    dst: (word >> 27 & 7) as u8,
                    a: (!word >> 11 & 7) as u8,
                    b: (word >> 24 & 7) as u8,
                    index: (slot >> 37) as u8,
                };
                ((deciding << 8 | word >> 16 & 0xff) as usize, values)
            }
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

    /// What a slot would have to be, its index, and bits that are set if it is no whole
    /// instruction.
    #[inline(always)]
    pub(crate) fn check(&self, slot: u64) -> (&Check, u8, u64) {
        let (key, values) = self.split(slot);
        let check = &self.checks[key % N_KEYS];
        let rest = (slot ^ check.template) & check.fixed | u64::from(check.is_refused);
        (check, values.index, rest)
    }

    /// Whether a slot of verified code reads a constant.
    #[inline]
    pub(crate) fn reads_constant(&self, slot: u64) -> bool {
        slot & self.constant.mask == self.constant.bits
    }

    /// Numbers the constants that slots of verified code read, from `next` on.
    #[inline]
    pub(crate) fn renumber(&self, slots: &mut [u64], next: usize) {
        let Pattern { origin, shift, .. } = self.constant;
        let mut number = next as u64;
        for slot in slots {
            let reads = u64::from(self.reads_constant(*slot));
            let place = (reads * 0xff) << shift;
            *slot = *slot & !place | (origin ^ number << shift) & place;
            number += reads;
        }
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
        if let Some(phrase) = &self.phrases[row.opcode as usize] {
            values.dst = phrase.blend.decode(*slots.get(2)?).0.dst;
        }
        let gene = Gene {
            opcode: row.opcode,
            dst: values.dst,
            a: values.a,
            b: row.operand(values),
        };
        let encoded = self.encode(gene)?;
        let same = slots.get(..encoded.len())? == &*encoded;
        same.then_some((gene, encoded.len()))
    }

    /// What the gene at the end of these slots, which are verified, does to registers.
    #[inline(always)]
    pub(crate) fn last(&self, slots: &[u64]) -> Flow {
        let mut start = slots.len() - 1;
        while is_inner(slots[start]) {
            start -= 1;
        }
        let (key, values) = self.split(slots[start]);
        let mut dst = values.dst;
        if start + 1 < slots.len() {
            let row = &self.rows[usize::from(self.index[key]) % N_ROWS];
            if let Some(phrase) = &self.phrases[row.opcode as usize] {
                dst = phrase.blend.decode(slots[start + 2]).0.dst;
            }
        }
        Flow {
            start,
            dst,
            values,
            reads: self.reads[key],
        }
    }
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
    /// Padding, addressing mode and base register are what two different instructions with a
    /// constant have in common.
    fn new(tier: Tier) -> Result<Pattern, AsmError> {
        let row = arithmetic(tier, Opcode::Add, Kind::Constant)?;
        let Layout {
            padding, rm, index, ..
        } = row.layout;
        let mask = 0xff | 0xff << (8 * padding) | 0xc7 << rm;
        Ok(Pattern {
            mask,
            bits: row.template & mask,
            origin: row.template & 0xff << index,
            shift: index,
        })
    }
}

fn layout(tier: Tier, kind: Kind) -> Layout {
    match (tier, kind) {
        (Tier::Avx512, Kind::Register) => EVEX_REGISTER,
        (Tier::Avx512, _) => EVEX_MEMORY,
        (Tier::Avx2, Kind::Register) => VEX_REGISTER,
        (Tier::Avx2, _) => VEX_MEMORY,
    }
}

/// The one instruction of an operation, or the head of its phrase.
fn arithmetic(tier: Tier, opcode: Opcode, kind: Kind) -> Result<Row, AsmError> {
    let reserved = Reserved::of(tier);
    let (open, none): (Reg, Reg) = (Vreg::new(0).into(), NONE);
    let by_tier = |vex, evex| if tier == Tier::Avx2 { vex } else { evex };
    let (inst, dst, first) = match opcode {
        Opcode::Load if kind == Kind::Constant && tier == Tier::Avx512 => {
            (&inst::VBROADCASTSD, open, none)
        }
        Opcode::Load => (&inst::MOVAPD, open, none),
        Opcode::Add => (&inst::ADDPD, open, open),
        Opcode::Sub => (&inst::SUBPD, open, open),
        Opcode::Mul => (&inst::MULPD, open, open),
        Opcode::Div => (&inst::DIVPD, open, open),
        Opcode::Sqrt => (&inst::SQRTPD, open, none),
        Opcode::Neg => (&inst::XORPD, open, reserved.sign.into()),
        Opcode::Abs => (&inst::ANDNPD, open, reserved.sign.into()),
        Opcode::Pdiv => (&inst::DIVPD, reserved.scratch.into(), open),
        Opcode::Min => (&inst::MINPD, reserved.scratch.into(), open),
        Opcode::Max => (&inst::MAXPD, reserved.scratch.into(), open),
        Opcode::And => (by_tier(&inst::PAND, &inst::VPANDQ), open, open),
        Opcode::Or => (by_tier(&inst::POR, &inst::VPORQ), open, open),
        Opcode::Xor => (by_tier(&inst::PXOR, &inst::VPXORQ), open, open),
        Opcode::Less => (by_tier(&inst::PANDN, &inst::VPANDNQ), open, open),
    };
    let mut asm = Assembler::new();
    match (tier, kind) {
        (Tier::Avx512, Kind::Register) => {
            asm.evex(inst, Width::Z, Evex::NONE, dst, first, Vreg::new(0));
        }
        (Tier::Avx512, Kind::Column) => {
            asm.evex(
                inst,
                Width::Z,
                Evex::NONE,
                dst,
                first,
                Mem::base(gpr::RDI).disp(-COLUMN_BIAS),
            );
        }
        (Tier::Avx512, Kind::Constant) => {
            let place = Mem::base(gpr::RSI).disp(-CONSTANT_BIAS);
            let place = if opcode == Opcode::Load {
                Rm::Mem(place)
            } else {
                place.bcast()
            };
            asm.evex(inst, Width::Z, Evex::NONE, dst, first, place);
        }
        (Tier::Avx2, Kind::Register) => asm.vex(inst, Width::Y, dst, first, Vreg::new(LONG_VEX)),
        (Tier::Avx2, Kind::Column) => {
            asm.vex(
                inst,
                Width::Y,
                dst,
                first,
                Mem::base(gpr::RDI).disp(LONG_DISP),
            );
        }
        (Tier::Avx2, Kind::Constant) => {
            asm.vex(
                inst,
                Width::Y,
                dst,
                first,
                Mem::base(gpr::RSI).disp(LONG_DISP),
            );
        }
    }
    let mut code = asm.finish()?.to_vec();
    match (tier, kind) {
        (Tier::Avx512, _) => {}
        (Tier::Avx2, Kind::Register) => to_register_0(&mut code),
        (Tier::Avx2, _) => code[4..].fill(0),
    }
    let role = if opcode.n_slots() == 1 {
        Role::Whole
    } else {
        Role::Head
    };
    let first_byte = if role == Role::Whole { WHOLE } else { HEAD };
    let fields = Fields {
        dst: role == Role::Whole,
        a: first == open,
        b: kind == Kind::Register,
        index: kind != Kind::Register,
    };
    let layout = layout(tier, kind);
    let template = padded(&code, layout, first_byte);
    Ok(Row::new(opcode, role, kind, layout, fields, template))
}

/// Test and blend of a phrase.
fn phrase(tier: Tier, opcode: Opcode) -> Result<Phrase, AsmError> {
    const EQUAL: u8 = 0;
    const UNORDERED: u8 = 3;
    let reserved = Reserved::of(tier);
    let (open, tests_first) = (Vreg::new(0), opcode != Opcode::Pdiv);
    let (compared, condition) = match tests_first {
        true => (open, UNORDERED),
        false => (reserved.zero, EQUAL),
    };
    let chosen = if tests_first { open } else { reserved.one };
    let (mut test, mut blend) = (Assembler::new(), Assembler::new());
    let layouts = match tier {
        Tier::Avx512 => {
            let (z, choice) = (Width::Z, Evex::mask(K2));
            test.evex_i(&inst::CMPPD, z, Evex::NONE, K2, compared, open, condition);
            blend.evex(&inst::VBLENDMPD, z, choice, open, reserved.scratch, chosen);
            [EVEX_MEMORY, EVEX_REGISTER]
        }
        Tier::Avx2 => {
            let (mask, tested) = (reserved.mask, Vreg::new(LONG_VEX));
            test.vex_i(&inst::CMPPD, Width::Y, mask, compared, tested, condition);
            blend.vex4(
                &inst::VBLENDVPD,
                Width::Y,
                open,
                reserved.scratch,
                chosen,
                mask,
            );
            [VEX_IMMEDIATE; 2]
        }
    };
    let mut code = test.finish()?.to_vec();
    if tier == Tier::Avx2 {
        to_register_0(&mut code);
    }
    let row = |code: &[u8], layout, [dst, a, b]: [bool; 3]| {
        let fields = Fields {
            dst,
            a,
            b,
            index: false,
        };
        let template = padded(code, layout, INNER);
        Row::new(
            opcode,
            Role::Inner,
            Kind::Register,
            layout,
            fields,
            template,
        )
    };
    Ok(Phrase {
        test: row(&code, layouts[0], [false, tests_first, true]),
        tests_first,
        blend: row(blend.finish()?, layouts[1], [true, false, tests_first]),
    })
}

/// A last operand that needs the three-byte form of VEX.
const LONG_VEX: u8 = 8;
/// A displacement that needs 32 bits.
const LONG_DISP: i32 = 1 << 20;

/// Takes [`LONG_VEX`] out again: the inverted bit B of the second byte.
fn to_register_0(code: &mut [u8]) {
    code[1] ^= 0x20;
}

/// How far behind the first column the base register of columns points, in bytes.
pub(crate) const COLUMN_BIAS: i32 = 128 * 64;
/// How far behind the first constant the base register of constants points, in bytes.
pub(crate) const CONSTANT_BIAS: i32 = 128 * 8;

#[cfg(test)]
mod tests {
    use super::*;

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
                    assert_eq!(dialect.reads_constant(slot), row.kind == Kind::Constant);
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
