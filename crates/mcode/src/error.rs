//! Why a genome could not be made, read or run.

use opcodon_codemem::CodeError;
use opcodon_expr::Op;

use crate::Tier;
use crate::gene::{Domain, Opcode};

/// Why a genome could not be made, read or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum McodeError {
    /// The bytes are no genome.
    #[error("not a genome")]
    Verify(#[from] VerifyError),
    /// The tier needs processor features that this machine lacks.
    #[error(
        "this processor does not run genomes of tier {tier}; they can be bred and printed here"
    )]
    TierUnavailable {
        /// The tier that was asked for.
        tier: Tier,
    },
    /// A name that is no tier of genomes.
    #[error("unknown tier {name:?} for genomes; use one of avx2, avx512")]
    UnknownTier {
        /// The name as given.
        name: String,
    },
    /// Genomes of different tiers, or for different numbers of columns, do not mix.
    #[error(
        "{what} is for tier {found_tier} and {found_columns} columns, but tier {tier} and {columns} columns are needed"
    )]
    Mixed {
        /// What does not fit.
        what: &'static str,
        /// Its tier.
        found_tier: Tier,
        /// Its columns.
        found_columns: usize,
        /// The tier needed.
        tier: Tier,
        /// The columns needed.
        columns: usize,
    },
    /// A number out of its range.
    #[error("{what} is {found}, but must lie in {low}..={high}")]
    Range {
        /// What is out of range.
        what: &'static str,
        /// As given.
        found: usize,
        /// Smallest allowed.
        low: usize,
        /// Largest allowed.
        high: usize,
    },
    /// A column is shorter or longer than the first.
    #[error("{what} has {found} rows, but {expected} are needed")]
    RowCount {
        /// Which one.
        what: String,
        /// Rows it has.
        found: usize,
        /// Rows it should have.
        expected: usize,
    },
    /// A linear genome is cut between genes only, and the end of a range is not before its start.
    #[error(
        "a genome of {end} slots cannot be cut at slot {slot}: cuts go from gene to gene, first to last"
    )]
    Cut {
        /// Where.
        slot: usize,
        /// Slots of the genome.
        end: usize,
    },
    /// No operation has this name.
    #[error("no operation of genomes is called {name:?}; there are {}", operations(*.domain))]
    UnknownOperation {
        /// As given.
        name: String,
        /// What the repertoire is for.
        domain: Domain,
    },
    /// The tier has no instruction for the operation.
    #[error("the operation {name:?} needs AVX-512, and these genomes are of the tier {tier}")]
    NotOfTier {
        /// The operation.
        name: &'static str,
        /// The tier.
        tier: Tier,
    },
    /// A hyper-parameter that does not exist.
    #[error("there is no parameter {name:?}")]
    UnknownParameter {
        /// As given.
        name: String,
    },
    /// A hyper-parameter whose text is no value of its kind.
    #[error("{name} is {text:?}, but must be {kind}")]
    Value {
        /// Which one.
        name: &'static str,
        /// As given.
        text: String,
        /// What it must be.
        kind: &'static str,
    },
    /// A hyper-parameter beyond its limits.
    #[error("{name} is {found}, but must lie between {low} and {high}")]
    Setting {
        /// Which one.
        name: &'static str,
        /// As given.
        found: f64,
        /// Smallest allowed.
        low: f64,
        /// Largest allowed.
        high: f64,
    },
    /// A cell that is no finite number. Rows are counted from 0.
    #[error(
        "column {column:?} holds {value} in row {row} (counted from 0): leave such rows out first"
    )]
    NotFinite {
        /// Its name.
        column: String,
        /// The row.
        row: usize,
        /// What it holds.
        value: f64,
    },
    /// A weight is no weight.
    #[error("the weight of row {row} (counted from 0) is {value}; weights are 0 or positive")]
    Weight {
        /// The row.
        row: usize,
        /// Its weight.
        value: f64,
    },
    /// No row counts.
    #[error("all weights are zero, so there is nothing to fit")]
    NoWeight,
    /// As many names as columns are needed.
    #[error("there are {names} names for {columns} columns")]
    Names {
        /// Names given.
        names: usize,
        /// Columns given.
        columns: usize,
    },
    /// A model of the front that does not exist.
    #[error("there is no model {index}: the front has {len}, counted from 0")]
    ModelIndex {
        /// As given.
        index: usize,
        /// Models of the front.
        len: usize,
    },
    /// A text that is not what it should be.
    #[error("not a {what} of genomes")]
    Format {
        /// What it should be.
        what: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// A stored form of a later version.
    #[error(
        "the {what} is of version {found}, but this program reads version {supported}: update opcodon"
    )]
    Version {
        /// What is read.
        what: &'static str,
        /// As stored.
        found: u32,
        /// The version that is known.
        supported: u32,
    },
    /// Stored parts that contradict each other.
    #[error("the {what} is damaged: {problem}")]
    Damaged {
        /// What is read.
        what: &'static str,
        /// The contradiction.
        problem: String,
    },
    /// Squared errors were asked for, but the data have no target.
    #[error("the data have no target, so there are no squared errors")]
    NoTarget,
    /// An operator outside of the repertoire.
    #[error("no instruction of genomes means the operator {}; they know + - * / sqrt neg abs pdiv min max", op.name())]
    NoInstruction {
        /// The operator.
        op: Op,
    },
    /// A genome on bits where an expression was asked for.
    #[error("the genome works on bits, for which expressions have no operators; print it as text")]
    Bitwise,
    /// Numbers for genomes on bits, or the other way round.
    #[error("the data hold {}, but the repertoire is for {}", domain(*.bits), domain(!*.bits))]
    Domain {
        /// Whether the data are bits.
        bits: bool,
    },
    /// An expression that keeps more values at once than there are registers.
    #[error("the expression keeps {depth} values at once, but genomes of tier {tier} have {} registers", tier.n_registers())]
    TooDeep {
        /// Values kept at once.
        depth: usize,
        /// The tier.
        tier: Tier,
    },
    /// A genome whose formula, written as a tree, is too large.
    #[error("the genome's formula has {nodes} nodes as a tree, more than the {limit} asked for")]
    TooLong {
        /// Nodes, saturated.
        nodes: u64,
        /// The limit.
        limit: u64,
    },
    /// The operating system refused memory for code.
    #[error("no executable memory for genomes")]
    Code(#[from] CodeError),
}

