//! Calls that cost their surroundings nothing.
//!
//! A call by the C convention may change most registers, so whatever lives across one, also across
//! one that is hardly ever made, lives in memory. In a loop that is ruinous. So such calls go through
//! a trampoline that preserves all registers; what the function returns is left in the context.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use cranelift_codegen::Context as Codegen;
use cranelift_codegen::ir::{self, AbiParam, InstBuilder, types};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use opcodon_codemem::{Code, CodeHeap};

use super::trusted;

/// Where in the context the result is.
pub(super) const STATUS: i32 = 16;

/// The signature of a trampoline: the context, then the arguments.
pub(super) fn signature(n_args: usize) -> ir::Signature {
    let mut signature = ir::Signature::new(CallConv::PreserveAll);
    for _ in 0..=n_args {
        signature.params.push(AbiParam::new(types::I64));
    }
    signature
}

/// The address of the trampoline of a function that takes so many words and returns one.
pub(super) fn trampoline(function: usize, n_args: usize) -> Option<usize> {
    static MADE: Mutex<Option<HashMap<usize, Code>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let made = made.get_or_insert_default();
    if let Some(code) = made.get(&function) {
        return Some(code.address() as usize);
    }
    let code = CodeHeap::global().install(&emit(function, n_args)?).ok()?;
    let address = code.address() as usize;
    made.insert(function, code);
    Some(address)
}

fn emit(function: usize, n_args: usize) -> Option<Vec<u8>> {
    let isa = super::isa().ok()?;
    let mut codegen = Codegen::new();
    codegen.func.signature = signature(n_args);
    let mut builder_context = FunctionBuilderContext::new();
    let mut b = FunctionBuilder::new(&mut codegen.func, &mut builder_context);
    let block = b.create_block();
    b.append_block_params_for_function_params(block);
    b.switch_to_block(block);
    b.seal_block(block);
    let params = b.block_params(block).to_vec();
    let mut callee = ir::Signature::new(CallConv::SystemV);
    for _ in 0..n_args {
        callee.params.push(AbiParam::new(types::I64));
    }
    callee.returns.push(AbiParam::new(types::I64));
    let callee = b.import_signature(callee);
    #[expect(clippy::cast_possible_wrap, reason = "the bits are meant")]
    let function = b.ins().iconst(types::I64, function as i64);
    let call = b.ins().call_indirect(callee, function, &params[1..]);
    let result = b.inst_results(call)[0];
    b.ins().store(trusted(), result, params[0], STATUS);
    b.ins().return_(&[]);
    b.finalize(isa.frontend_config());
    let compiled = codegen.compile(&*isa, &mut Default::default()).ok()?;
    Some(compiled.buffer.data().to_vec())
}
