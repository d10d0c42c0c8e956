//! Boolean problems: 64 cases a lane, the same genomes, verifier and evolution.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::ops::ControlFlow;

use opcodon_evo::{Reason, Rng, Stop};
use opcodon_mcode::evolve::{Settings, Variation, run};
use opcodon_mcode::{
    Batch, Blocks, Domain, Fold, Genome, LinearCode, McodeError, Opcode, Repertoire, Tier, TreeCode,
};

/// All cases of so many inputs: columns, and what a function says of each case.
fn table(n_inputs: usize, function: impl Fn(usize) -> bool) -> (Vec<Vec<u64>>, Vec<u64>, usize) {
    let n_cases = 1 << n_inputs;
    let bits = |of: &dyn Fn(usize) -> bool| {
        let mut words = vec![0_u64; usize::div_ceil(n_cases, 64)];
        for case in 0..n_cases {
            words[case / 64] |= u64::from(of(case)) << (case % 64);
        }
        words
    };
    let columns = (0..n_inputs).map(|input| bits(&|case| case >> input & 1 != 0));
    (columns.collect(), bits(&function), n_cases)
}

fn blocks(tier: Tier, n_inputs: usize, function: impl Fn(usize) -> bool) -> Blocks {
    let (columns, target, n_cases) = table(n_inputs, function);
    let slices: Vec<&[u64]> = columns.iter().map(Vec::as_slice).collect();
    Blocks::from_bits(tier, &slices, &target, n_cases).unwrap()
}

/// One of a few seeds solves the problem.
fn check<G: Genome>(blocks: &Blocks, opcodes: &[Opcode], max_slots: usize) {
    let mut losses = Vec::new();
    for seed in 0..6 {
        let repertoire = Repertoire::boolean(blocks.tier(), blocks.n_columns()).unwrap();
        let settings = Settings {
            variation: Variation {
                max_slots,
                max_nodes: 1_000_000,
                initial_slots: max_slots / 4,
                crossover: 0.1,
                mutation: 1.0,
                ..Variation::default()
            },
            seed,
            stop: Stop {
                target_error: Some(0.0),
                evaluations: Some(3_000_000),
                ..Stop::default()
            },
            ..Settings::new(repertoire.opcodes(opcodes))
        };
        let found = run::<G>(blocks, &settings, |_| ControlFlow::Continue(())).unwrap();
        if found.reason == Reason::TargetError {
            assert_eq!(found.loss, 0.0);
            assert!(found.best.code().to_boolean_text(1_000_000).is_ok());
            return;
        }
        losses.push(found.loss);
    }
    panic!("{}: {losses:?}", blocks.tier());
}

#[test]
fn parity_of_six_bits_is_solved() {
    for tier in common::tiers("parity_of_six_bits_is_solved") {
        let blocks = blocks(tier, 6, |case| case.count_ones() % 2 == 0);
        let all = [Opcode::And, Opcode::Or, Opcode::Xor, Opcode::Less];
        check::<LinearCode>(&blocks, &all, 40);
        check::<TreeCode>(&blocks, &all, 63);
    }
}

/// The multiplexer of so many address bits: they choose one of the others.
fn multiplexer(n_address: u32, case: usize) -> bool {
    let address = case & ((1 << n_address) - 1);
    case >> n_address >> address & 1 != 0
}

const WITHOUT_XOR: [Opcode; 3] = [Opcode::And, Opcode::Or, Opcode::Less];

#[test]
fn the_multiplexer_of_six_bits_is_solved() {
    for tier in common::tiers("the_multiplexer_of_six_bits_is_solved") {
        let blocks = blocks(tier, 6, |case| multiplexer(2, case));
        check::<LinearCode>(&blocks, &WITHOUT_XOR, 60);
        check::<TreeCode>(&blocks, &WITHOUT_XOR, 60);
    }
}

#[test]
#[ignore = "half a minute"]
fn the_multiplexer_of_eleven_bits_is_solved() {
    for tier in common::tiers("the_multiplexer_of_eleven_bits_is_solved") {
        let blocks = blocks(tier, 11, |case| multiplexer(3, case));
        check::<LinearCode>(&blocks, &WITHOUT_XOR, 200);
    }
}

#[test]
fn the_multiplexer_of_eleven_bits_is_solved_by_choices() {
    for tier in common::tiers("the_multiplexer_of_eleven_bits_is_solved_by_choices") {
        if Opcode::If.is_of(tier) {
            let blocks = blocks(tier, 11, |case| multiplexer(3, case));
            check::<TreeCode>(&blocks, &[Opcode::If, Opcode::And, Opcode::Or], 100);
        }
    }
}

