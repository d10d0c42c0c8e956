//! The verifier lets nothing through but allowed instructions; variation never leaves them.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::everything;
use iced_x86::{Code as Iced, Decoder, DecoderOptions, Instruction, OpAccess, OpKind, Register};
use iced_x86::{InstructionInfoFactory, Mnemonic};
use opcodon_evo::Rng;
use opcodon_mcode::{Code, LinearCode, Tier, TreeCode, VerifyError};

/// What a foreign decoder must say of code that passes: one instruction a slot, no flow, no
/// store, no general-purpose register written, memory in declared columns and constants only.
fn judge(code: &Code) {
    let tier = code.tier();
    let mut factory = InstructionInfoFactory::new();
    let vector = tier.lanes() as i64 * 8;
    for (slot, word) in code.slots().iter().enumerate() {
        let bytes = word.to_le_bytes();
        let mut decoder = Decoder::with_ip(64, &bytes, 0, DecoderOptions::NONE);
        let instruction: Instruction = decoder.decode();
        assert_ne!(instruction.code(), Iced::INVALID, "{bytes:02x?}");
        assert_eq!(instruction.len(), 8, "{instruction}");
        assert!(
            !instruction.is_jcc_short_or_near() && !instruction.is_stack_instruction(),
            "{instruction}"
        );
        assert_eq!(
            instruction.flow_control(),
            iced_x86::FlowControl::Next,
            "{instruction}"
        );
        let info = factory.info(&instruction);
        for used in info.used_memory() {
            assert_eq!(used.access(), OpAccess::Read, "{instruction}");
            assert_eq!(used.index(), Register::None);
            let disp = used.displacement() as i64;
            // EVEX code has base registers behind the first column and constant.
            let (place, unit, limit) = match (used.base(), tier) {
                (Register::RDI, Tier::Avx512) => (disp + 128 * 64, vector, code.n_columns()),
                (Register::RDI, Tier::Avx2) => (disp, vector, code.n_columns()),
                (Register::RSI, Tier::Avx512) => (disp + 128 * 8, 8, code.constants().len()),
                (Register::RSI, Tier::Avx2) => (disp, vector, code.constants().len()),
                _ => panic!("slot {slot}: {instruction}"),
            };
            assert!(place >= 0 && place % unit == 0, "{instruction}");
            assert!(place / unit < limit as i64, "{instruction}");
            assert!(used.memory_size().size() as i64 <= unit, "{instruction}");
        }
        for used in info.used_registers() {
            let writes = !matches!(used.access(), OpAccess::Read | OpAccess::CondRead);
            let register = used.register();
            assert!(!writes || register.is_vector_register() || register == Register::K2);
        }
        assert!((0..instruction.op_count()).all(|k| !matches!(
            instruction.op_kind(k),
            OpKind::NearBranch64 | OpKind::FarBranch32
        )));
        let written = instruction.op_register(0);
        let allowed = tier.n_registers() as usize;
        let reserved_until = match tier {
            Tier::Avx2 => 16,
            Tier::Avx512 => 22,
        };
        assert!(
            written == Register::K2 || written.number() < reserved_until,
            "{instruction}"
        );
        // Registers that hold the signs, zeros, ones and the sum are read only.
        let constant_registers = [allowed, allowed + 2, allowed + 3, allowed + 4];
        assert!(
            written == Register::K2 || !constant_registers.contains(&written.number()),
            "{instruction}"
        );
        assert!(!matches!(
            instruction.mnemonic(),
            Mnemonic::INVALID | Mnemonic::Nop
        ));
    }
}

#[test]
fn a_foreign_decoder_agrees_with_every_random_genome() {
    for tier in Tier::ALL {
        for n_columns in [1, 7, 256] {
            let repertoire = everything(tier, n_columns);
            let mut rng = Rng::new(1, n_columns as u64);
            for _ in 0..300 {
                let linear = LinearCode::random(&mut rng, &repertoire, 100);
                assert_eq!(linear.code().check(), Ok(()));
                judge(linear.code());
                let tree = TreeCode::random(&mut rng, &repertoire, 8);
                assert_eq!(tree.check(), Ok(()));
                judge(tree.code());
            }
        }
    }
}

