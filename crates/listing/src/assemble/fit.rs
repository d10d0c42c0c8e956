//! One written instruction and one code of iced-x86's table to an instruction, if they fit.
//!
//! The kinds of a code's operands say what may stand where; registers are then left to the encoder,
//! which knows the ranges of every field. What the encoder does not know is how people write: which
//! operands may be left out, what sizes mean, and which numbers fit a field in which the processor
//! extends the sign.

use std::ops::Range;

use iced_x86::{
    Code, Encoder, EncodingKind, Instruction, MandatoryPrefix, MemorySize, Mnemonic, OpCodeInfo,
    OpCodeOperandKind as Kind, OpKind, Register,
};

use super::address::{address, check_size, string};
use super::expr::Scope;
use super::kinds::{
    immediate_kind, is_branch, is_string, is_target, takes_address, takes_memory, takes_register,
};
use super::names::STRINGS;
use super::place::{Misfit, Place, set_kind};
use super::program::{Immediate, Operand, Value, Written};

/// Where the operand of a code comes from.
#[derive(Clone, Copy, Debug)]
enum Slot {
    /// The written operand of this number.
    Written(usize),
    /// The number that the mnemonic says.
    Said(u8),
    /// Nowhere: there is only one that it can be.
    Implied,
}

/// A code, and which written operand is which of its own.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) code: Code,
    slots: Vec<Slot>,
    /// A mask that is written like an operand, as in listings of gathers.
    mask: Option<Register>,
}

/// The code, and which operand is which; nothing if their numbers do not fit.
pub(super) fn candidate(code: Code, written: &Written) -> Option<Candidate> {
    let kinds = code.op_code().op_kinds();
    let is_long = |kind: &Kind| matches!(kind, Kind::imm64 | Kind::mem_offs);
    if written.name == "movabs" && !kinds.iter().any(is_long) {
        return None;
    }
    // `loop` counts in `ecx` only if the text says so, even where that would reach further.
    let counts_narrow = is_branch(code) && code.op_code().address_size() == 32;
    if counts_narrow && !written.prefixes.addr32 && code.mnemonic() != Mnemonic::Jecxz {
        return None;
    }
    let n_written = written.operands.len();
    if n_written == 0 && STRINGS.contains(&written.name.as_str()) {
        return None;
    }
    let mut given: Vec<Slot> = (0..n_written).map(Slot::Written).collect();
    given.extend(written.mnemonic.last.map(Slot::Said));
    // A third operand of these is always xmm0, and may be written.
    let has_xmm0 = matches!(
        code.mnemonic(),
        Mnemonic::Blendvps | Mnemonic::Blendvpd | Mnemonic::Pblendvb | Mnemonic::Sha256rnds2
    );
    if has_xmm0
        && given.len() == 3
        && matches!(written.operands[2].value, Value::Register(Register::XMM0))
    {
        given.pop();
    }
    // `imul eax, 5` is `imul eax, eax, 5`.
    if code.mnemonic() == Mnemonic::Imul
        && given.len() == 2
        && kinds.len() == 3
        && matches!(written.operands[0].value, Value::Register(_))
    {
        given.insert(1, Slot::Written(0));
    }
    let register = |slot: &Slot| match slot {
        Slot::Written(index) => match written.operands[*index].value {
            Value::Register(register) => Some(register),
            _ => None,
        },
        _ => None,
    };
    let mut mask = None;
    if code.op_code().require_op_mask_register() && given.len() == kinds.len() + 1 {
        let is_mask = |slot: &Slot| register(slot).is_some_and(Register::is_k);
        let at = given.iter().position(is_mask)?;
        mask = register(&given.remove(at));
    }
    // What the processor takes and the table does not list may be written as well: the top of the
    // floating-point stack, and the address of instructions that name no operands.
    if given.len() > kinds.len() {
        let is_st = |slot: &Slot| register(slot) == Some(Register::ST0);
        if let Some(at) = given.iter().position(is_st) {
            given.remove(at);
        } else if kinds.is_empty() && given.iter().all(|slot| register(slot).is_some()) {
            let bits = code.op_code().address_size() as usize;
            let has_size = bits == 0 || given.first().and_then(register)?.size() * 8 == bits;
            if !(has_size && takes_address(code.mnemonic())) {
                return None;
            }
            given.clear();
        }
    }
    let mut n_omitted = kinds.len().checked_sub(given.len())?;
    let is_string_instruction = kinds.iter().any(|&kind| is_string(kind));
    let mut given = given.into_iter().peekable();
    let mut slots = Vec::with_capacity(kinds.len());
    for &kind in kinds {
        let may_omit = is_string(kind)
            || match kind {
                Kind::al | Kind::ax | Kind::eax | Kind::rax | Kind::dx => is_string_instruction,
                Kind::imm8_const_1 | Kind::st0 => true,
                Kind::sti_opcode => n_omitted == kinds.len() || n_omitted == 2,
                // The base of `aam` and `aad` is ten.
                Kind::imm8 => matches!(code, Code::Aam_imm8 | Code::Aad_imm8),
                _ => false,
            };
        let is_next = match given.peek() {
            Some(Slot::Written(index)) => match written.operands[*index].value {
                Value::Memory(_) => is_string(kind),
                Value::Register(register) => takes_register(kind, register),
                Value::Immediate(_) => false,
            },
            _ => false,
        };
        if n_omitted > 0 && may_omit && !is_next {
            n_omitted -= 1;
            slots.push(Slot::Implied);
        } else {
            slots.push(given.next()?);
        }
    }
    Some(Candidate { code, slots, mask })
}

