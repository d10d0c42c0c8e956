//! Labels, branches, constants, alignment, growth.

#![allow(clippy::unwrap_used, reason = "tests")]

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic};
use opcodon_asm::{
    Alu, AsmError, Assembler, Cond, Evex, K1, Label, Mem, NONE, RAX, RCX, RDI, Vreg, Width, inst,
};

const ADDRESS: u64 = 0x10_0000;

fn decode(bytes: &[u8]) -> Vec<Instruction> {
    Decoder::with_ip(64, bytes, ADDRESS, DecoderOptions::NONE)
        .iter()
        .collect()
}

/// Offset that the branch at the start of `bytes` goes to.
fn target(bytes: &[u8], position: usize) -> i64 {
    let ip = ADDRESS + position as u64;
    let instruction = Decoder::with_ip(64, &bytes[position..], ip, DecoderOptions::NONE).decode();
    instruction
        .near_branch_target()
        .wrapping_sub(ADDRESS)
        .cast_signed()
}

type Emit = fn(&mut Assembler, Label);

const BRANCHES: [(Emit, usize, usize); 4] = [
    // How, length when it reaches back with one byte, length else.
    (Assembler::jmp, 2, 5),
    (|asm, label| asm.jcc(Cond::NE, label), 2, 6),
    (|asm, label| asm.jcc(Cond::G, label), 2, 6),
    (Assembler::call, 5, 5),
];

#[test]
fn branches_back() {
    for (emit, short, near) in BRANCHES {
        for distance in [0, 1, 2, 125, 126, 127, 128, 129, 1000, 40_000] {
            let mut asm = Assembler::new();
            asm.raw(&[0x90; 7]);
            let label = asm.label();
            asm.bind(label);
            asm.raw(&vec![0x90; distance]);
            emit(&mut asm, label);
            let bytes = asm.finish().unwrap();
            assert_eq!(target(bytes, 7 + distance), 7);
            let expected = if distance + 2 <= 128 { short } else { near };
            assert_eq!(bytes.len(), 7 + distance + expected, "{distance}");
        }
    }
}

#[test]
fn branches_ahead() {
    for (emit, _, near) in BRANCHES {
        for distance in [0, 1, 127, 128, 100_000] {
            let mut asm = Assembler::new();
            asm.raw(&[0x90; 3]);
            let label = asm.label();
            emit(&mut asm, label);
            emit(&mut asm, label);
            asm.raw(&vec![0x90; distance]);
            asm.bind(label);
            assert_eq!(asm.label_position(label), Some(3 + 2 * near + distance));
            asm.ret();
            let bytes = asm.finish().unwrap();
            let expected = (3 + 2 * near + distance) as i64;
            assert_eq!(target(bytes, 3), expected);
            assert_eq!(target(bytes, 3 + near), expected);
        }
    }
}

#[test]
fn calls_out_of_the_code() {
    for offset in [-1_000_000, -1, 0, 3, 1_000_000] {
        let mut asm = Assembler::new();
        asm.raw(&[0x90; 9]);
        asm.call_to(offset);
        asm.jmp_to(offset);
        asm.jcc_to(Cond::A, offset);
        let bytes = asm.finish().unwrap();
        for place in [9, 14, 19] {
            assert_eq!(target(bytes, place), offset as i64);
        }
        assert_eq!(decode(bytes)[11].mnemonic(), Mnemonic::Ja);
    }
    for offset in [1 << 31, isize::MAX, isize::MIN] {
        let mut asm = Assembler::new();
        asm.ret();
        asm.call_to(offset);
        if offset == 1 << 31 {
            // From the end of the instruction it is near enough, by six bytes.
            assert_eq!(target(asm.finish().unwrap(), 1), 1 << 31);
        } else {
            assert_eq!(asm.finish(), Err(AsmError::TooFar { offset: 1 }));
        }
    }
}

#[test]
fn a_loop_decodes_as_written() {
    let mut asm = Assembler::new();
    let (top, done) = (asm.label(), asm.label());
    asm.bind(top);
    asm.alu_ri(Alu::Sub, RCX, 8);
    asm.jcc(Cond::B, done);
    asm.evex(
        &inst::ADDPD,
        Width::Z,
        Evex::mask(K1),
        Vreg::new(20),
        Vreg::new(20),
        Mem::base(RDI),
    );
    asm.alu_ri(Alu::Add, RDI, 64);
    asm.jmp(top);
    asm.bind(done);
    asm.vzeroupper();
    asm.ret();
    let bytes = asm.finish().unwrap().to_vec();
    let mnemonics: Vec<Mnemonic> = decode(&bytes).iter().map(Instruction::mnemonic).collect();
    use Mnemonic::{Add, Jb, Jmp, Ret, Sub, Vaddpd, Vzeroupper};
    assert_eq!(mnemonics, [Sub, Jb, Vaddpd, Add, Jmp, Vzeroupper, Ret]);
}

