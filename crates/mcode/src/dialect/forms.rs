//! The instructions of a tier, as the assembler encodes them with operands left open.
//!
//! Each operation with each kind of operand is asked of `opcodon-asm` once, and the result becomes
//! the template of a [`Row`]. An operation that no instruction means is a [`Phrase`].

use opcodon_asm::{AsmError, Assembler, Evex, K2, Mem, NONE, Reg, Rm, Vreg, Width, gpr, inst};

use crate::Tier;
use crate::gene::Opcode;
use crate::slot::{
    EVEX_MEMORY, EVEX_REGISTER, Fields, HEAD, INNER, Kind, Layout, Role, Row, VEX_IMMEDIATE,
    VEX_MEMORY, VEX_REGISTER, WHOLE, padded,
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
pub(super) struct Phrase {
    pub(super) test: Row,
    /// The test compares the first operand with itself, else the last with zero.
    pub(super) tests_first: bool,
    pub(super) blend: Row,
}

/// How far behind the first column the base register of columns points, in bytes.
pub(crate) const COLUMN_BIAS: i32 = 128 * 64;
/// How far behind the first constant the base register of constants points, in bytes.
pub(crate) const CONSTANT_BIAS: i32 = 128 * 8;

fn layout(tier: Tier, opcode: Opcode, kind: Kind) -> Layout {
    match (tier, kind) {
        // An immediate stands where others have a displacement.
        (Tier::Avx512, Kind::Register) if opcode == Opcode::If => EVEX_MEMORY,
        (Tier::Avx512, Kind::Register) => EVEX_REGISTER,
        (Tier::Avx512, _) => EVEX_MEMORY,
        (Tier::Avx2, Kind::Register) => VEX_REGISTER,
        (Tier::Avx2, _) => VEX_MEMORY,
    }
}

/// The one instruction of an operation, or the head of its phrase.
pub(super) fn arithmetic(tier: Tier, opcode: Opcode, kind: Kind) -> Result<Row, AsmError> {
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
        Opcode::If => (&inst::VPTERNLOGQ, open, open),
        Opcode::Iadd => (&inst::PADDQ, open, open),
        Opcode::Isub => (&inst::PSUBQ, open, open),
        Opcode::Imul => (&inst::VPMULLQ, open, open),
        Opcode::Imin => (&inst::VPMINSQ, open, open),
        Opcode::Imax => (&inst::VPMAXSQ, open, open),
        Opcode::Shl => (&inst::VPSLLVQ, open, open),
        Opcode::Shr => (&inst::VPSRLVQ, open, open),
        Opcode::Sar => (&inst::VPSRAVQ, open, open),
    };
    let mut asm = Assembler::new();
    match (tier, kind) {
        (Tier::Avx512, Kind::Register) if opcode == Opcode::If => {
            let last = Vreg::new(0);
            asm.evex_i(inst, Width::Z, Evex::NONE, dst, first, last, CHOICE);
        }
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
    let layout = layout(tier, opcode, kind);
    let template = padded(&code, layout, first_byte);
    Ok(Row::new(opcode, role, kind, layout, fields, template))
}

/// The truth table of `vpternlog` that chooses: bit `dst·4 + a·2 + b` is `dst ? a : b`.
const CHOICE: u8 = 0b1100_1010;

/// Test and blend of a phrase.
pub(super) fn phrase(tier: Tier, opcode: Opcode) -> Result<Phrase, AsmError> {
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
