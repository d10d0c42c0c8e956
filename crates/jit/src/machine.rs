//! Machines: how one abstract vector instruction is spelled on each tier.
//!
//! The compiler above thinks in three-operand instructions on numbered registers whose last
//! operand may be memory. SSE2 has two-operand instructions, VEX three, EVEX three with masks and
//! with constants broadcast from memory. Each machine is a set of constants and five functions,
//! chosen once per kernel and monomorphised, so that nothing is looked up while emitting.
//!
//! # Register convention inside generated code
//! Three registers belong to the step being emitted; the first also carries a value that the very
//! next step consumes. They are registers 0–2, the arguments and result of routines, but for
//! scalar functions without calls, whose own arguments arrive there. The others are allocated to values: all
//! of them where no routine is called, those which routines preserve where one is. Mask register
//! 1, or the vector at the stack pointer where there are no mask registers, says which rows of a
//! last, partial vector count.

use opcodon_asm::{Assembler, Encoding, Evex, Inst, K1, Mem, NONE, Rm, Vreg, Width, gpr, inst};

use crate::{Float, Tier};

/// The instructions of one element type, packed or scalar.
#[derive(Debug)]
pub struct Rows {
    pub(crate) add: &'static Inst,
    pub(crate) sub: &'static Inst,
    pub(crate) mul: &'static Inst,
    pub(crate) div: &'static Inst,
    pub(crate) sqrt: &'static Inst,
    pub(crate) and: &'static Inst,
    pub(crate) xor: &'static Inst,
    pub(crate) round: &'static Inst,
    pub(crate) rndscale: &'static Inst,
    pub(crate) fma231: &'static Inst,
    pub(crate) load: &'static Inst,
    pub(crate) store: &'static Inst,
    pub(crate) mov: &'static Inst,
    pub(crate) broadcast: &'static Inst,
}

static PD: Rows = Rows {
    add: &inst::ADDPD,
    sub: &inst::SUBPD,
    mul: &inst::MULPD,
    div: &inst::DIVPD,
    sqrt: &inst::SQRTPD,
    and: &inst::ANDPD,
    xor: &inst::XORPD,
    round: &inst::ROUNDPD,
    rndscale: &inst::VRNDSCALEPD,
    fma231: &inst::VFMADD231PD,
    load: &inst::MOVUPD,
    store: &inst::MOVUPD_ST,
    mov: &inst::MOVAPD,
    broadcast: &inst::VBROADCASTSD,
};

static PS: Rows = Rows {
    add: &inst::ADDPS,
    sub: &inst::SUBPS,
    mul: &inst::MULPS,
    div: &inst::DIVPS,
    sqrt: &inst::SQRTPS,
    and: &inst::ANDPS,
    xor: &inst::XORPS,
    round: &inst::ROUNDPS,
    rndscale: &inst::VRNDSCALEPS,
    fma231: &inst::VFMADD231PS,
    load: &inst::MOVUPS,
    store: &inst::MOVUPS_ST,
    mov: &inst::MOVAPS,
    broadcast: &inst::VBROADCASTSS,
};

/// Scalars share the logic and the register moves with the packed rows.
static SD: Rows = Rows {
    add: &inst::ADDSD,
    sub: &inst::SUBSD,
    mul: &inst::MULSD,
    div: &inst::DIVSD,
    sqrt: &inst::SQRTSD,
    round: &inst::ROUNDSD,
    rndscale: &inst::VRNDSCALESD,
    fma231: &inst::VFMADD231SD,
    load: &inst::MOVSD,
    store: &inst::MOVSD_ST,
    ..PD
};

/// What generic code does once it knows the machine.
pub trait Visitor<T: Float> {
    /// The result.
    type Output;
    /// Runs for machine `M`.
    fn visit<M: Machine<T = T>>(self) -> Self::Output;
}

