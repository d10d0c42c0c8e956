//! Vector math against four oracles: correctly rounded results from mpmath, the operators'
//! reference, the other instruction sets, and, for the emitted code, the interpreter.

use opcodon_asm::{Alu, Assembler, Cond, Evex, Gpr, Inst, Mask, Mem, NONE, Vreg, Width, gpr, inst};
use opcodon_codemem::Arena;
use opcodon_expr::Op;
use opcodon_testkit::{Zeros, nasty_f32, nasty_f64, report_skip, ulp_distance_with};

use super::{Isa, Routines, interp, program};
use crate::panel::{TILE_ROWS, stride};
use crate::seal::{self, Footprint};
use crate::{Float, Panel, Tier};

const ISAS: [Isa; 3] = [Isa::Sse2, Isa::Avx2, Isa::Avx512];

/// The tier whose processors have the instructions.
fn tier(isa: Isa) -> Tier {
    match isa {
        Isa::Sse2 => Tier::Sse2,
        Isa::Avx2 => Tier::Avx2,
        Isa::Avx512 => Tier::Avx512,
    }
}

fn widths(isa: Isa) -> &'static [Width] {
    match isa {
        Isa::Sse2 => &[Width::X],
        Isa::Avx2 => &[Width::X, Width::Y],
        Isa::Avx512 => &[Width::X, Width::Y, Width::Z],
    }
}

/// Operators that have a routine.
fn routines() -> impl Iterator<Item = Op> {
    (Op::ALL.iter().copied()).filter(|&op| super::functions::of(op).is_some())
}

/// Both element types as the tests see them.
trait Lane: Float + opcodon_testkit::Ulp {
    fn bits(self) -> u64;
    fn from_bits(bits: u64) -> Self;
    fn reference(op: Op, args: &[Self]) -> Self;
    fn nasty() -> Vec<Self>;
    const VECTORS: &'static str;
}

impl Lane for f64 {
    fn bits(self) -> u64 {
        self.to_bits()
    }

    fn from_bits(bits: u64) -> f64 {
        f64::from_bits(bits)
    }

    fn reference(op: Op, args: &[f64]) -> f64 {
        op.reference(args)
    }

    fn nasty() -> Vec<f64> {
        nasty_f64().collect()
    }

    const VECTORS: &'static str = include_str!("../../tests/vectors/f64.txt");
}

impl Lane for f32 {
    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the bits are those of a single"
    )]
    fn from_bits(bits: u64) -> f32 {
        f32::from_bits(bits as u32)
    }

    fn reference(op: Op, args: &[f32]) -> f32 {
        op.reference_f32(args)
    }

    fn nasty() -> Vec<f32> {
        nasty_f32().collect()
    }

    const VECTORS: &'static str = include_str!("../../tests/vectors/f32.txt");
}

/// What the interpreter makes of columns of arguments.
fn interpret<T: Lane>(op: Op, isa: Isa, columns: &[Vec<T>]) -> Vec<T> {
    let program = program::<T>(op, isa).expect("only operators with routines are asked for");
    let bits = |column: &Vec<T>| column.iter().map(|x| x.bits()).collect::<Vec<_>>();
    let columns: Vec<_> = columns.iter().take(op.arity()).map(bits).collect();
    interp::run(&program, &columns)
        .into_iter()
        .map(T::from_bits)
        .collect()
}

/// Equal, or both NaN: sign and payload of a NaN are nobody's promise.
fn is_same<T: Lane>(a: T, b: T) -> bool {
    a.bits() == b.bits() || a.to_f64().is_nan() && b.to_f64().is_nan()
}

/// Uniform numbers for tests (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [−span, span).
    fn uniform(&mut self, span: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (unit * 2.0 - 1.0) * span
    }
}

/// Columns of arguments: hard cases, then all bit patterns, then ordinary numbers of several sizes.
/// The columns are shuffled against each other, and equal and related pairs occur.
fn arguments<T: Lane>(n_columns: usize, seed: u64) -> Vec<Vec<T>> {
    let mut random = Random(seed);
    let nasty = T::nasty();
    let mut columns: Vec<Vec<T>> = vec![vec![]; n_columns];
    let n_rows = if n_columns == 1 {
        nasty.len() + 4000
    } else {
        12_000
    };
    for row in 0..n_rows {
        let pick = |random: &mut Random| -> T {
            let any = usize::try_from(random.next() >> 1).unwrap_or(0);
            match random.next() % 8 {
                0 | 1 => nasty[any % nasty.len()],
                2 => T::from_bits(random.next()),
                3 => T::from_f64(random.uniform(1.0)),
                4 => T::from_f64(random.uniform(1000.0)),
                5 => T::from_f64((random.uniform(20.0)).round() / 2.0),
                _ => T::from_f64(random.uniform(8.0)),
            }
        };
        let first = match nasty.get(row) {
            Some(&hard) if n_columns == 1 => hard,
            _ => pick(&mut random),
        };
        for (i, column) in columns.iter_mut().enumerate() {
            let related = random.next() % 16;
            column.push(match related {
                _ if i == 0 => first,
                0 => first,
                1 => T::from_f64(-first.to_f64()),
                _ => pick(&mut random),
            });
        }
    }
    columns
}

