//! Integer registers: the machine computes what the reference says, and small tricks are found.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::ops::ControlFlow;

use opcodon_evo::{Rng, Stop};
use opcodon_mcode::evolve::{Settings, Variation, run};
use opcodon_mcode::{
    Batch, Blocks, Fold, Gene, Genome, Individual, LinearCode, Opcode, Repertoire, Tier, TreeCode,
};

/// Numbers at which integers behave differently from each other.
const NASTY: [i64; 14] = [
    0,
    1,
    -1,
    2,
    63,
    64,
    65,
    -64,
    i64::MAX,
    i64::MIN,
    i64::MAX - 1,
    1 << 32,
    -(1 << 31),
    0x5555_5555_5555_5555,
];

/// All pairs of these, and some that are drawn.
fn columns() -> [Vec<i64>; 2] {
    let mut rng = Rng::new(9, 9);
    let pairs = NASTY
        .iter()
        .flat_map(|a| NASTY.iter().map(move |b| (*a, *b)));
    let drawn = (0..100).map(|_| (rng.u64().cast_signed(), rng.u64().cast_signed()));
    let (a, b) = pairs.chain(drawn.collect::<Vec<_>>()).unzip();
    [a, b]
}

fn blocks(tier: Tier, function: impl Fn(i64, i64) -> i64) -> Blocks {
    let [a, b] = columns();
    let target: Vec<i64> = a.iter().zip(&b).map(|(a, b)| function(*a, *b)).collect();
    Blocks::from_integers(tier, &[&a, &b], &target).unwrap()
}

fn check(genome: &Individual) {
    let [a, b] = columns();
    let code = genome.code();
    assert_eq!(code.check(), Ok(()));
    let expected: Vec<u64> = a
        .iter()
        .zip(&b)
        .map(|(a, b)| code.eval_words(&[a.cast_unsigned(), b.cast_unsigned()]))
        .collect::<Option<_>>()
        .unwrap();
    let words = |fold| {
        let mut batch = Batch::new(code.tier(), 2, fold).unwrap();
        batch.load([code]).unwrap();
        batch
    };
    let data = blocks(code.tier(), |a, _| a);
    let mut found = vec![0.0; a.len()];
    words(Fold::Predict).predict(0, &data, &mut found).unwrap();
    let found: Vec<u64> = found.iter().map(|word| word.to_bits()).collect();
    let text = code.to_integer_text(100_000);
    assert_eq!(found, expected, "{text:?}");
    let pairs = a.iter().zip(&expected);
    let wrong: u32 = pairs
        .map(|(a, e)| (a.cast_unsigned() ^ e).count_ones())
        .sum();
    let share = f64::from(wrong) / (64 * a.len()) as f64;
    assert_eq!(words(Fold::Bits).loss(0, &data).unwrap(), share);
}

#[test]
fn the_machine_computes_what_is_meant() {
    for tier in common::tiers("the_machine_computes_what_is_meant") {
        let repertoire = Repertoire::integers(tier, 2).unwrap();
        let mut seen = Vec::new();
        let mut note = |genome: &Individual| {
            seen.extend(genome.code().genes().map(|(_, Gene { opcode, .. })| opcode));
        };
        for k in 0..600 {
            let mut rng = Rng::new(3, k);
            let linear: Individual = LinearCode::random(&mut rng, &repertoire, 30).into();
            let tree: Individual = TreeCode::random(&mut rng, &repertoire, 5).into();
            for genome in [linear, tree] {
                check(&genome);
                note(&genome);
                let json = serde_json::to_string(&genome).unwrap();
                let again: Individual = serde_json::from_str(&json).unwrap();
                assert_eq!(again.code().slots(), genome.code().slots());
            }
        }
        for name in repertoire.names() {
            let opcode = Opcode::from_name(name).unwrap();
            assert!(seen.contains(&opcode), "{name} was never drawn");
        }
    }
}

