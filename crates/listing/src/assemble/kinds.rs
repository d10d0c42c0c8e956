//! What may stand where an operand of a kind is due: a register, memory, a number, a target.

use iced_x86::{Code, Mnemonic, OpCodeOperandKind as Kind, OpKind, Register};

/// Whether a code jumps to an address that stands in it.
pub(super) fn is_branch(code: Code) -> bool {
    code.op_code()
        .op_kinds()
        .iter()
        .any(|&kind| is_target(kind))
}

/// Kinds that stand for one memory operand through fixed registers.
pub(super) fn is_string(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::seg_rSI | Kind::es_rDI | Kind::seg_rDI | Kind::seg_rBX_al
    )
}

/// Instructions whose operands are fixed registers that manuals nevertheless write.
pub(super) fn takes_address(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Vmrun
            | Mnemonic::Vmload
            | Mnemonic::Vmsave
            | Mnemonic::Invlpga
            | Mnemonic::Invlpgb
            | Mnemonic::Clzero
            | Mnemonic::Skinit
            | Mnemonic::Pvalidate
            | Mnemonic::Monitor
            | Mnemonic::Monitorx
            | Mnemonic::Mwait
            | Mnemonic::Mwaitx
    )
}

/// Whether an operand of this kind can be this register.
///
/// The encoder checks the ranges as well, but goes on after a wrong operand and trips over the next.
pub(super) fn takes_register(kind: Kind, register: Register) -> bool {
    match kind {
        Kind::r8_or_mem | Kind::r8_reg | Kind::r8_opcode => register.is_gpr8(),
        Kind::r16_or_mem | Kind::r16_reg | Kind::r16_reg_mem | Kind::r16_rm | Kind::r16_opcode => {
            register.is_gpr16()
        }
        Kind::r32_or_mem
        | Kind::r32_or_mem_mpx
        | Kind::r32_reg
        | Kind::r32_reg_mem
        | Kind::r32_rm
        | Kind::r32_opcode
        | Kind::r32_vvvv => register.is_gpr32(),
        Kind::r64_or_mem
        | Kind::r64_or_mem_mpx
        | Kind::r64_reg
        | Kind::r64_reg_mem
        | Kind::r64_rm
        | Kind::r64_opcode
        | Kind::r64_vvvv => register.is_gpr64(),
        Kind::seg_reg => register.is_segment_register(),
        Kind::k_or_mem | Kind::k_reg | Kind::kp1_reg | Kind::k_rm | Kind::k_vvvv => register.is_k(),
        Kind::mm_or_mem | Kind::mm_reg | Kind::mm_rm => register.is_mm(),
        Kind::xmm_or_mem
        | Kind::xmm_reg
        | Kind::xmm_rm
        | Kind::xmm_vvvv
        | Kind::xmmp3_vvvv
        | Kind::xmm_is4
        | Kind::xmm_is5 => register.is_xmm(),
        Kind::ymm_or_mem
        | Kind::ymm_reg
        | Kind::ymm_rm
        | Kind::ymm_vvvv
        | Kind::ymm_is4
        | Kind::ymm_is5 => register.is_ymm(),
        Kind::zmm_or_mem | Kind::zmm_reg | Kind::zmm_rm | Kind::zmm_vvvv | Kind::zmmp3_vvvv => {
            register.is_zmm()
        }
        Kind::cr_reg => register.is_cr(),
        Kind::dr_reg => register.is_dr(),
        Kind::tr_reg => register.is_tr(),
        Kind::bnd_reg | Kind::bnd_or_mem_mpx => register.is_bnd(),
        Kind::tmm_reg | Kind::tmm_rm | Kind::tmm_vvvv => register.is_tmm(),
        Kind::sti_opcode => register.is_st(),
        Kind::es => register == Register::ES,
        Kind::cs => register == Register::CS,
        Kind::ss => register == Register::SS,
        Kind::ds => register == Register::DS,
        Kind::fs => register == Register::FS,
        Kind::gs => register == Register::GS,
        Kind::al => register == Register::AL,
        Kind::cl => register == Register::CL,
        Kind::ax => register == Register::AX,
        Kind::dx => register == Register::DX,
        Kind::eax => register == Register::EAX,
        Kind::rax => register == Register::RAX,
        Kind::st0 => register == Register::ST0,
        _ => false,
    }
}

pub(super) fn takes_memory(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::mem
            | Kind::mem_mpx
            | Kind::mem_mib
            | Kind::mem_offs
            | Kind::sibmem
            | Kind::mem_vsib32x
            | Kind::mem_vsib64x
            | Kind::mem_vsib32y
            | Kind::mem_vsib64y
            | Kind::mem_vsib32z
            | Kind::mem_vsib64z
            | Kind::r8_or_mem
            | Kind::r16_or_mem
            | Kind::r32_or_mem
            | Kind::r32_or_mem_mpx
            | Kind::r64_or_mem
            | Kind::r64_or_mem_mpx
            | Kind::mm_or_mem
            | Kind::xmm_or_mem
            | Kind::ymm_or_mem
            | Kind::zmm_or_mem
            | Kind::bnd_or_mem_mpx
            | Kind::k_or_mem
    )
}

pub(super) fn is_target(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::farbr2_2
            | Kind::farbr4_2
            | Kind::br16_1
            | Kind::br32_1
            | Kind::br64_1
            | Kind::br16_2
            | Kind::br32_4
            | Kind::br64_4
            | Kind::xbegin_2
            | Kind::xbegin_4
            | Kind::brdisp_2
            | Kind::brdisp_4
    )
}

/// What iced-x86 calls an immediate of this kind, and how many bytes it has.
pub(super) fn immediate_kind(kind: Kind) -> Option<(OpKind, usize)> {
    Some(match kind {
        Kind::imm4_m2z | Kind::imm8 | Kind::imm8_const_1 => (OpKind::Immediate8, 1),
        Kind::imm8sex16 => (OpKind::Immediate8to16, 1),
        Kind::imm8sex32 => (OpKind::Immediate8to32, 1),
        Kind::imm8sex64 => (OpKind::Immediate8to64, 1),
        Kind::imm16 => (OpKind::Immediate16, 2),
        Kind::imm32 => (OpKind::Immediate32, 4),
        Kind::imm32sex64 => (OpKind::Immediate32to64, 4),
        Kind::imm64 => (OpKind::Immediate64, 8),
        _ => return None,
    })
}
