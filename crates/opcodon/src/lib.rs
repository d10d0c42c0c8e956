//! Opcodon for Rust users: genetic programming whose programs are machine code, and a
//! machine-code workbench.
//!
//! This crate holds no logic: it re-exports the rooms of the house under short names, and gives
//! the tour.
//!
//! | room | what it does |
//! |---|---|
//! | [`asm`] | x86-64 … AVX-512 assembler: operands in, bytes and offsets out |
//! | [`codemem`] | code memory, signatures and calling conventions, processor features |
//! | [`expr`] | expressions: operators, parser, printers, the reference interpreter |
//! | [`evo`] | evolution of any genome: selection, Pareto archive, random streams, stopping |
//! | [`data`] | tables from CSV, splits, scaling |
//! | [`jit`] | expressions to machine code: scalar functions, kernels over columns, gradients |
//! | [`gp`] | tree genetic programming: initialisation, crossover, mutation |
//! | [`mcode`] | machine code as the individual: genomes, verifier, evolution |
//! | [`listing`] | bytes to annotated disassembly, assembly to bytes |
//! | [`observe`] | generated code for debuggers and profilers |
//! | [`elf`] | shared libraries and objects, loaded and linked in memory |
//! | [`sr`] | symbolic regression, the main job |
//! | [`page`] | a fit as a page to look at, pieces of it for notebooks |
//!
//! ```
//! use opcodon::{expr, jit};
//!
//! let tree = expr::parse("(x - 1) + 4", None)?.expr;
//! let f = jit::CompiledExpr::new(&tree, 1)?;
//! assert_eq!(f.call(&[3.0])?, 6.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use opcodon_asm as asm;
pub use opcodon_codemem as codemem;
pub use opcodon_data as data;
pub use opcodon_elf as elf;
pub use opcodon_evo as evo;
pub use opcodon_expr as expr;
pub use opcodon_gp as gp;
pub use opcodon_jit as jit;
pub use opcodon_listing as listing;
pub use opcodon_mcode as mcode;
pub use opcodon_observe as observe;
pub use opcodon_page as page;
pub use opcodon_sr as sr;