/// Breeds and verifies; returns the number of children.
fn breed(tier: Tier, steps: usize, seed: u64) {
    const POPULATION: usize = 64;
    let max_slots = 40;
    let repertoire = everything(tier, 3);
    let mut rng = Rng::new(seed, 0);
    let mut linear: Vec<_> = (0..POPULATION)
        .map(|_| LinearCode::random(&mut rng, &repertoire, 20))
        .collect();
    let mut trees: Vec<_> = (0..POPULATION)
        .map(|_| TreeCode::random(&mut rng, &repertoire, 5))
        .collect();
    let mut linear_child = linear[0].clone();
    let (mut child, mut mutant) = (trees[0].clone(), trees[0].clone());
    // Children with constants; without selection, a population may drift to where it has none.
    let mut used = 0;
    for step in 0..steps {
        let [a, b, place] = std::array::from_fn(|_| rng.below(POPULATION));
        if step % 2 == 0 {
            linear_child.two_point(&mut rng, &linear[a], &linear[b], max_slots);
        } else {
            linear_child.homologous(&mut rng, &linear[a], &linear[b], max_slots);
        }
        linear_child.mutate(&mut rng, &repertoire, max_slots);
        assert_eq!(linear_child.code().check(), Ok(()), "step {step}");
        assert!(linear_child.code().slots().len() <= max_slots);
        used += usize::from(!linear_child.code().constants().is_empty());
        std::mem::swap(&mut linear[place], &mut linear_child);

        child.crossover(&mut rng, &trees[a], &trees[b], max_slots);
        mutant.mutate(&mut rng, &child, &repertoire, max_slots);
        assert_eq!(child.check(), Ok(()), "step {step}");
        assert_eq!(mutant.check(), Ok(()), "step {step}");
        assert!(mutant.code().slots().len() <= max_slots);
        std::mem::swap(&mut trees[place], &mut mutant);
        if step % 100_000 == 0 {
            judge(linear[place].code());
            judge(trees[place].code());
        }
    }
    assert!(used > steps / 100, "children have constants: {used}");
}

#[test]
fn variation_never_leaves_verified_code() {
    for tier in Tier::ALL {
        breed(tier, 250_000, 17);
    }
}

#[test]
#[ignore = "a minute or more"]
fn variation_never_leaves_verified_code_for_long() {
    for tier in Tier::ALL {
        for seed in 0..10 {
            breed(tier, 2_000_000, seed);
        }
    }
}

#[test]
fn flipped_bits_never_pass_wrongly() {
    let mut passed = 0;
    for tier in Tier::ALL {
        let repertoire = everything(tier, 3);
        let mut rng = Rng::new(4, 0);
        for _ in 0..100_000 {
            let genome = LinearCode::random(&mut rng, &repertoire, 6);
            let (mut slots, constants) =
                (genome.code().slots().to_vec(), genome.code().constants());
            for _ in 0..rng.range(1, 3) {
                let slot = rng.below(slots.len());
                slots[slot] ^= 1 << rng.below(64);
            }
            if let Ok(code) = Code::verify(tier, 3, slots, constants.to_vec()) {
                judge(&code);
                // What passes is made of genes and nothing else.
                let genes: usize = code.genes().map(|(_, gene)| gene.opcode.n_slots()).sum();
                assert_eq!(genes, code.slots().len());
                passed += 1;
            }
        }
    }
    assert!(passed > 1000, "flips of register fields pass: {passed}");
}

#[test]
fn every_single_flip_of_every_kind_of_slot_is_judged() {
    for tier in Tier::ALL {
        let repertoire = everything(tier, 256);
        let mut rng = Rng::new(4, 0);
        for _ in 0..400 {
            let genome = LinearCode::random(&mut rng, &repertoire, 3);
            for bit in 0..64 * genome.code().slots().len() {
                let mut slots = genome.code().slots().to_vec();
                slots[bit / 64] ^= 1 << (bit % 64);
                let constants = genome.code().constants().to_vec();
                if let Ok(code) = Code::verify(tier, 256, slots, constants) {
                    judge(&code);
                }
            }
        }
    }
}

