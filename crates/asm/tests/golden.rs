//! One encoding per feature, bytes as the manual and other assemblers have them, and one message
//! per mistake.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;

use expect_test::{Expect, expect};
use opcodon_asm::{
    Assembler, Evex, K1, K2, K3, K5, K7, Mem, NONE, R8, R9, R12, R13, RAX, RBP, RBX, RCX, RDI, RSI,
    RSP, Rm, Rounding, Scale, Vreg, Width, inst,
};

fn v(number: u8) -> Vreg {
    Vreg::new(number)
}

/// Bytes in hexadecimal, one instruction a line, with the disassembly of a foreign tool.
fn check(emit: impl FnOnce(&mut Assembler), expected: Expect) {
    use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
    let mut asm = Assembler::new();
    emit(&mut asm);
    let bytes = asm.finish().unwrap();
    let mut formatter = IntelFormatter::new();
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    let mut out = String::new();
    while decoder.can_decode() {
        let start = decoder.position();
        let instruction = decoder.decode();
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        let hex: Vec<String> = bytes[start..decoder.position()]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        writeln!(out, "{:36} {text}", hex.join(" ")).unwrap();
    }
    expected.assert_eq(&out);
}

#[test]
fn legacy() {
    check(
        |asm| {
            asm.sse(&inst::ADDSD, v(0), v(1)); // F2
            asm.sse(&inst::ADDPS, v(1), v(8)); // no prefix, REX.B
            asm.sse(&inst::ADDPD, v(9), Mem::base(RSP).disp(8)); // 66, REX.R, SIB
            asm.sse(&inst::MOVSD, v(3), Mem::base(R12).index(R9, Scale::S8)); // REX.XB
            asm.sse(&inst::CVTSI2SD, v(2), RAX); // REX.W
            asm.sse(&inst::CVTTSD2SI_32, R9, v(2));
            asm.sse(&inst::MOVQ, v(4), RCX);
            asm.sse(&inst::BLENDVPD, v(5), v(6)); // map 0F38
            asm.sse_i(&inst::ROUNDSD, v(5), v(6), 3); // map 0F3A, immediate
            asm.sse_i(&inst::PSLLQ_I, NONE, v(10), 52); // /6
            asm.sse(&inst::MOVUPD_ST, v(7), Mem::base(RBP)); // needs a displacement
            asm.sse(&inst::LDMXCSR, NONE, Mem::base(RSP).disp(-4)); // /2
        },
        expect![[r#"
            f2 0f 58 c1                          addsd xmm0,xmm1
            41 0f 58 c8                          addps xmm1,xmm8
            66 44 0f 58 4c 24 08                 addpd xmm9,[rsp+8]
            f2 43 0f 10 1c cc                    movsd xmm3,[r12+r9*8]
            f2 48 0f 2a d0                       cvtsi2sd xmm2,rax
            f2 44 0f 2c ca                       cvttsd2si r9d,xmm2
            66 48 0f 6e e1                       movq xmm4,rcx
            66 0f 38 15 ee                       blendvpd xmm5,xmm6
            66 0f 3a 0b ee 03                    roundsd xmm5,xmm6,3
            66 41 0f 73 f2 34                    psllq xmm10,34h
            66 0f 11 7d 00                       movupd [rbp],xmm7
            0f ae 54 24 fc                       ldmxcsr [rsp-4]
        "#]],
    );
}

#[test]
fn vex() {
    check(
        |asm| {
            asm.vex(&inst::ADDPD, Width::Y, v(0), v(1), v(2)); // two-byte
            asm.vex(&inst::ADDPD, Width::X, v(8), v(15), v(2)); // two-byte, R and vvvv
            asm.vex(&inst::ADDPD, Width::Y, v(0), v(1), v(8)); // three-byte: B
            asm.vex(
                &inst::ADDSD,
                Width::X,
                v(0),
                v(1),
                Mem::base(RDI).index(R9, Scale::S1),
            ); // X
            asm.vex(&inst::CVTSI2SD, Width::X, v(0), v(1), RAX); // three-byte: W
            asm.vex(&inst::VFMADD213PD, Width::Y, v(1), v(2), v(3)); // map 0F38, W1
            asm.vex(&inst::VFMADD213PS, Width::Y, v(1), v(2), v(3)); // W0
            asm.vex_i(&inst::CMPPD, Width::Y, v(1), v(2), Mem::base(R13), 0x11);
            asm.vex_i(&inst::PSLLD_I, Width::Y, NONE, v(7), v(9), 23); // destination in vvvv
            asm.vex4(&inst::VBLENDVPD, Width::Y, v(1), v(2), v(3), v(12)); // fourth register
            asm.vex(
                &inst::VGATHERDPD,
                Width::Y,
                v(1),
                v(3),
                Mem::base(RSI).vector_index(v(2), Scale::S8),
            );
            asm.vex(
                &inst::VMASKMOVPD_ST,
                Width::Y,
                v(4),
                v(5),
                Mem::base(RDI).disp(0x1000),
            );
            asm.vex(&inst::KMOVW_KR, Width::X, K3, NONE, R8);
            asm.vex(&inst::KANDW, Width::X, K1, K2, K7); // L1
            asm.vex(&inst::MOVMSKPD, Width::Y, RBX, NONE, v(3));
        },
        expect![[r#"
            c5 f5 58 c2                          vaddpd ymm0,ymm1,ymm2
            c5 01 58 c2                          vaddpd xmm8,xmm15,xmm2
            c4 c1 75 58 c0                       vaddpd ymm0,ymm1,ymm8
            c4 a1 73 58 04 0f                    vaddsd xmm0,xmm1,[rdi+r9]
            c4 e1 f3 2a c0                       vcvtsi2sd xmm0,xmm1,rax
            c4 e2 ed a8 cb                       vfmadd213pd ymm1,ymm2,ymm3
            c4 e2 6d a8 cb                       vfmadd213ps ymm1,ymm2,ymm3
            c4 c1 6d c2 4d 00 11                 vcmplt_oqpd ymm1,ymm2,[r13]
            c4 c1 45 72 f1 17                    vpslld ymm7,ymm9,17h
            c4 e3 6d 4b cb c0                    vblendvpd ymm1,ymm2,ymm3,ymm12
            c4 e2 e5 92 0c d6                    vgatherdpd ymm1,[rsi+xmm2*8],ymm3
            c4 e2 55 2f a7 00 10 00 00           vmaskmovpd [rdi+1000h],ymm5,ymm4
            c4 c1 78 92 d8                       kmovw k3,r8d
            c5 ec 41 cf                          kandw k1,k2,k7
            c5 fd 50 db                          vmovmskpd ebx,ymm3
        "#]],
    );
}

#[test]
fn evex() {
    check(
        |asm| {
            let (x, y, z) = (Width::X, Width::Y, Width::Z);
            let e = Evex::NONE;
            asm.evex(&inst::ADDPD, z, e, v(0), v(1), v(2));
            asm.evex(&inst::ADDPD, z, e, v(31), v(0), v(0)); // R, R'
            asm.evex(&inst::ADDPD, z, e, v(0), v(31), v(0)); // vvvv, V'
            asm.evex(&inst::ADDPD, z, e, v(0), v(0), v(31)); // B, X
            asm.evex(&inst::ADDPS, x, Evex::mask(K1), v(1), v(2), v(3)); // merging
            asm.evex(&inst::ADDPS, y, Evex::mask(K7).zeroing(), v(1), v(2), v(3)); // zeroing
            asm.evex(
                &inst::ADDPD,
                z,
                e.rounding(Rounding::Zero),
                v(1),
                v(2),
                v(3),
            ); // {rz-sae}
            asm.evex(&inst::ADDSD, x, e.rounding(Rounding::Up), v(1), v(2), v(3)); // scalar
            asm.evex(&inst::MAXPD, z, Evex::mask(K5).sae(), v(1), v(2), v(3)); // {sae}
            asm.evex(
                &inst::MULPD,
                z,
                e,
                v(1),
                v(2),
                Mem::base(RDI).disp(127 * 64),
            ); // disp8 × 64
            asm.evex(
                &inst::MULPD,
                z,
                e,
                v(1),
                v(2),
                Mem::base(RDI).disp(128 * 64),
            ); // disp32
            asm.evex(&inst::MULPD, z, e, v(1), v(2), Mem::base(RDI).disp(1)); // disp32: no multiple
            asm.evex(
                &inst::MULPD,
                z,
                e,
                v(1),
                v(2),
                Mem::base(RSI).disp(-1024).bcast(),
            ); // disp8 × 8
            asm.evex(
                &inst::MULPS,
                y,
                e,
                v(1),
                v(2),
                Mem::base(RSI).disp(4).bcast(),
            ); // disp8 × 4
            asm.evex(&inst::CVTPS2PD, z, e, v(1), NONE, Mem::base(R13).disp(32)); // half
            asm.evex(
                &inst::MOVUPD_ST,
                z,
                Evex::mask(K1),
                v(20),
                NONE,
                Mem::base(RSP).disp(64),
            );
            asm.evex_i(&inst::CMPPD, z, Evex::mask(K2), K3, v(4), v(5), 0x1e); // into a mask
            asm.evex_i(&inst::VPTERNLOGQ, z, e, v(1), v(2), v(3), 0x96);
            asm.evex_i(&inst::PSRLQ_I, z, e, NONE, v(17), v(18), 52);
            let indices = Mem::base(RSI).vector_index(v(29), Scale::S8);
            asm.evex(&inst::VGATHERQPD, z, Evex::mask(K1), v(30), NONE, indices); // V' of the index
            asm.evex(&inst::VPBROADCASTQ_R, z, e, v(16), NONE, R9);
            asm.evex(
                &inst::MULPD,
                z,
                e,
                v(1),
                v(2),
                Mem::absolute(64).index(RCX, Scale::S4),
            );
        },
        expect![[r#"
            62 f1 f5 48 58 c2                    vaddpd zmm0,zmm1,zmm2
            62 61 fd 48 58 f8                    vaddpd zmm31,zmm0,zmm0
            62 f1 85 40 58 c0                    vaddpd zmm0,zmm31,zmm0
            62 91 fd 48 58 c7                    vaddpd zmm0,zmm0,zmm31
            62 f1 6c 09 58 cb                    vaddps xmm1{k1},xmm2,xmm3
            62 f1 6c af 58 cb                    vaddps ymm1{k7}{z},ymm2,ymm3
            62 f1 ed 78 58 cb                    vaddpd zmm1{rz-sae},zmm2,zmm3
            62 f1 ef 58 58 cb                    vaddsd xmm1{ru-sae},xmm2,xmm3
            62 f1 ed 1d 5f cb                    vmaxpd zmm1{k5}{sae},zmm2,zmm3
            62 f1 ed 48 59 4f 7f                 vmulpd zmm1,zmm2,[rdi+1FC0h]
            62 f1 ed 48 59 8f 00 20 00 00        vmulpd zmm1,zmm2,[rdi+2000h]
            62 f1 ed 48 59 8f 01 00 00 00        vmulpd zmm1,zmm2,[rdi+1]
            62 f1 ed 58 59 4e 80                 vmulpd zmm1,zmm2,[rsi-400h]{1to8}
            62 f1 6c 38 59 4e 01                 vmulps ymm1,ymm2,[rsi+4]{1to8}
            62 d1 7c 48 5a 4d 01                 vcvtps2pd zmm1,[r13+20h]
            62 e1 fd 49 11 64 24 01              vmovupd [rsp+40h]{k1},zmm20
            62 f1 dd 4a c2 dd 1e                 vcmpgt_oqpd k3{k2},zmm4,zmm5
            62 f3 ed 48 25 cb 96                 vpternlogq zmm1,zmm2,zmm3,96h
            62 b1 f5 40 73 d2 34                 vpsrlq zmm17,zmm18,34h
            62 22 fd 41 93 34 ee                 vgatherqpd zmm30,k1,[rsi+zmm29*8]
            62 c2 fd 48 7c c1                    vpbroadcastq zmm16,r9
            62 f1 ed 48 59 0c 8d 40 00 00 00     vmulpd zmm1,zmm2,[rcx*4+40h]
        "#]],
    );
}

#[test]
fn mistakes() {
    let z = Width::Z;
    let e = Evex::NONE;
    let mem = Mem::base(RDI);
    let mut messages = String::new();
    let mut refused = |emit: &dyn Fn(&mut Assembler)| {
        let mut asm = Assembler::new();
        asm.ret();
        emit(&mut asm);
        assert_eq!(asm.position(), 1, "nothing is emitted");
        asm.vex(&inst::ADDPD, z, v(0), v(0), v(0)); // the first mistake stays
        writeln!(messages, "{}", asm.finish().unwrap_err()).unwrap();
    };
    refused(&|asm| asm.sse(&inst::VFMADD213PD, v(0), v(1)));
    refused(&|asm| asm.vex(&inst::MULPD, z, v(0), v(1), v(2)));
    refused(&|asm| asm.evex(&inst::ADDSD, z, e, v(0), v(1), v(2)));
    refused(&|asm| asm.evex(&inst::ADDPD, z, e, K1, v(1), v(2)));
    refused(&|asm| asm.evex(&inst::SQRTPD, z, e, v(0), v(1), v(2)));
    refused(&|asm| asm.evex(&inst::ADDPD, z, e, v(0), NONE, v(2)));
    refused(&|asm| asm.evex(&inst::ADDPD, z, e, v(0), v(1), RAX));
    refused(&|asm| asm.evex(&inst::ADDPD, z, e, v(0), v(1), v(32)));
    refused(&|asm| asm.evex(&inst::ADDPD, z, e, v(0), v(1), v(0xff)));
    refused(&|asm| asm.vex(&inst::ADDPD, Width::Y, v(0), v(1), mem.bcast()));
    refused(&|asm| asm.evex(&inst::ADDSD, Width::X, e, v(0), v(1), mem.bcast()));
    refused(&|asm| asm.evex(&inst::VGATHERQPD, z, Evex::mask(K1), v(0), NONE, v(2)));
    refused(&|asm| asm.vex(&inst::ADDPD, Width::Y, v(0), v(1), v(16)));
    refused(&|asm| asm.sse(&inst::ADDPD, v(31), mem));
    refused(&|asm| asm.evex(&inst::ADDPD, z, e.zeroing(), v(0), v(1), v(2)));
    refused(&|asm| asm.evex_i(&inst::CMPPD, z, Evex::mask(K1).zeroing(), K1, v(1), v(2), 0));
    refused(&|asm| {
        asm.evex(
            &inst::MOVUPS_ST,
            z,
            Evex::mask(K1).zeroing(),
            v(1),
            NONE,
            mem,
        )
    });
    let indices = mem.vector_index(v(2), Scale::S8);
    refused(&|asm| asm.evex(&inst::VGATHERQPD, z, e, v(1), NONE, indices));
    refused(&|asm| asm.evex(&inst::VGATHERQPD, z, Evex::mask(K1), v(2), NONE, indices));
    refused(&|asm| asm.vex(&inst::VGATHERQPD, Width::Y, v(1), v(1), indices));
    refused(&|asm| asm.evex(&inst::ADDPD, z, e.rounding(Rounding::Up), v(0), v(1), mem));
    refused(&|asm| {
        asm.evex(
            &inst::ADDPD,
            Width::Y,
            e.rounding(Rounding::Up),
            v(0),
            v(1),
            v(2),
        )
    });
    refused(&|asm| asm.evex(&inst::ADDPD, z, e.sae(), v(0), v(1), v(2)));
    refused(&|asm| asm.evex(&inst::MAXPD, z, e.rounding(Rounding::Up), v(0), v(1), v(2)));
    refused(&|asm| asm.evex(&inst::VPTERNLOGQ, z, e, v(0), v(1), v(2)));
    refused(&|asm| asm.vex_i(&inst::ADDPD, Width::Y, v(0), v(1), v(2), 1));
    refused(&|asm| asm.vex_i(&inst::VBLENDVPD, Width::Y, v(0), v(1), v(2), 1));
    refused(&|asm| asm.vex4(&inst::VBLENDVPD, Width::Y, v(0), v(1), v(2), v(16)));
    refused(&|asm| asm.vex4(&inst::VBLENDVPD, Width::Y, v(0), v(1), v(2), RAX));
    refused(&|asm| {
        asm.vex(
            &inst::ADDPD,
            Width::Y,
            v(0),
            v(1),
            mem.index(RSP, Scale::S1),
        )
    });
    refused(&|asm| asm.vex(&inst::ADDPD, Width::Y, v(0), v(1), indices));
    refused(&|asm| asm.evex(&inst::VGATHERQPD, z, Evex::mask(K1), v(0), NONE, mem));
    refused(&|asm| {
        let label = asm.label();
        asm.bind(label);
        asm.evex(
            &inst::ADDPD,
            z,
            e,
            v(0),
            v(1),
            Mem::rip(label).index(RAX, Scale::S2),
        );
    });
    refused(&|asm| asm.sse(&inst::MOVQ, v(0), Rm::from(K1)));
    expect![[r#"
        VFMADD213PD has no SSE encoding
        MULPD has no VEX encoding of width Z
        ADDSD has no EVEX encoding of width Z
        ADDPD (EVEX) does not take such an operand as its reg
        SQRTPD (EVEX) does not take such an operand as its v
        ADDPD (EVEX) does not take such an operand as its v
        ADDPD (EVEX) does not take such an operand as its rm
        ADDPD (EVEX) does not take such an operand as its rm
        ADDPD (EVEX) does not take such an operand as its rm
        ADDPD (VEX) does not take such an operand as its rm
        ADDSD (EVEX) does not take such an operand as its rm
        VGATHERQPD (EVEX) does not take such an operand as its rm
        ADDPD: vector registers 16 to 31 cannot be encoded in VEX, use evex
        ADDPD: vector registers 16 to 31 cannot be encoded in SSE, use evex
        ADDPD does not take this combination of mask and zeroing
        CMPPD does not take this combination of mask and zeroing
        MOVUPS_ST does not take this combination of mask and zeroing
        VGATHERQPD does not take this combination of mask and zeroing
        VGATHERQPD: destination, indices and mask must be different registers
        VGATHERQPD: destination, indices and mask must be different registers
        ADDPD does not take this embedded rounding or sae here: it needs register operands, and 512 bits if packed
        ADDPD does not take this embedded rounding or sae here: it needs register operands, and 512 bits if packed
        ADDPD does not take this embedded rounding or sae here: it needs register operands, and 512 bits if packed
        MAXPD does not take this embedded rounding or sae here: it needs register operands, and 512 bits if packed
        VPTERNLOGQ (EVEX): an immediate is missing or not taken
        ADDPD (VEX): an immediate is missing or not taken
        VBLENDVPD (VEX): an immediate is missing or not taken
        VBLENDVPD (VEX) does not take such an operand as its fourth
        VBLENDVPD (VEX) does not take such an operand as its fourth
        ADDPD: the address cannot be encoded (rsp as index, an index beside a label, or a vector of indices missing or not taken)
        ADDPD: the address cannot be encoded (rsp as index, an index beside a label, or a vector of indices missing or not taken)
        VGATHERQPD (EVEX) does not take such an operand as its rm
        ADDPD: the address cannot be encoded (rsp as index, an index beside a label, or a vector of indices missing or not taken)
        MOVQ (SSE) does not take such an operand as its rm
    "#]].assert_eq(&messages);
}
