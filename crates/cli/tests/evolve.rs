//! `opcodon evolve` as a user runs it: files, flags, exit codes, hostile models.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn opcodon(args: &[&str], directory: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_opcodon"))
        .args(args)
        .current_dir(directory)
        .output()
        .expect("the program starts")
}

/// An empty directory of its own for each test.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("opcodon-evolve-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a temporary directory");
    let table = (0..40).fold("mass,speed,energy\n".to_owned(), |table, k| {
        let (mass, speed) = (1.0 + f64::from(k % 7), f64::from(k) / 8.0 - 2.0);
        table + &format!("{mass},{speed},{}\n", 0.5 * mass * speed * speed)
    });
    std::fs::write(path.join("energy.csv"), table).expect("a file");
    path
}

/// A quick search, whose result depends on nothing but the data.
const QUICK: [&str; 10] = [
    "evolve",
    "energy.csv",
    "--max-evaluations",
    "60000",
    "--population-size",
    "300",
    "--random-state",
    "1",
    "--time-limit",
    "2m",
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Genomes do not run everywhere; then the search says so and nothing is left to test.
fn unsupported(done: &Output) -> bool {
    text(&done.stderr).contains("does not run genomes of tier")
}

#[test]
fn a_table_becomes_machine_code_that_predicts() {
    for genome in ["tree", "linear"] {
        let place = directory(genome);
        let done = opcodon(&[&QUICK[..], &["--genome", genome]].concat(), &place);
        if unsupported(&done) {
            return;
        }
        let out = text(&done.stdout);
        assert_eq!(done.status.code(), Some(0), "{out}{}", text(&done.stderr));
        assert!(out.contains("energy = "), "{out}");
        assert!(out.contains("vmulpd"), "{out}");
        assert!(out.contains("saved to energy.genome.json"), "{out}");
        let done = opcodon(&["predict", "energy.genome.json", "energy.csv"], &place);
        let values: Vec<f64> = text(&done.stdout)
            .lines()
            .map(|line| line.parse().expect("a number"))
            .collect();
        assert_eq!(values.len(), 40);
        assert!((values[0] - 2.0).abs() < 0.1, "{values:?}");
        let made = opcodon(&["report", "energy.genome.json", "energy.csv"], &place);
        assert!(text(&made.stdout).contains("page written to energy.genome.html"));
        let page = std::fs::read_to_string(place.join("energy.genome.html")).expect("a page");
        assert!(page.contains("genomes were run") && page.contains("class=\"genome\""));
        let listing = text(&opcodon(&["disasm", "energy.genome.json"], &place).stdout);
        assert!(listing.contains("; r0 = "), "{listing}");
        assert_eq!(listing.contains("node 0: [0, 1)"), genome == "tree");
        std::fs::remove_dir_all(place).expect("the directory goes");
    }
}

#[test]
fn json_is_the_model_and_seeds_repeat() {
    let place = directory("json");
    let run = |more: &[&str]| {
        opcodon(
            &[&QUICK[..], &["--json", "--no-save"], more].concat(),
            &place,
        )
    };
    let done = run(&["--n-jobs", "1"]);
    if unsupported(&done) {
        return;
    }
    let front = |done: &Output| {
        let value: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        value["front"].clone()
    };
    assert_eq!(front(&done), front(&run(&["--n-jobs", "2"])));
    assert!(!place.join("energy.genome.json").exists());
    std::fs::remove_dir_all(place).expect("the directory goes");
}

#[test]
fn a_search_is_taken_up_again() {
    let place = directory("resume");
    let search = |more: &[&str]| {
        let start = [
            "evolve",
            "energy.csv",
            "--json",
            "--no-save",
            "--time-limit",
            "none",
        ];
        let size = ["--population-size", "100", "--target-error", "none"];
        opcodon(&[&start[..], &size[..], more].concat(), &place)
    };
    let whole = search(&["--random-state", "3", "--max-steps", "100"]);
    if unsupported(&whole) {
        return;
    }
    let nowhere = search(&["--checkpoint", "missing/search.json"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stdout).contains("--checkpoint"));
    let saved = ["--checkpoint", "search.json"];
    search(&[&["--random-state", "3", "--max-steps", "50"], &saved[..]].concat());
    let again = search(&["--resume", "search.json", "--max-steps", "100"]);
    let front = |done: &Output| {
        let value: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        value["front"].clone()
    };
    assert_eq!(front(&again), front(&whole));
    std::fs::remove_dir_all(place).expect("the directory goes");
}

#[test]
fn mistakes_are_told_with_their_exit_codes() {
    let place = directory("mistakes");
    let check = |args: &[&str], code: i32, expected: &str| {
        let done = opcodon(args, &place);
        let err = text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{args:?}: {err}");
        assert!(err.contains(expected), "{args:?} says {err:?}");
    };
    check(
        &["evolve", "energy.csv", "--no-such-flag"],
        2,
        "--no-such-flag",
    );
    check(&["evolve", "absent.csv"], 1, "absent.csv");
    check(
        &["evolve", "energy.csv", "--genome", "circle"],
        1,
        "linear, tree",
    );
    check(
        &["evolve", "energy.csv", "--islands", "0"],
        1,
        "islands is 0",
    );
    check(&["evolve", "energy.csv", "--target", "enrgy"], 1, "energy");
    check(
        &["evolve", "energy.csv", "--time-limit", "2x"],
        1,
        "time_limit",
    );
    check(
        &["evolve", "energy.csv", "--resume", "nothing.json"],
        1,
        "nothing.json",
    );
    std::fs::write(place.join("bad.csv"), "a,b\n1,2\n,3\n").expect("a file");
    check(&["evolve", "bad.csv"], 1, "line 3");
    std::fs::remove_dir_all(place).expect("the directory goes");
}

#[test]
fn hostile_models_are_refused_and_never_run() {
    let place = directory("hostile");
    let done = opcodon(&QUICK, &place);
    if unsupported(&done) {
        return;
    }
    let good = std::fs::read_to_string(place.join("energy.genome.json")).expect("the model");
    let check = |content: &str, expected: &str| {
        std::fs::write(place.join("model.json"), content).expect("a file");
        for command in [
            &["predict", "model.json", "energy.csv"][..],
            &["disasm", "model.json"],
        ] {
            let done = opcodon(command, &place);
            let err = text(&done.stderr);
            assert_eq!(done.status.code(), Some(1), "{err}");
            assert!(
                err.contains("model.json: ") && err.contains(expected),
                "{err}"
            );
        }
    };
    // syscall; int3; a jump; a store to the columns.
    for code in ["0f059090", "cccccccc", "ebfe9090", "62f1fd48"] {
        let slot = format!("\"slots\": \"{code}{code}");
        check(&good.replacen("\"slots\": \"", &slot, 1), "slot 0 holds");
    }
    check(&good[..good.len() / 2], "EOF");
    let newer = |version: u32| {
        let known = format!("\"version\": {version}");
        good.replacen(&known, "\"version\": 7", 1)
    };
    check(&newer(2), "update opcodon");
    check(&newer(1), "it is of version 7");
    check(
        &good.replacen("\"marks\": [", "\"marks\": [[7, 9, 1],", 1),
        "mark 0",
    );
    check(
        &good.replacen("\"columns\": 2", "\"columns\": 0", 1),
        "0 columns",
    );
    check(
        &good.replacen("\"columns\": 2", "\"columns\": 9", 1),
        "9 columns",
    );
    std::fs::remove_dir_all(place).expect("the directory goes");
}
