//! Slots: one vector instruction in exactly 8 bytes, as one `u64`.
//!
//! Variation must be able to copy instructions without decoding them, so all have one length. In
//! each tier an instruction has one of a few layouts; what is missing to 8 bytes is filled in
//! *front* with the segment prefix `3E`, which 64-bit mode ignores at no cost, so that no
//! instruction is added and the operand fields lie at fixed bits:
//!
//! ```text
//! EVEX  3E 3E 62 P0 P1 P2 op modrm              operand is a register
//!       3E 62 P0 P1 P2 op modrm disp8           column [rdi+disp8·64], constant [rsi+disp8·8]{1to8}
//!       3E 62 P0 P1 P2 op modrm imm             test of a phrase, choice among bits
//! VEX   3E 3E 3E C4 b1 b2 op modrm              operand is a register
//!       C5 b1 op modrm disp32                   column [rdi+32·i], constant [rsi+32·i]
//!       3E 3E C4 b1 b2 op modrm imm             test and blend of a phrase
//! ```
//!
//! The index of a column or constant is one byte in both tiers. EVEX compresses displacements to
//! multiples of the operand's size, so a byte reaches 256 columns if columns of one block of rows
//! lie side by side, which is why [`Blocks`](crate::Blocks) lays them out like that; base
//! registers point 128 places behind the first. VEX has no such compression, but in its two-byte
//! form a displacement of 32 bits just fits.
//!
//! Which of the four ignored prefixes comes first is a mark inside the code: `2E` begins a phrase,
//! `36` goes on with it, so that places where a genome may be cut are seen from one byte.
//!
//! A [`Row`] is a template and the places of its variable fields. Templates come from
//! `opcodon-asm`, so no opcode is spelled here. Register numbers stand in the instruction as the
//! exclusive or with register 0, so encoding and decoding are the same few shifts.
//!
//! # Invariant
//! A word is an allowed instruction if and only if it differs from its row's template in variable
//! fields only, and its index is below the limit. Registers need no comparison: a field that could
//! name a register beyond the limit has a bit more than varies.

use crate::gene::{Opcode, Operand};

/// Bytes of a slot.
pub const SLOT_BYTES: usize = 8;

/// The padding of a whole instruction; of the first byte of a phrase's head; of its other slots.
pub(crate) const WHOLE: u8 = 0x3e;
pub(crate) const HEAD: u8 = 0x2e;
pub(crate) const INNER: u8 = 0x36;
/// The bit in which a head's prefix differs from that of a whole instruction.
pub(crate) const HEAD_BIT: u8 = 4;

/// Where a slot's instruction stands in a longer operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The whole of it.
    Whole,
    /// The first slot of a phrase.
    Head,
    /// The others.
    Inner,
}

/// Where the variable fields of a layout begin, in bits. A field that a layout lacks points to
/// bits that never vary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Bytes of padding in front.
    pub(crate) padding: u8,
    /// High bit of the destination.
    r: u8,
    /// Low bits of the destination.
    reg: u8,
    /// First operand.
    v: u8,
    /// High bit of the last operand, if a register.
    b: u8,
    /// Its low bits.
    pub(crate) rm: u8,
    /// Column or constant.
    pub(crate) index: u8,
    /// Bits of a register number that vary.
    registers: u8,
}

impl Layout {
    /// Of the instruction's own bytes, the length of its prefix decides. EVEX has four bytes.
    const fn new(padding: u8, prefix: u8, vvvv: u8, index: u8) -> Layout {
        let start = padding * 8;
        let modrm = start + prefix * 8 + 8;
        Layout {
            padding,
            r: start + 15,
            reg: modrm + 3,
            v: start + vvvv,
            b: start + 13,
            rm: modrm,
            index,
            registers: if prefix == 4 { 15 } else { 7 },
        }
    }
}

pub(crate) const EVEX_REGISTER: Layout = Layout::new(2, 4, 19, 0);
pub(crate) const EVEX_MEMORY: Layout = Layout::new(1, 4, 19, 56);
pub(crate) const VEX_REGISTER: Layout = Layout::new(3, 3, 19, 0);
pub(crate) const VEX_IMMEDIATE: Layout = Layout::new(2, 3, 19, 0);
/// An index of 32-byte places: the displacement's bits from 5 on.
pub(crate) const VEX_MEMORY: Layout = Layout {
    b: 16,
    ..Layout::new(0, 2, 11, 32 + 5)
};

/// Which fields of an instruction vary.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub(crate) dst: bool,
    pub(crate) a: bool,
    pub(crate) b: bool,
    pub(crate) index: bool,
}