#[test]
fn no_operations_fill_any_gap() {
    for bytes in 0..64 {
        let mut asm = Assembler::new();
        asm.nop(bytes);
        let code = asm.finish().unwrap();
        assert_eq!(code.len(), bytes);
        let instructions = decode(code);
        assert!(
            instructions.iter().all(|i| i.mnemonic() == Mnemonic::Nop),
            "{code:02x?}"
        );
        assert_eq!(instructions.len(), bytes.div_ceil(9), "as few as possible");
    }
}

#[test]
fn alignment() {
    for alignment in [1, 2, 4, 8, 16, 32, 64, 4096] {
        for before in [0, 1, 15, 16, 63, 64, 65] {
            let mut asm = Assembler::new();
            asm.raw(&vec![0x90; before]);
            asm.align(alignment);
            assert_eq!(asm.position(), before.next_multiple_of(alignment));
            assert_eq!(asm.alignment(), alignment);
            assert!(
                decode(asm.finish().unwrap())
                    .iter()
                    .all(|i| i.mnemonic() == Mnemonic::Nop)
            );
        }
    }
    for alignment in [0, 3, 48, 8192, usize::MAX] {
        let mut asm = Assembler::new();
        asm.align(alignment);
        assert_eq!(asm.finish(), Err(AsmError::Alignment { alignment }));
    }
}

/// Constants of every size, used by every encoding, with and without an immediate behind.
#[test]
fn constants() {
    let mut asm = Assembler::new();
    let x = Vreg::new(9);
    let constants: Vec<Vec<u8>> = [8, 64, 16, 4, 32, 1, 64, 12, 8]
        .iter()
        .zip(1..)
        .map(|(&len, i)| vec![i; len])
        .collect();
    let mut expected = Vec::new();
    for constant in &constants {
        let mem = |asm: &mut Assembler| Mem::rip(asm.constant(constant));
        for emit in [
            |asm: &mut Assembler, x, mem: Mem| asm.sse(&inst::ADDPD, x, mem),
            |asm: &mut Assembler, x, mem: Mem| asm.sse_i(&inst::SHUFPD, x, mem, 1),
            |asm: &mut Assembler, x, mem: Mem| asm.vex(&inst::ADDPD, Width::Y, x, x, mem),
            |asm: &mut Assembler, x, mem: Mem| asm.vex_i(&inst::CMPPD, Width::Y, x, x, mem, 2),
            |asm: &mut Assembler, x, mem: Mem| asm.vex4(&inst::VBLENDVPD, Width::X, x, x, mem, x),
            |asm: &mut Assembler, x, mem: Mem| {
                asm.evex(&inst::ADDPD, Width::Z, Evex::NONE, x, x, mem);
            },
            |asm: &mut Assembler, x, mem: Mem| {
                asm.evex_i(
                    &inst::VRNDSCALEPD,
                    Width::Z,
                    Evex::NONE,
                    x,
                    NONE,
                    mem.bcast(),
                    9,
                );
            },
            |asm: &mut Assembler, _, mem: Mem| asm.load(RAX, mem),
            |asm: &mut Assembler, _, mem: Mem| asm.alu_mi(Alu::Cmp, mem, 1000),
        ] {
            let mem = mem(&mut asm);
            emit(&mut asm, x, mem);
            expected.push(constant.clone());
        }
    }
    asm.ret();
    let end = asm.position();
    let code = asm.finish().unwrap().to_vec();
    let instructions = decode(&code[..end]);
    assert_eq!(instructions.len(), expected.len() + 1);
    for (instruction, constant) in instructions.iter().zip(&expected) {
        let at = usize::try_from(instruction.ip_rel_memory_address() - ADDRESS).unwrap();
        assert_eq!(
            code[at..at + constant.len()],
            constant[..],
            "{instruction:?}"
        );
        let alignment = constant.len().next_power_of_two().min(64);
        assert_eq!(at % alignment, 0, "aligned to its size");
    }
    assert_eq!(asm.alignment(), 64);
    let pool: usize = constants.iter().map(Vec::len).sum();
    assert!(
        code.len() <= end.next_multiple_of(64) + pool + 4,
        "each constant is there once"
    );
    assert!(
        code[end..end.next_multiple_of(64)]
            .iter()
            .all(|&byte| byte == 0xcc)
    );
}