fn spell<T: Lane>(row: usize, columns: &[Vec<T>]) -> String {
    let values: Vec<_> = columns
        .iter()
        .map(|column| format!("{:e}", column[row].to_f64()))
        .collect();
    values.join(", ")
}

// Numerics, by way of the interpreter: these need no processor.

/// Lines of the vector file: operator, arguments, correctly rounded result.
fn vectors<T: Lane>(op: Op) -> (Vec<Vec<T>>, Vec<T>) {
    let number = |word: &str| match word {
        "nan" => T::from_f64(f64::NAN),
        _ => T::from_bits(u64::from_str_radix(word, 16).expect("a line of hexadecimal words")),
    };
    let mut columns = vec![vec![]; op.arity()];
    let mut results = vec![];
    for line in T::VECTORS.lines() {
        let mut words = line.split(' ');
        if words.next() != Some(op.spelling()) {
            continue;
        }
        for column in &mut columns {
            column.push(number(
                words.next().expect("as many arguments as the operator has"),
            ));
        }
        results.push(number(words.next().expect("a result")));
    }
    (columns, results)
}

/// Representable numbers between result and correct rounding; for measured errors see
/// [`super::functions`].
fn largest_distance(op: Op, isa: Isa) -> u64 {
    match (op, isa) {
        (Op::Div | Op::Mod, _) => 0,
        (_, Isa::Sse2) => 2,
        (Op::Sin | Op::Cos | Op::Tan, _) | (Op::Sigmoid, Isa::Avx512) => 2,
        _ => 1,
    }
}

fn check_vectors<T: Lane>() {
    let mut n_checked = 0;
    for op in routines() {
        let (mut columns, expected) = vectors::<T>(op);
        n_checked += expected.len();
        // Lanes come in pairs where a program works on halves.
        columns
            .iter_mut()
            .for_each(|column| column.extend(column.clone()));
        for isa in ISAS {
            let results = interpret(op, isa, &columns);
            for (row, (&result, &expected)) in results.iter().zip(&expected).enumerate() {
                let distance = ulp_distance_with(result, expected, Zeros::Distinct);
                assert!(
                    distance <= largest_distance(op, isa),
                    "{op:?} on {isa:?}, {}: of ({}) got {:e}, not {:e}",
                    T::NAME,
                    spell(row, &columns),
                    result.to_f64(),
                    expected.to_f64()
                );
            }
        }
    }
    assert!(n_checked > 5000, "{n_checked} vectors");
}

#[test]
fn double_precision_meets_mpmath() {
    check_vectors::<f64>();
}

#[test]
fn single_precision_meets_mpmath() {
    check_vectors::<f32>();
}

fn check_reference<T: Lane>() {
    for op in routines() {
        let columns = arguments::<T>(op.arity(), 11);
        let all = ISAS.map(|isa| interpret(op, isa, &columns));
        for row in 0..columns[0].len() {
            let args: Vec<T> = columns.iter().map(|column| column[row]).collect();
            let expected = T::reference(op, &args);
            for (isa, results) in ISAS.iter().zip(&all) {
                let distance = ulp_distance_with(results[row], expected, Zeros::Distinct);
                // Of the reference, too, the last place is not certain.
                let bound = u64::from(op.max_ulp());
                assert!(
                    distance <= bound || is_reference_off(op, &args),
                    "{op:?} on {isa:?}, {}: of ({}) got {:e}, not {:e}",
                    T::NAME,
                    spell(row, &columns),
                    results[row].to_f64(),
                    expected.to_f64()
                );
            }
        }
    }
}

/// Where the reference is further from the truth than its bound: at the double closest to a
/// multiple of π/2, glibc 2.36 is off by 8 units, while mpmath agrees with the routines.
fn is_reference_off<T: Lane>(op: Op, args: &[T]) -> bool {
    let closest = 6_381_956_970_095_103.0 * 797.0_f64.exp2();
    match op {
        Op::Sin | Op::Cos | Op::Tan => args[0].to_f64().abs() == closest,
        _ => false,
    }
}

