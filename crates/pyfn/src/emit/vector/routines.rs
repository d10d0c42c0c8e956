//! Functions by vector math, where the last bits may differ from the C library's.
//!
//! The routines are those of compiled expressions: within 4 units in the last place, with the special
//! cases of the standard, so that a row that leaves shows it by what is not finite.

use std::sync::OnceLock;

use opcodon_asm::Width;
use opcodon_codemem::{Code, CodeHeap};
use opcodon_expr::Op;
use opcodon_jit::vmath::{self, Routines};

use super::kernel::Isa;

/// The operator that a function of `math` is.
fn operator(name: &str) -> Option<Op> {
    Some(match name {
        "exp" => Op::Exp,
        "expm1" => Op::Expm1,
        "log" => Op::Log,
        "log2" => Op::Log2,
        "log10" => Op::Log10,
        "log1p" => Op::Log1p,
        "sin" => Op::Sin,
        "cos" => Op::Cos,
        "tan" => Op::Tan,
        "asin" => Op::Asin,
        "acos" => Op::Acos,
        "atan" => Op::Atan,
        "atan2" => Op::Atan2,
        "sinh" => Op::Sinh,
        "cosh" => Op::Cosh,
        "tanh" => Op::Tanh,
        "cbrt" => Op::Cbrt,
        "pow" => Op::Pow,
        _ => return None,
    })
}

/// The address of the routine of a function.
pub(super) fn routine(name: &str, isa: Isa) -> Option<usize> {
    static PLACED: [OnceLock<Option<Code>>; 2] = [const { OnceLock::new() }; 2];
    let (of, width) = match isa {
        Isa::Avx2 => (vmath::Isa::Avx2, Width::Y),
        Isa::Avx512 => (vmath::Isa::Avx512, Width::Z),
    };
    let routines = Routines::get::<f64>(of, width);
    let entry = routines.entry(operator(name)?)?;
    let code = PLACED[isa as usize].get_or_init(|| {
        let heap = CodeHeap::global();
        heap.install(&routines.code).ok()
    });
    Some(code.as_ref()?.address().expose_provenance() + entry)
}
