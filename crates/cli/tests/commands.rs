//! The program as a user runs it: arguments in, output and exit code out.

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
    let path = std::env::temp_dir().join(format!("opcodon-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a temporary directory");
    path
}

/// Runs a command and compares exit code, standard output and a part of standard error.
fn check(args: &[&str], code: i32, stdout: &str, stderr: &str) {
    let done = opcodon(args, &std::env::temp_dir());
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert_eq!(done.status.code(), Some(code), "{args:?}: {out}{err}");
    assert_eq!(out, stdout, "{args:?}");
    assert!(
        err.contains(stderr),
        "{args:?} says {err:?}, not {stderr:?}"
    );
}

#[test]
fn formulas_are_computed() {
    check(&["eval", "x^2+1", "--x", "3"], 0, "10\n", "");
    check(
        &["eval", "x*y - 2", "--x", "1,2,3", "--y=-1"],
        0,
        "-3\n-4\n-5\n",
        "",
    );
    check(&["eval", "1/3"], 0, "0.3333333333333333\n", "");
    check(&["eval", "a/b", "a=1", "b=0"], 0, "inf\n", "");
    let done = opcodon(
        &["eval", "log(x)", "--x", "-1", "--json"],
        &std::env::temp_dir(),
    );
    let value: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(value["values"][0], "NaN");
}

#[test]
fn mistakes_in_formulas_are_located() {
    check(&["eval", "x +* 2", "--x", "1"], 1, "", "^");
    check(&["eval", "(x + 1", "--x", "1"], 1, "", "^");
    check(
        &["eval", "x + y", "--x", "1"],
        1,
        "",
        "y, which has no value; add --y VALUE",
    );
    check(
        &["eval", "x", "--x", "1", "--z", "2"],
        1,
        "",
        "--z is no variable of the formula",
    );
    check(&["eval", "x", "--x", "one"], 1, "", "\"one\" is no number");
    check(&["eval", "x", "--x"], 1, "", "--x lacks its value");
}

#[test]
fn machine_code_is_called() {
    check(
        &["call", "f2 0f 58 c1 c3", "f64(f64, f64)", "1", "-2.5"],
        0,
        "-1.5\n",
        "",
    );
    check(
        &["call", "8d0437c3", "i32(i32, i32)", "40", "2"],
        0,
        "42\n",
        "",
    );
    check(&["call", "c3", "void()"], 0, "", "");
    check(&["call", "", "f64(f64)", "1"], 1, "", "not a single byte");
    check(
        &["call", "f20", "f64(f64)", "1"],
        1,
        "",
        "3 hexadecimal digits",
    );
    check(
        &["call", "zz", "f64(f64)", "1"],
        1,
        "",
        "'z' at character 1",
    );
    check(&["call", "c3", "f64(f64", "1"], 1, "", "^");
    check(
        &["call", "c3", "f64(f64)"],
        1,
        "",
        "takes 1 arguments, 0 given",
    );
    check(&["call", "c3", "i8(i8)", "300"], 1, "", "argument 1");
    check(
        &["call", "c3", "f64(f64)", "--in-process", "-2.5"],
        0,
        "-2.5\n",
        "",
    );
    check(
        &[
            "call",
            "0f28d0 0f28c1 0f28ca c3",
            "{f64, f64}({f64, f64})",
            "{1, 2}",
        ],
        0,
        "[2.0,1.0]\n",
        "",
    );
}