/// Why bytes are not a genome. Slots are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// There are no slots.
    #[error("it has no slots")]
    Empty,
    /// More slots than a genome may have.
    #[error("it has {found} slots, but at most {limit} are allowed")]
    TooLong {
        /// Slots.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// More columns declared than an instruction can reach.
    #[error("it declares {found} columns; 1 to 256 are possible")]
    ColumnCount {
        /// Columns declared.
        found: usize,
    },
    /// A slot that is no allowed instruction, or one on a register that is not the genome's.
    #[error("slot {slot} holds {}, which is no allowed instruction", hex(*.word))]
    Instruction {
        /// Which one.
        slot: usize,
        /// Its bytes.
        word: u64,
    },
    /// A column that was not declared.
    #[error("slot {slot} reads column {column}, but {n_columns} are declared")]
    Column {
        /// Which slot.
        slot: usize,
        /// The column.
        column: usize,
        /// Columns declared.
        n_columns: usize,
    },
    /// Constants are numbered in the order of the slots that read them.
    #[error("slot {slot} reads constant {found}, but its turn is constant {expected}")]
    ConstantOrder {
        /// Which slot.
        slot: usize,
        /// The constant it reads.
        found: usize,
        /// The constant it should read.
        expected: usize,
    },
    /// Another number of constants than slots read.
    #[error("it has {found} constants, but its slots read {expected}")]
    ConstantCount {
        /// Constants given.
        found: usize,
        /// Constants read.
        expected: usize,
    },
    /// The slots do not form a tree in postfix order.
    #[error("slot {slot} breaks the order of a tree: it would {problem}")]
    Tree {
        /// Which slot.
        slot: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// A tree's code leaves more or fewer values than one.
    #[error("it leaves {found} values, but a tree has one")]
    Leftover {
        /// Values left.
        found: usize,
    },
    /// Marks that are not those of the code.
    #[error("mark {node} does not agree with the code, or there are not as many marks as nodes")]
    Marks {
        /// The first wrong mark.
        node: usize,
    },
    /// A stored form of an unknown version or kind, or damaged.
    #[error("{problem}")]
    Stored {
        /// What is wrong.
        problem: String,
    },
}

/// The bytes of a slot in the order of memory.
fn hex(word: u64) -> String {
    let bytes = word.to_le_bytes().map(|byte| format!("{byte:02x}"));
    bytes.join(" ")
}

/// The names of the operations of a domain.
fn operations(domain: Domain) -> String {
    let of_kind = |opcode: &&Opcode| domain.has(**opcode) && **opcode != Opcode::Load;
    let names = Opcode::ALL.iter().filter(of_kind);
    names
        .map(|opcode| opcode.name())
        .collect::<Vec<_>>()
        .join(", ")
}

fn domain(bits: bool) -> &'static str {
    if bits { "bits" } else { "numbers" }
}
