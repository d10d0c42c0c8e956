//! Assembled text against GNU's assembler, over every instruction that iced-x86 knows.
//!
//! Each code of iced-x86's table is given typical operands, with registers and with memory, with
//! masks, broadcasts and roundings where it takes them. What that prints is assembled by both.
//! Where the bytes differ, they must decode to the same instruction.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use iced_x86::{
    Code, Decoder, DecoderOptions, Encoder, Instruction, OpCodeOperandKind as Kind, OpKind,
    Register, RoundingControl,
};
use opcodon_listing::{Dialect, Syntax, assemble, disassemble};
use opcodon_testkit::skip;

/// A register of a kind, by a number that keeps operands apart.
fn register(kind: Kind, n: u32) -> Option<Register> {
    let (first, n) = match kind {
        Kind::r8_or_mem | Kind::r8_reg | Kind::r8_opcode => (Register::AL, n % 4),
        Kind::r16_or_mem | Kind::r16_reg | Kind::r16_rm | Kind::r16_opcode | Kind::r16_reg_mem => {
            (Register::AX, n)
        }
        Kind::r32_or_mem
        | Kind::r32_or_mem_mpx
        | Kind::r32_reg
        | Kind::r32_rm
        | Kind::r32_opcode
        | Kind::r32_vvvv
        | Kind::r32_reg_mem => (Register::EAX, n),
        Kind::r64_or_mem
        | Kind::r64_or_mem_mpx
        | Kind::r64_reg
        | Kind::r64_rm
        | Kind::r64_opcode
        | Kind::r64_vvvv
        | Kind::r64_reg_mem => (Register::RAX, n),
        Kind::seg_reg => (Register::FS, 0),
        Kind::k_or_mem | Kind::k_reg | Kind::k_rm | Kind::k_vvvv => (Register::K1, n % 7),
        Kind::kp1_reg => (Register::K2, 0),
        Kind::mm_or_mem | Kind::mm_reg | Kind::mm_rm => (Register::MM0, n % 8),
        Kind::xmm_or_mem
        | Kind::xmm_reg
        | Kind::xmm_rm
        | Kind::xmm_vvvv
        | Kind::xmm_is4
        | Kind::xmm_is5 => (Register::XMM0, n),
        Kind::xmmp3_vvvv => (Register::XMM4, 0),
        Kind::ymm_or_mem
        | Kind::ymm_reg
        | Kind::ymm_rm
        | Kind::ymm_vvvv
        | Kind::ymm_is4
        | Kind::ymm_is5 => (Register::YMM0, n),
        Kind::zmm_or_mem | Kind::zmm_reg | Kind::zmm_rm | Kind::zmm_vvvv => (Register::ZMM0, n),
        Kind::zmmp3_vvvv => (Register::ZMM4, 0),
        Kind::tmm_reg | Kind::tmm_rm | Kind::tmm_vvvv => (Register::TMM0, n % 8),
        Kind::bnd_reg | Kind::bnd_or_mem_mpx => (Register::BND0, n % 4),
        Kind::cr_reg => (Register::CR0, 4),
        Kind::dr_reg => (Register::DR0, n % 8),
        Kind::es => (Register::ES, 0),
        Kind::cs => (Register::CS, 0),
        Kind::ss => (Register::SS, 0),
        Kind::ds => (Register::DS, 0),
        Kind::fs => (Register::FS, 0),
        Kind::gs => (Register::GS, 0),
        Kind::al => (Register::AL, 0),
        Kind::cl => (Register::CL, 0),
        Kind::ax => (Register::AX, 0),
        Kind::dx => (Register::DX, 0),
        Kind::eax => (Register::EAX, 0),
        Kind::rax => (Register::RAX, 0),
        Kind::st0 => (Register::ST0, 0),
        Kind::sti_opcode => (Register::ST0, 3),
        _ => return None,
    };
    Some(first + n)
}