#[test]
fn what_a_crossover_replaced_makes_the_same_child_again() {
    for tier in Tier::ALL {
        let repertoire = everything(tier, 5);
        let mut rng = Rng::new(4, 4);
        let mut copies = 0;
        for _ in 0..2000 {
            let [a, b] = [0, 0].map(|_| LinearCode::random(&mut rng, &repertoire, 30));
            let mut child = a.clone();
            let splice = if rng.bool(0.5) {
                child.two_point(&mut rng, &a, &b, 30)
            } else {
                child.homologous(&mut rng, &a, &b, 30)
            };
            match splice {
                Some(splice) => assert_eq!(a.splice(splice.cut, &b, splice.donor).unwrap(), child),
                None => assert_eq!(child, a),
            }
            let [a, b] = [0, 0].map(|_| TreeCode::random(&mut rng, &repertoire, 5));
            let mut child = a.clone();
            let Some(splice) = child.crossover(&mut rng, &a, &b, 30) else {
                assert_eq!(child, a);
                copies += 1;
                continue;
            };
            let node = |tree: &TreeCode, slots| {
                let mut marks = tree.marks().into_iter();
                marks.position(|mark| mark.slots() == slots).unwrap()
            };
            let (cut, donor) = (node(&a, splice.cut), node(&b, splice.donor));
            let again = a.splice(cut, &b, donor).unwrap();
            assert_eq!(again, child);
            assert_eq!(again.check(), Ok(()));
        }
        assert!(copies < 200, "{copies}");
    }
}

#[test]
fn splices_at_impossible_places_are_refused() {
    let tier = Tier::Avx512;
    let genome = |text: &str, n_columns| {
        let expr = opcodon_expr::parse(text, None).unwrap().expr;
        TreeCode::from_expression(&expr, tier, n_columns).unwrap()
    };
    let (a, b) = (genome("min(x0, x1)", 2), genome("x0", 3));
    let linear = |tree: &TreeCode| LinearCode::try_from(tree.code().clone()).unwrap();
    let (c, d) = (linear(&a), linear(&b));
    let mut errors = vec![
        a.splice(3, &a, 0).map(|_| ()),
        a.splice(0, &a, 3).map(|_| ()),
        a.splice(0, &b, 0).map(|_| ()),
    ];
    let backwards = std::ops::Range { start: 2, end: 1 };
    for cut in [3..5, 0..4, 0..6, backwards] {
        errors.push(c.splice(cut, &c, 0..1).map(|_| ()));
    }
    errors.push(c.splice(0..5, &c, 2..2).map(|_| ()));
    errors.push(c.splice(0..1, &d, 0..1).map(|_| ()));
    let errors: Vec<String> = errors
        .into_iter()
        .map(|result| result.unwrap_err().to_string())
        .collect();
    expect_test::expect![[r#"
        the number of a node is 3, but must lie in 0..=2
        the number of a node is 3, but must lie in 0..=2
        the other genome is for tier avx512 and 3 columns, but tier avx512 and 2 columns are needed
        a genome of 5 slots cannot be cut at slot 3: cuts go from gene to gene, first to last
        a genome of 5 slots cannot be cut at slot 4: cuts go from gene to gene, first to last
        a genome of 5 slots cannot be cut at slot 6: cuts go from gene to gene, first to last
        a genome of 5 slots cannot be cut at slot 1: cuts go from gene to gene, first to last
        the number of slots of the child is 0, but must lie in 1..=256
        the other genome is for tier avx512 and 3 columns, but tier avx512 and 2 columns are needed
    "#]]
    .assert_eq(&(errors.join("\n") + "\n"));
}

#[test]
fn genes_that_could_read_undeclared_columns_do_not_get_in() {
    let tier = Tier::Avx512;
    let (narrow, wide) = (everything(tier, 2), everything(tier, 200));
    let mut rng = Rng::new(1, 1);
    let linear = [&narrow, &wide].map(|all| LinearCode::random(&mut rng, all, 20));
    let trees = [&narrow, &wide].map(|all| TreeCode::random(&mut rng, all, 4));
    let attempts: [&dyn Fn(); 5] = [
        &|| linear[0].clone().mutate(&mut Rng::new(2, 2), &wide, 30),
        &|| {
            let mut child = linear[0].clone();
            child.two_point(&mut Rng::new(2, 2), &linear[0], &linear[1], 30);
        },
        &|| {
            let mut child = linear[0].clone();
            child.homologous(&mut Rng::new(2, 2), &linear[0], &linear[1], 30);
        },
        &|| {
            trees[0]
                .clone()
                .mutate(&mut Rng::new(2, 2), &trees[0], &wide, 30)
        },
        &|| {
            let mut child = trees[0].clone();
            child.crossover(&mut Rng::new(2, 2), &trees[0], &trees[1], 30);
        },
    ];
    for (number, attempt) in attempts.iter().enumerate() {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt));
        assert!(outcome.is_err(), "attempt {number}");
    }
}