/// One tier for one element type.
pub trait Machine: 'static {
    /// Element type.
    type T: Float;
    /// Instruction set.
    const TIER: Tier;
    /// Vector width.
    const WIDTH: Width;
    /// Elements that one instruction computes.
    const LANES: usize;
    /// Bytes of a register's value.
    const BYTES: usize;
    /// Bytes that a constant takes in memory: one element where instructions broadcast.
    const SLOT: usize;
    /// Registers for values where no routine is called, as a bit set.
    const FREE: u32;
    /// Registers that routines preserve.
    const KEPT: u32;
    /// The encoding that takes three operands, if there is one.
    const ENCODING: Option<Encoding>;
    /// The instructions.
    const ROWS: &'static Rows;

    /// A constant in memory as an operand.
    fn constant(place: Mem) -> Rm;
    /// `dst = src`.
    fn load(asm: &mut Assembler, dst: u8, src: Rm);
    /// `place = src`.
    fn store(asm: &mut Assembler, place: Mem, src: u8);
    /// `dst = f(src)`.
    fn unary(asm: &mut Assembler, f: &'static Inst, dst: u8, src: Rm);
    /// `dst = f(a, b)`; `dst` may be either operand's register. SSE2 clobbers `spare` where `dst`
    /// is `b`.
    fn binary(asm: &mut Assembler, f: &'static Inst, dst: u8, a: u8, b: Rm, spare: u8);
    /// `acc += a * b`, rounded once where the tier fuses; `spare` is clobbered where it does not.
    fn accumulate(asm: &mut Assembler, acc: u8, a: u8, b: Rm, spare: u8);
    /// `dst = src` in the rows that count, 0 in the padding of a last, partial vector.
    fn mask(asm: &mut Assembler, dst: u8, src: u8);
    /// `dst = a - b` in the rows that count, 0 in the padding; `dst` is neither operand.
    fn masked_sub(asm: &mut Assembler, dst: u8, a: u8, b: Rm);
    /// `dst = round(src)` in the direction of `mode` (SDM, ROUNDPD: 0 nearest even, 1 down, 2 up).
    /// `false` where the tier has no such instruction.
    fn round(asm: &mut Assembler, mode: u8, dst: u8, src: Rm) -> bool;
}

/// How many machines there may be: element type × tier × (vector or scalar).
pub(crate) const MACHINES: usize = 12;

/// The machine's number, below [`MACHINES`]: for what is made once for each.
pub(crate) fn number<M: Machine>() -> usize {
    let scalar = M::LANES == 1;
    (M::T::SIZE / 4 - 1) * 6 + M::TIER as usize * 2 + usize::from(scalar)
}

/// A number of bytes as a displacement or an immediate.
#[inline(always)]
pub(crate) fn offset(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("a tile or a frame below 2 GiB")
}

/// A vector register as an operand.
#[inline(always)]
pub(crate) fn reg(n: u8) -> Rm {
    Vreg::new(n).into()
}

#[inline(always)]
fn v(n: u8) -> Vreg {
    Vreg::new(n)
}

/// Inexact results are not signalled: bit 3 of the immediate of ROUND and RNDSCALE.
const QUIET: u8 = 8;

macro_rules! sse {
    ($(#[$doc:meta])* $name:ident, $t:ty, $rows:expr, $bytes:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Machine for $name {
            type T = $t;
            const TIER: Tier = Tier::Sse2;
            const ENCODING: Option<Encoding> = None;
            const WIDTH: Width = Width::X;
            const LANES: usize = $bytes / <$t as Float>::SIZE;
            const BYTES: usize = $bytes;
            // A packed operand in memory is a whole, aligned vector.
            const SLOT: usize = 16;
            const FREE: u32 = 0xfff8;
            const KEPT: u32 = 0x00f8;
            const ROWS: &'static Rows = &$rows;

            #[inline]
            fn constant(place: Mem) -> Rm {
                Rm::Mem(place)
            }

            #[inline]
            fn load(asm: &mut Assembler, dst: u8, src: Rm) {
                match src {
                    Rm::Reg(src) if src.number() == dst => {}
                    Rm::Reg(_) => asm.sse(Self::ROWS.mov, v(dst), src),
                    _ => asm.sse(Self::ROWS.load, v(dst), src),
                }
            }

            #[inline]
            fn store(asm: &mut Assembler, place: Mem, src: u8) {
                asm.sse(Self::ROWS.store, v(src), place);
            }

            #[inline]
            fn unary(asm: &mut Assembler, f: &'static Inst, dst: u8, src: Rm) {
                asm.sse(f, v(dst), src);
            }

            #[inline(always)]
            fn binary(asm: &mut Assembler, f: &'static Inst, dst: u8, a: u8, b: Rm, spare: u8) {
                if dst == a {
                    asm.sse(f, v(dst), b);
                } else if b == reg(dst) {
                    Self::load(asm, spare, reg(a));
                    asm.sse(f, v(spare), b);
                    Self::load(asm, dst, reg(spare));
                } else {
                    Self::load(asm, dst, reg(a));
                    asm.sse(f, v(dst), b);
                }
            }

            #[inline]
            fn accumulate(asm: &mut Assembler, acc: u8, a: u8, b: Rm, spare: u8) {
                Self::load(asm, spare, reg(a));
                asm.sse(Self::ROWS.mul, v(spare), b);
                asm.sse(Self::ROWS.add, v(acc), v(spare));
            }

            #[inline]
            fn mask(asm: &mut Assembler, dst: u8, src: u8) {
                Self::binary(asm, Self::ROWS.and, dst, src, Rm::Mem(Mem::base(gpr::RSP)), dst);
            }

            #[inline]
            fn masked_sub(asm: &mut Assembler, dst: u8, a: u8, b: Rm) {
                Self::binary(asm, Self::ROWS.sub, dst, a, b, dst);
                Self::mask(asm, dst, dst);
            }

            #[inline]
            fn round(_: &mut Assembler, _: u8, _: u8, _: Rm) -> bool {
                false
            }
        }
    };
}

macro_rules! avx {
    ($(#[$doc:meta])* $name:ident, $tier:expr, $t:ty, $rows:expr, $width:expr, $bytes:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Machine for $name {
            type T = $t;
            const TIER: Tier = $tier;
            const ENCODING: Option<Encoding> = Some(Encoding::Vex);
            const WIDTH: Width = $width;
            const LANES: usize = $bytes / <$t as Float>::SIZE;
            const BYTES: usize = $bytes;
            const SLOT: usize = if $bytes == 32 { 32 } else { 16 };
            const FREE: u32 = 0xfff8;
            const KEPT: u32 = 0x00f8;
            const ROWS: &'static Rows = &$rows;

            #[inline]
            fn constant(place: Mem) -> Rm {
                Rm::Mem(place)
            }

            #[inline]
            fn load(asm: &mut Assembler, dst: u8, src: Rm) {
                match src {
                    Rm::Reg(src) if src.number() == dst => {}
                    Rm::Reg(_) => asm.vex(Self::ROWS.mov, Self::WIDTH, v(dst), NONE, src),
                    _ => asm.vex(Self::ROWS.load, Self::WIDTH, v(dst), NONE, src),
                }
            }

            #[inline]
            fn store(asm: &mut Assembler, place: Mem, src: u8) {
                asm.vex(Self::ROWS.store, Self::WIDTH, v(src), NONE, place);
            }

            #[inline]
            fn unary(asm: &mut Assembler, f: &'static Inst, dst: u8, src: Rm) {
                // A scalar unary instruction takes its upper lanes from a third operand.
                if $bytes < 16 {
                    asm.vex(f, Self::WIDTH, v(dst), v(dst), src);
                } else {
                    asm.vex(f, Self::WIDTH, v(dst), NONE, src);
                }
            }

            #[inline(always)]
            fn binary(asm: &mut Assembler, f: &'static Inst, dst: u8, a: u8, b: Rm, _: u8) {
                asm.vex(f, Self::WIDTH, v(dst), v(a), b);
            }

            #[inline]
            fn accumulate(asm: &mut Assembler, acc: u8, a: u8, b: Rm, _: u8) {
                asm.vex(Self::ROWS.fma231, Self::WIDTH, v(acc), v(a), b);
            }

            #[inline]
            fn mask(asm: &mut Assembler, dst: u8, src: u8) {
                Self::binary(asm, Self::ROWS.and, dst, src, Rm::Mem(Mem::base(gpr::RSP)), dst);
            }

            #[inline]
            fn masked_sub(asm: &mut Assembler, dst: u8, a: u8, b: Rm) {
                Self::binary(asm, Self::ROWS.sub, dst, a, b, dst);
                Self::mask(asm, dst, dst);
            }

            #[inline]
            fn round(asm: &mut Assembler, mode: u8, dst: u8, src: Rm) -> bool {
                if $bytes < 16 {
                    asm.vex_i(Self::ROWS.round, Self::WIDTH, v(dst), v(dst), src, mode | QUIET);
                } else {
                    asm.vex_i(Self::ROWS.round, Self::WIDTH, v(dst), NONE, src, mode | QUIET);
                }
                true
            }
        }
    };
}

macro_rules! evex {
    ($(#[$doc:meta])* $name:ident, $t:ty, $rows:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Machine for $name {
            type T = $t;
            const TIER: Tier = Tier::Avx512;
            const ENCODING: Option<Encoding> = Some(Encoding::Evex);
            const WIDTH: Width = Width::Z;
            const LANES: usize = 64 / <$t as Float>::SIZE;
            const BYTES: usize = 64;
            const SLOT: usize = <$t as Float>::SIZE;
            const FREE: u32 = 0xffff_fff8;
            const KEPT: u32 = 0x0000_fff8;
            const ROWS: &'static Rows = &$rows;

            #[inline]
            fn constant(place: Mem) -> Rm {
                Rm::Bcast(place)
            }

            #[inline]
            fn load(asm: &mut Assembler, dst: u8, src: Rm) {
                let row = match src {
                    Rm::Reg(src) if src.number() == dst => return,
                    Rm::Reg(_) => Self::ROWS.mov,
                    Rm::Mem(_) => Self::ROWS.load,
                    Rm::Bcast(place) => {
                        return asm.evex(
                            Self::ROWS.broadcast,
                            Self::WIDTH,
                            Evex::NONE,
                            v(dst),
                            NONE,
                            place,
                        );
                    }
                };
                asm.evex(row, Self::WIDTH, Evex::NONE, v(dst), NONE, src);
            }

            #[inline]
            fn store(asm: &mut Assembler, place: Mem, src: u8) {
                asm.evex(Self::ROWS.store, Self::WIDTH, Evex::NONE, v(src), NONE, place);
            }

            #[inline]
            fn unary(asm: &mut Assembler, f: &'static Inst, dst: u8, src: Rm) {
                asm.evex(f, Self::WIDTH, Evex::NONE, v(dst), NONE, src);
            }

            #[inline(always)]
            fn binary(asm: &mut Assembler, f: &'static Inst, dst: u8, a: u8, b: Rm, _: u8) {
                asm.evex(f, Self::WIDTH, Evex::NONE, v(dst), v(a), b);
            }

            #[inline]
            fn accumulate(asm: &mut Assembler, acc: u8, a: u8, b: Rm, _: u8) {
                asm.evex(Self::ROWS.fma231, Self::WIDTH, Evex::NONE, v(acc), v(a), b);
            }

            #[inline]
            fn mask(asm: &mut Assembler, dst: u8, src: u8) {
                let rows = Evex::mask(K1).zeroing();
                asm.evex(Self::ROWS.mov, Self::WIDTH, rows, v(dst), NONE, v(src));
            }

            #[inline]
            fn masked_sub(asm: &mut Assembler, dst: u8, a: u8, b: Rm) {
                let rows = Evex::mask(K1).zeroing();
                asm.evex(Self::ROWS.sub, Self::WIDTH, rows, v(dst), v(a), b);
            }

            #[inline]
            fn round(asm: &mut Assembler, mode: u8, dst: u8, src: Rm) -> bool {
                let row = Self::ROWS.rndscale;
                asm.evex_i(row, Self::WIDTH, Evex::NONE, v(dst), NONE, src, mode | QUIET);
                true
            }
        }
    };
}

sse!(
    /// Two doubles in 128 bits.
    SsePd, f64, PD, 16
);
sse!(
    /// Four singles in 128 bits.
    SsePs, f32, PS, 16
);
sse!(
    /// One double: functions of the calling convention on the baseline.
    SseSd, f64, SD, 8
);
avx!(
    /// Four doubles in 256 bits.
    AvxPd, Tier::Avx2, f64, PD, Width::Y, 32
);
avx!(
    /// Eight singles in 256 bits.
    AvxPs, Tier::Avx2, f32, PS, Width::Y, 32
);
avx!(
    /// One double: functions of the calling convention where VEX encodings exist.
    AvxSd, Tier::Avx2, f64, SD, Width::X, 8
);
avx!(
    /// As [`AvxSd`], with the routines of the kernels of AVX-512, to agree with these to the bit.
    AvxSd512, Tier::Avx512, f64, SD, Width::X, 8
);
evex!(
    /// Eight doubles in 512 bits.
    EvexPd, f64, PD
);
evex!(
    /// Sixteen singles in 512 bits.
    EvexPs, f32, PS
);