/// What kind of operands a form is tried with.
#[derive(Clone, Copy, PartialEq)]
struct Style {
    memory: bool,
    /// The number of the first register.
    from: u32,
    immediate: u64,
    distance: u64,
    mask: bool,
    zeroing: bool,
    broadcast: bool,
    rounding: bool,
    sae: bool,
    lock: bool,
    rep: bool,
}

fn instruction(code: Code, style: Style) -> Option<Vec<u8>> {
    let info = code.op_code();
    let mut instruction = Instruction::default();
    instruction.set_code(code);
    let mut n_immediates = 0;
    for (operand, &kind) in (0_u32..).zip(info.op_kinds()) {
        let vsib = match kind {
            Kind::mem_vsib32x | Kind::mem_vsib64x => Some(Register::XMM7),
            Kind::mem_vsib32y | Kind::mem_vsib64y => Some(Register::YMM7),
            Kind::mem_vsib32z | Kind::mem_vsib64z => Some(Register::ZMM7),
            _ => None,
        };
        let is_memory = vsib.is_some()
            || matches!(
                kind,
                Kind::mem | Kind::mem_mpx | Kind::mem_mib | Kind::sibmem
            )
            || style.memory && format!("{kind:?}").contains("or_mem");
        let (op_kind, value) = match kind {
            Kind::imm8 | Kind::imm8_const_1 | Kind::imm4_m2z if n_immediates > 0 => {
                (OpKind::Immediate8_2nd, 1)
            }
            Kind::imm8_const_1 => (OpKind::Immediate8, 1),
            Kind::imm4_m2z => (OpKind::Immediate8, style.immediate & 1),
            Kind::imm8 => (OpKind::Immediate8, style.immediate & 0x7f),
            Kind::imm8sex16 => (OpKind::Immediate8to16, style.immediate & 0x7f),
            Kind::imm8sex32 => (OpKind::Immediate8to32, style.immediate & 0x7f),
            Kind::imm8sex64 => (OpKind::Immediate8to64, style.immediate & 0x7f),
            Kind::imm16 => (OpKind::Immediate16, style.immediate & 0x7fff),
            Kind::imm32 => (OpKind::Immediate32, style.immediate & 0x7fff_ffff),
            Kind::imm32sex64 => (OpKind::Immediate32to64, style.immediate & 0x7fff_ffff),
            Kind::imm64 => (OpKind::Immediate64, style.immediate << 8),
            Kind::seg_rSI => (OpKind::MemorySegRSI, 0),
            Kind::es_rDI => (OpKind::MemoryESRDI, 0),
            Kind::seg_rDI => (OpKind::MemorySegRDI, 0),
            Kind::br64_1 | Kind::br64_4 | Kind::xbegin_4 => (OpKind::NearBranch64, 0x40),
            _ if is_memory || kind == Kind::mem_offs || kind == Kind::seg_rBX_al => {
                (OpKind::Memory, 0)
            }
            _ => (OpKind::Register, 0),
        };
        instruction.try_set_op_kind(operand, op_kind).ok()?;
        match op_kind {
            OpKind::Register => {
                let register = register(kind, style.from + operand)?;
                instruction.try_set_op_register(operand, register).ok()?;
            }
            OpKind::NearBranch64 => {
                let far = if kind == Kind::br64_1 { 0x40 } else { 0x4000 };
                instruction.set_near_branch64(far);
            }
            OpKind::Memory if kind == Kind::mem_offs => {
                instruction.set_memory_displ_size(8);
                instruction.set_memory_displacement64(0x1122_3344_5566_7788);
            }
            OpKind::Memory if kind == Kind::seg_rBX_al => {
                instruction.set_memory_base(Register::RBX);
                instruction.set_memory_index(Register::AL);
            }
            OpKind::Memory => {
                instruction.set_memory_base(Register::RCX);
                instruction.set_memory_index(vsib.unwrap_or(Register::RDX));
                instruction.set_memory_index_scale(if kind == Kind::mem_mib { 1 } else { 4 });
                instruction.set_memory_displ_size(1);
                instruction.set_memory_displacement64(style.distance);
                instruction.set_is_broadcast(style.broadcast);
            }
            OpKind::MemorySegRSI | OpKind::MemoryESRDI | OpKind::MemorySegRDI => {}
            _ => {
                n_immediates += 1;
                instruction.try_set_immediate_u64(operand, value).ok()?;
            }
        }
    }
    if style.mask {
        instruction.set_op_mask(Register::K3);
    }
    instruction.set_zeroing_masking(style.zeroing);
    instruction.set_suppress_all_exceptions(style.sae);
    if style.rounding {
        instruction.set_rounding_control(RoundingControl::RoundUp);
    }
    instruction.set_has_lock_prefix(style.lock);
    instruction.set_has_rep_prefix(style.rep);
    let mut encoder = Encoder::new(64);
    encoder.encode(&instruction, 0).ok()?;
    Some(encoder.take_buffer())
}