#[test]
fn random_bytes_do_not_pass() {
    for tier in Tier::ALL {
        let mut rng = Rng::new(9, 9);
        for _ in 0..1_000_000 {
            let slot = rng.u64();
            if let Ok(code) = Code::verify(tier, 1, vec![slot], vec![]) {
                judge(&code);
            }
        }
    }
}

#[test]
fn errors_name_the_slot_and_the_reason() {
    let tier = Tier::Avx512;
    let expr = opcodon_expr::parse("x1 + 2", Some(&["x0", "x1"]))
        .unwrap()
        .expr;
    let tree = TreeCode::from_expression(&expr, tier, 2).unwrap();
    let (slots, constants) = (
        tree.code().slots().to_vec(),
        tree.code().constants().to_vec(),
    );
    let verify = |n_columns, slots: &[u64], constants: &[f64]| {
        let error = Code::verify(tier, n_columns, slots.to_vec(), constants.to_vec());
        error.unwrap_err()
    };
    assert_eq!(verify(2, &[], &[]), VerifyError::Empty);
    assert_eq!(
        verify(0, &slots, &constants),
        VerifyError::ColumnCount { found: 0 }
    );
    assert_eq!(
        verify(1, &slots, &constants),
        VerifyError::Column {
            slot: 0,
            column: 1,
            n_columns: 1
        }
    );
    assert_eq!(
        verify(2, &slots, &[]),
        VerifyError::ConstantCount {
            found: 0,
            expected: 1
        }
    );
    assert_eq!(
        verify(2, &[slots[1], slots[1]], &[1.0, 1.0]),
        VerifyError::ConstantOrder {
            slot: 1,
            found: 0,
            expected: 1
        }
    );
    // mov [rdi], rax; and friends.
    let store = u64::from_le_bytes(*b"\x3e\x3e\x3e\x3e\x3e\x48\x89\x07");
    assert_eq!(
        verify(2, &[slots[0], store], &[]).to_string(),
        "slot 1 holds 3e 3e 3e 3e 3e 48 89 07, which is no allowed instruction"
    );
    let tree_error = |slots: &[u64], constants: &[f64]| {
        let code = Code::verify(tier, 2, slots.to_vec(), constants.to_vec()).unwrap();
        TreeCode::try_from(code).unwrap_err()
    };
    assert_eq!(
        tree_error(&slots[..2], &constants),
        VerifyError::Leftover { found: 2 }
    );
    assert!(matches!(
        tree_error(&slots[2..], &[]),
        VerifyError::Tree { slot: 0, .. }
    ));
    let mut marks = tree.marks().to_vec();
    marks[2].begin = 1;
    let error = TreeCode::from_slots(tier, 2, slots, constants, &marks).unwrap_err();
    assert_eq!(error, VerifyError::Marks { node: 2 });
}