impl Candidate {
    /// Whether some operand that is written settles how large the others are.
    pub(super) fn has_sized_operand(&self, written: &Written) -> bool {
        self.slots.iter().any(|slot| match slot {
            Slot::Written(index) => match &written.operands[*index].value {
                Value::Register(_) => true,
                Value::Memory(memory) => memory.size.is_some(),
                Value::Immediate(immediate) => immediate.size.is_some(),
            },
            _ => false,
        })
    }

    /// Whether a number whose value depends on where things stand goes into a byte whose sign is
    /// extended.
    pub(super) fn has_narrow<S: Scope>(&self, written: &Written, place: &Place<'_, S>) -> bool {
        let kinds = self.code.op_code().op_kinds();
        self.slots.iter().zip(kinds).any(|(slot, kind)| {
            let Slot::Written(index) = slot else {
                return false;
            };
            matches!(kind, Kind::imm8sex16 | Kind::imm8sex32 | Kind::imm8sex64)
                && matches!(&written.operands[*index].value,
                Value::Immediate(immediate) if !place.is_constant(&immediate.expr))
        })
    }

    /// The memory operand that is written.
    pub(super) fn memory<'a>(&self, written: &'a Written) -> Option<&'a Operand> {
        let operands = self.slots.iter().filter_map(|slot| match slot {
            Slot::Written(index) => Some(&written.operands[*index]),
            _ => None,
        });
        let mut operands = operands.filter(|operand| matches!(operand.value, Value::Memory(_)));
        operands.next()
    }

    /// The bytes of the instruction, and the size of its memory operand.
    pub(super) fn encode<S: Scope>(
        &self,
        written: &Written,
        place: &Place<'_, S>,
    ) -> Result<(Vec<u8>, MemorySize), Misfit> {
        let (mut instruction, from_next) = self.instruction(written, place)?;
        let mut bytes = encode(&instruction, place.address)?;
        if let Some(distance) = from_next {
            // The distance counts from the next instruction, which is known only now.
            let next = place.address.wrapping_add(bytes.len() as u64);
            instruction.set_memory_displacement64(next.wrapping_add(distance));
            bytes = encode(&instruction, place.address)?;
        }
        Ok((bytes, instruction.memory_size()))
    }

    /// The instruction, and how far its memory operand lies behind the next one if that is said.
    fn instruction<S: Scope>(
        &self,
        written: &Written,
        place: &Place<'_, S>,
    ) -> Result<(Instruction, Option<u64>), Misfit> {
        let info = self.code.op_code();
        let mut instruction = Instruction::default();
        instruction.set_code(self.code);
        let mut from_next = None;
        let mut n_immediates = 0;
        for ((operand, &kind), slot) in (0_u32..).zip(info.op_kinds()).zip(&self.slots) {
            let value = match slot {
                Slot::Written(index) => &written.operands[*index].value,
                Slot::Said(number) => {
                    set_immediate(
                        &mut instruction,
                        operand,
                        OpKind::Immediate8,
                        u64::from(*number),
                    )?;
                    continue;
                }
                Slot::Implied => {
                    imply(&mut instruction, operand, kind)?;
                    continue;
                }
            };
            match value {
                Value::Register(register) => {
                    if !takes_register(kind, *register) {
                        return Err(Misfit::Kinds);
                    }
                    set_register(&mut instruction, operand, *register)?;
                }
                Value::Immediate(immediate) if is_target(kind) => {
                    branch(&mut instruction, operand, kind, immediate, place)?;
                }
                Value::Immediate(immediate) => {
                    let (op_kind, width) = immediate_kind(kind).ok_or(Misfit::Kinds)?;
                    if !size_fits(immediate, width, info) {
                        return Err(Misfit::Kinds);
                    }
                    let value = place.value(&immediate.expr)?;
                    let value = in_field(kind, value, &immediate.expr.span)?;
                    n_immediates += 1;
                    let op_kind = match n_immediates {
                        2 if op_kind == OpKind::Immediate8 => OpKind::Immediate8_2nd,
                        _ => op_kind,
                    };
                    set_immediate(&mut instruction, operand, op_kind, value)?;
                }
                Value::Memory(memory) if is_string(kind) => {
                    string(&mut instruction, operand, kind, memory)?;
                }
                Value::Memory(memory) => {
                    let is_absolute = kind == Kind::mem_offs;
                    if !takes_memory(kind) {
                        return Err(Misfit::Kinds);
                    }
                    set_kind(&mut instruction, operand, OpKind::Memory)?;
                    from_next = address(&mut instruction, memory, is_absolute, written, place)?;
                    check_size(&mut instruction, memory, info)?;
                }
            }
        }
        // 0x90 does nothing, while the exchange clears the upper half of the register.
        if self.code == Code::Xchg_r32_EAX && instruction.op0_register() == Register::EAX {
            return Err(Misfit::Kinds);
        }
        if written.prefixes.data16 && info.operand_size() != 16 {
            return Err(Misfit::NotAllowed("`data16`".to_owned()));
        }
        if written.prefixes.data64 && info.operand_size() != 64 {
            return Err(Misfit::NotAllowed("`data64`".to_owned()));
        }
        if written.prefixes.addr32 && !narrow(&mut instruction, info)? {
            return Err(Misfit::NotAllowed("`addr32`".to_owned()));
        }
        decorate(&mut instruction, written, self.mask, info)?;
        Ok((instruction, from_next))
    }
}

