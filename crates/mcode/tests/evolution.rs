//! Evolution finds known formulas, repeats itself, and keeps its limits.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::ops::ControlFlow;

use opcodon_evo::{Reason, Stop};
use opcodon_mcode::evolve::{Settings, Variation, run};
use opcodon_mcode::{Blocks, Genome, LinearCode, Opcode, Repertoire, Tier, TreeCode};

fn data(tier: Tier, (low, high): (f64, f64), formula: impl Fn(f64, f64) -> f64) -> Blocks {
    let mut rng = opcodon_evo::Rng::new(1, 1);
    let mut column = || -> Vec<f64> { (0..40).map(|_| rng.uniform(low, high)).collect() };
    let [x, y] = [column(), column()];
    let target: Vec<f64> = x.iter().zip(&y).map(|(&x, &y)| formula(x, y)).collect();
    Blocks::new(tier, &[&x, &y], Some(&target)).unwrap()
}

fn settings(tier: Tier, seed: u64) -> Settings {
    let repertoire = Repertoire::new(tier, 2).unwrap().registers(4).unwrap();
    Settings {
        variation: Variation {
            max_slots: 20,
            max_nodes: 60,
            initial_slots: 10,
            ..Variation::default()
        },
        seed,
        stop: Stop {
            target_error: Some(1e-20),
            evaluations: Some(400_000),
            ..Stop::default()
        },
        ..Settings::new(repertoire)
    }
}

/// One of a few seeds finds the formula.
fn check<G: Genome>(blocks: &Blocks, target_error: f64, constants: f64) {
    let mut losses = Vec::new();
    for seed in 0..8 {
        let mut settings = settings(blocks.tier(), seed);
        settings.repertoire = settings.repertoire.constants(constants, 0.0, 3.0);
        settings.stop.target_error = Some(target_error);
        let found = run::<G>(blocks, &settings, |_| ControlFlow::Continue(())).unwrap();
        assert!(found.best.code().slots().len() <= settings.variation.max_slots);
        assert!(found.best.formula(settings.variation.max_nodes).is_ok());
        if found.reason == Reason::TargetError {
            assert!(found.loss <= target_error);
            return;
        }
        losses.push(found.loss);
    }
    panic!("{}: {losses:?}", blocks.tier());
}

#[test]
fn a_quartic_is_recovered() {
    for tier in common::tiers("a_quartic_is_recovered") {
        let blocks = data(tier, (-1.0, 1.0), |x, _| {
            x.powi(4) + x.powi(3) + x.powi(2) + x
        });
        check::<LinearCode>(&blocks, 1e-20, 0.0);
        check::<TreeCode>(&blocks, 1e-20, 0.0);
    }
}

#[test]
fn a_rational_function_of_two_variables_is_recovered() {
    for tier in common::tiers("a_rational_function_of_two_variables_is_recovered") {
        let blocks = data(tier, (0.5, 2.0), |x, y| x * y / (x * x + y));
        check::<LinearCode>(&blocks, 1e-20, 0.1);
        check::<TreeCode>(&blocks, 1e-20, 0.1);
    }
}

#[test]
fn constants_are_refitted_in_place() {
    for tier in common::tiers("constants_are_refitted_in_place") {
        let blocks = data(tier, (0.5, 2.0), |x, y| 2.5671 * x - 0.577 * y);
        check::<LinearCode>(&blocks, 1e-8, 0.5);
        check::<TreeCode>(&blocks, 1e-8, 0.5);
    }
}

#[test]
fn a_run_is_a_function_of_its_seed_on_every_tier() {
    let mut losses = Vec::new();
    for tier in common::tiers("a_run_is_a_function_of_its_seed_on_every_tier") {
        let blocks = data(tier, (-1.0, 1.0), |x, y| (x - 0.3).abs() + y.max(0.2));
        let mut settings = settings(tier, 7);
        settings.repertoire = common::numbers(tier, 2).registers(4).unwrap();
        settings.stop.evaluations = Some(20_000);
        let trace = |seed| {
            let settings = Settings {
                seed,
                ..settings.clone()
            };
            let mut trace = Vec::new();
            let found = run::<LinearCode>(&blocks, &settings, |progress| {
                trace.push((progress.evaluations, progress.loss.to_bits()));
                ControlFlow::Continue(())
            });
            (trace, found.unwrap().best)
        };
        assert_eq!(trace(1), trace(1));
        assert_ne!(trace(1), trace(2));
        let (first, _) = trace(1);
        assert!(
            first
                .windows(2)
                .all(|pair| f64::from_bits(pair[1].1) <= f64::from_bits(pair[0].1))
        );
        losses.push(f64::from_bits(first[0].1));
    }
    // The first populations are the same genes; sums of squares differ in their order only.
    assert!(
        losses
            .windows(2)
            .all(|pair| (pair[0] - pair[1]).abs() < 1e-9)
    );
}

#[test]
fn limits_and_the_callback_end_a_run() {
    for tier in common::tiers("limits_and_the_callback_end_a_run") {
        let blocks = data(tier, (-1.0, 1.0), |x, _| x.sin());
        let end = |stop: Stop, steps: u64| {
            let settings = Settings {
                stop,
                ..settings(tier, 1)
            };
            let found = run::<TreeCode>(&blocks, &settings, |progress| {
                if progress.step == steps {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            });
            found.unwrap().reason
        };
        let generations = Stop {
            generations: Some(3),
            ..Stop::default()
        };
        assert_eq!(end(generations.clone(), 10), Reason::Generations);
        assert_eq!(end(generations, 2), Reason::Interrupted);
        let time = Some(std::time::Duration::ZERO);
        assert_eq!(
            end(
                Stop {
                    time,
                    ..Stop::default()
                },
                10
            ),
            Reason::Time
        );
    }
}

#[test]
fn impossible_settings_are_refused() {
    for tier in common::tiers("impossible_settings_are_refused") {
        let blocks = data(tier, (-1.0, 1.0), |x, _| x);
        let refused = |settings: &Settings, blocks: &Blocks| {
            let found = run::<LinearCode>(blocks, settings, |_| ControlFlow::Break(()));
            found.unwrap_err().to_string()
        };
        let good = settings(tier, 0);
        let few = Settings {
            population: 1,
            ..good.clone()
        };
        assert_eq!(
            refused(&few, &blocks),
            "the population is 1, but must lie in 2..=16777215"
        );
        let three = Settings::new(Repertoire::new(tier, 3).unwrap());
        assert!(refused(&three, &blocks).contains("3 columns are needed"));
        let no_target = Blocks::new(tier, &[&[1.0], &[2.0]], None).unwrap();
        assert!(refused(&good, &no_target).contains("no target"));
        let repertoire = Repertoire::new(tier, 1).unwrap();
        assert!(repertoire.clone().registers(17).is_err() && repertoire.registers(0).is_err());
        assert!(Repertoire::new(tier, 0).is_err() && Repertoire::new(tier, 257).is_err());
        assert_eq!(Opcode::of(opcodon_expr::Op::Sin), None);
    }
}
