//! Memory operands: registers, displacements and sizes into an instruction.

use iced_x86::{Instruction, MemorySize, OpCodeInfo, OpCodeOperandKind as Kind, OpKind, Register};

use super::expr::{Expr, Scope};
use super::place::{Misfit, Place, in_64_bits, set_kind};
use super::program::{Memory, Written};

/// A number of 64 bits as a signed one, which is how displacements count.
fn signed(value: i128) -> i128 {
    match u64::try_from(value) {
        Ok(value) => i128::from(value.cast_signed()),
        Err(_) => value,
    }
}

/// A memory operand through the registers that the instruction prescribes.
pub(super) fn string(
    instruction: &mut Instruction,
    operand: u32,
    kind: Kind,
    memory: &Memory,
) -> Result<(), Misfit> {
    let is_plain = memory.displacement.is_none() && memory.broadcast.is_none();
    let is_alone = memory.index == Register::None;
    let (op_kind, takes_segment) = match (kind, memory.base) {
        (Kind::seg_rBX_al, Register::RBX | Register::EBX)
            if is_alone || memory.index == Register::AL =>
        {
            instruction.set_memory_base(memory.base);
            instruction.set_memory_index(Register::AL);
            (OpKind::Memory, true)
        }
        (Kind::seg_rSI, Register::RSI) if is_alone => (OpKind::MemorySegRSI, true),
        (Kind::seg_rSI, Register::ESI) if is_alone => (OpKind::MemorySegESI, true),
        (Kind::seg_rDI, Register::RDI) if is_alone => (OpKind::MemorySegRDI, true),
        (Kind::seg_rDI, Register::EDI) if is_alone => (OpKind::MemorySegEDI, true),
        (Kind::es_rDI, Register::RDI) if is_alone => (OpKind::MemoryESRDI, false),
        (Kind::es_rDI, Register::EDI) if is_alone => (OpKind::MemoryESEDI, false),
        _ => return Err(Misfit::Kinds),
    };
    if !is_plain {
        return Err(Misfit::Kinds);
    }
    match memory.segment {
        Some(segment) if takes_segment => instruction.set_segment_prefix(segment),
        None | Some(Register::ES) => {}
        Some(_) => return Err(Misfit::Kinds),
    }
    set_kind(instruction, operand, op_kind)?;
    match memory.size {
        Some(size) if size != instruction.memory_size().size() => {
            Err(Misfit::Size(instruction.memory_size().size()))
        }
        _ => Ok(()),
    }
}

/// Sets base, index and displacement; returns the distance from the next instruction if that is
/// what the displacement says.
pub(super) fn address<S: Scope>(
    instruction: &mut Instruction,
    memory: &Memory,
    is_absolute: bool,
    written: &Written,
    place: &Place<'_, S>,
) -> Result<Option<u64>, Misfit> {
    if let Some(segment) = memory.segment {
        instruction.set_segment_prefix(segment);
    }
    let is_free = memory.base == Register::None && memory.index == Register::None;
    let is_rip = matches!(memory.base, Register::RIP | Register::EIP);
    if is_absolute {
        let Some(expr) = memory.displacement.as_ref().filter(|_| is_free) else {
            return Err(Misfit::Kinds);
        };
        let value = signed(place.value(expr)?);
        let is_wide = u32::try_from(value).is_err() && i32::try_from(value).is_err();
        if written.name != "movabs" && !is_wide {
            return Err(Misfit::Kinds);
        }
        instruction.set_memory_displ_size(8);
        instruction.set_memory_displacement64(in_64_bits(value, &expr.span)?);
        return Ok(None);
    }
    if memory.relative || is_rip {
        if memory.relative && !is_free || memory.index != Register::None {
            return Err(Misfit::Refused(
                "an address relative to the instruction has no other registers".to_owned(),
            ));
        }
        let base = if is_rip { memory.base } else { Register::RIP };
        instruction.set_memory_base(base);
        instruction.set_memory_displ_size(if base == Register::RIP { 8 } else { 4 });
        let zero = Expr::number(0, written.span.clone());
        let expr = memory.displacement.as_ref().unwrap_or(&zero);
        let is_target =
            memory.relative || expr.n_addresses(|name| place.symbols.n_addresses(name)) == 1;
        if is_target {
            let target = place.address_of(expr)?;
            instruction.set_memory_displacement64(target);
            return Ok(None);
        }
        instruction.set_memory_displacement64(place.address);
        let value = place.value(expr)?;
        let distance = i32::try_from(value).map_err(|_| {
            Misfit::OutOfRange(value, "the 32 bits of a displacement", expr.span.clone())
        })?;
        return Ok(Some(i64::from(distance).cast_unsigned()));
    }
    instruction.set_memory_base(memory.base);
    instruction.set_memory_index(memory.index);
    instruction.set_memory_index_scale(memory.scale);
    let Some(expr) = &memory.displacement else {
        if is_free {
            instruction.set_memory_displ_size(8);
        }
        return Ok(None);
    };
    let value = signed(place.value(expr)?);
    let is_narrow = memory.base.size() == 4 || memory.index.size() == 4;
    let is_unsigned = u32::try_from(value).is_ok();
    if i32::try_from(value).is_err() && !(is_unsigned && (is_free || is_narrow)) {
        let what = "the 32 bits of a displacement";
        return Err(Misfit::OutOfRange(value, what, expr.span.clone()));
    }
    let size = if is_free {
        // An address beyond 31 bits needs the prefix that makes addresses 32 bits wide.
        if i32::try_from(value).is_ok() { 8 } else { 4 }
    } else if !place.is_constant(expr) {
        if is_narrow { 4 } else { 8 }
    } else {
        u32::from(value != 0)
    };
    instruction.set_memory_displ_size(size);
    instruction.set_memory_displacement64(in_64_bits(value, &expr.span)?);
    Ok(None)
}

/// Whether the size and the number of elements that are written are those of the code.
pub(super) fn check_size(
    instruction: &mut Instruction,
    memory: &Memory,
    info: &OpCodeInfo,
) -> Result<(), Misfit> {
    if let Some(n) = memory.broadcast {
        if !info.can_broadcast() {
            return Err(Misfit::NotAllowed("a broadcast".to_owned()));
        }
        let element = info.broadcast_memory_size().element_size();
        let n_elements = info.memory_size().size() / element.max(1);
        // 0 stands for as many as there are.
        if n != 0 && n != n_elements {
            return Err(Misfit::NotAllowed(format!("{{1to{n}}}")));
        }
        instruction.set_is_broadcast(true);
        return match memory.size {
            Some(size) if size != element => Err(Misfit::Size(element)),
            _ => Ok(()),
        };
    }
    let accessed = instruction.memory_size();
    let is_far = matches!(
        accessed,
        MemorySize::SegPtr16 | MemorySize::SegPtr32 | MemorySize::SegPtr64
    );
    if memory.far && !is_far {
        return Err(Misfit::Kinds);
    }
    match memory.size {
        Some(size) if accessed.size() != 0 && size != accessed.size() => {
            Err(Misfit::Size(accessed.size()))
        }
        _ => Ok(()),
    }
}
