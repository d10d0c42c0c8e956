//! A second opinion: the bytes of GNU `as` for the same instructions.
//!
//! The text comes from the decoder of `decode.rs`, which has been held against the requests there;
//! what is compared here is the choice among encodings, and the decoder itself.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use std::process::Command;

use iced_x86::{
    Decoder, DecoderOptions, EncodingKind, Formatter, GasFormatter, Instruction, Mnemonic,
};
use opcodon_asm::{
    Assembler, Encoding, Evex, Inst, K1, K5, Mem, NONE, R9, R12, R13, RCX, RDI, RSP, Reg, Rm,
    Rounding, Scale, Vreg, Width, inst,
};

/// Instructions of every row: registers low and high, memory, broadcast, masks, rounding.
fn emit_all() -> Assembler {
    let mut asm = Assembler::new();
    let mut scratch = Assembler::new();
    let mems = [
        Mem::base(R13),
        Mem::base(RSP).disp(64),
        Mem::base(RDI).disp(-1000).index(R9, Scale::S8),
        Mem::base(RCX).disp(8192),
        Mem::base(R12).vector_index(Vreg::new(14), Scale::S4),
    ];
    let mut turn = 0;
    for &inst in inst::ALL {
        for encoding in Encoding::ALL {
            for width in [Width::X, Width::Y, Width::Z] {
                let high = if encoding == Encoding::Evex { 27 } else { 11 };
                let classes =
                    |n: u8| -> [Reg; 4] { [Vreg::new(n).into(), R9.into(), K5.into(), NONE] };
                turn += 1;
                let rms = classes(if turn % 2 == 0 { high } else { 3 }).map(Rm::from);
                let mem = mems.iter().map(|&mem| Rm::from(mem));
                let bcast = mems.iter().take(1).map(|mem| mem.bcast());
                for rm in rms.into_iter().chain(mem).chain(bcast) {
                    for reg in classes(if turn % 3 == 0 { high - 2 } else { 1 }) {
                        for v in classes(if turn % 5 == 0 { high - 4 } else { 2 }) {
                            for context in [
                                Evex::NONE,
                                Evex::mask(K1).zeroing(),
                                Evex::mask(K5),
                                Evex::NONE.sae(),
                                Evex::NONE.rounding(Rounding::Down),
                            ] {
                                scratch.clear();
                                emit(&mut scratch, inst, encoding, width, context, [reg, v], rm);
                                if scratch.position() > 0 {
                                    asm.raw(scratch.bytes());
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    asm
}

/// Tries the instruction with and without immediate and fourth register; one at most is legal.
fn emit(
    asm: &mut Assembler,
    inst: &Inst,
    encoding: Encoding,
    width: Width,
    context: Evex,
    [reg, v]: [Reg; 2],
    rm: Rm,
) {
    match encoding {
        Encoding::Sse if width == Width::X && context == Evex::NONE && v == NONE => {
            asm.sse(inst, reg, rm);
            asm.sse_i(inst, reg, rm, 0x1b);
        }
        Encoding::Vex if context == Evex::NONE => {
            asm.vex(inst, width, reg, v, rm);
            asm.vex_i(inst, width, reg, v, rm, 0x1b);
            asm.vex4(inst, width, reg, v, rm, Vreg::new(13));
        }
        Encoding::Evex => {
            asm.evex(inst, width, context, reg, v, rm);
            asm.evex_i(inst, width, context, reg, v, rm, 0x1b);
        }
        _ => {}
    }
}

/// Text that `as` reads, with pseudo-prefixes that ask for this encoding.
fn gas_text(instruction: &Instruction, formatter: &mut GasFormatter) -> String {
    let info = instruction.code().op_code();
    let mut text = String::new();
    formatter.format(instruction, &mut text);
    let prefix = match info.encoding() {
        EncodingKind::EVEX => "{evex} ",
        EncodingKind::VEX => "{vex} ",
        _ => "",
    };
    // Moves have an opcode per direction; between registers `as` would take the shorter one.
    let mnemonic = text.trim_start_matches('v');
    let direction = if !mnemonic.starts_with("mov") && !mnemonic.starts_with("pextrw") {
        ""
    } else if format!("{:?}", info.op0_kind()).ends_with("_reg") {
        "{load} "
    } else {
        "{store} "
    };
    format!("{prefix}{direction}{text}")
}

/// What `as` makes of the lines, each padded to sixteen bytes; `None` if there is no `as` here.
fn assemble(lines: &[String]) -> Option<Vec<u8>> {
    let directory = std::env::temp_dir().join(format!("opcodon-asm-gas-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str| directory.join(name);
    std::fs::write(
        file("code.s"),
        format!("{}\n", lines.join("\n.balign 16, 0\n")),
    )
    .unwrap();
    let run = |command: &mut Command| match command.output() {
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{stderr}");
            true
        }
        Err(_) => false,
    };
    let done = run(Command::new("as")
        .arg("--64")
        .arg("-o")
        .args([file("code.o"), file("code.s")]))
        && run(Command::new("objcopy")
            .args(["-O", "binary", "-j", ".text"])
            .args([file("code.o"), file("code.bin")]));
    let bytes = done.then(|| std::fs::read(file("code.bin")).unwrap());
    std::fs::remove_dir_all(&directory).unwrap();
    bytes
}

#[test]
fn bytes_of_gnu_as() {
    let asm = emit_all();
    let mut formatter = GasFormatter::new();
    let mut ours = Vec::new();
    let mut lines = Vec::new();
    let mut decoder = Decoder::with_ip(64, asm.bytes(), 0, DecoderOptions::NONE);
    while decoder.can_decode() {
        let start = decoder.position();
        let instruction = decoder.decode();
        // `movq` has four opcodes, and which one is meant cannot be said in text.
        if instruction.mnemonic() == Mnemonic::Movq || instruction.mnemonic() == Mnemonic::Vmovq {
            continue;
        }
        lines.push(gas_text(&instruction, &mut formatter));
        ours.push(&asm.bytes()[start..decoder.position()]);
    }
    let Some(theirs) = assemble(&lines) else {
        opcodon_testkit::skip!("bytes_of_gnu_as: no GNU as and objcopy here");
    };
    let mut differences = String::new();
    for ((line, ours), theirs) in lines.iter().zip(&ours).zip(theirs.chunks(16)) {
        if !theirs.starts_with(ours) || theirs[ours.len()..].iter().any(|&byte| byte != 0) {
            writeln!(differences, "{line}: {ours:02x?} {theirs:02x?}").unwrap();
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert!(lines.len() > 24_000, "only {} instructions", lines.len());
}
