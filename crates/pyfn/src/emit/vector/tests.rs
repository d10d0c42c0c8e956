//! Kernels read back by a foreign decoder. That they compute what they should is tested from Python,
//! where they run.

use iced_x86::{Decoder, DecoderOptions, EncodingKind, Formatter, Instruction, IntelFormatter};

use super::arithmetic::reciprocal;
use super::graph::{
    Carry, Fold, Graph, Id, Lane, Nest, Op, Range, Rows, Step, Store, Stream, Test,
};
use super::kernel::{Isa, emit};
use super::libm::Function;
use crate::types::Dtype;

/// The instructions of a kernel up to its end; what follows are numbers.
fn decode(bytes: &[u8]) -> Vec<Instruction> {
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    let mut instructions = Vec::new();
    while decoder.can_decode() {
        let instruction = decoder.decode();
        instructions.push(instruction);
        if instruction.mnemonic() == iced_x86::Mnemonic::Ret {
            break;
        }
    }
    instructions
}

fn text(bytes: &[u8]) -> Vec<String> {
    let mut formatter = IntelFormatter::new();
    let lines = decode(bytes).into_iter().map(|instruction| {
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        line
    });
    lines.collect()
}

fn stream(graph: &mut Graph, dtype: Dtype, rows: Rows) -> usize {
    let base = graph.streams.len();
    graph.streams.push(Stream {
        dtype,
        base,
        rows,
        steps: Vec::new(),
    });
    base
}

fn store(graph: &mut Graph, stream: usize, value: Id) {
    graph.stores.push(Store {
        stream,
        shift: 0,
        value,
    });
}

/// `y[i] = a * x[i] + y[i]`.
fn axpy() -> Graph {
    let mut graph = Graph::default();
    let x = stream(&mut graph, Dtype::Float64, Rows::Dense);
    let y = stream(&mut graph, Dtype::Float64, Rows::Dense);
    let a = graph.float(Op::Arg(2), Lane::Double, &[]);
    let from_x = graph.float(Op::Load(x, 0), Lane::Double, &[]);
    let from_y = graph.float(Op::Load(y, 0), Lane::Double, &[]);
    let product = graph.float(Op::Mul, Lane::Double, &[a, from_x]);
    let sum = graph.float(Op::Add, Lane::Double, &[product, from_y]);
    store(&mut graph, y, sum);
    graph
}

#[test]
fn the_turn_of_a_map_is_one_instruction_a_step() {
    for (isa, expected) in [
        (
            Isa::Avx2,
            [
                "vmulpd ymm3,ymm2,[r8+rsi*8]",
                "vmulpd ymm4,ymm2,[r8+rsi*8+20h]",
                "vaddpd ymm3,ymm3,[r9+rsi*8]",
                "vaddpd ymm4,ymm4,[r9+rsi*8+20h]",
                "vmovups [r9+rsi*8],ymm3",
                "vmovups [r9+rsi*8+20h],ymm4",
                "add rsi,8",
            ],
        ),
        (
            Isa::Avx512,
            [
                "vmulpd zmm3,zmm2,[r8+rsi*8]",
                "vmulpd zmm4,zmm2,[r8+rsi*8+40h]",
                "vaddpd zmm3,zmm3,[r9+rsi*8]",
                "vaddpd zmm4,zmm4,[r9+rsi*8+40h]",
                "vmovupd [r9+rsi*8],zmm3",
                "vmovupd [r9+rsi*8+40h],zmm4",
                "add rsi,10h",
            ],
        ),
    ] {
        let (bytes, n_rows) = emit(&axpy(), isa).expect("a kernel");
        assert_eq!(n_rows, if isa == Isa::Avx2 { 4 } else { 8 });
        let lines = text(&bytes);
        let is_there = lines.windows(expected.len()).any(|part| part == expected);
        assert!(is_there, "{}", lines.join("\n"));
    }
}

#[test]
fn what_no_store_needs_is_not_computed() {
    let mut graph = axpy();
    let x = graph.float(Op::Load(0, 1), Lane::Double, &[]);
    graph.float(Op::Sqrt, Lane::Double, &[x]);
    let (bytes, _) = emit(&graph, Isa::Avx512).expect("a kernel");
    assert_eq!(
        text(&bytes),
        text(&emit(&axpy(), Isa::Avx512).expect("a kernel").0)
    );
}

/// A sum over a loop inside: `s += x[k, i]`.
#[test]
fn sums_of_several_vectors_are_in_flight() {
    let mut graph = Graph::default();
    let y = stream(&mut graph, Dtype::Float64, Rows::Dense);
    let init = graph.double(0.0);
    graph.nests.push(Nest {
        parent: None,
        trips: 2,
        phis: Vec::new(),
        end: 0,
    });
    graph.streams.push(Stream {
        dtype: Dtype::Float64,
        base: 1,
        rows: Rows::Dense,
        steps: vec![Step {
            of: 0,
            one: 3,
            all: 4,
        }],
    });
    let phi = graph.float(Op::Phi(0, 0), Lane::Double, &[]);
    let x = graph.float(Op::Load(1, 0), Lane::Double, &[]);
    let next = graph.float(Op::Add, Lane::Double, &[phi, x]);
    graph.nests[0].phis.push([phi, init, next]);
    graph.nests[0].end = graph.nodes.len();
    let result = graph.float(Op::Result(0), Lane::Double, &[phi, init, next]);
    store(&mut graph, y, result);
    let (bytes, _) = emit(&graph, Isa::Avx512).expect("a kernel");
    let lines = text(&bytes);
    let n_sums = |lines: &[String]| {
        lines
            .iter()
            .filter(|line| line.starts_with("vaddpd"))
            .count()
    };
    // Four, then one, then what is left of one.
    assert_eq!(n_sums(&lines), 6, "{}", lines.join("\n"));
}

