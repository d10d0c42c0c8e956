//! Integer, branch and stack instructions, as text of a foreign disassembler.

#![allow(clippy::unwrap_used, reason = "tests")]

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
use opcodon_asm::{
    Alu, AsmError, Assembler, Cond, Gpr, Mem, R9, R12, R13, RAX, RBP, RBX, RCX, RDI, RSI, RSP, Rm,
    Scale, Shift, Vreg,
};

const ALUS: [(Alu, &str); 8] = [
    (Alu::Add, "add"),
    (Alu::Or, "or"),
    (Alu::Adc, "adc"),
    (Alu::Sbb, "sbb"),
    (Alu::And, "and"),
    (Alu::Sub, "sub"),
    (Alu::Xor, "xor"),
    (Alu::Cmp, "cmp"),
];

const SHIFTS: [(Shift, &str); 5] = [
    (Shift::Rol, "rol"),
    (Shift::Ror, "ror"),
    (Shift::Shl, "shl"),
    (Shift::Shr, "shr"),
    (Shift::Sar, "sar"),
];

const CONDS: [&str; 16] = [
    "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
];

const NAMES_32: [&str; 16] = [
    "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d",
    "r13d", "r14d", "r15d",
];
const NAMES_16: [&str; 16] = [
    "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w",
    "r14w", "r15w",
];
const NAMES_8: [&str; 16] = [
    "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b",
    "r13b", "r14b", "r15b",
];

fn gprs() -> impl Iterator<Item = Gpr> + Clone {
    (0..16).filter_map(Gpr::from_number)
}

/// Memory operands and their text.
fn mems() -> Vec<(Mem, String)> {
    let mut mems = vec![
        (Mem::absolute(0x1234), "[1234h]".to_owned()),
        (Mem::absolute(8).index(R9, Scale::S4), "[r9*4+8]".to_owned()),
    ];
    for base in gprs() {
        let name = base.name();
        mems.push((Mem::base(base), format!("[{name}]")));
        mems.push((Mem::base(base).disp(127), format!("[{name}+7Fh]")));
        mems.push((Mem::base(base).disp(-129), format!("[{name}-81h]")));
        for (scale, factor) in [(Scale::S1, ""), (Scale::S8, "*8")] {
            for index in gprs().filter(|&index| index != RSP) {
                let text = format!("[{name}+{}{factor}+80h]", index.name());
                mems.push((Mem::base(base).index(index, scale).disp(128), text));
            }
        }
    }
    mems
}

fn disassemble(bytes: &[u8]) -> Vec<String> {
    let mut formatter = IntelFormatter::new();
    Decoder::with_ip(64, bytes, 0x1000, DecoderOptions::NONE)
        .iter()
        .map(|instruction| {
            let mut text = String::new();
            formatter.format(&instruction, &mut text);
            text
        })
        .collect()
}

/// One instruction, of exactly this text.
#[track_caller]
fn check(emit: impl FnOnce(&mut Assembler), expected: &str) {
    let mut asm = Assembler::new();
    emit(&mut asm);
    let bytes = asm.finish().unwrap();
    assert_eq!(disassemble(bytes), [expected], "{bytes:02x?}");
}

/// Like [`check`], and of this length.
#[track_caller]
fn check_len(emit: impl FnOnce(&mut Assembler), expected: &str, len: usize) {
    let mut asm = Assembler::new();
    emit(&mut asm);
    assert_eq!(asm.position(), len, "{expected}");
    assert_eq!(disassemble(asm.finish().unwrap()), [expected]);
}

