//! Which of the encodings of an instruction is taken: the one that GNU's assembler would take.
//!
//! All codes of the mnemonic are tried. Those that fit are ordered: VEX before EVEX, except where
//! the VEX form came later; the shortest first; then the order of iced-x86's table, in which, as in
//! GNU's, the form that stores comes before the form that loads. Where addresses are not known
//! yet, the next ones in the order are kept for when the first does not reach.

use iced_x86::{CpuidFeature, EncodingKind, FlowControl, OpCodeOperandKind};

use super::error::{AssembleErrorKind, Fault, fault};
use super::expr::Scope;
use super::fit::{Candidate, candidate};
use super::intel::lone_name;
use super::kinds::is_branch;
use super::place::{Misfit, Place};
use super::program::{Operand, Value, Written};

/// The encodings of an instruction in the order in which they are to be tried.
pub(super) fn choose<S: Scope>(
    written: &Written,
    place: &Place<'_, S>,
    text: &str,
) -> Result<Vec<(Candidate, usize)>, Fault> {
    let is_branch = written.mnemonic.codes.iter().any(|&code| is_branch(code));
    if !is_branch {
        bare_label(written, place, text)?;
    }
    let mut fitting = Vec::new();
    let mut misfits = Vec::new();
    for (order, &code) in written.mnemonic.codes.iter().enumerate() {
        let Some(candidate) = candidate(code, written) else {
            continue;
        };
        match candidate.encode(written, place) {
            Ok((bytes, accessed)) => {
                let info = code.op_code();
                let is_small = info.operand_size() == 16 && !candidate.has_sized_operand(written);
                let key = (
                    class(code),
                    is_small,
                    candidate.has_narrow(written, place),
                    bytes.len(),
                    !has_byte(code),
                    if is_fma4(code) {
                        usize::MAX - order
                    } else {
                        order
                    },
                );
                fitting.push((key, candidate, bytes.len(), accessed.size()));
            }
            Err(misfit) => misfits.push((code, misfit)),
        }
    }
    if fitting.is_empty() {
        return Err(explain(written, misfits));
    }
    if let Some(operand) = fitting[0].1.memory(written)
        && let Value::Memory(memory) = &operand.value
        && memory.size.is_none()
    {
        settle_size(written, operand, &mut fitting)?;
    }
    fitting.sort_by_key(|row| row.0);
    Ok(fitting
        .into_iter()
        .map(|(_, candidate, length, _)| (candidate, length))
        .collect())
}

/// Legacy encodings, VEX, EVEX.
fn class(code: iced_x86::Code) -> u8 {
    let is_late = || {
        code.cpuid_features().iter().any(|feature| {
            matches!(
                feature,
                CpuidFeature::AVX_VNNI | CpuidFeature::AVX_IFMA | CpuidFeature::AVX_NE_CONVERT
            )
        })
    };
    match code.encoding() {
        EncodingKind::VEX if is_late() => 3,
        EncodingKind::VEX => 1,
        EncodingKind::EVEX => 2,
        _ => 0,
    }
}

/// Whether a number goes into a byte whose sign is extended; of two encodings of one length the
/// one that says so.
fn has_byte(code: iced_x86::Code) -> bool {
    code.op_code().op_kinds().iter().any(|kind| {
        matches!(
            kind,
            OpCodeOperandKind::imm8sex16
                | OpCodeOperandKind::imm8sex32
                | OpCodeOperandKind::imm8sex64
        )
    })
}

/// AMD's fused multiplications, of which GNU's assembler takes the form with the last operand in
/// the place where memory could be.
fn is_fma4(code: iced_x86::Code) -> bool {
    code.cpuid_features().contains(&CpuidFeature::FMA4)
}

type Fitting = (
    (u8, bool, bool, usize, bool, usize),
    Candidate,
    usize,
    usize,
);

/// Where memory could have several sizes and none is written: the size of an address if it holds
/// one, else the text is refused.
fn settle_size(
    written: &Written,
    operand: &Operand,
    fitting: &mut Vec<Fitting>,
) -> Result<(), Fault> {
    let mut sizes: Vec<usize> = fitting.iter().map(|row| row.3).collect();
    sizes.sort_unstable();
    sizes.dedup();
    if sizes.len() < 2 {
        return Ok(());
    }
    let holds_address = fitting.iter().any(|row| {
        let code = row.1.code;
        code.op_code().is_stack_instruction() || code.flow_control() != FlowControl::Next
    });
    if holds_address && sizes.contains(&8) {
        fitting.retain(|row| row.3 == 8);
        return Ok(());
    }
    // The state of the floating-point unit, which has 16-bit forms for old systems.
    if let [14 | 94, large] = sizes[..] {
        fitting.retain(|row| row.3 == large);
        return Ok(());
    }
    let mnemonic = written.name.clone();
    let kind = AssembleErrorKind::AmbiguousSize { mnemonic, sizes };
    Err(fault(kind, &operand.span))
}

