//! Code that comes and goes leaves nothing behind: neither memory nor mappings.
//!
//! A test binary of its own, because it watches its own process.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::fs;
use std::hint::black_box;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use opcodon_codemem::{Code, CodeHeap};

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn n_mappings() -> usize {
    fs::read_to_string("/proc/self/maps")
        .unwrap()
        .lines()
        .count()
}

fn n_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Installs and drops `n` functions, with a few hundred alive at any time and now and then many.
fn churn(heap: &CodeHeap, n: usize) {
    let mut alive: Vec<Code> = Vec::with_capacity(4096);
    let bytes = [0xc3_u8; 20_000];
    for i in 0..n {
        // Sizes in all classes, most of them small, and now and then one with pages of its own.
        let len = match i % 1000 {
            0 => 20_000,
            k => 16 + (k * k) % 2000,
        };
        alive.push(heap.install(&bytes[..len]).unwrap());
        let limit = if i / 10_000 % 10 == 9 { 4000 } else { 300 };
        while alive.len() > limit {
            // In the order of their making and in another one.
            let index = if i % 2 == 0 { 0 } else { i % alive.len() };
            black_box(alive.swap_remove(index));
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "figures, for whoever asks with --nocapture"
)]
fn check(n: usize) {
    // One at a time: each counts what the whole process has.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let heap = CodeHeap::global();
    // Everything that is kept once it is there: chunks, the allocator's memory.
    churn(heap, 100_000);
    let before = (resident(), n_mappings(), n_descriptors());
    let start = Instant::now();
    churn(heap, n);
    let each = start.elapsed().as_secs_f64() / n as f64;
    let after = (resident(), n_mappings(), n_descriptors());
    let report = format!(
        "before {before:?}, after {after:?}, {:.0} ns each",
        each * 1e9
    );
    println!("{report}");
    assert_eq!(heap.usage().n_functions, 0);
    assert!(
        after.0 < before.0 + (4 << 20),
        "resident memory grew: {report}"
    );
    assert!(after.1 < before.1 + 20, "mappings grew: {report}");
    assert!(after.2 < before.2 + 10, "descriptors grew: {report}");
    // A microsecond is the aim; the bound only catches a change of order on a busy machine.
    assert!(each < 50e-6, "{report}");
}

#[test]
fn a_million_functions_come_and_go() {
    check(1_000_000);
}

#[test]
#[ignore = "takes half a minute"]
fn ten_million_functions_come_and_go() {
    check(10_000_000);
}
