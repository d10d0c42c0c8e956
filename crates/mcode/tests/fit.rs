//! From a table to a front, stored and read; hostile files are refused.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opcodon_evo::Rng;
use opcodon_mcode::fit::{Hooks, Observations, fit};
use opcodon_mcode::{Config, Report};

fn table(formula: impl Fn(f64, f64) -> f64) -> Observations<'static> {
    let mut rng = Rng::new(5, 5);
    let mut column = |low, high| -> Vec<f64> { (0..60).map(|_| rng.uniform(low, high)).collect() };
    let (mass, speed) = (column(1.0, 5.0), column(-2.0, 2.0));
    let target = mass.iter().zip(&speed).map(|(&m, &v)| formula(m, v));
    Observations {
        target: target.collect::<Vec<f64>>().into(),
        names: vec!["mass".into(), "speed (m/s)".into()],
        columns: vec![mass.into(), speed.into()],
        target_name: "energy".into(),
        weights: None,
    }
}

fn config(changes: &[(&str, &str)]) -> Config {
    let mut config = Config::default();
    let quick = [
        ("time_limit", "none"),
        ("max_evaluations", "40000"),
        ("population_size", "200"),
        ("random_state", "1"),
        ("n_jobs", "1"),
    ];
    for (name, text) in quick.iter().chain(changes) {
        config.set(name, text).unwrap();
    }
    config
}

fn supported(test: &str) -> bool {
    !common::tiers(test).is_empty()
}

#[test]
fn a_law_is_found_and_predicts() {
    if !supported("a_law_is_found_and_predicts") {
        return;
    }
    let data = table(|m, v| 0.5 * m * v * v + 3.0);
    for genome in ["linear", "tree"] {
        let report = fit(&data, &config(&[("genome", genome)]), Hooks::default()).unwrap();
        let best = report.best();
        assert!(best.r2 > 0.999_999, "{report}");
        assert_eq!(report.stop, "target error reached", "{report}");
        let columns: Vec<&[f64]> = data.columns.iter().map(AsRef::as_ref).collect();
        let predicted = report.predict(None, &columns).unwrap();
        let expected = best.expression().unwrap().eval_columns(&columns);
        assert!(
            predicted
                .iter()
                .zip(expected)
                .all(|(a, b)| common::same(*a, b))
        );
        for pair in report.front.windows(2) {
            assert!(pair[0].size < pair[1].size && pair[0].loss > pair[1].loss);
        }
        for pair in report.curve.windows(2) {
            assert!(pair[0].step <= pair[1].step && pair[0].loss >= pair[1].loss);
        }
        assert_eq!(report.curve.first().unwrap().step, 0);
        assert_eq!(report.curve.last().unwrap().evaluations, report.evaluations);
        assert_eq!(report.front[0].r2, 0.0);
        assert!(best.formula.contains("`speed (m/s)`"), "{}", best.formula);
        let again = Report::from_json(&report.to_json()).unwrap();
        assert_eq!(again, report);
    }
}

#[test]
fn threads_do_not_matter_and_the_seed_does() {
    if !supported("threads_do_not_matter_and_the_seed_does") {
        return;
    }
    let data = table(|m, v| (m + v).sin());
    let front = |changes: &[(&str, &str)]| {
        let report = fit(&data, &config(changes), Hooks::default()).unwrap();
        report.front
    };
    let expected = front(&[]);
    assert_eq!(front(&[("n_jobs", "3")]), expected);
    assert_ne!(front(&[("random_state", "2")]), expected);
    let nsga2 = front(&[("selection", "nsga2"), ("children", "200")]);
    assert!(nsga2.len() > 3);
    assert_eq!(
        front(&[("selection", "nsga2"), ("children", "200"), ("n_jobs", "2")]),
        nsga2
    );
}