/// Refuses a label by itself where GNU's assembler and NASM would do different things.
fn bare_label<S: Scope>(written: &Written, place: &Place<'_, S>, text: &str) -> Result<(), Fault> {
    for operand in &written.operands {
        let Value::Immediate(immediate) = &operand.value else {
            continue;
        };
        let count = |name| place.symbols.n_addresses(name);
        if immediate.is_offset || immediate.expr.n_addresses(count) == 0 {
            continue;
        }
        let name = match lone_name(&immediate.expr) {
            Some(_) => text.get(immediate.expr.span.clone()).unwrap_or_default(),
            None => "label",
        }
        .to_owned();
        return Err(fault(AssembleErrorKind::BareLabel { name }, &operand.span));
    }
    Ok(())
}

/// The error for an instruction that fits nothing: what came nearest to fitting.
fn explain(written: &Written, mut misfits: Vec<(iced_x86::Code, Misfit)>) -> Fault {
    let mnemonic = written.name.clone();
    misfits.sort_by_key(|(_, misfit)| std::cmp::Reverse(misfit.nearness()));
    let nearest = misfits.first().map_or(0, |(_, misfit)| misfit.nearness());
    let kinds = Misfit::Kinds.nearness();
    let memory = written
        .operands
        .iter()
        .find(|operand| matches!(operand.value, Value::Memory(_)));
    if nearest == Misfit::Size(0).nearness()
        && let Some(operand) = memory
        && let Value::Memory(memory) = &operand.value
    {
        let mut sizes: Vec<usize> = misfits
            .iter()
            .filter_map(|(_, misfit)| match misfit {
                Misfit::Size(size) => Some(*size),
                _ => None,
            })
            .collect();
        sizes.sort_unstable();
        sizes.dedup();
        let found = memory.size.unwrap_or_default();
        let kind = AssembleErrorKind::WrongSize {
            mnemonic,
            found,
            sizes,
        };
        return fault(kind, &operand.span);
    }
    // In AT&T's syntax the first operand is the last one.
    let starts = written.operands.iter().map(|operand| operand.span.start);
    let ends = written.operands.iter().map(|operand| operand.span.end);
    let whole = starts.min().unwrap_or(written.span.start)..ends.max().unwrap_or(written.span.end);
    // Of several fields that are too narrow, the widest is what matters.
    let first = misfits
        .iter()
        .rposition(|(_, misfit)| misfit.nearness() == nearest)
        .filter(|_| nearest > kinds);
    if let Some(first) = first {
        return misfit_fault(misfits.swap_remove(first).1, &mnemonic, &whole);
    }
    let of_this_number: Vec<String> = forms(written, |n| n == written.operands.len());
    let forms = if of_this_number.is_empty() {
        forms(written, |_| true)
    } else {
        of_this_number
    };
    let found = written.operands.iter().map(describe).collect::<Vec<_>>();
    let kind = AssembleErrorKind::WrongOperands {
        mnemonic,
        found: found.join(", "),
        forms,
    };
    fault(kind, &whole)
}

fn forms(written: &Written, n_operands: impl Fn(usize) -> bool) -> Vec<String> {
    let mut forms: Vec<String> = Vec::new();
    for code in written.mnemonic.codes {
        let info = code.op_code();
        let form = info.instruction_string();
        if n_operands(info.op_kinds().len()) && !forms.iter().any(|other| other == form) {
            forms.push(form.to_owned());
        }
    }
    forms
}

/// The error for a misfit.
pub(super) fn misfit_fault(
    misfit: Misfit,
    mnemonic: &str,
    whole: &std::ops::Range<usize>,
) -> Fault {
    let mnemonic = mnemonic.to_owned();
    match misfit {
        Misfit::Fault(fault) => fault,
        Misfit::OutOfRange(value, place, span) => {
            fault(AssembleErrorKind::OutOfRange { value, place }, &span)
        }
        Misfit::TooFar(target, span) => fault(AssembleErrorKind::TooFar { target }, &span),
        Misfit::NotAllowed(what) => fault(AssembleErrorKind::NotAllowed { mnemonic, what }, whole),
        Misfit::Refused(reason) => fault(AssembleErrorKind::Refused { mnemonic, reason }, whole),
        Misfit::Size(_) | Misfit::Kinds => {
            let reason = "the operands fit no form of it".to_owned();
            fault(AssembleErrorKind::Refused { mnemonic, reason }, whole)
        }
    }
}

/// The kind of an operand, as the forms of the manuals name it.
fn describe(operand: &Operand) -> String {
    match &operand.value {
        Value::Register(register) => format!("{register:?}").to_ascii_lowercase(),
        Value::Immediate(_) => "a number".to_owned(),
        Value::Memory(memory) => match memory.size {
            Some(size) => format!("{} bytes of memory", size),
            None => "memory".to_owned(),
        },
    }
}