fn encode(instruction: &Instruction, address: u64) -> Result<Vec<u8>, Misfit> {
    let mut encoder = Encoder::new(64);
    match encoder.encode(instruction, address) {
        Ok(_) => Ok(encoder.take_buffer()),
        Err(error) => Err(Misfit::Refused(error.to_string())),
    }
}

fn set_register(
    instruction: &mut Instruction,
    operand: u32,
    register: Register,
) -> Result<(), Misfit> {
    set_kind(instruction, operand, OpKind::Register)?;
    let set = instruction.try_set_op_register(operand, register);
    set.map_err(|_| Misfit::Kinds)
}

fn set_immediate(
    instruction: &mut Instruction,
    operand: u32,
    kind: OpKind,
    value: u64,
) -> Result<(), Misfit> {
    set_kind(instruction, operand, kind)?;
    let set = instruction.try_set_immediate_u64(operand, value);
    set.map_err(|_| Misfit::Kinds)
}

/// Whether the size before a number, if there is one, is that of its field or of the operation.
fn size_fits(immediate: &Immediate, width: usize, info: &OpCodeInfo) -> bool {
    let Some(size) = immediate.size else {
        return true;
    };
    let operation = match info.operand_size() {
        0 if info.default_op_size64() || info.force_op_size64() => 8,
        bits => bits as usize / 8,
    };
    size == width || size == operation
}