/// What machine code does wrong is told, with its place.
#[test]
fn faults_are_told() {
    check(&["call", "0f0b", "void()"], 1, "", "at offset 0x0: ud2");
    check(
        &["call", "ebfe", "void()", "--time-limit", "0.1"],
        1,
        "",
        "its time was up",
    );
    check(
        &["call", "c3", "void()", "--time-limit", "0"],
        1,
        "",
        "no number of seconds",
    );
    let done = opcodon(
        &["call", "90 8b042510000000", "i32()", "--json"],
        &std::env::temp_dir(),
    );
    assert_eq!(done.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let fault = &told["fault"];
    assert_eq!(fault["cause"], "SIGSEGV");
    assert_eq!(fault["address"], "0x10");
    assert_eq!(fault["offset"], 1);
    assert_eq!(fault["instruction"], "mov eax,[0x10]");
    assert!(fault["registers"]["rip"].is_string());
}

#[test]
fn text_is_assembled() {
    check(&["asm", "addsd xmm0, xmm1; ret"], 0, "f2 0f 58 c1 c3\n", "");
    check(
        &["asm", "--syntax", "att", "addsd %xmm1, %xmm0"],
        0,
        "f2 0f 58 c1\n",
        "",
    );
    check(&["asm", "--origin", "0x1000", "dw $"], 0, "00 10\n", "");
    check(&["asm", "adsd xmm0, xmm1"], 1, "", "did you mean");
    let place = std::env::temp_dir().join(format!("opcodon-asm-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("a folder");
    std::fs::write(place.join("a.s"), "nop ; nothing\nret\n").expect("a file");
    let done = opcodon(&["asm", "a.s", "-o", "a.bin", "--json"], &place);
    let value: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(value["bytes"], "90c3");
    assert_eq!(
        std::fs::read(place.join("a.bin")).expect("code"),
        [0x90, 0xc3]
    );
    let _ = std::fs::remove_dir_all(&place);
}

#[test]
fn machine_code_is_shown() {
    let done = opcodon(&["disasm", "f20f58c1c3", "--json"], &std::env::temp_dir());
    let value: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(value["lines"][0]["bytes"], "f20f58c1");
    assert_eq!(value["lines"][1]["text"], "ret");
    let done = opcodon(&["disasm", "--formula", "x*y + 1"], &std::env::temp_dir());
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(text.contains("; x*y"), "{text}");
    check(
        &["disasm", "no-such-file"],
        1,
        "",
        "neither a file nor hexadecimal digits",
    );
}

#[test]
fn the_processor_is_healthy() {
    let done = opcodon(&["doctor", "--json"], &std::env::temp_dir());
    let value: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(value["ok"], true, "{value:#}");
}

#[test]
fn speed_is_measured() {
    let line = ["bench", "--json", "--rows", "20,7", "--seconds", "0"];
    let done = opcodon(&line, &std::env::temp_dir());
    let value: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    let lines = value["lines"].as_array().expect("lines");
    assert_eq!(lines.len(), 8);
    for line in lines {
        let [alone, both] = ["", "_with_compiling"].map(|part| {
            line[format!("node_rows_per_s{part}")]
                .as_f64()
                .expect("a number")
        });
        assert!(0.0 < both && both < alone, "{line}");
    }
    check(&["bench", "--rows", "0"], 1, "", "between 1 and");
    check(&["bench", "--seconds", "-1"], 1, "", "--seconds must be");
}

#[test]
fn functions_of_python_need_python() {
    check(&["jit", "file.py:f"], 1, "", "python -m opcodon jit");
}

#[test]
fn unknown_words_are_usage_errors() {
    check(&["fitt"], 2, "", "fitt");
    check(
        &["fit", "data.csv", "--no-such-flag"],
        2,
        "",
        "--no-such-flag",
    );
    assert_eq!(
        opcodon(&["--version"], &std::env::temp_dir()).status.code(),
        Some(0)
    );
}

/// Planets: period is distance to the power 3/2.
const PLANETS: &str = "distance,period\n0.387,0.2408\n0.723,0.6152\n1,1\n1.524,1.881\n5.203,11.862\n\
                       9.537,29.457\n19.191,84.011\n30.069,164.79\n";

#[test]
fn a_table_becomes_a_model_that_predicts() {
    let place = directory("fit");
    std::fs::write(place.join("planets.csv"), PLANETS).expect("a file");
    let fit = [
        "fit",
        "planets.csv",
        "--target",
        "period",
        "--max-generations",
        "5",
    ];
    let budget = [
        "--population-size",
        "200",
        "--random-state",
        "1",
        "--time-limit",
        "60s",
        "--quiet",
        "--log",
        "search.jsonl",
        "--report",
        "fit.html",
        "--constraints",
        "exp <= 0; sin <= 0",
    ];
    let done = opcodon(&[&fit[..], &budget[..]].concat(), &place);
    let log = std::fs::read_to_string(place.join("search.jsonl")).expect("a log");
    let state = log.lines().last().expect("a line");
    let state: serde_json::Value = serde_json::from_str(state).expect("JSON");
    assert!(state["generation"] == 5 && state["front"][0]["r2"].is_number());
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(
        done.status.code(),
        Some(0),
        "{text}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(text.contains("period = "), "{text}");
    assert!(text.contains("saved to planets.model.json"), "{text}");

    assert!(text.contains("page written to fit.html"), "{text}");
    let page = std::fs::read_to_string(place.join("fit.html")).expect("a page");
    assert!(page.contains("<title>period = ") && page.contains("\"total\":8"));

    let done = opcodon(&["predict", "planets.model.json", "planets.csv"], &place);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let values: Vec<f64> = text
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    assert_eq!(values.len(), 8);
    assert!((values[4] - 11.862).abs() < 0.5, "{values:?}");

    let done = opcodon(
        &[
            "predict",
            "planets.model.json",
            "planets.csv",
            "-o",
            "out.csv",
        ],
        &place,
    );
    assert_eq!(done.status.code(), Some(0));
    let written = std::fs::read_to_string(place.join("out.csv")).expect("the file");
    assert!(written.starts_with("period_predicted\n"), "{written}");
    // Eight rows say where half of the others are, and not where 99 of 100 are.
    let predict = ["predict", "planets.model.json", "planets.csv", "--interval"];
    let done = opcodon(&[&predict[..], &["0.5", "-o", "out.csv"]].concat(), &place);
    assert_eq!(done.status.code(), Some(0));
    let written = std::fs::read_to_string(place.join("out.csv")).expect("the file");
    let head = "period_predicted,period_low,period_high\n";
    assert!(written.starts_with(head), "{written}");
    let done = opcodon(&[&predict[..], &["0.99"]].concat(), &place);
    let err = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{err}");
    assert!(err.contains("take one of 0.5"), "{err}");

    let done = opcodon(&["report", "planets.model.json", "planets.csv"], &place);
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "page written to planets.model.html\n"
    );
    let again = std::fs::read_to_string(place.join("planets.model.html")).expect("a page");
    // Functions of the C library are at other addresses in each process.
    let data = |page: &str| page.split("id=\"data\">").nth(1).map(str::to_owned);
    assert!(data(&again).is_some() && data(&again) == data(&page));
    let done = opcodon(&["report", "planets.model.json", "-o", "bare.html"], &place);
    assert_eq!(done.status.code(), Some(0));

    let done = opcodon(&["disasm", "planets.model.json"], &place);
    assert!(String::from_utf8_lossy(&done.stdout).contains("ret"));
    std::fs::remove_dir_all(place).expect("the directory goes");
}

#[test]
fn a_search_is_written_down_and_taken_up_again() {
    let place = directory("checkpoint");
    std::fs::write(place.join("planets.csv"), PLANETS).expect("a file");
    std::fs::write(place.join("other.csv"), PLANETS.replace("30.069", "31")).expect("a file");
    let fit = |file: &str, more: &[&str]| {
        let start = ["fit", file, "--json", "--no-save", "--target-error", "none"];
        let size = ["--population-size", "100", "--max-generations", "12"];
        let limits = ["--time-limit", "none", "--random-state", "1"];
        opcodon(&[&start[..], &size[..], &limits[..], more].concat(), &place)
    };
    let front = |done: &Output| {
        let value: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        value["front"].clone()
    };
    let whole = fit("planets.csv", &["--checkpoint", "search.json"]);
    assert!(front(&whole)[0]["formula"].is_string());
    let again = fit("planets.csv", &["--resume", "search.json"]);
    assert_eq!(front(&again), front(&whole));
    for (file, more, expected) in [
        ("other.csv", ["--resume", "search.json"], "another table"),
        (
            "planets.csv",
            ["--resume", "planets.csv"],
            "not a checkpoint",
        ),
        ("planets.csv", ["--resume", "absent.json"], "absent.json"),
        (
            "planets.csv",
            ["--checkpoint", "no/where.json"],
            "where.json",
        ),
    ] {
        let done = fit(file, &more);
        let err = String::from_utf8_lossy(&done.stdout);
        assert_eq!(done.status.code(), Some(1), "{more:?}: {err}");
        assert!(err.contains(expected), "{more:?} says {err:?}");
    }
    std::fs::remove_dir_all(place).expect("the directory goes");
}

#[test]
fn mistakes_in_tables_are_located() {
    let place = directory("bad");
    let cases = [
        ("empty.csv", "", "empty.csv"),
        ("ragged.csv", "a,b\n1,2\n3\n", "line 3"),
        ("text.csv", "a,b\n1,red\n2,blue\n", "--skip-text"),
        ("missing.csv", "a,b\n1,2\n,3\n", "line 3"),
        ("one.csv", "a,b\n1,2\n", "row"),
        ("infinite.csv", "a,b\n1,2\ninf,3\n4,5\n", "line 3"),
    ];
    for (name, content, expected) in cases {
        std::fs::write(place.join(name), content).expect("a file");
        let done = opcodon(&["fit", name, "--time-limit", "1", "--quiet"], &place);
        let err = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{name}: {err}");
        assert!(err.contains(expected), "{name} says {err:?}");
    }
    std::fs::write(place.join("good.csv"), PLANETS).expect("a file");
    let done = opcodon(&["fit", "good.csv", "--target", "perod"], &place);
    let err = String::from_utf8_lossy(&done.stderr);
    assert!(err.contains("period"), "the nearest name is told: {err}");
    let done = opcodon(&["fit", "good.csv", "--max-size", "many"], &place);
    assert!(String::from_utf8_lossy(&done.stderr).contains("max_size"));
    let done = opcodon(&["fit", "absent.csv"], &place);
    assert!(String::from_utf8_lossy(&done.stderr).contains("absent.csv"));
    std::fs::write(place.join("bad.json"), "{\"version\": 99}").expect("a file");
    let done = opcodon(&["predict", "bad.json", "good.csv"], &place);
    assert!(String::from_utf8_lossy(&done.stderr).contains("99"));
    std::fs::remove_dir_all(place).expect("the directory goes");
}

/// Compiles C into a file of a folder; nothing if there is no compiler.
fn compiled(folder: &Path, source: &str, name: &str, flags: &[&str]) -> Option<String> {
    let input = folder.join("source.c");
    std::fs::write(&input, source).expect("a source file");
    let output = folder.join(name);
    let done = Command::new("cc")
        .args(["-O1", "-fPIC"])
        .args(flags)
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .status();
    if !done.is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no C compiler");
        return None;
    }
    output.to_str().map(str::to_owned)
}

#[test]
fn libraries_and_objects_are_listed_and_called() {
    let folder = directory("libraries");
    let source = "double sin(double); int n = 3; int add(int a, int b) { return a + b; } \
                  double f(double x) { return x * sin(x); }";
    let Some(object) = compiled(&folder, source, "f.o", &["-c"]) else {
        return;
    };
    let library = compiled(&folder, source, "f.so", &["-shared", "-lm"]).expect("a library");
    for file in [&object, &library] {
        let listed = opcodon(&["symbols", file, "--json"], &folder);
        let value: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        let symbols = value["symbols"].as_array().expect("a list");
        let names: Vec<_> = symbols.iter().map(|symbol| &symbol["name"]).collect();
        assert_eq!(names, ["add", "f", "n"], "{file}");
        assert_eq!(symbols[2]["kind"], "object");
        assert_eq!(symbols[2]["size"], 4);
        let undefined = value["undefined"].to_string();
        assert!(undefined.contains("sin"), "{undefined}");
    }
    let call = |how: &str, file: &str, rest: &[&str], code: i32, stdout: &str, stderr: &str| {
        check(&[&["call", how, file], rest].concat(), code, stdout, stderr);
    };
    for (how, file) in [("--object", &object), ("--library", &library)] {
        call(
            how,
            file,
            &["add", "int(int, int)", "40", "2"],
            0,
            "42\n",
            "",
        );
        call(
            how,
            file,
            &["add", "int(int, int)", "-40", "-2"],
            0,
            "-42\n",
            "",
        );
        call(how, file, &["f", "f64(f64)", "0"], 0, "0.0\n", "");
        call(
            how,
            file,
            &["ad", "int(int)", "1"],
            1,
            "",
            "no symbol \"ad\"; did you mean add?",
        );
        call(
            how,
            file,
            &["n", "int()"],
            1,
            "",
            "n is data, not a function",
        );
    }
    check(&["link", &object, &object], 1, "", "add is defined again");
    let linked = opcodon(&["link", &object], &folder);
    let text = String::from_utf8_lossy(&linked.stdout).into_owned();
    assert_eq!(text.lines().count(), 3, "{text}");
    check(
        &["link", &library],
        1,
        "",
        "a shared library at offset 0x10",
    );
    check(
        &["symbols", "libnowhere.so"],
        1,
        "",
        "no such library; looked in",
    );
    check(
        &["call", "--library", "x.so", "--object", "y.o", "f", "f64()"],
        2,
        "",
        "cannot be used",
    );
    check(&["symbols"], 2, "", "<FILE>");
    std::fs::remove_dir_all(folder).expect("the folder goes");
}