#[test]
fn double_precision_is_within_the_bounds_of_the_table() {
    check_reference::<f64>();
}

#[test]
fn single_precision_is_within_the_bounds_of_the_table() {
    check_reference::<f32>();
}

// Emitted code.

/// Instructions of a test kernel.
struct Kernel {
    asm: Assembler,
    isa: Isa,
    width: Width,
}

impl Kernel {
    fn load(&mut self, register: u8, place: Mem) {
        self.vector(&inst::MOVUPS, register, place);
    }

    fn store(&mut self, place: Mem, register: u8) {
        self.vector(&inst::MOVUPS_ST, register, place);
    }

    fn vector(&mut self, row: &Inst, register: u8, place: Mem) {
        let register = Vreg::new(register);
        match self.isa {
            Isa::Sse2 => self.asm.sse(row, register, place),
            Isa::Avx2 => self.asm.vex(row, self.width, register, NONE, place),
            Isa::Avx512 => self
                .asm
                .evex(row, self.width, Evex::NONE, register, NONE, place),
        }
    }

    fn finish(&mut self) {
        if self.isa != Isa::Sse2 {
            self.asm.vzeroupper();
        }
        self.asm.ret();
    }
}

/// Runs a kernel that `emit` writes, which finds the arguments as columns of a tile, and returns
/// the `n_out` elements that it wrote.
fn run_kernel<T: Lane>(
    (isa, width): (Isa, Width),
    columns: &[Vec<T>],
    n_out: usize,
    emit: impl FnOnce(&mut Kernel, &Routines),
) -> Vec<T> {
    let routines = Routines::get::<T>(isa, width);
    let mut kernel = Kernel {
        asm: Assembler::new(),
        isa,
        width,
    };
    kernel.asm.align(64);
    kernel.asm.raw(&routines.code);
    kernel.asm.align(64);
    let start = kernel.asm.position();
    emit(&mut kernel, routines);
    let code = kernel
        .asm
        .finish()
        .expect("a kernel without mistakes")
        .to_vec();
    let mut arena = Arena::with_capacity(code.len()).expect("executable memory");
    let offset = arena.append(&code, 64).expect("room for the code");
    let arena = arena.seal().expect("executable memory");
    let entry = arena.entry(offset + start).expect("a place in the code");
    let columns: Vec<&[T]> = columns.iter().map(Vec::as_slice).collect();
    let panel = Panel::from_columns(&columns).expect("columns of equal length");
    let footprint = Footprint {
        n_columns: columns.len(),
        constant_bytes: 0,
        fixed_bytes: n_out * T::SIZE,
        row_bytes: 0,
    };
    let mut out = vec![T::default(); n_out + 64];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut out);
    seal::run(
        entry,
        footprint,
        &panel,
        0,
        0..panel.tile_rows(0),
        &[],
        bytes,
    );
    out.truncate(n_out);
    out
}

/// Runs the routine of `op` over a tile.
fn run_routine<T: Lane>(op: Op, isa: Isa, width: Width, columns: &[Vec<T>]) -> Vec<T> {
    run_kernel(
        (isa, width),
        columns,
        columns[0].len(),
        |kernel, routines| {
            let bytes = i32::try_from(width.bytes()).expect("a small number");
            let distance = i32::try_from(stride::<T>()).expect("a small number");
            let top = kernel.asm.label();
            kernel.asm.bind(top);
            for (column, _) in (0_u8..).zip(columns) {
                kernel.load(
                    column,
                    Mem::base(gpr::RDI).disp(i32::from(column) * distance),
                );
            }
            let entry = routines
                .entry(op)
                .expect("only operators with routines are asked for");
            kernel
                .asm
                .call_to(isize::try_from(entry).expect("a small number"));
            kernel.store(Mem::base(gpr::RDX), 0);
            kernel.asm.alu_ri(Alu::Add, gpr::RDI, bytes);
            kernel.asm.alu_ri(Alu::Add, gpr::RDX, bytes);
            kernel.asm.alu_ri(
                Alu::Sub,
                gpr::RCX,
                bytes / i32::try_from(T::SIZE).unwrap_or(8),
            );
            kernel.asm.jcc(Cond::A, top);
            kernel.finish();
        },
    )
}

