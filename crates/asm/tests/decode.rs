//! Every vector instruction, decoded by iced-x86, is the one that was asked for.
//!
//! Three sweeps and a property: which kinds of operands a row takes (exactly those that the
//! decoder's own table says, and no instruction of the covered features is missing), every register
//! in every field, every shape of address – and random requests, most of them nonsense, that must be
//! refused or come back as they were.

#![allow(clippy::unwrap_used, reason = "tests")]

mod oracle;

use std::collections::BTreeMap;

use arbtest::arbitrary::{Result, Unstructured};
use arbtest::arbtest;
use iced_x86::{Code, CpuidFeature, EncodingKind, OpCodeOperandKind};
use opcodon_asm::{
    AsmError, Assembler, Encoding, Gpr, Inst, K1, K5, Mask, NONE, R9, R13, RBX, Reg, Rounding,
    Scale, Vreg, Width, gpr, inst,
};
use oracle::{Address, Base, Context, Index, Operand, Request, Trailer};

const WIDTHS: [Width; 3] = [Width::X, Width::Y, Width::Z];
const SCALES: [Scale; 4] = [Scale::S1, Scale::S2, Scale::S4, Scale::S8];
const TRAILERS: [Trailer; 3] = [Trailer::None, Trailer::Imm(0x5a), Trailer::Register(11)];
const ROUNDINGS: [Rounding; 4] = [
    Rounding::Nearest,
    Rounding::Down,
    Rounding::Up,
    Rounding::Zero,
];

fn gprs() -> impl Iterator<Item = Gpr> + Clone {
    (0..16).filter_map(Gpr::from_number)
}

fn at(base: Gpr) -> Address {
    Address {
        base: Base::Register(base),
        index: None,
        disp: 0,
    }
}

/// Every way to fill the fields of a row, one example each: the legal ones among them.
fn forms(inst: &'static Inst, encoding: Encoding) -> Vec<Request> {
    let classes =
        |vector: u8| -> [Reg; 4] { [Vreg::new(vector).into(), RBX.into(), K5.into(), NONE] };
    let vsib = Address {
        base: Base::Register(RBX),
        index: Some((Index::Vector(9), Scale::S4)),
        disp: 0,
    };
    let rms = classes(3).into_iter().map(Operand::Reg).chain([
        Operand::Mem(at(R9)),
        Operand::Bcast(at(R9)),
        Operand::Mem(vsib),
    ]);
    let contexts = [
        Context::default(),
        Context {
            mask: 1,
            ..Context::default()
        },
    ];
    let mut asm = Assembler::new();
    let mut forms = Vec::new();
    for width in WIDTHS {
        for rm in rms.clone() {
            for reg in classes(1) {
                for v in classes(2) {
                    for trailer in TRAILERS {
                        for context in contexts {
                            let is_evex = encoding == Encoding::Evex;
                            let is_sse = encoding == Encoding::Sse;
                            if is_sse && (width != Width::X || v != NONE)
                                || !is_evex && context.mask != 0
                                || encoding != Encoding::Vex
                                    && matches!(trailer, Trailer::Register(_))
                            {
                                continue; // cannot be said
                            }
                            let request = Request {
                                inst,
                                encoding,
                                width,
                                context,
                                reg,
                                v,
                                rm,
                                trailer,
                            };
                            if request.emit(&mut asm).is_ok() {
                                forms.push(request);
                            }
                        }
                    }
                }
            }
        }
    }
    forms
}

fn all_forms() -> Vec<Request> {
    inst::ALL
        .iter()
        .flat_map(|inst| Encoding::ALL.map(|encoding| forms(inst, encoding)))
        .flatten()
        .collect()
}

/// Whether the table claims to cover the features that this instruction needs.
fn is_covered(code: Code) -> bool {
    use CpuidFeature::*;
    code.cpuid_features().iter().all(|feature| {
        matches!(
            feature,
            SSE | SSE2
                | SSE3
                | SSSE3
                | SSE4_1
                | SSE4_2
                | AVX
                | AVX2
                | FMA
                | F16C
                | AVX512F
                | AVX512VL
                | AVX512DQ
                | AVX512BW
                | AVX512CD
                | AVX512_VPOPCNTDQ
                | AVX512_BITALG
                | AVX512_IFMA
                | AVX512_VBMI
                | AVX512_VBMI2
                | AVX512_VNNI
        )
    })
}