#[test]
fn wrong_cases_are_counted_and_padding_is_not() {
    for tier in common::tiers("wrong_cases_are_counted_and_padding_is_not") {
        let bits: Vec<_> = Opcode::ALL
            .iter()
            .copied()
            .filter(|o| o.domain() == Some(Domain::Bits))
            .collect();
        let repertoire = Repertoire::boolean(tier, 3)
            .unwrap()
            .opcodes(&bits)
            .constants(0.3, 0.0, 0.0);
        let mut rng = Rng::new(6, 6);
        for n_cases in [1, 63, 64, 65, 511, 513, 70_000] {
            let words = usize::div_ceil(n_cases, 64);
            let mut column = || (0..words).map(|_| rng.u64()).collect::<Vec<u64>>();
            let [x0, x1, x2, target] = std::array::from_fn(|_| column());
            let blocks = Blocks::from_bits(tier, &[&x0, &x1, &x2], &target, n_cases).unwrap();
            let genomes: Vec<_> = (0..60)
                .map(|_| TreeCode::random(&mut rng, &repertoire, 5))
                .collect();
            let mut batch = Batch::new(tier, 3, Fold::Bits).unwrap();
            batch.load(genomes.iter().map(TreeCode::code)).unwrap();
            for (index, genome) in genomes.iter().enumerate() {
                let mut wrong = 0;
                for case in 0..n_cases {
                    let bit = |words: &[u64]| words[case / 64] >> (case % 64) & 1 != 0;
                    let value = meaning(genome, &[bit(&x0), bit(&x1), bit(&x2)]);
                    wrong += usize::from(value != bit(&target));
                    if n_cases > 1000 && case > 100 {
                        break;
                    }
                }
                let loss = batch.loss(index, &blocks).unwrap();
                if n_cases <= 1000 {
                    assert_eq!(loss, wrong as f64 / n_cases as f64, "{n_cases}");
                } else {
                    assert!((0.0..=1.0).contains(&loss));
                }
            }
        }
    }
}

/// What a tree on bits means at one case.
fn meaning(tree: &TreeCode, inputs: &[bool]) -> bool {
    let mut stack = Vec::new();
    for (_, gene) in tree.code().genes() {
        let value = match gene.opcode {
            Opcode::Load => match gene.b {
                opcodon_mcode::Operand::Column(column) => inputs[usize::from(column)],
                leaf => tree.code().constants()[usize::from(leaf.number())].to_bits() != 0,
            },
            opcode => {
                let (b, a): (bool, bool) = (stack.pop().unwrap(), stack.pop().unwrap());
                match opcode {
                    Opcode::And => a & b,
                    Opcode::Or => a | b,
                    Opcode::Xor => a ^ b,
                    Opcode::Less => !a & b,
                    Opcode::If if stack.pop().unwrap() => a,
                    _ => b,
                }
            }
        };
        stack.push(value);
    }
    stack[0]
}

#[test]
fn genomes_on_bits_are_printed_stored_and_kept_apart_from_numbers() {
    let tier = Tier::Avx512;
    let repertoire = Repertoire::boolean(tier, 2)
        .unwrap()
        .constants(0.5, 0.0, 0.0);
    let mut rng = Rng::new(3, 0);
    let mut texts = Vec::new();
    for _ in 0..200 {
        let tree = TreeCode::random(&mut rng, &repertoire, 2);
        let json = serde_json::to_string(&tree).unwrap();
        let read: TreeCode = serde_json::from_str(&json).unwrap();
        // All ones are a NaN, which equals nothing.
        let bits = |tree: &TreeCode| -> Vec<u64> {
            tree.code()
                .constants()
                .iter()
                .map(|c| c.to_bits())
                .collect()
        };
        assert_eq!(bits(&read), bits(&tree));
        assert_eq!(read.code().slots(), tree.code().slots());
        texts.push(tree.code().to_boolean_text(10).unwrap());
        assert!(matches!(tree.to_expression(), Err(McodeError::Bitwise)));
        assert!(matches!(
            tree.code().to_expression(10),
            Err(McodeError::Bitwise)
        ));
    }
    for text in ["x0 ^ 1", "x1 & x0", "0 < x1", "x0 | x1"] {
        assert!(texts.iter().any(|found| found == text), "{text}: {texts:?}");
    }
    let narrow = Repertoire::boolean(Tier::Avx2, 2).unwrap();
    assert_eq!(
        narrow.operators(&["if"]).unwrap_err().to_string(),
        "the operation \"if\" needs AVX-512, and these genomes are of the tier avx2"
    );
    for tier in common::tiers("genomes_on_bits_are_printed_stored_and_kept_apart_from_numbers") {
        let bits = blocks(tier, 2, |case| case == 3);
        let numbers = Settings::new(Repertoire::new(tier, 2).unwrap());
        let error = run::<LinearCode>(&bits, &numbers, |_| ControlFlow::Break(()));
        assert_eq!(
            error.unwrap_err().to_string(),
            "the data hold bits, but the repertoire is for numbers"
        );
        assert!(Blocks::from_bits(tier, &[&[1, 2]], &[1, 2], 64).is_err());
        let squares = Batch::new(tier, 2, Fold::Squares).unwrap();
        assert!(squares.losses(&bits, &mut []).is_err());
    }
}