fn check_emitted<T: Lane>() {
    for isa in ISAS {
        if !tier(isa).is_available() {
            report_skip(&format!("emitted vector math: no {}", tier(isa)));
            continue;
        }
        for op in routines() {
            let columns = arguments::<T>(op.arity(), 5);
            for tile in 0..columns[0].len() / TILE_ROWS {
                let rows = tile * TILE_ROWS..(tile + 1) * TILE_ROWS;
                let columns: Vec<_> = columns
                    .iter()
                    .map(|column| column[rows.clone()].to_vec())
                    .collect();
                let expected = interpret(op, isa, &columns);
                for &width in widths(isa) {
                    let results = run_routine(op, isa, width, &columns);
                    for (row, (&result, &expected)) in results.iter().zip(&expected).enumerate() {
                        assert!(
                            is_same(result, expected),
                            "{op:?} on {isa:?}, {width:?}, {}: of ({}) got {:e}, not {:e}",
                            T::NAME,
                            spell(row, &columns),
                            result.to_f64(),
                            expected.to_f64()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn emitted_code_is_the_interpreter_in_double_precision() {
    check_emitted::<f64>();
}

#[test]
fn emitted_code_is_the_interpreter_in_single_precision() {
    check_emitted::<f32>();
}

/// Fractions as close to the midpoint of two numbers of `p` bits as there are any: numerators,
/// denominators. Divisors are random, near powers of two and just below them.
fn hard_quotients<T: Lane>(p: u32) -> [Vec<T>; 2] {
    let one = 1_u64 << (p - 1);
    let number = |x: u64| T::from_f64(x as f64 / one as f64);
    let mut random = Random(3);
    let mut hard = [vec![], vec![]];
    for round in 0..40_000_u64 {
        let offset = match round % 4 {
            0 => 2 * one - 1 - 2 * (round / 4 % 5000),
            1 => one + 1 + 2 * (round / 4 % 5000),
            2 => (2 * one - 1) - ((random.next() % (1 << (p - 20 + p / 5))) & !1),
            _ => one | (random.next() % one) | 1,
        };
        let b = u128::from(offset);
        // The inverse of b modulo a power of two, by Newton's iteration.
        let inverse = (0..6).fold(1_u128, |x, _| {
            x.wrapping_mul(2_u128.wrapping_sub(b.wrapping_mul(x)))
        });
        for n in [1_i128, -1, 3, -3] {
            // a 2^s = b m + n with an odd m of p + 1 bits; a ≥ b if s = p.
            for s in [p, p + 1] {
                let m = (inverse.wrapping_mul((-n).cast_unsigned()) % (1 << s))
                    | (u128::from(s == p) << p);
                let a = (b * m).wrapping_add_signed(n) >> s;
                let range = if s == p {
                    b..2 << (p - 1)
                } else {
                    u128::from(one)..b
                };
                if m >> p == 1 && range.contains(&a) {
                    let a = u64::try_from(a).expect("a number of p bits");
                    hard[0].push(number(a));
                    hard[1].push(number(offset));
                }
            }
        }
    }
    hard
}

fn check_quotients<T: Lane>(p: u32) {
    let columns = hard_quotients::<T>(p);
    assert!(columns[0].len() > 20_000, "{} fractions", columns[0].len());
    for tile in 0..columns[0].len() / TILE_ROWS {
        let rows = tile * TILE_ROWS..(tile + 1) * TILE_ROWS;
        let columns = columns
            .each_ref()
            .map(|column| column[rows.clone()].to_vec());
        let mut all = vec![interpret(Op::Div, Isa::Avx512, &columns)];
        if Tier::Avx512.is_available() {
            all.push(run_routine(Op::Div, Isa::Avx512, Width::Z, &columns));
        } else if tile == 0 {
            report_skip("hard quotients: no AVX-512");
        }
        for results in all {
            for (row, &result) in results.iter().enumerate() {
                let expected = T::reference(Op::Div, &[columns[0][row], columns[1][row]]);
                assert!(
                    is_same(result, expected),
                    "{}: of ({}) got {:e}, not {:e}",
                    T::NAME,
                    spell(row, &columns),
                    result.to_f64(),
                    expected.to_f64()
                );
            }
        }
    }
}

#[test]
fn quotients_next_to_midpoints_are_rounded_correctly() {
    check_quotients::<f64>(53);
    check_quotients::<f32>(24);
}

/// The convention: what a routine preserves is what it was, on the common path and in rare regions.
fn check_preserved<T: Lane>(isa: Isa, width: Width) {
    let last: u8 = if isa == Isa::Avx512 { 15 } else { 7 };
    let n_lanes = width.bytes() / T::SIZE;
    let kept: [Gpr; 6] = [gpr::RSI, gpr::R8, gpr::R9, gpr::RBX, gpr::RBP, gpr::R12];
    let mut random = Random(3);
    // Arguments that enter every rare region, and patterns for the registers.
    let special = [
        1e300,
        -3.0,
        0.0,
        f64::INFINITY,
        2.5,
        1e-310,
        -1e17,
        f64::NAN,
    ];
    let arguments: Vec<T> = special
        .iter()
        .cycle()
        .take(64)
        .map(|&x| T::from_f64(x))
        .collect();
    let others: Vec<T> = arguments.iter().rev().copied().collect();
    let pattern: Vec<T> = (0..1024)
        .map(|_| T::from_f64(random.uniform(9.0)))
        .collect();
    let pad = |column: Vec<T>| column.into_iter().cycle().take(1024).collect::<Vec<T>>();
    let columns = [pad(arguments), pad(others), pattern];
    let distance = i32::try_from(stride::<T>()).expect("a small number");
    let bytes = i32::try_from(width.bytes()).expect("a small number");
    for op in routines() {
        let n_vectors = usize::from(last - 2);
        let n_general = kept.len() + 1;
        let n_out = n_vectors * n_lanes + (n_general + 1) * 8 / T::SIZE;
        let out = run_kernel::<T>((isa, width), &columns, n_out, |kernel, routines| {
            let asm = &mut kernel.asm;
            [gpr::RBX, gpr::RBP, gpr::R12]
                .into_iter()
                .for_each(|register| asm.push(register));
            for (i, register) in (1..).zip(kept) {
                asm.mov_ri(register, 0x1111_1111 * i);
            }
            if isa == Isa::Avx512 {
                asm.mov_ri(gpr::RAX, 0x5a5a);
                let k1 = Mask::from_number(1).expect("a mask");
                asm.vex(&inst::KMOVW_KR, Width::X, k1, NONE, gpr::RAX);
            }
            for register in 0..=last {
                let place = match register {
                    0 | 1 => Mem::base(gpr::RDI).disp(i32::from(register) * distance),
                    2 => Mem::base(gpr::RDI),
                    _ => Mem::base(gpr::RDI).disp(2 * distance + i32::from(register - 3) * bytes),
                };
                kernel.load(register, place);
            }
            let entry = routines
                .entry(op)
                .expect("only operators with routines are asked for");
            kernel
                .asm
                .call_to(isize::try_from(entry).expect("a small number"));
            for register in 3..=last {
                kernel.store(
                    Mem::base(gpr::RDX).disp(i32::from(register - 3) * bytes),
                    register,
                );
            }
            let asm = &mut kernel.asm;
            let after = i32::from(last - 2) * bytes;
            for (i, register) in (0..).zip(kept) {
                asm.store(Mem::base(gpr::RDX).disp(after + 8 * i), register);
            }
            if isa == Isa::Avx512 {
                let k1 = Mask::from_number(1).expect("a mask");
                asm.vex(&inst::KMOVW_RK, Width::X, gpr::RAX, NONE, k1);
            } else {
                asm.mov_ri(gpr::RAX, 0x5a5a);
            }
            asm.store(Mem::base(gpr::RDX).disp(after + 48), gpr::RAX);
            [gpr::R12, gpr::RBP, gpr::RBX]
                .into_iter()
                .for_each(|register| asm.pop(register));
            kernel.finish();
        });
        let (vectors, general) = out.split_at(n_vectors * n_lanes);
        let expected = &columns[2][..vectors.len()];
        assert!(
            vectors.iter().zip(expected).all(|(&a, &b)| is_same(a, b)),
            "{op:?} on {isa:?}, {width:?}, {} changes a vector register that it preserves",
            T::NAME
        );
        let general: &[u8] = bytemuck::cast_slice(general);
        let words: Vec<u64> = (general.chunks_exact(8).take(n_general))
            .map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")))
            .collect();
        let expected: Vec<u64> = (1..7).map(|i| 0x1111_1111 * i).chain([0x5a5a]).collect();
        assert_eq!(
            words, expected,
            "{op:?} on {isa:?}, {width:?}: general registers, k1"
        );
    }
}

#[test]
fn routines_preserve_what_the_convention_says() {
    for isa in ISAS {
        if !tier(isa).is_available() {
            report_skip(&format!("registers of vector math: no {}", tier(isa)));
            continue;
        }
        for &width in widths(isa) {
            check_preserved::<f64>(isa, width);
            check_preserved::<f32>(isa, width);
        }
    }
}