#[test]
fn a_search_goes_on_where_it_was_written_down() {
    if !supported("a_search_goes_on_where_it_was_written_down") {
        return;
    }
    let data = table(|m, v| (m * v).cos());
    for genome in ["linear", "tree"] {
        let whole = config(&[
            ("genome", genome),
            ("max_evaluations", "none"),
            ("max_steps", "150"),
            ("record_lineage", "true"),
        ]);
        let expected = fit(&data, &whole, Hooks::default()).unwrap();
        let mut part = whole.clone();
        part.set("max_steps", "50").unwrap();
        let mut text = String::new();
        let mut save = |state: &str| text = state.to_owned();
        let hooks = Hooks {
            checkpoint: Some((Duration::from_secs(3600), &mut save)),
            ..Hooks::default()
        };
        fit(&data, &part, hooks).unwrap();
        let resume = |text: &str, data| {
            let hooks = Hooks {
                resume: Some(text),
                ..Hooks::default()
            };
            // The kind of genome and the seed come from the text.
            let mut other = config(&[("max_evaluations", "none"), ("random_state", "9")]);
            other.set("max_steps", "150").unwrap();
            fit(data, &other, hooks)
        };
        let report = resume(&text, &data).unwrap();
        assert_eq!(report.front, expected.front);
        assert_eq!(report.evaluations, expected.evaluations);
        assert_eq!(report.curve, expected.curve);
        assert_eq!(report.ancestors, expected.ancestors);
        // Ancestors that go in circles end somewhere.
        let mut circular: serde_json::Value = serde_json::from_str(&text).unwrap();
        for birth in circular["state"]["births"].as_array_mut().unwrap() {
            birth["mother"] = birth["id"].clone();
        }
        let report = resume(&circular.to_string(), &data).unwrap();
        assert!(report.lineage(None).unwrap().generations.len() <= report.ancestors.len());
        let refused = |text: &str, data| {
            let error = resume(text, data).unwrap_err();
            let cause = std::error::Error::source(&error);
            format!(
                "{error}: {}",
                cause.map_or(String::new(), ToString::to_string)
            )
        };
        let other = table(|m, _| m);
        assert!(refused(&text, &other).contains("belongs to another table"));
        assert!(refused("{}", &data).contains("not a checkpoint"));
        assert!(refused(&text[..text.len() / 2], &data).contains("not a checkpoint"));
        let newer = text.replacen("\"version\":2", "\"version\":3", 1);
        assert!(refused(&newer, &data).contains("update opcodon"));
    }
}

#[test]
fn ancestors_are_told_if_they_were_recorded() {
    if !supported("ancestors_are_told_if_they_were_recorded") {
        return;
    }
    let data = table(|m, v| (m * v).cos() + m);
    for genome in ["linear", "tree"] {
        let changes = [("genome", genome), ("migration_interval", "10")];
        let without = fit(&data, &config(&changes), Hooks::default()).unwrap();
        assert!(without.lineage(None).unwrap().generations.is_empty());
        let changes = [&changes[..], &[("record_lineage", "true")]].concat();
        let report = fit(&data, &config(&changes), Hooks::default()).unwrap();
        let formulas = |report: &Report| {
            let front = report.front.iter();
            front
                .map(|model| (model.formula.clone(), model.loss))
                .collect::<Vec<_>>()
        };
        assert_eq!(formulas(&report), formulas(&without));
        for index in 1..report.front.len() {
            let line = report.lineage(Some(index)).unwrap().generations;
            let (last, _) = *line.last().unwrap();
            assert_eq!(Some(last.birth), report.front[index].birth);
            assert_eq!((line[0].0.step, line[0].0.mother), (0, None));
            for pair in line.windows(2) {
                assert_eq!(pair[1].0.mother, Some(pair[0].0.birth));
                assert!(pair[1].0.step > pair[0].0.step);
                let crossed = pair[1].0.operator.text().contains("crossover");
                assert_eq!(pair[1].1.is_some(), crossed, "{:?}", pair[1].0);
            }
        }
        let text = report.lineage(None).unwrap().to_string();
        assert!(
            text.contains("made by") && text.contains("random"),
            "{text}"
        );
        let json = report.to_json();
        assert_eq!(Report::from_json(&json).unwrap(), report);
        // A line that has no beginning.
        let mut endless = report.clone();
        let own = endless.ancestors[0].birth;
        endless.ancestors[0].mother = Some(own);
        let refused = Report::from_json(&endless.to_json()).unwrap_err();
        assert!(
            refused.to_string().contains("that of its mother"),
            "{refused}"
        );
    }
}

#[test]
fn a_search_is_written_down_at_its_beginning() {
    if !supported("a_search_is_written_down_at_its_beginning") {
        return;
    }
    let interrupt = Arc::new(AtomicBool::new(false));
    let mut refuse = |_: &str| interrupt.store(true, Ordering::Relaxed);
    let hooks = Hooks {
        checkpoint: Some((Duration::from_secs(3600), &mut refuse)),
        interrupt: Some(Arc::clone(&interrupt)),
        ..Hooks::default()
    };
    let report = fit(&table(|m, v| (m * v).cos()), &config(&[]), hooks).unwrap();
    assert_eq!((report.steps, report.interrupted), (0, true));
}