/// The bits of a number in a field of this kind.
fn in_field(kind: Kind, value: i128, span: &Range<usize>) -> Result<u64, Misfit> {
    let out = |what| Misfit::OutOfRange(value, what, span.clone());
    // Signed and unsigned numbers are both fine as long as the field is as wide as the operation.
    let any = |bits: u32, what| {
        if (-(1 << (bits - 1))..1 << bits).contains(&value) {
            // The low 64 bits are what is meant.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked"
            )]
            return Ok(value as u64);
        }
        Err(out(what))
    };
    let extended = |bits: u32, of: u32, what| {
        let low = any(of, what)?;
        let value = (low << (64 - of)).cast_signed() >> (64 - of);
        let limit = 1_i64 << (bits - 1);
        if (-limit..limit).contains(&value) {
            return Ok(value.cast_unsigned());
        }
        Err(out(what))
    };
    match kind {
        Kind::imm4_m2z if !(0..16).contains(&value) => Err(out("4 bits")),
        Kind::imm8_const_1 if value != 1 => Err(out("this form, which only takes 1")),
        Kind::imm4_m2z | Kind::imm8 | Kind::imm8_const_1 => any(8, "8 bits"),
        // There is always a wider form, and what it says is what counts.
        Kind::imm8sex16 => extended(8, 16, "").map_err(|_| Misfit::Kinds),
        Kind::imm8sex32 => extended(8, 32, "").map_err(|_| Misfit::Kinds),
        Kind::imm8sex64 => extended(8, 64, "").map_err(|_| Misfit::Kinds),
        Kind::imm16 => any(16, "16 bits"),
        Kind::imm32 => any(32, "32 bits"),
        Kind::imm32sex64 => extended(32, 64, "32 bits with a sign"),
        _ => any(64, "64 bits"),
    }
}

/// Sets an operand that is not written.
fn imply(instruction: &mut Instruction, operand: u32, kind: Kind) -> Result<(), Misfit> {
    let register = match kind {
        Kind::seg_rSI => return set_kind(instruction, operand, OpKind::MemorySegRSI),
        Kind::es_rDI => return set_kind(instruction, operand, OpKind::MemoryESRDI),
        Kind::seg_rDI => return set_kind(instruction, operand, OpKind::MemorySegRDI),
        Kind::seg_rBX_al => {
            instruction.set_memory_base(Register::RBX);
            instruction.set_memory_index(Register::AL);
            return set_kind(instruction, operand, OpKind::Memory);
        }
        Kind::imm8_const_1 => return set_immediate(instruction, operand, OpKind::Immediate8, 1),
        Kind::imm8 => return set_immediate(instruction, operand, OpKind::Immediate8, 10),
        Kind::al => Register::AL,
        Kind::ax => Register::AX,
        Kind::eax => Register::EAX,
        Kind::rax => Register::RAX,
        Kind::dx => Register::DX,
        Kind::st0 => Register::ST0,
        Kind::sti_opcode => Register::ST1,
        _ => return Err(Misfit::Kinds),
    };
    set_register(instruction, operand, register)
}

fn branch<S: Scope>(
    instruction: &mut Instruction,
    operand: u32,
    kind: Kind,
    immediate: &Immediate,
    place: &Place<'_, S>,
) -> Result<(), Misfit> {
    let is_short = match kind {
        Kind::br64_1 => true,
        Kind::br64_4 | Kind::xbegin_4 => false,
        _ => return Err(Misfit::Kinds),
    };
    if immediate.short.is_some_and(|short| short != is_short) {
        return Err(Misfit::Kinds);
    }
    let target = place.address_of(&immediate.expr)?;
    // The longest instruction is fifteen bytes; the encoder is exact about the rest.
    let distance = target.wrapping_sub(place.address).cast_signed();
    let reach: i64 = if is_short { 0x80 } else { 0x8000_0000 };
    if !(-reach..reach + 15).contains(&distance) {
        return Err(Misfit::TooFar(target, immediate.expr.span.clone()));
    }
    set_kind(instruction, operand, OpKind::NearBranch64)?;
    instruction.set_near_branch64(target);
    Ok(())
}