/// One instruction of a tier, registers and index left open; half a cache line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) template: u64,
    /// Bits that may differ from the template.
    pub(crate) variable: u64,
    pub(crate) layout: Layout,
    /// All ones for the fields that vary.
    pub(crate) present: Values,
    pub(crate) opcode: Opcode,
    pub(crate) role: Role,
    /// What the last operand is.
    pub(crate) kind: Kind,
}

/// What the last operand of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Register,
    Column,
    Constant,
}

/// The operand fields of a slot; those that its row lacks are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) dst: u8,
    pub(crate) a: u8,
    pub(crate) b: u8,
    pub(crate) index: u8,
}

impl Row {
    pub(crate) fn new(
        opcode: Opcode,
        role: Role,
        kind: Kind,
        layout: Layout,
        fields: Fields,
        template: u64,
    ) -> Row {
        let field = |present: bool, mask: u64, shift: u8| if present { mask << shift } else { 0 };
        let registers = u64::from(layout.registers);
        let high = registers >> 3;
        let variable = field(fields.dst, high, layout.r)
            | field(fields.dst, 7, layout.reg)
            | field(fields.a, registers, layout.v)
            | field(fields.b, high, layout.b)
            | field(fields.b, 7, layout.rm)
            | field(fields.index, 0xff, layout.index);
        let present = |field: bool| if field { 0xff } else { 0 };
        Row {
            template,
            variable,
            layout,
            present: Values {
                dst: present(fields.dst),
                a: present(fields.a),
                b: present(fields.b),
                index: present(fields.index),
            },
            opcode,
            role,
            kind,
        }
    }

    /// The slot with these operands; what the row lacks is left out.
    #[inline]
    pub(crate) fn encode(&self, values: Values) -> u64 {
        let [dst, a, b, index] = [values.dst, values.a, values.b, values.index].map(u64::from);
        let l = &self.layout;
        let fields = (dst >> 3 & 1) << l.r
            ^ (dst & 7) << l.reg
            ^ (a & 15) << l.v
            ^ (b >> 3 & 1) << l.b
            ^ (b & 7) << l.rm
            ^ (index & u64::from(self.present.index)) << l.index;
        self.template ^ fields & self.variable
    }

    /// The operands, and the bits in which the slot is not of this row.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "fields are cut to a byte")]
    pub(crate) fn decode(&self, slot: u64) -> (Values, u64) {
        let difference = slot ^ self.template;
        let x = difference & self.variable;
        let l = &self.layout;
        let values = Values {
            dst: ((x >> l.r & 1) << 3 | x >> l.reg & 7) as u8,
            a: (x >> l.v & 15) as u8,
            b: ((x >> l.b & 1) << 3 | x >> l.rm & 7) as u8,
            index: (x >> l.index) as u8 & self.present.index,
        };
        (values, difference & !self.variable)
    }

    /// The last operand.
    pub(crate) fn operand(&self, values: Values) -> Operand {
        match self.kind {
            Kind::Register => Operand::Register(values.b),
            Kind::Column => Operand::Column(values.index),
            Kind::Constant => Operand::Constant(values.index),
        }
    }

    /// The slot with `by` added to all its registers, modulo 256; they stay below the limit.
    #[inline]
    pub(crate) fn shift(&self, slot: u64, by: u8) -> u64 {
        let (values, _) = self.decode(slot);
        self.encode(Values {
            dst: values.dst.wrapping_add(by),
            a: values.a.wrapping_add(by),
            b: values.b.wrapping_add(by),
            index: values.index,
        })
    }
}

/// Slots of one gene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) words: [u64; 3],
    pub(crate) len: usize,
}

impl std::ops::Deref for Slots {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.words[..self.len]
    }
}

/// Whether a slot continues a phrase: a genome is not cut before it.
#[inline]
pub(crate) fn is_inner(slot: u64) -> bool {
    slot & 0xff == u64::from(INNER)
}

/// Whether a slot of verified code is part of a phrase.
#[inline]
pub(crate) fn is_of_phrase(slot: u64) -> bool {
    [HEAD, INNER].map(u64::from).contains(&(slot & 0xff))
}

/// The instruction with padding in front that makes it 8 bytes.
pub(crate) fn padded(code: &[u8], layout: Layout, first: u8) -> u64 {
    let mut bytes = [WHOLE; SLOT_BYTES];
    bytes[0] = first;
    let padding = layout.padding as usize;
    assert_eq!(
        padding + code.len(),
        SLOT_BYTES,
        "{code:02x?} does not fit its layout"
    );
    bytes[padding..].copy_from_slice(code);
    u64::from_le_bytes(bytes)
}