#[test]
fn what_operations_mean_is_what_rust_means() {
    let tier = Tier::Avx512;
    let meaning = |opcode: Opcode, a: i64, b: i64| -> i64 {
        let gone = u64::try_from(b).is_ok_and(|b| b < 64);
        match opcode {
            Opcode::Iadd => a.wrapping_add(b),
            Opcode::Isub => a.wrapping_sub(b),
            Opcode::Imul => a.wrapping_mul(b),
            Opcode::Imin => a.min(b),
            Opcode::Imax => a.max(b),
            Opcode::Shl if gone => a << b,
            Opcode::Shr if gone => (a.cast_unsigned() >> b).cast_signed(),
            Opcode::Shl | Opcode::Shr => 0,
            Opcode::Sar if gone => a >> b,
            Opcode::Sar => a >> 63,
            Opcode::And => a & b,
            Opcode::Or => a | b,
            Opcode::Xor => a ^ b,
            _ => !a & b,
        }
    };
    let base = Repertoire::integers(tier, 2).unwrap();
    for name in base.names() {
        let opcode = Opcode::from_name(name).unwrap();
        // One gene on both columns, which the registers begin as.
        let one = base.clone().opcodes(&[opcode]).constants(0.0, 0.0, 0.0);
        let genome = (0..)
            .map(|k| LinearCode::random(&mut Rng::new(1, k), &one, 1))
            .find(|genome| {
                let text = genome.code().to_integer_text(9).unwrap();
                text.contains("x0")
                    && text.contains("x1")
                    && !text.contains("x1 ")
                    && !text.contains("(x1")
            })
            .unwrap();
        for a in NASTY {
            for b in NASTY {
                let found = genome.code().eval_words(&[a, b].map(i64::cast_unsigned));
                let expected = meaning(opcode, a, b).cast_unsigned();
                assert_eq!(found, Some(expected), "{name} of {a} and {b}");
            }
        }
    }
}

/// One of a few seeds finds a program without a wrong bit.
fn solve<G: Genome>(name: &str, tier: Tier, opcodes: &[&str], function: impl Fn(i64, i64) -> i64) {
    let blocks = blocks(tier, &function);
    let repertoire = Repertoire::integers(tier, 2).unwrap();
    let repertoire = repertoire.operators(opcodes).unwrap();
    let repertoire = repertoire.registers(4).unwrap();
    for seed in 0..10 {
        let settings = Settings {
            variation: Variation {
                max_slots: 16,
                initial_slots: 8,
                crossover: 0.3,
                ..Variation::default()
            },
            seed,
            stop: Stop {
                target_error: Some(0.0),
                evaluations: Some(400_000),
                ..Stop::default()
            },
            ..Settings::new(repertoire.clone())
        };
        let found = run::<G>(&blocks, &settings, |_| ControlFlow::Continue(())).unwrap();
        if found.loss == 0.0 {
            let mut rng = Rng::new(4, 4);
            for _ in 0..100 {
                let [a, b] = [rng.u64(), rng.u64()];
                let expected = function(a.cast_signed(), b.cast_signed());
                let value = found.best.code().eval_words(&[a, b]);
                assert_eq!(value, Some(expected.cast_unsigned()), "{name}");
            }
            return;
        }
    }
    panic!("{name} was not found on {tier}");
}

#[test]
fn small_tricks_are_found() {
    for tier in common::tiers("small_tricks_are_found") {
        let usual = ["iadd", "isub", "and", "or", "xor", "shr", "shl"];
        let lowest = |a: i64, _| a & a.wrapping_neg();
        solve::<LinearCode>("the lowest bit", tier, &usual, lowest);
        solve::<TreeCode>("the lowest bit", tier, &usual, lowest);
        let up_to_lowest = |a: i64, _| a ^ a.wrapping_sub(1);
        solve::<LinearCode>("all bits up to the lowest", tier, &usual, up_to_lowest);
        let other = |a: i64, b: i64| (a | b).wrapping_sub(a & b);
        solve::<TreeCode>("a difference of bits", tier, &usual, other);
        if Opcode::Sar.is_of(tier) {
            let sign = ["iadd", "isub", "and", "xor", "sar", "imin"];
            solve::<TreeCode>("the absolute value", tier, &sign, |a, _| a.wrapping_abs());
        }
    }
}

#[test]
fn integers_are_printed() {
    let tier = Tier::Avx512;
    let repertoire = Repertoire::integers(tier, 2).unwrap();
    let texts: Vec<String> = (0..400)
        .map(|k| TreeCode::random(&mut Rng::new(2, k), &repertoire, 2))
        .map(|tree| tree.code().to_integer_text(100).unwrap())
        .collect();
    for part in [
        "x0 - x1",
        "min(x",
        "x1 >>> ",
        "x0 >> ",
        "0x5555555555555555",
        "* -",
    ] {
        assert!(texts.iter().any(|text| text.contains(part)), "{part}");
    }
    let narrow = Repertoire::integers(Tier::Avx2, 2).unwrap();
    assert!(!narrow.names().any(|name| name == "imul"));
    let refused = narrow.operators(&["imul"]).unwrap_err().to_string();
    assert!(refused.contains("needs AVX-512"), "{refused}");
    let refused = Repertoire::boolean(tier, 2).unwrap().operators(&["iadd"]);
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.ends_with("there are and, or, xor, less, if"),
        "{refused}"
    );
}