/// What the decoder's table and ours say an instruction takes beside registers.
#[derive(Debug, Default, PartialEq)]
struct Takes {
    register: bool,
    memory: bool,
    masked: bool,
    unmasked: bool,
    zeroing: bool,
    broadcast: bool,
    rounding: bool,
    sae: bool,
}

#[test]
fn rows_take_what_the_decoder_knows() {
    let mut asm = Assembler::new();
    let mut seen: BTreeMap<String, (Code, &str, Takes)> = BTreeMap::new();
    let mut n_forms = 0;
    for form in all_forms() {
        let mut look = |request: Request, note: fn(&mut Takes, &Request)| {
            let Ok(instruction) = request.check(&mut asm) else {
                return;
            };
            let (code, name) = (instruction.code(), request.inst.name());
            n_forms += 1;
            let (_, row, takes) = seen
                .entry(format!("{code:?}"))
                .or_insert_with(|| (code, name, Takes::default()));
            assert_eq!(name, *row, "two rows for {code:?}");
            note(takes, &request);
        };
        look(form, |takes, form| {
            match form.rm {
                Operand::Reg(_) => takes.register = true,
                Operand::Mem(_) | Operand::Bcast(_) => takes.memory = true,
            }
            takes.broadcast |= matches!(form.rm, Operand::Bcast(_));
            takes.masked |= form.context.mask != 0;
            takes.unmasked |= form.context.mask == 0;
        });
        if form.encoding != Encoding::Evex {
            continue;
        }
        let context = Context {
            zero: true,
            ..form.context
        };
        look(Request { context, ..form }, |takes, form| {
            assert_ne!(form.context.mask, 0, "zeroing without a mask: {form:?}");
            let is_store = form.inst.name().contains("_ST");
            assert!(
                !is_store || matches!(form.rm, Operand::Reg(_)),
                "zeroed memory: {form:?}"
            );
            takes.zeroing = true;
        });
        for rounding in ROUNDINGS {
            let context = Context {
                rounding: Some(rounding),
                ..form.context
            };
            look(Request { context, ..form }, |takes, form| {
                assert!(
                    matches!(form.rm, Operand::Reg(_)),
                    "rounding with memory: {form:?}"
                );
                takes.rounding = true;
            });
        }
        let context = Context {
            sae: true,
            ..form.context
        };
        look(Request { context, ..form }, |takes, form| {
            assert!(
                matches!(form.rm, Operand::Reg(_)),
                "sae with memory: {form:?}"
            );
            takes.sae = true;
        });
    }

    for (name, (code, row, ours)) in &seen {
        let info = code.op_code();
        let rm = (0..info.op_count())
            .map(|i| info.op_kind(i))
            .find(|&kind| matches!(oracle::field(kind), oracle::Field::Rm))
            .unwrap_or(OpCodeOperandKind::None);
        let rm = format!("{rm:?}");
        let masked = info.can_use_op_mask_register();
        let theirs = Takes {
            register: !rm.starts_with("mem"),
            memory: rm.starts_with("mem") || rm.ends_with("_or_mem"),
            masked,
            unmasked: !info.require_op_mask_register(),
            zeroing: info.can_use_zeroing_masking(),
            broadcast: info.can_broadcast(),
            // Where 32-bit integers become doubles there is nothing to round.
            rounding: info.can_use_rounding_control() && !info.ignores_rounding_control(),
            sae: info.can_suppress_all_exceptions() && !info.can_use_rounding_control(),
        };
        assert_eq!(&theirs, ours, "{name} by row {row}");
    }

    // No instruction of the covered features is missing, except for these (some are methods).
    let missing: Vec<String> = Code::values()
        .filter(|code| code.op_code().is_instruction() && code.op_code().mode64())
        .filter(|&code| is_covered(code))
        .map(|code| format!("{code:?}"))
        .filter(|name| !seen.contains_key(name))
        // MMX; fences; 64-bit destinations of results that fit 32 bits.
        .filter(|name| !name.contains("_mm") && !name[1..].starts_with("fence"))
        .filter(|name| !name.contains("_r64m") && !name.contains("_r64_"))
        .collect();
    expect_test::expect![[r#"
        VEX_Vzeroupper
        VEX_Vzeroall
        Maskmovdqu_rDI_xmm_xmm
        VEX_Vmaskmovdqu_rDI_xmm_xmm
        Crc32_r32_rm8
        Crc32_r32_rm16
        Crc32_r32_rm32
        Pcmpestrm64_xmm_xmmm128_imm8
        VEX_Vpcmpestrm64_xmm_xmmm128_imm8
        Pcmpestri64_xmm_xmmm128_imm8
        VEX_Vpcmpestri64_xmm_xmmm128_imm8"#]]
    .assert_eq(&missing.join("\n"));
    expect_test::expect!["715 rows, 2400 instructions of the decoder, 12103 forms"].assert_eq(
        &format!(
            "{} rows, {} instructions of the decoder, {n_forms} forms",
            inst::ALL.len(),
            seen.len()
        ),
    );
}

/// The field of a request, with another register of the same class.
fn with_number(reg: Reg, number: u8) -> Option<Reg> {
    let class = |example: Reg| format!("{reg:?}")[..1] == format!("{example:?}")[..1];
    if reg == NONE {
        None
    } else if class(Vreg::new(0).into()) {
        Some(Vreg::new(number).into())
    } else if class(K1.into()) {
        Mask::from_number(number).map(Reg::from)
    } else {
        Gpr::from_number(number).map(Reg::from)
    }
}

/// A request whose register numbers the encoding has must be accepted, any other refused.
fn check_numbers(asm: &mut Assembler, request: &Request) {
    let Request {
        reg,
        v,
        rm,
        encoding,
        ..
    } = *request;
    let (rm_number, index) = match rm {
        Operand::Reg(rm) => (rm.number(), None),
        Operand::Mem(address) | Operand::Bcast(address) => match address.index {
            Some((Index::Vector(index), _)) => (index, Some(index)),
            _ => (0, None),
        },
    };
    let is_high = encoding != Encoding::Evex && (reg.number() | v.number() | rm_number) >= 16;
    let name = request.inst.name();
    let is_gather = name.contains("GATHER");
    let overlaps = is_gather
        && (index == Some(reg.number())
            || encoding == Encoding::Vex
                && (index == Some(v.number()) || reg.number() == v.number()));
    match request.check(asm) {
        Ok(_) => assert!(!is_high && !overlaps, "{request:?}"),
        Err(AsmError::HighRegister { .. }) => assert!(is_high, "{request:?}"),
        Err(AsmError::GatherOverlap { .. }) => assert!(overlaps, "{request:?}"),
        Err(error) => panic!("{error}: {request:?}"),
    }
}

#[test]
fn every_register_in_every_field() {
    let mut asm = Assembler::new();
    for form in all_forms() {
        for number in 0..32 {
            if let Some(reg) = with_number(form.reg, number) {
                check_numbers(&mut asm, &Request { reg, ..form });
            }
            if let Some(v) = with_number(form.v, number) {
                check_numbers(&mut asm, &Request { v, ..form });
            }
            let rm = match form.rm {
                Operand::Reg(rm) => with_number(rm, number).map(Operand::Reg),
                Operand::Mem(Address {
                    index: Some((Index::Vector(_), scale)),
                    ..
                }) => Some(Operand::Mem(Address {
                    index: Some((Index::Vector(number), scale)),
                    ..at(R13)
                })),
                _ => None,
            };
            if let Some(rm) = rm {
                check_numbers(&mut asm, &Request { rm, ..form });
            }
            if form.context.mask != 0 && (1..8).contains(&number) {
                let context = Context {
                    mask: number,
                    ..form.context
                };
                check_numbers(&mut asm, &Request { context, ..form });
            }
            if let Trailer::Register(_) = form.trailer {
                let request = Request {
                    trailer: Trailer::Register(number),
                    ..form
                };
                match request.check(&mut asm) {
                    Ok(_) => assert!(number < 16),
                    Err(error) => assert!(number >= 16, "{error}: {request:?}"),
                }
            }
        }
        if let Trailer::Imm(_) = form.trailer {
            for imm in [0, 1, 0x7f, 0x80, 0xff] {
                check_numbers(
                    &mut asm,
                    &Request {
                        trailer: Trailer::Imm(imm),
                        ..form
                    },
                );
            }
        }
    }
}

/// All combinations of registers, for one row of each map.
#[test]
fn every_combination_of_registers() {
    let mut asm = Assembler::new();
    for inst in [&inst::MULPD, &inst::VFNMADD132PS, &inst::PCMPEQQ] {
        for encoding in Encoding::ALL {
            for form in forms(inst, encoding) {
                let Operand::Reg(_) = form.rm else { continue };
                for i in 0..32_u32.pow(3) {
                    let number = |shift: u32| u8::try_from((i >> shift) & 31).unwrap_or(0);
                    let Some(reg) = with_number(form.reg, number(0)) else {
                        continue;
                    };
                    let v = with_number(form.v, number(5)).unwrap_or(NONE);
                    let rm = Operand::Reg(Vreg::new(number(10)).into());
                    check_numbers(&mut asm, &Request { reg, v, rm, ..form });
                }
            }
        }
    }
}

/// Displacements around what one byte holds, for every possible factor.
fn edges() -> Vec<i32> {
    let mut edges = vec![0, 3, -5, 4096, i32::MIN, i32::MAX, i32::MIN + 64];
    for shift in 0..7 {
        for scaled in [-129, -128, -127, -1, 1, 127, 128] {
            edges.push(scaled << shift);
            edges.push((scaled << shift) + 1);
        }
    }
    edges.sort_unstable();
    edges.dedup();
    edges
}

#[test]
fn displacements_of_every_row() {
    let mut asm = Assembler::new();
    let edges = edges();
    for form in all_forms() {
        let (Operand::Mem(address) | Operand::Bcast(address)) = form.rm else {
            continue;
        };
        for &disp in &edges {
            for base in [Base::Register(gpr::RDI), Base::Register(R13), Base::None] {
                let address = Address {
                    base,
                    disp,
                    ..address
                };
                let rm = match form.rm {
                    Operand::Bcast(_) => Operand::Bcast(address),
                    _ => Operand::Mem(address),
                };
                Request { rm, ..form }.check(&mut asm).unwrap();
            }
        }
        // Relative to rip, ahead, with the immediate counted in.
        if address.index.is_none() {
            for (label, disp) in [(0, 0), (15, 0), (200, 0), (16, 24), (64, -64)] {
                let rm = match form.rm {
                    Operand::Bcast(_) => Operand::Bcast(Address {
                        base: Base::Label(label),
                        index: None,
                        disp,
                    }),
                    _ => Operand::Mem(Address {
                        base: Base::Label(label),
                        index: None,
                        disp,
                    }),
                };
                Request { rm, ..form }.check(&mut asm).unwrap();
            }
        }
    }
}

/// Every base with every index and scale, for one row of each kind of encoding.
#[test]
fn every_address() {
    let mut asm = Assembler::new();
    let edges = [
        0,
        1,
        8,
        64,
        127,
        128,
        -128,
        -129,
        127 * 64,
        128 * 64,
        -128 * 64,
        1 << 20,
    ];
    let rows = [
        &inst::MOVUPS,
        &inst::SHUFPD,
        &inst::VFMADD231PD,
        &inst::CVTPS2PD,
        &inst::PMOVZXBQ,
    ];
    let bases: Vec<Base> = gprs()
        .map(Base::Register)
        .chain([Base::None, Base::Label(40)])
        .collect();
    let indices: Vec<_> = gprs()
        .flat_map(|index| SCALES.map(|scale| Some((Index::General(index), scale))))
        .chain([None])
        .collect();
    for inst in rows {
        for form in Encoding::ALL
            .iter()
            .flat_map(|&encoding| forms(inst, encoding))
        {
            if form.context.mask != 0 || matches!(form.rm, Operand::Reg(_)) {
                continue;
            }
            for &base in &bases {
                for &index in &indices {
                    for disp in edges {
                        let address = Address { base, index, disp };
                        let rm = match form.rm {
                            Operand::Bcast(_) => Operand::Bcast(address),
                            _ => Operand::Mem(address),
                        };
                        let is_rsp = matches!(index, Some((Index::General(gpr::RSP), _)));
                        let is_rip = matches!(base, Base::Label(_)) && index.is_some();
                        match (Request { rm, ..form }).check(&mut asm) {
                            Ok(_) => assert!(!is_rsp && !is_rip, "{address:?}"),
                            Err(AsmError::Address { .. }) => {
                                assert!(is_rsp || is_rip, "{address:?}")
                            }
                            Err(error) => panic!("{error}: {address:?}"),
                        }
                    }
                }
            }
        }
    }
}

fn arbitrary_register(u: &mut Unstructured<'_>) -> Result<Reg> {
    let number: u8 = u.int_in_range(0..=31)?;
    Ok(match u.int_in_range(0..=9)? {
        0 => Gpr::from_number(number & 15).map_or(NONE, Reg::from),
        1 => Mask::from_number(number & 7).map_or(NONE, Reg::from),
        2 => NONE,
        3 => Vreg::new(u.arbitrary()?).into(),
        _ => Vreg::new(number).into(),
    })
}

fn arbitrary_address(u: &mut Unstructured<'_>) -> Result<Address> {
    let register = |u: &mut Unstructured<'_>| -> Result<Gpr> {
        Ok(Gpr::from_number(u.int_in_range(0..=15)?).unwrap_or(RBX))
    };
    let base = match u.int_in_range(0..=5)? {
        0 => Base::None,
        1 => Base::Label(u.int_in_range(0..=300)?),
        _ => Base::Register(register(u)?),
    };
    let scale = *u.choose(&SCALES)?;
    let index = match u.int_in_range(0..=3)? {
        0 => Some((Index::General(register(u)?), scale)),
        1 => Some((Index::Vector(u.int_in_range(0..=33)?), scale)),
        _ => None,
    };
    let disp = match u.int_in_range(0..=2)? {
        0 => 0,
        1 => u.int_in_range(-130..=130)? << u.int_in_range(0..=6)?,
        _ => u.arbitrary()?,
    };
    Ok(Address { base, index, disp })
}

fn arbitrary_request(u: &mut Unstructured<'_>, forms: &[Request]) -> Result<Request> {
    // A legal request, of which every number is replaced and now and then a kind.
    let mut request = *u.choose(forms)?;
    let register = |u: &mut Unstructured<'_>, old: Reg| -> Result<Reg> {
        Ok(if u.ratio(1, 16)? {
            arbitrary_register(u)?
        } else {
            let most = if request.encoding == Encoding::Evex {
                31
            } else {
                16
            };
            with_number(old, u.int_in_range(0..=most)?).unwrap_or(old)
        })
    };
    let new_reg = register(u, request.reg)?;
    let new_v = register(u, request.v)?;
    request.rm = match request.rm {
        _ if u.ratio(1, 16)? => match u.int_in_range(0..=2)? {
            0 => Operand::Reg(arbitrary_register(u)?),
            1 => Operand::Mem(arbitrary_address(u)?),
            _ => Operand::Bcast(arbitrary_address(u)?),
        },
        Operand::Reg(rm) => Operand::Reg(register(u, rm)?),
        Operand::Mem(_) => Operand::Mem(arbitrary_address(u)?),
        Operand::Bcast(_) => Operand::Bcast(arbitrary_address(u)?),
    };
    request.reg = new_reg;
    if request.encoding != Encoding::Sse {
        request.v = new_v;
    }
    if request.encoding == Encoding::Evex {
        request.context = Context {
            mask: u.int_in_range(0..=7)?,
            zero: u.ratio(1, 4)?,
            sae: u.ratio(1, 16)?,
            rounding: None,
        };
        if !request.context.sae && u.ratio(1, 8)? {
            request.context.rounding = Some(*u.choose(&ROUNDINGS)?);
        }
    }
    if request.encoding != Encoding::Sse && u.ratio(1, 16)? {
        request.width = *u.choose(&WIDTHS)?;
    }
    if u.ratio(1, 16)? {
        request.trailer = match (request.encoding, u.int_in_range(0..=2)?) {
            (Encoding::Vex, 0) => Trailer::Register(u.arbitrary()?),
            (_, 1) => Trailer::Imm(u.arbitrary()?),
            _ => Trailer::None,
        };
    }
    Ok(request)
}

