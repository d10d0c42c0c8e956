//! Why an expression could not be compiled, or a kernel not be run.

use opcodon_asm::AsmError;
use opcodon_codemem::{CodeError, SignatureError};
use opcodon_expr::Op;

/// Why an expression could not be compiled, or a kernel not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JitError {
    /// The operating system refused memory for code.
    #[error("no executable memory for the compiled expressions")]
    Code(#[from] CodeError),
    /// So many arguments that no signature has them.
    #[error("no function has this many arguments")]
    Signature(#[from] SignatureError),
    /// The assembler was asked for something that has no encoding: a defect of this crate.
    #[error("the compiler asked for an instruction that does not exist; please report this")]
    Assemble(#[from] AsmError),
    /// The tier needs processor features that this machine lacks.
    #[error("tier {tier} is not available on this processor; available: {available}")]
    TierUnavailable {
        /// The tier that was asked for.
        tier: &'static str,
        /// What the machine has, comma separated.
        available: String,
    },
    /// The name in `OPCODON_TIER` (or a caller's) is none of the tiers.
    #[error("unknown tier {name:?}; use one of sse2, avx2, avx512")]
    UnknownTier {
        /// The name as given.
        name: String,
    },
    /// A tree reads an input that the data do not have.
    #[error("expression {index} reads input {input}, but the data have {n_inputs} inputs")]
    MissingInput {
        /// Which expression of the batch.
        index: usize,
        /// The input it reads, counted from 0.
        input: usize,
        /// Number of inputs declared.
        n_inputs: usize,
    },
    /// The panel has fewer columns than the kernels read.
    #[error("the kernels read {expected} columns, but the data have {found}")]
    ColumnCount {
        /// Columns that the kernels read.
        expected: usize,
        /// Columns of the panel.
        found: usize,
    },
    /// A column, or an output, has another number of rows than the rest.
    #[error("{what} has {found} rows, but {expected} are needed")]
    RowCount {
        /// What is too long or too short, with its index.
        what: String,
        /// Rows it has.
        found: usize,
        /// Rows it should have.
        expected: usize,
    },
    /// A scalar call, or new constants, with the wrong number of values.
    #[error("{found} {what} given, but {expected} are needed")]
    Count {
        /// What was counted: `arguments`, `constants`.
        what: &'static str,
        /// How many were given.
        found: usize,
        /// How many are needed.
        expected: usize,
    },
    /// An index of a batch beyond its expressions.
    #[error("expression {index} asked for, but the batch holds {len}")]
    Index {
        /// The index asked for.
        index: usize,
        /// Number of expressions in the batch.
        len: usize,
    },
    /// The batch was compiled for another goal.
    #[error("the batch was compiled for {compiled}, so {asked} cannot be computed from it")]
    Goal {
        /// What the kernels compute.
        compiled: &'static str,
        /// What was asked of them.
        asked: &'static str,
    },
    /// More columns than a kernel can reach.
    #[error("{found} columns, but kernels reach at most {limit}; select fewer inputs")]
    TooManyColumns {
        /// Columns of the data.
        found: usize,
        /// The most that kernels reach.
        limit: usize,
    },
    /// More constants than the normal equations are compiled for.
    #[error("{found} constants, but normal equations are compiled for at most {limit}")]
    TooManyConstants {
        /// Constants of the expression.
        found: usize,
        /// The most that a gradient kernel handles.
        limit: usize,
    },
    /// The operator has no machine code on this tier.
    #[error("operator {} has no machine code on tier {tier}", op.spelling())]
    Unsupported {
        /// The operator.
        op: Op,
        /// The tier.
        tier: &'static str,
    },
}

impl JitError {
    /// The same of a tree that is one of more: `first` is the place of the first one.
    pub(crate) fn of_tree_from(mut self, first: usize) -> JitError {
        if let JitError::MissingInput { index, .. } = &mut self {
            *index += first;
        }
        self
    }
}