#[test]
fn unusable_tables_are_refused() {
    if !supported("unusable_tables_are_refused") {
        return;
    }
    let refused = |change: &dyn Fn(&mut Observations<'static>)| {
        let mut data = table(|m, _| m);
        change(&mut data);
        fit(&data, &config(&[]), Hooks::default())
            .unwrap_err()
            .to_string()
    };
    let expected = "column \"mass\" holds NaN in row 3 (counted from 0)";
    assert!(refused(&|d| d.columns[0].to_mut()[3] = f64::NAN).contains(expected));
    assert!(refused(&|d| d.target.to_mut()[1] = f64::INFINITY).contains("\"energy\" holds inf"));
    assert!(refused(&|d| d.names.clear()).contains("0 names for 2 columns"));
    assert!(refused(&|d| d.columns[1].to_mut().truncate(3)).contains("column 1 has 3 rows"));
    let many = |d: &mut Observations<'static>| {
        d.names = (0..300).map(|k| format!("c{k}")).collect();
        d.columns = vec![d.columns[0].clone(); 300];
    };
    assert!(refused(&many).contains("the number of columns is 300"));
    let weights = |weights: Vec<f64>| refused(&|d| d.weights = Some(weights.clone().into()));
    assert!(weights(vec![0.0; 60]).contains("all weights are zero"));
    assert!(weights(vec![1.0, -1.0]).contains("the weight of row 1 (counted from 0) is -1"));
    assert!(weights(vec![1.0; 59]).contains("the weights has 59 rows"));
}

#[test]
fn rows_of_weight_zero_do_not_count() {
    if !supported("rows_of_weight_zero_do_not_count") {
        return;
    }
    let mut data = table(|m, v| m * v * v);
    data.target.to_mut()[7] = 1e6;
    let mut weights = vec![1.0; 60];
    weights[7] = 0.0;
    data.weights = Some(weights.into());
    let report = fit(&data, &config(&[]), Hooks::default()).unwrap();
    assert!(report.best().r2 > 0.999, "{}", report.best().r2);
}

#[test]
fn trivial_tables_have_trivial_models() {
    if !supported("trivial_tables_have_trivial_models") {
        return;
    }
    for genome in ["linear", "tree"] {
        let constant = table(|_, _| 4.25);
        let report = fit(&constant, &config(&[("genome", genome)]), Hooks::default()).unwrap();
        assert_eq!(
            (report.best().formula.as_str(), report.best().r2),
            ("4.25", 1.0)
        );
        let mut one = table(|m, _| m);
        for column in one.columns.iter_mut().chain([&mut one.target]) {
            column.to_mut().truncate(1);
        }
        let report = fit(&one, &config(&[("genome", genome)]), Hooks::default()).unwrap();
        assert_eq!(report.best().r2, 1.0);
    }
}

#[test]
fn damaged_reports_are_refused_or_mean_what_they_say() {
    if !supported("damaged_reports_are_refused_or_mean_what_they_say") {
        return;
    }
    let data = table(|m, v| m * v);
    let report = fit(&data, &config(&[]), Hooks::default()).unwrap();
    let good = report.to_json();
    let refused = |text: &str| {
        let error = Report::from_json(text).unwrap_err();
        let cause = std::error::Error::source(&error);
        format!(
            "{error}: {}",
            cause.map_or(String::new(), ToString::to_string)
        )
    };
    let formula = &report.best().formula;
    for (from, to, expected) in [
        (good.as_str(), "", "not a report of genomes: EOF"),
        (
            &format!("\"formula\": \"{formula}\""),
            "\"formula\": \"mass\"",
            "computes",
        ),
        ("\"version\": 2", "\"version\": 9", "update opcodon"),
        ("\"chosen\": ", "\"chosen\": 7", "is chosen of"),
        (
            "\"speed (m/s)\"",
            "\"a\", \"b\"",
            "2 columns, but 3 are named",
        ),
        (
            "\"slots\": \"",
            "\"slots\": \"0f0b0f0b0f0b0f0b",
            "slot 0 holds 0f 0b",
        ),
        ("\"islands\": 4", "\"islands\": 0", "islands is 0"),
        ("\"islands\": 4", "\"isles\": 4", "unknown field `isles`"),
    ] {
        assert!(good.contains(from), "{from} in {good}");
        let message = refused(&good.replacen(from, to, 1));
        assert!(message.contains(expected), "{message}");
    }
    // Any single character changed: no panic, and what passes runs.
    let mut rng = Rng::new(1, 2);
    let columns: Vec<&[f64]> = data.columns.iter().map(AsRef::as_ref).collect();
    let mut passed = 0;
    for _ in 0..3000 {
        let mut bytes = good.clone().into_bytes();
        let place = rng.below(bytes.len());
        bytes[place] ^= 1 << rng.below(7);
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(report) = Report::from_json(&text)
        {
            for index in 0..report.front.len() {
                report.predict(Some(index), &columns).unwrap();
            }
            passed += 1;
        }
    }
    // Losses, figures and the last digits of nothing else.
    assert!(passed < 1500, "{passed}");
}