/// Whatever is asked for, the bytes are that, or there are none.
#[test]
fn random_requests_are_refused_or_come_back() {
    let forms = all_forms();
    let mut asm = Assembler::new();
    arbtest(|u| {
        let request = arbitrary_request(u, &forms)?;
        let _ = request.check(&mut asm);
        Ok(())
    })
    .size_max(256)
    .budget_ms(1000);
}

#[test]
fn features_are_those_of_the_decoder() {
    let mut asm = Assembler::new();
    for form in all_forms() {
        let code = form.check(&mut asm).unwrap().code();
        let ours = form.inst.feature(form.encoding, form.width).unwrap();
        let ours = format!("{ours:?}").to_uppercase();
        let theirs: Vec<String> = code
            .cpuid_features()
            .iter()
            .map(|feature| format!("{feature:?}").replace('_', ""))
            .filter(|feature| feature != "AVX512VL" || code.cpuid_features().len() == 1)
            .collect();
        // AVX has the memory form of some broadcasts whose register form came with AVX2: the row
        // names the later one.
        let is_later = ours == "AVX2" && theirs == ["AVX"];
        assert!(
            theirs == [ours.as_str()] || is_later,
            "{form:?}: {ours} or {theirs:?}"
        );
        if form.encoding != Encoding::Evex {
            assert_ne!(code.op_code().encoding(), EncodingKind::EVEX);
        }
    }
}
