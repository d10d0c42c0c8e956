//! A template that is filled in is the instruction that the assembler makes of the same operands.
#![allow(clippy::unwrap_used, reason = "tests")]

use iced_x86::{Decoder, DecoderOptions, Instruction};
use opcodon_asm::{
    AsmError, Assembler, Encoding, Evex, Inst, Mem, NONE, Operand, Rm, Template, Vreg, Width, gpr,
    inst,
};

const ENCODINGS: [Encoding; 2] = [Encoding::Vex, Encoding::Evex];
const WIDTHS: [Width; 3] = [Width::X, Width::Y, Width::Z];
const DISPLACEMENTS: [i32; 8] = [0, 8, 64, 4096, -128, 8256, 1 << 20, i32::MIN];

fn assembled(
    inst: &'static Inst,
    encoding: Encoding,
    width: Width,
    [reg, v]: [u8; 2],
    rm: Rm,
) -> Option<Vec<u8>> {
    let with = |v| {
        let mut asm = Assembler::new();
        match encoding {
            Encoding::Vex => asm.vex(inst, width, Vreg::new(reg), v, rm),
            _ => asm.evex(inst, width, Evex::NONE, Vreg::new(reg), v, rm),
        }
        asm.finish().map(<[u8]>::to_vec).ok()
    };
    with(Vreg::new(v).into()).or_else(|| if v == 0 { with(NONE) } else { None })
}

fn decoded(bytes: &[u8]) -> Instruction {
    let mut decoder = Decoder::with_ip(64, bytes, 0x1000, DecoderOptions::NONE);
    let instruction = decoder.decode();
    assert_eq!(
        decoder.position(),
        bytes.len(),
        "{bytes:x?} is one instruction"
    );
    instruction
}

/// The operands that are tried: registers, addresses, broadcasts.
fn places(encoding: Encoding) -> Vec<Rm> {
    let n = if encoding == Encoding::Evex { 32 } else { 16 };
    let bases = [gpr::RDI, gpr::RSI, gpr::RBP, gpr::R13];
    let mems = bases
        .iter()
        .flat_map(|&base| DISPLACEMENTS.map(|disp| Mem::base(base).disp(disp)));
    let registers = (0..n).map(|register| Vreg::new(register).into());
    let broadcasts = mems.clone().map(|mem| mem.bcast());
    registers
        .chain(mems.map(Rm::from))
        .chain(broadcasts)
        .collect()
}

#[test]
fn filling_in_is_assembling() {
    let (mut n_templates, mut n_instructions) = (0, 0);
    for &row in inst::ALL {
        for (encoding, width) in ENCODINGS.iter().flat_map(|&e| WIDTHS.map(|w| (e, w))) {
            let Ok(template) = Template::new(row, encoding, width) else {
                continue;
            };
            n_templates += 1;
            for (k, rm) in places(encoding).into_iter().enumerate() {
                let Ok(operand) = Operand::new(row, encoding, width, rm) else {
                    continue;
                };
                let n = if encoding == Encoding::Evex { 32 } else { 16 };
                let reg = u8::try_from(k * 7 % n).unwrap();
                for v in [0, u8::try_from(k * 5 % n).unwrap()] {
                    let Some(expected) = assembled(row, encoding, width, [reg, v], rm) else {
                        continue;
                    };
                    n_instructions += 1;
                    let mut asm = Assembler::new();
                    asm.append_with(48, |cursor| {
                        cursor.fill(encoding, template, 3, 2, operand, false);
                        cursor.fill(encoding, template, reg, v, operand, true);
                    })
                    .unwrap();
                    let found = asm.finish().unwrap();
                    // The short form of the VEX prefix is not used.
                    if encoding == Encoding::Evex {
                        assert_eq!(found, expected, "{} {width:?} {rm:?}", row.name());
                    }
                    assert_eq!(decoded(found), decoded(&expected), "{}", row.name());
                }
            }
        }
    }
    assert!(
        n_templates > 500 && n_instructions > 50_000,
        "{n_templates}, {n_instructions}"
    );
}

#[test]
fn a_call_reaches_back() {
    for target in [0, 3] {
        let (mut asm, mut long) = (Assembler::new(), Assembler::new());
        for code in [&mut asm, &mut long] {
            code.raw(&[0x90; 7]);
        }
        asm.append_with(32, |cursor| {
            cursor.fill_call(u32::try_from(target).unwrap());
            cursor.fill_call(u32::try_from(target).unwrap());
        });
        long.call_to(target);
        long.call_to(target);
        assert_eq!(asm.finish().unwrap(), long.finish().unwrap());
    }
}

#[test]
fn what_does_not_fit_a_template_is_refused() {
    let refused = |encoding, width, inst| Template::new(inst, encoding, width).is_err();
    assert!(refused(Encoding::Sse, Width::X, &inst::ADDPD));
    assert!(refused(Encoding::Vex, Width::Z, &inst::ADDPD));
    assert!(refused(Encoding::Evex, Width::Z, &inst::ROUNDPD));
    for mem in [
        Mem::base(gpr::RSP),
        Mem::base(gpr::R12),
        Mem::base(gpr::RDI).index(gpr::RAX, opcodon_asm::Scale::S8),
    ] {
        let error = Operand::new(&inst::ADDPD, Encoding::Evex, Width::Z, mem).unwrap_err();
        assert!(matches!(error, AsmError::Address { .. }), "{error}");
    }
}