fn decode(bytes: &[u8]) -> Instruction {
    Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE).decode()
}

/// Every form with every kind of operands that it takes.
fn forms() -> Vec<(Code, Vec<u8>)> {
    let plain = Style {
        memory: false,
        from: 1,
        immediate: 0x1234_5678,
        distance: 0x40,
        mask: false,
        zeroing: false,
        broadcast: false,
        rounding: false,
        sae: false,
        lock: false,
        rep: false,
    };
    let mut forms = Vec::new();
    for code in Code::values() {
        let info = code.op_code();
        if !info.is_instruction() || !info.mode64() {
            continue;
        }
        let needs = info.require_op_mask_register();
        let mut styles = Vec::new();
        for memory in [false, true] {
            let plain = Style {
                memory,
                mask: needs,
                ..plain
            };
            styles.push(plain);
            styles.push(Style {
                from: 8,
                distance: 0x1234,
                immediate: 0x1_0005,
                ..plain
            });
            if info.can_use_op_mask_register() {
                styles.push(Style {
                    mask: true,
                    ..plain
                });
                if info.can_use_zeroing_masking() && !needs {
                    styles.push(Style {
                        mask: true,
                        zeroing: true,
                        from: 17,
                        ..plain
                    });
                }
            }
            if info.can_broadcast() && memory {
                styles.push(Style {
                    broadcast: true,
                    ..plain
                });
            }
            if info.can_use_lock_prefix() && memory {
                styles.push(Style {
                    lock: true,
                    ..plain
                });
            }
            if info.can_use_rep_prefix() {
                styles.push(Style { rep: true, ..plain });
            }
            if info.can_use_rounding_control() && !memory {
                styles.push(Style {
                    rounding: true,
                    ..plain
                });
            } else if info.can_suppress_all_exceptions() && !memory {
                styles.push(Style { sae: true, ..plain });
            }
        }
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for style in styles {
            let Some(bytes) = instruction(code, style) else {
                continue;
            };
            // What decodes to another code is a form that cannot be written: another one wins.
            if decode(&bytes).code() == code && !seen.contains(&bytes) {
                seen.push(bytes.clone());
                forms.push((code, bytes));
            }
        }
    }
    forms
}

const SLOT: usize = 17;

/// What GNU's assembler makes of each line: nothing for a line that it refuses.
fn gnu(lines: &[String], att: bool) -> Option<Vec<Option<Vec<u8>>>> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("opcodon-gas-{}-{count}", std::process::id()));
    std::fs::create_dir_all(&folder).ok()?;
    let result = gnu_in(&folder, lines, att);
    let _ = std::fs::remove_dir_all(&folder);
    result
}