/// Makes the addresses that are not written 32 bits wide; whether all of them are.
fn narrow(instruction: &mut Instruction, info: &OpCodeInfo) -> Result<bool, Misfit> {
    let mut is_narrow = info.address_size() == 32;
    for operand in 0..instruction.op_count() {
        let kind = match instruction.op_kind(operand) {
            OpKind::MemorySegRSI => OpKind::MemorySegESI,
            OpKind::MemorySegRDI => OpKind::MemorySegEDI,
            OpKind::MemoryESRDI => OpKind::MemoryESEDI,
            OpKind::Memory if instruction.memory_index() == Register::AL => {
                instruction.set_memory_base(Register::EBX);
                OpKind::Memory
            }
            _ => continue,
        };
        set_kind(instruction, operand, kind)?;
        is_narrow = true;
    }
    Ok(is_narrow)
}

/// Sets prefixes and what stood in braces.
fn decorate(
    instruction: &mut Instruction,
    written: &Written,
    mask: Option<Register>,
    info: &OpCodeInfo,
) -> Result<(), Misfit> {
    let decorations = &written.decorations;
    let prefixes = &written.prefixes;
    let check = |allowed: bool, what: &str| {
        if allowed {
            return Ok(());
        }
        Err(Misfit::NotAllowed(what.to_owned()))
    };
    let encoding = info.encoding();
    if decorations.vex {
        check(encoding == EncodingKind::VEX, "{vex}")?;
    }
    if decorations.evex {
        check(encoding == EncodingKind::EVEX, "{evex}")?;
    }
    let is_memory =
        (0..instruction.op_count()).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
    if let Some(mask) = mask.or(decorations.mask) {
        check(info.can_use_op_mask_register(), "a mask")?;
        instruction.set_op_mask(mask);
    } else {
        check(!info.require_op_mask_register(), "no mask: it needs one")?;
    }
    if decorations.zeroing {
        check(info.can_use_zeroing_masking(), "{z}")?;
        check(decorations.mask.is_some(), "{z} without a mask")?;
        check(
            instruction.op0_kind() != OpKind::Memory,
            "{z} where memory is written",
        )?;
        instruction.set_zeroing_masking(true);
    }
    if let Some(rounding) = decorations.rounding {
        check(info.can_use_rounding_control() && !is_memory, "a rounding")?;
        instruction.set_rounding_control(rounding);
    }
    if decorations.sae {
        check(info.can_suppress_all_exceptions() && !is_memory, "{sae}")?;
        instruction.set_suppress_all_exceptions(true);
    }
    if prefixes.lock {
        let is_destination = instruction.op0_kind() == OpKind::Memory;
        check(info.can_use_lock_prefix() && is_destination, "`lock`")?;
        instruction.set_has_lock_prefix(true);
    }
    // `rep ret` is how old processors liked it.
    let is_return = instruction.mnemonic() == Mnemonic::Ret;
    if prefixes.rep {
        // Where the prefix is part of the name, it may be written as well.
        let is_part = encoding == EncodingKind::Legacy
            && info.mandatory_prefix() == MandatoryPrefix::PF3
            && info.op_kinds().is_empty();
        check(info.can_use_rep_prefix() || is_return || is_part, "`rep`")?;
        instruction.set_has_rep_prefix(!is_part);
    }
    if prefixes.repne {
        let is_string = info.can_use_repne_prefix() || info.can_use_rep_prefix();
        check(is_string, "`repne`")?;
        instruction.set_has_repne_prefix(true);
    }
    if prefixes.bnd {
        check(info.can_use_bnd_prefix(), "`bnd`")?;
        instruction.set_has_repne_prefix(true);
    }
    if prefixes.xacquire {
        check(info.can_use_xacquire_prefix() && is_memory, "`xacquire`")?;
        instruction.set_has_xacquire_prefix(true);
    }
    if prefixes.xrelease {
        check(info.can_use_xrelease_prefix() && is_memory, "`xrelease`")?;
        instruction.set_has_xrelease_prefix(true);
    }
    if prefixes.notrack {
        check(info.can_use_notrack_prefix(), "`notrack`")?;
        instruction.set_segment_prefix(Register::DS);
    }
    if let Some(segment) = prefixes.segment {
        instruction.set_segment_prefix(segment);
    }
    Ok(())
}
