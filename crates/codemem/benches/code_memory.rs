//! Nanoseconds for making code callable and for calling it: `cargo bench -p opcodon-codemem`.

#![expect(unsafe_code, reason = "calls machine code")]
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints figures"
)]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use opcodon_codemem::{Abi, Arena, Code, CodeHeap, Function, Mapping, Signature, Value};

/// addsd xmm0, xmm1; ret
const ADD: &[u8] = b"\xf2\x0f\x58\xc1\xc3";

/// Runs `body`, which does `n` things, for a tenth of a second or more, and prints the best
/// nanoseconds a thing.
fn report(what: &str, n: u32, mut body: impl FnMut()) {
    let started = Instant::now();
    let mut best = Duration::MAX;
    while started.elapsed() < Duration::from_millis(200) {
        let start = Instant::now();
        body();
        best = best.min(start.elapsed());
    }
    println!(
        "{:>10.1} ns  {what}",
        best.as_secs_f64() * 1e9 / f64::from(n)
    );
}

fn heap() {
    let heap = CodeHeap::new();
    for len in [16, 64, 256, 1024, 4096] {
        let mut code = vec![0x90; len - 1];
        code.push(0xc3);
        report(&format!("heap: install and drop {len} bytes"), 1000, || {
            for _ in 0..1000 {
                black_box(heap.install(&code).unwrap());
            }
        });
    }
    let mut held: Vec<Code> = Vec::with_capacity(10_000);
    report(
        "heap: install 10000 functions, then drop them, each",
        10_000,
        || {
            held.extend((0..10_000).map(|_| heap.install(ADD).unwrap()));
            held.clear();
        },
    );
}

/// Publishing interrupts every core that runs a thread of this process.
fn heap_beside_a_busy_thread() {
    let heap = CodeHeap::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        report(
            "heap: install and drop 64 bytes, another thread busy",
            1000,
            || {
                for _ in 0..1000 {
                    black_box(heap.install(&[0xc3; 64]).unwrap());
                }
            },
        );
        done.store(true, Ordering::Relaxed);
    });
}

fn arenas() {
    // A kernel of 60 AVX-512 instructions has about this length.
    let body = [0x90_u8; 256];
    for mapping in [Mapping::Dual, Mapping::Flip] {
        for n in [1_u32, 16, 256, 4096] {
            let mut kept = Some(Arena::with_mapping(4 << 20, mapping).unwrap());
            report(
                &format!("arena, {mapping:?}: reopen, append {n} × 256 bytes, seal, each"),
                n,
                || {
                    let mut arena = kept.take().unwrap();
                    arena.truncate(0);
                    for _ in 0..n {
                        black_box(arena.append(&body, 16).unwrap());
                    }
                    kept = Some(arena.seal().unwrap().reopen().unwrap());
                },
            );
        }
        let mut kept = Some(Arena::with_mapping(4 << 20, mapping).unwrap());
        report(
            &format!("arena, {mapping:?}: seal and reopen, a batch"),
            1,
            || {
                kept = Some(kept.take().unwrap().seal().unwrap().reopen().unwrap());
            },
        );
        report(
            &format!("arena, {mapping:?}: make, append 256 bytes, seal, drop"),
            1,
            || {
                let mut arena = Arena::with_mapping(4 << 20, mapping).unwrap();
                arena.append(&body, 16).unwrap();
                black_box(arena.seal().unwrap());
            },
        );
    }
}

fn calls() {
    let constant = b"\xb8\x07\x00\x00\x00\xc3"; // mov eax, 7; ret
    for abi in Abi::ALL {
        let add = Function::new(ADD, Signature::parse("f64(f64, f64)").unwrap(), abi).unwrap();
        report(&format!("call, {abi}: f64(f64, f64)"), 1000, || {
            for _ in 0..1000 {
                // SAFETY: the bytes add their two arguments, under either convention.
                black_box(
                    unsafe { add.call(black_box(&[Value::F64(1.0), Value::F64(2.0)])) }.unwrap(),
                );
            }
        });
        report(&format!("call_f64, {abi}: f64(f64, f64)"), 1000, || {
            for _ in 0..1000 {
                // SAFETY: as above.
                black_box(unsafe { add.call_f64(black_box(&[1.0, 2.0])) });
            }
        });
        let text = "i32(i32, f64, ptr, f32, i64, u8, f64, i32, u64, f64, bool, i16)";
        let many = Function::new(constant, Signature::parse(text).unwrap(), abi).unwrap();
        let args = [
            Value::I32(1),
            Value::F64(2.0),
            Value::Ptr(3),
            Value::F32(4.0),
            Value::I64(5),
            Value::U8(6),
            Value::F64(7.0),
            Value::I32(8),
            Value::U64(9),
            Value::F64(10.0),
            Value::Bool(true),
            Value::I16(12),
        ];
        report(&format!("call, {abi}: 12 mixed arguments"), 1000, || {
            for _ in 0..1000 {
                // SAFETY: the bytes return a constant and read no argument.
                black_box(unsafe { many.call(black_box(&args)) }.unwrap());
            }
        });
    }
}

fn main() {
    heap();
    heap_beside_a_busy_thread();
    arenas();
    calls();
}
