//! Evolution finds known formulas, repeats itself, and keeps its limits.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::ops::ControlFlow;

use opcodon_evo::{Reason, Stop};
use opcodon_mcode::evolve::{Islands, Selection, Settings, State, Variation, run};
use opcodon_mcode::{Batch, Blocks, Fold, Genome, LinearCode, Opcode, Repertoire, Tier, TreeCode};

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

/// Settings of several demes.
fn demes(tier: Tier, selection: Selection) -> Settings {
    Settings {
        demes: 5,
        epoch: 8,
        migrants: 3,
        population: 60,
        children: 20,
        selection,
        scaling: true,
        stop: Stop {
            generations: Some(40),
            ..Stop::default()
        },
        ..settings(tier, 3)
    }
}

/// What can be seen of a run.
fn seen<G: Genome>(islands: &Islands<G>) -> String {
    serde_json::to_string(&islands.state()).unwrap()
}

fn go_on<G: Genome>(islands: &mut Islands<G>, data: &Blocks, n_threads: usize) -> Reason {
    let run = islands.run(data, n_threads, |_, _| ControlFlow::Continue(()));
    run.unwrap()
}

fn check_demes<G: Genome>(data: &Blocks, selection: Selection) {
    let settings = demes(data.tier(), selection);
    let whole = |n_threads| {
        let mut islands = Islands::<G>::new(data, settings.clone()).unwrap();
        assert_eq!(go_on(&mut islands, data, n_threads), Reason::Generations);
        assert_eq!(islands.steps(), 40);
        seen(&islands)
    };
    let expected = whole(1);
    for n_threads in [2, 3, 16] {
        assert!(whole(n_threads) == expected, "{n_threads} threads");
    }
    // Interrupted at any exchange, written down, read and taken up again.
    for first in [8, 24] {
        let mut part = settings.clone();
        part.stop.generations = Some(first);
        let mut islands = Islands::<G>::new(data, part).unwrap();
        go_on(&mut islands, data, 2);
        let state: State<G> = serde_json::from_str(&seen(&islands)).unwrap();
        let mut again = Islands::<G>::resume(data, settings.clone(), state).unwrap();
        assert_eq!(
            (again.steps(), again.evaluations()),
            (first, islands.evaluations())
        );
        go_on(&mut again, data, 1);
        assert!(seen(&again) == expected, "taken up again at {first}");
    }
    let other = Settings {
        seed: 4,
        ..settings.clone()
    };
    let mut islands = Islands::<G>::new(data, other).unwrap();
    go_on(&mut islands, data, 1);
    assert!(seen(&islands) != expected);
    let front = islands.front();
    assert!(front.len() > 2);
    for entry in front.iter() {
        assert_eq!(entry.size as u64, entry.genome.genome.code().n_nodes());
    }
    assert!(islands.best().1 <= front.best().unwrap().error);
}

#[test]
fn demes_do_not_depend_on_threads_and_are_taken_up_again() {
    for tier in common::tiers("demes_do_not_depend_on_threads_and_are_taken_up_again") {
        let blocks = data(tier, (-1.0, 1.0), |x, y| 3.0 * x * x - y / (x + 2.0));
        for selection in [Selection::Tournament, Selection::Nsga2] {
            check_demes::<LinearCode>(&blocks, selection);
            check_demes::<TreeCode>(&blocks, selection);
        }
    }
}

#[test]
fn a_state_of_other_settings_is_refused() {
    for tier in common::tiers("a_state_of_other_settings_is_refused") {
        let blocks = data(tier, (-1.0, 1.0), |x, _| x);
        let settings = demes(tier, Selection::Tournament);
        let state = Islands::<TreeCode>::new(&blocks, settings.clone())
            .unwrap()
            .state();
        let refused = |change: &dyn Fn(&mut Settings)| {
            let mut settings = settings.clone();
            change(&mut settings);
            let resumed = Islands::resume(&blocks, settings, state.clone());
            resumed.map(|_| ()).unwrap_err().to_string()
        };
        assert!(refused(&|s| s.demes = 4).contains("the number of demes is 5"));
        assert!(refused(&|s| s.population = 61).contains("the population is 60"));
        let three = Repertoire::new(tier, 3).unwrap();
        assert!(refused(&|s| s.repertoire = three.clone()).contains("3 columns"));
    }
}

#[test]
fn scaling_leaves_scale_and_offset_to_arithmetic() {
    for tier in common::tiers("scaling_leaves_scale_and_offset_to_arithmetic") {
        // Sums that cancel: values far from zero.
        let blocks = data(tier, (1000.0, 1001.0), |x, y| 7.5e6 * x * y - 3.25e9);
        let mut settings = settings(tier, 1);
        settings.scaling = true;
        settings.stop.target_error = Some(1e-18 * blocks.target_moments().1);
        let found = run::<TreeCode>(&blocks, &settings, |_| ControlFlow::Continue(())).unwrap();
        let mut batch = Batch::new(tier, 2, Fold::Moments).unwrap();
        batch.load([found.best.code()]).unwrap();
        let line = batch
            .line(0, &blocks, found.best.code().constants())
            .unwrap();
        let finished = found.best.finished(line.slope, line.intercept).unwrap();
        finished.check().unwrap();
        let mut exact = Batch::new(tier, 2, Fold::Squares).unwrap();
        exact.load([finished.code()]).unwrap();
        let loss = exact.loss(0, &blocks).unwrap();
        assert!(
            loss < 1e-12 * blocks.target_moments().1,
            "{loss} {}",
            found.loss
        );
    }
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
            "the population is 1, but must lie in 2..=1048575"
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
