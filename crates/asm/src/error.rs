//! Why code could not be assembled.
//!
//! Emitting returns no `Result`: a compiler that emits thirty instructions in a hundred
//! nanoseconds has no use for thirty checks that never fail. The first mistake is kept in the
//! assembler, emits nothing, and is returned by [`Assembler::finish`](crate::Assembler::finish).

use crate::form::Encoding;
use crate::operand::Width;

/// Why code could not be assembled: the first mistake since the last
/// [`clear`](crate::Assembler::clear).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AsmError {
    /// The row has no such encoding.
    #[error("{instruction} has no {encoding} encoding")]
    Encoding {
        /// Name of the row.
        instruction: &'static str,
        /// What was asked for.
        encoding: Encoding,
    },
    /// The encoding exists, but not at this vector length.
    #[error("{instruction} has no {encoding} encoding of width {width:?}")]
    Width {
        /// Name of the row.
        instruction: &'static str,
        /// What was asked for.
        encoding: Encoding,
        /// What was asked for.
        width: Width,
    },
    /// An operand is of the wrong kind: a mask register where a vector is needed, memory where
    /// only a register can be, an operand that the instruction does not have, or none where it
    /// needs one.
    #[error("{instruction} ({encoding}) does not take such an operand as its {field}")]
    Operand {
        /// Name of the row.
        instruction: &'static str,
        /// What was asked for.
        encoding: Encoding,
        /// The parameter: `reg`, `v`, `rm`.
        field: &'static str,
    },
    /// Vector registers 16–31 exist in EVEX encodings only.
    #[error("{instruction}: vector registers 16 to 31 cannot be encoded in {encoding}, use evex")]
    HighRegister {
        /// Name of the row.
        instruction: &'static str,
        /// What was asked for.
        encoding: Encoding,
    },
    /// The instruction cannot be masked this way: no mask, no zeroing of memory or of mask
    /// registers, no zeroing without a mask; gathers and scatters need a mask other than `k0`.
    #[error("{instruction} does not take this combination of mask and zeroing")]
    Masking {
        /// Name of the row.
        instruction: &'static str,
    },
    /// The instruction has no embedded rounding or `sae`, or has it only with register operands
    /// and (packed instructions) 512 bits.
    #[error(
        "{instruction} does not take this embedded rounding or sae here: it needs register \
         operands, and 512 bits if packed"
    )]
    Rounding {
        /// Name of the row.
        instruction: &'static str,
    },
    /// An immediate is missing, or the instruction has none.
    #[error("{instruction} ({encoding}): an immediate is missing or not taken")]
    Immediate {
        /// Name of the row.
        instruction: &'static str,
        /// What was asked for.
        encoding: Encoding,
    },
    /// The memory operand cannot be encoded.
    #[error(
        "{instruction}: the address cannot be encoded (rsp as index, an index beside a label, or a \
         vector of indices missing or not taken)"
    )]
    Address {
        /// Name of the row, or mnemonic.
        instruction: &'static str,
    },
    /// A gather must not use one register for two of destination, indices and mask.
    #[error("{instruction}: destination, indices and mask must be different registers")]
    GatherOverlap {
        /// Name of the row.
        instruction: &'static str,
    },
    /// A label was used, but never bound.
    #[error("label {label} is used at offset {offset:#x}, but bound nowhere")]
    UnboundLabel {
        /// Number of the label.
        label: u32,
        /// Where the label is used.
        offset: usize,
    },
    /// The label belongs to another assembler, or was made before the last `clear`.
    #[error("label {label} does not belong to this code")]
    UnknownLabel {
        /// Number of the label.
        label: u32,
    },
    /// A label can be bound once.
    #[error("label {label} is bound twice, at {first:#x} and {second:#x}")]
    LabelBoundTwice {
        /// Number of the label.
        label: u32,
        /// Where it was bound first.
        first: usize,
        /// Where it was to be bound again.
        second: usize,
    },
    /// A branch or address reaches further than ±2 GiB.
    #[error("the distance from offset {offset:#x} to its target does not fit 32 bits")]
    TooFar {
        /// Where the instruction is.
        offset: usize,
    },
    /// An alignment that is zero, not a power of two, or above 4096.
    #[error("cannot align to {alignment} bytes: use a power of two up to 4096")]
    Alignment {
        /// What was asked for.
        alignment: usize,
    },
    /// A constant of zero bytes, or more than a page.
    #[error("a constant of {len} bytes does not belong in the pool: use 1 to 4096")]
    Constant {
        /// Size of the constant.
        len: usize,
    },
    /// More than 2 GiB of code.
    #[error("the code is longer than 2 GiB")]
    TooLong,
}