#[test]
fn two_registers() {
    for dst in gprs() {
        for src in gprs() {
            let (d, s) = (dst.name(), src.name());
            let d32 = NAMES_32[usize::from(dst.number())];
            let s32 = NAMES_32[usize::from(src.number())];
            let s16 = NAMES_16[usize::from(src.number())];
            let s8 = NAMES_8[usize::from(src.number())];
            check(|a| a.mov_rr(dst, src), &format!("mov {d},{s}"));
            check(|a| a.mov_rr_32(dst, src), &format!("mov {d32},{s32}"));
            check(|a| a.movzx8(dst, src), &format!("movzx {d32},{s8}"));
            check(|a| a.movzx16(dst, src), &format!("movzx {d32},{s16}"));
            check(|a| a.movsx8(dst, src), &format!("movsx {d},{s8}"));
            check(|a| a.movsx16(dst, src), &format!("movsx {d},{s16}"));
            check(|a| a.movsxd(dst, src), &format!("movsxd {d},{s32}"));
            check(|a| a.test_rr(dst, src), &format!("test {d},{s}"));
            check(|a| a.test_rr_32(dst, src), &format!("test {d32},{s32}"));
            check(|a| a.imul_rr(dst, src), &format!("imul {d},{s}"));
            let operands = if d == s {
                d.to_owned()
            } else {
                format!("{d},{s}")
            };
            check(
                |a| a.imul_rri(dst, src, 1000),
                &format!("imul {operands},3E8h"),
            );
            check(|a| a.popcnt(dst, src), &format!("popcnt {d},{s}"));
            check(|a| a.tzcnt(dst, src), &format!("tzcnt {d},{s}"));
            check(|a| a.lzcnt(dst, src), &format!("lzcnt {d},{s}"));
            for (alu, name) in ALUS {
                check(|a| a.alu_rr(alu, dst, src), &format!("{name} {d},{s}"));
                check(
                    |a| a.alu_rr_32(alu, dst, src),
                    &format!("{name} {d32},{s32}"),
                );
            }
            for (cond, name) in Cond::ALL.into_iter().zip(CONDS) {
                check(|a| a.cmovcc(cond, dst, src), &format!("cmov{name} {d},{s}"));
            }
        }
    }
}

#[test]
fn one_register() {
    for r in gprs() {
        let name = r.name();
        let name_32 = NAMES_32[usize::from(r.number())];
        let name_8 = NAMES_8[usize::from(r.number())];
        check(|a| a.neg(r), &format!("neg {name}"));
        check(|a| a.not(r), &format!("not {name}"));
        check(|a| a.inc(r), &format!("inc {name}"));
        check(|a| a.dec(r), &format!("dec {name}"));
        check(|a| a.mul(r), &format!("mul {name}"));
        check(|a| a.div(r), &format!("div {name}"));
        check(|a| a.idiv(r), &format!("idiv {name}"));
        check(|a| a.push(r), &format!("push {name}"));
        check(|a| a.pop(r), &format!("pop {name}"));
        check(|a| a.jmp_r(r), &format!("jmp {name}"));
        check(|a| a.call_r(r), &format!("call {name}"));
        for (shift, op) in SHIFTS {
            check(|a| a.shift_ri(shift, r, 13), &format!("{op} {name},0Dh"));
            check(|a| a.shift_ri_32(shift, r, 1), &format!("{op} {name_32},1"));
            check(|a| a.shift_cl(shift, r), &format!("{op} {name},cl"));
            check(|a| a.shift_cl_32(shift, r), &format!("{op} {name_32},cl"));
        }
        for (cond, op) in Cond::ALL.into_iter().zip(CONDS) {
            check(|a| a.setcc(cond, r), &format!("set{op} {name_8}"));
        }
    }
}

#[test]
fn immediates() {
    for r in gprs() {
        let name = r.name();
        let name_32 = NAMES_32[usize::from(r.number())];
        let rex = usize::from(r.number() >= 8);
        check_len(|a| a.mov_ri(r, 0), &format!("mov {name_32},0"), 5 + rex);
        check_len(
            |a| a.mov_ri(r, 0x1234_5678),
            &format!("mov {name_32},12345678h"),
            5 + rex,
        );
        check_len(
            |a| a.mov_ri(r, 0xffff_ffff),
            &format!("mov {name_32},0FFFFFFFFh"),
            5 + rex,
        );
        check_len(
            |a| a.mov_ri(r, -1),
            &format!("mov {name},0FFFFFFFFFFFFFFFFh"),
            7,
        );
        let min = i64::from(i32::MIN);
        check_len(
            |a| a.mov_ri(r, min),
            &format!("mov {name},0FFFFFFFF80000000h"),
            7,
        );
        check_len(
            |a| a.mov_ri(r, min - 1),
            &format!("mov {name},0FFFFFFFF7FFFFFFFh"),
            10,
        );
        check_len(
            |a| a.mov_ri(r, 1 << 32),
            &format!("mov {name},100000000h"),
            10,
        );
        check_len(
            |a| a.mov_ri(r, i64::MIN),
            &format!("mov {name},8000000000000000h"),
            10,
        );
        check_len(|a| a.test_ri(r, 0x1234), &format!("test {name},1234h"), 7);
        for (alu, op) in ALUS {
            check_len(|a| a.alu_ri(alu, r, 127), &format!("{op} {name},7Fh"), 4);
            let minus_128 = format!("{op} {name},0FFFFFFFFFFFFFF80h");
            check_len(|a| a.alu_ri(alu, r, -128), &minus_128, 4);
            check_len(|a| a.alu_ri(alu, r, 128), &format!("{op} {name},80h"), 7);
            check_len(
                |a| a.alu_ri_32(alu, r, 1000),
                &format!("{op} {name_32},3E8h"),
                6 + rex,
            );
        }
    }
}