#[test]
fn code_may_follow_finish() {
    let mut asm = Assembler::new();
    let one = asm.constant(&1f64.to_le_bytes());
    asm.sse(&inst::ADDSD, Vreg::new(0), Mem::rip(one));
    asm.ret();
    let first = asm.finish().unwrap().len();
    let again = asm.constant(&1f64.to_le_bytes());
    assert_eq!(one, again);
    asm.sse(&inst::ADDSD, Vreg::new(0), Mem::rip(again));
    let code = asm.finish().unwrap();
    assert_eq!(code.len(), first + 8, "the constant is not placed again");
    let backward = decode(&code[first..])[0].ip_rel_memory_address() + first as u64 - ADDRESS;
    assert_eq!(
        code[usize::try_from(backward).unwrap()..][..8],
        1f64.to_le_bytes()
    );
}

#[test]
fn mistakes_with_labels() {
    let mut asm = Assembler::new();
    asm.ret();
    let label = asm.label();
    asm.jmp(label);
    assert_eq!(
        asm.finish(),
        Err(AsmError::UnboundLabel {
            label: 0,
            offset: 2
        })
    );

    let mut asm = Assembler::new();
    let label = asm.label();
    asm.bind(label);
    asm.ret();
    asm.bind(label);
    let twice = AsmError::LabelBoundTwice {
        label: 0,
        first: 0,
        second: 1,
    };
    assert_eq!(asm.finish(), Err(twice));
    asm.clear();
    assert_eq!(asm.finish(), Ok(&[][..]), "forgotten");

    let unknown = Err(AsmError::UnknownLabel { label: 0 });
    let uses: [Emit; 5] = [
        Assembler::jmp,
        |asm, label| asm.jcc(Cond::E, label),
        Assembler::bind,
        |asm, label| asm.lea(RAX, Mem::rip(label)),
        |asm, label| asm.vex(&inst::MOVUPS, Width::X, Vreg::new(0), NONE, Mem::rip(label)),
    ];
    for emit in uses {
        let mut asm = Assembler::new();
        emit(&mut asm, label);
        assert_eq!(asm.finish(), unknown);
        assert_eq!(asm.label_position(label), None);
    }

    let mut asm = Assembler::new();
    asm.constant(&[]);
    assert_eq!(asm.finish(), Err(AsmError::Constant { len: 0 }));
    asm.clear();
    asm.constant(&[0; 4097]);
    assert_eq!(asm.finish(), Err(AsmError::Constant { len: 4097 }));
}

#[test]
fn displacement_beside_a_label_that_is_too_far() {
    let mut asm = Assembler::new();
    let label = asm.label();
    asm.lea(RAX, Mem::rip(label).disp(i32::MAX));
    asm.nop(100);
    asm.bind(label);
    assert_eq!(asm.finish(), Err(AsmError::TooFar { offset: 3 }));
}

/// From no capacity to a megabyte: every instruction survives every growth.
#[test]
fn growth() {
    for capacity in [0, 1, 15, 16, 100, 1 << 16] {
        let mut asm = Assembler::with_capacity(capacity);
        for round in 0..2 {
            let n = 100_000;
            for i in 0..n {
                let x = Vreg::new(u8::try_from(i % 32).unwrap());
                asm.evex(
                    &inst::MULPS,
                    Width::Y,
                    Evex::NONE,
                    x,
                    x,
                    Mem::base(RDI).disp(i),
                );
            }
            let code = asm.finish().unwrap();
            let instructions = decode(code);
            assert_eq!(instructions.len(), 100_000);
            for (i, instruction) in instructions.iter().enumerate() {
                assert_eq!(instruction.code(), Code::EVEX_Vmulps_ymm_k1z_ymm_ymmm256b32);
                assert_eq!(instruction.op0_register().number(), i % 32);
                assert_eq!(
                    instruction.memory_displacement64(),
                    i as u64,
                    "round {round}"
                );
            }
            asm.clear();
        }
    }
}
