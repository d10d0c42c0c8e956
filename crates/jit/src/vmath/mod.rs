//! Vector math.
pub(crate) mod functions;
pub(crate) mod interp;
pub(crate) mod lanes;
pub(crate) mod program;

/// Instruction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isa {
    /// 128-bit vectors, the baseline of x86-64; no fused multiply-add.
    Sse2,
    /// 256-bit vectors with fused multiply-add.
    Avx2,
    /// 512-bit vectors with masks and broadcasts (F, DQ, BW, VL).
    Avx512,
}

/// Routines of one instruction set, width and element type (a stand-in without entries, until
/// `Routines::build` replaces it).
#[derive(Debug)]
pub struct Routines {
    /// The code, position independent, with its constants.
    pub code: Vec<u8>,
}

impl Routines {
    /// Where the routine of an operator begins.
    pub fn entry(&self, _op: opcodon_expr::Op) -> Option<usize> {
        None
    }

    /// The routines, built once per process.
    pub fn get<T: crate::Float>(_isa: Isa, _width: opcodon_asm::Width) -> &'static Routines {
        static NONE: std::sync::OnceLock<Routines> = std::sync::OnceLock::new();
        NONE.get_or_init(|| Routines { code: vec![0xc3] })
    }
}
