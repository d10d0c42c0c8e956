//! Machine code as the individual: genomes that are bred as bytes and run without a compiler.
//!
//! Genetic programming usually breeds trees and compiles or interprets each child. Here the child
//! *is* its machine code: crossover and mutation copy and edit instructions, and a child becomes
//! executable by being copied between a prologue and an epilogue.
//!
//! | room | what it is about |
//! |---|---|
//! | [`Gene`], [`Opcode`] | what an instruction says: the repertoire |
//! | `slot`, `dialect` | one instruction in exactly 8 bytes, AVX2 or AVX-512, there and back |
//! | [`Code`] | slots that are proven harmless: the verifier |
//! | `lanes` | the same, and crossover, eight slots at a time |
//! | [`LinearCode`] | a genome of slots over registers, as in AIMGP |
//! | [`TreeCode`] | a genome in which every subtree is one range of slots |
//! | [`Blocks`], [`Batch`] | data as genomes read them; a population in executable memory |
//! | [`evolve`] | evolution of either kind, on islands |
//! | [`fit`](fit::fit), [`Config`], [`Report`] | from a table to a front of genomes |
//!
//! Registers hold numbers, or bits for Boolean problems: then a row is a word of 64 cases, and one
//! instruction computes up to 512. Or they hold integers of 64 bits, and what is judged are the
//! bits of the result, too.
//!
//! # Invariants
//! - Only [`Code`] is ever executed, and every `Code` has been verified or was made from verified
//!   code by operations that keep what was proven.
//! - The reference evaluator of `opcodon-expr` is the meaning: a genome on numbers computes the
//!   same bits as its [`to_expression`](Code::to_expression) on every tier.
//! - No processor is needed to breed, print, store or verify a genome, only to run it.
//! - `unsafe` is confined to `seal`, which enters genomes, and `lanes`, eight slots at a time.
//!
//! Sources: Nordin, "Evolutionary Program Induction of Binary Machine Code and its Applications",
//! 1997. Brameier, Banzhaf, "Linear Genetic Programming", 2007.

mod ancestors;
mod batch;
mod blocks;
mod code;
pub mod config;
mod describe;
mod dialect;
pub mod effective;
mod error;
pub mod evolve;
pub mod fit;
mod formula;
mod gene;
mod genome;
mod individual;
mod kernel;
mod lanes;
mod linear;
mod program;
mod repertoire;
pub mod report;
mod seal;
mod serial;
mod slot;
mod tier;
mod tree;
mod variation;
mod verify;

pub use ancestors::{Ancestor, Lineage};
pub use batch::{Batch, StraightLine};
pub use blocks::{Blocks, TILE_ROWS};
pub use code::{Code, Splice};
pub use config::{Config, Kind};
pub use effective::Effective;
pub use error::{McodeError, VerifyError};
pub use gene::{Domain, Gene, MAX_INDEX, Opcode, Operand};
pub use genome::Genome;
pub use individual::Individual;
pub use kernel::Fold;
pub use linear::{LinearCode, MAX_LINEAR_SLOTS};
pub use program::Program;
pub use repertoire::Repertoire;
pub use report::Report;
pub use slot::SLOT_BYTES;
pub use tier::Tier;
pub use tree::{Mark, TreeCode};
pub use verify::MAX_SLOTS;