/// Numbers that follow from a seed.
fn sequence(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    move |n| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap_or(0) % n
    }
}

/// A graph of a few random operations on elements of a type.
fn random(seed: u64) -> Graph {
    let mut next = sequence(seed);
    let dtypes = [
        Dtype::Float64,
        Dtype::Float32,
        Dtype::UInt8,
        Dtype::Int16,
        Dtype::Int32,
    ];
    let dtype = dtypes[next(dtypes.len())];
    let range = Range::of(dtype);
    let lane = match dtype {
        Dtype::Float64 => Lane::Double,
        Dtype::Float32 => Lane::Single,
        _ => Lane::Int,
    };
    let range = range.unwrap_or(Range::NONE);
    let mut graph = Graph::default();
    let mut values = Vec::new();
    for at in 0..3 {
        let stream = stream(&mut graph, dtype, Rows::Dense);
        values.push(graph.add(Op::Load(stream, at), lane, range, &[]));
    }
    values.push(graph.add(Op::Arg(3), lane, range, &[]));
    for _ in 0..2 + next(12) {
        let (a, b) = (values[next(values.len())], values[next(values.len())]);
        let ops = [Op::Add, Op::Sub, Op::Mul, Op::And];
        let tests = [Test::Eq, Test::Ne, Test::Lt, Test::Le, Test::Gt, Test::Ge];
        let value = match next(3) {
            0 => {
                let mask = graph.compare(tests[next(6)], a, b);
                if next(4) == 0 {
                    graph.stop(None, mask);
                }
                graph.add(Op::Select, lane, range, &[mask, a, b])
            }
            _ => graph.add(ops[next(ops.len())], lane, range, &[a, b]),
        };
        values.push(value);
    }
    let last = values[values.len() - 1];
    store(&mut graph, 2, last);
    graph
}

#[test]
fn every_kernel_is_instructions_of_its_processor() {
    let mut n_kernels = 0;
    for seed in 0..400 {
        let graph = random(seed);
        for isa in [Isa::Avx2, Isa::Avx512] {
            let Some((bytes, _)) = emit(&graph, isa) else {
                continue;
            };
            n_kernels += 1;
            let instructions = decode(&bytes);
            let last = instructions.last().expect("at least one");
            assert_eq!(last.mnemonic(), iced_x86::Mnemonic::Ret, "{graph:?}");
            for instruction in instructions {
                assert!(!instruction.is_invalid(), "{graph:?}");
                let is_wide = instruction.encoding() == EncodingKind::EVEX;
                assert!(isa == Isa::Avx512 || !is_wide, "{graph:?}");
            }
        }
    }
    assert!(n_kernels > 700, "{n_kernels}");
}

#[test]
fn a_factor_divides_all_of_its_range() {
    let mut n_found = 0;
    for divisor in 2..=1000_i64 {
        for high in [255_i128, 1000, 2295, 32767] {
            let Some((factor, count)) = reciprocal(Range::new(0, high), divisor) else {
                continue;
            };
            n_found += 1;
            for x in 0..=i64::try_from(high).expect("15 bits") {
                let quotient = (x * i64::from(factor)) >> 16 >> count;
                assert_eq!(quotient, x / divisor, "{x} // {divisor}");
            }
        }
    }
    assert!(n_found > 2000, "{n_found}");
}

#[test]
fn functions_of_the_c_library_find_registers() {
    use Function::{Cos, Exp, Log, Other, Pow, Sin};
    for isa in [Isa::Avx2, Isa::Avx512] {
        for function in [Exp, Log, Sin, Cos, Pow(2.0), Pow(-1.5), Other("tanh")] {
            let mut graph = Graph::default();
            let x = stream(&mut graph, Dtype::Float64, Rows::Dense);
            let y = stream(&mut graph, Dtype::Float64, Rows::Dense);
            let x = graph.float(Op::Load(x, 0), Lane::Double, &[]);
            let (value, odd) = function.value(&mut graph, x);
            let value = graph.float(Op::Call(16), Lane::Double, &[x, odd, value]);
            store(&mut graph, y, value);
            let (bytes, _) = emit(&graph, isa).expect("a kernel");
            let known = decode(&bytes).iter().all(|each| !each.is_invalid());
            assert!(known, "{function:?} {isa:?}");
        }
    }
}

#[test]
fn floats_are_added_in_the_order_of_the_rows() {
    let mut graph = Graph::default();
    let x = stream(&mut graph, Dtype::Float64, Rows::Dense);
    let x = graph.float(Op::Load(x, 0), Lane::Double, &[]);
    graph.carries.push(Carry {
        fold: Fold::Chain(Op::Add),
        terms: vec![x],
        minus: vec![false],
        lane: Lane::Double,
        limit: None,
        area: 24,
    });
    let (bytes, _) = emit(&graph, Isa::Avx2).expect("a kernel");
    let lines = text(&bytes);
    let first = lines.iter().position(|line| line.starts_with("vaddsd"));
    let added = &lines[first.expect("a sum")..][..4];
    let expected = ["18h", "20h", "28h", "30h"].map(|at| format!("vaddsd xmm2,xmm2,[rdi+{at}]"));
    assert_eq!(added, expected);
}
