//! Fits that are broken off and taken up again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opcodon_evo::Rng;
use opcodon_sr::{Config, Hooks, Observations, Report, SrError, fit_with};
use serde_json::{Value, json};

/// Three columns and a target that none of the seeds explains, plus noise.
struct Table {
    columns: Vec<Vec<f64>>,
    target: Vec<f64>,
}

impl Table {
    fn new(n_rows: usize, noise: f64) -> Table {
        let mut rng = Rng::new(2026, 0);
        let mut column = || (0..n_rows).map(|_| 0.5 + 3.0 * rng.f64()).collect();
        let columns: Vec<Vec<f64>> = vec![column(), column(), column()];
        let target = (0..n_rows).map(|row| {
            let [a, b, c] = [columns[0][row], columns[1][row], columns[2][row]];
            (a * b + 0.7).sin() / (c + (0.3 * a * a).exp()) + noise * (rng.f64() - 0.5)
        });
        Table {
            target: target.collect(),
            columns,
        }
    }

    fn fit(&self, config: &Config, hooks: Hooks<'_>) -> Result<Report, SrError> {
        let columns: Vec<&[f64]> = self.columns.iter().map(Vec::as_slice).collect();
        let data = Observations::new(&["a", "b", "c"], &columns, "y", &self.target);
        fit_with(&data, config, hooks)
    }

    /// The report, and everything that was written on the way.
    fn written(&self, config: &Config) -> (Report, Vec<String>) {
        let mut texts = Vec::new();
        let mut save = |text: &str| texts.push(text.to_owned());
        let hooks = Hooks {
            checkpoint: Some((Duration::ZERO, &mut save)),
            ..Hooks::default()
        };
        let report = self.fit(config, hooks).expect("fit");
        (report, texts)
    }

    fn resume(&self, config: &Config, text: &str) -> Result<Report, SrError> {
        let hooks = Hooks {
            resume: Some(text),
            ..Hooks::default()
        };
        self.fit(config, hooks)
    }
}

fn config(settings: &[(&str, &str)]) -> Config {
    let mut config = Config::default();
    for (name, value) in [
        ("time_limit", "none"),
        ("population_size", "60"),
        ("islands", "3"),
        ("migration_interval", "4"),
        ("random_state", "7"),
        ("n_jobs", "2"),
        ("operators", "add,sub,mul,div,sin"),
        ("seeds", "false"),
    ]
    .iter()
    .chain(settings)
    {
        config.set(name, value).expect(name);
    }
    config
}

/// What a report says, but for times and threads.
fn said(report: &Report) -> Value {
    let mut said: Value = serde_json::from_str(&report.to_json()).expect("JSON");
    said["elapsed_s"] = Value::Null;
    said["config"]["n_jobs"] = Value::Null;
    said
}

#[test]
fn what_was_broken_off_ends_as_if_it_had_not_been() {
    let few = Table::new(90, 0.1);
    let many = Table::new(2200, 0.1);
    let check = |table: &Table, limit: (&str, &str), settings: &[(&str, &str)]| {
        let all = [&[limit], settings].concat();
        let (whole, texts) = table.written(&config(&all));
        assert!(texts.len() > 3, "{limit:?}: {} texts", texts.len());
        // Limits and threads are the caller's, everything else is the checkpoint's.
        let mut resumed = Config::default();
        for (name, value) in [limit, ("time_limit", "none"), ("n_jobs", "1")] {
            resumed.set(name, value).expect(name);
        }
        for at in [0, texts.len() / 3, texts.len() / 2, texts.len() - 1] {
            let again = table.resume(&resumed, &texts[at]).expect("resume");
            assert_eq!(said(&again), said(&whole), "{limit:?} from text {at}");
        }
    };
    // Islands that do without a fold each, and those that have all rows.
    check(
        &few,
        ("max_generations", "24"),
        &[("seeds", "true"), ("archive_size", "90")],
    );
    check(&few, ("max_evaluations", "1500"), &[("islands", "3")]);
    check(&few, ("max_generations", "16"), &[("loss", "mae")]);
    check(&many, ("max_generations", "20"), &[("search_rows", "500")]);
    check(
        &few,
        ("max_generations", "16"),
        &[("model_selection", "mdl"), ("constraints", "sin <= 1")],
    );
}

#[test]
fn interrupts_leave_what_can_be_gone_on_from() {
    let table = Table::new(90, 0.1);
    let config = config(&[("max_generations", "32")]);
    let whole = table.fit(&config, Hooks::default()).expect("fit");
    let interrupt = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupt);
    let mut stop = move |progress: &opcodon_sr::Progress| {
        flag.store(progress.generation >= 12, Ordering::Relaxed);
    };
    let mut last = String::new();
    let mut save = |text: &str| text.clone_into(&mut last);
    let hooks = Hooks {
        progress: Some(&mut stop),
        interrupt: Some(interrupt),
        // Too seldom for another one but the first and the last.
        checkpoint: Some((Duration::MAX, &mut save)),
        ..Hooks::default()
    };
    let broken = table.fit(&config, hooks).expect("fit");
    assert!(broken.generations < whole.generations);
    let stored: Value = serde_json::from_str(&last).expect("JSON");
    assert!(stored["state"]["generation"].as_u64() > Some(0));
    let again = table.resume(&config, &last).expect("resume");
    assert_eq!(said(&again), said(&whole));
}

#[test]
fn no_damaged_or_foreign_text_is_gone_on_from() {
    let table = Table::new(60, 0.1);
    let config = config(&[("max_generations", "8"), ("population_size", "12")]);
    let (_, texts) = table.written(&config);
    let (early, late) = (&texts[0], texts.last().expect("a text"));
    let refused = |table: &Table, text: &str, expected: &str| {
        let error = table.resume(&config, text).expect_err(expected);
        let mut told = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            told = format!("{told}: {source}");
        }
        assert!(told.contains(expected), "{expected:?} is not in {told:?}");
    };
    for part in 0..40 {
        refused(&table, &late[..late.len() * part / 40], "checkpoint");
    }
    refused(&Table::new(61, 0.1), late, "another table");
    refused(&Table::new(60, 0.2), late, "another table");
    let model = table.fit(&config, Hooks::default()).expect("fit").to_json();
    refused(&table, &model, "not a checkpoint");

    let changed = |text: &str, at: &str, value: Value| {
        let mut stored: Value = serde_json::from_str(text).expect("JSON");
        *stored.pointer_mut(at).expect(at) = value;
        stored.to_string()
    };
    let check = |text: &str, at: &str, value: Value, expected: &str| {
        refused(&table, &changed(text, at, value), expected);
    };
    let island = "/state/islands/1";
    check(late, "/version", json!(2), "version 2");
    check(late, "/config/islands", json!(0), "islands");
    check(late, "/config/islands", json!(2), "islands");
    check(late, "/config/max_size", json!(7), "does not fit");
    check(late, island, json!({}), "missing field");
    check(late, &format!("{island}/members"), json!([]), "no formulas");
    check(
        late,
        &format!("{island}/members/0/expr"),
        json!(["x0", "add"]),
        "checkpoint",
    );
    check(
        late,
        &format!("{island}/front/0/expr"),
        json!(["x3"]),
        "variables",
    );
    check(
        late,
        "/state/stage/united/losses/0",
        json!([1.0]),
        "does not fit",
    );
    check(late, "/state/stage", json!("lost"), "unknown variant");
    check(early, "/state/generation", json!(-1), "checkpoint");
}