#[test]
fn memory() {
    for (mem, text) in mems() {
        for r in [RAX, RCX, RSP, RSI, R9, R13] {
            let (name, i) = (r.name(), usize::from(r.number()));
            let (name_32, name_16, name_8) = (NAMES_32[i], NAMES_16[i], NAMES_8[i]);
            check(|a| a.load(r, mem), &format!("mov {name},{text}"));
            check(|a| a.store(mem, r), &format!("mov {text},{name}"));
            check(|a| a.load32(r, mem), &format!("mov {name_32},{text}"));
            check(|a| a.store32(mem, r), &format!("mov {text},{name_32}"));
            check(|a| a.store16(mem, r), &format!("mov {text},{name_16}"));
            check(|a| a.store8(mem, r), &format!("mov {text},{name_8}"));
            check(|a| a.lea(r, mem), &format!("lea {name},{text}"));
            check(|a| a.imul_rm(r, mem), &format!("imul {name},{text}"));
            check(
                |a| a.movzx8(r, mem),
                &format!("movzx {name_32},byte ptr {text}"),
            );
            check(
                |a| a.movzx16(r, mem),
                &format!("movzx {name_32},word ptr {text}"),
            );
            check(
                |a| a.movsx8(r, mem),
                &format!("movsx {name},byte ptr {text}"),
            );
            check(
                |a| a.movsx16(r, mem),
                &format!("movsx {name},word ptr {text}"),
            );
            check(|a| a.movsxd(r, mem), &format!("movsxd {name},{text}"));
            for (alu, op) in ALUS {
                check(|a| a.alu_rm(alu, r, mem), &format!("{op} {name},{text}"));
                check(
                    |a| a.alu_rm_32(alu, r, mem),
                    &format!("{op} {name_32},{text}"),
                );
            }
        }
        check(|a| a.store_i(mem, 77), &format!("mov qword ptr {text},4Dh"));
        check(|a| a.jmp_m(mem), &format!("jmp qword ptr {text}"));
        check(|a| a.call_m(mem), &format!("call qword ptr {text}"));
        for (alu, op) in ALUS {
            check(
                |a| a.alu_mi(alu, mem, 5),
                &format!("{op} qword ptr {text},5"),
            );
            check(
                |a| a.alu_mi(alu, mem, 500),
                &format!("{op} qword ptr {text},1F4h"),
            );
        }
    }
}

type Emit = fn(&mut Assembler);

#[test]
fn without_operands() {
    let emit: [(Emit, &str); 8] = [
        (Assembler::ret, "ret"),
        (Assembler::cqo, "cqo"),
        (Assembler::vzeroupper, "vzeroupper"),
        (Assembler::sfence, "sfence"),
        (Assembler::int3, "int3"),
        (Assembler::ud2, "ud2"),
        (Assembler::endbr64, "endbr64"),
        (|asm| asm.nop(1), "nop"),
    ];
    for (emit, text) in emit {
        check(emit, text);
    }
}

#[test]
fn bad_operands_are_refused() {
    let bad: [(Emit, &str); 4] = [
        (
            |asm| asm.load(RAX, Mem::base(RBX).index(RSP, Scale::S2)),
            "mov",
        ),
        (
            |asm| asm.lea(RDI, Mem::base(RBP).vector_index(Vreg::new(3), Scale::S1)),
            "lea",
        ),
        (|asm| asm.movzx8(RCX, Rm::from(Vreg::new(1))), "movzx"),
        (|asm| asm.movsx8(R12, Mem::base(RSI).bcast()), "movsx"),
    ];
    for (emit, instruction) in bad {
        let mut asm = Assembler::new();
        asm.ret();
        emit(&mut asm);
        assert_eq!(asm.position(), 1, "nothing is emitted");
        asm.ret();
        assert_eq!(asm.finish(), Err(AsmError::Address { instruction }));
    }
}

#[test]
fn negation_of_conditions() {
    for cond in Cond::ALL {
        assert_eq!(cond as u8 ^ 1, cond.negate() as u8);
    }
}