fn gnu_in(folder: &Path, lines: &[String], att: bool) -> Option<Vec<Option<Vec<u8>>>> {
    let (source, object, binary) = (folder.join("a.s"), folder.join("a.o"), folder.join("a.bin"));
    let mut refused = vec![false; lines.len()];
    // Where one line is refused there is no object file: leave out what is refused, then again.
    for _ in 0..3 {
        let mut text = String::new();
        if !att {
            text.push_str(".intel_syntax noprefix\n");
        } else {
            text.push_str(".att_syntax\n");
        }
        for (index, line) in lines.iter().enumerate() {
            let line = if refused[index] { "" } else { line };
            let end = (index + 1) * SLOT - 1;
            // Three lines of text each, the second of which is the instruction.
            writeln!(text, "1:\n{line}\n2: .org {end}, 0xcc; .byte 2b-1b").ok()?;
        }
        std::fs::write(&source, text).ok()?;
        let output = Command::new("as")
            .args([
                "--64",
                if att {
                    "-mmnemonic=att"
                } else {
                    "-mmnemonic=intel"
                },
                "-o",
            ])
            .args([&object, &source])
            .env("LC_ALL", "C")
            .output()
            .ok()?;
        let messages = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            break;
        }
        for message in messages.lines() {
            let mut parts = message.split(':');
            let line = parts.nth(1).and_then(|line| line.parse::<usize>().ok());
            if let (Some(line), Some(" Error")) = (line, parts.next())
                && let Some(flag) = refused.get_mut((line.saturating_sub(3)) / 3)
            {
                *flag = true;
            }
        }
    }
    let done = Command::new("objcopy")
        .args(["-O", "binary", "-j", ".text"])
        .args([&object, &binary])
        .status()
        .is_ok_and(|status| status.success());
    if !done {
        return None;
    }
    let bytes = std::fs::read(&binary).ok()?;
    let slots = bytes.chunks(SLOT).zip(refused);
    Some(
        slots
            .map(|(slot, refused)| {
                let length = usize::from(*slot.get(SLOT - 1)?);
                (!refused && length > 0).then(|| slot[..length.min(SLOT)].to_vec())
            })
            .collect(),
    )
}

/// The text of an instruction, with branches that say their distance rather than an address.
fn text(bytes: &[u8], syntax: Syntax) -> String {
    let text = disassemble(bytes, syntax);
    let decoded = decode(bytes);
    let is_branch = decoded.op0_kind() == OpKind::NearBranch64;
    match text.trim_end().rsplit_once(' ') {
        Some((name, _)) if is_branch => format!("{name} .+{}", decoded.near_branch64()),
        _ => text.trim_end().to_owned(),
    }
}

/// `least_equal` of ten thousand forms that GNU's assembler takes must come out the same.
fn compare(dialect: Dialect, syntax: Syntax, least_equal: usize) {
    let here = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    if !here("as") || !here("objcopy") {
        skip!("GNU as and objcopy are not here");
    }
    let forms = forms();
    let lines: Vec<String> = forms.iter().map(|form| text(&form.1, syntax)).collect();
    // What it refuses in one syntax it may take in the other: roundings stand elsewhere, say.
    let att: Vec<String> = forms
        .iter()
        .map(|form| text(&form.1, Syntax::Att))
        .collect();
    let both = (gnu(&lines, dialect == Dialect::Att), gnu(&att, true));
    let (Some(theirs), Some(fallback)) = both else {
        panic!("GNU as gave no code");
    };
    let theirs: Vec<_> = theirs
        .into_iter()
        .zip(fallback)
        .map(|(a, b)| a.or(b))
        .collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut examples: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (((code, bytes), line), theirs) in forms.iter().zip(&lines).zip(&theirs) {
        let ours = assemble(line, 0, dialect);
        let outcome = match (&ours, theirs) {
            (Ok(ours), Some(theirs)) if ours == theirs => "equal",
            (Ok(ours), Some(theirs)) if decode(ours) == decode(theirs) => "equivalent",
            (Ok(ours), Some(theirs)) if text(ours, syntax) == text(theirs, syntax) => "equivalent",
            (Ok(_), Some(_)) => "different",
            (Ok(ours), None) if text(ours, syntax) == *line => "ours only, round trip",
            (Ok(_), None) => "ours only, other",
            (Err(_), Some(_)) => "refused by us",
            (Err(_), None) => "refused by both",
        };
        *counts.entry("tried").or_default() += 1;
        *counts.entry(outcome).or_default() += 1;
        examples.entry(outcome).or_default().push(format!(
            "{code:?}: {line}: from {bytes:02x?} ours {ours:02x?} theirs {theirs:02x?}"
        ));
    }
    eprintln!("forms against GNU as, {}: {counts:?}", dialect.name());
    if let Ok(folder) = std::env::var("OPCODON_GAS_REPORT") {
        for (outcome, lines) in &examples {
            let name = format!("{}-{}", dialect.name(), outcome.replace([' ', ','], "-"));
            std::fs::write(Path::new(&folder).join(name), lines.join("\n"))
                .expect("the report's folder");
        }
    }
    let count = |outcome: &str| counts.get(outcome).copied().unwrap_or(0);
    let n_refused = count("refused by us") + count("refused by both");
    let n_good = count("equal") + count("equivalent");
    let n_bad = count("different") + count("refused by us");
    assert!(
        n_good * 10_000 >= (n_good + n_bad) * least_equal,
        "only {n_good} of {} forms are equal: {:#?}",
        n_good + n_bad,
        examples.get("different")
    );
    // What GNU's assembler refuses must still read back as what was written.
    assert_eq!(
        count("ours only, other"),
        0,
        "{:#?}",
        examples.get("ours only, other")
    );
    assert!(
        n_refused * 1000 <= count("tried") * 7,
        "{n_refused} forms are refused"
    );
}

