//! Python functions to machine code.
//!
//! A function comes as a program in normal form ([`Program`]): statements that do at most one thing
//! that can fail, over atoms, each with a number under which Python itself can resume the call.
//! For given types of its parameters it is inferred (`infer`), emitted (`emit`) and made executable.
//!
//! # The twin
//! CPython is the meaning. Whatever native code does not do – an integer beyond 64 bits, an
//! exception, a type that was not expected, a statement without a rule – leaves *before* the
//! statement concerned: the locals are handed to Python, which finishes the call. So no effect
//! happens twice, and what is not supported costs time, never the answer.
//!
//! # Invariant
//! This crate does not link to Python. What it has to know of Python comes in a table of addresses
//! ([`Runtime`]); only generated code follows them.

mod arguments;
mod arrays;
mod classes;
mod emit;
mod foreign;
mod globals;
mod handled;
mod implied;
mod infer;
mod least;
mod liveness;
mod lockstep;
mod members;
mod operation;
mod own;
mod plain;
mod program;
mod progression;
mod rules;
mod runtime;
mod scope;
mod seen;
mod special;
mod steps;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod types;
mod ufunc;
mod unboxed;
mod unit;
mod unsigned;
mod whole;
mod wrap;

pub use arguments::Defaults;
pub use arrays::ARRAY_FUNCTIONS;
pub use classes::{Class, ClassId, Classes, InstanceTy, Maker, Member, SUPER};
pub use emit::{EntryGuards, HOISTED, UNEXPECTED, names_key};
pub use globals::{FunctionId, Global};
pub use members::MemberSite;
pub use program::{
    Atom, Expr, Id, Index, Kind, Local, Part, Program, ProgramError, Statement, Text,
};
pub use program::{Bin, Cmp, Failure, Un};
pub use rules::LIBM;
pub use runtime::{Context, Runtime, UFUNC_STOPPED, UfuncLanes};
pub use seen::{Place, SEVERAL, Seen, Site};
pub use table::TableTy;
pub use text::CHAR_TESTS;
pub use types::*;
pub use ufunc::{SCALAR_UFUNCS, ScalarUfunc};
pub use unit::{
    ArrayCheck, CodePlace, CompileError, FunctionInfo, LoopShape, Record, Shape, Spec, SpecId,
    Unit, VectorLoop,
};
pub use whole::{N_ROW_MAX, RowEnd, Whole, WholeFunction, WholeMethod, WholeNode, WholePart};
