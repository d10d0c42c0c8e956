//! Time to emit an instruction, as a compiler does it: rows and registers known only at run time.
//!
//! `cargo bench -p opcodon-asm`; the column to read is the inverse of the throughput in items.

#![allow(missing_docs, reason = "a binary")]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use opcodon_asm::{Alu, Assembler, Cond, Evex, Inst, Mem, RCX, RDI, RSI, Vreg, Width, inst};

const N: usize = 4096;
const ROWS: [&Inst; 4] = [&inst::ADDPD, &inst::SUBPD, &inst::MULPD, &inst::DIVPD];

fn main() {
    divan::main();
}

/// What a compiler of expressions decides per node: row, registers, column.
struct Step {
    inst: &'static Inst,
    dst: Vreg,
    a: Vreg,
    b: Vreg,
    disp: i32,
}

fn steps(registers: u8) -> Vec<Step> {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as usize
    };
    let mut register = move || Vreg::new(u8::try_from(next()).unwrap_or(0) % registers);
    let mut state = 7usize;
    (0..N)
        .map(|_| {
            state = state.wrapping_mul(25214903917).wrapping_add(11);
            let pick = state >> 24;
            Step {
                inst: ROWS[pick % 4],
                dst: register(),
                a: register(),
                b: register(),
                disp: i32::try_from(pick / 4 % 16 * 8192).unwrap_or(0),
            }
        })
        .collect()
}

fn bench(bencher: Bencher<'_, '_>, registers: u8, emit: impl Fn(&mut Assembler, &Step) + Sync) {
    let steps = steps(registers);
    let mut asm = Assembler::with_capacity(16 * N);
    bencher.counter(ItemsCount::new(N)).bench_local(|| {
        asm.clear();
        for step in black_box(&steps) {
            emit(&mut asm, step);
        }
        asm.bytes().len()
    });
}

#[divan::bench]
fn evex_register(b: Bencher<'_, '_>) {
    bench(b, 32, |asm, s| {
        asm.evex(s.inst, Width::Z, Evex::NONE, s.dst, s.a, s.b)
    });
}

#[divan::bench]
fn evex_column(b: Bencher<'_, '_>) {
    bench(b, 32, |asm, s| {
        asm.evex(
            s.inst,
            Width::Z,
            Evex::NONE,
            s.dst,
            s.a,
            Mem::base(RDI).disp(s.disp),
        );
    });
}

#[divan::bench]
fn evex_constant(b: Bencher<'_, '_>) {
    bench(b, 32, |asm, s| {
        let constant = Mem::base(RSI).disp(s.disp / 1024);
        asm.evex(s.inst, Width::Z, Evex::NONE, s.dst, s.a, constant.bcast());
    });
}

#[divan::bench]
fn evex_indexed(b: Bencher<'_, '_>) {
    bench(b, 32, |asm, s| {
        let column = Mem::base(RDI)
            .index(RCX, opcodon_asm::Scale::S8)
            .disp(s.disp);
        asm.evex(s.inst, Width::Z, Evex::NONE, s.dst, s.a, column);
    });
}

#[divan::bench]
fn evex_fixed_row(b: Bencher<'_, '_>) {
    bench(b, 32, |asm, s| {
        asm.evex(&inst::VFMADD231PD, Width::Z, Evex::NONE, s.dst, s.a, s.b);
    });
}

#[divan::bench]
fn vex_register(b: Bencher<'_, '_>) {
    bench(b, 16, |asm, s| asm.vex(s.inst, Width::Y, s.dst, s.a, s.b));
}

#[divan::bench]
fn vex_column(b: Bencher<'_, '_>) {
    bench(b, 16, |asm, s| {
        asm.vex(s.inst, Width::Y, s.dst, s.a, Mem::base(RDI).disp(s.disp));
    });
}

#[divan::bench]
fn vex_fixed_row(b: Bencher<'_, '_>) {
    bench(b, 16, |asm, s| {
        asm.vex(&inst::VFMADD231PD, Width::Y, s.dst, s.a, s.b)
    });
}

#[divan::bench]
fn sse_register(b: Bencher<'_, '_>) {
    bench(b, 16, |asm, s| asm.sse(s.inst, s.dst, s.b));
}

#[divan::bench]
fn integer_loop_end(b: Bencher<'_, '_>) {
    bench(b, 16, |asm, _| {
        let top = asm.label();
        asm.bind(top);
        asm.alu_ri(Alu::Add, RDI, 64);
        asm.jcc(Cond::B, top);
    });
}