#[test]
fn att() {
    compare(Dialect::Att, Syntax::Att, 9950);
}

#[test]
fn intel() {
    compare(Dialect::Intel, Syntax::Intel, 9980);
}

/// Whole programs, where lengths depend on each other. Without alignment there is one shortest
/// layout; with it, the order in which branches are looked at decides between several.
#[test]
fn branches_are_as_long_as_theirs() {
    let here = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    if !here("as") || !here("objcopy") {
        skip!("GNU as and objcopy are not here");
    }
    arbtest::arbtest(|u| {
        let n_labels = u.int_in_range(2..=40)?;
        let mut text = String::new();
        for label in 0..n_labels {
            writeln!(text, "l{label}:").expect("text");
            for _ in 0..u.int_in_range(0..=3)? {
                let target = u.int_in_range(0..=n_labels - 1)?;
                let name = *u.choose(&["jmp", "jne", "call", "jl"])?;
                writeln!(text, "{name} l{target}").expect("text");
            }
            let n_bytes = u.int_in_range(0..=90)?;
            match u.int_in_range(0..=3)? {
                0 => writeln!(text, ".fill {n_bytes}, 1, 0x90"),
                1 => writeln!(text, ".zero {n_bytes}"),
                2 => writeln!(
                    text,
                    "lea rax, [rip + l{label}]\nmov ecx, [rsp + {n_bytes}]"
                ),
                _ => writeln!(text, ".long {n_bytes}, l{label} - l0\n.asciz \"a\""),
            }
            .expect("text");
        }
        let ours = assemble(&text, 0, Dialect::Intel).expect(&text);
        let folder = std::env::temp_dir().join(format!("opcodon-gas-whole-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let theirs = whole(&folder, &text);
        let _ = std::fs::remove_dir_all(&folder);
        let at = ours.iter().zip(&theirs).position(|(a, b)| a != b);
        assert!(
            ours == theirs,
            "from {at:?} on:
{text}"
        );
        Ok(())
    })
    .budget_ms(2_000);
}

/// What GNU's assembler makes of a whole program.
fn whole(folder: &Path, text: &str) -> Vec<u8> {
    let (source, object, binary) = (folder.join("a.s"), folder.join("a.o"), folder.join("a.bin"));
    std::fs::write(&source, format!(".intel_syntax noprefix\n{text}")).expect("a file");
    let run = |tool: &str, arguments: &[&std::ffi::OsStr]| {
        let done = Command::new(tool).args(arguments).status();
        assert!(done.is_ok_and(|status| status.success()), "{tool}: {text}");
    };
    run("as", &["-o".as_ref(), object.as_ref(), source.as_ref()]);
    let flags = ["-O", "binary", "-j", ".text"].map(std::ffi::OsStr::new);
    run(
        "objcopy",
        &[&flags[..], &[object.as_ref(), binary.as_ref()]].concat(),
    );
    std::fs::read(&binary).expect("code")
}
